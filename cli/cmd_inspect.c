/* coppice inspect: show a model's layers and sizes. */
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const option options[] = {
    HEADING("Model"),
    OPTIONS_PRESET,
    FLAG("groups", 0, groups, "list coupling groups instead: layers whose channels can only be removed together"),
    OPTION_JSON,
    OPTIONS_COMMON,
};

/* A net, or a weights file; the other is NULL. */
typedef struct subject {
    const cop_net *net;
    const cop_weights *weights;
    cop_net_info info;
    int64_t bytes; /* of the file */
} subject;

static bool get_layer(const subject *of, int i, cop_layer_info *layer) {
    return (of->net ? cop_net_get_layer(of->net, i, layer) : cop_weights_get_layer(of->weights, i, layer)) == COP_OK;
}

typedef struct sum {
    int64_t parameters, zeros, macs, macs_effective;
} sum;

static void add(sum *s, const cop_layer_info *l) {
    s->parameters += l->parameters;
    s->zeros += l->zeros;
    s->macs += l->macs;
    s->macs_effective += l->macs_effective;
}

/* A weights file has no MACs. */
static json_t *json_macs(int64_t macs) {
    return macs < 0 ? json_null() : json_count(macs);
}

static json_t *layer_json(const cop_layer_info *l) {
    json_t *o = json_object_new();
    json_put(o, "name", json_text(l->name));
    json_put(o, "op", json_text(*l->op ? l->op : NULL));
    json_put(o, "shape", l->rank ? json_counts(l->shape, l->rank) : json_null());
    json_put(o, "weights", json_counts(l->weight_shape, l->weight_rank));
    json_put(o, "parameters", json_count(l->parameters));
    json_put(o, "parameters_dense", json_count(l->parameters_dense));
    json_put(o, "zeros", json_count(l->zeros));
    json_put(o, "masked", json_count(l->masked));
    json_put(o, "sparsity", json_number(l->parameters_dense ? l->sparsity : NAN));
    json_put(o, "macs", json_macs(l->macs));
    json_put(o, "macs_effective", json_macs(l->macs_effective));
    return o;
}

static json_t *provenance_json(const char *text) {
    json_t *list = json_array_new();
    for (size_t n; text && *text; text += n + (text[n] == '\n')) {
        char line[1024];
        n = strcspn(text, "\n");
        snprintf(line, sizeof line, "%.*s", (int)n, text);
        json_add(list, json_text(line));
    }
    return list;
}

/* Mean and deviation are those of pixels in [0,1]. */
static json_t *preprocessing_json(const cop_net_info *n) {
    json_t *o = json_object_new();
    json_put(o, "channels", json_text(cop_channel_order_name(n->channel_order)));
    json_put(o, "mean", n->normalized ? json_numbers(n->mean, (int)n->channels) : json_null());
    json_put(o, "std", n->normalized ? json_numbers(n->std, (int)n->channels) : json_null());
    return o;
}

static json_t *as_json(const subject *of) {
    json_t *root = json_object_new(), *layers = json_array_new();
    const cop_net_info *n = &of->info;
    const int64_t shape[3] = {n->channels, n->height, n->width};
    json_put(root, "shape", of->net ? json_counts(shape, 3) : json_null());
    json_put(root, "classes", of->net ? json_count(n->classes) : json_null());
    json_put(root, "preprocessing", of->net ? preprocessing_json(n) : json_null());
    json_put(root, "parameters", json_count(n->parameters));
    json_put(root, "parameters_dense", json_count(n->parameters_dense));
    json_put(root, "zeros", json_count(n->zeros));
    json_put(root, "sparsity", json_number(n->sparsity));
    json_put(root, "sparsity_conv", json_number(n->sparsity_conv));
    json_put(root, "sparsity_dense", json_number(n->sparsity_dense));
    json_put(root, "macs", json_macs(n->macs));
    json_put(root, "macs_dense", json_macs(n->macs_dense));
    json_put(root, "macs_effective", json_macs(n->macs_effective));
    json_put(root, "bytes", json_count(of->bytes));
    for (int i = 0; i < n->layers; i++) {
        cop_layer_info l;
        if (get_layer(of, i, &l)) json_add(layers, layer_json(&l));
    }
    json_put(root, "layers", layers);
    json_put(root, "provenance", provenance_json(n->provenance));
    return root;
}

static void print_totals(table *t, const subject *of, const char *name, const sum *s, double sparsity) {
    table_cell(t, "%s", name);
    for (int i = 0; i < (of->net ? 3 : 2); i++) table_cell(t, "%s", "");
    table_cell(t, "%s", SAY(count, s->parameters));
    table_cell(t, "%s", SAY(count, s->zeros));
    table_cell(t, "%s", SAY(share, sparsity));
    if (!of->net) return;
    table_cell(t, "%s", SAY(macs, s->macs));
    table_cell(t, "%s", SAY(macs, s->macs_effective));
}

static void print_layers(const subject *of) {
    const cop_net_info *n = &of->info;
    sum conv = {0}, dense = {0}, all = {0};
    table *t = table_create(of->net ? "<layer|<4op|<2output|<1weights|>parameters|>5zeros|>sparsity|>MACs|>3effective"
                                    : "<layer|<4op|<1weights|>parameters|>5zeros|>sparsity");
    for (int i = 0; i < n->layers; i++) {
        cop_layer_info l;
        if (!get_layer(of, i, &l)) continue; /* i is in range: it can't fail */
        add(&all, &l);
        if (!strcmp(l.op, "conv")) add(&conv, &l);
        if (!strcmp(l.op, "dense")) add(&dense, &l);
        table_cell(t, "%s", l.name);
        table_cell(t, "%s", l.op);
        if (of->net) table_cell(t, "%s", SAY(shape, l.rank, l.shape));
        table_cell(t, "%s", SAY(shape, l.weight_rank, l.weight_shape));
        table_cell(t, "%s", l.parameters_dense ? SAY(count, l.parameters) : "");
        table_cell(t, "%s", l.parameters_dense ? SAY(count, l.zeros) : "");
        table_cell(t, "%s", l.parameters_dense ? SAY(share, l.sparsity) : "");
        if (!of->net) continue;
        table_cell(t, "%s", l.macs ? SAY(macs, l.macs) : "");
        table_cell(t, "%s", l.macs ? SAY(macs, l.macs_effective) : "");
    }
    table_rule(t);
    print_totals(t, of, "conv", &conv, n->sparsity_conv);
    print_totals(t, of, "dense", &dense, n->sparsity_dense);
    print_totals(t, of, "all", &all, n->sparsity);
    table_print(t, stdout);
}

static void print_weights(const settings *s, const subject *of) {
    printf("%s: only weights, %s; shapes as in the file\n\n", s->model, SAY(bytes, of->bytes));
    print_layers(of);
}

static void print_net(const settings *s, const subject *of) {
    const cop_net_info *n = &of->info;
    const int64_t shape[3] = {n->channels, n->height, n->width};
    printf("%s: images %s, %d classes, %s\n", s->model, SAY(shape, 3, shape), n->classes, SAY(bytes, of->bytes));
    if (n->class_name) {
        printf("classes:");
        for (int c = 0; c < n->classes && c < 20; c++) {
            fputs(c ? ", " : " ", stdout);
            text_print(n->class_name[c]);
        }
        puts(n->classes > 20 ? ", ..." : "");
    }
    if (n->normalized) {
        printf("normalization: mean");
        for (int c = 0; c < n->channels; c++) printf(" %.4f", n->mean[c]);
        printf(", std");
        for (int c = 0; c < n->channels; c++) printf(" %.4f", n->std[c]);
        puts(n->channel_order == COP_CHANNEL_ORDER_BGR ? ", channel order bgr" : "");
    }
    puts("");
    print_layers(of);
    if (n->parameters < n->parameters_dense)
        printf("\nThe dense net had %s parameters and %s MACs; sparsity counts removed parameters as zeros.\n",
               SAY(count, n->parameters_dense), SAY(macs, n->macs_dense));
    if (n->provenance && *n->provenance) {
        puts("\nprovenance:");
        text_print(n->provenance);
        if (n->provenance[strlen(n->provenance) - 1] != '\n') puts("");
    }
}

static int open_subject(const settings *s, cop_ctx *ctx, cop_net **net, cop_weights **weights) {
    cop_model_kind kind = COP_MODEL_NET;
    if (!is_name(s->model, cop_preset_name) && file_size(s->model) >= 0) {
        cop_status status = cop_model_get_kind(ctx, s->model, &kind);
        if (status) return library_error(ctx, status);
    }
    if (kind != COP_MODEL_WEIGHTS) return open_model(s, ctx, NULL, net);
    cop_status status = cop_weights_open(ctx, s->model, weights);
    return status ? library_error(ctx, status) : EXIT_DONE;
}

/* -- coupling groups -- */

static json_t *group_json(const cop_group_info *g) {
    json_t *o = json_object_new(), *layers = json_array_new();
    for (int i = 0; i < g->layers; i++) json_add(layers, json_text(g->layer[i]));
    json_put(o, "name", json_text(g->name));
    json_put(o, "layers", layers);
    json_put(o, "units", json_count(g->units));
    json_put(o, "channels", json_count(g->channels));
    json_put(o, "fixed", json_count(g->fixed));
    json_put(o, "fixed_by", json_text(g->fixed_by));
    json_put(o, "parameters", json_count(g->parameters));
    json_put(o, "macs", json_count(g->macs));
    return o;
}

/* The layers after the first, as "a, b, c"; the caller's. */
static char *list_others(const cop_group_info *g) {
    size_t size = 1, at = 0;
    for (int k = 1; k < g->layers; k++) size += strlen(g->layer[k]) + 2;
    char *text = calloc(size, 1);
    if (!text) die_no_memory();
    for (int k = 1; k < g->layers; k++)
        at += (size_t)snprintf(text + at, size - at, "%s%s", k > 1 ? ", " : "", g->layer[k]);
    return text;
}

static void print_groups(const cop_groups *groups) {
    table *t = table_create("<group|>units|>2channels|<fixed by|>1parameters|>3MACs|<4other layers");
    for (int i = 0; i < cop_groups_count(groups); i++) {
        cop_group_info g;
        if (cop_groups_get(groups, i, &g) != COP_OK) continue; /* i is in range: it can't fail */
        table_cell(t, "%s", g.name);
        table_cell(t, "%s", g.units ? SAY(count, g.units) : "none");
        table_cell(t, "%s", SAY(count, g.channels));
        table_cell(t, "%s", g.fixed_by ? g.fixed_by : "");
        table_cell(t, "%s", SAY(count, g.parameters));
        table_cell(t, "%s", g.macs ? SAY(macs, g.macs) : "");
        char *others = list_others(&g);
        table_cell(t, "%s", others);
        free(others);
    }
    table_print(t, stdout);
    puts("\nA unit is what can be removed: one channel with all channels that are coupled to it.");
}

static int show_groups(const settings *s, cop_ctx *ctx, const cop_net *net) {
    cop_groups *groups;
    cop_status status = cop_groups_create(net, &groups);
    if (status) return library_error(ctx, status);
    int code = EXIT_DONE;
    terminal_clear();
    if (s->json) {
        json_t *root = json_object_new(), *list = json_array_new();
        for (int i = 0; i < cop_groups_count(groups); i++) {
            cop_group_info g;
            if (cop_groups_get(groups, i, &g) == COP_OK) json_add(list, group_json(&g));
        }
        json_put(root, "groups", list);
        code = json_print(root);
    } else {
        print_groups(groups);
    }
    cop_groups_destroy(groups);
    return code;
}

static int run(settings *s, cop_ctx *ctx) {
    cop_net *net = NULL;
    cop_weights *weights = NULL;
    int code = open_subject(s, ctx, &net, &weights);
    if (code != EXIT_DONE) return code;
    if (s->groups) {
        if (net)
            code = show_groups(s, ctx, net);
        else
            code = usage_error(s, "--groups: %s holds only weights; load them into a net first (coppice convert)",
                               s->model);
        cop_net_destroy(net);
        cop_weights_destroy(weights);
        return code;
    }
    subject of = {.net = net, .weights = weights};
    if (net)
        cop_net_get_info(net, &of.info);
    else
        cop_weights_get_info(weights, &of.info);
    of.bytes = is_name(s->model, cop_preset_name) ? (int64_t)of.info.bytes : file_size(s->model);
    terminal_clear();
    if (s->json)
        code = json_print(as_json(&of));
    else if (net)
        print_net(s, &of);
    else
        print_weights(s, &of);
    cop_net_destroy(net);
    cop_weights_destroy(weights);
    return code;
}

const command command_inspect = {
    .name = "inspect",
    .usage = "MODEL",
    .summary = "list a model's layers, parameters, zeros, sparsity and MACs",
    .text = "Shows the shapes, parameters, zeros, sparsity and multiply-accumulates (MACs) per image of each layer. "
            "Effective MACs skip zero weights. Totals follow for conv layers, dense layers and the net, then the "
            "model's provenance. The size is that of the file, or that of the weights in memory for a preset. A file "
            "that holds only weights has no output shapes and no MACs.",
    .options = options,
    .operand = {OPERAND_MODEL},
    .run = run,
};
