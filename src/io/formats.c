/* cop_net_load and cop_net_save: which reader and which writer. A format is one line of the list. */
#include "io/io.h"

#include "io/safetensors_header.h"

#include <string.h>

static bool looks_like_safetensors(const uint8_t *bytes, size_t n) {
    copi_reader r = copi_reader_make(bytes, n);
    uint64_t length;
    uint8_t first;
    return copi_read_u64le(&r, &length) && length <= COPI_ST_HEADER_MAX && copi_read_u8(&r, &first) && first == '{';
}

/* path: for formats that keep data in files beside; the bytes are those of the file. */
static cop_status read_safetensors(cop_ctx *ctx, const char *path, const uint8_t *bytes, size_t n, cop_net **net) {
    (void)path;
    return copi_safetensors_parse(ctx, bytes, n, net, NULL);
}

static cop_status write_safetensors(const cop_net *net, const char *path) {
    return copi_safetensors_save(net, NULL, path);
}

/* ONNX has no magic number: a ModelProto begins with its IR version, then who made it, opsets or the graph. */
static bool looks_like_onnx(const uint8_t *bytes, size_t n) {
    return n > 3 && bytes[0] == 0x08 && bytes[1] >= 3 && bytes[1] < 64 &&
           strchr("\x12\x1a\x22\x3a\x42", bytes[2]) != NULL && bytes[2];
}

static cop_status write_onnx(const cop_net *net, const char *path) {
    return copi_onnx_save(net, COPI_ONNX_DENSE, path);
}

static bool begins_with(const uint8_t *bytes, size_t n, const char *magic, size_t length) {
    return n >= length && memcmp(bytes, magic, length) == 0;
}

static bool looks_like_h5(const uint8_t *bytes, size_t n) {
    return begins_with(bytes, n, "\x89HDF\r\n\x1a\n", 8);
}

static bool looks_like_zip(const uint8_t *bytes, size_t n) {
    return begins_with(bytes, n, "PK\x03\x04", 4);
}

static const struct {
    const char *ending;
    bool (*looks_like)(const uint8_t *bytes, size_t n); /* by its first bytes */
    cop_status (*read)(cop_ctx *ctx, const char *path, const uint8_t *bytes, size_t n, cop_net **net);
    cop_status (*write)(const cop_net *net, const char *path);
} formats[] = {
    {".safetensors", looks_like_safetensors, read_safetensors, write_safetensors},
    {".onnx", looks_like_onnx, copi_onnx_parse, write_onnx},
    {".h5", looks_like_h5, copi_keras_h5_parse, copi_keras_h5_save},
    {".keras", looks_like_zip, copi_keras_zip_parse, copi_keras_zip_save},
};
enum { FORMATS = (int)COPI_COUNT(formats) };

/* ".safetensors, .onnx, ...": for messages. */
static void list_endings(char *text, size_t size) {
    size_t at = 0;
    for (int i = 0; i < FORMATS && at < size; i++) {
        at += (size_t)snprintf(text + at, size - at, "%s%s", i ? ", " : "", formats[i].ending);
    }
}

static int by_ending(const char *path) {
    for (int i = 0; i < FORMATS; i++) {
        if (copi_ends_with(path, formats[i].ending)) return i;
    }
    return -1;
}

static int by_bytes(const uint8_t *bytes, size_t n) {
    for (int i = 0; i < FORMATS; i++) {
        if (formats[i].looks_like(bytes, n)) return i;
    }
    return -1;
}

cop_status cop_net_load(cop_ctx *ctx, const char *path, cop_net **net) {
    if (net) *net = NULL;
    if (!ctx) return COP_E_ARG;
    if (!path || !net) return copi_fail(ctx, COP_E_ARG, "cop_net_load: path and net must be given");
    uint8_t *bytes;
    size_t n;
    cop_status status = copi_read_file(ctx, path, 0, &bytes, &n);
    if (status) return status;
    int format = by_ending(path);
    if (format < 0) format = by_bytes(bytes, n);
    if (format >= 0) {
        status = formats[format].read(ctx, path, bytes, n, net);
    } else {
        char endings[256];
        list_endings(endings, sizeof endings);
        status = copi_fail(ctx, COP_E_UNSUPPORTED,
                           "neither its name nor its first bytes are of a known model format (%s)", endings);
    }
    copi_free(ctx, bytes);
    return status ? copi_fail_in(ctx, status, "%s", path) : COP_OK;
}

cop_status cop_net_save(const cop_net *net, const char *path) {
    if (!net) return COP_E_ARG;
    if (!path) return copi_fail(net->ctx, COP_E_ARG, "cop_net_save: path must be given");
    int format = by_ending(path);
    if (format >= 0) return formats[format].write(net, path);
    char endings[256];
    list_endings(endings, sizeof endings);
    return copi_fail(net->ctx, COP_E_UNSUPPORTED, "%s: the ending tells the model format, which is one of %s", path,
                     endings);
}
