/* CIFAR's records: the first byte chooses the number of label bytes, the second how many records are expected. */
#include "data_harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    if (size < 2) return 0;
    int label_bytes = 1 + (bytes[0] & 1);
    int64_t count = 1 + bytes[1] % 4;
    cop_ctx *ctx = fuzz_context();
    cop_data *data = fuzz_data(ctx, "cifar10");
    copi_source source = {0};
    cop_status status = copi_images_shape(data, "records", 3, 32, 32);
    if (!status) status = copi_data_classes(data, label_bytes == 1 ? 10 : 100, NULL);
    if (!status) status = copi_images_alloc(data, COP_SPLIT_TRAIN, "records", (uint64_t)count, false);
    if (!status) status = copi_source_memory(ctx, "records", bytes + 2, size - 2, &source);
    if (!status) status = copi_cifar_records(data, COP_SPLIT_TRAIN, &source, label_bytes, 0, count);
    copi_source_close(&source);
    fuzz_data_end(data, status);
    return 0;
}
