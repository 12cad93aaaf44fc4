/* What `coppice help TOPIC` explains. What the library or the tables list is taken from there. */
#include "cli.h"

#include <string.h>

typedef struct entry {
    const char *name, *text; /* name NULL: text is a head line */
} entry;

static void heading(FILE *out, const char *text) {
    fprintf(out, "\n%s%s%s\n", terminal_style(out, STYLE_BOLD), text, terminal_style(out, STYLE_PLAIN));
}

/* The column where explanations begin: a little right of the longest name. */
static int wider(int column, const char *name) {
    int n = text_columns(name) + 4;
    return n > column ? n : column;
}

static void print_entries(FILE *out, const entry *e, int n) {
    int column = 0;
    for (int i = 0; i < n; i++) column = e[i].name ? wider(column, e[i].name) : column;
    for (int i = 0; i < n; i++) {
        if (e[i].name)
            help_entry(out, e[i].name, column, e[i].text);
        else
            heading(out, e[i].text);
    }
}

static void print_list(FILE *out, int n, const char *(*name)(int i), const char *(*text)(int i)) {
    int column = 0;
    for (int i = 0; i < n; i++) column = wider(column, name(i));
    for (int i = 0; i < n; i++) help_entry(out, name(i), column, text(i));
}

/* -- formats, models -- */

static void print_formats(FILE *out) {
    static const entry e[] = {
        {NULL, "Data sets (--data PATH; the format is guessed, --format NAME decides)"},
        {"idx",
         "a directory with train-images-idx3-ubyte, train-labels-idx1-ubyte and the two t10k files, each as it is "
         "or gzipped (.gz): MNIST, Fashion-MNIST and their kin"},
        {"cifar10",
         "a directory with data_batch_1.bin .. data_batch_5.bin and test_batch.bin: CIFAR-10, binary version"},
        {"cifar100", "a directory with train.bin and test.bin: CIFAR-100, binary version, fine labels"},
        {"npz",
         "a .npz file with x_train, y_train, x_test, y_test and perhaps x_val, y_val: images [N,H,W,C] as bytes "
         "or floats, labels [N] or [N,1] of any integer type"},
        {"folder", "a directory with train/CLASS/*.jpg, .jpeg, .png and perhaps val/ and test/ likewise; images are "
                   "resized to --height and --width"},
    };
    help_paragraphs(out,
                    "What Coppice reads and writes. `coppice data PATH` says what a data set holds, `coppice inspect "
                    "MODEL` what a model is made of.");
    print_entries(out, e, COUNT_OF(e));
    heading(out, "Models (the ending tells the format; of a file without one, its first bytes)");
    print_list(out, cop_model_format_count(), cop_model_format_ending, cop_model_format_help);
}

static void print_onnx(FILE *out) {
    help_paragraphs(out,
                    "The ONNX ops that are read, and what of each. A model has one input and one output, and weights "
                    "that are constants; any other op is refused with its node.\n\n");
    print_list(out, cop_onnx_op_count(), cop_onnx_op_name, cop_onnx_op_help);
}

static void print_maps(FILE *out) {
    help_paragraphs(
        out,
        "How `coppice convert IN OUT --model NET --map NAME` translates the names of tensors (PyTorch's: "
        "features.0.weight) into the net's (conv1.weight; coppice inspect NET lists its layers). A map is a file "
        "with a rule a line; the first rule that fits a name translates it, and # begins a remark.");
    static const entry e[] = {
        {NULL, "Rules"},
        {"features.0 -> conv1", "a name's beginning, up to a dot or its end, becomes another"},
        {"layer*.*.conv* -> s$1.b$2+1.conv$3", "* stands for anything but a dot, once between dots; $1, $2, ... is "
                                               "what it stood for, $2+1 that number and 1"},
        {"drop aux", "leave these tensors out"},
        {NULL, "Then, without a rule"},
        {"weight, bias", "of a batch-norm: its scale and shift"},
        {"running_mean, running_var", "its mean and variance; num_batches_tracked is left out"},
        {"a conv's bias", "goes into the mean of the batch-norm behind it where the net's conv has none"},
    };
    print_entries(out, e, COUNT_OF(e));
    heading(out, "Built-in maps");
    print_list(out, cop_weight_map_count(), cop_weight_map_name, cop_weight_map_help);
}

static void print_models(FILE *out) {
    help_paragraphs(
        out, "Wherever a MODEL is asked for, the name of a preset or a file will do. A file carries its own graph: "
             "nothing else is needed to use it. A preset is built for the images and classes of --data, or "
             "of --shape CxHxW and --classes N; its weights are drawn from --seed.");
    heading(out, "Presets");
    print_list(out, cop_preset_count(), cop_preset_name, cop_preset_help);
    heading(out, "Files");
    print_list(out, cop_model_format_count(), cop_model_format_ending, cop_model_format_help);
}

static void print_presets(FILE *out) {
    help_paragraphs(
        out, "Built-in nets, for images of any size that survives their pooling and any number of classes.\n\n");
    print_list(out, cop_preset_count(), cop_preset_name, cop_preset_help);
}

/* -- ops, criteria, methods -- */

static void print_ops(FILE *out) {
    help_paragraphs(out, "What a net can be made of. Letters: C channels, H W rows and columns, o i output and input "
                         "channels, kh kw in the kernel, s stride, d dilation, p padding.");
    putc('\n', out);
    print_list(out, cop_op_count(), cop_op_name, cop_op_help);
}

static void print_criteria(FILE *out) {
    help_paragraphs(
        out, "What `coppice prune --criterion NAME` ranks, and how. The lowest scores go first; equal scores go in "
             "the order in which they stand.");
    putc('\n', out);
    print_list(out, cop_criterion_count(), cop_criterion_name, cop_criterion_help);
}

static void print_methods(FILE *out) {
    help_paragraphs(
        out,
        "Ways to combine pruning and training, for studies (`coppice help study`). Those that only rank and remove "
        "are also what `coppice prune --method NAME` does.");
    putc('\n', out);
    print_list(out, cop_method_count(), cop_method_name, cop_method_help);
}

static void print_recipes(FILE *out) {
    help_paragraphs(
        out,
        "Named recipes, for the trials of a study: `{recipe: fast, sparsity: .985}`. A recipe says what prunes and "
        "how the net is trained meanwhile; any key that the trial gives besides wins over it.");
    putc('\n', out);
    print_list(out, cop_method_recipe_count(), cop_method_recipe_name, cop_method_recipe_help);
    for (int i = 0; i < cop_method_recipe_count(); i++) {
        cop_method_params p = cop_method_params_default();
        if (cop_method_recipe_apply(NULL, cop_method_recipe_name(i), &p)) continue; /* can't be: it is on the list */
        const cop_recipe *t = &p.tune;
        fprintf(out,
                "\n%s as keys of a trial; what is not here is as in the study's dense:\n"
                "  {method: %s, scope: %s, rounds: %d, pace: %s, begin: %g, end: %g,\n"
                "   tune: {epochs: %g, batch: %lld, optimizer: %s, rate: %g, schedule: %s, decay: %g,\n"
                "          distil_share: %g, distil_temperature: %g,\n"
                "          label_smoothing: %g, erase: %d, dropout: %g, average: %g}}\n",
                cop_method_recipe_name(i), p.method, p.scope, p.rounds, cop_pace_name(p.pace), p.gradual.begin,
                p.gradual.end, t->epochs, (long long)t->batch, cop_optimizer_name(t->optimizer), t->rate,
                cop_schedule_name(t->schedule), t->decay, t->distil_share, t->distil_temperature, t->label_smoothing,
                t->erase, t->dropout, t->average);
    }
}

/* -- study -- */

static const char example[] =
    "# coppice study run THIS-FILE -o DIR; add limit: 5000 to data for a quick look\n"
    "name: five methods on Fashion-MNIST\n"
    "data:   {format: idx, path: /usr/share/datasets/fashion-mnist, validation: 0.1}\n"
    "model:  seed-cnn\n"
    "dense:  {epochs: 6, optimizer: adamw, rate: 2e-3, schedule: one-cycle, batch: 128, augment: flip}\n"
    "score:  {floor: 0.60}\n"
    "seeds:  [1]\n"
    "trials:\n"
    "  - {method: magnitude, sparsity: [0, .5, .7, .8, .9, .95], rounds: 0}\n"
    "  - {method: magnitude, sparsity: [.9, .95, .98], rounds: 1, tune: {epochs: 2}}\n"
    "  - {method: l1-filter, sparsity: [.05, .1, .25, .5], rounds: 0}\n"
    "  - {method: l2-filter, sparsity: [.05, .1, .25, .5], rounds: 0}\n"
    "  - {method: l2-neuron, sparsity: [.25, .5, .75, .9], rounds: 0}\n"
    "  - {method: sss, gamma: [3e-3, 1e-2], epochs: 4,\n"
    "     retrain: {epochs: 4, l1: 1e-5}, threshold: [0, 3e-3, 1e-2]}\n";

static void print_example(FILE *out) {
    fputs(example, out);
}

static void print_study(FILE *out) {
    static const entry e[] = {
        {NULL, "The study"},
        {"name", "its title on the page"},
        {"data",
         "path, and if wanted format, validation (share set aside), limit (images a split), height, width (of image "
         "folders); a relative path counts from the study file"},
        {"model", "a preset, or a model file to start from"},
        {"dense",
         "the recipe of the dense net (keys below); left out with a model file, which is then taken as it is"},
        {"score", "floor: the accuracy under which a point scores nothing (0.60)"},
        {"seeds", "a list; every trial runs once with each ([1]). A claim wants three"},
        {"precision", "f32, bf16 or auto, for all training that does not say otherwise"},
        {"threads", "processors to use; 0: all"},
        {"nets", "which become files: best, in best.safetensors, or all, in nets/ too (best)"},
        {"trials", "a list; each entry names a method and its levels, and gives one trial per level and seed"},
        {NULL, "A trial of a method that ranks by a criterion (all but sss, compound, dense-longer, scratch)"},
        {"recipe", "a named recipe that the other keys start from, method included: coppice help recipes"},
        {"method", "what prunes: coppice help methods"},
        {"sparsity", "one share in [0,1) or a list of them: of weights, filters or neurons"},
        {"rounds", "0: prune only; n: prune and tune n times (0)"},
        {"pace",
         "how rounds approach the sparsity: one-shot, linear, geometric, cubic; or gradual, for weights: a cubic "
         "within the training of one round (one-shot)"},
        {"begin, end", "of pace gradual: shares of the training between which weights go (0.1, 0.7)"},
        {"revive",
         "of pace gradual: share of what lives that is exchanged for zeros of the largest gradient (0). Not for "
         "fisher and fisher-root, by which what came back, with no gradients on record yet, goes next"},
        {"scope", "layer: the lowest share of every layer; global: of all together (layer)"},
        {"keep", "what every layer keeps at least (1)"},
        {"macs",
         "of weights, scope global: effective MACs left at most, below 1 a share of the dense net's; scores are "
         "divided by the power of a weight's MACs that it takes (lamp-macs without it: 0.4)"},
        {"shrink",
         "true: filter and neuron methods tune the shrunk net, which is cheaper; false: the masked one (true)"},
        {"tune", "the recipe of each round; of dense-longer: of its extra training"},
        {"aggregate", "sum or mean of the scores of coupled channels (sum)"},
        {"limits",
         "a list of {layer, keep, most}: of the layers whose name fits (* and ? may stand in it) at least keep units "
         "stay and at most the share most goes, ranked by layer or globally"},
        {"sparsify",
         "the recipe of a training before the first cut, asked for by its epochs; for bn-scale usually with "
         "l1_scale (Network Slimming)"},
        {NULL, "A trial of scratch, the control of new weights"},
        {"like",
         "the method whose structure is trained from new weights: sss, or one that ranks by a criterion. It is the "
         "shrunk net, or the masks of a method that prunes weights; the method's keys stand here too"},
        {"scratch", "the recipe; its epochs are those the dense net had. The net gets as many as make up the same "
                    "training MACs, those of the dense net and of tuning together"},
        {NULL, "A trial of sss"},
        {"scope", "what gets factors, one or several of neuron (conv channels, dense units), group (of grouped "
                  "convolutions), block (residual branches, whose shortcut stays) (neuron)"},
        {"gamma",
         "weight of the factors' L1 penalty, one or a list (1e-3). A factor that the loss does not need reaches 0 "
         "after about (1 - momentum) / (factor_rate gamma) steps"},
        {"sparsity, macs, parameters",
         "in place of a list of gammas: gamma is searched by bisection, from the one given, for at least this "
         "sparsity, or at most so many MACs or parameters (below 1: that share of the dense net's)"},
        {"tries", "searches at most (8)"},
        {"cost_aware", "true: gamma of a structure times its MACs over the mean structure's (false)"},
        {"prox", "apg or subgradient (apg)"},
        {"factor_rate", "learning rate of the factors (0.1)"},
        {"factor_momentum", "their momentum (0.9)"},
        {"factor_threshold", "structures whose factor is at most this are removed (0)"},
        {"retrain", "the recipe after removal, usually with l1"},
        {"threshold", "weights no larger than this become 0 at the end; each value of a list gives a point (0)"},
        {"", "and the recipe's keys themselves, for the training with factors"},
        {NULL, "A trial of compound: structures, then weights of the small net by pace gradual"},
        {"sparsity", "one share in [0,1) or a list of them: of the dense net's parameters"},
        {"first", "what removes structures: sss, or a criterion of filters or neurons (sss)"},
        {"gamma", "of first sss: as there, one number (1e-3)"},
        {"share", "of another first: the share of each layer's filters or neurons that goes"},
        {"structure", "the recipe of the training with factors, or of the small net before its weights go"},
        {"tune", "the recipe of the training within which weights go"},
        {"rank, scope", "what ranks the weights: fisher, fisher-root, lamp, lamp-macs or magnitude (lamp); layer or "
                        "global (global)"},
        {"begin, end, revive, keep, macs", "as above"},
        {NULL, "A recipe (what is left out is as in dense)"},
        {"epochs", "passes over the training images"},
        {"batch", "images a step"},
        {"optimizer", "sgd, adam or adamw"},
        {"rate", "peak learning rate"},
        {"schedule", "constant, step, cosine or one-cycle"},
        {"warmup", "share of the steps in which one-cycle and cosine rise"},
        {"step_epochs", "of step: the rate falls after these epochs"},
        {"step_factor", "of step: what the rate is multiplied by"},
        {"restarts",
         "cosine and one-cycle begin anew so many times; each round, tune and retrain begins anew anyway"},
        {"momentum", "of sgd (Nesterov)"},
        {"beta1, beta2", "of adam and adamw"},
        {"epsilon", "of adam and adamw"},
        {"decay", "weight decay of kernels: decoupled for adamw, else an L2 gradient"},
        {"l1, l2, l2_conv", "weight of sum |w|, sum w^2, and sum w^2 over convolutions in the loss"},
        {"l1_scale", "weight of sum |scale| over batch-norms in the loss"},
        {"augment", "flip, shift, [flip, shift] or none; flip and shift (pixels) can also be given as keys"},
        {"flip, shift", "mirror half the images (true, false); shift them by up to so many pixels"},
        {"erase", "erase a square of so many pixels a side (cutout)"},
        {"dropout", "the net's dropout shares times this, [0,1]"},
        {"average", "decay of the running averages of the weights that the net ends with, [0,1); 0: none"},
        {"label_smoothing", "soften the labels, [0,1)"},
        {"distil_share", "learn from the dense net's outputs too: their share of the loss"},
        {"distil_temperature", "softens both outputs (3)"},
        {"precision", "auto, f32 or bf16"},
        {"evaluate_every", "epochs between validation figures (1); 0: only after the last"},
        {NULL, "Results, in the directory given to -o"},
        {"study.db", "SQLite; the truth: every trial with its points, curves and layers, committed when done"},
        {"report.html", "the page, in one file"},
        {"trials.csv", "a row a point"},
        {"frontier.csv", "the points that no other beats, per method and over all"},
        {"summary.json", "best score per method, hypervolume, the reference study's claims with figures"},
        {"frontier.svg, .png", "the plot, with the gnuplot script that drew it"},
        {"best.safetensors", "the net with the best validation score"},
    };
    help_paragraphs(
        out,
        "A study compares methods at levels over seeds: it trains a dense net, prunes it in every way asked for, and "
        "finds the frontier of accuracy against sparsity. One YAML file says what; `coppice study run` does it "
        "and can be interrupted and run again at any time.\n"
        "An unknown key, a wrong type or an impossible value is refused with file, line and the nearest valid "
        "name before any work starts. Values in brackets are used when the key is left out.");
    print_entries(out, e, COUNT_OF(e));
    heading(out, "Example (coppice help study-example prints it alone)");
    for (const char *at = example; *at;) {
        size_t n = strcspn(at, "\n");
        fprintf(out, "  %.*s\n", (int)n, at);
        at += n + 1;
    }
}

/* -- measures, exit codes -- */

static void print_measures(FILE *out) {
    static const entry e[] = {
        {"sparsity",
         "1 - nonzero parameters left / parameters of the original dense net; biases and batch-norm scale and shift "
         "count. A removed parameter counts as zero, so masking and shrinking give the same number. Always "
         "shown for conv layers, dense layers and the net"},
        {"asked, obtained",
         "the share asked for is a share of what the criterion ranks; the sparsity obtained is the net's"},
        {"accuracy",
         "share of images whose most likely class is the right one. Choices are made on the validation images; "
         "the test images are measured once, for the points that are reported"},
        {"score", "(accuracy + sparsity) / 2 where the accuracy holds the floor, else 0"},
        {"MACs",
         "multiply-accumulates for one image; effective: those with a nonzero weight. High sparsity can leave many, "
         "since dense layers hold the weights and conv layers the MACs"},
        {"bytes", "of the file as written"},
        {"latency", "median of n passes of one image, and of a batch; threads named"},
        {"cost", "epochs, seconds and training MACs spent from the dense net to a point"},
        {"frontier", "the points that no other beats in both sparsity and accuracy"},
        {"hypervolume", "the area that the frontier dominates above (sparsity 0, accuracy floor)"},
    };
    help_paragraphs(out, "The words of tables, reports and JSON.\n\n");
    print_entries(out, e, COUNT_OF(e));
}

static void print_exit_codes(FILE *out) {
    static const struct {
        int code;
        const char *meaning;
    } list[] = {
#define X(name, code, meaning) {code, meaning},
        EXIT_CODE_LIST(X)
#undef X
    };
    help_paragraphs(
        out, "Errors are one line on standard error: what, where, which value, what would help. Output files appear "
             "whole or not at all.\n\n");
    for (int i = 0; i < COUNT_OF(list); i++) {
        spoken w;
        help_entry(out, say_count(&w, list[i].code), 8, list[i].meaning);
    }
}

static const topic topics[] = {
    {"study", "the study file: every key, with an example", print_study},
    {"study-example", "a complete study file to start from", print_example},
    {"formats", "data sets and model files", print_formats},
    {"models", "what MODEL can be", print_models},
    {"onnx", "the ONNX ops that are read", print_onnx},
    {"maps", "how weights' names are translated into a net's", print_maps},
    {"presets", "built-in nets", print_presets},
    {"methods", "ways to prune and train", print_methods},
    {"recipes", "methods with their training, under one name", print_recipes},
    {"criteria", "what prune ranks by", print_criteria},
    {"ops", "what nets are made of", print_ops},
    {"measures", "sparsity, score, MACs and the other words", print_measures},
    {"exit-codes", "what the program exits with", print_exit_codes},
    {"man", "the manual page, for man -l", help_print_man},
    {"bash-completion", "a completion script for bash, to be sourced", help_print_completion},
};
int topic_count(void) {
    return COUNT_OF(topics);
}
const topic *topic_at(int i) {
    return &topics[i];
}
