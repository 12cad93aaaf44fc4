/* IDX, the format of MNIST and Fashion-MNIST: 00 00 <type> <dimensions>, big-endian u32 sizes, then the values. Each
 * file may be packed by gzip. */
#include "data/formats.h"

#include <string.h>
#include <strings.h>

enum { IMAGES, LABELS, PARTS };

/* The names a part of a split goes by; the second is how some archives of MNIST unpack. */
static const char *const stems[COP_SPLITS] = {"train", "validation", "t10k"};
static const char *const endings[PARTS][4] = {
    {"images-idx3-ubyte", "images-idx3-ubyte.gz", "images.idx3-ubyte", "images.idx3-ubyte.gz"},
    {"labels-idx1-ubyte", "labels-idx1-ubyte.gz", "labels.idx1-ubyte", "labels.idx1-ubyte.gz"}};

/* The file's name in dir, or false. */
static bool find_part(const char *dir, cop_split split, int part, char name[64]) {
    for (size_t i = 0; i < COPI_COUNT(endings[part]); i++) {
        snprintf(name, 64, "%s-%s", stems[split], endings[part][i]);
        if (copi_dir_has(dir, name)) return true;
    }
    return false;
}

bool copi_idx_probe(const char *path) {
    char name[64];
    return find_part(path, COP_SPLIT_TRAIN, IMAGES, name) || find_part(path, COP_SPLIT_TRAIN, LABELS, name);
}

static uint32_t big_endian(const uint8_t *b) {
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static cop_status read_header(copi_source *s, int dimensions, uint64_t *size) {
    static const char *const want[] = {"", "labels (0x00000801: bytes, 1 dimension)", "",
                                       "images (0x00000803: bytes, 3 dimensions)"};
    uint8_t header[4 * 4];
    cop_status status = copi_source_read(s, header, 4);
    if (status) return status;
    if (big_endian(header) != 0x800u + (uint32_t)dimensions) {
        return copi_fail(s->ctx, COP_E_FORMAT, "%s: begins with 0x%08x; expected IDX %s", s->name,
                         (unsigned)big_endian(header), want[dimensions]);
    }
    status = copi_source_read(s, header, 4 * (size_t)dimensions);
    for (int i = 0; i < dimensions && !status; i++) size[i] = big_endian(header + 4 * (size_t)i);
    return status;
}

cop_status copi_idx_split(cop_data *data, cop_split split, copi_source *images, copi_source *labels) {
    uint64_t shape[3], count; /* shape [N,H,W] */
    cop_status status = read_header(images, 3, shape);
    if (!status) status = read_header(labels, 1, &count);
    if (!status) status = copi_images_shape(data, images->name, 1, shape[1], shape[2]);
    if (status) return status;
    if (shape[0] != count) {
        return copi_fail(data->ctx, COP_E_FORMAT,
                         "%s: has %llu images, %s has %llu labels: they don't belong together", images->name,
                         (unsigned long long)shape[0], labels->name, (unsigned long long)count);
    }
    /* no overflow: 2^32 images of at most 2^28 pixels */
    uint64_t pixels = shape[0] * shape[1] * shape[2];
    if ((status = copi_source_expect(images, 16 + pixels))) return status;
    if ((status = copi_source_expect(labels, 8 + count))) return status;
    if ((status = copi_images_alloc(data, split, images->name, count, false))) return status;
    if ((status = copi_source_read(images, data->images[split].pixels, (size_t)pixels))) return status;
    if ((status = copi_source_end(images))) return status;
    int32_t *label = data->images[split].label;
    for (uint64_t at = 0; at < count;) {
        uint8_t bytes[4096];
        size_t n = count - at < sizeof bytes ? (size_t)(count - at) : sizeof bytes;
        if ((status = copi_source_read(labels, bytes, n))) return status;
        for (size_t i = 0; i < n; i++) {
            label[at + i] = bytes[i];
            if (data->info.classes && bytes[i] >= data->info.classes) {
                return copi_fail(data->ctx, COP_E_RANGE, "%s: label %llu is %d; the %d classes are 0 to %d",
                                 labels->name, (unsigned long long)(at + i), bytes[i], data->info.classes,
                                 data->info.classes - 1);
            }
        }
        at += n;
    }
    return copi_source_end(labels);
}

static cop_status missing(cop_data *data, const char *path, cop_split split, int part) {
    return copi_fail(data->ctx, COP_E_NOT_FOUND, "%s: %s-%s(.gz) is missing", path, stems[split], endings[part][0]);
}

static cop_status read_split(cop_data *data, const char *path, cop_split split) {
    char name[PARTS][64];
    for (int part = 0; part < PARTS; part++) {
        if (!find_part(path, split, part, name[part])) return missing(data, path, split, part);
    }
    char *file[PARTS] = {NULL};
    copi_source source[PARTS] = {{0}};
    cop_status status = COP_OK;
    for (int part = 0; part < PARTS && !status; part++) {
        file[part] = copi_format(data->ctx, "%s/%s", path, name[part]);
        status = file[part] ? copi_source_open(data->ctx, file[part], &source[part]) : COP_E_NOMEM;
    }
    if (!status) status = copi_idx_split(data, split, &source[IMAGES], &source[LABELS]);
    for (int part = 0; part < PARTS; part++) {
        copi_source_close(&source[part]);
        copi_free(data->ctx, file[part]);
    }
    return status;
}

/* The last component of a path, without its slashes: n bytes from the pointer returned; end is where to begin. */
static const char *component(const char *path, size_t *end, size_t *n) {
    while (*end && path[*end - 1] == '/') (*end)--;
    size_t start = *end;
    while (start && path[start - 1] != '/') start--;
    *n = *end - start;
    *end = start;
    return path + start;
}

/* IDX carries no names. Those of Fashion-MNIST are given when the directory's own name says so, or its parent's where
 * it is called "raw" (torchvision keeps the files in FashionMNIST/raw). */
static bool is_fashion(const char *path) {
    static const char *const spelled[] = {"fashion-mnist", "fashion_mnist", "fashionmnist"};
    size_t end = strlen(path), n;
    const char *name = component(path, &end, &n);
    if (n == 3 && strncmp(name, "raw", 3) == 0) name = component(path, &end, &n);
    for (size_t i = 0; i < COPI_COUNT(spelled); i++) {
        size_t length = strlen(spelled[i]);
        for (size_t at = 0; at + length <= n; at++) {
            if (strncasecmp(name + at, spelled[i], length) == 0) return true;
        }
    }
    return false;
}

cop_status copi_idx_read(cop_data *data, const char *path, const cop_data_options *options) {
    (void)options;
    if (is_fashion(path)) {
        static const char *const names[] = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                            "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
        cop_status status = copi_data_classes(data, (int)COPI_COUNT(names), names);
        if (status) return status;
    }
    cop_status status = read_split(data, path, COP_SPLIT_TRAIN);
    if (!status) status = read_split(data, path, COP_SPLIT_TEST);
    char name[64];
    if (!status && find_part(path, COP_SPLIT_VALIDATION, IMAGES, name)) {
        status = read_split(data, path, COP_SPLIT_VALIDATION);
    }
    return status;
}
