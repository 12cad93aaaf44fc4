/* The control that pruned nets must beat: the dense net, trained for as many epochs as they are tuned. */
#include "method/method.h"

#include <math.h>

cop_status copi_longer_check(cop_ctx *ctx, const cop_method_params *p) {
    if (p->rounds < 0 || p->rounds > 1000)
        return copi_fail(ctx, COP_E_RANGE, "rounds is %d; it must be in [0,1000]", p->rounds);
    return copi_method_recipe_check(ctx, "tune", &p->tune);
}

cop_status copi_longer_run(copi_run *run, cop_net **result) {
    const cop_method_params *p = run->params;
    const copi_fit fit = {.recipe = &p->tune, .phase = "tune"};
    int rounds = p->rounds > 1 ? p->rounds : 1; /* none would be the dense net itself */
    cop_status s = cop_net_clone(run->dense, result);
    for (int r = 1; r <= rounds && !s && !run->stopped; r++) {
        cop_history history = {.ctx = run->ctx};
        cop_point point = {.round = r, .threshold = NAN, .accuracy_pruned = NAN};
        s = copi_run_train(run, *result, &fit, r, &history);
        if (!s) s = copi_run_point(run, *result, &point, &history);
        cop_history_clear(&history);
    }
    return s;
}
