#define KERNELS copi_kernels_avx512
#define ISA "avx512"
#include "engine/kernels_body.h"
