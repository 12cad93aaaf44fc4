/* coppice sensitivity: how much of each coupling group can be removed. */
#include "cli.h"

#include <math.h>
#include <string.h>

static const option options[] = {
    HEADING("Analysis"),
    INTEGER("levels", levels, 1, 50, "number of shares to try, evenly spaced between none and all"),
    NUMBER("lose", "A", lose, 0, 1, 0, "accuracy that may be lost, as a share of 1: sets the floor"),
    NUMBER("floor", "A", floor, 0, 1, COP_OPTION_ABOVE, "accuracy to keep, in place of --lose"),
    NAME("criterion", criterion, cop_criterion_name,
         "ranking criterion; if not given, l2-filter for convolutions and l2-neuron for dense layers"),
    ROW("aggregate", cop_prune_option, "aggregate", prune.aggregate),
    TEXT("output", 'o', "DIR", output, "write sensitivity.csv, .svg and .png into this directory"),
    OPTION_JSON,
    OPTIONS_DATA,
    HEADING("For a preset"),
    OPTIONS_PRESET,
    OPTIONS_COMMON,
};

static json_t *as_json(const cop_sensitivity *r) {
    json_t *root = json_object_new(), *groups = json_array_new();
    json_put(root, "accuracy", json_number(r->accuracy));
    json_put(root, "floor", json_number(r->floor));
    json_put(root, "levels", json_numbers(r->level, r->levels));
    for (int g = 0; g < r->groups; g++) {
        const cop_sensitivity_group *at = &r->group[g];
        json_t *o = json_object_new();
        json_put(o, "name", json_text(at->name));
        json_put(o, "layers", json_text(at->layers));
        json_put(o, "units", json_count(at->units));
        json_put(o, "accuracy", json_numbers(at->accuracy, r->levels));
        json_put(o, "sparsity", json_numbers(at->sparsity, r->levels));
        json_put(o, "advice", json_number(at->advice));
        json_add(groups, o);
    }
    json_put(root, "groups", groups);
    json_put(root, "advised_accuracy", json_number(r->advised_accuracy));
    json_put(root, "advised_sparsity", json_number(r->advised_sparsity));
    return root;
}

/* One column per level. A narrow terminal gets every second level, then every fourth, then every eighth. */
static void print_levels(const cop_sensitivity *r) {
    char spec[2048] = "<group|>units|";
    for (int k = 0; k < r->levels; k++) {
        size_t n = strlen(spec);
        int leave = k % 2 ? 1 : k % 4 ? 2 : k % 8 ? 3 : 4;
        snprintf(spec + n, sizeof spec - n, ">%d%.3g|", leave, 100 * r->level[k]);
    }
    strcat(spec, ">advice");
    table *t = table_create(spec);
    for (int g = 0; g < r->groups; g++) {
        const cop_sensitivity_group *at = &r->group[g];
        table_cell(t, "%s", at->name);
        table_cell(t, "%s", SAY(count, at->units));
        for (int k = 0; k < r->levels; k++)
            table_cell(t, "%.1f%s", 100 * at->accuracy[k], at->accuracy[k] >= r->floor ? "" : "!");
        table_cell(t, "%s", at->advice ? SAY(number, 100 * at->advice, 1) : "none");
    }
    table_print(t, stdout);
}

/* The PNG is drawn only where there is rsvg-convert. */
static void print_files(const char *dir) {
    static const char *const name[] = {"csv", "svg", "png"};
    char path[4096];
    printf("written to %s:", dir);
    for (size_t i = 0, n = 0; i < sizeof name / sizeof *name; i++) {
        snprintf(path, sizeof path, "%s/sensitivity.%s", dir, name[i]);
        if (file_size(path) >= 0) printf("%s sensitivity.%s", n++ ? "," : "", name[i]);
    }
    puts("");
}

static void print_result(const settings *s, const cop_sensitivity *r) {
    printf("validation accuracy %s, floor %s\n\n", SAY(percent, r->accuracy), SAY(percent, r->floor));
    puts("accuracy in %, without training, after removing this % of one group:");
    print_levels(r);
    puts("\n! below the floor; advice: the largest share in % to remove. As limits of a trial in a study file:");
    printf("  limits: [");
    for (int g = 0; g < r->groups; g++) {
        printf("%s{layer: \"", g ? ",\n           " : "");
        text_print(r->group[g].name);
        printf("\", most: %g}", r->group[g].advice);
    }
    puts("]");
    printf("with all limits at once: sparsity %s, validation accuracy %s before tuning\n",
           SAY(percent, r->advised_sparsity), SAY(percent, r->advised_accuracy));
    if (s->output) print_files(s->output);
}

static int analyse(const settings *s, cop_ctx *ctx, const cop_net *net, const cop_data *data) {
    double level[50];
    cop_sensitivity_params p = cop_sensitivity_params_default();
    for (int k = 0; k < s->levels; k++) level[k] = (k + 1.0) / (s->levels + 1);
    p.level = level;
    p.levels = s->levels;
    p.lose = s->lose;
    p.floor = s->floor > 0 ? s->floor : NAN;
    p.criterion = s->criterion;
    p.aggregate = s->prune.aggregate;
    p.seed = (uint64_t)s->seed;
    cop_sensitivity result;
    cop_status status = cop_sensitivity_run(net, data, &p, &result);
    if (status) return library_error(ctx, status);
    int code = EXIT_DONE;
    if (s->output && (status = cop_sensitivity_write(&result, s->output))) code = library_error(ctx, status);
    terminal_clear();
    if (code == EXIT_DONE && s->json)
        code = json_print(as_json(&result));
    else if (code == EXIT_DONE)
        print_result(s, &result);
    cop_sensitivity_clear(&result);
    return code;
}

static int run(settings *s, cop_ctx *ctx) {
    return with_model_and_data(s, ctx, analyse);
}

const command command_sensitivity = {
    .name = "sensitivity",
    .usage = "MODEL --data PATH [-o DIR]",
    .summary = "measure accuracy against the share removed, one coupling group at a time",
    .text =
        "Removes growing shares of each coupling group in turn (coppice inspect --groups) and measures the "
        "validation accuracy without training. Advises how much of each group can be removed while the accuracy "
        "stays above a floor. -o writes the figures as CSV and as a plot. The cost is one evaluation per group and "
        "level; --limit shortens it.",
    .options = options,
    .operand = {OPERAND_MODEL},
    .run = run,
};
