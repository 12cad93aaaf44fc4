#include "io/safetensors/graph_json.h"

#include "io/json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* The dense net's totals, with the key of each. */
static const struct {
    const char *key;
    size_t offset; /* in cop_net */
} totals[] = {
    {"parameters", offsetof(cop_net, dense_parameters)},
    {"conv", offsetof(cop_net, dense_conv)},
    {"dense", offsetof(cop_net, dense_dense)},
    {"macs", offsetof(cop_net, dense_macs)},
};

/* -- writing -- */

static json_t *sizes_to_json(const int64_t *size, int count) {
    if (count == 1) return json_integer(*size);
    json_t *list = json_array();
    for (int i = 0; i < count; i++) json_array_append_new(list, json_integer(size[i]));
    if (json_array_size(list) == (size_t)count) return list;
    json_decref(list);
    return NULL;
}

static int sizes_of(const copi_attribute *a) {
    return (int)(a->bytes / sizeof(int64_t));
}

static json_t *attribute_to_json(const copi_attribute *a, const copi_node *node) {
    const void *field = (const char *)node + a->offset;
    if (a->kind == COPI_ATTRIBUTE_REAL) return json_real(*(const double *)field);
    if (a->kind == COPI_ATTRIBUTE_FLAG) return json_integer(*(const int *)field);
    return sizes_to_json(field, sizes_of(a));
}

static cop_status attributes_to_json(const cop_net *net, const copi_node *node, json_t *object) {
    for (const copi_attribute *a = copi_op_attributes(node->op); a->key; a++) {
        if (a->kind == COPI_ATTRIBUTE_REAL) {
            double value;
            memcpy(&value, (const char *)node + a->offset, sizeof value);
            if (!isfinite(value)) {
                return copi_fail(net->ctx, COP_E_RANGE, "%s: %s is %g", node->name, a->key, value);
            }
        }
        if (json_object_set_new(object, a->key, attribute_to_json(a, node))) return copi_json_no_memory(net->ctx);
    }
    return COP_OK;
}

static cop_status node_to_json(const cop_net *net, const copi_node *node, json_t **object) {
    cop_status status = copi_json_check_text(net->ctx, "layer name", node->name);
    if (status) return status;
    json_t *inputs = json_array();
    for (int i = 0; i < node->nsrc; i++) json_array_append_new(inputs, json_string(net->node[node->src[i]].name));
    bool whole = json_array_size(inputs) == (size_t)node->nsrc;
    *object =
        json_pack("{s:s, s:s, s:o*, s:I, s:I}", "name", node->name, "op", copi_op_text(node->op), "inputs", inputs,
                  "dense_count", (json_int_t)node->dense_count, "dense_macs", (json_int_t)node->dense_macs);
    if (!*object || !whole) return copi_json_no_memory(net->ctx);
    return attributes_to_json(net, node, *object);
}

cop_status copi_graph_to_json(const cop_net *net, json_t **json) {
    *json = NULL;
    json_t *nodes = json_array();
    cop_status status = nodes ? COP_OK : copi_json_no_memory(net->ctx);
    for (int i = 0; !status && i < net->nodes; i++) {
        json_t *node = NULL;
        status = node_to_json(net, &net->node[i], &node);
        if (status) {
            json_decref(node);
        } else if (json_array_append_new(nodes, node)) {
            status = copi_json_no_memory(net->ctx);
        }
    }
    json_t *dense = json_object(), *root = json_object();
    for (size_t i = 0; !status && i < COPI_COUNT(totals); i++) {
        const int64_t *total = (const int64_t *)(const void *)((const char *)net + totals[i].offset);
        if (json_object_set_new(dense, totals[i].key, json_integer(*total))) status = copi_json_no_memory(net->ctx);
    }
    if (!status && (json_object_set(root, "nodes", nodes) || json_object_set(root, "dense", dense))) {
        status = copi_json_no_memory(net->ctx);
    }
    json_decref(nodes);
    json_decref(dense);
    if (status) {
        json_decref(root);
        root = NULL;
    }
    *json = root;
    return status;
}

/* -- reading -- */

static bool get_sizes(const json_t *value, int64_t *size, int count) {
    if (count > 1 && json_array_size(value) != (size_t)count) return false;
    for (int i = 0; i < count; i++) {
        const json_t *item = count > 1 ? json_array_get(value, (size_t)i) : value;
        if (!json_is_integer(item)) return false;
        size[i] = json_integer_value(item);
    }
    return true;
}

static bool get_attribute(const copi_attribute *a, const json_t *value, copi_node *node) {
    void *field = (char *)node + a->offset;
    int64_t flag;
    switch (a->kind) {
    case COPI_ATTRIBUTE_REAL:
        *(double *)field = json_number_value(value);
        return json_is_number(value);
    case COPI_ATTRIBUTE_FLAG:
        if (!get_sizes(value, &flag, 1) || (flag != 0 && flag != 1)) return false;
        *(int *)field = (int)flag;
        return true;
    case COPI_ATTRIBUTE_SIZES:
        return get_sizes(value, field, sizes_of(a));
    }
    return false;
}

static bool op_from_name(const char *name, copi_op *op) {
    for (int i = 0; name && i < COPI_OPS; i++) {
        if (strcmp(copi_op_text((copi_op)i), name) == 0) {
            *op = (copi_op)i;
            return true;
        }
    }
    return false;
}

/* The nodes read so far: name -> number, so that a long graph is read in linear time. */
static cop_status read_inputs(cop_ctx *ctx, const json_t *object, const char *name, const json_t *numbers, int **src,
                              int *nsrc) {
    const json_t *inputs = json_object_get(object, "inputs");
    if (!json_is_array(inputs)) return copi_fail(ctx, COP_E_FORMAT, "layer '%s' has no list 'inputs'", name);
    size_t count = json_array_size(inputs);
    if (count > COPI_MAX_NODES) return copi_fail(ctx, COP_E_FORMAT, "layer '%s' has %zu inputs", name, count);
    int *list = copi_alloc(ctx, count + 1, sizeof *list);
    if (!list) return COP_E_NOMEM;
    for (size_t i = 0; i < count; i++) {
        const char *input = json_string_value(json_array_get(inputs, i));
        const json_t *number = input ? json_object_get(numbers, input) : NULL;
        if (!number) {
            copi_free(ctx, list);
            return copi_fail(ctx, COP_E_FORMAT, "layer '%s' reads '%s', which is not an earlier layer", name,
                             input ? input : "(not a name)");
        }
        list[i] = (int)json_integer_value(number);
    }
    *src = list;
    *nsrc = (int)count;
    return COP_OK;
}

static const copi_attribute *find_attribute(copi_op op, const char *key) {
    for (const copi_attribute *a = copi_op_attributes(op); a->key; a++)
        if (strcmp(a->key, key) == 0) return a;
    return NULL;
}

/* Every key is known, and every attribute of the op is there. */
static cop_status read_attributes(cop_ctx *ctx, json_t *object, const char *name, copi_node *node) {
    static const char *const common[] = {"name", "op", "inputs", "dense_count", "dense_macs", NULL};
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        if (copi_index_of(key, common) >= 0) continue;
        const copi_attribute *a = find_attribute(node->op, key);
        if (!a) {
            return copi_fail(ctx, COP_E_FORMAT, "layer '%s': %s has no attribute '%s'", name, copi_op_text(node->op),
                             key);
        }
        if (!get_attribute(a, value, node)) {
            return copi_fail(ctx, COP_E_FORMAT, "layer '%s': '%s' has an impossible value", name, key);
        }
    }
    for (const copi_attribute *a = copi_op_attributes(node->op); a->key; a++)
        if (!json_object_get(object, a->key))
            return copi_fail(ctx, COP_E_FORMAT, "layer '%s' has no '%s'", name, a->key);
    return COP_OK;
}

static cop_status read_node(cop_ctx *ctx, json_t *object, size_t number, json_t *numbers, cop_graph *graph) {
    const char *name = json_string_value(json_object_get(object, "name"));
    const char *op = json_string_value(json_object_get(object, "op"));
    if (!name || !*name) return copi_fail(ctx, COP_E_FORMAT, "layer %zu has no name", number);
    if (json_object_get(numbers, name)) return copi_fail(ctx, COP_E_FORMAT, "two layers are named '%s'", name);
    copi_node node = {.rank = 3}; /* of the input, whose attribute is its shape; other ops find theirs */
    if (!op_from_name(op, &node.op)) {
        return copi_fail(ctx, COP_E_UNSUPPORTED, "layer '%s' is of the unknown op '%s'", name, op ? op : "");
    }
    if ((node.op == COPI_OP_INPUT) != (number == 0)) {
        return copi_fail(ctx, COP_E_FORMAT,
                         "layer '%s' is number %zu and of op '%s'; the input is the first, and only it", name, number,
                         op);
    }
    cop_status status = read_attributes(ctx, object, name, &node);
    if (status) return status;
    int *src = NULL, nsrc = 0;
    status = read_inputs(ctx, object, name, numbers, &src, &nsrc);
    if (status) return status;
    int added = copi_graph_add(graph, name, &node, src, nsrc);
    copi_free(ctx, src);
    if (added < 0) {
        if (graph->status == COP_E_NOMEM) return COP_E_NOMEM;
        return copi_fail_in(ctx, COP_E_FORMAT, "graph"); /* impossible here means malformed there */
    }
    return json_object_set_new(numbers, name, json_integer(added)) ? copi_json_no_memory(ctx) : COP_OK;
}

cop_status copi_graph_from_json(cop_ctx *ctx, const json_t *json, cop_graph *graph) {
    const json_t *nodes = json_object_get(json, "nodes");
    size_t count = json_array_size(nodes);
    if (!count) return copi_fail(ctx, COP_E_FORMAT, "graph has no 'nodes'");
    if (count > COPI_MAX_NODES) {
        return copi_fail(ctx, COP_E_UNSUPPORTED, "graph has %zu layers; at most %d are supported", count,
                         COPI_MAX_NODES);
    }
    json_t *numbers = json_object();
    cop_status status = numbers ? COP_OK : copi_json_no_memory(ctx);
    for (size_t i = 0; !status && i < count; i++)
        status = read_node(ctx, json_array_get(nodes, i), i, numbers, graph);
    json_decref(numbers);
    return status;
}

static cop_status read_total(cop_ctx *ctx, const json_t *object, const char *key, const char *whose, int64_t *total) {
    const json_t *value = json_object_get(object, key);
    *total = json_integer_value(value);
    if (json_is_integer(value) && *total >= 0) return COP_OK;
    return copi_fail(ctx, COP_E_FORMAT, "%s: '%s' is missing or not a count", whose, key);
}

cop_status copi_graph_totals_from_json(cop_ctx *ctx, const json_t *json, cop_net *net) {
    const json_t *nodes = json_object_get(json, "nodes"), *dense = json_object_get(json, "dense");
    cop_status status = COP_OK;
    for (int i = 0; !status && i < net->nodes; i++) {
        copi_node *node = &net->node[i];
        const json_t *object = json_array_get(nodes, (size_t)i);
        status = read_total(ctx, object, "dense_count", node->name, &node->dense_count);
        if (!status) status = read_total(ctx, object, "dense_macs", node->name, &node->dense_macs);
    }
    for (size_t i = 0; !status && i < COPI_COUNT(totals); i++) {
        int64_t total = 0;
        status = read_total(ctx, dense, totals[i].key, "dense totals", &total);
        memcpy((char *)net + totals[i].offset, &total, sizeof total);
    }
    return status;
}
