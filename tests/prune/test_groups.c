/* Coupling groups on nets made by hand, each op's rule by itself. */
#include "check.h"
#include "nets.h"

#include "prune/prune.h"

#include <stdlib.h>
#include <string.h>

/* The groups as text, "a0 b0|a1 b1*": one for each group, * marks the fixed ones. */
static void groups_are(cop_ctx *ctx, cop_net *net, const char *want) {
    copi_groups groups;
    char text[1024] = "";
    size_t at = 0;
    test_ok(ctx, copi_groups_find(net, &groups));
    for (int64_t g = 0; g < groups.groups; g++) {
        const copi_group *group = &groups.group[g];
        for (int m = 0; m < group->members; m++)
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%s%lld",
                                   m   ? " "
                                   : g ? "|"
                                       : "",
                                   net->node[group->member[m].node].name, (long long)group->member[m].channel);
        at += (size_t)snprintf(text + at, sizeof text - at, "%s", group->fixed ? "*" : "");
        assert_true(at < sizeof text);
    }
    assert_string_equal(text, want);
    copi_groups_clear(&groups);
    cop_net_destroy(net);
}

static cop_graph *begin(cop_ctx *ctx) {
    cop_graph *g;
    test_ok(ctx, cop_graph_create(ctx, &g));
    return g;
}

static int conv(cop_graph *g, const char *name, int src, int64_t filters, int64_t groups) {
    cop_conv_params p = cop_conv_params_default(filters, 1);
    p.groups = groups;
    return cop_graph_conv(g, name, src, &p);
}

/* End with a dense layer of one output, so that what comes before is free. */
static cop_net *end(cop_ctx *ctx, cop_graph *g, int x) {
    cop_net *net;
    cop_graph_dense(g, "z", cop_graph_flatten(g, "flat", x), 1, 1);
    test_ok(ctx, cop_graph_build(g, 1, &net));
    return net;
}

static void chain(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_graph *g = begin(ctx);
    int x = conv(g, "a", cop_graph_input(g, "i", 1, 4, 4), 2, 1);
    x = cop_graph_relu(g, "r", cop_graph_batchnorm(g, "n", x, 1e-3));
    cop_pool_params pool = cop_pool_params_default(2);
    x = cop_graph_max_pool(g, "p", cop_graph_dropout(g, "d", x, .5), &pool);
    x = cop_graph_dense(g, "b", cop_graph_flatten(g, "f", x), 2, 1);
    groups_are(ctx, end(ctx, g, x), "i0*|a0|a1|b0|b1|z0*");
    test_ctx_destroy(ctx);
}

static void residual(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_graph *g = begin(ctx);
    int a = conv(g, "a", cop_graph_input(g, "i", 1, 1, 1), 2, 1);
    int s = cop_graph_add(g, "s", a, conv(g, "c", conv(g, "b", a, 1, 1), 2, 1));
    s = cop_graph_add(g, "t", conv(g, "d", s, 2, 1), s); /* all summands of a stage share the choice */
    groups_are(ctx, end(ctx, g, cop_graph_relu(g, "r", s)), "i0*|a0 c0 d0|a1 c1 d1|b0|z0*");
    test_ctx_destroy(ctx);
}

static void fixed_by_the_ends(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_graph *g = begin(ctx);
    cop_net *net;
    int i = cop_graph_input(g, "i", 2, 1, 1);
    int s = cop_graph_add(g, "s", i, conv(g, "a", i, 2, 1)); /* a's channels are the input's */
    int x = cop_graph_flatten(g, "f", conv(g, "b", s, 2, 1));
    cop_graph_softmax(g, "y", cop_graph_add(g, "t", x, cop_graph_dense(g, "c", x, 2, 1))); /* b's the output's */
    test_ok(ctx, cop_graph_build(g, 1, &net));
    groups_are(ctx, net, "i0 a0*|i1 a1*|b0 c0*|b1 c1*");
    test_ctx_destroy(ctx);
}

static void concat_of_branches(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_graph *g = begin(ctx);
    int i = cop_graph_input(g, "i", 1, 1, 1), a = conv(g, "a", i, 2, 1), b = conv(g, "b", i, 1, 1);
    int cat = cop_graph_concat(g, "cat", (const int[]){a, b, a}, 3);
    int s = cop_graph_add(g, "s", cat, conv(g, "c", cat, 5, 1)); /* tied through the concat's places */
    groups_are(ctx, end(ctx, g, s), "i0*|a0 c0 c3|a1 c1 c4|b0 c2|z0*");
    test_ctx_destroy(ctx);
}

static void same_tensor_twice(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_graph *g = begin(ctx);
    int a = conv(g, "a", cop_graph_input(g, "i", 1, 1, 1), 2, 1);
    int cat = cop_graph_concat(g, "cat", (const int[]){a, a}, 2);
    int s = cop_graph_add(g, "s", cat, conv(g, "b", a, 4, 1));
    groups_are(ctx, end(ctx, g, s), "i0*|a0 b0 b2|a1 b1 b3|z0*");
    test_ctx_destroy(ctx);
}

static void flatten_of_maps(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_graph *g = begin(ctx);
    int a = conv(g, "a", cop_graph_input(g, "i", 1, 1, 2), 2, 1),
        f = cop_graph_flatten(g, "f", a); /* maps of 1 x 2 */
    int s = cop_graph_add(g, "s", f, cop_graph_dense(g, "d", f, 4, 1));
    cop_net *net;
    cop_graph_dense(g, "z", s, 1, 1);
    test_ok(ctx, cop_graph_build(g, 1, &net));
    groups_are(ctx, net, "i0*|a0 d0 d1|a1 d2 d3|z0*");
    test_ctx_destroy(ctx);
}

static void grouped_convs(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_graph *g = begin(ctx);
    int a = conv(g, "a", cop_graph_input(g, "i", 1, 1, 1), 4, 1);
    int b = conv(g, "b", cop_graph_relu(g, "r", a), 2, 2); /* each group goes as one: two inputs, one output */
    int c = conv(g, "c", conv(g, "m", b, 2, 1), 4, 2);     /* depthwise, two filters a channel */
    groups_are(ctx, end(ctx, g, conv(g, "d", c, 4, 4)), "i0*|a0 a1 b0|a2 a3 b1|m0 c0 c1 d0 d1|m1 c2 c3 d2 d3|z0*");
    test_ctx_destroy(ctx);
}

static void gates(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_graph *g = begin(ctx);
    int x = cop_graph_gate(g, "ga", conv(g, "a", cop_graph_input(g, "i", 1, 1, 1), 4, 1), 2); /* by pairs */
    x = cop_graph_gate(g, "gb", conv(g, "b", x, 2, 1), 2);                                    /* one by one */
    x = cop_graph_gate(g, "gc", conv(g, "c", x, 2, 1), 1); /* all at once: channels may still go one by one */
    groups_are(ctx, end(ctx, g, x), "i0*|a0 a1|a2 a3|b0|b1|c0|c1|z0*");
    test_ctx_destroy(ctx);
}

static void global_pool(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_graph *g = begin(ctx);
    int a = conv(g, "a", cop_graph_input(g, "i", 1, 3, 3), 2, 1), p = cop_graph_global_pool(g, "p", a);
    groups_are(ctx, end(ctx, g, cop_graph_add(g, "s", p, conv(g, "b", p, 2, 1))), "i0*|a0 b0|a1 b1|z0*");
    test_ctx_destroy(ctx);
}

static cop_status find_once(cop_ctx *ctx, void *user) {
    (void)user;
    cop_net *net = test_net_random(ctx, &(test_net_params){.seed = 5, .stages = 1});
    if (!net) return COP_E_NOMEM;
    copi_groups groups;
    cop_status status = copi_groups_find(net, &groups);
    copi_groups_clear(&groups);
    cop_net_destroy(net);
    return status;
}

/* As people see them: the residual net's stages, what is fixed and by what, sizes. */
static void groups_of_layers(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net;
    cop_groups *groups;
    cop_group_info info;
    test_ok(ctx, cop_net_preset(ctx, "resnet-20", 3, 16, 16, 4, 1, &net));
    test_ok(ctx, cop_groups_create(net, &groups));
    cop_net_destroy(net);
    /* input; stage 1 with the stem, 2, 3 with their projections; the first conv of 9 blocks; the classes */
    assert_int_equal(cop_groups_count(groups), 1 + 3 + 9 + 1);
    test_ok(ctx, cop_groups_get(groups, 0, &info));
    assert_string_equal(info.fixed_by, "input");
    assert_true(info.units == 0 && info.fixed == 3 && info.parameters == 0);
    test_ok(ctx, cop_groups_get(groups, 1, &info));
    assert_string_equal(info.name, "stem");
    static const char *const members[] = {"stem", "s1.b1.conv2", "s1.b2.conv2", "s1.b3.conv2"};
    assert_int_equal(info.layers, 4);
    for (int i = 0; i < 4; i++) assert_string_equal(info.layer[i], members[i]);
    assert_true(info.units == 16 && info.channels == 64 && info.fixed == 0 && !info.fixed_by);
    assert_int_equal(info.parameters, 3 * 16 * 9 + 3 * 16 * 16 * 9);
    assert_int_equal(info.macs, (3 * 16 * 9 + 3 * 16 * 16 * 9) * 256);
    test_ok(ctx, cop_groups_get(groups, 2, &info));
    assert_string_equal(info.name, "s1.b1.conv1");
    assert_true(info.layers == 1 && info.units == 16);
    test_ok(ctx, cop_groups_get(groups, cop_groups_count(groups) - 1, &info));
    assert_string_equal(info.name, "dense");
    assert_string_equal(info.fixed_by, "softmax");
    test_fails(ctx, cop_groups_get(groups, 14, &info), COP_E_RANGE, "coupling group 14; the net has groups 0 to 13");
    cop_groups_destroy(groups);
    test_ctx_destroy(ctx);
}

static cop_status list(cop_ctx *ctx, void *user) {
    cop_net own = *(const cop_net *)user;
    cop_groups *groups;
    own.ctx = ctx;
    cop_status status = cop_groups_create(&own, &groups);
    assert_int_equal(!status, groups != NULL);
    cop_groups_destroy(groups);
    return status;
}

static void out_of_memory(void **state) {
    (void)state;
    assert_true(test_out_of_memory(find_once, NULL) > 10);
    cop_ctx *ctx = test_ctx();
    cop_net *net;
    test_ok(ctx, cop_net_preset(ctx, "lenet-5", 1, 16, 16, 4, 1, &net));
    assert_true(test_out_of_memory(list, net) > 10);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(chain),
                                       cmocka_unit_test(residual),
                                       cmocka_unit_test(fixed_by_the_ends),
                                       cmocka_unit_test(concat_of_branches),
                                       cmocka_unit_test(same_tensor_twice),
                                       cmocka_unit_test(flatten_of_maps),
                                       cmocka_unit_test(grouped_convs),
                                       cmocka_unit_test(gates),
                                       cmocka_unit_test(global_pool),
                                       cmocka_unit_test(groups_of_layers),
                                       cmocka_unit_test(out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
