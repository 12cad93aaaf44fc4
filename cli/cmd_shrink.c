/* coppice shrink: remove dead filters and neurons; the function stays the same. */
#include "cli.h"

static const option options[] = {
    HEADING("Model"),
    OPTION_OUTPUT("file for the smaller model; its ending sets the format (coppice help formats)"),
    COUNT("round", round, 0, 4096,
          "also try rounding the channels of each layer up to a multiple of this, and keep the faster net"),
    HEADING("Timing"),
    INTEGER("runs", bench.runs, 1, 1000000, "forward passes of each net, in five turns; the lowest median counts"),
    COUNT("batch", bench.batch, 1, 65536, "images per pass; single images are timed as well"),
    HEADING("For a preset"),
    OPTIONS_PRESET,
    OPTIONS_COMMON,
};

typedef struct side {
    cop_net_info info;
    int64_t bytes;
    cop_bench_result one, many;
} side;

static void look(const cop_net *net, const char *path, side *at) {
    cop_net_get_info(net, &at->info);
    at->bytes = file_size(path);
    if (at->bytes < 0) at->bytes = (int64_t)at->info.bytes; /* a preset */
}

#define TURNS 5

static int turn_runs(const settings *s) {
    return (s->bench.runs + TURNS - 1) / TURNS;
}

/* Time two nets on batches of this many images. They take turns and the best turn of each counts, so that other load
 * on the machine does not slow only one of them. */
static cop_status race(const settings *s, int64_t batch, const cop_net *a, const cop_net *b, cop_bench_result *of_a,
                       cop_bench_result *of_b) {
    cop_bench_params p = s->bench;
    cop_bench_result result;
    cop_status status = COP_OK;
    p.batch = batch;
    p.runs = turn_runs(s);
    for (int turn = 0; !status && turn < 2 * TURNS; turn++) {
        cop_bench_result *best = turn % 2 ? of_b : of_a;
        status = cop_bench(turn % 2 ? b : a, &p, &result);
        if (turn < 2 || result.median_ms < best->median_ms) *best = result;
    }
    return status;
}

static void row(table *t, const char *what, const char *before, const char *after, double x, double y) {
    table_cell(t, "%s", what);
    table_cell(t, "%s", before);
    table_cell(t, "%s", after);
    table_cell(t, "%s", SAY(ratio, x, y));
}

static void print_result(const settings *s, const side *a, const side *b, const cop_shrink_report *r) {
    char what[48];
    table *t = table_create("<|>before|>after|>change");
    row(t, "parameters", SAY(count, r->parameters_before), SAY(count, r->parameters_after),
        (double)r->parameters_before, (double)r->parameters_after);
    row(t, "MACs per image", SAY(macs, r->macs_before), SAY(macs, r->macs_after), (double)r->macs_before,
        (double)r->macs_after);
    row(t, "file", SAY(bytes, a->bytes), SAY(bytes, b->bytes), (double)a->bytes, (double)b->bytes);
    row(t, "1 image, ms", SAY(number, a->one.median_ms, 3), SAY(number, b->one.median_ms, 3), a->one.median_ms,
        b->one.median_ms);
    if (s->bench.batch > 1) {
        snprintf(what, sizeof what, "%s images, ms", SAY(count, s->bench.batch));
        row(t, what, SAY(number, a->many.median_ms, 3), SAY(number, b->many.median_ms, 3), a->many.median_ms,
            b->many.median_ms);
    }
    table_print(t, stdout);
    printf("%s filter%s and neurons removed; max |masked - shrunk| / max |masked| = %.1e\n",
           SAY(count, r->units_removed), r->units_removed == 1 ? "" : "s", r->max_difference);
    int runs = turn_runs(s);
    printf("times: best median of %d turns of %d run%s, %d thread%s, %s; saved as %s\n", TURNS, runs,
           runs == 1 ? "" : "s", b->one.threads, b->one.threads == 1 ? "" : "s", b->one.precision, s->output);
}

#define FASTER 0.98 /* share of the time; a smaller gain may be noise */

/* Also shrink with channels rounded up, time both, keep the faster net in *small. */
static int try_rounded(const settings *s, cop_ctx *ctx, const cop_net *net, cop_net **small,
                       cop_shrink_report *report) {
    cop_net *rounded = NULL;
    cop_shrink_report own;
    cop_bench_result plain, other;
    cop_status status = cop_shrink_rounded(net, s->round, &rounded, &own);
    if (!status) status = race(s, s->bench.batch, *small, rounded, &plain, &other);
    if (status) {
        cop_net_destroy(rounded);
        return library_error(ctx, status);
    }
    bool faster = other.median_ms < FASTER * plain.median_ms;
    note("channels rounded up to multiples of %s: %.3f ms for %s image%s; not rounded: %.3f ms; kept: %s",
         SAY(count, s->round), other.median_ms, SAY(count, s->bench.batch), s->bench.batch == 1 ? "" : "s",
         plain.median_ms, faster ? "rounded" : "not rounded");
    cop_net_destroy(faster ? *small : rounded);
    if (!faster) return EXIT_DONE;
    *small = rounded;
    *report = own;
    return EXIT_DONE;
}

static int run(settings *s, cop_ctx *ctx) {
    cop_net *net = NULL, *small = NULL;
    cop_shrink_report report;
    side before, after;
    int code = check_output(s, s->output);
    if (code == EXIT_DONE) code = open_model(s, ctx, NULL, &net);
    if (code == EXIT_DONE) {
        look(net, s->model, &before);
        cop_status status = cop_shrink(net, &small, &report);
        if (status) code = library_error(ctx, status);
    }
    if (code == EXIT_DONE && s->round > 1) code = try_rounded(s, ctx, net, &small, &report);
    if (code == EXIT_DONE) code = save_model(ctx, small, s->output);
    if (code == EXIT_DONE) {
        look(small, s->output, &after);
        cop_status status = race(s, 1, net, small, &before.one, &after.one);
        if (!status && s->bench.batch > 1) status = race(s, s->bench.batch, net, small, &before.many, &after.many);
        if (status) code = library_error(ctx, status);
    }
    terminal_clear();
    if (code == EXIT_DONE) print_result(s, &before, &after, &report);
    cop_net_destroy(small);
    cop_net_destroy(net);
    return code;
}

const command command_shrink = {
    .name = "shrink",
    .usage = "MODEL -o FILE",
    .summary = "remove dead filters and neurons: a smaller net that computes the same",
    .text = "Writes a net without the filters, neurons and inputs that pruning left dead. The new net computes the "
            "same function; this is checked on random inputs. It can be tuned, pruned and shrunk again.",
    .options = options,
    .operand = {OPERAND_MODEL},
    .run = run,
};
