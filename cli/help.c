/* Help for commands, printed from their tables. */
#include "cli.h"

#include <string.h>

#define MOST_COLUMNS 100
#define OPTION_COLUMN 28 /* where an option's help text begins */

int help_width(FILE *out) {
    int width = terminal_width(out);
    return width > MOST_COLUMNS ? MOST_COLUMNS : width < 40 ? 40 : width;
}

/* Print the text from the current column on; further lines begin at indent. */
static void wrap(FILE *out, const char *text, int column, int indent, int width) {
    bool first = true;
    while (*text) {
        size_t n = strcspn(text, " ");
        char word[256];
        snprintf(word, sizeof word, "%.*s", (int)n, text);
        int columns = text_columns(word);
        if (!first && column + 1 + columns > width) {
            fprintf(out, "\n%*s", indent, "");
            column = indent;
            first = true;
        }
        if (n) {
            fprintf(out, "%s%s", first ? "" : " ", word);
            column += columns + !first;
            first = false;
        }
        text += n + (text[n] == ' ');
    }
    putc('\n', out);
}

void help_paragraphs(FILE *out, const char *text) {
    while (*text) {
        size_t n = strcspn(text, "\n");
        if (*text == ' ')
            fprintf(out, "%.*s\n", (int)n, text);
        else {
            char line[2048];
            snprintf(line, sizeof line, "%.*s", (int)n, text);
            wrap(out, line, 0, 0, help_width(out));
        }
        text += n + (text[n] == '\n');
    }
}

void help_entry(FILE *out, const char *name, int column, const char *text) {
    int width = help_width(out);
    if (width < 2 * column) column = 8; /* a narrow terminal: names stand on their own lines */
    int at = fprintf(out, "  %s", name);
    if (at + 2 > column) {
        putc('\n', out);
        at = 0;
    }
    if (*text) fprintf(out, "%*s", column - at, "");
    wrap(out, text, column, column, width);
}

static void add(char *text, size_t size, const char *separator, const char *more) {
    size_t n = strlen(text);
    if (*more && n < size) snprintf(text + n, size - n, "%s%s", n ? separator : "", more);
}

static void print_option(FILE *out, const option *o) {
    char name[64], text[1024], extra[160] = "", value[64];
    const char letter[] = {o->letter ? '-' : ' ', o->letter ? o->letter : ' ', o->letter ? ',' : ' ', 0};
    snprintf(name, sizeof name, "%s --%s%s%s", letter, o->name, o->value ? " " : "", o->value ? o->value : "");
    snprintf(text, sizeof text, "%s", o->help);
    if (o->row.choice) {
        char list[512] = "";
        for (int i = 0; o->row.choice(i); i++) add(list, sizeof list, ", ", o->row.choice(i));
        add(text, sizeof text, ": ", list);
    }
    add(extra, sizeof extra, "; ", option_range(value, o));
    option_default(value, o);
    if (*value) {
        add(extra, sizeof extra, "; ", "default");
        add(extra, sizeof extra, " ", value);
    }
    if (o->required) add(extra, sizeof extra, "; ", "required");
    if (*extra) {
        add(text, sizeof text, " ", "(");
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s)", extra);
    }
    help_entry(out, name, OPTION_COLUMN, text);
}

void help_print_command(FILE *out, const command *c) {
    char usage[160];
    snprintf(usage, sizeof usage, "coppice %s %s", c->name, c->usage);
    help_paragraphs(out, usage);
    help_paragraphs(out, c->summary);
    putc('\n', out);
    help_paragraphs(out, c->text);
    for (int i = 0; i < COUNT_OF(c->operand); i++) {
        if (c->operand[i].help && !i) putc('\n', out);
        if (c->operand[i].help) help_entry(out, c->operand[i].name, OPTION_COLUMN, c->operand[i].help);
    }
    if (options_of(c)[0].kind != OPTION_HEADING) putc('\n', out);
    for (const option *o = options_of(c); o->kind != OPTION_END; o++) {
        if (o->kind == OPTION_HEADING)
            fprintf(out, "\n%s%s%s\n", terminal_style(out, STYLE_BOLD), o->help, terminal_style(out, STYLE_PLAIN));
        else
            print_option(out, o);
    }
    help_entry(out, "-h, --help", OPTION_COLUMN, "print this help");
}

void help_print_overview(FILE *out) {
    const char *bold = terminal_style(out, STYLE_BOLD), *plain = terminal_style(out, STYLE_PLAIN);
    help_paragraphs(out, "Coppice prunes convolutional neural networks: it makes a net sparse or smaller, fine-tunes "
                         "it, and finds the best accuracy at each sparsity.");
    fprintf(out, "\n%sCommands%s (coppice COMMAND --help explains each)\n", bold, plain);
    for (int i = 0; i < command_count(); i++) help_entry(out, command_at(i)->name, 16, command_at(i)->summary);
    fprintf(out, "\n%sTopics%s (coppice help TOPIC)\n", bold, plain);
    for (int i = 0; i < topic_count(); i++) help_entry(out, topic_at(i)->name, 19, topic_at(i)->summary);
    fprintf(out, "\n%sTo start%s\n", bold, plain);
    fputs("  coppice help study-example > study.yaml\n"
          "  coppice study run study.yaml -o results\n",
          out);
}
