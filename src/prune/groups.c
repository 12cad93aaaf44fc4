/* Coupling groups: the sets of producers' output channels that are kept or removed together. */
#include "prune/rules.h"

static bool produces(copi_op op) {
    return op == COPI_OP_INPUT || op == COPI_OP_CONV || op == COPI_OP_DENSE;
}

void copi_groups_clear(copi_groups *groups) {
    if (!groups) return;
    for (int64_t g = 0; groups->group && g < groups->groups; g++) copi_free(groups->ctx, groups->group[g].member);
    copi_free(groups->ctx, groups->group);
    *groups = (copi_groups){0};
}

/* number [channels]: of the group that a root stands for, plus one. Groups are numbered by their first member. */
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
    }
    copi_free(l->ctx, members);
    for (int n = 0; !status && n < net->nodes; n++)
        for (int64_t c = 0; c < copi_channels(&net->node[n]); c++) {
            int64_t at = number[copi_links_root(l, l->first[n] + c)];
            if (!at) continue; /* no producer is in it */
            copi_group *group = &groups->group[at - 1];
            if (copi_rule_get(net->node[n].op)->fixed || n == net->nodes - 1) group->fixed = true;
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
