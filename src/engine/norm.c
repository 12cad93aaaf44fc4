/* Batch-norm of channels-last images. Where channels do not fill whole blocks, as in shrunk nets, oneDNN has only
 * reference loops in bf16 and slow loops in f32, which took several times as long as the convolutions around them.
 * Elsewhere ours are still somewhat faster (docs/benchmarks.md). Memory is the limit: two passes over x forward, two
 * over x and dy backward. The relu behind it is fused; backward computes its mask from x.
 *
 * Source: Ioffe & Szegedy 2015, arXiv:1502.03167. */
#include "engine/lowering.h"

#include <math.h>
#include <omp.h>
#include <string.h>

enum {
    STRIP = 256, /* elements at most, unless a pixel has more: long enough for vectors, short enough for the cache */
    FOLD = 64    /* strips that are summed in f32 before double takes over */
};

static int64_t strip_of(int64_t channels) {
    return channels < STRIP ? STRIP / channels * channels : channels;
}

bool plan_norms(copi_plan *p, int node) {
    const copi_node *n = &p->net->node[node];
    const dn_md *md = plan_value_of(p, n->src[0])->md;
    if (n->rank != 3) return false;
    return dn_md_equal(md, plan_node_md(p, node, plan_type(p), false, dnnl_acdb));
}

static copi_norm strip(const copi_plan *p, const plan_action *a) {
    float *v = p->norm_strip;
    int64_t most = p->norm_length;
    return (copi_norm){.l = strip_of(p->net->node[a->node].shape[0]),
                       .mean = v,
                       .a = v + most,
                       .b = v + 2 * most,
                       .slope = v + 3 * most,
                       .offset = v + 4 * most,
                       .low = p->node[a->node].act >= 0 ? 0.0f : -INFINITY};
}
static void repeat(float *v, int64_t channels, int64_t l) {
    for (int64_t j = channels; j < l; j++) v[j] = v[j - channels];
}

/* Two sums per channel over all pixels, [2][channels] at p->norm_sum, by norm_sums or norm_back_sums. The order of
 * the additions depends only on the number of threads. */
static void sum_up(copi_plan *p, const plan_action *a, const copi_norm *v, bool backward) {
    const int64_t channels = p->net->node[a->node].shape[0], l = v->l;
    const int threads = copi_threads(p->ctx);
    memset(p->norm_sum, 0, (size_t)(p->norm_width * 2 * threads) * sizeof *p->norm_sum);
#pragma omp parallel num_threads(threads) if (a->n > PLAN_SMALL)
    {
        int part = omp_get_thread_num();
        double *total = p->norm_sum + p->norm_width * 2 * part;
        float *sum = p->norm_strip + (5 + 2 * part) * p->norm_length, *other = sum + p->norm_length;
        int64_t from, to;
        plan_split(a->n, l, omp_get_thread_num(), omp_get_num_threads(), &from, &to);
        for (; from < to; from += FOLD * l) {
            int64_t n = to - from < FOLD * l ? to - from : FOLD * l;
            memset(sum, 0, (size_t)l * sizeof *sum);
            memset(other, 0, (size_t)l * sizeof *other);
            if (backward)
                plan_kernels(p)->norm_back_sums(plan_at(p, a, 2, from), plan_at(p, a, 1, from), n, v, sum, other);
            else
                plan_kernels(p)->norm_sums(plan_at(p, a, 1, from), n, v, sum, other);
            for (int64_t j = 0, c = 0; j < l; j++, c = c + 1 < channels ? c + 1 : 0) {
                total[c] += (double)sum[j];
                total[p->norm_width + c] += (double)other[j];
            }
        }
    }
    for (int t = 1; t < threads; t++)
        for (int64_t k = 0; k < 2 * p->norm_width; k++) p->norm_sum[k] += p->norm_sum[p->norm_width * 2 * t + k];
}

/* Estimate the means from the first strip, so that the sum of squares does not cancel. */
static void guess_means(const copi_plan *p, const plan_action *a, const copi_norm *v, int64_t channels) {
    int64_t n = v->l < a->n ? v->l : a->n;
    float *other = v->b; /* not used */
    memset(v->mean, 0, (size_t)v->l * sizeof *v->mean);
    memset(v->a, 0, (size_t)v->l * sizeof *v->a);
    plan_kernels(p)->norm_sums(a->ptr[1], n, v, v->a, other);
    for (int64_t j = 0; j < n; j++) v->mean[j % channels] += v->a[j] * (float)channels / (float)n;
    repeat(v->mean, channels, v->l);
}

static void batch_statistics(copi_plan *p, const plan_action *a, const copi_norm *v, int64_t channels, float *mean,
                             float *var) {
    const double pixels = (double)(a->n / channels);
    guess_means(p, a, v, channels);
    sum_up(p, a, v, false);
    for (int64_t c = 0; c < channels; c++) {
        double off = p->norm_sum[c] / pixels;
        mean[c] = (float)((double)v->mean[c] + off);
        var[c] = (float)fmax(0, p->norm_sum[p->norm_width + c] / pixels - off * off);
    }
}

/* a = scale / sqrt(var + epsilon), b = shift - a mean */
static void set_line(const copi_plan *p, const plan_action *a, const copi_norm *v, const float *scale,
                     const float *shift) {
    const copi_node *n = &p->net->node[a->node];
    const plan_node *l = &p->node[a->node];
    const float *mean = p->mems[l->mean].data, *var = p->mems[l->var].data;
    for (int64_t c = 0; c < n->shape[0]; c++) {
        v->mean[c] = mean[c];
        v->a[c] = (float)(scale[c] / sqrt((double)var[c] + n->u.batchnorm.epsilon));
        v->b[c] = shift[c] - v->a[c] * mean[c];
    }
    repeat(v->mean, n->shape[0], v->l);
    repeat(v->a, n->shape[0], v->l);
    repeat(v->b, n->shape[0], v->l);
}

static const float *vector_of(const copi_plan *p, int node, int slot) {
    const plan_node *l = &p->node[node];
    if (p->options.training) return p->mems[p->weights[l->weight[slot]].mem_used].data;
    return p->mems[slot == COPI_SCALE ? l->used_w : l->used_b].data;
}

static void run_forward(copi_plan *p, const plan_action *a) {
    const plan_node *l = &p->node[a->node];
    const copi_norm v = strip(p, a);
    if (p->options.training)
        batch_statistics(p, a, &v, p->net->node[a->node].shape[0], p->mems[l->mean].data, p->mems[l->var].data);
    set_line(p, a, &v, vector_of(p, a->node, COPI_SCALE), vector_of(p, a->node, COPI_SHIFT));
#pragma omp parallel if (a->n > PLAN_SMALL)
    {
        int64_t from, to;
        plan_split(a->n, v.l, omp_get_thread_num(), omp_get_num_threads(), &from, &to);
        if (to > from) plan_kernels(p)->norm_apply(plan_at(p, a, 0, from), plan_at(p, a, 1, from), to - from, &v);
    }
}

/* With x^ = (x - mean) / s, s = sqrt(var + epsilon), d = dy where the relu is not 0, M pixels:
 *    dscale = sum d x^,  dshift = sum d,  dx = scale / s (d - dshift / M - x^ dscale / M) */
static void run_backward(copi_plan *p, const plan_action *a) {
    const copi_node *n = &p->net->node[a->node];
    const plan_node *l = &p->node[a->node];
    const copi_norm v = strip(p, a);
    const float *scale = vector_of(p, a->node, COPI_SCALE), *var = p->mems[l->var].data;
    float *dscale = p->mems[p->weights[l->weight[COPI_SCALE]].mem_g].data,
          *dshift = p->mems[p->weights[l->weight[COPI_SHIFT]].mem_g].data;
    const double pixels = (double)(a->n / n->shape[0]);
    set_line(p, a, &v, scale, vector_of(p, a->node, COPI_SHIFT));
    sum_up(p, a, &v, true);
    for (int64_t c = 0; c < n->shape[0]; c++) {
        double s = sqrt((double)var[c] + n->u.batchnorm.epsilon), sum = p->norm_sum[c],
               products = p->norm_sum[p->norm_width + c];
        dshift[c] = (float)sum;
        dscale[c] = (float)(products / s);
        v.slope[c] = (float)(-(double)scale[c] * products / (s * s * s * pixels));
        v.offset[c] = (float)(-(double)scale[c] * sum / (s * pixels));
    }
    repeat(v.slope, n->shape[0], v.l);
    repeat(v.offset, n->shape[0], v.l);
#pragma omp parallel if (a->n > PLAN_SMALL)
    {
        int64_t from, to;
        plan_split(a->n, v.l, omp_get_thread_num(), omp_get_num_threads(), &from, &to);
        if (to > from)
            plan_kernels(p)->norm_back(plan_at(p, a, 0, from), plan_at(p, a, 2, from), plan_at(p, a, 1, from),
                                       to - from, &v);
    }
}

void plan_norm_forward(copi_plan *p, int node, int y, int x) {
    int64_t channels = p->net->node[node].shape[0], l = strip_of(channels);
    plan_elementwise(p, "batch-norm forward", node, run_forward, y, x, -1);
    if (channels > p->norm_width) p->norm_width = channels;
    if (l > p->norm_length) p->norm_length = l;
}

void plan_norm_backward(copi_plan *p, int node, int dx, int x, int dy) {
    plan_elementwise(p, "batch-norm backward", node, run_backward, dx, x, dy);
}

cop_status plan_norm_finish(copi_plan *p) {
    size_t threads = (size_t)copi_threads(p->ctx);
    p->norm_sum = copi_alloc(p->ctx, 2 * threads * (size_t)p->norm_width + 1, sizeof *p->norm_sum);
    p->norm_strip = copi_alloc(p->ctx, (5 + 2 * threads) * (size_t)p->norm_length + 1, sizeof *p->norm_strip);
    return p->norm_sum && p->norm_strip ? COP_OK : COP_E_NOMEM;
}
