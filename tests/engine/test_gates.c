/* SSS's factors: three forms of the accelerated proximal step give the same iterates, and the engine follows them;
 * the subgradient step; factors reach exactly 0, stay there, and revive; the gradient by finite differences of the
 * loss. */
#include "compare.h"

/* conv and dense with a factor per unit, batch-norm with a factor per group, and one factor for a branch. */
static cop_net *gated_net(cop_ctx *ctx) {
    cop_graph *g;
    test_ok(ctx, cop_graph_create(ctx, &g));
    cop_conv_params p = cop_conv_params_default(6, 3);
    for (int k = 0; k < 4; k++) p.pad[k] = 1;
    int x = cop_graph_conv(g, "conv1", cop_graph_input(g, "input", 3, 5, 5), &p);
    x = cop_graph_relu(g, "relu1", cop_graph_gate(g, "gate1", x, 6));
    int branch = cop_graph_batchnorm(g, "norm2", cop_graph_conv(g, "conv2", x, &p), 1e-3);
    branch = cop_graph_gate(g, "gate2", branch, 3);
    int block = cop_graph_gate(g, "gate3", cop_graph_conv(g, "conv3", branch, &p), 1);
    x = cop_graph_flatten(g, "flatten", cop_graph_relu(g, "relu3", cop_graph_add(g, "add", x, block)));
    x = cop_graph_relu(g, "relu4", cop_graph_gate(g, "gate4", cop_graph_dense(g, "dense1", x, 7, 1), 7));
    cop_graph_dense(g, "dense2", x, 3, 1);
    cop_net *net;
    test_ok(ctx, cop_graph_build(g, 1, &net));
    test_net_fill(net, 1);
    for (int q = 0; q < net->params; q++)
        for (int64_t i = 0; net->param[q].kind == COPI_PARAM_GATE && i < net->param[q].count; i++)
            net->param[q].data[i] = 1;
    return net;
}

/* --- the three forms, for one factor, on a gradient that is a function of the point it is taken at --- */

typedef struct form {
    double lambda, before, v, ahead;
} form; /* lambda_t, lambda_{t-1}, momentum, l' */
typedef double (*gradient_fn)(double at);

static double prox(double z, double threshold) {
    return fmax(0, z - threshold);
}

/* docs/methods.md, "SSS", stored look-ahead point. */
static void look_ahead(form *f, gradient_fn g, double eta, double mu, double gamma) {
    double z = f->ahead - eta * g(f->ahead);
    f->lambda = prox(z, eta * gamma);
    f->v = f->lambda - f->ahead + mu * f->v;
    f->ahead = fmax(0, f->lambda + mu * f->v);
}

/* The textbook: extrapolate from the last two iterates, then step and shrink. */
static void textbook(form *f, gradient_fn g, double eta, double mu, double gamma) {
    double d = fmax(0, f->lambda + mu * (f->lambda - f->before));
    f->before = f->lambda;
    f->lambda = prox(d - eta * g(d), eta * gamma);
}

/* Momentum as the last move of the iterate itself. */
static void velocity(form *f, gradient_fn g, double eta, double mu, double gamma) {
    double d = fmax(0, f->lambda + mu * f->v), next = prox(d - eta * g(d), eta * gamma);
    f->v = next - f->lambda;
    f->lambda = next;
}

static double bowl(double at) {
    return 2 * (at - 0.7);
} /* wants .7; ends short of it by gamma / 2 */
static double slope_up(double at) {
    return 0.05 + 0 * at;
} /* pushes to 0 */
static double indifferent(double at) {
    return 0 * at;
}

static void forms_agree(void **state) {
    (void)state;
    const struct {
        gradient_fn g;
        double eta, mu, gamma, end;
    } row[] = {
        {bowl, 0.05, 0.9, 0.01, 0.695}, {bowl, 0.1, 0.5, 0.2, 0.6},       {bowl, 0.1, 0, 0.3, 0.55},
        {slope_up, 0.1, 0.9, 0.01, 0},  {indifferent, 0.1, 0.9, 0.01, 0},
    };
    for (size_t i = 0; i < COPI_COUNT(row); i++) {
        form a = {1, 1, 0, 1}, b = a, c = a;
        for (int t = 0; t < 400; t++) {
            look_ahead(&a, row[i].g, row[i].eta, row[i].mu, row[i].gamma);
            textbook(&b, row[i].g, row[i].eta, row[i].mu, row[i].gamma);
            velocity(&c, row[i].g, row[i].eta, row[i].mu, row[i].gamma);
            test_near(a.lambda, b.lambda, 1e-12, 1e-12);
            test_near(c.lambda, b.lambda, 1e-12, 1e-12);
        }
        test_near(a.lambda, row[i].end, 0, 1e-6);
    }
}

/* docs/methods.md, "SSS": a factor the loss does not need falls from 1 to 0 in about (1 - mu) / (eta gamma) steps. */
static void time_to_zero(void **state) {
    (void)state;
    for (double gamma = 1e-3; gamma < 0.02; gamma *= 10) {
        form f = {1, 1, 0, 1};
        int steps = 0;
        while (f.lambda > 0 && steps < 10000) {
            look_ahead(&f, indifferent, 0.1, 0.9, gamma);
            steps++;
        }
        test_near(steps, 0.1 / (0.1 * gamma), 0.15, 10); /* 10: until the momentum has built up */
    }
}

/* --- the engine --- */

typedef struct gates {
    int param[8], count;
    form *form[8];
    float *g;
} gates;

static gates gates_of(const cop_net *net) {
    gates x = {0};
    for (int p = 0; p < net->params; p++) {
        if (net->param[p].kind != COPI_PARAM_GATE) continue;
        x.form[x.count] = malloc((size_t)net->param[p].count * sizeof(form));
        assert_non_null(x.form[x.count]);
        for (int64_t i = 0; i < net->param[p].count; i++) {
            double start = net->param[p].data[i];
            x.form[x.count][i] = (form){start, start, 0, start};
        }
        x.param[x.count++] = p;
    }
    x.g = malloc(64 * sizeof *x.g);
    assert_non_null(x.g);
    return x;
}

static void gates_free(gates *x) {
    for (int i = 0; i < x->count; i++) free(x->form[i]);
    free(x->g);
}

static double given; /* the engine's gradient at its look-ahead point, for a form that asks for it */
static double as_given(double at) {
    return given + 0 * at;
}

static void subgradient(form *f, double g, double eta, double mu, double gamma) {
    f->v = mu * f->v + g + gamma * ((f->lambda > 0) - (f->lambda < 0));
    f->lambda -= eta * f->v;
}

static void engine_follows(cop_prox prox_kind) {
    cop_ctx *ctx = ctx_of_threads(1);
    cop_net *net = gated_net(ctx);
    subject s = subject_make(ctx, net, 6, COP_PRECISION_F32, 2);
    copi_plan *plan = plan_for(&s, true);
    gates x = gates_of(net);
    assert_int_equal(x.count, 4);
    double cost[64];
    for (int i = 0; i < net->nodes; i++) cost[i] = 1 + 0.1 * i; /* cost-aware gamma */
    copi_gate_rule rule = {.prox = prox_kind, .momentum = 0.9, .gamma = 0.02, .cost = cost};
    cop_recipe o = {.optimizer = COP_OPTIMIZER_SGD, .momentum = 0.9, .decay = 1e-3};
    copi_plan_set_optimizer(plan, &o);
    copi_plan_set_gates(plan, &rule);
    int zeros = 0;
    for (int t = 0; t < 150; t++) {
        double eta = t < 100 ? 0.1 : 0.01, loss;
        int64_t correct;
        copi_step step = {.x = s.x, .label = s.label, .rate = 2e-3, .gate_rate = eta};
        test_ok(ctx, copi_plan_step(plan, &step, &loss, &correct));
        test_ok(ctx, copi_plan_pull(plan, net));
        zeros = 0;
        for (int i = 0; i < x.count; i++) {
            const copi_param *param = &net->param[x.param[i]];
            test_ok(ctx, copi_plan_gradient(plan, x.param[i], x.g));
            for (int64_t u = 0; u < param->count; u++) {
                double gamma = rule.gamma * cost[param->node];
                given = x.g[u];
                if (prox_kind == COP_PROX_APG)
                    look_ahead(&x.form[i][u], as_given, eta, rule.momentum, gamma);
                else
                    subgradient(&x.form[i][u], given, eta, rule.momentum, gamma);
                /* f32 keeps lambda, v and l' to 2^-24 a step, and momentum carries ten steps' errors along */
                test_near(param->data[u], x.form[i][u].lambda, 0, 1e-4);
                zeros += param->data[u] == 0;
            }
        }
    }
    if (prox_kind == COP_PROX_APG) assert_true(zeros > 0); /* exactly 0: the subgradient never gives that */
    print_message("%d of 17 factors are exactly 0\n", zeros);
    gates_free(&x);
    copi_plan_destroy(plan);
    subject_free(&s);
    cop_net_destroy(net);
    cop_ctx_destroy(ctx);
}

static void engine_apg(void **state) {
    (void)state;
    engine_follows(COP_PROX_APG);
}
static void engine_subgradient(void **state) {
    (void)state;
    engine_follows(COP_PROX_SUBGRADIENT);
}

/* The engine's factor gradient against central differences of the reference's loss (random nets compare it with the
 * reference's own gradient). */
static void finite_differences(void **state) {
    (void)state;
    cop_ctx *ctx = ctx_of_threads(1);
    cop_net *net = gated_net(ctx);
    for (int p = 0; p < net->params; p++) /* away from 1, so that a factor taken twice or not at all shows */
        for (int64_t i = 0; net->param[p].kind == COPI_PARAM_GATE && i < net->param[p].count; i++)
            net->param[p].data[i] = 0.6f + 0.15f * (float)i;
    subject s = subject_make(ctx, net, 6, COP_PRECISION_F32, 2);
    copi_plan *plan = plan_for(&s, true);
    copi_step step = {.x = s.x, .label = s.label, .gradient_only = true};
    double loss;
    int64_t correct;
    test_ok(ctx, copi_plan_step(plan, &step, &loss, &correct));
    ref_run *r = ref_create(net, s.n);
    r->training = true;
    double *x = malloc((size_t)(s.n * ref_count(net, 0)) * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < s.n * ref_count(net, 0); i++) x[i] = s.x[i];
    for (int p = 0; p < net->params; p++) {
        if (net->param[p].kind != COPI_PARAM_GATE) continue;
        float g[16];
        test_ok(ctx, copi_plan_gradient(plan, p, g));
        for (int64_t i = 0; i < net->param[p].count; i++) {
            const double h = 1e-5;
            double middle = r->param[p][i], side[2];
            for (int k = 0; k < 2; k++) {
                r->param[p][i] = middle + (k ? h : -h);
                ref_forward(r, x);
                side[k] = ref_loss(r, s.label, NULL);
            }
            r->param[p][i] = middle;
            test_near(g[i], (side[1] - side[0]) / (2 * h), 1e-4, 1e-6);
        }
    }
    free(x);
    ref_destroy(r);
    copi_plan_destroy(plan);
    subject_free(&s);
    cop_net_destroy(net);
    cop_ctx_destroy(ctx);
}

/* Pulling and pushing what was pulled leaves the path of the factors alone; factors that the caller moves start
 * over. */
static void push_keeps_look_ahead(void **state) {
    (void)state;
    cop_ctx *ctx = ctx_of_threads(1);
    cop_net *net[2] = {gated_net(ctx), gated_net(ctx)};
    subject s = subject_make(ctx, net[0], 6, COP_PRECISION_F32, 2);
    copi_plan *plan[2];
    copi_gate_rule rule = {.prox = COP_PROX_APG, .momentum = 0.9, .gamma = 0.01};
    cop_recipe o = {.optimizer = COP_OPTIMIZER_SGD, .momentum = 0.9};
    for (int k = 0; k < 2; k++) plan[k] = plan_for(&s, true);
    for (int k = 0; k < 2; k++) {
        copi_plan_set_optimizer(plan[k], &o);
        copi_plan_set_gates(plan[k], &rule);
        for (int t = 0; t < 20; t++) {
            double loss;
            int64_t correct;
            copi_step step = {.x = s.x, .label = s.label, .rate = 1e-2, .gate_rate = 0.1};
            test_ok(ctx, copi_plan_step(plan[k], &step, &loss, &correct));
            if (!k) continue;
            test_ok(ctx, copi_plan_pull(plan[k], net[k]));
            test_ok(ctx, copi_plan_push(plan[k], net[k]));
        }
        test_ok(ctx, copi_plan_pull(plan[k], net[k]));
    }
    assert_memory_equal(net[0]->block, net[1]->block, net[0]->block_count * sizeof(float));
    int gate = copi_net_find_param(net[0], "gate1.gate");
    net[0]->param[gate].data[2] = 0.5f;
    float ahead[6];
    test_ok(ctx, copi_plan_push(plan[0], net[0]));
    test_ok(ctx, copi_plan_state_get(plan[0], 1, gate, ahead));
    assert_true(ahead[2] == 0.5f);
    for (int k = 0; k < 2; k++) {
        copi_plan_destroy(plan[k]);
        cop_net_destroy(net[k]);
    }
    subject_free(&s);
    cop_ctx_destroy(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_agree),        cmocka_unit_test(time_to_zero),
        cmocka_unit_test(engine_apg),         cmocka_unit_test(engine_subgradient),
        cmocka_unit_test(finite_differences), cmocka_unit_test(push_keeps_look_ahead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
