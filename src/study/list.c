/* cop_study_list: the rows of a store. */
#include "study/study.h"

#include <math.h>
#include <string.h>

cop_status cop_study_list(cop_ctx *ctx, const char *dir, int (*on_row)(void *user, const cop_trial_row *row),
                          void *user) {
    COPI_REQUIRE(NULL, ctx);
    COPI_REQUIRE(ctx, dir);
    COPI_REQUIRE(ctx, on_row);
    copi_store *store;
    copi_results r;
    cop_status status = copi_store_open(ctx, dir, COPI_STORE_READ, &store);
    if (!status) status = copi_store_load(store, &r);
    copi_store_close(store);
    if (status) return status;
    int stop = 0;
    for (int i = 0; !stop && i < r.trials; i++) {
        const copi_stored_trial *t = &r.trial[i];
        cop_trial_row row = {.trial = t->name, .method = t->method, .status = COPI_DONE, .seed = t->seed};
        for (int k = 0; !stop && k < t->points; k++) {
            row.point = t->point[k].p;
            row.point.history = (cop_history){0};
            row.score = cop_score(row.point.accuracy_test, row.point.sparsity, r.floor);
            stop = on_row(user, &row);
        }
        if (stop || strcmp(t->status, COPI_DONE) == 0) continue;
        row.status = t->status;
        row.score = NAN;
        row.point = (cop_point){.level = t->level,
                                .asked = t->asked,
                                .threshold = NAN,
                                .sparsity = NAN,
                                .sparsity_conv = NAN,
                                .sparsity_dense = NAN,
                                .accuracy_val = NAN,
                                .accuracy_test = NAN,
                                .accuracy_pruned = NAN,
                                .seconds = t->seconds};
        stop = on_row(user, &row);
    }
    copi_results_clear(&r);
    return COP_OK;
}
