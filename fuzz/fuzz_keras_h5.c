/* A Keras .h5. Much of what runs is libhdf5's own, which is not compiled for fuzzing; leaks inside it on damaged
 * files are its own too: run with -detect_leaks=0. */
#include "net_harness.h"

#include "io/weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    cop_ctx *ctx = fuzz_context();
    cop_net *net;
    cop_status status = copi_keras_h5_parse(ctx, bytes, size, &net);
    fuzz_net_end(ctx, status, net);
    cop_weights w;
    if (!copi_keras_weights_list(ctx, bytes, size, &w)) copi_weights_clear(&w);
    cop_ctx_destroy(ctx);
    return 0;
}
