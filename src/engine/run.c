#include "engine/run.h"

#include <omp.h>
#include <string.h>

cop_status plan_dnnl(copi_plan *p, dnnl_status_t s, const char *what, int node) {
    if (s == dnnl_success) return COP_OK;
    const char *name = node >= 0 ? p->net->node[node].name : "plan";
    if (s == dnnl_out_of_memory) return copi_fail(p->ctx, COP_E_NOMEM, "%s: no memory for oneDNN's %s", name, what);
    if (s == dnnl_unimplemented)
        return copi_fail(p->ctx, COP_E_UNSUPPORTED, "%s: oneDNN has no %s in %s for these shapes%s", name, what,
                         p->bf16 ? "bf16" : "f32", p->bf16 ? "; precision f32 may work" : "");
    return copi_fail(p->ctx, COP_E_INTERNAL, "%s: oneDNN's %s failed with status %d", name, what, (int)s);
}

/* The thread count is a setting of the calling thread in OpenMP, so its former value is restored. */
int plan_enter(const copi_plan *p) {
    int before = omp_get_max_threads();
    omp_set_num_threads(copi_threads(p->ctx));
    return before;
}
void plan_leave(int threads) {
    omp_set_num_threads(threads);
}

cop_status plan_run(copi_plan *p, const plan_actions *list) {
    for (int i = 0; i < list->count; i++) {
        const plan_action *a = &list->item[i];
        if (!a->primitive) {
            a->run(p, a);
            continue;
        }
        dnnl_status_t s = dnnl_primitive_execute(a->primitive, p->stream, a->args, a->arg);
        if (s != dnnl_success) return plan_dnnl(p, s, a->what, a->node);
    }
    return COP_OK;
}

/* A whole batch is read from the caller's memory. Fewer images are copied, and the rest is 0. */
cop_status plan_feed(copi_plan *p, const float *x, int64_t n) {
    const float *from = x;
    if (n < p->options.batch) {
        memcpy(p->staging, x, (size_t)(n * p->image) * sizeof *x);
        memset(p->staging + n * p->image, 0, (size_t)((p->options.batch - n) * p->image) * sizeof *x);
        from = p->staging;
    }
    void *handle;
    memcpy(&handle, &from, sizeof handle); /* oneDNN's handle is not const; the input is only read */
    return plan_dnnl(p, dnnl_memory_set_data_handle(p->mems[p->input_mem].memory, handle), "input", 0);
}
