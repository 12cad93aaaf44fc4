/* Criteria, ranking, masks, coupling groups, shrink: pure functions on nets. cut.c alone needs more than the net: it
 * gets the gradients that some criteria rank by, and checks that a shrunk net gives the same outputs. */
#ifndef COPPICE_PRUNE_H
#define COPPICE_PRUNE_H

#include "base/options.h"
#include "base/style.h"
#include "net/net.h"

/** What a criterion ranks. */
typedef enum copi_unit { COPI_UNIT_WEIGHT, COPI_UNIT_FILTER, COPI_UNIT_NEURON, COPI_UNIT_CHANNEL } copi_unit;

/** What a criterion looks at besides the weights: for each parameter the mean over training batches of d loss / d
 *  parameter, or of its square. */
typedef enum copi_needs { COPI_NEEDS_NOTHING, COPI_NEEDS_GRADIENT, COPI_NEEDS_SQUARES } copi_needs;

typedef struct copi_criterion {
    const char *name, *help;
    copi_style style;
    copi_unit unit;
    unsigned ops;     /* the ops whose nodes it scores: COPI_OP_BIT(CONV) | ... */
    copi_needs needs; /* what cop_prune must bring */
    double
        macs_power; /* ranked globally, a score is divided by this power of the MACs that its unit takes part in; of
                           weights only; 0: not */
    /** Score the units of one layer; low scores go first. score [units]: one per weight (logical order), filter,
     *  neuron or channel. gradient [count of the node's first parameter]: what the criterion needs, else NULL. Masked
     *  weights are 0; whole units that were masked before are never chosen again, whatever their score.
     *  Errors: NOMEM. */
    cop_status (*score)(const cop_net *net, const copi_node *node, const float *gradient, uint64_t seed,
                        float *score);
} copi_criterion;
#define COPI_OP_BIT(NAME) (1u << COPI_OP_##NAME)
const copi_criterion *copi_criterion_find(const char *name); /* NULL: unknown */

/** The options that cop_prune_params shares with cop_method_params; rows for the tables of both. */
const char *copi_choice_scope(int i);
#define COPI_OPTION_SCOPE(type, usual_scope)                                                                         \
    COPI_OPTION("scope", type, scope, NAME), .usual_name = usual_scope, .choice = copi_choice_scope, .since = "0.1", \
                                             .help = "rank each layer by itself, or all layers together"
#define COPI_OPTION_KEEP(type)                                                                                       \
    COPI_OPTION("keep", type, keep, COUNT), .usual = 1, .low = 1, .high = 1e9, .since = "0.1",                       \
                                            .help = "minimum weights, filters or neurons to keep in each layer"
#define COPI_OPTION_MACS(type)                                                                                       \
    COPI_OPTION("macs", type, macs, NUMBER), .high = 1e18, .unit = "MACs", .since = "0.1",                           \
                                             .help = "weight criteria with scope global: leave at most this many "   \
                                                     "effective MACs; below 1: this share of the dense net's"
#define COPI_OPTION_AGGREGATE(type)                                                                                  \
    COPI_OPTION("aggregate", type, aggregate, CHOICE), .usual = COP_AGGREGATE_SUM, .choice = cop_aggregate_name,     \
                                                       .since = "0.1",                                               \
                                                       .help = "how to combine the scores of coupled channels"

/** What cop_prune does once what the criterion needs is at hand (prune knows no engine; cop_prune, in method, asks
 *  it). gradient: [net params] pointers, or NULL. Errors as cop_prune. */
cop_status copi_prune(cop_net *net, const cop_prune_params *params, const float *const *gradient,
                      cop_prune_report *report);

/** Refuse impossible limits; with a net (may be NULL) also those that fit none of its layers. */
cop_status copi_limits_check(cop_ctx *ctx, const cop_layer_limit *limit, int limits, const cop_net *net);

/** Refuse a bound on MACs where it would have no effect: only criteria of weights, ranked globally, follow it. */
cop_status copi_macs_check(cop_ctx *ctx, const copi_criterion *criterion, const char *scope, double macs);

/** Indices of the k lowest of score [n], which holds no NaN, are set to 0 in keep [n] (others 1); ties go to the
 *  lower index. O(n). scratch: copi_lowest_scratch(n) floats (n are always enough), or NULL: slower. */
void copi_lowest(const float *score, int64_t n, int64_t k, uint8_t *keep, float *scratch);
int64_t copi_lowest_scratch(int64_t n);
/** The value of rank k (0-based, in [0,n)) of x [n]; x is left unchanged. O(n). Without memory for its scratch it is
 *  only slower. */
float copi_select(cop_ctx *ctx, const float *x, int64_t n, int64_t k);

/** Channels that must be kept or removed together: one group lists (node, channel) members.
 *  docs/methods.md, "Coupling". */
typedef struct copi_group_member {
    int node;
    int64_t channel;
} copi_group_member;
typedef struct copi_group {
    copi_group_member *member; /* [members], producers' output channels that share one fate */
    int members;
    bool fixed;   /* reaches the net's input or output: can't be removed */
    int fixed_by; /* the first such node; -1: not fixed */
} copi_group;
typedef struct copi_groups {
    cop_ctx *ctx;
    copi_group *group;
    int64_t groups;
} copi_groups;
cop_status copi_groups_find(const cop_net *net, copi_groups *groups);
void copi_groups_clear(copi_groups *groups);

/** Which entries of the old net's parameter survive in the shrunk net: for what belongs to its elements.
 *  map [shrunk count]: index into the old parameter's data for each element of the new one. */
typedef struct copi_shrink_map {
    cop_ctx *ctx;
    int params;      /* of the shrunk net */
    int *old_param;  /* [params] number in the old net */
    int64_t **index; /* [params][count] */
} copi_shrink_map;
void copi_shrink_map_clear(copi_shrink_map *map);
/** cop_shrink_rounded without the forward check (prune knows no engine; method and the public function do the check).
 *  multiple 1: cop_shrink. map may be NULL. */
cop_status copi_shrink(const cop_net *net, int64_t multiple, cop_net **shrunk, copi_shrink_map *map,
                       int64_t *units_removed);
/** cop_shrink with the map for slicing; map and report may be NULL. */
cop_status copi_shrink_checked(const cop_net *net, cop_net **shrunk, copi_shrink_map *map, cop_shrink_report *report);

#endif
