/* Expands a spec into trials, each named by a digest of all that decides it. */
#include "study/study.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* The last version that changed the results of a study. It is part of every name, so that trials then run again. */
#define RESULTS_VERSION "0.1.0"

enum { DIGEST_DENSE = 1, DIGEST_TRIAL }; /* so that the two kinds of name never collide */

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
    copi_buffer_printf(&text, "program=" RESULTS_VERSION "\ndata=%s\nfile=%s\n", data_digest, model_digest);
    copi_spec_print_dense(&text, spec);
    cop_status status = name_trial(&text, DIGEST_DENSE, t);
    copi_buffer_clear(&text);
    return status;
}

static cop_status label_trial(cop_ctx *ctx, copi_trial *t) {
    copi_buffer text;
    copi_buffer_init(&text, ctx);
    copi_buffer_text(&text, t->method);
    copi_method_find(t->method)->label(&text, &t->spec->p, t->level);
    if (t->spec->recipe && t->spec->level_of) copi_buffer_printf(&text, ", recipe %s", t->spec->recipe);
    if (!text.failed) snprintf(t->label, sizeof t->label, "%s", text.data);
    cop_status s = text.failed ? COP_E_NOMEM : COP_OK;
    copi_buffer_clear(&text);
    return s;
}

static cop_status make_trial(const copi_spec *spec, const copi_spec_trial *from, const copi_trial *dense, int number,
                             double level, copi_trial *t) {
    *t = (copi_trial){.method = from->p.method,
                      .spec = from,
                      .dense = number,
                      .seed = dense->seed,
                      .level = level,
                      .asked = from->level_of && strcmp(from->level_of->name, "sparsity") == 0 ? level : NAN};
    cop_status status = label_trial(spec->ctx, t);
    if (status) return status;
    copi_buffer text;
    copi_buffer_init(&text, spec->ctx);
    copi_buffer_printf(&text, "dense=%s\nlevel=%.17g\n", dense->setting, level);
    copi_spec_print_trial(&text, from);
    status = name_trial(&text, DIGEST_TRIAL, t);
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

/* If an earlier trial has the same label, append what differs, like ", tune restarts 1". */
static cop_status tell_apart(const copi_trials *trials, int from, copi_trial *t) {
    const copi_trial *like = labelled(trials, from, t->label);
    if (!like) return COP_OK;
    copi_buffer text;
    copi_buffer_init(&text, trials->ctx);
    copi_spec_say_difference(&text, t->spec, like->spec);
    if (text.len) copi_append(t->label, sizeof t->label, "%s", text.data);
    if (labelled(trials, from, t->label)) { /* cut off, or no difference that labels show */
        t->label[sizeof t->label - 16] = 0;
        copi_append(t->label, sizeof t->label, ", no. %d", trials->n - from);
    }
    cop_status status = text.failed ? COP_E_NOMEM : COP_OK;
    copi_buffer_clear(&text);
    return status;
}

/* The levels of one entry; without a list it has one trial, at the method's default if the method has levels. */
static int count_levels(const copi_spec_trial *from) {
    return from->levels ? from->levels : 1;
}
static double level_at(const copi_spec_trial *from, int i) {
    if (from->levels) return from->level[i];
    return from->level_of ? *(const double *)(const void *)((const char *)&from->p + from->level_of->offset) : NAN;
}

cop_status copi_trials_expand(const copi_spec *spec, const char *data_digest, const char *model_digest,
                              copi_trials *trials) {
    *trials = (copi_trials){.ctx = spec->ctx};
    const copi_spec_trial *entry = spec->trial;
    size_t each = 1, total;
    for (int i = 0; i < spec->trials; i++) each += (size_t)count_levels(&entry[i]);
    if (!copi_mul(each, (size_t)spec->seeds, &total) || total > INT32_MAX)
        return copi_fail(spec->ctx, COP_E_RANGE, "%s: more than %d trials", spec->path, INT32_MAX);
    trials->trial = copi_alloc(spec->ctx, total, sizeof *trials->trial);
    if (!trials->trial) return COP_E_NOMEM;
    cop_status status = COP_OK;
    for (int s = 0; !status && s < spec->seeds; s++) {
        int dense = trials->n++;
        status = make_dense(spec, data_digest, model_digest, spec->seed[s], &trials->trial[dense]);
        trials->trial[dense].dense = dense;
        for (int i = 0; !status && i < spec->trials; i++) {
            for (int k = 0; !status && k < count_levels(&entry[i]); k++) {
                copi_trial *t = &trials->trial[trials->n];
                status = make_trial(spec, &entry[i], &trials->trial[dense], dense, level_at(&entry[i], k), t);
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

/* A recipe with a distil_share is distilled; the teacher is the dense net. */
static void complete(cop_recipe *r, const copi_trial *trial, const cop_net *dense) {
    r->seed = trial->seed;
    r->teacher = r->distil_share > 0 ? dense : NULL;
}

cop_method_params copi_trial_params(const copi_trial *trial, const cop_net *dense) {
    cop_method_params p = trial->spec->p;
    const cop_option *level = trial->spec->level_of;
    p.seed = trial->seed;
    complete(&p.tune, trial, dense);
    complete(&p.sss.search, trial, dense);
    complete(&p.sss.retrain, trial, dense);
    complete(&p.sparsify, trial, dense);
    complete(&p.scratch.recipe, trial, dense);
    if (level) *(double *)(void *)((char *)&p + level->offset) = trial->level;
    return p;
}
