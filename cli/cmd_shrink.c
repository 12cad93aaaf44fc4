/* coppice shrink: take dead filters and neurons out; the function stays. */
#include "cli.h"

static const option options[] = {
    HEADING("Model"),
    OPTION_OUTPUT("where the smaller model goes (its ending tells the format: coppice help formats)"),
    COUNT("round", round, "[0,4096]",
          "also try with the channels of each layer rounded up to a multiple of this, and take what is faster"),
    HEADING("Measuring"),
    SMALL("runs", bench.runs, "[1,1000000]", "forward passes whose median counts"),
    COUNT("batch", bench.batch, "[1,65536]", "images a pass, beside single images"),
    HEADING("Of a preset"),
    OPTIONS_PRESET,
    OPTIONS_COMMON,
};

typedef struct side {
    cop_net_info info;
    int64_t bytes;
    cop_bench_result one, many;
} side;

static int look(const settings *s, cop_ctx *ctx, const cop_net *net, const char *path, side *at) {
    cop_bench_params p = s->bench;
    cop_net_get_info(net, &at->info);
    at->bytes = file_size(path);
    if (at->bytes < 0) at->bytes = (int64_t)at->info.bytes; /* a preset */
    cop_status status = cop_bench(net, &p, &at->many);
    p.batch = 1;
    if (!status) status = cop_bench(net, &p, &at->one);
    return status ? library_error(ctx, status) : EXIT_DONE;
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
    row(t, "MACs an image", SAY(macs, r->macs_before), SAY(macs, r->macs_after), (double)r->macs_before,
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
    printf("times: medians of %d runs, %d thread%s, %s; saved as %s\n", s->bench.runs, b->one.threads,
           b->one.threads == 1 ? "" : "s", b->one.precision, s->output);
}

#define FASTER 0.98 /* of the time: less than this may be noise */

/* Shrink with channels rounded up as well, time both, keep the faster in *small. */
static int try_rounded(const settings *s, cop_ctx *ctx, const cop_net *net, cop_net **small,
                       cop_shrink_report *report) {
    cop_net *rounded = NULL;
    cop_shrink_report own;
    cop_bench_result plain, other;
    cop_status status = cop_shrink_rounded(net, s->round, &rounded, &own);
    if (!status) status = cop_bench(*small, &s->bench, &plain);
    if (!status) status = cop_bench(rounded, &s->bench, &other);
    if (status) {
        cop_net_destroy(rounded);
        return library_error(ctx, status);
    }
    bool faster = other.median_ms < FASTER * plain.median_ms;
    note("channels to multiples of %s: %.3f ms for %s image%s, %.3f ms as they are; %s", SAY(count, s->round),
         other.median_ms, SAY(count, s->bench.batch), s->bench.batch == 1 ? "" : "s", plain.median_ms,
         faster ? "rounded" : "not rounded");
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
    if (code == EXIT_DONE) code = look(s, ctx, net, s->model, &before);
    if (code == EXIT_DONE) {
        cop_status status = cop_shrink(net, &small, &report);
        if (status) code = library_error(ctx, status);
    }
    if (code == EXIT_DONE && s->round > 1) code = try_rounded(s, ctx, net, &small, &report);
    if (code == EXIT_DONE) code = save_model(ctx, small, s->output);
    if (code == EXIT_DONE) code = look(s, ctx, small, s->output, &after);
    terminal_clear();
    if (code == EXIT_DONE) print_result(s, &before, &after, &report);
    cop_net_destroy(small);
    cop_net_destroy(net);
    return code;
}

const command command_shrink = {
    .name = "shrink",
    .usage = "MODEL -o FILE",
    .summary = "take dead filters and neurons out: a smaller net, the same function",
    .text =
        "Writes a net without the filters, neurons and inputs that pruning left dead. It computes the same function, "
        "which is checked on random inputs, and it can be tuned, pruned and shrunk again.",
    .options = options,
    .operand = {OPERAND_MODEL},
    .run = run,
};
