/* Reads study files: values by their options, checked names, and the place of every error. libcyaml checks types too,
 * but it has neither ranges nor "did you mean", and reports lines only in its log. libyaml, on which it builds, gives
 * every node's place. */
#include "study/yaml.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct copi_yaml {
    cop_ctx *ctx;
    const char *path;
    yaml_document_t document;
};

static copi_shown show(const yaml_node_t *node) {
    switch (node->type) {
    case YAML_SCALAR_NODE:
        return copi_show((const char *)node->data.scalar.value, node->data.scalar.length);
    case YAML_SEQUENCE_NODE:
        return copi_show("a list", 6);
    default:
        return copi_show("a mapping", 9);
    }
}

static yaml_node_t *node_at(copi_yaml *y, int node) {
    return yaml_document_get_node(&y->document, node);
}

static cop_status fail_with(copi_yaml *y, const yaml_node_t *node, const char *format, va_list args) {
    char text[700];
    vsnprintf(text, sizeof text, format, args);
    return copi_fail(y->ctx, COP_E_FORMAT, "%s:%zu:%zu: %s", y->path, node->start_mark.line + 1,
                     node->start_mark.column + 1, text);
}

static cop_status fail_at(copi_yaml *y, const yaml_node_t *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static cop_status fail_at(copi_yaml *y, const yaml_node_t *node, const char *format, ...) {
    va_list args;
    va_start(args, format);
    cop_status status = fail_with(y, node, format, args);
    va_end(args);
    return status;
}

static bool scalar_is(const yaml_node_t *node, const char *text) {
    return node->type == YAML_SCALAR_NODE && node->data.scalar.length == strlen(text) &&
           memcmp(node->data.scalar.value, text, node->data.scalar.length) == 0;
}

/* The pair of key in a mapping, or NULL. */
static const yaml_node_pair_t *find_pair(copi_yaml *y, const yaml_node_t *map, const char *key) {
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++)
        if (scalar_is(node_at(y, p->key), key)) return p;
    return NULL;
}

cop_status copi_yaml_fail(copi_yaml *y, int node, const char *key, const char *format, ...) {
    const yaml_node_t *at = node_at(y, node);
    const yaml_node_pair_t *pair = key ? find_pair(y, at, key) : NULL;
    va_list args;
    va_start(args, format);
    cop_status status = fail_with(y, pair ? node_at(y, pair->value) : at, format, args);
    va_end(args);
    return status;
}

cop_status copi_yaml_fail_key(copi_yaml *y, int node, const char *key, const char *format, ...) {
    va_list args;
    va_start(args, format);
    cop_status status = fail_with(y, node_at(y, find_pair(y, node_at(y, node), key)->key), format, args);
    va_end(args);
    return status;
}

bool copi_yaml_has(copi_yaml *y, int node, const char *key) {
    return find_pair(y, node_at(y, node), key) != NULL;
}

cop_ctx *copi_yaml_ctx(copi_yaml *y) {
    return y->ctx;
}

/* ------------------------------------------------------------------------------------------------- scalars -- */

/* The text of a scalar, or NULL after an error that `wanted` was expected. Numbers and flags in quotes are texts. */
static const char *scalar(copi_yaml *y, const yaml_node_t *node, const char *key, const char *wanted, bool plain) {
    if (node->type != YAML_SCALAR_NODE) {
        fail_at(y, node, "%s is %s; expected %s", key, show(node).text, wanted);
        return NULL;
    }
    const char *text = (const char *)node->data.scalar.value;
    if (strlen(text) != node->data.scalar.length) {
        fail_at(y, node, "%s holds a zero byte; expected %s", key, wanted);
        return NULL;
    }
    if (!*text) {
        fail_at(y, node, "%s is empty; expected %s", key, wanted);
        return NULL;
    }
    if (plain && node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) {
        fail_at(y, node, "%s is the text \"%s\" in quotes; expected %s", key, show(node).text, wanted);
        return NULL;
    }
    return text;
}

cop_status copi_yaml_text(copi_yaml *y, int node, const char *key, char **owned) {
    const char *text = scalar(y, node_at(y, node), key, "a text", false);
    if (!text) return COP_E_FORMAT;
    char *copy = copi_strdup(y->ctx, text);
    if (!copy) return COP_E_NOMEM;
    copi_free(y->ctx, *owned);
    *owned = copy;
    return COP_OK;
}

/* The text of one value of an option; names may be in quotes. */
static const char *value_text(copi_yaml *y, const yaml_node_t *node, const cop_option *o) {
    static const char *const wanted[] = {
        [COP_OPTION_COUNT] = "an integer", [COP_OPTION_INTEGER] = "an integer", [COP_OPTION_FLAG] = "true or false"};
    const char *kind = o->choice ? "a name" : (size_t)o->kind < COPI_COUNT(wanted) ? wanted[o->kind] : NULL;
    return scalar(y, node, o->name, kind ? kind : "a number", !o->choice);
}

static cop_status fail_problem(copi_yaml *y, const yaml_node_t *node, const char *problem) {
    return fail_at(y, node, "%s", problem);
}

/* --------------------------------------------------------------------------------------------------- lists -- */

/* A scalar counts as a list of one. */
static int list_count(const yaml_node_t *node) {
    return node->type == YAML_SEQUENCE_NODE ? (int)(node->data.sequence.items.top - node->data.sequence.items.start)
                                            : 1;
}

static const yaml_node_t *list_item(copi_yaml *y, const yaml_node_t *node, int i) {
    return node->type == YAML_SEQUENCE_NODE ? node_at(y, node->data.sequence.items.start[i]) : node;
}

int copi_yaml_count(copi_yaml *y, int node) {
    return list_count(node_at(y, node));
}

static cop_status fail_twice(copi_yaml *y, const yaml_node_t *item, const char *key) {
    return fail_at(y, item, "%s %s is in the list twice", key, show(item).text);
}

cop_status copi_yaml_numbers(copi_yaml *y, int number, const cop_option *o, double **list, int *n) {
    const yaml_node_t *node = node_at(y, number);
    int count = list_count(node);
    if (count == 0) return fail_at(y, node, "%s is an empty list; give at least one number", o->name);
    double *v = copi_alloc(y->ctx, (size_t)count, sizeof *v);
    if (!v) return COP_E_NOMEM;
    copi_free(y->ctx, *list);
    *list = v;
    *n = count;
    for (int i = 0; i < count; i++) {
        const yaml_node_t *item = list_item(y, node, i);
        const char *text = value_text(y, item, o);
        copi_problem problem;
        if (!text) return COP_E_FORMAT;
        if (!copi_option_read_number(o, o->name, text, &v[i], problem)) return fail_problem(y, item, problem);
        for (int k = 0; k < i; k++)
            if (v[k] == v[i]) return fail_twice(y, item, o->name);
    }
    return COP_OK;
}

static cop_status read_steps(copi_yaml *y, const yaml_node_t *node, const cop_option *o, double step[4]) {
    copi_problem problem;
    double x[4];
    int n = list_count(node);
    if (n > 4 && !copi_option_read_steps(o->name, NULL, n, step, problem)) return fail_problem(y, node, problem);
    for (int i = 0; i < n; i++) {
        const yaml_node_t *item = list_item(y, node, i);
        const char *text = value_text(y, item, o);
        if (!text) return COP_E_FORMAT;
        if (!copi_option_read_number(o, o->name, text, &x[i], problem) ||
            !copi_option_read_steps(o->name, x, i + 1, step, problem))
            return fail_problem(y, item, problem);
    }
    return n ? COP_OK : fail_at(y, node, "%s is an empty list; give at least one number", o->name);
}

cop_status copi_yaml_seeds(copi_yaml *y, int number, const char *key, uint64_t **list, int *n) {
    const cop_option o = {.name = key, .kind = COP_OPTION_COUNT, .high = (double)INT64_MAX};
    const yaml_node_t *node = node_at(y, number);
    int count = list_count(node);
    if (count == 0) return fail_at(y, node, "%s is an empty list; give at least one seed", key);
    uint64_t *v = copi_alloc(y->ctx, (size_t)count, sizeof *v);
    if (!v) return COP_E_NOMEM;
    copi_free(y->ctx, *list);
    *list = v;
    *n = count;
    for (int i = 0; i < count; i++) {
        const yaml_node_t *item = list_item(y, node, i);
        cop_status s = copi_yaml_value(y, copi_yaml_item(y, number, i), &o, &v[i]);
        if (s) return s;
        for (int k = 0; k < i; k++)
            if (v[k] == v[i]) return fail_twice(y, item, key);
    }
    return COP_OK;
}

static cop_status read_set(copi_yaml *y, const yaml_node_t *node, const cop_option *o, unsigned *set) {
    *set = 0;
    for (int i = 0; i < list_count(node); i++) {
        const yaml_node_t *item = list_item(y, node, i);
        const char *text = value_text(y, item, o);
        copi_problem problem;
        int choice;
        if (!text) return COP_E_FORMAT;
        if (!copi_option_read_choice(o, o->name, text, &choice, problem)) return fail_problem(y, item, problem);
        *set |= 1u << choice;
    }
    return COP_OK;
}

cop_status copi_yaml_value(copi_yaml *y, int number, const cop_option *o, void *value) {
    const yaml_node_t *node = node_at(y, number);
    if (o->kind == COP_OPTION_STEPS) return read_steps(y, node, o, value);
    if (o->kind == COP_OPTION_SET) return read_set(y, node, o, value);
    const char *text = value_text(y, node, o);
    if (!text) return COP_E_FORMAT;
    copi_problem problem;
    return cop_option_parse(o, o->name, text, value, problem) ? COP_OK : fail_problem(y, node, problem);
}

/* ------------------------------------------------------------------------------------------------ mappings -- */

bool copi_yaml_find(copi_yaml *y, int node, const char *key, int *value) {
    const yaml_node_t *map = node_at(y, node);
    const yaml_node_pair_t *pair = map->type == YAML_MAPPING_NODE ? find_pair(y, map, key) : NULL;
    *value = pair ? pair->value : 0;
    return pair != NULL;
}

int copi_yaml_item(copi_yaml *y, int node, int i) {
    const yaml_node_t *list = node_at(y, node);
    return list->type == YAML_SEQUENCE_NODE ? list->data.sequence.items.start[i] : node;
}

cop_status copi_yaml_list(copi_yaml *y, int number, const char *key, size_t size, void **list, int *n) {
    const yaml_node_t *node = node_at(y, number);
    if (node->type != YAML_SEQUENCE_NODE)
        return fail_at(y, node, "%s is %s; expected a list, each entry beginning with \"- \"", key, show(node).text);
    int count = list_count(node);
    if (count == 0) return fail_at(y, node, "%s is an empty list; give at least one", key);
    if (!(*list = copi_alloc(y->ctx, (size_t)count, size))) return COP_E_NOMEM;
    *n = count;
    return COP_OK;
}

/* `; did you mean "x"?`, or the whole list if no name is near. */
static void add_hint(char *out, size_t size, const char *word, int n, const char *(*name)(int, const void *),
                     const void *user) {
    const char *near = copi_nearest(word, n, name, user);
    if (near) {
        snprintf(out, size, "; did you mean \"%s\"?", near);
        return;
    }
    size_t len = (size_t)snprintf(out, size, "; choose from");
    for (int i = 0; i < n && len < size; i++)
        len += (size_t)snprintf(out + len, size - len, "%s %s", i ? "," : "", name(i, user));
}

cop_status copi_yaml_keys(copi_yaml *y, int number, const char *what, const char *(*name)(int i, const void *user),
                          const void *user) {
    const yaml_node_t *map = node_at(y, number);
    bool quoted = map->type == YAML_SCALAR_NODE;
    if (map->type != YAML_MAPPING_NODE)
        return fail_at(y, map, "%s is %s%s%s; expected `key: value` pairs", what, quoted ? "\"" : "", show(map).text,
                       quoted ? "\"" : "");
    int n = 0;
    while (name(n, user)) n++;
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = node_at(y, p->key);
        int i = 0;
        while (i < n && !scalar_is(key, name(i, user))) i++;
        if (i == n) {
            char hint[400];
            add_hint(hint, sizeof hint, key->type == YAML_SCALAR_NODE ? (const char *)key->data.scalar.value : "", n,
                     name, user);
            return fail_at(y, key, "%s: unknown key \"%s\"%s", what, show(key).text, hint);
        }
        const yaml_node_pair_t *first = find_pair(y, map, name(i, user));
        if (first != p)
            return fail_at(y, key, "%s: \"%s\" is given twice, first in line %zu", what, show(key).text,
                           node_at(y, first->key)->start_mark.line + 1);
    }
    return COP_OK;
}

const char *copi_yaml_key(copi_yaml *y, int node, int i) {
    const yaml_node_t *map = node_at(y, node);
    const yaml_node_pair_t *p = map->data.mapping.pairs.start + i;
    return p < map->data.mapping.pairs.top ? (const char *)node_at(y, p->key)->data.scalar.value : NULL;
}

/* ------------------------------------------------------------------------------------------- whole document -- */

static cop_status fail_parse(copi_yaml *y, const yaml_parser_t *parser) {
    if (parser->error == YAML_MEMORY_ERROR) return copi_fail(y->ctx, COP_E_NOMEM, "%s: out of memory", y->path);
    if (parser->error == YAML_READER_ERROR)
        return copi_fail(y->ctx, COP_E_FORMAT, "%s: byte %zu: not UTF-8 text: %s", y->path, parser->problem_offset,
                         parser->problem ? parser->problem : "unreadable");
    return copi_fail(y->ctx, COP_E_FORMAT, "%s:%zu:%zu: not YAML: %s%s%s", y->path, parser->problem_mark.line + 1,
                     parser->problem_mark.column + 1, parser->problem ? parser->problem : "unreadable",
                     parser->context ? " " : "", parser->context ? parser->context : "");
}

#define DEPTH_MAX 16 /* a study file needs 5 */

/* A first pass over the events: libyaml's time grows with the square of the nesting, so deep documents are refused
 * before they are loaded. */
static cop_status check_depth(copi_yaml *y, const char *text, size_t n) {
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) return copi_fail(y->ctx, COP_E_NOMEM, "%s: out of memory", y->path);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    cop_status status = COP_OK;
    int depth = 0;
    for (bool end = false; !status && !end;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            status = fail_parse(y, &parser);
            break;
        }
        depth += event.type == YAML_SEQUENCE_START_EVENT || event.type == YAML_MAPPING_START_EVENT;
        depth -= event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT;
        end = event.type == YAML_STREAM_END_EVENT;
        if (depth > DEPTH_MAX)
            status = copi_fail(y->ctx, COP_E_FORMAT, "%s:%zu:%zu: nested more than %d deep", y->path,
                               event.start_mark.line + 1, event.start_mark.column + 1, DEPTH_MAX);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return status;
}

cop_status copi_yaml_read(cop_ctx *ctx, const char *path, const char *text, size_t n, const char *what,
                          copi_yaml_reader read, void *target) {
    yaml_parser_t parser;
    copi_yaml y = {.ctx = ctx, .path = path};
    cop_status status = check_depth(&y, text, n);
    if (status) return status;
    if (!yaml_parser_initialize(&parser)) return copi_fail(ctx, COP_E_NOMEM, "%s: out of memory", path);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    if (!yaml_parser_load(&parser, &y.document)) {
        status = fail_parse(&y, &parser);
        yaml_parser_delete(&parser);
        return status;
    }
    const yaml_node_t *root = yaml_document_get_root_node(&y.document);
    status =
        root ? read(&y, 1, target) : copi_fail(ctx, COP_E_FORMAT, "%s: the file is empty; expected a %s", path, what);
    yaml_document_delete(&y.document);
    if (!status && !yaml_parser_load(&parser, &y.document)) {
        status = fail_parse(&y, &parser);
    } else if (!status) {
        const yaml_node_t *second = yaml_document_get_root_node(&y.document);
        if (second) status = fail_at(&y, second, "a second document begins; expected one %s", what);
        yaml_document_delete(&y.document);
    }
    yaml_parser_delete(&parser);
    return status;
}
