/* Ops whose output channel c depends on input channel c alone. Softmax depends on all, so it keeps all. */
#include "prune/rules.h"

#include <math.h>

static void couple(copi_links *l, int node) {
    for (int64_t c = 0; c < copi_channels(&l->net->node[node]); c++)
        copi_links_unite(l, l->first[node] + c, copi_links_input(l, node, 0, c));
}

bool copi_falls_alike(const cop_net *net, const copi_node *node, const double *k, double *out) {
    (void)net;
    for (int64_t c = 0; out && c < copi_channels(node); c++) out[c] = k[c];
    return true;
}

static bool same_constant(const copi_known *k, int node, int64_t c, double *value) {
    return copi_known_input(k, node, 0, c, value);
}

/* -- input -- */

const copi_rule copi_rule_input = {.fixed = true};

/* -- batch-norm -- */

static bool batchnorm_constant(const copi_known *k, int node, int64_t c, double *value) {
    const cop_net *net = k->links->net;
    const copi_node *n = &net->node[node];
    double x, scale = copi_node_slot(net, n, COPI_SCALE)->data[c];
    bool known = copi_known_input(k, node, 0, c, &x);
    if (!known && scale != 0) return false;
    double mean = copi_node_slot(net, n, COPI_MEAN)->data[c], var = copi_node_slot(net, n, COPI_VAR)->data[c];
    *value = scale * (x - mean) / sqrt(var + n->u.batchnorm.epsilon) + copi_node_slot(net, n, COPI_SHIFT)->data[c];
    return true;
}

static int64_t channel_slice(copi_shrinker *s, int node, int slot, int64_t *index) {
    (void)slot;
    return copi_kept_channels(s, node, index);
}

static cop_status batchnorm_mask(cop_net *net, const copi_node *node, int64_t c) {
    cop_status status = copi_mask_entries(net, node, COPI_SCALE, c, 1);
    return status ? status : copi_mask_entries(net, node, COPI_SHIFT, c, 1);
}

static bool batchnorm_masked(const cop_net *net, const copi_node *node, int64_t c) {
    return copi_entries_masked(net, node, COPI_SCALE, c, 1) && copi_entries_masked(net, node, COPI_SHIFT, c, 1);
}

const copi_rule copi_rule_batchnorm = {.couple = couple,
                                       .constant = batchnorm_constant,
                                       .slice = channel_slice,
                                       .mask = batchnorm_mask,
                                       .masked = batchnorm_masked};

/* -- activations -- */

static bool rectifier_constant(const copi_known *k, int node, int64_t c, double *value) {
    const copi_node *n = &k->links->net->node[node];
    const copi_rectifier r = copi_op_get(n->op)->rectifier(n);
    bool known = copi_known_input(k, node, 0, c, value);
    if (*value < 0) *value = r.slope == 0 ? 0 : r.slope * *value;
    if (*value > r.high) *value = r.high;
    return known;
}

const copi_rule copi_rule_rectifier = {.couple = couple, .constant = rectifier_constant};
const copi_rule copi_rule_dropout = {.couple = couple, .constant = same_constant, .falls = copi_falls_alike};
const copi_rule copi_rule_softmax = {.fixed = true, .couple = couple};

/* -- pools -- */

/* Padding that counts in the mean makes a constant other than 0 smaller at the borders. */
static bool averages_zeros(const copi_node *n) {
    const cop_pool_params *p = &n->u.pool;
    return p->count_pad && (p->pad[0] || p->pad[1] || p->pad[2] || p->pad[3]);
}

static bool avg_pool_constant(const copi_known *k, int node, int64_t c, double *value) {
    return copi_known_input(k, node, 0, c, value) && (*value == 0 || !averages_zeros(&k->links->net->node[node]));
}

static bool avg_pool_falls(const cop_net *net, const copi_node *node, const double *k, double *out) {
    return !averages_zeros(node) && copi_falls_alike(net, node, k, out);
}

const copi_rule copi_rule_max_pool = {.couple = couple, .constant = same_constant, .falls = copi_falls_alike};
const copi_rule copi_rule_avg_pool = {.couple = couple, .constant = avg_pool_constant, .falls = avg_pool_falls};
const copi_rule copi_rule_global_pool = {.couple = couple, .constant = same_constant, .falls = copi_falls_alike};

/* -- gate: factor c * factors / C -- */

static int64_t gate_part_size(const copi_node *n) {
    return copi_channels(n) / n->u.gate.factors;
}

/* With one factor per channel, or a single one for all, channels may be removed one by one. */
static bool gate_is_grouped(const copi_node *n) {
    return n->u.gate.factors > 1 && gate_part_size(n) > 1;
}

static copi_parts gate_parts(const copi_links *l, int node) {
    const copi_node *n = &l->net->node[node];
    return (copi_parts){n->u.gate.factors, 1, {l->first[node]}, {copi_channels(n)}};
}

static void gate_bundle(copi_links *l, int node) {
    const copi_node *n = &l->net->node[node];
    if (!gate_is_grouped(n)) return;
    int64_t size = gate_part_size(n);
    for (int64_t c = 0; c < copi_channels(n); c++)
        copi_links_unite(l, l->first[node] + c, l->first[node] + c / size * size);
}

static bool gate_constant(const copi_known *k, int node, int64_t c, double *value) {
    const copi_node *n = &k->links->net->node[node];
    double factor = copi_node_slot(k->links->net, n, COPI_GATE)->data[c / gate_part_size(n)];
    bool known = copi_known_input(k, node, 0, c, value);
    *value = factor == 0 ? 0 : factor * *value;
    return known || factor == 0;
}

static bool gate_falls(const cop_net *net, const copi_node *node, const double *k, double *out) {
    const copi_param *gate = copi_node_slot(net, node, COPI_GATE);
    for (int64_t c = 0; out && c < copi_channels(node); c++)
        out[c] = k[c] * (double)gate->data[c * gate->count / copi_channels(node)];
    return true;
}

static void gate_need(copi_shrinker *s, int node) {
    copi_parts parts = gate_parts(&s->links, node);
    if (gate_is_grouped(&s->net->node[node])) copi_keep_even(s, &parts);
}

static int64_t gate_slice(copi_shrinker *s, int node, int slot, int64_t *index) {
    (void)slot;
    copi_parts parts = gate_parts(&s->links, node);
    int64_t count = 0;
    for (int64_t f = 0; f < parts.parts; f++)
        if (copi_part_kept(s, &parts, f)) index[count++] = f;
    return count;
}

static void gate_resize(copi_shrinker *s, int node, copi_node *proto) {
    copi_parts parts = gate_parts(&s->links, node);
    proto->u.gate.factors = copi_parts_kept(s, &parts);
}

const copi_rule copi_rule_gate = {.couple = couple,
                                  .bundle = gate_bundle,
                                  .constant = gate_constant,
                                  .falls = gate_falls,
                                  .need = gate_need,
                                  .resize = gate_resize,
                                  .slice = gate_slice};
