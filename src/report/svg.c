/* The frontier as a drawing inside the page: what is seen without scripts and on paper. Colours come from the page's
 * style sheet, so it follows light and dark. */
#include "report/page.h"

#include <math.h>
#include <string.h>

/* The drawing's own units. */
enum { WIDTH = 880, HEIGHT = 440, LEFT = 56, RIGHT = 12, TOP = 12, BOTTOM = 48 };

typedef struct frame {
    copi_range y;
} frame;

static double across(double sparsity) {
    return LEFT + (WIDTH - LEFT - RIGHT) * sparsity;
}
static double down(const frame *f, double accuracy) {
    return TOP + (HEIGHT - TOP - BOTTOM) * (f->y.high - accuracy) / (f->y.high - f->y.low);
}
static bool shown(const frame *f, const copi_setting *s) {
    return s->test.mean >= f->y.low && s->test.mean <= f->y.high && !isnan(s->sparsity.mean);
}

void copi_page_shape(copi_buffer *b, int method, const copi_style *style, bool tuned, double x, double y) {
    copi_buffer_printf(b, "<path class=\"point m%d%s\" d=\"%s\" transform=\"translate(%.1f %.1f)", method,
                       tuned ? " tuned" : "", style->path, x, y);
    copi_buffer_text(b, "\">");
}

static void grid(copi_buffer *b, const frame *f) {
    for (int i = 0; i <= 10; i++) {
        double x = across(i / 10.0);
        copi_buffer_printf(b,
                           "<path class=\"grid\" d=\"M%.1f %dV%d\"/><text x=\"%.1f\" y=\"%d\" "
                           "text-anchor=\"middle\">%.1f</text>\n",
                           x, TOP, HEIGHT - BOTTOM, x, HEIGHT - BOTTOM + 18, i / 10.0);
    }
    for (int i = (int)ceil(f->y.low / f->y.step - 1e-9); i * f->y.step <= f->y.high + 1e-9; i++) {
        double y = down(f, i * f->y.step);
        copi_buffer_printf(b,
                           "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" "
                           "text-anchor=\"end\">%.2f</text>\n",
                           LEFT, y, WIDTH - RIGHT, LEFT - 8, y + 4, i * f->y.step);
    }
    copi_buffer_printf(b,
                       "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">sparsity: share of all parameters that are "
                       "zero</text>\n",
                       across(0.5), HEIGHT - 8);
    copi_buffer_printf(
        b, "<text transform=\"translate(13 %d) rotate(-90)\" text-anchor=\"middle\">test accuracy</text>\n",
        (TOP + HEIGHT - BOTTOM) / 2);
}

/* Words on the floor stand at the left, where little lies that low; those on the dense net's line at the right. */
static void mark(copi_buffer *b, const frame *f, double accuracy, const char *words, int decimals, bool left) {
    double y = down(f, accuracy);
    copi_buffer_printf(b,
                       "<path class=\"mark\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"%s\">%s "
                       "%.*f</text>\n",
                       LEFT, y, WIDTH - RIGHT, left ? LEFT + 12 : WIDTH - RIGHT - 6, y - 5, left ? "start" : "end",
                       words, decimals, accuracy);
}

/* The line through the settings on a frontier: of a method, or (-1) of all. */
static void line(copi_buffer *b, const frame *fr, const copi_figures *f, const int *order, int method) {
    bool first = true;
    for (int i = 0; i < f->settings; i++) {
        const copi_setting *s = &f->setting[order[i]];
        bool on = method < 0 ? s->on_frontier : s->on_method_frontier && s->method_index == method;
        if (!on || isnan(s->test.mean)) continue;
        if (first && method < 0)
            copi_buffer_text(b, "<path class=\"frontier\" clip-path=\"url(#inside)\" d=\"");
        else if (first)
            copi_buffer_printf(b, "<path class=\"line m%d\" clip-path=\"url(#inside)\" d=\"", method);
        copi_buffer_printf(b, "%s%.1f %.1f", first ? "M" : "L", across(s->sparsity.mean), down(fr, s->test.mean));
        first = false;
    }
    if (!first) copi_buffer_text(b, "\"/>\n");
}

static void points(copi_buffer *b, const frame *fr, const copi_figures *f) {
    for (int i = 0; i < f->settings; i++) {
        const copi_setting *s = &f->setting[i];
        if (!shown(fr, s) || strcmp(s->trial->method, COPI_METHOD_DENSE) == 0) continue;
        double x = across(s->sparsity.mean);
        char label[160];
        if (s->test.std > 0)
            copi_buffer_printf(b, "<path class=\"bar m%d\" clip-path=\"url(#inside)\" d=\"M%.1f %.1fV%.1f\"/>",
                               s->method_index, x, down(fr, s->test.mean - s->test.std),
                               down(fr, s->test.mean + s->test.std));
        copi_page_shape(b, s->method_index, copi_style_of(s->trial->method), copi_setting_tuned(s), x,
                        down(fr, s->test.mean));
        copi_buffer_text(b, "<title>");
        copi_page_escape(b, copi_setting_label(s, label));
        copi_buffer_printf(b, ": sparsity %.4f, test accuracy %.4f</title></path>\n", s->sparsity.mean, s->test.mean);
    }
}

cop_status copi_page_frontier(copi_buffer *b, const copi_results *r, const copi_figures *f) {
    size_t n = (size_t)f->settings + 1;
    double *x = copi_alloc(r->ctx, n, sizeof *x);
    int *order = copi_alloc(r->ctx, n, sizeof *order);
    if (x && order) {
        frame fr = {copi_accuracy_range(f, r->floor)};
        for (int i = 0; i < f->settings; i++) x[i] = f->setting[i].sparsity.mean;
        copi_order(x, f->settings, order);
        copi_buffer_printf(
            b,
            "<svg class=\"chart\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"Test accuracy against "
            "sparsity, with the frontier\">\n<clipPath id=\"inside\"><path d=\"M%d %dH%dV%dH%dZ\"/>"
            "</clipPath>\n",
            WIDTH, HEIGHT, LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM, LEFT);
        grid(b, &fr);
        mark(b, &fr, r->floor, "floor", 2, true);
        if (f->dense >= 0 && shown(&fr, &f->setting[f->dense]))
            mark(b, &fr, f->setting[f->dense].test.mean, "dense", 3, false);
        line(b, &fr, f, order, -1);
        for (int m = 0; m < f->methods; m++) line(b, &fr, f, order, m);
        points(b, &fr, f);
        copi_buffer_text(b, "</svg>");
    }
    cop_status status = x && order ? COP_OK : COP_E_NOMEM;
    copi_free(r->ctx, x);
    copi_free(r->ctx, order);
    return status;
}
