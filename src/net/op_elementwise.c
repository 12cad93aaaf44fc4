/* Ops that keep the shape: the rectifiers, dropout, softmax. */
#include "net/graph.h"

#include <math.h>

static cop_status infer(cop_graph *g, copi_node *node, const copi_node *const *src) {
    return copi_node_same(g, node, src[0]);
}

static cop_status infer_leaky(cop_graph *g, copi_node *node, const copi_node *const *src) {
    if (!isfinite(node->u.leaky.slope))
        return copi_node_fail(g, node, COP_E_RANGE, "slope %g is not finite", node->u.leaky.slope);
    return copi_node_same(g, node, src[0]);
}

static cop_status infer_dropout(cop_graph *g, copi_node *node, const copi_node *const *src) {
    double share = node->u.dropout.share;
    if (!(share >= 0 && share < 1))
        return copi_node_fail(g, node, COP_E_RANGE, "share %g is not within [0,1)", share);
    return copi_node_same(g, node, src[0]);
}

static copi_rectifier relu(const copi_node *node) {
    (void)node;
    return (copi_rectifier){.high = INFINITY};
}

static copi_rectifier relu6(const copi_node *node) {
    (void)node;
    return (copi_rectifier){.high = 6};
}

static copi_rectifier leaky_relu(const copi_node *node) {
    return (copi_rectifier){.slope = node->u.leaky.slope, .high = INFINITY};
}

COPI_NO_ATTRIBUTES(RELU);
COPI_NO_ATTRIBUTES(RELU6);
const copi_attribute copi_attributes_LEAKY_RELU[] = {COPI_ATTRIBUTE(leaky, slope), {0}};
const copi_attribute copi_attributes_DROPOUT[] = {COPI_ATTRIBUTE(dropout, share, .identity = true), {0}};
COPI_NO_ATTRIBUTES(SOFTMAX);
const copi_op_class copi_op_class_RELU = {.sources = 1, .infer = infer, .rectifier = relu};
const copi_op_class copi_op_class_RELU6 = {.sources = 1, .infer = infer, .rectifier = relu6};
const copi_op_class copi_op_class_LEAKY_RELU = {.sources = 1, .infer = infer_leaky, .rectifier = leaky_relu};
const copi_op_class copi_op_class_DROPOUT = {.sources = 1, .infer = infer_dropout};
const copi_op_class copi_op_class_SOFTMAX = {.sources = 1, .infer = infer};

int cop_graph_relu(cop_graph *g, const char *name, int src) {
    return copi_graph_add(g, name, &(copi_node){.op = COPI_OP_RELU}, &src, 1);
}

int cop_graph_relu6(cop_graph *g, const char *name, int src) {
    return copi_graph_add(g, name, &(copi_node){.op = COPI_OP_RELU6}, &src, 1);
}

int cop_graph_leaky_relu(cop_graph *g, const char *name, int src, double slope) {
    return copi_graph_add(g, name, &(copi_node){.op = COPI_OP_LEAKY_RELU, .u.leaky = {.slope = slope}}, &src, 1);
}

int cop_graph_dropout(cop_graph *g, const char *name, int src, double share) {
    return copi_graph_add(g, name, &(copi_node){.op = COPI_OP_DROPOUT, .u.dropout = {.share = share}}, &src, 1);
}

int cop_graph_softmax(cop_graph *g, const char *name, int src) {
    return copi_graph_add(g, name, &(copi_node){.op = COPI_OP_SOFTMAX}, &src, 1);
}
