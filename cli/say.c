/* Numbers for people. */
#include "cli.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FILL(w, ...) (snprintf((w)->text, sizeof(w)->text, __VA_ARGS__), (const char *)(w)->text)

const char *say_count(spoken *w, int64_t n) {
    char plain[24];
    snprintf(plain, sizeof plain, "%" PRId64, n);
    size_t from = plain[0] == '-', digits = strlen(plain + from), to = 0;
    if (from) w->text[to++] = '-';
    for (size_t i = 0; i < digits; i++) {
        if (i && (digits - i) % 3 == 0) w->text[to++] = ',';
        w->text[to++] = plain[from + i];
    }
    w->text[to] = 0;
    return w->text;
}

/* At least this many decimals, up to three if fewer would show a part as 0 % or 100 %. */
static const char *say_decimals(spoken *w, double share, int least) {
    if (isnan(share)) return FILL(w, "-");
    for (int digits = least; digits <= 3; digits++) {
        FILL(w, "%.*f %%", digits, 100 * share);
        double shown = strtod(w->text, NULL);
        if (share <= 0 || share >= 1 || (shown > 0 && shown < 100)) return w->text;
    }
    return FILL(w, "%.*f %%", least, 100 * share);
}

const char *say_share(spoken *w, double share) {
    return say_decimals(w, share, 1);
}

const char *say_percent(spoken *w, double share) {
    return say_decimals(w, share, 2);
}

static const char *say_scaled(spoken *w, double x, double base, const char *const unit[], int units) {
    int u = 0;
    while (u + 1 < units && fabs(x) >= base) x /= base, u++;
    return FILL(w, "%.*f %s", u == 0 ? 0 : fabs(x) < 100 ? 2 : 1, x, unit[u]);
}

const char *say_macs(spoken *w, int64_t n) {
    static const char *const unit[] = {"", "k", "M", "G", "T", "P"};
    if (n < 1000) return say_count(w, n);
    return say_scaled(w, (double)n, 1000, unit, COUNT_OF(unit));
}

const char *say_bytes(spoken *w, int64_t n) {
    static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    return say_scaled(w, (double)n, 1024, unit, COUNT_OF(unit));
}

const char *say_shape(spoken *w, int rank, const int64_t *shape) {
    size_t n = 0;
    w->text[0] = 0;
    for (int i = 0; i < rank && n < sizeof w->text; i++)
        n += (size_t)snprintf(w->text + n, sizeof w->text - n, "%s%" PRId64, i ? "x" : "", shape[i]);
    return w->text;
}

const char *say_seconds(spoken *w, double seconds) {
    if (!(seconds >= 0 && seconds < 1e9)) return FILL(w, "-");
    if (seconds < 9.95) return FILL(w, "%.1f s", seconds);
    if (seconds < 59.5) return FILL(w, "%.0f s", seconds);
    int64_t s = (int64_t)(seconds + 0.5);
    if (s < 3600) return FILL(w, "%d:%02d", (int)(s / 60), (int)(s % 60));
    return FILL(w, "%" PRId64 ":%02d:%02d", s / 3600, (int)(s / 60 % 60), (int)(s % 60));
}

const char *say_ratio(spoken *w, double before, double after) {
    if (!(before > 0 && after > 0)) return FILL(w, "-");
    double less = before / after;
    if (fabs(less - 1) < 0.005) return FILL(w, "the same");
    return less > 1 ? FILL(w, "%.2fx less", less) : FILL(w, "%.2fx more", 1 / less);
}

const char *say_number(spoken *w, double x, int digits) {
    if (isnan(x)) return FILL(w, "-");
    return FILL(w, "%.*f", digits, x);
}
