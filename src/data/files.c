/* Paths, directories and lists of names. */
#include "data/formats.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool copi_is_dir(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool copi_is_file(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool copi_dir_has(const char *dir, const char *name) {
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/%s", dir, name);
    return n > 0 && (size_t)n < sizeof path && copi_is_file(path);
}

static cop_status add_name(cop_ctx *ctx, copi_names *names, const char *name) {
    if (names->count == names->cap) {
        size_t cap = names->cap ? 2 * names->cap : 16;
        char **grown = copi_grow(ctx, names->name, names->cap, cap, sizeof *grown);
        if (!grown) return COP_E_NOMEM;
        names->name = grown;
        names->cap = cap;
    }
    names->name[names->count] = copi_strdup(ctx, name);
    if (!names->name[names->count]) return COP_E_NOMEM;
    names->count++;
    return COP_OK;
}

void copi_names_clear(cop_ctx *ctx, copi_names *names) {
    for (size_t i = 0; i < names->count; i++) copi_free(ctx, names->name[i]);
    copi_free(ctx, names->name);
    *names = (copi_names){0};
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

cop_status copi_names_of_dir(cop_ctx *ctx, const char *dir, copi_names *names) {
    *names = (copi_names){0};
    DIR *d = opendir(dir);
    if (!d) return copi_fail(ctx, COP_E_IO, "%s: can't be listed: %s", dir, strerror(errno));
    cop_status status = COP_OK;
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(d);
        if (!entry) {
            if (errno) status = copi_fail(ctx, COP_E_IO, "%s: can't be listed: %s", dir, strerror(errno));
            break;
        }
        if (entry->d_name[0] == '.') continue;
        if ((status = add_name(ctx, names, entry->d_name))) break;
    }
    closedir(d);
    if (status) {
        copi_names_clear(ctx, names);
    } else if (names->count) {
        qsort(names->name, names->count, sizeof *names->name, compare_names);
    }
    return status;
}

cop_status copi_names_of_lines(cop_ctx *ctx, const char *path, copi_names *names) {
    *names = (copi_names){0};
    uint8_t *bytes;
    size_t n;
    cop_status status = copi_read_file(ctx, path, 1 << 20, &bytes, &n);
    if (status) return status;
    char *at = (char *)bytes, *end = at + n;
    while (at < end && !status) {
        char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end; /* the buffer goes one NUL past its end */
        char *last = stop;
        while (last > at && strchr(" \t\r", last[-1]) && last[-1]) last--;
        while (at < last && (*at == ' ' || *at == '\t')) at++;
        *last = '\0';
        if (*at) status = add_name(ctx, names, at);
        at = stop + 1;
    }
    copi_free(ctx, bytes);
    if (status) copi_names_clear(ctx, names);
    return status;
}
