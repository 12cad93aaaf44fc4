/* Parameters in the engine's layout: weights.c. */
#ifndef COPPICE_WEIGHTS_H
#define COPPICE_WEIGHTS_H

#include "engine/plan.h"

/** Register a parameter. md and logical NULL: a plain vector. gate: the weight number of its factors, or -1. */
int plan_new_weight(copi_plan *p, int node, int slot_in_node, const dn_md *md, const dn_md *logical, int gate);
int plan_new_gate(copi_plan *p, int node); /* the gate fused into node, -1: none */
/** The weights in the layout and type that a primitive wants: the mem itself, or a copy that `prepare` makes. */
int plan_prepared(copi_plan *p, int node, int weight, const dn_md *want);
cop_status plan_weights_finish(copi_plan *p); /* reorders, gate units, chunks; after the arena exists */
void plan_gate_gradients(copi_plan *p);
void plan_weights_free(copi_plan *p);

#endif
