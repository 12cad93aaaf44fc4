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
    .summary = "print the version and build information",
    .text = "The first line is the version. The second names oneDNN, the compiler and the instruction set in use.",
    .options = options,
    .run = run,
};
