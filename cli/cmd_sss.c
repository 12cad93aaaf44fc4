/* coppice sss: train a net with factors, remove the structures whose factor is 0, retrain the rest. */
#include "cli.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const cop_option *sss_option(int i) {
    int m = 0;
    while (strcmp(cop_method_name(m), "sss") != 0) m++;
    return cop_method_option(m, i);
}

static const option options[] = {
    HEADING("Structures"),
    TABLE(sss_option, sss),
    ROW("gamma", sss_option, "gamma", sss.sss.gamma),
    ROW("sparsity", sss_option, "sparsity", sparsity),
    ROW("macs", sss_option, "macs", macs),
    ROW("parameters", sss_option, "parameters", parameters),
    COUNT("keep", sss.keep, 1, 1e9, "minimum channels or neurons to keep in each layer"),
    ROW("retrain-epochs", cop_recipe_option, "epochs", retrain_epochs),
    ROW("retrain-l1", cop_recipe_option, "l1", sss.sss.retrain.l1),
    ROW("threshold", sss_option, "threshold", threshold),
    OPTION_OUTPUT("file for the pruned model; its ending sets the format (coppice help formats)"),
    OPTIONS_DATA,
    OPTIONS_RECIPE,
    OPTIONS_COMMON,
};

/* -1: continue. */
static int choose_target(settings *s) {
    const double reach[] = {
        [COP_TARGET_SPARSITY] = s->sparsity, [COP_TARGET_MACS] = s->macs, [COP_TARGET_PARAMETERS] = s->parameters};
    for (int t = COP_TARGET_SPARSITY; t <= COP_TARGET_PARAMETERS; t++) {
        if (!reach[t]) continue;
        if (s->sss.sss.target != COP_TARGET_NONE)
            return usage_error(s, "--%s and --%s: gamma can be searched for one target only; give one",
                               cop_target_name(s->sss.sss.target), cop_target_name((cop_target)t));
        s->sss.sss.target = (cop_target)t;
        s->sss.sss.reach = reach[t];
    }
    return -1;
}

static int keep_point(void *user, const cop_point *point, const cop_net *net) {
    (void)net;
    *(cop_point *)user = *point;
    return 0;
}

static void print_result(const settings *s, const cop_net *net, const cop_point *p) {
    cop_net_info info;
    cop_net_get_info(net, &info);
    printf("gamma %g: sparsity %s (conv %s, dense %s), %s of %s parameters, %s of %s MACs\n", p->level,
           SAY(percent, p->sparsity), SAY(percent, p->sparsity_conv), SAY(percent, p->sparsity_dense),
           SAY(count, info.parameters), SAY(count, info.parameters_dense), SAY(macs, info.macs),
           SAY(macs, info.macs_dense));
    printf("validation accuracy %s after removal, %s after retraining; test accuracy %s\n",
           SAY(percent, p->accuracy_pruned), SAY(percent, p->accuracy_val), SAY(percent, p->accuracy_test));
    printf("%g epochs, %s; saved as %s\n", p->epochs, SAY(seconds, p->seconds), s->output);
}

static int run(settings *s, cop_ctx *ctx) {
    cop_data *data = NULL;
    cop_net *net = NULL, *small = NULL;
    cop_point point = {0};
    if (!(s->recipe.epochs > 0))
        return usage_error(s, "--epochs is 0; expected a number above 0: factors need training");
    int code = choose_target(s);
    if (code < 0) code = check_output(s, s->output);
    if (code == EXIT_DONE) code = open_both(s, ctx, &data, &net);
    if (code == EXIT_DONE) {
        cop_method_params p = s->sss;
        double l1 = p.sss.retrain.l1;
        p.method = "sss";
        p.sss.search = p.sss.retrain = s->recipe;
        p.sss.search.distil_share = p.sss.retrain.distil_share = 0;
        p.sss.retrain.epochs = s->retrain_epochs;
        p.sss.retrain.l1 = l1;
        p.sss.threshold = &s->threshold;
        p.sss.thresholds = 1;
        cop_status status = cop_method_run(net, data, &p, keep_point, &point, &small);
        if (status) code = library_error(ctx, status);
    }
    if (code == EXIT_DONE) code = save_model(ctx, small, s->output);
    terminal_clear();
    if (code == EXIT_DONE) print_result(s, small, &point);
    cop_net_destroy(small);
    cop_net_destroy(net);
    cop_data_destroy(data);
    return code;
}

const command command_sss = {
    .name = "sss",
    .usage = "MODEL --data PATH -o FILE",
    .summary = "learn which neurons, groups and blocks to remove (sparse structure selection)",
    .text =
        "Multiplies each structure by a factor and trains net and factors with an L1 penalty on the factors, of "
        "weight gamma. Then removes the structures whose factor reached 0 and retrains the smaller net. Structures "
        "are conv channels and dense units (neuron), groups of grouped convolutions (group) and residual blocks "
        "without their shortcut (block). The recipe is for the training with factors. Retraining uses the same "
        "recipe with --retrain-epochs and --retrain-l1.",
    .options = options,
    .operand = {OPERAND_MODEL},
    .run = run,
};
