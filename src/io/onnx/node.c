/* What handlers of ops use: attributes, inputs, outputs, names of layers. */
#include "io/onnx/onnx.h"

#include "io/json.h"
#include "io/window.h"

#include <inttypes.h>
#include <string.h>

const char *copi_onnx_text_or(const char *text, const char *otherwise) {
    return text && *text ? text : otherwise;
}

cop_status copi_onnx_fail(const copi_onnx_node *n, cop_status status, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *name = copi_onnx_text_or(n->proto->name, n->proto->n_output ? n->proto->output[0] : "");
    return copi_fail(n->r->ctx, status, "%s '%s': %s", copi_onnx_text_or(n->proto->op_type, "node"), name, text);
}

const Onnx__AttributeProto *copi_onnx_attribute(const copi_onnx_node *n, const char *name) {
    for (size_t i = 0; i < n->proto->n_attribute; i++) {
        const Onnx__AttributeProto *a = n->proto->attribute[i];
        if (a->name && strcmp(a->name, name) == 0) return a;
    }
    return NULL;
}

int64_t copi_onnx_int(const copi_onnx_node *n, const char *name, int64_t otherwise) {
    const Onnx__AttributeProto *a = copi_onnx_attribute(n, name);
    return a && a->has_i ? a->i : otherwise;
}

double copi_onnx_real(const copi_onnx_node *n, const char *name, double otherwise) {
    const Onnx__AttributeProto *a = copi_onnx_attribute(n, name);
    if (!a || !a->has_f) return otherwise;
    /* 1e-5 in a file is the float nearest to it; the shortest decimal with that float is what was meant */
    char text[32];
    double meant;
    snprintf(text, sizeof text, "%.7g", (double)a->f);
    return sscanf(text, "%lf", &meant) == 1 && (float)meant == a->f ? meant : (double)a->f;
}

bool copi_onnx_text_is(const copi_onnx_node *n, const char *name, const char *text, bool otherwise) {
    const Onnx__AttributeProto *a = copi_onnx_attribute(n, name);
    if (!a || !a->has_s) return otherwise;
    return a->s.len == strlen(text) && memcmp(a->s.data, text, a->s.len) == 0;
}

cop_status copi_onnx_ints(const copi_onnx_node *n, const char *name, int count, int64_t *list, int64_t otherwise) {
    const Onnx__AttributeProto *a = copi_onnx_attribute(n, name);
    for (int i = 0; i < count; i++) list[i] = otherwise;
    if (!a) return COP_OK;
    if (a->n_ints != (size_t)count) {
        return copi_onnx_fail(n, COP_E_UNSUPPORTED, "%s has %zu numbers; %d are supported (two spatial dimensions)",
                              name, a->n_ints, count);
    }
    memcpy(list, a->ints, (size_t)count * sizeof *list);
    return COP_OK;
}

copi_onnx_value *copi_onnx_input(const copi_onnx_node *n, int i) {
    if ((size_t)i >= n->proto->n_input || !*n->proto->input[i]) return NULL;
    return &n->r->value[copi_name_map_get(&n->r->names, n->proto->input[i])];
}

cop_status copi_onnx_weights(const copi_onnx_node *n, int i, copi_onnx_tensor *t) {
    const copi_onnx_value *v = copi_onnx_input(n, i);
    if (!v) return copi_onnx_fail(n, COP_E_FORMAT, "input %d is missing", i);
    if (v->kind != COPI_ONNX_CONSTANT) {
        return copi_onnx_fail(n, COP_E_UNSUPPORTED, "input '%s' is computed; it must be a constant", v->name);
    }
    *t = v->tensor;
    return COP_OK;
}

cop_status copi_onnx_constant(const copi_onnx_node *n, int i, copi_onnx_tensor *t) {
    cop_status status = copi_onnx_weights(n, i, t);
    return status ? status : copi_onnx_need(n->r, t);
}

cop_status copi_onnx_list(const copi_onnx_node *n, const char *name, int input, const int64_t **list,
                          int64_t *count) {
    const Onnx__AttributeProto *a = copi_onnx_attribute(n, name);
    *list = NULL;
    *count = -1;
    if (a) {
        *list = a->ints;
        *count = (int64_t)a->n_ints;
    } else if (input >= 0 && copi_onnx_input(n, input)) {
        copi_onnx_tensor t;
        cop_status status = copi_onnx_constant(n, input, &t);
        if (status) return status;
        if (t.real || t.rank > 1) return copi_onnx_fail(n, COP_E_FORMAT, "%s is not a list of integers", name);
        *list = t.whole;
        *count = t.count;
    }
    return COP_OK;
}

bool copi_onnx_is_padded(const copi_onnx_value *v) {
    return v->pad[0] || v->pad[1] || v->pad[2] || v->pad[3];
}

static cop_status present(const copi_onnx_node *n, int i, copi_onnx_value **value) {
    *value = copi_onnx_input(n, i);
    if (!*value) return copi_onnx_fail(n, COP_E_FORMAT, "input %d is missing", i);
    if ((*value)->kind == COPI_ONNX_IMAGE || (*value)->kind == COPI_ONNX_VECTOR)
        return copi_onnx_settle(n->r, *value);
    return copi_onnx_fail(n, COP_E_UNSUPPORTED, "input '%s' is a constant; it must be computed from the images",
                          (*value)->name);
}

cop_status copi_onnx_image(const copi_onnx_node *n, int i, copi_onnx_value **value) {
    cop_status status = present(n, i, value);
    if (status) return status;
    if ((*value)->kind != COPI_ONNX_IMAGE) {
        return copi_onnx_fail(n, COP_E_UNSUPPORTED, "input '%s' has two dimensions; it must have four",
                              (*value)->name);
    }
    for (int d = 0; d < 3; d++) {
        if ((*value)->axis[d] == d) continue;
        return copi_onnx_fail(n, COP_E_UNSUPPORTED,
                              "input '%s' does not stand in the order images, channels, rows, columns",
                              (*value)->name);
    }
    return COP_OK;
}

/* Is this the name that a layer had when we wrote the file? Our metadata know it by that. */
static bool is_kept(const copi_onnx_reader *r, const char *name) {
    if (!r->own || !*name || strlen(name) > COPI_MAX_NAME) return false;
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127) return false;
    return copi_json_is_utf8(name);
}

cop_status copi_onnx_lay_flat(copi_onnx_reader *r, copi_onnx_value *v) {
    char *name;
    cop_status status = copi_onnx_settle(r, v);
    if (status || v->kind != COPI_ONNX_VECTOR || v->flat) return status;
    status = copi_onnx_unique(r, is_kept(r, v->name) ? v->name : "flatten", &name);
    if (status) return status;
    int node = copi_graph_add(r->graph, name, &(copi_node){.op = COPI_OP_FLATTEN}, &v->node, 1);
    if (node < 0) return r->graph->status;
    v->node = node;
    v->flat = true;
    return COP_OK;
}

cop_status copi_onnx_unpadded(const copi_onnx_node *n, int i, copi_onnx_value **value) {
    cop_status status = present(n, i, value);
    if (status || !copi_onnx_is_padded(*value)) return status;
    return copi_onnx_fail(n, COP_E_UNSUPPORTED, "input '%s' comes from a Pad; only Conv and pools take one in",
                          (*value)->name);
}

cop_status copi_onnx_activation(const copi_onnx_node *n, int i, copi_onnx_value **value) {
    cop_status status = copi_onnx_unpadded(n, i, value);
    return status ? status : copi_onnx_lay_flat(n->r, *value);
}

copi_onnx_value *copi_onnx_given(const copi_onnx_node *n) {
    return &n->r->value[copi_name_map_get(&n->r->names, n->proto->output[0])];
}

static cop_status give(const copi_onnx_node *n, const copi_onnx_value *value, bool shared) {
    copi_onnx_value *to = copi_onnx_given(n);
    copi_onnx_value from = *value;
    from.name = to->name;
    from.producer = to->producer;
    from.consumers = to->consumers;
    from.shared = shared;
    *to = from;
    return COP_OK;
}

cop_status copi_onnx_give(const copi_onnx_node *n, const copi_onnx_value *value) {
    return give(n, value, false);
}

cop_status copi_onnx_give_tensor(const copi_onnx_node *n, const copi_onnx_tensor *t) {
    n->r->left_out++;
    return copi_onnx_give(n, &(copi_onnx_value){.kind = COPI_ONNX_CONSTANT, .tensor = *t});
}

cop_status copi_onnx_pass(const copi_onnx_node *n, const copi_onnx_value *value) {
    n->r->left_out++;
    return give(n, value, value->shared || value->consumers != 1);
}

cop_status copi_onnx_put(copi_onnx_reader *r, const copi_onnx_fill *fill) {
    if (r->fills == r->fill_cap) {
        int more = r->fill_cap ? 2 * r->fill_cap : 64;
        void *grown = copi_grow(r->ctx, r->fill, (size_t)r->fills, (size_t)more, sizeof *r->fill);
        if (!grown) return COP_E_NOMEM;
        r->fill = grown;
        r->fill_cap = more;
    }
    r->fill[r->fills++] = *fill;
    return COP_OK;
}

cop_status copi_onnx_axis(const copi_onnx_node *n, int64_t axis, int rank, int *at) {
    if (axis < -rank || axis >= rank) {
        return copi_onnx_fail(n, COP_E_FORMAT, "axis %" PRId64 " of %d dimensions", axis, rank);
    }
    *at = (int)(axis < 0 ? axis + rank : axis);
    return COP_OK;
}

int64_t copi_onnx_extent(const copi_onnx_value *v, int dim) {
    int axis = v->axis[dim - 1];
    int64_t padding = axis ? v->pad[axis - 1] + v->pad[axis + 1] : 0;
    return v->shape[axis] + padding;
}

cop_status copi_onnx_order(copi_onnx_reader *r, const copi_onnx_value *v, const int64_t **order) {
    *order = NULL;
    int real[3], reals = 0; /* the axes longer than 1, in the file's order */
    for (int d = 0; d < 3; d++) {
        if (v->shape[v->axis[d]] > 1) real[reals++] = v->axis[d];
    }
    bool ascending = true;
    for (int d = 1; d < reals; d++) ascending &= real[d - 1] < real[d];
    if (ascending) return COP_OK;
    int64_t *list = copi_onnx_arena(r, (size_t)(v->shape[0] * v->shape[1] * v->shape[2]), sizeof *list);
    if (!list) return COP_E_NOMEM;
    copi_flat_places(v->shape, v->axis, list);
    *order = list;
    return COP_OK;
}

static int64_t channels_of(const copi_onnx_value *v) {
    return v->kind == COPI_ONNX_IMAGE ? v->shape[0] : v->shape[0] * v->shape[1] * v->shape[2];
}

/* Does a constant of this shape give one number per channel when it is spread over v? */
static bool spreads_over_channels(const copi_onnx_value *v, const copi_onnx_tensor *t) {
    int rank = v->kind == COPI_ONNX_IMAGE ? 4 : 2, channel = 1;
    if (!t->real || t->rank > rank) return false;
    while (rank == 4 && v->axis[channel - 1] != 0) channel++;
    for (int d = 0; d < t->rank; d++) {
        bool here = rank - t->rank + d == channel;
        if (t->dims[d] != 1 && (!here || t->dims[d] != channels_of(v))) return false;
    }
    return true;
}

cop_status copi_onnx_per_channel(copi_onnx_reader *r, const copi_onnx_value *v, const copi_onnx_tensor *t,
                                 copi_onnx_tensor *channels, bool *fits) {
    *fits = spreads_over_channels(v, t);
    if (!*fits) return COP_OK;
    int64_t count = channels_of(v);
    float *data;
    const int64_t *order = NULL;
    cop_status status = copi_onnx_need(r, t);
    if (!status) status = copi_onnx_floats(r, count, &data, channels);
    if (!status && v->kind == COPI_ONNX_VECTOR) status = copi_onnx_order(r, v, &order);
    for (int64_t i = 0; !status && i < count; i++) {
        data[order ? order[i] : i] = copi_onnx_float(t, t->count == 1 ? 0 : i);
    }
    return status;
}

/* -- layers that wait -- */

cop_status copi_onnx_wait(const copi_onnx_node *n, const copi_onnx_value *value, const copi_onnx_pending *layer) {
    copi_onnx_value out = *value;
    copi_onnx_pending *copy = copi_onnx_arena(n->r, 1, sizeof *copy);
    if (!copy) return COP_E_NOMEM;
    *copy = *layer;
    copy->named = n->proto;
    copy->node = -1;
    out.pending = copy;
    return copi_onnx_give(n, &out);
}

static copi_onnx_tensor tensor_of(const float *data, int64_t count) {
    return (copi_onnx_tensor){
        .real = true, .rank = 1, .dims = {count}, .count = count, .floats = (const uint8_t *)data};
}

static cop_status put_vector(copi_onnx_reader *r, int node, int slot, const float *data, int64_t count) {
    return copi_onnx_put(r,
                         &(copi_onnx_fill){.node = node, .slot = slot, .tensor = tensor_of(data, count), .scale = 1});
}

/* y = scale x + shift as a batch-norm: mean 0, and var + epsilon exactly 1, in float as in double. */
static cop_status put_affine(copi_onnx_reader *r, const copi_onnx_pending *p) {
    float *mean = copi_onnx_arena(r, (size_t)p->channels, sizeof *mean);
    float *var = copi_onnx_arena(r, (size_t)p->channels, sizeof *var);
    if (!mean || !var) return COP_E_NOMEM;
    for (int64_t c = 0; c < p->channels; c++) var[c] = (float)(1 - p->proto.u.batchnorm.epsilon);
    const float *values[4] = {p->scale, p->shift, mean, var};
    cop_status status = COP_OK;
    for (int s = 0; !status && s < 4; s++) status = put_vector(r, p->node, s, values[s], p->channels);
    return status;
}

static cop_status put_layer(copi_onnx_reader *r, const copi_onnx_pending *p) {
    copi_onnx_fill kernel = p->kernel;
    kernel.node = p->node;
    cop_status status = copi_onnx_put(r, &kernel);
    if (!status && p->shift) status = put_vector(r, p->node, COPI_BIAS, p->shift, p->channels);
    return status;
}

cop_status copi_onnx_settle(copi_onnx_reader *r, copi_onnx_value *v) {
    copi_onnx_pending *p = v->pending;
    if (!p) return COP_OK;
    if (p->node < 0) {
        if (p->proto.op == COPI_OP_CONV) p->proto.u.conv.bias = p->shift != NULL;
        if (p->proto.op == COPI_OP_DENSE) p->proto.u.dense.bias = p->shift != NULL;
        const copi_onnx_node named = {.r = r, .proto = p->named};
        cop_status status = copi_onnx_add(&named, p->weight, &p->proto, &p->src, 1, &p->node);
        if (!status) status = p->scale ? put_affine(r, p) : put_layer(r, p);
        if (status) return status;
    }
    v->node = p->node;
    v->pending = NULL;
    return COP_OK;
}

/* -- names of layers -- */

static bool strip(char *name, const char *ending) {
    size_t n = strlen(name), m = strlen(ending);
    if (n <= m || strcmp(name + n - m, ending) != 0) return false;
    name[n - m] = '\0';
    return true;
}

cop_status copi_onnx_unique(copi_onnx_reader *r, const char *wanted, char **name) {
    char *text = copi_onnx_arena(r, strlen(wanted) + 16, 1);
    if (!text) return COP_E_NOMEM;
    strcpy(text, wanted);
    int repeats = copi_name_map_get(&r->layers, wanted);
    while (copi_name_map_get(&r->layers, text) >= 0) snprintf(text, strlen(wanted) + 16, "%s_%d", wanted, ++repeats);
    *name = text;
    cop_status status = copi_name_map_set(&r->layers, text, 1);
    if (!status && repeats > 1)
        status = copi_name_map_set(&r->layers, wanted, repeats); /* the next counts on from here */
    return status;
}

void copi_onnx_name_layer(const copi_onnx_node *n, const char *weight, char *name, size_t size) {
    static const char *const endings[] = {".weight", "/ReadVariableOp:0", "_weights_fused_bn", NULL};
    static const char *const ops[] = {"/Conv2D", "/depthwise",          "/MatMul",           "/Conv",
                                      "/Gemm",   "/BatchNormalization", "/FusedBatchNormV3", "/BiasAdd",
                                      NULL};
    enum { MOST = 256 }; /* of a name made here; one that is taken becomes longer */
    const char *node = copi_onnx_text_or(n->proto->name, "");
    bool named = false;
    if (is_kept(n->r, node)) {
        snprintf(name, size, "%s", node);
        return;
    }
    if (size > MOST) size = MOST;
    snprintf(name, size, "%s", copi_onnx_text_or(weight, ""));
    for (int i = 0; endings[i] && !named; i++) named = strip(name, endings[i]);
    if (!named) snprintf(name, size, "%s", copi_onnx_text_or(node, copi_onnx_text_or(n->proto->op_type, "layer")));
    for (int i = 0; weight && ops[i]; i++) {
        if (strip(name, ops[i])) break;
    }
    const char *start = strncmp(name, "node_", 5) == 0 ? name + 5 : name + (*name == '/');
    memmove(name, start, strlen(start) + 1);
    if (!*name) snprintf(name, size, "layer");
    for (char *c = name; *c; c++) {
        if ((unsigned char)*c < 32 || (unsigned char)*c > 126) *c = '_';
    }
}

cop_status copi_onnx_add(const copi_onnx_node *n, const char *weight, const copi_node *proto, const int *src,
                         int nsrc, int *number) {
    char wanted[COPI_MAX_NAME + 1], *name;
    copi_onnx_name_layer(n, weight, wanted, sizeof wanted);
    cop_status status = copi_onnx_unique(n->r, wanted, &name);
    if (status) return status;
    *number = copi_graph_add(n->r->graph, name, proto, src, nsrc);
    return *number < 0 ? n->r->graph->status : COP_OK;
}

cop_status copi_onnx_elementwise(const copi_onnx_node *n, const copi_node *proto) {
    copi_onnx_value *v, out;
    cop_status status = copi_onnx_activation(n, 0, &v);
    if (status) return status;
    out = *v;
    status = copi_onnx_add(n, NULL, proto, &v->node, 1, &out.node);
    return status ? status : copi_onnx_give(n, &out);
}
