/* coppice bench: time a model on this machine. */
#include "cli.h"

#include <math.h>

static const option options[] = {
    HEADING("Timing"),
    COUNT("batch", bench.batch, 1, 65536, "images per pass"),
    FLAG("training", 0, bench.training, "time whole training steps instead of inference"),
    CHOICE("precision", precision, cop_precision_name, "arithmetic"),
    INTEGER("runs", bench.runs, 1, 1000000, "number of timed runs, after one tenth as many to warm up"),
    OPTIONS_PRESET,
    OPTION_JSON,
    OPTIONS_COMMON,
};

static json_t *as_json(const settings *s, const cop_bench_result *r) {
    json_t *root = json_object_new();
    json_put(root, "batch", json_count(s->bench.batch));
    json_put(root, "training", json_boolean(s->bench.training));
    json_put(root, "precision", json_text(r->precision));
    json_put(root, "threads", json_count(r->threads));
    json_put(root, "runs", json_count(s->bench.runs));
    json_put(root, "median_ms", json_number(r->median_ms));
    json_put(root, "min_ms", json_number(r->min_ms));
    json_put(root, "max_ms", json_number(r->max_ms));
    json_put(root, "images_per_second", json_number(r->images_per_second));
    json_put(root, "primitives_ms", json_number(r->primitives_ms));
    return root;
}

static void print_result(const settings *s, const cop_bench_result *r) {
    printf("%s of %s image%s, %s, %d thread%s, %d runs\n", s->bench.training ? "a training step" : "inference",
           SAY(count, s->bench.batch), s->bench.batch == 1 ? "" : "s", r->precision, r->threads,
           r->threads == 1 ? "" : "s", s->bench.runs);
    table *t = table_create("<|>");
    table_cell(t, "median, ms");
    table_cell(t, "%.3f", r->median_ms);
    table_cell(t, "minimum, ms");
    table_cell(t, "%.3f", r->min_ms);
    table_cell(t, "maximum, ms");
    table_cell(t, "%.3f", r->max_ms);
    table_cell(t, "images/s");
    table_cell(t, "%s", SAY(count, llround(r->images_per_second)));
    table_cell(t, "oneDNN primitives alone, ms");
    table_cell(t, "%.3f", r->primitives_ms);
    table_cell(t, "median / primitives");
    table_cell(t, "%s", SAY(number, r->primitives_ms > 0 ? r->median_ms / r->primitives_ms : NAN, 2));
    table_print(t, stdout);
}

static int run(settings *s, cop_ctx *ctx) {
    cop_net *net = NULL;
    cop_bench_result result;
    int code = open_model(s, ctx, NULL, &net);
    if (code != EXIT_DONE) return code;
    s->bench.precision = s->precision;
    cop_status status = cop_bench(net, &s->bench, &result);
    terminal_clear();
    if (status)
        code = library_error(ctx, status);
    else if (s->json)
        code = json_print(as_json(s, &result));
    else
        print_result(s, &result);
    cop_net_destroy(net);
    return code;
}

const command command_bench = {
    .name = "bench",
    .usage = "MODEL",
    .summary = "time inference or training steps of a model on this machine",
    .text = "Times a model file or a preset on random images. Also times its oneDNN primitives alone; the difference "
            "is Coppice's own overhead.",
    .options = options,
    .operand = {OPERAND_MODEL},
    .run = run,
};
