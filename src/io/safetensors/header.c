#include "io/safetensors/header.h"

#include "io/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Tensors are copied between file and memory as they are. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "model files are read and written on little-endian machines");

static const struct {
    const char *name;
    size_t bytes;
} dtypes[] = {
#define X(name, bytes) {#name, bytes},
    COPI_ST_DTYPES(X)
#undef X
};

const char *copi_st_dtype_name(copi_st_dtype dtype) {
    return dtypes[dtype].name;
}

size_t copi_st_dtype_size(copi_st_dtype dtype) {
    return dtypes[dtype].bytes;
}

void copi_st_shape_text(int rank, const int64_t *shape, char *text, size_t size) {
    size_t at = 0;
    for (int i = 0; i < rank && at < size; i++) {
        at += (size_t)snprintf(text + at, size - at, "%s%" PRId64, i ? "," : "[", shape[i]);
    }
    if (at < size) snprintf(text + at, size - at, "%s", rank ? "]" : "[]");
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const copi_st_entry *)a)->name, ((const copi_st_entry *)b)->name);
}

static int by_place(const void *a, const void *b) {
    const copi_st_entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* A size in the file: a integer >= 0 that memory could hold. */
static bool get_size(const json_t *value, int64_t *size) {
    if (!json_is_integer(value)) return false;
    *size = json_integer_value(value);
    return *size >= 0 && (uint64_t)*size <= SIZE_MAX;
}

static cop_status parse_shape(cop_ctx *ctx, const json_t *shape, copi_st_entry *e, size_t *bytes) {
    if (!json_is_array(shape)) return copi_fail(ctx, COP_E_FORMAT, "tensor '%s' has no list 'shape'", e->name);
    size_t rank = json_array_size(shape);
    if (rank > COPI_ST_RANK) {
        return copi_fail(ctx, COP_E_UNSUPPORTED, "tensor '%s' has %zu dimensions; at most %d are supported", e->name,
                         rank, COPI_ST_RANK);
    }
    *bytes = copi_st_dtype_size(e->dtype);
    e->rank = (int)rank;
    for (size_t i = 0; i < rank; i++) {
        if (!get_size(json_array_get(shape, i), &e->shape[i])) {
            return copi_fail(ctx, COP_E_FORMAT, "tensor '%s': dimension %zu of its shape is not a size", e->name, i);
        }
        if (!copi_mul(*bytes, (size_t)e->shape[i], bytes)) {
            return copi_fail(ctx, COP_E_FORMAT, "tensor '%s': the size of its shape overflows", e->name);
        }
    }
    return COP_OK;
}

static cop_status parse_entry(cop_ctx *ctx, const char *name, const json_t *value, size_t data_size,
                              copi_st_entry *e) {
    e->name = name;
    if (!json_is_object(value))
        return copi_fail(ctx, COP_E_FORMAT, "tensor '%s' is not described by an object", name);
    const char *dtype = json_string_value(json_object_get(value, "dtype"));
    if (!dtype) return copi_fail(ctx, COP_E_FORMAT, "tensor '%s' has no 'dtype'", name);
    size_t d = 0;
    while (d < COPI_COUNT(dtypes) && strcmp(dtypes[d].name, dtype) != 0) d++;
    if (d == COPI_COUNT(dtypes)) {
        return copi_fail(ctx, COP_E_UNSUPPORTED, "tensor '%s' has the unknown dtype '%.40s'", name, dtype);
    }
    e->dtype = (copi_st_dtype)d;
    size_t bytes;
    cop_status status = parse_shape(ctx, json_object_get(value, "shape"), e, &bytes);
    if (status) return status;

    const json_t *offsets = json_object_get(value, "data_offsets");
    int64_t begin, end;
    if (json_array_size(offsets) != 2 || !get_size(json_array_get(offsets, 0), &begin) ||
        !get_size(json_array_get(offsets, 1), &end)) {
        return copi_fail(ctx, COP_E_FORMAT, "tensor '%s' has no 'data_offsets' of two sizes", name);
    }
    if (begin > end || (uint64_t)end > data_size) {
        return copi_fail(ctx, COP_E_FORMAT,
                         "tensor '%s' lies at bytes %" PRId64 " to %" PRId64 " of the data, which has %zu", name,
                         begin, end, data_size);
    }
    e->begin = (size_t)begin;
    e->end = (size_t)end;
    if (e->end - e->begin != bytes) {
        char shape[128];
        copi_st_shape_text(e->rank, e->shape, shape, sizeof shape);
        return copi_fail(ctx, COP_E_FORMAT, "tensor '%s' is %s %s, which takes %zu bytes, but has %zu", name, dtype,
                         shape, bytes, e->end - e->begin);
    }
    if (json_object_size(value) != 3) {
        return copi_fail(ctx, COP_E_FORMAT, "tensor '%s' has a key besides dtype, shape and data_offsets", name);
    }
    return COP_OK;
}

static cop_status check_tiling(cop_ctx *ctx, const copi_st_header *h) {
    size_t at = 0;
    for (size_t i = 0; i < h->entries; i++) {
        const copi_st_entry *e = &h->entry[i];
        if (e->begin != at) {
            return copi_fail(ctx, COP_E_FORMAT,
                             "tensor '%s' begins at byte %zu of the data; the one before it ends at %zu", e->name,
                             e->begin, at);
        }
        at = e->end;
    }
    if (at != h->data_size) {
        return copi_fail(ctx, COP_E_FORMAT, "%zu bytes of data belong to no tensor", h->data_size - at);
    }
    return COP_OK;
}

static cop_status parse_metadata(cop_ctx *ctx, json_t *value, copi_st_header *h) {
    if (!json_is_object(value)) return copi_fail(ctx, COP_E_FORMAT, "__metadata__ is not an object");
    const char *key;
    json_t *text;
    json_object_foreach(value, key, text) {
        if (!json_is_string(text)) return copi_fail(ctx, COP_E_FORMAT, "__metadata__ '%s' is not a string", key);
    }
    h->metadata = value;
    return COP_OK;
}

static cop_status parse_json(cop_ctx *ctx, const char *text, size_t n, copi_st_header *h) {
    cop_status status = copi_json_parse(ctx, "header", text, n, &h->root);
    if (status) return status;
    if (!json_is_object(h->root)) return copi_fail(ctx, COP_E_FORMAT, "header is not an object");
    h->entry = copi_alloc(ctx, json_object_size(h->root) + 1, sizeof *h->entry);
    if (!h->entry) return COP_E_NOMEM;
    const char *name;
    json_t *value;
    json_object_foreach(h->root, name, value) {
        if (strcmp(name, "__metadata__") == 0) {
            status = parse_metadata(ctx, value, h);
        } else {
            status = parse_entry(ctx, name, value, h->data_size, &h->entry[h->entries++]);
        }
        if (status) return status;
    }
    qsort(h->entry, h->entries, sizeof *h->entry, by_place);
    status = check_tiling(ctx, h);
    if (status) return status;
    qsort(h->entry, h->entries, sizeof *h->entry, by_name);
    return COP_OK;
}

cop_status copi_st_header_parse(copi_file *file, copi_st_header *header) {
    cop_ctx *ctx = file->ctx;
    const size_t n = file->size;
    *header = (copi_st_header){.ctx = ctx};
    copi_reader r = copi_reader_make(file->bytes, n);
    uint64_t length;
    const uint8_t *text;
    cop_status status = copi_file_need(file, file->bytes, n < 8 ? n : 8);
    if (status) return status;
    if (!copi_read_u64le(&r, &length)) {
        return copi_fail(ctx, COP_E_FORMAT, "%zu bytes are too few for a safetensors file", n);
    }
    if (length > COPI_ST_HEADER_MAX) {
        return copi_fail(ctx, COP_E_FORMAT, "header length %" PRIu64 " exceeds the format's %d", length,
                         COPI_ST_HEADER_MAX);
    }
    if (!copi_read_bytes(&r, (size_t)length, &text)) {
        return copi_fail(ctx, COP_E_FORMAT, "header of %" PRIu64 " bytes in a file of %zu: truncated?", length, n);
    }
    status = copi_file_need(file, text, (size_t)length);
    if (status) return status;
    if (length == 0 || text[0] != '{') return copi_fail(ctx, COP_E_FORMAT, "header does not begin with '{'");
    header->data = file->bytes + r.at;
    header->data_size = n - r.at;
    status = parse_json(ctx, (const char *)text, (size_t)length, header);
    if (status) copi_st_header_clear(header);
    return status;
}

void copi_st_header_clear(copi_st_header *header) {
    json_decref(header->root);
    copi_free(header->ctx, header->entry);
    *header = (copi_st_header){.ctx = header->ctx};
}

copi_st_entry *copi_st_header_find(const copi_st_header *header, const char *name) {
    const copi_st_entry key = {.name = name};
    return bsearch(&key, header->entry, header->entries, sizeof key, by_name);
}

const char *copi_st_header_metadata(const copi_st_header *header, const char *key) {
    return json_string_value(json_object_get(header->metadata, key));
}

/* -- writing -- */

/* Wide dtypes first, so that every tensor stays aligned; then by name. */
static int by_dtype_and_name(const void *a, const void *b) {
    const copi_st_tensor *x = a, *y = b;
    if (x->dtype != y->dtype) return x->dtype > y->dtype ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Name -> {dtype, shape, offsets}; false: no memory. */
static bool describe(json_t *root, const copi_st_tensor *t, size_t begin) {
    json_t *shape = json_array();
    for (int i = 0; i < t->rank; i++) json_array_append_new(shape, json_integer(t->shape[i]));
    json_t *entry = json_pack("{s:s, s:o*, s:[I,I]}", "dtype", copi_st_dtype_name(t->dtype), "shape", shape,
                              "data_offsets", (json_int_t)begin, (json_int_t)(begin + t->bytes));
    if (json_array_size(shape) != (size_t)t->rank || json_object_size(entry) != 3) {
        json_decref(entry);
        return false;
    }
    return json_object_set_new_nocheck(root, t->name, entry) == 0;
}

static cop_status build_header(cop_ctx *ctx, json_t *metadata, const copi_st_tensor *tensor, size_t tensors,
                               json_t *root) {
    if (json_object_set(root, "__metadata__", metadata)) return copi_json_no_memory(ctx);
    size_t at = 0;
    for (size_t i = 0; i < tensors; i++) {
        const copi_st_tensor *t = &tensor[i];
        cop_status status = copi_json_check_text(ctx, "tensor name", t->name);
        if (status) return status;
        if (json_object_get(root, t->name)) return copi_fail(ctx, COP_E_ARG, "two tensors are named '%s'", t->name);
        if (!describe(root, t, at)) return copi_json_no_memory(ctx);
        at += t->bytes;
    }
    return COP_OK;
}

cop_status copi_st_write(cop_ctx *ctx, const char *path, json_t *metadata, copi_st_tensor *tensor, size_t tensors) {
    qsort(tensor, tensors, sizeof *tensor, by_dtype_and_name);
    json_t *root = json_object();
    copi_buffer header;
    copi_buffer_init(&header, ctx);
    cop_status status = root ? build_header(ctx, metadata, tensor, tensors, root) : copi_json_no_memory(ctx);
    if (!status) status = copi_json_print(ctx, root, &header);
    json_decref(root);
    while (!status && header.len % 8 != 0) {
        copi_buffer_text(&header, " ");
        if (header.failed) status = copi_json_no_memory(ctx);
    }
    if (!status && header.len > COPI_ST_HEADER_MAX) {
        status = copi_fail(ctx, COP_E_UNSUPPORTED, "header of %zu bytes exceeds the %d of safetensors", header.len,
                           COPI_ST_HEADER_MAX);
    }
    copi_atomic file;
    if (!status) status = copi_atomic_open(ctx, path, &file);
    if (!status) {
        uint64_t length = header.len;
        copi_atomic_write(&file, &length, sizeof length);
        copi_atomic_write(&file, header.data, header.len);
        for (size_t i = 0; i < tensors; i++) copi_atomic_write(&file, tensor[i].data, tensor[i].bytes);
        status = copi_atomic_commit(&file);
    }
    copi_buffer_clear(&header);
    return status;
}
