/* Max, average and global pooling, by oneDNN or, where that is faster, by pool.c. */
#include "engine/lowering.h"

static dn_window window_of(const copi_plan *p, int node, dnnl_alg_kind_t *alg) {
    const copi_node *n = &p->net->node[node];
    if (n->op == COPI_OP_GLOBAL_POOL) {
        const copi_node *from = &p->net->node[n->src[0]];
        *alg = dnnl_pooling_avg_exclude_padding;
        return (dn_window){.stride = {1, 1}, .kernel = {from->shape[1], from->shape[2]}};
    }
    *alg = n->op == COPI_OP_MAX_POOL ? dnnl_pooling_max
           : n->u.pool.count_pad     ? dnnl_pooling_avg_include_padding
                                     : dnnl_pooling_avg_exclude_padding;
    dn_window w = {0};
    for (int k = 0; k < 2; k++) {
        w.kernel[k] = n->u.pool.kernel[k];
        w.stride[k] = n->u.pool.stride[k] ? n->u.pool.stride[k] : n->u.pool.kernel[k];
        w.pad_l[k] = n->u.pool.pad[k];
        w.pad_r[k] = n->u.pool.pad[k + 2];
    }
    return w;
}

static void lower_pool(copi_plan *p, int node) {
    plan_node *l = &p->node[node];
    const plan_value *src = plan_value_of(p, p->net->node[node].src[0]);
    const dn_md *own = plan_pools(p, node);
    if (own) {
        plan_value *v = plan_new_value(p, node, own, src->needs_grad);
        if (!v) return;
        v->kept = l->mask_here;
        l->workspace = plan_new_mem(p, own);
        if (!p->status) plan_pool_forward(p, node, v->mem, src->mem);
        return;
    }
    dnnl_prop_kind_t prop = p->options.training ? dnnl_forward_training : dnnl_forward_inference;
    dnnl_alg_kind_t alg;
    dn_window w = window_of(p, node, &alg);
    const dn_md *any = plan_node_md(p, node, plan_type(p), false, dnnl_format_tag_any);
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t s = dn_pool_forward(&pd, p->engine, prop, alg, src->md, any, &w, p->attr);
    l->forward = plan_pd(p, s, pd, "pooling", node);
    plan_value *v = plan_new_value(p, node, plan_chosen(p, l->forward, dnnl_query_dst_md), src->needs_grad);
    if (!v) return;
    v->kept = l->mask_here;
    if (p->options.training && alg == dnnl_pooling_max)
        l->workspace = plan_new_mem(p, plan_chosen(p, l->forward, dnnl_query_workspace_md));
    plan_primitive(p, "pool forward", node, l->forward,
                   PAIRS({DNNL_ARG_SRC, src->mem}, {DNNL_ARG_DST, v->mem}, {DNNL_ARG_WORKSPACE, l->workspace}));
}

static void back_pool(copi_plan *p, int node) {
    const plan_node *l = &p->node[node];
    plan_value *v = plan_value_of(p, node), *src = plan_value_of(p, p->net->node[node].src[0]);
    if (l->mask_here) plan_mask_back(p, node, v->diff, v->diff, v->mem, 1.0f);
    if (!l->forward) {
        int target = plan_contribution(p, src, src->diff_md);
        if (p->status) return;
        plan_pool_backward(p, node, target, v->diff);
        plan_contributed(p, node, src, target);
        return;
    }
    dnnl_alg_kind_t alg;
    dn_window w = window_of(p, node, &alg);
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t s = dn_pool_backward(&pd, p->engine, alg, src->diff_md, v->diff_md, &w, l->forward, p->attr);
    pd = plan_pd(p, s, pd, "pooling backward", node);
    int target = plan_contribution(p, src, src->diff_md);
    plan_primitive(
        p, "pool backward", node, pd,
        PAIRS({DNNL_ARG_DIFF_DST, v->diff}, {DNNL_ARG_WORKSPACE, l->workspace}, {DNNL_ARG_DIFF_SRC, target}));
    plan_contributed(p, node, src, target);
}

const copi_lowering copi_lower_max_pool = {lower_pool, back_pool};
const copi_lowering copi_lower_avg_pool = {lower_pool, back_pool};
const copi_lowering copi_lower_global_pool = {lower_pool, back_pool};
