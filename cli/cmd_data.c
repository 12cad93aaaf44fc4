/* coppice data: show what a data set contains. */
#include "cli.h"

static const option options[] = {
    HEADING("Data"), OPTIONS_DATA_MORE, OPTION_JSON, HEADING("General"), OPTION_THREADS, OPTIONS_TALK,
};

static json_t *as_json(const cop_data_info *d) {
    json_t *root = json_object_new(), *splits = json_object_new(), *names = json_array_new();
    json_put(root, "path", json_text(d->path));
    json_put(root, "format", json_text(d->format));
    json_put(root, "shape", json_counts((const int64_t[]){d->channels, d->height, d->width}, 3));
    for (int c = 0; c < d->classes; c++) json_add(names, json_text(d->class_name[c]));
    json_put(root, "classes", names);
    for (int k = 0; k < COP_SPLITS; k++) {
        json_t *split = json_object_new();
        json_put(split, "images", json_count(d->images[k]));
        json_put(split, "class_images", json_counts(d->class_images[k], d->classes));
        json_put(splits, cop_split_name((cop_split)k), split);
    }
    json_put(root, "splits", splits);
    json_put(root, "mean", json_numbers(d->mean, (int)d->channels));
    json_put(root, "std", json_numbers(d->std, (int)d->channels));
    json_put(root, "bytes", json_count((int64_t)d->bytes));
    json_put(root, "digest", json_text(d->digest));
    return root;
}

static void print_row(table *t, const char *name, const int64_t images[COP_SPLITS]) {
    table_cell(t, "%s", name);
    for (int k = 0; k < COP_SPLITS; k++) table_cell(t, "%s", SAY(count, images[k]));
}

static void print_info(const cop_data_info *d) {
    const int64_t shape[3] = {d->channels, d->height, d->width};
    printf("%s: %s, images %s, %d classes, %s in memory\n\n", d->path, d->format, SAY(shape, 3, shape), d->classes,
           SAY(bytes, (int64_t)d->bytes));
    table *t = table_create("<class|>train|>validation|>test");
    for (int c = 0; c < d->classes; c++) {
        const int64_t images[COP_SPLITS] = {d->class_images[0][c], d->class_images[1][c], d->class_images[2][c]};
        print_row(t, d->class_name[c], images);
    }
    table_rule(t);
    print_row(t, "all", d->images);
    table_print(t, stdout);
    printf("\ntraining pixels:\n");
    t = table_create(">channel|>mean|>std");
    for (int c = 0; c < d->channels; c++) {
        table_cell(t, "%d", c);
        table_cell(t, "%s", SAY(number, d->mean[c], 4));
        table_cell(t, "%s", SAY(number, d->std[c], 4));
    }
    table_print(t, stdout);
    printf("\ndigest %s\n", d->digest);
}

static int run(settings *s, cop_ctx *ctx) {
    cop_data *data = NULL;
    int code = open_data(s, ctx, &data);
    if (code != EXIT_DONE) return code;
    terminal_clear();
    if (s->json)
        code = json_print(as_json(cop_data_get_info(data)));
    else
        print_info(cop_data_get_info(data));
    cop_data_destroy(data);
    return code;
}

const command command_data = {
    .name = "data",
    .usage = "PATH",
    .summary = "show what a data set contains",
    .text =
        "Reads the whole data set. Prints the image shape, the memory used and the number of images per class and "
        "split. Also prints the mean and standard deviation of the training pixels, scaled to [0,1]. The digest "
        "changes when the contents of the splits change.",
    .options = options,
    .operand = {{"PATH", offsetof(settings, data), true, "a directory or file (coppice help formats)"}},
    .run = run,
};
