/* ONNX in and out: what PyTorch's two exporters and tf2onnx wrote (fixtures/make/onnx_*.py) gives the frameworks' own
 * outputs; what is written comes back as the same function; bad files fail with their status and words. */
#include "folder.h"
#include "bad.h"
#include "expect.h"
#include "nets.h"

#include "io/io.h"

#include <dirent.h>
#include <fcntl.h>
#include <onnx.pb-c.h>
#include <sys/mman.h>
#include <unistd.h>

#define FIXTURES "io/fixtures/onnx/"
#define TOLERANCE                                                                                                    \
    1e-5 /* of the largest output: both sides' float weights, the framework's float sums over < 1,000 terms */

/* log_softmax of each row, in place of the framework's, which the import leaves out. */
static void to_log_softmax(double *y, int64_t n, int64_t classes) {
    for (int64_t i = 0; i < n; i++, y += classes) {
        double sum = 0, most = y[0];
        for (int64_t c = 1; c < classes; c++) most = fmax(most, y[c]);
        for (int64_t c = 0; c < classes; c++) sum += exp(y[c] - most);
        for (int64_t c = 0; c < classes; c++) y[c] -= most + log(sum);
    }
}

static void check_fixture(const char *name, double raw, bool log_softmax) {
    cop_ctx *ctx = test_ctx();
    char path[1024];
    expectation e;
    cop_net *net;
    snprintf(path, sizeof path, FIXTURES "%s.expect", name);
    expectation_read(ctx, path, &e);
    snprintf(path, sizeof path, FIXTURES "%s.onnx", name);
    test_ok(ctx, cop_net_load(ctx, path, &net));
    expectation_meets(&e, net, raw, TOLERANCE, log_softmax ? to_log_softmax : NULL);
    /* and again after a trip through our own writer, dense and sparse */
    for (int form = COPI_ONNX_DENSE; form <= COPI_ONNX_SPARSE; form++) {
        cop_net *back;
        test_ok(ctx, copi_onnx_save(net, (copi_onnx_form)form, in_dir("again.onnx")));
        test_ok(ctx, cop_net_load(ctx, in_dir("again.onnx"), &back));
        expectation_meets(&e, back, raw, TOLERANCE, log_softmax ? to_log_softmax : NULL);
        cop_net_destroy(back);
    }
    cop_net_destroy(net);
    expectation_clear(&e);
    test_ctx_destroy(ctx);
}

static void test_what_frameworks_export_is_computed_alike(void **state) {
    (void)state;
    static const char *const folders[] = {"torch1", "torch2", "tf2onnx", "keras3"};
    int fixtures = 0;
    for (size_t i = 0; i < COPI_COUNT(folders); i++) {
        char path[256];
        snprintf(path, sizeof path, FIXTURES "%s", folders[i]);
        DIR *d = opendir(path);
        assert_non_null(d);
        for (const struct dirent *entry; (entry = readdir(d));) {
            if (!copi_ends_with(entry->d_name, ".onnx")) continue;
            char name[512];
            snprintf(name, sizeof name, "%s/%.*s", folders[i], (int)strlen(entry->d_name) - 5, entry->d_name);
            bool bytes = strstr(name, "tf2onnx/mobile") || strstr(name, "keras3/mobile");
            check_fixture(name, bytes ? 255 : 1, strstr(name, "/view") != NULL);
            fixtures++;
        }
        closedir(d);
    }
    assert_in_range(fixtures, 24, 100);
}

/* Each against onnxruntime (fixtures/make/onnx_bad.py). */
static void test_odd_files_are_computed_alike(void **state) {
    (void)state;
    static const char *const names[] = {
        "affine-chain", "constant-weights", "external",          "gemm-scaled",  "half",         "prelu-opset-7",
        "same-lower",   "sparse",           "squeeze-unsqueeze", "sum-of-three", "vector-input", "large-tensors"};
    for (size_t i = 0; i < COPI_COUNT(names); i++) {
        char name[64];
        snprintf(name, sizeof name, "good/%s", names[i]);
        check_fixture(name, 1, false);
    }
    assert_int_equal(count_files(FIXTURES "good", ".onnx"), COPI_COUNT(names));
}

static const bad_file bad[] = {
    {"add-shapes", COP_E_UNSUPPORTED, "Add 'a': 'x' and 'c' are not laid out alike"},
    {"clip-of-one", COP_E_UNSUPPORTED, "Clip 'c': to [0,1]; supported: [0,6] and [0,infinity)"},
    {"concat-rows", COP_E_UNSUPPORTED, "Concat 'c': 'x': only along channels"},
    {"conv-groups", COP_E_FORMAT, "Conv 'c': weights for 2 channels in 3 groups, an input of 2"},
    {"conv-kernel-lies", COP_E_FORMAT, "Conv 'c': kernel_shape is not its weights' 1x1"},
    {"conv-window", COP_E_UNSUPPORTED, "Conv 'c': its window does not fit the image"},
    {"cycle", COP_E_FORMAT, "Add 'one': it reads 'b', which no earlier node produces"},
    {"deep", COP_E_FORMAT, "messages nest more than 64 deep at byte 197"},
    {"empty", COP_E_FORMAT, "an empty file"},
    {"external-absolute", COP_E_FORMAT, "its data would lie in '/etc/passwd', outside the model's folder"},
    {"external-beyond", COP_E_FORMAT, "tensor 'w': 96 bytes at 64 of 'weights.bin', which has 96"},
    {"external-missing", COP_E_IO, "none.bin: cannot open"},
    {"external-parent", COP_E_FORMAT, "its data would lie in '../secret.bin', outside the model's folder"},
    {"external-twice", COP_E_FORMAT, "tensor 'v': 'weights.bin' is given out more than once"},
    {"missing-input", COP_E_FORMAT, "Gemm 'fc' reads 'none', which nothing produces"},
    {"mul-of-images", COP_E_UNSUPPORTED, "Mul 'm': of two computed values only the sum is supported"},
    {"name-twice", COP_E_FORMAT, "two values are named 'f'"},
    {"no-graph", COP_E_UNSUPPORTED, "the graph has 0 outputs; nets have one"},
    {"no-such-output", COP_E_FORMAT, "nothing produces the output 'z'"},
    {"old-opset", COP_E_VERSION, "ONNX opset 6; coppice " COP_VERSION " reads opset 7 and later"},
    {"open-image-size", COP_E_UNSUPPORTED, "dimension 2 of the input 'x' is not fixed"},
    {"output-of-constants", COP_E_UNSUPPORTED, "the output 'y' does not depend on the images"},
    {"pad-before-max-pool", COP_E_UNSUPPORTED, "MaxPool 'm': zeros of a Pad may be its largest"},
    {"pad-of-ones", COP_E_UNSUPPORTED, "Pad 'p': only with zeros"},
    {"pool-dilated", COP_E_UNSUPPORTED, "MaxPool 'p': it is dilated"},
    {"rank-3-input", COP_E_UNSUPPORTED, "the input 'x' has 3 dimensions; images have 4, vectors 2"},
    {"reshape-mixes-images", COP_E_UNSUPPORTED, "Reshape 'r': to this shape"},
    {"second-graph", COP_E_FORMAT, "a second graph at byte 236"},
    {"softmax-over-images", COP_E_UNSUPPORTED, "Softmax 's': not over the images"},
    {"sparse-huge", COP_E_FORMAT, "274877906944 bytes of constants are more than a file of 161 warrants"},
    {"sparse-out-of-range", COP_E_FORMAT, "sparse tensor 'w': index 1 is out of range or order"},
    {"sparse-unsorted", COP_E_FORMAT, "sparse tensor 'w': index 1 is out of range or order"},
    {"transpose-moves-images", COP_E_UNSUPPORTED, "Transpose 't': the images do not stay first"},
    {"truncated", COP_E_FORMAT, "malformed ModelProto at byte"},
    {"two-inputs", COP_E_UNSUPPORTED, "the graph has two inputs, 'x' and 'x2'; nets have one"},
    {"two-outputs", COP_E_UNSUPPORTED, "the graph has 2 outputs; nets have one"},
    {"unknown-attribute", COP_E_UNSUPPORTED, "Relu 's': its attribute 'slope' is not supported"},
    {"unknown-domain", COP_E_UNSUPPORTED,
     "Relu 's': this op of domain com.mine is not supported; supported: Add, Ave"},
    {"unknown-op", COP_E_UNSUPPORTED, "Swish 's': this op is not supported; supported: Add, Ave"},
    {"weight-computed", COP_E_UNSUPPORTED, "MatMul 'm': input 'f' is computed; it must be a constant"},
    {"weight-huge-dims", COP_E_FORMAT, "tensor 'w': dimension 0 is 1099511627776, which makes no size"},
    {"weight-int", COP_E_UNSUPPORTED, "Gemm 'fc': weights of 2 dimensions for 8 inputs; expected a vector"},
    {"weight-nan", COP_E_FORMAT, "fc.weight[10] is nan; weights must be finite"},
    {"weight-negative-dims", COP_E_FORMAT, "tensor 'w': dimension 0 is -3, which makes no size"},
    {"weight-shape", COP_E_UNSUPPORTED, "weights of 2 dimensions for 7 inputs; expected a vector (here of 8)"},
    {"weight-short", COP_E_FORMAT, "tensor 'w' takes 96 bytes but has 92"},
    {"weight-string", COP_E_UNSUPPORTED, "tensor 'w' is of data type 8; supported: float,"},
};

static void test_bad_files_fail_by_name(void **state) {
    (void)state;
    bad_files_fail(FIXTURES "bad", ".onnx", bad, COPI_COUNT(bad), cop_net_load);
}

/* The ONNX project's own tests of single ops (fixtures/make/onnx_node.py): computed alike, or refused for one of
 * these. */
static void test_backend_node_tests(void **state) {
    (void)state;
    static const char *const refused[][2] = {
        {"averagepool_2d_dilations", "it is dilated"},
        {"constant_pad", "only with zeros, or the edge repeated"},
        {"constant_pad_axes", "only with zeros, or the edge repeated"},
        {"constant_pad_negative_axes", "only with zeros, or the edge repeated"},
        {"gemm_default_matrix_bias", "its bias is not one number per channel"},
        {"matmul_4d", "weights of 4 dimensions"},
        {"maxpool_2d_dilations", "it is dilated"},
        {"squeeze_negative_axes", "only of two dimensions of extent 1"},
        {"unsqueeze_negative_axes", "to 5 dimensions"},
    };
    size_t passed = 0, failed = 0;
    DIR *d = opendir(FIXTURES "node");
    assert_non_null(d);
    for (const struct dirent *entry; (entry = readdir(d));) {
        if (!copi_ends_with(entry->d_name, ".onnx")) continue;
        char name[300];
        snprintf(name, sizeof name, "node/%.*s", (int)strlen(entry->d_name) - 5, entry->d_name);
        size_t i = 0;
        while (i < COPI_COUNT(refused) && strcmp(refused[i][0], name + 5) != 0) i++;
        if (i == COPI_COUNT(refused)) {
            check_fixture(name, 1, strstr(name, "logsoftmax") != NULL);
            passed++;
        } else {
            cop_ctx *ctx = test_ctx();
            char path[512];
            cop_net *net;
            snprintf(path, sizeof path, FIXTURES "%s.onnx", name);
            test_fails(ctx, cop_net_load(ctx, path, &net), COP_E_UNSUPPORTED, refused[i][1]);
            test_ctx_destroy(ctx);
            failed++;
        }
    }
    closedir(d);
    assert_int_equal(failed, COPI_COUNT(refused));
    assert_in_range(passed, 42, 500);
}

static void test_layers_have_the_names_people_know(void **state) {
    (void)state;
    static const struct {
        const char *path, *layer;
        copi_op op;
    } known[] = {
        {"torch1/lenet.onnx", "conv1", COPI_OP_CONV},
        {"torch1/lenet.onnx", "fc2", COPI_OP_DENSE},
        {"torch1/preact.onnx", "bn3", COPI_OP_BATCHNORM},
        {"torch2/resnet.onnx", "layer2.down.0", COPI_OP_CONV},
        {"torch2/lenet.onnx", "relu_1", COPI_OP_RELU},
        {"torch1/lenet-dropout.onnx", "drop/Dropout", COPI_OP_DROPOUT},
        {"tf2onnx/seed_like.onnx", "sequential/conv_a", COPI_OP_CONV},
        {"tf2onnx/residual.onnx", "model/batch_normalization_2", COPI_OP_BATCHNORM},
    };
    for (size_t i = 0; i < COPI_COUNT(known); i++) {
        cop_ctx *ctx = test_ctx();
        char path[256];
        cop_net *net;
        snprintf(path, sizeof path, FIXTURES "%s", known[i].path);
        test_ok(ctx, cop_net_load(ctx, path, &net));
        int node = copi_net_find(net, known[i].layer);
        assert_true(node > 0);
        assert_int_equal(net->node[node].op, known[i].op);
        cop_net_destroy(net);
        test_ctx_destroy(ctx);
    }
}

static void test_what_became_of_the_graph_is_said(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net;
    test_ok(ctx, cop_net_load(ctx, FIXTURES "torch1/view.onnx", &net));
    assert_non_null(
        strstr(net->provenance, "imported from ONNX (pytorch 1.13.0, opset 13): 20 nodes, 11 of them folded"));
    assert_non_null(strstr(net->provenance, "LogSoftmax"));
    assert_int_equal(net->normalized, 0);
    cop_net_destroy(net);
    test_ok(ctx, cop_net_load(ctx, FIXTURES "torch1/pools.onnx", &net));
    assert_non_null(strstr(net->provenance, "images of [0,1] became the net's normalization"));
    test_near(net->mean[1], 0.4, 1e-6, 0);
    test_near(net->std[2], 0.3, 1e-6, 0);
    cop_net_destroy(net);
    test_ok(ctx, cop_net_load(ctx, FIXTURES "tf2onnx/mobile.onnx", &net));
    assert_non_null(strstr(net->provenance, "images of [0,255]"));
    test_near(net->mean[0], 0.5, 1e-6, 0);
    test_near(net->std[0], 0.5, 1e-6, 0);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* What we write of a graph (which is freed), to be changed and read again: for files as others write them. */
static Onnx__ModelProto *written(cop_ctx *ctx, cop_graph *g) {
    cop_net *net;
    uint8_t *bytes;
    size_t n;
    test_ok(ctx, cop_graph_build(g, 1, &net));
    test_ok(ctx, cop_net_save(net, in_dir("written.onnx")));
    test_ok(ctx, copi_read_file(ctx, in_dir("written.onnx"), 0, &bytes, &n));
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, n, bytes);
    assert_non_null(model);
    copi_free(ctx, bytes);
    cop_net_destroy(net);
    return model;
}

/* The same of images through a relu6, which is written as Clip(images, 0, 6), into a dense layer. */
static Onnx__ModelProto *written_clip(cop_ctx *ctx) {
    cop_graph *g;
    test_ok(ctx, cop_graph_create(ctx, &g));
    int at = cop_graph_relu6(g, "r", cop_graph_input(g, "in", 1, 4, 4));
    cop_graph_dense(g, "fc", cop_graph_flatten(g, "f", at), 2, 1);
    return written(ctx, g);
}

/* Frees the model. */
static cop_status read_again(cop_ctx *ctx, Onnx__ModelProto *model, cop_net **net) {
    size_t n = onnx__model_proto__get_packed_size(model);
    uint8_t *bytes = copi_alloc(ctx, n, 1);
    assert_non_null(bytes);
    assert_int_equal(onnx__model_proto__pack(model, bytes), n);
    onnx__model_proto__free_unpacked(model, NULL);
    cop_status status = copi_onnx_parse(ctx, bytes, n, net);
    copi_free(ctx, bytes);
    return status;
}

/* Sub(images, 127.5), made of a relu6's Clip(images, 0, 6). */
static void test_a_mean_alone_is_of_bytes(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net;
    Onnx__ModelProto *model = written_clip(ctx);
    Onnx__NodeProto *clip = model->graph->node[0];
    Onnx__TensorProto *six = model->graph->initializer[1];
    assert_string_equal(clip->op_type, "Clip");
    assert_string_equal(clip->input[2], six->name);
    strcpy(clip->op_type, "Sub");
    free(clip->input[1]);
    clip->input[1] = clip->input[2];
    clip->n_input = 2;
    assert_int_equal(six->raw_data.len, sizeof(float));
    memcpy(six->raw_data.data, &(float){127.5F}, sizeof(float));
    test_ok(ctx, read_again(ctx, model, &net));
    assert_non_null(strstr(net->provenance, "images of [0,255]"));
    test_near(net->mean[0], 0.5, 1e-12, 0);
    test_near(net->std[0], 1.0 / 255, 1e-12, 0);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* Names of classes, say, as an initializer of strings: nothing reads it, and nobody minds. */
static void test_initializers_that_nothing_reads(void **state) {
    (void)state;
    for (int needed = 0; needed < 2; needed++) {
        cop_ctx *ctx = test_ctx();
        cop_net *net;
        Onnx__ModelProto *model = written_clip(ctx);
        Onnx__NodeProto *clip = model->graph->node[0];
        model->graph->initializer[0]->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__STRING;
        if (!needed) { /* Relu reads neither bound */
            memcpy(clip->op_type, "Relu", 4);
            while (clip->n_input > 1) free(clip->input[--clip->n_input]);
        }
        cop_status status = read_again(ctx, model, &net);
        if (needed) {
            test_fails(ctx, status, COP_E_UNSUPPORTED, "tensor 'coppice.0' is of data type 8; supported: float,");
        } else {
            test_ok(ctx, status);
        }
        cop_net_destroy(net);
        test_ctx_destroy(ctx);
    }
}

static void test_batch_norms_in_training_form(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    for (int training = 0; training < 2; training++) {
        cop_graph *g;
        cop_net *net;
        test_ok(ctx, cop_graph_create(ctx, &g));
        int at = cop_graph_batchnorm(g, "bn", cop_graph_input(g, "in", 1, 4, 4), 1e-3);
        cop_graph_dense(g, "fc", cop_graph_flatten(g, "f", at), 2, 1);
        Onnx__ModelProto *model = written(ctx, g);
        Onnx__AttributeProto *epsilon = model->graph->node[0]->attribute[0]; /* becomes another */
        free(epsilon->name);
        epsilon->name = strdup("training_mode");
        epsilon->has_f = 0;
        epsilon->has_i = 1;
        epsilon->i = training;
        test_ok(ctx, read_again(ctx, model, &net));
        const char *note = strstr(net->provenance, "batch-norms in training form, read in inference form: 1");
        assert_int_equal(note != NULL, training);
        cop_net_destroy(net);
    }
    test_ctx_destroy(ctx);
}

static void same_function(const cop_net *a, const cop_net *b, double tolerance) {
    int64_t n = 2, count = n * ref_count(a, a->nodes - 1);
    assert_int_equal(count, n * ref_count(b, b->nodes - 1));
    double *x = ref_outputs(a, n, 99), *y = ref_outputs(b, n, 99), largest = 0;
    for (int64_t i = 0; i < count; i++) largest = fmax(largest, fabs(x[i]));
    for (int64_t i = 0; i < count; i++) test_near(y[i], x[i], 0, tolerance * largest);
    free(x);
    free(y);
}

static void copy(cop_ctx *ctx, const char *from, const char *to, const void *more, size_t n_more) {
    uint8_t *bytes;
    size_t n;
    test_ok(ctx, copi_read_file(ctx, from, 0, &bytes, &n));
    uint8_t *all = copi_alloc(ctx, n + n_more, 1);
    memcpy(all, bytes, n);
    if (n_more) memcpy(all + n, more, n_more);
    test_ok(ctx, copi_write_file(ctx, to, all, n + n_more));
    copi_free(ctx, all);
    copi_free(ctx, bytes);
}

/* What another program wrote into metadata_props is there again in a copy and after a trip through our
 * files. */
static void test_metadata_of_others_is_kept(void **state) {
    (void)state;
    /* two entries of field 14 of ModelProto; a message's fields may follow it */
    static const char author[] = "r\x11\n\x06"
                                 "author\x12\x07"
                                 "A. N. O"
                                 "r\x0a\n\x05"
                                 "latin\x12\x01"
                                 "\xe9";
    cop_ctx *ctx = test_ctx();
    cop_net *net, *next;
    copy(ctx, FIXTURES "torch1/lenet.onnx", in_dir("theirs.onnx"), author, sizeof author - 1);
    test_ok(ctx, cop_net_load(ctx, in_dir("theirs.onnx"), &net));
    assert_string_equal(net->metadata, "{\"author\":\"A. N. O\"}"); /* the other one is no UTF-8 */
    test_ok(ctx, cop_net_clone(net, &next));
    cop_net_destroy(net);
    static const char *const files[] = {"ours.safetensors", "ours.keras", "ours.onnx", "again.safetensors"};
    for (size_t i = 0; i < COPI_COUNT(files); i++) {
        test_ok(ctx, cop_net_save(next, in_dir(files[i])));
        cop_net_destroy(next);
        test_ok(ctx, cop_net_load(ctx, in_dir(files[i]), &next));
        assert_string_equal(next->metadata, "{\"author\":\"A. N. O\"}");
    }
    cop_net_destroy(next);
    uint8_t *bytes;
    size_t n, at = 0;
    test_ok(ctx, copi_read_file(ctx, in_dir("ours.onnx"), 0, &bytes, &n));
    while (at + 15 <= n && memcmp(bytes + at,
                                  "author\x12\x07"
                                  "A. N. O",
                                  15) != 0)
        at++;
    assert_true(at + 15 <= n); /* under their key */
    copi_free(ctx, bytes);
    test_ctx_destroy(ctx);
}

/* A link beside the model that leads to a file elsewhere; and a model that is itself a link, its data beside it
 * there. */
static void test_external_data_behind_links(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net;
    test_ok(ctx, copi_make_dir(ctx, in_dir("store")));
    test_ok(ctx, copi_make_dir(ctx, in_dir("linked")));
    copy(ctx, FIXTURES "good/external.onnx", in_dir("store/model"), NULL, 0);
    copy(ctx, FIXTURES "good/weights.bin", in_dir("store/data"), NULL, 0);
    assert_int_equal(symlink("../store/model", in_dir("linked/external.onnx")), 0);
    assert_int_equal(symlink("../store/data", in_dir("linked/weights.bin")), 0);
    test_ok(ctx, cop_net_load(ctx, in_dir("linked/external.onnx"), &net));
    cop_net_destroy(net);
    copy(ctx, FIXTURES "good/external.onnx", in_dir("linked/plain.onnx"), NULL, 0);
    test_fails(ctx, cop_net_load(ctx, in_dir("linked/plain.onnx"), &net), COP_E_FORMAT,
               "external data 'weights.bin' is a link that leads outside the model's folder");
    assert_int_equal(unlink(in_dir("linked/external.onnx")) | unlink(in_dir("linked/weights.bin")), 0);
    test_ctx_destroy(ctx);
}

static void test_random_nets_come_back(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 24; seed++) {
        cop_ctx *ctx = test_ctx();
        cop_net *net = test_net_random(ctx, &(test_net_params){.seed = seed, .gates = seed % 4 == 0}), *back;
        assert_non_null(net);
        test_net_mask(net, seed, 0.6);
        const char *names[16] = {"a", "b", "c", "d", "e", "f", "g", "h"};
        test_ok(ctx, copi_net_set_classes(net, names, net->classes));
        test_ok(ctx, copi_net_note(net, "trained for %d epochs", (int)seed));
        net->dense_parameters += 1000;
        test_ok(ctx, copi_onnx_save(net, seed % 2 ? COPI_ONNX_SPARSE : COPI_ONNX_DENSE, in_dir("net.onnx")));
        test_ok(ctx, cop_net_load(ctx, in_dir("net.onnx"), &back));
        /* gates come back as batch-norms, whose arithmetic rounds otherwise; epsilon and slope are floats in the
         * file */
        same_function(net, back, 1e-6);
        assert_string_equal(back->class_name[1], "b");
        assert_int_equal(back->dense_parameters, net->dense_parameters);
        assert_non_null(strstr(back->provenance, "trained for"));
        for (int i = 0; i < net->params; i++) {
            const copi_param *p = &net->param[i];
            if (p->kind == COPI_PARAM_GATE) continue;
            int other = copi_net_find_param(back, p->name);
            assert_true(other >= 0);
            assert_memory_equal(p->data, back->param[other].data, (size_t)p->count * sizeof *p->data);
            assert_int_equal(!p->mask, !back->param[other].mask);
            if (p->mask) assert_memory_equal(p->mask, back->param[other].mask, (size_t)p->count);
        }
        cop_net_destroy(back);
        cop_net_destroy(net);
        test_ctx_destroy(ctx);
    }
}

/* Names as PyTorch's and TensorFlow's exporters give them to nodes, and others: of layers of ours they stay. */
static cop_net *odd_names(cop_ctx *ctx) {
    char longest[COPI_MAX_NAME + 1] = "";
    cop_graph *g;
    cop_net *net;
    for (int i = 0; i < COPI_MAX_NAME; i++) longest[i] = (char)('a' + i % 26);
    const cop_conv_params conv = {.size = sizeof(cop_conv_params),
                                  .filters = 4,
                                  .kernel = {3, 3},
                                  .stride = {1, 1},
                                  .dilation = {1, 1},
                                  .groups = 1};
    cop_conv_params depthwise = conv;
    depthwise.groups = 4;
    test_ok(ctx, cop_graph_create(ctx, &g));
    int at = cop_graph_input(g, "node_in", 1, 9, 9);
    at = cop_graph_conv(g, "node_a", at, &conv);
    at = cop_graph_conv(g, "sep/depthwise", at, &depthwise);
    at = cop_graph_conv(g, "sep", at, &conv);
    at = cop_graph_batchnorm(g, "/bn/BatchNormalization", at, 1e-3);
    at = cop_graph_relu(g, "/Relu", at);
    at = cop_graph_flatten(g, "flat", at);
    at = cop_graph_dense(g,
                         "gr\xc3\xb6\xc3\x9f"
                         "e",
                         at, 8, 1);
    at = cop_graph_dense(g, longest, at, 8, 0);
    cop_graph_dense(g, "flatten", at, 3, 1);
    test_ok(ctx, cop_graph_build(g, 1, &net));
    test_net_fill(net, 3);
    test_net_mask(net, 3, 0.7);
    for (int i = 0; i < net->nodes; i++) {
        if (!net->node[i].dense_count) continue;
        net->node[i].dense_count += 10 + i; /* as of a net that was larger once */
        net->node[i].dense_macs += 100 + i;
        net->dense_parameters += 10 + i;
        net->dense_macs += 100 + i;
    }
    return net;
}

static void test_layers_keep_their_names(void **state) {
    (void)state;
    for (int form = COPI_ONNX_DENSE; form <= COPI_ONNX_SPARSE; form++) {
        cop_ctx *ctx = test_ctx();
        cop_net *net = odd_names(ctx), *back;
        test_ok(ctx, copi_onnx_save(net, (copi_onnx_form)form, in_dir("names.onnx")));
        test_ok(ctx, cop_net_load(ctx, in_dir("names.onnx"), &back));
        assert_int_equal(back->nodes, net->nodes);
        for (int i = 0; i < net->nodes; i++) {
            assert_string_equal(back->node[i].name, net->node[i].name);
            assert_int_equal(back->node[i].dense_count, net->node[i].dense_count);
            assert_int_equal(back->node[i].dense_macs, net->node[i].dense_macs);
        }
        assert_int_equal(back->dense_parameters, net->dense_parameters);
        assert_int_equal(back->dense_macs, net->dense_macs);
        assert_int_equal(back->params, net->params);
        for (int i = 0; i < net->params; i++) {
            const copi_param *p = &net->param[i], *q = &back->param[i];
            assert_string_equal(q->name, p->name);
            assert_memory_equal(q->data, p->data, (size_t)p->count * sizeof *p->data);
            assert_int_equal(!q->mask, !p->mask);
            if (p->mask) assert_memory_equal(q->mask, p->mask, (size_t)p->count);
        }
        cop_net_destroy(back);
        cop_net_destroy(net);
        test_ctx_destroy(ctx);
    }
}

static void keep_warning(void *user, cop_log_level level, const char *text) {
    char *warnings = user; /* [512] */
    if (level == COP_LOG_WARNING) snprintf(warnings + strlen(warnings), 512 - strlen(warnings), "%s\n", text);
}

/* Metadata of our own that some tool has left behind with layers of other names. */
static void test_metadata_of_no_layer_are_warned_of(void **state) {
    (void)state;
    char warnings[512] = "";
    cop_ctx_options o = cop_ctx_options_default();
    o.log = keep_warning;
    o.user = warnings;
    cop_ctx *ctx;
    assert_int_equal(cop_ctx_create(&o, &ctx), COP_OK);
    cop_net *net = odd_names(ctx);
    uint8_t *bytes;
    size_t n;
    test_ok(ctx, cop_net_save(net, in_dir("names.onnx")));
    cop_net_destroy(net);
    test_ok(ctx, cop_net_load(ctx, in_dir("names.onnx"), &net));
    cop_net_destroy(net);
    assert_string_equal(warnings, "");
    test_ok(ctx, copi_read_file(ctx, in_dir("names.onnx"), 0, &bytes, &n));
    for (size_t i = 0; i + 13 < n; i++) {
        if (!memcmp(bytes + i, "\"node_a\"", 8) || !memcmp(bytes + i, "\"node_a.weight\"", 15)) bytes[i + 6] = 'b';
        if (!memcmp(bytes + i, "\"sep\"", 5)) bytes[i + 3] = 't';
    }
    test_ok(ctx, copi_onnx_parse(ctx, bytes, n, &net));
    assert_string_equal(warnings, "coppice.dense: the net has no 'node_b' and 1 more; they are left out\n"
                                  "coppice.masks: the net has no 'node_b.weight'; it is left out\n");
    copi_free(ctx, bytes);
    cop_net_destroy(net);
    cop_ctx_destroy(ctx);
}

static void test_sparse_files_are_smaller(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net;
    uint8_t *bytes;
    size_t dense, sparse;
    test_ok(ctx, cop_net_preset(ctx, "lenet-300-100", 1, 28, 28, 10, 1, &net));
    test_net_mask(net, 1, 0.95);
    test_ok(ctx, copi_onnx_save(net, COPI_ONNX_DENSE, in_dir("d.onnx")));
    test_ok(ctx, copi_onnx_save(net, COPI_ONNX_SPARSE, in_dir("s.onnx")));
    test_ok(ctx, copi_read_file(ctx, in_dir("d.onnx"), 0, &bytes, &dense));
    copi_free(ctx, bytes);
    test_ok(ctx, copi_read_file(ctx, in_dir("s.onnx"), 0, &bytes, &sparse));
    copi_free(ctx, bytes);
    assert_true(dense > 4 * 266200);  /* every weight */
    assert_true(sparse < dense / 10); /* one in twenty, at 4 + about 2.6 bytes */
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* One field with a length: number below 16, then the bytes. Returns how many it takes. */
static size_t put_field(uint8_t *to, unsigned number, const void *bytes, size_t n) {
    size_t at = 0;
    to[at++] = (uint8_t)(number << 3 | 2);
    size_t left = n;
    for (; left > 127; left >>= 7) to[at++] = (uint8_t)((left & 127) | 128);
    to[at++] = (uint8_t)left;
    memmove(to + at, bytes, n);
    return at + n;
}

/* The last of a field's values counts, which may be one that is lent by the file, after one that is not. */
static void test_raw_data_given_twice(void **state) {
    (void)state;
    static const size_t sizes[][2] = {{100, 8000}, {8000, 100}, {8000, 9000}};
    for (size_t i = 0; i < COPI_COUNT(sizes); i++) {
        static uint8_t zeros[9000], tensor[20000], graph[20000], model[20000];
        cop_ctx *ctx = test_ctx();
        cop_net *net;
        size_t n = 0;
        for (int k = 0; k < 2; k++) n += put_field(tensor + n, 9, zeros, sizes[i][k]);
        n = put_field(graph, 5, tensor, n);
        n = put_field(model, 7, graph, n);
        test_fails(ctx, copi_onnx_parse(ctx, model, n, &net), COP_E_UNSUPPORTED, "the graph has 0 outputs");
        test_ctx_destroy(ctx); /* no block is left */
    }
}

static void test_full_disk(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net;
    test_ok(ctx, cop_net_load(ctx, FIXTURES "torch1/lenet.onnx", &net));
    test_fails(ctx, copi_onnx_save(net, COPI_ONNX_DENSE, "/dev/full"), COP_E_IO, "/dev/full");
    net->param[1].data[0] = NAN;
    test_fails(ctx, cop_net_save(net, in_dir("nan.onnx")), COP_E_RANGE, "conv1.bias[0] is nan");
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* A net of over 2 GiB whose weights are all one page of zeros. */
static void test_more_than_protobuf_holds(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_graph *g;
    cop_net *net;
    test_ok(ctx, cop_graph_create(ctx, &g));
    cop_graph_dense(g, "fc", cop_graph_flatten(g, "f", cop_graph_input(g, "in", 1, 4, 4)), 2, 0);
    test_ok(ctx, cop_graph_build(g, 1, &net));
    copi_param *p = &net->param[0], kept = *p;
    size_t bytes = (size_t)1 << 31;
    int file = open("/dev/zero", O_RDONLY);
    void *zeros = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, file, 0);
    assert_true(zeros != MAP_FAILED && close(file) == 0);
    p->data = zeros;
    p->count = (int64_t)(bytes / sizeof(float));
    test_fails(ctx, cop_net_save(net, in_dir("large.onnx")), COP_E_UNSUPPORTED, "programs read at most 2147483647");
    assert_int_not_equal(access(in_dir("large.onnx"), F_OK), 0);
    *p = kept;
    munmap(zeros, bytes);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

static void test_mangled_files_never_hurt(void **state) {
    (void)state;
    static const char *const paths[] = {FIXTURES "torch1/dense.onnx", FIXTURES "tf2onnx/mobile.onnx"};
    for (size_t k = 0; k < COPI_COUNT(paths); k++) {
        cop_ctx *ctx = test_ctx();
        uint8_t *bytes;
        size_t n;
        cop_net *net;
        test_ok(ctx, copi_read_file(ctx, paths[k], 0, &bytes, &n));
        for (size_t cut = 0; cut < n; cut++) {
            if (copi_onnx_parse(ctx, bytes, cut, &net)) assert_true(strlen(cop_error(ctx)) > 0);
            cop_net_destroy(net); /* a cut between top-level fields may leave a whole model */
        }
        copi_rng rng = copi_rng_make(k, COPI_STREAM_TEST, 0);
        for (int i = 0; i < 3000; i++) {
            uint64_t at = copi_rng_below(&rng, n);
            uint8_t old = bytes[at];
            bytes[at] = (uint8_t)copi_rng_below(&rng, 256);
            if (copi_onnx_parse(ctx, bytes, n, &net)) assert_true(strlen(cop_error(ctx)) > 0);
            cop_net_destroy(net);
            bytes[at] = old;
        }
        copi_free(ctx, bytes);
        test_ctx_destroy(ctx);
    }
}

static cop_status load_and_save(cop_ctx *ctx, void *user) {
    cop_net *net;
    cop_status status = cop_net_load(ctx, user, &net);
    if (!status) status = copi_onnx_save(net, COPI_ONNX_SPARSE, in_dir("memory.onnx"));
    cop_net_destroy(net);
    return status;
}

static void test_memory_that_runs_out(void **state) {
    (void)state;
    static char path[] = FIXTURES "tf2onnx/seed_like.onnx";
    assert_true(test_out_of_memory(load_and_save, path) > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_frameworks_export_is_computed_alike),
        cmocka_unit_test(test_odd_files_are_computed_alike),
        cmocka_unit_test(test_bad_files_fail_by_name),
        cmocka_unit_test(test_backend_node_tests),
        cmocka_unit_test(test_layers_have_the_names_people_know),
        cmocka_unit_test(test_what_became_of_the_graph_is_said),
        cmocka_unit_test(test_a_mean_alone_is_of_bytes),
        cmocka_unit_test(test_initializers_that_nothing_reads),
        cmocka_unit_test(test_batch_norms_in_training_form),
        cmocka_unit_test(test_metadata_of_others_is_kept),
        cmocka_unit_test(test_external_data_behind_links),
        cmocka_unit_test(test_random_nets_come_back),
        cmocka_unit_test(test_layers_keep_their_names),
        cmocka_unit_test(test_metadata_of_no_layer_are_warned_of),
        cmocka_unit_test(test_sparse_files_are_smaller),
        cmocka_unit_test(test_raw_data_given_twice),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_more_than_protobuf_holds),
        cmocka_unit_test(test_mangled_files_never_hurt),
        cmocka_unit_test(test_memory_that_runs_out),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
