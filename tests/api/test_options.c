/* One table per struct: each option's default, range and name are the same in the library, in study files, on the
 * command line, in help and in the manual page. By looping over the tables: nothing is listed here. */
#include "check.h"
#include "report/report.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char program[600]; /* the command-line program of this build */

/* What a command prints, both streams. */
static const char *output(const char *words) {
    static char text[1 << 18];
    char command[2048];
    snprintf(command, sizeof command, "%s %s 2>&1 </dev/null", program, words);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = 0;
    pclose(f);
    for (char *c = text; *c; c++) /* lines are broken where help is wide */
        if (isspace((unsigned char)*c)) *c = ' ';
    size_t to = 0;
    for (size_t i = 0; text[i]; i++)
        if (text[i] != ' ' || (i && text[i - 1] != ' ')) text[to++] = text[i];
    text[to] = 0;
    return text;
}

static void expect(const char *text, const char *part, const char *where) {
    if (!strstr(text, part)) fail_msg("%s: no '%s' in: %.300s", where, part, text);
}

static const char *dashed(const char *name) {
    static char text[64];
    snprintf(text, sizeof text, "%s", name);
    for (char *c = text; *c; c++)
        if (*c == '_') *c = '-';
    return text;
}

/* A text that the option refuses; false: it takes any. */
static bool wrong_value(const cop_option *o, char text[64]) {
    switch (o->kind) {
    case COP_OPTION_NUMBER:
    case COP_OPTION_COUNT:
    case COP_OPTION_INTEGER:
    case COP_OPTION_NUMBERS:
    case COP_OPTION_STEPS:
        snprintf(text, 64, "%.0f", -o->high - 7);
        return true;
    case COP_OPTION_CHOICE:
    case COP_OPTION_NAME:
    case COP_OPTION_SET:
        snprintf(text, 64, "qqqqqqqqqqqq");
        return true;
    default:
        return false;
    }
}

static void put(const cop_option *o, void *object, double x) {
    void *at = (char *)object + o->offset;
    if (o->kind == COP_OPTION_NUMBER)
        *(double *)at = x;
    else if (o->kind == COP_OPTION_COUNT)
        *(int64_t *)at = (int64_t)x;
    else if (o->kind == COP_OPTION_STEPS)
        *(double *)at = x;
    else
        *(int *)at = (int)x;
}

static bool is_number(const cop_option *o) {
    return o->kind == COP_OPTION_NUMBER || o->kind == COP_OPTION_COUNT || o->kind == COP_OPTION_INTEGER;
}

/* "rate is -1007; expected a number in [0,1000]": what every place says, behind its own name for the option. */
static void sentence(const cop_option *o, const char *value, char text[COP_OPTION_PROBLEM]) {
    char problem[COP_OPTION_PROBLEM];
    double scratch[8] = {0};
    assert_false(cop_option_parse(o, "X", value, scratch, problem));
    snprintf(text, COP_OPTION_PROBLEM, "%s", problem + 1);
}

/* Each row is whole, and its default is in its range. */
static void check_row(const cop_option *o) {
    assert_true(o->name && o->help && o->since && strlen(o->help) > 10);
    assert_true(islower((unsigned char)o->name[0]));
    if (strcmp(o->since, "0.1") > 0)
        assert_true(o->flags & (COP_OPTION_LATE | COP_OPTION_RUN)); /* or trials are renamed */
    if (is_number(o)) {
        assert_true(o->low < o->high);
        if (o->usual != 0 || o->low < 0 || (o->low == 0 && !(o->flags & COP_OPTION_ABOVE)))
            assert_true(o->usual >= o->low && o->usual <= o->high);
    }
    if (o->choice) assert_non_null(o->choice(0));
    if (o->kind == COP_OPTION_CHOICE) assert_non_null(o->choice((int)o->usual));
}

/* Has the struct the default that the table tells? */
static void check_default(const cop_option *o, const void *object) {
    const void *at = (const char *)object + o->offset;
    switch (o->kind) {
    case COP_OPTION_NUMBER:
        assert_true(*(const double *)at == o->usual);
        break;
    case COP_OPTION_COUNT:
        assert_true((double)*(const int64_t *)at == o->usual);
        break;
    case COP_OPTION_INTEGER:
    case COP_OPTION_FLAG:
    case COP_OPTION_CHOICE:
    case COP_OPTION_SET:
        assert_true(*(const int *)at == (int)o->usual);
        break;
    case COP_OPTION_NAME:
        if (o->usual_name)
            assert_string_equal(*(const char *const *)at, o->usual_name);
        else
            assert_null(*(const char *const *)at);
        break;
    default:
        break;
    }
}

static void test_rows(void **state) {
    (void)state;
    const cop_recipe recipe = cop_recipe_default();
    const cop_prune_params prune = cop_prune_params_default();
    const cop_data_options data = cop_data_options_default();
    const cop_method_params method = cop_method_params_default();
    int n = 0;
    for (int i = 0; cop_recipe_option(i); i++, n++) {
        check_row(cop_recipe_option(i));
        check_default(cop_recipe_option(i), &recipe);
    }
    assert_true(n > 25);
    for (int i = 0; cop_prune_option(i); i++) {
        check_row(cop_prune_option(i));
        check_default(cop_prune_option(i), &prune);
    }
    for (int i = 0; cop_data_option(i); i++) {
        check_row(cop_data_option(i));
        check_default(cop_data_option(i), &data);
    }
    for (int i = 0; cop_auto_option(i); i++) assert_true(cop_auto_option(i)->help && cop_auto_option(i)->since);
    for (int m = 0; m < cop_method_count(); m++) {
        cop_option table[COPI_METHOD_OPTIONS];
        assert_true(copi_method_options(cop_method_name(m), "sss", table) < COPI_METHOD_OPTIONS - 1);
        for (int i = 0; cop_method_option(m, i); i++) {
            const cop_option *o = cop_method_option(m, i);
            check_row(o);
            /* one struct serves all methods: studies set compound's own scope, and levels share their fields */
            bool own = !strcmp(cop_method_name(m), "compound") && !strcmp(o->name, "scope");
            if (!own && !(o->flags & COP_OPTION_LEVEL)) check_default(o, &method);
            for (int k = 0; k < i; k++) assert_string_not_equal(cop_method_option(m, k)->name, o->name);
        }
    }
    assert_null(cop_recipe_option(-1));
    assert_null(cop_recipe_option(n));
    assert_null(cop_method_option(-1, 0));
    assert_null(cop_method_option(cop_method_count(), 0));
}

/* The library, study files and the command line refuse the same value of a recipe's option by the same sentence. */
static void test_recipe_sentences(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    for (int i = 0; cop_recipe_option(i); i++) {
        const cop_option *o = cop_recipe_option(i);
        char value[64], same[COP_OPTION_PROBLEM], text[2048];
        if (!wrong_value(o, value)) continue;
        sentence(o, value, same);
        if (is_number(o)) {
            cop_recipe r = cop_recipe_default();
            put(o, &r, atof(value));
            assert_int_equal(copi_recipe_check(ctx, &r), COP_E_RANGE);
            snprintf(text, sizeof text, "recipe: %s%s", o->name, same);
            assert_string_equal(cop_error(ctx), text);
        }
        snprintf(text, sizeof text, "train --%s=%s", dashed(o->name), value);
        expect(output(text), same, "command line");
        if (o->flags & COP_OPTION_RUN) continue;
        copi_spec spec;
        int n = snprintf(text, sizeof text,
                         "name: n\ndata: {path: d}\nmodel: seed-cnn\ndense: {%s: %s}\ntrials: [{method: sss}]\n",
                         o->name, value);
        assert_int_equal(copi_spec_parse(ctx, "s.yaml", text, (size_t)n, &spec), COP_E_FORMAT);
        n = snprintf(text, sizeof text, "s.yaml:4:%d: %s%s", (int)strlen(o->name) + 11, o->name, same);
        assert_string_equal(cop_error(ctx), text);
    }
    test_ctx_destroy(ctx);
}

/* The same of the methods' options, by each family's first method. */
static void test_method_sentences(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    for (int m = 0; m < cop_method_count(); m++) {
        const char *method = cop_method_name(m), *like = strcmp(method, "scratch") ? "" : ", like: magnitude";
        for (int i = 0; cop_method_option(m, i); i++) {
            const cop_option *o = cop_method_option(m, i);
            char value[64], same[COP_OPTION_PROBLEM], text[1024];
            if (!wrong_value(o, value) || !strcmp(o->name, "like")) continue;
            sentence(o, value, same);
            bool level = !strcmp(o->name, "sparsity") || strcmp(cop_method_family(m), "sss") == 0 || *like ||
                         !strcmp(method, "dense-longer");
            copi_spec spec;
            int n = snprintf(text, sizeof text,
                             "name: n\ndata: {path: d}\nmodel: seed-cnn\ntrials: [{method: %s%s%s, %s: %s}]\n",
                             method, like, level ? "" : ", sparsity: .5", o->name, value);
            assert_int_equal(copi_spec_parse(ctx, "s.yaml", text, (size_t)n, &spec), COP_E_FORMAT);
            snprintf(text, sizeof text, ": %s%s", o->name, same);
            expect(cop_error(ctx), text, method);
        }
    }
    test_ctx_destroy(ctx);
}

static void show_default(const cop_option *o, char text[80]) {
    *text = 0;
    if (o->kind == COP_OPTION_CHOICE)
        snprintf(text, 80, "default %s", o->choice((int)o->usual));
    else if (o->kind == COP_OPTION_COUNT && o->usual >= 1000)
        return; /* with commas */
    else if (is_number(o) && o->usual != 0)
        snprintf(text, 80, "default %g", o->usual);
}

/* Where a page explains an option: from its mark to the end of its entry. */
static void check_explained(const char *page, const char *where, const char *mark, const cop_option *o,
                            const char *stop) {
    char text[COP_OPTION_PROBLEM + 80], usual[80], part[1200];
    const char *at = strstr(page, mark);
    if (!at) fail_msg("%s: no '%s'", where, mark);
    const char *end = strstr(at + strlen(mark), stop);
    snprintf(part, sizeof part, "%.*s", end ? (int)(end - at) : (int)sizeof part, at);
    show_default(o, usual);
    expect(part, usual, where);
    if (is_number(o) && o->high < 1e5) {
        cop_option_range(o, text);
        expect(part, text, where);
    }
}

/* "--step-factor X": how --help begins the entry of an option. */
static void entry_mark(const cop_option *o, char mark[160]) {
    static const char *const place[] = {[COP_OPTION_NUMBER] = " X",
                                        [COP_OPTION_COUNT] = " N",
                                        [COP_OPTION_INTEGER] = " N",
                                        [COP_OPTION_CHOICE] = " NAME",
                                        [COP_OPTION_NAME] = " NAME"};
    const char *value = (size_t)o->kind < COPI_COUNT(place) && place[o->kind] ? place[o->kind] : "";
    snprintf(mark, 160, "--%s%s ", dashed(o->name), value);
}

/* In help study: its entry ends where that of the next row begins. */
static void check_key(const char *page, const cop_option *o, const cop_option *next) {
    char mark[160], stop[160];
    snprintf(mark, sizeof mark, " %s %.30s", o->name, o->help);
    snprintf(stop, sizeof stop, " %s %.30s", next ? next->name : "A", next ? next->help : "");
    check_explained(page, "help study", mark, o, stop);
}

static void test_help(void **state) {
    (void)state;
    static char page[1 << 18];
    char mark[160];
    snprintf(page, sizeof page, "%s", output("train --help"));
    for (int i = 0; cop_recipe_option(i); i++) {
        entry_mark(cop_recipe_option(i), mark);
        check_explained(page, "train --help", mark, cop_recipe_option(i), " --");
    }
    for (int i = 0; cop_data_option(i); i++) {
        entry_mark(cop_data_option(i), mark);
        check_explained(page, "train --help", mark, cop_data_option(i), " --");
    }
    snprintf(page, sizeof page, "%s", output("prune --help"));
    for (int i = 0; cop_prune_option(i); i++) {
        entry_mark(cop_prune_option(i), mark);
        check_explained(page, "prune --help", mark, cop_prune_option(i), " --");
    }
    snprintf(page, sizeof page, "%s", output("help study"));
    for (int i = 0; cop_recipe_option(i); i++) {
        const cop_option *o = cop_recipe_option(i);
        if (!(o->flags & COP_OPTION_RUN)) check_key(page, o, cop_recipe_option(i + 1));
    }
    for (int m = 0; m < cop_method_count(); m++)
        for (int i = 0; cop_method_option(m, i); i++) {
            const cop_option *o = cop_method_option(m, i);
            if (!(o->flags & COP_OPTION_INLINE)) check_key(page, o, cop_method_option(m, i + 1));
        }
    snprintf(page, sizeof page, "%s", output("help man"));
    char *to = page;
    for (const char *at = page; *at; at++) { /* \\- is a hyphen, \\fB begins bold print */
        if (*at == '\\' && at[1] == 'f')
            at += 2;
        else if (*at != '\\')
            *to++ = *at;
    }
    *to = 0;
    for (int i = 0; cop_recipe_option(i); i++) {
        snprintf(mark, sizeof mark, "--%s", dashed(cop_recipe_option(i)->name));
        check_explained(page, "help man", mark, cop_recipe_option(i), ".TP");
    }
    snprintf(page, sizeof page, "%s", output("help bash-completion"));
    for (int i = 0; cop_recipe_option(i); i++) {
        snprintf(mark, sizeof mark, " --%s", dashed(cop_recipe_option(i)->name));
        expect(page, mark, "help bash-completion");
    }
}

/* A named recipe prints as what it sets: as a study's keys it gives the same parameters. */
static void test_recipes(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    static char page[1 << 16];
    snprintf(page, sizeof page, "%s", output("help recipes"));
    for (int i = 0; i < cop_method_recipe_count(); i++) {
        char mark[80], text[2048], keys[1024];
        copi_spec named, spelled;
        snprintf(mark, sizeof mark, "%s as keys of a trial", cop_method_recipe_name(i));
        const char *at = strstr(page, mark);
        assert_non_null(at);
        at = strchr(at, '{');
        const char *end = strstr(at, "}}");
        snprintf(keys, sizeof keys, "%.*s", (int)(end - at) + 2, at);
        static const char head[] = "name: n\ndata: {path: d}\nmodel: seed-cnn\ntrials: [{sparsity: .9, ";
        int n = snprintf(text, sizeof text, "%s%s]\n", head, keys + 1);
        test_ok(ctx, copi_spec_parse(ctx, "keys", text, (size_t)n, &spelled));
        n = snprintf(text, sizeof text, "%srecipe: %s}]\n", head, cop_method_recipe_name(i));
        test_ok(ctx, copi_spec_parse(ctx, "name", text, (size_t)n, &named));
        copi_buffer a, b;
        copi_buffer_init(&a, ctx);
        copi_buffer_init(&b, ctx);
        copi_spec_print_trial(&a, &named.trial[0]);
        copi_spec_print_trial(&b, &spelled.trial[0]);
        assert_string_equal(a.data, b.data);
        copi_buffer_clear(&a);
        copi_buffer_clear(&b);
        copi_spec_clear(&named);
        copi_spec_clear(&spelled);
    }
    test_ctx_destroy(ctx);
}

int main(void) {
    char self[512];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0) return 1;
    self[n] = 0;
    *strrchr(self, '/') = 0;
    snprintf(program, sizeof program, "%s/../coppice", self);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_recipe_sentences),
                                       cmocka_unit_test(test_method_sentences), cmocka_unit_test(test_help),
                                       cmocka_unit_test(test_recipes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
