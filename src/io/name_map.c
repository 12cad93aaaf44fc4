#include "io/name_map.h"

#include <string.h>

void copi_name_map_init(copi_name_map *map, cop_ctx *ctx) {
    *map = (copi_name_map){.ctx = ctx};
}

void copi_name_map_clear(copi_name_map *map) {
    copi_free(map->ctx, map->name);
    copi_free(map->ctx, map->number);
    *map = (copi_name_map){.ctx = map->ctx};
}

/* Where name is, or where it would go. */
static size_t slot_of(const copi_name_map *map, const char *name) {
    size_t at = (size_t)copi_hash(0, name, strlen(name)) & (map->cap - 1);
    while (map->name[at] && strcmp(map->name[at], name) != 0) at = (at + 1) & (map->cap - 1);
    return at;
}

int copi_name_map_get(const copi_name_map *map, const char *name) {
    if (!map->cap) return -1;
    size_t at = slot_of(map, name);
    return map->name[at] ? map->number[at] : -1;
}

static cop_status grow(copi_name_map *map) {
    copi_name_map larger = {.ctx = map->ctx, .cap = map->cap ? 2 * map->cap : 64};
    larger.name = copi_alloc(map->ctx, larger.cap, sizeof *larger.name);
    larger.number = copi_alloc(map->ctx, larger.cap, sizeof *larger.number);
    if (!larger.name || !larger.number) {
        copi_name_map_clear(&larger);
        return COP_E_NOMEM;
    }
    for (size_t i = 0; i < map->cap; i++) {
        if (!map->name[i]) continue;
        size_t at = slot_of(&larger, map->name[i]);
        larger.name[at] = map->name[i];
        larger.number[at] = map->number[i];
    }
    larger.used = map->used;
    copi_name_map_clear(map);
    *map = larger;
    return COP_OK;
}

cop_status copi_name_map_set(copi_name_map *map, const char *name, int number) {
    if (2 * map->used >= map->cap) { /* at most half full */
        cop_status status = grow(map);
        if (status) return status;
    }
    size_t at = slot_of(map, name);
    if (!map->name[at]) {
        map->name[at] = name;
        map->used++;
    }
    map->number[at] = number;
    return COP_OK;
}
