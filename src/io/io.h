/* Model files. safetensors is the native container; it also carries optimizer state in checkpoints. */
#ifndef COPPICE_IO_H
#define COPPICE_IO_H

#include "net/net.h"

/* A bag of extra tensors and strings that travel beside a net in its safetensors file (checkpoints). */
typedef struct copi_extra_tensor {
    char *name; /* e.g. "optimizer.m/conv1.weight" */
    int rank;
    int64_t shape[4];
    int64_t count;
    float *data; /* [count], owned by the bag */
} copi_extra_tensor;
typedef struct copi_extras {
    cop_ctx *ctx;
    copi_extra_tensor *tensor;
    int tensors;
    char **key, **value; /* strings that go to __metadata__ under "checkpoint.<key>" */
    int pairs;
} copi_extras;
void copi_extras_init(copi_extras *x, cop_ctx *ctx);
void copi_extras_clear(copi_extras *x);
/** Add a tensor of count zeros (copied name) and give its data to fill. NULL: no memory. */
float *copi_extras_tensor(copi_extras *x, const char *name, int rank, const int64_t *shape);
cop_status copi_extras_set(copi_extras *x, const char *key, const char *value);
const copi_extra_tensor *copi_extras_find(const copi_extras *x, const char *name); /* NULL: none */
const char *copi_extras_get(const copi_extras *x, const char *key);                /* NULL: none */

/** extras may be NULL. Layout and checks: docs/safetensors.md. */
cop_status copi_safetensors_save(const cop_net *net, const copi_extras *extras, const char *path);
cop_status copi_safetensors_load(cop_ctx *ctx, const char *path, cop_net **net, copi_extras *extras);
/** Does the file hold this program's graph, or tensors alone? */
cop_status copi_safetensors_kind(copi_file *file, cop_model_kind *kind);
cop_status copi_safetensors_read(copi_file *file, cop_net **net, copi_extras *extras);
/** The same from bytes in memory; what the fuzzer drives. */
cop_status copi_safetensors_parse(cop_ctx *ctx, const uint8_t *bytes, size_t n, cop_net **net, copi_extras *extras);

/** ONNX. path is where external data is looked for, NULL: nowhere. Supported ops: docs/onnx.md. Errors: FORMAT,
 *  UNSUPPORTED (node, op and what would be read), VERSION, NOMEM, IO. */
cop_status copi_onnx_read(copi_file *file, const char *path, cop_net **net);
cop_status copi_onnx_parse(cop_ctx *ctx, const uint8_t *bytes, size_t n, cop_net **net); /* the same from memory */
/** Write a net as ONNX: opset 13, IR 8, images [N,C,H,W], N open. SPARSE stores a kernel as a sparse initializer
 *  where that is smaller. Dropout is left out; a gate becomes a Mul. Classes, normalization, masks and dense totals
 *  travel in the file's metadata. Errors: IO, NOMEM, RANGE (weights that are not finite), UNSUPPORTED, ARG
 *  (names). */
typedef enum copi_onnx_form { COPI_ONNX_DENSE, COPI_ONNX_SPARSE } copi_onnx_form;
cop_status copi_onnx_save(const cop_net *net, copi_onnx_form form, const char *path);
/** Keras: a whole model in .h5 (Keras 2's layout and Keras 3's), or in .keras. Errors: FORMAT,
 *  UNSUPPORTED (layer, class and what would be read; weights alone), NOMEM. */
cop_status copi_keras_h5_parse(cop_ctx *ctx, const uint8_t *bytes, size_t n, cop_net **net);
cop_status copi_keras_zip_parse(cop_ctx *ctx, const uint8_t *bytes, size_t n, cop_net **net);
/** Write a whole model for Keras: .h5 as Keras 2 has it (Keras 3 reads it too), and Keras 3's .keras. Layers' names
 *  lose what Keras does not take. Errors: UNSUPPORTED (what Keras has no layer for: layer and reason), IO, NOMEM,
 *  RANGE. */
cop_status copi_keras_h5_save(const cop_net *net, const char *path);
cop_status copi_keras_zip_save(const cop_net *net, const char *path);
/** A Keras model's JSON, with weights drawn from the context's seed. */
cop_status copi_keras_json_parse(cop_ctx *ctx, const uint8_t *bytes, size_t n, cop_net **net);
/** Does an .h5 hold a model, or weights alone? */
cop_status copi_keras_h5_kind(cop_ctx *ctx, const uint8_t *bytes, size_t n, cop_model_kind *kind);
/** Keras weights alone (.h5 of either layout) into a net of the same layers, by name, or by order, and
 *  shape. On failure the net is as it was, unless a number in the file is impossible or damaged. Errors: FORMAT (also
 *  numbers that no layer takes), UNSUPPORTED, NOMEM. */
cop_status copi_keras_weights_parse(cop_net *net, const uint8_t *bytes, size_t n);
/** The other way: a file with the names, attributes and layout of `like`, another weights file (or whole model) of
 *  the same layers, and the net's numbers in it: what `model.load_weights` takes. like_path is for
 *  errors about that file. Errors: FORMAT (shapes: a shrunk net's differ), RANGE, IO, NOMEM. */
cop_status copi_keras_weights_save(const cop_net *net, const char *like_path, const uint8_t *like, size_t n,
                                   const char *path);

#endif
