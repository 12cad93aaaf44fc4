/* Golden-bad files: each fails with its status and words, and none in the folder is forgotten. */
#ifndef COPPICE_TEST_IO_BAD_H
#define COPPICE_TEST_IO_BAD_H

#include "check.h"

#include <dirent.h>
#include <string.h>

typedef struct bad_file {
    const char *name; /* without the ending */
    cop_status status;
    const char *part; /* of the error's text */
} bad_file;

/** Files in a folder, hidden ones left out, whose name ends so. */
static inline size_t count_files(const char *folder, const char *ending) {
    DIR *d = opendir(folder);
    assert_non_null(d);
    size_t files = 0;
    for (const struct dirent *e; (e = readdir(d));) files += *e->d_name != '.' && copi_ends_with(e->d_name, ending);
    closedir(d);
    return files;
}

/** load is cop_net_load, or one that looks at more of what is left behind. */
static inline void bad_files_fail(const char *folder, const char *ending, const bad_file *bad, size_t n,
                                  cop_status (*load)(cop_ctx *ctx, const char *path, cop_net **net)) {
    for (size_t i = 0; i < n; i++) {
        cop_ctx *ctx = test_ctx();
        char path[256];
        snprintf(path, sizeof path, "%s/%s%s", folder, bad[i].name, ending);
        cop_net *net = (cop_net *)&net;
        test_fails(ctx, load(ctx, path, &net), bad[i].status, bad[i].part);
        assert_null(net);
        assert_non_null(strstr(cop_error(ctx), path));
        test_ctx_destroy(ctx); /* which finds any block left behind */
    }
    assert_int_equal(count_files(folder, ending), n);
}

#endif
