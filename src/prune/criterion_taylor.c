#include "prune/criteria.h"

/* s[o] = sum_j (w[o,j] g[o,j])^2, g = d loss / d w: how the loss would change to first order (Molchanov et al. 2019,
 * arXiv:1906.10771) */
static cop_status score(const cop_net *net, const copi_node *node, const float *gradient, uint64_t seed,
                        float *score_of) {
    (void)seed;
    copi_rows r = copi_rows_of(net, node);
    for (int64_t o = 0; o < r.rows; o++) {
        double sum = 0;
        for (int64_t j = o * r.length; j < (o + 1) * r.length; j++) {
            double change = (double)r.weight[j] * gradient[j];
            sum += change * change;
        }
        score_of[o] = (float)sum;
    }
    return COP_OK;
}

const copi_criterion copi_criterion_taylor = {.name = "taylor",
                                              .style = {"#5b4fb0", "#a79ff0", COPI_SHAPE_DOWN},
                                              .help = "conv filters and dense neurons by the sum of (w dL/dw)^2",
                                              .unit = COPI_UNIT_CHANNEL,
                                              .ops = COPI_OP_BIT(CONV) | COPI_OP_BIT(DENSE),
                                              .needs = COPI_NEEDS_GRADIENT,
                                              .score = score};
