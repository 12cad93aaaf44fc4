/* .npy, numpy's array file: "\x93NUMPY", version, header length, a Python dictionary as text, then the items. */
#include "data/formats.h"

#include <math.h>
#include <string.h>

#define HEADER_MAX 65536

/* A place in the header's text; every step stays before end. */
typedef struct cursor {
    const char *at, *end;
} cursor;

static void skip_space(cursor *c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t')) c->at++;
}

static bool accept(cursor *c, char wanted) {
    skip_space(c);
    if (c->at == c->end || *c->at != wanted) return false;
    c->at++;
    return true;
}

/* 'text' or "text" without escapes, into out. */
static bool quoted(cursor *c, char *out, size_t size) {
    char mark = accept(c, '\'') ? '\'' : accept(c, '"') ? '"' : '\0';
    size_t n = 0;
    if (!mark) return false;
    while (c->at < c->end && *c->at != mark) {
        if (n + 1 == size) return false;
        out[n++] = *c->at++;
    }
    out[n] = '\0';
    return accept(c, mark);
}

static bool word(cursor *c, const char *wanted) {
    skip_space(c);
    size_t n = strlen(wanted);
    if ((size_t)(c->end - c->at) < n || strncmp(c->at, wanted, n) != 0) return false;
    c->at += n;
    return true;
}

static bool number(cursor *c, uint64_t *value) {
    skip_space(c);
    const char *start = c->at;
    for (*value = 0; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
        uint64_t digit = (uint64_t)(*c->at - '0');
        if (*value > (UINT64_MAX - digit) / 10) return false;
        *value = *value * 10 + digit;
    }
    return c->at > start;
}

static bool tuple(cursor *c, copi_npy *npy) {
    npy->rank = 0;
    if (!accept(c, '(')) return false;
    while (!accept(c, ')')) {
        if (npy->rank == COPI_NPY_RANK || !number(c, &npy->shape[npy->rank++])) return false;
        if (!accept(c, ',')) return accept(c, ')');
    }
    return true;
}

static void write_shape(copi_npy *npy) {
    size_t n = 0;
    npy->text[n++] = '[';
    for (int i = 0; i < npy->rank; i++) {
        n += (size_t)snprintf(npy->text + n, sizeof npy->text - n, "%s%llu", i ? "," : "",
                              (unsigned long long)npy->shape[i]);
    }
    npy->text[n++] = ']';
    npy->text[n] = '\0';
}

/* '<f4' and the like: byte order, kind, bytes. */
static cop_status set_type(copi_source *s, copi_npy *npy, const char *descr) {
    if (strchr(descr, 'O')) {
        return copi_fail(s->ctx, COP_E_UNSUPPORTED,
                         "%s: holds Python objects (%s), which are never unpickled; save a plain numeric array",
                         s->name, descr);
    }
    const char order = descr[0], kind = order ? descr[1] : '\0', size = kind ? descr[2] : '\0';
    bool known = order && strchr("<>|=", order) &&
                 ((kind == 'u' || kind == 'i') ? strchr("1248", size) != NULL : kind == 'f' && strchr("48", size));
    if (!known || !size || descr[3]) {
        return copi_fail(s->ctx, COP_E_UNSUPPORTED,
                         "%s: its items are '%s'; supported: integers (u1..u8, i1..i8) and floats (f4, f8)", s->name,
                         descr);
    }
    npy->kind = kind;
    npy->size = (size_t)(size - '0');
    npy->big = order == '>';
    return COP_OK;
}

static cop_status parse(copi_source *s, copi_npy *npy, const char *text, size_t n) {
    enum { DESCR = 1, ORDER = 2, SHAPE = 4 };
    cursor c = {text, text + n};
    char key[16], descr[32];
    unsigned seen = 0;
    bool fortran = false, good = accept(&c, '{');
    while (good && !accept(&c, '}')) {
        good = quoted(&c, key, sizeof key) && accept(&c, ':');
        if (!good) break;
        if (strcmp(key, "descr") == 0) {
            skip_space(&c);
            if (c.at < c.end && *c.at == '[') {
                return copi_fail(s->ctx, COP_E_UNSUPPORTED,
                                 "%s: holds records with fields; save a plain numeric array", s->name);
            }
            good = quoted(&c, descr, sizeof descr);
            seen |= DESCR;
        } else if (strcmp(key, "fortran_order") == 0) {
            fortran = word(&c, "True");
            good = fortran || word(&c, "False");
            seen |= ORDER;
        } else if (strcmp(key, "shape") == 0) {
            good = tuple(&c, npy);
            seen |= SHAPE;
        } else {
            good = false;
        }
        if (good && !accept(&c, ',')) {
            good = accept(&c, '}');
            break;
        }
    }
    if (!good || seen != (DESCR | ORDER | SHAPE)) {
        return copi_fail(
            s->ctx, COP_E_FORMAT,
            "%s: its header is not the dictionary {'descr', 'fortran_order', 'shape'} (fault at byte %zu)", s->name,
            (size_t)(c.at - text));
    }
    if (fortran) {
        return copi_fail(s->ctx, COP_E_UNSUPPORTED,
                         "%s: is in Fortran order; save numpy.ascontiguousarray(array) instead", s->name);
    }
    write_shape(npy);
    return set_type(s, npy, descr);
}

cop_status copi_npy_open(copi_source *s, copi_npy *npy) {
    uint8_t head[12];
    *npy = (copi_npy){0};
    cop_status status = copi_source_read(s, head, 10);
    if (status) return status;
    if (memcmp(head, "\x93NUMPY", 6) != 0) {
        return copi_fail(s->ctx, COP_E_FORMAT, "%s: is not a .npy array (it does not begin with \\x93NUMPY)",
                         s->name);
    }
    size_t length = (size_t)head[8] | (size_t)head[9] << 8;
    if (head[6] == 2 || head[6] == 3) {
        if ((status = copi_source_read(s, head + 10, 2))) return status;
        length |= (size_t)head[10] << 16 | (size_t)head[11] << 24;
    } else if (head[6] != 1) {
        return copi_fail(s->ctx, COP_E_VERSION, "%s: is .npy version %d; versions 1 to 3 are supported", s->name,
                         head[6]);
    }
    if (length > HEADER_MAX) {
        return copi_fail(s->ctx, COP_E_FORMAT, "%s: declares a header of %zu bytes, more than %d", s->name, length,
                         HEADER_MAX);
    }
    char *text = copi_alloc(s->ctx, length + 1, 1);
    if (!text) return COP_E_NOMEM;
    status = copi_source_read(s, text, length);
    if (!status) status = parse(s, npy, text, length);
    copi_free(s->ctx, text);
    if (status) return status;
    size_t total = npy->size;
    for (int i = 0; i < npy->rank; i++) {
        if (npy->shape[i] > SIZE_MAX || !copi_mul(total, (size_t)npy->shape[i], &total)) {
            return copi_fail(s->ctx, COP_E_RANGE, "%s: declares an impossible shape %s", s->name, npy->text);
        }
    }
    if (!copi_add(total, (size_t)s->at, &total)) total = SIZE_MAX;
    return copi_source_expect(s, total);
}

/* -- items -- */

static uint64_t load(const copi_npy *npy, const uint8_t *item) {
    uint64_t bits = 0;
    for (size_t i = 0; i < npy->size; i++) bits |= (uint64_t)item[npy->big ? npy->size - 1 - i : i] << (8 * i);
    return bits;
}

static double load_float(const copi_npy *npy, const uint8_t *item) {
    uint64_t bits = load(npy, item);
    if (npy->size == sizeof(float)) {
        uint32_t low = (uint32_t)bits;
        float value;
        memcpy(&value, &low, sizeof value);
        return (double)value;
    }
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* One image [H,W,C] of items -> planes [C,H,W]. False: a value that float can't hold, at *bad. */
static bool to_planes(const copi_npy *npy, const uint8_t *src, int64_t plane, int64_t channels, float *dst,
                      int64_t *bad) {
    for (int64_t k = 0; k < plane; k++) {
        for (int64_t c = 0; c < channels; c++) {
            *bad = k * channels + c;
            float value = (float)load_float(npy, src + (size_t)*bad * npy->size);
            if (!isfinite(value)) return false;
            dst[c * plane + k] = value;
        }
    }
    return true;
}

static void bytes_to_planes(const uint8_t *src, int64_t plane, int64_t channels, uint8_t *dst) {
    for (int64_t c = 0; c < channels; c++) {
        for (int64_t k = 0; k < plane; k++) dst[c * plane + k] = src[k * channels + c];
    }
}

cop_status copi_npy_images(cop_data *data, cop_split split, copi_source *s) {
    copi_npy npy;
    cop_status status = copi_npy_open(s, &npy);
    if (status) return status;
    bool real = npy.kind == 'f';
    if (npy.rank != 3 && npy.rank != 4) {
        return copi_fail(s->ctx, COP_E_SHAPE, "%s: is %s; images must be [N,H,W,C] or [N,H,W]", s->name, npy.text);
    }
    if (!real && (npy.kind != 'u' || npy.size != 1)) {
        return copi_fail(s->ctx, COP_E_UNSUPPORTED, "%s: pixels are %c%zu; supported: u1 (0 to 255), f4 and f8",
                         s->name, npy.kind, npy.size);
    }
    const copi_images *train = &data->images[COP_SPLIT_TRAIN];
    if (split != COP_SPLIT_TRAIN && real != (train->real != NULL)) {
        return copi_fail(s->ctx, COP_E_UNSUPPORTED, "%s: pixels are %s, those of x_train are %s; use one type",
                         s->name, real ? "floats" : "bytes", real ? "bytes" : "floats");
    }
    status = copi_images_shape(data, s->name, npy.rank == 4 ? npy.shape[3] : 1, npy.shape[1], npy.shape[2]);
    if (!status) status = copi_images_alloc(data, split, s->name, npy.shape[0], real);
    if (status) return status;

    const int64_t channels = data->info.channels, plane = data->info.height * data->info.width;
    const size_t item = (size_t)(channels * plane);
    copi_images *images = &data->images[split];
    uint8_t *row = copi_alloc(s->ctx, item, npy.size);
    if (!row) return COP_E_NOMEM;
    for (size_t i = 0; i < (size_t)images->count && !status; i++) {
        int64_t bad;
        status = copi_source_read(s, row, item * npy.size);
        if (status) break;
        if (!real) {
            bytes_to_planes(row, plane, channels, images->pixels + i * item);
        } else if (!to_planes(&npy, row, plane, channels, images->real + i * item, &bad)) {
            status = copi_fail(s->ctx, COP_E_RANGE,
                               "%s: image %zu, row %lld, column %lld, channel %lld is %g; pixels "
                               "must be finite numbers",
                               s->name, i, (long long)(bad / channels / data->info.width),
                               (long long)(bad / channels % data->info.width), (long long)(bad % channels),
                               load_float(&npy, row + (size_t)bad * npy.size));
        }
    }
    copi_free(s->ctx, row);
    return status ? status : copi_source_end(s);
}

cop_status copi_npy_labels(cop_data *data, cop_split split, copi_source *s) {
    copi_npy npy;
    copi_images *images = &data->images[split];
    cop_status status = copi_npy_open(s, &npy);
    if (status) return status;
    if (npy.rank != 1 && !(npy.rank == 2 && npy.shape[1] == 1)) {
        return copi_fail(s->ctx, COP_E_SHAPE, "%s: is %s; labels must be [N] or [N,1]%s", s->name, npy.text,
                         npy.rank == 2 ? "; of one-hot rows save argmax(1)" : "");
    }
    if (npy.kind == 'f') {
        return copi_fail(s->ctx, COP_E_UNSUPPORTED, "%s: labels are f%zu, must be integers", s->name, npy.size);
    }
    if (npy.shape[0] != (uint64_t)images->count) {
        return copi_fail(s->ctx, COP_E_SHAPE, "%s: has %llu labels for %lld images", s->name,
                         (unsigned long long)npy.shape[0], (long long)images->count);
    }
    for (int64_t at = 0; at < images->count;) {
        uint8_t bytes[4096];
        int64_t n = (int64_t)(sizeof bytes / npy.size);
        if (n > images->count - at) n = images->count - at;
        if ((status = copi_source_read(s, bytes, (size_t)n * npy.size))) return status;
        for (int64_t i = 0; i < n; i++) {
            uint64_t value = load(&npy, bytes + (size_t)i * npy.size);
            bool negative = npy.kind == 'i' && value >> (8 * npy.size - 1);
            if (negative || value >= COPI_CLASSES_MAX) {
                uint64_t magnitude = negative ? (~value + 1) << (64 - 8 * npy.size) >> (64 - 8 * npy.size) : value;
                return copi_fail(s->ctx, COP_E_RANGE, "%s: label %lld is %s%llu; labels must be from 0 to %d",
                                 s->name, (long long)(at + i), negative ? "-" : "", (unsigned long long)magnitude,
                                 COPI_CLASSES_MAX - 1);
            }
            images->label[at + i] = (int32_t)value;
        }
        at += n;
    }
    return copi_source_end(s);
}
