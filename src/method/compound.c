/* Structures first, then weights: sparse structure selection or a criterion of filters or neurons, removal, then
 * gradual pruning of the weights of the small net, to a share at zero that is counted over the dense net. What the
 * reference study found to be the best order. */
#include "method/method.h"

#include <math.h>
#include <string.h>

/* What prunes the weights of the small net: the criterion of weights within one training. */
static cop_method_params weights_of(const cop_method_params *p, double share) {
    cop_method_params weights = *p;
    weights.method = p->compound.rank;
    weights.rounds = 1;
    weights.pace = COP_PACE_GRADUAL;
    weights.sparsity = share;
    return weights;
}

/* What cuts the structures, where no factors are learned. */
static cop_method_params structures_of(const cop_method_params *p) {
    cop_method_params structures = *p;
    structures.method = p->compound.first;
    structures.scope = "layer";
    structures.rounds = 1;
    structures.pace = COP_PACE_ONE_SHOT;
    structures.sparsity = p->compound.share;
    structures.macs = 0;
    structures.tune = p->sss.search;
    return structures;
}

static bool by_factors(const cop_method_params *p) {
    return strcmp(p->compound.first, "sss") == 0;
}

cop_status copi_compound_check(cop_ctx *ctx, const cop_method_params *p) {
    if (!p->compound.first) return copi_fail(ctx, COP_E_ARG, "first names nothing; \"sss\", or a criterion");
    if (!by_factors(p) && !(p->compound.share > 0 && p->compound.share < 1))
        return copi_fail(ctx, COP_E_RANGE, "share is %g; it must be in (0,1)", p->compound.share);
    const cop_method_params weights = weights_of(p, p->sparsity), structures = structures_of(p);
    cop_status s = by_factors(p) ? copi_sss_check(ctx, p) : copi_criterion_check(ctx, &structures);
    if (!s && !by_factors(p) && copi_criterion_find(p->compound.first)->unit == COPI_UNIT_WEIGHT)
        s = copi_fail(ctx, COP_E_ARG, "first is %s, which ranks weights; sss, or a criterion of filters or neurons",
                      p->compound.first);
    return s ? s : copi_criterion_check(ctx, &weights);
}

/* The small net that a criterion leaves, trained. */
static cop_status cut_structures(copi_run *run, cop_net **small, cop_history *history) {
    const cop_method_params structures = structures_of(run->params);
    const copi_fit fit = {.recipe = &structures.tune, .phase = "structure"};
    copi_run cut = *run;
    cut.params = &structures;
    cop_net *full;
    cop_status s = cop_net_clone(run->dense, &full);
    if (!s) s = copi_criterion_prune(&cut, full, structures.sparsity, NULL);
    if (!s) s = cop_shrink(full, small, NULL);
    if (!s && fit.recipe->epochs > 0) s = copi_run_train(run, *small, &fit, 1, history);
    cop_net_destroy(full);
    return s;
}

/* The share of the small net's kernel weights that has to go so that the dense net's share is at zero. */
static cop_status share_left(const cop_net *small, const cop_method_params *p, double *share) {
    cop_net_info info;
    cop_net_get_info(small, &info);
    double kernels = 0;
    for (int i = 0; i < small->params; i++)
        if (small->param[i].kind == COPI_PARAM_WEIGHT) kernels += (double)small->param[i].count;
    double allowed = (1 - p->sparsity) * (double)info.parameters_dense - ((double)info.parameters - kernels);
    if (allowed < 1)
        return copi_fail(
            small->ctx, COP_E_REFUSED,
            "sparsity %g lets %.0f of the dense net's parameters stay; after the structures %.0f are biases "
            "and scales, which rank %s leaves: a lower sparsity would do, or fewer structures",
            p->sparsity, (1 - p->sparsity) * (double)info.parameters_dense, (double)info.parameters - kernels,
            p->compound.rank);
    *share = allowed >= kernels ? 0 : 1 - allowed / kernels;
    return COP_OK;
}

/* The limits of layers that are still there: a block may have gone as a whole. */
static cop_status limits_left(const cop_net *small, const cop_method_params *p, cop_layer_limit **limit,
                              int *limits) {
    *limit = copi_alloc(small->ctx, (size_t)p->limits + 1, sizeof **limit);
    if (!*limit) return COP_E_NOMEM;
    for (int i = 0; i < p->limits; i++)
        if (!copi_limits_check(small->ctx, &p->limit[i], 1, small)) (*limit)[(*limits)++] = p->limit[i];
    return COP_OK;
}

cop_status copi_compound_run(copi_run *run, cop_net **result) {
    cop_point point = {.round = 1,
                       .level = run->params->sparsity,
                       .asked = run->params->sparsity,
                       .threshold = NAN,
                       .accuracy_pruned = NAN};
    cop_history history = {.ctx = run->ctx}, more = {.ctx = run->ctx};
    cop_net *small = NULL;
    cop_layer_limit *limit = NULL;
    int limits = 0;
    double gamma, share = 0;
    cop_status s = by_factors(run->params) ? copi_sss_search(run, &small, &history, &gamma)
                                           : cut_structures(run, &small, &history);
    if (!s) s = copi_run_settle(run, small);
    if (!s) s = copi_run_validate(run, small, &point.accuracy_pruned);
    if (!s) s = share_left(small, run->params, &share);
    if (!s) s = limits_left(small, run->params, &limit, &limits);
    if (!s) {
        cop_method_params weights = weights_of(run->params, share);
        weights.limit = limit;
        weights.limits = limits;
        copi_run second = *run;
        second.params = &weights;
        s = copi_gradual_train(&second, small, &more);
        run->epochs = second.epochs;
        run->seconds = second.seconds;
        run->macs = second.macs;
        run->trainings = second.trainings;
    }
    if (!s) s = copi_history_append(&history, &more);
    if (!s) s = cop_shrink(small, result, NULL); /* filters whose last weight went */
    if (!s) s = copi_run_point(run, *result, &point, &history);
    cop_history_clear(&more);
    cop_history_clear(&history);
    copi_free(run->ctx, limit);
    cop_net_destroy(small);
    return s;
}
