/* The controls: what choosing without looking gives. */
#include "prune/criteria.h"

/* Uniform numbers from (seed, node), the same for the same seed. */
static void draw(const cop_net *net, const copi_node *node, uint64_t seed, float *score, int64_t n) {
    copi_rng rng = copi_rng_make(seed, COPI_STREAM_PRUNE, (uint64_t)(node - net->node));
    for (int64_t i = 0; i < n; i++) score[i] = (float)copi_rng_uniform(&rng);
}

static cop_status weights(const cop_net *net, const copi_node *node, const float *gradient, uint64_t seed,
                          float *score) {
    (void)gradient;
    draw(net, node, seed, score, copi_node_slot(net, node, COPI_WEIGHT)->count);
    return COP_OK;
}

static cop_status rows(const cop_net *net, const copi_node *node, const float *gradient, uint64_t seed,
                       float *score) {
    (void)gradient;
    draw(net, node, seed, score, node->shape[0]);
    return COP_OK;
}

const copi_criterion copi_criterion_random = {.name = "random",
                                              .style = {"#767676", "#a8a8a8", COPI_SHAPE_PENTAGON},
                                              .help = "weights at random (a control)",
                                              .unit = COPI_UNIT_WEIGHT,
                                              .ops = COPI_OP_BIT(CONV) | COPI_OP_BIT(DENSE),
                                              .score = weights};
const copi_criterion copi_criterion_random_filter = {.name = "random-filter",
                                                     .help = "conv filters at random (a control)",
                                                     .unit = COPI_UNIT_FILTER,
                                                     .ops = COPI_OP_BIT(CONV),
                                                     .score = rows};
const copi_criterion copi_criterion_random_neuron = {
    .name = "random-neuron",
    .help = "dense neurons, except the output layer's, at random (a control)",
    .unit = COPI_UNIT_NEURON,
    .ops = COPI_OP_BIT(DENSE),
    .score = rows};
