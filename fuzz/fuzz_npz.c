/* An NPZ archive. */
#include "data_harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    cop_data *data = fuzz_data(fuzz_context(), "npz");
    fuzz_data_end(data, copi_npz_bytes(data, "archive", bytes, size));
    return 0;
}
