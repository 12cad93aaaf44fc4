/* Opens what a command works on, and checks its output path early. */
#include "cli.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

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
                           "preset %s needs the image shape and the number of classes, like --shape 3x32x32 "
                           "--classes 10",
                           s->model);
    cop_status status =
        cop_net_preset(ctx, s->model, shape[0], shape[1], shape[2], (int)classes, (uint64_t)s->seed, net);
    return status ? library_error(ctx, status) : EXIT_DONE;
}

/* One number stands for all channels. */
static int take_list(const settings *s, const char *name, const number_list *list, int64_t channels, double *x) {
    if (list->n > 1 && list->n != channels)
        return usage_error(s, "--%s has %d numbers; expected one, or one per channel (the model has %d)", name,
                           list->n, (int)channels);
    for (int64_t c = 0; list->n && c < channels && c < COP_MAX_CHANNELS; c++) x[c] = list->x[list->n > 1 ? c : 0];
    return EXIT_DONE;
}

static int preprocess(const settings *s, cop_ctx *ctx, cop_net *net) {
    bool scaled = s->mean.n || s->std.n || s->pixel_range >= 0;
    if (!scaled && s->channel_order < 0) return EXIT_DONE;
    cop_preprocessing p = cop_preprocessing_default();
    cop_net_info info;
    cop_net_get_info(net, &info);
    p.order = s->channel_order < 0 ? info.channel_order : (cop_channel_order)s->channel_order;
    if (s->pixel_range >= 0) p.range = (cop_pixel_range)s->pixel_range;
    if (!scaled && !info.normalized)
        return usage_error(s,
                           "--channels: the model file has no normalization; also give --scale, or --mean and --std");
    if (!scaled) {
        memcpy(p.mean, info.mean, sizeof p.mean);
        memcpy(p.std, info.std, sizeof p.std);
    }
    int code = take_list(s, "mean", &s->mean, info.channels, p.mean);
    if (code == EXIT_DONE) code = take_list(s, "std", &s->std, info.channels, p.std);
    if (code != EXIT_DONE) return code;
    cop_status status = cop_net_set_preprocessing(net, &p);
    return status ? library_error(ctx, status) : EXIT_DONE;
}

static int open_net(const settings *s, cop_ctx *ctx, const cop_data *data, cop_net **net) {
    if (is_name(s->model, cop_preset_name)) return open_preset(s, ctx, data, net);
    if (!strpbrk(s->model, "/.") && file_size(s->model) < 0) {
        const char *near = cop_nearest(s->model, cop_preset_name);
        if (near)
            complain("%s: neither a file nor a preset; did you mean '%s'?", s->model, near);
        else
            complain("%s: neither a file nor a preset; `coppice help presets` lists the presets", s->model);
        return EXIT_INPUT;
    }
    cop_status status = cop_net_load(ctx, s->model, net);
    return status ? library_error(ctx, status) : EXIT_DONE;
}

int open_model(const settings *s, cop_ctx *ctx, const cop_data *data, cop_net **net) {
    *net = NULL;
    int code = open_net(s, ctx, data, net);
    return code == EXIT_DONE ? preprocess(s, ctx, *net) : code;
}

/* True for an image folder without a given size and a model file, which has one. */
static bool is_to_be_scaled(const settings *s) {
    struct stat st;
    char train[4096];
    if (is_name(s->model, cop_preset_name) || s->data_options.height || s->data_options.width) return false;
    if (s->data_options.format) return strcmp(s->data_options.format, "folder") == 0;
    snprintf(train, sizeof train, "%s/train", s->data);
    return !stat(train, &st) && S_ISDIR(st.st_mode);
}

static void take_size(settings *s, const cop_net *net) {
    cop_net_info info;
    cop_net_get_info(net, &info);
    s->data_options.height = info.height;
    s->data_options.width = info.width;
}

int scale_to_model(settings *s, cop_ctx *ctx) {
    cop_net *net;
    if (!is_to_be_scaled(s)) return EXIT_DONE;
    int code = open_model(s, ctx, NULL, &net);
    if (code == EXIT_DONE) take_size(s, net);
    cop_net_destroy(net);
    return code;
}

int open_both(const settings *s, cop_ctx *ctx, cop_data **data, cop_net **net) {
    settings own = *s;
    bool model_first = is_to_be_scaled(s);
    int code = model_first ? open_model(s, ctx, NULL, net) : EXIT_DONE;
    if (code == EXIT_DONE && model_first) take_size(&own, *net);
    if (code == EXIT_DONE) code = open_data(&own, ctx, data);
    if (code == EXIT_DONE && !model_first) code = open_model(s, ctx, *data, net);
    return code;
}

int with_model_and_data(const settings *s, cop_ctx *ctx,
                        int (*work)(const settings *s, cop_ctx *ctx, const cop_net *net, const cop_data *data)) {
    cop_data *data = NULL;
    cop_net *net = NULL;
    int code = open_both(s, ctx, &data, &net);
    if (code == EXIT_DONE) code = work(s, ctx, net, data);
    cop_net_destroy(net);
    cop_data_destroy(data);
    return code;
}

int check_place(const char *path) {
    struct stat st;
    if (!stat(path, &st) && !S_ISREG(st.st_mode)) {
        complain("%s: cannot write: it is %s", path, S_ISDIR(st.st_mode) ? "a directory" : "not a regular file");
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
    if (why) complain("%s: cannot write: directory %s: %s", path, dir, why);
    free(dir);
    return why ? EXIT_INPUT : EXIT_DONE;
}

int check_output(const settings *s, const char *path) {
    char list[128] = "";
    size_t n = strlen(path), at = 0;
    const char *ending;
    for (int i = 0; (ending = choice_ending(i)); i++) {
        size_t k = strlen(ending);
        if (n > k && !strcasecmp(path + n - k, ending)) return check_place(path);
        if (at < sizeof list) at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", at ? ", " : "", ending);
    }
    return usage_error(s, "%s: no model format has this ending; expected one of %s", path, list);
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
