/* Activations, dropout, add: our own kernels, in place where no other node reads the producer's value. */
#include "engine/lowering.h"

/* The value that an elementwise node writes: its producer's, or a new one like it. */
static plan_value *own_value(copi_plan *p, int node) {
    plan_node *l = &p->node[node];
    int from = p->net->node[node].src[0];
    const plan_value *src = plan_value_of(p, from);
    l->in_place = plan_owns(p, from, node) && !src->kept;
    if (!l->in_place) {
        int shaped = src->node; /* behind a fused flatten the value is still [C,H,W] */
        plan_value *v = plan_new_value(p, node, src->md, src->needs_grad);
        if (v) v->node = shaped;
        return v;
    }
    plan_adopt(p, from, node);
    return plan_value_of(p, node);
}

static void lower_act(copi_plan *p, int node) {
    int from = plan_value_of(p, p->net->node[node].src[0])->mem;
    plan_value *v = own_value(p, node);
    if (!v) return;
    v->kept = p->options.training && !p->node[node].mask_later;
    plan_act_forward(p, node, v->mem, from);
}

static void back_act(copi_plan *p, int node) {
    const plan_node *l = &p->node[node];
    plan_value *v = plan_value_of(p, node), *src = plan_value_of(p, p->net->node[node].src[0]);
    if (l->in_place) {
        if (!l->mask_later) plan_act_back(p, node, v->diff, v->diff, v->mem);
        return;
    }
    int target = plan_contribution(p, src, src->diff_md);
    if (p->status) return;
    plan_act_back(p, node, target, v->diff, v->mem);
    plan_contributed(p, node, src, target);
}

static void lower_dropout(copi_plan *p, int node) {
    int from = plan_value_of(p, p->net->node[node].src[0])->mem;
    plan_value *v = own_value(p, node);
    if (!v) return;
    v->kept = p->node[node].mask_here;
    plan_drop(p, "dropout", node, v->mem, from);
}

static void back_dropout(copi_plan *p, int node) {
    const plan_node *l = &p->node[node];
    plan_value *v = plan_value_of(p, node), *src = plan_value_of(p, p->net->node[node].src[0]);
    int target = l->in_place ? v->diff : plan_contribution(p, src, src->diff_md);
    if (p->status) return;
    if (l->mask_here)
        plan_mask_back(p, node, target, v->diff, v->mem, plan_drop_scale(p, node));
    else
        plan_drop(p, "dropout backward", node, target, v->diff);
    if (!l->in_place) plan_contributed(p, node, src, target);
}

/* y = a + b, in place of a or b if one may be overwritten. That one becomes src[0]. */
static void lower_add(copi_plan *p, int node) {
    plan_node *l = &p->node[node];
    copi_node *n = &p->net->node[node];
    bool needs_grad = false;
    for (int i = 0; i < 2; i++) needs_grad |= plan_value_of(p, n->src[i])->needs_grad;
    for (int i = 0; i < 2 && !l->in_place; i++) {
        const plan_value *v = plan_value_of(p, n->src[i]);
        bool alike = v->needs_grad == (needs_grad && p->options.training);
        if (n->src[0] == n->src[1] || !alike || v->kept || !plan_owns(p, n->src[i], node)) continue;
        l->in_place = true;
        int first = n->src[i];
        n->src[i] = n->src[0];
        n->src[0] = first;
    }
    const plan_value *a = plan_value_of(p, n->src[0]);
    int x = a->mem, other = plan_adapt(p, node, n->src[1], a->md);
    plan_value *v;
    if (l->in_place) {
        plan_adopt(p, n->src[0], node);
        v = plan_value_of(p, node);
    } else if (!(v = plan_new_value(p, node, a->md, needs_grad))) {
        return;
    }
    v->kept = p->options.training && l->act >= 0 && !p->node[l->act].mask_later;
    if (!p->status) plan_sum(p, "add", node, v->mem, x, other, plan_act(p, l->act));
}

static void back_add(copi_plan *p, int node) {
    const plan_node *l = &p->node[node];
    plan_value *v = plan_value_of(p, node);
    if (l->act >= 0 && !p->node[l->act].mask_later) plan_act_back(p, l->act, v->diff, v->diff, v->mem);
    for (int i = 1; i >= (l->in_place ? 1 : 0); i--) {
        plan_value *src = plan_value_of(p, p->net->node[node].src[i]);
        if (!src->needs_grad || p->status) continue;
        if (src->written && dn_md_equal(src->diff_md, v->diff_md)) {
            plan_contributed(p, node, src, v->diff);
            continue;
        }
        int target = plan_contribution(p, src, src->diff_md);
        plan_reorder(p, "copy gradient", node, v->diff, target);
        plan_contributed(p, node, src, target);
    }
}

const copi_lowering copi_lower_rectifier = {lower_act, back_act};
const copi_lowering copi_lower_dropout = {lower_dropout, back_dropout};
const copi_lowering copi_lower_add = {lower_add, back_add};
