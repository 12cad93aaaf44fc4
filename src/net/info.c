#include "net/net.h"

#include <math.h>
#include <string.h>

typedef struct tally {
    int64_t parameters, zeros, masked, nonzero_weights;
} tally;

static tally count_node(const cop_net *net, const copi_node *node) {
    tally t = {0};
    for (int s = 0; s < COPI_SLOTS; s++) {
        const copi_param *param = copi_node_slot(net, node, s);
        if (!param || !copi_param_counts(param->kind)) continue;
        int64_t zeros = 0, kept = 0;
        for (int64_t i = 0; i < param->count; i++) zeros += param->data[i] == 0;
        for (int64_t i = 0; param->mask && i < param->count; i++) kept += param->mask[i] != 0;
        t.parameters += param->count;
        t.zeros += zeros;
        if (param->mask) t.masked += param->count - kept;
        if (param->kind == COPI_PARAM_WEIGHT) t.nonzero_weights = param->count - zeros;
    }
    return t;
}

static int64_t macs_of(const cop_net *net, const copi_node *node, int64_t weights) {
    const copi_op_class *class = copi_op_get(node->op);
    return class->macs ? class->macs(net, node, weights) : 0;
}

/* 1 - left / dense, or missing where dense is 0. */
static double sparsity(int64_t left, int64_t dense, double missing) {
    return dense ? 1 - (double)left / (double)dense : missing;
}

cop_status cop_net_get_layer(const cop_net *net, int i, cop_layer_info *info) {
    if (info) memset(info, 0, sizeof *info);
    COPI_REQUIRE(NULL, net);
    COPI_REQUIRE(net->ctx, info);
    if (i < 0 || i >= net->nodes)
        return copi_fail(net->ctx, COP_E_RANGE, "layer %d; the net has layers 0 to %d", i, net->nodes - 1);
    const copi_node *node = &net->node[i];
    tally t = count_node(net, node);
    info->name = node->name;
    info->op = copi_op_text(node->op);
    info->rank = node->rank;
    memcpy(info->shape, node->shape, sizeof info->shape);
    const copi_param *first = copi_node_slot(net, node, COPI_WEIGHT); /* batch-norm: scale; gate: its factors */
    if (first) {
        info->weight_rank = first->rank;
        memcpy(info->weight_shape, first->shape, sizeof info->weight_shape);
    }
    info->parameters = t.parameters;
    info->parameters_dense = node->dense_count;
    info->zeros = t.zeros;
    info->masked = t.masked;
    info->sparsity = sparsity(t.parameters - t.zeros, node->dense_count, 0);
    info->macs = first ? macs_of(net, node, first->count) : 0;
    info->macs_effective = macs_of(net, node, t.nonzero_weights);
    return COP_OK;
}

void cop_net_get_info(const cop_net *net, cop_net_info *info) {
    if (info) memset(info, 0, sizeof *info);
    if (!info || !net) return;
    int64_t nonzero_conv = 0, nonzero_dense = 0;
    for (int i = 0; i < net->nodes; i++) {
        const copi_node *node = &net->node[i];
        tally t = count_node(net, node);
        int64_t nonzero = t.parameters - t.zeros;
        info->parameters += t.parameters;
        info->zeros += t.zeros;
        if (node->op == COPI_OP_CONV) nonzero_conv += nonzero;
        if (node->op == COPI_OP_DENSE) nonzero_dense += nonzero;
        const copi_param *first = copi_node_slot(net, node, COPI_WEIGHT);
        info->macs += first ? macs_of(net, node, first->count) : 0;
        info->macs_effective += macs_of(net, node, t.nonzero_weights);
    }
    info->layers = net->nodes;
    info->channels = net->node[0].shape[0];
    info->height = net->node[0].shape[1];
    info->width = net->node[0].shape[2];
    info->classes = net->classes;
    info->class_name = (const char *const *)net->class_name;
    info->parameters_dense = net->dense_parameters;
    info->nonzero = info->parameters - info->zeros;
    info->sparsity = sparsity(info->nonzero, net->dense_parameters, NAN);
    info->sparsity_conv = sparsity(nonzero_conv, net->dense_conv, NAN);
    info->sparsity_dense = sparsity(nonzero_dense, net->dense_dense, NAN);
    info->macs_dense = net->dense_macs;
    info->bytes = net->block_count * sizeof *net->block;
    info->normalized = net->normalized;
    memcpy(info->mean, net->mean, sizeof info->mean);
    memcpy(info->std, net->std, sizeof info->std);
    info->channel_order = net->channel_order;
    info->provenance = net->provenance;
}
