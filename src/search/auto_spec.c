/* The study that auto runs: its attempts as structs, and as a study file. */
#include "search/auto.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECIPE "fast"
#define FLOOR_MOST 0.999999 /* a study's floor is below 1 */
enum { ERASE_LEAST = 30 };  /* epochs from which the dense net is trained with erased squares */

static const copi_candidate candidates[] = {
#define X(method, criterion, scope, rounds, flags) {method, criterion, scope, rounds, flags},
#include "search/auto.def"
#undef X
};
_Static_assert(COPI_COUNT(candidates) <= COPI_CANDIDATES, "room for all candidates");

void copi_auto_candidates(copi_auto *a) {
    a->candidates = 0;
    for (size_t i = 0; i < COPI_COUNT(candidates); i++)
        if (!(candidates[i].flags & COPI_FAST_ONLY) || a->p->macs > 0 || a->p->ms > 0)
            a->candidate[a->candidates++] = &candidates[i];
}

/* ----------------------------------------------------------------------------------------------- as structs -- */

/* A number as the study file holds it, so that the file gives the same trials. */
static double written(double x, int digits) {
    char text[40];
    snprintf(text, sizeof text, "%.*g", digits, x);
    return strtod(text, NULL);
}

static void set_dense(const copi_auto *a, cop_recipe *r) {
    const cop_data_info *info = a->study.data ? cop_data_get_info(a->study.data) : NULL; /* NULL: not read yet */
    int64_t side = !info ? 0 : info->height < info->width ? info->height : info->width;
    r->epochs = written(a->dense_epochs, 6);
    r->optimizer = COP_OPTIMIZER_ADAMW;
    r->rate = 2e-3;
    r->schedule = COP_SCHEDULE_ONE_CYCLE;
    r->batch = COPI_AUTO_BATCH;
    r->decay = 5e-2;
    r->flip = a->p->flip;
    r->shift = a->p->shift;
    r->erase = a->p->erase && a->dense_epochs >= ERASE_LEAST ? (int)(side / 3) : 0;
    r->label_smoothing = 0.05;
    r->average = 0.999;
    r->evaluate_every = 5;
}

/* epochs 0: the recipe's own. Errors: NOMEM. */
static cop_status make_trial(const copi_auto *a, const copi_spec *spec, const copi_candidate *c, double level,
                             double epochs, copi_spec_trial *t) {
    *t = copi_spec_begin_trial(spec);
    t->recipe = RECIPE;
    cop_method_params *p = &t->p;
    cop_status status = cop_method_recipe_apply(a->ctx, RECIPE, p);
    t->level = copi_alloc(a->ctx, 1, sizeof *t->level);
    if (status || !t->level) return status ? status : COP_E_NOMEM;
    p->sparsity = t->level[t->levels++] = written(level, 6);
    p->scope = c->scope;
    if (c->method) p->method = c->method;
    t->level_of = copi_option_find(copi_method_find(p->method)->options, "sparsity");
    if (c->rounds) {
        p->rounds = c->rounds;
        p->pace = COP_PACE_CUBIC;
    }
    if (c->flags & COPI_KEEPS_MACS && a->p->macs > 0) p->macs = (double)a->p->macs;
    if (c->flags & COPI_NO_TEACHER) p->tune.distil_share = 0;
    if (epochs == 0) return COP_OK;
    if (c->flags & COPI_COMPOUND) {
        double structure = epochs / 4;
        double images = (double)cop_data_get_info(a->study.data)->images[COP_SPLIT_TRAIN];
        double steps = fmax(1, structure * floor(images / COPI_AUTO_BATCH));
        epochs -= structure;
        p->sss.search.epochs = written(structure, 6);
        /* a factor that the loss does not need reaches 0 after half the steps: docs/methods.md, "SSS" */
        p->sss.gamma = written(fmin(2 / steps, 0.1), 3);
    }
    p->tune.epochs = written(c->rounds ? epochs / c->rounds : epochs, 6);
    return COP_OK;
}

/* Without an attempt there is one trial: a plan needs it. */
static cop_status make_trials(const copi_auto *a, copi_spec *spec) {
    int n = a->attempts ? a->attempts : 1;
    spec->trial = copi_alloc(a->ctx, (size_t)n, sizeof *spec->trial);
    if (!spec->trial) return COP_E_NOMEM;
    cop_status status = COP_OK;
    while (!status && spec->trials < n) {
        static const copi_attempt none = {.level = 0.98};
        const copi_attempt *from = a->attempts ? &a->attempt[spec->trials] : &none;
        status = make_trial(a, spec, a->candidate[from->candidate], from->level, from->epochs,
                            &spec->trial[spec->trials++]);
    }
    return status;
}

/* ------------------------------------------------------------------------------------------------- as text -- */

/* A JSON string is a YAML string. */
static void put_string(copi_buffer *b, const char *text) {
    json_t *string = copi_json_text(b->ctx, text);
    char *quoted = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    if (quoted)
        copi_buffer_text(b, quoted);
    else
        b->failed = true;
    free(quoted);
    json_decref(string);
}

/* The file has absolute paths, since it may be run from anywhere. The spec, and so errors and the page, has them as
 * given. */
static void put_path(copi_buffer *b, const char *path) {
    char folder[4096];
    bool whole = *path == '/' || !getcwd(folder, sizeof folder);
    char *from_root = copi_format(b->ctx, "%s%s%s", whole ? "" : folder, whole ? "" : "/", path);
    if (from_root)
        put_string(b, from_root);
    else
        b->failed = true;
    copi_free(b->ctx, from_root);
}

static void put_dense(copi_buffer *b, const cop_recipe *r) {
    copi_buffer_printf(
        b, "\ndense: {epochs: %.6g, optimizer: %s, rate: %g, schedule: %s, batch: %" PRId64 ", decay: %g, ",
        r->epochs, cop_optimizer_name(r->optimizer), r->rate, cop_schedule_name(r->schedule), (int64_t)r->batch,
        r->decay);
    copi_buffer_printf(b, "flip: %s, shift: %d, erase: %d, label_smoothing: %g, average: %g, evaluate_every: %d}",
                       r->flip ? "true" : "false", r->shift, r->erase, r->label_smoothing, r->average,
                       r->evaluate_every);
}

/* A trial: the keys that its candidate and its attempt decide. own_epochs: else those of the recipe. */
static void put_trial(copi_buffer *b, const copi_candidate *c, const copi_spec_trial *t, bool own_epochs) {
    copi_buffer_printf(b, "  - {recipe: %s, ", t->recipe);
    if (c->method) copi_buffer_printf(b, "method: %s, ", t->p.method);
    if (strcmp(t->p.scope, "global") != 0) copi_buffer_printf(b, "scope: %s, ", t->p.scope);
    if (c->rounds) copi_buffer_printf(b, "rounds: %d, pace: %s, ", t->p.rounds, cop_pace_name(t->p.pace));
    copi_buffer_printf(b, "sparsity: %.6g", t->level[0]);
    if (own_epochs && c->flags & COPI_COMPOUND)
        copi_buffer_printf(b, ", gamma: %.3g, structure: {epochs: %.6g}", t->p.sss.gamma, t->p.sss.search.epochs);
    if (t->p.macs > 0) copi_buffer_printf(b, ", macs: %.0f", t->p.macs);
    if (own_epochs)
        copi_buffer_printf(b, ", tune: {epochs: %.6g%s}", t->p.tune.epochs,
                           c->flags & COPI_NO_TEACHER ? ", distil_share: 0" : "");
    copi_buffer_text(b, "}\n");
}

static void put_study(const copi_auto *a, const copi_spec *spec, copi_buffer *b) {
    copi_buffer_text(b, "# Written by coppice auto: its trials, in order. coppice study run repeats them.\nname: ");
    put_string(b, spec->name);
    copi_buffer_text(b, "\ndata: {path: ");
    put_path(b, spec->data);
    const cop_data_options *d = &spec->data_options;
    if (d->format) copi_buffer_printf(b, ", format: %s", d->format);
    copi_buffer_printf(b,
                       ", validation: %.17g, limit: %" PRId64 ", height: %" PRId64 ", width: %" PRId64 "}\nmodel: ",
                       d->validation, d->limit, d->height, d->width);
    if (copi_spec_is_preset(spec))
        copi_buffer_text(b, spec->model);
    else
        put_path(b, spec->model);
    put_dense(b, &spec->dense);
    copi_buffer_printf(b, "\nscore: {floor: %.6g}\nseeds: [%" PRIu64 "]\ntrials:\n", spec->floor, spec->seed[0]);
    for (int i = 0; i < spec->trials; i++)
        put_trial(b, a->candidate[a->attempts ? a->attempt[i].candidate : 0], &spec->trial[i], a->attempts > 0);
}

/* ---------------------------------------------------------------------------------------------------- both -- */

static cop_status fill(const copi_auto *a, copi_spec *spec) {
    const cop_auto_params *p = a->p;
    const char *slash = strrchr(p->data, '/');
    spec->name = copi_format(a->ctx, "auto: %s on %s", p->model, slash && slash[1] ? slash + 1 : p->data);
    spec->data = copi_strdup(a->ctx, p->data);
    spec->model = copi_strdup(a->ctx, p->model);
    if (!spec->name || !spec->data || !spec->model) return COP_E_NOMEM;
    spec->data_options = p->data_options;
    set_dense(a, &spec->dense);
    spec->floor = written(fmin(a->floor, FLOOR_MOST), 6);
    spec->seed[0] = p->seed;
    return make_trials(a, spec);
}

cop_status copi_auto_spec(const copi_auto *a, copi_spec *spec) {
    char *path = copi_format(a->ctx, "%s/auto.yaml", a->dir);
    cop_status status = path ? copi_spec_begin(a->ctx, path, "", 0, spec) : COP_E_NOMEM;
    copi_free(a->ctx, path);
    if (status) return status;
    copi_buffer text;
    copi_buffer_init(&text, a->ctx);
    status = fill(a, spec);
    if (!status) put_study(a, spec, &text);
    copi_free(a->ctx, spec->text);
    spec->text = !status && !text.failed ? copi_strdup(a->ctx, text.data) : NULL;
    copi_buffer_clear(&text);
    if (!status && !spec->text) status = COP_E_NOMEM;
    if (status) copi_spec_clear(spec);
    return status;
}
