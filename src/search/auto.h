/* The internals of cop_auto_run: the study file, the bounds, the plan. */
#ifndef COPPICE_SEARCH_AUTO_H
#define COPPICE_SEARCH_AUTO_H

#include "report/report.h"

enum {
    COPI_STRUCTURED = 1, /* removes units: its level is a share of them */
    COPI_FAST_ONLY = 2,  /* tried only with a bound on MACs or milliseconds */
    COPI_KEEPS_MACS = 4, /* a bound on MACs is given to its trials */
    COPI_NO_TEACHER = 8, /* without the dense net as teacher */
    COPI_COMPOUND = 16   /* a share of its epochs finds the structure */
};
typedef struct copi_candidate {
    const char *method;            /* NULL: the recipe's own */
    const char *criterion, *scope; /* criterion: by which levels are estimated */
    int rounds;                    /* 0: the recipe's own; else at a cubic pace */
    unsigned flags;
} copi_candidate;

#define COPI_CANDIDATES 8 /* the most that can be available */

/* One trial: a line of the study file. */
typedef struct copi_attempt {
    int candidate;
    double epochs, level;
    bool done;     /* has a point; else it is pending, has diverged or was refused */
    cop_point p;   /* its last one; history empty */
    int64_t bytes; /* of that net, if they have a bound */
    double ms, seconds;
} copi_attempt;

/* All candidates, the better half of them twice as long, the winner at other levels, then long trials of it. */
typedef enum copi_stage { COPI_STAGE_FIRST, COPI_STAGE_SECOND, COPI_STAGE_LEVELS, COPI_STAGE_LONG } copi_stage;

typedef struct copi_auto {
    cop_ctx *ctx;
    const cop_auto_params *p;
    const char *dir;
    copi_study study;
    copi_spec spec;                                   /* of the last plan */
    char *asked;                                      /* p as the store holds it */
    double dense_epochs;                              /* 0: a model file */
    double plain, distilled;                          /* measured seconds per epoch, without and with a teacher */
    double probing;                                   /* seconds that measuring took */
    double estimating;                                /* seconds that copi_auto_level took */
    double dense_val;                                 /* its validation accuracy */
    double floor;                                     /* the least accuracy; below it no net scores */
    const copi_candidate *candidate[COPI_CANDIDATES]; /* [candidates] those available */
    int candidates;
    copi_attempt *attempt; /* [attempts], in the order of the study file */
    int attempts;
    copi_stage stage;   /* of the plan */
    double rung_epochs; /* of the first rung; 0: there is no time to choose */
    int winner, longs;  /* the candidate chosen; its long trials so far */
    double main_level;  /* of the longest */
    double last_commit; /* copi_now() */
} copi_auto;

/* -- auto_spec.c -- */

#define COPI_AUTO_BATCH 128 /* of training the dense net */

/** The study of the attempts so far, as structs, with the text of a study file that gives the same trials. The caller
 *  clears it. Errors: NOMEM. */
cop_status copi_auto_spec(const copi_auto *a, copi_spec *spec);
/** Fill candidate[] with those available. */
void copi_auto_candidates(copi_auto *a);

/* -- auto_bounds.c -- */

#define COPI_BOUND_LIST(X) X(ACCURACY) X(SPARSITY) X(PARAMETERS) X(MACS) X(BYTES) X(MS)
#define X(name) COPI_BOUND_##name,
typedef enum copi_bound { COPI_BOUND_LIST(X) COPI_BOUNDS } copi_bound;
#undef X

/* What bounds are compared with. */
typedef struct copi_measures {
    double accuracy, sparsity; /* accuracy: NaN if unknown */
    double left[COPI_BOUNDS];  /* nonzero parameters, MACs, bytes, ms: at those places */
} copi_measures;
/** Bytes and milliseconds of a net, if they have a bound. */
cop_status copi_auto_weigh(copi_auto *a, const cop_net *net, int64_t *bytes, double *ms);
copi_measures copi_auto_measures(const cop_point *p, int64_t bytes, double ms);
/** By how much the worst bound is missed, relative to the bound; 0: all are satisfied. *which: that bound. */
double copi_auto_miss(const copi_auto *a, const copi_measures *m, bool accuracy_too, copi_bound *which);
/** One line on a miss: the bound, the value, by how much it misses. */
void copi_auto_tell_miss(const copi_auto *a, const copi_measures *m, copi_bound which, char *text, size_t size);
bool copi_auto_bound(const copi_auto *a); /* is there a bound other than accuracy? */
bool copi_auto_accuracy_bound(const copi_auto *a);
/** The least level at which a candidate's net satisfies all bounds but that on accuracy. Estimated by pruning the
 *  dense net without training, and corrected by what its attempts showed. Kept in the store, since milliseconds
 *  measured again would give another level. */
cop_status copi_auto_level(copi_auto *a, const cop_net *dense, int candidate, double *level);
/** A level with three digits of 1 - level, as in the study file. */
double copi_auto_round(double level);

/* -- auto_plan.c -- */

/** Add an attempt, unless the same one is there. */
cop_status copi_auto_add(copi_auto *a, int candidate, double epochs, double level);
/** Seconds per epoch of a candidate: measured by its attempts, else estimated. */
double copi_auto_cost(const copi_auto *a, int candidate);
/** How good an attempt is, given the bounds. Higher is better; -1: it has no net. */
double copi_auto_merit(const copi_auto *a, const copi_attempt *t);
/** Plan the next trials, from the results so far and the seconds left. *more: false when there is nothing left to
 *  do. */
cop_status copi_auto_next(copi_auto *a, double left, bool *more);

#endif
