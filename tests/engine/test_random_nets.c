/* Hundreds of random nets, masked and gated too: the engine against the plain reference, forward and gradient, f32
 * and bf16. */
#include "compare.h"

static void no_dropout(cop_net *net) { /* its random numbers are the engine's own: test_dropout.c */
    for (int i = 0; i < net->nodes; i++)
        if (net->node[i].op == COPI_OP_DROPOUT) net->node[i].u.dropout.share = 0;
}

/* A number nearer to a kink than this is not sure to fall on the same side in f32: some thirty roundings of
 * numbers of size 1. */
#define KINK 2e-6

static void run(cop_precision precision, int nets, uint64_t first) {
    cop_ctx *ctx = ctx_of_threads(1);
    int near_kink = 0, failed = 0, seen[COPI_OPS] = {0};
    double worst = 0;
    for (int i = 0; i < nets; i++) {
        test_net_params params = {.seed = first + (uint64_t)i, .gates = i % 3 == 0};
        cop_net *net = test_net_random(ctx, &params);
        assert_non_null(net);
        no_dropout(net);
        if (i % 4 == 1) test_net_mask(net, params.seed, 0.5);
        /* three images at least: of two numbers a batch-norm makes +1 and -1, and all gradients behind it cancel to
         * 0 */
        subject s = subject_make(ctx, net, 3 + i % 2, precision, params.seed);
        for (int k = 0; k < net->nodes; k++) seen[net->node[k].op]++;
        verdict v = {0};
        judge_inference(&s, &v);
        if (precision == COP_PRECISION_BF16 || kink_distance(&s) > KINK)
            judge_training(&s, &v);
        else
            near_kink++;
        if (!(v.ratio <= FACTOR)) {
            print_error("net of seed %llu, ratio %.2f: %s\n", (unsigned long long)params.seed, v.ratio, v.what);
            failed++;
        }
        worst = fmax(worst, v.ratio);
        subject_free(&s);
        cop_net_destroy(net);
    }
    print_message("%d nets, %d of them too near a kink for gradients, worst error %.2f of %.0f yardsticks\n", nets,
                  near_kink, worst, FACTOR);
    assert_int_equal(failed, 0);
    for (int op = 0; op < COPI_OPS; op++) {
        if (!seen[op]) print_error("no net had an op %s\n", cop_op_name(op));
        assert_true(seen[op] > 0);
    }
    assert_true(near_kink * 5 < nets);
    cop_ctx_destroy(ctx);
}

static void f32_matches(void **state) {
    (void)state;
    run(COP_PRECISION_F32, 300, 1000);
}

static void bf16_matches(void **state) {
    (void)state;
    if (!copi_engine_bf16()) skip();
    run(COP_PRECISION_BF16, 150, 5000);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(f32_matches), cmocka_unit_test(bf16_matches)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
