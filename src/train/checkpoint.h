/* A training run on disk: everything that decides its future, so that going on gives the bytes it would have had. */
#ifndef COPPICE_CHECKPOINT_H
#define COPPICE_CHECKPOINT_H

#include "train/train.h"

/* Where a run stands. All random numbers are functions of (seed, step), so the step is the generators' state too. */
typedef struct copi_progress_state {
    int64_t step;            /* steps done */
    double loss;             /* summed over the steps of the epoch at hand */
    int64_t correct, images; /* of the epoch at hand */
    double seconds;          /* trained so far */
} copi_progress_state;

typedef struct copi_checkpoint {
    const char *path;
    const char *identity; /* lines "name value": the recipe, data and net that the run belongs to */
    const char *usual; /* lines of options' defaults: what a file says that was written before the option existed */
    uint64_t start;    /* copi_net_digest of the net that the run began with */
} copi_checkpoint;

/** Digest of a net's topology; of its topology, parameters and masks. */
uint64_t copi_topology_digest(const cop_net *net);
uint64_t copi_net_digest(const cop_net *net);
/** Write net (as pulled from plan), the plan's optimizer state, the run's place and history. */
cop_status copi_checkpoint_save(const copi_checkpoint *c, const cop_net *net, copi_plan *plan,
                                const copi_progress_state *state, const cop_history *history);
/** Take all of it up again: into net, plan, state, history. *found = false and COP_OK when there is no such file.
 *  net must be the one that the run began with, or the one that the file holds; after an error it may hold either's
 *  weights. Errors: REFUSED (another recipe, data set or net: the first thing that differs), FORMAT, VERSION,
 *  UNSUPPORTED (of a damaged file: an op or type that there is not), NOMEM, IO. */
cop_status copi_checkpoint_load(const copi_checkpoint *c, cop_net *net, copi_plan *plan, copi_progress_state *state,
                                cop_history *history, bool *found);

#endif
