/* The program's insides: settings, options, commands, terminal, tables. It knows the library by coppice.h alone. */
#ifndef COPPICE_CLI_H
#define COPPICE_CLI_H

#include "coppice/coppice.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof *(array)))

/** X(NAME, code, meaning): what the program exits with; `coppice help exit-codes` prints the list. */
#define EXIT_CODE_LIST(X)                                                                                            \
    X(DONE, 0, "done")                                                                                               \
    X(FAILED, 1,                                                                                                     \
      "the run failed: out of memory, a training that diverged, an internal error; or a bound asked for is not met") \
    X(USAGE, 2, "the command line is wrong: unknown command or option, a value out of its range")                    \
    X(INPUT, 3,                                                                                                      \
      "bad input: a file that is missing, malformed, of another version or not writable; a refused request")         \
    X(INTERRUPTED, 130, "interrupted by Ctrl-C or SIGTERM; the state reached was saved")
#define X(name, code, meaning) EXIT_##name = code,
enum { EXIT_CODE_LIST(X) };
#undef X

/* What the command line says. One struct for all commands: each command's option table names the fields it uses.
 * Texts are borrowed from argv. */
/* Numbers written A,B,... */
typedef struct number_list {
    double x[COP_MAX_CHANNELS];
    int n; /* 0: not given */
} number_list;

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
    const char *criterion; /* NULL: the usual one of each group */
    cop_method_params sss;
    cop_auto_params automatic;         /* but for what other fields hold */
    double lose_points;                /* NaN: not given */
    unsigned augment;                  /* AUGMENT_* */
    double sparsity, macs, parameters; /* what sss searches gamma for; 0: not given */
    double retrain_epochs, threshold;
    cop_bench_params bench;
    const char *map; /* of weights' names */
    cop_save_options save;
    number_list mean, std;          /* what the model does to its images, where the command line says so */
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
    OPTION_TEXT,    /* const char * */
    OPTION_NUMBER,  /* double */
    OPTION_TIME,    /* double: seconds, written 90s, 30m, 1.5h */
    OPTION_COUNT,   /* int64_t */
    OPTION_SMALL,   /* int */
    OPTION_CHOICE,  /* an enum or int: index of the name given */
    OPTION_NAME,    /* const char *: one of the names */
    OPTION_SHAPE,   /* int64_t[3], written CxHxW */
    OPTION_STEPS,   /* double[4], rising, written A,B,...; the rest 0 */
    OPTION_LIST,    /* number_list */
    OPTION_WORDS,   /* unsigned: a bit for each of the names given, written A,B,... */
    OPTION_KEEP,    /* LAYER=N, again for each layer: a cop_layer_limit more */
    OPTION_MOST     /* LAYER=SHARE, likewise */
} option_kind;

typedef struct option {
    const char *name;
    char letter; /* 0: none */
    option_kind kind;
    const char *value;            /* how --help calls the value; NULL: takes none */
    size_t at;                    /* offset in settings */
    const char *range;            /* numbers: "[0,1)"; brackets say whether the ends belong to it */
    const char *(*choice)(int i); /* names; NULL past the last */
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
#define NUMBER(long_name, placeholder, field, limits, text)                                                          \
    {                                                                                                                \
        .name = long_name, .kind = OPTION_NUMBER, .value = placeholder, .at = offsetof(settings, field),             \
        .range = limits, .help = text                                                                                \
    }
#define REQUIRED_NUMBER(long_name, placeholder, field, limits, text)                                                 \
    {                                                                                                                \
        .name = long_name, .kind = OPTION_NUMBER, .value = placeholder, .at = offsetof(settings, field),             \
        .range = limits, .required = true, .help = text                                                              \
    }
#define COUNT(long_name, field, limits, text)                                                                        \
    {                                                                                                                \
        .name = long_name, .kind = OPTION_COUNT, .value = "N", .at = offsetof(settings, field), .range = limits,     \
        .help = text                                                                                                 \
    }
#define SMALL(long_name, field, limits, text)                                                                        \
    {                                                                                                                \
        .name = long_name, .kind = OPTION_SMALL, .value = "N", .at = offsetof(settings, field), .range = limits,     \
        .help = text                                                                                                 \
    }
#define CHOICE(long_name, field, names, text)                                                                        \
    {                                                                                                                \
        .name = long_name, .kind = OPTION_CHOICE, .value = "NAME", .at = offsetof(settings, field), .choice = names, \
        .help = text                                                                                                 \
    }
#define NAME(long_name, field, names, text)                                                                          \
    {                                                                                                                \
        .name = long_name, .kind = OPTION_NAME, .value = "NAME", .at = offsetof(settings, field), .choice = names,   \
        .help = text                                                                                                 \
    }

#define LAYER(long_name, option_kind, placeholder, text)                                                             \
    { .name = long_name, .kind = option_kind, .value = placeholder, .help = text }

/* What several commands share. */
#define OPTION_AGGREGATE                                                                                             \
    CHOICE("aggregate", prune.aggregate, choice_aggregate, "how coupled channels' scores make one")
#define OPTIONS_DATA                                                                                                 \
    HEADING("Data"),                                                                                                 \
        REQUIRED_TEXT("data", 'd', "PATH", data, "the data set: a directory or file (coppice help formats)"),        \
        OPTIONS_DATA_MORE
#define OPTIONS_DATA_MORE                                                                                            \
    NAME("format", data_options.format, choice_format, "read it as this instead of guessing"),                       \
        NUMBER("validation", "SHARE", data_options.validation, "[0,0.9]",                                            \
               "share of the training images set aside for validation where the data has no such split"),            \
        COUNT("limit", data_options.limit, "[0,1e15]", "at most so many images a split; 0: all"),                    \
        COUNT("height", data_options.height, "[0,16384]",                                                            \
              "scale the images of a folder; 0: the height that a model file takes, else the first image's"),        \
        COUNT("width", data_options.width, "[0,16384]", "likewise")
#define OPTIONS_PRESET                                                                                               \
    {.name = "shape",                                                                                                \
     .kind = OPTION_SHAPE,                                                                                           \
     .value = "CxHxW",                                                                                               \
     .at = offsetof(settings, shape),                                                                                \
     .help = "of a preset's images, where there is no data set to tell"},                                            \
        COUNT("classes", classes, "[1,1000000]", "of a preset, likewise")
#define OPTIONS_RECIPE                                                                                               \
    HEADING("Recipe"),                                                                                               \
        NUMBER("epochs", "N", recipe.epochs, "(0,1e6]", "passes over the training images; fractions are fine"),      \
        COUNT("batch", recipe.batch, "[1,1048576]", "images a step"),                                                \
        CHOICE("optimizer", recipe.optimizer, choice_optimizer, "how weights move"),                                 \
        NUMBER("rate", "R", recipe.rate, "(0,1e3]", "peak learning rate"),                                           \
        CHOICE("schedule", recipe.schedule, choice_schedule, "how the rate goes over the steps"),                    \
        NUMBER("warmup", "SHARE", recipe.warmup, "[0,1)", "share of the steps in which one-cycle and cosine rise"),  \
        {.name = "step-epochs",                                                                                      \
         .kind = OPTION_STEPS,                                                                                       \
         .value = "N,..",                                                                                            \
         .at = offsetof(settings, recipe.step_epochs),                                                               \
         .help = "schedule step: the rate falls after these epochs, four at most"},                                  \
        NUMBER("step-factor", "F", recipe.step_factor, "(0,1]", "schedule step: what the rate is multiplied by"),    \
        SMALL("restarts", recipe.restarts, "[0,1000]", "cosine and one-cycle begin anew so many times"),             \
        NUMBER("momentum", "M", recipe.momentum, "[0,1)", "of sgd (Nesterov)"),                                      \
        NUMBER("decay", "D", recipe.decay, "[0,1]", "weight decay of kernels"),                                      \
        NUMBER("l1", "W", recipe.l1, "[0,1]", "weight of sum |w| in the loss, over kernels"),                        \
        NUMBER("l1-scale", "W", recipe.l1_scale, "[0,1]",                                                            \
               "weight of sum |scale| in the loss, over batch-norm scales"),                                         \
        NUMBER("l2", "W", recipe.l2, "[0,1]", "weight of sum w^2 in the loss, over kernels"),                        \
        NUMBER("l2-conv", "W", recipe.l2_conv, "[0,1]", "the same over the kernels of convolutions only"),           \
        FLAG("flip", 0, recipe.flip, "mirror half the images left to right"),                                        \
        SMALL("shift", recipe.shift, "[0,64]", "shift images by up to so many pixels"),                              \
        SMALL("erase", recipe.erase, "[0,64]", "erase a square of so many pixels a side (cutout)"),                  \
        NUMBER("dropout", "F", recipe.dropout, "[0,1]", "the net's dropout shares times this"),                      \
        NUMBER("average", "D", recipe.average, "[0,1)",                                                              \
               "give the net the running averages of its weights, of this decay, e.g. 0.999; 0: none"),              \
        NUMBER("label-smoothing", "S", recipe.label_smoothing, "[0,1)", "soften the labels"),                        \
        CHOICE("precision", recipe.precision, choice_precision, "of the arithmetic; auto: bf16 where it is fast"),   \
        SMALL("evaluate-every", recipe.evaluate_every, "[0,1000000]",                                                \
              "epochs between validation figures, which --verbose lists; 0: only after the last"),                   \
        HEADING("Distillation"), TEXT("teacher", 0, "FILE", teacher, "learn from this model's outputs too"),         \
        NUMBER("distil-share", "A", recipe.distil_share, "[0,1]", "the teacher's share of the loss"),                \
        NUMBER("distil-temperature", "T", recipe.distil_temperature, "(0,100]", "softens both outputs"),             \
        HEADING("Interruption"),                                                                                     \
        TEXT("checkpoint", 0, "FILE", recipe.checkpoint,                                                             \
             "keep the state here after each epoch and when interrupted; default: OUTPUT.checkpoint, removed at "    \
             "the end"),                                                                                             \
        FLAG("resume", 0, recipe.resume, "go on from the checkpoint if there is one"),                               \
        NUMBER("max-seconds", "S", recipe.max_seconds, "[0,1e9]",                                                    \
               "stop after the epoch that passes this time; 0: never")
#define OPTIONS_PREPROCESSING                                                                                        \
    HEADING("Images as the model wants them, where its file doesn't say it or is wrong"),                            \
        CHOICE("scale", pixel_range, choice_pixel_range, "the range it takes pixels in"),                            \
        {.name = "mean",                                                                                             \
         .kind = OPTION_LIST,                                                                                        \
         .value = "X,..",                                                                                            \
         .at = offsetof(settings, mean),                                                                             \
         .help = "is subtracted in that range: a number for each of the model's channels, or one for all"},          \
        {.name = "std",                                                                                              \
         .kind = OPTION_LIST,                                                                                        \
         .value = "X,..",                                                                                            \
         .at = offsetof(settings, std),                                                                              \
         .help = "then divides, likewise"},                                                                          \
        CHOICE("channels", channel_order, choice_channel_order, "the order it takes channels in")
#define OPTION_JSON FLAG("json", 0, json, "print one JSON object instead of tables")
#define OPTION_OUTPUT(text) REQUIRED_TEXT("output", 'o', "FILE", output, text)
#define OPTIONS_COMMON                                                                                               \
    HEADING("General"), COUNT("seed", seed, "[0,1e18]", "of every random choice"), OPTION_THREADS, OPTIONS_TALK
#define OPTION_THREADS SMALL("threads", threads, "[0,4096]", "processors to use; 0: all that the process may use")
#define OPTIONS_TALK                                                                                                 \
    FLAG("quiet", 'q', quiet, "no progress and no notes"), FLAG("verbose", 'v', verbose, "say more"), {              \
        .kind = OPTION_END                                                                                           \
    }

const char *choice_format(int i);
const char *choice_optimizer(int i);
const char *choice_schedule(int i);
const char *choice_precision(int i);
const char *choice_split(int i);
const char *choice_scope(int i);
const char *choice_criterion(int i);
const char *choice_aggregate(int i);
const char *choice_structure(int i);
const char *choice_prox(int i);
const char *choice_augment(int i);
enum { AUGMENT_NONE = 1, AUGMENT_FLIP = 2, AUGMENT_SHIFT = 4, AUGMENT_ERASE = 8 }; /* its bits */
const char *choice_preset(int i);
const char *choice_pixel_range(int i);
const char *choice_channel_order(int i);
const char *choice_weight_map(int i);
const char *choice_ending(int i); /* of model files that can be written */
const char *choice_method(int i);

/* --------------------------------------------------------------------------------------------- commands -- */

typedef struct operand {
    const char *name;
    size_t at; /* a const char * in settings; an option may fill it as well */
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
/** Fill s from the words after the command's name. -1: go on; else the exit code (after an error, or --help). */
int options_parse(settings *s, int words, char **word);
/** The exact name, or the nearest one for "did you mean"; NULL when nothing is near. */
const char *nearest_name(const char *word, const char *(*name)(int i));
bool is_name(const char *word, const char *(*name)(int i));

/** "at least 1", "in [0,1)": the range as words, "" when it says nothing. */
const char *option_range(char text[64], const option *o);
/** The value an option has when it is not given, "" when that is nothing to speak of. */
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

/** One line on standard error, `coppice: ...`; control characters become '?'. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** The same for a mistake on the command line, with the command's name; gives EXIT_USAGE. */
int usage_error(const settings *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** Report the library's error; gives the exit code that stands for the status. */
int library_error(const cop_ctx *ctx, cop_status status);
_Noreturn void die_no_memory(void);

/* --------------------------------------------------------------------------------------------- terminal -- */

void terminal_open(const settings *s);
bool terminal_is(FILE *stream);   /* a terminal that understands cursor movement */
int terminal_width(FILE *stream); /* columns; 80 when unknown, INT_MAX for pipes and files */
typedef enum style { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLE_ACCENT } style;
const char *terminal_style(FILE *stream, style which); /* "" where colour is unwanted */
int text_columns(const char *utf8);
/** Where the text ends that fills at most so many columns. */
size_t text_cut(const char *utf8, int columns);
/** What would command a terminal, control characters of ASCII and those of UTF-8's second row, becomes '?'. */
void text_make_printable(char *text);
void text_print(const char *text); /* to standard output, likewise, but for '\n' */
/** The context's callbacks; user is unused. */
void terminal_progress(void *user, const cop_progress *p);
void terminal_log(void *user, cop_log_level level, const char *text);
void terminal_clear(void); /* wipe the progress bar */
/** A remark on standard error, unless --quiet. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ----------------------------------------------------------------------------------------------- tables -- */

typedef struct table table;
/** spec: "<layer|>2params|>macs": a column each, '<' left or '>' right aligned, a digit after it says how early it is
 *  left out on a narrow terminal (1 first; none: never). No heads at all: no head line. */
table *table_create(const char *spec);
void table_cell(table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void table_rule(table *t);             /* a line under the row before */
void table_print(table *t, FILE *out); /* and frees it */
void table_free(table *t);             /* accepts NULL */

/* Numbers as people read them; each fills and gives its buffer. NaN is "-". */
typedef struct spoken {
    char text[64];
} spoken;
const char *say_count(spoken *w, int64_t n);                      /* 592,933 */
const char *say_share(spoken *w, double share);                   /* 98.5 % */
const char *say_macs(spoken *w, int64_t n);                       /* 11.16 M */
const char *say_bytes(spoken *w, int64_t n);                      /* 2.26 MiB */
const char *say_shape(spoken *w, int rank, const int64_t *shape); /* 32x25x25 */
const char *say_seconds(spoken *w, double seconds);               /* 4.2 s, 1:05, 2:00:41 */
const char *say_ratio(spoken *w, double before, double after);    /* 3.4x less, the same, 1.2x more */
const char *say_number(spoken *w, double x, int digits);
#define SAY(what, ...) say_##what(&(spoken){{0}}, __VA_ARGS__)

/* JSON: NaN and infinities become null, bytes that are no UTF-8 become '?'. Memory running out ends the program. */
void json_put(json_t *object, const char *key, json_t *value); /* takes value */
void json_add(json_t *array, json_t *value);                   /* takes value */
json_t *json_object_new(void);
json_t *json_array_new(void);
json_t *json_number(double x);
json_t *json_text(const char *text); /* NULL: null */
json_t *json_count(int64_t n);
json_t *json_counts(const int64_t *x, int n);
json_t *json_numbers(const double *x, int n);
int json_print(json_t *root); /* to standard output; frees root; gives EXIT_DONE */

/* ------------------------------------------------------------------------------------ what commands share -- */

/* open.c. Each gives EXIT_DONE, or the exit code after an error. */
/** Open s->data (which an option or operand gave). */
int open_data(const settings *s, cop_ctx *ctx, cop_data **data);
/** A model file, or a preset shaped by the data (may be NULL) or by --shape and --classes; its images are treated as
 *  --scale, --mean, --std and --channels say, where they are given. */
int open_model(const settings *s, cop_ctx *ctx, const cop_data *data, cop_net **net);
/** Open both; images of a folder are scaled to what a model file takes, unless --height or --width is given. */
int open_both(const settings *s, cop_ctx *ctx, cop_data **data, cop_net **net);
/** The same size, put into s->data_options, for what opens them itself. */
int scale_to_model(settings *s, cop_ctx *ctx);
/** Open both, do the work with them, close them; gives what the work gives. */
int with_model_and_data(const settings *s, cop_ctx *ctx,
                        int (*work)(const settings *s, cop_ctx *ctx, const cop_net *net, const cop_data *data));
/** Say now what would go wrong when the work is done: a missing or unwritable directory, something that is no file.
 */
int check_place(const char *path);
/** The same for a model; its name must also have an ending that can be written. */
int check_output(const settings *s, const char *path);
int save_model(cop_ctx *ctx, const cop_net *net, const char *path);
int64_t file_size(const char *path); /* -1: none */
/** Accuracy on a split; *accuracy is NaN when the data has no such split. */
int measure(cop_ctx *ctx, const cop_net *net, const cop_data *data, cop_split split, double *accuracy);

/* learn.c: train and tune. */
typedef enum learn_start { LEARN_FRESH, LEARN_ON } learn_start;
int learn(const settings *s, cop_ctx *ctx, learn_start start);

/* What the three study commands print. */
void print_summary(const cop_study_summary *summary, const char *dir);

#endif
