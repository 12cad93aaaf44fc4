/* Opening a data set: which format, its reader, and what all readers share. */
#include "data/formats.h"

#include "base/options.h"

#include <string.h>

static const copi_data_format formats[] = {
#define X(id, text, words) {text, words, copi_##id##_probe, copi_##id##_read},
#include "data/formats.def"
#undef X
};

COPI_ENUM(split, COP_SPLIT_LIST)
COPI_LIST(data_format, formats)

static const cop_option data_options[] = {
    {COPI_OPTION("format", cop_data_options, format, NAME), .choice = cop_data_format_name, .since = "0.1",
     .help = "format of the data, detected if not given"},
    {COPI_OPTION("validation", cop_data_options, validation, NUMBER), .usual = 0.1, .high = 0.9, .since = "0.1",
     .help = "share of the training images to use for validation, if the data has no validation images"},
    {COPI_OPTION("limit", cop_data_options, limit, COUNT), .high = 1e12, .unit = "images", .since = "0.1",
     .help = "maximum number of images per split; 0: all"},
    {COPI_OPTION("height", cop_data_options, height, COUNT), .high = COPI_SIDE_MAX, .unit = "pixels", .since = "0.1",
     .help = "height to scale the images of a folder to; 0: that of the model file, else of the first image"},
    {COPI_OPTION("width", cop_data_options, width, COUNT), .high = COPI_SIDE_MAX, .unit = "pixels", .since = "0.1",
     .help = "width to scale the images of a folder to; 0: as for the height"},
    {NULL}};

COPI_OPTION_AT(cop_data_option, data_options)

void cop_data_options_init(cop_data_options *options, size_t size) {
    cop_data_options usual = {.size = sizeof usual};
    copi_options_default(data_options, &usual);
    copi_struct_init(options, size, &usual, sizeof usual);
}

cop_status copi_data_options_check(cop_ctx *ctx, const cop_data_options *o) {
    cop_status status = COPI_CHECK(ctx, cop_data_options, o);
    return status ? status
                  : copi_options_check(ctx, NULL, &data_options[1], o); /* an unknown format is a name not found */
}

static cop_status find_format(cop_ctx *ctx, const char *name, const copi_data_format **format) {
    for (size_t i = 0; i < COPI_COUNT(formats); i++) {
        *format = &formats[i];
        if (strcmp(formats[i].name, name) == 0) return COP_OK;
    }
    copi_buffer all;
    copi_buffer_init(&all, ctx);
    for (size_t i = 0; i < COPI_COUNT(formats); i++) {
        copi_buffer_printf(&all, "%s%s", i ? ", " : "", formats[i].name);
    }
    const char *near = cop_nearest(name, cop_data_format_name);
    cop_status status = COP_E_NOMEM;
    if (!all.failed) {
        status = copi_fail(ctx, COP_E_NOT_FOUND, "no data format is called '%s'%s%s%s; there are %s", name,
                           near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "", all.data);
    }
    copi_buffer_clear(&all);
    return status;
}

static cop_status guess_format(cop_ctx *ctx, const char *path, const copi_data_format **format) {
    for (size_t i = 0; i < COPI_COUNT(formats); i++) {
        *format = &formats[i];
        if (formats[i].probe(path)) return COP_OK;
    }
    copi_buffer sought;
    copi_buffer_init(&sought, ctx);
    for (size_t i = 0; i < COPI_COUNT(formats); i++) {
        copi_buffer_printf(&sought, "%s%s: %s", i ? "; " : "", formats[i].name, formats[i].help);
    }
    cop_status status = COP_E_NOMEM;
    if (!sought.failed) {
        status = copi_fail(ctx, COP_E_NOT_FOUND, "%s: no data set was recognized; looked for %s", path, sought.data);
    }
    copi_buffer_clear(&sought);
    return status;
}

cop_status cop_data_open(cop_ctx *ctx, const char *path, const cop_data_options *options, cop_data **data) {
    if (data) *data = NULL;
    COPI_REQUIRE(NULL, ctx);
    COPI_REQUIRE(ctx, data);
    COPI_REQUIRE(ctx, path);
    if (!*path) return copi_fail(ctx, COP_E_ARG, "no path of a data set was given");
    cop_data_options o = options ? *options : cop_data_options_default();
    cop_status status = copi_data_options_check(ctx, &o);
    if (status) return status;
    if (!copi_is_dir(path) && !copi_is_file(path)) {
        return copi_fail(ctx, COP_E_NOT_FOUND, "%s: no such file or directory", path);
    }
    const copi_data_format *format = NULL;
    status = o.format ? find_format(ctx, o.format, &format) : guess_format(ctx, path, &format);
    if (status) return status;

    cop_data *d = copi_data_begin(ctx, path, format->name);
    return d ? copi_data_end(d, format->read(d, path, &o), &o, data) : COP_E_NOMEM;
}

cop_data *copi_data_begin(cop_ctx *ctx, const char *path, const char *format) {
    cop_data *data = copi_alloc(ctx, 1, sizeof *data);
    if (!data) return NULL;
    data->ctx = ctx;
    data->info.format = format;
    if ((data->info.path = copi_strdup(ctx, path))) return data;
    cop_data_destroy(data);
    return NULL;
}

cop_status copi_data_end(cop_data *data, cop_status status, const cop_data_options *options, cop_data **result) {
    if (!status && (status = copi_data_finish(data, options))) copi_fail_in(data->ctx, status, "%s", data->info.path);
    if (status)
        cop_data_destroy(data);
    else
        *result = data;
    return status;
}

void cop_data_destroy(cop_data *data) {
    if (!data) return;
    cop_ctx *ctx = data->ctx;
    for (int s = 0; s < COP_SPLITS; s++) {
        copi_free(ctx, data->images[s].pixels);
        copi_free(ctx, data->images[s].real);
        copi_free(ctx, data->images[s].label);
        copi_free(ctx, data->index[s]);
        copi_free(ctx, (void *)data->info.class_images[s]);
    }
    copi_free(ctx, (void *)data->info.class_name);
    copi_free(ctx, (void *)data->info.digest);
    copi_free(ctx, (void *)data->info.path);
    copi_free(ctx, data);
}

const cop_data_info *cop_data_get_info(const cop_data *data) {
    return data ? &data->info : NULL;
}

cop_status copi_images_shape(cop_data *data, const char *name, uint64_t channels, uint64_t height, uint64_t width) {
    if (channels < 1 || channels > COP_MAX_CHANNELS || height < 1 || height > COPI_SIDE_MAX || width < 1 ||
        width > COPI_SIDE_MAX) {
        return copi_fail(data->ctx, COP_E_RANGE,
                         "%s: declares images of %llu rows x %llu columns x %llu channels; at most %d x %d x %d",
                         name, (unsigned long long)height, (unsigned long long)width, (unsigned long long)channels,
                         COPI_SIDE_MAX, COPI_SIDE_MAX, COP_MAX_CHANNELS);
    }
    cop_data_info *info = &data->info;
    if (info->channels && ((uint64_t)info->channels != channels || (uint64_t)info->height != height ||
                           (uint64_t)info->width != width)) {
        return copi_fail(data->ctx, COP_E_SHAPE,
                         "%s: has images of %lldx%llu pixels, %llu channels; the other splits' are %lldx%lld, %lld",
                         name, (long long)height, (unsigned long long)width, (unsigned long long)channels,
                         (long long)info->height, (long long)info->width, (long long)info->channels);
    }
    info->channels = (int64_t)channels;
    info->height = (int64_t)height;
    info->width = (int64_t)width;
    return COP_OK;
}

cop_status copi_images_alloc(cop_data *data, cop_split split, const char *name, uint64_t count, bool real) {
    const cop_data_info *info = &data->info;
    copi_images *images = &data->images[split];
    size_t item = (size_t)(info->channels * info->height * info->width); /* bounded by copi_images_shape */
    size_t values, bytes;
    if (count < 1) return copi_fail(data->ctx, COP_E_FORMAT, "%s: holds no images", name);
    if (count > INT64_MAX / 8 || !copi_mul((size_t)count, item, &values) ||
        !copi_mul(values, real ? sizeof(float) : 1, &bytes) || bytes > COPI_SPLIT_BYTES_MAX) {
        return copi_fail(data->ctx, COP_E_RANGE, "%s: declares %llu images of %zu pixels, more than %zu GiB", name,
                         (unsigned long long)count, item, COPI_SPLIT_BYTES_MAX >> 30);
    }
    images->label = copi_alloc(data->ctx, (size_t)count, sizeof *images->label);
    if (!images->label) return COP_E_NOMEM;
    if (real) {
        images->real = copi_alloc(data->ctx, values, sizeof(float));
    } else {
        images->pixels = copi_alloc(data->ctx, values, 1);
    }
    if (!images->real && !images->pixels) return COP_E_NOMEM;
    images->count = (int64_t)count;
    return COP_OK;
}

/* One block: the pointers, then the texts they point to. */
cop_status copi_data_classes(cop_data *data, int classes, const char *const *names) {
    if (classes < 1 || classes > COPI_CLASSES_MAX) {
        return copi_fail(data->ctx, COP_E_RANGE, "there are %d classes; there must be 1 to %d", classes,
                         COPI_CLASSES_MAX);
    }
    size_t count = (size_t)classes, bytes = count * sizeof(char *);
    for (size_t i = 0; i < count; i++) bytes += names ? strlen(names[i]) + 1 : 12;
    char **table = copi_alloc(data->ctx, bytes, 1);
    if (!table) return COP_E_NOMEM;
    char *at = (char *)(table + count), *end = (char *)table + bytes;
    for (size_t i = 0; i < count; i++) {
        table[i] = at;
        int n = names ? snprintf(at, (size_t)(end - at), "%s", names[i]) : snprintf(at, (size_t)(end - at), "%zu", i);
        at += n + 1;
    }
    copi_free(data->ctx, (void *)data->info.class_name);
    data->info.class_name = (const char *const *)table;
    data->info.classes = classes;
    return COP_OK;
}
