/* Shrinking. First find what is constant (forward), then what must be kept (backward, until nothing is added), then
 * build the new net from the kept slices. A unit is removed only if that provably changes nothing: every reader
 * ignores it or can take its constant value, and all channels coupled to it can be removed too. */
#include "prune/rules.h"

#include <string.h>

static const copi_rule *rule_of(const copi_shrinker *s, int node) {
    return copi_rule_get(s->net->node[node].op);
}

static void clear(copi_shrinker *s) {
    copi_known_clear(&s->known);
    copi_links_clear(&s->links);
    copi_free(s->ctx, s->kept);
    copi_free(s->ctx, s->live);
    copi_free(s->ctx, s->renamed);
}

static cop_status make(copi_shrinker *s, const cop_net *net, int64_t multiple) {
    *s = (copi_shrinker){.ctx = net->ctx, .net = net, .multiple = multiple};
    cop_status status = copi_links_make(&s->links, net);
    if (!status) status = copi_known_make(&s->known, &s->links);
    if (status) return status;
    s->kept = copi_alloc(s->ctx, (size_t)s->links.first[net->nodes], sizeof *s->kept);
    s->live = copi_alloc(s->ctx, (size_t)net->nodes, sizeof *s->live);
    s->renamed = copi_alloc(s->ctx, (size_t)net->nodes, sizeof *s->renamed);
    return s->kept && s->live && s->renamed ? COP_OK : COP_E_NOMEM;
}

static int output_of(const copi_shrinker *s) {
    return s->links.stands[s->net->nodes - 1];
}

/* Forward: find constants, and adds that equal one of their inputs. */
static void find_constants(copi_shrinker *s) {
    for (int n = 0; n < s->net->nodes; n++) {
        const copi_rule *rule = rule_of(s, n);
        for (int64_t c = 0; c < copi_channels(&s->net->node[n]); c++) copi_known_find(&s->known, n, c);
        int same = rule->same ? rule->same(&s->known, n) : -1;
        if (same < 0) continue;
        int source = s->links.stands[s->net->node[n].src[same]];
        if (source == 0 && n == s->net->nodes - 1) continue; /* a net needs a node besides its input */
        s->links.stands[n] = source;
    }
}

/* Mark the inputs of a live node that something kept is read from, or all of them. */
static void enliven_sources(copi_shrinker *s, int node, bool all) {
    const copi_rule *rule = rule_of(s, node);
    for (int i = 0; i < s->net->node[node].nsrc; i++)
        if (all || !rule->idle || !rule->idle(s, node, i)) s->live[s->links.stands[s->net->node[node].src[i]]] = true;
}

static void couple_live(copi_shrinker *s) {
    s->live[output_of(s)] = true;
    for (int n = s->net->nodes - 1; n >= 0; n--) {
        if (!s->live[n]) continue;
        enliven_sources(s, n, true);
        if (rule_of(s, n)->couple) rule_of(s, n)->couple(&s->links, n);
    }
}

static void keep_all(copi_shrinker *s, int node) {
    for (int64_t c = 0; c < copi_channels(&s->net->node[node]); c++) copi_keep(s, s->links.first[node] + c);
}

/* Keep dead channels, in order, until the number of kept channels is a multiple or none is left. */
static void round_up(copi_shrinker *s, int node) {
    int64_t channels = copi_channels(&s->net->node[node]), kept = copi_kept_channels(s, node, NULL);
    for (int64_t c = 0; kept % s->multiple && c < channels; c++) {
        if (copi_kept(s, s->links.first[node] + c)) continue;
        copi_keep(s, s->links.first[node] + c);
        kept = copi_kept_channels(s, node, NULL); /* coupled channels are kept too */
    }
}

/* Backward, until a pass keeps nothing new. The set of kept channels only grows, so this ends. */
static void find_kept(copi_shrinker *s) {
    keep_all(s, output_of(s));
    do {
        s->grew = false;
        memset(s->live, 0, (size_t)s->net->nodes * sizeof *s->live);
        s->live[output_of(s)] = true;
        for (int n = s->net->nodes - 1; n >= 0; n--) {
            if (!s->live[n]) continue;
            const copi_rule *rule = rule_of(s, n);
            if (rule->fixed) keep_all(s, n);
            if (!copi_kept_channels(s, n, NULL)) copi_keep(s, s->links.first[n]); /* no layer goes empty */
            if (copi_op_is(s->net->node[n].op, COPI_HAS_KERNEL)) round_up(s, n);
            if (rule->need) rule->need(s, n);
            enliven_sources(s, n, false);
        }
    } while (s->grew);
}

/* -- the new net -- */

/* Add a node with the remaining inputs. A concat of one input is replaced by that input. */
static void add_node(copi_shrinker *s, cop_graph *g, int node, int *src) {
    const copi_rule *rule = rule_of(s, node);
    const copi_node *old = &s->net->node[node];
    int nsrc = 0;
    for (int i = 0; i < old->nsrc; i++)
        if (!rule->idle || !rule->idle(s, node, i)) src[nsrc++] = s->renamed[s->links.stands[old->src[i]]];
    if (rule->idle && nsrc == 1 && old->nsrc > 1) {
        s->renamed[node] = src[0];
        return;
    }
    copi_node proto = *old;
    if (rule->resize) rule->resize(s, node, &proto);
    s->renamed[node] = copi_graph_add(g, old->name, &proto, src, nsrc);
}

static cop_status build(copi_shrinker *s, cop_net **small) {
    int most = 1;
    for (int n = 0; n < s->net->nodes; n++)
        if (s->net->node[n].nsrc > most) most = s->net->node[n].nsrc;
    int *src = copi_alloc(s->ctx, (size_t)most, sizeof *src);
    cop_graph *g = NULL;
    cop_status status = src ? cop_graph_create(s->ctx, &g) : COP_E_NOMEM;
    if (!status) {
        for (int n = 0; n < s->net->nodes; n++) {
            s->renamed[n] = -1;
            if (s->live[n]) add_node(s, g, n, src);
        }
        status = copi_graph_build_raw(g, small);
    }
    copi_free(s->ctx, src);
    return status ? status : copi_net_inherit(*small, s->net);
}

static cop_status map_make(copi_shrink_map *map, const cop_net *small) {
    *map = (copi_shrink_map){.ctx = small->ctx};
    map->old_param = copi_alloc(small->ctx, (size_t)small->params + 1, sizeof *map->old_param);
    map->index = copi_alloc(small->ctx, (size_t)small->params + 1, sizeof *map->index);
    if (!map->old_param || !map->index) return COP_E_NOMEM;
    map->params = small->params;
    for (int p = 0; p < small->params; p++) {
        map->index[p] = copi_alloc(small->ctx, (size_t)small->param[p].count, sizeof **map->index);
        if (!map->index[p]) return COP_E_NOMEM;
    }
    return COP_OK;
}

static cop_status copy_slice(cop_net *small, copi_param *to, const copi_param *from, const int64_t *index) {
    bool masked = false;
    for (int64_t i = 0; i < to->count; i++) {
        to->data[i] = from->data[index[i]];
        masked |= from->mask && !from->mask[index[i]];
    }
    if (!masked) return COP_OK;
    uint8_t *mask = copi_param_mask(small, to);
    if (!mask) return COP_E_NOMEM;
    for (int64_t i = 0; i < to->count; i++) mask[i] = from->mask[index[i]];
    return COP_OK;
}

/* Copy the remaining entries, then fold in the constants. */
static cop_status fill(copi_shrinker *s, cop_net *small, copi_shrink_map *map) {
    for (int n = 0; n < s->net->nodes; n++) {
        if (s->renamed[n] < 0) continue;
        for (int slot = 0; slot < COPI_SLOTS && rule_of(s, n)->slice; slot++) {
            const copi_param *from = copi_node_slot(s->net, &s->net->node[n], slot);
            if (!from) continue;
            int p = small->node[s->renamed[n]].param[slot];
            map->old_param[p] = s->net->node[n].param[slot];
            int64_t count = rule_of(s, n)->slice(s, n, slot, map->index[p]);
            if (count != small->param[p].count)
                return copi_fail(s->ctx, COP_E_INTERNAL,
                                 "shrink: %s keeps %lld entries, but its new parameter has %lld", from->name,
                                 (long long)count, (long long)small->param[p].count);
            cop_status status = copy_slice(small, &small->param[p], from, map->index[p]);
            if (status) return status;
        }
    }
    for (int n = 0; n < s->net->nodes; n++)
        if (s->renamed[n] >= 0 && rule_of(s, n)->fold) rule_of(s, n)->fold(s, n, small);
    return COP_OK;
}

/* The number of channels and neurons of all layers. */
static int64_t units(const cop_net *net) {
    int64_t count = 0;
    for (int n = 0; n < net->nodes; n++)
        if (copi_op_is(net->node[n].op, COPI_HAS_KERNEL)) count += copi_channels(&net->node[n]);
    return count;
}

static int64_t parameters(const cop_net *net) {
    int64_t count = 0;
    for (int p = 0; p < net->params; p++)
        if (copi_param_counts(net->param[p].kind)) count += net->param[p].count;
    return count;
}

static cop_status note(cop_net *small, const cop_net *net, int64_t removed) {
    if (small->nodes == net->nodes && parameters(small) == parameters(net)) return COP_OK;
    return copi_net_note(small, "shrink: %lld channels and neurons removed, %lld of %lld parameters remain",
                         (long long)removed, (long long)parameters(small), (long long)parameters(net));
}

void copi_shrink_map_clear(copi_shrink_map *map) {
    if (!map) return;
    for (int p = 0; p < map->params; p++) copi_free(map->ctx, map->index[p]);
    copi_free(map->ctx, map->index);
    copi_free(map->ctx, map->old_param);
    *map = (copi_shrink_map){0};
}

/* Shrink once. The caller owns small and map, also on failure. */
static cop_status shrink_once(const cop_net *net, int64_t multiple, cop_net **small, copi_shrink_map *map) {
    copi_shrinker s;
    cop_status status = make(&s, net, multiple);
    if (!status) {
        find_constants(&s);
        couple_live(&s);
        find_kept(&s);
        status = build(&s, small);
    }
    if (!status) status = map_make(map, *small);
    if (!status) status = fill(&s, *small, map);
    clear(&s);
    return status;
}

/* Make map, which leads to an intermediate net, lead to the net before that. */
static void map_through(copi_shrink_map *map, const copi_shrink_map *before, const cop_net *small) {
    for (int p = 0; p < map->params; p++) {
        const int64_t *index = before->index[map->old_param[p]];
        for (int64_t i = 0; i < small->param[p].count; i++) map->index[p][i] = index[map->index[p][i]];
        map->old_param[p] = before->old_param[map->old_param[p]];
    }
}

static bool smaller(const cop_net *a, const cop_net *b) {
    return a->nodes < b->nodes || parameters(a) < parameters(b);
}

/* Shrink *small once more. *places still leads to the original net. */
static cop_status shrink_again(cop_net **small, int64_t multiple, copi_shrink_map *places, bool *changed) {
    cop_net *next = NULL;
    copi_shrink_map step = {0};
    cop_status status = copi_absorb_constants(*small); /* a branch may be constant in the remaining channels */
    if (!status) status = shrink_once(*small, multiple, &next, &step);
    *changed = !status && smaller(next, *small);
    if (!*changed) {
        copi_shrink_map_clear(&step);
        cop_net_destroy(next);
        return status;
    }
    map_through(&step, places, next);
    copi_shrink_map_clear(places);
    cop_net_destroy(*small);
    *small = next;
    *places = step;
    return COP_OK;
}

/* Repeat until nothing changes: a branch may be 0 in exactly the channels that remain after the first time. */
cop_status copi_shrink(const cop_net *net, int64_t multiple, cop_net **shrunk, copi_shrink_map *map,
                       int64_t *units_removed) {
    copi_shrink_map places = {0};
    cop_net *small = NULL, *ready = NULL;
    *shrunk = NULL;
    if (map) *map = places;
    if (units_removed) *units_removed = 0;
    cop_status status = cop_net_clone(net, &ready);
    if (!status) status = copi_absorb_constants(ready);
    if (!status) status = shrink_once(ready, multiple, &small, &places);
    bool changed = !status && smaller(small, net);
    while (!status && changed) status = shrink_again(&small, multiple, &places, &changed);
    cop_net_destroy(ready);
    if (!status) status = note(small, net, units(net) - units(small));
    if (!status && units_removed) *units_removed = units(net) - units(small);
    if (!status && map) {
        *map = places;
        places = (copi_shrink_map){0};
    }
    copi_shrink_map_clear(&places);
    if (status)
        cop_net_destroy(small);
    else
        *shrunk = small;
    return status;
}
