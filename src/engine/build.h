/* Pieces of lowering. The first failure is kept in plan->status; after it, every function here does nothing and
 * returns -1, NULL or the empty layout, so lowering is written without checks. */
#ifndef COPPICE_BUILD_H
#define COPPICE_BUILD_H

#include "engine/plan.h"

void plan_fail(copi_plan *p, cop_status status); /* keeps the first failure */
void plan_check(copi_plan *p, dnnl_status_t s, const char *what, int node);
int plan_new_slot(copi_plan *p, size_t bytes, bool persistent);
int plan_new_mem(copi_plan *p, const dn_md *md); /* in a slot of its own */
int plan_new_mem_at(copi_plan *p, const dn_md *md, int slot, size_t offset);
void plan_touch(copi_plan *p, int mem);
const dn_md *plan_md(copi_plan *p, int rank, const int64_t *dims, dnnl_data_type_t type, dnnl_format_tag_t tag);
const dn_md *plan_chosen(copi_plan *p, dnnl_primitive_desc_t pd, dnnl_query_t what); /* the layout it chose */
/** The plan takes ownership of pd. Returns pd, or NULL if s is a failure. */
dnnl_primitive_desc_t plan_pd(copi_plan *p, dnnl_status_t s, dnnl_primitive_desc_t pd, const char *what, int node);
dnnl_primitive_t plan_create(copi_plan *p, dnnl_primitive_desc_t pd, const char *what, int node);
/** Append a primitive. Its arguments are pairs (DNNL_ARG, mem); those with mem -1 are left out. */
void plan_primitive(copi_plan *p, const char *what, int node, dnnl_primitive_desc_t pd, int pairs,
                    const int (*pair)[2]);
#define PAIRS(...)                                                                                                   \
    (int)(sizeof((const int[][2]){__VA_ARGS__}) / sizeof(int[2])), (const int[][2]) {                                \
        __VA_ARGS__                                                                                                  \
    }
void plan_reorder(copi_plan *p, const char *what, int node, int src, int dst);
plan_action *plan_own(copi_plan *p, const char *what, int node,
                      void (*run)(copi_plan *, const plan_action *)); /* NULL on failure */
plan_actions *plan_begin(copi_plan *p, plan_actions *list); /* append to list from now on; returns the former list */
cop_status plan_connect(copi_plan *p);                      /* lay out the arena and point everything into it */

#endif
