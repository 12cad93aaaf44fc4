/* The control that a pruned net's weights must beat: its structure alone (or its masks, if weights were pruned),
 * trained from new weights. It spends the training MACs of the pruned net, including those of the dense net. Source:
 * Liu et al. 2019, arXiv:1810.05270 (Scratch-B). */
#include "method/method.h"

#include <math.h>
#include <string.h>

static bool is_sss(const cop_method_params *p) {
    return strcmp(p->scratch.like, "sss") == 0;
}

/* The parameters of the method that gives the structure. */
static cop_method_params likeness(const cop_method_params *p) {
    cop_method_params like = *p;
    like.method = p->scratch.like;
    like.shrink = 1;
    return like;
}

/* The methods that give a structure to train: sss, and all criteria. */
static const char *choice_like(int i) {
    return i == cop_criterion_count() ? "sss" : cop_criterion_name(i);
}

static const cop_option options[] = {
    {COPI_OPTION("like", cop_method_params, scratch.like, NAME), .usual_name = "l1-filter", .choice = choice_like,
     .since = "0.1", .flags = COP_OPTION_RESULT | COP_OPTION_REQUIRED,
     .help =
         "method whose structure is trained from new weights, sss or a criterion; its options are keys of this trial "
         "too"},
    {COPI_OPTION_RECIPE("scratch", scratch.recipe), .since = "0.1", .flags = COP_OPTION_RESULT,
     .help = "training of the net, with the dense net's epochs; the net then trains until it has spent the training "
             "MACs of the dense net and the tuning together"},
    {NULL}};

static cop_status check(cop_ctx *ctx, const cop_method_params *p) {
    cop_status s = copi_options_check(ctx, NULL, options, p);
    if (!s && !(p->scratch.recipe.epochs > 0))
        s = copi_fail(ctx, COP_E_RANGE,
                      "scratch: epochs is %g; expected the number of epochs that the dense net was trained for",
                      p->scratch.recipe.epochs);
    if (s) return s;
    const cop_method_params like = likeness(p);
    s = copi_method_find(p->scratch.like)->check(ctx, &like);
    return s ? s : copi_method_recipe_check(ctx, "scratch", &p->scratch.recipe);
}

static void label(copi_buffer *b, const cop_method_params *p, double level) {
    copi_buffer_printf(b, " as %s", p->scratch.like);
    copi_method_find(p->scratch.like)->label(b, p, level);
}

static const char *idle(const cop_method_params *p, const copi_given *given, char why[160]) {
    return copi_method_find(p->scratch.like)->idle(p, given, why);
}

static void aim(cop_method_params *p, const cop_option *level) {
    copi_method_find(p->scratch.like)->aim(p, level);
}

/* MACs per image, summed over the nets that a method's rounds tune; the earlier nets are larger. */
static cop_status tuned_macs(const copi_run *own, const cop_net *full, double *macs) {
    const cop_method_params *p = own->params;
    cop_net_info info;
    cop_net_get_info(full, &info);
    if (copi_criterion_find(p->method)->unit == COPI_UNIT_WEIGHT) {
        *macs = p->rounds * (double)info.macs;
        return COP_OK;
    }
    cop_status s = COP_OK;
    *macs = 0;
    for (int r = 1; !s && r <= p->rounds; r++) {
        cop_net *net = NULL, *small = NULL;
        s = cop_net_clone(full, &net);
        if (!s) s = copi_criterion_prune(own, net, copi_pace_share(p->pace, p->sparsity, r, p->rounds), NULL);
        if (!s) s = cop_shrink(net, &small, NULL);
        if (!s) {
            cop_net_get_info(small, &info);
            *macs += (double)info.macs;
        }
        cop_net_destroy(small);
        cop_net_destroy(net);
    }
    return s;
}

/* The structure, and the training MACs that its method spends in addition to those of the dense net. */
static cop_status structure(copi_run *run, cop_net **small, double *macs) {
    const cop_method_params like = likeness(run->params);
    copi_run own = {.ctx = run->ctx, .dense = run->dense, .data = run->data, .params = &like};
    cop_history history = {.ctx = run->ctx};
    cop_net *full = NULL;
    double gamma, epochs = like.tune.epochs, tuned = 0; /* tuned: MACs per image in each of those epochs */
    cop_status s;
    if (is_sss(run->params)) {
        epochs = like.sss.retrain.epochs;
        s = copi_sss_search(&own, small, &history, &gamma);
    } else {
        bool gradual = like.pace == COP_PACE_GRADUAL;
        s = copi_criterion_start(&own, &full, &history);
        if (!s && !gradual)
            s = tuned_macs(&own, full, &tuned); /* gradual pruning trains, which counts its own MACs */
        if (!s)
            s = gradual ? copi_gradual_train(&own, full, &history)
                        : copi_criterion_prune(&own, full, like.sparsity, NULL);
        if (!s && copi_criterion_find(like.method)->unit == COPI_UNIT_WEIGHT)
            *small = full, full = NULL;
        else if (!s)
            s = cop_shrink(full, small, NULL);
    }
    run->trainings = own.trainings;
    cop_history_clear(&history);
    cop_net_destroy(full);
    if (s) return s;
    if (is_sss(run->params)) {
        cop_net_info info;
        cop_net_get_info(*small, &info);
        tuned = (double)info.macs;
    }
    *macs = own.macs + 3 * tuned * epochs * (double)run->data->info.images[COP_SPLIT_TRAIN];
    return COP_OK;
}

/* Draw new weights for the unmasked entries. He's variance uses the inputs that are left: a kernel's mean over its
 * units. */
static cop_status renew(cop_net *net, uint64_t seed) {
    cop_net *masked;
    cop_status s = cop_net_clone(net, &masked);
    if (!s) s = cop_net_init(net, seed);
    if (!s) s = copi_net_copy_masks(net, masked);
    for (int i = 0; !s && i < net->params; i++) {
        copi_param *p = &net->param[i];
        int64_t alive = 0;
        for (int64_t k = 0; p->mask && k < p->count; k++) alive += p->mask[k];
        if (p->kind != COPI_PARAM_WEIGHT || !alive) continue;
        float scale = (float)sqrt((double)p->count / (double)alive);
        for (int64_t k = 0; k < p->count; k++) p->data[k] *= scale;
    }
    if (!s) copi_net_apply_masks(net);
    cop_net_destroy(masked);
    return s;
}

static cop_status run_scratch(copi_run *run, cop_net **result) {
    const cop_method_params *p = run->params;
    cop_recipe recipe = p->scratch.recipe;
    const copi_fit fit = {.recipe = &recipe, .phase = "train"};
    cop_history history = {.ctx = run->ctx};
    cop_point point = {.round = 1,
                       .level = is_sss(p) ? p->sss.gamma : p->sparsity,
                       .asked = is_sss(p) ? NAN : p->sparsity,
                       .threshold = NAN,
                       .accuracy_pruned = NAN};
    double macs = 0;
    cop_status s = structure(run, result, &macs);
    if (!s) s = renew(*result, p->seed);
    if (!s) {
        cop_net_info dense, small;
        cop_net_get_info(run->dense, &dense);
        cop_net_get_info(*result, &small);
        macs += 3 * (double)dense.macs * recipe.epochs * (double)run->data->info.images[COP_SPLIT_TRAIN];
        recipe.epochs = macs / (3 * (double)small.macs * (double)run->data->info.images[COP_SPLIT_TRAIN]);
        s = copi_net_note(*result, "scratch: the structure of %s, new weights, %.4g epochs for %.4g training MACs",
                          p->scratch.like, recipe.epochs, macs);
    }
    if (!s) s = copi_run_train(run, *result, &fit, 1, &history);
    if (!s) s = copi_run_point(run, *result, &point, &history);
    cop_history_clear(&history);
    return s;
}

const copi_method copi_method_scratch = {
    .name = "scratch",
    .style = {"#8f8f8f", "#bdbdbd", COPI_SHAPE_SQUARE},
    .help = "control: the structure found by another method (like), trained from new weights at the same cost",
    .family = "scratch",
    .whose = "scratch",
    .options = options,
    .like = true,
    .run = run_scratch,
    .check = check,
    .label = label,
    .idle = idle,
    .aim = aim};
