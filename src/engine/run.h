/* Running what a plan holds: lists of actions, threads, oneDNN's errors. */
#ifndef COPPICE_RUN_H
#define COPPICE_RUN_H

#include "engine/plan.h"

cop_status plan_dnnl(copi_plan *p, dnnl_status_t s, const char *what, int node); /* oneDNN's status as ours */
cop_status plan_run(copi_plan *p, const plan_actions *list);
cop_status plan_feed(copi_plan *p, const float *x, int64_t n); /* sets the images of the next forward */
int plan_enter(const copi_plan *p); /* sets the context's thread count; returns the former one for plan_leave */
void plan_leave(int threads);

#endif
