/* Recipe, learning-rate schedules, fit, evaluate, distillation, checkpoint. */
#ifndef COPPICE_TRAIN_H
#define COPPICE_TRAIN_H

#include "base/options.h"
#include "data/data.h"
#include "engine/engine.h"
#include "io/io.h"

/** cop_train with what methods need besides. All hooks may be NULL. */
typedef struct copi_fit {
    const cop_recipe *recipe;
    const char *phase;           /* "train", "tune", "search", ... for progress */
    const copi_gate_rule *gates; /* SSS */
    double gate_rate;            /* eta of the factors at the peak; follows the recipe's schedule */
    /** Called before step t of n with the plan; may change masks by pull/push (gradual pruning). */
    cop_status (*on_step)(void *user, copi_plan *plan, int64_t t, int64_t n);
    void *user;
    double keep_every; /* seconds between checkpoints at the ends of epochs, the last one's apart; 0: at each */
    const char *hooks; /* NULL, or one line of what on_step rests on: it becomes part of a checkpoint's identity */
    bool *unfit;       /* NULL, or set where the checkpoint is what failed, not the training */
} copi_fit;
cop_status copi_fit_run(cop_net *net, const cop_data *data, const copi_fit *fit, cop_history *history);
/** The same, going on from the recipe's checkpoint if that file is there. One that does not fit, of another version
 *  perhaps or damaged, is no reason to fail: it goes, with a warning, and the training begins afresh. */
cop_status copi_fit_go_on(cop_net *net, const cop_data *data, const copi_fit *fit, cop_history *history);
/** DIVERGED where one of n numbers at x is not finite; what: "weight", ... step: how many were done. */
cop_status copi_check_finite(cop_ctx *ctx, const char *phase, const char *what, const float *x, size_t n,
                             int64_t step, double rate);
/** The options of cop_recipe; ends with a NULL name. */
extern const cop_option copi_recipe_options[];
/** A line "name value" for each option that changes the result. */
void copi_recipe_describe(copi_buffer *b, const cop_recipe *recipe);
/** Refuse a recipe with impossible values: names the field and the value. */
cop_status copi_recipe_check(cop_ctx *ctx, const cop_recipe *recipe);
/** Refuse a net that does not take these images or classes: names both shapes. */
cop_status copi_check_fit(const cop_net *net, const cop_data *data);
/** Multiply the shares of every dropout layer. */
void copi_scale_dropout(cop_net *net, double factor);
enum { COPI_SETTLE_IMAGES = 4096 }; /* a channel's mean to about 1/64 of its deviation, or better */
/** Recompute batch-norm running statistics on n training images (no gradient). Does nothing without batch-norm.
 *  Unless cancellable it goes through to its end. */
cop_status copi_recalibrate(cop_net *net, const cop_data *data, int64_t images, bool cancellable);
/** d loss / d parameter without dropout, the mean over n training images; or, with squares, the mean over small batches
 *  of its square. gradient [net->block_count], laid out as net->block. */
cop_status copi_mean_gradient(const cop_net *net, const cop_data *data, int64_t images, bool squares,
                              float *gradient);
/** Put the epochs and costs of more behind those of history, and leave more empty. */
cop_status copi_history_append(cop_history *history, cop_history *more);

/** The normalization a net's images get: its own if it has one, else the data's; of the net's channels [C]. */
typedef struct copi_normalization {
    double mean[COP_MAX_CHANNELS], std[COP_MAX_CHANNELS];
    cop_channel_order order;
} copi_normalization;
copi_normalization copi_normalization_of(const cop_net *net, const cop_data *data);

/* Evaluation of many nets of one topology: the plan is lowered once. */
typedef struct copi_meter copi_meter;
/** options may be NULL. Unless cancellable, a run goes through to its end. data must outlive the meter; net need not.
 *  Errors: as cop_evaluate. */
cop_status copi_meter_create(const cop_net *net, const cop_data *data, const cop_eval_options *options,
                             bool cancellable, copi_meter **meter);
/** Evaluate net (the meter's topology) on a split. */
cop_status copi_meter_run(copi_meter *meter, const cop_net *net, cop_split split, cop_eval *eval);
void copi_meter_destroy(copi_meter *meter);

#endif
