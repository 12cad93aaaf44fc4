/* Criteria that look at the size of weights: the reference study's four, and batch-norm scale.
 * docs/methods.md, "Criteria". */
#include "prune/criteria.h"

#include <math.h>

/* s[i] = |w[i]| */
static cop_status magnitude(const cop_net *net, const copi_node *node, const float *gradient, uint64_t seed,
                            float *score) {
    (void)gradient;
    (void)seed;
    const copi_param *p = copi_node_slot(net, node, COPI_WEIGHT);
    for (int64_t i = 0; i < p->count; i++) score[i] = fabsf(p->data[i]);
    return COP_OK;
}

const copi_criterion copi_criterion_magnitude = {.name = "magnitude",
                                                 .style = {"#0072b2", "#5bb4ec", COPI_SHAPE_CIRCLE},
                                                 .help = "weights by |w|",
                                                 .unit = COPI_UNIT_WEIGHT,
                                                 .ops = COPI_OP_BIT(CONV) | COPI_OP_BIT(DENSE),
                                                 .score = magnitude};

/* s[o] = sum_j |w[o,j]| (Li et al. 2017, arXiv:1608.08710) */
static cop_status l1(const cop_net *net, const copi_node *node, const float *gradient, uint64_t seed, float *score) {
    (void)gradient;
    (void)seed;
    copi_rows r = copi_rows_of(net, node);
    for (int64_t o = 0; o < r.rows; o++) {
        double sum = 0;
        for (int64_t j = 0; j < r.length; j++) sum += fabs((double)r.weight[o * r.length + j]);
        score[o] = (float)sum;
    }
    return COP_OK;
}

/* s[o] = sqrt(sum_j w[o,j]^2) */
static cop_status l2(const cop_net *net, const copi_node *node, const float *gradient, uint64_t seed, float *score) {
    (void)gradient;
    (void)seed;
    copi_rows r = copi_rows_of(net, node);
    for (int64_t o = 0; o < r.rows; o++) {
        double sum = 0;
        for (int64_t j = 0; j < r.length; j++) {
            double w = r.weight[o * r.length + j];
            sum += w * w;
        }
        score[o] = (float)sqrt(sum);
    }
    return COP_OK;
}

const copi_criterion copi_criterion_l1_filter = {.name = "l1-filter",
                                                 .style = {"#c98a00", "#f0b840", COPI_SHAPE_UP},
                                                 .help = "conv filters by the sum of |w|",
                                                 .unit = COPI_UNIT_FILTER,
                                                 .ops = COPI_OP_BIT(CONV),
                                                 .score = l1};
const copi_criterion copi_criterion_l2_filter = {.name = "l2-filter",
                                                 .style = {"#c4500a", "#f08a50", COPI_SHAPE_DOWN},
                                                 .help = "conv filters by the root of the sum of w^2",
                                                 .unit = COPI_UNIT_FILTER,
                                                 .ops = COPI_OP_BIT(CONV),
                                                 .score = l2};
const copi_criterion copi_criterion_l2_neuron = {
    .name = "l2-neuron",
    .style = {"#00805d", "#3cc9a0", COPI_SHAPE_SQUARE},
    .help = "dense neurons, except the output layer's, by the root of the sum of w^2",
    .unit = COPI_UNIT_NEURON,
    .ops = COPI_OP_BIT(DENSE),
    .score = l2};

/* s[c] = |scale[c]| (Network Slimming, Liu et al. 2017, arXiv:1708.06519) */
static cop_status scale(const cop_net *net, const copi_node *node, const float *gradient, uint64_t seed,
                        float *score) {
    (void)gradient;
    (void)seed;
    const copi_param *p = copi_node_slot(net, node, COPI_SCALE);
    for (int64_t c = 0; c < p->count; c++) score[c] = fabsf(p->data[c]);
    return COP_OK;
}

const copi_criterion copi_criterion_bn_scale = {.name = "bn-scale",
                                                .style = {"#2f7f7f", "#79c7c7", COPI_SHAPE_UP},
                                                .help =
                                                    "channels by the |scale| of their batch-norm (network slimming)",
                                                .unit = COPI_UNIT_CHANNEL,
                                                .ops = COPI_OP_BIT(BATCHNORM),
                                                .score = scale};
