/* coppice study run: every trial of a study file, then the report. */
#include "cli.h"

#include <math.h>

static const option options[] = {
    HEADING("Study"),
    REQUIRED_TEXT("output", 'o', "DIR", dir, "directory for the results, created if missing"),
    HEADING("General"),
    OPTION_THREADS,
    INTEGER("jobs", jobs, 0, 4096, "trials to run side by side, sharing the threads; 0: one"),
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
    if (m->skipped) printf(", %d already done", m->skipped);
    if (m->diverged) printf(", %d diverged", m->diverged);
    if (m->failed) printf(", %d failed", m->failed);
    printf("; %d points in %s\n", m->points, SAY(seconds, m->seconds));
    table *t = table_create("<|<");
    table_cell(t, "dense net");
    table_cell(t, "test accuracy %s", SAY(percent, m->dense_accuracy_test));
    table_cell(t, "best score");
    if (*m->best_method)
        table_cell(t, "%s: %s, sparsity %s, test accuracy %s", SAY(percent, m->best_score), m->best_method,
                   SAY(percent, m->best_sparsity), SAY(percent, m->best_accuracy_test));
    else
        table_cell(t, "none: no point reaches the accuracy floor");
    table_cell(t, "hypervolume");
    table_cell(t, "%s", SAY(number, m->hypervolume, 4));
    table_cell(t, "page");
    table_cell(t, "%s/report.html", dir);
    table_print(t, stdout);
}

const command command_study_run = {
    .name = "study run",
    .usage = "STUDY.yaml -o DIR",
    .summary = "run or resume a study: every trial, then the report",
    .text =
        "Trains the dense net, then runs each method at each level and seed. Every trial is stored when it is done. "
        "At the end it writes the tables, the plot and the page. Running it again resumes the study: finished "
        "trials are skipped, and levels added to the file are new trials. If a trial diverges, the study records "
        "this and continues. `coppice help study` explains the file.",
    .options = options,
    .operand = {{"STUDY", offsetof(settings, study), true, "the study file (coppice help study)"}},
    .run = run,
};
