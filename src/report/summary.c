/* summary.json: the figures of a study for programs to read. */
#include "report/report.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

json_t *copi_json_number(double x) {
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *spread(copi_spread s) {
    return json_pack("{s:o, s:o}", "mean", copi_json_number(s.mean), "std", copi_json_number(s.std));
}

static json_t *setting(const copi_setting *s) {
    if (!s) return json_null();
    const cop_point *p = &copi_setting_best(s)->p;
    char label[160];
    json_t *o = json_pack(
        "{s:s, s:s, s:s, s:i, s:i, s:i, s:o, s:o}", "method", s->trial->method, "label", copi_setting_label(s, label),
        "trial", s->best_seed->name, "point", s->index, "round", p->round, "seeds", s->seeds, "level",
        copi_json_number(isnan(p->level) ? s->trial->level : p->level), "threshold", copi_json_number(p->threshold));
    const struct {
        const char *key;
        copi_spread value;
    } measures[] = {
        {"sparsity", s->sparsity},
        {"sparsity_conv", s->sparsity_conv},
        {"sparsity_dense", s->sparsity_dense},
        {"accuracy_val", s->val},
        {"accuracy_test", s->test},
        {"score_val", s->score_val},
        {"score", s->score},
        {"epochs", s->epochs},
        {"seconds", s->seconds},
        {"train_macs", s->train_macs},
        {"nonzero", s->nonzero},
        {"macs_effective", s->macs_effective},
    };
    for (size_t i = 0; i < COPI_COUNT(measures); i++)
        json_object_set_new(o, measures[i].key, spread(measures[i].value));
    json_object_set_new(o, "parameters", json_integer(p->parameters));
    json_object_set_new(o, "macs", json_integer(p->macs));
    return o;
}

static const copi_setting *at(const copi_figures *f, int i) {
    return i < 0 ? NULL : &f->setting[i];
}

static json_t *methods(const copi_figures *f) {
    json_t *list = json_array();
    for (int m = 0; m < f->methods; m++) {
        const copi_method_figures *x = &f->method[m];
        json_array_append_new(list,
                              json_pack("{s:s, s:o, s:o, s:o}", "method", x->name, "best", setting(at(f, x->best)),
                                        "hypervolume", copi_json_number(x->hypervolume), "hypervolume_val",
                                        copi_json_number(x->hypervolume_val)));
    }
    return list;
}

static json_t *frontier(const copi_figures *f) {
    json_t *list = json_array();
    for (int i = 0; i < f->settings; i++)
        if (f->setting[i].on_frontier) json_array_append_new(list, setting(&f->setting[i]));
    return list;
}

static json_t *claims(const copi_claim *claim) {
    json_t *list = json_array();
    for (int i = 0; i < COPI_CLAIMS; i++) {
        const copi_claim *c = &claim[i];
        char letter[2] = {c->letter, 0};
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:b}", "claim", letter, "text", c->text,
                                              "rule", c->rule, "verdict", copi_verdict_name(c->verdict), "figures",
                                              c->figures, "seeds", c->seeds, "provisional",
                                              c->verdict != COPI_UNDECIDED && c->seeds < COPI_ENOUGH_SEEDS));
    }
    return list;
}

cop_status copi_write_summary(const copi_results *r, const copi_figures *f, const copi_claim *claim,
                              const char *dir) {
    const copi_meta *m = &r->meta;
    json_t *root = json_object();
    const struct {
        const char *key, *value;
    } about[] = {{"name", m->name},       {"program", m->program}, {"build", m->build}, {"machine", m->machine},
                 {"threads", m->threads}, {"command", m->command}, {"model", m->model}};
    for (size_t i = 0; i < COPI_COUNT(about); i++)
        json_object_set_new(root, about[i].key, copi_json_text(r->ctx, about[i].value));
    json_object_set_new(
        root, "data",
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "path", copi_json_text(r->ctx, m->data_path), "format",
                  copi_json_text(r->ctx, m->data_format), "shape", copi_json_text(r->ctx, m->data_shape), "classes",
                  copi_json_text(r->ctx, m->data_classes), "images", copi_json_text(r->ctx, m->data_images), "digest",
                  copi_json_text(r->ctx, m->data_digest)));
    json_object_set_new(root, "floor", copi_json_number(r->floor));
    json_object_set_new(root, "trials",
                        json_pack("{s:i, s:i, s:i, s:i, s:i, s:i}", "all", r->trials, "done", f->done, "diverged",
                                  f->diverged, "refused", f->refused, "failed", f->failed, "pending", f->pending));
    json_object_set_new(root, "points", json_integer(f->points));
    json_object_set_new(root, "seconds", copi_json_number(f->seconds));
    json_object_set_new(root, "dense", setting(at(f, f->dense)));
    json_object_set_new(root, "best", setting(at(f, f->best)));
    json_object_set_new(root, "hypervolume", copi_json_number(f->hypervolume));
    json_object_set_new(root, "hypervolume_val", copi_json_number(f->hypervolume_val));
    json_object_set_new(root, "methods", methods(f));
    json_object_set_new(root, "frontier", frontier(f));
    json_object_set_new(root, "claims", claims(claim));
    char *text = root ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(root);
    char *path = copi_format(r->ctx, "%s/summary.json", dir);
    cop_status status = path && text ? copi_write_file(r->ctx, path, text, strlen(text))
                                     : copi_fail(r->ctx, COP_E_NOMEM, "%s/summary.json: out of memory", dir);
    free(text);
    copi_free(r->ctx, path);
    return status;
}
