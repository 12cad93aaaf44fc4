/* Little data sets and nets that the train and method tests share: learnable in seconds, not trivial. */
#ifndef COPPICE_TEST_LITTLE_H
#define COPPICE_TEST_LITTLE_H

#include "check.h"
#include "train/train.h"

#include <math.h>
#include <string.h>

enum { LITTLE_SIDE = 8, LITTLE_CLASSES = 4 };

/* A context whose work is cancelled at the cancel_at-th poll, once (0: never), and which remembers its warnings. */
typedef struct little_hooks {
    int polls, cancel_at;
    int reports, finished; /* progress calls; those with done == total */
    char warning[512];
} little_hooks;

static inline int little_cancel(void *user) {
    little_hooks *h = user;
    return ++h->polls == h->cancel_at;
}
static inline void little_progress(void *user, const cop_progress *p) {
    little_hooks *h = user;
    h->reports++;
    h->finished += p->done == p->total;
    assert_non_null(p->phase);
    assert_non_null(p->label);
    assert_true(p->done <= p->total);
}
static inline void little_log(void *user, cop_log_level level, const char *text) {
    little_hooks *h = user;
    if (level == COP_LOG_WARNING) snprintf(h->warning, sizeof h->warning, "%s", text);
}
static inline cop_ctx *little_ctx(little_hooks *hooks) { /* hooks outlives the context */
    *hooks = (little_hooks){0};
    cop_ctx_options o = cop_ctx_options_default();
    o.threads = 1; /* little nets gain nothing by more, and a busy machine loses much */
    o.cancel = little_cancel;
    o.progress = little_progress;
    o.log = little_log;
    o.user = hooks;
    cop_ctx *ctx;
    assert_int_equal(cop_ctx_create(&o, &ctx), COP_OK);
    return ctx;
}

static inline void little_put(FILE *f, uint32_t v) {
    for (int shift = 24; shift >= 0; shift -= 8) fputc((int)(v >> shift & 255), f);
}

/* Gratings in four directions (the class) with random phase and wavelength, under noise. */
static inline void little_split(const char *dir, const char *name, int64_t count, uint64_t seed) {
    static const double direction[LITTLE_CLASSES][2] = {{1, 0}, {0, 1}, {0.7, 0.7}, {0.7, -0.7}};
    char path[512];
    copi_rng rng = copi_rng_make(seed, COPI_STREAM_TEST, 0);
    snprintf(path, sizeof path, "%s/%s-images-idx3-ubyte", dir, name);
    FILE *images = fopen(path, "wb");
    snprintf(path, sizeof path, "%s/%s-labels-idx1-ubyte", dir, name);
    FILE *labels = fopen(path, "wb");
    assert_non_null(images);
    assert_non_null(labels);
    const uint32_t head[] = {0x803, (uint32_t)count, LITTLE_SIDE, LITTLE_SIDE};
    for (size_t i = 0; i < COPI_COUNT(head); i++) little_put(images, head[i]);
    little_put(labels, 0x801);
    little_put(labels, (uint32_t)count);
    for (int64_t i = 0; i < count; i++) {
        int label = (int)(i % LITTLE_CLASSES);
        double phase = 6.28 * copi_rng_uniform(&rng), pace = 1.2 + 0.8 * copi_rng_uniform(&rng);
        for (int y = 0; y < LITTLE_SIDE; y++)
            for (int x = 0; x < LITTLE_SIDE; x++) {
                double at = pace * (direction[label][0] * x + direction[label][1] * y) + phase;
                double v = 127 + 70 * sin(at) + 25 * copi_rng_normal(&rng);
                fputc((int)fmin(255, fmax(0, v)), images);
            }
        fputc(label, labels);
    }
    assert_int_equal(fclose(images), 0);
    assert_int_equal(fclose(labels), 0);
}

static inline cop_data *little_data_at(cop_ctx *ctx, int64_t train, int64_t test, double validation, uint64_t seed) {
    char dir[256];
    cop_data *data;
    test_dir_make(dir);
    little_split(dir, "train", train, seed);
    little_split(dir, "t10k", test, seed + 1);
    cop_data_options o = cop_data_options_default();
    o.validation = validation;
    test_ok(ctx, cop_data_open(ctx, dir, &o, &data));
    test_dir_remove(dir);
    return data;
}
/* 320 to train on, 80 to validate, 150 to test. */
static inline cop_data *little_data(cop_ctx *ctx) {
    return little_data_at(ctx, 400, 150, 0.2, 1);
}

enum { LITTLE_NORM = 1, LITTLE_DROPOUT = 2 };
/* conv 8 - [batch-norm] - relu - pool - conv 8 - [batch-norm] - relu - flatten - [dropout] - dense 16 - relu - dense
 * 4 */
static inline cop_net *little_net(cop_ctx *ctx, int flags, uint64_t seed) {
    cop_graph *g;
    cop_net *net;
    test_ok(ctx, cop_graph_create(ctx, &g));
    cop_conv_params conv = cop_conv_params_default(8, 3);
    for (int i = 0; i < 4; i++) conv.pad[i] = 1;
    cop_pool_params pool = cop_pool_params_default(2);
    int x = cop_graph_input(g, "image", 1, LITTLE_SIDE, LITTLE_SIDE);
    x = cop_graph_conv(g, "conv1", x, &conv);
    if (flags & LITTLE_NORM) x = cop_graph_batchnorm(g, "norm1", x, 1e-5);
    x = cop_graph_relu(g, "relu1", x);
    x = cop_graph_max_pool(g, "pool1", x, &pool);
    x = cop_graph_conv(g, "conv2", x, &conv);
    if (flags & LITTLE_NORM) x = cop_graph_batchnorm(g, "norm2", x, 1e-5);
    x = cop_graph_relu(g, "relu2", x);
    x = cop_graph_flatten(g, "flat", x);
    if (flags & LITTLE_DROPOUT) x = cop_graph_dropout(g, "drop", x, 0.25);
    x = cop_graph_dense(g, "dense1", x, 16, 1);
    x = cop_graph_relu(g, "relu3", x);
    x = cop_graph_dense(g, "dense2", x, LITTLE_CLASSES, 1);
    cop_graph_softmax(g, "softmax", x);
    test_ok(ctx, cop_graph_build(g, seed, &net));
    return net;
}

static inline cop_recipe little_recipe(double epochs) {
    cop_recipe r = cop_recipe_default();
    r.epochs = epochs;
    r.batch = 32;
    r.rate = 5e-3;
    r.precision = COP_PRECISION_F32;
    return r;
}

static inline void little_same(const cop_net *a, const cop_net *b) {
    assert_int_equal(a->block_count, b->block_count);
    assert_memory_equal(a->block, b->block, a->block_count * sizeof *a->block);
    for (int i = 0; i < a->params; i++) {
        const uint8_t *of_a = a->param[i].mask, *of_b = b->param[i].mask;
        assert_true(!of_a == !of_b);
        if (of_a) assert_memory_equal(of_a, of_b, (size_t)a->param[i].count);
    }
}

static inline cop_net *little_clone(const cop_net *net) {
    cop_net *copy;
    test_ok(net->ctx, cop_net_clone(net, &copy));
    return copy;
}

/* max |a(x) - b(x)| over random images, of what the last op gives */
static inline double little_apart(const cop_net *a, const cop_net *b) {
    enum { IMAGES = 32 };
    static float x[IMAGES * LITTLE_SIDE * LITTLE_SIDE], ya[IMAGES * LITTLE_CLASSES], yb[IMAGES * LITTLE_CLASSES];
    copi_rng rng = copi_rng_make(5, COPI_STREAM_TEST, 9);
    for (size_t i = 0; i < COPI_COUNT(x); i++) x[i] = (float)copi_rng_normal(&rng);
    test_ok(a->ctx, cop_predict(a, x, IMAGES, ya));
    test_ok(b->ctx, cop_predict(b, x, IMAGES, yb));
    double apart = 0;
    for (size_t i = 0; i < COPI_COUNT(ya); i++) apart = fmax(apart, fabs((double)ya[i] - (double)yb[i]));
    return apart;
}

#endif
