/* Whole studies on a little data set: run, run again, add levels, interrupt, kill, diverge, refuse. */
#include "check.h"
#include "../study/squares.h"
#include "report/report.h"

#include <glob.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *self; /* this program, to be started again and killed */

/* -- studies -- */

#define HEAD                                                                                                         \
    "name: little study\ndata: {path: data, validation: 0.2}\nmodel: seed-cnn\nthreads: 1\nprecision: f32\n"         \
    "dense: {epochs: 3, batch: 32, rate: 3e-3}\nscore: {floor: 0.5}\n"
#define TRIALS                                                                                                       \
    "trials:\n  - {method: magnitude, sparsity: [.5, .9]}\n"                                                         \
    "  - {method: magnitude, sparsity: .9, rounds: 2, pace: linear, tune: {epochs: 1}}\n"                            \
    "  - {method: l1-filter, sparsity: .25}\n  - {method: l2-neuron, sparsity: .5}\n"                                \
    "  - {method: sss, gamma: 1e-2, epochs: 1, retrain: {epochs: 1}, threshold: [0, 1e-2]}\n"

static const char *study(const char *text) {
    FILE *f = fopen(in("study.yaml", ""), "wb");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    return in("study.yaml", "");
}

static cop_study_summary run(const char *text, const char *folder) {
    cop_ctx *ctx = test_ctx();
    cop_study_summary s;
    test_ok(ctx, cop_study_run(ctx, study(text), in(folder, ""), &s));
    test_ctx_destroy(ctx);
    return s;
}

static int lines(const char *text) {
    int n = 0;
    for (; *text; text++) n += *text == '\n';
    return n;
}

typedef struct wanted_row {
    char trial[20];
    int point, seen;
    double sparsity, accuracy;
} wanted_row;
static int find_row(void *user, const cop_trial_row *row) {
    wanted_row *w = user;
    if (strcmp(row->trial, w->trial) != 0 || w->seen++ != w->point) return 0;
    w->sparsity = row->point.sparsity;
    w->accuracy = row->point.accuracy_test;
    return 1;
}

/* best.safetensors is the net of the trial and point that summary.json names as the best. */
static void check_best(const char *folder) {
    cop_ctx *ctx = test_ctx();
    cop_net *net;
    cop_data *data;
    cop_net_info info;
    cop_eval eval;
    cop_data_options o = cop_data_options_default();
    o.validation = 0.2;
    json_t *root = json_load_file(in(folder, "summary.json"), 0, NULL), *best = json_object_get(root, "best");
    assert_non_null(best);
    wanted_row w = {.point = (int)json_integer_value(json_object_get(best, "point")), .sparsity = -1};
    snprintf(w.trial, sizeof w.trial, "%s", json_string_value(json_object_get(best, "trial")));
    json_decref(root);
    test_ok(ctx, cop_study_list(ctx, in(folder, ""), find_row, &w));
    test_ok(ctx, cop_net_load(ctx, in(folder, "best.safetensors"), &net));
    test_ok(ctx, cop_data_open(ctx, in("data", ""), &o, &data));
    cop_net_get_info(net, &info);
    test_near(info.sparsity, w.sparsity, 0, 1e-12);
    test_ok(ctx, cop_evaluate(net, data, COP_SPLIT_TEST, NULL, &eval));
    test_near(eval.accuracy, w.accuracy, 0, 1e-12);
    cop_data_destroy(data);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

static void test_whole(void **state) {
    (void)state;
    cop_study_summary s = run(HEAD TRIALS, "whole");
    assert_true(s.trials == 7 && s.done == 7 && s.skipped == 0 && s.failed == 0 && s.diverged == 0);
    assert_int_equal(s.points, 9); /* dense, 2 one-shot, 2 rounds, l1-filter, l2-neuron, 2 thresholds */
    assert_true(s.dense_accuracy_test > 0.8 && s.best_score > 0.6 && s.hypervolume > 0.1);
    check_best("whole");
    assert_int_equal(access(in("whole", "dense-1.safetensors"), F_OK), 0);
    static const char *const files[] = {"study.db",     "trials.csv",  "frontier.csv",
                                        "summary.json", "report.html", "frontier.svg"};
    for (size_t i = 0; i < COPI_COUNT(files); i++) assert_int_equal(access(in("whole", files[i]), F_OK), 0);

    /* again: nothing is done, nothing changes, to the byte */
    char *first = read_text("whole", "trials.csv");
    assert_int_equal(lines(first), 1 + 9);
    cop_study_summary again = run(HEAD TRIALS, "whole");
    assert_true(again.trials == 7 && again.done == 0 && again.skipped == 7 && again.points == 9);
    assert_true(again.best_score == s.best_score && again.hypervolume == s.hypervolume);
    char *second = read_text("whole", "trials.csv");
    assert_string_equal(second, first);
    free(second);

    /* a level and a seed more: only what is new is done, the old rows stay as they are */
    again = run(HEAD "seeds: [1, 2]\n" TRIALS "  - {method: magnitude, sparsity: .95}\n", "whole");
    assert_true(again.trials == 16 && again.skipped == 7 && again.done == 9);
    second = read_text("whole", "trials.csv");
    assert_int_equal(strncmp(second, first, strlen(first)), 0);
    assert_int_equal(lines(second), 1 + 2 * 10);
    free(second);
    check_best("whole");
    free(first);

    /* fewer trials: the others stay in the store, but not in the report; the best net is made again if need be */
    again = run(HEAD "trials: [{method: l1-filter, sparsity: .25}]\n", "whole");
    assert_true(again.trials == 2 && again.skipped == 2 && again.points == 2);
    assert_string_equal(again.best_method, "l1-filter");
    check_best("whole");
    /* a floor that nothing holds is no error */
    again =
        run("name: little study\ndata: {path: data, validation: 0.2}\nmodel: seed-cnn\nthreads: 1\nprecision: f32\n"
            "dense: {epochs: 3, batch: 32, rate: 3e-3}\nscore: {floor: 0.9999}\n"
            "trials: [{method: magnitude, sparsity: .9}]\n",
            "whole");
    assert_true(again.skipped == 2 && again.best_score == 0 && again.best_method[0] == 0);
}

/* nets: all keeps every point's net; with two seeds the best one is then a copy, not trained again. */
static int find_net(void *user, const cop_trial_row *row) {
    int *found = user;
    char name[80], number[16] = "";
    if (strcmp(row->method, "dense") == 0) return 0;
    if (row->point.round > 1) snprintf(number, sizeof number, "-%d", row->point.round);
    snprintf(name, sizeof name, "nets/%s-%.4f-%.8s%s.safetensors", row->method, row->point.sparsity, row->trial,
             number);
    cop_ctx *ctx = test_ctx();
    cop_net *net;
    cop_data *data;
    cop_net_info info;
    cop_eval eval;
    cop_data_options o = cop_data_options_default();
    o.validation = 0.2;
    test_ok(ctx, cop_net_load(ctx, in("kept", name), &net));
    cop_net_get_info(net, &info);
    test_near(info.sparsity, row->point.sparsity, 0, 1e-12);
    test_ok(ctx, cop_data_open(ctx, in("data", ""), &o, &data));
    test_ok(ctx, cop_evaluate(net, data, COP_SPLIT_TEST, NULL, &eval));
    test_near(eval.accuracy, row->point.accuracy_test, 0, 1e-12);
    ++*found;
    cop_data_destroy(data);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
    return 0;
}

static void test_nets(void **state) {
    (void)state;
    int found = 0;
    cop_study_summary s =
        run(HEAD "nets: all\nseeds: [1, 2]\ntrials:\n  - {method: l1-filter, sparsity: .25}\n"
                 "  - {method: magnitude, sparsity: .9, rounds: 2, tune: {epochs: 1}}\n"
                 /* one filter of 32 and two of 64, in each round */
                 "  - {method: l1-filter, sparsity: .046, rounds: 3, pace: cubic, tune: {epochs: 1}}\n",
            "kept");
    assert_int_equal(s.points, 2 * 7);
    cop_ctx *ctx = test_ctx();
    test_ok(ctx, cop_study_list(ctx, in("kept", ""), find_net, &found));
    test_ctx_destroy(ctx);
    assert_int_equal(found, 2 * 6);
    check_best("kept");
}

/* The same study in another directory gives the same figures: nothing depends on when or where. */
static void test_repeatable(void **state) {
    (void)state;
    run(HEAD TRIALS, "repeat");
    char *other = measured("repeat");
    run(HEAD TRIALS, "repeat2");
    char *one = measured("repeat2");
    assert_string_equal(one, other);
    free(one);
    free(other);
}

/* -- interruption -- */

/* Counts the polls for cancellation, one a step, since so many points were logged. */
typedef struct stopper {
    int points, polls; /* stop when both are reached */
    bool kill;
    int seen_points, seen_polls;
    bool afresh; /* a warning said so */
} stopper;

static void count_points(void *user, cop_log_level level, const char *text) {
    stopper *s = user;
    if (level == COP_LOG_INFO && strstr(text, ": sparsity ")) s->seen_points++;
    s->afresh |= level == COP_LOG_WARNING && strstr(text, "this training starts over");
}
static int poll(void *user) {
    stopper *s = user;
    if (s->seen_points < s->points || ++s->seen_polls < s->polls) return 0;
    if (s->kill) raise(SIGKILL);
    return 1;
}

static cop_ctx *watched_ctx(stopper *s, int jobs) {
    cop_ctx_options o = cop_ctx_options_default();
    o.jobs = jobs;
    o.log = count_points;
    o.cancel = poll;
    o.user = s;
    cop_ctx *ctx;
    assert_int_equal(cop_ctx_create(&o, &ctx), COP_OK);
    return ctx;
}

/* Interrupted while the dense net trains, then while a trial tunes: what is done is kept, and the end is the same. */
static void test_interrupt(void **state) {
    (void)state;
    run(HEAD TRIALS, "straight");
    char *wanted = measured("straight");
    stopper s = {.polls = 25}; /* 16 steps an epoch */
    cop_ctx *ctx = watched_ctx(&s, 1);
    cop_study_summary sum;
    test_fails(ctx, cop_study_run(ctx, study(HEAD TRIALS), in("broken", ""), &sum), COP_E_CANCELLED,
               "interrupted: 0 of 7 trials are done and kept; run the same command to continue");
    assert_true(sum.trials == 7 && sum.done == 0);
    glob_t found; /* the state after its first epoch is there to go on from */
    assert_int_equal(glob(in("broken", "dense-1-*.checkpoint"), 0, NULL, &found), 0);
    globfree(&found);
    assert_int_equal(access(in("broken", "report.html"), F_OK), 0);
    cop_ctx_destroy(ctx);

    s = (stopper){.points = 3, .polls = 8};
    ctx = watched_ctx(&s, 1);
    test_fails(ctx, cop_study_run(ctx, study(HEAD TRIALS), in("broken", ""), &sum), COP_E_CANCELLED,
               "interrupted: 3 of 7 trials");
    assert_true(sum.done == 3 && sum.points == 3);
    cop_ctx_destroy(ctx);
    assert_int_equal(glob(in("broken", "trial-*.state.1"), 0, NULL, &found), 0); /* and of the trial at work */
    globfree(&found);

    sum = run(HEAD TRIALS, "broken");
    assert_true(sum.skipped == 3 && sum.done == 4);
    char *got = measured("broken");
    assert_string_equal(got, wanted);
    check_best("broken");
    assert_int_equal(glob(in("broken", "dense-1-*.checkpoint"), 0, NULL, &found), GLOB_NOMATCH);
    assert_int_equal(glob(in("broken", "trial-*"), 0, NULL, &found), GLOB_NOMATCH);
    free(got);
    free(wanted);
}

static void misspell(cop_ctx *ctx, const char *path, const char *word) {
    uint8_t *bytes;
    size_t n, k = strlen(word), at = 0;
    test_ok(ctx, copi_read_file(ctx, path, 0, &bytes, &n));
    while (at + k <= n && memcmp(bytes + at, word, k) != 0) at++;
    assert_true(at + k <= n);
    bytes[at] ^= 1;
    test_ok(ctx, copi_write_file(ctx, path, bytes, n));
    copi_free(ctx, bytes);
}

/* A dense net's checkpoint that cannot be read refuses nothing: its training begins afresh, to the same end. */
static void test_damaged_checkpoint(void **state) {
    (void)state;
    static const char *const folder[] = {"damaged", "damaged2"};
    char *wanted = measured("straight");
    for (int kind = 0; kind < 2; kind++) { /* cut short; with an op that there is not */
        stopper s = {.polls = 25}, never = {.points = 1000};
        cop_ctx *ctx = watched_ctx(&s, 1);
        test_fails(ctx, cop_study_run(ctx, study(HEAD TRIALS), in(folder[kind], ""), NULL), COP_E_CANCELLED,
                   "interrupted");
        glob_t found;
        assert_int_equal(glob(in(folder[kind], "dense-1-*.checkpoint"), 0, NULL, &found), 0);
        if (kind)
            misspell(ctx, found.gl_pathv[0], "max_pool");
        else
            assert_int_equal(truncate(found.gl_pathv[0], 100), 0);
        globfree(&found);
        cop_ctx_destroy(ctx);
        ctx = watched_ctx(&never, 1);
        test_ok(ctx, cop_study_run(ctx, study(HEAD TRIALS), in(folder[kind], ""), NULL));
        assert_true(never.afresh);
        cop_ctx_destroy(ctx);
        char *got = measured(folder[kind]);
        assert_string_equal(got, wanted);
        free(got);
    }
    free(wanted);
}

/* Several trials at a time give what they give one after another, also when some of them are interrupted, fail or
 * have no dense net. */
static void test_side_by_side(void **state) {
    (void)state;
    static const char text[] = HEAD
        "seeds: [1, 2]\n" TRIALS "  - {method: magnitude, sparsity: .7, rounds: 1, tune: {epochs: 1, rate: 1e3}}\n";
    cop_study_summary one = run(text, "alone"), sum;
    char *wanted = measured("alone");
    assert_true(one.trials == 16 && one.done + one.diverged == 16);
    stopper s = {.points = 4, .polls = 5}, never = {.points = 1000};
    cop_ctx *ctx = watched_ctx(&s, 3);
    test_fails(ctx, cop_study_run(ctx, study(text), in("abreast", ""), &sum), COP_E_CANCELLED,
               " of 16 trials are done");
    assert_true(sum.done >= 4 && sum.done < 16);
    cop_ctx_destroy(ctx);
    ctx = watched_ctx(&never, 3);
    int before = sum.done;
    test_ok(ctx, cop_study_run(ctx, study(text), in("abreast", ""), &sum));
    assert_true(sum.skipped >= before && sum.skipped + sum.done + sum.diverged == 16);
    assert_true(sum.best_score == one.best_score && sum.hypervolume == one.hypervolume);
    cop_ctx_destroy(ctx);
    char *got = measured("abreast");
    assert_string_equal(got, wanted);
    check_best("abreast");
    free(got);
    free(wanted);

    const char *diverges =
        "name: d\ndata: {path: data, validation: 0.2}\nmodel: seed-cnn\nthreads: 1\nprecision: f32\n"
        "dense: {epochs: 1, batch: 32, rate: 1e3, optimizer: sgd}\n" TRIALS;
    ctx = watched_ctx(&never, 2);
    test_ok(ctx, cop_study_run(ctx, study(diverges), in("abreast2", ""), &sum));
    assert_true(sum.diverged == 1 && sum.failed == 6 && sum.done == 0);
    cop_ctx_destroy(ctx);
}

/* The program is killed in the middle of a trial; the directory is not locked, and the next run goes on. */
static void test_kill(void **state) {
    (void)state;
    study(HEAD TRIALS);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        execl(self, self, "--killed", dir, (char *)NULL);
        _exit(127);
    }
    int code;
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_true(WIFSIGNALED(code) && WTERMSIG(code) == SIGKILL);
    cop_study_summary s = run(HEAD TRIALS, "killed");
    assert_true(s.skipped == 3 && s.done == 4);
    char *got = measured("killed"), *wanted = measured("straight");
    assert_string_equal(got, wanted);
    check_best("killed");
    free(got);
    free(wanted);
}

static int be_killed(const char *where) {
    stopper s = {.points = 3, .polls = 8, .kill = true};
    snprintf(dir, sizeof dir, "%s", where);
    cop_ctx *ctx = watched_ctx(&s, 1);
    cop_study_run(ctx, in("study.yaml", ""), in("killed", ""), NULL);
    return 1; /* it should not come to this */
}

/* -- trials that go wrong -- */

static void test_bad_trials(void **state) {
    (void)state;
    static const char text[] = HEAD
        "trials:\n  - {method: magnitude, sparsity: .5}\n"
        "  - {method: magnitude, sparsity: .5, rounds: 1, tune: {optimizer: sgd, rate: 1e3, schedule: constant}}\n"
        "  - {method: l2-neuron, sparsity: .5, keep: 1000}\n"
        "  - {method: l2-neuron, sparsity: .5}\n";
    cop_study_summary s = run(text, "wrong");
    assert_true(s.trials == 5 && s.done == 3 && s.diverged == 1 && s.failed == 1);
    char *csv = read_text("wrong", "trials.csv");
    assert_non_null(strstr(csv, ",diverged,"));
    assert_non_null(strstr(csv, ",refused,"));
    assert_non_null(strstr(csv, "dense1"));  /* the refusal names the layer */
    assert_null(strstr(csv, "magnitude: ")); /* the method has a column of its own */
    assert_null(strstr(csv, "l2-neuron: "));
    s = run(text, "wrong"); /* both would end the same way: they are not tried again */
    assert_true(s.skipped == 5 && s.done == 0 && s.diverged == 0);
    char *again = read_text("wrong", "trials.csv");
    assert_string_equal(again, csv);
    free(again);
    free(csv);

    /* a dense net that diverges takes its own trials with it, no more */
    s = run("name: t\ndata: {path: data}\nmodel: lenet-300-100\nthreads: 1\n"
            "dense: {epochs: 2, batch: 32, optimizer: sgd, rate: 1e3, schedule: constant}\n"
            "trials: [{method: magnitude, sparsity: [.5, .9]}]\n",
            "hopeless");
    assert_true(s.trials == 3 && s.done == 0 && s.diverged == 1 && s.failed == 2 && s.points == 0);
    csv = read_text("hopeless", "trials.csv");
    assert_non_null(strstr(csv, ",refused,"));
    assert_non_null(strstr(csv, "its dense net: "));
    free(csv);
}

/* What can be refused is refused before anything is written. */
static void test_refused_at_once(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    static const struct {
        const char *text;
        cop_status status;
        const char *part;
    } bad[] = {
        {"name: t\ndata: {path: nowhere}\nmodel: lenet-5\ntrials: [{method: sss}]\n", COP_E_NOT_FOUND, "nowhere"},
        {"name: t\ndata: {path: data, validation: 0}\nmodel: seed-cnn\ntrials: [{method: sss}]\n", COP_E_NOT_FOUND,
         "the validation split is empty; a study needs all three: set data.validation, e.g. 0.1"},
        {"name: t\ndata: {path: data}\nmodel: keras-cifar\ntrials: [{method: sss}]\n", COP_E_SHAPE, "12x12"},
        {"name: t\ndata: {path: data}\nmodel: data/t10k-labels-idx1-ubyte\ntrials: [{method: sss}]\n",
         COP_E_UNSUPPORTED, "t10k-labels-idx1-ubyte"},
        {HEAD "trials: [{method: sss, gama: 1}]\n", COP_E_FORMAT,
         ":8:24: trial: unknown key \"gama\"; did you mean \"gamma\"?"},
    };
    for (size_t i = 0; i < COPI_COUNT(bad); i++) {
        cop_study_summary s = {.trials = 9};
        test_fails(ctx, cop_study_run(ctx, study(bad[i].text), in("untouched", ""), &s), bad[i].status, bad[i].part);
        assert_int_equal(s.trials, 0);
        assert_int_not_equal(access(in("untouched", ""), F_OK), 0);
    }
    test_ctx_destroy(ctx);
}

static void test_two_at_once(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    copi_store *held;
    test_ok(ctx, copi_store_open(ctx, in("held", ""), COPI_STORE_WRITE, &held));
    test_fails(ctx, cop_study_run(ctx, study(HEAD TRIALS), in("held", ""), NULL), COP_E_REFUSED,
               "held: another process (");
    copi_store_close(held);
    test_ctx_destroy(ctx);
}

/* A model file: taken as it is without `dense`, trained on with it. */
static void test_model_file(void **state) {
    (void)state;
    static char text[600];
    snprintf(text, sizeof text,
             "name: t\ndata: {path: data, validation: 0.2}\nmodel: whole/dense-1.safetensors\n"
             "threads: 1\ntrials: [{method: magnitude, sparsity: .5}]\n");
    cop_study_summary s = run(text, "file");
    assert_true(s.done == 2);
    char *rows = read_text("file", "trials.csv"), *original = read_text("whole", "trials.csv");
    /* the same dense net, so the same figures: compare what follows the seed in the dense net's row */
    assert_non_null(strstr(rows, ",dense,,0,1,0,0,0,0,"));
    test_near(s.dense_accuracy_test, atof(strstr(rows, ",dense,,0,1,0,0,0,0,") + 29), 1, 0);
    free(rows);
    free(original);
    snprintf(text, sizeof text,
             "name: t\ndata: {path: data, validation: 0.2}\nmodel: whole/dense-1.safetensors\n"
             "threads: 1\ndense: {epochs: 1}\ntrials: [{method: magnitude, sparsity: .5}]\n");
    s = run(text, "file");
    assert_true(s.done == 2 && s.skipped == 0);
}

/* No room for the dense net, or for the store: one line with the file, and the next run goes on. */
static void test_no_room(void **state) {
    (void)state;
    signal(SIGXFSZ, SIG_IGN); /* the write fails instead */
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct {
        rlim_t bytes;
        const char *part;
    } cases[] = {{100000, "dense-1"}, {6000, "room/study.db"}};
    cop_ctx *ctx = test_ctx();
    for (size_t i = 0; i < COPI_COUNT(cases); i++) {
        small = before;
        small.rlim_cur = cases[i].bytes;
        char folder[16];
        snprintf(folder, sizeof folder, i ? "room" : "room%zu", i);
        const char *file = study(HEAD "trials: [{method: magnitude, sparsity: .5}]\n");
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        cop_status status = cop_study_run(ctx, file, in(folder, ""), NULL);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        test_fails(ctx, status, COP_E_IO, cases[i].part);
        cop_study_summary s = run(HEAD "trials: [{method: magnitude, sparsity: .5}]\n", folder);
        assert_true(s.done == 2 && s.points == 2);
    }
    test_ctx_destroy(ctx);
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "--killed") == 0) return be_killed(argv[2]);
    self = argv[0];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_nets),
        cmocka_unit_test(test_repeatable),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_damaged_checkpoint),
        cmocka_unit_test(test_side_by_side),
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_bad_trials),
        cmocka_unit_test(test_refused_at_once),
        cmocka_unit_test(test_two_at_once),
        cmocka_unit_test(test_model_file),
        cmocka_unit_test(test_no_room),
    };
    test_dir_make(dir);
    make_data();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_dir_remove(dir);
    return failed;
}
