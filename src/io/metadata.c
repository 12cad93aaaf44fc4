#include "io/metadata.h"

#include "io/json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Are all finite? Looked at as bits, which runs at the speed of memory. */
static bool all_finite(const float *x, int64_t n) {
    uint32_t bad = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bad |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return !bad;
}

/* The index of the first number that is not finite, or -1. */
static int64_t find_nonfinite(const float *x, int64_t n) {
    enum { BLOCK = 1024 };
    for (int64_t at = 0; at < n; at += BLOCK) {
        if (all_finite(x + at, n - at < BLOCK ? n - at : BLOCK)) continue;
        while (isfinite(x[at])) at++;
        return at;
    }
    return -1;
}

cop_status copi_param_read(copi_file *file, const uint8_t *at, const copi_param *p, cop_status status) {
    enum { BLOCK = 1 << 16 }; /* numbers; small enough to be in a near cache when they are looked at */
    bool finite = true;
    for (int64_t i = 0; i < p->count; i += BLOCK) {
        int64_t n = p->count - i < BLOCK ? p->count - i : BLOCK;
        cop_status failed = copi_file_read(file, at + 4 * i, (size_t)n * sizeof *p->data, p->data + i);
        if (failed) return failed;
        finite &= all_finite(p->data + i, n);
    }
    return finite && p->kind != COPI_PARAM_VAR ? COP_OK : copi_param_check(file->ctx, p, status);
}

cop_status copi_param_check(cop_ctx *ctx, const copi_param *p, cop_status status) {
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

/* -- writing -- */

cop_status copi_metadata_set_json(cop_ctx *ctx, json_t *strings, const char *key, json_t *value) {
    copi_buffer text;
    copi_buffer_init(&text, ctx);
    cop_status status = value ? copi_json_print(ctx, value, &text) : copi_json_no_memory(ctx);
    json_decref(value);
    if (!status && json_object_set_new(strings, key, json_stringn(text.data, text.len)))
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

cop_status copi_metadata_write(const cop_net *net, json_t *strings) {
    cop_ctx *ctx = net->ctx;
    cop_status status = COP_OK;
    if (json_object_set_new(strings, "coppice.provenance", copi_json_text(ctx, net->provenance))) {
        status = copi_json_no_memory(ctx);
    }
    if (!status && net->metadata &&
        json_object_set_new(strings, COPI_METADATA_FOREIGN, copi_json_text(ctx, net->metadata)))
        status = copi_json_no_memory(ctx);
    if (!status && net->class_name)
        status = copi_metadata_set_json(ctx, strings, "coppice.classes", class_names(net));
    if (!status && net->normalized) {
        status = copi_metadata_set_json(ctx, strings, "coppice.normalization", normalization(net));
    }
    if (!status && net->channel_order != COP_CHANNEL_ORDER_RGB &&
        json_object_set_new(strings, "coppice.channels", json_string(cop_channel_order_name(net->channel_order)))) {
        status = copi_json_no_memory(ctx);
    }
    return status;
}

static json_t *dense_totals(const cop_net *net, const char *const *names) {
    json_t *layers = json_object();
    for (int i = 0; i < net->nodes; i++) {
        const copi_node *node = &net->node[i];
        if (!node->dense_count) continue;
        json_t *pair = json_pack("[I,I]", (json_int_t)node->dense_count, (json_int_t)node->dense_macs);
        if (json_object_set_new_nocheck(layers, names ? names[i] : node->name, pair)) {
            json_decref(layers);
            return NULL;
        }
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:o}", "parameters", (json_int_t)net->dense_parameters, "conv",
                     (json_int_t)net->dense_conv, "dense", (json_int_t)net->dense_dense, "macs",
                     (json_int_t)net->dense_macs, "layers", layers);
}

static json_t *masked_names(const cop_net *net, const char *const *names) {
    json_t *list = json_array();
    for (int i = 0; i < net->params; i++) {
        const copi_param *p = &net->param[i];
        if (!p->mask) continue;
        const char *own = net->node[p->node].name, *suffix = p->name + strlen(own);
        char *name = copi_format(net->ctx, "%s%s", names ? names[p->node] : own, suffix);
        bool added = name && !json_array_append_new(list, json_string(name));
        copi_free(net->ctx, name);
        if (added) continue;
        json_decref(list);
        return NULL;
    }
    return list;
}

cop_status copi_metadata_write_marks(const cop_net *net, const char *const *names, json_t *strings) {
    cop_status status = copi_metadata_set_json(net->ctx, strings, "coppice.dense", dense_totals(net, names));
    bool masked = false;
    for (int i = 0; i < net->params; i++) masked |= net->param[i].mask != NULL;
    if (!status && masked)
        status = copi_metadata_set_json(net->ctx, strings, "coppice.masks", masked_names(net, names));
    return status;
}

/* -- reading -- */

cop_status copi_metadata_get_json(cop_ctx *ctx, const json_t *strings, const char *key, json_t **json) {
    const char *text = json_string_value(json_object_get(strings, key));
    *json = NULL;
    return text ? copi_json_parse(ctx, key, text, strlen(text), json) : COP_OK;
}

static cop_status read_classes(cop_net *net, const json_t *strings) {
    json_t *list;
    cop_status status = copi_metadata_get_json(net->ctx, strings, "coppice.classes", &list);
    if (status || !list) return status;
    size_t n = json_array_size(list);
    const char **name = copi_alloc(net->ctx, n + 1, sizeof *name);
    if (!name) status = COP_E_NOMEM;
    if (!status && n != (size_t)net->classes) {
        status =
            copi_fail(net->ctx, COP_E_FORMAT, "coppice.classes names %zu classes; the net has %d", n, net->classes);
    }
    for (size_t i = 0; !status && i < n; i++) {
        name[i] = json_string_value(json_array_get(list, i));
        if (!name[i]) status = copi_fail(net->ctx, COP_E_FORMAT, "coppice.classes: entry %zu is not a name", i);
    }
    if (!status) status = copi_net_set_classes(net, name, (int)n);
    copi_free(net->ctx, name);
    json_decref(list);
    return status;
}

static cop_status read_normalization(cop_net *net, const json_t *strings) {
    json_t *both;
    cop_status status = copi_metadata_get_json(net->ctx, strings, "coppice.normalization", &both);
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
        return copi_fail(net->ctx, COP_E_FORMAT,
                         "coppice.normalization: mean and std must be %zu numbers each, std above 0", channels);
    }
    return copi_net_set_normalization(net, mean, std);
}

static cop_status read_channels(cop_net *net, const json_t *strings) {
    const char *text = json_string_value(json_object_get(strings, "coppice.channels"));
    if (!text || strcmp(text, cop_channel_order_name(COP_CHANNEL_ORDER_RGB)) == 0) return COP_OK;
    if (strcmp(text, cop_channel_order_name(COP_CHANNEL_ORDER_BGR)) != 0 || net->node[0].shape[0] != 3) {
        return copi_fail(net->ctx, COP_E_FORMAT,
                         "coppice.channels: '%.20s' of %" PRId64 " channels; supported: rgb and bgr", text,
                         net->node[0].shape[0]);
    }
    net->channel_order = COP_CHANNEL_ORDER_BGR;
    return COP_OK;
}

static cop_status read_provenance(cop_net *net, const json_t *strings) {
    const char *text = json_string_value(json_object_get(strings, "coppice.provenance"));
    if (!text) return COP_OK;
    char *copy = copi_strdup(net->ctx, text);
    if (!copy) return COP_E_NOMEM;
    copi_free(net->ctx, net->provenance);
    net->provenance = copy;
    return COP_OK;
}

static cop_status read_foreign(cop_net *net, const json_t *strings) {
    json_t *foreign, *value;
    const char *key;
    cop_status status = copi_metadata_get_json(net->ctx, strings, COPI_METADATA_FOREIGN, &foreign);
    if (status || !foreign) return status;
    bool texts = json_is_object(foreign);
    json_object_foreach(foreign, key, value) texts &= json_is_string(value);
    status = texts ? copi_metadata_set_foreign(net, foreign)
                   : copi_fail(net->ctx, COP_E_FORMAT, COPI_METADATA_FOREIGN " is not an object of strings");
    json_decref(foreign);
    return status;
}

cop_status copi_metadata_set_foreign(cop_net *net, const json_t *foreign) {
    copi_buffer text;
    copi_buffer_init(&text, net->ctx);
    cop_status status = copi_json_print(net->ctx, foreign, &text);
    char *copy = status ? NULL : copi_strdup(net->ctx, text.data);
    if (!status && !copy) status = COP_E_NOMEM;
    if (!status) {
        copi_free(net->ctx, net->metadata);
        net->metadata = copy;
    }
    copi_buffer_clear(&text);
    return status;
}

cop_status copi_metadata_read(cop_net *net, const json_t *strings) {
    cop_status status = read_classes(net, strings);
    if (!status) status = read_foreign(net, strings);
    if (!status) status = read_normalization(net, strings);
    if (!status) status = read_channels(net, strings);
    if (!status) status = read_provenance(net, strings);
    return status;
}

static bool get_count(const json_t *value, int64_t *count) {
    *count = json_integer_value(value);
    return json_is_integer(value) && *count >= 0;
}

/* left: what the metadata name and the net does not have. */
static void warn_of_left(const cop_net *net, const char *key, json_t *left) {
    size_t n = json_object_size(left);
    if (!n) return;
    const char *first = json_object_iter_key(json_object_iter(left));
    if (n == 1) {
        copi_log(net->ctx, COP_LOG_WARNING, "%s: the net has no '%.200s'; it is left out", key, first);
    } else {
        copi_log(net->ctx, COP_LOG_WARNING, "%s: the net has no '%.200s' and %zu more; they are left out", key, first,
                 n - 1);
    }
}

/* Takes what it finds out of layers. */
static bool read_layers(cop_net *net, json_t *layers) {
    for (int i = 0; i < net->nodes; i++) {
        copi_node *node = &net->node[i];
        const json_t *pair = json_object_get(layers, node->name);
        if (!pair) continue;
        if (!get_count(json_array_get(pair, 0), &node->dense_count) ||
            !get_count(json_array_get(pair, 1), &node->dense_macs)) {
            return false;
        }
        json_object_del(layers, node->name);
    }
    warn_of_left(net, "coppice.dense", layers);
    return true;
}

static cop_status read_dense(cop_net *net, const json_t *strings) {
    json_t *json;
    cop_status status = copi_metadata_get_json(net->ctx, strings, "coppice.dense", &json);
    if (status || !json) return status;
    if (!get_count(json_object_get(json, "parameters"), &net->dense_parameters) ||
        !get_count(json_object_get(json, "conv"), &net->dense_conv) ||
        !get_count(json_object_get(json, "dense"), &net->dense_dense) ||
        !get_count(json_object_get(json, "macs"), &net->dense_macs) ||
        !read_layers(net, json_object_get(json, "layers"))) {
        status = copi_fail(net->ctx, COP_E_FORMAT, "coppice.dense: a total is missing or not a count");
    }
    json_decref(json);
    return status;
}

cop_status copi_param_mask_zeros(cop_net *net, copi_param *p) {
    uint8_t *mask = copi_param_mask(net, p);
    if (!mask) return COP_E_NOMEM;
    for (int64_t k = 0; k < p->count; k++) mask[k] = p->data[k] != 0;
    return COP_OK;
}

static cop_status read_masks(cop_net *net, const json_t *strings) {
    json_t *names, *all = json_object();
    cop_status status = copi_metadata_get_json(net->ctx, strings, "coppice.masks", &names);
    for (size_t i = 0; !status && i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (!name) status = copi_fail(net->ctx, COP_E_FORMAT, "coppice.masks: entry %zu is not a name", i);
        if (!status && json_object_set_new(all, name, json_true())) status = copi_json_no_memory(net->ctx);
    }
    for (int i = 0; !status && i < net->params; i++) {
        if (json_object_get(all, net->param[i].name)) status = copi_param_mask_zeros(net, &net->param[i]);
        json_object_del(all, net->param[i].name);
    }
    if (!status) warn_of_left(net, "coppice.masks", all);
    json_decref(names);
    json_decref(all);
    return status;
}

cop_status copi_metadata_read_marks(cop_net *net, const json_t *strings) {
    cop_status status = read_dense(net, strings);
    return status ? status : read_masks(net, strings);
}

cop_status copi_metadata_normalize(cop_net *net, const double *scale, const double *shift) {
    double mean[COP_MAX_CHANNELS], std[COP_MAX_CHANNELS], largest = 0;
    int64_t channels = net->node[0].shape[0];
    for (int64_t c = 0; c < channels; c++) {
        std[c] = 1 / scale[c];
        mean[c] = -shift[c] / scale[c];
        largest = fmax(largest, fmax(std[c], mean[c]));
    }
    bool bytes = largest > 2; /* a mean or deviation that pixels in [0,1] can't have: the model takes 0 to 255 */
    for (int64_t c = 0; bytes && c < channels; c++) {
        std[c] /= 255;
        mean[c] /= 255;
    }
    cop_status status = copi_net_set_normalization(net, mean, std);
    if (status) return copi_fail_in(net->ctx, COP_E_UNSUPPORTED, "what the model does to its images first");
    return copi_net_note(net, "the model's own scaling of images of [0,%d] became the net's normalization",
                         bytes ? 255 : 1);
}
