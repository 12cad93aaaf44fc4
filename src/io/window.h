/* Windows as foreign files describe them. */
#ifndef COPPICE_IO_WINDOW_H
#define COPPICE_IO_WINDOW_H

#include "base/base.h"

/** "Same" padding of one dimension: as many windows as strides fit. span: (kernel - 1) * dilation + 1. What is
 *  missing is put around the image; of an odd number the larger half after it, or (after_first false) before it. */
void copi_window_same(int64_t span, int64_t stride, int64_t extent, bool after_first, int64_t *before,
                      int64_t *after);
/** The place in [C,H,W] of each element of a flattened image with its dimensions in another order: axis[d] says which
 *  of C, H, W (0, 1, 2) stands at dimension d. place [C*H*W]. */
void copi_flat_places(const int64_t shape[3], const int axis[3], int64_t *place);

#endif
