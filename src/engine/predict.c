/* The public prediction: a plan for a few images at a time. */
#include "engine/plan.h"

cop_status cop_predict(const cop_net *net, const float *x, int64_t n, float *y) {
    COPI_REQUIRE(NULL, net);
    COPI_REQUIRE(net->ctx, x);
    COPI_REQUIRE(net->ctx, y);
    if (n < 0) return copi_fail(net->ctx, COP_E_RANGE, "predict: %lld images", (long long)n);
    if (n == 0) return COP_OK;
    copi_plan_options options = {.batch = n < 64 ? n : 64, .precision = COP_PRECISION_F32};
    copi_plan *plan;
    cop_status s = copi_plan_create(net->ctx, net, &options, &plan);
    for (int64_t at = 0; at < n && !s; at += options.batch) {
        int64_t count = n - at < options.batch ? n - at : options.batch;
        s = copi_plan_forward(plan, x + at * plan->image, count, y + at * plan->classes, NULL);
    }
    copi_plan_destroy(plan);
    return s;
}
