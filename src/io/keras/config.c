/* A Keras model's JSON -> a graph. A kind of layer is one line of the table at the end. */
#include "io/keras/keras.h"

#include "io/json.h"
#include "io/window.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* What a Keras layer gives. */
typedef struct value {
    int node;         /* of the net; -1: not there yet */
    bool vector;      /* [N,F] */
    bool flattened;   /* a flattened image [H,W,C], whose C, H, W are shape */
    int64_t shape[3]; /* C, H, W; a vector's F, 1, 1 unless flattened */
    int64_t pad[4];   /* zeros that its reader must put around it: top, left, bottom, right */
    bool raw;         /* the images as they are given */
} value;

typedef struct builder {
    cop_ctx *ctx;
    copi_keras_model *model;
    const json_t *layers; /* the JSON's list */
    value *out;           /* [layers] */
    bool raw_read;        /* a layer that does not rescale reads the images as they are given */
    copi_name_map names;  /* of layers */
    /* the current layer */
    const json_t *config;
    copi_keras_layer *layer;
    value in[2];     /* the first two inputs */
    int *src;        /* [inputs] all of them */
    const int *from; /* [inputs] the numbers of the layers that give them */
    int inputs;
} builder;

static cop_status fail(const builder *b, cop_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static cop_status fail(const builder *b, cop_status status, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return copi_fail(b->ctx, status, "%s '%s': %s", b->layer->class_name, b->layer->name, text);
}

/* -- configuration -- */

static const char *get_text(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

static bool get_flag(const json_t *config, const char *key, bool otherwise) {
    const json_t *v = json_object_get(config, key);
    return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

static double get_real(const json_t *config, const char *key, double otherwise) {
    const json_t *v = json_object_get(config, key);
    return json_is_number(v) ? json_number_value(v) : otherwise;
}

/* One number for both, or a list of two; false: neither, or not from 1 to the largest extent. */
static bool get_pair(const json_t *config, const char *key, int64_t pair[2]) {
    const json_t *v = json_object_get(config, key);
    for (size_t i = 0; i < 2; i++) {
        const json_t *item = json_is_array(v) ? json_array_get(v, i) : v;
        pair[i] = json_integer_value(item);
        if (!json_is_integer(item) || pair[i] < 1 || pair[i] > COPI_MAX_EXTENT) return false;
    }
    return !json_is_array(v) || json_array_size(v) == 2;
}

static bool get_count(const json_t *config, const char *key, int64_t *count) {
    const json_t *v = json_object_get(config, key);
    *count = json_integer_value(v);
    return json_is_integer(v) && *count >= 1 && *count <= COPI_MAX_EXTENT;
}

static cop_status want_channels_last(const builder *b) {
    const char *format = get_text(b->config, "data_format");
    if (!format || strcmp(format, "channels_last") == 0) return COP_OK;
    return fail(b, COP_E_UNSUPPORTED, "data_format '%s'; supported: channels_last", format);
}

static cop_status want_image(const builder *b, bool padding_too) {
    if (b->in[0].vector) return fail(b, COP_E_UNSUPPORTED, "its input is a vector, not an image");
    const int64_t *p = b->in[0].pad;
    if (padding_too || !(p[0] || p[1] || p[2] || p[3])) return want_channels_last(b);
    return fail(b, COP_E_UNSUPPORTED, "its input is zero-padded; only convolutions and pools take that in");
}

/* -- nodes -- */

static cop_status add_named(builder *b, const char *suffix, const copi_node *proto, const int *src, int nsrc,
                            value *out) {
    char name[COPI_MAX_NAME + 1];
    int n = snprintf(name, sizeof name, "%s%s", b->layer->name, suffix);
    if (n < 0 || (size_t)n >= sizeof name) return fail(b, COP_E_UNSUPPORTED, "its name is too long");
    int node = copi_graph_add(b->model->graph, name, proto, src, nsrc);
    if (node < 0) {
        if (b->model->graph->status == COP_E_NOMEM) return COP_E_NOMEM;
        return fail(b, COP_E_UNSUPPORTED, "%s", cop_error(b->ctx));
    }
    out->node = node;
    return COP_OK;
}

/* As a net's node gives it: an image, or a plain vector. */
static void take_shape(const builder *b, value *out) {
    const copi_node *node = &b->model->graph->net->node[out->node];
    memcpy(out->shape, node->shape, sizeof out->shape);
    memset(out->pad, 0, sizeof out->pad);
    out->vector = node->rank == 1;
    out->flattened = false;
}

static void want_weight(builder *b, const copi_keras_weight *weight) {
    b->layer->weight[b->layer->weights++] = *weight;
}

/* Another op on what the layer gives so far, of the same shape. */
static cop_status then(builder *b, const char *suffix, const copi_node *proto, value *out) {
    int src = out->node;
    return add_named(b, suffix, proto, &src, 1, out);
}

/* -- activations: a name, a function in an object, or a layer in an object -- */

static cop_status activate_by_name(builder *b, const char *name, const char *suffix, value *out) {
    static const struct {
        const char *name;
        copi_node proto;
    } known[] = {
        {"relu", {.op = COPI_OP_RELU}},
        {"relu6", {.op = COPI_OP_RELU6}},
        {"softmax", {.op = COPI_OP_SOFTMAX}},
        {"leaky_relu", {.op = COPI_OP_LEAKY_RELU, .u.leaky = {.slope = 0.2}}},
    };
    if (strcmp(name, "linear") == 0) return COP_OK;
    for (size_t i = 0; i < COPI_COUNT(known); i++) {
        if (strcmp(known[i].name, name) == 0) return then(b, suffix, &known[i].proto, out);
    }
    return fail(b, COP_E_UNSUPPORTED, "activation '%.80s'; supported: linear, relu, relu6, leaky_relu, softmax",
                name);
}

static cop_status activate(builder *b, const char *suffix, value *out) {
    const json_t *v = json_object_get(b->config, "activation");
    if (!v || json_is_null(v)) return COP_OK;
    if (json_is_object(v)) { /* {"class_name": "function", "config": "relu"} */
        const json_t *inner = json_object_get(v, "config");
        v = json_is_string(inner) ? inner : json_object_get(v, "registered_name");
    }
    if (!json_is_string(v))
        return fail(b, COP_E_UNSUPPORTED, "its activation is neither a name nor a known function");
    return activate_by_name(b, json_string_value(v), suffix, out);
}

/* -- layers: each reads the configuration and adds nodes; out starts as the first input -- */

/* kernel, strides, dilation and padding of a layer with a window; what the input is padded with comes on top. */
static cop_status read_window(const builder *b, const char *kernel_key, int64_t kernel[2], int64_t stride[2],
                              int64_t dilation[2], int64_t pad[4]) {
    const char *padding = get_text(b->config, "padding");
    bool strides = json_is_null(json_object_get(b->config, "strides")) || !json_object_get(b->config, "strides");
    dilation[0] = dilation[1] = 1;
    if (!get_pair(b->config, kernel_key, kernel)) return fail(b, COP_E_FORMAT, "%s is not two sizes", kernel_key);
    if (strides) {
        bool pool = strcmp(kernel_key, "pool_size") == 0;
        for (int d = 0; d < 2; d++) stride[d] = pool ? kernel[d] : 1;
    } else if (!get_pair(b->config, "strides", stride)) {
        return fail(b, COP_E_FORMAT, "strides are not two sizes");
    }
    if (json_object_get(b->config, "dilation_rate") && !get_pair(b->config, "dilation_rate", dilation)) {
        return fail(b, COP_E_FORMAT, "dilation_rate is not two sizes");
    }
    bool same = padding && strcmp(padding, "same") == 0;
    if (!same && padding && strcmp(padding, "valid") != 0) {
        return fail(b, COP_E_UNSUPPORTED, "padding '%.40s'; supported: valid and same", padding);
    }
    memcpy(pad, b->in[0].pad, 4 * sizeof *pad);
    for (int d = 0; same && d < 2; d++) {
        int64_t before, after, extent = b->in[0].shape[d + 1] + pad[d] + pad[d + 2];
        copi_window_same((kernel[d] - 1) * dilation[d] + 1, stride[d], extent, true, &before, &after);
        pad[d] += before;
        pad[d + 2] += after;
    }
    return COP_OK;
}

static cop_status add_bias(builder *b, int node) {
    want_weight(b, &(copi_keras_weight){.node = node, .slot = COPI_BIAS, .kind = COPI_KERAS_VECTOR});
    return COP_OK;
}

static cop_status read_conv(builder *b, value *out) {
    copi_node proto = {.op = COPI_OP_CONV};
    cop_conv_params *c = &proto.u.conv;
    cop_status status = want_image(b, true);
    if (!status) status = read_window(b, "kernel_size", c->kernel, c->stride, c->dilation, c->pad);
    if (status) return status;
    if (!get_count(b->config, "filters", &c->filters)) return fail(b, COP_E_FORMAT, "filters is not a count");
    c->groups = 1;
    if (json_object_get(b->config, "groups") && !get_count(b->config, "groups", &c->groups)) {
        return fail(b, COP_E_FORMAT, "groups is not a count");
    }
    c->bias = get_flag(b->config, "use_bias", true);
    status = add_named(b, "", &proto, b->src, 1, out);
    if (status) return status;
    take_shape(b, out);
    want_weight(b, &(copi_keras_weight){.node = out->node, .slot = COPI_WEIGHT, .kind = COPI_KERAS_CONV});
    if (c->bias) status = add_bias(b, out->node);
    return status ? status : activate(b, "/activation", out);
}

/* Each channel by itself, in depth_multiplier ways. */
static cop_status add_depthwise(builder *b, const char *suffix, bool bias, value *out) {
    copi_node proto = {.op = COPI_OP_CONV};
    cop_conv_params *c = &proto.u.conv;
    int64_t multiplier = 1, channels = b->in[0].shape[0];
    cop_status status = want_image(b, true);
    if (!status) status = read_window(b, "kernel_size", c->kernel, c->stride, c->dilation, c->pad);
    if (status) return status;
    if (json_object_get(b->config, "depth_multiplier") && !get_count(b->config, "depth_multiplier", &multiplier)) {
        return fail(b, COP_E_FORMAT, "depth_multiplier is not a count");
    }
    c->filters = channels * multiplier; /* both at most 2^31 */
    c->groups = channels;
    c->bias = bias;
    status = add_named(b, suffix, &proto, b->src, 1, out);
    if (status) return status;
    take_shape(b, out);
    want_weight(b, &(copi_keras_weight){.node = out->node, .slot = COPI_WEIGHT, .kind = COPI_KERAS_DEPTHWISE});
    return COP_OK;
}

static cop_status read_depthwise(builder *b, value *out) {
    bool bias = get_flag(b->config, "use_bias", true);
    cop_status status = add_depthwise(b, "", bias, out);
    if (!status && bias) status = add_bias(b, out->node);
    return status ? status : activate(b, "/activation", out);
}

/* A depthwise convolution, then one of 1x1. */
static cop_status read_separable(builder *b, value *out) {
    cop_conv_params c = cop_conv_params_default(1, 1);
    cop_status status = add_depthwise(b, "/depthwise", false, out);
    if (status) return status;
    if (!get_count(b->config, "filters", &c.filters)) return fail(b, COP_E_FORMAT, "filters is not a count");
    c.bias = get_flag(b->config, "use_bias", true);
    status = then(b, "", &(copi_node){.op = COPI_OP_CONV, .u.conv = c}, out);
    if (status) return status;
    take_shape(b, out);
    want_weight(b, &(copi_keras_weight){.node = out->node, .slot = COPI_WEIGHT, .kind = COPI_KERAS_CONV});
    if (c.bias) status = add_bias(b, out->node);
    return status ? status : activate(b, "/activation", out);
}

/* How a weight sees a vector that was an image. */
static void lay_flat(const value *in, copi_keras_weight *weight) {
    weight->flattened = in->flattened;
    memcpy(weight->image, in->shape, sizeof weight->image);
}

static cop_status read_dense(builder *b, value *out) {
    if (!b->in[0].vector) return fail(b, COP_E_UNSUPPORTED, "its input is an image; put a Flatten before it");
    copi_node proto = {.op = COPI_OP_DENSE};
    if (!get_count(b->config, "units", &proto.u.dense.units)) return fail(b, COP_E_FORMAT, "units is not a count");
    proto.u.dense.bias = get_flag(b->config, "use_bias", true);
    cop_status status = add_named(b, "", &proto, b->src, 1, out);
    if (status) return status;
    take_shape(b, out);
    copi_keras_weight kernel = {.node = out->node, .slot = COPI_WEIGHT, .kind = COPI_KERAS_DENSE};
    lay_flat(&b->in[0], &kernel);
    want_weight(b, &kernel);
    if (proto.u.dense.bias) status = add_bias(b, out->node);
    return status ? status : activate(b, "/activation", out);
}

static cop_status read_batchnorm(builder *b, value *out) {
    const json_t *axis = json_object_get(b->config, "axis");
    if (json_is_array(axis) && json_array_size(axis) == 1) axis = json_array_get(axis, 0);
    json_int_t at = json_is_integer(axis) ? json_integer_value(axis) : -1;
    if (at != -1 && at != (b->in[0].vector ? 1 : 3)) {
        return fail(b, COP_E_UNSUPPORTED, "axis %" JSON_INTEGER_FORMAT "; the last one is read", at);
    }
    if (!b->in[0].vector) {
        cop_status status = want_image(b, false);
        if (status) return status;
    }
    copi_node proto = {.op = COPI_OP_BATCHNORM, .u.batchnorm = {.epsilon = get_real(b->config, "epsilon", 1e-3)}};
    cop_status status = then(b, "", &proto, out);
    for (int s = 0; !status && s < 4; s++) {
        copi_keras_weight weight = {.node = out->node, .slot = s, .kind = COPI_KERAS_VECTOR};
        weight.absent = (s == COPI_SCALE && !get_flag(b->config, "scale", true)) ||
                        (s == COPI_SHIFT && !get_flag(b->config, "center", true));
        lay_flat(&b->in[0], &weight);
        want_weight(b, &weight);
    }
    return status;
}

static cop_status read_activation(builder *b, value *out) {
    cop_status status = b->in[0].vector ? COP_OK : want_image(b, false);
    return status ? status : activate(b, "", out);
}

static cop_status read_relu(builder *b, value *out) {
    const json_t *most = json_object_get(b->config, "max_value");
    double slope = get_real(b->config, "negative_slope", 0),
           limit = json_is_number(most) ? json_number_value(most) : INFINITY;
    if (get_real(b->config, "threshold", 0) != 0 || (isfinite(limit) && (limit != 6 || slope != 0))) {
        return fail(b, COP_E_UNSUPPORTED,
                    "max_value %g, negative_slope %g, or a threshold; supported: ReLU, ReLU of 6, leaky ReLU", limit,
                    slope);
    }
    cop_status status = b->in[0].vector ? COP_OK : want_image(b, false);
    if (status) return status;
    copi_node proto = {.op = isfinite(limit) ? COPI_OP_RELU6 : slope != 0 ? COPI_OP_LEAKY_RELU : COPI_OP_RELU};
    if (proto.op == COPI_OP_LEAKY_RELU) proto.u.leaky.slope = slope;
    return then(b, "", &proto, out);
}

static cop_status read_leaky(builder *b, value *out) {
    cop_status status = b->in[0].vector ? COP_OK : want_image(b, false);
    if (status) return status;
    double slope = get_real(b->config, "negative_slope", get_real(b->config, "alpha", 0.3));
    return then(b, "", &(copi_node){.op = COPI_OP_LEAKY_RELU, .u.leaky = {.slope = slope}}, out);
}

static cop_status read_softmax(builder *b, value *out) {
    const json_t *axis = json_object_get(b->config, "axis");
    if (json_is_array(axis) && json_array_size(axis) == 1) axis = json_array_get(axis, 0);
    if (!b->in[0].vector ||
        (json_is_integer(axis) && json_integer_value(axis) != -1 && json_integer_value(axis) != 1)) {
        return fail(b, COP_E_UNSUPPORTED, "only of vectors, over their numbers");
    }
    return then(b, "", &(copi_node){.op = COPI_OP_SOFTMAX}, out);
}

static cop_status read_dropout(builder *b, value *out) {
    cop_status status = b->in[0].vector ? COP_OK : want_image(b, false);
    if (status) return status;
    return then(b, "", &(copi_node){.op = COPI_OP_DROPOUT, .u.dropout = {.share = get_real(b->config, "rate", 0.5)}},
                out);
}

static cop_status read_pool(builder *b, copi_op op, value *out) {
    copi_node proto = {.op = op};
    cop_pool_params *p = &proto.u.pool;
    const value *in = &b->in[0];
    int64_t dilation[2];
    cop_status status = want_image(b, true);
    if (!status) status = read_window(b, "pool_size", p->kernel, p->stride, dilation, p->pad);
    if (status) return status;
    bool padded = in->pad[0] || in->pad[1] || in->pad[2] || in->pad[3],
         own = memcmp(p->pad, in->pad, sizeof in->pad) != 0;
    copi_op before = b->model->graph->net->node[in->node].op;
    if (padded && op == COPI_OP_MAX_POOL && before != COPI_OP_RELU && before != COPI_OP_RELU6) {
        return fail(b, COP_E_UNSUPPORTED,
                    "zeros of a ZeroPadding2D may be its largest; only after ReLU can they be left out");
    }
    if (padded && own && op == COPI_OP_AVG_POOL) {
        return fail(b, COP_E_UNSUPPORTED, "padding that counts in its means and padding that does not, together");
    }
    p->count_pad = padded && op == COPI_OP_AVG_POOL;
    status = add_named(b, "", &proto, b->src, 1, out);
    if (!status) take_shape(b, out);
    return status;
}

static cop_status read_max_pool(builder *b, value *out) {
    return read_pool(b, COPI_OP_MAX_POOL, out);
}

static cop_status read_average_pool(builder *b, value *out) {
    return read_pool(b, COPI_OP_AVG_POOL, out);
}

static cop_status add_flatten(builder *b, const char *suffix, value *out) {
    int64_t shape[3];
    memcpy(shape, out->shape, sizeof shape);
    cop_status status = then(b, suffix, &(copi_node){.op = COPI_OP_FLATTEN}, out);
    if (status) return status;
    out->vector = true;
    out->flattened = shape[0] > 1 && shape[1] * shape[2] > 1;
    memcpy(out->shape, shape, sizeof shape);
    return COP_OK;
}

static cop_status read_global(builder *b, copi_op op, value *out) {
    copi_node proto = {.op = op};
    cop_status status = want_image(b, false);
    if (status) return status;
    if (op == COPI_OP_MAX_POOL) {
        proto.u.pool = cop_pool_params_default(1);
        memcpy(proto.u.pool.kernel, &out->shape[1], sizeof proto.u.pool.kernel);
    }
    status = then(b, "", &proto, out);
    if (status) return status;
    take_shape(b, out);
    return get_flag(b->config, "keepdims", false) ? COP_OK : add_flatten(b, "/flatten", out);
}

static cop_status read_global_average(builder *b, value *out) {
    return read_global(b, COPI_OP_GLOBAL_POOL, out);
}

static cop_status read_global_max(builder *b, value *out) {
    return read_global(b, COPI_OP_MAX_POOL, out);
}

static cop_status read_flatten(builder *b, value *out) {
    if (out->vector) return COP_OK;
    cop_status status = want_image(b, false);
    return status ? status : add_flatten(b, "", out);
}

/* Only what changes nothing: a missing channel dimension added to an image of one. */
static cop_status read_reshape(builder *b, value *out) {
    const json_t *target = json_object_get(b->config, "target_shape");
    static const int order[3] = {1, 2, 0};
    bool same = !out->vector && json_array_size(target) == 3;
    for (size_t d = 0; same && d < 3; d++) {
        json_int_t extent = json_integer_value(json_array_get(target, d));
        same = extent == out->shape[order[d]] || extent == -1;
    }
    return same ? COP_OK : fail(b, COP_E_UNSUPPORTED, "only to the image that it is");
}

static cop_status read_padding(builder *b, value *out) {
    const json_t *padding = json_object_get(b->config, "padding");
    cop_status status = want_image(b, true);
    if (status) return status;
    for (size_t d = 0; d < 2; d++) {
        const json_t *one = json_is_array(padding) ? json_array_get(padding, d) : padding;
        for (size_t side = 0; side < 2; side++) {
            const json_t *n = json_is_array(one) ? json_array_get(one, side) : one;
            json_int_t zeros = json_integer_value(n);
            if (!json_is_integer(n) || zeros < 0 || zeros > 65536)
                return fail(b, COP_E_FORMAT, "padding is not four sizes");
            out->pad[d + 2 * side] += zeros;
            if (out->pad[d + 2 * side] > 65536) return fail(b, COP_E_UNSUPPORTED, "too much padding");
        }
    }
    return COP_OK;
}

static cop_status read_add(builder *b, value *out) {
    cop_status status = COP_OK;
    for (int i = 1; !status && i < b->inputs; i++) {
        const value *other = &b->out[b->from[i]];
        if (other->flattened != b->in[0].flattened || memcmp(other->pad, b->in[0].pad, sizeof other->pad) != 0) {
            return fail(b, COP_E_UNSUPPORTED, "its inputs are not laid out alike");
        }
        const int64_t *x = b->in[0].shape, *y = other->shape; /* C, H, W */
        if (other->flattened && memcmp(x, y, sizeof other->shape) != 0) {
            return fail(b, COP_E_UNSUPPORTED,
                        "of images [%" PRId64 ",%" PRId64 ",%" PRId64 "] and [%" PRId64 ",%" PRId64 ",%" PRId64
                        "]; flattened images must have one shape",
                        x[1], x[2], x[0], y[1], y[2], y[0]);
        }
        int src[2] = {out->node, b->src[i]};
        char suffix[32] = "";
        if (i < b->inputs - 1) snprintf(suffix, sizeof suffix, "/%d", i);
        status = add_named(b, suffix, &(copi_node){.op = COPI_OP_ADD}, src, 2, out);
    }
    return status;
}

static cop_status read_concat(builder *b, value *out) {
    const json_t *axis = json_object_get(b->config, "axis");
    json_int_t at = json_is_integer(axis) ? json_integer_value(axis) : -1;
    if (at != -1 && at != (out->vector ? 1 : 3))
        return fail(b, COP_E_UNSUPPORTED, "only along channels, the last axis");
    for (int i = 0; i < b->inputs; i++) {
        const value *other = &b->out[b->from[i]];
        const int64_t *p = other->pad;
        if (other->flattened || other->vector != out->vector || p[0] || p[1] || p[2] || p[3]) {
            return fail(b, COP_E_UNSUPPORTED, "its inputs are not laid out alike");
        }
    }
    cop_status status = add_named(b, "", &(copi_node){.op = COPI_OP_CONCAT}, b->src, b->inputs, out);
    if (!status) take_shape(b, out);
    return status;
}

/* y = scale x + offset on the images becomes the net's normalization. */
static cop_status read_rescaling(builder *b, value *out) {
    (void)out;
    const json_t *scale = json_object_get(b->config, "scale"), *offset = json_object_get(b->config, "offset");
    bool numbers = json_is_number(scale) && (!offset || json_is_number(offset));
    if (!numbers || b->in[0].node != 0 || b->model->rescaled || !(json_number_value(scale) > 0)) {
        return fail(b, COP_E_UNSUPPORTED, "only of the images themselves, once, by one number above 0");
    }
    b->model->rescaled = true;
    b->model->scale = json_number_value(scale);
    b->model->shift = json_number_value(offset);
    return COP_OK;
}

static cop_status read_identity(builder *b, value *out) {
    (void)b;
    (void)out;
    return COP_OK;
}

static const struct {
    const char *class_name;
    int inputs; /* -1: two or more */
    cop_status (*read)(builder *b, value *out);
} classes[] = {
    {"Activation", 1, read_activation},
    {"Add", -1, read_add},
    {"AveragePooling2D", 1, read_average_pool},
    {"BatchNormalization", 1, read_batchnorm},
    {"Concatenate", -1, read_concat},
    {"Conv2D", 1, read_conv},
    {"Dense", 1, read_dense},
    {"DepthwiseConv2D", 1, read_depthwise},
    {"Dropout", 1, read_dropout},
    {"Flatten", 1, read_flatten},
    {"GlobalAveragePooling2D", 1, read_global_average},
    {"GlobalMaxPooling2D", 1, read_global_max},
    {"Identity", 1, read_identity},
    {"LeakyReLU", 1, read_leaky},
    {"MaxPooling2D", 1, read_max_pool},
    {"ReLU", 1, read_relu},
    {"Rescaling", 1, read_rescaling},
    {"Reshape", 1, read_reshape},
    {"SeparableConv2D", 1, read_separable},
    {"Softmax", 1, read_softmax},
    {"SpatialDropout2D", 1, read_dropout},
    {"ZeroPadding2D", 1, read_padding},
};

/* -- the model -- */

static cop_status refuse_class(const builder *b) {
    char list[512];
    size_t at = 0;
    for (size_t i = 0; i < COPI_COUNT(classes) && at < sizeof list; i++) {
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", classes[i].class_name);
    }
    return fail(b, COP_E_UNSUPPORTED, "this class is not supported; supported: InputLayer, %s", list);
}

/* [null,H,W,C], [null,H,W] or [null,F]. */
static cop_status add_input(builder *b, const json_t *shape, value *out) {
    int64_t dims[3] = {0};
    size_t rank = json_array_size(shape);
    bool good = rank >= 2 && rank <= 4;
    for (size_t i = 1; good && i < rank; i++) {
        const json_t *d = json_array_get(shape, i);
        dims[i - 1] = json_integer_value(d);
        good = json_is_integer(d) && dims[i - 1] >= 1;
    }
    if (!good) {
        return fail(b, COP_E_UNSUPPORTED,
                    "its shape is not [N,rows,columns,channels], [N,rows,columns] or [N,numbers], all "
                    "but N fixed");
    }
    int64_t c = rank == 4 ? dims[2] : 1, h = rank == 2 ? 1 : dims[0], w = rank == 2 ? dims[0] : dims[1];
    int node = cop_graph_input(b->model->graph, b->layer->name, c, h, w);
    if (node < 0) {
        if (b->model->graph->status == COP_E_NOMEM) return COP_E_NOMEM;
        return fail(b, COP_E_UNSUPPORTED, "%s", cop_error(b->ctx));
    }
    *out = (value){.node = node, .shape = {c, h, w}, .raw = true};
    return rank == 2 ? add_flatten(b, "/flatten", out) : COP_OK;
}

static const json_t *input_shape(const json_t *config) {
    const json_t *shape = json_object_get(config, "batch_shape");
    return shape ? shape : json_object_get(config, "batch_input_shape");
}

/* The current layer; its inputs are in b->from. */
static cop_status read_layer(builder *b) {
    size_t i = 0;
    while (i < COPI_COUNT(classes) && strcmp(classes[i].class_name, b->layer->class_name) != 0) i++;
    if (i == COPI_COUNT(classes)) return refuse_class(b);
    if (classes[i].inputs < 0 ? b->inputs < 2 : b->inputs != classes[i].inputs) {
        return fail(b, COP_E_FORMAT, "%d inputs", b->inputs);
    }
    for (int k = 0; k < b->inputs; k++) b->src[k] = b->out[b->from[k]].node;
    for (int k = 0; k < 2 && k < b->inputs; k++) b->in[k] = b->out[b->from[k]];
    value out = b->in[0];
    out.raw = false;
    for (int k = 0; k < b->inputs; k++) b->raw_read |= b->out[b->from[k]].raw && classes[i].read != read_rescaling;
    cop_status status = classes[i].read(b, &out);
    if (!status && b->model->rescaled && b->raw_read) {
        status = fail(b, COP_E_UNSUPPORTED, "the images are read both rescaled and as they are");
    }
    b->out[b->layer - b->model->layer] = out;
    return status;
}

static void set_layer(builder *b, int number) {
    b->layer = &b->model->layer[number];
    b->config = json_object_get(json_array_get(b->layers, (size_t)number), "config");
}

static cop_status list_layers(builder *b) {
    copi_keras_model *m = b->model;
    size_t count = json_array_size(b->layers);
    if (!count || count > COPI_KERAS_LAYERS_MAX) {
        return copi_fail(b->ctx, COP_E_FORMAT, "the model has %zu layers; 1 to %d are supported", count,
                         COPI_KERAS_LAYERS_MAX);
    }
    m->layers = (int)count;
    m->layer = copi_alloc(b->ctx, count, sizeof *m->layer);
    b->out = copi_alloc(b->ctx, count, sizeof *b->out);
    b->src = copi_alloc(b->ctx, count + 1, sizeof *b->src);
    if (!m->layer || !b->out || !b->src) return COP_E_NOMEM;
    cop_status status = COP_OK;
    for (int i = 0; !status && i < m->layers; i++) {
        const json_t *object = json_array_get(b->layers, (size_t)i), *config = json_object_get(object, "config");
        copi_keras_layer *layer = &m->layer[i];
        layer->class_name = get_text(object, "class_name");
        layer->name = get_text(config, "name");
        if (!layer->name) layer->name = get_text(object, "name");
        b->out[i].node = -1;
        if (!layer->class_name || !layer->name || !*layer->name) {
            return copi_fail(b->ctx, COP_E_FORMAT, "layer %d has no class_name or no name", i);
        }
        if (copi_name_map_get(&b->names, layer->name) >= 0) {
            return copi_fail(b->ctx, COP_E_FORMAT, "two layers are named '%s'", layer->name);
        }
        status = copi_name_map_set(&b->names, layer->name, i);
    }
    return status;
}

static cop_status read_sequential(builder *b, const json_t *config) {
    cop_status status = COP_OK;
    int first = 0, from;
    set_layer(b, 0);
    if (strcmp(b->layer->class_name, "InputLayer") == 0) {
        status = add_input(b, input_shape(b->config), &b->out[0]);
        first = 1;
    } else { /* older files leave it out: the first layer says, or the build configuration */
        const json_t *shape = input_shape(b->config);
        if (!shape) shape = json_object_get(config, "build_input_shape");
        copi_keras_layer input = {.class_name = "InputLayer", .name = "input"};
        copi_keras_layer *real = b->layer;
        b->layer = &input;
        status = add_input(b, shape, &b->out[0]);
        b->layer = real;
    }
    for (int i = first; !status && i < b->model->layers; i++) {
        set_layer(b, i);
        from = i > 0 ? i - 1 : 0;
        b->from = &from;
        b->inputs = 1;
        status = read_layer(b);
    }
    return status;
}

/* Names of layers in inbound_nodes, wherever they are: Keras 2 writes ["name",0,0,{}], Keras 3 "keras_history":
 * [...]. */
static cop_status find_inputs(builder *b, const json_t *node, int *from, int *count, int depth) {
    if (depth > 16) return fail(b, COP_E_FORMAT, "its inbound_nodes nest too deep");
    const json_t *history = json_object_get(node, "keras_history");
    if (history) node = history;
    const char *name = json_string_value(json_array_get(node, 0));
    if (json_is_array(node) && name && json_is_integer(json_array_get(node, 1))) {
        int number = copi_name_map_get(&b->names, name);
        if (number < 0) return fail(b, COP_E_FORMAT, "it reads '%.100s', which is no layer", name);
        if (json_integer_value(json_array_get(node, 1)) || json_integer_value(json_array_get(node, 2))) {
            return fail(b, COP_E_UNSUPPORTED, "it reads a layer that is used more than once, '%.100s'", name);
        }
        if (*count >= b->model->layers) return fail(b, COP_E_FORMAT, "it has too many inputs");
        from[(*count)++] = number;
        return COP_OK;
    }
    cop_status status = COP_OK;
    for (size_t i = 0; !status && i < json_array_size(node); i++) {
        status = find_inputs(b, json_array_get(node, i), from, count, depth + 1);
    }
    if (json_is_object(node)) {
        json_t *item;
        const char *key;
        json_object_foreach((json_t *)(uintptr_t)node, key, item) {
            if (!status && strcmp(key, "kwargs") != 0) status = find_inputs(b, item, from, count, depth + 1);
        }
    }
    return status;
}

/* A layer of a Functional model, if its inputs are there; *done tells. */
static cop_status try_layer(builder *b, int number, int *from, bool *done) {
    set_layer(b, number);
    const json_t *inbound = json_object_get(json_array_get(b->layers, (size_t)number), "inbound_nodes");
    int count = 0;
    *done = false;
    if (strcmp(b->layer->class_name, "InputLayer") == 0) {
        *done = true;
        if (b->model->graph->net->nodes) return fail(b, COP_E_UNSUPPORTED, "a second input; nets have one");
        return add_input(b, input_shape(b->config), &b->out[number]);
    }
    if (json_array_size(inbound) != 1) {
        return fail(b, COP_E_UNSUPPORTED, "it is used %zu times; supported: once", json_array_size(inbound));
    }
    cop_status status = find_inputs(b, json_array_get(inbound, 0), from, &count, 0);
    for (int i = 0; !status && i < count; i++) {
        if (b->out[from[i]].node < 0) return COP_OK;
    }
    if (status) return status;
    *done = true;
    b->from = from;
    b->inputs = count;
    return read_layer(b);
}

/* Layers mostly stand in order; rounds over those that are left find any other. */
static cop_status read_functional(builder *b) {
    int left = b->model->layers, *from = copi_alloc(b->ctx, (size_t)left + 1, sizeof *from);
    cop_status status = from ? COP_OK : COP_E_NOMEM;
    bool moved = true;
    for (int round = 0; !status && left && moved && round < 64; round++) {
        moved = false;
        for (int i = 0; !status && i < b->model->layers; i++) {
            bool done = false;
            if (b->out[i].node >= 0) continue;
            status = try_layer(b, i, from, &done);
            moved |= done;
            left -= done;
        }
    }
    if (!status && left)
        status = copi_fail(b->ctx, COP_E_FORMAT,
                           "%d layers depend on each other in a circle, or stand far from their order", left);
    copi_free(b->ctx, from);
    return status;
}

/* The one layer that output_layers names; it gives the last node. */
static cop_status find_output(builder *b, const json_t *config, int *number) {
    const json_t *outputs = json_object_get(config, "output_layers");
    if (json_array_size(outputs) == 1) outputs = json_array_get(outputs, 0);
    const char *name = json_string_value(json_array_get(outputs, 0));
    *number = name ? copi_name_map_get(&b->names, name) : -1;
    if (*number >= 0 && b->out[*number].node == b->model->graph->net->nodes - 1) return COP_OK;
    return copi_fail(b->ctx, COP_E_UNSUPPORTED, "output_layers: nets have one output, which is the last layer");
}

static cop_status check_result(builder *b, int number) {
    const value *last = &b->out[number];
    set_layer(b, number);
    const int64_t *p = last->pad;
    if (!last->flattened && !p[0] && !p[1] && !p[2] && !p[3]) return COP_OK;
    return fail(b, COP_E_UNSUPPORTED, "the model gives a flattened image, or a padded one");
}

static cop_status read_model(builder *b) {
    const json_t *json = b->model->json, *config = json_object_get(json, "config");
    const char *class_name = get_text(json, "class_name");
    bool sequential = class_name && strcmp(class_name, "Sequential") == 0;
    b->model->functional = class_name && (strcmp(class_name, "Functional") == 0 || strcmp(class_name, "Model") == 0);
    if (!sequential && !b->model->functional) {
        return copi_fail(b->ctx, COP_E_UNSUPPORTED,
                         "a Keras model of class '%.80s'; supported: Sequential and Functional",
                         class_name ? class_name : "");
    }
    b->layers =
        json_is_array(config) ? config : json_object_get(config, "layers"); /* Keras 2.0's Sequential is a list */
    cop_status status = list_layers(b);
    if (status) return status;
    status = sequential ? read_sequential(b, config) : read_functional(b);
    int output = b->model->layers - 1;
    if (!status && !sequential) status = find_output(b, config, &output);
    return status ? status : check_result(b, output);
}

cop_status copi_keras_model_read(cop_ctx *ctx, json_t *json, copi_keras_model *model) {
    *model = (copi_keras_model){.ctx = ctx, .json = json};
    builder b = {.ctx = ctx, .model = model};
    copi_name_map_init(&b.names, ctx);
    cop_status status = cop_graph_create(ctx, &model->graph);
    if (!status) status = read_model(&b);
    copi_name_map_clear(&b.names);
    copi_free(ctx, b.out);
    copi_free(ctx, b.src);
    if (status) copi_keras_model_clear(model);
    return status;
}

void copi_keras_model_clear(copi_keras_model *model) {
    cop_graph_destroy(model->graph);
    copi_free(model->ctx, model->layer);
    json_decref(model->json);
    *model = (copi_keras_model){.ctx = model->ctx};
}
