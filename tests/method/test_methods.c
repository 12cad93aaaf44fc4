/* The table of methods, paces, the score, and what is refused before any work starts. */
#include "../train/little.h"
#include "method/method.h"

static void every_criterion_is_a_method(void **state) {
    (void)state;
    for (int i = 0; i < cop_criterion_count(); i++) assert_non_null(copi_method_find(cop_criterion_name(i)));
    int others = 0;
    for (int i = 0; i < cop_method_count(); i++) {
        const copi_method *m = copi_method_find(cop_method_name(i));
        assert_non_null(m);
        assert_true(strlen(cop_method_help(i)) > 10);
        if (m == &copi_method_criterion)
            assert_non_null(copi_criterion_find(cop_method_name(i)));
        else
            others++;
    }
    assert_int_equal(others, 4); /* sss, compound, dense-longer and scratch */
    assert_null(cop_method_name(-1));
    assert_null(cop_method_name(cop_method_count()));
    assert_null(copi_method_find("magic"));
}

static void paces_by_hand(void **state) {
    (void)state;
    const struct {
        cop_pace pace;
        int r, n;
        double want;
    } at[] = {
        {COP_PACE_ONE_SHOT, 1, 4, 0.8},
        {COP_PACE_LINEAR, 1, 4, 0.2},
        {COP_PACE_LINEAR, 3, 4, 0.6},
        {COP_PACE_GEOMETRIC, 2, 4, 1 - 0.44721359549995793}, /* 1 - sqrt(.2) */
        {COP_PACE_CUBIC, 1, 4, 0.8 * (1 - 0.421875)},        /* (3/4)^3 */
        {COP_PACE_CUBIC, 2, 4, 0.7},                         /* .8 x 7/8 */
        {COP_PACE_ONE_SHOT, 0, 0, 0.8},
    };
    for (size_t i = 0; i < COPI_COUNT(at); i++)
        test_near(copi_pace_share(at[i].pace, 0.8, at[i].r, at[i].n), at[i].want, 1e-14, 0);
    for (int pace = 0; pace <= COP_PACE_GRADUAL; pace++) /* the last round asks for exactly what was asked for */
        assert_true(copi_pace_share((cop_pace)pace, 0.7, 3, 3) == 0.7);
    assert_string_equal(cop_pace_name(COP_PACE_GEOMETRIC), "geometric");
    assert_string_equal(cop_prox_name(COP_PROX_SUBGRADIENT), "subgradient");
}

static void gradual_by_hand(void **state) {
    (void)state;
    cop_method_params p = cop_method_params_default();
    p.sparsity = 0.8;
    p.gradual.begin = 0.25;
    p.gradual.end = 0.75;
    const double want[] = {0, 0, 0, 0.8 * (1 - 0.421875), 0.7, 0.8 * (1 - 0.015625), 0.8, 0.8}; /* (3/4 2/4 1/4)^3 */
    for (int64_t t = 0; t < 8; t++) test_near(copi_gradual_share(&p, t, 8), want[t], 1e-14, 0);
    p.gradual.begin = 0;
    p.gradual.end = 1; /* what was asked for is there before the last step */
    assert_true(copi_gradual_share(&p, 6, 8) < 0.8 && copi_gradual_share(&p, 7, 8) == 0.8);
}

static void score_has_a_floor(void **state) {
    (void)state;
    test_near(cop_score(0.7264, 0.985, 0.6), 0.8557, 1e-12, 0);
    assert_true(cop_score(0.6, 1, 0.6) == 0.8);
    assert_true(cop_score(0.5999, 1, 0.6) == 0);
    assert_true(cop_score(NAN, 1, 0.6) == 0);
}

static int never(void *user, const cop_point *point, const cop_net *net) {
    (void)point;
    (void)net;
    ++*(int *)user;
    return 0;
}

static void refusals_come_first(void **state) {
    (void)state;
    little_hooks hooks;
    cop_ctx *ctx = little_ctx(&hooks);
    cop_data *data = little_data_at(ctx, 100, 20, 0.2, 1);
    cop_net *net = little_net(ctx, 0, 1), *wide, *result;
    int points = 0;
    cop_method_params p;
#define REFUSED(name, change, status, text)                                                                          \
    p = cop_method_params_default();                                                                                 \
    p.method = name;                                                                                                 \
    change;                                                                                                          \
    test_fails(ctx, cop_method_run(net, data, &p, never, &points, &result), status, text);                           \
    assert_null(result)
    REFUSED(NULL, (void)0, COP_E_ARG, "no name is given");
    REFUSED("l1-filtre", (void)0, COP_E_NOT_FOUND, "did you mean 'l1-filter'?");
    REFUSED("magnitude", p.sparsity = 1.2, COP_E_RANGE, "magnitude: sparsity is 1.2");
    REFUSED("magnitude", p.sparsity = NAN, COP_E_RANGE, "sparsity is nan");
    REFUSED("magnitude", p.keep = 0, COP_E_RANGE, "keep is 0");
    REFUSED("magnitude", p.rounds = -1, COP_E_RANGE, "rounds is -1");
    REFUSED("magnitude", p.pace = (cop_pace)9, COP_E_RANGE, "pace is 9");
    REFUSED("magnitude", (p.rounds = 1, p.tune.rate = NAN), COP_E_RANGE, "tune: recipe: rate is nan");
    REFUSED("magnitude", (p.rounds = 1, p.tune.checkpoint = "x"), COP_E_ARG, "checkpoint is x");
    REFUSED("dense-longer", p.tune.batch = 0, COP_E_RANGE, "batch is 0");
    REFUSED("l1-filter", p.sparsify.epochs = -1, COP_E_RANGE, "sparsify: recipe: epochs is -1");
    const cop_layer_limit unknown = {"conv9", 1, 1}, wild = {"conv1", 0, 1.5};
    REFUSED("l1-filter", (p.limit = &unknown, p.limits = 1), COP_E_NOT_FOUND,
            "limit of 'conv9': the net has no such layer; did you mean 'conv1'?");
    REFUSED("l1-filter", (p.limit = &wild, p.limits = 1), COP_E_RANGE, "limit of 'conv1': most is 1.5");
    REFUSED("l1-filter", (p.limit = &unknown, p.limits = 1, p.sparsify.epochs = 1), COP_E_NOT_FOUND, "'conv9'");
    assert_int_equal(hooks.reports, 0); /* nothing was trained */
    REFUSED("scratch", p.scratch.like = "compound", COP_E_ARG,
            "scratch: like is \"compound\"; expected one of magnitude, l1-filter");
    REFUSED("scratch", p.scratch.like = NULL, COP_E_ARG, "like is \"\"");
    REFUSED("scratch", p.scratch.recipe.epochs = 0, COP_E_RANGE, "scratch: epochs is 0");
    REFUSED("sss", p.sss.reserved[1] = 9, COP_E_ARG, "sss_params.reserved is not 0");
    REFUSED("magnitude", p.gradual.reserved[0] = 1, COP_E_ARG, "gradual_params.reserved is not 0");
    REFUSED("scratch", p.sparsity = 2, COP_E_RANGE, "sparsity is 2");
    REFUSED("sss", p.sss.tries = 0, COP_E_RANGE, "tries is 0");
    REFUSED("sss", p.sss.gamma = -1, COP_E_RANGE, "sss: gamma is -1");
    REFUSED("sss", p.sss.factor_rate = 0, COP_E_RANGE, "factor_rate is 0");
    REFUSED("sss", p.sss.factor_momentum = 1, COP_E_RANGE, "factor_momentum is 1");
    REFUSED("sss", p.sss.prox = (cop_prox)5, COP_E_RANGE, "apg, subgradient");
    REFUSED("sss", p.sss.thresholds = 2, COP_E_ARG, "threshold is NULL");
    const double bad[] = {0, -1};
    REFUSED("sss", (p.sss.thresholds = 2, p.sss.threshold = bad), COP_E_RANGE, "threshold is -1");
    REFUSED("sss", p.sss.retrain.epochs = -2, COP_E_RANGE, "retrain: recipe: epochs is -2");
    REFUSED("l1-filter", (p.sparsity = 0.9, p.keep = 2), COP_E_REFUSED, "conv1"); /* would leave 1 of 8 filters */
#undef REFUSED
    test_ok(ctx, cop_net_preset(ctx, "lenet-5", 1, 28, 28, 4, 1, &wide));
    p = cop_method_params_default();
    test_fails(ctx, cop_method_run(wide, data, &p, never, &points, NULL), COP_E_SHAPE, "[1,28,28]");
    assert_int_equal(points, 0);
    cop_net_destroy(wide);
    cop_net_destroy(net);
    cop_data_destroy(data);
    cop_ctx_destroy(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_criterion_is_a_method),
        cmocka_unit_test(paces_by_hand),
        cmocka_unit_test(gradual_by_hand),
        cmocka_unit_test(score_has_a_floor),
        cmocka_unit_test(refusals_come_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
