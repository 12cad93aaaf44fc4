/* What all formats have in common: guessing, options, splits, statistics, digest. */
#include "make.h"

#include <math.h>

enum { TRAIN = 50, TEST = 9, H = 3, W = 4, ITEM = H * W };

static char dir[256];

static int setup(void **state) {
    (void)state;
    test_dir_make(dir);
    make_idx(dir, TRAIN, TEST, H, W, 5);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    test_dir_remove(dir);
    return 0;
}

static cop_data *open_with(cop_ctx *ctx, double validation, int64_t limit) {
    cop_data_options options = cop_data_options_default();
    cop_data *data;
    options.validation = validation;
    options.limit = limit;
    test_ok(ctx, cop_data_open(ctx, dir, &options, &data));
    return data;
}

static void splits_are_fixed_disjoint_and_whole(void **state) {
    (void)state;
    static const struct {
        double share;
        int64_t held;
    } want[] = {{0, 0}, {0.001, 1}, {0.1, 5}, {0.25, 13}, {0.9, 45}};
    for (size_t i = 0; i < COPI_COUNT(want); i++) {
        cop_ctx *ctx = test_ctx();
        int seen[TRAIN] = {0};
        cop_data *data = open_with(ctx, want[i].share, 0), *again = open_with(ctx, want[i].share, 0);
        assert_int_equal(data->info.images[COP_SPLIT_VALIDATION], want[i].held);
        assert_int_equal(data->info.images[COP_SPLIT_TRAIN], TRAIN - want[i].held);
        assert_int_equal(data->from[COP_SPLIT_VALIDATION], want[i].held ? COP_SPLIT_TRAIN : COP_SPLIT_VALIDATION);
        for (int s = 0; s < COP_SPLIT_TEST; s++) {
            for (int64_t k = 0; k < data->info.images[s]; k++) {
                seen[data->index[s][k]]++;
                assert_int_equal(data->index[s][k], again->index[s][k]);
            }
        }
        for (int k = 0; k < TRAIN; k++) assert_int_equal(seen[k], 1);
        assert_string_equal(data->info.digest, again->info.digest);
        cop_data_destroy(data);
        cop_data_destroy(again);
        test_ctx_destroy(ctx);
    }
}

/* The split depends on the number of images only: not on the context's seed, nor on what the images show. */
static void splits_depend_on_the_count_alone(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx(), *other;
    cop_ctx_options options = cop_ctx_options_default();
    cop_data *b;
    options.seed = 99;
    assert_int_equal(cop_ctx_create(&options, &other), COP_OK);
    cop_data *a = open_with(ctx, 0.2, 0);
    poke_file(in(dir, "train-images-idx3-ubyte"), 100, 1);
    test_ok(other, cop_data_open(other, dir, &(cop_data_options){.validation = 0.2}, &b));
    assert_memory_equal(a->index[COP_SPLIT_VALIDATION], b->index[COP_SPLIT_VALIDATION], 10 * sizeof(int64_t));
    assert_string_not_equal(a->info.digest, b->info.digest);
    cop_data_destroy(a);
    cop_data_destroy(b);
    test_ctx_destroy(ctx);
    cop_ctx_destroy(other);
}

static void a_limit_takes_the_first_ones(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_data *all = open_with(ctx, 0.2, 0), *few = open_with(ctx, 0.2, 8);
    const int64_t want[COP_SPLITS] = {8, 8, 8};
    for (int s = 0; s < COP_SPLITS; s++) {
        int64_t count = 0;
        assert_int_equal(few->info.images[s], want[s]);
        assert_memory_equal(few->index[s], all->index[s], 8 * sizeof(int64_t));
        for (int c = 0; c < 5; c++) count += few->info.class_images[s][c];
        assert_int_equal(count, 8);
    }
    assert_string_not_equal(few->info.digest, all->info.digest);
    cop_data_destroy(all);
    cop_data_destroy(few);
    test_ctx_destroy(ctx);
}

static void statistics_are_those_of_train(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_data *data = open_with(ctx, 0.3, 20);
    double sum = 0, square = 0;
    int64_t n = data->info.images[COP_SPLIT_TRAIN];
    assert_int_equal(n, 20);
    int64_t count[5] = {0};
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < n; i++) {
            for (int64_t k = 0; k < ITEM; k++) {
                double v = pattern((size_t)(data->index[COP_SPLIT_TRAIN][i] * ITEM + k)) / 255.0;
                double mean = sum / (double)(n * ITEM);
                if (pass) square += (v - mean) * (v - mean);
                if (!pass) sum += v;
            }
            if (!pass) count[data->index[COP_SPLIT_TRAIN][i] % 5]++;
        }
    }
    /* 240 additions of numbers under 1 */
    test_near(data->info.mean[0], sum / (double)(n * ITEM), 1e-13, 0);
    test_near(data->info.std[0], sqrt(square / (double)(n * ITEM)), 1e-13, 0);
    assert_memory_equal(data->info.class_images[COP_SPLIT_TRAIN], count, sizeof count);
    assert_true(data->info.bytes >= (size_t)(TRAIN + TEST) * (ITEM + 4));
    cop_data_destroy(data);
    test_ctx_destroy(ctx);
}

static void a_digest_sees_every_label_and_split(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    char digest[4][32];
    for (int i = 0; i < 4; i++) {
        if (i == 1) poke_file(in(dir, "t10k-labels-idx1-ubyte"), -1, 0);
        if (i == 2) poke_file(in(dir, "train-images-idx3-ubyte"), -1, 0xa5);
        cop_data *data = open_with(ctx, i == 3 ? 0.2 : 0.1, 0);
        snprintf(digest[i], sizeof digest[i], "%s", data->info.digest);
        assert_int_equal(strspn(digest[i], "0123456789abcdef"), 16);
        for (int k = 0; k < i; k++) assert_string_not_equal(digest[i], digest[k]);
        cop_data_destroy(data);
    }
    test_ctx_destroy(ctx);
}

static void bad_options(void **state) {
    (void)state;
    const double shares[] = {-0.1, 0.91, (double)NAN};
    cop_ctx *ctx = test_ctx();
    cop_data *data;
    for (size_t i = 0; i < COPI_COUNT(shares); i++) {
        open_fails(ctx, dir, &(cop_data_options){.validation = shares[i]}, COP_E_RANGE, "expected a number in");
    }
    open_fails(ctx, dir, &(cop_data_options){.limit = -1}, COP_E_RANGE,
               "limit is -1; expected an integer in [0,1e12]");
    open_fails(ctx, dir, &(cop_data_options){.height = -1}, COP_E_RANGE,
               "height is -1; expected an integer in [0,16384]");
    open_fails(ctx, dir, &(cop_data_options){.width = 20000}, COP_E_RANGE, "width is 20000; expected");
    open_fails(ctx, dir, &(cop_data_options){.width = 5}, COP_E_UNSUPPORTED,
               "idx images are 3x4 and are not resized");
    open_fails(ctx, dir, &(cop_data_options){.format = "ciphar10"}, COP_E_NOT_FOUND, "did you mean 'cifar10'?");
    open_fails(ctx, dir, &(cop_data_options){.format = "tfrecord"}, COP_E_NOT_FOUND,
               "there are idx, cifar10, cifar100, npz, folder");
    open_fails(ctx, dir, &(cop_data_options){.format = "cifar10"}, COP_E_NOT_FOUND, "data_batch_1.bin: No such file");
    open_fails(ctx, dir, &(cop_data_options){.format = "cifar100"}, COP_E_NOT_FOUND, "train.bin: No such file");
    open_fails(ctx, in(dir, "no-such-place"), NULL, COP_E_NOT_FOUND, "no-such-place: no such file or directory");
    open_fails(ctx, in(dir, "t10k-labels-idx1-ubyte"), NULL, COP_E_NOT_FOUND,
               "no data set was recognized; looked for idx: a directory with train-images-idx3-ubyte(.gz)");
    open_fails(ctx, NULL, NULL, COP_E_ARG, "no path");
    open_fails(ctx, "", NULL, COP_E_ARG, "no path");
    assert_int_equal(cop_data_open(NULL, dir, NULL, &data), COP_E_ARG);
    assert_null(cop_data_get_info(NULL));
    cop_data_destroy(NULL);
    assert_string_equal(cop_split_name(COP_SPLIT_VALIDATION), "validation");
    test_ctx_destroy(ctx);
}

/* -- warnings -- */
static char warning[512];
static void keep_log(void *user, cop_log_level level, const char *text) {
    (void)user;
    if (level == COP_LOG_WARNING) snprintf(warning, sizeof warning, "%s", text);
}

static void a_class_without_images_is_told(void **state) {
    (void)state;
    cop_ctx_options options = cop_ctx_options_default();
    cop_ctx *ctx;
    cop_data *data;
    blob *labels = calloc(1, sizeof *labels);
    assert_non_null(labels);
    idx_labels(labels, TRAIN, 5);
    for (size_t i = 8; i < labels->n; i++) labels->bytes[i]++; /* 1 to 5, as some count */
    make_gzip(in(dir, "train-labels-idx1-ubyte.gz"), labels->bytes, labels->n);
    free(labels);
    options.log = keep_log;
    assert_int_equal(cop_ctx_create(&options, &ctx), COP_OK);
    test_ok(ctx, cop_data_open(ctx, dir, NULL, &data));
    assert_int_equal(data->info.classes, 6);
    assert_non_null(strstr(warning, "class 0 ('0') has no training image"));
    cop_data_destroy(data);
    cop_ctx_destroy(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(splits_are_fixed_disjoint_and_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(splits_depend_on_the_count_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_limit_takes_the_first_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(statistics_are_those_of_train, setup, teardown),
        cmocka_unit_test_setup_teardown(a_digest_sees_every_label_and_split, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_options, setup, teardown),
        cmocka_unit_test_setup_teardown(a_class_without_images_is_told, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
