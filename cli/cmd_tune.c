/* coppice tune: train on from the weights there are, zeros kept. */
#include "cli.h"

static const option options[] = {
    HEADING("Model"), OPTION_OUTPUT("where the tuned model goes (its ending tells the format: coppice help formats)"),
    OPTIONS_DATA,     OPTIONS_PREPROCESSING,
    OPTIONS_LEARNING, OPTIONS_COMMON,
};

static int run(settings *s, cop_ctx *ctx) {
    return learn(s, ctx, LEARN_ON);
}

const command command_tune = {
    .name = "tune",
    .usage = "MODEL --data PATH -o FILE",
    .summary = "train a pruned net on; what is zero stays zero",
    .text = "Fine-tunes a model file. Weights that pruning set to zero stay exactly zero; of a net that `coppice "
            "shrink` made "
            "smaller the small net is trained, at its smaller cost. Interruption and --resume work as in train.",
    .options = options,
    .operand = {OPERAND_MODEL},
    .run = run,
};
