#include "net/preset.h"

#include <string.h>

static const struct {
    const char *name, *help;
    cop_status (*build)(cop_graph *g, const preset_input *in);
} presets[] = {
#define X(FUNCTION, name, help) {name, help, preset_##FUNCTION},
#include "net/presets.def"
#undef X
};

COPI_LIST(preset, presets)

preset_name preset_name_of(const char *format, ...) {
    preset_name n;
    va_list args;
    va_start(args, format);
    vsnprintf(n.text, sizeof n.text, format, args);
    va_end(args);
    return n;
}

static cop_status build(cop_ctx *ctx, int preset, int64_t channels, int64_t height, int64_t width, int classes,
                        uint64_t seed, cop_net **net) {
    cop_graph *g;
    cop_status status = cop_graph_create(ctx, &g);
    if (status) return status;
    preset_input in = {.height = height, .width = width, .classes = classes};
    in.input = cop_graph_input(g, "input", channels, height, width);
    status = presets[preset].build(g, &in);
    if (status) {
        cop_graph_destroy(g);
        return status;
    }
    status = cop_graph_build(g, seed, net);
    if (status) return status;
    return copi_net_note(*net, "preset %s for %lldx%lldx%lld and %d classes, seed %llu", presets[preset].name,
                         (long long)channels, (long long)height, (long long)width, classes, (unsigned long long)seed);
}

static cop_status unknown(cop_ctx *ctx, const char *name) {
    const char *nearest = cop_nearest(name, cop_preset_name);
    if (nearest) return copi_fail(ctx, COP_E_NOT_FOUND, "no preset is named '%s'; did you mean '%s'?", name, nearest);
    char all[512] = "";
    size_t at = 0;
    for (int i = 0; i < cop_preset_count() && at < sizeof all; i++)
        at += (size_t)snprintf(all + at, sizeof all - at, i ? ", %s" : "%s", presets[i].name);
    return copi_fail(ctx, COP_E_NOT_FOUND, "no preset is named '%s'; there are %s", name, all);
}

cop_status cop_net_preset(cop_ctx *ctx, const char *name, int64_t channels, int64_t height, int64_t width,
                          int classes, uint64_t seed, cop_net **net) {
    if (net) *net = NULL;
    COPI_REQUIRE(NULL, ctx);
    COPI_REQUIRE(ctx, name);
    COPI_REQUIRE(ctx, net);
    int preset = 0;
    while (preset < cop_preset_count() && strcmp(presets[preset].name, name) != 0) preset++;
    if (preset == cop_preset_count()) return unknown(ctx, name);
    if (classes < 1) return copi_fail(ctx, COP_E_RANGE, "preset %s: %d classes; at least 1", name, classes);
    cop_net *made = NULL;
    cop_status status = build(ctx, preset, channels, height, width, classes, seed, &made);
    if (status) {
        cop_net_destroy(made);
        return copi_fail_in(ctx, status, "preset %s for %lldx%lldx%lld", name, (long long)channels, (long long)height,
                            (long long)width);
    }
    *net = made;
    return COP_OK;
}
