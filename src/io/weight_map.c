/* Weights by name into a net. A map is a list of rules, one per line; the first that fits a name translates it:
 *
 *     PATTERN -> NAME        drop PATTERN        # remark
 *
 * A pattern is a name's beginning, up to a dot or its end; *, once between dots, stands for one or more characters
 * other than dots. In NAME, $1 .. $9 is what the first .. ninth * stood for, $1+2 that number and 2. What follows the
 * pattern stays. Then the last part of the name is put into this program's words. The net's own names and PyTorch's
 * endings need no map. */
#include "io/metadata.h"
#include "io/weights.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { STARS = 9, RULES_MAX = 10000 };

typedef struct rule {
    char *pattern, *name; /* in the map's text; name NULL: drop */
    int line;
} rule;

typedef struct rules {
    cop_ctx *ctx;
    const char *what; /* the map's file or name, for messages */
    char *text;       /* owned, cut into the rules' parts */
    rule *rule;
    int count;
} rules;

static const struct {
    const char *name, *help, *text;
} built_in[] = {
#define X(name, help, text) {name, help, text},
#include "io/weight_maps.def"
#undef X
};

COPI_LIST(weight_map, built_in)

/* -- reading rules -- */

static char *trim(char *text) {
    while (isspace((unsigned char)*text)) text++;
    for (size_t n = strlen(text); n && isspace((unsigned char)text[n - 1]); n--) text[n - 1] = '\0';
    return text;
}

static cop_status bad_rule(const rules *r, int line, const char *why) {
    return copi_fail(r->ctx, COP_E_FORMAT, "%s:%d: %s", r->what, line, why);
}

/* The stars of a pattern; -1 where two stand in one part between dots, which would make fitting slow and odd. */
static int count_stars(const char *text) {
    int all = 0, part = 0;
    for (; *text; text++) {
        part = *text == '.' ? 0 : part + (*text == '*');
        if (part > 1) return -1;
        all += *text == '*';
    }
    return all;
}

static cop_status check_rule(const rules *r, const rule *one) {
    int stars = count_stars(one->pattern);
    if (!*one->pattern || strpbrk(one->pattern, " \t$"))
        return bad_rule(r, one->line, "a pattern is a name, perhaps with *");
    if (stars < 0) return bad_rule(r, one->line, "two * in one part of a name");
    if (stars > STARS) return bad_rule(r, one->line, "more than 9 * in a pattern");
    if (!one->name) return COP_OK;
    if (!*one->name || strpbrk(one->name, " \t*")) {
        return bad_rule(r, one->line,
                        "what follows -> is a name, perhaps with $1 to $9; to leave tensors out: drop PATTERN");
    }
    for (const char *at = one->name; (at = strchr(at, '$')); at++) {
        if (at[1] < '1' || at[1] > '0' + stars)
            return bad_rule(r, one->line, "a $ that is not the number of a * before ->");
    }
    return COP_OK;
}

static cop_status read_rule(rules *r, char *text, int line) {
    text[strcspn(text, "#")] = '\0';
    text = trim(text);
    if (!*text) return COP_OK;
    rule *one = &r->rule[r->count];
    char *arrow = strstr(text, "->");
    *one = (rule){.line = line};
    if (arrow) {
        *arrow = '\0';
        one->pattern = trim(text);
        one->name = trim(arrow + 2);
    } else if (strncmp(text, "drop", 4) == 0 && isspace((unsigned char)text[4])) {
        one->pattern = trim(text + 4);
    } else {
        return bad_rule(r, line, "neither PATTERN -> NAME nor drop PATTERN");
    }
    r->count++;
    return check_rule(r, one);
}

static cop_status read_lines(rules *r) {
    int lines = 1;
    for (const char *at = r->text; (at = strchr(at, '\n')); at++) lines++;
    if (lines > RULES_MAX) return copi_fail(r->ctx, COP_E_FORMAT, "%s: more than %d lines", r->what, RULES_MAX);
    r->rule = copi_alloc(r->ctx, (size_t)lines, sizeof *r->rule);
    cop_status status = r->rule ? COP_OK : COP_E_NOMEM;
    char *at = r->text;
    for (int line = 1; !status && at; line++) {
        char *end = strchr(at, '\n');
        if (end) *end = '\0';
        status = read_rule(r, at, line);
        at = end ? end + 1 : NULL;
    }
    return status;
}

static cop_status read_rules(cop_ctx *ctx, const char *what, const char *text, rules *r) {
    *r = (rules){.ctx = ctx, .what = what, .text = copi_strdup(ctx, text)};
    return r->text ? read_lines(r) : COP_E_NOMEM;
}

static void free_rules(rules *r) {
    copi_free(r->ctx, r->rule);
    copi_free(r->ctx, r->text);
}

/* -- applying them -- */

typedef struct part {
    const char *text;
    size_t n;
} part;

/* How many bytes of name the pattern takes, up to a dot or the end; 0: it does not fit. star[i]: what * stood for. */
static size_t fit(const char *pattern, const char *name, const char *whole, part *star) {
    if (!*pattern) return !*name || *name == '.' ? (size_t)(name - whole) : 0;
    if (*pattern != '*') return *pattern == *name ? fit(pattern + 1, name + 1, whole, star) : 0;
    for (size_t n = strcspn(name, "."); n; n--) {
        size_t taken = fit(pattern + 1, name + n, whole, star + 1);
        if (!taken) continue;
        *star = (part){name, n};
        return taken;
    }
    return 0;
}

/* "$2+1" -> the second part and 1; *at stands on the $ and is moved behind what it says. */
static void substitute(const char **at, const part *star, copi_buffer *out) {
    const part *p = &star[(*at)[1] - '1'];
    const char *end = *at + 2;
    *at = end;
    bool number = p->n < 10 && *end == '+' && isdigit((unsigned char)end[1]);
    for (size_t i = 0; i < p->n; i++) number = number && isdigit((unsigned char)p->text[i]);
    if (!number) {
        copi_buffer_add(out, p->text, p->n);
        return;
    }
    char text[16];
    snprintf(text, sizeof text, "%.*s", (int)p->n, p->text);
    char *behind;
    long long more = strtoll(end + 1, &behind, 10);
    copi_buffer_printf(out, "%lld", strtoll(text, NULL, 10) + (more > INT32_MAX ? INT32_MAX : more));
    *at = behind;
}

/* The name translated; *drop: it is to be left out. */
static void translate(const rules *r, const char *name, copi_buffer *out, bool *drop) {
    part star[STARS + 1];
    *drop = false;
    for (int i = 0; i < r->count; i++) {
        size_t taken = fit(r->rule[i].pattern, name, name, star);
        if (!taken) continue;
        *drop = !r->rule[i].name;
        for (const char *at = r->rule[i].name; at && *at;) {
            if (*at == '$') {
                substitute(&at, star, out);
            } else {
                copi_buffer_add(out, at++, 1);
            }
        }
        copi_buffer_text(out, name + taken);
        return;
    }
    copi_buffer_text(out, name);
}

/* PyTorch's word for a batch-norm's parameter, and this program's. */
static const char *ending_of(copi_op op, const char *ending) {
    static const char *const words[][2] = {
        {"weight", "scale"}, {"bias", "shift"}, {"running_mean", "mean"}, {"running_var", "var"}};
    for (size_t i = 0; op == COPI_OP_BATCHNORM && i < COPI_COUNT(words); i++) {
        if (strcmp(ending, words[i][0]) == 0) return words[i][1];
    }
    return ending;
}

/* -- into the net -- */

typedef struct filling {
    cop_net *net;
    const char **from; /* [params] the tensor that filled each */
    copi_buffer left;  /* names of tensors without a place */
    int lefts;
} filling;

enum { NAMED = 6 }; /* names in one message */

static void list_name(copi_buffer *list, int number, const char *name) {
    if (number < NAMED) copi_buffer_printf(list, "%s'%.100s'", number ? ", " : "", name);
    if (number == NAMED) copi_buffer_text(list, ", ...");
}

/* A convolution's bias that the net does not have, since a batch-norm alone follows: bn(x + b) has the mean less
 * b. */
static bool fold_bias(cop_net *net, int node, const copi_array *a) {
    int reader[2];
    if (net->node[node].op != COPI_OP_CONV || a->rank != 1 || a->count != net->node[node].shape[0] ||
        copi_net_consumers(net, node, reader, 2) != 1 || net->node[reader[0]].op != COPI_OP_BATCHNORM)
        return false;
    return copi_node_slot(net, &net->node[reader[0]], COPI_MEAN) != NULL;
}

static cop_status put(filling *f, const copi_array *a, int number) {
    copi_param *p = &f->net->param[number];
    cop_ctx *ctx = f->net->ctx;
    if (f->from[number]) {
        return copi_fail(ctx, COP_E_FORMAT, "tensors '%s' and '%s' are both for '%s'", f->from[number], a->name,
                         p->name);
    }
    if (!a->data) return copi_fail(ctx, COP_E_FORMAT, "tensor '%s' is not of floating-point numbers", a->name);
    if (a->rank != p->rank || memcmp(a->shape, p->shape, (size_t)p->rank * sizeof *p->shape) != 0) {
        char has[128] = "", wants[128] = "";
        for (int d = 0; d < a->rank && strlen(has) < 100; d++)
            snprintf(has + strlen(has), sizeof has - strlen(has), "%s%" PRId64, d ? "," : "", a->shape[d]);
        for (int d = 0; d < p->rank; d++)
            snprintf(wants + strlen(wants), sizeof wants - strlen(wants), "%s%" PRId64, d ? "," : "", p->shape[d]);
        return copi_fail(ctx, COP_E_FORMAT, "tensor '%s' is [%s]; the net's '%s' is [%s]", a->name, has, p->name,
                         wants);
    }
    f->from[number] = a->name;
    memcpy(p->data, a->data, (size_t)p->count * sizeof *p->data);
    return copi_param_check(ctx, p, COP_E_FORMAT);
}

/* Where an array goes: a parameter's number, -1 nowhere, -2 - node: a bias to be folded. */
static int find_place(const filling *f, copi_buffer *name, const copi_array *a) {
    int number = copi_net_find_param(f->net, name->data);
    char *dot = strrchr(name->data, '.');
    if (number >= 0 || !dot) return number;
    *dot = '\0';
    int node = copi_net_find(f->net, name->data);
    if (node < 0) return -1;
    const char *ending = ending_of(f->net->node[node].op, dot + 1);
    for (int s = 0; s < COPI_SLOTS; s++) {
        const copi_param *p = copi_node_slot(f->net, &f->net->node[node], s);
        if (p && strcmp(p->name + strlen(f->net->node[node].name) + 1, ending) == 0) return (int)(p - f->net->param);
    }
    return strcmp(ending, "bias") == 0 && a->data && fold_bias(f->net, node, a) ? -2 - node : -1;
}

static cop_status put_array(filling *f, const rules *r, const copi_array *a, const copi_array **bias) {
    copi_buffer name;
    bool drop;
    copi_buffer_init(&name, f->net->ctx);
    translate(r, a->name, &name, &drop);
    cop_status status = name.failed ? COP_E_NOMEM : COP_OK;
    if (!status && !drop && !copi_ends_with(a->name, ".num_batches_tracked")) {
        int place = find_place(f, &name, a);
        if (place >= 0) status = put(f, a, place);
        if (place == -1) list_name(&f->left, f->lefts++, a->name);
        if (place < -1) bias[-2 - place] = a;
    }
    copi_buffer_clear(&name);
    return status;
}

/* All that is left over, on both sides, in one line. */
static cop_status report(filling *f) {
    copi_buffer empty;
    int empties = 0;
    copi_buffer_init(&empty, f->net->ctx);
    for (int i = 0; i < f->net->params; i++) {
        if (!f->from[i] && f->net->param[i].kind != COPI_PARAM_GATE)
            list_name(&empty, empties++, f->net->param[i].name);
    }
    cop_status status = empty.failed || f->left.failed ? COP_E_NOMEM : COP_OK;
    if (!status && (empties || f->lefts)) {
        char tensors[800] = "", parameters[800] = "";
        if (f->lefts)
            snprintf(tensors, sizeof tensors, "%d tensors have no place in the net: %s", f->lefts, f->left.data);
        if (empties) snprintf(parameters, sizeof parameters, "%d parameters stay empty: %s", empties, empty.data);
        status = copi_fail(f->net->ctx, COP_E_FORMAT, "%s%s%s; a map of names would help (coppice help maps)",
                           tensors, f->lefts && empties ? "; " : "", parameters);
    }
    copi_buffer_clear(&empty);
    return status;
}

static void fold_biases(cop_net *net, const copi_array *const *bias) {
    for (int i = 0; i < net->nodes; i++) {
        int reader;
        if (!bias[i] || copi_net_consumers(net, i, &reader, 1) != 1) continue;
        float *mean = copi_node_slot(net, &net->node[reader], COPI_MEAN)->data;
        for (int64_t c = 0; c < bias[i]->count; c++) mean[c] -= bias[i]->data[c];
    }
}

static cop_status fill(filling *f, const cop_weights *w, const rules *r) {
    const copi_array **bias = copi_alloc(f->net->ctx, (size_t)f->net->nodes, sizeof *bias);
    cop_status status = bias ? COP_OK : COP_E_NOMEM;
    for (int i = 0; !status && i < w->arrays; i++) status = put_array(f, r, &w->array[i], bias);
    if (!status) status = report(f);
    if (!status) fold_biases(f->net, bias);
    for (int i = 0; !status && i < f->net->params; i++)
        status = copi_param_check(f->net->ctx, &f->net->param[i], COP_E_FORMAT);
    copi_free(f->net->ctx, bias);
    return status;
}

cop_status copi_weights_into_by(cop_net *net, const cop_weights *w, const char *what, const char *text) {
    rules r;
    filling f = {.net = net};
    copi_buffer_init(&f.left, net->ctx);
    cop_status status = read_rules(net->ctx, what, text, &r);
    if (!status) f.from = copi_alloc(net->ctx, (size_t)net->params + 1, sizeof *f.from);
    if (!status && !f.from) status = COP_E_NOMEM;
    if (!status) status = fill(&f, w, &r);
    if (!status) copi_net_apply_masks(net);
    if (!status)
        status = copi_net_note(net, "weights of %d tensors by name%s%s", w->arrays, *text ? ", map " : "", what);
    free_rules(&r);
    copi_buffer_clear(&f.left);
    copi_free(net->ctx, f.from);
    return status;
}

cop_status copi_weights_into(cop_net *net, const cop_weights *w, const char *map) {
    if (!map) return copi_weights_into_by(net, w, "", "");
    for (size_t i = 0; i < COPI_COUNT(built_in); i++) {
        if (strcmp(map, built_in[i].name) == 0) return copi_weights_into_by(net, w, map, built_in[i].text);
    }
    uint8_t *bytes;
    size_t n;
    cop_status status = copi_read_file(net->ctx, map, (size_t)1 << 24, &bytes, &n);
    if (status) return status;
    status = memchr(bytes, 0, n) ? copi_fail(net->ctx, COP_E_FORMAT, "%s: not a text", map)
                                 : copi_weights_into_by(net, w, map, (const char *)bytes);
    copi_free(net->ctx, bytes);
    return status;
}
