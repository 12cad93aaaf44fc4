/* coppice version. */
#include "cli.h"

static const option options[] = {{.kind = OPTION_END}};

static int run(settings *s, cop_ctx *ctx) {
    (void)s;
    (void)ctx;
    printf("coppice %s\n%s\n", cop_version(), cop_build_info());
    return EXIT_DONE;
}

const command command_version = {
    .name = "version",
    .usage = "",
    .summary = "print the version and what it was built with",
    .text = "The first line is the version; the second says which oneDNN, compiler and instruction set are at work.",
    .options = options,
    .run = run,
};
