/* The options of a recipe, and the learning-rate schedules. */
#include "train/train.h"

#include <math.h>

static const double PI = 3.14159265358979323846;
/* One-cycle starts at rate / START and ends near rate / (START * END): Smith & Topin 2017, arXiv:1708.07120. */
static const double ONE_CYCLE_START = 25, ONE_CYCLE_END = 1e4;

/* The order is that of help and of the text that a trial's name is a digest of. A new option is LATE. */
#define OPTION(field, KIND) COPI_OPTION(#field, cop_recipe, field, KIND), .since = "0.1"
#define RESULT .flags = COP_OPTION_RESULT
const cop_option copi_recipe_options[] = {
    {OPTION(epochs, NUMBER), .usual = 10, .high = 1e6, RESULT,
     .help = "passes over the training images; fractions are allowed"},
    {OPTION(batch, COUNT), .usual = 128, .low = 1, .high = 1 << 20, .unit = "images", RESULT,
     .help = "images per step; a smaller last batch is dropped"},
    {OPTION(optimizer, CHOICE), .usual = COP_OPTIMIZER_ADAMW, .choice = cop_optimizer_name, RESULT,
     .help = "update rule of the weights"},
    {OPTION(rate, NUMBER), .usual = 2e-3, .high = 1e3, RESULT, .help = "peak learning rate"},
    {OPTION(momentum, NUMBER), .usual = 0.9, .high = 1, RESULT | COP_OPTION_BELOW,
     .help = "momentum of sgd (Nesterov)"},
    {OPTION(beta1, NUMBER), .usual = 0.9, .high = 1, RESULT | COP_OPTION_BELOW,
     .help = "decay of the mean gradient in adam and adamw"},
    {OPTION(beta2, NUMBER), .usual = 0.999, .high = 1, RESULT | COP_OPTION_BELOW,
     .help = "decay of the mean squared gradient in adam and adamw"},
    {OPTION(epsilon, NUMBER), .usual = 1e-8, .high = 1, RESULT | COP_OPTION_ABOVE,
     .help = "added to the divisor in adam and adamw"},
    {OPTION(decay, NUMBER), .usual = 1e-2, .high = 1, RESULT,
     .help = "weight decay of kernels: decoupled for adamw, an L2 gradient for the others"},
    {OPTION(l1, NUMBER), .high = 1, RESULT, .help = "weight of sum |w| over kernels in the loss"},
    {OPTION(l1_scale, NUMBER), .high = 1, RESULT | COP_OPTION_LATE,
     .help = "weight of sum |scale| over batch-norm scales in the loss"},
    {OPTION(l2, NUMBER), .high = 1, RESULT, .help = "weight of sum w^2 over kernels in the loss"},
    {OPTION(l2_conv, NUMBER), .high = 1, RESULT, .help = "weight of sum w^2 over convolution kernels in the loss"},
    {OPTION(schedule, CHOICE), .usual = COP_SCHEDULE_ONE_CYCLE, .choice = cop_schedule_name, RESULT,
     .help = "learning-rate schedule"},
    {OPTION(warmup, NUMBER), .usual = 0.2, .high = 1, RESULT | COP_OPTION_BELOW,
     .help = "share of the steps in which the rate of one-cycle and cosine rises"},
    {OPTION(step_epochs, STEPS), .high = 1e6, RESULT | COP_OPTION_ABOVE, .unit = "epochs",
     .help = "schedule step: epochs after which the rate falls, at most 4"},
    {OPTION(step_factor, NUMBER), .usual = 0.1, .high = 1, RESULT | COP_OPTION_ABOVE,
     .help = "schedule step: factor on the rate after each of these epochs"},
    {OPTION(restarts, INTEGER), .high = 1000, RESULT | COP_OPTION_LATE,
     .help = "number of restarts of cosine and one-cycle"},
    {OPTION(flip, FLAG), RESULT, .help = "mirror half of the images left to right"},
    {OPTION(shift, INTEGER), .high = 64, .unit = "pixels", RESULT,
     .help = "shift images by up to this many pixels in each direction"},
    {OPTION(erase, INTEGER), .high = 64, .unit = "pixels", RESULT | COP_OPTION_LATE,
     .help = "erase a square with sides of this many pixels (cutout)"},
    {OPTION(dropout, NUMBER), .usual = 1, .high = 1, RESULT | COP_OPTION_LATE,
     .help = "factor on the rates of the net's dropout layers"},
    {OPTION(average, NUMBER), .high = 1, RESULT | COP_OPTION_BELOW | COP_OPTION_LATE,
     .help = "decay of a running average of the weights, e.g. 0.999, which becomes the trained net; 0: no average"},
    {OPTION(label_smoothing, NUMBER), .high = 1, RESULT | COP_OPTION_BELOW,
     .help = "share of the label to spread over all classes"},
    {OPTION(distil_share, NUMBER), .high = 1, RESULT, .help = "share of the loss that comes from the teacher"},
    {OPTION(distil_temperature, NUMBER), .usual = 3, .high = 100, RESULT | COP_OPTION_ABOVE,
     .help = "temperature that softens the outputs of teacher and net"},
    {OPTION(precision, CHOICE), .usual = COP_PRECISION_AUTO, .choice = cop_precision_name, RESULT,
     .help = "arithmetic; auto means bf16 if the processor has it"},
    {OPTION(evaluate_every, INTEGER), .high = 1e6, .unit = "epochs",
     .help = "epochs between measurements on validation images; 0: only after the last"},
    {OPTION(checkpoint, FILE), .flags = COP_OPTION_RUN,
     .help = "save the state to this file after each epoch and on interruption"},
    {OPTION(resume, FLAG), .flags = COP_OPTION_RUN, .help = "continue from the checkpoint if it exists"},
    {OPTION(max_seconds, NUMBER), .high = 1e9, .unit = "seconds", .flags = COP_OPTION_RUN,
     .help = "stop after the epoch in which this time runs out; 0: never"},
    {NULL}};
#undef OPTION
#undef RESULT

COPI_OPTION_AT(cop_recipe_option, copi_recipe_options)

void cop_recipe_init(cop_recipe *recipe, size_t size) {
    cop_recipe usual = {.size = sizeof usual, .seed = 1};
    copi_options_default(copi_recipe_options, &usual);
    copi_struct_init(recipe, size, &usual, sizeof usual);
}

COPI_ENUM(optimizer, COP_OPTIMIZER_LIST)
COPI_ENUM(schedule, COP_SCHEDULE_LIST)
COPI_ENUM(precision, COP_PRECISION_LIST)
COPI_ENUM(prox, COP_PROX_LIST) /* here, since checkpoints name it */

/** With w = warmup n, rise r = (t+1) / (w+1) while t < w, and fall f = (t-w) / (n-w) from there on:
 *    constant   rate
 *    step       rate factor^k, k = how many of step_epochs are <= t / steps_per_epoch
 *    cosine     rate r, then rate (1 + cos(pi f)) / 2
 *    one-cycle  the same between rate/25 and rate, then between rate and rate/250000
 *  With restarts R, cosine and one-cycle take t and n of the part k that t lies in; part k begins at
 *  floor(n k / (R+1)). docs/methods.md, "Schedules". */
double cop_schedule_rate(const cop_recipe *recipe, int64_t t, int64_t n, int64_t steps_per_epoch) {
    if (COPI_CHECK(NULL, cop_recipe, recipe)) return NAN;
    double peak = recipe->rate;
    if (recipe->schedule == COP_SCHEDULE_CONSTANT) return peak;
    if (recipe->schedule == COP_SCHEDULE_STEP) {
        double epoch = (double)t / (double)(steps_per_epoch > 0 ? steps_per_epoch : 1);
        for (size_t i = 0; i < COPI_COUNT(recipe->step_epochs) && recipe->step_epochs[i] > 0; i++)
            if (recipe->step_epochs[i] <= epoch) peak *= recipe->step_factor;
        return peak;
    }
    const int64_t parts = recipe->restarts + 1, part = n > 0 ? ((t + 1) * parts - 1) / n : 0;
    t -= n * part / parts;
    n = n * (part + 1) / parts - n * part / parts;
    bool cycle = recipe->schedule == COP_SCHEDULE_ONE_CYCLE;
    double warm = recipe->warmup * (double)n;
    if ((double)t < warm) {
        double low = cycle ? peak / ONE_CYCLE_START : 0;
        return low + (peak - low) * ((double)t + 1) / (warm + 1);
    }
    double low = cycle ? peak / (ONE_CYCLE_START * ONE_CYCLE_END) : 0;
    double fall = (double)n > warm ? ((double)t - warm) / ((double)n - warm) : 1;
    return low + (peak - low) * 0.5 * (1 + cos(PI * fmin(fall, 1)));
}

cop_status copi_recipe_check(cop_ctx *ctx, const cop_recipe *r) {
    cop_status s = COPI_CHECK(ctx, cop_recipe, r);
    if (!s) s = copi_options_check(ctx, "recipe", copi_recipe_options, r);
    if (!s && r->resume && !r->checkpoint)
        s = copi_fail(ctx, COP_E_ARG, "recipe: resume is set, but no checkpoint file is named");
    return s;
}

void copi_recipe_describe(copi_buffer *b, const cop_recipe *r) {
    for (const cop_option *o = copi_recipe_options; o->name; o++) {
        if (!(o->flags & COP_OPTION_RESULT)) continue;
        const void *at = (const char *)r + o->offset;
        if (o->kind == COP_OPTION_STEPS) {
            for (int i = 0; i < 4; i++) copi_buffer_printf(b, "%s[%d] %.17g\n", o->name, i, ((const double *)at)[i]);
            continue;
        }
        copi_buffer_printf(b, "%s ", o->name);
        if (o->choice)
            copi_buffer_text(b, o->choice(*(const int *)at));
        else
            copi_option_print(b, o, r);
        copi_buffer_text(b, "\n");
    }
}
