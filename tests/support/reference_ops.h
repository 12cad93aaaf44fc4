/* The reference's table of ops; for tests/support alone. */
#ifndef COPPICE_TEST_REFERENCE_OPS_H
#define COPPICE_TEST_REFERENCE_OPS_H

#include "reference.h"

typedef struct ref_op {
    void (*forward)(ref_run *r, int node);  /* r->out of its inputs -> r->out[node] */
    void (*backward)(ref_run *r, int node); /* adds to r->grad of its inputs and to r->dparam */
} ref_op;
extern const ref_op ref_ops[COPI_OPS];

#endif
