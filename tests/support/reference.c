#include "nets.h"
#include "reference_ops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double *numbers(int64_t count) {
    double *block = calloc((size_t)count + 1, sizeof *block);
    if (!block) abort();
    return block;
}

static double **pointers(int count) {
    double **block = calloc((size_t)count + 1, sizeof *block);
    if (!block) abort();
    return block;
}

int64_t ref_count(const cop_net *net, int node) {
    return net->node[node].shape[0] * net->node[node].shape[1] * net->node[node].shape[2];
}

ref_run *ref_create(const cop_net *net, int64_t n) {
    ref_run *r = calloc(1, sizeof *r);
    if (!r) abort();
    int last = net->nodes - 1;
    *r = (ref_run){
        .net = net, .n = n, .logits = net->node[last].op == COPI_OP_SOFTMAX ? net->node[last].src[0] : last};
    r->param = pointers(net->params);
    r->dparam = pointers(net->params);
    for (int p = 0; p < net->params; p++) {
        r->param[p] = numbers(net->param[p].count);
        r->dparam[p] = numbers(net->param[p].count);
        for (int64_t i = 0; i < net->param[p].count; i++) r->param[p][i] = net->param[p].data[i];
    }
    r->out = pointers(net->nodes);
    r->grad = pointers(net->nodes);
    r->batch_mean = pointers(net->nodes);
    r->batch_var = pointers(net->nodes);
    for (int i = 0; i < net->nodes; i++) {
        r->out[i] = numbers(n * ref_count(net, i));
        r->grad[i] = numbers(n * ref_count(net, i));
        if (net->node[i].op != COPI_OP_BATCHNORM) continue;
        r->batch_mean[i] = numbers(net->node[i].shape[0]);
        r->batch_var[i] = numbers(net->node[i].shape[0]);
    }
    return r;
}

static void free_all(double **block, int count) {
    for (int i = 0; i < count; i++) free(block[i]);
    free(block);
}

void ref_destroy(ref_run *r) {
    if (!r) return;
    free_all(r->param, r->net->params);
    free_all(r->dparam, r->net->params);
    free_all(r->out, r->net->nodes);
    free_all(r->grad, r->net->nodes);
    free_all(r->batch_mean, r->net->nodes);
    free_all(r->batch_var, r->net->nodes);
    free(r);
}

void ref_forward(ref_run *r, const double *x) {
    memcpy(r->out[0], x, (size_t)(r->n * ref_count(r->net, 0)) * sizeof *x);
    for (int i = 0; i < r->net->nodes; i++) ref_ops[r->net->node[i].op].forward(r, i);
}

void ref_seed(ref_run *r, int node, const double *dout) {
    for (int i = 0; i < r->net->nodes; i++)
        memset(r->grad[i], 0, (size_t)(r->n * ref_count(r->net, i)) * sizeof **r->grad);
    for (int p = 0; p < r->net->params; p++)
        memset(r->dparam[p], 0, (size_t)r->net->param[p].count * sizeof **r->dparam);
    memcpy(r->grad[node], dout, (size_t)(r->n * ref_count(r->net, node)) * sizeof *dout);
}

void ref_backward(ref_run *r) {
    for (int i = r->net->nodes - 1; i >= 0; i--) ref_ops[r->net->node[i].op].backward(r, i);
}

/* log of the sum of exp(x/T) */
static double log_sum(const double *x, int64_t n, double T) {
    double top = x[0] / T, sum = 0;
    for (int64_t c = 0; c < n; c++) top = fmax(top, x[c] / T);
    for (int64_t c = 0; c < n; c++) sum += exp(x[c] / T - top);
    return top + log(sum);
}

double ref_loss(ref_run *r, const int32_t *label, const ref_loss_params *params) {
    ref_loss_params p = params ? *params : (ref_loss_params){0};
    double a = p.teacher ? p.distil_share : 0, T = p.teacher ? p.distil_temperature : 1, loss = 0;
    int64_t C = ref_count(r->net, r->logits);
    double *d = numbers(r->n * C);
    for (int64_t n = 0; n < r->n; n++) {
        const double *x = r->out[r->logits] + n * C, *t = p.teacher ? p.teacher + n * C : x;
        double ls1 = log_sum(x, C, 1), lsx = log_sum(x, C, T), lst = log_sum(t, C, T);
        for (int64_t c = 0; c < C; c++) {
            double target = p.label_smoothing / (double)C + (c == label[n] ? 1 - p.label_smoothing : 0);
            double student = x[c] / T - lsx, teacher = t[c] / T - lst; /* logs of the softened probabilities */
            loss += (1 - a) * target * (ls1 - x[c]) + a * T * T * exp(teacher) * (teacher - student);
            d[n * C + c] =
                ((1 - a) * (exp(x[c] - ls1) - target) + a * T * (exp(student) - exp(teacher))) / (double)r->n;
        }
    }
    ref_seed(r, r->logits, d);
    free(d);
    return loss / (double)r->n;
}

double *ref_outputs(const cop_net *net, int64_t n, uint64_t seed) {
    int64_t in = ref_count(net, 0) * n, out = ref_count(net, net->nodes - 1) * n;
    float *x = malloc((size_t)in * sizeof *x);
    if (!x) abort();
    test_fill_normal(seed, x, in);
    double *wide = numbers(in), *y = numbers(out);
    for (int64_t i = 0; i < in; i++) wide[i] = x[i];
    ref_run *run = ref_create(net, n);
    ref_forward(run, wide);
    memcpy(y, run->out[net->nodes - 1], (size_t)out * sizeof *y);
    ref_destroy(run);
    free(wide);
    free(x);
    return y;
}
