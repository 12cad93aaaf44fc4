/* The directory that a test program of this room writes its files in: made and removed with its group of tests. */
#ifndef COPPICE_TEST_FOLDER_H
#define COPPICE_TEST_FOLDER_H

#include "check.h"

#include <stdio.h>

static char dir[256];

/** The path of a file in it, until the next call. */
static inline const char *in_dir(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static inline int make_dir(void **state) {
    (void)state;
    test_dir_make(dir);
    return 0;
}

static inline int remove_dir(void **state) {
    (void)state;
    test_dir_remove(dir);
    return 0;
}

#endif
