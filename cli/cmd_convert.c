/* coppice convert: a model to another format, or a weights file into a net. */
#include "cli.h"

static const option options[] = {
    HEADING("Output"),
    FLAG("sparse", 0, save.sparse, ".onnx: store kernels as sparse initializers where that is smaller"),
    TEXT("like", 0, "FILE", save.like,
         ".h5: write only the weights, into a copy of this Keras file with the same layers"),
    HEADING("If IN holds only weights"),
    TEXT("model", 0, "MODEL", model, "net to load them into: a preset, a model file, or a Keras model's JSON"),
    TEXT("map", 0, "MAP", map,
         "rules that translate tensor names of safetensors: a file or a built-in map (coppice "
         "help maps)"),
    OPTIONS_PRESET,
    OPTIONS_PREPROCESSING,
    OPTIONS_COMMON,
};

static int check_kind(const settings *s, cop_model_kind kind) {
    if (kind == COP_MODEL_WEIGHTS && !s->model)
        return usage_error(s, "%s: holds only weights; name their net with --model PRESET or --model FILE", s->input);
    if (kind != COP_MODEL_WEIGHTS && (s->model || s->map))
        return usage_error(s, "%s: is a whole model; --model and --map are for files that hold only weights",
                           s->input);
    if (kind == COP_MODEL_ARCHITECTURE)
        return usage_error(s, "%s: holds no weights; convert a weights file with --model %s", s->input, s->input);
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
    printf("%s layers, %s parameters, sparsity %s; saved as %s, %s (input: %s)\n", SAY(count, info.layers),
           SAY(count, info.parameters), SAY(share, info.sparsity), s->output, SAY(bytes, after), SAY(bytes, before));
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
    .summary = "convert a model to another format, or load a weights file into a net",
    .text =
        "Reads a model and writes it in the format of OUT's ending (coppice help formats). A layer that the format "
        "cannot express is an error; details that get lost are reported. A file that holds only weights (Keras's "
        "save_weights, PyTorch's state_dict as safetensors) is loaded into the net given by --model.",
    .options = options,
    .operand = {{"IN", offsetof(settings, input), true, "a model file, or a file that holds only weights"},
                {"OUT", offsetof(settings, output), true, "the file to write"}},
    .run = run,
};
