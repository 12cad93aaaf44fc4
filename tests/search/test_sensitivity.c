/* Sensitivity: each figure against the same done by hand, the advice, and the files. */
#include "../train/little.h"
#include "unit.h"
#include "report/report.h"

#include <stdlib.h>

typedef struct fixture {
    little_hooks hooks;
    cop_ctx *ctx;
    cop_data *data;
    cop_net *net;
} fixture;

static void setup(fixture *f, int flags) {
    f->ctx = little_ctx(&f->hooks);
    f->data = little_data(f->ctx);
    f->net = little_net(f->ctx, flags, 1);
    cop_recipe r = little_recipe(4);
    test_ok(f->ctx, cop_train(f->net, f->data, &r, NULL));
}
static void teardown(fixture *f) {
    cop_net_destroy(f->net);
    cop_data_destroy(f->data);
    cop_ctx_destroy(f->ctx);
}

static double validation(const fixture *f, cop_net *net) {
    cop_eval e;
    test_ok(f->ctx, copi_recalibrate(net, f->data, COPI_SETTLE_IMAGES, true));
    test_ok(f->ctx, cop_evaluate(net, f->data, COP_SPLIT_VALIDATION, NULL, &e));
    return e.accuracy;
}

/* net with the lowest share of one layer's units masked, by its norm */
static cop_net *cut(const fixture *f, const cop_net *net, const char *layer, double share) {
    cop_net *copy = little_clone(net);
    const copi_node *node = &copy->node[copi_net_find(copy, layer)];
    const copi_param *w = copi_node_slot(copy, node, COPI_WEIGHT);
    int64_t units = w->shape[0], row = w->count / units;
    double norm[64];
    for (int64_t u = 0; u < units; u++) {
        norm[u] = 0;
        for (int64_t i = 0; i < row; i++) norm[u] += (double)w->data[u * row + i] * (double)w->data[u * row + i];
    }
    for (int64_t k = 0; k < (int64_t)(share * (double)units + 1e-6); k++) {
        int64_t least = 0;
        for (int64_t u = 1; u < units; u++)
            if (norm[u] < norm[least]) least = u;
        norm[least] = INFINITY;
        test_ok(f->ctx, test_mask_unit(copy, copi_net_find(copy, layer), least));
    }
    return copy;
}

static void figures_by_hand(void **state) {
    (void)state;
    static const double level[] = {0.25, 0.5, 0.875};
    static const char *const layer[] = {"conv1", "conv2", "dense1"};
    fixture f;
    setup(&f, LITTLE_NORM);
    cop_net *kept = little_clone(f.net);
    cop_sensitivity_params p = cop_sensitivity_params_default();
    p.level = level;
    p.levels = 3;
    p.lose = 0.05;
    cop_sensitivity r;
    test_ok(f.ctx, cop_sensitivity_run(f.net, f.data, &p, &r));
    little_same(f.net, kept);
    assert_int_equal(r.groups, 3); /* the classes' layer and the input are fixed */
    cop_eval e;
    test_ok(f.ctx, cop_evaluate(f.net, f.data, COP_SPLIT_VALIDATION, NULL, &e));
    assert_true(r.accuracy == e.accuracy);
    test_near(r.floor, e.accuracy - 0.05, 1e-12, 0);
    cop_net *all = little_clone(f.net), *next;
    for (int g = 0; g < 3; g++) {
        assert_string_equal(r.group[g].name, layer[g]);
        assert_string_equal(r.group[g].layers, layer[g]);
        assert_int_equal(r.group[g].units, g < 2 ? 8 : 16);
        double advice = 0;
        for (int k = 0; k < 3; k++) {
            cop_net *net = cut(&f, f.net, layer[g], level[k]);
            assert_true(r.group[g].accuracy[k] == validation(&f, net));
            assert_true(r.group[g].sparsity[k] > (k ? r.group[g].sparsity[k - 1] : 0));
            if (r.group[g].accuracy[k] >= r.floor && advice == (k ? level[k - 1] : 0)) advice = level[k];
            cop_net_destroy(net);
        }
        assert_true(r.group[g].advice == advice);
    }
    for (int g = 2; g >= 0; g--) {
        next = cut(&f, all, layer[g], r.group[g].advice);
        cop_net_destroy(all);
        all = next;
    }
    assert_true(r.advised_accuracy == validation(&f, all));
    assert_true(r.advised_sparsity > 0 && r.advised_sparsity < 1);
    assert_true(f.hooks.reports > 3 * 3);
    cop_net_destroy(all);
    cop_sensitivity_clear(&r);

    p.floor = 1.0; /* met by none, or by all with nothing lost */
    p.criterion = "taylor";
    test_ok(f.ctx, cop_sensitivity_run(f.net, f.data, &p, &r));
    for (int g = 0; g < 3; g++)
        for (int k = 0; k < 3; k++)
            if (r.group[g].accuracy[k] < 1) assert_true(r.group[g].advice < level[k]);
    cop_sensitivity_clear(&r);
    cop_sensitivity_clear(&r); /* twice does nothing */
    cop_net_destroy(kept);
    teardown(&f);
}

static char *text_of(cop_ctx *ctx, const char *dir, const char *name) {
    char path[512];
    uint8_t *bytes;
    size_t n;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    test_ok(ctx, copi_read_file(ctx, path, 0, &bytes, &n));
    return (char *)bytes;
}

/* A criterion of filters says nothing of neurons: their groups are left out, not called free. */
static void groups_that_are_not_ranked(void **state) {
    (void)state;
    fixture f;
    setup(&f, LITTLE_NORM);
    cop_sensitivity_params p = cop_sensitivity_params_default();
    cop_sensitivity r;
    p.criterion = "l2-filter";
    test_ok(f.ctx, cop_sensitivity_run(f.net, f.data, &p, &r));
    assert_int_equal(r.groups, 2);
    for (int g = 0; g < 2; g++) assert_non_null(strstr(r.group[g].layers, "conv"));
    cop_sensitivity_clear(&r);
    p.criterion = "l2-neuron";
    test_ok(f.ctx, cop_sensitivity_run(f.net, f.data, &p, &r));
    assert_int_equal(r.groups, 1);
    assert_string_equal(r.group[0].layers, "dense1");
    cop_sensitivity_clear(&r);
    p.criterion = "bn-scale"; /* whose layers no group names */
    test_fails(f.ctx, cop_sensitivity_run(f.net, f.data, &p, &r), COP_E_REFUSED,
               "bn-scale ranks none of the conv and dense layers");
    teardown(&f);
}

static void files(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    char dir[256], deep[300];
    double accuracy[2][2] = {{0.9, 0.5}, {0.4, 0.3}}, sparsity[2][2] = {{0.1, 0.2}, {0.3, 0.4}},
           level[] = {0.25, 0.5};
    char first[] = "a \"b\"", layers[] = "a \"b\" c", second[] = "it's";
    cop_sensitivity_group group[] = {{first, layers, 8, accuracy[0], sparsity[0], 0.25},
                                     {second, second, 16, accuracy[1], sparsity[1], 0}};
    cop_sensitivity r = {
        .ctx = ctx, .group = group, .groups = 2, .level = level, .levels = 2, .accuracy = 0.95, .floor = 0.8};
    test_dir_make(dir);
    snprintf(deep, sizeof deep, "%s/new/one", dir);
    test_ok(ctx, cop_sensitivity_write(&r, deep));
    char *csv = text_of(ctx, deep, "sensitivity.csv");
    assert_string_equal(csv, "group,layers,units,level,accuracy,sparsity,holds,advice\n"
                             "\"a \"\"b\"\"\",\"a \"\"b\"\" c\",8,0.25,0.900000,0.100000,1,0.25\n"
                             "\"a \"\"b\"\"\",\"a \"\"b\"\" c\",8,0.5,0.500000,0.200000,0,0.25\n"
                             "\"it's\",\"it's\",16,0.25,0.400000,0.300000,0,0\n"
                             "\"it's\",\"it's\",16,0.5,0.300000,0.400000,0,0\n");
    copi_free(ctx, csv);
    char *svg = text_of(ctx, deep, "sensitivity.svg");
    assert_non_null(strstr(svg, ">it&#39;s</text>"));
    assert_non_null(strstr(svg, ">floor 80 %</text>"));
    copi_free(ctx, svg);
    if (system("rsvg-convert --version >/dev/null 2>&1") == 0) {
        char *png = text_of(ctx, deep, "sensitivity.png");
        assert_memory_equal(png, "\x89PNG\r\n\x1a\n", 8);
        copi_free(ctx, png);
    }
    test_fails(ctx, cop_sensitivity_write(&r, "/dev/null/x"), COP_E_IO, "/dev/null");
    test_dir_remove(dir);
    test_ctx_destroy(ctx);
}

static void refusals(void **state) {
    (void)state;
    fixture f;
    setup(&f, 0);
    cop_sensitivity r;
    static const double falling[] = {0.5, 0.4}, whole[] = {0.5, 1};
    cop_sensitivity_params p;
#define REFUSED(change, status, text)                                                                                \
    p = cop_sensitivity_params_default();                                                                            \
    change;                                                                                                          \
    test_fails(f.ctx, cop_sensitivity_run(f.net, f.data, &p, &r), status, text);                                     \
    assert_null(r.group)
    REFUSED(p.levels = 0, COP_E_ARG, "no levels");
    REFUSED((p.level = falling, p.levels = 2), COP_E_RANGE, "level 1 is 0.4");
    REFUSED((p.level = whole, p.levels = 2), COP_E_RANGE, "level 1 is 1;");
    REFUSED(p.lose = -0.1, COP_E_RANGE, "lose is -0.1");
    REFUSED(p.floor = 1.5, COP_E_RANGE, "floor is 1.5");
    REFUSED(p.criterion = "l2-filtre", COP_E_NOT_FOUND, "did you mean 'l2-filter'?");
    REFUSED(f.hooks.cancel_at = f.hooks.polls + 5, COP_E_CANCELLED, NULL);
    cop_data *none = little_data_at(f.ctx, 40, 20, 0, 1), *own = f.data;
    f.data = none;
    REFUSED((void)0, COP_E_NOT_FOUND, "no validation images");
    f.data = own;
    cop_data_destroy(none);
    cop_graph *g;
    cop_net *net = f.net, *fixed;
    test_ok(f.ctx, cop_graph_create(f.ctx, &g));
    int x = cop_graph_flatten(g, "f", cop_graph_input(g, "x", 1, LITTLE_SIDE, LITTLE_SIDE));
    cop_graph_dense(g, "d", x, LITTLE_CLASSES, 1);
    test_ok(f.ctx, cop_graph_build(g, 1, &fixed));
    f.net = fixed;
    REFUSED((void)0, COP_E_REFUSED, "nothing can be removed");
#undef REFUSED
    f.net = net;
    cop_net_destroy(fixed);
    teardown(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_by_hand),
        cmocka_unit_test(groups_that_are_not_ranked),
        cmocka_unit_test(files),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
