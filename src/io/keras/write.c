/* Nets -> Keras files: .h5 in the layout of Keras 2, which Keras 3 reads too, and .keras. Always Functional. */
#include "io/keras/keras.h"

#include "io/keras/h5.h"
#include "io/json.h"
#include "io/metadata.h"
#include "io/window.h"

#include <stdlib.h>
#include <string.h>
#include <zip.h>

/* A layer to be written: one node of the net gives one, or two (a ZeroPadding2D before it). */
typedef struct out_layer {
    const char *class_name;
    const char *name; /* as Keras may have it */
    int node;         /* whose numbers it has; -1: none (a ZeroPadding2D) */
    json_t *config;   /* owned */
    int64_t shape[3]; /* H, W, C of what it gives, or F */
    int rank;         /* 3 or 1 */
    int *input;       /* [inputs] layers */
    int inputs;
    int depth, met, old; /* what Keras orders layers by, and the place before that: see sort_layers */
} out_layer;

typedef struct writer {
    cop_ctx *ctx;
    const cop_net *net;
    bool newer;       /* Keras 3's .keras, else the older .h5 */
    out_layer *layer; /* [layers] */
    int layers;
    int *of_node;          /* [nodes] the layer that gives what the node does */
    copi_flat_image *flat; /* [nodes] */
    const char **name;     /* [nodes] of layers in the file */
    copi_name_map names;
    char **text; /* names made on the way, [texts] */
    int texts;
} writer;

static cop_status fail(const writer *w, int node, const char *what) {
    return copi_fail(w->ctx, COP_E_UNSUPPORTED, "%s '%s': %s", copi_op_text(w->net->node[node].op),
                     w->net->node[node].name, what);
}

/* -- names: letters, digits and '_', the first not '_', each once: what every Keras takes -- */

static void clean(char *text) {
    for (char *c = text; *c; c++) {
        bool good = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9');
        if (!good) *c = '_';
    }
    if (*text == '_') *text = 'l';
}

static cop_status make_name(writer *w, const char *wanted, const char *suffix, const char **name) {
    char *text = copi_format(w->ctx, "%s%s", wanted, suffix);
    if (text) clean(text);
    for (int k = 2; text && copi_name_map_get(&w->names, text) >= 0; k++) {
        copi_free(w->ctx, text);
        text = copi_format(w->ctx, "%s%s_%d", wanted, suffix, k);
        if (text) clean(text);
    }
    if (!text) return COP_E_NOMEM;
    w->text[w->texts++] = text;
    *name = text;
    return copi_name_map_set(&w->names, text, w->texts);
}

/* -- configurations -- */

static json_t *pair(const int64_t *two) {
    return json_pack("[I,I]", (json_int_t)two[0], (json_int_t)two[1]);
}

/* Is the padding what Keras makes of "same" (or none: "valid")? */
static bool is_same(const int64_t pad[4], const int64_t kernel[2], const int64_t stride[2], const int64_t dilation[2],
                    const int64_t *image) {
    for (int d = 0; d < 2; d++) {
        int64_t before, after;
        copi_window_same((kernel[d] - 1) * dilation[d] + 1, stride[d], image[d + 1], true, &before, &after);
        if (pad[d] != before || pad[d + 2] != after) return false;
    }
    return true;
}

static bool is_none(const int64_t pad[4]) {
    return !pad[0] && !pad[1] && !pad[2] && !pad[3];
}

/* Takes config; NULL means no memory. */
static cop_status add_layer(writer *w, const char *class_name, const char *name, int node, json_t *config,
                            const int *input, int inputs) {
    if (!config || json_object_set_new(config, "name", json_string(name)) ||
        json_object_set_new(config, "trainable", json_true()) ||
        json_object_set_new(config, "dtype", json_string("float32"))) {
        json_decref(config);
        return copi_json_no_memory(w->ctx);
    }
    int *copy = copi_alloc(w->ctx, (size_t)inputs + 1, sizeof *copy);
    if (!copy) {
        json_decref(config);
        return COP_E_NOMEM;
    }
    for (int i = 0; i < inputs; i++) copy[i] = input[i];
    w->layer[w->layers++] = (out_layer){
        .class_name = class_name, .name = name, .node = node, .config = config, .input = copy, .inputs = inputs};
    return COP_OK;
}

static void set_shape(writer *w, int rank, int64_t c, int64_t h, int64_t width) {
    out_layer *l = &w->layer[w->layers - 1];
    l->rank = rank;
    const int64_t hwc[3] = {h, width, c};
    memcpy(l->shape, hwc, sizeof hwc);
    if (rank == 1) l->shape[0] = c;
}

/* A ZeroPadding2D between; *input becomes it. */
static cop_status add_padding(writer *w, int node, const int64_t pad[4], int *input) {
    const char *name;
    cop_status status = make_name(w, w->net->node[node].name, "_pad", &name);
    if (status) return status;
    json_t *config = json_pack("{s:[[I,I],[I,I]], s:s}", "padding", (json_int_t)pad[0], (json_int_t)pad[2],
                               (json_int_t)pad[1], (json_int_t)pad[3], "data_format", "channels_last");
    status = add_layer(w, "ZeroPadding2D", name, -1, config, input, 1);
    if (status) return status;
    const int64_t *from = w->net->node[w->net->node[node].src[0]].shape;
    set_shape(w, 3, from[0], from[1] + pad[0] + pad[2], from[2] + pad[1] + pad[3]);
    *input = w->layers - 1;
    return COP_OK;
}

static bool never_negative(const writer *w, int node) {
    copi_op op = w->net->node[w->net->node[node].src[0]].op;
    return op == COPI_OP_RELU || op == COPI_OP_RELU6;
}

static cop_status write_conv(writer *w, int number, int input) {
    const copi_node *node = &w->net->node[number];
    const cop_conv_params *c = &node->u.conv;
    const int64_t *image = w->net->node[node->src[0]].shape;
    bool depthwise = c->groups > 1 && c->groups == image[0];
    bool strided = c->stride[0] > 1 || c->stride[1] > 1, dilated = c->dilation[0] > 1 || c->dilation[1] > 1;
    if (strided && dilated) return fail(w, number, "Keras has no convolution with both strides and dilation");
    if (depthwise && c->stride[0] != c->stride[1])
        return fail(w, number, "Keras strides depthwise convolutions alike both ways");
    bool same = is_same(c->pad, c->kernel, c->stride, c->dilation, image);
    cop_status status = same || is_none(c->pad) ? COP_OK : add_padding(w, number, c->pad, &input);
    if (status) return status;
    json_t *config =
        json_pack("{s:o*, s:o*, s:s, s:s, s:o*, s:s, s:b}", "kernel_size", pair(c->kernel), "strides",
                  pair(c->stride), "padding", same && !is_none(c->pad) ? "same" : "valid", "data_format",
                  "channels_last", "dilation_rate", pair(c->dilation), "activation", "linear", "use_bias", c->bias);
    if (config && depthwise) {
        json_object_set_new(config, "depth_multiplier", json_integer(c->filters / c->groups));
    } else if (config) {
        json_object_set_new(config, "filters", json_integer(c->filters));
        json_object_set_new(config, "groups", json_integer(c->groups));
    }
    return add_layer(w, depthwise ? "DepthwiseConv2D" : "Conv2D", w->name[number], number, config, &input, 1);
}

static cop_status write_pool(writer *w, int number, int input) {
    const copi_node *node = &w->net->node[number];
    const cop_pool_params *p = &node->u.pool;
    static const int64_t one[2] = {1, 1};
    bool max = node->op == COPI_OP_MAX_POOL, none = is_none(p->pad);
    bool same = !none && is_same(p->pad, p->kernel, p->stride, one, w->net->node[node->src[0]].shape) &&
                (max || !p->count_pad);
    if (!none && !same && (max ? !never_negative(w, number) : !p->count_pad)) {
        return fail(w, number, "Keras has no pool with this padding");
    }
    cop_status status = none || same ? COP_OK : add_padding(w, number, p->pad, &input);
    if (status) return status;
    json_t *config = json_pack("{s:o*, s:o*, s:s, s:s}", "pool_size", pair(p->kernel), "strides", pair(p->stride),
                               "padding", same ? "same" : "valid", "data_format", "channels_last");
    return add_layer(w, max ? "MaxPooling2D" : "AveragePooling2D", w->name[number], number, config, &input, 1);
}

static cop_status write_join(writer *w, int number, const char *class_name, json_t *config) {
    const copi_node *node = &w->net->node[number];
    int *input = copi_alloc(w->ctx, (size_t)node->nsrc, sizeof *input);
    cop_status status = input ? COP_OK : COP_E_NOMEM;
    for (int i = 0; !status && i < node->nsrc; i++) input[i] = w->of_node[node->src[i]];
    if (status) json_decref(config);
    if (!status) status = add_layer(w, class_name, w->name[number], number, config, input, node->nsrc);
    copi_free(w->ctx, input);
    return status;
}

static cop_status write_input(writer *w, int number) {
    const int64_t *s = w->net->node[number].shape;
    json_t *config = json_pack("{s:[n,I,I,I], s:b}", w->newer ? "batch_shape" : "batch_input_shape", (json_int_t)s[1],
                               (json_int_t)s[2], (json_int_t)s[0], "sparse", 0);
    cop_status status = add_layer(w, "InputLayer", w->name[number], number, config, NULL, 0);
    if (!status) json_object_del(w->layer[w->layers - 1].config, "trainable"); /* the one layer that has none */
    return status;
}

static cop_status write_node(writer *w, int number) {
    const copi_node *node = &w->net->node[number];
    const char *name = w->name[number];
    int input = node->nsrc ? w->of_node[node->src[0]] : -1;
    cop_status status = COP_OK;
    switch (node->op) {
    case COPI_OP_INPUT:
        status = write_input(w, number);
        break;
    case COPI_OP_CONV:
        status = write_conv(w, number, input);
        break;
    case COPI_OP_MAX_POOL:
    case COPI_OP_AVG_POOL:
        status = write_pool(w, number, input);
        break;
    case COPI_OP_DENSE:
        status = add_layer(w, "Dense", name, number,
                           json_pack("{s:I, s:s, s:b}", "units", (json_int_t)node->u.dense.units, "activation",
                                     "linear", "use_bias", node->u.dense.bias),
                           &input, 1);
        break;
    case COPI_OP_BATCHNORM:
        status = add_layer(w, "BatchNormalization", name, number,
                           json_pack("{s:i, s:f, s:f, s:b, s:b}", "axis", -1, "momentum", 0.99, "epsilon",
                                     node->u.batchnorm.epsilon, "center", 1, "scale", 1),
                           &input, 1);
        break;
    case COPI_OP_RELU:
        status = add_layer(w, "ReLU", name, number, json_object(), &input, 1);
        break;
    case COPI_OP_RELU6:
        status = add_layer(w, "ReLU", name, number, json_pack("{s:f}", "max_value", 6.0), &input, 1);
        break;
    case COPI_OP_LEAKY_RELU:
        status = add_layer(w, "LeakyReLU", name, number,
                           json_pack("{s:f}", w->newer ? "negative_slope" : "alpha", node->u.leaky.slope), &input, 1);
        break;
    case COPI_OP_GLOBAL_POOL:
        status = add_layer(w, "GlobalAveragePooling2D", name, number,
                           json_pack("{s:s, s:b}", "data_format", "channels_last", "keepdims", 1), &input, 1);
        break;
    case COPI_OP_FLATTEN:
        status = add_layer(w, "Flatten", name, number, json_pack("{s:s}", "data_format", "channels_last"), &input, 1);
        break;
    case COPI_OP_DROPOUT:
        status = add_layer(w, "Dropout", name, number, json_pack("{s:f}", "rate", node->u.dropout.share), &input, 1);
        break;
    case COPI_OP_SOFTMAX:
        if (node->rank != 1) return fail(w, number, "of an image; only of vectors is it written");
        status = add_layer(w, "Softmax", name, number, json_pack("{s:i}", "axis", -1), &input, 1);
        break;
    case COPI_OP_ADD:
        status = write_join(w, number, "Add", json_object());
        break;
    case COPI_OP_CONCAT:
        status = write_join(w, number, "Concatenate", json_pack("{s:i}", "axis", -1));
        break;
    default:
        return fail(w, number, "Keras has no such layer; fold the factors first");
    }
    if (status) return status;
    set_shape(w, node->rank, node->shape[0], node->shape[1], node->shape[2]);
    w->of_node[number] = w->layers - 1;
    return COP_OK;
}

/* -- the order of layers: Keras counts and matches them in its own, whatever the file's: by the longest way to the
 * output, farthest first, and then as a walk from the output back meets them -- */

static int by_keras(const void *a, const void *b) {
    const out_layer *x = a, *y = b;
    if (x->depth != y->depth) return x->depth > y->depth ? -1 : 1;
    return x->met < y->met ? -1 : x->met > y->met;
}

static cop_status walk_back(writer *w) {
    size_t most = 1;
    for (int i = 0; i < w->layers; i++) most += (size_t)w->layer[i].inputs;
    int *stack = copi_alloc(w->ctx, most, sizeof *stack), depth = 0, met = 0;
    if (!stack) return COP_E_NOMEM;
    stack[depth++] = w->layers - 1;
    while (depth) {
        out_layer *l = &w->layer[stack[--depth]];
        if (l->met) continue;
        l->met = ++met;
        for (int i = l->inputs - 1; i >= 0; i--) stack[depth++] = l->input[i];
    }
    copi_free(w->ctx, stack);
    return COP_OK;
}

static cop_status sort_layers(writer *w) {
    cop_status status = walk_back(w);
    int *place = copi_alloc(w->ctx, (size_t)w->layers, sizeof *place);
    if (!place) status = COP_E_NOMEM;
    for (int i = w->layers - 1; i >= 0; i--) {
        out_layer *l = &w->layer[i];
        l->old = i;
        for (int k = 0; k < l->inputs; k++) {
            out_layer *from = &w->layer[l->input[k]];
            if (from->depth <= l->depth) from->depth = l->depth + 1;
        }
    }
    if (!status) {
        qsort(w->layer, (size_t)w->layers, sizeof *w->layer, by_keras);
        for (int i = 0; i < w->layers; i++) place[w->layer[i].old] = i;
        for (int i = 0; i < w->layers; i++) {
            for (int k = 0; k < w->layer[i].inputs; k++) w->layer[i].input[k] = place[w->layer[i].input[k]];
        }
    }
    copi_free(w->ctx, place);
    return status;
}

static cop_status describe(writer *w) {
    const cop_net *net = w->net;
    size_t nodes = (size_t)net->nodes;
    w->layer = copi_alloc(w->ctx, 2 * nodes, sizeof *w->layer);
    w->of_node = copi_alloc(w->ctx, nodes, sizeof *w->of_node);
    w->flat = copi_alloc(w->ctx, nodes, sizeof *w->flat);
    w->name = copi_alloc(w->ctx, nodes, sizeof *w->name);
    w->text = copi_alloc(w->ctx, 2 * nodes, sizeof *w->text);
    if (!w->layer || !w->of_node || !w->flat || !w->name || !w->text) return COP_E_NOMEM;
    cop_status status = copi_keras_flat_images(net, w->flat);
    if (!status && w->flat[net->nodes - 1].flattened) {
        status = fail(w, net->nodes - 1, "the net gives a flattened image, which Keras lays out in another order");
    }
    for (int i = 0; !status && i < net->params; i++) status = copi_param_check(w->ctx, &net->param[i], COP_E_RANGE);
    for (int i = 0; !status && i < net->nodes; i++) status = make_name(w, net->node[i].name, "", &w->name[i]);
    for (int i = 0; !status && i < net->nodes; i++) status = write_node(w, i);
    return status ? status : sort_layers(w);
}

/* -- the model's JSON -- */

static json_t *shape_of(const out_layer *l) {
    return l->rank == 3
               ? json_pack("[n,I,I,I]", (json_int_t)l->shape[0], (json_int_t)l->shape[1], (json_int_t)l->shape[2])
               : json_pack("[n,I]", (json_int_t)l->shape[0]);
}

/* What a layer reads, in either dialect. */
static json_t *inbound(const writer *w, const out_layer *l) {
    json_t *list = json_array();
    for (int i = 0; i < l->inputs; i++) {
        const out_layer *from = &w->layer[l->input[i]];
        json_t *one = w->newer
                          ? json_pack("{s:s, s:{s:o*, s:s, s:[s,i,i]}}", "class_name", "__keras_tensor__", "config",
                                      "shape", shape_of(from), "dtype", "float32", "keras_history", from->name, 0, 0)
                          : json_pack("[s,i,i,{}]", from->name, 0, 0);
        json_array_append_new(list, one);
    }
    if (!w->newer || !l->inputs) return l->inputs ? json_pack("[o]", list) : list;
    bool many = strcmp(l->class_name, "Add") == 0 || strcmp(l->class_name, "Concatenate") == 0;
    return json_pack("[{s:o, s:{}}]", "args", many ? json_pack("[o]", list) : list, "kwargs");
}

static json_t *layer_json(const writer *w, const out_layer *l) {
    json_t *json = json_pack("{s:s, s:O, s:s, s:o*}", "class_name", l->class_name, "config", l->config, "name",
                             l->name, "inbound_nodes", inbound(w, l));
    if (json && w->newer) {
        json_object_set_new(json, "module", json_string("keras.layers"));
        json_object_set_new(json, "registered_name", json_null());
        if (l->inputs == 1) {
            json_object_set_new(json, "build_config",
                                json_pack("{s:o*}", "input_shape", shape_of(&w->layer[l->input[0]])));
        }
    }
    return json;
}

static json_t *model_json(const writer *w) {
    json_t *layers = json_array();
    for (int i = 0; i < w->layers; i++) json_array_append_new(layers, layer_json(w, &w->layer[i]));
    bool whole = json_array_size(layers) == (size_t)w->layers;
    const char *in = w->layer[0].name, *out = w->layer[w->layers - 1].name;
    json_t *input = w->newer ? json_pack("[s,i,i]", in, 0, 0) : json_pack("[[s,i,i]]", in, 0, 0);
    json_t *output = w->newer ? json_pack("[s,i,i]", out, 0, 0) : json_pack("[[s,i,i]]", out, 0, 0);
    json_t *model =
        json_pack("{s:s, s:{s:s, s:b, s:o, s:o, s:o}}", "class_name", "Functional", "config", "name", "coppice",
                  "trainable", 1, "layers", layers, "input_layers", input, "output_layers", output);
    if (model && w->newer) {
        json_object_set_new(model, "module", json_string("keras.src.models.functional"));
        json_object_set_new(model, "registered_name", json_string("Functional"));
    }
    if (whole) return model;
    json_decref(model);
    return NULL;
}

static cop_status model_text(const writer *w, copi_buffer *text) {
    json_t *json = model_json(w);
    cop_status status = json ? copi_json_print(w->ctx, json, text) : copi_json_no_memory(w->ctx);
    json_decref(json);
    return status;
}

/* -- the numbers, in Keras's layout -- */

static void get_kernel(const copi_param *p, const copi_flat_image *flat, const int64_t *place, float *to) {
    if (p->rank == 4) { /* [O,I,KH,KW] -> [KH,KW,I,O]; a depthwise one's I is 1, and its O are C*M */
        int64_t o = p->shape[0], i = p->shape[1], pixels = p->shape[2] * p->shape[3];
        for (int64_t k = 0; k < pixels; k++) {
            for (int64_t c = 0; c < i; c++) {
                for (int64_t f = 0; f < o; f++) *to++ = p->data[(f * i + c) * pixels + k];
            }
        }
        return;
    }
    int64_t inputs = p->rank == 2 ? p->shape[1] : p->count, units = p->count / inputs;
    for (int64_t i = 0; i < inputs; i++) {
        int64_t at = flat->flattened && place ? place[i] : i;
        for (int64_t u = 0; u < units; u++) *to++ = p->data[u * inputs + at];
    }
}

static cop_status write_weight(const writer *w, copi_h5 *h5, const out_layer *l, int slot, const char *path) {
    static const int hwc[3] = {1, 2, 0};
    const copi_node *node = &w->net->node[l->node];
    const copi_param *p = copi_node_slot(w->net, node, slot);
    /* a kernel's inputs, or a batch-norm's units, may be a flattened image; a bias's units never are */
    bool mixed = node->op == COPI_OP_BATCHNORM || (node->op == COPI_OP_DENSE && slot == COPI_WEIGHT);
    copi_flat_image flat = mixed ? w->flat[node->src[0]] : (copi_flat_image){0};
    float *data = copi_alloc(w->ctx, (size_t)p->count, sizeof *data);
    int64_t *place = flat.flattened
                         ? copi_alloc(w->ctx, (size_t)(flat.image[0] * flat.image[1] * flat.image[2]), sizeof *place)
                         : NULL;
    cop_status status = data && (place || !flat.flattened) ? COP_OK : COP_E_NOMEM;
    if (place) copi_flat_places(flat.image, hwc, place);
    if (!status) {
        int64_t shape[4] = {p->shape[0]}, rank = p->rank;
        if (rank == 2) {
            shape[0] = p->shape[1];
            shape[1] = p->shape[0];
        } else if (rank == 4) {
            bool depthwise = strcmp(l->class_name, "DepthwiseConv2D") == 0;
            int64_t groups = node->u.conv.groups;
            const int64_t four[4] = {p->shape[2], p->shape[3], depthwise ? groups : p->shape[1],
                                     depthwise ? p->shape[0] / groups : p->shape[0]};
            memcpy(shape, four, sizeof four);
        }
        get_kernel(p, &flat, place, data);
        status = copi_h5_put_floats(h5, path, (int)rank, shape, data);
    }
    copi_free(w->ctx, data);
    copi_free(w->ctx, place);
    return status;
}

/* Keras 2's names of arrays, by op and slot. */
static const char *weight_name(const out_layer *l, copi_op op, int slot) {
    static const char *const batchnorm[4] = {"gamma:0", "beta:0", "moving_mean:0", "moving_variance:0"};
    if (op == COPI_OP_BATCHNORM) return batchnorm[slot];
    if (slot == COPI_BIAS) return "bias:0";
    return strcmp(l->class_name, "DepthwiseConv2D") == 0 ? "depthwise_kernel:0" : "kernel:0";
}

static cop_status write_older_layer(const writer *w, copi_h5 *h5, const out_layer *l) {
    char group[700], path[1500], name[COPI_SLOTS][700];
    const char *list[COPI_SLOTS];
    int count = 0;
    snprintf(group, sizeof group, "model_weights/%s", l->name);
    cop_status status = copi_h5_make_group(h5, group);
    const copi_node *node = l->node >= 0 ? &w->net->node[l->node] : NULL;
    for (int s = 0; !status && node && s < COPI_SLOTS; s++) {
        if (!copi_node_slot(w->net, node, s)) continue;
        snprintf(name[count], sizeof name[count], "%s/%s", l->name, weight_name(l, node->op, s));
        snprintf(path, sizeof path, "%s/%s", group, name[count]);
        list[count] = name[count];
        count++;
        status = write_weight(w, h5, l, s, path);
    }
    return status ? status : copi_h5_put_names(h5, group, "weight_names", list, count);
}

static cop_status write_newer_layer(const writer *w, copi_h5 *h5, const out_layer *l, int before) {
    char group[300], path[400];
    copi_keras_vars(l->class_name, before, group, sizeof group);
    const copi_node *node = l->node >= 0 ? &w->net->node[l->node] : NULL;
    cop_status status = copi_h5_make_group(h5, group);
    for (int s = 0, at = 0; !status && node && s < COPI_SLOTS; s++) {
        if (!copi_node_slot(w->net, node, s)) continue;
        snprintf(path, sizeof path, "%s/%d", group, at++);
        status = write_weight(w, h5, l, s, path);
    }
    return status;
}

static cop_status write_numbers(const writer *w, copi_h5 *h5) {
    copi_name_map classes;
    copi_name_map_init(&classes, w->ctx);
    const char **names = copi_alloc(w->ctx, (size_t)w->layers, sizeof *names);
    cop_status status = names ? COP_OK : COP_E_NOMEM;
    if (!status && !w->newer) status = copi_h5_make_group(h5, "model_weights");
    for (int i = 0; !status && i < w->layers; i++) {
        const out_layer *l = &w->layer[i];
        names[i] = l->name;
        int before = copi_name_map_get(&classes, l->class_name);
        before = before < 0 ? 0 : before;
        status = copi_name_map_set(&classes, l->class_name, before + 1);
        if (!status) status = w->newer ? write_newer_layer(w, h5, l, before) : write_older_layer(w, h5, l);
    }
    if (!status && !w->newer) status = copi_h5_put_names(h5, "model_weights", "layer_names", names, w->layers);
    copi_free(w->ctx, names);
    copi_name_map_clear(&classes);
    return status;
}

static cop_status write_metadata(const writer *w, copi_h5 *h5) {
    json_t *strings = json_object(), *value;
    const char *key;
    cop_status status = strings ? copi_metadata_write(w->net, strings) : copi_json_no_memory(w->ctx);
    if (!status) status = copi_metadata_write_marks(w->net, w->name, strings);
    json_object_foreach(strings, key, value) {
        if (!status) status = copi_h5_put_text(h5, "", key, json_string_value(value));
    }
    json_decref(strings);
    return status;
}

static cop_status write_older_root(const writer *w, copi_h5 *h5) {
    copi_buffer text;
    copi_buffer_init(&text, w->ctx);
    cop_status status = model_text(w, &text);
    if (!status) status = copi_h5_put_text(h5, "", "model_config", text.data);
    static const char *const places[2] = {"", "model_weights"};
    for (int i = 0; !status && i < 2; i++) {
        status = copi_h5_put_text(h5, places[i], "backend", "tensorflow");
        if (!status) status = copi_h5_put_text(h5, places[i], "keras_version", "2.15.0");
    }
    copi_buffer_clear(&text);
    return status;
}

/* The whole HDF5 file, in memory; *bytes is the caller's. */
static cop_status make_h5(const writer *w, uint8_t **bytes, size_t *n) {
    copi_h5 h5;
    *bytes = NULL;
    cop_status status = copi_h5_create(w->ctx, &h5);
    if (status) return status;
    status = write_numbers(w, &h5);
    if (!status && !w->newer) status = write_older_root(w, &h5);
    if (!status) status = write_metadata(w, &h5);
    if (!status) status = copi_h5_image(&h5, bytes, n);
    copi_h5_close(&h5);
    return status;
}

/* -- files -- */

static void clear(writer *w) {
    for (int i = 0; i < w->layers; i++) {
        json_decref(w->layer[i].config);
        copi_free(w->ctx, w->layer[i].input);
    }
    for (int i = 0; i < w->texts; i++) copi_free(w->ctx, w->text[i]);
    copi_name_map_clear(&w->names);
    copi_free(w->ctx, w->layer);
    copi_free(w->ctx, w->of_node);
    copi_free(w->ctx, w->flat);
    copi_free(w->ctx, w->name);
    copi_free(w->ctx, w->text);
}

static cop_status begin(const cop_net *net, bool newer, writer *w) {
    *w = (writer){.ctx = net->ctx, .net = net, .newer = newer};
    copi_name_map_init(&w->names, net->ctx);
    return describe(w);
}

static cop_status end(writer *w, cop_status status, const char *path) {
    clear(w);
    return status && status != COP_E_IO ? copi_fail_in(w->ctx, status, "%s", path) : status; /* IO names it itself */
}

cop_status copi_keras_h5_save(const cop_net *net, const char *path) {
    writer w;
    uint8_t *bytes = NULL;
    size_t n = 0;
    cop_status status = begin(net, false, &w);
    if (!status) status = make_h5(&w, &bytes, &n);
    if (!status) status = copi_write_file(net->ctx, path, bytes, n);
    copi_free(net->ctx, bytes);
    return end(&w, status, path);
}

/* Stored, as Keras does, and with no date, so that the same net gives the same bytes. */
static bool add_member(zip_t *zip, const char *name, const void *bytes, size_t n) {
    zip_source_t *source = zip_source_buffer(zip, bytes, n, 0);
    zip_int64_t index = source ? zip_file_add(zip, name, source, ZIP_FL_ENC_UTF_8) : -1;
    if (index < 0) {
        zip_source_free(source);
        return false;
    }
    return !zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_STORE, 0) &&
           !zip_file_set_dostime(zip, (zip_uint64_t)index, 0, 33, 0);
}

static cop_status make_zip(const writer *w, const char *path, const copi_buffer *config, const uint8_t *weights,
                           size_t n) {
    static const char metadata[] = "{\"keras_version\": \"3.0.0\", \"date_saved\": \"\"}";
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *memory = zip_source_buffer_create(NULL, 0, 0, &error);
    if (memory) zip_source_keep(memory); /* it is read back when the archive is closed */
    zip_t *zip = memory ? zip_open_from_source(memory, ZIP_TRUNCATE, &error) : NULL;
    cop_status status = COP_OK;
    bool made = zip && add_member(zip, "metadata.json", metadata, sizeof metadata - 1) &&
                add_member(zip, "config.json", config->data, config->len) &&
                add_member(zip, "model.weights.h5", weights, n);
    if (made && zip_close(zip))
        made = false;
    else if (made)
        zip = NULL;
    if (zip) zip_discard(zip);
    zip_stat_t st;
    uint8_t *bytes = NULL;
    if (made && !zip_source_stat(memory, &st) && !zip_source_open(memory)) {
        bytes = copi_alloc(w->ctx, (size_t)st.size + 1, 1);
        if (!bytes) status = COP_E_NOMEM;
        made = bytes && zip_source_read(memory, bytes, st.size) == (zip_int64_t)st.size;
        zip_source_close(memory);
    } else {
        made = false;
    }
    if (!status && !made) status = copi_fail(w->ctx, COP_E_INTERNAL, "the archive could not be made");
    if (!status) status = copi_write_file(w->ctx, path, bytes, (size_t)st.size);
    copi_free(w->ctx, bytes);
    if (memory) zip_source_free(memory);
    zip_error_fini(&error);
    return status;
}

cop_status copi_keras_zip_save(const cop_net *net, const char *path) {
    writer w;
    uint8_t *weights = NULL;
    size_t n = 0;
    copi_buffer config;
    copi_buffer_init(&config, net->ctx);
    cop_status status = begin(net, true, &w);
    if (!status) status = model_text(&w, &config);
    if (!status) status = make_h5(&w, &weights, &n);
    if (!status) status = make_zip(&w, path, &config, weights, n);
    copi_free(net->ctx, weights);
    copi_buffer_clear(&config);
    return end(&w, status, path);
}
