/* What the presets share. Only the net room includes this. */
#ifndef COPPICE_NET_PRESET_H
#define COPPICE_NET_PRESET_H

#include "net/net.h"

typedef struct preset_input {
    int input; /* the node that holds the images */
    int64_t height, width;
    int classes;
} preset_input;

/* Each adds its nodes, up to the softmax. The graph keeps their errors; a preset returns only its own. */
#define X(FUNCTION, name, help) cop_status preset_##FUNCTION(cop_graph *g, const preset_input *in);
#include "net/presets.def"
#undef X

/* A layer's name, by value: .text is valid within the expression. */
typedef struct preset_name {
    char text[64];
} preset_name;
preset_name preset_name_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
