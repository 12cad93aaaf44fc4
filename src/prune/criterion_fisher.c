#include "prune/criteria.h"

#include <math.h>

/* s[i] = w[i]^2 E[g[i]^2], g = d loss / d w: twice how much the loss would rise to second order without weight i, its
 * curvature taken as the diagonal of Fisher's matrix (LeCun et al. 1990, Optimal Brain Damage; Theis et al. 2018,
 * arXiv:1801.05787). */
static cop_status score(const cop_net *net, const copi_node *node, const float *gradient, uint64_t seed,
                        float *score_of) {
    (void)seed;
    const copi_param *p = copi_node_slot(net, node, COPI_WEIGHT);
    for (int64_t i = 0; i < p->count; i++) score_of[i] = p->data[i] * p->data[i] * gradient[i];
    return COP_OK;
}

/* s[i] = w[i]^2 sqrt(E[g[i]^2]), where Adam divides its steps by that root: putting weight i to 0 moves the net by
 * s[i] in Adam's measure. The proximal step of an L0 penalty in that measure puts to 0 what is under a threshold of s
 * (q = 0 of Yun et al. 2021, arXiv:2007.07484). [ours], as a ranking for gradual pruning. */
static cop_status score_root(const cop_net *net, const copi_node *node, const float *gradient, uint64_t seed,
                             float *score_of) {
    (void)seed;
    const copi_param *p = copi_node_slot(net, node, COPI_WEIGHT);
    for (int64_t i = 0; i < p->count; i++) score_of[i] = p->data[i] * p->data[i] * sqrtf(gradient[i]);
    return COP_OK;
}

const copi_criterion copi_criterion_fisher = {.name = "fisher",
                                              .style = {"#b3261e", "#f28b82", COPI_SHAPE_UP},
                                              .help = "weights by w^2 times the mean of (dL/dw)^2",
                                              .unit = COPI_UNIT_WEIGHT,
                                              .ops = COPI_OP_BIT(CONV) | COPI_OP_BIT(DENSE),
                                              .needs = COPI_NEEDS_SQUARES,
                                              .score = score};
const copi_criterion copi_criterion_fisher_root = {.name = "fisher-root",
                                                   .style = {"#00695c", "#4db6ac", COPI_SHAPE_PENTAGON},
                                                   .help = "weights by w^2 times the root of the mean of (dL/dw)^2",
                                                   .unit = COPI_UNIT_WEIGHT,
                                                   .ops = COPI_OP_BIT(CONV) | COPI_OP_BIT(DENSE),
                                                   .needs = COPI_NEEDS_SQUARES,
                                                   .score = score_root};
