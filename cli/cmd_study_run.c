/* coppice study run: every trial of a study file, then the report. */
#include "cli.h"

#include <math.h>

static const option options[] = {
    HEADING("Study"),
    REQUIRED_TEXT("output", 'o', "DIR", dir, "directory of the results; made if it is not there"),
    HEADING("General"),
    OPTION_THREADS,
    INTEGER("jobs", jobs, 0, 4096, "trials at a time, each on its share of the threads; 0: one"),
    OPTIONS_TALK,
};

static int run(settings *s, cop_ctx *ctx) {
    cop_study_summary summary;
    cop_status status = cop_study_run(ctx, s->study, s->dir, &summary);
    terminal_clear();
    if (status) return library_error(ctx, status);
    print_summary(&summary, s->dir);
    return EXIT_DONE;
}

void print_summary(const cop_study_summary *summary, const char *dir) {
    const cop_study_summary *m = summary;
    printf("%d trials: %d done", m->trials, m->done);
    if (m->skipped) printf(", %d were there before", m->skipped);
    if (m->diverged) printf(", %d diverged", m->diverged);
    if (m->failed) printf(", %d failed", m->failed);
    printf("; %d points in %s\n", m->points, SAY(seconds, m->seconds));
    table *t = table_create("<|<");
    table_cell(t, "dense net");
    table_cell(t, "test accuracy %s", SAY(number, m->dense_accuracy_test, 4));
    table_cell(t, "best score");
    if (*m->best_method)
        table_cell(t, "%.4f: %s, sparsity %s, test accuracy %.4f", m->best_score, m->best_method,
                   SAY(share, m->best_sparsity), m->best_accuracy_test);
    else
        table_cell(t, "none: no point holds the accuracy floor");
    table_cell(t, "hypervolume");
    table_cell(t, "%s", SAY(number, m->hypervolume, 4));
    table_cell(t, "page");
    table_cell(t, "%s/report.html", dir);
    table_print(t, stdout);
}

const command command_study_run = {
    .name = "study run",
    .usage = "STUDY.yaml -o DIR",
    .summary = "run or resume every trial of a study, then write its report: the main job",
    .text = "Trains the dense net, runs each method at each level and seed, stores every trial when it is done, and "
            "writes the "
            "tables, the plot and the page. Running again skips what is done; adding levels to the file adds trials. "
            "A trial that diverges is recorded as diverged and the study goes on. `coppice help study` explains the "
            "file.",
    .options = options,
    .operand = {{"STUDY", offsetof(settings, study), true, "the study file (coppice help study)"}},
    .run = run,
};
