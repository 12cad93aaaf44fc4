/* Numbers as people read them, on the page and in its plots. */
#include "report/report.h"

#include <math.h>

#define NO_NUMBER "\xe2\x80\x93" /* an en dash */

static copi_words text_of(const char *text) {
    copi_words w = {{0}};
    snprintf(w.text, sizeof w.text, "%s", text);
    return w;
}

copi_words copi_say_number(double x, int decimals) {
    copi_words w = text_of(NO_NUMBER);
    if (!isnan(x)) snprintf(w.text, sizeof w.text, "%.*f", decimals, x);
    return w;
}

copi_words copi_say_plain(double x) {
    copi_words w = text_of(NO_NUMBER);
    if (!isnan(x)) snprintf(w.text, sizeof w.text, "%.6g", x);
    return w;
}

copi_words copi_say_percent(double x) {
    return copi_say_plain(100 * x);
}

copi_words copi_say_share(double x, int decimals) {
    return copi_say_number(100 * x, decimals);
}

copi_words copi_say_spread(copi_spread s, double unit, int decimals) {
    copi_words w = copi_say_number(unit * s.mean, decimals);
    if (!isnan(s.std)) copi_append(w.text, sizeof w.text, " \xc2\xb1 %.*f", decimals, unit * s.std);
    return w;
}

copi_words copi_say_scaled(double x) {
    static const struct {
        double unit;
        const char *name;
    } units[] = {{1e15, " P"}, {1e12, " T"}, {1e9, " G"}, {1e6, " M"}, {1e3, " k"}, {1, ""}};
    size_t i = 0;
    while (i + 1 < COPI_COUNT(units) && fabs(x) < units[i].unit) i++;
    double scaled = fabs(x) / units[i].unit;
    copi_words w = text_of(NO_NUMBER);
    if (!isnan(x))
        snprintf(w.text, sizeof w.text, "%.40s%s",
                 copi_plain_number(x / units[i].unit, scaled < 10    ? 2
                                                      : scaled < 100 ? 1
                                                                     : 0)
                     .text,
                 units[i].name);
    return w;
}

copi_words copi_say_duration(double seconds) {
    copi_words w = {{0}};
    if (seconds < 99.5)
        snprintf(w.text, sizeof w.text, "%.*f s", seconds < 10 ? 1 : 0, seconds);
    else if (seconds < 5400)
        snprintf(w.text, sizeof w.text, "%d min %02d s", (int)(seconds / 60), (int)fmod(seconds, 60));
    else
        snprintf(w.text, sizeof w.text, "%d h %02d min", (int)(seconds / 3600), (int)fmod(seconds / 60, 60));
    return w;
}
