/* From ops to actions. Each lower_<family>.c makes the actions of its ops from the pieces declared here. */
#ifndef COPPICE_LOWERING_H
#define COPPICE_LOWERING_H

#include "engine/build.h"

typedef struct copi_lowering {
    void (*forward)(copi_plan *p, int node);  /* NULL: the op runs only where another node does its work */
    void (*backward)(copi_plan *p, int node); /* NULL: nothing to do */
} copi_lowering;
#define X(NAME, name, family, traits, help) extern const copi_lowering copi_lower_##family;
#include "net/ops.def"
#undef X

/* fuse.c: nodes whose work other nodes do */
void plan_find_fusions(copi_plan *p);
bool plan_owns(const copi_plan *p, int from, int node); /* does only node read the output of `from`? */

/* elementwise.c: our own kernels as actions */
/* The part-th of parts nearly equal ranges of n, cut at multiples of unit. */
void plan_split(int64_t n, int64_t unit, int part, int parts, int64_t *begin, int64_t *end);
copi_act plan_act(const copi_plan *p, int node); /* node: a rectifier; -1: the identity */
/** y from x and z, each -1 where run takes none. NULL on failure. */
plan_action *plan_elementwise(copi_plan *p, const char *what, int node, void (*run)(copi_plan *, const plan_action *),
                              int y, int x, int z);
void plan_act_forward(copi_plan *p, int node, int y, int x);
void plan_act_back(copi_plan *p, int act, int dx, int dy, int y); /* dx may be dy */
/** dx = y > 0 ? scale dy : 0 */
void plan_mask_back(copi_plan *p, int node, int dx, int dy, int y, float scale);
void plan_drop(copi_plan *p, const char *what, int node, int y, int x);
float plan_drop_scale(const copi_plan *p, int node);
void plan_sum(copi_plan *p, const char *what, int node, int y, int a, int b, copi_act act);

/* values.c: the outputs of nodes, and their gradients */
dnnl_data_type_t plan_type(const copi_plan *p);
plan_value *plan_value_of(copi_plan *p, int node);
plan_value *plan_new_value(copi_plan *p, int node, const dn_md *md, bool needs_grad); /* NULL on failure */
void plan_adopt(copi_plan *p, int from, int node); /* node shares the value of `from` */
/** The layout of a node's output: [N,C,H,W], or flat [N,C*H*W]. plan_plain_md: row-major. */
const dn_md *plan_node_md(copi_plan *p, int node, dnnl_data_type_t type, bool flat, dnnl_format_tag_t tag);
const dn_md *plan_plain_md(copi_plan *p, int node, dnnl_data_type_t type, bool flat);
int plan_in_layout(copi_plan *p, int node, int mem, const dn_md *want); /* mem itself, or a copy */
int plan_adapt(copi_plan *p, int node, int src, const dn_md *want);     /* src's value in that layout */
/** The mem where a reader of v writes its part of v's gradient, in layout md: v->diff for the first reader if the
 *  layout is equal, else a temporary that plan_contributed adds to v->diff. */
int plan_contribution(copi_plan *p, plan_value *v, const dn_md *md);
void plan_contributed(copi_plan *p, int node, plan_value *v, int target);

/* norm.c: batch-norm of channels-last images */
bool plan_norms(copi_plan *p, int node); /* is norm.c faster than oneDNN for this node? */
void plan_norm_forward(copi_plan *p, int node, int y, int x);
void plan_norm_backward(copi_plan *p, int node, int dx, int x, int dy);
cop_status plan_norm_finish(copi_plan *p);

/* pool.c: max-pooling of 2 x 2 pixels */
/** The layout of node's output if pool.c can do this pooling in its input's layout; else NULL. */
const dn_md *plan_pools(copi_plan *p, int node);
void plan_pool_forward(copi_plan *p, int node, int y, int x);
void plan_pool_backward(copi_plan *p, int node, int dx, int dy);

/* lower.c */
void plan_lower(copi_plan *p);

#endif
