/* A run that was interrupted, again and again, comes to the nets of one that was not, and does not do all anew. */
#include "seen.h"

#include <glob.h>

typedef struct fixture {
    little_hooks hooks;
    cop_ctx *ctx;
    cop_data *data;
    cop_net *dense;
    char dir[256], state[300];
} fixture;

static void setup(fixture *f) {
    f->ctx = little_ctx(&f->hooks);
    f->data = little_data(f->ctx);
    f->dense = little_net(f->ctx, LITTLE_NORM, 1);
    cop_recipe r = little_recipe(4);
    test_ok(f->ctx, cop_train(f->dense, f->data, &r, NULL));
    test_dir_make(f->dir);
    snprintf(f->state, sizeof f->state, "%s/trial", f->dir);
}
static void teardown(fixture *f) {
    test_dir_remove(f->dir);
    cop_net_destroy(f->dense);
    cop_data_destroy(f->data);
    cop_ctx_destroy(f->ctx);
}

static int files(const fixture *f) {
    char pattern[300];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/*", f->dir);
    int n = glob(pattern, 0, NULL, &found) ? 0 : (int)found.gl_pathc;
    globfree(&found);
    return n;
}

static cop_method_params params(const char *method) {
    cop_method_params p = cop_method_params_default();
    p.method = method;
    p.scope = strcmp(method, "l2-filter") == 0 ? "layer" : "global";
    p.sparsity = 0.6;
    p.rounds = 1;
    p.sss.gamma = 0.02;
    p.tune = p.sss.search = p.sss.retrain = p.scratch.recipe = little_recipe(4);
    p.sss.search.epochs = 6;
    return p;
}

static void same(const seen *a, const seen *b) {
    assert_int_equal(a->points, b->points);
    for (int i = 0; i < a->points; i++) {
        const cop_point *p = &a->point[i], *q = &b->point[i];
        little_same(a->net[i], b->net[i]);
        assert_true(p->accuracy_val == q->accuracy_val && p->accuracy_test == q->accuracy_test);
        assert_true(p->epochs == q->epochs && p->train_macs == q->train_macs);
        assert_true(p->sparsity == q->sparsity && p->macs_effective == q->macs_effective);
    }
}

/* Interrupt at every third of the work that an uninterrupted run polls for. */
static void interrupted(fixture *f, cop_method_params p) {
    seen whole = {0}, parts = {0};
    int before = f->hooks.polls;
    test_ok(f->ctx, cop_method_run(f->dense, f->data, &p, see, &whole, NULL));
    int polls = f->hooks.polls - before;
    p.state = f->state;
    for (int part = 0; part < 2; part++) {
        f->hooks.cancel_at = f->hooks.polls + polls / 3;
        test_fails(f->ctx, cop_method_run(f->dense, f->data, &p, see, &parts, NULL), COP_E_CANCELLED, p.method);
        assert_true(files(f) > 0);
        forget(&parts);
    }
    before = f->hooks.polls;
    test_ok(f->ctx, cop_method_run(f->dense, f->data, &p, see, &parts, NULL));
    if (f->hooks.polls - before > polls * 3 / 4)
        fail_msg("%s: %d polls of %d, as if nothing had been kept", p.method, f->hooks.polls - before, polls);
    same(&whole, &parts);
    assert_int_equal(files(f), 0);
    assert_string_equal(f->hooks.warning, "");
    forget(&whole);
    forget(&parts);
}

static void every_kind_of_method(void **state) {
    (void)state;
    fixture f;
    setup(&f);
    cop_method_params p = params("magnitude");
    p.rounds = 3;
    p.pace = COP_PACE_CUBIC;
    interrupted(&f, p);
    p.method = "l2-filter";
    p.scope = "layer";
    interrupted(&f, p);
    interrupted(&f, params("dense-longer"));
    p = params("fisher-root"); /* masks and Adam's moments as they were */
    p.pace = COP_PACE_GRADUAL;
    p.tune.epochs = 8;
    interrupted(&f, p);
    p.scratch.like = "fisher-root";
    p.method = "scratch";
    interrupted(&f, p);
    p = params("compound");
    interrupted(&f, p);
    p.compound.first = "l2-filter";
    p.compound.share = 0.5;
    interrupted(&f, p);
    interrupted(&f, params("sss"));
    p = params("sss");
    p.sss.target = COP_TARGET_SPARSITY;
    p.sss.reach = 0.5;
    p.sss.tries = 3;
    interrupted(&f, p);
    teardown(&f);
}

/* What does not fit is said, and done without; what fails for good leaves nothing behind. */
static void state_that_does_not_fit(void **state) {
    (void)state;
    fixture f;
    setup(&f);
    seen whole = {0}, again = {0};
    cop_method_params p = params("fisher-root");
    p.pace = COP_PACE_GRADUAL;
    test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, see, &whole, NULL));
    p.state = f.state;
    char path[320];
    snprintf(path, sizeof path, "%s.1", f.state);
    for (int kind = 0; kind < 2; kind++) { /* no checkpoint at all; one of another recipe */
        if (kind) {
            cop_method_params other = p;
            other.tune.rate *= 2;
            f.hooks.cancel_at = f.hooks.polls + 20;
            test_fails(f.ctx, cop_method_run(f.dense, f.data, &other, NULL, NULL, NULL), COP_E_CANCELLED, "");
        } else {
            FILE *file = fopen(path, "wb");
            assert_non_null(file);
            fputs("this is no checkpoint", file);
            fclose(file);
        }
        f.hooks.warning[0] = 0;
        test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, see, &again, NULL));
        assert_non_null(strstr(f.hooks.warning, path));
        assert_non_null(strstr(f.hooks.warning, "this training starts over"));
        same(&whole, &again);
        assert_int_equal(files(&f), 0);
        forget(&again);
    }
    /* what a cut refuses is no fault of the state; the state of other cuts does not fit */
    for (int kind = 0; kind < 2; kind++) {
        cop_method_params other = p;
        if (kind)
            other.sparsity = 0.3;
        else
            other.keep = 100000, other.gradual.begin = 0.5;
        f.hooks.cancel_at = f.hooks.polls + 12;
        test_fails(f.ctx, cop_method_run(f.dense, f.data, &other, NULL, NULL, NULL), COP_E_CANCELLED, "");
        f.hooks.warning[0] = 0;
        if (kind) {
            test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, see, &again, NULL));
            same(&whole, &again);
        } else
            test_fails(f.ctx, cop_method_run(f.dense, f.data, &other, NULL, NULL, NULL), COP_E_REFUSED,
                       "up to 0 works");
        assert_int_equal(strstr(f.hooks.warning, "this training starts over") != NULL, kind);
        assert_int_equal(files(&f), 0);
        forget(&again);
    }
    again.stop_after = 1; /* what was to keep the net could not: the training must not be lost */
    test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, see, &again, NULL));
    assert_int_equal(files(&f), 1);
    forget(&again);
    int polls = f.hooks.polls;
    test_ok(f.ctx, cop_method_run(f.dense, f.data, &p, see, &again, NULL));
    assert_true(f.hooks.polls - polls < 10); /* it was over */
    same(&whole, &again);
    assert_int_equal(files(&f), 0);
    forget(&again);
    p.tune.optimizer = COP_OPTIMIZER_SGD;
    p.tune.rate = 900;
    test_fails(f.ctx, cop_method_run(f.dense, f.data, &p, NULL, NULL, NULL), COP_E_DIVERGED, "");
    assert_int_equal(files(&f), 0);
    p = params("fisher-root"); /* what revival looks at is in no checkpoint */
    p.pace = COP_PACE_GRADUAL;
    p.gradual.revive = 0.1;
    p.state = f.state;
    f.hooks.cancel_at = f.hooks.polls + 20;
    test_fails(f.ctx, cop_method_run(f.dense, f.data, &p, NULL, NULL, NULL), COP_E_CANCELLED, "");
    assert_int_equal(files(&f), 0);
    forget(&whole);
    teardown(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_kind_of_method),
                                       cmocka_unit_test(state_that_does_not_fit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
