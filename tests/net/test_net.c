/* What a built net tells and carries: info, finding, masks, marks, clone, init, names, normalization, notes. */
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

/* x [2,4,4] -> conv 3x3 4 -> bn -> relu -> add(itself through a 1x1 conv) -> flatten -> dense 3 */
static cop_net *small(cop_ctx *ctx) {
    cop_graph *g;
    cop_net *net;
    test_ok(ctx, cop_graph_create(ctx, &g));
    cop_graph_input(g, "x", 2, 4, 4);
    cop_conv_params p = cop_conv_params_default(4, 3);
    int conv = cop_graph_conv(g, "conv", 0, &p);
    int relu = cop_graph_relu(g, "relu", cop_graph_batchnorm(g, "bn", conv, 1e-5));
    p = cop_conv_params_default(4, 1);
    p.groups = 2;
    p.bias = 0;
    int side = cop_graph_conv(g, "side", relu, &p);
    cop_graph_dense(g, "dense", cop_graph_flatten(g, "flat", cop_graph_add(g, "add", side, relu)), 3, 1);
    test_ok(ctx, cop_graph_build(g, 3, &net));
    return net;
}

static copi_param *param(cop_net *net, const char *name) {
    int p = copi_net_find_param(net, name);
    assert_true(p >= 0);
    return &net->param[p];
}

static void finding(void **state) {
    cop_net *net = small(*state);
    int consumer[4] = {-1, -1, -1, -1};
    assert_int_equal(copi_net_find(net, "side"), 4);
    assert_int_equal(copi_net_find(net, "sid"), -1);
    assert_int_equal(copi_net_find_param(net, "nope.weight"), -1);
    assert_string_equal(copi_node_slot(net, &net->node[2], COPI_VAR)->name, "bn.var");
    assert_null(copi_node_slot(net, &net->node[4], COPI_BIAS));
    assert_null(copi_node_slot(net, &net->node[0], COPI_WEIGHT));
    int relu = copi_net_find(net, "relu");
    assert_int_equal(copi_net_consumers(net, relu, consumer, 1), 2);
    assert_int_equal(consumer[0], 4);
    assert_int_equal(consumer[1], -1); /* no more than asked for */
    assert_int_equal(copi_net_consumers(net, relu, consumer, 4), 2);
    assert_int_equal(consumer[1], 5);
    assert_int_equal(copi_net_consumers(net, net->nodes - 1, NULL, 0), 0);
    cop_net_destroy(net);
    cop_net_destroy(NULL);
}

static void check_layers(cop_ctx *ctx, const cop_net *net) {
    cop_layer_info l;
    test_ok(ctx, cop_net_get_layer(net, 1, &l));
    assert_string_equal(l.name, "conv");
    assert_string_equal(l.op, "conv");
    assert_int_equal(l.rank, 3);
    assert_int_equal(l.shape[0] * 100 + l.shape[1] * 10 + l.shape[2], 422);
    assert_int_equal(l.weight_rank, 4);
    assert_int_equal(l.weight_shape[1] * 100 + l.weight_shape[2] * 10 + l.weight_shape[3], 233);
    assert_int_equal(l.parameters, 76);
    assert_int_equal(l.parameters_dense, 76);
    assert_int_equal(l.zeros, 14);
    assert_int_equal(l.masked, 14);
    test_near(l.sparsity, 14.0 / 76, 1e-15, 0);
    assert_int_equal(l.macs, 288);
    assert_int_equal(l.macs_effective, 248);
    test_ok(ctx, cop_net_get_layer(net, 7, &l));
    assert_int_equal(l.zeros, 6);
    assert_int_equal(l.masked, 0);
    test_ok(ctx, cop_net_get_layer(net, 2, &l));
    assert_int_equal(l.parameters, 8);
    assert_int_equal(l.weight_rank, 1);
    assert_int_equal(l.macs, 0);
    test_ok(ctx, cop_net_get_layer(net, 3, &l));
    assert_int_equal(l.weight_rank, 0);
    assert_true(l.parameters == 0 && l.sparsity == 0 && l.macs == 0);
    test_fails(ctx, cop_net_get_layer(net, 8, &l), COP_E_RANGE, "layer 8; the net has layers 0 to 7");
    assert_null(l.name);
    test_fails(ctx, cop_net_get_layer(net, -1, &l), COP_E_RANGE, "layer -1");
    assert_int_equal(cop_net_get_layer(NULL, 0, &l), COP_E_ARG);
}

static void info(void **state) {
    cop_net *net = small(*state);
    const int64_t conv = 4 * 2 * 9 + 4, bn = 8, side = 8, dense = 3 * 16 + 3, all = conv + bn + side + dense;
    const int64_t macs = 72 * 4 + 8 * 4 + 48;
    for (int p = 0; p < net->params; p++) /* no zeros yet */
        for (int64_t i = 0; i < net->param[p].count; i++) net->param[p].data[i] = 1;
    cop_net_info f;
    cop_net_get_info(net, &f);
    assert_int_equal(f.layers, 8);
    assert_int_equal(f.channels, 2);
    assert_int_equal(f.height, 4);
    assert_int_equal(f.width, 4);
    assert_int_equal(f.classes, 3);
    assert_null(f.class_name);
    assert_int_equal(f.parameters, all);
    assert_int_equal(f.parameters_dense, all);
    assert_int_equal(f.zeros, 0);
    assert_int_equal(f.nonzero, all);
    assert_int_equal(f.macs, macs);
    assert_int_equal(f.macs_dense, macs);
    assert_int_equal(f.macs_effective, macs);
    assert_int_equal(f.bytes, 4 * (all + 8)); /* running statistics too */
    assert_true(f.sparsity == 0 && f.sparsity_conv == 0 && f.sparsity_dense == 0);
    assert_string_equal(f.provenance, "");

    /* ten weights of the first conv and its bias masked, six of the dense layer's zero without a mask */
    copi_param *w = param(net, "conv.weight"), *b = param(net, "conv.bias"), *d = param(net, "dense.weight");
    uint8_t *mask = copi_param_mask(net, w);
    assert_ptr_equal(copi_param_mask(net, w), mask);
    for (int i = 0; i < 10; i++) mask[i] = 0;
    memset(copi_param_mask(net, b), 0, 4);
    for (int i = 0; i < 6; i++) d->data[i] = i % 2 ? -0.0f : 0;
    copi_net_apply_masks(net);
    for (int64_t i = 0; i < w->count; i++) assert_true(w->data[i] == (i < 10 ? 0 : 1));
    param(net, "bn.mean")->data[0] = 0; /* not a parameter that counts */
    cop_net_get_info(net, &f);
    assert_int_equal(f.zeros, 20);
    test_near(f.sparsity, 20.0 / (double)all, 1e-15, 0);
    test_near(f.sparsity_conv, 14.0 / (double)(conv + side), 1e-15, 0);
    test_near(f.sparsity_dense, 6.0 / (double)dense, 1e-15, 0);
    assert_int_equal(f.macs, macs);
    assert_int_equal(f.macs_effective, macs - 10 * 4 - 6);

    check_layers(*state, net);

    /* the marks of the dense net stay while the net changes, until they are taken anew */
    net->dense_parameters *= 2;
    cop_net_get_info(net, &f);
    test_near(f.sparsity, 1 - (double)(all - 20) / (double)(2 * all), 1e-15, 0);
    copi_net_mark_dense(net);
    cop_net_get_info(net, &f);
    assert_int_equal(f.parameters_dense, all);
    cop_net_destroy(net);
    cop_net_get_info(NULL, &f);
    assert_int_equal(f.layers, 0);
}

static void sparsity_of_nothing(void **state) {
    cop_net *net;
    test_ok(*state, cop_net_preset(*state, "lenet-300-100", 1, 28, 28, 10, 1, &net));
    cop_net_info f;
    cop_net_get_info(net, &f);
    assert_true(isnan(f.sparsity_conv));                   /* no such layer */
    test_near(f.sparsity_dense, 410.0 / 266610, 1e-12, 0); /* biases start at zero, and zeros count */
    cop_net_destroy(net);
}

static void expect_same_net(const cop_net *a, const cop_net *b) {
    assert_int_equal(a->nodes, b->nodes);
    assert_int_equal(a->params, b->params);
    assert_int_equal(a->block_count, b->block_count);
    assert_memory_equal(a->block, b->block, a->block_count * sizeof *a->block);
    for (int i = 0; i < a->nodes; i++) {
        const copi_node *x = &a->node[i], *y = &b->node[i];
        assert_string_equal(x->name, y->name);
        assert_int_equal(x->op, y->op);
        assert_memory_equal(&x->u, &y->u, sizeof x->u);
        assert_int_equal(x->nsrc, y->nsrc);
        for (int s = 0; s < x->nsrc; s++) assert_int_equal(x->src[s], y->src[s]);
        assert_memory_equal(x->shape, y->shape, sizeof x->shape);
        assert_memory_equal(x->param, y->param, sizeof x->param);
        assert_int_equal(x->dense_count, y->dense_count);
        assert_int_equal(x->dense_macs, y->dense_macs);
    }
    for (int p = 0; p < a->params; p++) {
        const copi_param *x = &a->param[p], *y = &b->param[p];
        assert_string_equal(x->name, y->name);
        assert_true(x->data != y->data);
        assert_int_equal(!x->mask, !y->mask);
        if (x->mask) assert_memory_equal(x->mask, y->mask, (size_t)x->count);
    }
    assert_int_equal(a->classes, b->classes);
    assert_int_equal(!a->class_name, !b->class_name);
    for (int c = 0; a->class_name && c < a->classes; c++) assert_string_equal(a->class_name[c], b->class_name[c]);
    assert_int_equal(a->normalized, b->normalized);
    assert_memory_equal(a->mean, b->mean, sizeof a->mean);
    assert_memory_equal(a->std, b->std, sizeof a->std);
    assert_int_equal(a->dense_parameters, b->dense_parameters);
    assert_int_equal(a->dense_conv, b->dense_conv);
    assert_int_equal(a->dense_dense, b->dense_dense);
    assert_int_equal(a->dense_macs, b->dense_macs);
    assert_string_equal(a->provenance, b->provenance);
}

static void clones(void **state) {
    for (uint64_t seed = 0; seed < 40; seed++) {
        cop_net *net = test_net_random(*state, &(test_net_params){.seed = seed, .gates = 1}), *copy;
        assert_non_null(net);
        if (seed % 2) test_net_mask(net, seed, 0.3);
        const char *names[6] = {"a", "b", "c", "d", "e", "f"};
        const double mean[16] = {0.5, 0.25, 0.125, 0.1}, std[16] = {1, 2, 3, 4};
        if (seed % 3) test_ok(*state, copi_net_set_classes(net, names, net->classes));
        if (seed % 4) test_ok(*state, copi_net_set_normalization(net, mean, std));
        test_ok(*state, copi_net_note(net, "seed %d", (int)seed));
        net->dense_parameters += 1000; /* as after shrinking */
        net->node[1].dense_count += 10;
        test_ok(*state, cop_net_clone(net, &copy));
        expect_same_net(net, copy);
        copy->param[0].data[0] += 1;
        assert_true(net->param[0].data[0] != copy->param[0].data[0]);
        cop_net_destroy(net);
        cop_net_destroy(copy);
    }
    cop_net *copy = (cop_net *)state;
    assert_int_equal(cop_net_clone(NULL, &copy), COP_E_ARG);
    assert_null(copy);
}

static void random_nets_are_reproducible(void **state) {
    cop_net *a = test_net_random(*state, &(test_net_params){.seed = 11}),
            *b = test_net_random(*state, &(test_net_params){.seed = 11});
    expect_same_net(a, b);
    cop_net_destroy(a);
    cop_net_destroy(b);
}

/* -- init -- */

static void moments(const copi_param *p, double *mean, double *deviation) {
    double sum = 0, square = 0;
    for (int64_t i = 0; i < p->count; i++) {
        sum += p->data[i];
        square += (double)p->data[i] * p->data[i];
    }
    *mean = sum / (double)p->count;
    *deviation = sqrt(square / (double)p->count);
}

static void init(void **state) {
    cop_graph *g;
    cop_net *net;
    test_ok(*state, cop_graph_create(*state, &g));
    cop_graph_input(g, "x", 8, 6, 6);
    cop_conv_params p = cop_conv_params_default(64, 3);
    p.groups = 2;
    int x = cop_graph_conv(g, "before_relu", 0, &p); /* fan-in 4 * 9, through batch-norm, gate and pool */
    x = cop_graph_batchnorm(g, "bn", x, 1e-5);
    x = cop_graph_gate(g, "gate", x, 64);
    cop_pool_params pool = cop_pool_params_default(2);
    x = cop_graph_relu(g, "relu", cop_graph_max_pool(g, "pool", x, &pool));
    p = cop_conv_params_default(80, 1);
    x = cop_graph_conv(g, "before_leaky", x, &p);
    x = cop_graph_leaky_relu(g, "leaky", cop_graph_add(g, "sum", x, x), 0.5);
    x = cop_graph_flatten(g, "flat", x);
    x = cop_graph_dense(g, "before_nothing", x, 50, 1);
    cop_graph_softmax(g, "soft", cop_graph_dense(g, "last", x, 90, 1));
    test_ok(*state, cop_graph_build(g, 5, &net));
    static const struct {
        const char *name;
        double want;
    } cases[] = {{"before_relu.weight", 2.0 / 36},
                 {"before_leaky.weight", 2.0 / (1.25 * 64)},
                 {"before_nothing.weight", 1.0 / 320},
                 {"last.weight", 1.0 / 50}};
    for (size_t i = 0; i < COPI_COUNT(cases); i++) {
        copi_param *w = param(net, cases[i].name);
        double mean, deviation, want = sqrt(cases[i].want), n = (double)w->count;
        moments(w, &mean, &deviation);
        test_near(mean, 0, 0, 5 * want / sqrt(n)); /* five standard errors */
        test_near(deviation, want, 5 / sqrt(2 * n), 0);
    }
    for (int64_t i = 0; i < 64; i++) {
        assert_true(param(net, "before_relu.bias")->data[i] == 0);
        assert_true(param(net, "bn.scale")->data[i] == 1);
        assert_true(param(net, "bn.var")->data[i] == 1);
        assert_true(param(net, "bn.mean")->data[i] == 0);
        assert_true(param(net, "gate.gate")->data[i] == 1);
    }

    /* the same seed, the same weights, and no masks; another seed, others */
    size_t bytes = net->block_count * sizeof *net->block;
    float *first = malloc(bytes);
    assert_non_null(first);
    memcpy(first, net->block, bytes);
    test_net_fill(net, 9);
    test_net_mask(net, 1, 0.5);
    test_ok(*state, cop_net_init(net, 5));
    assert_memory_equal(first, net->block, bytes);
    for (int i = 0; i < net->params; i++) assert_null(net->param[i].mask);
    test_ok(*state, cop_net_init(net, 6));
    copi_param *w = param(net, "last.weight");
    int same = 0;
    for (int64_t i = 0; i < w->count; i++) same += w->data[i] == first[w->data - net->block + i];
    assert_true(same < 5);
    free(first);
    cop_net_destroy(net);
    assert_int_equal(cop_net_init(NULL, 1), COP_E_ARG);
}

/* -- what travels along -- */

static void classes_and_normalization(void **state) {
    cop_net *net = small(*state);
    char first[8] = "cat";
    const char *names[3] = {first, "dog", ""};
    test_ok(*state, copi_net_set_classes(net, names, 3));
    first[0] = 'X'; /* copied */
    cop_net_info f;
    cop_net_get_info(net, &f);
    assert_string_equal(f.class_name[0], "cat");
    test_fails(*state, copi_net_set_classes(net, names, 2), COP_E_ARG, "2 class names for a net of 3 classes");
    assert_string_equal(net->class_name[1], "dog"); /* untouched */
    test_ok(*state, copi_net_set_classes(net, NULL, 0));
    assert_null(net->class_name);

    double mean[2] = {0.5, -1}, std[2] = {0.25, 2};
    test_ok(*state, copi_net_set_normalization(net, mean, std));
    cop_net_get_info(net, &f);
    assert_true(f.normalized && f.mean[1] == -1 && f.std[0] == 0.25 && f.std[2] == 0);
    std[1] = 0;
    test_fails(*state, copi_net_set_normalization(net, mean, std), COP_E_RANGE,
               "channel 1: mean -1, standard deviation 0");
    std[1] = INFINITY;
    test_fails(*state, copi_net_set_normalization(net, mean, std), COP_E_RANGE, "channel 1");
    mean[0] = NAN;
    test_fails(*state, copi_net_set_normalization(net, mean, std), COP_E_RANGE, "channel 0: mean nan");
    assert_true(net->normalized && net->std[1] == 2);
    test_fails(*state, copi_net_set_normalization(net, mean, NULL), COP_E_ARG, "normalization");
    test_ok(*state, copi_net_set_normalization(net, NULL, NULL));
    assert_true(!net->normalized && net->std[0] == 0);
    cop_net_destroy(net);
}

/* Whatever range the model takes pixels in, the net keeps mean and deviation of pixels in [0,1]. */
static void preprocessing_becomes_normalization(void **state) {
    cop_graph *g;
    cop_net *net, *copy;
    test_ok(*state, cop_graph_create(*state, &g));
    cop_graph_global_pool(g, "pool", cop_graph_input(g, "input", 3, 2, 2));
    test_ok(*state, cop_graph_build(g, 1, &net));
    for (int range = COP_PIXEL_RANGE_UNIT; range <= COP_PIXEL_RANGE_BYTES; range++) {
        static const double low[] = {0, -1, 0}, high[] = {1, 1, 255};
        cop_preprocessing p = cop_preprocessing_default();
        p.range = (cop_pixel_range)range;
        for (int c = 0; c < 3; c++) p.mean[c] = 0.25 * c, p.std[c] = 0.5 + c;
        test_ok(*state, cop_net_set_preprocessing(net, &p));
        for (int c = 0; c < 3; c++) {
            double pixel = 0.3, stretched = low[range] + pixel * (high[range] - low[range]);
            test_near((pixel - net->mean[c]) / net->std[c], (stretched - p.mean[c]) / p.std[c], 1e-12, 1e-12);
        }
    }
    cop_preprocessing p = cop_preprocessing_default();
    p.order = COP_CHANNEL_ORDER_BGR;
    test_ok(*state, cop_net_set_preprocessing(net, &p));
    test_ok(*state, cop_net_clone(net, &copy));
    cop_net_info f;
    cop_net_get_info(copy, &f);
    assert_int_equal(f.channel_order, COP_CHANNEL_ORDER_BGR);
    assert_string_equal(cop_channel_order_name(f.channel_order), "bgr");
    p.std[2] = 0;
    test_fails(*state, cop_net_set_preprocessing(net, &p), COP_E_RANGE, "channel 2");
    p.range = (cop_pixel_range)7;
    test_fails(*state, cop_net_set_preprocessing(net, &p), COP_E_RANGE, "range 7");
    cop_net_destroy(copy);
    cop_net_destroy(net);
    net = small(*state);
    p = cop_preprocessing_default();
    p.order = COP_CHANNEL_ORDER_BGR;
    test_fails(*state, cop_net_set_preprocessing(net, &p), COP_E_SHAPE,
               "bgr needs 3 channels; the net's images have 2");
    cop_net_destroy(net);
}

static void notes(void **state) {
    cop_net *net = small(*state);
    test_ok(*state, copi_net_note(net, "pruned by %s", "magnitude"));
    test_ok(*state, copi_net_note(net, "two\nlines"));
    assert_string_equal(net->provenance, "pruned by magnitude\ntwo lines");
    cop_net_destroy(net);
}

static cop_status carry(cop_ctx *ctx, void *user) {
    (void)user;
    cop_net *net, *copy = NULL;
    const char *names[3] = {"a", "b", "c"};
    cop_status status = cop_net_preset(ctx, "lenet-300-100", 1, 5, 5, 3, 1, &net);
    if (status) return status;
    status = copi_net_set_classes(net, names, 3);
    if (!status) status = copi_net_note(net, "noted");
    if (!status && !copi_param_mask(net, &net->param[0])) status = COP_E_NOMEM;
    if (!status) status = cop_net_clone(net, &copy);
    cop_net_destroy(net);
    cop_net_destroy(copy);
    return status;
}

static void out_of_memory(void **state) {
    (void)state;
    assert_true(test_out_of_memory(carry, NULL) > 60);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finding, setup, teardown),
        cmocka_unit_test_setup_teardown(info, setup, teardown),
        cmocka_unit_test_setup_teardown(sparsity_of_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(clones, setup, teardown),
        cmocka_unit_test_setup_teardown(random_nets_are_reproducible, setup, teardown),
        cmocka_unit_test_setup_teardown(init, setup, teardown),
        cmocka_unit_test_setup_teardown(classes_and_normalization, setup, teardown),
        cmocka_unit_test_setup_teardown(preprocessing_becomes_normalization, setup, teardown),
        cmocka_unit_test_setup_teardown(notes, setup, teardown),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
