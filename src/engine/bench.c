/* Timings of a plan: whole steps, and each primitive alone. */
#include "engine/loss.h"
#include "engine/optimizer.h"
#include "engine/run.h"
#include "engine/weights.h"

#include <stdlib.h>

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
static double median(double *t, int n) {
    qsort(t, (size_t)n, sizeof *t, by_value);
    return n % 2 ? t[n / 2] : (t[n / 2 - 1] + t[n / 2]) / 2;
}

/* What to time: an action, or (action NULL) what a step does besides its actions. */
typedef struct timed {
    const plan_action *action;
    const copi_step *step;
} timed;

static cop_status run_timed(copi_plan *p, const timed *one) {
    double loss;
    int64_t correct;
    if (one->action) return plan_run(p, &(plan_actions){.item = (plan_action[]){*one->action}, .count = 1});
    plan_loss(p, one->step, &loss, &correct);
    plan_gate_gradients(p);
    plan_update(p, 0);
    return COP_OK;
}

static cop_status time_one(copi_plan *p, const timed *one, double *t, int runs, double *sum) {
    cop_status s = COP_OK;
    for (int r = -1; r < runs && !s; r++) { /* the first run warms up */
        double start = copi_now();
        s = run_timed(p, one);
        if (r >= 0) t[r] = copi_now() - start;
    }
    if (s) return s;
    double m = median(t, runs);
    sum[one->action && one->action->primitive ? 0 : 1] += m;
    copi_log(p->ctx, COP_LOG_DEBUG, "%-12s %-24s %9.1f us%s",
             one->action && one->action->node >= 0 ? p->net->node[one->action->node].name : "",
             one->action ? one->action->what : "loss and optimizer", m * 1e6,
             one->action && one->action->primitive ? "" : "  (own)");
    return COP_OK;
}

cop_status copi_plan_time(copi_plan *p, int runs, double *primitives, double *own) {
    double sum[2] = {0, 0};
    if (runs < 1) return copi_fail(p->ctx, COP_E_ARG, "time: %d runs; at least 1", runs);
    double *t = copi_alloc(p->ctx, (size_t)runs, sizeof *t);
    int32_t *label = copi_alloc(p->ctx, (size_t)p->options.batch, sizeof *label);
    cop_status s = t && label ? COP_OK : COP_E_NOMEM;
    const copi_step step = {.label = label};
    const plan_actions *list[] = {&p->prepare, &p->forward, &p->backward, &p->statistics};
    int threads = plan_enter(p);
    if (!s) s = plan_feed(p, p->staging, p->options.batch);
    for (size_t l = 0; l < COPI_COUNT(list); l++)
        for (int i = 0; i < list[l]->count && !s; i++)
            s = time_one(p, &(timed){.action = &list[l]->item[i]}, t, runs, sum);
    if (!s && p->options.training) s = time_one(p, &(timed){.step = &step}, t, runs, sum);
    plan_leave(threads);
    copi_free(p->ctx, t);
    copi_free(p->ctx, label);
    if (primitives) *primitives = sum[0];
    if (own) *own = sum[1];
    return s;
}

void cop_bench_params_init(cop_bench_params *params, size_t size) {
    const cop_bench_params usual = {.size = sizeof usual, .batch = 1, .precision = COP_PRECISION_F32, .runs = 50};
    copi_struct_init(params, size, &usual, sizeof usual);
}

/* Whole steps (or forwards) on random images; t [runs] in seconds. */
static cop_status time_steps(copi_plan *p, int runs, const float *x, const int32_t *label, float *y, double *t) {
    const copi_step step = {.x = x, .label = label, .rate = 1e-3};
    cop_status s = COP_OK;
    double loss;
    int64_t correct;
    for (int r = -(runs / 10 + 1); r < runs && !s; r++) {
        double start = copi_now();
        s = p->options.training ? copi_plan_step(p, &step, &loss, &correct)
                                : copi_plan_forward(p, x, p->options.batch, y, NULL);
        if (r >= 0) t[r] = copi_now() - start;
    }
    return s;
}

static cop_status bench(cop_ctx *ctx, copi_plan *p, int runs, cop_bench_result *result) {
    size_t n = (size_t)p->options.batch;
    float *x = copi_alloc(ctx, n * (size_t)p->image, sizeof *x),
          *y = copi_alloc(ctx, n * (size_t)p->classes, sizeof *y);
    int32_t *label = copi_alloc(ctx, n, sizeof *label);
    double *t = copi_alloc(ctx, (size_t)runs, sizeof *t), primitives;
    cop_status s = x && y && label && t ? COP_OK : COP_E_NOMEM;
    if (!s) {
        copi_rng rng = copi_rng_make(1, COPI_STREAM_CHECK, 0);
        for (size_t i = 0; i < n * (size_t)p->image; i++) x[i] = (float)copi_rng_normal(&rng);
        for (size_t i = 0; i < n; i++) label[i] = (int32_t)copi_rng_below(&rng, (uint64_t)p->classes);
        s = time_steps(p, runs, x, label, y, t);
    }
    if (!s) {
        result->median_ms = 1e3 * median(t, runs); /* sorts t */
        result->min_ms = 1e3 * t[0];
        result->max_ms = 1e3 * t[runs - 1];
        result->images_per_second = (double)p->options.batch / (result->median_ms / 1e3);
        result->threads = copi_threads(ctx);
        result->precision = p->bf16 ? "bf16" : "f32";
        s = copi_plan_time(p, runs, &primitives, NULL);
        if (!s) result->primitives_ms = 1e3 * primitives;
    }
    copi_free(ctx, x);
    copi_free(ctx, y);
    copi_free(ctx, label);
    copi_free(ctx, t);
    return s;
}

cop_status cop_bench(const cop_net *net, const cop_bench_params *params, cop_bench_result *result) {
    if (result) *result = (cop_bench_result){0};
    COPI_REQUIRE(NULL, net);
    COPI_REQUIRE(net->ctx, result);
    cop_status s = COPI_CHECK(net->ctx, cop_bench_params, params);
    if (s) return s;
    if (params->runs < 1) return copi_fail(net->ctx, COP_E_RANGE, "bench: %d runs; at least 1", params->runs);
    copi_plan_options options = {
        .batch = params->batch, .training = params->training != 0, .precision = params->precision, .seed = 1};
    cop_recipe adam = {.optimizer = COP_OPTIMIZER_ADAM, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
    copi_plan *plan;
    s = copi_plan_create(net->ctx, net, &options, &plan);
    if (s) return s;
    copi_plan_set_optimizer(plan, &adam);
    s = bench(net->ctx, plan, params->runs, result);
    copi_plan_destroy(plan);
    if (s) *result = (cop_bench_result){0};
    return s;
}
