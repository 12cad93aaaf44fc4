/* Revival: which weights are exchanged, against a search by hand, and gradual pruning with it. */
#include "../train/little.h"
#include "method/method.h"

#include <stdlib.h>

static cop_net *masked_net(cop_ctx *ctx) {
    cop_net *net = little_net(ctx, LITTLE_NORM, 1);
    for (int i = 0; i < net->params; i++) {
        copi_param *p = &net->param[i];
        if (p->kind != COPI_PARAM_WEIGHT || !strncmp(p->name, "conv1", 5)) continue; /* one stays whole */
        uint8_t *mask = copi_param_mask(net, p);
        assert_non_null(mask);
        for (int64_t k = 0; k < p->count; k++) mask[k] = k * 7 % 5 > 1;
    }
    copi_net_apply_masks(net);
    return net;
}

/* The weakest living weights and the zeros of the largest gradient, one by one, the lower index first. */
static void expect(const copi_param *p, const float *g, int64_t n, uint8_t *mask) {
    memcpy(mask, p->mask, (size_t)p->count);
    for (int64_t m = 0; m < n; m++) {
        int64_t weak = -1, strong = -1;
        for (int64_t k = 0; k < p->count; k++) {
            if (p->mask[k] && mask[k] && (weak < 0 || fabsf(p->data[k]) < fabsf(p->data[weak]))) weak = k;
            if (!p->mask[k] && !mask[k] && (strong < 0 || fabsf(g[k]) > fabsf(g[strong]))) strong = k;
        }
        mask[weak] = 0;
        mask[strong] = 1;
    }
}

static void the_weakest_make_room(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_data *data = little_data(ctx);
    cop_net *net = masked_net(ctx);
    copi_plan *plan;
    copi_loader *loader;
    test_ok(ctx, copi_plan_create(ctx, net,
                                  &(copi_plan_options){.batch = 32, .training = true, .precision = COP_PRECISION_F32},
                                  &plan));
    copi_plan_set_optimizer(plan, &(cop_recipe){.optimizer = COP_OPTIMIZER_SGD});
    test_ok(ctx,
            copi_loader_create(
                ctx, data, &(copi_loader_options){.split = COP_SPLIT_TRAIN, .batch = 32, .shuffle = true, .steps = 1},
                &loader));
    const float *x;
    const int32_t *label;
    int64_t n, correct;
    double loss;
    test_ok(ctx, copi_loader_next(loader, &x, &label, &n));
    const copi_step step = {.x = x, .label = label, .rate = 0.01};
    test_ok(ctx, copi_plan_step(plan, &step, &loss, &correct));
    test_ok(ctx, copi_plan_pull(plan, net));
    cop_net *before = little_clone(net);
    test_ok(ctx, copi_revive(net, 0.25, plan));
    int exchanged = 0;
    for (int i = 0; i < net->params; i++) {
        const copi_param *p = &net->param[i], *was = &before->param[i];
        if (!was->mask) {
            assert_null(p->mask);
            assert_memory_equal(p->data, was->data, (size_t)p->count * sizeof *p->data);
            continue;
        }
        float *g = calloc((size_t)p->count, sizeof *g);
        uint8_t *mask = malloc((size_t)p->count);
        assert_true(g && mask);
        test_ok(ctx, copi_plan_gradient(plan, i, g));
        int64_t alive = 0;
        for (int64_t k = 0; k < p->count; k++) alive += was->mask[k];
        expect(was, g, alive / 4, mask);
        assert_memory_equal(p->mask, mask, (size_t)p->count);
        for (int64_t k = 0; k < p->count; k++) {
            assert_true(p->data[k] == (p->mask[k] && was->mask[k] ? was->data[k] : 0));
            exchanged += p->mask[k] && !was->mask[k];
        }
        free(g);
        free(mask);
    }
    assert_true(exchanged > 0);
    cop_net_destroy(before);
    cop_net_destroy(net);
    copi_loader_destroy(loader);
    copi_plan_destroy(plan);
    cop_data_destroy(data);
    test_ctx_destroy(ctx);
}

/* Gradual pruning with revival ends at the same number of zeros, elsewhere, and repeats to the byte. */
static void gradual_with_revival(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_data *data = little_data(ctx);
    cop_net *dense = little_net(ctx, 0, 1), *net[3];
    cop_method_params p = cop_method_params_default();
    p.method = "lamp";
    p.scope = "global";
    p.pace = COP_PACE_GRADUAL;
    p.rounds = 1;
    p.sparsity = 0.8;
    p.tune = little_recipe(20);
    cop_net_info info[3];
    for (int i = 0; i < 3; i++) {
        p.gradual.revive = i ? 0.3 : 0;
        test_ok(ctx, cop_method_run(dense, data, &p, NULL, NULL, &net[i]));
        cop_net_get_info(net[i], &info[i]);
    }
    assert_int_equal(info[0].zeros, info[1].zeros);
    little_same(net[1], net[2]);
    const copi_param *a = &net[0]->param[copi_net_find_param(net[0], "dense1.weight")],
                     *b = &net[1]->param[copi_net_find_param(net[1], "dense1.weight")];
    int64_t apart = 0;
    for (int64_t k = 0; k < a->count; k++) apart += (a->data[k] != 0) != (b->data[k] != 0);
    assert_true(apart > 0);
    p.gradual.revive = 1;
    test_fails(ctx, cop_method_run(dense, data, &p, NULL, NULL, NULL), COP_E_RANGE,
               "revive is 1; expected a number in [0,1)");
    for (int i = 0; i < 3; i++) cop_net_destroy(net[i]);
    cop_net_destroy(dense);
    cop_data_destroy(data);
    test_ctx_destroy(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_weakest_make_room),
                                       cmocka_unit_test(gradual_with_revival)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
