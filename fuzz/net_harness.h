/* What a net that a reader made out of anything must stand up to. */
#ifndef COPPICE_FUZZ_NET_HARNESS_H
#define COPPICE_FUZZ_NET_HARNESS_H

#include "harness.h"

#include "io/safetensors/graph_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static inline void fuzz_require(int condition) {
    if (!condition) abort();
}

/** A failure says why in one line. A net can be described and cloned, its numbers are finite, and the clone's graph
 *  is the same. Frees net. */
static inline void fuzz_net_end(cop_ctx *ctx, cop_status status, cop_net *net) {
    cop_net_info info;
    cop_layer_info layer;
    cop_net *copy;
    fuzz_require(!status == (net != NULL));
    if (status) {
        fuzz_require(strlen(cop_error(ctx)) > 0 && !strchr(cop_error(ctx), '\n'));
        return;
    }
    cop_net_get_info(net, &info);
    for (int i = 0; i < info.layers; i++) fuzz_require(cop_net_get_layer(net, i, &layer) == COP_OK);
    for (size_t i = 0; i < net->block_count; i++) fuzz_require(isfinite(net->block[i]));
    status = cop_net_clone(net, &copy);
    fuzz_require(status == COP_OK || status == COP_E_NOMEM);
    if (!status) {
        json_t *one = NULL, *two = NULL;
        fuzz_require(copi_graph_to_json(net, &one) == COP_OK && copi_graph_to_json(copy, &two) == COP_OK);
        fuzz_require(json_equal(one, two));
        json_decref(one);
        json_decref(two);
    }
    cop_net_destroy(copy);
    cop_net_destroy(net);
}

#endif
