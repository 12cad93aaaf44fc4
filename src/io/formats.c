/* Model files: which reader and which writer. A format is one line of the list. */
#include "io/io.h"

#include "io/safetensors/header.h"
#include "io/weights.h"

#include <string.h>

static bool looks_like_safetensors(const uint8_t *bytes, size_t n) {
    copi_reader r = copi_reader_make(bytes, n);
    uint64_t length;
    uint8_t first;
    return copi_read_u64le(&r, &length) && length <= COPI_ST_HEADER_MAX && copi_read_u8(&r, &first) && first == '{';
}

/* path: for formats that keep data in files beside. */
static cop_status read_safetensors(copi_file *file, const char *path, cop_net **net) {
    (void)path;
    return copi_safetensors_read(file, net, NULL);
}

static cop_status kind_of_net(copi_file *file, cop_model_kind *kind) {
    (void)file;
    *kind = COP_MODEL_NET;
    return COP_OK;
}

static cop_status kind_of_json(copi_file *file, cop_model_kind *kind) {
    (void)file;
    *kind = COP_MODEL_ARCHITECTURE;
    return COP_OK;
}

static cop_status fill_by_name(cop_net *net, copi_file *file, const char *map) {
    cop_weights w;
    cop_status status = copi_safetensors_weights(file, &w);
    if (!status) status = copi_weights_into(net, &w, map);
    copi_weights_clear(&w);
    return status;
}

/* Formats that other libraries read are read whole. */
static cop_status need_all(copi_file *file) {
    return copi_file_need(file, file->bytes, file->size);
}

static cop_status kind_of_h5(copi_file *file, cop_model_kind *kind) {
    cop_status status = need_all(file);
    return status ? status : copi_keras_h5_kind(file->ctx, file->bytes, file->size, kind);
}

static cop_status read_h5(copi_file *file, const char *path, cop_net **net) {
    (void)path;
    cop_status status = need_all(file);
    return status ? status : copi_keras_h5_parse(file->ctx, file->bytes, file->size, net);
}

static cop_status list_h5(copi_file *file, cop_weights *w) {
    cop_status status = need_all(file);
    return status ? status : copi_keras_weights_list(file->ctx, file->bytes, file->size, w);
}

static cop_status fill_from_h5(cop_net *net, copi_file *file, const char *map) {
    if (map) {
        return copi_fail(net->ctx, COP_E_ARG, "maps of names are for safetensors; Keras files go by order and shape");
    }
    cop_status status = need_all(file);
    return status ? status : copi_keras_weights_parse(net, file->bytes, file->size);
}

static cop_status read_keras(copi_file *file, const char *path, cop_net **net) {
    (void)path;
    cop_status status = need_all(file);
    return status ? status : copi_keras_zip_parse(file->ctx, file->bytes, file->size, net);
}

static cop_status read_json(copi_file *file, const char *path, cop_net **net) {
    (void)path;
    cop_status status = need_all(file);
    return status ? status : copi_keras_json_parse(file->ctx, file->bytes, file->size, net);
}

static cop_status write_safetensors(const cop_net *net, const cop_save_options *o, const char *path) {
    (void)o;
    return copi_safetensors_save(net, NULL, path);
}

/* ONNX has no magic number: a ModelProto begins with its IR version, then who made it, opsets or the graph. */
static bool looks_like_onnx(const uint8_t *bytes, size_t n) {
    return n > 3 && bytes[0] == 0x08 && bytes[1] >= 3 && bytes[1] < 64 &&
           strchr("\x12\x1a\x22\x3a\x42", bytes[2]) != NULL && bytes[2];
}

static cop_status write_onnx(const cop_net *net, const cop_save_options *o, const char *path) {
    return copi_onnx_save(net, o->sparse ? COPI_ONNX_SPARSE : COPI_ONNX_DENSE, path);
}

/* Into a copy of a file that Keras wrote. */
static cop_status write_like(const cop_net *net, const char *like, const char *path) {
    uint8_t *bytes;
    size_t n;
    cop_status status = copi_read_file(net->ctx, like, 0, &bytes, &n);
    if (!status) status = copi_keras_weights_save(net, like, bytes, n, path);
    copi_free(net->ctx, bytes);
    if (!status && (net->class_name || net->normalized)) {
        copi_log(net->ctx, COP_LOG_INFO, "%s: weights alone; classes, normalization and masks stay behind", path);
    }
    return status;
}

static cop_status write_h5(const cop_net *net, const cop_save_options *o, const char *path) {
    if (o->like) return write_like(net, o->like, path);
    if (!copi_ends_with(path, ".weights.h5")) return copi_keras_h5_save(net, path);
    return copi_fail(
        net->ctx, COP_E_UNSUPPORTED,
        "%s: Keras weights alone are written into a copy of a file that Keras made: say which (--like FILE)", path);
}

static cop_status write_keras(const cop_net *net, const cop_save_options *o, const char *path) {
    (void)o;
    return copi_keras_zip_save(net, path);
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

static bool looks_like_json(const uint8_t *bytes, size_t n) {
    size_t at = 0;
    while (at < n && bytes[at] && strchr(" \t\r\n", bytes[at])) at++;
    return at < n && bytes[at] == '{';
}

static const struct {
    const char *ending, *help;
    bool (*looks_like)(const uint8_t *bytes, size_t n); /* by its first bytes */
    cop_status (*kind)(copi_file *file, cop_model_kind *kind);
    cop_status (*read)(copi_file *file, const char *path, cop_net **net);
    cop_status (*list)(copi_file *file, cop_weights *w); /* weights alone; NULL: the format has no such files */
    cop_status (*fill)(cop_net *net, copi_file *file, const char *map);                   /* likewise */
    cop_status (*write)(const cop_net *net, const cop_save_options *o, const char *path); /* NULL: is only read */
    bool sparse, like;                                                                    /* options it has */
} formats[] = {
    {".safetensors",
     "weights, masks, the net's graph, class names, normalization and how the net came to be, in one file that other "
     "programs read as ordinary safetensors. Tensors alone, as PyTorch saves them, go into a net by their names "
     "(coppice help maps)",
     looks_like_safetensors, copi_safetensors_kind, read_safetensors, copi_safetensors_weights, fill_by_name,
     write_safetensors, false, false},
    {".onnx",
     "reads opset 7 and later, writes opset 13; the rest of what the net knows goes into the metadata (coppice help "
     "onnx)",
     looks_like_onnx, kind_of_net, copi_onnx_read, NULL, NULL, write_onnx, true, false},
    {".h5",
     "Keras 2 and 3: reads and writes whole models, and weights alone (save_weights): into a net of the same layers, "
     "and back into a copy of such a file",
     looks_like_h5, kind_of_h5, read_h5, list_h5, fill_from_h5, write_h5, false, true},
    {".keras", "Keras 3: reads and writes whole models", looks_like_zip, kind_of_net, read_keras, NULL, NULL,
     write_keras, false, false},
    {".json", "reads a Keras architecture (model.to_json()), whose weights are drawn or come from another file",
     looks_like_json, kind_of_json, read_json, NULL, NULL, NULL, false, false},
};
enum { FORMATS = (int)COPI_COUNT(formats) };

COPI_LIST_COUNT(cop_model_format_count, formats)
COPI_LIST_TEXT(cop_model_format_ending, formats, .ending)
COPI_LIST_TEXT(cop_model_format_help, formats, .help)
int cop_model_format_writes(int format) {
    return format >= 0 && format < FORMATS && formats[format].write;
}
/* ".safetensors, .onnx, ...": for messages. */
static void list_endings(bool written, char *text, size_t size) {
    size_t at = 0;
    for (int i = 0; i < FORMATS && at < size; i++) {
        if (written && !formats[i].write) continue;
        at += (size_t)snprintf(text + at, size - at, "%s%s", at ? ", " : "", formats[i].ending);
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

/* Open a model's file and tell its format. */
static cop_status open_model(cop_ctx *ctx, const char *path, copi_file *file, int *format) {
    enum { FIRST = 512 }; /* bytes that tell it */
    cop_status status = copi_file_open(ctx, path, file);
    if (status) return status;
    *format = by_ending(path);
    if (*format >= 0) return COP_OK;
    size_t n = file->size < FIRST ? file->size : FIRST;
    status = copi_file_need(file, file->bytes, n);
    if (!status) *format = by_bytes(file->bytes, n);
    if (!status && *format < 0) {
        char endings[256];
        list_endings(false, endings, sizeof endings);
        status =
            copi_fail(ctx, COP_E_UNSUPPORTED,
                      "%s: neither its name nor its first bytes are of a known model format (%s)", path, endings);
    }
    if (status) copi_file_close(file);
    return status;
}

/* The model's name before an error; those of reading a file have it. */
static cop_status close_model(const char *path, copi_file *file, cop_status status) {
    cop_ctx *ctx = file->ctx;
    copi_file_close(file);
    return status ? copi_fail_in(ctx, status, "%s", path) : status;
}

cop_status cop_net_load(cop_ctx *ctx, const char *path, cop_net **net) {
    copi_file file;
    int format;
    if (net) *net = NULL;
    COPI_REQUIRE(NULL, ctx);
    COPI_REQUIRE(ctx, path);
    COPI_REQUIRE(ctx, net);
    cop_status status = open_model(ctx, path, &file, &format);
    return status ? status : close_model(path, &file, formats[format].read(&file, path, net));
}

cop_status cop_model_get_kind(cop_ctx *ctx, const char *path, cop_model_kind *kind) {
    copi_file file;
    int format;
    if (kind) *kind = COP_MODEL_NET;
    COPI_REQUIRE(NULL, ctx);
    COPI_REQUIRE(ctx, path);
    COPI_REQUIRE(ctx, kind);
    cop_status status = open_model(ctx, path, &file, &format);
    return status ? status : close_model(path, &file, formats[format].kind(&file, kind));
}

static cop_status no_weights(cop_ctx *ctx, int format) {
    return copi_fail(ctx, COP_E_UNSUPPORTED, "a %s file does not hold weights alone", formats[format].ending);
}

cop_status cop_net_load_weights(cop_net *net, const char *path, const char *map) {
    copi_file file;
    int format;
    COPI_REQUIRE(NULL, net);
    COPI_REQUIRE(net->ctx, path);
    cop_status status = open_model(net->ctx, path, &file, &format);
    if (status) return status;
    status = formats[format].fill ? formats[format].fill(net, &file, map) : no_weights(net->ctx, format);
    return close_model(path, &file, status);
}

cop_status cop_weights_open(cop_ctx *ctx, const char *path, cop_weights **weights) {
    copi_file file;
    int format;
    if (weights) *weights = NULL;
    COPI_REQUIRE(NULL, ctx);
    COPI_REQUIRE(ctx, path);
    COPI_REQUIRE(ctx, weights);
    cop_status status = open_model(ctx, path, &file, &format);
    if (status) return status;
    cop_weights *w = copi_alloc(ctx, 1, sizeof *w);
    if (!w) {
        status = COP_E_NOMEM;
    } else {
        w->ctx = ctx;
        status = formats[format].list ? formats[format].list(&file, w) : no_weights(ctx, format);
    }
    status = close_model(path, &file, status);
    if (status) {
        cop_weights_destroy(w);
        return status;
    }
    *weights = w;
    return COP_OK;
}

void cop_save_options_init(cop_save_options *options, size_t size) {
    const cop_save_options usual = {.size = sizeof usual};
    copi_struct_init(options, size, &usual, sizeof usual);
}

cop_status cop_net_save_as(const cop_net *net, const char *path, const cop_save_options *options) {
    const cop_save_options none = cop_save_options_default(), *o = options ? options : &none;
    COPI_REQUIRE(NULL, net);
    COPI_REQUIRE(net->ctx, path);
    cop_status status = COPI_CHECK(net->ctx, cop_save_options, o);
    if (status) return status;
    int format = by_ending(path);
    if (format < 0 || !formats[format].write) {
        char endings[256];
        list_endings(true, endings, sizeof endings);
        return copi_fail(net->ctx, COP_E_UNSUPPORTED, "%s: the ending tells the model format, which is one of %s",
                         path, endings);
    }
    if ((o->sparse && !formats[format].sparse) || (o->like && !formats[format].like)) {
        return copi_fail(net->ctx, COP_E_ARG, "%s: %s", path,
                         o->like && !formats[format].like ? "only .h5 files are written like another"
                                                          : "only .onnx files hold sparse weights");
    }
    return formats[format].write(net, o, path);
}

cop_status cop_net_save(const cop_net *net, const char *path) {
    return cop_net_save_as(net, path, NULL);
}
