/* Made-up studies, for what must be told apart from what a real training gives: exact figures, texts that would break
 * a page, endings that are hard to reach. They go through the store like real ones. */
#ifndef COPPICE_TEST_SYNTHETIC_H
#define COPPICE_TEST_SYNTHETIC_H

#include "report/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct made_point {
    double sparsity, val, test, epochs;
    int round;
} made_point;
typedef struct made_trial {
    const char *method;
    double level; /* share, or sss's gamma */
    int seed;
    const char *status;
    const char *message;
    made_point point[4]; /* ends with sparsity < 0 */
    int points;
} made_trial;

#define MADE_CONV 1000  /* parameters of the one conv layer */
#define MADE_DENSE 9000 /* of the one dense layer */

static inline int64_t made_whole(double x) {
    return (int64_t)floor(x + 0.5);
}

static inline char *made_text(const char *text) {
    char *copy = malloc(strlen(text) + 1);
    if (!copy) abort();
    return strcpy(copy, text);
}

/* Fill what the store takes; conv loses conv_share of what the dense layer loses. */
static inline void made_stored_point(const made_trial *t, int i, double conv_share, copi_stored_point *out,
                                     copi_layer_row layer[2], cop_epoch *epoch) {
    static char conv[] = "conv1", conv_op[] = "conv", dense[] = "dense <1>", dense_op[] = "dense";
    const made_point *m = &t->point[i];
    bool sss = strcmp(t->method, "sss") == 0;
    double all = MADE_CONV + MADE_DENSE, gone = m->sparsity * all;
    double dense_gone = gone / (1 + conv_share * MADE_CONV / MADE_DENSE);
    double conv_gone = gone - dense_gone;
    layer[0] =
        (copi_layer_row){conv, conv_op, MADE_CONV, MADE_CONV - made_whole(conv_gone), 50000, conv_gone / MADE_CONV};
    layer[1] = (copi_layer_row){
        dense, dense_op, MADE_DENSE, MADE_DENSE - made_whole(dense_gone), 9000, dense_gone / MADE_DENSE};
    *out = (copi_stored_point){.layer = layer, .layers = 2};
    out->p = (cop_point){.round = m->round,
                         .level = t->level,
                         .asked = sss ? NAN : t->level,
                         .threshold = sss ? i * 1e-3 : NAN,
                         .sparsity = m->sparsity,
                         .sparsity_conv = conv_gone / MADE_CONV,
                         .sparsity_dense = dense_gone / MADE_DENSE,
                         .accuracy_val = m->val,
                         .accuracy_test = m->test,
                         .accuracy_pruned = m->round ? m->val / 2 : NAN,
                         .parameters = MADE_CONV + MADE_DENSE,
                         .nonzero = layer[0].nonzero + layer[1].nonzero,
                         .macs = 100000,
                         .macs_effective = made_whole(100000 * (1 - m->sparsity)),
                         .epochs = m->epochs,
                         .seconds = 10 * m->epochs,
                         .train_macs = 1e9 * m->epochs};
    int epochs = (int)m->epochs;
    for (int e = 0; e < epochs; e++)
        epoch[e] = (cop_epoch){.epoch = e + 1,
                               .rate = 1e-3,
                               .loss = 2.0 / (e + 2),
                               .accuracy = m->val - 0.1 / (e + 1),
                               .accuracy_validation = m->val - 0.05 / (e + 1),
                               .loss_validation = NAN,
                               .seconds = 10 * (e + 1)};
    out->p.history = (cop_history){.epoch = epoch, .count = epochs};
}

/* Put trials into a store and its plan. Trials of one method and level are one setting. */
static inline cop_status made_fill(cop_ctx *ctx, copi_store *store, const made_trial *made, int n, double floor_,
                                   const char *name) {
    copi_trials plan = {.ctx = ctx, .trial = copi_alloc(ctx, (size_t)n, sizeof(copi_trial)), .n = n};
    if (!plan.trial) return COP_E_NOMEM;
    char floor_text[32];
    snprintf(floor_text, sizeof floor_text, "%.17g", floor_);
    const struct {
        const char *key, *value;
    } meta[] = {{"name", name},
                {"floor", floor_text},
                {"spec_path", "made & up.yaml"},
                {"spec_text", "name: \"<script>alert(1)</script>\"\ndata: {path: d}\n"},
                {"command", "coppice study run made.yaml -o dir"},
                {"program", "Coppice"},
                {"build", "a build"},
                {"machine", "a machine"},
                {"threads", "2"},
                {"model", "lenet-5"},
                {"data_path", "/data/<set>"},
                {"data_format", "idx"},
                {"data_shape", "1 x 28 x 28"},
                {"data_classes", "10"},
                {"data_images", "100 train, 20 validation, 30 test"},
                {"data_digest", "0123"}};
    cop_status status = COP_OK;
    for (size_t i = 0; !status && i < COPI_COUNT(meta); i++)
        status = copi_store_set(store, meta[i].key, meta[i].value);
    for (int i = 0; !status && i < n; i++) {
        const made_trial *m = &made[i];
        copi_trial *t = &plan.trial[i];
        bool sss = strcmp(m->method, "sss") == 0, dense = strcmp(m->method, COPI_METHOD_DENSE) == 0;
        *t = (copi_trial){.method = m->method,
                          .seed = (uint64_t)m->seed,
                          .level = dense ? NAN : m->level,
                          .asked = sss ? NAN : m->level};
        /* the number of points and the rounds tell settings of one method and level apart */
        char setting[64];
        snprintf(setting, sizeof setting, "%.8s-%g-%d", m->method, m->level, m->point[0].round);
        snprintf(t->setting, sizeof t->setting, "%.19s", setting);
        snprintf(t->name, sizeof t->name, "%.15s-%d", setting, m->seed);
        snprintf(t->label, sizeof t->label, dense ? "dense net" : "%s %g", m->method, m->level);
        if (strcmp(m->status, COPI_PENDING) == 0) continue;
        copi_stored_point point[4];
        copi_layer_row layer[4][2];
        cop_epoch epoch[4][16];
        bool filters = strstr(m->method, "filter") != NULL;
        for (int k = 0; k < m->points; k++) made_stored_point(m, k, filters ? 4 : 0.5, &point[k], layer[k], epoch[k]);
        copi_stored_trial stored = {.name = t->name,
                                    .label = t->label,
                                    .method = made_text(m->method),
                                    .status = made_text(m->status),
                                    .message = made_text(m->message ? m->message : ""),
                                    .seed = t->seed,
                                    .seconds = m->points ? 10 * m->point[m->points - 1].epochs + 0.5 : 0.5,
                                    .point = point,
                                    .points = m->points};
        status = copi_store_put(store, &stored, NULL);
        free(stored.method);
        free(stored.status);
        free(stored.message);
    }
    if (!status) status = copi_store_plan(store, &plan);
    copi_trials_clear(&plan);
    return status;
}

#endif
