/* Building: shapes inferred, mistakes named. */
#include "check.h"
#include "nets.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int setup(void **state) {
    *state = test_ctx();
    return 0;
}

static int teardown(void **state) {
    test_ctx_destroy(*state);
    return 0;
}

static cop_graph *start(cop_ctx *ctx, int64_t c, int64_t h, int64_t w) {
    cop_graph *g;
    test_ok(ctx, cop_graph_create(ctx, &g));
    cop_graph_input(g, "x", c, h, w);
    return g;
}

static void expect_shape(const cop_graph *g, int node, int rank, int64_t c, int64_t h, int64_t w) {
    assert_true(node > 0);
    const copi_node *n = &g->net->node[node];
    assert_int_equal(n->rank, rank);
    assert_int_equal(n->shape[0], c);
    assert_int_equal(n->shape[1], h);
    assert_int_equal(n->shape[2], w);
}

static void shapes(void **state) {
    cop_graph *g = start(*state, 4, 11, 8);
    cop_conv_params c = cop_conv_params_default(6, 3);
    expect_shape(g, cop_graph_conv(g, "plain", 0, &c), 3, 6, 9, 6);
    c.pad[0] = 2, c.pad[1] = 1, c.pad[2] = 0, c.pad[3] = 1; /* top, left, bottom, right */
    c.stride[0] = 2, c.stride[1] = 3;
    expect_shape(g, cop_graph_conv(g, "padded", 0, &c), 3, 6, 6, 3);
    c = cop_conv_params_default(8, 3);
    c.kernel[1] = 2;
    c.dilation[0] = 4, c.dilation[1] = 7;
    c.groups = 4;
    c.bias = 0;
    int grouped = cop_graph_conv(g, "grouped", 0, &c);
    expect_shape(g, grouped, 3, 8, 3, 1);
    const copi_node *node = &g->net->node[grouped];
    const copi_param *w = copi_node_slot(g->net, node, COPI_WEIGHT);
    assert_string_equal(w->name, "grouped.weight");
    assert_int_equal(w->rank, 4);
    const int64_t want[4] = {8, 1, 3, 2};
    assert_memory_equal(w->shape, want, sizeof want);
    assert_int_equal(w->count, 48);
    assert_int_equal(w->node, grouped);
    assert_null(copi_node_slot(g->net, node, COPI_BIAS));

    cop_pool_params p = cop_pool_params_default(3);
    p.stride[0] = p.stride[1] = 0; /* the kernel's */
    int pool = cop_graph_max_pool(g, "pool", 0, &p);
    expect_shape(g, pool, 3, 4, 3, 2);
    assert_int_equal(g->net->node[pool].u.pool.stride[1], 3);
    p.stride[0] = p.stride[1] = 2;
    p.pad[0] = 1;
    expect_shape(g, cop_graph_avg_pool(g, "avg", 0, &p), 3, 4, 5, 3);
    expect_shape(g, cop_graph_global_pool(g, "global", 0), 3, 4, 1, 1);
    int flat = cop_graph_flatten(g, "flat", pool);
    expect_shape(g, flat, 1, 24, 1, 1);
    int dense = cop_graph_dense(g, "dense", flat, 5, 1);
    expect_shape(g, dense, 1, 5, 1, 1);
    assert_int_equal(copi_node_slot(g->net, &g->net->node[dense], COPI_WEIGHT)->shape[1], 24);
    assert_int_equal(copi_node_slot(g->net, &g->net->node[dense], COPI_BIAS)->count, 5);
    expect_shape(g, cop_graph_batchnorm(g, "bn1", dense, 1e-5), 1, 5, 1, 1);
    expect_shape(g, cop_graph_concat(g, "cat1", (const int[]){dense, flat, dense}, 3), 1, 34, 1, 1);
    expect_shape(g, cop_graph_concat(g, "cat3", (const int[]){0, 0}, 2), 3, 8, 11, 8);
    expect_shape(g, cop_graph_add(g, "sum", 0, 0), 3, 4, 11, 8);
    expect_shape(g, cop_graph_gate(g, "gate", grouped, 4), 3, 8, 3, 1);
    expect_shape(g, cop_graph_dropout(g, "drop", 0, 0.5), 3, 4, 11, 8);
    expect_shape(g, cop_graph_softmax(g, "soft", dense), 1, 5, 1, 1);
    assert_int_equal(g->status, COP_OK);
    cop_graph_destroy(g);
    cop_graph_destroy(NULL);
}

/* One mistake a row: what is done to a fresh graph over [4,8,8], and what the error says. */
typedef void (*mistake)(cop_graph *g);

static cop_conv_params conv3(void) {
    return cop_conv_params_default(4, 3);
}

static void m_groups(cop_graph *g) {
    cop_conv_params p = conv3();
    p.groups = 3;
    cop_graph_conv(g, "c", 0, &p);
}
static void m_big(cop_graph *g) {
    cop_conv_params p = conv3();
    p.dilation[1] = 4;
    cop_graph_conv(g, "c", 0, &p);
}
static void m_stride(cop_graph *g) {
    cop_conv_params p = conv3();
    p.stride[0] = 0;
    cop_graph_conv(g, "c", 0, &p);
}
static void m_pad(cop_graph *g) {
    cop_conv_params p = conv3();
    p.pad[3] = -1;
    cop_graph_conv(g, "c", 0, &p);
}
static void m_filters(cop_graph *g) {
    cop_conv_params p = conv3();
    p.filters = 0;
    cop_graph_conv(g, "c", 0, &p);
}
static void m_kernel(cop_graph *g) {
    cop_conv_params p = conv3();
    p.kernel[0] = INT64_MAX;
    cop_graph_conv(g, "c", 0, &p);
}
static void m_filters_huge(cop_graph *g) {
    cop_conv_params p = conv3();
    p.filters = INT64_MAX;
    cop_graph_conv(g, "c", 0, &p);
}
static void m_no_params(cop_graph *g) {
    cop_graph_conv(g, "c", 0, NULL);
}
static void m_weights_huge(cop_graph *g) {
    cop_conv_params p = cop_conv_params_default(2000000000, 8);
    cop_graph_conv(g, "c", 0, &p);
}
static void m_output_huge(cop_graph *g) {
    cop_conv_params p = cop_conv_params_default(2000000000, 1);
    cop_graph_conv(g, "c", 0, &p);
}
static void m_macs_huge(cop_graph *g) {
    cop_conv_params p = cop_conv_params_default(4, 30000);
    for (int i = 0; i < 4; i++) p.pad[i] = 30000;
    cop_graph_conv(g, "c", 0, &p);
}
static void m_dense_image(cop_graph *g) {
    cop_graph_dense(g, "d", 0, 3, 1);
}
static void m_dense_none(cop_graph *g) {
    cop_graph_dense(g, "d", cop_graph_flatten(g, "f", 0), 0, 1);
}
static void m_conv_flat(cop_graph *g) {
    cop_conv_params p = conv3();
    cop_graph_conv(g, "c", cop_graph_flatten(g, "f", 0), &p);
}
static void m_pool_pad(cop_graph *g) {
    cop_pool_params p = cop_pool_params_default(2);
    p.pad[1] = 2;
    cop_graph_max_pool(g, "p", 0, &p);
}
static void m_pool_none(cop_graph *g) {
    cop_graph_avg_pool(g, "p", 0, NULL);
}
static void m_pool_big(cop_graph *g) {
    cop_pool_params p = cop_pool_params_default(9);
    cop_graph_avg_pool(g, "p", 0, &p);
}
static void m_add(cop_graph *g) {
    cop_graph_add(g, "a", 0, cop_graph_global_pool(g, "gp", 0));
}
static void m_concat(cop_graph *g) {
    cop_graph_concat(g, "cat", (const int[]){0, cop_graph_global_pool(g, "gp", 0)}, 2);
}
static void m_concat_none(cop_graph *g) {
    cop_graph_concat(g, "cat", NULL, 2);
}
static void m_epsilon(cop_graph *g) {
    cop_graph_batchnorm(g, "b", 0, NAN);
}
static void m_share(cop_graph *g) {
    cop_graph_dropout(g, "d", 0, 1);
}
static void m_slope(cop_graph *g) {
    cop_graph_leaky_relu(g, "l", 0, INFINITY);
}
static void m_gate_relu(cop_graph *g) {
    cop_graph_gate(g, "g", cop_graph_relu(g, "r", 0), 4);
}
static void m_gate_factors(cop_graph *g) {
    cop_graph_gate(g, "g", cop_graph_batchnorm(g, "b", 0, 1e-5), 3);
}
static void m_gate_zero(cop_graph *g) {
    cop_graph_gate(g, "g", cop_graph_batchnorm(g, "b", 0, 1e-5), 0);
}
static void m_gate_shared(cop_graph *g) {
    int b = cop_graph_batchnorm(g, "b", 0, 1e-5), gate = cop_graph_gate(g, "gate", b, 4);
    cop_graph_global_pool(g, "p", cop_graph_add(g, "a", gate, b));
}
static void m_source(cop_graph *g) {
    cop_graph_relu(g, "r", 7);
}
static void m_source_negative(cop_graph *g) {
    cop_graph_relu(g, "r", -3);
}
static void m_twin(cop_graph *g) {
    cop_graph_relu(g, "r", cop_graph_relu(g, "r", 0));
}
static void m_nameless(cop_graph *g) {
    cop_graph_relu(g, NULL, 0);
}
static void m_endless(cop_graph *g) {
    char name[600];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    cop_graph_relu(g, name, 0);
}
static void m_second_input(cop_graph *g) {
    cop_graph_input(g, "y", 1, 1, 1);
}
static void m_op(cop_graph *g) {
    copi_graph_add(g, "o", &(copi_node){.op = (copi_op)99}, (const int[]){0}, 1);
}
static void m_arity(cop_graph *g) {
    copi_graph_add(g, "o", &(copi_node){.op = COPI_OP_ADD}, (const int[]){0}, 1);
}
static void m_dangling(cop_graph *g) {
    cop_graph_relu(g, "r", 0);
    cop_graph_global_pool(g, "p", 0);
}
static void m_output(cop_graph *g) {
    cop_graph_relu(g, "r", 0);
}
static void m_nothing(cop_graph *g) {
    (void)g;
}

static const struct {
    mistake make;
    cop_status status;
    const char *text;
} mistakes[] = {
    {m_groups, COP_E_SHAPE,
     "conv 'c': 3 groups must divide its 4 filters and the 4 channels of its input 'x' [4,8,8]"},
    {m_big, COP_E_SHAPE, "conv 'c': its window spans 9, the input's width is only 8 (8 padded)"},
    {m_stride, COP_E_RANGE, "conv 'c': stride of 0 over the height; at least 1"},
    {m_pad, COP_E_RANGE, "conv 'c': padding of -1 over the width; at least 0"},
    {m_filters, COP_E_RANGE, "conv 'c': 0 filters in 1 groups"},
    {m_kernel, COP_E_RANGE, "conv 'c': kernel of 9223372036854775807 over the height"},
    {m_filters_huge, COP_E_RANGE, "conv 'c': 9223372036854775807 filters"},
    {m_no_params, COP_E_ARG, "conv 'c': conv_params is NULL"},
    {m_weights_huge, COP_E_SHAPE, "conv 'c': its weight would be [2000000000,4,8,8]"},
    {m_output_huge, COP_E_SHAPE, "conv 'c': its output would be [2000000000,8,8]"},
    {m_macs_huge, COP_E_SHAPE, "conv 'c': 14400000000 weights at 900"},
    {m_dense_image, COP_E_SHAPE, "dense 'd': needs [I], its input 'x' is [4,8,8]; put a flatten between them"},
    {m_dense_none, COP_E_RANGE, "dense 'd': 0 units"},
    {m_conv_flat, COP_E_SHAPE, "conv 'c': needs [C,H,W], its input 'f' is [256]"},
    {m_pool_pad, COP_E_RANGE, "max_pool 'p': padding 2 is not smaller than the kernel 2x2"},
    {m_pool_none, COP_E_ARG, "avg_pool 'p': pool_params is NULL"},
    {m_pool_big, COP_E_SHAPE, "avg_pool 'p': its window spans 9"},
    {m_add, COP_E_SHAPE, "add 'a': 'x' is [4,8,8], 'gp' is [4,1,1]; they must be equal"},
    {m_concat, COP_E_SHAPE, "concat 'cat': 'x' is [4,8,8], 'gp' is [4,1,1]; only channels may differ"},
    {m_concat_none, COP_E_ARG, "concat 'cat': has 0 inputs; it takes at least 1"},
    {m_epsilon, COP_E_RANGE, "batchnorm 'b': epsilon nan"},
    {m_share, COP_E_RANGE, "dropout 'd': share 1 is not within [0,1)"},
    {m_slope, COP_E_RANGE, "leaky_relu 'l': slope inf"},
    {m_gate_relu, COP_E_ARG, "gate 'g': its input 'r' is a relu"},
    {m_gate_factors, COP_E_SHAPE, "gate 'g': 3 factors do not divide the 4 channels of 'b' [4,8,8]"},
    {m_gate_zero, COP_E_SHAPE, "gate 'g': 0 factors"},
    {m_gate_shared, COP_E_ARG, "gate 'gate': its input 'b' feeds other nodes too"},
    {m_source, COP_E_ARG, "relu 'r': input 0 is node 7; the graph has nodes 0 to 0"},
    {m_source_negative, COP_E_ARG, "relu 'r': input 0 is node -3"},
    {m_twin, COP_E_ARG, "relu 'r': a node with this name already exists"},
    {m_nameless, COP_E_ARG, "relu: node 1 has no name"},
    {m_endless, COP_E_ARG, "relu: the name of node 1 has 599 bytes"},
    {m_second_input, COP_E_ARG, "input 'y': a net has one input"},
    {m_op, COP_E_ARG, "node 'o': no op has the number 99"},
    {m_arity, COP_E_ARG, "add 'o': has 1 inputs; it takes 2"},
    {m_dangling, COP_E_ARG, "relu 'r': nothing reads it"},
    {m_output, COP_E_SHAPE, "relu 'r': the output is [4,8,8]; it must be [classes]"},
    {m_nothing, COP_E_ARG, "a net needs an input and at least one op"},
};

static void each_mistake_is_named(void **state) {
    cop_ctx *ctx = *state;
    for (size_t i = 0; i < COPI_COUNT(mistakes); i++) {
        cop_graph *g = start(ctx, 4, 8, 8);
        mistakes[i].make(g);
        bool at_once = g->status != COP_OK;
        /* the first error is kept: neither what follows nor another's error takes its place */
        if (at_once) assert_int_equal(cop_graph_relu(g, "later", 0), -1);
        copi_fail(ctx, COP_E_INTERNAL, "somebody else's error");
        cop_net *net = (cop_net *)ctx;
        test_fails(ctx, cop_graph_build(g, 1, &net), mistakes[i].status, mistakes[i].text);
        assert_null(net);
    }
}

static void inputs(void **state) {
    static const struct {
        int64_t c, h, w;
        const char *text;
    } cases[] = {
        {0, 5, 5, "input 'x': its output would be [0,5,5]"}, {1, -5, 5, "input 'x': its output would be [1,-5,5]"},
        {17, 5, 5, "input 'x': 17 channels; at most 16"},    {1, INT64_MAX, 2, "input 'x': its output would be"},
        {1, 1000000, 1000000, "at most 2^36 elements"},
    };
    for (size_t i = 0; i < COPI_COUNT(cases); i++) {
        cop_net *net;
        cop_graph *g = start(*state, cases[i].c, cases[i].h, cases[i].w);
        test_fails(*state, cop_graph_build(g, 1, &net), i == 2 ? COP_E_RANGE : COP_E_SHAPE, cases[i].text);
    }
    cop_graph *g;
    cop_net *net;
    test_ok(*state, cop_graph_create(*state, &g));
    assert_int_equal(cop_graph_relu(g, "r", 0), -1);
    test_fails(*state, cop_graph_build(g, 1, &net), COP_E_ARG, "relu 'r': input 0 is node 0");
    assert_int_equal(cop_graph_relu(NULL, "r", 0), -1);
    assert_int_equal(cop_graph_build(NULL, 1, &net), COP_E_ARG);
    assert_null(net);
    assert_int_equal(cop_graph_create(NULL, &g), COP_E_ARG);
    assert_null(g);
    test_fails(*state, cop_graph_build(start(*state, 1, 1, 1), 1, NULL), COP_E_ARG, "NULL");
}

static void too_many_nodes(void **state) {
    cop_graph *g = start(*state, 1, 1, 1);
    int x = 0, made = 1;
    char name[32];
    for (; x >= 0 && made < 20000; made++) {
        snprintf(name, sizeof name, "r%d", made);
        x = cop_graph_relu(g, name, x);
    }
    cop_net *net;
    test_fails(*state, cop_graph_build(g, 1, &net), COP_E_RANGE, "a net has at most 16384 nodes");
    assert_int_equal(made, COPI_MAX_NODES + 1);
}

/* Parameters that no machine holds are an error, not a crash. */
static void too_many_parameters(void **state) {
    cop_graph *g = start(*state, 1, 1, 1);
    int x = cop_graph_flatten(g, "f", 0);
    char name[32];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "d%d", i);
        x = cop_graph_dense(g, name, x, 260000, 0);
    }
    cop_net *net;
    test_fails(*state, cop_graph_build(g, 1, &net), COP_E_NOMEM, "out of memory");
    assert_null(net);
}

static void raw_build(void **state) {
    cop_graph *g = start(*state, 2, 1, 1);
    int x = cop_graph_flatten(g, "f", 0);
    x = cop_graph_batchnorm(g, "b", cop_graph_dense(g, "d", x, 3, 1), 1e-5);
    cop_graph_gate(g, "g", x, 3);
    cop_net *net;
    test_ok(*state, copi_graph_build_raw(g, &net));
    assert_int_equal(net->params, 7);
    assert_int_equal(net->block_count, 6 + 3 + 4 * 3 + 3);
    const float *at = net->block;
    for (int p = 0; p < net->params; p++) {
        assert_ptr_equal(net->param[p].data, at); /* one after another, in node order */
        at += net->param[p].count;
        copi_param_kind kind = net->param[p].kind;
        float want = kind == COPI_PARAM_SCALE || kind == COPI_PARAM_VAR || kind == COPI_PARAM_GATE;
        for (int64_t i = 0; i < net->param[p].count; i++) assert_true(net->param[p].data[i] == want);
        assert_int_equal(copi_param_counts(kind), kind < COPI_PARAM_MEAN);
    }
    assert_int_equal(net->classes, 3);
    assert_string_equal(net->provenance, "");
    cop_net_destroy(net);
}

static void op_list(void **state) {
    (void)state;
    assert_int_equal(cop_op_count(), COPI_OPS);
    for (int i = 0; i < cop_op_count(); i++) {
        assert_non_null(cop_op_name(i));
        assert_true(strlen(cop_op_help(i)) > 5);
        assert_string_equal(copi_op_text((copi_op)i), cop_op_name(i));
        for (int j = 0; j < i; j++) assert_string_not_equal(cop_op_name(i), cop_op_name(j));
    }
    assert_string_equal(cop_op_name(COPI_OP_GLOBAL_POOL), "global_pool");
    assert_null(cop_op_name(-1));
    assert_null(cop_op_help(COPI_OPS));
    assert_null(copi_op_get((copi_op)COPI_OPS));
}

static cop_status build_random(cop_ctx *ctx, void *user) {
    const uint64_t *seed = user;
    cop_net *net = test_net_random(ctx, &(test_net_params){.seed = *seed, .gates = 1});
    if (!net) return COP_E_NOMEM;
    cop_net *copy;
    cop_status status = cop_net_clone(net, &copy);
    cop_net_destroy(copy);
    cop_net_destroy(net);
    return status;
}

static void out_of_memory(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed < 4; seed++) assert_true(test_out_of_memory(build_random, &seed) > 50);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(shapes, setup, teardown),
        cmocka_unit_test_setup_teardown(each_mistake_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(inputs, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_nodes, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_parameters, setup, teardown),
        cmocka_unit_test_setup_teardown(raw_build, setup, teardown),
        cmocka_unit_test(op_list),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
