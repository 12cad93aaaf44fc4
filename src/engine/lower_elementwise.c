/* Activations, dropout, add: our own kernels, in place wherever nobody else wants the producer's value. */
#include "engine/plan.h"

#include <omp.h>

void plan_split(int64_t n, int64_t unit, int part, int parts, int64_t *begin, int64_t *end) {
    int64_t units = (n + unit - 1) / unit;
    *begin = units * part / parts * unit;
    *end = units * (part + 1) / parts * unit;
    if (*begin > n) *begin = n;
    if (*end > n) *end = n;
}

/* Run body for each thread's share of a->n elements, cut at whole blocks of dropout's numbers. */
#define SHARED(a, from, count, body)                                                                                 \
    _Pragma("omp parallel if ((a)->n > PLAN_SMALL)") {                                                               \
        int64_t from, end_;                                                                                          \
        plan_split((a)->n, 1024, omp_get_thread_num(), omp_get_num_threads(), &from, &end_);                         \
        int64_t count = end_ - from;                                                                                 \
        if (count > 0) body                                                                                          \
    }

static void run_act_forward(copi_plan *p, const plan_action *a) {
    SHARED(a, i, n, { plan_kernels(p)->act_forward(plan_at(p, a, 0, i), plan_at(p, a, 1, i), n, a->act); })
}
static void run_act_backward(copi_plan *p, const plan_action *a) {
    SHARED(a, i, n, {
        plan_kernels(p)->act_backward(plan_at(p, a, 0, i), plan_at(p, a, 1, i), plan_at(p, a, 2, i), n, a->act);
    })
}
static void run_mask_backward(copi_plan *p, const plan_action *a) {
    SHARED(a, i, n, {
        plan_kernels(p)->mask_backward(plan_at(p, a, 0, i), plan_at(p, a, 1, i), plan_at(p, a, 2, i), n, a->scale);
    })
}
static void run_dropout(copi_plan *p, const plan_action *a) {
    uint64_t key = p->step_key + (uint64_t)a->node * 0x9E3779B97F4A7C15u;
    SHARED(a, i, n,
           { plan_kernels(p)->dropout(plan_at(p, a, 0, i), plan_at(p, a, 1, i), n, a->scale, a->threshold, key, i); })
}
static void run_add(copi_plan *p, const plan_action *a){
    SHARED(a, i, n,
           { plan_kernels(p)->add(plan_at(p, a, 0, i), plan_at(p, a, 1, i), plan_at(p, a, 2, i), n, a->act); })}

plan_action *plan_elementwise(copi_plan *p, const char *what, int node, void (*run)(copi_plan *, const plan_action *),
                              int y, int x, int z) {
    plan_action *a = plan_own(p, what, node, run);
    if (!a) return NULL;
    const int mem[3] = {y, x, z};
    for (int i = 0; i < 3; i++) plan_touch(p, a->mem[i] = mem[i]);
    a->n = (int64_t)(dn_md_bytes(p->mems[y].md) / (p->bf16 ? 2 : 4));
    return a;
}

void plan_sum(copi_plan *p, const char *what, int node, int y, int a, int b, copi_act act) {
    plan_action *action = plan_elementwise(p, what, node, run_add, y, a, b);
    if (action) action->act = act;
}

static void act_back(copi_plan *p, int act, int dx, int dy, int y) {
    if (plan_act(p, act).slope < 0) { /* y > 0 on both sides: it does not tell where x was */
        plan_fail(p, copi_fail(p->ctx, COP_E_UNSUPPORTED,
                               "%s: leaky_relu of slope %g: a net with a negative slope can be run, not trained",
                               p->net->node[act].name, (double)plan_act(p, act).slope));
        return;
    }
    plan_action *a = plan_elementwise(p, "activation backward", act, run_act_backward, dx, dy, y);
    if (a) a->act = plan_act(p, act);
}

void plan_act_back(copi_plan *p, int act, plan_value *v) {
    act_back(p, act, v->diff, v->diff, v->mem);
}

void plan_mask_back(copi_plan *p, int node, int dx, int dy, int y, float scale) {
    plan_action *a = plan_elementwise(p, "relu backward", node, run_mask_backward, dx, dy, y);
    if (a) a->scale = scale;
}

/* The value that an elementwise node writes: its producer's, or a new one like it. */
static plan_value *own_value(copi_plan *p, int node) {
    plan_node *l = &p->node[node];
    int from = p->net->node[node].src[0];
    const plan_value *src = plan_value_of(p, from);
    l->in_place = plan_owns(p, from, node) && !src->kept;
    if (!l->in_place) {
        int shaped = src->node; /* behind an absorbed flatten the value still lies as [C,H,W] */
        plan_value *v = plan_new_value(p, node, src->md, src->needs_grad);
        if (v) v->node = shaped;
        return v;
    }
    plan_adopt(p, from, node);
    return plan_value_of(p, node);
}

void lower_act(copi_plan *p, int node) {
    int from = plan_value_of(p, p->net->node[node].src[0])->mem;
    plan_value *v = own_value(p, node);
    if (!v) return;
    v->kept = p->options.training && !p->node[node].mask_later;
    plan_action *a = plan_elementwise(p, "activation", node, run_act_forward, v->mem, from, -1);
    if (a) a->act = plan_act(p, node);
}

void back_act(copi_plan *p, int node) {
    const plan_node *l = &p->node[node];
    plan_value *v = plan_value_of(p, node), *src = plan_value_of(p, p->net->node[node].src[0]);
    if (l->in_place) {
        if (!l->mask_later) plan_act_back(p, node, v);
        return;
    }
    int target = plan_contribution(p, src, src->diff_md);
    if (p->status) return;
    act_back(p, node, target, v->diff, v->mem);
    plan_contributed(p, node, src, target);
}

static uint32_t drop_threshold(const copi_node *n) {
    double t = n->u.dropout.share * 65536.0 + 0.5;
    return t < 65535.0 ? (uint32_t)t : 65535u;
}
/* 1 / (the share really kept), so that the mean is right whatever the rounding of the threshold */
static float drop_scale(const copi_node *n) {
    return (float)(65536.0 / (65536.0 - drop_threshold(n)));
}

static void drop(copi_plan *p, const char *what, int node, int y, int x) {
    plan_action *a = plan_elementwise(p, what, node, run_dropout, y, x, -1);
    if (!a) return;
    a->scale = drop_scale(&p->net->node[node]);
    a->threshold = drop_threshold(&p->net->node[node]);
}

void lower_dropout(copi_plan *p, int node) {
    int from = plan_value_of(p, p->net->node[node].src[0])->mem;
    plan_value *v = own_value(p, node);
    if (!v) return;
    v->kept = p->node[node].mask_here;
    drop(p, "dropout", node, v->mem, from);
}

void back_dropout(copi_plan *p, int node) {
    const plan_node *l = &p->node[node];
    plan_value *v = plan_value_of(p, node), *src = plan_value_of(p, p->net->node[node].src[0]);
    int target = l->in_place ? v->diff : plan_contribution(p, src, src->diff_md);
    if (p->status) return;
    if (l->mask_here)
        plan_mask_back(p, node, target, v->diff, v->mem, drop_scale(&p->net->node[node]));
    else
        drop(p, "dropout backward", node, target, v->diff);
    if (!l->in_place) plan_contributed(p, node, src, target);
}

/* y = a + b into a's place or b's where one may be overwritten. src[0] is made the one that is. */
void lower_add(copi_plan *p, int node) {
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

void back_add(copi_plan *p, int node) {
    const plan_node *l = &p->node[node];
    plan_value *v = plan_value_of(p, node);
    if (l->act >= 0 && !p->node[l->act].mask_later) plan_act_back(p, l->act, v);
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
