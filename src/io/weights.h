/* Weights without a graph, as arrays by name: what PyTorch's state_dict becomes in a safetensors file, or what
 * Keras's save_weights writes. To be looked at (cop_weights), and to be put into a net (weight_map.c,
 * keras/read.c). */
#ifndef COPPICE_IO_WEIGHTS_H
#define COPPICE_IO_WEIGHTS_H

#include "io/io.h"

enum { COPI_ARRAY_RANK = 8 };

typedef struct copi_array {
    char *name;     /* owned */
    size_t layer;   /* this many bytes of the name are the layer's; 0: it has none */
    bool statistic; /* running means and the like, which do not count as parameters */
    int rank;
    int64_t shape[COPI_ARRAY_RANK], count;
    float *data; /* [count], owned; NULL: not of floats (a step count) */
} copi_array;

struct cop_weights {
    cop_ctx *ctx;
    copi_array *array; /* [arrays], those of a layer side by side */
    int arrays, cap;
    int *first;   /* [layers+1] where each layer's arrays begin */
    char **layer; /* [layers] names */
    int layers;
    size_t bytes; /* of the floats */
};

/** Add an array of this name and shape and give its floats to fill (NULL where floats is false). Errors: NOMEM. */
cop_status copi_weights_add(cop_weights *w, const char *name, size_t layer, int rank, const int64_t *shape,
                            bool floats, copi_array **array);
/** Order by layers' names, numbers in them by size; for files whose own order says nothing. */
void copi_weights_sort(cop_weights *w);

/** Tell the layers, once all arrays are there. Errors: NOMEM. */
cop_status copi_weights_layers(cop_weights *w);

/** Fill an empty cop_weights from a file. */
cop_status copi_safetensors_weights(copi_file *file, cop_weights *w);
cop_status copi_keras_weights_list(cop_ctx *ctx, const uint8_t *bytes, size_t n, cop_weights *w);
void copi_weights_clear(cop_weights *w);

/** Put arrays into a net by name: each name is translated by map (a file of rules, a built-in map's name, or NULL),
 *  then its ending. Errors: FORMAT (all that is left over on both sides, in one line), IO, NOMEM. */
cop_status copi_weights_into(cop_net *net, const cop_weights *w, const char *map);
/** The same with the rules' text, which is called `what` in messages. */
cop_status copi_weights_into_by(cop_net *net, const cop_weights *w, const char *what, const char *text);

#endif
