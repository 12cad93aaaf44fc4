/* Batch normalization, and the gate: both scale channels. */
#include "net/graph.h"

static cop_status infer_batchnorm(cop_graph *g, copi_node *node, const copi_node *const *src) {
    double epsilon = node->u.batchnorm.epsilon;
    if (!(epsilon > 0 && epsilon < 1))
        return copi_node_fail(g, node, COP_E_RANGE, "epsilon %g is not within (0,1)", epsilon);
    cop_status status = copi_node_same(g, node, src[0]);
    static const struct {
        int slot;
        copi_param_kind kind;
        const char *suffix;
    } params[] = {{COPI_SCALE, COPI_PARAM_SCALE, "scale"},
                  {COPI_SHIFT, COPI_PARAM_SHIFT, "shift"},
                  {COPI_MEAN, COPI_PARAM_MEAN, "mean"},
                  {COPI_VAR, COPI_PARAM_VAR, "var"}};
    for (size_t i = 0; !status && i < COPI_COUNT(params); i++)
        status = copi_node_param(g, node, params[i].slot, params[i].kind, params[i].suffix, 1, src[0]->shape);
    return status;
}

static cop_status infer_gate(cop_graph *g, copi_node *node, const copi_node *const *src) {
    int64_t factors = node->u.gate.factors, channels = src[0]->shape[0];
    if (src[0]->op != COPI_OP_CONV && src[0]->op != COPI_OP_DENSE && src[0]->op != COPI_OP_BATCHNORM)
        return copi_node_fail(g, node, COP_E_ARG,
                              "its input '%s' is a %s; factors fold into a conv, dense or batchnorm", src[0]->name,
                              copi_op_text(src[0]->op));
    if (factors < 1 || channels % factors)
        return copi_node_fail(g, node, COP_E_SHAPE, "%lld factors do not divide the %lld channels of '%s' %s",
                              (long long)factors, (long long)channels, src[0]->name,
                              copi_node_shape_show(src[0]).text);
    cop_status status = copi_node_same(g, node, src[0]);
    return status ? status : copi_node_param(g, node, COPI_GATE, COPI_PARAM_GATE, "gate", 1, &factors);
}

const copi_attribute copi_attributes_BATCHNORM[] = {COPI_ATTRIBUTE(batchnorm, epsilon), {0}};
const copi_attribute copi_attributes_GATE[] = {COPI_ATTRIBUTE(gate, factors), {0}};
const copi_op_class copi_op_class_BATCHNORM = {.sources = 1, .infer = infer_batchnorm};
const copi_op_class copi_op_class_GATE = {.sources = 1, .infer = infer_gate};

int cop_graph_batchnorm(cop_graph *g, const char *name, int src, double epsilon) {
    copi_node proto = {.op = COPI_OP_BATCHNORM, .u.batchnorm = {.epsilon = epsilon}};
    return copi_graph_add(g, name, &proto, &src, 1);
}

int cop_graph_gate(cop_graph *g, const char *name, int src, int64_t factors) {
    copi_node proto = {.op = COPI_OP_GATE, .u.gate = {.factors = factors}};
    return copi_graph_add(g, name, &proto, &src, 1);
}
