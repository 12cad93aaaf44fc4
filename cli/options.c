/* The option tables' reader. */
#include "cli.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -- names that options choose from -- */

static const char *listed(const char *const *list, int n, int i) {
    return i >= 0 && i < n ? list[i] : NULL;
}
#define TEXT_OF(name, text) text,
#define LISTED(function, ...)                                                                                        \
    const char *function(int i) {                                                                                    \
        static const char *const list[] = {__VA_ARGS__};                                                             \
        return listed(list, COUNT_OF(list), i);                                                                      \
    }
LISTED(choice_format, "idx", "cifar10", "cifar100", "npz", "folder")
LISTED(choice_optimizer, COP_OPTIMIZER_LIST(TEXT_OF))
LISTED(choice_schedule, COP_SCHEDULE_LIST(TEXT_OF))
LISTED(choice_precision, COP_PRECISION_LIST(TEXT_OF))
LISTED(choice_pixel_range, COP_PIXEL_RANGE_LIST(TEXT_OF))
LISTED(choice_channel_order, COP_CHANNEL_ORDER_LIST(TEXT_OF))
LISTED(choice_scope, "layer", "global")
LISTED(choice_aggregate, COP_AGGREGATE_LIST(TEXT_OF))
LISTED(choice_structure, COP_STRUCTURE_LIST(TEXT_OF))
LISTED(choice_prox, COP_PROX_LIST(TEXT_OF))
LISTED(choice_augment, "none", "flip", "shift", "erase")
const char *choice_split(int i) {
    return i >= 0 && i < COP_SPLITS ? cop_split_name((cop_split)i) : NULL;
}
const char *choice_criterion(int i) {
    return i < cop_criterion_count() ? cop_criterion_name(i) : NULL;
}
const char *choice_preset(int i) {
    return i < cop_preset_count() ? cop_preset_name(i) : NULL;
}
const char *choice_weight_map(int i) {
    return cop_weight_map_name(i);
}
const char *choice_ending(int i) {
    int format = 0;
    for (; cop_model_format_ending(format); format++)
        if (cop_model_format_writes(format) && i-- == 0) break;
    return cop_model_format_ending(format);
}
const char *choice_method(int i) {
    return i < cop_method_count() ? cop_method_name(i) : NULL;
}

bool is_name(const char *word, const char *(*name)(int i)) {
    const char *known;
    for (int i = 0; (known = name(i)); i++)
        if (!strcmp(word, known)) return true;
    return false;
}

/* Levenshtein's distance; words longer than a row are far from everything. */
static int distance(const char *a, const char *b) {
    int row[64], n = (int)strlen(b);
    if (n >= COUNT_OF(row)) return COUNT_OF(row);
    for (int j = 0; j <= n; j++) row[j] = j;
    for (int i = 1; *a; a++, i++) {
        int corner = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            int change = corner + (*a != b[j - 1]);
            corner = row[j];
            if (row[j] + 1 < change) change = row[j] + 1;
            if (row[j - 1] + 1 < change) change = row[j - 1] + 1;
            row[j] = change;
        }
    }
    return row[n];
}

const char *nearest_name(const char *word, const char *(*name)(int i)) {
    int best = (int)strlen(word) / 3 + 1, at = -1;
    const char *known;
    for (int i = 0; (known = name(i)); i++) {
        int d = distance(word, known);
        if (d < best || (d == best && at < 0)) best = d, at = i;
    }
    return at < 0 ? NULL : name(at);
}

/* -- values -- */

#define TEACHER_SHARE 0.5 /* of a --teacher, when --distil-share says nothing else */

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
        .augment = AUGMENT_FLIP | AUGMENT_SHIFT | AUGMENT_ERASE,
    };
    s.recipe.distil_share = TEACHER_SHARE;
    return s;
}

typedef struct limits {
    double low, high;
    bool open_low, open_high;
} limits;

static limits limits_of(const char *range) { /* "[0,1)" */
    char *end;
    limits l = {.open_low = range[0] == '('};
    l.low = strtod(range + 1, &end);
    l.high = strtod(end + 1, &end);
    l.open_high = *end == ')';
    return l;
}

const char *option_range(char text[64], const option *o) {
    limits l = limits_of(o->range);
    if (l.high < 1e5)
        snprintf(text, 64, "in %s", o->range); /* an upper end to protect sizes is not worth a word */
    else if (l.open_low || l.low != 0)
        snprintf(text, 64, l.open_low ? "above %g" : "at least %g", l.low);
    else
        text[0] = 0;
    return text;
}

static bool in_limits(double x, const char *range) {
    limits l = limits_of(range);
    return (l.open_low ? x > l.low : x >= l.low) && (l.open_high ? x < l.high : x <= l.high);
}

/* Plain decimal notation only: no nan, inf, hexadecimal, blanks or trailing letters. */
static bool read_number(const char *text, double *x) {
    if (!*text || text[strspn(text, "0123456789+-.eE")]) return false;
    char *end;
    *x = strtod(text, &end);
    return !*end && isfinite(*x);
}

/* A number with s, m or h behind it; seconds without. */
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

/* A,B,...: how many numbers there are, 0 where it is no such list or one of more than most. */
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

static bool read_steps(const char *text, double step[4]) {
    memset(step, 0, 4 * sizeof *step);
    int n = read_list(text, step, 4);
    for (int i = 0; i < n; i++)
        if (step[i] <= (i ? step[i - 1] : 0)) return false;
    return n > 0;
}

/* Names parted by commas, as bits. */
static bool read_words(const char *text, const char *(*choice)(int i), unsigned *bits) {
    *bits = 0;
    for (;;) {
        size_t n = strcspn(text, ",");
        int i = 0;
        while (choice(i) && (strlen(choice(i)) != n || memcmp(choice(i), text, n) != 0)) i++;
        if (!choice(i)) return false;
        *bits |= 1u << i;
        if (!text[n]) return true;
        text += n + 1;
    }
}

/* LAYER=NUMBER; the layer's name is cut out of the text in place, which argv allows. */
static int take_limit(settings *s, const option *o, const char *text) {
    char *equals = strrchr((char *)text, '=');
    bool keep = o->kind == OPTION_KEEP;
    cop_layer_limit limit = {.layer = text, .most = 1};
    bool fine = equals && equals > text;
    if (fine) fine = keep ? read_whole(equals + 1, &limit.keep) : read_number(equals + 1, &limit.most);
    if (!fine || (keep ? limit.keep < 1 : limit.most < 0 || limit.most > 1))
        return usage_error(s, "--%s: '%s' is not %s", o->name, text,
                           keep ? "a layer and what it keeps, like conv1=8"
                                : "a layer and a share in [0,1], like conv1=0.5");
    if (s->prune.limits == COUNT_OF(s->limit))
        return usage_error(s, "--%s: more than %d limits; a pattern like 'conv*' holds several layers", o->name,
                           COUNT_OF(s->limit));
    *equals = 0;
    s->limit[s->prune.limits++] = limit;
    return -1;
}

const char *option_default(char text[64], const option *o) {
    static const settings none;
    settings s = settings_default();
    const void *field = (const char *)&s + o->at;
    spoken w;
    text[0] = 0;
    switch (o->kind) { /* 0 is what one expects, or means something that the help text says */
    case OPTION_NUMBER:
        if (!o->required && *(const double *)field != 0 && !isnan(*(const double *)field))
            snprintf(text, 64, "%g", *(const double *)field);
        break;
    case OPTION_COUNT:
        if (*(const int64_t *)field) snprintf(text, 64, "%s", say_count(&w, *(const int64_t *)field));
        break;
    case OPTION_SMALL:
        if (*(const int *)field) snprintf(text, 64, "%d", *(const int *)field);
        break;
    case OPTION_CHOICE:
        if (*(const int *)field >= 0) snprintf(text, 64, "%s", o->choice(*(const int *)field));
        break;
    case OPTION_NAME:
        if (memcmp(field, (const char *)&none + o->at, sizeof(char *)))
            snprintf(text, 64, "%s", *(const char *const *)field);
        break;
    case OPTION_WORDS:
        for (int i = 0; o->choice(i); i++)
            if (*(const unsigned *)field >> i & 1u)
                snprintf(text + strlen(text), 64 - strlen(text), "%s%s", *text ? "," : "", o->choice(i));
        break;
    default:
        break;
    }
    return text;
}

static int wrong_name(const settings *s, const option *o, const char *text) {
    const char *near = nearest_name(text, o->choice), *name;
    if (near) return usage_error(s, "--%s: unknown '%s'; did you mean '%s'?", o->name, text, near);
    char list[512];
    size_t n = 0;
    for (int i = 0; (name = o->choice(i)) && n < sizeof list; i++)
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", name);
    return usage_error(s, "--%s: unknown '%s'; choose from %s", o->name, text, list);
}

/* Put the value where the option says; -1, or the exit code after an error. */
static int take(settings *s, const option *o, const char *text) {
    void *field = (char *)s + o->at;
    double x;
    int64_t n;
    switch (o->kind) {
    case OPTION_END:
    case OPTION_HEADING:
        break;
    case OPTION_FLAG:
        *(int *)field = 1;
        break;
    case OPTION_TEXT:
        if (!*text) return usage_error(s, "--%s: empty", o->name);
        *(const char **)field = text;
        break;
    case OPTION_NUMBER:
        if (!read_number(text, &x) || !in_limits(x, o->range))
            return usage_error(s, "--%s: '%s' is not a number in %s", o->name, text, o->range);
        *(double *)field = x;
        break;
    case OPTION_TIME:
        if (!read_time(text, field))
            return usage_error(s, "--%s: '%s' is not a time like 90s, 30m or 1.5h", o->name, text);
        break;
    case OPTION_COUNT:
    case OPTION_SMALL:
        if (!read_whole(text, &n) || !in_limits((double)n, o->range))
            return usage_error(s, "--%s: '%s' is not a whole number in %s", o->name, text, o->range);
        if (o->kind == OPTION_COUNT)
            *(int64_t *)field = n;
        else
            *(int *)field = (int)n;
        break;
    case OPTION_CHOICE:
        for (int i = 0; o->choice(i); i++)
            if (!strcmp(text, o->choice(i))) {
                memcpy(field, &i, sizeof i); /* an enum or an int: same size, so that one table serves both */
                return -1;
            }
        return wrong_name(s, o, text);
    case OPTION_NAME:
        if (!is_name(text, o->choice)) return wrong_name(s, o, text);
        *(const char **)field = text;
        break;
    case OPTION_SHAPE:
        if (!read_shape(text, field))
            return usage_error(s, "--%s: '%s' is not channels x rows x columns, like 3x32x32", o->name, text);
        break;
    case OPTION_STEPS:
        if (!read_steps(text, field))
            return usage_error(s, "--%s: '%s' is not one to four rising epochs, like 30,60,80", o->name, text);
        break;
    case OPTION_LIST:
        ((number_list *)field)->n = read_list(text, ((number_list *)field)->x, COP_MAX_CHANNELS);
        if (!((number_list *)field)->n)
            return usage_error(s, "--%s: '%s' is not one number, or a list of them like 0.5,0.4,0.3", o->name, text);
        break;
    case OPTION_WORDS:
        if (!read_words(text, o->choice, field)) return wrong_name(s, o, text);
        break;
    case OPTION_KEEP:
    case OPTION_MOST:
        return take_limit(s, o, text);
    }
    return -1;
}
_Static_assert(sizeof(cop_optimizer) == sizeof(int) && sizeof(cop_schedule) == sizeof(int) &&
                   sizeof(cop_precision) == sizeof(int),
               "take() stores choices as int");

/* -- the words of the command line -- */

static const option *option_table; /* whose names option_name gives: nearest_name takes no user pointer */
static const char *option_name(int i) {
    for (const option *o = option_table; o->kind != OPTION_END; o++)
        if (o->kind != OPTION_HEADING && i-- == 0) return o->name;
    return i == 0 ? "help" : NULL;
}

static bool is_double(const option *o) {
    return o->kind == OPTION_NUMBER || o->kind == OPTION_TIME;
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
    option_table = s->command->options;
    const char *near = name[1] == '-' ? nearest_name(name + 2, option_name) : NULL;
    if (near) return usage_error(s, "unknown option '%s'; did you mean '--%s'?", name, near);
    return usage_error(s, "unknown option '%s'; `coppice %s --help` lists them", name, s->command->name);
}

static int take_operand(settings *s, int *operands, const char *word) {
    const operand *o = s->command->operand;
    if (*operands == COUNT_OF(s->command->operand) || !o[*operands].name)
        return usage_error(s, "'%s' is one word too many", word);
    const char **field = (const char **)((char *)s + o[*operands].at);
    if (!*word) return usage_error(s, "%s: empty", o[*operands].name);
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
            return usage_error(s, "%s is missing; `coppice %s --help` explains", o->name, s->command->name);
    }
    for (const option *o = s->command->options; o->kind != OPTION_END; o++) {
        const void *field = (const char *)s + o->at;
        if (o->required && (is_double(o) ? isnan(*(const double *)field) : !*(const char *const *)field))
            return usage_error(s, "--%s %s is missing; `coppice %s --help` explains", o->name, o->value,
                               s->command->name);
    }
    return -1;
}

int options_parse(settings *s, int words, char **word) {
    const option *list = s->command->options;
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
            if (++i == words) return usage_error(s, "--%s: %s is missing", o->name, o->value);
            value = word[i];
        }
        code = take(s, o, value);
    }
    if (code < 0) code = check_required(s);
    s->recipe.seed = s->prune.seed = s->sss.seed = (uint64_t)s->seed;
    return code;
}
