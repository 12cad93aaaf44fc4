/* Pieces of lowering: slots, mems, layouts, primitives, actions, and the one arena. */
#include "engine/build.h"

#include "engine/run.h"

#include <stdlib.h>
#include <string.h>

void plan_fail(copi_plan *p, cop_status status) {
    if (!p->status) p->status = status;
}

void plan_check(copi_plan *p, dnnl_status_t s, const char *what, int node) {
    if (!p->status) p->status = plan_dnnl(p, s, what, node);
}

/* Make room for one more element in a growing table; `table` points to the pointer to the first. */
static bool room(copi_plan *p, void *table, int count, int *cap, size_t size) {
    if (p->status) return false;
    if (count < *cap) return true;
    void *old;
    memcpy(&old, table, sizeof old);
    int wanted = *cap ? *cap * 2 : 32;
    void *grown = copi_grow(p->ctx, old, (size_t)*cap, (size_t)wanted, size);
    if (!grown) {
        plan_fail(p, COP_E_NOMEM);
        return false;
    }
    memcpy(table, &grown, sizeof grown);
    *cap = wanted;
    return true;
}

int plan_new_slot(copi_plan *p, size_t bytes, bool persistent) {
    if (!room(p, &p->slots, p->slot_count, &p->slot_cap, sizeof *p->slots)) return -1;
    p->slots[p->slot_count] =
        (plan_slot){.bytes = bytes, .first = p->clock, .last = p->clock, .persistent = persistent};
    return p->slot_count++;
}

int plan_new_mem_at(copi_plan *p, const dn_md *md, int slot, size_t offset) {
    if (slot < 0 || !room(p, &p->mems, p->mem_count, &p->mem_cap, sizeof *p->mems)) return -1;
    plan_mem *m = &p->mems[p->mem_count];
    *m = (plan_mem){.md = md, .slot = slot, .offset = offset};
    plan_check(p, dnnl_memory_create(&m->memory, dn_view(md), p->engine, DNNL_MEMORY_NONE), "memory", -1);
    return p->status ? -1 : p->mem_count++;
}

int plan_new_mem(copi_plan *p, const dn_md *md) {
    return p->status ? -1 : plan_new_mem_at(p, md, plan_new_slot(p, dn_md_bytes(md), false), 0);
}

void plan_touch(copi_plan *p, int number) {
    if (number < 0) return;
    plan_slot *s = &p->slots[p->mems[number].slot];
    if (p->clock < s->first) s->first = p->clock;
    if (p->clock > s->last) s->last = p->clock;
}

/* A new layout, still empty, that the plan owns. */
static dn_md *new_md(copi_plan *p) {
    if (!room(p, &p->mds, p->md_count, &p->md_cap, sizeof *p->mds)) return NULL;
    dn_md *md = copi_alloc(p->ctx, 1, sizeof *md);
    if (!md) {
        plan_fail(p, COP_E_NOMEM);
        return NULL;
    }
    return p->mds[p->md_count++] = md;
}

static const dn_md empty_md = {.set = false};

const dn_md *plan_md(copi_plan *p, int rank, const int64_t *dims, dnnl_data_type_t type, dnnl_format_tag_t tag) {
    dn_md *md = new_md(p);
    if (!md) return &empty_md;
    plan_check(p, dn_md_make(md, rank, dims, type, tag), "layout", -1);
    return md;
}

const dn_md *plan_chosen(copi_plan *p, dnnl_primitive_desc_t pd, dnnl_query_t what) {
    dn_md *md = new_md(p);
    if (!md) return &empty_md;
    plan_check(p, dn_chosen(md, pd, what), "layout", -1);
    return md;
}

dnnl_primitive_desc_t plan_pd(copi_plan *p, dnnl_status_t s, dnnl_primitive_desc_t pd, const char *what, int node) {
    plan_check(p, s, what, node);
    if (s != dnnl_success) return NULL;
    if (!room(p, &p->pds, p->pd_count, &p->pd_cap, sizeof *p->pds)) {
        dnnl_primitive_desc_destroy(pd);
        return NULL;
    }
    return p->pds[p->pd_count++] = pd;
}

dnnl_primitive_t plan_create(copi_plan *p, dnnl_primitive_desc_t pd, const char *what, int node) {
    if (!room(p, &p->primitives, p->primitive_count, &p->primitive_cap, sizeof *p->primitives)) return NULL;
    dnnl_primitive_t primitive = NULL;
    plan_check(p, dnnl_primitive_create(&primitive, pd), what, node);
    return p->status ? NULL : (p->primitives[p->primitive_count++] = primitive);
}

plan_actions *plan_begin(copi_plan *p, plan_actions *list) {
    plan_actions *before = p->adding;
    p->adding = list;
    return before;
}

plan_action *plan_own(copi_plan *p, const char *what, int node, void (*run)(copi_plan *, const plan_action *)) {
    plan_actions *list = p->adding;
    if (!room(p, &list->item, list->count, &list->cap, sizeof *list->item)) return NULL;
    p->clock++;
    plan_action *a = &list->item[list->count++];
    *a = (plan_action){.what = what, .node = node, .run = run, .mem = {-1, -1, -1}, .weight = {-1, -1}};
    return a;
}

void plan_primitive(copi_plan *p, const char *what, int node, dnnl_primitive_desc_t pd, int pairs,
                    const int (*pair)[2]) {
    dnnl_primitive_t primitive = plan_create(p, pd, what, node);
    if (!p->status) p->reference |= dn_reference(pd);
    const dn_md *scratch = plan_chosen(p, pd, dnnl_query_scratchpad_md);
    int pad = -1;
    if (!p->status && dn_md_bytes(scratch)) {
        pad = plan_new_mem_at(p, scratch, SLOT_SCRATCH, 0);
        plan_slot *s = &p->slots[SLOT_SCRATCH];
        if (dn_md_bytes(scratch) > s->bytes) s->bytes = dn_md_bytes(scratch);
    }
    plan_action *a = plan_own(p, what, node, NULL);
    if (!a) return;
    a->primitive = primitive;
    for (int i = 0; i < pairs; i++) {
        if (pair[i][1] < 0) continue;
        plan_touch(p, pair[i][1]);
        a->arg[a->args++] = (dnnl_exec_arg_t){pair[i][0], p->mems[pair[i][1]].memory};
    }
    if (pad >= 0) a->arg[a->args++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, p->mems[pad].memory};
}

void plan_reorder(copi_plan *p, const char *what, int node, int src, int dst) {
    if (p->status) return;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t s = dn_reorder(&pd, p->engine, p->mems[src].md, p->mems[dst].md, p->attr);
    pd = plan_pd(p, s, pd, "reorder", node);
    plan_primitive(p, what, node, pd, PAIRS({DNNL_ARG_FROM, src}, {DNNL_ARG_TO, dst}));
}

/* Persistent slots first, then the largest. */
static int by_size(const void *a, const void *b) {
    const plan_slot *x = *(plan_slot *const *)a, *y = *(plan_slot *const *)b;
    if (x->persistent != y->persistent) return y->persistent - x->persistent;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return (x > y) - (x < y);
}

static bool alive_together(const plan_slot *a, const plan_slot *b) {
    return a->persistent || b->persistent || (a->first <= b->last && b->first <= a->last);
}

/* Place each slot at the lowest offset that no slot alive at the same time uses. */
static cop_status lay_out(copi_plan *p, size_t *total) {
    *total = 0;
    plan_slot **order = copi_alloc(p->ctx, (size_t)p->slot_count, sizeof *order);
    if (!order) return COP_E_NOMEM;
    for (int i = 0; i < p->slot_count; i++) order[i] = &p->slots[i];
    qsort(order, (size_t)p->slot_count, sizeof *order, by_size);
    bool fits = true;
    for (int i = 0; i < p->slot_count && fits; i++) {
        plan_slot *s = order[i];
        size_t at = 0, end;
        for (int j = 0; j < i; j++) {
            const plan_slot *o = order[j];
            if (!alive_together(s, o) || at >= o->offset + o->bytes || o->offset >= at + s->bytes) continue;
            at = (o->offset + o->bytes + COPI_ALIGN - 1) / COPI_ALIGN * COPI_ALIGN;
            j = -1; /* slots passed before may overlap the new place */
        }
        s->offset = at;
        fits = copi_add(at, s->bytes, &end) && end < SIZE_MAX / 2;
        if (fits && end > *total) *total = end;
    }
    copi_free(p->ctx, order);
    return fits ? COP_OK
                : copi_fail(p->ctx, COP_E_NOMEM, "the net at batch %lld needs more memory than a process can address",
                            (long long)p->options.batch);
}

cop_status plan_connect(copi_plan *p) {
    size_t bytes;
    cop_status s = lay_out(p, &bytes);
    if (s) return s;
    if (!(p->arena = copi_alloc(p->ctx, bytes + 1, 1))) return COP_E_NOMEM;
    for (int i = 0; i < p->mem_count; i++) {
        plan_mem *m = &p->mems[i];
        m->data = p->arena + p->slots[m->slot].offset + m->offset;
        if ((s = plan_dnnl(p, dnnl_memory_set_data_handle(m->memory, m->data), "memory", -1))) return s;
    }
    plan_actions *list[] = {&p->prepare, &p->forward, &p->backward, &p->statistics};
    for (size_t l = 0; l < COPI_COUNT(list); l++) {
        for (int i = 0; i < list[l]->count; i++) {
            plan_action *a = &list[l]->item[i];
            for (size_t k = 0; k < COPI_COUNT(a->mem); k++)
                if (a->mem[k] >= 0) a->ptr[k] = p->mems[a->mem[k]].data;
        }
    }
    float **arena[] = {&p->w, &p->g, &p->s0, &p->s1, &p->e, &p->average};
    for (int i = 0; i < (int)COPI_COUNT(arena); i++) *arena[i] = (float *)(p->arena + p->slots[SLOT_W + i].offset);
    p->keep = p->arena + p->slots[SLOT_KEEP].offset;
    return COP_OK;
}
