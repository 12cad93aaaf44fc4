/* The loader: one thread that turns bytes into normalized batches, a few ahead of the caller. The ring of batches is
 * the only thing the two threads share; the lock guards its three counters. All memory is taken at the start, and
 * batch k is a function of (data, options, k), so timing can't show in the result. */
#include "data/data.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

enum { AHEAD = 4 }; /* batches in the ring */

typedef struct batch {
    float *x;       /* [batch,C,H,W] */
    int32_t *label; /* [batch] */
    int64_t n;
} batch;

struct copi_loader {
    cop_ctx *ctx;
    copi_loader_options options;
    const copi_images *images;
    const int64_t *index;          /* rows of images that make up the split */
    int64_t count;                 /* of them */
    int64_t per_epoch, begin, end; /* steps */
    int64_t channels, height, width, item;
    float (*table)[256];                                    /* [C] a byte's normalized value */
    float mean[COP_MAX_CHANNELS], factor[COP_MAX_CHANNELS]; /* of float images: (v - mean) * factor */
    int64_t *order, order_epoch; /* the epoch's order, and which epoch that is; the thread's own */

    batch ring[AHEAD];
    pthread_mutex_t lock;
    pthread_cond_t filled, freed;
    int64_t made, given, returned; /* steps: filled; handed to the caller; free again */
    bool stop, running;
    pthread_t thread;
};

static void set_order(copi_loader *l, int64_t epoch) {
    if (l->order_epoch == epoch) return;
    l->order_epoch = epoch;
    for (int64_t i = 0; i < l->count; i++) l->order[i] = i;
    if (!l->options.shuffle) return;
    copi_rng rng = copi_rng_make(l->options.seed, COPI_STREAM_ORDER, (uint64_t)epoch);
    copi_shuffle(&rng, l->order, l->count);
}

/* What is done to an image: by the seed, the epoch and its place in the epoch. */
typedef struct move {
    bool flip;
    int64_t down, right;
    int64_t y, x; /* middle of the square that is erased */
} move;

static move draw(const copi_loader *l, int64_t epoch, int64_t place) {
    uint32_t r[4];
    if (!l->options.augment.flip && !l->options.augment.shift && !l->options.augment.erase) return (move){0};
    copi_philox(l->options.seed, COPI_STREAM_AUGMENT, (uint64_t)(epoch * l->count + place), r);
    uint64_t span = 2 * (uint64_t)l->options.augment.shift + 1;
    return (move){.flip = l->options.augment.flip && (r[0] & 1),
                  .down = (int64_t)(r[1] * span >> 32) - l->options.augment.shift,
                  .right = (int64_t)(r[2] * span >> 32) - l->options.augment.shift,
                  .y = (int64_t)((r[3] >> 16) * (uint64_t)l->height >> 16),
                  .x = (int64_t)((r[3] & 0xFFFF) * (uint64_t)l->width >> 16)};
}

/* One row of n values. */
static void bytes_row(const float *table, const uint8_t *src, int64_t n, bool flip, float *dst) {
    if (flip) {
        for (int64_t x = 0; x < n; x++) dst[x] = table[src[n - 1 - x]];
    } else {
        for (int64_t x = 0; x < n; x++) dst[x] = table[src[x]];
    }
}

static void floats_row(float mean, float factor, const float *src, int64_t n, bool flip, float *dst) {
    if (flip) {
        for (int64_t x = 0; x < n; x++) dst[x] = (src[n - 1 - x] - mean) * factor;
    } else {
        for (int64_t x = 0; x < n; x++) dst[x] = (src[x] - mean) * factor;
    }
}

static int64_t source_channel(const copi_loader *l, int64_t c) {
    return l->options.order == COP_CHANNEL_ORDER_BGR ? l->channels - 1 - c : c;
}

/* dst[c,y,x] = normalized src[source_channel(c), y - down, x - right], of the image flipped first; 0 where there is
 * none. */
static void place_image(const copi_loader *l, int64_t row, move m, float *dst) {
    const int64_t h = l->height, w = l->width, plane = h * w;
    if (!m.flip && !m.down && !m.right) { /* whole planes at once */
        for (int64_t c = 0; c < l->channels; c++) {
            int64_t at = row * l->item + source_channel(l, c) * plane;
            if (l->images->pixels) {
                bytes_row(l->table[c], l->images->pixels + at, plane, false, dst + c * plane);
            } else {
                floats_row(l->mean[c], l->factor[c], l->images->real + at, plane, false, dst + c * plane);
            }
        }
        return;
    }
    const int64_t from = m.right > 0 ? m.right : 0, to = m.right < 0 ? w + m.right : w; /* columns of dst that show */
    const int64_t n = to > from ? to - from : 0;
    const int64_t src_x = m.flip ? w - to + m.right : from - m.right; /* the leftmost column they come from */
    for (int64_t c = 0; c < l->channels; c++) {
        for (int64_t y = 0; y < h; y++) {
            float *line = dst + c * plane + y * w;
            int64_t src_y = y - m.down;
            if (src_y < 0 || src_y >= h || !n) {
                memset(line, 0, (size_t)w * sizeof *line);
                continue;
            }
            int64_t at = row * l->item + source_channel(l, c) * plane + src_y * w + src_x;
            if (from) memset(line, 0, (size_t)from * sizeof *line);
            if (l->images->pixels) {
                bytes_row(l->table[c], l->images->pixels + at, n, m.flip, line + from);
            } else {
                floats_row(l->mean[c], l->factor[c], l->images->real + at, n, m.flip, line + from);
            }
            if (to < w) memset(line + to, 0, (size_t)(w - to) * sizeof *line);
        }
    }
}

static void erase(const copi_loader *l, move m, float *dst) {
    const int64_t side = l->options.augment.erase, top = m.y - side / 2, left = m.x - side / 2;
    const int64_t from = left > 0 ? left : 0, to = left + side < l->width ? left + side : l->width;
    for (int64_t c = 0; c < l->channels; c++)
        for (int64_t y = top > 0 ? top : 0; y < top + side && y < l->height; y++)
            memset(dst + (c * l->height + y) * l->width + from, 0, (size_t)(to - from) * sizeof *dst);
}

static void fill(copi_loader *l, int64_t step, batch *b) {
    const int64_t epoch = step / l->per_epoch, first = step % l->per_epoch * l->options.batch;
    set_order(l, epoch);
    b->n = l->count - first < l->options.batch ? l->count - first : l->options.batch;
    for (int64_t i = 0; i < b->n; i++) {
        int64_t row = l->index[l->order[first + i]];
        move m = draw(l, epoch, first + i);
        place_image(l, row, m, b->x + i * l->item);
        if (l->options.augment.erase) erase(l, m, b->x + i * l->item);
        b->label[i] = l->images->label[row];
    }
}

static void *work(void *user) {
    copi_loader *l = user;
    for (int64_t step = l->begin; step < l->end; step++) {
        pthread_mutex_lock(&l->lock);
        while (!l->stop && step - l->returned >= AHEAD) pthread_cond_wait(&l->freed, &l->lock);
        bool stop = l->stop;
        pthread_mutex_unlock(&l->lock);
        if (stop) break;
        fill(l, step, &l->ring[step % AHEAD]);
        pthread_mutex_lock(&l->lock);
        l->made = step + 1;
        pthread_cond_signal(&l->filled);
        pthread_mutex_unlock(&l->lock);
    }
    return NULL;
}

static cop_status check(cop_ctx *ctx, const cop_data *data, const copi_loader_options *o) {
    if ((unsigned)o->split >= COP_SPLITS) return copi_fail(ctx, COP_E_RANGE, "there is no split %d", (int)o->split);
    const char *name = cop_split_name(o->split);
    int64_t count = data->info.images[o->split];
    if (!count) return copi_fail(ctx, COP_E_NOT_FOUND, "%s: has no %s images", data->info.path, name);
    if (o->batch < 1) return copi_fail(ctx, COP_E_RANGE, "batch is %lld; it must be at least 1", (long long)o->batch);
    if (o->drop_last && o->batch > count) {
        return copi_fail(ctx, COP_E_ARG, "batch is %lld, the %s split has only %lld images: choose a smaller batch",
                         (long long)o->batch, name, (long long)count);
    }
    if (o->augment.shift < 0)
        return copi_fail(ctx, COP_E_RANGE, "shift is %d; it must be 0 or more pixels", o->augment.shift);
    if (o->augment.erase < 0)
        return copi_fail(ctx, COP_E_RANGE, "erase is %d; it must be 0 or more pixels", o->augment.erase);
    if (o->first_step < 0 || o->steps < 0) {
        return copi_fail(ctx, COP_E_ARG, "step %lld of %lld can't be loaded", (long long)o->first_step,
                         (long long)o->steps);
    }
    return COP_OK;
}

static void set_normalization(copi_loader *l, const cop_data_info *info) {
    const double *mean = l->options.mean ? l->options.mean : info->mean;
    const double *std = l->options.std ? l->options.std : info->std;
    for (int64_t c = 0; c < l->channels; c++) {
        double divisor = std[c] > 0 ? std[c] : 1; /* a channel that never changes becomes 0 */
        l->mean[c] = (float)mean[c];
        l->factor[c] = (float)(1 / divisor);
        for (int v = 0; v < 256; v++) l->table[c][v] = (float)((v / 255.0 - mean[c]) / divisor);
    }
    l->options.mean = l->options.std = NULL; /* the caller's arrays are no longer needed */
}

static cop_status take_memory(copi_loader *l) {
    int64_t most = l->options.batch < l->count ? l->options.batch : l->count;
    size_t values;
    l->table = copi_alloc(l->ctx, (size_t)l->channels, sizeof *l->table);
    l->order = copi_alloc(l->ctx, (size_t)l->count, sizeof *l->order);
    if (!l->table || !l->order) return COP_E_NOMEM;
    if (!copi_mul((size_t)most, (size_t)l->item, &values)) {
        return copi_fail(l->ctx, COP_E_NOMEM, "out of memory: a batch of %lld images", (long long)most);
    }
    for (int i = 0; i < AHEAD; i++) {
        l->ring[i].x = copi_alloc(l->ctx, values, sizeof(float));
        l->ring[i].label = copi_alloc(l->ctx, (size_t)most, sizeof(int32_t));
        if (!l->ring[i].x || !l->ring[i].label) return COP_E_NOMEM;
    }
    return COP_OK;
}

/* Signals stay with the threads that know what to do with them. */
static cop_status start(copi_loader *l) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&l->thread, NULL, work, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) return copi_fail(l->ctx, COP_E_NOMEM, "the loader's thread can't be started: %s", strerror(error));
    l->running = true;
    return COP_OK;
}

cop_status copi_loader_create(cop_ctx *ctx, const cop_data *data, const copi_loader_options *options,
                              copi_loader **loader) {
    *loader = NULL;
    cop_status status = check(ctx, data, options);
    if (status) return status;
    copi_loader *l = copi_alloc(ctx, 1, sizeof *l);
    if (!l) return COP_E_NOMEM;
    const cop_data_info *info = &data->info;
    l->ctx = ctx;
    l->options = *options;
    l->images = &data->images[data->from[options->split]];
    l->index = data->index[options->split];
    l->count = info->images[options->split];
    l->channels = info->channels;
    l->height = info->height;
    l->width = info->width;
    l->item = info->channels * info->height * info->width;
    l->per_epoch = options->drop_last ? l->count / options->batch : (l->count - 1) / options->batch + 1;
    l->begin = l->made = l->given = l->returned = options->first_step;
    l->end = options->steps ? options->steps : l->per_epoch;
    l->order_epoch = -1;
    int64_t side = l->height > l->width ? l->height : l->width;
    if (l->options.augment.shift > side)
        l->options.augment.shift = (int)side; /* any larger shift also leaves nothing visible */
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->filled, NULL);
    pthread_cond_init(&l->freed, NULL);
    status = take_memory(l);
    if (!status) {
        set_normalization(l, info);
        status = start(l);
    }
    if (status) {
        copi_loader_destroy(l);
        return status;
    }
    *loader = l;
    return COP_OK;
}

int64_t copi_loader_steps_per_epoch(const copi_loader *loader) {
    return loader->per_epoch;
}

cop_status copi_loader_next(copi_loader *loader, const float **x, const int32_t **label, int64_t *n) {
    copi_loader *l = loader;
    *x = NULL;
    *label = NULL;
    *n = 0;
    pthread_mutex_lock(&l->lock);
    if (l->returned < l->given) { /* the batch given last is the thread's again */
        l->returned = l->given;
        pthread_cond_signal(&l->freed);
    }
    if (l->given < l->end) {
        while (l->made <= l->given) pthread_cond_wait(&l->filled, &l->lock);
        const batch *b = &l->ring[l->given++ % AHEAD];
        *x = b->x;
        *label = b->label;
        *n = b->n;
    }
    pthread_mutex_unlock(&l->lock);
    return COP_OK;
}

void copi_loader_destroy(copi_loader *loader) {
    copi_loader *l = loader;
    if (!l) return;
    if (l->running) {
        pthread_mutex_lock(&l->lock);
        l->stop = true;
        pthread_cond_signal(&l->freed);
        pthread_mutex_unlock(&l->lock);
        pthread_join(l->thread, NULL);
    }
    pthread_cond_destroy(&l->freed);
    pthread_cond_destroy(&l->filled);
    pthread_mutex_destroy(&l->lock);
    for (int i = 0; i < AHEAD; i++) {
        copi_free(l->ctx, l->ring[i].x);
        copi_free(l->ctx, l->ring[i].label);
    }
    copi_free(l->ctx, l->order);
    copi_free(l->ctx, l->table);
    copi_free(l->ctx, l);
}
