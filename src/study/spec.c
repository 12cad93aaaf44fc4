/* The tables of a study file. Every recipe starts as a copy of the dense net's, so that methods share batch,
 * optimizer, augmentation and budget unless the file says otherwise: docs/methods.md, "Honest evaluation". */
#include "study/study.h"

#include <string.h>
#include <unistd.h>

enum { FAMILY_CRITERION = 1, FAMILY_SSS = 2, FAMILY_LONGER = 4, FAMILY_SCRATCH = 8, FAMILY_COMPOUND = 16 };

#define NAMES(function, list)                                                                                        \
    static const char *function(int i) {                                                                             \
        static const char *const text[] = {list};                                                                    \
        return i >= 0 && (size_t)i < COPI_COUNT(text) ? text[i] : NULL;                                              \
    }
#define X(name, text) text,
NAMES(optimizer_name, COP_OPTIMIZER_LIST(X))
NAMES(schedule_name, COP_SCHEDULE_LIST(X))
NAMES(precision_name, COP_PRECISION_LIST(X))
NAMES(pace_name, COP_PACE_LIST(X))
NAMES(prox_name, COP_PROX_LIST(X))
NAMES(structure_name, COP_STRUCTURE_LIST(X))
NAMES(aggregate_name, COP_AGGREGATE_LIST(X))
#undef X
#define SCOPES "layer", "global"
#define RANKS "fisher", "fisher-root", "lamp", "lamp-macs", "magnitude"
#define NETS "best", "all"
#define AUGMENTS "none", "flip", "shift"
NAMES(scope_name, SCOPES)
NAMES(rank_name, RANKS)
NAMES(augment_name, AUGMENTS)
NAMES(nets_name, NETS)
enum { AUGMENT_NONE = 1, AUGMENT_FLIP = 2, AUGMENT_SHIFT = 4 };
#define SHIFT_DEFAULT 2 /* pixels, of `augment: shift` */

static const char *format_name(int i) {
    static const char *const text[] = {
#define X(id, name, help) name,
#include "data/formats.def"
#undef X
    };
    return (size_t)i < COPI_COUNT(text) ? text[i] : NULL;
}

static const char *recipe_name(int i) {
    return cop_method_recipe_name(i);
}

static const char *method_name(int i) {
    return i < cop_method_count() ? cop_method_name(i) : NULL;
}

/* What compound may begin with: sss, and the criteria of structures. */
static const char *first_name(int i) {
    for (int c = 0; i > 0 && c < cop_criterion_count(); c++)
        if (copi_criterion_find(cop_criterion_name(c))->unit != COPI_UNIT_WEIGHT && --i == 0)
            return cop_criterion_name(c);
    return i ? NULL : "sss";
}

/* ------------------------------------------------------------------------------------------------- recipes -- */

/* One table of recipe keys: base is the recipe's place in the struct, who the family that may use it. A time limit
 * and checkpoints are left out on purpose: the first would make results depend on the machine. */
/* clang-format off */
#define RECIPE_KEYS(base, who)                                                                                       \
    {"augment", COPI_KEY_WORDS, base + offsetof(copi_spec_recipe, augment), .names = augment_name, .family = who,    \
     .each = true},                                                                                                  \
    {"epochs", COPI_KEY_NUMBER, base + offsetof(copi_spec_recipe, r.epochs), "[0,1e6]", .family = who},              \
    {"batch", COPI_KEY_COUNT, base + offsetof(copi_spec_recipe, r.batch), "[1,1048576]", .family = who},             \
    {"optimizer", COPI_KEY_CHOICE, base + offsetof(copi_spec_recipe, r.optimizer), .names = optimizer_name,          \
     .family = who},                                                                                                 \
    {"rate", COPI_KEY_NUMBER, base + offsetof(copi_spec_recipe, r.rate), "(0,1e3]", .family = who},                  \
    {"momentum", COPI_KEY_NUMBER, base + offsetof(copi_spec_recipe, r.momentum), "[0,1)", .family = who},            \
    {"beta1", COPI_KEY_NUMBER, base + offsetof(copi_spec_recipe, r.beta1), "[0,1)", .family = who},                  \
    {"beta2", COPI_KEY_NUMBER, base + offsetof(copi_spec_recipe, r.beta2), "[0,1)", .family = who},                  \
    {"epsilon", COPI_KEY_NUMBER, base + offsetof(copi_spec_recipe, r.epsilon), "(0,1]", .family = who},              \
    {"decay", COPI_KEY_NUMBER, base + offsetof(copi_spec_recipe, r.decay), "[0,1]", .family = who},                  \
    {"l1", COPI_KEY_NUMBER, base + offsetof(copi_spec_recipe, r.l1), "[0,1]", .family = who},                        \
    {"l1_scale", COPI_KEY_NUMBER, base + offsetof(copi_spec_recipe, r.l1_scale), "[0,1]", .family = who,             \
     .late = true},                                                                                                  \
    {"l2", COPI_KEY_NUMBER, base + offsetof(copi_spec_recipe, r.l2), "[0,1]", .family = who},                        \
    {"l2_conv", COPI_KEY_NUMBER, base + offsetof(copi_spec_recipe, r.l2_conv), "[0,1]", .family = who},              \
    {"schedule", COPI_KEY_CHOICE, base + offsetof(copi_spec_recipe, r.schedule), .names = schedule_name,             \
     .family = who},                                                                                                 \
    {"warmup", COPI_KEY_NUMBER, base + offsetof(copi_spec_recipe, r.warmup), "[0,1)", .family = who},                \
    {"step_epochs", COPI_KEY_STEPS, base + offsetof(copi_spec_recipe, r.step_epochs), "(0,1e6]", .family = who},     \
    {"step_factor", COPI_KEY_NUMBER, base + offsetof(copi_spec_recipe, r.step_factor), "(0,1]", .family = who},      \
    {"restarts", COPI_KEY_SMALL, base + offsetof(copi_spec_recipe, r.restarts), "[0,1000]", .family = who,           \
     .late = true},                                                                                                  \
    {"flip", COPI_KEY_FLAG, base + offsetof(copi_spec_recipe, r.flip), .family = who},                               \
    {"shift", COPI_KEY_SMALL, base + offsetof(copi_spec_recipe, r.shift), "[0,64]", .family = who},                  \
    {"erase", COPI_KEY_SMALL, base + offsetof(copi_spec_recipe, r.erase), "[0,64]", .family = who, .late = true},    \
    {"dropout", COPI_KEY_NUMBER, base + offsetof(copi_spec_recipe, r.dropout), "[0,1]", .family = who,               \
     .late = true},                                                                                                  \
    {"average", COPI_KEY_NUMBER, base + offsetof(copi_spec_recipe, r.average), "[0,1)", .family = who,               \
     .late = true},                                                                                                  \
    {"label_smoothing", COPI_KEY_NUMBER, base + offsetof(copi_spec_recipe, r.label_smoothing), "[0,1)",              \
     .family = who},                                                                                                 \
    {"distil_share", COPI_KEY_NUMBER, base + offsetof(copi_spec_recipe, r.distil_share), "[0,1]", .family = who},    \
    {"distil_temperature", COPI_KEY_NUMBER, base + offsetof(copi_spec_recipe, r.distil_temperature), "(0,100]",      \
     .family = who},                                                                                                 \
    {"precision", COPI_KEY_CHOICE, base + offsetof(copi_spec_recipe, r.precision), .names = precision_name,          \
     .family = who},                                                                                                 \
    {"evaluate_every", COPI_KEY_SMALL, base + offsetof(copi_spec_recipe, r.evaluate_every), "[0,1000000]",           \
     .family = who}
/* clang-format on */

/* `augment` is a short way to write flip and shift, which win where they are given as well. */
static cop_status apply_recipe(copi_yaml *y, int node, copi_spec_recipe *recipe) {
    if (copi_yaml_has(y, node, "augment")) {
        if ((recipe->augment & AUGMENT_NONE) && recipe->augment != AUGMENT_NONE)
            return copi_yaml_fail(y, node, "augment", "augment is \"none\" and something else; choose one");
        if (!copi_yaml_has(y, node, "flip")) recipe->r.flip = (recipe->augment & AUGMENT_FLIP) != 0;
        if (!copi_yaml_has(y, node, "shift")) recipe->r.shift = recipe->augment & AUGMENT_SHIFT ? SHIFT_DEFAULT : 0;
    }
    cop_status status = copi_recipe_check(copi_yaml_ctx(y), &recipe->r);
    return status ? copi_yaml_fail(y, node, NULL, "%s", cop_error(copi_yaml_ctx(y))) : COP_OK;
}

static cop_status check_recipe(copi_yaml *y, int node, void *element) {
    return apply_recipe(y, node, element);
}

static cop_status check_dense(copi_yaml *y, int node, void *element) {
    if (copi_yaml_has(y, node, "distil_share"))
        return copi_yaml_fail(y, node, "distil_share",
                              "the dense net has no teacher; distil_share belongs to tune, retrain and sss");
    return apply_recipe(y, node, element);
}

static const copi_key recipe_keys[] = {RECIPE_KEYS(0, 0), {NULL}};
static const copi_schema recipe_schema = {.what = "recipe", .keys = recipe_keys, .check = check_recipe};
static const copi_schema dense_schema = {.what = "dense", .keys = recipe_keys, .check = check_dense};

/* -------------------------------------------------------------------------------------------------- trials -- */

bool copi_spec_is_sss(const copi_spec_trial *t) {
    const char *method = strcmp(t->p.method, "scratch") == 0 ? t->p.scratch.like : t->p.method;
    return strcmp(method, "sss") == 0;
}

const copi_numbers *copi_spec_levels(const copi_spec_trial *t) {
    switch (copi_spec_is_sss(t) ? t->p.sss.target : COP_TARGET_SPARSITY) {
    case COP_TARGET_SPARSITY:
        return &t->sparsity;
    case COP_TARGET_MACS:
        return &t->macs;
    case COP_TARGET_PARAMETERS:
        return &t->parameters;
    case COP_TARGET_NONE:
        break;
    }
    return &t->gamma;
}

static unsigned trial_family(const void *element) {
    const copi_spec_trial *t = element;
    if (strcmp(t->p.method, "dense-longer") == 0) return FAMILY_LONGER;
    if (strcmp(t->p.method, "compound") == 0) return FAMILY_COMPOUND;
    unsigned family = copi_spec_is_sss(t) ? FAMILY_SSS : FAMILY_CRITERION;
    return strcmp(t->p.method, "scratch") == 0 ? family | FAMILY_SCRATCH : family;
}

static const char *trial_owner(unsigned family) {
    if (family == FAMILY_SSS) return "sss";
    if (family == FAMILY_SCRATCH) return "scratch";
    if (family == FAMILY_COMPOUND) return "compound";
    if (family & FAMILY_LONGER)
        return family & FAMILY_COMPOUND ? "methods other than sss"
                                        : "methods that prune by a criterion, and dense-longer";
    return family & FAMILY_COMPOUND ? "methods that prune by a criterion, and compound"
                                    : "methods that prune by a criterion";
}

static void trial_init(const void *parent, void *element) {
    const copi_spec *spec = parent;
    copi_spec_trial *t = element;
    t->p = cop_method_params_default();
    t->p.method = NULL;
    t->tune = t->search = t->retrain = t->sparsify = t->scratch = spec->dense;
    t->sparsify.r.epochs = 0;              /* asked for by its epochs */
    t->retrain.r.l1 = t->p.sss.retrain.l1; /* docs/methods.md, "SSS" */
}

/* What the named recipe decides, before the keys that may say otherwise are read. */
static void apply_named(void *element) {
    copi_spec_trial *t = element;
    t->p.tune = t->tune.r;
    cop_method_recipe_apply(NULL, t->recipe, &t->p); /* the reader takes no other names */
    t->tune.r = t->p.tune;
}

cop_method_params copi_spec_params(const copi_spec_trial *t) {
    cop_method_params p = t->p;
    p.tune = t->tune.r;
    p.sss.search = t->search.r;
    p.sss.retrain = t->retrain.r;
    p.sparsify = t->sparsify.r;
    p.scratch.recipe = t->scratch.r;
    p.limit = t->limits.v;
    p.limits = t->limits.n;
    p.sss.threshold = t->threshold.v;
    p.sss.thresholds = t->threshold.n;
    if (t->sparsity.n) p.sparsity = t->sparsity.v[0];
    if (t->gamma.n) p.sss.gamma = t->gamma.v[0];
    if (p.sss.target != COP_TARGET_NONE) p.sss.reach = copi_spec_levels(t)->v[0];
    return p;
}

/* What gamma is searched for stands as a list of its own in place of gamma's. */
static cop_status find_target(copi_yaml *y, int node, copi_spec_trial *t) {
    const char *given = NULL;
    for (cop_target target = COP_TARGET_SPARSITY; target <= COP_TARGET_PARAMETERS; target++) {
        const char *name = cop_target_name(target);
        if (!copi_yaml_has(y, node, name)) continue;
        if (given) return copi_yaml_fail(y, node, name, "gamma can be searched for %s or %s, not both", given, name);
        given = name;
        t->p.sss.target = target;
    }
    if (given && t->gamma.n > 1)
        return copi_yaml_fail(y, node, "gamma",
                              "gamma is a list, but %s says that it is searched; give one to start from", given);
    if (!given && copi_yaml_has(y, node, "tries"))
        return copi_yaml_fail(y, node, "tries",
                              "tries has no effect without a sparsity, macs or parameters to reach");
    return COP_OK;
}

static cop_status check_compound(copi_yaml *y, int node, copi_spec_trial *t) {
    bool factors = strcmp(t->p.compound.first, "sss") == 0;
    const char *idle = factors ? "share" : "gamma";
    if (copi_yaml_has(y, node, idle))
        return copi_yaml_fail(y, node, idle, "%s has no effect on compound, first %s", idle, t->p.compound.first);
    if (!factors && !copi_yaml_has(y, node, "share"))
        return copi_yaml_fail(y, node, "first", "first %s needs a share: how much of each layer goes",
                              t->p.compound.first);
    if (!copi_yaml_has(y, node, "scope")) t->p.scope = "global";
    return COP_OK;
}

static cop_status check_trial(copi_yaml *y, int node, void *element) {
    copi_spec_trial *t = element;
    unsigned family = trial_family(t);
    if (t->recipe && (family & FAMILY_SSS))
        return copi_yaml_fail(y, node, "recipe",
                              "recipe has no effect on %s, which has a recipe of its own for search "
                              "and retrain",
                              t->p.method);
    if ((family & FAMILY_CRITERION) && t->p.rounds == 0 && copi_yaml_has(y, node, "tune"))
        return copi_yaml_fail(y, node, "tune", "tune has no effect without rounds; add `rounds: 1` or more");
    static const char *const gradual[] = {"begin", "end", "revive"};
    for (size_t i = 0; i < COPI_COUNT(gradual); i++)
        if ((family & FAMILY_CRITERION) && t->p.pace != COP_PACE_GRADUAL && copi_yaml_has(y, node, gradual[i]))
            return copi_yaml_fail(y, node, gradual[i], "%s has no effect at pace %s; add `pace: gradual`", gradual[i],
                                  cop_pace_name(t->p.pace));
    if (copi_yaml_has(y, node, "sparsify") && !(t->sparsify.r.epochs > 0))
        return copi_yaml_fail(y, node, "sparsify", "sparsify has no effect without epochs");
    cop_status status = family == FAMILY_COMPOUND ? check_compound(y, node, t) : COP_OK;
    if (!status && (family & FAMILY_SSS)) status = apply_recipe(y, node, &t->search);
    if (!status && (family & FAMILY_SSS)) status = find_target(y, node, t);
    if (status) return status;
    cop_method_params p = copi_spec_params(t);
    status = copi_method_find(p.method)->check(copi_yaml_ctx(y), &p);
    return status ? copi_yaml_fail(y, node, NULL, "trial: %s", cop_error(copi_yaml_ctx(y))) : COP_OK;
}

static void limit_init(const void *parent, void *element) {
    (void)parent;
    *(cop_layer_limit *)element = (cop_layer_limit){.most = 1};
}

static const copi_key limit_keys[] = {{"layer", COPI_KEY_TEXT, offsetof(cop_layer_limit, layer), .required = true},
                                      {"keep", COPI_KEY_COUNT, offsetof(cop_layer_limit, keep), "[1,1e9]"},
                                      {"most", COPI_KEY_NUMBER, offsetof(cop_layer_limit, most), "[0,1]"},
                                      {NULL}};
static const copi_schema limit_schema = {
    .what = "limit", .keys = limit_keys, .size = sizeof(cop_layer_limit), .init = limit_init};

static bool never_sparsifies(const void *element) {
    const copi_spec_trial *t = element;
    return !(t->sparsify.r.epochs > 0);
}

#define TRIAL(field) offsetof(copi_spec_trial, field)
static const copi_key trial_keys[] = {
    {"recipe", COPI_KEY_NAME, TRIAL(recipe), .names = recipe_name, .apply = apply_named, .each = true},
    {"method", COPI_KEY_NAME, TRIAL(p.method), .names = method_name, .required = true, .settable = true},
    {"like", COPI_KEY_NAME, TRIAL(p.scratch.like), .names = method_name, .required = true, .family = FAMILY_SCRATCH},
    {"sparsity", COPI_KEY_NUMBERS, TRIAL(sparsity), "[0,1)", .required = true,
     .family = FAMILY_CRITERION | FAMILY_COMPOUND, .each = true},
    {"rounds", COPI_KEY_SMALL, TRIAL(p.rounds), "[0,1000]", .family = FAMILY_CRITERION | FAMILY_LONGER},
    {"pace", COPI_KEY_CHOICE, TRIAL(p.pace), .names = pace_name, .family = FAMILY_CRITERION},
    {"begin", COPI_KEY_NUMBER, TRIAL(p.gradual.begin), "[0,1]", .family = FAMILY_CRITERION | FAMILY_COMPOUND,
     .late = true},
    {"end", COPI_KEY_NUMBER, TRIAL(p.gradual.end), "[0,1]", .family = FAMILY_CRITERION | FAMILY_COMPOUND,
     .late = true},
    {"revive", COPI_KEY_NUMBER, TRIAL(p.gradual.revive), "[0,1)", .family = FAMILY_CRITERION | FAMILY_COMPOUND,
     .late = true},
    {"rank", COPI_KEY_NAME, TRIAL(p.compound.rank), .names = rank_name, .family = FAMILY_COMPOUND},
    {"scope", COPI_KEY_NAME, TRIAL(p.scope), .names = scope_name, .family = FAMILY_CRITERION | FAMILY_COMPOUND},
    {"keep", COPI_KEY_COUNT, TRIAL(p.keep), "[1,1e9]", .family = FAMILY_CRITERION | FAMILY_COMPOUND},
    {"macs", COPI_KEY_NUMBER, TRIAL(p.macs), "(0,1e18]", .family = FAMILY_CRITERION | FAMILY_COMPOUND, .late = true},
    {"shrink", COPI_KEY_FLAG, TRIAL(p.shrink), .family = FAMILY_CRITERION},
    {"aggregate", COPI_KEY_CHOICE, TRIAL(p.aggregate), .names = aggregate_name, .family = FAMILY_CRITERION,
     .late = true},
    {"limits", COPI_KEY_MAPS, TRIAL(limits), .map = &limit_schema, .family = FAMILY_CRITERION, .late = true},
    {"sparsify", COPI_KEY_MAP, TRIAL(sparsify), .map = &recipe_schema, .family = FAMILY_CRITERION,
     .idle = never_sparsifies},
    {"tune", COPI_KEY_MAP, TRIAL(tune), .map = &recipe_schema,
     .family = FAMILY_CRITERION | FAMILY_LONGER | FAMILY_COMPOUND},
    {"first", COPI_KEY_NAME, TRIAL(p.compound.first), .names = first_name, .family = FAMILY_COMPOUND, .late = true},
    {"share", COPI_KEY_NUMBER, TRIAL(p.compound.share), "(0,1)", .family = FAMILY_COMPOUND, .late = true},
    {"structure", COPI_KEY_MAP, TRIAL(search), .map = &recipe_schema, .family = FAMILY_COMPOUND},
    {"scope", COPI_KEY_WORDS, TRIAL(p.sss.structures), .names = structure_name, .family = FAMILY_SSS, .late = true},
    {"gamma", COPI_KEY_NUMBERS, TRIAL(gamma), "[0,1e3]", .family = FAMILY_SSS, .each = true},
    {"cost_aware", COPI_KEY_FLAG, TRIAL(p.sss.cost_aware), .family = FAMILY_SSS, .late = true},
    {"sparsity", COPI_KEY_NUMBERS, TRIAL(sparsity), "(0,1)", .family = FAMILY_SSS, .each = true},
    {"macs", COPI_KEY_NUMBERS, TRIAL(macs), "(0,1e18]", .family = FAMILY_SSS, .each = true},
    {"parameters", COPI_KEY_NUMBERS, TRIAL(parameters), "(0,1e18]", .family = FAMILY_SSS, .each = true},
    {"tries", COPI_KEY_SMALL, TRIAL(p.sss.tries), "[1,100]", .family = FAMILY_SSS, .late = true},
    {"prox", COPI_KEY_CHOICE, TRIAL(p.sss.prox), .names = prox_name, .family = FAMILY_SSS},
    {"factor_rate", COPI_KEY_NUMBER, TRIAL(p.sss.factor_rate), "(0,1e3]", .family = FAMILY_SSS},
    {"factor_momentum", COPI_KEY_NUMBER, TRIAL(p.sss.factor_momentum), "[0,1)", .family = FAMILY_SSS},
    {"factor_threshold", COPI_KEY_NUMBER, TRIAL(p.sss.factor_threshold), "[0,1e3]", .family = FAMILY_SSS},
    RECIPE_KEYS(TRIAL(search), FAMILY_SSS),
    {"retrain", COPI_KEY_MAP, TRIAL(retrain), .map = &recipe_schema, .family = FAMILY_SSS},
    {"threshold", COPI_KEY_NUMBERS, TRIAL(threshold), "[0,1e3]", .family = FAMILY_SSS},
    {"gamma", COPI_KEY_NUMBER, TRIAL(p.sss.gamma), "[0,1e3]", .family = FAMILY_COMPOUND},
    {"scratch", COPI_KEY_MAP, TRIAL(scratch), .map = &recipe_schema, .family = FAMILY_SCRATCH},
    {NULL}};
static const copi_schema trial_schema = {.what = "trial",
                                         .keys = trial_keys,
                                         .size = sizeof(copi_spec_trial),
                                         .init = trial_init,
                                         .family = trial_family,
                                         .owner = trial_owner,
                                         .check = check_trial};

/* --------------------------------------------------------------------------------------------- whole study -- */

static const char *preset_name(int i, const void *user) {
    (void)user;
    return cop_preset_name(i);
}

/* A relative path is taken from the study file's folder where it exists there, else as given. Leading "../" are taken
 * back, so that the page shows build/data, not studies/../build/data. */
static cop_status resolve(const copi_spec *spec, char **path) {
    const char *slash = strrchr(spec->path, '/'), *rest = *path;
    if (!slash || **path == '/') return COP_OK;
    size_t length = (size_t)(slash - spec->path) + 1; /* of the folder, with its slash; 0: the current one */
    while (length > 0 && strncmp(rest, "../", 3) == 0) {
        size_t up = length - 1;
        while (up > 0 && spec->path[up - 1] != '/') up--;
        if (spec->path[up] == '.' || spec->path[up] == '/') break; /* not the name of a folder */
        length = up;
        rest += 3;
    }
    char *there = copi_format(spec->ctx, "%.*s%s", (int)length, spec->path, rest);
    if (!there) return COP_E_NOMEM;
    bool exists = access(there, F_OK) == 0;
    copi_free(spec->ctx, exists ? *path : there);
    if (exists) *path = there;
    return COP_OK;
}

bool copi_spec_is_preset(const copi_spec *spec) {
    for (int i = 0; i < cop_preset_count(); i++)
        if (strcmp(cop_preset_name(i), spec->model) == 0) return true;
    return false;
}

static cop_status check_study(copi_yaml *y, int node, void *element) {
    copi_spec *spec = element;
    cop_status status = resolve(spec, &spec->data.path);
    if (status || copi_spec_is_preset(spec)) return status;
    if ((status = resolve(spec, &spec->model))) return status;
    if (access(spec->model, F_OK) == 0) {
        if (!copi_yaml_has(y, node, "dense")) spec->dense.r.epochs = 0;
        return COP_OK;
    }
    const char *near = copi_nearest(spec->model, cop_preset_count(), preset_name, NULL);
    return copi_yaml_fail(y, node, "model", "model \"%s\" is neither a built-in net nor a file%s%s%s", spec->model,
                          near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

#define DATA(field) offsetof(copi_spec, data.field) - offsetof(copi_spec, data)
static const copi_key data_keys[] = {{"path", COPI_KEY_TEXT, DATA(path), .required = true},
                                     {"format", COPI_KEY_NAME, DATA(format), .names = format_name},
                                     {"validation", COPI_KEY_NUMBER, DATA(validation), "[0,0.9]"},
                                     {"limit", COPI_KEY_COUNT, DATA(limit), "[0,1e12]"},
                                     {"height", COPI_KEY_COUNT, DATA(height), "[0,65536]"},
                                     {"width", COPI_KEY_COUNT, DATA(width), "[0,65536]"},
                                     {NULL}};
static const copi_schema data_schema = {.what = "data", .keys = data_keys};

static const copi_key score_keys[] = {{"floor", COPI_KEY_NUMBER, 0, "[0,1)", .required = true}, {NULL}};
static const copi_schema score_schema = {.what = "score", .keys = score_keys};

#define STUDY(field) offsetof(copi_spec, field)
static const copi_key study_keys[] = {
    {"name", COPI_KEY_TEXT, STUDY(name), .required = true},
    {"data", COPI_KEY_MAP, STUDY(data), .map = &data_schema, .required = true},
    {"model", COPI_KEY_TEXT, STUDY(model), .required = true},
    /* before dense, which may say otherwise for itself; trials start from what dense has */
    {"precision", COPI_KEY_CHOICE, STUDY(dense.r.precision), .names = precision_name},
    {"dense", COPI_KEY_MAP, STUDY(dense), .map = &dense_schema},
    {"score", COPI_KEY_MAP, STUDY(score), .map = &score_schema},
    {"seeds", COPI_KEY_SEEDS, STUDY(seeds)},
    {"threads", COPI_KEY_SMALL, STUDY(threads), "[0,4096]"},
    {"nets", COPI_KEY_CHOICE, STUDY(nets), .names = nets_name},
    {"trials", COPI_KEY_MAPS, STUDY(trials), .map = &trial_schema, .required = true},
    {NULL}};
static const copi_schema study_schema = {.what = "study", .keys = study_keys, .check = check_study};

cop_status copi_spec_parse(cop_ctx *ctx, const char *path, const char *text, size_t n, copi_spec *spec) {
    *spec = (copi_spec){.ctx = ctx, .dense.r = cop_recipe_default(), .score.floor = 0.60};
    spec->data.validation = cop_data_options_default().validation;
    spec->dense.r.distil_share = 0;   /* distilling is asked for by its share */
    spec->dense.r.evaluate_every = 1; /* the page draws validation curves */
    spec->path = copi_strdup(ctx, path);
    spec->text = copi_alloc(ctx, n + 1, 1);
    spec->seeds.v = copi_alloc(ctx, 1, sizeof *spec->seeds.v);
    cop_status status = spec->path && spec->text && spec->seeds.v ? COP_OK : COP_E_NOMEM;
    if (!status) {
        memcpy(spec->text, text, n);
        spec->seeds.v[0] = 1;
        spec->seeds.n = 1;
        status = copi_yaml_read(ctx, path, text, n, &study_schema, spec);
    }
    if (status) copi_spec_clear(spec);
    return status;
}

cop_status copi_spec_load(cop_ctx *ctx, const char *path, copi_spec *spec) {
    *spec = (copi_spec){0};
    uint8_t *bytes = NULL;
    size_t n = 0;
    cop_status status = copi_read_file(ctx, path, (size_t)1 << 20, &bytes, &n);
    if (!status) status = copi_spec_parse(ctx, path, (const char *)bytes, n, spec);
    copi_free(ctx, bytes);
    return status;
}

void copi_spec_clear(copi_spec *spec) {
    if (!spec->ctx) return;
    copi_yaml_clear(spec->ctx, &study_schema, spec);
    copi_free(spec->ctx, spec->path);
    copi_free(spec->ctx, spec->text);
    *spec = (copi_spec){0};
}

void copi_spec_print_dense(copi_buffer *b, const copi_spec *spec) {
    copi_buffer_printf(b, "model=%s\n", copi_spec_is_preset(spec) ? spec->model : "file");
    const copi_spec_recipe usual = {.r = cop_recipe_default()};
    copi_yaml_print(b, &dense_schema, &spec->dense, &usual);
}

void copi_spec_say_difference(copi_buffer *b, const copi_spec_trial *trial, const copi_spec_trial *base) {
    copi_yaml_say(b, &trial_schema, trial, base, "");
}

void copi_spec_print_trial(copi_buffer *b, const copi_spec_trial *trial) {
    const cop_method_params p = cop_method_params_default();
    const copi_spec_recipe recipe = {.r = cop_recipe_default()};
    const copi_spec_trial usual = {
        .p = p, .sparsify = recipe, .tune = recipe, .search = recipe, .retrain = recipe, .scratch = recipe};
    copi_yaml_print(b, &trial_schema, trial, &usual);
    if (trial->p.sss.target != COP_TARGET_NONE) /* what the level is, and where gamma starts */
        copi_buffer_printf(b, "target=%s from %.17g\n", cop_target_name(trial->p.sss.target),
                           trial->gamma.n ? trial->gamma.v[0] : p.sss.gamma);
}
