/* The ways to combine prune and train: one file per family, one line each in methods.def. */
#ifndef COPPICE_METHOD_H
#define COPPICE_METHOD_H

#include "prune/prune.h"
#include "train/train.h"

typedef struct copi_run {          /* what a method's function works with */
    cop_ctx *ctx;
    const cop_net *dense;
    const cop_data *data;
    const cop_method_params *params;
    cop_point_fn on_point;
    void *user;
    bool stopped;                  /* on_point asked to stop */
    double epochs, seconds, macs;  /* spent so far */
} copi_run;
typedef struct copi_method {
    const char *name, *help;
    cop_status (*run)(copi_run *run, cop_net **result);
} copi_method;
const copi_method *copi_method_find(const char *name);
/** Measure net (both splits), fill a point and report it. */
cop_status copi_run_point(copi_run *run, const cop_net *net, cop_point *point, cop_history *history);

#endif
