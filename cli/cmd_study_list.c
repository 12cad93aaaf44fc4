/* coppice study list: the points in a study's database. */
#include "cli.h"

#include <inttypes.h>
#include <math.h>

static const option options[] = {
    OPTION_JSON,
    HEADING("General"),
    OPTIONS_TALK,
};

static int put_row(void *user, const cop_trial_row *row) {
    const cop_point *p = &row->point;
    json_t *o = json_object_new();
    json_put(o, "trial", json_text(row->trial));
    json_put(o, "method", json_text(row->method));
    json_put(o, "level", json_number(p->level));
    json_put(o, "round", json_count(p->round));
    json_put(o, "seed", json_count((int64_t)row->seed));
    json_put(o, "asked", json_number(p->asked));
    json_put(o, "threshold", json_number(p->threshold));
    json_put(o, "sparsity", json_number(p->sparsity));
    json_put(o, "sparsity_conv", json_number(p->sparsity_conv));
    json_put(o, "sparsity_dense", json_number(p->sparsity_dense));
    json_put(o, "accuracy_val", json_number(p->accuracy_val));
    json_put(o, "accuracy_test", json_number(p->accuracy_test));
    json_put(o, "score", json_number(row->score));
    json_put(o, "params", json_count(p->parameters));
    json_put(o, "nonzero", json_count(p->nonzero));
    json_put(o, "macs", json_count(p->macs));
    json_put(o, "macs_effective", json_count(p->macs_effective));
    json_put(o, "epochs", json_number(p->epochs));
    json_put(o, "seconds", json_number(p->seconds));
    json_put(o, "status", json_text(row->status));
    json_add(user, o);
    return 0;
}

static int print_row(void *user, const cop_trial_row *row) {
    const cop_point *p = &row->point;
    table *t = user;
    table_cell(t, "%.8s", row->trial);
    table_cell(t, "%s", row->method);
    if (isnan(p->level))
        table_cell(t, "-");
    else
        table_cell(t, "%g", p->level);
    table_cell(t, "%d", p->round);
    table_cell(t, "%" PRIu64, row->seed);
    table_cell(t, "%s", SAY(percent, p->sparsity));
    table_cell(t, "%s", SAY(percent, p->accuracy_val));
    table_cell(t, "%s", SAY(percent, p->accuracy_test));
    table_cell(t, "%s", SAY(percent, row->score));
    table_cell(t, "%s", SAY(macs, p->macs_effective));
    table_cell(t, "%s", SAY(seconds, p->seconds));
    table_cell(t, "%s", row->status);
    return 0;
}

static int run(settings *s, cop_ctx *ctx) {
    json_t *rows = json_array_new();
    table *t = table_create(
        "<1trial|<method|>level|>4round|>3seed|>sparsity|>6validation|>test|>score|>5MACs|>2time|<7status");
    cop_status status =
        s->json ? cop_study_list(ctx, s->dir, put_row, rows) : cop_study_list(ctx, s->dir, print_row, t);
    int code = status ? library_error(ctx, status) : EXIT_DONE;
    if (code == EXIT_DONE && s->json) {
        json_t *root = json_object_new();
        json_put(root, "study", json_text(s->dir));
        json_put(root, "trials", json_incref(rows));
        code = json_print(root);
    } else if (code == EXIT_DONE)
        table_print(t, stdout), t = NULL;
    table_free(t);
    json_decref(rows);
    return code;
}

const command command_study_list = {
    .name = "study list",
    .usage = "DIR",
    .summary = "list the results of a study",
    .text =
        "Prints one row per point: sparsity, accuracy, score, effective MACs and training time, with the status of "
        "its trial.",
    .options = options,
    .operand = {{"DIR", offsetof(settings, dir), true, "a study's directory, given to `coppice study run -o`"}},
    .run = run,
};
