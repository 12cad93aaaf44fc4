/* Files: whole or not at all, errors with path and reason, full disks. */
#include "check.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct place {
    cop_ctx *ctx;
    char dir[256], file[300];
} place;

static int setup(void **state) {
    place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->ctx = test_ctx();
    test_dir_make(p->dir);
    snprintf(p->file, sizeof p->file, "%s/file", p->dir);
    *state = p;
    return 0;
}

static int teardown(void **state) {
    place *p = *state;
    test_dir_remove(p->dir);
    test_ctx_destroy(p->ctx);
    free(p);
    return 0;
}

static void expect_content(place *p, const char *want, size_t n) {
    uint8_t *bytes;
    size_t got;
    test_ok(p->ctx, copi_read_file(p->ctx, p->file, 0, &bytes, &got));
    assert_int_equal(got, n);
    assert_memory_equal(bytes, want, n);
    assert_int_equal(bytes[got], 0);
    copi_free(p->ctx, bytes);
}

static int entries_of(const char *dir) {
    char command[400];
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", dir);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    int n = -1;
    assert_int_equal(fscanf(f, "%d", &n), 1);
    pclose(f);
    return n;
}

static void write_and_read(void **state) {
    place *p = *state;
    test_ok(p->ctx, copi_write_file(p->ctx, p->file, "first", 5));
    expect_content(p, "first", 5);
    copi_atomic a;
    test_ok(p->ctx, copi_atomic_open(p->ctx, p->file, &a));
    copi_atomic_write(&a, "sec", 3);
    copi_atomic_printf(&a, "%s%d", "ond", 2);
    fflush(a.file);
    expect_content(p, "first", 5); /* the old one stands until the commit */
    test_ok(p->ctx, copi_atomic_commit(&a));
    copi_atomic_abort(&a); /* does nothing now */
    expect_content(p, "second2", 7);
    assert_int_equal(entries_of(p->dir), 1);
    struct stat st;
    mode_t mask = umask(0);
    umask(mask);
    assert_int_equal(stat(p->file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0666 & ~mask); /* as any file the user makes */
    test_ok(p->ctx, copi_write_file(p->ctx, p->file, NULL, 0));
    expect_content(p, "", 0);
}

/* What a link points to is written, and the link stays one. */
static void through_a_link(void **state) {
    place *p = *state;
    char *link = copi_format(p->ctx, "%s.link", p->file);
    struct stat st;
    test_ok(p->ctx, copi_write_file(p->ctx, p->file, "old", 3));
    assert_int_equal(symlink(p->file, link), 0);
    test_ok(p->ctx, copi_write_file(p->ctx, link, "new", 3));
    expect_content(p, "new", 3);
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(unlink(link), 0);
    copi_free(p->ctx, link);
}

static void abort_leaves_the_old(void **state) {
    place *p = *state;
    test_ok(p->ctx, copi_write_file(p->ctx, p->file, "old", 3));
    copi_atomic a;
    test_ok(p->ctx, copi_atomic_open(p->ctx, p->file, &a));
    copi_atomic_write(&a, "new", 3);
    copi_atomic_abort(&a);
    copi_atomic_abort(&a);
    copi_atomic_write(&a, "late", 4); /* closed: nothing happens */
    expect_content(p, "old", 3);
    assert_int_equal(entries_of(p->dir), 1);
}

static void two_writers(void **state) {
    place *p = *state;
    copi_atomic a, b;
    test_ok(p->ctx, copi_atomic_open(p->ctx, p->file, &a));
    test_ok(p->ctx, copi_atomic_open(p->ctx, p->file, &b));
    copi_atomic_write(&a, "aaaa", 4);
    copi_atomic_write(&b, "b", 1);
    test_ok(p->ctx, copi_atomic_commit(&a));
    test_ok(p->ctx, copi_atomic_commit(&b));
    expect_content(p, "b", 1);
}

static void relative_path(void **state) {
    place *p = *state;
    char was[1024];
    assert_non_null(getcwd(was, sizeof was));
    assert_int_equal(chdir(p->dir), 0);
    test_ok(p->ctx, copi_write_file(p->ctx, "file", "here", 4));
    assert_int_equal(chdir(was), 0);
    expect_content(p, "here", 4);
}

static void write_errors(void **state) {
    place *p = *state;
    char path[400];
    copi_atomic a;
    snprintf(path, sizeof path, "%s/missing/file", p->dir);
    test_fails(p->ctx, copi_write_file(p->ctx, path, "x", 1), COP_E_IO, "/missing/file: cannot write: No such file");
    test_fails(p->ctx, copi_atomic_open(p->ctx, p->dir, &a), COP_E_IO, "Is a directory");
    copi_atomic_abort(&a);
    test_fails(p->ctx, copi_atomic_open(p->ctx, "", &a), COP_E_IO, "cannot write");
    /* the directory vanishes before the commit */
    snprintf(path, sizeof path, "%s/sub", p->dir);
    test_ok(p->ctx, copi_make_dir(p->ctx, path));
    snprintf(path, sizeof path, "%s/sub/file", p->dir);
    test_ok(p->ctx, copi_atomic_open(p->ctx, path, &a));
    copi_atomic_write(&a, "x", 1);
    assert_int_equal(unlink(a.temporary), 0);
    test_fails(p->ctx, copi_atomic_commit(&a), COP_E_IO, "sub/file: cannot write: No such file");
    test_fails(p->ctx, copi_atomic_commit(&a), COP_E_INTERNAL, "not open");
}

/* A device is written to, not replaced; this one is always full. */
static void full_device(void **state) {
    place *p = *state;
    struct stat before, after;
    if (stat("/dev/full", &before)) skip();
    test_fails(p->ctx, copi_write_file(p->ctx, "/dev/full", "x", 1), COP_E_IO,
               "/dev/full: cannot write: No space left on device");
    copi_atomic a;
    test_ok(p->ctx, copi_atomic_open(p->ctx, "/dev/full", &a));
    for (int i = 0; i < 10000; i++) copi_atomic_printf(&a, "%d,", i); /* fails on the way already */
    assert_int_equal(a.error, ENOSPC);
    test_fails(p->ctx, copi_atomic_commit(&a), COP_E_IO, "No space left on device");
    test_ok(p->ctx, copi_atomic_open(p->ctx, "/dev/full", &a));
    copi_atomic_write(&a, "x", 1);
    copi_atomic_abort(&a);
    assert_int_equal(stat("/dev/full", &after), 0);
    assert_true(S_ISCHR(after.st_mode) && before.st_ino == after.st_ino);
    test_ok(p->ctx, copi_write_file(p->ctx, "/dev/null", "x", 1));
}

static void full_disk(void **state) {
    place *p = *state;
    test_ok(p->ctx, copi_write_file(p->ctx, p->file, "precious", 8));
    struct rlimit was, tight = {.rlim_cur = 10000, .rlim_max = RLIM_INFINITY};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    tight.rlim_max = was.rlim_max;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    static const char block[4096] = {1};
    copi_atomic a;
    cop_status opened = copi_atomic_open(p->ctx, p->file, &a);
    for (int i = 0; i < 10; i++) copi_atomic_write(&a, block, sizeof block);
    cop_status status = opened ? opened : copi_atomic_commit(&a);
    setrlimit(RLIMIT_FSIZE, &was);
    signal(SIGXFSZ, handler);
    test_fails(p->ctx, status, COP_E_IO, "file: cannot write: File too large");
    expect_content(p, "precious", 8);
    assert_int_equal(entries_of(p->dir), 1);
}

static void read_errors(void **state) {
    place *p = *state;
    uint8_t *bytes = (uint8_t *)p;
    size_t n = 9;
    test_fails(p->ctx, copi_read_file(p->ctx, p->file, 0, &bytes, &n), COP_E_IO, "cannot open: No such file");
    assert_null(bytes);
    assert_int_equal(n, 0);
    test_fails(p->ctx, copi_read_file(p->ctx, p->dir, 0, &bytes, &n), COP_E_FORMAT, "is a directory");
    test_ok(p->ctx, copi_write_file(p->ctx, p->file, "0123456789", 10));
    test_fails(p->ctx, copi_read_file(p->ctx, p->file, 9, &bytes, &n), COP_E_FORMAT, "has 10 bytes; at most 9");
    test_ok(p->ctx, copi_read_file(p->ctx, p->file, 10, &bytes, &n));
    assert_int_equal(n, 10);
    copi_free(p->ctx, bytes);
    test_fails(p->ctx, copi_read_file(p->ctx, "/dev/zero", 100000, &bytes, &n), COP_E_FORMAT, "more than the 100000");
}

static void read_pipe(void **state) { /* no size known beforehand */
    place *p = *state;
    assert_int_equal(mkfifo(p->file, 0600), 0);
    enum { N = 200000 };
    char command[700];
    snprintf(command, sizeof command, "head -c %d /dev/zero | tr '\\0' x >'%s' &", N, p->file);
    assert_int_equal(system(command), 0);
    uint8_t *bytes;
    size_t n;
    test_ok(p->ctx, copi_read_file(p->ctx, p->file, 0, &bytes, &n));
    assert_int_equal(n, N);
    assert_int_equal(bytes[N - 1], 'x');
    assert_int_equal(bytes[N], 0);
    copi_free(p->ctx, bytes);
}

static void directories(void **state) {
    place *p = *state;
    char path[400];
    struct stat st;
    snprintf(path, sizeof path, "%s/a/b//c/", p->dir);
    test_ok(p->ctx, copi_make_dir(p->ctx, path));
    test_ok(p->ctx, copi_make_dir(p->ctx, path));
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    test_ok(p->ctx, copi_make_dir(p->ctx, "/"));
    test_ok(p->ctx, copi_make_dir(p->ctx, "."));
    test_ok(p->ctx, copi_write_file(p->ctx, p->file, "x", 1));
    test_fails(p->ctx, copi_make_dir(p->ctx, p->file), COP_E_IO, "cannot create the directory: Not a directory");
    snprintf(path, sizeof path, "%s/under", p->file);
    test_fails(p->ctx, copi_make_dir(p->ctx, path), COP_E_IO, "Not a directory");
    test_fails(p->ctx, copi_make_dir(p->ctx, ""), COP_E_IO, "cannot create the directory");
}

static cop_status all_of_it(cop_ctx *ctx, void *user) {
    place *p = user;
    uint8_t *bytes;
    size_t n;
    cop_status status = copi_make_dir(ctx, p->dir);
    if (!status) status = copi_write_file(ctx, p->file, "x", 1);
    if (!status) status = copi_read_file(ctx, p->file, 0, &bytes, &n);
    if (!status) copi_free(ctx, bytes);
    copi_file f;
    if (!status) status = copi_file_open(ctx, p->file, &f);
    if (!status) copi_file_close(&f);
    return status;
}

/* What was asked for is there, read once; the rest is read straight into other memory, or not at all. */
static void read_what_is_needed(void **state) {
    place *p = *state;
    enum { N = 3 * 4096 + 100 };
    static uint8_t content[N], got[N];
    copi_file f;
    for (int i = 0; i < N; i++) content[i] = (uint8_t)(1 + i % 251);
    test_ok(p->ctx, copi_write_file(p->ctx, p->file, content, N));
    test_ok(p->ctx, copi_file_open(p->ctx, p->file, &f));
    assert_int_equal(f.size, N);
    test_ok(p->ctx, copi_file_need(&f, f.bytes + 4000, 200));
    assert_memory_equal(f.bytes + 4000, content + 4000, 200);
    assert_int_equal(f.bytes[2 * 4096], 0); /* not yet */
    test_ok(p->ctx, copi_file_read(&f, f.bytes + 5000, N - 5000, got));
    assert_memory_equal(got, content + 5000, N - 5000);
    assert_int_equal(f.bytes[2 * 4096], 0);
    assert_true(copi_file_holds(&f, f.bytes + N - 1) && !copi_file_holds(&f, f.bytes + N) &&
                !copi_file_holds(&f, got));
    assert_int_equal(truncate(p->file, 6000), 0);
    test_ok(p->ctx, copi_file_need(&f, f.bytes, 8192)); /* there already */
    test_fails(p->ctx, copi_file_need(&f, f.bytes, N), COP_E_IO, "was truncated while it was read");
    test_fails(p->ctx, copi_file_read(&f, f.bytes + 5900, 200, got), COP_E_IO, p->file);
    test_ok(p->ctx, copi_file_need(&f, f.bytes, 0));
    copi_file_close(&f);
    test_fails(p->ctx, copi_file_open(p->ctx, p->dir, &f), COP_E_FORMAT, "directory");
    assert_int_equal(unlink(p->file), 0);
    test_fails(p->ctx, copi_file_open(p->ctx, p->file, &f), COP_E_IO, "cannot open");
    copi_file memory = copi_file_of(p->ctx, content, N);
    test_ok(p->ctx, copi_file_need(&memory, content, N));
    test_ok(p->ctx, copi_file_read(&memory, content + 7, 5, got));
    assert_memory_equal(got, content + 7, 5);
    copi_use_large_pages(content, N); /* a hint, wherever it is */
}

static void out_of_memory(void **state) {
    place *p = *state;
    assert_true(test_out_of_memory(all_of_it, p) >= 4);
    assert_int_equal(entries_of(p->dir), 1); /* no temporary is left behind either */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(write_and_read, setup, teardown),
        cmocka_unit_test_setup_teardown(through_a_link, setup, teardown),
        cmocka_unit_test_setup_teardown(abort_leaves_the_old, setup, teardown),
        cmocka_unit_test_setup_teardown(two_writers, setup, teardown),
        cmocka_unit_test_setup_teardown(relative_path, setup, teardown),
        cmocka_unit_test_setup_teardown(write_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(full_device, setup, teardown),
        cmocka_unit_test_setup_teardown(full_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(read_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(read_pipe, setup, teardown),
        cmocka_unit_test_setup_teardown(directories, setup, teardown),
        cmocka_unit_test_setup_teardown(read_what_is_needed, setup, teardown),
        cmocka_unit_test_setup_teardown(out_of_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
