/* Input and flatten. */
#include "net/graph.h"

static cop_status infer_input(cop_graph *g, copi_node *node, const copi_node *const *src) {
    (void)src;
    if (node->rank != 3) return copi_node_fail(g, node, COP_E_SHAPE, "has rank %d; images are [C,H,W]", node->rank);
    if (node->shape[0] > COP_MAX_CHANNELS)
        return copi_node_fail(g, node, COP_E_RANGE, "%lld channels; at most %d", (long long)node->shape[0],
                              COP_MAX_CHANNELS);
    return copi_node_output(g, node, 3, node->shape[0], node->shape[1], node->shape[2]);
}

static cop_status infer_flatten(cop_graph *g, copi_node *node, const copi_node *const *src) {
    return copi_node_output(g, node, 1, src[0]->shape[0] * src[0]->shape[1] * src[0]->shape[2], 1, 1);
}

const copi_attribute copi_attributes_INPUT[] = {{.key = "shape",
                                                 .kind = COPI_ATTRIBUTE_SIZES,
                                                 .bytes = sizeof(((const copi_node *)0)->shape),
                                                 .offset = offsetof(copi_node, shape)},
                                                {0}};
COPI_NO_ATTRIBUTES(FLATTEN);
const copi_op_class copi_op_class_INPUT = {.sources = 0, .infer = infer_input};
const copi_op_class copi_op_class_FLATTEN = {.sources = 1, .infer = infer_flatten};

int cop_graph_input(cop_graph *g, const char *name, int64_t channels, int64_t height, int64_t width) {
    copi_node proto = {.op = COPI_OP_INPUT, .rank = 3, .shape = {channels, height, width}};
    return copi_graph_add(g, name, &proto, NULL, 0);
}

int cop_graph_flatten(cop_graph *g, const char *name, int src) {
    return copi_graph_add(g, name, &(copi_node){.op = COPI_OP_FLATTEN}, &src, 1);
}
