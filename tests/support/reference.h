/* The plain reference: every op, forward and backward, in double precision, in the loops of its definition. What is
 * fast, sparse, shrunk or distributed must match it. It knows no order of summation but the definition's, no fusing,
 * and its own copy of the parameters, so that finite differences are as exact as double allows.
 *
 *     ref_run *r = ref_create(net, n);          // parameters copied, inference
 *     ref_forward(r, x);                        // x [n,C,H,W]
 *     double loss = ref_loss(r, label, NULL);   // cross-entropy of the logits, and d loss / d logits
 *     ref_backward(r);                          // r->dparam[p], r->grad[node]
 *     ref_destroy(r);
 * It uses malloc, and aborts the test program when there is no memory. */
#ifndef COPPICE_TEST_REFERENCE_H
#define COPPICE_TEST_REFERENCE_H

#include "net/net.h"

typedef struct ref_run {
    const cop_net *net;
    int64_t n;     /* images */
    bool training; /* batch-norm takes the batch's statistics; dropout applies keep. Set it after create */
    const uint8_t *const *keep; /* [nodes]; keep[i] [n,count] of dropout node i: 1 kept, 0 dropped; NULL: all kept,
                                  and then unscaled (dropout is the identity) */
    double **param;             /* [params][count] copy of the net's parameters; change it for finite differences */
    double **out;               /* [nodes][n*count] what each node gives */
    double **grad;              /* [nodes][n*count] d loss / d out, by ref_backward */
    double **dparam;            /* [params][count] d loss / d parameter (masks play no part; running statistics: 0) */
    double **batch_mean;        /* [nodes][C] of batch-norm nodes: the statistics used by the last forward */
    double **batch_var;         /*   (training: of the batch, variance divided by n*H*W; else the running ones) */
    int logits;                 /* the node whose output the loss sees: the input of a final softmax, else the last */
} ref_run;

ref_run *ref_create(const cop_net *net, int64_t n);
void ref_destroy(ref_run *r);
void ref_forward(ref_run *r, const double *x);
/** What the last op gives for n random images drawn from seed, [n, its elements]; the caller's to free. */
double *ref_outputs(const cop_net *net, int64_t n, uint64_t seed);
int64_t ref_count(const cop_net *net, int node); /* elements of one image of the node's output */

/** How the loss is made up; NULL in ref_loss: plain cross-entropy. Fields as in copi_step. */
typedef struct ref_loss_params {
    double label_smoothing;
    const double *teacher; /* logits [n,classes], or NULL */
    double distil_share, distil_temperature;
} ref_loss_params;
/** Mean over the images of (1-a) CE(softmax(logits), smoothed labels) + a T^2 KL(softmax(teacher/T) ||
 * softmax(logits/T)); a = 0 without a teacher. Sets grad of the logits' node to d loss / d logits, all others to
 * 0. */
double ref_loss(ref_run *r, const int32_t *label, const ref_loss_params *params);
/** Any other loss: set grad of one node, all others to 0. dout [n*count]. */
void ref_seed(ref_run *r, int node, const double *dout);
/** Push grad down from the nodes where it was set to every node and parameter. */
void ref_backward(ref_run *r);

#endif
