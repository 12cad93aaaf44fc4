#include "prune/criteria.h"

#include <math.h>

static bool all_zero(const float *row, int64_t length) {
    for (int64_t j = 0; j < length; j++)
        if (row[j] != 0) return false;
    return true;
}

#define LANES 16  /* sums side by side, for vectors */
#define CHUNK 512 /* weights summed in f32 before the sum goes on in double */

/* ||a - b||; f32 sums of CHUNK / LANES squares each are exact to 2^-19 */
static double distance(const float *a, const float *b, int64_t length) {
    double sum = 0;
    for (int64_t at = 0; at < length; at += CHUNK) {
        int64_t n = length - at < CHUNK ? length - at : CHUNK, j = 0;
        float lane[LANES] = {0};
        for (; j + LANES <= n; j += LANES)
            for (int64_t l = 0; l < LANES; l++) {
                float d = a[at + j + l] - b[at + j + l];
                lane[l] += d * d;
            }
        for (int64_t l = 0; j < n; j++, l++) {
            float d = a[at + j] - b[at + j];
            lane[l] += d * d;
        }
        for (int l = 0; l < LANES; l++) sum += lane[l];
    }
    return sqrt(sum);
}

/* s[o] = sum_p ||w[o] - w[p]||: filters near the geometric median of the layer's can be replaced by the others (He et
 * al. 2019, arXiv:1811.00250). Filters that are gone (all zero) are no longer among the others, and score 0. */
static cop_status score(const cop_net *net, const copi_node *node, const float *gradient, uint64_t seed,
                        float *score_of) {
    (void)gradient;
    (void)seed;
    copi_rows r = copi_rows_of(net, node);
    uint8_t *gone = copi_alloc(net->ctx, (size_t)r.rows, 1);
    double *sum = copi_alloc(net->ctx, (size_t)r.rows, sizeof *sum);
    cop_status status = gone && sum ? COP_OK : COP_E_NOMEM;
    for (int64_t o = 0; !status && o < r.rows; o++) gone[o] = all_zero(r.weight + o * r.length, r.length);
    for (int64_t o = 0; !status && o < r.rows; o++) {
        for (int64_t p = o + 1; !gone[o] && p < r.rows; p++) {
            if (gone[p]) continue;
            double d = distance(r.weight + o * r.length, r.weight + p * r.length, r.length);
            sum[o] += d;
            sum[p] += d;
        }
        score_of[o] = (float)sum[o];
    }
    copi_free(net->ctx, gone);
    copi_free(net->ctx, sum);
    return status;
}

const copi_criterion copi_criterion_fpgm = {.name = "fpgm",
                                            .style = {"#8a5a2b", "#d0a374", COPI_SHAPE_DIAMOND},
                                            .help = "conv filters by their distance to all others (geometric median)",
                                            .unit = COPI_UNIT_FILTER,
                                            .ops = COPI_OP_BIT(CONV),
                                            .score = score};
