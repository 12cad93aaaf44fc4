/* Coppice: prune convolutional neural networks, grow them back, and find the accuracy-sparsity frontier.
 *
 * This header is the contract: what is not here does not exist. A first program:
 *
 *     cop_ctx *ctx;  cop_net *net;  cop_data *data;  cop_eval e;
 *     cop_ctx_create(NULL, &ctx);
 *     cop_net_load(ctx, "dense.safetensors", &net);
 *     cop_data_open(ctx, "/usr/share/datasets/fashion-mnist", NULL, &data);
 *     cop_prune_params p = cop_prune_params_default();
 *     p.criterion = "magnitude";  p.sparsity = 0.9;
 *     if (cop_prune(net, &p, NULL)) puts(cop_error(ctx));
 *     cop_recipe r = cop_recipe_default();
 *     r.epochs = 2;
 *     cop_train(net, data, &r, NULL);
 *     cop_evaluate(net, data, COP_SPLIT_TEST, NULL, &e);
 *     cop_net_save(net, "pruned.safetensors");
 *
 * Conventions. Every fallible function returns a cop_status; results come through out-parameters, which are NULL
 * (or zeroed) on failure; cop_error(ctx) then holds one line with the values and the place. Objects are made by
 * _create/_open/_load/_clone and freed by the matching _destroy, which accepts NULL. A cop_ctx outlives everything
 * made with it and is used by one thread at a time. Paths are UTF-8. Shapes are written [N,C,H,W]: N images, C
 * channels, H rows, W columns; kernels [O,I,KH,KW]; dense weights [O,I]. The library never prints, never exits
 * and never reads the environment. */
#ifndef COPPICE_H
#define COPPICE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define COP_VERSION_MAJOR 0
#define COP_VERSION_MINOR 1
#define COP_VERSION_PATCH 0
#define COP_VERSION "0.1.0"

#if defined(__GNUC__)
#define COP_API __attribute__((visibility("default")))
#else
#define COP_API
#endif

/* ------------------------------------------------------------------------------------------------ status -- */

/** X(name, text): all statuses; one list makes the enum and the strings. */
#define COP_STATUS_LIST(X)                                                                                           \
    X(OK, "ok")                                                                                                      \
    X(E_ARG, "invalid argument")                                                                                     \
    X(E_RANGE, "value out of range")                                                                                 \
    X(E_SHAPE, "shapes do not fit")                                                                                  \
    X(E_NOMEM, "out of memory")                                                                                      \
    X(E_IO, "input/output error")                                                                                    \
    X(E_FORMAT, "malformed input")                                                                                   \
    X(E_VERSION, "written by another version")                                                                       \
    X(E_UNSUPPORTED, "not supported")                                                                                \
    X(E_NOT_FOUND, "not found")                                                                                      \
    X(E_REFUSED, "refused")                                                                                          \
    X(E_DIVERGED, "training diverged")                                                                               \
    X(E_CANCELLED, "interrupted")                                                                                    \
    X(E_INTERNAL, "internal error")

typedef enum cop_status {
#define X(name, text) COP_##name,
    COP_STATUS_LIST(X)
#undef X
} cop_status;

/** The fixed text of a status ("malformed input"); never NULL. */
COP_API const char *cop_status_text(cop_status status);

/** The library's version, e.g. "0.1.0". */
COP_API const char *cop_version(void);
/** One line on what the library was built with and runs on: oneDNN's version, compiler, widest instruction set. */
COP_API const char *cop_build_info(void);

/* ----------------------------------------------------------------------------------------------- context -- */

typedef struct cop_ctx cop_ctx;

/** Memory functions; both or neither. alloc returns NULL when there is none. */
typedef struct cop_allocator {
    void *(*alloc)(void *user, size_t size);
    void (*free)(void *user, void *block);
    void *user;
} cop_allocator;

typedef enum cop_log_level { COP_LOG_DEBUG, COP_LOG_INFO, COP_LOG_WARNING } cop_log_level;

/** A look at long work: reported about ten times a second and once at the end of every phase (done == total). */
typedef struct cop_progress {
    const char *phase;   /* "train", "tune", "evaluate", "load", ...; owned by the library, valid during the call */
    const char *label;   /* what is at work, e.g. a trial's name; "" when there is none */
    int64_t done, total; /* steps of this phase */
    int epoch, epochs;   /* 1-based; 0 where there are none */
    int trial, trials;   /* of a study, 1-based; 0 outside studies */
    double rate;         /* images per second */
    double loss;         /* running mean of the training loss; NaN before the first step */
    double accuracy;     /* running training accuracy in [0,1]; NaN before the first step */
    double seconds_left; /* of this phase; NaN while unknown */
} cop_progress;

typedef struct cop_ctx_options {
    cop_allocator allocator; /* {0}: malloc and free */
    uint64_t seed;           /* of every random choice that is not given a seed of its own */
    int threads;             /* 0: all processors of the process's affinity mask */
    int jobs; /* trials of a study at a time, each on threads / jobs threads; what is called back is called
                                by one thread at a time; 0: 1 */
    void (*log)(void *user, cop_log_level level, const char *text); /* NULL: silent */
    void (*progress)(void *user, const cop_progress *progress);     /* NULL: none */
    int (*cancel)(void *user); /* polled once a step; nonzero ends the work with COP_E_CANCELLED; NULL: never.
                                * Handlers of signals that the program installs need SA_ONSTACK (sigaltstack): generated
                                * code uses the stack pointer as a register */
    void *user;                /* handed to log, progress and cancel */
} cop_ctx_options;

/** seed 1, all processors, silent. */
COP_API cop_ctx_options cop_ctx_options_default(void);
/** Make a context; options may be NULL. Errors: ARG, NOMEM. */
COP_API cop_status cop_ctx_create(const cop_ctx_options *options, cop_ctx **ctx);
COP_API void cop_ctx_destroy(cop_ctx *ctx);
/** The text of the last error in this context: one line naming what, where, which value and what would help. */
COP_API const char *cop_error(const cop_ctx *ctx);

/* ----------------------------------------------------------------------------------------------- options -- */

typedef enum cop_option_kind {
    COP_OPTION_NUMBER,  /* double */
    COP_OPTION_COUNT,   /* int64_t */
    COP_OPTION_INTEGER, /* int */
    COP_OPTION_FLAG,    /* int: 0 or 1 */
    COP_OPTION_CHOICE,  /* an enum: the index of one of the choices */
    COP_OPTION_NAME,    /* const char *: one of the choices */
    COP_OPTION_SET,     /* unsigned: a bit for each choice */
    COP_OPTION_STEPS,   /* double[4]: rising, the rest 0 */
    COP_OPTION_FILE,    /* const char *: a path, NULL: none */
    COP_OPTION_NUMBERS, /* const double *, with its int count at count_offset */
    COP_OPTION_LIMITS,  /* const cop_layer_limit *, likewise */
    COP_OPTION_RECIPE   /* cop_recipe */
} cop_option_kind;

/** Flags of an option. */
enum {
    COP_OPTION_ABOVE = 1,        /* low itself is out of the range: (low, high] */
    COP_OPTION_BELOW = 2,        /* high itself is */
    COP_OPTION_RESULT = 4,       /* changes the result: part of a trial's name and of a checkpoint's identity */
    COP_OPTION_RUN = 8,          /* about the run, not the result: not a key of study files */
    COP_OPTION_LATE = 16,        /* newer than stored trials: part of a trial's name where it is not the default */
    COP_OPTION_REQUIRED = 32,    /* in study files */
    COP_OPTION_LEVEL = 64,       /* study files may list values: each gives a trial */
    COP_OPTION_INLINE = 128,     /* a recipe whose options stand beside this one's neighbours in study files */
    COP_OPTION_UNUSED_AT_0 = 256 /* a recipe that does nothing with 0 epochs */
};

/** One option of a parameter struct: a row of the tables that defaults, checks, study files, command line and help are
 *  made from. Rows are owned by the library, read-only, and grow at their end. */
typedef struct cop_option {
    const char *name; /* as in study files; on the command line with - for _ */
    cop_option_kind kind;
    size_t offset, count_offset;    /* of the field in its struct */
    double usual;                   /* the default, of numbers, choices (the index) and sets */
    const char *usual_name;         /* the default of names */
    double low, high;               /* the range of numbers */
    const char *(*choice)(int i);   /* the choices; NULL past the last */
    const char *unit;               /* "epochs", "pixels"; NULL: none */
    const char *help;               /* one line */
    const struct cop_option *table; /* of a recipe: its options */
    unsigned flags;
    const char *since; /* the version that brought it */
} cop_option;

#define COP_OPTION_PROBLEM 512 /* bytes that the text of a problem or range needs */

/** The range or choices of an option as text: "(0,1000]", "sgd, adam, adamw"; "" where anything goes. */
COP_API void cop_option_range(const cop_option *option, char text[COP_OPTION_PROBLEM]);
/** Read text as a value of an option and store it at value, which has the option's type. A set or list is written A,B. On
 *  failure gives 0, with the reason in problem: "NAME is -1; expected a number in (0,1000]", name being how the caller
 *  calls the option. */
COP_API int cop_option_parse(const cop_option *option, const char *name, const char *text, void *value,
                             char problem[COP_OPTION_PROBLEM]);
/** The name in a list that is nearest to a word, for "did you mean"; NULL: none is near. */
COP_API const char *cop_nearest(const char *word, const char *(*name)(int i));

/* -------------------------------------------------------------------------------------------------- data -- */

typedef struct cop_data cop_data;
typedef enum cop_split { COP_SPLIT_TRAIN, COP_SPLIT_VALIDATION, COP_SPLIT_TEST } cop_split;
#define COP_SPLITS 3
#define COP_MAX_CHANNELS 16 /* of an input image */

typedef struct cop_data_options {
    const char *format;    /* NULL: guess; "idx", "cifar10", "cifar100", "npz", "folder" */
    double validation;     /* share of train set aside where the data brings no validation split; [0, 0.9] */
    int64_t limit;         /* at most so many images per split (the first ones after a fixed shuffle); 0: all */
    int64_t height, width; /* image folders are resized to this; 0: the first image's size */
} cop_data_options;
/** The options of cop_data_options; NULL: no such number. */
COP_API const cop_option *cop_data_option(int option);
/** Guess the format, validation 0.1, no limit. */
COP_API cop_data_options cop_data_options_default(void);

typedef struct cop_data_info {
    const char *path, *format;
    int64_t channels, height, width;
    int classes;
    const char *const *class_name;           /* [classes] */
    int64_t images[COP_SPLITS];              /* in each split; 0 where there is none */
    const int64_t *class_images[COP_SPLITS]; /* [classes] images of each class */
    double mean[COP_MAX_CHANNELS]; /* of the training split, pixels scaled to [0,1] (float images: as they are) */
    double std[COP_MAX_CHANNELS];
    size_t bytes;       /* held in memory */
    const char *digest; /* hex digest of everything that decides the splits' contents */
} cop_data_info;

/** Read a data set into memory as bytes. options may be NULL. The validation split is carved from train by a fixed
 *  shuffle that depends on the number of images only, so every seed sees the same splits.
 *  Errors: IO, FORMAT (file, place, value), NOT_FOUND, UNSUPPORTED, RANGE, NOMEM. */
COP_API cop_status cop_data_open(cop_ctx *ctx, const char *path, const cop_data_options *options, cop_data **data);
COP_API void cop_data_destroy(cop_data *data);
/** Everything there is to say about it; pointers are owned by data. */
COP_API const cop_data_info *cop_data_get_info(const cop_data *data);
COP_API const char *cop_split_name(cop_split split); /* "train", "validation", "test" */

/* --------------------------------------------------------------------------------------------------- net -- */

typedef struct cop_net cop_net;

/** What an op does is stated in src/net/ops.def; the same list makes `coppice help ops`. */
COP_API int cop_op_count(void);
COP_API const char *cop_op_name(int op); /* "conv", "dense", ... */
COP_API const char *cop_op_help(int op); /* one line with the formula */

/** Names and one-line descriptions of the built-in nets. */
COP_API int cop_preset_count(void);
COP_API const char *cop_preset_name(int preset);
COP_API const char *cop_preset_help(int preset);
/** Build a preset for images [channels,height,width] and so many classes, with freshly drawn weights (He normal for
 *  kernels before ReLU, zero biases) from the seed. Errors: NOT_FOUND (nearest name), SHAPE (op and shapes), NOMEM. */
COP_API cop_status cop_net_preset(cop_ctx *ctx, const char *name, int64_t channels, int64_t height, int64_t width,
                                  int classes, uint64_t seed, cop_net **net);

/** Building a net by hand: make a graph, add ops (each returns its node's number >= 0, or -1 once anything has gone
 *  wrong), then build. The first error is kept and returned by cop_graph_build, which always frees the graph. */
typedef struct cop_graph cop_graph;
typedef struct cop_conv_params {
    int64_t filters;     /* O */
    int64_t kernel[2];   /* KH, KW */
    int64_t stride[2];   /* default 1 1 */
    int64_t dilation[2]; /* 1: none; default 1 1 */
    int64_t pad[4];      /* top, left, bottom, right; default 0 */
    int64_t groups;      /* default 1; == I for depthwise */
    int bias;            /* 1: has a bias; default 1 */
} cop_conv_params;
typedef struct cop_pool_params {
    int64_t kernel[2];
    int64_t stride[2]; /* 0 0: the kernel's size */
    int64_t pad[4];    /* top, left, bottom, right */
    int count_pad;     /* average pooling only: 1 divides by KH*KW also at the borders */
} cop_pool_params;
COP_API cop_conv_params cop_conv_params_default(int64_t filters, int64_t kernel); /* square kernel, no padding */
COP_API cop_pool_params cop_pool_params_default(int64_t kernel);                  /* square, stride = kernel */

COP_API cop_status cop_graph_create(cop_ctx *ctx, cop_graph **graph);
COP_API int cop_graph_input(cop_graph *g, const char *name, int64_t channels, int64_t height, int64_t width);
COP_API int cop_graph_conv(cop_graph *g, const char *name, int src, const cop_conv_params *params);
COP_API int cop_graph_dense(cop_graph *g, const char *name, int src, int64_t units, int bias);
COP_API int cop_graph_batchnorm(cop_graph *g, const char *name, int src, double epsilon);
COP_API int cop_graph_relu(cop_graph *g, const char *name, int src);
COP_API int cop_graph_relu6(cop_graph *g, const char *name, int src);
COP_API int cop_graph_leaky_relu(cop_graph *g, const char *name, int src, double slope);
COP_API int cop_graph_max_pool(cop_graph *g, const char *name, int src, const cop_pool_params *params);
COP_API int cop_graph_avg_pool(cop_graph *g, const char *name, int src, const cop_pool_params *params);
COP_API int cop_graph_global_pool(cop_graph *g, const char *name, int src); /* mean over H,W: [C,H,W] -> [C,1,1] */
COP_API int cop_graph_flatten(cop_graph *g, const char *name, int src);     /* [C,H,W] -> [C*H*W] */
COP_API int cop_graph_add(cop_graph *g, const char *name, int a, int b);
COP_API int cop_graph_concat(cop_graph *g, const char *name, const int *src, int count); /* along channels */
COP_API int cop_graph_dropout(cop_graph *g, const char *name, int src, double share);
COP_API int cop_graph_softmax(cop_graph *g, const char *name, int src);
/** A factor per structure (docs/methods.md, "SSS"): y[c] = lambda[c*factors/C] * x[c]. src must be a conv, dense or
 *  batch-norm that feeds nothing else. factors: C (neurons), a divisor of C (groups) or 1 (a block). Starts at 1. */
COP_API int cop_graph_gate(cop_graph *g, const char *name, int src, int64_t factors);
/** Finish: the last node added is the output. Errors: the first that any call met. Frees the graph always. */
COP_API cop_status cop_graph_build(cop_graph *g, uint64_t seed, cop_net **net);
COP_API void cop_graph_destroy(cop_graph *g); /* to give up before building */

COP_API cop_status cop_net_clone(const cop_net *net, cop_net **copy);
COP_API void cop_net_destroy(cop_net *net);
/** Read a model; the format is told by the file's name and first bytes. Errors: IO, FORMAT, VERSION, UNSUPPORTED. */
COP_API cop_status cop_net_load(cop_ctx *ctx, const char *path, cop_net **net);
/** Write a model (.safetensors: graph, masks, classes, normalization, provenance inside) to a temporary name,
 *  sync, rename: an existing file is replaced whole or not at all. Errors: IO, UNSUPPORTED (unknown ending). */
COP_API cop_status cop_net_save(const cop_net *net, const char *path);
/** Draw new weights from the seed, remove all masks. */
COP_API cop_status cop_net_init(cop_net *net, uint64_t seed);

typedef struct cop_layer_info {
    const char *name, *op;        /* owned by the net */
    int rank;                     /* of the output: 3 for [C,H,W], 1 for [C] */
    int64_t shape[3];             /* the output's */
    int weight_rank;              /* 0: no weights */
    int64_t weight_shape[4];      /* [O,I,KH,KW] or [O,I] or [C] */
    int64_t parameters;           /* held now, biases and scale/shift counted, running statistics not */
    int64_t parameters_dense;     /* of this layer in the original dense net */
    int64_t zeros;                /* of the parameters held now */
    int64_t masked;               /* held at zero by a mask */
    double sparsity;              /* 1 - (parameters - zeros) / parameters_dense */
    int64_t macs, macs_effective; /* per image; effective: zero weights skipped */
} cop_layer_info;

#define COP_CHANNEL_ORDER_LIST(X) X(RGB, "rgb") X(BGR, "bgr")
#define X(name, text) COP_CHANNEL_ORDER_##name,
typedef enum cop_channel_order { COP_CHANNEL_ORDER_LIST(X) } cop_channel_order; /* RGB: as the data has them */
#undef X

typedef struct cop_net_info {
    int layers;                      /* ops, the input included */
    int64_t channels, height, width; /* of the input */
    int classes;
    const char *const *class_name; /* [classes], or NULL when unknown */
    int64_t parameters, parameters_dense, zeros, nonzero;
    double sparsity, sparsity_conv, sparsity_dense; /* docs/methods.md, "Measures"; NaN: no such layer */
    int64_t macs, macs_dense, macs_effective;
    size_t bytes;   /* of the weights in memory */
    int normalized; /* 1: mean and std are those the net was trained with */
    double mean[COP_MAX_CHANNELS], std[COP_MAX_CHANNELS];
    cop_channel_order channel_order; /* in which the net takes the channels of an image */
    const char *provenance;          /* one line a step: how this net came to be */
} cop_net_info;

COP_API void cop_net_get_info(const cop_net *net, cop_net_info *info);
/** Layer i of cop_net_info.layers, in the order of execution. Errors: RANGE. */
COP_API cop_status cop_net_get_layer(const cop_net *net, int i, cop_layer_info *info);

/** What is done to an image before the net sees it: its channels are put in this order, its pixels, scaled to [0,1],
 *  are stretched to the range, then (x - mean[c]) / std[c] with c counting the net's channels. */
#define COP_PIXEL_RANGE_LIST(X) X(UNIT, "0..1") X(SIGNED, "-1..1") X(BYTES, "0..255")
#define X(name, text) COP_PIXEL_RANGE_##name,
typedef enum cop_pixel_range { COP_PIXEL_RANGE_LIST(X) } cop_pixel_range;
#undef X
typedef struct cop_preprocessing {
    cop_channel_order order;
    cop_pixel_range range;
    double mean[COP_MAX_CHANNELS], std[COP_MAX_CHANNELS]; /* in the range's units; of channels that the net has */
} cop_preprocessing;
COP_API cop_preprocessing cop_preprocessing_default(void);           /* RGB, UNIT, mean 0, std 1 */
COP_API const char *cop_channel_order_name(cop_channel_order order); /* "rgb", "bgr" */
/** The net's images are treated like this from now on, here and in files: cop_net_info tells it as mean and std of
 *  pixels in [0,1]. Errors: RANGE (not finite, std <= 0), SHAPE (BGR of an image without 3 channels). */
COP_API cop_status cop_net_set_preprocessing(cop_net *net, const cop_preprocessing *preprocessing);

/* -------------------------------------------------------------------------------------------- model files -- */

/** The formats of model files, from the list that cop_net_load and cop_net_save use. */
COP_API int cop_model_format_count(void);
COP_API const char *cop_model_format_ending(int format); /* ".safetensors", ...; NULL: no such number */
COP_API const char *cop_model_format_help(int format);   /* what is read and written, in one line */
COP_API int cop_model_format_writes(int format);         /* 1: cop_net_save writes it */
/** The ONNX ops that are read, and what of each. */
COP_API int cop_onnx_op_count(void);
COP_API const char *cop_onnx_op_name(int op); /* NULL: no such number */
COP_API const char *cop_onnx_op_help(int op); /* "" where there is no more to say */

/** What a model file holds: a net; weights without a graph; a graph without weights (a Keras model's JSON, which
 *  cop_net_load reads, drawing weights from the context's seed). Errors: IO, FORMAT, UNSUPPORTED. */
typedef enum cop_model_kind { COP_MODEL_NET, COP_MODEL_WEIGHTS, COP_MODEL_ARCHITECTURE } cop_model_kind;
COP_API cop_status cop_model_get_kind(cop_ctx *ctx, const char *path, cop_model_kind *kind);

/** Fill a net from weights alone. Keras .h5: by layers' names, else by order, and shapes. safetensors: by names,
 *  which map, a file of rules or the name of a built-in one, translates first (docs/safetensors.md); NULL: they are
 *  the net's own, or PyTorch's endings of them. On failure the net's weights may be changed in part.
 *  Errors: FORMAT (the tensors that are left over, the parameters that get nothing), IO, UNSUPPORTED, ARG, NOMEM. */
COP_API cop_status cop_net_load_weights(cop_net *net, const char *path, const char *map);
/** Names of the built-in maps. */
COP_API int cop_weight_map_count(void);
COP_API const char *cop_weight_map_name(int map); /* NULL: no such number */
COP_API const char *cop_weight_map_help(int map);

/** Weights alone, to look at: layers by the names that the file gives them, shapes as the file has them. */
typedef struct cop_weights cop_weights;
COP_API cop_status cop_weights_open(cop_ctx *ctx, const char *path, cop_weights **weights);
COP_API void cop_weights_destroy(cop_weights *weights);
/** Of the net's info: layers, parameters, zeros, nonzero, sparsities, bytes; the rest is 0, MACs -1. A layer's op is
 *  told by the rank of its weights: "conv", "dense", else "". */
COP_API void cop_weights_get_info(const cop_weights *weights, cop_net_info *info);
COP_API cop_status cop_weights_get_layer(const cop_weights *weights, int i, cop_layer_info *info);

typedef struct cop_save_options {
    int sparse; /* .onnx: 1: kernels become sparse initializers where that is smaller */
    const char
        *like; /* .h5: a Keras file of the same layers; its names and attributes, the net's weights. NULL: no */
} cop_save_options;
COP_API cop_save_options cop_save_options_default(void);
/** cop_net_save with options; NULL: the default. What a format cannot hold is refused by name, what it does without
 *  (dropout in ONNX) is logged. Errors: as cop_net_save; ARG (an option of another format), FORMAT (like's shapes). */
COP_API cop_status cop_net_save_as(const cop_net *net, const char *path, const cop_save_options *options);

/* ------------------------------------------------------------------------------------- train and evaluate -- */

#define COP_OPTIMIZER_LIST(X) X(SGD, "sgd") X(ADAM, "adam") X(ADAMW, "adamw")
#define COP_SCHEDULE_LIST(X) X(CONSTANT, "constant") X(STEP, "step") X(COSINE, "cosine") X(ONE_CYCLE, "one-cycle")
#define COP_PRECISION_LIST(X) X(AUTO, "auto") X(F32, "f32") X(BF16, "bf16")
#define X(name, text) COP_OPTIMIZER_##name,
typedef enum cop_optimizer { COP_OPTIMIZER_LIST(X) } cop_optimizer;
#undef X
#define X(name, text) COP_SCHEDULE_##name,
typedef enum cop_schedule { COP_SCHEDULE_LIST(X) } cop_schedule;
#undef X
#define X(name, text) COP_PRECISION_##name,
typedef enum cop_precision { COP_PRECISION_LIST(X) } cop_precision; /* AUTO: bf16 where the processor has it */
#undef X

/** How to train: docs/methods.md, "Training". The same recipe gives the same bytes for the same build, ISA, threads and
 *  seed. */
typedef struct cop_recipe {
    double epochs; /* passes over the training split; fractions allowed */
    int64_t batch; /* images a step; a smaller last batch is dropped */
    cop_optimizer optimizer;
    double rate;                  /* the peak learning rate */
    double momentum;              /* SGD, Nesterov */
    double beta1, beta2, epsilon; /* Adam, AdamW */
    double decay;    /* weight decay on conv and dense kernels: decoupled for AdamW, an L2 gradient else */
    double l1;       /* l1 * sum|w| over conv and dense kernels is added to the loss (subgradient) */
    double l1_scale; /* l1_scale * sum |batch-norm scale| is added likewise (Network Slimming's training) */
    double l2;       /* l2 * sum w^2 over conv and dense kernels is added to the loss */
    double l2_conv;  /* the same over conv kernels only (the reference study's 1e-5) */
    cop_schedule schedule;
    double warmup;         /* share of the steps; one-cycle and cosine rise linearly over it */
    double step_epochs[4]; /* STEP: the rate is multiplied by step_factor at each; 0 ends the list */
    double step_factor;
    int restarts;   /* COSINE, ONE_CYCLE: the schedule begins anew so many times, in parts of equal length:
                                 * Loshchilov & Hutter 2017, arXiv:1608.03983 */
    int flip;       /* 1: mirror half the images left to right */
    int shift;      /* shift by up to so many pixels in both directions */
    int erase;      /* erase a square of so many pixels a side, wherever its middle falls: DeVries & Taylor 2017,
                                   arXiv:1708.04552 */
    double dropout; /* the shares of the net's dropout layers times this, in [0,1]; 1: as the net has them */
    double
        average; /* in [0,1); 0: none. The net that comes out has the averages of the parameters (SSS's factors apart),
                                   a = d a + (1-d) w after step t = 1, 2, ..: d = min(average, (t-1) / (t+9)),
                                   and batch-norm statistics made anew for them */
    double label_smoothing;    /* [0,1) */
    const cop_net *teacher;    /* distil from this net, NULL: no; loss = (1-a) CE + a T^2 KL */
    double distil_share;       /* a */
    double distil_temperature; /* T */
    cop_precision precision;
    uint64_t seed;          /* of order, augmentation and dropout */
    const char *checkpoint; /* NULL, or a file that holds the state after each epoch and on interruption */
    int resume;             /* 1: go on from the checkpoint if it exists, bit-exactly */
    double max_seconds;     /* 0: no limit; stop after the epoch that passes it */
    int evaluate_every;     /* epochs between validation figures in the history; 0: only after the last */
} cop_recipe;

/** 10 epochs, AdamW 2e-3 one-cycle, batch 128, decay 1e-2, flip and shift off, precision AUTO, seed 1. */
COP_API cop_recipe cop_recipe_default(void);
/** The options of a recipe, in the order of help; NULL: no such number. */
COP_API const cop_option *cop_recipe_option(int option);
COP_API const char *cop_optimizer_name(cop_optimizer optimizer);
COP_API const char *cop_schedule_name(cop_schedule schedule);
COP_API const char *cop_precision_name(cop_precision precision);
/** The learning rate at step t of n (0-based). Units: as recipe->rate. steps_per_epoch is used by STEP only. */
COP_API double cop_schedule_rate(const cop_recipe *recipe, int64_t t, int64_t n, int64_t steps_per_epoch);

typedef struct cop_epoch {
    int epoch;                                   /* 1-based */
    double rate;                                 /* at its end */
    double loss, accuracy;                       /* training means over the epoch */
    double accuracy_validation, loss_validation; /* NaN where not computed */
    double seconds;                              /* since the start of training */
} cop_epoch;

typedef struct cop_history {
    cop_epoch *epoch; /* [count], owned by the history; cop_history_clear frees it */
    int count;
    int64_t images, steps; /* trained on */
    double seconds;        /* of training alone */
    double macs;           /* training MACs spent: 3 x MACs of the net as trained x images */
    int resumed;           /* 1: went on from a checkpoint */
    cop_ctx *ctx;
} cop_history;
COP_API void cop_history_clear(cop_history *history);

/** Train net in place on the training split; masked parameters stay exactly 0. history may be NULL, else is
 *  overwritten. On E_CANCELLED the net holds the state reached and the checkpoint is written; on E_DIVERGED (loss not
 *  finite) the net holds the last state. Errors: ARG, RANGE, SHAPE (net and images), NOMEM, IO, DIVERGED, CANCELLED. */
COP_API cop_status cop_train(cop_net *net, const cop_data *data, const cop_recipe *recipe, cop_history *history);

typedef struct cop_eval {
    int64_t images, correct;
    double accuracy, loss; /* top-1 in [0,1]; mean cross-entropy */
    double seconds;
} cop_eval;
typedef struct cop_eval_options {
    int64_t batch;           /* default 256 */
    cop_precision precision; /* default F32 */
    int64_t *confusion;      /* NULL, or [classes*classes], row = true class; overwritten */
} cop_eval_options;
COP_API cop_eval_options cop_eval_options_default(void);
/** Accuracy on a split, with the net's own normalization if it has one, else the data's. options may be NULL.
 *  Errors: SHAPE, NOT_FOUND (empty split), NOMEM, CANCELLED. */
COP_API cop_status cop_evaluate(const cop_net *net, const cop_data *data, cop_split split,
                                const cop_eval_options *options, cop_eval *eval);

/** Outputs of the net for images already normalized: x [n,C,H,W] -> y [n,classes] (what the last op gives: logits
 *  or probabilities). Batches inside; fp32. Errors: NOMEM, UNSUPPORTED. */
COP_API cop_status cop_predict(const cop_net *net, const float *x, int64_t n, float *y);

/* ------------------------------------------------------------------------------------------------- prune -- */

/** The criteria, from src/prune/criteria.def. */
COP_API int cop_criterion_count(void);
COP_API const char *cop_criterion_name(int criterion);
COP_API const char *cop_criterion_help(int criterion);

/** How the scores of channels that go together make one. */
#define COP_AGGREGATE_LIST(X) X(SUM, "sum") X(MEAN, "mean")
#define X(name, text) COP_AGGREGATE_##name,
typedef enum cop_aggregate { COP_AGGREGATE_LIST(X) } cop_aggregate;
#undef X
COP_API const char *cop_aggregate_name(cop_aggregate aggregate);

/** A floor and a cap of one layer, or of all whose name fits a pattern; coupled layers are bound by the tightest of all.
 *  Both bind layer-wise and global ranking: a floor that the asked share would break is refused layer by layer, a cap
 *  takes what it lets go; ranked globally, other layers give more. */
typedef struct cop_layer_limit {
    const char *layer; /* a layer's name, or a pattern of names with * ? [...] */
    int64_t keep;      /* units (weights for magnitude) kept at least; 0: as cop_prune_params.keep */
    double most;       /* share of its units removed at most, in [0,1]; 1: no cap */
} cop_layer_limit;

typedef struct cop_prune_params {
    const char *criterion; /* "magnitude", "l1-filter", "l2-filter", "l2-neuron", "random", ... */
    const char *scope;     /* "layer": the lowest share of each layer; "global": the lowest of all layers together */
    double sparsity;       /* share of what the criterion ranks (weights, filters, neurons), in [0,1) */
    int64_t keep;          /* units (weights for magnitude) kept in every layer at least; >= 1; binds global too */
    uint64_t seed;         /* of "random" */
    double macs;           /* criteria of weights, scope global: the effective MACs left at most, a share of the dense
                                net's where less than 1: scores are divided by the least power of a weight's MACs that it
                                takes; 0: no bound ("lamp-macs": the power 0.4) */
    double macs_at;        /* the sparsity at which so many are left, if this is a cut on the way there; else 0 */
    const cop_data *data;  /* for criteria that look at data; NULL otherwise */
    cop_aggregate
        aggregate; /* of coupled channels (`coppice inspect --groups`): residual sums, grouped convolutions */
    const cop_layer_limit *limit; /* [limits] */
    int limits;
} cop_prune_params;
/** The options of cop_prune_params; NULL: no such number. */
COP_API const cop_option *cop_prune_option(int option);
COP_API cop_prune_params cop_prune_params_default(void); /* magnitude, layer, sparsity 0, keep 1, sum, no limits */

typedef struct cop_prune_report {
    int64_t ranked, removed; /* weights, filters or neurons: how many were ranked, how many are now at 0 */
    double asked, obtained;  /* share asked; whole-net sparsity obtained */
    const char *idle;        /* the layer of a limit, of params, that fits none of the ranked layers; NULL */
} cop_prune_report;

/** Set masks (and zeros) by a criterion; what was masked before stays masked and counts towards the share. A pruned
 *  filter or neuron loses its weights, its bias, and the following batch-norm's scale and shift. report may be NULL.
 *  Errors: NOT_FOUND (nearest criterion; a limit that fits no layer), RANGE (sparsity, a limit), ARG (macs where nothing
 *  heeds it), REFUSED (a layer would fall under its floor: its name, the units it has, the highest share that works; so
 *  few macs that no choice leaves them); the net is untouched on failure. */
COP_API cop_status cop_prune(cop_net *net, const cop_prune_params *params, cop_prune_report *report);

/** The coupling groups of a net: layers whose output channels can only go together. docs/methods.md, "Coupling". */
typedef struct cop_groups cop_groups;
typedef struct cop_group_info {
    const char *name;         /* of its first layer */
    const char *const *layer; /* [layers] convs and denses (and the input) of the group, in the net's order */
    int layers;
    int64_t units;            /* that can be removed, each a set of coupled channels */
    int64_t channels;         /* of all layers together, those of fixed sets included */
    int64_t fixed;            /* sets that stay, whatever is ranked */
    const char *fixed_by;     /* the first op that ties them, the net's input or output; NULL: nothing does */
    int64_t parameters, macs; /* of its layers, per image */
} cop_group_info;
/** Find them; they are independent of the net afterwards. Errors: NOMEM. */
COP_API cop_status cop_groups_create(const cop_net *net, cop_groups **groups);
COP_API int cop_groups_count(const cop_groups *groups);
/** Group i, ordered by first layer; pointers are owned by groups. Errors: RANGE. */
COP_API cop_status cop_groups_get(const cop_groups *groups, int i, cop_group_info *info);
COP_API void cop_groups_destroy(cop_groups *groups);

typedef struct cop_shrink_report {
    int64_t parameters_before, parameters_after, macs_before, macs_after;
    int64_t units_removed; /* channels and neurons */
    double max_difference; /* max |masked - shrunk| over outputs of random inputs, divided by max |masked| */
} cop_shrink_report;
/** A new, smaller net that computes the same function: dead filters, neurons and inputs are gone. Parameters that
 *  remain keep their masks. Residual branches that give constants go too where what they add can be put elsewhere
 *  exactly. The dense totals (for sparsity) travel along. report may be NULL.
 *  Errors: NOMEM, UNSUPPORTED, DIVERGED (the net gives no numbers), INTERNAL (the check failed). */
COP_API cop_status cop_shrink(const cop_net *net, cop_net **shrunk, cop_shrink_report *report);
/** The same, but dead channels and neurons stay where that makes the number of a layer's a multiple (or all it had):
 *  vector units may like that better. Whether they do is for cop_bench to say. Errors: also RANGE (multiple). */
COP_API cop_status cop_shrink_rounded(const cop_net *net, int64_t multiple, cop_net **shrunk,
                                      cop_shrink_report *report);

/* ------------------------------------------------------------------------------------------------ method -- */

/** The methods, from src/method/methods.def: "magnitude", "l1-filter", "l2-filter", "l2-neuron", "sss", "compound"
 *  (structures, then weights by pace GRADUAL), further criteria, and the controls "random", "dense-longer" and
 *  "scratch". */
COP_API int cop_method_count(void);
COP_API const char *cop_method_name(int method);
COP_API const char *cop_method_help(int method);
/** Methods of one family have the same options. Its name: "sss", or "criterion" of all that rank by one. */
COP_API const char *cop_method_family(int method);
/** The options of a method, by their offset in cop_method_params; NULL: no such number. */
COP_API const cop_option *cop_method_option(int method, int option);

#define COP_PACE_LIST(X)                                                                                             \
    X(ONE_SHOT, "one-shot") X(LINEAR, "linear") X(GEOMETRIC, "geometric") X(CUBIC, "cubic") X(GRADUAL, "gradual")
#define X(name, text) COP_PACE_##name,
typedef enum cop_pace { COP_PACE_LIST(X) } cop_pace; /* how rounds approach the sparsity; GRADUAL: within training */
#undef X
COP_API const char *cop_pace_name(cop_pace pace);
#define COP_PROX_LIST(X) X(APG, "apg") X(SUBGRADIENT, "subgradient")
#define X(name, text) COP_PROX_##name,
typedef enum cop_prox { COP_PROX_LIST(X) } cop_prox;
#undef X
COP_API const char *cop_prox_name(cop_prox prox);
/** What SSS gives factors to. docs/methods.md, "SSS". */
#define COP_STRUCTURE_LIST(X) X(NEURON, "neuron") X(GROUP, "group") X(BLOCK, "block")
#define X(name, text) COP_STRUCTURE_##name,
typedef enum cop_structure {
    COP_STRUCTURE_LIST(X) /* a conv channel or dense unit; a group of a grouped conv; a residual block */
} cop_structure;
#undef X
COP_API const char *cop_structure_name(cop_structure structure);
/** What SSS's gamma is searched for. */
#define COP_TARGET_LIST(X) X(NONE, "none") X(SPARSITY, "sparsity") X(MACS, "macs") X(PARAMETERS, "parameters")
#define X(name, text) COP_TARGET_##name,
typedef enum cop_target { COP_TARGET_LIST(X) } cop_target;
#undef X
COP_API const char *cop_target_name(cop_target target);

/** Gradual pruning (pace GRADUAL, and compound): weights go within one training. */
typedef struct cop_gradual_params {
    double begin, end; /* shares of the training between which weights are pruned */
    double revive;     /* share of each kernel's nonzero weights that each cut exchanges for zeros of the largest
                        * gradient; falls to 0 at `end` as a cosine. RigL, arXiv:1911.11134 */
} cop_gradual_params;

/** Sparse structure selection. */
typedef struct cop_sss_params {
    unsigned structures; /* a bit 1u << COP_STRUCTURE_* for each kind that gets factors */
    double gamma;        /* weight of |lambda|_1; with a target, the first that is tried */
    int cost_aware;      /* 1: gamma of a structure times (its MACs / the mean structure's MACs) */
    cop_target target;   /* NONE: gamma as it is; else it is searched by bisection of log gamma, each try a search of
                          * its own, for the net that removal leaves */
    double reach;        /* SPARSITY: at least this; MACS, PARAMETERS: at most this many, below 1 a share of the dense
                          * net's */
    int tries;           /* at most this many searches; stops early once the result is within .02 of the target */
    cop_prox prox;
    double factor_rate;      /* eta of the factors */
    double factor_momentum;  /* mu */
    double factor_threshold; /* structures with lambda <= this are removed; 0: exactly the zeros */
    cop_recipe search;       /* training with factors */
    cop_recipe retrain;      /* after removal, usually with l1 */
    const double *threshold; /* [thresholds] final weight thresholds: |w| <= t becomes 0; each gives a point */
    int thresholds;          /* 0: one point, threshold 0 */
} cop_sss_params;

/** Compound: structures, then weights by gradual pruning. */
typedef struct cop_compound_params {
    const char *rank;  /* the criterion that ranks the weights */
    const char *first; /* what removes structures: "sss", or a criterion of filters or neurons, after whose cut the
                        * small net is trained by sss.search */
    double share;      /* of such a criterion: the share of each layer's units that it removes */
} cop_compound_params;

/** Scratch, the control of new weights. */
typedef struct cop_scratch_params {
    const char *like; /* the method whose structure is trained from new weights: its shrunk net, or its masks if it
                        * prunes weights */
    cop_recipe
        recipe; /* its epochs are those that the dense net was trained for, which count as spent: the net gets as
                        * many as make up the same training MACs */
} cop_scratch_params;

typedef struct cop_method_params {
    const char *method;
    const char *scope;            /* criterion methods: "layer" (default) or "global" */
    double sparsity;              /* criterion methods, compound: share asked */
    int64_t keep;                 /* units kept per layer at least */
    double macs;                  /* as in cop_prune_params; met at the last cut */
    int rounds;                   /* 0: prune only; n: prune and tune n times */
    cop_pace pace;                /* sparsity of round r of n: ONE_SHOT s; LINEAR s r/n; GEOMETRIC 1-(1-s)^(r/n);
                        * CUBIC s (1-(1-r/n)^3); GRADUAL: one round, for criteria of weights: at step t the cubic's
                        * share, (t - t0) / (t1 - t0) in place of r/n */
    cop_recipe tune;              /* of each round; dense-longer: of the extra training */
    cop_aggregate aggregate;      /* as in cop_prune_params, like limit */
    const cop_layer_limit *limit; /* [limits] */
    int limits;
    cop_recipe
        sparsify; /* training before the first cut, on the dense net; epochs 0 (default): none. With l1_scale and
                          * criterion bn-scale: Network Slimming (Liu et al. 2017, arXiv:1708.06519) */
    int shrink;   /* 1 (default): filter and neuron methods tune the shrunk net, which costs less and gives the
                          * same function; 0: masked-dense, as other tools do */
    cop_gradual_params gradual;
    cop_sss_params sss;
    cop_compound_params compound;
    cop_scratch_params scratch;
    uint64_t seed;
    const char *state; /* NULL, or how the names of files begin that keep the state of each training, as a recipe's
                        * checkpoint does: after E_CANCELLED, or a crash, the same run goes on from there and comes to
                        * the same nets. They are removed when the run is over, but not where on_point stopped it. None
                        * where gradual.revive is above 0, whatever the method */
} cop_method_params;
/** magnitude, layer-wise, 0 rounds; compound: sss first, lamp; SSS: neurons, gamma 1e-3, no target, 8 tries, apg, eta 0.1, mu 0.9, factor
 *  threshold 0. */
COP_API cop_method_params cop_method_params_default(void);

/** Named recipes, from src/method/recipes.def: "fast", "best". A recipe sets the method, its rank, scope and pace, and what of
 *  tune it has an opinion on; everything else of params stays as it was. It distils where tune.teacher is set.
 *  Errors: ARG, NOT_FOUND (nearest name). */
COP_API int cop_method_recipe_count(void);
COP_API const char *cop_method_recipe_name(int recipe); /* NULL: no such number */
COP_API const char *cop_method_recipe_help(int recipe);
COP_API cop_status cop_method_recipe_apply(cop_ctx *ctx, const char *name, cop_method_params *params);

/** One point of the accuracy-sparsity plane. */
typedef struct cop_point {
    int round;        /* 0: pruned without tuning; else 1-based */
    double level;     /* the method's own parameter: share of this round, or gamma (the one found) */
    double asked;     /* sparsity asked for; NaN for SSS */
    double threshold; /* of SSS's last step; NaN elsewhere */
    double sparsity, sparsity_conv, sparsity_dense;
    double accuracy_val, accuracy_test;
    double accuracy_pruned; /* validation, right after pruning, before tuning; NaN where it is the same */
    int64_t parameters, nonzero, macs, macs_effective;
    double epochs, seconds, train_macs; /* spent from the dense net to this point */
    cop_history history; /* of the training that led here since the point before; owned by the library */
} cop_point;

/** Called for each point reached, in order; pruned is valid during the call. Return nonzero to stop early. */
typedef int (*cop_point_fn)(void *user, const cop_point *point, const cop_net *pruned);

/** Run one method from a dense net, which is left untouched. *result (may be NULL) gets the last net.
 *  Errors: as cop_prune, cop_train, cop_shrink. Points reached before an error were reported. */
COP_API cop_status cop_method_run(const cop_net *dense, const cop_data *data, const cop_method_params *params,
                                  cop_point_fn on_point, void *user, cop_net **result);

/** (accuracy + sparsity) / 2 where accuracy >= floor, else 0. docs/methods.md, "Score". */
COP_API double cop_score(double accuracy, double sparsity, double floor);

/* ------------------------------------------------------------------------------------------------- study -- */

typedef struct cop_study_summary {
    int trials, done, skipped, diverged, failed; /* skipped: already in the store */
    int points;
    double dense_accuracy_test;
    double best_score, best_sparsity, best_accuracy_test; /* chosen on validation */
    char best_method[64];
    double hypervolume;
    double seconds;
} cop_study_summary;

/** Run or resume every trial of a study file into a directory, then write the report. Finished trials are skipped.
 *  Errors: FORMAT (file, line, nearest name), any of cop_data_open; a trial that diverges or is refused is recorded
 *  and the study goes on. summary may be NULL. */
COP_API cop_status cop_study_run(cop_ctx *ctx, const char *spec_path, const char *dir, cop_study_summary *summary);
/** Write trials.csv, frontier.csv, summary.json, frontier.svg/.png, report.html again from the store. */
COP_API cop_status cop_study_report(cop_ctx *ctx, const char *dir, cop_study_summary *summary);

/** One row of the store. Strings are valid during the callback. */
typedef struct cop_trial_row {
    const char *trial, *method, *status;
    uint64_t seed;
    double score;
    cop_point point; /* history left empty */
} cop_trial_row;
COP_API cop_status cop_study_list(cop_ctx *ctx, const char *dir, int (*on_row)(void *user, const cop_trial_row *row),
                                  void *user);

/* -------------------------------------------------------------------------------------------------- auto -- */

typedef struct cop_auto_params {
    const char *model; /* a preset, whose dense net is trained within the budget, or a trained model's file */
    const char *data;
    cop_data_options data_options;
    double budget;      /* seconds, all in all */
    double floor;       /* validation accuracy that must hold, in (0,1]; NaN: none */
    double lose;        /* or: what may be lost of the dense net's, in [0,1]; NaN: none */
    double sparsity;    /* at least this share; 0: any */
    int64_t parameters; /* nonzero ones left at most; 0: any */
    int64_t macs;       /* effective MACs left at most; 0: any */
    int64_t bytes;      /* of the net as sparse ONNX at most; 0: any */
    double ms;          /* median latency of the shrunk net, one image, at most; 0: any */
    int flip, shift;    /* augmentation of all training, as in cop_recipe */
    int erase;          /* 1: a preset that is trained 30 epochs or more loses squares of a third of the image's
                                    side, as in cop_recipe */
    uint64_t seed;
} cop_auto_params;
/** No bounds; flip 1, shift 2, erase 1, seed 1. */
COP_API cop_auto_params cop_auto_params_default(void);

typedef struct cop_auto_net { /* a net of the frontier */
    char label[128];          /* the trial: "lamp 0.985 global gradual, 30 epochs" */
    char file[160];           /* in the directory */
    cop_point point;          /* history left empty */
    double score;             /* on test */
    int64_t bytes;            /* 0 and NaN where they are not bound */
    double ms;
    int meets; /* 1: all bounds */
} cop_auto_net;
typedef struct cop_auto_summary {
    cop_ctx *ctx;
    cop_auto_net *net; /* [nets] not beaten in sparsity and validation accuracy, by rising sparsity */
    int nets, best;    /* best: index, chosen on validation; -1: none */
    int met;           /* 1: the best meets every bound */
    char missed[256];  /* else: the bound that binds, what was reached, by how much that misses; "" */
    double floor;      /* the accuracy under which a point scores nothing */
    int trials;
    double seconds; /* spent, earlier runs included */
} cop_auto_summary;
COP_API void cop_auto_summary_clear(cop_auto_summary *summary);

/** Find the best frontier within a time. It measures what an epoch costs, trains the dense net of a preset for a third of
 *  the budget, chooses among recipes by short trials (successive halving), and gives the rest to the best one: with floor
 *  or lose by bisection of log(1 - sparsity) for the sparsest net that holds it; with other bounds at the least level that
 *  meets them; else at the levels that raise the score (accuracy + sparsity) / 2. Choices are made on validation.
 *  dir becomes a study's directory, with auto.yaml, the study file that repeats it, nets/ with the frontier's nets, and
 *  best.safetensors. The same call goes on after an interruption; time spent counts. Bounds that no net meets are no
 *  error: summary.met says so. Time is kept by estimate, to some percent.
 *  Errors: those of cop_study_run; ARG and RANGE (params); REFUSED (budget too short for one trial, with the estimate; a
 *  directory of other parameters). summary may be NULL. */
COP_API cop_status cop_auto_run(cop_ctx *ctx, const cop_auto_params *params, const char *dir,
                                cop_auto_summary *summary);

/* ------------------------------------------------------------------------------------------- sensitivity -- */

typedef struct cop_sensitivity_params {
    const char *criterion; /* NULL: l2-filter for groups with a convolution, l2-neuron for the others */
    cop_aggregate aggregate;
    const double *level; /* [levels] shares of a group's units to remove, rising, each in (0,1) */
    int levels;
    double floor;  /* accuracy that must hold; NaN: that of the net as it is, less lose */
    double lose;   /* in [0,1] */
    uint64_t seed; /* of criteria that draw */
} cop_sensitivity_params;
COP_API cop_sensitivity_params cop_sensitivity_params_default(void); /* 0.1 to 0.9 by 0.1, sum, lose 0.01 */

typedef struct cop_sensitivity_group {
    char *name, *layers; /* of the first layer; all of them, separated by spaces */
    int64_t units;       /* that can go */
    double *accuracy;    /* [levels] on validation, when of this group alone a level's share is removed */
    double *sparsity;    /* [levels] of the whole net then */
    double advice;       /* the highest level up to which every level holds the floor; 0: none does */
} cop_sensitivity_group;
typedef struct cop_sensitivity {
    cop_ctx *ctx;
    cop_sensitivity_group *group; /* [groups] coupling groups that have units to remove, in the net's order */
    int groups;
    double *level; /* [levels] */
    int levels;
    double accuracy, floor;                    /* of the net as it is; that must hold */
    double advised_accuracy, advised_sparsity; /* with every group at its advice at once */
} cop_sensitivity;

/** Accuracy against sparsity, one coupling group at a time, without training; batch-norm statistics are computed anew
 *  before each figure. net is left alone. Costs groups x levels evaluations of the validation split.
 *  Errors: ARG and RANGE (levels, floor, lose), NOT_FOUND (criterion; no validation images), REFUSED (nothing can go),
 *  and those of cop_evaluate. */
COP_API cop_status cop_sensitivity_run(const cop_net *net, const cop_data *data, const cop_sensitivity_params *params,
                                       cop_sensitivity *result);
/** Write sensitivity.csv, sensitivity.svg and, with rsvg-convert (librsvg's program), sensitivity.png into a directory,
 *  which is made. Without a working rsvg-convert a warning goes to the log. Errors: IO, NOMEM. */
COP_API cop_status cop_sensitivity_write(const cop_sensitivity *result, const char *dir);
COP_API void cop_sensitivity_clear(cop_sensitivity *result);

/* ------------------------------------------------------------------------------------------------- bench -- */

typedef struct cop_bench_params {
    int64_t batch;
    int training; /* 1: whole training steps; 0: inference */
    cop_precision precision;
    int runs; /* measured; a tenth as many more warm up */
} cop_bench_params;
COP_API cop_bench_params cop_bench_params_default(void); /* batch 1, inference, F32, 50 runs */
typedef struct cop_bench_result {
    double median_ms, min_ms, max_ms; /* a batch (or step) */
    double images_per_second;         /* from the median */
    double primitives_ms;             /* sum of the oneDNN primitives' own medians, each timed alone */
    int threads;
    const char *precision; /* what was really used */
} cop_bench_result;
COP_API cop_status cop_bench(const cop_net *net, const cop_bench_params *params, cop_bench_result *result);

#ifdef __cplusplus
}
#endif
#endif
