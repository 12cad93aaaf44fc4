/* The ways to combine prune and train: a file and a line in methods.def each. Every criterion is a method too, by
 * criterion.c. */
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
/** Does the study file give this key for the trial at hand? */
typedef struct copi_given {
    bool (*has)(const void *trial, const char *key);
    const void *trial;
} copi_given;

/* A way to combine prune and train: its file holds all that other rooms ask of it. */
typedef struct copi_method {
    const char *name, *help; /* NULL of methods that rank by a criterion: the criterion's */
    copi_style style;
    const char *family; /* methods of one family have the same options */
    const char *whose;  /* the family in a sentence: "methods that rank by a criterion" */
    const cop_option
        *options; /* by their offset in cop_method_params, in the order of a trial's text; late ones are no part
                                * of it at their default. Ends with a NULL name */
    bool like;    /* behind the first one stand those of the method that scratch.like names */
    cop_status (*run)(copi_run *run, cop_net **result);
    /** Refuse parameters that the method can't work with, before any work starts. */
    cop_status (*check)(cop_ctx *ctx, const cop_method_params *params);
    /** Put behind the method's name what tells a trial at this level from others: " 0.9, 2 rounds". */
    void (*label)(copi_buffer *b, const cop_method_params *params, double level);
    /** A key that has no effect on these params, and why; NULL: all have. */
    const char *(*idle)(const cop_method_params *params, const copi_given *given, char why[160]);
    /** Another level than the first one is given: what the first is searched for. NULL: there is one kind of level. */
    void (*aim)(cop_method_params *params, const cop_option *level);
} copi_method;
extern const copi_method copi_method_criterion;
#define X(symbol) extern const copi_method copi_method_##symbol;
#include "method/methods.def"
#undef X
/** NULL: there is none. */
const copi_method *copi_method_find(const char *name);
/** How a method is drawn; NULL: there is none of that name. */
const copi_style *copi_method_style(const char *name);
/** The method whose levels a trial takes: that of the name, or of what it is like. NULL: like names none. */
const copi_method *copi_method_of(const char *name, const char *like);
/** The options of a trial's text: those of a method, or of scratch and what it is like, recipes that are INLINE laid out.
 *  Gives how many; the last has a NULL name. */
enum { COPI_METHOD_OPTIONS = 96 };
int copi_method_options(const char *name, const char *like, cop_option table[COPI_METHOD_OPTIONS]);
/** Refuse params outside the ranges of a method's options, but for levels. */
cop_status copi_method_options_check(cop_ctx *ctx, const copi_method *method, const cop_method_params *params);
/** One row of a method's table: a recipe with a name of its own. */
#define COPI_OPTION_RECIPE(key, field)                                                                               \
    COPI_OPTION(key, cop_method_params, field, RECIPE), .table = copi_recipe_options
/* Rows that several methods share. */
#define COPI_OPTION_ROUNDS                                                                                           \
    COPI_OPTION("rounds", cop_method_params, rounds, INTEGER),                                                       \
        .high = 1000, .since = "0.1", .flags = COP_OPTION_RESULT,                                                    \
        .help = "prune and tune this many times; 0: prune only"
#define COPI_OPTION_TUNE                                                                                             \
    COPI_OPTION_RECIPE("tune", tune), .since = "0.1", .flags = COP_OPTION_RESULT, .help = "training of each round"
#define COPI_OPTIONS_GRADUAL                                                                                         \
    {COPI_OPTION("begin", cop_method_params, gradual.begin, NUMBER),                                                 \
     .usual = 0.1,                                                                                                   \
     .high = 1,                                                                                                      \
     .since = "0.1",                                                                                                 \
     .flags = COP_OPTION_RESULT | COP_OPTION_LATE,                                                                   \
     .help = "gradual pruning: share of the training after which the first weights go"},                             \
        {COPI_OPTION("end", cop_method_params, gradual.end, NUMBER),                                                 \
         .usual = 0.7,                                                                                               \
         .high = 1,                                                                                                  \
         .since = "0.1",                                                                                             \
         .flags = COP_OPTION_RESULT | COP_OPTION_LATE,                                                               \
         .help = "gradual pruning: share of the training after which the last weights are gone"},                    \
    {                                                                                                                \
        COPI_OPTION("revive", cop_method_params, gradual.revive, NUMBER),                                            \
            .high = 1, .since = "0.1", .flags = COP_OPTION_BELOW | COP_OPTION_RESULT | COP_OPTION_LATE,              \
            .help =                                                                                                  \
                "gradual pruning: share of the nonzero weights that each cut exchanges for zeros of the largest "    \
                "gradient (RigL); not for fisher and fisher-root"                                                    \
    }

/* Parts of labels: " 0.9 global"; ", 2 rounds linear"; ", 3 epochs". */
void copi_label_cut(copi_buffer *b, const cop_method_params *params, double level);
void copi_label_rounds(copi_buffer *b, const cop_method_params *params);
void copi_label_epochs(copi_buffer *b, double epochs);
/** Fill what a point says of a net: its accuracy on both splits (NaN where one has no images), sizes and costs. */
cop_status copi_measure_point(const cop_net *net, const cop_data *data, cop_point *point);
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

cop_status copi_criterion_check(cop_ctx *ctx, const cop_method_params *params);
/** What a criterion's rounds start from: the dense net, trained by params->sparsify if that has epochs. */
cop_status copi_criterion_start(copi_run *run, cop_net **full, cop_history *history);
/** Prune net, by the criterion that is named as the method, to a share. gradient: as copi_prune's; NULL: what the
 *  criterion needs is taken from the run's data. */
cop_status copi_criterion_prune(const copi_run *run, cop_net *net, double share, const float *const *gradient);
/** Train net by params->tune while the share at zero rises to params->sparsity (pace gradual). */
cop_status copi_gradual_train(copi_run *run, cop_net *net, cop_history *history);
cop_status copi_gradual_check(cop_ctx *ctx, const cop_method_params *params);
/** The share asked for at step t of n. */
double copi_gradual_share(const cop_method_params *params, int64_t t, int64_t n);
/** In each pruned kernel of net, as pulled from plan, let the share of its living weights with the lowest |w| go and as
 *  many of the largest |gradient| (the plan's last step's) come alive, at 0. */
cop_status copi_revive(cop_net *net, double share, copi_plan *plan);
/** SSS up to its removal: the dense net with trained factors, folded, and (params->shrink) without what reached 0.
 *  *gamma: the one used, or found; history gets its training. */
cop_status copi_sss_search(copi_run *run, cop_net **net, cop_history *history, double *gamma);
cop_status copi_sss_check(cop_ctx *ctx, const cop_method_params *params);

#endif
