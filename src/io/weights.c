/* Arrays by name: the container, what is known of it, and safetensors files that hold tensors alone. */
#include "io/weights.h"

#include "io/half.h"
#include "io/safetensors/header.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

cop_status copi_weights_add(cop_weights *w, const char *name, size_t layer, int rank, const int64_t *shape,
                            bool floats, copi_array **array) {
    if (w->arrays == w->cap) {
        int more = w->cap ? 2 * w->cap : 64;
        void *grown = copi_grow(w->ctx, w->array, (size_t)w->arrays, (size_t)more, sizeof *w->array);
        if (!grown) return COP_E_NOMEM;
        w->array = grown;
        w->cap = more;
    }
    copi_array a = {.layer = layer, .rank = rank, .count = 1};
    for (int d = 0; d < rank; d++) {
        a.shape[d] = shape[d];
        if (!copi_mul_i64(a.count, shape[d], &a.count) || a.count > COPI_MAX_ELEMENTS) {
            return copi_fail(w->ctx, COP_E_FORMAT, "array '%s' is too large", name);
        }
    }
    a.name = copi_strdup(w->ctx, name);
    if (floats) a.data = copi_alloc(w->ctx, a.count ? (size_t)a.count : 1, sizeof *a.data);
    if (!a.name || (floats && !a.data)) {
        copi_free(w->ctx, a.name);
        copi_free(w->ctx, a.data);
        return COP_E_NOMEM;
    }
    if (floats) w->bytes += (size_t)a.count * sizeof *a.data;
    w->array[w->arrays] = a;
    *array = &w->array[w->arrays++];
    return COP_OK;
}

void copi_weights_clear(cop_weights *w) {
    for (int i = 0; i < w->arrays; i++) {
        copi_free(w->ctx, w->array[i].name);
        copi_free(w->ctx, w->array[i].data);
    }
    for (int i = 0; w->layer && i < w->layers; i++) copi_free(w->ctx, w->layer[i]);
    copi_free(w->ctx, w->layer);
    copi_free(w->ctx, w->array);
    copi_free(w->ctx, w->first);
    *w = (cop_weights){.ctx = w->ctx};
}

/* -- order -- */

/* Numbers in names count as numbers: "conv2" before "conv10". */
static int compare_texts(const char *a, size_t an, const char *b, size_t bn) {
    size_t i = 0, j = 0;
    while (i < an && j < bn) {
        size_t di = 0, dj = 0;
        while (i < an && a[i] == '0' && i + 1 < an && a[i + 1] >= '0' && a[i + 1] <= '9') i++;
        while (j < bn && b[j] == '0' && j + 1 < bn && b[j + 1] >= '0' && b[j + 1] <= '9') j++;
        while (i + di < an && a[i + di] >= '0' && a[i + di] <= '9') di++;
        while (j + dj < bn && b[j + dj] >= '0' && b[j + dj] <= '9') dj++;
        if (di && dj && di != dj) return di < dj ? -1 : 1;
        if (a[i] != b[j]) return (unsigned char)a[i] < (unsigned char)b[j] ? -1 : 1;
        i++;
        j++;
    }
    return (i < an) - (j < bn);
}

static int by_layer(const void *x, const void *y) {
    const copi_array *a = x, *b = y;
    int order = compare_texts(a->name, a->layer, b->name, b->layer);
    return order ? order : strcmp(a->name, b->name);
}

void copi_weights_sort(cop_weights *w) {
    if (w->arrays) qsort(w->array, (size_t)w->arrays, sizeof *w->array, by_layer);
}

/* -- layers -- */

static bool same_layer(const copi_array *a, const copi_array *b) {
    return a->layer == b->layer && memcmp(a->name, b->name, a->layer) == 0;
}

cop_status copi_weights_layers(cop_weights *w) {
    w->first = copi_alloc(w->ctx, (size_t)w->arrays + 1, sizeof *w->first);
    w->layer = copi_alloc(w->ctx, (size_t)w->arrays + 1, sizeof *w->layer);
    if (!w->first || !w->layer) return COP_E_NOMEM;
    for (int i = 0; i < w->arrays; i++) {
        if (i && same_layer(&w->array[i - 1], &w->array[i])) continue;
        const copi_array *a = &w->array[i];
        w->layer[w->layers] = copi_format(w->ctx, "%.*s", (int)a->layer, a->name);
        if (!w->layer[w->layers]) return COP_E_NOMEM;
        w->first[w->layers++] = i;
    }
    w->first[w->layers] = w->arrays;
    return COP_OK;
}

/* The array that a layer is known by: that of the highest rank. */
static const copi_array *kernel_of(const cop_weights *w, int layer) {
    const copi_array *best = NULL;
    for (int i = w->first[layer]; i < w->first[layer + 1]; i++) {
        const copi_array *a = &w->array[i];
        if (a->data && !a->statistic && (!best || a->rank > best->rank)) best = a;
    }
    return best;
}

cop_status cop_weights_get_layer(const cop_weights *w, int layer, cop_layer_info *info) {
    if (info) memset(info, 0, sizeof *info);
    COPI_REQUIRE(NULL, w);
    COPI_REQUIRE(w->ctx, info);
    if (layer < 0 || layer >= w->layers) {
        return copi_fail(w->ctx, COP_E_RANGE, "layer %d; the file has %d", layer, w->layers);
    }
    const copi_array *kernel = kernel_of(w, layer);
    int rank = kernel ? kernel->rank : 0;
    info->name = w->layer[layer];
    info->op = rank == 4 ? copi_op_text(COPI_OP_CONV) : rank == 2 ? copi_op_text(COPI_OP_DENSE) : "";
    info->weight_rank = rank > 4 ? 0 : rank;
    for (int d = 0; d < info->weight_rank; d++) info->weight_shape[d] = kernel->shape[d];
    for (int i = w->first[layer]; i < w->first[layer + 1]; i++) {
        const copi_array *a = &w->array[i];
        if (!a->data || a->statistic) continue;
        info->parameters += a->count;
        for (int64_t k = 0; k < a->count; k++) info->zeros += a->data[k] == 0;
    }
    info->parameters_dense = info->parameters;
    info->sparsity = info->parameters ? (double)info->zeros / (double)info->parameters : 0;
    info->macs = info->macs_effective = -1;
    return COP_OK;
}

void cop_weights_get_info(const cop_weights *w, cop_net_info *info) {
    int64_t parameters[2] = {0}, zeros[2] = {0}; /* of conv, of dense */
    if (info) memset(info, 0, sizeof *info);
    if (!info || !w) return;
    for (int i = 0; i < w->layers; i++) {
        cop_layer_info l;
        if (cop_weights_get_layer(w, i, &l)) continue; /* i is in range: it can't fail */
        info->parameters += l.parameters;
        info->zeros += l.zeros;
        if (!*l.op) continue;
        int kind = l.weight_rank == 2;
        parameters[kind] += l.parameters;
        zeros[kind] += l.zeros;
    }
    info->layers = w->layers;
    info->parameters_dense = info->parameters;
    info->nonzero = info->parameters - info->zeros;
    info->sparsity = info->parameters ? (double)info->zeros / (double)info->parameters : NAN;
    info->sparsity_conv = parameters[0] ? (double)zeros[0] / (double)parameters[0] : NAN;
    info->sparsity_dense = parameters[1] ? (double)zeros[1] / (double)parameters[1] : NAN;
    info->macs = info->macs_dense = info->macs_effective = -1;
    info->bytes = w->bytes;
    info->provenance = "";
}

void cop_weights_destroy(cop_weights *w) {
    if (!w) return;
    copi_weights_clear(w);
    copi_free(w->ctx, w);
}

/* -- a safetensors file -- */

static bool is_statistic(const char *name) {
    static const char *const endings[] = {".running_mean", ".running_var", ".mean", ".var", ".num_batches_tracked"};
    for (size_t i = 0; i < COPI_COUNT(endings); i++) {
        if (copi_ends_with(name, endings[i])) return true;
    }
    return false;
}

static float number(copi_st_dtype dtype, const uint8_t *from, int64_t i) {
    uint16_t half;
    double wide;
    if (dtype == COPI_ST_F64) {
        memcpy(&wide, from + 8 * i, sizeof wide);
        return (float)wide;
    }
    memcpy(&half, from + 2 * i, sizeof half);
    return dtype == COPI_ST_F16 ? copi_half_to_float(half) : copi_bfloat_to_float(half);
}

static cop_status add_entry(copi_file *file, const copi_st_header *h, const copi_st_entry *e, cop_weights *w) {
    const char *dot = strrchr(e->name, '.');
    bool floats =
        e->dtype == COPI_ST_F32 || e->dtype == COPI_ST_F64 || e->dtype == COPI_ST_F16 || e->dtype == COPI_ST_BF16;
    copi_array *a;
    cop_status status =
        copi_weights_add(w, e->name, dot ? (size_t)(dot - e->name) : 0, e->rank, e->shape, floats, &a);
    if (status) return status;
    a->statistic = is_statistic(e->name);
    if (e->dtype == COPI_ST_F32) return copi_file_read(file, h->data + e->begin, e->end - e->begin, a->data);
    status = copi_file_need(file, h->data + e->begin, e->end - e->begin);
    if (status) return status;
    for (int64_t i = 0; floats && i < a->count; i++) a->data[i] = number(e->dtype, h->data + e->begin, i);
    return COP_OK;
}

cop_status copi_safetensors_weights(copi_file *file, cop_weights *w) {
    copi_st_header h;
    *w = (cop_weights){.ctx = file->ctx};
    cop_status status = copi_st_header_parse(file, &h);
    if (status) return status;
    for (size_t i = 0; !status && i < h.entries; i++) status = add_entry(file, &h, &h.entry[i], w);
    copi_st_header_clear(&h);
    copi_weights_sort(w);
    if (!status) status = copi_weights_layers(w);
    if (status) copi_weights_clear(w);
    return status;
}
