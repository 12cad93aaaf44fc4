/* Data sets from arrays in memory: the same as from files, copied, checked. */
#include "make.h"

#include <math.h>

enum { TRAIN = 50, TEST = 9, C = 3, H = 2, W = 5, ITEM = C * H * W, CLASSES = 5 };

typedef struct sample {
    uint8_t planes[TRAIN * ITEM], interleaved[TRAIN * ITEM];
    float real[TRAIN * ITEM];
    int32_t label[TRAIN];
} sample;

static sample s;

static int setup(void **state) {
    (void)state;
    for (size_t i = 0; i < TRAIN * ITEM; i++) {
        size_t image = i / ITEM, c = i % ITEM / (H * W), k = i % (H * W);
        s.planes[i] = pattern(i);
        s.interleaved[image * ITEM + k * C + c] = pattern(i);
        s.real[i] = (float)pattern(i) / 8;
    }
    for (int i = 0; i < TRAIN; i++) s.label[i] = i % CLASSES;
    return 0;
}

static cop_data_arrays arrays(const void *images) {
    cop_data_arrays a = cop_data_arrays_default();
    a.channels = C;
    a.height = H;
    a.width = W;
    a.split[COP_SPLIT_TRAIN] = (cop_split_arrays){TRAIN, images, s.label};
    a.split[COP_SPLIT_TEST] = (cop_split_arrays){TEST, images, s.label};
    return a;
}

static cop_data *create(cop_ctx *ctx, const cop_data_arrays *a) {
    cop_data *data;
    test_ok(ctx, cop_data_create(ctx, a, NULL, &data));
    return data;
}

/* The same pictures from IDX files (one channel) and from memory: the same splits, statistics and digest. */
static void arrays_equal_files(void **state) {
    (void)state;
    char dir[256];
    cop_ctx *ctx = test_ctx();
    test_dir_make(dir);
    make_idx(dir, TRAIN, TEST, H, W, CLASSES);
    cop_data *file;
    test_ok(ctx, cop_data_open(ctx, dir, NULL, &file));
    cop_data_arrays a = arrays(s.planes);
    a.channels = 1;
    cop_data *memory = create(ctx, &a);
    const cop_data_info *f = cop_data_get_info(file), *m = cop_data_get_info(memory);
    assert_string_equal(m->digest, f->digest);
    assert_memory_equal(m->images, f->images, sizeof m->images);
    assert_memory_equal(memory->index[COP_SPLIT_VALIDATION], file->index[COP_SPLIT_VALIDATION], 5 * sizeof(int64_t));
    assert_true(m->mean[0] == f->mean[0] && m->std[0] == f->std[0]);
    assert_string_equal(m->path, "arrays");
    assert_string_equal(m->format, "arrays");
    cop_data_destroy(file);
    cop_data_destroy(memory);
    test_dir_remove(dir);
    test_ctx_destroy(ctx);
}

static void layouts_give_the_same(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_data_arrays a = arrays(s.planes), b = arrays(s.interleaved);
    b.layout = COP_LAYOUT_NHWC;
    cop_data *planes = create(ctx, &a), *interleaved = create(ctx, &b);
    assert_string_equal(planes->info.digest, interleaved->info.digest);
    cop_data_destroy(planes);
    cop_data_destroy(interleaved);
    test_ctx_destroy(ctx);
}

static void floats_stay_as_they_are(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_data_arrays a = arrays(s.real);
    a.type = COP_PIXEL_F32;
    cop_data *data = create(ctx, &a);
    assert_memory_equal(data->images[COP_SPLIT_TRAIN].real, s.real, sizeof s.real);
    assert_null(data->images[COP_SPLIT_TRAIN].pixels);
    cop_data_destroy(data);
    test_ctx_destroy(ctx);
}

static void everything_is_copied(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    char name[2][8] = {"cat", "dog"}, path[] = "pets";
    const char *names[] = {name[0], name[1]};
    uint8_t image[4] = {1, 2, 3, 4};
    int32_t label[4] = {0, 1, 0, 1};
    cop_data_arrays a = cop_data_arrays_default();
    a.name = path;
    a.channels = a.height = a.width = 1;
    a.classes = 2;
    a.class_name = names;
    a.split[COP_SPLIT_TRAIN] = (cop_split_arrays){4, image, label};
    a.split[COP_SPLIT_VALIDATION] = (cop_split_arrays){2, image, label};
    cop_data *data = create(ctx, &a);
    memset(name, 'x', sizeof name);
    memset(path, 'x', sizeof path);
    memset(image, 0, sizeof image);
    memset(label, 0, sizeof label);
    assert_string_equal(data->info.class_name[1], "dog");
    assert_string_equal(data->info.path, "pets");
    assert_memory_equal(data->images[COP_SPLIT_TRAIN].pixels, ((uint8_t[]){1, 2, 3, 4}), 4);
    assert_int_equal(data->images[COP_SPLIT_TRAIN].label[3], 1);
    assert_int_equal(data->info.images[COP_SPLIT_TRAIN], 4); /* a validation split is given: none is carved */
    assert_int_equal(data->info.images[COP_SPLIT_VALIDATION], 2);
    assert_int_equal(data->info.images[COP_SPLIT_TEST], 0);
    cop_data_destroy(data);
    test_ctx_destroy(ctx);
}

static void refuse(cop_ctx *ctx, const cop_data_arrays *a, const cop_data_options *o, cop_status status,
                   const char *part) {
    cop_data *data = (cop_data *)ctx;
    test_fails(ctx, cop_data_create(ctx, a, o, &data), status, part);
    assert_null(data);
}

static void bad_arrays_are_named(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    const char *const names[] = {"a", NULL, "c", "d", "e"};
    cop_data_arrays a = arrays(s.planes);
#define REFUSE(change, status, part)                                                                                 \
    do {                                                                                                             \
        a = arrays(s.planes);                                                                                        \
        change;                                                                                                      \
        refuse(ctx, &a, NULL, status, part);                                                                         \
    } while (0)
    REFUSE(a.size = 0, COP_E_ARG, "data_arrays.size is 0; start from cop_data_arrays_default()");
    REFUSE(a.channels = 0, COP_E_RANGE, "0 channels");
    REFUSE(a.height = -1, COP_E_RANGE, "data_arrays: declares images of");
    REFUSE(a.type = (cop_pixel)7, COP_E_RANGE, "type is 7");
    REFUSE(a.layout = (cop_layout)2, COP_E_RANGE, "layout is 2");
    REFUSE(a.split[0].count = 0, COP_E_FORMAT, "arrays: there are no training images");
    REFUSE(a.split[0].count = INT64_MAX, COP_E_RANGE, "train: declares 9223372036854775807 images");
    REFUSE(a.split[2].count = -1, COP_E_RANGE, "test: count is -1");
    REFUSE(a.split[2].images = NULL, COP_E_ARG, "test: count is 9, but images is NULL");
    REFUSE(a.split[0].label = NULL, COP_E_ARG, "train: count is 50, but label is NULL");
    REFUSE(a.classes = 3, COP_E_RANGE, "arrays: train: image 3 has label 3; the 3 classes are 0 to 2");
    REFUSE(a.classes = -1, COP_E_RANGE, "there are -1 classes");
    REFUSE(a.class_name = names, COP_E_ARG, "class_name is given, but classes is 0");
    REFUSE((a.class_name = names, a.classes = CLASSES), COP_E_ARG, "class_name[1] is NULL");
    static float bad[TRAIN * ITEM];
    bad[3 * ITEM + 1] = NAN;
    REFUSE((a.type = COP_PIXEL_F32, a.split[0].images = bad), COP_E_RANGE, "train: image 3 has a pixel that is NaN");
#undef REFUSE
    a = arrays(s.planes);
    cop_data_options o = cop_data_options_default();
    o.format = "idx";
    refuse(ctx, &a, &o, COP_E_ARG, "arrays have no format");
    o = cop_data_options_default();
    o.height = 28;
    refuse(ctx, &a, &o, COP_E_UNSUPPORTED, "arrays images are 2x5 and are not resized");
    test_ctx_destroy(ctx);
}

static cop_status create_and_destroy(cop_ctx *ctx, void *user) {
    cop_data *data;
    cop_status status = cop_data_create(ctx, user, NULL, &data);
    cop_data_destroy(data);
    return status;
}

static void memory_that_runs_out(void **state) {
    (void)state;
    cop_data_arrays a = arrays(s.planes);
    assert_true(test_out_of_memory(create_and_destroy, &a) > 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_equal_files),      cmocka_unit_test(layouts_give_the_same),
        cmocka_unit_test(floats_stay_as_they_are), cmocka_unit_test(everything_is_copied),
        cmocka_unit_test(bad_arrays_are_named),    cmocka_unit_test(memory_that_runs_out),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
