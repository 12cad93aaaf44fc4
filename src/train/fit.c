/* The training loop: feeds a loader thread's batches to a plan's steps, and records history and checkpoints. */
#include "train/checkpoint.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

typedef struct fit_run {
    cop_ctx *ctx;
    cop_net *net;
    const cop_data *data;
    const copi_fit *fit;
    const cop_recipe *recipe;
    cop_history *history;
    copi_plan *plan, *teacher;
    copi_loader *loader;
    copi_meter *meter;                 /* made when the first validation figure is due */
    float *teacher_y, *teacher_logits; /* [batch,classes] */
    copi_checkpoint checkpoint;
    double kept; /* copi_now() of the last checkpoint */
    copi_buffer identity, usual;
    copi_progress_state state;
    int64_t per_epoch, steps;
    int epochs, history_cap;
    double mark; /* training time counts from here; moved past evaluation and saving */
    double macs; /* per image */
} fit_run;

void cop_history_clear(cop_history *history) {
    if (!history) return;
    if (history->ctx) copi_free(history->ctx, history->epoch);
    *history = (cop_history){0};
}

cop_status copi_history_append(cop_history *history, cop_history *more) {
    if (!history->ctx) history->ctx = more->ctx;
    int count = history->count + more->count;
    if (more->count) {
        cop_epoch *grown = copi_grow(more->ctx, history->epoch, (size_t)history->count, (size_t)count, sizeof *grown);
        if (!grown) return COP_E_NOMEM;
        for (int i = 0; i < more->count; i++) {
            grown[history->count + i] = more->epoch[i];
            grown[history->count + i].epoch += history->count;
            grown[history->count + i].seconds += history->seconds;
        }
        history->epoch = grown;
        history->count = count;
    }
    history->images += more->images;
    history->steps += more->steps;
    history->seconds += more->seconds;
    history->macs += more->macs;
    history->resumed |= more->resumed;
    cop_history_clear(more);
    return COP_OK;
}

static bool distils(const cop_recipe *r) {
    return r->teacher && r->distil_share > 0;
}

/* One line for everything that decides what a run computes, so that a refusal can quote the line that differs. */
static cop_status describe(fit_run *f) {
    copi_buffer *b = &f->identity;
    const cop_recipe *r = f->recipe;
    copi_buffer_printf(b, "phase %s\ndata %s\nnet %016llx\n", f->fit->phase, f->data->info.digest,
                       (unsigned long long)copi_topology_digest(f->net));
    cop_recipe settled = *r; /* with the precision of this machine, without unused options */
    settled.precision = copi_plan_precision(f->plan);
    if (!distils(r)) settled.distil_share = settled.distil_temperature = 0;
    copi_buffer_printf(b, "seed %llu\n", (unsigned long long)r->seed);
    copi_recipe_describe(b, &settled);
    if (distils(r)) copi_buffer_printf(b, "teacher %016llx\n", (unsigned long long)copi_net_digest(r->teacher));
    copi_normalization normal = copi_normalization_of(f->net, f->data);
    for (int64_t c = 0; c < f->data->info.channels; c++)
        copi_buffer_printf(b, "normalization[%lld] %.17g %.17g\n", (long long)c, normal.mean[c], normal.std[c]);
    if (normal.order == COP_CHANNEL_ORDER_BGR) copi_buffer_text(b, "channels bgr\n");
    const copi_gate_rule *g = f->fit->gates;
    if (g) {
        copi_buffer_printf(b, "factors %s gamma %.17g momentum %.17g rate %.17g", cop_prox_name(g->prox), g->gamma,
                           g->momentum, f->fit->gate_rate);
        if (g->cost)
            copi_buffer_printf(b, " cost %016llx",
                               (unsigned long long)copi_hash(0, g->cost, (size_t)f->net->nodes * sizeof *g->cost));
        copi_buffer_text(b, "\n");
    }
    if (f->fit->hooks) copi_buffer_printf(b, "hooks %s\n", f->fit->hooks);
    const cop_recipe usual = cop_recipe_default();
    copi_recipe_describe(&f->usual, &usual);
    f->checkpoint.identity = b->data;
    f->checkpoint.usual = f->usual.data;
    return b->failed || f->usual.failed ? COP_E_NOMEM : COP_OK;
}

static cop_status open_teacher(fit_run *f) {
    const cop_net *teacher = f->recipe->teacher;
    cop_status s = copi_check_fit(teacher, f->data);
    if (s) return copi_fail_in(f->ctx, s, "teacher");
    copi_normalization ours = copi_normalization_of(f->net, f->data),
                       theirs = copi_normalization_of(teacher, f->data);
    size_t channels = (size_t)f->data->info.channels;
    if (ours.order != theirs.order || memcmp(ours.mean, theirs.mean, channels * sizeof *ours.mean) ||
        memcmp(ours.std, theirs.std, channels * sizeof *ours.std))
        return copi_fail(f->ctx, COP_E_REFUSED,
                         "teacher: its images are normalized by mean %g, std %g in channel 0 (%s), the net's "
                         "by %g, %g (%s); train both with the same normalization",
                         theirs.mean[0], theirs.std[0], cop_channel_order_name(theirs.order), ours.mean[0],
                         ours.std[0], cop_channel_order_name(ours.order));
    size_t outputs;
    if (!copi_mul((size_t)f->recipe->batch, (size_t)f->net->classes, &outputs) ||
        !(f->teacher_y = copi_alloc(f->ctx, outputs, sizeof(float))) ||
        !(f->teacher_logits = copi_alloc(f->ctx, outputs, sizeof(float))))
        return COP_E_NOMEM;
    return copi_plan_create(f->ctx, teacher,
                            &(copi_plan_options){.batch = f->recipe->batch, .precision = f->recipe->precision},
                            &f->teacher);
}

static cop_status open_plan(fit_run *f) {
    const cop_recipe *r = f->recipe;
    cop_net *scaled; /* the plan takes its dropout from this net */
    cop_status s = cop_net_clone(f->net, &scaled);
    if (s) return s;
    copi_scale_dropout(scaled, r->dropout);
    s = copi_plan_create(f->ctx, scaled,
                         &(copi_plan_options){.batch = r->batch,
                                              .training = true,
                                              .averages = r->average > 0,
                                              .precision = r->precision,
                                              .seed = r->seed},
                         &f->plan);
    cop_net_destroy(scaled);
    if (s) return s;
    copi_plan_set_optimizer(f->plan, r);
    if (f->fit->gates) copi_plan_set_gates(f->plan, f->fit->gates);
    return distils(r) ? open_teacher(f) : COP_OK;
}

static cop_status open_loader(fit_run *f) {
    const cop_recipe *r = f->recipe;
    copi_normalization normal = copi_normalization_of(f->net, f->data);
    return copi_loader_create(f->ctx, f->data,
                              &(copi_loader_options){.split = COP_SPLIT_TRAIN,
                                                     .batch = r->batch,
                                                     .shuffle = true,
                                                     .drop_last = true,
                                                     .augment = *r,
                                                     .seed = r->seed,
                                                     .first_step = f->state.step,
                                                     .steps = f->steps,
                                                     .mean = normal.mean,
                                                     .std = normal.std,
                                                     .order = normal.order},
                              &f->loader);
}

static void count(fit_run *f) { /* update times and counts */
    double now = copi_now();
    f->state.seconds += now - f->mark;
    f->mark = now;
    f->history->seconds = f->state.seconds;
    f->history->steps = f->state.step;
    f->history->images = f->state.step * f->recipe->batch;
    f->history->macs = 3 * f->macs * (double)f->history->images;
}

static void report(fit_run *f, int64_t from, double since) {
    const copi_progress_state *st = &f->state;
    double gone = copi_now() - since, done = (double)(st->step - from);
    double each = done > 0 ? gone / done : 0;
    int64_t in_epoch = st->images / f->recipe->batch;
    copi_progress(f->ctx, &(cop_progress){.phase = f->fit->phase,
                                          .label = "",
                                          .done = st->step,
                                          .total = f->steps,
                                          .epoch = (int)((st->step > 0 ? st->step - 1 : 0) / f->per_epoch) + 1,
                                          .epochs = f->epochs,
                                          .rate = each > 0 ? (double)f->recipe->batch / each : 0,
                                          .loss = in_epoch ? st->loss / (double)in_epoch : NAN,
                                          .accuracy = st->images ? (double)st->correct / (double)st->images : NAN,
                                          .seconds_left = done > 0 ? each * (double)(f->steps - st->step) : NAN});
}

/* Take the averaged weights and recompute batch-norm statistics, which training kept for other weights. */
static cop_status take_average(fit_run *f, cop_net *net) {
    cop_status s = copi_plan_pull_average(f->plan, net);
    return s ? s : copi_recalibrate(net, f->data, COPI_SETTLE_IMAGES, false);
}

static cop_status validate(fit_run *f, cop_epoch *e) {
    if (!f->data->info.images[COP_SPLIT_VALIDATION]) return COP_OK;
    cop_net *average = NULL; /* the net that training would return now */
    cop_status s = f->recipe->average > 0 ? cop_net_clone(f->net, &average) : COP_OK;
    if (!s && average) s = take_average(f, average);
    if (!s && !f->meter) s = copi_meter_create(f->net, f->data, NULL, false, &f->meter);
    cop_eval eval;
    if (!s) s = copi_meter_run(f->meter, average ? average : f->net, COP_SPLIT_VALIDATION, &eval);
    cop_net_destroy(average);
    if (s) return s;
    e->accuracy_validation = eval.accuracy;
    e->loss_validation = eval.loss;
    return COP_OK;
}

static cop_status keep(fit_run *f) { /* write the checkpoint, if the recipe has one */
    if (!f->recipe->checkpoint) return COP_OK;
    f->kept = copi_now();
    return copi_checkpoint_save(&f->checkpoint, f->net, f->plan, &f->state, f->history);
}

cop_status copi_check_finite(cop_ctx *ctx, const char *phase, const char *what, const float *x, size_t n,
                             int64_t step, double rate) {
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return copi_fail(ctx, COP_E_DIVERGED, "%s: a %s is %g after step %lld; try a rate below %g", phase, what,
                             (double)x[i], (long long)step, rate);
    return COP_OK;
}

/* At the end of an epoch: has the recipe's time run out? */
static bool is_over(const fit_run *f) {
    const copi_progress_state *st = &f->state;
    return f->recipe->max_seconds > 0 && st->step > 0 && st->step % f->per_epoch == 0 &&
           st->seconds >= f->recipe->max_seconds;
}

static cop_status end_epoch(fit_run *f, double rate) {
    cop_history *h = f->history;
    count(f);
    cop_status s = copi_plan_pull(f->plan, f->net);
    if (!s) /* weights may be not finite although the last loss was */
        s = copi_check_finite(f->ctx, f->fit->phase, "weight", f->net->block, f->net->block_count, f->state.step,
                              f->recipe->rate);
    if (s) return s;
    if (h->count == f->history_cap) {
        int cap = f->history_cap + 16;
        cop_epoch *grown = copi_grow(f->ctx, h->epoch, (size_t)h->count, (size_t)cap, sizeof *grown);
        if (!grown) return COP_E_NOMEM;
        h->epoch = grown;
        f->history_cap = cap;
    }
    bool last = f->state.step == f->steps || is_over(f);
    cop_epoch *e = &h->epoch[h->count++];
    *e = (cop_epoch){.epoch = h->count,
                     .rate = rate,
                     .loss = f->state.loss * (double)f->recipe->batch / (double)f->state.images,
                     .accuracy = (double)f->state.correct / (double)f->state.images,
                     .accuracy_validation = NAN,
                     .loss_validation = NAN,
                     .seconds = f->state.seconds};
    f->state.loss = 0;
    f->state.correct = f->state.images = 0;
    bool due = last || (f->recipe->evaluate_every > 0 && h->count % f->recipe->evaluate_every == 0);
    if (due) s = validate(f, e);
    if (!s && (last || copi_now() - f->kept >= f->fit->keep_every)) s = keep(f);
    f->mark = copi_now();
    return s;
}

static cop_status run_steps(fit_run *f) {
    const cop_recipe *r = f->recipe;
    const int64_t from = f->state.step;
    double since = copi_now(), reported = since;
    f->mark = since;
    while (f->state.step < f->steps && !is_over(f)) {
        int64_t t = f->state.step, n, correct;
        const float *x;
        const int32_t *label;
        double loss, rate = cop_schedule_rate(r, t, f->steps, f->per_epoch);
        cop_status s = f->fit->on_step ? f->fit->on_step(f->fit->user, f->plan, t, f->steps) : COP_OK;
        if (!s) s = copi_loader_next(f->loader, &x, &label, &n);
        if (!s && n != r->batch)
            s = copi_fail(f->ctx, COP_E_INTERNAL, "%s: the loader gave %lld images at step %lld", f->fit->phase,
                          (long long)n, (long long)t);
        if (!s && f->teacher) s = copi_plan_forward(f->teacher, x, n, f->teacher_y, f->teacher_logits);
        if (!s)
            s = copi_plan_step(f->plan,
                               &(copi_step){.x = x,
                                            .label = label,
                                            .recipe = r,
                                            .teacher = f->teacher ? f->teacher_logits : NULL,
                                            .rate = rate,
                                            .gate_rate = r->rate > 0 ? f->fit->gate_rate * (rate / r->rate) : 0},
                               &loss, &correct);
        if (s) return s;
        f->state.step++;
        f->state.loss += loss;
        f->state.correct += correct;
        f->state.images += n;
        bool finished = f->state.step == f->steps, ended = finished || f->state.step % f->per_epoch == 0;
        if (finished || copi_now() - reported > 0.1) {
            report(f, from, since);
            reported = copi_now();
        }
        if (ended && (s = end_epoch(f, rate))) return s;
        if (!finished && !is_over(f) && copi_cancelled(f->ctx))
            return copi_fail(f->ctx, COP_E_CANCELLED, "%s: interrupted after step %lld of %lld", f->fit->phase,
                             (long long)f->state.step, (long long)f->steps);
    }
    return COP_OK;
}

/* Store normalization and class names in the net, at the start, so that an interrupted net is usable too. */
static cop_status adopt(fit_run *f) {
    cop_status s = COP_OK;
    if (!f->net->normalized) {
        copi_normalization normal = copi_normalization_of(f->net, f->data);
        s = copi_net_set_normalization(f->net, normal.mean, normal.std);
    }
    if (!s && !f->net->class_name && f->data->info.class_name)
        s = copi_net_set_classes(f->net, f->data->info.class_name, f->data->info.classes);
    return s;
}

static cop_status sign(fit_run *f) {
    const cop_recipe *r = f->recipe;
    return copi_net_note(f->net, "%s: %lld steps of %lld images, %s %g %s, seed %llu, data %.12s", f->fit->phase,
                         (long long)f->state.step, (long long)r->batch, cop_optimizer_name(r->optimizer), r->rate,
                         cop_schedule_name(r->schedule), (unsigned long long)r->seed, f->data->info.digest);
}

static cop_status resume(fit_run *f) {
    bool found;
    cop_status s = copi_checkpoint_load(&f->checkpoint, f->net, f->plan, &f->state, f->history, &found);
    if (s) return s;
    f->history->resumed = found;
    f->history_cap = f->history->count;
    if (f->state.step > f->steps)
        return copi_fail(f->ctx, COP_E_FORMAT, "%s: the checkpoint is at step %lld, the run has only %lld",
                         f->recipe->checkpoint, (long long)f->state.step, (long long)f->steps);
    return COP_OK;
}

static cop_status prepare(fit_run *f) {
    const cop_recipe *r = f->recipe;
    cop_status s = copi_recipe_check(f->ctx, r);
    if (s || (s = copi_check_fit(f->net, f->data))) return s;
    int64_t images = f->data->info.images[COP_SPLIT_TRAIN];
    f->per_epoch = images / r->batch;
    if (!f->per_epoch)
        return copi_fail(f->ctx, COP_E_RANGE, "%s: batch is %lld, but %s has only %lld training images",
                         f->fit->phase, (long long)r->batch, f->data->info.path, (long long)images);
    f->steps = (int64_t)llround(r->epochs * (double)f->per_epoch);
    if (!f->steps && r->epochs > 0) f->steps = 1;
    f->epochs = (int)((f->steps + f->per_epoch - 1) / f->per_epoch);
    cop_net_info info;
    cop_net_get_info(f->net, &info);
    f->macs = (double)info.macs;
    copi_net_apply_masks(f->net); /* so that masked entries are 0 from the first step on */
    f->checkpoint = (copi_checkpoint){.path = r->checkpoint, .start = copi_net_digest(f->net)};
    if ((s = open_plan(f)) || (s = describe(f))) return s;
    if (r->resume && (s = resume(f))) {
        if (f->fit->unfit) *f->fit->unfit = s != COP_E_NOMEM && s != COP_E_IO && s != COP_E_CANCELLED;
        return s;
    }
    return f->state.step < f->steps ? open_loader(f) : COP_OK;
}

cop_status copi_fit_run(cop_net *net, const cop_data *data, const copi_fit *fit, cop_history *history) {
    cop_history own;
    if (!history) history = &own;
    *history = (cop_history){.ctx = net->ctx};
    copi_fit named = *fit;
    if (!named.phase) named.phase = "train";
    fit_run f = {.ctx = net->ctx, .net = net, .data = data, .fit = &named, .recipe = fit->recipe, .history = history};
    copi_buffer_init(&f.identity, f.ctx);
    copi_buffer_init(&f.usual, f.ctx);
    cop_status s = prepare(&f);
    if (!s) s = adopt(&f);
    if (!s) {
        f.mark = f.kept = copi_now();
        s = run_steps(&f);
        count(&f);
        if (s == COP_E_CANCELLED || s == COP_E_DIVERGED) { /* saving keeps the error's text unless it fails itself */
            cop_status saved = copi_plan_pull(f.plan, net);
            if (!saved && s == COP_E_CANCELLED) saved = keep(&f);
            if (saved) s = saved;
        }
        if (!s && f.recipe->average > 0 && f.state.step > 0) s = take_average(&f, net);
        if (!s) s = sign(&f);
    }
    copi_meter_destroy(f.meter);
    copi_loader_destroy(f.loader);
    copi_plan_destroy(f.teacher);
    copi_plan_destroy(f.plan);
    copi_free(f.ctx, f.teacher_y);
    copi_free(f.ctx, f.teacher_logits);
    copi_buffer_clear(&f.identity);
    copi_buffer_clear(&f.usual);
    if (history == &own) cop_history_clear(&own);
    return s;
}

cop_status copi_fit_resume(cop_net *net, const cop_data *data, const copi_fit *fit, cop_history *history) {
    cop_recipe recipe = *fit->recipe;
    copi_fit own = *fit;
    cop_net *kept = NULL;
    cop_status s = COP_OK;
    bool unfit = false;
    own.recipe = &recipe;
    own.unfit = &unfit;
    recipe.resume = access(recipe.checkpoint, F_OK) == 0;
    if (recipe.resume) s = cop_net_clone(net, &kept);
    if (!s) s = copi_fit_run(net, data, &own, history);
    if (unfit && unlink(recipe.checkpoint) == 0) {
        copi_log(net->ctx, COP_LOG_WARNING, "%s; this training starts over", cop_error(net->ctx));
        cop_history_clear(history);
        recipe.resume = 0;
        s = copi_net_copy_params(net, kept);
        if (!s) s = copi_net_copy_masks(net, kept);
        if (!s) s = copi_fit_run(net, data, &own, history);
    }
    cop_net_destroy(kept);
    return s;
}

cop_status cop_train(cop_net *net, const cop_data *data, const cop_recipe *recipe, cop_history *history) {
    if (history) *history = (cop_history){0};
    COPI_REQUIRE(NULL, net);
    COPI_REQUIRE(net->ctx, data);
    return copi_fit_run(net, data, &(copi_fit){.recipe = recipe, .phase = "train"}, history);
}
