/* Schedules against values worked out by hand, and what a recipe may not say. */
#include "little.h"

static const double PI = 3.14159265358979323846;

static double rate(const cop_recipe *r, int64_t t) {
    return cop_schedule_rate(r, t, 100, 10);
}

static void constant_stays(void **state) {
    (void)state;
    cop_recipe r = cop_recipe_default();
    r.schedule = COP_SCHEDULE_CONSTANT;
    r.rate = 0.3;
    for (int64_t t = 0; t < 100; t++) assert_true(rate(&r, t) == 0.3);
}

static void step_multiplies_at_each_epoch(void **state) {
    (void)state;
    cop_recipe r = cop_recipe_default();
    r.schedule = COP_SCHEDULE_STEP;
    r.rate = 1;
    r.step_epochs[0] = 3;
    r.step_epochs[1] = 4.5;
    r.step_factor = 0.5;
    const struct {
        int64_t t;
        double want;
    } at[] = {{0, 1}, {29, 1}, {30, 0.5}, {44, 0.5}, {45, 0.25}, {99, 0.25}};
    for (size_t i = 0; i < COPI_COUNT(at); i++) test_near(rate(&r, at[i].t), at[i].want, 1e-15, 0);
}

static void cosine_rises_and_falls(void **state) {
    (void)state;
    cop_recipe r = cop_recipe_default();
    r.schedule = COP_SCHEDULE_COSINE;
    r.rate = 2;
    r.warmup = 0.2; /* 20 steps */
    const struct {
        int64_t t;
        double want;
    } at[] = {{0, 2.0 / 21},
              {9, 2.0 * 10 / 21},
              {19, 2.0 * 20 / 21},
              {20, 2},
              {60, 1}, /* half way down */
              {80, 1 + cos(PI * 0.75)},
              {99, 1 + cos(PI * 79 / 80)}};
    for (size_t i = 0; i < COPI_COUNT(at); i++) test_near(rate(&r, at[i].t), at[i].want, 1e-12, 1e-12);
    r.warmup = 0;
    test_near(rate(&r, 0), 2, 1e-15, 0);
    test_near(rate(&r, 50), 1, 1e-12, 0);
}

static void one_cycle_has_three_levels(void **state) {
    (void)state;
    cop_recipe r = cop_recipe_default();
    r.schedule = COP_SCHEDULE_ONE_CYCLE;
    r.rate = 1;
    r.warmup = 0.5;
    const double low = 1.0 / 25, end = 1.0 / 250000;
    test_near(rate(&r, 0), low + (1 - low) / 51, 1e-12, 0);
    test_near(rate(&r, 24), low + (1 - low) * 25 / 51, 1e-12, 0);
    test_near(rate(&r, 50), 1, 1e-12, 0);
    test_near(rate(&r, 75), (1 + end) / 2, 1e-12, 0);
    test_near(rate(&r, 99), end + (1 - end) * 0.5 * (1 + cos(PI * 49 / 50)), 1e-12, 1e-12);
    for (int64_t t = 1; t < 100; t++)
        assert_true(t <= 50 ? rate(&r, t) > rate(&r, t - 1) : rate(&r, t) < rate(&r, t - 1));
    r.warmup = 1; /* never falls, and divides by nothing */
    test_near(rate(&r, 99), low + (1 - low) * 100 / 101, 1e-12, 0);
    test_near(cop_schedule_rate(&r, 0, 0, 0), end, 1e-9, 1e-9);
}

/* Each part is the whole schedule over its own steps, 33, 33 and 34 of 100. */
static void restarts_begin_anew(void **state) {
    (void)state;
    const cop_schedule both[] = {COP_SCHEDULE_COSINE, COP_SCHEDULE_ONE_CYCLE};
    for (int i = 0; i < 2; i++) {
        cop_recipe r = cop_recipe_default(), once = r;
        r.schedule = once.schedule = both[i];
        r.restarts = 2;
        const int64_t begin[] = {0, 33, 66, 100};
        for (int k = 0; k < 3; k++)
            for (int64_t t = begin[k]; t < begin[k + 1]; t++)
                test_near(rate(&r, t), cop_schedule_rate(&once, t - begin[k], begin[k + 1] - begin[k], 10), 1e-15, 0);
        assert_true(rate(&r, 40) > 10 * rate(&r, 32)); /* begins high again */
    }
    cop_recipe many = cop_recipe_default(); /* more parts than steps */
    many.restarts = 1000;
    for (int64_t t = 0; t < 100; t++) assert_true(isfinite(rate(&many, t)) && rate(&many, t) > 0);
}

static void names_of_choices(void **state) {
    (void)state;
    assert_string_equal(cop_optimizer_name(COP_OPTIMIZER_ADAMW), "adamw");
    assert_string_equal(cop_schedule_name(COP_SCHEDULE_ONE_CYCLE), "one-cycle");
    assert_string_equal(cop_precision_name(COP_PRECISION_BF16), "bf16");
    assert_null(cop_optimizer_name(99));
}

static void impossible_values_are_named(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_recipe r = cop_recipe_default();
    test_ok(ctx, copi_recipe_check(ctx, &r));
#define REFUSED(field, value, text)                                                                                  \
    r = cop_recipe_default();                                                                                        \
    r.field = value;                                                                                                 \
    test_fails(ctx, copi_recipe_check(ctx, &r), COP_E_RANGE, text)
    REFUSED(epochs, -1, "epochs is -1");
    REFUSED(epochs, NAN, "epochs is nan");
    REFUSED(batch, 0, "batch is 0");
    REFUSED(rate, INFINITY, "rate is inf");
    REFUSED(restarts, -1, "restarts is -1");
    REFUSED(momentum, 1, "momentum is 1");
    REFUSED(beta2, 1, "beta2 is 1");
    REFUSED(epsilon, 0, "epsilon is 0");
    REFUSED(decay, -0.1, "decay is -0.1");
    REFUSED(l1, -1, "l1 is -1");
    REFUSED(warmup, 1.5, "warmup is 1.5");
    REFUSED(flip, 2, "flip is 2");
    REFUSED(shift, -1, "shift is -1");
    REFUSED(erase, -1, "erase is -1");
    REFUSED(dropout, 1.5, "dropout is 1.5");
    REFUSED(average, 1, "average is 1");
    REFUSED(label_smoothing, 1, "label_smoothing is 1");
    REFUSED(distil_share, 2, "distil_share is 2");
    REFUSED(distil_temperature, 0, "distil_temperature is 0");
    REFUSED(optimizer, (cop_optimizer)7, "one of sgd, adam, adamw");
    REFUSED(schedule, (cop_schedule)7, "one of constant");
#undef REFUSED
    r = cop_recipe_default();
    r.resume = 1;
    test_fails(ctx, copi_recipe_check(ctx, &r), COP_E_ARG, "no checkpoint");
    test_ctx_destroy(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_stays),
        cmocka_unit_test(step_multiplies_at_each_epoch),
        cmocka_unit_test(cosine_rises_and_falls),
        cmocka_unit_test(one_cycle_has_three_levels),
        cmocka_unit_test(restarts_begin_anew),
        cmocka_unit_test(names_of_choices),
        cmocka_unit_test(impossible_values_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
