/* Conv and dense: weighted sums of inputs. Both kernels are seen as [O, I, K], with K taps for each pair of
 * channels. */
#include "prune/rules.h"

typedef struct linear {
    int64_t outputs, inputs, taps, groups; /* O, I (of one group), K */
    bool padded;
    const float *weight, *bias; /* [O,I,K], [O] or NULL */
} linear;

static linear linear_of(const cop_net *net, const copi_node *node) {
    const copi_param *weight = copi_node_slot(net, node, COPI_WEIGHT), *bias = copi_node_slot(net, node, COPI_BIAS);
    linear l = {.outputs = weight->shape[0], .groups = 1, .weight = weight->data, .bias = bias ? bias->data : NULL};
    if (node->op == COPI_OP_CONV) {
        const cop_conv_params *conv = &node->u.conv;
        l.groups = conv->groups;
        l.padded = conv->pad[0] || conv->pad[1] || conv->pad[2] || conv->pad[3];
    }
    l.inputs = copi_channels(&net->node[node->src[0]]) / l.groups;
    l.taps = weight->count / (l.outputs * l.inputs);
    return l;
}

static int64_t group_of(const linear *l, int64_t o) {
    return o / (l->outputs / l->groups);
}

static bool uses(const linear *l, int64_t o, int64_t i) {
    const float *w = l->weight + (o * l->inputs + i) * l->taps;
    for (int64_t t = 0; t < l->taps; t++)
        if (w[t] != 0) return true;
    return false;
}

static double tap_sum(const linear *l, int64_t o, int64_t i) {
    const float *w = l->weight + (o * l->inputs + i) * l->taps;
    double sum = 0;
    for (int64_t t = 0; t < l->taps; t++) sum += w[t];
    return sum;
}

static bool constant(const copi_known *k, int node, int64_t o, double *value) {
    linear l = linear_of(k->links->net, &k->links->net->node[node]);
    int64_t from = group_of(&l, o) * l.inputs;
    *value = l.bias ? l.bias[o] : 0;
    for (int64_t i = 0; i < l.inputs; i++) {
        double x;
        bool known = copi_known_input(k, node, 0, from + i, &x);
        if (known && x == 0) continue;
        if (!uses(&l, o, i)) continue;
        if (!known || l.padded) return false; /* padding is 0, so borders differ */
        *value += x * tap_sum(&l, o, i);
    }
    return true;
}

static bool falls(const cop_net *net, const copi_node *node, const double *k, double *out) {
    linear l = linear_of(net, node);
    if (l.padded) return false;
    for (int64_t o = 0; out && o < l.outputs; o++) {
        const float *w = l.weight + o * l.inputs * l.taps;
        out[o] = 0;
        for (int64_t i = 0; i < l.inputs * l.taps; i++)
            out[o] += (double)w[i] * k[group_of(&l, o) * l.inputs + i / l.taps];
    }
    return true;
}

static copi_parts group_parts(const copi_links *k, int node) {
    linear l = linear_of(k->net, &k->net->node[node]);
    return (copi_parts){
        l.groups, 2, {copi_links_input(k, node, 0, 0), k->first[node]}, {l.inputs * l.groups, l.outputs}};
}

static void bundle_groups(copi_links *k, int node) {
    copi_parts p = group_parts(k, node);
    if (p.parts == 1) return;
    for (int run = 0; run < p.runs; run++) {
        int64_t size = p.count[run] / p.parts;
        for (int64_t c = 0; c < p.count[run]; c++)
            copi_links_unite(k, p.at[run] + c, p.at[0] + c / size * (p.count[0] / p.parts));
    }
}

/* The batch-norm that is the node's only reader: constants can be subtracted from its running mean. */
static int normalizer(const cop_net *net, int node) {
    int reader;
    return copi_net_consumers(net, node, &reader, 1) == 1 && net->node[reader].op == COPI_OP_BATCHNORM ? reader : -1;
}

/* Can a bias or a running mean take the sum of constant inputs? */
static bool can_fold(const cop_net *net, int node, const linear *l) {
    return !l->padded && (l->bias || normalizer(net, node) >= 0);
}

static void need(copi_shrinker *s, int node) {
    linear l = linear_of(s->net, &s->net->node[node]);
    bool folds = can_fold(s->net, node, &l);
    for (int64_t g = 0; g < l.groups; g++) {
        int64_t per_group = l.outputs / l.groups;
        for (int64_t i = 0; i < l.inputs; i++) {
            int64_t channel = copi_links_input(s->known.links, node, 0, g * l.inputs + i);
            if (copi_kept(s, channel)) continue;
            if (s->known.constant[channel] && (s->known.value[channel] == 0 || folds)) continue;
            for (int64_t o = g * per_group; o < (g + 1) * per_group; o++) {
                if (!copi_kept(s, s->links.first[node] + o) || !uses(&l, o, i)) continue;
                copi_keep(s, channel);
                break;
            }
        }
    }
    copi_parts parts = group_parts(&s->links, node);
    if (parts.parts > 1) copi_keep_even(s, &parts);
}

static void conv_resize(copi_shrinker *s, int node, copi_node *proto) {
    copi_parts parts = group_parts(&s->links, node);
    proto->u.conv.filters = copi_kept_channels(s, node, NULL);
    proto->u.conv.groups = parts.parts > 1 ? copi_parts_kept(s, &parts) : 1;
}

static void dense_resize(copi_shrinker *s, int node, copi_node *proto) {
    proto->u.dense.units = copi_kept_channels(s, node, NULL);
}

static int64_t slice(copi_shrinker *s, int node, int slot, int64_t *index) {
    if (slot == COPI_BIAS) return copi_kept_channels(s, node, index);
    linear l = linear_of(s->net, &s->net->node[node]);
    int64_t count = 0;
    for (int64_t o = 0; o < l.outputs; o++) {
        if (!copi_kept(s, s->links.first[node] + o)) continue;
        int64_t from = group_of(&l, o) * l.inputs;
        for (int64_t i = 0; i < l.inputs; i++) {
            if (!copi_kept(s, copi_links_input(&s->links, node, 0, from + i))) continue;
            for (int64_t t = 0; t < l.taps; t++) index[count++] = (o * l.inputs + i) * l.taps + t;
        }
    }
    return count;
}

static void fold(copi_shrinker *s, int node, cop_net *small) {
    linear l = linear_of(s->net, &s->net->node[node]);
    if (!can_fold(s->net, node, &l)) return;
    int reader = l.bias ? node : normalizer(s->net, node);
    copi_param *into = copi_node_slot(small, &small->node[s->renamed[reader]], l.bias ? COPI_BIAS : COPI_MEAN);
    int64_t row = 0;
    for (int64_t o = 0; o < l.outputs; o++) {
        if (!copi_kept(s, s->links.first[node] + o)) continue;
        double sum = 0;
        for (int64_t i = 0; i < l.inputs; i++) {
            int64_t channel = copi_links_input(&s->links, node, 0, group_of(&l, o) * l.inputs + i);
            if (!copi_kept(s, channel) && s->known.value[channel] != 0)
                sum += s->known.value[channel] * tap_sum(&l, o, i);
        }
        if (sum != 0) {
            into->data[row] = (float)(into->data[row] + (l.bias ? sum : -sum));
            if (into->mask) into->mask[row] = 1; /* it is no longer 0 */
        }
        row++;
    }
}

static cop_status mask(cop_net *net, const copi_node *node, int64_t o) {
    linear l = linear_of(net, node);
    cop_status status = copi_mask_entries(net, node, COPI_WEIGHT, o * l.inputs * l.taps, l.inputs * l.taps);
    return status ? status : copi_mask_entries(net, node, COPI_BIAS, o, 1);
}

static cop_status mask_input(cop_net *net, const copi_node *node, int64_t c) {
    linear l = linear_of(net, node);
    int64_t per_group = l.outputs / l.groups, group = c / l.inputs;
    cop_status status = COP_OK;
    for (int64_t o = group * per_group; !status && o < (group + 1) * per_group; o++)
        status = copi_mask_entries(net, node, COPI_WEIGHT, (o * l.inputs + c % l.inputs) * l.taps, l.taps);
    return status;
}

static bool masked(const cop_net *net, const copi_node *node, int64_t o) {
    linear l = linear_of(net, node);
    return copi_entries_masked(net, node, COPI_WEIGHT, o * l.inputs * l.taps, l.inputs * l.taps) &&
           (!l.bias || copi_entries_masked(net, node, COPI_BIAS, o, 1));
}

const copi_rule copi_rule_conv = {.bundle = bundle_groups,
                                  .constant = constant,
                                  .falls = falls,
                                  .need = need,
                                  .resize = conv_resize,
                                  .slice = slice,
                                  .fold = fold,
                                  .mask = mask,
                                  .mask_input = mask_input,
                                  .masked = masked};
const copi_rule copi_rule_dense = {.constant = constant,
                                   .falls = falls,
                                   .need = need,
                                   .resize = dense_resize,
                                   .slice = slice,
                                   .fold = fold,
                                   .mask = mask,
                                   .mask_input = mask_input,
                                   .masked = masked};
