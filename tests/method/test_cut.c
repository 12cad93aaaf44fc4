/* The public prune and shrink: where they need the engine. */
#include "../train/little.h"
#include "method/method.h"
#include "nets.h"
#include "unit.h"

static void taylor_asks_for_data(void **state) {
    (void)state;
    little_hooks hooks;
    cop_ctx *ctx = little_ctx(&hooks);
    cop_data *data = little_data_at(ctx, 200, 20, 0, 1);
    cop_net *net = little_net(ctx, LITTLE_NORM, 1), *start = little_clone(net);
    cop_prune_params p = cop_prune_params_default();
    p.criterion = "taylor";
    p.sparsity = 0.25;
    test_fails(ctx, cop_prune(net, &p, NULL), COP_E_ARG, "taylor");
    little_same(net, start);
    p.data = data;
    cop_prune_report report;
    test_ok(ctx, cop_prune(net, &p, &report));
    assert_int_equal(report.ranked, 8 + 8 + 16);
    assert_int_equal(report.removed, 2 + 2 + 4);
    p.criterion = "tailor";
    test_fails(ctx, cop_prune(net, &p, NULL), COP_E_NOT_FOUND, "taylor");
    p.criterion = NULL;
    assert_true(cop_prune(net, &p, NULL) != COP_OK);
    cop_net_destroy(start);
    cop_net_destroy(net);
    cop_data_destroy(data);
    cop_ctx_destroy(ctx);
}

/* On random nets, masked and then shrunk: the check passes, and the report's figures are those of the nets. */
static void shrink_is_checked_and_reported(void **state) {
    (void)state;
    little_hooks hooks;
    cop_ctx *ctx = little_ctx(&hooks);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        cop_net *net = test_net_random(ctx, &(test_net_params){.seed = seed}), *shrunk;
        assert_non_null(net);
        for (int i = 0; i < net->nodes; i++) {
            const copi_node *n = &net->node[i];
            if (n->op != COPI_OP_CONV && n->op != COPI_OP_DENSE) continue;
            for (int64_t u = 0; u + 1 < n->shape[0]; u += 2)
                if ((seed + (uint64_t)u) % 3) test_ok(ctx, test_mask_unit(net, i, u));
        }
        cop_shrink_report report;
        test_ok(ctx, cop_shrink(net, &shrunk, &report));
        assert_true(report.max_difference < 1e-4);
        cop_net_info before, after;
        cop_net_get_info(net, &before);
        cop_net_get_info(shrunk, &after);
        assert_int_equal(report.parameters_before, before.parameters);
        assert_int_equal(report.parameters_after, after.parameters);
        assert_int_equal(report.macs_before, before.macs);
        assert_int_equal(report.macs_after, after.macs);
        assert_true(after.parameters <= before.parameters);
        cop_net_destroy(shrunk);
        cop_net_destroy(net);
    }
    cop_ctx_destroy(ctx);
}

static void nothing_to_shrink_is_the_same_net(void **state) {
    (void)state;
    little_hooks hooks;
    cop_ctx *ctx = little_ctx(&hooks);
    cop_net *net = little_net(ctx, LITTLE_NORM, 1), *shrunk;
    cop_shrink_report report;
    test_ok(ctx, cop_shrink(net, &shrunk, &report));
    little_same(net, shrunk);
    assert_int_equal(report.units_removed, 0);
    assert_true(report.max_difference == 0);
    cop_net_destroy(shrunk);
    cop_net_destroy(net);
    cop_ctx_destroy(ctx);
}

/* Outputs that are NaN are never equal, even if both nets give them. */
static void damage_is_no_agreement(void **state) {
    (void)state;
    little_hooks hooks;
    cop_ctx *ctx = little_ctx(&hooks);
    cop_net *net = little_net(ctx, LITTLE_NORM, 1), *shrunk;
    for (int i = 0; i < net->nodes; i++) {
        const copi_param *bias = copi_node_slot(net, &net->node[i], COPI_BIAS);
        if (bias) bias->data[0] = NAN;
    }
    test_fails(ctx, cop_shrink(net, &shrunk, NULL), COP_E_DIVERGED,
               "outputs for random images are not finite (NaN or infinity)");
    cop_net_destroy(net);
    cop_ctx_destroy(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taylor_asks_for_data),
        cmocka_unit_test(shrink_is_checked_and_reported),
        cmocka_unit_test(nothing_to_shrink_is_the_same_net),
        cmocka_unit_test(damage_is_no_agreement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
