/* Two .npy arrays, images and labels (in an archive the checksum would stop most mutations). */
#include "data_harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    const uint8_t *first, *second;
    size_t n, m;
    cop_ctx *ctx = fuzz_context();
    cop_data *data = fuzz_data(ctx, "npz");
    copi_source images = {0}, labels = {0};
    fuzz_cut(bytes, size, &first, &n, &second, &m);
    cop_status status = copi_source_memory(ctx, "x_train", first, n, &images);
    if (!status) status = copi_source_memory(ctx, "y_train", second, m, &labels);
    if (!status) status = copi_npy_images(data, COP_SPLIT_TRAIN, &images);
    if (!status) status = copi_npy_labels(data, COP_SPLIT_TRAIN, &labels);
    copi_source_close(&images);
    copi_source_close(&labels);
    fuzz_data_end(data, status);
    return 0;
}
