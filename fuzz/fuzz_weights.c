/* Weights alone: rules and a safetensors file, put into a small net. */
#include "net_harness.h"

#include "io/weights.h"

static cop_net *make_net(cop_ctx *ctx) {
    cop_graph *g;
    cop_net *net;
    fuzz_require(cop_graph_create(ctx, &g) == COP_OK);
    cop_conv_params p = cop_conv_params_default(2, 1);
    p.bias = 0;
    int x = cop_graph_conv(g, "s1.conv2", cop_graph_input(g, "input", 1, 2, 2), &p);
    x = cop_graph_flatten(g, "flatten", cop_graph_batchnorm(g, "s1.bn2", x, 1e-5));
    cop_graph_dense(g, "out", x, 2, 1);
    fuzz_require(cop_graph_build(g, 1, &net) == COP_OK);
    return net;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    const uint8_t *map, *file;
    size_t map_size, file_size;
    cop_ctx *ctx = fuzz_context();
    cop_weights w;
    fuzz_cut(bytes, size, &map, &map_size, &file, &file_size);
    copi_file tensors = copi_file_of(ctx, file, file_size);
    cop_status status = copi_safetensors_weights(&tensors, &w);
    if (!status) {
        cop_layer_info layer;
        cop_net_info info;
        cop_net *net = make_net(ctx);
        char *text = copi_format(ctx, "%.*s", (int)map_size, (const char *)map);
        fuzz_require(text != NULL);
        cop_weights_get_info(&w, &info);
        for (int i = 0; i < info.layers; i++) fuzz_require(cop_weights_get_layer(&w, i, &layer) == COP_OK);
        status = copi_weights_into_by(net, &w, "map", text);
        if (status) cop_net_destroy(net);
        fuzz_net_end(ctx, status, status ? NULL : net);
        copi_free(ctx, text);
        copi_weights_clear(&w);
    }
    cop_ctx_destroy(ctx);
    return 0;
}
