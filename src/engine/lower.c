/* From ops to actions: forward in node order, backward in reverse. */
#include "engine/lowering.h"

static const copi_lowering *const lowering[COPI_OPS] = {
#define X(NAME, name, family, traits, help) [COPI_OP_##NAME] = &copi_lower_##family,
#include "net/ops.def"
#undef X
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
        /* a value that nothing wrote to does not reach the loss: its gradient is 0 */
        if (!p->node[i].fused && v->needs_grad && v->written && lowering[net->node[i].op]->backward)
            lowering[net->node[i].op]->backward(p, i);
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
        else if (lowering[op]->forward)
            lowering[op]->forward(p, i);
        else
            plan_fail(p, copi_fail(p->ctx, COP_E_UNSUPPORTED, "%s: the engine cannot run a %s here",
                                   net->node[i].name, copi_op_text(op)));
    }
    if (p->status) return;
    p->logits = plan_adapt(p, p->last, p->last, plan_plain_md(p, p->last, dnnl_f32, true));
    if (p->status) return;
    p->slots[p->mems[p->logits].slot].persistent = true;
    if (p->options.training) lower_backward(p);
}
