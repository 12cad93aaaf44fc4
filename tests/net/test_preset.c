/* The built-in nets: their figures, and what they refuse. */
#include "check.h"

#include <string.h>

static int setup(void **state) {
    *state = test_ctx();
    return 0;
}

static int teardown(void **state) {
    test_ctx_destroy(*state);
    return 0;
}

/* Figures counted by hand or published: seed-cnn (docs/methods.md, "Reference study"); the LeNets Han et al. 2015
 * (266K, 431K); the Keras example's model.summary(); VGG-16 for CIFAR Li et al. 2017 (1.5e7 parameters, 3.13e8 MACs
 * of its convolutions); ResNet-20/56/110 (0.27M, 0.85M, 1.7M) plus two projections (1x1: 16*32 + 2*32, 32*64 + 2*64
 * parameters). */
static const struct {
    const char *name;
    int64_t channels, side;
    int classes;
    int64_t parameters, macs;
} figures[] = {
    {"lenet-300-100", 1, 28, 10, 266610, 784 * 300 + 300 * 100 + 100 * 10},
    {"lenet-5", 1, 28, 10, 431080, 500 * 576 + 25000 * 64 + 800 * 500 + 500 * 10},
    {"seed-cnn", 3, 25, 5, 592933, 11158368},
    {"seed-cnn", 1, 28, 10, 320 + 9248 + 18496 + 36928 + 1600 * 512 + 512 + 5130,
     288 * 784 + 9216 * 676 + 18432 * 169 + 36864 * 121 + 1600 * 512 + 5120},
    {"keras-cifar", 3, 32, 10, 1250858, 20741120},
    {"vgg-16", 3, 32, 10, 14710464 + 2 * 4224 + 512 * 512 + 512 + 5130, 313196544 + 512 * 512 + 5120},
    {"resnet-20", 3, 32, 10, 269722 + 16 * 32 + 64 + 32 * 64 + 128, 40551040 + 2 * 131072},
    {"resnet-56", 3, 32, 10, 853018 + 2752, 125485696 + 2 * 131072},
    {"resnet-110", 3, 32, 10, 1727962 + 2752, 252887680 + 2 * 131072},
};

static void figures_are_right(void **state) {
    for (size_t i = 0; i < COPI_COUNT(figures); i++) {
        cop_net *net;
        cop_net_info f;
        test_ok(*state, cop_net_preset(*state, figures[i].name, figures[i].channels, figures[i].side, figures[i].side,
                                       figures[i].classes, 1, &net));
        cop_net_get_info(net, &f);
        if (f.parameters != figures[i].parameters || f.macs != figures[i].macs)
            fail_msg("%s: %lld parameters, %lld MACs; want %lld, %lld", figures[i].name, (long long)f.parameters,
                     (long long)f.macs, (long long)figures[i].parameters, (long long)figures[i].macs);
        assert_int_equal(f.classes, figures[i].classes);
        assert_non_null(strstr(f.provenance, figures[i].name));
        cop_net_destroy(net);
    }
}

static void seed_cnn_layers(void **state) {
    static const struct {
        const char *name;
        int64_t parameters;
    } layers[] = {{"conv1", 896},   {"conv2", 9248},    {"conv3", 18496},
                  {"conv4", 36928}, {"dense1", 524800}, {"dense2", 2565}};
    cop_net *net;
    test_ok(*state, cop_net_preset(*state, "seed-cnn", 3, 25, 25, 5, 1, &net));
    size_t next = 0;
    for (int i = 0; i < net->nodes; i++) {
        cop_layer_info l;
        test_ok(*state, cop_net_get_layer(net, i, &l));
        if (!l.weight_rank) continue;
        assert_true(next < COPI_COUNT(layers));
        assert_string_equal(l.name, layers[next].name);
        assert_int_equal(l.parameters, layers[next++].parameters);
    }
    assert_int_equal(next, COPI_COUNT(layers));
    assert_int_equal(net->node[net->nodes - 1].op, COPI_OP_SOFTMAX);
    cop_net_destroy(net);
}

/* resnext-20: 1 + 2 * 3 * 3 + 1 = 20 layers with weights on the way, six grouped convolutions. */
static const struct {
    const char *name;
    int layers, grouped, adds;
} structures[] = {
    {"resnet-20", 20 + 2, 0, 9},        {"resnet-56", 56 + 2, 0, 27},        {"resnet-110", 110 + 2, 0, 54},
    {"resnet-20-preact", 20 + 2, 0, 9}, {"resnet-56-preact", 56 + 2, 0, 27}, {"resnet-110-preact", 112, 0, 54},
    {"resnext-20", 20 + 3, 6, 6},
};

static void depths(void **state) {
    for (size_t i = 0; i < COPI_COUNT(structures); i++) {
        cop_net *net;
        test_ok(*state, cop_net_preset(*state, structures[i].name, 3, 32, 32, 10, 1, &net));
        int layers = 0, grouped = 0, adds = 0;
        for (int n = 0; n < net->nodes; n++) {
            const copi_node *node = &net->node[n];
            layers += node->op == COPI_OP_CONV || node->op == COPI_OP_DENSE;
            grouped += node->op == COPI_OP_CONV && node->u.conv.groups > 1;
            adds += node->op == COPI_OP_ADD;
        }
        assert_int_equal(layers, structures[i].layers); /* projections of the shortcuts included */
        assert_int_equal(grouped, structures[i].grouped);
        assert_int_equal(adds, structures[i].adds);
        cop_net_destroy(net);
    }
}

static void the_list(void **state) {
    (void)state;
    assert_true(cop_preset_count() >= 12);
    for (int i = 0; i < cop_preset_count(); i++) {
        assert_true(strlen(cop_preset_help(i)) > 10);
        bool tested = false; /* each is built by one of the tables above */
        for (size_t k = 0; k < COPI_COUNT(figures); k++) tested |= !strcmp(figures[k].name, cop_preset_name(i));
        for (size_t k = 0; k < COPI_COUNT(structures); k++) tested |= !strcmp(structures[k].name, cop_preset_name(i));
        if (!tested) fail_msg("no test builds the preset %s", cop_preset_name(i));
    }
    assert_null(cop_preset_name(-1));
    assert_null(cop_preset_help(cop_preset_count()));
}

static void refusals(void **state) {
    cop_ctx *ctx = *state;
    cop_net *net = (cop_net *)ctx;
    test_fails(ctx, cop_net_preset(ctx, "seed-cnm", 3, 25, 25, 5, 1, &net), COP_E_NOT_FOUND,
               "no preset is named 'seed-cnm'; did you mean 'seed-cnn'?");
    assert_null(net);
    test_fails(ctx, cop_net_preset(ctx, "alexnet", 3, 25, 25, 5, 1, &net), COP_E_NOT_FOUND,
               "no preset is named 'alexnet'; there are lenet-300-100, lenet-5, seed-cnn");
    test_fails(ctx, cop_net_preset(ctx, "seed-cnn", 3, 25, 25, 0, 1, &net), COP_E_RANGE,
               "preset seed-cnn: 0 classes");
    test_fails(ctx, cop_net_preset(ctx, "keras-cifar", 3, 25, 25, 5, 1, &net), COP_E_SHAPE,
               "preset keras-cifar for 3x25x25: images are 25x25, this net takes 32x32");
    test_fails(ctx, cop_net_preset(ctx, "vgg-16", 3, 25, 25, 5, 1, &net), COP_E_SHAPE,
               "preset vgg-16 for 3x25x25: max_pool 'pool5': its window spans 2");
    test_fails(ctx, cop_net_preset(ctx, "seed-cnn", 3, 9, 9, 5, 1, &net), COP_E_SHAPE, "max_pool 'pool2'");
    test_fails(ctx, cop_net_preset(ctx, "seed-cnn", 0, 25, 25, 5, 1, &net), COP_E_SHAPE, "input 'input'");
    test_fails(ctx, cop_net_preset(ctx, "seed-cnn", 3, INT64_MAX, 25, 5, 1, &net), COP_E_SHAPE, "input 'input'");
    test_fails(ctx, cop_net_preset(ctx, "lenet-300-100", 16, 60000, 60000, 5, 1, &net), COP_E_SHAPE,
               "flatten 'flatten'");
    test_fails(ctx, cop_net_preset(ctx, NULL, 3, 25, 25, 5, 1, &net), COP_E_ARG, "NULL");
    assert_int_equal(cop_net_preset(NULL, "seed-cnn", 3, 25, 25, 5, 1, &net), COP_E_ARG);
    test_ok(ctx, cop_net_preset(ctx, "seed-cnn", 1, 10, 10, 2, 1, &net)); /* the smallest */
    cop_net_destroy(net);
}

static cop_status build(cop_ctx *ctx, void *user) {
    cop_net *net;
    cop_status status = cop_net_preset(ctx, user, 1, 12, 12, 2, 1, &net);
    cop_net_destroy(net);
    return status;
}

static void out_of_memory(void **state) {
    (void)state;
    char name[] = "resnext-20";
    assert_true(test_out_of_memory(build, name) > 300);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(figures_are_right, setup, teardown),
        cmocka_unit_test_setup_teardown(seed_cnn_layers, setup, teardown),
        cmocka_unit_test_setup_teardown(depths, setup, teardown),
        cmocka_unit_test(the_list),
        cmocka_unit_test_setup_teardown(refusals, setup, teardown),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
