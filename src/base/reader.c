#include "base/base.h"

copi_reader copi_reader_make(const void *data, size_t size) {
    return (copi_reader){.data = data, .size = size};
}

bool copi_read_bytes(copi_reader *r, size_t n, const uint8_t **bytes) {
    if (r->failed || n > r->size - r->at) {
        r->failed = true;
        *bytes = NULL;
        return false;
    }
    *bytes = r->data + r->at;
    r->at += n;
    return true;
}

static bool read_little(copi_reader *r, size_t n, uint64_t *v) {
    const uint8_t *b;
    *v = 0;
    if (!copi_read_bytes(r, n, &b)) return false;
    for (size_t i = 0; i < n; i++) *v |= (uint64_t)b[i] << 8 * i;
    return true;
}

bool copi_read_u8(copi_reader *r, uint8_t *v) {
    uint64_t wide;
    bool ok = read_little(r, 1, &wide);
    *v = (uint8_t)wide;
    return ok;
}

bool copi_read_u32le(copi_reader *r, uint32_t *v) {
    uint64_t wide;
    bool ok = read_little(r, 4, &wide);
    *v = (uint32_t)wide;
    return ok;
}

bool copi_read_u32be(copi_reader *r, uint32_t *v) {
    uint32_t x;
    bool ok = copi_read_u32le(r, &x);
    *v = x >> 24 | (x >> 8 & 0xff00u) | (x << 8 & 0xff0000u) | x << 24;
    return ok;
}

bool copi_read_u64le(copi_reader *r, uint64_t *v) {
    return read_little(r, 8, v);
}
