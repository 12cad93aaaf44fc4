/* Data-driven sparse structure selection (Huang & Wang 2018, arXiv:1707.01213): train factors, remove the structures
 * whose factor reached 0, retrain the rest, set small weights to zero. */
#include "method/method.h"

#include <math.h>
#include <string.h>

#define OPTION(key, field, KIND) COPI_OPTION(key, cop_method_params, sss.field, KIND), .since = "0.1"
#define LEVEL COP_OPTION_RESULT | COP_OPTION_LEVEL
static const cop_option options[] = {
    {OPTION("scope", structures, SET), .usual = 1u << COP_STRUCTURE_NEURON, .choice = cop_structure_name,
     .flags = COP_OPTION_RESULT | COP_OPTION_LATE,
     .help = "structures that get factors: conv channels and dense units (neuron), groups of grouped convolutions "
             "(group), "
             "residual branches (block)"},
    {OPTION("gamma", gamma, NUMBER), .usual = 1e-3, .high = 1e3, .flags = LEVEL,
     .help = "weight of the L1 penalty on the factors; with a target, where its search starts"},
    {OPTION("cost_aware", cost_aware, FLAG), .flags = COP_OPTION_RESULT | COP_OPTION_LATE,
     .help = "scale gamma of each structure by its MACs, relative to the mean"},
    {OPTION("sparsity", reach, NUMBER), .high = 1, .flags = LEVEL | COP_OPTION_ABOVE | COP_OPTION_BELOW,
     .help = "target: search gamma for at least this sparsity"},
    {OPTION("macs", reach, NUMBER), .high = 1e18, .unit = "MACs", .flags = LEVEL | COP_OPTION_ABOVE,
     .help = "target: search gamma for at most this many MACs; below 1: this share of the dense net's"},
    {OPTION("parameters", reach, NUMBER), .high = 1e18, .flags = LEVEL | COP_OPTION_ABOVE,
     .help = "target: search gamma for at most this many parameters; below 1: this share of the dense net's"},
    {OPTION("tries", tries, INTEGER), .usual = 8, .low = 1, .high = 100, .flags = COP_OPTION_RESULT | COP_OPTION_LATE,
     .help = "with a target: maximum number of gammas to try"},
    {OPTION("prox", prox, CHOICE), .usual = COP_PROX_APG, .choice = cop_prox_name, .flags = COP_OPTION_RESULT,
     .help = "update of the factors, by accelerated proximal gradient or plain subgradient"},
    {OPTION("factor_rate", factor_rate, NUMBER), .usual = 0.1, .high = 1e3,
     .flags = COP_OPTION_RESULT | COP_OPTION_ABOVE, .help = "learning rate of the factors"},
    {OPTION("factor_momentum", factor_momentum, NUMBER), .usual = 0.9, .high = 1,
     .flags = COP_OPTION_RESULT | COP_OPTION_BELOW, .help = "momentum of the factors"},
    {OPTION("factor_threshold", factor_threshold, NUMBER), .high = 1e6, .flags = COP_OPTION_RESULT,
     .help = "remove structures whose factor is at most this"},
    {COPI_OPTION_RECIPE("search", sss.search), .since = "0.1", .flags = COP_OPTION_RESULT | COP_OPTION_INLINE,
     .help = "training with factors"},
    {COPI_OPTION_RECIPE("retrain", sss.retrain), .since = "0.1", .flags = COP_OPTION_RESULT,
     .help = "training after removal, usually with l1"},
    {OPTION("threshold", threshold, NUMBERS), .count_offset = offsetof(cop_method_params, sss.thresholds),
     .high = 1e6, .flags = COP_OPTION_RESULT,
     .help = "set weights with |w| up to this to 0 at the end; each value gives a point"},
    {NULL}};
#undef OPTION
#undef LEVEL

static const cop_option *level_of(const cop_sss_params *p) {
    return copi_option_find(options, p->target == COP_TARGET_NONE ? "gamma" : cop_target_name(p->target));
}

cop_status copi_sss_check(cop_ctx *ctx, const cop_method_params *p) {
    if ((unsigned)p->sss.target > COP_TARGET_PARAMETERS)
        return copi_fail(ctx, COP_E_RANGE, "target is %d; expected one of none, sparsity, macs, parameters",
                         (int)p->sss.target);
    if (p->sss.thresholds < 0 || (p->sss.thresholds && !p->sss.threshold))
        return copi_fail(ctx, COP_E_ARG, "thresholds is %d, but threshold is NULL", p->sss.thresholds);
    cop_status s = copi_method_options_check(ctx, &copi_method_sss, p);
    if (!s) s = copi_option_check(ctx, NULL, level_of(&p->sss), p);
    if (!s) s = copi_option_check(ctx, NULL, copi_option_find(options, "gamma"), p);
    if (!s && p->keep < 1) s = copi_fail(ctx, COP_E_RANGE, "keep is %lld; expected at least 1", (long long)p->keep);
    if (!s && p->sss.target != COP_TARGET_NONE && !(p->sss.gamma > 0))
        s = copi_fail(ctx, COP_E_RANGE, "gamma is %g; a search for %s must start above 0", p->sss.gamma,
                      cop_target_name(p->sss.target));
    if (!s) s = copi_method_recipe_check(ctx, "search", &p->sss.search);
    return s ? s : copi_method_recipe_check(ctx, "retrain", &p->sss.retrain);
}

static void label(copi_buffer *b, const cop_method_params *p, double level) {
    for (int k = 0; cop_structure_name(k); k++)
        if ((p->sss.structures >> k & 1u) && p->sss.structures != 1u << COP_STRUCTURE_NEURON)
            copi_buffer_printf(b, " %s", cop_structure_name(k));
    copi_buffer_printf(b, " %s %g%s", level_of(&p->sss)->name, level, p->sss.cost_aware ? ", by MACs" : "");
}

static const char *idle(const cop_method_params *p, const copi_given *given, char why[160]) {
    if (p->sss.target != COP_TARGET_NONE || !given->has(given->trial, "tries")) return NULL;
    snprintf(why, 160, "without a sparsity, macs or parameters to reach");
    return "tries";
}

static void aim(cop_method_params *p, const cop_option *level) {
    for (cop_target t = COP_TARGET_SPARSITY; t <= COP_TARGET_PARAMETERS; t++)
        if (strcmp(level->name, cop_target_name(t)) == 0) p->sss.target = t;
}

/* Change a factor's value and multiply its producer by the ratio, so that the function stays the same. Units of a
 * block or group share a factor. */
static void rescale(cop_net *net, const copi_node *gate, int64_t factor, float value) {
    copi_param *lambda = copi_node_slot(net, gate, COPI_GATE);
    const copi_node *producer = &net->node[gate->src[0]];
    double ratio = (double)lambda->data[factor] / (double)value;
    for (int slot = COPI_WEIGHT; slot <= COPI_BIAS; slot++) { /* of a batch-norm: its scale and shift */
        copi_param *p = copi_node_slot(net, producer, slot);
        if (!p) continue;
        int64_t units = p->shape[0], each = p->count / units;
        for (int64_t i = 0; i < p->count; i++)
            if (i / each * lambda->count / units == factor) p->data[i] = (float)(ratio * (double)p->data[i]);
    }
    lambda->data[factor] = value;
}

cop_status copi_factors_repair(cop_net *gated, double factor_threshold, int64_t keep) {
    const float threshold = (float)factor_threshold, least = nextafterf(threshold, INFINITY);
    bool *block;
    cop_status s = copi_net_block_gates(gated, &block);
    for (int i = 0; !s && i < gated->nodes; i++) {
        const copi_node *gate = &gated->node[i];
        if (gate->op != COPI_OP_GATE) continue;
        copi_param *lambda = copi_node_slot(gated, gate, COPI_GATE);
        int64_t above = 0, floor = keep < lambda->count ? keep : lambda->count;
        if (block[i]) floor = 0; /* the shortcut stays */
        for (int64_t k = 0; k < lambda->count; k++) {
            if (lambda->data[k] < 0) rescale(gated, gate, k, -lambda->data[k]);
            above += lambda->data[k] > threshold;
        }
        for (; !s && above < floor; above++) {
            int64_t best = -1;
            for (int64_t k = 0; k < lambda->count; k++)
                if (lambda->data[k] <= threshold && (best < 0 || lambda->data[k] > lambda->data[best])) best = k;
            const copi_node *from = &gated->node[gate->src[0]];
            if (from->op == COPI_OP_BATCHNORM)
                from = &gated->node[from->src[0]]; /* the conv is the name users know */
            copi_log(gated->ctx, COP_LOG_WARNING,
                     "sss: all but %lld factors of %s fell to %g or below; unit %lld is kept", (long long)above,
                     from->name, factor_threshold, (long long)best);
            s = copi_net_note(gated, "sss: %s would have kept %lld units; unit %lld was kept besides", from->name,
                              (long long)above, (long long)best);
            if (!(lambda->data[best] > 0)) lambda->data[best] = 1; /* its output was 0; a new factor keeps it alive */
            if (lambda->data[best] <= threshold) rescale(gated, gate, best, least);
        }
    }
    copi_free(gated->ctx, block);
    return s;
}

static cop_status no_gates(const copi_run *run, const cop_net *gated) {
    for (int i = 0; i < gated->nodes; i++)
        if (gated->node[i].op == COPI_OP_GATE) return COP_OK;
    unsigned only = run->params->sss.structures;
    return copi_fail(run->ctx, COP_E_REFUSED, "the net has %s that could get a factor; scope neuron fits every net",
                     only == 1u << COP_STRUCTURE_BLOCK   ? "no residual block"
                     : only == 1u << COP_STRUCTURE_GROUP ? "no grouped convolution"
                                                         : "nothing");
}

/* The dense net with factors, trained with this gamma and folded. */
static cop_status train_factors(copi_run *run, double gamma, cop_net **folded, cop_history *history) {
    const cop_method_params *p = run->params;
    cop_net *gated = NULL;
    double *cost = NULL;
    *folded = NULL;
    cop_status s = copi_net_with_gates(run->dense, p->sss.structures, &gated);
    if (!s) s = no_gates(run, gated);
    if (!s && p->sss.cost_aware) s = copi_net_gate_costs(gated, &cost);
    const copi_gate_rule rule = {
        .prox = p->sss.prox, .momentum = p->sss.factor_momentum, .gamma = gamma, .cost = cost};
    const copi_fit fit = {
        .recipe = &p->sss.search, .phase = "search", .gates = &rule, .gate_rate = p->sss.factor_rate};
    if (!s) s = copi_run_train(run, gated, &fit, 1, history);
    if (!s) s = copi_factors_repair(gated, p->sss.factor_threshold, p->keep);
    if (!s) s = copi_net_fold_gates(gated, p->sss.factor_threshold, folded);
    if (!s)
        s = copi_net_note(*folded, "sss: factors by %s, gamma %g%s, rate %g, momentum %g; those up to %g removed",
                          cop_prox_name(p->sss.prox), gamma, cost ? " by MACs" : "", p->sss.factor_rate,
                          p->sss.factor_momentum, p->sss.factor_threshold);
    copi_free(run->ctx, cost);
    cop_net_destroy(gated);
    if (!s) return COP_OK;
    cop_net_destroy(*folded);
    *folded = NULL;
    return s;
}

/* The share of the dense net's parameters or MACs that a net still has, and the share that the target allows. */
static double share_left(const cop_method_params *p, const cop_net *small) {
    cop_net_info info;
    cop_net_get_info(small, &info);
    if (p->sss.target == COP_TARGET_SPARSITY) return 1 - info.sparsity;
    return p->sss.target == COP_TARGET_MACS ? (double)info.macs / (double)info.macs_dense
                                            : (double)info.parameters / (double)info.parameters_dense;
}

static double share_allowed(const cop_method_params *p, const cop_net *dense) {
    cop_net_info info;
    cop_net_get_info(dense, &info);
    if (p->sss.target == COP_TARGET_SPARSITY) return 1 - p->sss.reach;
    if (p->sss.reach < 1) return p->sss.reach;
    return p->sss.reach / (double)(p->sss.target == COP_TARGET_MACS ? info.macs_dense : info.parameters_dense);
}

static const char *left_of(cop_target target) {
    return target == COP_TARGET_MACS ? "MACs" : "parameters";
}

#define CLOSE 0.02 /* share of the dense net: near enough to a target to end the search */
#define STRIDE 4.0 /* factor by which gamma changes until the target is between two tries */

/* Bisection: low is the largest gamma that left too much, high the smallest that did not. Of the tries that meet the
 * target, *folded and *small keep the one that leaves most. */
static cop_status search_gamma(copi_run *run, cop_net **folded, cop_net **small, cop_history *history,
                               double *gamma) {
    const cop_method_params *p = run->params;
    const double allowed = share_allowed(p, run->dense);
    double low = 0, high = INFINITY, at = p->sss.gamma, best = -1, least = INFINITY, tried = at;
    cop_status s = COP_OK;
    for (int t = 0; !s && t < p->sss.tries && !(best >= allowed - CLOSE); t++) {
        cop_net *whole = NULL, *removed = NULL;
        cop_history own = {.ctx = run->ctx};
        tried = at;
        s = train_factors(run, at, &whole, &own);
        if (!s) s = cop_shrink(whole, &removed, NULL);
        double left = s ? INFINITY : share_left(p, removed);
        bool meets = left <= allowed * (1 + 1e-12);
        least = fmin(least, left);
        if (!s)
            copi_log(run->ctx, COP_LOG_INFO, "sss: gamma %g leaves %.2f %% of the %s", at, 100 * left,
                     left_of(p->sss.target));
        if (meets && left > best) {
            cop_net *drop[] = {*folded, *small};
            *folded = whole, *small = removed;
            whole = drop[0], removed = drop[1];
            cop_history_clear(history);
            *history = own;
            own = (cop_history){0};
            best = left;
            *gamma = at;
        }
        if (meets)
            high = fmin(high, at);
        else
            low = fmax(low, at);
        at = !low ? high / STRIDE : isinf(high) ? low * STRIDE : sqrt(low * high);
        cop_history_clear(&own);
        cop_net_destroy(removed);
        cop_net_destroy(whole);
    }
    if (!s && best < 0)
        s = copi_fail(run->ctx, COP_E_REFUSED,
                      "%d tries of gamma, the last %g, leave %.2f %% of the %s; at most %.2f %% may stay; start from "
                      "a larger gamma, train longer or allow more tries",
                      p->sss.tries, tried, 100 * least, left_of(p->sss.target), 100 * allowed);
    return s;
}

cop_status copi_sss_search(copi_run *run, cop_net **net, cop_history *history, double *gamma) {
    const cop_method_params *p = run->params;
    cop_net *folded = NULL, *small = NULL;
    *net = NULL;
    *gamma = p->sss.gamma;
    cop_status s = p->sss.target == COP_TARGET_NONE ? train_factors(run, p->sss.gamma, &folded, history)
                                                    : search_gamma(run, &folded, &small, history, gamma);
    if (!s && p->shrink && !small) s = cop_shrink(folded, &small, NULL);
    cop_net *drop = p->shrink ? folded : small;
    if (!s) *net = p->shrink ? small : folded;
    cop_net_destroy(drop);
    if (s) cop_net_destroy(p->shrink ? small : folded);
    return s;
}

/* Mask kernel weights with |w| <= threshold, except the largest of each kernel. */
static cop_status zero_small(cop_net *net, double threshold) {
    for (int i = 0; i < net->params; i++) {
        copi_param *p = &net->param[i];
        if (p->kind != COPI_PARAM_WEIGHT) continue;
        int64_t largest = 0, small = 0;
        for (int64_t k = 0; k < p->count; k++) {
            if (fabsf(p->data[k]) > fabsf(p->data[largest])) largest = k;
            small += fabsf(p->data[k]) <= threshold;
        }
        uint8_t *mask = small ? copi_param_mask(net, p) : NULL;
        if (small && !mask) return COP_E_NOMEM;
        for (int64_t k = 0; k < p->count && small; k++)
            if (fabsf(p->data[k]) <= threshold && k != largest) mask[k] = 0;
    }
    copi_net_apply_masks(net);
    return COP_OK;
}

/* Make the point of one threshold from the retrained net; *net: the net measured. */
static cop_status finish(copi_run *run, const cop_net *retrained, double gamma, double threshold,
                         double accuracy_pruned, cop_history *history, cop_net **net) {
    cop_point point = {.round = 1,
                       .level = gamma,
                       .asked = run->params->sss.target == COP_TARGET_SPARSITY ? run->params->sss.reach : NAN,
                       .threshold = threshold,
                       .accuracy_pruned = accuracy_pruned};
    cop_status s = cop_net_clone(retrained, net);
    if (!s) s = zero_small(*net, threshold);
    if (!s) s = copi_net_note(*net, "sss: weights up to %g are 0", threshold);
    if (!s && !run->params->shrink) {
        cop_net *masked = *net;
        s = cop_shrink(masked, net, NULL);
        cop_net_destroy(masked);
    }
    if (!s) s = copi_run_settle(run, *net);
    return s ? s : copi_run_point(run, *net, &point, history);
}

static cop_status run_sss(copi_run *run, cop_net **result) {
    static const double no_threshold = 0;
    const cop_method_params *p = run->params;
    const double *threshold = p->sss.thresholds ? p->sss.threshold : &no_threshold;
    const copi_fit fit = {.recipe = &p->sss.retrain, .phase = "retrain"};
    cop_history history = {.ctx = run->ctx}, more = {.ctx = run->ctx};
    cop_net *net = NULL;
    double accuracy_pruned = NAN, gamma;
    cop_status s = copi_sss_search(run, &net, &history, &gamma);
    if (!s) s = copi_run_settle(run, net);
    if (!s) s = copi_run_validate(run, net, &accuracy_pruned);
    if (!s) s = copi_run_train(run, net, &fit, 2, &more);
    if (!s) s = copi_history_append(&history, &more);
    for (int i = 0; i < (p->sss.thresholds ? p->sss.thresholds : 1) && !s && !run->stopped; i++) {
        cop_net_destroy(*result);
        *result = NULL;
        s = finish(run, net, gamma, threshold[i], accuracy_pruned, &history, result);
    }
    cop_history_clear(&more);
    cop_history_clear(&history);
    cop_net_destroy(net);
    return s;
}

const copi_method copi_method_sss = {
    .name = "sss",
    .style = {"#a33b94", "#e092d6", COPI_SHAPE_DIAMOND},
    .help = "train factors of structures with penalty gamma |lambda|_1, remove structures with factor 0, retrain",
    .family = "sss",
    .whose = "sss",
    .options = options,
    .run = run_sss,
    .check = copi_sss_check,
    .label = label,
    .idle = idle,
    .aim = aim};
