#define KERNELS copi_kernels_avx2
#define ISA "avx2"
#include "engine/kernels_body.h"
