/* What follows from a table of options: defaults, checks, values in and out. Each table stands in the room whose struct it
 * describes, and ends with a NULL name. */
#ifndef COPPICE_OPTIONS_H
#define COPPICE_OPTIONS_H

#include "base/base.h"

/** The first members of a row: where the option lies in its struct, and as what. */
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
/** The same for one option; what NULL: without a prefix. */
cop_status copi_option_check(cop_ctx *ctx, const char *what, const cop_option *o, const void *object);
/** The option of that name; NULL: none. */
const cop_option *copi_option_find(const cop_option *table, const char *name);
/** The value to its last bit, as digests have it; choices by number. */
void copi_option_print(copi_buffer *b, const cop_option *o, const void *object);
/** The value for people: choices by name. */
void copi_option_say(copi_buffer *b, const cop_option *o, const void *object);
/** What a digest is taken of: a line "name=value" per option. An option that came late is left out where it has the value of
 *  usual, so that it renames no older trial. */
void copi_options_print(copi_buffer *b, const cop_option *table, const void *object, const void *usual);
/** How object differs from other, for people: ", tune restarts 1". of: the key that both stand under, or "". */
void copi_options_say_difference(copi_buffer *b, const cop_option *table, const void *object, const void *other,
                                 const char *of);

/* Values from text, one step of cop_option_parse each; on failure problem holds its sentence. */
typedef char copi_problem[COP_OPTION_PROBLEM];
bool copi_option_read_number(const cop_option *o, const char *name, const char *text, double *x,
                             copi_problem problem);
/** The index of a choice. */
bool copi_option_read_choice(const cop_option *o, const char *name, const char *text, int *choice,
                             copi_problem problem);
/** Are the n numbers of a list of steps at most 4, and rising? */
bool copi_option_read_steps(const char *name, const double *x, int n, double step[4], copi_problem problem);

#endif
