/* Reads a YAML document; every error has file, line and column. A node is a number > 0. */
#ifndef COPPICE_STUDY_YAML_H
#define COPPICE_STUDY_YAML_H

#include "base/options.h"

typedef struct copi_yaml copi_yaml;
typedef cop_status (*copi_yaml_reader)(copi_yaml *y, int node, void *target);

/** Parse a text with one document and pass its root to read; what: the kind of document, for errors.
 *  Errors: FORMAT ("file:line:column: ..."), NOMEM. */
cop_status copi_yaml_read(cop_ctx *ctx, const char *path, const char *text, size_t n, const char *what,
                          copi_yaml_reader read, void *target);
cop_ctx *copi_yaml_ctx(copi_yaml *y);
/** An error at the value of key in the mapping node (key NULL: at the mapping itself); _key: at the key. */
cop_status copi_yaml_fail(copi_yaml *y, int node, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
cop_status copi_yaml_fail_key(copi_yaml *y, int node, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/** Refuse anything but a mapping, unknown keys (name(i) lists the known ones, NULL past the last) and repeated
 *  keys. */
cop_status copi_yaml_keys(copi_yaml *y, int node, const char *what, const char *(*name)(int i, const void *user),
                          const void *user);
/** The i-th key of a mapping; NULL past the last. */
const char *copi_yaml_key(copi_yaml *y, int node, int i);
/** The value of a key; false: the mapping does not have it. */
bool copi_yaml_find(copi_yaml *y, int node, const char *key, int *value);
bool copi_yaml_has(copi_yaml *y, int node, const char *key);

/** Read one value of an option into value, which has the option's type; sets and steps may be lists. */
cop_status copi_yaml_value(copi_yaml *y, int node, const cop_option *o, void *value);
/** Read a text; the old *owned is freed. */
cop_status copi_yaml_text(copi_yaml *y, int node, const char *key, char **owned);
/** Read one number in an option's range, or a list of different ones; the old *list is freed. */
cop_status copi_yaml_numbers(copi_yaml *y, int node, const cop_option *o, double **list, int *n);
cop_status copi_yaml_seeds(copi_yaml *y, int node, const char *key, uint64_t **list, int *n);
/** Allocate zeroed structs of this size for the entries of a list. */
cop_status copi_yaml_list(copi_yaml *y, int node, const char *key, size_t size, void **list, int *n);
/** The number of entries of a list, and the i-th; anything else counts as a list of one. */
int copi_yaml_count(copi_yaml *y, int node);
int copi_yaml_item(copi_yaml *y, int node, int i);

#endif
