/* coppice eval: accuracy and loss on a split. */
#include "cli.h"

#include <math.h>
#include <stdlib.h>

static const option options[] = {
    OPTIONS_DATA,
    HEADING("Measurement"),
    CHOICE("split", split, cop_split_name, "images to measure on"),
    CHOICE("precision", precision, cop_precision_name, "arithmetic"),
    FLAG("confusion", 0, confusion, "also print which classes are mistaken for which"),
    OPTION_JSON,
    OPTIONS_PREPROCESSING,
    OPTIONS_COMMON,
};

static json_t *as_json(const settings *s, const cop_eval *e, const int64_t *confusion, int classes) {
    json_t *root = json_object_new();
    json_put(root, "split", json_text(cop_split_name((cop_split)s->split)));
    json_put(root, "images", json_count(e->images));
    json_put(root, "accuracy", json_number(e->accuracy));
    json_put(root, "loss", json_number(e->loss));
    if (confusion) {
        json_t *rows = json_array_new();
        for (int c = 0; c < classes; c++)
            json_add(rows, json_counts(confusion + (size_t)c * (size_t)classes, classes));
        json_put(root, "confusion", rows);
    }
    return root;
}

/* Per class: how many images are right, and which class the others are most often mistaken for. */
static void print_confusion(const cop_data_info *info, const int64_t *confusion) {
    table *t = table_create("<class|>1images|>right|<most often mistaken for|>2times");
    for (int c = 0; c < info->classes; c++) {
        const int64_t *row = confusion + (size_t)c * (size_t)info->classes;
        int64_t images = 0;
        int other = -1;
        for (int k = 0; k < info->classes; k++) {
            images += row[k];
            if (k != c && row[k] > 0 && (other < 0 || row[k] > row[other])) other = k;
        }
        table_cell(t, "%s", info->class_name[c]);
        table_cell(t, "%s", SAY(count, images));
        table_cell(t, "%s", SAY(percent, images ? (double)row[c] / (double)images : NAN));
        table_cell(t, "%s", other < 0 ? "" : info->class_name[other]);
        table_cell(t, "%s", other < 0 ? "" : SAY(count, row[other]));
    }
    table_print(t, stdout);
}

static int evaluate(const settings *s, cop_ctx *ctx, const cop_net *net, const cop_data *data) {
    const cop_data_info *info = cop_data_get_info(data);
    cop_eval_options o = cop_eval_options_default();
    cop_eval e;
    o.precision = s->precision;
    if (s->confusion) {
        o.confusion = calloc((size_t)info->classes, (size_t)info->classes * sizeof *o.confusion);
        if (!o.confusion) die_no_memory();
    }
    int code = EXIT_DONE;
    cop_status status = cop_evaluate(net, data, (cop_split)s->split, &o, &e);
    terminal_clear();
    if (status)
        code = library_error(ctx, status);
    else if (s->json)
        code = json_print(as_json(s, &e, o.confusion, info->classes));
    else {
        if (o.confusion) print_confusion(info, o.confusion);
        printf("%s accuracy %s (%s of %s images), loss %.4f\n", cop_split_name((cop_split)s->split),
               SAY(percent, e.accuracy), SAY(count, e.correct), SAY(count, e.images), e.loss);
    }
    free(o.confusion);
    return code;
}

static int run(settings *s, cop_ctx *ctx) {
    return with_model_and_data(s, ctx, evaluate);
}

const command command_eval = {
    .name = "eval",
    .usage = "MODEL --data PATH",
    .summary = "measure accuracy and loss on the test images",
    .text =
        "Measures a model on one split of a data set. Images are preprocessed as the model file says. If it says "
        "nothing, they are normalized by the mean and standard deviation of the training images. Choose levels and "
        "epochs on the validation images, and keep the test images for the final figure.",
    .options = options,
    .operand = {OPERAND_MODEL},
    .run = run,
};
