#ifndef COPPICE_LOSS_H
#define COPPICE_LOSS_H

#include "engine/plan.h"

void plan_loss(copi_plan *p, const copi_step *step, double *loss, int64_t *correct);
/** Row by row: logits [n,classes] -> y [n,classes]. */
void plan_softmax(copi_plan *p, const float *logits, int64_t n, float *y);

#endif
