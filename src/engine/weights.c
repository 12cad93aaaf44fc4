/* Parameters in the engine's layout: registration, push and pull, optimizer state, gates folded into producers. */
#include "engine/weights.h"

#include "engine/build.h"
#include "engine/run.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#define CHUNK 8192 /* floats: a multiple of a cache line, small enough to divide evenly among threads */

static void run_gate_apply(copi_plan *p, const plan_action *a) {
    const plan_weight *w = &p->weights[a->weight[0]];
    const float *lambda = p->s1 + p->weights[w->gate].at; /* the look-ahead point */
    p->kernels->gate_apply(p->e + w->at, p->w + w->at, lambda, w->unit, w->n);
}

int plan_new_weight(copi_plan *p, int node, int slot_in_node, const dn_md *md, const dn_md *logical, int gate) {
    if (p->status) return -1;
    const copi_node *n = &p->net->node[node];
    const copi_param *param = copi_node_slot(p->net, n, slot_in_node);
    const dn_md *vector = md ? NULL : plan_md(p, 1, &param->count, dnnl_f32, dnnl_a);
    if (p->status) return -1;
    plan_weight *w = &p->weights[p->weight_count];
    *w = (plan_weight){.param = n->param[slot_in_node],
                       .kind = param->kind,
                       .count = param->count,
                       .md = md ? md : vector,
                       .plain = logical ? logical : vector,
                       .at = p->floats,
                       .gate = gate};
    w->n = (int64_t)(dn_md_bytes(w->md) / sizeof(float));
    w->trained = param->kind <= COPI_PARAM_SHIFT;
    w->kernel = param->kind == COPI_PARAM_WEIGHT;
    w->conv = w->kernel && n->op == COPI_OP_CONV;
    p->floats += (w->n + 15) / 16 * 16;
    size_t offset = (size_t)w->at * sizeof(float);
    w->mem_w = w->mem_used = plan_new_mem_at(p, w->md, SLOT_W, offset);
    w->mem_g = plan_new_mem_at(p, w->md, SLOT_G, offset);
    if (gate >= 0) {
        w->mem_used = plan_new_mem_at(p, w->md, SLOT_E, offset);
        plan_actions *list = plan_begin(p, &p->prepare);
        plan_action *a = plan_own(p, "gate", node, run_gate_apply);
        plan_begin(p, list);
        if (a) a->weight[0] = p->weight_count;
    }
    return p->status ? -1 : p->weight_count++;
}

int plan_new_gate(copi_plan *p, int node) {
    int gate = p->node[node].gate;
    if (gate < 0) return -1;
    p->gated = true;
    return p->node[gate].weight[COPI_GATE] = plan_new_weight(p, gate, COPI_GATE, NULL, NULL, -1);
}

int plan_prepared(copi_plan *p, int node, int weight, const dn_md *want) {
    if (p->status) return -1;
    const plan_weight *w = &p->weights[weight];
    if (dn_md_equal(w->md, want)) return w->mem_used;
    int copy = plan_new_mem_at(p, want, plan_new_slot(p, dn_md_bytes(want), true), 0);
    plan_actions *list = plan_begin(p, &p->prepare);
    if (copy >= 0) plan_reorder(p, "weights reorder", node, w->mem_used, copy);
    plan_begin(p, list);
    return copy;
}

/* dst (layout to) = src (layout from). src is only read. */
static cop_status run_reorder(copi_plan *p, dnnl_primitive_t primitive, const dn_md *from, const float *src,
                              const dn_md *to, float *dst) {
    if (!primitive) {
        memcpy(dst, src, dn_md_bytes(to));
        return COP_OK;
    }
    dnnl_memory_t a = NULL, b = NULL;
    void *source;
    memcpy(&source, &src, sizeof source);
    dnnl_status_t d = dnnl_memory_create(&a, dn_view(from), p->engine, source);
    if (d == dnnl_success) d = dnnl_memory_create(&b, dn_view(to), p->engine, dst);
    dnnl_exec_arg_t arg[] = {{DNNL_ARG_FROM, a}, {DNNL_ARG_TO, b}};
    if (d == dnnl_success) d = dnnl_primitive_execute(primitive, p->stream, 2, arg);
    if (a) dnnl_memory_destroy(a);
    if (b) dnnl_memory_destroy(b);
    return plan_dnnl(p, d, "reorder", -1);
}
static cop_status into(copi_plan *p, const plan_weight *w, const float *plain, float *to) {
    return run_reorder(p, w->in, w->plain, plain, w->md, to);
}
static cop_status out_of(copi_plan *p, const plan_weight *w, const float *arena, float *plain) {
    return run_reorder(p, w->out, w->md, arena + w->at, w->plain, plain);
}

/* Which factor multiplies each element: reorder a tensor of unit numbers as the weights are. */
static cop_status find_units(copi_plan *p, plan_weight *w) {
    const plan_weight *gate = &p->weights[w->gate];
    int64_t units = p->net->param[w->param].shape[0], each = w->count / units;
    for (int64_t i = 0; i < w->count; i++) p->plain[i] = (float)(i / each * gate->count / units);
    w->unit = copi_alloc(p->ctx, (size_t)w->n, sizeof *w->unit);
    if (!w->unit) return COP_E_NOMEM;
    cop_status s = into(p, w, p->plain, p->blocked);
    for (int64_t i = 0; i < w->n && !s; i++) w->unit[i] = (int32_t)p->blocked[i];
    return s;
}

static dnnl_primitive_t reorder_between(copi_plan *p, const plan_weight *w, const dn_md *from, const dn_md *to) {
    dnnl_primitive_desc_t pd = NULL;
    int node = p->net->param[w->param].node;
    dnnl_status_t s = dn_reorder(&pd, p->engine, from, to, NULL);
    return plan_create(p, plan_pd(p, s, pd, "reorder", node), "reorder", node);
}

cop_status plan_weights_finish(copi_plan *p) {
    int64_t chunks = 0, longest = 1;
    for (int i = 0; i < p->net->params; i++)
        if (p->net->param[i].count > longest) longest = p->net->param[i].count;
    p->plain = copi_alloc(p->ctx, (size_t)longest, sizeof *p->plain);
    for (int i = 0; i < p->weight_count; i++) {
        plan_weight *w = &p->weights[i];
        if (w->n > longest) longest = w->n;
        if (w->kind == COPI_PARAM_GATE && w->count > p->gate_width) p->gate_width = (int)w->count;
        if (w->trained) chunks += (w->n + CHUNK - 1) / CHUNK;
    }
    p->blocked = copi_alloc(p->ctx, (size_t)longest, sizeof *p->blocked);
    p->chunk = copi_alloc(p->ctx, (size_t)chunks + 1, sizeof *p->chunk);
    p->gate_sum = copi_alloc(p->ctx, (size_t)copi_threads(p->ctx) * (size_t)p->gate_width + 1, sizeof *p->gate_sum);
    if (!p->plain || !p->blocked || !p->chunk || !p->gate_sum) return COP_E_NOMEM;
    for (int i = 0; i < p->weight_count && !p->status; i++) {
        plan_weight *w = &p->weights[i];
        if (!dn_md_equal(w->plain, w->md)) {
            w->in = reorder_between(p, w, w->plain, w->md);
            w->out = reorder_between(p, w, w->md, w->plain);
        }
        if (!p->status && w->gate >= 0) plan_fail(p, find_units(p, w));
        for (int64_t at = 0; w->trained && at < w->n; at += CHUNK) {
            p->chunk[p->chunks].weight = i;
            p->chunk[p->chunks].begin = w->at + at;
            p->chunk[p->chunks++].n = w->n - at < CHUNK ? w->n - at : CHUNK;
        }
    }
    return p->status;
}

void plan_weights_free(copi_plan *p) {
    for (int i = 0; i < p->weight_count; i++) copi_free(p->ctx, p->weights[i].unit);
    copi_free(p->ctx, p->weights);
}

/* Inference, batch-norm without a layer: y = gate (scale (x - mean) / sqrt(var + eps) + shift). */
static void push_norm(copi_plan *p, const plan_node *l, const cop_net *net, const copi_node *n,
                      const copi_param *gate) {
    const int slot[4] = {COPI_SCALE, COPI_SHIFT, COPI_MEAN, COPI_VAR},
              to[4] = {l->used_w, l->used_b, l->mean, l->var};
    for (int k = 0; k < 4; k++) {
        const float *from = copi_node_slot(net, n, slot[k])->data;
        float *data = p->mems[to[k]].data;
        for (int64_t c = 0; c < n->shape[0]; c++)
            data[c] = (k < 2 && gate ? gate->data[c * gate->count / n->shape[0]] : 1.0f) * from[c];
    }
}

/* Inference: y = gate (scale (w x + b - mean) / sqrt(var + eps) + shift) as one kernel and one bias. */
static cop_status push_linear(copi_plan *p, const plan_node *l, const cop_net *net, const copi_node *n,
                              const copi_param *gate) {
    const copi_param *w = copi_node_slot(net, n, COPI_WEIGHT), *bias = copi_node_slot(net, n, COPI_BIAS);
    const copi_node *norm = l->norm < 0 ? NULL : &net->node[l->norm];
    float *b = l->used_b < 0 ? NULL : p->mems[l->used_b].data;
    int64_t units = n->shape[0], each = w->count / units;
    for (int64_t o = 0; o < units; o++) {
        double factor = 1.0, offset = bias ? bias->data[o] : 0.0, lambda = 1.0;
        if (norm) {
            factor = copi_node_slot(net, norm, COPI_SCALE)->data[o] /
                     sqrt((double)copi_node_slot(net, norm, COPI_VAR)->data[o] + norm->u.batchnorm.epsilon);
            offset = (offset - copi_node_slot(net, norm, COPI_MEAN)->data[o]) * factor +
                     copi_node_slot(net, norm, COPI_SHIFT)->data[o];
        }
        if (gate) lambda = gate->data[o * gate->count / units];
        factor *= lambda;
        for (int64_t k = 0; k < each; k++) p->plain[o * each + k] = (float)(factor * (double)w->data[o * each + k]);
        if (b) b[o] = (float)(offset * lambda);
    }
    return run_reorder(p, l->used_in, l->used_plain, p->plain, p->mems[l->used_w].md, p->mems[l->used_w].data);
}

static cop_status push_folded(copi_plan *p, const cop_net *net) {
    cop_status s = COP_OK;
    for (int i = 0; i < net->nodes && !s; i++) {
        const plan_node *l = &p->node[i];
        const copi_node *n = &net->node[i];
        const copi_param *gate = l->gate < 0 ? NULL : copi_node_slot(net, &net->node[l->gate], COPI_GATE);
        if (l->fused) continue;
        if (n->op == COPI_OP_BATCHNORM)
            push_norm(p, l, net, n, gate);
        else if (copi_op_is(n->op, COPI_HAS_KERNEL))
            s = push_linear(p, l, net, n, gate);
    }
    return s;
}

static cop_status same_topology(copi_plan *p, const cop_net *net, const char *what) {
    if (net->params == p->net->params && net->block_count == p->net->block_count) return COP_OK;
    return copi_fail(p->ctx, COP_E_ARG, "%s: the net has %d parameters of %zu numbers, the plan's has %d of %zu",
                     what, net->params, net->block_count, p->net->params, p->net->block_count);
}

/* Copy one parameter and its mask into the arenas. */
static cop_status push_weight(copi_plan *p, plan_weight *w, const copi_param *param) {
    w->masked = false;
    if (w->kind == COPI_PARAM_GATE) { /* a push with unchanged factors keeps the look-ahead point */
        if (p->steps && !memcmp(p->w + w->at, param->data, (size_t)w->count * sizeof(float))) return COP_OK;
        memcpy(p->s1 + w->at, param->data, (size_t)w->count * sizeof(float));
    }
    if (!param->mask) return into(p, w, param->data, p->w + w->at);
    for (int64_t k = 0; k < w->count; k++) {
        w->masked |= !param->mask[k];
        p->plain[k] = param->mask[k] ? 1.0f : 0.0f;
    }
    cop_status s = into(p, w, p->plain, p->blocked);
    for (int64_t k = 0; k < w->n && !s; k++) p->keep[w->at + k] = p->blocked[k] != 0;
    for (int64_t k = 0; k < w->count; k++) p->plain[k] = param->mask[k] ? param->data[k] : 0.0f;
    return s ? s : into(p, w, p->plain, p->w + w->at);
}

cop_status copi_plan_push(copi_plan *p, const cop_net *net) {
    cop_status s = same_topology(p, net, "push");
    if (s) return s;
    int threads = plan_enter(p);
    if (!p->options.training) s = push_folded(p, net);
    for (int i = 0; i < p->weight_count && !s; i++)
        s = push_weight(p, &p->weights[i], &net->param[p->weights[i].param]);
    p->stale = true;
    plan_leave(threads);
    return s;
}

cop_status copi_plan_pull(copi_plan *p, cop_net *net) {
    if (!p->options.training)
        return copi_fail(p->ctx, COP_E_ARG, "pull: a plan for inference holds folded weights only");
    cop_status s = same_topology(p, net, "pull");
    if (s) return s;
    int threads = plan_enter(p);
    for (int i = 0; i < p->weight_count && !s; i++)
        s = out_of(p, &p->weights[i], p->w, net->param[p->weights[i].param].data);
    plan_leave(threads);
    return s;
}

cop_status copi_plan_pull_average(copi_plan *p, cop_net *net) {
    if (!p->options.averages) return copi_fail(p->ctx, COP_E_ARG, "pull: the plan keeps no averages");
    cop_status s = copi_plan_pull(p, net);
    int threads = plan_enter(p);
    for (int i = 0; i < p->weight_count && !s; i++)
        if (p->weights[i].trained) s = out_of(p, &p->weights[i], p->average, net->param[p->weights[i].param].data);
    plan_leave(threads);
    return s;
}

static plan_weight *weight_of(copi_plan *p, int param) {
    for (int i = 0; i < p->weight_count; i++)
        if (p->weights[i].param == param) return &p->weights[i];
    return NULL;
}

/* Copy a parameter's part of an arena out. */
static cop_status fetch(copi_plan *p, int param, const float *arena, float *out) {
    const plan_weight *w = weight_of(p, param);
    if (!w) return copi_fail(p->ctx, COP_E_RANGE, "the plan trains no parameter %d", param);
    int threads = plan_enter(p);
    cop_status s = out_of(p, w, arena, out);
    plan_leave(threads);
    return s;
}

cop_status copi_plan_gradient(copi_plan *p, int param, float *out) {
    return fetch(p, param, p->g, out);
}
int copi_plan_state_slots(const copi_plan *p) {
    return p->options.averages ? 3 : p->options.training ? 2 : 0;
}
static float *state_arena(const copi_plan *p, int slot) {
    return slot == 2 ? p->average : slot == 1 ? p->s1 : p->s0;
}
cop_status copi_plan_state_get(copi_plan *p, int slot, int param, float *out) {
    return fetch(p, param, state_arena(p, slot), out);
}
cop_status copi_plan_state_set(copi_plan *p, int slot, int param, const float *in) {
    const plan_weight *w = weight_of(p, param);
    if (!w) return copi_fail(p->ctx, COP_E_RANGE, "the plan trains no parameter %d", param);
    int threads = plan_enter(p);
    cop_status s = into(p, w, in, state_arena(p, slot) + w->at);
    plan_leave(threads);
    p->stale = true;
    return s;
}

/* g is d loss / d (lambda w). So d lambda[u] = the sum of g w over unit u, and d w = lambda g. */
static void gate_gradient(copi_plan *p, const plan_weight *w) {
    const plan_weight *gate = &p->weights[w->gate];
    const float *lambda = p->s1 + gate->at;
    const int threads = copi_threads(p->ctx), width = p->gate_width;
    memset(p->gate_sum, 0, (size_t)threads * (size_t)width * sizeof *p->gate_sum);
#pragma omp parallel num_threads(threads)
    {
        int part = omp_get_thread_num(), parts = omp_get_num_threads();
        double *sum = p->gate_sum + (int64_t)part * width;
        float *g = p->g + w->at;
        const float *from = p->w + w->at;
        for (int64_t k = w->n * part / parts; k < w->n * (part + 1) / parts; k++) {
            sum[w->unit[k]] += (double)g[k] * (double)from[k];
            g[k] *= lambda[w->unit[k]];
        }
    }
    for (int t = 0; t < threads; t++)
        for (int64_t u = 0; u < gate->count; u++) p->g[gate->at + u] += (float)p->gate_sum[(int64_t)t * width + u];
}

void plan_gate_gradients(copi_plan *p) {
    for (int i = 0; i < p->weight_count; i++)
        if (p->weights[i].kind == COPI_PARAM_GATE)
            memset(p->g + p->weights[i].at, 0, (size_t)p->weights[i].n * sizeof(float));
    for (int i = 0; i < p->weight_count; i++)
        if (p->weights[i].gate >= 0) gate_gradient(p, &p->weights[i]);
}
