#include "net/graph.h"

#include <string.h>

/* -- words and shapes -- */

copi_shape_text copi_shape_show(int rank, const int64_t *shape) {
    copi_shape_text s = {"["};
    size_t at = 1;
    for (int i = 0; i < rank; i++)
        at += (size_t)snprintf(s.text + at, sizeof s.text - at, i ? ",%lld" : "%lld", (long long)shape[i]);
    snprintf(s.text + at, sizeof s.text - at, "]");
    return s;
}

copi_shape_text copi_node_shape_show(const copi_node *node) {
    return copi_shape_show(node->rank, node->shape);
}

cop_status copi_node_fail(cop_graph *g, const copi_node *node, cop_status status, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return copi_fail(g->ctx, status, "%s '%s': %s", copi_op_text(node->op), node->name, text);
}

/* The first error is kept with its text. */
static int fail(cop_graph *g, cop_status status) {
    g->status = status;
    snprintf(g->error, sizeof g->error, "%s", cop_error(g->ctx));
    return -1;
}

bool copi_graph_takes(cop_graph *g, copi_op op, const char *name, cop_status checked) {
    if (checked && !g->status) fail(g, copi_fail_in(g->ctx, checked, "%s '%s'", copi_op_text(op), name ? name : ""));
    return !g->status;
}

cop_status copi_node_output(cop_graph *g, copi_node *node, int rank, int64_t c, int64_t h, int64_t w) {
    const int64_t shape[3] = {c, h, w};
    int64_t count = 1;
    for (int i = 0; i < 3; i++)
        if (shape[i] < 1 || shape[i] > COPI_MAX_EXTENT || !copi_mul_i64(count, shape[i], &count) ||
            count > COPI_MAX_ELEMENTS)
            return copi_node_fail(g, node, COP_E_SHAPE,
                                  "its output would be %s; extents are 1 to %d, at most 2^36 elements",
                                  copi_shape_show(rank, shape).text, COPI_MAX_EXTENT);
    node->rank = rank;
    memcpy(node->shape, shape, sizeof shape);
    return COP_OK;
}

cop_status copi_node_same(cop_graph *g, copi_node *node, const copi_node *src) {
    return copi_node_output(g, node, src->rank, src->shape[0], src->shape[1], src->shape[2]);
}

cop_status copi_node_want_image(cop_graph *g, const copi_node *node, const copi_node *src) {
    if (src->rank == 3) return COP_OK;
    return copi_node_fail(g, node, COP_E_SHAPE, "needs [C,H,W], its input '%s' is %s", src->name,
                          copi_node_shape_show(src).text);
}

cop_status copi_window(cop_graph *g, const copi_node *node, const char *what, int64_t extent, int64_t kernel,
                       int64_t stride, int64_t dilation, int64_t before, int64_t after, int64_t *out) {
    const struct {
        const char *name;
        int64_t value, least;
    } given[] = {{"kernel", kernel, 1},
                 {"stride", stride, 1},
                 {"dilation", dilation, 1},
                 {"padding", before, 0},
                 {"padding", after, 0}};
    for (size_t i = 0; i < COPI_COUNT(given); i++)
        if (given[i].value < given[i].least || given[i].value > COPI_MAX_EXTENT)
            return copi_node_fail(g, node, COP_E_RANGE, "%s of %lld over the %s; at least %lld, at most %d",
                                  given[i].name, (long long)given[i].value, what, (long long)given[i].least,
                                  COPI_MAX_EXTENT);
    int64_t window = (kernel - 1) * dilation + 1, padded = extent + before + after; /* < 2^62 by the limits above */
    if (window > padded)
        return copi_node_fail(g, node, COP_E_SHAPE,
                              "its window spans %lld, the input's %s is only %lld (%lld padded)", (long long)window,
                              what, (long long)extent, (long long)padded);
    *out = (padded - window) / stride + 1;
    return COP_OK;
}

/* -- building -- */

cop_status cop_graph_create(cop_ctx *ctx, cop_graph **graph) {
    if (graph) *graph = NULL;
    COPI_REQUIRE(NULL, ctx);
    COPI_REQUIRE(ctx, graph);
    cop_graph *g = copi_alloc(ctx, 1, sizeof *g);
    if (!g) return COP_E_NOMEM;
    g->ctx = ctx;
    g->net = copi_alloc(ctx, 1, sizeof *g->net);
    char *provenance = g->net ? copi_strdup(ctx, "") : NULL;
    if (!provenance) {
        copi_free(ctx, g->net);
        copi_free(ctx, g);
        return COP_E_NOMEM;
    }
    g->net->ctx = ctx;
    g->net->provenance = provenance;
    *graph = g;
    return COP_OK;
}

void cop_graph_destroy(cop_graph *g) {
    if (!g) return;
    cop_net_destroy(g->net);
    copi_free(g->ctx, g);
}

static bool make_room(cop_ctx *ctx, void **array, int *cap, int used, size_t size) {
    if (used < *cap) return true;
    int more = *cap ? *cap * 2 : 16;
    void *grown = copi_grow(ctx, *array, (size_t)used, (size_t)more, size);
    if (!grown) return false;
    *array = grown;
    *cap = more;
    return true;
}

cop_status copi_node_param(cop_graph *g, copi_node *node, int slot, copi_param_kind kind, const char *suffix,
                           int rank, const int64_t *shape) {
    cop_net *net = g->net;
    int64_t count = 1;
    for (int i = 0; i < rank; i++)
        if (shape[i] < 1 || !copi_mul_i64(count, shape[i], &count) || count > COPI_MAX_ELEMENTS)
            return copi_node_fail(g, node, COP_E_SHAPE,
                                  "its %s would be %s; extents are at least 1, at most 2^36 elements", suffix,
                                  copi_shape_show(rank, shape).text);
    void *params = net->param;
    if (!make_room(g->ctx, &params, &g->param_cap, net->params, sizeof *net->param)) return COP_E_NOMEM;
    net->param = params;
    char *name = copi_format(g->ctx, "%s.%s", node->name, suffix);
    if (!name) return COP_E_NOMEM;
    copi_param *p = &net->param[net->params];
    *p = (copi_param){.name = name, .kind = kind, .node = (int)(node - net->node), .rank = rank, .count = count};
    for (int i = 0; i < 4; i++) p->shape[i] = i < rank ? shape[i] : 1;
    node->param[slot] = net->params++;
    return COP_OK;
}

static cop_status check_name(cop_graph *g, const char *op, const char *name) {
    if (!name || !*name) return copi_fail(g->ctx, COP_E_ARG, "%s: node %d has no name", op, g->net->nodes);
    if (strlen(name) > COPI_MAX_NAME)
        return copi_fail(g->ctx, COP_E_ARG, "%s: the name of node %d has %zu bytes, at most %d", op, g->net->nodes,
                         strlen(name), COPI_MAX_NAME);
    if (copi_net_find(g->net, name) >= 0)
        return copi_fail(g->ctx, COP_E_ARG, "%s '%s': a node with this name already exists", op, name);
    return COP_OK;
}

static cop_status check_sources(cop_graph *g, const copi_op_class *class, const char *op, const char *name,
                                const int *src, int nsrc) {
    if (class->sources < 0 ? nsrc < 1 : nsrc != class->sources)
        return copi_fail(g->ctx, COP_E_ARG, "%s '%s': has %d inputs; it takes %s%d", op, name, nsrc,
                         class->sources < 0 ? "at least " : "", class->sources < 0 ? 1 : class->sources);
    for (int i = 0; i < nsrc; i++)
        if (src[i] < 0 || src[i] >= g->net->nodes)
            return copi_fail(g->ctx, COP_E_ARG, "%s '%s': input %d is node %d; the graph has nodes 0 to %d", op, name,
                             i, src[i], g->net->nodes - 1);
    return COP_OK;
}

static cop_status add(cop_graph *g, const char *name, const copi_node *proto, const int *src, int nsrc) {
    cop_net *net = g->net;
    const copi_op_class *class = copi_op_get(proto->op);
    if (!class)
        return copi_fail(g->ctx, COP_E_ARG, "node '%s': no op has the number %d", name ? name : "", (int)proto->op);
    const char *op = copi_op_text(proto->op);
    cop_status status = check_name(g, op, name);
    if (!status) status = check_sources(g, class, op, name, src, nsrc);
    if (status) return status;
    if (net->nodes == COPI_MAX_NODES)
        return copi_fail(g->ctx, COP_E_RANGE, "%s '%s': a net has at most %d nodes", op, name, COPI_MAX_NODES);
    if ((proto->op == COPI_OP_INPUT) != (net->nodes == 0))
        return copi_fail(g->ctx, COP_E_ARG, "%s '%s': a net has one input, and it comes first", op, name);

    void *nodes = net->node;
    if (!make_room(g->ctx, &nodes, &g->node_cap, net->nodes, sizeof *net->node)) return COP_E_NOMEM;
    net->node = nodes;
    copi_node *node = &net->node[net->nodes];
    *node = (copi_node){.op = proto->op, .u = proto->u, .rank = proto->rank, .nsrc = nsrc, .param = {-1, -1, -1, -1}};
    memcpy(node->shape, proto->shape, sizeof node->shape); /* the input op's attributes are its shape */
    node->name = copi_strdup(g->ctx, name);
    node->src = copi_alloc(g->ctx, (size_t)nsrc + 1, sizeof *node->src);
    const copi_node **source = copi_alloc(g->ctx, (size_t)nsrc + 1, sizeof *source);
    net->nodes++; /* from here on the net owns the node and frees it, also after an error */
    if (!node->name || !node->src || !source) {
        copi_free(g->ctx, source);
        return COP_E_NOMEM;
    }
    for (int i = 0; i < nsrc; i++) {
        node->src[i] = src[i];
        source[i] = &net->node[src[i]];
    }
    status = class->infer(g, node, source);
    copi_free(g->ctx, source);
    if (status || !class->macs) return status;
    int64_t weights = net->param[node->param[COPI_WEIGHT]].count, pixels = node->shape[1] * node->shape[2], macs;
    if (!copi_mul_i64(weights, pixels, &macs) || macs > COPI_MAX_MACS)
        return copi_node_fail(g, node, COP_E_SHAPE, "%lld weights at %lld positions exceed 2^48 MACs",
                              (long long)weights, (long long)pixels);
    return COP_OK;
}

int copi_graph_add(cop_graph *g, const char *name, const copi_node *proto, const int *src, int nsrc) {
    if (!g || g->status) return -1;
    cop_status status = add(g, name, proto, src, nsrc);
    return status ? fail(g, status) : g->net->nodes - 1;
}

/* Rules that need the whole graph. */
static cop_status check_whole(cop_graph *g) {
    cop_net *net = g->net;
    if (net->nodes < 2)
        return copi_fail(g->ctx, COP_E_ARG, "a net needs an input and at least one op; it has %d nodes", net->nodes);
    for (int i = 0; i < net->nodes; i++) {
        const copi_node *node = &net->node[i];
        int consumers = copi_net_consumers(net, i, NULL, 0);
        if (!consumers && i < net->nodes - 1)
            return copi_node_fail(g, node, COP_E_ARG, "nothing reads it, and it is not the last node");
        if (node->op == COPI_OP_GATE && copi_net_consumers(net, node->src[0], NULL, 0) > 1)
            return copi_node_fail(g, node, COP_E_ARG, "its input '%s' feeds other nodes too",
                                  net->node[node->src[0]].name);
    }
    const copi_node *last = &net->node[net->nodes - 1];
    if (last->shape[1] * last->shape[2] != 1)
        return copi_node_fail(g, last, COP_E_SHAPE, "the output is %s; it must be [classes]",
                              copi_node_shape_show(last).text);
    net->classes = (int)last->shape[0]; /* at most COPI_MAX_EXTENT */
    return COP_OK;
}

static cop_status make_block(cop_net *net) {
    for (int p = 0; p < net->params; p++)
        if (!copi_add(net->block_count, (size_t)net->param[p].count, &net->block_count))
            return copi_fail(net->ctx, COP_E_NOMEM,
                             "out of memory: the parameters up to '%s' exceed the address space", net->param[p].name);
    net->block = copi_alloc(net->ctx, net->block_count, sizeof *net->block);
    if (!net->block) return COP_E_NOMEM;
    copi_use_large_pages(net->block, net->block_count * sizeof *net->block);
    float *at = net->block;
    for (int p = 0; p < net->params; p++) {
        copi_param *param = &net->param[p];
        param->data = at;
        at += param->count;
        bool one = param->kind == COPI_PARAM_SCALE || param->kind == COPI_PARAM_VAR || param->kind == COPI_PARAM_GATE;
        for (int64_t i = 0; one && i < param->count; i++) param->data[i] = 1;
    }
    return COP_OK;
}

cop_status copi_graph_build_raw(cop_graph *g, cop_net **net) {
    if (net) *net = NULL;
    if (!g || !net) {
        cop_status bad = copi_fail(g ? g->ctx : NULL, COP_E_ARG, "cop_graph_build: graph or net is NULL");
        cop_graph_destroy(g);
        return bad;
    }
    cop_status status = g->status ? copi_fail(g->ctx, g->status, "%s", g->error) : check_whole(g);
    if (!status) status = make_block(g->net);
    if (!status) {
        copi_net_mark_dense(g->net);
        *net = g->net;
        g->net = NULL;
    }
    cop_graph_destroy(g);
    return status;
}

cop_status cop_graph_build(cop_graph *g, uint64_t seed, cop_net **net) {
    cop_status status = copi_graph_build_raw(g, net);
    if (!status) status = cop_net_init(*net, seed);
    if (status && net) {
        cop_net_destroy(*net);
        *net = NULL;
    }
    return status;
}

cop_status copi_graph_build_like(cop_graph *g, const cop_net *from, cop_net **net) {
    cop_status status = copi_graph_build_raw(g, net);
    if (!status) status = copi_net_inherit(*net, from);
    if (!status) status = copi_net_copy_params(*net, from);
    if (!status) return COP_OK;
    cop_net_destroy(*net);
    *net = NULL;
    return status;
}

cop_status cop_net_clone(const cop_net *net, cop_net **copy) {
    if (copy) *copy = NULL;
    COPI_REQUIRE(NULL, net);
    COPI_REQUIRE(net->ctx, copy);
    cop_graph *g;
    cop_status status = cop_graph_create(net->ctx, &g);
    if (status) return status;
    for (int i = 0; i < net->nodes; i++)
        copi_graph_add(g, net->node[i].name, &net->node[i], net->node[i].src, net->node[i].nsrc);
    return copi_graph_build_like(g, net, copy);
}
