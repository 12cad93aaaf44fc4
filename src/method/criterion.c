/* Methods that rank by a criterion: n rounds of prune, measure, tune, measure. */
#include "method/method.h"

#include <math.h>
#include <string.h>

static const cop_option options[] = {
    {COPI_OPTION("sparsity", cop_method_params, sparsity, NUMBER), .high = 1, .since = "0.1",
     .flags = COP_OPTION_BELOW | COP_OPTION_RESULT | COP_OPTION_LEVEL | COP_OPTION_REQUIRED,
     .help = "share of the weights, filters or neurons to remove"},
    {COPI_OPTION_ROUNDS("prune and tune this many times; 0: prune only")},
    {COPI_OPTION("pace", cop_method_params, pace, CHOICE), .choice = cop_pace_name, .since = "0.1",
     .flags = COP_OPTION_RESULT,
     .help = "how the rounds approach the sparsity; gradual: remove weights during the training of one round"},
    COPI_OPTIONS_GRADUAL,
    {COPI_OPTION_SCOPE(cop_method_params, "layer"), .flags = COP_OPTION_RESULT},
    {COPI_OPTION_KEEP(cop_method_params), .flags = COP_OPTION_RESULT},
    {COPI_OPTION_MACS(cop_method_params), .flags = COP_OPTION_RESULT | COP_OPTION_LATE},
    {COPI_OPTION("shrink", cop_method_params, shrink, FLAG), .usual = 1, .since = "0.1", .flags = COP_OPTION_RESULT,
     .help = "filters and neurons: tune the shrunk net, which costs less; false: tune the masked net"},
    {COPI_OPTION_AGGREGATE(cop_method_params), .flags = COP_OPTION_RESULT | COP_OPTION_LATE},
    {COPI_OPTION("limits", cop_method_params, limit, LIMITS), .count_offset = offsetof(cop_method_params, limits),
     .since = "0.1", .flags = COP_OPTION_RESULT | COP_OPTION_LATE,
     .help = "list of {layer, keep, most}: layers that match (* and ? are allowed) keep at least `keep` units "
             "and lose at most the share `most`"},
    {COPI_OPTION_RECIPE("sparsify", sparsify), .since = "0.1", .flags = COP_OPTION_RESULT | COP_OPTION_UNUSED_AT_0,
     .help = "training before the first pruning, if it has epochs; for bn-scale usually with l1_scale (Network "
             "Slimming)"},
    {COPI_OPTION_TUNE},
    {NULL}};

cop_status copi_criterion_check(cop_ctx *ctx, const cop_method_params *p) {
    const copi_criterion *criterion = copi_criterion_find(p->method);
    if (!criterion) return copi_fail(ctx, COP_E_NOT_FOUND, "there is no criterion '%s'", p->method ? p->method : "");
    cop_status s = copi_options_check(ctx, NULL, options, p);
    if (!s && p->pace == COP_PACE_GRADUAL) s = copi_gradual_check(ctx, p);
    if (!s) s = copi_macs_check(ctx, criterion, p->scope, p->macs);
    if (!s) s = copi_limits_check(ctx, p->limit, p->limits, NULL);
    if (!s) s = copi_method_recipe_check(ctx, "sparsify", &p->sparsify);
    return s || !p->rounds ? s : copi_method_recipe_check(ctx, "tune", &p->tune);
}

void copi_label_cut(copi_buffer *b, const cop_method_params *p, double level) {
    copi_buffer_printf(b, " %g", level);
    if (strcmp(p->scope, "layer") != 0) copi_buffer_printf(b, " %s", p->scope);
}

void copi_label_rounds(copi_buffer *b, const cop_method_params *p) {
    bool gradual = p->pace == COP_PACE_GRADUAL;
    if (p->macs > 0) copi_buffer_printf(b, ", macs %g", p->macs);
    if (p->rounds && !gradual) copi_buffer_printf(b, ", %d round%s", p->rounds, p->rounds > 1 ? "s" : "");
    if (gradual || (p->rounds > 1 && p->pace != COP_PACE_ONE_SHOT))
        copi_buffer_printf(b, " %s", cop_pace_name(p->pace));
    if (gradual) copi_label_epochs(b, p->tune.epochs);
}

static void label(copi_buffer *b, const cop_method_params *p, double level) {
    copi_label_cut(b, p, level);
    copi_label_rounds(b, p);
}

static const char *idle(const cop_method_params *p, const copi_given *given, char why[160]) {
    static const char *const gradual[] = {"begin", "end", "revive"};
    if (p->rounds == 0 && given->has(given->trial, "tune")) {
        snprintf(why, 160, "without rounds; add `rounds: 1` or more");
        return "tune";
    }
    if (!(p->sparsify.epochs > 0) && given->has(given->trial, "sparsify")) {
        snprintf(why, 160, "without epochs");
        return "sparsify";
    }
    snprintf(why, 160, "at pace %s; add `pace: gradual`", cop_pace_name(p->pace));
    for (size_t i = 0; p->pace != COP_PACE_GRADUAL && i < COPI_COUNT(gradual); i++)
        if (given->has(given->trial, gradual[i])) return gradual[i];
    return NULL;
}

cop_status copi_criterion_start(copi_run *run, cop_net **full, cop_history *history) {
    const copi_fit fit = {.recipe = &run->params->sparsify, .phase = "sparsify"};
    cop_status s = cop_net_clone(run->dense, full);
    if (!s && fit.recipe->epochs > 0) s = copi_run_train(run, *full, &fit, 1, history);
    if (!s) return COP_OK;
    cop_net_destroy(*full);
    *full = NULL;
    return s;
}

cop_status copi_criterion_prune(const copi_run *run, cop_net *net, double share, const float *const *gradient) {
    const cop_method_params *p = run->params;
    cop_prune_params cut = cop_prune_params_default();
    cut.criterion = p->method;
    cut.scope = p->scope;
    cut.sparsity = share;
    cut.keep = p->keep;
    cut.macs = p->macs;
    cut.macs_at = p->sparsity;
    cut.seed = p->seed;
    cut.data = run->data;
    cut.aggregate = p->aggregate;
    cut.limit = p->limit;
    cut.limits = p->limits;
    return gradient ? copi_prune(net, &cut, gradient, NULL) : cop_prune(net, &cut, NULL);
}

/* Copy what tuning changed in the shrunk net back into the full net. An entry that shrink itself changed (it folds
 * constants into biases) only gets the difference, because the folded unit still exists in the full net. */
static void put_back(const cop_net *tuned, const cop_net *untuned, const copi_shrink_map *map, cop_net *full) {
    for (int i = 0; i < tuned->params; i++) {
        const float *new = tuned->param[i].data, *old = untuned->param[i].data;
        float *to = full->param[map->old_param[i]].data;
        for (int64_t k = 0; k < tuned->param[i].count; k++) {
            int64_t at = map->index[i][k];
            to[at] = old[k] == to[at] ? new[k] : to[at] + (new[k] - old[k]);
        }
    }
}

/* One round on full, the net in its original size, which keeps every mask. *small: the shrunk net that is measured,
 * for structured criteria; the caller destroys it. before: the training since the last point; cleared. */
static cop_status one_round(copi_run *run, cop_net *full, int round, bool structured, cop_history *before,
                            cop_net **small) {
    const cop_method_params *p = run->params;
    const copi_fit fit = {.recipe = &p->tune, .phase = "tune"};
    bool tune_small = structured && p->shrink;
    cop_point point = {.round = round, .asked = p->sparsity, .threshold = NAN, .accuracy_pruned = NAN};
    point.level = copi_pace_share(p->pace, p->sparsity, round, p->rounds);
    cop_history history = {.ctx = run->ctx};
    copi_shrink_map map = {0};
    cop_net *untuned = NULL;
    bool gradual = p->pace == COP_PACE_GRADUAL;
    cop_status s = gradual ? COP_OK : copi_criterion_prune(run, full, point.level, NULL);
    if (!s && tune_small && !(s = copi_shrink_checked(full, small, &map, NULL))) s = cop_net_clone(*small, &untuned);
    cop_net *net = tune_small ? *small : full;
    if (!s && !gradual) s = copi_run_settle(run, net);
    if (!s && gradual) s = copi_gradual_train(run, full, &history);
    if (!s && round && !gradual) {
        if (!(s = copi_run_validate(run, net, &point.accuracy_pruned)))
            s = copi_run_train(run, net, &fit, round, &history);
        if (!s && tune_small) put_back(net, untuned, &map, full);
    }
    if (!s) s = copi_history_append(before, &history);
    if (!s && structured && !tune_small) s = copi_shrink_checked(full, small, NULL, NULL);
    if (!s) s = copi_run_point(run, structured ? *small : full, &point, before);
    cop_history_clear(&history);
    cop_net_destroy(untuned);
    copi_shrink_map_clear(&map);
    return s;
}

static cop_status run_rounds(copi_run *run, cop_net **result) {
    const cop_method_params *p = run->params;
    const copi_criterion *criterion = copi_criterion_find(p->method);
    if (!criterion) return copi_fail(run->ctx, COP_E_NOT_FOUND, "there is no criterion '%s'", p->method);
    bool structured = criterion->unit != COPI_UNIT_WEIGHT;
    cop_net *full, *small = NULL;
    cop_history history = {.ctx = run->ctx};
    cop_status s = copi_criterion_start(run, &full, &history);
    for (int r = p->rounds ? 1 : 0; r <= p->rounds && !s && !run->stopped; r++) {
        cop_net_destroy(small);
        small = NULL;
        s = one_round(run, full, r, structured, &history, &small);
    }
    cop_history_clear(&history);
    cop_net *drop = structured ? full : small;
    *result = structured ? small : full;
    cop_net_destroy(drop);
    return s;
}

const copi_method copi_method_criterion = {.family = "criterion",
                                           .whose = "methods that rank by a criterion",
                                           .options = options,
                                           .run = run_rounds,
                                           .check = copi_criterion_check,
                                           .label = label,
                                           .idle = idle};
