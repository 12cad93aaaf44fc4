/* Choosing and masking: shares, floors, refusals, what is masked with a unit, coupled units. */
#include "check.h"
#include "nets.h"
#include "unit.h"

#include "prune/prune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static cop_prune_params params(const char *criterion, const char *scope, double sparsity) {
    cop_prune_params p = cop_prune_params_default();
    p.criterion = criterion;
    p.scope = scope;
    p.sparsity = sparsity;
    return p;
}

static copi_param *param(const cop_net *net, const char *name) {
    int p = copi_net_find_param(net, name);
    assert_true(p >= 0);
    return &net->param[p];
}

static void set(const cop_net *net, const char *name, const float *values) {
    memcpy(param(net, name)->data, values, (size_t)param(net, name)->count * sizeof *values);
}

static void is(const cop_net *net, const char *name, const float *values) {
    const copi_param *p = param(net, name);
    for (int64_t i = 0; i < p->count; i++) {
        if (p->data[i] != values[i])
            fail_msg("%s[%lld] is %g, not %g", name, (long long)i, (double)p->data[i], (double)values[i]);
        if (p->mask) assert_int_equal(p->mask[i], values[i] != 0);
    }
}

/* input [2,1,1] -> conv a [4] -> batch-norm n -> relu -> conv b [4] -> flatten -> dense c [3] -> dense d [2] */
static cop_net *chain(cop_ctx *ctx) {
    cop_graph *g;
    cop_net *net;
    test_ok(ctx, cop_graph_create(ctx, &g));
    cop_conv_params p = cop_conv_params_default(4, 1);
    int x = cop_graph_conv(g, "a", cop_graph_input(g, "input", 2, 1, 1), &p);
    x = cop_graph_relu(g, "r", cop_graph_batchnorm(g, "n", x, 1e-3));
    x = cop_graph_flatten(g, "f", cop_graph_conv(g, "b", x, &p));
    cop_graph_dense(g, "d", cop_graph_dense(g, "c", x, 3, 1), 2, 1);
    test_ok(ctx, cop_graph_build(g, 1, &net));
    set(net, "a.weight", (float[]){1, -2, 8, 3, 4, -4, 5, 6});
    set(net, "a.bias", (float[]){1, 2, 3, 4});
    set(net, "n.shift", (float[]){1, 1, 1, 1});
    set(net, "b.weight", (float[]){.1f, .2f, .3f, .4f, 1, 1, 1, 1, 2, 2, 2, 2, 3, -3, 3, -3});
    set(net, "b.bias", (float[]){1, 1, 1, 1});
    set(net, "c.weight", (float[]){1, 1, 1, 1, 3, 3, 3, 3, 2, 2, -2, -2});
    set(net, "c.bias", (float[]){1, 2, 3});
    set(net, "d.weight", (float[]){1, 2, 3, 4, 5, 6});
    return net;
}

static void magnitude_by_layer(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net = chain(ctx);
    cop_prune_params p = params("magnitude", "layer", 0.5);
    cop_prune_report report;
    test_ok(ctx, copi_prune(net, &p, NULL, &report));
    is(net, "a.weight", (float[]){0, 0, 8, 0, 0, -4, 5, 6}); /* of the two fours the lower index went */
    is(net, "b.weight", (float[]){0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 2, 3, -3, 3, -3});
    is(net, "c.weight", (float[]){0, 0, 0, 0, 3, 3, 3, 3, 0, 0, -2, -2});
    is(net, "d.weight", (float[]){0, 0, 0, 4, 5, 6}); /* the output layer too */
    is(net, "a.bias", (float[]){1, 2, 3, 4});
    assert_int_equal(report.ranked, 8 + 16 + 12 + 6);
    assert_int_equal(report.removed, 21);
    assert_true(report.asked == 0.5);
    /* 21 weights, and d's two biases, which start at 0, of 42 weights + 4 + 8 + 4 + 3 + 2 */
    test_near(report.obtained, 23 / 63., 1e-12, 0);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

static void magnitude_globally(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net = chain(ctx);
    cop_prune_params p = params("magnitude", "global", 14 / 42.);
    test_ok(ctx, copi_prune(net, &p, NULL, NULL));
    is(net, "a.weight", (float[]){0, -2, 8, 3, 4, -4, 5, 6}); /* the lowest: .1 .2 .3 .4 and ten ones */
    is(net, "b.weight", (float[]){0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 2, 3, -3, 3, -3});
    is(net, "c.weight", (float[]){0, 0, 0, 0, 3, 3, 3, 3, 2, 2, -2, -2});
    is(net, "d.weight", (float[]){0, 2, 3, 4, 5, 6});
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* keep binds global ranking: b would lose 14 of 16 and is left its best 5. */
static void floor_binds_globally(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net = chain(ctx);
    set(net, "b.weight",
        (float[]){.1f, .2f, .3f, .4f, .5f, .6f, .7f, .8f, .9f, .01f, .02f, .03f, .04f, .05f, .06f, .07f});
    cop_prune_params p = params("magnitude", "global", 0.5);
    p.keep = 5;
    cop_prune_report report;
    test_ok(ctx, copi_prune(net, &p, NULL, &report));
    assert_int_equal(report.removed, 21);
    is(net, "b.weight", (float[]){0, 0, 0, 0, .5f, .6f, .7f, .8f, .9f, 0, 0, 0, 0, 0, 0, 0});
    is(net, "d.weight",
       (float[]){0, 2, 3, 4, 5, 6}); /* 11 of b, then the smallest of the others, d keeping its best 5 */
    is(net, "c.weight", (float[]){0, 0, 0, 0, 3, 3, 3, 3, 0, 0, 0, -2});
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

static void filters(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    static const char *const criteria[] = {"l1-filter", "l2-filter"};
    for (int i = 0; i < 2; i++) {
        cop_net *net = chain(ctx);
        cop_prune_params p = params(criteria[i], "layer", 0.5);
        cop_prune_report report;
        test_ok(ctx, copi_prune(net, &p, NULL, &report));
        /* a filter takes its bias and its batch-norm's scale and shift along */
        is(net, "a.weight", (float[]){0, 0, 8, 3, 0, 0, 5, 6});
        is(net, "a.bias", (float[]){0, 2, 0, 4});
        is(net, "n.scale", (float[]){0, 1, 0, 1});
        is(net, "n.shift", (float[]){0, 1, 0, 1});
        /* and the weights that read it */
        is(net, "b.weight", (float[]){0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 2, 0, -3, 0, -3});
        is(net, "b.bias", (float[]){0, 0, 1, 1});
        is(net, "c.weight", (float[]){0, 0, 1, 1, 0, 0, 3, 3, 0, 0, -2, -2});
        assert_null(param(net, "c.bias")->mask); /* no neuron goes */
        assert_null(param(net, "n.mean")->mask);
        assert_int_equal(report.ranked, 8);
        assert_int_equal(report.removed, 4);
        cop_net_destroy(net);
    }
    test_ctx_destroy(ctx);
}

static void neurons(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net = chain(ctx);
    cop_prune_params p = params("l2-neuron", "layer", 0.67);
    cop_prune_report report;
    test_ok(ctx, copi_prune(net, &p, NULL, &report));
    is(net, "c.weight", (float[]){0, 0, 0, 0, 3, 3, 3, 3, 0, 0, 0, 0});
    is(net, "c.bias", (float[]){0, 2, 0});
    is(net, "d.weight", (float[]){0, 2, 0, 0, 5, 0}); /* the last dense layer is the output */
    assert_null(param(net, "d.bias")->mask);
    assert_int_equal(report.ranked, 3);
    assert_int_equal(report.removed, 2);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

static void slimming(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net = chain(ctx);
    set(net, "n.scale", (float[]){3, -1, 2, 4});
    cop_prune_params p = params("bn-scale", "global", 0.5);
    test_ok(ctx, copi_prune(net, &p, NULL, NULL));
    is(net, "n.scale", (float[]){3, 0, 0, 4});
    is(net, "n.shift", (float[]){1, 0, 0, 1});
    is(net, "a.weight", (float[]){1, -2, 0, 0, 0, 0, 5, 6});
    is(net, "a.bias", (float[]){1, 0, 0, 4});
    is(net, "b.weight", (float[]){.1f, 0, 0, .4f, 1, 0, 0, 1, 2, 0, 0, 2, 3, 0, 0, -3});
    assert_null(param(net, "b.bias")->mask); /* b has no batch-norm */
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

static void taylor(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net = chain(ctx);
    cop_prune_params p = params("taylor", "layer", 0.34);
    test_fails(ctx, copi_prune(net, &p, NULL, NULL), COP_E_ARG, "taylor looks at gradients");
    const float a[8] = {9, 9, 1, 0, 9, 9, 9, 9}, b[16] = {9, 9, 9, 9, 9, 9, 9, 9, 0, 0, 0, 1, 9, 9, 9, 9},
                c[12] = {1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0};
    const float **gradient = calloc((size_t)net->params, sizeof *gradient);
    assert_non_null(gradient);
    gradient[copi_net_find_param(net, "a.weight")] = a;
    gradient[copi_net_find_param(net, "b.weight")] = b;
    gradient[copi_net_find_param(net, "c.weight")] = c;
    test_ok(ctx, copi_prune(net, &p, gradient, NULL));
    is(net, "a.weight", (float[]){1, -2, 0, 0, 4, -4, 5, 6});
    is(net, "b.weight", (float[]){.1f, 0, .3f, .4f, 1, 0, 1, 1, 0, 0, 0, 0, 3, 0, 3, -3});
    is(net, "c.weight", (float[]){1, 1, 0, 1, 3, 3, 0, 3, 0, 0, 0, 0});
    free(gradient);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* What was masked stays so, and is part of the share; a smaller share than before changes nothing. */
static void masks_stay_and_count(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net = chain(ctx);
    int a = copi_net_find(net, "a");
    test_ok(ctx, test_mask_unit(net, a, 1)); /* the largest filter of all */
    cop_prune_params p = params("l1-filter", "layer", 0.5);
    test_ok(ctx, copi_prune(net, &p, NULL, NULL));
    is(net, "a.weight", (float[]){0, 0, 0, 0, 4, -4, 5, 6}); /* it and one more, not two more */
    p.sparsity = 0.25;
    cop_prune_report report;
    test_ok(ctx, copi_prune(net, &p, NULL, &report));
    is(net, "a.weight", (float[]){0, 0, 0, 0, 4, -4, 5, 6});
    assert_int_equal(report.removed, 4);

    uint8_t *mask = copi_param_mask(net, param(net, "d.weight"));
    assert_non_null(mask);
    mask[5] = 0; /* the largest */
    copi_net_apply_masks(net);
    p = params("magnitude", "layer", 0.34);
    test_ok(ctx, copi_prune(net, &p, NULL, NULL));
    is(net, "d.weight", (float[]){0, 2, 3, 4, 5, 0});
    p.scope = "global";
    p.sparsity = 0;
    test_ok(ctx, copi_prune(net, &p, NULL, &report));
    is(net, "d.weight", (float[]){0, 2, 3, 4, 5, 0});
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* A share is never exceeded, and never missed by rounding: .29 * 100 is 28.999999999999996 in double. */
static void shares(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_graph *g;
    cop_net *net;
    test_ok(ctx, cop_graph_create(ctx, &g));
    int x = cop_graph_flatten(g, "f", cop_graph_input(g, "input", 1, 2, 2));
    cop_graph_dense(g, "out", cop_graph_dense(g, "d", x, 100, 1), 2, 1);
    test_ok(ctx, cop_graph_build(g, 1, &net));
    const double asked[] = {0, .004, .01, .019, .29, .57, .58, .99};
    const int64_t removed[] = {0, 0, 1, 1, 29, 57, 58, 99};
    for (size_t i = 0; i < COPI_COUNT(asked); i++) {
        cop_prune_params p = params("l2-neuron", "layer", asked[i]);
        cop_prune_report report;
        test_ok(ctx, copi_prune(net, &p, NULL, &report)); /* upon what the share before left */
        assert_int_equal(report.removed, removed[i]);
    }
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

static float *copy_of(const cop_net *net) {
    float *copy = malloc(net->block_count * sizeof *copy);
    assert_non_null(copy);
    memcpy(copy, net->block, net->block_count * sizeof *copy);
    return copy;
}

static void untouched(const cop_net *net, const float *before) {
    assert_memory_equal(net->block, before, net->block_count * sizeof *before);
    for (int p = 0; p < net->params; p++)
        for (int64_t i = 0; net->param[p].mask && i < net->param[p].count; i++)
            assert_int_equal(net->param[p].mask[i], 1);
}

/* Floors and caps: of layers by name and by pattern, layer by layer and globally; the tightest counts. */
static void limits(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net = chain(ctx);
    const cop_layer_limit caps[] = {{"[ab]", 0, 0.5}, {"b", 0, 0.25}};
    cop_prune_params p = params("l1-filter", "layer", 0.75);
    p.limit = caps;
    p.limits = 2;
    test_ok(ctx, copi_prune(net, &p, NULL, NULL));
    is(net, "a.weight", (float[]){0, 0, 8, 3, 0, 0, 5, 6}); /* half, not three quarters: 3, 11, 8, 11 */
    is(net, "b.weight", (float[]){0, 0, 0, 0, 0, 1, 0, 1, 0, 2, 0, 2, 0, -3, 0, -3});
    cop_net_destroy(net);

    /* all of b scores lower than any of a, but only one of it may go */
    net = chain(ctx);
    const cop_layer_limit floor = {"b", 3, 1};
    p = params("l1-filter", "global", 0.5);
    p.limit = &floor;
    p.limits = 1;
    set(net, "b.weight", (float[]){.1f, .2f, .3f, .4f, .1f, .1f, .1f, .1f, .2f, .2f, .2f, .2f, .3f, -.3f, .3f, -.3f});
    test_ok(ctx, copi_prune(net, &p, NULL, NULL));
    is(net, "b.weight", (float[]){0, 0, 0, .4f, 0, 0, 0, 0, 0, 0, 0, .2f, 0, 0, 0, -.3f});
    is(net, "a.weight", (float[]){0, 0, 0, 0, 0, 0, 5, 6}); /* a keeps 1, so of 8 four go: one of b, three of a */
    p.sparsity = 0.75;
    test_fails(ctx, copi_prune(net, &p, NULL, NULL), COP_E_REFUSED,
               "would take 6 of all 8 filters, but floors and caps of 2 layers hold 4 ('b' most: 3 of 4); up to 0.5 "
               "works");
    p.scope = "layer";
    test_fails(
        ctx, copi_prune(net, &p, NULL, NULL), COP_E_REFUSED,
        "l1-filter: 'b' has 4 filters, sparsity 0.75 would leave 1, at least 3 must stay; up to 0.25 works, or a "
        "cap on this layer");
    const cop_layer_limit both[] = {floor, {"b", 0, 0.25}}; /* as it says */
    p.limit = both;
    p.limits = 2;
    test_ok(ctx, copi_prune(net, &p, NULL, NULL));
    const cop_layer_limit bad[] = {{"x*", 1, 1}, {"", 1, 1}, {"a", -1, 1}, {"a", 1, NAN}};
    const char *const text[] = {"limit of 'x*': the net has no such layer", "limit 0 names no layer",
                                "limit of 'a': keep is -1", "limit of 'a': most is nan"};
    const cop_status status[] = {COP_E_NOT_FOUND, COP_E_ARG, COP_E_RANGE, COP_E_RANGE};
    for (int i = 0; i < 4; i++) {
        p.limit = &bad[i];
        p.limits = 1;
        test_fails(ctx, copi_prune(net, &p, NULL, NULL), status[i], text[i]);
    }
    p.limit = NULL;
    test_fails(ctx, copi_prune(net, &p, NULL, NULL), COP_E_ARG, "limits is 1, but no limit is given");
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* a and b feed a sum, so that their channels go together; c alone makes the third channel of a second sum's set. */
static void sums_and_means_of_members(void **state) {
    (void)state;
    for (int mean = 0; mean < 2; mean++) {
        cop_ctx *ctx = test_ctx();
        cop_graph *g;
        cop_net *net;
        test_ok(ctx, cop_graph_create(ctx, &g));
        cop_conv_params two = cop_conv_params_default(2, 1);
        int x = cop_graph_input(g, "x", 1, 1, 1);
        int sum = cop_graph_add(g, "s", cop_graph_conv(g, "a", x, &two), cop_graph_conv(g, "b", x, &two));
        const int both[] = {sum, cop_graph_conv(g, "c", x, &two)};
        cop_graph_dense(g, "z", cop_graph_flatten(g, "f", cop_graph_concat(g, "cat", both, 2)), 2, 1);
        test_ok(ctx, cop_graph_build(g, 1, &net));
        set(net, "a.weight", (float[]){2, 4});
        set(net, "b.weight", (float[]){2, 4});
        set(net, "c.weight", (float[]){3, 9});
        cop_prune_params p = params("l1-filter", "global", 0.25);
        p.aggregate = mean ? COP_AGGREGATE_MEAN : COP_AGGREGATE_SUM;
        test_ok(ctx, copi_prune(net, &p, NULL, NULL)); /* sums 4 8 3 9, means 2 4 3 9 */
        is(net, "a.weight", mean ? (float[]){0, 4} : (float[]){2, 4});
        is(net, "b.weight", mean ? (float[]){0, 4} : (float[]){2, 4});
        is(net, "c.weight", mean ? (float[]){3, 9} : (float[]){0, 9});
        p.aggregate = (cop_aggregate)7;
        test_fails(ctx, copi_prune(net, &p, NULL, NULL), COP_E_RANGE, "aggregate is 7");
        assert_string_equal(cop_aggregate_name(COP_AGGREGATE_MEAN), "mean");
        /* a cap of one member binds all that go with it */
        const cop_layer_limit cap = {"b", 0, 0};
        p = params("l1-filter", "layer", 0.5);
        p.limit = &cap;
        p.limits = 1;
        test_ok(ctx, copi_prune(net, &p, NULL, NULL));
        is(net, "a.weight", mean ? (float[]){0, 4} : (float[]){2, 4});
        cop_net_destroy(net);
        test_ctx_destroy(ctx);
    }
}

static void refusals(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net = chain(ctx);
    float *before = copy_of(net);
    cop_prune_params p = params("l1-filer", "layer", 0.5);
    test_fails(ctx, copi_prune(net, &p, NULL, NULL), COP_E_NOT_FOUND,
               "no criterion is named 'l1-filer'; did you mean 'l1-filter'?");
    p = params("zzzzzz", "layer", 0.5);
    test_fails(ctx, copi_prune(net, &p, NULL, NULL), COP_E_NOT_FOUND, "no criterion is named 'zzzzzz'");
    p = params(NULL, "layer", 0.5);
    test_fails(ctx, copi_prune(net, &p, NULL, NULL), COP_E_NOT_FOUND, "no criterion");
    p = params("magnitude", "whole", 0.5);
    test_fails(ctx, copi_prune(net, &p, NULL, NULL), COP_E_ARG, "scope is \"whole\"; expected one of layer, global");
    p = params("magnitude", NULL, 0.5);
    test_fails(ctx, copi_prune(net, &p, NULL, NULL), COP_E_ARG, "scope");
    const double bad[] = {1.2, 1, -0.1, NAN, INFINITY};
    const char *const text[] = {"sparsity is 1.2; ", "sparsity is 1; ", "sparsity is -0.1; ", "is nan; ",
                                "sparsity is inf; expected a number in [0,1)"};
    for (size_t i = 0; i < COPI_COUNT(bad); i++) {
        p = params("magnitude", "layer", bad[i]);
        test_fails(ctx, copi_prune(net, &p, NULL, NULL), COP_E_RANGE, text[i]);
    }
    p = params("magnitude", "layer", 0.5);
    p.keep = 0;
    test_fails(ctx, copi_prune(net, &p, NULL, NULL), COP_E_RANGE, "keep is 0; expected an integer in [1,1e9]");

    /* floors: the layer, the units it has, the highest share that works */
    p = params("l2-neuron", "layer", 0.7);
    p.keep = 2;
    test_fails(ctx, copi_prune(net, &p, NULL, NULL), COP_E_REFUSED,
               "l2-neuron: 'c' has 3 neurons, sparsity 0.7 would leave 1, at least 2 must stay; up to 0.333333333 "
               "works, or a cap on this layer");
    p = params("l2-filter", "layer", 0.5);
    p.keep = 3;
    test_fails(ctx, copi_prune(net, &p, NULL, NULL), COP_E_REFUSED, "'a' has 4 filters");
    p.keep = 9;
    test_fails(ctx, copi_prune(net, &p, NULL, NULL), COP_E_REFUSED, "up to 0 works");
    const cop_layer_limit two[] = {{.layer = "a", .keep = 5, .most = 1}, {.layer = "b", .keep = 12, .most = 1}};
    p = params("magnitude", "layer", 0.5); /* 'a' of 8 may give 3; 'b' of 16 may give 4, which is less of it */
    p.limit = two;
    p.limits = 2;
    test_fails(ctx, copi_prune(net, &p, NULL, NULL), COP_E_REFUSED,
               "'b' has 16 weights, sparsity 0.5 would leave 8, at least 12 must stay; up to 0.25 works");
    p = params("magnitude", "global", 0.95);
    p.keep = 2;
    test_fails(
        ctx, copi_prune(net, &p, NULL, NULL), COP_E_REFUSED,
        "magnitude: sparsity 0.95 would take 39 of all 42 weights, but floors and caps of 4 layers hold 8 ('a' most: "
        "2 of 8); up to 0.80952381 works");
    untouched(net, before);

    /* the shares named do work */
    p.sparsity = 0.80952381;
    test_ok(ctx, copi_prune(net, &p, NULL, NULL));
    p = params("l2-neuron", "layer", 0.333333334);
    p.keep = 2;
    test_ok(ctx, copi_prune(net, &p, NULL, NULL));
    free(before);
    cop_net_destroy(net);

    net = chain(ctx);
    param(net, "b.weight")->data[5] = NAN;
    p = params("l1-filter", "layer", 0.5);
    test_fails(ctx, copi_prune(net, &p, NULL, NULL), COP_E_RANGE, "l1-filter: 'b' scores nan at 1 of its filters");
    p = params("lamp", "global", 0.5);
    test_fails(ctx, copi_prune(net, &p, NULL, NULL), COP_E_RANGE, "lamp: 'b' scores nan at");
    for (int i = 0; i < net->params; i++) assert_null(net->param[i].mask);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* Nothing that could go: the output layer, channels that are the input's. */
static void nothing_to_prune(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_graph *g;
    cop_net *net;
    test_ok(ctx, cop_graph_create(ctx, &g));
    cop_conv_params depthwise = cop_conv_params_default(2, 1);
    depthwise.groups = 2;
    int x = cop_graph_conv(g, "depthwise", cop_graph_input(g, "input", 2, 3, 3), &depthwise);
    cop_graph_dense(g, "out", cop_graph_flatten(g, "f", x), 2, 1);
    test_ok(ctx, cop_graph_build(g, 1, &net));
    float *before = copy_of(net);
    cop_prune_params p = params("l1-filter", "layer", 0.5);
    test_fails(ctx, copi_prune(net, &p, NULL, NULL), COP_E_REFUSED,
               "l1-filter: the net has no filters that could go: 'depthwise' is tied to the input 'input'");
    p.criterion = "l2-neuron";
    test_fails(ctx, copi_prune(net, &p, NULL, NULL), COP_E_REFUSED, "no neurons that could go: 'out' is the output");
    p.criterion = "bn-scale";
    test_fails(ctx, copi_prune(net, &p, NULL, NULL), COP_E_REFUSED,
               "no channels that could go; it has no such layer");
    untouched(net, before);
    p.sparsity = 0;
    cop_prune_report report;
    test_ok(ctx, copi_prune(net, &p, NULL, &report));
    assert_int_equal(report.ranked, 0);
    free(before);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* stem -> (conv a + conv b) -> batch-norm -> relu -> dense: a and b share each channel, scores are summed, both
 * go. */
static void coupled_filters(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_graph *g;
    cop_net *net;
    test_ok(ctx, cop_graph_create(ctx, &g));
    cop_conv_params p1 = cop_conv_params_default(3, 1);
    int x = cop_graph_input(g, "input", 1, 1, 1), a = cop_graph_conv(g, "a", x, &p1),
        b = cop_graph_conv(g, "b", x, &p1);
    x = cop_graph_relu(g, "r", cop_graph_batchnorm(g, "n", cop_graph_add(g, "sum", a, b), 1e-3));
    cop_graph_dense(g, "out", cop_graph_flatten(g, "f", x), 2, 1);
    test_ok(ctx, cop_graph_build(g, 1, &net));
    set(net, "a.weight", (float[]){1, 5, 2});
    set(net, "b.weight", (float[]){9, 1, 3});
    set(net, "a.bias", (float[]){1, 1, 1});
    set(net, "b.bias", (float[]){1, 1, 1});
    set(net, "n.shift", (float[]){1, 1, 1});
    cop_prune_params p = params("l1-filter", "layer", 0.34);
    cop_prune_report report;
    test_ok(ctx,
            copi_prune(net, &p, NULL, &report)); /* 10, 6, 5: alone, a would have lost channel 0 and b channel 1 */
    is(net, "a.weight", (float[]){1, 5, 0});
    is(net, "b.weight", (float[]){9, 1, 0});
    is(net, "a.bias", (float[]){1, 1, 0});
    is(net, "n.scale", (float[]){1, 1, 0});
    is(net, "n.shift", (float[]){1, 1, 0});
    assert_int_equal(report.ranked, 6);
    assert_int_equal(report.removed, 2);
    p.keep = 3;
    p.sparsity = 0.67;
    test_fails(ctx, copi_prune(net, &p, NULL, NULL), COP_E_REFUSED,
               "'a' has 3 filters"); /* one layer, named by its first */
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* A unit takes along every batch-norm that then reads nothing but zeros: after a relu, a concat, or the add of
 * both. */
static void masking_a_unit(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_graph *g;
    cop_net *net;
    test_ok(ctx, cop_graph_create(ctx, &g));
    cop_conv_params p = cop_conv_params_default(2, 1);
    int x = cop_graph_input(g, "input", 1, 1, 1), a = cop_graph_conv(g, "a", x, &p),
        b = cop_graph_conv(g, "b", x, &p);
    int sum = cop_graph_batchnorm(g, "n", cop_graph_add(g, "sum", a, b), 1e-3);
    int both = cop_graph_concat(g, "both", (const int[]){sum, cop_graph_relu(g, "r", a)}, 2);
    cop_graph_dense(g, "out", cop_graph_flatten(g, "f", cop_graph_batchnorm(g, "m", both, 1e-3)), 2, 1);
    test_ok(ctx, cop_graph_build(g, 1, &net));
    test_net_fill(net, 3);
    int na = copi_net_find(net, "a"), nb = copi_net_find(net, "b");
    test_ok(ctx, test_mask_unit(net, na, 1));
    assert_true(test_unit_dead(net, na, 1) && !test_unit_dead(net, na, 0));
    assert_true(test_unit_dead(net, copi_net_find(net, "r"), 1));
    assert_false(test_unit_dead(net, copi_net_find(net, "sum"), 1)); /* b still gives something */
    assert_true(param(net, "n.scale")->data[1] != 0);
    for (int c = 0; c < 4; c++) assert_int_equal(param(net, "m.scale")->data[c] == 0, c == 3);
    for (int c = 0; c < 4; c++) assert_int_equal(test_unit_dead(net, copi_net_find(net, "m"), c), c == 3);
    test_ok(ctx, test_mask_unit(net, nb, 1));
    assert_true(test_unit_dead(net, copi_net_find(net, "sum"), 1));
    assert_true(test_unit_dead(net, copi_net_find(net, "f"), 1) && test_unit_dead(net, copi_net_find(net, "f"), 3));
    assert_true(param(net, "n.scale")->data[1] == 0 && param(net, "n.shift")->data[1] == 0);
    for (int c = 0; c < 4; c++) assert_int_equal(param(net, "m.shift")->data[c] == 0, c % 2);
    assert_false(test_unit_dead(net, copi_net_find(net, "out"), 0));
    test_fails(ctx, test_mask_unit(net, na, 2), COP_E_ARG, "unit 2 of node 1");
    test_fails(ctx, test_mask_unit(net, 0, 0), COP_E_ARG, "none of a conv or dense");
    test_fails(ctx, test_mask_unit(net, 99, 0), COP_E_ARG, NULL);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* The other summand only gives its bias: the sum is constant, but not 0, and its batch-norm stays. */
static void half_a_sum(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_graph *g;
    cop_net *net;
    test_ok(ctx, cop_graph_create(ctx, &g));
    cop_conv_params p = cop_conv_params_default(1, 1);
    int x = cop_graph_input(g, "input", 1, 1, 1), a = cop_graph_conv(g, "a", x, &p),
        b = cop_graph_conv(g, "b", x, &p);
    x = cop_graph_batchnorm(g, "n", cop_graph_add(g, "sum", a, b), 1e-3);
    cop_graph_dense(g, "out", cop_graph_flatten(g, "f", x), 2, 1);
    test_ok(ctx, cop_graph_build(g, 1, &net));
    set(net, "b.weight", (float[]){0});
    set(net, "b.bias", (float[]){1});
    test_ok(ctx, test_mask_unit(net, copi_net_find(net, "a"), 0));
    assert_true(param(net, "n.scale")->data[0] == 1);
    assert_false(test_unit_dead(net, copi_net_find(net, "sum"), 0));
    set(net, "b.bias", (float[]){0});
    assert_true(test_unit_dead(net, copi_net_find(net, "sum"), 0));
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

static cop_status prune_once(cop_ctx *ctx, void *user) {
    const cop_prune_params *p = user;
    cop_net *net = test_net_random(ctx, &(test_net_params){.seed = 8, .stages = 2});
    if (!net) return COP_E_NOMEM;
    float before[4096];
    size_t bytes = net->block_count * sizeof *net->block;
    assert_true(bytes <= sizeof before);
    memcpy(before, net->block, bytes);
    cop_status status = copi_prune(net, p, NULL, NULL);
    if (status) untouched(net, before);
    cop_net_destroy(net);
    return status;
}

static void out_of_memory(void **state) {
    (void)state;
    const cop_prune_params all[] = {params("lamp", "global", .4), params("fpgm", "layer", .4),
                                    params("bn-scale", "global", .3)};
    for (size_t i = 0; i < COPI_COUNT(all); i++) {
        cop_prune_params p = all[i];
        assert_true(test_out_of_memory(prune_once, &p) > 5);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(magnitude_by_layer),
                                       cmocka_unit_test(magnitude_globally),
                                       cmocka_unit_test(floor_binds_globally),
                                       cmocka_unit_test(filters),
                                       cmocka_unit_test(neurons),
                                       cmocka_unit_test(slimming),
                                       cmocka_unit_test(taylor),
                                       cmocka_unit_test(masks_stay_and_count),
                                       cmocka_unit_test(shares),
                                       cmocka_unit_test(limits),
                                       cmocka_unit_test(sums_and_means_of_members),
                                       cmocka_unit_test(refusals),
                                       cmocka_unit_test(nothing_to_prune),
                                       cmocka_unit_test(coupled_filters),
                                       cmocka_unit_test(masking_a_unit),
                                       cmocka_unit_test(half_a_sum),
                                       cmocka_unit_test(out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
