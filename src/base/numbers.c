/* Numbers as text, for files and pages. */
#include "base/base.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

copi_locale copi_locale_plain(void) {
    copi_locale numbers = {newlocale(LC_NUMERIC_MASK, "C", (locale_t)0), (locale_t)0};
    if (numbers.plain) numbers.before = uselocale(numbers.plain);
    return numbers;
}

void copi_locale_restore(copi_locale numbers) {
    if (!numbers.plain) return;
    uselocale(numbers.before);
    freelocale(numbers.plain);
}

copi_words copi_grouped(int64_t n) {
    char digits[24];
    copi_words w = {{0}};
    int count = snprintf(digits, sizeof digits, "%" PRId64, n), at = 0;
    for (int i = 0; i < count; i++) {
        w.text[at++] = digits[i];
        if (digits[i] != '-' && i + 1 < count && (count - i - 1) % 3 == 0) w.text[at++] = ',';
    }
    return w;
}

copi_plain copi_plain_number(double x, int decimals) {
    copi_plain p = {{0}};
    if (isnan(x)) return p;
    snprintf(p.text, sizeof p.text, "%.*f", decimals, x);
    if (strchr(p.text, '.')) {
        char *end = p.text + strlen(p.text);
        while (end[-1] == '0') *--end = 0;
        if (end[-1] == '.') *--end = 0;
    }
    if (strcmp(p.text, "-0") == 0) strcpy(p.text, "0");
    return p;
}

void copi_append(char *text, size_t size, const char *format, ...) {
    size_t n = strlen(text);
    va_list args;
    va_start(args, format);
    vsnprintf(text + n, size - n, format, args);
    va_end(args);
}
