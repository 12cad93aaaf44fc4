/* Times a training step or an inference of a preset, for bench/speed.sh; one JSON object a line, as torch_speed.py
 * prints it.
 *
 *     bench_step [--mode train|infer] [--batch N] [--precision f32|bf16] [--runs N] [--threads N] [--width W]
 *                [--dense D] [--preset NAME] [--log]
 *
 * Without --preset: seed-cnn with W filters in its first convolutions (32) and D dense units (512), so that a net
 * with a quarter of its structures left can be timed. --log writes each primitive's own time to standard error. */
#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

typedef struct options {
    const char *mode, *precision, *preset;
    long batch, runs, threads, width, dense;
    int log;
} options;

static int usage(const char *what) {
    fprintf(stderr, "bench_step: unknown or incomplete option '%s'\n", what);
    return 2;
}

static int parse(int argc, char **argv, options *o) {
    struct {
        const char *name, **text;
        long *number;
    } table[] = {
        {"--mode", &o->mode, NULL},   {"--precision", &o->precision, NULL}, {"--preset", &o->preset, NULL},
        {"--batch", NULL, &o->batch}, {"--runs", NULL, &o->runs},           {"--threads", NULL, &o->threads},
        {"--width", NULL, &o->width}, {"--dense", NULL, &o->dense},
    };
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--log")) {
            o->log = 1;
            continue;
        }
        size_t k = 0;
        while (k < COPI_COUNT(table) && strcmp(argv[i], table[k].name)) k++;
        if (k == COPI_COUNT(table) || i + 1 == argc) return usage(argv[i]);
        i++;
        if (table[k].text)
            *table[k].text = argv[i];
        else
            *table[k].number = strtol(argv[i], NULL, 10);
    }
    return 0;
}

static int conv(cop_graph *g, const char *name, int src, int64_t filters, int64_t pad) {
    cop_conv_params p = cop_conv_params_default(filters, 3);
    for (int k = 0; k < 4; k++) p.pad[k] = pad;
    return cop_graph_conv(g, name, src, &p);
}

/* seed-cnn of docs/methods.md, "Reference study", 25x25x3 and 5 classes, of any width. */
static cop_status seed_cnn(cop_ctx *ctx, const options *o, cop_net **net) {
    cop_graph *g;
    cop_status s = cop_graph_create(ctx, &g);
    if (s) return s;
    cop_pool_params pool = cop_pool_params_default(2);
    int x = cop_graph_input(g, "input", 3, 25, 25);
    x = cop_graph_relu(g, "relu1", conv(g, "conv1", x, o->width, 1));
    x = cop_graph_relu(g, "relu2", conv(g, "conv2", x, o->width, 0));
    x = cop_graph_dropout(g, "drop1", cop_graph_max_pool(g, "pool1", x, &pool), .25);
    x = cop_graph_relu(g, "relu3", conv(g, "conv3", x, 2 * o->width, 1));
    x = cop_graph_relu(g, "relu4", conv(g, "conv4", x, 2 * o->width, 0));
    x = cop_graph_dropout(g, "drop2", cop_graph_max_pool(g, "pool2", x, &pool), .25);
    x = cop_graph_relu(g, "relu5", cop_graph_dense(g, "dense1", cop_graph_flatten(g, "flatten", x), o->dense, 1));
    x = cop_graph_dense(g, "dense2", cop_graph_dropout(g, "drop3", x, .5), 5, 1);
    cop_graph_softmax(g, "softmax", x);
    return cop_graph_build(g, 1, net);
}

static void write_log(void *user, cop_log_level level, const char *text) {
    (void)user;
    (void)level;
    fprintf(stderr, "%s\n", text);
}

int main(int argc, char **argv) {
    options o = {
        .mode = "train", .precision = "f32", .batch = 64, .runs = 40, .threads = 2, .width = 32, .dense = 512};
    if (parse(argc, argv, &o)) return 2;
    cop_ctx_options context = cop_ctx_options_default();
    context.threads = (int)o.threads;
    if (o.log) context.log = write_log;
    cop_ctx *ctx;
    if (cop_ctx_create(&context, &ctx)) return 1;
    cop_bench_params params = cop_bench_params_default();
    params.batch = o.batch;
    params.runs = (int)o.runs;
    params.training = !strcmp(o.mode, "train");
    params.precision = strcmp(o.precision, "bf16") ? COP_PRECISION_F32 : COP_PRECISION_BF16;
    cop_net *net = NULL;
    cop_bench_result r;
    cop_status s = o.preset ? cop_net_preset(ctx, o.preset, 3, 32, 32, 10, 1, &net) : seed_cnn(ctx, &o, &net);
    if (!s) s = cop_bench(net, &params, &r);
    if (s)
        fprintf(stderr, "bench_step: %s\n", cop_error(ctx));
    else
        printf("{\"program\": \"coppice\", \"version\": \"%s\", \"mode\": \"%s\", \"batch\": %ld, \"precision\": "
               "\"%s\", \"threads\": %d, \"median_ms\": %.3f, \"min_ms\": %.3f, \"primitives_ms\": %.3f, "
               "\"images_per_second\": %.1f}\n",
               cop_build_info(), o.mode, o.batch, r.precision, r.threads, r.median_ms, r.min_ms, r.primitives_ms,
               r.images_per_second);
    cop_net_destroy(net);
    cop_ctx_destroy(ctx);
    return s ? 1 : 0;
}
