/* Accuracy and loss on a split. */
#include "train/train.h"

#include <math.h>
#include <string.h>

void cop_eval_options_init(cop_eval_options *options, size_t size) {
    const cop_eval_options usual = {.size = sizeof usual, .batch = 256, .precision = COP_PRECISION_F32};
    copi_struct_init(options, size, &usual, sizeof usual);
}

cop_status copi_check_fit(const cop_net *net, const cop_data *data) {
    const copi_node *in = &net->node[0];
    const cop_data_info *info = &data->info;
    if (in->shape[0] != info->channels || in->shape[1] != info->height || in->shape[2] != info->width)
        return copi_fail(net->ctx, COP_E_SHAPE,
                         "the net takes images [%lld,%lld,%lld], but those of %s are [%lld,%lld,%lld]",
                         (long long)in->shape[0], (long long)in->shape[1], (long long)in->shape[2], info->path,
                         (long long)info->channels, (long long)info->height, (long long)info->width);
    if (net->classes != info->classes)
        return copi_fail(net->ctx, COP_E_SHAPE, "the net has %d classes, but %s has %d", net->classes, info->path,
                         info->classes);
    return COP_OK;
}

copi_normalization copi_normalization_of(const cop_net *net, const cop_data *data) {
    copi_normalization normal = {.order = net->channel_order};
    int last = (int)data->info.channels - 1;
    for (int c = 0; c <= last; c++) {
        int of_data = normal.order == COP_CHANNEL_ORDER_BGR ? last - c : c;
        normal.mean[c] = net->normalized ? net->mean[c] : data->info.mean[of_data];
        normal.std[c] = net->normalized ? net->std[c] : data->info.std[of_data];
        if (!normal.std[c]) normal.std[c] = 1; /* a channel that never changes becomes 0 */
    }
    return normal;
}

struct copi_meter {
    cop_ctx *ctx;
    const cop_data *data;
    cop_eval_options options;
    copi_plan *plan;
    int classes;
    bool cancellable;
    float *y, *logits; /* [batch,classes] */
};

cop_status copi_meter_create(const cop_net *net, const cop_data *data, const cop_eval_options *options,
                             bool cancellable, copi_meter **meter) {
    *meter = NULL;
    cop_ctx *ctx = net->ctx;
    cop_status s = copi_check_fit(net, data);
    if (s) return s;
    cop_eval_options o = options ? *options : cop_eval_options_default();
    if ((s = COPI_CHECK(ctx, cop_eval_options, &o))) return s;
    if (o.batch < 1)
        return copi_fail(ctx, COP_E_RANGE, "evaluate: batch is %lld; expected at least 1", (long long)o.batch);
    int64_t largest = 1; /* a larger plan than the data would only compute padding */
    for (int i = 0; i < COP_SPLITS; i++)
        if (data->info.images[i] > largest) largest = data->info.images[i];
    if (o.batch > largest) o.batch = largest;
    copi_meter *m = copi_alloc(ctx, 1, sizeof *m);
    if (!m) return COP_E_NOMEM;
    *m = (copi_meter){.ctx = ctx, .data = data, .options = o, .classes = net->classes, .cancellable = cancellable};
    size_t outputs;
    if (!copi_mul((size_t)o.batch, (size_t)net->classes, &outputs) ||
        !(m->y = copi_alloc(ctx, outputs, sizeof *m->y)) ||
        !(m->logits = copi_alloc(ctx, outputs, sizeof *m->logits)))
        s = COP_E_NOMEM;
    if (!s)
        s = copi_plan_create(ctx, net, &(copi_plan_options){.batch = o.batch, .precision = o.precision}, &m->plan);
    if (s) {
        copi_meter_destroy(m);
        return s;
    }
    *meter = m;
    return COP_OK;
}

void copi_meter_destroy(copi_meter *m) {
    if (!m) return;
    copi_plan_destroy(m->plan);
    copi_free(m->ctx, m->y);
    copi_free(m->ctx, m->logits);
    copi_free(m->ctx, m);
}

/** Cross-entropy -log softmax(z)[label]; *best: the first of the largest. */
static double cross_entropy(const float *z, int classes, int32_t label, int *best) {
    *best = 0;
    for (int c = 1; c < classes; c++)
        if (z[c] > z[*best]) *best = c;
    return copi_softmax(z, classes, 1, NULL) - z[label];
}

static cop_status measure(copi_meter *m, copi_loader *loader, int64_t images, cop_eval *eval) {
    double start = copi_now(), reported = start, loss = 0;
    const float *x;
    const int32_t *label;
    int64_t n;
    for (;;) {
        cop_status s = copi_loader_next(loader, &x, &label, &n);
        if (s) return s;
        if (!n) break;
        if ((s = copi_plan_forward(m->plan, x, n, m->y, m->logits))) return s;
        for (int64_t i = 0; i < n; i++) {
            int best;
            loss += cross_entropy(m->logits + i * m->classes, m->classes, label[i], &best);
            eval->correct += best == label[i];
            if (m->options.confusion) m->options.confusion[(int64_t)label[i] * m->classes + best]++;
        }
        eval->images += n;
        double now = copi_now(), gone = now - start;
        if (now - reported > 0.1 || eval->images == images) {
            reported = now;
            double rate = gone > 0 ? (double)eval->images / gone : 0;
            copi_progress(m->ctx,
                          &(cop_progress){.phase = "evaluate",
                                          .label = "",
                                          .rate = rate,
                                          .done = (eval->images + m->options.batch - 1) / m->options.batch,
                                          .total = (images + m->options.batch - 1) / m->options.batch,
                                          .loss = loss / (double)eval->images,
                                          .accuracy = (double)eval->correct / (double)eval->images,
                                          .seconds_left = rate > 0 ? (double)(images - eval->images) / rate : NAN});
        }
        if (m->cancellable && eval->images < images && copi_cancelled(m->ctx))
            return copi_fail(m->ctx, COP_E_CANCELLED, "evaluate: interrupted after %lld of %lld images",
                             (long long)eval->images, (long long)images);
    }
    eval->accuracy = (double)eval->correct / (double)eval->images;
    eval->loss = loss / (double)eval->images;
    eval->seconds = copi_now() - start;
    return COP_OK;
}

cop_status copi_meter_run(copi_meter *m, const cop_net *net, cop_split split, cop_eval *eval) {
    *eval = (cop_eval){0};
    if ((unsigned)split >= COP_SPLITS)
        return copi_fail(m->ctx, COP_E_RANGE, "evaluate: there is no split %d", (int)split);
    int64_t images = m->data->info.images[split];
    if (!images)
        return copi_fail(m->ctx, COP_E_NOT_FOUND, "%s has no images in its %s split", m->data->info.path,
                         cop_split_name(split));
    if (m->options.confusion)
        memset(m->options.confusion, 0, (size_t)m->classes * (size_t)m->classes * sizeof *m->options.confusion);
    cop_status s = copi_plan_push(m->plan, net);
    copi_normalization normal = copi_normalization_of(net, m->data);
    copi_loader *loader = NULL;
    if (!s)
        s = copi_loader_create(m->ctx, m->data,
                               &(copi_loader_options){.split = split,
                                                      .batch = m->options.batch,
                                                      .mean = normal.mean,
                                                      .std = normal.std,
                                                      .order = normal.order},
                               &loader);
    if (!s) s = measure(m, loader, images, eval);
    copi_loader_destroy(loader);
    if (s) *eval = (cop_eval){0};
    return s;
}

cop_status cop_evaluate(const cop_net *net, const cop_data *data, cop_split split, const cop_eval_options *options,
                        cop_eval *eval) {
    if (eval) *eval = (cop_eval){0};
    COPI_REQUIRE(NULL, net);
    COPI_REQUIRE(net->ctx, data);
    COPI_REQUIRE(net->ctx, eval);
    copi_meter *meter;
    cop_status s = copi_meter_create(net, data, options, true, &meter);
    if (s) return s;
    s = copi_meter_run(meter, net, split, eval);
    copi_meter_destroy(meter);
    return s;
}
