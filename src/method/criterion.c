/* Methods that rank by a criterion: n rounds of prune, measure, tune, measure. */
#include "method/method.h"

#include <math.h>

cop_status copi_criterion_check(cop_ctx *ctx, const cop_method_params *p) {
    if (!(p->sparsity >= 0 && p->sparsity < 1))
        return copi_fail(ctx, COP_E_RANGE, "sparsity is %g; it must be in [0,1)", p->sparsity);
    const copi_criterion *criterion = copi_criterion_find(p->method);
    if (!criterion) return copi_fail(ctx, COP_E_NOT_FOUND, "no criterion is named '%s'", p->method ? p->method : "");
    if (p->keep < 1) return copi_fail(ctx, COP_E_RANGE, "keep is %lld; at least 1", (long long)p->keep);
    if (p->rounds < 0 || p->rounds > 1000)
        return copi_fail(ctx, COP_E_RANGE, "rounds is %d; it must be in [0,1000]", p->rounds);
    if ((unsigned)p->pace > COP_PACE_GRADUAL)
        return copi_fail(ctx, COP_E_RANGE, "pace is %d; one of one-shot, linear, geometric, cubic, gradual",
                         (int)p->pace);
    cop_status s = p->pace == COP_PACE_GRADUAL ? copi_gradual_check(ctx, p) : COP_OK;
    if (!s) s = copi_macs_check(ctx, criterion, p->scope, p->macs);
    if (!s) s = copi_limits_check(ctx, p->limit, p->limits, NULL);
    if (!s) s = copi_method_recipe_check(ctx, "sparsify", &p->sparsify);
    return s || !p->rounds ? s : copi_method_recipe_check(ctx, "tune", &p->tune);
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
    if (p->scope) cut.scope = p->scope;
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

/* What tuning changed in the shrunk net, put where it came from. An entry that shrink itself had changed (it folds
 * constants into biases) gets the change only, since the unit that was folded is still there. */
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

/* One round on full, the net in its original size, which remembers every mask. *small: the shrunk net that is
 * measured, for structured criteria; the caller's to destroy. before: training since the point before, cleared. */
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

cop_status copi_criterion_run(copi_run *run, cop_net **result) {
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
