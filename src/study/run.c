/* Runs a study: first the dense nets, one per seed, then every trial from its seed's dense net. Each trial is
 * committed when it is over, and the running one saves its state: Ctrl-C costs nothing, a crash an epoch or some
 * seconds. */
#include "study/study.h"

#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define DIGEST_KEY "study.trial" /* key in a dense net's file: the trial that made it */

/* ------------------------------------------------------------------------------------ collecting a trial -- */

static char *path_in(copi_study *run, const char *name) {
    return copi_format(run->ctx, "%s/%s", run->dir, name);
}

/* The results of one trial so far. */
typedef struct collector {
    copi_study *run;
    copi_stored_trial t;
    cop_net *best;          /* of the point that beats all before it, in this trial and the store; NULL: none */
    int best_point, wanted; /* wanted >= 0: keep the net of this point instead */
    double best_score;
    cop_status status;
} collector;

static cop_status copy_layers(cop_ctx *ctx, const cop_net *net, copi_stored_point *out) {
    cop_net_info info;
    cop_net_get_info(net, &info);
    out->layer = copi_alloc(ctx, (size_t)info.layers, sizeof *out->layer);
    if (!out->layer) return COP_E_NOMEM;
    for (int i = 0; i < info.layers; i++) {
        cop_layer_info l;
        cop_status status = cop_net_get_layer(net, i, &l);
        if (status) return status;
        if (!l.parameters_dense) continue;
        copi_layer_row *row = &out->layer[out->layers++];
        *row = (copi_layer_row){.name = copi_strdup(ctx, l.name),
                                .op = copi_strdup(ctx, l.op),
                                .parameters_dense = l.parameters_dense,
                                .nonzero = l.parameters - l.zeros,
                                .macs_effective = l.macs_effective,
                                .sparsity = l.sparsity};
        if (!row->name || !row->op) return COP_E_NOMEM;
    }
    return COP_OK;
}

static cop_status add_point(cop_ctx *ctx, copi_stored_trial *t, const cop_point *point, const cop_net *net) {
    copi_stored_point *more = copi_grow(ctx, t->point, (size_t)t->points, (size_t)t->points + 1, sizeof *more);
    if (!more) return COP_E_NOMEM;
    t->point = more;
    copi_stored_point *out = &more[t->points++];
    out->p = *point;
    out->p.history = (cop_history){.ctx = ctx, .count = point->history.count};
    if (point->history.count > 0) {
        out->p.history.epoch = copi_alloc(ctx, (size_t)point->history.count, sizeof *point->history.epoch);
        if (!out->p.history.epoch) {
            out->p.history.count = 0;
            return COP_E_NOMEM;
        }
        memcpy(out->p.history.epoch, point->history.epoch, (size_t)point->history.count * sizeof(cop_epoch));
    }
    return copy_layers(ctx, net, out);
}

void copi_study_net_file(const copi_stored_trial *t, int point, char file[160]) {
    char number[16] = ""; /* two rounds can end at the same sparsity */
    if (point > 0) snprintf(number, sizeof number, "-%d", point + 1);
    if (strcmp(t->method, COPI_METHOD_DENSE) == 0)
        snprintf(file, 160, "dense-%" PRIu64 ".safetensors", t->seed);
    else
        snprintf(file, 160, "nets/%s-%.4f-%.8s%s.safetensors", t->method, t->point[point].p.sparsity, t->name,
                 number);
}

cop_status copi_study_copy(copi_study *run, const char *from, const char *to) {
    char *source = path_in(run, from), *target = path_in(run, to);
    uint8_t *bytes = NULL;
    size_t size;
    cop_status status = source && target ? copi_read_file(run->ctx, source, 0, &bytes, &size) : COP_E_NOMEM;
    if (!status) status = copi_write_file(run->ctx, target, bytes, size);
    copi_free(run->ctx, bytes);
    copi_free(run->ctx, source);
    copi_free(run->ctx, target);
    return status;
}

static cop_status keep_net(const collector *c, int point, const cop_net *net) {
    char file[160];
    copi_study_net_file(&c->t, point, file);
    char *path = path_in(c->run, file);
    cop_status status = path ? cop_net_save(net, path) : COP_E_NOMEM;
    copi_free(c->run->ctx, path);
    return status;
}

static int on_point(void *user, const cop_point *point, const cop_net *net) {
    collector *c = user;
    c->status = add_point(c->run->ctx, &c->t, point, net);
    double score = cop_score(point->accuracy_val, point->sparsity, c->run->spec->floor);
    int number = c->t.points - 1;
    bool keep = c->wanted < 0 ? score > c->best_score : number == c->wanted;
    bool dense = strcmp(c->t.method, COPI_METHOD_DENSE) == 0; /* has a file already */
    if (!c->status && c->run->keep_nets && c->wanted < 0 && !dense) c->status = keep_net(c, number, net);
    if (!c->status && c->run->on_net) c->status = c->run->on_net(c->run->user, &c->t, number, net);
    if (!c->status && keep) {
        cop_net_destroy(c->best);
        c->status = cop_net_clone(net, &c->best);
        c->best_score = score;
        c->best_point = number;
    }
    return c->status != COP_OK;
}

static cop_status collect_begin(collector *c, copi_study *run, const copi_trial *trial) {
    cop_ctx *ctx = run->ctx;
    copi_study_lock(run);
    *c = (collector){.run = run, .best_score = copi_study_shared(run)->best_score, .best_point = -1, .wanted = -1};
    copi_study_unlock(run);
    c->t = (copi_stored_trial){.name = copi_strdup(ctx, trial->name),
                               .label = copi_strdup(ctx, trial->label),
                               .method = copi_strdup(ctx, trial->method),
                               .seed = trial->seed};
    return c->t.name && c->t.label && c->t.method ? COP_OK : COP_E_NOMEM;
}

static void collect_end(collector *c) {
    copi_stored_trial_clear(c->run->ctx, &c->t);
    cop_net_destroy(c->best);
}

/* The word that a trial's end is stored as. */
static const char *status_word(cop_status status) {
    switch (status) {
    case COP_OK:
        return COPI_DONE;
    case COP_E_DIVERGED:
        return COPI_DIVERGED;
    case COP_E_NOMEM:
    case COP_E_IO:
    case COP_E_INTERNAL:
        return COPI_FAILED;
    default:
        return COPI_REFUSED;
    }
}

/* Methods begin their messages with their name, which the trial's label has already. */
static const char *without_method(const char *message, const char *method) {
    size_t n = strlen(method);
    return message && strncmp(message, method, n) == 0 && strncmp(message + n, ": ", 2) == 0 ? message + n + 2
                                                                                             : message;
}

/* Copy the store's error from the study's context to that of a job. */
static cop_status stored(copi_study *run, cop_status status) {
    const copi_study *shared = copi_study_shared(run);
    return status && shared != run ? copi_fail(run->ctx, status, "%s", cop_error(shared->ctx)) : status;
}

/* Write best.safetensors first, then commit the trial that names it: after a crash in between, the trial runs again
 * and gives the same net. */
static cop_status commit_locked(copi_study *run, collector *c, cop_status ended, const char *message) {
    cop_ctx *ctx = run->ctx;
    copi_study *shared = copi_study_shared(run);
    char *best = NULL;
    cop_status status = COP_OK;
    bool beats = c->best && c->best_score > shared->best_score; /* another job may have found a better one by now */
    if (beats) {
        char *path = path_in(run, "best.safetensors");
        best = copi_format(ctx, "%s/%d", c->t.name, c->best_point);
        status = path && best ? cop_net_save(c->best, path) : COP_E_NOMEM;
        copi_free(ctx, path);
    }
    if (!status) {
        c->t.status = copi_strdup(ctx, status_word(ended));
        c->t.message = copi_strdup(ctx, without_method(message, c->t.method));
        status = c->t.status && c->t.message ? stored(run, copi_store_put(run->store, &c->t, best)) : COP_E_NOMEM;
    }
    if (!status && beats) shared->best_score = c->best_score;
    copi_free(ctx, best);
    if (status) return status;
    if (!ended)
        shared->sum.done++;
    else if (ended == COP_E_DIVERGED)
        shared->sum.diverged++;
    else
        shared->sum.failed++;
    if (ended)
        copi_log(ctx, COP_LOG_WARNING, "%s, seed %" PRIu64 ": %s: %s", c->t.label, c->t.seed, c->t.status,
                 c->t.message);
    if (run->on_trial) {
        run->on_trial(run->user, &c->t);
        return COP_OK;
    }
    for (int i = 0; i < c->t.points; i++) {
        const cop_point *p = &c->t.point[i].p;
        copi_log(ctx, COP_LOG_INFO,
                 "%s, seed %" PRIu64 ": sparsity %.2f %%, accuracy %.2f %% on validation, %.2f %% on test",
                 c->t.label, c->t.seed, 100 * p->sparsity, 100 * p->accuracy_val, 100 * p->accuracy_test);
    }
    return COP_OK;
}

static cop_status commit(copi_study *run, collector *c, cop_status ended, const char *message) {
    copi_study_lock(run);
    cop_status status = commit_locked(run, c, ended, message);
    copi_study_unlock(run);
    return status;
}

/* Name the trial at work in progress reports. */
static void begin_trial(copi_study *run, int t) {
    const copi_trial *trial = &run->trials.trial[t];
    char label[160];
    int n = snprintf(label, sizeof label, "%s", trial->label);
    if (run->spec->seeds > 1) snprintf(label + n, sizeof label - (size_t)n, ", seed %" PRIu64, trial->seed);
    copi_progress_trial(run->ctx, label, t + 1, run->trials.n);
}

/* ---------------------------------------------------------------------------------------------- dense nets -- */

cop_status copi_study_start_net(copi_study *run, uint64_t seed, cop_net **net) {
    const cop_data_info *d = cop_data_get_info(run->data);
    return copi_spec_is_preset(run->spec)
               ? cop_net_preset(run->ctx, run->spec->model, d->channels, d->height, d->width, d->classes, seed, net)
               : cop_net_load(run->ctx, run->spec->model, net);
}

/* The net that an earlier run trained, if its file exists and was made by this trial. */
static cop_net *cached_dense(copi_study *run, const copi_trial *trial, const char *path) {
    cop_net *net = NULL;
    copi_extras extras;
    if (access(path, R_OK)) return NULL;
    copi_extras_init(&extras, run->ctx);
    cop_status status = copi_safetensors_load(run->ctx, path, &net, &extras);
    const char *made_by = status ? NULL : copi_extras_get(&extras, DIGEST_KEY);
    if (!made_by || strcmp(made_by, trial->name) != 0) {
        if (status) copi_log(run->ctx, COP_LOG_WARNING, "%s; the dense net is trained again", cop_error(run->ctx));
        cop_net_destroy(net);
        net = NULL;
    }
    copi_extras_clear(&extras);
    return net;
}

static cop_status save_dense(copi_study *run, const copi_trial *trial, const cop_net *net, const char *path) {
    copi_extras extras;
    copi_extras_init(&extras, run->ctx);
    cop_status status = copi_extras_set(&extras, DIGEST_KEY, trial->name);
    if (!status) status = copi_safetensors_save(net, &extras, path);
    copi_extras_clear(&extras);
    return status;
}

/* Train a seed's dense net, resuming from the checkpoint of an interrupted run, and pass its point to c. */
static cop_status train_dense(copi_study *run, const copi_trial *trial, const char *path, const char *checkpoint,
                              collector *c, cop_net **net) {
    cop_recipe recipe = run->spec->dense;
    recipe.seed = trial->seed;
    recipe.checkpoint = checkpoint;
    cop_history history = {0};
    cop_point point = {.level = NAN, .threshold = NAN, .accuracy_pruned = NAN};
    cop_status status = copi_study_start_net(run, trial->seed, net);
    if (!status && recipe.epochs > 0)
        status = copi_fit_resume(*net, run->data, &(copi_fit){.recipe = &recipe, .phase = "train"}, &history);
    if (!status) status = copi_measure_point(*net, run->data, &point);
    if (!status) {
        point.history = history;
        point.epochs = recipe.epochs;
        point.seconds = history.seconds;
        point.train_macs = history.macs;
        on_point(c, &point, *net);
        status = c->status;
    }
    if (!status) status = save_dense(run, trial, *net, path);
    if (!status) unlink(checkpoint); /* may never have been written */
    cop_history_clear(&history);
    return status;
}

/* Load or train the dense net of trial number t, and record it. run->dense stays NULL if there can be none; then
 * *reason (owned) says why. */
static cop_status need_dense(copi_study *run, int t, char **reason) {
    const copi_trial *trial = &run->trials.trial[t];
    if (run->dense && run->dense_of == t) return COP_OK;
    cop_net_destroy(run->dense);
    run->dense = NULL;
    run->dense_of = t;
    char was[16];
    copi_study_lock(run);
    cop_status status = stored(run, copi_store_status(run->store, trial->name, was));
    copi_study_unlock(run);
    if (status) return status;
    if (strcmp(was, COPI_DIVERGED) == 0 || strcmp(was, COPI_REFUSED) == 0) {
        *reason = copi_format(run->ctx, "its dense net %s", was);
        return *reason ? COP_OK : COP_E_NOMEM;
    }
    char *path = copi_format(run->ctx, "%s/dense-%" PRIu64 ".safetensors", run->dir, trial->seed);
    char *checkpoint =
        copi_format(run->ctx, "%s/dense-%" PRIu64 "-%s.checkpoint", run->dir, trial->seed, trial->name);
    collector c = {.run = run};
    status = path && checkpoint ? collect_begin(&c, run, trial) : COP_E_NOMEM;
    bool recorded = strcmp(was, COPI_DONE) == 0;
    cop_net *net = !status && recorded ? cached_dense(run, trial, path) : NULL;
    if (!status && !net) {
        double start = copi_now();
        status = train_dense(run, trial, path, checkpoint, &c, &net);
        c.t.seconds = copi_now() - start;
        bool stop = status == COP_E_CANCELLED || (status && strcmp(status_word(status), COPI_FAILED) == 0);
        if (!stop && status && !(*reason = copi_format(run->ctx, "its dense net: %s", cop_error(run->ctx))))
            stop = true;
        if (status) {
            cop_net_destroy(net);
            net = NULL;
        }
        /* if the net was trained again because its file was lost, it is in the store already */
        if (!stop)
            status = recorded && !status ? COP_OK : commit(run, &c, status, *reason ? cop_error(run->ctx) : "");
    }
    run->dense = net;
    copi_free(run->ctx, path);
    copi_free(run->ctx, checkpoint);
    collect_end(&c);
    return status;
}

cop_status copi_study_dense(copi_study *run) {
    char *reason = NULL;
    begin_trial(run, 0);
    cop_status status = need_dense(run, 0, &reason);
    if (!status && !run->dense) status = copi_fail(run->ctx, COP_E_DIVERGED, "%s", reason ? reason : "no dense net");
    copi_free(run->ctx, reason);
    copi_progress_trial(run->ctx, NULL, 0, 0);
    return status;
}

/* -------------------------------------------------------------------------------------------------- trials -- */

static cop_status run_method(copi_study *run, const copi_trial *trial, collector *c) {
    cop_method_params params = copi_trial_params(trial, run->dense);
    char *state = copi_format(run->ctx, "%s/trial-%s.state", run->dir, trial->name);
    if (!state) return COP_E_NOMEM;
    params.state = state;
    double start = copi_now();
    cop_status status = cop_method_run(run->dense, run->data, &params, on_point, c, NULL);
    c->t.seconds = copi_now() - start;
    copi_free(run->ctx, state);
    return c->status ? c->status : status;
}

static cop_status run_trial(copi_study *run, int t, const char *no_dense) {
    const copi_trial *trial = &run->trials.trial[t];
    collector c;
    cop_status ended, status = collect_begin(&c, run, trial);
    if (!status) {
        if (no_dense)
            ended = copi_fail(run->ctx, COP_E_REFUSED, "%s", no_dense);
        else
            ended = run_method(run, trial, &c);
        status = ended == COP_E_CANCELLED ? ended : commit(run, &c, ended, ended ? cop_error(run->ctx) : "");
    }
    collect_end(&c);
    return status;
}

cop_status copi_study_trial(copi_study *run, int t, const char *no_dense, char **found) {
    const copi_trial *trial = &run->trials.trial[t];
    begin_trial(run, t);
    cop_status status = no_dense ? COP_OK : need_dense(run, trial->dense, found);
    return status || trial->dense == t ? status : run_trial(run, t, no_dense ? no_dense : *found);
}

cop_status copi_study_save_point(copi_study *run, int t, int point, const char *path) {
    const copi_trial *trial = &run->trials.trial[t];
    char *reason = NULL;
    begin_trial(run, t);
    copi_log(run->ctx, COP_LOG_INFO, "%s, seed %" PRIu64 ": running again to save %s", trial->label, trial->seed,
             path);
    cop_status status = need_dense(run, trial->dense, &reason);
    copi_free(run->ctx, reason); /* it trained before */
    if (status) return status;
    if (trial->dense == t) return cop_net_save(run->dense, path);
    collector c;
    status = collect_begin(&c, run, trial);
    c.wanted = point;
    if (!status) status = run_method(run, trial, &c);
    if (!status && !c.best)
        status = copi_fail(run->ctx, COP_E_INTERNAL, "%s: point %d was not reproduced", trial->label, point);
    if (!status) status = cop_net_save(c.best, path);
    collect_end(&c);
    return status;
}

/* --------------------------------------------------------------------------------------------------- facts -- */

static char *machine_text(cop_ctx *ctx) {
    struct utsname u;
    if (uname(&u)) return copi_strdup(ctx, "unknown");
    uint8_t *bytes = NULL;
    size_t n = 0;
    const char *model = NULL;
    if (copi_read_file(ctx, "/proc/cpuinfo", 0, &bytes, &n) == COP_OK) model = strstr((char *)bytes, "model name");
    if (model) model = strchr(model, ':');
    size_t length = model ? strcspn(model += 1 + strspn(model + 1, " \t"), "\n") : 0;
    char *text = length ? copi_format(ctx, "%.*s, %s %s", (int)length, model, u.sysname, u.machine)
                        : copi_format(ctx, "%s %s", u.sysname, u.machine);
    copi_free(ctx, bytes);
    return text;
}

static cop_status set_text(copi_study *run, const char *key, char *text) {
    cop_status status = text ? copi_store_set(run->store, key, text) : COP_E_NOMEM;
    copi_free(run->ctx, text);
    return status;
}

static cop_status record_facts(copi_study *run) {
    cop_ctx *ctx = run->ctx;
    const copi_spec *spec = run->spec;
    const cop_data_info *d = cop_data_get_info(run->data);
    int jobs = run->jobs;
    const struct {
        const char *key;
        char *text;
    } facts[] = {
        {"name", copi_strdup(ctx, spec->name)},
        {"floor", copi_format(ctx, "%.17g", spec->floor)},
        {"spec_path", copi_strdup(ctx, spec->path)},
        {"spec_text", copi_strdup(ctx, spec->text)},
        {"command", run->command ? copi_strdup(ctx, run->command)
                                 : copi_format(ctx, "coppice study run %s -o %s", spec->path, run->dir)},
        {"program", copi_format(ctx, "Coppice %s", cop_version())},
        {"build", copi_strdup(ctx, cop_build_info())},
        {"machine", machine_text(ctx)},
        {"threads", jobs > 1 ? copi_format(ctx, "%d, %d trials side by side", copi_threads(ctx), jobs)
                             : copi_format(ctx, "%d", copi_threads(ctx))},
        {"model", copi_strdup(ctx, spec->model)},
        {"data_path", copi_strdup(ctx, d->path)},
        {"data_format", copi_strdup(ctx, d->format)},
        {"data_shape", copi_format(ctx, "%" PRId64 " x %" PRId64 " x %" PRId64, d->channels, d->height, d->width)},
        {"data_classes", copi_format(ctx, "%d", d->classes)},
        {"data_images",
         copi_format(ctx, "%s train, %s validation, %s test", copi_grouped(d->images[COP_SPLIT_TRAIN]).text,
                     copi_grouped(d->images[COP_SPLIT_VALIDATION]).text,
                     copi_grouped(d->images[COP_SPLIT_TEST]).text)},
        {"data_digest", copi_strdup(ctx, d->digest)},
    };
    cop_status status = COP_OK;
    for (size_t i = 0; i < COPI_COUNT(facts); i++) {
        if (status)
            copi_free(ctx, facts[i].text);
        else
            status = set_text(run, facts[i].key, facts[i].text);
    }
    return status;
}

/* --------------------------------------------------------------------------------------------------- whole -- */

cop_status copi_study_open_data(copi_study *run, const copi_spec *spec) {
    cop_ctx *ctx = run->ctx;
    run->spec = spec;
    if (run->data) return COP_OK;
    cop_status status = cop_data_open(ctx, spec->data, &spec->data_options, &run->data);
    if (status) return status;
    for (int split = 0; split < COP_SPLITS; split++)
        if (!cop_data_get_info(run->data)->images[split])
            return copi_fail(ctx, COP_E_NOT_FOUND, "%s: the %s split is empty; a study needs all three%s", spec->data,
                             cop_split_name((cop_split)split),
                             split == COP_SPLIT_VALIDATION ? ": set data.validation, e.g. 0.1" : "");
    return COP_OK;
}

/* A digest of the model file's bytes; "" for presets. */
static cop_status digest_model(cop_ctx *ctx, const copi_spec *spec, char digest[20]) {
    *digest = 0;
    if (copi_spec_is_preset(spec)) return COP_OK;
    uint8_t *bytes;
    size_t n;
    cop_status status = copi_read_file(ctx, spec->model, 0, &bytes, &n);
    if (status) return status;
    snprintf(digest, 20, "%016" PRIx64, copi_hash(0, bytes, n));
    copi_free(ctx, bytes);
    return COP_OK;
}

/* The best validation score in the store among the trials of this plan. */
static cop_status recall_best(copi_study *run) {
    copi_results r;
    cop_status status = copi_store_load(run->store, &r);
    if (status) return status;
    for (int t = 0; t < r.trials; t++)
        for (int i = 0; i < r.trial[t].points; i++) {
            const cop_point *p = &r.trial[t].point[i].p;
            double score = cop_score(p->accuracy_val, p->sparsity, r.floor);
            if (score > run->best_score) run->best_score = score;
        }
    copi_results_clear(&r);
    return COP_OK;
}

static cop_status check_model(copi_study *run) {
    cop_net *net = NULL;
    cop_status status = digest_model(run->ctx, run->spec, run->model_digest);
    if (!status) status = copi_study_start_net(run, run->spec->seed[0], &net);
    if (!status) status = copi_check_fit(net, run->data);
    cop_net_destroy(net);
    run->model_checked = !status;
    return status;
}

cop_status copi_study_plan(copi_study *run, const copi_spec *spec) {
    run->trials.ctx = run->ctx;
    copi_trials_clear(&run->trials);
    cop_status status = copi_study_open_data(run, spec);
    if (!status && !run->model_checked) status = check_model(run);
    if (!status)
        status = copi_trials_expand(spec, cop_data_get_info(run->data)->digest, run->model_digest, &run->trials);
    if (!status && !run->store) status = copi_store_open(run->ctx, run->dir, COPI_STORE_WRITE, &run->store);
    char *nets = !status && run->keep_nets ? path_in(run, "nets") : NULL;
    if (!status && run->keep_nets) status = nets ? copi_make_dir(run->ctx, nets) : COP_E_NOMEM;
    copi_free(run->ctx, nets);
    if (!status) status = record_facts(run);
    if (!status) status = copi_store_plan(run->store, &run->trials);
    return status ? status : recall_best(run);
}

void copi_study_close(copi_study *run) {
    cop_net_destroy(run->dense);
    copi_store_close(run->store);
    if (run->trials.ctx) copi_trials_clear(&run->trials);
    cop_data_destroy(run->data);
    *run = (copi_study){0};
}
