/* Pruning by a criterion: rank the units of every layer, choose the lowest, mask them. A unit is a weight, or a set
 * of coupled channels (for plain chains: one filter or neuron); layers whose channels are coupled rank as one
 * layer. */
#include "prune/rules.h"

#include <fnmatch.h>
#include <math.h>
#include <string.h>

typedef struct layer {
    int node;       /* the first of those that rank together */
    int64_t at, n;  /* its units are [at, at + n) */
    int64_t masked; /* of them, masked before */
    int64_t floor;  /* at least so many stay */
    int64_t cap;    /* at most so many go */
} layer;

typedef struct ranking {
    cop_ctx *ctx;
    cop_net *net;
    const copi_criterion *criterion;
    const cop_prune_params *params;
    layer *layer; /* [layers] */
    int layers;
    int64_t units;
    float *score;   /* [units]; -infinity: masked before; infinity: must stay */
    uint8_t *keep;  /* [units] */
    float *scratch; /* of copi_lowest */
    /* structured criteria only: */
    copi_links links;
    int64_t *unit;   /* [channels] of the sets' roots: number of its unit + 1; 0: not ranked; FIXED */
    int *together;   /* [nodes] union-find: nodes that rank together */
    int64_t *weight; /* [units] filters or neurons in it */
} ranking;
#define FIXED (-1)

COPI_CHOICES(copi_choice_scope, "layer", "global")
COPI_ENUM(aggregate, COP_AGGREGATE_LIST)

/* macs_at, data and limits are for programs, which name them in the struct. */
static const cop_option options[] = {
    {COPI_OPTION("sparsity", cop_prune_params, sparsity, NUMBER), .high = 1, .since = "0.1",
     .flags = COP_OPTION_BELOW | COP_OPTION_REQUIRED,
     .help = "share of the weights, filters or neurons to remove, including those removed before"},
    {COPI_OPTION("criterion", cop_prune_params, criterion, NAME), .usual_name = "magnitude",
     .choice = cop_criterion_name, .since = "0.1", .help = "ranking criterion"},
    {COPI_OPTION_SCOPE(cop_prune_params, "layer")},
    {COPI_OPTION_KEEP(cop_prune_params)},
    {COPI_OPTION_MACS(cop_prune_params)},
    {COPI_OPTION_AGGREGATE(cop_prune_params)},
    {NULL}};

COPI_OPTION_AT(cop_prune_option, options)

void cop_prune_params_init(cop_prune_params *params, size_t size) {
    cop_prune_params usual = {.size = sizeof usual};
    copi_options_default(options, &usual);
    copi_struct_init(params, size, &usual, sizeof usual);
}

static void clear(ranking *r) {
    copi_links_clear(&r->links);
    copi_free(r->ctx, r->layer);
    copi_free(r->ctx, r->score);
    copi_free(r->ctx, r->keep);
    copi_free(r->ctx, r->scratch);
    copi_free(r->ctx, r->unit);
    copi_free(r->ctx, r->together);
    copi_free(r->ctx, r->weight);
}

static const char *unit_word(const ranking *r) {
    static const char *const words[] = {[COPI_UNIT_WEIGHT] = "weights",
                                        [COPI_UNIT_FILTER] = "filters",
                                        [COPI_UNIT_NEURON] = "neurons",
                                        [COPI_UNIT_CHANNEL] = "channels"};
    return words[r->criterion->unit];
}

static bool ranks(const ranking *r, int node) {
    return r->criterion->ops >> r->net->node[node].op & 1u;
}

static const float *gradient_of(const ranking *r, int node, const float *const *gradient) {
    return r->criterion->needs ? gradient[r->net->node[node].param[0]] : NULL;
}

static cop_status allocate(ranking *r, int64_t units) {
    size_t n = (size_t)units + 1, scratch = (size_t)copi_lowest_scratch(units) + 1;
    r->units = units;
    r->score = copi_alloc(r->ctx, n, sizeof *r->score);
    r->keep = copi_alloc(r->ctx, n, sizeof *r->keep);
    r->scratch = copi_alloc(r->ctx, scratch, sizeof *r->scratch);
    return r->score && r->keep && r->scratch ? COP_OK : COP_E_NOMEM;
}

/* Score one node's units; a score that is no number says that the net has diverged. */
static cop_status score_node(const ranking *r, int node, const float *const *gradient, float *score, int64_t n) {
    const copi_node *at = &r->net->node[node];
    cop_status status = r->criterion->score(r->net, at, gradient_of(r, node, gradient), r->params->seed, score);
    if (status) return status;
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(score[i]))
            return copi_fail(r->ctx, COP_E_RANGE, "%s: '%s' scores %g at %lld of its %s; its weights are damaged",
                             r->criterion->name, at->name, (double)score[i], (long long)i, unit_word(r));
    return COP_OK;
}

/* -- weights: each is a unit, each node a layer -- */

static cop_status rank_weights(ranking *r, const float *const *gradient) {
    int64_t units = 0;
    for (int n = 0; n < r->net->nodes; n++) {
        if (!ranks(r, n)) continue;
        int64_t count = copi_node_slot(r->net, &r->net->node[n], COPI_WEIGHT)->count;
        r->layer[r->layers++] = (layer){.node = n, .at = units, .n = count};
        units += count;
    }
    cop_status status = allocate(r, units);
    for (int i = 0; !status && i < r->layers; i++) {
        layer *l = &r->layer[i];
        const copi_param *p = copi_node_slot(r->net, &r->net->node[l->node], COPI_WEIGHT);
        status = score_node(r, l->node, gradient, r->score + l->at, l->n);
        for (int64_t j = 0; p->mask && j < l->n; j++) {
            if (p->mask[j]) continue;
            r->score[l->at + j] = -INFINITY;
            l->masked++;
        }
    }
    return status;
}

static cop_status mask_weights(ranking *r, bool dry) {
    for (int i = 0; i < r->layers; i++) {
        const layer *l = &r->layer[i];
        copi_param *p = copi_node_slot(r->net, &r->net->node[l->node], COPI_WEIGHT);
        if (dry && memchr(r->keep + l->at, 0, (size_t)l->n) && !copi_param_mask(r->net, p)) return COP_E_NOMEM;
        if (dry || !p->mask) continue;
        memcpy(p->mask, r->keep + l->at, (size_t)l->n); /* what was masked is not kept either */
        for (int64_t j = 0; j < l->n; j++)
            if (!p->mask[j]) p->data[j] = 0;
    }
    return COP_OK;
}

/* -- structures: each set of coupled channels is a unit -- */

static int together(ranking *r, int node) {
    while (r->together[node] != node) node = r->together[node] = r->together[r->together[node]];
    return node;
}

static int64_t *unit_of(ranking *r, int node, int64_t c) {
    return &r->unit[copi_links_root(&r->links, r->links.first[node] + c)];
}

/* Sets that reach the input or the output stay. */
static void find_fixed(ranking *r) {
    for (int n = 0; n < r->net->nodes; n++)
        if (copi_rule_get(r->net->node[n].op)->fixed || n == r->net->nodes - 1)
            for (int64_t c = 0; c < copi_channels(&r->net->node[n]); c++) *unit_of(r, n, c) = FIXED;
}

/* Nodes that share a set rank together, under the first of them. For the time being, unit holds a set's first node
 * + 1. */
static void find_layers(ranking *r) {
    for (int n = 0; n < r->net->nodes; n++)
        for (int64_t c = 0; ranks(r, n) && c < copi_channels(&r->net->node[n]); c++) {
            int64_t *first = unit_of(r, n, c);
            if (*first == FIXED) continue;
            if (!*first) *first = n + 1;
            int a = together(r, (int)*first - 1), b = together(r, n);
            r->together[a < b ? b : a] = a < b ? a : b;
        }
}

/* Number the sets layer by layer, in the order in which they are first met. */
static cop_status number_units(ranking *r) {
    int64_t units = 0;
    for (int first = 0; first < r->net->nodes; first++) {
        if (together(r, first) != first || !ranks(r, first)) continue;
        layer l = {.node = first, .at = units};
        for (int n = first; n < r->net->nodes; n++) {
            if (!ranks(r, n) || together(r, n) != first) continue;
            for (int64_t c = 0; c < copi_channels(&r->net->node[n]); c++) {
                int64_t *unit = unit_of(r, n, c);
                if (*unit == n + 1) *unit = -2 - units++; /* negative: numbered */
            }
        }
        l.n = units - l.at;
        if (l.n) r->layer[r->layers++] = l;
    }
    for (int64_t c = 0; c < r->links.first[r->net->nodes]; c++)
        if (r->unit[c] < FIXED) r->unit[c] = -1 - r->unit[c];
    return allocate(r, units);
}

static bool has_units(ranking *r, int node) {
    bool any = false;
    for (int64_t c = 0; ranks(r, node) && !any && c < copi_channels(&r->net->node[node]); c++)
        any = *unit_of(r, node, c) > 0;
    return any;
}

/* A unit's score is the sum or mean over its members; it counts as masked when all of them are. */
static cop_status score_units(ranking *r, const float *const *gradient) {
    int64_t most = 1;
    for (int n = 0; n < r->net->nodes; n++)
        if (copi_channels(&r->net->node[n]) > most) most = copi_channels(&r->net->node[n]);
    float *score = copi_alloc(r->ctx, (size_t)most, sizeof *score);
    r->weight = copi_alloc(r->ctx, (size_t)r->units + 1, sizeof *r->weight);
    cop_status status = score && r->weight ? COP_OK : COP_E_NOMEM;
    memset(r->keep, 0, (size_t)r->units); /* here: 1 when a member is not masked */
    for (int n = 0; !status && n < r->net->nodes; n++) {
        if (!has_units(r, n)) continue;
        const copi_node *node = &r->net->node[n];
        status = score_node(r, n, gradient, score, copi_channels(node));
        for (int64_t c = 0; !status && c < copi_channels(node); c++) {
            int64_t u = *unit_of(r, n, c) - 1;
            if (u < 0) continue;
            r->score[u] += score[c];
            r->weight[u]++;
            if (!copi_rule_get(node->op)->masked(r->net, node, c)) r->keep[u] = 1;
        }
    }
    if (r->params->aggregate == COP_AGGREGATE_MEAN)
        for (int64_t u = 0; !status && u < r->units; u++) r->score[u] /= (float)r->weight[u];
    for (int i = 0; !status && i < r->layers; i++)
        for (int64_t u = r->layer[i].at; u < r->layer[i].at + r->layer[i].n; u++) {
            if (r->keep[u]) continue;
            r->score[u] = -INFINITY;
            r->layer[i].masked++;
        }
    copi_free(r->ctx, score);
    return status;
}

static cop_status rank_structures(ranking *r, const float *const *gradient) {
    cop_status status = copi_links_make(&r->links, r->net);
    if (status) return status;
    copi_links_bundle_all(&r->links);
    r->unit = copi_alloc(r->ctx, (size_t)r->links.first[r->net->nodes], sizeof *r->unit);
    r->together = copi_alloc(r->ctx, (size_t)r->net->nodes, sizeof *r->together);
    if (!r->unit || !r->together) return COP_E_NOMEM;
    for (int n = 0; n < r->net->nodes; n++) r->together[n] = n;
    find_fixed(r);
    find_layers(r);
    status = number_units(r);
    return status ? status : score_units(r, gradient);
}

static bool chosen(ranking *r, int64_t channel) {
    int64_t unit = r->unit[copi_links_root(&r->links, channel)];
    return unit > 0 && !r->keep[unit - 1];
}

/* Call act, unless it is NULL, for each of count channels from first on that was chosen; any: there is one. */
static cop_status each_chosen(ranking *r, const copi_node *node, int64_t first, int64_t count,
                              cop_status (*act)(cop_net *, const copi_node *, int64_t), bool *any) {
    cop_status status = COP_OK;
    for (int64_t c = 0; !status && c < count; c++) {
        if (!chosen(r, first + c)) continue;
        *any = true;
        if (act) status = act(r->net, node, c);
    }
    return status;
}

/* Mask all members of a unit that have parameters: kernels, biases, batch-norms. They give 0 then, so the weights
 * that read them do nothing: masked too, and sparsity is the same before and after the unit is removed. dry: only
 * find the memory for it, so that nothing is masked if there is none. */
static cop_status mask_structures(ranking *r, bool dry) {
    for (int n = 0; n < r->net->nodes; n++) {
        const copi_node *node = &r->net->node[n];
        const copi_rule *rule = copi_rule_get(node->op);
        bool own = false, input = false;
        cop_status status = COP_OK;
        if (rule->mask)
            status = each_chosen(r, node, r->links.first[n], copi_channels(node), dry ? NULL : rule->mask, &own);
        if (!status && rule->mask_input)
            status = each_chosen(r, node, copi_links_input(&r->links, n, 0, 0),
                                 copi_channels(&r->net->node[node->src[0]]), dry ? NULL : rule->mask_input, &input);
        for (int slot = 0; !status && dry && slot < COPI_SLOTS; slot++) {
            copi_param *p = copi_node_slot(r->net, node, slot);
            if (!p || !copi_param_counts(p->kind) || !(own || (input && slot == COPI_WEIGHT))) continue;
            if (!copi_param_mask(r->net, p)) status = COP_E_NOMEM;
        }
        if (status) return status;
    }
    return COP_OK;
}

/* -- choosing -- */

/* How many of n the asked share is; never more than asked. The small term forgives the rounding of share * n. */
static int64_t share_of(double share, int64_t n) {
    return (int64_t)(share * (double)n + 1e-6);
}

static bool limits_layer(ranking *r, const cop_layer_limit *limit, int first) {
    for (int n = first; n < r->net->nodes; n++) {
        bool belongs = n == first || (r->together && ranks(r, n) && together(r, n) == first);
        if (belongs && fnmatch(limit->layer, r->net->node[n].name, 0) == 0) return true;
    }
    return false;
}

/* The tightest floor and cap of each layer. */
static void find_limits(ranking *r) {
    for (int i = 0; i < r->layers; i++) {
        layer *l = &r->layer[i];
        l->floor = r->params->keep;
        l->cap = l->n;
        for (int k = 0; k < r->params->limits; k++) {
            const cop_layer_limit *limit = &r->params->limit[k];
            if (!limits_layer(r, limit, l->node)) continue;
            int64_t cap = share_of(limit->most, l->n);
            if (limit->keep > l->floor) l->floor = limit->keep;
            if (cap < l->cap) l->cap = cap;
        }
    }
}

/* The share of a layer that its floor lets go. */
static double may_go(const layer *l) {
    return l->n > l->floor ? (double)(l->n - l->floor) / (double)l->n : 0;
}

/* Each layer gives its share. */
static cop_status choose_by_layer(ranking *r) {
    const layer *worst = NULL;
    for (int i = 0; i < r->layers; i++) {
        layer *l = &r->layer[i];
        int64_t k = share_of(r->params->sparsity, l->n);
        if (k > l->cap) k = l->cap;
        if (k <= l->masked)
            k = l->masked; /* nothing new goes, whatever is left */
        else if (l->n - k < l->floor && (!worst || may_go(l) < may_go(worst)))
            worst = l;
        copi_lowest(r->score + l->at, l->n, k, r->keep + l->at, r->scratch);
    }
    if (!worst) return COP_OK;
    return copi_fail(
        r->ctx, COP_E_REFUSED,
        "%s: '%s' has %lld %s, sparsity %g would leave %lld, at least %lld must stay; up to %.9g works, or "
        "a cap on this layer",
        r->criterion->name, r->net->node[worst->node].name, (long long)worst->n, unit_word(r), r->params->sparsity,
        (long long)(worst->n - share_of(r->params->sparsity, worst->n)), (long long)worst->floor, may_go(worst));
}

/* The lowest of all layers together, a share of everything; but first each layer's best are set apart. */
static cop_status choose_globally(ranking *r, double share) {
    int64_t masked = 0, stay = 0, most = 0;
    const layer *tightest = NULL; /* the one that holds back most of its units */
    for (int i = 0; i < r->layers; i++) {
        layer *l = &r->layer[i];
        int64_t may_go = l->n > l->floor ? l->n - l->floor : 0, held = 0;
        if (may_go > l->cap) may_go = l->cap;
        copi_lowest(r->score + l->at, l->n, may_go, r->keep + l->at, r->scratch);
        for (int64_t u = l->at; u < l->at + l->n; u++) {
            if (!r->keep[u] || r->score[u] == -INFINITY) continue;
            r->score[u] = INFINITY;
            held++;
        }
        masked += l->masked;
        stay += held;
        if (!tightest || held > most) {
            tightest = l;
            most = held;
        }
    }
    int64_t k = share_of(share, r->units);
    if (k <= masked)
        k = masked;
    else if (k > r->units - stay)
        return copi_fail(r->ctx, COP_E_REFUSED,
                         "%s: sparsity %g would take %lld of all %lld %s, but floors and caps of %d layers hold %lld "
                         "('%s' most: %lld of %lld); up to %.9g works",
                         r->criterion->name, share, (long long)k, (long long)r->units, unit_word(r), r->layers,
                         (long long)stay, r->net->node[tightest->node].name, (long long)most, (long long)tightest->n,
                         (double)(r->units - stay) / (double)r->units);
    copi_lowest(r->score, r->units, k, r->keep, r->scratch);
    return COP_OK;
}

/* -- MACs -- */

static double macs_of_weight(const copi_node *node) {
    return node->op == COPI_OP_CONV ? (double)node->shape[1] * (double)node->shape[2] : 1;
}

/* Divide scores of weights by a power of their MACs. */
static void weigh(ranking *r, double power) {
    for (int i = 0; i < r->layers; i++) {
        const layer *l = &r->layer[i];
        float scale = (float)pow(macs_of_weight(&r->net->node[l->node]), -power);
        for (int64_t u = l->at; u < l->at + l->n; u++) r->score[u] *= scale;
    }
}

static double macs_kept(const ranking *r) {
    double macs = 0;
    for (int i = 0; i < r->layers; i++) {
        const layer *l = &r->layer[i];
        int64_t kept = 0;
        for (int64_t u = l->at; u < l->at + l->n; u++) kept += r->keep[u];
        macs += (double)kept * macs_of_weight(&r->net->node[l->node]);
    }
    return macs;
}

/* The least power that leaves no more MACs than asked at sparsity `share`, by halves. plain [units]: the scores. */
static cop_status search_power(ranking *r, const float *plain, double share, double *power) {
    enum { HALVINGS = 10 };
    static const double most = 4; /* by then all that is used often goes before all that is used once */
    cop_net_info info;
    cop_net_get_info(r->net, &info);
    double asked = r->params->macs * (r->params->macs < 1 ? (double)info.macs_dense : 1);
    double misses = 0, meets = most, macs = 0;
    cop_status status = COP_OK;
    for (int i = 0; !status && i < HALVINGS + 2; i++) { /* the least, the most, then halves */
        double at = i == 0 ? misses : i == 1 ? meets : (misses + meets) / 2;
        memcpy(r->score, plain, (size_t)r->units * sizeof *plain);
        weigh(r, at);
        status = choose_globally(r, share);
        if (!status) macs = macs_kept(r);
        if (!status && macs <= asked)
            meets = at;
        else if (i == 1)
            break;
        else
            misses = at;
        if (meets <= 0) break;
    }
    if (!status && macs > asked && meets >= most)
        status =
            copi_fail(r->ctx, COP_E_REFUSED,
                      "%s: sparsity %g leaves %.0f MACs at least, %.0f are asked for: more macs or a higher sparsity "
                      "would do",
                      r->criterion->name, share, macs, asked);
    *power = meets;
    return status;
}

static cop_status weigh_by_macs(ranking *r) {
    const cop_prune_params *p = r->params;
    double power = r->criterion->macs_power;
    cop_status status = COP_OK;
    if (p->macs > 0) {
        size_t n = (size_t)r->units;
        float *plain = copi_alloc(r->ctx, n, sizeof *plain);
        if (!plain) return COP_E_NOMEM;
        memcpy(plain, r->score, n * sizeof *plain);
        status = search_power(r, plain, fmax(p->macs_at, p->sparsity), &power);
        memcpy(r->score, plain, n * sizeof *plain);
        copi_free(r->ctx, plain);
    }
    if (!status) weigh(r, power);
    return status;
}

static const char *layer_at(int i, const void *net) {
    return ((const cop_net *)net)->node[i].name;
}

cop_status copi_limits_check(cop_ctx *ctx, const cop_layer_limit *limit, int limits, const cop_net *net) {
    if (limits < 0 || (limits && !limit))
        return copi_fail(ctx, COP_E_ARG, "limits is %d, but no limit is given", limits);
    for (int i = 0; i < limits; i++) {
        const char *name = limit[i].layer;
        if (!name || !*name) return copi_fail(ctx, COP_E_ARG, "limit %d names no layer", i);
        cop_status status = COPI_CHECK_RESERVE(ctx, cop_layer_limit, limit[i]);
        if (status) return status;
        if (limit[i].keep < 0)
            return copi_fail(ctx, COP_E_RANGE, "limit of '%s': keep is %lld; expected 0 or more", name,
                             (long long)limit[i].keep);
        if (!(limit[i].most >= 0 && limit[i].most <= 1))
            return copi_fail(ctx, COP_E_RANGE, "limit of '%s': most is %g; expected a number in [0,1]", name,
                             limit[i].most);
        bool fits = !net;
        for (int n = 0; !fits && n < net->nodes; n++) fits = fnmatch(name, net->node[n].name, 0) == 0;
        if (fits) continue;
        const char *near = copi_nearest(name, net->nodes, layer_at, net);
        return copi_fail(ctx, COP_E_NOT_FOUND, "limit of '%s': the net has no such layer%s%s%s", name,
                         near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    return COP_OK;
}

cop_status copi_macs_check(cop_ctx *ctx, const copi_criterion *criterion, const char *scope, double macs) {
    if (macs > 0 && !(criterion->unit == COPI_UNIT_WEIGHT && !strcmp(scope, "global")))
        return copi_fail(ctx, COP_E_ARG,
                         "macs has no effect on %s, scope %s; what ranks weights, scope global, heeds it",
                         criterion->name, scope);
    return COP_OK;
}

static cop_status check(const cop_net *net, const cop_prune_params *p, const copi_criterion **criterion) {
    cop_ctx *ctx = net->ctx;
    *criterion = copi_criterion_find(p->criterion);
    if (!*criterion) {
        const char *given = p->criterion ? p->criterion : "";
        const char *nearest = cop_nearest(given, cop_criterion_name);
        return copi_fail(ctx, COP_E_NOT_FOUND, "no criterion is named '%s'%s%s%s", given,
                         nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    }
    cop_status status = copi_options_check(ctx, NULL, options, p);
    if (status) return status;
    if (!(p->macs_at >= 0 && p->macs_at < 1))
        return copi_fail(ctx, COP_E_RANGE, "macs_at %g: at least 0, less than 1", p->macs_at);
    status = copi_macs_check(ctx, *criterion, p->scope, p->macs);
    return status ? status : copi_limits_check(ctx, p->limit, p->limits, net);
}

static void count(const ranking *r, int64_t *ranked, int64_t *removed) {
    for (int64_t u = 0; u < r->units; u++) {
        int64_t weight = r->weight ? r->weight[u] : 1;
        *ranked += weight;
        if (!r->keep[u]) *removed += weight;
    }
}

static cop_status note(const ranking *r) {
    int64_t ranked = 0, removed = 0;
    count(r, &ranked, &removed);
    if (!removed) return COP_OK;
    return copi_net_note(r->net, "prune: %s, scope %s, asked %g: %lld of %lld %s at zero", r->criterion->name,
                         r->params->scope, r->params->sparsity, (long long)removed, (long long)ranked, unit_word(r));
}

static bool idle(ranking *r, const cop_layer_limit *limit) {
    for (int i = 0; i < r->layers; i++)
        if (limits_layer(r, limit, r->layer[i].node)) return false;
    return true;
}

static void fill_report(ranking *r, cop_prune_report *report) {
    count(r, &report->ranked, &report->removed);
    cop_net_info info;
    cop_net_get_info(r->net, &info);
    report->asked = r->params->sparsity;
    report->obtained = info.sparsity;
    for (int k = 0; !report->idle && k < r->params->limits; k++)
        if (idle(r, &r->params->limit[k])) report->idle = r->params->limit[k].layer;
}

/* The layer that keeps all units of this one: the output, or what is tied to the input; -1: none does. */
static int fixed_by(const copi_groups *groups, int node) {
    for (int64_t g = 0; g < groups->groups; g++)
        for (int m = 0; groups->group[g].fixed && m < groups->group[g].members; m++)
            if (groups->group[g].member[m].node == node) return groups->group[g].fixed_by;
    return -1;
}

/* Nothing can be ranked: which layers have such units, and what ties them. */
static cop_status refuse_all(const ranking *r) {
    enum { NAMED = 6 };
    copi_groups groups;
    copi_buffer text;
    int named = 0;
    cop_status status = copi_groups_find(r->net, &groups);
    if (status) return status;
    copi_buffer_init(&text, r->ctx);
    for (int n = 0; n < r->net->nodes && named <= NAMED; n++) {
        int by = ranks(r, n) ? fixed_by(&groups, n) : -1;
        if (by < 0) continue;
        const copi_node *node = &r->net->node[n], *tie = &r->net->node[by];
        const char *how = tie->op == COPI_OP_INPUT ? "tied to the input" : "tied to the output by";
        if (named++ == NAMED)
            copi_buffer_text(&text, ", ...");
        else if (by == n)
            copi_buffer_printf(&text, "%s'%s' is the output", named > 1 ? ", " : "", node->name);
        else
            copi_buffer_printf(&text, "%s'%s' is %s '%s'", named > 1 ? ", " : "", node->name, how, tie->name);
    }
    copi_groups_clear(&groups);
    if (!text.failed)
        status = copi_fail(r->ctx, COP_E_REFUSED, "%s: the net has no %s that could go%s%s", r->criterion->name,
                           unit_word(r), named ? ": " : "; it has no such layer", named ? text.data : "");
    else
        status = COP_E_NOMEM;
    copi_buffer_clear(&text);
    return status;
}

static cop_status run(ranking *r, const float *const *gradient) {
    bool weights = r->criterion->unit == COPI_UNIT_WEIGHT;
    r->layer = copi_alloc(r->ctx, (size_t)r->net->nodes, sizeof *r->layer);
    if (!r->layer) return COP_E_NOMEM;
    cop_status status = weights ? rank_weights(r, gradient) : rank_structures(r, gradient);
    if (status) return status;
    if (!r->layers && r->params->sparsity > 0) return refuse_all(r);
    find_limits(r);
    bool by_layer = strcmp(r->params->scope, "layer") == 0;
    if (!by_layer && (r->criterion->macs_power > 0 || r->params->macs > 0)) status = weigh_by_macs(r);
    if (!status) status = by_layer ? choose_by_layer(r) : choose_globally(r, r->params->sparsity);
    if (status) return status;
    /* first, dry, all that could fail, so that a net is pruned or as it was */
    cop_status (*mask)(ranking *, bool dry) = weights ? mask_weights : mask_structures;
    status = mask(r, true);
    if (!status) status = note(r);
    return status ? status : mask(r, false);
}

cop_status copi_prune(cop_net *net, const cop_prune_params *params, const float *const *gradient,
                      cop_prune_report *report) {
    if (report) *report = (cop_prune_report){0};
    ranking r = {.ctx = net->ctx, .net = net, .params = params};
    cop_status status = check(net, params, &r.criterion);
    if (status) return status;
    if (r.criterion->needs && !gradient)
        return copi_fail(net->ctx, COP_E_ARG, "%s looks at gradients: it needs data", r.criterion->name);
    status = run(&r, gradient);
    if (!status && report) fill_report(&r, report);
    clear(&r);
    return status;
}
