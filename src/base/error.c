#include "base/context.h"

#include <string.h>

const char *cop_status_text(cop_status status) {
    static const char *const text[] = {
#define X(name, words) words,
        COP_STATUS_LIST(X)
#undef X
    };
    return (size_t)status < COPI_COUNT(text) ? text[status] : "unknown status";
}

const char *cop_version(void) {
    return COP_VERSION;
}

int cop_version_number(void) {
    return COP_VERSION_NUMBER;
}

const char *cop_error(const cop_ctx *ctx) {
    if (!ctx) return "there is no context, or no memory to make one";
    return ctx->error[0] ? ctx->error : "no error";
}

void copi_line(char *text, size_t size, const char *format, va_list args) {
    int n = vsnprintf(text, size, format, args);
    if (n < 0) snprintf(text, size, "(this message could not be formatted)");
    for (unsigned char *c = (unsigned char *)text; *c; c++)
        if (*c < 0x20 || *c == 0x7f) *c = ' ';
    if (n < 0 || (size_t)n < size) return;
    size_t cut = size - 4; /* room for the dots; do not cut within a character */
    while (cut > 0 && ((unsigned char)text[cut] & 0xc0) == 0x80) cut--;
    memcpy(text + cut, "...", 4);
}

cop_status copi_fail(cop_ctx *ctx, cop_status status, const char *format, ...) {
    if (!ctx) return status;
    char text[COPI_TEXT_MAX]; /* the arguments may point into the last error's text */
    va_list args;
    va_start(args, format);
    copi_line(text, sizeof text, format, args);
    va_end(args);
    memcpy(ctx->error, text, sizeof text);
    return status;
}

cop_status copi_fail_in(cop_ctx *ctx, cop_status status, const char *format, ...) {
    if (!ctx) return status;
    char prefix[COPI_TEXT_MAX];
    va_list args;
    va_start(args, format);
    copi_line(prefix, sizeof prefix, format, args);
    va_end(args);
    size_t n = strlen(prefix);
    if (strncmp(ctx->error, prefix, n) == 0 && ctx->error[n] == ':') return status;
    return copi_fail(ctx, status, "%s: %s", prefix, ctx->error);
}

void copi_log(cop_ctx *ctx, cop_log_level level, const char *format, ...) {
    if (!ctx || !ctx->options.log) return;
    char text[COPI_TEXT_MAX];
    va_list args;
    va_start(args, format);
    copi_line(text, sizeof text, format, args);
    va_end(args);
    ctx->options.log(ctx->options.user, level, text);
}
