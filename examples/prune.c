/* Train a small net, prune 90 % of its weights, fine-tune the rest and save it: the library in one page.
 *
 *     cc prune.c $(pkg-config --cflags --libs coppice) -o prune
 *     ./prune /usr/share/datasets/fashion-mnist pruned.safetensors 5000 */
#include <coppice/coppice.h>
#include <stdio.h>
#include <stdlib.h>

static cop_ctx *ctx;

static void check(cop_status status) {
    if (status == COP_OK) return;
    fprintf(stderr, "prune: %s\n", cop_error(ctx));
    exit(1);
}

static double accuracy(const cop_net *net, const cop_data *data) {
    cop_eval e;
    check(cop_evaluate(net, data, COP_SPLIT_TEST, NULL, &e));
    return e.accuracy;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: prune DATA OUT.safetensors [IMAGES]\n");
        return 2;
    }
    if (cop_ctx_create(NULL, &ctx)) return 1;

    cop_data *data;
    cop_data_options options = cop_data_options_default();
    options.limit = argc > 3 ? atoll(argv[3]) : 0; /* most images per split; 0: all */
    check(cop_data_open(ctx, argv[1], &options, &data));
    const cop_data_info *d = cop_data_get_info(data);

    cop_net *net;
    check(cop_net_preset(ctx, "lenet-5", d->channels, d->height, d->width, d->classes, 1, &net));

    cop_recipe recipe = cop_recipe_default();
    recipe.epochs = 2;
    check(cop_train(net, data, &recipe, NULL));
    printf("dense:  accuracy %.4f\n", accuracy(net, data));

    cop_prune_params prune = cop_prune_params_default();
    prune.criterion = "magnitude";
    prune.sparsity = 0.9;
    check(cop_prune(net, &prune, NULL));
    printf("pruned: accuracy %.4f\n", accuracy(net, data));

    check(cop_train(net, data, &recipe, NULL)); /* masked weights stay exactly 0 */
    cop_net_info info;
    cop_net_get_info(net, &info);
    printf("tuned:  accuracy %.4f at sparsity %.4f\n", accuracy(net, data), info.sparsity);

    check(cop_net_save(net, argv[2]));
    cop_net_destroy(net);
    cop_data_destroy(data);
    cop_ctx_destroy(ctx);
    return 0;
}
