/* The native container. What stands in __metadata__ is described, to the key, in docs/safetensors.md. */
#include "io/io.h"

#include "io/safetensors/graph_json.h"
#include "io/json.h"
#include "io/metadata.h"
#include "io/safetensors/header.h"

#include <inttypes.h>
#include <string.h>

#define FORMAT_VERSION "1"           /* of coppice.*; raised when an older reader would misread a file */
#define CHECKPOINT_KEY "checkpoint." /* strings of a checkpoint, in __metadata__ */
#define CHECKPOINT_TENSOR "checkpoint/"
enum { CHECKPOINT_KEYS_MAX = 4096 };

/* -- saving -- */

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
        status = copi_param_check(ctx, p, COP_E_RANGE);
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
    if (json_object_set_new(metadata, "coppice.format", json_string(FORMAT_VERSION))) return copi_json_no_memory(ctx);
    json_t *graph;
    cop_status status = copi_graph_to_json(net, &graph);
    if (!status) status = copi_metadata_set_json(ctx, metadata, "coppice.graph", graph);
    if (!status) status = copi_metadata_write(net, metadata);
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

cop_status copi_safetensors_kind(copi_file *file, cop_model_kind *kind) {
    copi_st_header h;
    cop_status status = copi_st_header_parse(file, &h);
    if (status) return status;
    *kind = copi_st_header_metadata(&h, "coppice.format") ? COP_MODEL_NET : COP_MODEL_WEIGHTS;
    copi_st_header_clear(&h);
    return COP_OK;
}

static cop_status check_version(const copi_st_header *h) {
    const char *format = copi_st_header_metadata(h, "coppice.format");
    if (!format) {
        return copi_fail(h->ctx, COP_E_UNSUPPORTED,
                         "a safetensors file without Coppice's graph: it holds %zu tensors but not how they are "
                         "connected; convert "
                         "puts them into a net (coppice help maps)",
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

static cop_status read_mask(copi_file *file, const copi_st_header *h, cop_net *net, copi_param *p) {
    char *name = copi_format(h->ctx, "%s.mask", p->name);
    if (!name) return COP_E_NOMEM;
    cop_status status = COP_OK;
    copi_st_entry *e = copi_st_header_find(h, name);
    if (e) status = check_entry(h, p, name, COPI_ST_U8, &e);
    if (e && !status) {
        const uint8_t *from = h->data + e->begin;
        status = copi_file_need(file, from, e->end - e->begin);
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

static cop_status read_parameters(copi_file *file, const copi_st_header *h, cop_net *net) {
    cop_status status = COP_OK;
    for (int i = 0; !status && i < net->params; i++) {
        copi_param *p = &net->param[i];
        const copi_st_entry *e = copi_st_header_find(h, p->name);
        status = copi_param_read(file, h->data + e->begin, p, COP_E_FORMAT);
        if (!status) status = read_mask(file, h, net, p);
    }
    if (!status) copi_net_apply_masks(net);
    return status;
}

static cop_status read_extra_tensor(copi_file *file, const copi_st_header *h, copi_st_entry *e, copi_extras *extras) {
    if (e->dtype != COPI_ST_F32 || e->rank > 4) {
        return copi_fail(h->ctx, COP_E_FORMAT,
                         "tensor '%s' is %s of %d dimensions; a checkpoint has F32 of at most 4", e->name,
                         copi_st_dtype_name(e->dtype), e->rank);
    }
    e->used = true;
    if (!extras) return COP_OK;
    float *data = copi_extras_tensor(extras, e->name + strlen(CHECKPOINT_TENSOR), e->rank, e->shape);
    if (!data) return COP_E_NOMEM;
    return copi_file_read(file, h->data + e->begin, e->end - e->begin, data);
}

static cop_status read_extras(copi_file *file, const copi_st_header *h, copi_extras *extras) {
    cop_status status = COP_OK;
    for (size_t i = 0; !status && i < h->entries; i++) {
        copi_st_entry *e = &h->entry[i];
        if (!e->used && strncmp(e->name, CHECKPOINT_TENSOR, strlen(CHECKPOINT_TENSOR)) == 0) {
            status = read_extra_tensor(file, h, e, extras);
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
static cop_status fill(copi_file *file, const copi_st_header *h, const json_t *graph, cop_net *net,
                       copi_extras *extras) {
    cop_status status = read_parameters(file, h, net);
    if (!status) status = copi_graph_totals_from_json(h->ctx, graph, net);
    if (!status) status = copi_metadata_read(net, h->metadata);
    if (!status) status = read_extras(file, h, extras);
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

cop_status copi_safetensors_read(copi_file *file, cop_net **net, copi_extras *extras) {
    cop_ctx *ctx = file->ctx;
    *net = NULL;
    copi_st_header header;
    json_t *graph = NULL;
    cop_net *made = NULL;
    cop_status status = copi_st_header_parse(file, &header);
    if (status) return status;
    status = check_version(&header);
    if (!status) status = copi_metadata_get_json(ctx, header.metadata, "coppice.graph", &graph);
    if (!status && !graph) status = copi_fail(ctx, COP_E_FORMAT, "__metadata__ has no 'coppice.graph'");
    if (!status) status = build(&header, graph, &made);
    if (!status) status = fill(file, &header, graph, made, extras);
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

cop_status copi_safetensors_parse(cop_ctx *ctx, const uint8_t *bytes, size_t n, cop_net **net, copi_extras *extras) {
    copi_file file = copi_file_of(ctx, bytes, n);
    return copi_safetensors_read(&file, net, extras);
}

cop_status copi_safetensors_load(cop_ctx *ctx, const char *path, cop_net **net, copi_extras *extras) {
    *net = NULL;
    copi_file file;
    cop_status status = copi_file_open(ctx, path, &file);
    if (status) return status;
    status = copi_safetensors_read(&file, net, extras);
    copi_file_close(&file);
    return status && status != COP_E_IO ? copi_fail_in(ctx, status, "%s", path) : status; /* IO names it itself */
}
