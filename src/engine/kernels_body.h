/* The kernels themselves; kernels_<isa>.c defines KERNELS (the table's name) and ISA, then includes this. */
#include "engine/kernels.h"

#include <math.h>
#include <string.h>

/* Philox 4x32-7 is enough for dropout's bits (Salmon et al. 2011: 7 rounds pass BigCrush); LANES counters at once. */
#define LANES 16
static void random_block(uint64_t key, uint64_t counter, uint32_t out[4][LANES]) {
    uint32_t c0[LANES], c1[LANES], c2[LANES], c3[LANES];
    for (int i = 0; i < LANES; i++) {
        uint64_t c = counter + (uint64_t)i;
        c0[i] = (uint32_t)c;
        c1[i] = (uint32_t)(c >> 32);
        c2[i] = 0;
        c3[i] = 0;
    }
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int r = 0; r < 7; r++) {
        for (int i = 0; i < LANES; i++) {
            uint64_t p0 = (uint64_t)0xD2511F53u * c0[i], p1 = (uint64_t)0xCD9E8D57u * c2[i];
            uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1[i] ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3[i] ^ k1;
            c1[i] = (uint32_t)p1;
            c3[i] = (uint32_t)p0;
            c0[i] = n0;
            c2[i] = n2;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    memcpy(out[0], c0, sizeof c0);
    memcpy(out[1], c1, sizeof c1);
    memcpy(out[2], c2, sizeof c2);
    memcpy(out[3], c3, sizeof c3);
}
/* Elements per block of random numbers, 16 bits each. */
enum { DROP_BLOCK = LANES * 8 };
static void keep_block(uint64_t key, uint64_t block, uint32_t threshold, float scale, float *factor) {
    uint32_t r[4][LANES];
    random_block(key, block * LANES, r);
    for (int q = 0; q < 4; q++) {
        for (int i = 0; i < LANES; i++) {
            factor[q * 2 * LANES + i] = (r[q][i] & 0xFFFFu) >= threshold ? scale : 0.0f;
            factor[q * 2 * LANES + LANES + i] = (r[q][i] >> 16) >= threshold ? scale : 0.0f;
        }
    }
}

#define GET_f32(p, i) ((const float *)(p))[i]
#define PUT_f32(p, i, x) ((float *)(p))[i] = (x)
#define GET_bf16(p, i) copi_bf16_to_f32(((const copi_bf16 *)(p))[i])
#define PUT_bf16(p, i, x) ((copi_bf16 *)(p))[i] = copi_f32_to_bf16(x)

/* A vector loop that does not check for overlap: two arrays are separate or identical. */
#define EACH _Pragma("omp simd") for (int64_t i = 0; i < n; i++)

/* Floats and bf16 as integers in the same order (-0 < 0). The function is its own inverse. */
typedef int32_t bits_f32 __attribute__((may_alias));
typedef int16_t bits_bf16 __attribute__((may_alias));
#define ORDERED(T, b) ((bits_##T)((b) ^ ((b) < 0 ? (bits_##T) ~SIGN_##T : 0)))
#define SIGN_f32 INT32_MIN
#define SIGN_bf16 INT16_MIN

/* Element j of the strip that begins at i. */
#define STRIPS                                                                                                       \
    for (int64_t i = 0, l = v->l; i < n; i += l)                                                                     \
    _Pragma("omp simd") for (int64_t j = 0; j < (n - i < l ? n - i : l); j++)

#define TYPED(T)                                                                                                     \
    static void act_forward_##T(void *y, const void *x, int64_t n, copi_act act) {                                   \
        EACH {                                                                                                       \
            float v = GET_##T(x, i);                                                                                 \
            float r = v > 0 ? v : act.slope * v;                                                                     \
            PUT_##T(y, i, r > act.high ? act.high : r);                                                              \
        }                                                                                                            \
    }                                                                                                                \
    static void act_backward_##T(void *dx, const void *dy, const void *y, int64_t n, copi_act act) {                 \
        EACH {                                                                                                       \
            float v = GET_##T(y, i), d = GET_##T(dy, i);                                                             \
            float r = v > 0 ? d : act.slope * d;                                                                     \
            PUT_##T(dx, i, v < act.high ? r : 0.0f);                                                                 \
        }                                                                                                            \
    }                                                                                                                \
    static void mask_backward_##T(void *dx, const void *dy, const void *y, int64_t n, float scale) {                 \
        EACH {                                                                                                       \
            float d = scale * GET_##T(dy, i);                                                                        \
            PUT_##T(dx, i, GET_##T(y, i) > 0 ? d : 0.0f);                                                            \
        }                                                                                                            \
    }                                                                                                                \
    static void dropout_##T(void *y, const void *x, int64_t n, float scale, uint32_t threshold, uint64_t key,        \
                            int64_t first) {                                                                         \
        float factor[DROP_BLOCK];                                                                                    \
        for (int64_t at = 0; at < n; at += DROP_BLOCK) {                                                             \
            int64_t m = n - at < DROP_BLOCK ? n - at : DROP_BLOCK;                                                   \
            keep_block(key, (uint64_t)(first + at) / DROP_BLOCK, threshold, scale, factor);                          \
            _Pragma("omp simd") for (int64_t i = 0; i < m; i++) PUT_##T(y, at + i, factor[i] * GET_##T(x, at + i));  \
        }                                                                                                            \
    }                                                                                                                \
    static void add_##T(void *y, const void *a, const void *b, int64_t n, copi_act act) {                            \
        EACH {                                                                                                       \
            float v = GET_##T(a, i) + GET_##T(b, i);                                                                 \
            float r = v > 0 ? v : act.slope * v;                                                                     \
            PUT_##T(y, i, r > act.high ? act.high : r);                                                              \
        }                                                                                                            \
    }                                                                                                                \
    static void max_pool_##T(void *restrict out, void *restrict which, const void *restrict in, int64_t pixels,      \
                             int64_t c, int64_t row) {                                                               \
        for (int64_t o = 0; o < pixels; o++) {                                                                       \
            const bits_##T *x = (const bits_##T *)in + 2 * o * c;                                                    \
            bits_##T *y = (bits_##T *)out + o * c, *w = (bits_##T *)which + o * c;                                   \
            _Pragma("omp simd") for (int64_t i = 0; i < c; i++) {                                                    \
                bits_##T best = ORDERED(T, x[i]), at = 0, v = ORDERED(T, x[c + i]);                                  \
                at = v > best ? 1 : at;                                                                              \
                best = v > best ? v : best;                                                                          \
                v = ORDERED(T, x[row + i]);                                                                          \
                at = v > best ? 2 : at;                                                                              \
                best = v > best ? v : best;                                                                          \
                v = ORDERED(T, x[row + c + i]);                                                                      \
                at = v > best ? 3 : at;                                                                              \
                best = v > best ? v : best;                                                                          \
                y[i] = ORDERED(T, best);                                                                             \
                w[i] = at;                                                                                           \
            }                                                                                                        \
        }                                                                                                            \
    }                                                                                                                \
    static void max_pool_back_##T(void *restrict out, const void *restrict in, const void *restrict which,           \
                                  int64_t pixels, int64_t c, int64_t row) {                                          \
        for (int64_t o = 0; o < pixels; o++) {                                                                       \
            const bits_##T *d = (const bits_##T *)in + o * c, *w = (const bits_##T *)which + o * c;                  \
            bits_##T *dx = (bits_##T *)out + 2 * o * c;                                                              \
            _Pragma("omp simd") for (int64_t i = 0; i < c; i++) {                                                    \
                bits_##T v = d[i], at = w[i];                                                                        \
                dx[i] = at == 0 ? v : 0;                                                                             \
                dx[c + i] = at == 1 ? v : 0;                                                                         \
                dx[row + i] = at == 2 ? v : 0;                                                                       \
                dx[row + c + i] = at == 3 ? v : 0;                                                                   \
            }                                                                                                        \
        }                                                                                                            \
    }                                                                                                                \
    static void norm_sums_##T(const void *x, int64_t n, const copi_norm *v, float *sum, float *other) {              \
        STRIPS {                                                                                                     \
            float d = GET_##T(x, i + j) - v->mean[j];                                                                \
            sum[j] += d;                                                                                             \
            other[j] += d * d;                                                                                       \
        }                                                                                                            \
    }                                                                                                                \
    static void norm_apply_##T(void *y, const void *x, int64_t n, const copi_norm *v) {                              \
        STRIPS {                                                                                                     \
            float r = v->a[j] * GET_##T(x, i + j) + v->b[j];                                                         \
            PUT_##T(y, i + j, r > v->low ? r : v->low);                                                              \
        }                                                                                                            \
    }                                                                                                                \
    static void norm_back_sums_##T(const void *dy, const void *x, int64_t n, const copi_norm *v, float *sum,         \
                                   float *other) {                                                                   \
        STRIPS {                                                                                                     \
            float u = GET_##T(x, i + j), g = GET_##T(dy, i + j);                                                     \
            float d = v->a[j] * u + v->b[j] > v->low ? g : 0.0f;                                                     \
            sum[j] += d;                                                                                             \
            other[j] += d * (u - v->mean[j]);                                                                        \
        }                                                                                                            \
    }                                                                                                                \
    static void norm_back_##T(void *dx, const void *dy, const void *x, int64_t n, const copi_norm *v) {              \
        STRIPS {                                                                                                     \
            float u = GET_##T(x, i + j), g = GET_##T(dy, i + j);                                                     \
            float d = v->a[j] * u + v->b[j] > v->low ? g : 0.0f;                                                     \
            PUT_##T(dx, i + j, v->a[j] * d + v->slope[j] * (u - v->mean[j]) + v->offset[j]);                         \
        }                                                                                                            \
    }

TYPED(f32)
TYPED(bf16)

static float sign(float x) {
    return (float)((x > 0) - (x < 0));
}

/* Each update exists with and without a mask, so that the dense case reads no mask. */
#define SGD_LOOP(KEEP)                                                                                               \
    EACH {                                                                                                           \
        float d = g[i] + u->l2 * w[i] + u->l1 * sign(w[i]);                                                          \
        float nv = u->momentum * v[i] + d;                                                                           \
        float nw = w[i] - u->rate * (d + u->momentum * nv);                                                          \
        v[i] = KEEP(nv);                                                                                             \
        w[i] = KEEP(nw);                                                                                             \
    }
#define ADAM_LOOP(KEEP)                                                                                              \
    EACH {                                                                                                           \
        float d = g[i] + u->l2 * w[i] + u->l1 * sign(w[i]);                                                          \
        float nm = u->beta1 * m[i] + (1 - u->beta1) * d;                                                             \
        float nv = u->beta2 * v[i] + (1 - u->beta2) * d * d;                                                         \
        float nw = w[i] * u->shrink - u->rate * (nm * u->correct1) / (sqrtf(nv * u->correct2) + u->epsilon);         \
        m[i] = KEEP(nm);                                                                                             \
        v[i] = KEEP(nv);                                                                                             \
        w[i] = KEEP(nw);                                                                                             \
    }
#define ALL(x) (x)
#define MASKED(x) (keep[i] != 0 ? (x) : 0.0f)

static void sgd(float *restrict w, const float *restrict g, float *restrict v, const uint8_t *restrict keep,
                int64_t n, const copi_update *u) {
    if (keep) SGD_LOOP(MASKED) else SGD_LOOP(ALL)
}

static void adam(float *restrict w, const float *restrict g, float *restrict m, float *restrict v,
                 const uint8_t *restrict keep, int64_t n, const copi_update *u) {
    if (keep) ADAM_LOOP(MASKED) else ADAM_LOOP(ALL)
}

static void average(float *restrict a, const float *restrict w, const uint8_t *restrict keep, int64_t n,
                    float share) {
    if (keep) {
        EACH a[i] = MASKED(a[i] + share * (w[i] - a[i]));
    } else {
        EACH a[i] = a[i] + share * (w[i] - a[i]);
    }
}

static void gate_apply(float *restrict e, const float *restrict w, const float *restrict lambda,
                       const int32_t *restrict unit, int64_t n) {
    EACH e[i] = lambda[unit[i]] * w[i];
}

#define TABLE(T)                                                                                                     \
    {                                                                                                                \
        act_forward_##T, act_backward_##T, mask_backward_##T, dropout_##T, add_##T, max_pool_##T, max_pool_back_##T, \
            norm_sums_##T, norm_apply_##T, norm_back_sums_##T, norm_back_##T                                         \
    }
const copi_kernels KERNELS = {ISA, TABLE(f32), TABLE(bf16), sgd, adam, average, gate_apply};
