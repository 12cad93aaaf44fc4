/* From ops to actions: forward in node order, backward in reverse. An op's two functions stand in lower_<family>.c
 * and in the table here. */
#include "engine/plan.h"

dnnl_data_type_t plan_type(const copi_plan *p) {
    return p->bf16 ? dnnl_bf16 : dnnl_f32;
}

plan_value *plan_value_of(copi_plan *p, int node) {
    return &p->values[p->node[node].value];
}

plan_value *plan_new_value(copi_plan *p, int node, const dn_md *md, bool needs_grad) {
    int mem = plan_new_mem(p, md);
    if (mem < 0) return NULL;
    plan_value *v = &p->values[p->value_count];
    *v = (plan_value){.md = md, .diff_md = md, .node = node, .mem = mem, .diff = -1};
    v->needs_grad = needs_grad && p->options.training;
    p->node[node].value = p->value_count++;
    return v;
}

void plan_adopt(copi_plan *p, int from, int node) {
    p->node[node].value = p->node[from].value;
}

const dn_md *plan_node_md(copi_plan *p, int node, dnnl_data_type_t type, bool flat, dnnl_format_tag_t tag) {
    const copi_node *n = &p->net->node[node];
    int64_t dims[4] = {p->options.batch, n->shape[0], n->shape[1], n->shape[2]};
    if (flat) dims[1] = n->shape[0] * n->shape[1] * n->shape[2];
    return plan_md(p, flat ? 2 : 4, dims, type, tag);
}

const dn_md *plan_plain_md(copi_plan *p, int node, dnnl_data_type_t type, bool flat) {
    return plan_node_md(p, node, type, flat, flat ? dnnl_ab : dnnl_abcd);
}

int plan_in_layout(copi_plan *p, int node, int mem, const dn_md *want) {
    if (p->status || dn_md_equal(p->mems[mem].md, want)) return mem;
    int to = plan_new_mem(p, want);
    plan_reorder(p, "reorder", node, mem, to);
    return to;
}

int plan_adapt(copi_plan *p, int node, int src, const dn_md *want) {
    return plan_in_layout(p, node, plan_value_of(p, src)->mem, want);
}

/* -------------------------------------------------------------------------------------------- gradients -- */

int plan_contribution(copi_plan *p, plan_value *v, const dn_md *md) {
    if (v->diff < 0) v->diff = plan_new_mem(p, v->diff_md);
    if (p->status) return -1;
    return !v->written && dn_md_equal(md, v->diff_md) ? v->diff : plan_new_mem(p, md);
}

void plan_contributed(copi_plan *p, int node, plan_value *v, int target) {
    if (p->status) return;
    if (target != v->diff) {
        int same = target;
        if (!dn_md_equal(p->mems[target].md, v->diff_md)) {
            same = v->written ? plan_new_mem(p, v->diff_md) : v->diff;
            plan_reorder(p, "reorder", node, target, same);
        }
        if (v->written) plan_sum(p, "add gradient", node, v->diff, v->diff, same, plan_act(p, -1));
    }
    v->written = true;
}

/* ------------------------------------------------------------------------------------------- op by op -- */

/* Do only convolutions and dense layers read this, maybe through a flatten that is nothing to do? */
static bool linear_readers(const copi_plan *p, int node) {
    int to[8], n = copi_net_consumers(p->net, node, to, (int)COPI_COUNT(to));
    for (int i = 0; i < n && i < (int)COPI_COUNT(to); i++) {
        copi_op op = p->net->node[to[i]].op;
        bool passes = op == COPI_OP_FLATTEN && p->node[to[i]].fused;
        if (!is_linear(op) && !(passes && linear_readers(p, to[i]))) return false;
    }
    return n <= (int)COPI_COUNT(to);
}

/* The caller's memory is read where it is by convolutions and dense layers, which convert it on their own way into
 * the layout and type they want. Others find a copy: our own kernels know no memory but the arena. */
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

static const struct {
    void (*forward)(copi_plan *, int), (*backward)(copi_plan *, int);
} lowering[COPI_OPS] = {
    [COPI_OP_INPUT] = {lower_input, NULL},
    [COPI_OP_CONV] = {lower_linear, back_linear},
    [COPI_OP_DENSE] = {lower_linear, back_linear},
    [COPI_OP_BATCHNORM] = {lower_norm, back_norm},
    [COPI_OP_RELU] = {lower_act, back_act},
    [COPI_OP_RELU6] = {lower_act, back_act},
    [COPI_OP_LEAKY_RELU] = {lower_act, back_act},
    [COPI_OP_MAX_POOL] = {lower_pool, back_pool},
    [COPI_OP_AVG_POOL] = {lower_pool, back_pool},
    [COPI_OP_GLOBAL_POOL] = {lower_pool, back_pool},
    [COPI_OP_FLATTEN] = {lower_flatten, back_flatten},
    [COPI_OP_ADD] = {lower_add, back_add},
    [COPI_OP_CONCAT] = {lower_concat, back_concat},
    [COPI_OP_DROPOUT] = {lower_dropout, back_dropout},
    [COPI_OP_SOFTMAX] = {lower_softmax, NULL},
};

static void lower_backward(copi_plan *p) {
    const cop_net *net = p->net;
    plan_value *out = plan_value_of(p, p->last);
    if (!out->needs_grad) {
        plan_fail(p, copi_fail(p->ctx, COP_E_UNSUPPORTED, "%s: the net has no parameters to train",
                               net->node[p->last].name));
        return;
    }
    p->adding = &p->backward;
    p->clock++; /* the loss */
    p->dlogits = plan_contribution(p, out, plan_plain_md(p, p->last, plan_type(p), true));
    plan_touch(p, p->dlogits);
    plan_touch(p, p->logits);
    plan_contributed(p, p->last, out, p->dlogits);
    for (int i = p->last; i > 0 && !p->status; i--) {
        const plan_value *v = plan_value_of(p, i);
        /* what is not written leads to no loss: its gradient stays 0 */
        if (!p->node[i].fused && v->needs_grad && v->written && lowering[net->node[i].op].backward)
            lowering[net->node[i].op].backward(p, i);
    }
}

void plan_lower(copi_plan *p) {
    const cop_net *net = p->net;
    p->last = net->nodes - 1;
    if (net->node[p->last].op == COPI_OP_SOFTMAX) p->last = net->node[p->last].src[0];
    const copi_node *out = &net->node[p->last];
    if (out->rank != 1 || p->last == 0) {
        plan_fail(p, copi_fail(p->ctx, COP_E_UNSUPPORTED,
                               "%s: the net must end in one number per class, not [%lld,%lld,%lld]", out->name,
                               (long long)out->shape[0], (long long)out->shape[1], (long long)out->shape[2]));
        return;
    }
    p->classes = (int)out->shape[0];
    plan_find_fusions(p);
    p->adding = &p->forward;
    for (int i = 0; i < net->nodes && !p->status; i++) {
        copi_op op = net->node[i].op;
        if (p->node[i].fused)
            plan_adopt(p, net->node[i].src[0], i);
        else if (lowering[op].forward)
            lowering[op].forward(p, i);
        else
            plan_fail(p, copi_fail(p->ctx, COP_E_UNSUPPORTED, "%s: the engine runs no %s in this place",
                                   net->node[i].name, copi_op_text(op)));
    }
    if (p->status) return;
    p->logits = plan_adapt(p, p->last, p->last, plan_plain_md(p, p->last, dnnl_f32, true));
    if (p->status) return;
    p->slots[p->mems[p->logits].slot].persistent = true;
    if (p->options.training) lower_backward(p);
}
