/* Which nodes' work another node does: batch-norm (inference), gate and activation are fused into conv and dense;
 * gate and relu into batch-norm; an activation into add; flatten into the dense behind it; the backward of a relu
 * into the max-pool or dropout behind it. */
#include "engine/lowering.h"

static int sole_consumer(const copi_plan *p, int node) {
    int to;
    return copi_net_consumers(p->net, node, &to, 1) == 1 ? to : -1;
}

static copi_op op_of(const copi_plan *p, int node) {
    return p->net->node[node].op;
}
static bool is(const copi_plan *p, int node, copi_op op) {
    return node >= 0 && op_of(p, node) == op;
}

static bool is_act(copi_op op) {
    return copi_op_get(op)->rectifier != NULL;
}

/* Is it a dropout that drops anything in this plan? */
static bool drops(const copi_plan *p, int node) {
    const copi_node *n = &p->net->node[node];
    return p->options.training && n->op == COPI_OP_DROPOUT && n->u.dropout.share > 0;
}

bool plan_owns(const copi_plan *p, int from, int node) {
    if (sole_consumer(p, from) != node) return false;
    return !p->node[from].fused || plan_owns(p, p->net->node[from].src[0], from);
}

/* Do all paths from this node reach dense layers through elementwise ops only? Then its output may stay [C,H,W] in
 * any layout, which dense accepts. */
static bool ends_in_dense(const copi_plan *p, int node) {
    int to[8], n = copi_net_consumers(p->net, node, to, (int)COPI_COUNT(to));
    if (n < 1 || n > (int)COPI_COUNT(to)) return false;
    for (int i = 0; i < n; i++) {
        copi_op op = op_of(p, to[i]);
        bool passes = is_act(op) || op == COPI_OP_DROPOUT || op == COPI_OP_FLATTEN;
        if (op != COPI_OP_DENSE && !(passes && ends_in_dense(p, to[i]))) return false;
    }
    return true;
}

/* Fuse into node what can be, in the order of the data. */
static void fuse_behind(copi_plan *p, int node) {
    plan_node *l = &p->node[node];
    bool linear = copi_op_is(op_of(p, node), COPI_HAS_KERNEL), norm = is(p, node, COPI_OP_BATCHNORM);
    int next = sole_consumer(p, node);
    if (linear && !p->options.training && is(p, next, COPI_OP_BATCHNORM)) {
        p->node[l->norm = next].fused = true;
        next = sole_consumer(p, next);
    }
    if ((linear || norm) && is(p, next, COPI_OP_GATE)) {
        p->node[l->gate = next].fused = true;
        next = sole_consumer(p, next);
    }
    if (norm ? is(p, next, COPI_OP_RELU) : next >= 0 && is_act(op_of(p, next))) p->node[l->act = next].fused = true;
}

/* The node that does the work of this fused one. */
static int fused_into(const copi_plan *p, int node) {
    while (p->node[node].fused) node = p->net->node[node].src[0];
    return node;
}

/* A relu's backward moves to the node behind it, which has fewer elements or makes a pass anyway. y > 0 is known
 * there too. */
static void move_relu_backward(copi_plan *p, int relu) {
    if (is(p, fused_into(p, relu), COPI_OP_BATCHNORM)) return; /* which does it itself */
    int next = sole_consumer(p, relu), last = next;
    if (is(p, next, COPI_OP_MAX_POOL)) {
        int after = sole_consumer(p, next);
        if (after >= 0 && drops(p, after)) last = after;
    } else if (next < 0 || !drops(p, next)) {
        return;
    }
    p->node[relu].mask_later = p->node[last].mask_here = true;
}

void plan_find_fusions(copi_plan *p) {
    for (int i = 0; i < p->net->nodes; i++) {
        plan_node *l = &p->node[i];
        l->act = l->norm = l->gate = l->workspace = l->mean = l->var = l->used_w = l->used_b = l->value = -1;
        for (int k = 0; k < COPI_SLOTS; k++) l->weight[k] = -1;
    }
    for (int i = 0; i < p->net->nodes; i++) {
        copi_op op = op_of(p, i);
        bool flat = i > 0 && p->net->node[p->net->node[i].src[0]].rank == 1;
        if (op == COPI_OP_FLATTEN) p->node[i].fused = flat || ends_in_dense(p, i);
        if (op == COPI_OP_DROPOUT) p->node[i].fused = !drops(p, i);
        if ((copi_op_is(op, COPI_HAS_KERNEL) || op == COPI_OP_BATCHNORM || op == COPI_OP_ADD) && !p->node[i].fused)
            fuse_behind(p, i);
    }
    for (int i = 0; p->options.training && i < p->net->nodes; i++)
        if (op_of(p, i) == COPI_OP_RELU) move_relu_backward(p, i);
}
