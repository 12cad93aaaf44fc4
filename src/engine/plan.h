/* What a plan consists of:
 *   slot    a range of the arena with a lifetime (first..last action that uses it); slots whose lifetimes do not
 *           overlap share memory
 *   mem     a oneDNN memory object over a slot: a layout at an offset
 *   value   a node's output: a mem, and a second one for its gradient. Nodes that are fused or work in place share
 *           their producer's value
 *   weight  a parameter in the engine's layout: a segment of the arenas W (values), G (gradient), S0 and S1
 *           (optimizer state), E (values times gate), AVERAGE and KEEP (mask)
 *   action  one primitive or one of our kernels; a step is four lists: prepare, forward, backward, statistics */
#ifndef COPPICE_PLAN_H
#define COPPICE_PLAN_H

#include "engine/kernels.h"
#include "engine/onednn.h"

enum { SLOT_SCRATCH, SLOT_W, SLOT_G, SLOT_S0, SLOT_S1, SLOT_E, SLOT_AVERAGE, SLOT_KEEP, SLOTS_FIXED };
#define ACTION_ARGS 12

typedef struct plan_slot {
    size_t bytes, offset;
    int first, last;
    bool persistent;
} plan_slot;
typedef struct plan_mem {
    dnnl_memory_t memory;
    const dn_md *md;
    int slot;
    size_t offset;
    void *data;
} plan_mem;

typedef struct plan_value {
    const dn_md *md, *diff_md; /* layouts of the content and of its gradient */
    int node;                  /* that made it and whose shape it has */
    int mem, diff;             /* numbers of mems; diff -1: none yet */
    bool needs_grad;           /* there are parameters before it */
    bool written;              /* backward: diff already holds a contribution */
    bool kept;                 /* its producer's backward reads it: no in-place work */
} plan_value;

typedef struct plan_weight {
    int param; /* of the net */
    copi_param_kind kind;
    int64_t count;           /* logical */
    const dn_md *md, *plain; /* the engine's layout, and the logical one; both f32 */
    int64_t at, n;           /* segment of the arenas, in floats */
    int mem_w, mem_g;
    int mem_used;             /* what forward reads: mem_w, or mem_w times the gate's factors (in E) */
    int gate;                 /* weight number of the gate that multiplies it, -1: none */
    int32_t *unit;            /* [n] which of the gate's factors; owned; NULL without gate */
    bool trained;             /* by the optimizer: all but running statistics and gates */
    bool kernel, conv;        /* conv or dense kernel: decay applies; conv kernel: l2_conv too */
    bool masked;              /* KEEP holds a 0 */
    dnnl_primitive_t in, out; /* reorders plain -> md -> plain; NULL where equal */
} plan_weight;

typedef struct plan_action plan_action;
struct plan_action {
    const char *what;           /* "conv forward", ... */
    int node;                   /* -1: none */
    dnnl_primitive_t primitive; /* or NULL and run */
    int args;
    dnnl_exec_arg_t arg[ACTION_ARGS];
    void (*run)(copi_plan *plan, const plan_action *action);
    int mem[3];
    void *ptr[3]; /* of mem, once the arena exists */
    int64_t n;    /* elements */
    copi_act act;
    float scale;
    uint32_t threshold; /* dropout's */
    int64_t offset;     /* concat: elements before this part */
    int64_t together;   /* pooling: channels of a pixel that lie together */
    int weight[2];
};
typedef struct plan_actions {
    plan_action *item;
    int count, cap;
} plan_actions;

typedef struct plan_node { /* what became of a node */
    int value;
    bool fused;          /* done by another node, or nothing to do: shares its producer's value */
    bool in_place;       /* works on its (first) producer's value */
    int act, norm, gate; /* nodes fused into this one, -1 */
    bool mask_later;     /* relu: the pool or dropout behind it does its backward */
    bool mask_here;      /* pool, dropout: does that */
    dnnl_primitive_desc_t forward, backward_weights;
    int workspace;            /* mem, -1 */
    int weight[COPI_SLOTS];   /* training: numbers of weights, -1 */
    int src_mem;              /* linear: the source in the layout the primitive wanted */
    int mean, var;            /* batch-norm: mems of statistics (training: the batch's) */
    int used_w, used_b;       /* inference: mems of folded weights and bias, or batch-norm's scale and shift */
    const dn_md *used_plain;  /* inference: logical layout of the folded weights */
    dnnl_primitive_t used_in; /* inference: reorder into used_w */
} plan_node;

struct copi_plan {
    cop_ctx *ctx;
    cop_net *net; /* a copy, for its topology */
    copi_plan_options options;
    bool bf16;
    bool reference; /* for some op, oneDNN has only slow reference code in this type */
    const copi_kernels *kernels;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_attr_t attr; /* scratchpad from us */
    cop_status status;          /* of lowering */
    plan_slot *slots;
    int slot_count, slot_cap;
    plan_mem *mems;
    int mem_count, mem_cap;
    dn_md **mds;
    int md_count, md_cap;
    dnnl_primitive_desc_t *pds;
    int pd_count, pd_cap;
    dnnl_primitive_t *primitives;
    int primitive_count, primitive_cap;
    plan_value *values;
    int value_count;
    plan_node *node; /* [net->nodes] */
    plan_weight *weights;
    int weight_count;
    int64_t floats; /* in each parameter arena */
    bool gated;     /* there are gates */
    plan_actions prepare, forward, backward, statistics;
    plan_actions *adding;
    int clock; /* number of the action being added */
    uint8_t *arena;
    float *w, *g, *s0, *s1, *e, *average; /* the parameter arenas */
    uint8_t *keep;                        /* masks: 1 kept, 0 held at zero */
    struct {
        int weight;
        int64_t begin, n;
    } * chunk; /* the optimizer's work, in pieces of equal length */
    int chunks;
    int input_mem, logits, dlogits; /* mems */
    float *staging;                 /* [batch,C,H,W] for smaller batches */
    int classes, last;              /* last: the node whose output is the logits */
    int64_t image;                  /* C*H*W */
    cop_recipe optimizer;           /* the optimizer's options of it */
    copi_gate_rule gates;
    double *gate_sum;                /* [threads][gate_width] partial sums of d loss / d lambda */
    int gate_width;                  /* the widest gate */
    double *norm_sum;                /* [threads][2][norm_width] */
    float *norm_strip;               /* [5 + 2 threads][norm_length] */
    int64_t norm_width, norm_length; /* channels and strip of the widest batch-norm in norm.c */
    int64_t steps;
    bool stale;             /* training: prepare must run before forward */
    uint64_t step_key;      /* dropout's key in this step */
    double *loss_row;       /* [3*classes] */
    float *plain, *blocked; /* one parameter in logical and in the engine's layout, for push and pull */
};

enum {
    PLAN_BLOCK = 16,   /* channels in a block of oneDNN's preferred layouts */
    PLAN_SMALL = 32768 /* elements: fewer are not worth a second thread */
};
/* The kernels for the plan's type, and the address of an element of an action's i-th array. */
static inline const copi_typed_kernels *plan_kernels(const copi_plan *p) {
    return p->bf16 ? &p->kernels->bf16 : &p->kernels->f32;
}
static inline void *plan_at(const copi_plan *p, const plan_action *a, int i, int64_t element) {
    return (uint8_t *)a->ptr[i] + element * (p->bf16 ? 2 : 4);
}

#endif
