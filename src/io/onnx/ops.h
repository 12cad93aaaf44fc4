/* The handlers of ops, declared from the list, and what they share. */
#ifndef COPPICE_IO_ONNX_OPS_H
#define COPPICE_IO_ONNX_OPS_H

#include "io/onnx/onnx.h"

#define X(name, function, attributes, help) cop_status copi_onnx_##function(copi_onnx_node *n);
#include "io/onnx/ops.def"
#undef X

/** An operation (+ - * /) of two constants. */
cop_status copi_onnx_fold_binary(copi_onnx_node *n, char op);

#endif
