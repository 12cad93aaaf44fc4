/* Our own elementwise kernels as actions: activations, dropout, sums. */
#include "engine/lowering.h"

#include <math.h>
#include <omp.h>

void plan_split(int64_t n, int64_t unit, int part, int parts, int64_t *begin, int64_t *end) {
    int64_t units = (n + unit - 1) / unit;
    *begin = units * part / parts * unit;
    *end = units * (part + 1) / parts * unit;
    if (*begin > n) *begin = n;
    if (*end > n) *end = n;
}

/* Run body on each thread's share of a->n elements, cut at whole blocks of dropout's random numbers. */
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

copi_act plan_act(const copi_plan *p, int node) {
    copi_act act = {.slope = 1.0f, .high = INFINITY};
    if (node < 0) return act;
    const copi_node *n = &p->net->node[node];
    const copi_rectifier r = copi_op_get(n->op)->rectifier(n);
    return (copi_act){.slope = (float)r.slope, .high = (float)r.high};
}

void plan_act_forward(copi_plan *p, int node, int y, int x) {
    plan_action *a = plan_elementwise(p, "activation", node, run_act_forward, y, x, -1);
    if (a) a->act = plan_act(p, node);
}

void plan_sum(copi_plan *p, const char *what, int node, int y, int a, int b, copi_act act) {
    plan_action *action = plan_elementwise(p, what, node, run_add, y, a, b);
    if (action) action->act = act;
}

void plan_act_back(copi_plan *p, int act, int dx, int dy, int y) {
    if (plan_act(p, act).slope < 0) { /* y > 0 for x of either sign, so y does not give the derivative */
        plan_fail(p, copi_fail(p->ctx, COP_E_UNSUPPORTED,
                               "%s: %s of slope %g: a net with a negative slope can be run, not trained",
                               p->net->node[act].name, copi_op_text(p->net->node[act].op),
                               (double)plan_act(p, act).slope));
        return;
    }
    plan_action *a = plan_elementwise(p, "activation backward", act, run_act_backward, dx, dy, y);
    if (a) a->act = plan_act(p, act);
}

void plan_mask_back(copi_plan *p, int node, int dx, int dy, int y, float scale) {
    plan_action *a = plan_elementwise(p, "relu backward", node, run_mask_backward, dx, dy, y);
    if (a) a->scale = scale;
}

static uint32_t drop_threshold(const copi_node *n) {
    double t = n->u.dropout.share * 65536.0 + 0.5;
    return t < 65535.0 ? (uint32_t)t : 65535u;
}
/* 1 / (the share kept by the rounded threshold), so that the mean is exact */
float plan_drop_scale(const copi_plan *p, int node) {
    return (float)(65536.0 / (65536.0 - drop_threshold(&p->net->node[node])));
}

void plan_drop(copi_plan *p, const char *what, int node, int y, int x) {
    plan_action *a = plan_elementwise(p, what, node, run_dropout, y, x, -1);
    if (!a) return;
    a->scale = plan_drop_scale(p, node);
    a->threshold = drop_threshold(&p->net->node[node]);
}
