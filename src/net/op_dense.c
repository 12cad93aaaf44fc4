#include "net/graph.h"

static cop_status infer(cop_graph *g, copi_node *node, const copi_node *const *src) {
    if (src[0]->rank != 1)
        return copi_node_fail(g, node, COP_E_SHAPE, "needs [I], its input '%s' is %s; put a flatten between them",
                              src[0]->name, copi_node_shape_show(src[0]).text);
    if (node->u.dense.units < 1)
        return copi_node_fail(g, node, COP_E_RANGE, "%lld units; at least 1", (long long)node->u.dense.units);
    cop_status status = copi_node_output(g, node, 1, node->u.dense.units, 1, 1);
    if (status) return status;
    const int64_t shape[2] = {node->u.dense.units, src[0]->shape[0]};
    status = copi_node_param(g, node, COPI_WEIGHT, COPI_PARAM_WEIGHT, "weight", 2, shape);
    if (!status && node->u.dense.bias)
        status = copi_node_param(g, node, COPI_BIAS, COPI_PARAM_BIAS, "bias", 1, shape);
    return status;
}

static int64_t macs(const cop_net *net, const copi_node *node, int64_t weights) {
    (void)net;
    (void)node;
    return weights;
}

const copi_attribute copi_attributes_DENSE[] = {COPI_ATTRIBUTE(dense, units), COPI_ATTRIBUTE(dense, bias), {0}};
const copi_op_class copi_op_class_DENSE = {.sources = 1, .infer = infer, .macs = macs};

int cop_graph_dense(cop_graph *g, const char *name, int src, int64_t units, int bias) {
    copi_node proto = {.op = COPI_OP_DENSE, .u.dense = {.units = units, .bias = bias != 0}};
    return copi_graph_add(g, name, &proto, &src, 1);
}
