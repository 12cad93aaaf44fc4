/* The ways to combine pruning and training, each with a file and a line in methods.def. Every criterion is a method
 * too, by criterion.c. */
#ifndef COPPICE_METHOD_H
#define COPPICE_METHOD_H

#include "prune/prune.h"
#include "train/train.h"

typedef struct copi_run { /* the state of a method's run */
    cop_ctx *ctx;
    const cop_net *dense;
    const cop_data *data;
    const cop_method_params *params;
    cop_point_fn on_point;
    void *user;
    bool stopped;                 /* on_point asked to stop */
    double epochs, seconds, macs; /* spent so far */
    int trainings;                /* so far; numbers the trainings' state files */
} copi_run;
/** Does the study file give this key for the current trial? */
typedef struct copi_given {
    bool (*has)(const void *trial, const char *key);
    const void *trial;
} copi_given;

/* A way to combine pruning and training, with all that other rooms need to know of it. */
typedef struct copi_method {
    const char *name, *help; /* NULL for methods that rank by a criterion, which have the criterion's */
    copi_style style;
    const char *family; /* methods of one family have the same options */
    const char *whose;  /* the family in a sentence: "methods that rank by a criterion" */
    /** By their offset in cop_method_params, in the order of a trial's text, which leaves out late ones at their default.
     *  Ends with a NULL name. */
    const cop_option *options;
    bool like; /* after the first option, take those of the method named by scratch.like */
    cop_status (*run)(copi_run *run, cop_net **result);
    /** Refuse invalid parameters, before any work starts. */
    cop_status (*check)(cop_ctx *ctx, const cop_method_params *params);
    /** Append to the method's name what distinguishes a trial at this level: " 0.9, 2 rounds". */
    void (*label)(copi_buffer *b, const cop_method_params *params, double level);
    /** A given key that has no effect on these params, and why; NULL: none. */
    const char *(*idle)(const cop_method_params *params, const copi_given *given, char why[160]);
    /** Set the target that the first kind of level is searched for, when another level is given. NULL: the method has
     *  one kind of level. */
    void (*aim)(cop_method_params *params, const cop_option *level);
} copi_method;
extern const copi_method copi_method_criterion;
#define X(symbol) extern const copi_method copi_method_##symbol;
#include "method/methods.def"
#undef X
/** NULL: no such method. */
const copi_method *copi_method_find(const char *name);
/** How a method is drawn; NULL: no such method. */
const copi_style *copi_method_style(const char *name);
/** The method whose levels a trial takes: the named one, or the one it is like. NULL: like names no method. */
const copi_method *copi_method_of(const char *name, const char *like);
/** The options of a trial's text: those of a method, or of scratch and the method it is like, with INLINE recipes
 *  expanded. Returns how many; the last has a NULL name. */
enum { COPI_METHOD_OPTIONS = 96 };
int copi_method_options(const char *name, const char *like, cop_option table[COPI_METHOD_OPTIONS]);
/** Refuse params outside the ranges of a method's options, except levels. */
cop_status copi_method_options_check(cop_ctx *ctx, const copi_method *method, const cop_method_params *params);
/** One row of a method's table: a recipe under its own key. */
#define COPI_OPTION_RECIPE(key, field)                                                                               \
    COPI_OPTION(key, cop_method_params, field, RECIPE), .table = copi_recipe_options
/* Rows that several methods share. */
#define COPI_OPTION_ROUNDS(words)                                                                                    \
    COPI_OPTION("rounds", cop_method_params, rounds, INTEGER), .high = 1000, .since = "0.1",                         \
                                                               .flags = COP_OPTION_RESULT, .help = words
#define COPI_OPTION_TUNE                                                                                             \
    COPI_OPTION_RECIPE("tune", tune), .since = "0.1", .flags = COP_OPTION_RESULT, .help = "training of each round"
#define COPI_OPTIONS_GRADUAL                                                                                         \
    {COPI_OPTION("begin", cop_method_params, gradual.begin, NUMBER),                                                 \
     .usual = 0.1,                                                                                                   \
     .high = 1,                                                                                                      \
     .since = "0.1",                                                                                                 \
     .flags = COP_OPTION_RESULT | COP_OPTION_LATE,                                                                   \
     .help = "gradual pruning: share of the training after which the first weights are removed"},                    \
        {COPI_OPTION("end", cop_method_params, gradual.end, NUMBER),                                                 \
         .usual = 0.7,                                                                                               \
         .high = 1,                                                                                                  \
         .since = "0.1",                                                                                             \
         .flags = COP_OPTION_RESULT | COP_OPTION_LATE,                                                               \
         .help = "gradual pruning: share of the training after which no more weights are removed"},                  \
    {                                                                                                                \
        COPI_OPTION("revive", cop_method_params, gradual.revive, NUMBER),                                            \
            .high = 1, .since = "0.1", .flags = COP_OPTION_BELOW | COP_OPTION_RESULT | COP_OPTION_LATE,              \
            .help =                                                                                                  \
                "gradual pruning: share of the nonzero weights that each cut swaps for the zeros with the largest "  \
                "gradients (RigL); not for fisher and fisher-root"                                                   \
    }

/* Parts of labels: " 0.9 global"; ", 2 rounds linear"; ", 3 epochs". */
void copi_label_cut(copi_buffer *b, const cop_method_params *params, double level);
void copi_label_rounds(copi_buffer *b, const cop_method_params *params);
void copi_label_epochs(copi_buffer *b, double epochs);
/** Fill a point with a net's accuracy on both splits (NaN for an empty split), sizes and costs. */
cop_status copi_measure_point(const cop_net *net, const cop_data *data, cop_point *point);
/** Measure net on both splits, fill a point and report it. The caller has set round, level, asked, threshold and
 *  accuracy_pruned; history (may be NULL) is passed to on_point and cleared. */
cop_status copi_run_point(copi_run *run, const cop_net *net, cop_point *point, cop_history *history);

/** Train net by a recipe as training number `round` of the run, add up its cost, and settle the net. The order of
 *  images differs between rounds and is the same for all methods. If params->state is set, the training resumes from
 *  the file that an earlier run left. Methods need no code for that; they only repeat everything in the same
 *  order. */
cop_status copi_run_train(copi_run *run, cop_net *net, const copi_fit *fit, int round, cop_history *history);
/** Recompute batch-norm statistics for the net as it is now, before it is measured. */
cop_status copi_run_settle(const copi_run *run, cop_net *net);
/** Accuracy on the validation split; NaN if it is empty. */
cop_status copi_run_validate(const copi_run *run, const cop_net *net, double *accuracy);
/** The share to prune to in round r of n. */
double copi_pace_share(cop_pace pace, double sparsity, int r, int n);
/** Refuse a recipe that a method can't use; what names it in errors. */
cop_status copi_method_recipe_check(cop_ctx *ctx, const char *what, const cop_recipe *recipe);
/** Make the factors of a gated net ready for folding. None is negative afterwards (the plain subgradient lets them
 *  cross 0); the function stays the same. At least keep factors of each gate except a block's are above the
 *  threshold, so that no layer is emptied; units kept for this reason are logged and noted in the provenance. */
cop_status copi_factors_repair(cop_net *gated, double factor_threshold, int64_t keep);

cop_status copi_criterion_check(cop_ctx *ctx, const cop_method_params *params);
/** The net that a criterion's rounds start from: the dense net, trained by params->sparsify if that has epochs. */
cop_status copi_criterion_start(copi_run *run, cop_net **full, cop_history *history);
/** Prune net to a share, by the criterion named as the method. gradient: as for copi_prune; NULL: computed on the
 *  run's data if the criterion needs it. */
cop_status copi_criterion_prune(const copi_run *run, cop_net *net, double share, const float *const *gradient);
/** Train net by params->tune while its sparsity rises to params->sparsity (pace gradual). */
cop_status copi_gradual_train(copi_run *run, cop_net *net, cop_history *history);
cop_status copi_gradual_check(cop_ctx *ctx, const cop_method_params *params);
/** The share to prune to at step t of n. */
double copi_gradual_share(const cop_method_params *params, int64_t t, int64_t n);
/** In each pruned kernel of net, as pulled from plan, mask this share of its unmasked weights, those of lowest |w|,
 *  and unmask as many with the largest |gradient| of the plan's last step, at value 0. */
cop_status copi_revive(cop_net *net, double share, copi_plan *plan);
/** SSS up to the removal: the dense net with trained factors, folded, and (params->shrink) without the structures at
 *  0. *gamma: the one used or found; history gets the training. */
cop_status copi_sss_search(copi_run *run, cop_net **net, cop_history *history, double *gamma);
cop_status copi_sss_check(cop_ctx *ctx, const cop_method_params *params);

#endif
