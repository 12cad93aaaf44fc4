/* The conventions at the top of coppice.h, for every public function: options by size, NULL, lists. */
#include "check.h"

#include <math.h>
#include <string.h>

enum { IMAGES = 8 };

typedef struct world {
    cop_ctx *ctx;
    cop_net *net;
    cop_data *data;
} world;

static int setup(void **state) {
    static world w;
    static uint8_t pixels[IMAGES * 16];
    static const int32_t label[IMAGES] = {0, 1, 0, 1, 0, 1, 0, 1};
    cop_graph *g;
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * 31);
    w.ctx = test_ctx();
    cop_data_arrays a = cop_data_arrays_default();
    a.channels = 1;
    a.height = a.width = 4;
    a.split[COP_SPLIT_TRAIN] = a.split[COP_SPLIT_TEST] = (cop_split_arrays){IMAGES, pixels, label};
    cop_data_options share = cop_data_options_default();
    share.validation = 0.5;
    test_ok(w.ctx, cop_data_create(w.ctx, &a, &share, &w.data));
    test_ok(w.ctx, cop_graph_create(w.ctx, &g));
    cop_conv_params conv = cop_conv_params_default(4, 3);
    int x = cop_graph_conv(g, "conv", cop_graph_input(g, "image", 1, 4, 4), &conv);
    cop_graph_dense(g, "out", cop_graph_flatten(g, "flat", cop_graph_relu(g, "relu", x)), 2, 1);
    test_ok(w.ctx, cop_graph_build(g, 1, &w.net));
    *state = &w;
    return 0;
}

static int teardown(void **state) {
    world *w = *state;
    cop_net_destroy(w->net);
    cop_data_destroy(w->data);
    test_ctx_destroy(w->ctx);
    return 0;
}

/* -- options -- */

static cop_status use_ctx(world *w, void *o) {
    cop_ctx *made;
    (void)w;
    cop_status status = cop_ctx_create(o, &made);
    cop_ctx_destroy(made);
    return status;
}
static cop_status use_data(world *w, void *o) {
    cop_data *made;
    return cop_data_open(w->ctx, ".", o, &made);
}
static cop_status use_arrays(world *w, void *o) {
    cop_data *made;
    return cop_data_create(w->ctx, o, NULL, &made);
}
static cop_status use_arrays_data(world *w, void *o) {
    const cop_data_arrays a = cop_data_arrays_default();
    cop_data *made;
    return cop_data_create(w->ctx, &a, o, &made);
}
static cop_status build(cop_graph *g) {
    cop_net *made;
    return cop_graph_build(g, 1, &made);
}
static cop_status use_conv(world *w, void *o) {
    cop_graph *g;
    test_ok(w->ctx, cop_graph_create(w->ctx, &g));
    assert_int_equal(cop_graph_conv(g, "c", cop_graph_input(g, "i", 1, 4, 4), o), -1);
    return build(g);
}
static cop_status use_max_pool(world *w, void *o) {
    cop_graph *g;
    test_ok(w->ctx, cop_graph_create(w->ctx, &g));
    assert_int_equal(cop_graph_max_pool(g, "p", cop_graph_input(g, "i", 1, 4, 4), o), -1);
    return build(g);
}
static cop_status use_avg_pool(world *w, void *o) {
    cop_graph *g;
    test_ok(w->ctx, cop_graph_create(w->ctx, &g));
    assert_int_equal(cop_graph_avg_pool(g, "p", cop_graph_input(g, "i", 1, 4, 4), o), -1);
    return build(g);
}
static cop_status use_preprocessing(world *w, void *o) {
    return cop_net_set_preprocessing(w->net, o);
}
static cop_status use_save(world *w, void *o) {
    return cop_net_save_as(w->net, "x.onnx", o);
}
static cop_status use_recipe(world *w, void *o) {
    assert_true(isnan(cop_schedule_rate(o, 0, 1, 1)));
    return cop_train(w->net, w->data, o, NULL);
}
static cop_status use_eval(world *w, void *o) {
    cop_eval e;
    return cop_evaluate(w->net, w->data, COP_SPLIT_TEST, o, &e);
}
static cop_status use_prune(world *w, void *o) {
    return cop_prune(w->net, o, NULL);
}
static cop_status use_method(world *w, void *o) {
    return cop_method_run(w->net, w->data, o, NULL, NULL, NULL);
}
static cop_status use_named(world *w, void *o) {
    return cop_method_recipe_apply(w->ctx, "fast", o);
}
static cop_status use_tune(world *w, void *o) { /* a struct within another is checked too */
    cop_method_params p = cop_method_params_default();
    p.rounds = 1;
    memcpy(&p.tune, o, sizeof p.tune);
    return cop_method_run(w->net, w->data, &p, NULL, NULL, NULL);
}
static cop_status use_auto(world *w, void *o) {
    return cop_auto_run(w->ctx, o, "x", NULL);
}
static cop_status use_auto_data(world *w, void *o) {
    cop_auto_params p = cop_auto_params_default();
    memcpy(&p.data_options, o, sizeof p.data_options);
    return cop_auto_run(w->ctx, &p, "x", NULL);
}
static cop_status use_sensitivity(world *w, void *o) {
    cop_sensitivity result;
    return cop_sensitivity_run(w->net, w->data, o, &result);
}
static cop_status use_bench(world *w, void *o) {
    cop_bench_result result;
    return cop_bench(w->net, o, &result);
}

/* X(struct, the function that takes it) */
#define USES(X)                                                                                                      \
    X(ctx_options, use_ctx)                                                                                          \
    X(data_options, use_data)                                                                                        \
    X(data_options, use_arrays_data)                                                                                 \
    X(data_options, use_auto_data)                                                                                   \
    X(data_arrays, use_arrays)                                                                                       \
    X(conv_params, use_conv)                                                                                         \
    X(pool_params, use_max_pool)                                                                                     \
    X(pool_params, use_avg_pool)                                                                                     \
    X(preprocessing, use_preprocessing)                                                                              \
    X(save_options, use_save)                                                                                        \
    X(recipe, use_recipe)                                                                                            \
    X(recipe, use_tune)                                                                                              \
    X(eval_options, use_eval)                                                                                        \
    X(prune_params, use_prune)                                                                                       \
    X(method_params, use_method)                                                                                     \
    X(method_params, use_named)                                                                                      \
    X(auto_params, use_auto)                                                                                         \
    X(sensitivity_params, use_sensitivity)                                                                           \
    X(bench_params, use_bench)

typedef void (*init_fn)(void *options, size_t size);
typedef struct use {
    const char *name;
    size_t size, reserved;
    init_fn init;
    cop_status (*run)(world *w, void *options);
} use;

#define X(type, function)                                                                                            \
    static void init_##function(void *options, size_t size) {                                                        \
        cop_##type##_init(options, size);                                                                            \
    }
USES(X)
#undef X

static void refuses(world *w, const use *u, void *options, const char *part) {
    char text[128];
    cop_status status = u->run(w, options);
    assert_int_equal(status, COP_E_ARG);
    if (u->run == use_ctx) return; /* there is no context yet */
    snprintf(text, sizeof text, "%s.%s", u->name, part);
    test_fails(w->ctx, status, COP_E_ARG, text);
}

static void options_of_another_size_are_refused(void **state) {
    static const use uses[] = {
#define X(type, function) {#type, sizeof(cop_##type), offsetof(cop_##type, reserved), init_##function, function},
        USES(X)
#undef X
    };
    static union {
        max_align_t align;
        char bytes[8192];
    } o;
    for (size_t i = 0; i < COPI_COUNT(uses); i++) {
        const use *u = &uses[i];
        size_t size;
        assert_true(u->size + 8 <= sizeof o && u->size % 8 == 0 && u->reserved + 64 == u->size);
        memset(&o, 0xa5, sizeof o);
        u->init(&o, u->size);
        memcpy(&size, &o, sizeof size);
        assert_int_equal(size, u->size);
        assert_int_equal(o.bytes[u->size], (char)0xa5); /* not a byte further */
        for (size_t b = u->reserved; b < u->size; b++) assert_int_equal(o.bytes[b], 0);

        o.bytes[u->size - 1] = 1;
        refuses(*state, u, &o, "reserved is not 0");
        memset(&o, 0, u->size);
        refuses(*state, u, &o, "size is 0; start from cop_");

        u->init(&o, u->size - 8); /* what an older program would do */
        memcpy(&size, &o, sizeof size);
        assert_int_equal(size, u->size - 8);
        for (size_t b = sizeof size; b < u->size - 8; b++) assert_int_equal(o.bytes[b], 0);
        refuses(*state, u, &o, "size is ");
        u->init(NULL, u->size);
    }
}

static void the_version_is_a_number(void **state) {
    (void)state;
    char text[32];
    int v = cop_version_number();
    assert_int_equal(v, COP_VERSION_NUMBER);
    snprintf(text, sizeof text, "%d.%d.%d", v / 10000, v / 100 % 100, v % 100);
    assert_string_equal(cop_version(), text);
    assert_string_equal(COP_VERSION, text);
}

/* -- lists -- */

static void lists_end_with_null(void **state) {
    (void)state;
    static const struct {
        int (*count)(void);
        const char *(*name)(int i), *(*help)(int i);
    } lists[] = {
#define NAMED(noun) {cop_##noun##_count, cop_##noun##_name, NULL}
#define HELPED(noun)                                                                                                 \
    { cop_##noun##_count, cop_##noun##_name, cop_##noun##_help }
        NAMED(split),
        NAMED(channel_order),
        NAMED(pixel_range),
        NAMED(tensor_kind),
        NAMED(optimizer),
        NAMED(schedule),
        NAMED(precision),
        NAMED(aggregate),
        NAMED(pace),
        NAMED(prox),
        NAMED(structure),
        NAMED(target),
        HELPED(data_format),
        HELPED(op),
        HELPED(preset),
        HELPED(onnx_op),
        HELPED(weight_map),
        HELPED(criterion),
        HELPED(method),
        HELPED(method_recipe),
        {cop_model_format_count, cop_model_format_ending, cop_model_format_help},
    };
    for (size_t l = 0; l < COPI_COUNT(lists); l++) {
        int n = lists[l].count();
        assert_true(n > 0);
        for (int i = -1; i <= n; i++) {
            bool out = i < 0 || i == n;
            assert_true(!lists[l].name(i) == out);
            assert_true(!lists[l].help || !lists[l].help(i) == out);
            for (int k = 0; k < i && !out; k++) assert_string_not_equal(lists[l].name(k), lists[l].name(i));
        }
    }
    assert_int_equal(cop_model_format_writes(-1) | cop_model_format_writes(99), 0);
    assert_int_equal(cop_split_count(), COP_SPLITS);
    assert_string_equal(cop_status_text((cop_status)99), "unknown status");
}

/* -- NULL -- */

/* What calls with a NULL would write to. */
static struct {
    cop_net *net;
    cop_data *data;
    cop_graph *graph;
    cop_groups *groups;
    cop_weights *weights;
    cop_model_kind kind;
    cop_eval eval;
    cop_bench_result bench;
    cop_sensitivity sensitivity;
    cop_layer_info layer;
    cop_tensor_info tensor;
    cop_group_info group;
    float x[16], y[2];
    uint8_t mask[4];
} to;

static void null_without_a_context_is_an_argument_error(void **state) {
    world *w = *state;
    cop_data *data = w->data;
    const cop_recipe r = cop_recipe_default();
    const cop_method_params m = cop_method_params_default();
    const cop_auto_params a = cop_auto_params_default();
    const cop_sensitivity_params s = cop_sensitivity_params_default();
    const cop_bench_params b = cop_bench_params_default();
    const cop_prune_params p = cop_prune_params_default();
    const cop_preprocessing pre = cop_preprocessing_default();
    const cop_data_arrays arrays = cop_data_arrays_default();
    /* without a context there is no text */
    const cop_status silent[] = {
        cop_ctx_create(NULL, NULL),
        cop_data_open(NULL, ".", NULL, &to.data),
        cop_data_create(NULL, &arrays, NULL, &to.data),
        cop_net_preset(NULL, "lenet-5", 1, 28, 28, 10, 1, &to.net),
        cop_graph_create(NULL, &to.graph),
        cop_graph_build(NULL, 1, &to.net),
        cop_net_clone(NULL, &to.net),
        cop_net_load(NULL, "x", &to.net),
        cop_net_save(NULL, "x.onnx"),
        cop_net_save_as(NULL, "x.onnx", NULL),
        cop_net_init(NULL, 1),
        cop_net_get_layer(NULL, 0, &to.layer),
        cop_net_get_tensor(NULL, 0, &to.tensor),
        cop_net_read_tensor(NULL, "x", to.x, 1),
        cop_net_write_tensor(NULL, "x", to.x, 1),
        cop_net_read_mask(NULL, "x", to.mask, 1),
        cop_net_write_mask(NULL, "x", to.mask, 1),
        cop_net_set_preprocessing(NULL, &pre),
        cop_model_get_kind(NULL, "x", &to.kind),
        cop_net_load_weights(NULL, "x", NULL),
        cop_weights_open(NULL, "x", &to.weights),
        cop_weights_get_layer(NULL, 0, &to.layer),
        cop_train(NULL, data, &r, NULL),
        cop_evaluate(NULL, data, COP_SPLIT_TEST, NULL, &to.eval),
        cop_predict(NULL, to.x, 1, to.y),
        cop_prune(NULL, &p, NULL),
        cop_groups_create(NULL, &to.groups),
        cop_groups_get(NULL, 0, &to.group),
        cop_shrink(NULL, &to.net, NULL),
        cop_shrink_rounded(NULL, 8, &to.net, NULL),
        cop_method_recipe_apply(NULL, NULL, NULL),
        cop_method_run(NULL, data, &m, NULL, NULL, NULL),
        cop_study_run(NULL, "x", "x", NULL),
        cop_study_report(NULL, "x", NULL),
        cop_study_list(NULL, "x", NULL, NULL),
        cop_auto_run(NULL, &a, "x", NULL),
        cop_sensitivity_run(NULL, data, &s, &to.sensitivity),
        cop_sensitivity_write(NULL, "x"),
        cop_bench(NULL, &b, &to.bench),
    };
    for (size_t i = 0; i < COPI_COUNT(silent); i++) assert_int_equal(silent[i], COP_E_ARG);
}

static void null_is_named(void **state) {
    world *w = *state;
    cop_ctx *ctx = w->ctx;
    cop_net *net = w->net;
    cop_data *data = w->data;
    const cop_recipe r = cop_recipe_default();
    const cop_method_params m = cop_method_params_default();
    const cop_auto_params a = cop_auto_params_default();
    const cop_sensitivity_params s = cop_sensitivity_params_default();
    const cop_bench_params b = cop_bench_params_default();
    const cop_data_arrays arrays = cop_data_arrays_default();
#define NULL_IS_NAMED(call, part) test_fails(ctx, call, COP_E_ARG, part)
    NULL_IS_NAMED(cop_data_open(ctx, NULL, NULL, &to.data), "cop_data_open: path is NULL");
    NULL_IS_NAMED(cop_data_open(ctx, ".", NULL, NULL), "data is NULL");
    NULL_IS_NAMED(cop_data_create(ctx, NULL, NULL, &to.data), "data_arrays is NULL");
    NULL_IS_NAMED(cop_data_create(ctx, &arrays, NULL, NULL), "data is NULL");
    NULL_IS_NAMED(cop_net_preset(ctx, NULL, 1, 28, 28, 10, 1, &to.net), "name is NULL");
    NULL_IS_NAMED(cop_net_preset(ctx, "lenet-5", 1, 28, 28, 10, 1, NULL), "net is NULL");
    NULL_IS_NAMED(cop_graph_create(ctx, NULL), "graph is NULL");
    NULL_IS_NAMED(cop_net_clone(net, NULL), "copy is NULL");
    NULL_IS_NAMED(cop_net_load(ctx, NULL, &to.net), "path is NULL");
    NULL_IS_NAMED(cop_net_load(ctx, "x", NULL), "net is NULL");
    NULL_IS_NAMED(cop_net_save(net, NULL), "path is NULL");
    NULL_IS_NAMED(cop_net_get_layer(net, 0, NULL), "info is NULL");
    NULL_IS_NAMED(cop_net_get_tensor(net, 0, NULL), "info is NULL");
    NULL_IS_NAMED(cop_net_read_tensor(net, NULL, to.x, 2), "name is NULL");
    NULL_IS_NAMED(cop_net_read_tensor(net, "out.bias", NULL, 2), "values is NULL");
    NULL_IS_NAMED(cop_net_write_tensor(net, NULL, to.x, 2), "name is NULL");
    NULL_IS_NAMED(cop_net_write_tensor(net, "out.bias", NULL, 2), "values is NULL");
    NULL_IS_NAMED(cop_net_read_mask(net, NULL, to.mask, 2), "name is NULL");
    NULL_IS_NAMED(cop_net_read_mask(net, "out.bias", NULL, 2), "mask is NULL");
    NULL_IS_NAMED(cop_net_write_mask(net, NULL, to.mask, 2), "name is NULL");
    NULL_IS_NAMED(cop_net_write_mask(net, "out.bias", NULL, 2), "mask is NULL");
    NULL_IS_NAMED(cop_net_set_preprocessing(net, NULL), "preprocessing is NULL");
    NULL_IS_NAMED(cop_model_get_kind(ctx, NULL, &to.kind), "path is NULL");
    NULL_IS_NAMED(cop_model_get_kind(ctx, "x", NULL), "kind is NULL");
    NULL_IS_NAMED(cop_net_load_weights(net, NULL, NULL), "path is NULL");
    NULL_IS_NAMED(cop_weights_open(ctx, NULL, &to.weights), "path is NULL");
    NULL_IS_NAMED(cop_weights_open(ctx, "x", NULL), "weights is NULL");
    NULL_IS_NAMED(cop_train(net, NULL, &r, NULL), "data is NULL");
    NULL_IS_NAMED(cop_train(net, data, NULL, NULL), "recipe is NULL");
    NULL_IS_NAMED(cop_evaluate(net, NULL, COP_SPLIT_TEST, NULL, &to.eval), "data is NULL");
    NULL_IS_NAMED(cop_evaluate(net, data, COP_SPLIT_TEST, NULL, NULL), "eval is NULL");
    NULL_IS_NAMED(cop_predict(net, NULL, 1, to.y), "x is NULL");
    NULL_IS_NAMED(cop_predict(net, to.x, 1, NULL), "y is NULL");
    NULL_IS_NAMED(cop_prune(net, NULL, NULL), "prune_params is NULL");
    NULL_IS_NAMED(cop_groups_create(net, NULL), "groups is NULL");
    NULL_IS_NAMED(cop_shrink(net, NULL, NULL), "shrunk is NULL");
    NULL_IS_NAMED(cop_method_recipe_apply(ctx, NULL, NULL), "name is NULL");
    NULL_IS_NAMED(cop_method_recipe_apply(ctx, "fast", NULL), "method_params is NULL");
    NULL_IS_NAMED(cop_method_run(net, NULL, &m, NULL, NULL, NULL), "data is NULL");
    NULL_IS_NAMED(cop_method_run(net, data, NULL, NULL, NULL, NULL), "method_params is NULL");
    NULL_IS_NAMED(cop_study_run(ctx, NULL, "x", NULL), "spec_path is NULL");
    NULL_IS_NAMED(cop_study_run(ctx, "x", NULL, NULL), "dir is NULL");
    NULL_IS_NAMED(cop_study_report(ctx, NULL, NULL), "dir is NULL");
    NULL_IS_NAMED(cop_study_list(ctx, NULL, NULL, NULL), "dir is NULL");
    NULL_IS_NAMED(cop_study_list(ctx, "x", NULL, NULL), "on_row is NULL");
    NULL_IS_NAMED(cop_auto_run(ctx, NULL, "x", NULL), "auto_params is NULL");
    NULL_IS_NAMED(cop_auto_run(ctx, &a, NULL, NULL), "dir is NULL");
    NULL_IS_NAMED(cop_sensitivity_run(net, NULL, &s, &to.sensitivity), "data is NULL");
    NULL_IS_NAMED(cop_sensitivity_run(net, data, NULL, &to.sensitivity), "sensitivity_params is NULL");
    NULL_IS_NAMED(cop_sensitivity_run(net, data, &s, NULL), "result is NULL");
    NULL_IS_NAMED(cop_bench(net, NULL, &to.bench), "bench_params is NULL");
    NULL_IS_NAMED(cop_bench(net, &b, NULL), "result is NULL");
    test_ok(ctx, cop_groups_create(net, &to.groups));
    NULL_IS_NAMED(cop_groups_get(to.groups, 0, NULL), "info is NULL");
    cop_groups_destroy(to.groups);
    test_ok(ctx, cop_graph_create(ctx, &to.graph));
    NULL_IS_NAMED(cop_graph_build(to.graph, 1, NULL), "NULL");
#undef NULL_IS_NAMED
}

static void null_without_a_status_does_no_harm(void **state) {
    cop_net_info info;
    (void)state;
    cop_ctx_destroy(NULL);
    cop_data_destroy(NULL);
    cop_graph_destroy(NULL);
    cop_net_destroy(NULL);
    cop_weights_destroy(NULL);
    cop_groups_destroy(NULL);
    cop_history_clear(NULL);
    cop_auto_summary_clear(NULL);
    cop_sensitivity_clear(NULL);
    cop_net_get_info(NULL, NULL);
    cop_weights_get_info(NULL, NULL);
    memset(&info, 0xa5, sizeof info);
    cop_net_get_info(NULL, &info);
    assert_int_equal(info.layers, 0);
    memset(&info, 0xa5, sizeof info);
    cop_weights_get_info(NULL, &info);
    assert_int_equal(info.layers, 0);
    assert_non_null(cop_error(NULL));
    assert_null(cop_data_get_info(NULL));
    assert_int_equal(cop_net_tensor_count(NULL), 0);
    assert_int_equal(cop_net_find_tensor(NULL, "x"), -1);
    assert_int_equal(cop_groups_count(NULL), 0);
    assert_true(isnan(cop_schedule_rate(NULL, 0, 1, 1)));
    assert_int_equal(cop_graph_input(NULL, "i", 1, 1, 1), -1);
    assert_int_equal(cop_graph_conv(NULL, "c", 0, NULL), -1);
    assert_int_equal(cop_graph_max_pool(NULL, "p", 0, NULL), -1);
    assert_int_equal(cop_graph_concat(NULL, "c", NULL, 2), -1);
}

/* Pointers inside of options. */
static void null_in_options_is_named(void **state) {
    world *w = *state;
    cop_prune_params p = cop_prune_params_default();
    p.criterion = NULL;
    test_fails(w->ctx, cop_prune(w->net, &p, NULL), COP_E_NOT_FOUND, "criterion");
    p = cop_prune_params_default();
    p.scope = NULL;
    test_fails(w->ctx, cop_prune(w->net, &p, NULL), COP_E_ARG, "scope");
    p = cop_prune_params_default();
    p.limits = 1;
    test_fails(w->ctx, cop_prune(w->net, &p, NULL), COP_E_ARG, "limits is 1, but no limit is given");
    for (int i = 0; i < 4; i++) {
        cop_method_params m = cop_method_params_default();
        if (i == 0) m.method = NULL;
        if (i == 1) m.method = "compound", m.compound.rank = NULL;
        if (i == 2) m.method = "compound", m.compound.first = NULL;
        if (i == 3) m.method = "scratch", m.scratch.like = NULL;
        cop_status status = cop_method_run(w->net, w->data, &m, NULL, NULL, NULL);
        if (status != COP_E_ARG && status != COP_E_NOT_FOUND) fail_msg("case %d: %s", i, cop_error(w->ctx));
    }
    cop_auto_params a = cop_auto_params_default();
    test_fails(w->ctx, cop_auto_run(w->ctx, &a, "x", NULL), COP_E_ARG, "model or data is missing");
    cop_sensitivity_params s = cop_sensitivity_params_default();
    cop_sensitivity result;
    s.level = NULL;
    test_fails(w->ctx, cop_sensitivity_run(w->net, w->data, &s, &result), COP_E_ARG, "level");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_of_another_size_are_refused),
        cmocka_unit_test(the_version_is_a_number),
        cmocka_unit_test(lists_end_with_null),
        cmocka_unit_test(null_without_a_context_is_an_argument_error),
        cmocka_unit_test(null_is_named),
        cmocka_unit_test(null_without_a_status_does_no_harm),
        cmocka_unit_test(null_in_options_is_named),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
