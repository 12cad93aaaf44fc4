/* A folder for a test program's files, and in it a data set that a net learns in seconds. */
#ifndef COPPICE_TEST_SQUARES_H
#define COPPICE_TEST_SQUARES_H

#include "check.h"
#include "study/study.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char dir[256];

static const char *in(const char *folder, const char *name) {
    static char path[4][600];
    static int turn;
    char *to = path[turn++ % 4];
    snprintf(to, 600, "%s/%s%s%s", dir, folder, *name ? "/" : "", name);
    return to;
}

/* -- a data set: 12x12 images of four classes, a bright quarter in noise -- */

enum { SIDE = 12, CLASSES = 4 };

static void put_u32(FILE *f, uint32_t v) {
    for (int shift = 24; shift >= 0; shift -= 8) fputc((int)(v >> shift & 255), f);
}

static void make_split(const char *name, uint32_t n, uint64_t seed) {
    char file[64];
    snprintf(file, sizeof file, "data/%s-images-idx3-ubyte", name);
    FILE *images = fopen(in(file, ""), "wb");
    snprintf(file, sizeof file, "data/%s-labels-idx1-ubyte", name);
    FILE *labels = fopen(in(file, ""), "wb");
    assert_true(images && labels);
    put_u32(images, 0x803);
    put_u32(images, n);
    put_u32(images, SIDE);
    put_u32(images, SIDE);
    put_u32(labels, 0x801);
    put_u32(labels, n);
    copi_rng rng = copi_rng_make(seed, COPI_STREAM_TEST, 0);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t label = i % CLASSES;
        fputc((int)label, labels);
        for (uint32_t y = 0; y < SIDE; y++)
            for (uint32_t x = 0; x < SIDE; x++) {
                bool bright = y / (SIDE / 2) == label / 2 && x / (SIDE / 2) == label % 2;
                fputc((int)(copi_rng_below(&rng, 205) + (bright ? 50 : 0)), images);
            }
    }
    assert_int_equal(fclose(images), 0);
    assert_int_equal(fclose(labels), 0);
}

static inline void make_data(void) {
    cop_ctx *ctx = test_ctx();
    test_ok(ctx, copi_make_dir(ctx, in("data", "")));
    test_ctx_destroy(ctx);
    make_split("train", 640, 1);
    make_split("t10k", 200, 2);
}

/* -- what a study wrote -- */

static inline char *read_text(const char *folder, const char *name) {
    cop_ctx *ctx = test_ctx();
    uint8_t *bytes;
    size_t n;
    test_ok(ctx, copi_read_file(ctx, in(folder, name), 0, &bytes, &n));
    char *copy = malloc(n + 1);
    assert_non_null(copy);
    memcpy(copy, bytes, n + 1);
    copi_free(ctx, bytes);
    test_ctx_destroy(ctx);
    return copy;
}

/* trials.csv without what no two runs share: the seconds. */
static inline char *measured(const char *folder) {
    char *text = read_text(folder, "trials.csv"), *to = text;
    int column = 0;
    for (const char *at = text; *at; at++) {
        if (*at == '\n') column = 0;
        if (*at == ',') column++;
        if (column != 16 || *at == ',') *to++ = *at;
    }
    *to = 0;
    return text;
}

#endif
