/* A study: methods x levels x seeds from one YAML file, and a database of the results.
 *
 *   yaml.c   what a study file is read with: values by their options, places for errors
 *   spec.c   the keys of a study file; a spec as text
 *   trial.c  a spec expanded into trials, each named by a digest of all that decides it
 *   store.c  study.db: the plan, the trials, their points, curves and layers
 *   run.c    plan a study, run its trials, commit each when it is done
 *   list.c   cop_study_list
 *   jobs.c   run trials in order, one at a time or several side by side */
#ifndef COPPICE_STUDY_H
#define COPPICE_STUDY_H

#include "method/method.h"
#include "study/yaml.h"

/* ---------------------------------------------------------------------------------------------------- spec -- */

typedef struct copi_spec_trial {
    const char *recipe;         /* a named one that the keys start from; NULL: none */
    cop_method_params p;        /* at its first level; its lists are owned by the spec */
    const cop_option *level_of; /* the option whose values the levels are; NULL: the method has none */
    double *level;              /* [levels]; without any, one trial at the default */
    int levels;
} copi_spec_trial;

typedef struct copi_spec {
    cop_ctx *ctx;
    char *path, *text; /* of the study file */
    char *name;
    char *data;
    cop_data_options data_options;
    char *model;      /* a preset's name, or a file's path */
    cop_recipe dense; /* epochs 0: the model file is used as it is */
    double floor;     /* of the score */
    uint64_t *seed;   /* [seeds] */
    int seeds;
    int threads;            /* 0: the context's */
    int nets;               /* 0: save the best net; 1: save all */
    copi_spec_trial *trial; /* [trials] */
    int trials;
} copi_spec;

/** Read and check a study file. Relative paths in it start at the file's folder if they exist there, else they are
 *  used as given. Errors: IO, FORMAT, NOMEM. *spec is cleared on failure. */
cop_status copi_spec_load(cop_ctx *ctx, const char *path, copi_spec *spec);
/** The same from its text; path is for errors and for resolving paths. Used by the fuzzer. */
cop_status copi_spec_parse(cop_ctx *ctx, const char *path, const char *text, size_t n, copi_spec *spec);
/** Begin a spec before keys are read, or without a file. It owns what is put into it, which must come from
 *  copi_alloc.
 *  Errors: NOMEM. */
cop_status copi_spec_begin(cop_ctx *ctx, const char *path, const char *text, size_t n, copi_spec *spec);
void copi_spec_clear(copi_spec *spec);
bool copi_is_preset(const char *model); /* else it is a file's path */
bool copi_spec_is_preset(const copi_spec *spec);
/** Everything that decides the dense net, except data and seed, as text. */
void copi_spec_print_dense(copi_buffer *b, const copi_spec *spec);
/** Everything that decides a trial, except its level, dense net and seed, as text. */
void copi_spec_print_trial(copi_buffer *b, const copi_spec_trial *trial);
/** How a trial differs from base, for people: ", tune restarts 1". */
void copi_spec_say_difference(copi_buffer *b, const copi_spec_trial *trial, const copi_spec_trial *base);
/** A trial with the study's defaults, before its keys are read. */
copi_spec_trial copi_spec_begin_trial(const copi_spec *spec);

/* -------------------------------------------------------------------------------------------------- trials -- */

#define COPI_METHOD_DENSE "dense" /* the method column of dense nets */

typedef struct copi_trial {
    char name[20];               /* digest, 16 hex digits */
    char setting[20];            /* the same without the seed: means are taken over trials of one setting */
    char label[128];             /* for people: "magnitude 0.9, 2 rounds"; unique among the trials of a seed */
    const char *method;          /* "dense" or a method's name */
    const copi_spec_trial *spec; /* NULL for dense */
    int dense;                   /* index of the dense trial it starts from; its own for dense */
    uint64_t seed;
    double level; /* sparsity, gamma or the target of gamma's search; NaN for dense nets */
    double asked; /* NaN for SSS */
} copi_trial;

typedef struct copi_trials {
    cop_ctx *ctx;
    copi_trial *trial; /* [n]; per seed: the dense net, then the trials in the file's order */
    int n;
} copi_trials;
/** data_digest and model_digest (of a model file's bytes; "" for presets) are part of every name. Equal trials are
 *  listed once. */
cop_status copi_trials_expand(const copi_spec *spec, const char *data_digest, const char *model_digest,
                              copi_trials *trials);
void copi_trials_clear(copi_trials *trials);
/** The parameters to run a trial with; teacher: the dense net. Pointers stay owned by the spec. */
cop_method_params copi_trial_params(const copi_trial *trial, const cop_net *dense);

/* --------------------------------------------------------------------------------------------------- store -- */

typedef struct copi_layer_row {
    char *name, *op;
    int64_t parameters_dense, nonzero, macs_effective;
    double sparsity;
} copi_layer_row;

/* A point as stored: cop_point with its curve and its layers. */
typedef struct copi_stored_point {
    cop_point p;           /* p.history.epoch is owned here */
    copi_layer_row *layer; /* [layers] */
    int layers;
} copi_stored_point;

#define COPI_DONE "done"
#define COPI_DIVERGED "diverged"
#define COPI_REFUSED "refused"
#define COPI_FAILED "failed"   /* memory, disk: the next run tries again */
#define COPI_PENDING "pending" /* planned, not yet in the store */

typedef struct copi_stored_trial {
    char *name, *setting, *label, *method, *status, *message;
    uint64_t seed;
    double level, asked, seconds;
    copi_stored_point *point; /* [points] */
    int points;
} copi_stored_trial;

/* Facts about a study for its report; the names are the keys of the store's `meta` table. */
/* clang-format off */
#define COPI_META_LIST(X)                                                                                            \
    X(name)                                                                                                          \
    X(floor)                                                                                                         \
    X(spec_path)                                                                                                     \
    X(spec_text)                                                                                                     \
    X(command)                                                                                                       \
    X(program)                                                                                                       \
    X(build)                                                                                                         \
    X(machine)                                                                                                       \
    X(threads)                                                                                                       \
    X(model)                                                                                                         \
    X(data_path)                                                                                                     \
    X(data_format)                                                                                                   \
    X(data_shape)                                                                                                    \
    X(data_classes)                                                                                                  \
    X(data_images)                                                                                                   \
    X(data_digest)                                                                                                   \
    X(best)
/* clang-format on */
typedef struct copi_meta {
#define X(field) char *field;
    COPI_META_LIST(X)
#undef X
} copi_meta;

/* Everything that the outputs are made from. */
typedef struct copi_results {
    cop_ctx *ctx;
    copi_meta meta;
    double floor;
    copi_stored_trial *trial; /* [trials], in the plan's order; status "pending" if not yet run */
    int trials;
} copi_results;

typedef struct copi_store copi_store;
typedef enum copi_store_mode { COPI_STORE_WRITE, COPI_STORE_READ } copi_store_mode;
/** Open DIR/study.db; WRITE makes the directory and takes its lock. Errors: REFUSED (another process holds the
 *  directory), NOT_FOUND (READ: no study there), VERSION, IO, NOMEM. */
cop_status copi_store_open(cop_ctx *ctx, const char *dir, copi_store_mode mode, copi_store **store);
void copi_store_close(copi_store *store);
cop_status copi_store_set(copi_store *store, const char *key, const char *value);
/** *value: owned by the caller; NULL if there is no such key. */
cop_status copi_store_get(copi_store *store, const char *key, char **value);
/** Replace the plan: the trials of the current study file, in order. */
cop_status copi_store_plan(copi_store *store, const copi_trials *trials);
/** The status of a trial, "pending" if it is not in the store. */
cop_status copi_store_status(copi_store *store, const char *trial, char status[16]);
/** Write a whole trial in one transaction; replaces a trial of the same name. best: the store's new `best`
 *  ("trial/point"), or NULL. */
cop_status copi_store_put(copi_store *store, const copi_stored_trial *trial, const char *best);
cop_status copi_store_load(copi_store *store, copi_results *results);
void copi_stored_trial_clear(cop_ctx *ctx, copi_stored_trial *trial);
void copi_results_clear(copi_results *results);

/* -------------------------------------------------------------------------------------------------- running -- */

/* A running study: set ctx, dir, start and the hooks, then plan, go and end. It may be planned again with more
 * trials, as auto does; trials that are in the store are skipped. */
typedef struct copi_study {
    cop_ctx *ctx;
    const char *dir;
    double start;        /* copi_now() */
    const char *command; /* the command shown on the page; NULL: coppice study run */
    int jobs;            /* trials at a time, each with its share of the context's threads; 0: one */
    bool keep_nets;      /* save every point's net: copi_study_net_file */
    bool failed_is_over; /* do not retry trials that failed for lack of memory or disk */
    /** Called for each point of a running trial, before it is committed; t->point[point] is set. */
    cop_status (*on_net)(void *user, const copi_stored_trial *t, int point, const cop_net *net);
    /** Called when a trial is committed, instead of logging it. */
    void (*on_trial)(void *user, const copi_stored_trial *t);
    void *user;
    const copi_spec *spec; /* of the last plan; the caller's */
    cop_data *data;        /* opened by the first plan, unless it is set; owned */
    bool model_checked;    /* by the first plan, */
    char model_digest[20]; /* which took this of the file's bytes; "" for presets */
    copi_trials trials;
    copi_store *store; /* opened as data is */
    cop_net *dense;    /* of trial number dense_of; NULL: none loaded */
    int dense_of;
    double best_score; /* on validation, of all points in the store's plan */
    cop_study_summary sum;
    struct copi_team *team; /* shared state of jobs side by side; NULL: one job */
} copi_study;
/** Expand a spec into trials and write the plan. Bad input is refused here, before any work.
 *  Errors: those of cop_data_open, cop_net_load, copi_store_open. */
cop_status copi_study_plan(copi_study *run, const copi_spec *spec);
/** Steps of planning: open a spec's data, unless open; make the net of a seed before its training. */
cop_status copi_study_open_data(copi_study *run, const copi_spec *spec);
cop_status copi_study_start_net(copi_study *run, uint64_t seed, cop_net **net);
/** Load or train run->dense of the plan's first seed. Errors: DIVERGED (there is no such net), as copi_study_go. */
cop_status copi_study_dense(copi_study *run);
/** Run the pending trials. Errors: CANCELLED (finished trials are kept), IO, NOMEM. */
cop_status copi_study_go(copi_study *run);
/** Run one trial: get its dense net, run the method, commit. no_dense: why there is no dense net, if known; *found
 *  (NULL before, owned by the caller after): why, if found out here. */
cop_status copi_study_trial(copi_study *run, int t, const char *no_dense, char **found);
/** Lock what jobs share: the store, and best_score and sum of copi_study_shared(run). */
void copi_study_lock(copi_study *run);
void copi_study_unlock(copi_study *run);
copi_study *copi_study_shared(copi_study *run);
/** A context with this many threads that logs, allocates and stops through its parent. */
cop_status copi_study_ctx(cop_ctx *parent, int threads, cop_ctx **ctx);
/** Save the net of point number `point` of trial t, by running the trial again: the same seed gives the same net. */
cop_status copi_study_save_point(copi_study *run, int t, int point, const char *path);
void copi_study_close(copi_study *run);
/** The file name of a point's net in the study's directory. */
void copi_study_net_file(const copi_stored_trial *t, int point, char file[160]);
/** Copy a file within the study's directory. */
cop_status copi_study_copy(copi_study *run, const char *from, const char *to);

#endif
