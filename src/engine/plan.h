/* Inside of a plan. Understand the tables first:
 *   slot    a stretch of the arena with a lifetime (first..last action that touches it); slots whose lifetimes do not
 *           overlap share memory
 *   mem     a oneDNN memory object over a slot: a layout at an offset
 *   value   what a node gives: a mem, and a second one for its gradient. Nodes that are fused or work in place share
 *           their producer's value
 *   weight  a parameter in the engine's layout: a segment of the arenas W (values), G (gradient), S0 and S1
 *           (optimizer state), K (mask) and E (values times gate)
 *   action  one primitive or one of our kernels; a step is four lists of them: prepare, forward, backward, statistics
 */
#ifndef COPPICE_PLAN_H
#define COPPICE_PLAN_H

#include "engine/kernels.h"
#include "engine/onednn.h"

enum { SLOT_SCRATCH, SLOT_W, SLOT_G, SLOT_S0, SLOT_S1, SLOT_K, SLOT_E, SLOTS_FIXED };
#define ACTION_ARGS 12

typedef struct slot { size_t bytes, offset; int first, last; bool persistent; } slot;
typedef struct mem { dnnl_memory_t memory; int slot; size_t offset, bytes; void *data; } mem;

typedef struct value {
    dn_md md, diff_md;
    int node;             /* that made it: its shape is the value's */
    int mem, diff;        /* numbers of mems; diff -1: none yet */
    bool needs_grad;      /* parameters come before it */
    bool written;         /* backward: diff holds a contribution already */
} value;

typedef struct weight {
    int param;            /* of the net */
    copi_param_kind kind;
    int64_t count;        /* logical */
    dn_md md, plain;      /* the engine's layout, and the logical one; both f32 */
    int64_t at, n;        /* segment of the arenas, in floats */
    int mem_w, mem_g, mem_e;
    int gate;             /* weight number of the gate that multiplies it, -1: none */
    int32_t *unit;        /* [n] which of the gate's factors; owned; NULL without gate */
    bool trained;         /* moved by the optimizer: all but running statistics and gates */
    bool kernel, conv;    /* conv or dense kernel: decay applies; conv kernel: l2_conv too */
    bool masked;          /* K holds a mask with a 0 in it */
    dnnl_primitive_t in, out; /* reorders plain -> md -> plain; NULL where equal */
} weight;

typedef struct copi_action copi_action;
struct copi_action {
    const char *what;     /* "conv forward", ... */
    int node;             /* -1: none */
    dnnl_primitive_t primitive; /* or NULL and run */
    int args;
    dnnl_exec_arg_t arg[ACTION_ARGS];
    void (*run)(copi_plan *plan, const copi_action *action);
    int mem[4];
    void *ptr[4];         /* of mem, once the arena exists */
    int64_t n;            /* elements */
    bool bf16;
    float x, y;           /* numbers of the kernel's own */
    uint32_t threshold;
    int weight[4];
};
typedef struct actions { copi_action *item; int count, cap; } actions;

typedef struct lowered {  /* what became of a node */
    int value;
    bool fused;           /* nothing of its own to do */
    int act, norm, gate;  /* nodes fused into this one, -1 */
    bool in_place;        /* elementwise on its producer's value */
    bool mask_later;      /* relu: its backward is done by the pool or dropout behind it */
    bool mask_here;       /* pool, dropout: does so */
    dnnl_primitive_desc_t forward, backward_data, backward_weights;
    int workspace;        /* mem, -1 */
    int weight[COPI_SLOTS]; /* numbers of weights (training), -1 */
    int used_w, used_b;   /* inference: mems of folded weights and bias */
    dn_md used_plain;     /* inference: logical layout of the folded weights */
    dnnl_primitive_t used_in; /* inference: reorder into used_w */
    int src_mem;          /* linear: the source in the layout the primitive wanted */
    dn_md src_md;
    int mean, var;        /* batch-norm, training: mems of batch statistics */
} lowered;

struct copi_plan {
    cop_ctx *ctx;
    cop_net *net;         /* a copy: topology, and parameters as last pushed */
    copi_plan_options options;
    bool bf16;
    const copi_kernels *kernels;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_attr_t attr; /* scratchpad from us */
    slot *slots; int slot_count, slot_cap;
    mem *mems; int mem_count, mem_cap;
    value *values; int value_count;
    lowered *node;        /* [net->nodes] */
    weight *weights; int weight_count;
    int64_t floats;       /* in each parameter arena */
    actions prepare, forward, backward, statistics;
    actions *adding;
    int clock;            /* number of the action being added */
    dnnl_primitive_t *primitives; int primitive_count, primitive_cap; /* all, to destroy */
    uint8_t *arena;
    size_t arena_bytes;
    float *w, *g, *s0, *s1, *k, *e; /* the parameter arenas */
    struct { int weight; int64_t begin, n; } *chunk; /* the optimizer's work, in pieces of equal length */
    int chunks;
    int input_mem, logits, dlogits; /* mems */
    float *staging;       /* [batch,C,H,W] for smaller batches */
    int classes, last;    /* last: node that gives the logits */
    int64_t image;        /* C*H*W */
    copi_optimizer optimizer;
    copi_gate_rule gates;
    double *gate_sum;     /* [threads][widest gate] partial sums of d loss / d lambda */
    int gate_width;
    int64_t steps;
    bool stale;           /* training: prepare must run before forward */
    uint64_t step_key;    /* dropout's key of the step at hand */
    double *loss_row;     /* [3*classes] */
    float *scratch_plain; /* [largest parameter] logical staging for folding and masks */
};

/* plan.c */
cop_status plan_dnnl(copi_plan *p, dnnl_status_t s, const char *what, int node); /* a oneDNN status as ours */
int plan_slot(copi_plan *p, size_t bytes, bool persistent);                     /* -1: no memory */
int plan_mem(copi_plan *p, const dn_md *md, int slot, size_t offset);           /* slot -1: a new one; -1: failed */
void plan_touch(copi_plan *p, int mem);
/** Append a primitive: takes pd over (destroys it); args are pairs (DNNL_ARG, mem). */
cop_status plan_primitive(copi_plan *p, const char *what, int node, dnnl_primitive_desc_t pd, bool keep_pd, int pairs,
                          const int (*pair)[2]);
copi_action *plan_action(copi_plan *p, const char *what, int node,
                         void (*run)(copi_plan *, const copi_action *)); /* NULL: no memory */
cop_status plan_reorder(copi_plan *p, int node, const dn_md *from, int src, const dn_md *to, int dst);
void plan_threads(const copi_plan *p);
dnnl_data_type_t plan_type(const copi_plan *p);
int64_t plan_elements(const dn_md *md, bool bf16);
void plan_split(int64_t n, int64_t unit, int part, int parts, int64_t *begin, int64_t *end);

/* lower.c */
cop_status plan_lower_forward(copi_plan *p);
cop_status plan_lower_backward(copi_plan *p);

/* weights.c */
int plan_weight(copi_plan *p, int node, int slot_in_node, const dn_md *md, const dn_md *plain); /* -1 + error */
cop_status plan_weights_finish(copi_plan *p); /* reorders, gate units, chunks; after the arena exists */
cop_status plan_push_folded(copi_plan *p, const cop_net *net); /* inference */
void plan_gate_gradients(copi_plan *p);
void plan_weights_free(copi_plan *p);

/* optimizer.c */
void plan_update(copi_plan *p, double rate);
void plan_gates_step(copi_plan *p, double eta);

/* loss.c */
void plan_loss(copi_plan *p, const copi_step *step, double *loss, int64_t *correct);
void plan_softmax(const float *logits, int64_t n, int classes, float *y);

#endif
