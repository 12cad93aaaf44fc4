/* Little nets for tests: random DAGs over every op, with parameters that hide no mistake (no zeros, no ones). */
#ifndef COPPICE_TEST_NETS_H
#define COPPICE_TEST_NETS_H

#include "net/net.h"

typedef struct test_net_params {
    uint64_t seed;
    int64_t channels, height, width; /* 0: drawn: 1-4 channels, 6-11 rows and columns */
    int classes;                     /* 0: drawn, 2-6 */
    int stages;                      /* blocks one after another; 0: drawn, 1-4 */
    int gates;                       /* 1: gate nodes too */
    int softmax;                     /* 1: ends in a softmax; 0: drawn */
} test_net_params;

/** A random DAG drawn from seed alone: conv (stride, dilation, unequal padding, groups, depthwise, 1x1), batch-norm,
 * ReLU family, max/avg/global pools, residual adds (identity and projected), concat of branches and of one tensor
 * with itself, dropout, flatten of 1x1 and k x k maps, dense layers. Parameters as test_net_fill. NULL: no memory
 * (the error is in ctx); anything else that goes wrong ends the test. */
cop_net *test_net_random(cop_ctx *ctx, const test_net_params *params);
/** Random values for every parameter: kernels He-scaled, biases and shifts normal 0.1, scales 0.5-1.5 of either sign,
 *  running means normal 0.2, variances 0.5-2, gates 0.5-1.5. */
void test_net_fill(cop_net *net, uint64_t seed);
/** Mask a random share of the weights of each conv and dense kernel, and set them to 0. */
void test_net_mask(cop_net *net, uint64_t seed, double share);
/** x [count] normal numbers, the same for the same seed. */
void test_fill_normal(uint64_t seed, float *x, int64_t count);

#endif
