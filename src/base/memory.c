#define _DEFAULT_SOURCE /* madvise */
#include "base/context.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* A block from the allocator: [padding][pointer to its start][COPI_ALIGN-aligned data for the caller]. */
enum { OVERHEAD = COPI_ALIGN + sizeof(void *) };

bool copi_mul(size_t a, size_t b, size_t *product) {
    if (b && a > SIZE_MAX / b) return false;
    *product = a * b;
    return true;
}

bool copi_add(size_t a, size_t b, size_t *sum) {
    if (a > SIZE_MAX - b) return false;
    *sum = a + b;
    return true;
}

bool copi_mul_i64(int64_t a, int64_t b, int64_t *product) {
    if (a < 0 || b < 0 || (b && a > INT64_MAX / b)) return false;
    *product = a * b;
    return true;
}

void *copi_alloc(cop_ctx *ctx, size_t count, size_t size) {
    size_t bytes = 0, total = 0;
    char *raw = NULL;
    /* at most PTRDIFF_MAX, so that pointers into the block can be subtracted */
    if (copi_mul(count, size, &bytes) && copi_add(bytes, OVERHEAD, &total) && total <= PTRDIFF_MAX) {
        const cop_allocator *a = &ctx->options.allocator;
        raw = a->alloc ? a->alloc(a->user, total) : calloc(1, total);
    }
    if (!raw) {
        copi_fail(ctx, COP_E_NOMEM, "out of memory: %zu elements of %zu bytes", count, size);
        return NULL;
    }
    char *data = raw + sizeof(void *);
    data += (COPI_ALIGN - (uintptr_t)data % COPI_ALIGN) % COPI_ALIGN;
    if (ctx->options.allocator.alloc) memset(data, 0, bytes); /* calloc's pages are zero already, and untouched */
    memcpy(data - sizeof raw, &raw, sizeof raw);
    return data;
}

void copi_free(cop_ctx *ctx, void *block) {
    if (!block) return;
    char *raw;
    memcpy(&raw, (char *)block - sizeof raw, sizeof raw);
    const cop_allocator *a = &ctx->options.allocator;
    if (a->free)
        a->free(a->user, raw);
    else
        free(raw);
}

void copi_use_large_pages(void *block, size_t bytes) {
#ifdef MADV_HUGEPAGE
    enum { LARGE_PAGE = 2 << 20 };
    uintptr_t begin = ((uintptr_t)block + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    uintptr_t end = ((uintptr_t)block + bytes) / LARGE_PAGE * LARGE_PAGE; /* only whole pages within the block */
    if (begin < end) madvise((void *)begin, end - begin, MADV_HUGEPAGE);
#else
    (void)block, (void)bytes;
#endif
}

void *copi_grow(cop_ctx *ctx, void *block, size_t old_count, size_t new_count, size_t size) {
    void *grown = copi_alloc(ctx, new_count, size);
    if (!grown) return NULL;
    size_t kept = old_count < new_count ? old_count : new_count;
    if (block && kept) memcpy(grown, block, kept * size);
    copi_free(ctx, block);
    return grown;
}

char *copi_strdup(cop_ctx *ctx, const char *text) {
    size_t n = strlen(text);
    char *copy = copi_alloc(ctx, n + 1, 1);
    if (copy) memcpy(copy, text, n + 1);
    return copy;
}

static char *format_new(cop_ctx *ctx, const char *format, va_list args, size_t *length)
    __attribute__((format(printf, 2, 0)));
static char *format_new(cop_ctx *ctx, const char *format, va_list args, size_t *length) {
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (n < 0) {
        copi_fail(ctx, COP_E_INTERNAL, "a text could not be formatted: '%s'", format);
        return NULL;
    }
    char *text = copi_alloc(ctx, (size_t)n + 1, 1);
    if (!text) return NULL;
    vsnprintf(text, (size_t)n + 1, format, args);
    *length = (size_t)n;
    return text;
}

char *copi_format(cop_ctx *ctx, const char *format, ...) {
    size_t n = 0;
    va_list args;
    va_start(args, format);
    char *text = format_new(ctx, format, args, &n);
    va_end(args);
    return text;
}

/* -- the growing buffer -- */

void copi_buffer_init(copi_buffer *b, cop_ctx *ctx) {
    *b = (copi_buffer){.ctx = ctx};
    copi_buffer_add(b, "", 0); /* so that data is a valid text from the start */
}

void copi_buffer_clear(copi_buffer *b) {
    copi_free(b->ctx, b->data);
    *b = (copi_buffer){.ctx = b->ctx};
}

/* Room for n more bytes and the final NUL. */
static bool reserve(copi_buffer *b, size_t n) {
    size_t need = 0;
    if (b->failed) return false;
    if (!copi_add(b->len, n, &need) || !copi_add(need, 1, &need)) {
        copi_fail(b->ctx, COP_E_NOMEM, "out of memory: a text of %zu + %zu bytes", b->len, n);
        b->failed = true;
        return false;
    }
    if (need <= b->cap) return true;
    size_t cap = b->cap <= SIZE_MAX / 4 ? b->cap * 2 : need;
    if (cap < need) cap = need;
    if (cap < 256) cap = 256;
    char *data = copi_grow(b->ctx, b->data, b->len, cap, 1);
    if (!data) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->cap = cap;
    return true;
}

void copi_buffer_add(copi_buffer *b, const void *bytes, size_t n) {
    if (!reserve(b, n)) return;
    if (n) memcpy(b->data + b->len, bytes, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void copi_buffer_text(copi_buffer *b, const char *text) {
    copi_buffer_add(b, text, strlen(text));
}

void copi_buffer_printf(copi_buffer *b, const char *format, ...) {
    if (b->failed) return;
    char small[256];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof small) {
        copi_buffer_add(b, small, (size_t)n);
        return;
    }
    size_t length = 0;
    va_start(args, format);
    char *text = format_new(b->ctx, format, args, &length);
    va_end(args);
    if (text)
        copi_buffer_add(b, text, length);
    else
        b->failed = true;
    copi_free(b->ctx, text);
}
