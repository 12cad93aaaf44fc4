/* SSS's factors put into a net, and folded out of it again. METHODS section 3. */
#include "net/net.h"

#include <math.h>
#include <string.h>

/* -- putting in -- */

static bool has_weights(const copi_node *node) {
    return node->op == COPI_OP_CONV || node->op == COPI_OP_DENSE;
}

/* Layers whose channels reach the output through no other layer with weights: classes are not removable. */
static void mark_output_layers(const cop_net *net, bool *output) {
    output[net->nodes - 1] = true;
    for (int i = net->nodes - 1; i > 0; i--)
        for (int s = 0; output[i] && !has_weights(&net->node[i]) && s < net->node[i].nsrc; s++)
            output[net->node[i].src[s]] = true;
}

/* The node whose output the factors of conv or dense i multiply, -1: none. */
static int gate_place(const cop_net *net, int i, const bool *output) {
    if (!has_weights(&net->node[i]) || output[i]) return -1;
    int reader, place = i;
    if (copi_net_consumers(net, place, &reader, 1) == 1 && net->node[reader].op == COPI_OP_BATCHNORM) place = reader;
    if (copi_net_consumers(net, place, &reader, 1) == 1 && net->node[reader].op == COPI_OP_GATE) return -1;
    return place;
}

static cop_status add_gate(cop_graph *g, const char *producer, int src, int64_t factors, int *gate) {
    char *name = copi_format(g->ctx, "%s.gate_op", producer);
    if (!name) return COP_E_NOMEM;
    *gate = cop_graph_gate(g, name, src, factors);
    copi_free(g->ctx, name);
    return COP_OK;
}

/* New numbers of old's sources, in the scratch array src. */
static void translate(const copi_node *old, const int *number, int *src) {
    for (int s = 0; s < old->nsrc; s++) src[s] = number[old->src[s]];
}

static int most_sources(const cop_net *net) {
    int most = 0;
    for (int i = 0; i < net->nodes; i++)
        if (net->node[i].nsrc > most) most = net->node[i].nsrc;
    return most;
}

/* Scratch of both directions, in one block: number[nodes] of old nodes in the new graph, producer[nodes], src[most].
 */
static cop_status scratch_make(const cop_net *net, int **number, int **producer, int **src) {
    size_t nodes = (size_t)net->nodes;
    *number = copi_alloc(net->ctx, 2 * nodes + (size_t)most_sources(net), sizeof **number);
    if (!*number) return COP_E_NOMEM;
    *producer = *number + nodes;
    *src = *producer + nodes;
    return COP_OK;
}

static cop_status add_gated(cop_graph *g, const cop_net *net, int *number, int *producer, int *src, bool *output) {
    mark_output_layers(net, output);
    for (int i = 0; i < net->nodes; i++) producer[i] = -1;
    for (int i = 0; i < net->nodes; i++) {
        int place = gate_place(net, i, output);
        if (place >= 0) producer[place] = i;
        const copi_node *old = &net->node[i];
        translate(old, number, src);
        number[i] = copi_graph_add(g, old->name, old, src, old->nsrc);
        if (producer[i] < 0) continue;
        /* everything that reads the place reads its gate instead */
        cop_status status = add_gate(g, net->node[producer[i]].name, number[i], old->shape[0], &number[i]);
        if (status) return status;
    }
    return COP_OK;
}

/* Build g and make it net's heir; g is freed always. */
static cop_status finish(cop_graph *g, const cop_net *net, cop_net **made) {
    cop_status status = copi_graph_build_raw(g, made);
    if (!status) status = copi_net_inherit(*made, net);
    if (!status) status = copi_net_copy_params(*made, net);
    if (!status) return COP_OK;
    cop_net_destroy(*made);
    *made = NULL;
    return status;
}

cop_status copi_net_with_gates(const cop_net *net, cop_net **gated) {
    *gated = NULL;
    cop_graph *g = NULL;
    int *number = NULL, *producer, *src;
    bool *output = copi_alloc(net->ctx, (size_t)net->nodes, sizeof *output);
    cop_status status = output ? scratch_make(net, &number, &producer, &src) : COP_E_NOMEM;
    if (!status) status = cop_graph_create(net->ctx, &g);
    if (!status) status = add_gated(g, net, number, producer, src, output);
    if (!status)
        status = finish(g, net, gated);
    else
        cop_graph_destroy(g);
    copi_free(net->ctx, number);
    copi_free(net->ctx, output);
    return status;
}

/* -- folding out -- */

static cop_status fold_unit(cop_net *net, copi_param *param, int64_t unit, double factor, bool dead) {
    if (!param) return COP_OK;
    int64_t n = param->count / param->shape[0]; /* of one unit: a filter, a row, or one number */
    float *data = param->data + unit * n;
    for (int64_t i = 0; i < n; i++) data[i] = dead ? 0 : (float)(data[i] * factor);
    if (!dead) return COP_OK;
    uint8_t *mask = copi_param_mask(net, param);
    if (!mask) return COP_E_NOMEM;
    memset(mask + unit * n, 0, (size_t)n);
    return COP_OK;
}

/* Multiply node's output channels by the gate's factors: its first two parameters are weights and bias, or scale and
 * shift. A dead unit behind a batch-norm takes the layer before along, if that feeds nothing else. */
static cop_status fold_gate(cop_net *net, copi_node *node, const copi_param *gate, double threshold) {
    int reader;
    copi_node *before = NULL;
    if (node->op == COPI_OP_BATCHNORM && has_weights(&net->node[node->src[0]]) &&
        copi_net_consumers(net, node->src[0], &reader, 1) == 1)
        before = &net->node[node->src[0]];
    int64_t channels = node->shape[0];
    for (int64_t c = 0; c < channels; c++) {
        double factor = gate->data[c * gate->count / channels];
        bool dead = fabs(factor) <= threshold;
        for (int slot = 0; slot < 2; slot++) {
            cop_status status = fold_unit(net, copi_node_slot(net, node, slot), c, factor, dead);
            if (!status && dead && before) status = fold_unit(net, copi_node_slot(net, before, slot), c, 0, true);
            if (status) return status;
        }
    }
    return COP_OK;
}

cop_status copi_net_fold_gates(const cop_net *gated, double threshold, cop_net **folded) {
    *folded = NULL;
    if (!(threshold >= 0) || !isfinite(threshold))
        return copi_fail(gated->ctx, COP_E_RANGE, "factor threshold %g; it must be finite and at least 0", threshold);
    cop_graph *g = NULL;
    int *number, *producer, *src;
    cop_status status = scratch_make(gated, &number, &producer, &src);
    if (status) return status;
    status = cop_graph_create(gated->ctx, &g);
    for (int i = 0; !status && i < gated->nodes; i++) {
        const copi_node *old = &gated->node[i];
        translate(old, number, src);
        number[i] = old->op == COPI_OP_GATE ? src[0] : copi_graph_add(g, old->name, old, src, old->nsrc);
    }
    cop_net *made = NULL;
    if (!status) status = finish(g, gated, &made);
    for (int i = 0; !status && i < gated->nodes; i++) {
        const copi_node *gate = &gated->node[i];
        if (gate->op == COPI_OP_GATE)
            status = fold_gate(made, &made->node[number[i]], copi_node_slot(gated, gate, COPI_GATE), threshold);
    }
    if (status) {
        cop_net_destroy(made);
        made = NULL;
    }
    copi_free(gated->ctx, number);
    *folded = made;
    return status;
}
