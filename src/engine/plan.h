/* Inside of a plan. Understand the tables first:
 *   slot    a stretch of the arena with a lifetime (first..last action that touches it); slots whose lifetimes do not
 *           overlap share memory
 *   mem     a oneDNN memory object over a slot: a layout at an offset
 *   value   what a node gives: a mem, and a second one for its gradient. Nodes that are fused or work in place share
 *           their producer's value
 *   weight  a parameter in the engine's layout: a segment of the arenas W (values), G (gradient), S0 and S1
 *           (optimizer state), E (values times gate), AVERAGE and KEEP (mask)
 *   action  one primitive or one of our kernels; a step is four lists of them: prepare, forward, backward, statistics
 *
 * Lowering is written as straight lines: the first failure is kept in plan->status, after which every piece of build.c
 * does nothing and gives -1, NULL or the empty layout. */
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
    int node;                  /* that made it: its shape is the value's */
    int mem, diff;             /* numbers of mems; diff -1: none yet */
    bool needs_grad;           /* parameters come before it */
    bool written;              /* backward: diff holds a contribution already */
    bool kept;                 /* a producer's backward reads the content: nobody may work on it in place */
} plan_value;

typedef struct plan_weight {
    int param; /* of the net */
    copi_param_kind kind;
    int64_t count;           /* logical */
    const dn_md *md, *plain; /* the engine's layout, and the logical one; both f32 */
    int64_t at, n;           /* segment of the arenas, in floats */
    int mem_w, mem_g;
    int mem_used;             /* what forward reads: mem_w, or its product with the gate's factors in E */
    int gate;                 /* weight number of the gate that multiplies it, -1: none */
    int32_t *unit;            /* [n] which of the gate's factors; owned; NULL without gate */
    bool trained;             /* moved by the optimizer: all but running statistics and gates */
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
    bool mask_later;     /* relu: its backward is done by the pool or dropout behind it */
    bool mask_here;      /* pool, dropout: does so */
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
    bool reference; /* oneDNN had but its slow reference code for some op in this type */
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
    int classes, last;              /* last: node that gives the logits */
    int64_t image;                  /* C*H*W */
    copi_optimizer optimizer;
    copi_gate_rule gates;
    double *gate_sum;                /* [threads][gate_width] partial sums of d loss / d lambda */
    int gate_width;                  /* the widest gate */
    double *norm_sum;                /* [threads][2][norm_width] */
    float *norm_strip;               /* [5 + 2 threads][norm_length] */
    int64_t norm_width, norm_length; /* channels and strip of the widest batch-norm that norm.c does */
    int64_t steps;
    bool stale;             /* training: prepare must run before forward */
    uint64_t step_key;      /* dropout's key of the step at hand */
    double *loss_row;       /* [3*classes] */
    float *plain, *blocked; /* one parameter in logical and in the engine's layout, for push and pull */
};

enum {
    PLAN_BLOCK = 16,   /* channels in a block of the layouts that oneDNN likes best */
    PLAN_SMALL = 32768 /* elements: less is not worth waking a thread for */
};
/* The part-th of parts nearly equal ranges of n, cut at multiples of unit. */
void plan_split(int64_t n, int64_t unit, int part, int parts, int64_t *begin, int64_t *end);
/* The kernels of the plan's type, and where element number `element` of an action's i-th array lies. */
static inline const copi_typed_kernels *plan_kernels(const copi_plan *p) {
    return p->bf16 ? &p->kernels->bf16 : &p->kernels->f32;
}
static inline void *plan_at(const copi_plan *p, const plan_action *a, int i, int64_t element) {
    return (uint8_t *)a->ptr[i] + element * (p->bf16 ? 2 : 4);
}

/* plan.c */
cop_status plan_dnnl(copi_plan *p, dnnl_status_t s, const char *what, int node); /* a oneDNN status as ours */
cop_status plan_run(copi_plan *p, const plan_actions *list);
cop_status plan_feed(copi_plan *p, const float *x, int64_t n); /* the images, for the next forward */
int plan_enter(const copi_plan *p); /* the context's thread count; gives the former one for plan_leave */
void plan_leave(int threads);

/* build.c: pieces of lowering */
void plan_fail(copi_plan *p, cop_status status); /* keep the first */
void plan_check(copi_plan *p, dnnl_status_t s, const char *what, int node);
int plan_new_slot(copi_plan *p, size_t bytes, bool persistent);
int plan_new_mem(copi_plan *p, const dn_md *md); /* over a slot of its own */
int plan_new_mem_at(copi_plan *p, const dn_md *md, int slot, size_t offset);
void plan_touch(copi_plan *p, int mem);
const dn_md *plan_md(copi_plan *p, int rank, const int64_t *dims, dnnl_data_type_t type, dnnl_format_tag_t tag);
const dn_md *plan_chosen(copi_plan *p, dnnl_primitive_desc_t pd, dnnl_query_t what); /* the layout it chose */
/** The plan owns pd from here on; gives it back, NULL when s is a failure. */
dnnl_primitive_desc_t plan_pd(copi_plan *p, dnnl_status_t s, dnnl_primitive_desc_t pd, const char *what, int node);
dnnl_primitive_t plan_create(copi_plan *p, dnnl_primitive_desc_t pd, const char *what, int node);
/** Append a primitive; args are pairs (DNNL_ARG, mem), those with mem -1 left out. */
void plan_primitive(copi_plan *p, const char *what, int node, dnnl_primitive_desc_t pd, int pairs,
                    const int (*pair)[2]);
#define PAIRS(...)                                                                                                   \
    (int)(sizeof((const int[][2]){__VA_ARGS__}) / sizeof(int[2])), (const int[][2]) {                                \
        __VA_ARGS__                                                                                                  \
    }
void plan_reorder(copi_plan *p, const char *what, int node, int src, int dst);
plan_action *plan_own(copi_plan *p, const char *what, int node,
                      void (*run)(copi_plan *, const plan_action *)); /* NULL */
plan_actions *plan_begin(copi_plan *p, plan_actions *list);           /* where to append; gives the former list */
cop_status plan_connect(copi_plan *p); /* lay out the arena, point everything into it */

/* fuse.c: which nodes are done by others */
void plan_find_fusions(copi_plan *p);
bool plan_owns(const copi_plan *p, int from, int node); /* nobody but node sees what `from` gives */
bool plan_drops(const copi_plan *p, int node);          /* a dropout that drops anything in this plan */
copi_act plan_act(const copi_plan *p, int node);        /* -1: the identity */
static inline bool is_act(copi_op op) {
    return op == COPI_OP_RELU || op == COPI_OP_RELU6 || op == COPI_OP_LEAKY_RELU;
}
static inline bool is_linear(copi_op op) {
    return op == COPI_OP_CONV || op == COPI_OP_DENSE;
}

/* lower.c: from ops to actions */
void plan_lower(copi_plan *p);
dnnl_data_type_t plan_type(const copi_plan *p);
plan_value *plan_value_of(copi_plan *p, int node);
plan_value *plan_new_value(copi_plan *p, int node, const dn_md *md, bool needs_grad); /* NULL on failure */
void plan_adopt(copi_plan *p, int from, int node); /* node shares the value of `from` */
/** The layout of a node's output: [N,C,H,W], or flat [N,C*H*W]; plain gives the row-major one. */
const dn_md *plan_node_md(copi_plan *p, int node, dnnl_data_type_t type, bool flat, dnnl_format_tag_t tag);
const dn_md *plan_plain_md(copi_plan *p, int node, dnnl_data_type_t type, bool flat);
int plan_in_layout(copi_plan *p, int node, int mem, const dn_md *want); /* mem itself, or a copy */
int plan_adapt(copi_plan *p, int node, int src, const dn_md *want);     /* src's value in that layout */
/** Where a consumer writes its gradient for value v in layout md: v's own place when it comes first and the layout is
 *  v's, else a temporary that plan_contributed adds. */
int plan_contribution(copi_plan *p, plan_value *v, const dn_md *md);
void plan_contributed(copi_plan *p, int node, plan_value *v, int target);

/* lower_elementwise.c */
plan_action *plan_elementwise(copi_plan *p, const char *what, int node, void (*run)(copi_plan *, const plan_action *),
                              int y, int x, int z); /* NULL on failure */
void plan_sum(copi_plan *p, const char *what, int node, int y, int a, int b, copi_act act);
void plan_act_back(copi_plan *p, int act, plan_value *v); /* in place on v's gradient */
void plan_mask_back(copi_plan *p, int node, int dx, int dy, int y, float scale);
void lower_act(copi_plan *p, int node);
void back_act(copi_plan *p, int node);
void lower_dropout(copi_plan *p, int node);
void back_dropout(copi_plan *p, int node);
void lower_add(copi_plan *p, int node);
void back_add(copi_plan *p, int node);

/* norm.c: batch-norm of channels-last images */
bool plan_norms(copi_plan *p, int node); /* is node's input one that norm.c is the faster for? */
void plan_norm_forward(copi_plan *p, int node, int y, int x);
void plan_norm_backward(copi_plan *p, int node, int dx, int x, int dy);
cop_status plan_norm_finish(copi_plan *p);

/* pool.c: max-pooling of 2 x 2 pixels */
/** The layout of node's output, if it is a pooling that pool.c does in the layout its input has; else NULL. */
const dn_md *plan_pools(copi_plan *p, int node);
void plan_pool_forward(copi_plan *p, int node, int y, int x);
void plan_pool_backward(copi_plan *p, int node, int dx, int dy);

/* lower_linear.c, lower_norm.c, lower_pool.c, lower_shape.c */
void lower_linear(copi_plan *p, int node);
void back_linear(copi_plan *p, int node);
void lower_norm(copi_plan *p, int node);
void back_norm(copi_plan *p, int node);
void lower_pool(copi_plan *p, int node);
void back_pool(copi_plan *p, int node);
void lower_flatten(copi_plan *p, int node);
void back_flatten(copi_plan *p, int node);
void lower_concat(copi_plan *p, int node);
void back_concat(copi_plan *p, int node);

/* weights.c: parameters in the engine's layout */
/** Register a parameter; md and logical NULL: a plain vector. gate: weight number of its factors, or -1. */
int plan_new_weight(copi_plan *p, int node, int slot_in_node, const dn_md *md, const dn_md *logical, int gate);
int plan_new_gate(copi_plan *p, int node); /* the gate fused into node, -1: none */
/** The weights in the layout and type a primitive wants: the mem itself, or a copy made by `prepare`. */
int plan_prepared(copi_plan *p, int node, int weight, const dn_md *want);
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
