/* The loader: what batch k holds follows from (data, options, k) alone; each epoch shows each image once; moved
 * images are exactly the image moved. */
#include "make.h"

#include <math.h>
#include <time.h>

enum { TRAIN = 103, H = 5, W = 6, C = 2, ITEM = C * H * W };

static cop_data data; /* put together here: the loader needs no files */
static cop_ctx *ctx;

static int setup(void **state) {
    (void)state;
    ctx = test_ctx();
    data = (cop_data){.ctx = ctx};
    data.info.path = "made here";
    data.info.format = "idx";
    data.info.channels = C;
    data.info.height = H;
    data.info.width = W;
    data.info.classes = TRAIN;
    copi_images *train = &data.images[COP_SPLIT_TRAIN];
    train->count = TRAIN;
    train->pixels = copi_alloc(ctx, TRAIN, ITEM);
    train->label = copi_alloc(ctx, TRAIN, sizeof(int32_t));
    data.index[COP_SPLIT_TRAIN] = copi_alloc(ctx, TRAIN, sizeof(int64_t));
    assert_true(train->pixels && train->label && data.index[COP_SPLIT_TRAIN]);
    for (int i = 0; i < TRAIN * ITEM; i++) train->pixels[i] = (uint8_t)(1 + (i * 37 + i / 101) % 255); /* none is 0 */
    for (int i = 0; i < TRAIN; i++) {
        train->label[i] = i; /* tells which image it is */
        data.index[COP_SPLIT_TRAIN][i] = (i * 10 + 3) % TRAIN;
    }
    data.info.images[COP_SPLIT_TRAIN] = TRAIN;
    data.from[COP_SPLIT_VALIDATION] = COP_SPLIT_VALIDATION;
    for (int c = 0; c < C; c++) {
        data.info.mean[c] = 0.25 + 0.1 * c;
        data.info.std[c] = 0.2 + 0.1 * c;
    }
    return 0;
}

static int teardown(void **state) {
    (void)state;
    copi_free(ctx, data.images[COP_SPLIT_TRAIN].pixels);
    copi_free(ctx, data.images[COP_SPLIT_TRAIN].real);
    copi_free(ctx, data.images[COP_SPLIT_TRAIN].label);
    copi_free(ctx, data.index[COP_SPLIT_TRAIN]);
    test_ctx_destroy(ctx);
    return 0;
}

/* Pixel (c, y, x) of image i, normalized; 0 outside. */
static float pixel(int i, int c, int y, int x) {
    if (y < 0 || y >= H || x < 0 || x >= W) return 0;
    int at = i * ITEM + (c * H + y) * W + x;
    const copi_images *train = &data.images[COP_SPLIT_TRAIN];
    double value = train->real ? (double)train->real[at] : train->pixels[at] / 255.0;
    return (float)((value - data.info.mean[c]) / data.info.std[c]);
}

/* x is image i, flipped or not, moved down and to the right. A float's normalization rounds three times. */
static bool is_moved(const float *x, int i, bool flip, int down, int right) {
    for (int c = 0; c < C; c++) {
        for (int y = 0; y < H; y++) {
            for (int k = 0; k < W; k++) {
                int column = k - right;
                float want = pixel(i, c, y - down, flip && column >= 0 && column < W ? W - 1 - column : column);
                if (fabsf(x[(c * H + y) * W + k] - want) > 4e-7f * (1 + fabsf(want))) return false;
            }
        }
    }
    return true;
}

static copi_loader *make(const copi_loader_options *options) {
    copi_loader *loader;
    test_ok(ctx, copi_loader_create(ctx, &data, options, &loader));
    return loader;
}

static void in_order_as_it_is(void **state) {
    (void)state;
    copi_loader *loader = make(&(copi_loader_options){.batch = 16});
    const float *x;
    const int32_t *label;
    int64_t n, seen = 0;
    assert_int_equal(copi_loader_steps_per_epoch(loader), 7);
    for (;;) {
        test_ok(ctx, copi_loader_next(loader, &x, &label, &n));
        if (!n) break;
        assert_int_equal(n, seen + 16 <= TRAIN ? 16 : TRAIN - seen);
        for (int64_t i = 0; i < n; i++, seen++) {
            assert_int_equal(label[i], (seen * 10 + 3) % TRAIN);
            assert_true(is_moved(x + i * ITEM, label[i], false, 0, 0));
        }
    }
    assert_int_equal(seen, TRAIN);
    assert_null(x);
    test_ok(ctx, copi_loader_next(loader, &x, &label, &n)); /* the end stays the end */
    assert_int_equal(n, 0);
    copi_loader_destroy(loader);
}

static void each_epoch_shows_each_image_once(void **state) {
    (void)state;
    enum { EPOCHS = 3, STEPS = 21 };
    copi_loader *loader = make(&(copi_loader_options){.batch = 16, .shuffle = true, .seed = 5, .steps = STEPS});
    const float *x;
    const int32_t *label;
    int32_t first[EPOCHS];
    int64_t n;
    for (int e = 0; e < EPOCHS; e++) {
        int seen[TRAIN] = {0}, in_place = 0;
        for (int64_t k = 0, at = 0; k < 7; k++) {
            test_ok(ctx, copi_loader_next(loader, &x, &label, &n));
            if (!k) first[e] = label[0] * TRAIN + label[1];
            for (int64_t i = 0; i < n; i++, at++) {
                seen[label[i]]++;
                in_place += label[i] == (at * 10 + 3) % TRAIN;
            }
        }
        for (int i = 0; i < TRAIN; i++) assert_int_equal(seen[i], 1);
        assert_true(in_place < 10); /* one is expected in place */
    }
    assert_true(first[0] != first[1] && first[1] != first[2]);
    test_ok(ctx, copi_loader_next(loader, &x, &label, &n));
    assert_int_equal(n, 0);
    copi_loader_destroy(loader);
}

static void a_last_batch_can_be_left_out(void **state) {
    (void)state;
    copi_loader *loader = make(&(copi_loader_options){.batch = 50, .drop_last = true, .steps = 5});
    const float *x;
    const int32_t *label;
    int64_t n;
    assert_int_equal(copi_loader_steps_per_epoch(loader), 2);
    for (int k = 0; k < 5; k++) {
        test_ok(ctx, copi_loader_next(loader, &x, &label, &n));
        assert_int_equal(n, 50);
        assert_int_equal(label[0], (k % 2 * 500 + 3) % TRAIN);
    }
    test_ok(ctx, copi_loader_next(loader, &x, &label, &n));
    assert_int_equal(n, 0);
    copi_loader_destroy(loader);
    loader = make(&(copi_loader_options){.batch = 4096}); /* larger than the split: one batch */
    test_ok(ctx, copi_loader_next(loader, &x, &label, &n));
    assert_int_equal(n, TRAIN);
    copi_loader_destroy(loader);
}

/* Every image that comes out is one of the 2 * 5 * 5 moves of its original, and all of them come about as often. */
static void moved_images_are_the_image_moved(void **state) {
    (void)state;
    enum { SHIFT = 2, SPAN = 2 * SHIFT + 1, MOVES = 2 * SPAN * SPAN, ROUNDS = 40 };
    int seen[MOVES] = {0};
    copi_loader *loader = make(&(copi_loader_options){
        .batch = TRAIN, .shuffle = true, .augment.flip = 1, .augment.shift = SHIFT, .seed = 9, .steps = ROUNDS});
    for (int k = 0; k < ROUNDS; k++) {
        const float *x;
        const int32_t *label;
        int64_t n;
        test_ok(ctx, copi_loader_next(loader, &x, &label, &n));
        for (int64_t i = 0; i < n; i++) {
            int found = -1;
            for (int m = 0; m < MOVES && found < 0; m++) {
                if (is_moved(x + i * ITEM, label[i], m % 2, m / 2 % SPAN - SHIFT, m / 2 / SPAN - SHIFT)) found = m;
            }
            assert_in_range(found, 0, MOVES - 1);
            seen[found]++;
        }
    }
    copi_loader_destroy(loader);
    double each = (double)TRAIN * ROUNDS / MOVES, chi = 0;
    for (int m = 0; m < MOVES; m++) chi += (seen[m] - each) * (seen[m] - each) / each;
    assert_true(chi < 49 + 5 * 10); /* 49 degrees of freedom: mean 49, deviation 9.9 */
}

/* What is erased is a square whose middle lies in the image, cut off at its edges; all else is as it was, and all
 * middles come. */
static void a_square_is_erased(void **state) {
    (void)state;
    enum { SIDE = 3, ROUNDS = 20 };
    int seen[H * W] = {0};
    const copi_loader_options plain = {.batch = TRAIN, .shuffle = true, .seed = 5, .steps = ROUNDS};
    copi_loader_options options = plain;
    options.augment.erase = SIDE;
    copi_loader *loader = make(&options), *whole = make(&plain);
    for (int k = 0; k < ROUNDS; k++) {
        const float *x, *y;
        const int32_t *label;
        int64_t n;
        test_ok(ctx, copi_loader_next(loader, &x, &label, &n));
        test_ok(ctx, copi_loader_next(whole, &y, &label, &n));
        for (int64_t i = 0; i < n; i++) {
            int found = -1;
            for (int m = 0; m < H * W && found < 0; m++) {
                bool fits = true;
                for (int j = 0; j < ITEM && fits; j++) {
                    int down = j / W % H - m / W, right = j % W - m % W;
                    bool inside = down >= -1 && down <= 1 && right >= -1 && right <= 1;
                    fits = x[i * ITEM + j] == (inside ? 0 : y[i * ITEM + j]);
                }
                if (fits) found = m;
            }
            assert_in_range(found, 0, H * W - 1);
            seen[found]++;
        }
    }
    copi_loader_destroy(loader);
    copi_loader_destroy(whole);
    double each = (double)TRAIN * ROUNDS / (H * W);
    for (int m = 0; m < H * W; m++) assert_true(fabs(seen[m] - each) < 6 * sqrt(each));
}

static void a_shift_out_of_sight(void **state) {
    (void)state;
    copi_loader *loader =
        make(&(copi_loader_options){.batch = TRAIN, .augment.shift = 1000000, .seed = 3, .steps = 20});
    int empty = 0, partly = 0;
    for (int k = 0; k < 20; k++) {
        const float *x;
        const int32_t *label;
        int64_t n;
        test_ok(ctx, copi_loader_next(loader, &x, &label, &n));
        for (int64_t i = 0; i < n; i++) {
            bool any = false;
            for (int j = 0; j < ITEM; j++) any |= x[i * ITEM + j] != 0;
            empty += !any;
            partly += any;
        }
    }
    assert_true(empty > 0 && partly > 0); /* moves reach as far as the image's longer side, which may hide it */
    copi_loader_destroy(loader);
}

static void batch_k_is_a_function_of_k(void **state) {
    (void)state;
    enum { STEPS = 25, BATCH = 16 };
    static float want[STEPS][BATCH * ITEM];
    static int32_t want_label[STEPS][BATCH];
    copi_loader_options options = {
        .batch = BATCH, .shuffle = true, .augment.flip = 1, .augment.shift = 1, .seed = 7, .steps = STEPS};
    const float *x;
    const int32_t *label;
    int64_t n;
    copi_loader *loader = make(&options);
    for (int k = 0; k < STEPS; k++) {
        test_ok(ctx, copi_loader_next(loader, &x, &label, &n));
        memcpy(want[k], x, (size_t)(n * ITEM) * sizeof *x);
        memcpy(want_label[k], label, (size_t)n * sizeof *label);
    }
    copi_loader_destroy(loader);
    for (int first = 0; first <= STEPS; first += 3) { /* go on from any step, at any pace */
        options.first_step = first;
        loader = make(&options);
        for (int k = first; k < STEPS; k++) {
            if (k % 5 == 0) nanosleep(&(struct timespec){.tv_nsec = 300000}, NULL);
            test_ok(ctx, copi_loader_next(loader, &x, &label, &n));
            assert_int_equal(n, k % 7 == 6 ? TRAIN % BATCH : BATCH);
            assert_memory_equal(x, want[k], (size_t)(n * ITEM) * sizeof *x);
            assert_memory_equal(label, want_label[k], (size_t)n * sizeof *label);
        }
        test_ok(ctx, copi_loader_next(loader, &x, &label, &n));
        assert_int_equal(n, 0);
        copi_loader_destroy(loader);
    }
    options.first_step = 0;
    options.seed = 8;
    loader = make(&options);
    test_ok(ctx, copi_loader_next(loader, &x, &label, &n));
    assert_memory_not_equal(label, want_label[0], BATCH * sizeof *label);
    copi_loader_destroy(loader);
}

static void a_batch_stays_until_the_next_call(void **state) {
    (void)state;
    copi_loader *loader = make(&(copi_loader_options){.batch = 1, .steps = 40});
    for (int k = 0; k < 40; k++) {
        const float *x;
        const int32_t *label;
        int64_t n;
        test_ok(ctx, copi_loader_next(loader, &x, &label, &n));
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL); /* the thread runs into its full ring */
        assert_int_equal(label[0], (k * 10 + 3) % TRAIN);
        assert_true(is_moved(x, label[0], false, 0, 0));
    }
    copi_loader_destroy(loader);
}

static void normalization_may_be_given(void **state) {
    (void)state;
    double mean[C] = {0.5, 0}, std[C] = {0, 1}; /* a channel without spread is divided by 1 */
    copi_loader *loader = make(&(copi_loader_options){.batch = 2, .mean = mean, .std = std});
    const float *x;
    const int32_t *label;
    int64_t n;
    mean[0] = std[1] = 77; /* the arrays are not looked at any more */
    test_ok(ctx, copi_loader_next(loader, &x, &label, &n));
    const uint8_t *src = data.images[COP_SPLIT_TRAIN].pixels + label[0] * ITEM;
    for (int k = 0; k < H * W; k++) {
        assert_true(x[k] == (float)(src[k] / 255.0 - 0.5));
        assert_true(x[H * W + k] == (float)(src[H * W + k] / 255.0));
    }
    copi_loader_destroy(loader);
}

/* mean and std are of the channels given out, in whatever order those are taken; whole planes at once, and line by
 * line (mirrored images). */
static void channels_may_be_reversed(void **state) {
    (void)state;
    const double mean[C] = {0.5, 0}, std[C] = {2, 1};
    copi_loader *loader = make(&(copi_loader_options){
        .batch = TRAIN, .mean = mean, .std = std, .order = COP_CHANNEL_ORDER_BGR, .augment.flip = 1, .seed = 4});
    const float *x;
    const int32_t *label;
    int64_t n, found[2] = {0};
    test_ok(ctx, copi_loader_next(loader, &x, &label, &n));
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *src = data.images[COP_SPLIT_TRAIN].pixels + label[i] * ITEM;
        for (int mirrored = 0; mirrored <= 1; mirrored++) {
            bool same = true;
            for (int k = 0; k < H * W; k++) {
                int from = mirrored ? k / W * W + W - 1 - k % W : k;
                same &= x[i * ITEM + k] == (float)((src[H * W + from] / 255.0 - 0.5) / 2);
                same &= x[i * ITEM + H * W + k] == (float)(src[from] / 255.0);
            }
            found[mirrored] += same;
        }
    }
    assert_int_equal(found[0] + found[1], n);
    assert_in_range(found[1], 1, n - 1);
    copi_loader_destroy(loader);
}

static void float_images(void **state) {
    (void)state;
    copi_images *train = &data.images[COP_SPLIT_TRAIN];
    train->real = copi_alloc(ctx, TRAIN * ITEM, sizeof(float));
    assert_non_null(train->real);
    for (int i = 0; i < TRAIN * ITEM; i++) train->real[i] = (float)train->pixels[i] / 64 - 1.5f;
    copi_free(ctx, train->pixels);
    train->pixels = NULL;
    for (int moved = 0; moved < 2; moved++) {
        copi_loader *loader =
            make(&(copi_loader_options){.batch = TRAIN, .augment.flip = moved, .augment.shift = moved, .seed = 4});
        const float *x;
        const int32_t *label;
        int64_t n;
        int plain = 0;
        test_ok(ctx, copi_loader_next(loader, &x, &label, &n));
        for (int64_t i = 0; i < n; i++) {
            bool found = false;
            for (int m = 0; m < 18; m++) {
                found |= is_moved(x + i * ITEM, label[i], m % 2, m / 2 % 3 - 1, m / 6 - 1);
            }
            assert_true(found);
            plain += is_moved(x + i * ITEM, label[i], false, 0, 0);
        }
        assert_true(moved ? plain < TRAIN / 4 : plain == TRAIN);
        copi_loader_destroy(loader);
    }
}

static void ends_cleanly_at_any_time(void **state) {
    (void)state;
    for (int taken = 0; taken < 60; taken++) {
        copi_loader *loader =
            make(&(copi_loader_options){.batch = 8, .shuffle = true, .augment.shift = 1, .steps = 1000000000});
        const float *x;
        const int32_t *label;
        int64_t n;
        for (int k = 0; k < taken % 12; k++) test_ok(ctx, copi_loader_next(loader, &x, &label, &n));
        copi_loader_destroy(loader);
    }
    copi_loader_destroy(NULL);
}

static void bad_options(void **state) {
    (void)state;
    copi_loader *loader;
    static const struct {
        copi_loader_options options;
        cop_status status;
        const char *text;
    } bad[] = {
        {{.batch = 0}, COP_E_RANGE, "batch is 0; it must be at least 1"},
        {{.batch = 1, .split = COP_SPLIT_VALIDATION}, COP_E_NOT_FOUND, "made here: has no validation images"},
        {{.batch = 1, .split = COP_SPLIT_TEST}, COP_E_NOT_FOUND, "has no test images"},
        {{.batch = 1, .split = (cop_split)7}, COP_E_RANGE, "there is no split 7"},
        {{.batch = 104, .drop_last = true}, COP_E_ARG, "batch is 104, the train split has only 103 images"},
        {{.batch = 1, .augment.shift = -1}, COP_E_RANGE, "shift is -1"},
        {{.batch = 1, .augment.erase = -1}, COP_E_RANGE, "erase is -1"},
        {{.batch = 1, .first_step = -1}, COP_E_ARG, "step -1 of 0"},
        {{.batch = 1, .steps = -5}, COP_E_ARG, "step 0 of -5"},
    };
    for (size_t i = 0; i < COPI_COUNT(bad); i++) {
        test_fails(ctx, copi_loader_create(ctx, &data, &bad[i].options, &loader), bad[i].status, bad[i].text);
        assert_null(loader);
    }
}

static cop_status create_and_destroy(cop_ctx *own, void *user) {
    copi_loader *loader;
    cop_status status = copi_loader_create(own, &data, user, &loader);
    copi_loader_destroy(loader);
    return status;
}

static void memory_may_run_out(void **state) {
    (void)state;
    copi_loader_options options = {.batch = 4};
    assert_true(test_out_of_memory(create_and_destroy, &options) >= 10);
}

/* Printed for the reader of the log: a figure, not a judgement of a busy machine. */
static void how_fast(void **state) {
    (void)state;
    enum { STEPS = 400 };
    copi_loader *loader = make(&(copi_loader_options){
        .batch = 64, .shuffle = true, .drop_last = true, .augment.flip = 1, .augment.shift = 2, .steps = STEPS});
    const float *x;
    const int32_t *label;
    int64_t n, images = 0;
    double begun = copi_now();
    do {
        test_ok(ctx, copi_loader_next(loader, &x, &label, &n));
        images += n;
    } while (n);
    double seconds = copi_now() - begun;
    assert_int_equal(images, STEPS * 64);
    print_message("loader: %.1f million pixels/s with flip and shift\n", (double)(images * ITEM) / seconds / 1e6);
    copi_loader_destroy(loader);
}

int main(void) {
#define TEST_ROW(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST_ROW(in_order_as_it_is),
        TEST_ROW(each_epoch_shows_each_image_once),
        TEST_ROW(a_last_batch_can_be_left_out),
        TEST_ROW(moved_images_are_the_image_moved),
        TEST_ROW(a_square_is_erased),
        TEST_ROW(a_shift_out_of_sight),
        TEST_ROW(batch_k_is_a_function_of_k),
        TEST_ROW(a_batch_stays_until_the_next_call),
        TEST_ROW(normalization_may_be_given),
        TEST_ROW(channels_may_be_reversed),
        TEST_ROW(float_images),
        TEST_ROW(ends_cleanly_at_any_time),
        TEST_ROW(bad_options),
        TEST_ROW(memory_may_run_out),
        TEST_ROW(how_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
