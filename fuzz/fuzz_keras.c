/* The JSON of a Keras model when it begins with '{', else a .keras (fuzz_keras_h5.c: an .h5). */
#include "net_harness.h"

#include "io/io.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    cop_ctx *ctx = fuzz_context();
    cop_net *net;
    cop_status status;
    if (size && bytes[0] == '{') {
        status = copi_keras_json_parse(ctx, bytes, size, &net);
    } else {
        status = copi_keras_zip_parse(ctx, bytes, size, &net);
    }
    fuzz_net_end(ctx, status, net);
    cop_ctx_destroy(ctx);
    return 0;
}
