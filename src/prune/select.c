/* Ranking in linear time. A float's bits sort like its value once the sign is handled, so three counting passes over
 * 11 + 11 + 10 bits find any rank without copying (radix selection). For long arrays, a sample first gives a bracket
 * of values around the rank. One pass at the speed of memory counts the values below the bracket and gathers the few
 * within it; only those are radix-selected. The sample affects the time, never the result: if the rank is outside the
 * bracket, all values are radix-selected. */
#include "prune/prune.h"

#include <math.h>
#include <string.h>

#define BLOCK 64            /* values compared at once, for vector instructions */
#define RUN 16              /* neighbours sampled together: one cache line */
#define BRACKETED (1 << 16) /* shorter arrays are radix-selected directly */
#define SAMPLE (1 << 20)    /* most values to sample */

/* Order-preserving: a < b as floats iff key(a) < key(b); -0 and 0 share a key. */
static uint32_t key(float x) {
    uint32_t u;
    x += 0.0f;
    memcpy(&u, &x, sizeof u);
    return u ^ (u >> 31 ? 0xFFFFFFFFu : 0x80000000u);
}

static float value_of(uint32_t k) {
    float x;
    uint32_t u = k ^ (k >> 31 ? 0x80000000u : 0xFFFFFFFFu);
    memcpy(&x, &u, sizeof x);
    return x;
}

/* A value, and how many values of x are smaller. */
typedef struct rank {
    float value;
    int64_t below;
} rank;

/* The bucket that holds rank *k; *k becomes the rank within it. */
static uint32_t bucket(const int64_t *count, int64_t *k) {
    uint32_t b = 0;
    for (; *k >= count[b]; b++) *k -= count[b];
    return b;
}

static rank radix(const float *x, int64_t n, int64_t k) {
    int64_t count[4][2048]; /* four counters per bucket, so equal neighbours do not wait for each other */
    int64_t left = k;
    memset(count, 0, sizeof count);
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int j = 0; j < 4; j++) count[j][key(x[i + j]) >> 21]++;
    for (; i < n; i++) count[0][key(x[i]) >> 21]++;
    for (int b = 0; b < 2048; b++) count[0][b] += count[1][b] + count[2][b] + count[3][b];
    uint32_t high = bucket(count[0], &left);

    memset(count[0], 0, sizeof count[0]);
    for (i = 0; i < n; i++) {
        uint32_t u = key(x[i]);
        if (u >> 21 == high) count[0][u >> 10 & 2047]++;
    }
    high = high << 11 | bucket(count[0], &left);

    memset(count[0], 0, sizeof count[0]);
    for (i = 0; i < n; i++) {
        uint32_t u = key(x[i]);
        if (u >> 10 == high) count[0][u & 1023]++;
    }
    high = high << 10 | bucket(count[0], &left);
    return (rank){value_of(high), k - left};
}

static int64_t smaller(const float *x, int64_t n, float t) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; i += BLOCK) {
        int32_t c = 0, m = (int32_t)(n - i < BLOCK ? n - i : BLOCK);
        for (int32_t j = 0; j < m; j++) c += x[i + j] < t;
        count += c;
    }
    return count;
}

static int64_t equal(const float *x, int64_t n, float t) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; i += BLOCK) {
        int32_t c = 0, m = (int32_t)(n - i < BLOCK ? n - i : BLOCK);
        for (int32_t j = 0; j < m; j++) c += x[i + j] == t;
        count += c;
    }
    return count;
}

/* Gather the values between lo and hi, both exclusive, and count those <= lo. Returns how many were gathered, or -1
 * if there are more than cap. */
static int64_t gather(const float *x, int64_t n, float lo, float hi, float *into, int64_t cap, int64_t *up_to_lo) {
    int64_t low = 0, m = 0;
    for (int64_t i = 0; i < n; i += BLOCK) {
        int32_t le = 0, lt = 0, len = (int32_t)(n - i < BLOCK ? n - i : BLOCK);
        if (len == BLOCK) { /* a constant length helps the compiler */
            for (int32_t j = 0; j < BLOCK; j++) {
                le += x[i + j] <= lo;
                lt += x[i + j] < hi;
            }
        } else {
            for (int32_t j = 0; j < len; j++) {
                le += x[i + j] <= lo;
                lt += x[i + j] < hi;
            }
        }
        low += le;
        if (lt == le) continue;
        if (m > cap - BLOCK) return -1;
        for (int32_t j = 0; j < len; j++) {
            into[m] = x[i + j];
            m += (x[i + j] > lo) & (x[i + j] < hi);
        }
    }
    *up_to_lo = low;
    return m;
}

/* How many of n values to sample, which is also the size of the scratch. A bracket of four standard deviations then
 * almost always holds fewer values than the sample. */
static int64_t sample_size(int64_t n) {
    int64_t s = n / 64 < SAMPLE ? n / 64 : SAMPLE;
    return s / RUN * RUN;
}

int64_t copi_lowest_scratch(int64_t n) {
    return n < BRACKETED ? 0 : n / 32 + BLOCK;
}

static rank bracketed(const float *x, int64_t n, int64_t k, float *scratch) {
    int64_t s = sample_size(n);
    for (int64_t r = 0; r < s / RUN; r++) { /* multiples of the golden ratio: evenly spread for any row length */
        double at = (double)((uint64_t)r * 0x9E3779B97F4A7C15u >> 11) * 0x1p-53;
        memcpy(scratch + r * RUN, x + (int64_t)(at * (double)(n - RUN)), RUN * sizeof *x);
    }
    double share = (double)k / (double)n, middle = share * (double)s;
    double reach = 4 * sqrt((double)s * share * (1 - share)) + 2;
    int64_t from = middle - reach < 0 ? 0 : (int64_t)(middle - reach);
    int64_t to = middle + reach > (double)(s - 1) ? s - 1 : (int64_t)(middle + reach);
    float lo = radix(scratch, s, from).value, hi = radix(scratch, s, to).value;

    int64_t up_to_lo, m = gather(x, n, lo, hi, scratch, copi_lowest_scratch(n), &up_to_lo);
    if (m < 0) return radix(x, n, k);
    if (k >= up_to_lo && k < up_to_lo + m) {
        rank r = radix(scratch, m, k - up_to_lo);
        r.below += up_to_lo;
        return r;
    }
    float edge = k < up_to_lo ? lo : hi; /* with many equal values, the edge itself is often the answer */
    int64_t below = smaller(x, n, edge);
    if (k >= below && k < below + equal(x, n, edge)) return (rank){edge, below};
    return radix(x, n, k);
}

/* scratch [copi_lowest_scratch(n)] or NULL: slower. */
static rank select_rank(const float *x, int64_t n, int64_t k, float *scratch) {
    return n < BRACKETED || !scratch ? radix(x, n, k) : bracketed(x, n, k, scratch);
}

float copi_select(cop_ctx *ctx, const float *x, int64_t n, int64_t k) {
    size_t need = (size_t)copi_lowest_scratch(n);
    float *scratch = need ? copi_alloc(ctx, need, sizeof *scratch) : NULL;
    rank r = select_rank(x, n, k, scratch);
    copi_free(ctx, scratch);
    return r.value;
}

void copi_lowest(const float *score, int64_t n, int64_t k, uint8_t *keep, float *scratch) {
    if (n < 1) return;
    if (k <= 0 || k >= n) {
        memset(keep, k <= 0, (size_t)n);
        return;
    }
    rank r = select_rank(score, n, k - 1, scratch);
    for (int64_t i = 0; i < n; i++) keep[i] = !(score[i] < r.value);
    int64_t ties = k - r.below; /* at least 1: the value of rank k - 1 is one of them */
    for (int64_t at = 0; ties > 0 && at < n; at += BLOCK) {
        int64_t end = n - at < BLOCK ? n : at + BLOCK;
        if (!equal(score + at, end - at, r.value)) continue;
        for (int64_t i = at; ties > 0 && i < end; i++) {
            if (score[i] != r.value) continue;
            keep[i] = 0;
            ties--;
        }
    }
}
