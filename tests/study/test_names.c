/* Trial names, settings and labels are those of the program that wrote the fixture: a store of last year is found
 * done. Each case of fixtures/names.txt is a line "dense {...}", "trial {...}" or "study FILE", then what it expands
 * to, a line "  NAME SETTING LABEL" per trial. New cases are put in and `study_test_names --write` writes the file
 * again. */
#include "check.h"
#include "study/study.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIXTURE "study/fixtures/names.txt"
#define HEAD "name: n\ndata: {path: data}\nmodel: seed-cnn\n"

static void expand(cop_ctx *ctx, copi_buffer *out, const copi_spec *spec) {
    copi_trials trials;
    test_ok(ctx, copi_trials_expand(spec, "data", copi_spec_is_preset(spec) ? "" : "model", &trials));
    for (int i = 0; i < trials.n; i++)
        copi_buffer_printf(out, "  %s %s %s\n", trials.trial[i].name, trials.trial[i].setting, trials.trial[i].label);
    copi_trials_clear(&trials);
}

static void expand_case(cop_ctx *ctx, copi_buffer *out, const char *line) {
    char text[1024];
    copi_spec spec;
    copi_buffer_printf(out, "%s\n", line);
    if (!strncmp(line, "study ", 6)) {
        test_ok(ctx, copi_spec_load(ctx, line + 6, &spec));
    } else {
        bool dense = !strncmp(line, "dense ", 6);
        int n = dense ? snprintf(text, sizeof text, HEAD "dense: %s\ntrials: [{method: magnitude, sparsity: .5}]\n",
                                 line + 6)
                      : snprintf(text, sizeof text, HEAD "seeds: [1, 7]\ntrials: [%s]\n", line + 6);
        assert_true(n > 0 && n < (int)sizeof text);
        test_ok(ctx, copi_spec_parse(ctx, "case", text, (size_t)n, &spec));
    }
    expand(ctx, out, &spec);
    copi_spec_clear(&spec);
}

/* All cases of the fixture with what they expand to today. */
static void expand_all(cop_ctx *ctx, const char *fixture, copi_buffer *out, int *cases) {
    char line[512];
    *cases = 0;
    copi_buffer_init(out, ctx);
    for (const char *at = fixture; *at;) {
        size_t n = strcspn(at, "\n");
        assert_true(n < sizeof line);
        snprintf(line, sizeof line, "%.*s", (int)n, at);
        if (*line && *line != ' ') {
            expand_case(ctx, out, line);
            ++*cases;
        }
        at += n + (at[n] == '\n');
    }
    assert_false(out->failed);
}

static bool rewrite;

static void test_names(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    uint8_t *fixture;
    size_t n;
    copi_buffer now;
    int cases;
    test_ok(ctx, copi_read_file(ctx, FIXTURE, 0, &fixture, &n));
    expand_all(ctx, (const char *)fixture, &now, &cases);
    if (rewrite) {
        FILE *f = fopen(FIXTURE, "wb");
        assert_non_null(f);
        assert_true(fputs(now.data, f) >= 0);
        assert_int_equal(fclose(f), 0);
    } else {
        assert_true(cases > 200);
        assert_string_equal(now.data, (const char *)fixture);
    }
    copi_buffer_clear(&now);
    copi_free(ctx, fixture);
    test_ctx_destroy(ctx);
}

int main(int argc, char **argv) {
    rewrite = argc > 1 && !strcmp(argv[1], "--write");
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
