/* report.html: page/page.html with its {{places}} filled. All text from study files, data sets and errors passes
 * through copi_escape. */
#include "report/report.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

typedef struct page {
    copi_buffer *b;
    const copi_results *r;
    const copi_figures *f;
    const copi_claim *claim;
    copi_plot frontier; /* against sparsity */
    cop_status status;
} page;

static void escape(const page *p, const char *text) {
    copi_escape(p->b, text);
}
static void html(const page *p, const char *text) {
    copi_buffer_text(p->b, text);
}

typedef copi_words words;

/* ---------------------------------------------------------------------------------------------------- parts -- */

static void part_title(page *p) {
    escape(p, p->r->meta.name);
}
static void part_css(page *p) {
    copi_buffer_add(p->b, copi_embed_page_css, copi_embed_page_css_size);
}
static void part_js(page *p) {
    copi_buffer_add(p->b, copi_embed_page_js, copi_embed_page_js_size);
}
static void part_plot_css(page *p) {
    copi_plot_css(p->b, &p->frontier);
}

static void part_about(page *p) {
    const copi_meta *m = &p->r->meta;
    escape(p, m->model);
    html(p, " on ");
    escape(p, m->data_path);
    html(p, " \xc2\xb7 ");
    escape(p, m->data_images);
    html(p, " images of ");
    escape(p, m->data_shape);
    html(p, " in ");
    escape(p, m->data_classes);
    html(p, " classes");
}

/* "± 0.3", or nothing where no spread is known. */
static words plus_minus(copi_spread s, double unit, int decimals) {
    words w = {{0}};
    if (!isnan(s.std)) snprintf(w.text, sizeof w.text, "\xc2\xb1 %.*f", decimals, unit * s.std);
    return w;
}

static void card(const page *p, const char *what, const char *figure, const char *unit) {
    html(p, "<div><p class=\"what\">");
    escape(p, what);
    html(p, "</p><p class=\"figure\">");
    escape(p, figure);
    html(p, " <small>");
    escape(p, unit);
    html(p, "</small></p><p class=\"more\">");
}
static void card_end(const page *p) {
    html(p, "</p></div>\n");
}

/* 91.64 % */
static words percent(double share) {
    words w = {{0}};
    snprintf(w.text, sizeof w.text, "%.40s %%", copi_say_share(share, 2).text);
    return w;
}

static void part_cards(page *p) {
    const copi_figures *f = p->f;
    char label[160];
    if (f->best >= 0) {
        const copi_setting *s = &f->setting[f->best];
        const cop_point *best = &copi_setting_best(s)->p;
        card(p, "Best score, chosen on validation", percent(s->score.mean).text, plus_minus(s->score, 100, 2).text);
        copi_buffer_printf(p->b, "Sparsity %s %%, test accuracy %s %%: ", copi_say_share(s->sparsity.mean, 2).text,
                           copi_say_spread(s->test, 100, 2).text);
        escape(p, copi_setting_label(s, label));
        copi_buffer_printf(p->b, ". %s parameters and %s MACs per image are left.", copi_grouped(best->nonzero).text,
                           copi_say_scaled((double)best->macs_effective).text);
    } else {
        card(p, "Best score", "\xe2\x80\x93", "");
        copi_buffer_printf(p->b, "No point reaches the accuracy floor of %s %%.", copi_say_percent(p->r->floor).text);
    }
    card_end(p);
    if (f->dense >= 0) {
        const copi_setting *s = &f->setting[f->dense];
        const cop_point *dense = &copi_setting_point(s)->p;
        card(p, "Accuracy of the dense net", percent(s->test.mean).text, plus_minus(s->test, 100, 2).text);
        copi_buffer_printf(p->b, "%s parameters, %s MACs, %g epochs", copi_grouped(dense->parameters).text,
                           copi_say_scaled((double)dense->macs).text, dense->epochs);
    } else {
        card(p, "Accuracy of the dense net", "\xe2\x80\x93", "");
        html(p, "not trained yet");
    }
    card_end(p);
    card(p, "Hypervolume", copi_say_number(f->hypervolume, 4).text, "");
    copi_buffer_printf(p->b, "of the frontier, against sparsity 0 and the floor of %s %%",
                       copi_say_percent(p->r->floor).text);
    card_end(p);
    char ran[48];
    snprintf(ran, sizeof ran, "%d", f->done);
    card(p, "Trials done", ran, "");
    copi_buffer_printf(p->b, "of %d, %d points, %s", p->r->trials, f->points, copi_say_duration(f->seconds).text);
    const struct {
        int n;
        const char *word;
    } ends[] = {
        {f->diverged, "diverged"}, {f->refused, "refused"}, {f->failed, "failed"}, {f->pending, "not run yet"}};
    for (size_t i = 0; i < COPI_COUNT(ends); i++)
        if (ends[i].n) copi_buffer_printf(p->b, ", <span class=\"bad\">%d %s</span>", ends[i].n, ends[i].word);
    card_end(p);
}

static void part_frontier_note(page *p) {
    double low = p->frontier.y.low;
    int below = 0;
    for (int i = 0; i < p->f->settings; i++) below += p->f->setting[i].test.mean < low;
    html(p, "Each mark is measured on the test split. The grey line joins the settings that no other one beats on "
            "validation. Hollow marks are pruned only; filled ones were trained after pruning.");
    if (below)
        copi_buffer_printf(p->b, " %d setting%s below %s %% accuracy %s not shown.", below, below > 1 ? "s" : "",
                           copi_say_percent(low).text, below > 1 ? "are" : "is");
}

/* A row of buttons and the plots that they show. The plot of the pressed one is visible without scripts too. */
static void choice(page *p, const char *about, const copi_across *across, const char *const *name, int n,
                   copi_across pressed) {
    copi_buffer_printf(p->b, "<div class=\"choose scripted\" role=\"group\" aria-label=\"%s\">", about);
    for (int i = 0; i < n; i++)
        copi_buffer_printf(p->b, "<button type=\"button\" aria-controls=\"plot-%d\" aria-pressed=\"%s\">%s</button>",
                           (int)across[i], across[i] == pressed ? "true" : "false", name[i]);
    html(p, "</div>\n");
    for (int i = 0; i < n && !p->status; i++) {
        copi_plot plot = {0};
        p->status = copi_plot_settings(p->r, p->f, across[i], &plot);
        if (p->status) return;
        copi_buffer_printf(p->b, "<figure id=\"plot-%d\"%s>\n", (int)across[i],
                           across[i] == pressed ? "" : " hidden");
        copi_plot_svg(p->b, &plot, COPI_SIZE_LARGE);
        copi_plot_svg(p->b, &plot, COPI_SIZE_SMALL);
        html(p, "</figure>\n");
        copi_plot_clear(&plot);
    }
}

static void part_frontier(page *p) {
    static const copi_across across[] = {COPI_ACROSS_SPARSITY, COPI_ACROSS_LEFT};
    static const char *const name[] = {"sparsity", "weights left, log"};
    choice(p, "Horizontal axis", across, name, 2, copi_plot_usual(p->f));
}

static void part_cost(page *p) {
    static const copi_across across[] = {COPI_ACROSS_EPOCHS, COPI_ACROSS_MACS, COPI_ACROSS_SECONDS};
    static const char *const name[] = {"epochs", "training MACs", "seconds"};
    choice(p, "Cost in", across, name, 3, COPI_ACROSS_EPOCHS);
}

static void part_curves(page *p) {
    html(p, "<div class=\"legend\">");
    for (int m = 0; m < p->f->methods; m++) {
        const copi_setting *s = copi_plot_curve(p->f, m);
        char label[160];
        if (s) copi_plot_key(p->b, m, copi_style_of(p->f->method[m].name)->shape, copi_setting_label(s, label));
    }
    html(p, "</div>\n<div class=\"pair\">\n");
    for (int loss = 0; loss < 2 && !p->status; loss++) {
        copi_plot plot = {0};
        p->status = copi_plot_curves(p->f, loss, &plot);
        if (p->status) return;
        html(p, "<figure>\n");
        copi_plot_svg(p->b, &plot, COPI_SIZE_HALF);
        html(p, "</figure>\n");
        copi_plot_clear(&plot);
    }
    html(p, "</div>");
}

static void head(const page *p, const char *const *titles, bool sortable, const char *caption) {
    copi_buffer_printf(
        p->b, "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"%s\">\n<table%s>\n<thead><tr>",
        caption, sortable ? " class=\"sortable\"" : "");
    for (int i = 0; titles[i]; i++) {
        bool is_text = *titles[i] == '<'; /* "<name": a column of text */
        copi_buffer_printf(p->b, "<th scope=\"col\"%s>%s</th>", is_text ? " class=\"text\"" : "",
                           titles[i] + is_text);
    }
    html(p, "</tr></thead>\n<tbody>\n");
}
static void foot(const page *p) {
    html(p, "</tbody>\n</table>\n</div>\n");
}

/* A cell that shows text and sorts by value. */
static void cell(const page *p, double value, words shown) {
    html(p, "<td");
    if (!isnan(value)) copi_buffer_printf(p->b, " data-v=\"%.9g\"", value);
    copi_buffer_printf(p->b, ">%s</td>", isnan(value) ? "" : shown.text);
}
static void share_cell(const page *p, double x) {
    cell(p, x, copi_say_share(x, 2));
}

static void method_cell(const page *p, int method, const char *text) {
    const char *wraps = strlen(text) > 40 ? " class=\"wrap\"" : "";
    copi_buffer_printf(p->b, "<th scope=\"row\"%s><span class=\"dot m%d\"></span>", wraps, method);
    escape(p, text);
    html(p, "</th>");
}

static void part_best_table(page *p) {
    static const char *const titles[] = {"<setting",    "sparsity, %", "conv, %",    "dense, %",
                                         "accuracy, %", "score, %",    "parameters", "MACs",
                                         "epochs",      "hypervolume", NULL};
    head(p, titles, false, "The best of each method");
    for (int m = 0; m < p->f->methods; m++) {
        const copi_method_figures *x = &p->f->method[m];
        const copi_setting *s = x->best < 0 ? NULL : &p->f->setting[x->best];
        char label[160];
        copi_buffer_printf(p->b, "<tr%s>", s && x->best == p->f->best ? " class=\"best\"" : "");
        method_cell(p, m, s ? copi_setting_label(s, label) : x->name);
        if (s) {
            cell(p, s->sparsity.mean, copi_say_spread(s->sparsity, 100, 2));
            share_cell(p, s->sparsity_conv.mean);
            share_cell(p, s->sparsity_dense.mean);
            cell(p, s->test.mean, copi_say_spread(s->test, 100, 2));
            cell(p, s->score.mean, copi_say_spread(s->score, 100, 2));
            cell(p, s->nonzero.mean, copi_grouped(llround(s->nonzero.mean)));
            cell(p, s->macs_effective.mean, copi_say_scaled(s->macs_effective.mean));
            cell(p, s->epochs.mean, copi_say_number(s->epochs.mean, 1));
            cell(p, x->hypervolume, copi_say_number(x->hypervolume, 4));
        } else {
            copi_buffer_printf(p->b, "<td colspan=\"9\" class=\"text\">no point reaches the floor of %s %%</td>",
                               copi_say_percent(p->r->floor).text);
        }
        html(p, "</tr>\n");
    }
    foot(p);
}

static const copi_layer_row *find_layer(const copi_stored_point *point, const char *name) {
    for (int i = 0; i < point->layers; i++)
        if (strcmp(point->layer[i].name, name) == 0) return &point->layer[i];
    return NULL;
}

static void part_layers(page *p) {
    const copi_figures *f = p->f;
    if (f->dense < 0) {
        html(p, "<p>The dense net is not trained yet.</p>");
        return;
    }
    const copi_stored_point *dense = copi_setting_point(&f->setting[f->dense]);
    html(p, "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Sparsity by layer\">\n<table "
            "class=\"heat\">\n"
            "<thead><tr><th scope=\"col\" class=\"text\">layer</th><th scope=\"col\">parameters</th>");
    for (int m = 0; m < f->methods; m++) {
        if (f->method[m].best < 0 || m == f->setting[f->dense].method_index) continue;
        html(p, "<th scope=\"col\" style=\"text-align:center\">");
        escape(p, f->method[m].name);
        html(p, "</th>");
    }
    html(p, "</tr></thead>\n<tbody>\n");
    for (int i = 0; i < dense->layers; i++) {
        html(p, "<tr><th scope=\"row\">");
        escape(p, dense->layer[i].name);
        copi_buffer_printf(p->b, "</th><td style=\"--v:0;text-align:right\">%s</td>",
                           copi_grouped(dense->layer[i].parameters_dense).text);
        for (int m = 0; m < f->methods; m++) {
            if (f->method[m].best < 0 || m == f->setting[f->dense].method_index) continue;
            const copi_layer_row *l =
                find_layer(copi_setting_best(&f->setting[f->method[m].best]), dense->layer[i].name);
            double v = l ? l->sparsity : 1; /* a layer that is no longer there was removed */
            copi_buffer_printf(p->b, "<td style=\"--v:%.3f\"%s>%s</td>", v < 0 ? 0 : v,
                               v > 0.7      ? " class=\"full\""
                               : v < 0.0005 ? " class=\"none\""
                                            : "",
                               copi_say_share(v, 1).text);
        }
        html(p, "</tr>\n");
    }
    foot(p);
}

static void part_claims(page *p) {
    html(p, "<ol class=\"claims\">\n");
    for (int i = 0; i < COPI_CLAIMS; i++) {
        const copi_claim *c = &p->claim[i];
        const char *verdict = copi_verdict_name(c->verdict);
        copi_buffer_printf(p->b, "<li><p class=\"verdict %s\">%s", verdict, verdict);
        if (c->verdict != COPI_UNDECIDED && c->seeds < COPI_ENOUGH_SEEDS)
            copi_buffer_printf(p->b, "<small>provisional: %d seed%s</small>", c->seeds, c->seeds == 1 ? "" : "s");
        copi_buffer_printf(p->b, "</p><div><p class=\"said\">%c. ", c->letter);
        escape(p, c->text);
        html(p, "</p><p>");
        escape(p, c->figures);
        html(p, "</p><p class=\"rule\">");
        escape(p, c->rule);
        html(p, "</p></div></li>\n");
    }
    html(p, "</ol>\n");
}

static void part_trials_note(page *p) {
    copi_buffer_printf(
        p->b,
        "Asked is the share that a method was told to remove. Sparsity is that of the whole net, then of its conv "
        "layers and of its dense layers. <code>trials.csv</code> has these columns and more.");
}

static void trial_row(const page *p, int method, const copi_stored_trial *t, const copi_stored_point *point,
                      int index, bool best) {
    char label[160];
    copi_setting named = {.trial = t, .index = index};
    copi_buffer_printf(p->b, "<tr%s>", best ? " class=\"best\"" : "");
    method_cell(p, method, point ? copi_setting_label(&named, label) : t->label);
    words seed = {{0}};
    snprintf(seed.text, sizeof seed.text, "%" PRIu64, t->seed);
    cell(p, (double)t->seed, seed);
    double asked = point ? point->p.asked : t->asked;
    cell(p, asked, copi_say_plain(asked));
    if (point) {
        const cop_point *x = &point->p;
        const double shares[] = {x->sparsity, x->sparsity_conv, x->sparsity_dense, x->accuracy_val, x->accuracy_test};
        for (size_t i = 0; i < COPI_COUNT(shares); i++) share_cell(p, shares[i]);
        double score = cop_score(x->accuracy_test, x->sparsity, p->r->floor);
        share_cell(p, score);
        cell(p, (double)x->macs_effective, copi_say_scaled((double)x->macs_effective));
        cell(p, x->epochs, copi_say_number(x->epochs, 1));
        cell(p, x->seconds, copi_say_number(x->seconds, 1));
        html(p, "<td class=\"text\">done</td>");
    } else {
        for (int i = 0; i < 9; i++) html(p, "<td></td>");
        bool bad = strcmp(t->status, COPI_PENDING) != 0;
        html(p, bad ? "<td class=\"text wrap\"><span class=\"bad\">" : "<td class=\"text wrap\"><span>");
        escape(p, t->status);
        html(p, "</span>");
        if (*t->message) html(p, ": ");
        escape(p, t->message);
        html(p, "</td>");
    }
    html(p, "</tr>\n");
}

static void part_trials(page *p) {
    static const char *const titles[] = {"<trial",   "seed",    "asked",   "sparsity, %", "conv, %",
                                         "dense, %", "val., %", "test, %", "score, %",    "MACs",
                                         "epochs",   "seconds", "<status", NULL};
    const copi_setting *best = p->f->best < 0 ? NULL : &p->f->setting[p->f->best];
    head(p, titles, true, "All trials");
    for (int i = 0; i < p->r->trials; i++) {
        const copi_stored_trial *t = &p->r->trial[i];
        int m = 0;
        while (strcmp(p->f->method[m].name, t->method) != 0) m++;
        for (int k = 0; k < t->points; k++)
            trial_row(p, m, t, &t->point[k], k, best && best->best_seed == t && best->index == k);
        if (strcmp(t->status, COPI_DONE) != 0) trial_row(p, m, t, NULL, 0, false);
    }
    foot(p);
}

static void fact(const page *p, const char *name, const char *value, bool code) {
    if (!*value) return;
    copi_buffer_printf(p->b, "<dt>%s</dt><dd>%s", name, code ? "<code>" : "");
    escape(p, value);
    copi_buffer_printf(p->b, "%s</dd>", code ? "</code>" : "");
}

static void part_reproduce(page *p) {
    const copi_meta *m = &p->r->meta;
    html(p, "<dl>");
    fact(p, "command", m->command, true);
    fact(p, "program", m->program, false);
    fact(p, "built with", m->build, false);
    fact(p, "machine", m->machine, false);
    fact(p, "threads", m->threads, false);
    fact(p, "data digest", m->data_digest, true);
    fact(p, "best net", p->f->best < 0 ? "" : "best.safetensors, beside this page", false);
    html(p, "</dl>\n<p>The study file, <code>");
    escape(p, m->spec_path);
    html(p, "</code>:</p>\n<pre>");
    escape(p, m->spec_text);
    html(p, "</pre>");
}

static void part_footer(page *p) {
    html(p, "Made by ");
    escape(p, p->r->meta.program);
    html(p, ". The figures are also in <code>summary.json</code>, <code>trials.csv</code> and "
            "<code>frontier.csv</code>.");
}

/* ------------------------------------------------------------------------------------------------- template -- */

static const struct {
    const char *name;
    void (*fill)(page *p);
} parts[] = {{"title", part_title},
             {"css", part_css},
             {"plot-css", part_plot_css},
             {"about", part_about},
             {"cards", part_cards},
             {"frontier-note", part_frontier_note},
             {"frontier", part_frontier},
             {"cost", part_cost},
             {"curves", part_curves},
             {"best-table", part_best_table},
             {"layers", part_layers},
             {"claims", part_claims},
             {"trials-note", part_trials_note},
             {"trials", part_trials},
             {"reproduce", part_reproduce},
             {"footer", part_footer},
             {"js", part_js}};

static cop_status fill(page *p) {
    const char *at = (const char *)copi_embed_page_html;
    for (const char *open; !p->status && (open = strstr(at, "{{"));) {
        const char *close = strstr(open, "}}");
        size_t n = (size_t)(close - open) - 2, i = 0;
        copi_buffer_add(p->b, at, (size_t)(open - at));
        while (i < COPI_COUNT(parts) && (strlen(parts[i].name) != n || memcmp(parts[i].name, open + 2, n) != 0)) i++;
        if (i == COPI_COUNT(parts))
            return copi_fail(p->r->ctx, COP_E_INTERNAL, "page.html: unknown place {{%.*s}}", (int)n, open + 2);
        parts[i].fill(p);
        at = close + 2;
    }
    html(p, at);
    return p->status;
}

cop_status copi_write_page(const copi_results *r, const copi_figures *f, const copi_claim *claim, const char *dir) {
    copi_buffer b;
    copi_buffer_init(&b, r->ctx);
    page p = {&b, r, f, claim};
    cop_status status = copi_plot_settings(r, f, COPI_ACROSS_SPARSITY, &p.frontier);
    if (!status) status = fill(&p);
    char *path = copi_format(r->ctx, "%s/report.html", dir);
    if (!status) status = path && !b.failed ? copi_write_file(r->ctx, path, b.data, b.len) : COP_E_NOMEM;
    copi_free(r->ctx, path);
    copi_plot_clear(&p.frontier);
    copi_buffer_clear(&b);
    return status;
}
