/* The native container: what goes out comes back bit for bit; golden files made by another hand
 * (fixtures/make/safetensors.py) are read and written alike; bad ones fail with their status and words. */
#include "folder.h"
#include "bad.h"
#include "nets.h"

#include "io/io.h"

#include <dirent.h>
#include <math.h>
#include <string.h>
#include <sys/resource.h>
#include <signal.h>
#include <unistd.h>

#define GOOD "io/fixtures/safetensors/good/"
#define BAD "io/fixtures/safetensors/bad"

static void bytes_of(cop_ctx *ctx, const char *path, uint8_t **bytes, size_t *n) {
    test_ok(ctx, copi_read_file(ctx, path, 0, bytes, n));
}

static void same_files(cop_ctx *ctx, const char *a, const char *b) {
    uint8_t *x, *y;
    size_t n, m;
    bytes_of(ctx, a, &x, &n);
    bytes_of(ctx, b, &y, &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    copi_free(ctx, x);
    copi_free(ctx, y);
}

/* Field by field: unions and structs have padding, whose bytes mean nothing. */
static void same_attributes(const copi_node *x, const copi_node *y) {
    const cop_conv_params *c = &x->u.conv, *d = &y->u.conv;
    const cop_pool_params *p = &x->u.pool, *q = &y->u.pool;
    switch (x->op) {
    case COPI_OP_CONV:
        assert_int_equal(c->filters, d->filters);
        assert_memory_equal(c->kernel, d->kernel, sizeof c->kernel);
        assert_memory_equal(c->stride, d->stride, sizeof c->stride);
        assert_memory_equal(c->dilation, d->dilation, sizeof c->dilation);
        assert_memory_equal(c->pad, d->pad, sizeof c->pad);
        assert_int_equal(c->groups, d->groups);
        assert_int_equal(c->bias, d->bias);
        break;
    case COPI_OP_MAX_POOL:
    case COPI_OP_AVG_POOL:
        assert_memory_equal(p->kernel, q->kernel, sizeof p->kernel);
        assert_memory_equal(p->stride, q->stride, sizeof p->stride);
        assert_memory_equal(p->pad, q->pad, sizeof p->pad);
        if (x->op == COPI_OP_AVG_POOL) assert_int_equal(p->count_pad, q->count_pad);
        break;
    case COPI_OP_DENSE:
        assert_int_equal(x->u.dense.units, y->u.dense.units);
        assert_int_equal(x->u.dense.bias, y->u.dense.bias);
        break;
    case COPI_OP_BATCHNORM:
        assert_true(x->u.batchnorm.epsilon == y->u.batchnorm.epsilon);
        break;
    case COPI_OP_LEAKY_RELU:
        assert_true(x->u.leaky.slope == y->u.leaky.slope);
        break;
    case COPI_OP_DROPOUT:
        assert_true(x->u.dropout.share == y->u.dropout.share);
        break;
    case COPI_OP_GATE:
        assert_int_equal(x->u.gate.factors, y->u.gate.factors);
        break;
    default:
        break; /* the others have none */
    }
}

static void same_nodes(const cop_net *a, const cop_net *b) {
    assert_int_equal(a->nodes, b->nodes);
    for (int i = 0; i < a->nodes; i++) {
        const copi_node *x = &a->node[i], *y = &b->node[i];
        assert_string_equal(x->name, y->name);
        assert_int_equal(x->op, y->op);
        assert_int_equal(x->nsrc, y->nsrc);
        if (x->nsrc) assert_memory_equal(x->src, y->src, (size_t)x->nsrc * sizeof *x->src);
        assert_int_equal(x->rank, y->rank);
        assert_memory_equal(x->shape, y->shape, sizeof x->shape);
        same_attributes(x, y);
        assert_int_equal(x->dense_count, y->dense_count);
        assert_int_equal(x->dense_macs, y->dense_macs);
    }
}

static void same_nets(const cop_net *a, const cop_net *b) {
    same_nodes(a, b);
    assert_int_equal(a->params, b->params);
    assert_int_equal(a->block_count, b->block_count);
    assert_memory_equal(a->block, b->block, a->block_count * sizeof *a->block);
    for (int i = 0; i < a->params; i++) {
        const copi_param *x = &a->param[i], *y = &b->param[i];
        assert_string_equal(x->name, y->name);
        assert_int_equal(x->kind, y->kind);
        assert_int_equal(!x->mask, !y->mask);
        if (x->mask) assert_memory_equal(x->mask, y->mask, (size_t)x->count);
    }
    assert_int_equal(a->classes, b->classes);
    assert_int_equal(!a->class_name, !b->class_name);
    for (int i = 0; a->class_name && i < a->classes; i++) assert_string_equal(a->class_name[i], b->class_name[i]);
    assert_int_equal(a->normalized, b->normalized);
    for (int64_t c = 0; a->normalized && c < a->node[0].shape[0]; c++) {
        assert_memory_equal(&a->mean[c], &b->mean[c], sizeof(double));
        assert_memory_equal(&a->std[c], &b->std[c], sizeof(double));
    }
    assert_int_equal(a->dense_parameters, b->dense_parameters);
    assert_int_equal(a->dense_conv, b->dense_conv);
    assert_int_equal(a->dense_dense, b->dense_dense);
    assert_int_equal(a->dense_macs, b->dense_macs);
    assert_string_equal(a->provenance, b->provenance);
}

/* A net with everything a file can carry, drawn from seed. */
static cop_net *make_net(cop_ctx *ctx, uint64_t seed) {
    cop_net *net = test_net_random(ctx, &(test_net_params){.seed = seed, .gates = (int)(seed % 2)});
    assert_non_null(net);
    test_net_fill(net, seed);
    test_net_mask(net, seed, 0.5);
    const char *names[16];
    for (int i = 0; i < 16; i++) names[i] = i % 2 ? "\"quoted\\\"" : "sch\xc3\xb6n\t";
    if (seed % 3) test_ok(ctx, copi_net_set_classes(net, names, net->classes));
    double mean[COP_MAX_CHANNELS], std[COP_MAX_CHANNELS];
    for (int c = 0; c < COP_MAX_CHANNELS; c++) {
        mean[c] = 1.0 / (c + 3.0);
        std[c] = sqrt(c + 2.0);
    }
    if (seed % 2) test_ok(ctx, copi_net_set_normalization(net, mean, std));
    copi_net_mark_dense(net);
    net->dense_parameters += 12345; /* as after shrinking */
    net->node[1].dense_count += 7;
    test_ok(ctx, copi_net_note(net, "drawn from seed %d", (int)seed));
    test_ok(ctx, copi_net_note(net, "a second line"));
    return net;
}

static void test_round_trip_keeps_every_bit(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 24; seed++) {
        cop_ctx *ctx = test_ctx();
        cop_net *net = make_net(ctx, seed), *back;
        char first[512];
        snprintf(first, sizeof first, "%s", in_dir("a.safetensors"));
        test_ok(ctx, cop_net_save(net, first));
        test_ok(ctx, cop_net_load(ctx, first, &back));
        same_nets(net, back);
        test_ok(ctx, cop_net_save(back, in_dir("b.safetensors")));
        same_files(ctx, first, in_dir("b.safetensors"));
        cop_net_destroy(back);
        cop_net_destroy(net);
        test_ctx_destroy(ctx);
    }
}

/* A flag is 1 in a file, whatever a program gave for it. */
static void test_flags_of_any_number(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_graph *g;
    cop_net *net, *back;
    const cop_conv_params conv = {.size = sizeof(cop_conv_params),
                                  .filters = 2,
                                  .kernel = {3, 3},
                                  .stride = {1, 1},
                                  .dilation = {1, 1},
                                  .groups = 1,
                                  .bias = -1};
    const cop_pool_params pool = {
        .size = sizeof(cop_pool_params), .kernel = {3, 3}, .stride = {1, 1}, .pad = {1, 1, 1, 1}, .count_pad = 7};
    test_ok(ctx, cop_graph_create(ctx, &g));
    int at = cop_graph_conv(g, "c", cop_graph_input(g, "in", 1, 6, 6), &conv);
    at = cop_graph_avg_pool(g, "p", at, &pool);
    cop_graph_dense(g, "d", cop_graph_flatten(g, "f", at), 2, 4);
    test_ok(ctx, cop_graph_build(g, 1, &net));
    test_ok(ctx, cop_net_save(net, in_dir("flags.safetensors")));
    test_ok(ctx, cop_net_load(ctx, in_dir("flags.safetensors"), &back));
    same_nets(net, back);
    assert_int_equal(back->params, 4);
    assert_int_equal(back->node[2].u.pool.count_pad, 1);
    cop_net_destroy(back);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

static void test_extras_travel_beside_the_net(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net = make_net(ctx, 5), *back;
    copi_extras out, in;
    copi_extras_init(&out, ctx);
    copi_extras_init(&in, ctx);
    for (int i = 0; i < 9; i++) {
        char name[32];
        snprintf(name, sizeof name, "optimizer.m/layer%d", i);
        float *data = copi_extras_tensor(&out, name, 2, (int64_t[]){i, 3});
        assert_non_null(data);
        for (int j = 0; j < 3 * i; j++) data[j] = (float)(i + j) / 7.0f;
    }
    *copi_extras_tensor(&out, "scalar", 0, NULL) = INFINITY; /* state is kept as it is, whatever it is */
    test_ok(ctx, copi_extras_set(&out, "step", "1"));
    test_ok(ctx, copi_extras_set(&out, "rng", "seed \"7\"\n"));
    test_ok(ctx, copi_extras_set(&out, "step", "12345"));
    const char *path = in_dir("c.safetensors");
    test_ok(ctx, copi_safetensors_save(net, &out, path));
    test_ok(ctx, copi_safetensors_load(ctx, path, &back, &in));
    same_nets(net, back);
    assert_int_equal(in.tensors, 10);
    assert_int_equal(in.pairs, 2);
    assert_string_equal(copi_extras_get(&in, "step"), "12345");
    assert_string_equal(copi_extras_get(&in, "rng"), "seed \"7\"\n");
    assert_null(copi_extras_get(&in, "none"));
    assert_null(copi_extras_find(&in, "none"));
    for (int i = 0; i < out.tensors; i++) {
        const copi_extra_tensor *x = &out.tensor[i], *y = copi_extras_find(&in, x->name);
        assert_non_null(y);
        assert_int_equal(x->rank, y->rank);
        assert_memory_equal(x->shape, y->shape, sizeof x->shape);
        assert_int_equal(x->count, y->count);
        assert_memory_equal(x->data, y->data, (size_t)x->count * sizeof(float));
    }
    cop_net_destroy(back);
    /* who asks for the net alone gets it, and a program without checkpoints reads the file too */
    test_ok(ctx, cop_net_load(ctx, path, &back));
    same_nets(net, back);
    assert_null(copi_extras_tensor(&out, "too many dimensions", 5, (int64_t[]){1, 1, 1, 1, 1}));
    assert_null(copi_extras_tensor(&out, "too large", 2, (int64_t[]){INT64_MAX, 3}));
    assert_non_null(copi_extras_tensor(&out, "scalar", 0, NULL));
    test_fails(ctx, copi_safetensors_save(net, &out, path), COP_E_ARG, "two tensors are named 'checkpoint/scalar'");
    cop_net_destroy(back);
    cop_net_destroy(net);
    copi_extras_clear(&in);
    copi_extras_clear(&out);
    test_ctx_destroy(ctx);
}

static void test_golden_good_files_are_written_alike(void **state) {
    (void)state;
    static const char *const names[] = {"every-op", "smallest", "checkpoint"};
    for (size_t i = 0; i < COPI_COUNT(names); i++) {
        cop_ctx *ctx = test_ctx();
        char path[256];
        snprintf(path, sizeof path, GOOD "%s.safetensors", names[i]);
        cop_net *net;
        copi_extras extras;
        copi_extras_init(&extras, ctx);
        test_ok(ctx, copi_safetensors_load(ctx, path, &net, &extras));
        test_ok(ctx, copi_safetensors_save(net, &extras, in_dir("golden.safetensors")));
        same_files(ctx, path, in_dir("golden.safetensors"));
        copi_extras_clear(&extras);
        cop_net_destroy(net);
        test_ctx_destroy(ctx);
    }
}

static void test_golden_values_land_in_their_places(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net;
    test_ok(ctx, cop_net_load(ctx, GOOD "every-op.safetensors", &net));
    assert_int_equal(net->nodes, 16);
    assert_int_equal(net->node[1].u.conv.groups, 2);
    assert_int_equal(net->node[1].u.conv.bias, 0);
    assert_int_equal(net->node[1].dense_macs, 576);
    assert_int_equal(net->node[6].u.pool.count_pad, 1);
    assert_true(net->node[2].u.batchnorm.epsilon == 0.001);
    const copi_param *w = &net->param[copi_net_find_param(net, "conv1.weight")];
    assert_true(w->data[0] == -2.0f && w->data[1] == 0 && w->data[35] == 2.375f);
    assert_int_equal(w->mask[0], 1);
    assert_int_equal(w->mask[1], 0);
    assert_string_equal(net->class_name[1], "d\xc3\xb6g");
    assert_true(net->normalized && net->mean[1] == 0.25 && net->std[1] == 2.0);
    assert_int_equal(net->dense_parameters, 62);
    assert_string_equal(net->provenance, "made by hand\nfrom docs/safetensors.md");
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

static const bad_file bad[] = {
    {"checkpoint-rank", COP_E_FORMAT,
     "tensor 'checkpoint/x' is F32 of 5 dimensions; a checkpoint has F32 of at most 4"},
    {"checkpoint-u8", COP_E_FORMAT, "tensor 'checkpoint/x' is U8 of 1 dimensions"},
    {"classes-count", COP_E_FORMAT, "coppice.classes names 1 classes; the net has 2"},
    {"classes-not-json", COP_E_FORMAT, "coppice.classes: not JSON at byte"},
    {"classes-number", COP_E_FORMAT, "coppice.classes: entry 1 is not a name"},
    {"data-trailing", COP_E_FORMAT, "4 bytes of data belong to no tensor"},
    {"data-truncated", COP_E_FORMAT, "of the data, which has"},
    {"dtype-missing", COP_E_FORMAT, "tensor 'out.bias' has no 'dtype'"},
    {"dtype-unknown", COP_E_UNSUPPORTED, "tensor 'out.bias' has the unknown dtype 'F33'"},
    {"entry-extra-key", COP_E_FORMAT, "tensor 'out.bias' has a key besides dtype, shape and data_offsets"},
    {"entry-number", COP_E_FORMAT, "tensor 'out.bias' is not described by an object"},
    {"file-empty", COP_E_FORMAT, "0 bytes are too few"},
    {"file-short", COP_E_FORMAT, "3 bytes are too few"},
    {"graph-bad-attribute", COP_E_FORMAT, "layer 'conv1': 'pad' has an impossible value"},
    {"graph-bad-flag", COP_E_FORMAT, "layer 'conv1': 'bias' has an impossible value"},
    {"graph-huge-filters", COP_E_FORMAT, "1099511627776"},
    {"graph-huge-input", COP_E_FORMAT, "input"},
    {"graph-input-number", COP_E_FORMAT, "layer 'conv1' reads '(not a name)', which is not an earlier layer"},
    {"graph-input-without-shape", COP_E_FORMAT, "layer 'input' has no 'shape'"},
    {"graph-integer-overflow", COP_E_FORMAT, "coppice.graph: not JSON at byte"},
    {"graph-key-twice", COP_E_FORMAT, "duplicate object key"},
    {"graph-later-input", COP_E_FORMAT, "layer 'conv1' reads 'bn1', which is not an earlier layer"},
    {"graph-list", COP_E_FORMAT, "graph has no 'nodes'"},
    {"graph-missing", COP_E_FORMAT, "__metadata__ has no 'coppice.graph'"},
    {"graph-missing-attribute", COP_E_FORMAT, "layer 'conv1' has no 'stride'"},
    {"graph-name-twice", COP_E_FORMAT, "two layers are named 'left'"},
    {"graph-negative-kernel", COP_E_FORMAT, "graph: "},
    {"graph-newline-in-name", COP_E_UNSUPPORTED, "layer 'conv1' is of the unknown op 'two lines'"},
    {"graph-no-input", COP_E_FORMAT, "layer 'conv1' is number 0 and of op 'conv'"},
    {"graph-no-inputs", COP_E_FORMAT, "layer 'conv1' has no list 'inputs'"},
    {"graph-no-name", COP_E_FORMAT, "layer 9 has no name"},
    {"graph-no-nodes", COP_E_FORMAT, "graph has no 'nodes'"},
    {"graph-node-is-number", COP_E_FORMAT, "layer 3 has no name"},
    {"graph-not-json", COP_E_FORMAT, "coppice.graph: not JSON at byte"},
    {"graph-own-input", COP_E_FORMAT, "layer 'conv1' reads 'conv1', which is not an earlier layer"},
    {"graph-real-attribute", COP_E_FORMAT, "layer 'drop': 'share' has an impossible value"},
    {"graph-second-input", COP_E_FORMAT, "layer 'again' is number 1 and of op 'input'"},
    {"graph-shapes-do-not-add", COP_E_FORMAT, "graph: "},
    {"graph-share-of-one", COP_E_FORMAT, "graph: "},
    {"graph-too-few-inputs", COP_E_FORMAT, "graph: "},
    {"graph-total-missing", COP_E_FORMAT, "dense totals: 'macs' is missing or not a count"},
    {"graph-total-negative", COP_E_FORMAT, "out: 'dense_count' is missing or not a count"},
    {"graph-unknown-attribute", COP_E_FORMAT, "layer 'left': relu has no attribute 'slope'"},
    {"graph-unknown-op", COP_E_UNSUPPORTED, "layer 'left' is of the unknown op 'swish'"},
    {"graph-zero-stride", COP_E_FORMAT, "graph: "},
    {"header-beyond-file", COP_E_FORMAT, "in a file of 200: truncated?"},
    {"header-huge", COP_E_FORMAT, "header length 18446744073709551615 exceeds the format's 100000000"},
    {"header-list", COP_E_FORMAT, "header does not begin with '{'"},
    {"header-too-long", COP_E_FORMAT, "header length 100000001 exceeds"},
    {"header-zero", COP_E_FORMAT, "header does not begin with '{'"},
    {"json-broken", COP_E_FORMAT, "header: not JSON at byte"},
    {"json-deep", COP_E_FORMAT, "maximum parsing depth reached"},
    {"json-not-utf8", COP_E_FORMAT, "header: not JSON at byte"},
    {"json-trailing", COP_E_FORMAT, "header: not JSON at byte"},
    {"key-twice", COP_E_FORMAT, "duplicate object key"},
    {"mask-f32", COP_E_FORMAT, "tensor 'conv1.weight.mask' is F32, not U8"},
    {"mask-of-two", COP_E_FORMAT, "conv1.weight.mask[5] is 2; a mask is 0 or 1"},
    {"mask-shape", COP_E_FORMAT, "tensor 'conv1.weight.mask' is [4], but the graph says [4,1,3,3]"},
    {"metadata-key-twice", COP_E_FORMAT, "duplicate object key"},
    {"metadata-list", COP_E_FORMAT, "__metadata__ is not an object"},
    {"metadata-none", COP_E_UNSUPPORTED, "a safetensors file without Coppice's graph"},
    {"metadata-number", COP_E_FORMAT, "__metadata__ 'coppice.format' is not a string"},
    {"normalization-count", COP_E_FORMAT, "coppice.normalization: mean and std must be 2 numbers each"},
    {"normalization-infinite", COP_E_FORMAT, "coppice.normalization: not JSON at byte"},
    {"normalization-text", COP_E_FORMAT, "coppice.normalization: mean and std must be 2 numbers each"},
    {"normalization-zero", COP_E_FORMAT, "std above 0"},
    {"offsets-backwards", COP_E_FORMAT, "tensor 'bn1.scale' lies at bytes 16 to 0"},
    {"offsets-beyond", COP_E_FORMAT, "tensor 'conv1.weight.mask' lies at bytes 1099511627776 to 1099511627812"},
    {"offsets-hole", COP_E_FORMAT, "begins at byte"},
    {"offsets-negative", COP_E_FORMAT, "tensor 'bn1.scale' has no 'data_offsets' of two sizes"},
    {"offsets-one", COP_E_FORMAT, "tensor 'bn1.scale' has no 'data_offsets' of two sizes"},
    {"offsets-overlap", COP_E_FORMAT, "begins at byte 0 of the data; the one before it ends at 16"},
    {"offsets-real", COP_E_FORMAT, "tensor 'bn1.scale' has no 'data_offsets' of two sizes"},
    {"shape-mismatch", COP_E_FORMAT, "tensor 'out.bias' is F32 [3], which takes 12 bytes, but has 8"},
    {"shape-missing", COP_E_FORMAT, "tensor 'out.bias' has no list 'shape'"},
    {"shape-negative", COP_E_FORMAT, "tensor 'out.bias': dimension 0 of its shape is not a size"},
    {"shape-overflow", COP_E_FORMAT, "tensor 'out.bias': the size of its shape overflows"},
    {"shape-real", COP_E_FORMAT, "tensor 'out.bias': dimension 0 of its shape is not a size"},
    {"tensor-rank-9", COP_E_UNSUPPORTED, "tensor 'x' has 9 dimensions; at most 8 are supported"},
    {"tensor-stray", COP_E_FORMAT, "tensor 'conv9.weight' belongs to no layer of the graph"},
    {"variance-negative", COP_E_FORMAT, "bn1.var[2] is -1; a variance is never negative"},
    {"version-other", COP_E_VERSION, "graph format 2; coppice " COP_VERSION " reads format 1"},
    {"weight-f16", COP_E_FORMAT, "tensor 'out.bias' is F16, not F32"},
    {"weight-infinite", COP_E_FORMAT, "out.bias[1] is -inf; weights must be finite"},
    {"weight-missing", COP_E_FORMAT, "there is no tensor 'out.bias', which the graph needs"},
    {"weight-nan", COP_E_FORMAT, "conv1.weight[2] is nan; weights must be finite"},
    {"weight-rank", COP_E_FORMAT, "tensor 'out.weight' is [16], but the graph says [2,8]"},
    {"weight-shape", COP_E_FORMAT, "tensor 'out.weight' is [8,2], but the graph says [2,8]"},
};

static cop_status load_with_extras(cop_ctx *ctx, const char *path, cop_net **net) {
    copi_extras extras;
    copi_extras_init(&extras, ctx);
    cop_status status = copi_safetensors_load(ctx, path, net, &extras);
    assert_int_equal(extras.tensors + extras.pairs, 0);
    return status;
}

static void test_golden_bad_files_fail_by_name(void **state) {
    (void)state;
    bad_files_fail(BAD, ".safetensors", bad, COPI_COUNT(bad), load_with_extras);
    bad_files_fail(BAD, ".safetensors", bad, COPI_COUNT(bad), cop_net_load);
}

/* Every prefix of a good file, and every file with one byte changed, either fails with a line or is read; never
 * more. */
static void test_mangled_files_never_hurt(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    uint8_t *bytes;
    size_t n;
    bytes_of(ctx, GOOD "checkpoint.safetensors", &bytes, &n);
    cop_net *net;
    for (size_t cut = 0; cut < n; cut++) {
        test_fails(ctx, copi_safetensors_parse(ctx, bytes, cut, &net, NULL), COP_E_FORMAT, NULL);
    }
    copi_rng rng = copi_rng_make(1, COPI_STREAM_TEST, 0);
    int read = 0;
    for (int i = 0; i < 3000; i++) {
        uint64_t at = copi_rng_below(&rng, n);
        uint8_t old = bytes[at];
        bytes[at] = (uint8_t)copi_rng_below(&rng, 256);
        cop_status status = copi_safetensors_parse(ctx, bytes, n, &net, NULL);
        if (status) {
            assert_null(net);
            assert_true(strlen(cop_error(ctx)) > 0);
            assert_null(strchr(cop_error(ctx), '\n'));
        }
        read += !status;
        cop_net_destroy(net);
        bytes[at] = old;
    }
    assert_in_range(read, 100, 2000); /* changed weights and provenance are still a net */
    copi_free(ctx, bytes);
    test_ctx_destroy(ctx);
}

static cop_status load_golden(cop_ctx *ctx, void *user) {
    cop_net *net;
    copi_extras extras;
    copi_extras_init(&extras, ctx);
    cop_status status = copi_safetensors_load(ctx, user, &net, &extras);
    copi_extras_clear(&extras);
    cop_net_destroy(net);
    return status;
}

static cop_status load_and_save_golden(cop_ctx *ctx, void *user) {
    cop_net *net;
    copi_extras extras;
    copi_extras_init(&extras, ctx);
    cop_status status = copi_safetensors_load(ctx, user, &net, &extras);
    if (!status) status = copi_safetensors_save(net, &extras, in_dir("memory.safetensors"));
    copi_extras_clear(&extras);
    cop_net_destroy(net);
    return status;
}

static void test_memory_that_runs_out(void **state) {
    (void)state;
    static char path[] = GOOD "checkpoint.safetensors";
    int64_t loading = test_out_of_memory(load_golden, path);
    assert_true(loading > 20);
    assert_true(test_out_of_memory(load_and_save_golden, path) > loading + 5);
    cop_ctx *ctx = test_ctx();
    same_files(ctx, path, in_dir("memory.safetensors"));
    test_ctx_destroy(ctx);
}

static void test_full_disk_leaves_the_old_file(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *small, *large = make_net(ctx, 7), *back;
    test_ok(ctx, cop_net_load(ctx, GOOD "smallest.safetensors", &small));
    test_fails(ctx, copi_safetensors_save(small, NULL, "/dev/full"), COP_E_IO, "/dev/full");
    char path[512];
    snprintf(path, sizeof path, "%s", in_dir("kept.safetensors"));
    test_ok(ctx, cop_net_save(small, path));
    struct rlimit old, little = {0};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    little = old;
    little.rlim_cur = 1000; /* no file may grow beyond: the kernel then fails the write, as a full disk does */
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    cop_status status = cop_net_save(large, path);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);
    test_fails(ctx, status, COP_E_IO, path);
    test_ok(ctx, cop_net_load(ctx, path, &back));
    same_nets(small, back);
    cop_net_destroy(back);
    cop_net_destroy(large);
    cop_net_destroy(small);
    test_ctx_destroy(ctx);
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d));) assert_null(strstr(e->d_name, ".tmp"));
    closedir(d);
}

static void test_what_cannot_be_written_is_named(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net = make_net(ctx, 3);
    const char *path = in_dir("none.safetensors");
    float old = net->param[0].data[0];
    net->param[0].data[0] = NAN;
    test_fails(ctx, cop_net_save(net, path), COP_E_RANGE, "[0] is nan; weights must be finite");
    net->param[0].data[0] = old;
    char *name = net->node[1].name;
    net->node[1].name = copi_strdup(ctx, "caf\xe9");
    test_fails(ctx, cop_net_save(net, path), COP_E_ARG, "is not UTF-8");
    copi_free(ctx, net->node[1].name);
    net->node[1].name = name;
    assert_int_not_equal(access(path, F_OK), 0);
    /* class names and provenance are for people: they lose what is no UTF-8, not the net */
    const char *names[16];
    for (int i = 0; i < 16; i++) names[i] = "caf\xe9";
    test_ok(ctx, copi_net_set_classes(net, names, net->classes));
    test_ok(ctx, cop_net_save(net, path));
    cop_net *back;
    test_ok(ctx, cop_net_load(ctx, path, &back));
    assert_string_equal(back->class_name[0], "caf?");
    cop_net_destroy(back);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip_keeps_every_bit),
        cmocka_unit_test(test_flags_of_any_number),
        cmocka_unit_test(test_extras_travel_beside_the_net),
        cmocka_unit_test(test_golden_good_files_are_written_alike),
        cmocka_unit_test(test_golden_values_land_in_their_places),
        cmocka_unit_test(test_golden_bad_files_fail_by_name),
        cmocka_unit_test(test_mangled_files_never_hurt),
        cmocka_unit_test(test_memory_that_runs_out),
        cmocka_unit_test(test_full_disk_leaves_the_old_file),
        cmocka_unit_test(test_what_cannot_be_written_is_named),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
