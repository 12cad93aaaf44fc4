/* A picture as PNG, made of the SVG by rsvg-convert. librsvg is run, not linked: linked, it would bring 40 libraries
 * into every program that uses this one. */
#include "report/report.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ; /* passed on, never read here */

/* Run rsvg-convert without input and output but its file. NULL, or why it failed. */
static const char *convert(char *svg, char *png) {
    char program[] = "rsvg-convert", zoom[] = "--zoom=1.6", output[] = "--output", end[] = "--";
    char *argv[] = {program, zoom, output, png, end, svg, NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    int code;
    int error = posix_spawn_file_actions_init(&actions);
    if (error) return strerror(error);
    for (int fd = 0; fd < 3; fd++) posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
    error = posix_spawnp(&child, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error) return strerror(error);
    while (waitpid(child, &code, 0) < 0) {
        if (errno == ECHILD)
            return NULL; /* the program that uses this library reaps children itself: the file tells */
        if (errno != EINTR) return strerror(errno);
    }
    return WIFEXITED(code) && WEXITSTATUS(code) == 0 ? NULL : "it failed";
}

cop_status copi_png_of(cop_ctx *ctx, char *svg, const char *png) {
    char *draft = copi_format(ctx, "%s%s.part", *png == '-' ? "./" : "", png); /* or it would be an option */
    if (!draft) return COP_E_NOMEM;
    const char *why = convert(svg, draft);
    if (!why && rename(draft, png)) why = strerror(errno);
    if (why) {
        unlink(draft);
        copi_log(ctx, COP_LOG_WARNING,
                 "%s: not drawn: rsvg-convert: %s; install it (Debian: librsvg2-bin) and run the command again", png,
                 why);
    }
    copi_free(ctx, draft);
    return COP_OK;
}
