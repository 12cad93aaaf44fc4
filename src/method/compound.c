/* Structures first, then weights. Sparse structure selection or a criterion of filters or neurons removes structures;
 * gradual pruning then removes weights of the small net, to a sparsity relative to the dense net. The reference study
 * found this order best. */
#include "method/method.h"

#include <math.h>
#include <string.h>

/* The method for the weights of the small net: a weight criterion within one training. */
static cop_method_params weights_of(const cop_method_params *p, double share) {
    cop_method_params weights = *p;
    weights.method = p->compound.rank;
    weights.rounds = 1;
    weights.pace = COP_PACE_GRADUAL;
    weights.sparsity = share;
    return weights;
}

/* The method for the structures, if no factors are trained. */
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

/* The i-th criterion that ranks weights, or the i-th that does not. */
static const char *criterion_name(int i, bool weights) {
    for (int c = 0; c < cop_criterion_count(); c++)
        if ((copi_criterion_find(cop_criterion_name(c))->unit == COPI_UNIT_WEIGHT) == weights && i-- == 0)
            return cop_criterion_name(c);
    return NULL;
}
static const char *choice_rank(int i) {
    return criterion_name(i, true);
}
static const char *choice_first(int i) {
    return i ? criterion_name(i - 1, false) : "sss";
}

#define OPTION(key, field, KIND) COPI_OPTION(key, cop_method_params, field, KIND), .since = "0.1"
static const cop_option options[] = {
    {OPTION("sparsity", sparsity, NUMBER), .high = 1,
     .flags = COP_OPTION_BELOW | COP_OPTION_RESULT | COP_OPTION_LEVEL | COP_OPTION_REQUIRED,
     .help = "share of the dense net's parameters to remove"},
    COPI_OPTIONS_GRADUAL,
    {OPTION("rank", compound.rank, NAME), .usual_name = "lamp", .choice = choice_rank, .flags = COP_OPTION_RESULT,
     .help = "criterion that ranks the weights"},
    {COPI_OPTION_SCOPE(cop_method_params, "global"), .flags = COP_OPTION_RESULT},
    {COPI_OPTION_KEEP(cop_method_params), .flags = COP_OPTION_RESULT},
    {COPI_OPTION_MACS(cop_method_params), .flags = COP_OPTION_RESULT | COP_OPTION_LATE},
    {COPI_OPTION_RECIPE("tune", tune), .since = "0.1", .flags = COP_OPTION_RESULT,
     .help = "training during which the weights are removed"},
    {OPTION("first", compound.first, NAME), .usual_name = "sss", .choice = choice_first,
     .flags = COP_OPTION_RESULT | COP_OPTION_LATE,
     .help = "method that removes the structures: sss, or a criterion of filters or neurons"},
    {OPTION("share", compound.share, NUMBER), .high = 1,
     .flags = COP_OPTION_BELOW | COP_OPTION_RESULT | COP_OPTION_LATE,
     .help = "if first is a criterion: share of each layer's filters or neurons to remove"},
    {COPI_OPTION_RECIPE("structure", sss.search), .since = "0.1", .flags = COP_OPTION_RESULT,
     .help = "training with factors, or of the small net before its weights are removed"},
    {OPTION("gamma", sss.gamma, NUMBER), .usual = 1e-3, .high = 1e3, .flags = COP_OPTION_RESULT,
     .help = "if first is sss: weight of the L1 penalty on the factors"},
    {NULL}};
#undef OPTION

static cop_status check(cop_ctx *ctx, const cop_method_params *p) {
    cop_status s = copi_options_check(ctx, NULL, options, p);
    if (!s && !by_factors(p) && !(p->compound.share > 0))
        s = copi_fail(ctx, COP_E_RANGE, "share is 0; first %s needs the share of each layer to remove",
                      p->compound.first);
    if (s) return s;
    const cop_method_params weights = weights_of(p, p->sparsity), structures = structures_of(p);
    s = by_factors(p) ? copi_sss_check(ctx, p) : copi_method_criterion.check(ctx, &structures);
    return s ? s : copi_method_criterion.check(ctx, &weights);
}

static const char *idle(const cop_method_params *p, const copi_given *given, char why[160]) {
    const char *key = by_factors(p) ? "share" : "gamma";
    snprintf(why, 160, "on compound, first %s", p->compound.first);
    return given->has(given->trial, key) ? key : NULL;
}

static void label(copi_buffer *b, const cop_method_params *p, double level) {
    copi_label_cut(b, p, level);
    if (p->compound.share > 0) copi_buffer_printf(b, " after %s %g", p->compound.first, p->compound.share);
    copi_label_rounds(b, p);
}

/* Remove structures by a criterion and train the small net. */
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

/* The share of the small net's kernel weights to remove to reach the sparsity relative to the dense net. */
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
            "sparsity %g leaves %.0f of the dense net's parameters, but the small net has %.0f biases and scales, "
            "which rank %s does not remove; use a lower sparsity or remove more structures",
            p->sparsity, (1 - p->sparsity) * (double)info.parameters_dense, (double)info.parameters - kernels,
            p->compound.rank);
    *share = allowed >= kernels ? 0 : 1 - allowed / kernels;
    return COP_OK;
}

/* The limits of layers that still exist: a whole block may have been removed. */
static cop_status limits_left(const cop_net *small, const cop_method_params *p, cop_layer_limit **limit,
                              int *limits) {
    *limit = copi_alloc(small->ctx, (size_t)p->limits + 1, sizeof **limit);
    if (!*limit) return COP_E_NOMEM;
    for (int i = 0; i < p->limits; i++)
        if (!copi_limits_check(small->ctx, &p->limit[i], 1, small)) (*limit)[(*limits)++] = p->limit[i];
    return COP_OK;
}

static cop_status run_compound(copi_run *run, cop_net **result) {
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
    if (!s) s = cop_shrink(small, result, NULL); /* filters that lost their last weight */
    if (!s) s = copi_run_point(run, *result, &point, &history);
    cop_history_clear(&more);
    cop_history_clear(&history);
    copi_free(run->ctx, limit);
    cop_net_destroy(small);
    return s;
}

const copi_method copi_method_compound = {.name = "compound",
                                          .style = {"#7a1f4d", "#d1789f", COPI_SHAPE_SQUARE},
                                          .help = "remove structures by sss or a criterion (first), then weights "
                                                  "(rank) while the small net trains; sparsity is relative to the "
                                                  "dense net",
                                          .family = "compound",
                                          .whose = "compound",
                                          .options = options,
                                          .run = run_compound,
                                          .check = check,
                                          .label = label,
                                          .idle = idle};
