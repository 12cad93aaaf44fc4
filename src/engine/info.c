/* What the engine was built with and runs on. */
#include "engine/kernels.h"
#include "engine/onednn.h"

/* Each text is always the same, so threads may write it at the same time. */
const char *copi_engine_info(void) {
    static char text[96];
    const dnnl_version_t *v = dnnl_version();
    snprintf(text, sizeof text, "oneDNN %d.%d.%d, %s", v->major, v->minor, v->patch, dn_isa());
    return text;
}

bool copi_engine_bf16(void) {
    return dn_bf16();
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
