/* What the criteria share; for the prune room alone. */
#ifndef COPPICE_CRITERIA_H
#define COPPICE_CRITERIA_H

#include "prune/prune.h"

#define X(symbol) extern const copi_criterion copi_criterion_##symbol;
#include "prune/criteria.def"
#undef X

/* A kernel as one row of weights per filter or neuron. */
typedef struct copi_rows {
    int64_t rows, length;
    const float *weight; /* [rows,length], owned by the net */
} copi_rows;
copi_rows copi_rows_of(const cop_net *net, const copi_node *node);

#endif
