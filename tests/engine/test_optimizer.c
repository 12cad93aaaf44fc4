/* The optimizers against their formulas in double precision, and masks: what is masked is 0, bit for bit, through a
 * thousand steps of each. */
#include "compare.h"
#include "engine/plan.h"

/* Channel counts that fill no block of oneDNN's layouts; batch-norm, so that scale and shift are there. */
static cop_net *odd_net(cop_ctx *ctx, bool norm) {
    cop_graph *g;
    test_ok(ctx, cop_graph_create(ctx, &g));
    cop_conv_params p = cop_conv_params_default(5, 3), q = cop_conv_params_default(17, 3);
    int x = cop_graph_conv(g, "conv1", cop_graph_input(g, "input", 3, 6, 6), &p);
    if (norm) x = cop_graph_batchnorm(g, "norm", x, 1e-5);
    x = cop_graph_conv(g, "conv2", cop_graph_relu(g, "relu1", x), &q);
    x = cop_graph_flatten(g, "flatten", cop_graph_relu(g, "relu2", x));
    x = cop_graph_relu(g, "relu3", cop_graph_dense(g, "dense1", x, 13, 1));
    cop_graph_dense(g, "dense2", x, 3, 1);
    cop_net *net;
    test_ok(ctx, cop_graph_build(g, 1, &net));
    test_net_fill(net, 1);
    return net;
}

static const cop_recipe rules[] = {
    {.optimizer = COP_OPTIMIZER_SGD,
     .momentum = 0.9,
     .decay = 1e-2,
     .l1 = 1e-3,
     .l1_scale = 4e-3,
     .l2 = 2e-3,
     .l2_conv = 3e-3,
     .average = 0.99},
    {.optimizer = COP_OPTIMIZER_SGD, .momentum = 0, .average = 0.5},
    {.optimizer = COP_OPTIMIZER_ADAM,
     .beta1 = 0.9,
     .beta2 = 0.99,
     .epsilon = 1e-6,
     .decay = 1e-2,
     .l1 = 1e-3,
     .l2 = 2e-3,
     .l2_conv = 3e-3},
    {.optimizer = COP_OPTIMIZER_ADAMW,
     .beta1 = 0.9,
     .beta2 = 0.999,
     .epsilon = 1e-8,
     .decay = 5e-2,
     .l1_scale = 4e-3,
     .l1 = 1e-3,
     .l2 = 2e-3,
     .l2_conv = 3e-3},
};

typedef struct track {
    double *w, *m, *v, *a;
    float *g;
} track; /* of one parameter */

/* One step by the definition. Kernels get decay and penalties, conv kernels l2_conv too, batch-norm scales
 * l1_scale. */
static void reference_step(const cop_net *net, const copi_param *param, const cop_recipe *o, double rate, int64_t t,
                           track *k) {
    bool kernel = param->kind == COPI_PARAM_WEIGHT, conv = kernel && net->node[param->node].op == COPI_OP_CONV;
    for (int64_t i = 0; i < param->count; i++) {
        double w = k->w[i], d = k->g[i];
        if (kernel) {
            d += o->l1 * ((w > 0) - (w < 0)) + 2 * (o->l2 + (conv ? o->l2_conv : 0)) * w;
            if (o->optimizer != COP_OPTIMIZER_ADAMW) d += o->decay * w;
        }
        if (param->kind == COPI_PARAM_SCALE) d += o->l1_scale * ((w > 0) - (w < 0));
        if (o->optimizer == COP_OPTIMIZER_SGD) {
            k->m[i] = o->momentum * k->m[i] + d;
            k->w[i] = w - rate * (d + o->momentum * k->m[i]);
            continue;
        }
        k->m[i] = o->beta1 * k->m[i] + (1 - o->beta1) * d;
        k->v[i] = o->beta2 * k->v[i] + (1 - o->beta2) * d * d;
        double m = k->m[i] / (1 - pow(o->beta1, (double)t)), v = k->v[i] / (1 - pow(o->beta2, (double)t));
        if (o->optimizer == COP_OPTIMIZER_ADAMW && kernel) w *= 1 - rate * o->decay;
        k->w[i] = w - rate * m / (sqrt(v) + o->epsilon);
    }
}

static double *doubles(int64_t n) {
    double *x = calloc((size_t)n, sizeof *x);
    assert_non_null(x);
    return x;
}

static bool trained(copi_param_kind kind) {
    return kind <= COPI_PARAM_SHIFT;
}

static void follows(const cop_recipe *o) {
    cop_ctx *ctx = ctx_of_threads(1);
    cop_net *net = odd_net(ctx, true);
    subject s = subject_make(ctx, net, 4, COP_PRECISION_F32, 3);
    copi_plan *plan = plan_for(&s, true);
    copi_plan_set_optimizer(plan, o);
    track *k = calloc((size_t)net->params, sizeof *k);
    assert_non_null(k);
    for (int p = 0; p < net->params; p++) {
        int64_t n = net->param[p].count;
        k[p] = (track){doubles(n), doubles(n), doubles(n), doubles(n), calloc((size_t)n, sizeof(float))};
        assert_non_null(k[p].g);
        for (int64_t i = 0; i < n; i++) k[p].w[i] = net->param[p].data[i];
    }
    enum { STEPS = 25 };
    for (int64_t t = 1; t <= STEPS; t++) {
        double rate = 1e-2 / (double)t, loss;
        int64_t correct;
        copi_step step = {.x = s.x, .label = s.label, .rate = rate};
        test_ok(ctx, copi_plan_step(plan, &step, &loss, &correct));
        for (int p = 0; p < net->params; p++) {
            if (!trained(net->param[p].kind)) continue;
            test_ok(ctx, copi_plan_gradient(plan, p, k[p].g)); /* the step's own: not moved by the optimizer */
            reference_step(net, &net->param[p], o, rate, t, &k[p]);
            double d = fmin(o->average, (double)(t - 1) / (double)(t + 9));
            for (int64_t i = 0; i < net->param[p].count; i++) k[p].a[i] = d * k[p].a[i] + (1 - d) * k[p].w[i];
        }
    }
    assert_int_equal(copi_plan_steps(plan), STEPS);
    test_ok(ctx, copi_plan_pull(plan, net));
    /* A step rounds w, of size 1, some four times to 2^-24, and its part of the rate: 25 steps stay under 2^-17. Adam
     * divides by the root of v, whose own roundings (2^-23 relative) move w by the rate's part only. */
    for (int p = 0; p < net->params; p++)
        for (int64_t i = 0; trained(net->param[p].kind) && i < net->param[p].count; i++)
            test_near(net->param[p].data[i], k[p].w[i], 0x1p-17, 0x1p-19);
    test_ok(ctx, copi_plan_pull_average(plan, net));
    for (int p = 0; p < net->params; p++)
        for (int64_t i = 0; trained(net->param[p].kind) && i < net->param[p].count; i++)
            test_near(net->param[p].data[i], k[p].a[i], 0x1p-17, 0x1p-19);
    for (int p = 0; p < net->params; p++) {
        free(k[p].w);
        free(k[p].m);
        free(k[p].v);
        free(k[p].a);
        free(k[p].g);
    }
    free(k);
    copi_plan_destroy(plan);
    subject_free(&s);
    cop_net_destroy(net);
    cop_ctx_destroy(ctx);
}

static void formulas(void **state) {
    (void)state;
    for (size_t i = 0; i < COPI_COUNT(rules); i++) follows(&rules[i]);
}

static int64_t nonzero(const float *x, int64_t n) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) count += x[i] != 0;
    return count;
}

/* Beyond the logical elements a blocked layout holds padding, which convolutions read: it must stay 0. */
static void padding_stays_zero(copi_plan *plan, const cop_net *net) {
    int padded = 0;
    for (int i = 0; i < plan->weight_count; i++) {
        const plan_weight *w = &plan->weights[i];
        padded += w->n > w->count;
        assert_int_equal(nonzero(plan->w + w->at, w->n), nonzero(net->param[w->param].data, w->count));
    }
    print_message("%d of %d parameters lie in layouts with padding\n", padded, plan->weight_count);
}

static void check_zeros(const float *x, const copi_param *param, const char *what) {
    for (int64_t i = 0; i < param->count; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        if (!param->mask[i] && bits) fail_msg("%s of %s[%lld] is %g", what, param->name, (long long)i, x[i]);
    }
}

static void stays_zero(const cop_recipe *o, cop_precision precision) {
    cop_ctx *ctx = ctx_of_threads(1);
    cop_net *net = odd_net(ctx, true);
    test_net_mask(net, 4, 0.6);
    for (int p = 0; p < net->params; p++) { /* whole units too: their bias, scale and shift */
        if (!trained(net->param[p].kind) || net->param[p].kind == COPI_PARAM_WEIGHT) continue;
        uint8_t *mask = copi_param_mask(net, &net->param[p]);
        assert_non_null(mask);
        for (int64_t i = 0; i < net->param[p].count; i += 3) mask[i] = 0;
    }
    copi_net_apply_masks(net);
    subject s = subject_make(ctx, net, 4, precision, 3);
    copi_plan *plan = plan_for(&s, true);
    copi_plan_set_optimizer(plan, o);
    double loss = 0;
    int64_t correct;
    for (int t = 0; t < 1000; t++) {
        copi_step step = {.x = s.x, .label = s.label, .rate = 2e-3};
        test_ok(ctx, copi_plan_step(plan, &step, &loss, &correct));
    }
    test_ok(ctx, copi_plan_pull(plan, net));
    for (int p = 0; p < net->params; p++) {
        const copi_param *param = &net->param[p];
        if (!param->mask) continue;
        float *x = malloc((size_t)param->count * sizeof *x);
        assert_non_null(x);
        check_zeros(param->data, param, "value");
        for (int slot = 0; slot < copi_plan_state_slots(plan); slot++) {
            test_ok(ctx, copi_plan_state_get(plan, slot, p, x));
            check_zeros(x, param, slot == 2 ? "average" : slot ? "second state" : "first state");
        }
        int64_t kept = 0;
        for (int64_t i = 0; i < param->count; i++) kept += param->mask[i];
        assert_true(nonzero(param->data, param->count) > kept / 2); /* and the others live */
        free(x);
    }
    padding_stays_zero(plan, net);
    copi_plan_destroy(plan);
    subject_free(&s);
    cop_net_destroy(net);
    cop_ctx_destroy(ctx);
}

static void masks_f32(void **state) {
    (void)state;
    for (size_t i = 0; i < COPI_COUNT(rules); i++) stays_zero(&rules[i], COP_PRECISION_F32);
}

static void masks_bf16(void **state) {
    (void)state;
    if (!copi_engine_bf16()) skip();
    for (size_t i = 0; i < COPI_COUNT(rules); i++) stays_zero(&rules[i], COP_PRECISION_BF16);
}

/* The same with images and channels enough for Winograd's algorithm, whose transforms read the padding too. */
static void padding_of_wide_layers(void **state) {
    (void)state;
    cop_ctx *ctx = ctx_of_threads(1);
    cop_graph *g;
    test_ok(ctx, cop_graph_create(ctx, &g));
    cop_conv_params p = cop_conv_params_default(21, 3), q = cop_conv_params_default(35, 3);
    int x = cop_graph_relu(g, "relu1", cop_graph_conv(g, "conv1", cop_graph_input(g, "input", 3, 14, 14), &p));
    x = cop_graph_relu(g, "relu2", cop_graph_conv(g, "conv2", x, &q));
    x = cop_graph_flatten(g, "flatten", cop_graph_global_pool(g, "pool", x));
    cop_graph_dense(g, "dense", x, 3, 1);
    cop_net *net;
    test_ok(ctx, cop_graph_build(g, 1, &net));
    test_net_fill(net, 1);
    test_net_mask(net, 4, 0.6);
    subject s = subject_make(ctx, net, 9, COP_PRECISION_F32, 3);
    copi_plan *plan = plan_for(&s, true);
    copi_plan_set_optimizer(plan, &rules[2]);
    double loss;
    int64_t correct;
    for (int t = 0; t < 30; t++) {
        copi_step step = {.x = s.x, .label = s.label, .rate = 2e-3};
        test_ok(ctx, copi_plan_step(plan, &step, &loss, &correct));
    }
    test_ok(ctx, copi_plan_pull(plan, net));
    padding_stays_zero(plan, net);
    for (int k = 0; k < net->params; k++)
        if (net->param[k].mask) check_zeros(net->param[k].data, &net->param[k], "value");
    copi_plan_destroy(plan);
    subject_free(&s);
    cop_net_destroy(net);
    cop_ctx_destroy(ctx);
}

/* A mask pushed in the middle of training clears value, momentum and moments of what it takes. */
static void mask_pushed_later(void **state) {
    (void)state;
    cop_ctx *ctx = ctx_of_threads(1);
    for (size_t r = 0; r < COPI_COUNT(rules); r++) {
        cop_net *net = odd_net(ctx, false);
        subject s = subject_make(ctx, net, 4, COP_PRECISION_F32, 3);
        copi_plan *plan = plan_for(&s, true);
        copi_plan_set_optimizer(plan, &rules[r]);
        double loss;
        int64_t correct;
        copi_step step = {.x = s.x, .label = s.label, .rate = 1e-3};
        for (int t = 0; t < 5; t++) test_ok(ctx, copi_plan_step(plan, &step, &loss, &correct));
        test_ok(ctx, copi_plan_pull(plan, net));
        test_net_mask(net, 6, 0.5);
        test_ok(ctx, copi_plan_push(plan, net));
        test_ok(ctx, copi_plan_step(plan, &step, &loss, &correct));
        test_ok(ctx, copi_plan_pull(plan, net));
        for (int p = 0; p < net->params; p++)
            if (net->param[p].mask) check_zeros(net->param[p].data, &net->param[p], "value");
        copi_plan_destroy(plan);
        subject_free(&s);
        cop_net_destroy(net);
    }
    cop_ctx_destroy(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(formulas), cmocka_unit_test(masks_f32),
                                       cmocka_unit_test(masks_bf16), cmocka_unit_test(padding_of_wide_layers),
                                       cmocka_unit_test(mask_pushed_later)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
