/* Pictures: JPEG by libjpeg-turbo, PNG by libspng, and their resizing. */
#include "data/formats.h"

#include <math.h>
#include <spng.h>
#include <string.h>
#include <turbojpeg.h>

#define PIXELS_MAX ((int64_t)1 << 26) /* of one picture */
#define CHUNK_MAX ((size_t)1 << 24)   /* of a PNG's chunks that are kept: profiles, texts */

void copi_image_init(cop_ctx *ctx, copi_image *image) {
    *image = (copi_image){.ctx = ctx};
}

void copi_image_clear(copi_image *image) {
    if (image->jpeg) tjDestroy(image->jpeg);
    copi_free(image->ctx, image->rgb);
    copi_free(image->ctx, image->work);
    *image = (copi_image){.ctx = image->ctx};
}

static cop_status set_size(copi_image *image, const char *name, int64_t width, int64_t height) {
    if (width < 1 || height < 1 || width > COPI_SIDE_MAX || height > COPI_SIDE_MAX || width * height > PIXELS_MAX) {
        return copi_fail(image->ctx, COP_E_RANGE, "%s: is %lldx%lld pixels; at most %d per side and %lld in total",
                         name, (long long)width, (long long)height, COPI_SIDE_MAX, (long long)PIXELS_MAX);
    }
    size_t need = (size_t)(width * height) * 3;
    if (need > image->rgb_cap) {
        copi_free(image->ctx, image->rgb);
        image->rgb_cap = 0;
        image->rgb = copi_alloc(image->ctx, need, 1);
        if (!image->rgb) return COP_E_NOMEM;
        image->rgb_cap = need;
    }
    image->width = width;
    image->height = height;
    return COP_OK;
}

static cop_status decode_jpeg(copi_image *image, const char *name, const uint8_t *bytes, size_t n) {
    int width = 0, height = 0, subsampling = 0, colours = 0; /* left alone for a file without a picture */
    if (!image->jpeg) image->jpeg = tjInitDecompress();
    if (!image->jpeg) return copi_fail(image->ctx, COP_E_NOMEM, "%s: out of memory for the JPEG decoder", name);
    if (tjDecompressHeader3(image->jpeg, bytes, n, &width, &height, &subsampling, &colours)) {
        return copi_fail(image->ctx, COP_E_FORMAT, "%s: is not a readable JPEG: %s", name,
                         tjGetErrorStr2(image->jpeg));
    }
    if (width < 1 || height < 1) return copi_fail(image->ctx, COP_E_FORMAT, "%s: is a JPEG without a picture", name);
    if (colours == TJCS_CMYK || colours == TJCS_YCCK) {
        return copi_fail(image->ctx, COP_E_UNSUPPORTED, "%s: is a CMYK JPEG; save it as RGB", name);
    }
    cop_status status = set_size(image, name, width, height);
    if (status) return status;
    image->gray = colours == TJCS_GRAY;
    /* a warning stops too: a file cut short only warns, and its lower part would be gray */
    if (tjDecompress2(image->jpeg, bytes, n, image->rgb, width, 0, height, TJPF_RGB,
                      TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS)) {
        return copi_fail(image->ctx, COP_E_FORMAT, "%s: does not decode: %s; fix or remove it", name,
                         tjGetErrorStr2(image->jpeg));
    }
    return COP_OK;
}

static cop_status decode_png(copi_image *image, const char *name, const uint8_t *bytes, size_t n) {
    spng_ctx *png = spng_ctx_new(0);
    if (!png) return copi_fail(image->ctx, COP_E_NOMEM, "%s: out of memory for the PNG decoder", name);
    struct spng_ihdr header;
    size_t raw, rgb;
    cop_status status = COP_OK;
    int error = spng_set_image_limits(png, COPI_SIDE_MAX, COPI_SIDE_MAX);
    if (!error) error = spng_set_chunk_limits(png, CHUNK_MAX, CHUNK_MAX);
    if (!error) error = spng_set_png_buffer(png, bytes, n);
    if (!error) error = spng_get_ihdr(png, &header);
    if (!error) error = spng_decoded_image_size(png, SPNG_FMT_PNG, &raw);
    if (!error) error = spng_decoded_image_size(png, SPNG_FMT_RGB8, &rgb);
    if (!error && raw / COPI_DEFLATE_MAX > n) {
        status = copi_fail(image->ctx, COP_E_FORMAT, "%s: declares %ux%u pixels, too many for its %zu bytes", name,
                           (unsigned)header.width, (unsigned)header.height, n);
    } else if (!error) {
        status = set_size(image, name, header.width, header.height);
        image->gray =
            header.color_type == SPNG_COLOR_TYPE_GRAYSCALE || header.color_type == SPNG_COLOR_TYPE_GRAYSCALE_ALPHA;
        if (!status) error = spng_decode_image(png, image->rgb, rgb, SPNG_FMT_RGB8, 0);
    }
    if (error) {
        status = copi_fail(image->ctx, error == SPNG_EMEM ? COP_E_NOMEM : COP_E_FORMAT,
                           "%s: does not decode as PNG: %s; fix or remove it", name, spng_strerror(error));
    }
    spng_ctx_free(png);
    return status;
}

cop_status copi_image_decode(copi_image *image, const char *name, const uint8_t *bytes, size_t n) {
    if (n >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0) return decode_jpeg(image, name, bytes, n);
    if (n >= 8 && memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0) return decode_png(image, name, bytes, n);
    return copi_fail(image->ctx, COP_E_FORMAT, "%s: is neither a JPEG nor a PNG, whatever its name says", name);
}

/* -- resizing, one axis after the other -- */

/* Output position i of out gathers from in: first sample, and count weights that sum to 1. */
static int64_t taps(int64_t in, int64_t out, int64_t i, float *weight, int64_t *first) {
    double scale = (double)in / (double)out, reach = scale > 1 ? scale : 1;
    double centre = ((double)i + 0.5) * scale, sum = 0;
    int64_t from = (int64_t)floor(centre - reach), to = (int64_t)ceil(centre + reach), n = 0;
    if (from < 0) from = 0;
    if (to > in) to = in;
    *first = from;
    for (int64_t k = from; k < to; k++) {
        double w = 1 - fabs(((double)k + 0.5 - centre) / reach);
        if (w < 0) w = 0;
        weight[n++] = (float)w;
        sum += w;
    }
    for (int64_t k = 0; k < n; k++) weight[k] = (float)((double)weight[k] / sum);
    return n;
}

static size_t taps_max(int64_t in, int64_t out) {
    return (size_t)(2 * (in / out + 1) + 3);
}

cop_status copi_image_resize(copi_image *image, int64_t channels, int64_t height, int64_t width, uint8_t *dst) {
    const int64_t in_h = image->height, in_w = image->width, plane = height * width;
    if (in_h == height && in_w == width) {
        for (int64_t c = 0; c < channels; c++) {
            for (int64_t k = 0; k < plane; k++) dst[c * plane + k] = image->rgb[k * 3 + c];
        }
        return COP_OK;
    }
    const size_t row = (size_t)width * 3, middle = (size_t)in_h * row; /* middle [in_h,width,3] */
    const size_t most =
        taps_max(in_h, height) > taps_max(in_w, width) ? taps_max(in_h, height) : taps_max(in_w, width);
    const size_t need = middle + row + most;
    if (need > image->work_cap) {
        copi_free(image->ctx, image->work);
        image->work_cap = 0;
        image->work = copi_alloc(image->ctx, need, sizeof(float));
        if (!image->work) return COP_E_NOMEM;
        image->work_cap = need;
    }
    float *narrow = image->work, *line = narrow + middle, *weight = line + row;
    int64_t first;
    for (int64_t x = 0; x < width; x++) {
        int64_t n = taps(in_w, width, x, weight, &first);
        for (int64_t y = 0; y < in_h; y++) {
            const uint8_t *src = image->rgb + (y * in_w + first) * 3;
            float sum[3] = {0};
            for (int64_t k = 0; k < n; k++) {
                for (int c = 0; c < 3; c++) sum[c] += weight[k] * (float)src[k * 3 + c];
            }
            for (int c = 0; c < 3; c++) narrow[(size_t)y * row + (size_t)(x * 3 + c)] = sum[c];
        }
    }
    for (int64_t y = 0; y < height; y++) {
        int64_t n = taps(in_h, height, y, weight, &first);
        memset(line, 0, row * sizeof *line);
        for (int64_t k = 0; k < n; k++) {
            const float *src = narrow + (size_t)(first + k) * row;
            for (size_t i = 0; i < row; i++) line[i] += weight[k] * src[i];
        }
        for (int64_t c = 0; c < channels; c++) {
            for (int64_t x = 0; x < width; x++) {
                float value = line[x * 3 + c] + 0.5f; /* weights sum to 1: never far beyond 255.5 */
                dst[c * plane + y * width + x] = value >= 255 ? 255 : (uint8_t)value;
            }
        }
    }
    return COP_OK;
}
