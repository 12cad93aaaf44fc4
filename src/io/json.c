#include "io/json.h"

#include <string.h>

cop_status copi_json_no_memory(cop_ctx *ctx) {
    return copi_fail(ctx, COP_E_NOMEM, "out of memory for JSON");
}

cop_status copi_json_parse(cop_ctx *ctx, const char *what, const char *text, size_t n, json_t **json) {
    json_error_t error;
    *json = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
    if (*json) return COP_OK;
    if (json_error_code(&error) == json_error_out_of_memory) return copi_json_no_memory(ctx);
    return copi_fail(ctx, COP_E_FORMAT, "%s: not JSON at byte %d: %s", what, error.position, error.text);
}

static int append(const char *bytes, size_t n, void *buffer) {
    copi_buffer *b = buffer;
    copi_buffer_add(b, bytes, n);
    return b->failed ? -1 : 0;
}

cop_status copi_json_print(cop_ctx *ctx, const json_t *json, copi_buffer *buffer) {
    return json_dump_callback(json, append, buffer, JSON_COMPACT) ? copi_json_no_memory(ctx) : COP_OK;
}

/* jansson says NULL both for bad UTF-8 and for no memory; its unchecked twin tells which. */
bool copi_json_is_utf8(const char *text) {
    json_t *checked = json_string(text), *unchecked = json_string_nocheck(text);
    bool bad = !checked && unchecked;
    json_decref(checked);
    json_decref(unchecked);
    return !bad;
}

cop_status copi_json_check_text(cop_ctx *ctx, const char *what, const char *text) {
    if (copi_json_is_utf8(text)) return COP_OK;
    return copi_fail(ctx, COP_E_ARG, "%s '%s' is not UTF-8, which model files need", what, text);
}

json_t *copi_json_text(cop_ctx *ctx, const char *text) {
    json_t *string = json_string(text);
    if (string || copi_json_is_utf8(text)) return string;
    char *ascii = copi_strdup(ctx, text);
    if (!ascii) return NULL;
    for (char *c = ascii; *c; c++) {
        if ((unsigned char)*c > 127) *c = '?';
    }
    string = json_string(ascii);
    copi_free(ctx, ascii);
    return string;
}
