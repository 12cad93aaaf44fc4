/* Batch normalization, by oneDNN or, where that is faster, by norm.c. The gate is folded into scale and shift; the
 * relu behind it is fused. */
#include "engine/lowering.h"
#include "engine/weights.h"

static unsigned flags_of(const copi_plan *p, int node) {
    return dnnl_use_scale | dnnl_use_shift | (p->options.training ? 0 : dnnl_use_global_stats) |
           (p->node[node].act >= 0 ? dnnl_fuse_norm_relu : 0);
}

/* running = 0.9 running + 0.1 batch, with the unbiased variance, as in PyTorch */
static void run_statistics(copi_plan *p, const plan_action *a) {
    const plan_weight *mean = &p->weights[a->weight[0]], *var = &p->weights[a->weight[1]];
    const float *m = a->ptr[0], *v = a->ptr[1];
    for (int64_t c = 0; c < mean->count; c++) {
        p->w[mean->at + c] += 0.1f * (m[c] - p->w[mean->at + c]);
        p->w[var->at + c] += 0.1f * (v[c] * a->scale - p->w[var->at + c]);
    }
}

static void track_statistics(copi_plan *p, int node) {
    const plan_node *l = &p->node[node];
    const copi_node *n = &p->net->node[node];
    plan_actions *list = plan_begin(p, &p->statistics);
    plan_action *a = plan_own(p, "running statistics", node, run_statistics);
    plan_begin(p, list);
    if (!a) return;
    double m = (double)p->options.batch * (double)(n->shape[1] * n->shape[2]);
    a->scale = (float)(m > 1 ? m / (m - 1) : 1);
    a->mem[0] = l->mean;
    a->mem[1] = l->var;
    a->weight[0] = l->weight[COPI_MEAN];
    a->weight[1] = l->weight[COPI_VAR];
}

/* Scale and shift as forward reads them, mean and variance. */
static void hold_vectors(copi_plan *p, int node, int *scale, int *shift) {
    plan_node *l = &p->node[node];
    const dn_md *channels = plan_md(p, 1, &p->net->node[node].shape[0], dnnl_f32, dnnl_a);
    if (p->status) return;
    int *held[4] = {&l->used_w, &l->used_b, &l->mean, &l->var}; /* inference: all four; push fills them */
    for (int k = p->options.training ? 2 : 0; k < 4; k++)
        *held[k] = plan_new_mem_at(p, channels, plan_new_slot(p, dn_md_bytes(channels), true), 0);
    *scale = l->used_w;
    *shift = l->used_b;
    if (!p->options.training) return;
    int gate = plan_new_gate(p, node);
    for (int k = 0; k < COPI_SLOTS; k++)
        l->weight[k] = plan_new_weight(p, node, k, NULL, NULL, k <= COPI_SHIFT ? gate : -1);
    if (p->status) return;
    *scale = p->weights[l->weight[COPI_SCALE]].mem_used;
    *shift = p->weights[l->weight[COPI_SHIFT]].mem_used;
}

static void lower_norm(copi_plan *p, int node) {
    plan_node *l = &p->node[node];
    const copi_node *n = &p->net->node[node];
    const plan_value *src = plan_value_of(p, n->src[0]);
    dnnl_prop_kind_t prop = p->options.training ? dnnl_forward_training : dnnl_forward_inference;
    const bool own = plan_norms(p, node);
    if (!own) {
        dnnl_primitive_desc_t pd = NULL;
        dnnl_status_t s =
            dn_norm_forward(&pd, p->engine, prop, src->md, (float)n->u.batchnorm.epsilon, flags_of(p, node), p->attr);
        l->forward = plan_pd(p, s, pd, "batch normalization", node);
    }
    const plan_value *v = plan_new_value(p, node, src->md, true);
    int scale = -1, shift = -1;
    hold_vectors(p, node, &scale, &shift);
    if (p->status) return;
    if (p->options.training) track_statistics(p, node);
    if (own) {
        plan_norm_forward(p, node, v->mem, src->mem);
        return;
    }
    if (p->options.training && l->act >= 0)
        l->workspace = plan_new_mem(p, plan_chosen(p, l->forward, dnnl_query_workspace_md));
    plan_primitive(p, "batch-norm forward", node, l->forward,
                   PAIRS({DNNL_ARG_SRC, src->mem}, {DNNL_ARG_DST, v->mem}, {DNNL_ARG_SCALE, scale},
                         {DNNL_ARG_SHIFT, shift}, {DNNL_ARG_MEAN, l->mean}, {DNNL_ARG_VARIANCE, l->var},
                         {DNNL_ARG_WORKSPACE, l->workspace}));
}

static void back_norm(copi_plan *p, int node) {
    const plan_node *l = &p->node[node];
    const copi_node *n = &p->net->node[node];
    plan_value *v = plan_value_of(p, node), *src = plan_value_of(p, n->src[0]);
    /* a batch-norm on the images themselves still has gradients of scale and shift */
    int target = src->needs_grad ? plan_contribution(p, src, v->diff_md) : plan_new_mem(p, v->diff_md);
    if (plan_norms(p, node)) {
        plan_norm_backward(p, node, target, src->mem, v->diff);
        if (src->needs_grad) plan_contributed(p, node, src, target);
        return;
    }
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t s = dn_norm_backward(&pd, p->engine, v->diff_md, src->md, (float)n->u.batchnorm.epsilon,
                                       flags_of(p, node), l->forward, p->attr);
    pd = plan_pd(p, s, pd, "batch normalization backward", node);
    const plan_weight *scale = &p->weights[l->weight[COPI_SCALE]], *shift = &p->weights[l->weight[COPI_SHIFT]];
    plan_primitive(p, "batch-norm backward", node, pd,
                   PAIRS({DNNL_ARG_SRC, src->mem}, {DNNL_ARG_MEAN, l->mean}, {DNNL_ARG_VARIANCE, l->var},
                         {DNNL_ARG_DIFF_DST, v->diff}, {DNNL_ARG_SCALE, scale->mem_used},
                         {DNNL_ARG_SHIFT, DN_NORM_BACKWARD_READS_SHIFT ? shift->mem_used : -1},
                         {DNNL_ARG_WORKSPACE, l->workspace}, {DNNL_ARG_DIFF_SRC, target},
                         {DNNL_ARG_DIFF_SCALE, scale->mem_g}, {DNNL_ARG_DIFF_SHIFT, shift->mem_g}));
    if (src->needs_grad) plan_contributed(p, node, src, target);
}

const copi_lowering copi_lower_batchnorm = {lower_norm, back_norm};
const copi_lowering copi_lower_gate = {NULL, NULL}; /* its producer applies it */
