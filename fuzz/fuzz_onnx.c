/* An ONNX file. */
#include "net_harness.h"

#include "io/io.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    cop_ctx *ctx = fuzz_context();
    cop_net *net;
    cop_status status = copi_onnx_parse(ctx, bytes, size, &net);
    fuzz_net_end(ctx, status, net);
    cop_ctx_destroy(ctx);
    return 0;
}
