#include "net/graph.h"

static cop_status infer(cop_graph *g, copi_node *node, const copi_node *const *src) {
    const cop_conv_params *p = &node->u.conv;
    cop_status status = copi_node_want_image(g, node, src[0]);
    if (status) return status;
    int64_t in = src[0]->shape[0];
    if (p->filters < 1 || p->filters > COPI_MAX_EXTENT || p->groups < 1)
        return copi_node_fail(g, node, COP_E_RANGE, "%lld filters in %lld groups; at least 1 of each",
                              (long long)p->filters, (long long)p->groups);
    if (in % p->groups || p->filters % p->groups)
        return copi_node_fail(g, node, COP_E_SHAPE,
                              "%lld groups must divide its %lld filters and the %lld channels of "
                              "its input '%s' %s",
                              (long long)p->groups, (long long)p->filters, (long long)in, src[0]->name,
                              copi_node_shape_show(src[0]).text);
    int64_t h, w;
    status = copi_window(g, node, "height", src[0]->shape[1], p->kernel[0], p->stride[0], p->dilation[0], p->pad[0],
                         p->pad[2], &h);
    if (!status)
        status = copi_window(g, node, "width", src[0]->shape[2], p->kernel[1], p->stride[1], p->dilation[1],
                             p->pad[1], p->pad[3], &w);
    if (!status) status = copi_node_output(g, node, 3, p->filters, h, w);
    if (status) return status;
    const int64_t shape[4] = {p->filters, in / p->groups, p->kernel[0], p->kernel[1]};
    status = copi_node_param(g, node, COPI_WEIGHT, COPI_PARAM_WEIGHT, "weight", 4, shape);
    if (!status && p->bias) status = copi_node_param(g, node, COPI_BIAS, COPI_PARAM_BIAS, "bias", 1, shape);
    return status;
}

static int64_t macs(const cop_net *net, const copi_node *node, int64_t weights) {
    (void)net;
    return weights * node->shape[1] * node->shape[2]; /* every weight is used once per output pixel */
}

const copi_attribute copi_attributes_CONV[] = {COPI_ATTRIBUTE(conv, filters), COPI_ATTRIBUTE(conv, kernel),
                                               COPI_ATTRIBUTE(conv, stride),  COPI_ATTRIBUTE(conv, dilation),
                                               COPI_ATTRIBUTE(conv, pad),     COPI_ATTRIBUTE(conv, groups),
                                               COPI_ATTRIBUTE(conv, bias),    {0}};
const copi_op_class copi_op_class_CONV = {.sources = 1, .infer = infer, .macs = macs};

void cop_conv_params_init(cop_conv_params *params, size_t size) {
    const cop_conv_params usual = {
        .size = sizeof usual, .stride = {1, 1}, .dilation = {1, 1}, .groups = 1, .bias = 1};
    copi_struct_init(params, size, &usual, sizeof usual);
}

int cop_graph_conv(cop_graph *g, const char *name, int src, const cop_conv_params *params) {
    copi_node proto = {.op = COPI_OP_CONV};
    if (!g || !copi_graph_takes(g, COPI_OP_CONV, name, COPI_CHECK(g->ctx, cop_conv_params, params))) return -1;
    proto.u.conv = *params;
    proto.u.conv.bias = proto.u.conv.bias != 0;
    return copi_graph_add(g, name, &proto, &src, 1);
}
