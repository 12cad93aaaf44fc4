/* Shrink on nets made by hand: what goes, what must stay, what is folded, and what travels along. */
#include "check.h"
#include "nets.h"
#include "reference.h"
#include "unit.h"

#include "prune/prune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* 1e-6: in double on both sides, what is folded is rounded to f32. */
static cop_net *shrunk(cop_ctx *ctx, const cop_net *net) {
    cop_net *small;
    test_ok(ctx, copi_shrink(net, 1, &small, NULL, NULL));
    double *a = ref_outputs(net, 1, 4), *b = ref_outputs(small, 1, 4);
    for (int i = 0; i < net->classes; i++) test_near(b[i], a[i], 1e-6, 1e-6);
    free(a);
    free(b);
    return small;
}

static cop_graph *begin(cop_ctx *ctx, int64_t channels, int64_t extent, int *input) {
    cop_graph *g;
    test_ok(ctx, cop_graph_create(ctx, &g));
    *input = cop_graph_input(g, "i", channels, extent, extent);
    return g;
}

typedef struct conv_shape {
    int64_t filters, kernel, pad, groups;
    int bias;
} conv_shape;

static int conv(cop_graph *g, const char *name, int src, conv_shape s) {
    cop_conv_params p = cop_conv_params_default(s.filters, s.kernel);
    for (int i = 0; i < 4; i++) p.pad[i] = s.pad;
    p.groups = s.groups ? s.groups : 1;
    p.bias = s.bias;
    return cop_graph_conv(g, name, src, &p);
}

static cop_net *end(cop_ctx *ctx, cop_graph *g, int x) {
    cop_net *net;
    cop_graph_dense(g, "z", cop_graph_flatten(g, "flat", x), 2, 1);
    test_ok(ctx, cop_graph_build(g, 1, &net));
    test_net_fill(net, 9);
    return net;
}

static int node(const cop_net *net, const char *name) {
    int n = copi_net_find(net, name);
    if (n < 0) fail_msg("there is no node '%s'", name);
    return n;
}

static float *data(const cop_net *net, const char *name) {
    int p = copi_net_find_param(net, name);
    if (p < 0) fail_msg("there is no parameter '%s'", name);
    return net->param[p].data;
}

static void shape_is(const cop_net *net, const char *name, int64_t o, int64_t i, int64_t kh, int64_t kw) {
    int p = copi_net_find_param(net, name);
    assert_true(p >= 0);
    const int64_t want[4] = {o, i, kh, kw};
    for (int d = 0; d < 4; d++) assert_int_equal(net->param[p].shape[d], want[d]);
}

static void mask(cop_ctx *ctx, cop_net *net, const char *name, int64_t unit) {
    test_ok(ctx, test_mask_unit(net, node(net, name), unit));
}

/* conv - pool - conv - flatten (2 x 2 maps) - dense - dense: the consumer's slices go too. */
static void chain(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    int x;
    cop_graph *g = begin(ctx, 2, 8, &x);
    cop_pool_params pool = cop_pool_params_default(2);
    x = cop_graph_relu(g, "ra", cop_graph_batchnorm(g, "na", conv(g, "a", x, (conv_shape){4, 3, 1, 1, 1}), 1e-3));
    x = cop_graph_relu(g, "rb", conv(g, "b", cop_graph_max_pool(g, "p", x, &pool), (conv_shape){3, 3, 1, 1, 1}));
    x = cop_graph_relu(
        g, "rc", cop_graph_dense(g, "c", cop_graph_flatten(g, "f", cop_graph_max_pool(g, "q", x, &pool)), 5, 1));
    cop_net *net;
    cop_graph_dense(g, "d", x, 2, 1);
    test_ok(ctx, cop_graph_build(g, 1, &net));
    test_net_fill(net, 9);
    mask(ctx, net, "a", 1);
    mask(ctx, net, "b", 0);
    mask(ctx, net, "c", 2);
    mask(ctx, net, "c", 4);
    cop_net *small = shrunk(ctx, net);
    shape_is(small, "a.weight", 3, 2, 3, 3);
    shape_is(small, "na.mean", 3, 1, 1, 1);
    shape_is(small, "b.weight", 2, 3, 3, 3);
    shape_is(small, "c.weight", 3, 2 * 4, 1, 1);
    shape_is(small, "d.weight", 2, 3, 1, 1);
    assert_true(data(small, "c.weight")[0] == data(net, "c.weight")[4]); /* columns 4 to 11 are channels 1 and 2 */
    assert_true(data(small, "d.weight")[2] == data(net, "d.weight")[3]);
    for (int p = 0; p < small->params; p++) assert_null(small->param[p].mask); /* nothing masked is left */
    assert_non_null(strstr(small->provenance, "shrink: 4 channels and neurons removed"));
    cop_net_destroy(small);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* A unit that only gives its bias is folded into the next layer's bias, but never through zero padding. */
static void constants(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    for (int padded = 0; padded < 2; padded++) {
        int x;
        cop_graph *g = begin(ctx, 1, 5, &x);
        x = cop_graph_relu(g, "r", conv(g, "a", x, (conv_shape){3, 1, 0, 1, 1}));
        cop_net *net = end(ctx, g, conv(g, "b", x, (conv_shape){2, 3, padded, 1, 1}));
        data(net, "a.weight")[1] = 0;
        data(net, "a.bias")[1] = 0.75f;
        cop_net *small = shrunk(ctx, net);
        shape_is(small, "a.weight", padded ? 3 : 2, 1, 1, 1);
        shape_is(small, "b.weight", 2, padded ? 3 : 2, 3, 3);
        for (int o = 0; o < 2; o++) {
            double sum = 0;
            for (int t = 0; t < 9; t++) sum += data(net, "b.weight")[(o * 3 + 1) * 9 + t];
            test_near(data(small, "b.bias")[o], data(net, "b.bias")[o] + (padded ? 0 : 0.75 * sum), 1e-6, 1e-7);
        }
        cop_net_destroy(small);
        data(net, "a.bias")[1] = -0.75f; /* the relu makes it 0 */
        small = shrunk(ctx, net);
        shape_is(small, "a.weight", 2, 1, 1, 1);
        cop_net_destroy(small);
        cop_net_destroy(net);
    }
    test_ctx_destroy(ctx);
}

/* Average pooling that counts the zeros outside makes a pattern of a constant; that of what is inside does not. */
static void constants_through_pools(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    for (int counted = 0; counted < 3; counted++) {
        int x;
        cop_graph *g = begin(ctx, 1, 4, &x);
        cop_pool_params pool = cop_pool_params_default(2);
        pool.pad[0] = pool.pad[3] = 1;
        pool.count_pad = counted == 1;
        x = conv(g, "a", x, (conv_shape){2, 1, 0, 1, 1});
        x = counted == 2 ? cop_graph_max_pool(g, "p", x, &pool) : cop_graph_avg_pool(g, "p", x, &pool);
        cop_net *net = end(ctx, g, conv(g, "b", x, (conv_shape){2, 1, 0, 1, 1}));
        data(net, "a.weight")[0] = 0;
        data(net, "a.bias")[0] = -3;
        cop_net *small = shrunk(ctx, net);
        shape_is(small, "a.weight", counted == 1 ? 2 : 1, 1, 1, 1);
        cop_net_destroy(small);
        cop_net_destroy(net);
    }
    test_ctx_destroy(ctx);
}

/* Without a bias, what is constant goes into the running mean of the batch-norm behind, if that is all that reads
 * it. */
static void constants_without_bias(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    for (int norm = 0; norm < 3; norm++) {
        int x;
        cop_graph *g = begin(ctx, 1, 5, &x);
        x = cop_graph_relu(g, "r", cop_graph_batchnorm(g, "na", conv(g, "a", x, (conv_shape){3, 1, 0, 1, 0}), 1e-3));
        int b = conv(g, "b", x, (conv_shape){2, 3, 0, 1, 0}), y = b;
        if (norm) y = cop_graph_batchnorm(g, "nb", b, 1e-3);
        if (norm == 2) y = cop_graph_add(g, "s", y, b); /* a second reader */
        cop_net *net = end(ctx, g, y);
        data(net, "na.scale")[2] = 0; /* the batch-norm gives its shift alone */
        data(net, "na.shift")[2] = 0.5f;
        cop_net *small = shrunk(ctx, net);
        shape_is(small, "a.weight", norm == 1 ? 2 : 3, 1, 1, 1);
        if (norm == 1) assert_true(fabs(data(small, "nb.mean")[0] - data(net, "nb.mean")[0]) > 1e-3);
        cop_net_destroy(small);
        cop_net_destroy(net);
    }
    test_ctx_destroy(ctx);
}

/* A bias held at zero by its mask that takes a folded constant is held no more. */
static void fold_into_masked_bias(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    int x;
    cop_graph *g = begin(ctx, 1, 3, &x);
    cop_net *net =
        end(ctx, g, conv(g, "b", conv(g, "a", x, (conv_shape){2, 1, 0, 1, 1}), (conv_shape){2, 1, 0, 1, 1}));
    data(net, "a.weight")[0] = 0;
    data(net, "a.bias")[0] = 2;
    copi_param *bias = &net->param[copi_net_find_param(net, "b.bias")];
    uint8_t *held = copi_param_mask(net, bias);
    assert_non_null(held);
    held[0] = held[1] = 0;
    copi_net_apply_masks(net);
    cop_net *small = shrunk(ctx, net);
    shape_is(small, "a.weight", 1, 1, 1, 1);
    const copi_param *now = &small->param[copi_net_find_param(small, "b.bias")];
    for (int o = 0; o < 2; o++) {
        test_near(now->data[o], 2 * data(net, "b.weight")[o * 2], 1e-6, 0);
        assert_true(!now->mask || now->mask[o]);
    }
    cop_net_destroy(small);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* What no one reads goes as well: its readers' weights are zero, or its readers went. */
static void unread(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    int x;
    cop_graph *g = begin(ctx, 1, 3, &x);
    x = cop_graph_relu(g, "ra", conv(g, "a", x, (conv_shape){3, 1, 0, 1, 1}));
    x = cop_graph_relu(g, "rb", conv(g, "b", x, (conv_shape){2, 1, 0, 1, 1}));
    cop_net *net = end(ctx, g, x);
    data(net, "b.weight")[1] = 0; /* filter 0 does not read a1, */
    mask(ctx, net, "b", 1);       /* filter 1, which does, is gone */
    cop_net *small = shrunk(ctx, net);
    shape_is(small, "a.weight", 2, 1, 1, 1);
    shape_is(small, "b.weight", 1, 2, 1, 1);
    cop_net_destroy(small);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* A residual branch that gives nothing is gone, with all its nodes; half a branch stays as wide as the shortcut. */
static void residual(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    for (int whole = 0; whole < 2; whole++) {
        int x;
        cop_graph *g = begin(ctx, 1, 3, &x);
        int a = conv(g, "a", x, (conv_shape){3, 1, 0, 1, 1});
        int b = cop_graph_relu(g, "rb", conv(g, "b", a, (conv_shape){4, 3, 1, 1, 1}));
        int c = cop_graph_batchnorm(g, "nc", conv(g, "c", b, (conv_shape){3, 3, 1, 1, 0}), 1e-3);
        cop_net *net = end(ctx, g, cop_graph_relu(g, "r", cop_graph_add(g, "s", c, a)));
        for (int o = 0; o < 2 + whole; o++) mask(ctx, net, "c", o);
        mask(ctx, net, "b", 3);
        cop_net *small = shrunk(ctx, net);
        if (whole) {
            assert_int_equal(small->nodes, 5); /* i a r flat z */
            assert_int_equal(copi_net_find(small, "b"), -1);
            assert_int_equal(copi_net_find(small, "s"), -1);
        } else {
            shape_is(small, "c.weight", 3, 3, 3, 3);
            shape_is(small, "a.weight", 3, 1, 1, 1);
        }
        cop_net_destroy(small);
        cop_net_destroy(net);
    }
    test_ctx_destroy(ctx);
}

static void sum_that_is_the_output(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    int x;
    cop_graph *g = begin(ctx, 2, 1, &x);
    cop_net *net;
    int y = cop_graph_dense(g, "a", cop_graph_flatten(g, "f", x), 2, 1);
    cop_graph_add(g, "s", y, cop_graph_dense(g, "b", y, 2, 1));
    test_ok(ctx, cop_graph_build(g, 1, &net));
    test_net_fill(net, 9);
    mask(ctx, net, "b", 0);
    mask(ctx, net, "b", 1);
    cop_net *small = shrunk(ctx, net);
    assert_string_equal(small->node[small->nodes - 1].name, "a");
    assert_int_equal(small->classes, 2);
    cop_net_destroy(small);
    cop_net_destroy(net);

    g = begin(ctx, 2, 1, &x); /* and here, without the branch, nothing but the input would be left */
    cop_graph_add(g, "s", x, conv(g, "b", x, (conv_shape){2, 1, 0, 1, 1}));
    test_ok(ctx, cop_graph_build(g, 1, &net));
    mask(ctx, net, "b", 0);
    mask(ctx, net, "b", 1);
    small = shrunk(ctx, net);
    assert_int_equal(small->nodes, 3);
    cop_net_destroy(small);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

static void concat(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    int x;
    cop_graph *g = begin(ctx, 1, 3, &x);
    int a = conv(g, "a", x, (conv_shape){3, 1, 0, 1, 1}), b = conv(g, "b", x, (conv_shape){2, 1, 0, 1, 1});
    int cat = cop_graph_concat(g, "cat", (const int[]){a, b, a}, 3);
    cop_net *net = end(ctx, g, conv(g, "c", cat, (conv_shape){2, 1, 0, 1, 1}));
    mask(ctx, net, "a", 1);
    mask(ctx, net, "b", 0);
    cop_net *small = shrunk(ctx, net);
    shape_is(small, "a.weight", 2, 1, 1, 1);
    shape_is(small, "b.weight", 1, 1, 1, 1);
    shape_is(small, "c.weight", 2, 5, 1, 1);
    const int columns[] = {0, 2, 4, 5, 7}; /* a0 a2 b1 a0 a2 */
    for (int i = 0; i < 5; i++) assert_true(data(small, "c.weight")[i] == data(net, "c.weight")[columns[i]]);
    cop_net_destroy(small);

    mask(ctx, net, "b", 1); /* a source of which nothing is left */
    small = shrunk(ctx, net);
    assert_int_equal(copi_net_find(small, "b"), -1);
    assert_int_equal(small->node[node(small, "cat")].nsrc, 2);
    cop_net_destroy(small);
    cop_net_destroy(net);

    g = begin(ctx, 1, 3, &x); /* a concat of one is none */
    a = conv(g, "a", x, (conv_shape){3, 1, 0, 1, 1});
    b = conv(g, "b", x, (conv_shape){1, 1, 0, 1, 1});
    cat = cop_graph_concat(g, "cat", (const int[]){b, a}, 2);
    net = end(ctx, g, conv(g, "c", cat, (conv_shape){2, 1, 0, 1, 1}));
    mask(ctx, net, "b", 0);
    small = shrunk(ctx, net);
    assert_int_equal(copi_net_find(small, "cat"), -1);
    shape_is(small, "c.weight", 2, 3, 1, 1);
    cop_net_destroy(small);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* Groups go whole; within those that stay, all keep as many channels as the fullest. */
static void grouped(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    int x;
    cop_graph *g = begin(ctx, 1, 3, &x);
    int a = cop_graph_relu(g, "r", conv(g, "a", x, (conv_shape){9, 1, 0, 1, 1})); /* three groups of three */
    cop_net *net = end(ctx, g, conv(g, "b", a, (conv_shape){6, 3, 1, 3, 1}));     /* two filters each */
    for (int c = 3; c < 6; c++) mask(ctx, net, "a", c);
    mask(ctx, net, "b", 2);
    mask(ctx, net, "b", 3);
    mask(ctx, net, "a", 0);
    mask(ctx, net, "a", 8);
    mask(ctx, net, "a", 7);
    cop_net *small = shrunk(ctx, net);
    assert_int_equal(small->node[node(small, "b")].u.conv.groups, 2);
    shape_is(small, "a.weight", 4, 1, 1, 1); /* 1 2 | 6 and, to be even, 7 */
    shape_is(small, "b.weight", 4, 2, 3, 3);
    cop_net_destroy(small);
    cop_net_destroy(net);

    g = begin(ctx, 1, 3, &x); /* depthwise with two filters a channel */
    a = conv(g, "a", x, (conv_shape){3, 1, 0, 1, 1});
    net = end(ctx, g, cop_graph_relu(g, "r", conv(g, "b", a, (conv_shape){6, 3, 1, 3, 1})));
    mask(ctx, net, "a", 1);
    mask(ctx, net, "b", 2);
    mask(ctx, net, "b", 3);
    small = shrunk(ctx, net);
    assert_int_equal(small->node[node(small, "b")].u.conv.groups, 2);
    shape_is(small, "b.weight", 4, 1, 3, 3);
    cop_net_destroy(small);
    mask(ctx, net, "b", 0); /* one of a pair: it stays, for the others have two */
    small = shrunk(ctx, net);
    shape_is(small, "b.weight", 4, 1, 3, 3);
    cop_net_destroy(small);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

static void gates(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    int x;
    cop_graph *g = begin(ctx, 1, 3, &x);
    x = cop_graph_gate(g, "ga", conv(g, "a", x, (conv_shape){3, 1, 0, 1, 1}), 3);
    x = cop_graph_gate(g, "gb", conv(g, "b", x, (conv_shape){6, 1, 0, 1, 1}), 3);
    x = cop_graph_gate(g, "gc", conv(g, "c", x, (conv_shape){4, 1, 0, 1, 1}), 1);
    cop_net *net = end(ctx, g, x);
    data(net, "ga.gate")[1] = 0; /* a unit */
    data(net, "gb.gate")[0] = 0; /* a group of two */
    mask(ctx, net, "c", 0);
    cop_net *small = shrunk(ctx, net);
    shape_is(small, "ga.gate", 2, 1, 1, 1);
    shape_is(small, "gb.gate", 2, 1, 1, 1);
    shape_is(small, "gc.gate", 1, 1, 1, 1);
    shape_is(small, "b.weight", 4, 2, 1, 1);
    shape_is(small, "c.weight", 3, 4, 1, 1);
    assert_true(data(small, "ga.gate")[1] == data(net, "ga.gate")[2]);
    cop_net_destroy(small);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* Where everything is dead, every layer keeps one unit, and the output its constant. */
static void never_empty(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    int x;
    cop_graph *g = begin(ctx, 2, 4, &x);
    x = cop_graph_relu(g, "ra", conv(g, "a", x, (conv_shape){3, 3, 1, 1, 1}));
    x = cop_graph_relu(g, "rb", conv(g, "b", x, (conv_shape){6, 3, 1, 3, 1}));
    cop_net *net = end(ctx, g, x);
    for (int o = 0; o < 3; o++) mask(ctx, net, "a", o);
    for (int o = 0; o < 6; o++) mask(ctx, net, "b", o);
    cop_net *small = shrunk(ctx, net);
    shape_is(small, "a.weight", 1, 2, 3, 3);
    shape_is(small, "b.weight", 1, 1, 3, 3);
    shape_is(small, "z.weight", 2, 16, 1, 1);
    assert_int_equal(small->node[node(small, "b")].u.conv.groups, 1);
    cop_net_destroy(small);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* Masks of weights, dense totals, classes, normalization and history go with the net. */
static void what_travels(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    int x;
    cop_graph *g = begin(ctx, 2, 4, &x);
    x = cop_graph_relu(g, "ra", conv(g, "a", x, (conv_shape){4, 3, 1, 1, 1}));
    cop_net *net = end(ctx, g, conv(g, "b", x, (conv_shape){3, 3, 1, 1, 1}));
    copi_net_mark_dense(net);
    test_ok(ctx, copi_net_set_classes(net, (const char *const[]){"cat", "dog"}, 2));
    test_ok(ctx, copi_net_set_normalization(net, (const double[]){.1, .2}, (const double[]){.3, .4}));
    test_ok(ctx, copi_net_note(net, "made for a test"));
    uint8_t *held = copi_param_mask(net, &net->param[copi_net_find_param(net, "b.weight")]);
    assert_non_null(held);
    held[2 * 9 + 5] = 0; /* b[0,2,1,2] */
    copi_net_apply_masks(net);
    mask(ctx, net, "a", 1);
    cop_net_info before, after;
    cop_net_get_info(net, &before);
    cop_net *small = shrunk(ctx, net);
    cop_net_get_info(small, &after);
    const copi_param *b = &small->param[copi_net_find_param(small, "b.weight")];
    for (int64_t i = 0; i < b->count; i++) assert_int_equal(b->mask[i], i != 9 + 5); /* a2 is the second input now */
    assert_int_equal(after.parameters_dense, before.parameters_dense);
    assert_int_equal(after.macs_dense, before.macs_dense);
    assert_true(after.parameters < before.parameters && after.macs < before.macs);
    cop_layer_info was, is;
    test_ok(ctx, cop_net_get_layer(net, node(net, "a"), &was));
    test_ok(ctx, cop_net_get_layer(small, node(small, "a"), &is));
    assert_int_equal(is.parameters_dense, was.parameters_dense);
    test_near(is.sparsity, was.sparsity, 1e-12, 0); /* a removed filter counts as a zero one */
    assert_true(is.sparsity > 0.2);
    assert_string_equal(small->class_name[1], "dog");
    assert_true(small->normalized && small->std[1] == .4);
    assert_non_null(strstr(small->provenance, "made for a test\nshrink: 1 channels"));
    cop_net_destroy(small);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* The presets with shortcuts and groups, pruned by half, on little images. */
static void presets(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    static const char *const names[] = {"resnet-20", "resnext-20", "seed-cnn", "lenet-5"};
    static const char *const criteria[] = {"l1-filter", "bn-scale", "l2-filter", "l2-neuron"};
    for (size_t i = 0; i < COPI_COUNT(names); i++) {
        cop_net *net;
        int64_t extent = i < 2 ? 8 : 28;
        test_ok(ctx, cop_net_preset(ctx, names[i], i < 3 ? 3 : 1, extent, extent, 10, 1, &net));
        test_net_fill(net, 7);
        cop_prune_params p = cop_prune_params_default();
        p.criterion = criteria[i];
        p.sparsity = 0.5;
        test_ok(ctx, copi_prune(net, &p, NULL, NULL));
        cop_net *small = shrunk(ctx, net);
        cop_net_info before, after;
        cop_net_get_info(net, &before);
        cop_net_get_info(small, &after);
        assert_true(after.parameters < 0.9 * (double)before.parameters);
        assert_true(after.macs < before.macs);
        assert_int_equal(after.zeros, 0); /* nothing that was pruned is still there */
        cop_net_destroy(small);
        cop_net_destroy(net);
    }
    test_ctx_destroy(ctx);
}

/* -- residual branches that give constants, not 0 -- */

/* stem -> [norm -> relu -> conv -> norm2 (a constant) + x] -> what reads the sum. */
typedef struct branch {
    cop_graph *g;
    int x, sum;
} branch;
static branch branch_of(cop_ctx *ctx, bool bias) {
    branch b;
    int input;
    b.g = begin(ctx, 2, 6, &input);
    int stem = conv(b.g, "stem", input, (conv_shape){3, 3, 0, 1, bias});
    b.x = bias ? stem : cop_graph_relu(b.g, "stem_relu", stem);
    int y = cop_graph_relu(b.g, "r", cop_graph_batchnorm(b.g, "n1", b.x, 1e-5));
    y = cop_graph_batchnorm(b.g, "n2", conv(b.g, "c", y, (conv_shape){3, 3, 1, 1, 0}), 1e-5);
    b.sum = cop_graph_add(b.g, "sum", y, b.x);
    return b;
}
static void make_constant(cop_net *net, const char *scale) {
    const copi_param *p = &net->param[copi_net_find_param(net, scale)];
    for (int64_t i = 0; i < p->count; i++) p->data[i] = 0;
}

static void constant_branches_go(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_pool_params pool = cop_pool_params_default(2);
    static const char *const where[] = {"forward into a batch-norm, a bias and through another sum", "padded conv",
                                        "relu", "output", "dense behind pools and flatten"};
    for (int k = 0; k < 5; k++) {
        branch b = branch_of(ctx, false);
        int y = b.sum;
        if (k == 0) { /* read by a batch-norm, by an unpadded conv with bias, and by a sum, in turn read by a conv
                         without, whose batch-norm takes it */
            int n = cop_graph_relu(b.g, "rn", cop_graph_batchnorm(b.g, "n3", y, 1e-5));
            int p = cop_graph_add(b.g, "sum2", conv(b.g, "c2", n, (conv_shape){3, 3, 1, 1, 0}), y);
            int q = conv(b.g, "c3", y, (conv_shape){3, 3, 0, 1, 1});
            p = cop_graph_relu(b.g, "rp",
                               cop_graph_batchnorm(b.g, "n4", conv(b.g, "c4", p, (conv_shape){3, 3, 0, 1, 0}), 1e-5));
            y = cop_graph_add(b.g, "sum3", cop_graph_relu(b.g, "rq", q), p);
        } else if (k == 1) {
            y = conv(b.g, "c2", y, (conv_shape){3, 3, 1, 1, 1});
        } else if (k == 2) {
            y = cop_graph_relu(b.g, "rs", y);
        } else if (k == 3) {
            y = cop_graph_softmax(b.g, "soft", cop_graph_flatten(b.g, "fs", cop_graph_global_pool(b.g, "gp", y)));
        } else if (k == 4) {
            y = cop_graph_dropout(b.g, "drop", cop_graph_max_pool(b.g, "pool", y, &pool), .5);
        }
        cop_net *net;
        if (k == 3) { /* the sum's mean is what the net gives */
            test_ok(ctx, cop_graph_build(b.g, 1, &net));
            test_net_fill(net, 9);
        } else {
            net = end(ctx, b.g, y);
        }
        make_constant(net, "n2.scale");
        cop_net *copy, *small;
        test_ok(ctx, cop_net_clone(net, &copy));
        small = shrunk(ctx, net);
        bool gone =
            copi_net_find(small, "c") < 0 && copi_net_find(small, "n2") < 0 && copi_net_find(small, "sum") < 0;
        if (gone != (k == 0 || k == 4)) fail_msg("%s: the branch is%s there", where[k], gone ? " not" : "");
        assert_memory_equal(net->block, copy->block, net->block_count * sizeof *net->block); /* left alone */
        cop_net_destroy(copy);
        cop_net_destroy(small);
        cop_net_destroy(net);
    }
    /* back: the stem's bias takes it, though what reads the sum could not; but the stem feeds the branch too, which
     * must not see it */
    for (int k = 0; k < 2; k++) {
        int input;
        cop_graph *g = begin(ctx, 2, 6, &input);
        int x = conv(g, "left", input, (conv_shape){3, 3, 1, 1, 1});
        int y = cop_graph_batchnorm(g, "n", conv(g, "right", k ? x : input, (conv_shape){3, 3, 1, 1, 0}), 1e-5);
        cop_net *net = end(ctx, g, cop_graph_relu(g, "r", cop_graph_add(g, "sum", x, cop_graph_relu(g, "ry", y))));
        make_constant(net, "n.scale");
        const double want[] = {0, 2, 3};
        float *shift = data(net, "n.shift");
        shift[0] = -1, shift[1] = 2, shift[2] = 3; /* the relu makes 0, 2 and 3 of them */
        cop_net *small = shrunk(ctx, net);
        assert_int_equal(copi_net_find(small, "right") < 0, k == 0);
        if (k == 0)
            for (int c = 0; c < 3; c++)
                test_near(data(small, "left.bias")[c], (double)data(net, "left.bias")[c] + want[c], 1e-6, 0);
        cop_net_destroy(small);
        cop_net_destroy(net);
    }
    /* the projected shortcut of an original residual net */
    cop_net *net, *small;
    test_ok(ctx, cop_net_preset(ctx, "resnet-20", 3, 8, 8, 3, 1, &net));
    test_net_fill(net, 2);
    make_constant(net, "s2.b1.bn2.scale");
    small = shrunk(ctx, net);
    assert_true(copi_net_find(small, "s2.b1.conv1") < 0 && copi_net_find(small, "s2.b1.add") < 0);
    cop_net_destroy(small);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

static cop_status absorb_and_shrink(cop_ctx *ctx, void *user) {
    cop_net own = *(const cop_net *)user, *small;
    own.ctx = ctx;
    cop_status status = copi_shrink(&own, 1, &small, NULL, NULL);
    cop_net_destroy(small);
    return status;
}

static void out_of_memory_in_branches(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    branch b = branch_of(ctx, false);
    cop_net *net = end(ctx, b.g, b.sum);
    make_constant(net, "n2.scale");
    assert_true(test_out_of_memory(absorb_and_shrink, net) > 50);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* 11 of 16 filters and 5 of 9 neurons are left: multiples of 4 are 12 and 8, the dead among them 0; multiples of 16
 * are all that there were. */
static void rounded_up(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    int input;
    cop_graph *g = begin(ctx, 1, 5, &input);
    int x = cop_graph_relu(g, "r", conv(g, "c", input, (conv_shape){16, 3, 1, 1, 1}));
    x = cop_graph_relu(g, "rd", cop_graph_dense(g, "d", cop_graph_flatten(g, "f", x), 9, 1));
    cop_graph_dense(g, "z", x, 2, 1);
    cop_net *net, *small;
    test_ok(ctx, cop_graph_build(g, 1, &net));
    test_net_fill(net, 9);
    for (int i = 0; i < 5; i++) test_ok(ctx, test_mask_unit(net, copi_net_find(net, "c"), 3 * i));
    for (int i = 0; i < 4; i++) test_ok(ctx, test_mask_unit(net, copi_net_find(net, "d"), 2 * i));
    static const int64_t multiple[] = {1, 4, 16}, filters[] = {11, 12, 16}, neurons[] = {5, 8, 9};
    double *want = ref_outputs(net, 1, 4);
    for (int k = 0; k < 3; k++) {
        test_ok(ctx, copi_shrink(net, multiple[k], &small, NULL, NULL));
        assert_int_equal(small->node[node(small, "c")].shape[0], filters[k]);
        assert_int_equal(small->node[node(small, "d")].shape[0], neurons[k]);
        double *got = ref_outputs(small, 1, 4);
        for (int i = 0; i < 2; i++) test_near(got[i], want[i], 1e-6, 1e-6);
        free(got);
        cop_net_destroy(small);
    }
    free(want);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(chain),
                                       cmocka_unit_test(constants),
                                       cmocka_unit_test(constants_through_pools),
                                       cmocka_unit_test(constants_without_bias),
                                       cmocka_unit_test(fold_into_masked_bias),
                                       cmocka_unit_test(unread),
                                       cmocka_unit_test(residual),
                                       cmocka_unit_test(sum_that_is_the_output),
                                       cmocka_unit_test(concat),
                                       cmocka_unit_test(grouped),
                                       cmocka_unit_test(gates),
                                       cmocka_unit_test(never_empty),
                                       cmocka_unit_test(what_travels),
                                       cmocka_unit_test(presets),
                                       cmocka_unit_test(constant_branches_go),
                                       cmocka_unit_test(out_of_memory_in_branches),
                                       cmocka_unit_test(rounded_up)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
