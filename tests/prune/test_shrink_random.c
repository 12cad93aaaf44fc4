/* Hundreds of random nets, every op, randomly masked: shrunk == masked, and everything counted is what is there. */
#include "check.h"
#include "nets.h"
#include "reference.h"
#include "unit.h"

#include "prune/prune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NETS 600
#define IMAGES 2

/* Both nets are computed in double, so they differ by what folding rounds to f32: 2^-24 for each of the few layers
 * that take folded constants, which later layers amplify. */
static void same_function(const cop_net *a, const cop_net *b, uint64_t seed) {
    double *x = ref_outputs(a, IMAGES, seed), *y = ref_outputs(b, IMAGES, seed), most = 1e-3, difference = 0;
    assert_int_equal(a->classes, b->classes);
    for (int i = 0; i < IMAGES * a->classes; i++) {
        most = fmax(most, fabs(x[i]));
        difference = fmax(difference, fabs(x[i] - y[i]));
    }
    free(x);
    free(y);
    if (!(difference <= 2e-6 * most))
        fail_msg("net %llu: outputs up to %g differ by %g", (unsigned long long)seed, most, difference);
}

static int64_t parameters(const cop_net *net) {
    int64_t count = 0;
    for (int p = 0; p < net->params; p++)
        if (copi_param_counts(net->param[p].kind)) {
            int64_t product = 1;
            for (int d = 0; d < net->param[p].rank; d++) product *= net->param[p].shape[d];
            count += product;
        }
    return count;
}

static int64_t nonzero(const cop_net *net) {
    int64_t count = 0;
    for (int p = 0; p < net->params; p++)
        for (int64_t i = 0; copi_param_counts(net->param[p].kind) && i < net->param[p].count; i++)
            count += net->param[p].data[i] != 0;
    return count;
}

static int64_t macs(const cop_net *net) {
    int64_t sum = 0;
    for (int n = 0; n < net->nodes; n++) {
        const copi_node *node = &net->node[n];
        if (node->op != COPI_OP_CONV && node->op != COPI_OP_DENSE) continue;
        const copi_param *w = copi_node_slot(net, node, COPI_WEIGHT);
        sum += w->shape[0] * w->shape[1] * w->shape[2] * w->shape[3] * node->shape[1] * node->shape[2];
    }
    return sum;
}

static void counted(const cop_net *net) {
    cop_net_info info;
    cop_net_get_info(net, &info);
    assert_int_equal(info.parameters, parameters(net));
    assert_int_equal(info.nonzero, nonzero(net));
    assert_int_equal(info.macs, macs(net));
}

/* Every entry came from the place the map says, in order; only what folding writes to may have another value. */
static void map_holds(const cop_net *net, const cop_net *small, const copi_shrink_map *map) {
    assert_int_equal(map->params, small->params);
    for (int p = 0; p < small->params; p++) {
        const copi_param *to = &small->param[p], *from = &net->param[map->old_param[p]];
        assert_string_equal(to->name, from->name);
        bool folded = to->kind == COPI_PARAM_BIAS || to->kind == COPI_PARAM_MEAN || to->kind == COPI_PARAM_SHIFT;
        for (int64_t i = 0; i < to->count; i++) {
            int64_t at = map->index[p][i];
            assert_in_range(at, 0, from->count - 1);
            if (i) assert_true(at > map->index[p][i - 1]);
            if (folded) continue;
            assert_true(to->data[i] == from->data[at]);
            assert_int_equal(!to->mask || to->mask[i], !from->mask || from->mask[at]);
        }
        for (int64_t i = 0; to->mask && i < to->count; i++)
            if (!to->mask[i]) assert_true(to->data[i] == 0);
    }
}

/* Put a share of units out: some held at zero as pruning does, some with a constant left, some unread. */
static void damage(cop_net *net, uint64_t seed, double share) {
    copi_rng rng = copi_rng_make(seed, COPI_STREAM_TEST, 50);
    for (int n = 0; n < net->nodes; n++) {
        copi_node *node = &net->node[n];
        const copi_param *w = copi_node_slot(net, node, COPI_WEIGHT);
        if (node->op == COPI_OP_GATE)
            for (int64_t f = 0; f < w->count; f++)
                if (copi_rng_uniform(&rng) < share) w->data[f] = 0;
        if (node->op == COPI_OP_BATCHNORM)
            for (int64_t c = 0; c < w->count; c++)
                if (copi_rng_uniform(&rng) < share / 4) w->data[c] = 0; /* its shift stays */
        if (node->op != COPI_OP_CONV && node->op != COPI_OP_DENSE) continue;
        bool whole = copi_rng_uniform(&rng) < share / 4 && n < net->nodes - 2;
        for (int64_t o = 0; o < node->shape[0]; o++) {
            if (!whole && copi_rng_uniform(&rng) >= share) continue;
            if (copi_rng_below(&rng, 3))
                assert_int_equal(test_mask_unit(net, n, o), COP_OK);
            else
                for (int64_t i = 0, row = w->count / w->shape[0]; i < row; i++)
                    w->data[o * row + i] = 0; /* bias stays */
        }
        for (int64_t i = 0; i < w->shape[1]; i++) { /* input channels nobody reads */
            if (copi_rng_uniform(&rng) >= share / 3) continue;
            int64_t taps = w->shape[2] * w->shape[3];
            for (int64_t o = 0; o < w->shape[0]; o++)
                for (int64_t t = 0; t < taps; t++) w->data[(o * w->shape[1] + i) * taps + t] = 0;
        }
    }
    if (copi_rng_below(&rng, 2)) test_net_mask(net, seed, share);
}

static void shrunk_is_masked(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    int64_t before = 0, after = 0;
    int fewer_nodes = 0;
    for (uint64_t seed = 1; seed <= NETS; seed++) {
        cop_net *net = test_net_random(ctx, &(test_net_params){.seed = seed, .gates = seed % 3 == 0}), *small, *again;
        assert_non_null(net);
        damage(net, seed, (double)(seed % 10) / 10);
        copi_shrink_map map;
        int64_t removed, more;
        test_ok(ctx, copi_shrink(net, 1, &small, &map, &removed));
        same_function(net, small, seed);
        counted(small);
        map_holds(net, small, &map);
        assert_true(removed >= 0 && parameters(small) <= parameters(net) && macs(small) <= macs(net));
        assert_int_equal(small->dense_parameters, net->dense_parameters);
        assert_int_equal(small->dense_macs, net->dense_macs);
        before += parameters(net);
        after += parameters(small);
        fewer_nodes += small->nodes < net->nodes;
        test_ok(ctx, copi_shrink(small, 1, &again, NULL, &more)); /* nothing is left to do */
        assert_int_equal(more, 0);
        assert_int_equal(parameters(again), parameters(small));
        assert_string_equal(again->provenance, small->provenance);
        copi_shrink_map_clear(&map);
        cop_net_destroy(net);
        cop_net_destroy(small);
        cop_net_destroy(again);
    }
    assert_true(after * 2 < before); /* the damage was there, and went */
    assert_true(fewer_nodes > NETS / 20);
    test_ctx_destroy(ctx);
}

/* Where nothing is pruned, nothing changes: not a name, not a bit. */
static void identity(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    for (uint64_t seed = 1; seed <= NETS / 4; seed++) {
        cop_net *net = test_net_random(ctx, &(test_net_params){.seed = seed, .gates = seed % 2 == 0}), *small;
        int64_t removed;
        test_ok(ctx, copi_shrink(net, 1, &small, NULL, &removed));
        assert_int_equal(removed, 0);
        assert_int_equal(small->nodes, net->nodes);
        assert_int_equal(small->block_count, net->block_count);
        assert_memory_equal(small->block, net->block, net->block_count * sizeof *net->block);
        for (int n = 0; n < net->nodes; n++) {
            assert_string_equal(small->node[n].name, net->node[n].name);
            assert_memory_equal(small->node[n].shape, net->node[n].shape, sizeof net->node[n].shape);
            assert_memory_equal(&small->node[n].u, &net->node[n].u, sizeof net->node[n].u);
        }
        assert_string_equal(small->provenance, net->provenance);
        cop_net_destroy(net);
        cop_net_destroy(small);
    }
    test_ctx_destroy(ctx);
}

/* Criteria choose, the coupling is right: what structured pruning removes, shrink removes, whatever the net. */
static void pruned_then_shrunk(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    static const char *const criteria[] = {"l1-filter", "l2-filter", "l2-neuron",
                                           "fpgm",      "bn-scale",  "random-filter"};
    int refused = 0;
    for (uint64_t seed = 1; seed <= NETS / 2; seed++) {
        cop_net *net = test_net_random(ctx, &(test_net_params){.seed = seed}), *small;
        cop_prune_params p = cop_prune_params_default();
        p.criterion = criteria[seed % COPI_COUNT(criteria)];
        p.scope = seed % 2 ? "layer" : "global";
        p.sparsity = (double)(seed % 7 + 1) / 10;
        cop_prune_report report;
        copi_groups groups;
        test_ok(ctx, copi_groups_find(net, &groups));
        cop_status status = copi_prune(net, &p, NULL, &report);
        if (status) { /* this net has nothing of the kind */
            assert_int_equal(status, COP_E_REFUSED);
            refused++;
        } else {
            for (int64_t g = 0; g < groups.groups; g++) /* groups went whole or not at all */
                for (int m = 0; m < groups.group[g].members; m++) {
                    copi_group_member *a = &groups.group[g].member[m], *b = &groups.group[g].member[0];
                    assert_int_equal(test_unit_dead(net, a->node, a->channel),
                                     test_unit_dead(net, b->node, b->channel));
                    if (groups.group[g].fixed) assert_false(test_unit_dead(net, a->node, a->channel));
                }
            cop_net_info masked, shrunk;
            int64_t removed;
            test_ok(ctx, copi_shrink(net, 1, &small, NULL, &removed));
            same_function(net, small, seed);
            assert_true(removed >= report.removed || !strcmp(p.criterion, "bn-scale"));
            cop_net_get_info(net, &masked);
            cop_net_get_info(small, &shrunk);
            test_near(shrunk.sparsity, masked.sparsity, 1e-12, 0); /* one measure, whether masked or removed */
            for (int n = 0; n < small->nodes; n++) /* and nothing that is left could have gone by the masks alone */
                for (int64_t c = 0; c < small->node[n].shape[0]; c++) assert_false(test_unit_dead(small, n, c));
            cop_net_destroy(small);
        }
        copi_groups_clear(&groups);
        cop_net_destroy(net);
    }
    assert_true(refused < NETS / 6);
    test_ctx_destroy(ctx);
}

/* d loss / d parameter of a batch, batch-norm with the batch's own statistics. The caller destroys the run. */
static ref_run *gradients(const cop_net *net, uint64_t seed) {
    int64_t n = 4, size = n * ref_count(net, 0);
    float *x = malloc((size_t)size * sizeof *x);
    double *xd = malloc((size_t)size * sizeof *xd);
    int32_t label[4];
    assert_true(x && xd);
    test_fill_normal(seed, x, size);
    for (int64_t i = 0; i < size; i++) xd[i] = x[i];
    for (int i = 0; i < n; i++) label[i] = i % net->classes;
    ref_run *run = ref_create(net, n);
    run->training = true;
    ref_forward(run, xd);
    ref_loss(run, label, NULL);
    ref_backward(run);
    free(x);
    free(xd);
    return run;
}

/* Tuning the shrunk net is tuning the masked one: every entry that remains has the same gradient (to the rounding of
 * double), so any optimizer whose state is sliced by the map goes the same way, step by step. */
static void same_gradients(void **state) {
    (void)state;
    cop_ctx *ctx = test_ctx();
    static const char *const criteria[] = {"l1-filter", "fpgm", "l2-filter"};
    int compared = 0;
    for (uint64_t seed = 1; seed <= NETS / 6; seed++) {
        cop_net *net = test_net_random(ctx, &(test_net_params){.seed = seed}), *small;
        cop_prune_params p = cop_prune_params_default();
        p.criterion = criteria[seed % COPI_COUNT(criteria)];
        p.sparsity = 0.5;
        if (!copi_prune(net, &p, NULL, NULL)) {
            copi_shrink_map map;
            test_ok(ctx, copi_shrink(net, 1, &small, &map, NULL));
            ref_run *masked = gradients(net, seed), *shrunk = gradients(small, seed);
            double most = 1e-6;
            for (int i = 0; i < net->params; i++)
                for (int64_t j = 0; j < net->param[i].count; j++) most = fmax(most, fabs(masked->dparam[i][j]));
            for (int i = 0; i < small->params; i++)
                for (int64_t j = 0; j < small->param[i].count; j++) {
                    double want = masked->dparam[map.old_param[i]][map.index[i][j]];
                    test_near(shrunk->dparam[i][j], want, 1e-6, 1e-9 * most);
                    compared++;
                }
            ref_destroy(masked);
            ref_destroy(shrunk);
            copi_shrink_map_clear(&map);
            cop_net_destroy(small);
        }
        cop_net_destroy(net);
    }
    assert_true(compared > 10000);
    test_ctx_destroy(ctx);
}

static cop_status shrink_once(cop_ctx *ctx, void *user) {
    cop_net *net = test_net_random(ctx, &(test_net_params){.seed = *(uint64_t *)user, .stages = 2}), *small = NULL;
    if (!net) return COP_E_NOMEM;
    copi_shrink_map map = {0};
    cop_status status = COP_OK;
    for (int n = 1; n < 3 && !status; n++)
        if (net->node[n].op == COPI_OP_CONV) status = test_mask_unit(net, n, 0);
    if (!status) status = copi_shrink(net, 1, &small, &map, NULL);
    copi_shrink_map_clear(&map);
    cop_net_destroy(small);
    cop_net_destroy(net);
    return status;
}

static void out_of_memory(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) assert_true(test_out_of_memory(shrink_once, &seed) > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(shrunk_is_masked), cmocka_unit_test(identity),
                                       cmocka_unit_test(pruned_then_shrunk), cmocka_unit_test(same_gradients),
                                       cmocka_unit_test(out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
