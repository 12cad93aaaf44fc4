/* Opening what a command works on, and checking early where its result shall go. */
#include "cli.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const model_ending[] = {".safetensors", ".onnx"}; /* what cop_net_save writes */
#define MODEL_ENDINGS ".safetensors or .onnx"

int64_t file_size(const char *path) {
    struct stat st;
    return stat(path, &st) ? -1 : (int64_t)st.st_size;
}

int open_data(const settings *s, cop_ctx *ctx, cop_data **data) {
    cop_status status = cop_data_open(ctx, s->data, &s->data_options, data);
    return status ? library_error(ctx, status) : EXIT_DONE;
}

static int open_preset(const settings *s, cop_ctx *ctx, const cop_data *data, cop_net **net) {
    int64_t shape[3] = {s->shape[0], s->shape[1], s->shape[2]}, classes = s->classes;
    if (data) {
        const cop_data_info *info = cop_data_get_info(data);
        shape[0] = info->channels, shape[1] = info->height, shape[2] = info->width;
        classes = info->classes;
    } else if (!shape[0] || !classes)
        return usage_error(s,
                           "preset %s: say for which images: --shape CxHxW --classes N, like --shape 3x32x32 "
                           "--classes 10",
                           s->model);
    cop_status status =
        cop_net_preset(ctx, s->model, shape[0], shape[1], shape[2], (int)classes, (uint64_t)s->seed, net);
    return status ? library_error(ctx, status) : EXIT_DONE;
}

int open_model(const settings *s, cop_ctx *ctx, const cop_data *data, cop_net **net) {
    *net = NULL;
    if (is_name(s->model, choice_preset)) return open_preset(s, ctx, data, net);
    if (!strpbrk(s->model, "/.") && file_size(s->model) < 0) {
        const char *near = nearest_name(s->model, choice_preset);
        if (near)
            complain("%s: neither a file nor a preset; did you mean '%s'?", s->model, near);
        else
            complain("%s: neither a file nor a preset; `coppice help presets` lists them", s->model);
        return EXIT_INPUT;
    }
    cop_status status = cop_net_load(ctx, s->model, net);
    return status ? library_error(ctx, status) : EXIT_DONE;
}

int check_place(const char *path) {
    struct stat st;
    if (!stat(path, &st) && !S_ISREG(st.st_mode)) {
        complain("%s: cannot be written: it is %s", path, S_ISDIR(st.st_mode) ? "a directory" : "not a regular file");
        return EXIT_INPUT;
    }
    const char *slash = strrchr(path, '/'), *why = NULL;
    char *dir = strdup(slash ? path : ".");
    if (!dir) die_no_memory();
    if (slash) dir[slash == path ? 1 : slash - path] = 0;
    if (stat(dir, &st) || (S_ISDIR(st.st_mode) && access(dir, W_OK | X_OK)))
        why = strerror(errno);
    else if (!S_ISDIR(st.st_mode))
        why = "not a directory";
    if (why) complain("%s: cannot be written: directory %s: %s", path, dir, why);
    free(dir);
    return why ? EXIT_INPUT : EXIT_DONE;
}

int check_output(const settings *s, const char *path) {
    size_t n = strlen(path);
    for (int i = 0; i < COUNT_OF(model_ending); i++) {
        size_t k = strlen(model_ending[i]);
        if (n > k && !strcasecmp(path + n - k, model_ending[i])) return check_place(path);
    }
    return usage_error(s, "--output %s: a model's file name ends in %s", path, MODEL_ENDINGS);
}

int save_model(cop_ctx *ctx, const cop_net *net, const char *path) {
    cop_status status = cop_net_save(net, path);
    return status ? library_error(ctx, status) : EXIT_DONE;
}

int measure(cop_ctx *ctx, const cop_net *net, const cop_data *data, cop_split split, double *accuracy) {
    *accuracy = NAN;
    if (!cop_data_get_info(data)->images[split]) return EXIT_DONE;
    cop_eval eval;
    cop_status status = cop_evaluate(net, data, split, NULL, &eval);
    if (status) return library_error(ctx, status);
    *accuracy = eval.accuracy;
    return EXIT_DONE;
}
