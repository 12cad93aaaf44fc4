/* From an ONNX file's bytes to protobuf-c's structs, checked first. */
#ifndef COPPICE_IO_ONNX_WIRE_H
#define COPPICE_IO_ONNX_WIRE_H

#include "base/base.h"

#include <onnx.pb-c.h>

/** Unpack a ModelProto. protobuf-c itself recurses as deep as a file tells it to and makes of two bytes a struct of a
 *  hundred: nesting and the number of messages are checked first. The raw_data of large initializers is neither
 *  read nor copied: it points into file->bytes, which must outlive the model, and waits for copi_file_need. Errors:
 *  FORMAT (place and reason), NOMEM, IO. */
cop_status copi_onnx_unpack(copi_file *file, Onnx__ModelProto **model);
void copi_onnx_free(cop_ctx *ctx, Onnx__ModelProto *model); /* accepts NULL */

#endif
