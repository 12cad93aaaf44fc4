/* Ranking alone: the global threshold of n weights, and the masks it makes, beside the time to read the weights. One
 * thread. Prints one JSON object: seconds, the best of so many runs.
 *
 *     bench_rank --n 100000000 [--share 0.9] [--runs 5] [--shape normal|heavy|masked] [--seed 1]
 *
 * The weights are |w| as the magnitude criterion scores them: normal (the sum of four uniform numbers, as good as
 * normal and quick to make), heavy (a normal number cubed, so that the exponents spread), masked (normal, 60 % of
 * them -infinity: what the next round of an iterative schedule ranks). With --raw FILE the weights are written there
 * as f32, for the script to give to numpy the very same numbers. */
#include "prune/prune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct options {
    int64_t n;
    double share;
    int runs;
    uint64_t seed;
    const char *shape, *raw;
} options;

static uint32_t next(uint64_t *state) { /* a plain congruential generator: making 1e9 numbers must not take minutes */
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 32);
}

static void make(float *x, const options *o) {
    uint64_t state = o->seed;
    for (int64_t i = 0; i < o->n; i++) {
        double sum = 0;
        for (int j = 0; j < 4; j++) sum += next(&state) * 0x1p-32;
        float w = (float)fabs(sum - 2);
        if (!strcmp(o->shape, "heavy")) w = w * w * w;
        if (!strcmp(o->shape, "masked") && next(&state) % 10 < 6) w = -INFINITY;
        x[i] = w;
    }
}

/* The sum, so that reading cannot be left out; 16 running sums, so that it runs as fast as memory gives. */
static float read_all(const float *x, int64_t n) {
    float sum[16] = {0};
    for (int64_t i = 0; i + 16 <= n; i += 16)
        for (int j = 0; j < 16; j++) sum[j] += x[i + j];
    for (int j = 1; j < 16; j++) sum[0] += sum[j];
    return sum[0];
}

static bool parse(int argc, char **argv, options *o) {
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];
        if (!strcmp(argv[i], "--n"))
            o->n = (int64_t)strtod(value, NULL);
        else if (!strcmp(argv[i], "--share"))
            o->share = strtod(value, NULL);
        else if (!strcmp(argv[i], "--runs"))
            o->runs = atoi(value);
        else if (!strcmp(argv[i], "--seed"))
            o->seed = strtoull(value, NULL, 10);
        else if (!strcmp(argv[i], "--shape"))
            o->shape = value;
        else if (!strcmp(argv[i], "--raw"))
            o->raw = value;
        else
            return false;
    }
    return argc % 2 && o->n > 0 && o->share >= 0 && o->share < 1 && o->runs > 0;
}

static double less(double best, double seconds) {
    return best == 0 || seconds < best ? seconds : best;
}

int main(int argc, char **argv) {
    options o = {.n = 1000000, .share = 0.9, .runs = 5, .seed = 1, .shape = "normal"};
    if (!parse(argc, argv, &o)) {
        fprintf(stderr, "usage: bench_rank [--n N] [--share S] [--runs R] [--seed N] [--shape normal|heavy|masked] "
                        "[--raw FILE]\n");
        return 2;
    }
    cop_ctx *ctx;
    if (cop_ctx_create(NULL, &ctx)) return 1;
    float *x = copi_alloc(ctx, (size_t)o.n, sizeof *x);
    float *scratch = copi_alloc(ctx, (size_t)copi_lowest_scratch(o.n) + 1, sizeof *scratch);
    uint8_t *keep = copi_alloc(ctx, (size_t)o.n, sizeof *keep);
    if (!x || !scratch || !keep) {
        fprintf(stderr, "%s\n", cop_error(ctx));
        return 1;
    }
    make(x, &o);
    if (o.raw && copi_write_file(ctx, o.raw, x, (size_t)o.n * sizeof *x)) {
        fprintf(stderr, "%s\n", cop_error(ctx));
        return 1;
    }
    int64_t k = (int64_t)(o.share * (double)o.n);
    double read = 0, select = 0, lowest = 0;
    float threshold = 0;
    volatile float sum; /* so that the reading is done */
    memset(keep, 1, (size_t)o.n);
    for (int run = 0; run < o.runs; run++) {
        double t0 = copi_now();
        sum = read_all(x, o.n);
        double t1 = copi_now();
        threshold = copi_select(ctx, x, o.n, k);
        double t2 = copi_now();
        copi_lowest(x, o.n, k, keep, scratch);
        double t3 = copi_now();
        read = less(read, t1 - t0);
        select = less(select, t2 - t1);
        lowest = less(lowest, t3 - t2);
    }
    int64_t gone = 0;
    for (int64_t i = 0; i < o.n; i++) gone += !keep[i];
    printf("{\"n\": %lld, \"share\": %g, \"shape\": \"%s\", \"runs\": %d, \"read\": %.6f, \"select\": %.6f, "
           "\"masks\": %.6f, \"threshold\": %.9g, \"removed\": %lld}\n",
           (long long)o.n, o.share, o.shape, o.runs, read, select, lowest, (double)threshold, (long long)gone);
    (void)sum;
    copi_free(ctx, x);
    copi_free(ctx, scratch);
    copi_free(ctx, keep);
    cop_ctx_destroy(ctx);
    return gone == k ? 0 : 1;
}
