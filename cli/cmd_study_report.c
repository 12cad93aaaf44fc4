/* coppice study report: write the tables, plot and page again from the database. */
#include "cli.h"

static const option options[] = {
    HEADING("General"),
    OPTIONS_TALK,
};

static int run(settings *s, cop_ctx *ctx) {
    cop_study_summary summary;
    cop_status status = cop_study_report(ctx, s->dir, &summary);
    if (status) return library_error(ctx, status);
    terminal_clear();
    print_summary(&summary, s->dir);
    return EXIT_DONE;
}

const command command_study_report = {
    .name = "study report",
    .usage = "DIR",
    .summary = "write a study's tables, plot and page again from its database",
    .text = "Reads study.db and writes trials.csv, frontier.csv, summary.json, frontier.svg, frontier.png and "
            "report.html. Nothing is trained.",
    .options = options,
    .operand = {{"DIR", offsetof(settings, dir), true, "a study's directory, given to `coppice study run -o`"}},
    .run = run,
};
