/* The list of rules, and the sets and tables that they work on. */
#include "prune/rules.h"

#include <string.h>

static const copi_rule *const rules[COPI_OPS] = {
#define X(NAME, name, family, traits, help) [COPI_OP_##NAME] = &copi_rule_##family,
#include "net/ops.def"
#undef X
};

const copi_rule *copi_rule_get(copi_op op) {
    return rules[op];
}

/* -- sets -- */

cop_status copi_links_make(copi_links *l, const cop_net *net) {
    *l = (copi_links){.ctx = net->ctx, .net = net};
    l->first = copi_alloc(net->ctx, (size_t)net->nodes + 1, sizeof *l->first);
    l->stands = copi_alloc(net->ctx, (size_t)net->nodes, sizeof *l->stands);
    if (!l->first || !l->stands) goto no_memory;
    for (int n = 0; n < net->nodes; n++) {
        l->first[n + 1] = l->first[n] + copi_channels(&net->node[n]);
        l->stands[n] = n;
    }
    l->parent = copi_alloc(net->ctx, (size_t)l->first[net->nodes], sizeof *l->parent);
    if (!l->parent) goto no_memory;
    for (int64_t c = 0; c < l->first[net->nodes]; c++) l->parent[c] = c;
    return COP_OK;
no_memory:
    copi_links_clear(l);
    return COP_E_NOMEM;
}

void copi_links_clear(copi_links *l) {
    copi_free(l->ctx, l->first);
    copi_free(l->ctx, l->parent);
    copi_free(l->ctx, l->stands);
    l->first = l->parent = NULL;
    l->stands = NULL;
}

int64_t copi_links_root(copi_links *l, int64_t channel) {
    while (l->parent[channel] != channel) channel = l->parent[channel] = l->parent[l->parent[channel]];
    return channel;
}

/* The lowest number is the root, so a set is named after its first channel in the net. */
void copi_links_unite(copi_links *l, int64_t a, int64_t b) {
    a = copi_links_root(l, a);
    b = copi_links_root(l, b);
    l->parent[a < b ? b : a] = a < b ? a : b;
}

int64_t copi_links_input(const copi_links *l, int node, int i, int64_t c) {
    return l->first[l->stands[l->net->node[node].src[i]]] + c;
}

void copi_links_bundle_all(copi_links *l) {
    for (int n = 0; n < l->net->nodes; n++) {
        const copi_rule *rule = copi_rule_get(l->net->node[n].op);
        if (rule->couple) rule->couple(l, n);
        if (rule->bundle) rule->bundle(l, n);
    }
}

/* -- constants -- */

cop_status copi_known_make(copi_known *k, const copi_links *links) {
    size_t channels = (size_t)links->first[links->net->nodes];
    *k = (copi_known){.links = links};
    k->constant = copi_alloc(links->ctx, channels, sizeof *k->constant);
    k->value = copi_alloc(links->ctx, channels, sizeof *k->value);
    if (k->constant && k->value) return COP_OK;
    copi_known_clear(k);
    return COP_E_NOMEM;
}

void copi_known_clear(copi_known *k) {
    if (!k->links) return;
    copi_free(k->links->ctx, k->constant);
    copi_free(k->links->ctx, k->value);
    *k = (copi_known){0};
}

bool copi_known_input(const copi_known *k, int node, int i, int64_t c, double *value) {
    int64_t channel = copi_links_input(k->links, node, i, c);
    *value = k->value[channel];
    return k->constant[channel];
}

void copi_known_find(copi_known *k, int node, int64_t c) {
    const copi_rule *rule = copi_rule_get(k->links->net->node[node].op);
    int64_t channel = k->links->first[node] + c;
    double value = 0;
    k->constant[channel] = rule->constant && rule->constant(k, node, c, &value);
    k->value[channel] = k->constant[channel] ? value : 0;
}

/* -- what is kept -- */

bool copi_kept(copi_shrinker *s, int64_t channel) {
    return s->kept[copi_links_root(&s->links, channel)];
}

void copi_keep(copi_shrinker *s, int64_t channel) {
    uint8_t *kept = &s->kept[copi_links_root(&s->links, channel)];
    if (!*kept) s->grew = true;
    *kept = 1;
}

int64_t copi_kept_channels(copi_shrinker *s, int node, int64_t *index) {
    int64_t count = 0;
    for (int64_t c = 0; c < copi_channels(&s->net->node[node]); c++) {
        if (!copi_kept(s, s->links.first[node] + c)) continue;
        if (index) index[count] = c;
        count++;
    }
    return count;
}

static int64_t kept_in_part(copi_shrinker *s, const copi_parts *p, int run, int64_t part) {
    int64_t size = p->count[run] / p->parts, kept = 0;
    for (int64_t c = 0; c < size; c++) kept += copi_kept(s, p->at[run] + part * size + c);
    return kept;
}

bool copi_part_kept(copi_shrinker *s, const copi_parts *p, int64_t part) {
    for (int r = 0; r < p->runs; r++)
        if (kept_in_part(s, p, r, part)) return true;
    return false;
}

int64_t copi_parts_kept(copi_shrinker *s, const copi_parts *p) {
    int64_t kept = 0;
    for (int64_t g = 0; g < p->parts; g++) kept += copi_part_kept(s, p, g);
    return kept;
}

void copi_keep_even(copi_shrinker *s, const copi_parts *p) {
    for (int r = 0; r < p->runs; r++) {
        int64_t most = 1, size = p->count[r] / p->parts;
        for (int64_t g = 0; g < p->parts; g++) {
            int64_t kept = kept_in_part(s, p, r, g);
            if (kept > most) most = kept;
        }
        for (int64_t g = 0; g < p->parts; g++) {
            if (!copi_part_kept(s, p, g)) continue;
            int64_t at = p->at[r] + g * size;
            for (int64_t c = 0; c < size && kept_in_part(s, p, r, g) < most; c++) copi_keep(s, at + c);
        }
    }
}

/* -- masks -- */

cop_status copi_mask_entries(cop_net *net, const copi_node *node, int slot, int64_t at, int64_t count) {
    copi_param *param = copi_node_slot(net, node, slot);
    if (!param) return COP_OK;
    uint8_t *mask = copi_param_mask(net, param);
    if (!mask) return COP_E_NOMEM;
    memset(mask + at, 0, (size_t)count);
    for (int64_t i = at; i < at + count; i++) param->data[i] = 0;
    return COP_OK;
}

bool copi_entries_masked(const cop_net *net, const copi_node *node, int slot, int64_t at, int64_t count) {
    const copi_param *param = copi_node_slot(net, node, slot);
    return param && param->mask && !memchr(param->mask + at, 1, (size_t)count);
}
