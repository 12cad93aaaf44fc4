/* Every criterion against numbers computed by hand; one row of the table for each line of criteria.def. */
#include "check.h"
#include "nets.h"
#include "unit.h"

#include "prune/prune.h"

#include <math.h>
#include <string.h>

/* input [1,1,2] -> conv a: 3 filters of [1,1,2] -> batch-norm n -> flatten -> dense b: 2 neurons of 3 -> dense c */
static cop_net *little_net(cop_ctx *ctx) {
    cop_graph *g;
    cop_net *net;
    test_ok(ctx, cop_graph_create(ctx, &g));
    cop_conv_params p = cop_conv_params_default(3, 1);
    p.kernel[1] = 2;
    int x = cop_graph_conv(g, "a", cop_graph_input(g, "input", 1, 1, 2), &p);
    x = cop_graph_flatten(g, "flat", cop_graph_relu(g, "relu", cop_graph_batchnorm(g, "n", x, 1e-3)));
    cop_graph_dense(g, "c", cop_graph_relu(g, "relu2", cop_graph_dense(g, "b", x, 2, 1)), 2, 1);
    test_ok(ctx, cop_graph_build(g, 1, &net));
    const float a[] = {3, -4, /**/ 0, 1, /**/ 2, -2}, n[] = {0.5f, -2, 1}, b[] = {1, 2, -2, /**/ -1, 1, 0.5f};
    memcpy(net->param[copi_net_find_param(net, "a.weight")].data, a, sizeof a);
    memcpy(net->param[copi_net_find_param(net, "n.scale")].data, n, sizeof n);
    memcpy(net->param[copi_net_find_param(net, "b.weight")].data, b, sizeof b);
    return net;
}

typedef struct row {
    const char *criterion, *node;
    int units;
    double score[6];
    float gradient[6];
} row;

static const row rows[] = {
    {"magnitude", "a", 6, {3, 4, 0, 1, 2, 2}},
    {"magnitude", "b", 6, {1, 2, 2, 1, 1, .5}},
    {"l1-filter", "a", 3, {7, 1, 4}},
    {"l2-filter", "a", 3, {5, 1, 2.8284271247461903}},
    {"l2-neuron", "b", 2, {3, 1.5}},
    /* distances: 0-1 |(3,-5)| = sqrt 34, 0-2 |(1,-2)| = sqrt 5, 1-2 |(-2,3)| = sqrt 13 */
    {"fpgm", "a", 3, {8.067019872343, 9.436503170297, 5.841619252963}},
    {"bn-scale", "n", 3, {.5, 2, 1}},
    /* (3*1)^2 + (-4*.5)^2, (0*9)^2 + (1*-1)^2, (2*2)^2 + (-2*0)^2 */
    {"taylor", "a", 3, {13, 1, 16}, {1, .5f, 9, -1, 2, 0}},
    {"taylor", "b", 2, {9, 5}, {1, -1, 1, 2, 0, 2}},
    /* the squares times what is given for the mean of (dL/dw)^2 */
    {"fisher", "a", 6, {9, 8, 0, 1, 8, 2}, {1, .5f, 9, 1, 2, .5f}},
    {"fisher-root", "a", 6, {9, 8, 0, 2, 8, 2}, {1, .25f, 9, 4, 4, .25f}},
    /* squares 9 16 0 1 4 4; from the largest down: 16/16, 9/25, the later of the equals 4/29, the earlier 4/33, 1/34,
       0 */
    {"lamp", "a", 6, {9 / 25., 1, 0, 1 / 34., 4 / 33., 4 / 29.}},
};

static void scores(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net = little_net(ctx);
    for (size_t i = 0; i < COPI_COUNT(rows); i++) {
        const copi_criterion *c = copi_criterion_find(rows[i].criterion);
        assert_non_null(c);
        const copi_node *node = &net->node[copi_net_find(net, rows[i].node)];
        assert_true(c->ops >> node->op & 1);
        float score[6];
        test_ok(ctx, c->score(net, node, c->needs ? rows[i].gradient : NULL, 1, score));
        for (int u = 0; u < rows[i].units; u++) test_near(score[u], rows[i].score[u], 1e-6, 0);
    }
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* A filter that is gone is no neighbour of the others. */
static void fpgm_forgets_the_dead(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net = little_net(ctx);
    int a = copi_net_find(net, "a");
    test_ok(ctx, test_mask_unit(net, a, 1));
    float score[3];
    test_ok(ctx, copi_criterion_find("fpgm")->score(net, &net->node[a], NULL, 1, score));
    test_near(score[0], sqrt(5), 1e-6, 0);
    test_near(score[2], sqrt(5), 1e-6, 0);
    assert_true(score[1] == 0);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* LAMP sorts 2,000 weights as its definition does. */
static void lamp_is_its_definition(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_graph *g;
    cop_net *net;
    test_ok(ctx, cop_graph_create(ctx, &g));
    cop_graph_dense(g, "d", cop_graph_flatten(g, "f", cop_graph_input(g, "input", 4, 5, 5)), 20, 1);
    test_ok(ctx, cop_graph_build(g, 3, &net));
    const copi_node *d = &net->node[2];
    const copi_param *w = copi_node_slot(net, d, COPI_WEIGHT);
    test_net_mask(net, 5, 0.3);
    for (int64_t i = 0; i < w->count; i += 7) w->data[i] = i % 2 ? .125f : -.125f; /* ties, of either sign */
    float score[2000];
    assert_int_equal(w->count, 2000);
    test_ok(ctx, copi_criterion_find("lamp")->score(net, d, NULL, 1, score));
    for (int64_t i = 0; i < w->count; i++) {
        double rest = 0, square = (double)w->data[i] * w->data[i];
        for (int64_t j = 0; j < w->count; j++) {
            float a = fabsf(w->data[j]), b = fabsf(w->data[i]);
            if (a > b || (a == b && j >= i)) rest += (double)w->data[j] * w->data[j];
        }
        test_near(score[i], square / rest, 1e-6, 0);
    }
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* A convolution whose weights are used at 32 places each, and a dense layer. */
static cop_net *conv_and_dense(cop_ctx *ctx) {
    cop_graph *g;
    cop_net *net;
    test_ok(ctx, cop_graph_create(ctx, &g));
    cop_conv_params p = cop_conv_params_default(4, 3);
    int x = cop_graph_conv(g, "a", cop_graph_input(g, "input", 1, 6, 10), &p); /* 4 x 8 places */
    cop_graph_dense(g, "d", cop_graph_flatten(g, "f", x), 2, 1);
    test_ok(ctx, cop_graph_build(g, 3, &net));
    return net;
}

/* lamp-macs is lamp over the 0.4th power of the places at which a weight is used: what is kept scores more by that
 * than what goes. */
static void lamp_by_macs(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net = conv_and_dense(ctx), *cut;
    test_ok(ctx, cop_net_clone(net, &cut));
    cop_prune_params p = cop_prune_params_default();
    p.criterion = "lamp-macs", p.scope = "global", p.sparsity = 0.6;
    test_ok(ctx, copi_prune(cut, &p, NULL, NULL));
    double kept = INFINITY, gone = 0;
    for (int n = 1; n < net->nodes; n++) {
        const copi_node *node = &net->node[n];
        if (node->op != COPI_OP_CONV && node->op != COPI_OP_DENSE) continue;
        float plain[256];
        const copi_param *w = copi_node_slot(cut, node, COPI_WEIGHT);
        assert_true(w->count <= 256);
        test_ok(ctx, copi_criterion_find("lamp-macs")->score(net, node, NULL, 1, plain));
        for (int64_t i = 0; i < w->count; i++) {
            double score = node->op == COPI_OP_CONV ? plain[i] / 4. : plain[i]; /* 32^0.4 = 4 */
            if (!w->mask || w->mask[i])
                kept = fmin(kept, score);
            else
                gone = fmax(gone, score);
        }
    }
    assert_true(gone > 0 && gone <= kept);
    cop_net_destroy(cut);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* macs: as many weights go as without it, of those that are used often no more than need be. */
static void lamp_within_macs(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net = conv_and_dense(ctx);
    cop_prune_params p = cop_prune_params_default();
    p.scope = "global", p.sparsity = 0.6;
    static const struct {
        const char *criterion;
        double macs;
    } cases[] = {{"lamp", 0}, {"lamp-macs", 1e6}, {"lamp-macs", 0.25}, {"lamp", 0.25}, {"lamp", 200}};
    cop_net_info all, info[COPI_COUNT(cases)];
    cop_net_get_info(net, &all);
    for (size_t i = 0; i < COPI_COUNT(cases); i++) {
        cop_net *cut;
        p.criterion = cases[i].criterion, p.macs = cases[i].macs;
        test_ok(ctx, cop_net_clone(net, &cut));
        test_ok(ctx, copi_prune(cut, &p, NULL, NULL));
        cop_net_get_info(cut, &info[i]);
        assert_int_equal(info[i].nonzero, info[0].nonzero);
        cop_net_destroy(cut);
    }
    assert_true(info[0].macs_effective > 0.25 * (double)all.macs); /* else the bounds would bind nothing */
    assert_int_equal(info[1].macs_effective, info[0].macs_effective);
    double quarter = 0.25 * (double)all.macs;
    assert_true((double)info[2].macs_effective <= quarter && (double)info[2].macs_effective > quarter - 64);
    assert_int_equal(info[3].macs_effective, info[2].macs_effective);
    assert_true(info[4].macs_effective <= 200 && info[4].macs_effective > 200 - 64);

    /* on the way to .6, fewer weights go, in the order that .6 needs */
    p.macs_at = 0.6, p.sparsity = 0.3;
    test_ok(ctx, copi_prune(net, &p, NULL, NULL));
    p.macs_at = 0, p.sparsity = 0.6;
    test_ok(ctx, copi_prune(net, &p, NULL, NULL));
    cop_net_get_info(net, &all);
    assert_int_equal(all.macs_effective, info[4].macs_effective);

    const char *message = NULL;
    p.sparsity = 0.7, p.macs = 20;
    assert_int_equal(copi_prune(net, &p, NULL, NULL), COP_E_REFUSED);
    message = cop_error(ctx);
    assert_non_null(strstr(message, "20 are asked for"));
    assert_non_null(strstr(message, "higher sparsity"));
    p.scope = "layer";
    assert_int_equal(copi_prune(net, &p, NULL, NULL), COP_E_ARG);
    assert_non_null(strstr(cop_error(ctx), "macs has no effect on lamp, scope layer"));
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

/* The controls: the same seed gives the same numbers, another seed or layer others; all in [0,1). */
static void random_is_seeded(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net = little_net(ctx);
    const copi_criterion *c = copi_criterion_find("random");
    const copi_node *a = &net->node[copi_net_find(net, "a")], *b = &net->node[copi_net_find(net, "b")];
    float once[6], twice[6], seed[6], other[6];
    test_ok(ctx, c->score(net, a, NULL, 1, once));
    test_ok(ctx, c->score(net, a, NULL, 1, twice));
    test_ok(ctx, c->score(net, a, NULL, 2, seed));
    test_ok(ctx, c->score(net, b, NULL, 1, other));
    assert_memory_equal(once, twice, sizeof once);
    assert_memory_not_equal(once, seed, sizeof once);
    assert_memory_not_equal(once, other, sizeof once);
    for (int i = 0; i < 6; i++) assert_true(once[i] >= 0 && once[i] < 1);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

static void the_list(void **state) {
    (void)state;
    static const char *const names[] = {"magnitude", "l1-filter", "l2-filter",     "l2-neuron",    "fpgm",
                                        "bn-scale",  "taylor",    "fisher",        "fisher-root",  "lamp",
                                        "lamp-macs", "random",    "random-filter", "random-neuron"};
    assert_int_equal(cop_criterion_count(), COPI_COUNT(names));
    for (int i = 0; i < cop_criterion_count(); i++) {
        assert_string_equal(cop_criterion_name(i), names[i]);
        assert_true(strlen(cop_criterion_help(i)) > 10);
        assert_string_equal(copi_criterion_find(names[i])->name, names[i]);
    }
    assert_null(cop_criterion_name(-1));
    assert_null(cop_criterion_name(cop_criterion_count()));
    assert_null(cop_criterion_help(cop_criterion_count()));
    assert_null(copi_criterion_find("l3-filter"));
    assert_null(copi_criterion_find(NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(scores),
                                       cmocka_unit_test(fpgm_forgets_the_dead),
                                       cmocka_unit_test(lamp_is_its_definition),
                                       cmocka_unit_test(lamp_by_macs),
                                       cmocka_unit_test(lamp_within_macs),
                                       cmocka_unit_test(random_is_seeded),
                                       cmocka_unit_test(the_list)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
