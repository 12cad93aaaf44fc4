/* study.db: the database of a study. Each trial is written in one transaction when it is over. */
#include "study/study.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define STORE_VERSION 1

struct copi_store {
    cop_ctx *ctx;
    char *path; /* of study.db */
    sqlite3 *db;
    int lock; /* file descriptor, -1: none */
};

/* `plan` holds the trials of the current study file; `trial` holds all that were ever run in this directory. */
static const char schema[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE plan(position INTEGER PRIMARY KEY, trial TEXT NOT NULL, setting TEXT NOT NULL, label TEXT NOT NULL,"
    " method TEXT NOT NULL, seed INTEGER NOT NULL, level REAL, asked REAL);"
    "CREATE TABLE trial(trial TEXT PRIMARY KEY, status TEXT NOT NULL, message TEXT NOT NULL, seconds REAL,"
    " method TEXT NOT NULL, label TEXT NOT NULL, seed INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE point(trial TEXT, number INTEGER, round INTEGER, level REAL, asked REAL, threshold REAL,"
    " sparsity REAL, sparsity_conv REAL, sparsity_dense REAL, accuracy_val REAL, accuracy_test REAL,"
    " accuracy_pruned REAL, parameters INTEGER, nonzero INTEGER, macs INTEGER, macs_effective INTEGER, epochs REAL,"
    " seconds REAL, train_macs REAL, PRIMARY KEY(trial, number)) WITHOUT ROWID;"
    "CREATE TABLE epoch(trial TEXT, number INTEGER, position INTEGER, epoch INTEGER, rate REAL, loss REAL,"
    " accuracy REAL, loss_val REAL, accuracy_val REAL, seconds REAL, PRIMARY KEY(trial, number, position))"
    " WITHOUT ROWID;"
    "CREATE TABLE layer(trial TEXT, number INTEGER, position INTEGER, name TEXT NOT NULL, op TEXT NOT NULL,"
    " parameters_dense INTEGER, nonzero INTEGER, macs_effective INTEGER, sparsity REAL,"
    " PRIMARY KEY(trial, number, position)) WITHOUT ROWID;";

static cop_status fail(copi_store *s, int code) {
    const char *words = s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(code);
    switch (code & 0xff) {
    case SQLITE_NOMEM:
        return copi_fail(s->ctx, COP_E_NOMEM, "%s: out of memory", s->path);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return copi_fail(s->ctx, COP_E_FORMAT, "%s: not a study database, or damaged: %s", s->path, words);
    default:
        return copi_fail(s->ctx, COP_E_IO, "%s: %s", s->path, words);
    }
}

/* -------------------------------------------------------------------------------------------- statements -- */

/* Prepare a statement and bind its values: 't' const char *, 'i' int64_t, 'd' double (NaN becomes NULL). */
static cop_status prepare(copi_store *s, sqlite3_stmt **st, const char *sql, const char *types, va_list args) {
    int code = sqlite3_prepare_v2(s->db, sql, -1, st, NULL);
    for (int i = 0; code == SQLITE_OK && types[i]; i++) {
        switch (types[i]) {
        case 't':
            code = sqlite3_bind_text(*st, i + 1, va_arg(args, const char *), -1, SQLITE_TRANSIENT);
            break;
        case 'i':
            code = sqlite3_bind_int64(*st, i + 1, va_arg(args, int64_t));
            break;
        default:
            code = sqlite3_bind_double(*st, i + 1, va_arg(args, double));
            break;
        }
    }
    return code == SQLITE_OK ? COP_OK : fail(s, code);
}

/* Run a statement that gives no rows. */
static cop_status run(copi_store *s, const char *sql, const char *types, ...) {
    sqlite3_stmt *st = NULL;
    va_list args;
    va_start(args, types);
    cop_status status = prepare(s, &st, sql, types, args);
    va_end(args);
    if (!status) {
        int code = sqlite3_step(st);
        if (code != SQLITE_DONE && code != SQLITE_ROW) status = fail(s, code);
    }
    sqlite3_finalize(st);
    return status;
}

/* Begin a query; next() steps through the rows and finishes the statement at the end. */
static cop_status query(copi_store *s, sqlite3_stmt **st, const char *sql, const char *types, ...) {
    va_list args;
    va_start(args, types);
    cop_status status = prepare(s, st, sql, types, args);
    va_end(args);
    if (status) sqlite3_finalize(*st);
    return status;
}

static bool next(copi_store *s, sqlite3_stmt *st, cop_status *status) {
    if (!*status) {
        int code = sqlite3_step(st);
        if (code == SQLITE_ROW) return true;
        if (code != SQLITE_DONE) *status = fail(s, code);
    }
    sqlite3_finalize(st);
    return false;
}

static double number(sqlite3_stmt *st, int column) {
    return sqlite3_column_type(st, column) == SQLITE_NULL ? NAN : sqlite3_column_double(st, column);
}

static char *text(copi_store *s, sqlite3_stmt *st, int column, cop_status *status) {
    const char *words = (const char *)sqlite3_column_text(st, column);
    char *copy = copi_strdup(s->ctx, words ? words : "");
    if (!copy) *status = COP_E_NOMEM;
    return copy;
}

/* The next free entry of a list that grows by doubling, zeroed; NULL: no memory. */
static void *grow(cop_ctx *ctx, void **list, int n, size_t size, cop_status *status) {
    if (n == 0 || (n & (n - 1)) == 0) { /* full at every power of two */
        void *more = copi_grow(ctx, *list, (size_t)n, n ? (size_t)n * 2 : 1, size);
        if (!more) {
            *status = COP_E_NOMEM;
            return NULL;
        }
        *list = more;
    }
    return (char *)*list + (size_t)n * size;
}

/* --------------------------------------------------------------------------------------------------- open -- */

/* Only one process at a time writes to a directory; the lock ends with the process. */
static cop_status take_lock(copi_store *s, const char *dir) {
    char *path = copi_format(s->ctx, "%s/study.lock", dir);
    if (!path) return COP_E_NOMEM;
    cop_status status = COP_OK;
    s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (s->lock < 0) {
        status = copi_fail(s->ctx, COP_E_IO, "%s: %s", path, strerror(errno));
    } else if (flock(s->lock, LOCK_EX | LOCK_NB)) {
        char holder[24] = {0};
        ssize_t n = errno == EWOULDBLOCK ? read(s->lock, holder, sizeof holder - 1) : -1;
        status = n < 0
                     ? copi_fail(s->ctx, COP_E_IO, "%s: cannot lock: %s", path, strerror(errno))
                     : copi_fail(s->ctx, COP_E_REFUSED,
                                 "%s: another process (%.*s) is running a study here; wait for it or choose another "
                                 "directory",
                                 dir, (int)strspn(holder, "0123456789"), holder);
    } else {
        char holder[24];
        int n = snprintf(holder, sizeof holder, "%ld\n", (long)getpid());
        if (ftruncate(s->lock, 0) || write(s->lock, holder, (size_t)n) != n)
            status = copi_fail(s->ctx, COP_E_IO, "%s: %s", path, strerror(errno));
    }
    copi_free(s->ctx, path);
    return status;
}

static cop_status check_version(copi_store *s, bool may_create) {
    sqlite3_stmt *st;
    int version = -1, tables = 0;
    cop_status status = query(s, &st,
                              "SELECT (SELECT user_version FROM pragma_user_version),"
                              " (SELECT count(*) FROM sqlite_master)",
                              "");
    if (status) return status;
    while (next(s, st, &status)) {
        version = sqlite3_column_int(st, 0);
        tables = sqlite3_column_int(st, 1);
    }
    if (status) return status;
    if (version == STORE_VERSION) return COP_OK;
    if (version != 0 || tables != 0 || !may_create)
        return copi_fail(s->ctx, COP_E_VERSION, "%s: store of version %d; this program reads version %d", s->path,
                         version, STORE_VERSION);
    char *sql = sqlite3_mprintf("BEGIN IMMEDIATE; %s PRAGMA user_version=%d; COMMIT;", schema, STORE_VERSION);
    int code = sql ? sqlite3_exec(s->db, sql, NULL, NULL, NULL) : SQLITE_NOMEM;
    sqlite3_free(sql);
    return code == SQLITE_OK ? COP_OK : fail(s, code);
}

cop_status copi_store_open(cop_ctx *ctx, const char *dir, copi_store_mode mode, copi_store **store) {
    *store = NULL;
    bool write = mode == COPI_STORE_WRITE;
    cop_status status = write ? copi_make_dir(ctx, dir) : COP_OK;
    if (status) return status;
    copi_store *s = copi_alloc(ctx, 1, sizeof *s);
    if (!s) return COP_E_NOMEM;
    s->ctx = ctx;
    s->lock = -1;
    s->path = copi_format(ctx, "%s/study.db", dir);
    if (!s->path) status = COP_E_NOMEM;
    if (!status && !write && access(s->path, F_OK))
        status = copi_fail(ctx, COP_E_NOT_FOUND, "%s: no study here (%s)", dir, strerror(errno));
    if (!status && write) status = take_lock(s, dir);
    if (!status) {
        int code = sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE | (write ? SQLITE_OPEN_CREATE : 0), NULL);
        if (code == SQLITE_OK) code = sqlite3_busy_timeout(s->db, 10000);
        if (code == SQLITE_OK && write)
            code = sqlite3_exec(s->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;", NULL, NULL, NULL);
        status = code == SQLITE_OK ? check_version(s, write) : fail(s, code);
    }
    if (status)
        copi_store_close(s);
    else
        *store = s;
    return status;
}

void copi_store_close(copi_store *s) {
    if (!s) return;
    sqlite3_close(s->db);
    if (s->lock >= 0) close(s->lock);
    copi_free(s->ctx, s->path);
    copi_free(s->ctx, s);
}

/* -------------------------------------------------------------------------------------------------- write -- */

cop_status copi_store_set(copi_store *s, const char *key, const char *value) {
    return run(s, "INSERT OR REPLACE INTO meta VALUES(?,?)", "tt", key, value);
}

cop_status copi_store_get(copi_store *s, const char *key, char **value) {
    sqlite3_stmt *st;
    *value = NULL;
    cop_status status = query(s, &st, "SELECT value FROM meta WHERE key = ?", "t", key);
    if (status) return status;
    while (next(s, st, &status))
        if (!*value) *value = text(s, st, 0, &status);
    return status;
}

/* End a transaction: commit, or roll back and keep the first error's text. */
static cop_status end(copi_store *s, cop_status status) {
    if (!status) status = run(s, "COMMIT", "");
    if (status) sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

cop_status copi_store_plan(copi_store *s, const copi_trials *trials) {
    cop_status status = run(s, "BEGIN IMMEDIATE", "");
    if (status) return status;
    status = run(s, "DELETE FROM plan", "");
    for (int i = 0; !status && i < trials->n; i++) {
        const copi_trial *t = &trials->trial[i];
        status = run(s, "INSERT INTO plan VALUES(?,?,?,?,?,?,?,?)",
                     "itttt"
                     "idd",
                     (int64_t)i, t->name, t->setting, t->label, t->method, (int64_t)t->seed, t->level, t->asked);
    }
    return end(s, status);
}

cop_status copi_store_status(copi_store *s, const char *trial, char status_text[16]) {
    snprintf(status_text, 16, "%s", COPI_PENDING);
    sqlite3_stmt *st;
    cop_status status = query(s, &st, "SELECT status FROM trial WHERE trial=?", "t", trial);
    if (status) return status;
    while (next(s, st, &status)) snprintf(status_text, 16, "%s", (const char *)sqlite3_column_text(st, 0));
    return status;
}

static cop_status put_point(copi_store *s, const char *trial, int64_t number_, const copi_stored_point *point) {
    const cop_point *p = &point->p;
    cop_status status =
        run(s, "INSERT INTO point VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            "tii"
            "ddd"
            "ddd"
            "ddd"
            "iiii"
            "ddd",
            trial, number_, (int64_t)p->round, p->level, p->asked, p->threshold, p->sparsity, p->sparsity_conv,
            p->sparsity_dense, p->accuracy_val, p->accuracy_test, p->accuracy_pruned, p->parameters, p->nonzero,
            p->macs, p->macs_effective, p->epochs, p->seconds, p->train_macs);
    for (int i = 0; !status && i < p->history.count; i++) {
        const cop_epoch *e = &p->history.epoch[i];
        status = run(s, "INSERT INTO epoch VALUES(?,?,?,?,?,?,?,?,?,?)",
                     "tiii"
                     "dddddd",
                     trial, number_, (int64_t)i, (int64_t)e->epoch, e->rate, e->loss, e->accuracy, e->loss_validation,
                     e->accuracy_validation, e->seconds);
    }
    for (int i = 0; !status && i < point->layers; i++) {
        const copi_layer_row *l = &point->layer[i];
        status = run(s, "INSERT INTO layer VALUES(?,?,?,?,?,?,?,?,?)",
                     "tii"
                     "tt"
                     "iii"
                     "d",
                     trial, number_, (int64_t)i, l->name, l->op, l->parameters_dense, l->nonzero, l->macs_effective,
                     l->sparsity);
    }
    return status;
}

cop_status copi_store_put(copi_store *s, const copi_stored_trial *t, const char *best) {
    static const char *const tables[] = {"DELETE FROM trial WHERE trial=?", "DELETE FROM point WHERE trial=?",
                                         "DELETE FROM epoch WHERE trial=?", "DELETE FROM layer WHERE trial=?"};
    cop_status status = run(s, "BEGIN IMMEDIATE", "");
    if (status) return status;
    for (size_t i = 0; !status && i < COPI_COUNT(tables); i++) status = run(s, tables[i], "t", t->name);
    if (!status)
        status = run(s, "INSERT INTO trial VALUES(?,?,?,?,?,?,?)", "tttdtti", t->name, t->status,
                     t->message ? t->message : "", t->seconds, t->method, t->label, (int64_t)t->seed);
    for (int i = 0; !status && i < t->points; i++) status = put_point(s, t->name, i, &t->point[i]);
    if (!status && best) status = copi_store_set(s, "best", best);
    return end(s, status);
}

/* --------------------------------------------------------------------------------------------------- read -- */

static cop_status load_meta(copi_store *s, copi_meta *meta) {
    sqlite3_stmt *st;
    cop_status status = query(s, &st, "SELECT key, value FROM meta", "");
    if (status) return status;
    while (next(s, st, &status)) {
        const char *key = (const char *)sqlite3_column_text(st, 0);
#define X(field)                                                                                                     \
    if (strcmp(key, #field) == 0 && !meta->field) meta->field = text(s, st, 1, &status);
        COPI_META_LIST(X)
#undef X
    }
#define X(field)                                                                                                     \
    if (!status && !meta->field && !(meta->field = copi_strdup(s->ctx, ""))) status = COP_E_NOMEM;
    COPI_META_LIST(X)
#undef X
    return status;
}

static cop_status load_epochs(copi_store *s, const char *trial, int point, cop_history *history) {
    sqlite3_stmt *st;
    history->ctx = s->ctx;
    cop_status status = query(s, &st,
                              "SELECT epoch, rate, loss, accuracy, loss_val, accuracy_val, seconds FROM epoch"
                              " WHERE trial=? AND number=? ORDER BY position",
                              "ti", trial, (int64_t)point);
    if (status) return status;
    while (next(s, st, &status)) {
        void *list = history->epoch;
        cop_epoch *e = grow(s->ctx, &list, history->count, sizeof *e, &status);
        history->epoch = list;
        if (!e) continue;
        history->count++;
        *e = (cop_epoch){.epoch = sqlite3_column_int(st, 0),
                         .rate = number(st, 1),
                         .loss = number(st, 2),
                         .accuracy = number(st, 3),
                         .loss_validation = number(st, 4),
                         .accuracy_validation = number(st, 5),
                         .seconds = number(st, 6)};
    }
    return status;
}

static cop_status load_layers(copi_store *s, const char *trial, int point, copi_stored_point *p) {
    sqlite3_stmt *st;
    cop_status status = query(s, &st,
                              "SELECT name, op, parameters_dense, nonzero, macs_effective, sparsity FROM layer"
                              " WHERE trial=? AND number=? ORDER BY position",
                              "ti", trial, (int64_t)point);
    if (status) return status;
    while (next(s, st, &status)) {
        void *list = p->layer;
        copi_layer_row *l = grow(s->ctx, &list, p->layers, sizeof *l, &status);
        p->layer = list;
        if (!l) continue;
        p->layers++;
        l->name = text(s, st, 0, &status);
        l->op = text(s, st, 1, &status);
        l->parameters_dense = sqlite3_column_int64(st, 2);
        l->nonzero = sqlite3_column_int64(st, 3);
        l->macs_effective = sqlite3_column_int64(st, 4);
        l->sparsity = number(st, 5);
    }
    return status;
}

static cop_status load_points(copi_store *s, copi_stored_trial *t) {
    sqlite3_stmt *st;
    cop_status status =
        query(s, &st,
              "SELECT round, level, asked, threshold, sparsity, sparsity_conv, sparsity_dense, accuracy_val,"
              " accuracy_test, accuracy_pruned, parameters, nonzero, macs, macs_effective, epochs, seconds,"
              " train_macs FROM point WHERE trial=? ORDER BY number",
              "t", t->name);
    if (status) return status;
    while (next(s, st, &status)) {
        void *list = t->point;
        copi_stored_point *p = grow(s->ctx, &list, t->points, sizeof *p, &status);
        t->point = list;
        if (!p) continue;
        t->points++;
        p->p = (cop_point){.round = sqlite3_column_int(st, 0),
                           .level = number(st, 1),
                           .asked = number(st, 2),
                           .threshold = number(st, 3),
                           .sparsity = number(st, 4),
                           .sparsity_conv = number(st, 5),
                           .sparsity_dense = number(st, 6),
                           .accuracy_val = number(st, 7),
                           .accuracy_test = number(st, 8),
                           .accuracy_pruned = number(st, 9),
                           .parameters = sqlite3_column_int64(st, 10),
                           .nonzero = sqlite3_column_int64(st, 11),
                           .macs = sqlite3_column_int64(st, 12),
                           .macs_effective = sqlite3_column_int64(st, 13),
                           .epochs = number(st, 14),
                           .seconds = number(st, 15),
                           .train_macs = number(st, 16)};
    }
    for (int i = 0; !status && i < t->points; i++) {
        status = load_epochs(s, t->name, i, &t->point[i].p.history);
        if (!status) status = load_layers(s, t->name, i, &t->point[i]);
    }
    return status;
}

static cop_status load_trials(copi_store *s, copi_results *r) {
    sqlite3_stmt *st;
    cop_status status =
        query(s, &st,
              "SELECT plan.trial, plan.setting, plan.label, plan.method, plan.seed, plan.level, plan.asked,"
              " coalesce(trial.status, 'pending'), coalesce(trial.message, ''), trial.seconds"
              " FROM plan LEFT JOIN trial ON trial.trial=plan.trial ORDER BY plan.position",
              "");
    if (status) return status;
    while (next(s, st, &status)) {
        void *list = r->trial;
        copi_stored_trial *t = grow(s->ctx, &list, r->trials, sizeof *t, &status);
        r->trial = list;
        if (!t) continue;
        r->trials++;
        t->name = text(s, st, 0, &status);
        t->setting = text(s, st, 1, &status);
        t->label = text(s, st, 2, &status);
        t->method = text(s, st, 3, &status);
        t->seed = (uint64_t)sqlite3_column_int64(st, 4);
        t->level = number(st, 5);
        t->asked = number(st, 6);
        t->status = text(s, st, 7, &status);
        t->message = text(s, st, 8, &status);
        t->seconds = number(st, 9);
    }
    return status;
}

cop_status copi_store_load(copi_store *s, copi_results *r) {
    *r = (copi_results){.ctx = s->ctx};
    /* one consistent view, although another process may write */
    cop_status status = run(s, "BEGIN", "");
    if (status) return status;
    status = load_meta(s, &r->meta);
    if (!status) status = load_trials(s, r);
    for (int i = 0; !status && i < r->trials; i++) status = load_points(s, &r->trial[i]);
    status = end(s, status);
    if (status) {
        copi_results_clear(r);
        return status;
    }
    r->floor = strtod(r->meta.floor, NULL);
    return COP_OK;
}

void copi_stored_trial_clear(cop_ctx *ctx, copi_stored_trial *t) {
    for (int i = 0; i < t->points; i++) {
        copi_stored_point *p = &t->point[i];
        copi_free(ctx, p->p.history.epoch);
        for (int k = 0; k < p->layers; k++) {
            copi_free(ctx, p->layer[k].name);
            copi_free(ctx, p->layer[k].op);
        }
        copi_free(ctx, p->layer);
    }
    copi_free(ctx, t->point);
    char *texts[] = {t->name, t->setting, t->label, t->method, t->status, t->message};
    for (size_t i = 0; i < COPI_COUNT(texts); i++) copi_free(ctx, texts[i]);
    *t = (copi_stored_trial){0};
}

void copi_results_clear(copi_results *r) {
    if (!r->ctx) return;
    for (int i = 0; i < r->trials; i++) copi_stored_trial_clear(r->ctx, &r->trial[i]);
    copi_free(r->ctx, r->trial);
#define X(field) copi_free(r->ctx, r->meta.field);
    COPI_META_LIST(X)
#undef X
    *r = (copi_results){0};
}
