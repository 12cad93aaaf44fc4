/* Initializers and constants, in whatever way they are stored, as floats or integers. */
#include "io/onnx/onnx.h"

#include "io/half.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* What a file may make the reader hold: generous for sparse and half-precision weights, and no more. */
enum { MEMORY_BASE = 256 << 20, MEMORY_PER_BYTE = 64 };

/* Room for one more in the arena's list of blocks. */
static bool grow_list(copi_onnx_reader *r) {
    if (r->blocks < r->block_cap) return true;
    int more = r->block_cap ? 2 * r->block_cap : 64;
    void *grown = copi_grow(r->ctx, r->block, (size_t)r->blocks, (size_t)more, sizeof *r->block);
    if (!grown) return false;
    r->block = grown;
    r->block_cap = more;
    return true;
}

cop_status copi_onnx_warranted(copi_onnx_reader *r, size_t bytes) {
    size_t most;
    if (!copi_mul(r->file_size, MEMORY_PER_BYTE, &most) || !copi_add(most, MEMORY_BASE, &most)) most = SIZE_MAX;
    if (bytes <= most - r->memory) return COP_OK;
    return copi_fail(r->ctx, COP_E_FORMAT, "%zu bytes of constants are more than a file of %zu warrants", bytes,
                     r->file_size);
}

void *copi_onnx_arena(copi_onnx_reader *r, size_t count, size_t size) {
    size_t bytes;
    if (!copi_mul(count, size, &bytes)) bytes = SIZE_MAX;
    if (copi_onnx_warranted(r, bytes)) {
        copi_fail_in(r->ctx, COP_E_NOMEM, "out of memory");
        return NULL;
    }
    if (!grow_list(r)) return NULL;
    void *block = copi_alloc(r->ctx, count ? count : 1, size);
    if (!block) return NULL;
    r->memory += bytes;
    r->block[r->blocks++] = block;
    return block;
}

cop_status copi_onnx_floats(copi_onnx_reader *r, int64_t count, float **data, copi_onnx_tensor *t) {
    *data = copi_onnx_arena(r, (size_t)count, sizeof **data);
    *t = (copi_onnx_tensor){
        .real = true, .rank = 1, .dims = {count}, .count = count, .floats = (const uint8_t *)*data};
    return *data ? COP_OK : COP_E_NOMEM;
}

cop_status copi_onnx_wholes(copi_onnx_reader *r, int64_t count, int64_t **data, copi_onnx_tensor *t) {
    *data = copi_onnx_arena(r, (size_t)count, sizeof **data);
    *t = (copi_onnx_tensor){.rank = 1, .dims = {count}, .count = count, .whole = *data};
    return *data ? COP_OK : COP_E_NOMEM;
}

static const char *name_of(const Onnx__TensorProto *p) {
    return p->name ? p->name : "";
}

static cop_status set_shape(copi_onnx_reader *r, const char *name, size_t rank, const int64_t *dims,
                            copi_onnx_tensor *t) {
    if (rank > COPI_ONNX_RANK) {
        return copi_fail(r->ctx, COP_E_UNSUPPORTED, "tensor '%s' has %zu dimensions; at most %d are supported", name,
                         rank, COPI_ONNX_RANK);
    }
    t->rank = (int)rank;
    t->count = 1;
    for (size_t i = 0; i < rank; i++) {
        t->dims[i] = dims[i];
        if (!copi_mul_i64(t->count, dims[i], &t->count) || t->count > COPI_MAX_ELEMENTS) {
            return copi_fail(r->ctx, COP_E_FORMAT, "tensor '%s': dimension %zu is %" PRId64 ", which makes no size",
                             name, i, dims[i]);
        }
    }
    return COP_OK;
}

/* -- where the bytes are -- */

static const char *external(const Onnx__TensorProto *p, const char *key) {
    for (size_t i = 0; i < p->n_external_data; i++) {
        const Onnx__StringStringEntryProto *e = p->external_data[i];
        if (e->key && e->value && strcmp(e->key, key) == 0) return e->value;
    }
    return NULL;
}

/* A path that stays in the model's folder: relative, with no ".." in it. */
static bool is_inside(const char *location) {
    if (!*location || *location == '/' || *location == '\\' || strchr(location, ':')) return false;
    for (const char *part = location; part; part = strpbrk(part, "/\\")) {
        part += *part == '/' || *part == '\\';
        if (strncmp(part, "..", 2) == 0 && (!part[2] || part[2] == '/' || part[2] == '\\')) return false;
    }
    return true;
}

static bool parse_size(const char *text, uint64_t *size) {
    *size = 0;
    if (!text) return true;
    if (!*text || strlen(text) > 18) return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9') return false;
        *size = *size * 10 + (uint64_t)(*text - '0');
    }
    return true;
}

static cop_status read_beside(copi_onnx_reader *r, const char *location, copi_onnx_external **external_file) {
    for (int i = 0; i < r->externals; i++) {
        *external_file = &r->external[i];
        if (strcmp(r->external[i].location, location) == 0) return COP_OK;
    }
    if (r->externals == COPI_ONNX_EXTERNALS) {
        return copi_fail(r->ctx, COP_E_UNSUPPORTED, "external data in more than %d files", COPI_ONNX_EXTERNALS);
    }
    const char *slash = strrchr(r->path, '/');
    int folder = slash ? (int)(slash - r->path) + 1 : 0;
    copi_onnx_external e = {.location = location, .path = copi_format(r->ctx, "%.*s%s", folder, r->path, location)};
    cop_status status = e.path ? COP_OK : COP_E_NOMEM;
    if (!status && copi_file_leads_away(e.path, r->path))
        status = copi_fail(r->ctx, COP_E_FORMAT,
                           "external data '%.200s' is a link that leads outside the model's folder", location);
    if (!status) status = copi_file_open(r->ctx, e.path, &e.file);
    if (status) {
        copi_free(r->ctx, e.path);
        return status;
    }
    e.left = e.file.size;
    r->file_size += e.file.size;
    *external_file = &r->external[r->externals++];
    **external_file = e;
    return COP_OK;
}

copi_file *copi_onnx_file_at(copi_onnx_reader *r, const void *at) {
    if (copi_file_holds(r->file, at)) return r->file;
    for (int i = 0; i < r->externals; i++) {
        if (copi_file_holds(&r->external[i].file, at)) return &r->external[i].file;
    }
    return NULL;
}

cop_status copi_onnx_need(copi_onnx_reader *r, const copi_onnx_tensor *t) {
    copi_file *file = t->real ? copi_onnx_file_at(r, t->floats) : NULL;
    return file ? copi_file_need(file, t->floats, (size_t)t->count * sizeof(float)) : COP_OK;
}

static cop_status find_external(copi_onnx_reader *r, const Onnx__TensorProto *p, size_t bytes, const uint8_t **raw) {
    const char *location = external(p, "location"), *name = name_of(p);
    uint64_t offset, length;
    if (!location || !is_inside(location)) {
        return copi_fail(r->ctx, COP_E_FORMAT,
                         "tensor '%s': its data would lie in '%.200s', outside the model's folder", name,
                         location ? location : "");
    }
    if (!parse_size(external(p, "offset"), &offset) || !parse_size(external(p, "length"), &length)) {
        return copi_fail(r->ctx, COP_E_FORMAT, "tensor '%s': offset or length of its external data is not a number",
                         name);
    }
    if (!r->path)
        return copi_fail(r->ctx, COP_E_UNSUPPORTED, "tensor '%s' lies in another file, '%s'", name, location);
    if (length && length != bytes) {
        return copi_fail(r->ctx, COP_E_FORMAT, "tensor '%s' takes %zu bytes, its external data has %" PRIu64, name,
                         bytes, length);
    }
    copi_onnx_external *file;
    cop_status status = read_beside(r, location, &file);
    if (status) return status;
    if (offset > file->file.size || bytes > file->file.size - offset) {
        return copi_fail(r->ctx, COP_E_FORMAT, "tensor '%s': %zu bytes at %" PRIu64 " of '%s', which has %zu", name,
                         bytes, offset, location, file->file.size);
    }
    if (bytes > file->left) {
        return copi_fail(r->ctx, COP_E_FORMAT, "tensor '%s': '%s' is given out more than once", name, location);
    }
    file->left -= bytes;
    *raw = file->file.bytes + offset;
    return COP_OK;
}

/* The tensor's raw bytes, wherever they are; *raw is NULL when the numbers are in a typed list. */
static cop_status find_raw(copi_onnx_reader *r, const Onnx__TensorProto *p, size_t count, size_t size,
                           const uint8_t **raw) {
    size_t bytes;
    *raw = NULL;
    if (!copi_mul(count, size, &bytes))
        return copi_fail(r->ctx, COP_E_FORMAT, "tensor '%s' is too large", name_of(p));
    if (p->has_data_location && p->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL) {
        return find_external(r, p, bytes, raw);
    }
    if (!p->has_raw_data) return COP_OK;
    if (p->raw_data.len != bytes) {
        return copi_fail(r->ctx, COP_E_FORMAT, "tensor '%s' takes %zu bytes but has %zu", name_of(p), bytes,
                         p->raw_data.len);
    }
    *raw = p->raw_data.data ? p->raw_data.data : (const uint8_t *)"";
    return COP_OK;
}

/* -- numbers -- */

typedef struct source {
    const Onnx__TensorProto *p;
    const uint8_t *raw; /* NULL: in the list */
} source;

static bool element_size(int type, size_t *size, bool *real) {
    *real = false;
    switch (type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
        *real = true;
        *size = 4;
        return true;
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
        *real = true;
        *size = 8;
        return true;
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16:
    case ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16:
        *real = true;
        *size = 2;
        return true;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64:
        *size = 8;
        return true;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT32:
        *size = 4;
        return true;
    case ONNX__TENSOR_PROTO__DATA_TYPE__UINT8:
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT8:
    case ONNX__TENSOR_PROTO__DATA_TYPE__BOOL:
        *size = 1;
        return true;
    default:
        return false;
    }
}

static size_t list_length(const Onnx__TensorProto *p, int type) {
    switch (type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
        return p->n_float_data;
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
        return p->n_double_data;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64:
        return p->n_int64_data;
    default:
        return p->n_int32_data; /* halves too, as bits */
    }
}

static float real_element(const source *s, int type, size_t i) {
    uint16_t half;
    double wide;
    if (type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT) return s->p->float_data[i];
    if (type == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE) {
        if (!s->raw) return (float)s->p->double_data[i];
        memcpy(&wide, s->raw + 8 * i, sizeof wide);
        return (float)wide;
    }
    if (s->raw) {
        memcpy(&half, s->raw + 2 * i, sizeof half);
    } else {
        half = (uint16_t)s->p->int32_data[i];
    }
    return type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16 ? copi_half_to_float(half) : copi_bfloat_to_float(half);
}

static int64_t whole_element(const source *s, int type, size_t i) {
    int64_t wide;
    int32_t word;
    if (type == ONNX__TENSOR_PROTO__DATA_TYPE__INT64) {
        if (!s->raw) return s->p->int64_data[i];
        memcpy(&wide, s->raw + 8 * i, sizeof wide);
        return wide;
    }
    if (!s->raw) return s->p->int32_data[i];
    if (type == ONNX__TENSOR_PROTO__DATA_TYPE__INT32) {
        memcpy(&word, s->raw + 4 * i, sizeof word);
        return word;
    }
    return type == ONNX__TENSOR_PROTO__DATA_TYPE__INT8 ? (int8_t)s->raw[i] : s->raw[i];
}

cop_status copi_onnx_tensor_read(copi_onnx_reader *r, const Onnx__TensorProto *p, copi_onnx_tensor *t) {
    *t = (copi_onnx_tensor){0};
    int type = p->data_type;
    size_t size;
    if (!element_size(type, &size, &t->real)) {
        return copi_fail(
            r->ctx, COP_E_UNSUPPORTED,
            "tensor '%s' is of data type %d; supported: float, double, float16, bfloat16, int64, int32, int8, "
            "uint8 and bool",
            name_of(p), type);
    }
    cop_status status = set_shape(r, name_of(p), p->n_dims, p->dims, t);
    if (status) return status;
    if (p->segment) return copi_fail(r->ctx, COP_E_UNSUPPORTED, "tensor '%s' is stored in segments", name_of(p));
    size_t count = (size_t)t->count;
    source s = {.p = p};
    status = find_raw(r, p, count, size, &s.raw);
    if (status) return status;
    if (!s.raw && list_length(p, type) != count) {
        return copi_fail(r->ctx, COP_E_FORMAT, "tensor '%s' holds %zu numbers; its shape wants %zu", name_of(p),
                         list_length(p, type), count);
    }
    if (type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT) { /* as it lies */
        t->floats = s.raw ? s.raw : (const uint8_t *)p->float_data;
        return COP_OK;
    }
    copi_file *file = s.raw ? copi_onnx_file_at(r, s.raw) : NULL;
    status = file ? copi_file_need(file, s.raw, count * size) : COP_OK;
    if (status) return status;
    if (t->real) {
        float *data = copi_onnx_arena(r, count, sizeof *data);
        if (!data) return COP_E_NOMEM;
        for (size_t i = 0; i < count; i++) data[i] = real_element(&s, type, i);
        t->floats = (const uint8_t *)data;
    } else {
        int64_t *data = copi_onnx_arena(r, count, sizeof *data);
        if (!data) return COP_E_NOMEM;
        for (size_t i = 0; i < count; i++) data[i] = whole_element(&s, type, i);
        t->whole = data;
    }
    return COP_OK;
}

/* -- sparse initializers: values and the places where they stand, in ascending order -- */

/* The place that row i of the indices names, or -1. */
static int64_t place_of(const copi_onnx_tensor *indices, const copi_onnx_tensor *t, int64_t i) {
    if (indices->rank == 1) {
        int64_t at = indices->whole[i];
        return at < t->count ? at : -1;
    }
    int64_t at = 0;
    for (int d = 0; d < t->rank; d++) {
        int64_t k = indices->whole[i * t->rank + d];
        if (k < 0 || k >= t->dims[d]) return -1;
        at = at * t->dims[d] + k;
    }
    return at;
}

cop_status copi_onnx_sparse_read(copi_onnx_reader *r, const Onnx__SparseTensorProto *p, copi_onnx_tensor *t) {
    *t = (copi_onnx_tensor){.real = true, .sparse = true};
    copi_onnx_tensor values, indices;
    const char *name = p->values ? name_of(p->values) : "";
    if (!p->values || !p->indices) return copi_fail(r->ctx, COP_E_FORMAT, "a sparse tensor lacks values or indices");
    cop_status status = set_shape(r, name, p->n_dims, p->dims, t);
    if (!status) status = copi_onnx_tensor_read(r, p->values, &values);
    if (!status) status = copi_onnx_tensor_read(r, p->indices, &indices);
    if (!status) status = copi_onnx_need(r, &values);
    if (status) return status;
    bool linear = indices.rank == 1 && indices.count == values.count;
    bool rows = indices.rank == 2 && indices.dims[0] == values.count && indices.dims[1] == t->rank;
    if (!values.real || indices.real || values.rank != 1 || (!linear && !rows)) {
        return copi_fail(r->ctx, COP_E_FORMAT, "sparse tensor '%s': values and indices do not fit its %d dimensions",
                         name, t->rank);
    }
    status = copi_onnx_warranted(r, (size_t)t->count * sizeof(float)); /* at most 2^36 numbers */
    if (status) return status;
    float *data = copi_onnx_arena(r, (size_t)t->count, sizeof *data);
    if (!data) return COP_E_NOMEM;
    int64_t last = -1;
    for (int64_t i = 0; i < values.count; i++) {
        int64_t at = place_of(&indices, t, i);
        if (at <= last) {
            return copi_fail(r->ctx, COP_E_FORMAT, "sparse tensor '%s': index %" PRId64 " is out of range or order",
                             name, i);
        }
        last = at;
        data[at] = copi_onnx_float(&values, i);
    }
    t->floats = (const uint8_t *)data;
    return COP_OK;
}
