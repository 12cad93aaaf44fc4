/* Runs a fuzz target over the files and directories named, without libFuzzer: what once went wrong stays tested with
 * every compiler. Fails if there was nothing to run. */
#include "harness.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int compare(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int run_file(const char *path) {
    cop_ctx *ctx;
    uint8_t *bytes, *exact;
    size_t n;
    if (cop_ctx_create(NULL, &ctx)) return -1;
    if (copi_read_file(ctx, path, 0, &bytes, &n)) {
        fprintf(stderr, "%s\n", cop_error(ctx));
        cop_ctx_destroy(ctx);
        return -1;
    }
    exact = malloc(n ? n : 1); /* of the very size, so that a sanitizer sees one byte too far */
    if (!exact) abort();
    memcpy(exact, bytes, n);
    copi_free(ctx, bytes);
    cop_ctx_destroy(ctx);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    return 1;
}

static int run(const char *path) {
    struct stat st;
    if (stat(path, &st) || !S_ISDIR(st.st_mode)) return run_file(path);
    char **name = NULL, file[4096];
    int n = 0, done = 0;
    DIR *d = opendir(path);
    if (!d) return -1;
    for (struct dirent *entry; (entry = readdir(d));) {
        if (entry->d_name[0] == '.') continue;
        char **grown = realloc(name, (size_t)(n + 1) * sizeof *name);
        if (!grown) abort();
        name = grown;
        name[n] = strdup(entry->d_name);
        if (!name[n++]) abort();
    }
    closedir(d);
    if (n) qsort(name, (size_t)n, sizeof *name, compare);
    for (int i = 0; i < n; i++) {
        snprintf(file, sizeof file, "%s/%s", path, name[i]);
        if (done >= 0) done = run_file(file) < 0 ? -1 : done + 1;
        free(name[i]);
    }
    free(name);
    return done;
}

int main(int argc, char **argv) {
    int total = 0;
    for (int i = 1; i < argc; i++) {
        int done = run(argv[i]);
        if (done <= 0) {
            fprintf(stderr, "%s: %s\n", argv[i], done ? "can't be read" : "holds no inputs");
            return 1;
        }
        total += done;
    }
    printf("%d inputs\n", total);
    return total ? 0 : 1;
}
