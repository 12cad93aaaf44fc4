/* SSS's factors: adding them to a net and folding them away. docs/methods.md, "SSS". */
#include "net/net.h"

#include <math.h>
#include <string.h>

/* -- adding -- */

static bool has_kernel(const copi_node *node) {
    return copi_op_is(node->op, COPI_HAS_KERNEL);
}

/* Layers whose channels reach the output without passing another layer with a kernel: classes cannot be removed. */
static void mark_output_layers(const cop_net *net, bool *output) {
    output[net->nodes - 1] = true;
    for (int i = net->nodes - 1; i > 0; i--)
        for (int s = 0; output[i] && !has_kernel(&net->node[i]) && s < net->node[i].nsrc; s++)
            output[net->node[i].src[s]] = true;
}

static bool has_one_reader(const cop_net *net, int i) {
    int reader;
    return copi_net_consumers(net, i, &reader, 1) == 1;
}

int copi_net_branch_end(const cop_net *net, int add, const int *depth) {
    const copi_node *node = &net->node[add];
    if (node->op != COPI_OP_ADD || depth[node->src[0]] == depth[node->src[1]]) return -1;
    int i = node->src[depth[node->src[0]] < depth[node->src[1]]];
    while (copi_op_is(net->node[i].op, COPI_HOMOGENEOUS) && has_one_reader(net, i)) i = net->node[i].src[0];
    return copi_node_slot(net, &net->node[i], 0) && has_one_reader(net, i) ? i : -1;
}

cop_status copi_net_depths(const cop_net *net, int **depth) {
    *depth = copi_alloc(net->ctx, (size_t)net->nodes, sizeof **depth);
    if (!*depth) return COP_E_NOMEM;
    for (int i = 0; i < net->nodes; i++) {
        const copi_node *node = &net->node[i];
        for (int s = 0; s < node->nsrc; s++)
            if ((*depth)[node->src[s]] > (*depth)[i]) (*depth)[i] = (*depth)[node->src[s]];
        (*depth)[i] += has_kernel(node);
    }
    return COP_OK;
}

/* Where factors go: factors[i] of them behind node i, named after producer[i]. */
typedef struct places {
    const cop_net *net;
    unsigned structures;
    bool *output;     /* [nodes] see mark_output_layers */
    int *depth;       /* [nodes] */
    int *producer;    /* [nodes] */
    int64_t *factors; /* [nodes] 0: none */
} places;

static bool wanted(const places *p, cop_structure structure) {
    return p->structures >> structure & 1u;
}

/* A residual block's factor stands at the end of its branch. If that is a batch-norm, the factor is named after the
 * layer before it, unless other nodes read that layer too. */
static void place_block(places *p, int add) {
    int end = copi_net_branch_end(p->net, add, p->depth);
    if (end < 0 || p->net->node[end].op == COPI_OP_GATE) return;
    p->factors[end] = 1;
    p->producer[end] = end;
    if (p->net->node[end].op != COPI_OP_BATCHNORM) return;
    int src = p->net->node[end].src[0];
    if (has_one_reader(p->net, src)) p->producer[end] = src;
}

/* The factors of a layer's units or groups stand behind it, or behind the batch-norm that alone reads it. */
static void place_units(places *p, int i) {
    const copi_node *node = &p->net->node[i];
    if (!has_kernel(node) || p->output[i]) return;
    int64_t groups = node->op == COPI_OP_CONV ? node->u.conv.groups : 1, factors = 0;
    if (wanted(p, COP_STRUCTURE_NEURON)) factors = node->shape[0];
    if (wanted(p, COP_STRUCTURE_GROUP) && groups > 1) factors = groups;
    int reader, place = i;
    if (copi_net_consumers(p->net, place, &reader, 1) == 1 && p->net->node[reader].op == COPI_OP_BATCHNORM)
        place = reader;
    bool gated = copi_net_consumers(p->net, place, &reader, 1) == 1 && p->net->node[reader].op == COPI_OP_GATE;
    if (!factors || gated || p->factors[place]) return;
    p->factors[place] = factors;
    p->producer[place] = i;
}

static void places_clear(places *p) {
    copi_free(p->net->ctx, p->output);
    copi_free(p->net->ctx, p->depth);
    copi_free(p->net->ctx, p->producer);
    copi_free(p->net->ctx, p->factors);
}

static cop_status places_find(places *p) {
    size_t nodes = (size_t)p->net->nodes;
    p->output = copi_alloc(p->net->ctx, nodes, sizeof *p->output);
    p->producer = copi_alloc(p->net->ctx, nodes, sizeof *p->producer);
    p->factors = copi_alloc(p->net->ctx, nodes, sizeof *p->factors);
    if (!p->output || !p->producer || !p->factors) return COP_E_NOMEM;
    cop_status status = copi_net_depths(p->net, &p->depth);
    if (status) return status;
    mark_output_layers(p->net, p->output);
    for (int i = 0; wanted(p, COP_STRUCTURE_BLOCK) && i < p->net->nodes; i++) place_block(p, i);
    for (int i = 0; i < p->net->nodes; i++) place_units(p, i);
    return COP_OK;
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

/* Scratch for both directions, in one block: number[nodes] of old nodes in the new graph, src[most]. */
static cop_status scratch_make(const cop_net *net, int **number, int **src) {
    *number = copi_alloc(net->ctx, (size_t)net->nodes + (size_t)most_sources(net), sizeof **number);
    if (!*number) return COP_E_NOMEM;
    *src = *number + net->nodes;
    return COP_OK;
}

static cop_status add_gated(cop_graph *g, const places *p, int *number, int *src) {
    const cop_net *net = p->net;
    for (int i = 0; i < net->nodes; i++) {
        const copi_node *old = &net->node[i];
        translate(old, number, src);
        number[i] = copi_graph_add(g, old->name, old, src, old->nsrc);
        if (!p->factors[i]) continue;
        /* everything that reads the place reads its gate instead */
        const char *producer = net->node[p->producer[i]].name;
        cop_status status = add_gate(g, producer, number[i], p->factors[i], &number[i]);
        if (status) return status;
    }
    return COP_OK;
}

cop_status copi_net_with_gates(const cop_net *net, unsigned structures, cop_net **gated) {
    *gated = NULL;
    cop_graph *g = NULL;
    int *number = NULL, *src;
    places p = {.net = net, .structures = structures};
    cop_status status = places_find(&p);
    if (!status) status = scratch_make(net, &number, &src);
    if (!status) status = cop_graph_create(net->ctx, &g);
    if (!status) status = add_gated(g, &p, number, src);
    if (!status)
        status = copi_graph_build_like(g, net, gated);
    else
        cop_graph_destroy(g);
    copi_free(net->ctx, number);
    places_clear(&p);
    return status;
}

/* -- folding away -- */

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
 * shift. A dead unit of a batch-norm also masks the unit of the layer before it, if that feeds nothing else. */
static cop_status fold_gate(cop_net *net, copi_node *node, const copi_param *gate, double threshold) {
    int reader;
    copi_node *before = NULL;
    if (node->op == COPI_OP_BATCHNORM && has_kernel(&net->node[node->src[0]]) &&
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
    int *number, *src;
    cop_status status = scratch_make(gated, &number, &src);
    if (status) return status;
    status = cop_graph_create(gated->ctx, &g);
    for (int i = 0; !status && i < gated->nodes; i++) {
        const copi_node *old = &gated->node[i];
        translate(old, number, src);
        number[i] = old->op == COPI_OP_GATE ? src[0] : copi_graph_add(g, old->name, old, src, old->nsrc);
    }
    cop_net *made = NULL;
    if (!status) status = copi_graph_build_like(g, gated, &made);
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

/* -- what a factor removes -- */

cop_status copi_net_block_gates(const cop_net *gated, bool **block) {
    int *depth = NULL;
    *block = copi_alloc(gated->ctx, (size_t)gated->nodes, sizeof **block);
    cop_status status = *block ? copi_net_depths(gated, &depth) : COP_E_NOMEM;
    for (int i = 0; !status && i < gated->nodes; i++) {
        int end = copi_net_branch_end(gated, i, depth);
        if (end >= 0 && gated->node[end].op == COPI_OP_GATE) (*block)[end] = gated->node[end].u.gate.factors == 1;
    }
    copi_free(gated->ctx, depth);
    if (!status) return COP_OK;
    copi_free(gated->ctx, *block);
    *block = NULL;
    return status;
}

static double macs_of(const cop_net *net, int i) {
    cop_layer_info info;
    return cop_net_get_layer(net, i, &info) ? 0 : (double)info.macs; /* i is in range, so it cannot fail */
}

/* MACs of all layers whose output reaches the end only through the gate. */
static double macs_of_branch(const cop_net *net, int gate, bool *inside) {
    double macs = 0;
    memset(inside, 0, (size_t)net->nodes * sizeof *inside);
    inside[gate] = true;
    for (int i = gate - 1; i > 0; i--) {
        int readers = 0;
        bool all = true;
        for (int k = i + 1; k < net->nodes; k++)
            for (int s = 0; s < net->node[k].nsrc; s++)
                if (net->node[k].src[s] == i) {
                    readers++;
                    all &= inside[k];
                }
        inside[i] = readers && all;
        if (inside[i]) macs += macs_of(net, i);
    }
    return macs;
}

/* MACs of the gated layer, plus each reader's MACs in proportion to what it reads. share [nodes]: how much of a
 * node's output comes from the gate. */
static double macs_of_layer(const cop_net *net, int gate, double *share) {
    int from = net->node[gate].src[0];
    if (net->node[from].op == COPI_OP_BATCHNORM) from = net->node[from].src[0];
    double macs = macs_of(net, from);
    memset(share, 0, (size_t)net->nodes * sizeof *share);
    share[gate] = 1;
    for (int i = gate + 1; i < net->nodes; i++) {
        const copi_node *node = &net->node[i];
        double sum = 0, most = 0;
        for (int s = 0; s < node->nsrc; s++) {
            double part = share[node->src[s]];
            sum += part * (double)net->node[node->src[s]].shape[0];
            most = fmax(most, part);
        }
        share[i] = node->op == COPI_OP_CONCAT ? sum / (double)node->shape[0] : most;
        if (!has_kernel(node)) continue;
        macs += share[i] * macs_of(net, i);
        share[i] = 0;
    }
    return macs;
}

cop_status copi_net_gate_costs(const cop_net *gated, double **cost) {
    size_t nodes = (size_t)gated->nodes;
    bool *block = NULL, *inside = copi_alloc(gated->ctx, nodes, sizeof *inside);
    double *share = copi_alloc(gated->ctx, nodes, sizeof *share), sum = 0, factors = 0;
    *cost = copi_alloc(gated->ctx, nodes, sizeof **cost);
    cop_status status = inside && share && *cost ? copi_net_block_gates(gated, &block) : COP_E_NOMEM;
    for (int i = 0; !status && i < gated->nodes; i++) {
        if (gated->node[i].op != COPI_OP_GATE) continue;
        double n = (double)gated->node[i].u.gate.factors;
        double macs = block[i] ? macs_of_branch(gated, i, inside) : macs_of_layer(gated, i, share);
        (*cost)[i] = macs / n;
        sum += macs;
        factors += n;
    }
    for (int i = 0; !status && sum > 0 && i < gated->nodes; i++) (*cost)[i] *= factors / sum;
    copi_free(gated->ctx, block);
    copi_free(gated->ctx, inside);
    copi_free(gated->ctx, share);
    if (!status) return COP_OK;
    copi_free(gated->ctx, *cost);
    *cost = NULL;
    return status;
}
