#include "base/base.h"

#include <string.h>

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

enum { WORD_MAX = 64 }; /* longer words are not misspelled names */

/* Levenshtein distance with transpositions, ASCII case ignored, from the last three rows of its table. */
static size_t edit_distance(const char *a, size_t na, const char *b, size_t nb) {
    size_t rows[3][WORD_MAX + 1];
    for (size_t j = 0; j <= nb; j++) rows[0][j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t *row = rows[i % 3], *before = rows[(i - 1) % 3], *earlier = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            char at = lower(a[i - 1]), other = lower(b[j - 1]);
            size_t best = before[j - 1] + (at != other);
            if (before[j] + 1 < best) best = before[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            bool exchanged = i > 1 && j > 1 && at == lower(b[j - 2]) && lower(a[i - 2]) == other;
            if (exchanged && earlier[j - 2] + 1 < best) best = earlier[j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[na % 3][nb];
}

const char *copi_nearest(const char *word, int n, const char *(*name)(int i, const void *user), const void *user) {
    size_t length = strlen(word);
    if (length > WORD_MAX) return NULL;
    int nearest = -1; /* a name may be valid only until the next one is asked for */
    size_t least = (length < 6 ? 1 : length / 3) + 1;
    for (int i = 0; i < n; i++) {
        const char *candidate = name(i, user);
        size_t m = candidate ? strlen(candidate) : WORD_MAX + 1;
        if (m > WORD_MAX) continue;
        size_t distance = edit_distance(word, length, candidate, m);
        if (distance < least) {
            least = distance;
            nearest = i;
        }
    }
    return nearest < 0 ? NULL : name(nearest, user);
}

static const char *list_at(int i, const void *list) {
    return (*(const char *(*const *)(int))list)(i);
}

const char *cop_nearest(const char *word, const char *(*name)(int i)) {
    if (!word || !name) return NULL;
    int n = 0;
    while (name(n)) n++;
    return copi_nearest(word, n, list_at, &name);
}

int copi_index_of(const char *word, const char *const *names) {
    for (int i = 0; names[i]; i++)
        if (!strcmp(word, names[i])) return i;
    return -1;
}

bool copi_ends_with(const char *text, const char *ending) {
    size_t n = strlen(text), m = strlen(ending);
    if (m > n) return false;
    for (size_t i = 0; i < m; i++)
        if (lower(text[n - m + i]) != lower(ending[i])) return false;
    return true;
}

copi_shown copi_show(const char *bytes, size_t n) {
    copi_shown s = {{0}};
    size_t limit = sizeof s.text - 4, k = 0;
    while (k < n && k < limit) {
        unsigned char c = (unsigned char)bytes[k];
        s.text[k++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    if (k < n) {
        while (k > 0 && ((unsigned char)bytes[k] & 0xc0) == 0x80) k--;
        memcpy(s.text + k, "...", 4);
    } else {
        s.text[k] = 0;
    }
    return s;
}
