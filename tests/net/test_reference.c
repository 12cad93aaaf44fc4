/* The reference is what every fast path is measured against, so it is itself measured: hand-computed values of each
 * op, and its backward against central differences of its forward. */
#include "check.h"
#include "nets.h"
#include "reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int setup(void **state) {
    *state = test_ctx();
    return 0;
}

static int teardown(void **state) {
    test_ctx_destroy(*state);
    return 0;
}

static cop_net *finish(cop_graph *g) {
    cop_ctx *ctx = g->ctx;
    cop_net *net;
    test_ok(ctx, copi_graph_build_raw(g, &net));
    return net;
}

static cop_graph *start(cop_ctx *ctx, int64_t c, int64_t h, int64_t w) {
    cop_graph *g;
    test_ok(ctx, cop_graph_create(ctx, &g));
    assert_int_equal(cop_graph_input(g, "x", c, h, w), 0);
    return g;
}

static void fill(cop_net *net, const char *param, const float *values) {
    int p = copi_net_find_param(net, param);
    assert_true(p >= 0);
    memcpy(net->param[p].data, values, (size_t)net->param[p].count * sizeof *values);
}

/* Run one image, compare node's output. */
static void expect(cop_net *net, const char *node, const double *x, const double *want) {
    ref_run *r = ref_create(net, 1);
    ref_forward(r, x);
    int i = copi_net_find(net, node);
    for (int64_t k = 0; k < ref_count(net, i); k++) test_near(r->out[i][k], want[k], 1e-12, 1e-12);
    ref_destroy(r);
    cop_net_destroy(net);
}

static void conv_by_hand(void **state) {
    cop_graph *g = start(*state, 1, 3, 3);
    cop_conv_params p = cop_conv_params_default(1, 2);
    p.pad[0] = 1; /* a row above */
    p.stride[1] = 1;
    cop_graph_flatten(g, "f", cop_graph_conv(g, "c", 0, &p));
    cop_graph_dense(g, "d", 2, 1, 0);
    cop_net *net = finish(g);
    fill(net, "c.weight", (const float[]){1, 2, 3, 4});
    fill(net, "c.bias", (const float[]){10});
    expect(net, "c", (const double[]){1, 2, 3, 4, 5, 6, 7, 8, 9},
           (const double[]){10 + 3 + 8, 10 + 6 + 12, 10 + 1 + 4 + 12 + 20, 10 + 2 + 6 + 15 + 24,
                            10 + 4 + 10 + 21 + 32, 10 + 5 + 12 + 24 + 36});
}

static void conv_dilated_grouped(void **state) {
    cop_graph *g = start(*state, 2, 3, 3);
    cop_conv_params p = cop_conv_params_default(2, 2);
    p.dilation[0] = p.dilation[1] = 2;
    p.groups = 2;
    cop_graph_flatten(g, "f", cop_graph_conv(g, "c", 0, &p));
    cop_net *net = finish(g);
    fill(net, "c.weight", (const float[]){1, 1, 1, 1, 1, 0, 0, -1});
    fill(net, "c.bias", (const float[]){0.5, 0});
    double x[18];
    for (int i = 0; i < 18; i++) x[i] = i + 1;
    expect(net, "c", x, (const double[]){0.5 + 1 + 3 + 7 + 9, 10 - 18}); /* corners of each channel */
}

static void batchnorm_by_hand(void **state) {
    cop_graph *g = start(*state, 2, 1, 1);
    cop_graph_batchnorm(g, "b", 0, 0.5);
    cop_net *net = finish(g);
    fill(net, "b.scale", (const float[]){2, -1});
    fill(net, "b.shift", (const float[]){1, 0});
    fill(net, "b.mean", (const float[]){3, 1});
    fill(net, "b.var", (const float[]){3.5, 0.5});
    expect(net, "b", (const double[]){7, 4}, (const double[]){2 * 4 / 2.0 + 1, -3});
}

static void pools_by_hand(void **state) {
    const double x[9] = {1, 2, 3, 4, 5, 6, 7, 8, -9};
    cop_pool_params p = cop_pool_params_default(2);
    p.pad[0] = p.pad[1] = 1; /* windows start above and left of the image */
    cop_graph *g = start(*state, 1, 3, 3);
    cop_graph_flatten(g, "f", cop_graph_max_pool(g, "p", 0, &p));
    cop_graph_dense(g, "d", 2, 1, 0);
    expect(finish(g), "p", x, (const double[]){1, 3, 7, 8});
    for (int count_pad = 0; count_pad < 2; count_pad++) {
        p.count_pad = count_pad;
        g = start(*state, 1, 3, 3);
        cop_graph_flatten(g, "f", cop_graph_avg_pool(g, "p", 0, &p));
        cop_graph_dense(g, "d", 2, 1, 0);
        const double all[4] = {1 / 4.0, 5 / 4.0, 11 / 4.0, 10 / 4.0}, inside[4] = {1, 5 / 2.0, 11 / 2.0, 10 / 4.0};
        expect(finish(g), "p", x, count_pad ? all : inside);
    }
    g = start(*state, 1, 3, 3);
    cop_graph_global_pool(g, "p", 0);
    expect(finish(g), "p", x, (const double[]){27 / 9.0});
}

static void elementwise_by_hand(void **state) {
    const double x[3] = {-2, 3, 8};
    cop_graph *g = start(*state, 3, 1, 1);
    cop_graph_relu(g, "y", 0);
    expect(finish(g), "y", x, (const double[]){0, 3, 8});
    g = start(*state, 3, 1, 1);
    cop_graph_relu6(g, "y", 0);
    expect(finish(g), "y", x, (const double[]){0, 3, 6});
    g = start(*state, 3, 1, 1);
    cop_graph_leaky_relu(g, "y", 0, 0.25);
    expect(finish(g), "y", x, (const double[]){-0.5, 3, 8});
    g = start(*state, 3, 1, 1);
    cop_graph_softmax(g, "y", 0);
    double s = exp(-2) + exp(3) + exp(8);
    expect(finish(g), "y", x, (const double[]){exp(-2) / s, exp(3) / s, exp(8) / s});
}

static void joins_by_hand(void **state) {
    const double x[2] = {5, 7};
    cop_graph *g = start(*state, 2, 1, 1);
    int y = cop_graph_concat(g, "y", (const int[]){0, cop_graph_relu(g, "r", 0), 0}, 3);
    assert_int_equal(y, 2);
    expect(finish(g), "y", x, (const double[]){5, 7, 5, 7, 5, 7});
    g = start(*state, 2, 1, 1);
    cop_graph_add(g, "y", 0, 0);
    expect(finish(g), "y", x, (const double[]){10, 14});
}

/* An op of one input with plausible attributes: sizes 1 (kernels and factors 2, padding 0), reals 1/4. */
static copi_node plausible(copi_op op) {
    copi_node proto = {.op = op};
    for (const copi_attribute *a = copi_op_attributes(op); a->key; a++) {
        void *field = (char *)&proto + a->offset;
        int64_t size = !strcmp(a->key, "pad") ? 0 : !strcmp(a->key, "kernel") || !strcmp(a->key, "factors") ? 2 : 1;
        if (a->kind == COPI_ATTRIBUTE_REAL) *(double *)field = 0.25;
        for (size_t i = 0; a->kind == COPI_ATTRIBUTE_SIZES && i < a->bytes / sizeof size; i++)
            ((int64_t *)field)[i] = size;
    }
    return proto;
}

enum { TRAIT_C = 4, TRAIT_HW = 9 };

/* What ops.def and the classes say of an op, held against its reference: f(2 x) = 2 f(x), a channel of zeros. */
static void check_traits(const cop_net *net, int node) {
    const copi_op op = net->node[node].op;
    const copi_op_class *class = copi_op_get(op);
    ref_run *r = ref_create(net, 1), *twice = ref_create(net, 1);
    double x[TRAIT_C * TRAIT_HW], x2[TRAIT_C * TRAIT_HW];
    copi_rng rng = copi_rng_make(1, COPI_STREAM_CHECK, (uint64_t)op);
    for (int i = 0; i < TRAIT_C * TRAIT_HW; i++) {
        x[i] = i < TRAIT_HW ? 0 : 5 * copi_rng_normal(&rng); /* channel 0 is 0; some are beyond 6 */
        x2[i] = 2 * x[i];
    }
    ref_forward(r, x);
    ref_forward(twice, x2);
    const int64_t each = ref_count(net, node) / net->node[node].shape[0];
    for (int64_t i = 0; i < ref_count(net, node); i++) {
        double in = r->out[net->node[node].src[0]][i], y = r->out[node][i];
        if (copi_op_is(op, COPI_HOMOGENEOUS)) test_near(twice->out[node][i], 2 * y, 1e-12, 1e-12);
        if (copi_op_is(op, COPI_KEEPS_ZEROS) && i < each) assert_true(y == 0);
        if (!class->rectifier) continue;
        copi_rectifier f = class->rectifier(&net->node[node]);
        test_near(y, fmin(f.high, in > 0 ? in : f.slope * in), 1e-12, 1e-12);
    }
    ref_destroy(r);
    ref_destroy(twice);
}

static void traits_hold(void **state) {
    for (int op = 0; op < COPI_OPS; op++) {
        const copi_op_class *class = copi_op_get((copi_op)op);
        assert_int_equal(class->macs != NULL, copi_op_is((copi_op)op, COPI_HAS_KERNEL));
        if (class->sources != 1 || copi_op_is((copi_op)op, COPI_HAS_KERNEL)) continue;
        const copi_node proto = plausible((copi_op)op);
        cop_graph *g = start(*state, TRAIT_C, 3, 3);
        const int src = cop_graph_batchnorm(g, "before", 0, 1e-3), node = copi_graph_add(g, "y", &proto, &src, 1);
        if (op != COPI_OP_FLATTEN) cop_graph_global_pool(g, "end", node);
        cop_net *net = finish(g);
        check_traits(net, node);
        cop_net_destroy(net);
    }
}

static void dense_and_gate_by_hand(void **state) {
    cop_graph *g = start(*state, 2, 1, 1);
    cop_graph_flatten(g, "f", 0);
    cop_graph_gate(g, "y", cop_graph_dense(g, "d", 1, 4, 1), 2);
    cop_net *net = finish(g);
    fill(net, "d.weight", (const float[]){1, 0, 0, 1, 1, 1, 1, -1});
    fill(net, "d.bias", (const float[]){0, 0, 1, 0});
    fill(net, "y.gate", (const float[]){2, 0.5});
    expect(net, "y", (const double[]){5, 7}, (const double[]){10, 14, 6.5, -1}); /* two channels share a factor */
}

/* -- backward against central differences -- */

typedef struct probe {
    ref_run *r;
    double *x;
    const int32_t *label;
    const ref_loss_params *loss;
} probe;

static double loss_at(const probe *p) {
    ref_forward(p->r, p->x);
    return ref_loss(p->r, p->label, p->loss);
}

/* d loss / d *at by a central difference; at a kink of a ReLU or a max (the two one-sided slopes differ) NaN. */
static double slope(const probe *p, double *at) {
    const double h = 1e-6, was = *at, here = loss_at(p);
    *at = was + h;
    double above = loss_at(p);
    *at = was - h;
    double below = loss_at(p);
    *at = was;
    double right = (above - here) / h, left = (here - below) / h;
    return fabs(right - left) > 1e-4 * (1 + fabs(right)) ? NAN : (above - below) / (2 * h);
}

/* Truncation is h^2 times a third derivative, cancellation 1e-16 / h: both under 1e-8 for losses and gradients of
 * about 1; 1e-5 leaves room for the large third derivatives of a batch-norm over few numbers. */
static int64_t compare(const probe *p, double *value, const double *grad, int64_t count, const char *what) {
    int64_t kinks = 0;
    for (int64_t k = 0; k < count; k += 1 + count / 8) { /* eight or so of each are enough */
        double analytic = grad[k], numeric = slope(p, &value[k]);
        if (isnan(numeric))
            kinks++;
        else if (fabs(analytic - numeric) > 1e-5 * (1 + fabs(numeric)))
            fail_msg("%s[%lld]: backward %.9g, difference %.9g", what, (long long)k, analytic, numeric);
    }
    return kinks;
}

static uint8_t **draw_keep(const cop_net *net, int64_t n, uint64_t seed) {
    copi_rng rng = copi_rng_make(seed, COPI_STREAM_TEST, 9);
    uint8_t **keep = calloc((size_t)net->nodes, sizeof *keep);
    assert_non_null(keep);
    for (int i = 0; i < net->nodes; i++) {
        if (net->node[i].op != COPI_OP_DROPOUT) continue;
        int64_t count = n * ref_count(net, i);
        keep[i] = malloc((size_t)count);
        assert_non_null(keep[i]);
        for (int64_t k = 0; k < count; k++) keep[i][k] = copi_rng_below(&rng, 4) > 0;
    }
    return keep;
}

static void check_net(const cop_net *net, uint64_t seed, int64_t *checked, int64_t *kinks) {
    enum { N = 3 };
    copi_rng rng = copi_rng_make(seed, COPI_STREAM_TEST, 8);
    int64_t pixels = N * ref_count(net, 0);
    double *x = malloc((size_t)pixels * sizeof *x), teacher[N * 16];
    double *input_grad = malloc((size_t)pixels * sizeof *input_grad);
    assert_non_null(x);
    assert_non_null(input_grad);
    for (int64_t k = 0; k < pixels; k++) x[k] = copi_rng_normal(&rng);
    for (size_t k = 0; k < COPI_COUNT(teacher); k++) teacher[k] = copi_rng_normal(&rng);
    int32_t label[N];
    for (int k = 0; k < N; k++) label[k] = (int32_t)copi_rng_below(&rng, (uint64_t)net->classes);
    ref_loss_params loss = {.label_smoothing = 0.1, .teacher = teacher, .distil_share = 0.3, .distil_temperature = 2};
    uint8_t **keep = draw_keep(net, N, seed);

    ref_run *r = ref_create(net, N);
    r->training = seed % 2;
    r->keep = (const uint8_t *const *)keep;
    probe p = {r, x, label, seed % 3 ? &loss : NULL};
    loss_at(&p);
    ref_backward(r);
    memcpy(input_grad, r->grad[0], (size_t)pixels * sizeof *input_grad); /* the differences will overwrite it */
    double **dparam = calloc((size_t)net->params, sizeof *dparam);
    assert_non_null(dparam);
    for (int i = 0; i < net->params; i++) {
        size_t bytes = (size_t)net->param[i].count * sizeof **dparam;
        dparam[i] = malloc(bytes);
        assert_non_null(dparam[i]);
        memcpy(dparam[i], r->dparam[i], bytes);
    }
    *kinks += compare(&p, x, input_grad, pixels, "x");
    for (int i = 0; i < net->params; i++) {
        if (net->param[i].kind == COPI_PARAM_MEAN || net->param[i].kind == COPI_PARAM_VAR) continue;
        *kinks += compare(&p, r->param[i], dparam[i], net->param[i].count, net->param[i].name);
        *checked += net->param[i].count < 8 ? net->param[i].count : 8;
    }
    for (int i = 0; i < net->params; i++) free(dparam[i]);
    for (int i = 0; i < net->nodes; i++) free(keep[i]);
    free(dparam);
    free(keep);
    free(input_grad);
    free(x);
    ref_destroy(r);
}

static void backward_is_the_slope(void **state) {
    int64_t checked = 0, kinks = 0, seen[COPI_OPS] = {0};
    for (uint64_t seed = 0; seed < 30; seed++) {
        cop_net *net = test_net_random(*state, &(test_net_params){.seed = seed, .gates = 1});
        assert_non_null(net);
        for (int i = 0; i < net->nodes; i++) seen[net->node[i].op]++;
        check_net(net, seed, &checked, &kinks);
        cop_net_destroy(net);
    }
    for (int op = 0; op < COPI_OPS; op++)
        if (!seen[op]) fail_msg("the random nets never hold a %s", cop_op_name(op));
    assert_true(checked > 1000);
    assert_true(kinks * 20 < checked);
}

/* A softmax that is not last passes its gradient on too; the loss above jumps over the last one. */
static void softmax_backward(void **state) {
    cop_graph *g = start(*state, 4, 1, 1);
    cop_graph_conv(g, "c", 0,
                   &(cop_conv_params){.size = sizeof(cop_conv_params),
                                      .filters = 3,
                                      .kernel = {1, 1},
                                      .stride = {1, 1},
                                      .dilation = {1, 1},
                                      .groups = 1});
    cop_graph_softmax(g, "s", 1);
    cop_graph_flatten(g, "f", 2);
    cop_graph_dense(g, "d", 3, 2, 1);
    cop_net *net = finish(g);
    test_net_fill(net, 5);
    int64_t checked = 0, kinks = 0;
    check_net(net, 4, &checked, &kinks);
    assert_int_equal(kinks, 0);
    cop_net_destroy(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(conv_by_hand, setup, teardown),
        cmocka_unit_test_setup_teardown(conv_dilated_grouped, setup, teardown),
        cmocka_unit_test_setup_teardown(batchnorm_by_hand, setup, teardown),
        cmocka_unit_test_setup_teardown(pools_by_hand, setup, teardown),
        cmocka_unit_test_setup_teardown(elementwise_by_hand, setup, teardown),
        cmocka_unit_test_setup_teardown(traits_hold, setup, teardown),
        cmocka_unit_test_setup_teardown(joins_by_hand, setup, teardown),
        cmocka_unit_test_setup_teardown(dense_and_gate_by_hand, setup, teardown),
        cmocka_unit_test_setup_teardown(backward_is_the_slope, setup, teardown),
        cmocka_unit_test_setup_teardown(softmax_backward, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
