#define KERNELS copi_kernels_base
#define ISA "base"
#include "engine/kernels_body.h"
