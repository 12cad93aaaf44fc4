/* What auto tries next. It follows from the store alone: the results so far and the seconds left. So an interrupted
 * run plans the same trials again. */
#include "search/auto.h"

#include <math.h>

#define LEVEL_FIRST 0.98 /* where there is no bound: what small nets for small images allow */
#define LEVEL_LEAST 0.5
#define SHARE_CHOOSING 0.25 /* of the seconds left after the dense net, for choosing a candidate */
#define SHARE_LONG 0.55     /* of the rest, for each trial in turn: the first is the longest */
#define MARGIN 0.97         /* of the seconds left: estimates may fill this much */
enum { EPOCHS_LEAST = 3, EPOCHS_MOST = 10, BISECTIONS = 4, FURTHER = 5 };

double copi_auto_cost(const copi_auto *a, int candidate) {
    const copi_attempt *best = NULL;
    for (int i = 0; i < a->attempts; i++) {
        const copi_attempt *t = &a->attempt[i];
        if (t->candidate == candidate && t->done && (!best || t->epochs > best->epochs)) best = t;
    }
    /* a trial's seconds are those of its last session; its point's are those of all sessions */
    return best ? fmax(best->seconds, best->p.seconds) / best->epochs : a->distilled;
}

cop_status copi_auto_add(copi_auto *a, int candidate, double epochs, double level) {
    for (int i = 0; i < a->attempts; i++) {
        const copi_attempt *t = &a->attempt[i];
        if (t->candidate == candidate && t->epochs == epochs && t->level == level) return COP_OK;
    }
    copi_attempt *more = copi_grow(a->ctx, a->attempt, (size_t)a->attempts, (size_t)a->attempts + 1, sizeof *more);
    if (!more) return COP_E_NOMEM;
    a->attempt = more;
    a->attempt[a->attempts++] = (copi_attempt){.candidate = candidate, .epochs = epochs, .level = level, .ms = NAN};
    return COP_OK;
}

double copi_auto_merit(const copi_auto *a, const copi_attempt *t) {
    if (!t->done || isnan(t->p.accuracy_val)) return -1;
    copi_measures m = copi_auto_measures(&t->p, t->bytes, t->ms);
    bool accuracy_alone = copi_auto_bound(a) && !copi_auto_accuracy_bound(a);
    double value = accuracy_alone ? t->p.accuracy_val : cop_score(t->p.accuracy_val, t->p.sparsity, 0);
    return fmax(0, value - copi_auto_miss(a, &m, false, NULL));
}

/* A candidate's best merit among its longest attempts. */
static double candidate_merit(const copi_auto *a, int candidate) {
    double epochs = 0, merit = -1;
    for (int i = 0; i < a->attempts; i++)
        if (a->attempt[i].candidate == candidate) epochs = fmax(epochs, a->attempt[i].epochs);
    for (int i = 0; i < a->attempts; i++)
        if (a->attempt[i].candidate == candidate && a->attempt[i].epochs == epochs)
            merit = fmax(merit, copi_auto_merit(a, &a->attempt[i]));
    return merit;
}

/* The level at which a candidate is tried first. */
static cop_status first_level(copi_auto *a, int candidate, double *level) {
    *level = LEVEL_FIRST;
    return copi_auto_bound(a) ? copi_auto_level(a, a->study.dense, candidate, level) : COP_OK;
}

/* -- successive halving -- */

static cop_status first_rung(copi_auto *a, double left) {
    double cost = 0; /* of all trials that choose, in epochs of the first rung */
    for (int c = 0; c < a->candidates; c++) cost += 2 * copi_auto_cost(a, c); /* the better half runs twice as long */
    cost += 4 * a->distilled;                                                 /* two levels */
    a->rung_epochs = fmin(floor(SHARE_CHOOSING * left / cost), EPOCHS_MOST);
    if (a->rung_epochs < EPOCHS_LEAST) a->rung_epochs = 0; /* such a short trial shows only noise */
    cop_status status = COP_OK;
    for (int c = 0; !status && a->rung_epochs > 0 && c < a->candidates; c++) {
        double level;
        status = first_level(a, c, &level);
        if (!status) status = copi_auto_add(a, c, a->rung_epochs, level);
    }
    return status;
}

/* The candidates of highest merit; equal ones in the order of the table. */
static cop_status second_rung(copi_auto *a) {
    double merit[COPI_CANDIDATES];
    cop_status status = COP_OK;
    for (int c = 0; c < a->candidates; c++) merit[c] = candidate_merit(a, c);
    for (int k = 0; !status && k < a->candidates / 2; k++) {
        int best = 0;
        double level;
        for (int c = 1; c < a->candidates; c++)
            if (merit[c] > merit[best]) best = c;
        if (merit[best] < 0) break;
        merit[best] = -2;
        status = first_level(a, best, &level);
        if (!status) status = copi_auto_add(a, best, 2 * a->rung_epochs, level);
    }
    return status;
}

static int winner(const copi_auto *a) {
    int best = 0;
    double longest = 0, most = -1;
    for (int i = 0; i < a->attempts; i++) longest = fmax(longest, a->attempt[i].epochs);
    for (int i = 0; i < a->attempts; i++) {
        const copi_attempt *t = &a->attempt[i];
        double merit = t->epochs == longest ? copi_auto_merit(a, t) : -1;
        if (merit > most) most = merit, best = t->candidate;
    }
    return best;
}

static cop_status level_rung(copi_auto *a) {
    a->winner = winner(a);
    if (copi_auto_bound(a) || copi_auto_accuracy_bound(a) || a->rung_epochs == 0) return COP_OK;
    cop_status status = copi_auto_add(a, a->winner, 2 * a->rung_epochs, 0.99);
    return status ? status : copi_auto_add(a, a->winner, 2 * a->rung_epochs, 0.97);
}

/* -- long trials -- */

/* The vertex of the parabola of merit over log(1 - level) through the winner's attempts of one length, limited to
 * their range; where there is no maximum, the best of them. */
static double best_level(const copi_auto *a) {
    double x[3], y[3], best = LEVEL_FIRST, most = -1;
    int n = 0;
    for (int i = 0; i < a->attempts && n < 3; i++) {
        const copi_attempt *t = &a->attempt[i];
        if (t->candidate != a->winner || !t->done || t->epochs != 2 * a->rung_epochs) continue;
        x[n] = log(1 - t->level);
        y[n++] = copi_auto_merit(a, t);
        if (y[n - 1] > most) most = y[n - 1], best = t->level;
    }
    if (n < 3) return best;
    double d1 = (y[1] - y[0]) / (x[1] - x[0]), d2 = (y[2] - y[1]) / (x[2] - x[1]);
    double bend = (d2 - d1) / (x[2] - x[0]);
    if (!(bend < 0)) return best;
    double top = (x[0] + x[1]) / 2 - d1 / (2 * bend);
    double low = fmin(x[0], fmin(x[1], x[2])), high = fmax(x[0], fmax(x[1], x[2]));
    return copi_auto_round(1 - exp(fmin(fmax(top, low), high)));
}

/* The sparsest level that keeps the accuracy, by bisection. false: it is found, or there is none. */
static bool bisect(const copi_auto *a, double least, double epochs, double *level) {
    double holds = -1, fails = 2;
    for (int i = 0; i < a->attempts; i++) {
        const copi_attempt *t = &a->attempt[i];
        if (t->candidate == a->winner && t->done && t->p.accuracy_val >= a->floor) holds = fmax(holds, t->level);
    }
    for (int i = 0; i < a->attempts; i++) { /* a short one proves little; and nothing if another one held there */
        const copi_attempt *t = &a->attempt[i];
        if (t->candidate == a->winner && t->done && t->level > holds && t->epochs > epochs / 2 &&
            !(t->p.accuracy_val >= a->floor))
            fails = fmin(fails, t->level);
    }
    if (holds < 0 && fails > 1)
        *level = fmax(least, LEVEL_FIRST);
    else if (holds < 0)
        *level = 1 - 3 * (1 - fails);
    else if (fails > 1)
        *level = 1 - 0.6 * (1 - holds);
    else if ((1 - holds) / (1 - fails) < 1.05)
        return false;
    else
        *level = 1 - sqrt((1 - holds) * (1 - fails));
    *level = copi_auto_round(fmin(fmax(*level, least), 0.9995));
    return *level != fails && *level != holds;
}

/* No level has kept the accuracy so far: is a trial of so many epochs at the least level worth it? */
static bool worth_all(const copi_auto *a, double epochs) {
    double longest = 0;
    for (int i = 0; i < a->attempts; i++) {
        const copi_attempt *t = &a->attempt[i];
        if (t->candidate != a->winner) continue;
        if (t->done && t->p.accuracy_val >= a->floor) return false;
        longest = fmax(longest, t->epochs);
    }
    return epochs >= 2 * longest;
}

static cop_status long_trial(copi_auto *a, double left, bool *more) {
    double cost = copi_auto_cost(a, a->winner), epochs = floor(MARGIN * left / cost), level = 0, least = 0;
    bool must = a->attempts == 0; /* at least one trial, whatever the estimates say */
    *more = must || (epochs >= EPOCHS_LEAST && a->longs < FURTHER);
    if (!*more) return COP_OK;
    epochs = fmax(epochs, 1);
    bool bound = copi_auto_bound(a);
    cop_status status = bound ? copi_auto_level(a, a->study.dense, a->winner, &least) : COP_OK;
    if (status) return status;
    if (copi_auto_accuracy_bound(a)) {
        double all = epochs, part = floor(epochs / (a->longs < BISECTIONS ? BISECTIONS - a->longs : 1));
        if (part >= EPOCHS_LEAST) epochs = part;
        *more = bisect(a, bound ? least : LEVEL_LEAST, epochs, &level) || must;
        if (!*more && (*more = worth_all(a, all))) epochs = all, level = bound ? least : LEVEL_LEAST;
        a->longs++;
        return *more ? copi_auto_add(a, a->winner, epochs, level) : COP_OK;
    }
    double part = floor(SHARE_LONG * epochs);
    if (part >= EPOCHS_LEAST && epochs - part >= EPOCHS_LEAST) epochs = part;
    if (a->longs == 0) a->main_level = bound ? least : best_level(a);
    if (bound && least > a->main_level) a->main_level = least; /* the trial before missed */
    /* 1 - level of each trial over that of the main one; a bound allows only sparser ones */
    static const double free_step[FURTHER] = {1, 0.75, 1.5, 3, 6}, bound_step[FURTHER] = {1, 1, 0.8, 0.6, 0.4};
    double step = (bound ? bound_step : free_step)[a->longs++];
    level = copi_auto_round(fmax(1 - step * (1 - a->main_level), least));
    return copi_auto_add(a, a->winner, epochs, level);
}

cop_status copi_auto_next(copi_auto *a, double left, bool *more) {
    int before = a->attempts;
    cop_status status = COP_OK;
    *more = true;
    while (!status && *more && a->attempts == before) {
        switch (a->stage) {
        case COPI_STAGE_FIRST:
            a->stage = COPI_STAGE_SECOND;
            status = first_rung(a, left);
            break;
        case COPI_STAGE_SECOND:
            a->stage = COPI_STAGE_LEVELS;
            if (a->attempts) status = second_rung(a);
            break;
        case COPI_STAGE_LEVELS:
            a->stage = COPI_STAGE_LONG;
            status = level_rung(a);
            break;
        case COPI_STAGE_LONG:
            status = long_trial(a, left, more);
            break;
        }
    }
    return status;
}
