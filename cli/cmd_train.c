/* coppice train: train a net from scratch. */
#include "cli.h"

static const option options[] = {
    HEADING("Model"),
    REQUIRED_TEXT("model", 'm', "NAME", model,
                  "a preset (coppice help presets), or a model file whose structure is trained from scratch"),
    OPTION_OUTPUT("file for the trained model; its ending sets the format (coppice help formats)"),
    OPTIONS_DATA,
    OPTIONS_LEARNING,
    OPTIONS_COMMON,
};

static int run(settings *s, cop_ctx *ctx) {
    return learn(s, ctx, LEARN_FRESH);
}

const command command_train = {
    .name = "train",
    .usage = "--model PRESET|FILE --data PATH -o FILE",
    .summary = "train a net from scratch",
    .text =
        "Trains on the training images, measures on the validation images and saves the net. A model file as "
        "--model gives its structure; its weights are replaced by random ones. `coppice tune` keeps the weights. "
        "Ctrl-C finishes the current step and saves the state. The same command with --resume continues and writes "
        "the same bytes as an uninterrupted run.",
    .options = options,
    .run = run,
};
