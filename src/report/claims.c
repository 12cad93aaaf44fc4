/* The reference study's claims, tested on a study's own figures: docs/methods.md, "Claims". Levels are chosen on
 * validation; the accuracies that are compared are those of the test split. */
#include "report/report.h"

#include <math.h>
#include <string.h>

/* The words of the claims as numbers. */
#define ABOUT_5_PERCENT 0.15  /* conv sparsity below this is "only about 5 %" */
#define A_FEW_POINTS 0.05     /* of accuracy */
#define HALF 0.5              /* a pruned net worth tuning has lost at least this share of its weights */
#define MUCH_COMPUTATION 0.25 /* of what training the dense net took */
#define SEVERAL_ROUNDS 2

const char *copi_verdict_name(copi_verdict verdict) {
    static const char *const text[] = {"undecided", "confirmed", "refuted"};
    return text[verdict];
}

typedef struct facts {
    const copi_results *r;
    const copi_figures *f;
    double dense;      /* test accuracy of the dense net */
    copi_claim *claim; /* the one being decided */
} facts;

static bool is(const copi_setting *s, const char *method) {
    return strcmp(s->trial->method, method) == 0;
}

static int round_of(const copi_setting *s) {
    return copi_setting_point(s)->p.round;
}

static bool holds(const facts *x, const copi_setting *s) {
    return s->val.mean >= x->r->floor;
}

/* A claim uses a figure of this setting: keep the least number of seeds behind any of them. */
static void use(const facts *x, const copi_setting *s) {
    if (x->claim->seeds == 0 || s->seeds < x->claim->seeds) x->claim->seeds = s->seeds;
}

#define say(claim, ...) copi_append((claim)->figures, sizeof(claim)->figures, __VA_ARGS__)

/* A gap counts only beyond one standard deviation, which one seed does not have: docs/methods.md, "Claims". */
static copi_verdict weigh(double gap, double std) {
    if (isnan(gap) || (!isnan(std) && fabs(gap) <= std)) return COPI_UNDECIDED;
    return gap > 0 ? COPI_CONFIRMED : COPI_REFUTED;
}

static double larger(double a, double b) {
    return isnan(a) ? b : isnan(b) ? a : fmax(a, b);
}

/* -- a -- */

static void filters_fall_early(const facts *x) {
    double hold = 0, fall = INFINITY, hold_accuracy = x->dense, fall_accuracy = NAN;
    int seen = 0;
    for (int i = 0; i < x->f->settings; i++) {
        const copi_setting *s = &x->f->setting[i];
        if (round_of(s) != 0 || !(is(s, "l1-filter") || is(s, "l2-filter"))) continue;
        seen++;
        use(x, s);
        if (holds(x, s) && s->sparsity_conv.mean > hold) {
            hold = s->sparsity_conv.mean;
            hold_accuracy = s->test.mean;
        }
    }
    for (int i = 0; i < x->f->settings; i++) {
        const copi_setting *s = &x->f->setting[i];
        if (round_of(s) != 0 || !(is(s, "l1-filter") || is(s, "l2-filter")) || holds(x, s)) continue;
        if (s->sparsity_conv.mean > hold && s->sparsity_conv.mean < fall) {
            fall = s->sparsity_conv.mean;
            fall_accuracy = s->test.mean;
        }
    }
    if (!seen) {
        say(x->claim, "No one-shot filter pruning in this study.");
        return;
    }
    say(x->claim, "The floor %.2f holds up to conv sparsity %.3f (accuracy %.3f)", x->r->floor, hold, hold_accuracy);
    if (isinf(fall))
        say(x->claim, "; no higher level was tried.");
    else
        say(x->claim, " and is lost at %.3f (%.3f).", fall, fall_accuracy);
    if (hold >= ABOUT_5_PERCENT)
        x->claim->verdict = COPI_REFUTED;
    else if (fall <= ABOUT_5_PERCENT)
        x->claim->verdict = COPI_CONFIRMED;
}

/* -- b -- */

/* The best accuracy of a method's one-shot points at a sparsity, between the two points around it; the dense net
 * stands at its own sparsity. NaN beyond the last point. */
typedef struct curve {
    double last;  /* the highest sparsity */
    double value; /* test accuracy */
    double std;   /* the larger of the two points' */
} curve;

static curve one_shot(const facts *x, const char *method, double at) {
    const copi_setting *left = NULL, *right = NULL;
    curve c = {0, NAN, NAN};
    for (int i = 0; i < x->f->settings; i++) {
        const copi_setting *s = &x->f->setting[i];
        bool dense = i == x->f->dense;
        if (!dense && (!is(s, method) || round_of(s) != 0)) continue;
        double sparsity = s->sparsity.mean;
        if (!dense) c.last = fmax(c.last, sparsity);
        bool same_left = left && sparsity == left->sparsity.mean,
             same_right = right && sparsity == right->sparsity.mean;
        if (sparsity <= at &&
            (!left || sparsity > left->sparsity.mean || (same_left && s->val.mean > left->val.mean)))
            left = s;
        if (sparsity > at &&
            (!right || sparsity < right->sparsity.mean || (same_right && s->val.mean > right->val.mean)))
            right = s;
    }
    if (!left || !right) return c;
    use(x, left);
    use(x, right);
    double share = (at - left->sparsity.mean) / (right->sparsity.mean - left->sparsity.mean);
    c.value = left->test.mean + share * (right->test.mean - left->test.mean);
    c.std = larger(left->test.std, right->test.std);
    return c;
}

static void magnitude_then_neurons(const facts *x) {
    double end = fmin(one_shot(x, "magnitude", 0).last, one_shot(x, "l2-neuron", 0).last);
    x->claim->seeds = 0;
    if (end < HALF || isnan(x->dense)) {
        say(x->claim, "Needs one-shot magnitude and l2-neuron trials, both beyond sparsity %.1f.", HALF);
        return;
    }
    copi_verdict verdict[2];
    for (int high = 0; high < 2; high++) {
        double at = (high ? 0.9 : 0.25) * end;
        curve m = one_shot(x, "magnitude", at), n = one_shot(x, "l2-neuron", at);
        verdict[high] = weigh(high ? n.value - m.value : m.value - n.value, larger(m.std, n.std));
        say(x->claim, "%sAt sparsity %.2f: magnitude %.3f, l2-neuron %.3f.", high ? " " : "", at, m.value, n.value);
    }
    if (verdict[0] == COPI_REFUTED || verdict[1] == COPI_REFUTED)
        x->claim->verdict = COPI_REFUTED;
    else if (verdict[0] == COPI_CONFIRMED && verdict[1] == COPI_CONFIRMED)
        x->claim->verdict = COPI_CONFIRMED;
}

/* -- c -- */

static void rounds_bring_back(const facts *x) {
    static const char *const methods[] = {"magnitude", "l2-neuron"};
    int back = 0, lost = 0;
    for (size_t m = 0; m < COPI_COUNT(methods); m++) {
        const copi_setting *best = NULL;
        for (int i = 0; i < x->f->settings; i++) {
            const copi_setting *s = &x->f->setting[i];
            if (!is(s, methods[m]) || round_of(s) < SEVERAL_ROUNDS || s->sparsity.mean < HALF) continue;
            if (!best || s->val.mean > best->val.mean) best = s;
        }
        if (!best || isnan(x->dense)) {
            say(x->claim, "%s%s: no trial of %d or more rounds beyond sparsity %.1f.", m ? " " : "", methods[m],
                SEVERAL_ROUNDS, HALF);
            continue;
        }
        use(x, best);
        double gap = x->dense - best->test.mean;
        say(x->claim, "%s%s after %d rounds at sparsity %.3f: %.3f, %.3f %s the dense net.", m ? " " : "", methods[m],
            round_of(best), best->sparsity.mean, best->test.mean, fabs(gap), gap > 0 ? "under" : "over");
        if (gap <= A_FEW_POINTS)
            back++;
        else
            lost++;
    }
    if (lost)
        x->claim->verdict = COPI_REFUTED;
    else if (back == (int)COPI_COUNT(methods))
        x->claim->verdict = COPI_CONFIRMED;
}

/* -- d -- */

static void sss_is_best(const facts *x) {
    const copi_setting *sss = NULL, *other = NULL;
    for (int m = 0; m < x->f->methods; m++) {
        if (x->f->method[m].best < 0) continue;
        const copi_setting *s = &x->f->setting[x->f->method[m].best];
        if (is(s, "sss"))
            sss = s;
        else if (!is(s, COPI_METHOD_DENSE) && (!other || s->score_val.mean > other->score_val.mean))
            other = s;
    }
    bool tried = false;
    for (int m = 0; m < x->f->methods; m++) tried |= strcmp(x->f->method[m].name, "sss") == 0;
    if (!tried || !other) {
        say(x->claim, "Needs sss and at least one other method above the floor.");
        return;
    }
    use(x, other);
    if (sss) {
        use(x, sss);
        say(x->claim, "sss: accuracy %.4f at sparsity %.3f, score %.3f", sss->test.mean, sss->sparsity.mean,
            sss->score.mean);
    } else {
        say(x->claim, "sss: no point above the floor");
    }
    say(x->claim, "; best other, %s: %.4f at %.3f, score %.3f; dense %.3f.", other->trial->method, other->test.mean,
        other->sparsity.mean, other->score.mean, x->dense);
    x->claim->verdict =
        sss ? weigh(sss->score.mean - other->score.mean, larger(sss->score.std, other->score.std)) : COPI_REFUTED;
}

/* -- e -- */

/* Parameters in layers of one kind: those left, or those of the dense net. Layers that were removed are not
 * listed. */
static int64_t parameters_in(const copi_stored_point *p, const char *op, bool left) {
    int64_t n = 0;
    for (int i = 0; i < p->layers; i++)
        if (strcmp(p->layer[i].op, op) == 0) n += left ? p->layer[i].nonzero : p->layer[i].parameters_dense;
    return n;
}

static void dense_layers_hold_most(const facts *x) {
    int64_t most[2] = {0, 0}, all[2] = {0, 0}; /* conv, dense: the most that was removed above the floor */
    static const char *const op[] = {"conv", "dense"};
    for (int k = 0; k < 2 && x->f->dense >= 0; k++)
        all[k] = parameters_in(copi_setting_point(&x->f->setting[x->f->dense]), op[k], false);
    for (int i = 0; i < x->f->settings; i++) {
        const copi_setting *s = &x->f->setting[i];
        if (!holds(x, s) || i == x->f->dense) continue;
        use(x, s);
        for (int k = 0; k < 2; k++) {
            int64_t gone = all[k] - parameters_in(copi_setting_point(s), op[k], true);
            if (gone > most[k]) most[k] = gone;
        }
    }
    if (!all[0] || !all[1] || !(most[0] + most[1])) {
        say(x->claim, "Needs a net with conv and dense layers, and pruned points above the floor.");
        return;
    }
    say(x->claim,
        "The most that could go above the floor: %lld of %lld dense-layer parameters, %lld of %lld in conv layers.",
        (long long)most[1], (long long)all[1], (long long)most[0], (long long)all[0]);
    x->claim->verdict = most[1] > most[0] ? COPI_CONFIRMED : COPI_REFUTED;
}

/* -- f -- */

/* The same method and share, tuned, with the most rounds. */
static const copi_setting *tuned_twin(const facts *x, const copi_setting *s) {
    const copi_setting *twin = NULL;
    for (int i = 0; i < x->f->settings; i++) {
        const copi_setting *t = &x->f->setting[i];
        bool last = t->index == t->trial->points - 1;
        if (!last || round_of(t) == 0 || !is(t, s->trial->method) || !(t->trial->asked == s->trial->asked)) continue;
        if (!twin || round_of(t) > round_of(twin)) twin = t;
    }
    return twin;
}

static void tuning_costs(const facts *x) {
    double gain = 0, cost = 0, std = NAN;
    int pairs = 0;
    for (int i = 0; i < x->f->settings; i++) {
        const copi_setting *s = &x->f->setting[i];
        const copi_setting *t = round_of(s) == 0 && s->trial->asked >= HALF ? tuned_twin(x, s) : NULL;
        if (!t) continue;
        use(x, s);
        use(x, t);
        gain += t->test.mean - s->test.mean;
        cost += t->train_macs.mean;
        std = larger(std, larger(t->test.std, s->test.std));
        pairs++;
    }
    double dense = x->f->dense < 0 ? NAN : x->f->setting[x->f->dense].train_macs.mean;
    if (!pairs || !(dense > 0)) {
        say(x->claim, "Needs the same method and share (%.1f or more) with and without rounds of tuning.", HALF);
        return;
    }
    gain /= pairs;
    cost /= pairs * dense;
    say(x->claim, "Over %d pair%s, tuning gains %+.3f accuracy for %.2f of the dense net's training MACs.", pairs,
        pairs > 1 ? "s" : "", gain, cost);
    x->claim->verdict = weigh(gain, std);
    if (x->claim->verdict == COPI_CONFIRMED && cost < MUCH_COMPUTATION) x->claim->verdict = COPI_REFUTED;
}

void copi_claims_make(const copi_results *results, const copi_figures *figures, copi_claim claim[COPI_CLAIMS]) {
    static const struct {
        const char *text, *rule;
        void (*decide)(const facts *x);
    } table[COPI_CLAIMS] = {
        {"One-shot filter pruning reaches only about 5 % conv sparsity before accuracy falls under the floor.",
         "Confirmed if the floor is lost at or below 15 % conv sparsity, refuted if it holds at 15 % or more.",
         filters_fall_early},
        {"Without fine-tuning, magnitude is slightly better at low sparsity, neuron pruning at high sparsity.",
         "Compared at 25 % and 90 % of the sparsity that both reach, between neighbouring points.",
         magnitude_then_neurons},
        {"Several rounds of fine-tuning bring both back to within a few points of the dense net.",
         "Confirmed if both come within 5 points of accuracy after two or more rounds at half the weights or fewer.",
         rounds_bring_back},
        {"SSS is best.", "Confirmed if its best score is above every other method's.", sss_is_best},
        {"Dense layers hold most of what can be pruned.",
         "Confirmed if more parameters can go from dense than from conv layers above the floor.",
         dense_layers_hold_most},
        {"Iterative fine-tuning buys accuracy with much computation.",
         "Confirmed if it gains accuracy and costs a quarter or more of the dense net's training.", tuning_costs},
    };
    for (int i = 0; i < COPI_CLAIMS; i++) {
        claim[i] = (copi_claim){.letter = (char)('a' + i), .text = table[i].text, .rule = table[i].rule};
        double dense = figures->dense < 0 ? NAN : figures->setting[figures->dense].test.mean;
        table[i].decide(&(facts){results, figures, dense, &claim[i]});
    }
}
