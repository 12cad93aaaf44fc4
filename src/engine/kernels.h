/* Our own loops over flat arrays, compiled once per instruction set and chosen at run time. Arrays are in the layout
 * oneDNN chose: all but the batch-norm is elementwise, so the layout does not matter, and padding stays 0. */
#ifndef COPPICE_KERNELS_H
#define COPPICE_KERNELS_H

#include "engine/engine.h"

typedef uint16_t copi_bf16; /* the upper half of an f32, rounded to nearest even */

/* An activation y = min(high, x > 0 ? x : slope x) whose derivative is told from y, so that slope must not be negative
 * there: relu, relu6 (high 6), leaky relu; the identity has slope 1. high is infinite where there is none. */
typedef struct copi_act {
    float slope, high;
} copi_act;

/* What the optimizer does to one run of parameters that are treated alike. */
typedef struct copi_update {
    float rate, momentum;
    float beta1, beta2, epsilon;
    float correct1, correct2; /* 1 / (1 - beta^t) */
    float shrink;             /* AdamW: w is multiplied by 1 - rate * decay first */
    float l2;                 /* added to the gradient: decay of SGD and Adam + 2 * (l2 + l2_conv) */
    float l1;
} copi_update;

/* A strip of channels-last batch-norm: l elements, a whole number of pixels; each vector [l] repeats what it holds for
 * each channel. */
typedef struct copi_norm {
    int64_t l;
    float *mean, *a, *b, *slope, *offset;
    float low; /* 0: a relu is behind; -inf: none */
} copi_norm;

/* Elementwise kernels in both types. n elements from the given pointers. */
typedef struct copi_typed_kernels {
    void (*act_forward)(void *y, const void *x, int64_t n, copi_act act);
    void (*act_backward)(void *dx, const void *dy, const void *y, int64_t n, copi_act act); /* dx may be dy */
    /** dx = y > 0 ? scale * dy : 0, the backward of relu (and dropout behind it) told from the output. */
    void (*mask_backward)(void *dx, const void *dy, const void *y, int64_t n, float scale);
    /** y = kept ? scale * x : 0; element i is kept where the 16 random bits of (key, i) >= threshold. first: the
     *  number of element 0 (a multiple of 8). Serves backward too: dx from dy with the same numbers. */
    void (*dropout)(void *y, const void *x, int64_t n, float scale, uint32_t threshold, uint64_t key, int64_t first);
    /** y = f(a + b); y may be a */
    void (*add)(void *y, const void *a, const void *b, int64_t n, copi_act act);
    /* Max-pooling of 2 x 2 pixels, a row of `pixels` results of c channels, channels last: x are two rows of the
     * image, `row` elements apart. which [pixels][c], a number of the element's size each, tells which of the four
     * was the largest, the first where several are: what the backward passes dy on to. */
    void (*max_pool)(void *y, void *which, const void *x, int64_t pixels, int64_t c, int64_t row);
    void (*max_pool_back)(void *dx, const void *dy, const void *which, int64_t pixels, int64_t c, int64_t row);
    /* Batch-norm of pixels x channels, walked in strips of v->l elements. */
    /** sum += x - mean, other += (x - mean)^2, both [l] */
    void (*norm_sums)(const void *x, int64_t n, const copi_norm *v, float *sum, float *other);
    /** y = max(low, a x + b) */
    void (*norm_apply)(void *y, const void *x, int64_t n, const copi_norm *v);
    /** sum += d, other += d (x - mean), both [l], with d = a x + b > low ? dy : 0 */
    void (*norm_back_sums)(const void *dy, const void *x, int64_t n, const copi_norm *v, float *sum, float *other);
    /** dx = a d + slope (x - mean) + offset */
    void (*norm_back)(void *dx, const void *dy, const void *x, int64_t n, const copi_norm *v);
} copi_typed_kernels;

typedef struct copi_kernels {
    const char *isa;
    copi_typed_kernels f32, bf16;
    /** One step of the optimizer; entries with keep[i] == 0 become 0, keep NULL: none do. */
    void (*sgd)(float *w, const float *g, float *v, const uint8_t *keep, int64_t n, const copi_update *u);
    void (*adam)(float *w, const float *g, float *m, float *v, const uint8_t *keep, int64_t n, const copi_update *u);
    /** a += share (w - a), and 0 where keep is; keep may be NULL */
    void (*average)(float *a, const float *w, const uint8_t *keep, int64_t n, float share);
    /** e[i] = lambda[unit[i]] * w[i] */
    void (*gate_apply)(float *e, const float *w, const float *lambda, const int32_t *unit, int64_t n);
} copi_kernels;

const copi_kernels *copi_kernels_get(void); /* the widest this processor runs */
extern const copi_kernels copi_kernels_base;
#if defined(__x86_64__)
extern const copi_kernels copi_kernels_avx2, copi_kernels_avx512;
#endif

static inline float copi_bf16_to_f32(copi_bf16 h) {
    union {
        uint32_t u;
        float f;
    } c = {(uint32_t)h << 16};
    return c.f;
}
static inline copi_bf16 copi_f32_to_bf16(float x) {
    union {
        float f;
        uint32_t u;
    } c = {x};
    uint32_t rounded = c.u + 0x7FFFu + ((c.u >> 16) & 1u);
    uint32_t quiet = (c.u >> 16) | 0x40u; /* a NaN stays one */
    return (copi_bf16)((c.u & 0x7FFFFFFFu) > 0x7F800000u ? quiet : rounded >> 16);
}

#endif
