/* The little of HDF5 that Keras files need, read with care: from bytes in memory, through hard links only, no
 * external files, no filters but those that HDF5 itself brings. */
#ifndef COPPICE_IO_H5_H
#define COPPICE_IO_H5_H

#include "base/base.h"

#include <hdf5.h>

enum { COPI_H5_RANK = 4, COPI_H5_NAMES_MAX = 65536 };

typedef struct copi_h5 {
    cop_ctx *ctx;
    hid_t file;
    const uint8_t *bytes; /* [size] the file, for reading what libhdf5 does not read safely; borrowed */
    size_t size;          /* of the file */
    size_t given;         /* bytes of numbers handed out so far: bounded by the size */
} copi_h5;

/** Do all lengths that libhdf5 would believe lie within the file? bytes begin with an HDF5 signature. */
bool copi_h5_is_sound(const uint8_t *bytes, size_t n);

/** bytes must outlive h5. Errors: FORMAT, NOMEM. On failure nothing is open. From here (or copi_h5_create) to
 *  copi_h5_close other threads wait with theirs; the thread that opened a file closes it. */
cop_status copi_h5_open(cop_ctx *ctx, const uint8_t *bytes, size_t n, copi_h5 *h5);
void copi_h5_close(copi_h5 *h5);

/** Is there an object under the path (no leading '/')? */
bool copi_h5_has(const copi_h5 *h5, const char *path);
/** What lies there. Errors: none; what can't be opened is ABSENT. */
typedef enum copi_h5_what { COPI_H5_ABSENT, COPI_H5_GROUP, COPI_H5_FLOATS, COPI_H5_OTHER } copi_h5_what;
copi_h5_what copi_h5_look(const copi_h5 *h5, const char *path);
/** A string attribute of the object at path ("" the root); *text is the caller's, NULL when there is none. */
cop_status copi_h5_text(copi_h5 *h5, const char *path, const char *attribute, char **text);
/** A list of strings, also one split into attribute0, attribute1, ...; *names is a block with the count+1 pointers
 *  first, freed by one copi_free; NULL when there is none. */
cop_status copi_h5_names(copi_h5 *h5, const char *path, const char *attribute, char ***names, int *count);
/** The names of what lies in the group at path, by name; freed like those of copi_h5_names. NULL: no group there. */
cop_status copi_h5_members(copi_h5 *h5, const char *path, char ***names, int *count);
/** A data set's shape. Errors: FORMAT (none there, not numbers, more than COPI_H5_RANK dimensions). */
cop_status copi_h5_shape(copi_h5 *h5, const char *path, int *rank, int64_t *shape);
/** Its numbers as floats; data [product of shape] is the caller's. Errors: FORMAT, UNSUPPORTED, NOMEM. */
cop_status copi_h5_floats(copi_h5 *h5, const char *path, float **data, int64_t *count);

/* -- writing: into memory, without dates, so that the same content gives the same bytes -- */
cop_status copi_h5_create(cop_ctx *ctx, copi_h5 *h5);
cop_status copi_h5_make_group(copi_h5 *h5, const char *path); /* and those above it that are missing */
cop_status copi_h5_put_text(copi_h5 *h5, const char *path, const char *attribute, const char *text);
/** A list longer than one attribute holds goes into attribute0, attribute1, ... */
cop_status copi_h5_put_names(copi_h5 *h5, const char *path, const char *attribute, const char *const *names,
                             int count);
cop_status copi_h5_put_floats(copi_h5 *h5, const char *path, int rank, const int64_t *shape, const float *data);
/** The numbers of a data set that is there, in a file that was opened from memory: only what is in memory changes. */
cop_status copi_h5_replace_floats(copi_h5 *h5, const char *path, const float *data);
/** The file as it stands; *bytes is the caller's. */
cop_status copi_h5_image(copi_h5 *h5, uint8_t **bytes, size_t *n);

#endif
