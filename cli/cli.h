/* The program's internals: settings, options, commands, terminal, tables. The library is seen through coppice.h
 * alone. */
#ifndef COPPICE_CLI_H
#define COPPICE_CLI_H

#include "coppice/coppice.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof *(array)))

/** X(NAME, code, meaning): the program's exit codes; `coppice help exit-codes` prints the list. */
#define EXIT_CODE_LIST(X)                                                                                            \
    X(DONE, 0, "done")                                                                                               \
    X(FAILED, 1,                                                                                                     \
      "the run failed (out of memory, training diverged, internal error), or no net satisfies the bounds")           \
    X(USAGE, 2, "wrong command line: unknown command or option, value out of range")                                 \
    X(INPUT, 3, "bad input: a file is missing, malformed, of another version or not writable; or a refused request") \
    X(INTERRUPTED, 130, "interrupted by Ctrl-C or SIGTERM; the state was saved")
#define X(name, code, meaning) EXIT_##name = code,
enum { EXIT_CODE_LIST(X) };
#undef X

/* Numbers written A,B,... */
typedef struct number_list {
    double x[COP_MAX_CHANNELS];
    int n; /* 0: not given */
} number_list;

/* The values of the command line. One struct for all commands: each command's option table names the fields it uses.
 * Texts are borrowed from argv. */
typedef struct settings {
    const struct command *command;
    const char *model, *teacher; /* a preset's name or a file */
    const char *input;           /* of convert */
    const char *output;          /* file or directory */
    const char *study, *dir;
    const char *topic[2];
    const char *data;
    cop_data_options data_options;
    int64_t shape[3]; /* [C,H,W] of a preset's images; 0: not given */
    int64_t classes;
    cop_recipe recipe;
    cop_prune_params prune;
    const char *method;        /* another way to name prune.criterion */
    cop_layer_limit limit[64]; /* [prune.limits] of --layer-keep and --layer-most */
    int64_t round;             /* shrink: channels to a multiple of this; 0: not asked for */
    int groups;                /* inspect: list coupling groups */
    double floor, lose;        /* sensitivity; floor 0: not given */
    int levels;
    const char *criterion; /* NULL: the default one of each group */
    cop_method_params sss;
    cop_auto_params automatic;         /* except what other fields hold */
    double lose_points;                /* NaN: not given */
    unsigned augment;                  /* AUGMENT_* */
    double teacher_share;              /* NaN: not given */
    double sparsity, macs, parameters; /* what sss searches gamma for; 0: not given */
    double retrain_epochs, threshold;
    cop_bench_params bench;
    const char *map; /* of weights' names */
    cop_save_options save;
    number_list mean, std;          /* preprocessing given on the command line */
    int pixel_range, channel_order; /* cop_pixel_range, cop_channel_order; -1: not given */
    int split;                      /* cop_split */
    cop_precision precision;        /* of eval and bench, whose default is not the recipe's */
    int64_t seed;
    int threads, jobs;
    int quiet, verbose, json, confusion;
} settings;

/* ---------------------------------------------------------------------------------------------- options -- */

typedef enum option_kind {
    OPTION_END,     /* closes a table */
    OPTION_HEADING, /* not an option: a line of --help above those that follow */
    OPTION_FLAG,    /* int: 1 when given */
    OPTION_VALUE,   /* read, checked and shown by the library, by its row */
    OPTION_TEXT,    /* const char * */
    OPTION_TIME,    /* double: seconds, written 90s, 30m, 1.5h */
    OPTION_SHAPE,   /* int64_t[3], written CxHxW */
    OPTION_LIST,    /* number_list */
    OPTION_KEEP,    /* LAYER=N, repeatable: adds a cop_layer_limit */
    OPTION_MOST,    /* LAYER=SHARE, repeatable: adds a cop_layer_limit */
    OPTION_TABLE,   /* stands for all options of a library table, whose struct is at `at` */
    OPTION_ROW      /* one option of such a table, found by its library name, with another name or place */
} option_kind;

typedef struct option {
    const char *name;
    char letter; /* 0: none */
    option_kind kind;
    const char *value; /* placeholder of the value in --help; NULL: takes none */
    size_t at;         /* offset in settings */
    cop_option row;    /* VALUE: type, range, choices */
    const cop_option *(*table)(int i);
    const char *of; /* ROW: the library's name; TABLE: what is left out, ",a,b," */
    bool required;
    const char *help;
} option;

#define HEADING(text)                                                                                                \
    { .kind = OPTION_HEADING, .help = text }
#define FLAG(long_name, short_name, field, text)                                                                     \
    { .name = long_name, .letter = short_name, .kind = OPTION_FLAG, .at = offsetof(settings, field), .help = text }
#define TEXT(long_name, short_name, placeholder, field, text)                                                        \
    {                                                                                                                \
        .name = long_name, .letter = short_name, .kind = OPTION_TEXT, .value = placeholder,                          \
        .at = offsetof(settings, field), .help = text                                                                \
    }
#define REQUIRED_TEXT(long_name, short_name, placeholder, field, text)                                               \
    {                                                                                                                \
        .name = long_name, .letter = short_name, .kind = OPTION_TEXT, .value = placeholder,                          \
        .at = offsetof(settings, field), .required = true, .help = text                                              \
    }
#define VALUE(long_name, placeholder, field, text, ...)                                                              \
    {                                                                                                                \
        .name = long_name, .kind = OPTION_VALUE, .value = placeholder, .at = offsetof(settings, field),              \
        .row = {__VA_ARGS__}, .help = text                                                                           \
    }
#define NUMBER(long_name, placeholder, field, least, most, open, text)                                               \
    VALUE(long_name, placeholder, field, text, .kind = COP_OPTION_NUMBER, .low = least, .high = most, .flags = open)
#define COUNT(long_name, field, least, most, text)                                                                   \
    VALUE(long_name, "N", field, text, .kind = COP_OPTION_COUNT, .low = least, .high = most)
#define INTEGER(long_name, field, least, most, text)                                                                 \
    VALUE(long_name, "N", field, text, .kind = COP_OPTION_INTEGER, .low = least, .high = most)
#define CHOICE(long_name, field, names, text)                                                                        \
    VALUE(long_name, "NAME", field, text, .kind = COP_OPTION_CHOICE, .choice = names)
#define NAME(long_name, field, names, text)                                                                          \
    VALUE(long_name, "NAME", field, text, .kind = COP_OPTION_NAME, .choice = names)
#define SET(long_name, field, names, text)                                                                           \
    VALUE(long_name, "NAME,..", field, text, .kind = COP_OPTION_SET, .choice = names)
#define TABLE(function, field)                                                                                       \
    { .kind = OPTION_TABLE, .table = function, .at = offsetof(settings, field) }
#define TABLE_WITHOUT(function, field, names)                                                                        \
    { .kind = OPTION_TABLE, .table = function, .at = offsetof(settings, field), .of = names }
#define ROW(long_name, function, library_name, field)                                                                \
    { .name = long_name, .kind = OPTION_ROW, .table = function, .of = library_name, .at = offsetof(settings, field) }
#define LAYER(long_name, option_kind, placeholder, text)                                                             \
    { .name = long_name, .kind = option_kind, .value = placeholder, .help = text }

/* Shared by several commands. */
#define OPTIONS_DATA                                                                                                 \
    HEADING("Data"),                                                                                                 \
        REQUIRED_TEXT("data", 'd', "PATH", data, "the data set: a directory or file (coppice help formats)"),        \
        OPTIONS_DATA_MORE
#define OPTIONS_DATA_MORE TABLE(cop_data_option, data_options)
#define OPTIONS_PRESET                                                                                               \
    {.name = "shape",                                                                                                \
     .kind = OPTION_SHAPE,                                                                                           \
     .value = "CxHxW",                                                                                               \
     .at = offsetof(settings, shape),                                                                                \
     .help = "image shape for a preset, when there is no data set"},                                                 \
        COUNT("classes", classes, 1, 1000000, "number of classes for a preset, when there is no data set")
#define OPTIONS_RECIPE                                                                                               \
    HEADING("Recipe"),                                                                                               \
        TABLE_WITHOUT(cop_recipe_option, recipe, ",distil_share,distil_temperature,checkpoint,resume,max_seconds,")
#define OPTIONS_LEARNING                                                                                             \
    OPTIONS_RECIPE, HEADING("Distillation"),                                                                         \
        TEXT("teacher", 0, "FILE", teacher,                                                                          \
             "also learn from the outputs of this model; its share of the loss is 0.5 by default"),                  \
        ROW("distil-share", cop_recipe_option, "distil_share", teacher_share),                                       \
        ROW("distil-temperature", cop_recipe_option, "distil_temperature", recipe.distil_temperature),               \
        HEADING("Interruption"), ROW("checkpoint", cop_recipe_option, "checkpoint", recipe.checkpoint),              \
        ROW("resume", cop_recipe_option, "resume", recipe.resume),                                                   \
        ROW("max-seconds", cop_recipe_option, "max_seconds", recipe.max_seconds)
#define OPTIONS_PREPROCESSING                                                                                        \
    HEADING("Image preprocessing (overrides what the model file says)"),                                             \
        CHOICE("scale", pixel_range, cop_pixel_range_name, "pixel range that the model expects"),                    \
        {.name = "mean",                                                                                             \
         .kind = OPTION_LIST,                                                                                        \
         .value = "X,..",                                                                                            \
         .at = offsetof(settings, mean),                                                                             \
         .help = "mean to subtract, in that range: one number, or one per channel"},                                 \
        {.name = "std",                                                                                              \
         .kind = OPTION_LIST,                                                                                        \
         .value = "X,..",                                                                                            \
         .at = offsetof(settings, std),                                                                              \
         .help = "standard deviation to divide by: one number, or one per channel"},                                 \
        CHOICE("channels", channel_order, cop_channel_order_name, "channel order that the model expects")
#define OPTION_JSON FLAG("json", 0, json, "print one JSON object instead of tables")
#define OPTION_OUTPUT(text) REQUIRED_TEXT("output", 'o', "FILE", output, text)
#define OPTIONS_COMMON                                                                                               \
    HEADING("General"), COUNT("seed", seed, 0, 1e18, "seed of the random numbers"), OPTION_THREADS, OPTIONS_TALK
#define OPTION_THREADS INTEGER("threads", threads, 0, 4096, "number of threads; 0: one per available processor")
#define OPTIONS_TALK                                                                                                 \
    FLAG("quiet", 'q', quiet, "print no progress and no notes"), FLAG("verbose", 'v', verbose, "print more"), {      \
        .kind = OPTION_END                                                                                           \
    }

const char *choice_augment(int i);
enum { AUGMENT_NONE = 1, AUGMENT_FLIP = 2, AUGMENT_SHIFT = 4, AUGMENT_ERASE = 8 }; /* its bits */
const char *choice_ending(int i); /* endings of model files that can be written */

/* --------------------------------------------------------------------------------------------- commands -- */

typedef struct operand {
    const char *name;
    size_t at; /* a const char * in settings; an option may also set it */
    bool required;
    const char *help;
} operand;
#define OPERAND_MODEL                                                                                                \
    { "MODEL", offsetof(settings, model), true, "a model file or a preset (coppice help models)" }

typedef struct command {
    const char *name;      /* one word, or two: "study run" */
    const char *usage;     /* what follows the name */
    const char *summary;   /* one line */
    const char *text;      /* a paragraph for --help */
    const option *options; /* ends with a NULL name */
    operand operand[2];
    int (*run)(settings *s, cop_ctx *ctx); /* gives the exit code */
} command;

/** X(symbol): every command is a `const command command_<symbol>` in a file of its own. */
#define X(symbol) extern const command command_##symbol;
#include "commands.def"
#undef X
int command_count(void);
const command *command_at(int i);
/** The first words of the commands' names, each once; NULL past the last. Valid until the next call. */
const char *command_word(int i);
/** Does the command's name begin with this word ("study" of "study run")? */
bool command_is_of(const command *c, const char *family);

/* options.c */
settings settings_default(void);
/** Fill s from the words after the command's name. -1: continue; else the exit code (after an error, or --help). */
int options_parse(settings *s, int words, char **word);
bool is_name(const char *word, const char *(*name)(int i));

/** The range as words: "at least 1", "in [0,1)"; "" if there is nothing to say. */
const char *option_range(char text[64], const option *o);
/** The value of a library option, as written in study files. */
const char *row_value(char text[64], const cop_option *row, const void *field);
/** A command's options, with library tables expanded; ends with OPTION_END. Owned by the program. */
const option *options_of(const command *c);
/** An option's default; "" if there is nothing to say. */
const char *option_default(char text[64], const option *o);

/* help.c, topics.c, manual.c: everything is generated from the tables above and the library's lists */
typedef struct topic {
    const char *name, *summary;
    void (*print)(FILE *out);
} topic;
int topic_count(void);
const topic *topic_at(int i);
void help_print_command(FILE *out, const command *c);
void help_print_overview(FILE *out);
int help_width(FILE *out);
/** Paragraphs (lines of text; a line that begins with a space is kept as it is) broken at width. */
void help_paragraphs(FILE *out, const char *text);
/** "  name   text", the text broken into lines that begin at the column. */
void help_entry(FILE *out, const char *name, int column, const char *text);
void help_print_man(FILE *out);
void help_print_completion(FILE *out);

/* ----------------------------------------------------------------------------------------------- errors -- */

/** Print one line on standard error, `coppice: ...`; control characters become '?'. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** The same for a wrong command line, with the command's name; returns EXIT_USAGE. */
int usage_error(const settings *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** Report the library's error; returns the exit code of the status. */
int library_error(const cop_ctx *ctx, cop_status status);
_Noreturn void die_no_memory(void);

/* --------------------------------------------------------------------------------------------- terminal -- */

void terminal_open(const settings *s);
bool terminal_is(FILE *stream);   /* a terminal that understands cursor movement */
int terminal_width(FILE *stream); /* columns; 80 when unknown, INT_MAX for pipes and files */
typedef enum style { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLE_ACCENT } style;
const char *terminal_style(FILE *stream, style which); /* "" where colour is unwanted */
int text_columns(const char *utf8);
/** Length in bytes of the part of the text that fits in this many columns. */
size_t text_cut(const char *utf8, int columns);
/** Replace control characters (ASCII and C1 in UTF-8) by '?'. */
void text_make_printable(char *text);
void text_print(const char *text); /* to standard output, with control characters replaced except '\n' */
/** The context's callbacks; user is unused. */
void terminal_progress(void *user, const cop_progress *p);
void terminal_log(void *user, cop_log_level level, const char *text);
void terminal_clear(void); /* wipe the progress bar */
/** Print a line on standard error, unless --quiet. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ----------------------------------------------------------------------------------------------- tables -- */

typedef struct table table;
/** spec: "<layer|>2params|>macs": one part per column, '<' left or '>' right aligned. A digit after it says how early
 *  the column is dropped on a narrow terminal (1 first; none: never). Without any heads there is no head line. */
table *table_create(const char *spec);
void table_cell(table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void table_rule(table *t);             /* a line under the last row */
void table_print(table *t, FILE *out); /* and frees it */
void table_free(table *t);             /* accepts NULL */

/* Numbers for people; each fills and returns its buffer. NaN is "-". */
typedef struct spoken {
    char text[64];
} spoken;
const char *say_count(spoken *w, int64_t n);      /* 592,933 */
const char *say_share(spoken *w, double share);   /* 98.5 %: sparsities of layers and nets */
const char *say_percent(spoken *w, double share); /* 86.80 %: accuracies, and what stands beside them */
const char *say_macs(spoken *w, int64_t n);       /* 11.16 M */
const char *say_bytes(spoken *w, int64_t n);      /* 2.26 MiB */
const char *say_shape(spoken *w, int rank, const int64_t *shape); /* 32x25x25 */
const char *say_seconds(spoken *w, double seconds);               /* 4.2 s, 1:05, 2:00:41 */
const char *say_ratio(spoken *w, double before, double after);    /* 3.4x less, the same, 1.2x more */
const char *say_number(spoken *w, double x, int digits);
#define SAY(what, ...) say_##what(&(spoken){{0}}, __VA_ARGS__)

/* JSON: NaN and infinities become null, bytes that are not UTF-8 become '?'. The program exits if memory runs out. */
void json_put(json_t *object, const char *key, json_t *value); /* takes value */
void json_add(json_t *array, json_t *value);                   /* takes value */
json_t *json_object_new(void);
json_t *json_array_new(void);
json_t *json_number(double x);
json_t *json_text(const char *text); /* NULL: null */
json_t *json_count(int64_t n);
json_t *json_counts(const int64_t *x, int n);
json_t *json_numbers(const double *x, int n);
int json_print(json_t *root); /* to standard output; frees root; returns EXIT_DONE */

/* ----------------------------------------------------------------------------------- shared by commands -- */

/* open.c. Each returns EXIT_DONE, or the exit code after an error. */
/** Open s->data (which an option or operand gave). */
int open_data(const settings *s, cop_ctx *ctx, cop_data **data);
/** Open a model file, or a preset shaped by the data (may be NULL) or by --shape and --classes. --scale, --mean,
 *  --std and --channels override its preprocessing. */
int open_model(const settings *s, cop_ctx *ctx, const cop_data *data, cop_net **net);
/** Open both; images of a folder are scaled to a model file's input size, unless --height or --width is given. */
int open_both(const settings *s, cop_ctx *ctx, cop_data **data, cop_net **net);
/** Put the same size into s->data_options, for commands that let the library open the data. */
int scale_to_model(settings *s, cop_ctx *ctx);
/** Open both, do the work with them, close them; returns the work's exit code. */
int with_model_and_data(const settings *s, cop_ctx *ctx,
                        int (*work)(const settings *s, cop_ctx *ctx, const cop_net *net, const cop_data *data));
/** Refuse early, before the work, an output path that cannot be written. */
int check_place(const char *path);
/** The same for a model; its ending must also be a format that can be written. */
int check_output(const settings *s, const char *path);
int save_model(cop_ctx *ctx, const cop_net *net, const char *path);
int64_t file_size(const char *path); /* -1: none */
/** Accuracy on a split; *accuracy is NaN if the split is empty. */
int measure(cop_ctx *ctx, const cop_net *net, const cop_data *data, cop_split split, double *accuracy);

/* learn.c: train and tune. */
typedef enum learn_start { LEARN_FRESH, LEARN_ON } learn_start;
int learn(const settings *s, cop_ctx *ctx, learn_start start);

/* Printed by study run and study report. */
void print_summary(const cop_study_summary *summary, const char *dir);

#endif
