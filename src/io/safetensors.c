/* The native container. What stands in __metadata__ is described, to the key, in docs/safetensors.md. */
#include "io/io.h"

#include "io/graph_json.h"
#include "io/json.h"
#include "io/safetensors_header.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define FORMAT_VERSION "1"           /* of coppice.*; raised when an older reader would misread a file */
#define CHECKPOINT_KEY "checkpoint." /* strings of a checkpoint, in __metadata__ */
#define CHECKPOINT_TENSOR "checkpoint/"
enum { CHECKPOINT_KEYS_MAX = 4096 };

/* -- saving -- */

/* The index of the first number that is not finite, or -1. A block is asked as a whole: that runs at memory's speed.
 */
static int64_t find_nonfinite(const float *x, int64_t n) {
    enum { BLOCK = 1024 };
    for (int64_t at = 0; at < n; at += BLOCK) {
        int64_t end = n - at < BLOCK ? n : at + BLOCK;
        uint32_t bad = 0;
        for (int64_t i = at; i < end; i++) {
            uint32_t bits;
            memcpy(&bits, &x[i], sizeof bits);
            bad |= (bits & 0x7f800000u) == 0x7f800000u;
        }
        if (!bad) continue;
        while (isfinite(x[at])) at++;
        return at;
    }
    return -1;
}

/* What is wrong with a parameter's values, wherever they come from; status is the caller's word for it. */
static cop_status check_values(cop_ctx *ctx, const copi_param *p, cop_status status) {
    int64_t bad = find_nonfinite(p->data, p->count);
    if (bad >= 0) {
        return copi_fail(ctx, status, "%s[%" PRId64 "] is %g; weights must be finite", p->name, bad,
                         (double)p->data[bad]);
    }
    for (int64_t i = 0; p->kind == COPI_PARAM_VAR && i < p->count; i++) {
        if (p->data[i] < 0) {
            return copi_fail(ctx, status, "%s[%" PRId64 "] is %g; a variance is never negative", p->name, i,
                             (double)p->data[i]);
        }
    }
    return COP_OK;
}

/* The tensors of a file to be written, and the names made for them. */
typedef struct tensor_list {
    cop_ctx *ctx;
    copi_st_tensor *tensor;
    char **name;
    size_t tensors, names;
} tensor_list;

static void list_clear(tensor_list *l) {
    for (size_t i = 0; i < l->names; i++) copi_free(l->ctx, l->name[i]);
    copi_free(l->ctx, l->name);
    copi_free(l->ctx, l->tensor);
}

/* Add a tensor under a name that the list owns; NULL: no memory. */
static cop_status list_add(tensor_list *l, char *name, copi_st_tensor tensor) {
    if (!name) return COP_E_NOMEM;
    l->name[l->names++] = name;
    tensor.name = name;
    l->tensor[l->tensors++] = tensor;
    return COP_OK;
}

static cop_status list_make(const cop_net *net, const copi_extras *extras, tensor_list *l) {
    cop_ctx *ctx = net->ctx;
    size_t most = 2 * (size_t)net->params + (extras ? (size_t)extras->tensors : 0) + 1;
    *l = (tensor_list){.ctx = ctx,
                       .tensor = copi_alloc(ctx, most, sizeof *l->tensor),
                       .name = copi_alloc(ctx, most, sizeof *l->name)};
    if (!l->tensor || !l->name) return COP_E_NOMEM;
    cop_status status = COP_OK;
    for (int i = 0; !status && i < net->params; i++) {
        const copi_param *p = &net->param[i];
        size_t n = (size_t)p->count;
        status = check_values(ctx, p, COP_E_RANGE);
        if (status) return status;
        l->tensor[l->tensors++] =
            (copi_st_tensor){p->name, COPI_ST_F32, p->rank, p->shape, p->data, n * sizeof(float)};
        if (p->mask) {
            status = list_add(l, copi_format(ctx, "%s.mask", p->name),
                              (copi_st_tensor){NULL, COPI_ST_U8, p->rank, p->shape, p->mask, n});
        }
    }
    for (int i = 0; !status && extras && i < extras->tensors; i++) {
        const copi_extra_tensor *x = &extras->tensor[i];
        status = list_add(
            l, copi_format(ctx, CHECKPOINT_TENSOR "%s", x->name),
            (copi_st_tensor){NULL, COPI_ST_F32, x->rank, x->shape, x->data, (size_t)x->count * sizeof(float)});
    }
    return status;
}

/* metadata[key] = value as JSON text; takes value, whose NULL means no memory. */
static cop_status set_json(cop_ctx *ctx, json_t *metadata, const char *key, json_t *value) {
    copi_buffer text;
    copi_buffer_init(&text, ctx);
    cop_status status = value ? copi_json_print(ctx, value, &text) : copi_json_no_memory(ctx);
    json_decref(value);
    if (!status && json_object_set_new(metadata, key, json_stringn(text.data, text.len)))
        status = copi_json_no_memory(ctx);
    copi_buffer_clear(&text);
    return status;
}

static json_t *class_names(const cop_net *net) {
    json_t *names = json_array();
    for (int i = 0; i < net->classes; i++) json_array_append_new(names, copi_json_text(net->ctx, net->class_name[i]));
    if (json_array_size(names) == (size_t)net->classes) return names;
    json_decref(names);
    return NULL;
}

static json_t *normalization(const cop_net *net) {
    json_t *mean = json_array(), *std = json_array();
    size_t channels = (size_t)net->node[0].shape[0];
    for (size_t c = 0; c < channels; c++) {
        json_array_append_new(mean, json_real(net->mean[c]));
        json_array_append_new(std, json_real(net->std[c]));
    }
    bool whole = json_array_size(mean) == channels && json_array_size(std) == channels;
    json_t *both = json_pack("{s:o*, s:o*}", "mean", mean, "std", std);
    if (whole && both) return both;
    json_decref(both);
    return NULL;
}

static cop_status set_extras(const copi_extras *extras, json_t *metadata) {
    cop_ctx *ctx = extras->ctx;
    if (extras->pairs > CHECKPOINT_KEYS_MAX) {
        return copi_fail(ctx, COP_E_ARG, "%d strings beside the net; a file holds at most %d", extras->pairs,
                         CHECKPOINT_KEYS_MAX);
    }
    cop_status status = COP_OK;
    for (int i = 0; !status && i < extras->pairs; i++) {
        char *key = copi_format(ctx, CHECKPOINT_KEY "%s", extras->key[i]);
        if (!key) return COP_E_NOMEM;
        status = copi_json_check_text(ctx, "key", key);
        if (!status) status = copi_json_check_text(ctx, key, extras->value[i]);
        if (!status && json_object_set_new(metadata, key, json_string(extras->value[i])))
            status = copi_json_no_memory(ctx);
        copi_free(ctx, key);
    }
    return status;
}

static cop_status make_metadata(const cop_net *net, const copi_extras *extras, json_t *metadata) {
    cop_ctx *ctx = net->ctx;
    if (json_object_set_new(metadata, "coppice.format", json_string(FORMAT_VERSION)) ||
        json_object_set_new(metadata, "coppice.provenance", copi_json_text(ctx, net->provenance))) {
        return copi_json_no_memory(ctx);
    }
    json_t *graph;
    cop_status status = copi_graph_to_json(net, &graph);
    if (!status) status = set_json(ctx, metadata, "coppice.graph", graph);
    if (!status && net->class_name) status = set_json(ctx, metadata, "coppice.classes", class_names(net));
    if (!status && net->normalized) status = set_json(ctx, metadata, "coppice.normalization", normalization(net));
    if (!status && extras) status = set_extras(extras, metadata);
    return status;
}

cop_status copi_safetensors_save(const cop_net *net, const copi_extras *extras, const char *path) {
    tensor_list list;
    json_t *metadata = json_object();
    cop_status status = list_make(net, extras, &list);
    if (!status && !metadata) status = copi_json_no_memory(net->ctx);
    if (!status) status = make_metadata(net, extras, metadata);
    if (!status) status = copi_st_write(net->ctx, path, metadata, list.tensor, list.tensors);
    json_decref(metadata);
    list_clear(&list);
    return status && status != COP_E_IO ? copi_fail_in(net->ctx, status, "%s", path)
                                        : status; /* IO names it itself */
}

/* -- loading -- */

/* The JSON text under a key of __metadata__; *json is NULL when there is no such key. */
static cop_status get_json(const copi_st_header *h, const char *key, json_t **json) {
    const char *text = copi_st_header_metadata(h, key);
    *json = NULL;
    return text ? copi_json_parse(h->ctx, key, text, strlen(text), json) : COP_OK;
}

static cop_status check_version(const copi_st_header *h) {
    const char *format = copi_st_header_metadata(h, "coppice.format");
    if (!format) {
        return copi_fail(
            h->ctx, COP_E_UNSUPPORTED,
            "a safetensors file without Coppice's graph: it holds %zu tensors but not how they are connected",
            h->entries);
    }
    if (strcmp(format, FORMAT_VERSION) == 0) return COP_OK;
    return copi_fail(h->ctx, COP_E_VERSION,
                     "graph format %.20s; coppice %s reads format %s: use the program that wrote it, or a newer one",
                     format, cop_version(), FORMAT_VERSION);
}

/* Is there a tensor of just this dtype and shape? */
static cop_status check_entry(const copi_st_header *h, const copi_param *p, const char *name, copi_st_dtype dtype,
                              copi_st_entry **entry) {
    copi_st_entry *e = copi_st_header_find(h, name);
    *entry = e;
    if (!e) return copi_fail(h->ctx, COP_E_FORMAT, "there is no tensor '%s', which the graph needs", name);
    if (e->dtype != dtype) {
        return copi_fail(h->ctx, COP_E_FORMAT, "tensor '%s' is %s, not %s", name, copi_st_dtype_name(e->dtype),
                         copi_st_dtype_name(dtype));
    }
    if (e->rank != p->rank || memcmp(e->shape, p->shape, (size_t)p->rank * sizeof *p->shape) != 0) {
        char has[128], wants[128];
        copi_st_shape_text(e->rank, e->shape, has, sizeof has);
        copi_st_shape_text(p->rank, p->shape, wants, sizeof wants);
        return copi_fail(h->ctx, COP_E_FORMAT, "tensor '%s' is %s, but the graph says %s", name, has, wants);
    }
    e->used = true;
    return COP_OK;
}

/* Before anything of the parameters' size is allocated: the file holds all of them, so it is no larger than it. */
static cop_status check_parameters(const copi_st_header *h, const cop_net *net) {
    cop_status status = COP_OK;
    copi_st_entry *entry;
    for (int i = 0; !status && i < net->params; i++) {
        status = check_entry(h, &net->param[i], net->param[i].name, COPI_ST_F32, &entry);
    }
    return status;
}

static cop_status read_mask(const copi_st_header *h, cop_net *net, copi_param *p) {
    char *name = copi_format(h->ctx, "%s.mask", p->name);
    if (!name) return COP_E_NOMEM;
    cop_status status = COP_OK;
    copi_st_entry *e = copi_st_header_find(h, name);
    if (e) status = check_entry(h, p, name, COPI_ST_U8, &e);
    if (e && !status) {
        const uint8_t *from = h->data + e->begin;
        for (int64_t i = 0; !status && i < p->count; i++) {
            if (from[i] > 1) {
                status = copi_fail(h->ctx, COP_E_FORMAT, "%s[%" PRId64 "] is %d; a mask is 0 or 1", name, i, from[i]);
            }
        }
        uint8_t *mask = status ? NULL : copi_param_mask(net, p);
        if (mask) memcpy(mask, from, (size_t)p->count);
        if (!status && !mask) status = COP_E_NOMEM;
    }
    copi_free(h->ctx, name);
    return status;
}

static cop_status read_parameters(const copi_st_header *h, cop_net *net) {
    cop_status status = COP_OK;
    for (int i = 0; !status && i < net->params; i++) {
        copi_param *p = &net->param[i];
        const copi_st_entry *e = copi_st_header_find(h, p->name);
        memcpy(p->data, h->data + e->begin, e->end - e->begin);
        status = check_values(h->ctx, p, COP_E_FORMAT);
        if (!status) status = read_mask(h, net, p);
    }
    if (!status) copi_net_apply_masks(net);
    return status;
}

static cop_status read_classes(const copi_st_header *h, cop_net *net) {
    json_t *list;
    cop_status status = get_json(h, "coppice.classes", &list);
    if (status || !list) return status;
    size_t n = json_array_size(list);
    const char **name = copi_alloc(h->ctx, n + 1, sizeof *name);
    if (!name) status = COP_E_NOMEM;
    if (!status && n != (size_t)net->classes) {
        status =
            copi_fail(h->ctx, COP_E_FORMAT, "coppice.classes names %zu classes; the net has %d", n, net->classes);
    }
    for (size_t i = 0; !status && i < n; i++) {
        name[i] = json_string_value(json_array_get(list, i));
        if (!name[i]) status = copi_fail(h->ctx, COP_E_FORMAT, "coppice.classes: entry %zu is not a name", i);
    }
    if (!status) status = copi_net_set_classes(net, name, (int)n);
    copi_free(h->ctx, name);
    json_decref(list);
    return status;
}

static cop_status read_normalization(const copi_st_header *h, cop_net *net) {
    json_t *both;
    cop_status status = get_json(h, "coppice.normalization", &both);
    if (status || !both) return status;
    const json_t *means = json_object_get(both, "mean"), *stds = json_object_get(both, "std");
    double mean[COP_MAX_CHANNELS] = {0}, std[COP_MAX_CHANNELS] = {0};
    size_t channels = (size_t)net->node[0].shape[0];
    bool good =
        channels <= COP_MAX_CHANNELS && json_array_size(means) == channels && json_array_size(stds) == channels;
    for (size_t c = 0; good && c < channels; c++) {
        const json_t *m = json_array_get(means, c), *s = json_array_get(stds, c);
        mean[c] = json_number_value(m);
        std[c] = json_number_value(s);
        good = json_is_number(m) && json_is_number(s) && std[c] > 0;
    }
    json_decref(both);
    if (!good) {
        return copi_fail(h->ctx, COP_E_FORMAT,
                         "coppice.normalization: mean and std must be %zu numbers each, std above 0", channels);
    }
    return copi_net_set_normalization(net, mean, std);
}

static cop_status read_provenance(const copi_st_header *h, cop_net *net) {
    const char *text = copi_st_header_metadata(h, "coppice.provenance");
    char *copy = copi_strdup(h->ctx, text ? text : "");
    if (!copy) return COP_E_NOMEM;
    copi_free(h->ctx, net->provenance);
    net->provenance = copy;
    return COP_OK;
}

static cop_status read_extra_tensor(const copi_st_header *h, copi_st_entry *e, copi_extras *extras) {
    if (e->dtype != COPI_ST_F32 || e->rank > 4) {
        return copi_fail(h->ctx, COP_E_FORMAT,
                         "tensor '%s' is %s of %d dimensions; a checkpoint has F32 of at most 4", e->name,
                         copi_st_dtype_name(e->dtype), e->rank);
    }
    e->used = true;
    if (!extras) return COP_OK;
    float *data = copi_extras_tensor(extras, e->name + strlen(CHECKPOINT_TENSOR), e->rank, e->shape);
    if (!data) return COP_E_NOMEM;
    memcpy(data, h->data + e->begin, e->end - e->begin);
    return COP_OK;
}

static cop_status read_extras(const copi_st_header *h, copi_extras *extras) {
    cop_status status = COP_OK;
    for (size_t i = 0; !status && i < h->entries; i++) {
        copi_st_entry *e = &h->entry[i];
        if (!e->used && strncmp(e->name, CHECKPOINT_TENSOR, strlen(CHECKPOINT_TENSOR)) == 0) {
            status = read_extra_tensor(h, e, extras);
        }
        if (!status && !e->used) {
            status = copi_fail(h->ctx, COP_E_FORMAT, "tensor '%s' belongs to no layer of the graph", e->name);
        }
    }
    const char *key;
    json_t *value;
    json_object_foreach(h->metadata, key, value) {
        if (status || !extras || strncmp(key, CHECKPOINT_KEY, strlen(CHECKPOINT_KEY)) != 0) continue;
        if (extras->pairs >= CHECKPOINT_KEYS_MAX) {
            return copi_fail(h->ctx, COP_E_FORMAT, "more than %d strings of a checkpoint", CHECKPOINT_KEYS_MAX);
        }
        status = copi_extras_set(extras, key + strlen(CHECKPOINT_KEY), json_string_value(value));
    }
    return status;
}

/* Everything that the built net still lacks. */
static cop_status fill(const copi_st_header *h, const json_t *graph, cop_net *net, copi_extras *extras) {
    cop_status status = read_parameters(h, net);
    if (!status) status = copi_graph_totals_from_json(h->ctx, graph, net);
    if (!status) status = read_classes(h, net);
    if (!status) status = read_normalization(h, net);
    if (!status) status = read_provenance(h, net);
    if (!status) status = read_extras(h, extras);
    return status;
}

static cop_status build(const copi_st_header *h, const json_t *json, cop_net **net) {
    cop_graph *graph;
    cop_status status = cop_graph_create(h->ctx, &graph);
    if (status) return status;
    status = copi_graph_from_json(h->ctx, json, graph);
    if (!status) status = check_parameters(h, graph->net);
    if (status) {
        cop_graph_destroy(graph);
        return status;
    }
    status = copi_graph_build_raw(graph, net);
    return status && status != COP_E_NOMEM ? copi_fail_in(h->ctx, COP_E_FORMAT, "graph") : status;
}

cop_status copi_safetensors_parse(cop_ctx *ctx, const uint8_t *bytes, size_t n, cop_net **net, copi_extras *extras) {
    *net = NULL;
    copi_st_header header;
    json_t *graph = NULL;
    cop_net *made = NULL;
    cop_status status = copi_st_header_parse(ctx, bytes, n, &header);
    if (status) return status;
    status = check_version(&header);
    if (!status) status = get_json(&header, "coppice.graph", &graph);
    if (!status && !graph) status = copi_fail(ctx, COP_E_FORMAT, "__metadata__ has no 'coppice.graph'");
    if (!status) status = build(&header, graph, &made);
    if (!status) status = fill(&header, graph, made, extras);
    json_decref(graph);
    copi_st_header_clear(&header);
    if (status) {
        cop_net_destroy(made);
        if (extras) copi_extras_clear(extras);
        return status;
    }
    *net = made;
    return COP_OK;
}

cop_status copi_safetensors_load(cop_ctx *ctx, const char *path, cop_net **net, copi_extras *extras) {
    *net = NULL;
    uint8_t *bytes;
    size_t n;
    cop_status status = copi_read_file(ctx, path, 0, &bytes, &n);
    if (status) return status;
    status = copi_safetensors_parse(ctx, bytes, n, net, extras);
    copi_free(ctx, bytes);
    return status ? copi_fail_in(ctx, status, "%s", path) : COP_OK;
}
