/* A net's tensors by name: what an embedding program reads and writes. */
#include "net/net.h"

#include <math.h>
#include <string.h>

COPI_ENUM(tensor_kind, COP_TENSOR_KIND_LIST)

int cop_net_tensor_count(const cop_net *net) {
    return net ? net->params : 0;
}

int cop_net_find_tensor(const cop_net *net, const char *name) {
    return net && name ? copi_net_find_param(net, name) : -1;
}

cop_status cop_net_get_tensor(const cop_net *net, int i, cop_tensor_info *info) {
    if (info) *info = (cop_tensor_info){0};
    COPI_REQUIRE(NULL, net);
    COPI_REQUIRE(net->ctx, info);
    if (i < 0 || i >= net->params)
        return copi_fail(net->ctx, COP_E_RANGE, "tensor %d; the net has tensors 0 to %d", i, net->params - 1);
    const copi_param *p = &net->param[i];
    info->name = p->name;
    info->kind = (cop_tensor_kind)p->kind;
    info->layer = p->node;
    info->rank = p->rank;
    memcpy(info->shape, p->shape, sizeof info->shape);
    info->count = p->count;
    for (int64_t k = 0; p->mask && k < p->count; k++) info->masked += !p->mask[k];
    return COP_OK;
}

static const char *name_at(int i, const void *net) {
    return ((const cop_net *)net)->param[i].name;
}

/* The tensor of this name, with as many values as the caller has. */
static cop_status find(const cop_net *net, const char *name, int64_t count, copi_param **tensor) {
    int i = copi_net_find_param(net, name);
    if (i < 0) {
        const char *near = copi_nearest(name, net->params, name_at, net);
        return copi_fail(net->ctx, COP_E_NOT_FOUND, "the net has no tensor '%s'%s%s%s", name,
                         near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    *tensor = &net->param[i];
    if ((*tensor)->count != count)
        return copi_fail(net->ctx, COP_E_SHAPE, "%s: it has %lld values, count is %lld", name,
                         (long long)(*tensor)->count, (long long)count);
    return COP_OK;
}

cop_status cop_net_read_tensor(const cop_net *net, const char *name, float *values, int64_t count) {
    COPI_REQUIRE(NULL, net);
    COPI_REQUIRE(net->ctx, name);
    COPI_REQUIRE(net->ctx, values);
    copi_param *p = NULL;
    cop_status status = find(net, name, count, &p);
    if (!status) memcpy(values, p->data, (size_t)count * sizeof *values);
    return status;
}

cop_status cop_net_write_tensor(cop_net *net, const char *name, const float *values, int64_t count) {
    COPI_REQUIRE(NULL, net);
    COPI_REQUIRE(net->ctx, name);
    COPI_REQUIRE(net->ctx, values);
    copi_param *p = NULL;
    cop_status status = find(net, name, count, &p);
    if (status) return status;
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(values[i]) || (p->kind == COPI_PARAM_VAR && values[i] < 0))
            return copi_fail(net->ctx, COP_E_RANGE, "%s: value %lld is %g; it must be %s", name, (long long)i,
                             (double)values[i], p->kind == COPI_PARAM_VAR ? "finite and at least 0" : "finite");
    }
    for (int64_t i = 0; i < count; i++) p->data[i] = p->mask && !p->mask[i] ? 0 : values[i];
    return COP_OK;
}

cop_status cop_net_read_mask(const cop_net *net, const char *name, uint8_t *mask, int64_t count) {
    COPI_REQUIRE(NULL, net);
    COPI_REQUIRE(net->ctx, name);
    COPI_REQUIRE(net->ctx, mask);
    copi_param *p = NULL;
    cop_status status = find(net, name, count, &p);
    if (status) return status;
    if (p->mask)
        memcpy(mask, p->mask, (size_t)count);
    else
        memset(mask, 1, (size_t)count);
    return COP_OK;
}

cop_status cop_net_write_mask(cop_net *net, const char *name, const uint8_t *mask, int64_t count) {
    COPI_REQUIRE(NULL, net);
    COPI_REQUIRE(net->ctx, name);
    COPI_REQUIRE(net->ctx, mask);
    copi_param *p = NULL;
    cop_status status = find(net, name, count, &p);
    if (status) return status;
    if (!copi_param_counts(p->kind))
        return copi_fail(net->ctx, COP_E_UNSUPPORTED,
                         "%s: a %s is never pruned; masks are for weights, biases, scales and shifts", name,
                         cop_tensor_kind_name((int)p->kind));
    if (!copi_param_mask(net, p)) return COP_E_NOMEM;
    for (int64_t i = 0; i < count; i++) {
        p->mask[i] = mask[i] != 0;
        if (!mask[i]) p->data[i] = 0;
    }
    return COP_OK;
}
