/* Context, errors, memory, buffer, reader, names. */
#if defined(__linux__)
#define _GNU_SOURCE /* sched_setaffinity */
#include <sched.h>
#endif
#include "check.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static int setup(void **state) {
    *state = test_ctx();
    return 0;
}

static int teardown(void **state) {
    test_ctx_destroy(*state);
    return 0;
}

/* -- context -- */

static void *never(void *user, size_t size) {
    (void)user, (void)size;
    return NULL;
}

static void no_free(void *user, void *block) {
    (void)user, (void)block;
}

static void context_options(void **state) {
    (void)state;
    cop_ctx *ctx = (cop_ctx *)&ctx;
    cop_ctx_options o = cop_ctx_options_default();
    assert_int_equal(o.seed, 1);
    assert_int_equal(cop_ctx_create(NULL, NULL), COP_E_ARG);
    o.threads = -1;
    assert_int_equal(cop_ctx_create(&o, &ctx), COP_E_RANGE);
    assert_null(ctx);
    o.threads = 3;
    o.allocator.alloc = never;
    assert_int_equal(cop_ctx_create(&o, &ctx), COP_E_ARG); /* alloc without free */
    o.allocator.free = no_free;
    assert_int_equal(cop_ctx_create(&o, &ctx), COP_E_NOMEM);
    assert_null(ctx);
    assert_non_null(cop_error(NULL));
    o.allocator = (cop_allocator){0};
    o.seed = 7;
    assert_int_equal(cop_ctx_create(&o, &ctx), COP_OK);
    assert_int_equal(copi_threads(ctx), 3);
    assert_int_equal(copi_seed(ctx), 7);
    assert_false(copi_cancelled(ctx));
    cop_ctx_destroy(ctx);
    cop_ctx_destroy(NULL);
    assert_int_equal(cop_ctx_create(NULL, &ctx), COP_OK);
    assert_true(copi_threads(ctx) >= 1);
    cop_ctx_destroy(ctx);
}

#if defined(__linux__)
static void threads_follow_the_affinity_mask(void **state) {
    (void)state;
    cpu_set_t was, one;
    if (sched_getaffinity(0, sizeof was, &was)) skip();
    CPU_ZERO(&one);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &was)) cpu++;
    CPU_SET(cpu, &one);
    cop_ctx *all, *single;
    assert_int_equal(cop_ctx_create(NULL, &all), COP_OK);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    cop_status status = cop_ctx_create(NULL, &single);
    sched_setaffinity(0, sizeof was, &was);
    assert_int_equal(status, COP_OK);
    assert_int_equal(copi_threads(all), CPU_COUNT(&was));
    assert_int_equal(copi_threads(single), 1);
    cop_ctx_destroy(all);
    cop_ctx_destroy(single);
}
#endif

static void statuses(void **state) {
    (void)state;
    assert_string_equal(cop_status_text(COP_OK), "ok");
    assert_string_equal(cop_status_text(COP_E_FORMAT), "malformed input");
    assert_string_equal(cop_status_text(COP_E_INTERNAL), "internal error");
    assert_string_equal(cop_status_text((cop_status)999), "unknown status");
    assert_string_equal(cop_version(), COP_VERSION);
}

static void error_is_one_bounded_line(void **state) {
    cop_ctx *ctx = *state;
    assert_string_equal(cop_error(ctx), "no error");
    assert_int_equal(copi_fail(ctx, COP_E_SHAPE, "conv3: %d\n\tchannels", 16), COP_E_SHAPE);
    assert_string_equal(cop_error(ctx), "conv3: 16  channels");
    assert_int_equal(copi_fail_in(ctx, COP_E_FORMAT, "file %s", "a.h5"), COP_E_FORMAT);
    assert_string_equal(cop_error(ctx), "file a.h5: conv3: 16  channels");
    assert_int_equal(copi_fail_in(ctx, COP_E_FORMAT, "file a.h5"), COP_E_FORMAT); /* not named twice */
    assert_string_equal(cop_error(ctx), "file a.h5: conv3: 16  channels");
    copi_fail(ctx, COP_E_ARG, "again %s", cop_error(ctx)); /* the argument is the text being replaced */
    assert_string_equal(cop_error(ctx), "again file a.h5: conv3: 16  channels");

    char text[5000];
    for (int shift = 0; shift < 3; shift++) { /* wherever the cut falls, no character is halved */
        memset(text, 'x', sizeof text);
        for (size_t i = (size_t)shift; i + 2 < sizeof text - 1; i += 2) memcpy(text + i, "\xc3\xa9", 2);
        text[sizeof text - 1] = '\0';
        copi_fail(ctx, COP_E_ARG, "%s", text);
        size_t n = strlen(cop_error(ctx));
        assert_in_range(n, 1000, 1023);
        assert_string_equal(cop_error(ctx) + n - 3, "...");
        assert_int_not_equal((unsigned char)cop_error(ctx)[n - 4], 0xc3);
    }
    assert_int_equal(copi_fail(NULL, COP_E_ARG, "nowhere to put it"), COP_E_ARG);
    assert_int_equal(copi_fail_in(NULL, COP_E_ARG, "nowhere"), COP_E_ARG);
}

typedef struct heard {
    int logs, reports, cancel;
    cop_log_level level;
    char text[64];
    cop_progress last;
    char label[300];
} heard;

static void on_log(void *user, cop_log_level level, const char *text) {
    heard *h = user;
    h->logs++;
    h->level = level;
    snprintf(h->text, sizeof h->text, "%s", text);
}

static void on_progress(void *user, const cop_progress *p) {
    heard *h = user;
    h->reports++;
    h->last = *p;
    snprintf(h->label, sizeof h->label, "%s", p->label);
}

static int on_cancel(void *user) {
    return ((heard *)user)->cancel;
}

static void callbacks(void **state) {
    (void)state;
    heard h = {0};
    cop_ctx_options o = {.size = sizeof(cop_ctx_options),
                         .seed = 1,
                         .log = on_log,
                         .progress = on_progress,
                         .cancel = on_cancel,
                         .user = &h};
    cop_ctx *ctx;
    assert_int_equal(cop_ctx_create(&o, &ctx), COP_OK);
    copi_log(ctx, COP_LOG_WARNING, "%d\nlines", 2);
    assert_int_equal(h.logs, 1);
    assert_int_equal(h.level, COP_LOG_WARNING);
    assert_string_equal(h.text, "2 lines");
    assert_false(copi_cancelled(ctx));
    h.cancel = 1;
    assert_true(copi_cancelled(ctx));

    double start = copi_now();
    for (int i = 1; i < 200000; i++)
        copi_progress(ctx, &(cop_progress){.phase = "train", .done = i, .total = 200000});
    double took = copi_now() - start;
    assert_in_range(h.reports, 1, 2 + (int)(took * 10)); /* the first at once, then at most ten a second */
    assert_string_equal(h.label, "");
    int before = h.reports;
    char label[400];
    memset(label, 'l', sizeof label);
    label[sizeof label - 1] = '\0';
    copi_progress_trial(ctx, label, 3, 9);
    label[0] = 'X'; /* it was copied */
    copi_progress(ctx, &(cop_progress){.phase = "train", .done = 200000, .total = 200000});
    assert_int_equal(h.reports, before + 1); /* the end is never held back */
    assert_int_equal(h.last.done, 200000);
    assert_int_equal(h.last.trial, 3);
    assert_int_equal(h.last.trials, 9);
    assert_int_equal(h.label[0], 'l');
    nanosleep(&(struct timespec){.tv_nsec = 120000000}, NULL);
    copi_progress_trial(ctx, NULL, 0, 0);
    copi_progress(ctx, &(cop_progress){.phase = "train", .done = 1, .total = 2});
    assert_int_equal(h.reports, before + 2);
    assert_string_equal(h.label, "");
    cop_ctx_destroy(ctx);
}

/* -- memory -- */

static void checked_products(void **state) {
    (void)state;
    size_t z = 0;
    int64_t i = 0;
    assert_true(copi_mul(SIZE_MAX / 3, 3, &z));
    assert_int_equal(z, SIZE_MAX / 3 * 3);
    assert_false(copi_mul(SIZE_MAX / 3 + 1, 3, &z));
    assert_true(copi_mul(SIZE_MAX, 0, &z));
    assert_int_equal(z, 0);
    assert_true(copi_add(SIZE_MAX - 1, 1, &z));
    assert_false(copi_add(SIZE_MAX, 1, &z));
    assert_true(copi_mul_i64(INT64_MAX, 1, &i));
    assert_false(copi_mul_i64(INT64_MAX / 2 + 1, 2, &i));
    assert_false(copi_mul_i64(-1, 2, &i));
    assert_false(copi_mul_i64(2, -1, &i));
    assert_true(copi_mul_i64(0, INT64_MAX, &i));
    assert_int_equal(i, 0);
}

static void blocks(void **state) {
    cop_ctx *ctx = *state; /* its allocator fills memory with 0xa5 */
    for (size_t n = 0; n < 200; n += 7) {
        unsigned char *b = copi_alloc(ctx, n, 3);
        assert_non_null(b);
        assert_int_equal((uintptr_t)b % COPI_ALIGN, 0);
        for (size_t i = 0; i < 3 * n; i++) assert_int_equal(b[i], 0);
        memset(b, 1, 3 * n);
        copi_free(ctx, b);
    }
    copi_free(ctx, NULL);
    assert_null(copi_alloc(ctx, SIZE_MAX / 2, 4));
    assert_non_null(strstr(cop_error(ctx), "out of memory"));
    assert_null(copi_alloc(ctx, SIZE_MAX - 8, 1)); /* the overhead would overflow */
    assert_null(copi_alloc(ctx, (size_t)PTRDIFF_MAX, 1));

    int32_t *g = copi_alloc(ctx, 2, sizeof *g);
    g[0] = 4, g[1] = 5;
    int32_t *more = copi_grow(ctx, g, 2, 100, sizeof *g);
    assert_non_null(more);
    assert_int_equal(more[1], 5);
    assert_int_equal(more[99], 0);
    assert_null(copi_grow(ctx, more, 100, SIZE_MAX, 4));
    assert_int_equal(more[1], 5); /* left alone */
    copi_free(ctx, more);
    assert_non_null(more = copi_grow(ctx, NULL, 0, 1, sizeof *more));
    copi_free(ctx, more);

    char *s = copi_format(ctx, "%s-%d", "abc", 12), *t = copi_strdup(ctx, "");
    assert_string_equal(s, "abc-12");
    assert_string_equal(t, "");
    copi_free(ctx, s);
    copi_free(ctx, t);
}

static void default_allocator(void **state) {
    (void)state;
    cop_ctx *ctx;
    assert_int_equal(cop_ctx_create(NULL, &ctx), COP_OK);
    float *b = copi_alloc(ctx, 1000, sizeof *b);
    assert_non_null(b);
    for (int i = 0; i < 1000; i++) assert_true(b[i] == 0);
    copi_free(ctx, b);
    cop_ctx_destroy(ctx);
}

static void buffer(void **state) {
    copi_buffer b;
    copi_buffer_init(&b, *state);
    assert_string_equal(b.data, "");
    copi_buffer_text(&b, "one ");
    copi_buffer_printf(&b, "%s %d", "two", 3);
    copi_buffer_add(&b, "\0z", 2);
    assert_int_equal(b.len, 11);
    assert_memory_equal(b.data, "one two 3\0z", 12);
    char big[3000];
    memset(big, 'q', sizeof big);
    big[sizeof big - 1] = '\0';
    copi_buffer_printf(&b, "%s", big); /* longer than the buffer's own scratch */
    assert_int_equal(b.len, 11 + 2999);
    assert_int_equal(b.data[b.len], 0);
    assert_int_equal(b.data[b.len - 1], 'q');
    for (int i = 0; i < 1000; i++) copi_buffer_text(&b, "0123456789");
    assert_int_equal(b.len, 11 + 2999 + 10000);
    assert_false(b.failed);
    copi_buffer_clear(&b);
    copi_buffer_clear(&b);
}

static cop_status fill_buffer(cop_ctx *ctx, void *user) {
    (void)user;
    copi_buffer b;
    copi_buffer_init(&b, ctx);
    for (int i = 0; i < 300; i++) copi_buffer_printf(&b, "%0*d", i % 7 ? 5 : 400, i);
    cop_status status = b.failed ? COP_E_NOMEM : COP_OK;
    if (!status) assert_int_equal(b.len, 257 * 5 + 43 * 400);
    copi_buffer_clear(&b);
    return status;
}

static void buffer_out_of_memory(void **state) {
    (void)state;
    assert_true(test_out_of_memory(fill_buffer, NULL) > 40);
}

/* -- reader -- */

static void reader(void **state) {
    (void)state;
    static const uint8_t bytes[] = {1, 0x12, 0x34, 0x56, 0x78, 0x78, 0x56, 0x34, 0x12, 8, 7, 6, 5, 4, 3, 2, 1, 9, 9};
    copi_reader r = copi_reader_make(bytes, sizeof bytes);
    uint8_t a = 0;
    uint32_t b = 0, c = 0;
    uint64_t d = 0;
    const uint8_t *view;
    assert_true(copi_read_u8(&r, &a) && copi_read_u32be(&r, &b) && copi_read_u32le(&r, &c) &&
                copi_read_u64le(&r, &d));
    assert_int_equal(a, 1);
    assert_int_equal(b, 0x12345678);
    assert_int_equal(c, 0x12345678);
    assert_int_equal(d, 0x0102030405060708);
    assert_true(copi_read_bytes(&r, 2, &view));
    assert_ptr_equal(view, bytes + 17);
    assert_true(copi_read_bytes(&r, 0, &view));
    assert_false(copi_read_u8(&r, &a));
    assert_int_equal(a, 0);
    assert_true(r.failed);
    assert_false(copi_read_bytes(&r, 0, &view)); /* failed once, failed for good */

    r = copi_reader_make(bytes, 3);
    assert_false(copi_read_u32le(&r, &b));
    r = copi_reader_make(bytes, sizeof bytes);
    assert_true(copi_read_u8(&r, &a));
    assert_false(copi_read_bytes(&r, SIZE_MAX, &view)); /* at + n would wrap */
    assert_null(view);
    r = copi_reader_make(NULL, 0);
    assert_false(copi_read_u8(&r, &a));
}

/* -- names -- */

static const char *const words[] = {"magnitude", "l1-filter", "l2-filter", "l2-neuron", "sss", NULL};
static const char *word(int i, const void *user) {
    return ((const char *const *)user)[i];
}

static const char *nearest(const char *w) {
    return copi_nearest(w, 5, word, words);
}

static void names(void **state) {
    (void)state;
    assert_string_equal(nearest("magnitud"), "magnitude");
    assert_string_equal(nearest("Magintude"), "magnitude");
    assert_string_equal(nearest("L1_filter"), "l1-filter");
    assert_string_equal(nearest("l2-filters"), "l2-filter");
    assert_string_equal(nearest("sst"), "sss");
    assert_string_equal(nearest("SSS"), "sss");
    assert_null(nearest("qqq"));
    assert_null(nearest("stt")); /* two letters off of three */
    assert_null(nearest("pruning"));
    assert_null(nearest(""));
    char endless[200];
    memset(endless, 'a', sizeof endless);
    endless[sizeof endless - 1] = '\0';
    assert_null(nearest(endless));
    assert_null(copi_nearest("x", 0, word, words));
    assert_int_equal(copi_index_of("l2-filter", words), 2);
    assert_int_equal(copi_index_of("L2-filter", words), -1);
    assert_true(copi_ends_with("a/b.SafeTensors", ".safetensors"));
    assert_false(copi_ends_with("tensors", ".safetensors"));
    assert_true(copi_ends_with("x", ""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(context_options),
#if defined(__linux__)
        cmocka_unit_test(threads_follow_the_affinity_mask),
#endif
        cmocka_unit_test(statuses),
        cmocka_unit_test_setup_teardown(error_is_one_bounded_line, setup, teardown),
        cmocka_unit_test(callbacks),
        cmocka_unit_test(checked_products),
        cmocka_unit_test_setup_teardown(blocks, setup, teardown),
        cmocka_unit_test(default_allocator),
        cmocka_unit_test_setup_teardown(buffer, setup, teardown),
        cmocka_unit_test(buffer_out_of_memory),
        cmocka_unit_test(reader),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
