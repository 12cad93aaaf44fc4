/* Sparse structure selection: its three forms agree, factors fall as the theory says, folding and removal are
 * exact. */
#include "seen.h"
#include "nets.h"

#include <stdlib.h>

/* -- the iteration itself, in double, on G(l) = a/2 (l - b)^2 -- */

static double soft(double z, double t) {
    return fmax(0, z - t);
}

typedef struct stored {
    double ahead, v, lambda;
} stored;
static void stored_step(stored *s, double g, double eta, double mu, double gamma) {
    s->lambda = soft(s->ahead - eta * g, eta * gamma);
    s->v = s->lambda - s->ahead + mu * s->v;
    s->ahead = fmax(0, s->lambda + mu * s->v);
}

static void three_forms_agree(void **state) {
    (void)state;
    const double eta = 0.1, mu = 0.9, a = 0.7;
    static const double target[] = {3, 1.2, 0.8, 0.3}, gammas[] = {0, 1e-3, 0.05};
    for (size_t t = 0; t < COPI_COUNT(target); t++)
        for (size_t k = 0; k < COPI_COUNT(gammas); k++) {
            const double gamma = gammas[k], b = target[t];
            stored s = {.ahead = 1, .lambda = 1};
            double before = 1, last = 1;            /* textbook: lambda_{t-2}, lambda_{t-1} */
            double weight = 1, momentum = 0, z = 1; /* the authors': two-sided soft threshold, l' and its momentum */
            bool clamped = false;
            for (int i = 0; i < 400; i++) {
                stored_step(&s, a * (s.ahead - b), eta, mu, gamma);
                double d = last + mu * (last - before), next = soft(d - eta * a * (d - b), eta * gamma);
                before = last;
                last = next;
                z = weight - eta * a * (weight - b);
                z = copysign(fmax(0, fabs(z) - eta * gamma), z);
                momentum = z - weight + mu * momentum;
                weight = fmax(0, z + mu * momentum);
                clamped |= s.ahead == 0; /* where the stored form's clamp acts the iterates part, not their limit */
                if (!clamped) {
                    test_near(s.lambda, last, 1e-9, 1e-12);
                    test_near(s.lambda, z, 1e-9, 1e-12);
                    test_near(s.ahead, weight, 1e-9, 1e-12);
                }
            }
            test_near(s.lambda, fmax(0, b - gamma / a), 1e-6, 1e-6); /* where the gradient is -gamma */
            test_near(last, s.lambda, 1e-6, 1e-6);
        }
    /* a factor at 0 stays there while |dL/dlambda| <= gamma, and revives beyond */
    stored s = {0};
    for (int i = 0; i < 50; i++) stored_step(&s, -0.01, eta, mu, 0.01);
    assert_true(s.lambda == 0);
    stored_step(&s, -0.02, eta, mu, 0.01);
    test_near(s.lambda, 0.001, 1e-12, 0);
}

/* -- the engine's steps are that iteration, on its own gradients -- */

typedef struct fixture {
    little_hooks hooks;
    cop_ctx *ctx;
    cop_data *data;
} fixture;
static void setup(fixture *f) {
    f->ctx = little_ctx(&f->hooks);
    f->data = little_data(f->ctx);
}
static void teardown(fixture *f) {
    cop_data_destroy(f->data);
    cop_ctx_destroy(f->ctx);
}

static cop_net *gated_net(const fixture *f, int flags) {
    cop_net *net = little_net(f->ctx, flags, 1), *gated;
    test_ok(f->ctx, copi_net_with_gates(net, 1u << COP_STRUCTURE_NEURON, &gated));
    cop_net_destroy(net);
    return gated;
}
static copi_param *factors(const cop_net *gated, const char *producer) {
    char name[128];
    snprintf(name, sizeof name, "%s.gate_op", producer);
    int node = copi_net_find(gated, name);
    assert_true(node >= 0);
    return copi_node_slot(gated, &gated->node[node], COPI_GATE);
}

static void engine_steps_are_the_stored_form(void **state) {
    (void)state;
    fixture f;
    setup(&f);
    cop_net *gated = gated_net(&f, LITTLE_NORM);
    const copi_gate_rule rule = {.prox = COP_PROX_APG, .momentum = 0.9, .gamma = 0.05};
    copi_plan *plan;
    copi_loader *loader;
    test_ok(f.ctx,
            copi_plan_create(
                f.ctx, gated,
                &(copi_plan_options){.batch = 32, .training = true, .averages = true, .precision = COP_PRECISION_F32},
                &plan));
    copi_plan_set_optimizer(plan, &(cop_recipe){.optimizer = COP_OPTIMIZER_SGD});
    copi_plan_set_gates(plan, &rule);
    test_ok(f.ctx, copi_loader_create(
                       f.ctx, f.data,
                       &(copi_loader_options){.split = COP_SPLIT_TRAIN, .batch = 32, .shuffle = true, .steps = 60},
                       &loader));
    int number = copi_net_find_param(gated, factors(gated, "conv2")->name);
    copi_param *lambda = &gated->param[number];
    stored s[8];
    float g[8];
    for (int u = 0; u < 8; u++) s[u] = (stored){.ahead = 1, .lambda = 1};
    for (int t = 0; t < 60; t++) {
        const float *x;
        const int32_t *label;
        int64_t n, correct;
        double loss;
        test_ok(f.ctx, copi_loader_next(loader, &x, &label, &n));
        test_ok(f.ctx, copi_plan_step(plan, &(copi_step){.x = x, .label = label, .rate = 0.01, .gate_rate = 0.1},
                                      &loss, &correct));
        test_ok(f.ctx, copi_plan_gradient(plan, number, g));
        test_ok(f.ctx, copi_plan_pull(plan, gated));
        for (int u = 0; u < 8; u++) {
            stored_step(&s[u], (double)g[u], 0.1, 0.9, 0.05);
            test_near(lambda->data[u], s[u].lambda, 1e-4, 1e-5); /* f32 state over 60 steps */
        }
    }
    /* the factor alone scales a channel: batch-norm's own scale would make up for it */
    cop_net *fresh = gated_net(&f, LITTLE_NORM), *average = little_clone(gated);
    test_ok(f.ctx, copi_plan_pull_average(plan, average));
    const copi_node *now = &gated->node[copi_net_find(gated, "norm2")],
                    *was = &fresh->node[copi_net_find(fresh, "norm2")];
    for (int k = COPI_SCALE; k <= COPI_SHIFT; k++) {
        const copi_param *a = copi_node_slot(gated, now, k), *b = copi_node_slot(fresh, was, k);
        assert_int_equal(k == COPI_SCALE, !memcmp(a->data, b->data, 8 * sizeof(float)));
        const copi_param *c = copi_node_slot(average, &average->node[copi_net_find(average, "norm2")], k);
        assert_int_equal(k == COPI_SCALE, !memcmp(c->data, b->data, 8 * sizeof(float))); /* and its average with it */
    }
    cop_net_destroy(average);
    cop_net_destroy(fresh);
    copi_loader_destroy(loader);
    copi_plan_destroy(plan);
    cop_net_destroy(gated);
    teardown(&f);
}

/* A factor that the loss does not need falls from 1 to 0 in about (1 - mu) / (eta gamma) = 100 steps. */
static void useless_factor_falls_in_time(void **state) {
    (void)state;
    fixture f;
    setup(&f);
    cop_net *gated = gated_net(&f, 0);
    copi_param *next = copi_node_slot(gated, &gated->node[copi_net_find(gated, "dense2")], COPI_WEIGHT);
    uint8_t *mask = copi_param_mask(gated, next);
    for (int64_t o = 0; o < LITTLE_CLASSES; o++) mask[o * 16 + 3] = 0; /* nothing reads unit 3 of dense1 */
    copi_net_apply_masks(gated);
    const copi_gate_rule rule = {.prox = COP_PROX_APG, .momentum = 0.9, .gamma = 1e-2};
    for (int steps = 80; steps <= 120; steps += 40) {
        cop_net *net = little_clone(gated);
        cop_recipe r = little_recipe(steps / 10.0);
        r.schedule = COP_SCHEDULE_CONSTANT;
        r.rate = 1e-3;
        cop_history h;
        test_ok(f.ctx, copi_fit_run(net, f.data, &(copi_fit){.recipe = &r, .gates = &rule, .gate_rate = 0.1}, &h));
        assert_int_equal(h.steps, steps);
        float lambda = factors(net, "dense1")->data[3];
        if (steps == 80)
            assert_true(lambda > 0.1 && lambda < 0.5);
        else
            assert_true(lambda == 0);
        cop_history_clear(&h);
        cop_net_destroy(net);
    }
    cop_net_destroy(gated);
    teardown(&f);
}

/* -- removal -- */

static void folded_and_removed_equals_gated(void **state) {
    (void)state;
    fixture f;
    setup(&f);
    for (int flags = 0; flags < 4; flags++) {
        cop_net *gated = gated_net(&f, flags), *folded, *shrunk;
        test_net_fill(gated, 3);
        const char *producer[] = {"conv1", "conv2", "dense1"};
        for (int i = 0; i < 3; i++)
            for (int64_t u = 0; u < factors(gated, producer[i])->count; u += 2)
                factors(gated, producer[i])->data[u] = 0;
        test_ok(f.ctx, copi_net_fold_gates(gated, 0, &folded));
        cop_shrink_report report;
        test_ok(f.ctx, cop_shrink(folded, &shrunk, &report));
        assert_int_equal(report.units_removed, 4 + 4 + 8);
        test_near(little_apart(gated, folded), 0, 0, 1e-5);
        test_near(little_apart(gated, shrunk), 0, 0, 1e-5);
        cop_net_destroy(shrunk);
        cop_net_destroy(folded);
        cop_net_destroy(gated);
    }
    teardown(&f);
}

static void mended_factors(void **state) {
    (void)state;
    fixture f;
    setup(&f);
    for (int flags = 0; flags < 2; flags++) {
        cop_net *gated = gated_net(&f, flags), *before;
        test_net_fill(gated, 3);
        float *a = factors(gated, "conv1")->data, *b = factors(gated, "conv2")->data,
              *c = factors(gated, "dense1")->data;
        for (int u = 0; u < 8; u++) {
            a[u] = u % 2 ? -0.5f - 0.1f * (float)u : 0.7f; /* some negative */
            b[u] = u == 5 ? 0.01f : 0;                     /* one above 0, none above the threshold */
        }
        before = little_clone(gated);
        test_ok(f.ctx, copi_factors_repair(gated, 0, 1));
        for (int u = 0; u < 8; u++) assert_true(a[u] > 0);
        assert_true(a[3] == 0.8f && b[5] == 0.01f);
        test_near(little_apart(gated, before), 0, 0, 1e-5); /* the same function */
        assert_null(strstr(gated->provenance, "kept besides"));
        test_ok(f.ctx, copi_factors_repair(gated, 0.05, 1)); /* raised over the threshold, its producer lowered */
        assert_true(b[5] > 0.05f && b[5] < 0.0501f);
        test_near(little_apart(gated, before), 0, 0, 1e-5);
        assert_non_null(strstr(gated->provenance, "unit 5 was kept besides"));
        assert_non_null(strstr(f.hooks.warning, "conv2"));
        for (int u = 0; u < 16; u++) c[u] = 0;
        test_ok(f.ctx, copi_factors_repair(gated, 0, 3)); /* of equal zeros the first three, each from 1 again */
        for (int u = 0; u < 16; u++) assert_true(c[u] == (u < 3 ? 1.0f : 0.0f));
        cop_net *folded, *shrunk;
        test_ok(f.ctx, copi_net_fold_gates(gated, 0, &folded));
        test_ok(f.ctx, cop_shrink(folded, &shrunk, NULL));
        assert_int_equal(shrunk->node[copi_net_find(shrunk, "dense1")].shape[0], 3);
        cop_net_destroy(shrunk);
        cop_net_destroy(folded);
        cop_net_destroy(before);
        cop_net_destroy(gated);
    }
    teardown(&f);
}

/* max |a(x) - b(x)| / max |a(x)| over random images of any net */
static double apart(const cop_net *a, const cop_net *b) {
    enum { IMAGES = 4 };
    const int64_t pixels = IMAGES * a->node[0].shape[0] * a->node[0].shape[1] * a->node[0].shape[2];
    float *x = malloc((size_t)pixels * sizeof *x), *y = malloc(2 * IMAGES * (size_t)a->classes * sizeof *y);
    float *ya = y, *yb = y + IMAGES * a->classes;
    double worst = 0, largest = 0;
    test_fill_normal(3, x, pixels);
    test_ok(a->ctx, cop_predict(a, x, IMAGES, ya));
    test_ok(b->ctx, cop_predict(b, x, IMAGES, yb));
    for (int i = 0; i < IMAGES * a->classes; i++) {
        worst = fmax(worst, fabs((double)ya[i] - (double)yb[i]));
        largest = fmax(largest, fabs((double)ya[i]));
    }
    free(x);
    free(y);
    return worst / largest;
}

static void gone(const cop_net *net, const char *const *name, int n) {
    for (int i = 0; i < n; i++)
        if (copi_net_find(net, name[i]) >= 0) fail_msg("'%s' is still there", name[i]);
}

/* Blocks, groups and neurons at 0: folded and removed is the gated net, and what was behind a block's 0 is gone. */
static void whole_structures_go(void **state) {
    (void)state;
    static const struct {
        const char *preset;
        unsigned structures;
    } nets[] = {{"resnet-20", 4},  {"resnet-20", 5},  {"resnet-20-preact", 4}, {"resnet-20-preact", 5},
                {"resnext-20", 2}, {"resnext-20", 6}, {"resnext-20", 7}};
    fixture f;
    setup(&f);
    for (size_t k = 0; k < COPI_COUNT(nets); k++) {
        cop_net *net, *gated, *folded, *small;
        test_ok(f.ctx, cop_net_preset(f.ctx, nets[k].preset, 3, 16, 16, 4, 1, &net));
        test_ok(f.ctx, copi_net_with_gates(net, nets[k].structures, &gated));
        test_net_fill(gated, k);
        for (int i = 0; i < gated->params; i++) { /* positive scales keep what is left alive */
            copi_param *p = &gated->param[i];
            for (int64_t j = 0; p->kind == COPI_PARAM_SCALE && j < p->count; j++) p->data[j] = fabsf(p->data[j]);
            for (int64_t j = 1; p->kind == COPI_PARAM_GATE && j < p->count; j += 3) p->data[j] = 0;
        }
        const bool blocks = nets[k].structures >> COP_STRUCTURE_BLOCK & 1u,
                   next = !strcmp(nets[k].preset, "resnext-20");
        const char *last = next ? "conv3" : "conv2", *const which[] = {"s1.b2", "s2.b1", "s3.b2"};
        char name[64];
        for (int i = 0; blocks && i < 3; i++) {
            snprintf(name, sizeof name, "%s.%s", which[i], last);
            assert_int_equal(factors(gated, name)->count, 1);
            factors(gated, name)->data[0] = 0;
        }
        test_ok(f.ctx, copi_factors_repair(gated, 0, 1)); /* a block at 0 is no empty layer */
        for (int i = 0; blocks && i < 3; i++) {
            snprintf(name, sizeof name, "%s.%s", which[i], last);
            assert_true(factors(gated, name)->data[0] == 0);
        }
        test_ok(f.ctx, copi_net_fold_gates(gated, 0, &folded));
        test_ok(f.ctx, cop_shrink(folded, &small, NULL));
        assert_true(apart(gated, folded) < 2e-5); /* f32, 20 layers */
        assert_true(apart(gated, small) < 2e-5);
        static const char *const removed[] = {"s1.b2.conv1", "s1.b2.conv2", "s1.b2.conv3", "s1.b2.bn1",
                                              "s1.b2.bn2",   "s1.b2.add",   "s2.b1.conv1", "s2.b1.bn2",
                                              "s2.b1.add",   "s3.b2.conv2"};
        if (blocks) gone(small, removed, (int)COPI_COUNT(removed));
        if (blocks) assert_true(copi_net_find(small, "s2.b1.proj") >= 0);
        if (next && !blocks) /* of 8 groups those at 1, 4 and 7 went, with the channels that fed them */
            for (int i = 0; i < 3; i++) {
                snprintf(name, sizeof name, "%s.conv2", which[i]);
                const copi_node *conv = &small->node[copi_net_find(small, name)];
                assert_int_equal(conv->u.conv.groups, 5);
                assert_int_equal(conv->shape[0] * 8, copi_net_find(net, name) >= 0
                                                         ? net->node[copi_net_find(net, name)].shape[0] * 5
                                                         : 0);
                assert_int_equal(small->node[conv->src[0]].shape[0], conv->shape[0]);
            }
        cop_net_destroy(small);
        cop_net_destroy(folded);
        cop_net_destroy(gated);
        cop_net_destroy(net);
    }
    teardown(&f);
}

/* -- the method -- */

static cop_method_params params(double gamma) {
    cop_method_params p = cop_method_params_default();
    p.method = "sss";
    p.sss.gamma = gamma;
    p.sss.search = little_recipe(12);
    p.sss.search.schedule = COP_SCHEDULE_CONSTANT;
    p.sss.search.rate = 2e-3;
    p.sss.retrain = little_recipe(4);
    p.sss.retrain.l1 = 1e-5;
    return p;
}

static cop_net *trained(const fixture *f, int flags) {
    cop_net *net = little_net(f->ctx, flags, 1);
    cop_recipe r = little_recipe(6);
    test_ok(f->ctx, cop_train(net, f->data, &r, NULL));
    return net;
}

static void points_of_every_threshold(void **state) {
    (void)state;
    static const double threshold[] = {0, 0.01, 0.05};
    fixture f;
    setup(&f);
    cop_net *dense = trained(&f, LITTLE_NORM), *kept = little_clone(dense), *result;
    cop_method_params p = params(0.02);
    p.sss.threshold = threshold;
    p.sss.thresholds = 3;
    seen s = {0};
    test_ok(f.ctx, cop_method_run(dense, f.data, &p, see, &s, &result));
    little_same(dense, kept);
    assert_int_equal(dense->nodes, kept->nodes);
    assert_int_equal(s.points, 3);
    little_same(result, s.net[2]);
    for (int i = 0; i < 3; i++) {
        const cop_point *q = &s.point[i];
        cop_eval e;
        assert_true(q->threshold == threshold[i] && q->level == 0.02 && isnan(q->asked));
        assert_false(isnan(q->accuracy_pruned));
        assert_true(q->accuracy_pruned == s.point[0].accuracy_pruned);
        assert_true(q->epochs == 16 && q->train_macs > 0);
        assert_int_equal(s.epochs[i], i ? 0 : 16); /* both trainings, and none since the point before */
        assert_int_equal(q->parameters, s.point[0].parameters);
        test_ok(f.ctx, cop_evaluate(s.net[i], f.data, COP_SPLIT_TEST, NULL, &e));
        assert_true(q->accuracy_test == e.accuracy);
        for (int k = 0; k < s.net[i]->params; k++) {
            const copi_param *a = &s.net[i]->param[k], *b = &s.net[0]->param[k];
            for (int64_t j = 0; j < a->count && a->kind == COPI_PARAM_WEIGHT; j++)
                assert_true(a->data[j] == ((double)fabsf(b->data[j]) <= threshold[i] ? 0 : b->data[j]));
        }
    }
    assert_true(s.point[0].parameters < 6000); /* of 9,204: structures went */
    assert_true(s.point[0].nonzero > s.point[1].nonzero && s.point[1].nonzero > s.point[2].nonzero);
    assert_true(s.point[0].accuracy_val > 0.5);
    cop_net_info info;
    cop_net_get_info(dense, &info);
    double search_macs =
        3.0 * (double)info.macs * 320 * 12; /* gates cost none; the rest was spent on the smaller net */
    assert_true(s.point[0].train_macs > search_macs && s.point[0].train_macs < search_macs * 16 / 12);
    forget(&s);
    cop_net_destroy(result);
    cop_net_destroy(kept);
    cop_net_destroy(dense);
    teardown(&f);
}

static void no_layer_is_emptied(void **state) {
    (void)state;
    fixture f;
    setup(&f);
    cop_net *dense = trained(&f, 0);
    cop_method_params p = params(100); /* nothing survives this */
    const double threshold[] = {1e5};  /* nor that */
    seen s = {0};
    p.keep = 2;
    p.sss.threshold = threshold;
    p.sss.thresholds = 1;
    test_ok(f.ctx, cop_method_run(dense, f.data, &p, see, &s, NULL));
    assert_int_equal(s.points, 1);
    const char *producer[] = {"conv1", "conv2", "dense1"};
    for (int i = 0; i < 3; i++) {
        const copi_node *n = &s.net[0]->node[copi_net_find(s.net[0], producer[i])];
        assert_int_equal(n->shape[0], 2);
        const copi_param *w = copi_node_slot(s.net[0], n, COPI_WEIGHT);
        int64_t nonzero = 0;
        for (int64_t k = 0; k < w->count; k++) nonzero += w->data[k] != 0;
        assert_int_equal(nonzero, 1); /* the largest */
    }
    assert_non_null(strstr(s.net[0]->provenance, "kept besides"));
    assert_non_null(strstr(f.hooks.warning, "factors of"));
    forget(&s);
    cop_net_destroy(dense);
    teardown(&f);
}

/* The proximal step reaches 0 exactly, the plain subgradient (the reference study's) only comes near and needs a
 * threshold; with one, both remove structures at the same gamma. */
static void apg_against_subgradient(void **state) {
    (void)state;
    fixture f;
    setup(&f);
    cop_net *dense = trained(&f, 0);
    int64_t zeros[2] = {0}, near[2] = {0};
    for (int prox = 0; prox < 2; prox++) {
        cop_net *gated;
        test_ok(f.ctx, copi_net_with_gates(dense, 1u << COP_STRUCTURE_NEURON, &gated));
        cop_method_params p = params(0.02);
        const copi_gate_rule rule = {.prox = (cop_prox)prox, .momentum = 0.9, .gamma = p.sss.gamma};
        test_ok(f.ctx, copi_fit_run(gated, f.data,
                                    &(copi_fit){.recipe = &p.sss.search, .gates = &rule, .gate_rate = 0.1}, NULL));
        for (int i = 0; i < gated->params; i++)
            for (int64_t k = 0; k < gated->param[i].count && gated->param[i].kind == COPI_PARAM_GATE; k++) {
                zeros[prox] += gated->param[i].data[k] == 0;
                near[prox] += fabsf(gated->param[i].data[k]) < 0.05f;
            }
        cop_net_destroy(gated);
    }
    assert_true(zeros[COP_PROX_APG] >= 4);
    assert_int_equal(zeros[COP_PROX_SUBGRADIENT], 0);
    assert_true(near[COP_PROX_SUBGRADIENT] >= 4);
    seen s = {0};
    for (int prox = 0; prox < 2; prox++) {
        cop_method_params p = params(0.02);
        p.sss.prox = (cop_prox)prox;
        p.sss.factor_threshold = 0.05;
        test_ok(f.ctx, cop_method_run(dense, f.data, &p, see, &s, NULL));
        assert_true(s.point[prox].parameters < 8000);
        assert_true(s.point[prox].accuracy_val > 0.5);
    }
    forget(&s);
    cop_net_destroy(dense);
    teardown(&f);
}

static void masked_instead_of_shrunk(void **state) {
    (void)state;
    fixture f;
    setup(&f);
    cop_net *dense = trained(&f, 0);
    seen s = {0};
    for (int shrink = 0; shrink < 2; shrink++) {
        cop_method_params p = params(0.02);
        p.shrink = shrink;
        p.sss.search.epochs = 8;
        p.sss.retrain.epochs = 1;
        p.sss.retrain.optimizer = COP_OPTIMIZER_SGD;
        p.sss.retrain.rate = 1e-3;
        test_ok(f.ctx, cop_method_run(dense, f.data, &p, see, &s, NULL));
    }
    assert_int_equal(s.point[0].parameters, s.point[1].parameters);
    assert_true(s.point[0].train_macs > s.point[1].train_macs);
    test_near(little_apart(s.net[0], s.net[1]), 0, 0, 1e-3);
    forget(&s);
    cop_net_destroy(dense);
    teardown(&f);
}

/* compound: sss's structures, then weights of what is left, so that the dense net's share is at zero. */
static void structures_then_weights(void **state) {
    (void)state;
    fixture f;
    setup(&f);
    cop_net *dense = trained(&f, LITTLE_NORM), *kept = little_clone(dense), *result;
    cop_method_params p = params(0.02);
    p.method = "compound";
    p.scope = "global";
    p.tune = little_recipe(4);
    p.sparsity = 0.9;
    seen s = {0};
    test_ok(f.ctx, cop_method_run(dense, f.data, &p, see, &s, &result));
    little_same(dense, kept);
    little_same(result, s.net[0]);
    assert_int_equal(s.points, 1);
    assert_true(s.point[0].level == 0.9 && s.point[0].asked == 0.9 && s.point[0].epochs == 16);
    assert_int_equal(s.epochs[0], 16);
    cop_net_info info;
    cop_net_get_info(result, &info);
    assert_true(s.point[0].sparsity == info.sparsity && info.parameters < 6000);
    assert_true(info.sparsity >= 0.9); /* more where a filter lost its last weight */
    assert_true(info.sparsity < 0.91 && s.point[0].accuracy_val > 0.5);
    assert_non_null(strstr(result->provenance, "gradual: lamp, scope global, to "));
    cop_net_destroy(result);
    forget(&s);

    p.sparsity = 0.1; /* structures alone are more: no weight need go */
    test_ok(f.ctx, cop_method_run(dense, f.data, &p, see, &s, &result));
    cop_net_get_info(result, &info);
    assert_true(info.sparsity > 0.3 && info.zeros == 0);
    cop_net_destroy(result);
    forget(&s);
    p.compound.rank = "l1-filter";
    test_fails(f.ctx, cop_method_run(dense, f.data, &p, NULL, NULL, NULL), COP_E_ARG, "rank is \"l1-filter\"");
    p.compound.rank = "lamb";
    test_fails(f.ctx, cop_method_run(dense, f.data, &p, NULL, NULL, NULL), COP_E_ARG,
               "rank is \"lamb\"; did you mean \"lamp\"?");
    p.compound.rank = "lamp";
    p.compound.first = NULL;
    test_fails(f.ctx, cop_method_run(dense, f.data, &p, NULL, NULL, NULL), COP_E_ARG,
               "first is \"\"; expected one of sss, l1-filter");
    cop_net_destroy(kept);
    cop_net_destroy(dense);
    teardown(&f);
}

/* compound that begins with a criterion: its cut, the small net's training, then weights. */
static void filters_then_weights(void **state) {
    (void)state;
    fixture f;
    setup(&f);
    cop_net *dense = trained(&f, LITTLE_NORM), *result, *cut;
    cop_method_params p = params(0);
    p.method = "compound";
    p.compound.first = "l2-filter";
    p.compound.share = 0.5;
    p.scope = "global";
    p.sss.search = little_recipe(2);
    p.tune = little_recipe(4);
    p.sparsity = 0.9;
    seen s = {0};
    test_ok(f.ctx, cop_method_run(dense, f.data, &p, see, &s, &result));
    assert_int_equal(s.points, 1);
    assert_true(s.point[0].epochs == 6 && s.epochs[0] == 6);
    cop_net_info info, cut_info;
    cop_net_get_info(result, &info);
    cop_prune_params by_half = cop_prune_params_default();
    by_half.criterion = "l2-filter";
    by_half.sparsity = 0.5;
    test_ok(f.ctx, cop_net_clone(dense, &cut));
    test_ok(f.ctx, cop_prune(cut, &by_half, NULL));
    cop_net *small;
    test_ok(f.ctx, cop_shrink(cut, &small, NULL));
    cop_net_get_info(small, &cut_info);
    assert_true(info.parameters <= cut_info.parameters); /* fewer where a filter lost its last weight */
    assert_true(cut_info.sparsity < 0.9 && fabs(info.sparsity - 0.9) < 0.001);
    assert_true(s.point[0].accuracy_val > 0.5);
    cop_net_destroy(small);
    cop_net_destroy(cut);
    cop_net_destroy(result);
    forget(&s);
    p.compound.first = "lamp";
    test_fails(f.ctx, cop_method_run(dense, f.data, &p, NULL, NULL, NULL), COP_E_ARG, "first is \"lamp\"");
    p.compound.first = "l2-filtre";
    test_fails(f.ctx, cop_method_run(dense, f.data, &p, NULL, NULL, NULL), COP_E_ARG, "did you mean \"l2-filter\"?");
    p.compound.first = "l2-filter";
    p.compound.share = 1;
    test_fails(f.ctx, cop_method_run(dense, f.data, &p, NULL, NULL, NULL), COP_E_RANGE,
               "share is 1; expected a number in [0,1)");
    cop_net_destroy(dense);
    teardown(&f);
}

static void same_seed_same_bytes_and_cancel(void **state) {
    (void)state;
    fixture f;
    setup(&f);
    cop_net *dense = trained(&f, LITTLE_DROPOUT), *net[2];
    cop_method_params p = params(0.02);
    p.sss.search.epochs = 3;
    p.sss.retrain.epochs = 1;
    for (int i = 0; i < 2; i++) test_ok(f.ctx, cop_method_run(dense, f.data, &p, NULL, NULL, &net[i]));
    little_same(net[0], net[1]);
    for (int i = 0; i < 2; i++) cop_net_destroy(net[i]);
    f.hooks.cancel_at = f.hooks.polls + 20;
    test_fails(f.ctx, cop_method_run(dense, f.data, &p, NULL, NULL, &net[0]), COP_E_CANCELLED, "sss: search: ");
    assert_null(net[0]);
    p.sss.search.optimizer = COP_OPTIMIZER_SGD;
    p.sss.search.rate = 900;
    test_fails(f.ctx, cop_method_run(dense, f.data, &p, NULL, NULL, &net[0]), COP_E_DIVERGED, "sss: ");
    cop_net_destroy(dense);
    teardown(&f);
}

/* -- gamma searched for, structures mixed -- */

/* conv1 8 - relu - two blocks of (conv 8 - norm - relu - conv 8 - norm, + shortcut, relu) - pool - dense 4 */
static cop_net *little_residual(cop_ctx *ctx) {
    cop_graph *g;
    cop_net *net;
    test_ok(ctx, cop_graph_create(ctx, &g));
    cop_conv_params conv = cop_conv_params_default(8, 3);
    for (int i = 0; i < 4; i++) conv.pad[i] = 1;
    int x = cop_graph_input(g, "image", 1, LITTLE_SIDE, LITTLE_SIDE);
    x = cop_graph_relu(g, "relu0", cop_graph_conv(g, "stem", x, &conv));
    for (int b = 1; b <= 2; b++) {
        char name[6][16];
        static const char *const part[] = {"b%d.conv1", "b%d.bn1", "b%d.relu1", "b%d.conv2", "b%d.bn2", "b%d.add"};
        for (int i = 0; i < 6; i++) snprintf(name[i], sizeof name[i], part[i], b); /* NOLINT: our own formats */
        int y = cop_graph_batchnorm(g, name[1], cop_graph_conv(g, name[0], x, &conv), 1e-5);
        y = cop_graph_conv(g, name[3], cop_graph_relu(g, name[2], y), &conv);
        x = cop_graph_add(g, name[5], cop_graph_batchnorm(g, name[4], y, 1e-5), x);
    }
    x = cop_graph_flatten(g, "flat", cop_graph_global_pool(g, "pool", cop_graph_relu(g, "last", x)));
    cop_graph_softmax(g, "softmax", cop_graph_dense(g, "dense", x, LITTLE_CLASSES, 1));
    test_ok(ctx, cop_graph_build(g, 1, &net));
    return net;
}

static void a_block_falls(void **state) {
    (void)state;
    fixture f;
    setup(&f);
    cop_net *dense = little_residual(f.ctx), *result;
    cop_recipe r = little_recipe(6);
    test_ok(f.ctx, cop_train(dense, f.data, &r, NULL));
    cop_method_params p = params(100);
    p.sss.structures = 1u << COP_STRUCTURE_BLOCK;
    seen s = {0};
    test_ok(f.ctx, cop_method_run(dense, f.data, &p, see, &s, &result));
    static const char *const blocks[] = {"b1.conv1", "b1.bn2", "b1.add", "b2.conv1", "b2.bn2", "b2.add"};
    gone(result, blocks, 6); /* at this gamma both; the shortcut stays, so nothing had to be kept */
    assert_int_equal(result->node[copi_net_find(result, "stem")].shape[0], 8);
    assert_null(strstr(result->provenance, "kept besides"));
    assert_int_equal(s.point[0].parameters, 8 * 9 + 8 + 8 * 4 + 4);
    assert_true(s.point[0].sparsity > 0.9);
    forget(&s);
    cop_net_destroy(result);
    p.sss.structures = 1u << COP_STRUCTURE_GROUP;
    test_fails(f.ctx, cop_method_run(dense, f.data, &p, NULL, NULL, &result), COP_E_REFUSED,
               "no grouped convolution");
    p.sss.structures = 0;
    test_fails(f.ctx, cop_method_run(dense, f.data, &p, NULL, NULL, &result), COP_E_RANGE, "scope is 0");
    cop_net_destroy(dense);
    teardown(&f);
}

static void gamma_is_found(void **state) {
    (void)state;
    static const struct {
        cop_target target;
        double reach, gamma;
    } aims[] = {{COP_TARGET_SPARSITY, 0.6, 1e-5}, {COP_TARGET_MACS, 0.5, 1}, {COP_TARGET_PARAMETERS, 5000, 0.01}};
    fixture f;
    setup(&f);
    cop_net *dense = trained(&f, LITTLE_NORM);
    cop_net_info d;
    cop_net_get_info(dense, &d);
    for (int i = 0; i < 3; i++) {
        cop_method_params p = params(aims[i].gamma);
        p.sss.search.epochs = 8;
        p.sss.retrain.epochs = 1;
        p.sss.target = aims[i].target;
        p.sss.reach = aims[i].reach;
        p.sss.tries = 14;
        p.sss.cost_aware = i == 1;
        seen s = {0};
        test_ok(f.ctx, cop_method_run(dense, f.data, &p, see, &s, NULL));
        const cop_point *q = &s.point[0];
        if (i == 0) assert_true(q->sparsity >= 0.6 && q->asked == 0.6);
        if (i == 1) assert_true((double)q->macs <= 0.5 * (double)d.macs && isnan(q->asked));
        if (i == 2) assert_true(q->parameters <= 5000);
        assert_true(q->level != aims[i].gamma || i == 2);
        assert_true(q->epochs > 8 + 1); /* every try is paid for */
        assert_non_null(strstr(s.net[0]->provenance, i == 1 ? " by MACs, rate" : "gamma"));
        forget(&s);
    }
    cop_method_params p = params(1e-9);
    p.sss.search.epochs = 0.1;
    p.sss.target = COP_TARGET_MACS;
    p.sss.reach = 0.01;
    p.sss.tries = 2;
    test_fails(f.ctx, cop_method_run(dense, f.data, &p, NULL, NULL, NULL), COP_E_REFUSED,
               "2 tries of gamma, the last 4e-09, leave 100.00 % of the MACs; at most 1.00 % may stay");
    p.sss.gamma = 0;
    test_fails(f.ctx, cop_method_run(dense, f.data, &p, NULL, NULL, NULL), COP_E_RANGE, "gamma is 0");
    p.sss.target = COP_TARGET_SPARSITY;
    p.sss.reach = 1;
    test_fails(f.ctx, cop_method_run(dense, f.data, &p, NULL, NULL, NULL), COP_E_RANGE, "sparsity is 1");
    cop_net_destroy(dense);
    teardown(&f);
}

/* The engine takes gamma times the structure's cost: what is dear falls first. */
static void dear_structures_fall_first(void **state) {
    (void)state;
    fixture f;
    setup(&f);
    cop_net *gated = gated_net(&f, 0);
    double *cost;
    test_ok(f.ctx, copi_net_gate_costs(gated, &cost));
    const copi_gate_rule rule = {.prox = COP_PROX_APG, .momentum = 0, .gamma = 1e-2, .cost = cost};
    cop_recipe r = little_recipe(0.1); /* one step, in which the weights' gradient is the same for any gamma */
    cop_net *plain = little_clone(gated);
    const copi_gate_rule even = {.prox = COP_PROX_APG, .momentum = 0, .gamma = 1e-2};
    test_ok(f.ctx, copi_fit_run(gated, f.data, &(copi_fit){.recipe = &r, .gates = &rule, .gate_rate = 0.1}, NULL));
    test_ok(f.ctx, copi_fit_run(plain, f.data, &(copi_fit){.recipe = &r, .gates = &even, .gate_rate = 0.1}, NULL));
    const char *const producer[] = {"conv1", "dense1"};
    for (int i = 0; i < 2; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s.gate_op", producer[i]);
        double c = cost[copi_net_find(gated, name)], eta = cop_schedule_rate(&r, 0, 1, 10) / r.rate * 0.1;
        assert_true(i ? c < 0.5 : c > 1.5);
        for (int64_t u = 0; u < factors(gated, producer[i])->count; u++) {
            double less = (double)factors(plain, producer[i])->data[u] - (double)factors(gated, producer[i])->data[u];
            test_near(less, eta * 1e-2 * (c - 1), 0, 1e-6);
        }
    }
    copi_free(f.ctx, cost);
    cop_net_destroy(plain);
    cop_net_destroy(gated);
    teardown(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_forms_agree),
        cmocka_unit_test(engine_steps_are_the_stored_form),
        cmocka_unit_test(useless_factor_falls_in_time),
        cmocka_unit_test(folded_and_removed_equals_gated),
        cmocka_unit_test(whole_structures_go),
        cmocka_unit_test(mended_factors),
        cmocka_unit_test(a_block_falls),
        cmocka_unit_test(gamma_is_found),
        cmocka_unit_test(dear_structures_fall_first),
        cmocka_unit_test(points_of_every_threshold),
        cmocka_unit_test(no_layer_is_emptied),
        cmocka_unit_test(apg_against_subgradient),
        cmocka_unit_test(masked_instead_of_shrunk),
        cmocka_unit_test(structures_then_weights),
        cmocka_unit_test(filters_then_weights),
        cmocka_unit_test(same_seed_same_bytes_and_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
