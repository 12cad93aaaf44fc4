#include "base/base.h"

#include <string.h>

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

enum { WORD_MAX = 64 }; /* longer words are no typing errors of ours */

/* Levenshtein's distance, ASCII case ignored; one row of the table at a time. */
static size_t edit_distance(const char *a, size_t na, const char *b, size_t nb) {
    size_t row[WORD_MAX + 1];
    for (size_t j = 0; j <= nb; j++) row[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t best = diagonal + (lower(a[i - 1]) != lower(b[j - 1]));
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[nb];
}

const char *copi_nearest(const char *word, int n, const char *(*name)(int i, const void *user), const void *user) {
    size_t length = strlen(word);
    if (length > WORD_MAX) return NULL;
    const char *nearest = NULL;
    size_t least = (length < 6 ? 1 : length / 3) + 1;
    for (int i = 0; i < n; i++) {
        const char *candidate = name(i, user);
        size_t m = candidate ? strlen(candidate) : WORD_MAX + 1;
        if (m > WORD_MAX) continue;
        size_t distance = edit_distance(word, length, candidate, m);
        if (distance < least) {
            least = distance;
            nearest = candidate;
        }
    }
    return nearest;
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
