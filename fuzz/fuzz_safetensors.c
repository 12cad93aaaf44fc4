/* A safetensors file; or, when it begins with '{', the text of the graph inside one, which mutations reach more
 * easily there than through two layers of JSON. What is read must hold together: it can be described, cloned,
 * compared. */
#include "harness.h"

#include "io/graph_json.h"
#include "io/io.h"
#include "io/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void require(int condition) {
    if (!condition) abort();
}

static void examine(const cop_net *net) {
    cop_net_info info;
    cop_layer_info layer;
    cop_net_get_info(net, &info);
    for (int i = 0; i < info.layers; i++) require(cop_net_get_layer(net, i, &layer) == COP_OK);
    for (size_t i = 0; i < net->block_count; i++) require(isfinite(net->block[i]));
    cop_net *copy;
    cop_status status = cop_net_clone(net, &copy);
    require(status == COP_OK || status == COP_E_NOMEM);
    if (status) return;
    json_t *one = NULL, *two = NULL;
    require(copi_graph_to_json(net, &one) == COP_OK && copi_graph_to_json(copy, &two) == COP_OK);
    require(json_equal(one, two));
    json_decref(one);
    json_decref(two);
    cop_net_destroy(copy);
}

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
    if (!status) examine(net);
    if (status) require(strlen(cop_error(ctx)) > 0 && !strchr(cop_error(ctx), '\n'));
    cop_net_destroy(net);
    cop_ctx_destroy(ctx);
    return 0;
}
