/* JSON on standard output. */
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static json_t *made(json_t *value) {
    if (!value) die_no_memory();
    return value;
}

json_t *json_object_new(void) {
    return made(json_object());
}
json_t *json_array_new(void) {
    return made(json_array());
}
json_t *json_number(double x) {
    return isfinite(x) ? made(json_real(x)) : json_null();
}
json_t *json_count(int64_t n) {
    return made(json_integer(n));
}

json_t *json_text(const char *text) {
    if (!text) return json_null();
    json_t *value = json_string(text);
    if (value) return value;
    char *ascii = malloc(strlen(text) + 1); /* JSON must be UTF-8; a file's name may not be */
    if (!ascii) die_no_memory();
    size_t n = 0;
    for (; text[n]; n++) ascii[n] = (unsigned char)text[n] < 128 ? text[n] : '?';
    ascii[n] = 0;
    value = json_string(ascii);
    free(ascii);
    return made(value);
}

void json_put(json_t *object, const char *key, json_t *value) {
    if (json_object_set_new(object, key, value)) die_no_memory();
}

void json_add(json_t *array, json_t *value) {
    if (json_array_append_new(array, value)) die_no_memory();
}

json_t *json_counts(const int64_t *x, int n) {
    json_t *list = json_array_new();
    for (int i = 0; i < n; i++) json_add(list, json_count(x[i]));
    return list;
}

json_t *json_numbers(const double *x, int n) {
    json_t *list = json_array_new();
    for (int i = 0; i < n; i++) json_add(list, json_number(x[i]));
    return list;
}

int json_print(json_t *root) {
    char *text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
    json_decref(root);
    if (!text) die_no_memory();
    puts(text);
    free(text);
    return EXIT_DONE;
}
