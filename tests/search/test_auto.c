/* auto: what it decides, by hand and without training. */
#include "check.h"
#include "../study/squares.h"
#include "search/auto.h"

#include <math.h>

/* ------------------------------------------------------------------------------------------ decisions by hand -- */

static const copi_candidate four[] = {
    {"a", "lamp", "global"}, {"b", "lamp", "global"}, {"c", "lamp", "global"}, {"d", "lamp", "global"}};

static copi_auto planner(cop_ctx *ctx, const cop_auto_params *p) {
    copi_auto a = {.ctx = ctx, .p = p, .floor = 0.6, .plain = 1, .distilled = 2};
    for (size_t i = 0; i < COPI_COUNT(four); i++) a.candidate[a.candidates++] = &four[i];
    return a;
}

/* Give the attempts from number `from` on a net each: accuracy as a function of candidate and level. */
static double run_attempts(copi_auto *a, int from, double (*accuracy)(int candidate, double level)) {
    double spent = 0;
    for (int i = from; i < a->attempts; i++) {
        copi_attempt *t = &a->attempt[i];
        t->done = true;
        t->seconds = 2 * t->epochs;
        t->p = (cop_point){.sparsity = t->level, .accuracy_val = accuracy(t->candidate, t->level)};
        spent += t->seconds;
    }
    return spent;
}

/* The second is best, the last but one worst; the score is highest at .982. */
static double peaked(int candidate, double level) {
    const double better[] = {0.01, 0.03, 0, 0.02};
    double x = log(1 - level) - log(1 - 0.982);
    return 1.8 - level - 0.05 * x * x + better[candidate] - 0.1;
}

static void test_halving(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    const cop_auto_params p = cop_auto_params_default();
    copi_auto a = planner(ctx, &p);
    double left = 400;
    bool more;
    test_ok(ctx, copi_auto_next(&a, left, &more));
    assert_true(more && a.attempts == 4);
    assert_true(a.rung_epochs == 4); /* a quarter of 400 s, over 4 x 2 x 2 s and 4 x 2 s */
    for (int i = 0; i < 4; i++)
        assert_true(a.attempt[i].candidate == i && a.attempt[i].epochs == 4 && a.attempt[i].level == 0.98);
    left -= run_attempts(&a, 0, peaked);
    test_ok(ctx, copi_auto_next(&a, left, &more));
    assert_true(more && a.attempts == 6); /* the better half, twice as long */
    assert_true(a.attempt[4].candidate == 1 && a.attempt[5].candidate == 3);
    assert_true(a.attempt[4].epochs == 8 && a.attempt[5].epochs == 8);
    left -= run_attempts(&a, 4, peaked);
    test_ok(ctx, copi_auto_next(&a, left, &more));
    assert_true(more && a.attempts == 8 && a.winner == 1); /* the winner at two other levels */
    assert_true(a.attempt[6].level == 0.99 && a.attempt[7].level == 0.97);
    left -= run_attempts(&a, 6, peaked);
    assert_true(left == 400 - 2 * (16 + 16 + 16));
    test_ok(ctx, copi_auto_next(&a, left, &more));
    assert_true(more && a.attempts == 9 && a.attempt[8].candidate == 1);
    test_near(a.attempt[8].level, 0.982, 0, 2e-4); /* the parabola's top */
    assert_true(a.attempt[8].epochs == floor(0.55 * floor(0.97 * left / 2)));
    for (int from = 8; more; from = a.attempts - 1) {
        left -= run_attempts(&a, from, peaked);
        test_ok(ctx, copi_auto_next(&a, left, &more));
    }
    assert_true(left >= 0 && left < 400 * 0.05); /* kept, and used */
    assert_true(a.attempts == 13);
    copi_free(ctx, a.attempt);
    test_ctx_destroy(ctx);
}

static void test_little_time(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    const cop_auto_params p = cop_auto_params_default();
    bool more;
    copi_auto a = planner(ctx, &p);
    test_ok(ctx, copi_auto_next(&a, 20, &more)); /* 10 epochs: no time to choose, one long trial of the first */
    assert_true(more && a.attempts == 1 && a.attempt[0].candidate == 0 && a.attempt[0].level == 0.98);
    assert_true(a.attempt[0].epochs == 4); /* .55 of 9, and the rest for another */
    run_attempts(&a, 0, peaked);
    test_ok(ctx, copi_auto_next(&a, 12, &more));
    assert_true(more && a.attempts == 2 && a.attempt[1].epochs == 5); /* 5: not worth halving */
    run_attempts(&a, 1, peaked);
    test_ok(ctx, copi_auto_next(&a, 2, &more));
    assert_true(!more && a.attempts == 2);
    copi_free(ctx, a.attempt);
    a = planner(ctx, &p);
    test_ok(ctx, copi_auto_next(&a, -5, &more)); /* the dense net took it all: one trial all the same */
    assert_true(more && a.attempts == 1 && a.attempt[0].epochs == 1);
    run_attempts(&a, 0, peaked);
    test_ok(ctx, copi_auto_next(&a, -7, &more));
    assert_false(more);
    copi_free(ctx, a.attempt);
    test_ctx_destroy(ctx);
}

/* Trials that gave no net are never chosen, and end nothing. */
static double nothing(int candidate, double level) {
    (void)candidate;
    (void)level;
    return NAN;
}
static void test_all_diverge(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    const cop_auto_params p = cop_auto_params_default();
    copi_auto a = planner(ctx, &p);
    bool more = true;
    int steps = 0;
    for (int from = 0; more; from = a.attempts, steps++) {
        test_ok(ctx, copi_auto_next(&a, 400, &more));
        run_attempts(&a, from, nothing);
        assert_true(steps < 20);
    }
    assert_true(a.attempts >= 4 && copi_auto_merit(&a, &a.attempt[0]) == -1);
    copi_free(ctx, a.attempt);
    test_ctx_destroy(ctx);
}

static double edge;
static double step_at_edge(int candidate, double level) {
    (void)candidate;
    return level <= edge ? 0.8 : 0.7;
}

/* The sparsest net that holds: found between a level that holds and one that does not, wherever the edge is. */
static void test_bisection(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_auto_params p = cop_auto_params_default();
    p.lose = 0.05;
    const double edges[] = {0.7, 0.93, 0.979, 0.98, 0.9863, 0.997};
    for (size_t e = 0; e < COPI_COUNT(edges); e++) {
        copi_auto a = planner(ctx, &p);
        a.floor = 0.75;
        edge = edges[e];
        double left = 2000, holds = 0, fails = 1;
        bool more = true;
        for (int from = 0; more; from = a.attempts) {
            test_ok(ctx, copi_auto_next(&a, left, &more));
            left -= run_attempts(&a, from, step_at_edge);
        }
        for (int i = 0; i < a.attempts; i++) {
            const copi_attempt *t = &a.attempt[i];
            if (t->level <= edge) holds = fmax(holds, t->level);
            if (t->level > edge) fails = fmin(fails, t->level);
        }
        assert_true(left >= 0);
        /* of what may be left, within a factor: bracketed from one side or both */
        if (holds == 0 || (1 - holds) / (1 - edge) > 1.8) fail_msg("edge %g: holds %g, fails %g", edge, holds, fails);
        copi_free(ctx, a.attempt);
    }
    test_ctx_destroy(ctx);
}

static double slow_to_learn(int candidate, double level) {
    (void)candidate;
    (void)level;
    return 0.7;
}

/* Sparsity and accuracy bound together, and the first long trial misses: all that is left goes into one more. */
static void test_misses_at_once(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_auto_params p = cop_auto_params_default();
    p.floor = 0.75;
    p.sparsity = 0.985;
    copi_auto a = planner(ctx, &p);
    a.floor = 0.75;
    test_ok(ctx, copi_make_dir(ctx, in("levels", "")));
    test_ok(ctx, copi_store_open(ctx, in("levels", ""), COPI_STORE_WRITE, &a.study.store));
    for (int candidate = 0; candidate < a.candidates; candidate++)
        for (int attempts = 0; attempts < 20; attempts++) { /* as found before: there is no net here */
            char key[48];
            snprintf(key, sizeof key, "auto_level %d %d", candidate, attempts);
            test_ok(ctx, copi_store_set(a.study.store, key, "0.985 0.5"));
        }
    double left = 2000;
    bool more = true;
    for (int from = 0; more; from = a.attempts) {
        test_ok(ctx, copi_auto_next(&a, left, &more));
        left -= run_attempts(&a, from, slow_to_learn);
    }
    const copi_attempt *last = &a.attempt[a.attempts - 1];
    assert_true(last->epochs > 2 * last[-1].epochs && left >= 0 && left < 0.1 * 2000);
    for (int i = 0; i < a.attempts; i++) test_near(a.attempt[i].level, 0.985, 1e-9, 0);
    assert_true(a.estimating >= 0.5 * 4);
    copi_store_close(a.study.store);
    copi_free(ctx, a.attempt);
    test_ctx_destroy(ctx);
}

/* What an epoch costs is told by all sessions of a trial. */
static void test_cost(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_auto_params p = cop_auto_params_default();
    copi_auto a = planner(ctx, &p);
    test_near(copi_auto_cost(&a, 1), 2, 0, 0);
    test_ok(ctx, copi_auto_add(&a, 1, 10, 0.9));
    a.attempt[0] = (copi_attempt){.candidate = 1, .epochs = 10, .done = true, .seconds = 3, .p = {.seconds = 30}};
    test_near(copi_auto_cost(&a, 1), 3, 0, 0);
    copi_free(ctx, a.attempt);
    test_ctx_destroy(ctx);
}

static void test_bounds(void **state) {
    (void)state;
    cop_auto_params p = cop_auto_params_default();
    copi_auto a = {.p = &p, .floor = 0.8};
    const cop_point point = {.sparsity = 0.9, .accuracy_val = 0.75, .nonzero = 1000, .macs_effective = 2000};
    copi_measures m = copi_auto_measures(&point, 3000, 0.5);
    copi_bound which;
    char text[256];
    assert_false(copi_auto_bound(&a) || copi_auto_accuracy_bound(&a));
    assert_true(copi_auto_miss(&a, &m, true, NULL) == 0);
    p.sparsity = 0.9, p.parameters = 1000, p.macs = 2000, p.bytes = 3000, p.ms = 0.5;
    assert_true(copi_auto_bound(&a) && copi_auto_miss(&a, &m, true, NULL) == 0); /* exactly met is met */
#define MISSES(change, by, told)                                                                                     \
    do {                                                                                                             \
        cop_auto_params kept = p;                                                                                    \
        change;                                                                                                      \
        test_near(copi_auto_miss(&a, &m, true, &which), by, 1e-9, 0);                                                \
        copi_auto_tell_miss(&a, &m, which, text, sizeof text);                                                       \
        assert_string_equal(text, told);                                                                             \
        p = kept;                                                                                                    \
    } while (0)
    MISSES(p.sparsity = 0.95, 1, "sparsity: 90.00 %, 5.00 points below 95 %");
    MISSES(p.parameters = 800, 0.25, "parameters: 1000, 25.0 % over 800");
    MISSES(p.macs = 1600, 0.25, "macs: 2000, 25.0 % over 1600");
    MISSES(p.bytes = 2400, 0.25, "bytes: 3000, 25.0 % over 2400");
    MISSES(p.ms = 0.4, 0.25, "ms: 0.5, 25.0 % over 0.4");
    MISSES(p.lose = 0.1, 0.0625, "accuracy: 75.00 % on validation, 5.00 points below the floor of 80.00 %");
    MISSES((p.lose = 0.1, p.macs = 1600), 0.25, "macs: 2000, 25.0 % over 1600"); /* what binds most */
#undef MISSES
    for (double level = 0.5; level < 0.9995; level += 0.0007) {
        double rounded = copi_auto_round(level);
        assert_true(rounded >= level - 1e-9 && 1 - rounded > 0.985 * (1 - level));
    }
    assert_true(copi_auto_round(0) == 0 && copi_auto_round(1) == 0.9995);
}

/* What auto plans is what its study file says: the same dense net and trials, to the last bit, for every
 * candidate. */
static void test_file(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    static const double epochs[] = {3, 7.1234567, 40.0 / 3};
    cop_data *data;
    cop_data_options o = cop_data_options_default();
    o.validation = 0.2;
    test_ok(ctx, cop_data_open(ctx, in("data", ""), &o, &data));
    for (int file = 0; file < 2; file++) {
        cop_auto_params p = cop_auto_params_default();
        char model[600], folder[600];
        snprintf(model, sizeof model, "%s", file ? in("data", "") : "seed-cnn"); /* any path does */
        snprintf(folder, sizeof folder, "%s", in("planned", ""));
        p.model = model;
        p.data = data->info.path;
        p.data_options = o;
        p.macs = 1234567891;
        copi_auto a = {.ctx = ctx, .p = &p, .dir = folder, .floor = 1.0 / 3, .study = {.data = data}};
        a.dense_epochs = file ? 0 : 100.0 / 3;
        copi_auto_candidates(&a);
        for (int c = 0; c < a.candidates; c++)
            for (size_t i = 0; i < COPI_COUNT(epochs); i++)
                test_ok(ctx, copi_auto_add(&a, c, epochs[i], copi_auto_round(0.98765)));
        copi_spec planned, read;
        copi_trials mine, its;
        test_ok(ctx, copi_auto_spec(&a, &planned));
        test_ok(ctx, copi_spec_parse(ctx, planned.path, planned.text, strlen(planned.text), &read));
        test_ok(ctx, copi_trials_expand(&planned, "data", "model", &mine));
        test_ok(ctx, copi_trials_expand(&read, "data", "model", &its));
        assert_int_equal(a.attempts, a.candidates * (int)COPI_COUNT(epochs));
        assert_int_equal(mine.n, 1 + a.attempts);
        assert_int_equal(mine.n, its.n);
        for (int t = 0; t < mine.n; t++) {
            assert_string_equal(mine.trial[t].name, its.trial[t].name);
            assert_string_equal(mine.trial[t].label, its.trial[t].label);
        }
        assert_true(planned.floor == read.floor && planned.data_options.validation == read.data_options.validation);
        assert_string_equal(planned.name, read.name);
        copi_trials_clear(&mine);
        copi_trials_clear(&its);
        copi_spec_clear(&planned);
        copi_spec_clear(&read);
        copi_free(ctx, a.attempt);
    }
    cop_data_destroy(data);
    test_ctx_destroy(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_halving),   cmocka_unit_test(test_little_time),    cmocka_unit_test(test_all_diverge),
        cmocka_unit_test(test_bisection), cmocka_unit_test(test_misses_at_once), cmocka_unit_test(test_cost),
        cmocka_unit_test(test_bounds),    cmocka_unit_test(test_file),
    };
    test_dir_make(dir);
    make_data();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_dir_remove(dir);
    return failed;
}
