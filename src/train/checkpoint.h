/* A training run on disk: everything that decides how it continues, so that a resumed run ends with the same
 * bytes. */
#ifndef COPPICE_CHECKPOINT_H
#define COPPICE_CHECKPOINT_H

#include "train/train.h"

/* The progress of a run. All random numbers are functions of (seed, step), so the step is also the generators'
 * state. */
typedef struct copi_progress_state {
    int64_t step;            /* steps done */
    double loss;             /* summed over the steps of the current epoch */
    int64_t correct, images; /* in the current epoch */
    double seconds;          /* trained so far */
} copi_progress_state;

typedef struct copi_checkpoint {
    const char *path;
    const char *identity; /* lines "name value": the recipe, data and net that the run belongs to */
    const char *usual;    /* lines of the options' defaults, for files written before an option existed */
    uint64_t start;       /* copi_net_digest of the net that the run started with */
} copi_checkpoint;

/** Digest of a net's topology; of its topology, parameters and masks. */
uint64_t copi_topology_digest(const cop_net *net);
uint64_t copi_net_digest(const cop_net *net);
/** Write net (as pulled from plan), the plan's optimizer state, the run's progress and history. */
cop_status copi_checkpoint_save(const copi_checkpoint *c, const cop_net *net, copi_plan *plan,
                                const copi_progress_state *state, const cop_history *history);
/** Read all of it into net, plan, state and history. *found = false and COP_OK if there is no such file. net must be
 *  the one that the run started with, or the one in the file; after an error it may hold the weights of either.
 *  Errors: REFUSED (another recipe, data set or net; names the first difference), FORMAT, VERSION, UNSUPPORTED (a
 *  damaged file with an unknown op or type), NOMEM, IO. */
cop_status copi_checkpoint_load(const copi_checkpoint *c, cop_net *net, copi_plan *plan, copi_progress_state *state,
                                cop_history *history, bool *found);

#endif
