/* Looks at training images without learning from them: batch-norm's running statistics made anew (after pruning they
 * are those of another net), and the loss's gradient for criteria that rank by it. */
#include "train/train.h"

#include <stddef.h>

/* The engine moves running statistics this share of the way towards each batch's; from 0, a step leaves this share of
 * the batch's own. A test compares what comes out with means computed directly. */
static const double ENGINE_SHARE = 0.1;
enum { BATCH = 128, BATCH_SQUARES = 16 }; /* a batch's mean hides what its images disagree on */

static bool is_statistic(const copi_param *p) {
    return p->kind == COPI_PARAM_MEAN || p->kind == COPI_PARAM_VAR;
}

void copi_scale_dropout(cop_net *net, double factor) {
    for (int i = 0; i < net->nodes; i++)
        if (net->node[i].op == COPI_OP_DROPOUT) net->node[i].u.dropout.share *= factor;
}

typedef struct probe {
    cop_net *work; /* a copy whose dropout rests: neither statistics nor scores may depend on it */
    copi_plan *plan;
    copi_loader *loader;
    bool cancellable;
} probe;

static void probe_close(probe *p) {
    copi_loader_destroy(p->loader);
    copi_plan_destroy(p->plan);
    cop_net_destroy(p->work);
}

static cop_status probe_open(const cop_net *net, const cop_data *data, int64_t batch, int64_t steps, bool cancellable,
                             probe *p) {
    *p = (probe){.cancellable = cancellable};
    cop_status s = cop_net_clone(net, &p->work);
    if (s) return s;
    copi_scale_dropout(p->work, 0);
    s = copi_plan_create(
        net->ctx, p->work,
        &(copi_plan_options){.batch = batch, .training = true, .precision = COP_PRECISION_F32, .seed = 1}, &p->plan);
    if (s) return s;
    copi_plan_set_optimizer(p->plan, &(cop_recipe){.optimizer = COP_OPTIMIZER_SGD});
    copi_normalization normal = copi_normalization_of(net, data);
    return copi_loader_create(net->ctx, data,
                              &(copi_loader_options){.split = COP_SPLIT_TRAIN,
                                                     .batch = batch,
                                                     .shuffle = true,
                                                     .drop_last = true,
                                                     .seed = 1,
                                                     .steps = steps,
                                                     .mean = normal.mean,
                                                     .std = normal.std,
                                                     .order = normal.order},
                              &p->loader);
}

/* One step of learning rate 0; only running statistics move, and with gradient_only nothing does. */
static cop_status probe_step(probe *p, bool gradient_only, int64_t t, int64_t steps) {
    cop_ctx *ctx = p->work->ctx;
    const float *x;
    const int32_t *label;
    int64_t n, correct;
    double loss;
    if (p->cancellable && copi_cancelled(ctx))
        return copi_fail(ctx, COP_E_CANCELLED, "looking at training images: interrupted after %lld of %lld batches",
                         (long long)t, (long long)steps);
    cop_status s = copi_loader_next(p->loader, &x, &label, &n);
    if (s) return s;
    if (!n)
        return copi_fail(ctx, COP_E_INTERNAL,
                         "looking at training images: the loader ended after %lld of %lld batches", (long long)t,
                         (long long)steps);
    return copi_plan_step(p->plan, &(copi_step){.x = x, .label = label, .gradient_only = gradient_only}, &loss,
                          &correct);
}

/* batch: in, the most images of one. */
static cop_status plan_batches(const cop_net *net, const cop_data *data, int64_t images, int64_t *batch,
                               int64_t *steps) {
    cop_status s = copi_check_fit(net, data);
    if (s) return s;
    int64_t have = data->info.images[COP_SPLIT_TRAIN];
    if (images > have) images = have;
    if (images < 1) return copi_fail(net->ctx, COP_E_NOT_FOUND, "%s has no training images", data->info.path);
    if (images < *batch) *batch = images;
    *steps = images / *batch;
    return COP_OK;
}

/* Every batch counts alike: sum += what one step from zeroed statistics leaves. */
static cop_status gather(probe *p, int64_t steps, double *sum) {
    cop_net *work = p->work;
    for (int64_t t = 0; t < steps; t++) {
        cop_status s;
        for (int i = 0; i < work->params; i++)
            if (is_statistic(&work->param[i]))
                for (int64_t k = 0; k < work->param[i].count; k++) work->param[i].data[k] = 0;
        if ((s = copi_plan_push(p->plan, work)) || (s = probe_step(p, false, t, steps)) ||
            (s = copi_plan_pull(p->plan, work)))
            return s;
        double *to = sum;
        for (int i = 0; i < work->params; i++)
            if (is_statistic(&work->param[i]))
                for (int64_t k = 0; k < work->param[i].count; k++) *to++ += work->param[i].data[k];
    }
    return COP_OK;
}

cop_status copi_recalibrate(cop_net *net, const cop_data *data, int64_t images, bool cancellable) {
    cop_ctx *ctx = net->ctx;
    size_t statistics = 0;
    for (int i = 0; i < net->params; i++)
        if (is_statistic(&net->param[i])) statistics += (size_t)net->param[i].count;
    if (!statistics) return COP_OK;
    int64_t batch = BATCH, steps = 1;
    cop_status s = plan_batches(net, data, images, &batch, &steps);
    if (s) return s;
    double *sum = copi_alloc(ctx, statistics, sizeof *sum);
    if (!sum) return COP_E_NOMEM;
    probe p;
    s = probe_open(net, data, batch, steps, cancellable, &p);
    if (!s) s = gather(&p, steps, sum);
    const double *from = sum;
    for (int i = 0; i < net->params && !s; i++)
        if (is_statistic(&net->param[i]))
            for (int64_t k = 0; k < net->param[i].count; k++)
                net->param[i].data[k] = (float)(*from++ / (ENGINE_SHARE * (double)steps));
    probe_close(&p);
    copi_free(ctx, sum);
    return s;
}

cop_status copi_mean_gradient(const cop_net *net, const cop_data *data, int64_t images, bool squares,
                              float *gradient) {
    int64_t batch = squares ? BATCH_SQUARES : BATCH, steps = 1;
    cop_status s = plan_batches(net, data, images, &batch, &steps);
    if (s) return s;
    probe p = {0};
    double *sum = copi_alloc(net->ctx, net->block_count, sizeof *sum);
    float *one = copi_alloc(net->ctx, net->block_count, sizeof *one);
    s = sum && one ? probe_open(net, data, batch, steps, true, &p) : COP_E_NOMEM;
    for (int64_t t = 0; t < steps && !s; t++) {
        if ((s = probe_step(&p, true, t, steps))) break;
        for (int i = 0; i < net->params && !s; i++) {
            ptrdiff_t at = net->param[i].data - net->block;
            s = copi_plan_gradient(p.plan, i, one + at);
            for (int64_t k = at; k < at + net->param[i].count; k++)
                sum[k] += squares ? (double)one[k] * one[k] : one[k];
        }
    }
    for (size_t i = 0; i < net->block_count && !s; i++) gradient[i] = (float)(sum[i] / (double)steps);
    probe_close(&p);
    copi_free(net->ctx, sum);
    copi_free(net->ctx, one);
    return s;
}
