/* Running gnuplot: a script in a directory makes an .svg and a .png, which get their names when both are complete. */
#include "report/report.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ; /* handed on to gnuplot, never read here */

void copi_gnuplot_quote(copi_buffer *b, const char *text, size_t most) {
    size_t n = strlen(text);
    bool cut = n > most;
    if (cut) n = most;
    while (cut && n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80) n--;
    copi_buffer_text(b, "'");
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\'') copi_buffer_text(b, "'");
        copi_buffer_add(b, (unsigned char)text[i] < 0x20 ? " " : &text[i], 1);
    }
    copi_buffer_text(b, cut ? "...'" : "'");
}

/* Start gnuplot on a script in a directory; its words go to the pipe's write end. Gives an errno, or 0. */
static int start_gnuplot(char *enter, char *script, const int ends[2], pid_t *child) {
    char program[] = "gnuplot", plain[] = "-d", expression[] = "-e";
    char *argv[] = {program, plain, expression, enter, script, NULL};
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);
    if (error) return error;
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    error = posix_spawnp(child, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

/* Everything the pipe gives, to its end, lest the writer waits; the first size - 1 bytes are kept. */
static void read_words(int end, char *words, size_t size) {
    size_t n = 0;
    char drain[512];
    for (;;) {
        ssize_t got = read(end, drain, sizeof drain);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        size_t take = (size_t)got < size - 1 - n ? (size_t)got : size - 1 - n;
        memcpy(words + n, drain, take);
        n += take;
    }
    words[n] = 0;
}

/* Did gnuplot draw? If not, words say why. */
static bool run_gnuplot(char *enter, char *script, char *words, size_t size) {
    int ends[2], code = -1;
    pid_t child;
    if (pipe(ends)) {
        snprintf(words, size, "%s", strerror(errno));
        return false;
    }
    int error = start_gnuplot(enter, script, ends, &child);
    close(ends[1]);
    if (error) {
        snprintf(words, size, "%s", strerror(error));
    } else {
        read_words(ends[0], words, size);
        while (waitpid(child, &code, 0) < 0 && errno == EINTR) {
        }
    }
    close(ends[0]);
    return code == 0;
}

cop_status copi_gnuplot(cop_ctx *ctx, const char *dir, const char *name, const char *again) {
    static const char *const endings[] = {"svg", "png"};
    char *from[2], *to[2], words[400] = {0}, *script = copi_format(ctx, "%s.gp", name);
    copi_buffer enter;
    copi_buffer_init(&enter, ctx);
    copi_buffer_text(&enter, "cd ");
    copi_gnuplot_quote(&enter, dir, SIZE_MAX);
    copi_buffer_printf(&enter, "; out = '%s.tmp'", name);
    bool ready = script && !enter.failed;
    for (int i = 0; i < 2; i++) {
        from[i] = copi_format(ctx, "%s/%s.tmp.%s", dir, name, endings[i]);
        to[i] = copi_format(ctx, "%s/%s.%s", dir, name, endings[i]);
        ready &= from[i] && to[i];
    }
    bool drawn = ready && run_gnuplot(enter.data, script, words, sizeof words);
    for (int i = 0; i < 2; i++) {
        if (drawn && rename(from[i], to[i])) {
            snprintf(words, sizeof words, "%s", strerror(errno));
            drawn = false;
        }
        if (ready && !drawn) unlink(from[i]); /* what a failure left */
        copi_free(ctx, from[i]);
        copi_free(ctx, to[i]);
    }
    copi_buffer_clear(&enter);
    copi_free(ctx, script);
    if (!ready) return COP_E_NOMEM;
    if (!drawn)
        copi_log(ctx, COP_LOG_WARNING, "%s: %s.svg and %s.png are not drawn: gnuplot: %s; install it and run `%s`",
                 dir, name, name, *words ? words : "it stopped without a word", again);
    return COP_OK;
}
