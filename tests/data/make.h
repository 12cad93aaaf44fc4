/* Writers of the files that the data tests read: good ones, from which each test makes its bad ones. */
#ifndef COPPICE_TEST_DATA_MAKE_H
#define COPPICE_TEST_DATA_MAKE_H

#include "check.h"
#include "data/formats.h"

#include <spng.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <turbojpeg.h>
#include <unistd.h>
#include <zip.h>
#include <zlib.h>

/** dir/name, in one of eight buffers that take turns. */
static inline const char *in(const char *dir, const char *name) {
    static char buffer[8][1024];
    static int turn;
    char *to = buffer[turn++ % 8];
    assert_true(snprintf(to, 1024, "%s/%s", dir, name) < 1024);
    return to;
}

static inline void make_file(const char *path, const void *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static inline void make_text(const char *path, const char *text) {
    make_file(path, text, strlen(text));
}

static inline void make_gzip(const char *path, const void *bytes, size_t n) {
    gzFile f = gzopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(gzwrite(f, bytes, (unsigned)n), (int)n);
    assert_int_equal(gzclose(f), Z_OK);
}

static inline void make_folder(const char *path) {
    assert_int_equal(mkdir(path, 0700), 0);
}

/* -- bytes being put together -- */
typedef struct blob {
    uint8_t bytes[1 << 16];
    size_t n;
} blob;

static inline void blob_add(blob *b, const void *bytes, size_t n) {
    assert_true(n <= sizeof b->bytes - b->n);
    if (n) memcpy(b->bytes + b->n, bytes, n);
    b->n += n;
}

static inline void blob_u32be(blob *b, uint32_t v) {
    uint8_t bytes[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    blob_add(b, bytes, 4);
}

/** Some value for byte i of a picture: every picture differs, no two neighbours are alike. */
static inline uint8_t pattern(size_t i) {
    return (uint8_t)(i * 37 + i / 11 * 5 + (i >> 8));
}

static inline void blob_pattern(blob *b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint8_t v = pattern(i);
        blob_add(b, &v, 1);
    }
}

/* -- IDX -- */
/** Images [n,h,w] of pattern(); magic 0x803. */
static inline void idx_images(blob *b, uint32_t n, uint32_t h, uint32_t w) {
    b->n = 0;
    blob_u32be(b, 0x803);
    blob_u32be(b, n);
    blob_u32be(b, h);
    blob_u32be(b, w);
    blob_pattern(b, (size_t)n * h * w);
}

/** Labels 0, 1, .. classes-1, 0, ... */
static inline void idx_labels(blob *b, uint32_t n, int classes) {
    b->n = 0;
    blob_u32be(b, 0x801);
    blob_u32be(b, n);
    for (uint32_t i = 0; i < n; i++) {
        uint8_t v = (uint8_t)(i % (uint32_t)classes);
        blob_add(b, &v, 1);
    }
}

/** A whole set in dir: train images of h x w in so many classes, and test images. */
static inline void make_idx(const char *dir, uint32_t train, uint32_t test, uint32_t h, uint32_t w, int classes) {
    blob *b = calloc(1, sizeof *b);
    assert_non_null(b);
    idx_images(b, train, h, w);
    make_file(in(dir, "train-images-idx3-ubyte"), b->bytes, b->n);
    idx_labels(b, train, classes);
    make_gzip(in(dir, "train-labels-idx1-ubyte.gz"), b->bytes, b->n);
    idx_images(b, test, h, w);
    make_gzip(in(dir, "t10k-images-idx3-ubyte.gz"), b->bytes, b->n);
    idx_labels(b, test, classes);
    make_file(in(dir, "t10k-labels-idx1-ubyte"), b->bytes, b->n);
    free(b);
}

/* -- NPZ -- */
/** A .npy array: the dictionary's three values as text, and the items. */
static inline void npy_array(blob *b, const char *descr, const char *fortran, const char *shape, const void *items,
                             size_t n) {
    char text[512];
    int length =
        snprintf(text, sizeof text, "{'descr': %s, 'fortran_order': %s, 'shape': %s, }", descr, fortran, shape);
    while ((10 + length + 1) % 64) text[length++] = ' ';
    text[length++] = '\n';
    uint8_t size[2] = {(uint8_t)length, (uint8_t)(length >> 8)};
    b->n = 0;
    blob_add(b, "\x93NUMPY\x01\x00", 8);
    blob_add(b, size, 2);
    blob_add(b, text, (size_t)length);
    blob_add(b, items, n);
}

static inline zip_t *zip_begin(const char *path) {
    int error;
    zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &error);
    assert_non_null(zip);
    return zip;
}

/** method: ZIP_CM_STORE, ZIP_CM_DEFLATE, ... */
static inline void zip_put(zip_t *zip, const char *name, const blob *b, zip_int32_t method) {
    void *copy = malloc(b->n ? b->n : 1);
    assert_non_null(copy);
    memcpy(copy, b->bytes, b->n);
    zip_source_t *source = zip_source_buffer(zip, copy, b->n, 1);
    assert_non_null(source);
    zip_int64_t index = zip_file_add(zip, name, source, ZIP_FL_OVERWRITE);
    assert_true(index >= 0);
    assert_int_equal(zip_set_file_compression(zip, (zip_uint64_t)index, method, 0), 0);
}

/* -- pictures -- */
/** rgb [h,w,3] as a PNG of colour type RGB, or of its first plane as gray. */
static inline void make_png(const char *path, const uint8_t *rgb, uint32_t w, uint32_t h, bool gray) {
    uint8_t plane[4096];
    spng_ctx *png = spng_ctx_new(SPNG_CTX_ENCODER);
    struct spng_ihdr header = {.width = w,
                               .height = h,
                               .bit_depth = 8,
                               .color_type = gray ? SPNG_COLOR_TYPE_GRAYSCALE : SPNG_COLOR_TYPE_TRUECOLOR};
    size_t n = (size_t)w * h;
    int error;
    assert_non_null(png);
    assert_true(n <= sizeof plane);
    for (size_t i = 0; i < n; i++) plane[i] = rgb[3 * i];
    assert_int_equal(spng_set_option(png, SPNG_ENCODE_TO_BUFFER, 1), 0);
    assert_int_equal(spng_set_ihdr(png, &header), 0);
    assert_int_equal(spng_encode_image(png, gray ? plane : rgb, gray ? n : 3 * n, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE),
                     0);
    void *bytes = spng_get_png_buffer(png, &n, &error);
    assert_non_null(bytes);
    make_file(path, bytes, n);
    free(bytes);
    spng_ctx_free(png);
}

/** rgb [h,w,3] as a JPEG of quality 95. */
static inline void make_jpeg(const char *path, const uint8_t *rgb, int w, int h, bool gray) {
    tjhandle jpeg = tjInitCompress();
    unsigned char *bytes = NULL;
    unsigned long n = 0;
    assert_non_null(jpeg);
    assert_int_equal(tjCompress2(jpeg, rgb, w, 0, h, TJPF_RGB, &bytes, &n, gray ? TJSAMP_GRAY : TJSAMP_444, 95, 0),
                     0);
    make_file(path, bytes, n);
    tjFree(bytes);
    tjDestroy(jpeg);
}

/* -- files spoiled -- */
/** Cut the file to n bytes (negative: so many fewer). */
static inline void cut_file(const char *path, int64_t n) {
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, n < 0 ? st.st_size + n : n), 0);
}

static inline void append_file(const char *path, const void *bytes, size_t n) {
    FILE *f = fopen(path, "ab");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/** Overwrite one byte; at negative: from the end. */
static inline void poke_file(const char *path, long at, uint8_t value) {
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    assert_int_equal(fwrite(&value, 1, 1, f), 1);
    assert_int_equal(fclose(f), 0);
}

/** Opening path must fail with this status and this part of the text. */
static inline void open_fails(cop_ctx *ctx, const char *path, const cop_data_options *options, cop_status status,
                              const char *part) {
    static cop_data stale;
    cop_data *data = &stale; /* must not survive */
    test_fails(ctx, cop_data_open(ctx, path, options, &data), status, part);
    assert_null(data);
}

/** Opening path, for test_out_of_memory. */
static inline cop_status open_and_close(cop_ctx *ctx, void *path) {
    cop_data *data;
    cop_status status = cop_data_open(ctx, path, NULL, &data);
    cop_data_destroy(data);
    return status;
}

#endif
