/* cop_auto_run: a study that grows. Each step adds trials to the plan, runs those that are pending and decides on the
 * next ones. An interrupted run decides the same again and finds its trials done. */
#include "search/auto.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEY_ASKED "auto_asked" /* in the store: the parameters of the run */
#define KEY_SPEED "auto_speed" /* seconds per epoch, seconds that measuring took */
#define KEY_LOST "auto_lost"   /* seconds of interrupted trials, each behind the number of trials planned then */
#define FLOOR_SCORE 0.6        /* docs/methods.md, "Score" */
#define DENSE_SHARE (1.0 / 3)  /* of the budget */
#define DISTILLED_COST                                                                                               \
    1.4            /* an epoch with a teacher in epochs without, until it is measured: the teacher runs forward */
#define ADVICE 1.3 /* the advised budget over the least one: speed varies from run to run */
enum {
    DENSE_LEAST = 3,
    DENSE_MOST = 100,
    TRIAL_LEAST = 3,
    PROBE_FEW = 4,
    PROBE_MORE = 20, /* further steps, if they take at most this many seconds: */
    PROBE_SECONDS = 2
};

#define OPTION(field, KIND) COPI_OPTION(#field, cop_auto_params, field, KIND), .since = "0.1"
static const cop_option options[] = {
    {OPTION(budget, NUMBER), .high = 1e9, .flags = COP_OPTION_ABOVE, .unit = "seconds",
     .help = "total time; includes training the dense net of a preset"},
    {OPTION(floor, NUMBER), .usual = NAN, .high = 1, .flags = COP_OPTION_ABOVE,
     .help = "find the sparsest net with at least this validation accuracy"},
    {OPTION(lose, NUMBER), .usual = NAN, .high = 1,
     .help = "find the sparsest net that loses at most this share of 1 of the dense net's accuracy"},
    {OPTION(sparsity, NUMBER), .high = 0.9995, .help = "require at least this sparsity; bounds may be combined"},
    {OPTION(parameters, COUNT), .high = 1e18, .help = "require at most this many nonzero parameters"},
    {OPTION(macs, COUNT), .high = 1e18, .unit = "MACs", .help = "require at most this many effective MACs per image"},
    {OPTION(bytes, COUNT), .high = 1e18, .unit = "bytes",
     .help = "require at most this many bytes as a sparse ONNX file"},
    {OPTION(ms, NUMBER), .high = 1e9, .unit = "ms",
     .help = "require at most this many milliseconds for one image, measured on this machine after shrinking"},
    {OPTION(flip, FLAG), .usual = 1, .help = "mirror half of the images left to right"},
    {OPTION(shift, INTEGER), .usual = 2, .high = 64, .unit = "pixels",
     .help = "shift images by up to this many pixels"},
    {OPTION(erase, FLAG), .usual = 1, .help = "erase a square of the images while a preset trains 30 epochs or more"},
    {NULL}};
#undef OPTION
COPI_OPTION_AT(cop_auto_option, options)

void cop_auto_params_init(cop_auto_params *params, size_t size) {
    cop_auto_params usual = {.size = sizeof usual, .data_options = cop_data_options_default(), .seed = 1};
    copi_options_default(options, &usual);
    copi_struct_init(params, size, &usual, sizeof usual);
}

void cop_auto_summary_clear(cop_auto_summary *summary) {
    if (!summary) return;
    if (summary->ctx) copi_free(summary->ctx, summary->net);
    *summary = (cop_auto_summary){.best = -1};
}

/* ------------------------------------------------------------------------------------------- parameters -- */

static cop_status check(cop_ctx *ctx, const cop_auto_params *p) {
    cop_status status = COPI_CHECK(ctx, cop_auto_params, p);
    if (!status) status = COPI_CHECK(ctx, cop_data_options, &p->data_options);
    if (status) return status;
    if (!p->model || !p->data) return copi_fail(ctx, COP_E_ARG, "auto: a model or data is missing");
    if ((status = copi_options_check(ctx, "auto", options, p))) return status;
    if (!isnan(p->floor) && !isnan(p->lose))
        return copi_fail(ctx, COP_E_ARG, "auto: floor and lose both set the least accuracy; give one");
    if (copi_is_preset(p->model) || access(p->model, F_OK) == 0) return COP_OK;
    const char *near = cop_nearest(p->model, cop_preset_name);
    return copi_fail(ctx, COP_E_NOT_FOUND, "%s: neither a built-in net nor a file%s%s%s", p->model,
                     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static char *asked_text(cop_ctx *ctx, const cop_auto_params *p) {
    const cop_data_options *d = &p->data_options;
    return copi_format(
        ctx,
        "%s on %s (%s %g %" PRId64 " %" PRId64 " %" PRId64 "), budget %g, floor %g, lose %g, sparsity %g, "
        "parameters %" PRId64 ", macs %" PRId64 ", bytes %" PRId64 ", ms %g, flip %d, shift %d, erase %d, seed "
        "%" PRIu64,
        p->model, p->data, d->format ? d->format : "guessed", d->validation, d->limit, d->height, d->width, p->budget,
        p->floor, p->lose, p->sparsity, p->parameters, p->macs, p->bytes, p->ms, p->flip, p->shift, p->erase,
        p->seed);
}

/* ------------------------------------------------------------------------------------------ the study file -- */

/* Plan the study as it stands and write its file. store false: only open its data. */
static cop_status plan(copi_auto *a, bool store) {
    copi_spec spec = {0};
    cop_status status = copi_auto_spec(a, &spec);
    if (status) return status;
    copi_spec_clear(&a->spec);
    a->spec = spec;
    status = store ? copi_study_plan(&a->study, &a->spec) : copi_study_open_data(&a->study, &a->spec);
    if (status) a->study.trials.n = 0; /* they point into the former spec */
    return !status && store ? copi_write_file(a->ctx, a->spec.path, a->spec.text, strlen(a->spec.text)) : status;
}

/* ------------------------------------------------------------------------------------------------- the time -- */

/* Seconds per epoch, from a few steps on a copy of the net. */
static cop_status probe(copi_auto *a, const cop_net *net, const cop_net *teacher, double *seconds) {
    double images = (double)cop_data_get_info(a->study.data)->images[COP_SPLIT_TRAIN];
    double per_epoch = fmax(1, floor(images / COPI_AUTO_BATCH)), took[2] = {0}, more = 0;
    cop_status status = COP_OK;
    for (int i = 0; !status && i < 2; i++) {
        if (i) more = floor(fmin(fmax(PROBE_SECONDS / took[0], 1) * PROBE_FEW, PROBE_MORE));
        cop_recipe r = a->spec.dense;
        cop_net *copy = NULL;
        cop_history history = {0};
        r.epochs = (PROBE_FEW + more) / per_epoch;
        r.evaluate_every = 0;
        r.seed = a->p->seed;
        r.teacher = teacher;
        r.distil_share = teacher ? 0.5 : 0;
        status = cop_net_clone(net, &copy);
        if (!status) status = cop_train(copy, a->study.data, &r, &history);
        took[i] = history.seconds;
        cop_history_clear(&history);
        cop_net_destroy(copy);
    }
    /* the first steps also touch fresh memory, so they are left out */
    double step = (took[1] - took[0]) / more;
    *seconds = per_epoch * (step > 0 ? step : took[1] / (PROBE_FEW + more));
    return status;
}

static void say_time(double seconds, char text[32]) {
    if (seconds < 100)
        snprintf(text, 32, "%.*f s", seconds < 0.995 ? 3 : seconds < 9.95 ? 1 : 0, seconds);
    else
        snprintf(text, 32, "%.1f min", seconds / 60);
}

/* Refuse a budget that is too short for one trial. The error names one that is enough, as a rule. */
static cop_status check_budget(copi_auto *a, bool distilled_known) {
    bool preset = copi_is_preset(a->p->model);
    double dense = preset ? DENSE_LEAST * a->plain : 0, need = a->probing + dense + TRIAL_LEAST * a->distilled;
    if (need <= a->p->budget) return COP_OK;
    if (!distilled_known) need = 2 * a->probing + dense + TRIAL_LEAST * DISTILLED_COST * a->plain;
    char had[32], epoch[32], wants[32];
    say_time(a->p->budget, had);
    say_time(a->distilled, epoch);
    say_time(need * ADVICE, wants);
    return copi_fail(a->ctx, COP_E_REFUSED,
                     "auto: a budget of %s is too short for one trial: an epoch of %s takes about %s here, so %s%d "
                     "epochs of pruning and measuring the speed take about %s; give that or more",
                     had, a->p->model, epoch, preset ? "a dense net of 3 epochs, " : "", TRIAL_LEAST, wants);
}

/* What an epoch costs. Refuses a budget that is too short as soon as that is known. */
static cop_status measure_speed(copi_auto *a) {
    double start = copi_now();
    cop_net *net = NULL;
    cop_status status = copi_study_start_net(&a->study, a->p->seed, &net);
    if (!status) status = copi_check_fit(net, a->study.data);
    if (!status) status = probe(a, net, NULL, &a->plain);
    a->distilled = a->plain;
    a->probing = copi_now() - start;
    if (!status) status = check_budget(a, false);
    if (!status) status = probe(a, net, net, &a->distilled);
    a->distilled = fmax(a->distilled, a->plain);
    a->probing = copi_now() - start;
    cop_net_destroy(net);
    return status ? status : check_budget(a, true);
}

/* Read what the store holds of an earlier run. *resumed: there was one. */
static cop_status recall(copi_auto *a, bool *resumed) {
    char *path = copi_format(a->ctx, "%s/study.db", a->dir), *asked = NULL, *speed = NULL;
    if (!path) return COP_E_NOMEM;
    *resumed = access(path, F_OK) == 0;
    copi_free(a->ctx, path);
    if (!*resumed) return COP_OK;
    cop_status status = copi_store_open(a->ctx, a->dir, COPI_STORE_WRITE, &a->study.store);
    if (!status) status = copi_store_get(a->study.store, KEY_ASKED, &asked);
    if (!status) status = copi_store_get(a->study.store, KEY_SPEED, &speed);
    if (!status && !asked)
        status =
            copi_fail(a->ctx, COP_E_REFUSED, "%s: this study was not made by auto; choose another directory", a->dir);
    if (!status && strcmp(asked, a->asked) != 0)
        status = copi_fail(
            a->ctx, COP_E_REFUSED,
            "%s: holds a search with other settings; repeat those or choose another directory. It has: %s. Now: %s",
            a->dir, asked, a->asked);
    if (!status && (!speed || sscanf(speed, "%lf %lf %lf", &a->plain, &a->distilled, &a->probing) != 3))
        *resumed = false; /* it stopped before the speed was measured */
    copi_free(a->ctx, asked);
    copi_free(a->ctx, speed);
    return status;
}

static cop_status remember(copi_auto *a) {
    char *speed = copi_format(a->ctx, "%.17g %.17g %.17g", a->plain, a->distilled, a->probing);
    cop_status status = speed ? copi_store_set(a->study.store, KEY_ASKED, a->asked) : COP_E_NOMEM;
    if (!status) status = copi_store_set(a->study.store, KEY_SPEED, speed);
    copi_free(a->ctx, speed);
    return status;
}

/* Seconds of trials that were interrupted when at most so many were planned. A decision may know no later ones, or it
 * would come out differently when it is made again. */
static cop_status lost_until(copi_auto *a, int decided, double *seconds) {
    char *text;
    *seconds = 0;
    cop_status status = copi_store_get(a->study.store, KEY_LOST, &text);
    int count, used;
    double lost;
    for (const char *at = text; at && sscanf(at, "%d %lf %n", &count, &lost, &used) == 2; at += used)
        if (count <= decided) *seconds += lost;
    copi_free(a->ctx, text);
    return status;
}

static cop_status lose(copi_auto *a) {
    char *text;
    cop_status status = copi_store_get(a->study.store, KEY_LOST, &text);
    char *more = status
                     ? NULL
                     : copi_format(a->ctx, "%s%d %.3f\n", text ? text : "", a->attempts, copi_now() - a->last_commit);
    if (!status) status = more ? copi_store_set(a->study.store, KEY_LOST, more) : COP_E_NOMEM;
    copi_free(a->ctx, text);
    copi_free(a->ctx, more);
    return status;
}

/* ---------------------------------------------------------------------------------------- nets and results -- */

static bool weighs(const copi_auto *a) {
    return a->p->bytes > 0 || a->p->ms > 0;
}

/* A net's bytes and milliseconds are stored beside the trial's figures. */
static cop_status on_net(void *user, const copi_stored_trial *t, int point, const cop_net *net) {
    copi_auto *a = user;
    char file[160];
    int64_t bytes;
    double ms;
    if (!weighs(a)) return COP_OK;
    copi_study_net_file(t, point, file);
    cop_status status = copi_auto_weigh(a, net, &bytes, &ms);
    char *text = status ? NULL : copi_format(a->ctx, "%" PRId64 " %.17g", bytes, ms);
    if (!status) status = text ? copi_store_set(a->study.store, file, text) : COP_E_NOMEM;
    copi_free(a->ctx, text);
    return status;
}

static cop_status recall_weight(copi_auto *a, const copi_stored_trial *t, int point, int64_t *bytes, double *ms) {
    char file[160], *text = NULL;
    *bytes = 0;
    *ms = NAN;
    if (!weighs(a)) return COP_OK;
    copi_study_net_file(t, point, file);
    cop_status status = copi_store_get(a->study.store, file, &text);
    char *end = NULL;
    if (text) *bytes = strtoll(text, &end, 10);
    if (end) *ms = strtod(end, NULL);
    copi_free(a->ctx, text);
    return status;
}

static void on_trial(void *user, const copi_stored_trial *t) {
    copi_auto *a = user;
    a->last_commit = copi_now();
    if (!t->points) return; /* the reason was logged */
    const cop_point *p = &t->point[t->points - 1].p;
    char took[32];
    say_time(t->seconds, took);
    bool millions = p->macs_effective >= 100000;
    copi_log(a->ctx, COP_LOG_INFO,
             "%s: sparsity %.2f %%, accuracy %.2f %% on validation, %.2f %s MACs; %.4g epochs, %s", t->label,
             100 * p->sparsity, 100 * p->accuracy_val, (double)p->macs_effective / (millions ? 1e6 : 1e3),
             millions ? "M" : "k", p->epochs, took);
}

/* Read the results of the attempts. *spent: seconds of all of them and of the dense net. */
static cop_status read_results(copi_auto *a, double *spent) {
    copi_results r;
    cop_status status = copi_store_load(a->study.store, &r);
    if (status) return status;
    *spent = a->probing + a->estimating;
    for (int i = 0; !status && i < r.trials; i++) {
        const copi_stored_trial *t = &r.trial[i];
        if (strcmp(t->status, COPI_PENDING) == 0 || i > a->attempts)
            continue; /* the trial that copi_auto_spec adds */
        *spent += t->seconds;
        if (i == 0) {
            a->dense_val = t->points ? t->point[0].p.accuracy_val : NAN;
            continue;
        }
        copi_attempt *to = &a->attempt[i - 1];
        to->seconds = t->seconds;
        to->done = t->points > 0 && strcmp(t->status, COPI_DONE) == 0;
        if (!to->done) continue;
        to->p = t->point[t->points - 1].p;
        to->p.history = (cop_history){0};
        status = recall_weight(a, t, t->points - 1, &to->bytes, &to->ms);
    }
    copi_results_clear(&r);
    return status;
}

/* ----------------------------------------------------------------------------------------------- the search -- */

static int count_done(copi_auto *a) {
    int n = 0;
    char was[16];
    for (int t = 1; t <= a->attempts && t < a->study.trials.n; t++)
        if (copi_store_status(a->study.store, a->study.trials.trial[t].name, was) == COP_OK)
            n += strcmp(was, COPI_PENDING) != 0;
    return n;
}

static void set_floor(copi_auto *a) {
    if (!isnan(a->p->floor))
        a->floor = a->p->floor;
    else if (!isnan(a->p->lose))
        a->floor = fmax(0, a->dense_val - a->p->lose);
    else
        a->floor = fmin(FLOOR_SCORE, 0.85 * a->dense_val); /* on a hard task too some nets must score */
}

static cop_status begin(copi_auto *a) {
    bool resumed, preset = copi_is_preset(a->p->model);
    copi_auto_candidates(a);
    cop_status status = recall(a, &resumed);
    if (!status) status = plan(a, false);
    if (!status && !resumed) status = measure_speed(a);
    if (status) return status;
    a->dense_epochs = preset ? fmin(fmax(floor(DENSE_SHARE * a->p->budget / a->plain), DENSE_LEAST), DENSE_MOST) : 0;
    char epoch[32], distilled[32], dense[40] = "";
    say_time(a->plain, epoch);
    say_time(a->distilled, distilled);
    if (preset) snprintf(dense, sizeof dense, "; dense net: %g epochs", a->dense_epochs);
    copi_log(a->ctx, COP_LOG_INFO, "an epoch takes about %s, or %s with the dense net as teacher%s", epoch, distilled,
             dense);
    status = plan(a, true);
    if (!status) status = remember(a);
    a->last_commit = copi_now();
    return status ? status : copi_study_dense(&a->study);
}

static cop_status search(copi_auto *a) {
    cop_status status = begin(a);
    for (bool more = true; !status && more;) {
        double spent, lost;
        status = read_results(a, &spent);
        if (!status) status = lost_until(a, a->attempts, &lost);
        if (!status) {
            set_floor(a);
            status = copi_auto_next(a, a->p->budget - spent - lost, &more);
        }
        if (!status) status = plan(a, true);
        a->last_commit = copi_now();
        if (!status && more) status = copi_study_go(&a->study);
        a->study.failed_is_over = true; /* until the next start */
    }
    if (status == COP_E_CANCELLED && a->study.store) {
        int done = count_done(a);
        cop_status written = lose(a);
        if (written) return written;
        copi_fail(a->ctx, status, "interrupted: %d trial%s done and kept; run the same command to continue", done,
                  done == 1 ? " is" : "s are");
    }
    return status;
}

/* -------------------------------------------------------------------------------------------------- the end -- */

typedef struct found { /* a point of the store, as a net to keep */
    int trial, point;
    copi_measures m;
    cop_auto_net net;
    bool keep;
} found;

static cop_status find_all(copi_auto *a, const copi_results *r, found **list, int *n) {
    size_t points = 0;
    for (int t = 0; t < r->trials; t++) points += (size_t)r->trial[t].points;
    *n = 0;
    *list = copi_alloc(a->ctx, points + 1, sizeof **list);
    cop_status status = *list ? COP_OK : COP_E_NOMEM;
    for (int t = 0; t < r->trials; t++)
        for (int i = 0; !status && i < r->trial[t].points; i++) {
            const copi_stored_trial *from = &r->trial[t];
            found *f = &(*list)[(*n)++];
            *f = (found){.trial = t, .point = i, .net.point = from->point[i].p};
            f->net.point.history = (cop_history){0};
            snprintf(f->net.label, sizeof f->net.label, "%s", from->label);
            copi_study_net_file(from, i, f->net.file);
            status = recall_weight(a, from, i, &f->net.bytes, &f->net.ms);
            f->m = copi_auto_measures(&f->net.point, f->net.bytes, f->net.ms);
            f->net.meets = copi_auto_miss(a, &f->m, true, NULL) <= 0;
            f->net.score = cop_score(f->net.point.accuracy_test, f->net.point.sparsity, a->floor);
        }
    return status;
}

/* Is f better than g, by the bounds given? */
static bool better(const copi_auto *a, const found *f, const found *g) {
    if (f->net.meets != g->net.meets) return f->net.meets;
    const cop_point *p = &f->net.point, *q = &g->net.point;
    if (!f->net.meets) return copi_auto_miss(a, &f->m, true, NULL) < copi_auto_miss(a, &g->m, true, NULL);
    if (copi_auto_accuracy_bound(a)) return p->sparsity > q->sparsity;
    if (copi_auto_bound(a)) return p->accuracy_val > q->accuracy_val;
    return cop_score(p->accuracy_val, p->sparsity, a->floor) > cop_score(q->accuracy_val, q->sparsity, a->floor);
}

static cop_status mark(copi_auto *a, found *list, int n, int *best) {
    double *x = copi_alloc(a->ctx, (size_t)n + 1, sizeof *x), *y = copi_alloc(a->ctx, (size_t)n + 1, sizeof *y);
    bool *on = copi_alloc(a->ctx, (size_t)n + 1, sizeof *on);
    cop_status status = x && y && on ? COP_OK : COP_E_NOMEM;
    *best = -1;
    for (int i = 0; !status && i < n; i++) {
        x[i] = list[i].net.point.sparsity;
        y[i] = list[i].net.point.accuracy_val;
        if (*best < 0 || better(a, &list[i], &list[*best])) *best = i;
    }
    if (!status) copi_frontier(x, y, n, on);
    for (int i = 0; !status && i < n; i++)
        list[i].keep = on[i] || i == *best; /* a bound on MACs may choose a point that is not on the frontier */
    copi_free(a->ctx, x);
    copi_free(a->ctx, y);
    copi_free(a->ctx, on);
    return status;
}

/* Write the files of the nets that are kept, and remove all others. */
static cop_status keep_files(copi_auto *a, const found *list, int n) {
    cop_status status = COP_OK;
    for (int i = 0; !status && i < n; i++) {
        char *path = copi_format(a->ctx, "%s/%s", a->dir, list[i].net.file);
        if (!path) return COP_E_NOMEM;
        bool there = access(path, F_OK) == 0;
        if (list[i].keep && !there) status = copi_study_save_point(&a->study, list[i].trial, list[i].point, path);
        if (!list[i].keep && list[i].trial > 0) unlink(path);
        copi_free(a->ctx, path);
    }
    return status;
}

static cop_status copy_best(copi_auto *a, const copi_results *r, const found *best) {
    char *name = copi_format(a->ctx, "%s/%d", r->trial[best->trial].name, best->point);
    cop_status status = name ? copi_study_copy(&a->study, best->net.file, "best.safetensors") : COP_E_NOMEM;
    if (!status) status = copi_store_set(a->study.store, "best", name);
    copi_free(a->ctx, name);
    return status;
}

static int by_sparsity(const void *x, const void *y) {
    const found *f = x, *g = y;
    double d = f->net.point.sparsity - g->net.point.sparsity;
    if (d != 0) return d < 0 ? -1 : 1;
    return f->trial != g->trial ? f->trial - g->trial : f->point - g->point;
}

static cop_status summarize(copi_auto *a, const copi_results *r, found *list, int n, cop_auto_summary *s) {
    int kept = 0;
    copi_bound binds;
    s->ctx = a->ctx;
    s->floor = a->floor;
    s->trials = a->attempts;
    for (int i = 0; i < r->trials; i++) s->seconds += r->trial[i].seconds;
    double lost;
    cop_status status = lost_until(a, a->attempts, &lost);
    s->seconds += a->probing + a->estimating + lost;
    s->net = copi_alloc(a->ctx, (size_t)n + 1, sizeof *s->net);
    if (!s->net) return COP_E_NOMEM;
    for (int i = 0; i < n; i++) {
        if (!list[i].keep) continue;
        s->net[kept] = list[i].net;
        kept++;
    }
    s->nets = kept;
    const found *best = NULL;
    for (int i = 0, k = 0; i < n; i++) {
        if (!list[i].keep) continue;
        if (!best || better(a, &list[i], best)) best = &list[i], s->best = k;
        k++;
    }
    s->met = best && best->net.meets;
    if (best && !s->met) {
        copi_auto_miss(a, &best->m, true, &binds);
        copi_auto_tell_miss(a, &best->m, binds, s->missed, sizeof s->missed);
    }
    return status;
}

static cop_status finish(copi_auto *a, cop_auto_summary *summary) {
    copi_results r;
    found *list = NULL;
    int n = 0, best;
    cop_status status = copi_store_load(a->study.store, &r);
    if (status) return status;
    status = find_all(a, &r, &list, &n);
    if (!status) {
        qsort(list, (size_t)n, sizeof *list, by_sparsity);
        status = mark(a, list, n, &best);
    }
    if (!status) status = keep_files(a, list, n);
    if (!status && best >= 0) status = copy_best(a, &r, &list[best]);
    if (!status && summary) status = summarize(a, &r, list, n, summary);
    copi_free(a->ctx, list);
    copi_results_clear(&r);
    return status;
}

cop_status cop_auto_run(cop_ctx *ctx, const cop_auto_params *params, const char *dir, cop_auto_summary *summary) {
    if (summary) *summary = (cop_auto_summary){.best = -1};
    COPI_REQUIRE(NULL, ctx);
    COPI_REQUIRE(ctx, dir);
    cop_status status = check(ctx, params);
    if (status) return status;
    copi_locale numbers = copi_locale_plain();
    copi_auto a = {
        .ctx = ctx, .p = params, .dir = dir, .floor = FLOOR_SCORE, .dense_epochs = 1, .last_commit = copi_now()};
    char *command = copi_format(ctx, "coppice auto %s --data %s --budget %gs -o %s", params->model, params->data,
                                params->budget, dir);
    a.asked = asked_text(ctx, params);
    a.study = (copi_study){.ctx = ctx,
                           .dir = dir,
                           .start = copi_now(),
                           .command = command,
                           .keep_nets = true, /* the end removes those that are not worth keeping */
                           .on_net = on_net,
                           .on_trial = on_trial,
                           .user = &a};
    status = command && a.asked ? search(&a) : COP_E_NOMEM;
    if (!status) status = finish(&a, summary);
    if (a.study.store) status = copi_report_end(&a.study, status, NULL);
    if (status && summary) cop_auto_summary_clear(summary);
    copi_study_close(&a.study);
    copi_spec_clear(&a.spec);
    copi_free(ctx, a.attempt);
    copi_free(ctx, a.asked);
    copi_free(ctx, command);
    copi_locale_restore(numbers);
    return status;
}
