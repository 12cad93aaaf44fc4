/* Revival of pruned weights (RigL: Evci et al. 2020, arXiv:1911.11134): each kernel loses its smallest weights and
 * regains as many pruned ones, those with the largest gradients. */
#include "method/method.h"

#include <math.h>

/* Set keep to 0 for the n entries of lowest score among those whose mask is `from`. */
static void lowest_of(const copi_param *p, const float *score, uint8_t from, int64_t n, float *scratch,
                      uint8_t *keep) {
    for (int64_t i = 0; i < p->count; i++) scratch[i] = p->mask[i] == from ? score[i] : INFINITY;
    copi_lowest(scratch, p->count, n, keep, NULL);
}

cop_status copi_revive(cop_net *net, double share, copi_plan *plan) {
    size_t longest = 1;
    for (int i = 0; i < net->params; i++)
        if ((size_t)net->param[i].count > longest) longest = (size_t)net->param[i].count;
    float *score = copi_alloc(net->ctx, longest, sizeof *score),
          *scratch = copi_alloc(net->ctx, longest, sizeof *score);
    uint8_t *stays = copi_alloc(net->ctx, longest, 1), *sleeps = copi_alloc(net->ctx, longest, 1);
    cop_status s = score && scratch && stays && sleeps ? COP_OK : COP_E_NOMEM;
    for (int i = 0; i < net->params && !s; i++) {
        copi_param *p = &net->param[i];
        if (p->kind != COPI_PARAM_WEIGHT || !p->mask) continue;
        int64_t alive = 0;
        for (int64_t k = 0; k < p->count; k++) alive += p->mask[k];
        int64_t n = (int64_t)(share * (double)alive);
        if (n > p->count - alive) n = p->count - alive;
        for (int64_t k = 0; k < p->count; k++) score[k] = fabsf(p->data[k]);
        lowest_of(p, score, 1, n, scratch, stays);
        s = copi_plan_gradient(plan, i, score);
        for (int64_t k = 0; k < p->count; k++) score[k] = -fabsf(score[k]);
        lowest_of(p, score, 0, n, scratch, sleeps);
        for (int64_t k = 0; k < p->count; k++) {
            p->mask[k] = p->mask[k] ? stays[k] : !sleeps[k];
            if (!p->mask[k]) p->data[k] = 0;
        }
    }
    copi_free(net->ctx, score);
    copi_free(net->ctx, scratch);
    copi_free(net->ctx, stays);
    copi_free(net->ctx, sleeps);
    return s;
}
