/* Reads the command line by the option tables. */
#include "cli.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -- the choices of options -- */

const char *choice_augment(int i) {
    static const char *const words[] = {"none", "flip", "shift", "erase"};
    return i >= 0 && i < COUNT_OF(words) ? words[i] : NULL;
}
const char *choice_ending(int i) {
    int format = 0;
    for (; cop_model_format_ending(format); format++)
        if (cop_model_format_writes(format) && i-- == 0) break;
    return cop_model_format_ending(format);
}

bool is_name(const char *word, const char *(*name)(int i)) {
    const char *known;
    for (int i = 0; (known = name(i)); i++)
        if (!strcmp(word, known)) return true;
    return false;
}

/* -- values -- */

settings settings_default(void) {
    settings s = {
        .data_options = cop_data_options_default(),
        .recipe = cop_recipe_default(),
        .prune = cop_prune_params_default(),
        .bench = cop_bench_params_default(),
        .save = cop_save_options_default(),
        .pixel_range = -1,
        .channel_order = -1,
        .split = COP_SPLIT_TEST,
        .precision = COP_PRECISION_F32,
        .seed = 1,
        .lose = 0.01,
        .levels = 9,
        .sss = cop_method_params_default(),
        .retrain_epochs = 10,
        .automatic = cop_auto_params_default(),
        .lose_points = NAN,
        .teacher_share = NAN,
        .augment = AUGMENT_FLIP | AUGMENT_SHIFT | AUGMENT_ERASE,
    };
    return s;
}

/* Higher upper limits only protect sizes; help does not print them. */
#define WORTH_SAYING 1e5

const char *option_range(char text[64], const option *o) {
    char range[COP_OPTION_PROBLEM];
    const cop_option *row = &o->row;
    bool above = row->flags & COP_OPTION_ABOVE;
    text[0] = 0;
    if (o->kind != OPTION_VALUE || row->choice || !(row->low < row->high)) return text;
    cop_option_range(row, range);
    if (row->high < WORTH_SAYING)
        snprintf(text, 64, "in %.40s", range);
    else if (above || row->low != 0)
        snprintf(text, 64, above ? "above %g" : "at least %g", row->low);
    return text;
}

/* Plain decimal notation only: no nan, inf, hexadecimal, blanks or trailing letters. */
static bool read_number(const char *text, double *x) {
    if (!*text || text[strspn(text, "0123456789+-.eE")]) return false;
    char *end;
    *x = strtod(text, &end);
    return !*end && isfinite(*x);
}

/* A number followed by s, m or h; without a letter, seconds. */
static bool read_time(const char *text, double *seconds) {
    static const struct {
        char letter;
        double seconds;
    } unit[] = {{'s', 1}, {'m', 60}, {'h', 3600}};
    char number[32];
    size_t n = strlen(text);
    double scale = 1;
    for (int i = 0; n && i < COUNT_OF(unit); i++)
        if (text[n - 1] == unit[i].letter) {
            scale = unit[i].seconds;
            n--;
            break;
        }
    if (n >= sizeof number) return false;
    memcpy(number, text, n);
    number[n] = 0;
    if (!read_number(number, seconds)) return false;
    *seconds *= scale;
    return *seconds > 0 && *seconds <= 1e9;
}

static bool read_whole(const char *text, int64_t *x) {
    if (!*text || text[strspn(text + (*text == '-'), "0123456789") + (*text == '-')]) return false;
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    *x = n;
    return !*end && end != text && !errno;
}

static bool read_shape(const char *text, int64_t shape[3]) {
    char part[24];
    for (int i = 0; i < 3; i++) {
        size_t n = strcspn(text, "x");
        if (n >= sizeof part || (text[n] == 'x') != (i < 2)) return false;
        memcpy(part, text, n);
        part[n] = 0;
        if (!read_whole(part, &shape[i]) || shape[i] < 1 || shape[i] > 1 << 20) return false;
        text += n + (i < 2);
    }
    return true;
}

/* Read A,B,...; returns how many numbers, 0 if it is not such a list or has more than `most`. */
static int read_list(const char *text, double *x, int most) {
    for (int i = 0; i < most; i++) {
        char part[32];
        size_t n = strcspn(text, ",");
        if (n >= sizeof part) return 0;
        memcpy(part, text, n);
        part[n] = 0;
        if (!read_number(part, &x[i])) return 0;
        if (!text[n]) return i + 1;
        text += n + 1;
    }
    return 0;
}

/* LAYER=NUMBER; the text is cut in place at '=', which argv allows. */
static int take_limit(settings *s, const option *o, const char *text) {
    char *equals = strrchr((char *)text, '=');
    bool keep = o->kind == OPTION_KEEP;
    cop_layer_limit limit = {.layer = text, .most = 1};
    bool fine = equals && equals > text;
    if (fine) fine = keep ? read_whole(equals + 1, &limit.keep) : read_number(equals + 1, &limit.most);
    if (!fine || (keep ? limit.keep < 1 : limit.most < 0 || limit.most > 1))
        return usage_error(s, "--%s is \"%s\"; expected %s", o->name, text,
                           keep ? "a layer and the number of units to keep, like conv1=8"
                                : "a layer and a share in [0,1], like conv1=0.5");
    if (s->prune.limits == COUNT_OF(s->limit))
        return usage_error(s, "--%s: more than %d limits; use a pattern like 'conv*' for several layers", o->name,
                           COUNT_OF(s->limit));
    *equals = 0;
    s->limit[s->prune.limits++] = limit;
    return -1;
}

const char *row_value(char text[64], const cop_option *row, const void *field) {
    text[0] = 0;
    switch (row->kind) {
    case COP_OPTION_NUMBER:
        if (!isnan(*(const double *)field)) snprintf(text, 64, "%g", *(const double *)field);
        break;
    case COP_OPTION_COUNT:
        snprintf(text, 64, "%lld", (long long)*(const int64_t *)field);
        break;
    case COP_OPTION_INTEGER:
        snprintf(text, 64, "%d", *(const int *)field);
        break;
    case COP_OPTION_FLAG:
        snprintf(text, 64, "%s", *(const int *)field ? "true" : "false");
        break;
    case COP_OPTION_CHOICE:
        if (*(const int *)field >= 0) snprintf(text, 64, "%s", row->choice(*(const int *)field));
        break;
    case COP_OPTION_NAME:
        if (*(const char *const *)field) snprintf(text, 64, "%s", *(const char *const *)field);
        break;
    case COP_OPTION_SET:
        for (int i = 0; row->choice(i); i++)
            if (*(const unsigned *)field >> i & 1u)
                snprintf(text + strlen(text), 64 - strlen(text), "%s%s", *text ? "," : "", row->choice(i));
        break;
    default:
        break;
    }
    return text;
}

const char *option_default(char text[64], const option *o) {
    settings s = settings_default();
    text[0] = 0;
    if (o->kind != OPTION_VALUE || o->required) return text;
    row_value(text, &o->row, (const char *)&s + o->at);
    if (!strcmp(text, "0")) text[0] = 0; /* 0 is obvious, or the help text says what it means */
    return text;
}

/* Store the option's value; -1, or the exit code after an error. */
static int take(settings *s, const option *o, const char *text) {
    void *field = (char *)s + o->at;
    char name[64], problem[COP_OPTION_PROBLEM];
    switch (o->kind) {
    case OPTION_END:
    case OPTION_HEADING:
    case OPTION_TABLE:
    case OPTION_ROW:
        break;
    case OPTION_FLAG:
        *(int *)field = 1;
        break;
    case OPTION_VALUE:
        snprintf(name, sizeof name, "--%s", o->name);
        if (!cop_option_parse(&o->row, name, text, field, problem)) return usage_error(s, "%s", problem);
        break;
    case OPTION_TEXT:
        if (!*text) return usage_error(s, "--%s is empty; expected %s", o->name, o->value);
        *(const char **)field = text;
        break;
    case OPTION_TIME:
        if (!read_time(text, field))
            return usage_error(s, "--%s is \"%s\"; expected a time like 90s, 30m or 1.5h", o->name, text);
        break;
    case OPTION_SHAPE:
        if (!read_shape(text, field))
            return usage_error(s, "--%s is \"%s\"; expected channels x rows x columns, like 3x32x32", o->name, text);
        break;
    case OPTION_LIST:
        ((number_list *)field)->n = read_list(text, ((number_list *)field)->x, COP_MAX_CHANNELS);
        if (!((number_list *)field)->n)
            return usage_error(s, "--%s is \"%s\"; expected one number, or a list like 0.5,0.4,0.3", o->name, text);
        break;
    case OPTION_KEEP:
    case OPTION_MOST:
        return take_limit(s, o, text);
    }
    return -1;
}

/* -- options from the library's tables -- */

static const char *placeholder(const cop_option *row) {
    switch (row->kind) {
    case COP_OPTION_CHOICE:
    case COP_OPTION_NAME:
        return "NAME";
    case COP_OPTION_SET:
        return "NAME,..";
    case COP_OPTION_STEPS:
        return "N,..";
    case COP_OPTION_FILE:
        return "FILE";
    case COP_OPTION_COUNT:
    case COP_OPTION_INTEGER:
        return "N";
    default:
        return "X";
    }
}

/* step_epochs -> step-epochs */
static char *spelled(const char *name) {
    char *text = strdup(name);
    if (!text) die_no_memory();
    for (char *c = text; *c; c++)
        if (*c == '_') *c = '-';
    return text;
}

static option from_row(const cop_option *row, const char *name, size_t at) {
    option o = {.name = name ? name : spelled(row->name),
                .kind = row->kind == COP_OPTION_FLAG   ? OPTION_FLAG
                        : row->kind == COP_OPTION_FILE ? OPTION_TEXT
                                                       : OPTION_VALUE,
                .at = at,
                .row = *row,
                .required = (row->flags & COP_OPTION_REQUIRED) != 0,
                .help = row->help};
    if (o.kind != OPTION_FLAG) o.value = placeholder(row);
    return o;
}

static bool is_left_out(const option *from, const cop_option *row) {
    char name[64];
    snprintf(name, sizeof name, ",%s,", row->name);
    return (from->of && strstr(from->of, name)) ||
           (row->flags & COP_OPTION_LEVEL && !(row->flags & COP_OPTION_REQUIRED)) || row->kind == COP_OPTION_RECIPE ||
           row->kind == COP_OPTION_LIMITS || row->kind == COP_OPTION_NUMBERS;
}

enum { MOST_OPTIONS = 96, MOST_COMMANDS = 32 };

/* Where the next option goes; the last place is the end mark's. */
static option *next_option(option *list, int *n) {
    if (*n == MOST_OPTIONS - 1) die_no_memory();
    return &list[(*n)++];
}

static int add_table(option *list, int n, const option *from) {
    for (int i = 0; from->table(i); i++) {
        const cop_option *row = from->table(i);
        if (!is_left_out(from, row)) *next_option(list, &n) = from_row(row, NULL, from->at + row->offset);
    }
    return n;
}

static option find_row(const option *o) {
    int i = 0;
    while (strcmp(o->table(i)->name, o->of) != 0) i++;
    return from_row(o->table(i), o->name, o->at);
}

const option *options_of(const command *c) {
    static struct {
        const command *command;
        option list[MOST_OPTIONS];
    } cache[MOST_COMMANDS];
    int k = 0, n = 0;
    while (cache[k].command && cache[k].command != c)
        if (++k == MOST_COMMANDS) die_no_memory();
    option *list = cache[k].list;
    if (cache[k].command) return list;
    cache[k].command = c;
    for (const option *o = c->options; o->kind != OPTION_END; o++) {
        if (o->kind == OPTION_TABLE)
            n = add_table(list, n, o);
        else
            *next_option(list, &n) = o->kind == OPTION_ROW ? find_row(o) : *o;
    }
    return list;
}

/* -- the words of the command line -- */

static const option *option_table; /* for option_name: cop_nearest takes no user pointer */
static const char *option_name(int i) {
    for (const option *o = option_table; o->kind != OPTION_END; o++)
        if (o->kind != OPTION_HEADING && i-- == 0) return o->name;
    return i == 0 ? "help" : NULL;
}

static bool is_double(const option *o) {
    return o->kind == OPTION_TIME || (o->kind == OPTION_VALUE && o->row.kind == COP_OPTION_NUMBER);
}

static const option *find_option(const option *list, const char *name, size_t n, char letter) {
    for (const option *o = list; o->kind != OPTION_END; o++) {
        if (o->kind == OPTION_HEADING) continue;
        if (letter ? o->letter == letter : strlen(o->name) == n && !memcmp(o->name, name, n)) return o;
    }
    return NULL;
}

static int unknown_option(const settings *s, const char *word) {
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
    option_table = options_of(s->command);
    const char *near = name[1] == '-' ? cop_nearest(name + 2, option_name) : NULL;
    if (near) return usage_error(s, "unknown option '%s'; did you mean '--%s'?", name, near);
    return usage_error(s, "unknown option '%s'; `coppice %s --help` lists the options", name, s->command->name);
}

static int take_operand(settings *s, int *operands, const char *word) {
    const operand *o = s->command->operand;
    if (*operands == COUNT_OF(s->command->operand) || !o[*operands].name)
        return usage_error(s, "unexpected argument \"%s\"", word);
    const char **field = (const char **)((char *)s + o[*operands].at);
    if (!*word) return usage_error(s, "%s is empty", o[*operands].name);
    if (*field) return usage_error(s, "%s is given twice: '%s' and '%s'", o[*operands].name, *field, word);
    *field = word;
    ++*operands;
    return -1;
}

/* Required options and operands are texts or numbers that start as NULL or NaN. */
static int check_required(const settings *s) {
    for (int i = 0; i < COUNT_OF(s->command->operand); i++) {
        const operand *o = &s->command->operand[i];
        if (o->name && o->required && !*(const char *const *)((const char *)s + o->at))
            return usage_error(s, "%s is missing; see `coppice %s --help`", o->name, s->command->name);
    }
    for (const option *o = options_of(s->command); o->kind != OPTION_END; o++) {
        const void *field = (const char *)s + o->at;
        if (o->required && (is_double(o) ? isnan(*(const double *)field) : !*(const char *const *)field))
            return usage_error(s, "--%s %s is missing; see `coppice %s --help`", o->name, o->value, s->command->name);
    }
    return -1;
}

int options_parse(settings *s, int words, char **word) {
    const option *list = options_of(s->command);
    int operands = 0, code = -1;
    bool only_operands = false;
    for (const option *o = list; o->kind != OPTION_END; o++)
        if (o->required && is_double(o)) *(double *)(void *)((char *)s + o->at) = NAN;
    for (int i = 0; i < words && code < 0; i++) {
        const char *w = word[i];
        if (only_operands || w[0] != '-' || !w[1]) {
            code = take_operand(s, &operands, w);
            continue;
        }
        if (!strcmp(w, "--")) {
            only_operands = true;
            continue;
        }
        if (!strcmp(w, "--help") || !strcmp(w, "-h")) {
            help_print_command(stdout, s->command);
            return EXIT_DONE;
        }
        bool is_long = w[1] == '-';
        size_t n = is_long ? strcspn(w + 2, "=") : 0;
        const option *o = find_option(list, w + 2, n, is_long ? 0 : w[1]);
        if (!o || (!is_long && o->kind == OPTION_FLAG && w[2])) return unknown_option(s, w);
        const char *value = is_long ? (w[2 + n] ? w + 3 + n : NULL) : (w[2] ? w + 2 : NULL);
        if (o->kind == OPTION_FLAG && value) return usage_error(s, "--%s takes no value", o->name);
        if (o->kind != OPTION_FLAG && !value) {
            if (++i == words) return usage_error(s, "--%s needs a value: --%s %s", o->name, o->name, o->value);
            value = word[i];
        }
        code = take(s, o, value);
    }
    if (code < 0) code = check_required(s);
    s->recipe.seed = s->prune.seed = s->sss.seed = (uint64_t)s->seed;
    return code;
}
