/* auto: what it decides, by hand and without training; then whole searches on a little data set. */
#include "check.h"
#include "../study/squares.h"
#include "search/auto.h"

#include <math.h>
#include <unistd.h>

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

/* What auto plans is what its study file says: the same dense net and trials, to the last bit, for every candidate. */
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

/* --------------------------------------------------------------------------------------------- whole searches -- */

static cop_ctx *one_thread(int (*cancel)(void *user), void *user) {
    cop_ctx_options o = cop_ctx_options_default();
    o.threads = 1;
    o.cancel = cancel;
    o.user = user;
    cop_ctx *ctx;
    assert_int_equal(cop_ctx_create(&o, &ctx), COP_OK);
    return ctx;
}

static cop_auto_params asked_within(double budget) {
    static char data[600];
    snprintf(data, sizeof data, "%s", in("data", ""));
    cop_auto_params p = cop_auto_params_default();
    p.model = "seed-cnn";
    p.data = data;
    p.data_options.validation = 0.2;
    p.budget = budget;
    p.flip = p.shift = p.erase = 0; /* the place of the square is its class */
    return p;
}

/* Seconds that one trial needs at the least on this machine, as a budget far too short is told. */
static double need(void) {
    static double seconds;
    if (!seconds) {
        cop_auto_params p = asked_within(0.001);
        cop_ctx *ctx = one_thread(NULL, NULL);
        test_fails(ctx, cop_auto_run(ctx, &p, in("short", ""), NULL), COP_E_REFUSED, "take about");
        assert_int_equal(sscanf(strstr(cop_error(ctx), "take about"), "take about %lf s", &seconds), 1);
        cop_ctx_destroy(ctx);
    }
    return seconds;
}

/* A budget of so many times that, less what is added to it for safety: enough on any machine. */
static cop_auto_params asked(double times) {
    return asked_within(times * fmax(0.7 * need(), 0.8));
}

static void same_file(const char *folder, const char *a, const char *b) {
    cop_ctx *ctx = test_ctx();
    uint8_t *x, *y;
    size_t n, k;
    test_ok(ctx, copi_read_file(ctx, in(folder, a), 0, &x, &n));
    test_ok(ctx, copi_read_file(ctx, in(folder, b), 0, &y, &k));
    assert_true(n == k);
    assert_memory_equal(x, y, n);
    copi_free(ctx, x);
    copi_free(ctx, y);
    test_ctx_destroy(ctx);
}

/* Each file of the frontier is the net that the summary says it is. */
static void check_nets(cop_ctx *ctx, const cop_auto_params *p, const char *folder, const cop_auto_summary *s) {
    cop_data *data;
    test_ok(ctx, cop_data_open(ctx, p->data, &p->data_options, &data));
    assert_true(s->nets > 0 && s->best >= 0 && s->best < s->nets);
    for (int i = 0; i < s->nets; i++) {
        cop_net *net;
        cop_net_info info;
        cop_eval eval;
        test_ok(ctx, cop_net_load(ctx, in(folder, s->net[i].file), &net));
        cop_net_get_info(net, &info);
        test_ok(ctx, cop_evaluate(net, data, COP_SPLIT_TEST, NULL, &eval));
        assert_true(info.sparsity == s->net[i].point.sparsity && eval.accuracy == s->net[i].point.accuracy_test);
        assert_true(info.macs_effective == s->net[i].point.macs_effective);
        if (i) assert_true(s->net[i].point.sparsity >= s->net[i - 1].point.sparsity);
        cop_net_destroy(net);
    }
    same_file(folder, s->net[s->best].file, "best.safetensors");
    cop_data_destroy(data);
}

static void test_whole(void **state) {
    (void)state;
    cop_ctx *ctx = one_thread(NULL, NULL);
    const cop_auto_params p = asked(7);
    cop_auto_summary s, again;
    test_ok(ctx, cop_auto_run(ctx, &p, in("whole", ""), &s));
    assert_true(s.met && !*s.missed && s.trials >= 1);
    check_nets(ctx, &p, "whole", &s);
    for (int i = 0; i < s.nets; i++) { /* chosen on validation */
        const cop_point *q = &s.net[i].point, *best = &s.net[s.best].point;
        assert_true(cop_score(q->accuracy_val, q->sparsity, s.floor) <=
                    cop_score(best->accuracy_val, best->sparsity, s.floor));
    }
    assert_int_equal(access(in("whole", "report.html"), R_OK), 0);
    /* the same command finds everything done */
    char *before = read_text("whole", "trials.csv");
    test_ok(ctx, cop_auto_run(ctx, &p, in("whole", ""), &again));
    char *after = read_text("whole", "trials.csv");
    assert_string_equal(before, after);
    assert_true(again.nets == s.nets && again.best == s.best && again.seconds == s.seconds);
    /* a net that was lost comes again, from the same trial */
    int lost = s.best;
    assert_int_equal(rename(in("whole", s.net[lost].file), in("whole", "kept")), 0);
    cop_auto_summary_clear(&again);
    test_ok(ctx, cop_auto_run(ctx, &p, in("whole", ""), &again));
    same_file("whole", s.net[lost].file, "best.safetensors");
    /* what it wrote is a study that gives the same trials */
    test_ok(ctx, cop_study_run(ctx, in("whole", "auto.yaml"), in("repeated", ""), NULL));
    char *whole = measured("whole"), *repeated = measured("repeated");
    assert_string_equal(whole, repeated);
    free(whole);
    free(repeated);
    free(before);
    free(after);
    /* asked for something else */
    cop_auto_params other = p;
    other.sparsity = 0.9;
    test_fails(ctx, cop_auto_run(ctx, &other, in("whole", ""), NULL), COP_E_REFUSED, "other parameters");
    test_fails(ctx, cop_auto_run(ctx, &p, in("repeated", ""), NULL), COP_E_REFUSED, "not made by auto");
    cop_auto_summary_clear(&again);
    cop_auto_summary_clear(&s);
    cop_ctx_destroy(ctx);
}

static int once_planned(void *user) {
    return access(user, F_OK) == 0;
}

/* A dense net that is trained long loses squares of a third of the image's side, a short one does not; nothing else
 * does. Stopped as soon as the study file is there. */
static void test_erase(void **state) {
    (void)state;
    static const struct {
        const char *folder;
        double times;
        int erase;
    } rows[] = {{"long", 1000, 1}, {"short", 1.5, 1}, {"unasked", 1000, 0}};
    for (size_t i = 0; i < COPI_COUNT(rows); i++) {
        char path[600];
        snprintf(path, sizeof path, "%s", in(rows[i].folder, "auto.yaml"));
        cop_ctx *ctx = one_thread(once_planned, path);
        cop_auto_params p = asked_within(rows[i].times * need());
        p.erase = rows[i].erase;
        test_fails(ctx, cop_auto_run(ctx, &p, in(rows[i].folder, ""), NULL), COP_E_CANCELLED, "interrupted");
        char *text = read_text(rows[i].folder, "auto.yaml"), *first = strstr(text, "erase: "),
             *epochs = strstr(text, "epochs: ");
        assert_non_null(first);
        assert_non_null(epochs);
        bool due = rows[i].erase && atoi(epochs + strlen("epochs: ")) >= 30;
        assert_int_equal(atoi(first + strlen("erase: ")), due ? SIDE / 3 : 0);
        assert_true(rows[i].times < 1000 || due == rows[i].erase);
        assert_null(strstr(first + 1, "erase: "));
        free(text);
        cop_ctx_destroy(ctx);
    }
}

typedef struct stopper {
    int polls, most;
} stopper;
static int stop(void *user) {
    stopper *s = user;
    return ++s->polls >= s->most;
}

/* Interrupted in the dense net, in choosing and later: what was decided stays, what it cost counts. */
static void test_interrupted(void **state) {
    (void)state;
    const cop_auto_params p = asked(7);
    char *file = NULL;
    for (int most = 60; most <= 1500; most *= 5) {
        stopper s = {.most = most};
        cop_ctx *ctx = one_thread(stop, &s);
        cop_status status = cop_auto_run(ctx, &p, in("stopped", ""), NULL);
        if (status) test_fails(ctx, status, COP_E_CANCELLED, most < 100 ? "interrupted" : "run the same command");
        cop_ctx_destroy(ctx);
        if (access(in("stopped", "auto.yaml"), R_OK)) continue;
        char *now = read_text("stopped", "auto.yaml");
        if (file && !strstr(file, "sparsity: 0.98}")) /* there was a decision: it stands */
            assert_int_equal(strncmp(file, now, strlen(file)), 0);
        free(file);
        file = now;
    }
    cop_ctx *ctx = one_thread(NULL, NULL);
    cop_auto_summary s;
    copi_store *store;
    char *text;
    test_ok(ctx, cop_auto_run(ctx, &p, in("stopped", ""), &s));
    check_nets(ctx, &p, "stopped", &s);
    test_ok(ctx, copi_store_open(ctx, in("stopped", ""), COPI_STORE_READ, &store));
    test_ok(ctx, copi_store_get(store, "auto_lost", &text));
    copi_results r;
    test_ok(ctx, copi_store_load(store, &r));
    copi_store_close(store);
    assert_non_null(text);
    int count, used;
    double seconds, lost = 0, worked = 0;
    for (const char *at = text; sscanf(at, "%d %lf %n", &count, &seconds, &used) == 2; at += used) lost += seconds;
    for (int i = 0; i < r.trials; i++) worked += r.trial[i].seconds;
    assert_true(lost > 0 && s.seconds > lost + worked); /* and what measuring the speed took */
    copi_results_clear(&r);
    copi_free(ctx, text);
    free(file);
    cop_auto_summary_clear(&s);
    cop_ctx_destroy(ctx);
}

/* With time enough all candidates are tried, the recipe without a teacher too, each by a trial of its own. */
static void test_choice(void **state) {
    (void)state;
    cop_ctx *ctx = one_thread(NULL, NULL);
    cop_auto_params p = asked(20);
    static char model[600];
    snprintf(model, sizeof model, "%s", in("whole", "dense-1.safetensors"));
    p.model = model;
    cop_auto_summary s;
    test_ok(ctx, cop_auto_run(ctx, &p, in("choice", ""), &s));
    assert_true(s.trials >= 8); /* five, the better two again, two levels or a long one */
    cop_auto_summary_clear(&s);
    char *text = read_text("choice", "auto.yaml"), *csv = read_text("choice", "trials.csv");
    static const char *const keys[] = {"recipe: fast, sparsity", "distil_share: 0}", "method: lamp,",
                                       "method: magnitude, scope: layer", "method: compound"};
    for (size_t i = 0; i < COPI_COUNT(keys); i++) assert_non_null(strstr(text, keys[i]));
    assert_non_null(strstr(csv, "recipe fast, tune distil_share 0"));
    free(text);
    free(csv);
    cop_ctx_destroy(ctx);
}

/* Bounds on a trained file: met together, or the one that binds is named and the nearest net kept. */
static void test_targets(void **state) {
    (void)state;
    cop_ctx *ctx = one_thread(NULL, NULL);
    cop_auto_params p = asked(5);
    static char model[600];
    snprintf(model, sizeof model, "%s", in("whole", "dense-1.safetensors"));
    p.model = model;
    cop_net *net;
    cop_net_info info;
    test_ok(ctx, cop_net_load(ctx, model, &net));
    cop_net_get_info(net, &info);
    cop_net_destroy(net);
    cop_auto_summary s;
    p.sparsity = 0.9;
    p.macs = info.macs_effective / 5;
    test_ok(ctx, cop_auto_run(ctx, &p, in("both", ""), &s));
    assert_true(s.met && s.net[s.best].meets);
    assert_true(s.net[s.best].point.sparsity >= 0.9 && s.net[s.best].point.macs_effective <= p.macs);
    check_nets(ctx, &p, "both", &s);
    cop_auto_summary_clear(&s);
    p.macs = 0;
    p.sparsity = 0;
    p.bytes = 100000;
    p.ms = 100;
    test_ok(ctx, cop_auto_run(ctx, &p, in("bytes", ""), &s));
    assert_true(s.met && s.net[s.best].bytes > 0 && s.net[s.best].bytes <= 100000 && s.net[s.best].ms <= 100);
    cop_auto_summary_clear(&s);
    p.bytes = 0;
    p.ms = 0;
    p.macs = 1;
    test_ok(ctx, cop_auto_run(ctx, &p, in("never", ""), &s));
    assert_true(!s.met && !s.net[s.best].meets);
    assert_non_null(strstr(s.missed, "macs: "));
    assert_non_null(strstr(s.missed, "over 1"));
    check_nets(ctx, &p, "never", &s);
    cop_auto_summary_clear(&s);
    p.macs = 0;
    p.lose = 1;
    test_ok(ctx, cop_auto_run(ctx, &p, in("lose", ""), &s)); /* everything holds: sparser and sparser */
    assert_true(s.met && s.net[s.best].point.sparsity > 0.95 && s.floor == 0);
    cop_auto_summary_clear(&s);
    p.lose = NAN;
    p.floor = 0.3; /* one of four classes is right by chance */
    p.sparsity = 0.8;
    p.parameters = info.nonzero / 8;
    p.macs = info.macs_effective / 3;
    p.bytes = 200000;
    p.ms = 100;
    test_ok(ctx, cop_auto_run(ctx, &p, in("all", ""), &s));
    const cop_auto_net *best = &s.net[s.best];
    assert_true(s.met && best->meets && best->point.accuracy_val >= 0.3 && best->point.sparsity >= 0.8);
    assert_true(best->point.nonzero <= p.parameters && best->point.macs_effective <= p.macs);
    assert_true(best->bytes > 0 && best->bytes <= p.bytes && best->ms > 0 && best->ms <= p.ms);
    check_nets(ctx, &p, "all", &s);
    cop_auto_summary_clear(&s);
    char *before = read_text("all", "trials.csv"); /* levels rest on measured milliseconds, and come again */
    test_ok(ctx, cop_auto_run(ctx, &p, in("all", ""), &s));
    char *after = read_text("all", "trials.csv");
    assert_string_equal(before, after);
    free(before);
    free(after);
    cop_auto_summary_clear(&s);
    p.floor = 1; /* no net of so few weights is always right */
    p.parameters = 100;
    p.macs = p.bytes = 0;
    p.sparsity = p.ms = 0;
    test_ok(ctx, cop_auto_run(ctx, &p, in("contrary", ""), &s));
    assert_true(!s.met && (strstr(s.missed, "accuracy: ") || strstr(s.missed, "parameters: ")));
    check_nets(ctx, &p, "contrary", &s);
    cop_auto_summary_clear(&s);
    cop_ctx_destroy(ctx);
}

static void test_refused(void **state) {
    (void)state;
    cop_ctx *ctx = one_thread(NULL, NULL);
    cop_auto_params p = asked_within(0.001);
    test_fails(ctx, cop_auto_run(ctx, &p, in("short", ""), NULL), COP_E_REFUSED,
               "is too short for one trial: an epoch of");
    assert_int_not_equal(access(in("short", ""), F_OK), 0);
#define REFUSED(change, status, part)                                                                                \
    do {                                                                                                             \
        p = asked(5);                                                                                                \
        change;                                                                                                      \
        test_fails(ctx, cop_auto_run(ctx, &p, in("short", ""), NULL), status, part);                                 \
        assert_int_not_equal(access(in("short", ""), F_OK), 0);                                                      \
    } while (0)
    REFUSED(p.budget = 0, COP_E_RANGE, "budget is 0");
    REFUSED(p.budget = NAN, COP_E_RANGE, "budget is nan");
    REFUSED(p.floor = 0, COP_E_RANGE, "floor is 0");
    REFUSED(p.lose = 2, COP_E_RANGE, "lose is 2");
    REFUSED(p.sparsity = 1, COP_E_RANGE, "sparsity is 1");
    REFUSED(p.parameters = -1, COP_E_RANGE, "parameters is -1");
    REFUSED(p.macs = -1, COP_E_RANGE, "macs is -1");
    REFUSED(p.bytes = -1, COP_E_RANGE, "bytes is -1");
    REFUSED(p.ms = -1, COP_E_RANGE, "ms is -1");
    REFUSED(p.flip = 2, COP_E_RANGE, "flip is 2");
    REFUSED(p.shift = 65, COP_E_RANGE, "shift is 65");
    REFUSED(p.erase = 2, COP_E_RANGE, "erase is 2");
    REFUSED((p.floor = 0.5, p.lose = 0.1), COP_E_ARG, "give one");
    REFUSED(p.model = NULL, COP_E_ARG, "a model");
    REFUSED(p.model = "seed-cn", COP_E_NOT_FOUND, "did you mean 'seed-cnn'?");
    REFUSED(p.data = "nowhere", COP_E_NOT_FOUND, "nowhere");
    REFUSED(p.data_options.validation = 0, COP_E_NOT_FOUND, "validation");
    REFUSED(p.model = p.data, COP_E_FORMAT, "data");
#undef REFUSED
    cop_ctx_destroy(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_halving),   cmocka_unit_test(test_little_time),    cmocka_unit_test(test_all_diverge),
        cmocka_unit_test(test_bisection), cmocka_unit_test(test_misses_at_once), cmocka_unit_test(test_cost),
        cmocka_unit_test(test_bounds),    cmocka_unit_test(test_file),           cmocka_unit_test(test_refused),
        cmocka_unit_test(test_whole),     cmocka_unit_test(test_erase),          cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_targets),   cmocka_unit_test(test_choice),
    };
    test_dir_make(dir);
    make_data();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_dir_remove(dir);
    return failed;
}
