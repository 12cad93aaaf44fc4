/* Reading ONNX, inside: values, tensors and the ops' handlers. The tour:
 *   wire.c    bytes -> protobuf-c's structs, checked
 *   tensor.c  initializers and constants -> tensors of float or integers
 *   read.c    the graph, node by node; what is put into the net once it is built
 *   node.c    what handlers of ops use: attributes, inputs, outputs, names
 *   ops.def   every op that is read, with what is read of it; ops.c and shape.c do it
 *   write.c   the other way
 *
 * Each ONNX value becomes a constant, an image or a vector. Images in ONNX may stand in any order of dimensions
 * (exports from Keras transpose back and forth): a value remembers which of C, H, W each dimension is, so a Transpose
 * costs nothing, and a vector remembers the order in which an image was flattened, so that the next dense layer can
 * have its columns permuted. */
#ifndef COPPICE_IO_ONNX_H
#define COPPICE_IO_ONNX_H

#include "io/io.h"
#include "io/name_map.h"
#include "io/onnx/wire.h"

#include <string.h>

enum {
    COPI_ONNX_RANK = 8,
    COPI_ONNX_NUMBERS = 4096, /* integers in a constant that is computed with */
    COPI_ONNX_EXTERNALS = 64
};
#define COPI_ONNX_BATCH INT64_MIN /* among the integers of a shape: the number of images, whatever it is */

typedef struct copi_onnx_tensor {
    bool real;   /* floats, else integers */
    bool sparse; /* what the file did not store are pruned zeros */
    int rank;
    int64_t dims[COPI_ONNX_RANK], count;
    const uint8_t *floats; /* [4*count] little-endian, perhaps unaligned; the arena's, or the file's, where they may
                              still have to be read (copi_onnx_need) */
    const int64_t *whole;  /* [count] the arena's */
} copi_onnx_tensor;

typedef enum copi_onnx_kind {
    COPI_ONNX_ABSENT, /* not computed yet */
    COPI_ONNX_CONSTANT,
    COPI_ONNX_IMAGE, /* [N,..three more..] */
    COPI_ONNX_VECTOR /* [N,F] */
} copi_onnx_kind;

typedef struct copi_onnx_value {
    const char *name;
    copi_onnx_kind kind;
    copi_onnx_tensor tensor; /* CONSTANT */
    int node;                /* of the net; an IMAGE's or a VECTOR's */
    bool flat;        /* VECTOR: node already gives [F]; else it gives the image that is still to be flattened */
    int axis[3];      /* which of C, H, W (0, 1, 2) stands where, outermost first */
    int64_t shape[3]; /* C, H, W of the image, or of what was flattened; a dense layer's: F, 1, 1 */
    int64_t pad[4];   /* IMAGE: zeros that its reader must put around it: top, left, bottom, right */
    int producer;     /* the ONNX node that gives it; -1: none */
    int consumers;    /* how many inputs of needed nodes read it */
    bool shared;      /* on its way from where it was computed, something else read it too */
    bool edge;        /* IMAGE: pad repeats the edge, not zeros */
    struct copi_onnx_pending *pending; /* the layer that gives it, which is still to be added; NULL: node is there */
} copi_onnx_value;

/* Numbers that go into a parameter once the net is built. */
typedef struct copi_onnx_fill {
    int node, slot;
    copi_onnx_tensor tensor;
    double scale;         /* every number is multiplied by it */
    bool transposed;      /* a dense kernel given as [in,out] */
    const int64_t *order; /* [in] the column (or unit) each of the file's goes to; NULL: as it is */
} copi_onnx_fill;

/* A layer that waits for what follows: a bias, or another product or sum with a constant per channel. It is added to
 * the net when anything else reads it. */
typedef struct copi_onnx_pending {
    const Onnx__NodeProto *named; /* by this node, or by its weight */
    const char *weight;
    copi_node proto;       /* conv or dense, without bias so far; or batch-norm, for y = scale x + shift */
    int src;               /* of the net */
    copi_onnx_fill kernel; /* conv, dense */
    int64_t channels;
    float *scale, *shift; /* [channels] in the arena; a conv's or dense layer's: scale NULL, shift NULL or its bias */
    int node;             /* of the net, once it is there; else -1 */
} copi_onnx_pending;

/* A file beside the model, with weights. */
typedef struct copi_onnx_external {
    const char *location; /* the model's own word for it */
    char *path;
    copi_file file;
    size_t left; /* what tensors may still take; each byte is one tensor's */
} copi_onnx_external;

typedef struct copi_onnx_reader {
    cop_ctx *ctx;
    copi_file *file;  /* the model's */
    const char *path; /* external data lies beside it; NULL: from memory */
    size_t file_size;
    Onnx__ModelProto *model;
    const Onnx__GraphProto *proto;
    bool own; /* this program wrote the file: layers are named as its nodes are */
    int64_t opset;
    int64_t batch;          /* the fixed number of images, or -1 */
    copi_name_map names;    /* of values */
    copi_onnx_value *value; /* [values] */
    int values, value_cap;
    int input, output; /* numbers of values */
    uint8_t *needed;   /* [nodes of the file] 1: the output needs it */
    cop_graph *graph;
    copi_name_map layers; /* layer names given out so far; the number counts repeats */
    copi_onnx_fill *fill;
    int fills, fill_cap;
    void **block; /* the arena: freed at the end */
    int blocks, block_cap;
    size_t memory; /* bytes asked of the arena */
    copi_onnx_external external[COPI_ONNX_EXTERNALS];
    int externals;
    double input_scale[COP_MAX_CHANNELS], input_shift[COP_MAX_CHANNELS]; /* what the graph does to its images first */
    bool input_scaled;
    bool logits;  /* a LogSoftmax at the end was left out */
    int training; /* batch-norms in training form, read in inference form */
    int left_out; /* nodes that became nothing: transposes, identities, folded constants */
} copi_onnx_reader;

/* The node at hand. */
typedef struct copi_onnx_node {
    copi_onnx_reader *r;
    const Onnx__NodeProto *proto;
    int number; /* among the file's nodes */
} copi_onnx_node;

typedef struct copi_onnx_op {
    const char *name;
    const char *attributes; /* those that are understood, "a b c"; any other is refused */
    cop_status (*read)(copi_onnx_node *n);
    const char *help; /* what is read of it */
} copi_onnx_op;
const copi_onnx_op *copi_onnx_op_find(const char *name);
void copi_onnx_op_list(char *text, size_t size); /* "Add, AveragePool, ..." */

/* -- tensor.c -- */
/** Memory that lives as long as the reader. NULL: none, or more than the file warrants (both recorded). */
void *copi_onnx_arena(copi_onnx_reader *r, size_t count, size_t size);
/** May this many more bytes be asked for? Errors: FORMAT. */
cop_status copi_onnx_warranted(copi_onnx_reader *r, size_t bytes);
cop_status copi_onnx_tensor_read(copi_onnx_reader *r, const Onnx__TensorProto *proto, copi_onnx_tensor *t);
cop_status copi_onnx_sparse_read(copi_onnx_reader *r, const Onnx__SparseTensorProto *proto, copi_onnx_tensor *t);
/** The file that a place in memory belongs to; NULL: none, it is the arena's or protobuf-c's. */
copi_file *copi_onnx_file_at(copi_onnx_reader *r, const void *at);
/** A tensor's floats are read from its file, if they have not been. Errors: IO. */
cop_status copi_onnx_need(copi_onnx_reader *r, const copi_onnx_tensor *t);
static inline float copi_onnx_float(const copi_onnx_tensor *t, int64_t i) {
    float x;
    memcpy(&x, t->floats + 4 * i, sizeof x); /* which may be unaligned */
    return x;
}
/** A tensor of floats in the arena, to be filled through *data; a shape of rank 1. Errors: NOMEM. */
cop_status copi_onnx_floats(copi_onnx_reader *r, int64_t count, float **data, copi_onnx_tensor *t);
cop_status copi_onnx_wholes(copi_onnx_reader *r, int64_t count, int64_t **data, copi_onnx_tensor *t);

/* -- node.c -- */
const char *copi_onnx_text_or(const char *text, const char *otherwise); /* text, unless it is NULL or empty */
/** "Conv 'conv1': ..." */
cop_status copi_onnx_fail(const copi_onnx_node *n, cop_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
const Onnx__AttributeProto *copi_onnx_attribute(const copi_onnx_node *n, const char *name); /* NULL: none */
int64_t copi_onnx_int(const copi_onnx_node *n, const char *name, int64_t otherwise);
double copi_onnx_real(const copi_onnx_node *n, const char *name, double otherwise);
bool copi_onnx_text_is(const copi_onnx_node *n, const char *name, const char *text, bool otherwise);
/** A list of count integers; absent: otherwise, count times. Errors: FORMAT (another count). */
cop_status copi_onnx_ints(const copi_onnx_node *n, const char *name, int count, int64_t *list, int64_t otherwise);
/** Input i, or NULL where it is left out. */
copi_onnx_value *copi_onnx_input(const copi_onnx_node *n, int i);
/** Input i as an image laid out C, H, W; padding allowed only where the handler deals with it. Errors:
 *  UNSUPPORTED. */
cop_status copi_onnx_image(const copi_onnx_node *n, int i, copi_onnx_value **value);
/** Input i as an image or vector without padding; a vector may still have to be flattened. Errors: UNSUPPORTED. */
cop_status copi_onnx_unpadded(const copi_onnx_node *n, int i, copi_onnx_value **value);
/** Input i as an image or vector, its padding settled and flattened if it is a vector. Errors: UNSUPPORTED. */
cop_status copi_onnx_activation(const copi_onnx_node *n, int i, copi_onnx_value **value);
/** Input i as a constant, its numbers read; weights: which go elsewhere as they lie in the file, not yet. Errors:
 *  UNSUPPORTED, FORMAT (absent), IO. */
cop_status copi_onnx_constant(const copi_onnx_node *n, int i, copi_onnx_tensor *t);
cop_status copi_onnx_weights(const copi_onnx_node *n, int i, copi_onnx_tensor *t);
/** A list of integers, from an attribute (older opsets) or a constant input (newer). *list is NULL and *count -1
 *  where there is neither. */
cop_status copi_onnx_list(const copi_onnx_node *n, const char *name, int input, const int64_t **list, int64_t *count);
/** The node's (first) output is this. */
cop_status copi_onnx_give(const copi_onnx_node *n, const copi_onnx_value *value);
copi_onnx_value *copi_onnx_given(const copi_onnx_node *n); /* where it goes */
/** Likewise, for a node that becomes nothing. */
cop_status copi_onnx_pass(const copi_onnx_node *n, const copi_onnx_value *value);
cop_status copi_onnx_give_tensor(const copi_onnx_node *n, const copi_onnx_tensor *t);
bool copi_onnx_is_padded(const copi_onnx_value *value);
/** Settle a value, and flatten a vector's image, if that is still to be done. */
cop_status copi_onnx_lay_flat(copi_onnx_reader *r, copi_onnx_value *value);
/** In a file of our own the node's name; else one people know: the weight's without its ending, or the node's without
 *  its op. */
void copi_onnx_name_layer(const copi_onnx_node *n, const char *weight, char *name, size_t size);
/** Add a node to the net; weight: the name of the initializer its name may come from, or NULL. *number is the
 *  net's. */
cop_status copi_onnx_add(const copi_onnx_node *n, const char *weight, const copi_node *proto, const int *src,
                         int nsrc, int *number);
/** The same for what keeps its input's shape; gives the node's output. */
cop_status copi_onnx_elementwise(const copi_onnx_node *n, const copi_node *proto);
/** A name that no layer has yet: wanted, or wanted_2, ... It lives in the arena. */
cop_status copi_onnx_unique(copi_onnx_reader *r, const char *wanted, char **name);
cop_status copi_onnx_put(copi_onnx_reader *r, const copi_onnx_fill *fill);
/** The node gives a layer that waits; value is what it gives, but for node and pending. */
cop_status copi_onnx_wait(const copi_onnx_node *n, const copi_onnx_value *value, const copi_onnx_pending *layer);
/** Add the layer that value waits for, if any, with all its numbers. */
cop_status copi_onnx_settle(copi_onnx_reader *r, copi_onnx_value *value);
/** One number per channel of value from a constant that broadcasts to it. *fits is false when it doesn't. */
cop_status copi_onnx_per_channel(copi_onnx_reader *r, const copi_onnx_value *value, const copi_onnx_tensor *t,
                                 copi_onnx_tensor *channels, bool *fits);
/** Where ONNX's dimension d (negative: from the end) of an image or vector of that rank lies. Errors: FORMAT. */
cop_status copi_onnx_axis(const copi_onnx_node *n, int64_t axis, int rank, int *at);
/** The file's index of what stands at each place of the net's order: for a vector flattened in another order.
 *  NULL with COP_OK: they agree. */
cop_status copi_onnx_order(copi_onnx_reader *r, const copi_onnx_value *value, const int64_t **order);
int64_t copi_onnx_extent(const copi_onnx_value *value, int dim); /* of an image's dimension 1, 2 or 3 */

#endif
