/* How a method is drawn, in every plot and on every page. Each method or criterion declares its own. */
#ifndef COPPICE_STYLE_H
#define COPPICE_STYLE_H

typedef enum copi_shape {
    COPI_SHAPE_NONE, /* no style of its own */
    COPI_SHAPE_CIRCLE,
    COPI_SHAPE_SQUARE,
    COPI_SHAPE_UP, /* triangles */
    COPI_SHAPE_DIAMOND,
    COPI_SHAPE_DOWN,
    COPI_SHAPE_PENTAGON,
    COPI_SHAPE_RIGHT,
    COPI_SHAPES
} copi_shape;

/* Colours keep their distance for all common kinds of colour blindness (after Okabe & Ito, and Tol). Methods of like
 * colour have different shapes. */
typedef struct copi_style {
    char light[8], dark[8]; /* colours "#rrggbb" on a light and a dark page */
    copi_shape shape;
} copi_style;

#endif
