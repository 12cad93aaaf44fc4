/* coppice auto: search for the best nets within a time budget. */
#include "cli.h"

#include <math.h>
#include <string.h>

static const option options[] = {
    HEADING("Search"),
    {.name = "budget",
     .kind = OPTION_TIME,
     .value = "TIME",
     .at = offsetof(settings, automatic.budget),
     .required = true,
     .help = "total time, like 90s, 30m or 1.5h; includes training the dense net of a preset"},
    REQUIRED_TEXT("output", 'o', "DIR", dir, "directory for the results, created if missing"),
    TABLE_WITHOUT(cop_auto_option, automatic, ",budget,lose,flip,shift,erase,"),
    NUMBER("lose", "POINTS", lose_points, 0, 100, 0,
           "find the sparsest net that loses at most this many percentage points of the dense net's accuracy"),
    SET("augment", augment, choice_augment,
        "augmentation of training images; do not flip letters or digits; erase applies only to a preset's dense net "
        "trained for 30 epochs or more"),
    OPTION_JSON,
    OPTIONS_DATA,
    OPTIONS_COMMON,
};

static json_t *as_json(const cop_auto_summary *m) {
    json_t *root = json_object_new(), *nets = json_array_new();
    json_put(root, "met", json_boolean(m->met));
    json_put(root, "missed", json_text(*m->missed ? m->missed : NULL));
    json_put(root, "floor", json_number(m->floor));
    json_put(root, "trials", json_count(m->trials));
    json_put(root, "seconds", json_number(m->seconds));
    json_put(root, "best", m->best < 0 ? json_null() : json_count(m->best));
    for (int i = 0; i < m->nets; i++) {
        const cop_auto_net *n = &m->net[i];
        json_t *o = json_object_new();
        json_put(o, "trial", json_text(n->label));
        json_put(o, "file", json_text(n->file));
        json_put(o, "sparsity", json_number(n->point.sparsity));
        json_put(o, "accuracy_val", json_number(n->point.accuracy_val));
        json_put(o, "accuracy_test", json_number(n->point.accuracy_test));
        json_put(o, "score", json_number(n->score));
        json_put(o, "nonzero", json_count(n->point.nonzero));
        json_put(o, "macs_effective", json_count(n->point.macs_effective));
        json_put(o, "bytes", n->bytes ? json_count(n->bytes) : json_null());
        json_put(o, "ms", json_number(n->ms));
        json_put(o, "meets", json_boolean(n->meets));
        json_add(nets, o);
    }
    json_put(root, "frontier", nets);
    return root;
}

static void print_result(const settings *s, const cop_auto_summary *m) {
    table *t = table_create("<|>sparsity|>1validation|>test|>score|>2MACs|<file");
    for (int i = 0; i < m->nets; i++) {
        const cop_auto_net *n = &m->net[i];
        table_cell(t, "%s", i == m->best ? (n->meets ? "*" : "*!") : n->meets ? "" : "!");
        table_cell(t, "%s", SAY(percent, n->point.sparsity));
        table_cell(t, "%s", SAY(percent, n->point.accuracy_val));
        table_cell(t, "%s", SAY(percent, n->point.accuracy_test));
        table_cell(t, "%s", SAY(percent, n->score));
        table_cell(t, "%s", SAY(macs, n->point.macs_effective));
        table_cell(t, "%s", n->file);
    }
    table_print(t, stdout);
    bool misses = false;
    for (int i = 0; i < m->nets; i++) misses |= !m->net[i].meets;
    printf("* best net, also saved as %s/best.safetensors%s\n", s->dir, misses ? "; ! misses a bound" : "");
    if (m->best >= 0) {
        const cop_auto_net *n = &m->net[m->best];
        printf("%d trials in %s; best: %s", m->trials, SAY(seconds, m->seconds), n->label);
        if (n->bytes) printf(", %s as sparse ONNX", SAY(bytes, n->bytes));
        if (!isnan(n->ms)) printf(", %.3g ms", n->ms);
        putchar('\n');
    }
    printf("page: %s/report.html; study file: %s/auto.yaml\n", s->dir, s->dir);
}

static int run(settings *s, cop_ctx *ctx) {
    cop_auto_params p = s->automatic;
    p.model = s->model;
    p.data = s->data;
    p.seed = (uint64_t)s->seed;
    if (!isnan(p.floor) && !isnan(s->lose_points))
        return usage_error(s, "--floor and --lose both set the accuracy to keep; give only one");
    if (!isnan(s->lose_points)) p.lose = s->lose_points / 100;
    if ((s->augment & AUGMENT_NONE) && s->augment != AUGMENT_NONE)
        return usage_error(s, "--augment: \"none\" cannot be combined; remove it or the others");
    p.flip = (s->augment & AUGMENT_FLIP) != 0;
    p.erase = (s->augment & AUGMENT_ERASE) != 0;
    p.shift = s->augment & AUGMENT_SHIFT ? cop_auto_params_default().shift : 0;
    int code = scale_to_model(s, ctx);
    if (code != EXIT_DONE) return code;
    p.data_options = s->data_options;
    cop_auto_summary summary;
    cop_status status = cop_auto_run(ctx, &p, s->dir, &summary);
    terminal_clear();
    if (status) return library_error(ctx, status);
    if (s->json)
        code = json_print(as_json(&summary));
    else
        print_result(s, &summary);
    if (code == EXIT_DONE && !summary.met) {
        complain("no net satisfies the bounds; the nearest: %s", *summary.missed ? summary.missed : "none");
        code = EXIT_FAILED;
    }
    cop_auto_summary_clear(&summary);
    return code;
}

const command command_auto = {
    .name = "auto",
    .usage = "MODEL --data PATH --budget TIME -o DIR",
    .summary = "search for the best nets, or for one that satisfies bounds, within a time budget",
    .text =
        "Measures the time of an epoch, trains the dense net if MODEL is a preset, and tries recipes in short "
        "trials. The best recipe gets most of the time. Without bounds it looks for the highest score, (accuracy + "
        "sparsity) / 2. With --floor or --lose it looks for the sparsest net that keeps the accuracy. With other "
        "bounds it looks for the most accurate net that satisfies them all. All choices use the validation images.\n"
        "The results are a study directory (see coppice study list and coppice study report). nets/ holds the "
        "nets of the frontier; the study file auto.yaml repeats the search. Run the same command again to resume "
        "after an interruption. If no net satisfies the bounds, the nearest one is named and kept, and the exit code "
        "is 1. The time budget is met by estimate, to within a few percent.",
    .options = options,
    .operand = {OPERAND_MODEL},
    .run = run,
};
