/* The manual page and the shell completion, from the same tables as --help. */
#include "cli.h"

#include <string.h>

/* -- manual page, in man(7) macros -- */

/* A line beginning with a dot or a quote would be a request; hyphens must stay hyphens. */
static void roff(FILE *out, const char *text) {
    if (*text == '.' || *text == '\'') fputs("\\&", out);
    for (; *text; text++) {
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else if (*text == '\n')
            fputs("\n.PP\n", out);
        else
            putc(*text, out);
    }
}

static void man_option(FILE *out, const option *o) {
    char extra[64];
    if (o->letter)
        fprintf(out, ".TP\n\\fB\\-%c\\fR, \\fB\\-\\-", o->letter);
    else
        fputs(".TP\n\\fB\\-\\-", out);
    roff(out, o->name);
    fputs("\\fR", out);
    if (o->value) {
        fputs(" \\fI", out);
        roff(out, o->value);
        fputs("\\fR", out);
    }
    putc('\n', out);
    roff(out, o->help);
    if (o->row.choice) {
        for (int i = 0; o->row.choice(i); i++) {
            fputs(i ? ", " : ": ", out);
            roff(out, o->row.choice(i));
        }
    }
    if (*option_range(extra, o)) {
        fputs(", ", out);
        roff(out, extra);
    }
    option_default(extra, o);
    if (*extra) {
        fputs(" (default ", out);
        roff(out, extra);
        putc(')', out);
    }
    fputs(o->required ? " (required)\n" : "\n", out);
}

static void man_command(FILE *out, const command *c) {
    fputs(".SS coppice ", out);
    roff(out, c->name);
    putc(' ', out);
    roff(out, c->usage);
    putc('\n', out);
    roff(out, c->text);
    putc('\n', out);
    for (const option *o = options_of(c); o->kind != OPTION_END; o++)
        if (o->kind != OPTION_HEADING) man_option(out, o);
}

void help_print_man(FILE *out) {
    static const struct {
        const char *code, *meaning;
    } codes[] = {
#define X(name, code, meaning) {#code, meaning},
        EXIT_CODE_LIST(X)
#undef X
    };
    fprintf(out, ".TH COPPICE 1 \"\" \"coppice %s\" \"User Commands\"\n", cop_version());
    fputs(".SH NAME\ncoppice \\- prune convolutional neural networks\n.SH SYNOPSIS\n", out);
    for (int i = 0; i < command_count(); i++) {
        const command *c = command_at(i);
        fprintf(out, "%s.B coppice ", i ? ".br\n" : "");
        roff(out, c->name);
        fputs(*c->usage ? "\n" : "", out);
        roff(out, c->usage);
        putc('\n', out);
    }
    fputs(
        ".SH DESCRIPTION\n"
        "Coppice prunes convolutional neural networks: it makes a net sparse or smaller, fine\\-tunes it, and finds "
        "the best accuracy at each sparsity.\n.B coppice help \\fITOPIC\\fR\nexplains these topics:\n",
        out);
    for (int i = 0; i < topic_count(); i++) {
        fputs(".TP\n.B ", out);
        roff(out, topic_at(i)->name);
        putc('\n', out);
        roff(out, topic_at(i)->summary);
        putc('\n', out);
    }
    fputs(".SH COMMANDS\nEvery command also has \\fB\\-\\-help\\fR.\n", out);
    for (int i = 0; i < command_count(); i++) man_command(out, command_at(i));
    fputs(".SH EXIT STATUS\n", out);
    for (int i = 0; i < COUNT_OF(codes); i++) {
        fprintf(out, ".TP\n.B %s\n", codes[i].code);
        roff(out, codes[i].meaning);
        putc('\n', out);
    }
    fputs(".SH ENVIRONMENT\n.TP\n.B NO_COLOR\nIf set and not empty, terminal output has no colours.\n"
          ".TP\n.B TERM\nIf \\(lqdumb\\(rq, progress is printed as occasional lines instead of a bar.\n"
          ".SH EXAMPLES\n.nf\ncoppice help study\\-example > study.yaml\ncoppice study run study.yaml \\-o "
          "results\ncoppice auto seed\\-cnn \\-\\-data images \\-\\-budget 30m \\-o found\n.fi\n",
          out);
}

/* -- completion for bash -- */

static void print_words(FILE *out, const char *(*name)(int i)) {
    for (int i = 0; name(i); i++) fprintf(out, "%s%s", i ? " " : "", name(i));
}

static const char *topic_name(int i) {
    return i < topic_count() ? topic_at(i)->name : NULL;
}

static void complete_command(FILE *out, const command *c) {
    fprintf(out, "    '%s')\n        options='--help", c->name);
    for (const option *o = options_of(c); o->kind != OPTION_END; o++)
        if (o->kind != OPTION_HEADING) fprintf(out, " --%s", o->name);
    fputs("'\n        case $before in\n", out);
    for (const option *o = options_of(c); o->kind != OPTION_END; o++) {
        if (o->row.choice) {
            fprintf(out, "        --%s) values='", o->name);
            print_words(out, o->row.choice);
            fputs("' ;;\n", out);
        } else if (o->kind == OPTION_TEXT) {
            fprintf(out, "        --%s", o->name);
            if (o->letter) fprintf(out, "|-%c", o->letter);
            fputs(") files=1 ;;\n", out);
        } else if (o->value)
            fprintf(out, "        --%s) return ;;\n", o->name);
    }
    fputs("        esac ;;\n", out);
}

void help_print_completion(FILE *out) {
    fputs("# Completion of coppice for bash; printed by `coppice help bash-completion`.\n"
          "_coppice() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    local command=${COMP_WORDS[1]} options='' values='' files=''\n"
          "    COMPREPLY=()\n"
          "    if [ \"$COMP_CWORD\" = 1 ]; then\n        COMPREPLY=($(compgen -W '",
          out);
    print_words(out, command_word);
    fputs("' -- \"$word\"))\n        return\n    fi\n", out);
    for (int i = 0; command_word(i); i++) {
        char family[32];
        int members = 0;
        snprintf(family, sizeof family, "%s", command_word(i));
        for (int k = 0; k < command_count(); k++) {
            if (!command_is_of(command_at(k), family)) continue;
            if (!members++)
                fprintf(out,
                        "    if [ \"$command\" = %s ]; then\n        if [ \"$COMP_CWORD\" = 2 ]; then\n"
                        "            COMPREPLY=($(compgen -W '",
                        family);
            fprintf(out, "%s%s", members > 1 ? " " : "", command_at(k)->name + strlen(family) + 1);
        }
        if (members)
            fputs("' -- \"$word\"))\n            return\n        fi\n        command=\"$command ${COMP_WORDS[2]}\"\n "
                  "   fi\n",
                  out);
    }
    fputs("    case $command in\n", out);
    for (int i = 0; i < command_count(); i++) complete_command(out, command_at(i));
    fputs("    esac\n    if [ \"$command\" = help ]; then values='", out);
    print_words(out, command_word);
    putc(' ', out);
    print_words(out, topic_name);
    fputs("'; fi\n"
          "    if [ -n \"$values\" ]; then COMPREPLY=($(compgen -W \"$values\" -- \"$word\"))\n"
          "    elif [ -z \"$files\" ] && [ \"${word#-}\" != \"$word\" ]; then COMPREPLY=($(compgen -W \"$options\" "
          "-- \"$word\"))\n"
          "    else compopt -o filenames; COMPREPLY=($(compgen -f -- \"$word\")); fi\n"
          "}\n"
          "complete -F _coppice coppice\n",
          out);
}
