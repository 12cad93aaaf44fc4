/* What a plan promises besides numbers: the same bytes for the same seed, state that can be taken out and put back,
 * no allocation in a step, batch-norm's running statistics, part batches, threads, clear errors, memory that runs
 * out. */
#include "compare.h"
#include "engine/plan.h"

static cop_net *mixed_net(cop_ctx *ctx) { /* conv, batch-norm, pool, dropout, add, dense */
    cop_graph *g;
    test_ok(ctx, cop_graph_create(ctx, &g));
    cop_conv_params p = cop_conv_params_default(8, 3);
    for (int k = 0; k < 4; k++) p.pad[k] = 1;
    cop_pool_params two = cop_pool_params_default(2);
    int x = cop_graph_conv(g, "conv1", cop_graph_input(g, "input", 3, 8, 8), &p);
    x = cop_graph_max_pool(g, "pool", cop_graph_relu(g, "relu1", x), &two);
    x = cop_graph_dropout(g, "drop1", x, 0.25);
    int branch = cop_graph_relu(g, "relu2", cop_graph_batchnorm(g, "norm", cop_graph_conv(g, "conv2", x, &p), 1e-5));
    x = cop_graph_relu(g, "relu3", cop_graph_add(g, "add", x, branch));
    x = cop_graph_relu(g, "relu4", cop_graph_dense(g, "dense1", cop_graph_flatten(g, "flatten", x), 11, 1));
    x = cop_graph_dense(g, "dense2", cop_graph_dropout(g, "drop2", x, 0.5), 4, 1);
    cop_graph_softmax(g, "softmax", x);
    cop_net *net;
    test_ok(ctx, cop_graph_build(g, 1, &net));
    test_net_fill(net, 1);
    return net;
}

static const cop_recipe adamw = {
    .optimizer = COP_OPTIMIZER_ADAMW, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .decay = 1e-2};

static copi_plan *training_plan(const subject *s, uint64_t seed) {
    copi_plan_options o = {.batch = s->n, .training = true, .precision = s->precision, .seed = seed};
    copi_plan *plan;
    test_ok(s->ctx, copi_plan_create(s->ctx, s->net, &o, &plan));
    copi_plan_set_optimizer(plan, &adamw);
    return plan;
}

static double run_steps(const subject *s, copi_plan *plan, int steps) {
    double loss = 0;
    int64_t correct;
    copi_step step = {.x = s->x, .label = s->label, .rate = 1e-3};
    for (int t = 0; t < steps; t++) test_ok(s->ctx, copi_plan_step(plan, &step, &loss, &correct));
    return loss;
}

static void same_seed(cop_precision precision, int threads) {
    cop_ctx *ctx = ctx_of_threads(threads);
    cop_net *net = mixed_net(ctx), *out[3];
    subject s = subject_make(ctx, net, 16, precision, 2);
    for (int k = 0; k < 3; k++) {
        copi_plan *plan = training_plan(&s, k < 2 ? 7 : 8);
        run_steps(&s, plan, 20);
        test_ok(ctx, cop_net_clone(net, &out[k]));
        test_ok(ctx, copi_plan_pull(plan, out[k]));
        copi_plan_destroy(plan);
    }
    size_t bytes = net->block_count * sizeof(float);
    assert_memory_equal(out[0]->block, out[1]->block, bytes);
    assert_true(memcmp(out[0]->block, out[2]->block, bytes) != 0); /* another seed drops other numbers */
    assert_true(memcmp(out[0]->block, net->block, bytes) != 0);
    for (int k = 0; k < 3; k++) cop_net_destroy(out[k]);
    subject_free(&s);
    cop_net_destroy(net);
    cop_ctx_destroy(ctx);
}

static void same_seed_same_bytes(void **state) {
    (void)state;
    same_seed(COP_PRECISION_F32, 1);
    same_seed(COP_PRECISION_F32, 2);
    if (copi_engine_bf16()) same_seed(COP_PRECISION_BF16, 2);
}

/* One thread and two sum in another order, so the bytes differ, the numbers hardly. A batch large enough that our own
 * kernels share their work, that of the pool's results too. */
static void threads_agree(void **state) {
    (void)state;
    cop_net *out[2];
    cop_ctx *ctx[2];
    for (int k = 0; k < 2; k++) {
        ctx[k] = ctx_of_threads(k + 1);
        out[k] = mixed_net(ctx[k]);
        const int64_t batch = 272;
        assert_true(batch * out[k]->node[3].shape[0] * out[k]->node[3].shape[1] * out[k]->node[3].shape[2] >
                    PLAN_SMALL);
        assert_int_equal(out[k]->node[3].op, COPI_OP_MAX_POOL);
        subject s = subject_make(ctx[k], out[k], batch, COP_PRECISION_F32, 2);
        copi_plan *plan = training_plan(&s, 7);
        run_steps(&s, plan, 3);
        test_ok(ctx[k], copi_plan_pull(plan, out[k]));
        copi_plan_destroy(plan);
        subject_free(&s);
    }
    /* Adam moves each weight by about the rate a step whatever the gradient's size, so a gradient near 0 that rounds
     * to the other sign costs twice the rate at most; nearly all agree to rounding. */
    int far = 0;
    for (size_t i = 0; i < out[0]->block_count; i++) {
        test_near(out[0]->block[i], out[1]->block[i], 0, 6e-3);
        far += fabsf(out[0]->block[i] - out[1]->block[i]) > 1e-5f;
    }
    assert_true((size_t)far * 50 < out[0]->block_count);
    for (int k = 0; k < 2; k++) {
        cop_net_destroy(out[k]);
        cop_ctx_destroy(ctx[k]);
    }
}

/* Parameters, state and step counter taken out and put into a fresh plan: the rest of the way is the same, bit for
 * bit. */
static void state_round_trip(void **state) {
    (void)state;
    cop_ctx *ctx = ctx_of_threads(1);
    cop_net *net = mixed_net(ctx), *half, *whole, *resumed;
    subject s = subject_make(ctx, net, 8, COP_PRECISION_F32, 2);
    for (cop_net **copy[] = {&half, &whole, &resumed}, ***c = copy; c < copy + 3; c++)
        test_ok(ctx, cop_net_clone(net, *c));
    copi_plan *first = training_plan(&s, 7), *second;
    run_steps(&s, first, 6);
    test_ok(ctx, copi_plan_pull(first, half));
    copi_plan_options o = {.batch = s.n, .training = true, .precision = COP_PRECISION_F32, .seed = 7};
    test_ok(ctx, copi_plan_create(ctx, half, &o, &second));
    copi_plan_set_optimizer(second, &adamw);
    copi_plan_set_steps(second, copi_plan_steps(first));
    for (int p = 0; p < net->params; p++) {
        float *x = malloc((size_t)net->param[p].count * sizeof *x),
              *y = malloc((size_t)net->param[p].count * sizeof *y);
        assert_true(x && y);
        for (int slot = 0; slot < copi_plan_state_slots(first); slot++) {
            test_ok(ctx, copi_plan_state_get(first, slot, p, x));
            test_ok(ctx, copi_plan_state_set(second, slot, p, x));
            test_ok(ctx, copi_plan_state_get(second, slot, p, y));
            assert_memory_equal(x, y, (size_t)net->param[p].count * sizeof *x);
        }
        free(x);
        free(y);
    }
    assert_true(run_steps(&s, first, 6) == run_steps(&s, second, 6));
    test_ok(ctx, copi_plan_pull(first, whole));
    test_ok(ctx, copi_plan_pull(second, resumed));
    assert_memory_equal(whole->block, resumed->block, net->block_count * sizeof(float));
    test_ok(ctx, copi_plan_push(first, net)); /* push, pull: what went in comes out */
    test_ok(ctx, copi_plan_pull(first, whole));
    assert_memory_equal(whole->block, net->block, net->block_count * sizeof(float));
    copi_plan_destroy(first);
    copi_plan_destroy(second);
    subject_free(&s);
    cop_net_destroy(net);
    cop_net_destroy(half);
    cop_net_destroy(whole);
    cop_net_destroy(resumed);
    cop_ctx_destroy(ctx);
}

/* gradient_only leaves everything alone: parameters, running statistics, state, counter. */
static void gradient_only(void **state) {
    (void)state;
    cop_ctx *ctx = ctx_of_threads(1);
    cop_net *net = mixed_net(ctx), *after;
    test_ok(ctx, cop_net_clone(net, &after));
    subject s = subject_make(ctx, net, 8, COP_PRECISION_F32, 2);
    copi_plan *plan = training_plan(&s, 7);
    copi_step step = {.x = s.x, .label = s.label, .rate = 1, .gradient_only = true};
    double loss[2];
    int64_t correct;
    for (int k = 0; k < 2; k++) test_ok(ctx, copi_plan_step(plan, &step, &loss[k], &correct));
    assert_true(loss[0] == loss[1]);
    assert_int_equal(copi_plan_steps(plan), 0);
    test_ok(ctx, copi_plan_pull(plan, after));
    assert_memory_equal(net->block, after->block, net->block_count * sizeof(float));
    copi_plan_destroy(plan);
    subject_free(&s);
    cop_net_destroy(net);
    cop_net_destroy(after);
    cop_ctx_destroy(ctx);
}

/* running = 0.9 running + 0.1 batch, variance divided by m - 1. */
static void running_statistics(void **state) {
    (void)state;
    cop_ctx *ctx = ctx_of_threads(1);
    cop_net *net = mixed_net(ctx), *after;
    for (int i = 0; i < net->nodes; i++)
        if (net->node[i].op == COPI_OP_DROPOUT) net->node[i].u.dropout.share = 0;
    test_ok(ctx, cop_net_clone(net, &after));
    subject s = subject_make(ctx, net, 8, COP_PRECISION_F32, 2);
    copi_plan *plan = training_plan(&s, 7);
    run_steps(&s, plan, 1);
    test_ok(ctx, copi_plan_pull(plan, after));
    ref_run *r = reference_run(&s, true, 0, 0);
    int node = copi_net_find(net, "norm"), mean = net->node[node].param[COPI_MEAN],
        var = net->node[node].param[COPI_VAR];
    double m = (double)(s.n * net->node[node].shape[1] * net->node[node].shape[2]);
    for (int64_t c = 0; c < net->node[node].shape[0]; c++) {
        test_near(after->param[mean].data[c], 0.9 * net->param[mean].data[c] + 0.1 * r->batch_mean[node][c], 1e-5,
                  1e-6);
        test_near(after->param[var].data[c],
                  0.9 * net->param[var].data[c] + 0.1 * r->batch_var[node][c] * m / (m - 1), 1e-5, 1e-6);
    }
    ref_destroy(r);
    copi_plan_destroy(plan);
    subject_free(&s);
    cop_net_destroy(net);
    cop_net_destroy(after);
    cop_ctx_destroy(ctx);
}

/* Dropout's gradient is of the very mask that forward drew: the loss along the gradient rises by its norm squared. */
static void dropout_gradient(void **state) {
    (void)state;
    cop_ctx *ctx = ctx_of_threads(1);
    cop_net *net = mixed_net(ctx);
    subject s = subject_make(ctx, net, 16, COP_PRECISION_F32, 2);
    copi_plan *plan = training_plan(&s, 7);
    copi_step step = {.x = s.x, .label = s.label, .gradient_only = true};
    double loss, side[2], slope = 0;
    int64_t correct;
    test_ok(ctx, copi_plan_step(plan, &step, &loss, &correct));
    float *g = calloc(net->block_count, sizeof *g);
    assert_non_null(g);
    for (int p = 0; p < net->params; p++) {
        if (net->param[p].kind > COPI_PARAM_SHIFT) continue;
        float *at = g + (net->param[p].data - net->block);
        test_ok(ctx, copi_plan_gradient(plan, p, at));
        for (int64_t i = 0; i < net->param[p].count; i++) slope += (double)at[i] * at[i];
    }
    for (int k = 0; k < 2; k++) {
        cop_net *moved;
        test_ok(ctx, cop_net_clone(net, &moved));
        double h = (k ? 1 : -1) * 1e-3 / sqrt(slope);
        for (size_t i = 0; i < net->block_count; i++) moved->block[i] += (float)(h * g[i]);
        test_ok(ctx, copi_plan_push(plan, moved));
        test_ok(ctx, copi_plan_step(plan, &step, &side[k], &correct));
        cop_net_destroy(moved);
    }
    /* central difference over 2e-3 of a loss of size 1 known to 1e-7: 1e-4, and the curvature's third order */
    test_near((side[1] - side[0]) / 2e-3, sqrt(slope), 1e-2, 0);
    free(g);
    copi_plan_destroy(plan);
    subject_free(&s);
    cop_net_destroy(net);
    cop_ctx_destroy(ctx);
}

/* Dropout as inference sees it: absent; and over many steps a dense layer behind it sees the mean unchanged. */
static void part_batches(void **state) {
    (void)state;
    cop_ctx *ctx = ctx_of_threads(2);
    cop_net *net = mixed_net(ctx);
    subject s = subject_make(ctx, net, 10, COP_PRECISION_F32, 2);
    copi_plan *plan = plan_for(&s, false);
    float whole[40], part[40], logits[40];
    test_ok(ctx, copi_plan_forward(plan, s.x, 10, whole, NULL));
    for (int64_t n = 1; n <= 10; n++) {
        test_ok(ctx, copi_plan_forward(plan, s.x, n, part, logits));
        assert_memory_equal(part, whole, (size_t)n * 4 * sizeof *part);
    }
    for (int i = 0; i < 10; i++) { /* the softmax of the logits */
        double sum = 0;
        for (int c = 0; c < 4; c++) sum += exp(logits[i * 4 + c]);
        for (int c = 0; c < 4; c++) test_near(whole[i * 4 + c], exp(logits[i * 4 + c]) / sum, 1e-5, 0);
    }
    float *x = malloc(150 * 192 * sizeof *x), *y = malloc(150 * 4 * sizeof *y);
    assert_true(x && y);
    for (int i = 0; i < 150; i++) memcpy(x + i * 192, s.x + i % 10 * 192, 192 * sizeof *x);
    test_ok(ctx, cop_predict(net, x, 150, y));
    for (int i = 0; i < 150 * 4; i++) test_near(y[i], whole[i % 40], 1e-5, 1e-7);
    test_ok(ctx, cop_predict(net, x, 0, y));
    test_fails(ctx, cop_predict(net, x, -1, y), COP_E_RANGE, "-1");
    free(x);
    free(y);
    copi_plan_destroy(plan);
    subject_free(&s);
    cop_net_destroy(net);
    cop_ctx_destroy(ctx);
}

typedef struct counter {
    int64_t made;
} counter;
static void *counted_alloc(void *user, size_t size) {
    ((counter *)user)->made++;
    return malloc(size);
}
static void counted_free(void *user, void *block) {
    (void)user;
    free(block);
}

static void step_never_allocates(void **state) {
    (void)state;
    counter c = {0};
    cop_ctx_options o = cop_ctx_options_default();
    o.allocator = (cop_allocator){counted_alloc, counted_free, &c};
    o.threads = 2;
    cop_ctx *ctx;
    assert_int_equal(cop_ctx_create(&o, &ctx), COP_OK);
    cop_net *net = mixed_net(ctx);
    test_net_mask(net, 2, 0.3);
    subject s = subject_make(ctx, net, 8, COP_PRECISION_F32, 2);
    copi_plan *train = training_plan(&s, 7), *infer = plan_for(&s, false);
    float y[32];
    int64_t before = c.made;
    run_steps(&s, train, 5);
    for (int i = 0; i < 5; i++) test_ok(ctx, copi_plan_forward(infer, s.x, 1 + i, y, NULL));
    test_ok(ctx, copi_plan_push(train, net));
    test_ok(ctx, copi_plan_pull(train, net));
    assert_int_equal(c.made, before);
    assert_true(before > 0);
    copi_plan_destroy(train);
    copi_plan_destroy(infer);
    subject_free(&s);
    cop_net_destroy(net);
    cop_ctx_destroy(ctx);
}

static void errors(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net = mixed_net(ctx), *other;
    test_ok(ctx, cop_net_preset(ctx, "seed-cnn", 3, 12, 12, 4, 1, &other));
    subject s = subject_make(ctx, net, 4, COP_PRECISION_F32, 2);
    copi_plan_options o = {.batch = 0};
    copi_plan *plan = NULL, *train = training_plan(&s, 1), *infer = plan_for(&s, false);
    float y[64];
    double loss;
    int64_t correct;
    test_fails(ctx, copi_plan_create(ctx, net, &o, &plan), COP_E_RANGE, "batch is 0");
    assert_null(plan);
    test_fails(ctx, copi_plan_forward(train, s.x, 1, y, NULL), COP_E_ARG, "training");
    test_fails(ctx, copi_plan_forward(infer, s.x, 5, y, NULL), COP_E_ARG, "5 images");
    test_fails(ctx, copi_plan_forward(infer, s.x, 0, y, NULL), COP_E_ARG, "0 images");
    copi_step step = {.x = s.x, .label = s.label};
    test_fails(ctx, copi_plan_step(infer, &step, &loss, &correct), COP_E_ARG, "inference");
    s.label[2] = 4;
    test_fails(ctx, copi_plan_step(train, &step, &loss, &correct), COP_E_ARG, "label 4 of image 2");
    s.label[2] = -1;
    test_fails(ctx, copi_plan_step(train, &step, &loss, &correct), COP_E_ARG, "label -1 of image 2");
    test_fails(ctx, copi_plan_push(train, other), COP_E_ARG, "parameters");
    test_fails(ctx, copi_plan_pull(train, other), COP_E_ARG, "parameters");
    test_fails(ctx, copi_plan_pull(infer, net), COP_E_ARG, "inference");
    test_fails(ctx, copi_plan_gradient(train, 999, y), COP_E_RANGE, "999");
    test_fails(ctx, copi_plan_state_set(train, 0, -1, y), COP_E_RANGE, "-1");
    copi_plan_options huge = {.batch = INT64_MAX / 4, .precision = COP_PRECISION_F32};
    test_fails(ctx, copi_plan_create(ctx, net, &huge, &plan), COP_E_NOMEM, NULL);
    if (!copi_engine_bf16()) {
        copi_plan_options half = {.batch = 1, .precision = COP_PRECISION_BF16};
        test_fails(ctx, copi_plan_create(ctx, net, &half, &plan), COP_E_UNSUPPORTED, "bf16");
    }
    copi_plan_destroy(train);
    copi_plan_destroy(infer);
    copi_plan_destroy(NULL);
    subject_free(&s);
    cop_net_destroy(net);
    cop_net_destroy(other);
    test_ctx_destroy(ctx);
}

/* Nets that the engine refuses, each by the name of the op. */
static void refused_nets(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    for (int kind = 0; kind < 4; kind++) {
        cop_graph *g;
        test_ok(ctx, cop_graph_create(ctx, &g));
        int x = cop_graph_input(g, "input", 2, 4, 4);
        if (kind == 0) x = cop_graph_global_pool(g, "images", x); /* no classes */
        if (kind > 0) x = cop_graph_flatten(g, "flat", x);
        if (kind == 1) x = cop_graph_dense(g, "dense", cop_graph_softmax(g, "inner", x), 3, 1);
        if (kind == 2) x = cop_graph_relu(g, "relu", x); /* nothing to train */
        if (kind == 3)                                   /* its output does not tell its derivative */
            x = cop_graph_dense(g, "out", cop_graph_leaky_relu(g, "leaky", cop_graph_dense(g, "in", x, 4, 1), -0.3),
                                3, 1);
        cop_net *net;
        test_ok(ctx, cop_graph_build(g, 1, &net));
        copi_plan_options o = {.batch = 2, .training = true, .precision = COP_PRECISION_F32};
        copi_plan *plan;
        const char *name[] = {"images", "inner", "relu", "leaky: leaky_relu of slope -0.3"};
        test_fails(ctx, copi_plan_create(ctx, net, &o, &plan), COP_E_UNSUPPORTED, name[kind]);
        cop_net_destroy(net);
    }
    test_ctx_destroy(ctx);
}

static cop_status make_and_step(cop_ctx *ctx, void *user) {
    const subject *s = user;
    copi_plan_options o = {.batch = s->n, .training = true, .precision = COP_PRECISION_F32};
    copi_plan *plan;
    cop_status status = copi_plan_create(ctx, s->net, &o, &plan);
    if (status) return status;
    copi_plan_set_optimizer(plan, &adamw);
    double loss;
    int64_t correct;
    copi_step step = {.x = s->x, .label = s->label, .rate = 1e-3};
    status = copi_plan_step(plan, &step, &loss, &correct);
    copi_plan_destroy(plan);
    return status;
}

static void out_of_memory(void **state) {
    (void)state;
    cop_ctx *ctx = ctx_of_threads(1);
    cop_net *net = mixed_net(ctx);
    subject s = subject_make(ctx, net, 2, COP_PRECISION_F32, 2);
    int64_t allocations = test_out_of_memory(make_and_step, &s);
    print_message("%lld allocations, each failed once\n", (long long)allocations);
    assert_true(allocations > 20);
    subject_free(&s);
    cop_net_destroy(net);
    cop_ctx_destroy(ctx);
}

static void bench(void **state) {
    (void)state;
    cop_ctx *ctx = ctx_of_threads(1);
    cop_net *net = mixed_net(ctx);
    for (int training = 0; training < 2; training++) {
        cop_bench_params p = cop_bench_params_default();
        assert_int_equal(p.batch, 1);
        p.batch = 4;
        p.training = training;
        p.runs = 5;
        cop_bench_result r;
        test_ok(ctx, cop_bench(net, &p, &r));
        assert_true(r.min_ms > 0 && r.min_ms <= r.median_ms && r.median_ms <= r.max_ms);
        test_near(r.images_per_second, 4 / (r.median_ms / 1e3), 1e-9, 0);
        assert_true(r.primitives_ms > 0);
        assert_int_equal(r.threads, 1);
        assert_string_equal(r.precision, "f32");
    }
    cop_bench_params none = cop_bench_params_default();
    none.runs = 0;
    cop_bench_result r;
    test_fails(ctx, cop_bench(net, &none, &r), COP_E_RANGE, "0 runs");
    assert_non_null(strstr(cop_build_info(), copi_engine_info()));
    assert_non_null(strstr(cop_build_info(), COP_VERSION));
    cop_net_destroy(net);
    cop_ctx_destroy(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_same_bytes),
        cmocka_unit_test(threads_agree),
        cmocka_unit_test(state_round_trip),
        cmocka_unit_test(gradient_only),
        cmocka_unit_test(running_statistics),
        cmocka_unit_test(dropout_gradient),
        cmocka_unit_test(part_batches),
        cmocka_unit_test(step_never_allocates),
        cmocka_unit_test(errors),
        cmocka_unit_test(refused_nets),
        cmocka_unit_test(out_of_memory),
        cmocka_unit_test(bench),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
