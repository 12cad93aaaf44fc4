/* A study file. What is read must expand into trials that a method would accept. */
#include "harness.h"

#include "study/study.h"

#include <stdlib.h>
#include <string.h>

static void require(int condition) {
    if (!condition) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    cop_ctx *ctx = fuzz_context();
    copi_spec spec;
    copi_trials trials;
    cop_status status = copi_spec_parse(ctx, "study.yaml", (const char *)bytes, size, &spec);
    if (!status) {
        status = copi_trials_expand(&spec, "data", "", &trials);
        for (int i = 0; !status && i < trials.n && i < 100; i++) {
            if (trials.trial[i].dense == i) continue;
            cop_method_params p = copi_trial_params(&trials.trial[i], NULL);
            require(copi_method_find(p.method)->check(ctx, &p) == COP_OK);
        }
        if (!status) copi_trials_clear(&trials);
        copi_spec_clear(&spec);
    }
    if (status) require(strlen(cop_error(ctx)) > 0 && !strchr(cop_error(ctx), '\n'));
    cop_ctx_destroy(ctx);
    return 0;
}
