/* A net lowered to oneDNN primitives. A plan owns one arena; running it never allocates. This is the only room that
 * includes dnnl.h. Its files in reading order, each of which calls only those before it:
 *   onednn, kernels, info                        both oneDNN versions; our own loops; what this build runs on
 *   plan.h                                       what a plan consists of
 *   run, build                                   running actions; making them, and the arena that they work in
 *   weights, loss, optimizer                     parameters in the engine's layout; what a step does besides actions
 *   elementwise, fuse, values, norm, pool        the pieces of lowering; lowering.h declares them
 *   lower_<family>, lower                        each op's actions; the whole net's
 *   step, create, predict, bench                 running a plan; its life; public functions that stand on both */
#ifndef COPPICE_ENGINE_H
#define COPPICE_ENGINE_H

#include "net/net.h"

typedef struct copi_plan copi_plan;

typedef struct copi_plan_options {
    int64_t batch;
    bool training; /* forward with dropout and batch statistics, backward, optimizer */
    bool averages; /* keep running averages of the parameters */
    cop_precision precision;
    uint64_t seed; /* of dropout */
} copi_plan_options;

/** How gates are trained: docs/methods.md, "SSS". The optimizer leaves them alone. */
typedef struct copi_gate_rule {
    cop_prox prox;
    double momentum;    /* mu */
    double gamma;       /* weight of |lambda|_1, multiplied by the gate's cost */
    const double *cost; /* [net nodes] of gate nodes; NULL: 1 for all */
} copi_gate_rule;

/** Lower net for a fixed batch size and copy its parameters and masks in (push). The net may be freed afterwards.
 *  Errors: UNSUPPORTED (op and node), NOMEM, INTERNAL (a oneDNN call failed: which, its status). */
cop_status copi_plan_create(cop_ctx *ctx, const cop_net *net, const copi_plan_options *options, copi_plan **plan);
void copi_plan_destroy(copi_plan *plan);
/** Parameters and masks, net -> plan, and plan -> net (same topology). Optimizer state is kept. */
cop_status copi_plan_push(copi_plan *plan, const cop_net *net);
cop_status copi_plan_pull(copi_plan *plan, cop_net *net);
/** The same, with the averages of trained parameters instead of their values. */
cop_status copi_plan_pull_average(copi_plan *plan, cop_net *net);
/** Inference (plan made with training == false): x [n,C,H,W] f32, n <= batch -> y [n,classes] f32, the net's
 *  output; logits (may be NULL) [n,classes]: the input of a final softmax, else the same as y. */
cop_status copi_plan_forward(copi_plan *plan, const float *x, int64_t n, float *y, float *logits);

/** The optimizer's options are those of the recipe, copied. Keeps the state. */
void copi_plan_set_optimizer(copi_plan *plan, const cop_recipe *recipe);
void copi_plan_set_gates(copi_plan *plan, const copi_gate_rule *rule);

typedef struct copi_step {
    const float *x;           /* [batch,C,H,W] */
    const int32_t *label;     /* [batch] */
    const float *teacher;     /* logits [batch,classes], or NULL */
    const cop_recipe *recipe; /* label smoothing and distillation; NULL: neither */
    double rate;              /* of this step, for the optimizer */
    double gate_rate;         /* eta of the factors; 0: they don't move */
    bool gradient_only;       /* compute gradients, leave parameters and state alone */
} copi_step;
/** One step: forward, loss, backward, optimizer, prox. *loss: mean over the batch of cross-entropy (with smoothing
 *  and distillation), without penalties. *correct: top-1 hits. Errors: ARG; DIVERGED when the loss is not finite
 *  (parameters are left as before the step). */
cop_status copi_plan_step(copi_plan *plan, const copi_step *step, double *loss, int64_t *correct);
/** d loss / d parameter of the last step in logical layout, without decay and penalties; out [count of param]. */
cop_status copi_plan_gradient(copi_plan *plan, int param, float *out);

/** Optimizer state, in logical layout [count of param]. Slots 0 and 1: velocity of SGD, both moments of Adam, v and
 *  look-ahead l' of gates. Slot 2: the averages, if the plan keeps them. Adam's bias correction and dropout's random
 *  numbers depend on the step counter. */
int copi_plan_state_slots(const copi_plan *plan);
cop_status copi_plan_state_get(copi_plan *plan, int slot, int param, float *out);
cop_status copi_plan_state_set(copi_plan *plan, int slot, int param, const float *in);
int64_t copi_plan_steps(const copi_plan *plan);
void copi_plan_set_steps(copi_plan *plan, int64_t steps);

cop_precision copi_plan_precision(const copi_plan *plan); /* F32 or BF16, also where AUTO was asked for */
/** Time each primitive alone (median of runs): *primitives is the sum in seconds, *own that of our own kernels;
 *  either may be NULL. Each name and time is logged at DEBUG. Afterwards optimizer state and running statistics are
 *  meaningless, so make a plan for timing alone. */
cop_status copi_plan_time(copi_plan *plan, int runs, double *primitives, double *own);
const char *copi_engine_info(void); /* "oneDNN 2.6.3, avx512_core_bf16" */
bool copi_engine_bf16(void);        /* has oneDNN bf16 kernels for this processor? */

#endif
