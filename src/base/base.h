/* For every room: context, errors, memory, checked sizes, random numbers, bounded reading, atomic files, names. Needs
 * libc only. */
#ifndef COPPICE_BASE_H
#define COPPICE_BASE_H

#include "coppice/coppice.h"

#include <locale.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#define COPI_ALIGN 64 /* bytes; every block from copi_alloc starts on such a boundary */
#define COPI_COUNT(array) (sizeof(array) / sizeof *(array))

/* -- errors: the function returns the given status, as in `return copi_fail(ctx, COP_E_SHAPE, "...")` -- */
cop_status copi_fail(cop_ctx *ctx, cop_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
/** Put a prefix, such as the file's name, before the text of the last error, unless it begins with it. Returns status
 *  unchanged. */
cop_status copi_fail_in(cop_ctx *ctx, cop_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** An argument of a public function that must not be NULL. ctx NULL: none can be had, so there is no text. */
#define COPI_REQUIRE(ctx, pointer)                                                                                   \
    do {                                                                                                             \
        if (!(pointer)) return copi_fail(ctx, COP_E_ARG, "%s: %s is NULL", __func__, #pointer);                      \
    } while (0)
void copi_log(cop_ctx *ctx, cop_log_level level, const char *format, ...) __attribute__((format(printf, 3, 4)));
void copi_progress(cop_ctx *ctx, const cop_progress *progress); /* fills trial/trials/label from the context */
/** Set the label, trial and trials that copi_progress reports (label is copied; NULL: none). */
void copi_progress_trial(cop_ctx *ctx, const char *label, int trial, int trials);
bool copi_cancelled(cop_ctx *ctx);
int copi_threads(const cop_ctx *ctx); /* >= 1 */
int copi_jobs(const cop_ctx *ctx);
uint64_t copi_seed(const cop_ctx *ctx);
double copi_now(void); /* seconds, monotonic */

/* -- public lists: cop_X_count() says how long one is, cop_X_name(i) is NULL where i is out of its range -- */
#define COPI_LIST_COUNT(function, list)                                                                              \
    int function(void) {                                                                                             \
        return (int)COPI_COUNT(list);                                                                                \
    }
#define COPI_LIST_TEXT(function, list, field)                                                                        \
    const char *function(int i) {                                                                                    \
        return i >= 0 && (size_t)i < COPI_COUNT(list) ? (list)[i] field : NULL;                                      \
    }
/** Both functions, and a help text, for a list whose items have a .name and a .help. */
#define COPI_LIST(noun, list)                                                                                        \
    COPI_LIST_COUNT(cop_##noun##_count, list)                                                                        \
    COPI_LIST_TEXT(cop_##noun##_name, list, .name)                                                                   \
    COPI_LIST_TEXT(cop_##noun##_help, list, .help)
/** Both functions for an enum, from its COP_X_LIST. */
#define COPI_ENUM(noun, LIST)                                                                                        \
    static const char *const noun##_names[] = {LIST(COPI_ENUM_TEXT)};                                                \
    COPI_LIST_COUNT(cop_##noun##_count, noun##_names)                                                                \
    COPI_LIST_TEXT(cop_##noun##_name, noun##_names, )
#define COPI_ENUM_TEXT(name, text) text,

/* -- options: structs that begin with their size and end with a reserve of zeros, by which they grow -- */
/** The body of cop_X_init: copy the defaults. For another size only the size is set, which COPI_CHECK then
 *  refuses. */
void copi_struct_init(void *options, size_t size, const void *usual, size_t usual_size);
/** Refuse options that are NULL, not initialised, or of another version's size or fields. Errors: ARG. */
#define COPI_CHECK(ctx, type, options) copi_struct_check(ctx, #type, options, sizeof(type), offsetof(type, reserved))
/** Refuse a struct inside options, or a list's entry, whose reserve a newer program has used. Errors: ARG. */
#define COPI_CHECK_RESERVE(ctx, type, inside)                                                                        \
    copi_reserve_check(ctx, #type, (inside).reserved, COPI_COUNT((inside).reserved))
cop_status copi_reserve_check(cop_ctx *ctx, const char *type, const uint64_t *reserved, size_t n);
cop_status copi_struct_check(cop_ctx *ctx, const char *type, const void *options, size_t size, size_t reserved);

/* -- memory: zeroed, aligned, counted in checked products; NULL with COP_E_NOMEM recorded -- */
void *copi_alloc(cop_ctx *ctx, size_t count, size_t size);
void copi_free(cop_ctx *ctx, void *block); /* accepts NULL */
/** A hint that a block will be filled, so that the system uses large pages for it: touching fresh memory then takes
 *  much less time. */
void copi_use_large_pages(void *block, size_t bytes);
/** Grow a block made by copi_alloc: a new zero-extended block, the old one freed; NULL leaves the old one alone. */
void *copi_grow(cop_ctx *ctx, void *block, size_t old_count, size_t new_count, size_t size);
char *copi_strdup(cop_ctx *ctx, const char *text);
char *copi_format(cop_ctx *ctx, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool copi_mul(size_t a, size_t b, size_t *product); /* false: overflow */
bool copi_add(size_t a, size_t b, size_t *sum);
bool copi_mul_i64(int64_t a, int64_t b, int64_t *product); /* false: overflow or a negative factor */

/* A growing byte buffer; data is NUL-terminated beyond len. */
typedef struct copi_buffer {
    cop_ctx *ctx;
    char *data;
    size_t len, cap;
    bool failed; /* memory ran out once: later calls do nothing */
} copi_buffer;
void copi_buffer_init(copi_buffer *b, cop_ctx *ctx);
void copi_buffer_clear(copi_buffer *b);
void copi_buffer_add(copi_buffer *b, const void *bytes, size_t n);
void copi_buffer_text(copi_buffer *b, const char *text);
void copi_buffer_printf(copi_buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* -- random numbers: Philox 4x32-10 (Salmon et al., SC 2011), a pure function of (seed, stream, counter) -- */
enum { /* streams, so that no two uses share numbers */
       COPI_STREAM_INIT = 1,
       COPI_STREAM_ORDER,
       COPI_STREAM_AUGMENT,
       COPI_STREAM_DROPOUT,
       COPI_STREAM_SPLIT,
       COPI_STREAM_PRUNE,
       COPI_STREAM_CHECK,
       COPI_STREAM_TEST
};
void copi_philox(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t out[4]);
typedef struct copi_rng {
    uint64_t seed, stream, counter;
    uint32_t have[4];
    int left;
} copi_rng;
copi_rng copi_rng_make(uint64_t seed, uint64_t stream,
                       uint64_t counter_high); /* counter starts at counter_high<<32 */
uint32_t copi_rng_u32(copi_rng *rng);
uint64_t copi_rng_below(copi_rng *rng, uint64_t n); /* uniform in [0,n), n >= 1, unbiased */
double copi_rng_uniform(copi_rng *rng);             /* [0,1) */
double copi_rng_normal(copi_rng *rng);              /* mean 0, variance 1 */
void copi_shuffle(copi_rng *rng, int64_t *index, int64_t n);
uint64_t copi_hash(uint64_t seed, const void *bytes, size_t n); /* 64-bit, for digests of specs and data; stable */

/* -- files -- */
/** Read a whole file (at most max bytes; 0: 16 GiB). *bytes is the caller's to copi_free, NUL-terminated past *n.
 *  Errors: IO (path and the system's message), FORMAT (a directory, too large), NOMEM. */
cop_status copi_read_file(cop_ctx *ctx, const char *path, size_t max, uint8_t **bytes, size_t *n);
/** A file that is read on demand, so that weights are read once, straight into the net. bytes has room for the whole
 *  file, but holds only what was asked for; untouched pages take no memory. */
typedef struct copi_file {
    cop_ctx *ctx;
    const char *path; /* borrowed */
    int fd;           /* -1: the whole file is in memory */
    uint8_t *bytes;   /* [size] owned, unless made by copi_file_of */
    size_t size;
    uint8_t *have; /* one byte per block: has it been read? */
} copi_file;
/** Errors: as copi_read_file. What is not a regular file is read whole at once. On failure nothing is open. */
cop_status copi_file_open(cop_ctx *ctx, const char *path, copi_file *file);
void copi_file_close(copi_file *file);
/** Bytes in memory as a file; the bytes are borrowed. It need not be closed. */
copi_file copi_file_of(cop_ctx *ctx, const uint8_t *bytes, size_t n);
/** Does `at` point into the file's bytes? */
bool copi_file_holds(const copi_file *file, const void *at);
/** Make sure that the n bytes at `at`, a place in file->bytes, have been read.
 *  Errors: IO (also a file cut short meanwhile). */
cop_status copi_file_need(copi_file *file, const void *at, size_t n);
/** Copy the same n bytes into the caller's memory. */
cop_status copi_file_read(copi_file *file, const void *at, size_t n, void *to);
/** Does a path beside a model's file lead, through links, to a file outside the model's folder? Both the folder as
 *  given and the one that the model's own link leads to count as inside. False also where a file is missing. */
bool copi_file_leads_away(const char *path, const char *model);

/** A file that appears whole or not at all: open a temporary beside path, write, then commit (sync, rename) or abort
 *  (remove). Write errors (a full disk) are kept and returned by commit with the path and the system's message. */
typedef struct copi_atomic {
    cop_ctx *ctx;
    FILE *file;
    char *path, *temporary;
    int error;
} copi_atomic;
cop_status copi_atomic_open(cop_ctx *ctx, const char *path, copi_atomic *a);
void copi_atomic_write(copi_atomic *a, const void *bytes, size_t n);
void copi_atomic_printf(copi_atomic *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
cop_status copi_atomic_commit(copi_atomic *a);
void copi_atomic_abort(copi_atomic *a); /* after commit, or twice: does nothing */
cop_status copi_write_file(cop_ctx *ctx, const char *path, const void *bytes, size_t n); /* atomically */
cop_status copi_make_dir(cop_ctx *ctx, const char *path); /* with its parents; fine if it exists */

/* A bounded reader over bytes in memory. Each read past the end returns false and sets failed. */
typedef struct copi_reader {
    const uint8_t *data;
    size_t size, at;
    bool failed;
} copi_reader;
copi_reader copi_reader_make(const void *data, size_t size);
bool copi_read_bytes(copi_reader *r, size_t n, const uint8_t **bytes); /* a view, not a copy */
bool copi_read_u8(copi_reader *r, uint8_t *v);
bool copi_read_u32be(copi_reader *r, uint32_t *v);
bool copi_read_u32le(copi_reader *r, uint32_t *v);
bool copi_read_u64le(copi_reader *r, uint64_t *v);

/** y [n] = softmax(z / t), unless y is NULL; returns log(sum_c exp(z[c] / t)). Nothing overflows. */
double copi_softmax(const float *z, int n, double t, double *y);

/* -- numbers as text -- */
/* Use '.' as decimal point whatever the locale; for the calling thread, until restored. */
typedef struct copi_locale {
    locale_t plain, before;
} copi_locale;
copi_locale copi_locale_plain(void);
void copi_locale_restore(copi_locale numbers);
/** 592,933 */
typedef struct copi_words {
    char text[64];
} copi_words;
copi_words copi_grouped(int64_t n);
/** x without exponent, with at most this many decimals, trailing zeros left out; "" for NaN. */
typedef struct copi_plain {
    char text[344];
} copi_plain;
copi_plain copi_plain_number(double x, int decimals);

/** Append to the text in a buffer of size bytes; what does not fit is cut off. */
void copi_append(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* -- texts in errors -- */
/** What a user or a file wrote, for one line of an error: no control characters, not too long, not cut within a
 *  character. */
typedef struct copi_shown {
    char text[56];
} copi_shown;
copi_shown copi_show(const char *bytes, size_t n);

/* -- names -- */
/** For "did you mean": the nearest of n names to word (edit distance at most a third of its length, at least 1), or
 *  NULL. name(i, user) returns the i-th. */
const char *copi_nearest(const char *word, int n, const char *(*name)(int i, const void *user), const void *user);
/** The index of word in a NULL-terminated list, or -1. */
int copi_index_of(const char *word, const char *const *names);
bool copi_ends_with(const char *text, const char *ending); /* ASCII case ignored */

#endif
