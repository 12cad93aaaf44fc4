/* A plan's life: lower the net, lay out one arena, run the lists of actions. */
#include "engine/plan.h"

#include <math.h>
#include <omp.h>
#include <string.h>

/* oneDNN has bf16 kernels from this instruction set on; newer ones have a superset of its bits. */
static bool has_bf16(void) {
    unsigned need = (unsigned)dnnl_cpu_isa_avx512_core_bf16;
    return ((unsigned)dnnl_get_effective_cpu_isa() & need) == need;
}

cop_status plan_dnnl(copi_plan *p, dnnl_status_t s, const char *what, int node) {
    if (s == dnnl_success) return COP_OK;
    const char *name = node >= 0 ? p->net->node[node].name : "plan";
    if (s == dnnl_out_of_memory) return copi_fail(p->ctx, COP_E_NOMEM, "%s: no memory for oneDNN's %s", name, what);
    if (s == dnnl_unimplemented)
        return copi_fail(p->ctx, COP_E_UNSUPPORTED, "%s: oneDNN has no %s in %s for these shapes%s", name, what,
                         p->bf16 ? "bf16" : "f32", p->bf16 ? "; precision f32 may work" : "");
    return copi_fail(p->ctx, COP_E_INTERNAL, "%s: oneDNN's %s failed with status %d", name, what, (int)s);
}

/* The thread count is the calling thread's own setting in OpenMP; it gets its value back. */
int plan_enter(const copi_plan *p) {
    int before = omp_get_max_threads();
    omp_set_num_threads(copi_threads(p->ctx));
    return before;
}
void plan_leave(int threads) {
    omp_set_num_threads(threads);
}

cop_status plan_run(copi_plan *p, const plan_actions *list) {
    for (int i = 0; i < list->count; i++) {
        const plan_action *a = &list->item[i];
        if (!a->primitive) {
            a->run(p, a);
            continue;
        }
        dnnl_status_t s = dnnl_primitive_execute(a->primitive, p->stream, a->args, a->arg);
        if (s != dnnl_success) return plan_dnnl(p, s, a->what, a->node);
    }
    return COP_OK;
}

static cop_status start(copi_plan *p, const cop_net *net) {
    cop_status s = cop_net_clone(net, &p->net);
    if (s) return s;
    cop_precision wanted = p->options.precision;
    if (wanted == COP_PRECISION_BF16 && !has_bf16())
        return copi_fail(p->ctx, COP_E_UNSUPPORTED,
                         "precision bf16: this processor has no bf16 instructions (%s); use f32", copi_engine_info());
    p->bf16 = wanted != COP_PRECISION_F32 && has_bf16();
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
        return copi_fail(p->ctx, COP_E_NOMEM, "a batch of %lld images is more than memory can hold",
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

/* AUTO means the faster type. Where oneDNN has but reference code in bf16 (convs of few channels: a hundred times
 * slower), that is f32. */
cop_status copi_plan_create(cop_ctx *ctx, const cop_net *net, const copi_plan_options *options, copi_plan **plan) {
    *plan = NULL;
    if (options->batch < 1) return copi_fail(ctx, COP_E_ARG, "batch is %lld; at least 1", (long long)options->batch);
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

/* The images are read where the caller has them; fewer than a batch are copied and the rest is 0. */
cop_status plan_feed(copi_plan *p, const float *x, int64_t n) {
    const float *from = x;
    if (n < p->options.batch) {
        memcpy(p->staging, x, (size_t)(n * p->image) * sizeof *x);
        memset(p->staging + n * p->image, 0, (size_t)((p->options.batch - n) * p->image) * sizeof *x);
        from = p->staging;
    }
    void *handle;
    memcpy(&handle, &from, sizeof handle); /* oneDNN's handle is not const; the input is only read */
    return plan_dnnl(p, dnnl_memory_set_data_handle(p->mems[p->input_mem].memory, handle), "input", 0);
}

cop_status copi_plan_forward(copi_plan *p, const float *x, int64_t n, float *y, float *logits) {
    if (p->options.training || n < 1 || n > p->options.batch)
        return copi_fail(p->ctx, COP_E_ARG, "forward: %lld images for a plan of batch %lld made for %s", (long long)n,
                         (long long)p->options.batch, p->options.training ? "training" : "inference");
    int threads = plan_enter(p);
    cop_status s = plan_feed(p, x, n);
    if (!s) s = plan_run(p, &p->forward);
    plan_leave(threads);
    if (s) return s;
    const float *z = p->mems[p->logits].data;
    size_t bytes = (size_t)(n * p->classes) * sizeof *z;
    if (logits) memcpy(logits, z, bytes);
    if (p->net->node[p->net->nodes - 1].op == COPI_OP_SOFTMAX)
        plan_softmax(z, n, p->classes, y);
    else
        memcpy(y, z, bytes);
    return COP_OK;
}

static cop_status run_step(copi_plan *p, const copi_step *step, double *loss, int64_t *correct) {
    cop_status s = plan_feed(p, step->x, p->options.batch);
    uint32_t random[4];
    copi_philox(p->options.seed, COPI_STREAM_DROPOUT, (uint64_t)p->steps, random);
    p->step_key = (uint64_t)random[0] << 32 | random[1];
    if (s || (p->stale && (s = plan_run(p, &p->prepare)))) return s;
    p->stale = false;
    if ((s = plan_run(p, &p->forward))) return s;
    plan_loss(p, step, loss, correct);
    if (!isfinite(*loss))
        return copi_fail(p->ctx, COP_E_DIVERGED, "the loss is %s at step %lld; a smaller rate may help",
                         isnan(*loss) ? "not a number" : "infinite", (long long)p->steps);
    if ((s = plan_run(p, &p->backward))) return s;
    plan_gate_gradients(p);
    if (step->gradient_only) return COP_OK;
    p->steps++;
    if ((s = plan_run(p, &p->statistics))) return s;
    plan_update(p, step->rate);
    if (step->gate_rate > 0) plan_gates_step(p, step->gate_rate);
    p->stale = true;
    return COP_OK;
}

cop_status copi_plan_step(copi_plan *p, const copi_step *step, double *loss, int64_t *correct) {
    *loss = NAN;
    *correct = 0;
    if (!p->options.training) return copi_fail(p->ctx, COP_E_ARG, "step: the plan was made for inference");
    for (int64_t i = 0; i < p->options.batch; i++)
        if (step->label[i] < 0 || step->label[i] >= p->classes)
            return copi_fail(p->ctx, COP_E_ARG, "step: label %d of image %lld is not in [0,%d)", (int)step->label[i],
                             (long long)i, p->classes);
    int threads = plan_enter(p);
    cop_status s = run_step(p, step, loss, correct);
    plan_leave(threads);
    return s;
}

void copi_plan_set_optimizer(copi_plan *p, const copi_optimizer *optimizer) {
    p->optimizer = *optimizer;
}
void copi_plan_set_gates(copi_plan *p, const copi_gate_rule *rule) {
    p->gates = *rule;
}
int64_t copi_plan_steps(const copi_plan *p) {
    return p->steps;
}
void copi_plan_set_steps(copi_plan *p, int64_t steps) {
    p->steps = steps;
}
cop_precision copi_plan_precision(const copi_plan *p) {
    return p->bf16 ? COP_PRECISION_BF16 : COP_PRECISION_F32;
}
