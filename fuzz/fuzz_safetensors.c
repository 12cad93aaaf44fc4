/* A safetensors file; or, when it begins with '{', the text of the graph inside one, which mutations reach more
 * easily there than through two layers of JSON. What is read must hold together: it can be described, cloned,
 * compared. */
#include "net_harness.h"

#include "io/io.h"
#include "io/json.h"

static cop_status read_graph(cop_ctx *ctx, const uint8_t *bytes, size_t size, cop_net **net) {
    json_t *json;
    cop_graph *graph;
    cop_status status = copi_json_parse(ctx, "graph", (const char *)bytes, size, &json);
    if (!status) status = cop_graph_create(ctx, &graph);
    if (!status) {
        status = copi_graph_from_json(ctx, json, graph);
        if (status) {
            cop_graph_destroy(graph);
        } else {
            status = copi_graph_build_raw(graph, net);
        }
    }
    if (!status) status = copi_graph_totals_from_json(ctx, json, *net);
    if (status) {
        cop_net_destroy(*net);
        *net = NULL;
    }
    json_decref(json);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    cop_ctx *ctx = fuzz_context();
    cop_net *net = NULL;
    cop_status status;
    if (size && bytes[0] == '{') {
        status = read_graph(ctx, bytes, size, &net);
    } else {
        copi_extras extras;
        copi_extras_init(&extras, ctx);
        status = copi_safetensors_parse(ctx, bytes, size, &net, &extras);
        copi_extras_clear(&extras);
    }
    fuzz_net_end(ctx, status, net);
    cop_ctx_destroy(ctx);
    return 0;
}
