/* Data sets held as bytes, and the loader that turns them into normalized batches on a thread of its own. */
#ifndef COPPICE_DATA_H
#define COPPICE_DATA_H

#include "base/base.h"

/* Images and labels of one split, as read. */
typedef struct copi_images {
    int64_t count;
    uint8_t *pixels; /* [count,C,H,W] u8, or NULL when real is used; owned by cop_data */
    float *real;     /* [count,C,H,W] f32 (only float NPZ), or NULL */
    int32_t *label;  /* [count] */
} copi_images;

struct cop_data {
    cop_ctx *ctx;
    cop_data_info info;
    copi_images images[COP_SPLITS]; /* as read; VALIDATION is empty when the data has no such split */
    int from[COP_SPLITS];           /* which images[] a split draws from (validation may draw from train) */
    int64_t *index[COP_SPLITS];     /* [info.images[split]] rows of images[from[split]]; owned */
};

/** X(NAME, "name", "help"): the formats, from formats.def; each reader is one file. A reader fills the path-dependent
 *  fields: images[], info.channels/height/width/classes/class_name. copi_data_finish does the rest. */
typedef struct copi_data_format {
    const char *name, *help;
    bool (*probe)(const char *path); /* does the path look like this format? Must be cheap */
    cop_status (*read)(cop_data *data, const char *path, const cop_data_options *options);
} copi_data_format;

typedef struct copi_loader copi_loader;
typedef struct copi_loader_options {
    cop_split split;
    int64_t batch;
    bool shuffle;       /* a new order each epoch, from (seed, epoch) */
    bool drop_last;     /* leave out a smaller last batch */
    cop_recipe augment; /* its flip, shift and erase; shifted-in and erased pixels are 0 after normalization */
    uint64_t seed;
    int64_t first_step;       /* start in the middle of the run: step = epoch * steps_per_epoch + k (resume) */
    int64_t steps;            /* the run's length in batches, over as many epochs as that takes: batches first_step
                                 .. steps-1 are given out; 0: one epoch */
    const double *mean, *std; /* [C] normalization of the batches; NULL: the data's own (and order RGB) */
    cop_channel_order order;  /* BGR: channel c of a batch is the data's channel C-1-c */
} copi_loader_options;
/** Start a thread that keeps a few batches ready. What batch k holds depends on (data, options, k) only, not on
 *  timing. Errors: NOT_FOUND (empty split), ARG, NOMEM. */
cop_status copi_loader_create(cop_ctx *ctx, const cop_data *data, const copi_loader_options *options,
                              copi_loader **loader);
int64_t copi_loader_steps_per_epoch(const copi_loader *loader);
/** The next batch: *x [n,C,H,W] f32 and *label [n], valid until the next call; *n = 0 at the end. */
cop_status copi_loader_next(copi_loader *loader, const float **x, const int32_t **label, int64_t *n);
void copi_loader_destroy(copi_loader *loader);

#endif
