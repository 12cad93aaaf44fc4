/* A spec expanded into trials, each named by a digest of all that decides it. */
#include "study/study.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { DIGEST_DENSE = 1, DIGEST_TRIAL }; /* so that the two kinds of name never meet */

static void name_into(char out[20], uint64_t salt, const copi_buffer *text) {
    snprintf(out, 20, "%016" PRIx64, copi_hash(salt, text->data, text->len));
}

/* Name and setting: the text so far, with and without the seed. */
static cop_status name_trial(copi_buffer *text, uint64_t salt, copi_trial *t) {
    name_into(t->setting, salt, text);
    copi_buffer_printf(text, "seed=%" PRIu64 "\n", t->seed);
    name_into(t->name, salt, text);
    return text->failed ? COP_E_NOMEM : COP_OK;
}

static cop_status make_dense(const copi_spec *spec, const char *data_digest, const char *model_digest, uint64_t seed,
                             copi_trial *t) {
    *t = (copi_trial){.method = COPI_METHOD_DENSE, .seed = seed, .level = NAN, .asked = 0};
    snprintf(t->label, sizeof t->label, "dense net");
    copi_buffer text;
    copi_buffer_init(&text, spec->ctx);
    copi_buffer_printf(&text, "program=%s\ndata=%s\nfile=%s\n", cop_version(), data_digest, model_digest);
    copi_spec_print_dense(&text, spec);
    cop_status status = name_trial(&text, DIGEST_DENSE, t);
    copi_buffer_clear(&text);
    return status;
}

static void label(copi_trial *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void label(copi_trial *t, const char *format, ...) {
    size_t n = strlen(t->label);
    va_list args;
    va_start(args, format);
    vsnprintf(t->label + n, sizeof t->label - n, format, args);
    va_end(args);
}

static void label_epochs(copi_trial *t) {
    double n = t->spec->tune.r.epochs;
    label(t, ", %g epoch%s", n, n == 1 ? "" : "s");
}

static void label_trial(copi_trial *t) {
    const cop_method_params *p = &t->spec->p;
    bool gradual = p->pace == COP_PACE_GRADUAL;
    label(t, "%s", t->method);
    if (strcmp(t->method, "scratch") == 0) label(t, " as %s", p->scratch.like);
    if (copi_spec_is_sss(t->spec)) {
        for (cop_structure k = COP_STRUCTURE_NEURON; k <= COP_STRUCTURE_BLOCK; k++)
            if ((p->sss.structures >> k & 1u) && p->sss.structures != 1u << COP_STRUCTURE_NEURON)
                label(t, " %s", cop_structure_name(k));
        label(t, " %s %g%s", p->sss.target == COP_TARGET_NONE ? "gamma" : cop_target_name(p->sss.target), t->level,
              p->sss.cost_aware ? ", by MACs" : "");
    } else if (isnan(t->asked)) {
        label_epochs(t);
    } else {
        label(t, " %g", t->asked);
        if (p->scope && strcmp(p->scope, "layer") != 0) label(t, " %s", p->scope);
        if (p->compound.share > 0) label(t, " after %s %g", p->compound.first, p->compound.share);
        if (p->macs > 0) label(t, ", macs %g", p->macs);
        if (p->rounds && !gradual) label(t, ", %d round%s", p->rounds, p->rounds > 1 ? "s" : "");
        if (gradual || (p->rounds > 1 && p->pace != COP_PACE_ONE_SHOT)) label(t, " %s", cop_pace_name(p->pace));
        if (gradual) label_epochs(t);
        if (t->spec->recipe) label(t, ", recipe %s", t->spec->recipe);
    }
}

static cop_status make_trial(const copi_spec *spec, const copi_spec_trial *from, const copi_trial *dense, int number,
                             double level, copi_trial *t) {
    *t = (copi_trial){.method = from->p.method,
                      .spec = from,
                      .dense = number,
                      .seed = dense->seed,
                      .level = level,
                      .asked = copi_spec_is_sss(from) && from->p.sss.target != COP_TARGET_SPARSITY ? NAN : level};
    label_trial(t);
    copi_buffer text;
    copi_buffer_init(&text, spec->ctx);
    copi_buffer_printf(&text, "dense=%s\nlevel=%.17g\n", dense->setting, level);
    copi_spec_print_trial(&text, from);
    cop_status status = name_trial(&text, DIGEST_TRIAL, t);
    copi_buffer_clear(&text);
    return status;
}

static bool listed(const copi_trials *trials, int from, const char *name) {
    for (int i = from; i < trials->n; i++)
        if (strcmp(trials->trial[i].name, name) == 0) return true;
    return false;
}

static const copi_trial *labelled(const copi_trials *trials, int from, const char *text) {
    for (int i = from; i < trials->n; i++)
        if (strcmp(trials->trial[i].label, text) == 0) return &trials->trial[i];
    return NULL;
}

/* A label that an earlier trial has already tells what differs, like ", tune restarts 1". */
static cop_status tell_apart(const copi_trials *trials, int from, copi_trial *t) {
    const copi_trial *like = labelled(trials, from, t->label);
    if (!like) return COP_OK;
    copi_buffer text;
    copi_buffer_init(&text, trials->ctx);
    copi_spec_say_difference(&text, t->spec, like->spec);
    if (text.len) label(t, "%s", text.data);
    if (labelled(trials, from, t->label)) { /* cut off, or nothing that can be said */
        t->label[sizeof t->label - 16] = 0;
        label(t, ", no. %d", trials->n - from);
    }
    cop_status status = text.failed ? COP_E_NOMEM : COP_OK;
    copi_buffer_clear(&text);
    return status;
}

/* The levels of one entry: shares, gammas, or one without a number. */
static copi_numbers levels_of(const copi_spec_trial *from, double *alone) {
    copi_numbers list = *copi_spec_levels(from);
    if (list.n > 0) return list;
    *alone = copi_spec_is_sss(from) ? from->p.sss.gamma : NAN;
    return (copi_numbers){alone, 1};
}

cop_status copi_trials_expand(const copi_spec *spec, const char *data_digest, const char *model_digest,
                              copi_trials *trials) {
    *trials = (copi_trials){.ctx = spec->ctx};
    const copi_spec_trial *entry = spec->trials.v;
    size_t each = 1, total;
    double alone;
    for (int i = 0; i < spec->trials.n; i++) each += (size_t)levels_of(&entry[i], &alone).n;
    if (!copi_mul(each, (size_t)spec->seeds.n, &total) || total > INT32_MAX)
        return copi_fail(spec->ctx, COP_E_RANGE, "%s: more than %d trials", spec->path, INT32_MAX);
    trials->trial = copi_alloc(spec->ctx, total, sizeof *trials->trial);
    if (!trials->trial) return COP_E_NOMEM;
    cop_status status = COP_OK;
    for (int s = 0; !status && s < spec->seeds.n; s++) {
        int dense = trials->n++;
        status = make_dense(spec, data_digest, model_digest, spec->seeds.v[s], &trials->trial[dense]);
        trials->trial[dense].dense = dense;
        for (int i = 0; !status && i < spec->trials.n; i++) {
            copi_numbers levels = levels_of(&entry[i], &alone);
            for (int k = 0; !status && k < levels.n; k++) {
                copi_trial *t = &trials->trial[trials->n];
                status = make_trial(spec, &entry[i], &trials->trial[dense], dense, levels.v[k], t);
                if (status || listed(trials, dense, t->name)) continue;
                status = tell_apart(trials, dense, t);
                trials->n++;
            }
        }
    }
    if (status) copi_trials_clear(trials);
    return status;
}

void copi_trials_clear(copi_trials *trials) {
    copi_free(trials->ctx, trials->trial);
    *trials = (copi_trials){.ctx = trials->ctx};
}

/* A recipe asks for distillation by its share; the teacher is the dense net. */
static void complete(cop_recipe *r, const copi_trial *trial, const cop_net *dense) {
    r->seed = trial->seed;
    r->teacher = r->distil_share > 0 ? dense : NULL;
}

cop_method_params copi_trial_params(const copi_trial *trial, const cop_net *dense) {
    cop_method_params p = copi_spec_params(trial->spec);
    p.seed = trial->seed;
    complete(&p.tune, trial, dense);
    complete(&p.sss.search, trial, dense);
    complete(&p.sss.retrain, trial, dense);
    complete(&p.sparsify, trial, dense);
    complete(&p.scratch.recipe, trial, dense);
    if (p.sss.target != COP_TARGET_NONE)
        p.sss.reach = trial->level;
    else if (copi_spec_is_sss(trial->spec))
        p.sss.gamma = trial->level;
    else if (!isnan(trial->level))
        p.sparsity = trial->level;
    return p;
}
