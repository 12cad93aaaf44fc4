/* Ops that join branches: add and concat. */
#include "net/graph.h"

#include <string.h>

static cop_status infer_add(cop_graph *g, copi_node *node, const copi_node *const *src) {
    if (src[0]->rank != src[1]->rank || memcmp(src[0]->shape, src[1]->shape, sizeof src[0]->shape) != 0)
        return copi_node_fail(g, node, COP_E_SHAPE, "'%s' is %s, '%s' is %s; they must be equal", src[0]->name,
                              copi_node_shape_show(src[0]).text, src[1]->name, copi_node_shape_show(src[1]).text);
    return copi_node_same(g, node, src[0]);
}

static cop_status infer_concat(cop_graph *g, copi_node *node, const copi_node *const *src) {
    int64_t channels = 0; /* at most COPI_MAX_NODES * COPI_MAX_EXTENT */
    for (int i = 0; i < node->nsrc; i++) {
        if (src[i]->rank != src[0]->rank || src[i]->shape[1] != src[0]->shape[1] ||
            src[i]->shape[2] != src[0]->shape[2])
            return copi_node_fail(g, node, COP_E_SHAPE, "'%s' is %s, '%s' is %s; only channels may differ",
                                  src[0]->name, copi_node_shape_show(src[0]).text, src[i]->name,
                                  copi_node_shape_show(src[i]).text);
        channels += src[i]->shape[0];
    }
    return copi_node_output(g, node, src[0]->rank, channels, src[0]->shape[1], src[0]->shape[2]);
}

COPI_NO_ATTRIBUTES(ADD);
COPI_NO_ATTRIBUTES(CONCAT);
const copi_op_class copi_op_class_ADD = {.sources = 2, .infer = infer_add};
const copi_op_class copi_op_class_CONCAT = {.sources = -1, .infer = infer_concat};

int cop_graph_add(cop_graph *g, const char *name, int a, int b) {
    return copi_graph_add(g, name, &(copi_node){.op = COPI_OP_ADD}, (const int[]){a, b}, 2);
}

int cop_graph_concat(cop_graph *g, const char *name, const int *src, int count) {
    return copi_graph_add(g, name, &(copi_node){.op = COPI_OP_CONCAT}, src, src ? count : 0);
}
