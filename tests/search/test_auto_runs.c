/* auto: whole searches, interrupted and repeated, and what is refused. */
#include "whole.h"

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
    test_fails(ctx, cop_auto_run(ctx, &other, in("whole", ""), NULL), COP_E_REFUSED, "other settings");
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
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_erase),
        cmocka_unit_test(test_interrupted),
    };
    test_dir_make(dir);
    make_data();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_dir_remove(dir);
    return failed;
}
