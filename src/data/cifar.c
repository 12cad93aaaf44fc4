/* CIFAR-10 and CIFAR-100 in their binary form: records of one label byte (CIFAR-100: coarse, fine) and 3,072 bytes,
 * the planes R, G, B of 32x32. Both formats are in one file because they differ only in a few numbers. */
#include "data/formats.h"

#include <string.h>

#define PIXELS 3072
#define FILES 5 /* of CIFAR-10's training split */

typedef struct cifar {
    int classes, label_bytes;
    const char *train[FILES + 1], *test, *names;
} cifar;

static const cifar cifar10 = {
    10,
    1,
    {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin", NULL},
    "test_batch.bin",
    "batches.meta.txt"};
static const cifar cifar100 = {100, 2, {"train.bin", NULL}, "test.bin", "fine_label_names.txt"};

bool copi_cifar10_probe(const char *path) {
    return copi_dir_has(path, cifar10.train[0]) || copi_dir_has(path, cifar10.test);
}

bool copi_cifar100_probe(const char *path) {
    return copi_dir_has(path, cifar100.train[0]) || copi_dir_has(path, cifar100.test);
}

cop_status copi_cifar_records(cop_data *data, cop_split split, copi_source *s, int label_bytes, int64_t at,
                              int64_t count) {
    copi_images *images = &data->images[split];
    for (int64_t i = 0; i < count; i++) {
        uint8_t label[2];
        cop_status status = copi_source_read(s, label, (size_t)label_bytes);
        if (!status) status = copi_source_read(s, images->pixels + (at + i) * PIXELS, PIXELS);
        if (status) return status;
        int fine = label[label_bytes - 1];
        if (fine >= data->info.classes) {
            return copi_fail(data->ctx, COP_E_RANGE, "%s: record %lld has label %d; the %d classes are 0 to %d",
                             s->name, (long long)i, fine, data->info.classes, data->info.classes - 1);
        }
        images->label[at + i] = fine;
    }
    return copi_source_end(s);
}

/* Open a file and tell its records by its size. */
static cop_status open_records(copi_source *s, cop_ctx *ctx, const char *path, int label_bytes, int64_t *count) {
    uint64_t record = PIXELS + (uint64_t)label_bytes;
    cop_status status = copi_source_open(ctx, path, s);
    if (status) return status;
    if (!s->exact) {
        status = copi_fail(ctx, COP_E_UNSUPPORTED, "%s: is packed by gzip; unpack it first", path);
    } else if (s->bound == 0 || s->bound % record) {
        status = copi_fail(ctx, COP_E_FORMAT, "%s: has %llu bytes, not a multiple of the record size, %llu", path,
                           (unsigned long long)s->bound, (unsigned long long)record);
    } else {
        *count = (int64_t)(s->bound / record);
    }
    if (status) copi_source_close(s);
    return status;
}

static cop_status read_split(cop_data *data, const char *dir, const cifar *kind, cop_split split,
                             const char *const *names) {
    copi_source source[FILES] = {{0}};
    char *path[FILES] = {NULL};
    int64_t count[FILES], total = 0, at = 0;
    int files = 0;
    cop_status status = COP_OK;
    while (!status && names[files]) { /* all headers before the first byte: sizes are known when memory is taken */
        path[files] = copi_format(data->ctx, "%s/%s", dir, names[files]);
        status = path[files] ? open_records(&source[files], data->ctx, path[files], kind->label_bytes, &count[files])
                             : COP_E_NOMEM;
        if (!status) total += count[files];
        files++;
    }
    if (!status) status = copi_images_alloc(data, split, dir, (uint64_t)total, false);
    for (int i = 0; i < files; i++) {
        if (!status) status = copi_cifar_records(data, split, &source[i], kind->label_bytes, at, count[i]);
        at += status ? 0 : count[i];
        copi_source_close(&source[i]);
        copi_free(data->ctx, path[i]);
    }
    return status;
}

static cop_status read_names(cop_data *data, const char *dir, const cifar *kind) {
    if (!copi_dir_has(dir, kind->names)) return copi_data_classes(data, kind->classes, NULL);
    char *path = copi_format(data->ctx, "%s/%s", dir, kind->names);
    if (!path) return COP_E_NOMEM;
    copi_names names = {0};
    cop_status status = copi_names_of_lines(data->ctx, path, &names);
    if (!status && names.count != (size_t)kind->classes) {
        status = copi_fail(data->ctx, COP_E_FORMAT, "%s: names %zu classes, %s has %d", path, names.count,
                           data->info.format, kind->classes);
    }
    if (!status) status = copi_data_classes(data, kind->classes, (const char *const *)names.name);
    copi_names_clear(data->ctx, &names);
    copi_free(data->ctx, path);
    return status;
}

static cop_status read_cifar(cop_data *data, const char *path, const cifar *kind) {
    const char *const test[] = {kind->test, NULL};
    cop_status status = copi_images_shape(data, path, 3, 32, 32);
    if (!status) status = read_names(data, path, kind);
    if (!status) status = read_split(data, path, kind, COP_SPLIT_TRAIN, kind->train);
    if (!status) status = read_split(data, path, kind, COP_SPLIT_TEST, test);
    return status;
}

cop_status copi_cifar10_read(cop_data *data, const char *path, const cop_data_options *options) {
    (void)options;
    return read_cifar(data, path, &cifar10);
}

cop_status copi_cifar100_read(cop_data *data, const char *path, const cop_data_options *options) {
    (void)options;
    return read_cifar(data, path, &cifar100);
}
