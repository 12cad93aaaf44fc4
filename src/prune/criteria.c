/* The list of criteria. */
#include "prune/criteria.h"

#include <string.h>

static const copi_criterion *const criteria[] = {
#define X(symbol) &copi_criterion_##symbol,
#include "prune/criteria.def"
#undef X
};

COPI_LIST_COUNT(cop_criterion_count, criteria)
COPI_LIST_TEXT(cop_criterion_name, criteria, ->name)
COPI_LIST_TEXT(cop_criterion_help, criteria, ->help)

const copi_criterion *copi_criterion_find(const char *name) {
    for (size_t i = 0; name && i < COPI_COUNT(criteria); i++)
        if (!strcmp(criteria[i]->name, name)) return criteria[i];
    return NULL;
}

copi_rows copi_rows_of(const cop_net *net, const copi_node *node) {
    const copi_param *weight = copi_node_slot(net, node, COPI_WEIGHT);
    return (copi_rows){weight->shape[0], weight->count / weight->shape[0], weight->data};
}
