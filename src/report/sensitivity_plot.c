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

/* From violet over teal to amber, light enough apart on white: the first group of the net to the last. */
static void colour(char out[8], int i, int n) {
    static const double stop[][3] = {{84, 39, 143}, {30, 110, 160}, {20, 150, 120}, {120, 160, 30}, {205, 120, 10}};
    const int last = (int)COPI_COUNT(stop) - 1;
    double at = n > 1 ? (double)i * last / (n - 1) : 0;
    int k = at < last ? (int)at : last - 1;
    int rgb[3];
    for (int c = 0; c < 3; c++) rgb[c] = (int)lround(stop[k][c] + (at - k) * (stop[k + 1][c] - stop[k][c]));
    snprintf(out, 8, "#%02x%02x%02x", (unsigned)rgb[0] & 255u, (unsigned)rgb[1] & 255u, (unsigned)rgb[2] & 255u);
}

/* Groups by the accuracy that is left at the last level, highest first: the key's order is the lines' at their ends.
 */
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

#define NAME_MAX_BYTES 28 /* of a group's name in the key */
#define KEY_MOST 34       /* lines of the key that fit beside the plot */

static void script(copi_buffer *b, const cop_sensitivity *r) {
    static const int points[] = {7, 5, 9, 13, 11, 15}; /* gnuplot's filled ones */
    char rgb[8];
    int *order = order_of(r);
    if (!order) {
        b->failed = true;
        return;
    }
    copi_buffer_text(b, "# Accuracy when one coupling group is pruned. Draw again with: gnuplot sensitivity.gp\n"
                        "if (!exists('out')) out = 'sensitivity'\nset encoding utf8\nset decimalsign '.'\n");
    for (int g = 0; g < r->groups; g++) {
        copi_buffer_printf(b, "$g%d << EOD\n0 %.6f\n", g, r->accuracy);
        for (int k = 0; k < r->levels; k++) copi_buffer_printf(b, "%g %.6f\n", r->level[k], r->group[g].accuracy[k]);
        copi_buffer_text(b, "EOD\n");
    }
    double low = r->floor;
    for (int g = 0; g < r->groups; g++)
        for (int k = 0; k < r->levels; k++) low = fmin(low, r->group[g].accuracy[k]);
    copi_buffer_printf(
        b,
        "set xrange [0:1]\nset yrange [%.4f:%.4f]\nset xtics 0.1\nset format x '%%.1f'\n"
        "set format y '%%.2f'\nset grid lc rgb '#e6e6e6' lt 1 lw 0.7\nset border 3 lc rgb '#aaaaaa'\n"
        "set tics nomirror textcolor rgb '#555555'\n"
        "set xlabel 'share of the group removed' textcolor rgb '#555555'\n"
        "set ylabel 'validation accuracy' textcolor rgb '#555555'\n"
        "set key outside right top vertical maxcols 1 samplen 1.5 spacing 1.05 Left reverse noenhanced\n"
        "set tmargin 4\nset label 1 'Sensitivity of %d coupling groups' at graph 0, screen 0.955 left "
        "font ',17' noenhanced\n"
        "set label 2 'one group pruned at a time, nothing trained; colours from violet, the first group, to amber, "
        "the last' at graph 0, "
        "screen 0.905 left textcolor rgb '#666666' noenhanced\n"
        "set arrow from 0, %.6f to 1, %.6f nohead dt 2 lc rgb '#777777'\n"
        "set label 3 'floor %.3f' at 0.995, %.6f offset 0, 0.6 right textcolor rgb '#777777' font ',11'\n",
        fmax(0, low - 0.02), fmin(1, fmax(r->accuracy, r->floor) + 0.03), r->groups, r->floor, r->floor, r->floor,
        r->floor);
    copi_buffer_text(b, "set terminal svg size 1080,660 dynamic background rgb 'white' font 'DejaVu Sans,13'\n"
                        "set output out.'.svg'\nplot ");
    for (int i = 0; i < r->groups; i++) {
        int g = order[i];
        colour(rgb, g, r->groups);
        copi_buffer_printf(b, "%s$g%d using 1:2 with linespoints lw 1.6 ps 0.7 pt %d lc rgb '%s' ",
                           i ? ", \\\n     " : "", g, points[(size_t)g % COPI_COUNT(points)], rgb);
        /* of many groups every second, third, ... is named: the colours go on in between */
        bool named = i % ((r->groups + KEY_MOST - 1) / KEY_MOST) == 0;
        copi_buffer_text(b, named ? "title " : "notitle");
        if (named) copi_gnuplot_quote(b, r->group[g].name, NAME_MAX_BYTES);
    }
    copi_buffer_text(b,
                     "\nset terminal pngcairo size 1620,990 background rgb 'white' font 'DejaVu Sans,13' fontscale "
                     "1.45 linewidth 1.5 pointscale 1.4\nset output out.'.png'\nreplot\nset output\n");
    copi_free(r->ctx, order);
}

static cop_status write_one(const cop_sensitivity *r, const char *dir, const char *name,
                            void (*fill)(copi_buffer *, const cop_sensitivity *)) {
    copi_buffer b;
    copi_buffer_init(&b, r->ctx);
    fill(&b, r);
    char *path = copi_format(r->ctx, "%s/%s", dir, name);
    cop_status status = path && !b.failed ? copi_write_file(r->ctx, path, b.data, b.len) : COP_E_NOMEM;
    copi_free(r->ctx, path);
    copi_buffer_clear(&b);
    return status;
}

cop_status cop_sensitivity_write(const cop_sensitivity *r, const char *dir) {
    copi_locale numbers = copi_locale_plain();
    cop_status status = copi_make_dir(r->ctx, dir);
    if (!status) status = write_one(r, dir, "sensitivity.csv", table);
    if (!status) status = write_one(r, dir, "sensitivity.gp", script);
    if (!status) status = copi_gnuplot(r->ctx, dir, "sensitivity", "gnuplot sensitivity.gp");
    copi_locale_restore(numbers);
    return status;
}
