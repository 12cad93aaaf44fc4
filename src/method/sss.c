/* Data-driven sparse structure selection (Huang & Wang 2018, arXiv:1707.01213): factors are trained, structures whose
 * factor reached 0 are removed, what is left is retrained, small weights are zeroed. */
#include "method/method.h"

#include <math.h>
#include <string.h>

cop_status copi_sss_check(cop_ctx *ctx, const cop_method_params *p) {
    const struct {
        const char *name;
        double value, low, high;
        const char *range;
    } number[] = {
        {"gamma", p->gamma, 0, 1e6, "in [0,1e6]"},
        {"factor_rate", p->factor_rate, 1e-12, 1e3, "in (0,1000]"},
        {"factor_momentum", p->factor_momentum, 0, 0.999999, "in [0,1)"},
        {"factor_threshold", p->factor_threshold, 0, 1e6, "in [0,1e6]"},
        {"keep", (double)p->keep, 1, 1e9, "at least 1"},
        {"prox", (double)p->prox, 0, COP_PROX_SUBGRADIENT, "one of apg, subgradient"},
        {"thresholds", p->thresholds, 0, 1000, "in [0,1000]"},
    };
    for (size_t i = 0; i < COPI_COUNT(number); i++)
        if (!(number[i].value >= number[i].low && number[i].value <= number[i].high))
            return copi_fail(ctx, COP_E_RANGE, "%s is %g; it must be %s", number[i].name, number[i].value,
                             number[i].range);
    if (p->thresholds && !p->threshold)
        return copi_fail(ctx, COP_E_ARG, "thresholds is %d, but threshold is NULL", p->thresholds);
    for (int i = 0; i < p->thresholds; i++)
        if (!(p->threshold[i] >= 0 && p->threshold[i] <= 1e6))
            return copi_fail(ctx, COP_E_RANGE, "threshold[%d] is %g; it must be in [0,1e6]", i, p->threshold[i]);
    cop_status s = copi_method_recipe_check(ctx, "search", &p->search);
    return s ? s : copi_method_recipe_check(ctx, "retrain", &p->retrain);
}

/* Give a factor another value and its producer the ratio: the same function. Units of a block or group share a
 * factor. */
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

cop_status copi_factors_mend(cop_net *gated, double factor_threshold, int64_t keep) {
    const float threshold = (float)factor_threshold, least = nextafterf(threshold, INFINITY);
    for (int i = 0; i < gated->nodes; i++) {
        const copi_node *gate = &gated->node[i];
        if (gate->op != COPI_OP_GATE) continue;
        copi_param *lambda = copi_node_slot(gated, gate, COPI_GATE);
        int64_t above = 0, floor = keep < lambda->count ? keep : lambda->count;
        for (int64_t k = 0; k < lambda->count; k++) {
            if (lambda->data[k] < 0) rescale(gated, gate, k, -lambda->data[k]);
            above += lambda->data[k] > threshold;
        }
        for (; above < floor; above++) {
            int64_t best = -1;
            for (int64_t k = 0; k < lambda->count; k++)
                if (lambda->data[k] <= threshold && (best < 0 || lambda->data[k] > lambda->data[best])) best = k;
            const copi_node *from = &gated->node[gate->src[0]];
            if (from->op == COPI_OP_BATCHNORM) from = &gated->node[from->src[0]]; /* people know the conv */
            copi_log(gated->ctx, COP_LOG_WARNING,
                     "sss: all but %lld factors of %s fell to %g or below; unit %lld is kept", (long long)above,
                     from->name, factor_threshold, (long long)best);
            cop_status s = copi_net_note(gated, "sss: %s would have kept %lld units; unit %lld was kept besides",
                                         from->name, (long long)above, (long long)best);
            if (s) return s;
            if (!(lambda->data[best] > 0)) lambda->data[best] = 1; /* it gave 0: only a fresh start keeps it alive */
            if (lambda->data[best] <= threshold) rescale(gated, gate, best, least);
        }
    }
    return COP_OK;
}

/* The dense net with factors, trained, folded, and (params->shrink) without what reached 0. */
static cop_status search(copi_run *run, cop_net **net, cop_history *history) {
    const cop_method_params *p = run->params;
    const copi_gate_rule rule = {.prox = p->prox, .momentum = p->factor_momentum, .gamma = p->gamma};
    const copi_fit fit = {.recipe = &p->search, .phase = "search", .gates = &rule, .gate_rate = p->factor_rate};
    cop_net *gated = NULL, *folded = NULL;
    cop_status s = copi_net_with_gates(run->dense, &gated);
    if (!s) s = copi_run_train(run, gated, &fit, 1, history);
    if (!s) s = copi_factors_mend(gated, p->factor_threshold, p->keep);
    if (!s) s = copi_net_fold_gates(gated, p->factor_threshold, &folded);
    if (!s)
        s = copi_net_note(folded, "sss: factors by %s, gamma %g, rate %g, momentum %g; those up to %g removed",
                          cop_prox_name(p->prox), p->gamma, p->factor_rate, p->factor_momentum, p->factor_threshold);
    cop_net_destroy(gated);
    if (!s && !p->shrink) {
        *net = folded;
        return COP_OK;
    }
    if (!s) s = cop_shrink(folded, net, NULL);
    cop_net_destroy(folded);
    return s;
}

/* Kernel weights |w| <= threshold become 0 for good; the largest of each kernel stays. */
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

/* Retrained net -> the point of one threshold; *net is what was measured. */
static cop_status finish(copi_run *run, const cop_net *retrained, double threshold, double accuracy_pruned,
                         cop_history *history, cop_net **net) {
    cop_point point = {.round = 1,
                       .level = run->params->gamma,
                       .asked = NAN,
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

cop_status copi_sss_run(copi_run *run, cop_net **result) {
    static const double no_threshold = 0;
    const cop_method_params *p = run->params;
    const double *threshold = p->thresholds ? p->threshold : &no_threshold;
    const copi_fit fit = {.recipe = &p->retrain, .phase = "retrain"};
    cop_history history = {.ctx = run->ctx}, more = {.ctx = run->ctx};
    cop_net *net = NULL;
    double accuracy_pruned = NAN;
    cop_status s = search(run, &net, &history);
    if (!s) s = copi_run_settle(run, net);
    if (!s) s = copi_run_validate(run, net, &accuracy_pruned);
    if (!s) s = copi_run_train(run, net, &fit, 2, &more);
    if (!s) s = copi_history_append(&history, &more);
    for (int i = 0; i < (p->thresholds ? p->thresholds : 1) && !s && !run->stopped; i++) {
        cop_net_destroy(*result);
        *result = NULL;
        s = finish(run, net, threshold[i], accuracy_pruned, &history, result);
    }
    cop_history_clear(&more);
    cop_history_clear(&history);
    cop_net_destroy(net);
    return s;
}
