/* Which reader and which writer: told by the ending, else by the first bytes. */
#include "folder.h"
#include "nets.h"

#include "io/io.h"

#include <string.h>

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

/* What is done to images first travels in every format. */
static void test_preprocessing_travels(void **state) {
    (void)state;
    for (int i = 0; cop_model_format_ending(i); i++) {
        if (!cop_model_format_writes(i)) continue;
        cop_ctx *ctx = test_ctx();
        cop_net *net, *back;
        cop_net_info a, b;
        char name[64];
        test_ok(ctx, cop_net_preset(ctx, "seed-cnn", 3, 12, 12, 4, 1, &net));
        cop_preprocessing p = cop_preprocessing_default();
        p.range = COP_PIXEL_RANGE_BYTES;
        p.order = COP_CHANNEL_ORDER_BGR;
        for (int c = 0; c < 3; c++) p.mean[c] = 100 + c, p.std[c] = 50 + c;
        test_ok(ctx, cop_net_set_preprocessing(net, &p));
        snprintf(name, sizeof name, "pre%s", cop_model_format_ending(i));
        test_ok(ctx, cop_net_save(net, in_dir(name)));
        test_ok(ctx, cop_net_load(ctx, in_dir(name), &back));
        cop_net_get_info(net, &a);
        cop_net_get_info(back, &b);
        assert_int_equal(b.channel_order, COP_CHANNEL_ORDER_BGR);
        assert_memory_equal(a.mean, b.mean, sizeof a.mean);
        assert_memory_equal(a.std, b.std, sizeof a.std);
        cop_net_destroy(back);
        cop_net_destroy(net);
        test_ctx_destroy(ctx);
    }
}

static void test_formats_are_listed(void **state) {
    (void)state;
    int written = 0;
    for (int i = 0; i < cop_model_format_count(); i++) {
        assert_true(cop_model_format_ending(i)[0] == '.');
        assert_true(strlen(cop_model_format_help(i)) > 20);
        written += cop_model_format_writes(i);
    }
    assert_int_equal(written, cop_model_format_count() - 1); /* an architecture is only read */
    assert_null(cop_model_format_ending(-1));
    assert_null(cop_model_format_ending(cop_model_format_count()));
    assert_int_equal(cop_model_format_writes(-1), 0);
}

/* docs/onnx.md lists the ONNX ops that the code reads, and no other. */
static void test_page_lists_the_ops(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    uint8_t *bytes;
    size_t n;
    copi_buffer want;
    test_ok(ctx, copi_read_file(ctx, "../docs/onnx.md", 0, &bytes, &n));
    copi_buffer_init(&want, ctx);
    copi_buffer_text(&want, "|---|---|\n");
    for (int i = 0; i < cop_onnx_op_count(); i++)
        copi_buffer_printf(&want, "| %s | %s |\n", cop_onnx_op_name(i), cop_onnx_op_help(i));
    copi_buffer_text(&want, "\n");
    if (!strstr((char *)bytes, want.data)) fail_msg("docs/onnx.md does not hold, as it is: %s", want.data);
    copi_buffer_clear(&want);
    copi_free(ctx, bytes);
    test_ctx_destroy(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_bytes_tell_what_the_name_does_not),
        cmocka_unit_test(test_unknown_kinds_name_the_known),
        cmocka_unit_test(test_preprocessing_travels),
        cmocka_unit_test(test_formats_are_listed),
        cmocka_unit_test(test_page_lists_the_ops),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
