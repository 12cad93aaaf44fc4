/* The ways to combine prune and train: one file per family, one line each in methods.def. */
#ifndef COPPICE_METHOD_H
#define COPPICE_METHOD_H

#include "prune/prune.h"
#include "train/train.h"

typedef struct copi_run { /* what a method's function works with */
    cop_ctx *ctx;
    const cop_net *dense;
    const cop_data *data;
    const cop_method_params *params;
    cop_point_fn on_point;
    void *user;
    bool stopped;                 /* on_point asked to stop */
    double epochs, seconds, macs; /* spent so far */
    int trainings;                /* so far: the number of a training's file of state */
} copi_run;
typedef struct copi_method {
    const char *name, *help;
    cop_status (*run)(copi_run *run, cop_net **result);
    /** Refuse parameters that the family can't work with, before any work starts. */
    cop_status (*check)(cop_ctx *ctx, const cop_method_params *params);
} copi_method;
const copi_method *copi_method_find(const char *name);
/** Measure net (both splits), fill a point and report it. The caller has filled round, level, asked, threshold and
 *  accuracy_pruned; history (may be NULL) is handed to on_point and cleared. */
cop_status copi_run_point(copi_run *run, const cop_net *net, cop_point *point, cop_history *history);

/** Train net by a recipe as the round-th training of the run, book what it cost, and settle the net. The order of
 *  images differs from round to round and is the same for all methods. Where params->state is set, a training that an
 *  earlier run ended, or was at, is taken up from its file: so methods need not know, and only do all in the same
 *  order again. */
cop_status copi_run_train(copi_run *run, cop_net *net, const copi_fit *fit, int round, cop_history *history);
/** Make batch-norm's statistics those of the net as it is: before any figure is quoted. */
cop_status copi_run_settle(const copi_run *run, cop_net *net);
/** Accuracy on the validation split; NaN where there is none. */
cop_status copi_run_validate(const copi_run *run, const cop_net *net, double *accuracy);
/** The share that round r of n asks for. */
double copi_pace_share(cop_pace pace, double sparsity, int r, int n);
/** Refuse a recipe that a method can't use; what names it in errors. */
cop_status copi_method_recipe_check(cop_ctx *ctx, const char *what, const cop_recipe *recipe);
/** Make the factors of a gated net fit for folding: none negative (the plain subgradient lets them through 0), the
 *  function being the same; and at least keep of each gate but a block's above the threshold, so that no layer is
 *  emptied (what was kept for that alone is logged and noted in the provenance). */
cop_status copi_factors_mend(cop_net *gated, double factor_threshold, int64_t keep);

cop_status copi_criterion_run(copi_run *run, cop_net **result);
cop_status copi_criterion_check(cop_ctx *ctx, const cop_method_params *params);
/** What a criterion's rounds start from: the dense net, trained by params->sparsify if that has epochs. */
cop_status copi_criterion_start(copi_run *run, cop_net **full, cop_history *history);
/** Prune net, by the criterion that is named as the method, to a share. gradient: as copi_prune's; NULL: what the
 *  criterion needs is taken from the run's data. */
cop_status copi_criterion_prune(const copi_run *run, cop_net *net, double share, const float *const *gradient);
cop_status copi_scratch_run(copi_run *run, cop_net **result);
cop_status copi_scratch_check(cop_ctx *ctx, const cop_method_params *params);
/** Train net by params->tune while the share at zero rises to params->sparsity (pace gradual). */
cop_status copi_gradual_train(copi_run *run, cop_net *net, cop_history *history);
cop_status copi_gradual_check(cop_ctx *ctx, const cop_method_params *params);
/** The share asked for at step t of n. */
double copi_gradual_share(const cop_method_params *params, int64_t t, int64_t n);
/** In each pruned kernel of net, as pulled from plan, let the share of its living weights with the lowest |w| go and as
 *  many of the largest |gradient| (the plan's last step's) come alive, at 0. */
cop_status copi_revive(cop_net *net, double share, copi_plan *plan);
cop_status copi_compound_run(copi_run *run, cop_net **result);
cop_status copi_compound_check(cop_ctx *ctx, const cop_method_params *params);
cop_status copi_longer_run(copi_run *run, cop_net **result);
cop_status copi_longer_check(cop_ctx *ctx, const cop_method_params *params);
/** SSS up to its removal: the dense net with trained factors, folded, and (params->shrink) without what reached 0.
 *  *gamma: the one used, or found; history gets its training. */
cop_status copi_sss_search(copi_run *run, cop_net **net, cop_history *history, double *gamma);
cop_status copi_sss_run(copi_run *run, cop_net **result);
cop_status copi_sss_check(cop_ctx *ctx, const cop_method_params *params);

#endif
