/* Whole searches on a little data set, by a clock that other processes do not move. */
#ifndef COPPICE_TEST_WHOLE_H
#define COPPICE_TEST_WHOLE_H

#include "check.h"
#include "../study/squares.h"

#include <math.h>
#include <time.h>
#include <unistd.h>

/* The linker sends the library's clock_gettime here (tests/CMakeLists.txt). A search then plans by the processor time
 * that its work takes, which is the same on a busy machine. */
int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now) {
    return __real_clock_gettime(clock == CLOCK_MONOTONIC ? CLOCK_PROCESS_CPUTIME_ID : clock, now);
}

static cop_ctx *one_thread(int (*cancel)(void *user), void *user) {
    cop_ctx_options o = cop_ctx_options_default();
    o.threads = 1;
    o.cancel = cancel;
    o.user = user;
    cop_ctx *ctx;
    assert_int_equal(cop_ctx_create(&o, &ctx), COP_OK);
    return ctx;
}

static cop_auto_params asked_within(double budget) {
    static char data[600];
    snprintf(data, sizeof data, "%s", in("data", ""));
    cop_auto_params p = cop_auto_params_default();
    p.model = "seed-cnn";
    p.data = data;
    p.data_options.validation = 0.2;
    p.budget = budget;
    p.flip = p.shift = p.erase = 0; /* the place of the square is its class */
    return p;
}

/* The seconds that a search asks for when its budget is far too short. */
static double need(void) {
    static double seconds;
    if (!seconds) {
        cop_auto_params p = asked_within(0.001);
        cop_ctx *ctx = one_thread(NULL, NULL);
        test_fails(ctx, cop_auto_run(ctx, &p, in("short", ""), NULL), COP_E_REFUSED, "take about");
        assert_int_equal(sscanf(strstr(cop_error(ctx), "take about"), "take about %lf s", &seconds), 1);
        cop_ctx_destroy(ctx);
    }
    return seconds;
}

/* A budget of so many times half of that: less than two leave no room for a trial. */
static cop_auto_params asked(double times) {
    return asked_within(times * 0.5 * need());
}

static void same_file(const char *folder, const char *a, const char *b) {
    cop_ctx *ctx = test_ctx();
    uint8_t *x, *y;
    size_t n, k;
    test_ok(ctx, copi_read_file(ctx, in(folder, a), 0, &x, &n));
    test_ok(ctx, copi_read_file(ctx, in(folder, b), 0, &y, &k));
    assert_true(n == k);
    assert_memory_equal(x, y, n);
    copi_free(ctx, x);
    copi_free(ctx, y);
    test_ctx_destroy(ctx);
}

/* Each file of the frontier is the net that the summary says it is. */
static void check_nets(cop_ctx *ctx, const cop_auto_params *p, const char *folder, const cop_auto_summary *s) {
    cop_data *data;
    test_ok(ctx, cop_data_open(ctx, p->data, &p->data_options, &data));
    assert_true(s->nets > 0 && s->best >= 0 && s->best < s->nets);
    for (int i = 0; i < s->nets; i++) {
        cop_net *net;
        cop_net_info info;
        cop_eval eval;
        test_ok(ctx, cop_net_load(ctx, in(folder, s->net[i].file), &net));
        cop_net_get_info(net, &info);
        test_ok(ctx, cop_evaluate(net, data, COP_SPLIT_TEST, NULL, &eval));
        assert_true(info.sparsity == s->net[i].point.sparsity && eval.accuracy == s->net[i].point.accuracy_test);
        assert_true(info.macs_effective == s->net[i].point.macs_effective);
        if (i) assert_true(s->net[i].point.sparsity >= s->net[i - 1].point.sparsity);
        cop_net_destroy(net);
    }
    same_file(folder, s->net[s->best].file, "best.safetensors");
    cop_data_destroy(data);
}

#endif
