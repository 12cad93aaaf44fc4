/* The figures that the page's script draws. */
#include "report/page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static json_t *methods(const copi_figures *f) {
    json_t *list = json_array();
    for (int m = 0; m < f->methods; m++) {
        const copi_style *s = copi_style_of(f->method[m].name);
        json_array_append_new(list, json_pack("{s:o, s:s, s:s, s:s, s:i}", "name",
                                              copi_json_text(f->ctx, f->method[m].name), "light", s->light, "dark",
                                              s->dark, "shape", s->chart_point, "turn", s->turn));
    }
    return list;
}

static json_t *settings(const copi_figures *f) {
    json_t *list = json_array();
    for (int i = 0; i < f->settings; i++) {
        const copi_setting *s = &f->setting[i];
        char label[160];
        json_array_append_new(
            list,
            json_pack("{s:i, s:o, s:b, s:b, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "method",
                      s->method_index, "label", copi_json_text(f->ctx, copi_setting_label(s, label)), "tuned",
                      (int)copi_setting_tuned(s), "frontier", (int)s->on_frontier, "line", (int)s->on_method_frontier,
                      "dense", (int)(strcmp(s->trial->method, COPI_METHOD_DENSE) == 0), "sparsity",
                      copi_json_number(s->sparsity.mean), "test", copi_json_number(s->test.mean), "std",
                      copi_json_number(s->test.std), "val", copi_json_number(s->val.mean), "score",
                      copi_json_number(s->score.mean), "epochs", copi_json_number(s->epochs.mean), "seconds",
                      copi_json_number(s->seconds.mean), "macs", copi_json_number(s->train_macs.mean)));
    }
    return list;
}

/* The epochs behind a setting's best point: its trial's trainings one after another, up to the point itself. */
static json_t *curve(const copi_setting *s) {
    json_t *list = json_array();
    int before = 0;
    for (int i = 0; i <= s->index; i++) {
        const cop_history *h = &s->best_seed->point[i].p.history;
        for (int k = 0; k < h->count; k++)
            json_array_append_new(list, json_pack("{s:i, s:o, s:o, s:o}", "epoch", ++before, "val",
                                                  copi_json_number(h->epoch[k].accuracy_validation), "loss",
                                                  copi_json_number(h->epoch[k].loss), "accuracy",
                                                  copi_json_number(h->epoch[k].accuracy)));
    }
    return list;
}

const copi_setting *copi_page_curve(const copi_figures *f, int method) {
    int best = f->method[method].best;
    if (best < 0 && f->dense >= 0 && f->setting[f->dense].method_index == method) best = f->dense;
    if (best < 0) return NULL;
    const copi_setting *s = &f->setting[best];
    for (int i = 0; i <= s->index; i++)
        if (s->best_seed->point[i].p.history.count > 0) return s;
    return NULL;
}

static json_t *curves(const copi_figures *f) {
    json_t *list = json_array();
    for (int m = 0; m < f->methods; m++) {
        const copi_setting *s = copi_page_curve(f, m);
        char label[160];
        if (s)
            json_array_append_new(list, json_pack("{s:i, s:o, s:o}", "method", m, "label",
                                                  copi_json_text(f->ctx, copi_setting_label(s, label)), "epochs",
                                                  curve(s)));
    }
    return list;
}

cop_status copi_page_data(copi_buffer *b, const copi_results *r, const copi_figures *f) {
    copi_range range = copi_accuracy_range(f, r->floor);
    json_t *root = json_pack("{s:o, s:o, s:o, s:o, s:o, s:{s:o, s:o, s:o}}", "methods", methods(f), "settings",
                             settings(f), "curves", curves(f), "floor", copi_json_number(r->floor), "dense",
                             copi_json_number(f->dense < 0 ? NAN : f->setting[f->dense].test.mean), "range", "low",
                             copi_json_number(range.low), "high", copi_json_number(range.high), "step",
                             copi_json_number(range.step));
    char *text = root ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(7)) : NULL;
    json_decref(root);
    if (!text) return copi_fail(r->ctx, COP_E_NOMEM, "report.html: out of memory");
    /* '<' occurs inside texts only, where JSON allows an escape: no text can end the script element */
    for (const char *at = text; *at; at++) {
        if (*at == '<')
            copi_buffer_text(b, "\\u003c");
        else
            copi_buffer_add(b, at, 1);
    }
    free(text);
    return COP_OK;
}
