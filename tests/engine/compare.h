/* The engine against the plain reference, for any net: outputs in inference, gradients in training.
 *
 * Tolerance. In f32 every addition rounds to a relative 2^-24, and a sum of K numbers one after another collects
 * about sqrt(K) of them: the sums here have up to a few hundred terms, so a result carries a relative u of some 2^-22
 * of its terms' size. In bf16 sums are kept in f32, but a number stored between two ops has 8 bits: u is 2^-9. What
 * that does to a tensor depends on the net: a small variance in a batch-norm, or a sum that nearly cancels, magnifies
 * it. So the reference itself tells: parameters and every node's output and gradient are disturbed by independent
 * relative normal noise of size u on their way, three times (in bf16 twelve times: there a relu or a max-pool may
 * well decide otherwise), and the largest change of the tensor (in the 2-norm) is the yardstick. u times the norm of
 * the largest gradient is allowed besides; a gradient that is 0 in exact arithmetic, because a batch-norm subtracts
 * means behind it, gets 16 times that: its error is that of the mean, the same for all the numbers that are then
 * added up. The engine rounds more often than once a node, hence FACTOR yardsticks; in f32 a wrong formula is off by
 * thousands of them. */
#ifndef COPPICE_TEST_ENGINE_COMPARE_H
#define COPPICE_TEST_ENGINE_COMPARE_H

#include "check.h"
#include "engine/engine.h"
#include "nets.h"
#include "reference.h"
#include "reference_ops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FACTOR 8.0

typedef struct subject { /* one net, one batch of images */
    cop_ctx *ctx;
    const cop_net *net;
    int64_t n;
    cop_precision precision;
    float *x;                   /* [n,C,H,W] */
    int32_t *label;             /* [n] */
    const uint8_t *const *keep; /* the reference's dropout masks, or NULL */
} subject;

typedef struct verdict { /* the worst tensor */
    double ratio;        /* error / yardstick; FACTOR is the limit */
    char what[160];
} verdict;

/* A context with so many threads. Most tests take one: two that wait for each other on a busy machine take long. */
static inline cop_ctx *ctx_of_threads(int threads) {
    cop_ctx_options o = cop_ctx_options_default();
    o.threads = threads;
    cop_ctx *ctx;
    assert_int_equal(cop_ctx_create(&o, &ctx), COP_OK);
    return ctx;
}

static inline subject subject_make(cop_ctx *ctx, const cop_net *net, int64_t n, cop_precision precision,
                                   uint64_t seed) {
    int64_t pixels = n * ref_count(net, 0), classes = ref_count(net, net->nodes - 1);
    subject s = {.ctx = ctx, .net = net, .n = n, .precision = precision};
    s.x = malloc((size_t)pixels * sizeof *s.x);
    s.label = malloc((size_t)n * sizeof *s.label);
    assert_non_null(s.x);
    assert_non_null(s.label);
    test_fill_normal(seed, s.x, pixels);
    for (int64_t i = 0; i < n; i++) s.label[i] = (int32_t)((i * 7 + (int64_t)seed) % classes);
    return s;
}

static inline void subject_free(subject *s) {
    free(s->x);
    free(s->label);
}

static inline double unit_of(cop_precision precision) {
    return precision == COP_PRECISION_BF16 ? 0x1p-9 : 0x1p-22;
}

static inline void disturb(double *x, int64_t n, double u, copi_rng *rng) {
    for (int64_t i = 0; i < n && u > 0; i++) x[i] *= 1 + u * copi_rng_normal(rng);
}

/* The reference run on the subject, everything on its way disturbed by relative noise u (0: nothing). */
static inline ref_run *reference_run(const subject *s, bool training, double u, uint64_t seed) {
    const cop_net *net = s->net;
    ref_run *r = ref_create(net, s->n);
    r->training = training;
    r->keep = s->keep;
    copi_rng rng = copi_rng_make(seed, COPI_STREAM_TEST, 7);
    for (int p = 0; p < net->params; p++) disturb(r->param[p], net->param[p].count, u, &rng);
    for (int64_t i = 0; i < s->n * ref_count(net, 0); i++) r->out[0][i] = s->x[i];
    for (int i = 0; i < net->nodes; i++) {
        ref_ops[net->node[i].op].forward(r, i);
        disturb(r->out[i], s->n * ref_count(net, i), u, &rng);
    }
    if (!training) return r;
    ref_loss(r, s->label, NULL);
    for (int i = net->nodes - 1; i >= 0; i--) {
        disturb(r->grad[i], s->n * ref_count(net, i), u, &rng);
        ref_ops[net->node[i].op].backward(r, i);
    }
    return r;
}

static inline double norm_of_difference(const double *a, const double *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (a[i] - (b ? b[i] : 0)) * (a[i] - (b ? b[i] : 0));
    return sqrt(sum);
}

enum { DISTURBED = 12 }; /* at most; f32 takes 3 */
typedef struct yard {
    ref_run *exact, *disturbed[DISTURBED];
    double unit, floor;
    int draws;
} yard;

static inline yard yard_make(const subject *s, bool training) {
    yard y = {.unit = unit_of(s->precision)};
    y.exact = reference_run(s, training, 0, 0);
    y.draws = s->precision == COP_PRECISION_BF16 ? DISTURBED : 3;
    for (int k = 0; k < y.draws; k++) y.disturbed[k] = reference_run(s, training, y.unit, (uint64_t)k + 1);
    for (int p = 0; p < s->net->params && training; p++)
        y.floor = fmax(y.floor, y.unit * norm_of_difference(y.exact->dparam[p], NULL, s->net->param[p].count));
    return y;
}

static inline void yard_free(yard *y) {
    ref_destroy(y->exact);
    for (int k = 0; k < y->draws; k++) ref_destroy(y->disturbed[k]);
}

/* One tensor: where it lies in a reference run, and what the engine gave. */
typedef const double *(*tensor_at)(const ref_run *r, int i);
static inline const double *output_at(const ref_run *r, int i) {
    return r->out[i];
}
static inline const double *gradient_at(const ref_run *r, int i) {
    return r->dparam[i];
}

/* How far the disturbances move tensor i. */
static inline double change_of(const yard *y, tensor_at at, int i, int64_t n) {
    double change = 0;
    for (int k = 0; k < y->draws; k++)
        change = fmax(change, norm_of_difference(at(y->exact, i), at(y->disturbed[k], i), n));
    return change;
}

static inline void judge(verdict *v, const yard *y, tensor_at at, int i, const float *got, int64_t n,
                         const char *what, const char *name) {
    const double *want = at(y->exact, i);
    double *g = malloc((size_t)n * sizeof *g), change = change_of(y, at, i, n);
    assert_non_null(g);
    for (int64_t k = 0; k < n; k++) g[k] = got[k];
    double size = norm_of_difference(want, NULL, n),
           floor = size * y->unit < 1e-9 * y->floor ? 16 * y->floor : y->floor;
    double allowed = change + floor + y->unit * size + 1e-30;
    double error = norm_of_difference(g, want, n), ratio = isfinite(error) ? error / allowed : INFINITY;
    free(g);
    if (ratio <= v->ratio && v->what[0]) return;
    v->ratio = ratio;
    snprintf(v->what, sizeof v->what, "%s of %s: off by %.3g of %.3g, yardstick %.3g", what, name, error, size,
             allowed);
}

static inline copi_plan *plan_for(const subject *s, bool training) {
    copi_plan_options o = {
        .batch = s->n, .training = training, .averages = training, .precision = s->precision, .seed = 5};
    copi_plan *plan;
    test_ok(s->ctx, copi_plan_create(s->ctx, s->net, &o, &plan));
    return plan;
}

static inline void judge_inference(const subject *s, verdict *v) {
    int last = s->net->nodes - 1;
    yard y = yard_make(s, false);
    int64_t count = s->n * ref_count(s->net, last);
    float *out = malloc((size_t)count * sizeof *out), *logits = malloc((size_t)count * sizeof *logits);
    assert_non_null(out);
    assert_non_null(logits);
    copi_plan *plan = plan_for(s, false);
    test_ok(s->ctx, copi_plan_forward(plan, s->x, s->n, out, logits));
    judge(v, &y, output_at, last, out, count, "output", "the net");
    judge(v, &y, output_at, y.exact->logits, logits, count, "logits", "the net");
    copi_plan_destroy(plan);
    free(out);
    free(logits);
    yard_free(&y);
}

/* The gradients of the plan's last step, of every parameter. */
static inline void judge_gradients(const yard *y, copi_plan *plan, const cop_net *net, cop_ctx *ctx, verdict *v) {
    for (int p = 0; p < net->params; p++) {
        const copi_param *param = &net->param[p];
        if (param->kind == COPI_PARAM_MEAN || param->kind == COPI_PARAM_VAR) continue;
        float *g = malloc((size_t)param->count * sizeof *g);
        assert_non_null(g);
        test_ok(ctx, copi_plan_gradient(plan, p, g));
        judge(v, y, gradient_at, p, g, param->count, "gradient", param->name);
        free(g);
    }
}

static inline void judge_training(const subject *s, verdict *v) {
    yard y = yard_make(s, true);
    copi_plan *plan = plan_for(s, true);
    copi_step step = {.x = s->x, .label = s->label, .gradient_only = true};
    double loss;
    int64_t correct;
    test_ok(s->ctx, copi_plan_step(plan, &step, &loss, &correct));
    judge_gradients(&y, plan, s->net, s->ctx, v);
    copi_plan_destroy(plan);
    yard_free(&y);
}

/* The smallest distance of any number from a place where the net's derivative jumps: relu at 0, relu6 at 6 too, the
 * two largest of a max-pool's window. The engine's rounding may fall on the other side of a jump nearer than that. */
static inline double kink_distance_act(const ref_run *r, int node) {
    const copi_node *n = &r->net->node[node];
    double least = INFINITY;
    for (int64_t i = 0; i < r->n * ref_count(r->net, n->src[0]); i++) {
        double x = r->out[n->src[0]][i];
        if (x != 0) least = fmin(least, fabs(x)); /* the zeros of a relu stay zeros */
        if (n->op == COPI_OP_RELU6 && x != 6) least = fmin(least, fabs(x - 6));
    }
    return least;
}

static inline double kink_distance_pool(const ref_run *r, int node) {
    const copi_node *n = &r->net->node[node], *from = &r->net->node[n->src[0]];
    const cop_pool_params *q = &n->u.pool;
    const int64_t H = from->shape[1], W = from->shape[2];
    double least = INFINITY;
    for (int64_t c = 0; c < r->n * n->shape[0]; c++) {
        for (int64_t o = 0; o < n->shape[1] * n->shape[2]; o++) {
            double first = -INFINITY, second = -INFINITY;
            int64_t h0 = o / n->shape[2] * (q->stride[0] ? q->stride[0] : q->kernel[0]) - q->pad[0];
            int64_t w0 = o % n->shape[2] * (q->stride[1] ? q->stride[1] : q->kernel[1]) - q->pad[1];
            for (int64_t h = h0 < 0 ? 0 : h0; h < h0 + q->kernel[0] && h < H; h++) {
                for (int64_t w = w0 < 0 ? 0 : w0; w < w0 + q->kernel[1] && w < W; w++) {
                    double x = r->out[n->src[0]][(c * H + h) * W + w];
                    second = fmax(second, fmin(first, x));
                    first = fmax(first, x);
                }
            }
            if (first > second) least = fmin(least, first - second); /* equal ones (zeros of a relu) stay equal */
        }
    }
    return least;
}

/* ... and 0 for a batch-norm over a channel that masks made constant: it divides the rounding of a mean by
 * sqrt(epsilon), and its gradient with it. */
static inline double kink_distance_norm(const ref_run *r, int node) {
    double least = INFINITY;
    for (int64_t c = 0; c < r->net->node[node].shape[0]; c++)
        if (r->batch_var[node][c] < 1e-3 * r->net->node[node].u.batchnorm.epsilon) least = 0;
    return least;
}

static inline double kink_distance(const subject *s) {
    ref_run *r = reference_run(s, true, 0, 0);
    double least = INFINITY;
    for (int i = 0; i < s->net->nodes; i++) {
        copi_op op = s->net->node[i].op;
        if (op == COPI_OP_RELU || op == COPI_OP_RELU6 || op == COPI_OP_LEAKY_RELU)
            least = fmin(least, kink_distance_act(r, i));
        if (op == COPI_OP_MAX_POOL) least = fmin(least, kink_distance_pool(r, i));
        if (op == COPI_OP_BATCHNORM) least = fmin(least, kink_distance_norm(r, i));
    }
    ref_destroy(r);
    return least;
}

#endif
