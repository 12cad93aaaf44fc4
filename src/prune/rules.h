/* What pruning must know of each op: which channels are kept or removed together, what an op makes of constants,
 * which inputs it needs, and how its attributes and parameters change when channels are removed. Each family of
 * ops.def has its copi_rule_<family> in rules_channelwise.c, rules_join.c (add, concat, flatten) or rules_linear.c
 * (conv, dense).
 *
 * Channels are numbered across the whole net: channel c of node n is first[n] + c. */
#ifndef COPPICE_RULES_H
#define COPPICE_RULES_H

#include "prune/prune.h"

/* Sets of channels (union-find). The channels of a set are kept or removed together. */
typedef struct copi_links {
    cop_ctx *ctx;
    const cop_net *net;
    int64_t *first;  /* [nodes + 1] */
    int64_t *parent; /* [first[nodes]] */
    int *stands;     /* [nodes] whose output is read instead of this node's: an add of 0 is its other input */
} copi_links;
/** Each channel becomes a set of its own; each node stands for itself. Errors: NOMEM. */
cop_status copi_links_make(copi_links *l, const cop_net *net);
void copi_links_clear(copi_links *l);
int64_t copi_links_root(copi_links *l, int64_t channel);
void copi_links_unite(copi_links *l, int64_t a, int64_t b);
/** The number of channel c of input i of node. */
int64_t copi_links_input(const copi_links *l, int node, int i, int64_t c);
/** Unite everything that the rules couple and bundle. */
void copi_links_bundle_all(copi_links *l);

static inline int64_t copi_channels(const copi_node *node) {
    return node->shape[0];
}

/* Channels with the same value at all positions of all images. */
typedef struct copi_known {
    const copi_links *links;
    uint8_t *constant; /* [channels] */
    double *value;     /* [channels] */
} copi_known;
/** Nothing is known at first. Errors: NOMEM. */
cop_status copi_known_make(copi_known *k, const copi_links *links);
void copi_known_clear(copi_known *k);
bool copi_known_input(const copi_known *k, int node, int i, int64_t c, double *value);
/** Work out one channel of node from what is known of its inputs. */
void copi_known_find(copi_known *k, int node, int64_t c);

/* The state of one shrinking. */
typedef struct copi_shrinker {
    cop_ctx *ctx;
    const cop_net *net;
    copi_links links;
    copi_known known;
    uint8_t *kept;    /* [channels] meaningful at the sets' roots */
    bool *live;       /* [nodes] some kept output comes from it */
    int *renamed;     /* [nodes] number in the new net */
    int64_t multiple; /* layers keep a multiple of this many channels; 1: any number */
    bool grew;        /* something was kept that was not before */
} copi_shrinker;
bool copi_kept(copi_shrinker *s, int64_t channel);
void copi_keep(copi_shrinker *s, int64_t channel);
/** The kept channels of a node, in order; returns how many. index may be NULL. */
int64_t copi_kept_channels(copi_shrinker *s, int node, int64_t *index);

/* Runs of channels, each cut into the same number of parts. The g-th parts belong together, as the inputs and outputs
 * of a conv's group do. */
typedef struct copi_parts {
    int64_t parts;
    int runs;
    int64_t at[2], count[2]; /* [runs] first channel, channels */
} copi_parts;
bool copi_part_kept(copi_shrinker *s, const copi_parts *p, int64_t part);
int64_t copi_parts_kept(copi_shrinker *s, const copi_parts *p);
/** Keep parts equal: a part with nothing kept is removed; in each run, all others keep as many channels as the
 *  fullest, and at least one. */
void copi_keep_even(copi_shrinker *s, const copi_parts *p);

typedef struct copi_rule {
    bool fixed; /* none of its channels can be removed */
    /** Unite each output channel with the input channels that it must be kept or removed with. NULL: none. */
    void (*couple)(copi_links *l, int node);
    /** Unite what can only be removed as a whole: the channels of a grouped op's part. NULL: nothing. */
    void (*bundle)(copi_links *l, int node);
    /** Is output channel c constant, and with which value? NULL: never. */
    bool (*constant)(const copi_known *k, int node, int64_t c, double *value);
    /** If each input channel falls by a constant, k [input channels], does each output channel? Then out [channels]
     *  gets these constants. With out NULL it only answers. NULL: never. */
    bool (*falls)(const cop_net *net, const copi_node *node, const double *k, double *out);
    /** The number of the input that equals the output; -1: none. NULL: never. */
    int (*same)(const copi_known *k, int node);
    /** Is nothing that is kept read from input i? NULL: never. */
    bool (*idle)(copi_shrinker *s, int node, int i);
    /** Keep the input channels (and output channels) without which the kept output would change. NULL: those that
     *  coupling keeps. */
    void (*need)(copi_shrinker *s, int node);
    /** Set the attributes of the smaller node. NULL: they stay. */
    void (*resize)(copi_shrinker *s, int node, copi_node *proto);
    /** List the remaining entries of the parameter in this slot, in order; returns how many. NULL: no parameters. */
    int64_t (*slice)(copi_shrinker *s, int node, int slot, int64_t *index);
    /** Add the effect of the removed constant inputs to the small net. NULL: none. */
    void (*fold)(copi_shrinker *s, int node, cop_net *small);
    /** Mask the parameters that make output channel c, so that it is 0. NULL: it has none. */
    cop_status (*mask)(cop_net *net, const copi_node *node, int64_t c);
    /** Mask the weights that read input channel c. NULL: it has none. */
    cop_status (*mask_input)(cop_net *net, const copi_node *node, int64_t c);
    /** Is output channel c masked by `mask`? NULL: never. */
    bool (*masked)(const cop_net *net, const copi_node *node, int64_t c);
} copi_rule;
const copi_rule *copi_rule_get(copi_op op);
#define X(NAME, name, family, traits, help) extern const copi_rule copi_rule_##family;
#include "net/ops.def"
#undef X
/** `falls` of ops whose output channel c falls by k[c]. */
bool copi_falls_alike(const cop_net *net, const copi_node *node, const double *k, double *out);

/** Move the constants that residual branches add into biases and batch-norm shifts and means, so that shrink can
 *  remove the branches. The net computes the same function. Constants that nothing can take exactly stay. Errors:
 *  NOMEM (the net is then invalid). */
cop_status copi_absorb_constants(cop_net *net);

/** Mask entries [at, at + count) of the parameter in this slot and set them to 0; without one, do nothing. */
cop_status copi_mask_entries(cop_net *net, const copi_node *node, int slot, int64_t at, int64_t count);
bool copi_entries_masked(const cop_net *net, const copi_node *node, int slot, int64_t at, int64_t count);

#endif
