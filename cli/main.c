/* The program: find the command, read its options, make a context, run. */
#define _XOPEN_SOURCE 700 /* sigaltstack */
#include "cli.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const command *const commands[] = {
#define X(symbol) &command_##symbol,
#include "commands.def"
#undef X
};

int command_count(void) {
    return COUNT_OF(commands);
}
const command *command_at(int i) {
    return commands[i];
}
bool command_is_of(const command *c, const char *family) {
    size_t n = strlen(family);
    return !strncmp(c->name, family, n) && c->name[n] == ' ';
}

/* -- errors -- */

static void complain_with(const char *prefix, const char *format, va_list args) {
    char text[2048];
    vsnprintf(text, sizeof text, format, args);
    text_make_printable(text); /* file names may hold anything; an error is one line */
    terminal_clear();
    fprintf(stderr, "coppice: %s%s%s\n", prefix, *prefix ? ": " : "", text);
}

void complain(const char *format, ...) {
    va_list args;
    va_start(args, format);
    complain_with("", format, args);
    va_end(args);
}

int usage_error(const settings *s, const char *format, ...) {
    va_list args;
    va_start(args, format);
    complain_with(s->command ? s->command->name : "", format, args);
    va_end(args);
    return EXIT_USAGE;
}

int library_error(const cop_ctx *ctx, cop_status status) {
    complain("%s", ctx ? cop_error(ctx) : cop_status_text(status));
    switch (status) {
    case COP_OK:
        return EXIT_DONE;
    case COP_E_ARG:
        return EXIT_USAGE;
    case COP_E_CANCELLED:
        return EXIT_INTERRUPTED;
    case COP_E_NOMEM:
    case COP_E_DIVERGED:
    case COP_E_INTERNAL:
        return EXIT_FAILED;
    case COP_E_RANGE:
    case COP_E_SHAPE:
    case COP_E_IO:
    case COP_E_FORMAT:
    case COP_E_VERSION:
    case COP_E_UNSUPPORTED:
    case COP_E_NOT_FOUND:
    case COP_E_REFUSED:
        return EXIT_INPUT;
    }
    return EXIT_FAILED;
}

void die_no_memory(void) {
    complain("out of memory");
    exit(EXIT_FAILED);
}

/* -- interruption: the first signal asks the work to stop, the second one ends the program -- */

static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
    static const char text[] = "\ncoppice: stopping after this step (interrupt again to stop at once)\n";
    (void)number;
    interrupted = 1;
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    int kept = errno;
    if (write(STDERR_FILENO, text + !isatty(STDERR_FILENO), sizeof text - 1 - !isatty(STDERR_FILENO)) < 0)
        errno = kept; /* nobody listens: nothing to be done */
    errno = kept;
}

static int is_interrupted(void *user) {
    (void)user;
    return interrupted;
}

/* The handler needs its own stack: kernels that oneDNN generates use the stack pointer as a general register, so it
 * may point into the heap when a signal arrives. The stack is large enough for the registers of a processor with
 * matrix units. */
static void catch_signals(void) {
    static char handler_stack[1 << 16];
    struct sigaction action = {.sa_handler = on_signal};
    stack_t stack = {.ss_sp = handler_stack, .ss_size = sizeof handler_stack};
    if (!sigaltstack(&stack, NULL)) action.sa_flags = SA_ONSTACK;
    struct sigaction was;
    sigemptyset(&action.sa_mask);
    const int number[] = {SIGINT, SIGTERM};
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow gives an error instead of ending the program */
    for (int i = 0; i < COUNT_OF(number); i++) /* signals that nohup or the shell ignores stay ignored */
        if (!sigaction(number[i], NULL, &was) && was.sa_handler != SIG_IGN) sigaction(number[i], &action, NULL);
}

/* -- finding the command -- */

const char *command_word(int i) {
    static char word[32];
    char last[32] = "";
    for (int k = 0; k < command_count(); k++) {
        snprintf(word, sizeof word, "%.*s", (int)strcspn(commands[k]->name, " "), commands[k]->name);
        if (strcmp(word, last) != 0 && i-- == 0) return word;
        memcpy(last, word, sizeof last);
    }
    return NULL;
}

static const char *family; /* for second_word, e.g. "study": cop_nearest takes no user pointer */
static const char *second_word(int i) {
    for (int k = 0; k < command_count(); k++)
        if (command_is_of(commands[k], family) && i-- == 0) return commands[k]->name + strlen(family) + 1;
    return NULL;
}

static const command *find_in_family(int words, char **word, int *code) {
    const settings none = {0};
    const char *first = word[0], *second = words > 1 ? word[1] : "", *near;
    family = first;
    if (!strcmp(second, "--help") || !strcmp(second, "-h")) {
        for (int i = 0; i < command_count(); i++)
            if (command_is_of(commands[i], first))
                printf("coppice %s %s\n    %s\n", commands[i]->name, commands[i]->usage, commands[i]->summary);
        *code = EXIT_DONE;
        return NULL;
    }
    for (int i = 0; i < command_count(); i++)
        if (command_is_of(commands[i], first) && !strcmp(commands[i]->name + strlen(first) + 1, second))
            return commands[i];
    if ((near = *second ? cop_nearest(second, second_word) : NULL)) {
        usage_error(&none, "unknown command '%s %s'; did you mean '%s %s'?", first, second, first, near);
        return NULL;
    }
    char list[128];
    size_t n = 0;
    for (int i = 0; second_word(i) && n < sizeof list; i++)
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s %s", i ? ", " : "", first, second_word(i));
    if (*second)
        usage_error(&none, "unknown command '%s %s'; choose from %s", first, second, list);
    else
        usage_error(&none, "'%s' needs a second word; choose from %s", first, list);
    return NULL;
}

/** The command named by the first words; *used: how many words. NULL after an error, with its exit code. */
static const command *find_command(int words, char **word, int *used, int *code) {
    const settings none = {0};
    *code = EXIT_USAGE;
    *used = 1;
    for (int i = 0; i < command_count(); i++)
        if (!strcmp(commands[i]->name, word[0])) return commands[i];
    if (is_name(word[0], command_word)) {
        *used = 2;
        return find_in_family(words, word, code);
    }
    const char *near = cop_nearest(word[0], command_word);
    if (near)
        usage_error(&none, "unknown command '%s'; did you mean '%s'?", word[0], near);
    else
        usage_error(&none, "unknown command '%s'; `coppice help` lists them", word[0]);
    return NULL;
}

static int run(int words, char **word) {
    if (!words) {
        help_print_overview(stderr);
        return EXIT_USAGE;
    }
    static char *const aliases[][2] = {{"--help", "help"}, {"-h", "help"}, {"--version", "version"}};
    for (int i = 0; i < COUNT_OF(aliases); i++)
        if (!strcmp(word[0], aliases[i][0])) word[0] = aliases[i][1];
    int used, code;
    settings s = settings_default();
    s.command = find_command(words, word, &used, &code);
    if (!s.command) return code;
    code = options_parse(&s, words - used, word + used);
    if (code >= 0) return code;

    terminal_open(&s);
    catch_signals();
    cop_ctx_options options = cop_ctx_options_default();
    options.seed = (uint64_t)s.seed;
    options.threads = s.threads;
    options.jobs = s.jobs;
    options.log = terminal_log;
    options.progress = s.quiet ? NULL : terminal_progress;
    options.cancel = is_interrupted;
    cop_ctx *ctx = NULL;
    cop_status status = cop_ctx_create(&options, &ctx);
    if (status) return library_error(NULL, status);
    code = s.command->run(&s, ctx);
    terminal_clear();
    cop_ctx_destroy(ctx);
    return code;
}

/* OpenMP threads spin for milliseconds at every barrier unless told otherwise before the process starts. If other
 * work runs on the same processors, spinning costs a time slice per barrier. Without any spinning each barrier costs
 * a wake-up, which is most of the time of a small net. So: spin for some microseconds, then sleep
 * (docs/benchmarks.md). Settings of the user stay. */
static void wait_briefly(char **argv) {
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT") || setenv("GOMP_SPINCOUNT", "2000", 1)) return;
    execv("/proc/self/exe", argv); /* if that fails, the program runs anyway */
}

int main(int argc, char **argv) {
    wait_briefly(argv);
    int code = run(argc - 1, argv + 1);
    if (fflush(stdout) || ferror(stdout)) { /* results that were not written are a failure */
        complain("standard output: %s", strerror(errno));
        if (code == EXIT_DONE) code = EXIT_INPUT;
    }
    return code;
}
