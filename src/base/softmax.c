#include "base/base.h"

#include <math.h>

double copi_softmax(const float *z, int n, double t, double *y) {
    double top = z[0], sum = 0;
    for (int c = 1; c < n; c++) top = z[c] > top ? z[c] : top;
    for (int c = 0; c < n; c++) {
        double e = exp((z[c] - top) / t);
        if (y) y[c] = e;
        sum += e;
    }
    for (int c = 0; y && c < n; c++) y[c] /= sum;
    return top / t + log(sum);
}
