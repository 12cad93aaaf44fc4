/* Keras models, inside. A model is read in two steps: its JSON becomes a graph and a list of the numbers that each
 * layer wants, in Keras's order (config.c); then the numbers are found in the HDF5 file, whose layouts differ, and
 * put in their places (read.c). Images are [N,H,W,C] in Keras and [N,C,H,W] here; kernels HWIO there and OIHW here;
 * a vector that was an image remembers that, so the next dense layer's rows are put right. */
#ifndef COPPICE_IO_KERAS_H
#define COPPICE_IO_KERAS_H

#include "io/io.h"
#include "io/name_map.h"

#include <jansson.h>

enum { COPI_KERAS_LAYERS_MAX = 4096, COPI_KERAS_WEIGHTS_MAX = 5 /* of one layer */ };

typedef enum copi_keras_kind {
    COPI_KERAS_CONV,      /* [KH,KW,I,O] -> [O,I,KH,KW] */
    COPI_KERAS_DEPTHWISE, /* [KH,KW,C,M] -> [C*M,1,KH,KW] */
    COPI_KERAS_DENSE,     /* [I,O] -> [O,I] */
    COPI_KERAS_VECTOR     /* [C] */
} copi_keras_kind;

/* One array that a layer wants. */
typedef struct copi_keras_weight {
    int node, slot; /* of the net */
    copi_keras_kind kind;
    bool absent;      /* a scale or shift that the layer is without: ones or zeros, as the net has them */
    bool flattened;   /* its inputs (dense) or units (vector) are a flattened image [H,W,C] */
    int64_t image[3]; /* C, H, W of that image */
} copi_keras_weight;

typedef struct copi_keras_layer {
    const char *class_name, *name; /* the JSON's */
    copi_keras_weight weight[COPI_KERAS_WEIGHTS_MAX];
    int weights;
} copi_keras_layer;

typedef struct copi_keras_model {
    cop_ctx *ctx;
    json_t *json;            /* owned: names point into it */
    cop_graph *graph;        /* until it is built */
    copi_keras_layer *layer; /* [layers] in container order */
    int layers;
    bool functional;
    bool rescaled; /* the model rescales its images itself: y = scale x + shift */
    double scale, shift;
} copi_keras_model;

/** The graph of a model's JSON (taken over): Sequential or Functional, from Keras 2 or 3. Errors: FORMAT, UNSUPPORTED
 *  (layer, class, and what would be read), NOMEM. */
cop_status copi_keras_model_read(cop_ctx *ctx, json_t *json, copi_keras_model *model);
void copi_keras_model_clear(copi_keras_model *model);

/** For each node: is what it gives a flattened image (which Keras does in another order), and which? flat [nodes].
 *  Errors: UNSUPPORTED (a concat or sum of vectors laid out unlike). */
typedef struct copi_flat_image {
    bool flattened;
    int64_t image[3]; /* C, H, W */
} copi_flat_image;
cop_status copi_keras_flat_images(const cop_net *net, copi_flat_image *flat);
/** "layers/<class in snake case>[_k]/vars": where Keras 3 puts the numbers of the layer that before others of its
 *  class come before. */
void copi_keras_vars(const char *class_name, int before, char *path, size_t size);

#endif
