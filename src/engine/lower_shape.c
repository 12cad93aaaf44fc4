/* A flatten that is not fused, and concat: both work in row-major layout. */
#include "engine/lowering.h"

#include <string.h>

/* A flat mem seen as node's [N,C,H,W]. */
static int image_view(copi_plan *p, int flat_mem, int node) {
    if (p->status) return -1;
    int view = plan_new_mem_at(p, plan_plain_md(p, node, plan_type(p), false), p->mems[flat_mem].slot, 0);
    plan_touch(p, view);
    return view;
}

static void lower_flatten(copi_plan *p, int node) {
    int from = p->net->node[node].src[0];
    const plan_value *src = plan_value_of(p, from);
    const plan_value *v = plan_new_value(p, node, plan_plain_md(p, node, plan_type(p), true), src->needs_grad);
    if (v) plan_reorder(p, "flatten", node, src->mem, image_view(p, v->mem, plan_value_of(p, from)->node));
}

static void back_flatten(copi_plan *p, int node) {
    const plan_value *v = plan_value_of(p, node);
    plan_value *src = plan_value_of(p, p->net->node[node].src[0]);
    int view = image_view(p, v->diff, src->node), target = plan_contribution(p, src, src->diff_md);
    plan_reorder(p, "flatten backward", node, view, target);
    plan_contributed(p, node, src, target);
}

/* In each image the channels of the sources follow one another. Move those of one source. */
static void run_concat(copi_plan *p, const plan_action *a) { /* scale: 1 forward, -1 backward */
    size_t size = p->bf16 ? 2 : 4, part = (size_t)a->n * size;
    size_t whole = dn_md_bytes(p->mems[a->mem[0]].md) / (size_t)p->options.batch, offset = (size_t)a->offset * size;
    for (int64_t i = 0; i < p->options.batch; i++) {
        uint8_t *joint = (uint8_t *)a->ptr[0] + (size_t)i * whole + offset,
                *one = (uint8_t *)a->ptr[1] + (size_t)i * part;
        if (a->scale > 0)
            memcpy(joint, one, part);
        else
            memcpy(one, joint, part);
    }
}

static int64_t elements(const copi_node *n) {
    return n->shape[0] * n->shape[1] * n->shape[2];
}

static void move_part(copi_plan *p, int node, int joint, int one, int src, int64_t offset, float direction) {
    plan_action *a = plan_own(p, direction > 0 ? "concat" : "concat backward", node, run_concat);
    if (!a) return;
    plan_touch(p, a->mem[0] = joint);
    plan_touch(p, a->mem[1] = one);
    a->n = elements(&p->net->node[src]);
    a->offset = offset;
    a->scale = direction;
}

static void lower_concat(copi_plan *p, int node) {
    const copi_node *n = &p->net->node[node];
    bool flat = n->rank == 1, needs_grad = false;
    for (int i = 0; i < n->nsrc; i++) needs_grad |= plan_value_of(p, n->src[i])->needs_grad;
    const plan_value *v = plan_new_value(p, node, plan_plain_md(p, node, plan_type(p), flat), needs_grad);
    int64_t offset = 0;
    for (int i = 0; i < n->nsrc && !p->status; i++) {
        int one = plan_adapt(p, node, n->src[i], plan_plain_md(p, n->src[i], plan_type(p), flat));
        move_part(p, node, v->mem, one, n->src[i], offset, 1);
        offset += elements(&p->net->node[n->src[i]]);
    }
}

static void back_concat(copi_plan *p, int node) {
    const copi_node *n = &p->net->node[node];
    const plan_value *v = plan_value_of(p, node);
    int64_t offset = 0;
    for (int i = 0; i < n->nsrc && !p->status; i++) {
        plan_value *src = plan_value_of(p, n->src[i]);
        if (src->needs_grad) {
            int target = plan_contribution(p, src, plan_plain_md(p, n->src[i], plan_type(p), n->rank == 1));
            move_part(p, node, v->diff, target, n->src[i], offset, -1);
            plan_contributed(p, node, src, target);
        }
        offset += elements(&p->net->node[n->src[i]]);
    }
}

const copi_lowering copi_lower_flatten = {lower_flatten, back_flatten};
const copi_lowering copi_lower_concat = {lower_concat, back_concat};
