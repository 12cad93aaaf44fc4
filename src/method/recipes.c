/* Named recipes: settings of a method and its tuning under one name. */
#include "method/method.h"

#include <string.h>

static void gradual_root(cop_method_params *p, double epochs) {
    p->method = p->compound.rank = "fisher-root";
    p->scope = "global";
    p->rounds = 1;
    p->pace = COP_PACE_GRADUAL;
    p->gradual.begin = 0;
    p->gradual.end = 0.6;
    p->tune.epochs = epochs;
    p->tune.batch = 64;
    p->tune.optimizer = COP_OPTIMIZER_ADAMW;
    p->tune.schedule = COP_SCHEDULE_ONE_CYCLE;
    p->tune.rate = 4e-3;
    p->tune.distil_share = 0.7;
    p->tune.distil_temperature = 2;
    p->tune.decay = 1e-2;
    p->tune.erase = 0; /* no regularization: a net with so few weights underfits */
    p->tune.dropout = p->tune.label_smoothing = 0;
    p->tune.average = 0;
}

static const struct {
    const char *name, *help;
    void (*set)(cop_method_params *p, double epochs);
    double epochs;
} recipes[] = {
#define X(name, help, set, epochs) {name, help, set, epochs},
#include "method/recipes.def"
#undef X
};

COPI_LIST(method_recipe, recipes)

cop_status cop_method_recipe_apply(cop_ctx *ctx, const char *name, cop_method_params *params) {
    COPI_REQUIRE(ctx, name);
    cop_status status = COPI_CHECK(ctx, cop_method_params, params);
    if (status) return status;
    for (size_t i = 0; i < COPI_COUNT(recipes); i++)
        if (!strcmp(recipes[i].name, name)) {
            recipes[i].set(params, recipes[i].epochs);
            return COP_OK;
        }
    const char *near = cop_nearest(name, cop_method_recipe_name);
    return copi_fail(ctx, COP_E_NOT_FOUND, "recipe: there is no '%s'%s%s%s", name, near ? "; did you mean '" : "",
                     near ? near : "", near ? "'?" : "");
}
