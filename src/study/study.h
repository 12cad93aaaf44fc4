/* A study: methods x levels x seeds from one YAML file, a store of what was measured, and the page made of it.
 *
 *   yaml.c     a YAML mapping read into a struct by a table of keys; every refusal has file, line, column
 *   spec.c     the tables of a study file; what a spec means
 *   jobs.c     trials in their order, one at a time or several side by side
 *   trial.c    a spec expanded into trials, each named by a digest of all that decides it
 *   store.c    study.db: the plan, the trials, their points, curves and layers
 *   run.c      cop_study_run: dense nets, then trials, each committed when done
 *   auto.c     cop_auto_run: a study that writes itself; auto_plan.c decides what comes next, auto_bounds.c knows what was
 *              asked for; auto.def lists what it chooses among
 *   figures.c  means over seeds, frontiers, hypervolume, the best of each method
 *   claims.c   the reference study's claims, re-tested on these figures
 *   tables.c   trials.csv, frontier.csv      summary.c  summary.json
 *   plot.c     frontier.gp and, by gnuplot.c, frontier.svg and .png
 *   sensitivity.c, sensitivity_plot.c  cop_sensitivity_run and what it writes; no study, but its plots are made alike
 *   page.c     report.html, from page/ and Chart.js, embedded at build time; svg.c draws its frontier
 *   report.c   cop_study_report and cop_study_list
 */
#ifndef COPPICE_STUDY_H
#define COPPICE_STUDY_H

#include "io/json.h"
#include "method/method.h"

#include <locale.h>

/* ------------------------------------------------------------------------------------- a YAML file by table -- */

typedef struct copi_numbers {
    double *v; /* [n], owned by the spec */
    int n;
} copi_numbers;
typedef struct copi_seeds {
    uint64_t *v; /* [n] */
    int n;
} copi_seeds;

typedef enum copi_key_kind {
    COPI_KEY_TEXT,    /* char *, owned */
    COPI_KEY_NUMBER,  /* double */
    COPI_KEY_COUNT,   /* int64_t */
    COPI_KEY_SMALL,   /* int */
    COPI_KEY_FLAG,    /* int: true or false */
    COPI_KEY_CHOICE,  /* an enum: index among names */
    COPI_KEY_NAME,    /* const char *: one of names */
    COPI_KEY_WORDS,   /* unsigned: a bit for each of names that stands in the list */
    COPI_KEY_NUMBERS, /* copi_numbers: one number or a list */
    COPI_KEY_STEPS,   /* double[4]: one number or a list, ended by 0 */
    COPI_KEY_SEEDS,   /* copi_seeds */
    COPI_KEY_MAP,     /* a struct inside, read by the table map */
    COPI_KEY_MAPS     /* copi_list: a list of structs */
} copi_key_kind;

typedef struct copi_list {
    void *v; /* [n] of the schema's size */
    int n;
} copi_list;

typedef struct copi_schema copi_schema;
typedef struct copi_key {
    const char *name;
    copi_key_kind kind;
    size_t at;                   /* offset in the struct */
    const char *range;           /* of numbers and counts, each entry of a list: "[0,1)" */
    const char *(*names)(int i); /* of choices; NULL past the last */
    const copi_schema *map;      /* of MAP and MAPS */
    bool required;
    bool settable;               /* NAME: required only where no earlier key has set it */
    void (*apply)(void *target); /* called once the value is read: it sets what later keys may say otherwise */
    unsigned family;             /* 0: always allowed; else one of the families the struct belongs to */
    bool each;                   /* a list of which every trial takes one: not part of a trial's own text */
    bool late;                   /* left out of the text where it is as usual, so that it renames no older trial */
    bool (*idle)(const void *target); /* left out where it does nothing, for the same reason */
} copi_key;

typedef struct copi_yaml copi_yaml;
struct copi_schema {
    const char *what;     /* "study", "recipe", ...: how errors call the mapping */
    const copi_key *keys; /* read in this order, whatever the file's; ends with a NULL name. A name may come
                                     again for another family */
    size_t size;          /* of the struct, for MAPS */
    void (*init)(const void *parent, void *element);            /* MAPS: defaults of one element; may be NULL */
    unsigned (*family)(const void *element);                    /* which keys are allowed; NULL: all */
    const char *(*owner)(unsigned family);                      /* whom a key of that family belongs to, for errors */
    cop_status (*check)(copi_yaml *y, int node, void *element); /* after reading; may be NULL */
};

/** Read the file's one document by a schema into target (already holding the defaults). On failure the caller still
 *  clears target. Errors: IO, FORMAT ("file:line:column: ..." with the nearest name), NOMEM. */
cop_status copi_yaml_read(cop_ctx *ctx, const char *path, const char *text, size_t n, const copi_schema *schema,
                          void *target);
/** For check functions: an error at the value of key in the mapping node (key NULL: at the mapping itself). */
cop_status copi_yaml_fail(copi_yaml *y, int node, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
bool copi_yaml_has(copi_yaml *y, int node, const char *key);
cop_ctx *copi_yaml_ctx(copi_yaml *y);
/** Free what reading put into target. */
void copi_yaml_clear(cop_ctx *ctx, const copi_schema *schema, void *target);
/** `key=value` of all keys that are allowed and not `each`, in the table's order: what a digest is taken of. usual: a
 *  target to compare those with that are `late`; NULL: print them too. */
void copi_yaml_print(copi_buffer *b, const copi_schema *schema, const void *target, const void *usual);
/** What target has otherwise than base, for people: ", tune restarts 1". of: the key that both stand under, or "". */
void copi_yaml_say(copi_buffer *b, const copi_schema *schema, const void *target, const void *base, const char *of);

/* ---------------------------------------------------------------------------------------------------- spec -- */

/* A recipe as a study file gives it; starts as a copy of the dense net's. */
typedef struct copi_spec_recipe {
    cop_recipe r;
    unsigned augment; /* words given */
} copi_spec_recipe;

typedef struct copi_spec_trial {
    const char *recipe;  /* a named one that the keys start from; NULL: none */
    cop_method_params p; /* but for its recipes and threshold, which are below */
    copi_numbers sparsity, gamma, macs, parameters, threshold;
    copi_spec_recipe sparsify, tune, search, retrain, scratch;
    copi_list limits; /* of cop_layer_limit */
} copi_spec_trial;

typedef struct copi_spec {
    cop_ctx *ctx;
    char *path, *text; /* of the study file */
    char *name;
    struct {
        char *path;
        const char *format; /* NULL: guess */
        double validation;
        int64_t limit, height, width;
    } data;
    char *model;            /* a preset's name, or a file's path */
    copi_spec_recipe dense; /* epochs 0: the model file is taken as it is */
    struct {
        double floor;
    } score;
    copi_seeds seeds;
    int threads;      /* 0: the context's */
    int nets;         /* 0: the best one becomes a file; 1: all */
    copi_list trials; /* of copi_spec_trial */
} copi_spec;

/** Read and check a study file. Relative paths in it are taken from the file's folder where they exist there, else as
 *  given. Errors: IO, FORMAT, NOMEM. *spec is cleared on failure. */
cop_status copi_spec_load(cop_ctx *ctx, const char *path, copi_spec *spec);
/** The same from its text; path is for errors and for resolving paths. What the fuzzer drives. */
cop_status copi_spec_parse(cop_ctx *ctx, const char *path, const char *text, size_t n, copi_spec *spec);
void copi_spec_clear(copi_spec *spec);
bool copi_spec_is_preset(const copi_spec *spec);
/** Everything that decides the dense net but data and seed, as text. */
void copi_spec_print_dense(copi_buffer *b, const copi_spec *spec);
/** Everything that decides a trial but its level, dense net and seed, as text. */
void copi_spec_print_trial(copi_buffer *b, const copi_spec_trial *trial);
/** What a trial has otherwise than another one, as copi_yaml_say. */
void copi_spec_say_difference(copi_buffer *b, const copi_spec_trial *trial, const copi_spec_trial *base);

/** What to run a trial with, at its first level; pointers stay owned by the spec. */
cop_method_params copi_spec_params(const copi_spec_trial *trial);
/** Is its level sss's gamma, or what gamma is searched for? */
bool copi_spec_is_sss(const copi_spec_trial *trial);
/** The list that its levels are taken from; empty: one trial without. */
const copi_numbers *copi_spec_levels(const copi_spec_trial *trial);

/* -------------------------------------------------------------------------------------------------- trials -- */

#define COPI_METHOD_DENSE "dense" /* the method column of dense nets */

typedef struct copi_trial {
    char name[20];               /* digest, 16 hex digits */
    char setting[20];            /* the same without the seed: what means are taken over */
    char label[128];             /* for people: "magnitude 0.9, 2 rounds"; of one seed's, none is another's */
    const char *method;          /* "dense" or a method's name */
    const copi_spec_trial *spec; /* NULL for dense */
    int dense;                   /* index of the dense trial it starts from; its own for dense */
    uint64_t seed;
    double level; /* sparsity, gamma or what gamma is searched for; NaN for dense nets */
    double asked; /* NaN for SSS */
} copi_trial;

typedef struct copi_trials {
    cop_ctx *ctx;
    copi_trial *trial; /* [n]; per seed: the dense net, then the trials in the file's order */
    int n;
} copi_trials;
/** data_digest and model_digest (of a model file's bytes; "" for presets) go into every name. Trials that would be
 *  the same are listed once. */
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
#define COPI_FAILED "failed"   /* memory, disk: tried again by the next run */
#define COPI_PENDING "pending" /* planned, not in the store */

typedef struct copi_stored_trial {
    char *name, *setting, *label, *method, *status, *message;
    uint64_t seed;
    double level, asked, seconds;
    copi_stored_point *point; /* [points] */
    int points;
} copi_stored_trial;

/* Facts about a study that its report tells; the names are those of the store's `meta` table. */
#define COPI_META_LIST(X)                                                                                            \
    X(name)                                                                                                          \
    X(floor) X(spec_path) X(spec_text) X(command) X(program) X(build) X(machine) X(threads) X(model) X(data_path)    \
        X(data_format) X(data_shape) X(data_classes) X(data_images) X(data_digest) X(best)
typedef struct copi_meta {
#define X(field) char *field;
    COPI_META_LIST(X)
#undef X
} copi_meta;

/* Everything the outputs are made of. */
typedef struct copi_results {
    cop_ctx *ctx;
    copi_meta meta;
    double floor;
    copi_stored_trial *trial; /* [trials], in the plan's order; those not yet run have status "pending" */
    int trials;
} copi_results;

typedef struct copi_store copi_store;
typedef enum copi_store_mode { COPI_STORE_WRITE, COPI_STORE_READ } copi_store_mode;
/** Open DIR/study.db; WRITE makes the directory and takes its lock. Errors: REFUSED (another process holds the
 *  directory), NOT_FOUND (READ: no study there), VERSION, IO, NOMEM. */
cop_status copi_store_open(cop_ctx *ctx, const char *dir, copi_store_mode mode, copi_store **store);
void copi_store_close(copi_store *store);
cop_status copi_store_set(copi_store *store, const char *key, const char *value);
/** *value: owned by the caller; NULL where there is no such key. */
cop_status copi_store_get(copi_store *store, const char *key, char **value);
/** Replace the plan: which trials, in which order, belong to the study as it stands now. */
cop_status copi_store_plan(copi_store *store, const copi_trials *trials);
/** The status of a trial, "pending" when there is none; text of at least 16 bytes. */
cop_status copi_store_status(copi_store *store, const char *trial, char status[16]);
/** Write a trial with all it holds in one transaction, replacing what was there under its name. best: the store's
 *  new `best` ("trial/point"), or NULL. */
cop_status copi_store_put(copi_store *store, const copi_stored_trial *trial, const char *best);
cop_status copi_store_load(copi_store *store, copi_results *results);
void copi_stored_trial_clear(cop_ctx *ctx, copi_stored_trial *trial);
void copi_results_clear(copi_results *results);

/* -------------------------------------------------------------------------------------------------- running -- */

/* A study at work: set ctx, dir, start and what is wanted of the hooks, then plan, go, and end. It may be planned again
 * with trials more, which is how auto grows one: what the store holds is skipped. */
typedef struct copi_study {
    cop_ctx *ctx;
    const char *dir;
    double start;        /* copi_now() */
    const char *command; /* what the page says that made it; NULL: coppice study run */
    int jobs;            /* trials at a time, each with its share of the context's threads; 0: one */
    bool keep_nets;      /* every point's net becomes a file: copi_study_net_file */
    bool failed_is_over; /* what failed for want of memory or disk is not tried again */
    /** Called for each point of a trial at work, before it is committed; t->point[point] is filled. */
    cop_status (*on_net)(void *user, const copi_stored_trial *t, int point, const cop_net *net);
    /** Called once a trial is committed, in place of lines to the log. */
    void (*on_trial)(void *user, const copi_stored_trial *t);
    void *user;
    const copi_spec *spec; /* of the last plan; the caller's */
    cop_data *data;        /* opened by the first plan unless it is set; owned */
    copi_trials trials;
    copi_store *store; /* likewise */
    cop_net *dense;    /* of trial number dense_of; NULL: none at hand */
    int dense_of;
    double best_score; /* on validation, of all points in the store's plan */
    cop_study_summary sum;
    struct copi_team *team; /* of a job beside others: what they share; NULL: alone */
} copi_study;
/** Expand a spec into trials and write the plan. Everything that can be refused is refused here, before any work.
 *  Errors: those of cop_data_open, cop_net_load, copi_store_open. */
cop_status copi_study_plan(copi_study *run, const copi_spec *spec);
/** What planning does first: the data of a spec, unless they are open, and the net of a seed before its training. */
cop_status copi_study_open_data(copi_study *run, const copi_spec *spec);
cop_status copi_study_start_net(copi_study *run, uint64_t seed, cop_net **net);
/** Have run->dense at hand, of the first seed of the plan. Errors: DIVERGED (it can't be had), as copi_study_go. */
cop_status copi_study_dense(copi_study *run);
/** Run what is pending. Errors: CANCELLED (what is done is kept), IO, NOMEM. */
cop_status copi_study_go(copi_study *run);
/** What go does for each trial: have its dense net, run it, commit it. no_dense: why there is no dense net, where that
 *  is known; *found (NULL before, the caller's after): why, where it turns out. */
cop_status copi_study_trial(copi_study *run, int t, const char *no_dense, char **found);
/** Around what jobs share: the store, and best_score and sum of copi_study_shared(run). */
void copi_study_lock(copi_study *run);
void copi_study_unlock(copi_study *run);
copi_study *copi_study_shared(copi_study *run);
/** A context with so many threads that talks, allocates and stops as its parent does. */
cop_status copi_study_ctx(cop_ctx *parent, int threads, cop_ctx **ctx);
/** Save the net of point number `point` of trial t, by running the trial again: the same seed gives the same net. */
cop_status copi_study_save_point(copi_study *run, int t, int point, const char *path);
/** Write the report of what there is, unless status says that something broke, and fill the summary; gives status, or
 *  what writing met. */
cop_status copi_study_end(copi_study *run, cop_status status, cop_study_summary *summary);
void copi_study_close(copi_study *run);
/** Where in the study's directory the net of a point is, if it is kept. */
void copi_study_net_file(const copi_stored_trial *t, int point, char file[160]);
/** Copy a file of the study's directory to another one there. */
cop_status copi_study_copy(copi_study *run, const char *from, const char *to);

/* ------------------------------------------------------------------------------------------------- figures -- */

typedef struct copi_spread {
    double mean, std; /* std of the sample (n-1); NaN below two values */
    int n;
} copi_spread;
copi_spread copi_spread_of(const double *x, int n); /* NaNs are left out */

/* One setting: the same trial and point over all seeds. */
typedef struct copi_setting {
    const copi_stored_trial *trial; /* of the first seed */
    int index;                      /* which point of the trial */
    int method_index;               /* in copi_figures.method */
    int seeds;
    int lost; /* seeds without it, since they diverged or were refused: then it is never chosen, since
                                  a mean over those that survived flatters */
    copi_spread sparsity, sparsity_conv, sparsity_dense, val, test, score_val, score, epochs, seconds, train_macs;
    copi_spread nonzero, macs_effective;
    const copi_stored_trial *best_seed; /* the trial among them with the best validation score */
    bool on_frontier;                   /* of all methods, chosen on validation */
    bool on_method_frontier;
} copi_setting;

typedef struct copi_method_figures {
    const char *name;
    int best;           /* setting with the highest mean validation score; -1: none holds the floor */
    double hypervolume; /* of its frontier's test accuracies against (0, floor) */
    double hypervolume_val;
} copi_method_figures;

typedef struct copi_figures {
    cop_ctx *ctx;
    copi_setting *setting; /* [settings], in the order of the plan */
    int settings;
    copi_method_figures *method; /* [methods], in the order of the plan, so "dense" first */
    int methods;
    int dense;                                    /* the dense net's setting, -1: none */
    int best;                                     /* setting, -1: none */
    double hypervolume, hypervolume_val;          /* over all methods */
    int done, diverged, refused, failed, pending; /* trials */
    int points;
    double seconds; /* spent on all trials */
} copi_figures;
cop_status copi_figures_make(const copi_results *results, copi_figures *figures);
void copi_figures_clear(copi_figures *figures);
/** The point itself, of the setting's first seed or of its best one. */
const copi_stored_point *copi_setting_point(const copi_setting *setting);
const copi_stored_point *copi_setting_best(const copi_setting *setting);
bool copi_setting_tuned(const copi_setting *setting); /* trained after pruning: drawn filled, else hollow */
/** How people call a setting: its trial's label, with the round or threshold where the trial has several points. */
const char *copi_setting_label(const copi_setting *setting, char out[160]);
/** Mark the points that no other beats: (x, y) is beaten by one with x' >= x and y' >= y, one of them greater. Of
 *  equal points the first stays. NaNs never stay. */
void copi_frontier(const double *x, const double *y, int n, bool *on);
/** The area that the points dominate above and right of (x0, y0); scratch holds n ints. */
double copi_hypervolume(const double *x, const double *y, int n, double x0, double y0, int *scratch);
/** Order numbers 0..n-1 by rising x. */
void copi_order(const double *x, int n, int *order);

typedef enum copi_verdict { COPI_UNDECIDED, COPI_CONFIRMED, COPI_REFUTED } copi_verdict;
const char *copi_verdict_name(copi_verdict verdict);
typedef struct copi_claim {
    char letter;      /* 'a'..'f' */
    const char *text; /* as METHODS has it */
    const char *rule; /* how it is decided */
    copi_verdict verdict;
    char figures[400]; /* one sentence with the numbers */
    int seeds;         /* the fewest behind any figure; under COPI_ENOUGH_SEEDS a verdict is provisional */
} copi_claim;
#define COPI_CLAIMS 6
#define COPI_ENOUGH_SEEDS 3
void copi_claims_make(const copi_results *results, const copi_figures *figures, copi_claim claim[COPI_CLAIMS]);

/* ------------------------------------------------------------------------------------------------- outputs -- */

/* How a method is drawn, everywhere alike. */
typedef struct copi_style {
    const char *light, *dark; /* colours "#rrggbb" on a light and a dark page */
    int gnuplot_point;        /* gnuplot's hollow point type; the filled one follows it */
    const char *chart_point;  /* Chart.js's pointStyle */
    int turn;                 /* degrees */
    const char *path;         /* the same shape as an SVG path around 0,0, about 10 wide */
} copi_style;
const copi_style *copi_style_of(const char *method);
/** The accuracies that plots show, from a little under the floor to a little over the best, and a step for ticks. */
typedef struct copi_range {
    double low, high, step;
} copi_range;
copi_range copi_accuracy_range(const copi_figures *figures, double least);

cop_status copi_write_trials_csv(const copi_results *results, const char *dir);
cop_status copi_write_frontier_csv(const copi_results *results, const copi_figures *figures, const char *dir);
cop_status copi_write_summary(const copi_results *results, const copi_figures *figures, const copi_claim *claim,
                              const char *dir);
json_t *copi_json_number(double x); /* null for NaN and infinities */
/** frontier.gp, then gnuplot for .svg and .png; without a working gnuplot a warning goes to the log. */
cop_status copi_write_plot(const copi_results *results, const copi_figures *figures, const char *dir);
/** Run gnuplot on NAME.gp in dir, which draws to out.'.svg' and out.'.png': NAME.svg and NAME.png. Where that fails a
 *  warning goes to the log; again: the command to run once gnuplot works. Errors: NOMEM. */
cop_status copi_gnuplot(cop_ctx *ctx, const char *dir, const char *name, const char *again);
/** A gnuplot string in single quotes; at most so many bytes of the text, cut between letters. */
void copi_gnuplot_quote(copi_buffer *b, const char *text, size_t most);
cop_status copi_write_page(const copi_results *results, const copi_figures *figures, const copi_claim *claim,
                           const char *dir);
/** All of them; fills summary if it isn't NULL (but for skipped). */
cop_status copi_write_report(copi_store *store, const char *dir, cop_study_summary *summary);

/* Numbers in files have a '.', whatever the caller's locale says; for the calling thread, until restored. */
typedef struct copi_locale {
    locale_t plain, before;
} copi_locale;
copi_locale copi_locale_plain(void);
void copi_locale_restore(copi_locale numbers);
/** 592,933 */
typedef struct copi_words {
    char text[64];
} copi_words;
copi_words copi_grouped(int64_t n);
/** x without exponent, with at most so many decimals, trailing zeros left out; "" for NaN. */
typedef struct copi_plain {
    char text[344];
} copi_plain;
copi_plain copi_plain_number(double x, int decimals);

/* Files of page/ and Chart.js, embedded by cmake/Embed.cmake; NUL-terminated past their size. */
extern const unsigned char copi_embed_page_html[], copi_embed_page_css[], copi_embed_page_js[], copi_embed_chart_js[];
extern const size_t copi_embed_page_html_size, copi_embed_page_css_size, copi_embed_page_js_size,
    copi_embed_chart_js_size;

#endif
