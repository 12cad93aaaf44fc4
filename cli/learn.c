/* Training, shared by train and tune: early checks, a checkpoint beside the output, one line at the end. */
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEACHER_SHARE 0.5 /* the --distil-share of a --teacher without one */

/* Never overwrite the state of an interrupted run silently. */
static int check_checkpoint(const settings *s, const char *path) {
    int code = check_place(path);
    if (code != EXIT_DONE || s->recipe.resume || file_size(path) < 0) return code;
    complain("%s: checkpoint exists; continue from it with --resume, or remove it to start over", path);
    return EXIT_INPUT;
}

static void print_history(const cop_history *h) {
    table *t = table_create(">epoch|>3rate|>loss|>2accuracy|>validation|>1time");
    for (int i = 0; i < h->count; i++) {
        const cop_epoch *e = &h->epoch[i];
        table_cell(t, "%d", e->epoch);
        table_cell(t, "%.2e", e->rate);
        table_cell(t, "%.4f", e->loss);
        table_cell(t, "%s", SAY(percent, e->accuracy));
        table_cell(t, "%s", SAY(percent, e->accuracy_validation));
        table_cell(t, "%s", SAY(seconds, e->seconds));
    }
    table_print(t, stdout);
}

/* Zeros that training happens to leave do not count as pruning. */
static bool is_pruned(const cop_net *net, const cop_net_info *info) {
    cop_layer_info layer;
    for (int i = 0; i < info->layers; i++)
        if (cop_net_get_layer(net, i, &layer) == COP_OK && layer.masked) return true;
    return info->parameters < info->parameters_dense;
}

/* The epochs trained: --max-seconds may have ended the run early. */
static void print_epochs(const settings *s, const cop_data *data, const cop_history *h) {
    double all = s->recipe.epochs,
           steps = floor((double)cop_data_get_info(data)->images[COP_SPLIT_TRAIN] / (double)s->recipe.batch);
    if (h->steps < llround(all * steps))
        printf(", %g of %g epoch%s", (double)h->steps / steps, all, all == 1 ? "" : "s");
    else
        printf(", %g epoch%s", all, all == 1 ? "" : "s");
}

static void print_result(const settings *s, const cop_net *net, const cop_data *data, const cop_history *h) {
    const cop_epoch *last = h->count ? &h->epoch[h->count - 1] : NULL;
    cop_net_info info;
    cop_net_get_info(net, &info);
    if (s->verbose && last) print_history(h);
    if (last && !isnan(last->accuracy_validation))
        printf("validation accuracy %s", SAY(percent, last->accuracy_validation));
    else
        printf("trained (no validation images)");
    if (is_pruned(net, &info)) printf(", sparsity %s", SAY(share, info.sparsity));
    print_epochs(s, data, h);
    if (h->seconds > 0)
        printf(", %s, %s images/s", SAY(seconds, h->seconds), SAY(count, llround((double)h->images / h->seconds)));
    printf("; saved as %s\n", s->output);
}

static int open_all(const settings *s, cop_ctx *ctx, cop_data **data, cop_net **net, cop_net **teacher) {
    int code = open_both(s, ctx, data, net);
    if (code == EXIT_DONE && s->teacher) {
        settings t = *s;
        t.model = s->teacher;
        t.mean.n = t.std.n = 0; /* the teacher's file has its own */
        t.pixel_range = t.channel_order = -1;
        code = open_model(&t, ctx, *data, teacher);
    }
    return code;
}

static int train(const settings *s, cop_ctx *ctx, cop_net *net, const cop_data *data, const cop_recipe *recipe) {
    cop_history history = {0};
    cop_status status = cop_train(net, data, recipe, &history);
    int code = EXIT_DONE;
    if (status) {
        code = library_error(ctx, status);
        if (status == COP_E_CANCELLED && file_size(recipe->checkpoint) >= 0)
            note("state saved in %s; run the same command with --resume to continue", recipe->checkpoint);
    } else if ((code = save_model(ctx, net, s->output)) == EXIT_DONE) {
        terminal_clear();
        print_result(s, net, data, &history);
        if (!s->recipe.checkpoint) unlink(recipe->checkpoint); /* ours, and no longer needed */
    }
    cop_history_clear(&history);
    return code;
}

int learn(const settings *s, cop_ctx *ctx, learn_start start) {
    cop_data *data = NULL;
    cop_net *net = NULL, *teacher = NULL;
    cop_recipe recipe = s->recipe;
    int code = check_output(s, s->output);
    if (code != EXIT_DONE) return code;
    if (!(recipe.epochs > 0))
        return usage_error(s, "--epochs is 0; expected a number above 0: there is nothing to train");
    if (recipe.schedule == COP_SCHEDULE_STEP && !recipe.step_epochs[0])
        return usage_error(s, "--schedule step needs the epochs after which the rate falls: --step-epochs N,...");
    if (!s->teacher &&
        (!isnan(s->teacher_share) || recipe.distil_temperature != cop_recipe_default().distil_temperature))
        return usage_error(s, "--distil-share and --distil-temperature need --teacher FILE");
    if (s->teacher) recipe.distil_share = isnan(s->teacher_share) ? TEACHER_SHARE : s->teacher_share;

    size_t n = strlen(s->output) + sizeof ".checkpoint";
    char *beside = malloc(n);
    if (!beside) die_no_memory();
    snprintf(beside, n, "%s.checkpoint", s->output);
    if (!recipe.checkpoint) recipe.checkpoint = beside;

    code = check_checkpoint(s, recipe.checkpoint);
    if (code == EXIT_DONE) code = open_all(s, ctx, &data, &net, &teacher);
    if (code == EXIT_DONE && start == LEARN_FRESH) { /* a file too gives only its structure */
        cop_status status = cop_net_init(net, (uint64_t)s->seed);
        if (status) code = library_error(ctx, status);
    }
    if (code == EXIT_DONE) {
        recipe.teacher = teacher;
        code = train(s, ctx, net, data, &recipe);
    }
    cop_net_destroy(teacher);
    cop_net_destroy(net);
    cop_data_destroy(data);
    free(beside);
    return code;
}
