#include "io/window.h"

void copi_window_same(int64_t span, int64_t stride, int64_t extent, bool after_first, int64_t *before,
                      int64_t *after) {
    int64_t missing = ((extent + stride - 1) / stride - 1) * stride + span - extent;
    if (missing < 0) missing = 0;
    *before = after_first ? missing / 2 : missing - missing / 2;
    *after = missing - *before;
}

void copi_flat_places(const int64_t shape[3], const int axis[3], int64_t *place) {
    const int64_t stride[3] = {shape[1] * shape[2], shape[2], 1};
    int64_t k = 0;
    for (int64_t i = 0; i < shape[axis[0]]; i++) {
        for (int64_t j = 0; j < shape[axis[1]]; j++) {
            int64_t row = i * stride[axis[0]] + j * stride[axis[1]];
            for (int64_t l = 0; l < shape[axis[2]]; l++) place[k++] = row + l * stride[axis[2]];
        }
    }
}
