/* best.safetensors: the net of the best point. */
#include "report/report.h"

#include <string.h>
#include <unistd.h>

/* With several seeds or a new floor the best point can be one whose net has no file. */
cop_status copi_report_keep_best(copi_study *study) {
    copi_results r;
    copi_figures f;
    cop_status status = copi_store_load(study->store, &r);
    if (status) return status;
    status = copi_figures_make(&r, &f);
    if (!status && f.best >= 0) {
        const copi_setting *s = &f.setting[f.best];
        char *path = copi_format(study->ctx, "%s/%s", study->dir, "best.safetensors");
        char *best = copi_format(study->ctx, "%s/%d", s->best_seed->name, s->index);
        if (!path || !best) status = COP_E_NOMEM;
        if (!status && (strcmp(best, r.meta.best) != 0 || access(path, F_OK))) {
            char file[160];
            copi_study_net_file(s->best_seed, s->index, file);
            char *kept = copi_format(study->ctx, "%s/%s", study->dir, file);
            if (kept && access(kept, F_OK) == 0)
                status = copi_study_copy(study, file, "best.safetensors");
            else /* trials are in the plan's order */
                status = copi_study_save_point(study, (int)(s->best_seed - r.trial), s->index, path);
            copi_free(study->ctx, kept);
            if (!status) status = copi_store_set(study->store, "best", best);
            copi_progress_trial(study->ctx, NULL, 0, 0);
        }
        copi_free(study->ctx, path);
        copi_free(study->ctx, best);
    }
    copi_figures_clear(&f);
    copi_results_clear(&r);
    return status;
}
