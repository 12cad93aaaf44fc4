/* The net: a DAG of ops over named parameters and masks. Nodes are stored after their inputs; the topology never
 * changes once built. Letters: N batch, C channels, H W, O I KH KW for kernels. */
#ifndef COPPICE_NET_H
#define COPPICE_NET_H

#include "base/base.h"

/** Every op, from ops.def. */
typedef enum copi_op {
#define X(NAME, name, family, traits, help) COPI_OP_##NAME,
#include "net/ops.def"
#undef X
    COPI_OPS
} copi_op;

/* The public kinds of tensors. Weights, biases, scales and shifts count as parameters; running statistics are not
 * trained by gradient, and factors are folded away. */
typedef enum copi_param_kind {
#define X(NAME, text) COPI_PARAM_##NAME,
    COP_TENSOR_KIND_LIST(X)
#undef X
} copi_param_kind;

typedef struct copi_param {
    char *name; /* "<node>.weight", ".bias", ".scale", ".shift", ".mean", ".var", ".gate" */
    copi_param_kind kind;
    int node; /* its owner */
    int rank;
    int64_t shape[4];
    int64_t count; /* product of shape */
    float *data;   /* [count], inside net->block, logical row-major layout */
    uint8_t *mask; /* [count], 1 kept, 0 held at zero; NULL: nothing is masked. Owned by the net */
} copi_param;

enum { COPI_WEIGHT, COPI_BIAS, COPI_SCALE = 0, COPI_SHIFT, COPI_MEAN, COPI_VAR, COPI_GATE = 0, COPI_SLOTS = 4 };

typedef struct copi_node {
    char *name;
    copi_op op;
    int *src; /* [nsrc] node numbers, all smaller than this node's own */
    int nsrc;
    union {
        cop_conv_params conv;
        cop_pool_params pool;
        struct {
            int64_t units;
            int bias;
        } dense;
        struct {
            double epsilon;
        } batchnorm;
        struct {
            double slope;
        } leaky;
        struct {
            double share;
        } dropout;
        struct {
            int64_t factors;
        } gate;
    } u;
    int rank;              /* of the output without N: 3 [C,H,W] or 1 [C] */
    int64_t shape[3];      /* output; entries past rank are 1 */
    int param[COPI_SLOTS]; /* numbers in net->param, -1 where there is none. conv, dense: WEIGHT, BIAS; batch-norm:
                              SCALE, SHIFT, MEAN, VAR; gate: GATE */
    int64_t dense_count;   /* parameters of this layer in the original dense net: docs/methods.md, "Measures" */
    int64_t dense_macs;
} copi_node;

struct cop_net {
    cop_ctx *ctx;
    copi_node *node; /* [nodes]; 0 is the input, the last is the output */
    int nodes;
    copi_param *param; /* [params], in node order */
    int params;
    float *block; /* [block_count] all parameters, one after another */
    size_t block_count;
    char **class_name; /* [classes] or NULL */
    int classes;       /* = last node's C */
    int normalized;
    double mean[COP_MAX_CHANNELS], std[COP_MAX_CHANNELS]; /* of the net's channels */
    cop_channel_order channel_order; /* the net's channel c is the image's channel c, or (BGR) C-1-c */
    int64_t dense_parameters, dense_conv, dense_dense, dense_macs; /* of the original dense net: all / conv / dense */
    char *provenance;                                              /* lines separated by '\n'; never NULL */
    char *metadata; /* what another program wrote into the model's file, a JSON object of strings; or NULL */
};

enum {
    COPI_MAX_NODES = 16384,
    COPI_MAX_NAME = 512 /* bytes of a node's name */
};
#define COPI_MAX_EXTENT INT32_MAX            /* of one dimension, kernel, stride, dilation or padding */
#define COPI_MAX_ELEMENTS ((int64_t)1 << 36) /* of one parameter, or of one image's output of one node */
#define COPI_MAX_MACS ((int64_t)1 << 48)     /* of one node; sums over all nodes then fit int64_t */

/* -- ops: a line in ops.def, a class and a table of attributes in op_*.c -- */

typedef enum copi_trait {
    COPI_HAS_KERNEL = 1,   /* a layer: its outputs are sums over a kernel of weights, in slot COPI_WEIGHT */
    COPI_HOMOGENEOUS = 2,  /* f(a x) = a f(x) for every a >= 0 */
    COPI_KEEPS_ZEROS = 4,  /* where channel c of the input is 0 everywhere, so is channel c of the output */
    COPI_KEEPS_SPREAD = 8, /* initialisation looks through it: a rectifier behind it counts for the layer before it */
} copi_trait;
bool copi_op_is(copi_op op, copi_trait trait);

typedef enum copi_attribute_kind {
    COPI_ATTRIBUTE_SIZES, /* int64_t, one or several */
    COPI_ATTRIBUTE_FLAG,  /* int, 0 or 1 */
    COPI_ATTRIBUTE_REAL   /* double, finite */
} copi_attribute_kind;
/** What a node has besides its name, op and inputs. Model files hold it. */
typedef struct copi_attribute {
    const char *key; /* in model files; NULL ends the table */
    copi_attribute_kind kind;
    size_t bytes, offset; /* in copi_node */
    bool identity;        /* a checkpoint's identity includes it: it changes training, and no shape shows it */
} copi_attribute;
const copi_attribute *copi_op_attributes(copi_op op);

/** y = min(high, x > 0 ? x : slope x); high is infinite where there is no ceiling. */
typedef struct copi_rectifier {
    double slope, high;
} copi_rectifier;

typedef struct copi_op_class {
    int sources; /* how many inputs it takes; -1: one or more */
    /** Set node->rank/shape from the inputs' (src[i] is the i-th input node) and declare parameters by
     *  copi_node_param. Errors: SHAPE naming the op, the node and the shapes. */
    cop_status (*infer)(cop_graph *g, copi_node *node, const copi_node *const *src);
    /** MACs per image given a count of kernel weights (all, or the nonzero ones). NULL: none. */
    int64_t (*macs)(const cop_net *net, const copi_node *node, int64_t weights);
    /** Of the rectifiers. NULL: it is none. */
    copi_rectifier (*rectifier)(const copi_node *node);
} copi_op_class;
const copi_op_class *copi_op_get(copi_op op);
const char *copi_op_text(copi_op op);

/* A graph under construction is a net whose block does not exist yet. */
struct cop_graph {
    cop_ctx *ctx;
    cop_net *net;
    cop_status status; /* the first error */
    char error[512];   /* its text; by the time of building the context may hold another error's */
    int node_cap, param_cap;
};
/** Declare a parameter of the node being added, in its slot. */
cop_status copi_node_param(cop_graph *g, copi_node *node, int slot, copi_param_kind kind, const char *suffix,
                           int rank, const int64_t *shape);
/** Add a node of any op; its attributes come from proto (op, u). For readers, shrink and the typed adders.
 *  Returns its number, or -1 after this or an earlier error. */
int copi_graph_add(cop_graph *g, const char *name, const copi_node *proto, const int *src, int nsrc);
/** Build without drawing weights (all 0; batch-norm scale and var, and gates 1), for readers that fill them. */
cop_status copi_graph_build_raw(cop_graph *g, cop_net **net);
/** Build a net derived from another: with what copi_net_inherit and copi_net_copy_params take from it. */
cop_status copi_graph_build_like(cop_graph *g, const cop_net *from, cop_net **net);

int copi_net_find(const cop_net *net, const char *node_name);                    /* -1: none */
int copi_net_find_param(const cop_net *net, const char *param_name);             /* -1: none */
copi_param *copi_node_slot(const cop_net *net, const copi_node *node, int slot); /* NULL: none */
/** The parameter's mask, made (all 1) if there is none. NULL: no memory. */
uint8_t *copi_param_mask(cop_net *net, copi_param *param);
/** Take the masks of a net of the same topology. */
cop_status copi_net_copy_masks(cop_net *net, const cop_net *from);
/** Set data to 0 where the mask is 0. */
void copi_net_apply_masks(cop_net *net);
bool copi_param_counts(copi_param_kind kind); /* weight, bias, scale, shift: those that sparsity counts */
/** Record that this is the dense net: fill dense_count, dense_macs and dense_* from its present state. */
void copi_net_mark_dense(cop_net *net);
/** The nodes that read node's output: writes at most max numbers and returns how many there are. */
int copi_net_consumers(const cop_net *net, int node, int *consumer, int max);
/** Append a line to net->provenance. */
cop_status copi_net_note(cop_net *net, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** Copy what a derived net keeps of the original: class names (if the number is the same), normalization, provenance,
 *  the dense totals, and each node's dense counts (from the node with the same name and op). */
cop_status copi_net_inherit(cop_net *net, const cop_net *from);
/** Copy data and mask from the parameters of `from` with the same name and shape. */
cop_status copi_net_copy_params(cop_net *net, const cop_net *from);
/** name NULL: remove them. Errors: ARG (not as many as the net has classes), NOMEM. */
cop_status copi_net_set_classes(cop_net *net, const char *const *name, int classes);
/** mean, std: [C of the input]; both NULL: remove them. Errors: RANGE (not finite, std <= 0). */
cop_status copi_net_set_normalization(cop_net *net, const double *mean, const double *std);
/** A new net with the same topology and parameters, and a gate node after each structure that SSS may remove.
 *  structures: any bits 1u << COP_STRUCTURE_*. docs/methods.md, "SSS":
 *    block   one factor at the end of each residual branch (below), before the add
 *    group   a factor per group of each grouped conv, after batch-norm if the conv feeds one
 *    neuron  a factor per conv channel and dense unit, likewise
 *  A layer takes the first of these that fits it. The layers that give the classes take only a block's.
 *  Gates' names: "<node>.gate_op". Errors: NOMEM. */
cop_status copi_net_with_gates(const cop_net *net, unsigned structures, cop_net **gated);
/** The number of layers with a kernel on the longest path from the input to each node. The caller frees
 *  *depth [nodes]. */
cop_status copi_net_depths(const cop_net *net, int **depth);
/** The residual branch of an add is the summand with more layers before it (equal: neither is). Returns the branch's
 *  last node with parameters, seen through homogeneous ops. -1: no branch, or one that ends in something else, or one
 *  that other nodes read too. */
int copi_net_branch_end(const cop_net *net, int add, const int *depth);
/** Which nodes are gates of a whole block: a factor of 0 there leaves the shortcut. The caller frees *block. */
cop_status copi_net_block_gates(const cop_net *gated, bool **block);
/** What a structure behind each gate costs in MACs, relative to the mean over all structures of the net:
 *    block          all layers whose output reaches the end only through the gate
 *    group, neuron  (the layer + what its readers spend on its channels) / factors
 *  0 for nodes that are not gates. The caller frees *cost [nodes]. */
cop_status copi_net_gate_costs(const cop_net *gated, double **cost);
/** The inverse: fold every gate's factors into the conv or dense (weights, bias) or batch-norm (scale, shift) before
 *  it, then remove the gate nodes. Units whose factor is <= threshold are masked (weight, bias, scale, shift) to
 *  exact 0. Same function as the gated net when threshold is 0. */
cop_status copi_net_fold_gates(const cop_net *gated, double threshold, cop_net **folded);

#endif
