/* What the engine was built with and runs on. */
#include "engine/kernels.h"
#include "engine/onednn.h"

static const char *isa_name(void) {
    static const struct {
        int isa;
        const char *name;
    } isa[] = {
        {dnnl_cpu_isa_sse41, "sse41"},
        {dnnl_cpu_isa_avx, "avx"},
        {dnnl_cpu_isa_avx2, "avx2"},
        {dnnl_cpu_isa_avx512_core, "avx512_core"},
        {dnnl_cpu_isa_avx512_core_vnni, "avx512_core_vnni"},
        {dnnl_cpu_isa_avx512_core_bf16, "avx512_core_bf16"},
        {dnnl_cpu_isa_avx512_core_amx, "avx512_core_amx"},
    };
    const char *name = "another instruction set";
    for (size_t i = 0; i < COPI_COUNT(isa); i++)
        if (isa[i].isa == (int)dnnl_get_effective_cpu_isa()) name = isa[i].name;
    return name;
}

/* Each text is always the same, so threads may write it at the same time. */
const char *copi_engine_info(void) {
    static char text[96];
    const dnnl_version_t *v = dnnl_version();
    snprintf(text, sizeof text, "oneDNN %d.%d.%d, %s", v->major, v->minor, v->patch, isa_name());
    return text;
}

const char *cop_build_info(void) {
    static char text[256];
    snprintf(text, sizeof text, "Coppice %s, %s, own kernels %s, compiled by %s %s", COP_VERSION, copi_engine_info(),
             copi_kernels_get()->isa,
#if defined(__clang__)
             "clang",
#else
             "gcc",
#endif
             __VERSION__);
    return text;
}
