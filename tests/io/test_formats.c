/* Which reader and which writer: told by the ending, else by the first bytes. */
#include "check.h"
#include "nets.h"

#include "io/io.h"

#include <string.h>

static char dir[256];

static const char *in_dir(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void test_first_bytes_tell_what_the_name_does_not(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    uint8_t *bytes;
    size_t n;
    cop_net *net;
    test_ok(ctx, copi_read_file(ctx, "io/fixtures/safetensors/good/smallest.safetensors", 0, &bytes, &n));
    test_ok(ctx, copi_write_file(ctx, in_dir("model.bin"), bytes, n));
    test_ok(ctx, cop_net_load(ctx, in_dir("model.bin"), &net));
    cop_net_destroy(net);
    test_ok(ctx, copi_write_file(ctx, in_dir("UPPER.SAFETENSORS"), bytes, n));
    test_ok(ctx, cop_net_load(ctx, in_dir("UPPER.SAFETENSORS"), &net));
    cop_net_destroy(net);
    copi_free(ctx, bytes);
    test_ctx_destroy(ctx);
}

static void test_unknown_kinds_name_the_known(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    cop_net *net;
    test_ok(ctx, copi_write_file(ctx, in_dir("model.bin"), "weights", 7));
    test_fails(ctx, cop_net_load(ctx, in_dir("model.bin"), &net), COP_E_UNSUPPORTED,
               "model.bin: neither its name nor its first bytes are of a known model format (.safetensors");
    assert_null(net);
    test_fails(ctx, cop_net_load(ctx, in_dir("none.safetensors"), &net), COP_E_IO, "none.safetensors");
    test_fails(ctx, cop_net_load(ctx, dir, &net), COP_E_FORMAT, "directory");
    test_fails(ctx, cop_net_load(ctx, NULL, &net), COP_E_ARG, "path");
    test_ok(ctx, cop_net_load(ctx, "io/fixtures/safetensors/good/smallest.safetensors", &net));
    test_fails(ctx, cop_net_save(net, in_dir("model.pt")), COP_E_UNSUPPORTED,
               "model.pt: the ending tells the model format");
    test_fails(ctx, cop_net_save(net, NULL), COP_E_ARG, "path");
    test_fails(ctx, cop_net_save(net, in_dir("no/such/dir/a.safetensors")), COP_E_IO, "no/such/dir/a.safetensors");
    cop_net_destroy(net);
    test_ctx_destroy(ctx);
}

static int make_dir(void **state) {
    (void)state;
    test_dir_make(dir);
    return 0;
}

static int remove_dir(void **state) {
    (void)state;
    test_dir_remove(dir);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_bytes_tell_what_the_name_does_not),
        cmocka_unit_test(test_unknown_kinds_name_the_known),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
