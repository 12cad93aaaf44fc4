/* The frontier's picture: frontier.gp holds data and drawing, gnuplot makes .svg and .png of it. */
#include "report/report.h"

#include <math.h>
#include <string.h>

/* Colours keep their distance for all common kinds of colour blindness (after Okabe & Ito, and Tol); every method has
 * a shape of its own among those of like colour. */
static const struct {
    const char *method;
    copi_style style;
} styles[] = {
    {"magnitude", {"#0072b2", "#5bb4ec", 6, "circle", 0, "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0-5 0Z"}},
    {"l1-filter", {"#c98a00", "#f0b840", 8, "triangle", 0, "M0-5.5L5.5 4.5H-5.5Z"}},
    {"l2-filter", {"#c4500a", "#f08a50", 10, "triangle", 180, "M0 5.5L5.5-4.5H-5.5Z"}},
    {"l2-neuron", {"#00805d", "#3cc9a0", 4, "rect", 0, "M-4.5-4.5H4.5V4.5H-4.5Z"}},
    {"sss", {"#a33b94", "#e092d6", 12, "rectRot", 0, "M0-6L6 0L0 6L-6 0Z"}},
    {"random", {"#767676", "#a8a8a8", 14, "rectRounded", 0, "M0-5.5L5.2-1.7L3.2 4.5H-3.2L-5.2-1.7Z"}},
    {"dense-longer", {"#4d4d4d", "#c8c8c8", 14, "rectRounded", 0, "M0-5.5L5.2-1.7L3.2 4.5H-3.2L-5.2-1.7Z"}},
    {"compound", {"#7a1f4d", "#d1789f", 4, "rect", 0, "M-4.5-4.5H4.5V4.5H-4.5Z"}},
    {"lamp", {"#33609e", "#8fb4e8", 14, "rectRounded", 0, "M0-5.5L5.2-1.7L3.2 4.5H-3.2L-5.2-1.7Z"}},
    {"lamp-macs", {"#5f6b00", "#bcc84a", 12, "rectRot", 0, "M0-6L6 0L0 6L-6 0Z"}},
    {"fisher", {"#b3261e", "#f28b82", 8, "triangle", 0, "M0-5.5L5.5 4.5H-5.5Z"}},
    {"fisher-root", {"#00695c", "#4db6ac", 14, "rectRounded", 0, "M0-5.5L5.2-1.7L3.2 4.5H-3.2L-5.2-1.7Z"}},
    {"fpgm", {"#8a5a2b", "#d0a374", 12, "rectRot", 0, "M0-6L6 0L0 6L-6 0Z"}},
    {"taylor", {"#5b4fb0", "#a79ff0", 10, "triangle", 180, "M0 5.5L5.5-4.5H-5.5Z"}},
    {"bn-scale", {"#2f7f7f", "#79c7c7", 8, "triangle", 0, "M0-5.5L5.5 4.5H-5.5Z"}},
    {"scratch", {"#8f8f8f", "#bdbdbd", 4, "rect", 0, "M-4.5-4.5H4.5V4.5H-4.5Z"}},
    {COPI_METHOD_DENSE, {"#222222", "#eeeeee", 6, "circle", 0, "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0-5 0Z"}},
};
static const copi_style other = {"#999999",  "#b5b5b5", 8,
                                 "triangle", 90,        "M5.5 0L-4.5 5.5V-5.5Z"}; /* more controls */

const copi_style *copi_style_of(const char *method) {
    for (size_t i = 0; i < COPI_COUNT(styles); i++)
        if (strcmp(styles[i].method, method) == 0) return &styles[i].style;
    return &other;
}

/* ------------------------------------------------------------------------------------------------- script -- */

#define TITLE_MAX 84 /* bytes of a study's name that fit across the picture */

copi_range copi_accuracy_range(const copi_figures *f, double least) {
    static const double steps[] = {0.01, 0.02, 0.05, 0.1, 0.2};
    double top = least;
    for (int i = 0; i < f->settings; i++) top = fmax(top, f->setting[i].test.mean); /* fmax leaves NaNs out */
    /* what lies far under the floor is no use to anyone: the room goes to the points worth comparing */
    copi_range r = {fmax(0, least - 0.35 * (top - least) - 0.02), fmin(1, top + 0.05 * (top - least)), steps[0]};
    for (size_t i = 0; i < COPI_COUNT(steps) && (r.high - r.low) / r.step > 9; i++) r.step = steps[i];
    r.low = r.step * floor(r.low / r.step);
    r.high = r.step * -floor(-r.high / r.step);
    return r;
}

/* One setting's line of data, error bar included (0 where it is unknown). */
static void datum(copi_buffer *b, const copi_setting *s) {
    copi_buffer_printf(b, "%.6f %.6f %.6f\n", s->sparsity.mean, s->test.mean, isnan(s->test.std) ? 0 : s->test.std);
}

static bool is_dense(const copi_figures *f, int method) {
    return strcmp(f->method[method].name, COPI_METHOD_DENSE) == 0; /* a line of its own, no mark */
}

/* Data block $m<method><kind>: the settings of a method for which pick says yes, by rising sparsity. */
static int block(copi_buffer *b, const copi_figures *f, const int *order, int method, const char *kind,
                 bool (*pick)(const copi_setting *s)) {
    int n = 0;
    copi_buffer_printf(b, "$m%d%s << EOD\n", method, kind);
    for (int i = 0; i < f->settings; i++) {
        const copi_setting *s = &f->setting[order[i]];
        if (s->method_index != method || !pick(s)) continue;
        datum(b, s);
        n++;
    }
    copi_buffer_text(b, "EOD\n");
    return n;
}

static bool pick_hollow(const copi_setting *s) {
    return !copi_setting_tuned(s);
}
static bool pick_line(const copi_setting *s) {
    return s->on_method_frontier;
}

static void frontier_block(copi_buffer *b, const copi_figures *f, const int *order) {
    copi_buffer_text(b, "$frontier << EOD\n");
    for (int i = 0; i < f->settings; i++)
        if (f->setting[order[i]].on_frontier) datum(b, &f->setting[order[i]]);
    copi_buffer_text(b, "EOD\n");
}

/* Words on the floor stand at the left, where little lies that low; those on the dense net's line at the right. */
static void level_line(copi_buffer *b, double accuracy, const char *words, int decimals, int dash, bool left) {
    copi_buffer_printf(
        b,
        "set arrow from graph 0, first %.6f to graph 1, first %.6f nohead dt %d lc rgb '#999999'\n"
        "set label '%s %.*f' at graph %s, first %.6f offset 0, 0.6 %s textcolor rgb '#777777' font ',11'\n",
        accuracy, accuracy, dash, words, decimals, accuracy, left ? "0.01" : "0.995", accuracy,
        left ? "left" : "right");
}

/* Where most points lie beyond .85 the axis is logarithmic in what is left, so that .9 to .99 get as much room as 0
 * to .9; `gnuplot -e 'left=0' frontier.gp` draws the other. */
static void across(copi_buffer *b, const copi_figures *f) {
    double least = 0.1;
    int beyond = 0, all = 0;
    for (int i = 0; i < f->settings; i++) {
        const copi_setting *s = &f->setting[i];
        if (is_dense(f, s->method_index) || isnan(s->sparsity.mean)) continue;
        all++;
        beyond += s->sparsity.mean > 0.85;
        if (s->sparsity.mean < 1) least = fmin(least, 1 - s->sparsity.mean);
    }
    copi_buffer_printf(b,
                       "if (!exists('left')) left = %d\nacross(s) = left ? 1 - s : s\n"
                       "words = 'sparsity: share of all parameters that are zero'\n"
                       "if (left) {\n    set logscale x\n    set xrange [1:%.3g]\n    set xtics ('0' 1",
                       2 * beyond > all, 0.8 * fmax(least, 1e-6));
    static const char *const tic[] = {"0.5",  "0.8",   "0.9",   "0.95",  "0.98",
                                      "0.99", "0.995", "0.998", "0.999", "0.9999"};
    for (size_t i = 0; i < COPI_COUNT(tic); i++) copi_buffer_printf(b, ", '%s' 1 - %s", tic[i], tic[i]);
    copi_buffer_text(b, ")\n    words = words.'; logarithmic in what is left'\n} else {\n"
                        "    set xrange [0:1]\n    set xtics 0.1\n    set format x '%.1f'\n}\n"
                        "set xlabel words textcolor rgb '#555555'\n");
}

static void axes(copi_buffer *b, const copi_results *r, const copi_figures *f) {
    copi_range y = copi_accuracy_range(f, r->floor);
    across(b, f);
    copi_buffer_printf(b,
                       "set yrange [%.4f:%.4f]\nset ytics %.3g\nset format y '%%.2f'\n"
                       "set ylabel 'test accuracy' textcolor rgb '#555555'\n"
                       "set grid lc rgb '#e6e6e6' lt 1 lw 0.7\nset border 3 lc rgb '#aaaaaa'\n"
                       "set tics nomirror textcolor rgb '#555555'\n"
                       "set key outside bottom center horizontal samplen 1 width 1 height 1 reverse Left noenhanced\n"
                       "set tmargin 4\nset rmargin 3\nset label 1 ",
                       y.low, y.high, y.step);
    copi_gnuplot_quote(b, r->meta.name, TITLE_MAX);
    copi_buffer_text(
        b, " at graph 0, screen 0.955 left font ',17' noenhanced\n"
           "set label 2 'hollow: pruned only; filled: trained on after pruning; grey: the frontier, chosen on "
           "validation' at graph 0, screen 0.905 left textcolor rgb '#666666' noenhanced\n");
    level_line(b, r->floor, "floor", 2, 3, true);
    if (f->dense >= 0) level_line(b, f->setting[f->dense].test.mean, "dense", 3, 2, false);
}

static void plot_method(copi_buffer *b, const copi_figures *f, int m, bool hollow, bool tuned, bool bars) {
    const copi_style *style = copi_style_of(f->method[m].name);
    copi_buffer_printf(b, ", \\\n     $m%dline using (across($1)):2 with lines lw 1 lc rgb '%s' notitle", m,
                       style->light);
    const char *const kinds[] = {"hollow", "tuned"};
    for (int k = 0; k < 2; k++) {
        if (k ? !tuned : !hollow) continue;
        if (bars)
            copi_buffer_printf(b,
                               ", \\\n     $m%d%s using (across($1)):2:3 with yerrorbars pt -1 lc rgb '%s' notitle",
                               m, kinds[k], style->light);
        copi_buffer_printf(b, ", \\\n     $m%d%s using (across($1)):2 with points pt %d ps 1.5 lw 1.6 lc rgb '%s'", m,
                           kinds[k], style->gnuplot_point + k, style->light);
        if (k == 0 && tuned) {
            copi_buffer_text(b, " notitle"); /* one entry a method */
        } else {
            copi_buffer_text(b, " title ");
            copi_gnuplot_quote(b, f->method[m].name, SIZE_MAX);
        }
    }
}

static void drawing(copi_buffer *b, const copi_results *r, const copi_figures *f, const int *order) {
    copi_buffer plot;
    copi_buffer_init(&plot, r->ctx);
    bool bars = false;
    for (int i = 0; i < f->settings; i++) bars |= f->setting[i].test.std > 0;
    frontier_block(b, f, order);
    copi_buffer_text(&plot, "plot $frontier using (across($1)):2 with lines lw 6 lc rgb '#dcdcdc' notitle");
    for (int m = 0; m < f->methods; m++) {
        if (is_dense(f, m)) continue;
        int hollow = block(b, f, order, m, "hollow", pick_hollow),
            tuned = block(b, f, order, m, "tuned", copi_setting_tuned);
        if (hollow + tuned == 0) continue;
        block(b, f, order, m, "line", pick_line);
        plot_method(&plot, f, m, hollow > 0, tuned > 0, bars);
    }
    axes(b, r, f);
    copi_buffer_text(b, "set terminal svg size 1080,660 dynamic background rgb 'white' font 'DejaVu Sans,13'\n"
                        "set output out.'.svg'\n");
    copi_buffer_add(b, plot.data, plot.len);
    copi_buffer_text(b,
                     "\nset terminal pngcairo size 1620,990 background rgb 'white' font 'DejaVu Sans,13' fontscale "
                     "1.45 linewidth 1.5 pointscale 1.4\nset output out.'.png'\nreplot\nset output\n");
    b->failed |= plot.failed;
    copi_buffer_clear(&plot);
}

static cop_status write_script(const copi_results *r, const copi_figures *f, const int *order, const char *dir) {
    copi_buffer b;
    copi_buffer_init(&b, r->ctx);
    copi_buffer_text(&b, "# Accuracy against sparsity. Draw again with: gnuplot frontier.gp\n"
                         "if (!exists('out')) out = 'frontier'\nset encoding utf8\nset decimalsign '.'\n");
    drawing(&b, r, f, order);
    char *path = copi_format(r->ctx, "%s/frontier.gp", dir);
    cop_status status = path && !b.failed ? copi_write_file(r->ctx, path, b.data, b.len) : COP_E_NOMEM;
    copi_free(r->ctx, path);
    copi_buffer_clear(&b);
    return status;
}

cop_status copi_write_plot(const copi_results *r, const copi_figures *f, const char *dir) {
    size_t n = (size_t)f->settings + 1;
    double *x = copi_alloc(r->ctx, n, sizeof *x);
    int *order = copi_alloc(r->ctx, n, sizeof *order);
    cop_status status = x && order ? COP_OK : COP_E_NOMEM;
    if (!status) {
        for (int i = 0; i < f->settings; i++) x[i] = f->setting[i].sparsity.mean;
        copi_order(x, f->settings, order);
        status = write_script(r, f, order, dir);
    }
    copi_free(r->ctx, x);
    copi_free(r->ctx, order);
    if (status || f->settings == 0) return status;
    char *again = copi_format(r->ctx, "coppice study report %s", dir);
    status = again ? copi_gnuplot(r->ctx, dir, "frontier", again) : COP_E_NOMEM;
    copi_free(r->ctx, again);
    return status;
}
