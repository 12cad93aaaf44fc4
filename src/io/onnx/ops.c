/* Ops that compute: convolution, pooling, normalization, dense layers, activations, sums. */
#include "io/onnx/ops.h"

#include "io/window.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const copi_onnx_op ops[] = {
#define X(name, function, attributes, help) {#name, attributes, copi_onnx_##function, help},
#include "io/onnx/ops.def"
#undef X
};

const copi_onnx_op *copi_onnx_op_find(const char *name) {
    for (size_t i = 0; i < COPI_COUNT(ops); i++) {
        if (strcmp(ops[i].name, name) == 0) return &ops[i];
    }
    return NULL;
}

void copi_onnx_op_list(char *text, size_t size) {
    size_t at = 0;
    for (size_t i = 0; i < COPI_COUNT(ops) && at < size; i++) {
        at += (size_t)snprintf(text + at, size - at, "%s%s", i ? ", " : "", ops[i].name);
    }
}

COPI_LIST(onnx_op, ops)

/* -- windows: what Conv and the pools share -- */

typedef struct window {
    int64_t kernel[2], stride[2], dilation[2], pad[4]; /* pad: top, left, bottom, right */
    bool hangs;                                        /* pad has rows or columns that only rounding up wants */
} window;

/* How far the last window hangs over, so that rounding up has a window there: what rows must be added at the end. */
static int64_t overhang(const window *w, int d, int64_t extent) {
    int64_t span = (w->kernel[d] - 1) * w->dilation[d] + 1, room = extent + w->pad[d] + w->pad[d + 2] - span;
    if (room < 0 || room % w->stride[d] == 0) return 0;
    int64_t more = w->stride[d] - room % w->stride[d];
    /* a window that would begin beyond the image and its leading padding is left out */
    return room + more >= extent + w->pad[d] ? 0 : more;
}

static void same_padding(window *w, int d, int64_t extent, bool upper) {
    int64_t span = (w->kernel[d] - 1) * w->dilation[d] + 1;
    copi_window_same(span, w->stride[d], extent, upper, &w->pad[d], &w->pad[d + 2]);
}

static cop_status check_window(const copi_onnx_node *n, const window *w) {
    for (int i = 0; i < 4; i++) {
        int64_t kernel = w->kernel[i & 1], stride = w->stride[i & 1], dilation = w->dilation[i & 1];
        if (kernel < 1 || stride < 1 || dilation < 1 || kernel > COPI_MAX_EXTENT || stride > COPI_MAX_EXTENT ||
            dilation > COPI_MAX_EXTENT || w->pad[i] < 0 || w->pad[i] > COPI_MAX_EXTENT) {
            return copi_onnx_fail(n, COP_E_UNSUPPORTED,
                                  "kernel %" PRId64 ", stride %" PRId64 ", dilation %" PRId64 ", padding %" PRId64
                                  " make no window",
                                  kernel, stride, dilation, w->pad[i]);
        }
    }
    return COP_OK;
}

/* Everything but the kernel, which is w's already. */
static cop_status read_window(const copi_onnx_node *n, const copi_onnx_value *x, window *w) {
    w->hangs = false;
    cop_status status = copi_onnx_ints(n, "strides", 2, w->stride, 1);
    if (!status) status = copi_onnx_ints(n, "dilations", 2, w->dilation, 1);
    if (!status) status = copi_onnx_ints(n, "pads", 4, w->pad, 0);
    if (!status) status = check_window(n, w);
    if (status) return status;
    bool upper = copi_onnx_text_is(n, "auto_pad", "SAME_UPPER", false);
    if (upper || copi_onnx_text_is(n, "auto_pad", "SAME_LOWER", false)) {
        same_padding(w, 0, copi_onnx_extent(x, 2), upper);
        same_padding(w, 1, copi_onnx_extent(x, 3), upper);
    } else if (copi_onnx_text_is(n, "auto_pad", "VALID", false)) {
        memset(w->pad, 0, sizeof w->pad);
    } else if (!copi_onnx_text_is(n, "auto_pad", "NOTSET", true)) {
        return copi_onnx_fail(n, COP_E_UNSUPPORTED, "its auto_pad is none of NOTSET, VALID, SAME_UPPER, SAME_LOWER");
    }
    if (copi_onnx_int(n, "ceil_mode", 0)) {
        int64_t rows = overhang(w, 0, copi_onnx_extent(x, 2)), columns = overhang(w, 1, copi_onnx_extent(x, 3));
        w->pad[2] += rows;
        w->pad[3] += columns;
        w->hangs = rows || columns;
    }
    return COP_OK;
}

/* Rows and columns of what a window gives; false: it does not fit. */
static bool window_extents(const window *w, const copi_onnx_value *x, int64_t shape[3]) {
    for (int d = 0; d < 2; d++) {
        int64_t span = (w->kernel[d] - 1) * w->dilation[d] + 1,
                room = copi_onnx_extent(x, d + 2) + w->pad[d] + w->pad[d + 2];
        if (span > room) return false;
        shape[d + 1] = (room - span) / w->stride[d] + 1;
    }
    return true;
}

/* An image with all it needs around it, as a net's node gives it. */
static cop_status give_image(const copi_onnx_node *n, int node) {
    const copi_node *made = &n->r->graph->net->node[node];
    copi_onnx_value out = {.kind = COPI_ONNX_IMAGE, .node = node, .axis = {0, 1, 2}};
    memcpy(out.shape, made->shape, sizeof out.shape);
    return copi_onnx_give(n, &out);
}

/* -- convolution -- */

/* The input that holds a bias, as one number per channel of output; *bias is NULL where there is none. */
static cop_status find_bias(const copi_onnx_node *n, int input, const copi_onnx_value *output, double scale,
                            float **bias) {
    copi_onnx_tensor given, spread;
    bool fits;
    *bias = NULL;
    if (input < 0 || !copi_onnx_input(n, input)) return COP_OK;
    cop_status status = copi_onnx_constant(n, input, &given);
    if (!status) status = copi_onnx_per_channel(n->r, output, &given, &spread, &fits);
    if (status) return status;
    if (!fits) return copi_onnx_fail(n, COP_E_UNSUPPORTED, "its bias is not one number per channel");
    *bias = (float *)(uintptr_t)spread.floats; /* the arena's */
    for (int64_t c = 0; c < spread.count; c++) (*bias)[c] = (float)((double)(*bias)[c] * scale);
    return COP_OK;
}

cop_status copi_onnx_conv(copi_onnx_node *n) {
    copi_onnx_value *x;
    copi_onnx_tensor w;
    window win;
    cop_status status = copi_onnx_image(n, 0, &x);
    if (!status) status = copi_onnx_weights(n, 1, &w);
    if (status) return status;
    if (!w.real || w.rank != 4)
        return copi_onnx_fail(n, COP_E_UNSUPPORTED, "weights of %d dimensions; it must have 4", w.rank);
    memcpy(win.kernel, w.dims + 2, sizeof win.kernel);
    int64_t said[2];
    status = copi_onnx_ints(n, "kernel_shape", 2, said, 0);
    if (!status) status = read_window(n, x, &win);
    if (status) return status;
    if (copi_onnx_attribute(n, "kernel_shape") && memcmp(said, win.kernel, sizeof said) != 0) {
        return copi_onnx_fail(n, COP_E_FORMAT, "kernel_shape is not its weights' %" PRId64 "x%" PRId64, w.dims[2],
                              w.dims[3]);
    }
    copi_node proto = {.op = COPI_OP_CONV};
    cop_conv_params *c = &proto.u.conv;
    *c = cop_conv_params_default(w.dims[0], 1);
    c->groups = copi_onnx_int(n, "group", 1);
    c->bias = 0;
    memcpy(c->kernel, win.kernel, sizeof c->kernel);
    memcpy(c->stride, win.stride, sizeof c->stride);
    memcpy(c->dilation, win.dilation, sizeof c->dilation);
    for (int i = 0; i < 4; i++) c->pad[i] = win.pad[i] + x->pad[i];
    if (x->edge) return copi_onnx_fail(n, COP_E_UNSUPPORTED, "a Pad that repeats the edge; supported: zeros");
    if (c->groups < 1 || x->shape[0] % c->groups || x->shape[0] / c->groups != w.dims[1]) {
        return copi_onnx_fail(n, COP_E_FORMAT,
                              "weights for %" PRId64 " channels in %" PRId64 " groups, an input of %" PRId64,
                              w.dims[1], c->groups, x->shape[0]);
    }
    copi_onnx_pending layer = {.weight = copi_onnx_input(n, 1)->name,
                               .proto = proto,
                               .src = x->node,
                               .channels = w.dims[0],
                               .kernel = {.slot = COPI_WEIGHT, .tensor = w, .scale = 1}};
    copi_onnx_value out = {.kind = COPI_ONNX_IMAGE, .axis = {0, 1, 2}, .shape = {w.dims[0]}};
    if (!window_extents(&win, x, out.shape))
        return copi_onnx_fail(n, COP_E_UNSUPPORTED, "its window does not fit the image");
    /* a bias in ONNX has one dimension, which is the channels here */
    const copi_onnx_value vector = {.kind = COPI_ONNX_VECTOR, .axis = {0, 1, 2}, .shape = {w.dims[0], 1, 1}};
    status = find_bias(n, 2, &vector, 1, &layer.shift);
    return status ? status : copi_onnx_wait(n, &out, &layer);
}

/* -- pools -- */

static bool never_negative(const copi_onnx_node *n, const copi_onnx_value *x) {
    copi_op op = n->r->graph->net->node[x->node].op;
    return op == COPI_OP_RELU || op == COPI_OP_RELU6;
}

static cop_status pool(copi_onnx_node *n, copi_op op) {
    copi_onnx_value *x;
    window w;
    cop_status status = copi_onnx_image(n, 0, &x);
    if (!status) status = copi_onnx_ints(n, "kernel_shape", 2, w.kernel, 0);
    if (!status) status = read_window(n, x, &w);
    if (status) return status;
    if (w.dilation[0] != 1 || w.dilation[1] != 1) return copi_onnx_fail(n, COP_E_UNSUPPORTED, "it is dilated");
    copi_node proto = {.op = op};
    cop_pool_params *p = &proto.u.pool;
    bool padded = x->pad[0] || x->pad[1] || x->pad[2] || x->pad[3],
         own = w.pad[0] || w.pad[1] || w.pad[2] || w.pad[3];
    p->count_pad = copi_onnx_int(n, "count_include_pad", 0) != 0;
    if (op == COPI_OP_AVG_POOL && own && ((padded && !p->count_pad) || (w.hangs && p->count_pad))) {
        return copi_onnx_fail(n, COP_E_UNSUPPORTED,
                              "padding that counts in its means and padding that does not, together");
    }
    if (op == COPI_OP_AVG_POOL && x->edge) return copi_onnx_fail(n, COP_E_UNSUPPORTED, "a Pad that repeats the edge");
    if (op == COPI_OP_AVG_POOL && padded) p->count_pad = 1; /* the zeros of a Pad are numbers like any */
    /* an edge repeated is no larger than the edge itself, which every window over it sees too */
    if (op == COPI_OP_MAX_POOL && padded && !x->edge && !never_negative(n, x)) {
        return copi_onnx_fail(n, COP_E_UNSUPPORTED,
                              "zeros of a Pad may be its largest; only after Relu can they be left out");
    }
    memcpy(p->kernel, w.kernel, sizeof p->kernel);
    memcpy(p->stride, w.stride, sizeof p->stride);
    for (int i = 0; i < 4; i++) p->pad[i] = w.pad[i] + x->pad[i];
    int node;
    status = copi_onnx_add(n, NULL, &proto, &x->node, 1, &node);
    return status ? status : give_image(n, node);
}

cop_status copi_onnx_max_pool(copi_onnx_node *n) {
    return pool(n, COPI_OP_MAX_POOL);
}

cop_status copi_onnx_average_pool(copi_onnx_node *n) {
    return pool(n, COPI_OP_AVG_POOL);
}

/* Over all rows and columns; x may stand in any order. keep: the two dimensions stay, of extent 1. */
static cop_status global(copi_onnx_node *n, copi_op op, bool keep) {
    copi_onnx_value *x;
    cop_status status = copi_onnx_activation(n, 0, &x);
    if (status) return status;
    if (x->kind != COPI_ONNX_IMAGE)
        return copi_onnx_fail(n, COP_E_UNSUPPORTED, "its input has two dimensions; it must have four");
    copi_node proto = {.op = op};
    if (op == COPI_OP_MAX_POOL) {
        proto.u.pool = cop_pool_params_default(1);
        memcpy(proto.u.pool.kernel, &x->shape[1], sizeof proto.u.pool.kernel);
    }
    copi_onnx_value out = *x;
    out.shape[1] = out.shape[2] = 1;
    if (!keep) out.kind = COPI_ONNX_VECTOR;
    status = copi_onnx_add(n, NULL, &proto, &x->node, 1, &out.node);
    return status ? status : copi_onnx_give(n, &out);
}

cop_status copi_onnx_global_average(copi_onnx_node *n) {
    return global(n, COPI_OP_GLOBAL_POOL, true);
}

cop_status copi_onnx_global_max(copi_onnx_node *n) {
    return global(n, COPI_OP_MAX_POOL, true);
}

static cop_status reduce(copi_onnx_node *n, copi_op op) {
    const copi_onnx_value *x = copi_onnx_input(n, 0);
    const int64_t *axes;
    int64_t count;
    cop_status status = copi_onnx_list(n, "axes", 1, &axes, &count);
    if (status) return status;
    bool spatial = x && x->kind == COPI_ONNX_IMAGE && count == 2;
    int seen = 0;
    for (int i = 0; spatial && i < 2; i++) {
        int at;
        status = copi_onnx_axis(n, axes[i], 4, &at);
        if (status) return status;
        spatial = at > 0 && x->axis[at - 1] != 0;
        if (spatial) seen |= x->axis[at - 1];
    }
    if (!spatial || seen != 3)
        return copi_onnx_fail(n, COP_E_UNSUPPORTED, "only over both rows and columns of an image");
    return global(n, op, copi_onnx_int(n, "keepdims", 1) != 0);
}

cop_status copi_onnx_reduce_mean(copi_onnx_node *n) {
    return reduce(n, COPI_OP_GLOBAL_POOL);
}

cop_status copi_onnx_reduce_max(copi_onnx_node *n) {
    return reduce(n, COPI_OP_MAX_POOL);
}

/* -- dense layers -- */

typedef struct dense {
    copi_onnx_tensor weight;
    bool transposed; /* [in,out] */
    double alpha, beta;
    int bias; /* the input that may hold one; -1: none does */
} dense;

static cop_status read_dense(copi_onnx_node *n, const dense *d) {
    copi_onnx_value *x;
    cop_status status = copi_onnx_activation(n, 0, &x);
    if (status) return status;
    const copi_onnx_tensor *w = &d->weight;
    int64_t units = w->dims[d->transposed], inputs = w->dims[!d->transposed];
    if (x->kind != COPI_ONNX_VECTOR || !w->real || w->rank != 2 ||
        x->shape[0] * x->shape[1] * x->shape[2] != inputs) {
        return copi_onnx_fail(n, COP_E_UNSUPPORTED,
                              "weights of %d dimensions for %" PRId64 " inputs; expected a vector (here of %" PRId64
                              ") times a matrix of floats",
                              w->rank, inputs, x->shape[0] * x->shape[1] * x->shape[2]);
    }
    const copi_onnx_value out = {.kind = COPI_ONNX_VECTOR, .flat = true, .axis = {0, 1, 2}, .shape = {units, 1, 1}};
    copi_onnx_pending layer = {
        .weight = copi_onnx_input(n, 1)->name,
        .proto = {.op = COPI_OP_DENSE, .u.dense = {.units = units}},
        .src = x->node,
        .channels = units,
        .kernel = {.slot = COPI_WEIGHT, .tensor = *w, .scale = d->alpha, .transposed = d->transposed}};
    status = copi_onnx_order(n->r, x, &layer.kernel.order);
    if (!status) status = find_bias(n, d->bias, &out, d->beta, &layer.shift);
    return status ? status : copi_onnx_wait(n, &out, &layer);
}

cop_status copi_onnx_matmul(copi_onnx_node *n) {
    dense d = {.transposed = true, .alpha = 1, .beta = 1, .bias = -1};
    cop_status status = copi_onnx_weights(n, 1, &d.weight);
    return status ? status : read_dense(n, &d);
}

cop_status copi_onnx_gemm(copi_onnx_node *n) {
    dense d = {.transposed = !copi_onnx_int(n, "transB", 0), .bias = 2};
    d.alpha = copi_onnx_real(n, "alpha", 1);
    d.beta = copi_onnx_real(n, "beta", 1);
    if (copi_onnx_int(n, "transA", 0)) return copi_onnx_fail(n, COP_E_UNSUPPORTED, "transA transposes the images");
    cop_status status = copi_onnx_weights(n, 1, &d.weight);
    return status ? status : read_dense(n, &d);
}

/* -- normalization, and arithmetic with constants, which is a batch-norm without statistics -- */

/* scale, shift, mean, var: one number per channel each, in the net's order. */
static cop_status add_batchnorm(copi_onnx_node *n, copi_onnx_value *x, const char *weight, double epsilon,
                                const copi_onnx_tensor tensor[4]) {
    copi_node proto = {.op = COPI_OP_BATCHNORM, .u.batchnorm = {.epsilon = epsilon}};
    copi_onnx_value out = *x;
    cop_status status = copi_onnx_add(n, weight, &proto, &x->node, 1, &out.node);
    for (int s = 0; !status && s < 4; s++) {
        status = copi_onnx_put(n->r, &(copi_onnx_fill){out.node, s, tensor[s], 1, false, NULL});
    }
    return status ? status : copi_onnx_give(n, &out);
}

cop_status copi_onnx_batch_normalization(copi_onnx_node *n) {
    copi_onnx_value *x;
    cop_status status = copi_onnx_activation(n, 0, &x);
    if (status) return status;
    if (!copi_onnx_int(n, "spatial", 1)) return copi_onnx_fail(n, COP_E_UNSUPPORTED, "it is not per channel");
    if (x->kind == COPI_ONNX_IMAGE && x->axis[0] != 0) {
        return copi_onnx_fail(n, COP_E_UNSUPPORTED, "its input's channels do not come first");
    }
    copi_onnx_tensor tensor[4], given;
    int64_t channels = x->kind == COPI_ONNX_IMAGE ? x->shape[0] : x->shape[0] * x->shape[1] * x->shape[2];
    /* as the last dimension of a vector they can be spread like any constant; of an image they are in order
     * already */
    for (int i = 0; i < 4; i++) {
        bool fits = true;
        status = copi_onnx_constant(n, i + 1, &given);
        if (status) return status;
        tensor[i] = given;
        if (x->kind == COPI_ONNX_VECTOR) status = copi_onnx_per_channel(n->r, x, &given, &tensor[i], &fits);
        if (status) return status;
        if (!fits || given.rank != 1 || given.count != channels) {
            return copi_onnx_fail(n, COP_E_FORMAT, "input %d holds %" PRId64 " numbers for %" PRId64 " channels",
                                  i + 1, given.count, channels);
        }
    }
    /* by an attribute, or, in old files, by the batch's statistics as outputs */
    bool statistics = false;
    for (size_t i = 1; i < n->proto->n_output; i++) statistics |= *copi_onnx_text_or(n->proto->output[i], "") != 0;
    n->r->training += copi_onnx_int(n, "training_mode", 0) || (n->r->opset < 14 && statistics);
    return add_batchnorm(n, x, copi_onnx_input(n, 1)->name, copi_onnx_real(n, "epsilon", 1e-5), tensor);
}

typedef enum arithmetic { ADD, SUB, MUL, DIV } arithmetic;

/* x op t, or t op x when reversed, as scale and shift. */
static void scale_and_shift(arithmetic op, bool reversed, double t, float *scale, float *shift) {
    *scale = 1;
    *shift = 0;
    switch (op) {
    case ADD:
        *shift = (float)t;
        break;
    case SUB:
        *shift = (float)(reversed ? t : -t);
        *scale = reversed ? -1 : 1;
        break;
    case MUL:
        *scale = (float)t;
        break;
    case DIV:
        *scale = (float)(1 / t);
        break; /* by 0: not finite, which is found when it is filled in */
    }
}

/* What is done to the images first is no layer but normalization. */
static void scale_input(copi_onnx_reader *r, const float *scale, const float *shift, int64_t channels) {
    for (int64_t c = 0; c < channels; c++) {
        double old = r->input_scaled ? r->input_scale[c] : 1, at = r->input_scaled ? r->input_shift[c] : 0;
        r->input_scale[c] = (double)scale[c] * old;
        r->input_shift[c] = (double)scale[c] * at + (double)shift[c];
    }
    r->input_scaled = true;
}

/* Takes y = scale x + shift into the layer that waits; false: it can't be. */
static bool join(copi_onnx_pending *p, const float *scale, float *shift) {
    for (int64_t c = 0; !p->scale && c < p->channels; c++) {
        if (scale[c] != 1) return false; /* of a kernel only the bias is joined */
    }
    for (int64_t c = 0; p->shift && c < p->channels; c++)
        shift[c] = (float)((double)scale[c] * (double)p->shift[c] + (double)shift[c]);
    for (int64_t c = 0; p->scale && c < p->channels; c++)
        p->scale[c] = (float)((double)scale[c] * (double)p->scale[c]);
    p->shift = shift;
    return true;
}

static cop_status with_constant(copi_onnx_node *n, arithmetic op, int input, const copi_onnx_tensor *t,
                                bool reversed) {
    copi_onnx_reader *r = n->r;
    copi_onnx_value *x = copi_onnx_input(n, input);
    copi_onnx_tensor per, scales, shifts;
    bool fits;
    float *scale, *shift;
    cop_status status = copi_onnx_per_channel(r, x, t, &per, &fits);
    if (status) return status;
    if (!fits || (op == DIV && reversed)) {
        return copi_onnx_fail(n, COP_E_UNSUPPORTED, "the constant is not one number per channel (or is divided)");
    }
    status = copi_onnx_floats(r, per.count, &scale, &scales);
    if (!status) status = copi_onnx_floats(r, per.count, &shift, &shifts);
    if (status) return status;
    for (int64_t c = 0; c < per.count; c++) {
        scale_and_shift(op, reversed, (double)copi_onnx_float(&per, c), &scale[c], &shift[c]);
    }
    bool sole = x->consumers == 1 && !x->shared && !copi_onnx_is_padded(x);
    if (sole && !x->pending && x->node == 0 && x->kind == COPI_ONNX_IMAGE) {
        scale_input(r, scale, shift, per.count);
        return copi_onnx_pass(n, x);
    }
    if (sole && x->pending && x->pending->node < 0 && join(x->pending, scale, shift)) return copi_onnx_pass(n, x);
    status = copi_onnx_activation(n, input, &x);
    if (status) return status;
    const copi_onnx_pending layer = {.proto = {.op = COPI_OP_BATCHNORM, .u.batchnorm = {.epsilon = 1.0 / 65536}},
                                     .src = x->node,
                                     .channels = per.count,
                                     .scale = scale,
                                     .shift = shift};
    return copi_onnx_wait(n, x, &layer);
}

static cop_status add_values(copi_onnx_node *n, copi_onnx_value *a, copi_onnx_value *b) {
    bool alike = a->kind == b->kind && memcmp(a->shape, b->shape, sizeof a->shape) == 0 &&
                 memcmp(a->axis, b->axis, sizeof a->axis) == 0;
    if (!alike) return copi_onnx_fail(n, COP_E_UNSUPPORTED, "'%s' and '%s' are not laid out alike", a->name, b->name);
    copi_onnx_value out = *a;
    cop_status status =
        copi_onnx_add(n, NULL, &(copi_node){.op = COPI_OP_ADD}, (int[]){a->node, b->node}, 2, &out.node);
    return status ? status : copi_onnx_give(n, &out);
}

static cop_status binary(copi_onnx_node *n, arithmetic op) {
    const copi_onnx_value *in[2];
    for (int i = 0; i < 2; i++) {
        in[i] = copi_onnx_input(n, i);
        if (!in[i]) return copi_onnx_fail(n, COP_E_FORMAT, "input %d is missing", i);
    }
    bool constant[2] = {in[0]->kind == COPI_ONNX_CONSTANT, in[1]->kind == COPI_ONNX_CONSTANT};
    if (constant[0] && constant[1]) return copi_onnx_fold_binary(n, "+-*/"[op]);
    if (constant[0] || constant[1]) return with_constant(n, op, constant[0], &in[constant[1]]->tensor, constant[0]);
    if (op != ADD) return copi_onnx_fail(n, COP_E_UNSUPPORTED, "of two computed values only the sum is supported");
    copi_onnx_value *a, *b;
    cop_status status = copi_onnx_activation(n, 0, &a);
    if (!status) status = copi_onnx_activation(n, 1, &b);
    return status ? status : add_values(n, a, b);
}

cop_status copi_onnx_add_op(copi_onnx_node *n) {
    return binary(n, ADD);
}

cop_status copi_onnx_sub(copi_onnx_node *n) {
    return binary(n, SUB);
}

cop_status copi_onnx_mul(copi_onnx_node *n) {
    return binary(n, MUL);
}

cop_status copi_onnx_div(copi_onnx_node *n) {
    return binary(n, DIV);
}

cop_status copi_onnx_sum(copi_onnx_node *n) {
    copi_onnx_value *a, *b;
    cop_status status = copi_onnx_activation(n, 0, &a);
    copi_onnx_value sum = status ? (copi_onnx_value){0} : *a;
    for (size_t i = 1; !status && i < n->proto->n_input; i++) {
        status = copi_onnx_activation(n, (int)i, &b);
        if (!status) status = add_values(n, &sum, b);
        if (!status) sum = *copi_onnx_given(n);
    }
    return status ? status : copi_onnx_give(n, &sum);
}

/* -- activations -- */

cop_status copi_onnx_relu(copi_onnx_node *n) {
    return copi_onnx_elementwise(n, &(copi_node){.op = COPI_OP_RELU});
}

cop_status copi_onnx_leaky_relu(copi_onnx_node *n) {
    copi_node proto = {.op = COPI_OP_LEAKY_RELU, .u.leaky = {.slope = copi_onnx_real(n, "alpha", 0.01)}};
    return copi_onnx_elementwise(n, &proto);
}

cop_status copi_onnx_prelu(copi_onnx_node *n) {
    copi_onnx_tensor slope;
    cop_status status = copi_onnx_constant(n, 1, &slope);
    if (status) return status;
    if (!slope.real || slope.count < 1) return copi_onnx_fail(n, COP_E_FORMAT, "it has no slope");
    float first = copi_onnx_float(&slope, 0);
    for (int64_t i = 1; i < slope.count; i++) {
        if (copi_onnx_float(&slope, i) != first)
            return copi_onnx_fail(n, COP_E_UNSUPPORTED, "its slopes differ by channel");
    }
    copi_node proto = {.op = COPI_OP_LEAKY_RELU, .u.leaky = {.slope = (double)first}};
    return copi_onnx_elementwise(n, &proto);
}

/* A bound of Clip: an attribute in old files, a constant in new ones. */
static cop_status bound(const copi_onnx_node *n, const char *name, int input, double otherwise, double *value) {
    *value = copi_onnx_real(n, name, otherwise);
    if (!copi_onnx_input(n, input)) return COP_OK;
    copi_onnx_tensor t;
    cop_status status = copi_onnx_constant(n, input, &t);
    if (status) return status;
    if (!t.real || t.count != 1) return copi_onnx_fail(n, COP_E_FORMAT, "its %simum is not one number", name);
    *value = (double)copi_onnx_float(&t, 0);
    return COP_OK;
}

cop_status copi_onnx_clip(copi_onnx_node *n) {
    double low, high;
    cop_status status = bound(n, "min", 1, -INFINITY, &low);
    if (!status) status = bound(n, "max", 2, INFINITY, &high);
    if (status) return status;
    if (low == 0 && high == 6) return copi_onnx_elementwise(n, &(copi_node){.op = COPI_OP_RELU6});
    if (low == 0 && high > 3e38) return copi_onnx_elementwise(n, &(copi_node){.op = COPI_OP_RELU});
    return copi_onnx_fail(n, COP_E_UNSUPPORTED, "to [%g,%g]; supported: [0,6] and [0,infinity)", low, high);
}

cop_status copi_onnx_dropout(copi_onnx_node *n) {
    double share = copi_onnx_real(n, "ratio", 0.5);
    if (copi_onnx_input(n, 1)) {
        copi_onnx_tensor t;
        cop_status status = copi_onnx_constant(n, 1, &t);
        if (status) return status;
        if (!t.real || t.count != 1) return copi_onnx_fail(n, COP_E_FORMAT, "its ratio is not one number");
        share = (double)copi_onnx_float(&t, 0);
    }
    copi_node proto = {.op = COPI_OP_DROPOUT, .u.dropout = {.share = share}};
    return copi_onnx_elementwise(n, &proto);
}

/* Softmax and its logarithm: over the numbers of a vector. */
static cop_status check_softmax(const copi_onnx_node *n) {
    const copi_onnx_value *x = copi_onnx_input(n, 0);
    int at;
    if (!x || x->kind != COPI_ONNX_VECTOR) return copi_onnx_fail(n, COP_E_UNSUPPORTED, "only of vectors");
    cop_status status = copi_onnx_axis(n, copi_onnx_int(n, "axis", n->r->opset < 13 ? 1 : -1), 2, &at);
    if (!status && at != 1) status = copi_onnx_fail(n, COP_E_UNSUPPORTED, "not over the images");
    return status;
}

cop_status copi_onnx_softmax(copi_onnx_node *n) {
    cop_status status = check_softmax(n);
    return status ? status : copi_onnx_elementwise(n, &(copi_node){.op = COPI_OP_SOFTMAX});
}

cop_status copi_onnx_log_softmax(copi_onnx_node *n) {
    copi_onnx_value *x;
    cop_status status = check_softmax(n);
    if (!status) status = copi_onnx_activation(n, 0, &x);
    if (status) return status;
    if (&n->r->value[n->r->output] != copi_onnx_given(n))
        return copi_onnx_fail(n, COP_E_UNSUPPORTED, "only as the last op");
    n->r->logits = true;
    return copi_onnx_pass(n, x);
}
