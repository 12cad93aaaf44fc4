/* An empty data set for a reader to fill, and its end. */
#ifndef COPPICE_FUZZ_DATA_HARNESS_H
#define COPPICE_FUZZ_DATA_HARNESS_H

#include "data/formats.h"
#include "harness.h"

#include <stdlib.h>

static inline cop_data *fuzz_data(cop_ctx *ctx, const char *format) {
    cop_data *data = copi_alloc(ctx, 1, sizeof *data);
    if (!data) abort();
    data->ctx = ctx;
    data->info.format = format;
    return data;
}

/** What cop_data_open does after reading; frees all. */
static inline void fuzz_data_end(cop_data *data, cop_status status) {
    cop_data_options options = cop_data_options_default();
    cop_ctx *ctx = data->ctx;
    if (!status) status = copi_data_finish(data, &options);
    if (status && !cop_error(ctx)[0]) abort(); /* an error says what is wrong */
    cop_data_destroy(data);
    cop_ctx_destroy(ctx);
}

#endif
