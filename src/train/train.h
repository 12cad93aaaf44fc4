/* Recipe, learning-rate schedules, fit, evaluate, distillation, checkpoint. */
#ifndef COPPICE_TRAIN_H
#define COPPICE_TRAIN_H

#include "base/options.h"
#include "data/data.h"
#include "engine/engine.h"
#include "io/io.h"

/** The parameters of cop_train and what methods need in addition. All hooks may be NULL. */
typedef struct copi_fit {
    const cop_recipe *recipe;
    const char *phase;           /* "train", "tune", "search", ... for progress */
    const copi_gate_rule *gates; /* SSS */
    double gate_rate;            /* eta of the factors at the peak; follows the recipe's schedule */
    /** Called before step t of n with the plan; may change masks by pull/push (gradual pruning). */
    cop_status (*on_step)(void *user, copi_plan *plan, int64_t t, int64_t n);
    void *user;
    double
        keep_every; /* least seconds between checkpoints, which are written at the ends of epochs; 0: at each end */
    const char *hooks; /* NULL, or one line with the parameters of on_step: part of a checkpoint's identity */
    bool *unfit;       /* NULL, or set when the checkpoint failed, not the training */
} copi_fit;
cop_status copi_fit_run(cop_net *net, const cop_data *data, const copi_fit *fit, cop_history *history);
/** The same, but resume from the recipe's checkpoint if that file exists. A checkpoint that does not fit (of another
 *  version, damaged) is removed with a warning, and the training starts over. */
cop_status copi_fit_resume(cop_net *net, const cop_data *data, const copi_fit *fit, cop_history *history);
/** DIVERGED if one of the n numbers at x is not finite; what: "weight", ...; step: steps done. */
cop_status copi_check_finite(cop_ctx *ctx, const char *phase, const char *what, const float *x, size_t n,
                             int64_t step, double rate);
/** The options of cop_recipe; ends with a NULL name. */
extern const cop_option copi_recipe_options[];
/** A line "name value" for each option that changes the result. */
void copi_recipe_describe(copi_buffer *b, const cop_recipe *recipe);
/** Refuse a recipe with values out of range; the error names field and value. */
cop_status copi_recipe_check(cop_ctx *ctx, const cop_recipe *recipe);
/** Refuse a net that does not fit these images or classes; the error names both shapes. */
cop_status copi_check_fit(const cop_net *net, const cop_data *data);
/** Multiply the shares of every dropout layer. */
void copi_scale_dropout(cop_net *net, double factor);
enum { COPI_SETTLE_IMAGES = 4096 }; /* a channel's mean to about 1/64 of its deviation, or better */
/** Recompute batch-norm running statistics on n training images (no gradient). Does nothing without batch-norm.
 *  Unless cancellable, it runs to its end. */
cop_status copi_recalibrate(cop_net *net, const cop_data *data, int64_t images, bool cancellable);
/** d loss / d parameter without dropout, the mean over n training images; or, with squares, the mean over small
 *  batches of its square. gradient [net->block_count], in the layout of net->block. */
cop_status copi_mean_gradient(const cop_net *net, const cop_data *data, int64_t images, bool squares,
                              float *gradient);
/** Append the epochs and costs of more to history, and leave more empty. */
cop_status copi_history_append(cop_history *history, cop_history *more);

/** The normalization of a net's images, per channel of the net [C]: its own if it has one, else the data's. */
typedef struct copi_normalization {
    double mean[COP_MAX_CHANNELS], std[COP_MAX_CHANNELS];
    cop_channel_order order;
} copi_normalization;
copi_normalization copi_normalization_of(const cop_net *net, const cop_data *data);

/* Evaluates many nets of one topology with one plan. */
typedef struct copi_meter copi_meter;
/** options may be NULL. Unless cancellable, a run runs to its end. data must outlive the meter; net need not.
 *  Errors: as cop_evaluate. */
cop_status copi_meter_create(const cop_net *net, const cop_data *data, const cop_eval_options *options,
                             bool cancellable, copi_meter **meter);
/** Evaluate net (the meter's topology) on a split. */
cop_status copi_meter_run(copi_meter *meter, const cop_net *net, cop_split split, cop_eval *eval);
void copi_meter_destroy(copi_meter *meter);

#endif
