/* SSS's factors: where they are put, and that folding them out again gives the same function. */
#include "check.h"
#include "nets.h"
#include "reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGES = 2 };

static int setup(void **state) {
    *state = test_ctx();
    return 0;
}

static int teardown(void **state) {
    test_ctx_destroy(*state);
    return 0;
}

/* The largest difference of two nets' logits on random images, over the largest logit. */
static double difference(const cop_net *a, const cop_net *b) {
    copi_rng rng = copi_rng_make(1, COPI_STREAM_TEST, 5);
    int64_t pixels = IMAGES * ref_count(a, 0);
    double *x = malloc((size_t)pixels * sizeof *x), worst = 0, largest = 0;
    assert_non_null(x);
    for (int64_t i = 0; i < pixels; i++) x[i] = copi_rng_normal(&rng);
    ref_run *r = ref_create(a, IMAGES), *q = ref_create(b, IMAGES);
    ref_forward(r, x);
    ref_forward(q, x);
    for (int64_t i = 0; i < IMAGES * ref_count(a, r->logits); i++) {
        worst = fmax(worst, fabs(r->out[r->logits][i] - q->out[q->logits][i]));
        largest = fmax(largest, fabs(r->out[r->logits][i]));
    }
    ref_destroy(r);
    ref_destroy(q);
    free(x);
    return largest > 0 ? worst / largest : worst;
}

/* Factors 0, 1/4, 1/2, 1 or 2: products with them are exact in float, so folding must not change a digit that the
 * order of additions in double would not. */
static void draw_factors(cop_net *net, uint64_t seed) {
    static const float choice[] = {0, 0.25f, 0.5f, 1, 2};
    copi_rng rng = copi_rng_make(seed, COPI_STREAM_TEST, 6);
    for (int p = 0; p < net->params; p++)
        for (int64_t i = 0; net->param[p].kind == COPI_PARAM_GATE && i < net->param[p].count; i++)
            net->param[p].data[i] = choice[copi_rng_below(&rng, COPI_COUNT(choice))];
}

static int gates_of(const cop_net *net) {
    int n = 0;
    for (int i = 0; i < net->nodes; i++) n += net->node[i].op == COPI_OP_GATE;
    return n;
}

/* conv1 -> bn -> relu -> conv2 -> add(relu, conv2) -> pool -> flatten -> dense1 -> relu -> dense2 (-> softmax) */
static cop_net *residual(cop_ctx *ctx) {
    cop_graph *g;
    cop_net *net;
    test_ok(ctx, cop_graph_create(ctx, &g));
    cop_graph_input(g, "x", 2, 6, 6);
    cop_conv_params p = cop_conv_params_default(4, 3);
    int x = cop_graph_conv(g, "conv1", 0, &p);
    x = cop_graph_relu(g, "relu1", cop_graph_batchnorm(g, "bn", x, 1e-5));
    p = cop_conv_params_default(4, 1);
    x = cop_graph_add(g, "add", x, cop_graph_conv(g, "conv2", x, &p));
    x = cop_graph_flatten(g, "flat", cop_graph_global_pool(g, "pool", x));
    x = cop_graph_relu(g, "relu2", cop_graph_dense(g, "dense1", x, 5, 1));
    cop_graph_softmax(g, "soft", cop_graph_dense(g, "dense2", x, 3, 1));
    test_ok(ctx, cop_graph_build(g, 1, &net));
    test_net_fill(net, 1);
    return net;
}

static const copi_node *node(const cop_net *net, const char *name) {
    int i = copi_net_find(net, name);
    if (i < 0) fail_msg("there is no node '%s'", name);
    return &net->node[i];
}

static void expect_reads(const cop_net *net, const char *reader, int s, const char *read) {
    assert_string_equal(net->node[node(net, reader)->src[s]].name, read);
}

static void places(void **state) {
    cop_net *net = residual(*state), *gated, *again;
    test_ok(*state, copi_net_set_classes(net, (const char *const[]){"a", "b", "c"}, 3));
    net->dense_parameters += 7;
    test_ok(*state, copi_net_with_gates(net, 1u << COP_STRUCTURE_NEURON, &gated));
    assert_int_equal(gates_of(gated), 3); /* none on the layer that gives the classes */
    expect_reads(gated, "conv1.gate_op", 0, "bn");
    expect_reads(gated, "relu1", 0, "conv1.gate_op");
    expect_reads(gated, "conv2.gate_op", 0, "conv2");
    expect_reads(gated, "add", 1, "conv2.gate_op");
    expect_reads(gated, "add", 0, "relu1");
    expect_reads(gated, "dense1.gate_op", 0, "dense1");
    assert_int_equal(copi_node_slot(gated, node(gated, "dense1.gate_op"), COPI_GATE)->count, 5);
    assert_int_equal(gated->dense_parameters, net->dense_parameters);
    assert_string_equal(gated->class_name[2], "c");
    cop_net_info a, b;
    cop_net_get_info(net, &a);
    cop_net_get_info(gated, &b);
    assert_int_equal(a.parameters, b.parameters); /* factors do not count */
    assert_true(a.sparsity == b.sparsity);
    assert_true(difference(net, gated) == 0); /* every factor is 1 */
    test_ok(*state,
            copi_net_with_gates(gated, 1u << COP_STRUCTURE_NEURON, &again)); /* what is gated already is left so */
    assert_int_equal(again->nodes, gated->nodes);
    cop_net_destroy(again);
    cop_net_destroy(gated);
    cop_net_destroy(net);
}

/* A conv whose batch-norm is not its only reader is gated itself; two dense layers summed to the logits are not. */
static void places_among_branches(void **state) {
    cop_graph *g;
    cop_net *net, *gated;
    test_ok(*state, cop_graph_create(*state, &g));
    cop_graph_input(g, "x", 1, 4, 4);
    cop_conv_params p = cop_conv_params_default(3, 3);
    int conv = cop_graph_conv(g, "conv", 0, &p);
    int sum = cop_graph_add(g, "add", conv, cop_graph_batchnorm(g, "bn", conv, 1e-5));
    int flat = cop_graph_flatten(g, "flat", sum);
    cop_graph_add(g, "logits", cop_graph_dense(g, "left", flat, 2, 1), cop_graph_dense(g, "right", flat, 2, 0));
    test_ok(*state, cop_graph_build(g, 1, &net));
    test_net_fill(net, 2);
    test_ok(*state, copi_net_with_gates(net, 1u << COP_STRUCTURE_NEURON, &gated));
    assert_int_equal(gates_of(gated), 1);
    expect_reads(gated, "conv.gate_op", 0, "conv");
    expect_reads(gated, "bn", 0, "conv.gate_op");
    expect_reads(gated, "add", 0, "conv.gate_op");
    cop_net_destroy(gated);
    cop_net_destroy(net);
}

static int64_t factors_of(const cop_net *gated, const char *gate) {
    return node(gated, gate)->u.gate.factors;
}

static cop_net *gate_preset(cop_ctx *ctx, const char *name, unsigned structures) {
    cop_net *net, *gated;
    test_ok(ctx, cop_net_preset(ctx, name, 3, 16, 16, 4, 1, &net));
    test_ok(ctx, copi_net_with_gates(net, structures, &gated));
    cop_net_destroy(net);
    return gated;
}

enum { NEURON = 1u << COP_STRUCTURE_NEURON, GROUP = 1u << COP_STRUCTURE_GROUP, BLOCK = 1u << COP_STRUCTURE_BLOCK };

/* Branches whose batch-norms read the same node: each factor has a name of its own. */
static void branches_of_one_node(void **state) {
    cop_graph *g;
    cop_net *net, *gated;
    test_ok(*state, cop_graph_create(*state, &g));
    cop_graph_input(g, "x", 2, 4, 4);
    cop_conv_params p = cop_conv_params_default(2, 1);
    int r = cop_graph_relu(g, "r", cop_graph_conv(g, "c", 0, &p));
    int a = cop_graph_add(g, "a1", cop_graph_batchnorm(g, "b1", r, 1e-5), 0),
        b = cop_graph_add(g, "a2", cop_graph_batchnorm(g, "b2", r, 1e-5), 0);
    cop_graph_dense(g, "d", cop_graph_flatten(g, "f", cop_graph_add(g, "a3", a, b)), 3, 1);
    test_ok(*state, cop_graph_build(g, 1, &net));
    test_ok(*state, copi_net_with_gates(net, BLOCK, &gated));
    assert_int_equal(gates_of(gated), 2);
    expect_reads(gated, "b1.gate_op", 0, "b1");
    expect_reads(gated, "b2.gate_op", 0, "b2");
    cop_net_destroy(gated);
    cop_net_destroy(net);
}

/* One factor for a branch, before the add, whatever the kind of block; with neurons too, the branch's last layer has
 * the block's factor alone. */
static void places_of_blocks_and_groups(void **state) {
    cop_net *gated = gate_preset(*state, "resnet-20", BLOCK);
    assert_int_equal(gates_of(gated), 9);
    assert_int_equal(factors_of(gated, "s2.b1.conv2.gate_op"), 1);
    expect_reads(gated, "s2.b1.conv2.gate_op", 0, "s2.b1.bn2");
    expect_reads(gated, "s2.b1.add", 0, "s2.b1.conv2.gate_op");
    expect_reads(gated, "s2.b1.add", 1, "s2.b1.proj_bn"); /* the shortcut stays */
    bool *block;
    test_ok(*state, copi_net_block_gates(gated, &block));
    for (int i = 0; i < gated->nodes; i++) assert_int_equal(block[i], gated->node[i].op == COPI_OP_GATE);
    copi_free(*state, block);
    cop_net_destroy(gated);

    gated = gate_preset(*state, "resnet-20-preact", BLOCK | NEURON);
    assert_int_equal(gates_of(gated), 9 + 1 + 9 + 2); /* branches, stem, first convs, projections */
    expect_reads(gated, "s1.b2.conv2.gate_op", 0, "s1.b2.conv2");
    expect_reads(gated, "s1.b2.add", 0, "s1.b2.conv2.gate_op");
    assert_int_equal(factors_of(gated, "s1.b2.conv2.gate_op"), 1);
    assert_int_equal(factors_of(gated, "s1.b2.conv1.gate_op"), 16);
    cop_net_destroy(gated);

    gated = gate_preset(*state, "resnext-20", GROUP);
    assert_int_equal(gates_of(gated), 6); /* one grouped conv a block */
    assert_int_equal(factors_of(gated, "s1.b1.conv2.gate_op"), 8);
    expect_reads(gated, "s1.b1.conv2.gate_op", 0, "s1.b1.bn2"); /* after batch-norm, before ReLU */
    expect_reads(gated, "s1.b1.relu2", 0, "s1.b1.conv2.gate_op");
    cop_net_destroy(gated);
    gated = gate_preset(*state, "resnext-20", GROUP | BLOCK | NEURON);
    assert_int_equal(factors_of(gated, "s1.b1.conv1.gate_op"), 64);
    assert_int_equal(factors_of(gated, "s1.b1.conv2.gate_op"), 8);
    assert_int_equal(factors_of(gated, "s1.b1.conv3.gate_op"), 1);
    cop_net_destroy(gated);

    gated = gate_preset(*state, "seed-cnn", GROUP | BLOCK);
    assert_int_equal(gates_of(gated), 0); /* there is neither */
    cop_net_destroy(gated);
}

/* residual(): conv1 has 4 factors, conv2 is a branch. By hand, 4x4 positions behind conv1 (2 -> 4 channels, 3x3):
 * conv1 4*2*9*16 = 1152, conv2 4*4*16 = 256, dense1 4*5 = 20, dense2 5*3 = 15. */
static void costs_by_hand(void **state) {
    cop_net *net = residual(*state), *gated;
    test_ok(*state, copi_net_with_gates(net, BLOCK | NEURON, &gated));
    double *cost;
    test_ok(*state, copi_net_gate_costs(gated, &cost));
    /* a channel of conv1 serves conv2, and dense1 through the sum */
    const double conv1 = (1152 + 256 + 20) / 4.0, block = 256, dense1 = (20 + 15) / 5.0;
    const double mean = (4 * conv1 + block + 5 * dense1) / 10;
    const char *const gate[] = {"conv1.gate_op", "conv2.gate_op", "dense1.gate_op"};
    const double want[] = {conv1 / mean, block / mean, dense1 / mean};
    for (int i = 0; i < 3; i++) test_near(cost[copi_net_find(gated, gate[i])], want[i], 1e-12, 0);
    assert_true(cost[copi_net_find(gated, "conv1")] == 0);
    copi_free(*state, cost);
    cop_net_destroy(gated);
    cop_net_destroy(net);

    /* all of a branch: 3x3 kernels, 16 -> 16 channels at 16x16, twice */
    gated = gate_preset(*state, "resnet-20", BLOCK);
    test_ok(*state, copi_net_gate_costs(gated, &cost));
    /* s2.b1 has stride 2: 16 -> 32, 32 -> 32 at 8x8; its projection is the shortcut's */
    test_near(cost[copi_net_find(gated, "s2.b1.conv2.gate_op")] / cost[copi_net_find(gated, "s1.b1.conv2.gate_op")],
              (16 * 32 + 32 * 32) * 9 * 64 / (2.0 * 16 * 16 * 9 * 256), 1e-12, 0);
    copi_free(*state, cost);
    cop_net_destroy(gated);
}

static void expect_masked(const cop_net *net, const char *name, int64_t unit, bool dead) {
    int p = copi_net_find_param(net, name);
    assert_true(p >= 0);
    const copi_param *param = &net->param[p];
    int64_t n = param->count / param->shape[0];
    for (int64_t i = unit * n; i < (unit + 1) * n; i++) {
        assert_int_equal(dead, param->mask && !param->mask[i]);
        assert_int_equal(dead, param->data[i] == 0);
    }
}

static void folding_by_hand(void **state) {
    cop_net *net = residual(*state), *gated, *folded;
    test_ok(*state, copi_net_with_gates(net, 1u << COP_STRUCTURE_NEURON, &gated));
    copi_param *first = copi_node_slot(gated, node(gated, "conv1.gate_op"), COPI_GATE);
    copi_param *last = copi_node_slot(gated, node(gated, "dense1.gate_op"), COPI_GATE);
    memcpy(first->data, (const float[]){0, 0.5f, 2, 1}, 4 * sizeof(float));
    last->data[3] = 0.25f;
    last->data[4] = 0;
    test_ok(*state, copi_net_fold_gates(gated, 0, &folded));
    assert_int_equal(gates_of(folded), 0);
    assert_int_equal(folded->nodes, net->nodes);
    static const char *const whole[] = {"conv1.weight", "conv1.bias", "bn.scale", "bn.shift"};
    for (size_t i = 0; i < COPI_COUNT(whole); i++)
        for (int64_t c = 0; c < 4; c++) expect_masked(folded, whole[i], c, c == 0);
    for (int64_t c = 0; c < 5; c++) expect_masked(folded, "dense1.weight", c, c == 4);
    expect_masked(folded, "dense1.bias", 4, true);
    const copi_param *scale = &folded->param[copi_net_find_param(folded, "bn.scale")];
    const copi_param *was = &net->param[copi_net_find_param(net, "bn.scale")];
    assert_true(scale->data[1] == was->data[1] * 0.5f && scale->data[2] == was->data[2] * 2);
    assert_null(folded->param[copi_net_find_param(folded, "conv2.weight")].mask); /* nothing of it died */
    assert_true(difference(gated, folded) < 1e-13);
    cop_net_destroy(folded);

    /* with a threshold the small ones go too, whatever their sign */
    memcpy(first->data, (const float[]){1, 0.125f, -0.125f, -3}, 4 * sizeof(float));
    test_ok(*state, copi_net_fold_gates(gated, 0.125, &folded));
    for (int64_t c = 0; c < 4; c++) expect_masked(folded, "bn.shift", c, c == 1 || c == 2);
    scale = &folded->param[copi_net_find_param(folded, "bn.scale")];
    assert_true(scale->data[3] == -3 * was->data[3]);
    cop_net_destroy(folded);
    test_fails(*state, copi_net_fold_gates(gated, NAN, &folded), COP_E_RANGE, "factor threshold nan");
    test_fails(*state, copi_net_fold_gates(gated, -1, &folded), COP_E_RANGE, "factor threshold -1");
    assert_null(folded);
    cop_net_destroy(gated);
    cop_net_destroy(net);
}

/* Nets with gates of their own (a factor per channel, per pair of channels) and those that gating adds. */
static void folding_keeps_the_function(void **state) {
    int64_t gates = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        const unsigned structures = seed % 7 + 1; /* any mixture */
        cop_net *net = test_net_random(*state, &(test_net_params){.seed = seed, .gates = (int)(seed % 2)}), *gated,
                *folded;
        assert_non_null(net);
        if (seed % 3 == 0) test_net_mask(net, seed, 0.2);
        test_ok(*state, copi_net_with_gates(net, structures, &gated));
        gates += gates_of(gated);
        assert_true(difference(net, gated) == 0);
        draw_factors(gated, seed);
        test_ok(*state, copi_net_fold_gates(gated, 0, &folded));
        assert_int_equal(gates_of(folded), 0);
        /* 1e-12: double's 1e-16 times the few thousand additions of a forward pass */
        double off = difference(gated, folded);
        if (!(off < 1e-12)) fail_msg("seed %llu: the folded net is off by %g", (unsigned long long)seed, off);
        for (int p = 0; p < folded->params; p++) /* masks hold zeros and nothing else */
            for (int64_t i = 0; folded->param[p].mask && i < folded->param[p].count; i++)
                assert_true(folded->param[p].mask[i] || folded->param[p].data[i] == 0);
        cop_net_destroy(folded);
        cop_net_destroy(gated);
        cop_net_destroy(net);
    }
    assert_true(gates > 200);
}

static cop_status gate_and_fold(cop_ctx *ctx, void *user) {
    const cop_net *net = user;
    cop_net own = *net, *gated, *folded = NULL; /* the same net, allocating through the failing context */
    own.ctx = ctx;
    double *cost;
    cop_status status = copi_net_with_gates(&own, 7, &gated);
    if (status) return status;
    status = copi_net_gate_costs(gated, &cost);
    if (status) {
        cop_net_destroy(gated);
        return status;
    }
    copi_free(ctx, cost);
    draw_factors(gated, 3);
    status = copi_net_fold_gates(gated, 0, &folded);
    assert_int_equal(!status, folded != NULL);
    cop_net_destroy(folded);
    cop_net_destroy(gated);
    return status;
}

static void out_of_memory(void **state) {
    cop_net *net = residual(*state);
    assert_true(test_out_of_memory(gate_and_fold, net) > 100);
    cop_net_destroy(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(places, setup, teardown),
        cmocka_unit_test_setup_teardown(places_among_branches, setup, teardown),
        cmocka_unit_test_setup_teardown(places_of_blocks_and_groups, setup, teardown),
        cmocka_unit_test_setup_teardown(branches_of_one_node, setup, teardown),
        cmocka_unit_test_setup_teardown(costs_by_hand, setup, teardown),
        cmocka_unit_test_setup_teardown(folding_by_hand, setup, teardown),
        cmocka_unit_test_setup_teardown(folding_keeps_the_function, setup, teardown),
        cmocka_unit_test_setup_teardown(out_of_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
