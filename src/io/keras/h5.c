#include "io/keras/h5.h"

#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <zlib.h>

enum {
    MEMORY_BASE = 256 << 20, /* what a file may make the reader hold, besides this many bytes for each of its own */
    MEMORY_PER_BYTE = 64,
    TEXT_MAX = 64 << 20 /* bytes of one attribute */
};

static cop_status fail(const copi_h5 *h5, const char *path, const char *what) {
    return copi_fail(h5->ctx, COP_E_FORMAT, "HDF5 '/%s': %s", path, what);
}

/* The file's signature, and addresses and lengths of 8 bytes, as every machine of today writes them. */
static bool is_usual(const uint8_t *bytes, size_t n) {
    if (n < 16 || memcmp(bytes, "\x89HDF\r\n\x1a\n", 8) != 0) return false;
    int at = bytes[8] < 2 ? 13 : 9; /* by the superblock's version */
    return bytes[at] == 8 && bytes[at + 1] == 8;
}

/* -- one thread at a time: what libhdf5 keeps is the process's, as are the conversions registered below. A thread may
 * have several files open. -- */

static pthread_mutex_t lock;
static pthread_once_t lock_made = PTHREAD_ONCE_INIT;

static void make_lock(void) {
    pthread_mutexattr_t again;
    pthread_mutexattr_init(&again);
    pthread_mutexattr_settype(&again, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&lock, &again);
    pthread_mutexattr_destroy(&again);
}

/* From h5->bytes, or a new one where there are none; of a name of its own, since files of one name are one to
 * libhdf5. Whoever has a file open has the lock. */
static void open_in_memory(copi_h5 *h5) {
    static uint64_t opened;
    char name[64];
    pthread_once(&lock_made, make_lock);
    pthread_mutex_lock(&lock);
    snprintf(name, sizeof name, "coppice-memory-%" PRIu64 ".h5", ++opened);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* the library must not print */
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    /* in memory: changes never reach a file */
    bool good = access >= 0 && H5Pset_fapl_core(access, (size_t)1 << 20, 0) >= 0;
    if (good && !h5->bytes) {
        h5->file = H5Fcreate(name, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    } else if (good && H5Pset_file_image(access, (void *)(uintptr_t)h5->bytes, h5->size) >= 0) {
        h5->file = H5Fopen(name, H5F_ACC_RDWR, access);
    }
    if (access >= 0) H5Pclose(access);
    if (h5->file < 0) pthread_mutex_unlock(&lock);
}

cop_status copi_h5_open(cop_ctx *ctx, const uint8_t *bytes, size_t n, copi_h5 *h5) {
    *h5 = (copi_h5){.ctx = ctx, .file = H5I_INVALID_HID, .bytes = bytes, .size = n};
    if (!is_usual(bytes, n)) return copi_fail(ctx, COP_E_FORMAT, "not an HDF5 file, or a damaged one");
    if (!copi_h5_is_sound(bytes, n))
        return copi_fail(
            ctx, COP_E_FORMAT,
            "a damaged HDF5 file: a length in it leads out of it; or one with types that Keras does not write");
    open_in_memory(h5);
    return h5->file >= 0 ? COP_OK : copi_fail(ctx, COP_E_FORMAT, "not an HDF5 file, or a damaged one");
}

void copi_h5_close(copi_h5 *h5) {
    if (h5->file < 0) return;
    H5Fclose(h5->file);
    h5->file = H5I_INVALID_HID;
    pthread_mutex_unlock(&lock);
}

/* Is every step of the path a hard link? Soft and external links may lead out of the file. */
static bool is_hard(const copi_h5 *h5, const char *path) {
    char part[1024];
    size_t n = strlen(path);
    if (n >= sizeof part) return false;
    for (size_t end = 1; end <= n; end++) {
        if (end < n && path[end] != '/') continue;
        memcpy(part, path, end);
        part[end] = '\0';
        H5L_info_t info;
        if (H5Lget_info(h5->file, part, &info, H5P_DEFAULT) < 0 || info.type != H5L_TYPE_HARD) return false;
    }
    return true;
}

bool copi_h5_has(const copi_h5 *h5, const char *path) {
    return is_hard(h5, path);
}

static hid_t open_object(const copi_h5 *h5, const char *path) {
    if (!*path) return H5Oopen(h5->file, "/", H5P_DEFAULT);
    return is_hard(h5, path) ? H5Oopen(h5->file, path, H5P_DEFAULT) : H5I_INVALID_HID;
}

/* -- strings: those of any length lie in heaps, and an attribute holds [length u32][heap's address u64][number u32]
 * of each. libhdf5 1.10 takes that length's memory before it looks at the heap, and never ends on some heaps that are
 * damaged. So it is only asked for these places, by a conversion that converts nothing, and the heap is read here.
 * -- */

enum { PLACE = 16, HEAD = 16 /* of a heap */ };

static herr_t keep_places(hid_t from, hid_t to, H5T_cdata_t *data, size_t n, size_t stride, size_t background_stride,
                          void *buffer, void *background, hid_t plan) {
    (void)n, (void)stride, (void)background_stride, (void)buffer, (void)background, (void)plan;
    if (data->command != H5T_CONV_INIT) return 0;
    data->need_bkg = H5T_BKG_NO;
    return H5Tget_size(from) == PLACE && H5Tget_size(to) == PLACE ? 0 : -1;
}

static bool read_places(hid_t attribute, hid_t type, void *places) {
    hid_t plain = H5Tcreate(H5T_OPAQUE, PLACE);
    bool read = plain >= 0 && H5Tregister(H5T_PERS_SOFT, "places", type, plain, keep_places) >= 0;
    read = read && H5Aread(attribute, plain, places) >= 0;
    H5Tunregister(H5T_PERS_SOFT, "places", -1, -1, keep_places);
    if (plain >= 0) H5Tclose(plain);
    return read;
}

/* Object `number` of the heap at address: "GCOL", version, size u64, then objects of [number u16][count u16][0 u32]
 * [size u64][bytes to a multiple of 8], the last of number 0 being the free rest. */
static bool find_string(const copi_h5 *h5, uint64_t address, uint32_t number, uint32_t length,
                        const uint8_t **string) {
    copi_reader r = copi_reader_make(h5->bytes, h5->size);
    const uint8_t *head, *object;
    uint64_t whole, size;
    uint32_t id, zero;
    *string = NULL;
    if (!length) return true;
    if (address >= h5->size) return false;
    r.at = (size_t)address;
    if (!copi_read_bytes(&r, 8, &head) || memcmp(head, "GCOL", 4) != 0) return false;
    if (!copi_read_u64le(&r, &whole) || whole < HEAD || whole > h5->size - address) return false;
    r.size = (size_t)(address + whole);
    while (copi_read_u32le(&r, &id) && copi_read_u32le(&r, &zero) && copi_read_u64le(&r, &size)) {
        id &= 0xffff;
        if (!id || size > r.size - r.at) return false;
        size_t left = r.size - r.at, padded = (size_t)(size + 7) & ~(size_t)7;
        copi_read_bytes(&r, padded > left ? left : padded, &object);
        if (id != number) continue;
        *string = object;
        return length <= size;
    }
    return false;
}

static cop_status add_places(const copi_h5 *h5, const char *path, const uint8_t *place, int count,
                             copi_buffer *text) {
    for (int i = 0; i < count; i++, place += PLACE) {
        copi_reader r = copi_reader_make(place, PLACE);
        uint32_t length, number;
        uint64_t address;
        const uint8_t *string;
        copi_read_u32le(&r, &length);
        copi_read_u64le(&r, &address);
        copi_read_u32le(&r, &number);
        if (!find_string(h5, address, number, length, &string))
            return fail(h5, path, "an attribute's heap is damaged");
        size_t n = string ? strnlen((const char *)string, length) : 0;
        if (n > TEXT_MAX - text->len) return fail(h5, path, "names too long");
        if (n) copi_buffer_add(text, string, n);
        copi_buffer_add(text, "", 1);
    }
    return COP_OK;
}

static void add_fixed(const char *block, size_t size, int count, copi_buffer *text) {
    for (int i = 0; i < count; i++, block += size) {
        size_t n = strnlen(block, size);
        if (n) copi_buffer_add(text, block, n);
        copi_buffer_add(text, "", 1);
    }
}

/* All strings of an attribute, one after another, each NUL-terminated, into text. */
static cop_status read_strings(const copi_h5 *h5, const char *path, hid_t attribute, copi_buffer *text, int *count) {
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    cop_status status = COP_OK;
    hssize_t points = space >= 0 ? H5Sget_simple_extent_npoints(space) : -1;
    size_t size = type >= 0 ? H5Tget_size(type) : 0, bytes;
    bool strings = type >= 0 && H5Tget_class(type) == H5T_STRING, variable = strings && H5Tis_variable_str(type) > 0;
    *count = 0;
    if (variable) size = PLACE;
    if (points == 0) { /* an empty list, which h5py writes as one of floats */
    } else if (!strings || points < 0 || points > COPI_H5_NAMES_MAX || !size ||
               !copi_mul((size_t)points, size, &bytes) || bytes > TEXT_MAX) {
        status = fail(h5, path, "an attribute that should hold names does not");
    } else {
        char *block = copi_alloc(h5->ctx, bytes + 1, 1);
        *count = (int)points;
        if (!block)
            status = COP_E_NOMEM;
        else if (!(variable ? read_places(attribute, type, block) : H5Aread(attribute, type, block) >= 0))
            status = fail(h5, path, "an attribute can't be read");
        else if (variable)
            status = add_places(h5, path, (const uint8_t *)block, *count, text);
        else
            add_fixed(block, size, *count, text);
        copi_free(h5->ctx, block);
    }
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    if (!status && text->failed) status = COP_E_NOMEM;
    return status;
}

/* Adds the attribute's strings to text; *found tells whether it is there. */
static cop_status add_attribute(const copi_h5 *h5, const char *path, const char *name, copi_buffer *text, int *count,
                                bool *found) {
    hid_t object = open_object(h5, path);
    cop_status status = COP_OK;
    *found = object >= 0 && H5Aexists(object, name) > 0;
    *count = 0;
    if (*found) {
        hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
        status = attribute < 0 ? fail(h5, path, "an attribute can't be opened")
                               : read_strings(h5, path, attribute, text, count);
        if (attribute >= 0) H5Aclose(attribute);
    }
    if (object >= 0) H5Oclose(object);
    return status;
}

cop_status copi_h5_text(copi_h5 *h5, const char *path, const char *attribute, char **text) {
    copi_buffer buffer;
    int count;
    bool found;
    *text = NULL;
    copi_buffer_init(&buffer, h5->ctx);
    cop_status status = add_attribute(h5, path, attribute, &buffer, &count, &found);
    if (!status && buffer.failed) status = COP_E_NOMEM;
    if (!status && found && count == 1) {
        *text = copi_strdup(h5->ctx, buffer.data);
        if (!*text) status = COP_E_NOMEM;
    }
    copi_buffer_clear(&buffer);
    return status;
}

/* One block: count + 1 pointers, then the strings they point to. */
static char **make_names(cop_ctx *ctx, const copi_buffer *text, int count) {
    size_t pointers = ((size_t)count + 1) * sizeof(char *);
    char *block = copi_alloc(ctx, pointers + text->len + 1, 1), **names = (char **)(void *)block;
    if (!block) return NULL;
    char *at = block + pointers;
    if (text->len) memcpy(at, text->data, text->len);
    for (int i = 0; i < count; i++) {
        names[i] = at;
        at += strlen(at) + 1;
    }
    return names;
}

cop_status copi_h5_names(copi_h5 *h5, const char *path, const char *attribute, char ***names, int *count) {
    copi_buffer text;
    bool found;
    int more;
    *names = NULL;
    copi_buffer_init(&text, h5->ctx);
    cop_status status = add_attribute(h5, path, attribute, &text, count, &found);
    bool any = found;
    for (int part = 0; !status && !any && part < COPI_H5_NAMES_MAX; part++) { /* a long list, in pieces */
        char name[64];
        snprintf(name, sizeof name, "%.40s%d", attribute, part);
        status = add_attribute(h5, path, name, &text, &more, &found);
        if (!found) break;
        *count += more;
        if (!status && *count > COPI_H5_NAMES_MAX) status = fail(h5, path, "a list of too many names");
    }
    if (!status && text.failed) status = COP_E_NOMEM;
    if (!status && (any || *count)) {
        *names = make_names(h5->ctx, &text, *count);
        if (!*names) status = COP_E_NOMEM;
    }
    copi_buffer_clear(&text);
    return status;
}

typedef struct member_list {
    copi_buffer text;
    int count;
} member_list;

static herr_t add_member(hid_t group, const char *name, const H5L_info_t *info, void *user) {
    member_list *list = user;
    (void)group;
    if (info->type != H5L_TYPE_HARD) return 0;
    copi_buffer_add(&list->text, name, strlen(name) + 1);
    return list->text.failed || ++list->count > COPI_H5_NAMES_MAX ? -1 : 0;
}

cop_status copi_h5_members(copi_h5 *h5, const char *path, char ***names, int *count) {
    member_list list = {0};
    *names = NULL;
    *count = 0;
    if (!is_hard(h5, path)) return COP_OK;
    copi_buffer_init(&list.text, h5->ctx);
    hid_t group = H5Gopen2(h5->file, path, H5P_DEFAULT);
    bool good = group >= 0 && H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, add_member, &list) >= 0;
    if (group >= 0) H5Gclose(group);
    cop_status status = list.text.failed ? COP_E_NOMEM
                        : good           ? COP_OK
                                         : fail(h5, path, "not a group that can be read");
    if (!status) {
        *names = make_names(h5->ctx, &list.text, list.count);
        *count = list.count;
        if (!*names) status = COP_E_NOMEM;
    }
    copi_buffer_clear(&list.text);
    return status;
}

/* -- numbers -- */

static hid_t open_data(const copi_h5 *h5, const char *path) {
    return is_hard(h5, path) ? H5Dopen2(h5->file, path, H5P_DEFAULT) : H5I_INVALID_HID;
}

static cop_status shape_of(const copi_h5 *h5, const char *path, hid_t data, int *rank, int64_t *shape) {
    hid_t space = H5Dget_space(data);
    hsize_t dims[COPI_H5_RANK];
    *rank = space >= 0 ? H5Sget_simple_extent_ndims(space) : -1;
    bool fits = *rank >= 0 && *rank <= COPI_H5_RANK && H5Sget_simple_extent_dims(space, dims, NULL) == *rank;
    for (int i = 0; fits && i < *rank; i++) {
        fits = dims[i] <= INT32_MAX;
        shape[i] = (int64_t)dims[i];
    }
    if (space >= 0) H5Sclose(space);
    return fits ? COP_OK : fail(h5, path, "data of too many or too large dimensions");
}

cop_status copi_h5_shape(copi_h5 *h5, const char *path, int *rank, int64_t *shape) {
    hid_t data = open_data(h5, path);
    if (data < 0) return fail(h5, path, "no data there");
    cop_status status = shape_of(h5, path, data, rank, shape);
    H5Dclose(data);
    return status;
}

/* A chunk, which is read whole, is no larger than what is asked for of it warrants. */
static bool chunks_are_small(hid_t plan, size_t bytes) {
    hsize_t dims[COPI_H5_RANK];
    size_t chunk = sizeof(double);
    int rank = H5Pget_chunk(plan, COPI_H5_RANK, dims);
    for (int i = 0; i < rank && i < COPI_H5_RANK; i++) {
        if (dims[i] > SIZE_MAX || !copi_mul(chunk, (size_t)dims[i], &chunk)) return false;
    }
    return rank > 0 && rank <= COPI_H5_RANK && chunk / 8 <= bytes + (1 << 20);
}

/* Nothing outside the file, and no filter that would be loaded from elsewhere. */
static bool is_plain(hid_t data, size_t bytes) {
    hid_t plan = H5Dget_create_plist(data);
    if (plan < 0) return false;
    H5D_layout_t layout = H5Pget_layout(plan);
    bool plain = (layout == H5D_COMPACT || layout == H5D_CONTIGUOUS || layout == H5D_CHUNKED) &&
                 H5Pget_external_count(plan) == 0 && (layout != H5D_CHUNKED || chunks_are_small(plan, bytes));
    int filters = H5Pget_nfilters(plan), packed = 0;
    for (int i = 0; plain && i < filters; i++) {
        unsigned flags, config;
        size_t values = 0;
        H5Z_filter_t filter = H5Pget_filter2(plan, (unsigned)i, &flags, &values, NULL, 0, NULL, &config);
        packed += filter == H5Z_FILTER_DEFLATE;
        plain = (filter == H5Z_FILTER_DEFLATE && packed == 1) || filter == H5Z_FILTER_SHUFFLE ||
                filter == H5Z_FILTER_FLETCHER32;
    }
    H5Pclose(plan);
    return plain && filters >= 0;
}

/* -- libhdf5 unpacks a chunk to whatever it holds and only then compares: so each is unpacked before, for length
 * -- */

/* Not over most bytes? What is damaged is left to libhdf5 to refuse. */
static bool unpacks_within(const uint8_t *packed, size_t n, size_t most) {
    uint8_t part[4096];
    z_stream z = {.next_in = (Bytef *)(uintptr_t)packed, .avail_in = (uInt)n};
    if (n > UINT_MAX || inflateInit(&z) != Z_OK) return false;
    int code;
    do {
        z.next_out = part;
        z.avail_out = sizeof part;
        code = inflate(&z, Z_NO_FLUSH);
    } while (code == Z_OK && z.total_out <= most);
    inflateEnd(&z);
    return z.total_out <= most;
}

static cop_status check_chunk(copi_h5 *h5, const char *path, hid_t data, const hsize_t *at, size_t most) {
    hsize_t n = 0;
    uint32_t skipped = 0;
    if (H5Dget_chunk_storage_size(data, at, &n) < 0 || n == 0) return COP_OK; /* not stored */
    if (n > h5->size) return fail(h5, path, "a chunk is larger than the file");
    uint8_t *packed = copi_alloc(h5->ctx, (size_t)n, 1);
    if (!packed) return COP_E_NOMEM;
    bool good = H5Dread_chunk(data, H5P_DEFAULT, at, &skipped, packed) < 0 || skipped ||
                unpacks_within(packed, (size_t)n, most + 8); /* and a checksum */
    copi_free(h5->ctx, packed);
    if (good) return COP_OK;
    return copi_fail(h5->ctx, COP_E_FORMAT, "HDF5 '/%s': a chunk unpacks to more than its %zu bytes", path, most);
}

/* All chunks of data packed by gzip. */
static cop_status check_chunks(copi_h5 *h5, const char *path, hid_t data, int rank, const int64_t *shape) {
    hsize_t size[COPI_H5_RANK], at[COPI_H5_RANK] = {0};
    hid_t plan = H5Dget_create_plist(data), type = H5Dget_type(data);
    bool packed = plan >= 0 && H5Pget_layout(plan) == H5D_CHUNKED && H5Pget_nfilters(plan) > 0 && rank > 0 &&
                  H5Pget_chunk(plan, rank, size) == rank;
    size_t most = type >= 0 ? H5Tget_size(type) : 0;
    if (plan >= 0) H5Pclose(plan);
    if (type >= 0) H5Tclose(type);
    bool more = packed;
    for (int i = 0; packed && i < rank; i++) {
        if (!size[i] || !copi_mul(most, (size_t)size[i], &most)) return fail(h5, path, "its chunks have no size");
        more = more && shape[i] > 0;
    }
    cop_status status = COP_OK;
    while (more && !status) {
        status = check_chunk(h5, path, data, at, most);
        int i = rank - 1;
        while (i >= 0 && (at[i] += size[i]) >= (hsize_t)shape[i]) at[i--] = 0;
        more = i >= 0;
    }
    return status;
}

static bool is_float(hid_t data) {
    hid_t type = H5Dget_type(data);
    bool real = type >= 0 && H5Tget_class(type) == H5T_FLOAT && H5Tget_size(type) <= sizeof(double);
    if (type >= 0) H5Tclose(type);
    return real;
}

copi_h5_what copi_h5_look(const copi_h5 *h5, const char *path) {
    hid_t object = open_object(h5, path);
    if (object < 0) return COPI_H5_ABSENT;
    H5I_type_t type = H5Iget_type(object);
    copi_h5_what what = type == H5I_GROUP                         ? COPI_H5_GROUP
                        : type == H5I_DATASET && is_float(object) ? COPI_H5_FLOATS
                                                                  : COPI_H5_OTHER;
    H5Oclose(object);
    return what;
}

static cop_status read_floats(copi_h5 *h5, const char *path, hid_t data, float **numbers, int64_t *count) {
    int rank;
    int64_t shape[COPI_H5_RANK];
    size_t bytes = sizeof(float), most;
    cop_status status = shape_of(h5, path, data, &rank, shape);
    if (status) return status;
    if (!is_float(data)) return fail(h5, path, "is not of floating-point numbers");
    if (!copi_mul(h5->size, MEMORY_PER_BYTE, &most) || !copi_add(most, MEMORY_BASE, &most)) most = SIZE_MAX;
    for (int i = 0; i < rank; i++) {
        if (!copi_mul(bytes, (size_t)shape[i], &bytes) || bytes > most - h5->given) {
            return copi_fail(h5->ctx, COP_E_FORMAT, "HDF5 '/%s': more numbers than a file of %zu bytes warrants",
                             path, h5->size);
        }
    }
    if (!is_plain(data, bytes)) {
        return copi_fail(
            h5->ctx, COP_E_UNSUPPORTED,
            "HDF5 '/%s': stored outside the file, by a filter other than gzip, or in chunks far larger than it",
            path);
    }
    if ((status = check_chunks(h5, path, data, rank, shape))) return status;
    h5->given += bytes;
    *count = (int64_t)(bytes / sizeof(float));
    float *block = copi_alloc(h5->ctx, bytes ? bytes : 1, 1);
    if (!block) return COP_E_NOMEM;
    if (H5Dread(data, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, block) < 0) {
        copi_free(h5->ctx, block);
        return fail(h5, path, "its numbers can't be read: damaged?");
    }
    *numbers = block;
    return COP_OK;
}

cop_status copi_h5_floats(copi_h5 *h5, const char *path, float **data, int64_t *count) {
    *data = NULL;
    hid_t set = open_data(h5, path);
    if (set < 0) return fail(h5, path, "no data there");
    cop_status status = read_floats(h5, path, set, data, count);
    H5Dclose(set);
    return status;
}

/* -- writing -- */

static cop_status cannot(const copi_h5 *h5, const char *path) {
    return copi_fail(h5->ctx, COP_E_INTERNAL, "HDF5 could not write '/%s'", path);
}

cop_status copi_h5_create(cop_ctx *ctx, copi_h5 *h5) {
    *h5 = (copi_h5){.ctx = ctx, .file = H5I_INVALID_HID};
    open_in_memory(h5);
    return h5->file >= 0 ? COP_OK : copi_fail(ctx, COP_E_INTERNAL, "HDF5 could not make a file in memory");
}

static hid_t links_with_groups(void) {
    hid_t links = H5Pcreate(H5P_LINK_CREATE);
    if (links >= 0) H5Pset_create_intermediate_group(links, 1);
    return links;
}

static bool close_all(hid_t a, hid_t b, hid_t c) {
    const hid_t ids[3] = {a, b, c};
    bool good = true;
    for (int i = 0; i < 3; i++) good &= ids[i] >= 0 && H5Idec_ref(ids[i]) >= 0;
    return good;
}

cop_status copi_h5_make_group(copi_h5 *h5, const char *path) {
    if (is_hard(h5, path)) return COP_OK;
    hid_t links = links_with_groups(), plan = H5Pcreate(H5P_GROUP_CREATE);
    if (plan >= 0) H5Pset_obj_track_times(plan, false);
    hid_t group = links >= 0 && plan >= 0 ? H5Gcreate2(h5->file, path, links, plan, H5P_DEFAULT) : H5I_INVALID_HID;
    return close_all(links, plan, group) ? COP_OK : cannot(h5, path);
}

/* Strings of any length: what lies in the attribute is only where they are. */
static cop_status put_strings(copi_h5 *h5, const char *path, const char *name, hid_t space, const void *pointers) {
    hid_t object = open_object(h5, path), type = H5Tcopy(H5T_C_S1), attribute = H5I_INVALID_HID;
    bool good = object >= 0 && type >= 0 && space >= 0 && H5Tset_size(type, H5T_VARIABLE) >= 0 &&
                H5Tset_cset(type, H5T_CSET_UTF8) >= 0;
    if (good) attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    good = good && attribute >= 0 && (!pointers || H5Awrite(attribute, type, pointers) >= 0);
    bool closed = close_all(object, type, attribute);
    if (space >= 0) H5Sclose(space);
    return good && closed ? COP_OK : cannot(h5, path);
}

cop_status copi_h5_put_text(copi_h5 *h5, const char *path, const char *attribute, const char *text) {
    return put_strings(h5, path, attribute, H5Screate(H5S_SCALAR), &text);
}

cop_status copi_h5_put_names(copi_h5 *h5, const char *path, const char *attribute, const char *const *names,
                             int count) {
    enum { PART = 4000 }; /* names; at 16 bytes each an attribute holds a few more */
    cop_status status = COP_OK;
    for (int at = 0, part = 0; !status && (at < count || part == 0); at += PART, part++) {
        char name[64];
        hsize_t n = (hsize_t)(count - at < PART ? count - at : PART);
        if (count > PART) {
            snprintf(name, sizeof name, "%.40s%d", attribute, part);
        } else {
            snprintf(name, sizeof name, "%s", attribute);
        }
        status = put_strings(h5, path, name, H5Screate_simple(1, &n, NULL), n ? &names[at] : NULL);
    }
    return status;
}

cop_status copi_h5_put_floats(copi_h5 *h5, const char *path, int rank, const int64_t *shape, const float *data) {
    hsize_t dims[COPI_H5_RANK] = {0};
    for (int i = 0; i < rank; i++) dims[i] = (hsize_t)shape[i];
    hid_t links = links_with_groups(), plan = H5Pcreate(H5P_DATASET_CREATE),
          space = H5Screate_simple(rank, dims, NULL);
    if (plan >= 0) H5Pset_obj_track_times(plan, false);
    bool good = links >= 0 && plan >= 0 && space >= 0;
    hid_t set = good ? H5Dcreate2(h5->file, path, H5T_IEEE_F32LE, space, links, plan, H5P_DEFAULT) : H5I_INVALID_HID;
    good = set >= 0 && H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
    if (set >= 0) H5Dclose(set);
    bool closed = close_all(links, plan, space);
    return good && closed ? COP_OK : cannot(h5, path);
}

cop_status copi_h5_replace_floats(copi_h5 *h5, const char *path, const float *data) {
    hid_t set = open_data(h5, path);
    bool good = set >= 0 && H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
    if (set >= 0) H5Dclose(set);
    return good ? COP_OK : cannot(h5, path);
}

cop_status copi_h5_image(copi_h5 *h5, uint8_t **bytes, size_t *n) {
    *bytes = NULL;
    ssize_t size = H5Fflush(h5->file, H5F_SCOPE_LOCAL) >= 0 ? H5Fget_file_image(h5->file, NULL, 0) : -1;
    if (size <= 0) return cannot(h5, "");
    *bytes = copi_alloc(h5->ctx, (size_t)size, 1);
    if (!*bytes) return COP_E_NOMEM;
    *n = (size_t)size;
    if (H5Fget_file_image(h5->file, *bytes, (size_t)size) == size) return COP_OK;
    copi_free(h5->ctx, *bytes);
    *bytes = NULL;
    return cannot(h5, "");
}
