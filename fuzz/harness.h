/* What the fuzz targets share. */
#ifndef COPPICE_FUZZ_HARNESS_H
#define COPPICE_FUZZ_HARNESS_H

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/** A silent context that gives out at most 32 MiB a block: a reader that believes in a size meets COP_E_NOMEM. */
cop_ctx *fuzz_context(void);

/** Two inputs in one: the first two bytes (little-endian) say how many of the rest belong to the first. */
void fuzz_cut(const uint8_t *bytes, size_t size, const uint8_t **first, size_t *first_size, const uint8_t **second,
              size_t *second_size);

#endif
