/* The control that pruned nets must beat: the dense net, trained for the same extra epochs. */
#include "method/method.h"

#include <math.h>

static const cop_option options[] = {
    {COPI_OPTION_ROUNDS("train this many times more; 0 counts as 1")}, {COPI_OPTION_TUNE}, {NULL}};

static cop_status check(cop_ctx *ctx, const cop_method_params *p) {
    cop_status s = copi_options_check(ctx, NULL, options, p);
    return s ? s : copi_method_recipe_check(ctx, "tune", &p->tune);
}

static void label(copi_buffer *b, const cop_method_params *p, double level) {
    (void)level;
    copi_label_epochs(b, p->tune.epochs);
}

static cop_status run_longer(copi_run *run, cop_net **result) {
    const cop_method_params *p = run->params;
    const copi_fit fit = {.recipe = &p->tune, .phase = "tune"};
    int rounds = p->rounds > 1 ? p->rounds : 1; /* without any it would be the dense net itself */
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

const copi_method copi_method_dense_longer = {
    .name = "dense-longer",
    .style = {"#4d4d4d", "#c8c8c8", COPI_SHAPE_PENTAGON},
    .help = "control: the dense net trained for the same extra epochs, without pruning; at least one round",
    .family = "dense-longer",
    .whose = "dense-longer",
    .options = options,
    .run = run_longer,
    .check = check,
    .label = label};
