/* The insides of cop_auto_run: what was asked for, what was tried, what is left of the time. */
#ifndef COPPICE_SEARCH_AUTO_H
#define COPPICE_SEARCH_AUTO_H

#include "report/report.h"

enum {
    COPI_STRUCTURED = 1, /* removes units: its level is a share of them */
    COPI_FAST_ONLY = 2,  /* tried only where MACs or milliseconds are bound */
    COPI_KEEPS_MACS = 4, /* a bound on MACs is given to its trials */
    COPI_UNTAUGHT = 8,   /* learns without the dense net */
    COPI_COMPOUND = 16   /* a share of its epochs finds the structure */
};
typedef struct copi_candidate {
    const char *method;            /* NULL: the recipe's own */
    const char *criterion, *scope; /* criterion: by which levels are estimated */
    int rounds;                    /* 0: the recipe's own; else at a cubic pace */
    unsigned flags;
} copi_candidate;

#define COPI_CANDIDATES 8 /* room for those at hand */

/* One trial asked for: a line of the study file. */
typedef struct copi_attempt {
    int candidate;
    double epochs, level;
    bool done;     /* has a point; else it is pending, diverged or was refused */
    cop_point p;   /* its last one; history empty */
    int64_t bytes; /* of that net, where they are bound */
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
    char *asked;                                      /* what the store remembers of p */
    double dense_epochs;                              /* 0: a model file */
    double plain, taught;                             /* seconds an epoch: measured, without and with a teacher */
    double probing;                                   /* seconds that measuring took */
    double foretelling;                               /* seconds that copi_auto_level took */
    double dense_val;                                 /* its validation accuracy */
    double floor;                                     /* accuracy that must hold, or under which nothing scores */
    const copi_candidate *candidate[COPI_CANDIDATES]; /* [candidates] at hand */
    int candidates;
    copi_attempt *attempt; /* [attempts], in the order of the study file */
    int attempts;
    copi_stage stage;   /* of planning */
    double rung_epochs; /* of the first rung; 0: there is no time to choose */
    int winner, longs;  /* the candidate chosen; its long trials so far */
    double main_level;  /* of the longest */
    double last_commit; /* copi_now() */
} copi_auto;

/* -- auto_spec.c -- */

#define COPI_AUTO_BATCH 128 /* of training the dense net */

/** The study of the attempts so far, as structs; its text is that of the study file which gives the same trials. The
 *  caller clears it. Errors: NOMEM. */
cop_status copi_auto_spec(const copi_auto *a, copi_spec *spec);
/** Have candidate[] hold those at hand. */
void copi_auto_candidates(copi_auto *a);
bool copi_auto_is_preset(const char *model);

/* -- auto_bounds.c -- */

#define COPI_BOUND_LIST(X) X(ACCURACY) X(SPARSITY) X(PARAMETERS) X(MACS) X(BYTES) X(MS)
#define X(name) COPI_BOUND_##name,
typedef enum copi_bound { COPI_BOUND_LIST(X) COPI_BOUNDS } copi_bound;
#undef X

/* What a net is measured by. */
typedef struct copi_measures {
    double accuracy, sparsity; /* accuracy NaN: not known */
    double left[COPI_BOUNDS];  /* nonzero parameters, MACs, bytes, ms: at those places */
} copi_measures;
/** Bytes and milliseconds of a net, as far as they are bound. */
cop_status copi_auto_weigh(copi_auto *a, const cop_net *net, int64_t *bytes, double *ms);
copi_measures copi_auto_measures(const cop_point *p, int64_t bytes, double ms);
/** By how much the measures miss, relative to the bound, the worst of all bounds; 0: they meet them. *which: that
 * one. */
double copi_auto_miss(const copi_auto *a, const copi_measures *m, bool accuracy_too, copi_bound *which);
/** One line on a miss: the bound, what was reached, by how much it misses. */
void copi_auto_tell_miss(const copi_auto *a, const copi_measures *m, copi_bound which, char *text, size_t size);
bool copi_auto_bound(const copi_auto *a); /* anything but accuracy */
bool copi_auto_accuracy_bound(const copi_auto *a);
/** The least level at which a candidate's net would meet the bounds but accuracy's: foretold by pruning the dense net
 *  without training, and mended by what its attempts showed. Kept in the store: milliseconds measured again would
 *  give another one. */
cop_status copi_auto_level(copi_auto *a, const cop_net *dense, int candidate, double *level);
/** A level with three digits of 1 - level, as it stands in the study file. */
double copi_auto_round(double level);

/* -- auto_plan.c -- */

/** Add an attempt, unless there is the same. */
cop_status copi_auto_add(copi_auto *a, int candidate, double epochs, double level);
/** Seconds an epoch of a candidate costs: measured by its attempts, else foretold. */
double copi_auto_cost(const copi_auto *a, int candidate);
/** Which attempt is better, for what is asked for? Higher is better; -1: it has no net. */
double copi_auto_merit(const copi_auto *a, const copi_attempt *t);
/** The next trials, from what was tried and the seconds left; *more: false when there is nothing more to do. */
cop_status copi_auto_next(copi_auto *a, double left, bool *more);

#endif
