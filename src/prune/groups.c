/* Coupling groups: sets of output channels, of layers and the input, that are kept or removed together. */
#include "prune/rules.h"

#include <string.h>

static bool produces(copi_op op) {
    return op == COPI_OP_INPUT || copi_op_is(op, COPI_HAS_KERNEL);
}

void copi_groups_clear(copi_groups *groups) {
    if (!groups) return;
    for (int64_t g = 0; groups->group && g < groups->groups; g++) copi_free(groups->ctx, groups->group[g].member);
    copi_free(groups->ctx, groups->group);
    *groups = (copi_groups){0};
}

/* number [channels]: 1 + the number of a root's group; 0: none. Groups are numbered in the order of their first
 * members. */
static cop_status fill(copi_links *l, int64_t *number, copi_groups *groups) {
    const cop_net *net = l->net;
    int64_t channels = l->first[net->nodes];
    for (int n = 0; n < net->nodes; n++)
        for (int64_t c = 0; produces(net->node[n].op) && c < copi_channels(&net->node[n]); c++) {
            int64_t root = copi_links_root(l, l->first[n] + c);
            if (!number[root]) number[root] = ++groups->groups;
        }
    groups->group = copi_alloc(l->ctx, (size_t)groups->groups, sizeof *groups->group);
    int *members = copi_alloc(l->ctx, (size_t)channels, sizeof *members);
    cop_status status = groups->group && members ? COP_OK : COP_E_NOMEM;
    for (int n = 0; !status && n < net->nodes; n++)
        for (int64_t c = 0; produces(net->node[n].op) && c < copi_channels(&net->node[n]); c++)
            members[number[copi_links_root(l, l->first[n] + c)] - 1]++;
    for (int64_t g = 0; !status && g < groups->groups; g++) {
        groups->group[g].member = copi_alloc(l->ctx, (size_t)members[g], sizeof *groups->group[g].member);
        if (!groups->group[g].member) status = COP_E_NOMEM;
        groups->group[g].fixed_by = -1;
    }
    copi_free(l->ctx, members);
    for (int n = 0; !status && n < net->nodes; n++)
        for (int64_t c = 0; c < copi_channels(&net->node[n]); c++) {
            int64_t at = number[copi_links_root(l, l->first[n] + c)];
            if (!at) continue; /* no layer, and not the input, is in it */
            copi_group *group = &groups->group[at - 1];
            if ((copi_rule_get(net->node[n].op)->fixed || n == net->nodes - 1) && !group->fixed) {
                group->fixed = true;
                group->fixed_by = n;
            }
            if (produces(net->node[n].op)) group->member[group->members++] = (copi_group_member){n, c};
        }
    return status;
}

cop_status copi_groups_find(const cop_net *net, copi_groups *groups) {
    *groups = (copi_groups){.ctx = net->ctx};
    copi_links l;
    cop_status status = copi_links_make(&l, net);
    if (status) return status;
    copi_links_bundle_all(&l);
    int64_t *number = copi_alloc(net->ctx, (size_t)l.first[net->nodes], sizeof *number);
    status = number ? fill(&l, number, groups) : COP_E_NOMEM;
    copi_free(net->ctx, number);
    copi_links_clear(&l);
    if (status) copi_groups_clear(groups);
    return status;
}

/* -- as users see them: layers, not channels -- */

struct cop_groups {
    cop_ctx *ctx;
    char *names;          /* one block of all names */
    const char **layer;   /* [layers] pointers into it, group by group */
    cop_group_info *info; /* [groups] */
    int groups;
};

void cop_groups_destroy(cop_groups *g) {
    if (!g) return;
    copi_free(g->ctx, g->names);
    copi_free(g->ctx, g->layer);
    copi_free(g->ctx, g->info);
    copi_free(g->ctx, g);
}

int cop_groups_count(const cop_groups *groups) {
    return groups ? groups->groups : 0;
}

cop_status cop_groups_get(const cop_groups *g, int i, cop_group_info *info) {
    if (info) *info = (cop_group_info){0};
    COPI_REQUIRE(NULL, g);
    COPI_REQUIRE(g->ctx, info);
    if (i < 0 || i >= g->groups)
        return copi_fail(g->ctx, COP_E_RANGE, "coupling group %d; the net has groups 0 to %d", i, g->groups - 1);
    *info = g->info[i];
    return COP_OK;
}

static int first_of(int *first, int node) {
    while (first[node] != node) node = first[node] = first[first[node]];
    return node;
}

/* first [nodes]: the first layer whose channels are coupled to this one's, directly or through others. */
static void join_layers(const cop_net *net, const copi_groups *sets, int *first) {
    for (int n = 0; n < net->nodes; n++) first[n] = n;
    for (int64_t s = 0; s < sets->groups; s++)
        for (int m = 1; m < sets->group[s].members; m++) {
            int a = first_of(first, sets->group[s].member[0].node),
                b = first_of(first, sets->group[s].member[m].node);
            first[a < b ? b : a] = a < b ? a : b;
        }
}

static const char *name_of(const cop_groups *g, const cop_net *net, int node) {
    const char *at = g->names;
    for (int n = 0; n < node; n++) at += strlen(net->node[n].name) + 1;
    return at;
}

static void add_layer(cop_groups *g, cop_group_info *info, int *layers, const cop_net *net, int n) {
    cop_layer_info layer;
    g->layer[*layers] = name_of(g, net, n);
    if (!info->layers) info->name = g->layer[*layers];
    info->layers++;
    ++*layers;
    info->channels += copi_channels(&net->node[n]);
    if (cop_net_get_layer(net, n, &layer)) return; /* n is in range, so it cannot fail */
    info->parameters += layer.parameters;
    info->macs += layer.macs;
}

static cop_status copy_names(cop_groups *g, const cop_net *net) {
    size_t bytes = 1;
    for (int n = 0; n < net->nodes; n++) bytes += strlen(net->node[n].name) + 1;
    g->names = copi_alloc(g->ctx, bytes, 1);
    g->layer = copi_alloc(g->ctx, (size_t)net->nodes, sizeof *g->layer);
    g->info = copi_alloc(g->ctx, (size_t)net->nodes, sizeof *g->info);
    if (!g->names || !g->layer || !g->info) return COP_E_NOMEM;
    char *at = g->names;
    for (int n = 0; n < net->nodes; n++) {
        size_t length = strlen(net->node[n].name) + 1;
        memcpy(at, net->node[n].name, length);
        at += length;
    }
    return COP_OK;
}

/* number [nodes]: the group number of each group's first layer. */
static void describe(cop_groups *g, const cop_net *net, const copi_groups *sets, int *first, int *number) {
    int layers = 0;
    for (int n = 0; n < net->nodes; n++) {
        if (!produces(net->node[n].op) || first_of(first, n) != n) continue;
        cop_group_info *info = &g->info[number[n] = g->groups++];
        info->layer = g->layer + layers;
        for (int k = n; k < net->nodes; k++)
            if (produces(net->node[k].op) && first_of(first, k) == n) add_layer(g, info, &layers, net, k);
    }
    for (int64_t s = 0; s < sets->groups; s++) {
        const copi_group *set = &sets->group[s];
        cop_group_info *info = &g->info[number[first_of(first, set->member[0].node)]];
        if (!set->fixed) {
            info->units++;
            continue;
        }
        if (!info->fixed_by) info->fixed_by = name_of(g, net, set->fixed_by);
        info->fixed++;
    }
}

cop_status cop_groups_create(const cop_net *net, cop_groups **groups) {
    if (groups) *groups = NULL;
    COPI_REQUIRE(NULL, net);
    COPI_REQUIRE(net->ctx, groups);
    *groups = copi_alloc(net->ctx, 1, sizeof **groups);
    if (!*groups) return COP_E_NOMEM;
    (*groups)->ctx = net->ctx;
    copi_groups sets = {0};
    int *first = copi_alloc(net->ctx, 2 * (size_t)net->nodes, sizeof *first);
    cop_status status = first ? copy_names(*groups, net) : COP_E_NOMEM;
    if (!status) status = copi_groups_find(net, &sets);
    if (!status) {
        join_layers(net, &sets, first);
        describe(*groups, net, &sets, first, first + net->nodes);
    }
    copi_groups_clear(&sets);
    copi_free(net->ctx, first);
    if (!status) return COP_OK;
    cop_groups_destroy(*groups);
    *groups = NULL;
    return status;
}
