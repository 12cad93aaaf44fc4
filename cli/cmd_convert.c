/* coppice convert: a model from one format into another; weights alone into a net. */
#include "cli.h"

static const option options[] = {
    HEADING("What is written"),
    FLAG("sparse", 0, save.sparse, ".onnx: store kernels as sparse initializers where that is smaller"),
    TEXT("like", 0, "FILE", save.like,
         ".h5: weights alone, in a copy of this Keras file of the same layers, with its names and attributes"),
    HEADING("Where IN holds weights alone"),
    TEXT("model", 0, "MODEL", model, "the net they go into: a preset, a model file, or a Keras model's JSON"),
    TEXT("map", 0, "MAP", map,
         "rules that translate safetensors' names: a file of them, or a name (coppice help maps)"),
    OPTIONS_PRESET,
    OPTIONS_PREPROCESSING,
    OPTIONS_COMMON,
};

static int check_kind(const settings *s, cop_model_kind kind) {
    if (kind == COP_MODEL_WEIGHTS && !s->model)
        return usage_error(s, "%s holds weights alone: say which net they go into: --model PRESET or FILE", s->input);
    if (kind != COP_MODEL_WEIGHTS && (s->model || s->map))
        return usage_error(s, "%s is no file of weights alone, which --model and --map are for", s->input);
    if (kind == COP_MODEL_ARCHITECTURE)
        return usage_error(s, "%s holds no weights: convert a file of weights with --model %s", s->input, s->input);
    return EXIT_DONE;
}

static int open_input(const settings *s, cop_ctx *ctx, cop_model_kind kind, cop_net **net) {
    settings in = *s;
    if (kind != COP_MODEL_WEIGHTS) in.model = s->input;
    int code = open_model(&in, ctx, NULL, net);
    if (code != EXIT_DONE || kind != COP_MODEL_WEIGHTS) return code;
    cop_status status = cop_net_load_weights(*net, s->input, s->map);
    return status ? library_error(ctx, status) : EXIT_DONE;
}

static void print_result(const settings *s, const cop_net *net, int64_t before) {
    cop_net_info info;
    cop_net_get_info(net, &info);
    int64_t after = file_size(s->output);
    printf("%s layers, %s parameters, sparsity %s; %s in %s became %s; saved as %s\n", SAY(count, info.layers),
           SAY(count, info.parameters), SAY(share, info.sparsity), SAY(bytes, before), s->input, SAY(bytes, after),
           s->output);
}

static int run(settings *s, cop_ctx *ctx) {
    cop_net *net = NULL;
    cop_model_kind kind;
    int code = check_output(s, s->output);
    if (code != EXIT_DONE) return code;
    int64_t before = file_size(s->input); /* the output may take its place */
    cop_status status = cop_model_get_kind(ctx, s->input, &kind);
    if (status) return library_error(ctx, status);
    code = check_kind(s, kind);
    if (code == EXIT_DONE) code = open_input(s, ctx, kind, &net);
    if (code == EXIT_DONE) {
        status = cop_net_save_as(net, s->output, &s->save);
        if (status) code = library_error(ctx, status);
    }
    if (code == EXIT_DONE) print_result(s, net, before);
    cop_net_destroy(net);
    return code;
}

const command command_convert = {
    .name = "convert",
    .usage = "IN OUT",
    .summary = "write a model in another format; put weights alone into a net",
    .text =
        "Reads a model and writes it in the format that OUT's ending tells (coppice help formats). What the target "
        "cannot express is refused by the layer's name; what it does without is said. Weights alone (Keras's "
        "save_weights, PyTorch's state_dict as safetensors) go into the net that --model names.",
    .options = options,
    .operand = {{"IN", offsetof(settings, input), true, "a model file, or a file of weights alone"},
                {"OUT", offsetof(settings, output), true, "the file to write"}},
    .run = run,
};
