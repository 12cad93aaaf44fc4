#include "net/net.h"

#include <math.h>

/* For each node the slope of the rectifier that its output meets before the next layer; NaN: none. What keeps the
 * spread of its input is looked through. */
static void find_rectifiers(const cop_net *net, double *slope) {
    for (int i = 0; i < net->nodes; i++) slope[i] = NAN;
    for (int i = net->nodes - 1; i > 0; i--) {
        const copi_node *node = &net->node[i];
        const copi_op_class *class = copi_op_get(node->op);
        double seen = copi_op_is(node->op, COPI_KEEPS_SPREAD) ? slope[i] : NAN;
        if (class->rectifier) seen = class->rectifier(node).slope;
        for (int s = 0; s < node->nsrc; s++)
            if (!isnan(seen)) slope[node->src[s]] = seen;
    }
}

cop_status cop_net_init(cop_net *net, uint64_t seed) {
    COPI_REQUIRE(NULL, net);
    double *slope = copi_alloc(net->ctx, (size_t)net->nodes, sizeof *slope);
    if (!slope) return COP_E_NOMEM;
    find_rectifiers(net, slope);
    for (int p = 0; p < net->params; p++) {
        copi_param *param = &net->param[p];
        copi_free(net->ctx, param->mask);
        param->mask = NULL;
        bool one = param->kind == COPI_PARAM_SCALE || param->kind == COPI_PARAM_VAR || param->kind == COPI_PARAM_GATE;
        if (param->kind != COPI_PARAM_WEIGHT) {
            for (int64_t i = 0; i < param->count; i++) param->data[i] = one;
            continue;
        }
        /* He et al. 2015, arXiv:1502.01852: variance 2 / fan_in before a ReLU, 2 / ((1 + slope^2) fan_in) before
         * one with a slope. Without a rectifier, 1 / fan_in keeps the variance. */
        int64_t fan_in = param->count / param->shape[0];
        double a = slope[param->node];
        double deviation = sqrt((isnan(a) ? 1 : 2 / (1 + a * a)) / (double)fan_in);
        copi_rng rng = copi_rng_make(seed, COPI_STREAM_INIT, (uint64_t)p); /* each parameter has its own numbers */
        for (int64_t i = 0; i < param->count; i++) param->data[i] = (float)(deviation * copi_rng_normal(&rng));
    }
    copi_free(net->ctx, slope);
    return COP_OK;
}
