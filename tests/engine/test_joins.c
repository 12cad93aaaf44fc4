/* Who may work in whose place: chains of elementwise ops, sums of values that others read, of one value with itself,
 * of two values that nobody may overwrite. A mistake here destroys a number that a backward still reads. Also
 * dropout, whose mask the test learns from the engine's own numbers. */
#include "compare.h"
#include "engine/plan.h"

typedef struct builder {
    cop_graph *g;
    int input;
} builder;

static int conv(builder *b, const char *name, int src, int64_t filters) {
    cop_conv_params p = cop_conv_params_default(filters, 3);
    for (int k = 0; k < 4; k++) p.pad[k] = 1;
    return cop_graph_conv(b->g, name, src, &p);
}
static int pool(builder *b, const char *name, int src) {
    cop_pool_params p = cop_pool_params_default(2);
    return cop_graph_max_pool(b->g, name, src, &p);
}

/* Each gives the node that the head is put on. Dropout's shares are sixteenths, which the engine keeps exactly. */
static int act_chain(builder *b) {
    int x = cop_graph_leaky_relu(b->g, "a", conv(b, "c", b->input, 4), 0.2);
    x = cop_graph_relu6(b->g, "b", x);
    x = cop_graph_leaky_relu(b->g, "d", x, 0.3);
    return cop_graph_relu(b->g, "e", x);
}
static int chain_behind_pool(builder *b) {
    int x = pool(b, "p", cop_graph_relu(b->g, "a", conv(b, "c", b->input, 4)));
    x = cop_graph_relu6(b->g, "b", x);
    return cop_graph_leaky_relu(b->g, "d", x, 0.3);
}
static int twice_the_same(builder *b) {
    int x = conv(b, "c", b->input, 4);
    return cop_graph_relu(b->g, "r", cop_graph_add(b->g, "s", x, x));
}
static int twice_the_same_activated(builder *b) {
    int x = cop_graph_relu(b->g, "a", conv(b, "c", b->input, 4));
    return cop_graph_add(b->g, "s", x, x);
}
static int two_kept(builder *b) { /* both relus' backward reads their values */
    int x = cop_graph_relu(b->g, "a", conv(b, "c", b->input, 4)),
        y = cop_graph_relu6(b->g, "b", conv(b, "d", b->input, 4));
    return cop_graph_add(b->g, "s", x, y);
}
static int two_shared(builder *b) { /* both summands have another reader */
    int x = conv(b, "c", b->input, 4), y = conv(b, "d", x, 4);
    int s = cop_graph_add(b->g, "s", y, x), t = conv(b, "e", y, 4);
    return cop_graph_relu(b->g, "r", cop_graph_add(b->g, "t", t, s));
}
static int residual_chain(builder *b) {
    int x = cop_graph_relu(b->g, "a", conv(b, "c", b->input, 4));
    for (int i = 0; i < 3; i++) {
        const char *name[3][4] = {{"c1", "d1", "s1", "r1"}, {"c2", "d2", "s2", "r2"}, {"c3", "d3", "s3", "r3"}};
        int y = conv(b, name[i][1], cop_graph_relu(b->g, name[i][3], conv(b, name[i][0], x, 4)), 4);
        x = cop_graph_add(b->g, name[i][2], i % 2 ? x : y, i % 2 ? y : x);
    }
    return cop_graph_relu(b->g, "end", x);
}
static int sum_with_images(builder *b) { /* one summand has no parameters before it */
    return cop_graph_relu(b->g, "r", cop_graph_add(b->g, "s", conv(b, "c", b->input, 3), b->input));
}
static int relu_then_dropout_chain(builder *b) {
    int x = cop_graph_relu(b->g, "a", conv(b, "c", b->input, 4));
    x = cop_graph_leaky_relu(b->g, "l", cop_graph_dropout(b->g, "drop", x, 0.375), 0.3);
    return cop_graph_dropout(b->g, "drop2", x, 0.25);
}
static int pool_then_dropout(builder *b) {
    int x = pool(b, "p", cop_graph_relu(b->g, "a", conv(b, "c", b->input, 4)));
    return cop_graph_relu6(b->g, "b", cop_graph_dropout(b->g, "drop", x, 0.375));
}
static int shared_then_dropout(builder *b) { /* dropout must not touch what the other branch reads */
    int x = cop_graph_relu(b->g, "a", conv(b, "c", b->input, 4));
    int y = conv(b, "d", cop_graph_dropout(b->g, "drop", x, 0.375), 4);
    return cop_graph_add(b->g, "s", y, x);
}
/* Three values that a backward reads and a sum might overwrite: of an activation on its own, a dropout, a pool. */
static int activation_in_sum(builder *b) {
    int x = conv(b, "c", b->input, 4), a = cop_graph_leaky_relu(b->g, "a", x, 0.2);
    return cop_graph_add(b->g, "s", a, conv(b, "d", x, 4));
}
static int dropout_in_sum(builder *b) {
    int x = cop_graph_dropout(b->g, "drop", cop_graph_relu(b->g, "a", conv(b, "c", b->input, 4)), 0.375);
    return cop_graph_add(b->g, "s", x, conv(b, "d", b->input, 4));
}
static int pool_in_sum(builder *b) {
    int x = pool(b, "p", cop_graph_relu(b->g, "a", conv(b, "c", b->input, 4)));
    return cop_graph_add(b->g, "s", x, pool(b, "q", conv(b, "d", b->input, 4)));
}
static int dropout_of_zero(builder *b) { /* share 0 is nothing at all, also between two ops that work in place */
    int x = cop_graph_relu(b->g, "a", conv(b, "c", b->input, 4));
    x = cop_graph_dropout(b->g, "drop", x, 0);
    return cop_graph_leaky_relu(b->g, "l", x, 0.1);
}

/* The images themselves under every op, of three channels and of one: their memory is the caller's. */
static int on_images(builder *b) {
    int x = cop_graph_leaky_relu(b->g, "a", b->input, 0.2), y = cop_graph_batchnorm(b->g, "n", b->input, 1e-3);
    const int all[] = {x, y, b->input, cop_graph_relu(b->g, "r", cop_graph_add(b->g, "s", b->input, y))};
    x = conv(b, "c", cop_graph_concat(b->g, "all", all, 4), 4);
    const int pooled[] = {pool(b, "p", b->input), pool(b, "q", x)};
    return cop_graph_concat(b->g, "both", pooled, 2);
}
static int dropped_images(builder *b) {
    return conv(b, "c", cop_graph_relu(b->g, "a", cop_graph_dropout(b->g, "drop", b->input, 0.25)), 4);
}

static const struct {
    int (*make)(builder *);
    int64_t channels; /* of the images */
} shapes[] = {
    {act_chain, 3},         {chain_behind_pool, 3},   {twice_the_same, 3},  {twice_the_same_activated, 3},
    {two_kept, 3},          {two_shared, 3},          {residual_chain, 3},  {sum_with_images, 3},
    {pool_then_dropout, 3}, {shared_then_dropout, 3}, {dropout_of_zero, 3}, {relu_then_dropout_chain, 3},
    {activation_in_sum, 3}, {dropout_in_sum, 3},      {pool_in_sum, 3},     {on_images, 3},
    {on_images, 1},         {dropped_images, 3},      {dropped_images, 1},
};

static cop_net *build(cop_ctx *ctx, int (*shape)(builder *), int64_t channels) {
    builder b;
    test_ok(ctx, cop_graph_create(ctx, &b.g));
    b.input = cop_graph_input(b.g, "input", channels, 6, 6);
    int x = cop_graph_flatten(b.g, "flatten", shape(&b));
    cop_graph_softmax(b.g, "softmax", cop_graph_dense(b.g, "dense", x, 4, 1));
    cop_net *net;
    test_ok(ctx, cop_graph_build(b.g, 2, &net));
    test_net_fill(net, 2);
    return net;
}

/* A dropout's mask of the plan's next step: the kernel on ones, through the layout the plan keeps the value in. */
static uint8_t *mask_of(copi_plan *plan, int node, int64_t steps) {
    const plan_mem *m = &plan->mems[plan->values[plan->node[node].value].mem];
    const copi_node *n = &plan->net->node[node];
    int64_t elements = (int64_t)dn_md_bytes(m->md) / 4, count = plan->options.batch * ref_count(plan->net, node);
    float *ones = malloc((size_t)elements * sizeof *ones), *plain = malloc((size_t)count * sizeof *plain);
    uint8_t *keep = malloc((size_t)count);
    assert_true(ones && plain && keep);
    for (int64_t i = 0; i < elements; i++) ones[i] = 1;
    uint32_t random[4];
    copi_philox(plan->options.seed, COPI_STREAM_DROPOUT, (uint64_t)steps, random);
    uint64_t key = ((uint64_t)random[0] << 32 | random[1]) + (uint64_t)node * 0x9E3779B97F4A7C15u;
    plan->kernels->f32.dropout(ones, ones, elements, 1, (uint32_t)(n->u.dropout.share * 65536 + 0.5), key, 0);
    dn_md flat = {0};
    int64_t dims[4] = {plan->options.batch, n->shape[0], n->shape[1], n->shape[2]};
    assert_int_equal(dn_md_make(&flat, n->rank + 1, dims, dnnl_f32, n->rank == 1 ? dnnl_ab : dnnl_abcd),
                     dnnl_success);
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t reorder;
    dnnl_memory_t from, to;
    assert_int_equal(dn_reorder(&pd, plan->engine, m->md, &flat, NULL), dnnl_success);
    assert_int_equal(dnnl_primitive_create(&reorder, pd), dnnl_success);
    assert_int_equal(dnnl_memory_create(&from, dn_view(m->md), plan->engine, ones), dnnl_success);
    assert_int_equal(dnnl_memory_create(&to, dn_view(&flat), plan->engine, plain), dnnl_success);
    const dnnl_exec_arg_t arg[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    assert_int_equal(dnnl_primitive_execute(reorder, plan->stream, 2, arg), dnnl_success);
    for (int64_t i = 0; i < count; i++) keep[i] = plain[i] != 0;
    dnnl_memory_destroy(from);
    dnnl_memory_destroy(to);
    dnnl_primitive_destroy(reorder);
    dnnl_primitive_desc_destroy(pd);
    dn_md_free(&flat);
    free(ones);
    free(plain);
    return keep;
}

/* The step's gradient against the reference with the same units dropped. */
static void check_dropout(const subject *s, verdict *v) {
    const cop_net *net = s->net;
    copi_plan *plan = plan_for(s, true);
    uint8_t **keep = calloc((size_t)net->nodes, sizeof *keep);
    assert_non_null(keep);
    for (int i = 0; i < net->nodes; i++)
        if (net->node[i].op == COPI_OP_DROPOUT && net->node[i].u.dropout.share > 0) keep[i] = mask_of(plan, i, 0);
    subject masked = *s;
    masked.keep = (const uint8_t *const *)keep;
    yard y = yard_make(&masked, true);
    copi_step step = {.x = s->x, .label = s->label, .gradient_only = true};
    double loss;
    int64_t correct;
    test_ok(s->ctx, copi_plan_step(plan, &step, &loss, &correct));
    judge_gradients(&y, plan, net, s->ctx, v);
    for (int i = 0; i < net->nodes; i++) free(keep[i]);
    free(keep);
    yard_free(&y);
    copi_plan_destroy(plan);
}

static void check(cop_precision precision, bool training_dropout) {
    cop_ctx *ctx = ctx_of_threads(1);
    for (size_t i = 0; i < COPI_COUNT(shapes); i++) {
        cop_net *net = build(ctx, shapes[i].make, shapes[i].channels);
        bool drops = false, tried = false;
        for (int k = 0; k < net->nodes; k++)
            drops |= net->node[k].op == COPI_OP_DROPOUT && net->node[k].u.dropout.share > 0;
        for (uint64_t seed = 1; seed < 20 && !tried; seed++) {
            subject s = subject_make(ctx, net, 5, precision, seed);
            verdict v = {0};
            tried = precision == COP_PRECISION_BF16 || kink_distance(&s) > 2e-6;
            if (tried && !training_dropout) judge_inference(&s, &v);
            if (tried && !drops) judge_training(&s, &v);
            if (tried && drops && training_dropout) check_dropout(&s, &v);
            if (tried && !(v.ratio <= FACTOR)) fail_msg("shape %zu, ratio %.2f: %s", i, v.ratio, v.what);
            subject_free(&s);
        }
        assert_true(tried);
        cop_net_destroy(net);
    }
    cop_ctx_destroy(ctx);
}

static void joins_f32(void **state) {
    (void)state;
    check(COP_PRECISION_F32, false);
}
static void joins_bf16(void **state) {
    (void)state;
    if (!copi_engine_bf16()) skip();
    check(COP_PRECISION_BF16, false);
}
static void dropout(void **state) {
    (void)state;
    check(COP_PRECISION_F32, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(joins_f32), cmocka_unit_test(joins_bf16),
                                       cmocka_unit_test(dropout)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
