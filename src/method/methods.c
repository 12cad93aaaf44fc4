/* The table of methods, their shared parts, and running one. */
#include "method/method.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#define KEEP_EVERY 10 /* seconds between saved states, which are written at the ends of epochs */

static const copi_method *const methods[] = {
#define X(symbol) &copi_method_##symbol,
#include "method/methods.def"
#undef X
};

int cop_method_count(void) {
    return cop_criterion_count() + (int)COPI_COUNT(methods);
}
/* Criteria come first. NULL: no such number, or a criterion. */
static const copi_method *method_at(int i) {
    int n = i - cop_criterion_count();
    return n >= 0 && n < (int)COPI_COUNT(methods) ? methods[n] : NULL;
}
const char *cop_method_name(int method) {
    return method_at(method) ? method_at(method)->name : cop_criterion_name(method);
}
const char *cop_method_help(int method) {
    return method_at(method) ? method_at(method)->help : cop_criterion_help(method);
}
const char *cop_method_family(int method) {
    const copi_method *m = copi_method_find(cop_method_name(method));
    return m ? m->family : NULL;
}
const cop_option *cop_method_option(int method, int option) {
    const copi_method *m = copi_method_find(cop_method_name(method));
    for (int i = 0; m && m->options[i].name; i++)
        if (i == option) return &m->options[i];
    return NULL;
}

const copi_method *copi_method_find(const char *name) {
    if (copi_criterion_find(name)) return &copi_method_criterion;
    for (size_t i = 0; name && i < COPI_COUNT(methods); i++)
        if (!strcmp(methods[i]->name, name)) return methods[i];
    return NULL;
}

const copi_style *copi_method_style(const char *name) {
    const copi_criterion *criterion = copi_criterion_find(name);
    const copi_method *method = criterion ? NULL : copi_method_find(name);
    return criterion ? &criterion->style : method ? &method->style : NULL;
}

const copi_method *copi_method_of(const char *name, const char *like) {
    const copi_method *method = copi_method_find(name);
    if (method && method->like) method = copi_method_find(like);
    return method && method->like ? NULL : method;
}

static int add_options(const cop_option *from, size_t base, cop_option *table, int n);

/* One option, or those of an inline recipe. */
static int add_option(const cop_option *o, size_t base, cop_option *table, int n) {
    if (o->flags & COP_OPTION_INLINE) return add_options(o->table, base + o->offset, table, n);
    table[n] = *o;
    table[n].offset += base;
    table[n].count_offset += base;
    return n + 1;
}

static int add_options(const cop_option *from, size_t base, cop_option *table, int n) {
    for (; from->name && n < COPI_METHOD_OPTIONS - 1; from++) n = add_option(from, base, table, n);
    return n;
}

int copi_method_options(const char *name, const char *like, cop_option table[COPI_METHOD_OPTIONS]) {
    const copi_method *method = copi_method_find(name), *other = copi_method_of(name, like);
    int n = 0;
    const cop_option *own = method->options;
    if (method->like) {
        n = add_option(own++, 0, table, n);
        if (other) n = add_options(other->options, 0, table, n);
    }
    n = add_options(own, 0, table, n);
    table[n] = (cop_option){0};
    return n;
}

cop_status copi_method_options_check(cop_ctx *ctx, const copi_method *method, const cop_method_params *params) {
    cop_status s = COP_OK;
    for (const cop_option *o = method->options; !s && o->name; o++)
        if (!(o->flags & COP_OPTION_LEVEL)) s = copi_option_check(ctx, NULL, o, params);
    return s;
}

void copi_label_epochs(copi_buffer *b, double epochs) {
    copi_buffer_printf(b, ", %g epoch%s", epochs, epochs == 1 ? "" : "s");
}

COPI_ENUM(pace, COP_PACE_LIST)
COPI_ENUM(structure, COP_STRUCTURE_LIST)
COPI_ENUM(target, COP_TARGET_LIST)

double copi_pace_share(cop_pace pace, double sparsity, int r, int n) {
    double part = n > 0 ? (double)r / n : 1;
    if (r >= n) return sparsity; /* exactly, without rounding */
    switch (pace) {
    case COP_PACE_LINEAR:
        return sparsity * part;
    case COP_PACE_GEOMETRIC:
        return 1 - pow(1 - sparsity, part);
    case COP_PACE_CUBIC:
        return sparsity * (1 - pow(1 - part, 3));
    case COP_PACE_GRADUAL: /* its one round is the last */
    case COP_PACE_ONE_SHOT:
        break;
    }
    return sparsity;
}

double cop_score(double accuracy, double sparsity, double floor) {
    return accuracy >= floor ? (accuracy + sparsity) / 2 : 0;
}

void cop_method_params_init(cop_method_params *params, size_t size) {
    cop_method_params p = {.size = sizeof p, .method = "magnitude", .seed = 1};
    p.tune = p.sparsify = p.sss.search = p.sss.retrain = p.scratch.recipe = cop_recipe_default();
    for (size_t i = 0; i < COPI_COUNT(methods); i++) copi_options_default(methods[i]->options, &p);
    copi_options_default(copi_method_criterion.options, &p); /* last: its defaults win for shared options */
    p.sparsify.epochs = 0;                                   /* off unless it has epochs */
    p.sss.retrain.l1 = 1e-5;                                 /* the last step of the reference study */
    copi_struct_init(params, size, &p, sizeof p);
}

cop_status copi_method_recipe_check(cop_ctx *ctx, const char *what, const cop_recipe *recipe) {
    cop_status s = copi_recipe_check(ctx, recipe);
    if (s) return copi_fail_in(ctx, s, "%s", what);
    if (recipe->checkpoint)
        return copi_fail(ctx, COP_E_ARG, "%s: recipe: checkpoint is %s; leave it out: a method trains several nets",
                         what, recipe->checkpoint);
    return COP_OK;
}

cop_status copi_run_settle(const copi_run *run, cop_net *net) {
    return copi_recalibrate(net, run->data, COPI_SETTLE_IMAGES, true);
}

static char *state_file(const copi_run *run, int training) {
    return copi_format(run->ctx, "%s.%d", run->params->state, training);
}

/* Train, resuming from the state of this training if an earlier run left one. */
static cop_status resume(copi_run *run, cop_net *net, const copi_fit *fit, cop_recipe *recipe, cop_history *history) {
    if (!run->params->state ||
        run->params->gradual.revive > 0) /* revival needs gradients, which checkpoints do not hold */
        return copi_fit_run(net, run->data, fit, history);
    char *path = state_file(run, ++run->trainings);
    recipe->checkpoint = path;
    cop_status s = path ? copi_fit_resume(net, run->data, fit, history) : COP_E_NOMEM;
    copi_free(run->ctx, path);
    return s;
}

/* Remove the states when the run is done or cannot succeed. */
static void forget_state(const copi_run *run, cop_status status) {
    if (run->stopped || status == COP_E_CANCELLED || status == COP_E_NOMEM || status == COP_E_IO) return;
    for (int i = 1; i <= run->trainings; i++) {
        char *path = state_file(run, i);
        if (path) unlink(path);
        copi_free(run->ctx, path);
    }
}

cop_status copi_run_train(copi_run *run, cop_net *net, const copi_fit *fit, int round, cop_history *history) {
    cop_recipe recipe = *fit->recipe;
    recipe.seed += (uint64_t)(round > 1 ? round - 1 : 0);
    copi_fit own = *fit;
    own.recipe = &recipe;
    own.keep_every = KEEP_EVERY;
    cop_status s = resume(run, net, &own, &recipe, history);
    int64_t images = run->data->info.images[COP_SPLIT_TRAIN];
    int64_t per_epoch = images / recipe.batch;
    if (per_epoch > 0) run->epochs += (double)history->steps / (double)per_epoch;
    run->seconds += history->seconds;
    run->macs += history->macs;
    return s ? s : copi_run_settle(run, net);
}

static cop_status measure_split(copi_meter *meter, const cop_data *data, const cop_net *net, cop_split split,
                                double *accuracy) {
    *accuracy = NAN;
    if (!data->info.images[split]) return COP_OK;
    cop_eval eval;
    cop_status s = copi_meter_run(meter, net, split, &eval);
    if (!s) *accuracy = eval.accuracy;
    return s;
}

cop_status copi_run_validate(const copi_run *run, const cop_net *net, double *accuracy) {
    *accuracy = NAN;
    copi_meter *meter;
    cop_status s = copi_meter_create(net, run->data, NULL, true, &meter);
    if (s) return s;
    s = measure_split(meter, run->data, net, COP_SPLIT_VALIDATION, accuracy);
    copi_meter_destroy(meter);
    return s;
}

cop_status copi_measure_point(const cop_net *net, const cop_data *data, cop_point *point) {
    copi_meter *meter;
    cop_status s = copi_meter_create(net, data, NULL, true, &meter);
    if (s) return s;
    s = measure_split(meter, data, net, COP_SPLIT_VALIDATION, &point->accuracy_val);
    if (!s) s = measure_split(meter, data, net, COP_SPLIT_TEST, &point->accuracy_test);
    copi_meter_destroy(meter);
    if (s) return s;
    cop_net_info info;
    cop_net_get_info(net, &info);
    point->sparsity = info.sparsity;
    point->sparsity_conv = info.sparsity_conv;
    point->sparsity_dense = info.sparsity_dense;
    point->parameters = info.parameters;
    point->nonzero = info.nonzero;
    point->macs = info.macs;
    point->macs_effective = info.macs_effective;
    return COP_OK;
}

cop_status copi_run_point(copi_run *run, const cop_net *net, cop_point *point, cop_history *history) {
    cop_status s = copi_measure_point(net, run->data, point);
    if (s) return s;
    point->epochs = run->epochs;
    point->seconds = run->seconds;
    point->train_macs = run->macs;
    point->history = history ? *history : (cop_history){0};
    if (run->on_point && run->on_point(run->user, point, net)) run->stopped = true;
    cop_history_clear(history);
    point->history = (cop_history){0};
    return COP_OK;
}

cop_status cop_method_run(const cop_net *dense, const cop_data *data, const cop_method_params *params,
                          cop_point_fn on_point, void *user, cop_net **result) {
    if (result) *result = NULL;
    COPI_REQUIRE(NULL, dense);
    cop_ctx *ctx = dense->ctx;
    COPI_REQUIRE(ctx, data);
    cop_status s = COPI_CHECK(ctx, cop_method_params, params);
    if (!s) s = COPI_CHECK_RESERVE(ctx, cop_gradual_params, params->gradual);
    if (!s) s = COPI_CHECK_RESERVE(ctx, cop_sss_params, params->sss);
    if (!s) s = COPI_CHECK_RESERVE(ctx, cop_compound_params, params->compound);
    if (!s) s = COPI_CHECK_RESERVE(ctx, cop_scratch_params, params->scratch);
    if (s) return s;
    if (!params->method) return copi_fail(ctx, COP_E_ARG, "method: no name is given");
    const copi_method *method = copi_method_find(params->method);
    if (!method) {
        const char *near = cop_nearest(params->method, cop_method_name);
        return copi_fail(ctx, COP_E_NOT_FOUND, "method: there is no '%s'%s%s%s", params->method,
                         near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    s = method->check(ctx, params);
    if (!s) s = copi_check_fit(dense, data);
    if (!s) s = copi_limits_check(ctx, params->limit, params->limits, dense);
    if (s) return copi_fail_in(ctx, s, "%s", params->method);
    copi_run run = {.ctx = ctx, .dense = dense, .data = data, .params = params, .on_point = on_point, .user = user};
    cop_net *net = NULL;
    s = method->run(&run, &net);
    forget_state(&run, s);
    if (!s && result) {
        *result = net;
        return COP_OK;
    }
    cop_net_destroy(net);
    return s ? copi_fail_in(ctx, s, "%s", params->method) : COP_OK;
}
