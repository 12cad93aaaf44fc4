/* Writes a made-up study's report into a directory, for test_page.sh to open. */
#include "synthetic.h"

int main(int argc, char **argv) {
    static const made_trial made[] = {
        {"dense", 0, 1, "done", NULL, {{0, .91, .905, 6, 0}}, 1},
        {"magnitude", .5, 1, "done", NULL, {{.5, .905, .90, 0, 0}}, 1},
        {"magnitude", .7, 1, "done", NULL, {{.7, .88, .87, 0, 0}}, 1},
        {"magnitude", .8, 1, "done", NULL, {{.8, .79, .78, 0, 0}}, 1},
        {"magnitude", .9, 1, "done", NULL, {{.9, .41, .40, 0, 0}}, 1},
        {"magnitude", .9, 1, "done", NULL, {{.9, .90, .893, 2, 1}}, 1},
        {"magnitude", .98, 1, "done", NULL, {{.98, .86, .851, 2, 1}}, 1},
        {"l1-filter", .1, 1, "done", NULL, {{.05, .80, .79, 0, 0}}, 1},
        {"l1-filter", .25, 1, "done", NULL, {{.12, .62, .61, 0, 0}}, 1},
        {"l2-filter", .1, 1, "done", NULL, {{.05, .82, .81, 0, 0}}, 1},
        {"l2-filter", .25, 1, "diverged", "loss is nan at step 3 of 120; a smaller rate would help", {{0}}, 0},
        {"l2-neuron", .5, 1, "done", NULL, {{.46, .90, .89, 0, 0}}, 1},
        {"l2-neuron", .9, 1, "done", NULL, {{.83, .83, .82, 0, 0}}, 1},
        {"sss", 1e-3, 1, "done", NULL, {{.6, .912, .905, 8, 1}, {.93, .90, .896, 8, 1}, {.985, .86, .858, 8, 1}}, 3},
        {"random", .9, 1, "done", NULL, {{.9, .75, .74, 2, 1}}, 1},
        {"dense", 0, 2, "done", NULL, {{0, .913, .909, 6, 0}}, 1},
        {"magnitude", .9, 2, "done", NULL, {{.9, .91, .904, 2, 1}}, 1},
        {"magnitude", .98, 2, "done", NULL, {{.98, .85, .839, 2, 1}}, 1},
        {"sss", 1e-3, 2, "pending", NULL, {{0}}, 0},
    };
    cop_ctx *ctx;
    copi_store *store = NULL;
    if (argc != 2 || cop_ctx_create(NULL, &ctx)) return 2;
    cop_status status = copi_store_open(ctx, argv[1], COPI_STORE_WRITE, &store);
    if (!status)
        status = made_fill(ctx, store, made, (int)COPI_COUNT(made), 0.6,
                           "</script><script>document.title = 'broken'</script> & a rather long name of a study, "
                           "averyverylongwordwithoutanyspace");
    if (!status) status = copi_write_report(store, argv[1], NULL);
    if (status) fprintf(stderr, "make_page: %s\n", cop_error(ctx));
    copi_store_close(store);
    cop_ctx_destroy(ctx);
    return status != COP_OK;
}
