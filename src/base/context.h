/* The inside of a context, for the base room alone. */
#ifndef COPPICE_BASE_CONTEXT_H
#define COPPICE_BASE_CONTEXT_H

#include "base/base.h"

enum { COPI_TEXT_MAX = 1024, COPI_LABEL_MAX = 256 }; /* bytes of an error or log line, of a progress label */

struct cop_ctx {
    cop_ctx_options options; /* threads filled in; allocator as given */
    char error[COPI_TEXT_MAX];
    char label[COPI_LABEL_MAX];
    int trial, trials;
    double progress_at; /* copi_now() at the last report */
    bool progress_any;  /* there was a report */
};

/** Format one line into text [size]: control characters become spaces; a text that is too long is cut after a whole
 * UTF-8 character and ends in "...". */
void copi_line(char *text, size_t size, const char *format, va_list args) __attribute__((format(printf, 3, 0)));

#endif
