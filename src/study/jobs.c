/* Runs the trials of a study in order, one at a time or several side by side. Each job has its own context with its
 * share of the threads. The store, the plan and the sums are shared behind one lock. */
#include "study/study.h"

#include <pthread.h>
#include <string.h>

typedef enum state { WAITING, AT_WORK, OVER } state;

typedef struct copi_team {
    copi_study *run; /* shared by all */
    pthread_mutex_t lock;
    pthread_cond_t over; /* signalled when a trial is over */
    uint8_t *state;      /* [trials] */
    char **no_dense;     /* [trials], for dense nets: why there is none; owned */
    cop_status status;   /* the first error that ended the work */
} team;

typedef struct job {
    team *team;
    copi_study *run; /* the study as this job sees it: the shared one if there is one job, else &own */
    copi_study own;  /* with its own context and dense net */
    int trial;       /* the one it works on */
    pthread_t thread;
} job;

void copi_study_lock(copi_study *run) {
    if (run->team) pthread_mutex_lock(&run->team->lock);
}
void copi_study_unlock(copi_study *run) {
    if (run->team) pthread_mutex_unlock(&run->team->lock);
}
copi_study *copi_study_shared(copi_study *run) {
    return run->team ? run->team->run : run;
}

/* ------------------------------------------------------------------------------------------------- contexts -- */

static void *parent_alloc(void *parent, size_t size) {
    return copi_alloc(parent, size, 1);
}
static void parent_free(void *parent, void *block) {
    copi_free(parent, block);
}
static void parent_log(void *parent, cop_log_level level, const char *text) {
    copi_log(parent, level, "%s", text);
}
static void parent_progress(void *parent, const cop_progress *p) {
    copi_progress_trial(parent, p->label, p->trial, p->trials);
    copi_progress(parent, p);
}
static int parent_cancel(void *parent) {
    return copi_cancelled(parent);
}

cop_status copi_study_ctx(cop_ctx *parent, int threads, cop_ctx **ctx) {
    cop_ctx_options o = cop_ctx_options_default();
    o.allocator = (cop_allocator){parent_alloc, parent_free, parent};
    o.seed = copi_seed(parent);
    o.threads = threads;
    o.jobs = copi_jobs(parent);
    o.log = parent_log;
    o.progress = parent_progress;
    o.cancel = parent_cancel;
    o.user = parent;
    return cop_ctx_create(&o, ctx) ? copi_fail(parent, COP_E_NOMEM, "out of memory") : COP_OK;
}

static void *job_alloc(void *user, size_t size) {
    team *j = ((job *)user)->team;
    pthread_mutex_lock(&j->lock);
    void *block = parent_alloc(j->run->ctx, size);
    pthread_mutex_unlock(&j->lock);
    return block;
}
static void job_free(void *user, void *block) {
    team *j = ((job *)user)->team;
    pthread_mutex_lock(&j->lock);
    parent_free(j->run->ctx, block);
    pthread_mutex_unlock(&j->lock);
}
static void job_log(void *user, cop_log_level level, const char *text) {
    team *j = ((job *)user)->team;
    pthread_mutex_lock(&j->lock);
    parent_log(j->run->ctx, level, text);
    pthread_mutex_unlock(&j->lock);
}
/* Only the first of the running trials reports, so that the progress line does not jump between them. */
static void job_progress(void *user, const cop_progress *p) {
    const job *w = user;
    team *j = w->team;
    pthread_mutex_lock(&j->lock);
    const uint8_t *first = memchr(j->state, AT_WORK, (size_t)j->run->trials.n);
    if (first && first - j->state == w->trial) parent_progress(j->run->ctx, p);
    pthread_mutex_unlock(&j->lock);
}
static int job_cancel(void *user) {
    team *j = ((job *)user)->team;
    pthread_mutex_lock(&j->lock);
    int cancelled = j->status || parent_cancel(j->run->ctx);
    pthread_mutex_unlock(&j->lock);
    return cancelled;
}

/* --------------------------------------------------------------------------------------------------- trials -- */

/* Take the first waiting trial whose dense net is ready; -1: none is left. The lock is held. */
static int next(team *j) {
    const copi_trials *trials = &j->run->trials;
    while (!j->status) {
        bool waiting = false;
        for (int t = 0; t < trials->n; t++) {
            if (j->state[t] != WAITING) continue;
            if (copi_cancelled(j->run->ctx)) {
                j->status = COP_E_CANCELLED;
                return -1;
            }
            waiting = true;
            int dense = trials->trial[t].dense;
            if (dense != t && j->state[dense] != OVER) continue;
            j->state[t] = AT_WORK;
            return t;
        }
        if (!waiting) return -1;
        pthread_cond_wait(&j->over, &j->lock);
    }
    return -1;
}

static void *work(void *user) {
    job *w = user;
    team *j = w->team;
    copi_locale numbers = copi_locale_plain(); /* of this thread */
    pthread_mutex_lock(&j->lock);
    while ((w->trial = next(j)) >= 0) {
        char **no_dense = &j->no_dense[j->run->trials.trial[w->trial].dense], *found = NULL;
        const char *known = *no_dense;
        pthread_mutex_unlock(&j->lock);
        cop_status status = copi_study_trial(w->run, w->trial, known, &found);
        pthread_mutex_lock(&j->lock);
        if (found && !*no_dense && !(*no_dense = copi_strdup(j->run->ctx, found)) && !status) status = COP_E_NOMEM;
        copi_free(w->run->ctx, found); /* of this job's context */
        j->state[w->trial] = OVER;
        if (status && !j->status) {
            j->status = status;
            if (w->run != j->run) copi_fail(j->run->ctx, status, "%s", cop_error(w->run->ctx));
        }
        pthread_cond_broadcast(&j->over);
    }
    pthread_mutex_unlock(&j->lock);
    copi_locale_restore(numbers);
    return NULL;
}

/* Pending trials wait; trials that failed for lack of memory or disk are tried again. */
static cop_status find_pending(team *j, int *pending) {
    copi_study *run = j->run;
    cop_status status = COP_OK;
    *pending = 0;
    for (int t = 0; !status && t < run->trials.n; t++) {
        char was[16];
        status = copi_store_status(run->store, run->trials.trial[t].name, was);
        bool over = strcmp(was, COPI_PENDING) != 0 && (strcmp(was, COPI_FAILED) != 0 || run->failed_is_over);
        j->state[t] = over ? OVER : WAITING;
        if (status) break;
        if (over)
            run->sum.skipped++;
        else
            ++*pending;
    }
    return status;
}

/* Start a job on its own thread. */
static cop_status start(job *w, team *j, int threads) {
    *w = (job){.team = j, .run = &w->own, .own = *j->run};
    cop_ctx_options o = cop_ctx_options_default();
    o.allocator = (cop_allocator){job_alloc, job_free, w};
    o.seed = copi_seed(j->run->ctx);
    o.threads = threads;
    o.log = job_log;
    o.progress = job_progress;
    o.cancel = job_cancel;
    o.user = w;
    w->own.team = j;
    w->own.dense = NULL;
    if (cop_ctx_create(&o, &w->own.ctx)) return copi_fail(j->run->ctx, COP_E_NOMEM, "out of memory");
    if (!pthread_create(&w->thread, NULL, work, w)) return COP_OK;
    cop_ctx_destroy(w->own.ctx);
    return copi_fail(j->run->ctx, COP_E_NOMEM, "cannot start a thread for a trial");
}

/* Run n trials at a time, each with its share of the threads. */
static cop_status side_by_side(team *j, int n) {
    cop_ctx *ctx = j->run->ctx;
    int threads = copi_threads(ctx) / n, started = 0;
    job *all = copi_alloc(ctx, (size_t)n, sizeof *all);
    if (!all) return COP_E_NOMEM;
    pthread_mutex_lock(&j->lock);
    while (!j->status && started < n)
        if (!(j->status = start(&all[started], j, threads > 1 ? threads : 1))) started++;
    pthread_mutex_unlock(&j->lock);
    for (int i = 0; i < started; i++) {
        pthread_join(all[i].thread, NULL);
        cop_net_destroy(all[i].own.dense);
        cop_ctx_destroy(all[i].own.ctx);
    }
    copi_free(ctx, all);
    return j->status;
}

static void clear(team *j) {
    for (int t = 0; j->no_dense && t < j->run->trials.n; t++) copi_free(j->run->ctx, j->no_dense[t]);
    copi_free(j->run->ctx, j->no_dense);
    copi_free(j->run->ctx, j->state);
    pthread_cond_destroy(&j->over);
    pthread_mutex_destroy(&j->lock);
}

cop_status copi_study_go(copi_study *run) {
    size_t n = (size_t)run->trials.n;
    team j = {.run = run,
              .state = copi_alloc(run->ctx, n, sizeof *j.state),
              .no_dense = copi_alloc(run->ctx, n, sizeof *j.no_dense)};
    pthread_mutexattr_t again;
    pthread_mutexattr_init(&again);
    pthread_mutexattr_settype(&again, PTHREAD_MUTEX_RECURSIVE); /* code under the lock may log, which locks */
    pthread_mutex_init(&j.lock, &again);
    pthread_mutexattr_destroy(&again);
    pthread_cond_init(&j.over, NULL);
    int pending = 0, jobs = run->jobs;
    cop_status status = j.state && j.no_dense ? find_pending(&j, &pending) : COP_E_NOMEM;
    if (jobs > pending) jobs = pending;
    if (!status && jobs > 1) {
        status = side_by_side(&j, jobs);
    } else if (!status) {
        job alone = {.team = &j, .run = run};
        work(&alone);
        status = j.status;
    }
    clear(&j);
    copi_progress_trial(run->ctx, NULL, 0, 0);
    return status;
}
