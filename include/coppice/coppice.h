/* Coppice: prune convolutional neural networks, tune what is left, and find the accuracy-sparsity frontier.
 *
 * This header is the contract: what is not here does not exist. docs/embedding.md says how to build and link. A first
 * program, called as `first MODEL DATA OUT.safetensors`:
 *
 *     #include <coppice/coppice.h>
 *     #include <stdio.h>
 *
 *     int main(int argc, char **argv) {
 *         if (argc != 4) return 2;
 *         cop_ctx *ctx = NULL;
 *         cop_net *net = NULL;
 *         cop_data *data = NULL;
 *         cop_eval eval = {0};
 *         cop_prune_params prune = cop_prune_params_default();
 *         prune.criterion = "magnitude";
 *         prune.sparsity = 0.9;
 *         cop_recipe tune = cop_recipe_default();
 *         tune.epochs = 2;
 *
 *         cop_status status = cop_ctx_create(NULL, &ctx);
 *         if (!status) status = cop_net_load(ctx, argv[1], &net);
 *         if (!status) status = cop_data_open(ctx, argv[2], NULL, &data);
 *         if (!status) status = cop_prune(net, &prune, NULL);
 *         if (!status) status = cop_train(net, data, &tune, NULL);
 *         if (!status) status = cop_evaluate(net, data, COP_SPLIT_TEST, NULL, &eval);
 *         if (!status) status = cop_net_save(net, argv[3]);
 *         if (status)
 *             fprintf(stderr, "%s\n", cop_error(ctx));
 *         else
 *             printf("accuracy %.2f %%\n", 100 * eval.accuracy);
 *
 *         cop_data_destroy(data);
 *         cop_net_destroy(net);
 *         cop_ctx_destroy(ctx);
 *         return status != COP_OK;
 *     }
 *
 * CONVENTIONS
 *
 * Status. A function that can fail returns a cop_status. Its results come through out-parameters, which are NULL or
 * zeroed on failure. cop_error(ctx) then holds one line: what failed, where, the value, and what would help.
 *
 * NULL. A pointer may be NULL only where the function's comment says so. NULL elsewhere never crashes: a function
 * with a status returns COP_E_ARG and names the argument, as far as there is a context; others return NULL, 0, -1 or
 * NaN. Functions named _destroy and _clear accept NULL.
 *
 * Numbers. An index or value out of its range gives COP_E_RANGE. A list is read by cop_X_count() and cop_X_name(i);
 * a name or help of a number out of range is NULL. Enums have the same two functions.
 *
 * Ownership. Objects are made by _create, _open, _load, _clone and _preset, and freed by the matching _destroy. They
 * keep a pointer to their context, so destroy it last. What a function is given stays the caller's. It is not needed
 * after the call, but for a context's callbacks and their user pointers. What a function lends (names, infos) belongs
 * to the object and lives as long.
 *
 * Threads. A context, and all that was made with it, is used by one thread at a time. Different contexts may work in
 * different threads at once.
 *
 * Shapes are written [N,C,H,W]: N images, C channels, H rows, W columns. Kernels are [O,I,KH,KW], dense weights
 * [O,I]; O are outputs, I inputs. Arrays are row-major without gaps.
 *
 * Units. Accuracies, sparsities and shares are fractions in [0,1]. MACs are multiply-accumulates per image. Times are
 * in seconds, unless the name ends in ms. docs/methods.md, "Measures", defines them.
 *
 * Behaviour. Paths and texts are UTF-8. The library never prints, never exits, never reads the environment and never
 * changes the process's locale.
 *
 * VERSIONS
 *
 * The soname changes when a program that was compiled earlier could break: a function or field goes, a struct changes
 * its size, or a value changes its meaning. Within one soname, functions, statuses and enum values are only added,
 * the latter at the end, so don't rely on the last value of an enum.
 *
 * Option structs (those with a cop_X_default) begin with `size_t size` and end with `uint64_t reserved[8]`. Start
 * each from cop_X_default(): the function is inline, passes the size that the program was compiled with, and lets the
 * library that runs fill in the defaults, also of fields that this header does not know yet. New fields take the
 * place of reserved ones, so a struct keeps its size, and structs nest by value. A function refuses options whose
 * size is 0 or another version's, or whose reserve is not 0. Plain structs were chosen over setter functions because
 * they can be copied, nested and read at a glance, and one line per option is enough.
 *
 * Structs that a function fills in the caller's memory end with a reserve as well. Structs that the library only
 * lends by pointer (cop_data_info, cop_progress, cop_trial_row) may grow at their end: copy their fields, not the
 * whole. cop_allocator and cop_split_arrays never change. */
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
/** To compare: 100 for 0.1.0, 10203 for 1.2.3. */
#define COP_VERSION_NUMBER (COP_VERSION_MAJOR * 10000 + COP_VERSION_MINOR * 100 + COP_VERSION_PATCH)

#if defined(__GNUC__)
#define COP_API __attribute__((visibility("default")))
#else
#define COP_API
#endif

/** Declares, for a struct of options, cop_X_init, which fills in the defaults, and cop_X_default, which returns them.
 *  Bindings that cannot call inline functions call cop_X_init(&x, sizeof x). */
#define COP_OPTIONS(type)                                                                                            \
    COP_API void type##_init(type *options, size_t size);                                                            \
    static inline type type##_default(void) {                                                                        \
        type options;                                                                                                \
        type##_init(&options, sizeof options);                                                                       \
        return options;                                                                                              \
    }

/* ------------------------------------------------------------------------------------------------ status -- */

/** X(NAME, text): all statuses; one list makes the enum and the texts. */
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

/** The fixed text of a status, as in "malformed input". Never NULL: "unknown status" for other numbers. */
COP_API const char *cop_status_text(cop_status status);

/** The version of the library that runs, as in "0.1.0". */
COP_API const char *cop_version(void);
/** The same as a number: COP_VERSION_NUMBER of the library that runs. */
COP_API int cop_version_number(void);
/** One line on how the library was built and what it runs on: oneDNN's version, compiler, widest instruction set.
 *  Owns: the library; overwritten by the next call. */
COP_API const char *cop_build_info(void);

/* ----------------------------------------------------------------------------------------------- context -- */

/** What everything is made with: memory, threads, callbacks, the last error. */
typedef struct cop_ctx cop_ctx;

/** Memory functions; both or neither. alloc returns NULL where there is no memory. Several threads may call them when
 *  jobs is above 1, one at a time. */
typedef struct cop_allocator {
    void *(*alloc)(void *user, size_t size);
    void (*free)(void *user, void *block);
    void *user;
} cop_allocator;

typedef enum cop_log_level { COP_LOG_DEBUG, COP_LOG_INFO, COP_LOG_WARNING } cop_log_level;

/** A look at long work: reported about ten times a second, and at the end of each phase (done == total). */
typedef struct cop_progress {
    const char *phase;   /* "train", "tune", "evaluate", "load", ...; valid during the call */
    const char *label;   /* what is at work, e.g. a trial's name; "" where there is none */
    int64_t done, total; /* steps of this phase */
    int epoch, epochs;   /* 1-based; 0 where there are none */
    int trial, trials;   /* of a study, 1-based; 0 outside studies */
    double rate;         /* images per second */
    double loss;         /* running mean of the training loss; NaN before the first step */
    double accuracy;     /* running training accuracy; NaN before the first step */
    double seconds_left; /* of this phase; NaN while unknown */
} cop_progress;

typedef struct cop_ctx_options {
    size_t size;
    cop_allocator allocator; /* {0}: malloc and free */
    uint64_t seed;           /* of every random choice that has no seed of its own */
    int threads;             /* 0: one per processor that the process may use */
    int jobs;                /* trials of a study at a time, each on threads / jobs threads; 0: 1 */
    /* The callbacks are called by one thread at a time, though not always the same one. */
    void (*log)(void *user, cop_log_level level, const char *text); /* NULL: silent */
    void (*progress)(void *user, const cop_progress *progress);     /* NULL: none */
    /* Polled once per step; nonzero ends the work with COP_E_CANCELLED. NULL: never. A signal handler that the
     * program installs needs SA_ONSTACK (sigaltstack), since generated code uses the stack pointer as a register. */
    int (*cancel)(void *user);
    void *user; /* passed to log, progress and cancel */
    uint64_t reserved[8];
} cop_ctx_options;
/** Seed 1, all processors, silent. */
COP_OPTIONS(cop_ctx_options)

/** Make a context. options may be NULL: the defaults.
 *  Owns:    *ctx is the caller's; destroy it after everything that was made with it.
 *  Errors:  ARG (one memory function without the other), RANGE (threads, jobs), NOMEM. */
COP_API cop_status cop_ctx_create(const cop_ctx_options *options, cop_ctx **ctx);
COP_API void cop_ctx_destroy(cop_ctx *ctx);
/** The text of the context's last error, one line; "no error" where there was none. Never NULL, also for ctx NULL.
 *  Owns: the context; overwritten by the next error. */
COP_API const char *cop_error(const cop_ctx *ctx);

/* ----------------------------------------------------------------------------------------------- options -- */

/** The type of an option's field. */
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
    COP_OPTION_RESULT = 4,       /* changes the result: part of a checkpoint's identity */
    COP_OPTION_RUN = 8,          /* about the run, not the result: neither a key of study files nor in trial names */
    COP_OPTION_LATE = 16,        /* newer than stored trials: in a trial's name only where it is not the default */
    COP_OPTION_REQUIRED = 32,    /* in study files */
    COP_OPTION_LEVEL = 64,       /* study files may list values: each gives a trial */
    COP_OPTION_INLINE = 128,     /* a recipe whose options stand beside this one's neighbours in study files */
    COP_OPTION_UNUSED_AT_0 = 256 /* a recipe that does nothing with 0 epochs */
};

/** One option of a parameter struct: a row of the tables that defaults, checks, study files, command line and help
 *  are made from. The tables are read by cop_data_option(i), cop_recipe_option(i), cop_prune_option(i),
 *  cop_auto_option(i) and cop_method_option(method, i), which give NULL past the last row. Owns: the library;
 *  read-only. */
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
    const struct cop_option *table; /* of a recipe: its options, up to a NULL name */
    unsigned flags;
    const char *since; /* the version that brought it */
    uint64_t reserved[8];
} cop_option;

#define COP_OPTION_PROBLEM 512 /* bytes that the text of a problem or range needs */

/** The range or choices of an option as text: "(0,1000]", "sgd, adam, adamw"; "" where anything goes. */
COP_API void cop_option_range(const cop_option *option, char text[COP_OPTION_PROBLEM]);
/** Read text as a value of an option and store it at value, which has the option's type. A set or list is written
 *  A,B; of NUMBERS it reads one double. Returns 0 on failure, with the reason in problem: "NAME is -1; expected a
 *  number in (0,1000]", where name is how the caller calls the option; else 1. */
COP_API int cop_option_parse(const cop_option *option, const char *name, const char *text, void *value,
                             char problem[COP_OPTION_PROBLEM]);
/** The name in a list that is nearest to a word, for "did you mean"; NULL: none is near. */
COP_API const char *cop_nearest(const char *word, const char *(*name)(int i));

/* -------------------------------------------------------------------------------------------------- data -- */

/** A data set in memory: images and labels in three splits. It never changes once made. */
typedef struct cop_data cop_data;

#define COP_SPLIT_LIST(X) X(TRAIN, "train") X(VALIDATION, "validation") X(TEST, "test")
#define X(name, text) COP_SPLIT_##name,
typedef enum cop_split { COP_SPLIT_LIST(X) } cop_split;
#undef X
#define COP_SPLITS 3
#define COP_MAX_CHANNELS 16 /* of an image */
COP_API int cop_split_count(void);
COP_API const char *cop_split_name(int split);

/** The formats that cop_data_open reads: name, and what it looks for. */
COP_API int cop_data_format_count(void);
COP_API const char *cop_data_format_name(int format);
COP_API const char *cop_data_format_help(int format);

typedef struct cop_data_options {
    size_t size;
    const char *format;    /* a name of the list above; NULL: told by the path's contents */
    double validation;     /* share of train to set aside where the data has no validation split; in [0,0.9] */
    int64_t limit;         /* at most so many images per split, the first of a fixed shuffle; 0: all */
    int64_t height, width; /* image folders are resized to this; 0: the first image's size */
    uint64_t reserved[8];
} cop_data_options;
/** Format from the contents, validation 0.1, no limit. */
COP_OPTIONS(cop_data_options)
COP_API const cop_option *cop_data_option(int option);

typedef struct cop_data_info {
    const char *path, *format;
    int64_t channels, height, width;
    int classes;
    const char *const *class_name;           /* [classes] */
    int64_t images[COP_SPLITS];              /* 0 where there is no such split */
    const int64_t *class_images[COP_SPLITS]; /* [classes] images of each class */
    /* Of the training split, per channel; pixels scaled to [0,1], float images as they are. */
    double mean[COP_MAX_CHANNELS], std[COP_MAX_CHANNELS];
    size_t bytes;       /* held in memory */
    const char *digest; /* 16 hex digits that stand for the contents of all splits, their order and the class names */
} cop_data_info;

/** Read a data set into memory. options may be NULL: the defaults. Where the data has no validation split, one is
 *  carved from train by a fixed shuffle, which depends on the number of images alone: every seed sees the same
 *  splits.
 *  Owns:    *data is the caller's.
 *  Errors:  ARG, RANGE (options; labels), NOT_FOUND (path; format, with the nearest name), IO, FORMAT (file, place,
 *           value), SHAPE (images of different sizes), UNSUPPORTED, NOMEM. */
COP_API cop_status cop_data_open(cop_ctx *ctx, const char *path, const cop_data_options *options, cop_data **data);

typedef enum cop_pixel { COP_PIXEL_U8, COP_PIXEL_F32 } cop_pixel;        /* uint8_t in 0..255; float */
typedef enum cop_layout { COP_LAYOUT_NCHW, COP_LAYOUT_NHWC } cop_layout; /* planes; channels interleaved */

/** One split of a data set in the program's memory. */
typedef struct cop_split_arrays {
    int64_t count;        /* N; 0: there is no such split */
    const void *images;   /* [N,C,H,W] or [N,H,W,C], of the arrays' type */
    const int32_t *label; /* [N], each in [0,classes) */
} cop_split_arrays;

typedef struct cop_data_arrays {
    size_t size;
    const char *name; /* for messages and cop_data_info.path; NULL: "arrays" */
    int64_t channels, height, width;
    cop_pixel type; /* U8: scaled to [0,1] like files; F32: finite numbers, used as they are */
    cop_layout layout;
    cop_split_arrays split[COP_SPLITS]; /* TRAIN is needed */
    int classes;                        /* 0: the highest training label + 1 */
    const char *const *class_name;      /* [classes]; NULL: "0", "1", ... */
    uint64_t reserved[8];
} cop_data_arrays;
/** U8, NCHW, no images. */
COP_OPTIONS(cop_data_arrays)

/** Make a data set from arrays. options may be NULL; its format must be NULL, its height and width 0. Contents decide
 *  all: splits, statistics and digest are those of the same images in files.
 *  Owns:    arrays are copied; *data is the caller's.
 *  Errors:  ARG (images or labels missing), RANGE (sizes, labels, pixels that are not finite), FORMAT (no training
 *           images), UNSUPPORTED (height or width given), NOMEM. */
COP_API cop_status cop_data_create(cop_ctx *ctx, const cop_data_arrays *arrays, const cop_data_options *options,
                                   cop_data **data);
COP_API void cop_data_destroy(cop_data *data);
/** What there is to know about a data set; NULL for data NULL. Owns: data. */
COP_API const cop_data_info *cop_data_get_info(const cop_data *data);

/* --------------------------------------------------------------------------------------------------- net -- */

/** A net: a graph of ops with named parameters and masks. The graph never changes once built; functions that remove
 *  units return a new net. */
typedef struct cop_net cop_net;

/** The ops: name ("conv", "dense", ...) and one line with the formula. */
COP_API int cop_op_count(void);
COP_API const char *cop_op_name(int op);
COP_API const char *cop_op_help(int op);

/** The built-in nets: name and one line of description. */
COP_API int cop_preset_count(void);
COP_API const char *cop_preset_name(int preset);
COP_API const char *cop_preset_help(int preset);
/** Build a built-in net with freshly drawn weights.
 *  Shapes:  images [channels,height,width] -> [classes].
 *  Owns:    *net is the caller's.
 *  Errors:  ARG, NOT_FOUND (nearest name), RANGE (classes), SHAPE (op and shapes), NOMEM.
 *  Source:  docs/methods.md, "Initial weights". */
COP_API cop_status cop_net_preset(cop_ctx *ctx, const char *name, int64_t channels, int64_t height, int64_t width,
                                  int classes, uint64_t seed, cop_net **net);

/** To build a net by hand: make a graph, add ops, build. Each adding function takes the numbers of the nodes it reads
 *  and returns its own node's number >= 0, or -1 once anything has gone wrong. The first error is kept;
 *  cop_graph_build returns it. The last node added is the output. */
typedef struct cop_graph cop_graph;

typedef struct cop_conv_params {
    size_t size;
    int64_t filters;     /* O */
    int64_t kernel[2];   /* KH, KW */
    int64_t stride[2];   /* rows, columns; default 1 1 */
    int64_t dilation[2]; /* 1: none; default 1 1 */
    int64_t pad[4];      /* top, left, bottom, right; default 0 */
    int64_t groups;      /* default 1; == I for depthwise */
    int bias;            /* 1: has a bias; default 1 */
    uint64_t reserved[8];
} cop_conv_params;
typedef struct cop_pool_params {
    size_t size;
    int64_t kernel[2]; /* KH, KW */
    int64_t stride[2]; /* 0 0: the kernel's size */
    int64_t pad[4];    /* top, left, bottom, right */
    int count_pad;     /* average pooling: 1 divides by KH*KW also at the borders, 0 by what lies inside */
    uint64_t reserved[8];
} cop_pool_params;
COP_API void cop_conv_params_init(cop_conv_params *params, size_t size);
COP_API void cop_pool_params_init(cop_pool_params *params, size_t size);
/** A square kernel, no padding. */
static inline cop_conv_params cop_conv_params_default(int64_t filters, int64_t kernel) {
    cop_conv_params p;
    cop_conv_params_init(&p, sizeof p);
    p.filters = filters;
    p.kernel[0] = p.kernel[1] = kernel;
    return p;
}
/** A square kernel, which is also the stride; no padding. */
static inline cop_pool_params cop_pool_params_default(int64_t kernel) {
    cop_pool_params p;
    cop_pool_params_init(&p, sizeof p);
    p.kernel[0] = p.kernel[1] = p.stride[0] = p.stride[1] = kernel;
    return p;
}

/** Owns: *graph is the caller's, until cop_graph_build or cop_graph_destroy frees it. Errors: ARG, NOMEM. */
COP_API cop_status cop_graph_create(cop_ctx *ctx, cop_graph **graph);
/** The formulas of all ops are those of cop_op_help. Names are copied, unique, at most 512 bytes. Shapes below leave
 *  N out. A wrong shape gives COP_E_SHAPE and a value out of range COP_E_RANGE, both from cop_graph_build. */
COP_API int cop_graph_input(cop_graph *g, const char *name, int64_t channels, int64_t height, int64_t width);
COP_API int cop_graph_conv(cop_graph *g, const char *name, int src, const cop_conv_params *params); /* -> [O,H',W'] */
COP_API int cop_graph_dense(cop_graph *g, const char *name, int src, int64_t units, int bias);      /* [I] -> [O] */
COP_API int cop_graph_batchnorm(cop_graph *g, const char *name, int src, double epsilon);
COP_API int cop_graph_relu(cop_graph *g, const char *name, int src);
COP_API int cop_graph_relu6(cop_graph *g, const char *name, int src);
COP_API int cop_graph_leaky_relu(cop_graph *g, const char *name, int src, double slope);
COP_API int cop_graph_max_pool(cop_graph *g, const char *name, int src, const cop_pool_params *params);
COP_API int cop_graph_avg_pool(cop_graph *g, const char *name, int src, const cop_pool_params *params);
COP_API int cop_graph_global_pool(cop_graph *g, const char *name, int src); /* mean over H,W: [C,H,W] -> [C,1,1] */
COP_API int cop_graph_flatten(cop_graph *g, const char *name, int src);     /* [C,H,W] -> [C*H*W] */
COP_API int cop_graph_add(cop_graph *g, const char *name, int a, int b);    /* of one shape */
COP_API int cop_graph_concat(cop_graph *g, const char *name, const int *src, int count); /* along channels */
COP_API int cop_graph_dropout(cop_graph *g, const char *name, int src, double share);
COP_API int cop_graph_softmax(cop_graph *g, const char *name, int src);
/** One factor per structure: y[c] = lambda[c*factors/C] * x[c], lambda starting at 1. src must be a conv, dense or
 *  batch-norm that nothing else reads. factors: C (one per channel), a divisor of C (groups) or 1 (a block).
 *  Source: docs/methods.md, "SSS". */
COP_API int cop_graph_gate(cop_graph *g, const char *name, int src, int64_t factors);
/** Check the whole graph and draw weights from the seed.
 *  Owns:    frees the graph in any case; *net is the caller's.
 *  Errors:  the first of any call on the graph; ARG (a node that nothing reads), SHAPE (the output is not [classes]),
 *           NOMEM. */
COP_API cop_status cop_graph_build(cop_graph *g, uint64_t seed, cop_net **net);
COP_API void cop_graph_destroy(cop_graph *g); /* to give up before building */

/** A deep copy: graph, values, masks, classes, normalization, provenance. Owns: *copy is the caller's. Errors: ARG,
 *  NOMEM. */
COP_API cop_status cop_net_clone(const cop_net *net, cop_net **copy);
COP_API void cop_net_destroy(cop_net *net);
/** Read a model file (formats: below). The name's ending, else the first bytes, tell the format.
 *  Owns:    *net is the caller's.
 *  Errors:  ARG, IO, FORMAT, VERSION, UNSUPPORTED (what the net has that is not read), NOMEM. */
COP_API cop_status cop_net_load(cop_ctx *ctx, const char *path, cop_net **net);
/** Write a model file; the ending tells the format. The file is written under a temporary name, synced and renamed,
 *  so an existing one is replaced whole or not at all. .safetensors holds everything: graph, masks, classes,
 *  normalization, provenance.
 *  Errors:  ARG, IO, UNSUPPORTED (unknown ending; what the format cannot hold), NOMEM. */
COP_API cop_status cop_net_save(const cop_net *net, const char *path);
/** Draw new weights from the seed and remove all masks. Errors: ARG, NOMEM.
 *  Source: docs/methods.md, "Initial weights". */
COP_API cop_status cop_net_init(cop_net *net, uint64_t seed);

typedef struct cop_layer_info {
    const char *name, *op;        /* owned by the net */
    int rank;                     /* of the output: 3 for [C,H,W], 1 for [C] */
    int64_t shape[3];             /* of the output; entries past rank are 1 */
    int weight_rank;              /* 0: no weights */
    int64_t weight_shape[4];      /* [O,I/groups,KH,KW], [O,I] or [C] */
    int64_t parameters;           /* held now: weights, biases, scales, shifts; running statistics are not counted */
    int64_t parameters_dense;     /* of this layer in the original dense net */
    int64_t zeros;                /* of the parameters held now */
    int64_t masked;               /* held at 0 by a mask */
    double sparsity;              /* 1 - (parameters - zeros) / parameters_dense */
    int64_t macs, macs_effective; /* effective: without those of zero weights */
    uint64_t reserved[8];
} cop_layer_info;

/** The order of an image's channels. RGB: as the data has them. */
#define COP_CHANNEL_ORDER_LIST(X) X(RGB, "rgb") X(BGR, "bgr")
#define X(name, text) COP_CHANNEL_ORDER_##name,
typedef enum cop_channel_order { COP_CHANNEL_ORDER_LIST(X) } cop_channel_order;
#undef X
COP_API int cop_channel_order_count(void);
COP_API const char *cop_channel_order_name(int order);

typedef struct cop_net_info {
    int layers;                      /* ops, the input included */
    int64_t channels, height, width; /* of the input */
    int classes;
    const char *const *class_name; /* [classes], owned by the net; NULL where unknown */
    int64_t parameters, parameters_dense, zeros, nonzero;
    double sparsity, sparsity_conv, sparsity_dense; /* NaN: no such layer */
    int64_t macs, macs_dense, macs_effective;
    size_t bytes;   /* of the values in memory */
    int normalized; /* 1: mean and std are those that the net was trained with */
    double mean[COP_MAX_CHANNELS], std[COP_MAX_CHANNELS]; /* of pixels in [0,1] */
    cop_channel_order channel_order;                      /* in which the net takes an image's channels */
    const char *provenance; /* how the net came to be, one line per step; owned by the net */
    uint64_t reserved[8];
} cop_net_info;

/** Count a net's parameters, zeros and MACs; all 0 for net NULL. Source: docs/methods.md, "Measures". */
COP_API void cop_net_get_info(const cop_net *net, cop_net_info *info);
/** The same for layer i in [0, cop_net_info.layers), in the order of execution. Errors: ARG, RANGE. */
COP_API cop_status cop_net_get_layer(const cop_net *net, int i, cop_layer_info *info);

/** X(NAME, "name"): what a tensor is to its layer. Its own name is "<layer>.<kind>", as in "conv1.weight". */
#define COP_TENSOR_KIND_LIST(X)                                                                                      \
    X(WEIGHT, "weight") /* conv [O,I/groups,KH,KW], dense [O,I] */                                                   \
    X(BIAS, "bias")     /* [O] */                                                                                    \
    X(SCALE, "scale")   /* batch-norm's gamma [C] */                                                                 \
    X(SHIFT, "shift")   /* batch-norm's beta [C] */                                                                  \
    X(MEAN, "mean")     /* batch-norm's running mean [C] */                                                          \
    X(VAR, "var")       /* batch-norm's running variance [C] */                                                      \
    X(GATE, "gate")     /* SSS's factors [C], [groups] or [1] */
#define X(name, text) COP_TENSOR_##name,
typedef enum cop_tensor_kind { COP_TENSOR_KIND_LIST(X) } cop_tensor_kind;
#undef X
COP_API int cop_tensor_kind_count(void);
COP_API const char *cop_tensor_kind_name(int kind);

typedef struct cop_tensor_info {
    const char *name; /* owned by the net */
    cop_tensor_kind kind;
    int layer;        /* for cop_net_get_layer */
    int rank;         /* 1, 2 or 4 */
    int64_t shape[4]; /* entries past rank are 1 */
    int64_t count;    /* product of shape */
    int64_t masked;   /* values held at 0 by a mask */
    uint64_t reserved[8];
} cop_tensor_info;

/** A net's tensors, in the order of its layers. */
COP_API int cop_net_tensor_count(const cop_net *net);
/** The number of the tensor of this name; -1: there is none. */
COP_API int cop_net_find_tensor(const cop_net *net, const char *name);
/** Errors: ARG, RANGE. */
COP_API cop_status cop_net_get_tensor(const cop_net *net, int i, cop_tensor_info *info);
/** Copy a tensor's values out or in. Writing leaves masked values at 0.
 *  Shapes:  values [count], row-major in the tensor's shape; count must be the tensor's.
 *  Errors:  ARG, NOT_FOUND (nearest name), SHAPE (count), RANGE (not finite; a negative variance). On failure nothing
 *           is copied. */
COP_API cop_status cop_net_read_tensor(const cop_net *net, const char *name, float *values, int64_t count);
COP_API cop_status cop_net_write_tensor(cop_net *net, const char *name, const float *values, int64_t count);
/** Copy a tensor's mask out or in: 1 kept, 0 held at 0. Without a mask all are 1. Writing sets the masked values to
 *  0.
 *  Shapes:  as above; any nonzero byte counts as 1.
 *  Errors:  as above; writing: UNSUPPORTED (running statistics and factors are never masked), NOMEM.
 *  Source:  docs/methods.md, "Masks". */
COP_API cop_status cop_net_read_mask(const cop_net *net, const char *name, uint8_t *mask, int64_t count);
COP_API cop_status cop_net_write_mask(cop_net *net, const char *name, const uint8_t *mask, int64_t count);

/** The range that a net takes pixels in. */
#define COP_PIXEL_RANGE_LIST(X) X(UNIT, "0..1") X(SIGNED, "-1..1") X(BYTES, "0..255")
#define X(name, text) COP_PIXEL_RANGE_##name,
typedef enum cop_pixel_range { COP_PIXEL_RANGE_LIST(X) } cop_pixel_range;
#undef X
COP_API int cop_pixel_range_count(void);
COP_API const char *cop_pixel_range_name(int range);

/** What is done to an image before the net sees it: its channels are put in this order; its pixels, scaled to [0,1],
 *  are stretched to the range; then (x - mean[c]) / std[c], where c counts the net's channels. */
typedef struct cop_preprocessing {
    size_t size;
    cop_channel_order order;
    cop_pixel_range range;
    double mean[COP_MAX_CHANNELS], std[COP_MAX_CHANNELS]; /* in the range's units */
    uint64_t reserved[8];
} cop_preprocessing;
/** RGB, UNIT, mean 0, std 1. */
COP_OPTIONS(cop_preprocessing)
/** Treat the net's images like this from now on, here and in files. cop_net_info then has mean and std for pixels in
 *  [0,1].
 *  Errors:  ARG, RANGE (not finite, std <= 0), SHAPE (BGR of an image without 3 channels). */
COP_API cop_status cop_net_set_preprocessing(cop_net *net, const cop_preprocessing *preprocessing);

/* -------------------------------------------------------------------------------------------- model files -- */

/** The formats of model files: ending (".safetensors", ...), what is read and written, and 1 where cop_net_save
 *  writes it. */
COP_API int cop_model_format_count(void);
COP_API const char *cop_model_format_ending(int format);
COP_API const char *cop_model_format_help(int format);
COP_API int cop_model_format_writes(int format);
/** The ONNX ops that are read, and what of each; help is "" where there is no limit to tell. */
COP_API int cop_onnx_op_count(void);
COP_API const char *cop_onnx_op_name(int op);
COP_API const char *cop_onnx_op_help(int op);

/** What a model file holds. ARCHITECTURE: a graph without weights, as a Keras model's JSON is; cop_net_load reads it
 *  and draws weights from the context's seed. WEIGHTS: for cop_net_load_weights and cop_weights_open. */
typedef enum cop_model_kind { COP_MODEL_NET, COP_MODEL_WEIGHTS, COP_MODEL_ARCHITECTURE } cop_model_kind;
/** Errors: ARG, IO, FORMAT, UNSUPPORTED, NOMEM. */
COP_API cop_status cop_model_get_kind(cop_ctx *ctx, const char *path, cop_model_kind *kind);

/** The built-in maps, from the names of others' weights to a preset's. */
COP_API int cop_weight_map_count(void);
COP_API const char *cop_weight_map_name(int map);
COP_API const char *cop_weight_map_help(int map);
/** Fill a net from a file of weights alone. Keras .h5: by the layers' names, else by order, and by shapes.
 *  safetensors: by names, which map translates first: a file of rules (docs/safetensors.md) or a built-in map's name.
 *  map may be NULL: the names are the net's own, with its endings or PyTorch's. On failure some weights may have
 *  changed.
 *  Errors:  ARG, IO, FORMAT (the tensors left over, the parameters left empty), NOT_FOUND, UNSUPPORTED, NOMEM. */
COP_API cop_status cop_net_load_weights(cop_net *net, const char *path, const char *map);

/** A file of weights alone, to look at. Layers have the names and shapes that the file gives them. */
typedef struct cop_weights cop_weights;
/** Owns: *weights is the caller's. Errors: ARG, IO, FORMAT, UNSUPPORTED (not weights alone), NOMEM. */
COP_API cop_status cop_weights_open(cop_ctx *ctx, const char *path, cop_weights **weights);
COP_API void cop_weights_destroy(cop_weights *weights);
/** Like cop_net_get_info, with layers, parameters, zeros, nonzero, sparsities and bytes; MACs are -1, the rest 0. */
COP_API void cop_weights_get_info(const cop_weights *weights, cop_net_info *info);
/** Like cop_net_get_layer; the rank of the weights tells the op: "conv", "dense", else "". Errors: ARG, RANGE. */
COP_API cop_status cop_weights_get_layer(const cop_weights *weights, int i, cop_layer_info *info);

typedef struct cop_save_options {
    size_t size;
    int sparse;       /* .onnx: 1: kernels become sparse initializers where that is smaller */
    const char *like; /* .h5: write into a copy of this Keras file of the same layers, with its names; NULL: no */
    uint64_t reserved[8];
} cop_save_options;
/** Neither. */
COP_OPTIONS(cop_save_options)
/** cop_net_save with options, which may be NULL. What a format drops (dropout in ONNX) is logged.
 *  Errors:  as cop_net_save; ARG (an option of another format), FORMAT (like has other shapes). */
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
COP_API int cop_optimizer_count(void);
COP_API const char *cop_optimizer_name(int optimizer);
COP_API int cop_schedule_count(void);
COP_API const char *cop_schedule_name(int schedule);
COP_API int cop_precision_count(void);
COP_API const char *cop_precision_name(int precision);

/** How to train. The same recipe gives the same bytes for the same build, instruction set, threads and seed.
 *  Source: docs/methods.md, "Training". */
typedef struct cop_recipe {
    size_t size;
    double epochs; /* passes over the training split; fractions are allowed */
    int64_t batch; /* images per step; a smaller last batch is dropped */
    cop_optimizer optimizer;
    double rate;                  /* peak learning rate */
    double momentum;              /* SGD: Nesterov's */
    double beta1, beta2, epsilon; /* Adam, AdamW */
    double decay;                 /* weight decay of kernels: decoupled for AdamW, an L2 gradient for the others */
    double l1;                    /* adds l1 * sum |w| over conv and dense kernels to the loss */
    double l1_scale;              /* adds l1_scale * sum |scale| over batch-norm scales (Network Slimming) */
    double l2;                    /* adds l2 * sum w^2 over conv and dense kernels */
    double l2_conv;               /* adds l2_conv * sum w^2 over conv kernels alone */
    cop_schedule schedule;
    double warmup;             /* ONE_CYCLE, COSINE: share of the steps in which the rate rises */
    double step_epochs[4];     /* STEP: the rate is multiplied by step_factor after each; 0 ends the list */
    double step_factor;        /* STEP */
    int restarts;              /* ONE_CYCLE, COSINE: the schedule restarts this many times, in equal parts */
    int flip;                  /* 1: mirror half of the images left to right */
    int shift;                 /* shift images by up to this many pixels in both directions */
    int erase;                 /* erase a square with sides of this many pixels, at a random place (cutout) */
    double dropout;            /* factor on the shares of the net's dropout layers */
    double average;            /* decay of running averages, which the net ends with; 0: none */
    double label_smoothing;    /* share of the label that is spread over all classes */
    const cop_net *teacher;    /* distil from this net; NULL: no. The loss is (1-a) CE + a T^2 KL */
    double distil_share;       /* a */
    double distil_temperature; /* T */
    cop_precision precision;
    uint64_t seed;          /* of order, augmentation and dropout */
    const char *checkpoint; /* NULL, or a file that keeps the state after each epoch and on interruption */
    int resume;             /* 1: go on from the checkpoint if it exists, to the same bytes */
    double max_seconds;     /* stop after the epoch that passes this time; 0: no limit */
    int evaluate_every;     /* epochs between validation figures in the history; 0: only after the last */
    uint64_t reserved[8];
} cop_recipe;
/** 10 epochs, batch 128, AdamW 2e-3 with decay 1e-2, one-cycle, no augmentation, precision AUTO, seed 1. */
COP_OPTIONS(cop_recipe)
/** In the order of help. */
COP_API const cop_option *cop_recipe_option(int option);

/** The learning rate at step t of n, counted from 0; NaN for a recipe that is refused.
 *  Units:   the recipe's rate. steps_per_epoch is used by STEP alone.
 *  Source:  docs/methods.md, "Schedules". */
COP_API double cop_schedule_rate(const cop_recipe *recipe, int64_t t, int64_t n, int64_t steps_per_epoch);

typedef struct cop_epoch {
    int epoch;                                   /* 1-based */
    double rate;                                 /* learning rate at its end */
    double loss, accuracy;                       /* training means over the epoch */
    double accuracy_validation, loss_validation; /* NaN where not computed */
    double seconds;                              /* since the start of training */
    uint64_t reserved[8];
} cop_epoch;

typedef struct cop_history {
    cop_epoch *epoch; /* [count], owned by the history; cop_history_clear frees it */
    int count;
    int64_t images, steps; /* trained on */
    double seconds;        /* of training alone */
    double macs;           /* training MACs: 3 x the net's MACs x images */
    int resumed;           /* 1: went on from a checkpoint */
    cop_ctx *ctx;          /* that owns the memory */
    uint64_t reserved[8];
} cop_history;
COP_API void cop_history_clear(cop_history *history);

/** Train a net in place on the training split; masked values stay exactly 0. history may be NULL; else it is
 *  overwritten. On COP_E_CANCELLED the net holds the state reached, and the checkpoint is written; on COP_E_DIVERGED
 *  (the loss is not finite) it holds the last state.
 *  Shapes:  the data's images and classes must be the net's.
 *  Owns:    *history is the caller's to clear.
 *  Errors:  ARG, RANGE (recipe), SHAPE, NOT_FOUND (no training images), FORMAT (checkpoint), NOMEM, IO, DIVERGED,
 *           CANCELLED.
 *  Source:  docs/methods.md, "Training". */
COP_API cop_status cop_train(cop_net *net, const cop_data *data, const cop_recipe *recipe, cop_history *history);

typedef struct cop_eval {
    int64_t images, correct;
    double accuracy, loss; /* top-1; mean cross-entropy in nats */
    double seconds;
    uint64_t reserved[8];
} cop_eval;
typedef struct cop_eval_options {
    size_t size;
    int64_t batch;
    cop_precision precision;
    int64_t *confusion; /* NULL, or [classes,classes], row = true class; overwritten */
    uint64_t reserved[8];
} cop_eval_options;
/** Batch 256, F32, no confusion matrix. */
COP_OPTIONS(cop_eval_options)
/** Accuracy and loss on a split, with the net's own normalization if it has one, else the data's. options may be
 *  NULL.
 *  Shapes:  as cop_train.
 *  Errors:  ARG, SHAPE, NOT_FOUND (the split is empty), UNSUPPORTED (precision), NOMEM, CANCELLED. */
COP_API cop_status cop_evaluate(const cop_net *net, const cop_data *data, cop_split split,
                                const cop_eval_options *options, cop_eval *eval);

/** The net's outputs for images that are already normalized, in f32. They are what the last op gives: logits, or
 *  probabilities after a softmax.
 *  Shapes:  x [n,C,H,W] -> y [n,classes].
 *  Owns:    writes the caller's y.
 *  Errors:  ARG, UNSUPPORTED, NOMEM. */
COP_API cop_status cop_predict(const cop_net *net, const float *x, int64_t n, float *y);

/* ------------------------------------------------------------------------------------------------- prune -- */

/** The criteria that rank weights, filters or neurons. Source: docs/methods.md, "Criteria". */
COP_API int cop_criterion_count(void);
COP_API const char *cop_criterion_name(int criterion);
COP_API const char *cop_criterion_help(int criterion);

/** How the scores of coupled channels make one. */
#define COP_AGGREGATE_LIST(X) X(SUM, "sum") X(MEAN, "mean")
#define X(name, text) COP_AGGREGATE_##name,
typedef enum cop_aggregate { COP_AGGREGATE_LIST(X) } cop_aggregate;
#undef X
COP_API int cop_aggregate_count(void);
COP_API const char *cop_aggregate_name(int aggregate);

/** A floor and a cap for one layer, or for all whose name fits a pattern. Coupled layers obey the tightest of theirs.
 *  A floor that the asked share would break is refused layer by layer; a cap takes what it allows, and with scope
 *  "global" other layers give more. Source: docs/methods.md, "Scopes". */
typedef struct cop_layer_limit {
    const char *layer; /* a layer's name, or a pattern with * ? [...] */
    int64_t keep;      /* units (weights, filters or neurons) kept at least; 0: as cop_prune_params.keep */
    double most;       /* share of its units removed at most; 1: no cap */
    uint64_t reserved[8];
} cop_layer_limit;

typedef struct cop_prune_params {
    size_t size;
    const char *criterion; /* a name of the list above */
    const char *scope;     /* "layer": the lowest share of each layer; "global": the lowest of all layers together */
    double sparsity;       /* share of what the criterion ranks (weights, filters, neurons), in [0,1) */
    int64_t keep;          /* units kept in every layer at least, with scope "global" too */
    uint64_t seed;         /* of the criteria that draw */
    double macs;           /* criteria of weights, scope "global": effective MACs left at most; below 1 a share of the
                            * dense net's; 0: no bound */
    double macs_at;        /* the sparsity at which that bound holds, where this is a cut on the way; else 0 */
    const cop_data *data;  /* for criteria that look at data; else NULL */
    cop_aggregate aggregate;
    const cop_layer_limit *limit; /* [limits] */
    int limits;
    uint64_t reserved[8];
} cop_prune_params;
/** magnitude, layer, sparsity 0, keep 1, sum, no limits. */
COP_OPTIONS(cop_prune_params)
COP_API const cop_option *cop_prune_option(int option);

typedef struct cop_prune_report {
    int64_t ranked, removed; /* weights, filters or neurons: how many were ranked, how many are now at 0 */
    double asked, obtained;  /* share asked; sparsity of the whole net */
    const char *idle;        /* the layer of the first limit, of params, that fits no ranked layer; NULL: none */
    uint64_t reserved[8];
} cop_prune_report;

/** Mask, and set to 0, what a criterion ranks lowest. What was masked before stays masked and counts towards the
 *  share. A pruned filter or neuron loses its weights, its bias, the following batch-norm's scale and shift, and the
 *  weights that read it. The net keeps its shapes: cop_shrink removes what is masked. report may be NULL.
 *  Errors:  ARG (a bound that nothing obeys; no data for a criterion that needs it), RANGE, NOT_FOUND (nearest
 *           criterion; a limit that fits no layer), REFUSED (a layer would fall under its floor: its name and the
 *           highest share that works; a bound on MACs that cannot be reached), NOMEM. The net is unchanged on
 *           failure.
 *  Source:  docs/methods.md, "Scopes". */
COP_API cop_status cop_prune(cop_net *net, const cop_prune_params *params, cop_prune_report *report);

/** The coupling groups of a net: layers whose output channels can only be removed together.
 *  Source: docs/methods.md, "Coupling". */
typedef struct cop_groups cop_groups;
typedef struct cop_group_info {
    const char *name;         /* of its first layer */
    const char *const *layer; /* [layers] its convs and denses (and the input), in the net's order */
    int layers;
    int64_t units;            /* sets of coupled channels that can be removed */
    int64_t channels;         /* of all layers together, fixed ones included */
    int64_t fixed;            /* sets that always stay */
    const char *fixed_by;     /* the first op that ties them, or the net's input or output; NULL: nothing is fixed */
    int64_t parameters, macs; /* of its layers */
    uint64_t reserved[8];
} cop_group_info;
/** Find them. Owns: *groups is the caller's, and independent of the net. Errors: ARG, NOMEM. */
COP_API cop_status cop_groups_create(const cop_net *net, cop_groups **groups);
COP_API int cop_groups_count(const cop_groups *groups);
/** Group i, ordered by first layer. Owns: groups, what info points to. Errors: ARG, RANGE. */
COP_API cop_status cop_groups_get(const cop_groups *groups, int i, cop_group_info *info);
COP_API void cop_groups_destroy(cop_groups *groups);

typedef struct cop_shrink_report {
    int64_t parameters_before, parameters_after, macs_before, macs_after;
    int64_t units_removed; /* channels and neurons */
    double max_difference; /* max |masked - shrunk| over outputs of random inputs, divided by max |masked| */
    uint64_t reserved[8];
} cop_shrink_report;
/** Make a smaller net that computes the same function, without the dead filters, neurons and inputs. Residual
 *  branches that give constants go too where their sum can be put elsewhere exactly. What remains keeps its masks,
 *  and the dense totals that sparsity is measured against. report may be NULL.
 *  Owns:    *shrunk is the caller's; net is unchanged.
 *  Errors:  ARG, NOMEM, UNSUPPORTED, DIVERGED (the outputs are not finite), INTERNAL (the outputs differ).
 *  Source:  docs/methods.md, "Shrink". */
COP_API cop_status cop_shrink(const cop_net *net, cop_net **shrunk, cop_shrink_report *report);
/** The same, but dead channels and neurons stay where that makes a layer's number a multiple (or all it had). Vector
 *  units may run that faster; cop_bench tells. Errors: also RANGE (multiple in [1,4096]). */
COP_API cop_status cop_shrink_rounded(const cop_net *net, int64_t multiple, cop_net **shrunk,
                                      cop_shrink_report *report);

/* ------------------------------------------------------------------------------------------------ method -- */

/** The methods: every criterion (rounds of pruning and tuning), "sss", "compound" (structures, then weights), and the
 *  controls "random", "dense-longer" and "scratch". */
COP_API int cop_method_count(void);
COP_API const char *cop_method_name(int method);
COP_API const char *cop_method_help(int method);
/** Methods of one family have the same options. Its name: "sss", or "criterion" for all that rank by one. */
COP_API const char *cop_method_family(int method);
/** The options of a method; their offsets are into cop_method_params. */
COP_API const cop_option *cop_method_option(int method, int option);

/** How rounds approach the sparsity; GRADUAL: within one training. Source: docs/methods.md, "Pace". */
#define COP_PACE_LIST(X)                                                                                             \
    X(ONE_SHOT, "one-shot") X(LINEAR, "linear") X(GEOMETRIC, "geometric") X(CUBIC, "cubic") X(GRADUAL, "gradual")
#define X(name, text) COP_PACE_##name,
typedef enum cop_pace { COP_PACE_LIST(X) } cop_pace;
#undef X
COP_API int cop_pace_count(void);
COP_API const char *cop_pace_name(int pace);
/** How SSS's factors step. Source: docs/methods.md, "SSS", like the two below. */
#define COP_PROX_LIST(X) X(APG, "apg") X(SUBGRADIENT, "subgradient")
#define X(name, text) COP_PROX_##name,
typedef enum cop_prox { COP_PROX_LIST(X) } cop_prox;
#undef X
COP_API int cop_prox_count(void);
COP_API const char *cop_prox_name(int prox);
/** What SSS gives factors to: a conv channel or dense unit; a group of a grouped conv; a residual block. */
#define COP_STRUCTURE_LIST(X) X(NEURON, "neuron") X(GROUP, "group") X(BLOCK, "block")
#define X(name, text) COP_STRUCTURE_##name,
typedef enum cop_structure { COP_STRUCTURE_LIST(X) } cop_structure;
#undef X
COP_API int cop_structure_count(void);
COP_API const char *cop_structure_name(int structure);
/** What SSS's gamma is searched for. */
#define COP_TARGET_LIST(X) X(NONE, "none") X(SPARSITY, "sparsity") X(MACS, "macs") X(PARAMETERS, "parameters")
#define X(name, text) COP_TARGET_##name,
typedef enum cop_target { COP_TARGET_LIST(X) } cop_target;
#undef X
COP_API int cop_target_count(void);
COP_API const char *cop_target_name(int target);

/** Gradual pruning (pace GRADUAL, and compound): weights go within one training. */
typedef struct cop_gradual_params {
    double begin, end; /* shares of the training between which weights are pruned */
    double revive;     /* share of each kernel's nonzero weights that each cut exchanges for zeros of the largest
                        * gradient; falls to 0 at `end` as a cosine. Source: docs/methods.md, "Revive" */
    uint64_t reserved[8];
} cop_gradual_params;

/** Sparse structure selection. Source: docs/methods.md, "SSS". */
typedef struct cop_sss_params {
    unsigned structures; /* a bit 1u << COP_STRUCTURE_* for each kind that gets factors */
    double gamma;        /* weight of |lambda|_1; with a target, the first that is tried */
    int cost_aware;      /* 1: gamma of a structure times (its MACs / the mean structure's MACs) */
    cop_target target;   /* NONE: gamma as it is; else gamma is searched by bisection of its logarithm, each try a
                          * training of its own, for the net that removal leaves */
    double reach;        /* SPARSITY: at least this; MACS, PARAMETERS: at most this many, below 1 a share of the dense
                          * net's */
    int tries;           /* at most this many; stops early once the result is within .02 of the target */
    cop_prox prox;
    double factor_rate;      /* eta of the factors */
    double factor_momentum;  /* mu */
    double factor_threshold; /* structures with lambda <= this are removed; 0: exactly the zeros */
    cop_recipe search;       /* training with factors */
    cop_recipe retrain;      /* after removal, usually with l1 */
    const double *threshold; /* [thresholds] final weight thresholds: |w| <= t becomes 0; each gives a point */
    int thresholds;          /* 0: one point, threshold 0 */
    uint64_t reserved[8];
} cop_sss_params;

/** Compound: structures, then weights by gradual pruning. Source: docs/methods.md, "Compound". */
typedef struct cop_compound_params {
    const char *rank;  /* the criterion that ranks the weights */
    const char *first; /* what removes structures: "sss", or a criterion of filters or neurons, after whose cut the
                        * small net is trained by sss.search */
    double share;      /* of such a criterion: the share of each layer's units that it removes */
    uint64_t reserved[8];
} cop_compound_params;

/** Scratch, the control of new weights. Source: docs/methods.md, "Controls". */
typedef struct cop_scratch_params {
    const char *like; /* the method whose structure is trained from new weights: its shrunk net, or its masks if it
                       * prunes weights */
    /* Its epochs are those that the dense net was trained for. They count as spent: the net gets as many as make up
     * the same training MACs. */
    cop_recipe recipe;
    uint64_t reserved[8];
} cop_scratch_params;

typedef struct cop_method_params {
    size_t size;
    const char *method;
    const char *scope; /* "layer" or "global"; studies rank compound's weights globally unless they say otherwise */
    double sparsity;   /* criterion methods, compound: share asked */
    int64_t keep;      /* units kept per layer at least */
    double macs;       /* as in cop_prune_params; holds at the last cut */
    int rounds;        /* 0: prune only; n: prune and tune n times */
    cop_pace pace;     /* GRADUAL: one round, for criteria of weights */
    cop_recipe tune;   /* of each round; dense-longer: of the extra training */
    cop_aggregate aggregate;      /* as in cop_prune_params, like limit */
    const cop_layer_limit *limit; /* [limits] */
    int limits;
    /* Training of the dense net before the first cut; epochs 0: none. With l1_scale and criterion bn-scale it is
     * Network Slimming. */
    cop_recipe sparsify;
    int shrink; /* 1: filter and neuron methods tune the shrunk net, the same function at less cost; 0: the masked
                 * one, as other tools do */
    cop_gradual_params gradual;
    cop_sss_params sss;
    cop_compound_params compound;
    cop_scratch_params scratch;
    uint64_t seed;
    /* NULL, or how the names of files begin that keep the state of each training, as a recipe's checkpoint does.
     * After COP_E_CANCELLED or a crash the same run goes on from there to the same nets. The files go when the run is
     * over, but stay where on_point stopped it. Nothing is kept where gradual.revive is above 0. */
    const char *state;
    uint64_t reserved[8];
} cop_method_params;
/** magnitude, layer, 0 rounds, one-shot, shrink 1; SSS: neurons, gamma 1e-3, 8 tries, apg; compound: sss first,
 *  lamp. */
COP_OPTIONS(cop_method_params)

/** Named recipes, such as "fast" and "best". */
COP_API int cop_method_recipe_count(void);
COP_API const char *cop_method_recipe_name(int recipe);
COP_API const char *cop_method_recipe_help(int recipe);
/** Set method, rank, scope and pace, and of tune what the recipe has an opinion on; the rest of params stays. It
 *  distils where tune.teacher is set. ctx may be NULL: then there is no text of an error.
 *  Errors:  ARG, NOT_FOUND (nearest name).
 *  Source:  docs/methods.md, "Named recipes". */
COP_API cop_status cop_method_recipe_apply(cop_ctx *ctx, const char *name, cop_method_params *params);

/** One point of the accuracy-sparsity plane. */
typedef struct cop_point {
    int round;        /* 0: pruned without tuning; else 1-based */
    double level;     /* the method's own parameter: share of this round, or gamma (the one found) */
    double asked;     /* sparsity asked for; NaN for SSS */
    double threshold; /* of SSS's last step; NaN elsewhere */
    double sparsity, sparsity_conv, sparsity_dense;
    double accuracy_val, accuracy_test;
    double accuracy_pruned; /* on validation, after pruning and before tuning; NaN where it is the same */
    int64_t parameters, nonzero, macs, macs_effective;
    double epochs, seconds, train_macs; /* spent from the dense net to this point */
    cop_history history;                /* of the training since the point before; owned by the library */
    uint64_t reserved[8];
} cop_point;

/** Called for each point reached, in order. point and pruned are valid during the call. Return nonzero to stop
 *  early. */
typedef int (*cop_point_fn)(void *user, const cop_point *point, const cop_net *pruned);

/** Run one method from a dense net, which is left unchanged. on_point and result may be NULL. Points reached before
 *  an error were reported.
 *  Owns:    *result, the last net, is the caller's.
 *  Errors:  as cop_prune, cop_train and cop_shrink. */
COP_API cop_status cop_method_run(const cop_net *dense, const cop_data *data, const cop_method_params *params,
                                  cop_point_fn on_point, void *user, cop_net **result);

/** (accuracy + sparsity) / 2 where accuracy >= floor, else 0. Source: docs/methods.md, "Score". */
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
    uint64_t reserved[8];
} cop_study_summary;

/** Run the trials of a study file that the directory's store does not have yet, then write the report. A trial that
 *  diverges or is refused is recorded, and the study goes on. summary may be NULL.
 *  Errors:  ARG, FORMAT (file, line, column; nearest name), CANCELLED (the same call goes on from there), IO, NOMEM,
 *           and those of cop_data_open and cop_net_load.
 *  Source:  docs/methods.md, "Honest evaluation". */
COP_API cop_status cop_study_run(cop_ctx *ctx, const char *spec_path, const char *dir, cop_study_summary *summary);
/** Write trials.csv, frontier.csv, summary.json, frontier.svg and .png, and report.html again from the store. summary
 *  may be NULL. Errors: ARG, NOT_FOUND (no study), VERSION, IO, NOMEM. */
COP_API cop_status cop_study_report(cop_ctx *ctx, const char *dir, cop_study_summary *summary);

/** One row of the store; valid during the call. */
typedef struct cop_trial_row {
    const char *trial, *method, *status; /* "done", "diverged", ... */
    uint64_t seed;
    double score;    /* on test; NaN for trials that are not done */
    cop_point point; /* history left empty */
} cop_trial_row;
/** Call on_row for each point of each trial, and once for each trial without points, until it returns nonzero.
 *  Errors:  as cop_study_report. */
COP_API cop_status cop_study_list(cop_ctx *ctx, const char *dir, int (*on_row)(void *user, const cop_trial_row *row),
                                  void *user);

/* -------------------------------------------------------------------------------------------------- auto -- */

typedef struct cop_auto_params {
    size_t size;
    const char *model; /* a preset, whose dense net is trained within the budget, or a trained model's file */
    const char *data;  /* as cop_data_open's path */
    cop_data_options data_options;
    double budget;      /* seconds, for everything; needed */
    double floor;       /* validation accuracy that must hold, in (0,1]; NaN: none. Not together with lose */
    double lose;        /* or: how much of the dense net's may be lost, in [0,1]; NaN: none */
    double sparsity;    /* at least this; 0: any */
    int64_t parameters; /* nonzero ones left at most; 0: any */
    int64_t macs;       /* effective MACs left at most; 0: any */
    int64_t bytes;      /* of the net as sparse ONNX at most; 0: any */
    double ms;          /* median latency of the shrunk net for one image at most; 0: any */
    int flip, shift;    /* augmentation of all training, as in cop_recipe */
    int erase;          /* 1: a preset that is trained for 30 epochs or more erases squares of a third of the side */
    uint64_t seed;
    uint64_t reserved[8];
} cop_auto_params;
/** No bounds; flip 1, shift 2, erase 1, seed 1. Set model, data and budget. */
COP_OPTIONS(cop_auto_params)
/** The options of cop_auto_params; NULL: no such number. */
COP_API const cop_option *cop_auto_option(int i);

typedef struct cop_auto_net { /* a net of the frontier */
    char label[128];          /* the trial: "lamp 0.985 global gradual, 30 epochs" */
    char file[160];           /* in the directory */
    cop_point point;          /* history left empty */
    double score;             /* on test */
    int64_t bytes;            /* 0, and ms NaN, where they are not bound */
    double ms;
    int meets; /* 1: all bounds */
    uint64_t reserved[8];
} cop_auto_net;
typedef struct cop_auto_summary {
    cop_ctx *ctx;      /* that owns the memory */
    cop_auto_net *net; /* [nets] not beaten in sparsity and validation accuracy, by rising sparsity; owned */
    int nets, best;    /* best: index, chosen on validation; -1: none */
    int met;           /* 1: the best satisfies every bound */
    char missed[256];  /* else: the bound that was missed, what was reached, and the distance; "" */
    double floor;      /* the accuracy under which a point scores nothing */
    int trials;
    double seconds; /* spent, earlier runs included */
    uint64_t reserved[8];
} cop_auto_summary;
COP_API void cop_auto_summary_clear(cop_auto_summary *summary);

/** Find the best frontier within a time. The dense net of a preset takes a third of the budget. Short trials choose
 *  among recipes by successive halving, and the best recipe gets the rest: with floor or lose it bisects log(1 -
 *  sparsity) for the sparsest net that holds it; with other bounds it takes the least level that satisfies them; else
 *  the levels that raise the score. Every choice is made on validation.
 *  dir becomes a study's directory. It also holds auto.yaml (the study file that repeats it), nets/ (the frontier's
 *  nets) and best.safetensors. The same call goes on after an interruption; time spent counts. Time is kept by
 *  estimate, to a few percent. Bounds that no net satisfies are no error: summary.met says so. summary may be NULL.
 *  Owns:    *summary is the caller's to clear.
 *  Errors:  those of cop_study_run; ARG and RANGE (params); REFUSED (a budget too short for one trial, with the
 *           estimate; a directory of other parameters).
 *  Source:  docs/methods.md, "Auto". */
COP_API cop_status cop_auto_run(cop_ctx *ctx, const cop_auto_params *params, const char *dir,
                                cop_auto_summary *summary);

/* ------------------------------------------------------------------------------------------- sensitivity -- */

typedef struct cop_sensitivity_params {
    size_t size;
    const char *criterion; /* NULL: l2-filter for groups with a convolution, l2-neuron for the others */
    cop_aggregate aggregate;
    const double *level; /* [levels] shares of a group's units to remove, rising, each in (0,1) */
    int levels;
    double floor;  /* accuracy that must hold; NaN: that of the net as it is, less lose */
    double lose;   /* in [0,1] */
    uint64_t seed; /* of criteria that draw */
    uint64_t reserved[8];
} cop_sensitivity_params;
/** Levels 0.1 to 0.9 in steps of 0.1, sum, lose 0.01. */
COP_OPTIONS(cop_sensitivity_params)

typedef struct cop_sensitivity_group {
    char *name, *layers; /* of the first layer; all of them, separated by spaces */
    int64_t units;       /* that can be removed */
    double *accuracy;    /* [levels] on validation, with a level's share of this group alone removed */
    double *sparsity;    /* [levels] of the whole net then */
    double advice;       /* the highest level up to which every level holds the floor; 0: none does */
    uint64_t reserved[8];
} cop_sensitivity_group;
typedef struct cop_sensitivity {
    cop_ctx *ctx;                 /* that owns the memory */
    cop_sensitivity_group *group; /* [groups] coupling groups with units to remove, in the net's order; owned */
    int groups;
    double *level; /* [levels], owned */
    int levels;
    double accuracy, floor;                    /* of the net as it is; the one that must hold */
    double advised_accuracy, advised_sparsity; /* with every group at its advice at once */
    uint64_t reserved[8];
} cop_sensitivity;

/** Measure accuracy against sparsity, one coupling group at a time, without training. Batch-norm statistics are
 *  recomputed before each figure. Costs groups x levels evaluations of the validation split. net is unchanged.
 *  Owns:    *result is the caller's to clear.
 *  Errors:  ARG and RANGE (levels, floor, lose), NOT_FOUND (criterion; no validation images), REFUSED (nothing can be
 *           removed), and those of cop_evaluate.
 *  Source:  docs/methods.md, "Sensitivity". */
COP_API cop_status cop_sensitivity_run(const cop_net *net, const cop_data *data, const cop_sensitivity_params *params,
                                       cop_sensitivity *result);
/** Write sensitivity.csv, sensitivity.svg and, with rsvg-convert (librsvg's program), sensitivity.png into a
 *  directory, which is made. Without a working rsvg-convert a warning is logged. Errors: ARG, IO, NOMEM. */
COP_API cop_status cop_sensitivity_write(const cop_sensitivity *result, const char *dir);
COP_API void cop_sensitivity_clear(cop_sensitivity *result);

/* ------------------------------------------------------------------------------------------------- bench -- */

typedef struct cop_bench_params {
    size_t size;
    int64_t batch;
    int training; /* 1: whole training steps; 0: inference */
    cop_precision precision;
    int runs; /* measured; a tenth as many more warm up */
    uint64_t reserved[8];
} cop_bench_params;
/** Batch 1, inference, F32, 50 runs. */
COP_OPTIONS(cop_bench_params)
typedef struct cop_bench_result {
    double median_ms, min_ms, max_ms; /* of a batch (or step) */
    double images_per_second;         /* from the median */
    double primitives_ms;             /* sum of the oneDNN primitives' own medians, each timed alone */
    int threads;
    const char *precision; /* the one used, "f32" or "bf16"; static */
    uint64_t reserved[8];
} cop_bench_result;
/** Time a net on random images. Units: milliseconds per batch. Errors: ARG, RANGE (runs), UNSUPPORTED (precision),
 *  NOMEM. */
COP_API cop_status cop_bench(const cop_net *net, const cop_bench_params *params, cop_bench_result *result);

#ifdef __cplusplus
}
#endif
#endif
