/* Philox 4x32-10, Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011: ten rounds of two
 * 32x32 -> 64 bit products; Weyl constants change the key between them. */
#include "base/base.h"

#include <math.h>

void copi_philox(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t out[4]) {
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    uint32_t c0 = (uint32_t)counter, c1 = (uint32_t)(counter >> 32);
    uint32_t c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

copi_rng copi_rng_make(uint64_t seed, uint64_t stream, uint64_t counter_high) {
    return (copi_rng){.seed = seed, .stream = stream, .counter = counter_high << 32};
}

uint32_t copi_rng_u32(copi_rng *rng) {
    if (!rng->left) {
        copi_philox(rng->seed, rng->stream, rng->counter++, rng->have);
        rng->left = 4;
    }
    return rng->have[4 - rng->left--];
}

static uint64_t next_u64(copi_rng *rng) {
    uint64_t high = copi_rng_u32(rng);
    return high << 32 | copi_rng_u32(rng);
}

uint64_t copi_rng_below(copi_rng *rng, uint64_t n) {
    uint64_t surplus = (0 - n) % n; /* 2^64 mod n: this many of the lowest draws would favour some results */
    uint64_t draw;
    do draw = next_u64(rng);
    while (draw < surplus);
    return draw % n;
}

double copi_rng_uniform(copi_rng *rng) {
    return (double)(next_u64(rng) >> 11) * 0x1p-53;
}

double
copi_rng_normal(copi_rng *rng) { /* Box and Muller; the sine's half is dropped, so that there is no hidden state */
    static const double two_pi = 6.283185307179586476925286766559;
    double radius = sqrt(-2 * log(1 - copi_rng_uniform(rng)));
    return radius * cos(two_pi * copi_rng_uniform(rng));
}

void copi_shuffle(copi_rng *rng, int64_t *index, int64_t n) {
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)copi_rng_below(rng, (uint64_t)i + 1);
        int64_t t = index[i];
        index[i] = index[j];
        index[j] = t;
    }
}

/* Little-endian on every machine, because digests are stored in files. Compilers turn this form into one load. */
static uint64_t little_word(const uint8_t b[8]) {
    return (uint64_t)b[0] | (uint64_t)b[1] << 8 | (uint64_t)b[2] << 16 | (uint64_t)b[3] << 24 | (uint64_t)b[4] << 32 |
           (uint64_t)b[5] << 40 | (uint64_t)b[6] << 48 | (uint64_t)b[7] << 56;
}

static uint64_t hash_step(uint64_t h, uint64_t word) {
    h ^= word * 0xC2B2AE3D27D4EB4Fu;
    return (h << 31 | h >> 33) * 0x9FB21C651E98DF25u;
}

/* Eight bytes per step, each step a bijection of the state; splitmix64's finisher at the end. */
uint64_t copi_hash(uint64_t seed, const void *bytes, size_t n) {
    const uint8_t *at = bytes;
    uint64_t h = seed ^ (uint64_t)n * 0x9E3779B97F4A7C15u;
    for (; n >= 8; n -= 8, at += 8) h = hash_step(h, little_word(at));
    uint8_t rest[8] = {0};
    for (size_t i = 0; i < n; i++) rest[i] = at[i];
    if (n) h = hash_step(h, little_word(rest));
    h = (h ^ h >> 30) * 0xBF58476D1CE4E5B9u;
    h = (h ^ h >> 27) * 0x94D049BB133111EBu;
    return h ^ h >> 31;
}
