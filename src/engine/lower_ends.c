/* Where a net begins and ends: input and softmax. */
#include "engine/lowering.h"

/* Do only convolutions and dense layers read this, perhaps through a fused flatten? */
static bool linear_readers(const copi_plan *p, int node) {
    int to[8], n = copi_net_consumers(p->net, node, to, (int)COPI_COUNT(to));
    for (int i = 0; i < n && i < (int)COPI_COUNT(to); i++) {
        copi_op op = p->net->node[to[i]].op;
        bool passes = op == COPI_OP_FLATTEN && p->node[to[i]].fused;
        if (!copi_op_is(op, COPI_HAS_KERNEL) && !(passes && linear_readers(p, to[i]))) return false;
    }
    return n <= (int)COPI_COUNT(to);
}

/* Convolutions and dense layers read the caller's memory directly and convert it into the layout and type that they
 * want. Other readers get a copy, since our own kernels work in the arena only. */
static void lower_input(copi_plan *p, int node) {
    plan_value *v = plan_new_value(p, node, plan_plain_md(p, node, dnnl_f32, false), false);
    if (!v) return;
    v->kept = true;
    p->input_mem = v->mem;
    p->slots[p->mems[v->mem].slot].bytes = 0;
    if (linear_readers(p, node)) return;
    v->md = v->diff_md = plan_plain_md(p, node, plan_type(p), false);
    v->mem = plan_new_mem(p, v->md);
    plan_reorder(p, "copy images", node, p->input_mem, v->mem);
}

static void lower_softmax(copi_plan *p, int node) {
    if (node != p->net->nodes - 1)
        plan_fail(p, copi_fail(p->ctx, COP_E_UNSUPPORTED, "%s: the engine runs softmax as the last op only",
                               p->net->node[node].name));
    plan_adopt(p, p->net->node[node].src[0], node); /* the loss and copi_plan_forward compute it */
}

const copi_lowering copi_lower_input = {lower_input, NULL};
const copi_lowering copi_lower_softmax = {lower_softmax, NULL};
