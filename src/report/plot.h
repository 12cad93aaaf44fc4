/* A picture of points and lines: what it shows, as data, and the one renderer that draws it. */
#ifndef COPPICE_REPORT_PLOT_H
#define COPPICE_REPORT_PLOT_H

#include "base/base.h"
#include "base/style.h"

#define COPI_TICKS 16
typedef struct copi_axis {
    const char *title;
    double low, high; /* at its left or lower end, and at the other */
    double tick[COPI_TICKS];
    int ticks;
    bool left; /* logarithmic in 1 - x: .9 to .99 get as much room as 0 to .9 */
    copi_words (*say)(double value);
} copi_axis;
/** An axis from low to high or a little more, with about `most` ticks at round numbers. */
copi_axis copi_axis_make(const char *title, double low, double high, int most, copi_words (*say)(double value));

typedef struct copi_mark {
    double x, y, spread; /* spread: half the length of the error bar; 0 or NaN: none */
    bool filled, joined; /* joined: the series' line goes through it */
    const void *of;      /* what plot.about describes */
} copi_mark;

typedef enum copi_drawn {
    COPI_DRAWN_MARKS,
    COPI_DRAWN_LINE,
    COPI_DRAWN_BROAD
} copi_drawn; /* BROAD: a line under all */

typedef struct copi_series {
    const char *name; /* NULL: not in the legend */
    copi_style style;
    copi_drawn drawn;
    copi_mark *mark; /* [marks], a part of plot.mark */
    int marks;
} copi_series;

typedef struct copi_level { /* a dashed line across */
    double y;
    const char *name;
    bool right; /* the side of its words, if there is room */
} copi_level;

typedef struct copi_plot {
    cop_ctx *ctx;
    const char *title, *note; /* above the picture if it stands alone */
    copi_axis x, y;
    copi_level level[2]; /* [levels] */
    int levels;
    copi_series *series; /* [count], owned; CSS class "m<index>" */
    int count;
    copi_mark *mark; /* of all series, owned */
    bool key_beside; /* the legend is a list at the right; else it flows below */
    bool small_marks;
    void (*about)(copi_buffer *b, const void *of); /* a mark's tooltip, escaped; may be NULL */
} copi_plot;
/** Room for so many series and marks in all. Errors: NOMEM. */
cop_status copi_plot_begin(cop_ctx *ctx, int series, size_t marks, copi_plot *plot);
/** Add a dashed line at an accuracy: "floor 60 %". */
void copi_plot_level(copi_plot *plot, const char *name, double y, bool right);
void copi_plot_clear(copi_plot *plot);

typedef enum copi_size {
    COPI_SIZE_LARGE,
    COPI_SIZE_SMALL,
    COPI_SIZE_HALF
} copi_size; /* a page, a phone, half a page */
/** Append the plot as an <svg>. */
void copi_plot_svg(copi_buffer *b, const copi_plot *plot, copi_size size);
/** The style sheet of a plot and of all with the same series. A page holds it once. */
void copi_plot_css(copi_buffer *b, const copi_plot *plot);
/** One entry of a legend: the mark of series number i, and a name. */
void copi_plot_key(copi_buffer *b, int i, copi_shape shape, const char *name);
/** Write DIR/NAME.svg, a picture that stands alone, and have rsvg-convert make NAME.png of it. If that fails,
 *  a warning goes to the log. Errors: IO, NOMEM. */
cop_status copi_plot_write(const copi_plot *plot, const char *dir, const char *name);

/** Text for HTML and XML, in elements and in quoted attributes. */
void copi_escape(copi_buffer *b, const char *text);

#endif
