/* The JSON of a Keras model when it begins with '{', else a .keras (fuzz_keras_h5.c: an .h5). */
#include "net_harness.h"

#include "io/json.h"
#include "io/keras.h"

static cop_status read_config(cop_ctx *ctx, const uint8_t *bytes, size_t size, cop_net **net) {
    copi_keras_model model;
    json_t *json;
    *net = NULL;
    cop_status status = copi_json_parse(ctx, "model", (const char *)bytes, size, &json);
    if (!status) status = copi_keras_model_read(ctx, json, &model);
    if (status) return status;
    status = copi_graph_build_raw(model.graph, net);
    model.graph = NULL;
    copi_keras_model_clear(&model);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    cop_ctx *ctx = fuzz_context();
    cop_net *net;
    cop_status status;
    if (size && bytes[0] == '{') {
        status = read_config(ctx, bytes, size, &net);
    } else {
        status = copi_keras_zip_parse(ctx, NULL, bytes, size, &net);
    }
    fuzz_net_end(ctx, status, net);
    cop_ctx_destroy(ctx);
    return 0;
}
