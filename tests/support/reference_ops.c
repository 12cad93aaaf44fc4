#include "reference_ops.h"

#include <math.h>

/* -- reaching into a run; s: which input, or slot -- */

static const copi_node *node_of(const ref_run *r, int node) {
    return &r->net->node[node];
}
static const copi_node *source(const ref_run *r, int node, int s) {
    return node_of(r, node_of(r, node)->src[s]);
}
static const double *in(const ref_run *r, int node, int s) {
    return r->out[node_of(r, node)->src[s]];
}
static double *din(const ref_run *r, int node, int s) {
    return r->grad[node_of(r, node)->src[s]];
}

static double *slot_of(double **of, const ref_run *r, int node, int slot) {
    int p = node_of(r, node)->param[slot];
    return p < 0 ? NULL : of[p];
}
static const double *param(const ref_run *r, int node, int slot) {
    return slot_of(r->param, r, node, slot);
}
static double *dparam(const ref_run *r, int node, int slot) {
    return slot_of(r->dparam, r, node, slot);
}

static int64_t pixels(const copi_node *node) {
    return node->shape[1] * node->shape[2];
}

/* -- input -- */

static void nothing(ref_run *r, int node) {
    (void)r, (void)node;
}

/* -- conv: one walk over (image, output, input, tap) serves forward and backward -- */

typedef struct conv_data {
    const double *x, *w;
    double *y, *dx, *dw;
    const double *dy;
} conv_data; /* forward: dy NULL */

static void conv_tap(const conv_data *d, int64_t y, int64_t x, int64_t w) {
    if (!d->dy) {
        d->y[y] += d->w[w] * d->x[x];
    } else {
        d->dw[w] += d->dy[y] * d->x[x];
        d->dx[x] += d->dy[y] * d->w[w];
    }
}

static void conv_walk(const ref_run *r, int node, const conv_data *d) {
    const copi_node *to = node_of(r, node), *from = source(r, node, 0);
    const cop_conv_params *p = &to->u.conv;
    int64_t O = to->shape[0], OH = to->shape[1], OW = to->shape[2], C = from->shape[0], H = from->shape[1],
            W = from->shape[2];
    int64_t I = C / p->groups, per_group = O / p->groups, KH = p->kernel[0], KW = p->kernel[1];
    for (int64_t n = 0; n < r->n; n++)
        for (int64_t o = 0; o < O; o++)
            for (int64_t oh = 0; oh < OH; oh++)
                for (int64_t ow = 0; ow < OW; ow++)
                    for (int64_t i = 0; i < I; i++)
                        for (int64_t kh = 0; kh < KH; kh++)
                            for (int64_t kw = 0; kw < KW; kw++) {
                                int64_t h = oh * p->stride[0] + kh * p->dilation[0] - p->pad[0];
                                int64_t w = ow * p->stride[1] + kw * p->dilation[1] - p->pad[1];
                                if (h < 0 || h >= H || w < 0 || w >= W) continue;
                                int64_t c = o / per_group * I + i;
                                conv_tap(d, ((n * O + o) * OH + oh) * OW + ow, ((n * C + c) * H + h) * W + w,
                                         ((o * I + i) * KH + kh) * KW + kw);
                            }
}

/* y starts as the bias of its channel; shared with dense, whose output has one pixel */
static void bias_forward(ref_run *r, int node) {
    const double *b = param(r, node, COPI_BIAS);
    int64_t C = node_of(r, node)->shape[0], HW = pixels(node_of(r, node));
    for (int64_t k = 0; k < r->n * C * HW; k++) r->out[node][k] = b ? b[k / HW % C] : 0;
}

static void bias_backward(ref_run *r, int node) {
    double *db = dparam(r, node, COPI_BIAS);
    int64_t C = node_of(r, node)->shape[0], HW = pixels(node_of(r, node));
    for (int64_t k = 0; db && k < r->n * C * HW; k++) db[k / HW % C] += r->grad[node][k];
}

static void conv(ref_run *r, int node) {
    bias_forward(r, node);
    conv_walk(r, node, &(conv_data){.x = in(r, node, 0), .w = param(r, node, COPI_WEIGHT), .y = r->out[node]});
}

static void conv_back(ref_run *r, int node) {
    bias_backward(r, node);
    conv_walk(r, node,
              &(conv_data){.x = in(r, node, 0),
                           .w = param(r, node, COPI_WEIGHT),
                           .dx = din(r, node, 0),
                           .dw = dparam(r, node, COPI_WEIGHT),
                           .dy = r->grad[node]});
}

/* -- dense -- */

static void dense(ref_run *r, int node) {
    int64_t O = node_of(r, node)->shape[0], I = source(r, node, 0)->shape[0];
    const double *x = in(r, node, 0), *w = param(r, node, COPI_WEIGHT);
    bias_forward(r, node);
    for (int64_t n = 0; n < r->n; n++)
        for (int64_t o = 0; o < O; o++)
            for (int64_t i = 0; i < I; i++) r->out[node][n * O + o] += w[o * I + i] * x[n * I + i];
}

static void dense_back(ref_run *r, int node) {
    int64_t O = node_of(r, node)->shape[0], I = source(r, node, 0)->shape[0];
    const double *x = in(r, node, 0), *w = param(r, node, COPI_WEIGHT), *dy = r->grad[node];
    double *dx = din(r, node, 0), *dw = dparam(r, node, COPI_WEIGHT);
    bias_backward(r, node);
    for (int64_t n = 0; n < r->n; n++)
        for (int64_t o = 0; o < O; o++)
            for (int64_t i = 0; i < I; i++) {
                dw[o * I + i] += dy[n * O + o] * x[n * I + i];
                dx[n * I + i] += dy[n * O + o] * w[o * I + i];
            }
}

/* -- batch-norm: m = n H W elements a channel -- */

static void batchnorm(ref_run *r, int node) {
    const copi_node *at = node_of(r, node);
    int64_t C = at->shape[0], HW = pixels(at);
    const double *x = in(r, node, 0), *scale = param(r, node, COPI_SCALE), *shift = param(r, node, COPI_SHIFT);
    double *mean = r->batch_mean[node], *var = r->batch_var[node];
    for (int64_t c = 0; c < C; c++) {
        mean[c] = param(r, node, COPI_MEAN)[c];
        var[c] = param(r, node, COPI_VAR)[c];
        if (!r->training) continue;
        double m = (double)(r->n * HW);
        mean[c] = var[c] = 0;
        for (int64_t n = 0; n < r->n; n++)
            for (int64_t k = 0; k < HW; k++) mean[c] += x[(n * C + c) * HW + k] / m;
        for (int64_t n = 0; n < r->n; n++)
            for (int64_t k = 0; k < HW; k++) var[c] += pow(x[(n * C + c) * HW + k] - mean[c], 2) / m;
    }
    for (int64_t k = 0; k < r->n * C * HW; k++) {
        int64_t c = k / HW % C;
        r->out[node][k] = scale[c] * (x[k] - mean[c]) / sqrt(var[c] + at->u.batchnorm.epsilon) + shift[c];
    }
}

static void batchnorm_back(ref_run *r, int node) {
    const copi_node *at = node_of(r, node);
    int64_t C = at->shape[0], HW = pixels(at);
    const double *x = in(r, node, 0), *dy = r->grad[node], *scale = param(r, node, COPI_SCALE);
    double *dx = din(r, node, 0), *dscale = dparam(r, node, COPI_SCALE), *dshift = dparam(r, node, COPI_SHIFT);
    for (int64_t c = 0; c < C; c++) {
        double root = sqrt(r->batch_var[node][c] + at->u.batchnorm.epsilon), mean = r->batch_mean[node][c];
        double sum = 0, dot = 0; /* of dy, and of dy with the normalized input */
        for (int64_t n = 0; n < r->n; n++)
            for (int64_t k = (n * C + c) * HW; k < (n * C + c + 1) * HW; k++) {
                sum += dy[k];
                dot += dy[k] * (x[k] - mean) / root;
            }
        dshift[c] += sum;
        dscale[c] += dot;
        double m = (double)(r->n * HW);
        for (int64_t n = 0; n < r->n; n++)
            for (int64_t k = (n * C + c) * HW; k < (n * C + c + 1) * HW; k++) {
                double through_statistics = r->training ? (sum + (x[k] - mean) / root * dot) / m : 0;
                dx[k] += scale[c] / root * (dy[k] - through_statistics);
            }
    }
}

/* -- gate -- */

static void gate(ref_run *r, int node) {
    const copi_node *at = node_of(r, node);
    int64_t C = at->shape[0], HW = pixels(at);
    for (int64_t k = 0; k < r->n * C * HW; k++)
        r->out[node][k] = param(r, node, COPI_GATE)[k / HW % C * at->u.gate.factors / C] * in(r, node, 0)[k];
}

static void gate_back(ref_run *r, int node) {
    const copi_node *at = node_of(r, node);
    int64_t C = at->shape[0], HW = pixels(at);
    for (int64_t k = 0; k < r->n * C * HW; k++) {
        int64_t f = k / HW % C * at->u.gate.factors / C;
        dparam(r, node, COPI_GATE)[f] += r->grad[node][k] * in(r, node, 0)[k];
        din(r, node, 0)[k] += r->grad[node][k] * param(r, node, COPI_GATE)[f];
    }
}

/* -- elementwise: value and derivative -- */

typedef struct pair {
    double y, dy;
} pair;

static pair element(const copi_node *at, double x) {
    switch (at->op) {
    case COPI_OP_RELU:
        return x > 0 ? (pair){x, 1} : (pair){0, 0};
    case COPI_OP_RELU6:
        return x <= 0 ? (pair){0, 0} : x < 6 ? (pair){x, 1} : (pair){6, 0};
    case COPI_OP_LEAKY_RELU:
        return x > 0 ? (pair){x, 1} : (pair){at->u.leaky.slope * x, at->u.leaky.slope};
    default:
        return (pair){x, 1}; /* flatten */
    }
}

static void elementwise(ref_run *r, int node) {
    for (int64_t k = 0; k < r->n * ref_count(r->net, node); k++)
        r->out[node][k] = element(node_of(r, node), in(r, node, 0)[k]).y;
}

static void elementwise_back(ref_run *r, int node) {
    for (int64_t k = 0; k < r->n * ref_count(r->net, node); k++)
        din(r, node, 0)[k] += r->grad[node][k] * element(node_of(r, node), in(r, node, 0)[k]).dy;
}

static double dropout_factor(const ref_run *r, int node, int64_t k) {
    if (!r->training || !r->keep || !r->keep[node]) return 1;
    return r->keep[node][k] ? 1 / (1 - node_of(r, node)->u.dropout.share) : 0;
}

static void dropout(ref_run *r, int node) {
    for (int64_t k = 0; k < r->n * ref_count(r->net, node); k++)
        r->out[node][k] = dropout_factor(r, node, k) * in(r, node, 0)[k];
}

static void dropout_back(ref_run *r, int node) {
    for (int64_t k = 0; k < r->n * ref_count(r->net, node); k++)
        din(r, node, 0)[k] += dropout_factor(r, node, k) * r->grad[node][k];
}

/* -- softmax over the channels of each pixel -- */

static void softmax(ref_run *r, int node) {
    int64_t C = node_of(r, node)->shape[0], HW = pixels(node_of(r, node));
    for (int64_t n = 0; n < r->n; n++)
        for (int64_t k = 0; k < HW; k++) {
            const double *x = in(r, node, 0) + n * C * HW + k;
            double *y = r->out[node] + n * C * HW + k, top = x[0], sum = 0;
            for (int64_t c = 0; c < C; c++) top = fmax(top, x[c * HW]);
            for (int64_t c = 0; c < C; c++) sum += exp(x[c * HW] - top);
            for (int64_t c = 0; c < C; c++) y[c * HW] = exp(x[c * HW] - top) / sum;
        }
}

static void softmax_back(ref_run *r, int node) {
    int64_t C = node_of(r, node)->shape[0], HW = pixels(node_of(r, node));
    for (int64_t n = 0; n < r->n; n++)
        for (int64_t k = 0; k < HW; k++) {
            int64_t at = n * C * HW + k;
            const double *y = r->out[node] + at, *dy = r->grad[node] + at;
            double dot = 0;
            for (int64_t c = 0; c < C; c++) dot += y[c * HW] * dy[c * HW];
            for (int64_t c = 0; c < C; c++) din(r, node, 0)[at + c * HW] += y[c * HW] * (dy[c * HW] - dot);
        }
}

/* -- pools: a walk over the windows; global pool is one window -- */

typedef struct window {
    int64_t y, plane, h0, h1, w0, w1, W, divisor;
} window; /* rows and columns inside the image */
typedef void (*window_fn)(ref_run *r, int node, const window *w);

static int64_t inside(int64_t v, int64_t least, int64_t most) {
    return v < least ? least : v > most ? most : v;
}

static void pool_walk(ref_run *r, int node, window_fn visit) {
    const copi_node *to = node_of(r, node), *from = source(r, node, 0);
    const cop_pool_params *p = &to->u.pool;
    int64_t OH = to->shape[1], OW = to->shape[2], H = from->shape[1], W = from->shape[2];
    for (int64_t plane = 0; plane < r->n * to->shape[0]; plane++)
        for (int64_t oh = 0; oh < OH; oh++)
            for (int64_t ow = 0; ow < OW; ow++) {
                int64_t h = oh * p->stride[0] - p->pad[0], w = ow * p->stride[1] - p->pad[1];
                window at = {(plane * OH + oh) * OW + ow,
                             plane * H * W,
                             inside(h, 0, H),
                             inside(h + p->kernel[0], 0, H),
                             inside(w, 0, W),
                             inside(w + p->kernel[1], 0, W),
                             W,
                             0};
                at.divisor = p->count_pad ? p->kernel[0] * p->kernel[1] : (at.h1 - at.h0) * (at.w1 - at.w0);
                visit(r, node, &at);
            }
}

static int64_t arg_max(const double *x, const window *w) { /* the first of the largest */
    int64_t best = w->plane + w->h0 * w->W + w->w0;
    for (int64_t h = w->h0; h < w->h1; h++)
        for (int64_t v = w->w0; v < w->w1; v++)
            if (x[w->plane + h * w->W + v] > x[best]) best = w->plane + h * w->W + v;
    return best;
}

static void max_visit(ref_run *r, int node, const window *w) {
    r->out[node][w->y] = in(r, node, 0)[arg_max(in(r, node, 0), w)];
}

static void max_visit_back(ref_run *r, int node, const window *w) {
    din(r, node, 0)[arg_max(in(r, node, 0), w)] += r->grad[node][w->y];
}

static void avg_visit(ref_run *r, int node, const window *w) {
    r->out[node][w->y] = 0;
    for (int64_t h = w->h0; h < w->h1; h++)
        for (int64_t v = w->w0; v < w->w1; v++)
            r->out[node][w->y] += in(r, node, 0)[w->plane + h * w->W + v] / (double)w->divisor;
}

static void avg_visit_back(ref_run *r, int node, const window *w) {
    for (int64_t h = w->h0; h < w->h1; h++)
        for (int64_t v = w->w0; v < w->w1; v++)
            din(r, node, 0)[w->plane + h * w->W + v] += r->grad[node][w->y] / (double)w->divisor;
}

static void global_walk(ref_run *r, int node, window_fn visit) {
    const copi_node *from = source(r, node, 0);
    int64_t H = from->shape[1], W = from->shape[2];
    for (int64_t plane = 0; plane < r->n * from->shape[0]; plane++)
        visit(r, node, &(window){plane, plane * H * W, 0, H, 0, W, W, H * W});
}

static void max_pool(ref_run *r, int node) {
    pool_walk(r, node, max_visit);
}
static void max_pool_back(ref_run *r, int node) {
    pool_walk(r, node, max_visit_back);
}
static void avg_pool(ref_run *r, int node) {
    pool_walk(r, node, avg_visit);
}
static void avg_pool_back(ref_run *r, int node) {
    pool_walk(r, node, avg_visit_back);
}
static void global_pool(ref_run *r, int node) {
    global_walk(r, node, avg_visit);
}
static void global_pool_back(ref_run *r, int node) {
    global_walk(r, node, avg_visit_back);
}

/* -- joins -- */

static void add(ref_run *r, int node) {
    for (int64_t k = 0; k < r->n * ref_count(r->net, node); k++)
        r->out[node][k] = in(r, node, 0)[k] + in(r, node, 1)[k];
}

static void add_back(ref_run *r, int node) {
    for (int s = 0; s < 2; s++)
        for (int64_t k = 0; k < r->n * ref_count(r->net, node); k++) din(r, node, s)[k] += r->grad[node][k];
}

static void concat(ref_run *r, int node) {
    int64_t all = ref_count(r->net, node), at = 0;
    for (int s = 0; s < node_of(r, node)->nsrc; s++) {
        int64_t part = ref_count(r->net, node_of(r, node)->src[s]);
        for (int64_t k = 0; k < r->n * part; k++) r->out[node][k / part * all + at + k % part] = in(r, node, s)[k];
        at += part;
    }
}

static void concat_back(ref_run *r, int node) {
    int64_t all = ref_count(r->net, node), at = 0;
    for (int s = 0; s < node_of(r, node)->nsrc; s++) {
        int64_t part = ref_count(r->net, node_of(r, node)->src[s]);
        for (int64_t k = 0; k < r->n * part; k++) din(r, node, s)[k] += r->grad[node][k / part * all + at + k % part];
        at += part;
    }
}

const ref_op ref_ops[COPI_OPS] = {
    [COPI_OP_INPUT] = {nothing, nothing},
    [COPI_OP_CONV] = {conv, conv_back},
    [COPI_OP_DENSE] = {dense, dense_back},
    [COPI_OP_BATCHNORM] = {batchnorm, batchnorm_back},
    [COPI_OP_RELU] = {elementwise, elementwise_back},
    [COPI_OP_RELU6] = {elementwise, elementwise_back},
    [COPI_OP_LEAKY_RELU] = {elementwise, elementwise_back},
    [COPI_OP_MAX_POOL] = {max_pool, max_pool_back},
    [COPI_OP_AVG_POOL] = {avg_pool, avg_pool_back},
    [COPI_OP_GLOBAL_POOL] = {global_pool, global_pool_back},
    [COPI_OP_FLATTEN] = {elementwise, elementwise_back},
    [COPI_OP_ADD] = {add, add_back},
    [COPI_OP_CONCAT] = {concat, concat_back},
    [COPI_OP_DROPOUT] = {dropout, dropout_back},
    [COPI_OP_SOFTMAX] = {softmax, softmax_back},
    [COPI_OP_GATE] = {gate, gate_back},
};
