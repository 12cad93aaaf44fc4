/* A net's tensors and masks by name. */
#include "check.h"

#include <math.h>
#include <string.h>

static cop_net *build(cop_ctx *ctx) {
    cop_graph *g;
    cop_net *net;
    cop_conv_params p = cop_conv_params_default(2, 3);
    test_ok(ctx, cop_graph_create(ctx, &g));
    int x = cop_graph_input(g, "image", 1, 4, 4);
    x = cop_graph_batchnorm(g, "norm", cop_graph_conv(g, "conv", x, &p), 1e-3);
    cop_graph_dense(g, "out", cop_graph_flatten(g, "flat", x), 3, 1);
    test_ok(ctx, cop_graph_build(g, 1, &net));
    return net;
}

static void all_are_listed(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net = build(ctx);
    static const struct {
        const char *name;
        cop_tensor_kind kind;
        int layer, rank;
        int64_t shape[4], count;
    } want[] = {
        {"conv.weight", COP_TENSOR_WEIGHT, 1, 4, {2, 1, 3, 3}, 18},
        {"conv.bias", COP_TENSOR_BIAS, 1, 1, {2, 1, 1, 1}, 2},
        {"norm.scale", COP_TENSOR_SCALE, 2, 1, {2, 1, 1, 1}, 2},
        {"norm.shift", COP_TENSOR_SHIFT, 2, 1, {2, 1, 1, 1}, 2},
        {"norm.mean", COP_TENSOR_MEAN, 2, 1, {2, 1, 1, 1}, 2},
        {"norm.var", COP_TENSOR_VAR, 2, 1, {2, 1, 1, 1}, 2},
        {"out.weight", COP_TENSOR_WEIGHT, 4, 2, {3, 8, 1, 1}, 24},
        {"out.bias", COP_TENSOR_BIAS, 4, 1, {3, 1, 1, 1}, 3},
    };
    assert_int_equal(cop_net_tensor_count(net), COPI_COUNT(want));
    for (int i = 0; i < (int)COPI_COUNT(want); i++) {
        cop_tensor_info t;
        cop_layer_info layer;
        char name[64];
        test_ok(ctx, cop_net_get_tensor(net, i, &t));
        assert_string_equal(t.name, want[i].name);
        assert_int_equal(t.kind, want[i].kind);
        assert_int_equal(t.layer, want[i].layer);
        assert_int_equal(t.rank, want[i].rank);
        assert_memory_equal(t.shape, want[i].shape, sizeof t.shape);
        assert_int_equal(t.count, want[i].count);
        assert_int_equal(t.masked, 0);
        assert_int_equal(cop_net_find_tensor(net, want[i].name), i);
        test_ok(ctx, cop_net_get_layer(net, t.layer, &layer));
        snprintf(name, sizeof name, "%s.%s", layer.name, cop_tensor_kind_name(t.kind));
        assert_string_equal(name, t.name);
    }
    assert_int_equal(cop_net_find_tensor(net, "conv"), -1);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

static void values_and_masks_go_in_and_out(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net = build(ctx);
    float values[24], back[24];
    uint8_t mask[24];
    cop_tensor_info t;
    for (int i = 0; i < 24; i++) values[i] = (float)(i + 1);
    test_ok(ctx, cop_net_write_tensor(net, "out.weight", values, 24));
    test_ok(ctx, cop_net_read_tensor(net, "out.weight", back, 24));
    assert_memory_equal(back, values, sizeof values);
    test_ok(ctx, cop_net_read_mask(net, "out.weight", mask, 24));
    for (int i = 0; i < 24; i++) assert_int_equal(mask[i], 1);

    for (int i = 0; i < 24; i++) mask[i] = i % 3 ? 7 : 0;
    test_ok(ctx, cop_net_write_mask(net, "out.weight", mask, 24));
    test_ok(ctx, cop_net_read_tensor(net, "out.weight", back, 24));
    test_ok(ctx, cop_net_read_mask(net, "out.weight", mask, 24));
    for (int i = 0; i < 24; i++) {
        assert_int_equal(mask[i], i % 3 != 0);
        assert_true(back[i] == (i % 3 ? values[i] : 0));
    }
    test_ok(ctx, cop_net_get_tensor(net, cop_net_find_tensor(net, "out.weight"), &t));
    assert_int_equal(t.masked, 8);
    test_ok(ctx, cop_net_write_tensor(net, "out.weight", values, 24)); /* what is masked stays 0 */
    test_ok(ctx, cop_net_read_tensor(net, "out.weight", back, 24));
    for (int i = 0; i < 24; i++) assert_true(back[i] == (i % 3 ? values[i] : 0));

    memset(mask, 1, sizeof mask);
    test_ok(ctx, cop_net_write_mask(net, "out.weight", mask, 24));
    test_ok(ctx, cop_net_write_tensor(net, "out.weight", values, 24));
    test_ok(ctx, cop_net_read_tensor(net, "out.weight", back, 24));
    assert_memory_equal(back, values, sizeof values);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

static void mistakes_are_named(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net = build(ctx);
    float values[2] = {1, -1}, back[2];
    uint8_t mask[2] = {0, 1};
    cop_tensor_info t;
    test_fails(ctx, cop_net_get_tensor(net, 8, &t), COP_E_RANGE, "tensor 8; the net has tensors 0 to 7");
    assert_null(t.name);
    test_fails(ctx, cop_net_read_tensor(net, "conv.wieght", back, 2), COP_E_NOT_FOUND, "did you mean 'conv.weight'?");
    test_fails(ctx, cop_net_read_tensor(net, "conv.weight", back, 2), COP_E_SHAPE,
               "conv.weight: it has 18 values, count is 2");
    test_fails(ctx, cop_net_write_tensor(net, "norm.var", values, 2), COP_E_RANGE,
               "norm.var: value 1 is -1; it must be finite and at least 0");
    values[1] = NAN;
    test_fails(ctx, cop_net_write_tensor(net, "norm.shift", values, 2), COP_E_RANGE, "value 1 is nan");
    test_ok(ctx, cop_net_read_tensor(net, "norm.shift", back, 2));
    assert_true(back[0] == 0 && back[1] == 0); /* unchanged */
    test_fails(ctx, cop_net_write_mask(net, "norm.mean", mask, 2), COP_E_UNSUPPORTED, "a mean is never pruned");
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_listed),
        cmocka_unit_test(values_and_masks_go_in_and_out),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
