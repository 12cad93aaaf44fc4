/* Half-precision numbers, as foreign files store them. */
#ifndef COPPICE_IO_HALF_H
#define COPPICE_IO_HALF_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/** IEEE 754 binary16. */
static inline float copi_half_to_float(uint16_t half) {
    int sign = half >> 15, exponent = half >> 10 & 31, fraction = half & 1023;
    float x;
    if (exponent == 31) {
        x = fraction ? NAN : INFINITY;
    } else {
        x = exponent ? ldexpf((float)(1024 + fraction), exponent - 25) : ldexpf((float)fraction, -24);
    }
    return sign ? -x : x;
}

/** bfloat16: the upper half of a float. */
static inline float copi_bfloat_to_float(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

#endif
