/* The store, and what is written from it: CSV to the byte, JSON that parses, a page that nothing can break out of. */
#include "check.h"
#include "synthetic.h"

#include <locale.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[256];

static const made_trial made[] = {
    {"dense", 0, 1, "done", NULL, {{0, .91, .90, 6, 0}}, 1},
    {"magnitude", .5, 1, "done", NULL, {{.5, .89, .88, 0, 0}}, 1},
    {"magnitude", .9, 1, "done", NULL, {{.9, .85, .84, 2, 1}}, 1},
    {"l1-filter", .5, 1, "diverged", "loss is nan at step 3, \"epoch\" 1, <b>", {{.3, .7, .69, 1, 0}}, 1},
    {"l2-filter", .99, 1, "refused", "conv1 would keep 0 of 6 filters", {{0}}, 0},
    {"sss", 1e-5, 1, "done", NULL, {{.6, .9, .89, 4, 1}, {.95, .8, .79, 4, 1}}, 2},
    {"random", .5, 1, "pending", NULL, {{0}}, 0},
};
#define MADE ((int)COPI_COUNT(made))

static const char *in(const char *folder, const char *name) {
    static char path[600];
    snprintf(path, sizeof path, "%s/%s/%s", dir, folder, name);
    return path;
}

static char *read_text(cop_ctx *ctx, const char *folder, const char *name) {
    uint8_t *bytes;
    size_t n;
    test_ok(ctx, copi_read_file(ctx, in(folder, name), 0, &bytes, &n));
    return (char *)bytes;
}

static void fill_with(cop_ctx *ctx, const char *folder, const made_trial *trials, int n, const char *name) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", dir, folder);
    copi_store *store;
    test_ok(ctx, copi_store_open(ctx, path, COPI_STORE_WRITE, &store));
    test_ok(ctx, made_fill(ctx, store, trials, n, 0.6, name));
    copi_store_close(store);
}
static void fill(cop_ctx *ctx, const char *folder, const char *name) {
    fill_with(ctx, folder, made, MADE, name);
}

/* -- store -- */

static void test_round_trip(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    char path[300];
    snprintf(path, sizeof path, "%s/deep/er", dir); /* parents are made */
    copi_store *store;
    test_ok(ctx, copi_store_open(ctx, path, COPI_STORE_WRITE, &store));
    test_ok(ctx, made_fill(ctx, store, made, MADE, 0.6, "na\"me"));
    copi_results r;
    test_ok(ctx, copi_store_load(store, &r));
    assert_int_equal(r.trials, MADE);
    assert_string_equal(r.meta.name, "na\"me");
    assert_string_equal(r.meta.best, ""); /* never set */
    assert_true(r.floor == 0.6);
    const copi_stored_trial *sss = &r.trial[5];
    assert_string_equal(sss->status, "done");
    assert_int_equal(sss->points, 2);
    assert_true(isnan(sss->asked) && sss->level == 1e-5 && sss->seconds == 40.5);
    const copi_stored_point *p = &sss->point[1];
    assert_true(p->p.sparsity == .95 && p->p.accuracy_test == .79 && p->p.threshold == 1e-3 && p->p.nonzero == 500);
    assert_true(isnan(p->p.asked) && p->p.accuracy_pruned == 0.4 && p->p.train_macs == 4e9 && p->p.round == 1);
    assert_int_equal(p->p.history.count, 4);
    assert_true(p->p.history.epoch[3].epoch == 4 && p->p.history.epoch[3].loss == 0.4);
    assert_true(isnan(p->p.history.epoch[3].loss_validation));
    assert_int_equal(p->layers, 2);
    assert_string_equal(p->layer[1].name, "dense <1>");
    assert_true(p->layer[1].parameters_dense == 9000);
    assert_string_equal(r.trial[6].status, "pending");
    assert_int_equal(r.trial[6].points, 0);
    copi_results_clear(&r);

    char status[16];
    test_ok(ctx, copi_store_status(store, "no such trial", status));
    assert_string_equal(status, "pending");
    /* a trial put again replaces what was there; the plan may drop trials, which stay in the store */
    copi_trials plan = {.ctx = ctx};
    test_ok(ctx, copi_store_plan(store, &plan));
    test_ok(ctx, copi_store_load(store, &r));
    assert_int_equal(r.trials, 0);
    copi_results_clear(&r);
    test_ok(ctx, made_fill(ctx, store, made, MADE, 0.6, "again"));
    test_ok(ctx, copi_store_load(store, &r));
    assert_true(r.trials == MADE && r.trial[5].points == 2);
    copi_results_clear(&r);
    copi_store_close(store);
    test_ctx_destroy(ctx);
}

static void test_one_process(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    char path[300], holder[300];
    snprintf(path, sizeof path, "%s/locked", dir);
    copi_store *store, *second;
    test_ok(ctx, copi_store_open(ctx, path, COPI_STORE_WRITE, &store));
    snprintf(holder, sizeof holder,
             "locked: another process (%ld) is running a study here; wait for it or choose another "
             "directory",
             (long)getpid());
    test_fails(ctx, copi_store_open(ctx, path, COPI_STORE_WRITE, &second), COP_E_REFUSED, holder);
    assert_null(second);
    test_ok(ctx, copi_store_open(ctx, path, COPI_STORE_READ, &second)); /* looking on is fine */
    copi_store_close(second);
    copi_store_close(store);
    test_ok(ctx, copi_store_open(ctx, path, COPI_STORE_WRITE, &store));
    copi_store_close(store);
    test_ctx_destroy(ctx);
}

static int stop_at_once(void *user, const cop_trial_row *row) {
    (void)row;
    ++*(int *)user;
    return 1;
}

static void test_bad_directories(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    int rows = 0;
    test_fails(ctx, cop_study_report(ctx, in("nothing", "here"), NULL), COP_E_NOT_FOUND, "no study here");
    test_fails(ctx, cop_study_list(ctx, in("nothing", "here"), stop_at_once, &rows), COP_E_NOT_FOUND,
               "no study here");
    test_fails(ctx, cop_study_report(ctx, NULL, NULL), COP_E_ARG, NULL);
    test_fails(ctx, cop_study_list(ctx, dir, NULL, NULL), COP_E_ARG, NULL);
    test_fails(ctx, cop_study_run(ctx, NULL, dir, NULL), COP_E_ARG, NULL);
    assert_int_equal(cop_study_report(NULL, dir, NULL), COP_E_ARG);
    copi_store *store;
    char path[300];
    snprintf(path, sizeof path, "%s/garbage", dir);
    test_ok(ctx, copi_make_dir(ctx, path));
    static const char garbage[8192] = "this is no database";
    test_ok(ctx, copi_write_file(ctx, in("garbage", "study.db"), garbage, sizeof garbage));
    test_fails(ctx, copi_store_open(ctx, path, COPI_STORE_WRITE, &store), COP_E_FORMAT,
               "study.db: not a study database");
    test_fails(ctx, copi_store_open(ctx, path, COPI_STORE_READ, &store), COP_E_FORMAT,
               "study.db: not a study database");
    fill(ctx, "newer", "t");
    sqlite3 *db;
    assert_int_equal(sqlite3_open(in("newer", "study.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=9", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    snprintf(path, sizeof path, "%s/newer", dir);
    test_fails(ctx, copi_store_open(ctx, path, COPI_STORE_READ, &store), COP_E_VERSION,
               "study.db: store of version 9; this program reads version 1");
    /* a file where the directory should be */
    test_ok(ctx, copi_write_file(ctx, in(".", "file"), "x", 1));
    test_fails(ctx, copi_store_open(ctx, in(".", "file"), COPI_STORE_WRITE, &store), COP_E_IO, "file");
    test_ctx_destroy(ctx);
}

/* No rsvg-convert between these two. */
static char *hide_programs(void) {
    char *path = getenv("PATH") ? strdup(getenv("PATH")) : NULL;
    assert_int_equal(setenv("PATH", "/nonexistent", 1), 0);
    return path;
}
static void show_programs(char *path) {
    if (path) setenv("PATH", path, 1);
    free(path);
}

static cop_status store_again(cop_ctx *ctx, void *user) {
    static int number;
    char path[300];
    (void)user;
    snprintf(path, sizeof path, "%s/memory-%d", dir, number++);
    copi_store *store;
    cop_status status = copi_store_open(ctx, path, COPI_STORE_WRITE, &store);
    if (status) return status;
    status = made_fill(ctx, store, made, 2, 0.6, "t");
    copi_store_close(store);
    return status;
}

static cop_status report_again(cop_ctx *ctx, void *user) {
    return cop_study_report(ctx, user, NULL);
}

static void test_no_memory(void **state) {
    (void)state;
    char path[300];
    snprintf(path, sizeof path, "%s/memory", dir);
    cop_ctx *ctx = test_ctx();
    fill(ctx, "memory", "t");
    test_ctx_destroy(ctx);
    char *programs = hide_programs(); /* another program's memory is not ours, and it would run a hundred times */
    assert_true(test_out_of_memory(store_again, NULL) >= 4);
    assert_true(test_out_of_memory(report_again, path) > 100);
    show_programs(programs);
}

/* -- files -- */

static const char trials_csv[] =
    "trial,method,level,round,seed,asked,sparsity,sparsity_conv,sparsity_dense,accuracy_val,accuracy_test,score,"
    "params,"
    "nonzero,macs,epochs,seconds,status,threshold,accuracy_pruned,macs_effective,train_macs,score_val,setting,label,"
    "message\n"
    "dense-0-0-1,dense,0,0,1,0,0,0,0,0.91,0.9,0.45,10000,10000,100000,6,60,done,,,100000,6000000000,0.455,dense-0-0,"
    "dense net,\n"
    "magnitud-0.5-0-1,magnitude,0.5,0,1,0.5,0.5,0.263158,0.526316,0.89,0.88,0.69,10000,5000,100000,0,0,done,,,50000,"
    "0,"
    "0.695,magnitud-0.5-0,magnitude 0.5,\n"
    "magnitud-0.9-1-1,magnitude,0.9,1,1,0.9,0.9,0.473684,0.947368,0.85,0.84,0.87,10000,1000,100000,2,20,done,,0.425,"
    "10000,2000000000,0.875,magnitud-0.9-1,magnitude 0.9,\n"
    "l1-filte-0.5-0-1,l1-filter,0.5,0,1,0.5,0.3,0.923077,0.230769,0.7,0.69,0.495,10000,7000,100000,1,10,done,,,70000,"
    "1000000000,0.5,l1-filte-0.5-0,l1-filter 0.5,\n"
    "l1-filte-0.5-0-1,l1-filter,0.5,,1,0.5,,,,,,,,,,,10.5,diverged,,,,,,l1-filte-0.5-0,l1-filter 0.5,\"loss is nan "
    "at "
    "step 3, \"\"epoch\"\" 1, <b>\"\n"
    "l2-filte-0.99-0-1,l2-filter,0.99,,1,0.99,,,,,,,,,,,0.5,refused,,,,,,l2-filte-0.99-0,l2-filter 0.99,conv1 would "
    "keep "
    "0 of 6 filters\n"
    "sss-1e-05-1-1,sss,0.00001,1,1,,0.6,0.315789,0.631579,0.9,0.89,0.745,10000,4000,100000,4,40,done,0,0.45,40000,"
    "4000000000,0.75,sss-1e-05-1,sss 1e-05,\n"
    "sss-1e-05-1-1,sss,0.00001,1,1,,0.95,0.5,1,0.8,0.79,0.87,10000,500,100000,4,40,done,0.001,0.4,5000,4000000000,0."
    "875,"
    "sss-1e-05-1,sss 1e-05,\n";

static const char frontier_csv[] =
    "method,overall,setting,label,level,round,threshold,seeds,sparsity,sparsity_std,accuracy_val,accuracy_val_std,"
    "accuracy_test,accuracy_test_std,score,score_std,epochs,train_macs\n"
    "dense,1,dense-0-0,dense net,0,0,,1,0,,0.91,,0.9,,0.45,,6,6000000000\n"
    "magnitude,0,magnitud-0.5-0,magnitude 0.5,0.5,0,,1,0.5,,0.89,,0.88,,0.69,,0,0\n"
    "magnitude,1,magnitud-0.9-1,magnitude 0.9,0.9,1,,1,0.9,,0.85,,0.84,,0.87,,2,2000000000\n"
    "l1-filter,0,l1-filte-0.5-0,l1-filter 0.5,0.5,0,,1,0.3,,0.7,,0.69,,0.495,,1,1000000000\n"
    "sss,1,sss-1e-05-1,\"sss 1e-05, threshold 0\",0.00001,1,0,1,0.6,,0.9,,0.89,,0.745,,4,4000000000\n"
    "sss,1,sss-1e-05-1,\"sss 1e-05, threshold 0.001\",0.00001,1,0.001,1,0.95,,0.8,,0.79,,0.87,,4,4000000000\n";

static void expect_text(cop_ctx *ctx, const char *folder, const char *name, const char *wanted) {
    char *text = read_text(ctx, folder, name);
    assert_string_equal(text, wanted);
    copi_free(ctx, text);
}

static void test_csv(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    fill(ctx, "csv", "t");
    cop_study_summary s;
    test_ok(ctx, cop_study_report(ctx, in("csv", "."), &s));
    expect_text(ctx, "csv", "trials.csv", trials_csv);
    expect_text(ctx, "csv", "frontier.csv", frontier_csv);
    assert_true(s.trials == 7 && s.done == 4 && s.diverged == 1 && s.failed == 1 && s.skipped == 0 && s.points == 6);
    /* magnitude .9 and sss's second point have the same score on validation: the first stays */
    assert_string_equal(s.best_method, "magnitude");
    test_near(s.best_score, .87, 1e-12, 0);
    test_near(s.best_accuracy_test, .84, 1e-12, 0);
    test_near(s.dense_accuracy_test, .90, 1e-12, 0);
    test_near(s.hypervolume, .95 * .19 + .9 * .05 + .6 * .05, 1e-12, 0);
    test_ctx_destroy(ctx);
}

/* A caller whose decimal sign is a comma gets the same files, and keeps its locale. */
static void test_locale(void **state) {
    (void)state;
    static const char *const commas[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "nl_NL.UTF-8"};
    locale_t comma = (locale_t)0;
    for (size_t i = 0; !comma && i < COPI_COUNT(commas); i++) comma = newlocale(LC_ALL_MASK, commas[i], (locale_t)0);
    if (!comma) skip(); /* none is installed here */
    cop_ctx *ctx = test_ctx();
    fill(ctx, "locale", "t");
    locale_t before = uselocale(comma);
    test_ok(ctx, cop_study_report(ctx, in("locale", "."), NULL));
    char text[16];
    snprintf(text, sizeof text, "%.1f", 0.5);
    assert_string_equal(text, "0,5");
    uselocale(before);
    freelocale(comma);
    expect_text(ctx, "locale", "trials.csv", trials_csv);
    test_ctx_destroy(ctx);
}

static double number_at(const json_t *root, const char *object, const char *key) {
    const json_t *o = json_object_get(root, object);
    const json_t *x = json_object_get(o, key);
    return json_number_value(json_is_object(x) ? json_object_get(x, "mean") : x);
}

static void test_json(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    fill(ctx, "json", "quo\"te \xc3\xa4");
    test_ok(ctx, cop_study_report(ctx, in("json", "."), NULL));
    json_error_t error;
    json_t *root = json_load_file(in("json", "summary.json"), JSON_REJECT_DUPLICATES, &error);
    assert_non_null(root);
    assert_string_equal(json_string_value(json_object_get(root, "name")), "quo\"te \xc3\xa4");
    test_near(number_at(root, "best", "score"), .87, 1e-8, 0);
    test_near(number_at(root, "best", "accuracy_test"), .84, 1e-8, 0);
    assert_string_equal(json_string_value(json_object_get(json_object_get(root, "best"), "method")), "magnitude");
    assert_true(json_is_null(json_object_get(json_object_get(json_object_get(root, "best"), "score"), "std")));
    test_near(number_at(root, "dense", "accuracy_val"), .91, 1e-8, 0);
    assert_int_equal((int)number_at(root, "trials", "diverged"), 1);
    assert_int_equal((int)number_at(root, "trials", "pending"), 1);
    assert_int_equal(json_array_size(json_object_get(root, "methods")), 6);
    assert_int_equal(json_array_size(json_object_get(root, "frontier")), 4);
    const json_t *claims = json_object_get(root, "claims");
    assert_int_equal(json_array_size(claims), 6);
    assert_string_equal(json_string_value(json_object_get(json_array_get(claims, 0), "claim")), "a");
    json_decref(root);
    test_ctx_destroy(ctx);
}

static int count(const char *text, const char *part) {
    int n = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part)) n++;
    return n;
}

static void test_page(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    fill(ctx, "page", "</script><script>alert(1)</script> & \"co\"");
    test_ok(ctx, cop_study_report(ctx, in("page", "."), NULL));
    char *page = read_text(ctx, "page", "report.html");
    assert_null(strstr(page, "{{")); /* every place was filled */
    assert_int_equal(count(page, "<script"), 1);
    assert_int_equal(count(page, "</script"), 1);
    assert_null(strstr(page, "alert(1)</script>"));
    assert_non_null(
        strstr(page, "<title>&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;co&quot;</title>"));
    assert_non_null(strstr(page, "&quot;epoch&quot; 1, &lt;b&gt;")); /* a trial's error */
    assert_non_null(strstr(page, "dense &lt;1&gt;"));                /* a layer's name */
    assert_non_null(strstr(page, "/data/&lt;set&gt;"));              /* the data's path */
    assert_non_null(strstr(page, "made &amp; up.yaml"));
    assert_non_null(strstr(page, "name: &quot;&lt;script&gt;alert(1)&lt;/script&gt;&quot;"));
    assert_null(strstr(page, "src=")); /* nothing is fetched */
    assert_null(strstr(page, "href="));
    /* accuracy against 2 scales of sparsity and 3 costs, for wide and narrow windows; 2 figures by epoch */
    assert_int_equal(count(page, "<svg class=\"plot large\""), 2 + 3);
    assert_int_equal(count(page, "<svg class=\"plot small\""), 2 + 3);
    assert_int_equal(count(page, "<svg class=\"plot half\""), 2);
    assert_int_equal(count(page, "<tr"), 1 + 6 + 1 + 2 + 1 + 9); /* heads; methods; layers; 6 points and 3 ends */
    copi_free(ctx, page);
    test_ctx_destroy(ctx);
}

/* The text from one place to the next end of a figure. */
static char *figure_at(const char *page, const char *begin) {
    const char *at = strstr(page, begin);
    assert_non_null(at);
    const char *end = strstr(at, "</figure>");
    assert_non_null(end);
    return strndup(at, (size_t)(end - at));
}

/* Each plot has the points that it should, drawn as their methods are everywhere. */
static void test_page_plots(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    fill(ctx, "data", "t");
    test_ok(ctx, cop_study_report(ctx, in("data", "."), NULL));
    char *page = read_text(ctx, "data", "report.html");
    for (int across = 0; across < 5; across++) {
        char begin[32];
        snprintf(begin, sizeof begin, "<figure id=\"plot-%d\"", across);
        char *figure = figure_at(page, begin);
        assert_int_equal(count(figure, "<title>"), 2 * 5); /* all points but the dense net's; large and small */
        assert_int_equal(count(figure, ">dense 90 %</text>"), 2);
        assert_int_equal(count(figure, ">floor 60 %</text>"), 2);
        assert_int_equal(count(figure, "class=\"m6 line broad\""), across < 2 ? 2 : 0); /* the frontier */
        free(figure);
    }
    assert_int_equal(count(page, "<title>sss 1e-05, threshold 0.001\ntest accuracy 79.00 %, validation 80.00 %\n"
                                 "sparsity 95.00 %, score 0.8700\n4.0 epochs, 4 G training MACs, 40.0 s</title>"),
                     2 * 5);
    char *curves = figure_at(page, "<div class=\"pair\">");
    for (int m = 0; m < 6; m++) { /* dense, magnitude, l1-filter and sss were trained */
        char line[32];
        snprintf(line, sizeof line, "class=\"m%d line\"", m);
        assert_int_equal(count(curves, line), m < 3 || m == 4);
    }
    free(curves);
    copi_free(ctx, page);
    test_ctx_destroy(ctx);
}

typedef struct logged {
    int warnings;
    char last[1024];
} logged;
static void keep_warning(void *user, cop_log_level level, const char *text) {
    logged *l = user;
    if (level != COP_LOG_WARNING) return;
    l->warnings++;
    snprintf(l->last, sizeof l->last, "%s", text);
}

static bool starts_with(cop_ctx *ctx, const char *folder, const char *name, const char *bytes, size_t n) {
    uint8_t *got;
    size_t size;
    if (copi_read_file(ctx, in(folder, name), 0, &got, &size)) return false;
    bool same = size > n && memcmp(got, bytes, n) == 0;
    copi_free(ctx, got);
    return same;
}

/* Sparsity on the axis, or, where most points lie beyond .85, the logarithm of what is left. */
static void test_axis(void **state) {
    (void)state;
    static const made_trial sparse[] = {
        {"dense", 0, 1, "done", NULL, {{0, .91, .90, 6, 0}}, 1},
        {"magnitude", .5, 1, "done", NULL, {{.5, .89, .88, 0, 0}}, 1},
        {"magnitude", .9, 1, "done", NULL, {{.9, .85, .84, 2, 1}}, 1},
        {"sss", 1e-5, 1, "done", NULL, {{.98, .8, .79, 4, 1}}, 1},
        {"magnitude", .5, 2, "done", NULL, {{.5, .87, .86, 0, 0}}, 1},
    };
    cop_ctx *ctx = test_ctx();
    for (int most = 0; most < 2; most++) {
        const char *folder = most ? "sparse" : "mixed";
        fill_with(ctx, folder, most ? sparse : made, most ? (int)COPI_COUNT(sparse) : MADE, "t");
        test_ok(ctx, cop_study_report(ctx, in(folder, "."), NULL));
        char *svg = read_text(ctx, folder, "frontier.svg"), *page = read_text(ctx, folder, "report.html");
        assert_true(!strstr(svg, "logarithmic in what is left") == !most);
        assert_non_null(strstr(page, most ? "aria-pressed=\"true\">weights left" : "aria-pressed=\"true\">sparsity"));
        assert_true(!strstr(svg, ">98</text>") == !most); /* the axis ends at .984, where .8 (1 - .98) is left */
        assert_null(strstr(svg, ">99</text>"));
        assert_int_equal(count(svg, "class=\"m1 bar\""), most); /* of the setting with two seeds */
        assert_int_equal(count(svg, "test accuracy 87.00 \xc2\xb1 1.41 %, "), most);
        copi_free(ctx, svg);
        copi_free(ctx, page);
    }
    cop_ctx_destroy(ctx);
}

/* The SVG stands alone and shows what the page shows; rsvg-convert makes the PNG of it. Without that program one
 * warning says how to get it, and all else is written. */
static void test_pictures(void **state) {
    (void)state;
    logged log = {0};
    cop_ctx_options o = cop_ctx_options_default();
    o.log = keep_warning;
    o.user = &log;
    cop_ctx *ctx;
    assert_int_equal(cop_ctx_create(&o, &ctx), COP_OK);
    fill(ctx, "pl'ot", "it's a \"plot\" \\ of <all> \x01 & `date`\n");
    bool rsvg = system("rsvg-convert --version >/dev/null 2>&1") == 0;
    test_ok(ctx, cop_study_report(ctx, in("pl'ot", "."), NULL));
    assert_int_equal(log.warnings, rsvg ? 0 : 1);
    assert_true(starts_with(ctx, "pl'ot", "frontier.svg", "<?xml", 5));
    assert_true(rsvg == starts_with(ctx, "pl'ot", "frontier.png", "\x89PNG\r\n\x1a\n", 8));
    char *svg = read_text(ctx, "pl'ot", "frontier.svg"), *page = read_text(ctx, "pl'ot", "report.html");
    assert_non_null(strstr(svg, ">it&#39;s a &quot;plot&quot; \\ of &lt;all&gt;   &amp; `date`\n</text>"));
    const char *same = strstr(svg, "<g "); /* from here on, but for where it begins */
    assert_non_null(same);
    same = strchr(same, '\n');
    assert_non_null(strstr(page, same));
    copi_free(ctx, svg);
    copi_free(ctx, page);
    char *path = hide_programs();
    log.warnings = 0;
    fill(ctx, "none", "t");
    test_ok(ctx, cop_study_report(ctx, in("none", "."), NULL));
    show_programs(path);
    assert_int_equal(log.warnings, 1);
    assert_non_null(strstr(log.last, "frontier.png: not drawn: rsvg-convert: No such file or directory; install it "
                                     "(Debian: librsvg2-bin) and run the command again"));
    assert_int_not_equal(access(in("none", "frontier.png"), F_OK), 0);
    assert_int_equal(access(in("none", "frontier.svg"), F_OK), 0);
    assert_int_equal(access(in("none", "report.html"), F_OK), 0);
    cop_ctx_destroy(ctx);
}

/* A study before its first trial has a page too. */
static void test_empty(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    char path[300];
    snprintf(path, sizeof path, "%s/empty", dir);
    copi_store *store;
    test_ok(ctx, copi_store_open(ctx, path, COPI_STORE_WRITE, &store));
    copi_store_close(store);
    cop_study_summary s;
    test_ok(ctx, cop_study_report(ctx, path, &s));
    assert_true(s.trials == 0 && s.best_method[0] == 0 && isnan(s.dense_accuracy_test));
    assert_int_equal(access(in("empty", "report.html"), F_OK), 0);
    test_ctx_destroy(ctx);
}

typedef struct rows {
    int n;
    char text[2048];
} rows;
static int add_row(void *user, const cop_trial_row *row) {
    rows *r = user;
    size_t at = strlen(r->text);
    r->n++;
    snprintf(r->text + at, sizeof r->text - at, "%s %s %g %.3f\n", row->method, row->status, row->point.sparsity,
             row->score);
    return 0;
}

static void test_list(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    fill(ctx, "list", "t");
    rows r = {0};
    test_ok(ctx, cop_study_list(ctx, in("list", "."), add_row, &r));
    assert_string_equal(r.text, "dense done 0 0.450\nmagnitude done 0.5 0.690\nmagnitude done 0.9 0.870\n"
                                "l1-filter done 0.3 0.495\nl1-filter diverged nan nan\nl2-filter refused nan nan\n"
                                "sss done 0.6 0.745\nsss done 0.95 0.870\nrandom pending nan nan\n");
    int seen = 0;
    test_ok(ctx, cop_study_list(ctx, in("list", "."), stop_at_once, &seen));
    assert_int_equal(seen, 1);
    test_ctx_destroy(ctx);
}

/* A directory that can't be written is one line with its name. Root may write anywhere, so it steps aside. */
static void test_unwritable(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    fill(ctx, "fixed", "t");
    assert_int_equal(chmod(in("fixed", "."), 0555), 0);
    assert_int_equal(chmod(dir, 0755), 0);
    bool root = geteuid() == 0;
    if (root) assert_int_equal(seteuid(65534), 0);
    copi_store *store;
    char path[300];
    snprintf(path, sizeof path, "%s/fixed", dir);
    cop_status report = cop_study_report(ctx, path, NULL);
    bool named = strstr(cop_error(ctx), "fixed/") != NULL;
    cop_status write = copi_store_open(ctx, path, COPI_STORE_WRITE, &store);
    bool named_too = strstr(cop_error(ctx), "fixed/study.lock: Permission denied") != NULL;
    if (root) assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(path, 0700), 0);
    assert_int_equal(report, COP_E_IO);
    assert_int_equal(write, COP_E_IO);
    assert_true(named && named_too);
    test_ctx_destroy(ctx);
}

/* The device is full from the first byte on. */
static void test_full_disk(void **state) {
    (void)state;
    if (access("/dev/full", W_OK)) skip();
    cop_ctx *ctx = test_ctx();
    fill(ctx, "full", "t");
    assert_int_equal(symlink("/dev/full", in("full", "summary.json")), 0);
    test_fails(ctx, cop_study_report(ctx, in("full", "."), NULL), COP_E_IO,
               "summary.json: cannot write: No space left");
    test_ctx_destroy(ctx);
}

/* No two methods look alike on a plot; the further random controls share one look. */
static void test_styles(void **state) {
    (void)state;
    for (int i = 0; i < cop_method_count(); i++)
        for (int j = 0; j < i; j++) {
            const copi_style *a = copi_style_of(cop_method_name(i)), *b = copi_style_of(cop_method_name(j));
            if (a == b)
                assert_true(strstr(cop_method_name(i), "random-") && strstr(cop_method_name(j), "random-"));
            else if (!strcmp(a->light, b->light))
                fail_msg("%s and %s have one colour", cop_method_name(i), cop_method_name(j));
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_styles),          cmocka_unit_test(test_round_trip), cmocka_unit_test(test_one_process),
        cmocka_unit_test(test_bad_directories), cmocka_unit_test(test_no_memory),  cmocka_unit_test(test_csv),
        cmocka_unit_test(test_locale),          cmocka_unit_test(test_json),       cmocka_unit_test(test_page),
        cmocka_unit_test(test_page_plots),      cmocka_unit_test(test_axis),       cmocka_unit_test(test_pictures),
        cmocka_unit_test(test_empty),           cmocka_unit_test(test_list),       cmocka_unit_test(test_unwritable),
        cmocka_unit_test(test_full_disk),
    };
    test_dir_make(dir);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_dir_remove(dir);
    return failed;
}
