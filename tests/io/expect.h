/* What a framework itself computed for a fixture (fixtures/make/expect.py), and whether a net agrees. */
#ifndef COPPICE_TEST_IO_EXPECT_H
#define COPPICE_TEST_IO_EXPECT_H

#include "check.h"
#include "reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct expectation {
    cop_ctx *ctx;
    uint8_t *bytes;
    int32_t n, c, h, w, outputs;
    const float *x; /* [n,c,h,w] */
    const float *y; /* [n,outputs] */
} expectation;

static inline void expectation_read(cop_ctx *ctx, const char *path, expectation *e) {
    size_t size;
    *e = (expectation){.ctx = ctx};
    test_ok(ctx, copi_read_file(ctx, path, 0, &e->bytes, &size));
    assert_true(size > 20);
    memcpy(&e->n, e->bytes, 20);
    int64_t inputs = (int64_t)e->n * e->c * e->h * e->w, outputs = (int64_t)e->n * e->outputs;
    assert_int_equal(size, 20 + 4 * (size_t)(inputs + outputs));
    e->x = (const float *)(const void *)(e->bytes + 20);
    e->y = e->x + inputs;
}

/* The net's own normalization is a part of what the framework's net computed, from pixels of [0,raw]. finish, if any,
 * is applied to the net's outputs [n,outputs] first. */
static inline void expectation_meets(const expectation *e, const cop_net *net, double raw, double tolerance,
                                     void (*finish)(double *y, int64_t n, int64_t outputs)) {
    const int64_t *shape = net->node[0].shape;
    assert_int_equal(shape[0], e->c);
    assert_int_equal(shape[1], e->h);
    assert_int_equal(shape[2], e->w);
    assert_int_equal(net->classes, e->outputs);
    int64_t pixels = shape[1] * shape[2], count = (int64_t)e->n * e->c * pixels;
    double *x = malloc((size_t)count * sizeof *x), largest = 0;
    assert_non_null(x);
    for (int64_t i = 0; i < count; i++) {
        int64_t channel = i / pixels % shape[0];
        x[i] = (double)e->x[i];
        if (net->normalized) x[i] = (x[i] / raw - net->mean[channel]) / net->std[channel];
    }
    ref_run *r = ref_create(net, e->n);
    ref_forward(r, x);
    double *y = r->out[net->nodes - 1];
    if (finish) finish(y, e->n, e->outputs);
    for (int64_t i = 0; i < (int64_t)e->n * e->outputs; i++) largest = fmax(largest, fabs((double)e->y[i]));
    for (int64_t i = 0; i < (int64_t)e->n * e->outputs; i++) test_near(y[i], e->y[i], 0, tolerance * largest);
    ref_destroy(r);
    free(x);
}

static inline void expectation_clear(expectation *e) {
    copi_free(e->ctx, e->bytes);
}

#endif
