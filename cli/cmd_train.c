/* coppice train: a net from fresh weights. */
#include "cli.h"

static const option options[] = {
    HEADING("Model"),
    REQUIRED_TEXT("model", 'm', "NAME", model,
                  "a preset (coppice help presets), or a file whose structure is trained anew"),
    OPTION_OUTPUT("where the trained model goes (its ending tells the format: coppice help formats)"),
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
    .summary = "train a net from fresh weights",
    .text =
        "Trains on the training images, measures on the validation images and saves the net. With a model file as "
        "--model, the structure is taken from it and the weights are drawn anew; `coppice tune` goes on from the "
        "weights there are. Ctrl-C finishes the step and saves the state; the same command with --resume goes on "
        "from there and ends at the same bytes.",
    .options = options,
    .run = run,
};
