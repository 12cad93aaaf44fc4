/* Reads study files. Every recipe starts as a copy of the dense net's, so that methods share batch, optimizer,
 * augmentation and budget unless the file changes them (docs/methods.md, "Honest evaluation"). The keys of recipes
 * and trials are the rows of the recipe's and the methods' tables. */
#include "study/study.h"

#include <string.h>
#include <unistd.h>

static COPI_CHOICES(choice_augment, "none", "flip", "shift") static COPI_CHOICES(choice_nets, "best", "all") enum {
    AUGMENT_NONE = 1,
    AUGMENT_FLIP = 2,
    AUGMENT_SHIFT = 4
};
#define SHIFT_DEFAULT 2 /* pixels, of `augment: shift` */

static const cop_option augment = {.name = "augment", .kind = COP_OPTION_SET, .choice = choice_augment};

/* ------------------------------------------------------------------------------------------------- recipes -- */

static const char *recipe_key(int i, const void *user) {
    (void)user;
    for (const cop_option *o = copi_recipe_options; o->name; o++)
        if (!(o->flags & COP_OPTION_RUN) && i-- == 0) return o->name;
    return i == 0 ? augment.name : NULL;
}

/* `augment` is short for flip and shift, which override it. */
static cop_status read_augment(copi_yaml *y, int node, cop_recipe *recipe) {
    int value;
    unsigned words;
    if (!copi_yaml_find(y, node, augment.name, &value)) return COP_OK;
    cop_status s = copi_yaml_value(y, value, &augment, &words);
    if (s) return s;
    if ((words & AUGMENT_NONE) && words != AUGMENT_NONE)
        return copi_yaml_fail(y, node, augment.name, "augment: \"none\" cannot be combined; remove it or the others");
    recipe->flip = (words & AUGMENT_FLIP) != 0;
    recipe->shift = words & AUGMENT_SHIFT ? SHIFT_DEFAULT : 0;
    return COP_OK;
}

static cop_status read_recipe(copi_yaml *y, int node, const char *what, cop_recipe *recipe) {
    cop_status s = copi_yaml_keys(y, node, what, recipe_key, NULL);
    if (!s) s = read_augment(y, node, recipe);
    for (const cop_option *o = copi_recipe_options; !s && o->name; o++) {
        int value;
        if (copi_yaml_find(y, node, o->name, &value)) s = copi_yaml_value(y, value, o, (char *)recipe + o->offset);
    }
    return s;
}

static cop_status read_dense(copi_yaml *y, int node, cop_recipe *recipe) {
    cop_status s = read_recipe(y, node, "dense", recipe);
    if (!s && copi_yaml_has(y, node, "distil_share"))
        s = copi_yaml_fail(y, node, "distil_share",
                           "the dense net has no teacher; distil_share belongs to tune, retrain and sss");
    return s;
}

/* -------------------------------------------------------------------------------------------------- limits -- */

static const cop_option limit_options[] = {{COPI_OPTION("keep", cop_layer_limit, keep, COUNT), .low = 1, .high = 1e9},
                                           {COPI_OPTION("most", cop_layer_limit, most, NUMBER), .high = 1},
                                           {NULL}};

static const char *limit_key(int i, const void *user) {
    (void)user;
    static const char *const keys[] = {"layer", "keep", "most"};
    return (size_t)i < COPI_COUNT(keys) ? keys[i] : NULL;
}

static cop_status read_limit(copi_yaml *y, int node, cop_layer_limit *limit) {
    int value;
    limit->most = 1;
    cop_status s = copi_yaml_keys(y, node, "limit", limit_key, NULL);
    if (!s && !copi_yaml_find(y, node, "layer", &value))
        s = copi_yaml_fail(y, node, NULL, "limit: \"layer\" is missing");
    if (!s) s = copi_yaml_text(y, value, "layer", (char **)&limit->layer);
    for (const cop_option *o = limit_options; !s && o->name; o++)
        if (copi_yaml_find(y, node, o->name, &value)) s = copi_yaml_value(y, value, o, (char *)limit + o->offset);
    return s;
}

static cop_status read_limits(copi_yaml *y, int node, cop_method_params *p) {
    void *list = NULL;
    cop_status s = copi_yaml_list(y, node, "limits", sizeof *p->limit, &list, &p->limits);
    p->limit = list;
    for (int i = 0; !s && i < p->limits; i++)
        s = read_limit(y, copi_yaml_item(y, node, i), &((cop_layer_limit *)list)[i]);
    return s;
}

/* -------------------------------------------------------------------------------------------------- trials -- */

static const cop_option recipe_option = {.name = "recipe", .kind = COP_OPTION_NAME, .choice = cop_method_recipe_name},
                        method_option = {.name = "method", .kind = COP_OPTION_NAME, .choice = cop_method_name};

/* The state of reading a trial. */
typedef struct reading {
    copi_yaml *y;
    int node;
    copi_spec_trial *trial;
    const copi_method *method;
    cop_option option[COPI_METHOD_OPTIONS]; /* of the method; the last has a NULL name */
} reading;

/* All keys of all methods. */
typedef struct key_list {
    const char *name[256];
    int n;
} key_list;

static const char *key_at(int i, const void *list) {
    return i < ((const key_list *)list)->n ? ((const key_list *)list)->name[i] : NULL;
}

static void add_keys(key_list *list, const char *method) {
    cop_option option[COPI_METHOD_OPTIONS];
    copi_method_options(method, NULL, option);
    for (const cop_option *o = option; o->name && list->n < (int)COPI_COUNT(list->name); o++)
        list->name[list->n++] = o->name;
}

/* The last criterion stands for all: they have the same options. */
static int first_family(void) {
    return cop_criterion_count() - 1;
}

static cop_status check_keys(copi_yaml *y, int node) {
    key_list list = {.name = {"recipe", "method", "augment"}, .n = 3};
    for (int m = first_family(); m < cop_method_count(); m++) add_keys(&list, cop_method_name(m));
    return copi_yaml_keys(y, node, "trial", key_at, &list);
}

/* Name the methods that the key belongs to. */
static cop_status fail_foreign(copi_yaml *y, int node, const char *key) {
    char owners[200] = "";
    for (int m = first_family(); m < cop_method_count(); m++) {
        cop_option option[COPI_METHOD_OPTIONS];
        copi_method_options(cop_method_name(m), NULL, option);
        if (copi_option_find(option, key))
            copi_append(owners, sizeof owners, "%s%s", *owners ? ", " : "",
                        copi_method_find(cop_method_name(m))->whose);
    }
    return copi_yaml_fail_key(y, node, key, "trial: \"%s\" belongs to %s", key, owners);
}

static bool is_inline_recipe(const reading *r) {
    return copi_option_find(r->option, "flip") != NULL;
}

static cop_status check_own_keys(const reading *r) {
    const char *key;
    for (int i = 0; (key = copi_yaml_key(r->y, r->node, i)); i++) {
        bool own = copi_option_find(r->option, key) || !strcmp(key, "recipe") || !strcmp(key, "method") ||
                   (!strcmp(key, augment.name) && is_inline_recipe(r));
        if (!own) return fail_foreign(r->y, r->node, key);
    }
    return COP_OK;
}

copi_spec_trial copi_spec_begin_trial(const copi_spec *spec) {
    copi_spec_trial t = {.p = cop_method_params_default()};
    double l1 = t.p.sss.retrain.l1;
    t.p.method = NULL;
    t.p.tune = t.p.sparsify = t.p.sss.search = t.p.sss.retrain = t.p.scratch.recipe = spec->dense;
    t.p.sparsify.epochs = 0; /* off unless it has epochs */
    t.p.sss.retrain.l1 = l1; /* docs/methods.md, "SSS" */
    return t;
}

static cop_status fail_missing(const reading *r, const char *key) {
    return copi_yaml_fail(r->y, r->node, NULL, "trial: \"%s\" is missing", key);
}

/* Read recipe and method, which decide the trial's valid keys. */
static cop_status read_method(reading *r) {
    cop_method_params *p = &r->trial->p;
    int value;
    cop_status s = COP_OK;
    if (copi_yaml_find(r->y, r->node, "recipe", &value)) {
        s = copi_yaml_value(r->y, value, &recipe_option, &r->trial->recipe);
        if (!s) s = cop_method_recipe_apply(copi_yaml_ctx(r->y), r->trial->recipe, p);
    }
    if (!s && copi_yaml_find(r->y, r->node, "method", &value))
        s = copi_yaml_value(r->y, value, &method_option, &p->method);
    if (s) return s;
    if (!p->method) return fail_missing(r, "method");
    r->method = copi_method_find(p->method);
    if (!r->trial->recipe) copi_options_default(r->method->options, p); /* some differ between methods */
    if (r->method->like) {
        if (!copi_yaml_find(r->y, r->node, "like", &value)) return fail_missing(r, "like");
        s = copi_yaml_value(r->y, value, copi_option_find(r->method->options, "like"), &p->scratch.like);
    }
    copi_method_options(p->method, p->scratch.like, r->option);
    return s ? s : check_own_keys(r);
}

static double *level_field(cop_method_params *p, const cop_option *o) {
    return (double *)(void *)((char *)p + o->offset);
}

/* Read the levels: values of the method's own kind (sparsity, gamma), or of a target that its own kind is searched
 * for. In a search, the own kind is where it starts. */
static cop_status read_levels(reading *r) {
    copi_spec_trial *t = r->trial;
    const copi_method *method = copi_method_of(t->p.method, t->p.scratch.like);
    const cop_option *own = NULL, *target = NULL;
    for (const cop_option *o = method->options; o->name; o++) {
        if (!(o->flags & COP_OPTION_LEVEL)) continue;
        if (!own) {
            own = o;
        } else if (copi_yaml_has(r->y, r->node, o->name)) {
            if (target)
                return copi_yaml_fail(r->y, r->node, o->name, "%s can be searched for %s or %s, not both", own->name,
                                      target->name, o->name);
            target = o;
        }
    }
    int value;
    cop_status s = COP_OK;
    if (own && copi_yaml_find(r->y, r->node, own->name, &value)) {
        s = copi_yaml_numbers(r->y, value, own, &t->level, &t->levels);
        if (!s && target && t->levels > 1)
            s = copi_yaml_fail(r->y, r->node, own->name,
                               "%s is a list, but %s makes it searched; give one value to start from", own->name,
                               target->name);
        if (!s) *level_field(&t->p, own) = t->level[0];
    } else if (own && (own->flags & COP_OPTION_REQUIRED)) {
        return fail_missing(r, own->name);
    }
    if (!s && target) {
        r->method->aim(&t->p, target);
        copi_yaml_find(r->y, r->node, target->name, &value);
        s = copi_yaml_numbers(r->y, value, target, &t->level, &t->levels);
        if (!s) *level_field(&t->p, target) = t->level[0];
    }
    t->level_of = target ? target : own;
    return s;
}

static cop_status read_option(const reading *r, int value, const cop_option *o) {
    cop_method_params *p = &r->trial->p;
    void *at = (char *)p + o->offset;
    if (o->kind == COP_OPTION_RECIPE) return read_recipe(r->y, value, "recipe", at);
    if (o->kind == COP_OPTION_LIMITS) return read_limits(r->y, value, p);
    if (o->kind == COP_OPTION_NUMBERS)
        return copi_yaml_numbers(r->y, value, o, at, (int *)(void *)((char *)p + o->count_offset));
    return copi_yaml_value(r->y, value, o, at);
}

static bool is_given(const void *trial, const char *key) {
    const reading *r = trial;
    return copi_yaml_has(r->y, r->node, key);
}

static cop_status check_trial(const reading *r) {
    const cop_method_params *p = &r->trial->p;
    char why[160];
    if (r->trial->recipe && !copi_option_find(r->option, "tune"))
        return copi_yaml_fail(r->y, r->node, "recipe",
                              "recipe has no effect on %s, which has its own recipes for search and retrain",
                              p->method);
    const copi_given given = {is_given, r};
    const char *idle = r->method->idle ? r->method->idle(p, &given, why) : NULL;
    if (idle) return copi_yaml_fail(r->y, r->node, idle, "%s has no effect %s", idle, why);
    cop_status s = r->method->check(copi_yaml_ctx(r->y), p);
    return s ? copi_yaml_fail(r->y, r->node, NULL, "trial: %s", cop_error(copi_yaml_ctx(r->y))) : COP_OK;
}

static cop_status read_trial(copi_yaml *y, int node, copi_spec_trial *trial) {
    reading r = {.y = y, .node = node, .trial = trial};
    cop_status s = check_keys(y, node);
    if (!s) s = read_method(&r);
    if (!s && is_inline_recipe(&r)) s = read_augment(y, node, &trial->p.sss.search);
    if (!s) s = read_levels(&r);
    for (const cop_option *o = r.option; !s && o->name; o++) {
        int value;
        if (!(o->flags & COP_OPTION_LEVEL) && copi_yaml_find(y, node, o->name, &value)) s = read_option(&r, value, o);
    }
    return s ? s : check_trial(&r);
}

static cop_status read_trials(copi_yaml *y, int node, copi_spec *spec) {
    void *list = NULL;
    cop_status s = copi_yaml_list(y, node, "trials", sizeof *spec->trial, &list, &spec->trials);
    spec->trial = list;
    for (int i = 0; !s && i < spec->trials; i++) {
        spec->trial[i] = copi_spec_begin_trial(spec);
        s = read_trial(y, copi_yaml_item(y, node, i), &spec->trial[i]);
    }
    return s;
}

static void clear_trial(cop_ctx *ctx, copi_spec_trial *t) {
    for (int i = 0; i < t->p.limits; i++) copi_free(ctx, (char *)t->p.limit[i].layer);
    copi_free(ctx, (cop_layer_limit *)t->p.limit);
    copi_free(ctx, (double *)t->p.sss.threshold);
    copi_free(ctx, t->level);
}

/* --------------------------------------------------------------------------------------------- whole study -- */

/* A relative path starts at the study file's folder if it exists there, else it is used as given. Leading "../" are
 * resolved, so that the page shows build/data, not studies/../build/data. */
static cop_status resolve(const copi_spec *spec, char **path) {
    const char *slash = strrchr(spec->path, '/'), *rest = *path;
    if (!slash || **path == '/') return COP_OK;
    size_t length = (size_t)(slash - spec->path) + 1; /* of the folder with its slash; 0: the current folder */
    while (length > 0 && strncmp(rest, "../", 3) == 0) {
        size_t up = length - 1;
        while (up > 0 && spec->path[up - 1] != '/') up--;
        if (spec->path[up] == '.' || spec->path[up] == '/') break; /* not a folder's name */
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

bool copi_is_preset(const char *model) {
    for (int i = 0; i < cop_preset_count(); i++)
        if (strcmp(cop_preset_name(i), model) == 0) return true;
    return false;
}

bool copi_spec_is_preset(const copi_spec *spec) {
    return copi_is_preset(spec->model);
}

static cop_status find_files(copi_yaml *y, int node, copi_spec *spec) {
    cop_status s = resolve(spec, &spec->data);
    if (s || copi_spec_is_preset(spec)) return s;
    if ((s = resolve(spec, &spec->model))) return s;
    if (access(spec->model, F_OK) == 0) {
        if (!copi_yaml_has(y, node, "dense")) spec->dense.epochs = 0;
        return COP_OK;
    }
    const char *near = cop_nearest(spec->model, cop_preset_name);
    return copi_yaml_fail(y, node, "model", "model \"%s\" is neither a built-in net nor a file%s%s%s", spec->model,
                          near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static const char *data_key(int i, const void *user) {
    (void)user;
    return i ? (cop_data_option(i - 1) ? cop_data_option(i - 1)->name : NULL) : "path";
}

static cop_status read_data(copi_yaml *y, int node, copi_spec *spec) {
    int value;
    cop_status s = copi_yaml_keys(y, node, "data", data_key, NULL);
    if (!s && !copi_yaml_find(y, node, "path", &value))
        s = copi_yaml_fail(y, node, NULL, "data: \"path\" is missing");
    if (!s) s = copi_yaml_text(y, value, "path", &spec->data);
    for (int i = 0; !s && cop_data_option(i); i++) {
        const cop_option *o = cop_data_option(i);
        if (copi_yaml_find(y, node, o->name, &value))
            s = copi_yaml_value(y, value, o, (char *)&spec->data_options + o->offset);
    }
    return s;
}

static const cop_option floor_option = {.name = "floor",
                                        .kind = COP_OPTION_NUMBER,
                                        .high = 1,
                                        .flags = COP_OPTION_BELOW},
                        threads_option = {.name = "threads", .kind = COP_OPTION_INTEGER, .high = 4096},
                        version_option = {.name = "version", .kind = COP_OPTION_INTEGER, .low = 1, .high = 1e9},
                        nets_option = {.name = "nets", .kind = COP_OPTION_CHOICE, .choice = choice_nets};

static const char *score_key(int i, const void *user) {
    (void)user;
    return i ? NULL : floor_option.name;
}

static cop_status read_score(copi_yaml *y, int node, copi_spec *spec) {
    int value;
    cop_status s = copi_yaml_keys(y, node, "score", score_key, NULL);
    if (s) return s;
    if (!copi_yaml_find(y, node, floor_option.name, &value))
        return copi_yaml_fail(y, node, NULL, "score: \"floor\" is missing");
    return copi_yaml_value(y, value, &floor_option, &spec->floor);
}

/* Version of the study file's keys. */
#define SPEC_VERSION 1

static cop_status read_version(copi_yaml *y, int node, copi_spec *spec) {
    int version;
    cop_status s = copi_yaml_value(y, node, &version_option, &version);
    if (!s && version > SPEC_VERSION) {
        copi_yaml_fail(y, node, NULL, "version is %d; this program reads version %d; use a newer one", version,
                       SPEC_VERSION);
        s = copi_fail(spec->ctx, COP_E_VERSION, "%s", cop_error(spec->ctx));
    }
    return s;
}
static cop_status read_name(copi_yaml *y, int node, copi_spec *spec) {
    return copi_yaml_text(y, node, "name", &spec->name);
}
static cop_status read_model(copi_yaml *y, int node, copi_spec *spec) {
    return copi_yaml_text(y, node, "model", &spec->model);
}
static cop_status read_precision(copi_yaml *y, int node, copi_spec *spec) {
    return copi_yaml_value(y, node, copi_option_find(copi_recipe_options, "precision"), &spec->dense.precision);
}
static cop_status read_dense_net(copi_yaml *y, int node, copi_spec *spec) {
    return read_dense(y, node, &spec->dense);
}
static cop_status read_seeds(copi_yaml *y, int node, copi_spec *spec) {
    return copi_yaml_seeds(y, node, "seeds", &spec->seed, &spec->seeds);
}
static cop_status read_threads(copi_yaml *y, int node, copi_spec *spec) {
    return copi_yaml_value(y, node, &threads_option, &spec->threads);
}
static cop_status read_nets(copi_yaml *y, int node, copi_spec *spec) {
    return copi_yaml_value(y, node, &nets_option, &spec->nets);
}

/* Read in this order, not the file's: dense may override precision, and trials start from dense. */
static const struct {
    const char *key;
    bool required;
    cop_status (*read)(copi_yaml *y, int node, copi_spec *spec);
} study_keys[] = {{"name", true, read_name},        {"data", true, read_data},
                  {"model", true, read_model},      {"precision", false, read_precision},
                  {"dense", false, read_dense_net}, {"score", false, read_score},
                  {"seeds", false, read_seeds},     {"threads", false, read_threads},
                  {"nets", false, read_nets},       {"trials", true, read_trials},
                  {"version", false, read_version}};

static const char *study_key(int i, const void *user) {
    (void)user;
    return (size_t)i < COPI_COUNT(study_keys) ? study_keys[i].key : NULL;
}

static cop_status read_study(copi_yaml *y, int node, void *target) {
    copi_spec *spec = target;
    int version; /* read first: another version may have other keys */
    cop_status s = copi_yaml_find(y, node, "version", &version) ? read_version(y, version, spec) : COP_OK;
    if (!s) s = copi_yaml_keys(y, node, "study", study_key, NULL);
    for (size_t i = 0; !s && i < COPI_COUNT(study_keys); i++) {
        int value;
        if (copi_yaml_find(y, node, study_keys[i].key, &value))
            s = study_keys[i].read(y, value, spec);
        else if (study_keys[i].required)
            s = copi_yaml_fail(y, node, NULL, "study: \"%s\" is missing", study_keys[i].key);
    }
    return s ? s : find_files(y, node, spec);
}

cop_status copi_spec_begin(cop_ctx *ctx, const char *path, const char *text, size_t n, copi_spec *spec) {
    *spec = (copi_spec){
        .ctx = ctx, .dense = cop_recipe_default(), .floor = 0.60, .data_options = cop_data_options_default()};
    spec->dense.evaluate_every = 1; /* the page draws validation curves */
    spec->path = copi_strdup(ctx, path);
    spec->text = copi_alloc(ctx, n + 1, 1);
    spec->seed = copi_alloc(ctx, 1, sizeof *spec->seed);
    if (!spec->path || !spec->text || !spec->seed) {
        copi_spec_clear(spec);
        return COP_E_NOMEM;
    }
    memcpy(spec->text, text, n);
    spec->seed[0] = 1;
    spec->seeds = 1;
    return COP_OK;
}

cop_status copi_spec_parse(cop_ctx *ctx, const char *path, const char *text, size_t n, copi_spec *spec) {
    cop_status status = copi_spec_begin(ctx, path, text, n, spec);
    if (!status) status = copi_yaml_read(ctx, path, text, n, "study", read_study, spec);
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
    for (int i = 0; i < spec->trials; i++) clear_trial(spec->ctx, &spec->trial[i]);
    void *owned[] = {spec->trial, spec->seed, spec->name, spec->data, spec->model, spec->path, spec->text};
    for (size_t i = 0; i < COPI_COUNT(owned); i++) copi_free(spec->ctx, owned[i]);
    *spec = (copi_spec){0};
}

/* ---------------------------------------------------------------------------------------------------- text -- */

void copi_spec_print_dense(copi_buffer *b, const copi_spec *spec) {
    const cop_recipe usual = cop_recipe_default();
    copi_buffer_printf(b, "model=%s\n", copi_spec_is_preset(spec) ? spec->model : "file");
    copi_options_print(b, copi_recipe_options, &spec->dense, &usual);
}

void copi_spec_say_difference(copi_buffer *b, const copi_spec_trial *trial, const copi_spec_trial *base) {
    cop_option option[COPI_METHOD_OPTIONS];
    copi_method_options(trial->p.method, trial->p.scratch.like, option);
    copi_options_say_difference(b, option, &trial->p, &base->p, "");
}

void copi_spec_print_trial(copi_buffer *b, const copi_spec_trial *trial) {
    const cop_method_params *p = &trial->p, usual = cop_method_params_default();
    cop_option option[COPI_METHOD_OPTIONS];
    copi_method_options(p->method, p->scratch.like, option);
    copi_buffer_printf(b, "method=%s\n", p->method);
    copi_options_print(b, option, p, &usual);
    if (p->sss.target != COP_TARGET_NONE) /* the kind of level, and where gamma starts */
        copi_buffer_printf(b, "target=%s from %.17g\n", cop_target_name(p->sss.target), p->sss.gamma);
}
