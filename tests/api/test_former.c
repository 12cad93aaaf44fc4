/* What version 0.1.0 left on disk goes on today: a finished study is found done and reports the same figures, one
 * that was interrupted takes up its trial's state, and a training resumes from its checkpoint. The files lie in
 * fixtures/v0.1; the program of that version wrote them with `api_test_former --write`. */
#include "../train/little.h"
#include "report/report.h"

#include <glob.h>
#include <stdlib.h>
#include <unistd.h>

#define FORMER "study/fixtures/v0.1"
#define STUDY FORMER "/study.yaml"

static const char spec[] =
    "name: what version 0.1 left\ndata: {path: data, validation: 0.2}\nmodel: start.safetensors\nthreads: 1\n"
    "precision: f32\ndense: {epochs: 3, batch: 32, rate: 5e-3, augment: [flip, shift], dropout: .5}\n"
    "score: {floor: 0.3}\ntrials:\n"
    "  - {method: magnitude, sparsity: [.5, .9], rounds: 2, pace: linear, tune: {epochs: 1}}\n"
    "  - {method: l2-filter, sparsity: .5, rounds: 1, tune: {epochs: 2, distil_share: .5}}\n"
    "  - {method: sss, gamma: 2e-2, scope: [neuron], epochs: 4, retrain: {epochs: 1}, threshold: [0, 1e-2]}\n"
    "  - {method: compound, sparsity: .9, gamma: 2e-2, structure: {epochs: 4}, tune: {epochs: 3}}\n"
    "  - {method: scratch, like: magnitude, sparsity: .8, rounds: 1, tune: {epochs: 1}, scratch: {epochs: 3}}\n"
    "  - {method: dense-longer, tune: {epochs: 1}}\n"
    "  - {recipe: fast, sparsity: .9, revive: 0, tune: {epochs: 8, batch: 32}}\n";
enum { TRIALS = 9 };

static bool rewrite;

static void copy_file(cop_ctx *ctx, const char *from, const char *to) {
    uint8_t *bytes;
    size_t n;
    test_ok(ctx, copi_read_file(ctx, from, 0, &bytes, &n));
    FILE *f = fopen(to, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    copi_free(ctx, bytes);
}

/* A copy of one folder of the fixture that may be written to. */
static void copy_folder(cop_ctx *ctx, const char *folder, const char *to) {
    char pattern[128], path[512];
    glob_t found;
    snprintf(pattern, sizeof pattern, FORMER "/%s/*", folder);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        snprintf(path, sizeof path, "%s/%s", to, strrchr(found.gl_pathv[i], '/') + 1);
        copy_file(ctx, found.gl_pathv[i], path);
    }
    globfree(&found);
}

static void same_file(cop_ctx *ctx, const char *name, const char *dir) {
    char then_path[128], now_path[512];
    uint8_t *then, *now;
    size_t n;
    snprintf(then_path, sizeof then_path, FORMER "/done/%s", name);
    snprintf(now_path, sizeof now_path, "%s/%s", dir, name);
    test_ok(ctx, copi_read_file(ctx, then_path, 0, &then, &n));
    test_ok(ctx, copi_read_file(ctx, now_path, 0, &now, &n));
    assert_string_equal((const char *)now, (const char *)then);
    copi_free(ctx, then);
    copi_free(ctx, now);
}

static void test_done(void **state) {
    (void)state;
    static const char *const files[] = {"trials.csv", "frontier.csv", "summary.json"};
    little_hooks hooks;
    cop_ctx *ctx = little_ctx(&hooks);
    cop_study_summary s;
    char dir[256];
    test_dir_make(dir);
    copy_folder(ctx, "done", dir);
    test_ok(ctx, cop_study_report(ctx, dir, &s));
    for (size_t i = 0; i < COPI_COUNT(files); i++) same_file(ctx, files[i], dir);
    test_ok(ctx, cop_study_run(ctx, STUDY, dir, &s));
    assert_int_equal(s.skipped, TRIALS);
    assert_int_equal(s.done, 0);
    for (size_t i = 0; i < COPI_COUNT(files) - 1; i++)
        same_file(ctx, files[i], dir); /* the last one names this run */
    test_dir_remove(dir);
    cop_ctx_destroy(ctx);
}

static int count_states(const char *dir) {
    char pattern[300];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/*.state.*", dir);
    int n = glob(pattern, 0, NULL, &found) ? 0 : (int)found.gl_pathc;
    globfree(&found);
    return n;
}

static void test_begun(void **state) {
    (void)state;
    little_hooks hooks;
    cop_ctx *ctx = little_ctx(&hooks);
    cop_study_summary s;
    char dir[256];
    test_dir_make(dir);
    copy_folder(ctx, "begun", dir);
    assert_int_equal(count_states(dir), 1);
    test_ok(ctx, cop_study_run(ctx, STUDY, dir, &s));
    assert_string_equal(hooks.warning, ""); /* a state that did not fit would have been dropped with one */
    assert_int_equal(s.skipped, TRIALS - 1);
    assert_int_equal(s.done, 1);
    assert_int_equal(count_states(dir), 0);
    test_dir_remove(dir);
    cop_ctx_destroy(ctx);
}

/* -- one training -- */

static cop_recipe recipe(const char *checkpoint) {
    cop_recipe r = little_recipe(3);
    r.optimizer = COP_OPTIMIZER_ADAM;
    r.flip = r.shift = r.evaluate_every = r.resume = 1;
    r.erase = 2;
    r.dropout = 0.5;
    r.average = 0.8;
    r.restarts = 1;
    r.checkpoint = checkpoint;
    return r;
}

static cop_data *open_data(cop_ctx *ctx) {
    cop_data *data;
    cop_data_options o = cop_data_options_default();
    o.validation = 0.2;
    test_ok(ctx, cop_data_open(ctx, FORMER "/data", &o, &data));
    return data;
}

static cop_net *load_start(cop_ctx *ctx) {
    cop_net *net;
    test_ok(ctx, cop_net_load(ctx, FORMER "/start.safetensors", &net));
    return net;
}

static cop_status train(cop_net *net, const cop_data *data, const char *checkpoint, bool gated, cop_history *h) {
    const copi_gate_rule rule = {.prox = COP_PROX_APG, .momentum = 0.9, .gamma = 0.02};
    const cop_recipe r = recipe(checkpoint);
    return copi_fit_run(
        net, data, &(copi_fit){.recipe = &r, .phase = "train", .gates = gated ? &rule : NULL, .gate_rate = 0.1}, h);
}

static cop_net *with_gates(cop_net *net, bool gated) {
    cop_net *with;
    if (!gated) return net;
    test_ok(net->ctx, copi_net_with_gates(net, 1u << COP_STRUCTURE_NEURON, &with));
    cop_net_destroy(net);
    return with;
}

static void resume(const char *fixture, bool gated) {
    little_hooks hooks;
    cop_ctx *ctx = little_ctx(&hooks);
    cop_data *data = open_data(ctx);
    cop_net *net = with_gates(load_start(ctx), gated), *whole = little_clone(net);
    cop_history h = {0}, full = {0};
    char dir[256], path[300], from[128];
    test_dir_make(dir);
    snprintf(path, sizeof path, "%s/checkpoint", dir);
    snprintf(from, sizeof from, FORMER "/%s", fixture);
    copy_file(ctx, from, path);
    test_ok(ctx, train(net, data, path, gated, &h));
    assert_true(h.resumed);
    unlink(path);
    test_ok(ctx, train(whole, data, path, gated, &full));
    assert_false(full.resumed);
    assert_int_equal(h.steps, full.steps);
    assert_int_equal(h.count, full.count);
    assert_true(little_apart(net, whole) < 1e-2); /* the same bytes where the processor is the writer's */
    cop_history_clear(&h);
    cop_history_clear(&full);
    cop_net_destroy(net);
    cop_net_destroy(whole);
    cop_data_destroy(data);
    test_dir_remove(dir);
    cop_ctx_destroy(ctx);
}

static void test_checkpoints(void **state) {
    (void)state;
    resume("plain.checkpoint", false);
    resume("gated.checkpoint", true);
}

/* -- writing the fixture -- */

static void write_checkpoint(const char *path, bool gated) {
    little_hooks hooks;
    cop_ctx *ctx = little_ctx(&hooks);
    cop_data *data = open_data(ctx);
    cop_net *net = with_gates(load_start(ctx), gated);
    hooks.cancel_at = hooks.polls + 17;
    assert_int_equal(train(net, data, path, gated, NULL), COP_E_CANCELLED);
    cop_net_destroy(net);
    cop_data_destroy(data);
    cop_ctx_destroy(ctx);
}

static void write_fixture(void **state) {
    (void)state;
    little_hooks hooks;
    cop_ctx *ctx = little_ctx(&hooks);
    test_ok(ctx, copi_make_dir(ctx, FORMER "/data"));
    little_split(FORMER "/data", "train", 300, 1);
    little_split(FORMER "/data", "t10k", 100, 2);
    FILE *f = fopen(STUDY, "wb");
    assert_non_null(f);
    assert_true(fputs(spec, f) >= 0);
    assert_int_equal(fclose(f), 0);
    cop_net *net = little_net(ctx, LITTLE_NORM | LITTLE_DROPOUT, 1);
    test_ok(ctx, cop_net_save(net, FORMER "/start.safetensors"));
    cop_net_destroy(net);
    write_checkpoint(FORMER "/plain.checkpoint", false);
    write_checkpoint(FORMER "/gated.checkpoint", true);
    test_ok(ctx, cop_study_run(ctx, STUDY, FORMER "/done", NULL));
    hooks.cancel_at = hooks.polls + hooks.polls * 98 / 100;
    assert_int_equal(cop_study_run(ctx, STUDY, FORMER "/begun", NULL), COP_E_CANCELLED);
    cop_ctx_destroy(ctx);
}

int main(int argc, char **argv) {
    rewrite = argc > 1 && !strcmp(argv[1], "--write");
    const struct CMUnitTest write[] = {cmocka_unit_test(write_fixture)},
                            tests[] = {cmocka_unit_test(test_done), cmocka_unit_test(test_begun),
                                       cmocka_unit_test(test_checkpoints)};
    return rewrite ? cmocka_run_group_tests(write, NULL, NULL) : cmocka_run_group_tests(tests, NULL, NULL);
}
