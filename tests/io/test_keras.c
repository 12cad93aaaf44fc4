/* Keras in: what Keras 2 and Keras 3 save (fixtures/make/keras_*.py) gives Keras's own outputs. */
#include "folder.h"
#include "bad.h"
#include "expect.h"
#include "nets.h"

#include "io/keras/h5.h"
#include "io/io.h"

#include <pthread.h>
#include <zlib.h>

#define FIXTURES "io/fixtures/keras/"
#define TOLERANCE                                                                                                    \
    1e-5 /* of the largest output: float weights on both sides, Keras's float sums over < 1,000 terms                \
          */

static const char *const nets[] = {"seed_like", "residual", "mobile", "mlp"};

static void check_file(const char *folder, const char *net_name, const char *ending) {
    cop_ctx *ctx = test_ctx();
    char path[256];
    expectation e;
    cop_net *net;
    snprintf(path, sizeof path, FIXTURES "%s/%s.expect", folder, net_name);
    expectation_read(ctx, path, &e);
    snprintf(path, sizeof path, FIXTURES "%s/%s%s", folder, net_name, ending);
    test_ok(ctx, cop_net_load(ctx, path, &net));
    expectation_meets(&e, net, strcmp(net_name, "mobile") == 0 ? 255 : 1, TOLERANCE, NULL);
    assert_non_null(strstr(net->provenance, "imported from Keras"));
    /* and again after a trip through our own writers */
    static const char *const again[] = {"again.h5", "again.keras"};
    for (size_t i = 0; i < COPI_COUNT(again); i++) {
        cop_net *back;
        test_ok(ctx, cop_net_save(net, in_dir(again[i])));
        test_ok(ctx, cop_net_load(ctx, in_dir(again[i]), &back));
        expectation_meets(&e, back, strcmp(net_name, "mobile") == 0 ? 255 : 1, TOLERANCE, NULL);
        cop_net_destroy(back);
    }
    cop_net_destroy(net);
    expectation_clear(&e);
    test_ctx_destroy(ctx);
}

static void test_whole_models_of_keras_2(void **state) {
    (void)state;
    for (size_t i = 0; i < COPI_COUNT(nets); i++) check_file("tf2", nets[i], ".h5");
}

static void test_whole_models_of_keras_3(void **state) {
    (void)state;
    for (size_t i = 0; i < COPI_COUNT(nets); i++) check_file("k3", nets[i], ".keras");
    for (size_t i = 0; i < COPI_COUNT(nets); i++) check_file("k3", nets[i], ".h5");
}

/* Weights alone, into a net of the same layers whose own weights are others. */
static void check_weights(const char *folder, const char *net_name, const char *whole, const char *weights) {
    cop_ctx *ctx = test_ctx();
    char path[256];
    expectation e;
    cop_net *net, *none;
    uint8_t *bytes;
    size_t n;
    snprintf(path, sizeof path, FIXTURES "%s/%s.expect", folder, net_name);
    expectation_read(ctx, path, &e);
    snprintf(path, sizeof path, FIXTURES "%s/%s%s", folder, net_name, whole);
    test_ok(ctx, cop_net_load(ctx, path, &net));
    test_net_fill(net, 1);
    snprintf(path, sizeof path, FIXTURES "%s/%s%s", folder, net_name, weights);
    test_ok(ctx, copi_read_file(ctx, path, 0, &bytes, &n));
    test_ok(ctx, copi_keras_weights_parse(net, bytes, n));
    expectation_meets(&e, net, strcmp(net_name, "mobile") == 0 ? 255 : 1, TOLERANCE, NULL);
    test_fails(ctx, cop_net_load(ctx, path, &none), COP_E_UNSUPPORTED, "Keras weights alone, without a model");
    copi_free(ctx, bytes);
    cop_net_destroy(net);
    expectation_clear(&e);
    test_ctx_destroy(ctx);
}

static void test_weights_alone(void **state) {
    (void)state;
    /* residual is left out here: its batch-norms lack a scale or a shift, which only the model's JSON tells */
    check_weights("tf2", "seed_like", ".h5", "-weights.h5");
    check_weights("tf2", "mobile", ".h5", "-weights.h5");
    check_weights("tf2", "mlp", ".h5", "-weights.h5");
    check_weights("k3", "seed_like", ".keras", ".weights.h5");
    check_weights("k3", "mobile", ".keras", ".weights.h5");
    check_weights("k3", "mlp", ".keras", ".weights.h5");
}

static void test_weights_of_another_net_are_refused(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net;
    uint8_t *bytes;
    size_t n;
    test_ok(ctx, cop_net_load(ctx, FIXTURES "tf2/mlp.h5", &net));
    float first = net->block[0];
    test_ok(ctx, copi_read_file(ctx, FIXTURES "tf2/mobile-weights.h5", 0, &bytes, &n));
    test_fails(ctx, copi_keras_weights_parse(net, bytes, n), COP_E_FORMAT, "needs");
    assert_true(net->block[0] == first);
    copi_free(ctx, bytes);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* Weights of a net of dense layers p [4,2] and, where larger, q [2,2]: older, by names, or newer, by classes. */
static uint8_t *dense_weights(cop_ctx *ctx, bool newer, const char *larger, size_t *n) {
    static const char *const names[] = {"in", "p", "drop", "q"}, *const optimizer[] = {"training/m:0"};
    static const int64_t kernel[2] = {4, 2}, square[2] = {2, 2};
    static const float numbers[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    static const char *const arrays[4][2] = {
        {NULL, NULL}, {"p/kernel:0", "p/bias:0"}, {NULL, NULL}, {"q/kernel:0", "q/bias:0"}};
    copi_h5 h5;
    uint8_t *bytes;
    char path[64];
    test_ok(ctx, copi_h5_create(ctx, &h5));
    if (newer) {
        test_ok(ctx, copi_h5_put_floats(&h5, "layers/dense/vars/0", 2, kernel, numbers));
        test_ok(ctx, copi_h5_put_floats(&h5, "layers/dense/vars/1", 1, square, numbers));
        test_ok(ctx, copi_h5_make_group(&h5, "layers/flatten/vars"));
        test_ok(ctx, copi_h5_make_group(&h5, "layers/dropout/seed_generator/vars")); /* two integers in it */
        hsize_t two = 2;
        hid_t space = H5Screate_simple(1, &two, NULL);
        hid_t seeds = H5Dcreate2(h5.file, "layers/dropout/seed_generator/vars/0", H5T_STD_I64LE, space, H5P_DEFAULT,
                                 H5P_DEFAULT, H5P_DEFAULT);
        assert_true(seeds >= 0 && H5Dclose(seeds) >= 0 && H5Sclose(space) >= 0);
        test_ok(ctx, copi_h5_put_floats(&h5, "optimizer/vars/1", 2, kernel, numbers));
        if (larger) test_ok(ctx, copi_h5_put_floats(&h5, larger, 2, square, numbers));
    } else {
        test_ok(ctx, copi_h5_put_names(&h5, "", "layer_names", names, larger ? 4 : 3));
        for (int i = 0; i < (larger ? 4 : 3); i++) {
            test_ok(ctx, copi_h5_make_group(&h5, names[i]));
            test_ok(ctx, copi_h5_put_names(&h5, names[i], "weight_names", arrays[i], arrays[i][0] ? 2 : 0));
            for (int k = 0; arrays[i][0] && k < 2; k++) {
                snprintf(path, sizeof path, "%s/%s", names[i], arrays[i][k]);
                test_ok(ctx, copi_h5_put_floats(&h5, path, 2 - k, k ? square : i == 1 ? kernel : square, numbers));
            }
        }
        test_ok(ctx, copi_h5_make_group(&h5, "optimizer_weights"));
        test_ok(ctx, copi_h5_put_names(&h5, "optimizer_weights", "weight_names", optimizer, 1));
        test_ok(ctx, copi_h5_put_floats(&h5, "optimizer_weights/training/m:0", 2, kernel, numbers));
        test_ok(ctx, copi_h5_make_group(&h5, "top_level_model_weights"));
    }
    test_ok(ctx, copi_h5_image(&h5, &bytes, n));
    copi_h5_close(&h5);
    return bytes;
}

static void test_weights_of_a_larger_net_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *layer; /* of the net; p: found by its name in the older layout, others by order */
        bool newer;
        const char *larger, *part;
    } cases[] = {
        {"p", false, NULL, NULL},
        {"z", false, NULL, NULL},
        {"p", true, NULL, NULL},
        {"p", false, "q", "the numbers of 'q' are left over: the net has no layer that takes them"},
        {"z", false, "q", "the numbers of 'q' are left over"},
        {"p", true, "layers/dense_1/vars/0", "the numbers of 'layers/dense_1/vars' are left over"},
        {"p", true, "layers/lstm/cell/vars/0", "the numbers of 'layers/lstm/cell/vars' are left over"},
    };
    for (size_t i = 0; i < COPI_COUNT(cases); i++) {
        cop_ctx *ctx = test_ctx();
        cop_graph *g;
        cop_net *net;
        size_t n;
        test_ok(ctx, cop_graph_create(ctx, &g));
        int at = cop_graph_flatten(g, "f", cop_graph_input(g, "in", 1, 2, 2));
        cop_graph_dense(g, cases[i].layer, at, 2, 1);
        test_ok(ctx, cop_graph_build(g, 1, &net));
        uint8_t *bytes = dense_weights(ctx, cases[i].newer, cases[i].larger, &n);
        float before = net->param[0].data[1];
        cop_status status = copi_keras_weights_parse(net, bytes, n);
        if (cases[i].part) {
            test_fails(ctx, status, COP_E_FORMAT, cases[i].part);
            assert_true(net->param[0].data[1] == before);
        } else {
            test_ok(ctx, status);
            assert_true(net->param[0].data[1] == 3);
        }
        copi_free(ctx, bytes);
        cop_net_destroy(net);
        test_ctx_destroy(ctx);
    }
}

/* Whatever Keras can hold comes back as the same function, with masks and totals; the rest is refused by name. */
static void test_random_nets_come_back(void **state) {
    (void)state;
    int written = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        cop_ctx *ctx = test_ctx();
        cop_net *net = test_net_random(ctx, &(test_net_params){.seed = seed}), *back;
        assert_non_null(net);
        test_net_mask(net, seed, 0.6);
        test_ok(ctx, copi_net_note(net, "trained for %d epochs", (int)seed));
        net->dense_parameters += 1000;
        const char *path = in_dir(seed % 2 ? "net.h5" : "net.keras");
        cop_status status = cop_net_save(net, path);
        if (status) {
            test_fails(ctx, status, COP_E_UNSUPPORTED, "Keras");
        } else {
            written++;
            test_ok(ctx, cop_net_load(ctx, path, &back));
            int64_t count = 2 * ref_count(net, net->nodes - 1);
            double *x = ref_outputs(net, 2, 99), *y = ref_outputs(back, 2, 99), largest = 0;
            for (int64_t i = 0; i < count; i++) largest = fmax(largest, fabs(x[i]));
            for (int64_t i = 0; i < count; i++) test_near(y[i], x[i], 0, 1e-9 * largest);
            free(x);
            free(y);
            cop_net_info a, b;
            cop_net_get_info(net, &a);
            cop_net_get_info(back, &b);
            assert_int_equal(a.parameters, b.parameters);
            assert_int_equal(a.parameters_dense, b.parameters_dense);
            assert_true(a.sparsity == b.sparsity);
            int masks[2] = {0};
            for (int i = 0; i < net->params; i++) masks[0] += net->param[i].mask != NULL;
            for (int i = 0; i < back->params; i++) masks[1] += back->param[i].mask != NULL;
            assert_int_equal(masks[0], masks[1]);
            cop_net_destroy(back);
        }
        cop_net_destroy(net);
        test_ctx_destroy(ctx);
    }
    assert_true(written >= 10);
}

static void test_same_net_gives_the_same_bytes(void **state) {
    (void)state;
    static const char *const names[2][2] = {{"a.h5", "b.h5"}, {"a.keras", "b.keras"}};
    cop_ctx *ctx = test_ctx();
    cop_net *net;
    test_ok(ctx, cop_net_load(ctx, FIXTURES "k3/residual.keras", &net));
    for (int k = 0; k < 2; k++) {
        uint8_t *bytes[2];
        size_t n[2];
        for (int i = 0; i < 2; i++) {
            test_ok(ctx, cop_net_save(net, in_dir(names[k][i])));
            test_ok(ctx, copi_read_file(ctx, in_dir(names[k][i]), 0, &bytes[i], &n[i]));
        }
        assert_int_equal(n[0], n[1]);
        assert_memory_equal(bytes[0], bytes[1], n[0]);
        copi_free(ctx, bytes[0]);
        copi_free(ctx, bytes[1]);
    }
    test_fails(ctx, copi_keras_h5_save(net, "/dev/full"), COP_E_IO, "/dev/full");
    test_fails(ctx, copi_keras_zip_save(net, "/dev/full"), COP_E_IO, "/dev/full");
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

static cop_status save_h5(cop_ctx *ctx, void *user) {
    cop_net *net;
    cop_status status = cop_net_load(ctx, user, &net);
    if (!status) status = cop_net_save(net, in_dir("memory.h5"));
    if (!status) status = cop_net_save(net, in_dir("memory.keras"));
    cop_net_destroy(net);
    return status;
}

/* The same list of names, of an attribute or of a group's members; returns it, or NULL where neither has one. */
static char **same_list(cop_ctx *ctx, copi_h5 *a, copi_h5 *b, const char *path, const char *attribute, int *count) {
    char **one, **two;
    int n;
    test_ok(ctx, attribute ? copi_h5_names(a, path, attribute, &one, count) : copi_h5_members(a, path, &one, count));
    test_ok(ctx, attribute ? copi_h5_names(b, path, attribute, &two, &n) : copi_h5_members(b, path, &two, &n));
    assert_int_equal(!one, !two);
    if (one) assert_int_equal(n, *count);
    for (int i = 0; one && i < n; i++) assert_string_equal(one[i], two[i]);
    copi_free(ctx, two);
    return one;
}

/* Keras 2: names are attributes; Keras 3: of groups. */
static void same_names(cop_ctx *ctx, const uint8_t *one, const uint8_t *two, size_t n) {
    static const char *const texts[] = {"backend", "keras_version"};
    copi_h5 a, b;
    int layers, arrays;
    test_ok(ctx, copi_h5_open(ctx, one, n, &a));
    test_ok(ctx, copi_h5_open(ctx, two, n, &b));
    char **layer = same_list(ctx, &a, &b, "", "layer_names", &layers);
    const char *attribute = layer ? "weight_names" : NULL, *above = layer ? "" : "layers/";
    for (size_t i = 0; layer && i < COPI_COUNT(texts); i++) {
        char *x, *y;
        test_ok(ctx, copi_h5_text(&a, "", texts[i], &x));
        test_ok(ctx, copi_h5_text(&b, "", texts[i], &y));
        assert_non_null(x);
        assert_string_equal(x, y);
        copi_free(ctx, x);
        copi_free(ctx, y);
    }
    if (!layer) layer = same_list(ctx, &a, &b, "layers", NULL, &layers);
    assert_non_null(layer);
    assert_true(layers > 3);
    for (int i = 0; i < layers; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s%s%s", above, layer[i], attribute ? "" : "/vars");
        copi_free(ctx, same_list(ctx, &a, &b, path, attribute, &arrays));
    }
    copi_free(ctx, layer);
    copi_h5_close(&a);
    copi_h5_close(&b);
}

/* Pruned weights go back into a file of the same names and attributes. */
static void check_weights_out(const char *net_file, const char *weights_file) {
    cop_ctx *ctx = test_ctx();
    cop_net *net, *back;
    uint8_t *like, *bytes;
    size_t n, m;
    char path[256];
    snprintf(path, sizeof path, FIXTURES "%s", net_file);
    test_ok(ctx, cop_net_load(ctx, path, &net));
    test_ok(ctx, cop_net_load(ctx, path, &back));
    test_net_fill(net, 7);
    test_net_mask(net, 7, 0.5);
    snprintf(path, sizeof path, FIXTURES "%s", weights_file);
    test_ok(ctx, copi_read_file(ctx, path, 0, &like, &n));
    test_ok(ctx, copi_keras_weights_save(net, path, like, n, in_dir("out-weights.h5")));
    test_ok(ctx, copi_read_file(ctx, in_dir("out-weights.h5"), 0, &bytes, &m));
    assert_int_equal(n, m);
    same_names(ctx, like, bytes, n);
    test_ok(ctx, copi_keras_weights_parse(back, bytes, m));
    assert_memory_equal(net->block, back->block, net->block_count * sizeof *net->block);
    copi_free(ctx, bytes);
    copi_free(ctx, like);
    cop_net_destroy(net);
    cop_net_destroy(back);
    test_ctx_destroy(ctx);
}

static void test_weights_alone_go_out(void **state) {
    (void)state;
    check_weights_out("tf2/seed_like.h5", "tf2/seed_like-weights.h5");
    check_weights_out("tf2/mobile.h5", "tf2/mobile-weights.h5");
    check_weights_out("k3/mlp.keras", "k3/mlp.weights.h5");
}

/* Errors name the file that they are about. */
static void test_a_file_to_be_like_that_does_not_fit(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net;
    cop_save_options o = cop_save_options_default();
    test_ok(ctx, cop_net_load(ctx, FIXTURES "tf2/mlp.h5", &net));
    o.like = FIXTURES "tf2/mobile-weights.h5";
    test_fails(ctx, cop_net_save_as(net, in_dir("out.h5"), &o), COP_E_FORMAT, o.like);
    assert_null(strstr(cop_error(ctx), "out.h5"));
    o.like = FIXTURES "bad/truncated.h5";
    test_fails(ctx, cop_net_save_as(net, in_dir("out.h5"), &o), COP_E_FORMAT, o.like);
    o.like = FIXTURES "tf2/mlp-weights.h5";
    net->param[0].data[0] = NAN;
    test_fails(ctx, cop_net_save_as(net, in_dir("out.h5"), &o), COP_E_RANGE, "out.h5: ");
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

static const bad_file bad[] = {
    {"activation-unknown.h5", COP_E_UNSUPPORTED, "Dense 'dense_4': activation 'swish'; supported: linear, relu"},
    {"bomb.keras", COP_E_FORMAT, "'config.json' unpacks to 83886080 bytes; at most"},
    {"chunks-absurd.h5", COP_E_FORMAT, "is [1073741824,1073741824]; layer 'dense_4' needs [36,12]"},
    {"class-unknown.h5", COP_E_UNSUPPORTED,
     "LSTM 'dense_4': this class is not supported; supported: InputLayer, Activation"},
    {"config-not-json.h5", COP_E_FORMAT, "model_config: not JSON at byte"},
    {"count-of-arrays.h5", COP_E_FORMAT, "layer 'dense_4' needs 1 arrays; the file has 0 for it"},
    {"damaged.keras", COP_E_FORMAT, "'model.weights.h5' can't be unpacked: damaged?"},
    {"input-open.h5", COP_E_UNSUPPORTED, "InputLayer 'input_4': its shape is not"},
    {"model-class.h5", COP_E_UNSUPPORTED, "a Keras model of class 'Subclassed'"},
    {"names-twice.h5", COP_E_FORMAT, "two layers are named 'same'"},
    {"no-config.h5", COP_E_UNSUPPORTED, "Keras weights alone, without a model"},
    {"no-layers.h5", COP_E_FORMAT, "the model has 0 layers"},
    {"no-member.keras", COP_E_FORMAT, "a .keras file without 'config.json'"},
    {"not-hdf5.h5", COP_E_FORMAT, "not an HDF5 file, or a damaged one"},
    {"truncated.h5", COP_E_FORMAT, "a damaged HDF5 file: a length in it leads out of it"},
    {"truncated.keras", COP_E_FORMAT, "not a ZIP archive, or a damaged one"},
    {"units-huge.h5", COP_E_FORMAT, "is [36,12]; layer 'dense_4' needs [36,1073741824]"},
    {"units-zero.h5", COP_E_FORMAT, "Dense 'dense_4': units is not a count"},
    {"weight-external-link.h5", COP_E_FORMAT, "kernel:0': no data there"},
    {"weight-int.h5", COP_E_FORMAT, "kernel:0': is not of floating-point numbers"},
    {"weight-missing.h5", COP_E_FORMAT, "kernel:0': no data there"},
    {"weight-nan.h5", COP_E_FORMAT, "dense_4.weight[108] is nan; weights must be finite"},
    {"weight-outside.h5", COP_E_UNSUPPORTED, "kernel:0': stored outside the file, by a filter other than gzip"},
    {"weight-rank.h5", COP_E_FORMAT, "kernel:0': data of too many or too large dimensions"},
    {"weight-shape.h5", COP_E_FORMAT, "kernel:0' is [36,11]; layer 'dense_4' needs [36,12]"},
};

static void test_bad_files_fail_by_name(void **state) {
    (void)state;
    bad_files_fail(FIXTURES "bad", "", bad, COPI_COUNT(bad), cop_net_load);
}

/* A Functional model's JSON from its layers; the last gives the output. */
typedef struct json_layer {
    const char *class_name, *name, *config, *input[2]; /* config: what it has besides its name */
} json_layer;

static void model_json(const json_layer *layer, size_t layers, char *text, size_t size) {
    size_t at = (size_t)snprintf(text, size, "{\"class_name\":\"Functional\",\"config\":{\"layers\":[");
    for (size_t i = 0; i < layers; i++) {
        const json_layer *l = &layer[i];
        at += (size_t)snprintf(text + at, size - at,
                               "%s{\"class_name\":\"%s\",\"name\":\"%s\",\"config\":{\"name\":\"%s\"%s%s},"
                               "\"inbound_nodes\":[",
                               i ? "," : "", l->class_name, l->name, l->name, *l->config ? "," : "", l->config);
        for (int k = 0; k < 2 && l->input[k]; k++)
            at += (size_t)snprintf(text + at, size - at, "%s[\"%s\",0,0,{}]", k ? "," : "[", l->input[k]);
        at += (size_t)snprintf(text + at, size - at, l->input[0] ? "]]}" : "]}");
    }
    at +=
        (size_t)snprintf(text + at, size - at, "],\"input_layers\":[[\"%s\",0,0]],\"output_layers\":[[\"%s\",0,0]]}}",
                         layer[0].name, layer[layers - 1].name);
    assert_true(at < size);
}

/* The numbers of [2,2,2] and of [2,1,4] flattened meet in one order in Keras and in another here. */
static void test_sums_of_images_flattened(void **state) {
    (void)state;
    static const char *const second[2] = {"\"filters\":4,\"kernel_size\":[3,4]",
                                          "\"filters\":2,\"kernel_size\":[3,3]"};
    cop_ctx *ctx = test_ctx();
    for (int alike = 0; alike < 2; alike++) {
        const json_layer layers[] = {
            {"InputLayer", "in", "\"batch_input_shape\":[null,4,4,1]", {NULL}},
            {"Conv2D", "a", second[1], {"in"}},
            {"Conv2D", "b", second[alike], {"in"}},
            {"Flatten", "fa", "", {"a"}},
            {"Flatten", "fb", "", {"b"}},
            {"Add", "s", "", {"fa", "fb"}},
            {"Dense", "d", "\"units\":2", {"s"}},
        };
        char json[2048];
        cop_net *net;
        model_json(layers, COPI_COUNT(layers), json, sizeof json);
        cop_status status = copi_keras_json_parse(ctx, (const uint8_t *)json, strlen(json), &net);
        if (alike) {
            test_ok(ctx, status);
        } else {
            test_fails(ctx, status, COP_E_UNSUPPORTED,
                       "Add 's': of images [2,2,2] and [2,1,4]; flattened images must have one shape");
        }
        cop_net_destroy(net);
    }
    test_ctx_destroy(ctx);
}

static void test_a_mean_alone_is_of_bytes(void **state) {
    (void)state;
    static const json_layer layers[] = {
        {"InputLayer", "in", "\"batch_input_shape\":[null,4,4,1]", {NULL}},
        {"Rescaling", "r", "\"scale\":1.0,\"offset\":-127.5", {"in"}},
        {"Flatten", "f", "", {"r"}},
        {"Dense", "d", "\"units\":2", {"f"}},
    };
    cop_ctx *ctx = test_ctx();
    char json[2048];
    cop_net *net;
    model_json(layers, COPI_COUNT(layers), json, sizeof json);
    test_ok(ctx, copi_keras_json_parse(ctx, (const uint8_t *)json, strlen(json), &net));
    assert_true(net->normalized);
    test_near(net->mean[0], 0.5, 1e-12, 0);
    test_near(net->std[0], 1.0 / 255, 1e-12, 0);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* One length or count of k3/mlp.h5 made absurd: libhdf5 1.10 would take the memory it asks for, or read that far. */
static void test_lengths_are_held_to_the_file(void **state) {
    (void)state;
    static const struct {
        const char *what;
        size_t at, size;
        uint64_t value;
    } changes[] = {
        {"local heap's size", 688, 8, 1ull << 40},
        {"local heap's address", 704, 8, 1ull << 40},
        {"B-tree's level", 141, 1, 255},
        {"B-tree's entries", 142, 2, 65535},
        {"symbols", 6150, 2, 65535},
        {"symbol's name", 6152, 8, 1 << 20},
        {"continuation's length", 1776, 8, 0xcf00000068},
        {"continuation's address", 1768, 8, 1ull << 40},
        {"continuation that leads to itself", 1768, 8, 1760},
        {"message's size", 1786, 2, 65528},
        {"attribute's name without end", 1794, 2, 3},
        {"size of an attribute's elements", 1820, 4, 0},
        {"rank of an attribute's space", 1841, 1, 255},
        {"attribute's elements", 1848, 8, 1000},
    };
    cop_ctx *ctx = test_ctx();
    uint8_t *bytes;
    size_t n;
    test_ok(ctx, copi_read_file(ctx, FIXTURES "k3/mlp.h5", 0, &bytes, &n));
    assert_true(copi_h5_is_sound(bytes, n));
    for (size_t i = 0; i < COPI_COUNT(changes); i++) {
        uint8_t kept[8];
        cop_net *net;
        assert_true(changes[i].at + 8 <= n);
        memcpy(kept, bytes + changes[i].at, 8);
        for (size_t k = 0; k < changes[i].size; k++) bytes[changes[i].at + k] = (uint8_t)(changes[i].value >> 8 * k);
        if (copi_h5_is_sound(bytes, n)) fail_msg("%s: not seen", changes[i].what);
        test_fails(ctx, copi_keras_h5_parse(ctx, bytes, n, &net), COP_E_FORMAT, "a damaged HDF5 file: a length");
        memcpy(bytes + changes[i].at, kept, 8);
    }
    assert_true(copi_h5_is_sound(bytes, n));
    copi_free(ctx, bytes);
    test_ctx_destroy(ctx);
}

/* 8 numbers in chunks of 4, packed by gzip; the second chunk holds `bytes` zeros. Is the file's image, the
 * caller's. */
static uint8_t *packed_file(cop_ctx *ctx, size_t bytes, size_t *n) {
    const hsize_t eight = 8, four = 4, first = 0, second = 4;
    const float numbers[4] = {1, 2, 3, 4};
    copi_h5 h5;
    uint8_t *image, *zeros = calloc(bytes, 1);
    assert_non_null(zeros);
    test_ok(ctx, copi_h5_create(ctx, &h5));
    hid_t plan = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(1, &eight, NULL);
    assert_true(H5Pset_chunk(plan, 1, &four) >= 0 && H5Pset_deflate(plan, 6) >= 0);
    hid_t data = H5Dcreate2(h5.file, "w", H5T_IEEE_F32LE, space, H5P_DEFAULT, plan, H5P_DEFAULT);
    for (int chunk = 0; chunk < 2; chunk++) {
        uLong size = chunk ? (uLong)bytes : sizeof numbers;
        uLongf length = compressBound(size);
        Bytef *packed = malloc(length);
        assert_non_null(packed);
        assert_int_equal(compress(packed, &length, chunk ? zeros : (const Bytef *)numbers, size), Z_OK);
        assert_true(H5Dwrite_chunk(data, H5P_DEFAULT, 0, chunk ? &second : &first, length, packed) >= 0);
        free(packed);
    }
    H5Dclose(data);
    H5Sclose(space);
    H5Pclose(plan);
    test_ok(ctx, copi_h5_image(&h5, &image, n));
    copi_h5_close(&h5);
    free(zeros);
    return image;
}

static void test_chunks_that_unpack_to_more(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    for (int bomb = 0; bomb < 2; bomb++) {
        size_t n;
        int64_t count;
        float *w;
        copi_h5 h5;
        uint8_t *bytes = packed_file(ctx, bomb ? 32 << 20 : 16, &n);
        test_ok(ctx, copi_h5_open(ctx, bytes, n, &h5));
        if (bomb) {
            test_fails(ctx, copi_h5_floats(&h5, "w", &w, &count), COP_E_FORMAT,
                       "HDF5 '/w': a chunk unpacks to more than its 16 bytes");
        } else {
            test_ok(ctx, copi_h5_floats(&h5, "w", &w, &count));
            assert_true(count == 8 && w[3] == 4 && w[7] == 0);
            copi_free(ctx, w);
        }
        copi_h5_close(&h5);
        copi_free(ctx, bytes);
    }
    test_ctx_destroy(ctx);
}

/* Reads one file over and over, and writes it, in a thread and a context of its own. */
typedef struct reading {
    cop_ctx *ctx;
    const char *path, *copy;
    int wrong; /* rounds that failed, or gave other weights than the first */
} reading;

static void *read_again(void *user) {
    reading *r = user;
    cop_net *first, *net = NULL;
    if (cop_net_load(r->ctx, r->path, &first)) r->wrong++;
    for (int i = 0; first && i < 150; i++) {
        cop_status status = cop_net_load(r->ctx, i % 3 == 1 ? r->copy : r->path, &net);
        if (!status && i % 3 == 0) status = cop_net_save(net, r->copy);
        size_t n = first->block_count;
        r->wrong += status || net->block_count != n || memcmp(net->block, first->block, n * sizeof *net->block);
        cop_net_destroy(net);
    }
    cop_net_destroy(first);
    return NULL;
}

static void test_threads_do_not_mix_up_their_files(void **state) {
    (void)state;
    char copy[2][512];
    snprintf(copy[0], sizeof copy[0], "%s", in_dir("thread-0.h5"));
    snprintf(copy[1], sizeof copy[1], "%s", in_dir("thread-1.keras"));
    reading r[2] = {{.path = FIXTURES "tf2/mlp.h5"}, {.path = FIXTURES "k3/residual.h5"}};
    pthread_t thread[2];
    for (int i = 0; i < 2; i++) {
        r[i].ctx = test_ctx();
        r[i].copy = copy[i];
        assert_int_equal(pthread_create(&thread[i], NULL, read_again, &r[i]), 0);
    }
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_join(thread[i], NULL), 0);
    for (int i = 0; i < 2; i++) {
        if (r[i].wrong) fail_msg("%s: %d rounds went wrong: %s", r[i].path, r[i].wrong, cop_error(r[i].ctx));
        test_ctx_destroy(r[i].ctx);
    }
}

/* Two files open at a time are two, also in one thread. */
static void test_files_open_side_by_side(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    const float numbers[2] = {1, 2};
    const int64_t one = 1;
    copi_h5 h5[2];
    for (int i = 0; i < 2; i++) {
        test_ok(ctx, copi_h5_create(ctx, &h5[i]));
        test_ok(ctx, copi_h5_put_floats(&h5[i], "w", 1, &one, &numbers[i]));
    }
    for (int i = 0; i < 2; i++) {
        float *w;
        int64_t count;
        test_ok(ctx, copi_h5_floats(&h5[i], "w", &w, &count));
        assert_true(count == 1 && w[0] == numbers[i]);
        copi_free(ctx, w);
        copi_h5_close(&h5[i]);
    }
    test_ctx_destroy(ctx);
}

static cop_status load(cop_ctx *ctx, void *user) {
    cop_net *net;
    cop_status status = cop_net_load(ctx, user, &net);
    cop_net_destroy(net);
    return status;
}

static void test_memory_that_runs_out(void **state) {
    (void)state;
    static char newer[] = FIXTURES "k3/residual.keras", older[] = FIXTURES "tf2/mlp.h5";
    assert_true(test_out_of_memory(load, newer) > 60);
    assert_true(test_out_of_memory(load, older) > 60);
    assert_true(test_out_of_memory(save_h5, older) > 120);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_models_of_keras_2),
        cmocka_unit_test(test_whole_models_of_keras_3),
        cmocka_unit_test(test_weights_alone),
        cmocka_unit_test(test_weights_of_another_net_are_refused),
        cmocka_unit_test(test_weights_of_a_larger_net_are_refused),
        cmocka_unit_test(test_weights_alone_go_out),
        cmocka_unit_test(test_a_file_to_be_like_that_does_not_fit),
        cmocka_unit_test(test_bad_files_fail_by_name),
        cmocka_unit_test(test_sums_of_images_flattened),
        cmocka_unit_test(test_a_mean_alone_is_of_bytes),
        cmocka_unit_test(test_random_nets_come_back),
        cmocka_unit_test(test_same_net_gives_the_same_bytes),
        cmocka_unit_test(test_chunks_that_unpack_to_more),
        cmocka_unit_test(test_threads_do_not_mix_up_their_files),
        cmocka_unit_test(test_files_open_side_by_side),
        cmocka_unit_test(test_memory_that_runs_out),
        cmocka_unit_test(test_lengths_are_held_to_the_file),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
