/* Prints `coppice help TOPIC`. Lists come from the library and the option tables. */
#include "cli.h"

#include <limits.h>
#include <math.h>
#include <string.h>

typedef struct entry {
    const char *name, *text; /* name NULL: text is a heading */
} entry;

static void heading(FILE *out, const char *text) {
    fprintf(out, "\n%s%s%s\n", terminal_style(out, STYLE_BOLD), text, terminal_style(out, STYLE_PLAIN));
}

/* The column where help texts begin: right of the longest name. */
static int wider(int column, const char *name) {
    int n = text_columns(name) + 4;
    return n > column ? n : column;
}

static void print_entries(FILE *out, const entry *e, int n) {
    int column = 0;
    for (int i = 0; i < n; i++) column = e[i].name ? wider(column, e[i].name) : column;
    for (int i = 0; i < n; i++) {
        if (e[i].name)
            help_entry(out, e[i].name, column, e[i].text);
        else
            heading(out, e[i].text);
    }
}

static void print_list(FILE *out, int n, const char *(*name)(int i), const char *(*text)(int i)) {
    int column = 0;
    for (int i = 0; i < n; i++) column = wider(column, name(i));
    for (int i = 0; i < n; i++) help_entry(out, name(i), column, text(i));
}

/* -- formats, models -- */

static void print_formats(FILE *out) {
    static const entry e[] = {
        {NULL, "Data sets (--data PATH; the format is detected unless --format NAME is given)"},
        {"idx",
         "a directory with train-images-idx3-ubyte, train-labels-idx1-ubyte and the two t10k files, plain or gzipped "
         "(.gz): MNIST, Fashion-MNIST and similar sets"},
        {"cifar10",
         "a directory with data_batch_1.bin .. data_batch_5.bin and test_batch.bin: CIFAR-10, binary version"},
        {"cifar100", "a directory with train.bin and test.bin: CIFAR-100, binary version, fine labels"},
        {"npz",
         "a .npz file with x_train, y_train, x_test, y_test and optional x_val, y_val: images [N,H,W,C] as bytes "
         "or floats, labels [N] or [N,1] of any integer type"},
        {"folder", "a directory with train/CLASS/*.jpg, .jpeg or .png, and optional val/ and test/ of the same form; "
                   "images are resized to --height and --width"},
    };
    help_paragraphs(out,
                    "The file formats of data sets and models. `coppice data PATH` shows what a data set contains, "
                    "`coppice inspect MODEL` what a model contains.");
    print_entries(out, e, COUNT_OF(e));
    heading(out, "Models (the format follows from the ending, or without one from the first bytes)");
    print_list(out, cop_model_format_count(), cop_model_format_ending, cop_model_format_help);
}

static void print_onnx(FILE *out) {
    help_paragraphs(
        out, "The ONNX ops that Coppice reads, with their restrictions. A model must have one input, one output "
             "and constant weights. Any other op is refused, with the name of its node.\n\n");
    print_list(out, cop_onnx_op_count(), cop_onnx_op_name, cop_onnx_op_help);
}

static void print_maps(FILE *out) {
    help_paragraphs(
        out,
        "`coppice convert IN OUT --model NET --map NAME` translates the tensor names of a file (features.0.weight) "
        "into those of the net (conv1.weight). `coppice inspect NET` lists the net's layers. A map is a file with "
        "one "
        "rule per line. The first rule that matches a name translates it. # starts a comment.");
    static const entry e[] = {
        {NULL, "Rules"},
        {"features.0 -> conv1", "replace the start of a name, up to a dot or the end"},
        {"layer*.*.conv* -> s$1.b$2+1.conv$3", "* matches text without a dot, at most once between dots; $1, $2, ... "
                                               "insert what it matched, $2+1 adds 1 to it"},
        {"drop aux", "ignore these tensors"},
        {NULL, "Afterwards, without a rule"},
        {"weight, bias", "of a batch-norm become its scale and shift"},
        {"running_mean, running_var", "become its mean and variance; num_batches_tracked is ignored"},
        {"a conv's bias", "is folded into the mean of the batch-norm after it if the net's conv has no bias"},
    };
    print_entries(out, e, COUNT_OF(e));
    heading(out, "Built-in maps");
    print_list(out, cop_weight_map_count(), cop_weight_map_name, cop_weight_map_help);
}

static void print_models(FILE *out) {
    help_paragraphs(
        out,
        "MODEL is a preset's name or a model file. A file contains its own graph, so nothing else is needed. A "
        "preset is built for the images and classes of --data, or for --shape CxHxW and --classes N. Its weights "
        "are random numbers from --seed.");
    heading(out, "Presets");
    print_list(out, cop_preset_count(), cop_preset_name, cop_preset_help);
    heading(out, "Files");
    print_list(out, cop_model_format_count(), cop_model_format_ending, cop_model_format_help);
}

static void print_presets(FILE *out) {
    help_paragraphs(out,
                    "Built-in nets, for any number of classes and any image size that their pooling allows.\n\n");
    print_list(out, cop_preset_count(), cop_preset_name, cop_preset_help);
}

/* -- ops, criteria, methods -- */

static void print_ops(FILE *out) {
    help_paragraphs(out,
                    "The ops that a net can have. Letters: C channels, H W rows and columns, o i output and input "
                    "channels, kh kw kernel rows and columns, s stride, d dilation, p padding.");
    putc('\n', out);
    print_list(out, cop_op_count(), cop_op_name, cop_op_help);
}

static void print_criteria(FILE *out) {
    help_paragraphs(
        out,
        "What `coppice prune --criterion NAME` ranks, and by which score. The lowest scores are removed first; of "
        "equal scores, the first in the layer.");
    putc('\n', out);
    print_list(out, cop_criterion_count(), cop_criterion_name, cop_criterion_help);
}

static void print_methods(FILE *out) {
    help_paragraphs(
        out,
        "Ways to combine pruning and training, for studies (`coppice help study`). Methods that only rank and remove "
        "also work as `coppice prune --method NAME`.");
    putc('\n', out);
    print_list(out, cop_method_count(), cop_method_name, cop_method_help);
}

/* Give every option of a table a value that no recipe sets. */
static void blank(const cop_option *(*row_at)(int i), void *object) {
    for (int i = 0; row_at(i); i++) {
        void *at = (char *)object + row_at(i)->offset;
        if (row_at(i)->kind == COP_OPTION_NUMBER)
            *(double *)at = NAN;
        else if (row_at(i)->kind == COP_OPTION_COUNT)
            *(int64_t *)at = INT_MIN;
        else if (row_at(i)->kind == COP_OPTION_NAME)
            *(const char **)at = NULL;
        else if (row_at(i)->kind != COP_OPTION_RECIPE && row_at(i)->kind < COP_OPTION_STEPS)
            *(int *)at = INT_MIN;
    }
}

/* Print the options that are no longer blank, as keys of a study file. */
static void print_set(FILE *out, const cop_option *(*row_at)(int i), const void *object, int *column) {
    for (int i = 0; row_at(i); i++) {
        const cop_option *row = row_at(i);
        const void *at = (const char *)object + row->offset;
        char value[64], pair[128];
        bool is_blank = row->kind == COP_OPTION_NUMBER  ? isnan(*(const double *)at)
                        : row->kind == COP_OPTION_COUNT ? *(const int64_t *)at == INT_MIN
                        : row->kind == COP_OPTION_NAME  ? !*(const char *const *)at
                        : row->kind < COP_OPTION_STEPS  ? *(const int *)at == INT_MIN
                                                        : true;
        if (is_blank) continue;
        int n = snprintf(pair, sizeof pair, "%s: %s", row->name, row_value(value, row, at));
        if (*column + n > 76)
            *column = fprintf(out, ",\n         ") - 2;
        else if (*column)
            *column += fprintf(out, ", ");
        *column += fprintf(out, "%s", pair);
    }
}

static const cop_option *criterion_option(int i) {
    return cop_method_option(0, i);
}

static void print_recipe(FILE *out, const char *name) {
    cop_method_params p = cop_method_params_default();
    int column = 0;
    blank(criterion_option, &p);
    blank(cop_recipe_option, &p.tune);
    if (cop_method_recipe_apply(NULL, name, &p)) return; /* cannot fail: the name is from the list */
    fprintf(out, "\n%s as keys of a trial; all other keys are as in the study's dense:\n  {method: %s, ", name,
            p.method);
    print_set(out, criterion_option, &p, &column);
    fprintf(out, ",\n   tune: {");
    column = 0;
    print_set(out, cop_recipe_option, &p.tune, &column);
    fputs("}}\n", out);
}

static void print_recipes(FILE *out) {
    help_paragraphs(out,
                    "Named recipes, for the trials of a study: `{recipe: fast, sparsity: .985}`. A recipe sets the "
                    "method and the training that goes with it. Other keys of the trial override it.");
    putc('\n', out);
    print_list(out, cop_method_recipe_count(), cop_method_recipe_name, cop_method_recipe_help);
    for (int i = 0; i < cop_method_recipe_count(); i++) print_recipe(out, cop_method_recipe_name(i));
}

/* -- study -- */

static const char example[] =
    "# coppice study run THIS-FILE -o DIR; add limit: 5000 to data for a quick look\n"
    "name: five methods on Fashion-MNIST\n"
    "data:   {format: idx, path: /usr/share/datasets/fashion-mnist, validation: 0.1}\n"
    "model:  seed-cnn\n"
    "dense:  {epochs: 6, optimizer: adamw, rate: 2e-3, schedule: one-cycle, batch: 128, augment: flip}\n"
    "score:  {floor: 0.60}\n"
    "seeds:  [1]\n"
    "trials:\n"
    "  - {method: magnitude, sparsity: [0, .5, .7, .8, .9, .95], rounds: 0}\n"
    "  - {method: magnitude, sparsity: [.9, .95, .98], rounds: 1, tune: {epochs: 2}}\n"
    "  - {method: l1-filter, sparsity: [.05, .1, .25, .5], rounds: 0}\n"
    "  - {method: l2-filter, sparsity: [.05, .1, .25, .5], rounds: 0}\n"
    "  - {method: l2-neuron, sparsity: [.25, .5, .75, .9], rounds: 0}\n"
    "  - {method: sss, gamma: [3e-3, 1e-2], epochs: 4,\n"
    "     retrain: {epochs: 4, l1: 1e-5}, threshold: [0, 3e-3, 1e-2]}\n";

static void print_example(FILE *out) {
    fputs(example, out);
}

/* Print an option as a key: help text, choices or range, default. */
static void print_key(FILE *out, const cop_option *row, int column) {
    char text[1024], range[COP_OPTION_PROBLEM], usual[64] = "";
    int n = snprintf(text, sizeof text, "%s", row->help);
    cop_option_range(row, range);
    bool named = row->choice != NULL, number = !named && row->low < row->high && row->high < 1e5;
    if (named) n += snprintf(text + n, sizeof text - (size_t)n, ": %s", range);
    if (row->kind == COP_OPTION_NAME && row->usual_name)
        snprintf(usual, sizeof usual, "%s", row->usual_name);
    else if (row->kind == COP_OPTION_CHOICE)
        snprintf(usual, sizeof usual, "%s", row->choice((int)row->usual));
    else if (row->kind == COP_OPTION_SET)
        row_value(usual, row, &(unsigned){(unsigned)row->usual});
    else if (row->kind == COP_OPTION_FLAG)
        snprintf(usual, sizeof usual, "%s", row->usual != 0 ? "true" : "false");
    else if (row->usual != 0)
        snprintf(usual, sizeof usual, "%g", row->usual);
    if (number || *usual)
        snprintf(text + n, sizeof text - (size_t)n, " (%s%s%s%s%s)", number ? "in " : "", number ? range : "",
                 number && *usual ? "; " : "", *usual ? "default " : "", usual);
    help_entry(out, row->name, column, text);
}

static void print_keys(FILE *out, const cop_option *(*row_at)(int method, int i), int method) {
    int column = 0;
    for (int i = 0; row_at(method, i); i++) column = wider(column, row_at(method, i)->name);
    for (int i = 0; row_at(method, i); i++) {
        const cop_option *row = row_at(method, i);
        if (row->flags & COP_OPTION_RUN) continue;
        if (row->flags & COP_OPTION_INLINE)
            help_entry(out, "(recipe)", column, "the keys of a recipe stand here too, for the training with factors");
        else
            print_key(out, row, column);
    }
}

static const cop_option *recipe_row(int method, int i) {
    (void)method;
    return cop_recipe_option(i);
}
static const cop_option *data_row(int method, int i) {
    (void)method;
    return cop_data_option(i);
}

static void print_study(FILE *out) {
    static const entry study[] = {
        {NULL, "The study"},
        {"name", "required: title of the page"},
        {"data", "required: path and the keys below; a relative path starts at the study file's folder"},
        {"model", "required: a preset, or a model file to start from"},
        {"dense", "recipe of the dense net; without it, a model file is used as it is"},
        {"score", "floor: points below this accuracy score 0 (default 0.6)"},
        {"seeds", "a list; every trial runs once with each (default 1). Use at least three for a claim"},
        {"precision", "f32, bf16 or auto, for all training that does not set its own"},
        {"threads", "number of threads; 0: one per available processor"},
        {"nets", "nets to save: best (best.safetensors), or all (also in nets/) (default best)"},
        {"trials",
         "required: a list; each entry names a method and its levels, and makes one trial per level and seed"},
        {"version", "version of these keys (default 1); a newer one is refused"},
    };
    static const entry trial[] = {
        {NULL, "A trial"},
        {"method", "pruning method (coppice help methods)"},
        {"recipe", "named recipe, which sets the method too; other keys override it (coppice help recipes)"},
    };
    static const entry results[] = {
        {NULL, "Results, in the directory given by -o"},
        {"study.db", "SQLite database: every trial with its points, curves and layers, stored when done"},
        {"report.html", "the page, in one file"},
        {"trials.csv", "one row per point"},
        {"frontier.csv", "the points that no other point beats, per method and overall"},
        {"summary.json", "best score per method, hypervolume, claims of the reference study with figures"},
        {"frontier.svg, .png", "the plot"},
        {"best.safetensors", "the net with the best validation score"},
    };
    help_paragraphs(out,
                    "A study compares pruning methods at several levels and seeds. It trains a dense net, prunes "
                    "it with each method and finds the frontier of accuracy against sparsity. One YAML file "
                    "describes it. `coppice study run` runs it; it can be interrupted and resumed at any time.\n"
                    "Unknown keys, wrong types and values out of range are refused before any work starts, with "
                    "file, line and the nearest valid name. A level (sparsity, gamma, macs or parameters) may be "
                    "a list.");
    print_entries(out, study, COUNT_OF(study));
    heading(out, "Data");
    print_keys(out, data_row, 0);
    print_entries(out, trial, COUNT_OF(trial));
    for (int m = 0; m < cop_method_count(); m++) {
        char title[128];
        bool criterion = !strcmp(cop_method_family(m), "criterion");
        if (criterion && m) continue; /* they all have the same keys */
        snprintf(title, sizeof title, "A trial of %s",
                 criterion ? "a method that ranks by a criterion" : cop_method_name(m));
        heading(out, title);
        print_keys(out, cop_method_option, m);
    }
    heading(out, "A recipe (missing keys are as in dense, where evaluate_every is 1)");
    print_keys(out, recipe_row, 0);
    help_entry(out, "augment", 22, "flip, shift (by 2 pixels), [flip, shift] or none; flip and shift override it");
    print_entries(out, results, COUNT_OF(results));
    heading(out, "Example (printed alone by coppice help study-example)");
    for (const char *at = example; *at;) {
        size_t n = strcspn(at, "\n");
        fprintf(out, "  %.*s\n", (int)n, at);
        at += n + 1;
    }
}

/* -- measures, exit codes -- */

static void print_measures(FILE *out) {
    static const entry e[] = {
        {"sparsity",
         "1 - nonzero parameters / parameters of the original dense net. Biases and batch-norm scales and shifts "
         "count. "
         "Removed parameters count as zeros, so masking and shrinking give the same number. Given for conv layers, "
         "dense layers and the net"},
        {"asked", "the requested share of what the criterion ranks; the sparsity reached is that of the whole net"},
        {"accuracy",
         "share of images whose most likely class is right. Choices are made on the validation images; the test "
         "images are measured once per reported point"},
        {"score", "(accuracy + sparsity) / 2 if the accuracy reaches the floor, else 0"},
        {"MACs", "multiply-accumulates for one image; effective MACs skip zero weights. A net of high sparsity can "
                 "still have "
                 "many: most weights are in dense layers, most MACs in conv layers"},
        {"bytes", "size of the file"},
        {"latency", "median time of n passes with one image, and with a batch; the number of threads is given"},
        {"cost", "epochs, seconds and training MACs spent from the dense net to a point"},
        {"frontier", "the points that no other point beats in both sparsity and accuracy"},
        {"hypervolume", "area that the frontier covers, measured from sparsity 0 and the accuracy floor"},
    };
    help_paragraphs(out, "The terms of tables, reports and JSON.\n\n");
    print_entries(out, e, COUNT_OF(e));
}

static void print_exit_codes(FILE *out) {
    static const struct {
        int code;
        const char *meaning;
    } list[] = {
#define X(name, code, meaning) {code, meaning},
        EXIT_CODE_LIST(X)
#undef X
    };
    help_paragraphs(
        out,
        "An error is one line on standard error: what is wrong, where, the value, and what to do. Output files are "
        "written completely or not at all.\n\n");
    for (int i = 0; i < COUNT_OF(list); i++) {
        spoken w;
        help_entry(out, say_count(&w, list[i].code), 8, list[i].meaning);
    }
}

static const topic topics[] = {
    {"study", "the study file: every key, with an example", print_study},
    {"study-example", "a complete study file to start from", print_example},
    {"formats", "file formats of data sets and models", print_formats},
    {"models", "what MODEL can be", print_models},
    {"onnx", "the ONNX ops that Coppice reads", print_onnx},
    {"maps", "how to translate weight names into those of a net", print_maps},
    {"presets", "built-in nets", print_presets},
    {"methods", "ways to combine pruning and training", print_methods},
    {"recipes", "named methods with their training", print_recipes},
    {"criteria", "ranking criteria of prune", print_criteria},
    {"ops", "the ops that a net can have", print_ops},
    {"measures", "sparsity, score, MACs and other terms", print_measures},
    {"exit-codes", "exit codes of the program", print_exit_codes},
    {"man", "the manual page, for man -l", help_print_man},
    {"bash-completion", "a completion script for bash, to source", help_print_completion},
};
int topic_count(void) {
    return COUNT_OF(topics);
}
const topic *topic_at(int i) {
    return &topics[i];
}
