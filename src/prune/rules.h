/* What pruning must know of each op: which channels share one fate, what an op makes of constants, what it needs of its
 * inputs, and what becomes of its attributes and parameters when channels are removed. Each family of ops.def has its
 * copi_rule_<family> in rules_channelwise.c, rules_join.c (add, concat, flatten) or rules_linear.c (conv, dense).
 *
 * Channels are numbered across the whole net: channel c of node n is first[n] + c. */
#ifndef COPPICE_RULES_H
#define COPPICE_RULES_H

#include "prune/prune.h"

/* Sets of channels (union-find): those of one set are kept or removed together. */
typedef struct copi_links {
    cop_ctx *ctx;
    const cop_net *net;
    int64_t *first;  /* [nodes + 1] */
    int64_t *parent; /* [first[nodes]] */
    int *stands;     /* [nodes] whose output is read in place of this node's: its own, but for adds of nothing */
} copi_links;
/** Every channel a set of its own, every node standing for itself. Errors: NOMEM. */
cop_status copi_links_make(copi_links *l, const cop_net *net);
void copi_links_clear(copi_links *l);
int64_t copi_links_root(copi_links *l, int64_t channel);
void copi_links_unite(copi_links *l, int64_t a, int64_t b);
/** The number of channel c of input i of node. */
int64_t copi_links_input(const copi_links *l, int node, int i, int64_t c);
/** Unite what the rules of all ops couple, and bundle too. */
void copi_links_bundle_all(copi_links *l);

static inline int64_t copi_channels(const copi_node *node) {
    return node->shape[0];
}

/* Channels that are the same at all positions of all images. */
typedef struct copi_known {
    const copi_links *links;
    uint8_t *constant; /* [channels] */
    double *value;     /* [channels] */
} copi_known;
/** Nothing is known yet. Errors: NOMEM. */
cop_status copi_known_make(copi_known *k, const copi_links *links);
void copi_known_clear(copi_known *k);
bool copi_known_input(const copi_known *k, int node, int i, int64_t c, double *value);
/** Find out about one channel from what is known of the inputs. */
void copi_known_find(copi_known *k, int node, int64_t c);

/* A net on its way to a smaller one. */
typedef struct copi_shrinker {
    cop_ctx *ctx;
    const cop_net *net;
    copi_links links;
    copi_known known;
    uint8_t *kept; /* [channels] of the sets' roots */
    bool *live;    /* [nodes] some kept output comes from it */
    int *renamed;  /* [nodes] number in the new net */
    int64_t
        multiple; /* of which the channels of convs and denses shall be as many as there are; 1: whatever is left */
    bool grew;    /* something was kept that was not before */
} copi_shrinker;
bool copi_kept(copi_shrinker *s, int64_t channel);
void copi_keep(copi_shrinker *s, int64_t channel);
/** The kept channels of a node, in order; returns how many. index may be NULL. */
int64_t copi_kept_channels(copi_shrinker *s, int node, int64_t *index);

/* Runs of channels cut into as many parts each, which belong together (the groups of a conv: its inputs and outputs).
 */
typedef struct copi_parts {
    int64_t parts;
    int runs;
    int64_t at[2], count[2]; /* [runs] first channel, channels */
} copi_parts;
bool copi_part_kept(copi_shrinker *s, const copi_parts *p, int64_t part);
int64_t copi_parts_kept(copi_shrinker *s, const copi_parts *p);
/** Parts stay equal: one with nothing kept goes, the others keep as many as the fullest, in each run at least one. */
void copi_keep_even(copi_shrinker *s, const copi_parts *p);

typedef struct copi_rule {
    bool fixed; /* none of its channels can go */
    /** Unite the channels of inputs and output that are the same channel. NULL: none are. */
    void (*couple)(copi_links *l, int node);
    /** Unite besides what is ranked as one because it can only go as one: the parts of a grouped op. NULL: nothing.
     */
    void (*bundle)(copi_links *l, int node);
    /** Is output channel c constant, and which value has it? NULL: never. */
    bool (*constant)(const copi_known *k, int node, int64_t c, double *value);
    /** If input channel c falls by k[c] everywhere, does output channel c fall by a constant? Then out[c] gets it, unless
     *  out is NULL. k [input channels], out [channels]. NULL: never. */
    bool (*falls)(const cop_net *net, const copi_node *node, const double *k, double *out);
    /** The input that equals the output, -1: none does. NULL: never. */
    int (*same)(const copi_known *k, int node);
    /** Does nothing that is kept come from input i? NULL: never so. */
    bool (*idle)(copi_shrinker *s, int node, int i);
    /** Keep those input channels (and output channels) without which the kept output would change. NULL: coupling has
     *  said it all. */
    void (*need)(copi_shrinker *s, int node);
    /** Attributes of the smaller node. NULL: as they are. */
    void (*resize)(copi_shrinker *s, int node, copi_node *proto);
    /** The entries of the parameter in this slot that remain, in order; returns how many. NULL: it has no parameters.
     */
    int64_t (*slice)(copi_shrinker *s, int node, int slot, int64_t *index);
    /** Put into the small net what the removed constant inputs did. NULL: nothing. */
    void (*fold)(copi_shrinker *s, int node, cop_net *small);
    /** Hold output channel c at 0. NULL: it has nothing to hold it by. */
    cop_status (*mask)(cop_net *net, const copi_node *node, int64_t c);
    /** Hold at 0 the weights that read input channel c. NULL: it has none. */
    cop_status (*mask_input)(cop_net *net, const copi_node *node, int64_t c);
    /** Is output channel c held so? NULL: never. */
    bool (*masked)(const cop_net *net, const copi_node *node, int64_t c);
} copi_rule;
const copi_rule *copi_rule_get(copi_op op);
#define X(NAME, name, family, traits, help) extern const copi_rule copi_rule_##family;
#include "net/ops.def"
#undef X
/** Every output channel falls as the first input does: a rule's falls. */
bool copi_falls_alike(const cop_net *net, const copi_node *node, const double *k, double *out);

/** Put the constants that residual branches add where they can be said once (biases, batch-norm shifts and means), in
 *  place, so that shrink can remove the branch; those that nothing can take exactly stay. The same function. Errors:
 *  NOMEM (net is then of no use). */
cop_status copi_absorb_constants(cop_net *net);

/** Mask entries [at, at + count) of a parameter of the node's (if it has it) and set them to 0. */
cop_status copi_mask_entries(cop_net *net, const copi_node *node, int slot, int64_t at, int64_t count);
bool copi_entries_masked(const cop_net *net, const copi_node *node, int slot, int64_t at, int64_t count);

#endif
