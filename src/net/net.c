#include "net/net.h"

#include <math.h>
#include <string.h>

/* -- finding -- */

int copi_net_find(const cop_net *net, const char *node_name) {
    for (int i = 0; i < net->nodes; i++)
        if (!strcmp(net->node[i].name, node_name)) return i;
    return -1;
}

int copi_net_find_param(const cop_net *net, const char *param_name) {
    for (int p = 0; p < net->params; p++)
        if (!strcmp(net->param[p].name, param_name)) return p;
    return -1;
}

copi_param *copi_node_slot(const cop_net *net, const copi_node *node, int slot) {
    return node->param[slot] < 0 ? NULL : &net->param[node->param[slot]];
}

int copi_net_consumers(const cop_net *net, int node, int *consumer, int max) {
    int found = 0;
    for (int i = node + 1; i < net->nodes; i++) {
        bool reads = false;
        for (int s = 0; s < net->node[i].nsrc; s++) reads |= net->node[i].src[s] == node;
        if (!reads) continue;
        if (found < max) consumer[found] = i;
        found++;
    }
    return found;
}

/* -- masks and marks -- */

bool copi_param_counts(copi_param_kind kind) {
    return kind == COPI_PARAM_WEIGHT || kind == COPI_PARAM_BIAS || kind == COPI_PARAM_SCALE ||
           kind == COPI_PARAM_SHIFT;
}

uint8_t *copi_param_mask(cop_net *net, copi_param *param) {
    if (param->mask) return param->mask;
    param->mask = copi_alloc(net->ctx, (size_t)param->count, 1);
    if (param->mask) memset(param->mask, 1, (size_t)param->count);
    return param->mask;
}

cop_status copi_net_copy_masks(cop_net *net, const cop_net *from) {
    for (int p = 0; p < net->params; p++) {
        copi_param *param = &net->param[p];
        const uint8_t *source = from->param[p].mask;
        if (!source && !param->mask) continue;
        if (!copi_param_mask(net, param)) return COP_E_NOMEM;
        if (source)
            memcpy(param->mask, source, (size_t)param->count);
        else
            memset(param->mask, 1, (size_t)param->count);
    }
    return COP_OK;
}

void copi_net_apply_masks(cop_net *net) {
    for (int p = 0; p < net->params; p++) {
        const copi_param *param = &net->param[p];
        for (int64_t i = 0; param->mask && i < param->count; i++)
            if (!param->mask[i]) param->data[i] = 0;
    }
}

void copi_net_mark_dense(cop_net *net) {
    net->dense_parameters = net->dense_conv = net->dense_dense = net->dense_macs = 0;
    for (int i = 0; i < net->nodes; i++) {
        copi_node *node = &net->node[i];
        const copi_op_class *class = copi_op_get(node->op);
        node->dense_count = 0;
        for (int s = 0; s < COPI_SLOTS; s++) {
            const copi_param *param = copi_node_slot(net, node, s);
            if (param && copi_param_counts(param->kind)) node->dense_count += param->count;
        }
        node->dense_macs = class->macs ? class->macs(net, node, copi_node_slot(net, node, COPI_WEIGHT)->count) : 0;
        net->dense_parameters += node->dense_count;
        net->dense_macs += node->dense_macs;
        if (node->op == COPI_OP_CONV) net->dense_conv += node->dense_count;
        if (node->op == COPI_OP_DENSE) net->dense_dense += node->dense_count;
    }
}

/* -- what belongs to a net besides its topology -- */

cop_status copi_net_note(cop_net *net, const char *format, ...) {
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    for (char *c = line; *c; c++)
        if (*c == '\n' || *c == '\r') *c = ' ';
    char *all = copi_format(net->ctx, "%s%s%s", net->provenance, *net->provenance ? "\n" : "", line);
    if (!all) return COP_E_NOMEM;
    copi_free(net->ctx, net->provenance);
    net->provenance = all;
    return COP_OK;
}

static void free_names(cop_ctx *ctx, char **name, int n) {
    for (int i = 0; name && i < n; i++) copi_free(ctx, name[i]);
    copi_free(ctx, name);
}

cop_status copi_net_set_classes(cop_net *net, const char *const *name, int classes) {
    char **copy = NULL;
    if (name) {
        if (classes != net->classes)
            return copi_fail(net->ctx, COP_E_ARG, "%d class names for a net of %d classes", classes, net->classes);
        copy = copi_alloc(net->ctx, (size_t)classes, sizeof *copy);
        for (int i = 0; copy && i < classes; i++) {
            copy[i] = copi_strdup(net->ctx, name[i]);
            if (!copy[i]) {
                free_names(net->ctx, copy, i);
                copy = NULL;
            }
        }
        if (!copy) return COP_E_NOMEM;
    }
    free_names(net->ctx, net->class_name, net->classes);
    net->class_name = copy;
    return COP_OK;
}

cop_status copi_net_set_normalization(cop_net *net, const double *mean, const double *std) {
    int channels = (int)net->node[0].shape[0];
    if (!mean != !std)
        return copi_fail(net->ctx, COP_E_ARG, "normalization: give mean and standard deviation together");
    for (int c = 0; mean && c < channels; c++)
        if (!isfinite(mean[c]) || !isfinite(std[c]) || std[c] <= 0)
            return copi_fail(net->ctx, COP_E_RANGE,
                             "normalization of channel %d: mean %g, standard deviation %g; both "
                             "must be finite, the deviation above 0",
                             c, mean[c], std[c]);
    net->normalized = mean != NULL;
    memset(net->mean, 0, sizeof net->mean);
    memset(net->std, 0, sizeof net->std);
    if (!net->normalized) return COP_OK;
    memcpy(net->mean, mean, (size_t)channels * sizeof *mean);
    memcpy(net->std, std, (size_t)channels * sizeof *std);
    return COP_OK;
}

COPI_ENUM(channel_order, COP_CHANNEL_ORDER_LIST)
COPI_ENUM(pixel_range, COP_PIXEL_RANGE_LIST)

void cop_preprocessing_init(cop_preprocessing *preprocessing, size_t size) {
    cop_preprocessing usual = {.size = sizeof usual}; /* RGB, UNIT */
    for (int c = 0; c < COP_MAX_CHANNELS; c++) usual.std[c] = 1;
    copi_struct_init(preprocessing, size, &usual, sizeof usual);
}

/* The stretched pixel is (x - low) / width of x in [0,1]; so ((x - low) / width - mean) / std is
 * (x - (low + width mean)) / (width std). */
cop_status cop_net_set_preprocessing(cop_net *net, const cop_preprocessing *p) {
    static const struct {
        double low, width;
    } range[] = {[COP_PIXEL_RANGE_UNIT] = {0, 1},
                 [COP_PIXEL_RANGE_SIGNED] = {0.5, 0.5},
                 [COP_PIXEL_RANGE_BYTES] = {0, 1.0 / 255}};
    COPI_REQUIRE(NULL, net);
    cop_status status = COPI_CHECK(net->ctx, cop_preprocessing, p);
    if (status) return status;
    int64_t channels = net->node[0].shape[0];
    if (channels > COP_MAX_CHANNELS || (unsigned)p->range >= COPI_COUNT(range) ||
        (unsigned)p->order > COP_CHANNEL_ORDER_BGR)
        return copi_fail(net->ctx, COP_E_RANGE,
                         "preprocessing: cannot apply pixel range %d and channel order %d to %lld channels",
                         (int)p->range, (int)p->order, (long long)channels);
    if (p->order == COP_CHANNEL_ORDER_BGR && channels != 3)
        return copi_fail(net->ctx, COP_E_SHAPE, "channel order bgr needs 3 channels; the net's images have %lld",
                         (long long)channels);
    double mean[COP_MAX_CHANNELS], std[COP_MAX_CHANNELS];
    for (int64_t c = 0; c < channels; c++) {
        mean[c] = range[p->range].low + range[p->range].width * p->mean[c];
        std[c] = range[p->range].width * p->std[c];
    }
    status = copi_net_set_normalization(net, mean, std);
    if (!status) net->channel_order = p->order;
    return status;
}

cop_status copi_net_inherit(cop_net *net, const cop_net *from) {
    char *provenance = copi_strdup(net->ctx, from->provenance);
    if (!provenance) return COP_E_NOMEM;
    copi_free(net->ctx, net->provenance);
    net->provenance = provenance;
    if (from->metadata && !(net->metadata = copi_strdup(net->ctx, from->metadata))) return COP_E_NOMEM;
    if (from->class_name && from->classes == net->classes) {
        cop_status status = copi_net_set_classes(net, (const char *const *)from->class_name, from->classes);
        if (status) return status;
    }
    net->normalized = from->normalized;
    net->channel_order = from->channel_order;
    memcpy(net->mean, from->mean, sizeof net->mean);
    memcpy(net->std, from->std, sizeof net->std);
    net->dense_parameters = from->dense_parameters;
    net->dense_conv = from->dense_conv;
    net->dense_dense = from->dense_dense;
    net->dense_macs = from->dense_macs;
    for (int i = 0; i < net->nodes; i++) {
        copi_node *node = &net->node[i];
        int old = copi_net_find(from, node->name);
        if (old < 0 || from->node[old].op != node->op) continue;
        node->dense_count = from->node[old].dense_count;
        node->dense_macs = from->node[old].dense_macs;
    }
    return COP_OK;
}

cop_status copi_net_copy_params(cop_net *net, const cop_net *from) {
    for (int p = 0; p < net->params; p++) {
        copi_param *param = &net->param[p];
        int old = copi_net_find_param(from, param->name);
        if (old < 0) continue;
        const copi_param *source = &from->param[old];
        if (source->rank != param->rank || memcmp(source->shape, param->shape, sizeof param->shape) != 0) continue;
        memcpy(param->data, source->data, (size_t)param->count * sizeof *param->data);
        if (!source->mask) continue;
        uint8_t *mask = copi_param_mask(net, param);
        if (!mask) return COP_E_NOMEM;
        memcpy(mask, source->mask, (size_t)param->count);
    }
    return COP_OK;
}

/* -- freeing -- */

void cop_net_destroy(cop_net *net) {
    if (!net) return;
    cop_ctx *ctx = net->ctx;
    for (int i = 0; i < net->nodes; i++) {
        copi_free(ctx, net->node[i].name);
        copi_free(ctx, net->node[i].src);
    }
    for (int p = 0; p < net->params; p++) {
        copi_free(ctx, net->param[p].name);
        copi_free(ctx, net->param[p].mask);
    }
    copi_free(ctx, net->node);
    copi_free(ctx, net->param);
    copi_free(ctx, net->block);
    free_names(ctx, net->class_name, net->classes);
    copi_free(ctx, net->provenance);
    copi_free(ctx, net->metadata);
    copi_free(ctx, net);
}
