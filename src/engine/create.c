/* A plan's life: lower the net, lay out one arena, free it all. */
#include "engine/lowering.h"
#include "engine/run.h"
#include "engine/weights.h"

static cop_status start(copi_plan *p, const cop_net *net) {
    cop_status s = cop_net_clone(net, &p->net);
    if (s) return s;
    cop_precision wanted = p->options.precision;
    if (wanted == COP_PRECISION_BF16 && !copi_engine_bf16())
        return copi_fail(p->ctx, COP_E_UNSUPPORTED,
                         "precision bf16: this processor has no bf16 instructions (%s); use f32", copi_engine_info());
    p->bf16 = wanted != COP_PRECISION_F32 && copi_engine_bf16();
    if ((s = plan_dnnl(p, dnnl_engine_create(&p->engine, dnnl_cpu, 0), "engine", -1)) ||
        (s = plan_dnnl(p, dnnl_stream_create(&p->stream, p->engine, dnnl_stream_default_flags), "stream", -1)) ||
        (s = plan_dnnl(p, dnnl_primitive_attr_create(&p->attr), "attributes", -1)) ||
        (s = plan_dnnl(p, dnnl_primitive_attr_set_scratchpad_mode(p->attr, dnnl_scratchpad_mode_user), "attributes",
                       -1)))
        return s;
    const copi_node *in = &p->net->node[0];
    p->image = in->shape[0] * in->shape[1] * in->shape[2];
    size_t pixels;
    if (!copi_mul((size_t)p->options.batch, (size_t)p->image, &pixels))
        return copi_fail(p->ctx, COP_E_NOMEM, "a batch of %lld images exceeds the address space",
                         (long long)p->options.batch);
    p->staging = copi_alloc(p->ctx, pixels, sizeof *p->staging);
    p->node = copi_alloc(p->ctx, (size_t)net->nodes, sizeof *p->node);
    p->values = copi_alloc(p->ctx, (size_t)net->nodes, sizeof *p->values);
    p->weights = copi_alloc(p->ctx, (size_t)net->params + 1, sizeof *p->weights);
    return p->staging && p->node && p->values && p->weights ? COP_OK : COP_E_NOMEM;
}

static cop_status finish(copi_plan *p) {
    for (int i = SLOT_W; i <= SLOT_S1; i++) p->slots[i].bytes = (size_t)p->floats * sizeof(float);
    p->slots[SLOT_E].bytes = p->gated ? (size_t)p->floats * sizeof(float) : 0;
    p->slots[SLOT_AVERAGE].bytes = p->options.averages ? (size_t)p->floats * sizeof(float) : 0;
    p->slots[SLOT_KEEP].bytes = (size_t)p->floats;
    if (!(p->loss_row = copi_alloc(p->ctx, (size_t)p->classes * 3, sizeof *p->loss_row))) return COP_E_NOMEM;
    cop_status s = plan_connect(p);
    if (!s) s = plan_norm_finish(p);
    return s ? s : plan_weights_finish(p);
}

static cop_status create(cop_ctx *ctx, const cop_net *net, const copi_plan_options *options, copi_plan **plan) {
    copi_plan *p = copi_alloc(ctx, 1, sizeof *p);
    if (!p) return COP_E_NOMEM;
    p->ctx = ctx;
    p->options = *options;
    p->kernels = copi_kernels_get();
    p->stale = true;
    int threads = plan_enter(p);
    p->status = start(p, net);
    for (int i = 0; i < SLOTS_FIXED; i++) plan_new_slot(p, 0, true);
    if (!p->status) plan_lower(p);
    if (!p->status) p->status = finish(p);
    if (!p->status) p->status = copi_plan_push(p, net);
    plan_leave(threads);
    cop_status s = p->status;
    if (s)
        copi_plan_destroy(p);
    else
        *plan = p;
    return s;
}

/* AUTO means the faster type. Where oneDNN has only reference code in bf16 (convs with few channels: a hundred times
 * slower), that is f32. */
cop_status copi_plan_create(cop_ctx *ctx, const cop_net *net, const copi_plan_options *options, copi_plan **plan) {
    *plan = NULL;
    if (options->batch < 1)
        return copi_fail(ctx, COP_E_RANGE, "batch is %lld; at least 1", (long long)options->batch);
    cop_status s = create(ctx, net, options, plan);
    if (s || options->precision != COP_PRECISION_AUTO || !(*plan)->bf16 || !(*plan)->reference) return s;
    copi_plan_destroy(*plan);
    *plan = NULL;
    copi_plan_options f32 = *options;
    f32.precision = COP_PRECISION_F32;
    return create(ctx, net, &f32, plan);
}

void copi_plan_destroy(copi_plan *p) {
    if (!p) return;
    for (int i = 0; i < p->primitive_count; i++) dnnl_primitive_destroy(p->primitives[i]);
    for (int i = 0; i < p->pd_count; i++) dnnl_primitive_desc_destroy(p->pds[i]);
    for (int i = 0; i < p->mem_count; i++) dnnl_memory_destroy(p->mems[i].memory);
    for (int i = 0; i < p->md_count; i++) {
        dn_md_free(p->mds[i]);
        copi_free(p->ctx, p->mds[i]);
    }
    if (p->weights) plan_weights_free(p);
    if (p->attr) dnnl_primitive_attr_destroy(p->attr);
    if (p->stream) dnnl_stream_destroy(p->stream);
    if (p->engine) dnnl_engine_destroy(p->engine);
    void *block[] = {p->slots,    p->mems,         p->mds,          p->pds,           p->primitives,
                     p->values,   p->node,         p->arena,        p->chunk,         p->staging,
                     p->gate_sum, p->loss_row,     p->norm_sum,     p->norm_strip,    p->plain,
                     p->blocked,  p->prepare.item, p->forward.item, p->backward.item, p->statistics.item};
    for (size_t i = 0; i < COPI_COUNT(block); i++) copi_free(p->ctx, block[i]);
    cop_net_destroy(p->net);
    copi_free(p->ctx, p);
}
