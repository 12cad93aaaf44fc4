/* Ranking against sorting: every size and distribution that could take another path. */
#include "check.h"

#include "prune/prune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

typedef struct indexed {
    float value;
    int64_t index;
} indexed;

static int by_value_and_index(const void *a, const void *b) {
    const indexed *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

/* -- distributions: x [n] -- */

static copi_rng rng;

static void normal(float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] = (float)copi_rng_normal(&rng);
}
static void absolute(float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] = fabsf((float)copi_rng_normal(&rng));
}
static void every_exponent(float *x, int64_t n) { /* all finite bit patterns, denormal numbers too */
    for (int64_t i = 0; i < n; i++) {
        uint32_t u;
        do u = copi_rng_u32(&rng);
        while ((u >> 23 & 255) == 255);
        memcpy(&x[i], &u, sizeof u);
    }
}
static void all_equal(float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] = 0.25f;
}
static void few_values(float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] = (float)copi_rng_below(&rng, 3);
}
static void both_zeros(float *x, int64_t n) { /* -0 and 0 are equal */
    for (int64_t i = 0; i < n; i++) {
        uint64_t r = copi_rng_below(&rng, 4);
        x[i] = r == 0 ? -0.0f : r == 1 ? 0.0f : (float)copi_rng_normal(&rng);
    }
}
static void mostly_masked(float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] = copi_rng_below(&rng, 10) < 7 ? -INFINITY : (float)copi_rng_uniform(&rng);
}
static void protected_ones(float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] = copi_rng_below(&rng, 10) < 3 ? INFINITY : (float)copi_rng_uniform(&rng);
}
static void rising(float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] = (float)i;
}
static void falling(float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] = (float)(n - i);
}
static void periodic(float *x, int64_t n) { /* a sample in step with the rows would see one column only */
    for (int64_t i = 0; i < n; i++) x[i] = (float)(i % 64) + (float)copi_rng_uniform(&rng) * 1e-3f;
}
static void ends(float *x, int64_t n) { /* long runs: neighbours say nothing about the rest */
    for (int64_t i = 0; i < n; i++) x[i] = i < n / 3 ? 5 : i < n / 2 ? (float)copi_rng_uniform(&rng) : 7;
}
static void one_off(float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] = 1;
    x[n / 2] = 0.5f;
    x[n / 3] = 2;
}

static const struct {
    const char *name;
    void (*fill)(float *x, int64_t n);
} distributions[] = {{"normal", normal},        {"absolute", absolute},        {"every exponent", every_exponent},
                     {"all equal", all_equal},  {"few values", few_values},    {"both zeros", both_zeros},
                     {"masked", mostly_masked}, {"protected", protected_ones}, {"rising", rising},
                     {"falling", falling},      {"periodic", periodic},        {"ends", ends},
                     {"one off", one_off}};

static const int64_t sizes[] = {1, 2, 3, 5, 63, 64, 65, 1000, 4097, 65535, 65536, 65537, 200003, 1 << 20};

/* Ranks to ask for: the ends, the middle, where a bracket begins and ends, and some anywhere. */
static int64_t rank_number(int i, int64_t n) {
    const int64_t fixed[] = {0, n - 1, n / 2, n / 10, n - 1 - n / 100};
    return i < 5 ? fixed[i] : (int64_t)copi_rng_below(&rng, (uint64_t)n);
}

static void select_is_sorted_rank(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    rng = copi_rng_make(1, COPI_STREAM_TEST, 0);
    for (size_t d = 0; d < COPI_COUNT(distributions); d++)
        for (size_t s = 0; s < COPI_COUNT(sizes); s++) {
            int64_t n = sizes[s];
            float *x = malloc((size_t)n * sizeof *x), *copy = malloc((size_t)n * sizeof *x),
                  *sorted = malloc((size_t)n * sizeof *x);
            assert_true(x && copy && sorted);
            distributions[d].fill(x, n);
            memcpy(copy, x, (size_t)n * sizeof *x);
            memcpy(sorted, x, (size_t)n * sizeof *x);
            qsort(sorted, (size_t)n, sizeof *sorted, by_value);
            for (int i = 0; i < 9; i++) {
                int64_t k = rank_number(i, n);
                float got = copi_select(ctx, x, n, k);
                if (got != sorted[k])
                    fail_msg("%s, n %lld: rank %lld is %.9g, not %.9g", distributions[d].name, (long long)n,
                             (long long)k, (double)sorted[k], (double)got);
            }
            assert_memory_equal(x, copy, (size_t)n * sizeof *x);
            free(x);
            free(copy);
            free(sorted);
        }
    test_ctx_destroy(ctx);
}

static void lowest_are_the_first_sorted(void **state) {
    (void)state;
    rng = copi_rng_make(2, COPI_STREAM_TEST, 0);
    for (size_t d = 0; d < COPI_COUNT(distributions); d++)
        for (size_t s = 0; s + 1 < COPI_COUNT(sizes); s++) {
            int64_t n = sizes[s];
            float *x = malloc((size_t)n * sizeof *x), *scratch = malloc((size_t)n * sizeof *x);
            indexed *sorted = malloc((size_t)n * sizeof *sorted);
            uint8_t *keep = malloc((size_t)n), *want = malloc((size_t)n);
            assert_true(x && scratch && sorted && keep && want && copi_lowest_scratch(n) <= n);
            distributions[d].fill(x, n);
            for (int64_t i = 0; i < n; i++) sorted[i] = (indexed){x[i], i};
            qsort(sorted, (size_t)n, sizeof *sorted, by_value_and_index);
            for (int i = 0; i < 8; i++) {
                int64_t k = i == 7 ? n : rank_number(i, n);
                for (int64_t j = 0; j < n; j++) want[sorted[j].index] = j >= k;
                for (int with = 0; with < 2; with++) {
                    memset(keep, 9, (size_t)n);
                    copi_lowest(x, n, k, keep, with ? scratch : NULL);
                    if (memcmp(keep, want, (size_t)n) != 0)
                        fail_msg("%s, n %lld, the lowest %lld are others", distributions[d].name, (long long)n,
                                 (long long)k);
                }
            }
            free(x);
            free(scratch);
            free(sorted);
            free(keep);
            free(want);
        }
}

/* Without memory it is slower, not wrong. */
static void *no_alloc(void *user, size_t size) {
    if (size > 4096 && *(int *)user) return NULL;
    return malloc(size);
}
static void plain_free(void *user, void *block) {
    (void)user;
    free(block);
}
static void select_without_memory(void **state) {
    (void)state;
    int refuse = 1;
    cop_ctx_options o = cop_ctx_options_default();
    o.allocator = (cop_allocator){no_alloc, plain_free, &refuse};
    cop_ctx *ctx;
    assert_int_equal(cop_ctx_create(&o, &ctx), COP_OK);
    int64_t n = 1 << 20;
    float *x = malloc((size_t)n * sizeof *x);
    assert_non_null(x);
    falling(x, n);
    assert_true(copi_select(ctx, x, n, 1000) == 1001);
    free(x);
    cop_ctx_destroy(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(select_is_sorted_rank),
                                       cmocka_unit_test(lowest_are_the_first_sorted),
                                       cmocka_unit_test(select_without_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
