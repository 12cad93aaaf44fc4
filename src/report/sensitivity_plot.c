/* What a sensitivity analysis is written as: sensitivity.csv, and a picture with a line a group. */
#include "report/report.h"

#include <math.h>
#include <string.h>

static void csv_text(copi_buffer *b, const char *text) {
    copi_buffer_text(b, "\"");
    for (; *text; text++) copi_buffer_printf(b, *text == '"' ? "\"\"" : "%c", *text);
    copi_buffer_text(b, "\"");
}

static void table(copi_buffer *b, const cop_sensitivity *r) {
    copi_buffer_text(b, "group,layers,units,level,accuracy,sparsity,holds,advice\n");
    for (int g = 0; g < r->groups; g++)
        for (int k = 0; k < r->levels; k++) {
            const cop_sensitivity_group *at = &r->group[g];
            csv_text(b, at->name);
            copi_buffer_text(b, ",");
            csv_text(b, at->layers);
            copi_buffer_printf(b, ",%lld,%g,%.6f,%.6f,%d,%g\n", (long long)at->units, r->level[k], at->accuracy[k],
                               at->sparsity[k], at->accuracy[k] >= r->floor, at->advice);
        }
}

/* From violet over teal to amber, the first group of the net to the last; lighter by a share of what is left to
 * white. */
static void colour(char out[8], int i, int n, double lighter) {
    static const double stop[][3] = {{84, 39, 143}, {30, 110, 160}, {20, 150, 120}, {120, 160, 30}, {205, 120, 10}};
    const int last = (int)COPI_COUNT(stop) - 1;
    double at = n > 1 ? (double)i * last / (n - 1) : 0;
    int k = at < last ? (int)at : last - 1;
    int rgb[3];
    for (int c = 0; c < 3; c++) {
        double pure = stop[k][c] + (at - k) * (stop[k + 1][c] - stop[k][c]);
        rgb[c] = (int)lround(pure + lighter * (255 - pure));
    }
    snprintf(out, 8, "#%02x%02x%02x", (unsigned)rgb[0] & 255u, (unsigned)rgb[1] & 255u, (unsigned)rgb[2] & 255u);
}

/* Groups by the accuracy that is left at the last level, highest first: the key's order is the lines' at their
 * ends. */
static int *order_of(const cop_sensitivity *r) {
    int *order = copi_alloc(r->ctx, (size_t)r->groups, sizeof *order), last = r->levels - 1;
    for (int g = 0; order && g < r->groups; g++) {
        int at = g;
        for (; at && r->group[order[at - 1]].accuracy[last] < r->group[g].accuracy[last]; at--)
            order[at] = order[at - 1];
        order[at] = g;
    }
    return order;
}

static cop_status describe(const cop_sensitivity *r, copi_plot *plot) {
    int *order = order_of(r);
    cop_status status =
        order ? copi_plot_begin(r->ctx, r->groups, (size_t)r->groups * ((size_t)r->levels + 1), plot) : COP_E_NOMEM;
    double low = r->floor;
    for (int i = 0; !status && i < r->groups; i++) {
        int g = order[i];
        copi_series *to = &plot->series[i];
        *to = (copi_series){.name = r->group[g].name,
                            .style = {.shape = (copi_shape)(1 + g % (COPI_SHAPES - 1))},
                            .mark = plot->mark + (size_t)i * ((size_t)r->levels + 1)};
        colour(to->style.light, g, r->groups, 0);
        colour(to->style.dark, g, r->groups, 0.4);
        to->mark[to->marks++] = (copi_mark){.y = r->accuracy, .filled = true, .joined = true};
        for (int k = 0; k < r->levels; k++) {
            to->mark[to->marks++] =
                (copi_mark){.x = r->level[k], .y = r->group[g].accuracy[k], .filled = true, .joined = true};
            low = fmin(low, r->group[g].accuracy[k]);
        }
    }
    copi_free(r->ctx, order);
    if (status) return status;
    plot->title = "Sensitivity of the coupling groups";
    plot->note = "One group is pruned at a time and nothing is trained. Colours run from violet, the first group, to "
                 "amber, the last.";
    plot->x = copi_axis_make("% of the group removed", 0, 1, 10, copi_say_percent);
    plot->y = copi_axis_make("validation accuracy, %", low, fmin(1, fmax(r->accuracy, r->floor) + 0.01), 14,
                             copi_say_percent);
    copi_plot_level(plot, "floor", r->floor, true);
    plot->key_beside = plot->small_marks = true;
    return COP_OK;
}

static cop_status write_table(const cop_sensitivity *r, const char *dir) {
    copi_buffer b;
    copi_buffer_init(&b, r->ctx);
    table(&b, r);
    char *path = copi_format(r->ctx, "%s/sensitivity.csv", dir);
    cop_status status = path && !b.failed ? copi_write_file(r->ctx, path, b.data, b.len) : COP_E_NOMEM;
    copi_free(r->ctx, path);
    copi_buffer_clear(&b);
    return status;
}

cop_status cop_sensitivity_write(const cop_sensitivity *r, const char *dir) {
    COPI_REQUIRE(NULL, r);
    COPI_REQUIRE(NULL, r->ctx); /* a cleared result has none */
    COPI_REQUIRE(r->ctx, dir);
    copi_locale numbers = copi_locale_plain();
    copi_plot plot = {0};
    cop_status status = copi_make_dir(r->ctx, dir);
    if (!status) status = write_table(r, dir);
    if (!status) status = describe(r, &plot);
    if (!status) status = copi_plot_write(&plot, dir, "sensitivity");
    copi_plot_clear(&plot);
    copi_locale_restore(numbers);
    return status;
}
