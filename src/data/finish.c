/* What is done after reading, for every format: labels, splits, counts, statistics, digest. */
#include "data/formats.h"

#include <math.h>
#include <string.h>

/* Labels index arrays from here on, so each must be in range. Where the format names no classes, they are counted
 * from the training labels. */
static cop_status check_labels(cop_data *data) {
    cop_ctx *ctx = data->ctx;
    const copi_images *train = &data->images[COP_SPLIT_TRAIN];
    if (!data->info.classes) {
        int64_t top = 0;
        for (int64_t i = 1; i < train->count; i++) {
            if (train->label[i] > train->label[top]) top = i;
        }
        int32_t highest = train->label[top];
        if (highest >= 0 && highest < COPI_CLASSES_MAX) {
            bool *seen = copi_alloc(ctx, (size_t)highest + 1, sizeof *seen);
            if (!seen) return COP_E_NOMEM;
            int32_t distinct = 0;
            for (int64_t i = 0; i < train->count; i++) {
                if (train->label[i] < 0 || seen[train->label[i]]) continue;
                seen[train->label[i]] = true;
                distinct++;
            }
            copi_free(ctx, seen);
            /* otherwise one wrong label byte would silently make a net of 200 outputs for 10 classes */
            if (highest >= 2 * distinct + 16) {
                return copi_fail(
                    ctx, COP_E_RANGE,
                    "train: image %lld has label %d, but only %d different labels occur; labels must run "
                    "from 0 to classes-1",
                    (long long)top, (int)highest, (int)distinct);
            }
        } else {
            return copi_fail(ctx, COP_E_RANGE, "train: image %lld has label %d; labels must be from 0 to %d",
                             (long long)top, (int)highest, COPI_CLASSES_MAX - 1);
        }
        cop_status status = copi_data_classes(data, highest + 1, NULL);
        if (status) return status;
    }
    for (int s = 0; s < COP_SPLITS; s++) {
        for (int64_t i = 0; i < data->images[s].count; i++) {
            int32_t label = data->images[s].label[i];
            if (label < 0 || label >= data->info.classes) {
                return copi_fail(ctx, COP_E_RANGE, "%s: image %lld has label %d; the %d classes are 0 to %d",
                                 cop_split_name((cop_split)s), (long long)i, (int)label, data->info.classes,
                                 data->info.classes - 1);
            }
        }
    }
    return COP_OK;
}

/* A fixed shuffle of n rows; *order is the caller's. */
static cop_status fixed_order(cop_ctx *ctx, int64_t n, int64_t **order) {
    *order = copi_alloc(ctx, (size_t)n, sizeof **order);
    if (!*order) return COP_E_NOMEM;
    for (int64_t i = 0; i < n; i++) (*order)[i] = i;
    copi_rng rng = copi_rng_make(0, COPI_STREAM_SPLIT, 0);
    copi_shuffle(&rng, *order, n);
    return COP_OK;
}

/* Split `to` is rows order[first .. first+count) of images[from], cut down to the limit. */
static cop_status set_split(cop_data *data, int to, int from, const int64_t *order, int64_t first, int64_t count,
                            int64_t limit) {
    if (limit && count > limit) count = limit;
    data->from[to] = from;
    data->info.images[to] = count;
    if (!count) return COP_OK;
    data->index[to] = copi_alloc(data->ctx, (size_t)count, sizeof(int64_t));
    if (!data->index[to]) return COP_E_NOMEM;
    memcpy(data->index[to], order + first, (size_t)count * sizeof(int64_t));
    return COP_OK;
}

static cop_status make_splits(cop_data *data, const cop_data_options *options) {
    bool carve = !data->images[COP_SPLIT_VALIDATION].count;
    for (int s = 0; s < COP_SPLITS; s++) data->from[s] = s;
    for (int s = 0; s < COP_SPLITS; s++) {
        int64_t n = data->images[s].count, held = 0, *order;
        if (!n) continue;
        cop_status status = fixed_order(data->ctx, n, &order);
        if (status) return status;
        if (s == COP_SPLIT_TRAIN && carve && options->validation > 0 && n > 1) {
            held = (int64_t)llround(options->validation * (double)n);
            if (held < 1) held = 1;
            if (held > n - 1) held = n - 1;
            status = set_split(data, COP_SPLIT_VALIDATION, s, order, 0, held, options->limit);
        }
        if (!status) status = set_split(data, s, s, order, held, n - held, options->limit);
        copi_free(data->ctx, order);
        if (status) return status;
    }
    return COP_OK;
}

static cop_status count_classes(cop_data *data) {
    for (int s = 0; s < COP_SPLITS; s++) {
        int64_t *count = copi_alloc(data->ctx, (size_t)data->info.classes, sizeof *count);
        if (!count) return COP_E_NOMEM;
        const int32_t *label = data->images[data->from[s]].label;
        for (int64_t i = 0; i < data->info.images[s]; i++) count[label[data->index[s][i]]]++;
        data->info.class_images[s] = count;
    }
    for (int c = 0; c < data->info.classes; c++) {
        if (data->info.class_images[COP_SPLIT_TRAIN][c]) continue;
        copi_log(data->ctx, COP_LOG_WARNING, "%s: class %d ('%s') has no training image", data->info.path, c,
                 data->info.class_name[c]);
    }
    return COP_OK;
}

/* Exact for bytes, by counting each value; two passes for floats. */
static void statistics(cop_data *data) {
    cop_data_info *info = &data->info;
    const copi_images *train = &data->images[COP_SPLIT_TRAIN];
    const int64_t plane = info->height * info->width, item = info->channels * plane;
    const int64_t n = info->images[COP_SPLIT_TRAIN], *index = data->index[COP_SPLIT_TRAIN];
    const double pixels = (double)n * (double)plane;
    for (int64_t c = 0; c < info->channels; c++) {
        double sum = 0, square = 0, mean;
        if (train->pixels) {
            int64_t histogram[256] = {0};
            for (int64_t i = 0; i < n; i++) {
                const uint8_t *at = train->pixels + index[i] * item + c * plane;
                for (int64_t k = 0; k < plane; k++) histogram[at[k]]++;
            }
            for (int v = 0; v < 256; v++) sum += (double)histogram[v] * v;
            mean = sum / pixels;
            for (int v = 0; v < 256; v++) square += (double)histogram[v] * (v - mean) * (v - mean);
            info->mean[c] = mean / 255;
            info->std[c] = sqrt(square / pixels) / 255;
        } else {
            for (int64_t i = 0; i < n; i++) {
                const float *at = train->real + index[i] * item + c * plane;
                for (int64_t k = 0; k < plane; k++) sum += (double)at[k];
            }
            mean = sum / pixels;
            for (int64_t i = 0; i < n; i++) {
                const float *at = train->real + index[i] * item + c * plane;
                for (int64_t k = 0; k < plane; k++) square += ((double)at[k] - mean) * ((double)at[k] - mean);
            }
            info->mean[c] = mean;
            info->std[c] = sqrt(square / pixels);
        }
    }
}

/* Of contents, not file names: the same images in the same splits give the same digest. */
static cop_status digest(cop_data *data) {
    cop_data_info *info = &data->info;
    const int64_t shape[] = {info->channels,  info->height,    info->width,    info->classes,
                             info->images[0], info->images[1], info->images[2]};
    const size_t item = (size_t)(info->channels * info->height * info->width);
    uint64_t h = copi_hash(0, shape, sizeof shape);
    for (int c = 0; c < info->classes; c++) h = copi_hash(h, info->class_name[c], strlen(info->class_name[c]) + 1);
    for (int s = 0; s < COP_SPLITS; s++) {
        const copi_images *images = &data->images[data->from[s]];
        for (int64_t i = 0; i < info->images[s]; i++) {
            size_t row = (size_t)data->index[s][i];
            h = copi_hash(h, &images->label[row], sizeof *images->label);
            h = images->pixels ? copi_hash(h, images->pixels + row * item, item)
                               : copi_hash(h, images->real + row * item, item * sizeof(float));
        }
    }
    info->digest = copi_format(data->ctx, "%016llx", (unsigned long long)h);
    return info->digest ? COP_OK : COP_E_NOMEM;
}

static void count_bytes(cop_data *data) {
    size_t item = (size_t)(data->info.channels * data->info.height * data->info.width), bytes = 0;
    for (int s = 0; s < COP_SPLITS; s++) {
        size_t each = item * (data->images[s].real ? sizeof(float) : 1) + sizeof(int32_t);
        bytes += (size_t)data->images[s].count * each + (size_t)data->info.images[s] * sizeof(int64_t);
    }
    data->info.bytes = bytes;
}

cop_status copi_data_finish(cop_data *data, const cop_data_options *options) {
    cop_data_info *info = &data->info;
    if (!data->images[COP_SPLIT_TRAIN].count)
        return copi_fail(data->ctx, COP_E_FORMAT, "there are no training images");
    if ((options->height && options->height != info->height) || (options->width && options->width != info->width)) {
        return copi_fail(data->ctx, COP_E_UNSUPPORTED,
                         "%s images are %lldx%lld and are not resized; leave height and width out", info->format,
                         (long long)info->height, (long long)info->width);
    }
    cop_status status = check_labels(data);
    if (!status) status = make_splits(data, options);
    if (!status) status = count_classes(data);
    if (!status) {
        statistics(data);
        count_bytes(data);
        status = digest(data);
    }
    return status;
}
