#include "base/options.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 4 };

static void *field(const cop_option *o, void *object) {
    return (char *)object + o->offset;
}
static const void *field_of(const cop_option *o, const void *object) {
    return (const char *)object + o->offset;
}

/* ------------------------------------------------------------------------------------------------- the table -- */

const cop_option *copi_option_find(const cop_option *table, const char *name) {
    for (const cop_option *o = table; o->name; o++)
        if (!strcmp(o->name, name)) return o;
    return NULL;
}

void copi_options_default(const cop_option *table, void *object) {
    for (const cop_option *o = table; o->name; o++) {
        void *at = field(o, object);
        switch (o->kind) {
        case COP_OPTION_NUMBER:
            *(double *)at = o->usual;
            break;
        case COP_OPTION_COUNT:
            *(int64_t *)at = (int64_t)o->usual;
            break;
        case COP_OPTION_INTEGER:
        case COP_OPTION_FLAG:
        case COP_OPTION_CHOICE:
            *(int *)at = (int)o->usual;
            break;
        case COP_OPTION_SET:
            *(unsigned *)at = (unsigned)o->usual;
            break;
        case COP_OPTION_NAME:
            *(const char **)at = o->usual_name;
            break;
        case COP_OPTION_STEPS:
        case COP_OPTION_FILE:
        case COP_OPTION_NUMBERS:
        case COP_OPTION_LIMITS:
        case COP_OPTION_RECIPE:
            break; /* empty by default; a recipe has its own table */
        }
    }
}

/* ---------------------------------------------------------------------------------------------------- ranges -- */

/* Append x as people write it: 1000, 0.9, 1e6. */
static void put_number(copi_problem text, double x) {
    char number[40];
    snprintf(number, sizeof number, fabs(x) < 1e15 && x == floor(x) && (x == 0 || fmod(x, 1e5) != 0) ? "%.0f" : "%g",
             x);
    for (int digits = 7; digits <= 17 && strtod(number, NULL) != x && isfinite(x); digits++)
        snprintf(number, sizeof number, "%.*g", digits, x); /* not 1 for what is beyond 1 */
    char *plus = strstr(number, "e+");
    if (plus) memmove(plus + 1, plus + 2 + strspn(plus + 2, "0"), strlen(plus + 2 + strspn(plus + 2, "0")) + 1);
    copi_append(text, COP_OPTION_PROBLEM, "%s", number);
}

static bool admits(const cop_option *o, double x) { /* so that NaN is refused */
    return (o->flags & COP_OPTION_ABOVE ? x > o->low : x >= o->low) &&
           (o->flags & COP_OPTION_BELOW ? x < o->high : x <= o->high);
}

static bool is_integer(const cop_option *o) {
    return o->kind == COP_OPTION_COUNT || o->kind == COP_OPTION_INTEGER;
}

static void put_range(copi_problem text, const cop_option *o) {
    copi_append(text, COP_OPTION_PROBLEM, o->flags & COP_OPTION_ABOVE ? "(" : "[");
    put_number(text, o->low);
    copi_append(text, COP_OPTION_PROBLEM, ",");
    put_number(text, o->high);
    copi_append(text, COP_OPTION_PROBLEM, o->flags & COP_OPTION_BELOW ? ")" : "]");
}

static void put_choices(copi_problem text, const cop_option *o) {
    for (int i = 0; o->choice(i); i++) copi_append(text, COP_OPTION_PROBLEM, "%s%s", i ? ", " : "", o->choice(i));
}

void cop_option_range(const cop_option *o, char text[COP_OPTION_PROBLEM]) {
    if (text) *text = 0;
    if (!text || !o) return;
    copi_locale numbers = copi_locale_plain();
    if (o->choice)
        put_choices(text, o);
    else if (o->kind == COP_OPTION_FLAG)
        copi_append(text, COP_OPTION_PROBLEM, "true, false");
    else if (o->low < o->high)
        put_range(text, o);
    copi_locale_restore(numbers);
}

static void put_expected(copi_problem text, const cop_option *o) {
    copi_append(text, COP_OPTION_PROBLEM, "; expected ");
    if (o->choice) {
        copi_append(text, COP_OPTION_PROBLEM, o->kind == COP_OPTION_SET ? "one or more of " : "one of ");
        put_choices(text, o);
    } else if (o->kind == COP_OPTION_FLAG) {
        copi_append(text, COP_OPTION_PROBLEM, "true or false");
    } else {
        copi_append(text, COP_OPTION_PROBLEM, is_integer(o) ? "an integer in " : "a number in ");
        put_range(text, o);
    }
}

/* The one sentence for a value out of its range, wherever it was set. */
static void put_outside(copi_problem problem, const cop_option *o, const char *name, double x) {
    snprintf(problem, COP_OPTION_PROBLEM, "%s is ", name);
    put_number(problem, x);
    put_expected(problem, o);
}

/* The same for a text that is not a value of this kind. */
static bool refuse(copi_problem problem, const cop_option *o, const char *name, const char *text) {
    snprintf(problem, COP_OPTION_PROBLEM, "%s is \"%s\"", name, copi_show(text, strlen(text)).text);
    put_expected(problem, o);
    return false;
}

/* --------------------------------------------------------------------------------------------------- checking -- */

static int count_choices(const cop_option *o) {
    int n = 0;
    while (o->choice(n)) n++;
    return n;
}

static bool check_number(const cop_option *o, double x, copi_problem problem) {
    if (admits(o, x) || (isnan(x) && isnan(o->usual))) return true; /* NaN may be the default: none */
    put_outside(problem, o, o->name, x);
    return false;
}

static bool check_numbers(const cop_option *o, const double *x, int n, copi_problem problem) {
    for (int i = 0; i < n; i++)
        if (!check_number(o, x[i], problem)) return false;
    return true;
}

static bool check(const cop_option *o, const void *object, copi_problem problem) {
    const void *at = field_of(o, object);
    const char *name;
    int n;
    switch (o->kind) {
    case COP_OPTION_NUMBER:
        return check_number(o, *(const double *)at, problem);
    case COP_OPTION_COUNT:
        return check_number(o, (double)*(const int64_t *)at, problem);
    case COP_OPTION_INTEGER:
        return check_number(o, *(const int *)at, problem);
    case COP_OPTION_FLAG:
        n = *(const int *)at;
        if (n != 0 && n != 1) put_outside(problem, o, o->name, n);
        return n == 0 || n == 1;
    case COP_OPTION_CHOICE:
        n = *(const int *)at;
        if (n >= 0 && n < count_choices(o)) return true;
        put_outside(problem, o, o->name, n);
        return false;
    case COP_OPTION_SET:
        n = (int)*(const unsigned *)at;
        if (n > 0 && n < 1 << count_choices(o)) return true;
        put_outside(problem, o, o->name, *(const unsigned *)at);
        return false;
    case COP_OPTION_NAME:
        name = *(const char *const *)at;
        if (!name && !o->usual_name) return true; /* none is named */
        return copi_option_read_choice(o, o->name, name ? name : "", &n, problem);
    case COP_OPTION_STEPS:
        for (n = 0; n < STEPS && ((const double *)at)[n] != 0;) n++;
        return check_numbers(o, at, n, problem);
    case COP_OPTION_NUMBERS:
        n = *(const int *)(const void *)((const char *)object + o->count_offset);
        return check_numbers(o, *(const double *const *)at, n, problem);
    case COP_OPTION_FILE:
    case COP_OPTION_LIMITS:
    case COP_OPTION_RECIPE:
        break; /* checked against the net, or by the recipe's own table */
    }
    return true;
}

cop_status copi_option_check(cop_ctx *ctx, const char *what, const cop_option *o, const void *object) {
    copi_problem problem;
    copi_locale numbers = copi_locale_plain();
    bool fine = check(o, object, problem);
    copi_locale_restore(numbers);
    if (fine) return COP_OK;
    return copi_fail(ctx, o->kind == COP_OPTION_NAME ? COP_E_ARG : COP_E_RANGE, "%s%s%s", what ? what : "",
                     what ? ": " : "", problem);
}

cop_status copi_options_check(cop_ctx *ctx, const char *what, const cop_option *table, const void *object) {
    cop_status s = COP_OK;
    for (const cop_option *o = table; !s && o->name; o++) s = copi_option_check(ctx, what, o, object);
    return s;
}

/* --------------------------------------------------------------------------------------------------- reading -- */

bool copi_option_read_number(const cop_option *o, const char *name, const char *text, double *x,
                             copi_problem problem) {
    char *end = NULL;
    errno = 0;
    /* plain decimal notation: strtod alone would take "inf", "nan" and hexadecimal */
    bool spelled = *text && !text[strspn(text, is_integer(o) ? "-0123456789" : "+-.0123456789eE")];
    *x = !spelled ? NAN : is_integer(o) ? (double)strtoll(text, &end, 10) : strtod(text, &end);
    if (!spelled || *end || errno || !isfinite(*x)) return refuse(problem, o, name, text);
    if (admits(o, *x)) return true;
    put_outside(problem, o, name, *x);
    return false;
}

static const char *choice_at(int i, const void *o) {
    return ((const cop_option *)o)->choice(i);
}

bool copi_option_read_choice(const cop_option *o, const char *name, const char *text, int *choice,
                             copi_problem problem) {
    for (*choice = 0; o->choice(*choice); ++*choice)
        if (!strcmp(o->choice(*choice), text)) return true;
    const char *near = copi_nearest(text, *choice, choice_at, o);
    if (!near) return refuse(problem, o, name, text);
    snprintf(problem, COP_OPTION_PROBLEM, "%s is \"%s\"; did you mean \"%s\"?", name,
             copi_show(text, strlen(text)).text, near);
    return false;
}

bool copi_option_read_steps(const char *name, const double *x, int n, double step[STEPS], copi_problem problem) {
    if (n < 1 || n > STEPS) {
        snprintf(problem, COP_OPTION_PROBLEM, "%s has %d numbers; expected 1 to %d", name, n, STEPS);
        return false;
    }
    memset(step, 0, STEPS * sizeof *step);
    for (int i = 0; i < n; i++) {
        step[i] = x[i];
        if (i == 0 || x[i] > x[i - 1]) continue;
        snprintf(problem, COP_OPTION_PROBLEM, "%s must rise, but %g follows %g", name, x[i], x[i - 1]);
        return false;
    }
    return true;
}

static bool read_flag(const cop_option *o, const char *name, const char *text, int *flag, copi_problem problem) {
    static const char *const yes[] = {"true", "yes", "on", NULL}, *const no[] = {"false", "no", "off", NULL};
    *flag = copi_index_of(text, yes) >= 0;
    return *flag || copi_index_of(text, no) >= 0 || refuse(problem, o, name, text);
}

/* Copy the next part of a list A,B,... from *text and move *text behind it; NULL after the last. */
static bool next_part(const char **text, char part[64]) {
    size_t n = strcspn(*text, ",");
    snprintf(part, 64, "%.*s", (int)n, *text);
    *text = (*text)[n] ? *text + n + 1 : NULL;
    return n < 64;
}

static bool read_set(const cop_option *o, const char *name, const char *text, unsigned *set, copi_problem problem) {
    char part[64];
    int choice;
    for (*set = 0; text; *set |= 1u << choice)
        if (!next_part(&text, part) || !copi_option_read_choice(o, name, part, &choice, problem)) return false;
    return true;
}

static bool read_list(const cop_option *o, const char *name, const char *text, double step[STEPS],
                      copi_problem problem) {
    char part[64];
    double x[STEPS + 1];
    int n = 0;
    for (; text && n <= STEPS; n++)
        if (!next_part(&text, part) || !copi_option_read_number(o, name, part, &x[n], problem)) return false;
    for (; text; n++) next_part(&text, part); /* too many: how many? */
    return copi_option_read_steps(name, x, n, step, problem);
}

static bool read_value(const cop_option *o, const char *name, const char *text, void *at, copi_problem problem) {
    double x;
    int n;
    switch (o->kind) {
    case COP_OPTION_NUMBER:
    case COP_OPTION_NUMBERS: /* one of them */
        return copi_option_read_number(o, name, text, at, problem);
    case COP_OPTION_COUNT:
        if (!copi_option_read_number(o, name, text, &x, problem)) return false;
        *(int64_t *)at = strtoll(text, NULL, 10); /* to the last digit */
        return true;
    case COP_OPTION_INTEGER:
        if (!copi_option_read_number(o, name, text, &x, problem)) return false;
        *(int *)at = (int)x;
        return true;
    case COP_OPTION_FLAG:
        return read_flag(o, name, text, at, problem);
    case COP_OPTION_CHOICE:
        if (!copi_option_read_choice(o, name, text, &n, problem)) return false;
        *(int *)at = n;
        return true;
    case COP_OPTION_NAME:
        if (!copi_option_read_choice(o, name, text, &n, problem)) return false;
        *(const char **)at = o->choice(n);
        return true;
    case COP_OPTION_SET:
        return read_set(o, name, text, at, problem);
    case COP_OPTION_STEPS:
        return read_list(o, name, text, at, problem);
    case COP_OPTION_FILE:
        *(const char **)at = text;
        if (!*text) snprintf(problem, COP_OPTION_PROBLEM, "%s is empty; expected a file's path", name);
        return *text;
    case COP_OPTION_LIMITS:
    case COP_OPTION_RECIPE:
        break;
    }
    snprintf(problem, COP_OPTION_PROBLEM, "%s is not one value", name);
    return false;
}

int cop_option_parse(const cop_option *o, const char *name, const char *text, void *value,
                     char problem[COP_OPTION_PROBLEM]) {
    if (problem) *problem = 0;
    if (!o || !name || !text || !value || !problem) return 0;
    copi_locale numbers = copi_locale_plain();
    bool fine = read_value(o, name, text, value, problem);
    copi_locale_restore(numbers);
    return fine;
}

/* --------------------------------------------------------------------------------------------------- printing -- */

/* Print n numbers in a row. */
static void put_list(copi_buffer *b, const char *format, const double *x, int n) {
    for (int i = 0; i < n; i++) copi_buffer_printf(b, format, x[i]);
}

static void print_limits(copi_buffer *b, const cop_layer_limit *limit, int n) {
    for (int i = 0; i < n; i++)
        copi_buffer_printf(b, "layer=%s\nkeep=%lld\nmost=%.17g\n", limit[i].layer, (long long)limit[i].keep,
                           limit[i].most);
}

void copi_option_print(copi_buffer *b, const cop_option *o, const void *object) {
    const void *at = field_of(o, object);
    const int *count = (const void *)((const char *)object + o->count_offset);
    const char *text;
    switch (o->kind) {
    case COP_OPTION_NUMBER:
        copi_buffer_printf(b, "%.17g", *(const double *)at);
        break;
    case COP_OPTION_COUNT:
        copi_buffer_printf(b, "%lld", (long long)*(const int64_t *)at);
        break;
    case COP_OPTION_INTEGER:
    case COP_OPTION_FLAG:
    case COP_OPTION_CHOICE:
        copi_buffer_printf(b, "%d", *(const int *)at);
        break;
    case COP_OPTION_SET:
        copi_buffer_printf(b, "%u", *(const unsigned *)at);
        break;
    case COP_OPTION_NAME:
    case COP_OPTION_FILE:
        text = *(const char *const *)at;
        copi_buffer_text(b, text ? text : "");
        break;
    case COP_OPTION_STEPS:
        put_list(b, "%.17g ", at, STEPS);
        break;
    case COP_OPTION_NUMBERS:
        put_list(b, "%.17g ", *(const double *const *)at, *count);
        break;
    case COP_OPTION_LIMITS:
        print_limits(b, *(const cop_layer_limit *const *)at, *count);
        break;
    case COP_OPTION_RECIPE:
        break; /* has its own table */
    }
}

void copi_option_say(copi_buffer *b, const cop_option *o, const void *object) {
    const void *at = field_of(o, object);
    const double *list = at;
    int n = STEPS;
    switch (o->kind) {
    case COP_OPTION_NUMBER:
        copi_buffer_printf(b, "%g", *(const double *)at);
        break;
    case COP_OPTION_FLAG:
        copi_buffer_text(b, *(const int *)at ? "true" : "false");
        break;
    case COP_OPTION_CHOICE:
        copi_buffer_text(b, o->choice(*(const int *)at));
        break;
    case COP_OPTION_NUMBERS:
        list = *(const double *const *)at;
        n = *(const int *)(const void *)((const char *)object + o->count_offset);
        /* fall through */
    case COP_OPTION_STEPS:
        for (int i = 0; i < n && (o->kind == COP_OPTION_NUMBERS || list[i] > 0); i++)
            copi_buffer_printf(b, "%s%g", i ? "/" : "", list[i]);
        break;
    default:
        copi_option_print(b, o, object);
    }
}

/* Are both values printed the same? */
static bool is_same(copi_buffer *b, const cop_option *o, const void *object, const void *other) {
    copi_buffer mine, theirs;
    copi_buffer_init(&mine, b->ctx);
    copi_buffer_init(&theirs, b->ctx);
    copi_option_print(&mine, o, object);
    copi_option_print(&theirs, o, other);
    bool same = mine.len == theirs.len && (!mine.len || memcmp(mine.data, theirs.data, mine.len) == 0);
    b->failed |= mine.failed || theirs.failed;
    copi_buffer_clear(&mine);
    copi_buffer_clear(&theirs);
    return same;
}

/* Options that are not part of a trial's text: levels, options of the run, a recipe that is not used. */
static bool is_left_out(const cop_option *o, const void *object) {
    if (o->flags & (COP_OPTION_LEVEL | COP_OPTION_RUN)) return true;
    return (o->flags & COP_OPTION_UNUSED_AT_0) && !(*(const double *)field_of(o->table, field_of(o, object)) > 0);
}

void copi_options_print(copi_buffer *b, const cop_option *table, const void *object, const void *usual) {
    for (const cop_option *o = table; o->name; o++) {
        if (is_left_out(o, object)) continue;
        if ((o->flags & COP_OPTION_LATE) && is_same(b, o, object, usual)) continue;
        copi_buffer_printf(b, "%s=", o->name);
        if (o->table) {
            copi_buffer_text(b, "{\n");
            copi_options_print(b, o->table, field_of(o, object), field_of(o, usual));
            copi_buffer_text(b, "}");
        } else {
            copi_option_print(b, o, object);
        }
        copi_buffer_text(b, "\n");
    }
}

void copi_options_say_difference(copi_buffer *b, const cop_option *table, const void *object, const void *other,
                                 const char *of) {
    for (const cop_option *o = table; o->name; o++) {
        if (is_left_out(o, object)) continue;
        if (o->table) {
            copi_options_say_difference(b, o->table, field_of(o, object), field_of(o, other), o->name);
        } else if (!is_same(b, o, object, other)) {
            copi_buffer_printf(b, ", %s%s%s", of, *of ? " " : "", o->name);
            if (o->kind == COP_OPTION_LIMITS) continue; /* too long for a label */
            copi_buffer_text(b, " ");
            copi_option_say(b, o, object);
        }
    }
}
