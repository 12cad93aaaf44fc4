#include "harness.h"

#include <stdlib.h>

static void *limited_alloc(void *user, size_t size) {
    (void)user;
    return size > (size_t)32 << 20 ? NULL : malloc(size);
}

static void limited_free(void *user, void *block) {
    (void)user;
    free(block);
}

cop_ctx *fuzz_context(void) {
    cop_ctx_options options = cop_ctx_options_default();
    cop_ctx *ctx;
    options.allocator = (cop_allocator){limited_alloc, limited_free, NULL};
    options.threads = 1;
    if (cop_ctx_create(&options, &ctx)) abort();
    return ctx;
}

void fuzz_cut(const uint8_t *bytes, size_t size, const uint8_t **first, size_t *first_size, const uint8_t **second,
              size_t *second_size) {
    size_t n = size < 2 ? 0 : (size_t)bytes[0] | (size_t)bytes[1] << 8;
    size_t head = size < 2 ? size : 2;
    if (n > size - head) n = size - head;
    *first = bytes + head;
    *first_size = n;
    *second = bytes + head + n;
    *second_size = size - head - n;
}
