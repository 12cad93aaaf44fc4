/* IDX: what is read is what was written, and everything wrong with a file is said in one line. */
#include "make.h"

enum { TRAIN = 20, TEST = 6, H = 5, W = 7, CLASSES = 4 };

static char dir[256];
static blob scratch;

static int setup(void **state) {
    (void)state;
    test_dir_make(dir);
    make_idx(dir, TRAIN, TEST, H, W, CLASSES);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    test_dir_remove(dir);
    return 0;
}

static void reads_what_was_written(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_data *data;
    test_ok(ctx, cop_data_open(ctx, dir, NULL, &data));
    const cop_data_info *info = cop_data_get_info(data);
    assert_string_equal(info->format, "idx");
    assert_string_equal(info->path, dir);
    assert_int_equal(info->channels, 1);
    assert_int_equal(info->height, H);
    assert_int_equal(info->width, W);
    assert_int_equal(info->classes, CLASSES);
    assert_string_equal(info->class_name[3], "3");
    assert_int_equal(info->images[COP_SPLIT_TRAIN], 18);
    assert_int_equal(info->images[COP_SPLIT_VALIDATION], 2);
    assert_int_equal(info->images[COP_SPLIT_TEST], TEST);
    const int64_t count[COP_SPLITS] = {TRAIN, 0, TEST};
    for (int s = 0; s < COP_SPLITS; s++) {
        assert_int_equal(data->images[s].count, count[s]);
        for (int64_t i = 0; i < count[s]; i++) assert_int_equal(data->images[s].label[i], i % CLASSES);
        for (int64_t i = 0; i < count[s] * H * W; i++) {
            assert_int_equal(data->images[s].pixels[i], pattern((size_t)i));
        }
    }
    cop_data_destroy(data);
    test_ctx_destroy(ctx);
}

static void other_names_and_a_validation_split(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_data *data;
    assert_int_equal(rename(in(dir, "train-images-idx3-ubyte"), in(dir, "train-images.idx3-ubyte")), 0);
    idx_images(&scratch, 3, H, W);
    make_file(in(dir, "validation-images-idx3-ubyte"), scratch.bytes, scratch.n);
    idx_labels(&scratch, 3, CLASSES);
    make_file(in(dir, "validation-labels-idx1-ubyte"), scratch.bytes, scratch.n);
    test_ok(ctx, cop_data_open(ctx, dir, NULL, &data));
    assert_int_equal(data->info.images[COP_SPLIT_TRAIN], TRAIN);
    assert_int_equal(data->info.images[COP_SPLIT_VALIDATION], 3);
    cop_data_destroy(data);
    test_ctx_destroy(ctx);
}

/* Names are given where the directory claims to be Fashion-MNIST, and only there; then a label of 10 is refused. */
static void fashion_mnist_has_names(void **state) {
    (void)state;
    static const char *const yes[] = {"fashion-mnist", "my_Fashion_MNIST", "FashionMNIST/raw"};
    cop_ctx *ctx = test_ctx();
    cop_data *data;
    make_folder(in(dir, "FashionMNIST"));
    for (size_t i = 0; i < COPI_COUNT(yes); i++) {
        const char *path = in(dir, yes[i]);
        make_folder(path);
        make_idx(path, TRAIN, TEST, H, W, CLASSES);
        test_ok(ctx, cop_data_open(ctx, path, NULL, &data));
        assert_int_equal(data->info.classes, 10);
        assert_string_equal(data->info.class_name[9], "Ankle boot");
        cop_data_destroy(data);
    }
    const char *path = in(dir, "fashion-mnist/mnist");
    make_folder(path);
    make_idx(path, TRAIN, TEST, H, W, CLASSES);
    test_ok(ctx, cop_data_open(ctx, path, NULL, &data));
    assert_int_equal(data->info.classes, CLASSES);
    cop_data_destroy(data);
    poke_file(in(dir, "fashion-mnist/t10k-labels-idx1-ubyte"), -2, 10);
    open_fails(ctx, in(dir, "fashion-mnist/"), NULL, COP_E_RANGE,
               "t10k-labels-idx1-ubyte: label 4 is 10; the 10 classes are 0 to 9");
    test_ctx_destroy(ctx);
}

static void bad_headers_and_sizes(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    const char *file = in(dir, "train-images-idx3-ubyte");
    cut_file(file, -1);
    open_fails(ctx, dir, NULL, COP_E_FORMAT,
               "train-images-idx3-ubyte: its header asks for 716 bytes, it has 715: truncated");
    append_file(file, "xyz", 3);
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "asks for 716 bytes, it has 718: 2 too many");
    cut_file(file, 9);
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "ends after 9 bytes, at least 7 more are needed");
    cut_file(file, 0);
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "ends after 0 bytes");
    idx_images(&scratch, TRAIN, H, W);
    make_file(file, scratch.bytes, scratch.n);
    poke_file(file, 2, 0x0d);
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "begins with 0x00000d03; expected IDX images");
    make_file(file, scratch.bytes, scratch.n);
    poke_file(file, 7, TRAIN + 1);
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "has 21 images, ");
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "has 20 labels: they don't belong together");
    make_file(file, scratch.bytes, scratch.n);
    poke_file(file, 8, 0xff);
    open_fails(ctx, dir, NULL, COP_E_RANGE, "declares images of 4278190085 rows x 7 columns x 1 channels");
    make_file(file, scratch.bytes, scratch.n);
    poke_file(file, 11, 0);
    open_fails(ctx, dir, NULL, COP_E_RANGE, "declares images of 0 rows");
    idx_images(&scratch, TEST, W, H);
    make_gzip(in(dir, "t10k-images-idx3-ubyte.gz"), scratch.bytes, scratch.n);
    idx_images(&scratch, TRAIN, H, W);
    make_file(file, scratch.bytes, scratch.n);
    open_fails(ctx, dir, NULL, COP_E_SHAPE,
               "t10k-images-idx3-ubyte.gz: has images of 7x5 pixels, 1 channels; the other");
    test_ctx_destroy(ctx);
}

static void a_size_is_not_believed(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    blob *labels = calloc(1, sizeof *labels);
    assert_non_null(labels);
    scratch.n = 0;
    blob_u32be(&scratch, 0x803);
    blob_u32be(&scratch, 0x7fffffff);
    blob_u32be(&scratch, 16384);
    blob_u32be(&scratch, 16384);
    blob_u32be(labels, 0x801);
    blob_u32be(labels, 0x7fffffff);
    make_file(in(dir, "train-images-idx3-ubyte"), scratch.bytes, scratch.n);
    make_gzip(in(dir, "train-labels-idx1-ubyte.gz"), labels->bytes, labels->n);
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "asks for 576460752034988048 bytes, it has 16: truncated or damaged");
    unlink(in(dir, "train-images-idx3-ubyte"));
    make_gzip(in(dir, "train-images-idx3-ubyte.gz"), scratch.bytes, scratch.n);
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "it can hold at most"); /* deflate's best times the file's size */
    scratch.n = labels->n = 4;
    for (int i = 0; i < 3; i++) blob_u32be(&scratch, i ? 5 : 0);
    blob_u32be(labels, 0);
    make_gzip(in(dir, "train-images-idx3-ubyte.gz"), scratch.bytes, scratch.n);
    make_gzip(in(dir, "train-labels-idx1-ubyte.gz"), labels->bytes, labels->n);
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "train-images-idx3-ubyte.gz: holds no images");
    free(labels);
    test_ctx_destroy(ctx);
}

static void bad_gzip(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    const char *file = in(dir, "t10k-images-idx3-ubyte.gz");
    idx_images(&scratch, TEST, H, W);
    cut_file(file, -12);
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "t10k-images-idx3-ubyte.gz: the gzip stream is cut short after ");
    make_gzip(file, scratch.bytes, scratch.n);
    cut_file(file, -3); /* all pixels there, the checksum not */
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "the gzip stream is cut short after 226 unpacked bytes");
    make_gzip(file, scratch.bytes, scratch.n);
    poke_file(file, -6, 0x5a);
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "the gzip stream is damaged after ");
    make_gzip(file, scratch.bytes, scratch.n);
    append_file(file, "tail", 4);
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "bytes follow the end of the gzip stream");
    blob_add(&scratch, "more", 4);
    make_gzip(file, scratch.bytes, scratch.n);
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "bytes follow the 226 that its header asks for");
    make_gzip(file, scratch.bytes, scratch.n - 10);
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "ends after 220 bytes, at least 6 more are needed");
    test_ctx_destroy(ctx);
}

/* gzip files may be joined end to end: that is one stream. */
static void joined_gzip(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_data *data;
    const char *file = in(dir, "t10k-images-idx3-ubyte.gz"), *tail = in(dir, "tail.gz");
    uint8_t *bytes;
    size_t n;
    idx_images(&scratch, TEST, H, W);
    make_gzip(file, scratch.bytes, 100);
    make_gzip(tail, scratch.bytes + 100, scratch.n - 100);
    test_ok(ctx, copi_read_file(ctx, tail, 0, &bytes, &n));
    append_file(file, bytes, n);
    copi_free(ctx, bytes);
    test_ok(ctx, cop_data_open(ctx, dir, NULL, &data));
    assert_memory_equal(data->images[COP_SPLIT_TEST].pixels, scratch.bytes + 16, TEST * H * W);
    cop_data_destroy(data);
    test_ctx_destroy(ctx);
}

static void bad_labels_and_missing_files(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    poke_file(in(dir, "t10k-labels-idx1-ubyte"), -1, CLASSES);
    open_fails(ctx, dir, NULL, COP_E_RANGE, "test: image 5 has label 4; the 4 classes are 0 to 3");
    idx_labels(&scratch, TRAIN, CLASSES);
    scratch.bytes[8 + 17] = 200; /* a stray byte is not taken for 201 classes */
    make_gzip(in(dir, "train-labels-idx1-ubyte.gz"), scratch.bytes, scratch.n);
    open_fails(ctx, dir, NULL, COP_E_RANGE, "train: image 17 has label 200, but only 5 different labels occur");
    unlink(in(dir, "t10k-labels-idx1-ubyte"));
    idx_labels(&scratch, TRAIN, CLASSES);
    make_gzip(in(dir, "train-labels-idx1-ubyte.gz"), scratch.bytes, scratch.n);
    open_fails(ctx, dir, NULL, COP_E_NOT_FOUND, "t10k-labels-idx1-ubyte(.gz) is missing");
    unlink(in(dir, "train-images-idx3-ubyte"));
    open_fails(ctx, dir, NULL, COP_E_NOT_FOUND, "train-images-idx3-ubyte(.gz) is missing");
    unlink(in(dir, "train-labels-idx1-ubyte.gz"));
    open_fails(ctx, dir, NULL, COP_E_NOT_FOUND, "no data set was recognized; looked for idx: ");
    test_ctx_destroy(ctx);
}

static void memory_may_run_out(void **state) {
    (void)state;
    assert_true(test_out_of_memory(open_and_close, dir) > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_what_was_written, setup, teardown),
        cmocka_unit_test_setup_teardown(other_names_and_a_validation_split, setup, teardown),
        cmocka_unit_test_setup_teardown(fashion_mnist_has_names, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_headers_and_sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_size_is_not_believed, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_gzip, setup, teardown),
        cmocka_unit_test_setup_teardown(joined_gzip, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_labels_and_missing_files, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_may_run_out, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
