/* Weights alone: what is in such files, their names' maps, and their way into a net. */
#include "folder.h"
#include "expect.h"
#include "nets.h"

#include "io/safetensors/header.h"
#include "io/weights.h"

#define FIXTURES "io/fixtures/"

static void write_text(cop_ctx *ctx, const char *name, const char *text) {
    test_ok(ctx, copi_write_file(ctx, in_dir(name), text, strlen(text)));
}

static cop_status write_tensors(cop_ctx *ctx, const char *path, copi_st_tensor *tensor, size_t tensors) {
    json_t *metadata = json_object();
    cop_status status = copi_st_write(ctx, path, metadata, tensor, tensors);
    json_decref(metadata);
    return status;
}

/* -- PyTorch's own files -- */

static void test_a_state_dict_goes_into_the_net_it_is_of(void **state) {
    (void)state;
    static const char *const nets[][2] = {{"resnet-raw", "resnet"}, {"lenet", "lenet"}};
    for (size_t i = 0; i < COPI_COUNT(nets); i++) {
        cop_ctx *ctx = test_ctx();
        char path[256];
        cop_net *net;
        expectation e;
        snprintf(path, sizeof path, FIXTURES "onnx/torch1/%s.expect", nets[i][0]);
        expectation_read(ctx, path, &e);
        snprintf(path, sizeof path, FIXTURES "onnx/torch1/%s.onnx", nets[i][0]);
        test_ok(ctx, cop_net_load(ctx, path, &net));
        test_net_fill(net, 5);
        snprintf(path, sizeof path, FIXTURES "state/%s.safetensors", nets[i][1]);
        test_ok(ctx, cop_net_load_weights(net, path, NULL));
        expectation_meets(&e, net, 1, 1e-5, NULL); /* float weights, float sums of under 1,000 terms */
        assert_non_null(strstr(net->provenance, "tensors by name"));
        cop_net_destroy(net);
        expectation_clear(&e);
        test_ctx_destroy(ctx);
    }
}

static void test_what_is_in_a_state_dict(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_weights *w;
    cop_net *net;
    cop_net_info info, of_net;
    cop_layer_info layer;
    test_ok(ctx, cop_weights_open(ctx, FIXTURES "state/resnet.safetensors", &w));
    test_ok(ctx, cop_net_load(ctx, FIXTURES "onnx/torch1/resnet-raw.onnx", &net));
    cop_weights_get_info(w, &info);
    cop_net_get_info(net, &of_net);
    assert_int_equal(info.parameters, of_net.parameters); /* running statistics do not count */
    assert_int_equal(info.zeros, of_net.zeros);
    assert_int_equal(info.macs, -1);
    assert_int_equal(info.layers, 13);
    test_ok(ctx, cop_weights_get_layer(w, 0, &layer));
    assert_string_equal(layer.name, "bn");
    assert_string_equal(layer.op, "");
    assert_int_equal(layer.parameters, 8);
    test_ok(ctx, cop_weights_get_layer(w, 1, &layer));
    assert_string_equal(layer.name, "fc");
    assert_string_equal(layer.op, "dense");
    assert_int_equal(layer.weight_shape[1], 6);
    test_fails(ctx, cop_weights_get_layer(w, 13, &layer), COP_E_RANGE, "layer 13; the file has 13");
    cop_weights_destroy(w);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

static void test_what_is_in_keras_files(void **state) {
    (void)state;
    static const char *const files[][2] = {{"tf2/residual-weights.h5", "tf2/residual.h5"},
                                           {"k3/mobile.weights.h5", "k3/mobile.keras"},
                                           {"tf2/seed_like-weights.h5", "tf2/seed_like.h5"}};
    for (size_t i = 0; i < COPI_COUNT(files); i++) {
        cop_ctx *ctx = test_ctx();
        char path[256];
        cop_weights *w;
        cop_net *net;
        cop_net_info info, of_net;
        cop_model_kind kind;
        snprintf(path, sizeof path, FIXTURES "keras/%s", files[i][0]);
        test_ok(ctx, cop_model_get_kind(ctx, path, &kind));
        assert_int_equal(kind, COP_MODEL_WEIGHTS);
        test_ok(ctx, cop_weights_open(ctx, path, &w));
        snprintf(path, sizeof path, FIXTURES "keras/%s", files[i][1]);
        test_ok(ctx, cop_model_get_kind(ctx, path, &kind));
        assert_int_equal(kind, COP_MODEL_NET);
        test_ok(ctx, cop_net_load(ctx, path, &net));
        cop_weights_get_info(w, &info);
        cop_net_get_info(net, &of_net);
        int64_t absent = i == 0 ? 8 : 0; /* scales and shifts that residual's batch-norms are without */
        assert_int_equal(info.parameters + absent, of_net.parameters);
        cop_weights_destroy(w);
        cop_net_destroy(net);
        test_ctx_destroy(ctx);
    }
}

/* -- tensors of any kind -- */

static void test_half_precision_and_odd_tensors(void **state) {
    (void)state;
    static const uint16_t half[2] = {0x3c00, 0xc000}, bfloat[2] = {0x3f80, 0xbf00};
    static const double wide[1] = {0.25};
    static const int64_t steps[1] = {7}, two[1] = {2}, one[1] = {1}, five[5] = {1, 1, 1, 2, 1};
    static const float many[2] = {0, 3};
    cop_ctx *ctx = test_ctx();
    copi_st_tensor tensor[] = {{"b.bias", COPI_ST_BF16, 1, two, bfloat, 4},
                               {"a10.weight", COPI_ST_F16, 1, two, half, 4},
                               {"a9.weight", COPI_ST_F64, 1, one, wide, 8},
                               {"a9.num_batches_tracked", COPI_ST_I64, 0, NULL, steps, 8},
                               {"alone", COPI_ST_F32, 5, five, many, 8}};
    test_ok(ctx, write_tensors(ctx, in_dir("odd.safetensors"), tensor, COPI_COUNT(tensor)));
    cop_weights *w;
    test_ok(ctx, cop_weights_open(ctx, in_dir("odd.safetensors"), &w));
    assert_int_equal(w->layers, 4);
    static const char *const names[] = {"", "a9", "a10", "b"}; /* as people count */
    static const int64_t parameters[] = {2, 1, 2, 2};
    for (int i = 0; i < 4; i++) {
        cop_layer_info layer;
        test_ok(ctx, cop_weights_get_layer(w, i, &layer));
        assert_string_equal(layer.name, names[i]);
        assert_int_equal(layer.parameters, parameters[i]);
    }
    for (int i = 0; i < w->arrays; i++) {
        const copi_array *a = &w->array[i];
        if (!strcmp(a->name, "a10.weight")) assert_true(a->data[0] == 1 && a->data[1] == -2);
        if (!strcmp(a->name, "b.bias")) assert_true(a->data[0] == 1 && a->data[1] == -0.5f);
        if (!strcmp(a->name, "a9.weight")) assert_true(a->data[0] == 0.25f);
        if (!strcmp(a->name, "a9.num_batches_tracked")) assert_null(a->data);
    }
    cop_net_info info;
    cop_weights_get_info(w, &info);
    assert_int_equal(info.parameters, 7);
    assert_int_equal(info.zeros, 1);
    cop_weights_destroy(w);
    test_ctx_destroy(ctx);
}

/* -- maps -- */

/* conv without bias -> batch-norm -> flatten -> dense */
static cop_net *make_net(cop_ctx *ctx) {
    cop_graph *g;
    cop_net *net;
    test_ok(ctx, cop_graph_create(ctx, &g));
    cop_conv_params p = cop_conv_params_default(2, 1);
    p.bias = 0;
    int x = cop_graph_conv(g, "s1.conv2", cop_graph_input(g, "input", 1, 2, 2), &p);
    x = cop_graph_flatten(g, "flatten", cop_graph_batchnorm(g, "s1.bn2", x, 1e-5));
    cop_graph_dense(g, "out", x, 2, 1);
    test_ok(ctx, cop_graph_build(g, 1, &net));
    return net;
}

static const float numbers[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
static const int64_t conv_shape[4] = {2, 1, 1, 1}, two[1] = {2}, dense_shape[2] = {2, 8}, wrong_shape[2] = {8, 2};
static const copi_st_tensor foreign[] = {{"layer0.1.weight", COPI_ST_F32, 4, conv_shape, numbers, 8},
                                         {"layer0.1.bias", COPI_ST_F32, 1, two, numbers + 2, 8},
                                         {"layer0.2.weight", COPI_ST_F32, 1, two, numbers + 4, 8},
                                         {"layer0.2.bias", COPI_ST_F32, 1, two, numbers + 6, 8},
                                         {"layer0.2.running_mean", COPI_ST_F32, 1, two, numbers + 8, 8},
                                         {"layer0.2.running_var", COPI_ST_F32, 1, two, numbers + 10, 8},
                                         {"fc.weight", COPI_ST_F32, 2, dense_shape, numbers, 64},
                                         {"fc.bias", COPI_ST_F32, 1, two, numbers, 8},
                                         {"aux.fc.weight", COPI_ST_F32, 1, two, numbers, 8}};
enum { FOREIGN = (int)COPI_COUNT(foreign) };

/* A file of those tensors, one left out (or -1) and one of them another. */
static void write_foreign(cop_ctx *ctx, int without, int at, const copi_st_tensor *other) {
    copi_st_tensor tensor[FOREIGN];
    size_t n = 0;
    for (int i = 0; i < FOREIGN; i++) {
        if (i != without) tensor[n++] = i == at ? *other : foreign[i];
    }
    test_ok(ctx, write_tensors(ctx, in_dir("foreign.safetensors"), tensor, n));
}

static const char good_map[] = "# stages count from 1\n"
                               "layer*.1 -> s$1+1.conv2\n"
                               "\n"
                               "layer*.* -> s$1+1.bn$2   # the other\n"
                               "drop aux\n"
                               "fc -> out\n";

static void test_a_map_translates(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net = make_net(ctx);
    write_foreign(ctx, -1, -1, NULL);
    write_text(ctx, "map", good_map);
    char map[512];
    snprintf(map, sizeof map, "%s", in_dir("map"));
    test_ok(ctx, cop_net_load_weights(net, in_dir("foreign.safetensors"), map));
    static const struct {
        const char *param;
        float first;
    } want[] = {{"s1.conv2.weight", 1}, {"s1.bn2.scale", 5}, {"s1.bn2.shift", 7},   {"s1.bn2.var", 11},
                {"out.weight", 1},      {"out.bias", 1},     {"s1.bn2.mean", 9 - 3}}; /* less the bias of the conv */
    for (size_t i = 0; i < COPI_COUNT(want); i++) {
        int p = copi_net_find_param(net, want[i].param);
        assert_true(p >= 0);
        assert_true(net->param[p].data[0] == want[i].first);
    }
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

static void test_what_is_left_over_is_named(void **state) {
    (void)state;
    static const copi_st_tensor wrong = {"fc.weight", COPI_ST_F32, 2, wrong_shape, numbers, 64},
                                whole = {"fc.bias", COPI_ST_I32, 1, two, numbers, 8};
    static const float bad[2] = {1, NAN};
    static const copi_st_tensor nan = {"fc.bias", COPI_ST_F32, 1, two, bad, 8};
    static const struct {
        const char *map;
        int without, at;
        const copi_st_tensor *other;
        cop_status status;
        const char *part;
    } cases[] = {
        {NULL, -1, -1, NULL, COP_E_FORMAT, "9 tensors have no place in the net: 'aux.fc.weight', 'fc.bias'"},
        {NULL, -1, -1, NULL, COP_E_FORMAT, "7 parameters stay empty: 's1.conv2.weight', 's1.bn2.scale'"},
        {good_map, 7, -1, NULL, COP_E_FORMAT, "1 parameters stay empty: 'out.bias'; a map of names would help"},
        {"layer*.1 -> s$1+1.conv2\nlayer*.* -> s$1+1.bn$2\nfc -> out", -1, -1, NULL, COP_E_FORMAT,
         "1 tensors have no place in the net: 'aux.fc.weight'"},
        {good_map, -1, 6, &wrong, COP_E_FORMAT, "tensor 'fc.weight' is [8,2]; the net's 'out.weight' is [2,8]"},
        {good_map, -1, 7, &whole, COP_E_FORMAT, "tensor 'fc.bias' is not of floating-point numbers"},
        {good_map, -1, 7, &nan, COP_E_FORMAT, "out.bias[1] is nan; weights must be finite"},
        {"layer*.1 -> s$1+1.conv2\nlayer*.* -> s$1+1.bn$2\nfc -> out\naux.fc -> out", -1, -1, NULL, COP_E_FORMAT,
         "tensor 'aux.fc.weight' is [2]; the net's 'out.weight' is [2,8]"},
        {"drop aux\nfc.bias -> out.bias\nlayer0.1.bias -> out.bias", -1, -1, NULL, COP_E_FORMAT,
         "tensors 'fc.bias' and 'layer0.1.bias' are both for 'out.bias'"},
        {"layer -> ", -1, -1, NULL, COP_E_FORMAT, "map:1: what follows -> is a name"},
        {"\na -> b*", -1, -1, NULL, COP_E_FORMAT, "map:2: what follows -> is a name"},
        {"a* -> b$2", -1, -1, NULL, COP_E_FORMAT, "map:1: a $ that is not the number of a * before ->"},
        {"a** -> b", -1, -1, NULL, COP_E_FORMAT, "map:1: two * in one part of a name"},
        {"*.*.*.*.*.*.*.*.*.* -> b", -1, -1, NULL, COP_E_FORMAT, "map:1: more than 9 * in a pattern"},
        {" -> b", -1, -1, NULL, COP_E_FORMAT, "map:1: a pattern is a name, perhaps with *"},
        {"a b -> c", -1, -1, NULL, COP_E_FORMAT, "map:1: a pattern is a name, perhaps with *"},
        {"a b", -1, -1, NULL, COP_E_FORMAT, "map:1: neither PATTERN -> NAME nor drop PATTERN"},
    };
    for (size_t i = 0; i < COPI_COUNT(cases); i++) {
        cop_ctx *ctx = test_ctx();
        cop_net *net = make_net(ctx);
        char map[512];
        write_foreign(ctx, cases[i].without, cases[i].at, cases[i].other);
        if (cases[i].map) write_text(ctx, "map", cases[i].map);
        snprintf(map, sizeof map, "%s", in_dir("map"));
        test_fails(ctx, cop_net_load_weights(net, in_dir("foreign.safetensors"), cases[i].map ? map : NULL),
                   cases[i].status, cases[i].part);
        cop_net_destroy(net);
        test_ctx_destroy(ctx);
    }
}

/* Every tensor of a CIFAR ResNet by PyTorch's name arrives where it belongs. */
static void test_the_built_in_map_of_resnets(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net, *other;
    test_ok(ctx, cop_net_preset(ctx, "resnet-20", 3, 32, 32, 10, 1, &net));
    test_net_fill(net, 3);
    copi_st_tensor *tensor = calloc((size_t)net->params, sizeof *tensor);
    char(*name)[128] = calloc((size_t)net->params, sizeof *name);
    assert_true(tensor && name);
    for (int i = 0; i < net->params; i++) {
        const copi_param *p = &net->param[i];
        const char *layer = net->node[p->node].name, *ending = p->name + strlen(layer) + 1;
        static const char *const words[][2] = {
            {"scale", "weight"}, {"shift", "bias"}, {"mean", "running_mean"}, {"var", "running_var"}};
        for (size_t k = 0; k < COPI_COUNT(words); k++) {
            if (!strcmp(ending, words[k][0])) ending = words[k][1];
        }
        int stage, block;
        char rest[32];
        if (sscanf(layer, "s%d.b%d.%31s", &stage, &block, rest) == 3) {
            bool shortcut = !strncmp(rest, "proj", 4);
            snprintf(name[i], sizeof *name, "layer%d.%d.%s.%s", stage, block - 1,
                     shortcut ? (rest[4] ? "shortcut.1" : "shortcut.0") : rest, ending);
        } else {
            snprintf(name[i], sizeof *name, "%s.%s",
                     !strcmp(layer, "stem")      ? "conv1"
                     : !strcmp(layer, "stem_bn") ? "bn1"
                                                 : "linear",
                     ending);
        }
        tensor[i] =
            (copi_st_tensor){name[i], COPI_ST_F32, p->rank, p->shape, p->data, (size_t)p->count * sizeof *p->data};
    }
    test_ok(ctx, write_tensors(ctx, in_dir("resnet.safetensors"), tensor, (size_t)net->params));
    test_ok(ctx, cop_net_preset(ctx, "resnet-20", 3, 32, 32, 10, 9, &other));
    test_ok(ctx, cop_net_load_weights(other, in_dir("resnet.safetensors"), "resnet"));
    assert_memory_equal(net->block, other->block, net->block_count * sizeof *net->block);
    test_fails(ctx, cop_net_load_weights(other, in_dir("resnet.safetensors"), "resnt"), COP_E_IO, "resnt");
    free(name);
    free(tensor);
    cop_net_destroy(net);
    cop_net_destroy(other);
    test_ctx_destroy(ctx);
}

/* The built-in map of VGG names every layer of the preset: seen by what a tensor of a wrong shape is refused for. */
static void test_the_built_in_map_of_vgg(void **state) {
    (void)state;
    static const int features[13] = {0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40}; /* torchvision's vgg16_bn */
    static const int64_t one[1] = {1};
    cop_ctx *ctx = test_ctx();
    cop_net *net;
    test_ok(ctx, cop_net_preset(ctx, "vgg-16", 3, 32, 32, 10, 1, &net));
    for (int i = 0; i < 28; i++) {
        char name[64], part[96];
        if (i < 26) {
            snprintf(name, sizeof name, "features.%d.weight", features[i / 2] + i % 2);
            snprintf(part, sizeof part, "the net's '%s%d.%s'", i % 2 ? "bn" : "conv", i / 2 + 1,
                     i % 2 ? "scale" : "weight");
        } else {
            snprintf(name, sizeof name, "classifier.%d.bias", i == 26 ? 0 : 3);
            snprintf(part, sizeof part, "the net's 'dense%d.bias'", i - 25);
        }
        copi_st_tensor tensor = {name, COPI_ST_F32, 1, one, numbers, 4};
        test_ok(ctx, write_tensors(ctx, in_dir("one.safetensors"), &tensor, 1));
        test_fails(ctx, cop_net_load_weights(net, in_dir("one.safetensors"), "vgg"), COP_E_FORMAT, part);
    }
    assert_int_equal(cop_weight_map_count(), 2);
    assert_string_equal(cop_weight_map_name(1), "resnet");
    assert_null(cop_weight_map_name(2));
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* -- what is no file of weights -- */

static void test_other_files_are_refused(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net = make_net(ctx), *none;
    cop_weights *w;
    cop_model_kind kind;
    test_fails(ctx, cop_weights_open(ctx, FIXTURES "onnx/torch1/lenet.onnx", &w), COP_E_UNSUPPORTED,
               "lenet.onnx: a .onnx file does not hold weights alone");
    assert_null(w);
    test_fails(ctx, cop_net_load_weights(net, FIXTURES "keras/k3/mlp.keras", NULL), COP_E_UNSUPPORTED,
               "does not hold");
    test_fails(ctx, cop_net_load_weights(net, FIXTURES "keras/tf2/mlp-weights.h5", "vgg"), COP_E_ARG,
               "maps of names");
    test_fails(ctx, cop_net_load(ctx, FIXTURES "state/lenet.safetensors", &none), COP_E_UNSUPPORTED,
               "without Coppice's graph");
    test_fails(ctx, cop_model_get_kind(ctx, in_dir("none.h5"), &kind), COP_E_IO, "none.h5");
    test_ok(ctx, cop_model_get_kind(ctx, FIXTURES "state/lenet.safetensors", &kind));
    assert_int_equal(kind, COP_MODEL_WEIGHTS);
    test_ok(ctx, cop_net_save(net, in_dir("net.safetensors")));
    test_ok(ctx, cop_model_get_kind(ctx, in_dir("net.safetensors"), &kind));
    assert_int_equal(kind, COP_MODEL_NET);
    cop_save_options sparse = {.size = sizeof(cop_save_options), .sparse = 1},
                     like = {.size = sizeof(cop_save_options), .like = FIXTURES "keras/tf2/mlp-weights.h5"};
    test_fails(ctx, cop_net_save_as(net, in_dir("a.h5"), &sparse), COP_E_ARG, "only .onnx files hold sparse weights");
    test_fails(ctx, cop_net_save_as(net, in_dir("a.onnx"), &like), COP_E_ARG, "only .h5 files are written like");
    test_fails(ctx, cop_net_save_as(net, in_dir("a.h5"), &like), COP_E_FORMAT, "layer 's1.conv2' needs");
    test_fails(ctx, cop_net_save_as(net, in_dir("a.weights.h5"), NULL), COP_E_UNSUPPORTED, "say which (--like FILE)");
    test_fails(ctx, cop_net_save(net, in_dir("a.json")), COP_E_UNSUPPORTED,
               "is one of .safetensors, .onnx, .h5, .keras");
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* -- a Keras architecture and its weights -- */

static void test_an_architecture_takes_weights(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *whole, *net;
    cop_model_kind kind;
    test_ok(ctx, cop_net_load(ctx, FIXTURES "keras/tf2/residual.h5", &whole));
    test_ok(ctx, cop_net_load(ctx, FIXTURES "keras/tf2/residual.json", &net));
    test_ok(ctx, cop_model_get_kind(ctx, FIXTURES "keras/tf2/residual.json", &kind));
    assert_int_equal(kind, COP_MODEL_ARCHITECTURE);
    assert_memory_not_equal(net->block, whole->block, net->block_count * sizeof *net->block);
    test_net_fill(net, 3);
    test_ok(ctx, cop_net_load_weights(net, FIXTURES "keras/tf2/residual-weights.h5", NULL));
    assert_memory_equal(net->block, whole->block, net->block_count * sizeof *net->block);
    /* a scale that the file has no place for */
    cop_save_options like = {.size = sizeof(cop_save_options), .like = FIXTURES "keras/tf2/residual-weights.h5"};
    test_ok(ctx, cop_net_save_as(net, in_dir("back.h5"), &like));
    for (int i = 0; i < net->params; i++) {
        if (net->param[i].kind == COPI_PARAM_SCALE) net->param[i].data[0] = 3;
    }
    test_fails(ctx, cop_net_save_as(net, in_dir("back.h5"), &like), COP_E_UNSUPPORTED,
               "the file has no place for it");
    cop_net_destroy(net);
    cop_net_destroy(whole);
    write_text(ctx, "bad.json", "{\"class_name\": \"Sequential\"");
    test_fails(ctx, cop_net_load(ctx, in_dir("bad.json"), &net), COP_E_FORMAT, "Keras architecture: not JSON");
    test_ctx_destroy(ctx);
}

/* -- memory -- */

static cop_status list_and_fill(cop_ctx *ctx, void *user) {
    cop_net *net = NULL;
    cop_weights *w = NULL;
    cop_status status = cop_net_load(ctx, FIXTURES "onnx/torch1/resnet-raw.onnx", &net);
    if (!status) status = cop_net_load_weights(net, FIXTURES "state/resnet.safetensors", user);
    if (!status) status = cop_weights_open(ctx, FIXTURES "keras/tf2/mlp-weights.h5", &w);
    cop_weights_destroy(w);
    w = NULL;
    if (!status) status = cop_weights_open(ctx, FIXTURES "keras/k3/mlp.weights.h5", &w);
    cop_weights_destroy(w);
    cop_net_destroy(net);
    return status;
}

static void test_memory_that_runs_out(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    static char map[512];
    write_text(ctx, "idle", "drop nothing.of.this.name\n");
    snprintf(map, sizeof map, "%s", in_dir("idle"));
    test_ctx_destroy(ctx);
    assert_true(test_out_of_memory(list_and_fill, map) > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_state_dict_goes_into_the_net_it_is_of),
        cmocka_unit_test(test_what_is_in_a_state_dict),
        cmocka_unit_test(test_what_is_in_keras_files),
        cmocka_unit_test(test_half_precision_and_odd_tensors),
        cmocka_unit_test(test_a_map_translates),
        cmocka_unit_test(test_what_is_left_over_is_named),
        cmocka_unit_test(test_the_built_in_map_of_resnets),
        cmocka_unit_test(test_the_built_in_map_of_vgg),
        cmocka_unit_test(test_other_files_are_refused),
        cmocka_unit_test(test_an_architecture_takes_weights),
        cmocka_unit_test(test_memory_that_runs_out),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
