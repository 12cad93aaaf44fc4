/* A JPEG or a PNG, decoded and resized both ways. */
#include "data/formats.h"
#include "harness.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    cop_ctx *ctx = fuzz_context();
    copi_image image;
    uint8_t out[3 * 40 * 5];
    copi_image_init(ctx, &image);
    cop_status status = copi_image_decode(&image, "image", bytes, size);
    if (!status) {
        int64_t channels = image.gray ? 1 : 3;
        status = copi_image_resize(&image, channels, 40, 5, out);
        if (!status) status = copi_image_resize(&image, channels, 2, 17, out);
    }
    if (status && !cop_error(ctx)[0]) abort();
    copi_image_clear(&image);
    cop_ctx_destroy(ctx);
    return 0;
}
