#include "net/graph.h"

static cop_status infer_window(cop_graph *g, copi_node *node, const copi_node *const *src) {
    cop_pool_params *p = &node->u.pool;
    cop_status status = copi_node_want_image(g, node, src[0]);
    if (status) return status;
    if (!p->stride[0] && !p->stride[1]) {
        p->stride[0] = p->kernel[0];
        p->stride[1] = p->kernel[1];
    }
    for (int i = 0; i < 4; i++)
        if (p->pad[i] >= p->kernel[i % 2] && p->kernel[i % 2] > 0) /* else a window could lie in the padding alone */
            return copi_node_fail(g, node, COP_E_RANGE, "padding %lld is not smaller than the kernel %lldx%lld",
                                  (long long)p->pad[i], (long long)p->kernel[0], (long long)p->kernel[1]);
    int64_t h, w;
    status =
        copi_window(g, node, "height", src[0]->shape[1], p->kernel[0], p->stride[0], 1, p->pad[0], p->pad[2], &h);
    if (!status)
        status =
            copi_window(g, node, "width", src[0]->shape[2], p->kernel[1], p->stride[1], 1, p->pad[1], p->pad[3], &w);
    return status ? status : copi_node_output(g, node, 3, src[0]->shape[0], h, w);
}

static cop_status infer_global(cop_graph *g, copi_node *node, const copi_node *const *src) {
    cop_status status = copi_node_want_image(g, node, src[0]);
    return status ? status : copi_node_output(g, node, 3, src[0]->shape[0], 1, 1);
}

const copi_attribute copi_attributes_MAX_POOL[] = {
    COPI_ATTRIBUTE(pool, kernel), COPI_ATTRIBUTE(pool, stride), COPI_ATTRIBUTE(pool, pad), {0}};
const copi_attribute copi_attributes_AVG_POOL[] = {COPI_ATTRIBUTE(pool, kernel),
                                                   COPI_ATTRIBUTE(pool, stride),
                                                   COPI_ATTRIBUTE(pool, pad),
                                                   COPI_ATTRIBUTE(pool, count_pad),
                                                   {0}};
COPI_NO_ATTRIBUTES(GLOBAL_POOL);
const copi_op_class copi_op_class_MAX_POOL = {.sources = 1, .infer = infer_window};
const copi_op_class copi_op_class_AVG_POOL = {.sources = 1, .infer = infer_window};
const copi_op_class copi_op_class_GLOBAL_POOL = {.sources = 1, .infer = infer_global};

void cop_pool_params_init(cop_pool_params *params, size_t size) {
    const cop_pool_params usual = {.size = sizeof usual};
    copi_struct_init(params, size, &usual, sizeof usual);
}

static int add_pool(cop_graph *g, copi_op op, const char *name, int src, const cop_pool_params *params) {
    copi_node proto = {.op = op};
    if (!g || !copi_graph_takes(g, op, name, COPI_CHECK(g->ctx, cop_pool_params, params))) return -1;
    proto.u.pool = *params;
    proto.u.pool.count_pad = proto.u.pool.count_pad != 0;
    return copi_graph_add(g, name, &proto, &src, 1);
}

int cop_graph_max_pool(cop_graph *g, const char *name, int src, const cop_pool_params *params) {
    return add_pool(g, COPI_OP_MAX_POOL, name, src, params);
}

int cop_graph_avg_pool(cop_graph *g, const char *name, int src, const cop_pool_params *params) {
    return add_pool(g, COPI_OP_AVG_POOL, name, src, params);
}

int cop_graph_global_pool(cop_graph *g, const char *name, int src) {
    return copi_graph_add(g, name, &(copi_node){.op = COPI_OP_GLOBAL_POOL}, &src, 1);
}
