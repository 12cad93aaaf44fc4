/* NPZ as Keras users keep their data: a ZIP of .npy arrays x_train, y_train, x_test, y_test and perhaps x_val,
 * y_val. */
#include "data/formats.h"

#include <string.h>
#include <zip.h>

bool copi_npz_probe(const char *path) {
    return copi_is_file(path) && copi_ends_with(path, ".npz");
}

static cop_status pull_member(copi_source *s, uint8_t *dst, size_t n, size_t *got) {
    zip_int64_t read = zip_fread(s->from, dst, n); /* at the end it checks the length and the CRC */
    *got = read > 0 ? (size_t)read : 0;
    if (read >= 0) return COP_OK;
    return copi_fail(s->ctx, COP_E_FORMAT, "%s: can't be unpacked after %llu bytes: %s; get the file again", s->name,
                     (unsigned long long)s->at, zip_file_strerror(s->from));
}

static void close_member(copi_source *s) {
    zip_fclose(s->from);
}

/* What a member declares is checked against the archive's real bytes before anything is made of it. */
static cop_status open_member(cop_ctx *ctx, zip_t *zip, zip_int64_t index, uint64_t archive_bytes, const char *name,
                              copi_source *s) {
    zip_stat_t st;
    *s = (copi_source){.ctx = ctx, .name = name, .exact = true, .pull = pull_member, .close = close_member};
    const zip_uint64_t needed = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    if (zip_stat_index(zip, (zip_uint64_t)index, 0, &st) || (st.valid & needed) != needed) {
        return copi_fail(ctx, COP_E_FORMAT, "%s: has no readable directory entry", name);
    }
    if (st.comp_method != ZIP_CM_STORE && st.comp_method != ZIP_CM_DEFLATE) {
        return copi_fail(ctx, COP_E_UNSUPPORTED,
                         "%s: is packed by ZIP's method %d; numpy.savez and savez_compressed "
                         "write what is read",
                         name, (int)st.comp_method);
    }
    if (st.comp_size > archive_bytes ||
        (st.comp_method == ZIP_CM_STORE ? st.size != st.comp_size : st.size / COPI_DEFLATE_MAX > st.comp_size)) {
        return copi_fail(ctx, COP_E_FORMAT, "%s: declares %llu bytes packed into %llu, in an archive of %llu bytes",
                         name, (unsigned long long)st.size, (unsigned long long)st.comp_size,
                         (unsigned long long)archive_bytes);
    }
    s->bound = st.size;
    s->from = zip_fopen_index(zip, (zip_uint64_t)index, 0);
    if (!s->from) return copi_fail(ctx, COP_E_FORMAT, "%s: can't be opened: %s", name, zip_strerror(zip));
    return COP_OK;
}

static cop_status missing(cop_data *data, zip_t *zip, const char *name, const char *member) {
    enum { SHOWN = 8 };
    copi_buffer found;
    copi_buffer_init(&found, data->ctx);
    zip_int64_t n = zip_get_num_entries(zip, 0);
    for (zip_int64_t i = 0; i < n && i < SHOWN; i++) {
        const char *text = zip_get_name(zip, (zip_uint64_t)i, 0);
        copi_buffer_printf(&found, "%s%.40s", i ? ", " : "", text ? text : "?");
    }
    if (n > SHOWN) copi_buffer_printf(&found, " and %lld more", (long long)(n - SHOWN));
    if (n == 0) copi_buffer_text(&found, "nothing");
    cop_status status = COP_E_NOMEM;
    if (!found.failed) {
        status = copi_fail(data->ctx, COP_E_NOT_FOUND,
                           "%s: holds no %s; x_train, y_train, x_test, y_test are needed, "
                           "it holds %s",
                           name, member, found.data);
    }
    copi_buffer_clear(&found);
    return status;
}

/* The images and labels of one split. */
static cop_status read_split(cop_data *data, zip_t *zip, const char *name, uint64_t bytes, cop_split split) {
    static const char *const suffix[COP_SPLITS] = {"train", "val", "test"};
    static cop_status (*const read[2])(cop_data *, cop_split, copi_source *) = {copi_npy_images, copi_npy_labels};
    char member[2][16];
    zip_int64_t index[2];
    for (int i = 0; i < 2; i++) {
        snprintf(member[i], sizeof member[i], "%c_%s.npy", "xy"[i], suffix[split]);
        index[i] = zip_name_locate(zip, member[i], 0);
    }
    if (split == COP_SPLIT_VALIDATION && index[0] < 0 && index[1] < 0) return COP_OK;
    for (int i = 0; i < 2; i++) {
        if (index[i] < 0) return missing(data, zip, name, member[i]);
    }
    cop_status status = COP_OK;
    for (int i = 0; i < 2 && !status; i++) {
        char *where = copi_format(data->ctx, "%s: %s", name, member[i]);
        if (!where) return COP_E_NOMEM;
        copi_source source;
        status = open_member(data->ctx, zip, index[i], bytes, where, &source);
        if (!status) status = read[i](data, split, &source);
        copi_source_close(&source);
        copi_free(data->ctx, where);
    }
    return status;
}

/* Takes the source over. */
static cop_status read_archive(cop_data *data, const char *name, zip_source_t *source) {
    zip_stat_t st;
    zip_stat_init(&st);
    if (zip_source_stat(source, &st) || !(st.valid & ZIP_STAT_SIZE)) {
        zip_source_free(source);
        return copi_fail(data->ctx, COP_E_IO, "%s: its size can't be told", name);
    }
    zip_t *zip = zip_open_from_source(source, ZIP_RDONLY, NULL);
    if (!zip) {
        zip_source_free(source);
        return copi_fail(data->ctx, COP_E_FORMAT,
                         "%s: is not a ZIP archive, or is damaged or cut short; get the file again", name);
    }
    static const cop_split order[] = {COP_SPLIT_TRAIN, COP_SPLIT_TEST, COP_SPLIT_VALIDATION};
    cop_status status = COP_OK;
    for (size_t i = 0; i < COPI_COUNT(order) && !status; i++) {
        status = read_split(data, zip, name, st.size, order[i]);
    }
    zip_discard(zip);
    return status;
}

cop_status copi_npz_bytes(cop_data *data, const char *name, const uint8_t *bytes, size_t n) {
    zip_source_t *source = zip_source_buffer_create(bytes, n, 0, NULL);
    if (!source) return copi_fail(data->ctx, COP_E_NOMEM, "%s: out of memory while opening the archive", name);
    return read_archive(data, name, source);
}

cop_status copi_npz_read(cop_data *data, const char *path, const cop_data_options *options) {
    (void)options;
    zip_error_t error;
    zip_error_init(&error);
    if (!copi_is_file(path)) return copi_fail(data->ctx, COP_E_FORMAT, "%s: is not a regular file", path);
    zip_source_t *source = zip_source_file_create(path, 0, -1, &error);
    if (!source) {
        cop_status status =
            copi_fail(data->ctx, COP_E_IO, "%s: can't be opened: %s", path, zip_error_strerror(&error));
        zip_error_fini(&error);
        return status;
    }
    return read_archive(data, path, source);
}
