/* An ONNX file's bytes become protobuf-c's structs, and nothing worse. */
#ifndef COPPICE_IO_ONNX_WIRE_H
#define COPPICE_IO_ONNX_WIRE_H

#include "base/base.h"

#include <onnx.pb-c.h>

/** Unpack a ModelProto. protobuf-c itself recurses as deep as a file tells it to and makes of two bytes a struct of a
 *  hundred: nesting and the number of messages are checked first. The raw_data of large initializers is not copied:
 *  it points into bytes, which must outlive the model. Errors: FORMAT (place and reason), NOMEM. */
cop_status copi_onnx_unpack(cop_ctx *ctx, const uint8_t *bytes, size_t n, Onnx__ModelProto **model);
void copi_onnx_free(cop_ctx *ctx, Onnx__ModelProto *model); /* accepts NULL */

#endif
