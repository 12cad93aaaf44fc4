/* What the ops share while a graph is built. Only the net room includes this. */
#ifndef COPPICE_NET_GRAPH_H
#define COPPICE_NET_GRAPH_H

#include "net/net.h"

#define X(NAME, name, family, traits, help)                                                                          \
    extern const copi_op_class copi_op_class_##NAME;                                                                 \
    extern const copi_attribute copi_attributes_##NAME[];
#include "net/ops.def"
#undef X

/** A row of copi_attributes_<NAME>: a field of the op's member of copi_node.u. The field's type tells the kind. */
#define COPI_ATTRIBUTE(member, field, ...)                                                                           \
    {                                                                                                                \
        .key = #field, .kind = COPI_ATTRIBUTE_KIND(COPI_FIELD(member.field)),                                        \
        .bytes = sizeof COPI_FIELD(member.field), .offset = offsetof(copi_node, u.member.field), __VA_ARGS__         \
    }
#define COPI_FIELD(field) (((const copi_node *)0)->u.field)
/* clang-format off */
#define COPI_ATTRIBUTE_KIND(field)                                                                                   \
    _Generic(field, int64_t: COPI_ATTRIBUTE_SIZES, const int64_t *: COPI_ATTRIBUTE_SIZES, int: COPI_ATTRIBUTE_FLAG,  \
             double: COPI_ATTRIBUTE_REAL)
/* clang-format on */
/** The table of an op without attributes. */
#define COPI_NO_ATTRIBUTES(NAME) const copi_attribute copi_attributes_##NAME[] = {{0}}

typedef struct copi_shape_text {
    char text[100];
} copi_shape_text;
/** "[3,25,25]"; use as copi_shape_show(...).text within one expression. */
copi_shape_text copi_shape_show(int rank, const int64_t *shape);
copi_shape_text copi_node_shape_show(const copi_node *node);

/** Can a node be added whose options were checked with this status? If not, that is the graph's error. */
bool copi_graph_takes(cop_graph *g, copi_op op, const char *name, cop_status checked);
/** An error about a node: the text is preceded by `conv 'conv3': `. */
cop_status copi_node_fail(cop_graph *g, const copi_node *node, cop_status status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/** Set the output's shape. Errors: SHAPE (an extent is below 1 or far too large). */
cop_status copi_node_output(cop_graph *g, copi_node *node, int rank, int64_t c, int64_t h, int64_t w);
/** The output has the shape of src. */
cop_status copi_node_same(cop_graph *g, copi_node *node, const copi_node *src);
/** Refuse an input other than [C,H,W]. */
cop_status copi_node_want_image(cop_graph *g, const copi_node *node, const copi_node *src);

/** Output extent of a window of `kernel` taps `dilation` apart that moves by `stride` over `extent` and its padding.
 *  what: "height" or "width". Errors: RANGE (kernel, stride, dilation < 1, padding < 0), SHAPE (window too large). */
cop_status copi_window(cop_graph *g, const copi_node *node, const char *what, int64_t extent, int64_t kernel,
                       int64_t stride, int64_t dilation, int64_t before, int64_t after, int64_t *out);

#endif
