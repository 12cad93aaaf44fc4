/* auto: bounds on a trained file, and the choice among all candidates. */
#include "whole.h"

static const char *trained(void) {
    static char path[600];
    snprintf(path, sizeof path, "%s", in("dense.safetensors", ""));
    return path;
}

static void train_dense(void) {
    cop_ctx *ctx = one_thread(NULL, NULL);
    const cop_auto_params p = asked_within(0);
    cop_recipe r = cop_recipe_default();
    r.epochs = 20;
    cop_data *data;
    cop_net *net;
    test_ok(ctx, cop_data_open(ctx, p.data, &p.data_options, &data));
    test_ok(ctx, cop_net_preset(ctx, p.model, 1, SIDE, SIDE, CLASSES, 1, &net));
    test_ok(ctx, cop_train(net, data, &r, NULL));
    test_ok(ctx, cop_net_save(net, trained()));
    cop_net_destroy(net);
    cop_data_destroy(data);
    cop_ctx_destroy(ctx);
}

/* With time enough all candidates are tried, the recipe without a teacher too, each by a trial of its own. */
static void test_choice(void **state) {
    (void)state;
    cop_ctx *ctx = one_thread(NULL, NULL);
    cop_auto_params p = asked(20);
    p.model = trained();
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
    p.model = trained();
    cop_net *net;
    cop_net_info info;
    test_ok(ctx, cop_net_load(ctx, p.model, &net));
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_choice),
    };
    test_dir_make(dir);
    make_data();
    train_dense();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_dir_remove(dir);
    return failed;
}
