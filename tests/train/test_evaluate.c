/* Evaluation, recalibration and gradients, held to the double-precision reference. */
#include "little.h"

#include "nets.h"
#include "reference.h"

#include <stdlib.h>

/* Every image of a split as the loader gives it to an evaluation. The caller frees *x and *label. */
static int64_t all_images(const cop_data *data, const copi_loader_options *options, double **x, int32_t **label) {
    cop_ctx *ctx = data->ctx;
    copi_loader *loader;
    const float *bx;
    const int32_t *bl;
    int64_t n, total = 0;
    enum { IMAGE = LITTLE_SIDE * LITTLE_SIDE };
    *x = malloc(1000 * IMAGE * sizeof **x);
    *label = malloc(1000 * sizeof **label);
    assert_true(*x && *label);
    test_ok(ctx, copi_loader_create(ctx, data, options, &loader));
    for (;;) {
        test_ok(ctx, copi_loader_next(loader, &bx, &bl, &n));
        if (!n) break;
        for (int64_t i = 0; i < n * IMAGE; i++) (*x)[total * IMAGE + i] = (double)bx[i];
        memcpy(*label + total, bl, (size_t)n * sizeof *bl);
        total += n;
    }
    copi_loader_destroy(loader);
    return total;
}

static void matches_the_reference(void **state) {
    (void)state;
    little_hooks hooks;
    cop_ctx *ctx = little_ctx(&hooks);
    cop_data *data = little_data(ctx);
    cop_net *net = little_net(ctx, LITTLE_NORM | LITTLE_DROPOUT, 3);
    test_net_fill(net, 4);
    double *x;
    int32_t *label;
    int64_t n = all_images(data, &(copi_loader_options){.split = COP_SPLIT_TEST, .batch = 40}, &x, &label);
    assert_int_equal(n, 150);
    ref_run *r = ref_create(net, n);
    ref_forward(r, x);
    double want_loss = ref_loss(r, label, NULL);
    int64_t want_correct = 0, want_confusion[LITTLE_CLASSES * LITTLE_CLASSES] = {0};
    for (int64_t i = 0; i < n; i++) {
        const double *z = r->out[r->logits] + i * LITTLE_CLASSES;
        int best = 0;
        for (int c = 1; c < LITTLE_CLASSES; c++) best = z[c] > z[best] ? c : best;
        want_correct += best == label[i];
        want_confusion[label[i] * LITTLE_CLASSES + best]++;
    }
    int64_t confusion[LITTLE_CLASSES * LITTLE_CLASSES];
    memset(confusion, 7, sizeof confusion);
    cop_eval_options o = cop_eval_options_default();
    o.batch = 64; /* the last batch is a smaller one */
    o.confusion = confusion;
    cop_eval e;
    test_ok(ctx, cop_evaluate(net, data, COP_SPLIT_TEST, &o, &e));
    assert_int_equal(e.images, 150);
    assert_int_equal(e.correct, want_correct);
    assert_memory_equal(confusion, want_confusion, sizeof confusion);
    test_near(e.accuracy, (double)want_correct / 150, 1e-15, 0);
    test_near(e.loss, want_loss, 1e-5, 0); /* f32 sums of up to 128 products, six layers */
    assert_true(hooks.finished > 0);
    ref_destroy(r);
    free(x);
    free(label);
    cop_net_destroy(net);
    cop_data_destroy(data);
    cop_ctx_destroy(ctx);
}

static void own_normalization_comes_first(void **state) {
    (void)state;
    little_hooks hooks;
    cop_ctx *ctx = little_ctx(&hooks);
    cop_data *data = little_data(ctx);
    cop_net *net = little_net(ctx, 0, 3);
    const double mean[] = {data->info.mean[0] + 0.2}, std[] = {data->info.std[0] * 2};
    cop_eval plain, same, other;
    test_ok(ctx, cop_evaluate(net, data, COP_SPLIT_VALIDATION, NULL, &plain));
    assert_int_equal(plain.images, 80);
    test_ok(ctx, copi_net_set_normalization(net, data->info.mean, data->info.std));
    test_ok(ctx, cop_evaluate(net, data, COP_SPLIT_VALIDATION, NULL, &same));
    assert_true(same.loss == plain.loss);
    test_ok(ctx, copi_net_set_normalization(net, mean, std));
    test_ok(ctx, cop_evaluate(net, data, COP_SPLIT_VALIDATION, NULL, &other));
    assert_true(other.loss != plain.loss);
    double *x, *y;
    int32_t *label, *same_label;
    int64_t n = all_images(data, &(copi_loader_options){.split = COP_SPLIT_VALIDATION, .batch = 80}, &x, &label);
    for (int64_t i = 0; i < n * LITTLE_SIDE * LITTLE_SIDE; i++)
        x[i] = (x[i] * data->info.std[0] + data->info.mean[0] - mean[0]) / std[0];
    ref_run *r = ref_create(net, n);
    ref_forward(r, x);
    test_near(other.loss, ref_loss(r, label, NULL), 1e-5, 0);
    ref_destroy(r);
    all_images(data, &(copi_loader_options){.split = COP_SPLIT_VALIDATION, .batch = 30}, &y, &same_label);
    assert_memory_equal(label, same_label, 80 * sizeof *label); /* the order does not hang on the batch */
    free(x);
    free(y);
    free(label);
    free(same_label);
    cop_net_destroy(net);
    cop_data_destroy(data);
    cop_ctx_destroy(ctx);
}

static void one_meter_for_many_nets(void **state) {
    (void)state;
    little_hooks hooks;
    cop_ctx *ctx = little_ctx(&hooks);
    cop_data *data = little_data(ctx);
    cop_net *a = little_net(ctx, LITTLE_NORM, 1), *b = little_net(ctx, LITTLE_NORM, 2);
    copi_meter *meter;
    cop_eval ea, eb, again, alone;
    test_ok(ctx, copi_meter_create(a, data, NULL, true, &meter));
    test_ok(ctx, copi_meter_run(meter, a, COP_SPLIT_TEST, &ea));
    test_ok(ctx, copi_meter_run(meter, b, COP_SPLIT_TEST, &eb));
    test_ok(ctx, copi_meter_run(meter, a, COP_SPLIT_TEST, &again));
    test_ok(ctx, cop_evaluate(b, data, COP_SPLIT_TEST, NULL, &alone));
    assert_true(ea.loss == again.loss && eb.loss == alone.loss && ea.loss != eb.loss);
    copi_meter_destroy(meter);
    cop_net_destroy(a);
    cop_net_destroy(b);
    cop_data_destroy(data);
    cop_ctx_destroy(ctx);
}

static void refusals(void **state) {
    (void)state;
    little_hooks hooks;
    cop_ctx *ctx = little_ctx(&hooks);
    cop_data *data = little_data_at(ctx, 200, 100, 0, 1);
    cop_net *net = little_net(ctx, 0, 1), *wide, *more;
    cop_eval e = {.images = 5};
    test_fails(ctx, cop_evaluate(net, data, COP_SPLIT_VALIDATION, NULL, &e), COP_E_NOT_FOUND, "validation");
    assert_int_equal(e.images, 0);
    test_ok(ctx, cop_net_preset(ctx, "lenet-5", 1, 28, 28, 4, 1, &wide));
    test_fails(ctx, cop_evaluate(wide, data, COP_SPLIT_TEST, NULL, &e), COP_E_SHAPE, "[1,28,28]");
    test_ok(ctx, cop_net_preset(ctx, "lenet-300-100", 1, 8, 8, 7, 1, &more));
    test_fails(ctx, cop_evaluate(more, data, COP_SPLIT_TEST, NULL, &e), COP_E_SHAPE, "7 classes");
    cop_eval_options o = cop_eval_options_default();
    o.batch = 0;
    test_fails(ctx, cop_evaluate(net, data, COP_SPLIT_TEST, &o, &e), COP_E_RANGE, "batch is 0");
    o.batch = 10;
    hooks.cancel_at = hooks.polls + 2;
    test_fails(ctx, cop_evaluate(net, data, COP_SPLIT_TEST, &o, &e), COP_E_CANCELLED, "20 of 100");
    cop_net_destroy(net);
    cop_net_destroy(wide);
    cop_net_destroy(more);
    cop_data_destroy(data);
    cop_ctx_destroy(ctx);
}

/* 256 training images, two batches of 128: the mean of both batches' own statistics. */
static void recalibration_is_the_mean_over_batches(void **state) {
    (void)state;
    little_hooks hooks;
    cop_ctx *ctx = little_ctx(&hooks);
    cop_data *data = little_data_at(ctx, 300, 20, 0, 1);
    cop_net *net = little_net(ctx, LITTLE_NORM | LITTLE_DROPOUT, 3), *before;
    test_net_fill(net, 4);
    before = little_clone(net);
    test_ok(ctx, copi_recalibrate(net, data, 256, true));
    double *x;
    int32_t *label;
    int64_t n = all_images(
        data,
        &(copi_loader_options){
            .split = COP_SPLIT_TRAIN, .batch = 128, .shuffle = true, .drop_last = true, .seed = 1, .steps = 2},
        &x, &label);
    assert_int_equal(n, 256);
    ref_run *r[2];
    for (int b = 0; b < 2; b++) {
        r[b] = ref_create(before, 128);
        r[b]->training = true;
        ref_forward(r[b], x + b * 128 * LITTLE_SIDE * LITTLE_SIDE);
    }
    const char *norm[] = {"norm1", "norm2"};
    for (int i = 0; i < 2; i++) {
        int node = copi_net_find(net, norm[i]);
        double m = 128.0 * (double)(net->node[node].shape[1] * net->node[node].shape[2]);
        for (int64_t c = 0; c < net->node[node].shape[0]; c++) {
            double mean = (r[0]->batch_mean[node][c] + r[1]->batch_mean[node][c]) / 2;
            double var = (r[0]->batch_var[node][c] + r[1]->batch_var[node][c]) / 2 * m / (m - 1); /* unbiased */
            test_near(copi_node_slot(net, &net->node[node], COPI_MEAN)->data[c], mean, 1e-5, 1e-5);
            test_near(copi_node_slot(net, &net->node[node], COPI_VAR)->data[c], var, 1e-5, 1e-5);
        }
    }
    for (int i = 0; i < net->params; i++)
        if (net->param[i].kind != COPI_PARAM_MEAN && net->param[i].kind != COPI_PARAM_VAR)
            assert_memory_equal(net->param[i].data, before->param[i].data,
                                (size_t)net->param[i].count * sizeof(float));
    cop_net *plain = little_net(ctx, 0, 3); /* without batch-norm there is nothing to do */
    test_ok(ctx, copi_recalibrate(plain, data, 256, true));
    for (int b = 0; b < 2; b++) ref_destroy(r[b]);
    free(x);
    free(label);
    cop_net_destroy(plain);
    cop_net_destroy(net);
    cop_net_destroy(before);
    cop_data_destroy(data);
    cop_ctx_destroy(ctx);
}

/* Without batch-norm the mean over batches is that over images; squares are those of batches of 16. */
static void mean_gradient_matches_the_reference(void **state) {
    (void)state;
    enum { IMAGES = 256 };
    little_hooks hooks;
    cop_ctx *ctx = little_ctx(&hooks);
    cop_data *data = little_data_at(ctx, 300, 20, 0, 1);
    cop_net *net = little_net(ctx, LITTLE_DROPOUT, 3);
    const copi_node *in = &net->node[0];
    const size_t image = (size_t)(in->shape[0] * in->shape[1] * in->shape[2]);
    for (int squares = 0; squares < 2; squares++) {
        const int64_t batch = squares ? 16 : 128, together = squares ? batch : IMAGES;
        float *g = calloc(net->block_count, sizeof *g);
        double *x, *mean = calloc(net->block_count, sizeof *mean);
        int32_t *label;
        assert_non_null(g);
        assert_non_null(mean);
        test_ok(ctx, copi_mean_gradient(net, data, IMAGES, squares, g));
        all_images(data,
                   &(copi_loader_options){.split = COP_SPLIT_TRAIN,
                                          .batch = batch,
                                          .shuffle = true,
                                          .drop_last = true,
                                          .seed = 1,
                                          .steps = IMAGES / batch},
                   &x, &label);
        ref_run *r = ref_create(net, together);
        for (int64_t at = 0; at < IMAGES; at += together) {
            ref_forward(r, x + (size_t)at * image);
            ref_loss(r, label + at, NULL);
            ref_backward(r);
            for (int i = 0; i < net->params; i++)
                for (int64_t k = 0; k < net->param[i].count; k++) {
                    double d = r->dparam[i][k] * (squares ? r->dparam[i][k] : 1);
                    mean[net->param[i].data - net->block + k] += d * (double)together / IMAGES;
                }
        }
        for (int i = 0; i < net->params; i++) {
            const ptrdiff_t at = net->param[i].data - net->block;
            double scale = 0;
            for (int64_t k = 0; k < net->param[i].count; k++) scale = fmax(scale, fabs(mean[at + k]));
            for (int64_t k = 0; k < net->param[i].count; k++) /* f32 sums over up to 128 x 64 products */
                test_near(g[at + k], mean[at + k], 1e-4, 1e-4 * scale);
        }
        ref_destroy(r);
        free(g);
        free(mean);
        free(x);
        free(label);
    }
    cop_net_destroy(net);
    cop_data_destroy(data);
    cop_ctx_destroy(ctx);
}

static cop_status evaluate_a_little(cop_ctx *ctx, void *user) {
    (void)user;
    cop_net *net = NULL;
    cop_data *data = NULL;
    cop_eval e;
    char dir[256];
    test_dir_make(dir);
    little_split(dir, "train", 40, 1);
    little_split(dir, "t10k", 20, 2);
    cop_status s = cop_data_open(ctx, dir, NULL, &data);
    test_dir_remove(dir);
    if (!s) s = cop_net_preset(ctx, "lenet-300-100", 1, 8, 8, 4, 1, &net);
    if (!s) s = cop_evaluate(net, data, COP_SPLIT_TEST, NULL, &e);
    cop_net_destroy(net);
    cop_data_destroy(data);
    return s;
}

static void memory_runs_out(void **state) {
    (void)state;
    assert_true(test_out_of_memory(evaluate_a_little, NULL) > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_the_reference),
        cmocka_unit_test(own_normalization_comes_first),
        cmocka_unit_test(one_meter_for_many_nets),
        cmocka_unit_test(refusals),
        cmocka_unit_test(recalibration_is_the_mean_over_batches),
        cmocka_unit_test(mean_gradient_matches_the_reference),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
