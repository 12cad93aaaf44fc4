/* Gradual pruning (Zhu & Gupta 2017, arXiv:1710.01878): while the net trains, the sparsity rises along a cubic, fast
 * at first and slow at the end. The rest of the training recovers the accuracy. */
#include "method/method.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { EVERY = 32 }; /* steps between two cuts */
static const double PI = 3.14159265358979323846;

/* Share at step t of n: s (1 - (1 - (t - t0) / (t1 - t0))^3) between steps t0 and t1, the shares begin and end of the
 * training; s from t1 on, or at the last step. */
double copi_gradual_share(const cop_method_params *p, int64_t t, int64_t n) {
    double from = p->gradual.begin * (double)n, to = p->gradual.end * (double)n;
    if ((double)t >= to || t + 1 >= n) return p->sparsity;
    if ((double)t < from) return 0;
    return p->sparsity * (1 - pow(1 - ((double)t - from) / (to - from), 3));
}

/* Share of the nonzero weights to exchange at step t: revive at the beginning, falling to 0 at the end as a
 * cosine. */
static double revived_share(const cop_method_params *p, int64_t t, int64_t n) {
    double from = p->gradual.begin * (double)n, to = p->gradual.end * (double)n;
    if (p->gradual.revive <= 0 || t == 0 || (double)t >= to || t + 1 >= n) return 0;
    return p->gradual.revive * 0.5 * (1 + cos(PI * ((double)t - from) / (to - from)));
}

static bool is_due(const cop_method_params *p, int64_t t, int64_t n) {
    double now = copi_gradual_share(p, t, n), before = t ? copi_gradual_share(p, t - 1, n) : 0;
    if (now >= p->sparsity) return before < p->sparsity || t == 0; /* the last cut */
    return now > 0 && t % EVERY == 0;
}

typedef struct gradual {
    const copi_run *run;
    cop_net *trained; /* carries the masks, checkpoints included */
    cop_net *net;     /* a copy of the plan's weights, to prune */
    /* set if the criterion uses Adam's second moments, else NULL: */
    float *square;      /* [net->block_count] */
    const float **each; /* [net->params] into square */
} gradual;

/* Adam's second moments are running means of the squared gradients during training. */
static cop_status take_squares(const gradual *g, copi_plan *plan) {
    cop_status s = COP_OK;
    for (int i = 0; i < g->net->params && !s; i++)
        if (g->net->param[i].kind == COPI_PARAM_WEIGHT)
            s = copi_plan_state_get(plan, 1, i, g->square + (g->net->param[i].data - g->net->block));
    return s;
}

static cop_status check_finite(const gradual *g, const char *what, const float *x, int64_t t) {
    return copi_check_finite(g->run->ctx, "tune", what, x, g->net->block_count, t, g->run->params->tune.rate);
}

static cop_status cut(void *user, copi_plan *plan, int64_t t, int64_t n) {
    const gradual *g = user;
    if (!is_due(g->run->params, t, n)) return COP_OK;
    bool moments = g->each && t > 0;
    cop_status s = copi_net_copy_masks(g->net, g->trained);
    if (!s) s = copi_plan_pull(plan, g->net);
    if (!s && t > 0) s = check_finite(g, "weight", g->net->block, t);
    if (!s && moments) s = take_squares(g, plan);
    if (!s && moments) s = check_finite(g, "squared gradient", g->square, t);
    if (!s)
        s = copi_criterion_prune(g->run, g->net, copi_gradual_share(g->run->params, t, n), moments ? g->each : NULL);
    double exchange = revived_share(g->run->params, t, n);
    if (!s && exchange > 0) s = copi_revive(g->net, exchange, plan);
    if (!s) s = copi_net_copy_masks(g->trained, g->net);
    return s ? s : copi_plan_push(plan, g->net);
}

static cop_status find_squares(gradual *g) {
    cop_ctx *ctx = g->run->ctx;
    g->square = copi_alloc(ctx, g->net->block_count, sizeof *g->square);
    g->each = copi_alloc(ctx, (size_t)g->net->params, sizeof *g->each);
    if (!g->square || !g->each) return COP_E_NOMEM;
    for (int i = 0; i < g->net->params; i++) g->each[i] = g->square + (g->net->param[i].data - g->net->block);
    return COP_OK;
}

cop_status copi_gradual_check(cop_ctx *ctx, const cop_method_params *p) {
    const copi_criterion *criterion = copi_criterion_find(p->method);
    if (criterion->unit != COPI_UNIT_WEIGHT)
        return copi_fail(ctx, COP_E_ARG, "pace gradual is for weights, but %s removes whole structures; use rounds",
                         p->method);
    if (!(p->tune.epochs > 0))
        return copi_fail(ctx, COP_E_RANGE, "tune: epochs is %g; pace gradual needs this training, so give it epochs",
                         p->tune.epochs);
    if (p->tune.max_seconds > 0)
        return copi_fail(ctx, COP_E_ARG, "tune: max_seconds is %g; pace gradual must not end early, so use 0",
                         p->tune.max_seconds);
    if (p->rounds != 1)
        return copi_fail(ctx, COP_E_RANGE, "rounds is %d; pace gradual prunes within one training, so use 1",
                         p->rounds);
    if (!(p->gradual.begin <= p->gradual.end))
        return copi_fail(ctx, COP_E_RANGE, "begin is %g and end is %g; expected begin <= end", p->gradual.begin,
                         p->gradual.end);
    return COP_OK;
}

/* Everything that decides which weights are removed when, except recipe, net and data, which the training knows. */
static char *describe(cop_ctx *ctx, const cop_method_params *p) {
    uint64_t limits = 0;
    for (int i = 0; i < p->limits; i++) {
        const cop_layer_limit *l = &p->limit[i];
        limits = copi_hash(limits, l->layer, strlen(l->layer) + 1);
        limits = copi_hash(limits, &l->keep, sizeof l->keep);
        limits = copi_hash(limits, &l->most, sizeof l->most);
    }
    return copi_format(
        ctx,
        "%s %s sparsity %.17g from %.17g to %.17g keep %" PRId64 " macs %.17g limits %016" PRIx64 " seed %" PRIu64,
        p->method, p->scope, p->sparsity, p->gradual.begin, p->gradual.end, p->keep, p->macs, limits, p->seed);
}

cop_status copi_gradual_train(copi_run *run, cop_net *net, cop_history *history) {
    const cop_method_params *p = run->params;
    gradual g = {.run = run, .trained = net};
    char *rests = describe(run->ctx, p);
    const copi_fit fit = {.recipe = &p->tune, .phase = "tune", .on_step = cut, .user = &g, .hooks = rests};
    cop_status s = rests ? cop_net_clone(net, &g.net) : COP_E_NOMEM;
    if (!s && copi_criterion_find(p->method)->needs == COPI_NEEDS_SQUARES && p->tune.optimizer != COP_OPTIMIZER_SGD)
        s = find_squares(&g);
    if (!s) s = copi_run_train(run, net, &fit, 1, history);
    if (!s)
        s = copi_net_note(net, "gradual: %s, scope %s, to %g along a cubic from %g to %g of the training", p->method,
                          p->scope, p->sparsity, p->gradual.begin, p->gradual.end);
    copi_free(run->ctx, g.each);
    copi_free(run->ctx, g.square);
    copi_free(run->ctx, rests);
    cop_net_destroy(g.net);
    return s;
}
