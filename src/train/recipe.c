/* What a recipe may say, and the learning-rate schedules. */
#include "train/train.h"

#include <math.h>

static const double PI = 3.14159265358979323846;
/* One-cycle starts at rate / START and ends near rate / (START * END): Smith & Topin 2017, arXiv:1708.07120. */
static const double ONE_CYCLE_START = 25, ONE_CYCLE_END = 1e4;

cop_recipe cop_recipe_default(void) {
    return (cop_recipe){.epochs = 10,
                        .batch = 128,
                        .optimizer = COP_OPTIMIZER_ADAMW,
                        .rate = 2e-3,
                        .momentum = 0.9,
                        .beta1 = 0.9,
                        .beta2 = 0.999,
                        .epsilon = 1e-8,
                        .decay = 1e-2,
                        .schedule = COP_SCHEDULE_ONE_CYCLE,
                        .warmup = 0.2,
                        .step_factor = 0.1,
                        .dropout = 1,
                        .distil_share = 0,
                        .distil_temperature = 3,
                        .precision = COP_PRECISION_AUTO,
                        .seed = 1};
}

#define X(name, text) text,
const char *cop_optimizer_name(cop_optimizer optimizer) {
    static const char *const names[] = {COP_OPTIMIZER_LIST(X)};
    return (size_t)optimizer < COPI_COUNT(names) ? names[optimizer] : "unknown";
}
const char *cop_schedule_name(cop_schedule schedule) {
    static const char *const names[] = {COP_SCHEDULE_LIST(X)};
    return (size_t)schedule < COPI_COUNT(names) ? names[schedule] : "unknown";
}
const char *cop_precision_name(cop_precision precision) {
    static const char *const names[] = {COP_PRECISION_LIST(X)};
    return (size_t)precision < COPI_COUNT(names) ? names[precision] : "unknown";
}
const char *cop_prox_name(cop_prox prox) { /* here, since checkpoints name it */
    static const char *const names[] = {COP_PROX_LIST(X)};
    return (size_t)prox < COPI_COUNT(names) ? names[prox] : "unknown";
}
#undef X

/** With w = warmup n, rise r = (t+1) / (w+1) while t < w, and fall f = (t-w) / (n-w) from there on:
 *    constant   rate
 *    step       rate factor^k, k = how many of step_epochs are <= t / steps_per_epoch
 *    cosine     rate r, then rate (1 + cos(pi f)) / 2
 *    one-cycle  the same between rate/25 and rate, then between rate and rate/250000
 *  With restarts R, cosine and one-cycle take t and n of the part k that t lies in; part k begins at
 *  floor(n k / (R+1)). docs/methods.md, "Schedules". */
double cop_schedule_rate(const cop_recipe *recipe, int64_t t, int64_t n, int64_t steps_per_epoch) {
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
    const struct {
        const char *name;
        double value, low, high;
        const char *range;
    } number[] = {
        {"epochs", r->epochs, 0, 1e6, "in [0,1e6]"},
        {"batch", (double)r->batch, 1, 1 << 20, "in [1,1048576]"},
        {"rate", r->rate, 0, 1e3, "in [0,1000]"},
        {"momentum", r->momentum, 0, 0.999999, "in [0,1)"},
        {"beta1", r->beta1, 0, 0.999999, "in [0,1)"},
        {"beta2", r->beta2, 0, 0.999999, "in [0,1)"},
        {"epsilon", r->epsilon, 1e-30, 1, "in (0,1]"},
        {"decay", r->decay, 0, 1e3, "in [0,1000]"},
        {"l1", r->l1, 0, 1e3, "in [0,1000]"},
        {"l1_scale", r->l1_scale, 0, 1e3, "in [0,1000]"},
        {"l2", r->l2, 0, 1e3, "in [0,1000]"},
        {"l2_conv", r->l2_conv, 0, 1e3, "in [0,1000]"},
        {"warmup", r->warmup, 0, 1, "in [0,1]"},
        {"step_epochs[0]", r->step_epochs[0], 0, 1e6, "in [0,1e6]"},
        {"step_epochs[1]", r->step_epochs[1], 0, 1e6, "in [0,1e6]"},
        {"step_epochs[2]", r->step_epochs[2], 0, 1e6, "in [0,1e6]"},
        {"step_epochs[3]", r->step_epochs[3], 0, 1e6, "in [0,1e6]"},
        {"step_factor", r->step_factor, 0, 1e3, "in [0,1000]"},
        {"restarts", r->restarts, 0, 1000, "in [0,1000]"},
        {"flip", r->flip, 0, 1, "0 or 1"},
        {"shift", r->shift, 0, 1024, "in [0,1024]"},
        {"erase", r->erase, 0, 1024, "in [0,1024]"},
        {"dropout", r->dropout, 0, 1, "in [0,1]"},
        {"average", r->average, 0, 0.999999, "in [0,1)"},
        {"label_smoothing", r->label_smoothing, 0, 0.999999, "in [0,1)"},
        {"distil_share", r->distil_share, 0, 1, "in [0,1]"},
        {"distil_temperature", r->distil_temperature, 1e-3, 1e3, "in [0.001,1000]"},
        {"max_seconds", r->max_seconds, 0, 1e12, "in [0,1e12]"},
        {"evaluate_every", r->evaluate_every, 0, 1e6, "in [0,1e6]"},
        {"optimizer", r->optimizer, 0, COP_OPTIMIZER_ADAMW, "one of sgd, adam, adamw"},
        {"schedule", r->schedule, 0, COP_SCHEDULE_ONE_CYCLE, "one of constant, step, cosine, one-cycle"},
        {"precision", r->precision, 0, COP_PRECISION_BF16, "one of auto, f32, bf16"},
    };
    for (size_t i = 0; i < COPI_COUNT(number); i++)
        if (!(number[i].value >= number[i].low && number[i].value <= number[i].high)) /* so that NaN is refused */
            return copi_fail(ctx, COP_E_RANGE, "recipe: %s is %g; it must be %s", number[i].name, number[i].value,
                             number[i].range);
    if (r->resume && !r->checkpoint)
        return copi_fail(ctx, COP_E_ARG, "recipe: resume is set, but no checkpoint file is named");
    return COP_OK;
}
