/* Image folders: DIR/{train,val,test}/<class>/ with .jpg, .jpeg and .png files; the classes are train's folders in
 * sorted order. */
#include "data/formats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX ((size_t)1 << 28) /* bytes of one picture's file */

static const char *const split_names[COP_SPLITS][4] = {{"train"}, {"val", "valid", "validation"}, {"test"}};

/* What has been found and not yet read. */
typedef struct listing {
    copi_names class_names;        /* train's */
    copi_names *files[COP_SPLITS]; /* [classes] picture paths of each class, or NULL: no such split */
    char *dir[COP_SPLITS];
    int64_t count[COP_SPLITS], total;
} listing;

/* The name of a split's directory under path, or NULL. */
static const char *split_dir(const char *path, cop_split split) {
    char joined[4096];
    for (size_t i = 0; i < COPI_COUNT(split_names[split]) && split_names[split][i]; i++) {
        int n = snprintf(joined, sizeof joined, "%s/%s", path, split_names[split][i]);
        if (n > 0 && (size_t)n < sizeof joined && copi_is_dir(joined)) return split_names[split][i];
    }
    return NULL;
}

bool copi_folder_probe(const char *path) {
    return split_dir(path, COP_SPLIT_TRAIN) != NULL;
}

/* Keep those entries of a directory that are folders (or pictures), as whole paths or as names. */
static cop_status keep(cop_ctx *ctx, const char *dir, bool folders, bool whole, copi_names *names) {
    cop_status status = COP_OK;
    size_t kept = 0;
    for (size_t i = 0; i < names->count; i++) {
        char *name = names->name[i], *path = NULL;
        bool wanted =
            folders || copi_ends_with(name, ".jpg") || copi_ends_with(name, ".jpeg") || copi_ends_with(name, ".png");
        if (wanted && !status) {
            path = copi_format(ctx, "%s/%s", dir, name);
            if (!path) status = COP_E_NOMEM;
            wanted = path && (folders ? copi_is_dir(path) : copi_is_file(path));
        }
        names->name[i] = NULL;
        if (wanted && !status) {
            names->name[kept++] = whole ? path : name;
            copi_free(ctx, whole ? name : path);
        } else {
            copi_free(ctx, name);
            copi_free(ctx, path);
        }
    }
    names->count = kept;
    return status;
}

static cop_status list_class(cop_ctx *ctx, const char *split, const char *class_name, copi_names *files) {
    char *dir = copi_format(ctx, "%s/%s", split, class_name);
    if (!dir) return COP_E_NOMEM;
    cop_status status = copi_names_of_dir(ctx, dir, files);
    size_t entries = files->count;
    if (!status) status = keep(ctx, dir, false, true, files);
    if (!status && !files->count) {
        status = copi_fail(ctx, COP_E_FORMAT,
                           "%s: holds no .jpg, .jpeg or .png (%zu other entries); add images or "
                           "remove the folder",
                           dir, entries);
    }
    copi_free(ctx, dir);
    return status;
}

static int compare_name(const void *key, const void *entry) {
    return strcmp(key, *(char *const *)entry);
}

static int find_class(const copi_names *classes, const char *name) {
    char *const *found = bsearch(name, classes->name, classes->count, sizeof *classes->name, compare_name);
    return found ? (int)(found - classes->name) : -1;
}

static cop_status list_split(cop_data *data, listing *l, cop_split split) {
    cop_ctx *ctx = data->ctx;
    copi_names found;
    cop_status status = copi_names_of_dir(ctx, l->dir[split], &found);
    if (!status) status = keep(ctx, l->dir[split], true, false, &found);
    if (!status && !found.count) {
        status = copi_fail(ctx, COP_E_FORMAT, "%s: holds no class folders; images must lie in %s/<class>/",
                           l->dir[split], l->dir[split]);
    }
    if (!status && found.count > COPI_CLASSES_MAX) {
        status = copi_fail(ctx, COP_E_RANGE, "%s: has %zu class folders, more than %d", l->dir[split], found.count,
                           COPI_CLASSES_MAX);
    }
    if (!status && split == COP_SPLIT_TRAIN) {
        l->class_names = found;
        found = (copi_names){0};
    }
    const copi_names *names = split == COP_SPLIT_TRAIN ? &l->class_names : &found;
    if (!status) {
        l->files[split] = copi_alloc(ctx, l->class_names.count, sizeof *l->files[split]);
        if (!l->files[split]) status = COP_E_NOMEM;
    }
    for (size_t i = 0; i < names->count && !status; i++) {
        int c = find_class(&l->class_names, names->name[i]);
        if (c < 0) {
            status = copi_fail(ctx, COP_E_FORMAT, "%s: class '%s' has no folder in %s", l->dir[split], names->name[i],
                               l->dir[COP_SPLIT_TRAIN]);
        } else {
            status = list_class(ctx, l->dir[split], names->name[i], &l->files[split][c]);
            l->count[split] += (int64_t)l->files[split][c].count;
        }
    }
    l->total += l->count[split];
    copi_names_clear(ctx, &found);
    return status;
}

static void clear_listing(cop_ctx *ctx, listing *l) {
    for (int s = 0; s < COP_SPLITS; s++) {
        for (size_t c = 0; l->files[s] && c < l->class_names.count; c++) copi_names_clear(ctx, &l->files[s][c]);
        copi_free(ctx, l->files[s]);
        copi_free(ctx, l->dir[s]);
    }
    copi_names_clear(ctx, &l->class_names);
}

/* -- reading -- */

typedef struct reading {
    cop_data *data;
    const cop_data_options *options;
    copi_image image;
    bool colour;         /* three channels; found out on the way */
    int64_t done, total; /* pictures */
    double begun, told;  /* seconds */
} reading;

static cop_status load(reading *r, const char *path) {
    uint8_t *bytes;
    size_t n;
    cop_status status = copi_read_file(r->data->ctx, path, FILE_MAX, &bytes, &n);
    if (status) return status;
    status = copi_image_decode(&r->image, path, bytes, n);
    copi_free(r->data->ctx, bytes);
    return status;
}

static cop_status tell(reading *r) {
    double now = copi_now();
    r->done++;
    if (now - r->told >= 0.1 || r->done == r->total) {
        double rate = now > r->begun ? (double)r->done / (now - r->begun) : 0;
        cop_progress p = {.phase = "load",
                          .done = r->done,
                          .total = r->total,
                          .rate = rate,
                          .loss = NAN,
                          .accuracy = NAN,
                          .seconds_left = rate > 0 ? (double)(r->total - r->done) / rate : NAN};
        r->told = now;
        copi_progress(r->data->ctx, &p);
        if (copi_cancelled(r->data->ctx))
            return copi_fail(r->data->ctx, COP_E_CANCELLED, "reading images: interrupted");
    }
    return COP_OK;
}

/* *again: a picture has colour while the set was taken for gray. */
static cop_status read_split(reading *r, const listing *l, cop_split split, bool *again) {
    cop_data_info *info = &r->data->info;
    copi_images *images = &r->data->images[split];
    int64_t at = 0;
    cop_status status = copi_images_alloc(r->data, split, l->dir[split], (uint64_t)l->count[split], false);
    for (size_t c = 0; c < l->class_names.count; c++) {
        const copi_names *files = &l->files[split][c];
        for (size_t i = 0; i < files->count && !status; i++) {
            status = load(r, files->name[i]);
            if (status) break;
            *again = !r->image.gray && !r->colour;
            if (*again) return COP_OK;
            images->label[at] = (int32_t)c;
            uint8_t *dst = images->pixels + at++ * info->channels * info->height * info->width;
            status = copi_image_resize(&r->image, info->channels, info->height, info->width, dst);
            if (!status) status = tell(r);
        }
    }
    return status;
}

static cop_status read_all(reading *r, const listing *l, bool *again) {
    cop_data_info *info = &r->data->info;
    const char *first = NULL;
    for (size_t c = 0; !first; c++) first = l->files[COP_SPLIT_TRAIN][c].name[0]; /* no class is empty */
    *again = false;
    r->done = 0;
    r->begun = copi_now();
    cop_status status = load(r, first);
    if (status) return status;
    r->colour |= !r->image.gray;
    status = copi_images_shape(r->data, first, r->colour ? 3 : 1,
                               (uint64_t)(r->options->height ? r->options->height : r->image.height),
                               (uint64_t)(r->options->width ? r->options->width : r->image.width));
    for (int s = 0; s < COP_SPLITS && !status && !*again; s++) {
        if (l->files[s]) status = read_split(r, l, (cop_split)s, again);
    }
    if (!*again) return status;
    for (int s = 0; s < COP_SPLITS; s++) { /* from the beginning, as a set of colour */
        copi_free(r->data->ctx, r->data->images[s].pixels);
        copi_free(r->data->ctx, r->data->images[s].label);
        r->data->images[s] = (copi_images){0};
    }
    info->channels = info->height = info->width = 0;
    r->colour = true;
    return COP_OK;
}

cop_status copi_folder_read(cop_data *data, const char *path, const cop_data_options *options) {
    listing l = {.total = 0};
    cop_status status = COP_OK;
    for (int s = 0; s < COP_SPLITS && !status; s++) {
        const char *name = split_dir(path, (cop_split)s);
        if (!name && s == COP_SPLIT_TRAIN) {
            status = copi_fail(data->ctx, COP_E_NOT_FOUND, "%s: has no directory train/", path);
        } else if (name) {
            l.dir[s] = copi_format(data->ctx, "%s/%s", path, name);
            status = l.dir[s] ? list_split(data, &l, (cop_split)s) : COP_E_NOMEM;
        }
    }
    if (!status) {
        status = copi_data_classes(data, (int)l.class_names.count, (const char *const *)l.class_names.name);
    }
    reading r = {.data = data, .options = options, .total = l.total};
    copi_image_init(data->ctx, &r.image);
    bool again = !status;
    while (again && !status) status = read_all(&r, &l, &again);
    copi_image_clear(&r.image);
    clear_listing(data->ctx, &l);
    return status;
}
