/* Tables that fit the terminal: the least important columns are dropped first. */
#include "cli.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define GAP 2 /* spaces between columns */

typedef struct column {
    char *head;
    bool right;
    int leave; /* 0: never dropped; else in this order */
    int width; /* 0: dropped */
} column;

struct table {
    column *column; /* [columns] */
    int columns;
    char **cell; /* [cells], row by row */
    bool *rule;  /* [cells], true in a row's first cell: draw a line below the row */
    int cells, cap;
};

static char *copy(const char *text, size_t n) {
    char *c = malloc(n + 1);
    if (!c) die_no_memory();
    memcpy(c, text, n);
    c[n] = 0;
    text_make_printable(c);
    return c;
}

table *table_create(const char *spec) {
    table *t = calloc(1, sizeof *t);
    if (!t) die_no_memory();
    size_t most = 1;
    for (const char *at = spec; *at; at++) most += *at == '|';
    if (!(t->column = calloc(most, sizeof *t->column))) die_no_memory();
    for (const char *at = spec; *at;) {
        column *c = &t->column[t->columns++];
        c->right = *at++ == '>';
        if (*at >= '1' && *at <= '9') c->leave = *at++ - '0';
        size_t n = strcspn(at, "|");
        c->head = copy(at, n);
        at += n + (at[n] == '|');
    }
    return t;
}

void table_cell(table *t, const char *format, ...) {
    char *text;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0 || !(text = malloc((size_t)n + 1))) die_no_memory();
    va_start(args, format);
    vsnprintf(text, (size_t)n + 1, format, args);
    va_end(args);
    if (t->cells == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 64;
        char **cell = realloc(t->cell, (size_t)t->cap * sizeof *cell);
        if (!cell) die_no_memory();
        t->cell = cell;
        bool *rule = realloc(t->rule, (size_t)t->cap * sizeof *rule);
        if (!rule) die_no_memory();
        t->rule = rule;
    }
    t->rule[t->cells] = false;
    text_make_printable(text);
    t->cell[t->cells++] = text;
}

void table_rule(table *t) {
    if (t->cells) t->rule[t->cells - t->columns] = true;
}

static int total_width(const table *t) {
    int total = -GAP;
    for (int i = 0; i < t->columns; i++)
        if (t->column[i].width) total += t->column[i].width + GAP;
    return total;
}

static void fit(table *t, int width) {
    for (int i = 0; i < t->columns; i++) {
        column *c = &t->column[i];
        c->width = text_columns(c->head);
        for (int k = i; k < t->cells; k += t->columns) {
            int n = text_columns(t->cell[k]);
            if (n > c->width) c->width = n;
        }
    }
    for (int leave = 1; leave <= 9; leave++)
        for (int i = 0; i < t->columns && total_width(t) > width; i++)
            if (t->column[i].leave == leave) t->column[i].width = 0;
    int over = total_width(t) - width; /* cut the names in the first column before a line would wrap */
    if (over > 0) t->column[0].width = t->column[0].width - over < 8 ? 8 : t->column[0].width - over;
}

static void spaces(FILE *out, int n) {
    if (n > 0) fprintf(out, "%*s", n, "");
}

static void print_row(const table *t, FILE *out, char *const *cell) {
    int owed = 0; /* spaces are written only before text, so that no line ends with them */
    for (int i = 0; i < t->columns; i++) {
        const column *c = &t->column[i];
        if (!c->width) continue;
        const char *text = cell ? cell[i] : c->head;
        int n = text_columns(text);
        bool cut = n > c->width;
        if (cut) n = c->width;
        if (c->right) owed += c->width - n;
        if (n) {
            spaces(out, owed);
            owed = 0;
            fprintf(out, "%.*s%s", (int)text_cut(text, cut ? n - 1 : n), text, cut ? "~" : "");
        }
        if (!c->right) owed += c->width - n;
        owed += GAP;
    }
    putc('\n', out);
}

void table_print(table *t, FILE *out) {
    bool heads = false;
    fit(t, terminal_width(out));
    for (int i = 0; i < t->columns; i++) heads = heads || *t->column[i].head;
    if (heads) {
        fputs(terminal_style(out, STYLE_BOLD), out);
        print_row(t, out, NULL);
        fputs(terminal_style(out, STYLE_PLAIN), out);
    }
    for (int k = 0; k < t->cells; k += t->columns) {
        print_row(t, out, t->cell + k);
        if (!t->rule[k]) continue;
        fputs(terminal_style(out, STYLE_DIM), out);
        for (int i = total_width(t); i > 0; i--) putc('-', out);
        fprintf(out, "%s\n", terminal_style(out, STYLE_PLAIN));
    }
    table_free(t);
}

void table_free(table *t) {
    if (!t) return;
    for (int i = 0; i < t->columns; i++) free(t->column[i].head);
    for (int i = 0; i < t->cells; i++) free(t->cell[i]);
    free(t->column);
    free(t->cell);
    free(t->rule);
    free(t);
}
