/* cop_study_run: run the trials of a study, then write its report. */
#include "report/report.h"

static cop_status study(cop_ctx *ctx, const copi_spec *spec, const char *dir, cop_study_summary *summary) {
    copi_study run = {
        .ctx = ctx, .dir = dir, .start = copi_now(), .keep_nets = spec->nets != 0, .jobs = copi_jobs(ctx)};
    cop_status status = copi_study_plan(&run, spec);
    if (!status) {
        status = copi_study_go(&run);
        if (!status) status = copi_report_keep_best(&run);
        status = copi_report_end(&run, status, summary);
        if (status == COP_E_CANCELLED)
            copi_fail(ctx, status, "interrupted: %d of %d trials are done and kept; run the same command to continue",
                      run.sum.done + run.sum.skipped, run.trials.n);
    }
    copi_study_close(&run);
    return status;
}

static cop_status study_with_threads(cop_ctx *parent, const copi_spec *spec, const char *dir,
                                     cop_study_summary *summary) {
    cop_ctx *ctx;
    if (copi_study_ctx(parent, spec->threads, &ctx)) return COP_E_NOMEM;
    cop_status status = study(ctx, spec, dir, summary);
    if (status) copi_fail(parent, status, "%s", cop_error(ctx));
    cop_ctx_destroy(ctx);
    copi_progress_trial(parent, NULL, 0, 0);
    return status;
}

cop_status cop_study_run(cop_ctx *ctx, const char *spec_path, const char *dir, cop_study_summary *summary) {
    if (summary) *summary = (cop_study_summary){0};
    COPI_REQUIRE(NULL, ctx);
    COPI_REQUIRE(ctx, spec_path);
    COPI_REQUIRE(ctx, dir);
    copi_locale numbers = copi_locale_plain();
    copi_spec spec;
    cop_status status = copi_spec_load(ctx, spec_path, &spec);
    if (!status) {
        status = spec.threads ? study_with_threads(ctx, &spec, dir, summary) : study(ctx, &spec, dir, summary);
        copi_spec_clear(&spec);
    }
    copi_locale_restore(numbers);
    return status;
}
