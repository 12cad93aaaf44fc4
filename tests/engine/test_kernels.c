/* Our own loops: every instruction set that this processor runs gives the same bits as the plain one, for every
 * length and in place; and the plain one does what its comment says. */
#include "check.h"
#include "engine/kernels.h"
#include "nets.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 700 };

typedef struct arrays {
    float a[LONGEST], b[LONGEST], c[LONGEST], d[LONGEST];
    uint8_t keep[LONGEST];
} arrays;

static void fill(arrays *x, uint64_t seed) {
    memset(x, 0, sizeof *x);
    test_fill_normal(seed, x->a, LONGEST);
    test_fill_normal(seed + 1, x->b, LONGEST);
    test_fill_normal(seed + 2, x->c, LONGEST);
    test_fill_normal(seed + 3, x->d, LONGEST);
    for (int i = 0; i < LONGEST; i++) {
        x->d[i] = fabsf(x->d[i]); /* a second moment */
        x->keep[i] = (uint8_t)(x->a[i] > -0.5f);
        if (i % 11 == 0) x->b[i] = 0;
    }
}

static void fill_bf16(arrays *x, uint64_t seed) {
    arrays f;
    fill(&f, seed);
    copi_bf16 *to[] = {(copi_bf16 *)x->a, (copi_bf16 *)x->b, (copi_bf16 *)x->c};
    const float *from[] = {f.a, f.b, f.c};
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < LONGEST; i++) to[k][i] = copi_f32_to_bf16(4 * from[k][i]);
}

static const copi_act acts[] = {{0, INFINITY}, {0, 6}, {0.1f, INFINITY}, {1, INFINITY}};

/* All kernels of a table one after another on x; in_place: dx over dy. */
static void run_typed(const copi_typed_kernels *k, arrays *x, int64_t n, bool in_place) {
    void *out = in_place ? x->b : x->c;
    for (size_t i = 0; i < COPI_COUNT(acts); i++) {
        k->act_forward(out, x->b, n, acts[i]);
        k->act_backward(out, x->b, x->a, n, acts[i]);
        k->add(out, x->b, x->a, n, acts[i]);
    }
    k->mask_backward(out, x->b, x->a, n, 1.25f);
    k->dropout(out, x->b, n, 2.0f, 32768, 77, 1024);
    float vectors[7][LONGEST];
    for (int i = 0; i < 7; i++) test_fill_normal(40 + (uint64_t)i, vectors[i], LONGEST);
    const copi_norm norm = {
        .l = 35, .mean = vectors[0], .a = vectors[1], .b = vectors[2], .slope = vectors[3], .offset = vectors[4]};
    k->norm_sums(x->b, n, &norm, vectors[5], vectors[6]);
    k->norm_back_sums(x->a, x->b, n, &norm, vectors[5], vectors[6]);
    k->norm_apply(out, x->b, n, &norm);
    k->norm_back(out, x->a, x->b, n, &norm);
    memcpy(x->d, vectors[5], 35 * sizeof(float));
    memcpy(x->d + 35, vectors[6], 35 * sizeof(float));
    const int64_t row = LONGEST / 2, c = n % 60 + 1;
    k->max_pool(x->c, x->d, x->b, row / (2 * c), c, row);
    k->max_pool_back(x->a, x->c, x->d, row / (2 * c), c, row);
}

static void run_all(const copi_kernels *k, int64_t n, bool in_place, bool bf16, arrays *x) {
    static const copi_update u = {.rate = 0.01f,
                                  .momentum = 0.9f,
                                  .beta1 = 0.9f,
                                  .beta2 = 0.999f,
                                  .epsilon = 1e-8f,
                                  .correct1 = 2.0f,
                                  .correct2 = 30.0f,
                                  .shrink = 0.999f,
                                  .l2 = 1e-3f,
                                  .l1 = 1e-4f};
    if (bf16) {
        fill_bf16(x, 9);
        run_typed(&k->bf16, x, n, in_place);
        return;
    }
    fill(x, 3);
    run_typed(&k->f32, x, n, in_place);
    for (int masked = 0; masked < 2; masked++) {
        k->sgd(x->a, x->b, x->c, masked ? x->keep : NULL, n, &u);
        k->adam(x->a, x->b, x->c, x->d, masked ? x->keep : NULL, n, &u);
    }
    int32_t unit[LONGEST];
    for (int i = 0; i < LONGEST; i++) unit[i] = i % 7;
    k->gate_apply(x->b, x->a, x->d, unit, n);
}

static void sets_agree(const copi_kernels *k) {
    static arrays want, got;
    for (int64_t n = 1; n <= LONGEST; n = n < 70 ? n + 1 : n * 2 - 3) {
        for (int variant = 0; variant < 4; variant++) {
            memset(&want, 0, sizeof want);
            memset(&got, 0, sizeof got);
            run_all(&copi_kernels_base, n, variant & 1, variant & 2, &want);
            run_all(k, n, variant & 1, variant & 2, &got);
            if (memcmp(&want, &got, sizeof want))
                fail_msg("%s differs from the plain kernels at length %lld, variant %d", k->isa, (long long)n,
                         variant);
        }
    }
    print_message("%s agrees with the plain kernels\n", k->isa);
}

static void instruction_sets(void **state) {
    (void)state;
    const copi_kernels *widest = copi_kernels_get();
    sets_agree(widest);
#if defined(__x86_64__)
    if (widest == &copi_kernels_avx512) sets_agree(&copi_kernels_avx2);
#endif
}

static void plain_formulas(void **state) {
    (void)state;
    static arrays x;
    fill(&x, 5);
    const copi_typed_kernels *k = &copi_kernels_base.f32;
    for (size_t a = 0; a < COPI_COUNT(acts); a++) {
        k->act_forward(x.c, x.b, LONGEST, acts[a]);
        for (int i = 0; i < LONGEST; i++) {
            float want = x.b[i] > 0 ? x.b[i] : acts[a].slope * x.b[i];
            assert_true(x.c[i] == (want > acts[a].high ? acts[a].high : want));
        }
        k->act_backward(x.d, x.b, x.c, LONGEST, acts[a]);
        for (int i = 0; i < LONGEST; i++) {
            float slope = x.c[i] >= acts[a].high ? 0 : x.c[i] > 0 ? 1 : acts[a].slope;
            assert_true(x.d[i] == slope * x.b[i]);
        }
    }
    k->mask_backward(x.d, x.b, x.a, LONGEST, 1.5f);
    for (int i = 0; i < LONGEST; i++) assert_true(x.d[i] == (x.a[i] > 0 ? 1.5f * x.b[i] : 0));
}

/* The largest of each 2 x 2 pixels, and its gradient to the first of them that has it, to nothing else. Both signs,
 * and many that are equal: small whole numbers. */
static void pooling(void **state) {
    (void)state;
    enum { C = 7, PIXELS = 12, ROW = (2 * PIXELS + 1) * C };
    static float x[2 * ROW], y[PIXELS * C], dy[PIXELS * C], dx[2 * ROW], which[PIXELS * C];
    static copi_bf16 hx[2 * ROW], hy[PIXELS * C], hdy[PIXELS * C], hdx[2 * ROW], hwhich[PIXELS * C];
    test_fill_normal(21, x, 2 * ROW);
    test_fill_normal(22, dy, PIXELS * C);
    for (int i = 0; i < 2 * ROW; i++) hx[i] = copi_f32_to_bf16(x[i] = roundf(2 * x[i]) + 0.0f);
    for (int i = 0; i < PIXELS * C; i++) dy[i] = copi_bf16_to_f32(hdy[i] = copi_f32_to_bf16(dy[i]));
    copi_kernels_base.f32.max_pool(y, which, x, PIXELS, C, ROW);
    copi_kernels_base.f32.max_pool_back(dx, dy, which, PIXELS, C, ROW);
    copi_kernels_base.bf16.max_pool(hy, hwhich, hx, PIXELS, C, ROW);
    copi_kernels_base.bf16.max_pool_back(hdx, hdy, hwhich, PIXELS, C, ROW);
    for (int i = 0; i < PIXELS * C; i++) {
        const int first = i / C * 2 * C + i % C, at[4] = {first, first + C, first + ROW, first + ROW + C};
        int best = 0;
        for (int k = 1; k < 4; k++) best = x[at[k]] > x[at[best]] ? k : best;
        assert_true(y[i] == x[at[best]] && copi_bf16_to_f32(hy[i]) == y[i]);
        for (int k = 0; k < 4; k++) {
            assert_true(dx[at[k]] == (k == best ? dy[i] : 0));
            assert_true(copi_bf16_to_f32(hdx[at[k]]) == dx[at[k]]);
        }
    }
}

static void bf16_rounding(void **state) {
    (void)state;
    const struct {
        float x, want;
    } row[] = {
        {1.0f, 1.0f},
        {1.00390625f, 1.0f},         /* half of a last place: to even, down */
        {1.01171875f, 1.015625f},    /* half: to even, up */
        {1.0039063692f, 1.0078125f}, /* a little more than half */
        {-3.1415927f, -3.140625f},
        {0.0f, 0.0f},
        {INFINITY, INFINITY},
        {3.4e38f, INFINITY}, /* rounds past the largest */
    };
    for (size_t i = 0; i < COPI_COUNT(row); i++)
        assert_true(copi_bf16_to_f32(copi_f32_to_bf16(row[i].x)) == row[i].want);
    assert_true(isnan(copi_bf16_to_f32(copi_f32_to_bf16(NAN))));
}

/* The share kept, that each number is independent of where a thread begins, and of the neighbours. */
static void dropout_numbers(void **state) {
    (void)state;
    enum { N = 1 << 16 };
    float *x = malloc(N * sizeof *x), *y = malloc(N * sizeof *y), *z = malloc(N * sizeof *z);
    assert_true(x && y && z);
    for (int i = 0; i < N; i++) x[i] = 1;
    const copi_typed_kernels *k = &copi_kernels_get()->f32;
    k->dropout(y, x, N, 1, 16384, 5, 0);
    double kept = 0, pairs = 0;
    for (int i = 0; i < N; i++) kept += y[i];
    for (int i = 1; i < N; i++) pairs += y[i] * y[i - 1];
    /* binomial: 5 standard deviations of the share */
    test_near(kept / N, 0.75, 0, 5 * sqrt(0.75 * 0.25 / N));
    test_near(pairs / (N - 1), 0.75 * 0.75, 0, 10 * sqrt(0.75 * 0.25 / N));
    k->dropout(z + 1024, x, N - 1024, 1, 16384, 5, 1024);
    assert_memory_equal(y + 1024, z + 1024, (N - 1024) * sizeof *y);
    k->dropout(z, x, N, 1, 16384, 6, 0);
    assert_true(memcmp(y, z, N * sizeof *y) != 0);
    free(x);
    free(y);
    free(z);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(instruction_sets), cmocka_unit_test(plain_formulas),
                                       cmocka_unit_test(pooling), cmocka_unit_test(bf16_rounding),
                                       cmocka_unit_test(dropout_numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
