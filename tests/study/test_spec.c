/* Study files: what is read, and that everything wrong is refused with line, column and the nearest name. */
#include "check.h"
#include "study/study.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[256];

static const char *write_file(const char *name, const char *text, size_t n) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    return path;
}

/* The text is refused with exactly this line, after the file's path. */
static void refuse_bytes(const char *text, size_t n, const char *wanted) {
    cop_ctx *ctx = test_ctx();
    copi_spec spec;
    const char *path = write_file("study.yaml", text, n);
    assert_int_equal(copi_spec_load(ctx, path, &spec), COP_E_FORMAT);
    const char *got = cop_error(ctx);
    assert_int_equal(strncmp(got, path, strlen(path)), 0);
    assert_string_equal(got + strlen(path), wanted);
    copi_spec_clear(&spec); /* a cleared spec may be cleared again */
    test_ctx_destroy(ctx);
}
static void refuse_newer(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    copi_spec spec;
    static const char text[] = "version: 2\nshape: round\n";
    test_fails(ctx, copi_spec_parse(ctx, "s.yaml", text, sizeof text - 1, &spec), COP_E_VERSION,
               "s.yaml:1:10: version is 2; this program reads version 1; use a newer one");
    test_ctx_destroy(ctx);
}
static void refuse(const char *text, const char *wanted) {
    refuse_bytes(text, strlen(text), wanted);
}

#define HEAD "name: t\ndata: {path: d}\nmodel: lenet-5\n"
#define OTHER "name: t\ndata: {path: d}\nmodel: seed-cnn\n"

static void test_complete(void **state) {
    (void)state;
    static const char text[] =
        "name: five methods\n"
        "data:   {format: idx, path: /usr/share/x, validation: 0.2, limit: 5000}\n"
        "model:  seed-cnn                       # a preset\n"
        "dense:  {epochs: 6, optimizer: sgd, rate: 2e-3, schedule: step, step_epochs: [2, 4], batch: 64, augment: "
        "flip}\n"
        "score:  {floor: 0.70}\n"
        "seeds:  [1, 2, 9223372036854775807]\n"
        "threads: 2\n"
        "precision: bf16\n"
        "trials:\n"
        "  - {method: magnitude, sparsity: [0, .5, 0.95], rounds: 3, pace: cubic, scope: global, keep: 7,\n"
        "     tune: {epochs: 2.5, augment: [flip, shift], distil_share: 0.5}}\n"
        "  - method: sss\n"
        "    gamma: 1e-2\n"
        "    prox: subgradient\n"
        "    epochs: 4\n"
        "    augment: none\n"
        "    retrain: {epochs: 5, l1: 1e-4, precision: f32}\n"
        "    threshold: [0, 1e-3]\n"
        "  - {method: dense-longer, rounds: 2, tune: {epochs: 1, shift: 3}}\n"
        "  - {method: l2-filter, sparsity: .25, shrink: no}\n";
    cop_ctx *ctx = test_ctx();
    copi_spec s;
    test_ok(ctx, copi_spec_load(ctx, write_file("study.yaml", text, sizeof text - 1), &s));
    assert_string_equal(s.name, "five methods");
    assert_string_equal(s.data_options.format, "idx");
    assert_string_equal(s.data, "/usr/share/x");
    assert_true(s.data_options.validation == 0.2 && s.data_options.limit == 5000 && s.floor == 0.7);
    assert_string_equal(s.model, "seed-cnn");
    assert_true(copi_spec_is_preset(&s));
    assert_int_equal(s.threads, 2);
    assert_int_equal(s.seeds, 3);
    assert_true(s.seed[2] == INT64_MAX);
    const cop_recipe *d = &s.dense;
    assert_true(d->epochs == 6 && d->optimizer == COP_OPTIMIZER_SGD && d->rate == 2e-3 && d->batch == 64);
    assert_true(d->schedule == COP_SCHEDULE_STEP && d->step_epochs[1] == 4 && d->step_epochs[2] == 0);
    assert_true(d->flip == 1 && d->shift == 0 && d->precision == COP_PRECISION_BF16);
    assert_int_equal(s.trials, 4);
    const copi_spec_trial *t = s.trial;
    assert_string_equal(t[0].p.method, "magnitude");
    assert_string_equal(t[0].p.scope, "global");
    assert_true(t[0].levels == 3 && t[0].level[1] == 0.5);
    assert_true(t[0].p.rounds == 3 && t[0].p.pace == COP_PACE_CUBIC && t[0].p.keep == 7 && t[0].p.shrink == 1);
    assert_true(t[0].p.tune.epochs == 2.5 && t[0].p.tune.flip == 1 && t[0].p.tune.shift == 2);
    assert_true(t[0].p.tune.distil_share == 0.5);
    /* what a recipe does not say comes from the dense net's */
    assert_true(t[0].p.tune.optimizer == COP_OPTIMIZER_SGD && t[0].p.tune.batch == 64 && t[0].p.tune.rate == 2e-3);
    assert_true(t[0].p.tune.precision == COP_PRECISION_BF16);
    assert_true(t[1].levels == 1 && t[1].level[0] == 1e-2 && t[1].p.sss.prox == COP_PROX_SUBGRADIENT);
    assert_true(t[1].p.sss.search.epochs == 4 && t[1].p.sss.search.flip == 0 && t[1].p.sss.search.batch == 64);
    assert_true(t[1].p.sss.retrain.epochs == 5 && t[1].p.sss.retrain.l1 == 1e-4 && t[1].p.sss.retrain.flip == 1);
    assert_true(t[1].p.sss.retrain.precision == COP_PRECISION_F32 &&
                t[1].p.sss.search.precision == COP_PRECISION_BF16);
    assert_true(t[1].p.sss.thresholds == 2 && t[1].p.sss.threshold[1] == 1e-3);
    assert_true(t[2].p.rounds == 2 && t[2].p.tune.epochs == 1 && t[2].p.tune.shift == 3 && t[2].p.tune.flip == 1);
    assert_true(t[3].levels == 1 && t[3].level[0] == 0.25 && t[3].p.shrink == 0);
    copi_spec_clear(&s);
    test_ctx_destroy(ctx);
}

static void test_structures_and_limits(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    copi_spec s;
    static const char text[] = HEAD
        "dense: {epochs: 7}\n"
        "trials:\n"
        "  - {method: sss, scope: [neuron, block], gamma: [1e-3, 1e-2], cost_aware: true}\n"
        "  - {method: sss, scope: group, gamma: 1e-4, macs: [0.5, 2e6], tries: 5}\n"
        "  - {method: sss, sparsity: .5}\n"
        "  - {method: l1-filter, sparsity: .5, aggregate: mean, limits: [{layer: 'conv*', keep: 8}, {layer: conv1,\n"
        "     most: .25}]}\n"
        "  - {method: bn-scale, sparsity: .5, sparsify: {epochs: 3, l1_scale: 1e-4}, rounds: 1}\n"
        "  - {method: scratch, like: l1-filter, sparsity: [.25, .5], rounds: 1, tune: {epochs: 2}}\n"
        "  - {method: scratch, like: sss, scope: block, gamma: [.1], scratch: {epochs: 9}, retrain: {epochs: 1}}\n";
    test_ok(ctx, copi_spec_load(ctx, write_file("study.yaml", text, sizeof text - 1), &s));
    const copi_spec_trial *t = s.trial;
    assert_int_equal(s.trials, 7);
    assert_true(t[0].p.sss.structures == 5 && t[0].p.sss.cost_aware && t[0].p.sss.target == COP_TARGET_NONE);
    assert_true(t[1].p.sss.structures == 2 && t[1].p.sss.target == COP_TARGET_MACS && t[1].p.sss.tries == 5);
    assert_true(t[1].levels == 2 && t[1].p.sss.reach == 0.5);
    assert_true(t[1].p.sss.gamma == 1e-4);
    assert_true(t[2].p.sss.structures == 1 && t[2].p.sss.reach == 0.5);
    const cop_method_params p = t[3].p;
    assert_true(p.aggregate == COP_AGGREGATE_MEAN && p.limits == 2 && p.sparsify.epochs == 0);
    assert_string_equal(p.limit[0].layer, "conv*");
    assert_true(p.limit[0].keep == 8 && p.limit[0].most == 1 && p.limit[1].keep == 0 && p.limit[1].most == 0.25);
    assert_true(t[4].p.sparsify.epochs == 3 && t[4].p.sparsify.l1_scale == 1e-4 && t[4].p.tune.l1_scale == 0);
    assert_string_equal(t[5].p.scratch.like, "l1-filter");
    assert_true(t[5].p.scratch.recipe.epochs == 7 && t[6].p.scratch.recipe.epochs == 9);
    assert_true(!strcmp(t[6].level_of->name, "gamma") && !strcmp(t[5].level_of->name, "sparsity"));

    copi_trials trials;
    test_ok(ctx, copi_trials_expand(&s, "d", "", &trials));
    static const char *const label[] = {"dense net",
                                        "sss neuron block gamma 0.001, by MACs",
                                        "sss neuron block gamma 0.01, by MACs",
                                        "sss group macs 0.5",
                                        "sss group macs 2e+06",
                                        "sss sparsity 0.5",
                                        "l1-filter 0.5",
                                        "bn-scale 0.5, 1 round",
                                        "scratch as l1-filter 0.25, 1 round",
                                        "scratch as l1-filter 0.5, 1 round",
                                        "scratch as sss block gamma 0.1"};
    assert_int_equal(trials.n, COPI_COUNT(label));
    for (size_t i = 0; i < COPI_COUNT(label); i++) assert_string_equal(trials.trial[i].label, label[i]);
    assert_true(trials.trial[5].asked == 0.5 && isnan(trials.trial[3].asked) && isnan(trials.trial[1].asked));
    assert_true(copi_trial_params(&trials.trial[4], NULL).sss.reach == 2e6);
    assert_true(copi_trial_params(&trials.trial[10], NULL).sss.gamma == 0.1);
    copi_trials_clear(&trials);
    copi_spec_clear(&s);

    refuse(HEAD "trials: [{method: sss, scope: layer}]\n",
           ":4:31: scope is \"layer\"; expected one or more of neuron, group, block");
    refuse(HEAD "trials: [{method: magnitude, sparsity: .5, scope: block}]\n",
           ":4:51: scope is \"block\"; expected one of layer, global");
    refuse(HEAD "trials: [{method: sss, macs: .5, sparsity: .5}]\n",
           ":4:30: gamma can be searched for sparsity or macs, not both");
    refuse(HEAD "trials: [{method: sss, macs: .5, gamma: [1, 2]}]\n",
           ":4:41: gamma is a list, but macs makes it searched; give one value to start from");
    refuse(HEAD "trials: [{method: sss, tries: 3}]\n",
           ":4:31: tries has no effect without a sparsity, macs or parameters to reach");
    refuse(HEAD "trials: [{method: l1-filter, sparsity: .5, limits: [{keep: 3}]}]\n",
           ":4:53: limit: \"layer\" is missing");
    refuse(HEAD "trials: [{method: bn-scale, sparsity: .5, sparsify: {l1_scale: 1e-4}}]\n",
           ":4:53: sparsify has no effect without epochs");
    refuse(HEAD "trials: [{method: scratch, sparsity: .5}]\n", ":4:10: trial: \"like\" is missing");
    refuse(HEAD "trials: [{method: scratch, like: compound, sparsity: .5}]\n",
           ":4:34: like is \"compound\"; expected one of magnitude, l1-filter, l2-filter, l2-neuron, fpgm, bn-scale, "
           "taylor, fisher, fisher-root, lamp, lamp-macs, random, random-filter, random-neuron, sss");
    refuse(HEAD "trials: [{method: l1-filter, like: sss, sparsity: .5}]\n",
           ":4:30: trial: \"like\" belongs to scratch");
    test_ctx_destroy(ctx);
}

/* What came later is not in the text of a trial that does not use it, so older studies keep their names. */
static void test_names_last(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    copi_spec s;
    copi_trials trials;
    copi_buffer text;
    static const char file[] = HEAD "trials: [{method: sss}, {method: l1-filter, sparsity: .5, rounds: 1}]\n";
    test_ok(ctx, copi_spec_load(ctx, write_file("study.yaml", file, sizeof file - 1), &s));
    test_ok(ctx, copi_trials_expand(&s, "d", "", &trials));
    const char *const late[] = {"scope=\n",  "l1_scale", "cost_aware", "tries",
                                "aggregate", "limits",   "sparsify",   "target"};
    for (int i = 0; i < s.trials; i++) {
        copi_buffer_init(&text, ctx);
        copi_spec_print_trial(&text, (const copi_spec_trial *)s.trial + i);
        for (size_t k = 0; k < COPI_COUNT(late); k++) assert_null(strstr(text.data, late[k]));
        copi_buffer_clear(&text);
    }
    copi_trials_clear(&trials);
    copi_spec_clear(&s);
    test_ctx_destroy(ctx);
}

/* Where a late key is used it makes another trial. */
static void test_late_keys_count(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    static const struct {
        const char *trial, *key; /* with %s where the key goes */
    } rows[] = {
        {"method: lamp, sparsity: .9, rounds: 1, pace: gradual%s", ", begin: 0"},
        {"method: lamp, sparsity: .9, rounds: 1, pace: gradual%s", ", end: .5"},
        {"method: lamp, sparsity: .9, rounds: 1, pace: gradual%s", ", revive: .1"},
        {"method: lamp, sparsity: .9, rounds: 1, tune: {epochs: 2%s}", ", dropout: 0"},
        {"method: lamp, sparsity: .9, rounds: 1, tune: {epochs: 2%s}", ", erase: 3"},
        {"method: lamp, sparsity: .9, rounds: 1, tune: {epochs: 2%s}", ", average: .9"},
        {"method: lamp, sparsity: .9, rounds: 1, tune: {epochs: 2%s}", ", l1_scale: .1"},
        {"method: lamp, sparsity: .9, rounds: 1, sparsify: {epochs: 2%s}", ", dropout: 0"},
        {"method: l1-filter, sparsity: .9%s", ", aggregate: mean"},
        {"method: sss%s", ", cost_aware: true"},
        {"method: sss%s", ", dropout: 0"},
        {"method: sss, retrain: {epochs: 2%s}", ", dropout: 0"},
        {"method: sss, sparsity: .5%s", ", tries: 3"},
        {"method: compound, sparsity: .5%s", ", revive: .1"},
        {"method: compound, sparsity: .5%s", ", first: l2-filter, share: .5"},
        {"method: compound, first: l2-filter, sparsity: .5, share: .5%s", "1"},
    };
    for (size_t i = 0; i < COPI_COUNT(rows); i++) {
        char name[2][20];
        for (int with = 0; with < 2; with++) {
            char trial[200], text[600];
            snprintf(trial, sizeof trial, rows[i].trial, with ? rows[i].key : "");
            int n = snprintf(text, sizeof text, HEAD "trials: [{%s}]\n", trial);
            copi_spec s;
            copi_trials trials;
            test_ok(ctx, copi_spec_parse(ctx, "s.yaml", text, (size_t)n, &s));
            test_ok(ctx, copi_trials_expand(&s, "d", "", &trials));
            assert_int_equal(trials.n, 2);
            snprintf(name[with], sizeof name[with], "%s", trials.trial[1].name);
            copi_trials_clear(&trials);
            copi_spec_clear(&s);
        }
        if (!strcmp(name[0], name[1])) fail_msg("%s: %s makes no other trial", rows[i].trial, rows[i].key);
    }
    test_ctx_destroy(ctx);
}

static void test_defaults(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    copi_spec s;
    static const char text[] = HEAD "trials: [{method: sss}]\n";
    test_ok(ctx, copi_spec_load(ctx, write_file("study.yaml", text, sizeof text - 1), &s));
    assert_true(s.data_options.format == NULL && s.data_options.validation == 0.1 && s.floor == 0.6);
    assert_true(s.seeds == 1 && s.seed[0] == 1 && s.threads == 0);
    assert_true(s.dense.epochs == cop_recipe_default().epochs && s.dense.distil_share == 0);
    assert_true(((copi_spec_trial *)s.trial)[0].p.sss.retrain.l1 == cop_method_params_default().sss.retrain.l1);
    copi_spec_clear(&s);
    test_ctx_destroy(ctx);
}

/* compound: levels are shares of the dense net, weights rank globally unless said otherwise, recipes apart. */
static void test_compound(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    copi_spec s;
    static const char text[] =
        HEAD "dense: {epochs: 3}\n"
             "trials:\n  - {method: compound, sparsity: [.9, .98], gamma: 5e-3, structure: {epochs: 2}, begin: .2,\n"
             "     tune: {epochs: 7, distil_share: .5}}\n"
             "  - {method: lamp, sparsity: .9, rounds: 1, pace: gradual, scope: global, end: .6}\n";
    test_ok(ctx, copi_spec_parse(ctx, "s.yaml", text, sizeof text - 1, &s));
    const copi_spec_trial *t = s.trial;
    cop_method_params p = t[0].p, q = t[1].p;
    assert_string_equal(p.scope, "global");
    assert_string_equal(p.compound.rank, "lamp");
    assert_int_equal(t[0].levels, 2);
    assert_true(p.sss.gamma == 5e-3 && p.sss.search.epochs == 2 && p.tune.epochs == 7 && p.tune.distil_share == 0.5);
    assert_true(p.gradual.begin == 0.2 && p.gradual.end == 0.7 && q.gradual.begin == 0.1 && q.gradual.end == 0.6 &&
                q.pace == COP_PACE_GRADUAL);
    copi_spec_clear(&s);
    test_ctx_destroy(ctx);
    refuse(HEAD "trials: [{method: compound, gamma: 1}]\n", ":4:10: trial: \"sparsity\" is missing");
    refuse(HEAD "trials: [{method: compound, sparsity: .9, share: .5}]\n",
           ":4:50: share has no effect on compound, first sss");
    refuse(HEAD "trials: [{method: compound, sparsity: .9, first: l2-filter}]\n",
           ":4:10: trial: share is 0; first l2-filter needs the share of each layer to remove");
    refuse(HEAD "trials: [{method: compound, sparsity: .9, first: l2-filter, share: .5, gamma: 1}]\n",
           ":4:79: gamma has no effect on compound, first l2-filter");
    refuse(HEAD "trials: [{method: compound, sparsity: .9, first: lamp, share: .5}]\n",
           ":4:50: first is \"lamp\"; expected one of sss, l1-filter, l2-filter, l2-neuron, fpgm, bn-scale, taylor, "
           "random-filter, random-neuron");
    refuse(HEAD "trials: [{method: lamp, sparsity: .9, pace: gradual}]\n",
           ":4:10: trial: rounds is 0; pace gradual prunes within one training, so use 1");
}

/* Trials that differ in what labels leave out are told apart by it; the first one keeps its label. */
static void test_labels(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    copi_spec s;
    static const char text[] = HEAD
        "dense: {epochs: 3}\nseeds: [1, 2]\ntrials:\n"
        "  - {recipe: fast, sparsity: [.9, .95]}\n  - {recipe: fast, sparsity: [.9, .95], tune: {restarts: 1}}\n"
        "  - {recipe: fast, sparsity: .9, revive: .2, tune: {average: .999, flip: true}}\n"
        "  - {method: l1-filter, sparsity: .5}\n  - {method: l1-filter, sparsity: .5, shrink: false}\n"
        "  - {method: l1-filter, sparsity: .5, aggregate: mean, limits: [{layer: conv1, keep: 8}]}\n"
        "  - {method: l1-filter, sparsity: .5, aggregate: mean, limits: [{layer: conv1, keep: 9}]}\n"
        "  - {method: sss, gamma: 1e-3, epochs: 2, retrain: {epochs: 2}}\n"
        "  - {method: sss, gamma: 1e-3, epochs: 2, retrain: {epochs: 3}, threshold: [0, .01], prox: subgradient}\n";
    static const char *const labels[] = {
        "dense net",
        "fisher-root 0.9 global gradual, 30 epochs, recipe fast",
        "fisher-root 0.95 global gradual, 30 epochs, recipe fast",
        "fisher-root 0.9 global gradual, 30 epochs, recipe fast, tune restarts 1",
        "fisher-root 0.95 global gradual, 30 epochs, recipe fast, tune restarts 1",
        "fisher-root 0.9 global gradual, 30 epochs, recipe fast, revive 0.2, tune flip true, tune average 0.999",
        "l1-filter 0.5",
        "l1-filter 0.5, shrink false",
        "l1-filter 0.5, aggregate mean, limits",
        "l1-filter 0.5, aggregate mean, limits, no. 9",
        "sss gamma 0.001",
        "sss gamma 0.001, prox subgradient, retrain epochs 3, threshold 0/0.01",
    };
    test_ok(ctx, copi_spec_parse(ctx, "s.yaml", text, sizeof text - 1, &s));
    copi_trials trials;
    test_ok(ctx, copi_trials_expand(&s, "d", "", &trials));
    int each = (int)COPI_COUNT(labels);
    assert_int_equal(trials.n, 2 * each);
    for (int i = 0; i < trials.n; i++) assert_string_equal(trials.trial[i].label, labels[i % each]);
    copi_trials_clear(&trials);
    copi_spec_clear(&s);
    test_ctx_destroy(ctx);
}

/* A named recipe is a short way to write its keys: the same trial by the same name; what is given besides wins. */
static void test_recipes(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    copi_spec s;
    static const char text[] = HEAD
        "dense: {epochs: 3, batch: 32, augment: flip, erase: 5, average: .9}\n"
        "trials:\n  - {recipe: fast, sparsity: .9}\n"
        "  - {method: fisher-root, scope: global, sparsity: .9, rounds: 1, pace: gradual, begin: 0, end: .6, tune: "
        "{epochs: 30,\n"
        "     batch: 64, rate: 4e-3, optimizer: adamw, schedule: one-cycle, distil_share: .7, distil_temperature: "
        "2, dropout: 0,\n"
        "     erase: 0, average: 0}}\n"
        "  - {sparsity: .9, tune: {epochs: 5}, scope: layer, method: magnitude, recipe: best}\n";
    test_ok(ctx, copi_spec_parse(ctx, "s.yaml", text, sizeof text - 1, &s));
    copi_trials trials;
    test_ok(ctx, copi_trials_expand(&s, "d", "", &trials));
    assert_int_equal(trials.n, 3); /* the dense net, fast once, and the third */
    assert_string_equal(trials.trial[1].label, "fisher-root 0.9 global gradual, 30 epochs, recipe fast");
    copi_trials_clear(&trials);
    const copi_spec_trial *t = s.trial;
    cop_method_params p = t[0].p, q = t[2].p, by_name = cop_method_params_default();
    by_name.tune = s.dense;
    test_ok(ctx, cop_method_recipe_apply(ctx, "fast", &by_name));
    assert_string_equal(p.method, by_name.method);
    assert_memory_equal(&p.tune, &by_name.tune, sizeof p.tune);
    assert_true(p.tune.flip == 1); /* the dense net's, on which a recipe has no opinion */
    assert_string_equal(q.method, "magnitude");
    assert_string_equal(q.scope, "layer");
    assert_true(q.tune.epochs == 5 && q.tune.rate == p.tune.rate && q.pace == COP_PACE_GRADUAL);
    copi_spec_clear(&s);
    test_fails(ctx, cop_method_recipe_apply(ctx, "fst", &by_name), COP_E_NOT_FOUND, "did you mean 'fast'?");
    test_fails(ctx, cop_method_recipe_apply(ctx, NULL, &by_name), COP_E_ARG, "name is NULL");
    test_ctx_destroy(ctx);
    refuse(HEAD "trials: [{method: lamp, sparsity: .9, rounds: 1, revive: .1}]\n",
           ":4:58: revive has no effect at pace one-shot; add `pace: gradual`");
    refuse(HEAD "trials: [{method: lamp, sparsity: .9, rounds: 3, pace: cubic, end: .5}]\n",
           ":4:68: end has no effect at pace cubic; add `pace: gradual`");
    refuse(HEAD "trials: [{method: lamp, sparsity: .9, macs: .1}]\n",
           ":4:10: trial: macs has no effect on lamp, scope layer; what ranks weights, scope global, heeds it");
    refuse(HEAD "trials: [{recipe: fst, sparsity: .9}]\n", ":4:19: recipe is \"fst\"; did you mean \"fast\"?");
    refuse(HEAD "trials: [{sparsity: .9}]\n", ":4:10: trial: \"method\" is missing");
    refuse(HEAD "trials: [{recipe: fast, method: sss}]\n",
           ":4:19: recipe has no effect on sss, which has its own recipes for search and retrain");
}

static void test_paths(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    copi_spec s;
    char wanted[600];
    write_file("d", "x", 1);
    write_file("net.safetensors", "x", 1);
    static const char text[] = "name: t\ndata: {path: d}\nmodel: net.safetensors\ntrials: [{method: sss}]\n";
    test_ok(ctx, copi_spec_load(ctx, write_file("study.yaml", text, sizeof text - 1), &s));
    snprintf(wanted, sizeof wanted, "%s/d", dir);
    assert_string_equal(s.data, wanted); /* beside the study file */
    snprintf(wanted, sizeof wanted, "%s/net.safetensors", dir);
    assert_string_equal(s.model, wanted);
    assert_false(copi_spec_is_preset(&s));
    assert_true(s.dense.epochs == 0); /* a model file without `dense` is taken as it is */
    copi_spec_clear(&s);
    static const char other[] = "name: t\ndata: {path: elsewhere/d}\nmodel: lenet-5\ntrials: [{method: sss}]\n";
    test_ok(ctx, copi_spec_load(ctx, write_file("study.yaml", other, sizeof other - 1), &s));
    assert_string_equal(s.data, "elsewhere/d"); /* not there: as given */
    copi_spec_clear(&s);
    /* "../" is taken back, as far as it names the folder that the study is in */
    char here[PATH_MAX];
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(mkdir("studies", 0700) | mkdir("studies/deep", 0700), 0);
    static const char *const cases[][3] = {
        {"studies/s.yaml", "../d", "d"},
        {"studies/deep/s.yaml", "../../d", "d"},
        {"./studies/s.yaml", "../d", "./d"},
        {"studies/deep/s.yaml", "../deep", "studies/deep"},
        {"studies/../s.yaml", "d", "studies/../d"},
        {"studies/s.yaml", "../none", "../none"},
    };
    for (size_t i = 0; i < COPI_COUNT(cases); i++) {
        char line[160];
        int n = snprintf(line, sizeof line, "name: t\ndata: {path: %s}\nmodel: lenet-5\ntrials: [{method: sss}]\n",
                         cases[i][1]);
        test_ok(ctx, copi_spec_parse(ctx, cases[i][0], line, (size_t)n, &s));
        assert_string_equal(s.data, cases[i][2]);
        copi_spec_clear(&s);
    }
    assert_int_equal(rmdir("studies/deep") | rmdir("studies") | chdir(here), 0);
    test_ctx_destroy(ctx);
}

static void test_names(void **state) {
    (void)state;
    refuse(HEAD "trails: []\n", ":4:1: study: unknown key \"trails\"; did you mean \"trials\"?");
    refuse(HEAD "zzz: 1\ntrials: [{method: sss}]\n", ":4:1: study: unknown key \"zzz\"; choose from name, data, "
                                                     "model, precision, dense, score, seeds, threads, nets, "
                                                     "trials, version");
    refuse(HEAD "trials:\n  - {method: magnitude, sparsty: .5}\n",
           ":5:25: trial: unknown key \"sparsty\"; did you mean \"sparsity\"?");
    refuse(HEAD "dense: {epoch: 3}\ntrials: [{method: sss}]\n",
           ":4:9: dense: unknown key \"epoch\"; did you mean \"epochs\"?");
    refuse(HEAD "trials:\n  - {method: magnitude, sparsity: .5, rounds: 1, tune: {rat: 1}}\n",
           ":5:57: recipe: unknown key \"rat\"; did you mean \"rate\"?");
    refuse(HEAD "trials: [{method: magnitud, sparsity: .5}]\n",
           ":4:19: method is \"magnitud\"; did you mean \"magnitude\"?");
    refuse(HEAD "dense: {optimizer: adamx}\ntrials: [{method: sss}]\n",
           ":4:20: optimizer is \"adamx\"; did you mean \"adam\"?");
    refuse(HEAD "dense: {schedule: triangle}\ntrials: [{method: sss}]\n",
           ":4:19: schedule is \"triangle\"; expected one of constant, step, cosine, one-cycle");
    refuse("name: t\ndata: {path: d, format: idxx}\nmodel: lenet-5\ntrials: [{method: sss}]\n",
           ":2:25: format is \"idxx\"; did you mean \"idx\"?");
    refuse("name: t\ndata: {path: d}\nmodel: sed-cnn\ntrials: [{method: sss}]\n",
           ":3:8: model \"sed-cnn\" is neither a built-in net nor a file; did you mean \"seed-cnn\"?");
    refuse(HEAD "trials: [{method: magnitude, sparsity: .5, scope: globl}]\n",
           ":4:51: scope is \"globl\"; did you mean \"global\"?");
    refuse(HEAD "dense: {augment: [flip, flop]}\ntrials: [{method: sss}]\n",
           ":4:25: augment is \"flop\"; did you mean \"flip\"?");
}

static void test_values(void **state) {
    (void)state;
    refuse(HEAD "trials: [{method: magnitude, sparsity: 1.2}]\n",
           ":4:40: sparsity is 1.2; expected a number in [0,1)");
    refuse(HEAD "trials: [{method: magnitude, sparsity: [.5, nan]}]\n",
           ":4:45: sparsity is \"nan\"; expected a number in [0,1)");
    refuse(HEAD "trials: [{method: magnitude, sparsity: .nan}]\n",
           ":4:40: sparsity is \".nan\"; expected a number in [0,1)");
    refuse(HEAD "trials: [{method: magnitude, sparsity: 1}]\n", ":4:40: sparsity is 1; expected a number in [0,1)");
    refuse(HEAD "trials: [{method: magnitude, sparsity: -0.1}]\n",
           ":4:40: sparsity is -0.1; expected a number in [0,1)");
    refuse(HEAD "trials: [{method: magnitude, sparsity: [.5, .5]}]\n", ":4:45: sparsity .5 is in the list twice");
    refuse(HEAD "trials: [{method: magnitude, sparsity: []}]\n",
           ":4:40: sparsity is an empty list; give at least one number");
    refuse(HEAD "trials: [{method: sss, gamma: 1e400}]\n",
           ":4:31: gamma is \"1e400\"; expected a number in [0,1000]");
    refuse(HEAD "trials: [{method: sss, gamma: 0x10}]\n", ":4:31: gamma is \"0x10\"; expected a number in [0,1000]");
    refuse(HEAD "trials: [{method: sss, gamma: \"0.1\"}]\n",
           ":4:31: gamma is the text \"0.1\" in quotes; expected a number");
    refuse(HEAD "seeds: [1, -2]\ntrials: [{method: sss}]\n",
           ":4:12: seeds is -2; expected an integer in [0,9.223372036854776e18]");
    refuse(HEAD "dense: {optimizer: \"a\\nb\\e[2J\"}\ntrials: [{method: sss}]\n",
           ":4:20: optimizer is \"a?b?[2J\"; expected one of sgd, adam, adamw");
    refuse(HEAD "version: 0\ntrials: [{method: sss}]\n", ":4:10: version is 0; expected an integer in [1,1e9]");
    refuse(HEAD "seeds: [1, 2, 1]\ntrials: [{method: sss}]\n", ":4:15: seeds 1 is in the list twice");
    refuse(HEAD "seeds: 9223372036854775808\ntrials: [{method: sss}]\n",
           ":4:8: seeds is \"9223372036854775808\"; expected an integer in [0,9.223372036854776e18]");
    refuse(HEAD "dense: {batch: 12.5}\ntrials: [{method: sss}]\n",
           ":4:16: batch is \"12.5\"; expected an integer in [1,1048576]");
    refuse(HEAD "dense: {batch: 0}\ntrials: [{method: sss}]\n",
           ":4:16: batch is 0; expected an integer in [1,1048576]");
    refuse(HEAD "dense: {flip: 2}\ntrials: [{method: sss}]\n", ":4:15: flip is \"2\"; expected true or false");
    refuse(HEAD "dense: {step_epochs: [3, 2]}\ntrials: [{method: sss}]\n",
           ":4:26: step_epochs must rise, but 2 follows 3");
    refuse(HEAD "dense: {step_epochs: [1, 2, 3, 4, 5]}\ntrials: [{method: sss}]\n",
           ":4:22: step_epochs has 5 numbers; expected 1 to 4");
    refuse(HEAD "dense: {augment: [none, flip]}\ntrials: [{method: sss}]\n",
           ":4:18: augment: \"none\" cannot be combined; remove it or the others");
    refuse(HEAD "score: {floor: 1}\ntrials: [{method: sss}]\n", ":4:16: floor is 1; expected a number in [0,1)");
    refuse(HEAD "dense: {rate: }\ntrials: [{method: sss}]\n", ":4:15: rate is empty; expected a number");
    refuse(HEAD "dense: {rate: [1]}\ntrials: [{method: sss}]\n", ":4:15: rate is a list; expected a number");
    refuse("name: [a]\ndata: {path: d}\nmodel: lenet-5\ntrials: [{method: sss}]\n",
           ":1:7: name is a list; expected a text");
}

static void test_structure(void **state) {
    (void)state;
    refuse("", ": the file is empty; expected a study");
    refuse("# only a remark\n", ": the file is empty; expected a study");
    refuse("- a\n", ":1:1: study is a list; expected `key: value` pairs");
    refuse("hello\n", ":1:1: study is \"hello\"; expected `key: value` pairs");
    refuse("name: t\ndata: {path: d}\ntrials: [{method: sss}]\n", ":1:1: study: \"model\" is missing");
    refuse(HEAD "trials: [{sparsity: .5}]\n", ":4:10: trial: \"method\" is missing");
    refuse(HEAD "trials: [{method: magnitude}]\n", ":4:10: trial: \"sparsity\" is missing");
    refuse(HEAD "trials: {method: sss}\n",
           ":4:9: trials is a mapping; expected a list, each entry beginning with \"- \"");
    refuse(HEAD "trials: []\n", ":4:9: trials is an empty list; give at least one");
    refuse(HEAD "name: u\ntrials: [{method: sss}]\n", ":4:1: study: \"name\" is given twice, first in line 1");
    refuse(HEAD "trials: [{method: magnitude, sparsity: .5, gamma: 1}]\n",
           ":4:44: trial: \"gamma\" belongs to sss, compound");
    refuse(HEAD "trials: [{method: sss, rounds: 1}]\n",
           ":4:24: trial: \"rounds\" belongs to methods that rank by a criterion, dense-longer");
    refuse(HEAD "trials: [{method: sss, tune: {epochs: 1}}]\n",
           ":4:24: trial: \"tune\" belongs to methods that rank by a criterion, compound, dense-longer");
    refuse(HEAD "trials: [{method: magnitude, sparsity: .5, epochs: 2}]\n",
           ":4:44: trial: \"epochs\" belongs to sss");
    refuse(HEAD "trials: [{method: magnitude, sparsity: .5, tune: {epochs: 2}}]\n",
           ":4:50: tune has no effect without rounds; add `rounds: 1` or more");
    refuse(HEAD "dense: {distil_share: .5}\ntrials: [{method: sss}]\n",
           ":4:23: the dense net has no teacher; distil_share belongs to tune, retrain and sss");
    refuse(HEAD "trials: [{method: sss}]\n---\nname: u\n", ":6:1: a second document begins; expected one study");
    refuse(HEAD "trials: [{method: sss}\n",
           ":5:1: not YAML: did not find expected ',' or ']' while parsing a flow sequence");
    refuse("name: &a [*a]\n", ":1:7: name is a list; expected a text");
    refuse(HEAD "trials: [&t {method: magnitude, sparsity: .5, rounds: 1, tune: *t}]\n",
           ":4:14: recipe: unknown key \"method\"; choose from epochs, batch, optimizer, rate, momentum, "
           "beta1, "
           "beta2, epsilon, decay, l1, l1_scale, l2, l2_conv, schedule, warmup, step_epochs, step_factor, restarts, "
           "flip, "
           "shift, erase, dropout, average, "
           "label_smoothing, distil_share, distil_temperature, precision, evaluate_every, augment");
}

static void test_hostile(void **state) {
    (void)state;
    refuse("name: \xff\xfe\n", ": byte 6: not UTF-8 text: invalid leading UTF-8 octet");
    refuse_bytes("na\0me: t\n", 9, ": byte 2: not UTF-8 text: control characters are not allowed");
    refuse("name: \"a\\0b\"\n", ":1:7: name holds a zero byte; expected a text");
    refuse(HEAD "\"a\\nb\\tc\": 1\n", ":4:1: study: unknown key \"a?b?c\"; choose from name, data, model, precision, "
                                      "dense, score, seeds, threads, nets, "
                                      "trials, version");
    /* a very long name is cut at the end of a letter */
    char text[4096] = HEAD, wanted[600];
    size_t n = strlen(text);
    for (int i = 0; i < 200; i++) n += (size_t)snprintf(text + n, sizeof text - n, "\xc3\xa4");
    snprintf(text + n, sizeof text - n, ": 1\n");
    n = (size_t)snprintf(wanted, sizeof wanted, ":4:1: study: unknown key \"");
    for (int i = 0; i < 26; i++) n += (size_t)snprintf(wanted + n, sizeof wanted - n, "\xc3\xa4");
    snprintf(wanted + n, sizeof wanted - n,
             "...\"; choose from name, data, model, precision, dense, score, seeds, threads, nets, trials, version");
    refuse(text, wanted);
    cop_ctx *ctx = test_ctx();
    copi_spec spec;
    test_fails(ctx, copi_spec_load(ctx, "/nonexistent/study.yaml", &spec), COP_E_IO, "/nonexistent/study.yaml");
    test_ctx_destroy(ctx);
}

/* Deep nesting ends with an error, at once, not with the stack or after hours. */
static void test_deep(void **state) {
    (void)state;
    size_t n = 1000000;
    char *text = malloc(n + 1);
    assert_non_null(text);
    memset(text, '[', n);
    text[n] = 0;
    cop_ctx *ctx = test_ctx();
    copi_spec spec;
    test_fails(ctx, copi_spec_load(ctx, write_file("study.yaml", text, n), &spec), COP_E_FORMAT,
               "study.yaml:1:17: nested more than 16 deep");
    test_ctx_destroy(ctx);
    free(text);
}

static cop_status load_again(cop_ctx *ctx, void *path) {
    copi_spec spec;
    cop_status status = copi_spec_load(ctx, path, &spec);
    if (!status) copi_spec_clear(&spec);
    return status;
}

static void test_no_memory(void **state) {
    (void)state;
    static const char text[] = HEAD "seeds: [1, 2]\ntrials:\n  - {method: magnitude, sparsity: [.1, .2]}\n"
                                    "  - {method: sss, gamma: [1e-3], threshold: [0, 1e-3]}\n";
    char path[512];
    snprintf(path, sizeof path, "%s", write_file("study.yaml", text, sizeof text - 1));
    assert_true(test_out_of_memory(load_again, path) >= 8);
}

/* -- trials -- */

static void expand(cop_ctx *ctx, const char *text, const char *data, copi_trials *trials, copi_spec *spec) {
    test_ok(ctx, copi_spec_load(ctx, write_file("study.yaml", text, strlen(text)), spec));
    test_ok(ctx, copi_trials_expand(spec, data, "", trials));
}

static void test_expand(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    copi_spec spec, reworded;
    copi_trials t, u;
    expand(ctx,
           HEAD "seeds: [7, 8]\ntrials:\n"
                "  - {method: magnitude, sparsity: [.5, .9], rounds: 2, pace: cubic}\n"
                "  - {method: magnitude, sparsity: .5, rounds: 2, pace: cubic}\n" /* the same again */
                "  - {method: sss, gamma: 1e-3}\n"
                "  - {method: dense-longer, tune: {epochs: 3}}\n",
           "abc", &t, &spec);
    assert_int_equal(t.n, 10); /* per seed: dense, .5, .9, sss, dense-longer */
    static const char *const labels[] = {"dense net", "magnitude 0.5, 2 rounds cubic",
                                         "magnitude 0.9, 2 rounds cubic", "sss gamma 0.001",
                                         "dense-longer, 3 epochs"};
    for (int i = 0; i < 10; i++) {
        assert_string_equal(t.trial[i].label, labels[i % 5]);
        assert_true(t.trial[i].seed == (i < 5 ? 7u : 8u));
        assert_int_equal(t.trial[i].dense, i / 5 * 5);
        assert_int_equal(strlen(t.trial[i].name), 16);
        for (int k = 0; k < i; k++) assert_string_not_equal(t.trial[i].name, t.trial[k].name);
        assert_string_equal(t.trial[i].setting, t.trial[i % 5].setting);
    }
    assert_true(isnan(t.trial[0].level) && t.trial[0].asked == 0);
    assert_true(t.trial[2].level == 0.9 && t.trial[2].asked == 0.9);
    assert_true(t.trial[3].level == 1e-3 && isnan(t.trial[3].asked));
    cop_net *teacher = NULL;
    cop_method_params p = copi_trial_params(&t.trial[7], teacher);
    assert_true(p.sparsity == 0.9 && p.seed == 8 && p.tune.seed == 8 && p.rounds == 2 && p.tune.teacher == NULL);

    /* wording, order of keys, a level more, name, floor: the trials that stay keep their names */
    expand(ctx,
           "model: lenet-5\nname: another name\ndata:\n  path: d\nscore: {floor: .3}\nseeds: 7\ntrials:\n"
           "- pace: cubic\n  rounds: 2\n  sparsity: [0.90, 0.99, 5e-1]\n  method: magnitude\n",
           "abc", &u, &reworded);
    assert_int_equal(u.n, 4);
    assert_string_equal(u.trial[0].name, t.trial[0].name);
    assert_string_equal(u.trial[1].name, t.trial[2].name);
    assert_string_equal(u.trial[3].name, t.trial[1].name);
    copi_trials_clear(&u);
    copi_spec_clear(&reworded);

    /* what decides a trial changes its name */
    /* CUBIC with one thing different: the trial above is magnitude .5 in 2 cubic rounds, by the dense net's recipe */
#define CUBIC "sparsity: .5, pace: cubic"
    static const char *const changed[] = {
        HEAD "seeds: 7\ntrials: [{method: magnitude, rounds: 3, " CUBIC "}]\n",
        HEAD "seeds: 7\ntrials: [{method: magnitude, rounds: 2, sparsity: .5, pace: linear}]\n",
        HEAD "seeds: 7\ntrials: [{method: magnitude, rounds: 2, scope: global, " CUBIC "}]\n",
        HEAD "seeds: 7\ntrials: [{method: magnitude, rounds: 2, tune: {epochs: 1}, " CUBIC "}]\n",
        HEAD "seeds: 7\ntrials: [{method: lamp, rounds: 2, " CUBIC "}]\n",
        HEAD "seeds: 7\ndense: {epochs: 9}\ntrials: [{method: magnitude, rounds: 2, " CUBIC "}]\n",
        OTHER "seeds: 7\ntrials: [{method: magnitude, rounds: 2, " CUBIC "}]\n"};
    for (size_t i = 0; i < COPI_COUNT(changed); i++) {
        expand(ctx, changed[i], "abc", &u, &reworded);
        assert_string_not_equal(u.trial[1].name, t.trial[1].name);
        copi_trials_clear(&u);
        copi_spec_clear(&reworded);
    }
    expand(ctx, HEAD "seeds: 7\ntrials: [{method: magnitude, sparsity: .5, rounds: 2, pace: cubic}]\n", "other data",
           &u, &reworded);
    assert_string_not_equal(u.trial[0].name, t.trial[0].name);
    assert_string_not_equal(u.trial[1].name, t.trial[1].name);
    copi_trials_clear(&u);
    copi_spec_clear(&reworded);
    copi_trials_clear(&t);
    copi_spec_clear(&spec);
    test_ctx_destroy(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complete),
        cmocka_unit_test(refuse_newer),
        cmocka_unit_test(test_structures_and_limits),
        cmocka_unit_test(test_late_keys_count),
        cmocka_unit_test(test_names_last),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_compound),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_recipes),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_structure),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_deep),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_expand),
    };
    test_dir_make(dir);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_dir_remove(dir);
    return failed;
}
