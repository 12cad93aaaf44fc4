/* Interrupted and resumed equals uninterrupted, to the byte; a checkpoint goes on with nothing but its own run. */
#include "little.h"

#include <unistd.h>

typedef struct fixture {
    little_hooks hooks;
    cop_ctx *ctx;
    cop_data *data;
    char dir[256], path[300];
} fixture;

static void setup(fixture *f) {
    f->ctx = little_ctx(&f->hooks);
    f->data = little_data_at(f->ctx, 200, 50, 0.2, 1);
    test_dir_make(f->dir);
    snprintf(f->path, sizeof f->path, "%s/run.safetensors", f->dir);
}
static void teardown(fixture *f) {
    test_dir_remove(f->dir);
    cop_data_destroy(f->data);
    cop_ctx_destroy(f->ctx);
}

/* 3 epochs of 10 steps with all that has a state: moments, running statistics, dropout, augmentation, masks. */
static cop_recipe recipe(const fixture *f, cop_optimizer optimizer) {
    cop_recipe r = little_recipe(3);
    r.batch = 16;
    r.optimizer = optimizer;
    r.rate = optimizer == COP_OPTIMIZER_SGD ? 0.02 : 5e-3;
    r.flip = 1;
    r.shift = 1;
    r.erase = 2;
    r.dropout = 0.5;
    r.average = optimizer == COP_OPTIMIZER_ADAM ? 0.8 : 0;
    r.evaluate_every = 1;
    r.checkpoint = f->path;
    r.resume = 1;
    return r;
}

static cop_net *begin(const fixture *f, bool gated) {
    cop_net *net = little_net(f->ctx, LITTLE_NORM | LITTLE_DROPOUT, 1);
    copi_param *p = copi_node_slot(net, &net->node[copi_net_find(net, "dense1")], COPI_WEIGHT);
    uint8_t *mask = copi_param_mask(net, p);
    for (int64_t k = 0; k < p->count; k += 2) mask[k] = 0;
    if (!gated) return net;
    cop_net *with;
    test_ok(f->ctx, copi_net_with_gates(net, 1u << COP_STRUCTURE_NEURON, &with));
    cop_net_destroy(net);
    return with;
}

static cop_status go(const fixture *f, cop_net *net, const cop_recipe *r, bool gated, cop_history *h) {
    const copi_gate_rule rule = {.prox = COP_PROX_APG, .momentum = 0.9, .gamma = 0.02};
    return copi_fit_run(
        net, f->data, &(copi_fit){.recipe = r, .phase = "train", .gates = gated ? &rule : NULL, .gate_rate = 0.1}, h);
}

static void compare(const cop_history *a, const cop_history *b) {
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->steps, b->steps);
    assert_true(a->macs == b->macs);
    for (int i = 0; i < a->count; i++) {
        assert_int_equal(a->epoch[i].epoch, b->epoch[i].epoch);
        assert_true(a->epoch[i].loss == b->epoch[i].loss);
        assert_true(a->epoch[i].accuracy == b->epoch[i].accuracy);
        assert_true(a->epoch[i].rate == b->epoch[i].rate);
        assert_true(a->epoch[i].loss_validation == b->epoch[i].loss_validation);
    }
}

/* Cancelled at steps in the middle and at the end of an epoch, and twice in one run. */
static void resumed_is_uninterrupted(void **state) {
    (void)state;
    static const int cancels[][2] = {{7, 0}, {10, 0}, {29, 0}, {13, 8}};
    fixture f;
    setup(&f);
    for (int kind = 0; kind < 4; kind++) {
        bool gated = kind == 3;
        cop_recipe r = recipe(&f, gated ? COP_OPTIMIZER_SGD : (cop_optimizer)kind);
        cop_net *whole = begin(&f, gated);
        cop_history all;
        f.hooks.cancel_at = 0;
        test_ok(f.ctx, go(&f, whole, &r, gated, &all));
        assert_int_equal(all.resumed, 0);
        unlink(f.path);
        for (size_t c = 0; c < COPI_COUNT(cancels); c++) {
            cop_net *net = NULL;
            cop_history h;
            for (int k = 0; k < 2 && cancels[c][k]; k++) {
                cop_net_destroy(net);
                net = begin(&f, gated); /* as another process would: from the dense net again */
                f.hooks.cancel_at = f.hooks.polls + cancels[c][k];
                test_fails(f.ctx, go(&f, net, &r, gated, &h), COP_E_CANCELLED, "interrupted");
                cop_history_clear(&h);
            }
            if (c % 2) { /* or the net that holds the state reached */
                cop_net_destroy(net);
                net = begin(&f, gated);
            }
            test_ok(f.ctx, go(&f, net, &r, gated, &h));
            assert_int_equal(h.resumed, 1);
            little_same(net, whole);
            compare(&h, &all);
            assert_string_equal(net->provenance, whole->provenance);
            cop_history_clear(&h);
            cop_net_destroy(net);
            unlink(f.path);
        }
        cop_history_clear(&all);
        cop_net_destroy(whole);
    }
    teardown(&f);
}

static void finished_run_is_taken_as_it_is(void **state) {
    (void)state;
    fixture f;
    setup(&f);
    cop_recipe r = recipe(&f, COP_OPTIMIZER_ADAMW);
    cop_net *net = begin(&f, false), *again = begin(&f, false), *loaded;
    cop_history h, h2;
    test_ok(f.ctx, go(&f, net, &r, false, &h));
    test_ok(f.ctx, go(&f, again, &r, false, &h2));
    little_same(net, again);
    compare(&h, &h2);
    assert_int_equal(h2.resumed, 1);
    test_ok(f.ctx, cop_net_load(f.ctx, f.path, &loaded)); /* and it is an ordinary model file */
    little_same(net, loaded);
    assert_true(loaded->normalized);
    cop_net_destroy(loaded);
    cop_history_clear(&h);
    cop_history_clear(&h2);
    cop_net_destroy(net);
    cop_net_destroy(again);
    teardown(&f);
}

static void refuses_what_is_not_its_own(void **state) {
    (void)state;
    fixture f;
    setup(&f);
    cop_recipe r = recipe(&f, COP_OPTIMIZER_ADAMW), other;
    cop_net *net = begin(&f, false);
    f.hooks.cancel_at = f.hooks.polls + 12;
    test_fails(f.ctx, go(&f, net, &r, false, NULL), COP_E_CANCELLED, NULL);
    cop_net_destroy(net);
#define REFUSED(change, text)                                                                                        \
    other = r;                                                                                                       \
    change;                                                                                                          \
    net = begin(&f, false);                                                                                          \
    test_fails(f.ctx, go(&f, net, &other, false, NULL), COP_E_REFUSED, text);                                        \
    cop_net_destroy(net)
    REFUSED(other.rate = 1e-3, "this run has 'rate 0.001'");
    REFUSED(other.epochs = 4, "it has 'epochs 3', this run has 'epochs 4'");
    REFUSED(other.optimizer = COP_OPTIMIZER_SGD, "optimizer");
    REFUSED(other.seed = 2, "seed");
    REFUSED(other.restarts = 1, "restarts");
    REFUSED(other.flip = 0, "flip");
    REFUSED(other.label_smoothing = 0.1, "label_smoothing");
    REFUSED(other.erase = 0, "erase");
    REFUSED(other.dropout = 1, "dropout");
    REFUSED(other.average = 0.9, "average");
#undef REFUSED
    net = little_net(f.ctx, LITTLE_NORM | LITTLE_DROPOUT, 2); /* other weights */
    test_fails(f.ctx, go(&f, net, &r, false, NULL), COP_E_REFUSED, "another net");
    cop_net_destroy(net);
    net = little_net(f.ctx, LITTLE_NORM, 1); /* another topology */
    test_fails(f.ctx, go(&f, net, &r, false, NULL), COP_E_REFUSED, "this run has 'net");
    cop_net_destroy(net);
    net = begin(&f, true);
    test_fails(f.ctx, go(&f, net, &r, true, NULL), COP_E_REFUSED, NULL);
    cop_net_destroy(net);
    cop_data *data = little_data_at(f.ctx, 400, 150, 0.2, 77);
    net = begin(&f, false);
    test_fails(f.ctx, cop_train(net, data, &r, NULL), COP_E_REFUSED, "this run has 'data");
    cop_net_destroy(net);
    cop_data_destroy(data);
    other = r; /* without resume it is not looked at, and overwritten */
    other.resume = 0;
    other.epochs = 1;
    net = begin(&f, false);
    cop_history h;
    test_ok(f.ctx, go(&f, net, &other, false, &h));
    assert_int_equal(h.resumed, 0);
    cop_history_clear(&h);
    cop_net_destroy(net);
    teardown(&f);
}

static void damaged_files(void **state) {
    (void)state;
    fixture f;
    setup(&f);
    cop_recipe r = recipe(&f, COP_OPTIMIZER_ADAMW);
    cop_net *net = begin(&f, false);
    test_ok(f.ctx, cop_net_save(net, f.path)); /* a model, but no checkpoint */
    test_fails(f.ctx, go(&f, net, &r, false, NULL), COP_E_FORMAT, "incomplete checkpoint");
    uint8_t *bytes;
    size_t n;
    test_ok(f.ctx, copi_read_file(f.ctx, f.path, 0, &bytes, &n));
    test_ok(f.ctx, copi_write_file(f.ctx, f.path, bytes, n / 2));
    copi_free(f.ctx, bytes);
    test_fails(f.ctx, go(&f, net, &r, false, NULL), COP_E_FORMAT, "run.safetensors");
    char missing[600];
    snprintf(missing, sizeof missing, "%s/nowhere/run.safetensors", f.dir);
    r.checkpoint = missing;
    test_fails(f.ctx, go(&f, net, &r, false, NULL), COP_E_IO, "nowhere");
    cop_net_destroy(net);
    teardown(&f);
}

static cop_status smallest_net(cop_ctx *ctx, cop_net **net) {
    cop_graph *g;
    cop_status s = cop_graph_create(ctx, &g);
    if (s) return s;
    int x = cop_graph_input(g, "image", 1, LITTLE_SIDE, LITTLE_SIDE);
    x = cop_graph_flatten(g, "flat", x);
    cop_graph_dense(g, "dense", x, LITTLE_CLASSES, 1);
    return cop_graph_build(g, 1, net);
}

static cop_status train_a_little(cop_ctx *ctx, void *user) {
    const fixture *f = user;
    char dir[256];
    cop_data *data = NULL;
    cop_net *net = NULL;
    cop_history h = {0};
    test_dir_make(dir);
    little_split(dir, "train", 40, 1);
    little_split(dir, "t10k", 20, 2);
    cop_status s = cop_data_open(ctx, dir, NULL, &data);
    test_dir_remove(dir);
    if (!s) s = smallest_net(ctx, &net);
    cop_recipe r = little_recipe(1);
    r.batch = 36; /* one step: what allocates is what comes before and after */
    r.checkpoint = f->path;
    r.resume = 1;
    unlink(f->path);
    if (!s) s = cop_train(net, data, &r, &h);
    if (!s) s = cop_train(net, data, &r, NULL); /* takes the finished run up */
    cop_history_clear(&h);
    cop_net_destroy(net);
    cop_data_destroy(data);
    return s;
}

static void memory_runs_out(void **state) {
    (void)state;
    fixture f;
    setup(&f);
    assert_true(test_out_of_memory(train_a_little, &f) > 100);
    teardown(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resumed_is_uninterrupted),
        cmocka_unit_test(finished_run_is_taken_as_it_is),
        cmocka_unit_test(refuses_what_is_not_its_own),
        cmocka_unit_test(damaged_files),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
