#include "io/io.h"

#include <string.h>

void copi_extras_init(copi_extras *x, cop_ctx *ctx) {
    *x = (copi_extras){.ctx = ctx};
}

void copi_extras_clear(copi_extras *x) {
    for (int i = 0; i < x->tensors; i++) {
        copi_free(x->ctx, x->tensor[i].name);
        copi_free(x->ctx, x->tensor[i].data);
    }
    for (int i = 0; i < x->pairs; i++) {
        copi_free(x->ctx, x->key[i]);
        copi_free(x->ctx, x->value[i]);
    }
    copi_free(x->ctx, x->tensor);
    copi_free(x->ctx, x->key);
    copi_free(x->ctx, x->value);
    *x = (copi_extras){.ctx = x->ctx};
}

/* Room for one more: blocks hold a power of two, so they are full exactly when count is one (or 0). */
static bool make_room(cop_ctx *ctx, void **block, int count, size_t size) {
    if ((count & (count - 1)) != 0) return true;
    void *grown = copi_grow(ctx, *block, (size_t)count, count ? 2 * (size_t)count : 1, size);
    if (!grown) return false;
    *block = grown;
    return true;
}

float *copi_extras_tensor(copi_extras *x, const char *name, int rank, const int64_t *shape) {
    int64_t count = 1;
    bool fits = rank >= 0 && rank <= 4;
    for (int i = 0; fits && i < rank; i++) fits = copi_mul_i64(count, shape[i], &count);
    if (!fits || (uint64_t)count > SIZE_MAX) {
        copi_fail(x->ctx, COP_E_ARG, "extra tensor '%s': its shape is impossible", name);
        return NULL;
    }
    void *block = x->tensor;
    if (!make_room(x->ctx, &block, x->tensors, sizeof *x->tensor)) return NULL;
    x->tensor = block;
    copi_extra_tensor t = {.rank = rank, .count = count};
    for (int i = 0; i < rank; i++) t.shape[i] = shape[i];
    t.name = copi_strdup(x->ctx, name);
    t.data = copi_alloc(x->ctx, count ? (size_t)count : 1, sizeof(float));
    if (!t.name || !t.data) {
        copi_free(x->ctx, t.name);
        copi_free(x->ctx, t.data);
        return NULL;
    }
    x->tensor[x->tensors++] = t;
    return t.data;
}

static int find_key(const copi_extras *x, const char *key) {
    for (int i = 0; i < x->pairs; i++) {
        if (strcmp(x->key[i], key) == 0) return i;
    }
    return -1;
}

cop_status copi_extras_set(copi_extras *x, const char *key, const char *value) {
    char *v = copi_strdup(x->ctx, value);
    if (!v) return COP_E_NOMEM;
    int at = find_key(x, key);
    if (at >= 0) {
        copi_free(x->ctx, x->value[at]);
        x->value[at] = v;
        return COP_OK;
    }
    char *k = copi_strdup(x->ctx, key);
    void *keys = x->key, *values = x->value;
    bool room = k && make_room(x->ctx, &keys, x->pairs, sizeof *x->key);
    if (room) x->key = keys;
    room = room && make_room(x->ctx, &values, x->pairs, sizeof *x->value);
    if (!room) {
        copi_free(x->ctx, k);
        copi_free(x->ctx, v);
        return COP_E_NOMEM;
    }
    x->value = values;
    x->key[x->pairs] = k;
    x->value[x->pairs++] = v;
    return COP_OK;
}

const copi_extra_tensor *copi_extras_find(const copi_extras *x, const char *name) {
    for (int i = 0; i < x->tensors; i++) {
        if (strcmp(x->tensor[i].name, name) == 0) return &x->tensor[i];
    }
    return NULL;
}

const char *copi_extras_get(const copi_extras *x, const char *key) {
    int at = find_key(x, key);
    return at < 0 ? NULL : x->value[at];
}
