/* NPZ: every type of item against what numpy's layout says, and each refusal. */
#include "make.h"

enum { N = 6, H = 3, W = 4, C = 2, ITEMS = N * H * W * C };

static char dir[256];
static const char *path;
static blob part[6]; /* x_train, y_train, x_test, y_test, x_val, y_val; an empty one is left out */
static uint8_t pixels[ITEMS];

static int setup(void **state) {
    (void)state;
    static char kept[512];
    static const uint8_t label[N] = {0, 1, 2, 0, 1, 2};
    test_dir_make(dir);
    snprintf(kept, sizeof kept, "%s/set.npz", dir);
    path = kept;
    for (size_t i = 0; i < ITEMS; i++) pixels[i] = pattern(i);
    npy_array(&part[0], "'|u1'", "False", "(6, 3, 4, 2)", pixels, ITEMS);
    npy_array(&part[1], "'|u1'", "False", "(6,)", label, N);
    npy_array(&part[2], "'|u1'", "False", "(2, 3, 4, 2)", pixels, ITEMS / 3);
    npy_array(&part[3], "'|u1'", "False", "(2,)", label, 2);
    part[4].n = part[5].n = 0;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    test_dir_remove(dir);
    return 0;
}

static void make_npz(zip_int32_t method) {
    static const char *const name[] = {"x_train.npy", "y_train.npy", "x_test.npy",
                                       "y_test.npy",  "x_val.npy",   "y_val.npy"};
    zip_t *zip = zip_begin(path);
    for (int i = 0; i < 6; i++) {
        if (part[i].n) zip_put(zip, name[i], &part[i], method);
    }
    assert_int_equal(zip_close(zip), 0);
}

/* The item of image i at (c, y, x) in numpy's [N,H,W,C]. */
static size_t at(int i, int c, int y, int x) {
    return (size_t)(((i * H + y) * W + x) * C + c);
}

static void bytes_stored_and_deflated(void **state) {
    (void)state;
    static const zip_int32_t method[] = {ZIP_CM_STORE, ZIP_CM_DEFLATE};
    for (size_t m = 0; m < COPI_COUNT(method); m++) {
        cop_ctx *ctx = test_ctx();
        cop_data *data;
        make_npz(method[m]);
        test_ok(ctx, cop_data_open(ctx, path, NULL, &data));
        assert_string_equal(data->info.format, "npz");
        assert_int_equal(data->info.channels, C);
        assert_int_equal(data->info.height, H);
        assert_int_equal(data->info.width, W);
        assert_int_equal(data->info.classes, 3);
        assert_int_equal(data->info.images[COP_SPLIT_TRAIN], 5);
        assert_int_equal(data->info.images[COP_SPLIT_VALIDATION], 1);
        assert_int_equal(data->info.images[COP_SPLIT_TEST], 2);
        const copi_images *train = &data->images[COP_SPLIT_TRAIN];
        assert_null(train->real);
        size_t k = 0;
        for (int i = 0; i < N; i++) {
            assert_int_equal(train->label[i], i % 3);
            for (int c = 0; c < C; c++) {
                for (int y = 0; y < H; y++) {
                    for (int x = 0; x < W; x++) assert_int_equal(train->pixels[k++], pixels[at(i, c, y, x)]);
                }
            }
        }
        cop_data_destroy(data);
        test_ctx_destroy(ctx);
    }
}

static void gray_and_validation(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_data *data;
    npy_array(&part[0], "'|u1'", "False", "(6, 4, 6)", pixels, ITEMS);
    npy_array(&part[2], "'|u1'", "False", "(2, 4, 6)", pixels, ITEMS / 3);
    npy_array(&part[4], "'|u1'", "False", "(1, 4, 6)", pixels, ITEMS / 6);
    npy_array(&part[5], "'|u1'", "False", "(1,)", "\2", 1);
    make_npz(ZIP_CM_STORE);
    test_ok(ctx, cop_data_open(ctx, path, NULL, &data));
    assert_int_equal(data->info.channels, 1);
    assert_int_equal(data->info.images[COP_SPLIT_TRAIN], 6);
    assert_int_equal(data->info.images[COP_SPLIT_VALIDATION], 1);
    assert_memory_equal(data->images[COP_SPLIT_TRAIN].pixels, pixels, ITEMS);
    assert_int_equal(data->images[COP_SPLIT_VALIDATION].label[0], 2);
    cop_data_destroy(data);
    part[5].n = 0;
    make_npz(ZIP_CM_STORE);
    open_fails(ctx, path, NULL, COP_E_NOT_FOUND, "holds no y_val.npy; ");
    test_ctx_destroy(ctx);
}

/* The bytes of an integer in either order. */
static void put(uint8_t *to, uint64_t bits, size_t size, bool big) {
    for (size_t i = 0; i < size; i++) to[big ? size - 1 - i : i] = (uint8_t)(bits >> (8 * i));
}

static void floats_of_both_sizes_and_orders(void **state) {
    (void)state;
    static uint8_t items[ITEMS * 8];
    static const struct {
        const char *descr;
        size_t size;
        bool big;
    } type[] = {{"'<f4'", 4, false}, {"'>f4'", 4, true}, {"'<f8'", 8, false}, {"'>f8'", 8, true}};
    for (size_t t = 0; t < COPI_COUNT(type); t++) {
        cop_ctx *ctx = test_ctx();
        cop_data *data;
        for (size_t i = 0; i < ITEMS; i++) {
            double wide = pixels[i] / 255.0 - 0.25;
            float narrow = (float)wide;
            uint64_t bits = 0;
            uint32_t half;
            memcpy(&half, &narrow, 4);
            if (type[t].size == 8) {
                memcpy(&bits, &wide, 8);
            } else {
                bits = half;
            }
            put(items + i * type[t].size, bits, type[t].size, type[t].big);
        }
        npy_array(&part[0], type[t].descr, "False", "(6, 3, 4, 2)", items, ITEMS * type[t].size);
        npy_array(&part[2], type[t].descr, "False", "(2, 3, 4, 2)", items, ITEMS / 3 * type[t].size);
        make_npz(ZIP_CM_DEFLATE);
        test_ok(ctx, cop_data_open(ctx, path, NULL, &data));
        const copi_images *train = &data->images[COP_SPLIT_TRAIN];
        assert_null(train->pixels);
        size_t k = 0;
        double sum[C] = {0};
        for (int i = 0; i < N; i++) {
            for (int c = 0; c < C; c++) {
                for (int y = 0; y < H; y++) {
                    for (int x = 0; x < W; x++) {
                        float want = (float)(pixels[at(i, c, y, x)] / 255.0 - 0.25);
                        assert_true(train->real[k++] == want);
                        if (i != data->index[COP_SPLIT_VALIDATION][0]) sum[c] += (double)want;
                    }
                }
            }
        }
        /* a mean of 60 doubles: off by at most 60 roundings of values under 1 */
        for (int c = 0; c < C; c++) test_near(data->info.mean[c], sum[c] / (5 * H * W), 0, 60 * 2.3e-16);
        cop_data_destroy(data);
        test_ctx_destroy(ctx);
    }
}

static void labels_of_every_integer_type(void **state) {
    (void)state;
    static const char *const descr[] = {"'|u1'", "'|i1'", "'<u2'", "'>u2'", "'<i2'", "'>i2'", "'<u4'",
                                        "'>i4'", "'<i4'", "'<u8'", "'>u8'", "'<i8'", "'>i8'"};
    for (size_t t = 0; t < COPI_COUNT(descr); t++) {
        cop_ctx *ctx = test_ctx();
        cop_data *data;
        uint8_t items[N * 8];
        size_t size = (size_t)(descr[t][3] - '0');
        bool big = descr[t][1] == '>';
        for (int i = 0; i < N; i++) put(items + (size_t)i * size, (uint64_t)(i == 4 ? 5 : i % 3), size, big);
        npy_array(&part[1], descr[t], "False", t % 2 ? "(6, 1)" : "(6,)", items, N * size);
        make_npz(ZIP_CM_STORE);
        test_ok(ctx, cop_data_open(ctx, path, NULL, &data));
        assert_int_equal(data->info.classes, 6);
        for (int i = 0; i < N; i++) assert_int_equal(data->images[COP_SPLIT_TRAIN].label[i], i == 4 ? 5 : i % 3);
        cop_data_destroy(data);
        if (descr[t][2] == 'i') {
            put(items + 3 * size, (uint64_t)-7, size, big);
            npy_array(&part[1], descr[t], "False", "(6,)", items, N * size);
            make_npz(ZIP_CM_STORE);
            open_fails(ctx, path, NULL, COP_E_RANGE, "y_train.npy: label 3 is -7; labels must be from 0 to 65535");
        }
        if (size == 8) {
            put(items + 3 * size, (uint64_t)1 << 33, size, big);
            npy_array(&part[1], descr[t], "False", "(6,)", items, N * size);
            make_npz(ZIP_CM_STORE);
            open_fails(ctx, path, NULL, COP_E_RANGE, "label 3 is 8589934592");
        }
        test_ctx_destroy(ctx);
    }
}

static void bad_arrays(void **state) {
    (void)state;
    static const struct {
        int part;
        const char *descr, *fortran, *shape;
        size_t n;
        cop_status status;
        const char *text;
    } bad[] = {
        {0, "'|u1'", "True", "(6, 3, 4, 2)", ITEMS, COP_E_UNSUPPORTED,
         "set.npz: x_train.npy: is in Fortran order; save numpy."},
        {1, "'|O'", "False", "(6,)", 6, COP_E_UNSUPPORTED,
         "y_train.npy: holds Python objects (|O), which are never unpickled"},
        {1, "[('a', '<i4')]", "False", "(6,)", 24, COP_E_UNSUPPORTED, "y_train.npy: holds records with fields"},
        {1, "'<f4'", "False", "(6,)", 24, COP_E_UNSUPPORTED, "y_train.npy: labels are f4, must be integers"},
        {1, "'<U3'", "False", "(6,)", 24, COP_E_UNSUPPORTED, "y_train.npy: its items are '<U3'"},
        {0, "'<c8'", "False", "(6, 3, 4, 2)", ITEMS * 8, COP_E_UNSUPPORTED, "its items are '<c8'"},
        {0, "'<i4'", "False", "(6, 3, 4, 2)", ITEMS * 4, COP_E_UNSUPPORTED,
         "x_train.npy: pixels are i4; supported: u1 (0 to 255), f4"},
        {0, "'|u1'", "False", "(6, 24)", ITEMS, COP_E_SHAPE,
         "x_train.npy: is [6,24]; images must be [N,H,W,C] or [N,H,W]"},
        {0, "'|u1'", "False", "(1, 1, 1, 24, 6)", ITEMS, COP_E_SHAPE, "is [1,1,1,24,6]; images must be"},
        {0, "'|u1'", "False", "(1, 2, 3, 24)", ITEMS, COP_E_RANGE,
         "x_train.npy: declares images of 2 rows x 3 columns x 24 channels"},
        {0, "'|u1'", "False", "(0, 3, 4, 2)", 0, COP_E_FORMAT, "x_train.npy: holds no images"},
        {1, "'|u1'", "False", "(5,)", 5, COP_E_SHAPE, "y_train.npy: has 5 labels for 6 images"},
        {1, "'|u1'", "False", "(6, 3)", 18, COP_E_SHAPE,
         "is [6,3]; labels must be [N] or [N,1]; of one-hot rows save argmax(1)"},
        {1, "'|u1'", "False", "()", 1, COP_E_SHAPE, "y_train.npy: is []; labels must be"},
        {2, "'|u1'", "False", "(2, 4, 3, 2)", 48, COP_E_SHAPE,
         "x_test.npy: has images of 4x3 pixels, 2 channels; the other splits' are 3x4, 2"},
        {2, "'<f4'", "False", "(2, 3, 4, 2)", 192, COP_E_UNSUPPORTED,
         "x_test.npy: pixels are floats, those of x_train are bytes"},
        {0, "'|u1'", "False", "(7, 3, 4, 2)", ITEMS, COP_E_FORMAT,
         "its header asks for 296 bytes, it has 272: truncated"},
        {0, "'|u1'", "False", "(5, 3, 4, 2)", ITEMS, COP_E_FORMAT, "it has 272: 24 too many"},
        {0, "'<f8'", "False", "(4294967296, 4294967296, 4)", 8, COP_E_RANGE,
         "declares an impossible shape [4294967296,4294967296,4]"},
        {0, "'|u1'", "False", "(99999999999999999999, 1, 1)", 8, COP_E_FORMAT, "its header is not the dictionary"},
        {0, "'|u1'", "Maybe", "(6, 3, 4, 2)", ITEMS, COP_E_FORMAT, "its header is not the dictionary"},
        {0, "'|u1'", "False", "(1, 1, 1, 1, 1, 1, 1, 1, 1)", 1, COP_E_FORMAT, "its header is not the dictionary"},
        {0, "'|u1'", "False", "(6, 3, -4, 2)", ITEMS, COP_E_FORMAT, "its header is not the dictionary"},
    };
    static const uint8_t zeros[ITEMS * 8];
    for (size_t i = 0; i < COPI_COUNT(bad); i++) {
        cop_ctx *ctx = test_ctx();
        blob *kept = malloc(sizeof *kept);
        assert_non_null(kept);
        *kept = part[bad[i].part];
        npy_array(&part[bad[i].part], bad[i].descr, bad[i].fortran, bad[i].shape, zeros, bad[i].n);
        make_npz(ZIP_CM_STORE);
        open_fails(ctx, path, NULL, bad[i].status, bad[i].text);
        part[bad[i].part] = *kept;
        free(kept);
        test_ctx_destroy(ctx);
    }
}

static void a_pixel_that_is_no_number(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    static float items[ITEMS];
    const uint32_t nan_bits = 0x7fc00000;
    memcpy(&items[at(2, 1, 2, 3)], &nan_bits, 4);
    npy_array(&part[0], "'<f4'", "False", "(6, 3, 4, 2)", items, sizeof items);
    make_npz(ZIP_CM_STORE);
    open_fails(ctx, path, NULL, COP_E_RANGE,
               "x_train.npy: image 2, row 2, column 3, channel 1 is nan; pixels must be finite");
    test_ctx_destroy(ctx);
}

static void bad_archives(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    uint8_t *bytes;
    size_t n;
    part[1].n = 0;
    make_npz(ZIP_CM_STORE);
    open_fails(ctx, path, NULL, COP_E_NOT_FOUND,
               "holds no y_train.npy; x_train, y_train, x_test, y_test are needed, "
               "it holds x_train.npy, x_test.npy, y_test.npy");
    blob_add(&part[1], "not an array at all", 19);
    make_npz(ZIP_CM_STORE);
    open_fails(ctx, path, NULL, COP_E_FORMAT, "y_train.npy: is not a .npy array");
    part[1].n = 5;
    make_npz(ZIP_CM_STORE);
    open_fails(ctx, path, NULL, COP_E_FORMAT, "y_train.npy: ends after ");
    npy_array(&part[1], "'|u1'", "False", "(6,)", "\0\1\2\0\1\2", 6);
    part[1].bytes[6] = 9;
    make_npz(ZIP_CM_STORE);
    open_fails(ctx, path, NULL, COP_E_VERSION, "y_train.npy: is .npy version 9; versions 1 to 3 are supported");
    part[1].bytes[6] = 2; /* the longer length swallows the beginning of the text */
    make_npz(ZIP_CM_STORE);
    open_fails(ctx, path, NULL, COP_E_FORMAT, "y_train.npy: declares a header of ");
    part[1].bytes[6] = 1;
    make_npz(ZIP_CM_STORE);
    cut_file(path, -4);
    open_fails(ctx, path, NULL, COP_E_FORMAT,
               "set.npz: is not a ZIP archive, or is damaged or cut short; get the file again");
    cut_file(path, 0);
    open_fails(ctx, path, NULL, COP_E_FORMAT, "set.npz: ");
    make_text(path, "PK, said the file, and no more");
    open_fails(ctx, path, NULL, COP_E_FORMAT,
               "set.npz: is not a ZIP archive, or is damaged or cut short; get the file again");
    make_npz(ZIP_CM_STORE);
    poke_file(path, 300, 0x55); /* a pixel of x_train */
    open_fails(ctx, path, NULL, COP_E_FORMAT, "x_train.npy: can't be unpacked after 272 bytes: CRC error");
    /* a directory that promises 2 GiB out of a few hundred bytes */
    make_npz(ZIP_CM_DEFLATE);
    test_ok(ctx, copi_read_file(ctx, path, 0, &bytes, &n));
    size_t entry = 0;
    while (memcmp(bytes + entry, "PK\1\2", 4) != 0) entry++;
    copi_free(ctx, bytes);
    for (long i = 0; i < 4; i++) poke_file(path, (long)entry + 24 + i, i == 3 ? 0x7f : 0xff);
    open_fails(ctx, path, NULL, COP_E_FORMAT, "x_train.npy: declares 2147483647 bytes packed into ");
    open_fails(ctx, dir, &(cop_data_options){.size = sizeof(cop_data_options), .format = "npz"}, COP_E_FORMAT,
               "is not a regular file");
    test_ctx_destroy(ctx);
}

/* The longer header of version 2, and keys in another order and other quotes. */
static void other_headers(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_data *data;
    static const char text[] = "{\"shape\":(6,),  'fortran_order':False,\"descr\":\"|u1\"}\n";
    const uint8_t length[4] = {sizeof text - 1, 0, 0, 0};
    part[1].n = 0;
    blob_add(&part[1], "\x93NUMPY\x02\x00", 8);
    blob_add(&part[1], length, 4);
    blob_add(&part[1], text, sizeof text - 1);
    blob_add(&part[1], "\0\1\2\2\1\0", 6);
    make_npz(ZIP_CM_DEFLATE);
    test_ok(ctx, cop_data_open(ctx, path, NULL, &data));
    assert_int_equal(data->images[COP_SPLIT_TRAIN].label[3], 2);
    cop_data_destroy(data);
    test_ctx_destroy(ctx);
}

static void memory_may_run_out(void **state) {
    (void)state;
    make_npz(ZIP_CM_DEFLATE);
    assert_true(test_out_of_memory(open_and_close, (void *)path) > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_stored_and_deflated, setup, teardown),
        cmocka_unit_test_setup_teardown(gray_and_validation, setup, teardown),
        cmocka_unit_test_setup_teardown(floats_of_both_sizes_and_orders, setup, teardown),
        cmocka_unit_test_setup_teardown(labels_of_every_integer_type, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_arrays, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pixel_that_is_no_number, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_archives, setup, teardown),
        cmocka_unit_test_setup_teardown(other_headers, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_may_run_out, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
