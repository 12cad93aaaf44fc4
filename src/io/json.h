/* jansson with this library's errors. Its memory comes from malloc, not from the context's allocator (jansson's hooks
 * are global, and a library must not set them); what it parses is bounded by the file's size. */
#ifndef COPPICE_IO_JSON_H
#define COPPICE_IO_JSON_H

#include "base/base.h"

#include <jansson.h>

/** Parse text, refusing duplicate keys; what names it in errors ("header: ..."). Errors: FORMAT (place and reason),
 *  NOMEM. *json is NULL on failure. */
cop_status copi_json_parse(cop_ctx *ctx, const char *what, const char *text, size_t n, json_t **json);
/** Append json to the buffer, compactly; reals keep every bit. Errors: NOMEM. */
cop_status copi_json_print(cop_ctx *ctx, const json_t *json, copi_buffer *buffer);
bool copi_json_is_utf8(const char *text);
/** A name must be UTF-8 to travel in JSON. Errors: ARG (what, the text), NOMEM. */
cop_status copi_json_check_text(cop_ctx *ctx, const char *what, const char *text);
/** A string for people to read: where text is not UTF-8, '?' stands for each byte beyond ASCII. NULL: no memory. */
json_t *copi_json_text(cop_ctx *ctx, const char *text);
cop_status copi_json_no_memory(cop_ctx *ctx); /* records and returns E_NOMEM */

#endif
