#include "net/graph.h"

static const struct {
    const char *name, *help;
    unsigned traits;
    const copi_op_class *class;
    const copi_attribute *attributes;
} ops[COPI_OPS] = {
#define X(NAME, name, family, traits, help)                                                                          \
    [COPI_OP_##NAME] = {name, help, traits, &copi_op_class_##NAME, copi_attributes_##NAME},
#include "net/ops.def"
#undef X
};

const copi_op_class *copi_op_get(copi_op op) {
    return (unsigned)op < COPI_OPS ? ops[op].class : NULL;
}
const char *copi_op_text(copi_op op) {
    return (unsigned)op < COPI_OPS ? ops[op].name : "unknown op";
}
bool copi_op_is(copi_op op, copi_trait trait) {
    return (ops[op].traits & trait) != 0;
}
const copi_attribute *copi_op_attributes(copi_op op) {
    return ops[op].attributes;
}

COPI_LIST(op, ops)
