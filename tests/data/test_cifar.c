/* CIFAR-10 and CIFAR-100 in their binary form. */
#include "make.h"

enum { PIXELS = 3072 };

static char dir[256];
static blob scratch;

static int setup(void **state) {
    (void)state;
    test_dir_make(dir);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    test_dir_remove(dir);
    return 0;
}

/* count records of label_bytes labels (the first, if there are two, is the coarse one) and pattern() pixels. */
static void make_records(const char *name, int label_bytes, const uint8_t *label, int count) {
    scratch.n = 0;
    for (int i = 0; i < count; i++) {
        blob_add(&scratch, "\7", (size_t)label_bytes - 1);
        blob_add(&scratch, &label[i], 1);
        blob_pattern(&scratch, PIXELS);
        scratch.bytes[scratch.n - 1] = (uint8_t)(label[i] + 1); /* so that records differ */
    }
    make_file(in(dir, name), scratch.bytes, scratch.n);
}

static void make_cifar10(void) {
    char name[32];
    for (int i = 0; i < 5; i++) { /* batch 1 has one record, batch 2 two, ... */
        uint8_t label[] = {(uint8_t)i, 5, 6, 7, 9};
        snprintf(name, sizeof name, "data_batch_%d.bin", i + 1);
        make_records(name, 1, label, i + 1);
    }
    make_records("test_batch.bin", 1, (const uint8_t *)"\3\4", 2);
}

static void cifar10(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_data *data;
    make_cifar10();
    test_ok(ctx, cop_data_open(ctx, dir, NULL, &data));
    assert_string_equal(data->info.format, "cifar10");
    assert_int_equal(data->info.classes, 10);
    assert_string_equal(data->info.class_name[9], "9"); /* the files name no classes */
    const copi_images *train = &data->images[COP_SPLIT_TRAIN];
    const int32_t want[] = {0, 1, 5, 2, 5, 6, 3, 5, 6, 7, 4, 5, 6, 7, 9};
    assert_int_equal(train->count, 15);
    assert_memory_equal(train->label, want, sizeof want);
    for (int i = 0; i < 15; i++) {
        for (size_t k = 0; k < PIXELS - 1; k++) assert_int_equal(train->pixels[i * PIXELS + k], pattern(k));
        assert_int_equal(train->pixels[i * PIXELS + PIXELS - 1], want[i] + 1);
    }
    assert_int_equal(data->images[COP_SPLIT_TEST].label[1], 4);
    cop_data_destroy(data);

    make_text(in(dir, "batches.meta.txt"),
              "airplane\r\nautomobile\nbird \ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n");
    test_ok(ctx, cop_data_open(ctx, dir, NULL, &data));
    assert_string_equal(data->info.class_name[0], "airplane");
    assert_string_equal(data->info.class_name[2], "bird");
    assert_string_equal(data->info.class_name[9], "truck");
    cop_data_destroy(data);
    make_text(in(dir, "batches.meta.txt"), "airplane\nautomobile");
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "batches.meta.txt: names 2 classes, cifar10 has 10");
    test_ctx_destroy(ctx);
}

static void cifar100(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_data *data;
    make_records("train.bin", 2, (const uint8_t *)"\0\143\12", 3);
    make_records("test.bin", 2, (const uint8_t *)"\1", 1);
    test_ok(ctx, cop_data_open(ctx, dir, NULL, &data));
    assert_string_equal(data->info.format, "cifar100");
    assert_int_equal(data->info.classes, 100);
    assert_int_equal(data->images[COP_SPLIT_TRAIN].label[1], 99); /* the fine label */
    assert_int_equal(data->images[COP_SPLIT_TRAIN].pixels[PIXELS], pattern(0));
    cop_data_destroy(data);
    make_records("test.bin", 2, (const uint8_t *)"\1\144", 2);
    open_fails(ctx, dir, NULL, COP_E_RANGE, "test.bin: record 1 has label 100; the 100 classes are 0 to 99");
    test_ctx_destroy(ctx);
}

static void bad_files(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    make_cifar10();
    const char *batch = in(dir, "data_batch_3.bin");
    cut_file(batch, -1);
    open_fails(ctx, dir, NULL, COP_E_FORMAT,
               "data_batch_3.bin: has 9218 bytes, not a multiple of the record size, 3073");
    append_file(batch, "xx", 2);
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "has 9220 bytes");
    cut_file(batch, 0);
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "has 0 bytes");
    make_records("data_batch_3.bin", 1, (const uint8_t *)"\0\12\1", 3);
    open_fails(ctx, dir, NULL, COP_E_RANGE, "data_batch_3.bin: record 1 has label 10; the 10 classes are 0 to 9");
    make_gzip(batch, scratch.bytes, scratch.n);
    open_fails(ctx, dir, NULL, COP_E_UNSUPPORTED, "is packed by gzip; unpack it first");
    unlink(batch);
    open_fails(ctx, dir, NULL, COP_E_NOT_FOUND, "data_batch_3.bin: No such file or directory");
    make_folder(batch);
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "data_batch_3.bin: is not a regular file");
    test_ctx_destroy(ctx);
}

static void memory_may_run_out(void **state) {
    (void)state;
    make_cifar10();
    make_text(in(dir, "batches.meta.txt"), "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n");
    assert_true(test_out_of_memory(open_and_close, dir) > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cifar10, setup, teardown),
        cmocka_unit_test_setup_teardown(cifar100, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_files, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_may_run_out, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
