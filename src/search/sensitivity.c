/* Sensitivity: remove a share of one coupling group at a time and measure the accuracy.
 * docs/methods.md, "Sensitivity". */
#include "report/report.h"

#include <math.h>
#include <string.h>

static const double usual_level[] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};

void cop_sensitivity_params_init(cop_sensitivity_params *params, size_t size) {
    const cop_sensitivity_params usual = {.size = sizeof usual,
                                          .level = usual_level,
                                          .levels = (int)COPI_COUNT(usual_level),
                                          .floor = NAN,
                                          .lose = 0.01,
                                          .seed = 1};
    copi_struct_init(params, size, &usual, sizeof usual);
}

void cop_sensitivity_clear(cop_sensitivity *r) {
    if (!r || !r->ctx) return;
    for (int g = 0; r->group && g < r->groups; g++) {
        copi_free(r->ctx, r->group[g].name);
        copi_free(r->ctx, r->group[g].layers);
        copi_free(r->ctx, r->group[g].accuracy);
        copi_free(r->ctx, r->group[g].sparsity);
    }
    copi_free(r->ctx, r->group);
    copi_free(r->ctx, r->level);
    *r = (cop_sensitivity){0};
}

static cop_status check(cop_ctx *ctx, const cop_data *data, const cop_sensitivity_params *p) {
    cop_status status = COPI_CHECK(ctx, cop_sensitivity_params, p);
    if (status) return status;
    if (p->levels < 1 || !p->level) return copi_fail(ctx, COP_E_ARG, "sensitivity: no levels are given");
    for (int i = 0; i < p->levels; i++)
        if (!(p->level[i] > 0 && p->level[i] < 1) || (i && p->level[i] <= p->level[i - 1]))
            return copi_fail(ctx, COP_E_RANGE, "sensitivity: level %d is %g; levels must rise and lie in (0,1)", i,
                             p->level[i]);
    if (!(p->lose >= 0 && p->lose <= 1))
        return copi_fail(ctx, COP_E_RANGE, "sensitivity: lose is %g; expected a number in [0,1]", p->lose);
    if (!isnan(p->floor) && !(p->floor >= 0 && p->floor <= 1))
        return copi_fail(ctx, COP_E_RANGE, "sensitivity: floor is %g; expected a number in [0,1]", p->floor);
    if (!data->info.images[COP_SPLIT_VALIDATION])
        return copi_fail(ctx, COP_E_NOT_FOUND, "sensitivity: %s has no validation images; set a validation share",
                         data->info.path);
    return COP_OK;
}

typedef struct probe {
    cop_ctx *ctx;
    const cop_net *net;
    const cop_data *data;
    const cop_sensitivity_params *params;
    cop_groups *groups;
    cop_layer_limit *limit; /* [net nodes] room for one limit per layer */
    copi_meter *meter;
    cop_sensitivity *result;
} probe;

static const char *criterion_of(const probe *p, const cop_group_info *info) {
    if (p->params->criterion) return p->params->criterion;
    for (int i = 0; i < info->layers; i++)
        if (p->net->node[copi_net_find(p->net, info->layer[i])].op == COPI_OP_CONV) return "l2-filter";
    return "l2-neuron";
}

/* Is a group probed? It is if some of it can be removed and the criterion ranks one of its layers. */
static bool probed(const probe *p, int g, cop_group_info *info) {
    if (cop_groups_get(p->groups, g, info) || !info->units) return false;
    const copi_criterion *criterion = copi_criterion_find(criterion_of(p, info));
    if (!criterion) return true; /* cop_prune reports it */
    for (int i = 0; i < info->layers; i++)
        if (criterion->ops >> p->net->node[copi_net_find(p->net, info->layer[i])].op & 1u) return true;
    return false;
}

/* Limit the layers of each group: cap [cop_groups_count] is the largest share that may go. Returns the number of
 * limits. */
static int cap_groups(probe *p, const double *cap) {
    int n = 0;
    for (int g = 0; g < cop_groups_count(p->groups); g++) {
        cop_group_info info;
        if (cop_groups_get(p->groups, g, &info)) continue; /* g is in range: it can't fail */
        for (int i = 0; i < info.layers; i++) p->limit[n++] = (cop_layer_limit){info.layer[i], 0, cap[g]};
    }
    return n;
}

static cop_status measure(probe *p, cop_net *net, double *accuracy, double *sparsity) {
    cop_eval eval;
    cop_net_info info;
    cop_status status = copi_recalibrate(net, p->data, COPI_SETTLE_IMAGES, true);
    if (!status) status = copi_meter_run(p->meter, net, COP_SPLIT_VALIDATION, &eval);
    if (status) return status;
    cop_net_get_info(net, &info);
    *accuracy = eval.accuracy;
    *sparsity = info.sparsity;
    return COP_OK;
}

static cop_status prune(probe *p, cop_net *net, const char *criterion, double share, int limits) {
    cop_prune_params cut = cop_prune_params_default();
    cut.criterion = criterion;
    cut.sparsity = share;
    cut.aggregate = p->params->aggregate;
    cut.limit = p->limit;
    cut.limits = limits;
    cut.seed = p->params->seed;
    cut.data = p->data;
    return cop_prune(net, &cut, NULL);
}

/* One group at one level; the others stay as they are. cap [groups] holds zeros. */
static cop_status probe_level(probe *p, int g, const cop_group_info *info, double *cap, int k,
                              cop_sensitivity_group *out) {
    cop_net *net = NULL;
    cop_status status = cop_net_clone(p->net, &net);
    cap[g] = 1;
    int limits = cap_groups(p, cap);
    cap[g] = 0;
    if (!status) status = prune(p, net, criterion_of(p, info), p->params->level[k], limits);
    if (!status) status = measure(p, net, &out->accuracy[k], &out->sparsity[k]);
    cop_net_destroy(net);
    return status;
}

static char *layers_of(cop_ctx *ctx, const cop_group_info *info) {
    copi_buffer b;
    copi_buffer_init(&b, ctx);
    for (int i = 0; i < info->layers; i++) copi_buffer_printf(&b, "%s%s", i ? " " : "", info->layer[i]);
    char *text = b.failed ? NULL : copi_strdup(ctx, b.data);
    copi_buffer_clear(&b);
    return text;
}

static cop_status probe_group(probe *p, int g, const cop_group_info *info, double *cap, int groups) {
    cop_sensitivity *r = p->result;
    cop_sensitivity_group *out = &r->group[r->groups++];
    out->units = info->units;
    out->name = copi_strdup(p->ctx, info->name);
    out->layers = layers_of(p->ctx, info);
    out->accuracy = copi_alloc(p->ctx, (size_t)r->levels, sizeof *out->accuracy);
    out->sparsity = copi_alloc(p->ctx, (size_t)r->levels, sizeof *out->sparsity);
    if (!out->name || !out->layers || !out->accuracy || !out->sparsity) return COP_E_NOMEM;
    bool holds = true;
    cop_status status = COP_OK;
    for (int k = 0; !status && k < r->levels; k++) {
        char label[128];
        snprintf(label, sizeof label, "%.100s %.3g", out->name, r->level[k]);
        copi_progress_trial(p->ctx, label, (r->groups - 1) * r->levels + k + 1, groups * r->levels);
        if (copi_cancelled(p->ctx))
            return copi_fail(p->ctx, COP_E_CANCELLED, "sensitivity: interrupted at %s", label);
        status = probe_level(p, g, info, cap, k, out);
        holds = holds && !status && out->accuracy[k] >= r->floor;
        if (holds) out->advice = r->level[k];
    }
    return status;
}

/* All groups at the advised levels, the last group first: a cut also removes weights of the layers behind it, which
 * would change their scores. */
static cop_status probe_advice(probe *p, double *cap) {
    cop_sensitivity *r = p->result;
    cop_net *net = NULL;
    cop_group_info info;
    cop_status status = cop_net_clone(p->net, &net);
    copi_progress_trial(p->ctx, "all as advised", r->groups * r->levels, r->groups * r->levels);
    for (int g = cop_groups_count(p->groups) - 1, at = r->groups; !status && g >= 0; g--) {
        if (!probed(p, g, &info)) continue;
        double advice = r->group[--at].advice;
        if (!advice) continue;
        cap[g] = 1;
        int limits = cap_groups(p, cap);
        cap[g] = 0;
        status = prune(p, net, criterion_of(p, &info), advice, limits);
    }
    if (!status) status = measure(p, net, &r->advised_accuracy, &r->advised_sparsity);
    cop_net_destroy(net);
    return status;
}

static cop_status prepare(probe *p, double **cap, int *groups) {
    cop_sensitivity *r = p->result;
    *groups = 0;
    cop_status status = cop_groups_create(p->net, &p->groups);
    if (status) return status;
    size_t count = (size_t)cop_groups_count(p->groups);
    cop_group_info info;
    int free = 0; /* groups of which something can be removed */
    for (int g = 0; g < (int)count; g++) {
        free += !cop_groups_get(p->groups, g, &info) && info.units > 0;
        *groups += probed(p, g, &info);
    }
    if (!free)
        return copi_fail(p->ctx, COP_E_REFUSED,
                         "sensitivity: nothing can be removed: all channels are tied to the net's input or output");
    if (!*groups)
        return copi_fail(
            p->ctx, COP_E_REFUSED,
            "sensitivity: %s ranks none of the conv and dense layers that can be pruned; use l2-filter or "
            "l2-neuron, or give no criterion to have both",
            p->params->criterion);
    *cap = copi_alloc(p->ctx, count, sizeof **cap);
    p->limit = copi_alloc(p->ctx, (size_t)p->net->nodes, sizeof *p->limit);
    r->group = copi_alloc(p->ctx, (size_t)*groups, sizeof *r->group);
    r->level = copi_alloc(p->ctx, (size_t)p->params->levels, sizeof *r->level);
    if (!*cap || !p->limit || !r->group || !r->level) return COP_E_NOMEM;
    r->levels = p->params->levels;
    memcpy(r->level, p->params->level, (size_t)r->levels * sizeof *r->level);
    return copi_meter_create(p->net, p->data, NULL, true, &p->meter);
}

static cop_status measure_start(probe *p) {
    cop_eval eval;
    cop_status status = copi_meter_run(p->meter, p->net, COP_SPLIT_VALIDATION, &eval);
    if (status) return status;
    p->result->accuracy = eval.accuracy;
    p->result->floor = isnan(p->params->floor) ? fmax(0, eval.accuracy - p->params->lose) : p->params->floor;
    return COP_OK;
}

cop_status cop_sensitivity_run(const cop_net *net, const cop_data *data, const cop_sensitivity_params *params,
                               cop_sensitivity *result) {
    if (result) *result = (cop_sensitivity){0};
    COPI_REQUIRE(NULL, net);
    COPI_REQUIRE(net->ctx, data);
    COPI_REQUIRE(net->ctx, result);
    result->ctx = net->ctx;
    probe p = {.ctx = net->ctx, .net = net, .data = data, .params = params, .result = result};
    double *cap = NULL;
    int groups;
    cop_group_info info;
    cop_status status = check(net->ctx, data, params);
    if (!status) status = copi_check_fit(net, data);
    if (!status) status = prepare(&p, &cap, &groups);
    if (!status) status = measure_start(&p);
    for (int g = 0; !status && g < cop_groups_count(p.groups); g++)
        if (probed(&p, g, &info)) status = probe_group(&p, g, &info, cap, groups);
    if (!status) status = probe_advice(&p, cap);
    copi_progress_trial(p.ctx, NULL, 0, 0);
    copi_meter_destroy(p.meter);
    cop_groups_destroy(p.groups);
    copi_free(p.ctx, p.limit);
    copi_free(p.ctx, cap);
    if (status) cop_sensitivity_clear(result);
    return status;
}
