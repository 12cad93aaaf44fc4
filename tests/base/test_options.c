/* Tables of options: defaults, ranges with their open ends, values from text, text for digests and for people. */
#include "check.h"

#include "base/options.h"

#include <locale.h>
#include <math.h>
#include <string.h>

typedef enum colour { RED, GREEN, BLUE } colour;
typedef struct inner {
    double weight;
    int late;
} inner;
typedef struct object {
    double share, step[4];
    int64_t count;
    int pixels, flag;
    colour colour;
    const char *name, *file;
    unsigned set;
    const double *list;
    int lists;
    inner inner;
} object;

static COPI_CHOICES(choice_colour, "red", "green", "blue")

    static const cop_option inner_table[] = {
        {COPI_OPTION("weight", inner, weight, NUMBER), .usual = 2, .high = 9},
        {COPI_OPTION("late", inner, late, INTEGER), .high = 9, .flags = COP_OPTION_LATE},
        {NULL}};
static const cop_option table[] = {
    {COPI_OPTION("share", object, share, NUMBER), .usual = 0.25, .high = 1,
     .flags = COP_OPTION_ABOVE | COP_OPTION_BELOW},
    {COPI_OPTION("step", object, step, STEPS), .high = 1e6, .flags = COP_OPTION_ABOVE},
    {COPI_OPTION("count", object, count, COUNT), .usual = 128, .low = 1, .high = 1 << 20},
    {COPI_OPTION("pixels", object, pixels, INTEGER), .low = -4, .high = 64},
    {COPI_OPTION("flag", object, flag, FLAG), .usual = 1},
    {COPI_OPTION("colour", object, colour, CHOICE), .usual = BLUE, .choice = choice_colour},
    {COPI_OPTION("name", object, name, NAME), .usual_name = "green", .choice = choice_colour},
    {COPI_OPTION("file", object, file, FILE), .flags = COP_OPTION_RUN},
    {COPI_OPTION("set", object, set, SET), .usual = 1u << GREEN, .choice = choice_colour},
    {COPI_OPTION("list", object, list, NUMBERS), .count_offset = offsetof(object, lists), .high = 1e18},
    {COPI_OPTION("inner", object, inner, RECIPE), .table = inner_table, .flags = COP_OPTION_UNUSED_AT_0},
    {NULL}};

static object usual(void) {
    object o = {0};
    copi_options_default(table, &o);
    copi_options_default(inner_table, &o.inner);
    return o;
}

static void defaults(void **state) {
    (void)state;
    const object o = usual();
    assert_true(o.share == 0.25 && o.count == 128 && o.pixels == 0 && o.flag == 1 && o.colour == BLUE);
    assert_true(o.step[0] == 0 && o.set == 2 && !o.file && !o.lists && o.inner.weight == 2);
    assert_string_equal(o.name, "green");
    assert_ptr_equal(copi_option_find(table, "colour"), &table[5]);
    assert_null(copi_option_find(table, "color"));
}

static void checks(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    object o = usual();
    test_ok(ctx, copi_options_check(ctx, "thing", table, &o));
#define REFUSED(change, status, text)                                                                                \
    do {                                                                                                             \
        o = usual();                                                                                                 \
        change;                                                                                                      \
        assert_int_equal(copi_options_check(ctx, "thing", table, &o), status);                                       \
        assert_string_equal(cop_error(ctx), "thing: " text);                                                         \
    } while (0)
    REFUSED(o.share = 0, COP_E_RANGE, "share is 0; expected a number in (0,1)");
    REFUSED(o.share = 1, COP_E_RANGE, "share is 1; expected a number in (0,1)");
    REFUSED(o.share = NAN, COP_E_RANGE, "share is nan; expected a number in (0,1)");
    REFUSED(o.share = -INFINITY, COP_E_RANGE, "share is -inf; expected a number in (0,1)");
    REFUSED(o.count = 0, COP_E_RANGE, "count is 0; expected an integer in [1,1048576]");
    REFUSED(o.pixels = 65, COP_E_RANGE, "pixels is 65; expected an integer in [-4,64]");
    REFUSED(o.flag = 2, COP_E_RANGE, "flag is 2; expected true or false");
    REFUSED(o.colour = (colour)3, COP_E_RANGE, "colour is 3; expected one of red, green, blue");
    REFUSED(o.name = "greem", COP_E_ARG, "name is \"greem\"; did you mean \"green\"?");
    REFUSED(o.name = NULL, COP_E_ARG, "name is \"\"; expected one of red, green, blue");
    REFUSED(o.set = 0, COP_E_RANGE, "set is 0; expected one or more of red, green, blue");
    REFUSED(o.set = 8, COP_E_RANGE, "set is 8; expected one or more of red, green, blue");
    REFUSED(o.step[0] = -1, COP_E_RANGE, "step is -1; expected a number in (0,1e6]");
    const double bad[] = {0, -2};
    REFUSED((o.list = bad, o.lists = 2), COP_E_RANGE, "list is -2; expected a number in [0,1e18]");
#undef REFUSED
    o = usual();
    o.pixels = -4;
    o.count = 1 << 20;
    test_ok(ctx, copi_options_check(ctx, "thing", table, &o)); /* closed ends belong to the range */
    test_ctx_destroy(ctx);
}

static void reads(void **state) {
    (void)state;
    const struct {
        const char *option, *text, *problem; /* NULL: fine */
    } rows[] = {
        {"share", "0.5", NULL},
        {"share", "5e-1", NULL},
        {"share", "1", "--x is 1; expected a number in (0,1)"},
        {"share", "", "--x is \"\"; expected a number in (0,1)"},
        {"share", "0x1p-1", "--x is \"0x1p-1\"; expected a number in (0,1)"},
        {"share", "nan", "--x is \"nan\"; expected a number in (0,1)"},
        {"share", "1e999", "--x is \"1e999\"; expected a number in (0,1)"},
        {"share", ".5 ", "--x is \".5 \"; expected a number in (0,1)"},
        {"count", "1048576", NULL},
        {"count", "1.5", "--x is \"1.5\"; expected an integer in [1,1048576]"},
        {"count", "99999999999999999999", "--x is \"99999999999999999999\"; expected an integer in [1,1048576]"},
        {"pixels", "-3", NULL},
        {"flag", "off", NULL},
        {"flag", "2", "--x is \"2\"; expected true or false"},
        {"colour", "red", NULL},
        {"colour", "rde", "--x is \"rde\"; did you mean \"red\"?"},
        {"colour", "mauve", "--x is \"mauve\"; expected one of red, green, blue"},
        {"colour", "a\nb\x1b[2J", "--x is \"a?b?[2J\"; expected one of red, green, blue"}, /* one line, no commands */
        {"colour",
         "\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251"
         "\303\251"
         "\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251x\303\251",
         "--x is "
         "\"\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251"
         "\303\251"
         "\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251\303\251...\"; "
         "expected one of red, green, blue"},
        {"set", "red,blue", NULL},
        {"set", "red,,blue", "--x is \"\"; expected one or more of red, green, blue"},
        {"step", "1,2.5,4", NULL},
        {"step", "1,1", "--x must rise, but 1 follows 1"},
        {"step", "1,2,3,4,5", "--x has 5 numbers; expected 1 to 4"},
        {"step", "0", "--x is 0; expected a number in (0,1e6]"},
        {"file", "", "--x is empty; expected a file's path"},
    };
    for (size_t i = 0; i < COPI_COUNT(rows); i++) {
        const cop_option *o = copi_option_find(table, rows[i].option);
        object to = usual();
        char problem[COP_OPTION_PROBLEM] = "";
        bool fine = cop_option_parse(o, "--x", rows[i].text, (char *)&to + o->offset, problem);
        if (fine != !rows[i].problem) fail_msg("%s '%s': %s", rows[i].option, rows[i].text, problem);
        if (!fine) assert_string_equal(problem, rows[i].problem);
    }
    object to = usual();
    char problem[COP_OPTION_PROBLEM];
    assert_true(cop_option_parse(copi_option_find(table, "set"), "x", "red,blue", &to.set, problem) && to.set == 5);
    assert_true(cop_option_parse(copi_option_find(table, "step"), "x", "1,2.5", &to.step, problem));
    assert_true(to.step[1] == 2.5 && to.step[2] == 0);
}

/* A program's locale may write 0,5. */
static void any_locale(void **state) {
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE.utf8"};
    for (size_t i = 0; i < COPI_COUNT(names); i++) setlocale(LC_NUMERIC, names[i]);
    object to = usual();
    char text[COP_OPTION_PROBLEM];
    assert_true(cop_option_parse(&table[0], "x", "0.5", &to.share, text) && to.share == 0.5);
    cop_option_range(&(cop_option){.high = 0.5}, text);
    assert_string_equal(text, "[0,0.5]");
    setlocale(LC_NUMERIC, "C");
}

static void ranges(void **state) {
    (void)state;
    static const char *const want[] = {
        "(0,1)", "(0,1e6]",          "[1,1048576]", "[-4,64]", "true, false", "red, green, blue", "red, green, blue",
        "",      "red, green, blue", "[0,1e18]"};
    char text[COP_OPTION_PROBLEM];
    for (size_t i = 0; i < COPI_COUNT(want); i++) {
        cop_option_range(&table[i], text);
        assert_string_equal(text, want[i]);
    }
}

static void texts(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    const double list[] = {1, 0.1};
    object o = usual();
    const object plain = usual();
    o.list = list;
    o.lists = 2;
    o.colour = GREEN;
    copi_buffer b;
    copi_buffer_init(&b, ctx);
    copi_options_print(&b, table, &o, &plain);
    assert_string_equal(b.data,
                        "share=0.25\nstep=0 0 0 0 \ncount=128\npixels=0\nflag=1\ncolour=1\nname=green\nset=2\n"
                        "list=1 0.10000000000000001 \ninner={\nweight=2\n}\n"); /* late is at its default */
    copi_buffer_clear(&b);
    copi_buffer_init(&b, ctx);
    o.inner.late = 3;
    copi_options_say_difference(&b, table, &o, &plain, "");
    assert_string_equal(b.data, ", colour green, list 1/0.1, inner late 3");
    copi_buffer_clear(&b);
    copi_buffer_init(&b, ctx);
    o.inner.weight = 0; /* then inner does nothing */
    copi_options_say_difference(&b, table, &o, &plain, "");
    assert_string_equal(b.data, ", colour green, list 1/0.1");
    copi_buffer_clear(&b);
    test_ctx_destroy(ctx);
}

static const char *word_at(int i) {
    static char text[16]; /* valid until the next call, as some lists are */
    static const char *const words[] = {"train", "tune", "help"};
    if (i > 2) return NULL;
    snprintf(text, sizeof text, "%s", words[i]);
    return text;
}

static void nearest(void **state) {
    (void)state;
    assert_string_equal(cop_nearest("trian", word_at), "train"); /* two letters exchanged are one mistake */
    assert_string_equal(cop_nearest("hepl", word_at), "help");
    assert_string_equal(cop_nearest("Tune", word_at), "tune");
    assert_null(cop_nearest("quantum", word_at));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults), cmocka_unit_test(checks), cmocka_unit_test(reads),  cmocka_unit_test(any_locale),
        cmocka_unit_test(ranges),   cmocka_unit_test(texts),  cmocka_unit_test(nearest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
