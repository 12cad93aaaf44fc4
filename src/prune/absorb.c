/* Residual branches whose output is constant. The constant moves to another parameter and the branch becomes 0, so
 * that shrink removes all of it.
 *
 * Back: into the other summand's bias or batch-norm shift, if only the add reads that summand.
 *
 * Forward: into the nodes that read the sum: -k for a batch-norm's running mean, W k for biases. It passes through
 * ops whose output then falls by constants too (adds, pools, dropout, flatten, gates). Every reader must be able to
 * take it. */
#include "prune/rules.h"

#include <string.h>

typedef struct absorber {
    cop_net *net;
    copi_links links;
    copi_known known;
} absorber;

/* -- forward: node's output will be lower by constants k; can its readers make up for it, and then do so -- */

static copi_param *param_of(const cop_net *net, const copi_node *node, copi_param_kind kind) {
    for (int slot = 0; slot < COPI_SLOTS; slot++) {
        copi_param *param = copi_node_slot(net, node, slot);
        if (param && param->kind == kind) return param;
    }
    return NULL;
}

static bool can_lower(const cop_net *net, int node);

static bool reader_takes(const cop_net *net, int reader) {
    const copi_node *n = &net->node[reader];
    const copi_rule *rule = copi_rule_get(n->op);
    if (param_of(net, n, COPI_PARAM_MEAN)) return true;
    if (!rule->falls || !rule->falls(net, n, NULL, NULL)) return false;
    return param_of(net, n, COPI_PARAM_BIAS) || can_lower(net, reader);
}

/* Can all readers of node make up for constants subtracted from its output? */
static bool can_lower(const cop_net *net, int node) {
    if (node == net->nodes - 1) return false;
    for (int r = node + 1; r < net->nodes; r++)
        for (int s = 0; s < net->node[r].nsrc; s++)
            if (net->node[r].src[s] == node && !reader_takes(net, r)) return false;
    return true;
}

static cop_status lower(cop_net *net, int node, const double *k);

/* Add sign * k [channels] to a parameter. An entry that changes is no longer masked. */
static void add_to(copi_param *param, const double *k, double sign) {
    for (int64_t c = 0; c < param->count; c++) {
        param->data[c] = (float)((double)param->data[c] + sign * k[c]);
        if (param->mask && k[c] != 0) param->mask[c] = 1;
    }
}

/* Make up for an input of reader that is lower by k [input channels]. */
static cop_status take(cop_net *net, int reader, const double *k) {
    const copi_node *n = &net->node[reader];
    copi_param *mean = param_of(net, n, COPI_PARAM_MEAN), *bias = param_of(net, n, COPI_PARAM_BIAS);
    if (mean) {
        add_to(mean, k, -1);
        return COP_OK;
    }
    double *out = copi_alloc(net->ctx, (size_t)copi_channels(n), sizeof *out);
    if (!out) return COP_E_NOMEM;
    cop_status status = COP_OK;
    copi_rule_get(n->op)->falls(net, n, k, out);
    if (bias)
        add_to(bias, out, 1);
    else
        status = lower(net, reader, out);
    copi_free(net->ctx, out);
    return status;
}

static cop_status lower(cop_net *net, int node, const double *k) {
    cop_status status = COP_OK;
    for (int r = node + 1; r < net->nodes; r++)
        for (int s = 0; !status && s < net->node[r].nsrc; s++)
            if (net->node[r].src[s] == node) status = take(net, r, k);
    return status;
}

/* -- back -- */

/* The parameter that is added to each channel of node, if only one node reads node; else NULL. */
static copi_param *added_by(const cop_net *net, int node) {
    int reader;
    const copi_node *n = &net->node[node];
    if (copi_net_consumers(net, node, &reader, 1) != 1) return NULL;
    copi_param *shift = param_of(net, n, COPI_PARAM_SHIFT);
    return shift ? shift : param_of(net, n, COPI_PARAM_BIAS);
}

/* -- one add -- */

/* The node to mask so that input i of the add is 0: the last one with parameters, seen through ops that keep zeros.
 * -1: there is none, or other nodes read the branch too. */
static int branch_end(const cop_net *net, int add, int i) {
    int n = net->node[add].src[i], reader;
    for (;; n = net->node[n].src[0]) {
        if (copi_net_consumers(net, n, &reader, 1) != 1) return -1;
        copi_op op = net->node[n].op;
        if (copi_rule_get(op)->mask) return n;
        if (!copi_op_is(op, COPI_KEEPS_ZEROS)) return -1;
    }
}

/* Is input i of the add constant in all channels, not 0 in all, while the other input varies? k gets the
 * constants. */
static bool adds_constants(const absorber *a, int add, int i, double *k) {
    bool nonzero = false, varies = false;
    for (int64_t c = 0; c < copi_channels(&a->net->node[add]); c++) {
        double other;
        varies |= !copi_known_input(&a->known, add, 1 - i, c, &other);
        if (!copi_known_input(&a->known, add, i, c, &k[c])) return false;
        nonzero |= k[c] != 0;
    }
    return nonzero && varies;
}

static cop_status absorb_input(absorber *a, int add, int i, const double *k, bool *changed) {
    cop_net *net = a->net;
    const copi_node *node = &net->node[add];
    int end = branch_end(net, add, i), other = node->src[1 - i];
    if (end < 0 || other == node->src[i]) return COP_OK;
    copi_param *into = added_by(net, other);
    if (!into && !can_lower(net, add)) return COP_OK;
    cop_status status = COP_OK;
    if (into)
        add_to(into, k, 1);
    else
        status = lower(net, add, k);
    for (int64_t c = 0; !status && c < copi_channels(&net->node[end]); c++)
        status = copi_rule_get(net->node[end].op)->mask(net, &net->node[end], c);
    *changed = !status;
    return status;
}

static cop_status find_known(absorber *a) {
    cop_status status = copi_links_make(&a->links, a->net);
    if (!status) status = copi_known_make(&a->known, &a->links);
    for (int n = 0; !status && n < a->net->nodes; n++)
        for (int64_t c = 0; c < copi_channels(&a->net->node[n]); c++) copi_known_find(&a->known, n, c);
    return status;
}

static void clear(absorber *a) {
    copi_known_clear(&a->known);
    copi_links_clear(&a->links);
}

/* Absorb the first constant that has a place to go. k [channels of the widest node]. Afterwards sums have changed, so
 * what is constant must be found again. */
static cop_status absorb_one(cop_net *net, double *k, bool *changed) {
    absorber a = {.net = net};
    *changed = false;
    cop_status status = find_known(&a);
    for (int n = 0; !status && !*changed && n < net->nodes; n++)
        for (int i = 0; !status && !*changed && net->node[n].op == COPI_OP_ADD && i < 2; i++)
            if (adds_constants(&a, n, i, k)) status = absorb_input(&a, n, i, k, changed);
    clear(&a);
    return status;
}

cop_status copi_absorb_constants(cop_net *net) {
    int64_t widest = 1;
    for (int n = 0; n < net->nodes; n++)
        if (copi_channels(&net->node[n]) > widest) widest = copi_channels(&net->node[n]);
    double *k = copi_alloc(net->ctx, (size_t)widest, sizeof *k);
    cop_status status = k ? COP_OK : COP_E_NOMEM;
    for (bool changed = true; !status && changed;) status = absorb_one(net, k, &changed);
    copi_free(net->ctx, k);
    return status;
}
