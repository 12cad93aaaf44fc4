/* Criterion methods and controls against the same done by hand: pruned, trained and measured step by step. */
#include "seen.h"

typedef struct fixture {
    little_hooks hooks;
    cop_ctx *ctx;
    cop_data *data;
    cop_net *dense, *kept; /* kept: a copy, to see that dense is left alone */
} fixture;

static void setup(fixture *f, int flags) {
    f->ctx = little_ctx(&f->hooks);
    f->data = little_data(f->ctx);
    f->dense = little_net(f->ctx, flags, 1);
    cop_recipe r = little_recipe(4);
    test_ok(f->ctx, cop_train(f->dense, f->data, &r, NULL));
    f->kept = little_clone(f->dense);
}
static void teardown(fixture *f) {
    little_same(f->dense, f->kept);
    for (int i = 0; i < f->dense->params; i++) assert_null(f->dense->param[i].mask);
    assert_string_equal(f->dense->provenance, f->kept->provenance);
    cop_net_destroy(f->kept);
    cop_net_destroy(f->dense);
    cop_data_destroy(f->data);
    cop_ctx_destroy(f->ctx);
}

static double accuracy(const fixture *f, const cop_net *net, cop_split split) {
    cop_eval e;
    test_ok(f->ctx, cop_evaluate(net, f->data, split, NULL, &e));
    return e.accuracy;
}

static cop_method_params params(const char *method, double sparsity, int rounds) {
    cop_method_params p = cop_method_params_default();
    p.method = method;
    p.sparsity = sparsity;
    p.rounds = rounds;
    p.tune = little_recipe(1);
    p.tune.rate = 1e-3;
    return p;
}

static void check_figures(const fixture *f, const cop_point *p, const cop_net *net) {
    cop_net_info info;
    cop_net_get_info(net, &info);
    assert_true(p->accuracy_val == accuracy(f, net, COP_SPLIT_VALIDATION));
    assert_true(p->accuracy_test == accuracy(f, net, COP_SPLIT_TEST));
    assert_true(p->sparsity == info.sparsity && p->sparsity_conv == info.sparsity_conv &&
                p->sparsity_dense == info.sparsity_dense);
    assert_int_equal(p->parameters, info.parameters);
    assert_int_equal(p->nonzero, info.nonzero);
    assert_int_equal(p->macs, info.macs);
    assert_int_equal(p->macs_effective, info.macs_effective);
    assert_true(isnan(p->threshold));
}

static int64_t rank_of(const float *x, int64_t n, int64_t at) { /* by magnitude; ties go to the lower index */
    int64_t rank = 0;
    for (int64_t i = 0; i < n; i++) rank += fabsf(x[i]) < fabsf(x[at]) || (i < at && fabsf(x[i]) == fabsf(x[at]));
    return rank;
}

static void magnitude_one_shot(void **state) {
    (void)state;
    fixture f;
    setup(&f, 0);
    seen s = {0};
    cop_net *result;
    cop_method_params p = params("magnitude", 0.7, 0);
    test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, see, &s, &result));
    assert_int_equal(s.points, 1);
    const cop_point *point = &s.point[0];
    assert_int_equal(point->round, 0);
    assert_true(point->level == 0.7 && point->asked == 0.7 && isnan(point->accuracy_pruned));
    assert_true(point->epochs == 0 && point->seconds == 0 && point->train_macs == 0);
    assert_int_equal(s.epochs[0], 0);
    check_figures(&f, point, result);
    int64_t zeros = 0, all = 0;
    for (int i = 0; i < result->params; i++) {
        const copi_param *q = &result->param[i], *d = &f.dense->param[i];
        int64_t gone = q->kind == COPI_PARAM_WEIGHT ? (int64_t)(0.7 * (double)q->count + 1e-6) : 0;
        for (int64_t k = 0; k < q->count; k++)
            assert_true(q->data[k] == (gone && rank_of(d->data, d->count, k) < gone ? 0 : d->data[k]));
        zeros += gone;
        all += q->count;
    }
    test_near(point->sparsity, (double)zeros / (double)all, 1e-12, 0);
    cop_net_destroy(result);
    forget(&s);
    teardown(&f);
}

/* Three rounds by the cubic pace, replayed: every round's net is the same to the byte. */
static void rounds_by_hand(void **state) {
    (void)state;
    static const char *const methods[] = {"magnitude", "lamp", "random"};
    fixture f;
    setup(&f, LITTLE_NORM);
    for (size_t m = 0; m < COPI_COUNT(methods); m++) {
        seen s = {0};
        cop_method_params p = params(methods[m], 0.8, 3);
        p.pace = COP_PACE_CUBIC;
        p.scope = m ? "global" : "layer";
        p.seed = 5;
        test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, see, &s, NULL));
        assert_int_equal(s.points, 3);
        cop_net *net = little_clone(f.dense);
        for (int r = 1; r <= 3; r++) {
            const cop_point *point = &s.point[r - 1];
            cop_prune_params cut = cop_prune_params_default();
            cut.criterion = p.method;
            cut.scope = p.scope;
            cut.seed = p.seed;
            cut.sparsity = r < 3 ? 0.8 * (1 - pow(1 - r / 3.0, 3)) : 0.8;
            test_ok(f.ctx, cop_prune(net, &cut, NULL));
            test_ok(f.ctx, copi_recalibrate(net, f.data, COPI_SETTLE_IMAGES, true));
            assert_int_equal(point->round, r);
            test_near(point->level, cut.sparsity, 1e-12, 0);
            assert_true(point->asked == 0.8);
            assert_true(point->accuracy_pruned == accuracy(&f, net, COP_SPLIT_VALIDATION));
            cop_recipe tune = p.tune;
            tune.seed = p.tune.seed + (uint64_t)r - 1;
            test_ok(f.ctx, cop_train(net, f.data, &tune, NULL));
            test_ok(f.ctx, copi_recalibrate(net, f.data, COPI_SETTLE_IMAGES, true));
            little_same(net, s.net[r - 1]);
            check_figures(&f, point, net);
            assert_true(point->epochs == r && point->seconds > 0);
            cop_net_info info;
            cop_net_get_info(net, &info);
            test_near(point->train_macs, 3.0 * (double)info.macs * 320 * r, 1e-12, 0);
            assert_int_equal(s.epochs[r - 1], 1);
        }
        assert_true(s.point[2].sparsity > 0.75);
        cop_net_destroy(net);
        forget(&s);
    }
    teardown(&f);
}

/* The filters of lowest norm are gone, physically, and the rest is what it was. */
static void filters_and_neurons_one_shot(void **state) {
    (void)state;
    static const struct {
        const char *method, *layer;
    } cases[] = {{"l1-filter", "conv1"}, {"l2-filter", "conv2"}, {"l2-neuron", "dense1"}};
    fixture f;
    setup(&f, 0);
    for (size_t c = 0; c < COPI_COUNT(cases); c++) {
        seen s = {0};
        cop_method_params p = params(cases[c].method, 0.5, 0);
        test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, see, &s, NULL));
        assert_int_equal(s.points, 1);
        const cop_net *net = s.net[0];
        check_figures(&f, &s.point[0], net);
        const copi_node *before = &f.dense->node[copi_net_find(f.dense, cases[c].layer)];
        const copi_node *after = &net->node[copi_net_find(net, cases[c].layer)];
        const copi_param *w = copi_node_slot(f.dense, before, COPI_WEIGHT),
                         *b = copi_node_slot(f.dense, before, COPI_BIAS);
        int64_t units = w->shape[0], each = w->count / units, at = 0;
        float norm[16] = {0};
        for (int64_t i = 0; i < w->count; i++) norm[i / each] += c == 0 ? fabsf(w->data[i]) : w->data[i] * w->data[i];
        assert_int_equal(after->shape[0], units / 2);
        for (int64_t u = 0; u < units; u++)
            if (rank_of(norm, units, u) >= units / 2)
                assert_true(copi_node_slot(net, after, COPI_BIAS)->data[at++] == b->data[u]);
        assert_int_equal(at, units / 2);
        assert_true(net->node[net->nodes - 1].shape[0] == LITTLE_CLASSES);
        forget(&s);
    }
    teardown(&f);
}

/* Elementwise optimizers have no cross-talk: the shrunk net learns what the masked one does, for fewer MACs. */
static void shrunk_learns_what_masked_learns(void **state) {
    (void)state;
    static const struct {
        const char *method;
        cop_optimizer optimizer;
        int flags;
    } cases[] = {{"l1-filter", COP_OPTIMIZER_SGD, LITTLE_NORM},
                 {"l2-filter", COP_OPTIMIZER_ADAM, 0},
                 {"l2-neuron", COP_OPTIMIZER_ADAMW, 0},
                 {"fpgm", COP_OPTIMIZER_SGD, 0}};
    for (size_t c = 0; c < COPI_COUNT(cases); c++) {
        fixture f;
        setup(&f, cases[c].flags);
        cop_method_params p = params(cases[c].method, 0.5, 2);
        p.pace = COP_PACE_LINEAR;
        p.tune.optimizer = cases[c].optimizer;
        seen small = {0}, masked = {0};
        test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, see, &small, NULL));
        p.shrink = 0;
        test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, see, &masked, NULL));
        assert_int_equal(small.points, 2);
        assert_int_equal(masked.points, 2);
        for (int r = 0; r < 2; r++) {
            const cop_point *a = &small.point[r], *b = &masked.point[r];
            assert_true(a->accuracy_pruned == b->accuracy_pruned || r == 1);
            assert_int_equal(a->parameters, b->parameters);
            assert_int_equal(a->macs, b->macs);
            assert_true(a->sparsity == b->sparsity && a->sparsity > 0);
            assert_true(a->train_macs < b->train_macs);
            assert_true(a->epochs == b->epochs);
            /* probabilities after 20 steps each of which rounds sums of up to 128 products its own way */
            test_near(little_apart(small.net[r], masked.net[r]), 0, 0, 2e-3);
        }
        forget(&small);
        forget(&masked);
        teardown(&f);
    }
}

/* shrink folds a unit that only gives its bias into the next layer. Put back, it must not count twice. */
static void folded_constants_are_put_back_once(void **state) {
    (void)state;
    fixture f;
    setup(&f, 0);
    copi_node *n = &f.dense->node[copi_net_find(f.dense, "dense1")];
    copi_param *w = copi_node_slot(f.dense, n, COPI_WEIGHT);
    for (int64_t k = 0; k < w->count / w->shape[0]; k++) w->data[k] = 0;
    copi_node_slot(f.dense, n, COPI_BIAS)->data[0] = 2;
    cop_net_destroy(f.kept);
    f.kept = little_clone(f.dense);
    cop_method_params p = params("l1-filter", 0.5, 3);
    p.pace = COP_PACE_LINEAR;
    p.tune.rate = 0; /* nothing is learned, so the masks alone decide */
    seen small = {0}, masked = {0};
    test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, see, &small, NULL));
    p.shrink = 0;
    test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, see, &masked, NULL));
    for (int r = 0; r < 3; r++) test_near(little_apart(small.net[r], masked.net[r]), 0, 0, 1e-5);
    forget(&small);
    forget(&masked);
    teardown(&f);
}

/* All at the first step, gradual is one round; spread over the training it cuts as often as the cubic says, never
 * takes back, ends at what was asked and leaves only its own note. */
static void gradual_within_training(void **state) {
    (void)state;
    fixture f;
    setup(&f, 0);
    cop_method_params p = params("lamp", 0.9, 1);
    p.scope = "global";
    p.tune = little_recipe(4);
    cop_net *once, *gradual;
    test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, NULL, NULL, &once));
    p.pace = COP_PACE_GRADUAL;
    p.gradual.begin = p.gradual.end = 0;
    test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, NULL, NULL, &gradual));
    little_same(once, gradual);
    cop_net_destroy(gradual);

    p.gradual.end = 0.7;
    seen s = {0};
    test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, see, &s, &gradual));
    assert_int_equal(s.points, 1);
    assert_true(s.point[0].round == 1 && s.point[0].level == 0.9 && isnan(s.point[0].accuracy_pruned));
    assert_int_equal(s.epochs[0], 4);
    check_figures(&f, &s.point[0], gradual);
    cop_net_info a, b;
    cop_net_get_info(once, &a);
    cop_net_get_info(gradual, &b);
    assert_true(b.zeros >= a.zeros && b.sparsity < 0.9);
    assert_memory_not_equal(once->block, gradual->block, once->block_count * sizeof *once->block);
    assert_non_null(strstr(gradual->provenance, "gradual: lamp, scope global, to 0.9 along a cubic from 0 to 0.7"));
    assert_null(strstr(gradual->provenance, "prune:"));
    forget(&s);
    cop_net_destroy(gradual);

    p.tune.average = 0.9; /* averages reach back to when more lived */
    test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, NULL, NULL, &gradual));
    cop_net_get_info(gradual, &b);
    assert_true(b.zeros >= a.zeros);
    p.tune.average = 0;
    cop_net_destroy(gradual);
    cop_net_destroy(once);

    p.method = "lamp-macs"; /* whatever the weights have become, the last cut leaves no more MACs than asked */
    p.macs = 0.06;
    test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, NULL, NULL, &gradual));
    cop_net_get_info(gradual, &b);
    assert_true(b.macs_effective <= 0.06 * (double)b.macs_dense && b.macs_effective < a.macs_effective);
    assert_true(b.zeros >= a.zeros);
    cop_net_destroy(gradual);
    p.scope = "layer";
    test_fails(f.ctx, cop_method_run(f.dense, f.data, &p, NULL, NULL, NULL), COP_E_ARG, "macs has no effect on lamp");
    p.macs = 0;

    p.rounds = 2;
    test_fails(f.ctx, cop_method_run(f.dense, f.data, &p, NULL, NULL, NULL), COP_E_RANGE,
               "within one training, so use 1");
    p.rounds = 1;
    p.gradual.begin = 0.8;
    test_fails(f.ctx, cop_method_run(f.dense, f.data, &p, NULL, NULL, NULL), COP_E_RANGE,
               "begin is 0.8 and end is 0.7");
    p.gradual.begin = 0;
    p.tune.max_seconds = 9;
    test_fails(f.ctx, cop_method_run(f.dense, f.data, &p, NULL, NULL, NULL), COP_E_ARG, "max_seconds is 9");
    p.tune.max_seconds = 0;
    p.tune.epochs = 0;
    test_fails(f.ctx, cop_method_run(f.dense, f.data, &p, NULL, NULL, NULL), COP_E_RANGE, "tune: epochs is 0");
    p.tune.epochs = 1; /* weights that are no numbers by the time of a cut: a training that diverged */
    p.tune.optimizer = COP_OPTIMIZER_SGD;
    p.gradual.begin = p.gradual.end = 0.6;
    for (p.tune.rate = 25; p.tune.rate < 100; p.tune.rate *= 1.05) { /* at some of them the loss is still a number */
        cop_status status = cop_method_run(f.dense, f.data, &p, NULL, NULL, NULL);
        assert_true(status == COP_OK || status == COP_E_DIVERGED);
    }
    p = params("l1-filter", 0.5, 1);
    p.pace = COP_PACE_GRADUAL;
    test_fails(f.ctx, cop_method_run(f.dense, f.data, &p, NULL, NULL, NULL), COP_E_ARG,
               "pace gradual is for weights");
    teardown(&f);
}

/* Share of the kernel weights that both nets keep or both let go. */
static double agreement(const cop_net *a, const cop_net *b) {
    int64_t same = 0, all = 0;
    for (int i = 0; i < a->params; i++) {
        if (a->param[i].kind != COPI_PARAM_WEIGHT) continue;
        for (int64_t k = 0; k < a->param[i].count; k++) {
            same += (a->param[i].data[k] != 0) == (b->param[i].data[k] != 0);
            all++;
        }
    }
    return (double)same / (double)all;
}

/* Adam's second moments stand for the squares that a look at the data gives; SGD, which has none, looks at the data.
 * Nothing is learned here, so that both rank the same weights. */
static void fisher_within_training(void **state) {
    (void)state;
    static const char *const criteria[] = {"fisher", "fisher-root"};
    fixture f;
    setup(&f, 0);
    cop_net *by_magnitude, *moments[COPI_COUNT(criteria)];
    cop_method_params p = params("magnitude", 0.7, 1);
    p.scope = "global";
    p.tune = little_recipe(4);
    p.tune.rate = 0;
    p.tune.decay = 0;
    test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, NULL, NULL, &by_magnitude));
    p.gradual.begin = p.gradual.end = 0.5;
    for (size_t i = 0; i < COPI_COUNT(criteria); i++) {
        cop_net *once, *looked;
        p.method = criteria[i];
        p.pace = COP_PACE_ONE_SHOT;
        test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, NULL, NULL, &once));
        p.pace = COP_PACE_GRADUAL;
        p.tune.optimizer = COP_OPTIMIZER_SGD;
        test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, NULL, NULL, &looked));
        little_same(once, looked);
        p.tune.optimizer = COP_OPTIMIZER_ADAMW;
        test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, NULL, NULL, &moments[i]));
        double expected = agreement(once, moments[i]);
        assert_true(expected > 0.9);
        assert_true(expected > agreement(moments[i], by_magnitude));
        cop_net_destroy(once);
        cop_net_destroy(looked);
    }
    assert_true(agreement(moments[0], by_magnitude) < 0.85);
    assert_true(agreement(moments[0], by_magnitude) < agreement(moments[1], by_magnitude)); /* the root holds back */
    cop_net_destroy(moments[0]);
    cop_net_destroy(moments[1]);
    cop_net_destroy(by_magnitude);
    teardown(&f);
}

static void dense_longer_is_training(void **state) {
    (void)state;
    fixture f;
    setup(&f, LITTLE_DROPOUT);
    seen s = {0};
    cop_method_params p = params("dense-longer", 0, 2);
    test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, see, &s, NULL));
    assert_int_equal(s.points, 2);
    cop_net *net = little_clone(f.dense);
    for (int r = 1; r <= 2; r++) {
        cop_recipe tune = p.tune;
        tune.seed += (uint64_t)r - 1;
        test_ok(f.ctx, cop_train(net, f.data, &tune, NULL));
        little_same(net, s.net[r - 1]);
        assert_true(s.point[r - 1].sparsity == 0 && s.point[r - 1].epochs == r);
        check_figures(&f, &s.point[r - 1], net);
    }
    cop_net_destroy(net);
    forget(&s);
    p.rounds = 0; /* is one round */
    test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, see, &s, NULL));
    assert_int_equal(s.points, 1);
    assert_true(s.point[0].epochs == 1);
    forget(&s);
    teardown(&f);
}

static void random_by_seed(void **state) {
    (void)state;
    fixture f;
    setup(&f, 0);
    cop_net *net[3];
    for (int i = 0; i < 3; i++) {
        cop_method_params p = params("random", 0.5, 0);
        p.seed = i < 2 ? 3 : 4;
        test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, NULL, NULL, &net[i]));
    }
    little_same(net[0], net[1]);
    assert_memory_not_equal(net[0]->block, net[2]->block, net[0]->block_count * sizeof(float));
    for (int i = 0; i < 3; i++) cop_net_destroy(net[i]);
    teardown(&f);
}

static void further_criteria(void **state) {
    (void)state;
    static const char *const methods[] = {"taylor", "bn-scale", "fpgm", "random-filter", "random-neuron"};
    fixture f;
    setup(&f, LITTLE_NORM);
    for (size_t m = 0; m < COPI_COUNT(methods); m++) {
        seen s = {0};
        cop_method_params p = params(methods[m], 0.25, 1);
        test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, see, &s, NULL));
        assert_int_equal(s.points, 1);
        assert_true(s.point[0].parameters < 10000 && s.point[0].sparsity > 0.01);
        assert_true(s.point[0].accuracy_val > 0.5); /* chance is .25 */
        forget(&s);
    }
    teardown(&f);
}

static void ends_before_its_end(void **state) {
    (void)state;
    fixture f;
    setup(&f, 0);
    seen s = {.stop_after = 2};
    cop_net *result;
    cop_method_params p = params("magnitude", 0.6, 4);
    test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, see, &s, &result)); /* stopped by on_point: no error */
    assert_int_equal(s.points, 2);
    little_same(result, s.net[1]);
    cop_net_destroy(result);
    forget(&s);
    f.hooks.cancel_at = f.hooks.polls + 18; /* in the second round */
    test_fails(f.ctx, cop_method_run(f.dense, f.data, &p, see, &s, &result), COP_E_CANCELLED, "magnitude: ");
    assert_null(result);
    assert_int_equal(s.points, 1);
    forget(&s);
    p.tune.optimizer = COP_OPTIMIZER_SGD;
    p.tune.schedule = COP_SCHEDULE_CONSTANT;
    p.tune.rate = 900;
    test_fails(f.ctx, cop_method_run(f.dense, f.data, &p, see, &s, &result), COP_E_DIVERGED, "magnitude: ");
    assert_null(result);
    assert_int_equal(s.points, 0);
    forget(&s);
    p = params("l1-filter", 0.9,
               3); /* the third round would leave 1 of 8; keep wants 2, and no filter of .9 n does */
    p.pace = COP_PACE_LINEAR;
    p.keep = 2;
    test_fails(f.ctx, cop_method_run(f.dense, f.data, &p, see, &s, &result), COP_E_REFUSED, "l1-filter: ");
    assert_int_equal(s.points, 2);
    forget(&s);
    teardown(&f);
}

static void without_validation_or_test(void **state) {
    (void)state;
    fixture f;
    setup(&f, 0);
    cop_data *data = little_data_at(f.ctx, 100, 20, 0, 1);
    seen s = {0};
    cop_method_params p = params("magnitude", 0.5, 1);
    test_ok(f.ctx, cop_method_run(f.dense, data, &p, see, &s, NULL));
    assert_true(isnan(s.point[0].accuracy_val) && isnan(s.point[0].accuracy_pruned));
    assert_false(isnan(s.point[0].accuracy_test));
    forget(&s);
    cop_data_destroy(data);
    teardown(&f);
}

/* Network Slimming, replayed: L1 on the scales, the smallest go, the rest is tuned. */
static void scales_are_made_sparse(void **state) {
    (void)state;
    fixture f;
    setup(&f, LITTLE_NORM);
    seen s = {0};
    cop_method_params p = params("bn-scale", 0.5, 1);
    p.sparsify = little_recipe(4);
    p.sparsify.optimizer = COP_OPTIMIZER_SGD;
    p.sparsify.rate = 0.02;
    p.sparsify.schedule = COP_SCHEDULE_CONSTANT;
    p.sparsify.l1_scale = 0.03;
    test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, see, &s, NULL));
    assert_int_equal(s.points, 1);
    assert_int_equal(s.epochs[0], 5); /* both trainings */
    assert_true(s.point[0].epochs == 5);

    cop_net *net = little_clone(f.dense), *small;
    cop_recipe r = p.sparsify;
    test_ok(f.ctx, cop_train(net, f.data, &r, NULL));
    test_ok(f.ctx, copi_recalibrate(net, f.data, COPI_SETTLE_IMAGES, true));
    double before = 0, after = 0;
    for (int i = 0; i < net->params; i++)
        for (int64_t k = 0; net->param[i].kind == COPI_PARAM_SCALE && k < net->param[i].count; k++) {
            before += fabs((double)f.dense->param[i].data[k]);
            after += fabs((double)net->param[i].data[k]);
        }
    /* 40 steps, rate 0.02, momentum 0.9: each scale falls by up to 0.02 * 0.03 / 0.1 a step */
    assert_true(after < 0.95 * before);
    cop_prune_params cut = cop_prune_params_default();
    cut.criterion = "bn-scale";
    cut.sparsity = 0.5;
    test_ok(f.ctx, cop_prune(net, &cut, NULL));
    test_ok(f.ctx, cop_shrink(net, &small, NULL));
    test_ok(f.ctx, copi_recalibrate(small, f.data, COPI_SETTLE_IMAGES, true));
    test_ok(f.ctx, cop_train(small, f.data, &p.tune, NULL));
    test_ok(f.ctx, copi_recalibrate(small, f.data, COPI_SETTLE_IMAGES, true));
    little_same(small, s.net[0]);
    cop_net_destroy(small);
    cop_net_destroy(net);
    forget(&s);
    teardown(&f);
}

/* The same structure, other weights, as many training MACs as the dense net and the tuning took. */
static void scratch_spends_as_much(void **state) {
    (void)state;
    static const struct {
        const char *method;
        cop_pace pace;
        bool weights;
        int rounds;
    } rows[] = {{"l2-filter", COP_PACE_ONE_SHOT, false, 1}, {"l2-filter", COP_PACE_LINEAR, false, 2},
                {"sss", COP_PACE_ONE_SHOT, false, 1},       {"magnitude", COP_PACE_ONE_SHOT, true, 1},
                {"magnitude", COP_PACE_CUBIC, true, 2},     {"fisher-root", COP_PACE_GRADUAL, true, 1}};
    fixture f;
    setup(&f, LITTLE_NORM);
    cop_net_info dense;
    cop_net_get_info(f.dense, &dense);
    for (size_t k = 0; k < COPI_COUNT(rows); k++) {
        seen s = {0}, like = {0};
        cop_method_params p = params(rows[k].method, 0.5, rows[k].rounds);
        bool sss = strcmp(p.method, "sss") == 0;
        p.pace = rows[k].pace;
        p.sss.gamma = 0.02;
        p.tune = p.sss.retrain = little_recipe(4);
        p.sss.search = little_recipe(12); /* long enough for factors to reach 0 */
        test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, see, &like, NULL));
        p.scratch.like = p.method;
        p.method = "scratch";
        p.scratch.recipe = little_recipe(4);
        test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, see, &s, NULL));
        assert_int_equal(s.points, 1);
        const cop_point *a = &like.point[like.points - 1], *b = &s.point[0];
        assert_int_equal(a->parameters, b->parameters);
        assert_int_equal(a->macs, b->macs);
        assert_true(a->macs_effective < dense.macs);
        assert_int_equal(a->macs_effective, b->macs_effective);
        assert_int_equal(b->parameters, s.net[0]->dense_parameters - (dense.parameters - a->parameters));
        for (int i = 0; i < s.net[0]->params; i++) {
            const copi_param *fresh = &s.net[0]->param[i], *old = &like.net[like.points - 1]->param[i];
            assert_true(!fresh->mask == !old->mask &&
                        (fresh->kind != COPI_PARAM_WEIGHT || rows[k].weights == !!fresh->mask));
            if (fresh->mask && rows[k].rounds == 1) assert_memory_equal(fresh->mask, old->mask, (size_t)fresh->count);
            /* all entries are new, but for zeros and ones that begin anew */
            for (int64_t e = 0; fresh->kind == COPI_PARAM_WEIGHT && e < fresh->count; e++)
                assert_true(fresh->mask && !fresh->mask[e] ? fresh->data[e] == 0 : fresh->data[e] != old->data[e]);
        }
        /* to a step of the small net */
        double spent = a->train_macs + 3.0 * (double)dense.macs * 320 * 4;
        test_near(b->train_macs, spent, 0, 3.0 * (double)b->macs * 32);
        assert_true(b->epochs > 5 && b->accuracy_val > 0.5);
        assert_true(sss ? isnan(b->asked) && b->level == 0.02 : b->asked == 0.5 && b->level == 0.5);
        char note[64];
        snprintf(note, sizeof note, "the structure of %s, new weights", p.scratch.like);
        assert_non_null(strstr(s.net[0]->provenance, note));
        forget(&s);
        forget(&like);
    }
    teardown(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(magnitude_one_shot),
        cmocka_unit_test(scales_are_made_sparse),
        cmocka_unit_test(scratch_spends_as_much),
        cmocka_unit_test(rounds_by_hand),
        cmocka_unit_test(filters_and_neurons_one_shot),
        cmocka_unit_test(shrunk_learns_what_masked_learns),
        cmocka_unit_test(folded_constants_are_put_back_once),
        cmocka_unit_test(gradual_within_training),
        cmocka_unit_test(fisher_within_training),
        cmocka_unit_test(dense_longer_is_training),
        cmocka_unit_test(random_by_seed),
        cmocka_unit_test(further_criteria),
        cmocka_unit_test(ends_before_its_end),
        cmocka_unit_test(without_validation_or_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
