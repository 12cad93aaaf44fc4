/* coppice tune: fine-tune a net; its zeros stay. */
#include "cli.h"

static const option options[] = {
    HEADING("Model"), OPTION_OUTPUT("file for the tuned model; its ending sets the format (coppice help formats)"),
    OPTIONS_DATA,     OPTIONS_PREPROCESSING,
    OPTIONS_LEARNING, OPTIONS_COMMON,
};

static int run(settings *s, cop_ctx *ctx) {
    return learn(s, ctx, LEARN_ON);
}

const command command_tune = {
    .name = "tune",
    .usage = "MODEL --data PATH -o FILE",
    .summary = "fine-tune a pruned net; zero weights stay zero",
    .text =
        "Fine-tunes a model file. Weights that pruning set to zero stay exactly zero. A net that `coppice shrink` "
        "made smaller costs less to train. Interruption and --resume work as in `coppice train`.",
    .options = options,
    .operand = {OPERAND_MODEL},
    .run = run,
};
