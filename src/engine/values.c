/* Values: the place and layout of a node's output, and where its gradient is summed. */
#include "engine/lowering.h"

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

/* -- gradients -- */

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
