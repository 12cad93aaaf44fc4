/* Terminal output: styles, width, the progress bar; without a terminal, an occasional plain line of progress. */
#include "cli.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define LINE_SECONDS 10.0 /* between progress lines when no bar can be drawn */
#define BAR_LEAST 8       /* columns; a shorter bar is not drawn */
#define BAR_MOST 40

static struct {
    bool quiet, verbose;
    int drawn;        /* columns of the bar on the screen; 0: none */
    double last_line; /* when the last plain line was written */
} state;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void terminal_open(const settings *s) {
    state.quiet = s->quiet;
    state.verbose = s->verbose;
    state.last_line = now();
}

bool terminal_is(FILE *stream) {
    const char *term = getenv("TERM");
    return isatty(fileno(stream)) && term && *term && strcmp(term, "dumb") != 0;
}

int terminal_width(FILE *stream) {
    struct winsize size;
    if (!isatty(fileno(stream))) return INT_MAX;
    if (ioctl(fileno(stream), TIOCGWINSZ, &size) || size.ws_col == 0) return 80;
    return size.ws_col;
}

const char *terminal_style(FILE *stream, style which) {
    static const char *const code[] = {
        [STYLE_PLAIN] = "\033[0m", [STYLE_BOLD] = "\033[1m", [STYLE_DIM] = "\033[2m", [STYLE_ACCENT] = "\033[32m"};
    const char *none = getenv("NO_COLOR"); /* no-color.org */
    return terminal_is(stream) && !(none && *none) ? code[which] : "";
}

int text_columns(const char *utf8) {
    int n = 0;
    for (; *utf8; utf8++) n += ((unsigned char)*utf8 & 0xC0) != 0x80;
    return n;
}

size_t text_cut(const char *utf8, int columns) {
    size_t i = 0;
    for (; utf8[i]; i++)
        if (((unsigned char)utf8[i] & 0xC0) != 0x80 && columns-- == 0) break;
    return i;
}

static bool commands(const char *at) {
    const unsigned char *c = (const unsigned char *)at;
    return *c < ' ' || *c == 127 || (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0);
}

void text_make_printable(char *text) {
    for (char *c = text; *c; c++)
        if (commands(c)) *c = '?';
}

void text_print(const char *text) {
    for (; *text; text++) putchar(commands(text) && *text != '\n' ? '?' : *text);
}

void terminal_clear(void) {
    if (!state.drawn) return;
    /* A terminal that became narrower has wrapped the bar into several lines. */
    int rows = (state.drawn - 1) / terminal_width(stderr);
    fputs("\r\033[K", stderr); /* line by line: erasing the whole screen would push it into the scrollback */
    while (rows-- > 0) fputs("\033[A\033[K", stderr);
    state.drawn = 0;
}

static void say_line(const char *prefix, const char *format, va_list args) {
    char text[2048];
    vsnprintf(text, sizeof text, format, args);
    text_make_printable(text);
    terminal_clear();
    fprintf(stderr, "%s%s\n", prefix, text);
}

void note(const char *format, ...) {
    if (state.quiet) return;
    va_list args;
    va_start(args, format);
    say_line("", format, args);
    va_end(args);
}

void terminal_log(void *user, cop_log_level level, const char *text) {
    (void)user;
    switch (level) {
    case COP_LOG_DEBUG:
        if (state.verbose) note("%s", text);
        break;
    case COP_LOG_INFO:
        note("%s", text);
        break;
    case COP_LOG_WARNING:
        complain("warning: %s", text);
        break;
    }
}

/* -- the bar -- */

/* The parts right of the bar; a narrow terminal drops them in leave_order. */
enum { PART_SHARE, PART_RATE, PART_LOSS, PART_ACCURACY, PART_LEFT, PARTS };
static const int leave_order[] = {PART_ACCURACY, PART_RATE, PART_LOSS, PART_LEFT, PART_SHARE};

/* The time left is an estimate: no decimals. */
static const char *say_left(spoken *w, double seconds) {
    if (seconds >= 60) return say_seconds(w, seconds);
    snprintf(w->text, sizeof w->text, "%.0f s", seconds);
    return w->text;
}

static void fill_parts(const cop_progress *p, spoken part[PARTS]) {
    spoken w;
    memset(part, 0, PARTS * sizeof *part);
    double share = p->total > 0 ? (double)p->done / (double)p->total : 0;
    snprintf(part[PART_SHARE].text, sizeof part->text, "%3.0f %%", 100 * share);
    if (p->rate > 0)
        snprintf(part[PART_RATE].text, sizeof part->text, "%s images/s", say_count(&w, llround(p->rate)));
    if (!isnan(p->loss)) snprintf(part[PART_LOSS].text, sizeof part->text, "loss %.3f", p->loss);
    if (!isnan(p->accuracy))
        snprintf(part[PART_ACCURACY].text, sizeof part->text, "accuracy %.1f %%", 100 * p->accuracy);
    if (p->done < p->total && p->seconds_left >= 0)
        snprintf(part[PART_LEFT].text, sizeof part->text, "%.40s left", say_left(&w, ceil(p->seconds_left)));
}

/* "[3/17] sss 0.01: search, epoch 2/4" */
static void fill_head(const cop_progress *p, const char *label, char *head, size_t size) {
    char trial[32] = "", epoch[40] = "";
    if (p->trials) snprintf(trial, sizeof trial, "[%d/%d] ", p->trial, p->trials);
    if (p->epochs) snprintf(epoch, sizeof epoch, " %d/%d", p->epoch, p->epochs);
    snprintf(head, size, "%s%s%s%s%s", trial, label, *label ? ": " : "", p->phase, epoch);
    text_make_printable(head);
}

/* Compose the line without the parts that do not fit; returns the columns left for the bar. */
static int fit(const cop_progress *p, const char *label, int width, char *head, size_t size, spoken part[PARTS]) {
    fill_parts(p, part);
    fill_head(p, label, head, size);
    for (int gone = 0;; gone++) {
        int rest = text_columns(head) + 1;
        for (int i = 0; i < PARTS; i++) rest += *part[i].text ? text_columns(part[i].text) + 2 : 0;
        if (width - rest >= BAR_LEAST || gone == COUNT_OF(leave_order)) return width - rest;
        *part[leave_order[gone]].text = 0;
    }
}

static void draw(const cop_progress *p) {
    spoken part[PARTS];
    char head[256];
    int width = terminal_width(stderr) - 1; /* the last column stays empty: some terminals wrap early */
    int bar = fit(p, p->label ? p->label : "", width, head, sizeof head, part);
    if (bar < BAR_LEAST) bar = fit(p, "", width, head, sizeof head, part);
    if (bar > BAR_MOST) bar = BAR_MOST;
    if (bar < BAR_LEAST) bar = 0;
    size_t cut = text_cut(head, width < 1 ? 1 : width);
    terminal_clear();
    fprintf(stderr, "%.*s", (int)cut, head);
    state.drawn = text_columns(head) < width ? text_columns(head) : width;
    if (bar) {
        int full = p->total > 0 ? (int)((double)bar * (double)p->done / (double)p->total) : 0;
        char done[BAR_MOST + 1], rest[BAR_MOST + 1];
        memset(done, '#', sizeof done);
        memset(rest, '-', sizeof rest);
        fprintf(stderr, " %s%.*s%s%s%.*s%s", terminal_style(stderr, STYLE_ACCENT), full, done,
                terminal_style(stderr, STYLE_PLAIN), terminal_style(stderr, STYLE_DIM), bar - full, rest,
                terminal_style(stderr, STYLE_PLAIN));
        state.drawn += 1 + bar;
    }
    for (int i = 0; i < PARTS; i++)
        if (*part[i].text) {
            fprintf(stderr, "  %s", part[i].text);
            state.drawn += 2 + text_columns(part[i].text);
        }
    (void)fflush(stderr);
}

static void print_line(const cop_progress *p) {
    spoken part[PARTS];
    char head[256];
    double t = now();
    if (t - state.last_line < LINE_SECONDS) return;
    state.last_line = t;
    fill_parts(p, part);
    fill_head(p, p->label ? p->label : "", head, sizeof head);
    fprintf(stderr, "%s", head);
    for (int i = 0; i < PARTS; i++)
        if (*part[i].text) fprintf(stderr, ", %s", part[i].text + strspn(part[i].text, " "));
    putc('\n', stderr);
}

void terminal_progress(void *user, const cop_progress *p) {
    (void)user;
    if (terminal_is(stderr))
        draw(p);
    else
        print_line(p);
}
