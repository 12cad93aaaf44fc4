/* coppice prune: set the least important weights, filters or neurons to zero. */
#include "cli.h"

#include <math.h>
#include <string.h>

static const option options[] = {
    HEADING("Pruning"),
    TABLE(cop_prune_option, prune),
    NAME("method", method, cop_method_name, "another way to name the criterion"),
    LAYER("layer-keep", OPTION_KEEP, "LAYER=N",
          "minimum units to keep in a layer, or in each that matches a pattern like 'conv*'; repeatable"),
    LAYER("layer-most", OPTION_MOST, "LAYER=SHARE", "maximum share to remove from a layer; repeatable"),
    OPTION_OUTPUT("file for the pruned model; its ending sets the format (coppice help formats)"),
    HEADING("Data (to measure the accuracy, and for criteria that need images)"),
    TEXT("data", 'd', "PATH", data, "the data set: a directory or file (coppice help formats)"),
    OPTIONS_DATA_MORE,
    OPTIONS_PREPROCESSING,
    HEADING("For a preset"),
    OPTIONS_PRESET,
    OPTIONS_COMMON,
};

/* --method is another name of --criterion, for methods that consist of a criterion only. */
static int choose_criterion(settings *s) {
    if (!s->method) return EXIT_DONE;
    if (!is_name(s->method, cop_criterion_name))
        return usage_error(s, "--method %s needs training; run it in a study (coppice help study)", s->method);
    const cop_prune_params none = cop_prune_params_default();
    if (strcmp(s->prune.criterion, none.criterion) != 0 && strcmp(s->prune.criterion, s->method) != 0)
        return usage_error(s, "--criterion %s and --method %s differ; give only one", s->prune.criterion, s->method);
    s->prune.criterion = s->method;
    return EXIT_DONE;
}

/* bytes: of the input file; -1: a preset. */
static void print_result(const settings *s, const cop_net *net, const cop_prune_report *report, int64_t bytes,
                         double before, double after) {
    cop_net_info info;
    cop_net_get_info(net, &info);
    printf("%s, scope %s: %s of %s ranked units are zero (requested %s)\n", s->prune.criterion, s->prune.scope,
           SAY(count, report->removed), SAY(count, report->ranked), SAY(share, report->asked));
    printf("net sparsity %s (conv %s, dense %s)\n", SAY(share, info.sparsity), SAY(share, info.sparsity_conv),
           SAY(share, info.sparsity_dense));
    if (!isnan(before))
        printf("validation accuracy %s before, %s after\n", SAY(percent, before), SAY(percent, after));
    printf("saved as %s, %s", s->output, SAY(bytes, file_size(s->output)));
    if (bytes >= 0) printf(" (input: %s)", SAY(bytes, bytes));
    puts("");
}

static int run(settings *s, cop_ctx *ctx) {
    cop_data *data = NULL;
    cop_net *net = NULL;
    cop_prune_report report;
    double before = NAN, after = NAN;
    int64_t bytes = is_name(s->model, cop_preset_name) ? -1 : file_size(s->model); /* the output may take its place */
    int code = choose_criterion(s);
    if (code == EXIT_DONE) code = check_output(s, s->output);
    if (code == EXIT_DONE) code = s->data ? open_both(s, ctx, &data, &net) : open_model(s, ctx, NULL, &net);
    if (code == EXIT_DONE && data) code = measure(ctx, net, data, COP_SPLIT_VALIDATION, &before);
    if (code == EXIT_DONE) {
        s->prune.data = data;
        s->prune.limit = s->limit;
        cop_status status = cop_prune(net, &s->prune, &report);
        if (status) code = library_error(ctx, status);
        if (!status && report.idle)
            complain("warning: limit of '%s' has no effect: %s does not rank this layer", report.idle,
                     s->prune.criterion);
    }
    if (code == EXIT_DONE && data) code = measure(ctx, net, data, COP_SPLIT_VALIDATION, &after);
    if (code == EXIT_DONE) code = save_model(ctx, net, s->output);
    terminal_clear();
    if (code == EXIT_DONE) print_result(s, net, &report, bytes, before, after);
    cop_net_destroy(net);
    cop_data_destroy(data);
    return code;
}

const command command_prune = {
    .name = "prune",
    .usage = "MODEL --sparsity S -o FILE",
    .summary = "set the least important weights, filters or neurons to zero",
    .text =
        "Ranks weights, filters or neurons by a criterion (coppice help criteria). The lowest share is set to zero "
        "and stays zero. Nothing is trained: `coppice tune` fine-tunes the net, and `coppice shrink` removes the "
        "zero filters and neurons.",
    .options = options,
    .operand = {OPERAND_MODEL},
    .run = run,
};
