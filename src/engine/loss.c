/* Softmax, cross-entropy with label smoothing, distillation. */
#include "engine/loss.h"

void plan_softmax(copi_plan *p, const float *logits, int64_t n, float *y) {
    for (int64_t i = 0; i < n; i++, logits += p->classes, y += p->classes) {
        copi_softmax(logits, p->classes, 1, p->loss_row);
        for (int c = 0; c < p->classes; c++) y[c] = (float)p->loss_row[c];
    }
}

/** Mean loss over the batch and its gradient by the logits z:
 *    L = (1-a) CE(q, softmax(z)) + a T^2 KL(softmax(t/T) || softmax(z/T)),  q = (1-e) onehot + e / C
 *    dL/dz = ((1-a) (softmax(z) - q) + a T (softmax(z/T) - softmax(t/T))) / N
 *  Source: Hinton et al. 2015, arXiv:1503.02531; Szegedy et al. 2016 for q. */
void plan_loss(copi_plan *p, const copi_step *step, double *loss, int64_t *correct) {
    const int classes = p->classes;
    const int64_t n = p->options.batch;
    const float *z = p->mems[p->logits].data;
    void *d = p->mems[p->dlogits].data;
    const cop_recipe *r = step->recipe;
    const double e = r ? r->label_smoothing : 0, a = r && step->teacher ? r->distil_share : 0,
                 t = r ? r->distil_temperature : 1;
    double total = 0;
    int64_t hits = 0;
    double *y = p->loss_row, *student = y + classes, *teacher = student + classes;
    for (int64_t i = 0; i < n; i++) {
        const float *row = z + i * classes;
        double log_sum = copi_softmax(row, classes, 1, y), kl = 0, ce = 0;
        int best = 0;
        for (int c = 1; c < classes; c++)
            if (row[c] > row[best]) best = c;
        hits += best == step->label[i];
        for (int c = 0; c < classes; c++)
            ce += ((c == step->label[i] ? 1 - e : 0) + e / classes) * (log_sum - row[c]);
        if (a > 0) {
            const float *teach = step->teacher + i * classes;
            double log_s = copi_softmax(row, classes, t, student), log_t = copi_softmax(teach, classes, t, teacher);
            for (int c = 0; c < classes; c++) kl += teacher[c] * ((teach[c] / t - log_t) - (row[c] / t - log_s));
        }
        total += (1 - a) * ce + a * t * t * kl;
        for (int c = 0; c < classes; c++) {
            double q = (c == step->label[i] ? 1 - e : 0) + e / classes, g = (1 - a) * (y[c] - q);
            if (a > 0) g += a * t * (student[c] - teacher[c]);
            float scaled = (float)(g / (double)n);
            if (p->bf16)
                ((copi_bf16 *)d)[i * classes + c] = copi_f32_to_bf16(scaled);
            else
                ((float *)d)[i * classes + c] = scaled;
        }
    }
    *loss = total / (double)n;
    *correct = hits;
}
