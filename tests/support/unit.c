/* Only the channels coupled to the unit are looked at. */
#include "unit.h"

#include "prune/rules.h"

typedef struct unit_view {
    copi_links links;
    copi_known known;
    int64_t root;
} unit_view;

static void clear(unit_view *v) {
    copi_known_clear(&v->known);
    copi_links_clear(&v->links);
}

static cop_status make(unit_view *v, const cop_net *net, int node, int64_t unit) {
    *v = (unit_view){0};
    cop_status status = copi_links_make(&v->links, net);
    if (!status) status = copi_known_make(&v->known, &v->links);
    if (status) {
        clear(v);
        return status;
    }
    for (int n = 0; n < net->nodes; n++)
        if (copi_rule_get(net->node[n].op)->couple) copi_rule_get(net->node[n].op)->couple(&v->links, n);
    v->root = copi_links_root(&v->links, v->links.first[node] + unit);
    return COP_OK;
}

/* Is channel c of node always 0? Its inputs come earlier in the net and were asked before. */
static bool is_zero(unit_view *v, int node, int64_t c) {
    int64_t channel = v->links.first[node] + c;
    copi_known_find(&v->known, node, c);
    return v->known.constant[channel] && v->known.value[channel] == 0;
}

static bool belongs(unit_view *v, int node, int64_t c) {
    return copi_links_root(&v->links, v->links.first[node] + c) == v->root;
}

bool test_unit_dead(const cop_net *net, int node, int64_t unit) {
    unit_view v;
    if (make(&v, net, node, unit)) return false;
    bool dead = false;
    for (int n = 0; n <= node; n++)
        for (int64_t c = 0; c < copi_channels(&net->node[n]); c++) {
            if (!belongs(&v, n, c)) continue;
            bool zero = is_zero(&v, n, c);
            if (n == node && c == unit) dead = zero;
        }
    clear(&v);
    return dead;
}

cop_status test_mask_unit(cop_net *net, int node, int64_t unit) {
    bool ok = node >= 0 && node < net->nodes &&
              (net->node[node].op == COPI_OP_CONV || net->node[node].op == COPI_OP_DENSE) && unit >= 0 &&
              unit < copi_channels(&net->node[node]);
    if (!ok)
        return copi_fail(net->ctx, COP_E_ARG, "unit %lld of node %d cannot be masked: it is none of a conv or dense",
                         (long long)unit, node);
    unit_view v;
    cop_status status = make(&v, net, node, unit);
    if (status) return status;
    status = copi_rule_get(net->node[node].op)->mask(net, &net->node[node], unit);
    for (int n = 0; !status && n < net->nodes; n++)
        for (int64_t c = 0; !status && c < copi_channels(&net->node[n]); c++) {
            if (!belongs(&v, n, c)) continue;
            double input;
            if (net->node[n].op == COPI_OP_BATCHNORM && copi_known_input(&v.known, n, 0, c, &input) && input == 0)
                status = copi_rule_get(COPI_OP_BATCHNORM)->mask(net, &net->node[n], c);
            is_zero(&v, n, c);
        }
    clear(&v);
    return status;
}
