/* coppice prune: set the least important weights, filters or neurons to zero. */
#include "cli.h"

#include <math.h>
#include <string.h>

static const option options[] = {
    HEADING("Pruning"),
    TABLE(cop_prune_option, prune),
    NAME("method", method, cop_method_name, "the criterion, by a method's name"),
    LAYER("layer-keep", OPTION_KEEP, "LAYER=N",
          "floor of one layer, or of those that fit a pattern like 'conv*'; may be given again"),
    LAYER("layer-most", OPTION_MOST, "LAYER=SHARE", "cap: the share of its own that it gives at most, likewise"),
    OPTION_OUTPUT("where the pruned model goes (its ending tells the format: coppice help formats)"),
    HEADING("Data, to measure the accuracy before and after, and for criteria that look at it"),
    TEXT("data", 'd', "PATH", data, "the data set: a directory or file (coppice help formats)"),
    OPTIONS_DATA_MORE,
    OPTIONS_PREPROCESSING,
    HEADING("Of a preset"),
    OPTIONS_PRESET,
    OPTIONS_COMMON,
};

/* --method is another way to say --criterion, for the methods that are no more than one. */
static int choose_criterion(settings *s) {
    if (!s->method) return EXIT_DONE;
    if (!is_name(s->method, cop_criterion_name))
        return usage_error(s, "--method %s trains, prune doesn't: run it in a study (coppice help study)", s->method);
    const cop_prune_params none = cop_prune_params_default();
    if (strcmp(s->prune.criterion, none.criterion) != 0 && strcmp(s->prune.criterion, s->method) != 0)
        return usage_error(s, "--criterion %s and --method %s: give one of them", s->prune.criterion, s->method);
    s->prune.criterion = s->method;
    return EXIT_DONE;
}

/* bytes: of the model's file before, -1: a preset. */
static void print_result(const settings *s, const cop_net *net, const cop_prune_report *report, int64_t bytes,
                         double before, double after) {
    cop_net_info info;
    cop_net_get_info(net, &info);
    printf("%s, %s: %s of %s ranked are at zero (asked %s)\n", s->prune.criterion,
           !strcmp(s->prune.scope, "global") ? "all layers together" : "layer by layer", SAY(count, report->removed),
           SAY(count, report->ranked), SAY(share, report->asked));
    printf("sparsity of the net %s (conv %s, dense %s)\n", SAY(share, info.sparsity), SAY(share, info.sparsity_conv),
           SAY(share, info.sparsity_dense));
    if (!isnan(before)) printf("validation accuracy %.4f before, %.4f now\n", before, after);
    if (bytes >= 0)
        printf("%s in %s became %s; saved as %s\n", SAY(bytes, bytes), s->model, SAY(bytes, file_size(s->output)),
               s->output);
    else
        printf("saved as %s, %s\n", s->output, SAY(bytes, file_size(s->output)));
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
            complain("warning: the limit of '%s' does nothing: %s ranks no such layer", report.idle,
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
    .text = "Ranks by a criterion (coppice help criteria) and holds the lowest share at zero from now on. Nothing is "
            "trained: "
            "`coppice tune` grows the net back, `coppice shrink` takes the zero filters and neurons out.",
    .options = options,
    .operand = {OPERAND_MODEL},
    .run = run,
};
