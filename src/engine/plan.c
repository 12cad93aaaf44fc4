/* A plan's life: lower the net, lay out one arena, run the lists of actions. */
#include "engine/plan.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

const char *copi_engine_info(void) {
    static const struct { int isa; const char *name; } isa[] = {
        {dnnl_cpu_isa_sse41, "sse41"},
        {dnnl_cpu_isa_avx, "avx"},
        {dnnl_cpu_isa_avx2, "avx2"},
        {dnnl_cpu_isa_avx512_core, "avx512_core"},
        {dnnl_cpu_isa_avx512_core_vnni, "avx512_core_vnni"},
        {dnnl_cpu_isa_avx512_core_bf16, "avx512_core_bf16"},
        {dnnl_cpu_isa_avx512_core_amx, "avx512_core_amx"},
    };
    static char text[96];
    const char *name = "other";
    for (size_t i = 0; i < COPI_COUNT(isa); i++)
        if (isa[i].isa == (int)dnnl_get_effective_cpu_isa()) name = isa[i].name;
    const dnnl_version_t *v = dnnl_version();
    snprintf(text, sizeof text, "oneDNN %d.%d.%d, %s", v->major, v->minor, v->patch, name);
    return text;
}

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
        return copi_fail(p->ctx, COP_E_UNSUPPORTED, "%s: oneDNN has no %s for these shapes (%s)", name, what,
                         p->bf16 ? "bf16; --precision f32 may work" : "f32");
    return copi_fail(p->ctx, COP_E_INTERNAL, "%s: oneDNN's %s failed with status %d", name, what, (int)s);
}

dnnl_data_type_t plan_type(const copi_plan *p) { return p->bf16 ? dnnl_bf16 : dnnl_f32; }

int64_t plan_elements(const dn_md *md, bool bf16) { return (int64_t)(dn_md_bytes(md) / (bf16 ? 2 : 4)); }

/* The part-th of parts nearly equal ranges of n, cut at multiples of unit. */
void plan_split(int64_t n, int64_t unit, int part, int parts, int64_t *begin, int64_t *end) {
    int64_t units = (n + unit - 1) / unit;
    *begin = units * part / parts * unit;
    *end = units * (part + 1) / parts * unit;
    if (*begin > n) *begin = n;
    if (*end > n) *end = n;
}

void plan_threads(const copi_plan *p) { omp_set_num_threads(copi_threads(p->ctx)); }

/* Room for one more in a growing table. */
static bool room(copi_plan *p, void *table, int count, int *cap, size_t size) {
    if (count < *cap) return true;
    void *old;
    memcpy(&old, table, sizeof old);
    int wanted = *cap ? *cap * 2 : 32;
    void *grown = copi_grow(p->ctx, old, (size_t)*cap, (size_t)wanted, size);
    if (!grown) return false;
    memcpy(table, &grown, sizeof grown);
    *cap = wanted;
    return true;
}

int plan_slot(copi_plan *p, size_t bytes, bool persistent) {
    if (!room(p, &p->slots, p->slot_count, &p->slot_cap, sizeof *p->slots)) return -1;
    p->slots[p->slot_count] = (slot){.bytes = bytes, .first = p->clock, .last = p->clock, .persistent = persistent};
    return p->slot_count++;
}

int plan_mem(copi_plan *p, const dn_md *md, int slot_number, size_t offset) {
    size_t bytes = dn_md_bytes(md);
    if (slot_number < 0) slot_number = plan_slot(p, bytes, false);
    if (slot_number < 0 || !room(p, &p->mems, p->mem_count, &p->mem_cap, sizeof *p->mems)) return -1;
    mem *m = &p->mems[p->mem_count];
    *m = (mem){.slot = slot_number, .offset = offset, .bytes = bytes};
    if (plan_dnnl(p, dnnl_memory_create(&m->memory, dn_view(md), p->engine, DNNL_MEMORY_NONE), "memory", -1)) return -1;
    return p->mem_count++;
}

void plan_touch(copi_plan *p, int number) {
    if (number < 0) return;
    slot *s = &p->slots[p->mems[number].slot];
    if (p->clock < s->first) s->first = p->clock;
    if (p->clock > s->last) s->last = p->clock;
}

copi_action *plan_action(copi_plan *p, const char *what, int node, void (*run)(copi_plan *, const copi_action *)) {
    actions *list = p->adding;
    if (!room(p, &list->item, list->count, &list->cap, sizeof *list->item)) return NULL;
    p->clock++;
    copi_action *a = &list->item[list->count++];
    *a = (copi_action){.what = what, .node = node, .run = run, .mem = {-1, -1, -1, -1}, .weight = {-1, -1, -1, -1}};
    return a;
}

cop_status plan_primitive(copi_plan *p, const char *what, int node, dnnl_primitive_desc_t pd, bool keep_pd, int pairs,
                          const int (*pair)[2]) {
    dnnl_primitive_t primitive = NULL;
    cop_status s = plan_dnnl(p, dnnl_primitive_create(&primitive, pd), what, node);
    dn_md scratch = {0};
    if (!s) s = plan_dnnl(p, dn_chosen(&scratch, pd, dnnl_query_scratchpad_md), what, node);
    if (!keep_pd) dnnl_primitive_desc_destroy(pd);
    if (s) goto out;
    if (!room(p, &p->primitives, p->primitive_count, &p->primitive_cap, sizeof *p->primitives)) {
        dnnl_primitive_destroy(primitive);
        s = COP_E_NOMEM;
        goto out;
    }
    p->primitives[p->primitive_count++] = primitive;
    copi_action *a = plan_action(p, what, node, NULL);
    if (!a) {
        s = COP_E_NOMEM;
        goto out;
    }
    a->primitive = primitive;
    for (int i = 0; i < pairs; i++) {
        if (pair[i][1] < 0) continue;
        plan_touch(p, pair[i][1]);
        a->arg[a->args++] = (dnnl_exec_arg_t){pair[i][0], p->mems[pair[i][1]].memory};
    }
    size_t bytes = dn_md_bytes(&scratch);
    if (bytes) {
        int m = plan_mem(p, &scratch, SLOT_SCRATCH, 0);
        if (m < 0) {
            s = COP_E_NOMEM;
            goto out;
        }
        if (bytes > p->slots[SLOT_SCRATCH].bytes) p->slots[SLOT_SCRATCH].bytes = bytes;
        a->arg[a->args++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, p->mems[m].memory};
    }
out:
    dn_md_free(&scratch);
    return s;
}

cop_status plan_reorder(copi_plan *p, int node, const dn_md *from, int src, const dn_md *to, int dst) {
    dnnl_primitive_desc_t pd;
    cop_status s = plan_dnnl(p, dn_reorder(&pd, p->engine, from, to, p->attr), "reorder", node);
    if (s) return s;
    return plan_primitive(p, "reorder", node, pd, false, 2, (const int[2][2]){{DNNL_ARG_FROM, src}, {DNNL_ARG_TO, dst}});
}

/* Place slots: persistent ones first, then by falling size at the lowest offset where no slot alive at the same time
 * lies in the way. */
static cop_status lay_out(copi_plan *p) {
    int n = p->slot_count, placed = 0;
    int *order = copi_alloc(p->ctx, (size_t)n, sizeof *order);
    if (!order) return COP_E_NOMEM;
    for (int i = 0; i < n; i++) {
        int j = i;
        const slot *s = &p->slots[i];
        for (; j > 0; j--) {
            const slot *o = &p->slots[order[j - 1]];
            if (o->persistent > s->persistent || (o->persistent == s->persistent && o->bytes >= s->bytes)) break;
            order[j] = order[j - 1];
        }
        order[j] = i;
    }
    size_t total = 0;
    for (int i = 0; i < n; i++) {
        slot *s = &p->slots[order[i]];
        size_t at = 0;
        for (bool moved = true; moved;) {
            moved = false;
            for (int j = 0; j < placed; j++) {
                const slot *o = &p->slots[order[j]];
                bool together = s->persistent || o->persistent || (s->first <= o->last && o->first <= s->last);
                if (together && at < o->offset + o->bytes && o->offset < at + s->bytes) {
                    at = (o->offset + o->bytes + COPI_ALIGN - 1) / COPI_ALIGN * COPI_ALIGN;
                    moved = true;
                }
            }
        }
        s->offset = at;
        placed++;
        if (at + s->bytes > total) total = at + s->bytes;
    }
    copi_free(p->ctx, order);
    p->arena_bytes = total;
    p->arena = copi_alloc(p->ctx, total + COPI_ALIGN, 1);
    return p->arena ? COP_OK : COP_E_NOMEM;
}

static cop_status connect(copi_plan *p) {
    for (int i = 0; i < p->mem_count; i++) {
        mem *m = &p->mems[i];
        m->data = p->arena + p->slots[m->slot].offset + m->offset;
        cop_status s = plan_dnnl(p, dnnl_memory_set_data_handle(m->memory, m->data), "memory", -1);
        if (s) return s;
    }
    actions *list[] = {&p->prepare, &p->forward, &p->backward, &p->statistics};
    for (size_t l = 0; l < COPI_COUNT(list); l++)
        for (int i = 0; i < list[l]->count; i++)
            for (int k = 0; k < 4; k++) {
                copi_action *a = &list[l]->item[i];
                if (a->mem[k] >= 0) a->ptr[k] = p->mems[a->mem[k]].data;
            }
    float **arena[] = {&p->w, &p->g, &p->s0, &p->s1, &p->k, &p->e};
    for (int i = 0; i < 6; i++) *arena[i] = (float *)(p->arena + p->slots[SLOT_W + i].offset);
    return COP_OK;
}

static cop_status run_list(copi_plan *p, const actions *list) {
    for (int i = 0; i < list->count; i++) {
        const copi_action *a = &list->item[i];
        if (a->primitive) {
            dnnl_status_t s = dnnl_primitive_execute(a->primitive, p->stream, a->args, a->arg);
            if (s != dnnl_success) return plan_dnnl(p, s, a->what, a->node);
        } else {
            a->run(p, a);
        }
    }
    return COP_OK;
}

cop_status copi_plan_create(cop_ctx *ctx, const cop_net *net, const copi_plan_options *options, copi_plan **plan) {
    *plan = NULL;
    if (options->batch < 1) return copi_fail(ctx, COP_E_ARG, "batch is %lld; at least 1", (long long)options->batch);
    copi_plan *p = copi_alloc(ctx, 1, sizeof *p);
    if (!p) return COP_E_NOMEM;
    p->ctx = ctx;
    p->options = *options;
    p->kernels = copi_kernels_get();
    p->stale = true;
    plan_threads(p);
    cop_status s = cop_net_clone(net, &p->net);
    if (s) goto fail;
    if (options->precision == COP_PRECISION_BF16 && !has_bf16()) {
        s = copi_fail(ctx, COP_E_UNSUPPORTED, "precision bf16: this processor has no bf16 instructions (%s); use f32",
                      copi_engine_info());
        goto fail;
    }
    p->bf16 = options->precision == COP_PRECISION_BF16 || (options->precision == COP_PRECISION_AUTO && has_bf16());
    if ((s = plan_dnnl(p, dnnl_engine_create(&p->engine, dnnl_cpu, 0), "engine", -1)) ||
        (s = plan_dnnl(p, dnnl_stream_create(&p->stream, p->engine, dnnl_stream_default_flags), "stream", -1)) ||
        (s = plan_dnnl(p, dnnl_primitive_attr_create(&p->attr), "attributes", -1)) ||
        (s = plan_dnnl(p, dnnl_primitive_attr_set_scratchpad_mode(p->attr, dnnl_scratchpad_mode_user), "attributes",
                       -1)))
        goto fail;
    for (int i = 0; i < SLOTS_FIXED; i++)
        if (plan_slot(p, 0, true) < 0) {
            s = COP_E_NOMEM;
            goto fail;
        }
    const copi_node *in = &p->net->node[0];
    p->image = in->shape[0] * in->shape[1] * in->shape[2];
    int64_t longest = 1;
    for (int i = 0; i < net->params; i++)
        if (net->param[i].count > longest) longest = net->param[i].count;
    p->scratch_plain = copi_alloc(ctx, (size_t)longest, sizeof(float));
    size_t pixels;
    if (!copi_mul((size_t)options->batch, (size_t)p->image, &pixels) || !p->scratch_plain ||
        !(p->staging = copi_alloc(ctx, pixels, sizeof(float)))) {
        s = COP_E_NOMEM;
        goto fail;
    }
    if ((s = plan_lower_forward(p)) || (s = (p->loss_row = copi_alloc(ctx, (size_t)p->classes * 3, sizeof(double)))
                                                ? COP_OK : COP_E_NOMEM) || (options->training && (s = plan_lower_backward(p)))) goto fail;
    for (int i = SLOT_W; i <= SLOT_E; i++) p->slots[i].bytes = (size_t)p->floats * sizeof(float);
    if ((s = lay_out(p)) || (s = connect(p)) || (s = plan_weights_finish(p)) || (s = copi_plan_push(p, net))) goto fail;
    *plan = p;
    return COP_OK;
fail:
    copi_plan_destroy(p);
    return s;
}

void copi_plan_destroy(copi_plan *p) {
    if (!p) return;
    for (int i = 0; i < p->primitive_count; i++) dnnl_primitive_destroy(p->primitives[i]);
    for (int i = 0; i < p->mem_count; i++)
        if (p->mems[i].memory) dnnl_memory_destroy(p->mems[i].memory);
    for (int i = 0; i < p->value_count; i++) {
        dn_md_free(&p->values[i].md);
        dn_md_free(&p->values[i].diff_md);
    }
    if (p->node)
        for (int i = 0; i < p->net->nodes; i++) {
            lowered *l = &p->node[i];
            dnnl_primitive_desc_t pd[] = {l->forward, l->backward_data, l->backward_weights};
            for (int k = 0; k < 3; k++)
                if (pd[k]) dnnl_primitive_desc_destroy(pd[k]);
            if (l->used_in) dnnl_primitive_destroy(l->used_in);
            dn_md_free(&l->used_plain);
            dn_md_free(&l->src_md);
        }
    plan_weights_free(p);
    actions *list[] = {&p->prepare, &p->forward, &p->backward, &p->statistics};
    for (size_t l = 0; l < COPI_COUNT(list); l++) copi_free(p->ctx, list[l]->item);
    if (p->attr) dnnl_primitive_attr_destroy(p->attr);
    if (p->stream) dnnl_stream_destroy(p->stream);
    if (p->engine) dnnl_engine_destroy(p->engine);
    void *block[] = {p->slots, p->mems, p->values, p->node, p->primitives, p->arena, p->chunk, p->staging,
                     p->gate_sum, p->scratch_plain, p->loss_row};
    for (size_t i = 0; i < COPI_COUNT(block); i++) copi_free(p->ctx, block[i]);
    cop_net_destroy(p->net);
    copi_free(p->ctx, p);
}

/* The images go in where the caller has them; fewer than a batch are copied and the rest is 0. */
static cop_status feed(copi_plan *p, const float *x, int64_t n) {
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
        return copi_fail(p->ctx, COP_E_ARG, "forward: %lld images for a %s plan of batch %lld", (long long)n,
                         p->options.training ? "training" : "inference", (long long)p->options.batch);
    plan_threads(p);
    cop_status s = feed(p, x, n);
    if (s || (s = run_list(p, &p->forward))) return s;
    const float *z = p->mems[p->logits].data;
    size_t bytes = (size_t)(n * p->classes) * sizeof *z;
    if (logits) memcpy(logits, z, bytes);
    if (p->net->node[p->net->nodes - 1].op == COPI_OP_SOFTMAX)
        plan_softmax(z, n, p->classes, y);
    else
        memcpy(y, z, bytes);
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
    plan_threads(p);
    cop_status s = feed(p, step->x, p->options.batch);
    uint32_t random[4];
    copi_philox(p->options.seed, COPI_STREAM_DROPOUT, (uint64_t)p->steps, random);
    p->step_key = (uint64_t)random[0] << 32 | random[1];
    if (s || (p->stale && (s = run_list(p, &p->prepare)))) return s;
    p->stale = false;
    if ((s = run_list(p, &p->forward))) return s;
    plan_loss(p, step, loss, correct);
    if (!isfinite(*loss)) return copi_fail(p->ctx, COP_E_DIVERGED, "loss is %g at step %lld", *loss, (long long)p->steps);
    if ((s = run_list(p, &p->backward))) return s;
    plan_gate_gradients(p);
    if (step->gradient_only) return COP_OK;
    p->steps++;
    if ((s = run_list(p, &p->statistics))) return s;
    plan_update(p, step->rate);
    if (step->gate_rate > 0) plan_gates_step(p, step->gate_rate);
    p->stale = true;
    return COP_OK;
}

void copi_plan_set_optimizer(copi_plan *p, const copi_optimizer *optimizer) { p->optimizer = *optimizer; }
void copi_plan_set_gates(copi_plan *p, const copi_gate_rule *rule) { p->gates = *rule; }
int64_t copi_plan_steps(const copi_plan *p) { return p->steps; }
void copi_plan_set_steps(copi_plan *p, int64_t steps) { p->steps = steps; }
cop_precision copi_plan_precision(const copi_plan *p) { return p->bf16 ? COP_PRECISION_BF16 : COP_PRECISION_F32; }

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

cop_status copi_plan_time(copi_plan *p, int runs, double *primitives, double *own) {
    double sum[2] = {0, 0};
    double *t = copi_alloc(p->ctx, (size_t)runs, sizeof *t);
    if (!t) return COP_E_NOMEM;
    plan_threads(p);
    cop_status s = feed(p, p->staging, p->options.batch);
    actions *list[] = {&p->prepare, &p->forward, &p->backward, &p->statistics};
    for (size_t l = 0; l < COPI_COUNT(list) && !s; l++) {
        for (int i = 0; i < list[l]->count && !s; i++) {
            const actions one = {.item = &list[l]->item[i], .count = 1};
            for (int r = -1; r < runs && !s; r++) { /* the first one warms up */
                double start = copi_now();
                s = run_list(p, &one);
                if (r >= 0) t[r] = copi_now() - start;
            }
            qsort(t, (size_t)runs, sizeof *t, by_value);
            sum[one.item->primitive ? 0 : 1] += t[runs / 2];
            copi_log(p->ctx, COP_LOG_DEBUG, "%-10s %-24s %9.1f us%s", one.item->node < 0 ? "" :
                     p->net->node[one.item->node].name, one.item->what, t[runs / 2] * 1e6,
                     one.item->primitive ? "" : "  (own)");
        }
    }
    copi_free(p->ctx, t);
    if (primitives) *primitives = sum[0];
    if (own) *own = sum[1];
    return s;
}
