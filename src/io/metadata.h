/* What travels with a net besides its graph and numbers, as strings under keys: the same in every container that can
 * hold strings (safetensors' __metadata__, ONNX's metadata_props, attributes of Keras files). */
#ifndef COPPICE_IO_METADATA_H
#define COPPICE_IO_METADATA_H

#include "net/net.h"

#include <jansson.h>

/** strings[key] = value as JSON text. Takes value, whose NULL means no memory. Errors: NOMEM. */
cop_status copi_metadata_set_json(cop_ctx *ctx, json_t *strings, const char *key, json_t *value);
/** The JSON under a key; *json is NULL when there is no such key. Errors: FORMAT, NOMEM. */
cop_status copi_metadata_get_json(cop_ctx *ctx, const json_t *strings, const char *key, json_t **json);

#define COPI_METADATA_FOREIGN "coppice.metadata"
/** Keep what another program had written, an object of strings, as net->metadata. Errors: NOMEM. */
cop_status copi_metadata_set_foreign(cop_net *net, const json_t *foreign);

/** coppice.provenance, .classes, .normalization, .channels and .metadata (net->metadata), to and from strings; keys
 *  that are absent leave the net alone. */
cop_status copi_metadata_write(const cop_net *net, json_t *strings);
cop_status copi_metadata_read(cop_net *net, const json_t *strings);

/** For containers whose graph is not our own: coppice.dense (the totals of the original dense net and each layer's
 *  part, by name) and coppice.masks (the parameters whose zeros are masked). names [nodes]: what the file calls the
 *  layers, NULL: as the net does. Reading leaves out names that the net does not have, and warns of them. */
cop_status copi_metadata_write_marks(const cop_net *net, const char *const *names, json_t *strings);
cop_status copi_metadata_read_marks(cop_net *net, const json_t *strings);

/** The net's normalization from what a foreign model does to its images first, y = scale x + shift per channel: a net
 *  has it for pixels in [0,1], so where the model takes 0 to 255 that is divided out. Noted in the provenance.
 *  Errors: UNSUPPORTED (impossible numbers), NOMEM. */
cop_status copi_metadata_normalize(cop_net *net, const double *scale, const double *shift);

/** Are a parameter's numbers possible: finite, a variance not negative? Fails with status and names the first that
 *  isn't. */
cop_status copi_param_check(cop_ctx *ctx, const copi_param *param, cop_status status);
/** Fill a parameter from its count of little-endian floats at a place in the file, perhaps unaligned, and check them
 *  likewise, in one go. Errors: status, IO. */
cop_status copi_param_read(copi_file *file, const uint8_t *at, const copi_param *param, cop_status status);
/** Mask what is 0, as a file means it that does not store zeros. Errors: NOMEM. */
cop_status copi_param_mask_zeros(cop_net *net, copi_param *param);

#endif
