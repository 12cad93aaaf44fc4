/* Keras in: what Keras 2 and Keras 3 save (fixtures/make/keras_*.py) gives Keras's own outputs. */
#include "check.h"
#include "expect.h"
#include "nets.h"

#include "io/io.h"

#define FIXTURES "io/fixtures/keras/"
#define TOLERANCE 1e-5 /* of the largest output: float weights on both sides, Keras's float sums over < 1,000 terms  \
                        */

static const char *const nets[] = {"seed_like", "residual", "mobile", "mlp"};

static void check_file(const char *folder, const char *net_name, const char *ending) {
    cop_ctx *ctx = test_ctx();
    char path[256];
    expectation e;
    cop_net *net;
    snprintf(path, sizeof path, FIXTURES "%s/%s.expect", folder, net_name);
    expectation_read(ctx, path, &e);
    snprintf(path, sizeof path, FIXTURES "%s/%s%s", folder, net_name, ending);
    test_ok(ctx, cop_net_load(ctx, path, &net));
    expectation_meets(&e, net, strcmp(net_name, "mobile") == 0 ? 255 : 1, TOLERANCE, NULL);
    assert_non_null(strstr(net->provenance, "imported from Keras"));
    cop_net_destroy(net);
    expectation_clear(&e);
    test_ctx_destroy(ctx);
}

static void test_whole_models_of_keras_2(void **state) {
    (void)state;
    for (size_t i = 0; i < COPI_COUNT(nets); i++) check_file("tf2", nets[i], ".h5");
}

static void test_whole_models_of_keras_3(void **state) {
    (void)state;
    for (size_t i = 0; i < COPI_COUNT(nets); i++) check_file("k3", nets[i], ".keras");
    for (size_t i = 0; i < COPI_COUNT(nets); i++) check_file("k3", nets[i], ".h5");
}

/* Weights alone, into a net of the same layers whose own weights are others. */
static void check_weights(const char *folder, const char *net_name, const char *whole, const char *weights) {
    cop_ctx *ctx = test_ctx();
    char path[256];
    expectation e;
    cop_net *net, *none;
    uint8_t *bytes;
    size_t n;
    snprintf(path, sizeof path, FIXTURES "%s/%s.expect", folder, net_name);
    expectation_read(ctx, path, &e);
    snprintf(path, sizeof path, FIXTURES "%s/%s%s", folder, net_name, whole);
    test_ok(ctx, cop_net_load(ctx, path, &net));
    test_net_fill(net, 1);
    snprintf(path, sizeof path, FIXTURES "%s/%s%s", folder, net_name, weights);
    test_ok(ctx, copi_read_file(ctx, path, 0, &bytes, &n));
    test_ok(ctx, copi_keras_weights_parse(net, bytes, n));
    expectation_meets(&e, net, strcmp(net_name, "mobile") == 0 ? 255 : 1, TOLERANCE, NULL);
    test_fails(ctx, cop_net_load(ctx, path, &none), COP_E_UNSUPPORTED, "Keras weights alone, without a model");
    copi_free(ctx, bytes);
    cop_net_destroy(net);
    expectation_clear(&e);
    test_ctx_destroy(ctx);
}

static void test_weights_alone(void **state) {
    (void)state;
    /* residual is left out here: its batch-norms lack a scale or a shift, which only the model's JSON tells */
    check_weights("tf2", "seed_like", ".h5", "-weights.h5");
    check_weights("tf2", "mobile", ".h5", "-weights.h5");
    check_weights("tf2", "mlp", ".h5", "-weights.h5");
    check_weights("k3", "seed_like", ".keras", ".weights.h5");
    check_weights("k3", "mobile", ".keras", ".weights.h5");
    check_weights("k3", "mlp", ".keras", ".weights.h5");
}

static void test_weights_of_another_net_are_refused(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net;
    uint8_t *bytes;
    size_t n;
    test_ok(ctx, cop_net_load(ctx, FIXTURES "tf2/mlp.h5", &net));
    float first = net->block[0];
    test_ok(ctx, copi_read_file(ctx, FIXTURES "tf2/mobile-weights.h5", 0, &bytes, &n));
    test_fails(ctx, copi_keras_weights_parse(net, bytes, n), COP_E_FORMAT, "needs");
    assert_true(net->block[0] == first);
    copi_free(ctx, bytes);
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

static cop_status load(cop_ctx *ctx, void *user) {
    cop_net *net;
    cop_status status = cop_net_load(ctx, user, &net);
    cop_net_destroy(net);
    return status;
}

static void test_memory_that_runs_out(void **state) {
    (void)state;
    static char newer[] = FIXTURES "k3/residual.keras", older[] = FIXTURES "tf2/mlp.h5";
    assert_true(test_out_of_memory(load, newer) > 60);
    assert_true(test_out_of_memory(load, older) > 60);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_models_of_keras_2), cmocka_unit_test(test_whole_models_of_keras_3),
        cmocka_unit_test(test_weights_alone),           cmocka_unit_test(test_weights_of_another_net_are_refused),
        cmocka_unit_test(test_memory_that_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
