/* What the readers of the data formats share. Known inside src/data (and to its tests and fuzzers) only. */
#ifndef COPPICE_DATA_FORMATS_H
#define COPPICE_DATA_FORMATS_H

#include "data/data.h"

#define COPI_SIDE_MAX 16384 /* pixels of an image's height or width */
#define COPI_CLASSES_MAX 65536
#define COPI_SPLIT_BYTES_MAX ((size_t)1 << 36) /* of a split's pixels: 64 GiB */
#define COPI_DEFLATE_MAX 1032                  /* deflate never packs better than 1032 : 1 */

#define X(id, name, help)                                                                                            \
    bool copi_##id##_probe(const char *path);                                                                        \
    cop_status copi_##id##_read(cop_data *data, const char *path, const cop_data_options *options);
#include "data/formats.def"
#undef X

/* -- data.c: what all formats share -- */
cop_status copi_data_options_check(cop_ctx *ctx, const cop_data_options *options);
/** An empty data set for a reader to fill. path (copied) names it in messages. NULL: no memory. */
cop_data *copi_data_begin(cop_ctx *ctx, const char *path, const char *format);
/** Finish what a reader filled with this status: *result is the data set, or it is destroyed. */
cop_status copi_data_end(cop_data *data, cop_status status, const cop_data_options *options, cop_data **result);
/** Make room for one split's images [count,C,H,W] (shape from data->info) and labels; real: f32 instead of bytes.
 *  name appears in errors. Errors: FORMAT (no images), RANGE (an absurd shape or size), NOMEM. */
cop_status copi_images_alloc(cop_data *data, cop_split split, const char *name, uint64_t count, bool real);
/** Check the shape that a file declares before anything is computed from it, and set it in data->info; a second split
 *  must have the shape of the first. Errors: RANGE, SHAPE. */
cop_status copi_images_shape(cop_data *data, const char *name, uint64_t channels, uint64_t height, uint64_t width);
/** Name the classes (copied); names NULL: "0", "1", ... Errors: RANGE, NOMEM. */
cop_status copi_data_classes(cop_data *data, int classes, const char *const *names);
/** Check labels, carve the validation split, apply the limit, count classes, compute mean, std and digest. */
cop_status copi_data_finish(cop_data *data, const cop_data_options *options);

/* -- files.c: paths and directories -- */
bool copi_is_dir(const char *path);
bool copi_is_file(const char *path);
bool copi_dir_has(const char *dir, const char *name); /* a regular file */
typedef struct copi_names {
    char **name; /* [count], each owned */
    size_t count, cap;
} copi_names;
/** The entries of a directory in the order of their bytes, hidden ones left out. Errors: IO, NOMEM. */
cop_status copi_names_of_dir(cop_ctx *ctx, const char *dir, copi_names *names);
/** The lines of a text file; blank ones are left out, line ends and outer spaces taken off. Errors: IO, NOMEM. */
cop_status copi_names_of_lines(cop_ctx *ctx, const char *path, copi_names *names);
void copi_names_clear(cop_ctx *ctx, copi_names *names);

/* -- source.c: a stream of bytes that knows how many it can hold -- */
typedef struct copi_source copi_source;
struct copi_source {
    cop_ctx *ctx;
    const char *name; /* for errors; the caller's */
    uint64_t at;      /* bytes given out */
    uint64_t bound;   /* bytes it can hold at most: a size read from a file is checked against this */
    bool exact;       /* it holds exactly bound bytes, so the bound tells truncation before reading */
    cop_status (*pull)(copi_source *s, uint8_t *dst, size_t n, size_t *got); /* up to n bytes; 0: the end */
    void (*close)(copi_source *s);
    void *from; /* what pull and close work on */
};
/** A file, unpacked on the way if it begins as gzip does. Errors: NOT_FOUND, IO, FORMAT (not a file), NOMEM. */
cop_status copi_source_open(cop_ctx *ctx, const char *path, copi_source *s);
/** The same over bytes in memory, which are the caller's. Errors: NOMEM. */
cop_status copi_source_memory(cop_ctx *ctx, const char *name, const uint8_t *bytes, size_t n, copi_source *s);
/** Check, before allocating, that the stream can hold total bytes (if exact, that it holds just that many). */
cop_status copi_source_expect(copi_source *s, uint64_t total);
/** Exactly n bytes. Errors: FORMAT (ends early, damaged), IO. */
cop_status copi_source_read(copi_source *s, void *dst, size_t n);
/** The stream must end here (which also checks gzip's and ZIP's checksums). Errors: FORMAT. */
cop_status copi_source_end(copi_source *s);
void copi_source_close(copi_source *s); /* also of a zeroed one, or twice */

/* -- readers of streams and bytes, wherever they come from: what the fuzzers call -- */
/** One split from IDX streams, after checking both headers. */
cop_status copi_idx_split(cop_data *data, cop_split split, copi_source *images, copi_source *labels);
/** Records of CIFAR: the label bytes (the last counts), then 3 planes of 32x32; files follow each other in one
 *  split. at: images already there. */
cop_status copi_cifar_records(cop_data *data, cop_split split, copi_source *s, int label_bytes, int64_t at,
                              int64_t count);
/** An NPZ archive in memory (the caller's). */
cop_status copi_npz_bytes(cop_data *data, const char *name, const uint8_t *bytes, size_t n);

/* -- npy.c: arrays of numpy -- */
#define COPI_NPY_RANK 8
typedef struct copi_npy {
    char kind;   /* 'u', 'i' or 'f' */
    size_t size; /* bytes of an item: 1, 2, 4, 8 */
    bool big;    /* big-endian */
    int rank;
    uint64_t shape[COPI_NPY_RANK];
    char text[COPI_NPY_RANK * 21 + 16]; /* the shape as "[60000,28,28]", for errors */
} copi_npy;
/** Read the header and check the whole size against the stream. Errors: FORMAT, UNSUPPORTED (Fortran order, objects,
 *  complex numbers, strings), RANGE. */
cop_status copi_npy_open(copi_source *s, copi_npy *npy);
/** The items as images [N,H,W,C] or [N,H,W], or as labels [N] or [N,1], of a split; up to the end of the stream. */
cop_status copi_npy_images(cop_data *data, cop_split split, copi_source *s);
cop_status copi_npy_labels(cop_data *data, cop_split split, copi_source *s);

/* -- image.c: JPEG and PNG -- */
typedef struct copi_image {
    cop_ctx *ctx;
    int64_t width, height;
    bool gray;    /* has no colour: the three planes are the same */
    uint8_t *rgb; /* [height,width,3], owned; reused by the next image */
    size_t rgb_cap;
    float *work; /* scratch of the resizing */
    size_t work_cap;
    void *jpeg; /* decoder, kept for the next image */
} copi_image;
void copi_image_init(cop_ctx *ctx, copi_image *image);
void copi_image_clear(copi_image *image);
/** Decode a JPEG or PNG file's bytes; transparency is dropped, 16 bits become 8. Errors: FORMAT, RANGE, NOMEM. */
cop_status copi_image_decode(copi_image *image, const char *name, const uint8_t *bytes, size_t n);
/** Resize with a triangle filter (bilinear; when shrinking, as wide as the shrinking asks for, so that nothing
 *  aliases) to dst [channels,height,width], channels 1 (gray images only) or 3. Errors: NOMEM. */
cop_status copi_image_resize(copi_image *image, int64_t channels, int64_t height, int64_t width, uint8_t *dst);

#endif
