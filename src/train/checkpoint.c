/* Checkpoints: a safetensors file with the net, tensors "optimizer.<slot>/<param>", and strings. Doubles are written
 * as hexadecimal floats, which are exact. */
#include "train/checkpoint.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LAYOUT "1" /* version of the strings below; another one is refused with VERSION */

uint64_t copi_topology_digest(const cop_net *net) {
    uint64_t h = 0;
    for (int i = 0; i < net->nodes; i++) {
        const copi_node *n = &net->node[i];
        const char *op = copi_op_text(n->op);
        h = copi_hash(h, n->name, strlen(n->name));
        h = copi_hash(h, op, strlen(op));
        h = copi_hash(h, n->src, (size_t)n->nsrc * sizeof *n->src);
        h = copi_hash(h, n->shape, sizeof n->shape);
        for (const copi_attribute *a = copi_op_attributes(n->op); a->key; a++)
            if (a->identity) h = copi_hash(h, (const char *)n + a->offset, a->bytes);
    }
    for (int i = 0; i < net->params; i++)
        h = copi_hash(h, net->param[i].shape, (size_t)net->param[i].rank * sizeof *net->param[i].shape);
    return h;
}

uint64_t copi_net_digest(const cop_net *net) {
    uint64_t h = copi_topology_digest(net);
    for (int i = 0; i < net->params; i++) {
        const copi_param *p = &net->param[i];
        h = copi_hash(h, p->data, (size_t)p->count * sizeof *p->data);
        uint8_t masked = p->mask != NULL;
        h = copi_hash(h, &masked, 1);
        if (p->mask) h = copi_hash(h, p->mask, (size_t)p->count);
    }
    return h;
}

static bool has_state(const copi_param *p) {
    return p->kind != COPI_PARAM_MEAN && p->kind != COPI_PARAM_VAR;
}

static cop_status add_state(copi_extras *x, copi_plan *plan, const cop_net *net) {
    for (int slot = 0; slot < copi_plan_state_slots(plan); slot++)
        for (int i = 0; i < net->params; i++) {
            const copi_param *p = &net->param[i];
            if (!has_state(p)) continue;
            char *name = copi_format(net->ctx, "optimizer.%d/%s", slot, p->name);
            float *to = name ? copi_extras_tensor(x, name, p->rank, p->shape) : NULL;
            copi_free(net->ctx, name);
            if (!to) return COP_E_NOMEM;
            cop_status s = copi_plan_state_get(plan, slot, i, to);
            if (s) return s;
        }
    return COP_OK;
}

static cop_status set_text(copi_extras *x, const char *key, copi_buffer *text) {
    cop_status s = text->failed ? COP_E_NOMEM : copi_extras_set(x, key, text->data ? text->data : "");
    copi_buffer_clear(text);
    return s;
}

cop_status copi_checkpoint_save(const copi_checkpoint *c, const cop_net *net, copi_plan *plan,
                                const copi_progress_state *state, const cop_history *history) {
    copi_extras x;
    copi_buffer text;
    copi_extras_init(&x, net->ctx);
    copi_buffer_init(&text, net->ctx);
    cop_status s = add_state(&x, plan, net);
    if (!s) s = copi_extras_set(&x, "layout", LAYOUT);
    if (!s) s = copi_extras_set(&x, "identity", c->identity);
    if (!s) {
        copi_buffer_printf(&text, "%016llx %d", (unsigned long long)c->start, copi_threads(net->ctx));
        s = set_text(&x, "start", &text);
    }
    if (!s) {
        copi_buffer_printf(&text, "%lld %lld %a %lld %lld %a", (long long)state->step,
                           (long long)copi_plan_steps(plan), state->loss, (long long)state->correct,
                           (long long)state->images, state->seconds);
        s = set_text(&x, "state", &text);
    }
    if (!s) {
        for (int i = 0; i < history->count; i++) {
            const cop_epoch *e = &history->epoch[i];
            copi_buffer_printf(&text, "%d %a %a %a %a %a %a\n", e->epoch, e->rate, e->loss, e->accuracy,
                               e->accuracy_validation, e->loss_validation, e->seconds);
        }
        s = set_text(&x, "history", &text);
    }
    if (!s) s = copi_safetensors_save(net, &x, c->path);
    copi_buffer_clear(&text);
    copi_extras_clear(&x);
    return s;
}

/* Read the next number of *at; clears *good if there is none. strtod reads what %a wrote, also nan and inf. */
static double next_real(const char **at, bool *good) {
    char *end;
    double v = strtod(*at, &end);
    *good = *good && end != *at;
    *at = end;
    return v;
}
static long long next_integer(const char **at, bool *good) {
    char *end;
    errno = 0;
    long long v = strtoll(*at, &end, 10);
    *good = *good && end != *at && !errno;
    *at = end;
    return v;
}

static cop_status malformed(const copi_checkpoint *c, cop_ctx *ctx, const char *what) {
    return copi_fail(ctx, COP_E_FORMAT, "%s: incomplete checkpoint: %s is missing or malformed", c->path, what);
}

/* The line of a text that begins with the same name as this one; "" if there is none. */
static const char *line_of(const char *text, const char *line) {
    size_t name = strcspn(line, " \n") + 1;
    while (*text && strncmp(text, line, name) != 0) text += strcspn(text, "\n") + (text[strcspn(text, "\n")] != 0);
    return text;
}

static bool same_line(const char *a, const char *b) {
    size_t n = strcspn(a, "\n");
    return n == strcspn(b, "\n") && memcmp(a, b, n) == 0;
}

/* Refuse the first line of ours that differs in theirs. If theirs does not have an option, its default counts. */
static cop_status compare_lines(const copi_checkpoint *c, cop_ctx *ctx, const char *ours, const char *theirs,
                                bool turned) {
    for (const char *line = ours; *line; line += strcspn(line, "\n") + 1) {
        const char *other = line_of(theirs, line);
        if (!*other) other = line_of(c->usual, line);
        if (same_line(line, other)) continue;
        const char *file = turned ? line : other, *run = turned ? other : line;
        return copi_fail(
            ctx, COP_E_REFUSED,
            "%s: the checkpoint belongs to another run: it has '%.*s', this run has '%.*s'; name another "
            "checkpoint file or remove it",
            c->path, (int)strcspn(file, "\n"), file, (int)strcspn(run, "\n"), run);
    }
    return COP_OK;
}

static cop_status check_identity(const copi_checkpoint *c, cop_ctx *ctx, const char *theirs) {
    size_t n = theirs ? strlen(theirs) : 0;
    if (!n || theirs[n - 1] != '\n') return malformed(c, ctx, "identity");
    cop_status s = compare_lines(c, ctx, c->identity, theirs, false);
    return s ? s : compare_lines(c, ctx, theirs, c->identity, true);
}

static cop_status check_start(const copi_checkpoint *c, const cop_net *net, const cop_net *saved, const char *text) {
    char *end;
    bool good = text != NULL;
    uint64_t start = good ? strtoull(text, &end, 16) : 0;
    const char *at = good ? end : "";
    long long threads = next_integer(&at, &good);
    if (!good) return malformed(c, net->ctx, "start");
    if (c->start != start && c->start != copi_net_digest(saved))
        return copi_fail(
            net->ctx, COP_E_REFUSED,
            "%s: the checkpoint belongs to another net: it started from weights %016llx, this run from %016llx; "
            "name another checkpoint file or remove it",
            c->path, (unsigned long long)start, (unsigned long long)c->start);
    if (threads != copi_threads(net->ctx))
        copi_log(net->ctx, COP_LOG_WARNING,
                 "%s: written with %lld threads, now resumed with %d: the result may differ in the last bits",
                 c->path, threads, copi_threads(net->ctx));
    return COP_OK;
}

static cop_status take_state(const copi_checkpoint *c, const copi_extras *x, copi_plan *plan, const cop_net *net) {
    for (int slot = 0; slot < copi_plan_state_slots(plan); slot++)
        for (int i = 0; i < net->params; i++) {
            const copi_param *p = &net->param[i];
            if (!has_state(p)) continue;
            char *name = copi_format(net->ctx, "optimizer.%d/%s", slot, p->name);
            if (!name) return COP_E_NOMEM;
            const copi_extra_tensor *t = copi_extras_find(x, name);
            cop_status s = t && t->count == p->count ? copi_plan_state_set(plan, slot, i, t->data)
                                                     : malformed(c, net->ctx, name);
            copi_free(net->ctx, name);
            if (s) return s;
        }
    return COP_OK;
}

static cop_status take_history(const copi_checkpoint *c, cop_ctx *ctx, const char *text, cop_history *history) {
    if (!text) return malformed(c, ctx, "history");
    int count = 0;
    for (const char *at = text; *at; at++) count += *at == '\n';
    if (!count) return COP_OK;
    if (!(history->epoch = copi_alloc(ctx, (size_t)count, sizeof *history->epoch))) return COP_E_NOMEM;
    bool good = true;
    for (int i = 0; i < count; i++) {
        cop_epoch *e = &history->epoch[i];
        e->epoch = (int)next_integer(&text, &good);
        double *real[] = {&e->rate,   &e->loss, &e->accuracy, &e->accuracy_validation, &e->loss_validation,
                          &e->seconds};
        for (size_t k = 0; k < COPI_COUNT(real); k++) *real[k] = next_real(&text, &good);
    }
    history->count = count;
    return good ? COP_OK : malformed(c, ctx, "history");
}

/* Copy the saved net's parameters and masks; the identity's digest ensures that the topology is the same. */
static cop_status take_net(const copi_checkpoint *c, const cop_net *saved, cop_net *net) {
    if (saved->params != net->params || saved->block_count != net->block_count)
        return malformed(c, net->ctx, "a parameter");
    for (int i = 0; i < net->params; i++) {
        copi_param *p = &net->param[i];
        const copi_param *q = &saved->param[i];
        if (p->count != q->count || strcmp(p->name, q->name)) return malformed(c, net->ctx, p->name);
        memcpy(p->data, q->data, (size_t)p->count * sizeof *p->data);
    }
    return copi_net_copy_masks(net, saved);
}

cop_status copi_checkpoint_load(const copi_checkpoint *c, cop_net *net, copi_plan *plan, copi_progress_state *state,
                                cop_history *history, bool *found) {
    *found = false;
    FILE *file = fopen(c->path, "rb");
    if (!file && errno == ENOENT) return COP_OK;
    if (!file) return copi_fail(net->ctx, COP_E_IO, "%s: %s", c->path, strerror(errno));
    (void)fclose(file);
    copi_extras x;
    cop_net *saved = NULL;
    copi_extras_init(&x, net->ctx);
    cop_status s = copi_safetensors_load(net->ctx, c->path, &saved, &x);
    const char *layout = s ? NULL : copi_extras_get(&x, "layout");
    if (!s && (!layout || strcmp(layout, LAYOUT)))
        s = layout ? copi_fail(net->ctx, COP_E_VERSION, "%s: checkpoint of layout %.20s; this program reads " LAYOUT,
                               c->path, layout)
                   : malformed(c, net->ctx, "layout");
    if (!s) s = check_identity(c, net->ctx, copi_extras_get(&x, "identity"));
    if (!s) s = check_start(c, net, saved, copi_extras_get(&x, "start"));
    if (!s) {
        const char *at = copi_extras_get(&x, "state");
        bool good = at != NULL;
        if (!good) at = "";
        state->step = next_integer(&at, &good);
        long long steps = next_integer(&at, &good);
        state->loss = next_real(&at, &good);
        state->correct = next_integer(&at, &good);
        state->images = next_integer(&at, &good);
        state->seconds = next_real(&at, &good);
        if (!good || state->step < 0 || steps < 0)
            s = malformed(c, net->ctx, "state");
        else
            copi_plan_set_steps(plan, steps);
    }
    if (!s) s = take_history(c, net->ctx, copi_extras_get(&x, "history"), history);
    if (!s) s = take_net(c, saved, net);
    if (!s) s = copi_plan_push(plan, net);
    if (!s) s = take_state(c, &x, plan, net);
    *found = !s;
    copi_extras_clear(&x);
    cop_net_destroy(saved);
    return s;
}
