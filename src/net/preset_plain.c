/* Nets without branches: the LeNets, the reference study's net, VGG. */
#include "net/preset.h"

static int conv_relu(cop_graph *g, int n, int src, int64_t filters, int64_t kernel, int64_t pad) {
    cop_conv_params p = cop_conv_params_default(filters, kernel);
    for (int i = 0; i < 4; i++) p.pad[i] = pad;
    int conv = cop_graph_conv(g, preset_name_of("conv%d", n).text, src, &p);
    return cop_graph_relu(g, preset_name_of("relu%d", n).text, conv);
}

static int max_pool(cop_graph *g, int n, int src) {
    cop_pool_params p = cop_pool_params_default(2);
    return cop_graph_max_pool(g, preset_name_of("pool%d", n).text, src, &p);
}

static int dense_relu(cop_graph *g, int n, int relu, int src, int64_t units) {
    int dense = cop_graph_dense(g, preset_name_of("dense%d", n).text, src, units, 1);
    return cop_graph_relu(g, preset_name_of("relu%d", relu).text, dense);
}

static void classifier(cop_graph *g, int n, int src, int classes) {
    cop_graph_softmax(g, "softmax", cop_graph_dense(g, preset_name_of("dense%d", n).text, src, classes, 1));
}

cop_status preset_lenet_300_100(cop_graph *g, const preset_input *in) {
    int x = cop_graph_flatten(g, "flatten", in->input);
    x = dense_relu(g, 1, 1, x, 300);
    x = dense_relu(g, 2, 2, x, 100);
    classifier(g, 3, x, in->classes);
    return COP_OK;
}

cop_status preset_lenet_5(cop_graph *g, const preset_input *in) {
    int x = max_pool(g, 1, conv_relu(g, 1, in->input, 20, 5, 0));
    x = max_pool(g, 2, conv_relu(g, 2, x, 50, 5, 0));
    x = dense_relu(g, 1, 3, cop_graph_flatten(g, "flatten", x), 500);
    classifier(g, 2, x, in->classes);
    return COP_OK;
}

cop_status preset_seed_cnn(cop_graph *g, const preset_input *in) {
    int x = conv_relu(g, 1, in->input, 32, 3, 1);
    x = conv_relu(g, 2, x, 32, 3, 0);
    x = cop_graph_dropout(g, "drop1", max_pool(g, 1, x), 0.25);
    x = conv_relu(g, 3, x, 64, 3, 1);
    x = conv_relu(g, 4, x, 64, 3, 0);
    x = cop_graph_dropout(g, "drop2", max_pool(g, 2, x), 0.25);
    x = dense_relu(g, 1, 5, cop_graph_flatten(g, "flatten", x), 512);
    classifier(g, 2, cop_graph_dropout(g, "drop3", x, 0.5), in->classes);
    return COP_OK;
}

cop_status preset_keras_cifar(cop_graph *g, const preset_input *in) {
    if (in->height != 32 || in->width != 32)
        return copi_fail(g->ctx, COP_E_SHAPE,
                         "images are %lldx%lld, this net takes 32x32; seed-cnn is the same for any "
                         "size",
                         (long long)in->height, (long long)in->width);
    return preset_seed_cnn(g, in);
}

/* Simonyan & Zisserman 2015, configuration D, in the form usual for CIFAR: batch-norm after each conv, which makes
 * the conv's bias useless, and one hidden dense layer of 512. */
cop_status preset_vgg_16(cop_graph *g, const preset_input *in) {
    static const struct {
        int convs;
        int64_t width;
    } stages[] = {{2, 64}, {2, 128}, {3, 256}, {3, 512}, {3, 512}};
    int x = in->input, n = 0;
    for (int s = 0; s < (int)COPI_COUNT(stages); s++) {
        for (int c = 0; c < stages[s].convs; c++) {
            cop_conv_params p = cop_conv_params_default(stages[s].width, 3);
            for (int i = 0; i < 4; i++) p.pad[i] = 1;
            p.bias = 0;
            n++;
            x = cop_graph_conv(g, preset_name_of("conv%d", n).text, x, &p);
            x = cop_graph_batchnorm(g, preset_name_of("bn%d", n).text, x, 1e-5);
            x = cop_graph_relu(g, preset_name_of("relu%d", n).text, x);
        }
        x = max_pool(g, s + 1, x);
    }
    x = dense_relu(g, 1, n + 1, cop_graph_flatten(g, "flatten", x), 512);
    classifier(g, 2, cop_graph_dropout(g, "drop1", x, 0.5), in->classes);
    return COP_OK;
}
