/* All that a study writes besides its database: cop_study_report, and the end of a run. */
#include "report/report.h"

#include <math.h>
#include <string.h>

static void summarize(const copi_results *r, const copi_figures *f, cop_study_summary *s) {
    *s = (cop_study_summary){.trials = r->trials,
                             .done = f->done,
                             .diverged = f->diverged,
                             .failed = f->failed + f->refused,
                             .points = f->points,
                             .dense_accuracy_test = f->dense < 0 ? NAN : f->setting[f->dense].test.mean,
                             .hypervolume = f->hypervolume,
                             .seconds = f->seconds};
    if (f->best < 0) return;
    const copi_setting *best = &f->setting[f->best];
    s->best_score = best->score.mean;
    s->best_sparsity = best->sparsity.mean;
    s->best_accuracy_test = best->test.mean;
    snprintf(s->best_method, sizeof s->best_method, "%s", best->trial->method);
}

static cop_status write_frontier(const copi_results *r, const copi_figures *f, const char *dir) {
    copi_plot plot = {0};
    if (f->settings == 0) return COP_OK;
    cop_status status = copi_plot_settings(r, f, copi_plot_usual(f), &plot);
    if (!status) status = copi_plot_write(&plot, dir, "frontier");
    copi_plot_clear(&plot);
    return status;
}

cop_status copi_write_report(copi_store *store, const char *dir, cop_study_summary *summary) {
    copi_results r;
    copi_figures f;
    copi_claim claim[COPI_CLAIMS];
    cop_status status = copi_store_load(store, &r);
    if (status) return status;
    status = copi_figures_make(&r, &f);
    if (!status) {
        copi_claims_make(&r, &f, claim);
        if (summary) summarize(&r, &f, summary);
        status = copi_write_trials_csv(&r, dir);
        if (!status) status = copi_write_frontier_csv(&r, &f, dir);
        if (!status) status = copi_write_summary(&r, &f, claim, dir);
        if (!status) status = write_frontier(&r, &f, dir);
        if (!status) status = copi_write_page(&r, &f, claim, dir);
        copi_figures_clear(&f);
    }
    copi_results_clear(&r);
    return status;
}

cop_status cop_study_report(cop_ctx *ctx, const char *dir, cop_study_summary *summary) {
    if (summary) *summary = (cop_study_summary){0};
    COPI_REQUIRE(NULL, ctx);
    COPI_REQUIRE(ctx, dir);
    copi_locale numbers = copi_locale_plain();
    copi_store *store;
    cop_status status = copi_store_open(ctx, dir, COPI_STORE_READ, &store);
    if (!status) status = copi_write_report(store, dir, summary);
    copi_store_close(store);
    copi_locale_restore(numbers);
    return status;
}

cop_status copi_report_end(copi_study *study, cop_status status, cop_study_summary *summary) {
    if (status && status != COP_E_CANCELLED) return status;
    cop_study_summary told = {0};
    cop_status written = copi_write_report(study->store, study->dir, &told);
    if (!status) status = written;
    study->sum.trials = told.trials;
    study->sum.points = told.points;
    told.done = study->sum.done;
    told.skipped = study->sum.skipped;
    told.diverged = study->sum.diverged;
    told.failed = study->sum.failed;
    told.seconds = copi_now() - study->start;
    if (summary && !written) *summary = told;
    return status;
}
