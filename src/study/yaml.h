/* A YAML mapping read into a struct by a table of keys; every refusal has file, line and column. */
#ifndef COPPICE_STUDY_YAML_H
#define COPPICE_STUDY_YAML_H

#include "base/base.h"

typedef struct copi_numbers {
    double *v; /* [n], owned by the spec */
    int n;
} copi_numbers;
typedef struct copi_seeds {
    uint64_t *v; /* [n] */
    int n;
} copi_seeds;

typedef enum copi_key_kind {
    COPI_KEY_TEXT,    /* char *, owned */
    COPI_KEY_NUMBER,  /* double */
    COPI_KEY_COUNT,   /* int64_t */
    COPI_KEY_SMALL,   /* int */
    COPI_KEY_FLAG,    /* int: true or false */
    COPI_KEY_CHOICE,  /* an enum: index among names */
    COPI_KEY_NAME,    /* const char *: one of names */
    COPI_KEY_WORDS,   /* unsigned: a bit for each of names that stands in the list */
    COPI_KEY_NUMBERS, /* copi_numbers: one number or a list */
    COPI_KEY_STEPS,   /* double[4]: one number or a list, ended by 0 */
    COPI_KEY_SEEDS,   /* copi_seeds */
    COPI_KEY_MAP,     /* a struct inside, read by the table map */
    COPI_KEY_MAPS     /* copi_list: a list of structs */
} copi_key_kind;

typedef struct copi_list {
    void *v; /* [n] of the schema's size */
    int n;
} copi_list;

typedef struct copi_schema copi_schema;
typedef struct copi_key {
    const char *name;
    copi_key_kind kind;
    size_t at;                   /* offset in the struct */
    const char *range;           /* of numbers and counts, each entry of a list: "[0,1)" */
    const char *(*names)(int i); /* of choices; NULL past the last */
    const copi_schema *map;      /* of MAP and MAPS */
    bool required;
    bool settable;               /* NAME: required only where no earlier key has set it */
    void (*apply)(void *target); /* called once the value is read: it sets what later keys may say otherwise */
    unsigned family;             /* 0: always allowed; else one of the families the struct belongs to */
    bool each;                   /* a list of which every trial takes one: not part of a trial's own text */
    bool late;                   /* left out of the text where it is as usual, so that it renames no older trial */
    bool (*idle)(const void *target); /* left out where it does nothing, for the same reason */
} copi_key;

typedef struct copi_yaml copi_yaml;
struct copi_schema {
    const char *what;     /* "study", "recipe", ...: how errors call the mapping */
    const copi_key *keys; /* read in this order, whatever the file's; ends with a NULL name. A name may come
                                     again for another family */
    size_t size;          /* of the struct, for MAPS */
    void (*init)(const void *parent, void *element);            /* MAPS: defaults of one element; may be NULL */
    unsigned (*family)(const void *element);                    /* which keys are allowed; NULL: all */
    const char *(*owner)(unsigned family);                      /* whom a key of that family belongs to, for errors */
    cop_status (*check)(copi_yaml *y, int node, void *element); /* after reading; may be NULL */
};

/** Read the file's one document by a schema into target (already holding the defaults). On failure the caller still
 *  clears target. Errors: IO, FORMAT ("file:line:column: ..." with the nearest name), NOMEM. */
cop_status copi_yaml_read(cop_ctx *ctx, const char *path, const char *text, size_t n, const copi_schema *schema,
                          void *target);
/** For check functions: an error at the value of key in the mapping node (key NULL: at the mapping itself). */
cop_status copi_yaml_fail(copi_yaml *y, int node, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
bool copi_yaml_has(copi_yaml *y, int node, const char *key);
cop_ctx *copi_yaml_ctx(copi_yaml *y);
/** Free what reading put into target. */
void copi_yaml_clear(cop_ctx *ctx, const copi_schema *schema, void *target);
/** `key=value` of all keys that are allowed and not `each`, in the table's order: what a digest is taken of. usual: a
 *  target to compare those with that are `late`; NULL: print them too. */
void copi_yaml_print(copi_buffer *b, const copi_schema *schema, const void *target, const void *usual);
/** What target has otherwise than base, for people: ", tune restarts 1". of: the key that both stand under, or "". */
void copi_yaml_say(copi_buffer *b, const copi_schema *schema, const void *target, const void *base, const char *of);

#endif
