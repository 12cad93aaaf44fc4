#define _DEFAULT_SOURCE /* realpath */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static cop_status io_error(cop_ctx *ctx, const char *doing, const char *path, int error) {
    return copi_fail(ctx, COP_E_IO, "%s: cannot %s: %s", path, doing, strerror(error));
}

/* Is the file `path` in the folder of `beside`, or under it? */
static bool lies_in_folder_of(const char *path, const char *beside) {
    const char *slash = strrchr(beside, '/');
    return slash && strncmp(path, beside, (size_t)(slash - beside) + 1) == 0;
}

bool copi_file_leads_away(const char *path, const char *model) {
    char folder[PATH_MAX], place[PATH_MAX + 2];
    char *data = realpath(path, NULL), *file = realpath(model, NULL);
    const char *slash = strrchr(model, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - model) + 1 : 1, slash ? model : ".");
    char *given = realpath(folder, NULL);
    bool away = false;
    if (data && file && given) {
        snprintf(place, sizeof place, "%s/", strcmp(given, "/") ? given : "");
        away = !lies_in_folder_of(data, place) && !lies_in_folder_of(data, file);
    }
    free(data);
    free(file);
    free(given);
    return away;
}

/* -- reading -- */

static cop_status open_read_only(cop_ctx *ctx, const char *path, int *fd) {
    do *fd = open(path, O_RDONLY | O_CLOEXEC);
    while (*fd < 0 && errno == EINTR);
    return *fd < 0 ? io_error(ctx, "open", path, errno) : COP_OK;
}

static cop_status read_all(cop_ctx *ctx, const char *path, int fd, size_t max, uint8_t **bytes, size_t *n) {
    struct stat st;
    if (fstat(fd, &st)) return io_error(ctx, "read", path, errno);
    if (S_ISDIR(st.st_mode)) return copi_fail(ctx, COP_E_FORMAT, "%s: is a directory; expected a file", path);
    if (S_ISREG(st.st_mode) && (uintmax_t)st.st_size > max)
        return copi_fail(ctx, COP_E_FORMAT, "%s: has %jd bytes; at most %zu are accepted", path, (intmax_t)st.st_size,
                         max);
    /* One byte more than the size, so that the last read finds the end; the block grows for pipes and growing
     * files. */
    size_t cap = S_ISREG(st.st_mode) ? (size_t)st.st_size + 1 : 65536, have = 0;
    uint8_t *data = copi_alloc(ctx, cap, 1);
    if (!data) return copi_fail_in(ctx, COP_E_NOMEM, "%s", path);
    for (;;) {
        if (have == cap) {
            if (have > max) {
                copi_free(ctx, data);
                return copi_fail(ctx, COP_E_FORMAT, "%s: more than the %zu bytes accepted", path, max);
            }
            uint8_t *grown = copi_grow(ctx, data, cap, cap * 2, 1);
            if (!grown) {
                copi_free(ctx, data);
                return copi_fail_in(ctx, COP_E_NOMEM, "%s", path);
            }
            data = grown;
            cap *= 2;
        }
        size_t ask = cap - have < (size_t)1 << 30 ? cap - have : (size_t)1 << 30;
        ssize_t got = read(fd, data + have, ask);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            int error = errno;
            copi_free(ctx, data);
            return io_error(ctx, "read", path, error);
        }
        if (!got) break;
        have += (size_t)got;
    }
    if (have > max) {
        copi_free(ctx, data);
        return copi_fail(ctx, COP_E_FORMAT, "%s: more than the %zu bytes accepted", path, max);
    }
    data[have] = 0; /* have < cap here: the last read reached the end of the file before the end of the block */
    *bytes = data;
    *n = have;
    return COP_OK;
}

cop_status copi_read_file(cop_ctx *ctx, const char *path, size_t max, uint8_t **bytes, size_t *n) {
    *bytes = NULL;
    *n = 0;
    static const uint64_t most = (uint64_t)16 << 30;
    if (!max) max = most < SIZE_MAX / 4 ? (size_t)most : SIZE_MAX / 4;
    int fd;
    cop_status status = open_read_only(ctx, path, &fd);
    if (status) return status;
    status = read_all(ctx, path, fd, max, bytes, n);
    close(fd);
    return status;
}

/* -- reading on demand -- */

enum { FILE_BLOCK = 4096 }; /* bytes: a page */

cop_status copi_file_open(cop_ctx *ctx, const char *path, copi_file *f) {
    struct stat st;
    *f = (copi_file){.ctx = ctx, .path = path, .fd = -1};
    int fd;
    cop_status status = open_read_only(ctx, path, &fd);
    if (status) return status;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || (uintmax_t)st.st_size > SIZE_MAX / 4) {
        close(fd);
        return copi_read_file(ctx, path, 0, &f->bytes, &f->size);
    }
    f->size = (size_t)st.st_size;
    f->bytes = copi_alloc(ctx, f->size + 1, 1);
    f->have = copi_alloc(ctx, f->size / FILE_BLOCK + 1, 1);
    f->fd = fd;
    if (f->bytes && f->have) return COP_OK;
    copi_file_close(f);
    return copi_fail_in(ctx, COP_E_NOMEM, "%s", path);
}

void copi_file_close(copi_file *f) {
    if (f->fd >= 0) close(f->fd);
    copi_free(f->ctx, f->bytes);
    copi_free(f->ctx, f->have);
    *f = (copi_file){.ctx = f->ctx, .fd = -1};
}

copi_file copi_file_of(cop_ctx *ctx, const uint8_t *bytes, size_t n) {
    return (copi_file){.ctx = ctx, .fd = -1, .bytes = (uint8_t *)(uintptr_t)bytes, .size = n};
}

bool copi_file_holds(const copi_file *f, const void *at) {
    return (uintptr_t)at >= (uintptr_t)f->bytes && (uintptr_t)at < (uintptr_t)f->bytes + f->size;
}

static cop_status read_at(const copi_file *f, size_t from, size_t n, uint8_t *to) {
    while (n) {
        size_t ask = n < (size_t)1 << 30 ? n : (size_t)1 << 30;
        ssize_t got = pread(f->fd, to, ask, (off_t)from);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return io_error(f->ctx, "read", f->path, errno);
        if (!got) return copi_fail(f->ctx, COP_E_IO, "%s: was truncated while it was read", f->path);
        from += (size_t)got;
        to += got;
        n -= (size_t)got;
    }
    return COP_OK;
}

cop_status copi_file_need(copi_file *f, const void *at, size_t n) {
    if (f->fd < 0 || !n) return COP_OK;
    size_t from = (size_t)((const uint8_t *)at - f->bytes), block = from / FILE_BLOCK;
    const size_t last = (from + n - 1) / FILE_BLOCK;
    while (block <= last) {
        if (f->have[block]) {
            block++;
            continue;
        }
        size_t end = block; /* of a run of blocks that are missing */
        while (end <= last && !f->have[end]) end++;
        size_t begin = block * FILE_BLOCK, stop = end * FILE_BLOCK < f->size ? end * FILE_BLOCK : f->size;
        cop_status status = read_at(f, begin, stop - begin, f->bytes + begin);
        if (status) return status;
        memset(f->have + block, 1, end - block);
        block = end;
    }
    return COP_OK;
}

cop_status copi_file_read(copi_file *f, const void *at, size_t n, void *to) {
    if (f->fd >= 0) return read_at(f, (size_t)((const uint8_t *)at - f->bytes), n, to);
    memcpy(to, at, n);
    return COP_OK;
}

/* -- writing -- */

static void atomic_forget(copi_atomic *a) {
    copi_free(a->ctx, a->path);
    copi_free(a->ctx, a->temporary);
    *a = (copi_atomic){.ctx = a->ctx};
}

/* Create a new file beside path; on failure *fd is -1 and errno is set. The mode leaves the permissions to the user's
 * umask, which mkstemp would override. */
static cop_status open_temporary(copi_atomic *a, int *fd) {
    enum { TRIES = 100 };
    for (int i = 0; i < TRIES; i++) {
        a->temporary = copi_format(a->ctx, "%s.%ld-%d.tmp", a->path, (long)getpid(), i);
        if (!a->temporary) return COP_E_NOMEM;
        *fd = open(a->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (*fd >= 0) return COP_OK;
        int error = errno;
        copi_free(a->ctx, a->temporary);
        a->temporary = NULL;
        errno = error;
        if (error != EEXIST && error != EINTR) return COP_OK;
    }
    return COP_OK;
}

/* Open the file to write to: *fd, or -1 and errno. */
static cop_status open_target(copi_atomic *a, int *fd) {
    struct stat st;
    *fd = -1;
    bool there = !stat(a->path, &st);
    if (!*a->path)
        errno = ENOENT;
    else if (there && S_ISDIR(st.st_mode))
        errno = EISDIR;
    else if (there && !S_ISREG(st.st_mode)) /* a device or a pipe is written to, never replaced */
        *fd = open(a->path, O_WRONLY | O_CLOEXEC);
    else
        return open_temporary(a, fd);
    return COP_OK;
}

cop_status copi_atomic_open(cop_ctx *ctx, const char *path, copi_atomic *a) {
    struct stat st;
    bool link = !lstat(path, &st) && S_ISLNK(st.st_mode) && !stat(path, &st) && S_ISREG(st.st_mode);
    char *real = link ? realpath(path, NULL) : NULL; /* the link stays a link */
    *a = (copi_atomic){.ctx = ctx, .path = copi_strdup(ctx, real ? real : path)};
    free(real);
    int fd = -1, error = 0;
    cop_status status = a->path ? open_target(a, &fd) : COP_E_NOMEM;
    if (!status && (fd < 0 || !(a->file = fdopen(fd, "wb")))) {
        error = errno;
        if (fd >= 0) close(fd);
        if (a->temporary) unlink(a->temporary);
    }
    if (a->file) return COP_OK;
    atomic_forget(a);
    return status ? status : io_error(ctx, "write", path, error);
}

void copi_atomic_write(copi_atomic *a, const void *bytes, size_t n) {
    if (!a->file || a->error || !n) return;
    errno = 0;
    if (fwrite(bytes, 1, n, a->file) != n) a->error = errno ? errno : EIO;
}

void copi_atomic_printf(copi_atomic *a, const char *format, ...) {
    if (!a->file || a->error) return;
    va_list args;
    va_start(args, format);
    errno = 0;
    if (vfprintf(a->file, format, args) < 0) a->error = errno ? errno : EIO;
    va_end(args);
}

/* The rename itself must survive a power cut, so sync the directory that holds the name. Do not fail if the system
 * cannot sync directories or the directory may not be read. */
static int sync_directory(char *path) {
    char *slash = strrchr(path, '/'), *end = !slash ? path : slash == path ? path + 1 : slash, was = *end;
    *end = '\0';
    int fd = open(*path ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), error = 0;
    *end = was;
    if (fd >= 0) {
        if (fsync(fd) && errno != EINVAL && errno != ENOTSUP) error = errno;
        close(fd);
    }
    return error;
}

cop_status copi_atomic_commit(copi_atomic *a) {
    if (!a->file) return copi_fail(a->ctx, COP_E_INTERNAL, "commit of a file that is not open");
    if (fflush(a->file) && !a->error) a->error = errno;
    if (a->temporary && !a->error && fsync(fileno(a->file))) a->error = errno;
    if (fclose(a->file) && !a->error) a->error = errno;
    a->file = NULL;
    if (a->temporary) {
        if (!a->error && rename(a->temporary, a->path)) a->error = errno;
        if (a->error)
            unlink(a->temporary);
        else
            a->error = sync_directory(a->path);
    }
    cop_status status = a->error ? io_error(a->ctx, "write", a->path, a->error) : COP_OK;
    atomic_forget(a);
    return status;
}

void copi_atomic_abort(copi_atomic *a) {
    if (!a->file) return;
    (void)fclose(a->file);
    if (a->temporary) unlink(a->temporary);
    atomic_forget(a);
}

cop_status copi_write_file(cop_ctx *ctx, const char *path, const void *bytes, size_t n) {
    copi_atomic a;
    cop_status status = copi_atomic_open(ctx, path, &a);
    if (status) return status;
    copi_atomic_write(&a, bytes, n);
    return copi_atomic_commit(&a);
}

cop_status copi_make_dir(cop_ctx *ctx, const char *path) {
    char *part = copi_strdup(ctx, path);
    if (!part) return COP_E_NOMEM;
    int error = 0;
    for (size_t i = 1; !error && i <= strlen(path); i++) { /* each prefix that ends before a slash, then the whole */
        if (path[i] != '/' && path[i] != '\0') continue;
        part[i] = '\0';
        struct stat st;
        if (mkdir(part, 0777)) {
            error = errno;
            if (!stat(part, &st)) error = S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
        }
        part[i] = path[i];
    }
    copi_free(ctx, part);
    if (!*path) error = ENOENT;
    return error ? io_error(ctx, "create the directory", path, error) : COP_OK;
}
