/* A data set from arrays in the program's memory. */
#include "data/formats.h"

#include <math.h>

void cop_data_arrays_init(cop_data_arrays *arrays, size_t size) {
    const cop_data_arrays usual = {.size = sizeof usual, .name = "arrays"};
    copi_struct_init(arrays, size, &usual, sizeof usual);
}

static cop_status check(cop_ctx *ctx, const cop_data_arrays *a) {
    if ((unsigned)a->type > COP_PIXEL_F32 || (unsigned)a->layout > COP_LAYOUT_NHWC)
        return copi_fail(ctx, COP_E_RANGE,
                         "data_arrays: type is %d, layout is %d; each must be one of its enum's values", (int)a->type,
                         (int)a->layout);
    for (int s = 0; s < COP_SPLITS; s++) {
        const cop_split_arrays *split = &a->split[s];
        if (split->count < 0)
            return copi_fail(ctx, COP_E_RANGE, "%s: count is %lld; it must be 0 or more", cop_split_name(s),
                             (long long)split->count);
        if (split->count && (!split->images || !split->label))
            return copi_fail(ctx, COP_E_ARG, "%s: count is %lld, but %s is NULL", cop_split_name(s),
                             (long long)split->count, split->images ? "label" : "images");
    }
    if (a->class_name && a->classes < 1)
        return copi_fail(ctx, COP_E_ARG, "data_arrays: class_name is given, but classes is %d", a->classes);
    for (int c = 0; a->class_name && c < a->classes; c++)
        if (!a->class_name[c]) return copi_fail(ctx, COP_E_ARG, "data_arrays: class_name[%d] is NULL", c);
    return COP_OK;
}

/* Where channel c of pixel k stands in the caller's image. */
static size_t place(const cop_data_arrays *a, int64_t plane, int64_t c, int64_t k) {
    return (size_t)(a->layout == COP_LAYOUT_NHWC ? k * a->channels + c : c * plane + k);
}

static void copy_bytes(const cop_data_arrays *a, const uint8_t *from, uint8_t *to) {
    const int64_t plane = a->height * a->width;
    for (int64_t c = 0; c < a->channels; c++)
        for (int64_t k = 0; k < plane; k++) *to++ = from[place(a, plane, c, k)];
}

/* False: *to is not a finite number. */
static bool copy_floats(const cop_data_arrays *a, const float *from, float *to) {
    const int64_t plane = a->height * a->width;
    bool finite = true;
    for (int64_t c = 0; c < a->channels; c++)
        for (int64_t k = 0; k < plane; k++) {
            *to = from[place(a, plane, c, k)];
            finite &= isfinite(*to++) != 0;
        }
    return finite;
}

static cop_status copy_split(cop_data *data, cop_split split, const cop_data_arrays *a) {
    const cop_split_arrays *from = &a->split[split];
    const char *name = cop_split_name(split);
    const size_t item = (size_t)(a->channels * a->height * a->width);
    copi_images *to = &data->images[split];
    cop_status status = copi_images_alloc(data, split, name, (uint64_t)from->count, a->type == COP_PIXEL_F32);
    if (status) return status;
    for (size_t i = 0; i < (size_t)from->count; i++) {
        to->label[i] = from->label[i];
        if (a->type == COP_PIXEL_U8)
            copy_bytes(a, (const uint8_t *)from->images + i * item, to->pixels + i * item);
        else if (!copy_floats(a, (const float *)from->images + i * item, to->real + i * item))
            return copi_fail(data->ctx, COP_E_RANGE, "%s: image %zu has a pixel that is NaN or infinite", name, i);
    }
    return COP_OK;
}

static cop_status copy(cop_data *data, const cop_data_arrays *a) {
    cop_status status =
        copi_images_shape(data, "data_arrays", (uint64_t)a->channels, (uint64_t)a->height, (uint64_t)a->width);
    for (int s = 0; s < COP_SPLITS && !status; s++)
        if (a->split[s].count) status = copy_split(data, (cop_split)s, a);
    if (!status && a->classes) status = copi_data_classes(data, a->classes, a->class_name);
    return status;
}

cop_status cop_data_create(cop_ctx *ctx, const cop_data_arrays *arrays, const cop_data_options *options,
                           cop_data **data) {
    if (data) *data = NULL;
    COPI_REQUIRE(NULL, ctx);
    COPI_REQUIRE(ctx, data);
    cop_data_options o = options ? *options : cop_data_options_default();
    cop_status status = COPI_CHECK(ctx, cop_data_arrays, arrays);
    if (!status) status = copi_data_options_check(ctx, &o);
    if (!status && o.format)
        status = copi_fail(ctx, COP_E_ARG, "data_options.format is '%s'; arrays have no format", o.format);
    if (!status) status = check(ctx, arrays);
    if (status) return status;
    cop_data *d = copi_data_begin(ctx, arrays->name ? arrays->name : "arrays", "arrays");
    return d ? copi_data_end(d, copy(d, arrays), &o, data) : COP_E_NOMEM;
}
