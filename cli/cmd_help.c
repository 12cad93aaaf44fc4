/* coppice help. */
#include "cli.h"

#include <string.h>

static const option options[] = {{.kind = OPTION_END}};

static const char *subject_name(int i) { /* topics, then commands: the candidates of "did you mean" */
    if (i < topic_count()) return topic_at(i)->name;
    i -= topic_count();
    return i < command_count() ? command_at(i)->name : NULL;
}

static int run(settings *s, cop_ctx *ctx) {
    (void)ctx;
    char name[64];
    if (!s->topic[0]) {
        help_print_overview(stdout);
        return EXIT_DONE;
    }
    snprintf(name, sizeof name, "%s%s%s", s->topic[0], s->topic[1] ? " " : "", s->topic[1] ? s->topic[1] : "");
    for (int i = 0; i < command_count(); i++)
        if (!strcmp(name, command_at(i)->name)) {
            help_print_command(stdout, command_at(i));
            return EXIT_DONE;
        }
    for (int i = 0; i < topic_count(); i++)
        if (!strcmp(name, topic_at(i)->name)) {
            topic_at(i)->print(stdout);
            return EXIT_DONE;
        }
    const char *near = cop_nearest(name, subject_name);
    if (near) return usage_error(s, "unknown topic '%s'; did you mean '%s'?", name, near);
    return usage_error(s, "unknown topic '%s'; `coppice help` lists commands and topics", name);
}

const command command_help = {
    .name = "help",
    .usage = "[COMMAND|TOPIC]",
    .summary = "explain a command or a topic",
    .text = "Without an argument it lists the commands and topics.",
    .options = options,
    .operand = {{"TOPIC", offsetof(settings, topic[0]), false, "a command's name or one of the topics"},
                {"TOPIC", offsetof(settings, topic[1]), false, NULL}},
    .run = run,
};
