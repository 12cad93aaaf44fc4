#include "base/base.h"

const char *cop_status_text(cop_status status) {
    static const char *const text[] = {
#define X(name, words) words,
        COP_STATUS_LIST(X)
#undef X
    };
    return (size_t)status < COPI_COUNT(text) ? text[status] : "unknown status";
}

const char *cop_version(void) { return COP_VERSION; }
