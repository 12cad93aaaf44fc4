/* Tables of options: defaults, checks, reading and printing of values. Each table is in the room whose struct it
 * describes, and ends with a NULL name. */
#ifndef COPPICE_OPTIONS_H
#define COPPICE_OPTIONS_H

#include "base/base.h"

/** The first members of a row: the option's name, kind and place in its struct. */
#define COPI_OPTION(key, type, field, KIND) .name = key, .kind = COP_OPTION_##KIND, .offset = offsetof(type, field)

/** The public cop_X_option(i) of a table. */
#define COPI_OPTION_AT(function, table)                                                                              \
    const cop_option *function(int option) {                                                                         \
        return option >= 0 && (size_t)option + 1 < COPI_COUNT(table) ? &(table)[option] : NULL;                      \
    }
/** The choices of an option that is no enum; an enum's are its public cop_X_name. */
#define COPI_CHOICES(function, ...)                                                                                  \
    const char *function(int i) {                                                                                    \
        static const char *const text[] = {__VA_ARGS__};                                                             \
        return i >= 0 && (size_t)i < COPI_COUNT(text) ? text[i] : NULL;                                              \
    }

/** Give every option of a table its default. */
void copi_options_default(const cop_option *table, void *object);
/** Refuse a value outside its option's range or choices: "what: rate is -1; expected a number in (0,1000]". */
cop_status copi_options_check(cop_ctx *ctx, const char *what, const cop_option *table, const void *object);
/** The same for one option; what NULL: no prefix. */
cop_status copi_option_check(cop_ctx *ctx, const char *what, const cop_option *o, const void *object);
/** The option of that name; NULL: none. */
const cop_option *copi_option_find(const cop_option *table, const char *name);
/** Print the exact value, for digests; choices by number. */
void copi_option_print(copi_buffer *b, const cop_option *o, const void *object);
/** Print the value for people; choices by name. */
void copi_option_say(copi_buffer *b, const cop_option *o, const void *object);
/** Print the text that a digest is taken of: one line "name=value" per option. A LATE option is left out while it has
 *  the value of usual, so that older trials keep their names. */
void copi_options_print(copi_buffer *b, const cop_option *table, const void *object, const void *usual);
/** Print how object differs from other, for people: ", tune restarts 1". of: the key that both are under, or "". */
void copi_options_say_difference(copi_buffer *b, const cop_option *table, const void *object, const void *other,
                                 const char *of);

/* Read values from text, as parts of cop_option_parse; on failure problem holds the error's sentence. */
typedef char copi_problem[COP_OPTION_PROBLEM];
bool copi_option_read_number(const cop_option *o, const char *name, const char *text, double *x,
                             copi_problem problem);
/** The index of a choice. */
bool copi_option_read_choice(const cop_option *o, const char *name, const char *text, int *choice,
                             copi_problem problem);
/** Take a list of n steps: at most 4 numbers, rising. */
bool copi_option_read_steps(const char *name, const double *x, int n, double step[4], copi_problem problem);

#endif
