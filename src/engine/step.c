/* Running a plan: inference, and training steps. */
#include "engine/loss.h"
#include "engine/optimizer.h"
#include "engine/run.h"
#include "engine/weights.h"

#include <math.h>
#include <string.h>

cop_status copi_plan_forward(copi_plan *p, const float *x, int64_t n, float *y, float *logits) {
    if (p->options.training || n < 1 || n > p->options.batch)
        return copi_fail(p->ctx, COP_E_ARG, "forward: %lld images for a plan of batch %lld made for %s", (long long)n,
                         (long long)p->options.batch, p->options.training ? "training" : "inference");
    int threads = plan_enter(p);
    cop_status s = plan_feed(p, x, n);
    if (!s) s = plan_run(p, &p->forward);
    plan_leave(threads);
    if (s) return s;
    const float *z = p->mems[p->logits].data;
    size_t bytes = (size_t)(n * p->classes) * sizeof *z;
    if (logits) memcpy(logits, z, bytes);
    if (p->net->node[p->net->nodes - 1].op == COPI_OP_SOFTMAX)
        plan_softmax(p, z, n, y);
    else
        memcpy(y, z, bytes);
    return COP_OK;
}

static cop_status run_step(copi_plan *p, const copi_step *step, double *loss, int64_t *correct) {
    cop_status s = plan_feed(p, step->x, p->options.batch);
    uint32_t random[4];
    copi_philox(p->options.seed, COPI_STREAM_DROPOUT, (uint64_t)p->steps, random);
    p->step_key = (uint64_t)random[0] << 32 | random[1];
    if (s || (p->stale && (s = plan_run(p, &p->prepare)))) return s;
    p->stale = false;
    if ((s = plan_run(p, &p->forward))) return s;
    plan_loss(p, step, loss, correct);
    if (!isfinite(*loss))
        return copi_fail(p->ctx, COP_E_DIVERGED, "the loss is %s at step %lld; a smaller rate may help",
                         isnan(*loss) ? "not a number" : "infinite", (long long)p->steps);
    if ((s = plan_run(p, &p->backward))) return s;
    plan_gate_gradients(p);
    if (step->gradient_only) return COP_OK;
    p->steps++;
    if ((s = plan_run(p, &p->statistics))) return s;
    plan_update(p, step->rate);
    if (step->gate_rate > 0) plan_gates_step(p, step->gate_rate);
    p->stale = true;
    return COP_OK;
}

cop_status copi_plan_step(copi_plan *p, const copi_step *step, double *loss, int64_t *correct) {
    *loss = NAN;
    *correct = 0;
    if (!p->options.training) return copi_fail(p->ctx, COP_E_ARG, "step: the plan was made for inference");
    for (int64_t i = 0; i < p->options.batch; i++)
        if (step->label[i] < 0 || step->label[i] >= p->classes)
            return copi_fail(p->ctx, COP_E_ARG, "step: label %d of image %lld is not in [0,%d)", (int)step->label[i],
                             (long long)i, p->classes);
    int threads = plan_enter(p);
    cop_status s = run_step(p, step, loss, correct);
    plan_leave(threads);
    return s;
}

void copi_plan_set_optimizer(copi_plan *p, const cop_recipe *recipe) {
    p->optimizer = *recipe;
}
void copi_plan_set_gates(copi_plan *p, const copi_gate_rule *rule) {
    p->gates = *rule;
}
int64_t copi_plan_steps(const copi_plan *p) {
    return p->steps;
}
void copi_plan_set_steps(copi_plan *p, int64_t steps) {
    p->steps = steps;
}
cop_precision copi_plan_precision(const copi_plan *p) {
    return p->bf16 ? COP_PRECISION_BF16 : COP_PRECISION_F32;
}
