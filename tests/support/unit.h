/* One unit by the rules of src/prune: held at zero, or found to be zero. For tests of room prune and those above
 * it. */
#ifndef COPPICE_TEST_UNIT_H
#define COPPICE_TEST_UNIT_H

#include "net/net.h"

/** Mask one output unit (filter o of a conv, neuron o of a dense) whole: weights, bias, and the scale and shift of
 * every batch-norm that then reads nothing but zeros in its place (after pools, concats, adds of which all summands
 * are gone), so that what comes after is exactly 0. Errors: ARG (not a unit of a conv or dense), NOMEM. */
cop_status test_mask_unit(cop_net *net, int node, int64_t unit);
/** Is output channel `unit` of node exactly 0 for every input, by the zeros of its own parameters and of those
 * between it and the convs and denses before it? shrink removes these, and what follows from dead inputs besides. */
bool test_unit_dead(const cop_net *net, int node, int64_t unit);

#endif
