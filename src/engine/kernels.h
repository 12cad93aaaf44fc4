/* Our own loops over flat arrays, compiled once per instruction set and chosen at run time. All but pooling and
 * batch-norm are elementwise, so any layout that oneDNN chooses will do, and padding stays 0. */
#ifndef COPPICE_KERNELS_H
#define COPPICE_KERNELS_H

#include "engine/engine.h"

typedef uint16_t copi_bf16; /* the upper half of an f32, rounded to nearest even */

/* An activation y = min(high, x > 0 ? x : slope x); high may be infinite. The identity has slope 1. Its derivative is
 * computed from y, which takes a slope >= 0. */
typedef struct copi_act {
    float slope, high;
} copi_act;

/* What the optimizer does to a range of parameters. */
typedef struct copi_update {
    float rate, momentum;
    float beta1, beta2, epsilon;
    float correct1, correct2; /* 1 / (1 - beta^t) */
    float shrink;             /* AdamW: w is multiplied by 1 - rate * decay first */
    float l2;                 /* added to the gradient: decay of SGD and Adam + 2 * (l2 + l2_conv) */
    float l1;
} copi_update;

/* A strip of a channels-last batch-norm: l elements, which are whole pixels. Each vector [l] repeats its channels. */
typedef struct copi_norm {
    int64_t l;
    float *mean, *a, *b, *slope, *offset;
    float low; /* 0: a relu is behind; -inf: none */
} copi_norm;

/* Kernels in both types. They work on n elements from the given pointers on. */
typedef struct copi_typed_kernels {
    void (*act_forward)(void *y, const void *x, int64_t n, copi_act act);
    void (*act_backward)(void *dx, const void *dy, const void *y, int64_t n, copi_act act); /* dx may be dy */
    /** dx = y > 0 ? scale * dy : 0: the backward of relu, and of a dropout behind it, from the output. */
    void (*mask_backward)(void *dx, const void *dy, const void *y, int64_t n, float scale);
    /** y = kept ? scale * x : 0; element i is kept where the 16 random bits of (key, i) >= threshold. first: the
     *  number of element 0 (a multiple of 8). Backward is the same: dx from dy with the same numbers. */
    void (*dropout)(void *y, const void *x, int64_t n, float scale, uint32_t threshold, uint64_t key, int64_t first);
    /** y = f(a + b); y may be a */
    void (*add)(void *y, const void *a, const void *b, int64_t n, copi_act act);
    /* Max-pooling of 2 x 2 pixels, channels last: a row of `pixels` results of c channels from two rows of the image,
     * `row` elements apart. which [pixels][c], integers of the element's size: which of the four was the largest (the
     * first, if several were). Backward passes dy to that one. */
    void (*max_pool)(void *y, void *which, const void *x, int64_t pixels, int64_t c, int64_t row);
    void (*max_pool_back)(void *dx, const void *dy, const void *which, int64_t pixels, int64_t c, int64_t row);
    /* Batch-norm of pixels x channels, in strips of v->l elements. */
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
    /** One step of the optimizer. Entries with keep[i] == 0 become 0; keep may be NULL. */
    void (*sgd)(float *w, const float *g, float *v, const uint8_t *keep, int64_t n, const copi_update *u);
    void (*adam)(float *w, const float *g, float *m, float *v, const uint8_t *keep, int64_t n, const copi_update *u);
    /** a += share (w - a), and 0 where keep is 0; keep may be NULL */
    void (*average)(float *a, const float *w, const uint8_t *keep, int64_t n, float share);
    /** e[i] = lambda[unit[i]] * w[i] */
    void (*gate_apply)(float *e, const float *w, const float *lambda, const int32_t *unit, int64_t n);
} copi_kernels;

const copi_kernels *copi_kernels_get(void); /* for the best instruction set of this processor */
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
