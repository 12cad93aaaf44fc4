/* A net as an ONNX file: opset 13, IR 8, images [N,C,H,W] with N open. The weights are never copied: protobuf-c packs
 * the net's own memory straight into the file. */
#include "io/io.h"

#include "io/json.h"
#include "io/metadata.h"
#include "io/name_map.h"
#include "io/onnx/wire.h"

#include <string.h>

typedef struct writer {
    cop_ctx *ctx;
    const cop_net *net;
    copi_onnx_form form;
    void **block; /* everything made on the way, freed at the end */
    size_t blocks, cap;
    bool failed; /* memory ran out once: later calls do nothing harmful */
    Onnx__ModelProto model;
    Onnx__GraphProto graph;
    char **value; /* [nodes] the name of what each node gives */
    int dropouts; /* left out */
} writer;

/* -- memory: NULL once it has run out; callers go on with what is NULL or short, and the whole is given up at the end
 * -- */

static void *make(writer *w, size_t count, size_t size) {
    if (w->failed) return NULL;
    if (w->blocks == w->cap) {
        size_t more = w->cap ? 2 * w->cap : 256;
        void *grown = copi_grow(w->ctx, w->block, w->cap, more, sizeof *w->block);
        w->failed = !grown;
        if (w->failed) return NULL;
        w->block = grown;
        w->cap = more;
    }
    void *block = copi_alloc(w->ctx, count ? count : 1, size);
    w->failed = !block;
    if (block) w->block[w->blocks++] = block;
    return block;
}

static int64_t *make_dims(writer *w, size_t n, const int64_t *dims) {
    int64_t *copy = make(w, n, sizeof *copy);
    for (size_t i = 0; copy && i < n; i++) copy[i] = dims[i];
    return copy;
}

/* protobuf-c does not write to strings it packs. */
static char *text(const char *constant) {
    return (char *)(uintptr_t)constant;
}

/* -- values, attributes, tensors -- */

static Onnx__ValueInfoProto *value_info(writer *w, char *name, int rank, const int64_t *shape) {
    Onnx__ValueInfoProto *info = make(w, 1, sizeof *info);
    Onnx__TypeProto *type = make(w, 1, sizeof *type);
    Onnx__TypeProto__Tensor *tensor = make(w, 1, sizeof *tensor);
    Onnx__TensorShapeProto *dims = make(w, 1, sizeof *dims);
    Onnx__TensorShapeProto__Dimension **dim = make(w, (size_t)rank + 1, sizeof(void *)), *one;
    one = make(w, (size_t)rank + 1, sizeof *one);
    if (w->failed) return NULL;
    onnx__value_info_proto__init(info);
    onnx__type_proto__init(type);
    onnx__type_proto__tensor__init(tensor);
    onnx__tensor_shape_proto__init(dims);
    for (int d = 0; d <= rank; d++) {
        dim[d] = &one[d];
        onnx__tensor_shape_proto__dimension__init(dim[d]);
        dim[d]->value_case = d ? ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE
                               : ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
        if (d) dim[d]->dim_value = shape[d - 1];
        if (!d) dim[d]->dim_param = text("N");
    }
    dims->n_dim = (size_t)rank + 1;
    dims->dim = dim;
    tensor->has_elem_type = 1;
    tensor->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    tensor->shape = dims;
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    info->name = name;
    info->type = type;
    return info;
}

static void fill_tensor(writer *w, Onnx__TensorProto *t, const char *name, size_t rank, const int64_t *shape,
                        int type) {
    onnx__tensor_proto__init(t);
    t->name = text(name);
    t->n_dims = rank;
    t->dims = make_dims(w, rank, shape);
    t->has_data_type = 1;
    t->data_type = type;
}

static void add_initializer(writer *w, const char *name, int rank, const int64_t *shape, const float *data,
                            int64_t count) {
    Onnx__TensorProto *t = make(w, 1, sizeof *t);
    if (!t) return;
    fill_tensor(w, t, name, (size_t)rank, shape, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
    t->has_raw_data = 1;
    t->raw_data = (ProtobufCBinaryData){(size_t)count * sizeof *data, (uint8_t *)(uintptr_t)data};
    w->graph.initializer[w->graph.n_initializer++] = t;
}

static Onnx__NodeProto *add_node(writer *w, const char *op, const char *name, size_t inputs) {
    Onnx__NodeProto *node = make(w, 1, sizeof *node);
    char **input = make(w, inputs + 4, sizeof *input), **output = make(w, 1, sizeof *output);
    Onnx__AttributeProto **attribute = make(w, 8, sizeof(void *));
    if (w->failed) return NULL;
    onnx__node_proto__init(node);
    node->op_type = text(op);
    node->name = text(name);
    node->input = input;
    node->output = output;
    node->attribute = attribute;
    node->n_output = 1;
    output[0] = text(name);
    w->graph.node[w->graph.n_node++] = node;
    return node;
}

static void add_input(Onnx__NodeProto *node, const char *name) {
    if (node) node->input[node->n_input++] = text(name);
}

static Onnx__AttributeProto *add_attribute(writer *w, Onnx__NodeProto *node, const char *name, int type) {
    Onnx__AttributeProto *a = make(w, 1, sizeof *a);
    if (!a) return NULL;
    onnx__attribute_proto__init(a);
    a->name = text(name);
    a->has_type = 1;
    a->type = (Onnx__AttributeProto__AttributeType)type;
    node->attribute[node->n_attribute++] = a;
    return a;
}

static void set_int(writer *w, Onnx__NodeProto *node, const char *name, int64_t value) {
    Onnx__AttributeProto *a = add_attribute(w, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    if (!a) return;
    a->has_i = 1;
    a->i = value;
}

static void set_real(writer *w, Onnx__NodeProto *node, const char *name, double value) {
    Onnx__AttributeProto *a = add_attribute(w, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    if (!a) return;
    a->has_f = 1;
    a->f = (float)value;
}

static void set_ints(writer *w, Onnx__NodeProto *node, const char *name, size_t count, const int64_t *list) {
    Onnx__AttributeProto *a = add_attribute(w, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    if (!a) return;
    a->ints = make_dims(w, count, list);
    a->n_ints = a->ints ? count : 0;
}

/* -- parameters -- */

static size_t varint_size(uint64_t value) {
    size_t n = 1;
    for (; value > 127; value >>= 7) n++;
    return n;
}

/* How many bytes the parameter takes as a sparse initializer: values and packed indices. */
static size_t sparse_size(const copi_param *p, int64_t *nonzero) {
    size_t bytes = 0;
    *nonzero = 0;
    for (int64_t i = 0; i < p->count; i++) {
        if (p->data[i] == 0) continue;
        ++*nonzero;
        bytes += sizeof(float) + varint_size((uint64_t)i);
    }
    return bytes;
}

static void add_sparse(writer *w, const copi_param *p, int64_t nonzero) {
    Onnx__SparseTensorProto *s = make(w, 1, sizeof *s);
    Onnx__TensorProto *values = make(w, 1, sizeof *values), *indices = make(w, 1, sizeof *indices);
    float *data = make(w, (size_t)nonzero, sizeof *data);
    int64_t *place = make(w, (size_t)nonzero, sizeof *place), at = 0;
    if (w->failed) return;
    for (int64_t i = 0; i < p->count; i++) {
        if (p->data[i] == 0) continue;
        data[at] = p->data[i];
        place[at++] = i;
    }
    onnx__sparse_tensor_proto__init(s);
    fill_tensor(w, values, p->name, 1, &nonzero, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
    values->has_raw_data = 1;
    values->raw_data = (ProtobufCBinaryData){(size_t)nonzero * sizeof *data, (uint8_t *)data};
    fill_tensor(w, indices, NULL, 1, &nonzero, ONNX__TENSOR_PROTO__DATA_TYPE__INT64);
    indices->int64_data = place;
    indices->n_int64_data = (size_t)nonzero;
    s->values = values;
    s->indices = indices;
    s->dims = make_dims(w, (size_t)p->rank, p->shape);
    s->n_dims = (size_t)p->rank;
    w->graph.sparse_initializer[w->graph.n_sparse_initializer++] = s;
}

/* A node's parameter becomes an initializer and the node's next input. */
static void add_param(writer *w, Onnx__NodeProto *node, const copi_param *p) {
    if (!p) return;
    int64_t nonzero = 0;
    bool sparse = w->form == COPI_ONNX_SPARSE && p->kind == COPI_PARAM_WEIGHT &&
                  sparse_size(p, &nonzero) < (size_t)p->count * sizeof(float);
    if (sparse) {
        add_sparse(w, p, nonzero);
    } else {
        add_initializer(w, p->name, p->rank, p->shape, p->data, p->count);
    }
    add_input(node, p->name);
}

/* -- ops -- */

static void write_conv(writer *w, Onnx__NodeProto *n, const copi_node *node) {
    const cop_conv_params *c = &node->u.conv;
    set_ints(w, n, "kernel_shape", 2, c->kernel);
    set_ints(w, n, "strides", 2, c->stride);
    set_ints(w, n, "dilations", 2, c->dilation);
    set_ints(w, n, "pads", 4, c->pad);
    set_int(w, n, "group", c->groups);
}

static void write_dense(writer *w, Onnx__NodeProto *n, const copi_node *node) {
    (void)node;
    set_int(w, n, "transB", 1);
}

static void write_batchnorm(writer *w, Onnx__NodeProto *n, const copi_node *node) {
    set_real(w, n, "epsilon", node->u.batchnorm.epsilon);
}

static void write_pool(writer *w, Onnx__NodeProto *n, const copi_node *node) {
    const cop_pool_params *p = &node->u.pool;
    set_ints(w, n, "kernel_shape", 2, p->kernel);
    set_ints(w, n, "strides", 2, p->stride);
    set_ints(w, n, "pads", 4, p->pad);
    if (node->op == COPI_OP_AVG_POOL) set_int(w, n, "count_include_pad", p->count_pad != 0);
}

static void write_leaky(writer *w, Onnx__NodeProto *n, const copi_node *node) {
    set_real(w, n, "alpha", node->u.leaky.slope);
}

static void write_axis(writer *w, Onnx__NodeProto *n, const copi_node *node) {
    (void)node;
    set_int(w, n, "axis", 1);
}

/* Clip's bounds are inputs: initializers of no dimension, made once. */
static void write_relu6(writer *w, Onnx__NodeProto *n, const copi_node *node) {
    static const float bounds[2] = {0, 6};
    static const char *const names[2] = {"coppice.0", "coppice.6"};
    bool first = true;
    for (const copi_node *other = w->net->node; other < node; other++) first &= other->op != COPI_OP_RELU6;
    for (int i = 0; i < 2; i++) {
        if (first) add_initializer(w, names[i], 0, NULL, &bounds[i], 1);
        add_input(n, names[i]);
    }
}

/* y[c] = lambda[c*factors/C] x[c], as a product with one number per channel. */
static void write_gate(writer *w, Onnx__NodeProto *n, const copi_node *node) {
    const copi_param *gate = copi_node_slot(w->net, node, COPI_GATE);
    int64_t channels = node->shape[0], shape[3] = {channels, 1, 1};
    float *data = make(w, (size_t)channels, sizeof *data);
    if (!data) return;
    for (int64_t c = 0; c < channels; c++) data[c] = gate->data[c * gate->count / channels];
    add_initializer(w, gate->name, node->rank, shape, data, channels);
    add_input(n, gate->name);
}

static const struct {
    copi_op op;
    const char *name;
    void (*write)(writer *w, Onnx__NodeProto *n,
                  const copi_node *node); /* attributes and inputs of its own; NULL: none */
    int params;                           /* 1: its parameters are inputs, in the order of their slots */
} ops[] = {
    {COPI_OP_CONV, "Conv", write_conv, 1},
    {COPI_OP_DENSE, "Gemm", write_dense, 1},
    {COPI_OP_BATCHNORM, "BatchNormalization", write_batchnorm, 1},
    {COPI_OP_RELU, "Relu", NULL, 0},
    {COPI_OP_RELU6, "Clip", write_relu6, 0},
    {COPI_OP_LEAKY_RELU, "LeakyRelu", write_leaky, 0},
    {COPI_OP_MAX_POOL, "MaxPool", write_pool, 0},
    {COPI_OP_AVG_POOL, "AveragePool", write_pool, 0},
    {COPI_OP_GLOBAL_POOL, "GlobalAveragePool", NULL, 0},
    {COPI_OP_FLATTEN, "Flatten", write_axis, 0},
    {COPI_OP_ADD, "Add", NULL, 0},
    {COPI_OP_CONCAT, "Concat", write_axis, 0},
    {COPI_OP_SOFTMAX, "Softmax", write_axis, 0},
    {COPI_OP_GATE, "Mul", write_gate, 0},
};

static cop_status write_node(writer *w, int number) {
    const copi_node *node = &w->net->node[number];
    if (node->op == COPI_OP_DROPOUT && number < w->net->nodes - 1) { /* inference passes it by */
        w->value[number] = w->value[node->src[0]];
        w->dropouts++;
        return COP_OK;
    }
    size_t i = 0;
    while (i < COPI_COUNT(ops) && ops[i].op != node->op) i++;
    const char *op = node->op == COPI_OP_DROPOUT ? "Identity" : i < COPI_COUNT(ops) ? ops[i].name : NULL;
    if (!op) {
        return copi_fail(w->ctx, COP_E_UNSUPPORTED,
                         "layer '%s' is a %s, which ONNX files of this program do not have", node->name,
                         copi_op_text(node->op));
    }
    w->value[number] = node->name;
    Onnx__NodeProto *n = add_node(w, op, node->name, (size_t)node->nsrc);
    for (int s = 0; n && s < node->nsrc; s++) add_input(n, w->value[node->src[s]]);
    bool listed = i < COPI_COUNT(ops);
    if (n && listed && ops[i].write) ops[i].write(w, n, node);
    for (int s = 0; n && listed && ops[i].params && s < COPI_SLOTS; s++)
        add_param(w, n, copi_node_slot(w->net, node, s));
    return w->failed ? COP_E_NOMEM : COP_OK;
}

/* -- the model -- */

/* Values and initializers share one space of names. */
static cop_status check_names(const cop_net *net) {
    copi_name_map names;
    copi_name_map_init(&names, net->ctx);
    cop_status status = COP_OK;
    for (int i = 0; !status && i < net->nodes; i++) {
        status = copi_json_check_text(net->ctx, "layer name", net->node[i].name);
        if (!status) status = copi_name_map_set(&names, net->node[i].name, i);
    }
    for (int i = 0; !status && i < net->params; i++) {
        if (copi_name_map_get(&names, net->param[i].name) < 0) continue;
        status =
            copi_fail(net->ctx, COP_E_UNSUPPORTED,
                      "'%s' names both a layer and a parameter, which ONNX can't tell apart", net->param[i].name);
    }
    copi_name_map_clear(&names);
    return status;
}

static cop_status write_graph(writer *w) {
    const cop_net *net = w->net;
    size_t nodes = (size_t)net->nodes, most = (size_t)net->params + 2;
    onnx__graph_proto__init(&w->graph);
    w->graph.name = text("coppice");
    w->graph.node = make(w, nodes, sizeof(void *));
    w->graph.initializer = make(w, most, sizeof(void *));
    w->graph.sparse_initializer = make(w, most, sizeof(void *));
    w->graph.input = make(w, 1, sizeof(void *));
    w->graph.output = make(w, 1, sizeof(void *));
    w->value = make(w, nodes, sizeof *w->value);
    if (w->failed) return COP_E_NOMEM;
    w->value[0] = net->node[0].name;
    cop_status status = COP_OK;
    for (int i = 1; !status && i < net->nodes; i++) status = write_node(w, i);
    if (status) return status;
    const copi_node *last = &net->node[net->nodes - 1];
    w->graph.input[0] = value_info(w, net->node[0].name, 3, net->node[0].shape);
    w->graph.output[0] = value_info(w, last->name, last->rank, last->shape);
    w->graph.n_input = w->graph.n_output = 1;
    return w->failed ? COP_E_NOMEM : COP_OK;
}

/* What came with an ONNX file under keys of its own goes back under them. */
static cop_status spell_out_foreign(cop_ctx *ctx, json_t *strings) {
    json_t *foreign;
    cop_status status = copi_metadata_get_json(ctx, strings, COPI_METADATA_FOREIGN, &foreign);
    if (!status && (json_object_update_missing(strings, foreign) || json_object_del(strings, COPI_METADATA_FOREIGN)))
        status = copi_json_no_memory(ctx);
    json_decref(foreign);
    return status;
}

static cop_status write_metadata(writer *w, json_t *strings) {
    cop_status status = copi_metadata_write(w->net, strings);
    if (!status) status = copi_metadata_write_marks(w->net, NULL, strings);
    if (!status && w->net->metadata) status = spell_out_foreign(w->ctx, strings);
    if (status) return status;
    Onnx__ModelProto *m = &w->model;
    size_t count = json_object_size(strings);
    Onnx__StringStringEntryProto *entry = make(w, count, sizeof *entry);
    m->metadata_props = make(w, count, sizeof(void *));
    if (w->failed) return COP_E_NOMEM;
    const char *key;
    json_t *value;
    json_object_foreach(strings, key, value) {
        Onnx__StringStringEntryProto *e = &entry[m->n_metadata_props];
        onnx__string_string_entry_proto__init(e);
        e->key = text(key);
        e->value = text(json_string_value(value));
        m->metadata_props[m->n_metadata_props++] = e;
    }
    return COP_OK;
}

/* protobuf-c hands over what it packs piece by piece. */
typedef struct sink {
    ProtobufCBuffer base; /* first: protobuf-c's pointer to it is one to the sink */
    copi_atomic *file;
} sink;

static void append(ProtobufCBuffer *base, size_t n, const uint8_t *bytes) {
    const sink *s = (const sink *)base;
    copi_atomic_write(s->file, bytes, n);
}

static cop_status write_file(writer *w, const char *path) {
    copi_atomic file;
    size_t size = protobuf_c_message_get_packed_size(&w->model.base);
    if (size > INT32_MAX) {
        return copi_fail(
            w->ctx, COP_E_UNSUPPORTED,
            "an ONNX file of %zu bytes; programs read at most %d (protobuf's limit): .safetensors has none", size,
            INT32_MAX);
    }
    cop_status status = copi_atomic_open(w->ctx, path, &file);
    if (status) return status;
    sink s = {.base = {.append = append}, .file = &file};
    protobuf_c_message_pack_to_buffer(&w->model.base, &s.base);
    return copi_atomic_commit(&file);
}

static cop_status write_model(writer *w, const char *path) {
    Onnx__OperatorSetIdProto imported = ONNX__OPERATOR_SET_ID_PROTO__INIT, *import = &imported;
    imported.domain = text("");
    imported.has_version = 1;
    imported.version = 13;
    onnx__model_proto__init(&w->model);
    w->model.has_ir_version = 1;
    w->model.ir_version = 8;
    w->model.producer_name = text("coppice");
    w->model.producer_version = text(cop_version());
    w->model.graph = &w->graph;
    w->model.n_opset_import = 1;
    w->model.opset_import = &import;
    cop_status status = check_names(w->net);
    for (int i = 0; !status && i < w->net->params; i++)
        status = copi_param_check(w->ctx, &w->net->param[i], COP_E_RANGE);
    if (!status) status = write_graph(w);
    json_t *strings = json_object();
    if (!status) status = strings ? write_metadata(w, strings) : copi_json_no_memory(w->ctx);
    if (!status) status = write_file(w, path);
    json_decref(strings);
    if (!status && w->dropouts) {
        copi_log(w->ctx, COP_LOG_INFO, "%s: %d dropout layer%s left out: an ONNX file is for inference", path,
                 w->dropouts, w->dropouts == 1 ? "" : "s");
    }
    return status;
}

cop_status copi_onnx_save(const cop_net *net, copi_onnx_form form, const char *path) {
    writer w = {.ctx = net->ctx, .net = net, .form = form};
    cop_status status = write_model(&w, path);
    for (size_t i = 0; i < w.blocks; i++) copi_free(w.ctx, w.block[i]);
    copi_free(w.ctx, w.block);
    return status && status != COP_E_IO ? copi_fail_in(net->ctx, status, "%s", path)
                                        : status; /* IO names it itself */
}
