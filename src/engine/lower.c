/* From ops to actions. Forward in node order, backward in reverse. What is fused: bias, batch-norm (inference), gate and
 * activation into conv and dense; gate and relu into batch-norm; flatten into the dense behind it; the backward of a
 * relu into the max-pool or dropout behind it. */
#include "engine/plan.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#define PAIRS(...) (int)(sizeof((const int[][2]){__VA_ARGS__}) / sizeof(int[2])), (const int[][2]){__VA_ARGS__}

/* ---------------------------------------------------------------------------------------------- fusion -- */

static int sole_consumer(const copi_plan *p, int node) {
    int to;
    return copi_net_consumers(p->net, node, &to, 1) == 1 ? to : -1;
}

static bool is_act(copi_op op) { return op == COPI_OP_RELU || op == COPI_OP_RELU6 || op == COPI_OP_LEAKY_RELU; }
static bool is_linear(copi_op op) { return op == COPI_OP_CONV || op == COPI_OP_DENSE; }
static bool is_dropout(copi_op op) { return op == COPI_OP_DROPOUT; }

static copi_act act_of(const copi_node *n) {
    return (copi_act){.slope = n->op == COPI_OP_LEAKY_RELU ? (float)n->u.leaky.slope : 0.0f,
                      .high = n->op == COPI_OP_RELU6 ? 6.0f : INFINITY};
}

/* Does everything behind this node reach dense layers through elementwise ops only? Then its output may stay [C,H,W]
 * in any layout: dense takes it as it is. */
static bool ends_in_dense(const copi_plan *p, int node) {
    int to[8], n = copi_net_consumers(p->net, node, to, 8);
    if (n < 1 || n > 8) return false;
    for (int i = 0; i < n; i++) {
        copi_op op = p->net->node[to[i]].op;
        if (op == COPI_OP_DENSE) continue;
        if (!(is_act(op) || is_dropout(op)) || !ends_in_dense(p, to[i])) return false;
    }
    return true;
}

/* Does the node drop anything in this plan? */
static bool drops(const copi_plan *p, int node) {
    const copi_node *n = &p->net->node[node];
    return p->options.training && is_dropout(n->op) && n->u.dropout.share > 0;
}

/* Does node's backward read its own output? Then nobody may work on it in place. */
static bool needs_output(const copi_plan *p, int node) {
    const lowered *l = &p->node[node];
    copi_op op = p->net->node[node].op;
    if (l->fused && op == COPI_OP_FLATTEN) return needs_output(p, p->net->node[node].src[0]);
    if (is_act(op)) return !l->mask_later;
    if (is_dropout(op)) return l->mask_here;
    return op == COPI_OP_INPUT;
}

/* Does nobody but node see the value that `from` gives, under any of the names it goes by? */
static bool owns(const copi_plan *p, int from, int node) {
    if (sole_consumer(p, from) != node) return false;
    return !p->node[from].fused || owns(p, p->net->node[from].src[0], from);
}

static void find_fusions(copi_plan *p) {
    const cop_net *net = p->net;
    bool training = p->options.training;
    for (int i = 0; i < net->nodes; i++) {
        lowered *l = &p->node[i];
        const copi_node *n = &net->node[i];
        l->act = l->norm = l->gate = l->workspace = l->mean = l->var = l->used_w = l->used_b = l->value = -1;
        for (int k = 0; k < COPI_SLOTS; k++) l->weight[k] = -1;
        if (n->op == COPI_OP_FLATTEN) l->fused |= ends_in_dense(p, i);
    }
    for (int i = 0; i < net->nodes; i++) {
        lowered *l = &p->node[i];
        copi_op op = net->node[i].op;
        bool norm = op == COPI_OP_BATCHNORM && !l->fused;
        if (!is_linear(op) && !norm) continue;
        int next = sole_consumer(p, i);
        if (is_linear(op) && !training && next >= 0 && net->node[next].op == COPI_OP_BATCHNORM) {
            l->norm = next;
            p->node[next].fused = true;
            next = sole_consumer(p, next);
        }
        if (next >= 0 && net->node[next].op == COPI_OP_GATE) {
            l->gate = next;
            p->node[next].fused = true;
            next = sole_consumer(p, next);
        }
        if (next >= 0 && (norm ? net->node[next].op == COPI_OP_RELU : is_act(net->node[next].op))) {
            l->act = next;
            p->node[next].fused = true;
        }
    }
    if (!training) return;
    for (int i = 0; i < net->nodes; i++) { /* a relu's backward moves behind: fewer elements, one pass less */
        if (net->node[i].op != COPI_OP_RELU) continue;
        int src = net->node[i].src[0], next = sole_consumer(p, i);
        if (p->node[src].act == i && net->node[src].op == COPI_OP_BATCHNORM) continue; /* oneDNN does it */
        if (p->node[i].fused && net->node[src].op == COPI_OP_GATE && net->node[net->node[src].src[0]].op == COPI_OP_BATCHNORM)
            continue;
        if (next >= 0 && net->node[next].op == COPI_OP_MAX_POOL) {
            int after = sole_consumer(p, next);
            p->node[i].mask_later = true;
            p->node[after >= 0 && drops(p, after) ? after : next].mask_here = true;
        } else if (next >= 0 && drops(p, next)) {
            p->node[i].mask_later = p->node[next].mask_here = true;
        }
    }
}

/* -------------------------------------------------------------------------------------------- forward -- */

static value *value_of(copi_plan *p, int node) { return &p->values[p->node[node].value]; }

/* A new value with layout md (taken over), whose gradient has diff_md (copied from md in the plan's type when NULL). */
static cop_status new_value(copi_plan *p, int node, dn_md *md, bool needs_grad) {
    value *v = &p->values[p->value_count];
    v->md = *md;
    *md = (dn_md){0};
    v->node = node;
    v->diff = -1;
    v->needs_grad = needs_grad && p->options.training;
    p->node[node].value = p->value_count++;
    v->mem = plan_mem(p, &v->md, -1, 0);
    return v->mem < 0 ? COP_E_NOMEM : dn_md_copy(&v->diff_md, dn_view(&v->md)) ? COP_E_NOMEM : COP_OK;
}

static cop_status make_md(copi_plan *p, dn_md *md, int node, dnnl_data_type_t type, bool flat, dnnl_format_tag_t tag) {
    const copi_node *n = &p->net->node[node];
    int64_t dims[4] = {p->options.batch, n->shape[0], n->shape[1], n->shape[2]};
    if (flat) dims[1] = n->shape[0] * n->shape[1] * n->shape[2];
    return plan_dnnl(p, dn_md_make(md, flat ? 2 : 4, dims, type, tag), "layout", node);
}
static dnnl_format_tag_t plain(bool flat) { return flat ? dnnl_ab : dnnl_abcd; }

/* A mem in layout want that holds what value v holds: v's own or a reordered copy. */
static cop_status adapt(copi_plan *p, int node, const value *v, const dn_md *want, int *mem_number) {
    *mem_number = v->mem;
    if (dn_md_equal(&v->md, want)) return COP_OK;
    *mem_number = plan_mem(p, want, -1, 0);
    return *mem_number < 0 ? COP_E_NOMEM : plan_reorder(p, node, &v->md, v->mem, want, *mem_number);
}

static copi_action *elementwise(copi_plan *p, const char *what, int node,
                                void (*run)(copi_plan *, const copi_action *), const dn_md *md, int y, int x, int z) {
    copi_action *a = plan_action(p, what, node, run);
    if (!a) return NULL;
    int mems[3] = {y, x, z};
    for (int i = 0; i < 3; i++) {
        a->mem[i] = mems[i];
        plan_touch(p, mems[i]);
    }
    a->bf16 = p->bf16;
    a->n = plan_elements(md, p->bf16);
    return a;
}

/* Run body for each thread's share of a->n elements, cut at whole dropout blocks. */
#define SHARED(a, p0, count, body)                                                                                   \
    _Pragma("omp parallel") {                                                                                        \
        int64_t from_, to_;                                                                                          \
        plan_split((a)->n, 1024, omp_get_thread_num(), omp_get_num_threads(), &from_, &to_);                         \
        int64_t p0 = from_, count = to_ - from_;                                                                     \
        if (count > 0) body                                                                                          \
    }

static const copi_typed_kernels *typed(const copi_plan *p, const copi_action *a) {
    return a->bf16 ? &p->kernels->bf16 : &p->kernels->f32;
}
static void *at(const copi_action *a, int i, int64_t element) {
    return (uint8_t *)a->ptr[i] + element * (a->bf16 ? 2 : 4);
}

static void run_act_forward(copi_plan *p, const copi_action *a) {
    copi_act act = {a->x, a->y};
    SHARED(a, i, n, { typed(p, a)->act_forward(at(a, 0, i), at(a, 1, i), n, act); })
}
static void run_act_backward(copi_plan *p, const copi_action *a) {
    copi_act act = {a->x, a->y};
    SHARED(a, i, n, { typed(p, a)->act_backward(at(a, 0, i), at(a, 1, i), at(a, 2, i), n, act); })
}
static void run_mask_backward(copi_plan *p, const copi_action *a) {
    SHARED(a, i, n, { typed(p, a)->mask_backward(at(a, 0, i), at(a, 1, i), at(a, 2, i), n, a->x); })
}
static void run_dropout(copi_plan *p, const copi_action *a) {
    uint64_t key = p->step_key + (uint64_t)a->node * 0x9E3779B97F4A7C15u;
    SHARED(a, i, n, { typed(p, a)->dropout(at(a, 0, i), at(a, 1, i), n, a->x, a->threshold, key, i); })
}
static void run_add(copi_plan *p, const copi_action *a) {
    SHARED(a, i, n, { typed(p, a)->add(at(a, 0, i), at(a, 1, i), at(a, 2, i), n); })
}
static void run_gate_apply(copi_plan *p, const copi_action *a) {
    const weight *w = &p->weights[a->weight[0]];
    const float *lambda = p->s1 + p->weights[w->gate].at; /* the look-ahead point */
    SHARED(a, i, n, { p->kernels->gate_apply(p->e + w->at + i, p->w + w->at + i, lambda, w->unit + i, n); })
}

static dn_window window_of(const copi_node *n) {
    dn_window w = {0};
    if (n->op == COPI_OP_CONV) {
        for (int k = 0; k < 2; k++) {
            w.stride[k] = n->u.conv.stride[k];
            w.dilation[k] = n->u.conv.dilation[k] - 1;
            w.pad_l[k] = n->u.conv.pad[k];
            w.pad_r[k] = n->u.conv.pad[k + 2];
        }
    } else {
        for (int k = 0; k < 2; k++) {
            w.kernel[k] = n->u.pool.kernel[k];
            w.stride[k] = n->u.pool.stride[k] ? n->u.pool.stride[k] : n->u.pool.kernel[k];
            w.pad_l[k] = n->u.pool.pad[k];
            w.pad_r[k] = n->u.pool.pad[k + 2];
        }
    }
    return w;
}

/* The layouts of a conv's or dense's kernel (any: the primitive chooses; logical: as the net holds it) and of its source.
 * The kernel's logical memory is read as [G,O,I,KH,KW], [O,I,KH,KW] or [O,I]; a dense behind an absorbed flatten reads
 * it as [O,C,H,W]: the same numbers in the same order. */
static cop_status linear_md(copi_plan *p, int node, dnnl_data_type_t type, dn_md *src_any, dn_md *any, dn_md *logical) {
    const copi_node *n = &p->net->node[node];
    const copi_node *from = &p->net->node[value_of(p, n->src[0])->node];
    const copi_param *w = copi_node_slot(p->net, n, COPI_WEIGHT);
    static const dnnl_format_tag_t tag[] = {0, 0, dnnl_ab, 0, dnnl_abcd, dnnl_abcde};
    int64_t src[4] = {p->options.batch, from->shape[0], from->shape[1], from->shape[2]}, dims[DN_DIMS] = {w->shape[0]};
    int src_rank = from->rank + 1, rank = src_rank;
    memcpy(dims + 1, src + 1, 3 * sizeof *dims);
    if (n->op == COPI_OP_CONV) {
        int64_t groups = n->u.conv.groups;
        rank = w->rank + (groups > 1);
        if (groups > 1) {
            dims[0] = groups;
            dims[1] = w->shape[0] / groups;
        }
        memcpy(dims + 1 + (groups > 1), w->shape + 1, 3 * sizeof *dims);
    }
    cop_status s = plan_dnnl(p, dn_md_make(any, rank, dims, type, dnnl_format_tag_any), "layout", node);
    if (!s) s = plan_dnnl(p, dn_md_make(logical, rank, dims, dnnl_f32, tag[rank]), "layout", node);
    if (!s) s = plan_dnnl(p, dn_md_make(src_any, src_rank, src, plan_type(p), dnnl_format_tag_any), "layout", node);
    return s;
}

static cop_status fuse_act(copi_plan *p, const lowered *l, dnnl_primitive_attr_t *attr) {
    cop_status s = plan_dnnl(p, dnnl_primitive_attr_clone(attr, p->attr), "attributes", -1);
    if (s || l->act < 0) return s;
    copi_act act = act_of(&p->net->node[l->act]);
    dnnl_post_ops_t ops;
    if ((s = plan_dnnl(p, dnnl_post_ops_create(&ops), "attributes", -1))) return s;
    dnnl_status_t d = isfinite(act.high) ? dn_post_activation(ops, dnnl_eltwise_clip, 0, act.high)
                                         : dn_post_activation(ops, dnnl_eltwise_relu, act.slope, 0);
    if (d == dnnl_success) d = dnnl_primitive_attr_set_post_ops(*attr, ops);
    dnnl_post_ops_destroy(ops);
    return plan_dnnl(p, d, "fused activation", l->act);
}

static void adopt(copi_plan *p, int from, int node) { p->node[node].value = p->node[from].value; }

/* The weights as forward or backward wants them: the master's own mem where type and layout agree, else a copy made by
 * `prepare` whenever the master has moved. */
static cop_status prepared(copi_plan *p, int node, int number, const dn_md *want, int *mem_number) {
    const weight *w = &p->weights[number];
    *mem_number = w->gate >= 0 ? w->mem_e : w->mem_w;
    if (dn_md_equal(&w->md, want)) return COP_OK;
    int s = plan_slot(p, dn_md_bytes(want), true);
    if (s < 0) return COP_E_NOMEM;
    int source = *mem_number;
    *mem_number = plan_mem(p, want, s, 0);
    if (*mem_number < 0) return COP_E_NOMEM;
    actions *list = p->adding;
    p->adding = &p->prepare;
    cop_status status = plan_reorder(p, node, &w->md, source, want, *mem_number);
    p->adding = list;
    return status;
}

static cop_status gate_weight(copi_plan *p, int node, int number) {
    actions *list = p->adding;
    p->adding = &p->prepare;
    copi_action *a = plan_action(p, "gate", node, run_gate_apply);
    p->adding = list;
    if (!a) return COP_E_NOMEM;
    a->weight[0] = number;
    a->n = p->weights[number].n;
    return COP_OK;
}

/* Register weight and bias of a training node (gate included) in the arenas. */
static cop_status register_linear(copi_plan *p, int node, const dn_md *md, const dn_md *logical) {
    lowered *l = &p->node[node];
    const copi_node *n = &p->net->node[node];
    int gate = -1;
    if (l->gate >= 0 && (gate = p->node[l->gate].weight[COPI_GATE] = plan_weight(p, l->gate, COPI_GATE, NULL, NULL)) < 0)
        return COP_E_NOMEM;
    for (int k = COPI_WEIGHT; k <= COPI_BIAS; k++) {
        if (n->param[k] < 0) continue;
        int w = l->weight[k] = plan_weight(p, node, k, k == COPI_WEIGHT ? md : NULL, k == COPI_WEIGHT ? logical : NULL);
        if (w < 0) return COP_E_NOMEM;
        p->weights[w].gate = gate;
        cop_status s = gate >= 0 ? gate_weight(p, node, w) : COP_OK;
        if (s) return s;
    }
    return COP_OK;
}

static cop_status lower_linear(copi_plan *p, int node) {
    lowered *l = &p->node[node];
    const copi_node *n = &p->net->node[node];
    value *src = value_of(p, n->src[0]);
    bool conv = n->op == COPI_OP_CONV, training = p->options.training, gradient = src->needs_grad && training;
    bool logits = node == p->last && l->act < 0 && !conv;
    dn_window win = conv ? window_of(n) : (dn_window){0};
    dnnl_data_type_t type = plan_type(p);
    dn_md src_any = {0}, w_any = {0}, logical = {0}, b_md = {0}, dst_any = {0}, chosen = {0}, w_chosen = {0}, grad = {0};
    dnnl_primitive_attr_t attr = NULL;
    bool bias = n->param[COPI_BIAS] >= 0 || l->norm >= 0; /* a folded batch-norm brings one */
    int64_t units = n->shape[0];
    cop_status s = linear_md(p, node, type, &src_any, &w_any, &logical);
    if (s) goto out;
    if (bias && (s = plan_dnnl(p, dn_md_make(&b_md, 1, &units, dnnl_f32, dnnl_a), "layout", node))) goto out;
    if ((s = logits ? make_md(p, &dst_any, node, dnnl_f32, true, dnnl_ab)
                    : make_md(p, &dst_any, node, type, !conv, dnnl_format_tag_any)) ||
        (s = fuse_act(p, l, &attr)))
        goto out;
    dnnl_prop_kind_t prop = training ? dnnl_forward_training : dnnl_forward_inference;
    s = plan_dnnl(p,
                  conv ? dn_conv_forward(&l->forward, p->engine, prop, &src_any, &w_any, &b_md, &dst_any, &win, attr)
                       : dn_dense_forward(&l->forward, p->engine, prop, &src_any, &w_any, &b_md, &dst_any, attr),
                  conv ? "convolution" : "inner product", node);
    if (s || (s = plan_dnnl(p, dn_chosen(&l->src_md, l->forward, dnnl_query_src_md), "layout", node)) ||
        (s = plan_dnnl(p, dn_chosen(&w_chosen, l->forward, dnnl_query_weights_md), "layout", node)) ||
        (s = plan_dnnl(p, dn_chosen(&chosen, l->forward, dnnl_query_dst_md), "layout", node)) ||
        (s = adapt(p, node, src, &l->src_md, &l->src_mem)))
        goto out;
    if ((s = new_value(p, node, &chosen, true))) goto out;
    value *dst = value_of(p, node);
    if (logits && (s = make_md(p, &dst->diff_md, node, type, true, dnnl_ab))) goto out;
    int used_w, used_b = -1;
    if (training) {
        /* The gradient's layout is the master's: what the optimizer walks is what backward writes. */
        if ((s = linear_md(p, node, dnnl_f32, &src_any, &w_any, &logical))) goto out;
        s = plan_dnnl(p,
                      conv ? dn_conv_backward_weights(&l->backward_weights, p->engine, &l->src_md, &w_any, &b_md,
                                                      &dst->diff_md, &win, l->forward, p->attr)
                           : dn_dense_backward_weights(&l->backward_weights, p->engine, &l->src_md, &w_any, &b_md,
                                                       &dst->diff_md, l->forward, p->attr),
                      "backward by weights", node);
        if (s || (s = plan_dnnl(p, dn_chosen(&grad, l->backward_weights, dnnl_query_diff_weights_md), "layout", node)) ||
            (s = register_linear(p, node, &grad, &logical)) ||
            (s = prepared(p, node, l->weight[COPI_WEIGHT], &w_chosen, &used_w)))
            goto out;
        if (bias) used_b = l->gate >= 0 ? p->weights[l->weight[COPI_BIAS]].mem_e : p->weights[l->weight[COPI_BIAS]].mem_w;
        if (gradient) {
            if ((s = linear_md(p, node, type, &src_any, &w_any, &logical))) goto out;
            s = plan_dnnl(p,
                          conv ? dn_conv_backward_data(&l->backward_data, p->engine, &src_any, &w_any, &dst->diff_md,
                                                       &win, l->forward, p->attr)
                               : dn_dense_backward_data(&l->backward_data, p->engine, &src_any, &w_any,
                                                        &dst->diff_md, l->forward, p->attr),
                          "backward by data", node);
            if (s) goto out;
        }
    } else {
        int slot_w = plan_slot(p, dn_md_bytes(&w_chosen), true), slot_b = -1;
        if (bias) slot_b = plan_slot(p, dn_md_bytes(&b_md), true);
        if (slot_w < 0 || (bias && slot_b < 0)) {
            s = COP_E_NOMEM;
            goto out;
        }
        used_w = l->used_w = plan_mem(p, &w_chosen, slot_w, 0);
        if (bias) used_b = l->used_b = plan_mem(p, &b_md, slot_b, 0);
        l->used_plain = logical;
        logical = (dn_md){0};
        dnnl_primitive_desc_t pd;
        if ((s = plan_dnnl(p, dn_reorder(&pd, p->engine, &l->used_plain, &w_chosen, NULL), "reorder", node))) goto out;
        s = plan_dnnl(p, dnnl_primitive_create(&l->used_in, pd), "reorder", node);
        dnnl_primitive_desc_destroy(pd);
        if (s) goto out;
    }
    s = plan_primitive(p, conv ? "conv forward" : "dense forward", node, l->forward, true,
                       PAIRS({DNNL_ARG_SRC, l->src_mem}, {DNNL_ARG_WEIGHTS, used_w}, {DNNL_ARG_BIAS, used_b},
                             {DNNL_ARG_DST, dst->mem}));
out:
    if (attr) dnnl_primitive_attr_destroy(attr);
    dn_md *all[] = {&src_any, &w_any, &logical, &b_md, &dst_any, &chosen, &w_chosen, &grad};
    for (size_t i = 0; i < COPI_COUNT(all); i++) dn_md_free(all[i]);
    return s;
}

/* running = 0.9 running + 0.1 batch, the variance unbiased, as PyTorch counts */
static void run_statistics(copi_plan *p, const copi_action *a) {
    const weight *mean = &p->weights[a->weight[0]], *var = &p->weights[a->weight[1]];
    const float *m = a->ptr[0], *v = a->ptr[1];
    for (int64_t c = 0; c < mean->count; c++) {
        p->w[mean->at + c] += 0.1f * (m[c] - p->w[mean->at + c]);
        p->w[var->at + c] += 0.1f * (v[c] * a->x - p->w[var->at + c]);
    }
}

static cop_status lower_norm(copi_plan *p, int node) {
    lowered *l = &p->node[node];
    const copi_node *n = &p->net->node[node];
    const value *src = value_of(p, n->src[0]);
    bool training = p->options.training;
    unsigned flags = dnnl_use_scale | dnnl_use_shift | (training ? 0 : dnnl_use_global_stats) |
                     (l->act >= 0 ? dnnl_fuse_norm_relu : 0);
    dnnl_prop_kind_t prop = training ? dnnl_forward_training : dnnl_forward_inference;
    cop_status s = plan_dnnl(
        p, dn_norm_forward(&l->forward, p->engine, prop, &src->md, (float)n->u.batchnorm.epsilon, flags, p->attr),
        "batch normalization", node);
    if (s) return s;
    dn_md md = {0}, ws = {0}, channels = {0};
    if ((s = plan_dnnl(p, dn_md_copy(&md, dn_view(&src->md)), "layout", node)) || (s = new_value(p, node, &md, true)))
        return s;
    if ((s = plan_dnnl(p, dn_md_make(&channels, 1, &n->shape[0], dnnl_f32, dnnl_a), "layout", node))) return s;
    int scale, shift;
    if (training) {
        int gate = -1;
        if (l->gate >= 0 &&
            (gate = p->node[l->gate].weight[COPI_GATE] = plan_weight(p, l->gate, COPI_GATE, NULL, NULL)) < 0)
            goto memory;
        for (int k = 0; k < COPI_SLOTS; k++) {
            if ((l->weight[k] = plan_weight(p, node, k, NULL, NULL)) < 0) goto memory;
            if (k > COPI_SHIFT) continue;
            p->weights[l->weight[k]].gate = gate;
            if (gate >= 0 && (s = gate_weight(p, node, l->weight[k]))) goto out;
        }
        scale = gate >= 0 ? p->weights[l->weight[COPI_SCALE]].mem_e : p->weights[l->weight[COPI_SCALE]].mem_w;
        shift = gate >= 0 ? p->weights[l->weight[COPI_SHIFT]].mem_e : p->weights[l->weight[COPI_SHIFT]].mem_w;
        l->mean = plan_mem(p, &channels, -1, 0);
        l->var = plan_mem(p, &channels, -1, 0);
        if (dn_chosen(&ws, l->forward, dnnl_query_workspace_md) == dnnl_success && dn_md_bytes(&ws))
            l->workspace = plan_mem(p, &ws, -1, 0);
    } else { /* four vectors in one persistent slot; push fills them */
        size_t bytes = (size_t)n->shape[0] * sizeof(float), stride = (bytes + COPI_ALIGN - 1) / COPI_ALIGN * COPI_ALIGN;
        int slot_number = plan_slot(p, stride * 4, true);
        if (slot_number < 0) goto memory;
        l->used_w = scale = plan_mem(p, &channels, slot_number, 0);
        l->used_b = shift = plan_mem(p, &channels, slot_number, stride);
        l->mean = plan_mem(p, &channels, slot_number, 2 * stride);
        l->var = plan_mem(p, &channels, slot_number, 3 * stride);
    }
    if (l->mean < 0 || l->var < 0 || scale < 0 || shift < 0) goto memory;
    s = plan_primitive(p, "batch-norm forward", node, l->forward, true,
                       PAIRS({DNNL_ARG_SRC, src->mem}, {DNNL_ARG_DST, value_of(p, node)->mem}, {DNNL_ARG_SCALE, scale},
                             {DNNL_ARG_SHIFT, shift}, {DNNL_ARG_MEAN, l->mean}, {DNNL_ARG_VARIANCE, l->var},
                             {DNNL_ARG_WORKSPACE, l->workspace}));
    if (!s && training) {
        actions *list = p->adding;
        p->adding = &p->statistics;
        copi_action *a = plan_action(p, "running statistics", node, run_statistics);
        p->adding = list;
        if (!a) goto memory;
        double m = (double)(p->options.batch * n->shape[1] * n->shape[2]);
        a->x = (float)(m > 1 ? m / (m - 1) : 1);
        a->mem[0] = l->mean;
        a->mem[1] = l->var;
        a->weight[0] = l->weight[COPI_MEAN];
        a->weight[1] = l->weight[COPI_VAR];
        p->slots[p->mems[l->mean].slot].persistent = p->slots[p->mems[l->var].slot].persistent = true;
    }
out:
    dn_md_free(&channels);
    dn_md_free(&ws);
    return s;
memory:
    s = COP_E_NOMEM;
    goto out;
}

static dn_window pool_window(const copi_plan *p, int node, dnnl_alg_kind_t *alg) {
    const copi_node *n = &p->net->node[node];
    if (n->op == COPI_OP_GLOBAL_POOL) {
        const copi_node *from = &p->net->node[n->src[0]];
        dn_window w = {.stride = {1, 1}, .kernel = {from->shape[1], from->shape[2]}};
        *alg = dnnl_pooling_avg_exclude_padding;
        return w;
    }
    *alg = n->op == COPI_OP_MAX_POOL ? dnnl_pooling_max
           : n->u.pool.count_pad     ? dnnl_pooling_avg_include_padding
                                     : dnnl_pooling_avg_exclude_padding;
    return window_of(n);
}

static cop_status lower_pool(copi_plan *p, int node) {
    lowered *l = &p->node[node];
    const copi_node *n = &p->net->node[node];
    const value *src = value_of(p, n->src[0]);
    dnnl_alg_kind_t alg;
    dn_window w = pool_window(p, node, &alg);
    dn_md any = {0}, chosen = {0}, ws = {0};
    cop_status s = make_md(p, &any, node, plan_type(p), false, dnnl_format_tag_any);
    dnnl_prop_kind_t prop = p->options.training ? dnnl_forward_training : dnnl_forward_inference;
    if (s || (s = plan_dnnl(p, dn_pool_forward(&l->forward, p->engine, prop, alg, &src->md, &any, &w, p->attr),
                            "pooling", node)) ||
        (s = plan_dnnl(p, dn_chosen(&chosen, l->forward, dnnl_query_dst_md), "layout", node)) ||
        (s = new_value(p, node, &chosen, src->needs_grad)))
        goto out;
    if (p->options.training && dn_chosen(&ws, l->forward, dnnl_query_workspace_md) == dnnl_success &&
        dn_md_bytes(&ws) && (l->workspace = plan_mem(p, &ws, -1, 0)) < 0) {
        s = COP_E_NOMEM;
        goto out;
    }
    s = plan_primitive(p, "pool forward", node, l->forward, true,
                       PAIRS({DNNL_ARG_SRC, src->mem}, {DNNL_ARG_DST, value_of(p, node)->mem},
                             {DNNL_ARG_WORKSPACE, l->workspace}));
out:
    dn_md_free(&any);
    dn_md_free(&chosen);
    dn_md_free(&ws);
    return s;
}

/* Activation, dropout: on the producer's value where nobody else wants it, else into a new one. */
static cop_status lower_elementwise(copi_plan *p, int node) {
    lowered *l = &p->node[node];
    const copi_node *n = &p->net->node[node];
    int from = n->src[0];
    bool drop = is_dropout(n->op);
    if (drop && !drops(p, node)) { /* nothing to compute */
        l->fused = true;
        adopt(p, from, node);
        return COP_OK;
    }
    l->in_place = owns(p, from, node) && !needs_output(p, from);
    cop_status s = COP_OK;
    if (l->in_place) {
        adopt(p, from, node);
    } else {
        dn_md md = {0};
        bool needs_grad = value_of(p, from)->needs_grad;
        s = plan_dnnl(p, dn_md_copy(&md, dn_view(&value_of(p, from)->md)), "layout", node);
        if (s || (s = new_value(p, node, &md, needs_grad))) return s;
    }
    const value *v = value_of(p, node);
    copi_action *a = elementwise(p, drop ? "dropout" : "activation", node, drop ? run_dropout : run_act_forward, &v->md,
                                 v->mem, value_of(p, from)->mem, -1);
    if (!a) return COP_E_NOMEM;
    if (drop) {
        a->x = (float)(1.0 / (1.0 - n->u.dropout.share));
        a->threshold = (uint32_t)(n->u.dropout.share * 65536.0 + 0.5);
    } else {
        copi_act act = act_of(n);
        a->x = act.slope;
        a->y = act.high;
    }
    return COP_OK;
}

/* A flatten that dense cannot absorb: into plain [N,C,H,W], then read as [N,C*H*W]. */
static cop_status lower_flatten(copi_plan *p, int node) {
    int from = p->net->node[node].src[0];
    const value *src = value_of(p, from);
    if (p->node[node].fused) {
        adopt(p, from, node);
        return COP_OK;
    }
    bool needs_grad = src->needs_grad;
    dn_md md = {0}, image = {0};
    cop_status s = make_md(p, &md, node, plan_type(p), true, dnnl_ab);
    if (s || (s = make_md(p, &image, from, plan_type(p), false, dnnl_abcd)) ||
        (s = new_value(p, node, &md, needs_grad)))
        goto out;
    int view = plan_mem(p, &image, p->mems[value_of(p, node)->mem].slot, 0);
    s = view < 0 ? COP_E_NOMEM : plan_reorder(p, node, &value_of(p, from)->md, value_of(p, from)->mem, &image, view);
out:
    dn_md_free(&md);
    dn_md_free(&image);
    return s;
}

static cop_status lower_add(copi_plan *p, int node) {
    const copi_node *n = &p->net->node[node];
    dn_md md = {0};
    bool needs_grad = value_of(p, n->src[0])->needs_grad || value_of(p, n->src[1])->needs_grad;
    cop_status s = plan_dnnl(p, dn_md_copy(&md, dn_view(&value_of(p, n->src[0])->md)), "layout", node);
    if (s || (s = new_value(p, node, &md, needs_grad))) return s;
    const value *v = value_of(p, node);
    int other;
    if ((s = adapt(p, node, value_of(p, n->src[1]), &v->md, &other))) return s;
    v = value_of(p, node);
    return elementwise(p, "add", node, run_add, &v->md, v->mem, value_of(p, n->src[0])->mem, other) ? COP_OK
                                                                                                    : COP_E_NOMEM;
}

/* Concat works in plain layout: for each image the sources' channels lie one after another. */
static void run_concat(copi_plan *p, const copi_action *a) { /* x: 0 forward, 1 backward; n: floats of this source */
    size_t size = a->bf16 ? 2 : 4, part = (size_t)a->n * size;
    size_t whole = p->mems[a->mem[0]].bytes / (size_t)p->options.batch, offset = (size_t)a->threshold * size;
    for (int64_t i = 0; i < p->options.batch; i++) {
        uint8_t *joint = (uint8_t *)a->ptr[0] + (size_t)i * whole + offset, *one = (uint8_t *)a->ptr[1] + (size_t)i * part;
        if (a->x > 0) memcpy(one, joint, part);
        else memcpy(joint, one, part);
    }
}
static cop_status concat_part(copi_plan *p, int node, int joint, int one, int src, int64_t offset, bool backward) {
    copi_action *a = plan_action(p, "concat", node, run_concat);
    if (!a) return COP_E_NOMEM;
    const copi_node *from = &p->net->node[src];
    a->mem[0] = joint;
    a->mem[1] = one;
    plan_touch(p, joint);
    plan_touch(p, one);
    a->n = from->shape[0] * from->shape[1] * from->shape[2];
    a->threshold = (uint32_t)offset;
    a->x = backward ? 1 : 0;
    a->bf16 = p->bf16;
    return COP_OK;
}
static cop_status lower_concat(copi_plan *p, int node) {
    const copi_node *n = &p->net->node[node];
    bool flat = n->rank == 1, needs_grad = false;
    for (int i = 0; i < n->nsrc; i++) needs_grad |= value_of(p, n->src[i])->needs_grad;
    dn_md md = {0};
    cop_status s = make_md(p, &md, node, plan_type(p), flat, plain(flat));
    if (s || (s = new_value(p, node, &md, needs_grad))) return s;
    int64_t offset = 0;
    for (int i = 0; i < n->nsrc && !s; i++) {
        const copi_node *from = &p->net->node[n->src[i]];
        int one;
        dn_md want = {0};
        s = make_md(p, &want, n->src[i], plan_type(p), flat, plain(flat));
        if (!s) s = adapt(p, node, value_of(p, n->src[i]), &want, &one);
        dn_md_free(&want);
        if (!s) s = concat_part(p, node, value_of(p, node)->mem, one, n->src[i], offset, false);
        offset += from->shape[0] * from->shape[1] * from->shape[2];
    }
    return s;
}

static cop_status lower_input(copi_plan *p) {
    dn_md md = {0};
    cop_status s = make_md(p, &md, 0, dnnl_f32, false, dnnl_abcd);
    if (s || (s = new_value(p, 0, &md, false))) return s;
    value *v = &p->values[0];
    p->input_mem = v->mem;
    p->slots[p->mems[v->mem].slot].bytes = 0; /* the caller's memory is used instead */
    if (!p->bf16) return COP_OK;
    dn_md half = {0}; /* everything behind works on bf16 */
    if ((s = make_md(p, &half, 0, dnnl_bf16, false, dnnl_abcd))) return s;
    dn_md from = v->md;
    v->md = half;
    v->mem = plan_mem(p, &v->md, -1, 0);
    s = v->mem < 0 ? COP_E_NOMEM : plan_reorder(p, 0, &from, p->input_mem, &v->md, v->mem);
    dn_md_free(&from);
    return s;
}

cop_status plan_lower_forward(copi_plan *p) {
    const cop_net *net = p->net;
    p->node = copi_alloc(p->ctx, (size_t)net->nodes, sizeof *p->node);
    p->values = copi_alloc(p->ctx, (size_t)net->nodes, sizeof *p->values);
    p->weights = copi_alloc(p->ctx, (size_t)net->params + 1, sizeof *p->weights);
    if (!p->node || !p->values || !p->weights) return COP_E_NOMEM;
    p->adding = &p->forward;
    p->last = net->nodes - 1;
    if (net->node[p->last].op == COPI_OP_SOFTMAX) p->last = net->node[p->last].src[0];
    const copi_node *out = &net->node[p->last];
    if (out->rank != 1 || p->last == 0)
        return copi_fail(p->ctx, COP_E_UNSUPPORTED, "%s: the net must end in one number per class, not [%lld,%lld,%lld]",
                         out->name, (long long)out->shape[0], (long long)out->shape[1], (long long)out->shape[2]);
    p->classes = (int)out->shape[0];
    find_fusions(p);
    cop_status s = COP_OK;
    for (int i = 0; i < net->nodes && !s; i++) {
        const copi_node *n = &net->node[i];
        if (p->node[i].fused && n->op != COPI_OP_FLATTEN) {
            adopt(p, n->src[0], i);
            continue;
        }
        switch (n->op) {
        case COPI_OP_INPUT: s = lower_input(p); break;
        case COPI_OP_CONV:
        case COPI_OP_DENSE: s = lower_linear(p, i); break;
        case COPI_OP_BATCHNORM: s = lower_norm(p, i); break;
        case COPI_OP_RELU:
        case COPI_OP_RELU6:
        case COPI_OP_LEAKY_RELU:
        case COPI_OP_DROPOUT: s = lower_elementwise(p, i); break;
        case COPI_OP_MAX_POOL:
        case COPI_OP_AVG_POOL:
        case COPI_OP_GLOBAL_POOL: s = lower_pool(p, i); break;
        case COPI_OP_FLATTEN: s = lower_flatten(p, i); break;
        case COPI_OP_ADD: s = lower_add(p, i); break;
        case COPI_OP_CONCAT: s = lower_concat(p, i); break;
        case COPI_OP_SOFTMAX:
            if (i != net->nodes - 1)
                s = copi_fail(p->ctx, COP_E_UNSUPPORTED, "%s: softmax may only be the last op", n->name);
            break;
        default:
            s = copi_fail(p->ctx, COP_E_UNSUPPORTED, "%s: the engine has no op '%s' in this place", n->name,
                          copi_op_text(n->op));
        }
    }
    if (s) return s;
    dn_md want = {0};
    s = make_md(p, &want, p->last, dnnl_f32, true, dnnl_ab);
    if (!s) s = adapt(p, p->last, value_of(p, p->last), &want, &p->logits);
    dn_md_free(&want);
    if (!s) p->slots[p->mems[p->logits].slot].persistent = true;
    return s;
}

/* ------------------------------------------------------------------------------------------- backward -- */

/* Where a consumer writes its gradient for value v in layout md: v's own place when it comes first and the layout is
 * v's, else a temporary that `contributed` adds. */
static cop_status contribution(copi_plan *p, value *v, const dn_md *md, int *target) {
    if (v->diff < 0 && (v->diff = plan_mem(p, &v->diff_md, -1, 0)) < 0) return COP_E_NOMEM;
    bool direct = !v->written && dn_md_equal(md, &v->diff_md);
    *target = direct ? v->diff : plan_mem(p, md, -1, 0);
    return *target < 0 ? COP_E_NOMEM : COP_OK;
}
static cop_status contributed(copi_plan *p, int node, value *v, const dn_md *md, int target) {
    cop_status s = COP_OK;
    if (target != v->diff) {
        int same = target;
        if (!dn_md_equal(md, &v->diff_md)) {
            same = v->written ? plan_mem(p, &v->diff_md, -1, 0) : v->diff;
            s = same < 0 ? COP_E_NOMEM : plan_reorder(p, node, md, target, &v->diff_md, same);
        }
        if (!s && v->written && !elementwise(p, "add gradient", node, run_add, &v->diff_md, v->diff, v->diff, same))
            s = COP_E_NOMEM;
    }
    v->written = true;
    return s;
}

static cop_status act_back(copi_plan *p, int act, value *v) { /* in place on v's gradient */
    copi_act f = act_of(&p->net->node[act]);
    copi_action *a = elementwise(p, "activation backward", act, run_act_backward, &v->diff_md, v->diff, v->diff, v->mem);
    if (!a) return COP_E_NOMEM;
    a->x = f.slope;
    a->y = f.high;
    return COP_OK;
}

static cop_status back_linear(copi_plan *p, int node) {
    lowered *l = &p->node[node];
    const copi_node *n = &p->net->node[node];
    value *v = value_of(p, node), *src = value_of(p, n->src[0]);
    bool conv = n->op == COPI_OP_CONV;
    cop_status s = COP_OK;
    if (l->act >= 0 && !p->node[l->act].mask_later && (s = act_back(p, l->act, v))) return s;
    int db = l->weight[COPI_BIAS] >= 0 ? p->weights[l->weight[COPI_BIAS]].mem_g : -1;
    dnnl_primitive_desc_t pd = l->backward_weights;
    l->backward_weights = NULL; /* plan_primitive takes it over */
    s = plan_primitive(p, conv ? "conv backward weights" : "dense backward weights", node, pd, false,
                       PAIRS({DNNL_ARG_SRC, l->src_mem}, {DNNL_ARG_DIFF_DST, v->diff},
                             {DNNL_ARG_DIFF_WEIGHTS, p->weights[l->weight[COPI_WEIGHT]].mem_g},
                             {DNNL_ARG_DIFF_BIAS, db}));
    if (s || !l->backward_data) return s;
    dn_md w = {0}, d = {0};
    int used, target;
    if ((s = plan_dnnl(p, dn_chosen(&w, l->backward_data, dnnl_query_weights_md), "layout", node)) ||
        (s = plan_dnnl(p, dn_chosen(&d, l->backward_data, dnnl_query_diff_src_md), "layout", node)) ||
        (s = prepared(p, node, l->weight[COPI_WEIGHT], &w, &used)) || (s = contribution(p, src, &d, &target)))
        goto out;
    pd = l->backward_data;
    l->backward_data = NULL;
    s = plan_primitive(p, conv ? "conv backward data" : "dense backward data", node, pd, false,
                       PAIRS({DNNL_ARG_DIFF_DST, v->diff}, {DNNL_ARG_WEIGHTS, used}, {DNNL_ARG_DIFF_SRC, target}));
    if (!s) s = contributed(p, node, src, &d, target);
out:
    dn_md_free(&w);
    dn_md_free(&d);
    return s;
}

static cop_status back_norm(copi_plan *p, int node) {
    lowered *l = &p->node[node];
    const copi_node *n = &p->net->node[node];
    value *v = value_of(p, node), *src = value_of(p, n->src[0]);
    unsigned flags = dnnl_use_scale | dnnl_use_shift | (l->act >= 0 ? dnnl_fuse_norm_relu : 0);
    dnnl_primitive_desc_t pd;
    dn_md d = {0};
    cop_status s = plan_dnnl(p,
                             dn_norm_backward(&pd, p->engine, &v->diff_md, &src->md, (float)n->u.batchnorm.epsilon,
                                              flags, l->forward, p->attr),
                             "batch normalization backward", node);
    if (s) return s;
    int target;
    if ((s = plan_dnnl(p, dn_chosen(&d, pd, dnnl_query_diff_src_md), "layout", node)) ||
        (s = contribution(p, src, &d, &target))) {
        dnnl_primitive_desc_destroy(pd);
        goto out;
    }
    const weight *scale = &p->weights[l->weight[COPI_SCALE]], *shift = &p->weights[l->weight[COPI_SHIFT]];
    s = plan_primitive(
        p, "batch-norm backward", node, pd, false,
        PAIRS({DNNL_ARG_SRC, src->mem}, {DNNL_ARG_MEAN, l->mean}, {DNNL_ARG_VARIANCE, l->var},
              {DNNL_ARG_DIFF_DST, v->diff}, {DNNL_ARG_SCALE, scale->gate >= 0 ? scale->mem_e : scale->mem_w},
              {DNNL_ARG_SHIFT, shift->gate >= 0 ? shift->mem_e : shift->mem_w}, {DNNL_ARG_WORKSPACE, l->workspace},
              {DNNL_ARG_DIFF_SRC, target}, {DNNL_ARG_DIFF_SCALE, scale->mem_g}, {DNNL_ARG_DIFF_SHIFT, shift->mem_g}));
    if (!s) s = contributed(p, node, src, &d, target);
out:
    dn_md_free(&d);
    return s;
}

static cop_status mask_back(copi_plan *p, int node, value *v, float scale) {
    copi_action *a = elementwise(p, "relu backward", node, run_mask_backward, &v->diff_md, v->diff, v->diff, v->mem);
    if (!a) return COP_E_NOMEM;
    a->x = scale;
    return COP_OK;
}

static cop_status back_pool(copi_plan *p, int node) {
    lowered *l = &p->node[node];
    const copi_node *n = &p->net->node[node];
    value *v = value_of(p, node), *src = value_of(p, n->src[0]);
    cop_status s = l->mask_here ? mask_back(p, node, v, 1.0f) : COP_OK;
    if (s) return s;
    dnnl_alg_kind_t alg;
    dn_window w = pool_window(p, node, &alg);
    dnnl_primitive_desc_t pd;
    if ((s = plan_dnnl(p, dn_pool_backward(&pd, p->engine, alg, &src->diff_md, &v->diff_md, &w, l->forward, p->attr),
                       "pooling backward", node)))
        return s;
    int target;
    if ((s = contribution(p, src, &src->diff_md, &target))) {
        dnnl_primitive_desc_destroy(pd);
        return s;
    }
    s = plan_primitive(p, "pool backward", node, pd, false,
                       PAIRS({DNNL_ARG_DIFF_DST, v->diff}, {DNNL_ARG_WORKSPACE, l->workspace},
                             {DNNL_ARG_DIFF_SRC, target}));
    return s ? s : contributed(p, node, src, &src->diff_md, target);
}

static cop_status back_elementwise(copi_plan *p, int node) {
    lowered *l = &p->node[node];
    const copi_node *n = &p->net->node[node];
    value *v = value_of(p, node), *src = value_of(p, n->src[0]);
    bool drop = is_dropout(n->op);
    float scale = drop ? (float)(1.0 / (1.0 - n->u.dropout.share)) : 1.0f;
    if (!drop && l->mask_later && l->in_place) return COP_OK; /* done behind */
    int target = v->diff;
    cop_status s = l->in_place ? COP_OK : contribution(p, src, &src->diff_md, &target);
    if (s) return s;
    copi_action *a;
    if (drop && !l->mask_here) {
        a = elementwise(p, "dropout backward", node, run_dropout, &v->diff_md, target, v->diff, -1);
        if (a) {
            a->x = scale;
            a->threshold = (uint32_t)(n->u.dropout.share * 65536.0 + 0.5);
        }
    } else if (drop || (l->mask_later && !l->in_place)) {
        a = elementwise(p, "relu backward", node, run_mask_backward, &v->diff_md, target, v->diff, v->mem);
        if (a) a->x = drop ? scale : 1.0f;
    } else {
        copi_act f = act_of(n);
        a = elementwise(p, "activation backward", node, run_act_backward, &v->diff_md, target, v->diff, v->mem);
        if (a) {
            a->x = f.slope;
            a->y = f.high;
        }
    }
    if (!a) return COP_E_NOMEM;
    return l->in_place ? COP_OK : contributed(p, node, src, &src->diff_md, target);
}

static cop_status back_flatten(copi_plan *p, int node) {
    if (p->node[node].fused) return COP_OK;
    int from = p->net->node[node].src[0], target;
    value *v = value_of(p, node), *src = value_of(p, from);
    dn_md image = {0};
    cop_status s = make_md(p, &image, from, plan_type(p), false, dnnl_abcd);
    if (s) return s;
    int view = plan_mem(p, &image, p->mems[v->diff].slot, 0);
    plan_touch(p, view);
    if (view < 0) s = COP_E_NOMEM;
    else if (!(s = contribution(p, src, &src->diff_md, &target)) &&
             !(s = plan_reorder(p, node, &image, view, &src->diff_md, target)))
        s = contributed(p, node, src, &src->diff_md, target);
    dn_md_free(&image);
    return s;
}

static cop_status back_add(copi_plan *p, int node) {
    const copi_node *n = &p->net->node[node];
    value *v = value_of(p, node);
    cop_status s = COP_OK;
    for (int i = 0; i < n->nsrc && !s; i++) {
        value *src = value_of(p, n->src[i]);
        if (!src->needs_grad) continue;
        if (src->written && dn_md_equal(&src->diff_md, &v->diff_md)) {
            if (!elementwise(p, "add gradient", node, run_add, &v->diff_md, src->diff, src->diff, v->diff))
                s = COP_E_NOMEM;
            continue;
        }
        int target;
        if (!(s = contribution(p, src, &src->diff_md, &target)) &&
            !(s = plan_reorder(p, node, &v->diff_md, v->diff, &src->diff_md, target)))
            s = contributed(p, node, src, &src->diff_md, target);
    }
    return s;
}

static cop_status back_concat(copi_plan *p, int node) {
    const copi_node *n = &p->net->node[node];
    value *v = value_of(p, node);
    bool flat = n->rank == 1;
    int64_t offset = 0;
    cop_status s = COP_OK;
    for (int i = 0; i < n->nsrc && !s; i++) {
        const copi_node *from = &p->net->node[n->src[i]];
        value *src = value_of(p, n->src[i]);
        if (src->needs_grad) {
            dn_md part = {0};
            int target;
            if (!(s = make_md(p, &part, n->src[i], plan_type(p), flat, plain(flat))) &&
                !(s = contribution(p, src, &part, &target)) &&
                !(s = concat_part(p, node, v->diff, target, n->src[i], offset, true)))
                s = contributed(p, node, src, &part, target);
            dn_md_free(&part);
        }
        offset += from->shape[0] * from->shape[1] * from->shape[2];
    }
    return s;
}

cop_status plan_lower_backward(copi_plan *p) {
    const cop_net *net = p->net;
    p->adding = &p->backward;
    p->clock++; /* the loss */
    value *v = value_of(p, p->last);
    dn_md grad = {0};
    cop_status s = make_md(p, &grad, p->last, plan_type(p), true, dnnl_ab);
    int target;
    if (!s && !v->needs_grad)
        s = copi_fail(p->ctx, COP_E_UNSUPPORTED, "%s: the net has no parameters to train", net->node[p->last].name);
    if (!s && !(s = contribution(p, v, &grad, &target))) {
        p->dlogits = target;
        plan_touch(p, target);
        plan_touch(p, p->logits);
        s = contributed(p, p->last, v, &grad, target);
    }
    dn_md_free(&grad);
    for (int i = p->last; i > 0 && !s; i--) {
        const lowered *l = &p->node[i];
        value *own = value_of(p, i);
        if ((l->fused && net->node[i].op != COPI_OP_FLATTEN) || !own->needs_grad) continue;
        if (!own->written) continue; /* nothing that leads to the loss reads it: its gradient stays 0 */
        switch (net->node[i].op) {
        case COPI_OP_CONV:
        case COPI_OP_DENSE: s = back_linear(p, i); break;
        case COPI_OP_BATCHNORM: s = back_norm(p, i); break;
        case COPI_OP_RELU:
        case COPI_OP_RELU6:
        case COPI_OP_LEAKY_RELU:
        case COPI_OP_DROPOUT: s = back_elementwise(p, i); break;
        case COPI_OP_MAX_POOL:
        case COPI_OP_AVG_POOL:
        case COPI_OP_GLOBAL_POOL: s = back_pool(p, i); break;
        case COPI_OP_FLATTEN: s = back_flatten(p, i); break;
        case COPI_OP_ADD: s = back_add(p, i); break;
        case COPI_OP_CONCAT: s = back_concat(p, i); break;
        default: break;
        }
    }
    return s;
}
