/* The public prune and shrink: the pure functions of this room, with a gradient and a check from the engine. */
#include "prune/prune.h"
#include "train/train.h"

#include <math.h>

enum { GRADIENT_IMAGES = 2048, CHECK_IMAGES = 8 };

cop_status cop_prune(cop_net *net, const cop_prune_params *params, cop_prune_report *report) {
    if (report) *report = (cop_prune_report){0};
    COPI_REQUIRE(NULL, net);
    cop_status s = COPI_CHECK(net->ctx, cop_prune_params, params);
    if (s) return s;
    const copi_criterion *criterion = params->criterion ? copi_criterion_find(params->criterion) : NULL;
    if (!criterion || !criterion->needs) return copi_prune(net, params, NULL, report);
    cop_ctx *ctx = net->ctx;
    if (!params->data)
        return copi_fail(ctx, COP_E_ARG, "prune: criterion '%s' ranks by the loss's gradient; give it data",
                         criterion->name);
    float *all = copi_alloc(ctx, net->block_count, sizeof *all);
    const float **each = copi_alloc(ctx, (size_t)net->params, sizeof *each);
    bool squares = criterion->needs == COPI_NEEDS_SQUARES;
    s = all && each ? copi_mean_gradient(net, params->data, GRADIENT_IMAGES, squares, all) : COP_E_NOMEM;
    for (int i = 0; i < net->params && !s; i++) each[i] = all + (net->param[i].data - net->block);
    if (!s) s = copi_prune(net, params, each, report);
    copi_free(ctx, all);
    copi_free(ctx, each);
    return s;
}

static cop_status logits_of(const cop_net *net, const float *x, float *y, float *logits) {
    copi_plan *plan;
    cop_status s = copi_plan_create(
        net->ctx, net, &(copi_plan_options){.batch = CHECK_IMAGES, .precision = COP_PRECISION_F32}, &plan);
    if (!s) s = copi_plan_forward(plan, x, CHECK_IMAGES, y, logits);
    copi_plan_destroy(plan);
    return s;
}

/** How much two orders of the same sums may differ by rounding alone, relative to the largest output:
 *    16 u (1 + sum over layers of sqrt(K)),  u = 2^-24
 *  A sum of K products has an error of about u sqrt(K) of its scale, and the errors of the layers add up. The factor
 *  16 covers the worst of many outputs, and sums that cancel. docs/methods.md, "Shrink". */
static double tolerance(const cop_net *net) {
    double sum = 0;
    for (int i = 0; i < net->nodes; i++) {
        const copi_param *w = copi_node_slot(net, &net->node[i], COPI_WEIGHT);
        if (w) sum += sqrt((double)w->count / (double)w->shape[0]);
    }
    return 16 * 0x1p-24 * (sum + 1);
}

/* max |masked - shrunk| over random images, divided by max |masked| */
static cop_status compare(const cop_net *net, const cop_net *shrunk, double *difference) {
    cop_ctx *ctx = net->ctx;
    const copi_node *in = &net->node[0];
    size_t image = (size_t)(in->shape[0] * in->shape[1] * in->shape[2]),
           outputs = (size_t)net->classes * CHECK_IMAGES;
    size_t pixels;
    if (!copi_mul(image, CHECK_IMAGES, &pixels)) return copi_fail(ctx, COP_E_NOMEM, "shrink: image too large");
    float *x = copi_alloc(ctx, pixels, sizeof *x), *y = copi_alloc(ctx, 3 * outputs, sizeof *y);
    cop_status s = x && y ? COP_OK : COP_E_NOMEM;
    if (!s) {
        float *a = y + outputs, *b = a + outputs;
        copi_rng rng = copi_rng_make(1, COPI_STREAM_CHECK, 0);
        for (size_t i = 0; i < pixels; i++) x[i] = (float)copi_rng_normal(&rng);
        if (!(s = logits_of(net, x, y, a)) && !(s = logits_of(shrunk, x, y, b))) {
            double apart = 0, largest = 0;
            bool finite = true;
            for (size_t i = 0; i < outputs; i++) {
                finite &= isfinite(a[i]) != 0;
                double d = fabs((double)a[i] - (double)b[i]);
                if (d > apart || isnan(d)) apart = d; /* a NaN stays */
                largest = fmax(largest, fabs((double)a[i]));
            }
            if (!finite)
                s = copi_fail(ctx, COP_E_DIVERGED,
                              "shrink: the net's outputs for random images are not finite (NaN or infinity); its "
                              "weights are damaged or too large");
            *difference = apart == 0 ? 0 : apart / fmax(largest, 0x1p-126);
        }
    }
    copi_free(ctx, x);
    copi_free(ctx, y);
    return s;
}

static cop_status shrink_checked(const cop_net *net, int64_t multiple, cop_net **shrunk, copi_shrink_map *map,
                                 cop_shrink_report *report) {
    cop_shrink_report r = {0};
    *shrunk = NULL;
    cop_status s = copi_shrink(net, multiple, shrunk, map, &r.units_removed);
    if (!s) s = compare(net, *shrunk, &r.max_difference);
    if (!s && !(r.max_difference <= tolerance(net)))
        s = copi_fail(net->ctx, COP_E_INTERNAL,
                      "shrink: the smaller net differs by %.3g of the largest output, rounding explains %.3g; please "
                      "report this bug",
                      r.max_difference, tolerance(net));
    if (s) {
        cop_net_destroy(*shrunk);
        *shrunk = NULL;
        if (map) copi_shrink_map_clear(map);
        r = (cop_shrink_report){0};
    } else {
        cop_net_info before, after;
        cop_net_get_info(net, &before);
        cop_net_get_info(*shrunk, &after);
        r.parameters_before = before.parameters;
        r.parameters_after = after.parameters;
        r.macs_before = before.macs;
        r.macs_after = after.macs;
    }
    if (report) *report = r;
    return s;
}

cop_status copi_shrink_checked(const cop_net *net, cop_net **shrunk, copi_shrink_map *map,
                               cop_shrink_report *report) {
    return shrink_checked(net, 1, shrunk, map, report);
}

cop_status cop_shrink(const cop_net *net, cop_net **shrunk, cop_shrink_report *report) {
    return cop_shrink_rounded(net, 1, shrunk, report);
}

cop_status cop_shrink_rounded(const cop_net *net, int64_t multiple, cop_net **shrunk, cop_shrink_report *report) {
    if (shrunk) *shrunk = NULL;
    if (report) *report = (cop_shrink_report){0};
    COPI_REQUIRE(NULL, net);
    COPI_REQUIRE(net->ctx, shrunk);
    if (multiple < 1 || multiple > 4096)
        return copi_fail(net->ctx, COP_E_RANGE,
                         "shrink: round channels to a multiple of %lld; it must be in [1,4096]", (long long)multiple);
    return shrink_checked(net, multiple, shrunk, NULL, report);
}
