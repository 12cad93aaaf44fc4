/* coppice study report: tables, plot and page again from the store. */
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
    .summary = "write a study's tables, plot and page again from its store",
    .text = "Reads study.db and writes trials.csv, frontier.csv, summary.json, frontier.svg, frontier.png and "
            "report.html. "
            "Nothing is trained.",
    .options = options,
    .operand = {{"DIR", offsetof(settings, dir), true, "what `coppice study run -o DIR` filled"}},
    .run = run,
};
