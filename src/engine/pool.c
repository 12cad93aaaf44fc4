/* Max-pooling of 2 x 2 pixels in training, with channels last or in blocks of 16 or 8. oneDNN's took a fifth of a
 * step of seed-cnn where matrix units do the convolutions (docs/benchmarks.md). Here, each block of channels is an
 * image of its own. Windows do not overlap, so backward writes each gradient once. */
#include "engine/lowering.h"

#include <string.h>

/* The layouts that it takes: channels in blocks of this many; 0: all channels of a pixel together. */
typedef struct layout {
    dnnl_format_tag_t tag;
    int64_t block;
} layout;
static const layout layouts[] = {{dnnl_acdb, 0}, {dnnl_aBcd16b, 16}, {dnnl_aBcd8b, 8}};

/* NULL: another layout. */
static const layout *layout_of(copi_plan *p, int node, const dn_md *md) {
    for (size_t i = 0; i < COPI_COUNT(layouts); i++)
        if (dn_md_equal(md, plan_node_md(p, node, plan_type(p), false, layouts[i].tag))) return &layouts[i];
    return NULL;
}

const dn_md *plan_pools(copi_plan *p, int node) {
    const copi_node *n = &p->net->node[node];
    if (n->op != COPI_OP_MAX_POOL || !p->options.training) return NULL;
    for (int k = 0; k < 2; k++) {
        int64_t stride = n->u.pool.stride[k] ? n->u.pool.stride[k] : n->u.pool.kernel[k];
        if (n->u.pool.kernel[k] != 2 || stride != 2 || n->u.pool.pad[k] || n->u.pool.pad[k + 2]) return NULL;
    }
    const plan_value *src = plan_value_of(p, n->src[0]);
    if (!dn_md_equal(src->md, src->diff_md)) return NULL;
    const layout *l = layout_of(p, n->src[0], src->md);
    return l ? plan_node_md(p, node, plan_type(p), false, l->tag) : NULL;
}

/* Images of c channels, their rows and those of the results. */
typedef struct rows {
    int64_t c, in_h, in_w, out_h, out_w, all;
} rows;
static rows rows_of(const copi_plan *p, const plan_action *a) {
    const copi_node *n = &p->net->node[a->node], *from = &p->net->node[n->src[0]];
    return (rows){.c = a->together,
                  .in_h = from->shape[1],
                  .in_w = from->shape[2],
                  .out_h = n->shape[1],
                  .out_w = n->shape[2],
                  .all = a->n / (n->shape[2] * a->together)};
}
/* The first element of row r of the results, and of the first of the two image rows that it comes from. */
static int64_t result_at(const rows *s, int64_t r) {
    return r * s->out_w * s->c;
}
static int64_t image_at(const rows *s, int64_t r) {
    return (r / s->out_h * s->in_h + 2 * (r % s->out_h)) * s->in_w * s->c;
}

static void run_forward(copi_plan *p, const plan_action *a) {
    const rows s = rows_of(p, a);
#pragma omp parallel for if (a->n > PLAN_SMALL)
    for (int64_t r = 0; r < s.all; r++)
        plan_kernels(p)->max_pool(plan_at(p, a, 0, result_at(&s, r)), plan_at(p, a, 2, result_at(&s, r)),
                                  plan_at(p, a, 1, image_at(&s, r)), s.out_w, s.c, s.in_w * s.c);
}

/* The last column and row of odd images, which no window covers, get 0. */
static void run_backward(copi_plan *p, const plan_action *a) {
    const rows s = rows_of(p, a);
    const size_t size = p->bf16 ? 2 : 4, row = (size_t)(s.in_w * s.c) * size,
                 covered = (size_t)(2 * s.out_w * s.c) * size;
#pragma omp parallel for if (a->n > PLAN_SMALL)
    for (int64_t r = 0; r < s.all; r++) {
        uint8_t *dx = plan_at(p, a, 0, image_at(&s, r));
        plan_kernels(p)->max_pool_back(dx, plan_at(p, a, 1, result_at(&s, r)), plan_at(p, a, 2, result_at(&s, r)),
                                       s.out_w, s.c, s.in_w * s.c);
        memset(dx + covered, 0, row - covered);
        memset(dx + row + covered, 0, row - covered);
        if (r % s.out_h == s.out_h - 1) memset(dx + 2 * row, 0, (size_t)(s.in_h - 2 * s.out_h) * row);
    }
}

static void pool(copi_plan *p, const char *what, int node, void (*run)(copi_plan *, const plan_action *), int to,
                 int from) {
    const dn_md *result = p->mems[p->node[node].workspace].md;
    const layout *l = layout_of(p, node, result);
    plan_action *a = plan_elementwise(p, what, node, run, to, from, p->node[node].workspace);
    if (!a || !l) return;
    a->n = (int64_t)(dn_md_bytes(result) / (p->bf16 ? 2 : 4));
    a->together = l->block ? l->block : p->net->node[node].shape[0];
}

void plan_pool_forward(copi_plan *p, int node, int y, int x) {
    pool(p, "pool forward", node, run_forward, y, x);
}

void plan_pool_backward(copi_plan *p, int node, int dx, int dy) {
    pool(p, "pool backward", node, run_backward, dx, dy);
}
