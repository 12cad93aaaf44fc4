/* Random numbers: the published known answers of Philox 4x32-10 (Random123's kat_vectors), and the distributions. */
#include "check.h"

#include <math.h>
#include <string.h>

static void known_answers(void **state) {
    (void)state;
    static const struct {
        uint64_t key, high, low;
        uint32_t out[4];
    } cases[] = {{0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
                 {UINT64_MAX, UINT64_MAX, UINT64_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
                 {0x299f31d0a4093822,
                  0x0370734413198a2e,
                  0x85a308d3243f6a88,
                  {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};
    for (size_t i = 0; i < COPI_COUNT(cases); i++) {
        uint32_t out[4];
        copi_philox(cases[i].key, cases[i].high, cases[i].low, out);
        assert_memory_equal(out, cases[i].out, sizeof out);
    }
}

static void sequence(void **state) {
    (void)state;
    copi_rng a = copi_rng_make(5, COPI_STREAM_TEST, 3);
    for (uint64_t block = 0; block < 3; block++) {
        uint32_t out[4];
        copi_philox(5, COPI_STREAM_TEST, (3ull << 32) + block, out);
        for (int i = 0; i < 4; i++) assert_int_equal(copi_rng_u32(&a), out[i]);
    }
}

static void uniform_and_normal(void **state) {
    (void)state;
    enum { N = 200000 };
    copi_rng rng = copi_rng_make(1, COPI_STREAM_TEST, 0);
    double mean = 0, square = 0, low = 1, high = 0;
    for (int i = 0; i < N; i++) {
        double u = copi_rng_uniform(&rng);
        assert_true(u >= 0 && u < 1);
        low = fmin(low, u);
        high = fmax(high, u);
        mean += u / N;
        square += u * u / N;
    }
    /* five standard errors: of a mean sqrt(variance / N) */
    test_near(mean, 0.5, 0, 5 * sqrt(1.0 / 12 / N));
    test_near(square, 1.0 / 3, 0, 5 * sqrt(4.0 / 45 / N));
    assert_true(low < 1e-4 && high > 1 - 1e-4);

    double m1 = 0, m2 = 0, m3 = 0, m4 = 0;
    for (int i = 0; i < N; i++) {
        double z = copi_rng_normal(&rng);
        assert_true(isfinite(z));
        m1 += z / N;
        m2 += z * z / N;
        m3 += z * z * z / N;
        m4 += z * z * z * z / N;
    }
    test_near(m1, 0, 0, 5 * sqrt(1.0 / N));
    test_near(m2, 1, 0, 5 * sqrt(2.0 / N));
    test_near(m3, 0, 0, 5 * sqrt(15.0 / N));
    test_near(m4, 3, 0, 5 * sqrt(96.0 / N));
}

static void below_is_even(void **state) {
    (void)state;
    copi_rng rng = copi_rng_make(2, COPI_STREAM_TEST, 0);
    int seen[7] = {0};
    for (int i = 0; i < 70000; i++) seen[copi_rng_below(&rng, 7)]++;
    for (int i = 0; i < 7; i++) test_near(seen[i], 10000, 0, 5 * sqrt(10000 * 6.0 / 7));
    for (int i = 0; i < 100; i++) assert_int_equal(copi_rng_below(&rng, 1), 0);
    /* 3/4 of the range: a biased modulo would give the lower third twice as often */
    uint64_t n = 3ull << 62;
    int lower = 0;
    for (int i = 0; i < 30000; i++) lower += copi_rng_below(&rng, n) < 1ull << 62;
    test_near(lower, 10000, 0, 5 * sqrt(10000 * 2.0 / 3));
}

static void shuffles(void **state) {
    (void)state;
    int64_t x[50], y[50], at0[5] = {0};
    for (int i = 0; i < 50; i++) x[i] = y[i] = i;
    copi_rng a = copi_rng_make(3, COPI_STREAM_ORDER, 1), b = a;
    copi_shuffle(&a, x, 50);
    copi_shuffle(&b, y, 50);
    assert_memory_equal(x, y, sizeof x);
    int moved = 0, seen[50] = {0};
    for (int i = 0; i < 50; i++) {
        moved += x[i] != i;
        seen[x[i]]++;
    }
    for (int i = 0; i < 50; i++) assert_int_equal(seen[i], 1);
    assert_true(moved > 40);
    for (int k = 0; k < 5000; k++) {
        int64_t z[5] = {0, 1, 2, 3, 4};
        copi_shuffle(&a, z, 5);
        at0[z[0]]++;
    }
    for (int i = 0; i < 5; i++) test_near((double)at0[i], 1000, 0, 5 * sqrt(800.0));
    copi_shuffle(&a, x, 0);
    copi_shuffle(&a, x, 1);
}

static void hashes(void **state) {
    (void)state;
    /* pinned: stores hold digests made of it */
    assert_int_equal(copi_hash(0, "", 0), 0);
    assert_int_equal(copi_hash(1, "coppice", 7), 0x9da43540d866f8c7);
    assert_int_equal(copi_hash(1, "a digest longer than one word", 29), 0x2aae604806d76852);
    assert_true(copi_hash(0, "\0", 1) != copi_hash(0, "", 0));
    assert_true(copi_hash(0, "\0", 1) != copi_hash(0, "\0\0", 2));
    assert_true(copi_hash(0, "abcdefgh12345678", 16) != copi_hash(0, "12345678abcdefgh", 16));
    uint8_t text[64] = {0};
    uint64_t base = copi_hash(9, text, sizeof text);
    for (int bit = 0; bit < 512; bit++) { /* each bit changes about half of the digest */
        text[bit / 8] ^= (uint8_t)(1 << bit % 8);
        uint64_t changed = base ^ copi_hash(9, text, sizeof text);
        text[bit / 8] ^= (uint8_t)(1 << bit % 8);
        int flips = 0;
        for (; changed; changed &= changed - 1) flips++;
        assert_in_range(flips, 10, 54);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers), cmocka_unit_test(sequence), cmocka_unit_test(uniform_and_normal),
        cmocka_unit_test(below_is_even), cmocka_unit_test(shuffles), cmocka_unit_test(hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
