#ifndef COPPICE_OPTIMIZER_H
#define COPPICE_OPTIMIZER_H

#include "engine/plan.h"

void plan_update(copi_plan *p, double rate);
void plan_gates_step(copi_plan *p, double eta);

#endif
