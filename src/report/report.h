/* What a study's results look like: means over seeds, frontiers, claims, tables, plots, the page.
 *
 *   figures.c  means over seeds, frontiers, hypervolume, the best of each method
 *   claims.c   the reference study's claims, tested on these figures
 *   tables.c   trials.csv, frontier.csv
 *   summary.c  summary.json
 *   plots.c    what a study's plots show, and how each method is drawn
 *   plot.c     the renderer: a plot as SVG, for the page, frontier.svg and sensitivity.svg
 *   png.c      frontier.png and sensitivity.png, made of the SVG
 *   page.c     report.html, from page/, embedded at build time; words.c: numbers for people
 *   report.c   all of them, cop_study_report
 *   best.c     best.safetensors is the net of the best point
 *   sensitivity_plot.c  what cop_sensitivity_write writes */
#ifndef COPPICE_REPORT_H
#define COPPICE_REPORT_H

#include "io/json.h"
#include "report/plot.h"
#include "study/study.h"

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
    int lost; /* seeds that diverged or were refused: then the setting is never chosen, since the mean
                                  over the others would flatter it */
    copi_spread sparsity, sparsity_conv, sparsity_dense, val, test, score_val, score, epochs, seconds, train_macs;
    copi_spread nonzero, macs_effective;
    const copi_stored_trial *best_seed; /* the trial among them with the best validation score */
    bool on_frontier;                   /* of all methods, chosen on validation */
    bool on_method_frontier;
} copi_setting;

typedef struct copi_method_figures {
    const char *name;
    int best;           /* setting with the highest mean validation score; -1: none reaches the floor */
    double hypervolume; /* of its frontier on the test split, above (0, floor) */
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
/** The point of the setting's first seed, and of its best one. */
const copi_stored_point *copi_setting_point(const copi_setting *setting);
const copi_stored_point *copi_setting_best(const copi_setting *setting);
bool copi_setting_tuned(const copi_setting *setting); /* trained after pruning: drawn filled, else hollow */
/** A setting's label: that of its trial, with the round or threshold if the trial has several points. */
const char *copi_setting_label(const copi_setting *setting, char out[160]);
/** Mark the points that no other dominates: (x', y') dominates (x, y) if x' >= x and y' >= y, and one is greater. Of
 *  equal points the first is marked. Points with NaN never are. */
void copi_frontier(const double *x, const double *y, int n, bool *on);
/** The area that the points dominate above and right of (x0, y0); scratch holds n ints. */
double copi_hypervolume(const double *x, const double *y, int n, double x0, double y0, int *scratch);
/** Order numbers 0..n-1 by rising x. */
void copi_order(const double *x, int n, int *order);

typedef enum copi_verdict { COPI_UNDECIDED, COPI_CONFIRMED, COPI_REFUTED } copi_verdict;
const char *copi_verdict_name(copi_verdict verdict);
typedef struct copi_claim {
    char letter;      /* 'a'..'f' */
    const char *text; /* of docs/methods.md, "Claims" */
    const char *rule; /* how it is decided */
    copi_verdict verdict;
    char figures[400]; /* one sentence with the numbers */
    int seeds;         /* the fewest behind any figure; below COPI_ENOUGH_SEEDS a verdict is provisional */
} copi_claim;
#define COPI_CLAIMS 6
#define COPI_ENOUGH_SEEDS 3
void copi_claims_make(const copi_results *results, const copi_figures *figures, copi_claim claim[COPI_CLAIMS]);

/* ------------------------------------------------------------------------------------------------- outputs -- */

const copi_style *copi_style_of(const char *method); /* how a method is drawn, everywhere alike */
typedef enum copi_across {
    COPI_ACROSS_SPARSITY,
    COPI_ACROSS_LEFT, /* sparsity, on an axis that is logarithmic in what is left */
    COPI_ACROSS_EPOCHS,
    COPI_ACROSS_MACS,
    COPI_ACROSS_SECONDS
} copi_across;
/** The test accuracy of all settings against what goes across; with frontiers if that is sparsity. Series are the
 *  methods by their index, then the frontier over all. The caller clears the plot, which borrows from results and
 *  figures. */
cop_status copi_plot_settings(const copi_results *results, const copi_figures *figures, copi_across across,
                              copi_plot *plot);
/** The axis that suits a study's sparsities: logarithmic if most of them are above .85. */
copi_across copi_plot_usual(const copi_figures *figures);
/** The training behind the best point of each method by epoch: its loss or its validation accuracy. */
cop_status copi_plot_curves(const copi_figures *figures, bool loss, copi_plot *plot);
/** The setting whose training a method's curve shows: its best one; NULL if that was not trained. */
const copi_setting *copi_plot_curve(const copi_figures *figures, int method);

copi_words copi_say_number(double x, int decimals); /* 0.8680; an en dash for NaN, like all of these */
copi_words copi_say_plain(double x);                /* 0.868 */
copi_words copi_say_percent(double x);              /* 86.8, of 0.868 */
copi_words copi_say_share(double x, int decimals);  /* 86.80 */
copi_words copi_say_spread(copi_spread s, double unit, int decimals); /* 86.80 ± 0.21, with unit 100 */
copi_words copi_say_scaled(double x);                                 /* 11.2 M */
copi_words copi_say_duration(double seconds);                         /* 2 min 05 s */

cop_status copi_write_trials_csv(const copi_results *results, const char *dir);
cop_status copi_write_frontier_csv(const copi_results *results, const copi_figures *figures, const char *dir);
cop_status copi_write_summary(const copi_results *results, const copi_figures *figures, const copi_claim *claim,
                              const char *dir);
json_t *copi_json_number(double x); /* null for NaN and infinities */
cop_status copi_write_page(const copi_results *results, const copi_figures *figures, const copi_claim *claim,
                           const char *dir);
/** Write all of them. Fills summary, except for skipped, unless it is NULL. */
cop_status copi_write_report(copi_store *store, const char *dir, cop_study_summary *summary);

/** Have rsvg-convert draw png from svg. If that fails, a warning goes to the log. Errors: NOMEM. */
cop_status copi_png_of(cop_ctx *ctx, char *svg, const char *png);

/* Files of page/, embedded by cmake/Embed.cmake; NUL-terminated past their size. */
extern const unsigned char copi_embed_page_html[], copi_embed_page_css[], copi_embed_page_js[], copi_embed_plot_css[],
    copi_embed_plot_dark_css[];
extern const size_t copi_embed_page_html_size, copi_embed_page_css_size, copi_embed_page_js_size;

/** Write the report of what is done and fill the summary, unless status is an error other than CANCELLED. Returns
 *  status, or the error of writing. */
cop_status copi_report_end(copi_study *study, cop_status status, cop_study_summary *summary);
/** Let best.safetensors hold the net of the point with the best mean validation score: copy its file, or run its
 *  trial again. */
cop_status copi_report_keep_best(copi_study *study);

#endif
