#include "prune/criteria.h"

#include <math.h>
#include <string.h>

#define DIGIT 11 /* bits sorted by at a time: three passes over the 32 of a weight */

/* |w| in the upper half, as bits that sort like it, and its number in the lower half. */
static uint64_t pack(float w, int64_t i) {
    uint32_t bits;
    w = fabsf(w);
    memcpy(&bits, &w, sizeof bits);
    return (uint64_t)bits << 32 | (uint32_t)i;
}

static void sort(uint64_t *a, uint64_t *b, int64_t n, int shift) {
    int64_t at[1 << DIGIT] = {0}, sum = 0;
    for (int64_t i = 0; i < n; i++) at[a[i] >> shift & ((1 << DIGIT) - 1)]++;
    for (int d = 0; d < 1 << DIGIT; d++) {
        int64_t count = at[d];
        at[d] = sum;
        sum += count;
    }
    for (int64_t i = 0; i < n; i++) b[at[a[i] >> shift & ((1 << DIGIT) - 1)]++] = a[i];
}

/* s[i] = w[i]^2 / sum of w[j]^2 over the weights j of the layer that are not smaller (Lee et al. 2021,
 * arXiv:2010.07611). Of equal weights the one of the lower number comes first. The largest scores 1, so no layer is
 * emptied by global ranking. */
static cop_status score(const cop_net *net, const copi_node *node, const float *gradient, uint64_t seed,
                        float *score_of) {
    (void)gradient;
    (void)seed;
    const copi_param *p = copi_node_slot(net, node, COPI_WEIGHT);
    if (p->count > UINT32_MAX)
        return copi_fail(net->ctx, COP_E_UNSUPPORTED, "lamp: %s has %lld weights, it ranks up to %lld", p->name,
                         (long long)p->count, (long long)UINT32_MAX);
    uint64_t *a = copi_alloc(net->ctx, (size_t)p->count, sizeof *a),
             *b = copi_alloc(net->ctx, (size_t)p->count, sizeof *b);
    cop_status status = a && b ? COP_OK : COP_E_NOMEM;
    if (!status) {
        for (int64_t i = 0; i < p->count; i++) a[i] = pack(p->data[i], i);
        sort(a, b, p->count, 32);
        sort(b, a, p->count, 32 + DIGIT);
        sort(a, b, p->count, 32 + 2 * DIGIT);
        double rest = 0;
        for (int64_t k = p->count - 1; k >= 0; k--) {
            uint32_t i = (uint32_t)b[k];
            double square = (double)p->data[i] * p->data[i];
            rest += square;
            score_of[i] = rest == 0 ? 0 : (float)(square / rest); /* NaN where a weight is */
        }
    }
    copi_free(net->ctx, a);
    copi_free(net->ctx, b);
    return status;
}

/* Weights used at many places go first: fewer MACs at the same sparsity. [ours]; docs/methods.md, "Criteria". */
const copi_criterion copi_criterion_lamp_macs = {
    .name = "lamp-macs",
    .style = {"#5f6b00", "#bcc84a", COPI_SHAPE_DIAMOND},
    .help = "lamp over a power of the MACs that a weight takes part in, ranked globally",
    .unit = COPI_UNIT_WEIGHT,
    .ops = COPI_OP_BIT(CONV) | COPI_OP_BIT(DENSE),
    .macs_power = 0.4,
    .score = score};
const copi_criterion copi_criterion_lamp = {
    .name = "lamp",
    .style = {"#33609e", "#8fb4e8", COPI_SHAPE_PENTAGON},
    .help = "weights by w^2 over the sum of w^2 of those not smaller in the layer",
    .unit = COPI_UNIT_WEIGHT,
    .ops = COPI_OP_BIT(CONV) | COPI_OP_BIT(DENSE),
    .score = score};
