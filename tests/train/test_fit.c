/* The training loop: it learns, repeats to the byte, keeps zeros, tells the truth about itself, stops when told. */
#include "little.h"

static void it_learns(void **state) {
    (void)state;
    little_hooks hooks;
    cop_ctx *ctx = little_ctx(&hooks);
    cop_data *data = little_data(ctx);
    cop_net *net = little_net(ctx, LITTLE_NORM | LITTLE_DROPOUT, 1);
    cop_recipe r = little_recipe(8.5);
    r.evaluate_every = 2;
    cop_history h;
    test_ok(ctx, cop_train(net, data, &r, &h));
    assert_int_equal(h.count, 9); /* 8 whole epochs and a half */
    assert_int_equal(h.steps, 85);
    assert_int_equal(h.images, 85 * 32);
    cop_net_info info;
    cop_net_get_info(net, &info);
    test_near(h.macs, 3.0 * (double)info.macs * 85 * 32, 1e-12, 0);
    assert_int_equal(h.resumed, 0);
    for (int i = 0; i < h.count; i++) {
        assert_int_equal(h.epoch[i].epoch, i + 1);
        bool due = i == 8 || i % 2 == 1;
        assert_int_equal(due, !isnan(h.epoch[i].accuracy_validation));
        assert_true(i == 0 || h.epoch[i].seconds >= h.epoch[i - 1].seconds);
        test_near(h.epoch[i].rate, cop_schedule_rate(&r, i < 8 ? 10 * i + 9 : 84, 85, 10), 1e-15, 0);
    }
    assert_true(h.epoch[8].loss < 0.5 * h.epoch[0].loss);
    cop_eval test, validation;
    test_ok(ctx, cop_evaluate(net, data, COP_SPLIT_TEST, NULL, &test));
    test_ok(ctx, cop_evaluate(net, data, COP_SPLIT_VALIDATION, NULL, &validation));
    assert_true(test.accuracy > 0.8); /* chance is .25 */
    assert_true(validation.accuracy == h.epoch[8].accuracy_validation);
    assert_int_equal(info.normalized, 1);
    assert_true(info.mean[0] == data->info.mean[0] && info.std[0] == data->info.std[0]);
    assert_string_equal(info.class_name[3], data->info.class_name[3]);
    assert_non_null(strstr(info.provenance, "train: 85 steps of 32 images, adamw"));
    assert_true(hooks.reports > 0 && hooks.finished > 0);
    cop_history_clear(&h);
    cop_net_destroy(net);
    cop_data_destroy(data);
    cop_ctx_destroy(ctx);
}

static void same_seed_same_bytes(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_data *data = little_data(ctx);
    cop_net *net[3];
    for (int i = 0; i < 3; i++) {
        net[i] = little_net(ctx, LITTLE_NORM | LITTLE_DROPOUT, 1);
        cop_recipe r = little_recipe(2);
        r.flip = 1;
        r.shift = 1;
        r.seed = i < 2 ? 7 : 8;
        test_ok(ctx, cop_train(net[i], data, &r, NULL));
    }
    little_same(net[0], net[1]);
    assert_memory_not_equal(net[0]->block, net[2]->block, net[0]->block_count * sizeof(float));
    for (int i = 0; i < 3; i++) cop_net_destroy(net[i]);
    cop_data_destroy(data);
    test_ctx_destroy(ctx);
}

/* dropout 0 trains as a net without dropout layers does, and leaves the net's own shares alone. */
static void dropout_can_rest(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_data *data = little_data(ctx);
    cop_net *net[3]; /* with shares of 0; with their own, at rest; with their own */
    for (int i = 0; i < 3; i++) {
        net[i] = little_net(ctx, LITTLE_DROPOUT, 1);
        copi_scale_dropout(net[i], i > 0);
        cop_recipe r = little_recipe(2);
        r.dropout = i != 1;
        test_ok(ctx, cop_train(net[i], data, &r, NULL));
    }
    little_same(net[0], net[1]);
    assert_memory_not_equal(net[1]->block, net[2]->block, net[1]->block_count * sizeof(float));
    int drop = copi_net_find(net[1], "drop");
    assert_true(net[1]->node[drop].u.dropout.share == net[2]->node[drop].u.dropout.share);
    for (int i = 0; i < 3; i++) cop_net_destroy(net[i]);
    cop_data_destroy(data);
    test_ctx_destroy(ctx);
}

/* The net that comes out is the average, which validation measured too; a run without a step gives what it got. */
static void the_average_comes_out(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_data *data = little_data(ctx);
    cop_net *net[3];
    for (int i = 0; i < 3; i++) {
        net[i] = little_net(ctx, LITTLE_NORM | LITTLE_DROPOUT, 1);
        cop_recipe r = little_recipe(i < 2 ? 6 : 0);
        r.average = i ? 0.9 : 0;
        cop_history h;
        test_ok(ctx, cop_train(net[i], data, &r, &h));
        cop_eval validation;
        test_ok(ctx, cop_evaluate(net[i], data, COP_SPLIT_VALIDATION, NULL, &validation));
        if (i < 2) assert_true(validation.loss == h.epoch[5].loss_validation);
        cop_history_clear(&h);
    }
    assert_memory_not_equal(net[0]->block, net[1]->block, net[0]->block_count * sizeof(float));
    cop_net *fresh = little_net(ctx, LITTLE_NORM | LITTLE_DROPOUT, 1), *settled = little_clone(net[1]);
    little_same(net[2], fresh);
    test_ok(ctx, copi_recalibrate(settled, data, COPI_SETTLE_IMAGES,
                                  true)); /* batch-norm's statistics are the average's */
    little_same(net[1], settled);
    cop_net_destroy(settled);
    cop_net_destroy(fresh);
    for (int i = 0; i < 3; i++) cop_net_destroy(net[i]);
    cop_data_destroy(data);
    test_ctx_destroy(ctx);
}

static const struct {
    cop_optimizer kind;
    double rate;
} optimizers[] = {{COP_OPTIMIZER_SGD, 0.02}, {COP_OPTIMIZER_ADAM, 2e-3}, {COP_OPTIMIZER_ADAMW, 2e-3}};

/* 1,000 steps with momentum, decay and both penalties; a zero is a zero, of either sign never another bit. */
static void zeros_stay_zero(void **state) {
    (void)state;
    for (size_t o = 0; o < COPI_COUNT(optimizers); o++) {
        little_hooks hooks;
        cop_ctx *ctx = little_ctx(&hooks);
        cop_data *data = little_data_at(ctx, 160, 20, 0, 1);
        cop_net *net = little_net(ctx, LITTLE_NORM, 1);
        int64_t masked = 0, moved = 0;
        for (int i = 0; i < net->params; i++) {
            copi_param *p = &net->param[i];
            if (p->kind > COPI_PARAM_SHIFT) continue;
            uint8_t *mask = copi_param_mask(net, p);
            for (int64_t k = 0; k < p->count; k++) masked += !(mask[k] = k % 3 != 1);
        }
        cop_recipe r = little_recipe(50); /* of 20 steps */
        r.batch = 8;
        r.optimizer = optimizers[o].kind;
        r.rate = optimizers[o].rate;
        r.decay = 1e-2;
        r.l1 = 1e-5;
        r.l2 = 1e-5;
        r.l2_conv = 1e-5;
        cop_net *start = little_clone(net);
        cop_history h;
        test_ok(ctx, cop_train(net, data, &r, &h));
        assert_int_equal(h.steps, 1000);
        for (int i = 0; i < net->params; i++) {
            const copi_param *p = &net->param[i];
            for (int64_t k = 0; k < p->count; k++) {
                bool held = p->mask && !p->mask[k];
                if (held) {
                    assert_true(p->data[k] == 0);
                    masked--;
                } else {
                    moved += p->data[k] != start->param[i].data[k];
                }
            }
        }
        assert_int_equal(masked, 0);
        assert_true(moved > 1000);
        cop_history_clear(&h);
        cop_net_destroy(start);
        cop_net_destroy(net);
        cop_data_destroy(data);
        cop_ctx_destroy(ctx);
    }
}

static void cancelled_after_a_step(void **state) {
    (void)state;
    little_hooks hooks;
    cop_ctx *ctx = little_ctx(&hooks);
    cop_data *data = little_data(ctx);
    cop_net *net = little_net(ctx, 0, 1), *start = little_clone(net);
    cop_recipe r = little_recipe(3);
    cop_history h;
    hooks.cancel_at = hooks.polls + 13;
    test_fails(ctx, cop_train(net, data, &r, &h), COP_E_CANCELLED, "after step 13 of 30");
    assert_int_equal(h.steps, 13);
    assert_int_equal(h.count, 1);
    assert_true(net->normalized); /* what was reached can be evaluated and saved */
    assert_memory_not_equal(net->block, start->block, net->block_count * sizeof(float));
    cop_history_clear(&h);
    cop_net_destroy(start);
    cop_net_destroy(net);
    cop_data_destroy(data);
    cop_ctx_destroy(ctx);
}

static void diverged_says_so(void **state) {
    (void)state;
    little_hooks hooks;
    cop_ctx *ctx = little_ctx(&hooks);
    cop_data *data = little_data(ctx);
    cop_net *net = little_net(ctx, 0, 1);
    cop_recipe r = little_recipe(3);
    r.optimizer = COP_OPTIMIZER_SGD;
    r.schedule = COP_SCHEDULE_CONSTANT;
    r.rate = 900;
    cop_history h;
    test_fails(ctx, cop_train(net, data, &r, &h), COP_E_DIVERGED, NULL);
    assert_true(h.steps < 30);
    cop_history_clear(&h);
    cop_net_destroy(net);
    /* the loss of the last step is finite, what it leaves is not */
    net = little_net(ctx, 0, 1);
    net->block[0] = INFINITY;
    r.epochs = 0.1;
    r.rate = 0;
    test_fails(ctx, cop_train(net, data, &r, NULL), COP_E_DIVERGED, NULL);
    cop_net_destroy(net);
    cop_data_destroy(data);
    cop_ctx_destroy(ctx);
}

static void limits(void **state) {
    (void)state;
    little_hooks hooks;
    cop_ctx *ctx = little_ctx(&hooks);
    cop_data *data = little_data(ctx);
    cop_net *net = little_net(ctx, 0, 1), *start = little_clone(net);
    cop_recipe r = little_recipe(0);
    cop_history h;
    test_ok(ctx, cop_train(net, data, &r, &h)); /* no epochs: no step, and nothing moves */
    assert_int_equal(h.count + h.steps, 0);
    little_same(net, start);
    r.epochs = 50;
    r.max_seconds = 1e-9;
    test_ok(ctx, cop_train(net, data, &r, &h)); /* the epoch that passes the limit is the last */
    assert_int_equal(h.count, 1);
    assert_false(isnan(h.epoch[0].accuracy_validation));
    cop_history_clear(&h);
    char dir[256], path[300];
    test_dir_make(dir);
    snprintf(path, sizeof path, "%s/checkpoint", dir);
    r.checkpoint = path;
    r.resume = 1;
    test_ok(ctx, copi_net_copy_params(net, start));
    for (int turn = 0; turn < 3; turn++) { /* what ended goes on no further */
        test_ok(ctx, cop_train(net, data, &r, &h));
        assert_int_equal(h.count, 1);
        cop_history_clear(&h);
    }
    test_dir_remove(dir);
    r = little_recipe(1);
    r.batch = 500;
    test_fails(ctx, cop_train(net, data, &r, NULL), COP_E_RANGE, "has only 320 training images");
    r.batch = -1;
    test_fails(ctx, cop_train(net, data, &r, NULL), COP_E_RANGE, "batch is -1");
    cop_net_destroy(start);
    cop_net_destroy(net);
    cop_data_destroy(data);
    cop_ctx_destroy(ctx);
}

static void own_normalization_and_classes_are_kept(void **state) {
    (void)state;
    little_hooks hooks;
    cop_ctx *ctx = little_ctx(&hooks);
    cop_data *data = little_data(ctx);
    cop_net *net = little_net(ctx, 0, 1);
    const char *const name[] = {"flat", "tall", "up", "down"};
    const double mean[] = {0.1}, std[] = {0.7};
    test_ok(ctx, copi_net_set_classes(net, name, 4));
    test_ok(ctx, copi_net_set_normalization(net, mean, std));
    cop_recipe r = little_recipe(1);
    test_ok(ctx, cop_train(net, data, &r, NULL));
    assert_true(net->mean[0] == 0.1 && net->std[0] == 0.7);
    assert_string_equal(net->class_name[2], "up");
    cop_net_destroy(net);
    cop_data_destroy(data);
    cop_ctx_destroy(ctx);
}

/* A channel that never changes becomes 0, in training as in evaluation. */
static void a_constant_channel(void **state) {
    (void)state;
    little_hooks hooks;
    cop_ctx *ctx = little_ctx(&hooks);
    cop_data *data = little_data(ctx);
    cop_net *net = little_net(ctx, 0, 1);
    cop_recipe r = little_recipe(0.5);
    data->info.mean[0] = 0.5;
    data->info.std[0] = 0;
    test_ok(ctx, cop_train(net, data, &r, NULL));
    assert_true(net->mean[0] == 0.5 && net->std[0] == 1);
    cop_net_destroy(net);
    cop_data_destroy(data);
    cop_ctx_destroy(ctx);
}

/* From a teacher that is the net itself, at temperature T and share 1, there is nothing to learn: the loss is 0. */
static void distillation(void **state) {
    (void)state;
    little_hooks hooks;
    cop_ctx *ctx = little_ctx(&hooks);
    cop_data *data = little_data(ctx);
    cop_net *net = little_net(ctx, 0, 1), *teacher = little_clone(net), *other = little_net(ctx, 0, 2);
    cop_recipe r = little_recipe(1);
    r.rate = 0;
    r.decay = 0;
    r.teacher = teacher;
    r.distil_share = 1;
    r.distil_temperature = 3;
    cop_history h;
    test_ok(ctx, cop_train(net, data, &r, &h));
    test_near(h.epoch[0].loss, 0, 0, 1e-6);
    little_same(net, teacher);
    cop_history_clear(&h);
    r.rate = 5e-3; /* and another net comes closer to it */
    r.epochs = 10;
    test_ok(ctx, cop_train(other, data, &r, &h));
    assert_true(h.epoch[9].loss < 0.2 * h.epoch[0].loss);
    cop_history_clear(&h);
    const double mean[] = {9}, std[] = {1};
    test_ok(ctx, copi_net_set_normalization(teacher, mean, std));
    test_fails(ctx, cop_train(net, data, &r, NULL), COP_E_REFUSED, "same normalization");
    cop_net *wide;
    test_ok(ctx, cop_net_preset(ctx, "lenet-5", 1, 28, 28, 4, 1, &wide));
    r.teacher = wide;
    test_fails(ctx, cop_train(net, data, &r, NULL), COP_E_SHAPE, "teacher: ");
    r.distil_share = 0; /* not distilling, so not looked at */
    r.epochs = 0.1;
    test_ok(ctx, cop_train(net, data, &r, NULL));
    cop_net_destroy(wide);
    cop_net_destroy(other);
    cop_net_destroy(teacher);
    cop_net_destroy(net);
    cop_data_destroy(data);
    cop_ctx_destroy(ctx);
}

/* The reference study's penalty: with loss gradients too small to matter, each step shrinks conv kernels by 2 rate
 * l2. */
static void penalties_reach_the_optimizer(void **state) {
    (void)state;
    little_hooks hooks;
    cop_ctx *ctx = little_ctx(&hooks);
    cop_data *data = little_data(ctx);
    cop_net *net = little_net(ctx, 0, 1), *plain = little_clone(net);
    cop_recipe r = little_recipe(0.1); /* one step */
    r.optimizer = COP_OPTIMIZER_SGD;
    r.schedule = COP_SCHEDULE_CONSTANT;
    r.momentum = 0;
    r.decay = 0;
    r.rate = 0.5;
    cop_net *start = little_clone(net);
    test_ok(ctx, cop_train(plain, data, &r, NULL));
    r.l1 = 0.01;
    r.l2 = 0.02;
    r.l2_conv = 0.03;
    test_ok(ctx, cop_train(net, data, &r, NULL));
    for (int i = 0; i < net->params; i++) {
        const copi_param *p = &net->param[i];
        bool kernel = p->kind == COPI_PARAM_WEIGHT, conv = kernel && net->node[p->node].op == COPI_OP_CONV;
        for (int64_t k = 0; k < p->count; k++) {
            double w = start->param[i].data[k], sign = (w > 0) - (w < 0);
            double penalty = kernel ? 0.01 * sign + 2 * 0.02 * w + (conv ? 2 * 0.03 * w : 0) : 0;
            test_near(p->data[k], plain->param[i].data[k] - 0.5 * penalty, 1e-5, 1e-6);
        }
    }
    cop_net_destroy(start);
    cop_net_destroy(plain);
    cop_net_destroy(net);
    cop_data_destroy(data);
    cop_ctx_destroy(ctx);
}

static void histories_join(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_history all = {.ctx = ctx}, h[2];
    for (int i = 0; i < 2; i++) {
        h[i] = (cop_history){.ctx = ctx, .count = 2, .images = 10, .steps = 4, .seconds = 3, .macs = 100};
        h[i].epoch = copi_alloc(ctx, 2, sizeof(cop_epoch));
        h[i].epoch[0] = (cop_epoch){.epoch = 1, .seconds = 1};
        h[i].epoch[1] = (cop_epoch){.epoch = 2, .seconds = 3};
        test_ok(ctx, copi_history_append(&all, &h[i]));
        assert_null(h[i].epoch);
    }
    assert_int_equal(all.count, 4);
    for (int i = 0; i < 4; i++) assert_int_equal(all.epoch[i].epoch, i + 1);
    assert_true(all.epoch[2].seconds == 4 && all.epoch[3].seconds == 6 && all.seconds == 6 && all.macs == 200);
    cop_history_clear(&all);
    cop_history_clear(&all);
    test_ctx_destroy(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_learns),
        cmocka_unit_test(same_seed_same_bytes),
        cmocka_unit_test(dropout_can_rest),
        cmocka_unit_test(the_average_comes_out),
        cmocka_unit_test(zeros_stay_zero),
        cmocka_unit_test(cancelled_after_a_step),
        cmocka_unit_test(diverged_says_so),
        cmocka_unit_test(limits),
        cmocka_unit_test(own_normalization_and_classes_are_kept),
        cmocka_unit_test(a_constant_channel),
        cmocka_unit_test(distillation),
        cmocka_unit_test(penalties_reach_the_optimizer),
        cmocka_unit_test(histories_join),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
