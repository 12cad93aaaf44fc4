#include "nets.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void test_fill_normal(uint64_t seed, float *x, int64_t count) {
    copi_rng rng = copi_rng_make(seed, COPI_STREAM_TEST, 1);
    for (int64_t i = 0; i < count; i++) x[i] = (float)copi_rng_normal(&rng);
}

static double draw(copi_rng *rng, double low, double high) {
    return low + (high - low) * copi_rng_uniform(rng);
}

static double param_value(copi_rng *rng, const copi_param *p) {
    double fan_in = (double)p->count / (double)p->shape[0];
    switch (p->kind) {
    case COPI_PARAM_WEIGHT:
        return sqrt(2 / fan_in) * copi_rng_normal(rng);
    case COPI_PARAM_SCALE:
        return draw(rng, 0.5, 1.5) * (copi_rng_below(rng, 2) ? 1 : -1);
    case COPI_PARAM_MEAN:
        return 0.2 * copi_rng_normal(rng);
    case COPI_PARAM_VAR:
        return draw(rng, 0.5, 2);
    case COPI_PARAM_GATE:
        return draw(rng, 0.5, 1.5);
    default:
        return 0.1 * copi_rng_normal(rng);
    }
}

void test_net_fill(cop_net *net, uint64_t seed) {
    copi_rng rng = copi_rng_make(seed, COPI_STREAM_TEST, 2);
    for (int p = 0; p < net->params; p++)
        for (int64_t i = 0; i < net->param[p].count; i++)
            net->param[p].data[i] = (float)param_value(&rng, &net->param[p]);
}

void test_net_mask(cop_net *net, uint64_t seed, double share) {
    copi_rng rng = copi_rng_make(seed, COPI_STREAM_TEST, 3);
    for (int p = 0; p < net->params; p++) {
        if (net->param[p].kind != COPI_PARAM_WEIGHT) continue;
        uint8_t *mask = copi_param_mask(net, &net->param[p]);
        if (!mask) abort();
        for (int64_t i = 0; i < net->param[p].count; i++)
            if (copi_rng_uniform(&rng) < share) mask[i] = 0;
    }
    copi_net_apply_masks(net);
}

/* -- the random DAG: a state, and blocks that take a node and give one -- */

typedef struct maker {
    cop_graph *g;
    copi_rng rng;
    bool gates;
    int names;
    char name[32];
} maker;

static int64_t pick(maker *m, int64_t least, int64_t most) {
    return least + (int64_t)copi_rng_below(&m->rng, (uint64_t)(most - least + 1));
}

static const char *next_name(maker *m) {
    snprintf(m->name, sizeof m->name, "n%d", m->names++);
    return m->name;
}

static const int64_t *shape(const maker *m, int node) { /* of any node, once the graph has failed */
    return m->g->net->node[node < 0 ? 0 : node].shape;
}

static int maybe_norm(maker *m, int x) {
    int64_t C = shape(m, x)[0];
    if (pick(m, 0, 1)) x = cop_graph_batchnorm(m->g, next_name(m), x, 1e-3);
    if (m->gates && pick(m, 0, 1)) x = cop_graph_gate(m->g, next_name(m), x, C % 2 || pick(m, 0, 1) ? C : C / 2);
    return x;
}

static int activate(maker *m, int x) {
    switch (pick(m, 0, 4)) {
    case 0:
        return cop_graph_relu6(m->g, next_name(m), x);
    case 1:
        return cop_graph_leaky_relu(m->g, next_name(m), x, 0.1);
    case 2:
        x = cop_graph_dropout(m->g, next_name(m), x, 0.25);
        return cop_graph_relu(m->g, next_name(m), x);
    case 3:
        return x;
    default:
        return cop_graph_relu(m->g, next_name(m), x);
    }
}

/* Any convolution that the image allows. */
static int any_conv(maker *m, int x) {
    const int64_t C = shape(m, x)[0], H = shape(m, x)[1], W = shape(m, x)[2];
    cop_conv_params p = cop_conv_params_default(pick(m, 2, 6), 1);
    p.bias = (int)pick(m, 0, 1);
    for (int d = 0; d < 2; d++) {
        int64_t extent = d ? W : H;
        p.kernel[d] = pick(m, 1, extent < 3 ? extent : 3);
        p.stride[d] = pick(m, 0, 3) ? 1 : 2;
        p.dilation[d] = pick(m, 0, 3) || p.kernel[d] * 2 > extent + 1 ? 1 : 2;
        p.pad[d] = pick(m, 0, p.kernel[d] / 2);
        p.pad[d + 2] = pick(m, 0, p.kernel[d] - 1);
    }
    int64_t kind = pick(m, 0, 3);
    if (kind == 0) { /* depthwise, sometimes with two filters a channel */
        p.groups = C;
        p.filters = C * pick(m, 1, 2);
    } else if (kind == 1 && C % 2 == 0) {
        p.groups = 2;
        p.filters = 2 * pick(m, 1, 3);
    }
    return maybe_norm(m, cop_graph_conv(m->g, next_name(m), x, &p));
}

/* A convolution that keeps the image's size. */
static int same_conv(maker *m, int x, int64_t filters) {
    cop_conv_params p = cop_conv_params_default(filters, pick(m, 0, 1) ? 3 : 1);
    for (int i = 0; i < 4; i++) p.pad[i] = p.kernel[0] / 2;
    p.bias = (int)pick(m, 0, 1);
    return maybe_norm(m, cop_graph_conv(m->g, next_name(m), x, &p));
}

static int any_pool(maker *m, int x) {
    int64_t H = shape(m, x)[1], W = shape(m, x)[2];
    if (H < 4 || W < 4) return x;
    cop_pool_params p = cop_pool_params_default(pick(m, 2, 3));
    p.stride[0] = p.stride[1] = pick(m, 1, 2);
    for (int i = 0; i < 4; i++) p.pad[i] = pick(m, 0, 2) ? 0 : 1;
    p.count_pad = (int)pick(m, 0, 1);
    int average = (int)pick(m, 0, 1);
    if (!average) p.count_pad = 0;
    return average ? cop_graph_avg_pool(m->g, next_name(m), x, &p) : cop_graph_max_pool(m->g, next_name(m), x, &p);
}

static int residual(maker *m, int x) {
    int64_t C = pick(m, 0, 1) ? shape(m, x)[0] : pick(m, 2, 6);
    int by = C == shape(m, x)[0] ? x : same_conv(m, x, C);
    int branch = same_conv(m, x, pick(m, 2, 5));
    branch = same_conv(m, activate(m, branch), C);
    return pick(m, 0, 1) ? cop_graph_add(m->g, next_name(m), branch, by)
                         : cop_graph_add(m->g, next_name(m), by, branch);
}

static int branches(maker *m, int x) {
    int part[3] = {same_conv(m, x, pick(m, 2, 4)), x, -1}, count = 2;
    if (pick(m, 0, 1)) part[1] = activate(m, same_conv(m, x, pick(m, 2, 4)));
    if (pick(m, 0, 1)) part[count++] = part[0];
    return cop_graph_concat(m->g, next_name(m), part, count);
}

static int twice(maker *m, int x) {
    x = activate(m, same_conv(m, x, pick(m, 2, 4)));
    return cop_graph_concat(m->g, next_name(m), (const int[]){x, x}, 2);
}

static int stage(maker *m, int x) {
    switch (pick(m, 0, 5)) {
    case 0:
        return activate(m, residual(m, x));
    case 1:
        return activate(m, branches(m, x));
    case 2:
        return twice(m, x);
    case 3:
        return any_pool(m, activate(m, any_conv(m, x)));
    case 4:
        return residual(m, residual(m, x)); /* chained sums: all summands share a choice */
    default:
        return activate(m, any_conv(m, x));
    }
}

static void head(maker *m, int x, int classes, bool softmax) {
    if (pick(m, 0, 1)) x = cop_graph_global_pool(m->g, next_name(m), x);
    x = cop_graph_flatten(m->g, next_name(m), x);
    if (pick(m, 0, 1)) {
        int64_t units = pick(m, 3, 8);
        int bias = (int)pick(m, 0, 1);
        x = activate(m, maybe_norm(m, cop_graph_dense(m->g, next_name(m), x, units, bias)));
    }
    x = cop_graph_dense(m->g, next_name(m), x, classes, 1);
    if (softmax) cop_graph_softmax(m->g, next_name(m), x);
}

cop_net *test_net_random(cop_ctx *ctx, const test_net_params *params) {
    maker m = {.rng = copi_rng_make(params->seed, COPI_STREAM_TEST, 0), .gates = params->gates};
    if (cop_graph_create(ctx, &m.g)) return NULL;
    int64_t C = pick(&m, 1, 4), H = pick(&m, 6, 11), W = pick(&m, 6, 11), classes = pick(&m, 2, 6),
            stages = pick(&m, 1, 4);
    if (params->channels) C = params->channels;
    if (params->height) H = params->height;
    if (params->width) W = params->width;
    if (params->classes) classes = params->classes;
    if (params->stages) stages = params->stages;
    int x = cop_graph_input(m.g, "input", C, H, W);
    if (x >= 0) x = any_conv(&m, x);
    for (int64_t s = 0; s < stages && x >= 0; s++) x = stage(&m, x);
    if (x >= 0) head(&m, x, (int)classes, params->softmax || pick(&m, 0, 1));
    cop_net *net;
    cop_status status = cop_graph_build(m.g, params->seed, &net);
    if (status && status != COP_E_NOMEM) {
        fprintf(stderr, "test_net_random, seed %llu: %s\n", (unsigned long long)params->seed, cop_error(ctx));
        abort();
    }
    if (net) test_net_fill(net, params->seed);
    return net;
}
