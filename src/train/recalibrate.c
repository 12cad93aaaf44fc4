/* Batch-norm's running statistics made anew: after pruning they are those of another net. */
#include "train/train.h"

#include <math.h>

/* The engine moves running statistics this share of the way towards each batch's; from 0, a step leaves this share of
 * the batch's own. A test compares what comes out with means computed directly. */
static const double ENGINE_SHARE = 0.1;
enum { BATCH = 128 };

static bool is_statistic(const copi_param *p) {
    return p->kind == COPI_PARAM_MEAN || p->kind == COPI_PARAM_VAR;
}

/* Every batch counts alike: sum += what one step from zeroed statistics leaves. The learning rate is 0. */
static cop_status gather(copi_plan *plan, copi_loader *loader, cop_net *work, int64_t steps, double *sum) {
    cop_status s = COP_OK;
    for (int64_t t = 0; t < steps && !s; t++) {
        const float *x;
        const int32_t *label;
        int64_t n, correct;
        double loss;
        for (int i = 0; i < work->params; i++)
            if (is_statistic(&work->param[i]))
                for (int64_t k = 0; k < work->param[i].count; k++) work->param[i].data[k] = 0;
        if ((s = copi_plan_push(plan, work)) || (s = copi_loader_next(loader, &x, &label, &n))) break;
        if (!n)
            return copi_fail(work->ctx, COP_E_INTERNAL, "recalibrate: the loader ended after %lld of %lld batches",
                             (long long)t, (long long)steps);
        if ((s = copi_plan_step(plan, &(copi_step){.x = x, .label = label, .distil_temperature = 1}, &loss,
                                &correct)) ||
            (s = copi_plan_pull(plan, work)))
            break;
        double *to = sum;
        for (int i = 0; i < work->params; i++)
            if (is_statistic(&work->param[i]))
                for (int64_t k = 0; k < work->param[i].count; k++) *to++ += work->param[i].data[k];
        if (copi_cancelled(work->ctx))
            s = copi_fail(work->ctx, COP_E_CANCELLED, "recalibrate: interrupted after %lld of %lld batches",
                          (long long)t + 1, (long long)steps);
    }
    return s;
}

cop_status copi_recalibrate(cop_net *net, const cop_data *data, int64_t images) {
    cop_ctx *ctx = net->ctx;
    size_t statistics = 0;
    for (int i = 0; i < net->params; i++)
        if (is_statistic(&net->param[i])) statistics += (size_t)net->param[i].count;
    if (!statistics) return COP_OK;
    cop_status s = copi_check_fit(net, data);
    if (s) return s;
    int64_t have = data->info.images[COP_SPLIT_TRAIN];
    if (images > have) images = have;
    if (images < 1) return copi_fail(ctx, COP_E_NOT_FOUND, "recalibrate: %s has no training images", data->info.path);
    int64_t batch = images < BATCH ? images : BATCH, steps = images / batch;

    cop_net *work = NULL;
    copi_plan *plan = NULL;
    copi_loader *loader = NULL;
    double *sum = copi_alloc(ctx, statistics, sizeof *sum);
    copi_normalization normal = copi_normalization_of(net, data);
    if (!sum) return COP_E_NOMEM;
    s = cop_net_clone(net, &work);
    if (!s) {
        for (int i = 0; i < work->nodes; i++) /* inference knows no dropout, so neither may its statistics */
            if (work->node[i].op == COPI_OP_DROPOUT) work->node[i].u.dropout.share = 0;
        s = copi_plan_create(
            ctx, work,
            &(copi_plan_options){.batch = batch, .training = true, .precision = COP_PRECISION_F32, .seed = 1}, &plan);
    }
    if (!s) {
        copi_plan_set_optimizer(plan, &(copi_optimizer){.kind = COP_OPTIMIZER_SGD});
        s = copi_loader_create(ctx, data,
                               &(copi_loader_options){.split = COP_SPLIT_TRAIN,
                                                      .batch = batch,
                                                      .shuffle = true,
                                                      .drop_last = true,
                                                      .seed = 1,
                                                      .steps = steps,
                                                      .mean = normal.mean,
                                                      .std = normal.std},
                               &loader);
    }
    if (!s) s = gather(plan, loader, work, steps, sum);
    const double *from = sum;
    for (int i = 0; i < net->params && !s; i++)
        if (is_statistic(&net->param[i]))
            for (int64_t k = 0; k < net->param[i].count; k++)
                net->param[i].data[k] = (float)(*from++ / (ENGINE_SHARE * (double)steps));
    copi_loader_destroy(loader);
    copi_plan_destroy(plan);
    cop_net_destroy(work);
    copi_free(ctx, sum);
    return s;
}
