/* The plots of a study, described: settings against sparsity or cost, and the training behind the best of them. */
#include "report/report.h"

#include <math.h>
#include <string.h>

static const copi_style other = {"#999999", "#b5b5b5", COPI_SHAPE_RIGHT}; /* more controls */
static const copi_style frontier = {"#5c6167", "#a0a6ad", COPI_SHAPE_CIRCLE};

const copi_style *copi_style_of(const char *method) {
    static const copi_style dense = {"#222222", "#eeeeee", COPI_SHAPE_CIRCLE};
    if (strcmp(method, COPI_METHOD_DENSE) == 0) return &dense;
    const copi_style *own = copi_method_style(method);
    return own && own->shape ? own : &other;
}

static bool is_dense(const copi_setting *s) {
    return strcmp(s->trial->method, COPI_METHOD_DENSE) == 0; /* drawn as a level */
}

/* ------------------------------------------------------------------------------------------------ settings -- */

static double measure(const copi_setting *s, copi_across across) {
    switch (across) {
    case COPI_ACROSS_EPOCHS:
        return s->epochs.mean;
    case COPI_ACROSS_MACS:
        return s->train_macs.mean;
    case COPI_ACROSS_SECONDS:
        return s->seconds.mean;
    case COPI_ACROSS_SPARSITY:
    case COPI_ACROSS_LEFT:
        break;
    }
    return s->sparsity.mean;
}

copi_across copi_plot_usual(const copi_figures *f) {
    int beyond = 0, all = 0;
    for (int i = 0; i < f->settings; i++) {
        const copi_setting *s = &f->setting[i];
        if (is_dense(s) || isnan(s->sparsity.mean)) continue;
        all++;
        beyond += s->sparsity.mean > 0.85;
    }
    return 2 * beyond > all ? COPI_ACROSS_LEFT : COPI_ACROSS_SPARSITY;
}

static copi_axis axis_of_what_is_left(const copi_figures *f) {
    static const double ticks[] = {0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9999};
    double least = 0.1;
    for (int i = 0; i < f->settings; i++)
        if (f->setting[i].sparsity.mean < 1) least = fmin(least, 1 - f->setting[i].sparsity.mean);
    copi_axis axis = {.title = "sparsity, %; logarithmic in what is left",
                      .high = 1 - 0.8 * fmax(least, 1e-6),
                      .left = true,
                      .say = copi_say_percent};
    for (size_t i = 0; i < COPI_COUNT(ticks); i++)
        if (ticks[i] <= axis.high) axis.tick[axis.ticks++] = ticks[i];
    return axis;
}

static copi_axis axis_across(const copi_figures *f, copi_across across) {
    static const char *const title[] = {[COPI_ACROSS_EPOCHS] = "epochs after the dense net",
                                        [COPI_ACROSS_MACS] = "training MACs after the dense net",
                                        [COPI_ACROSS_SECONDS] = "seconds after the dense net"};
    double top = 0;
    if (across == COPI_ACROSS_LEFT) return axis_of_what_is_left(f);
    if (across == COPI_ACROSS_SPARSITY)
        return copi_axis_make("sparsity, % of all parameters", 0, 1, 10, copi_say_percent);
    for (int i = 0; i < f->settings; i++)
        if (!is_dense(&f->setting[i])) top = fmax(top, measure(&f->setting[i], across)); /* fmax leaves NaNs out */
    return copi_axis_make(title[across], 0, top * 1.02, 10, copi_say_scaled);
}

/* Points far below the floor are left out, so that those worth comparing get the room. */
static copi_axis accuracy_axis(const copi_figures *f, double least) {
    double top = least;
    for (int i = 0; i < f->settings; i++) top = fmax(top, f->setting[i].test.mean);
    return copi_axis_make("test accuracy, %", fmax(0, least - 0.35 * (top - least) - 0.02),
                          fmin(1, top + 0.05 * (top - least)), 11, copi_say_percent);
}

static void about_setting(copi_buffer *b, const void *of) {
    const copi_setting *s = of;
    char label[160];
    copi_escape(b, copi_setting_label(s, label));
    copi_buffer_printf(b, "\ntest accuracy %s %%", copi_say_spread(s->test, 100, 2).text);
    copi_buffer_printf(b, ", validation %s %%\nsparsity %s %%", copi_say_share(s->val.mean, 2).text,
                       copi_say_share(s->sparsity.mean, 2).text);
    copi_buffer_printf(b, ", score %.4f\n%.1f epochs, %s training MACs, %.1f s", s->score.mean, s->epochs.mean,
                       copi_say_scaled(s->train_macs.mean).text, s->seconds.mean);
}

/* The settings of a series that have both coordinates, by rising x. m: of that method; f->methods: the frontier. */
static void fill(copi_plot *plot, const copi_figures *f, int m, copi_across across, const int *order) {
    copi_series *to = &plot->series[m];
    bool all = m == f->methods, lines = across == COPI_ACROSS_SPARSITY || across == COPI_ACROSS_LEFT;
    to->style = all ? frontier : *copi_style_of(f->method[m].name);
    to->drawn = all ? COPI_DRAWN_BROAD : COPI_DRAWN_MARKS;
    to->mark = m ? plot->series[m - 1].mark + plot->series[m - 1].marks : plot->mark;
    for (int i = 0; i < f->settings; i++) {
        const copi_setting *s = &f->setting[order[i]];
        double x = measure(s, across);
        bool mine = all ? lines && s->on_frontier : s->method_index == m && !is_dense(s);
        if (!mine || isnan(x) || isnan(s->test.mean)) continue;
        to->mark[to->marks++] = (copi_mark){.x = x,
                                            .y = s->test.mean,
                                            .spread = s->test.std,
                                            .filled = copi_setting_tuned(s),
                                            .joined = lines && (all || s->on_method_frontier),
                                            .of = s};
    }
    if (!all && to->marks) to->name = f->method[m].name;
}

cop_status copi_plot_settings(const copi_results *r, const copi_figures *f, copi_across across, copi_plot *plot) {
    size_t n = (size_t)f->settings + 1;
    double *x = copi_alloc(r->ctx, n, sizeof *x);
    int *order = copi_alloc(r->ctx, n, sizeof *order);
    cop_status status = x && order ? copi_plot_begin(r->ctx, f->methods + 1, 2 * n, plot) : COP_E_NOMEM;
    if (!status) {
        for (int i = 0; i < f->settings; i++) x[i] = measure(&f->setting[i], across);
        copi_order(x, f->settings, order);
        for (int m = 0; m <= f->methods; m++) fill(plot, f, m, across, order);
        plot->title = r->meta.name;
        plot->note = "Hollow: pruned only. Filled: trained after pruning. Grey: the frontier, chosen on validation.";
        plot->x = axis_across(f, across);
        plot->y = accuracy_axis(f, r->floor);
        plot->about = about_setting;
        copi_plot_level(plot, "floor", r->floor, false); /* at the left, where few points are that low */
        if (f->dense >= 0) copi_plot_level(plot, "dense", f->setting[f->dense].test.mean, true);
    }
    copi_free(r->ctx, x);
    copi_free(r->ctx, order);
    return status;
}

/* -------------------------------------------------------------------------------------------------- curves -- */

#define MARKED_MOST 20 /* epochs of a curve whose epochs get marks */

const copi_setting *copi_plot_curve(const copi_figures *f, int method) {
    int best = f->method[method].best;
    if (best < 0 && f->dense >= 0 && f->setting[f->dense].method_index == method) best = f->dense;
    if (best < 0) return NULL;
    const copi_setting *s = &f->setting[best];
    for (int i = 0; i <= s->index; i++)
        if (s->best_seed->point[i].p.history.count > 0) return s;
    return NULL;
}

/* The epochs behind a setting's best point: its trial's trainings one after another, up to the point itself. to NULL:
 * counts them only. */
static int epochs_of(const copi_setting *s, bool loss, copi_mark *to) {
    int n = 0, at = 0;
    for (int i = 0; i <= s->index; i++) {
        const cop_history *h = &s->best_seed->point[i].p.history;
        for (int k = 0; k < h->count; k++) {
            double y = loss ? h->epoch[k].loss : h->epoch[k].accuracy_validation;
            at++;
            if (isnan(y)) continue;
            if (to) to[n] = (copi_mark){.x = at, .y = y, .filled = true, .joined = true, .of = &to[n]};
            n++;
        }
    }
    return n;
}

static void about_epoch(copi_buffer *b, const void *of) {
    const copi_mark *m = of;
    copi_buffer_printf(b, "epoch %.0f: %.4g", m->x, m->y);
}

cop_status copi_plot_curves(const copi_figures *f, bool loss, copi_plot *plot) {
    size_t n = 0;
    double last = 1, low = loss ? 0 : 1, high = loss ? 0 : 1e-3;
    for (int m = 0; m < f->methods; m++)
        if (copi_plot_curve(f, m)) n += (size_t)epochs_of(copi_plot_curve(f, m), loss, NULL);
    cop_status status = copi_plot_begin(f->ctx, f->methods, n, plot);
    if (status) return status;
    copi_mark *at = plot->mark;
    for (int m = 0; m < f->methods; m++) {
        const copi_setting *s = copi_plot_curve(f, m);
        copi_series *to = &plot->series[m];
        *to = (copi_series){.style = *copi_style_of(f->method[m].name), .mark = at};
        to->marks = s ? epochs_of(s, loss, at) : 0;
        to->drawn = to->marks > MARKED_MOST ? COPI_DRAWN_LINE : COPI_DRAWN_MARKS;
        at += to->marks;
        for (int i = 0; i < to->marks; i++) {
            last = fmax(last, to->mark[i].x);
            low = fmin(low, to->mark[i].y);
            high = fmax(high, to->mark[i].y);
        }
    }
    plot->small_marks = true;
    plot->about = about_epoch;
    plot->x = copi_axis_make("epoch", 0, last, 6, copi_say_scaled);
    plot->y = loss ? copi_axis_make("training loss", low, high, 6, copi_say_plain)
                   : copi_axis_make("validation accuracy, %", fmin(low, high), high, 6, copi_say_percent);
    return COP_OK;
}
