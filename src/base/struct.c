/* Structs of options, which begin with their size. */
#include "base/base.h"

#include <string.h>

void copi_struct_init(void *options, size_t size, const void *usual, size_t usual_size) {
    if (!options) return;
    memset(options, 0, size);
    if (size == usual_size)
        memcpy(options, usual, size);
    else if (size >= sizeof size)
        memcpy(options, &size, sizeof size);
}

cop_status copi_struct_check(cop_ctx *ctx, const char *type, const void *options, size_t size, size_t reserved) {
    const char *noun = type + strlen("cop_");
    if (!options) return copi_fail(ctx, COP_E_ARG, "%s is NULL; start from %s_default()", noun, type);
    size_t given;
    memcpy(&given, options, sizeof given);
    if (!given) return copi_fail(ctx, COP_E_ARG, "%s.size is 0; start from %s_default()", noun, type);
    if (given != size)
        return copi_fail(ctx, COP_E_ARG,
                         "%s.size is %zu, this library's is %zu; compile the program with this library's header",
                         noun, given, size);
    return copi_reserve_check(ctx, type, (const void *)((const char *)options + reserved), (size - reserved) / 8);
}

cop_status copi_reserve_check(cop_ctx *ctx, const char *type, const uint64_t *reserved, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (reserved[i])
            return copi_fail(ctx, COP_E_ARG, "%s.reserved is not 0: a field of a newer library; start from defaults",
                             type + strlen("cop_"));
    return COP_OK;
}
