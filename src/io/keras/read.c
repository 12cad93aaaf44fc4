/* Keras files -> nets: .h5 of whole models, .keras, and weights alone. */
#include "io/keras/keras.h"

#include "io/keras/h5.h"
#include "io/json.h"
#include "io/metadata.h"
#include "io/weights.h"
#include "io/window.h"

#include <inttypes.h>
#include <string.h>
#include <zip.h>

/* Where the numbers of layers are found. Keras has two layouts:
 *   older  <prefix>layer_names lists groups; each lists its arrays in weight_names
 *   newer  layers/<class in snake case>[_k]/vars/<i>, k counting the layers of a class */
typedef struct source {
    cop_ctx *ctx;
    copi_h5 *h5;
    bool newer;
    const char *prefix; /* "" or "model_weights/" */
    char **group;       /* older: names of groups, [groups] */
    int groups;
    bool by_order;         /* older: the layers' names are other than the groups': matched by order */
    int at;                /* older: the next group to be looked at, by order */
    copi_name_map classes; /* newer: how many layers of each class were met */
    char path[1024];       /* of the layer at hand */
    int looks;             /* newer: at what may be left over */
    copi_name_map taken;   /* the paths of layers that the net took; owned */
    char **weight;         /* older: its arrays' names, [weights] */
    int weights;
} source;

static const char *prefix_root(const source *s) {
    return *s->prefix ? "model_weights" : "";
}

static cop_status open_source(copi_h5 *h5, source *s) {
    *s = (source){.ctx = h5->ctx, .h5 = h5, .prefix = copi_h5_has(h5, "model_weights") ? "model_weights/" : ""};
    copi_name_map_init(&s->classes, h5->ctx);
    copi_name_map_init(&s->taken, h5->ctx);
    cop_status status = copi_h5_names(h5, prefix_root(s), "layer_names", &s->group, &s->groups);
    if (status || s->group) return status;
    s->newer = copi_h5_has(h5, "layers");
    if (s->newer) return COP_OK;
    return copi_fail(h5->ctx, COP_E_FORMAT, "an HDF5 file without layer_names or layers: not a Keras file?");
}

static void close_source(source *s) {
    copi_name_map_clear(&s->classes);
    for (size_t i = 0; i < s->taken.cap; i++) copi_free(s->ctx, (void *)(uintptr_t)s->taken.name[i]);
    copi_name_map_clear(&s->taken);
    copi_free(s->ctx, s->group);
    copi_free(s->ctx, s->weight);
}

/* "BatchNormalization" -> "batch_normalization", "Conv2D" -> "conv2d", "ReLU" -> "re_lu": as Keras does. */
static void snake(const char *class_name, char *text, size_t size) {
    size_t n = 0;
    for (const char *c = class_name; *c && n + 2 < size; c++) {
        bool upper = *c >= 'A' && *c <= 'Z', next_lower = c[1] >= 'a' && c[1] <= 'z';
        bool before_lower = c > class_name && ((c[-1] >= 'a' && c[-1] <= 'z') || (c[-1] >= '0' && c[-1] <= '9'));
        bool before_any = c > class_name && c[-1] != '_';
        if (upper && before_any && (next_lower || (before_lower && !(c[-1] >= '0' && c[-1] <= '9')))) text[n++] = '_';
        text[n++] = upper ? (char)(*c + 32) : *c;
    }
    text[n] = '\0';
}

void copi_keras_vars(const char *class_name, int before, char *path, size_t size) {
    char name[256];
    snake(class_name, name, sizeof name);
    if (before) {
        snprintf(path, size, "layers/%s_%d/vars", name, before);
    } else {
        snprintf(path, size, "layers/%s/vars", name);
    }
}

/* Every layer is met in container order, also those without weights. */
static cop_status enter_newer(source *s, const copi_keras_layer *layer) {
    int before = copi_name_map_get(&s->classes, layer->class_name);
    before = before < 0 ? 0 : before;
    cop_status status = copi_name_map_set(&s->classes, layer->class_name, before + 1);
    copi_keras_vars(layer->class_name, before, s->path, sizeof s->path);
    for (s->weights = 0; s->weights < COPI_KERAS_WEIGHTS_MAX; s->weights++) {
        char path[1100];
        snprintf(path, sizeof path, "%s/%d", s->path, s->weights);
        if (!copi_h5_has(s->h5, path)) break;
    }
    return status;
}

static cop_status open_group(source *s, const char *name) {
    char path[1024];
    copi_free(s->ctx, s->weight);
    s->weight = NULL;
    s->weights = 0;
    if (strlen(name) > 400) return copi_fail(s->ctx, COP_E_FORMAT, "a layer's name of %zu bytes", strlen(name));
    snprintf(path, sizeof path, "%s%s", s->prefix, name);
    snprintf(s->path, sizeof s->path, "%s%s/", s->prefix, name);
    return copi_h5_names(s->h5, path, "weight_names", &s->weight, &s->weights);
}

static cop_status enter_older(source *s, const copi_keras_layer *layer) {
    if (!layer->weights) return COP_OK;
    if (!s->by_order) return open_group(s, layer->name);
    cop_status status = COP_OK;
    s->weights = 0;
    while (!status && !s->weights && s->at < s->groups) status = open_group(s, s->group[s->at++]);
    return status;
}

/* By name if every layer with weights has a group of its name. */
static cop_status choose_order(source *s, const copi_keras_layer *layer, int layers) {
    copi_name_map names;
    copi_name_map_init(&names, s->ctx);
    cop_status status = COP_OK;
    for (int i = 0; !status && i < s->groups; i++) status = copi_name_map_set(&names, s->group[i], i);
    for (int i = 0; !status && i < layers; i++) {
        s->by_order |= layer[i].weights && copi_name_map_get(&names, layer[i].name) < 0;
    }
    copi_name_map_clear(&names);
    return status;
}

static cop_status weight_path(const source *s, int number, char *path, size_t size) {
    if (s->newer) {
        snprintf(path, size, "%s/%d", s->path, number);
    } else {
        if (strlen(s->weight[number]) > 400) return copi_fail(s->ctx, COP_E_FORMAT, "an array's name is too long");
        snprintf(path, size, "%s%s", s->path, s->weight[number]);
    }
    return COP_OK;
}

/* -- what no layer of the net took: the file is of a larger net. Integers are no weights but the states of
 * random generators and counters -- */

static cop_status take(source *s) {
    if (copi_name_map_get(&s->taken, s->path) >= 0) return COP_OK;
    char *path = copi_strdup(s->ctx, s->path);
    cop_status status = path ? copi_name_map_set(&s->taken, path, 0) : COP_E_NOMEM;
    if (status) copi_free(s->ctx, path);
    return status;
}

static cop_status left_over(const source *s, const char *what) {
    return copi_fail(s->ctx, COP_E_FORMAT, "the numbers of '%s' are left over: the net has no layer that takes them",
                     what);
}

static cop_status check_older(source *s) {
    cop_status status = COP_OK;
    for (int g = 0; !status && g < s->groups; g++) {
        status = open_group(s, s->group[g]);
        if (copi_name_map_get(&s->taken, s->path) >= 0) continue;
        for (int i = 0; !status && i < s->weights; i++) {
            char path[1500];
            status = weight_path(s, i, path, sizeof path);
            if (!status && copi_h5_look(s->h5, path) == COPI_H5_FLOATS) status = left_over(s, s->group[g]);
        }
    }
    return status;
}

/* Layers may lie within layers. */
static cop_status check_newer(source *s, const char *path, int depth) {
    enum { DEPTH = 6, LOOKS = COPI_H5_NAMES_MAX }; /* in a hostile file links may lead round in circles */
    char **member;
    int members;
    if (depth > DEPTH || copi_name_map_get(&s->taken, path) >= 0) return COP_OK;
    cop_status status = copi_h5_members(s->h5, path, &member, &members);
    for (int i = 0; !status && i < members && s->looks < LOOKS; i++) {
        char inner[1024];
        s->looks++;
        if (snprintf(inner, sizeof inner, "%s/%s", path, member[i]) >= (int)sizeof inner) continue;
        copi_h5_what what = copi_h5_look(s->h5, inner);
        if (what == COPI_H5_FLOATS) status = left_over(s, path);
        if (what == COPI_H5_GROUP) status = check_newer(s, inner, depth + 1);
    }
    copi_free(s->ctx, member);
    return status;
}

/* -- one array into its place -- */

/* The shape that Keras has for it. */
static int expected_shape(const copi_keras_weight *w, const cop_net *net, int64_t *shape) {
    const copi_param *p = copi_node_slot(net, &net->node[w->node], w->slot);
    const int64_t *s = p->shape;
    switch (w->kind) {
    case COPI_KERAS_CONV:
        shape[0] = s[2];
        shape[1] = s[3];
        shape[2] = s[1];
        shape[3] = s[0];
        return 4;
    case COPI_KERAS_DEPTHWISE:
        shape[0] = s[2];
        shape[1] = s[3];
        shape[2] = net->node[w->node].u.conv.groups;
        shape[3] = s[0] / shape[2];
        return 4;
    case COPI_KERAS_DENSE:
        shape[0] = s[1];
        shape[1] = s[0];
        return 2;
    case COPI_KERAS_VECTOR:
        shape[0] = s[0];
        return 1;
    }
    return 0;
}

static cop_status check_shape(source *s, const copi_keras_layer *layer, const copi_keras_weight *w,
                              const cop_net *net, const char *path) {
    int rank;
    int64_t has[COPI_H5_RANK], wants[4];
    cop_status status = copi_h5_shape(s->h5, path, &rank, has);
    if (status) return status;
    int expected = expected_shape(w, net, wants);
    bool same = rank == expected;
    for (int d = 0; same && d < rank; d++) same = has[d] == wants[d];
    if (same) return COP_OK;
    char a[96] = "", b[96] = "";
    for (int d = 0; d < rank; d++) snprintf(a + strlen(a), sizeof a - strlen(a), "%s%" PRId64, d ? "," : "", has[d]);
    for (int d = 0; d < expected; d++)
        snprintf(b + strlen(b), sizeof b - strlen(b), "%s%" PRId64, d ? "," : "", wants[d]);
    return copi_fail(s->ctx, COP_E_FORMAT, "'%s' is [%s]; layer '%s' needs [%s]", path, a, layer->name, b);
}

/* Which way numbers go. SHAPES: none do, they are only looked at; net is then a graph whose numbers have no memory
 * yet. */
typedef enum direction { SHAPES, INTO_NET, OUT_OF_NET } direction;

static void move(float *of_net, float *of_file, direction d) {
    if (d == INTO_NET) {
        *of_net = *of_file;
    } else {
        *of_file = *of_net;
    }
}

/* [O,I,KH,KW] <-> [KH,KW,I,O]. */
static void move_conv(const copi_param *p, float *file, direction d) {
    int64_t o = p->shape[0], i = p->shape[1], pixels = p->shape[2] * p->shape[3];
    for (int64_t k = 0; k < pixels; k++) {
        for (int64_t c = 0; c < i; c++) {
            for (int64_t f = 0; f < o; f++) move(&p->data[(f * i + c) * pixels + k], file++, d);
        }
    }
}

/* [C*M,1,KH,KW] <-> [KH,KW,C,M]: the last two dimensions together are the filters. */
static void move_depthwise(const copi_param *p, float *file, direction d) {
    int64_t filters = p->shape[0], pixels = p->shape[2] * p->shape[3];
    for (int64_t k = 0; k < pixels; k++) {
        for (int64_t f = 0; f < filters; f++) move(&p->data[f * pixels + k], file++, d);
    }
}

/* [O,I] <-> [I,O]. */
static void move_dense(const copi_param *p, const int64_t *place, float *file, direction d) {
    int64_t units = p->shape[0], inputs = p->shape[1];
    for (int64_t i = 0; i < inputs; i++) {
        float *column = p->data + (place ? place[i] : i);
        for (int64_t u = 0; u < units; u++) move(&column[u * inputs], file++, d);
    }
}

static cop_status move_array(const cop_net *net, const copi_keras_weight *w, float *file, direction d) {
    static const int hwc[3] = {1, 2, 0};
    const copi_param *p = copi_node_slot(net, &net->node[w->node], w->slot);
    int64_t *place = NULL;
    if (w->flattened) {
        place = copi_alloc(net->ctx, (size_t)(w->image[0] * w->image[1] * w->image[2]), sizeof *place);
        if (!place) return COP_E_NOMEM;
        copi_flat_places(w->image, hwc, place);
    }
    switch (w->kind) {
    case COPI_KERAS_CONV:
        move_conv(p, file, d);
        break;
    case COPI_KERAS_DEPTHWISE:
        move_depthwise(p, file, d);
        break;
    case COPI_KERAS_DENSE:
        move_dense(p, place, file, d);
        break;
    case COPI_KERAS_VECTOR:
        for (int64_t k = 0; k < p->count; k++) move(&p->data[place ? place[k] : k], &file[k], d);
        break;
    }
    copi_free(net->ctx, place);
    return copi_param_check(net->ctx, p, d == INTO_NET ? COP_E_FORMAT : COP_E_RANGE);
}

/* -- all arrays -- */

static cop_status read_array(source *s, const copi_keras_layer *layer, const copi_keras_weight *w, cop_net *net,
                             const char *path, direction d) {
    if (d == SHAPES) return check_shape(s, layer, w, net, path);
    float *data;
    int64_t count;
    cop_status status = copi_h5_floats(s->h5, path, &data, &count);
    if (!status) status = move_array(net, w, data, d);
    if (!status && d == OUT_OF_NET) status = copi_h5_replace_floats(s->h5, path, data);
    copi_free(s->ctx, data);
    return status;
}

/* Which of a layer's arrays it is without: those that the model's JSON says so of; without one, a batch-norm's scale
 * or shift that the older layout's names lack. */
static void find_absent(const source *s, const copi_keras_layer *layer, const cop_net *net, bool *absent) {
    static const char *const names[2] = {"gamma", "beta"};
    for (int i = 0; i < layer->weights; i++) {
        absent[i] = layer->weight[i].absent;
        bool batchnorm = net->node[layer->weight[i].node].op == COPI_OP_BATCHNORM;
        if (!batchnorm || i > 1 || s->newer || s->weights >= layer->weights) continue;
        absent[i] = true;
        for (int k = 0; k < s->weights; k++) {
            const char *slash = strrchr(s->weight[k], '/'), *last = slash ? slash + 1 : s->weight[k];
            if (strncmp(last, names[i], strlen(names[i])) == 0) absent[i] = false;
        }
    }
}

/* A scale of ones or a shift of zeros, which the file does not hold. */
static cop_status leave_out(source *s, const copi_keras_layer *layer, const copi_keras_weight *w, cop_net *net,
                            direction d) {
    const copi_param *p = copi_node_slot(net, &net->node[w->node], w->slot);
    float idle = w->slot == COPI_SCALE ? 1 : 0;
    for (int64_t k = 0; d != SHAPES && k < p->count; k++) {
        if (d == INTO_NET) p->data[k] = idle;
        if (p->data[k] == idle) continue;
        return copi_fail(s->ctx, COP_E_UNSUPPORTED,
                         "%s[%" PRId64 "] is %g; the file has no place for it in layer '%s'", p->name, k,
                         (double)p->data[k], layer->name);
    }
    return COP_OK;
}

static cop_status read_layer(source *s, const copi_keras_layer *layer, cop_net *net, direction d) {
    cop_status status = s->newer ? enter_newer(s, layer) : enter_older(s, layer);
    if (status || !layer->weights) return status;
    status = take(s);
    if (status) return status;
    int present = 0;
    bool absent[COPI_KERAS_WEIGHTS_MAX];
    find_absent(s, layer, net, absent);
    for (int i = 0; i < layer->weights; i++) present += !absent[i];
    bool all = s->weights == layer->weights; /* Keras 3 stores a batch-norm's unused scale and shift too */
    if (!all && s->weights != present) {
        return copi_fail(s->ctx, COP_E_FORMAT, "layer '%s' needs %d arrays; the file has %d for it", layer->name,
                         present, s->weights);
    }
    for (int i = 0, at = 0; !status && i < layer->weights; i++) {
        const copi_keras_weight *w = &layer->weight[i];
        char path[1500];
        if (absent[i] && !all) {
            status = leave_out(s, layer, w, net, d);
            continue;
        }
        status = weight_path(s, at++, path, sizeof path);
        if (!status && !absent[i]) status = read_array(s, layer, w, net, path, d);
    }
    return status;
}

static cop_status read_layers(copi_h5 *h5, const copi_keras_layer *layer, int layers, cop_net *net, direction d) {
    source s;
    cop_status status = open_source(h5, &s);
    if (!status && !s.newer) status = choose_order(&s, layer, layers);
    for (int i = 0; !status && i < layers; i++) status = read_layer(&s, &layer[i], net, d);
    if (!status && d == SHAPES) status = s.newer ? check_newer(&s, "layers", 0) : check_older(&s);
    close_source(&s);
    return status;
}

/* -- what this program has written beside -- */

static cop_status read_metadata(copi_h5 *h5, cop_net *net) {
    static const char *const keys[] = {"coppice.provenance", "coppice.classes", "coppice.normalization",
                                       "coppice.channels",   "coppice.dense",   "coppice.masks",
                                       COPI_METADATA_FOREIGN};
    json_t *strings = json_object();
    cop_status status = strings ? COP_OK : copi_json_no_memory(h5->ctx);
    for (size_t i = 0; !status && i < COPI_COUNT(keys); i++) {
        char *text;
        status = copi_h5_text(h5, "", keys[i], &text);
        if (status || !text) continue;
        if (json_object_set_new(strings, keys[i], json_string(text))) {
            status = copi_fail(h5->ctx, COP_E_FORMAT, "attribute '%s' is not UTF-8", keys[i]);
        }
        copi_free(h5->ctx, text);
    }
    if (!status) status = copi_metadata_read(net, strings);
    if (!status) status = copi_metadata_read_marks(net, strings);
    json_decref(strings);
    return status;
}

static cop_status note_rescaling(const copi_keras_model *model, cop_net *net) {
    double scale[COP_MAX_CHANNELS], shift[COP_MAX_CHANNELS];
    if (!model->rescaled) return COP_OK;
    for (int c = 0; c < COP_MAX_CHANNELS; c++) {
        scale[c] = model->scale;
        shift[c] = model->shift;
    }
    return copi_metadata_normalize(net, scale, shift);
}

static cop_status finish(const copi_keras_model *model, copi_h5 *h5, const char *kind, cop_net *net) {
    cop_status status = read_layers(h5, model->layer, model->layers, net, INTO_NET);
    if (!status) status = read_metadata(h5, net);
    if (!status) copi_net_apply_masks(net);
    if (!status) {
        status = copi_net_note(net, "imported from Keras (%s, %s): %d layers became %d", kind,
                               model->functional ? "Functional" : "Sequential", model->layers, net->nodes);
    }
    if (!status) status = note_rescaling(model, net);
    return status;
}

/* A model's JSON (taken over) and the file with its numbers. */
static cop_status read_whole(copi_h5 *h5, json_t *json, const char *kind, cop_net **net) {
    copi_keras_model model;
    cop_net *made = NULL;
    cop_status status = copi_keras_model_read(h5->ctx, json, &model);
    if (status) return status;
    status = read_layers(h5, model.layer, model.layers, model.graph->net, SHAPES);
    if (!status) {
        status = copi_graph_build_raw(model.graph, &made);
        model.graph = NULL;
        if (status && status != COP_E_NOMEM) copi_fail_in(h5->ctx, status = COP_E_UNSUPPORTED, "graph");
    }
    if (!status) status = finish(&model, h5, kind, made);
    copi_keras_model_clear(&model);
    if (status) {
        cop_net_destroy(made);
        return status;
    }
    *net = made;
    return COP_OK;
}

static cop_status read_h5(copi_h5 *h5, cop_net **net) {
    char *config;
    json_t *json;
    cop_status status = copi_h5_text(h5, "", "model_config", &config);
    if (status) return status;
    if (!config) {
        return copi_fail(
            h5->ctx, COP_E_UNSUPPORTED,
            "Keras weights alone, without a model: convert puts them into a net of the same layers (--model)");
    }
    status = copi_json_parse(h5->ctx, "model_config", config, strlen(config), &json);
    copi_free(h5->ctx, config);
    return status ? status : read_whole(h5, json, ".h5", net);
}

cop_status copi_keras_h5_parse(cop_ctx *ctx, const uint8_t *bytes, size_t n, cop_net **net) {
    *net = NULL;
    copi_h5 h5;
    cop_status status = copi_h5_open(ctx, bytes, n, &h5);
    if (!status) status = read_h5(&h5, net);
    copi_h5_close(&h5);
    return status;
}

/* -- .keras: a ZIP -- */

/* A member whole; *bytes is the caller's, NUL-terminated. */
static cop_status read_member(cop_ctx *ctx, zip_t *zip, const char *name, size_t most, uint8_t **bytes, size_t *n) {
    zip_stat_t st;
    *bytes = NULL;
    if (zip_stat(zip, name, 0, &st) || !(st.valid & ZIP_STAT_SIZE)) {
        return copi_fail(ctx, COP_E_FORMAT, "a .keras file without '%s'", name);
    }
    if (st.size > most) {
        return copi_fail(ctx, COP_E_FORMAT, "'%s' unpacks to %" PRIu64 " bytes; at most %zu are warranted", name,
                         (uint64_t)st.size, most);
    }
    uint8_t *block = copi_alloc(ctx, (size_t)st.size + 1, 1);
    if (!block) return COP_E_NOMEM;
    zip_file_t *file = zip_fopen(zip, name, 0);
    zip_int64_t got = file ? zip_fread(file, block, st.size) : -1;
    uint8_t beyond;
    bool whole =
        got >= 0 && (zip_uint64_t)got == st.size && zip_fread(file, &beyond, 1) == 0; /* which checks the CRC */
    if (file) zip_fclose(file);
    if (!whole) {
        copi_free(ctx, block);
        return copi_fail(ctx, COP_E_FORMAT, "'%s' can't be unpacked: damaged?", name);
    }
    *bytes = block;
    *n = (size_t)st.size;
    return COP_OK;
}

static cop_status read_members(cop_ctx *ctx, zip_t *zip, size_t size, cop_net **net) {
    size_t most, config_size, weights_size;
    uint8_t *config = NULL, *weights = NULL;
    json_t *json;
    copi_h5 h5 = {.file = -1};
    if (!copi_mul(size, 64, &most) || !copi_add(most, (size_t)64 << 20, &most)) most = SIZE_MAX;
    cop_status status = read_member(ctx, zip, "config.json", most, &config, &config_size);
    if (!status) status = read_member(ctx, zip, "model.weights.h5", most, &weights, &weights_size);
    if (!status) status = copi_h5_open(ctx, weights, weights_size, &h5);
    if (!status) status = copi_json_parse(ctx, "config.json", (const char *)config, config_size, &json);
    if (!status) status = read_whole(&h5, json, ".keras", net);
    copi_h5_close(&h5);
    copi_free(ctx, config);
    copi_free(ctx, weights);
    return status;
}

cop_status copi_keras_zip_parse(cop_ctx *ctx, const uint8_t *bytes, size_t n, cop_net **net) {
    *net = NULL;
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *buffer = zip_source_buffer_create(bytes, n, 0, &error);
    zip_t *zip = buffer ? zip_open_from_source(buffer, ZIP_RDONLY | ZIP_CHECKCONS, &error) : NULL;
    if (!zip) {
        if (buffer) zip_source_free(buffer);
        zip_error_fini(&error);
        return copi_fail(ctx, COP_E_FORMAT, "not a ZIP archive, or a damaged one");
    }
    cop_status status = read_members(ctx, zip, n, net);
    zip_discard(zip);
    zip_error_fini(&error);
    return status;
}

/* -- weights alone, into a net that is there -- */

cop_status copi_keras_flat_images(const cop_net *net, copi_flat_image *flat) {
    for (int i = 0; i < net->nodes; i++) {
        const copi_node *node = &net->node[i];
        flat[i] = (copi_flat_image){0};
        if (node->rank != 1 || node->op == COPI_OP_DENSE) continue;
        const copi_flat_image *first = &flat[node->src[0]];
        if (node->op == COPI_OP_FLATTEN) {
            const int64_t *image = net->node[node->src[0]].shape;
            flat[i].flattened = image[0] > 1 && image[1] * image[2] > 1;
            memcpy(flat[i].image, image, sizeof flat[i].image);
            continue;
        }
        for (int s = 0; s < node->nsrc; s++) {
            const copi_flat_image *other = &flat[node->src[s]];
            bool alike =
                other->flattened == first->flattened && memcmp(other->image, first->image, sizeof first->image) == 0;
            if ((node->op == COPI_OP_ADD && first->flattened + other->flattened && !alike) ||
                (node->op == COPI_OP_CONCAT && other->flattened)) {
                return copi_fail(net->ctx, COP_E_UNSUPPORTED,
                                 "%s '%s': of flattened images, which Keras lays out in another order",
                                 copi_op_text(node->op), node->name);
            }
        }
        flat[i] = *first;
    }
    return COP_OK;
}

/* A layer of the net as Keras would have it; weights 0: none of those that have numbers. */
static void describe(const cop_net *net, const copi_flat_image *flat, int number, copi_keras_layer *layer) {
    const copi_node *node = &net->node[number];
    *layer = (copi_keras_layer){.name = node->name};
    int slots = 2;
    copi_keras_kind kernel = COPI_KERAS_DENSE;
    if (node->op == COPI_OP_CONV) {
        bool depthwise = node->u.conv.groups > 1 && node->u.conv.groups == net->node[node->src[0]].shape[0];
        layer->class_name = depthwise ? "DepthwiseConv2D" : "Conv2D";
        kernel = depthwise ? COPI_KERAS_DEPTHWISE : COPI_KERAS_CONV;
    } else if (node->op == COPI_OP_DENSE) {
        layer->class_name = "Dense";
    } else if (node->op == COPI_OP_BATCHNORM) {
        layer->class_name = "BatchNormalization";
        kernel = COPI_KERAS_VECTOR;
        slots = 4;
    } else {
        return;
    }
    for (int s = 0; s < slots; s++) {
        if (!copi_node_slot(net, node, s)) continue;
        copi_keras_weight w = {.node = number, .slot = s, .kind = s ? COPI_KERAS_VECTOR : kernel};
        if (node->op == COPI_OP_BATCHNORM || (node->op == COPI_OP_DENSE && s == COPI_WEIGHT)) {
            w.flattened = flat[node->src[0]].flattened;
            memcpy(w.image, flat[node->src[0]].image, sizeof w.image);
        }
        layer->weight[layer->weights++] = w;
    }
}

/* The layers of a net that have numbers, as Keras would have them; *layer is the caller's. */
static cop_status describe_all(const cop_net *net, copi_keras_layer **layer, int *layers) {
    *layers = 0;
    *layer = copi_alloc(net->ctx, (size_t)net->nodes, sizeof **layer);
    copi_flat_image *flat = copi_alloc(net->ctx, (size_t)net->nodes, sizeof *flat);
    cop_status status = *layer && flat ? copi_keras_flat_images(net, flat) : COP_E_NOMEM;
    for (int i = 0; !status && i < net->nodes; i++) {
        describe(net, flat, i, &(*layer)[*layers]);
        *layers += (*layer)[*layers].weights > 0;
    }
    copi_free(net->ctx, flat);
    return status;
}

cop_status copi_keras_weights_parse(cop_net *net, const uint8_t *bytes, size_t n) {
    int layers;
    copi_h5 h5 = {.file = -1};
    copi_keras_layer *layer;
    cop_status status = describe_all(net, &layer, &layers);
    if (!status) status = copi_h5_open(net->ctx, bytes, n, &h5);
    if (!status) status = read_layers(&h5, layer, layers, net, SHAPES); /* before anything is changed */
    if (!status) status = read_layers(&h5, layer, layers, net, INTO_NET);
    if (!status) copi_net_apply_masks(net);
    if (!status) status = copi_net_note(net, "weights from a Keras file: %d layers", layers);
    copi_h5_close(&h5);
    copi_free(net->ctx, layer);
    return status;
}

cop_status copi_keras_weights_save(const cop_net *net, const char *like_path, const uint8_t *like, size_t n,
                                   const char *path) {
    int layers;
    size_t size = 0;
    uint8_t *bytes = NULL;
    copi_h5 h5 = {.file = -1};
    copi_keras_layer *layer;
    cop_net *same = (cop_net *)(uintptr_t)net; /* it is only read from */
    cop_status status = describe_all(net, &layer, &layers);
    bool of_net = status != COP_OK;
    if (!status) status = copi_h5_open(net->ctx, like, n, &h5);
    if (!status) status = read_layers(&h5, layer, layers, same, SHAPES);
    if (!status) status = read_layers(&h5, layer, layers, same, OUT_OF_NET);
    if (!status) status = copi_h5_image(&h5, &bytes, &size);
    copi_h5_close(&h5);
    if (!status) status = copi_write_file(net->ctx, path, bytes, size);
    copi_free(net->ctx, bytes);
    copi_free(net->ctx, layer);
    if (!status || status == COP_E_IO) return status; /* IO names the file itself */
    of_net |= status == COP_E_RANGE;
    return copi_fail_in(net->ctx, status, "%s", of_net ? path : like_path);
}

/* -- weights alone, to be looked at -- */

static cop_status list_array(copi_h5 *h5, const char *path, const char *name, size_t layer, bool statistic,
                             cop_weights *w) {
    int rank;
    int64_t shape[COPI_H5_RANK], count;
    float *data;
    copi_array *a;
    cop_status status = copi_h5_shape(h5, path, &rank, shape);
    if (!status) status = copi_h5_floats(h5, path, &data, &count);
    if (status) return status;
    status = copi_weights_add(w, name, layer, rank, shape, true, &a);
    if (!status) {
        a->statistic = statistic;
        memcpy(a->data, data, (size_t)count * sizeof *data);
    }
    copi_free(h5->ctx, data);
    return status;
}

/* A name as "<layer>/<what the file calls the array>". */
static cop_status list_older(source *s, cop_weights *w) {
    cop_status status = COP_OK;
    for (int g = 0; !status && g < s->groups; g++) {
        status = open_group(s, s->group[g]);
        for (int i = 0; !status && i < s->weights; i++) {
            char path[1500], name[1000];
            status = weight_path(s, i, path, sizeof path);
            if (status) break;
            snprintf(name, sizeof name, "%s/%s", s->group[g], s->weight[i]);
            status = list_array(s->h5, path, name, strlen(s->group[g]), strstr(s->weight[i], "moving_") != NULL, w);
        }
    }
    return status;
}

static cop_status list_newer(source *s, cop_weights *w) {
    char **layer;
    int layers;
    cop_status status = copi_h5_members(s->h5, "layers", &layer, &layers);
    for (int l = 0; !status && l < layers; l++) {
        char path[1500], name[700];
        int count = 0;
        for (; count < COPI_KERAS_WEIGHTS_MAX; count++) {
            snprintf(path, sizeof path, "layers/%.500s/vars/%d", layer[l], count);
            if (!copi_h5_has(s->h5, path)) break;
        }
        bool batchnorm = strncmp(layer[l], "batch_normalization", 19) == 0; /* its last two: mean and variance */
        for (int i = 0; !status && i < count; i++) {
            snprintf(path, sizeof path, "layers/%.500s/vars/%d", layer[l], i);
            snprintf(name, sizeof name, "%.500s/%d", layer[l], i);
            status = list_array(s->h5, path, name, strlen(name) - 2, batchnorm && i >= count - 2, w);
        }
    }
    copi_free(s->ctx, layer);
    copi_weights_sort(w);
    return status;
}

cop_status copi_keras_weights_list(cop_ctx *ctx, const uint8_t *bytes, size_t n, cop_weights *w) {
    copi_h5 h5;
    source s = {0};
    *w = (cop_weights){.ctx = ctx};
    cop_status status = copi_h5_open(ctx, bytes, n, &h5);
    if (status) return status;
    status = open_source(&h5, &s);
    if (!status) status = s.newer ? list_newer(&s, w) : list_older(&s, w);
    close_source(&s);
    copi_h5_close(&h5);
    if (!status) status = copi_weights_layers(w);
    if (status) copi_weights_clear(w);
    return status;
}

cop_status copi_keras_h5_kind(cop_ctx *ctx, const uint8_t *bytes, size_t n, cop_model_kind *kind) {
    copi_h5 h5;
    char *config = NULL;
    cop_status status = copi_h5_open(ctx, bytes, n, &h5);
    if (!status) status = copi_h5_text(&h5, "", "model_config", &config);
    *kind = config ? COP_MODEL_NET : COP_MODEL_WEIGHTS;
    copi_free(ctx, config);
    copi_h5_close(&h5);
    return status;
}

/* -- an architecture alone: model.to_json(), or the config.json of a .keras -- */

/* No file of numbers bounds what the text may ask for. */
static cop_status check_size(cop_ctx *ctx, const cop_net *net) {
    const int64_t most = (int64_t)1 << 30;
    int64_t count = 0;
    for (int i = 0; i < net->params && count <= most; i++) count += net->param[i].count;
    if (count <= most) return COP_OK;
    return copi_fail(ctx, COP_E_UNSUPPORTED, "an architecture of over %" PRId64 " numbers", most);
}

cop_status copi_keras_json_parse(cop_ctx *ctx, const uint8_t *bytes, size_t n, cop_net **net) {
    *net = NULL;
    json_t *json;
    copi_keras_model model;
    cop_status status = copi_json_parse(ctx, "Keras architecture", (const char *)bytes, n, &json);
    if (!status) status = copi_keras_model_read(ctx, json, &model);
    if (status) return status;
    cop_net *made = NULL;
    status = check_size(ctx, model.graph->net);
    if (!status) {
        status = cop_graph_build(model.graph, copi_seed(ctx), &made);
        model.graph = NULL;
    }
    if (!status) {
        status = copi_net_note(made, "Keras architecture, weights drawn with seed %llu",
                               (unsigned long long)copi_seed(ctx));
    }
    if (!status) status = note_rescaling(&model, made);
    copi_keras_model_clear(&model);
    if (status) {
        cop_net_destroy(made);
        return status;
    }
    *net = made;
    return COP_OK;
}
