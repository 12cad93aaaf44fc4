/* Means, frontiers, hypervolume, the best of each method and the claims, against figures worked out by hand. */
#include "check.h"
#include "synthetic.h"

static char dir[256];

static void test_spread(void **state) {
    (void)state;
    const double x[] = {2, 4, 4, 4, 5, 5, 7, 9};
    copi_spread s = copi_spread_of(x, 8);
    assert_int_equal(s.n, 8);
    test_near(s.mean, 5, 0, 1e-15);
    test_near(s.std, sqrt(32.0 / 7), 1e-15, 0); /* squares sum to 32 */
    const double with_gap[] = {1, NAN, 3};
    s = copi_spread_of(with_gap, 3);
    assert_int_equal(s.n, 2);
    test_near(s.mean, 2, 0, 1e-15);
    test_near(s.std, sqrt(2), 1e-15, 0);
    s = copi_spread_of(with_gap, 1);
    assert_true(s.n == 1 && s.mean == 1 && isnan(s.std));
    s = copi_spread_of(with_gap, 0);
    assert_true(s.n == 0 && isnan(s.mean) && isnan(s.std));
}

static void test_frontier(void **state) {
    (void)state;
    /*                   on    on    under  equal twice   on    NaN */
    const double x[] = {0.0, 0.5, 0.4, 0.9, 0.9, 0.95, 0.99};
    const double y[] = {0.9, 0.8, 0.7, 0.6, 0.6, 0.1, NAN};
    const bool wanted[] = {true, true, false, true, false, true, false};
    bool on[7];
    copi_frontier(x, y, 7, on);
    assert_memory_equal(on, wanted, sizeof on);
    /* same x: the higher; same y: the farther */
    const double x2[] = {0.5, 0.5, 0.7}, y2[] = {0.8, 0.9, 0.8};
    const bool wanted2[] = {false, true, true};
    copi_frontier(x2, y2, 3, on);
    assert_memory_equal(on, wanted2, sizeof wanted2);
}

static void test_hypervolume(void **state) {
    (void)state;
    int scratch[4];
    /* three steps over (0, .6): .9 wide to .7, .5 wide to .8, .2 wide to .9 */
    const double x[] = {0.5, 0.9, 0.2}, y[] = {0.8, 0.7, 0.9};
    test_near(copi_hypervolume(x, y, 3, 0, 0.6, scratch), 0.9 * 0.1 + 0.5 * 0.1 + 0.2 * 0.1, 1e-15, 0);
    /* a point under another, one under the floor, one left of the corner and a NaN add nothing */
    const double x2[] = {0.5, 0.4, 0.99, 0}, y2[] = {0.8, 0.75, 0.5, 0.99};
    test_near(copi_hypervolume(x2, y2, 4, 0, 0.6, scratch), 0.5 * 0.2, 1e-15, 0);
    const double x3[] = {0.5, NAN}, y3[] = {NAN, 0.9};
    assert_true(copi_hypervolume(x3, y3, 2, 0, 0.6, scratch) == 0);
    assert_true(copi_hypervolume(x3, y3, 0, 0, 0.6, scratch) == 0);
}

static void test_score(void **state) {
    (void)state;
    test_near(cop_score(0.7264, 0.985, 0.6), 0.8557, 1e-12, 0); /* the reference study's best */
    test_near(cop_score(0.6, 0.5, 0.6), 0.55, 1e-12, 0);
    assert_true(cop_score(0.5999, 0.99, 0.6) == 0);
}

static void test_order(void **state) {
    (void)state;
    const double x[] = {3, 1, 2, 1};
    int order[4];
    const int wanted[] = {1, 3, 2, 0};
    copi_order(x, 4, order);
    assert_memory_equal(order, wanted, sizeof order);
}

typedef struct loaded {
    cop_ctx *ctx;
    copi_store *store;
    copi_results r;
    copi_figures f;
    copi_claim claim[COPI_CLAIMS];
} loaded;

static void load(loaded *x, const made_trial *made, int n) {
    static int number;
    char path[300];
    snprintf(path, sizeof path, "%s/%d", dir, number++);
    x->ctx = test_ctx();
    test_ok(x->ctx, copi_store_open(x->ctx, path, COPI_STORE_WRITE, &x->store));
    test_ok(x->ctx, made_fill(x->ctx, x->store, made, n, 0.6, "made up"));
    test_ok(x->ctx, copi_store_load(x->store, &x->r));
    test_ok(x->ctx, copi_figures_make(&x->r, &x->f));
    copi_claims_make(&x->r, &x->f, x->claim);
}

static void unload(loaded *x) {
    copi_figures_clear(&x->f);
    copi_results_clear(&x->r);
    copi_store_close(x->store);
    test_ctx_destroy(x->ctx);
}

/* Two seeds; the setting that is best in the mean is not the one with the best single net. */
static void test_settings(void **state) {
    (void)state;
    static const made_trial made[] = {
        {"dense", 0, 1, "done", NULL, {{0, .90, .89, 6, 0}}, 1},
        {"magnitude", .5, 1, "done", NULL, {{.5, .88, .87, 0, 0}}, 1},
        {"magnitude", .9, 1, "done", NULL, {{.9, .86, .80, 2, 1}}, 1},
        {"sss", 1e-3, 1, "done", NULL, {{.6, .88, .88, 4, 1}, {.8, .85, .85, 4, 1}}, 2},
        {"dense", 0, 2, "done", NULL, {{0, .92, .91, 6, 0}}, 1},
        {"magnitude", .5, 2, "done", NULL, {{.5, .90, .89, 0, 0}}, 1},
        {"magnitude", .9, 2, "diverged", "loss", {{0, 0, 0, 0, 1}}, 0},
        {"sss", 1e-3, 2, "done", NULL, {{.6, .90, .90, 4, 1}, {.8, .95, .86, 4, 1}}, 2},
        {"l1-filter", .5, 1, "done", NULL, {{.3, .40, .41, 0, 0}}, 1},
        {"random", .5, 2, "pending", NULL, {{0}}, 0},
        {"dense", 0, 3, "diverged", "loss", {{0}}, 0}, /* that is no fault of what needed it */
        {"magnitude", .5, 3, "refused", "its dense net diverged", {{0}}, 0},
    };
    loaded x;
    load(&x, made, (int)COPI_COUNT(made));
    assert_int_equal(x.f.settings, 6); /* dense, .5, .9, sss twice, l1-filter */
    assert_int_equal(x.f.methods, 5);
    assert_string_equal(x.f.method[0].name, "dense");
    assert_string_equal(x.f.method[4].name, "random");
    assert_int_equal(x.f.method[4].best, -1);
    assert_int_equal(x.f.method[3].best, -1); /* l1-filter is under the floor */
    assert_int_equal(x.f.dense, 0);
    assert_true(x.f.done == 8 && x.f.diverged == 2 && x.f.pending == 1 && x.f.refused == 1 && x.f.points == 10);
    const copi_setting *s = x.f.setting;
    assert_int_equal(s[1].seeds, 2);
    test_near(s[1].test.mean, 0.88, 1e-12, 0);
    test_near(s[1].test.std, 0.02 / sqrt(2), 1e-12, 0);
    assert_true(s[2].seeds == 1 && s[2].lost == 1 && !s[1].lost); /* the other seed diverged: it is not chosen */
    assert_true(isnan(s[2].test.std));
    /* sss at .8: mean validation .9, score (.9+.8)/2 = .85 */
    test_near(s[4].score_val.mean, 0.85, 1e-12, 0);
    assert_int_equal(x.f.best, 4);
    assert_int_equal(x.f.method[2].best, 4);
    assert_int_equal(s[4].best_seed->seed, 2);
    /* frontier on validation means: dense .91 at 0, sss .89 at .6, .90 at .8 (beats .6) */
    const bool wanted[] = {true, false, false, false, true, false};
    for (int i = 0; i < 6; i++) assert_int_equal(s[i].on_frontier, wanted[i]);
    /* test: sss (.8, .855), dense (0, .90), over the floor .6 */
    test_near(x.f.hypervolume, 0.8 * 0.255, 1e-12, 0);
    test_near(x.f.hypervolume_val, 0.8 * 0.3, 1e-12, 0);
    test_near(x.f.method[1].hypervolume, 0.5 * 0.28, 1e-12, 0);
    assert_true(x.f.method[3].hypervolume == 0);
    char label[160];
    assert_string_equal(copi_setting_label(&s[4], label), "sss 0.001, threshold 0.001");
    assert_string_equal(copi_setting_label(&s[2], label), "magnitude 0.9");
    unload(&x);
}

static void verdicts(const loaded *x, const char *wanted) {
    static const char letters[] = "?cr"; /* undecided, confirmed, refuted */
    char got[COPI_CLAIMS + 1] = {0};
    for (int i = 0; i < COPI_CLAIMS; i++) got[i] = letters[x->claim[i].verdict];
    assert_string_equal(got, wanted);
}

/* The reference study as it tells itself: all six confirmed. Filters lose 4/9 of conv's share for each of dense's. */
static void test_claims_confirmed(void **state) {
    (void)state;
    static const made_trial made[] = {
        {"dense", 0, 1, "done", NULL, {{0, .78, .767, 8, 0}}, 1},
        {"magnitude", .3, 1, "done", NULL, {{.3, .77, .76, 0, 0}}, 1},
        {"magnitude", .9, 1, "done", NULL, {{.9, .40, .39, 0, 0}}, 1},
        {"l2-neuron", .3, 1, "done", NULL, {{.3, .75, .74, 0, 0}}, 1},
        {"l2-neuron", .9, 1, "done", NULL, {{.9, .55, .54, 0, 0}}, 1},
        {"l1-filter", .05, 1, "done", NULL, {{.02, .70, .69, 0, 0}}, 1},
        {"l1-filter", .1, 1, "done", NULL, {{.04, .50, .49, 0, 0}}, 1},
        {"magnitude", .9, 1, "done", NULL, {{.5, .77, .76, 2, 1}, {.9, .75, .74, 4, 2}}, 2},
        {"l2-neuron", .9, 1, "done", NULL, {{.5, .77, .76, 2, 1}, {.9, .74, .73, 4, 2}}, 2},
        {"sss", 1e-3, 1, "done", NULL, {{.985, .73, .7264, 8, 1}}, 1},
    };
    loaded x;
    load(&x, made, (int)COPI_COUNT(made));
    verdicts(&x, "cccccc");
    for (int i = 0; i < COPI_CLAIMS; i++) assert_int_equal(x.claim[i].seeds, 1); /* all provisional */
    assert_string_equal(
        x.claim[3].figures,
        "sss: accuracy 0.7264 at sparsity 0.985, score 0.856; best other, magnitude: 0.7400 at 0.900, "
        "score 0.820; dense 0.767.");
    /* conv share: gone .02 of 10000 = 200, dense gets 200/(1+4/9), conv the rest: 61.5 of 1000 */
    assert_string_equal(
        x.claim[0].figures,
        "The floor 0.60 holds up to conv sparsity 0.062 (accuracy 0.690) and is lost at 0.123 (0.490).");
    assert_string_equal(x.claim[5].figures, "Over 2 pairs, tuning gains +0.270 accuracy for 0.50 of the dense net's "
                                            "training MACs.");
    assert_non_null(strstr(x.claim[4].figures, "of 9000 dense-layer parameters"));
    copi_stored_point *last = &x.r.trial[x.r.trials - 1].point[0];
    int layers = last->layers;
    last->layers = 1; /* the dense layer went whole: shrink leaves no row of it */
    copi_claims_make(&x.r, &x.f, x.claim);
    assert_non_null(strstr(x.claim[4].figures, "9000 of 9000 dense-layer parameters"));
    last->layers = layers;
    unload(&x);
}

static void test_claims_refuted(void **state) {
    (void)state;
    static const made_trial made[] = {
        {"dense", 0, 1, "done", NULL, {{0, .92, .91, 8, 0}}, 1},
        {"magnitude", .3, 1, "done", NULL, {{.3, .91, .90, 0, 0}}, 1},
        {"magnitude", .9, 1, "done", NULL, {{.9, .80, .79, 0, 0}}, 1},
        {"l2-neuron", .3, 1, "done", NULL, {{.3, .915, .905, 0, 0}}, 1},
        {"l2-neuron", .9, 1, "done", NULL, {{.9, .55, .54, 0, 0}}, 1},
        {"l1-filter", .5, 1, "done", NULL, {{.2, .70, .69, 0, 0}}, 1},
        {"magnitude", .9, 1, "done", NULL, {{.5, .77, .76, 2, 1}, {.9, .79, .78, 4, 2}}, 2},
        {"l2-neuron", .9, 1, "done", NULL, {{.5, .77, .76, 2, 1}, {.9, .55, .54, 4, 2}}, 2},
        {"sss", 1e-3, 1, "done", NULL, {{.5, .73, .7264, 8, 1}}, 1},
    };
    loaded x;
    load(&x, made, (int)COPI_COUNT(made));
    verdicts(&x, "rrrrcr");
    unload(&x);
}

/* A study without the trials decides nothing, and says what is missing. */
static void test_claims_undecided(void **state) {
    (void)state;
    static const made_trial made[] = {{"dense", 0, 1, "done", NULL, {{0, .92, .91, 8, 0}}, 1},
                                      {"random", .5, 1, "done", NULL, {{.5, .5, .5, 0, 0}}, 1}};
    loaded x;
    load(&x, made, 2);
    verdicts(&x, "??????");
    for (int i = 0; i < COPI_CLAIMS; i++) assert_true(strlen(x.claim[i].figures) > 20);
    unload(&x);
    load(&x, made, 0); /* an empty study is a study too */
    verdicts(&x, "??????");
    assert_true(x.f.best == -1 && x.f.dense == -1 && x.f.hypervolume == 0);
    unload(&x);
}

/* A gap under one standard deviation decides nothing; three seeds are no longer provisional.
 * docs/methods.md, "Honest evaluation". */
static void test_claims_noise(void **state) {
    (void)state;
    made_trial made[9] = {{0}};
    for (int seed = 0; seed < 3; seed++) {
        made[3 * seed] = (made_trial){"dense", 0, seed, "done", NULL, {{0, .9, .9, 8, 0}}, 1};
        made[3 * seed + 1] =
            (made_trial){"magnitude", .9, seed, "done", NULL, {{.9, .80, .80 + .01 * seed, 2, 1}}, 1};
        made[3 * seed + 2] = (made_trial){"sss", 1e-3, seed, "done", NULL, {{.9, .81, .804 + .01 * seed, 2, 1}}, 1};
    }
    loaded x;
    load(&x, made, 9);
    assert_int_equal(x.claim[3].verdict, COPI_UNDECIDED); /* scores .002 apart, each with std .005 */
    assert_int_equal(x.claim[3].seeds, 3);
    unload(&x);
}

static cop_status figures_again(cop_ctx *ctx, void *user) {
    const copi_results *from = user;
    copi_results r = *from;
    copi_figures f;
    r.ctx = ctx;
    cop_status status = copi_figures_make(&r, &f);
    if (!status) copi_figures_clear(&f);
    return status ? copi_fail(ctx, status, "out of memory") : COP_OK;
}

static void test_no_memory(void **state) {
    (void)state;
    static const made_trial made[] = {{"dense", 0, 1, "done", NULL, {{0, .92, .91, 8, 0}}, 1},
                                      {"random", .5, 1, "done", NULL, {{.5, .5, .5, 0, 0}}, 1}};
    loaded x;
    load(&x, made, 2);
    assert_true(test_out_of_memory(figures_again, &x.r) >= 7);
    unload(&x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spread),
        cmocka_unit_test(test_frontier),
        cmocka_unit_test(test_hypervolume),
        cmocka_unit_test(test_score),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_claims_confirmed),
        cmocka_unit_test(test_claims_refuted),
        cmocka_unit_test(test_claims_undecided),
        cmocka_unit_test(test_claims_noise),
        cmocka_unit_test(test_no_memory),
    };
    test_dir_make(dir);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_dir_remove(dir);
    return failed;
}
