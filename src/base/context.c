/* _GNU_SOURCE for sched_getaffinity: a container or taskset often grants fewer processors than the machine has. */
#if defined(__linux__)
#define _GNU_SOURCE
#include <sched.h>
#endif
#include "base/context.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int available_processors(void) {
#if defined(__linux__)
    /* A machine may have more processors than a fixed cpu_set_t can name: grow the set until the kernel accepts
     * it. */
    for (int processors = CPU_SETSIZE; processors <= 1 << 20; processors *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)processors);
        if (!set) break;
        size_t bytes = CPU_ALLOC_SIZE((size_t)processors);
        int n = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (n > 0) return n;
    }
#endif
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

void cop_ctx_options_init(cop_ctx_options *options, size_t size) {
    const cop_ctx_options usual = {.size = sizeof usual, .seed = 1};
    copi_struct_init(options, size, &usual, sizeof usual);
}

cop_status cop_ctx_create(const cop_ctx_options *options, cop_ctx **ctx) {
    if (!ctx) return COP_E_ARG;
    *ctx = NULL;
    cop_ctx_options o = options ? *options : cop_ctx_options_default();
    if (COPI_CHECK(NULL, cop_ctx_options, &o)) return COP_E_ARG;
    if (!o.allocator.alloc != !o.allocator.free) return COP_E_ARG;
    if (o.threads < 0 || o.jobs < 0) return COP_E_RANGE;
    cop_ctx *made = o.allocator.alloc ? o.allocator.alloc(o.allocator.user, sizeof *made) : malloc(sizeof *made);
    if (!made) return COP_E_NOMEM;
    memset(made, 0, sizeof *made);
    if (!o.threads) o.threads = available_processors();
    made->options = o;
    *ctx = made;
    return COP_OK;
}

void cop_ctx_destroy(cop_ctx *ctx) {
    if (!ctx) return;
    cop_allocator a = ctx->options.allocator;
    if (a.free)
        a.free(a.user, ctx);
    else
        free(ctx);
}

int copi_threads(const cop_ctx *ctx) {
    return ctx->options.threads;
}
int copi_jobs(const cop_ctx *ctx) {
    return ctx->options.jobs;
}
uint64_t copi_seed(const cop_ctx *ctx) {
    return ctx->options.seed;
}
bool copi_cancelled(cop_ctx *ctx) {
    return ctx->options.cancel && ctx->options.cancel(ctx->options.user);
}

double copi_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void copi_progress_trial(cop_ctx *ctx, const char *label, int trial, int trials) {
    snprintf(ctx->label, sizeof ctx->label, "%s", label ? label : "");
    ctx->trial = trial;
    ctx->trials = trials;
}

void copi_progress(cop_ctx *ctx, const cop_progress *progress) {
    if (!ctx->options.progress) return;
    bool end = progress->total > 0 && progress->done >= progress->total;
    double now = copi_now();
    if (!end && ctx->progress_any && now - ctx->progress_at < 0.1) return;
    ctx->progress_at = now;
    ctx->progress_any = true;
    cop_progress p = *progress;
    p.label = ctx->label;
    p.trial = ctx->trial;
    p.trials = ctx->trials;
    ctx->options.progress(ctx->options.user, &p);
}
