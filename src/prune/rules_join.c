/* Ops that join or relabel channels: add, concat, flatten. */
#include "prune/rules.h"

/* -- add: both summands and the sum share each channel -- */

static void add_couple(copi_links *l, int node) {
    for (int64_t c = 0; c < copi_channels(&l->net->node[node]); c++) {
        copi_links_unite(l, l->first[node] + c, copi_links_input(l, node, 0, c));
        copi_links_unite(l, l->first[node] + c, copi_links_input(l, node, 1, c));
    }
}

static bool add_constant(const copi_known *k, int node, int64_t c, double *value) {
    double a, b;
    bool known = copi_known_input(k, node, 0, c, &a) && copi_known_input(k, node, 1, c, &b);
    if (known) *value = a + b;
    return known;
}

/* If a residual branch is 0, the shortcut remains. */
static int add_same(const copi_known *k, int node) {
    for (int i = 0; i < 2; i++) {
        int64_t c = 0, channels = copi_channels(&k->links->net->node[node]);
        double value;
        while (c < channels && copi_known_input(k, node, i, c, &value) && value == 0) c++;
        if (c == channels) return 1 - i;
    }
    return -1;
}

const copi_rule copi_rule_add = {
    .couple = add_couple, .constant = add_constant, .falls = copi_falls_alike, .same = add_same};

/* -- concat -- */

/* Output channel c is a channel of input *i: which one? */
static int64_t concat_source(const cop_net *net, int node, int64_t c, int *i) {
    for (*i = 0; c >= copi_channels(&net->node[net->node[node].src[*i]]); ++*i)
        c -= copi_channels(&net->node[net->node[node].src[*i]]);
    return c;
}

static void concat_couple(copi_links *l, int node) {
    const copi_node *n = &l->net->node[node];
    int64_t out = l->first[node];
    for (int i = 0; i < n->nsrc; i++)
        for (int64_t c = 0; c < copi_channels(&l->net->node[n->src[i]]); c++)
            copi_links_unite(l, out++, copi_links_input(l, node, i, c));
}

static bool concat_constant(const copi_known *k, int node, int64_t c, double *value) {
    int i;
    int64_t channel = concat_source(k->links->net, node, c, &i);
    return copi_known_input(k, node, i, channel, value);
}

static bool concat_idle(copi_shrinker *s, int node, int i) {
    return copi_kept_channels(s, s->links.stands[s->net->node[node].src[i]], NULL) == 0;
}

const copi_rule copi_rule_concat = {.couple = concat_couple, .constant = concat_constant, .idle = concat_idle};

/* -- flatten: channel c becomes the elements from c * H * W on -- */

static int64_t positions(const cop_net *net, const copi_node *node) {
    return copi_channels(node) / copi_channels(&net->node[node->src[0]]);
}

static void flatten_couple(copi_links *l, int node) {
    int64_t area = positions(l->net, &l->net->node[node]);
    for (int64_t e = 0; e < copi_channels(&l->net->node[node]); e++)
        copi_links_unite(l, l->first[node] + e, copi_links_input(l, node, 0, e / area));
}

static bool flatten_constant(const copi_known *k, int node, int64_t c, double *value) {
    return copi_known_input(k, node, 0, c / positions(k->links->net, &k->links->net->node[node]), value);
}

static bool flatten_falls(const cop_net *net, const copi_node *node, const double *k, double *out) {
    int64_t area = positions(net, node);
    for (int64_t e = 0; out && e < copi_channels(node); e++) out[e] = k[e / area];
    return true;
}

const copi_rule copi_rule_flatten = {.couple = flatten_couple, .constant = flatten_constant, .falls = flatten_falls};
