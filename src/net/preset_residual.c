/* He et al. 2016 (arXiv:1512.03385; pre-activation: arXiv:1603.05027) for CIFAR, and Xie et al. 2017 (ResNeXt,
 * arXiv:1611.05431). Where a stage changes the width, the shortcut is a 1x1 convolution. Names:
 * s<stage>.b<block>.<part>. */
#include "net/preset.h"

enum { STAGES = 3 };

static int conv(cop_graph *g, const char *name, int src, int64_t filters, int64_t kernel, int64_t stride,
                int64_t groups) {
    cop_conv_params p = cop_conv_params_default(filters, kernel);
    for (int i = 0; i < 4; i++) p.pad[i] = kernel / 2;
    p.stride[0] = p.stride[1] = stride;
    p.groups = groups;
    p.bias = 0; /* batch-norm's shift replaces it */
    return cop_graph_conv(g, name, src, &p);
}

static int norm(cop_graph *g, const char *name, int src) {
    return cop_graph_batchnorm(g, name, src, 1e-5);
}

#define PART(part) preset_name_of("s%d.b%d." part, stage + 1, block + 1).text

static int conv_norm(cop_graph *g, int stage, int block, int n, int src, int64_t filters, int64_t kernel,
                     int64_t stride, int64_t groups) {
    int x =
        conv(g, preset_name_of("s%d.b%d.conv%d", stage + 1, block + 1, n).text, src, filters, kernel, stride, groups);
    return norm(g, preset_name_of("s%d.b%d.bn%d", stage + 1, block + 1, n).text, x);
}

static int relu_n(cop_graph *g, int stage, int block, int n, int src) {
    return cop_graph_relu(g, preset_name_of("s%d.b%d.relu%d", stage + 1, block + 1, n).text, src);
}

/* The shortcut of an original block: x itself, or a normalized projection to the new width. */
static int shortcut(cop_graph *g, int stage, int block, int src, int64_t filters, int64_t stride) {
    return norm(g, PART("proj_bn"), conv(g, PART("proj"), src, filters, 1, stride, 1));
}

static int basic_block(cop_graph *g, int stage, int block, int src, int64_t width) {
    int64_t stride = stage && !block ? 2 : 1;
    int x = relu_n(g, stage, block, 1, conv_norm(g, stage, block, 1, src, width, 3, stride, 1));
    x = conv_norm(g, stage, block, 2, x, width, 3, 1, 1);
    int by = stride > 1 ? shortcut(g, stage, block, src, width, stride) : src;
    return relu_n(g, stage, block, 2, cop_graph_add(g, PART("add"), x, by));
}

static int preact_block(cop_graph *g, int stage, int block, int src, int64_t width) {
    int64_t stride = stage && !block ? 2 : 1;
    int ready = cop_graph_relu(g, PART("relu1"), norm(g, PART("bn1"), src));
    int x = conv(g, PART("conv1"), ready, width, 3, stride, 1);
    x = cop_graph_relu(g, PART("relu2"), norm(g, PART("bn2"), x));
    x = conv(g, PART("conv2"), x, width, 3, 1, 1);
    int by = stride > 1 ? conv(g, PART("proj"), ready, width, 1, stride, 1) : src;
    return cop_graph_add(g, PART("add"), x, by);
}

static int bottleneck_block(cop_graph *g, int stage, int block, int src, int64_t width) {
    int64_t stride = stage && !block ? 2 : 1;
    int x = relu_n(g, stage, block, 1, conv_norm(g, stage, block, 1, src, width, 1, 1, 1));
    x = relu_n(g, stage, block, 2, conv_norm(g, stage, block, 2, x, width, 3, stride, 8));
    x = conv_norm(g, stage, block, 3, x, 2 * width, 1, 1, 1);
    int by = !block ? shortcut(g, stage, block, src, 2 * width, stride) : src;
    return relu_n(g, stage, block, 3, cop_graph_add(g, PART("add"), x, by));
}

typedef int (*block_fn)(cop_graph *g, int stage, int block, int src, int64_t width);

/* stem -> STAGES stages of `blocks` blocks, the width doubling -> global pool -> dense -> softmax. preact: the nodes
 * that read the stem and the last block normalize and rectify them. */
static cop_status residual(cop_graph *g, const preset_input *in, block_fn make, int blocks, int64_t width,
                           bool preact) {
    int x = conv(g, "stem", in->input, width, 3, 1, 1);
    if (!preact) x = cop_graph_relu(g, "stem_relu", norm(g, "stem_bn", x));
    for (int stage = 0; stage < STAGES; stage++, width *= 2)
        for (int block = 0; block < blocks; block++) x = make(g, stage, block, x, width);
    if (preact) x = cop_graph_relu(g, "last_relu", norm(g, "last_bn", x));
    x = cop_graph_flatten(g, "flatten", cop_graph_global_pool(g, "pool", x));
    cop_graph_softmax(g, "softmax", cop_graph_dense(g, "dense", x, in->classes, 1));
    return COP_OK;
}

cop_status preset_resnet_20(cop_graph *g, const preset_input *in) {
    return residual(g, in, basic_block, 3, 16, false);
}
cop_status preset_resnet_56(cop_graph *g, const preset_input *in) {
    return residual(g, in, basic_block, 9, 16, false);
}
cop_status preset_resnet_110(cop_graph *g, const preset_input *in) {
    return residual(g, in, basic_block, 18, 16, false);
}
cop_status preset_resnet_20_preact(cop_graph *g, const preset_input *in) {
    return residual(g, in, preact_block, 3, 16, true);
}
cop_status preset_resnet_56_preact(cop_graph *g, const preset_input *in) {
    return residual(g, in, preact_block, 9, 16, true);
}
cop_status preset_resnet_110_preact(cop_graph *g, const preset_input *in) {
    return residual(g, in, preact_block, 18, 16, true);
}
cop_status preset_resnext_20(cop_graph *g, const preset_input *in) {
    return residual(g, in, bottleneck_block, 2, 64, false);
}
