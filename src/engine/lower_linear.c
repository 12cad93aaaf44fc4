/* Convolution and dense, with what fuse.c fused into them: batch-norm and gate (folded into weights and bias) and an
 * activation. A dense layer behind a fused flatten reads [C,H,W] directly, with its kernel as [O,C,H,W]: the same
 * numbers in the same order. */
#include "engine/lowering.h"
#include "engine/weights.h"

#include <math.h>
#include <string.h>

typedef bool names(const char *implementation);

typedef struct linear {
    bool conv;
    bool winograd;                                     /* worth trying */
    names *wrong_forward, *wrong_weights, *wrong_data; /* oneDNN's implementations that are wrong here; NULL: none */
    dnnl_format_tag_t image; /* layout of source and destination; any: the primitive chooses */
    dn_window window;
    int rank; /* of the kernel as oneDNN sees it: [O,I], [O,I,KH,KW] or [G,O,I,KH,KW] */
    int64_t dims[DN_DIMS];
    const dn_md *bias; /* NULL: none */
} linear;

/* Do the channels of a group fill whole blocks? */
static bool fills_blocks(const copi_node *n, const copi_param *w) {
    int64_t groups = n->u.conv.groups, out = w->shape[0] / groups;
    if (groups > 1 && out == 1 && w->shape[1] == 1) return groups % PLAN_BLOCK == 0;
    return out % PLAN_BLOCK == 0 && w->shape[1] % PLAN_BLOCK == 0;
}

/* Where channels fill whole blocks, the blocked layouts that oneDNN chooses are the fastest. Elsewhere, as in shrunk
 * nets, it chooses layouts for forward in which backward has only reference loops, a thousand times slower. Channels
 * last is fast for any number of channels, in all three directions. Images of up to three channels have a kernel of
 * their own, but it has no backward by data. docs/benchmarks.md has the measurements. One exception: oneDNN 2.6's
 * backward by data of a 1x1 convolution in bf16, channels last, is wrong for odd numbers of filters at some sizes. */
static dnnl_format_tag_t image_layout(copi_plan *p, const copi_node *n, const copi_param *w) {
    bool first = plan_value_of(p, n->src[0])->node == 0 && w->shape[1] <= 3 && w->shape[0] % PLAN_BLOCK == 0;
    bool pointwise = w->shape[2] == 1 && w->shape[3] == 1, wrong = p->bf16 && pointwise && w->shape[0] % 2;
    bool blocked = fills_blocks(n, w) || (first && n->u.conv.groups == 1) || wrong;
    return blocked ? dnnl_format_tag_any : dnnl_acdb;
}

/* Winograd's F(4x4, 3x3) needs a quarter of the multiplications. It exists in f32 only, and is as exact as the plain
 * sum here (the tests hold both to the same tolerance). It pays with enough channels for the cost of the transforms,
 * enough tiles for a matrix product, and tiles that are mostly full: docs/benchmarks.md has the measurements. */
static bool winograd_pays(const copi_plan *p, const copi_node *n, const copi_param *w) {
    const cop_conv_params *c = &n->u.conv;
    bool simple = c->kernel[0] == 3 && c->kernel[1] == 3 && c->stride[0] == 1 && c->stride[1] == 1 &&
                  c->dilation[0] == 1 && c->dilation[1] == 1 && c->groups == 1;
    int64_t tiles = (n->shape[1] + 3) / 4 * ((n->shape[2] + 3) / 4);
    return !p->bf16 && simple && fills_blocks(n, w) && w->shape[0] > PLAN_BLOCK && w->shape[1] > PLAN_BLOCK &&
           tiles * p->options.batch >= 64 && n->shape[1] * n->shape[2] >= 8 * tiles;
}

static bool by_sve(const char *implementation) {
    return !strncmp(implementation, "jit_dw:sve", 10);
}
static bool by_brgemm(const char *implementation) {
    return !strncmp(implementation, "brg_conv_fwd", 12) || by_sve(implementation);
}
static bool by_generated_code(const char *implementation) {
    return !strncmp(implementation, "jit", 3) || !strncmp(implementation, "brg", 3);
}
static bool by_matrix_units(const char *implementation) {
    return !strncmp(implementation, "jit:avx512_core_amx", 19);
}

/* Shapes for which oneDNN is wrong and its next choice right; tests/engine/test_shapes.c has examples. Where a
 * horizontal stride leaves room for one column only, 3.7's forward takes the wrong columns, or reads beyond the
 * image. In bf16 the gradient by weights reads beyond images narrower than the stride, in 2.6 too. On matrix units
 * 2.6's gradient by weights is wrong for dilated rows of ragged channels. On arm64 3.7's depthwise code for SVE is
 * wrong in places. */
static void find_wrong(const copi_plan *p, const copi_node *n, const copi_node *from, linear *x) {
    const cop_conv_params *c = &n->u.conv;
    x->wrong_forward = x->wrong_weights = x->wrong_data = by_sve;
    if (n->shape[2] == 1 && c->stride[1] > 1) x->wrong_forward = by_brgemm;
    if (p->bf16 && c->dilation[0] > 1) x->wrong_weights = by_matrix_units;
    if (p->bf16 && from->shape[2] < c->stride[1]) x->wrong_weights = by_generated_code;
}

static linear describe(copi_plan *p, int node) {
    const copi_node *n = &p->net->node[node], *from = &p->net->node[plan_value_of(p, n->src[0])->node];
    const copi_param *w = copi_node_slot(p->net, n, COPI_WEIGHT);
    linear x = {.conv = n->op == COPI_OP_CONV, .image = dnnl_format_tag_any};
    if (x.conv) {
        bool grouped = n->u.conv.groups > 1;
        x.winograd = winograd_pays(p, n, w);
        find_wrong(p, n, from, &x);
        x.image = image_layout(p, n, w);
        x.rank = 4 + grouped;
        x.dims[0] = n->u.conv.groups;
        x.dims[grouped] = w->shape[0] / n->u.conv.groups;
        memcpy(x.dims + 1 + grouped, w->shape + 1, 3 * sizeof *x.dims);
        for (int k = 0; k < 2; k++) {
            x.window.stride[k] = n->u.conv.stride[k];
            x.window.dilation[k] = n->u.conv.dilation[k] - 1;
            x.window.pad_l[k] = n->u.conv.pad[k];
            x.window.pad_r[k] = n->u.conv.pad[k + 2];
        }
    } else {
        x.rank = from->rank + 1;
        x.dims[0] = w->shape[0];
        memcpy(x.dims + 1, from->shape, sizeof from->shape);
    }
    if (n->param[COPI_BIAS] >= 0 || p->node[node].norm >= 0) /* a folded batch-norm brings one */
        x.bias = plan_md(p, 1, &n->shape[0], dnnl_f32, dnnl_a);
    return x;
}

/* The primitive chooses the layout. */
static const dn_md *any_kernel(copi_plan *p, const linear *x, dnnl_data_type_t type) {
    return plan_md(p, x->rank, x->dims, type, dnnl_format_tag_any);
}
static const dn_md *logical_kernel(copi_plan *p, const linear *x) {
    static const dnnl_format_tag_t tag[] = {[2] = dnnl_ab, [4] = dnnl_abcd, [5] = dnnl_abcde};
    return plan_md(p, x->rank, x->dims, dnnl_f32, tag[x->rank]);
}
static const dn_md *source(copi_plan *p, int node, const linear *x) {
    int from = plan_value_of(p, p->net->node[node].src[0])->node;
    return plan_node_md(p, from, plan_type(p), p->net->node[from].rank == 1, x->image);
}

/* The primitive's attributes with the fused activation. */
static dnnl_primitive_attr_t fused_attr(copi_plan *p, int act) {
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    plan_check(p, dnnl_primitive_attr_clone(&attr, p->attr), "attributes", -1);
    if (act < 0 || p->status) return attr;
    copi_act f = plan_act(p, act);
    dnnl_status_t s = dnnl_post_ops_create(&ops);
    if (s == dnnl_success)
        s = isfinite(f.high) ? dn_post_activation(ops, dnnl_eltwise_clip, 0, f.high)
                             : dn_post_activation(ops, dnnl_eltwise_relu, f.slope, 0);
    if (s == dnnl_success) s = dnnl_primitive_attr_set_post_ops(attr, ops);
    if (ops) dnnl_post_ops_destroy(ops);
    plan_check(p, s, "fused activation", act);
    return attr;
}

static const char *name_of(const linear *x) {
    return x->conv ? "convolution" : "inner product";
}

/* Makes one of the three kinds of primitive descriptor below, by an algorithm. */
typedef struct request {
    copi_plan *p;
    const linear *x;
    const dn_md *src, *w, *dst; /* or their gradients */
    dnnl_prop_kind_t prop;
    dnnl_primitive_desc_t hint;
    dnnl_primitive_attr_t attr;
} request;

static dnnl_status_t create(const request *r, dnnl_alg_kind_t alg, dnnl_primitive_desc_t *pd) {
    const linear *x = r->x;
    dnnl_engine_t e = r->p->engine;
    switch (r->prop) {
    case dnnl_backward_data:
        return x->conv ? dn_conv_backward_data(pd, e, alg, r->src, r->w, r->dst, &x->window, r->hint, r->attr)
                       : dn_dense_backward_data(pd, e, r->src, r->w, r->dst, r->hint, r->attr);
    case dnnl_backward_weights:
        return x->conv
                   ? dn_conv_backward_weights(pd, e, alg, r->src, r->w, x->bias, r->dst, &x->window, r->hint, r->attr)
                   : dn_dense_backward_weights(pd, e, r->src, r->w, x->bias, r->dst, r->hint, r->attr);
    default:
        return x->conv ? dn_conv_forward(pd, e, r->prop, alg, r->src, r->w, x->bias, r->dst, &x->window, r->attr)
                       : dn_dense_forward(pd, e, r->prop, r->src, r->w, x->bias, r->dst, r->attr);
    }
}

static dnnl_status_t make(const request *r, dnnl_primitive_desc_t *pd) {
    const linear *x = r->x;
    names *wrong = r->prop == dnnl_backward_weights ? x->wrong_weights
                   : r->prop == dnnl_backward_data  ? x->wrong_data
                                                    : x->wrong_forward;
    dnnl_status_t s = dnnl_unimplemented;
    if (x->winograd) s = create(r, dnnl_convolution_winograd, pd);
    if (s == dnnl_unimplemented) s = create(r, dnnl_convolution_direct, pd);
    return s == dnnl_success && wrong ? dn_skip(pd, r->p->engine, r->hint, wrong) : s;
}

static dnnl_primitive_desc_t keep(const request *r, int node) {
    if (r->p->status) return NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t s = make(r, &pd);
    return plan_pd(r->p, s, pd, name_of(r->x), node);
}

static dnnl_primitive_desc_t forward_pd(copi_plan *p, int node, const linear *x, const dn_md *dst) {
    request r = {.p = p,
                 .x = x,
                 .src = source(p, node, x),
                 .w = any_kernel(p, x, plan_type(p)),
                 .dst = dst,
                 .prop = p->options.training ? dnnl_forward_training : dnnl_forward_inference,
                 .attr = fused_attr(p, p->node[node].act)};
    dnnl_primitive_desc_t pd = keep(&r, node);
    if (r.attr) dnnl_primitive_attr_destroy(r.attr);
    return pd;
}

/* Does oneDNN have only reference loops for this? */
static bool reference_only(const request *r) {
    dnnl_primitive_desc_t pd = NULL;
    if (r->p->status || make(r, &pd) != dnnl_success) return false;
    bool reference = dn_reference(pd);
    dnnl_primitive_desc_destroy(pd);
    return reference;
}

/* The layout of the gradient is also that of the master weights, so the optimizer works on what backward writes.
 * Without AVX-512, oneDNN has only reference loops for images of one or two channels in the layouts that forward
 * prefers. Then it may choose the images' layout here, or both layouts, and back_linear makes copies. */
static dnnl_primitive_desc_t weights_pd(copi_plan *p, int node, const linear *x, const dn_md *src,
                                        const dn_md *diff_dst) {
    int from = plan_value_of(p, p->net->node[node].src[0])->node;
    request r = {.p = p,
                 .x = x,
                 .src = src,
                 .w = any_kernel(p, x, dnnl_f32),
                 .dst = diff_dst,
                 .prop = dnnl_backward_weights,
                 .hint = p->node[node].forward,
                 .attr = p->attr};
    bool free = x->conv && !p->bf16; /* in bf16 the plan notes the reference loops, and AUTO takes f32 */
    if (free && reference_only(&r)) r.src = plan_node_md(p, from, plan_type(p), false, dnnl_format_tag_any);
    if (free && reference_only(&r)) r.dst = plan_node_md(p, node, plan_type(p), false, dnnl_format_tag_any);
    return keep(&r, node);
}

static dnnl_primitive_desc_t data_pd(copi_plan *p, int node, const linear *x, const dn_md *diff_dst) {
    request r = {.p = p,
                 .x = x,
                 .src = source(p, node, x),
                 .w = any_kernel(p, x, plan_type(p)),
                 .dst = diff_dst,
                 .prop = dnnl_backward_data,
                 .hint = p->node[node].forward,
                 .attr = p->attr};
    return keep(&r, node);
}

/* Training: master weights, their gradient, and the copy that forward reads. */
static void hold_masters(copi_plan *p, int node, const linear *x, const plan_value *dst, int *used_w, int *used_b) {
    plan_node *l = &p->node[node];
    l->backward_weights = weights_pd(p, node, x, p->mems[l->src_mem].md, dst->diff_md);
    const dn_md *master = plan_chosen(p, l->backward_weights, dnnl_query_diff_weights_md);
    int gate = plan_new_gate(p, node);
    l->weight[COPI_WEIGHT] = plan_new_weight(p, node, COPI_WEIGHT, master, logical_kernel(p, x), gate);
    *used_w = plan_prepared(p, node, l->weight[COPI_WEIGHT], plan_chosen(p, l->forward, dnnl_query_weights_md));
    if (!x->bias) return;
    l->weight[COPI_BIAS] = plan_new_weight(p, node, COPI_BIAS, NULL, NULL, gate);
    if (!p->status) *used_b = p->weights[l->weight[COPI_BIAS]].mem_used;
}

/* Inference: weights with batch-norm and gate folded in, filled by copi_plan_push. */
static void hold_folded(copi_plan *p, int node, const linear *x, int *used_w, int *used_b) {
    plan_node *l = &p->node[node];
    const dn_md *used = plan_chosen(p, l->forward, dnnl_query_weights_md);
    l->used_plain = logical_kernel(p, x);
    if (p->status) return;
    *used_w = l->used_w = plan_new_mem_at(p, used, plan_new_slot(p, dn_md_bytes(used), true), 0);
    if (x->bias) *used_b = l->used_b = plan_new_mem_at(p, x->bias, plan_new_slot(p, dn_md_bytes(x->bias), true), 0);
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t s = dn_reorder(&pd, p->engine, l->used_plain, used, NULL);
    l->used_in = plan_create(p, plan_pd(p, s, pd, "reorder", node), "reorder", node);
}

static void lower_linear(copi_plan *p, int node) {
    plan_node *l = &p->node[node];
    linear x = describe(p, node);
    bool exact = node == p->last && !x.conv && l->act < 0 && node >= p->net->nodes - 2; /* logits are f32 */
    const dn_md *any =
        exact ? plan_plain_md(p, node, dnnl_f32, true) : plan_node_md(p, node, plan_type(p), !x.conv, x.image);
    l->forward = forward_pd(p, node, &x, any);
    const dn_md *src = plan_chosen(p, l->forward, dnnl_query_src_md);
    l->src_mem = plan_adapt(p, node, p->net->node[node].src[0], src);
    plan_value *dst = plan_new_value(p, node, plan_chosen(p, l->forward, dnnl_query_dst_md), true);
    if (!dst) return;
    if (exact) dst->diff_md = plan_plain_md(p, node, plan_type(p), true);
    dst->kept = p->options.training && l->act >= 0 && !p->node[l->act].mask_later;
    int used_w = -1, used_b = -1;
    if (p->options.training)
        hold_masters(p, node, &x, dst, &used_w, &used_b);
    else
        hold_folded(p, node, &x, &used_w, &used_b);
    plan_primitive(p, x.conv ? "conv forward" : "dense forward", node, l->forward,
                   PAIRS({DNNL_ARG_SRC, l->src_mem}, {DNNL_ARG_WEIGHTS, used_w}, {DNNL_ARG_BIAS, used_b},
                         {DNNL_ARG_DST, dst->mem}));
}

static void back_linear(copi_plan *p, int node) {
    const plan_node *l = &p->node[node];
    linear x = describe(p, node);
    plan_value *v = plan_value_of(p, node), *src = plan_value_of(p, p->net->node[node].src[0]);
    if (l->act >= 0 && !p->node[l->act].mask_later) plan_act_back(p, l->act, v->diff, v->diff, v->mem);
    int from = plan_in_layout(p, node, l->src_mem, plan_chosen(p, l->backward_weights, dnnl_query_src_md));
    int dy = plan_in_layout(p, node, v->diff, plan_chosen(p, l->backward_weights, dnnl_query_diff_dst_md));
    const plan_weight *w = &p->weights[l->weight[COPI_WEIGHT]];
    int db = l->weight[COPI_BIAS] >= 0 ? p->weights[l->weight[COPI_BIAS]].mem_g : -1;
    plan_primitive(p, x.conv ? "conv backward weights" : "dense backward weights", node, l->backward_weights,
                   PAIRS({DNNL_ARG_SRC, from}, {DNNL_ARG_DIFF_DST, dy}, {DNNL_ARG_DIFF_WEIGHTS, w->mem_g},
                         {DNNL_ARG_DIFF_BIAS, db}));
    if (!src->needs_grad) return;
    dnnl_primitive_desc_t pd = data_pd(p, node, &x, v->diff_md);
    int used = plan_prepared(p, node, l->weight[COPI_WEIGHT], plan_chosen(p, pd, dnnl_query_weights_md));
    int target = plan_contribution(p, src, plan_chosen(p, pd, dnnl_query_diff_src_md));
    plan_primitive(p, x.conv ? "conv backward data" : "dense backward data", node, pd,
                   PAIRS({DNNL_ARG_DIFF_DST, v->diff}, {DNNL_ARG_WEIGHTS, used}, {DNNL_ARG_DIFF_SRC, target}));
    plan_contributed(p, node, src, target);
}

const copi_lowering copi_lower_conv = {lower_linear, back_linear};
const copi_lowering copi_lower_dense = {lower_linear, back_linear};
