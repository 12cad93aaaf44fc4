/* Means over seeds, frontiers, hypervolume, the best of each method. Choices are made on validation; the figures
 * shown of them are those of the test split (docs/methods.md, "Honest evaluation"). */
#include "report/report.h"

#include <math.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------------ measures -- */

copi_spread copi_spread_of(const double *x, int n) {
    copi_spread s = {NAN, NAN, 0};
    double sum = 0, squares = 0;
    for (int i = 0; i < n; i++) {
        if (isnan(x[i])) continue;
        sum += x[i];
        s.n++;
    }
    if (s.n == 0) return s;
    s.mean = sum / s.n;
    for (int i = 0; i < n; i++)
        if (!isnan(x[i])) squares += (x[i] - s.mean) * (x[i] - s.mean);
    if (s.n > 1) s.std = sqrt(squares / (s.n - 1));
    return s;
}

void copi_frontier(const double *x, const double *y, int n, bool *on) {
    for (int i = 0; i < n; i++) {
        on[i] = !isnan(x[i]) && !isnan(y[i]);
        for (int k = 0; on[i] && k < n; k++) {
            bool not_worse = x[k] >= x[i] && y[k] >= y[i]; /* false with a NaN */
            if (not_worse && (x[k] > x[i] || y[k] > y[i] || k < i)) on[i] = false;
        }
    }
}

void copi_order(const double *x, int n, int *order) {
    for (int i = 0; i < n; i++) {
        int k = i;
        for (; k > 0 && x[order[k - 1]] > x[i]; k--) order[k] = order[k - 1];
        order[k] = i;
    }
}

double copi_hypervolume(const double *x, const double *y, int n, double x0, double y0, int *scratch) {
    double area = 0, top = y0;
    copi_order(x, n, scratch);
    /* from the right: a point higher than all to its right adds a strip, as wide as its distance from x0 */
    for (int i = n - 1; i >= 0; i--) {
        int k = scratch[i];
        if (!(x[k] > x0) || !(y[k] > top)) continue;
        area += (x[k] - x0) * (y[k] - top);
        top = y[k];
    }
    return area;
}

/* ------------------------------------------------------------------------------------------------ settings -- */

const copi_stored_point *copi_setting_point(const copi_setting *s) {
    return &s->trial->point[s->index];
}

const copi_stored_point *copi_setting_best(const copi_setting *s) {
    return &s->best_seed->point[s->index];
}

bool copi_setting_tuned(const copi_setting *s) {
    return copi_setting_point(s)->p.epochs > 0;
}

const char *copi_setting_label(const copi_setting *s, char out[160]) {
    const cop_point *p = &copi_setting_point(s)->p;
    snprintf(out, 160, "%s", s->trial->label);
    if (s->trial->points > 1 && !isnan(p->threshold))
        copi_append(out, 160, ", threshold %g", p->threshold);
    else if (s->trial->points > 1)
        copi_append(out, 160, ", after round %d", p->round);
    return out;
}

/* The trials of one setting that have a point, and room for a measure of each. */
typedef struct sample {
    const copi_results *r;
    const copi_stored_trial **trial; /* [n] */
    double *value;                   /* [n] */
    int n, index;
} sample;

static copi_spread spread(const sample *s, double (*measure)(const cop_point *p, double floor)) {
    for (int i = 0; i < s->n; i++) s->value[i] = measure(&s->trial[i]->point[s->index].p, s->r->floor);
    return copi_spread_of(s->value, s->n);
}

#define MEASURE(name, value)                                                                                         \
    static double name(const cop_point *p, double floor) {                                                           \
        (void)floor;                                                                                                 \
        return value;                                                                                                \
    }
MEASURE(get_sparsity, p->sparsity)
MEASURE(get_conv, p->sparsity_conv)
MEASURE(get_dense, p->sparsity_dense)
MEASURE(get_val, p->accuracy_val)
MEASURE(get_test, p->accuracy_test)
MEASURE(get_score_val, cop_score(p->accuracy_val, p->sparsity, floor))
MEASURE(get_score, cop_score(p->accuracy_test, p->sparsity, floor))
MEASURE(get_epochs, p->epochs)
MEASURE(get_seconds, p->seconds)
MEASURE(get_macs, p->train_macs)
MEASURE(get_nonzero, (double)p->nonzero)
MEASURE(get_effective, (double)p->macs_effective)

static void measure_setting(const sample *s, copi_setting *out) {
    out->seeds = s->n;
    out->sparsity = spread(s, get_sparsity);
    out->sparsity_conv = spread(s, get_conv);
    out->sparsity_dense = spread(s, get_dense);
    out->val = spread(s, get_val);
    out->test = spread(s, get_test);
    out->score = spread(s, get_score);
    out->epochs = spread(s, get_epochs);
    out->seconds = spread(s, get_seconds);
    out->train_macs = spread(s, get_macs);
    out->nonzero = spread(s, get_nonzero);
    out->macs_effective = spread(s, get_effective);
    out->score_val = spread(s, get_score_val);
    int best = 0; /* s->value still holds the validation scores */
    for (int i = 1; i < s->n; i++)
        if (s->value[i] > s->value[best]) best = i;
    out->best_seed = s->trial[best];
}

/* Diverged or refused by itself, not because its dense net is missing. */
static bool went_wrong(const copi_results *r, const copi_stored_trial *trial) {
    if (strcmp(trial->status, COPI_DIVERGED) != 0 && strcmp(trial->status, COPI_REFUSED) != 0) return false;
    for (int i = 0; i < r->trials; i++)
        if (r->trial[i].seed == trial->seed && strcmp(r->trial[i].method, COPI_METHOD_DENSE) == 0)
            return r->trial[i].points > 0;
    return true;
}

/* Add each setting of trial t that no earlier trial has. */
static void add_settings(const copi_results *r, int t, sample *s, copi_figures *f) {
    const copi_stored_trial *first = &r->trial[t];
    for (int index = 0; index < first->points; index++) {
        s->n = 0;
        s->index = index;
        bool opened = false;
        int lost = 0;
        for (int i = 0; i < r->trials; i++) {
            const copi_stored_trial *other = &r->trial[i];
            if (strcmp(other->setting, first->setting) != 0) continue;
            if (other->points <= index) {
                lost += went_wrong(r, other);
                continue;
            }
            opened |= i < t;
            s->trial[s->n++] = other;
        }
        if (opened) continue;
        copi_setting *out = &f->setting[f->settings++];
        *out = (copi_setting){.trial = first, .index = index, .lost = lost};
        measure_setting(s, out);
    }
}

/* ------------------------------------------------------------------------------------------------- methods -- */

static void name_methods(const copi_results *r, copi_figures *f) {
    for (int t = 0; t < r->trials; t++) {
        int m = 0;
        while (m < f->methods && strcmp(f->method[m].name, r->trial[t].method) != 0) m++;
        if (m == f->methods) f->method[f->methods++] = (copi_method_figures){.name = r->trial[t].method, .best = -1};
    }
    for (int i = 0; i < f->settings; i++) {
        int m = 0;
        while (strcmp(f->method[m].name, f->setting[i].trial->method) != 0) m++;
        f->setting[i].method_index = m;
    }
}

typedef struct plane { /* room for the points of a frontier */
    double *x, *val, *test;
    bool *on;
    int *setting, *scratch;
} plane;

/* Mark the frontier of method m (all: -1) and measure it on both splits. */
static void find_frontier(copi_figures *f, int m, double floor, const plane *p, double *on_val, double *on_test) {
    int n = 0, kept = 0;
    for (int i = 0; i < f->settings; i++) {
        if (f->setting[i].lost || (m >= 0 && f->setting[i].method_index != m)) continue;
        p->setting[n] = i;
        p->x[n] = f->setting[i].sparsity.mean;
        p->val[n] = f->setting[i].val.mean;
        p->test[n++] = f->setting[i].test.mean;
    }
    copi_frontier(p->x, p->val, n, p->on);
    for (int i = 0; i < n; i++) {
        copi_setting *s = &f->setting[p->setting[i]];
        *(m < 0 ? &s->on_frontier : &s->on_method_frontier) = p->on[i];
        if (!p->on[i]) continue;
        p->x[kept] = p->x[i];
        p->val[kept] = p->val[i];
        p->test[kept++] = p->test[i];
    }
    *on_val = copi_hypervolume(p->x, p->val, kept, 0, floor, p->scratch);
    *on_test = copi_hypervolume(p->x, p->test, kept, 0, floor, p->scratch);
}

static void find_best(copi_figures *f) {
    for (int i = 0; i < f->settings; i++) {
        int *best[] = {&f->best, &f->method[f->setting[i].method_index].best};
        for (int k = 0; k < 2; k++) {
            double now = *best[k] < 0 ? 0 : f->setting[*best[k]].score_val.mean;
            if (!f->setting[i].lost && f->setting[i].score_val.mean > now) *best[k] = i;
        }
        if (f->dense < 0 && strcmp(f->setting[i].trial->method, COPI_METHOD_DENSE) == 0) f->dense = i;
    }
}

static void count_trials(const copi_results *r, copi_figures *f) {
    for (int t = 0; t < r->trials; t++) {
        const copi_stored_trial *trial = &r->trial[t];
        const char *status = trial->status;
        int *count = strcmp(status, COPI_DONE) == 0       ? &f->done
                     : strcmp(status, COPI_DIVERGED) == 0 ? &f->diverged
                     : strcmp(status, COPI_REFUSED) == 0  ? &f->refused
                     : strcmp(status, COPI_PENDING) == 0  ? &f->pending
                                                          : &f->failed;
        ++*count;
        f->points += trial->points;
        double trained = trial->points ? trial->point[trial->points - 1].p.seconds : 0; /* in all its sessions */
        if (!isnan(trial->seconds)) f->seconds += fmax(trial->seconds, trained);
    }
}

cop_status copi_figures_make(const copi_results *r, copi_figures *f) {
    *f = (copi_figures){.ctx = r->ctx, .dense = -1, .best = -1};
    count_trials(r, f);
    size_t trials = (size_t)r->trials + 1, points = (size_t)f->points + 1;
    sample s = {.r = r};
    plane p = {0};
    f->setting = copi_alloc(r->ctx, points, sizeof *f->setting);
    f->method = copi_alloc(r->ctx, trials, sizeof *f->method);
    s.trial = copi_alloc(r->ctx, trials, sizeof *s.trial);
    s.value = copi_alloc(r->ctx, trials, sizeof *s.value);
    p.x = copi_alloc(r->ctx, points, 3 * sizeof *p.x);
    p.on = copi_alloc(r->ctx, points, sizeof *p.on);
    p.setting = copi_alloc(r->ctx, points, 2 * sizeof *p.setting);
    cop_status status = COP_E_NOMEM;
    if (f->setting && f->method && s.trial && s.value && p.x && p.on && p.setting) {
        p.val = p.x + points;
        p.test = p.val + points;
        p.scratch = p.setting + points;
        for (int t = 0; t < r->trials; t++) add_settings(r, t, &s, f);
        name_methods(r, f);
        find_best(f);
        find_frontier(f, -1, r->floor, &p, &f->hypervolume_val, &f->hypervolume);
        for (int m = 0; m < f->methods; m++)
            find_frontier(f, m, r->floor, &p, &f->method[m].hypervolume_val, &f->method[m].hypervolume);
        status = COP_OK;
    }
    copi_free(r->ctx, s.trial);
    copi_free(r->ctx, s.value);
    copi_free(r->ctx, p.x);
    copi_free(r->ctx, p.on);
    copi_free(r->ctx, p.setting);
    if (status) copi_figures_clear(f);
    return status;
}

void copi_figures_clear(copi_figures *f) {
    if (!f->ctx) return;
    copi_free(f->ctx, f->setting);
    copi_free(f->ctx, f->method);
    *f = (copi_figures){0};
}
