/* A YAML mapping read into a struct by a table of keys. libcyaml checks types too, but knows neither ranges of
 * numbers nor "did you mean", and says the line only in its log; libyaml below it gives every node's place. */
#include "study/study.h"

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

/* What a user wrote, fit for one line of an error: no control characters, not too long, no letter cut in two. */
typedef struct shown {
    char text[56];
} shown;

static shown show_bytes(const char *bytes, size_t n) {
    shown s = {{0}};
    size_t limit = sizeof s.text - 4, k = 0;
    while (k < n && k < limit) {
        unsigned char c = (unsigned char)bytes[k];
        s.text[k++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    if (k < n) {
        while (k > 0 && ((unsigned char)bytes[k] & 0xc0) == 0x80) k--;
        memcpy(s.text + k, "...", 4);
    } else {
        s.text[k] = 0;
    }
    return s;
}

static shown show(const yaml_node_t *node) {
    switch (node->type) {
    case YAML_SCALAR_NODE:
        return show_bytes((const char *)node->data.scalar.value, node->data.scalar.length);
    case YAML_SEQUENCE_NODE:
        return show_bytes("a list", 6);
    default:
        return show_bytes("a mapping", 9);
    }
}

static yaml_node_t *node_at(copi_yaml *y, int node) {
    return yaml_document_get_node(&y->document, node);
}

static cop_status fail_at(copi_yaml *y, const yaml_node_t *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static cop_status fail_at(copi_yaml *y, const yaml_node_t *node, const char *format, ...) {
    char text[700];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return copi_fail(y->ctx, COP_E_FORMAT, "%s:%zu:%zu: %s", y->path, node->start_mark.line + 1,
                     node->start_mark.column + 1, text);
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
    char text[600];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const yaml_node_t *at = node_at(y, node);
    const yaml_node_pair_t *pair = key ? find_pair(y, at, key) : NULL;
    return fail_at(y, pair ? node_at(y, pair->value) : at, "%s", text);
}

bool copi_yaml_has(copi_yaml *y, int node, const char *key) {
    return find_pair(y, node_at(y, node), key) != NULL;
}

cop_ctx *copi_yaml_ctx(copi_yaml *y) {
    return y->ctx;
}

/* ------------------------------------------------------------------------------------------------- scalars -- */

/* The text of a scalar, or NULL after recording that `wanted` was expected. Numbers and flags in quotes are texts. */
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

static bool in_range(double x, const char *range) {
    if (!range) return true;
    char *end;
    double low = strtod(range + 1, &end), high = strtod(end + 1, &end);
    return (*range == '[' ? x >= low : x > low) && (*end == ']' ? x <= high : x < high);
}

static cop_status read_number(copi_yaml *y, const yaml_node_t *node, const copi_key *key, double *value) {
    const char *text = scalar(y, node, key->name, "a number", true);
    if (!text) return COP_E_FORMAT;
    char *end;
    /* strtod alone would take "inf", "nan" and hexadecimal */
    bool spelled = text[strspn(text, "+-.0123456789eE")] == 0;
    *value = spelled ? strtod(text, &end) : NAN;
    if (!spelled || *end || !isfinite(*value))
        return fail_at(y, node, "%s is \"%s\"; expected a number%s%s", key->name, show(node).text,
                       key->range ? " in " : "", key->range ? key->range : "");
    if (!in_range(*value, key->range))
        return fail_at(y, node, "%s is %s; expected a number in %s", key->name, show(node).text, key->range);
    return COP_OK;
}

static cop_status read_whole(copi_yaml *y, const yaml_node_t *node, const copi_key *key, uint64_t *value) {
    const char *text = scalar(y, node, key->name, "a whole number", true);
    if (!text) return COP_E_FORMAT;
    char *end = NULL;
    errno = 0;
    bool digits = text[strspn(text, "0123456789")] == 0;
    *value = digits ? strtoull(text, &end, 10) : 0;
    if (!digits || *end || errno || *value > INT64_MAX || !in_range((double)*value, key->range))
        return fail_at(y, node, "%s is \"%s\"; expected a whole number%s%s", key->name, show(node).text,
                       key->range ? " in " : "", key->range ? key->range : "");
    return COP_OK;
}

static cop_status read_flag(copi_yaml *y, const yaml_node_t *node, const copi_key *key, int *value) {
    static const char *const yes[] = {"true", "yes", "on", NULL}, *const no[] = {"false", "no", "off", NULL};
    const char *text = scalar(y, node, key->name, "true or false", true);
    if (!text) return COP_E_FORMAT;
    *value = copi_index_of(text, yes) >= 0;
    if (!*value && copi_index_of(text, no) < 0)
        return fail_at(y, node, "%s is \"%s\"; expected true or false", key->name, show(node).text);
    return COP_OK;
}

/* ------------------------------------------------------------------------------------------------- choices -- */

static const char *key_choice(int i, const void *key) {
    return ((const copi_key *)key)->names(i);
}

static int names_count(const copi_key *key) {
    int n = 0;
    while (key->names(n)) n++;
    return n;
}

/* `; did you mean "x"?`, or the whole list when nothing is near. */
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

static cop_status read_choice(copi_yaml *y, const yaml_node_t *node, const copi_key *key, int *value) {
    const char *text = scalar(y, node, key->name, "a name", false);
    if (!text) return COP_E_FORMAT;
    int n = names_count(key);
    for (*value = 0; *value < n; ++*value)
        if (strcmp(key->names(*value), text) == 0) return COP_OK;
    char hint[400];
    add_hint(hint, sizeof hint, text, n, key_choice, key);
    return fail_at(y, node, "%s \"%s\" is unknown%s", key->name, show(node).text, hint);
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

static cop_status read_numbers(copi_yaml *y, const yaml_node_t *node, const copi_key *key, copi_numbers *list) {
    int n = list_count(node);
    if (n == 0) return fail_at(y, node, "%s is an empty list; give at least one number", key->name);
    list->v = copi_alloc(y->ctx, (size_t)n, sizeof *list->v);
    if (!list->v) return COP_E_NOMEM;
    list->n = n;
    for (int i = 0; i < n; i++) {
        const yaml_node_t *item = list_item(y, node, i);
        cop_status status = read_number(y, item, key, &list->v[i]);
        if (status) return status;
        for (int k = 0; k < i; k++)
            if (list->v[k] == list->v[i])
                return fail_at(y, item, "%s %s stands twice in the list", key->name, show(item).text);
    }
    return COP_OK;
}

static cop_status read_steps(copi_yaml *y, const yaml_node_t *node, const copi_key *key, double steps[4]) {
    int n = list_count(node);
    if (n == 0 || n > 4) return fail_at(y, node, "%s holds %d numbers; expected 1 to 4", key->name, n);
    memset(steps, 0, 4 * sizeof *steps);
    for (int i = 0; i < n; i++) {
        cop_status status = read_number(y, list_item(y, node, i), key, &steps[i]);
        if (status) return status;
        if (i > 0 && steps[i] <= steps[i - 1])
            return fail_at(y, list_item(y, node, i), "%s must rise, but %g follows %g", key->name, steps[i],
                           steps[i - 1]);
    }
    return COP_OK;
}

static cop_status read_seeds(copi_yaml *y, const yaml_node_t *node, const copi_key *key, copi_seeds *list) {
    int n = list_count(node);
    if (n == 0) return fail_at(y, node, "%s is an empty list; give at least one seed", key->name);
    uint64_t *v = copi_alloc(y->ctx, (size_t)n, sizeof *v);
    if (!v) return COP_E_NOMEM;
    copi_free(y->ctx, list->v);
    list->v = v;
    list->n = n;
    for (int i = 0; i < n; i++) {
        const yaml_node_t *item = list_item(y, node, i);
        cop_status status = read_whole(y, item, key, &v[i]);
        if (status) return status;
        for (int k = 0; k < i; k++)
            if (v[k] == v[i]) return fail_at(y, item, "%s %s stands twice in the list", key->name, show(item).text);
    }
    return COP_OK;
}

static cop_status read_words(copi_yaml *y, const yaml_node_t *node, const copi_key *key, unsigned *bits) {
    *bits = 0;
    for (int i = 0; i < list_count(node); i++) {
        int word;
        cop_status status = read_choice(y, list_item(y, node, i), key, &word);
        if (status) return status;
        *bits |= 1u << word;
    }
    return COP_OK;
}

/* ------------------------------------------------------------------------------------------------ mappings -- */

static cop_status read_map(copi_yaml *y, int number, const copi_schema *schema, void *target);

static cop_status read_maps(copi_yaml *y, const yaml_node_t *node, const copi_key *key, const void *parent,
                            copi_list *list) {
    if (node->type != YAML_SEQUENCE_NODE)
        return fail_at(y, node, "%s is %s; expected a list, each entry beginning with \"- \"", key->name,
                       show(node).text);
    int n = list_count(node);
    if (n == 0) return fail_at(y, node, "%s is an empty list; give at least one", key->name);
    list->v = copi_alloc(y->ctx, (size_t)n, key->map->size);
    if (!list->v) return COP_E_NOMEM;
    list->n = n;
    for (int i = 0; i < n; i++) {
        void *element = (char *)list->v + (size_t)i * key->map->size;
        if (key->map->init) key->map->init(parent, element);
        cop_status status = read_map(y, node->data.sequence.items.start[i], key->map, element);
        if (status) return status;
    }
    return COP_OK;
}

static cop_status read_value(copi_yaml *y, int number, const copi_key *key, void *target) {
    const yaml_node_t *node = node_at(y, number);
    void *at = (char *)target + key->at;
    uint64_t whole = 0;
    int index = 0;
    cop_status status;
    switch (key->kind) {
    case COPI_KEY_TEXT: {
        const char *text = scalar(y, node, key->name, "a text", false);
        if (!text) return COP_E_FORMAT;
        char *copy = copi_strdup(y->ctx, text);
        if (!copy) return COP_E_NOMEM;
        copi_free(y->ctx, *(char **)at);
        *(char **)at = copy;
        return COP_OK;
    }
    case COPI_KEY_NUMBER:
        return read_number(y, node, key, at);
    case COPI_KEY_COUNT:
        if (!(status = read_whole(y, node, key, &whole))) *(int64_t *)at = (int64_t)whole;
        return status;
    case COPI_KEY_SMALL:
        if (!(status = read_whole(y, node, key, &whole))) *(int *)at = (int)whole;
        return status;
    case COPI_KEY_FLAG:
        return read_flag(y, node, key, at);
    case COPI_KEY_CHOICE:
        if (!(status = read_choice(y, node, key, &index))) *(int *)at = index;
        return status;
    case COPI_KEY_NAME:
        if (!(status = read_choice(y, node, key, &index))) *(const char **)at = key->names(index);
        return status;
    case COPI_KEY_WORDS:
        return read_words(y, node, key, at);
    case COPI_KEY_NUMBERS:
        return read_numbers(y, node, key, at);
    case COPI_KEY_STEPS:
        return read_steps(y, node, key, at);
    case COPI_KEY_SEEDS:
        return read_seeds(y, node, key, at);
    case COPI_KEY_MAP:
        return read_map(y, number, key->map, at);
    case COPI_KEY_MAPS:
        return read_maps(y, node, key, target, at);
    }
    return COP_OK;
}

static const char *schema_key(int i, const void *schema) {
    return ((const copi_schema *)schema)->keys[i].name;
}

static cop_status check_names(copi_yaml *y, const yaml_node_t *map, const copi_schema *schema) {
    int n = 0;
    while (schema->keys[n].name) n++;
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = node_at(y, p->key);
        int i = 0;
        while (i < n && !scalar_is(key, schema->keys[i].name)) i++;
        if (i == n) {
            char hint[400];
            add_hint(hint, sizeof hint, key->type == YAML_SCALAR_NODE ? (const char *)key->data.scalar.value : "", n,
                     schema_key, schema);
            return fail_at(y, key, "%s: unknown key \"%s\"%s", schema->what, show(key).text, hint);
        }
        const yaml_node_pair_t *first = find_pair(y, map, schema->keys[i].name);
        if (first != p)
            return fail_at(y, key, "%s: \"%s\" is given twice, first in line %zu", schema->what, show(key).text,
                           node_at(y, first->key)->start_mark.line + 1);
    }
    return COP_OK;
}

static bool is_allowed(const copi_schema *schema, const copi_key *key, const void *target) {
    return !key->family || !schema->family || (key->family & schema->family(target));
}

/* A name may stand in the table more than once, for families that mean different things by it. */
static bool means_another(const copi_schema *schema, const copi_key *key, const void *target) {
    for (const copi_key *k = schema->keys; k->name; k++)
        if (k != key && strcmp(k->name, key->name) == 0 && is_allowed(schema, k, target)) return true;
    return false;
}

static bool is_set(const copi_key *key, const void *target) {
    return key->settable && *(const char *const *)((const char *)target + key->at);
}

static cop_status read_map(copi_yaml *y, int number, const copi_schema *schema, void *target) {
    const yaml_node_t *map = node_at(y, number);
    if (map->type != YAML_MAPPING_NODE)
        return fail_at(y, map, "%s is %s%s%s; expected `key: value` pairs", schema->what,
                       map->type == YAML_SCALAR_NODE ? "\"" : "", show(map).text,
                       map->type == YAML_SCALAR_NODE ? "\"" : "");
    cop_status status = check_names(y, map, schema);
    for (const copi_key *key = schema->keys; !status && key->name; key++) {
        const yaml_node_pair_t *pair = find_pair(y, map, key->name);
        bool allowed = is_allowed(schema, key, target);
        if (pair && !allowed && means_another(schema, key, target)) continue;
        if (pair && !allowed) {
            status = fail_at(y, node_at(y, pair->key), "%s: \"%s\" belongs to %s", schema->what, key->name,
                             schema->owner(key->family));
        } else if (pair) {
            status = read_value(y, pair->value, key, target);
            if (!status && key->apply) key->apply(target);
        } else if (key->required && allowed && !is_set(key, target)) {
            status = fail_at(y, map, "%s: \"%s\" is missing", schema->what, key->name);
        }
    }
    return !status && schema->check ? schema->check(y, number, target) : status;
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

/* A first pass over the events: libyaml's time for a document grows with the square of its nesting, so a deep one is
 * refused before it is loaded. */
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

cop_status copi_yaml_read(cop_ctx *ctx, const char *path, const char *text, size_t n, const copi_schema *schema,
                          void *target) {
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
    status = root ? read_map(&y, 1, schema, target)
                  : copi_fail(ctx, COP_E_FORMAT, "%s: the file is empty; expected a %s", path, schema->what);
    yaml_document_delete(&y.document);
    if (!status && !yaml_parser_load(&parser, &y.document)) {
        status = fail_parse(&y, &parser);
    } else if (!status) {
        const yaml_node_t *second = yaml_document_get_root_node(&y.document);
        if (second) status = fail_at(&y, second, "a second document begins; expected one %s", schema->what);
        yaml_document_delete(&y.document);
    }
    yaml_parser_delete(&parser);
    return status;
}

void copi_yaml_clear(cop_ctx *ctx, const copi_schema *schema, void *target) {
    for (const copi_key *key = schema->keys; key->name; key++) {
        void *at = (char *)target + key->at;
        switch (key->kind) {
        case COPI_KEY_TEXT:
            copi_free(ctx, *(char **)at);
            *(char **)at = NULL;
            break;
        case COPI_KEY_NUMBERS:
            copi_free(ctx, ((copi_numbers *)at)->v);
            *(copi_numbers *)at = (copi_numbers){0};
            break;
        case COPI_KEY_SEEDS:
            copi_free(ctx, ((copi_seeds *)at)->v);
            *(copi_seeds *)at = (copi_seeds){0};
            break;
        case COPI_KEY_MAP:
            copi_yaml_clear(ctx, key->map, at);
            break;
        case COPI_KEY_MAPS: {
            copi_list *list = at;
            for (int i = 0; i < list->n; i++)
                copi_yaml_clear(ctx, key->map, (char *)list->v + (size_t)i * key->map->size);
            copi_free(ctx, list->v);
            *list = (copi_list){0};
            break;
        }
        default:
            break;
        }
    }
}

static void print_value(copi_buffer *b, const copi_key *key, const void *target, const void *usual);

/* Have both the same value, in words? */
static bool is_same(copi_buffer *b, const copi_key *key, const void *target, const void *base) {
    copi_buffer mine, other;
    copi_buffer_init(&mine, b->ctx);
    copi_buffer_init(&other, b->ctx);
    print_value(&mine, key, target, NULL);
    print_value(&other, key, base, NULL);
    bool same = mine.len == other.len && (!mine.len || memcmp(mine.data, other.data, mine.len) == 0);
    b->failed |= mine.failed || other.failed;
    copi_buffer_clear(&mine);
    copi_buffer_clear(&other);
    return same;
}

static void print_value(copi_buffer *b, const copi_key *key, const void *target, const void *usual) {
    const void *at = (const char *)target + key->at;
    switch (key->kind) {
    case COPI_KEY_TEXT:
    case COPI_KEY_NAME: {
        const char *text = *(const char *const *)at;
        copi_buffer_text(b, text ? text : "");
        break;
    }
    case COPI_KEY_NUMBER:
        copi_buffer_printf(b, "%.17g", *(const double *)at);
        break;
    case COPI_KEY_COUNT:
        copi_buffer_printf(b, "%lld", (long long)*(const int64_t *)at);
        break;
    case COPI_KEY_SMALL:
    case COPI_KEY_FLAG:
    case COPI_KEY_CHOICE:
        copi_buffer_printf(b, "%d", *(const int *)at);
        break;
    case COPI_KEY_WORDS:
        copi_buffer_printf(b, "%u", *(const unsigned *)at);
        break;
    case COPI_KEY_NUMBERS: {
        const copi_numbers *list = at;
        for (int i = 0; i < list->n; i++) copi_buffer_printf(b, "%.17g ", list->v[i]);
        break;
    }
    case COPI_KEY_STEPS:
        for (int i = 0; i < 4; i++) copi_buffer_printf(b, "%.17g ", ((const double *)at)[i]);
        break;
    case COPI_KEY_SEEDS: {
        const copi_seeds *list = at;
        for (int i = 0; i < list->n; i++) copi_buffer_printf(b, "%llu ", (unsigned long long)list->v[i]);
        break;
    }
    case COPI_KEY_MAP:
        copi_buffer_text(b, "{\n");
        copi_yaml_print(b, key->map, at, usual ? (const char *)usual + key->at : NULL);
        copi_buffer_text(b, "}");
        break;
    case COPI_KEY_MAPS: {
        const copi_list *list = at;
        for (int i = 0; i < list->n; i++)
            copi_yaml_print(b, key->map, (const char *)list->v + (size_t)i * key->map->size, NULL);
        break;
    }
    }
}

/* A value for people. */
static void say_value(copi_buffer *b, const copi_key *key, const void *target) {
    const void *at = (const char *)target + key->at;
    const copi_numbers *list = at;
    switch (key->kind) {
    case COPI_KEY_NUMBER:
        copi_buffer_printf(b, "%g", *(const double *)at);
        break;
    case COPI_KEY_FLAG:
        copi_buffer_text(b, *(const int *)at ? "true" : "false");
        break;
    case COPI_KEY_CHOICE:
        copi_buffer_text(b, key->names(*(const int *)at));
        break;
    case COPI_KEY_NUMBERS:
        for (int i = 0; i < list->n; i++) copi_buffer_printf(b, "%s%g", i ? "/" : "", list->v[i]);
        break;
    case COPI_KEY_STEPS:
        for (int i = 0; i < 4 && ((const double *)at)[i] > 0; i++)
            copi_buffer_printf(b, "%s%g", i ? "/" : "", ((const double *)at)[i]);
        break;
    default:
        print_value(b, key, target, NULL);
    }
}

void copi_yaml_say(copi_buffer *b, const copi_schema *schema, const void *target, const void *base, const char *of) {
    for (const copi_key *key = schema->keys; key->name; key++) {
        if (key->each || !is_allowed(schema, key, target) || (key->idle && key->idle(target))) continue;
        if (is_same(b, key, target, base)) continue;
        if (key->kind == COPI_KEY_MAP) {
            copi_yaml_say(b, key->map, (const char *)target + key->at, (const char *)base + key->at, key->name);
            continue;
        }
        copi_buffer_printf(b, ", %s%s%s", of, *of ? " " : "", key->name);
        if (key->kind == COPI_KEY_MAPS) continue; /* too long to say */
        copi_buffer_text(b, " ");
        say_value(b, key, target);
    }
}

void copi_yaml_print(copi_buffer *b, const copi_schema *schema, const void *target, const void *usual) {
    for (const copi_key *key = schema->keys; key->name; key++) {
        if (key->each || !is_allowed(schema, key, target) || (key->idle && key->idle(target))) continue;
        if (usual && key->late && is_same(b, key, target, usual)) continue;
        copi_buffer_printf(b, "%s=", key->name);
        print_value(b, key, target, usual);
        copi_buffer_text(b, "\n");
    }
}
