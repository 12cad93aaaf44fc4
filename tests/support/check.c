#include "check.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* An allocator that counts, and fails when told to. */
typedef struct counter {
    int64_t live, made, fail_at; /* fail_at: which allocation fails, 1-based; 0: none */
} counter;

#define MOST                                                                                                         \
    ((size_t)1 << 32) /* bytes: no test needs more, and a system that overcommits would grant it and then kill */

static void *counted_alloc(void *user, size_t size) {
    counter *c = user;
    if (++c->made == c->fail_at) return NULL;
    if (size > MOST) return NULL;
    void *block = malloc(size);
    if (block) {
        memset(block, 0xa5, size); /* memory that happens to be zero hides mistakes */
        c->live++;
    }
    return block;
}

static void counted_free(void *user, void *block) {
    counter *c = user;
    if (block) c->live--;
    free(block);
}

/* The counter of a test context is found again through the options' user pointer, kept beside the context. */
typedef struct entry {
    cop_ctx *ctx;
    counter *counter;
    struct entry *next;
} entry;
static entry *entries;

static cop_status counted_ctx(counter *c, cop_ctx **ctx) {
    cop_ctx_options o = cop_ctx_options_default();
    o.allocator = (cop_allocator){counted_alloc, counted_free, c};
    return cop_ctx_create(&o, ctx);
}

cop_ctx *test_ctx(void) {
    entry *e = calloc(1, sizeof *e);
    counter *c = calloc(1, sizeof *c);
    assert_non_null(e);
    assert_non_null(c);
    assert_int_equal(counted_ctx(c, &e->ctx), COP_OK);
    e->counter = c;
    e->next = entries;
    entries = e;
    return e->ctx;
}

void test_ctx_destroy(cop_ctx *ctx) {
    entry **at = &entries;
    while (*at && (*at)->ctx != ctx) at = &(*at)->next;
    assert_non_null(*at);
    entry *e = *at;
    *at = e->next;
    cop_ctx_destroy(ctx);
    int64_t live = e->counter->live;
    free(e->counter);
    free(e);
    if (live) fail_msg("%lld blocks were not freed", (long long)live);
}

void test_ok_at(cop_ctx *ctx, cop_status got, const char *call, const char *file, int line) {
    if (got == COP_OK) return;
    print_error("%s\n  gave '%s': %s\n", call, cop_status_text(got), cop_error(ctx));
    _fail(file, line);
}

void test_fails_at(cop_ctx *ctx, cop_status got, cop_status status, const char *part, const char *call,
                   const char *file, int line) {
    const char *text = cop_error(ctx);
    bool right = got == status && *text && !strchr(text, '\n') && (!part || strstr(text, part));
    if (right) return;
    print_error("%s\n  gave '%s': %s\n  want '%s' with: %s\n", call, cop_status_text(got), text,
                cop_status_text(status), part ? part : "(any line)");
    _fail(file, line);
}

void test_near_at(double got, double want, double relative, double absolute, const char *what, const char *file,
                  int line) {
    if (isfinite(got) && isfinite(want) && fabs(got - want) <= absolute + relative * fabs(want)) return;
    print_error("%s is %.9g, want %.9g (off by %.3g, allowed %.3g)\n", what, got, want, got - want,
                absolute + relative * fabs(want));
    _fail(file, line);
}

int64_t test_out_of_memory(cop_status (*work)(cop_ctx *ctx, void *user), void *user) {
    for (int64_t fail_at = 0;; fail_at++) {
        counter c = {0};
        cop_ctx *ctx;
        assert_int_equal(counted_ctx(&c, &ctx), COP_OK);
        c.made = 0;
        c.fail_at = fail_at + 1;
        cop_status status = work(ctx, user);
        if (status && status != COP_E_NOMEM)
            fail_msg("allocation %lld failed: '%s': %s", (long long)c.fail_at, cop_status_text(status),
                     cop_error(ctx));
        if (status && !strstr(cop_error(ctx), "out of memory"))
            fail_msg("allocation %lld failed, and the error says: %s", (long long)c.fail_at, cop_error(ctx));
        if (!status && c.made >= c.fail_at) fail_msg("allocation %lld failed unnoticed", (long long)c.fail_at);
        cop_ctx_destroy(ctx);
        if (c.live) fail_msg("allocation %lld failed: %lld blocks left", (long long)c.fail_at, (long long)c.live);
        if (!status) return c.made;
    }
}

void test_dir_make(char *path) {
    const char *base = getenv("TMPDIR");
    int n = snprintf(path, 256, "%s/coppice-test-XXXXXX", base && *base ? base : "/tmp");
    assert_in_range(n, 1, 255);
    assert_non_null(mkdtemp(path));
}

void test_dir_remove(const char *path) {
    DIR *dir = opendir(path);
    if (!dir) return;
    for (struct dirent *e; (e = readdir(dir));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        char inner[1024];
        assert_in_range(snprintf(inner, sizeof inner, "%s/%s", path, e->d_name), 1, sizeof inner - 1);
        struct stat st;
        if (!lstat(inner, &st) && S_ISDIR(st.st_mode))
            test_dir_remove(inner);
        else
            unlink(inner);
    }
    closedir(dir);
    rmdir(path);
}
