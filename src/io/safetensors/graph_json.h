/* The net's graph as JSON text: what "coppice.graph" holds in a safetensors file. docs/safetensors.md shows it. */
#ifndef COPPICE_IO_GRAPH_JSON_H
#define COPPICE_IO_GRAPH_JSON_H

#include "net/net.h"

#include <jansson.h>

/** *json is the caller's to json_decref. Errors: NOMEM, ARG (a name that is not UTF-8), RANGE (an attribute that is
 *  not finite). */
cop_status copi_graph_to_json(const cop_net *net, json_t **json);
/** Add the nodes of json (an object as written above) to an empty graph. Nothing is allocated that grows with the
 *  parameters' sizes. Errors: FORMAT (node, attribute, value), UNSUPPORTED (an op), NOMEM. */
cop_status copi_graph_from_json(cop_ctx *ctx, const json_t *json, cop_graph *graph);
/** The rest of the same object, once the graph is built: each node's and the whole dense net's totals. */
cop_status copi_graph_totals_from_json(cop_ctx *ctx, const json_t *json, cop_net *net);

#endif
