/* The outer shell of a safetensors file, whoever wrote it: [u64 little-endian N][N bytes of JSON][data]. */
#ifndef COPPICE_IO_SAFETENSORS_HEADER_H
#define COPPICE_IO_SAFETENSORS_HEADER_H

#include "base/base.h"

#include <jansson.h>

/** X(NAME, bytes): the dtypes, in the format's own order; a writer puts those further down first. */
#define COPI_ST_DTYPES(X)                                                                                            \
    X(BOOL, 1)                                                                                                       \
    X(U8, 1)                                                                                                         \
    X(I8, 1)                                                                                                         \
    X(F8_E5M2, 1)                                                                                                    \
    X(F8_E4M3, 1)                                                                                                    \
    X(I16, 2)                                                                                                        \
    X(U16, 2)                                                                                                        \
    X(F16, 2)                                                                                                        \
    X(BF16, 2)                                                                                                       \
    X(I32, 4)                                                                                                        \
    X(U32, 4)                                                                                                        \
    X(F32, 4)                                                                                                        \
    X(F64, 8)                                                                                                        \
    X(I64, 8)                                                                                                        \
    X(U64, 8)
#define X(name, bytes) COPI_ST_##name,
typedef enum copi_st_dtype { COPI_ST_DTYPES(X) } copi_st_dtype;
#undef X
const char *copi_st_dtype_name(copi_st_dtype dtype);
size_t copi_st_dtype_size(copi_st_dtype dtype); /* bytes */

enum { COPI_ST_RANK = 8, COPI_ST_HEADER_MAX = 100000000 };

typedef struct copi_st_entry {
    const char *name; /* owned by the header's JSON */
    copi_st_dtype dtype;
    int rank;
    int64_t shape[COPI_ST_RANK];
    size_t begin, end; /* in data */
    bool used;         /* for readers that must notice tensors that nobody asked for; starts false */
} copi_st_entry;

typedef struct copi_st_header {
    cop_ctx *ctx;
    json_t *root;
    json_t *metadata;     /* in root; NULL: none. An object of strings */
    copi_st_entry *entry; /* [entries], sorted by name */
    size_t entries;
    const uint8_t *data; /* [data_size] a view into the file's bytes, which may still have to be read */
    size_t data_size;
} copi_st_header;

/** Read and check the shell: sizes, JSON, no duplicate keys, dtypes, shapes, and that the tensors tile the data with
 *  no hole and no overlap to exactly its end. file must outlive the header, and its data is not
 *  read yet. Errors: FORMAT, UNSUPPORTED, NOMEM, IO; on failure the header is empty. */
cop_status copi_st_header_parse(copi_file *file, copi_st_header *header);
void copi_st_header_clear(copi_st_header *header);
copi_st_entry *copi_st_header_find(const copi_st_header *header, const char *name); /* NULL: none */
const char *copi_st_header_metadata(const copi_st_header *header, const char *key); /* NULL: none */
/** "[64,3,3,3]" for messages, cut where text ends. */
void copi_st_shape_text(int rank, const int64_t *shape, char *text, size_t size);

/** A tensor to be written. */
typedef struct copi_st_tensor {
    const char *name;
    copi_st_dtype dtype;
    int rank;
    const int64_t *shape;
    const void *data;
    size_t bytes;
} copi_st_tensor;

/** Write a whole file, atomically; tensors are sorted in place. metadata (an object of strings) is borrowed.
 *  Errors: IO, NOMEM, ARG (a name twice, or not UTF-8). */
cop_status copi_st_write(cop_ctx *ctx, const char *path, json_t *metadata, copi_st_tensor *tensor, size_t tensors);

#endif
