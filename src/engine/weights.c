/* Parameters in the engine's layout: registration, push and pull, optimizer state, gates folded into their producer. */
#include "engine/plan.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#define CHUNK 8192 /* floats; a multiple of a cache line, small enough to share out evenly */

int plan_weight(copi_plan *p, int node, int slot_in_node, const dn_md *md, const dn_md *plain) {
    const copi_node *n = &p->net->node[node];
    const copi_param *param = copi_node_slot(p->net, n, slot_in_node);
    int number = p->weight_count;
    weight *w = &p->weights[number];
    *w = (weight){.param = n->param[slot_in_node], .kind = param->kind, .count = param->count, .at = p->floats, .gate = -1};
    p->weight_count++;
    dnnl_status_t d = md ? dn_md_copy(&w->md, dn_view(md)) : dn_md_make(&w->md, 1, &param->count, dnnl_f32, dnnl_a);
    if (d == dnnl_success)
        d = plain ? dn_md_copy(&w->plain, dn_view(plain)) : dn_md_make(&w->plain, 1, &param->count, dnnl_f32, dnnl_a);
    if (plan_dnnl(p, d, "layout", node)) return -1;
    w->n = plan_elements(&w->md, false);
    w->trained = param->kind <= COPI_PARAM_SHIFT;
    w->kernel = param->kind == COPI_PARAM_WEIGHT;
    w->conv = w->kernel && n->op == COPI_OP_CONV;
    p->floats += (w->n + 15) / 16 * 16;
    size_t offset = (size_t)w->at * sizeof(float);
    w->mem_w = plan_mem(p, &w->md, SLOT_W, offset);
    w->mem_g = plan_mem(p, &w->md, SLOT_G, offset);
    w->mem_e = plan_mem(p, &w->md, SLOT_E, offset);
    return w->mem_w < 0 || w->mem_g < 0 || w->mem_e < 0 ? -1 : number;
}

static cop_status reorder_primitive(copi_plan *p, const dn_md *from, const dn_md *to, dnnl_primitive_t *primitive) {
    dnnl_primitive_desc_t pd;
    cop_status s = plan_dnnl(p, dn_reorder(&pd, p->engine, from, to, NULL), "reorder", -1);
    if (s) return s;
    s = plan_dnnl(p, dnnl_primitive_create(primitive, pd), "reorder", -1);
    dnnl_primitive_desc_destroy(pd);
    return s;
}

/* dst (layout to) = src (layout from); the pointers are the caller's, src is only read */
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
static cop_status into(copi_plan *p, const weight *w, const float *plain, float *arena) {
    return run_reorder(p, w->in, &w->plain, plain, &w->md, arena + w->at);
}
static cop_status out_of(copi_plan *p, const weight *w, const float *arena, float *plain) {
    return run_reorder(p, w->out, &w->md, arena + w->at, &w->plain, plain);
}

/* Which factor multiplies each element: a tensor of unit numbers taken through the same reorder as the weights. */
static cop_status find_units(copi_plan *p, weight *w) {
    const weight *gate = &p->weights[w->gate];
    int64_t units = p->net->param[w->param].shape[0], each = w->count / units;
    for (int64_t i = 0; i < w->count; i++) p->scratch_plain[i] = (float)(i / each * gate->count / units);
    w->unit = copi_alloc(p->ctx, (size_t)w->n, sizeof *w->unit);
    if (!w->unit) return COP_E_NOMEM;
    cop_status s = into(p, w, p->scratch_plain, p->e);
    for (int64_t i = 0; i < w->n && !s; i++) w->unit[i] = (int32_t)p->e[w->at + i];
    return s;
}

cop_status plan_weights_finish(copi_plan *p) {
    cop_status s = COP_OK;
    int64_t chunks = 0;
    for (int i = 0; i < p->weight_count && !s; i++) {
        weight *w = &p->weights[i];
        if (!dn_md_equal(&w->plain, &w->md) && !(s = reorder_primitive(p, &w->plain, &w->md, &w->in)))
            s = reorder_primitive(p, &w->md, &w->plain, &w->out);
        if (!s && w->gate >= 0) s = find_units(p, w);
        if (w->kind == COPI_PARAM_GATE && w->count > p->gate_width) p->gate_width = (int)w->count;
        if (w->trained) chunks += (w->n + CHUNK - 1) / CHUNK;
    }
    if (s) return s;
    p->chunk = copi_alloc(p->ctx, (size_t)chunks + 1, sizeof *p->chunk);
    if (!p->chunk) return COP_E_NOMEM;
    for (int i = 0; i < p->weight_count; i++) {
        const weight *w = &p->weights[i];
        for (int64_t at = 0; w->trained && at < w->n; at += CHUNK) {
            p->chunk[p->chunks].weight = i;
            p->chunk[p->chunks].begin = w->at + at;
            p->chunk[p->chunks++].n = w->n - at < CHUNK ? w->n - at : CHUNK;
        }
    }
    if (p->gate_width &&
        !(p->gate_sum = copi_alloc(p->ctx, (size_t)copi_threads(p->ctx) * (size_t)p->gate_width, sizeof *p->gate_sum)))
        return COP_E_NOMEM;
    return COP_OK;
}

void plan_weights_free(copi_plan *p) {
    for (int i = 0; i < p->weight_count; i++) {
        weight *w = &p->weights[i];
        if (w->in) dnnl_primitive_destroy(w->in);
        if (w->out) dnnl_primitive_destroy(w->out);
        dn_md_free(&w->md);
        dn_md_free(&w->plain);
        copi_free(p->ctx, w->unit);
    }
    copi_free(p->ctx, p->weights);
}

cop_status copi_plan_push(copi_plan *p, const cop_net *net) {
    if (net->params != p->net->params || net->block_count != p->net->block_count)
        return copi_fail(p->ctx, COP_E_ARG, "push: the net has %d parameters, the plan's has %d", net->params,
                         p->net->params);
    plan_threads(p);
    if (!p->options.training) return plan_push_folded(p, net);
    cop_status s = COP_OK;
    for (int i = 0; i < p->weight_count && !s; i++) {
        weight *w = &p->weights[i];
        const copi_param *param = &net->param[w->param];
        w->masked = false;
        if (w->kind == COPI_PARAM_GATE) { /* the look-ahead point survives a push that leaves the factors alone */
            if (!memcmp(p->w + w->at, param->data, (size_t)w->count * sizeof(float)) && p->steps) continue;
            memcpy(p->s1 + w->at, param->data, (size_t)w->count * sizeof(float));
        }
        if (param->mask) {
            for (int64_t k = 0; k < w->count; k++) {
                p->scratch_plain[k] = param->mask[k] ? 1.0f : 0.0f;
                w->masked |= !param->mask[k];
            }
            if ((s = into(p, w, p->scratch_plain, p->k))) break;
            for (int64_t k = 0; k < w->count; k++) p->scratch_plain[k] = param->mask[k] ? param->data[k] : 0.0f;
        }
        s = into(p, w, w->masked ? p->scratch_plain : param->data, p->w);
    }
    p->stale = true;
    return s;
}

cop_status copi_plan_pull(copi_plan *p, cop_net *net) {
    if (!p->options.training)
        return copi_fail(p->ctx, COP_E_ARG, "pull: a plan for inference holds folded weights only");
    if (net->params != p->net->params || net->block_count != p->net->block_count)
        return copi_fail(p->ctx, COP_E_ARG, "pull: the net has %d parameters, the plan's has %d", net->params,
                         p->net->params);
    plan_threads(p);
    cop_status s = COP_OK;
    for (int i = 0; i < p->weight_count && !s; i++)
        s = out_of(p, &p->weights[i], p->w, net->param[p->weights[i].param].data);
    return s;
}

static weight *weight_of(copi_plan *p, int param) {
    for (int i = 0; i < p->weight_count; i++)
        if (p->weights[i].param == param) return &p->weights[i];
    return NULL;
}

/* A vector out of an arena, or zeros for a parameter that the plan does not hold. */
static cop_status fetch(copi_plan *p, int param, const float *arena, float *out) {
    if (param < 0 || param >= p->net->params)
        return copi_fail(p->ctx, COP_E_RANGE, "parameter %d of %d", param, p->net->params);
    const weight *w = weight_of(p, param);
    if (w) return out_of(p, w, arena, out);
    memset(out, 0, (size_t)p->net->param[param].count * sizeof *out);
    return COP_OK;
}

cop_status copi_plan_gradient(copi_plan *p, int param, float *out) { return fetch(p, param, p->g, out); }
int copi_plan_state_slots(const copi_plan *p) { return p->options.training ? 2 : 0; }
cop_status copi_plan_state_get(copi_plan *p, int slot_number, int param, float *out) {
    return fetch(p, param, slot_number ? p->s1 : p->s0, out);
}
cop_status copi_plan_state_set(copi_plan *p, int slot_number, int param, const float *in) {
    const weight *w = param < 0 || param >= p->net->params ? NULL : weight_of(p, param);
    if (!w) return copi_fail(p->ctx, COP_E_RANGE, "the plan trains no parameter %d", param);
    p->stale = true;
    return into(p, w, in, slot_number ? p->s1 : p->s0);
}

/* Inference: y = gate (scale (w x + b - mean) / sqrt(var + eps) + shift) as one kernel and one bias. */
cop_status plan_push_folded(copi_plan *p, const cop_net *net) {
    cop_status s = COP_OK;
    for (int i = 0; i < net->nodes && !s; i++) {
        const lowered *l = &p->node[i];
        const copi_node *n = &net->node[i];
        if (l->fused || (n->op != COPI_OP_CONV && n->op != COPI_OP_DENSE && n->op != COPI_OP_BATCHNORM)) continue;
        const copi_param *gate = l->gate < 0 ? NULL : copi_node_slot(net, &net->node[l->gate], COPI_GATE);
        const copi_node *norm = n->op == COPI_OP_BATCHNORM ? n : l->norm < 0 ? NULL : &net->node[l->norm];
        const float *scale = NULL, *shift = NULL, *mean = NULL, *var = NULL;
        if (norm) {
            scale = copi_node_slot(net, norm, COPI_SCALE)->data;
            shift = copi_node_slot(net, norm, COPI_SHIFT)->data;
            mean = copi_node_slot(net, norm, COPI_MEAN)->data;
            var = copi_node_slot(net, norm, COPI_VAR)->data;
        }
        int64_t units = n->shape[0];
        float *b = l->used_b < 0 ? NULL : p->mems[l->used_b].data;
        if (n->op == COPI_OP_BATCHNORM) {
            float *to[4] = {p->mems[l->used_w].data, b, p->mems[l->mean].data, p->mems[l->var].data};
            for (int64_t c = 0; c < units; c++) {
                float lambda = gate ? gate->data[c * gate->count / units] : 1.0f;
                to[0][c] = lambda * scale[c];
                to[1][c] = lambda * shift[c];
                to[2][c] = mean[c];
                to[3][c] = var[c];
            }
            continue;
        }
        const copi_param *w = copi_node_slot(net, n, COPI_WEIGHT), *bias = copi_node_slot(net, n, COPI_BIAS);
        int64_t each = w->count / units;
        for (int64_t o = 0; o < units; o++) {
            double factor = gate ? gate->data[o * gate->count / units] : 1.0, offset = bias ? bias->data[o] : 0.0;
            if (norm) {
                double r = scale[o] / sqrt((double)var[o] + norm->u.batchnorm.epsilon);
                offset = (offset - mean[o]) * r + shift[o];
                offset *= factor;
                factor *= r;
            } else {
                offset *= factor;
            }
            for (int64_t k = 0; k < each; k++)
                p->scratch_plain[o * each + k] = (float)(factor * (double)w->data[o * each + k]);
            if (b) b[o] = (float)offset;
        }
        dnnl_memory_t plain = NULL;
        s = plan_dnnl(p, dnnl_memory_create(&plain, dn_view(&l->used_plain), p->engine, p->scratch_plain), "memory", i);
        if (s) break;
        dnnl_exec_arg_t arg[] = {{DNNL_ARG_FROM, plain}, {DNNL_ARG_TO, p->mems[l->used_w].memory}};
        s = plan_dnnl(p, dnnl_primitive_execute(l->used_in, p->stream, 2, arg), "reorder", i);
        dnnl_memory_destroy(plain);
    }
    return s;
}

/* Backward gave d loss / d (lambda w). Hence d lambda[u] = sum over the unit of it times w, and d w = lambda times it. */
void plan_gate_gradients(copi_plan *p) {
    for (int i = 0; i < p->weight_count; i++)
        if (p->weights[i].kind == COPI_PARAM_GATE)
            memset(p->g + p->weights[i].at, 0, (size_t)p->weights[i].n * sizeof(float));
    for (int i = 0; i < p->weight_count; i++) {
        const weight *w = &p->weights[i];
        if (w->gate < 0) continue;
        const weight *gate = &p->weights[w->gate];
        const float *lambda = p->s1 + gate->at;
        int threads = copi_threads(p->ctx), width = p->gate_width;
        memset(p->gate_sum, 0, (size_t)threads * (size_t)width * sizeof *p->gate_sum);
#pragma omp parallel num_threads(threads)
        {
            int64_t begin, end;
            double *sum = p->gate_sum + (int64_t)omp_get_thread_num() * width;
            plan_split(w->n, 64, omp_get_thread_num(), omp_get_num_threads(), &begin, &end);
            float *g = p->g + w->at;
            const float *value = p->w + w->at;
            for (int64_t k = begin; k < end; k++) {
                sum[w->unit[k]] += (double)g[k] * (double)value[k];
                g[k] *= lambda[w->unit[k]];
            }
        }
        for (int t = 0; t < threads; t++)
            for (int64_t u = 0; u < gate->count; u++)
                p->g[gate->at + u] += (float)p->gate_sum[(int64_t)t * width + u];
    }
}
