/* The optimizers and SSS's proximal step, over the parameter arenas. */
#include "engine/optimizer.h"

#include <math.h>

/** Move every trained parameter against its gradient.
 *    SGD    d = g + decay w;  v = mu v + d;  w -= rate (d + mu v)                              (Nesterov)
 *    Adam   d = g + decay w;  m, v: moments of d;  w -= rate m^ / (sqrt(v^) + epsilon)
 *    AdamW  d = g; the same after w *= 1 - rate decay
 *  and then, at step t = 1, 2, .., where the plan keeps averages,
 *    a += (1 - d) (w - a),  d = min(average, (t - 1) / (t + 9))
 *  Here g includes l1 sign(w) + 2 (l2 + l2_conv) w. decay, l1, l2 act on kernels only; batch-norm scales get
 *  l1_scale sign(w). Masked entries become 0.
 *  A batch-norm scale that a factor multiplies does not move: without decay, it would grow as the factor falls.
 *  Source: Kingma & Ba 2015; Loshchilov & Hutter 2019; Sutskever et al. 2013. docs/methods.md, "Optimizers". */
void plan_update(copi_plan *p, double rate) {
    const cop_recipe *o = &p->optimizer;
    bool sgd = o->optimizer == COP_OPTIMIZER_SGD, decoupled = o->optimizer == COP_OPTIMIZER_ADAMW;
    copi_update base = {.rate = (float)rate,
                        .momentum = (float)o->momentum,
                        .beta1 = (float)o->beta1,
                        .beta2 = (float)o->beta2,
                        .epsilon = (float)o->epsilon,
                        .shrink = 1.0f};
    if (!sgd) {
        base.correct1 = (float)(1.0 / (1.0 - pow(o->beta1, (double)p->steps)));
        base.correct2 = (float)(1.0 / (1.0 - pow(o->beta2, (double)p->steps)));
    }
    const double t = (double)p->steps; /* this step included */
    const float share = (float)(1 - fmin(o->average, (t - 1) / (t + 9)));
    copi_update kernel = base;
    kernel.l1 = (float)o->l1;
    kernel.l2 = (float)(2 * o->l2 + (decoupled ? 0 : o->decay));
    if (decoupled) kernel.shrink = (float)(1.0 - rate * o->decay);
    copi_update scale = base;
    scale.l1 = (float)o->l1_scale;
    copi_update conv = kernel;
    conv.l2 = (float)(2 * (o->l2 + o->l2_conv) + (decoupled ? 0 : o->decay));
#pragma omp parallel for schedule(static)
    for (int c = 0; c < p->chunks; c++) {
        const plan_weight *w = &p->weights[p->chunk[c].weight];
        const bool rests = w->kind == COPI_PARAM_SCALE && w->gate >= 0;
        int64_t at = p->chunk[c].begin, n = p->chunk[c].n;
        const copi_update *u = w->conv ? &conv : w->kernel ? &kernel : w->kind == COPI_PARAM_SCALE ? &scale : &base;
        const uint8_t *keep = w->masked ? p->keep + at : NULL;
        if (!rests && sgd)
            p->kernels->sgd(p->w + at, p->g + at, p->s0 + at, keep, n, u);
        else if (!rests)
            p->kernels->adam(p->w + at, p->g + at, p->s0 + at, p->s1 + at, keep, n, u);
        if (p->options.averages) p->kernels->average(p->average + at, p->w + at, keep, n, share);
    }
}

/** Move the factors of all gates. s0 holds v, s1 the look-ahead point l' at which the gradient was taken, w the
 *  factors:
 *    apg          z = l' - eta g
 *                 lambda = max(0, z - eta gamma)
 *                 v = lambda - l' + mu v
 *                 l' = max(0, lambda + mu v)
 *    subgradient  v = mu v + g + gamma sign(lambda)
 *                 lambda -= eta v
 *                 l' = lambda
 *  The clamp inside v keeps the momentum from winding up.
 *  Source: Huang & Wang 2018, arXiv:1707.01213. docs/methods.md, "SSS". */
void plan_gates_step(copi_plan *p, double eta) {
    const double mu = p->gates.momentum;
    for (int i = 0; i < p->weight_count; i++) {
        const plan_weight *w = &p->weights[i];
        if (w->kind != COPI_PARAM_GATE) continue;
        int node = p->net->param[w->param].node;
        double gamma = p->gates.gamma * (p->gates.cost ? p->gates.cost[node] : 1.0);
        for (int64_t u = w->at; u < w->at + w->count; u++) {
            double g = p->g[u], v = p->s0[u], ahead = p->s1[u];
            if (p->gates.prox == COP_PROX_APG) {
                double lambda = fmax(0, ahead - eta * g - eta * gamma);
                v = lambda - ahead + mu * v;
                p->s1[u] = (float)fmax(0, lambda + mu * v);
                p->w[u] = (float)lambda;
            } else {
                v = mu * v + g + gamma * ((ahead > 0) - (ahead < 0));
                p->s1[u] = p->w[u] = (float)(ahead - eta * v);
            }
            p->s0[u] = (float)v;
        }
    }
}
