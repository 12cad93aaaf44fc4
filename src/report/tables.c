/* trials.csv and frontier.csv. */
#include "report/report.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* A row of a CSV file (RFC 4180, but lines end with '\n' alone). */
typedef struct row {
    copi_atomic *file;
    bool first;
} row;

static void cell(row *r, const char *text) {
    copi_atomic_write(r->file, ",", r->first ? 0 : 1);
    r->first = false;
    if (!strpbrk(text, ",\"\r\n")) {
        copi_atomic_write(r->file, text, strlen(text));
        return;
    }
    copi_atomic_write(r->file, "\"", 1);
    for (; *text; text++) copi_atomic_write(r->file, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1);
    copi_atomic_write(r->file, "\"", 1);
}
static void number(row *r, double x, int decimals) {
    cell(r, copi_plain_number(x, decimals).text);
}
static void share(row *r, double x) {
    number(r, x, 6);
}
static void whole(row *r, int64_t n) {
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, n);
    cell(r, text);
}
static void done(row *r) {
    copi_atomic_write(r->file, "\n", 1);
    r->first = true;
}

static cop_status open_in(const copi_results *results, const char *dir, const char *name, copi_atomic *file) {
    char *path = copi_format(results->ctx, "%s/%s", dir, name);
    if (!path) return COP_E_NOMEM;
    cop_status status = copi_atomic_open(results->ctx, path, file);
    copi_free(results->ctx, path);
    return status;
}

/* One line: a point, or (p NULL) the end of a trial that failed. */
static void trial_row(row *r, const copi_results *results, const copi_stored_trial *t, const cop_point *p) {
    cell(r, t->name);
    cell(r, t->method);
    number(r, p && !isnan(p->level) ? p->level : t->level, 12);
    if (p)
        whole(r, p->round);
    else
        cell(r, "");
    whole(r, (int64_t)t->seed);
    number(r, p ? p->asked : t->asked, 12);
    if (p) {
        share(r, p->sparsity);
        share(r, p->sparsity_conv);
        share(r, p->sparsity_dense);
        share(r, p->accuracy_val);
        share(r, p->accuracy_test);
        share(r, cop_score(p->accuracy_test, p->sparsity, results->floor));
        whole(r, p->parameters);
        whole(r, p->nonzero);
        whole(r, p->macs);
        number(r, p->epochs, 6);
        number(r, p->seconds, 3);
    } else {
        for (int i = 0; i < 10; i++) cell(r, "");
        number(r, t->seconds, 3);
    }
    cell(r, p ? COPI_DONE : t->status);
    if (p) {
        number(r, p->threshold, 12);
        share(r, p->accuracy_pruned);
        whole(r, p->macs_effective);
        number(r, p->train_macs, 0);
        share(r, cop_score(p->accuracy_val, p->sparsity, results->floor));
    } else {
        for (int i = 0; i < 5; i++) cell(r, "");
    }
    cell(r, t->setting);
    cell(r, t->label);
    cell(r, p ? "" : t->message);
    done(r);
}

cop_status copi_write_trials_csv(const copi_results *results, const char *dir) {
    static const char head[] =
        "trial,method,level,round,seed,asked,sparsity,sparsity_conv,sparsity_dense,accuracy_val,accuracy_test,score,"
        "params,nonzero,macs,epochs,seconds,status,threshold,accuracy_pruned,macs_effective,train_macs,score_val,"
        "setting,label,message\n";
    copi_atomic file;
    cop_status status = open_in(results, dir, "trials.csv", &file);
    if (status) return status;
    copi_atomic_write(&file, head, sizeof head - 1);
    row r = {&file, true};
    for (int i = 0; i < results->trials; i++) {
        const copi_stored_trial *t = &results->trial[i];
        for (int k = 0; k < t->points; k++) trial_row(&r, results, t, &t->point[k].p);
        bool ended_well = strcmp(t->status, COPI_DONE) == 0 || strcmp(t->status, COPI_PENDING) == 0;
        if (!ended_well) trial_row(&r, results, t, NULL);
    }
    return copi_atomic_commit(&file);
}

static void frontier_row(row *r, const copi_setting *s) {
    const cop_point *p = &copi_setting_point(s)->p;
    char label[160];
    cell(r, s->trial->method);
    cell(r, s->on_frontier ? "1" : "0");
    cell(r, s->trial->setting);
    cell(r, copi_setting_label(s, label));
    number(r, isnan(p->level) ? s->trial->level : p->level, 12);
    whole(r, p->round);
    number(r, p->threshold, 12);
    whole(r, s->seeds);
    share(r, s->sparsity.mean);
    share(r, s->sparsity.std);
    share(r, s->val.mean);
    share(r, s->val.std);
    share(r, s->test.mean);
    share(r, s->test.std);
    share(r, s->score.mean);
    share(r, s->score.std);
    number(r, s->epochs.mean, 6);
    number(r, s->train_macs.mean, 0);
    done(r);
}

cop_status copi_write_frontier_csv(const copi_results *results, const copi_figures *f, const char *dir) {
    static const char head[] = "method,overall,setting,label,level,round,threshold,seeds,sparsity,sparsity_std,"
                               "accuracy_val,accuracy_val_std,"
                               "accuracy_test,accuracy_test_std,score,score_std,epochs,train_macs\n";
    size_t n = (size_t)f->settings + 1;
    double *x = copi_alloc(results->ctx, n, sizeof *x);
    int *order = copi_alloc(results->ctx, n, sizeof *order);
    copi_atomic file;
    cop_status status = x && order ? open_in(results, dir, "frontier.csv", &file) : COP_E_NOMEM;
    if (!status) {
        for (int i = 0; i < f->settings; i++) x[i] = f->setting[i].sparsity.mean;
        copi_order(x, f->settings, order);
        copi_atomic_write(&file, head, sizeof head - 1);
        row r = {&file, true};
        for (int m = 0; m < f->methods; m++)
            for (int i = 0; i < f->settings; i++) {
                const copi_setting *s = &f->setting[order[i]];
                if (s->method_index == m && s->on_method_frontier) frontier_row(&r, s);
            }
        status = copi_atomic_commit(&file);
    }
    copi_free(results->ctx, x);
    copi_free(results->ctx, order);
    return status;
}
