/* Image folders, the decoders and the resizing. */
#include "make.h"

#include <math.h>

enum { H = 6, W = 8 };

static char dir[256];
static uint8_t colour[H * W * 3], gray[H * W * 3];

static int setup(void **state) {
    (void)state;
    test_dir_make(dir);
    for (size_t i = 0; i < sizeof colour; i++) colour[i] = pattern(i);
    for (size_t i = 0; i < sizeof gray; i++) gray[i] = pattern(i / 3 + 7);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    test_dir_remove(dir);
    return 0;
}

/* train and test with classes "a cat" (1 + 1 pictures) and "dog" (2 + 1); train/dog/2 is a JPEG. */
static void make_set(bool first_gray, bool others_gray) {
    static const char *const folders[] = {"train", "train/a cat", "train/dog", "test", "test/dog", "test/a cat"};
    for (size_t i = 0; i < COPI_COUNT(folders); i++) make_folder(in(dir, folders[i]));
    make_png(in(dir, "train/a cat/1.png"), first_gray ? gray : colour, W, H, first_gray);
    make_png(in(dir, "train/dog/1.PNG"), others_gray ? gray : colour, W, H, others_gray);
    make_jpeg(in(dir, "train/dog/2.jpeg"), others_gray ? gray : colour, W, H, others_gray);
    make_png(in(dir, "test/dog/x.png"), others_gray ? gray : colour, W, H, others_gray);
    make_png(in(dir, "test/a cat/x.png"), others_gray ? gray : colour, W, H, others_gray);
    make_text(in(dir, "train/dog/notes.txt"), "not a picture: left alone");
    make_text(in(dir, "train/dog/.hidden.png"), "nor this");
    make_text(in(dir, "train/README"), "nor this");
}

static void assert_planes(const uint8_t *got, const uint8_t *rgb, int channels) {
    for (int c = 0; c < channels; c++) {
        for (int k = 0; k < H * W; k++) assert_int_equal(got[c * H * W + k], rgb[k * 3 + c]);
    }
}

static void reads_what_was_written(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_data *data;
    make_set(false, false);
    test_ok(ctx, cop_data_open(ctx, dir, NULL, &data));
    const cop_data_info *info = cop_data_get_info(data);
    assert_string_equal(info->format, "folder");
    assert_int_equal(info->channels, 3);
    assert_int_equal(info->height, H);
    assert_int_equal(info->width, W);
    assert_int_equal(info->classes, 2);
    assert_string_equal(info->class_name[0], "a cat");
    assert_string_equal(info->class_name[1], "dog");
    const copi_images *train = &data->images[COP_SPLIT_TRAIN];
    assert_int_equal(train->count, 3);
    assert_int_equal(train->label[0], 0);
    assert_int_equal(train->label[1], 1);
    assert_int_equal(train->label[2], 1);
    assert_planes(train->pixels, colour, 3);
    assert_planes(train->pixels + 3 * H * W, colour, 3);
    assert_int_equal(info->images[COP_SPLIT_TRAIN] + info->images[COP_SPLIT_VALIDATION], 3);
    assert_int_equal(info->class_images[COP_SPLIT_TEST][1], 1);
    cop_data_destroy(data);

    make_folder(in(dir, "valid")); /* a validation split under one of its names */
    make_folder(in(dir, "valid/dog"));
    make_png(in(dir, "valid/dog/1.png"), gray, W, H, true);
    test_ok(ctx, cop_data_open(ctx, dir, NULL, &data));
    assert_int_equal(data->info.images[COP_SPLIT_TRAIN], 3);
    assert_int_equal(data->info.images[COP_SPLIT_VALIDATION], 1);
    assert_int_equal(data->info.class_images[COP_SPLIT_VALIDATION][0], 0);
    assert_planes(data->images[COP_SPLIT_VALIDATION].pixels, gray, 3); /* gray among colour: three equal planes */
    cop_data_destroy(data);
    test_ctx_destroy(ctx);
}

/* JPEG is lossy: a smooth picture comes back within a few steps at quality 95. */
static void jpeg_of_a_smooth_picture(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    copi_image image;
    uint8_t rgb[16 * 16 * 3], *bytes;
    size_t n;
    for (size_t i = 0; i < sizeof rgb; i++) rgb[i] = (uint8_t)(20 + i / 48 * 6 + i % 3 * 40 + i / 3 % 16 * 3);
    copi_image_init(ctx, &image);
    for (int as_gray = 0; as_gray < 2; as_gray++) {
        make_jpeg(in(dir, "smooth.jpg"), rgb, 16, 16, as_gray);
        test_ok(ctx, copi_read_file(ctx, in(dir, "smooth.jpg"), 0, &bytes, &n));
        test_ok(ctx, copi_image_decode(&image, "smooth.jpg", bytes, n));
        assert_int_equal(image.gray, as_gray);
        for (size_t i = 0; i < sizeof rgb; i++) {
            const uint8_t *p = rgb + i / 3 * 3;
            double want = as_gray ? 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2] : rgb[i];
            assert_true(fabs(image.rgb[i] - want) <= 4);
        }
        copi_free(ctx, bytes);
    }
    copi_image_clear(&image);
    test_ctx_destroy(ctx);
}

static void gray_stays_gray_unless_colour_comes(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_data *data;
    make_set(true, true);
    test_ok(ctx, cop_data_open(ctx, dir, NULL, &data));
    assert_int_equal(data->info.channels, 1);
    assert_planes(data->images[COP_SPLIT_TRAIN].pixels, gray, 1);
    assert_planes(data->images[COP_SPLIT_TEST].pixels, gray, 1);
    cop_data_destroy(data);
    make_png(in(dir, "test/dog/x.png"), colour, W, H, false); /* the very last picture */
    test_ok(ctx, cop_data_open(ctx, dir, NULL, &data));
    assert_int_equal(data->info.channels, 3);
    assert_planes(data->images[COP_SPLIT_TRAIN].pixels, gray, 3);
    assert_planes(data->images[COP_SPLIT_TEST].pixels + 3 * H * W, colour, 3);
    cop_data_destroy(data);
    test_ctx_destroy(ctx);
}

/* The definition in doubles: out(y,x) = the mean of in, weighted by a triangle around the pixel's place. */
static double reference(const uint8_t *rgb, int h, int w, int oh, int ow, int c, int y, int x) {
    double sy = (double)h / oh, sx = (double)w / ow, ry = sy > 1 ? sy : 1, rx = sx > 1 ? sx : 1, sum = 0, all = 0;
    for (int i = 0; i < h; i++) {
        double wy = fmax(0, 1 - fabs(i + 0.5 - (y + 0.5) * sy) / ry);
        for (int j = 0; j < w; j++) {
            double weight = wy * fmax(0, 1 - fabs(j + 0.5 - (x + 0.5) * sx) / rx);
            sum += weight * rgb[(i * w + j) * 3 + c];
            all += weight;
        }
    }
    return sum / all;
}

static void resizing_is_what_it_says(void **state) {
    (void)state;
    static const int size[][2] = {{6, 8}, {3, 4}, {12, 16}, {5, 3}, {1, 1}, {7, 2}, {6, 9}, {25, 25}};
    cop_ctx *ctx = test_ctx();
    copi_image image;
    uint8_t *bytes, out[3 * 25 * 25];
    size_t n;
    make_png(in(dir, "a.png"), colour, W, H, false);
    copi_image_init(ctx, &image);
    test_ok(ctx, copi_read_file(ctx, in(dir, "a.png"), 0, &bytes, &n));
    test_ok(ctx, copi_image_decode(&image, "a.png", bytes, n));
    for (size_t s = 0; s < COPI_COUNT(size); s++) {
        const int oh = size[s][0], ow = size[s][1];
        test_ok(ctx, copi_image_resize(&image, 3, oh, ow, out));
        for (int c = 0; c < 3; c++) {
            for (int y = 0; y < oh; y++) {
                for (int x = 0; x < ow; x++) {
                    double want = reference(colour, H, W, oh, ow, c, y, x);
                    /* rounded to a integer; sums of up to 8 + 8 floats under 256 add 16 * 256 * 2^-24 */
                    assert_true(fabs(out[(c * oh + y) * ow + x] - want) <= 0.5 + 2.5e-4);
                }
            }
        }
    }
    copi_free(ctx, bytes);
    copi_image_clear(&image);
    test_ctx_destroy(ctx);
}

static void options_set_the_size(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_data *data;
    cop_data_options options = cop_data_options_default();
    options.height = 4;
    options.width = 5;
    make_set(false, false);
    uint8_t wide[2 * 30 * 3];
    memset(wide, 9, sizeof wide);
    make_png(in(dir, "train/dog/3.png"), wide, 30, 2, false); /* a picture of another size */
    test_ok(ctx, cop_data_open(ctx, dir, &options, &data));
    assert_int_equal(data->info.height, 4);
    assert_int_equal(data->info.width, 5);
    assert_int_equal(data->images[COP_SPLIT_TRAIN].pixels[3 * 60], 9);
    for (int k = 0; k < 20; k++) {
        test_near(data->images[COP_SPLIT_TRAIN].pixels[k], reference(colour, H, W, 4, 5, 0, k / 5, k % 5), 0, 0.5003);
    }
    cop_data_destroy(data);
    test_ok(ctx, cop_data_open(ctx, dir, NULL, &data)); /* without: the first image's */
    assert_int_equal(data->info.height, H);
    cop_data_destroy(data);
    test_ctx_destroy(ctx);
}

static void bad_folders(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    make_set(false, false);
    make_folder(in(dir, "train/empty"));
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "train/empty: holds no .jpg, .jpeg or .png (0 other entries)");
    make_text(in(dir, "train/empty/a.webp"), "RIFF");
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "train/empty: holds no .jpg, .jpeg or .png (1 other entries)");
    test_dir_remove(in(dir, "train/empty"));
    make_folder(in(dir, "test/bird"));
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "test: class 'bird' has no folder in ");
    test_dir_remove(in(dir, "test"));
    make_folder(in(dir, "test"));
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "test: holds no class folders; images must lie in ");
    test_dir_remove(in(dir, "train"));
    open_fails(ctx, dir, NULL, COP_E_NOT_FOUND, "no data set was recognized");
    open_fails(ctx, dir, &(cop_data_options){.size = sizeof(cop_data_options), .format = "folder"}, COP_E_NOT_FOUND,
               "has no directory train/");
    test_ctx_destroy(ctx);
}

static void bad_pictures(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    make_set(false, false);
    const char *png = in(dir, "train/dog/1.PNG"), *jpeg = in(dir, "train/dog/2.jpeg");
    cut_file(jpeg, -40);
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "train/dog/2.jpeg: does not decode: Premature end of JPEG file");
    cut_file(jpeg, 30);
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "train/dog/2.jpeg: is a JPEG without a picture");
    cut_file(jpeg, 0);
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "train/dog/2.jpeg: is neither a JPEG nor a PNG");
    make_text(jpeg, "GIF89a and so on");
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "is neither a JPEG nor a PNG, whatever its name says");
    cut_file(png, -20);
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "train/dog/1.PNG: does not decode as PNG: ");
    make_png(png, colour, W, H, false);
    poke_file(png, 50, 0xee);
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "train/dog/1.PNG: does not decode as PNG: ");
    /* a header that promises 10,000 x 10,000 pixels (its checksum is right) and a file of 60 bytes */
    static const uint8_t big[] = {0x89, 'P', 'N', 'G',  '\r', '\n', 0x1a, '\n', 0,    0, 0, 13, 'I', 'H', 'D',
                                  'R',  0,   0,   0x27, 0x10, 0,    0,    0x27, 0x10, 8, 2, 0,  0,   0};
    uint8_t file[80] = {0};
    memcpy(file, big, sizeof big);
    uLong crc = crc32(0, big + 12, 17);
    for (int i = 0; i < 4; i++) file[sizeof big + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
    memcpy(file + sizeof big + 4, "\0\0\0\0IDAT\x35\xaf\x06\x1e", 12);
    make_file(png, file, sizeof file);
    open_fails(ctx, dir, NULL, COP_E_FORMAT, "declares 10000x10000 pixels, too many for its 80 bytes");
    test_ctx_destroy(ctx);
}

/* -- a long load can be watched and stopped -- */
static int watched, stopped;
static int64_t last_done, last_total;
static void watch(void *user, const cop_progress *p) {
    (void)user;
    watched++;
    assert_string_equal(p->phase, "load");
    last_done = p->done;
    last_total = p->total;
}
static int stop(void *user) {
    (void)user;
    return stopped;
}

static void watched_and_stopped(void **state) {
    (void)state;
    cop_ctx_options options = cop_ctx_options_default();
    cop_ctx *ctx;
    cop_data *data;
    make_set(false, false);
    options.progress = watch;
    options.cancel = stop;
    watched = stopped = 0;
    assert_int_equal(cop_ctx_create(&options, &ctx), COP_OK);
    test_ok(ctx, cop_data_open(ctx, dir, NULL, &data));
    assert_true(watched >= 1);
    assert_int_equal(last_done, 5);
    assert_int_equal(last_total, 5);
    cop_data_destroy(data);
    stopped = 1;
    open_fails(ctx, dir, NULL, COP_E_CANCELLED, "interrupted");
    cop_ctx_destroy(ctx);
}

static cop_status open_resized_and_close(cop_ctx *ctx, void *user) {
    cop_data_options options = cop_data_options_default();
    cop_data *data;
    options.height = options.width = 3; /* takes memory for the resizing too */
    cop_status status = cop_data_open(ctx, user, &options, &data);
    cop_data_destroy(data);
    return status;
}

static void memory_may_run_out(void **state) {
    (void)state;
    make_set(true, false);
    assert_true(test_out_of_memory(open_resized_and_close, dir) > 50);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_what_was_written, setup, teardown),
        cmocka_unit_test_setup_teardown(jpeg_of_a_smooth_picture, setup, teardown),
        cmocka_unit_test_setup_teardown(gray_stays_gray_unless_colour_comes, setup, teardown),
        cmocka_unit_test_setup_teardown(resizing_is_what_it_says, setup, teardown),
        cmocka_unit_test_setup_teardown(options_set_the_size, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_folders, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_pictures, setup, teardown),
        cmocka_unit_test_setup_teardown(watched_and_stopped, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_may_run_out, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
