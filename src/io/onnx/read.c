/* The graph of an ONNX file, node by node, into a net. */
#include "io/onnx/onnx.h"

#include "io/json.h"
#include "io/metadata.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* -- the graph -- */

static cop_status declare(copi_onnx_reader *r, const char *name, int producer) {
    if (copi_name_map_get(&r->names, name) >= 0) {
        return copi_fail(r->ctx, COP_E_FORMAT, "two values are named '%s'", name);
    }
    if (r->values == r->value_cap) {
        int more = r->value_cap ? 2 * r->value_cap : 256;
        void *grown = copi_grow(r->ctx, r->value, (size_t)r->values, (size_t)more, sizeof *r->value);
        if (!grown) return COP_E_NOMEM;
        r->value = grown;
        r->value_cap = more;
    }
    r->value[r->values] = (copi_onnx_value){.name = name, .producer = producer};
    return copi_name_map_set(&r->names, name, r->values++);
}

static cop_status declare_constant(copi_onnx_reader *r, const char *name) {
    if (!name || !*name) return copi_fail(r->ctx, COP_E_FORMAT, "an initializer has no name");
    cop_status status = declare(r, name, -1);
    if (!status) r->value[r->values - 1].kind = COPI_ONNX_CONSTANT;
    return status;
}

/* They are the first values. */
static cop_status declare_initializers(copi_onnx_reader *r) {
    const Onnx__GraphProto *g = r->proto;
    cop_status status = COP_OK;
    for (size_t i = 0; !status && i < g->n_initializer; i++) status = declare_constant(r, g->initializer[i]->name);
    for (size_t i = 0; !status && i < g->n_sparse_initializer; i++) {
        const Onnx__SparseTensorProto *s = g->sparse_initializer[i];
        status = declare_constant(r, s->values ? s->values->name : NULL);
    }
    return status;
}

/* Those that something needs: the rest may be of any type. */
static cop_status read_initializers(copi_onnx_reader *r) {
    const Onnx__GraphProto *g = r->proto;
    copi_onnx_value *v = r->value;
    cop_status status = COP_OK;
    for (size_t i = 0; !status && i < g->n_initializer; i++, v++) {
        if (v->consumers) status = copi_onnx_tensor_read(r, g->initializer[i], &v->tensor);
    }
    for (size_t i = 0; !status && i < g->n_sparse_initializer; i++, v++) {
        if (v->consumers) status = copi_onnx_sparse_read(r, g->sparse_initializer[i], &v->tensor);
    }
    return status;
}

/* The one input that is no initializer. */
static cop_status declare_input(copi_onnx_reader *r) {
    const Onnx__ValueInfoProto *only = NULL;
    for (size_t i = 0; i < r->proto->n_input; i++) {
        const Onnx__ValueInfoProto *v = r->proto->input[i];
        if (!v->name || !*v->name) return copi_fail(r->ctx, COP_E_FORMAT, "an input has no name");
        if (copi_name_map_get(&r->names, v->name) >= 0) continue;
        if (only) {
            return copi_fail(r->ctx, COP_E_UNSUPPORTED, "the graph has two inputs, '%s' and '%s'; nets have one",
                             only->name, v->name);
        }
        only = v;
    }
    if (!only) return copi_fail(r->ctx, COP_E_FORMAT, "the graph has no input");
    r->input = r->values;
    return declare(r, only->name, -1);
}

static cop_status declare_outputs(copi_onnx_reader *r) {
    cop_status status = COP_OK;
    for (size_t i = 0; !status && i < r->proto->n_node; i++) {
        const Onnx__NodeProto *node = r->proto->node[i];
        for (size_t k = 0; !status && k < node->n_output; k++) {
            if (*node->output[k]) status = declare(r, node->output[k], (int)i);
        }
    }
    return status;
}

/* Marks the nodes that the output needs, and counts who reads what. */
static cop_status find_needed(copi_onnx_reader *r) {
    const Onnx__GraphProto *g = r->proto;
    int *stack = copi_onnx_arena(r, (size_t)r->values + 1, sizeof *stack), depth = 0;
    uint8_t *seen = copi_onnx_arena(r, (size_t)r->values + 1, 1);
    r->needed = copi_onnx_arena(r, g->n_node + 1, 1);
    if (!stack || !seen || !r->needed) return COP_E_NOMEM;
    stack[depth++] = r->output;
    seen[r->output] = 1;
    while (depth) {
        int producer = r->value[stack[--depth]].producer;
        if (producer < 0 || r->needed[producer]) continue;
        r->needed[producer] = 1;
        const Onnx__NodeProto *node = g->node[producer];
        for (size_t i = 0; i < node->n_input; i++) {
            if (!*node->input[i]) continue;
            int v = copi_name_map_get(&r->names, node->input[i]);
            if (v < 0) {
                return copi_fail(r->ctx, COP_E_FORMAT, "%s '%s' reads '%s', which nothing produces",
                                 copi_onnx_text_or(node->op_type, "node"), copi_onnx_text_or(node->name, ""),
                                 node->input[i]);
            }
            r->value[v].consumers++;
            if (seen[v]) continue;
            seen[v] = 1;
            stack[depth++] = v;
        }
    }
    r->value[r->output].consumers++; /* whoever asked for it */
    return COP_OK;
}

/* -- the input's layout -- */

typedef enum layout { UNKNOWN, CHANNELS_FIRST, CHANNELS_LAST } layout;

/* What reads an image says in which order it takes it: a Transpose to channels first means they come last. */
static layout layout_by(const copi_onnx_reader *r, const Onnx__NodeProto *node, bool *follows) {
    static const char *const spatial[] = {
        "Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "BatchNormalization", NULL};
    static const char *const through[] = {"Identity", "Cast", "Add",  "Sub", "Mul",
                                          "Div",      "Relu", "Clip", "Pad", NULL};
    const char *op = copi_onnx_text_or(node->op_type, "");
    *follows = copi_index_of(op, through) >= 0;
    if (copi_index_of(op, spatial) >= 0) return CHANNELS_FIRST;
    if (strcmp(op, "Transpose") != 0) return UNKNOWN;
    copi_onnx_node n = {.r = (copi_onnx_reader *)(uintptr_t)r, .proto = node};
    const Onnx__AttributeProto *perm = copi_onnx_attribute(&n, "perm");
    bool last = perm && perm->n_ints == 4 && perm->ints[1] == 3 && perm->ints[2] == 1 && perm->ints[3] == 2;
    return last ? CHANNELS_LAST : UNKNOWN;
}

static cop_status find_layout(copi_onnx_reader *r, const int64_t dims[3], layout *found) {
    uint8_t *tracked = copi_onnx_arena(r, (size_t)r->values + 1, 1);
    if (!tracked) return COP_E_NOMEM;
    tracked[r->input] = 1;
    *found = UNKNOWN;
    for (size_t i = 0; i < r->proto->n_node && *found == UNKNOWN; i++) {
        const Onnx__NodeProto *node = r->proto->node[i];
        int v = r->needed[i] && node->n_input ? copi_name_map_get(&r->names, node->input[0]) : -1;
        if (v < 0 || !tracked[v]) continue;
        bool follows;
        *found = layout_by(r, node, &follows);
        if (follows && node->n_output && *node->output[0]) {
            tracked[copi_name_map_get(&r->names, node->output[0])] = 1;
        }
    }
    /* nobody says: few numbers at the end and many before are channels at the end */
    if (*found == UNKNOWN) *found = dims[2] <= 4 && dims[0] > 4 ? CHANNELS_LAST : CHANNELS_FIRST;
    return COP_OK;
}

/* [N,F]: read as the image it must have been flattened from. */
static void guess_image(int64_t count, int64_t image[3]) {
    static const int64_t channels[] = {1, 3};
    image[0] = image[1] = 1;
    image[2] = count;
    for (size_t i = 0; i < COPI_COUNT(channels); i++) {
        int64_t side = (int64_t)sqrt((double)count / (double)channels[i]);
        if (side * side * channels[i] != count) continue;
        image[0] = channels[i];
        image[1] = image[2] = side;
        return;
    }
}

static cop_status input_extent(copi_onnx_reader *r, const Onnx__TensorShapeProto__Dimension *dim, int number,
                               int64_t *extent) {
    if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && dim->dim_value > 0 &&
        dim->dim_value <= COPI_MAX_EXTENT) {
        *extent = dim->dim_value;
        return COP_OK;
    }
    return copi_fail(
        r->ctx, COP_E_UNSUPPORTED,
        "dimension %d of the input '%s' is not fixed; only the number of images may be open: export with a fixed "
        "image size",
        number, r->value[r->input].name);
}

static cop_status read_input(copi_onnx_reader *r) {
    const Onnx__ValueInfoProto *info = NULL;
    copi_onnx_value *v = &r->value[r->input];
    for (size_t i = 0; i < r->proto->n_input; i++) {
        if (strcmp(r->proto->input[i]->name, v->name) == 0) info = r->proto->input[i];
    }
    const Onnx__TypeProto *type = info->type;
    const Onnx__TypeProto__Tensor *tensor =
        type && type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ? type->tensor_type : NULL;
    const Onnx__TensorShapeProto *shape = tensor ? tensor->shape : NULL;
    if (!shape || (shape->n_dim != 4 && shape->n_dim != 2)) {
        return copi_fail(r->ctx, COP_E_UNSUPPORTED, "the input '%s' has %zu dimensions; images have 4, vectors 2",
                         v->name, shape ? shape->n_dim : 0);
    }
    int64_t dims[3] = {0};
    cop_status status = COP_OK;
    for (size_t i = 1; !status && i < shape->n_dim; i++)
        status = input_extent(r, shape->dim[i], (int)i, &dims[i - 1]);
    if (status) return status;
    const Onnx__TensorShapeProto__Dimension *first = shape->dim[0];
    r->batch = first->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE ? first->dim_value : -1;

    layout order = CHANNELS_FIRST;
    if (shape->n_dim == 2) {
        guess_image(dims[0], v->shape);
    } else {
        status = find_layout(r, dims, &order);
        if (status) return status;
        static const int axes[2][3] = {{0, 1, 2}, {1, 2, 0}};
        for (int d = 0; d < 3; d++) {
            v->axis[d] = axes[order == CHANNELS_LAST][d];
            v->shape[v->axis[d]] = dims[d];
        }
    }
    if (shape->n_dim == 2) memcpy(v->axis, (const int[]){0, 1, 2}, sizeof v->axis);
    v->kind = shape->n_dim == 2 ? COPI_ONNX_VECTOR : COPI_ONNX_IMAGE;
    char *name;
    char wanted[COPI_MAX_NAME + 1];
    copi_onnx_name_layer(&(copi_onnx_node){.r = r, .proto = &(Onnx__NodeProto){.name = (char *)(uintptr_t)v->name}},
                         NULL, wanted, sizeof wanted);
    status = copi_onnx_unique(r, wanted, &name);
    if (status) return status;
    v->node = cop_graph_input(r->graph, name, v->shape[0], v->shape[1], v->shape[2]);
    return v->node < 0 ? r->graph->status : COP_OK;
}

/* -- the nodes -- */

static bool knows_attribute(const copi_onnx_op *op, const char *name) {
    size_t n = strlen(name);
    for (const char *at = op->attributes; (at = strstr(at, name)); at += n) {
        if ((at == op->attributes || at[-1] == ' ') && (!at[n] || at[n] == ' ')) return true;
    }
    return false;
}

static cop_status check_node(const copi_onnx_node *n, const copi_onnx_op *op) {
    const char *domain = copi_onnx_text_or(n->proto->domain, "");
    if (!op || (*domain && strcmp(domain, "ai.onnx") != 0)) {
        char list[768];
        copi_onnx_op_list(list, sizeof list);
        return copi_onnx_fail(n, COP_E_UNSUPPORTED, "this op%s%s is not supported; supported: %s",
                              *domain ? " of domain " : "", domain, list);
    }
    for (size_t i = 0; i < n->proto->n_attribute; i++) {
        const Onnx__AttributeProto *a = n->proto->attribute[i];
        if (a->name && *a->name && !a->ref_attr_name && knows_attribute(op, a->name)) continue;
        return copi_onnx_fail(n, COP_E_UNSUPPORTED, "its attribute '%s' is not supported",
                              copi_onnx_text_or(a->name, ""));
    }
    if (!n->proto->n_output || !*n->proto->output[0]) return copi_onnx_fail(n, COP_E_FORMAT, "it has no output");
    for (size_t i = 0; i < n->proto->n_input; i++) {
        const copi_onnx_value *v = copi_onnx_input(n, (int)i);
        if (v && v->kind == COPI_ONNX_ABSENT) {
            return copi_onnx_fail(n, COP_E_FORMAT, "it reads '%s', which no earlier node produces", v->name);
        }
    }
    return COP_OK;
}

static cop_status read_node(copi_onnx_reader *r, int number) {
    copi_onnx_node n = {.r = r, .proto = r->proto->node[number], .number = number};
    const copi_onnx_op *op = copi_onnx_op_find(copi_onnx_text_or(n.proto->op_type, ""));
    cop_status status = check_node(&n, op);
    if (!status) status = op->read(&n);
    if (status && r->graph->status == status && status != COP_E_NOMEM) {
        return copi_onnx_fail(&n, COP_E_UNSUPPORTED, "%s", cop_error(r->ctx)); /* the net can't be so */
    }
    return status;
}

static cop_status read_nodes(copi_onnx_reader *r) {
    cop_status status = COP_OK;
    for (size_t i = 0; !status && i < r->proto->n_node; i++) {
        if (r->needed[i]) status = read_node(r, (int)i);
    }
    return status;
}

static cop_status settle_output(copi_onnx_reader *r) {
    copi_onnx_value *v = &r->value[r->output];
    if (v->kind != COPI_ONNX_IMAGE && v->kind != COPI_ONNX_VECTOR) {
        return copi_fail(r->ctx, COP_E_UNSUPPORTED, "the output '%s' does not depend on the images", v->name);
    }
    cop_status status = copi_onnx_lay_flat(r, v);
    const int64_t *order = NULL;
    if (!status) status = copi_onnx_order(r, v, &order);
    if (!status && (order || copi_onnx_is_padded(v))) {
        status =
            copi_fail(r->ctx, COP_E_UNSUPPORTED, "the output '%s' is padded, or laid out in another order", v->name);
    }
    return status;
}

/* -- numbers into the net -- */

/* Where a tensor's floats are to be had: its file, or memory. */
static copi_file file_of(copi_onnx_reader *r, const copi_onnx_tensor *t) {
    const copi_file *file = copi_onnx_file_at(r, t->floats);
    return file ? *file : copi_file_of(r->ctx, t->floats, (size_t)t->count * sizeof(float));
}

/* A dense kernel given as [in,out], a band of inputs at a time: they are read in one go, and each unit's part of the
 * band fills a cache line. */
static cop_status fill_transposed(copi_onnx_reader *r, const copi_onnx_fill *f, float *to, int64_t rows,
                                  int64_t columns) {
    enum { BAND = 16 };
    float *band = copi_alloc(r->ctx, (size_t)rows, BAND * sizeof *band);
    if (!band) return COP_E_NOMEM;
    copi_file file = file_of(r, &f->tensor);
    cop_status status = COP_OK;
    for (int64_t i0 = 0; !status && i0 < columns; i0 += BAND) {
        int64_t inputs = columns - i0 < BAND ? columns - i0 : BAND;
        status =
            copi_file_read(&file, f->tensor.floats + 4 * i0 * rows, (size_t)(inputs * rows) * sizeof *band, band);
        for (int64_t o = 0; !status && o < rows; o++) {
            for (int64_t i = 0; i < inputs; i++)
                to[o * columns + (f->order ? f->order[i0 + i] : i0 + i)] = band[i * rows + o];
        }
    }
    copi_free(r->ctx, band);
    return status;
}

static cop_status fill_ordered(copi_onnx_reader *r, const copi_onnx_fill *f, copi_param *p, int64_t columns) {
    cop_status status = copi_onnx_need(r, &f->tensor);
    for (int64_t k = 0; !status && k < p->count; k++) {
        int64_t to = f->order ? k / columns * columns + f->order[k % columns] : k;
        p->data[to] = copi_onnx_float(&f->tensor, k);
    }
    return status;
}

static cop_status fill(copi_onnx_reader *r, cop_net *net, const copi_onnx_fill *f) {
    copi_param *p = copi_node_slot(net, &net->node[f->node], f->slot);
    int64_t columns = p->rank == 2 ? p->shape[1] : p->count, rows = columns ? p->count / columns : 0;
    cop_status status;
    if (f->transposed) {
        status = fill_transposed(r, f, p->data, rows, columns);
    } else if (f->order) {
        status = fill_ordered(r, f, p, columns);
    } else {
        copi_file file = file_of(r, &f->tensor);
        status = copi_param_read(&file, f->tensor.floats, p, COP_E_FORMAT);
    }
    if (status) return status;
    for (int64_t k = 0; f->scale != 1 && k < p->count; k++) p->data[k] = (float)((double)p->data[k] * f->scale);
    if (f->transposed || f->order || f->scale != 1) status = copi_param_check(r->ctx, p, COP_E_FORMAT);
    if (!status && f->tensor.sparse) status = copi_param_mask_zeros(net, p);
    return status;
}

/* Every parameter's numbers fit it, and all together are no more than the file warrants: a file may name one tensor a
 * thousand times. Before the net takes its memory. */
static cop_status check_fills(copi_onnx_reader *r) {
    size_t asked = 0;
    for (int i = 0; i < r->fills; i++) {
        const copi_onnx_fill *f = &r->fill[i];
        const cop_net *net = r->graph->net;
        const copi_param *p = copi_node_slot(net, &net->node[f->node], f->slot);
        if (!f->tensor.real || p->count != f->tensor.count) {
            return copi_fail(r->ctx, COP_E_FORMAT, "%s takes %" PRId64 " floats; the file gives %" PRId64 " %s",
                             p->name, p->count, f->tensor.count, f->tensor.real ? "" : "integers");
        }
        asked += (size_t)p->count * sizeof(float);
    }
    return copi_onnx_warranted(r, asked);
}

/* coppice.* says what only this program writes; the rest is another program's and stays as it is. */
static cop_status read_metadata(copi_onnx_reader *r, cop_net *net) {
    json_t *strings = json_object(), *foreign = json_object();
    cop_status status = strings && foreign ? COP_OK : copi_json_no_memory(r->ctx);
    for (size_t i = 0; !status && i < r->model->n_metadata_props; i++) {
        const Onnx__StringStringEntryProto *e = r->model->metadata_props[i];
        if (!e->key || !e->value) continue;
        if (strncmp(e->key, "coppice.", 8) != 0) {
            if (json_object_set_new(foreign, e->key, json_string(e->value)))
                copi_log(r->ctx, COP_LOG_WARNING, "metadata '%.100s' is left out: it is not UTF-8", e->key);
            continue;
        }
        status = copi_json_check_text(r->ctx, "metadata", e->value);
        if (!status && json_object_set_new(strings, e->key, json_string(e->value))) {
            status = copi_fail(r->ctx, COP_E_FORMAT, "metadata '%s' is not UTF-8", e->key);
        }
    }
    if (!status) status = copi_metadata_read(net, strings);
    if (!status) status = copi_metadata_read_marks(net, strings);
    if (!status && json_object_size(foreign)) status = copi_metadata_set_foreign(net, foreign);
    json_decref(strings);
    json_decref(foreign);
    return status;
}

/* What became of the graph, for `inspect`. */
static cop_status note_import(copi_onnx_reader *r, cop_net *net) {
    int nodes = 0;
    for (size_t i = 0; i < r->proto->n_node; i++) nodes += r->needed[i];
    cop_status status = copi_net_note(
        net, "imported from ONNX (%.40s %.40s, opset %" PRId64 "): %d nodes, %d of them folded away, %d layers",
        copi_onnx_text_or(r->model->producer_name, "unknown producer"),
        copi_onnx_text_or(r->model->producer_version, ""), r->opset, nodes, r->left_out, net->nodes);
    if (!status && r->logits) {
        status = copi_net_note(
            net, "the LogSoftmax at the output was left out: the net gives the logits it would normalize");
    }
    if (!status && r->training) {
        copi_log(r->ctx, COP_LOG_WARNING,
                 "batch-norms in training form, by each batch's own statistics: %d; read in inference form, by the "
                 "running mean and variance",
                 r->training);
        status = copi_net_note(net, "batch-norms in training form, read in inference form: %d", r->training);
    }
    return status;
}

static cop_status build(copi_onnx_reader *r, cop_net **net) {
    cop_status status = check_fills(r);
    if (status) return status;
    cop_graph *graph = r->graph;
    r->graph = NULL;
    status = copi_graph_build_raw(graph, net);
    if (status) return status == COP_E_NOMEM ? status : copi_fail_in(r->ctx, COP_E_UNSUPPORTED, "graph");
    for (int i = 0; !status && i < r->fills; i++) status = fill(r, *net, &r->fill[i]);
    if (!status) status = read_metadata(r, *net);
    if (!status) copi_net_apply_masks(*net);
    if (!status) status = note_import(r, *net);
    if (!status && r->input_scaled) status = copi_metadata_normalize(*net, r->input_scale, r->input_shift);
    return status;
}

/* Ours, also where another tool has made something of it since and left the metadata. */
static bool is_own(const Onnx__ModelProto *model) {
    bool own = strcmp(copi_onnx_text_or(model->producer_name, ""), "coppice") == 0;
    for (size_t i = 0; !own && i < model->n_metadata_props; i++)
        own = strcmp(copi_onnx_text_or(model->metadata_props[i]->key, ""), "coppice.dense") == 0;
    return own;
}

static cop_status find_opset(copi_onnx_reader *r) {
    r->opset = 0;
    for (size_t i = 0; i < r->model->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *o = r->model->opset_import[i];
        if (!*copi_onnx_text_or(o->domain, "") || strcmp(o->domain, "ai.onnx") == 0) r->opset = o->version;
    }
    if (r->opset >= 7) return COP_OK;
    return copi_fail(r->ctx, COP_E_VERSION, "ONNX opset %" PRId64 "; coppice %s reads opset 7 and later", r->opset,
                     cop_version());
}

static cop_status read_model(copi_onnx_reader *r, cop_net **net) {
    r->proto = r->model->graph;
    if (!r->proto) return copi_fail(r->ctx, COP_E_FORMAT, "no graph: not an ONNX model?");
    if (r->proto->n_output != 1 || !r->proto->output[0]->name) {
        return copi_fail(r->ctx, COP_E_UNSUPPORTED, "the graph has %zu outputs; nets have one", r->proto->n_output);
    }
    r->own = is_own(r->model);
    cop_status status = find_opset(r);
    if (!status) status = declare_initializers(r);
    if (!status) status = declare_input(r);
    if (!status) status = declare_outputs(r);
    if (status) return status;
    r->output = copi_name_map_get(&r->names, r->proto->output[0]->name);
    if (r->output < 0) {
        return copi_fail(r->ctx, COP_E_FORMAT, "nothing produces the output '%s'", r->proto->output[0]->name);
    }
    status = find_needed(r);
    if (!status) status = read_initializers(r);
    if (!status) status = read_input(r);
    if (!status) status = read_nodes(r);
    if (!status) status = settle_output(r);
    if (!status) status = build(r, net);
    return status;
}

cop_status copi_onnx_read(copi_file *file, const char *path, cop_net **net) {
    cop_ctx *ctx = file->ctx;
    *net = NULL;
    copi_onnx_reader *r = copi_alloc(ctx, 1, sizeof *r);
    if (!r) return COP_E_NOMEM;
    r->ctx = ctx;
    r->path = path;
    r->file = file;
    r->file_size = file->size;
    copi_name_map_init(&r->names, ctx);
    copi_name_map_init(&r->layers, ctx);
    cop_net *made = NULL;
    cop_status status = copi_onnx_unpack(file, &r->model);
    if (!status) status = cop_graph_create(ctx, &r->graph);
    if (!status) status = read_model(r, &made);
    cop_graph_destroy(r->graph);
    copi_onnx_free(ctx, r->model);
    copi_name_map_clear(&r->names);
    copi_name_map_clear(&r->layers);
    for (int i = 0; i < r->blocks; i++) copi_free(ctx, r->block[i]);
    for (int i = 0; i < r->externals; i++) {
        copi_file_close(&r->external[i].file);
        copi_free(ctx, r->external[i].path);
    }
    copi_free(ctx, r->block);
    copi_free(ctx, r->value);
    copi_free(ctx, r->fill);
    copi_free(ctx, r);
    if (status) {
        cop_net_destroy(made);
        return status;
    }
    *net = made;
    return COP_OK;
}

cop_status copi_onnx_parse(cop_ctx *ctx, const uint8_t *bytes, size_t n, cop_net **net) {
    copi_file file = copi_file_of(ctx, bytes, n);
    return copi_onnx_read(&file, NULL, net);
}
