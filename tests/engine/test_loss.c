/* Cross-entropy, label smoothing, distillation and their gradient against the reference; a loss that is no number. */
#include "compare.h"

/* A net whose logits are its parameters' doing alone, far from flat: dense on few inputs, softmax or not. */
static cop_net *small_net(cop_ctx *ctx, int64_t classes, bool softmax) {
    cop_graph *g;
    test_ok(ctx, cop_graph_create(ctx, &g));
    int x = cop_graph_flatten(g, "flatten", cop_graph_input(g, "input", 2, 3, 3));
    x = cop_graph_dense(g, "dense", x, classes, 1);
    if (softmax) cop_graph_softmax(g, "softmax", x);
    cop_net *net;
    test_ok(ctx, cop_graph_build(g, 1, &net));
    test_net_fill(net, 1);
    return net;
}

typedef struct row {
    int64_t classes;
    bool softmax, teacher;
    double smoothing, share, temperature, size;
} row;

static void check(cop_ctx *ctx, const row *k) {
    cop_net *net = small_net(ctx, k->classes, k->softmax);
    subject s = subject_make(ctx, net, 7, COP_PRECISION_F32, 4);
    for (int64_t i = 0; i < s.n * ref_count(net, 0); i++) s.x[i] *= (float)k->size;
    int64_t count = s.n * k->classes;
    float *teacher = malloc((size_t)count * sizeof *teacher);
    double *exact = malloc((size_t)count * sizeof *exact);
    assert_non_null(teacher);
    assert_non_null(exact);
    test_fill_normal(8, teacher, count);
    for (int64_t i = 0; i < count; i++) exact[i] = teacher[i] *= 3;
    ref_run *r = reference_run(&s, false, 0, 0);
    ref_loss_params p = {.label_smoothing = k->smoothing,
                         .teacher = k->teacher ? exact : NULL,
                         .distil_share = k->share,
                         .distil_temperature = k->temperature};
    double want = ref_loss(r, s.label, &p), loss;
    ref_backward(r);
    copi_plan *plan = plan_for(&s, true);
    const cop_recipe recipe = {
        .label_smoothing = k->smoothing, .distil_share = k->share, .distil_temperature = k->temperature};
    copi_step step = {
        .x = s.x, .label = s.label, .recipe = &recipe, .teacher = k->teacher ? teacher : NULL, .gradient_only = true};
    int64_t correct, hits = 0;
    test_ok(ctx, copi_plan_step(plan, &step, &loss, &correct));
    /* The loss is summed in double; the logits behind it are f32 sums of 18 products of this size. */
    test_near(loss, want, 1e-5, 1e-6);
    for (int q = 0; q < net->params; q++) {
        float *g = malloc((size_t)net->param[q].count * sizeof *g);
        assert_non_null(g);
        test_ok(ctx, copi_plan_gradient(plan, q, g));
        for (int64_t i = 0; i < net->param[q].count; i++) test_near(g[i], r->dparam[q][i], 1e-4, 1e-6 * k->size);
        free(g);
    }
    for (int64_t i = 0; i < s.n; i++) {
        int best = 0;
        for (int c = 1; c < k->classes; c++)
            if (r->out[r->logits][i * k->classes + c] > r->out[r->logits][i * k->classes + best]) best = c;
        hits += best == s.label[i];
    }
    assert_int_equal(correct, hits);
    copi_plan_destroy(plan);
    ref_destroy(r);
    free(teacher);
    free(exact);
    subject_free(&s);
    cop_net_destroy(net);
}

static void losses(void **state) {
    (void)state;
    const row rows[] = {
        {5, true, false, 0, 0, 0, 1},      {5, false, false, 0.1, 0, 0, 1},    {2, true, false, 0.3, 0, 0, 1},
        {10, true, true, 0, 0.5, 2, 1},    {10, true, true, 0, 1, 4, 1},       {7, false, true, 0.1, 0.7, 3, 1},
        {5, true, true, 0, 0, 2, 1},       {100, true, true, 0.05, 0.9, 1, 1}, {5, true, false, 0, 0, 0, 300},
        {5, true, true, 0.1, 0.5, 2, 300}, /* logits of hundreds: no overflow */
    };
    cop_ctx *ctx = ctx_of_threads(1);
    for (size_t i = 0; i < COPI_COUNT(rows); i++) check(ctx, &rows[i]);
    cop_ctx_destroy(ctx);
}

/* A loss that is no number: reported as such, and every parameter, moment and the step counter as before. */
static void diverged(void **state) {
    (void)state;
    cop_ctx *ctx = ctx_of_threads(1);
    cop_net *net = small_net(ctx, 5, true), *after;
    test_ok(ctx, cop_net_clone(net, &after));
    subject s = subject_make(ctx, net, 4, COP_PRECISION_F32, 1);
    copi_plan *plan = plan_for(&s, true);
    cop_recipe o = {.optimizer = COP_OPTIMIZER_ADAM, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
    copi_plan_set_optimizer(plan, &o);
    double loss;
    int64_t correct;
    copi_step step = {.x = s.x, .label = s.label, .rate = 1e-2};
    test_ok(ctx, copi_plan_step(plan, &step, &loss, &correct));
    test_ok(ctx, copi_plan_pull(plan, net));
    const float bad[] = {NAN, INFINITY};
    for (size_t i = 0; i < COPI_COUNT(bad); i++) {
        float good = s.x[7];
        s.x[7] = bad[i];
        s.x[8] = bad[i];
        test_fails(ctx, copi_plan_step(plan, &step, &loss, &correct), COP_E_DIVERGED, "step 1");
        assert_false(isfinite(loss));
        s.x[7] = s.x[8] = good;
        test_ok(ctx, copi_plan_pull(plan, after));
        assert_memory_equal(net->block, after->block, net->block_count * sizeof(float));
        assert_int_equal(copi_plan_steps(plan), 1);
    }
    test_ok(ctx, copi_plan_step(plan, &step, &loss, &correct)); /* and it goes on */
    assert_true(isfinite(loss));
    copi_plan_destroy(plan);
    subject_free(&s);
    cop_net_destroy(net);
    cop_net_destroy(after);
    cop_ctx_destroy(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(losses), cmocka_unit_test(diverged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
