/* From names to small numbers in constant time, for the readers of other programs' graphs. */
#ifndef COPPICE_IO_NAME_MAP_H
#define COPPICE_IO_NAME_MAP_H

#include "base/base.h"

typedef struct copi_name_map {
    cop_ctx *ctx;
    const char **name; /* [cap], NULL where free; the names are borrowed */
    int *number;       /* [cap] */
    size_t cap, used;  /* cap: 0 or a power of two */
} copi_name_map;

void copi_name_map_init(copi_name_map *map, cop_ctx *ctx);
void copi_name_map_clear(copi_name_map *map);
int copi_name_map_get(const copi_name_map *map, const char *name); /* -1: not there */
/** Add a name, or give one that is there a new number. name must outlive the map. Errors: NOMEM. */
cop_status copi_name_map_set(copi_name_map *map, const char *name, int number);

#endif
