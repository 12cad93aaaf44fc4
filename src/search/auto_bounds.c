/* The bounds: does a net satisfy them, by how much does it miss one, and at which level would it satisfy all? */
#include "search/auto.h"

#include <inttypes.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEVEL_MOST 0.9995
enum { HALVINGS = 12, RUNS = 30 }; /* HALVINGS: steps of a bisection over levels; RUNS: of a latency measurement */

/* The most that may be left; NaN: no bound. A bound on sparsity limits the share that is not zero. */
static double limit_of(const copi_auto *a, copi_bound which) {
    const cop_auto_params *p = a->p;
    const double most[COPI_BOUNDS] = {
        [COPI_BOUND_ACCURACY] = 0,
        [COPI_BOUND_SPARSITY] = p->sparsity > 0 ? 1 - p->sparsity : 0,
        [COPI_BOUND_PARAMETERS] = (double)p->parameters,
        [COPI_BOUND_MACS] = (double)p->macs,
        [COPI_BOUND_BYTES] = (double)p->bytes,
        [COPI_BOUND_MS] = p->ms,
    };
    return most[which] > 0 ? most[which] : NAN;
}

bool copi_auto_bound(const copi_auto *a) {
    for (copi_bound b = COPI_BOUND_SPARSITY; b < COPI_BOUNDS; b++)
        if (!isnan(limit_of(a, b))) return true;
    return false;
}

bool copi_auto_accuracy_bound(const copi_auto *a) {
    return !isnan(a->p->floor) || !isnan(a->p->lose);
}

static cop_status file_bytes(copi_auto *a, const cop_net *net, int64_t *bytes) {
    char *path = copi_format(a->ctx, "%s/nets/weighed.onnx", a->dir);
    if (!path) return COP_E_NOMEM;
    struct stat st;
    cop_save_options sparse = cop_save_options_default();
    sparse.sparse = 1;
    cop_status status = cop_net_save_as(net, path, &sparse);
    if (!status && stat(path, &st))
        status = copi_fail(a->ctx, COP_E_IO, "%s: the file was written but is gone", path);
    if (!status) *bytes = (int64_t)st.st_size;
    unlink(path);
    copi_free(a->ctx, path);
    return status;
}

cop_status copi_auto_weigh(copi_auto *a, const cop_net *net, int64_t *bytes, double *ms) {
    bool weigh = a->p->bytes > 0, time = a->p->ms > 0;
    *bytes = 0;
    *ms = NAN;
    if (!weigh && !time) return COP_OK;
    cop_net *small = NULL;
    cop_status status = cop_shrink(net, &small, NULL);
    if (!status && weigh) status = file_bytes(a, small, bytes);
    if (!status && time) {
        cop_bench_params bench = cop_bench_params_default();
        cop_bench_result result;
        bench.runs = RUNS;
        status = cop_bench(small, &bench, &result);
        if (!status) *ms = result.median_ms;
    }
    cop_net_destroy(small);
    return status;
}

copi_measures copi_auto_measures(const cop_point *p, int64_t bytes, double ms) {
    return (copi_measures){.accuracy = p->accuracy_val,
                           .sparsity = p->sparsity,
                           .left = {[COPI_BOUND_SPARSITY] = 1 - p->sparsity,
                                    [COPI_BOUND_PARAMETERS] = (double)p->nonzero,
                                    [COPI_BOUND_MACS] = (double)p->macs_effective,
                                    [COPI_BOUND_BYTES] = (double)bytes,
                                    [COPI_BOUND_MS] = ms}};
}

double copi_auto_miss(const copi_auto *a, const copi_measures *m, bool accuracy_too, copi_bound *which) {
    double worst = 0;
    copi_bound binds = COPI_BOUND_ACCURACY;
    if (accuracy_too && copi_auto_accuracy_bound(a) && m->accuracy < a->floor)
        worst = (a->floor - m->accuracy) / a->floor;
    for (copi_bound b = COPI_BOUND_SPARSITY; b < COPI_BOUNDS; b++) {
        double miss = m->left[b] / limit_of(a, b) - 1;            /* NaN: no bound */
        if (miss > 1e-9 && miss > worst) worst = miss, binds = b; /* 1 - .9 is not quite .1 */
    }
    if (which) *which = binds;
    return worst;
}

void copi_auto_tell_miss(const copi_auto *a, const copi_measures *m, copi_bound which, char *text, size_t size) {
    const cop_auto_params *p = a->p;
    double over = 100 * (m->left[which] / limit_of(a, which) - 1);
    switch (which) {
    case COPI_BOUND_ACCURACY:
        snprintf(text, size, "accuracy: %.2f %% on validation, %.2f points below the floor of %.2f %%",
                 100 * m->accuracy, 100 * (a->floor - m->accuracy), 100 * a->floor);
        break;
    case COPI_BOUND_SPARSITY:
        snprintf(text, size, "sparsity: %.2f %%, %.2f points below %g %%", 100 * m->sparsity,
                 100 * (p->sparsity - m->sparsity), 100 * p->sparsity);
        break;
    case COPI_BOUND_PARAMETERS:
        snprintf(text, size, "parameters: %.0f, %.1f %% over %" PRId64, m->left[which], over, p->parameters);
        break;
    case COPI_BOUND_MACS:
        snprintf(text, size, "macs: %.0f, %.1f %% over %" PRId64, m->left[which], over, p->macs);
        break;
    case COPI_BOUND_BYTES:
        snprintf(text, size, "bytes: %.0f, %.1f %% over %" PRId64, m->left[which], over, p->bytes);
        break;
    case COPI_BOUND_MS:
    case COPI_BOUNDS:
        snprintf(text, size, "ms: %.4g, %.1f %% over %g", m->left[COPI_BOUND_MS], over, p->ms);
        break;
    }
}

double copi_auto_round(double level) {
    double x = 1 - level;
    if (!(x > 0 && x < 1)) return level <= 0 ? 0 : LEVEL_MOST;
    double unit = pow(10, floor(log10(x)) - 2);
    return 1 - floor(x / unit + 1e-6) * unit; /* down, so that the level still satisfies a bound */
}

/* Estimate a candidate's net at a level. *too_far: the criterion refuses the level. */
static cop_status estimate(copi_auto *a, const cop_net *dense, const copi_candidate *c, double level, bool *too_far,
                           copi_measures *m) {
    cop_net *net = NULL, *small = NULL;
    cop_prune_params cut = cop_prune_params_default();
    cut.criterion = c->criterion;
    cut.scope = c->scope;
    cut.sparsity = level;
    cut.seed = a->p->seed;
    cut.data = a->study.data;
    cop_status status = cop_net_clone(dense, &net);
    if (!status) status = cop_prune(net, &cut, NULL);
    *too_far = status == COP_E_REFUSED;
    if (!status && (c->flags & COPI_STRUCTURED)) status = cop_shrink(net, &small, NULL);
    if (!status) {
        const cop_net *at = small ? small : net;
        cop_net_info info;
        int64_t bytes;
        double ms;
        cop_net_get_info(at, &info);
        const cop_point p = {.accuracy_val = NAN,
                             .sparsity = info.sparsity,
                             .nonzero = info.nonzero,
                             .macs_effective = info.macs_effective};
        status = copi_auto_weigh(a, at, &bytes, &ms);
        *m = copi_auto_measures(&p, bytes, ms);
    }
    cop_net_destroy(small);
    cop_net_destroy(net);
    return *too_far ? COP_OK : status;
}

/* For each bound: what the candidate's last net left, over what was estimated for it. */
static cop_status learn(copi_auto *a, const cop_net *dense, int candidate, double factor[COPI_BOUNDS]) {
    for (copi_bound b = 0; b < COPI_BOUNDS; b++) factor[b] = 1;
    const copi_attempt *last = NULL;
    for (int i = 0; i < a->attempts; i++)
        if (a->attempt[i].candidate == candidate && a->attempt[i].done) last = &a->attempt[i];
    if (!last) return COP_OK;
    bool too_far;
    copi_measures told, was = copi_auto_measures(&last->p, last->bytes, last->ms);
    cop_status status = estimate(a, dense, a->candidate[candidate], last->level, &too_far, &told);
    for (copi_bound b = 0; !status && !too_far && b < COPI_BOUNDS; b++)
        if (told.left[b] > 0 && was.left[b] > 0) factor[b] = fmax(1, was.left[b] / told.left[b]);
    return status;
}

static cop_status find_level(copi_auto *a, const cop_net *dense, int candidate, double *level) {
    double factor[COPI_BOUNDS];
    double meets = log(1 - LEVEL_MOST), misses = 0; /* logarithms of 1 - level */
    cop_status status = learn(a, dense, candidate, factor);
    for (int i = 0; !status && i < HALVINGS; i++) {
        double middle = (meets + misses) / 2;
        bool too_far = false;
        copi_measures m = {0};
        status = estimate(a, dense, a->candidate[candidate], 1 - exp(middle), &too_far, &m);
        for (copi_bound b = 0; b < COPI_BOUNDS; b++) m.left[b] *= factor[b];
        if (too_far || copi_auto_miss(a, &m, false, NULL) <= 0)
            meets = middle;
        else
            misses = middle;
    }
    /* a layer that must keep something may refuse the level: then the nearest level that the criterion allows */
    bool too_far = true;
    while (!status && too_far && meets < 0) {
        copi_measures m;
        status = estimate(a, dense, a->candidate[candidate], 1 - exp(meets), &too_far, &m);
        if (too_far) meets = fmin(meets + 0.1, 0);
    }
    *level = copi_auto_round(1 - exp(meets));
    return status;
}

cop_status copi_auto_level(copi_auto *a, const cop_net *dense, int candidate, double *level) {
    char key[48], *text = NULL;
    double seconds = 0, start = copi_now();
    snprintf(key, sizeof key, "auto_level %d %d", candidate, a->attempts);
    cop_status status = copi_store_get(a->study.store, key, &text);
    if (status) return status;
    if (!text || sscanf(text, "%lf %lf", level, &seconds) != 2) {
        status = find_level(a, dense, candidate, level);
        seconds = copi_now() - start;
        char *found = status ? NULL : copi_format(a->ctx, "%.17g %.17g", *level, seconds);
        if (!status) status = found ? copi_store_set(a->study.store, key, found) : COP_E_NOMEM;
        copi_free(a->ctx, found);
    }
    a->estimating += seconds;
    copi_free(a->ctx, text);
    return status;
}
