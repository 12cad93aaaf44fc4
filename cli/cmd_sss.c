/* coppice sss: train a net with factors, remove what they find needless, retrain what is left. */
#include "cli.h"

#include <math.h>
#include <stdio.h>

static const option options[] = {
    HEADING("Structures"),
    {.name = "scope",
     .kind = OPTION_WORDS,
     .value = "NAME,..",
     .at = offsetof(settings, sss.sss.structures),
     .choice = choice_structure,
     .help = "what gets factors, one or several"},
    NUMBER("gamma", "G", sss.sss.gamma, "[0,1e3]", "weight of the factors' L1 penalty; of a search, where it begins"),
    FLAG("cost-aware", 0, sss.sss.cost_aware, "weight gamma by what each structure costs in MACs"),
    NUMBER("sparsity", "S", sparsity, "(0,1)", "search gamma for at least this sparsity"),
    NUMBER("macs", "N", macs, "(0,1e18]", "search gamma for so many MACs at most; below 1: a share of the net's"),
    NUMBER("parameters", "N", parameters, "(0,1e18]", "search gamma for so many parameters at most, likewise"),
    SMALL("tries", sss.sss.tries, "[1,100]", "searches at most"),
    CHOICE("prox", sss.sss.prox, choice_prox, "how factors move: proximal step or plain subgradient"),
    NUMBER("factor-rate", "R", sss.sss.factor_rate, "(0,1e3]", "learning rate of the factors"),
    NUMBER("factor-momentum", "M", sss.sss.factor_momentum, "[0,1)", "their momentum"),
    NUMBER("factor-threshold", "T", sss.sss.factor_threshold, "[0,1e3]", "structures with a factor up to this go"),
    COUNT("keep", sss.keep, "[1,1e9]", "channels and neurons that every layer keeps at least"),
    NUMBER("retrain-epochs", "N", retrain_epochs, "[0,1e6]", "training after removal"),
    NUMBER("retrain-l1", "W", sss.sss.retrain.l1, "[0,1]", "weight of sum |w| then"),
    NUMBER("threshold", "T", threshold, "[0,1e3]", "weights up to this become 0 at the end"),
    OPTION_OUTPUT("where the pruned model goes (its ending tells the format: coppice help formats)"),
    OPTIONS_DATA,
    OPTIONS_RECIPE,
    OPTIONS_COMMON,
};

/* -1: go on. */
static int choose_target(settings *s) {
    const double reach[] = {
        [COP_TARGET_SPARSITY] = s->sparsity, [COP_TARGET_MACS] = s->macs, [COP_TARGET_PARAMETERS] = s->parameters};
    for (int t = COP_TARGET_SPARSITY; t <= COP_TARGET_PARAMETERS; t++) {
        if (!reach[t]) continue;
        if (s->sss.sss.target != COP_TARGET_NONE)
            return usage_error(s, "--%s and --%s: gamma can be searched for one of them",
                               cop_target_name(s->sss.sss.target), cop_target_name((cop_target)t));
        s->sss.sss.target = (cop_target)t;
        s->sss.sss.reach = reach[t];
    }
    const cop_recipe usual = settings_default().recipe;
    if (s->teacher || s->recipe.distil_share != usual.distil_share ||
        s->recipe.distil_temperature != usual.distil_temperature)
        return usage_error(s, "--teacher and --distil-...: sss learns without a teacher; coppice tune has them");
    if (s->recipe.checkpoint || s->recipe.resume || s->recipe.max_seconds > 0)
        return usage_error(s, "--checkpoint, --resume and --max-seconds: sss trains several nets and keeps no state");
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
           SAY(share, p->sparsity), SAY(share, p->sparsity_conv), SAY(share, p->sparsity_dense),
           SAY(count, info.parameters), SAY(count, info.parameters_dense), SAY(macs, info.macs),
           SAY(macs, info.macs_dense));
    printf("validation accuracy %s right after removal, %s retrained; test %s\n", SAY(number, p->accuracy_pruned, 4),
           SAY(number, p->accuracy_val, 4), SAY(number, p->accuracy_test, 4));
    printf("%g epochs, %s; saved as %s\n", p->epochs, SAY(seconds, p->seconds), s->output);
}

static int run(settings *s, cop_ctx *ctx) {
    cop_data *data = NULL;
    cop_net *net = NULL, *small = NULL;
    cop_point point = {0};
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
    .summary = "learn which neurons, groups and blocks can go (sparse structure selection)",
    .text = "Gives structures a factor each, trains net and factors with an L1 penalty gamma on the factors, removes "
            "what reached 0 and retrains the smaller net. Structures are conv channels and dense units (neuron), "
            "groups of grouped convolutions (group) and whole residual blocks, whose shortcut stays (block). The "
            "recipe is that of the search; retraining has the same but for its own epochs and L1.",
    .options = options,
    .operand = {OPERAND_MODEL},
    .run = run,
};
