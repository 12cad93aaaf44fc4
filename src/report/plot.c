/* The renderer: a plot's description becomes SVG. Colours come from its style sheet, so one drawing serves light and
 * dark pages. */
#include "report/report.h"

#include <math.h>
#include <string.h>

#define CHARACTER 0.62 /* mean width of a letter in a wide font, in font sizes: nothing here can measure text */
enum { FONT = 13, TITLE_FONT = 18, KEY_PITCH = 20, KEY_BESIDE = 270, KEY_NAME_MOST = 28 };

static const struct {
    const char *name;
    int width, height; /* of the picture, and of the frame inside */
} sizes[] = {[COPI_SIZE_LARGE] = {"large", 960, 430},
             [COPI_SIZE_SMALL] = {"small", 400, 320},
             [COPI_SIZE_HALF] = {"half", 460, 230}};

/* Shapes around 0,0, about 10 wide. */
static const char *const shapes[COPI_SHAPES] = {
    [COPI_SHAPE_CIRCLE] = "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0-5 0Z",
    [COPI_SHAPE_SQUARE] = "M-4.5-4.5H4.5V4.5H-4.5Z",
    [COPI_SHAPE_UP] = "M0-5.5L5.5 4.5H-5.5Z",
    [COPI_SHAPE_DIAMOND] = "M0-6L6 0L0 6L-6 0Z",
    [COPI_SHAPE_DOWN] = "M0 5.5L5.5-4.5H-5.5Z",
    [COPI_SHAPE_PENTAGON] = "M0-5.5L5.2-1.7L3.2 4.5H-3.2L-5.2-1.7Z",
    [COPI_SHAPE_RIGHT] = "M5.5 0L-4.5 5.5V-5.5Z",
};

/* --------------------------------------------------------------------------------------------------- text -- */

static void escape_byte(copi_buffer *b, char c) {
    static const struct {
        char c;
        const char *entity;
    } entities[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};
    for (size_t i = 0; i < COPI_COUNT(entities); i++)
        if (entities[i].c == c) {
            copi_buffer_text(b, entities[i].entity);
            return;
        }
    bool control = (unsigned char)c < 0x20 && !strchr("\t\n\r", c); /* XML has no way to write them */
    copi_buffer_add(b, control ? " " : &c, 1);
}

/* At most so many letters. */
static void escape_most(copi_buffer *b, const char *text, int most) {
    bool utf8 = copi_json_is_utf8(text);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c & 0xc0) != 0x80 && most-- == 0) break;
        escape_byte(b, utf8 || c < 128 ? *text : '?');
    }
    if (*text) copi_buffer_text(b, "\xe2\x80\xa6");
}

void copi_escape(copi_buffer *b, const char *text) {
    escape_most(b, text, INT32_MAX);
}

static double width_of(const char *text) {
    int letters = 0;
    for (; *text; text++) letters += ((unsigned char)*text & 0xc0) != 0x80;
    return letters * FONT * CHARACTER;
}

/* --------------------------------------------------------------------------------------------------- axes -- */

/* 1, 2 or 5 times a power of ten, so that a span has at most so many of it. */
static double round_step(double span, int most) {
    double unit = pow(10, floor(log10(span / most)));
    static const double steps[] = {1, 2, 5};
    for (size_t i = 0; i < COPI_COUNT(steps); i++)
        if (span / (steps[i] * unit) <= most + 1e-9) return steps[i] * unit;
    return 10 * unit;
}

copi_axis copi_axis_make(const char *title, double low, double high, int most, copi_words (*say)(double value)) {
    double step = round_step(high > low ? high - low : 1, most);
    double first = floor(low / step + 1e-9), last = fmax(-floor(-high / step + 1e-9), first + 1);
    copi_axis axis = {.title = title, .low = first * step, .high = last * step, .say = say};
    while (first + axis.ticks <= last && axis.ticks < COPI_TICKS) {
        axis.tick[axis.ticks] = (first + axis.ticks) * step;
        axis.ticks++;
    }
    return axis;
}

/* The place of a value on its axis: 0 at the low end, 1 at the high end. */
static double place(const copi_axis *axis, double value) {
    if (axis->left) return log1p(-value) / log1p(-axis->high); /* such an axis begins at 0 */
    return (value - axis->low) / (axis->high - axis->low);
}

/* ------------------------------------------------------------------------------------------------ drawing -- */

typedef struct drawing {
    copi_buffer *b;
    const copi_plot *p;
    int left, top, width, height; /* of the frame */
    int bottom;                   /* of what is below it */
    int whole;                    /* the picture's width */
    bool little;                  /* marks */
} drawing;

static double across(const drawing *d, double x) {
    return d->width * place(&d->p->x, x);
}
static double down(const drawing *d, double y) {
    return d->height * (1 - place(&d->p->y, y));
}
static bool inside(const drawing *d, const copi_mark *m) {
    double x = place(&d->p->x, m->x), y = place(&d->p->y, m->y);
    return x >= -1e-9 && x <= 1 + 1e-9 && y >= -1e-9 && y <= 1 + 1e-9;
}

static void words(const drawing *d, double x, double y, const char *class, const char *anchor, const char *text,
                  int most) {
    copi_buffer_printf(d->b, "<text x=\"%.1f\" y=\"%.1f\"", x, y);
    if (class) copi_buffer_printf(d->b, " class=\"%s\"", class);
    if (anchor) copi_buffer_printf(d->b, " text-anchor=\"%s\"", anchor);
    copi_buffer_text(d->b, ">");
    escape_most(d->b, text, most);
    copi_buffer_text(d->b, "</text>\n");
}

static void axes(const drawing *d) {
    const copi_axis *x = &d->p->x, *y = &d->p->y;
    double taken = -INFINITY;
    for (int i = 0; i < x->ticks; i++) {
        double at = across(d, x->tick[i]);
        copi_words text = x->say(x->tick[i]);
        double half = width_of(text.text) / 2;
        copi_buffer_printf(d->b, "<path class=\"grid\" d=\"M%.1f 0V%d\"/>", at, d->height);
        if (at - half < taken + FONT / 2.0) continue; /* no room for its number */
        words(d, at, d->height + 18, NULL, "middle", text.text, INT32_MAX);
        taken = at + half;
    }
    for (int i = 0; i < y->ticks; i++) {
        double at = down(d, y->tick[i]);
        copi_buffer_printf(d->b, "<path class=\"grid\" d=\"M0 %.1fH%d\"/>", at, d->width);
        words(d, -8, at + 4, NULL, "end", y->say(y->tick[i]).text, INT32_MAX);
    }
    words(d, d->width / 2.0, d->height + 38, NULL, "middle", x->title, INT32_MAX);
    words(d, -d->left + 4, -12, NULL, NULL, y->title, INT32_MAX);
}

/* Count the marks in a box for words. */
static int marks_within(const drawing *d, double x, double y, double width) {
    int n = 0;
    for (int i = 0; i < d->p->count; i++)
        for (int k = 0; d->p->series[i].drawn == COPI_DRAWN_MARKS && k < d->p->series[i].marks; k++) {
            const copi_mark *m = &d->p->series[i].mark[k];
            double right = across(d, m->x) - x, below = down(d, m->y) - y;
            n += inside(d, m) && right > -8 && right < width + 8 && below > -FONT - 6 && below < 8;
        }
    return n;
}

/* The words stand above or below their line, at the left or right: where the fewest marks are. */
static void level(const drawing *d, const copi_level *l) {
    char text[96];
    snprintf(text, sizeof text, "%.24s %s %%", l->name, copi_say_percent(l->y).text);
    double y = down(d, l->y), width = width_of(text), best_x = 0, best_y = 0;
    if (!(y >= 0 && y <= d->height)) return;
    for (int i = 0, fewest = INT32_MAX; i < 4; i++) {
        double at_x = l->right == (i < 2) ? d->width - width - 6 : 8, at_y = i % 2 ? y + 16 : y - 6;
        int n = at_y < FONT || at_y > d->height ? INT32_MAX - 1 : marks_within(d, at_x, at_y, width);
        if (n < fewest) fewest = n, best_x = at_x, best_y = at_y;
    }
    copi_buffer_printf(d->b, "<path class=\"level\" d=\"M0 %.1fH%d\"/>", y, d->width);
    words(d, best_x, best_y, "halo", NULL, text, INT32_MAX);
}

static void line(const drawing *d, int i) {
    const copi_series *s = &d->p->series[i];
    int n = 0;
    for (int k = 0; k < s->marks; k++) {
        const copi_mark *m = &s->mark[k];
        if (!m->joined) continue;
        if (!n++)
            copi_buffer_printf(d->b, "<path class=\"m%d line%s\" d=\"M", i,
                               s->drawn == COPI_DRAWN_BROAD ? " broad" : "");
        copi_buffer_printf(d->b, "%s%.1f %.1f", n > 1 ? "L" : "", across(d, m->x), down(d, m->y));
    }
    if (n) copi_buffer_text(d->b, "\"/>\n");
}

static void bars(const drawing *d, int i) {
    const copi_series *s = &d->p->series[i];
    for (int k = 0; k < s->marks; k++) {
        const copi_mark *m = &s->mark[k];
        if (inside(d, m) && m->spread > 0)
            copi_buffer_printf(d->b, "<path class=\"m%d bar\" d=\"M%.1f %.1fV%.1f\"/>\n", i, across(d, m->x),
                               down(d, m->y - m->spread), down(d, m->y + m->spread));
    }
}

/* An open <path>: the caller adds a <title> or nothing, and </path>. */
static void mark(copi_buffer *b, int i, copi_shape shape, bool filled, double x, double y, bool little) {
    copi_buffer_printf(b, "<path class=\"m%d point%s\" d=\"%s\" transform=\"translate(%.1f %.1f)%s\">", i,
                       filled ? " full" : "", shapes[shape], x, y, little ? " scale(.7)" : "");
}

static void marks(const drawing *d, int i) {
    const copi_series *s = &d->p->series[i];
    for (int k = 0; s->drawn == COPI_DRAWN_MARKS && k < s->marks; k++) {
        const copi_mark *m = &s->mark[k];
        if (!inside(d, m)) continue;
        mark(d->b, i, s->style.shape, m->filled, across(d, m->x), down(d, m->y), d->little);
        if (d->p->about) {
            copi_buffer_text(d->b, "<title>");
            d->p->about(d->b, m->of);
            copi_buffer_text(d->b, "</title>");
        }
        copi_buffer_text(d->b, "</path>\n");
    }
}

static void key(const drawing *d, int i, double x, double y, int most) {
    const copi_series *s = &d->p->series[i];
    mark(d->b, i, s->style.shape, true, x, y - 4, d->little);
    copi_buffer_text(d->b, "</path>");
    words(d, x + 11, y, NULL, NULL, s->name, most);
}

/* The legend in columns below the frame; returns its height. b NULL: measures only. */
static int key_below(const drawing *d) {
    double widest = 0, room = d->whole - d->left;
    int shown = 0;
    for (int i = 0; i < d->p->count; i++)
        if (d->p->series[i].name) widest = fmax(widest, 34 + width_of(d->p->series[i].name));
    int columns = widest > 0 ? (int)fmax(1, floor(room / widest)) : 1;
    for (int i = 0; i < d->p->count; i++) {
        if (!d->p->series[i].name) continue;
        if (d->b)
            key(d, i, 6 + widest * (shown % columns), d->height + 64 + KEY_PITCH * (shown / columns), INT32_MAX);
        shown++;
    }
    return 48 + (shown ? 8 + KEY_PITCH * ((shown + columns - 1) / columns) : 0);
}

/* If there are more series than lines, every second, third, ... one is named. */
static void key_beside(const drawing *d) {
    int most = d->height / KEY_PITCH, step = (d->p->count + most - 1) / most;
    for (int i = 0, row = 0; i < d->p->count; i += step)
        key(d, i, d->width + 20, 12 + KEY_PITCH * row++, KEY_NAME_MOST);
}

static drawing layout(copi_buffer *b, const copi_plot *p, copi_size size, bool alone) {
    drawing d = {.p = p, .whole = sizes[size].width, .height = sizes[size].height, .top = alone ? 88 : 28};
    double widest = 0;
    for (int i = 0; i < p->y.ticks; i++) widest = fmax(widest, width_of(p->y.say(p->y.tick[i]).text));
    d.left = (int)widest + 12;
    d.width = d.whole - d.left - (p->key_beside ? KEY_BESIDE : 18);
    d.bottom = p->key_beside ? 48 : key_below(&d);
    d.b = b;
    d.little = p->small_marks || size == COPI_SIZE_SMALL;
    return d;
}

static void draw(copi_buffer *b, const copi_plot *p, copi_size size, bool alone) {
    drawing d = layout(b, p, size, alone);
    int height = d.top + d.height + d.bottom;
    copi_buffer_printf(b, "<svg class=\"plot %s\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", sizes[size].name,
                       d.whole, height);
    copi_escape(b, p->y.title);
    copi_buffer_text(b, " against ");
    copi_escape(b, p->x.title);
    copi_buffer_text(b, "\"");
    if (alone) {
        copi_buffer_printf(b, " xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\">\n<style>", d.whole,
                           height);
        copi_plot_css(b, p);
        copi_buffer_text(b, "</style>\n<rect class=\"page\" width=\"100%\" height=\"100%\"/>\n");
        words(&d, 12, 28, "title", NULL, p->title, (int)(d.whole / (TITLE_FONT * CHARACTER)));
        words(&d, 12, 50, NULL, NULL, p->note, INT32_MAX);
    } else {
        copi_buffer_text(b, ">\n");
    }
    copi_buffer_printf(b, "<g transform=\"translate(%d %d)\">\n", d.left, d.top);
    axes(&d);
    copi_buffer_printf(b, "<svg width=\"%d\" height=\"%d\">\n", d.width, d.height); /* clips to the frame */
    for (int i = 0; i < p->count; i++)
        if (p->series[i].drawn == COPI_DRAWN_BROAD) line(&d, i);
    for (int i = 0; i < p->count; i++)
        if (p->series[i].drawn != COPI_DRAWN_BROAD) line(&d, i);
    for (int i = 0; i < p->count; i++) bars(&d, i);
    copi_buffer_text(b, "</svg>\n");
    for (int i = 0; i < p->count; i++) marks(&d, i);
    for (int i = 0; i < p->levels; i++) level(&d, &p->level[i]);
    if (p->key_beside)
        key_beside(&d);
    else
        key_below(&d);
    copi_buffer_text(b, "</g>\n</svg>\n");
}

void copi_plot_svg(copi_buffer *b, const copi_plot *p, copi_size size) {
    draw(b, p, size, false);
}

void copi_plot_css(copi_buffer *b, const copi_plot *p) {
    for (int dark = 0; dark < 2; dark++) {
        const unsigned char *sheet = dark ? copi_embed_plot_dark_css : copi_embed_plot_css;
        if (dark) copi_buffer_text(b, "@media screen and (prefers-color-scheme:dark){\n");
        copi_buffer_text(b, (const char *)sheet);
        for (int i = 0; i < p->count; i++)
            copi_buffer_printf(b, ".m%d{color:%s}", i, dark ? p->series[i].style.dark : p->series[i].style.light);
        copi_buffer_text(b, dark ? "\n}\n" : "\n");
    }
}

void copi_plot_key(copi_buffer *b, int i, copi_shape shape, const char *name) {
    copi_buffer_text(b, "<span><svg class=\"plot\" viewBox=\"-7 -7 14 14\" aria-hidden=\"true\">");
    mark(b, i, shape, true, 0, 0, false);
    copi_buffer_text(b, "</path></svg>");
    copi_escape(b, name);
    copi_buffer_text(b, "</span>");
}

/* ------------------------------------------------------------------------------------------------- memory -- */

cop_status copi_plot_begin(cop_ctx *ctx, int series, size_t marks, copi_plot *plot) {
    *plot = (copi_plot){.ctx = ctx,
                        .series = copi_alloc(ctx, (size_t)series + 1, sizeof *plot->series),
                        .count = series,
                        .mark = copi_alloc(ctx, marks + 1, sizeof *plot->mark)};
    if (plot->series && plot->mark) return COP_OK;
    copi_plot_clear(plot);
    return COP_E_NOMEM;
}

void copi_plot_level(copi_plot *plot, const char *name, double y, bool right) {
    plot->level[plot->levels++] = (copi_level){y, name, right};
}

void copi_plot_clear(copi_plot *plot) {
    if (!plot->ctx) return;
    copi_free(plot->ctx, plot->series);
    copi_free(plot->ctx, plot->mark);
    *plot = (copi_plot){0};
}

/* -------------------------------------------------------------------------------------------------- files -- */

static cop_status write_svg(const copi_plot *plot, const char *path) {
    copi_buffer b;
    copi_buffer_init(&b, plot->ctx);
    copi_buffer_text(&b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    draw(&b, plot, COPI_SIZE_LARGE, true);
    cop_status status = b.failed ? COP_E_NOMEM : copi_write_file(plot->ctx, path, b.data, b.len);
    copi_buffer_clear(&b);
    return status;
}

cop_status copi_plot_write(const copi_plot *plot, const char *dir, const char *name) {
    char *svg = copi_format(plot->ctx, "%s/%s.svg", dir, name), *png = copi_format(plot->ctx, "%s/%s.png", dir, name);
    cop_status status = svg && png ? write_svg(plot, svg) : COP_E_NOMEM;
    if (!status) status = copi_png_of(plot->ctx, svg, png);
    copi_free(plot->ctx, svg);
    copi_free(plot->ctx, png);
    return status;
}
