#include "engine/onednn.h"

#include <string.h>

#define NEW_API (DNNL_VERSION_MAJOR >= 3)

dn_desc dn_view(const dn_md *md) {
    if (!md || !md->set) return NULL;
#if NEW_API
    return md->d;
#else
    return &md->d;
#endif
}

dnnl_status_t dn_md_make(dn_md *md, int rank, const int64_t *dims, dnnl_data_type_t type, dnnl_format_tag_t tag) {
    dn_md_free(md);
#if NEW_API
    dnnl_status_t s = dnnl_memory_desc_create_with_tag(&md->d, rank, dims, type, tag);
#else
    dnnl_status_t s = dnnl_memory_desc_init_by_tag(&md->d, rank, dims, type, tag);
#endif
    md->set = s == dnnl_success;
    return s;
}

dnnl_status_t dn_md_copy(dn_md *md, dn_desc from) {
    dn_md_free(md);
    if (!from) return dnnl_invalid_arguments;
#if NEW_API
    dnnl_status_t s = dnnl_memory_desc_clone(&md->d, from);
    md->set = s == dnnl_success;
    return s;
#else
    md->d = *from;
    md->set = true;
    return dnnl_success;
#endif
}

void dn_md_free(dn_md *md) {
#if NEW_API
    if (md->set) dnnl_memory_desc_destroy(md->d);
#endif
    memset(md, 0, sizeof *md);
}

size_t dn_md_bytes(const dn_md *md) {
    return dnnl_memory_desc_get_size(dn_view(md));
}

bool dn_md_equal(const dn_md *a, const dn_md *b) {
    return dnnl_memory_desc_equal(dn_view(a), dn_view(b)) != 0;
}

dnnl_status_t dn_chosen(dn_md *md, const_dnnl_primitive_desc_t pd, dnnl_query_t what) {
    return dn_md_copy(md, dnnl_primitive_desc_query_md(pd, what, 0));
}

/* The same numbers stand for other instruction sets on other processors; oneDNN's header names those of x86 only. */
const char *dn_isa(void) {
    static const struct {
        int isa;
        const char *name;
    } known[] = {
        {0, "generic code"},
#if defined(__x86_64__)
        {dnnl_cpu_isa_sse41, "sse41"},
        {dnnl_cpu_isa_avx, "avx"},
        {dnnl_cpu_isa_avx2, "avx2"},
        {dnnl_cpu_isa_avx2_vnni, "avx2_vnni"},
        {dnnl_cpu_isa_avx512_core, "avx512_core"},
        {dnnl_cpu_isa_avx512_core_vnni, "avx512_core_vnni"},
        {dnnl_cpu_isa_avx512_core_bf16, "avx512_core_bf16"},
        {dnnl_cpu_isa_avx512_core_amx, "avx512_core_amx"},
#if NEW_API
        {dnnl_cpu_isa_avx2_vnni_2, "avx2_vnni_2"},
        {dnnl_cpu_isa_avx512_core_fp16, "avx512_core_fp16"},
        {dnnl_cpu_isa_avx512_core_amx_fp16, "avx512_core_amx_fp16"},
#endif
#elif defined(__aarch64__)
        {0x1, "asimd"},
        {0x3, "sve_128"},
        {0x7, "sve_256"},
        {0xf, "sve_384"},
        {0x27, "sve_512"},
#endif
    };
    const char *name = "another instruction set";
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].isa == (int)dnnl_get_effective_cpu_isa()) name = known[i].name;
    return name;
}

/* oneDNN's bf16 kernels need this instruction set; newer ones have a superset of its bits. */
bool dn_bf16(void) {
#if defined(__x86_64__)
    unsigned need = (unsigned)dnnl_cpu_isa_avx512_core_bf16;
    return ((unsigned)dnnl_get_effective_cpu_isa() & need) == need;
#else
    return false;
#endif
}

static const char *implementation(const_dnnl_primitive_desc_t pd) {
    const char *name = NULL;
    dnnl_status_t s = dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name);
    return s == dnnl_success && name ? name : "";
}

bool dn_reference(const_dnnl_primitive_desc_t pd) {
    return !strncmp(implementation(pd), "ref", 3);
}

dnnl_status_t dn_reorder(dnnl_primitive_desc_t *pd, dnnl_engine_t e, const dn_md *src, const dn_md *dst,
                         dnnl_primitive_attr_t attr) {
    return dnnl_reorder_primitive_desc_create(pd, dn_view(src), e, dn_view(dst), e, attr);
}

#if NEW_API

dnnl_status_t dn_conv_forward(dnnl_primitive_desc_t *pd, dnnl_engine_t e, dnnl_prop_kind_t prop, dnnl_alg_kind_t alg,
                              const dn_md *src, const dn_md *weights, const dn_md *bias, const dn_md *dst,
                              const dn_window *w, dnnl_primitive_attr_t attr) {
    return dnnl_convolution_forward_primitive_desc_create(pd, e, prop, alg, dn_view(src), dn_view(weights),
                                                          dn_view(bias), dn_view(dst), w->stride, w->dilation,
                                                          w->pad_l, w->pad_r, attr);
}

dnnl_status_t dn_conv_backward_data(dnnl_primitive_desc_t *pd, dnnl_engine_t e, dnnl_alg_kind_t alg,
                                    const dn_md *diff_src, const dn_md *weights, const dn_md *diff_dst,
                                    const dn_window *w, dnnl_primitive_desc_t hint, dnnl_primitive_attr_t attr) {
    return dnnl_convolution_backward_data_primitive_desc_create(pd, e, alg, dn_view(diff_src), dn_view(weights),
                                                                dn_view(diff_dst), w->stride, w->dilation, w->pad_l,
                                                                w->pad_r, hint, attr);
}

dnnl_status_t dn_conv_backward_weights(dnnl_primitive_desc_t *pd, dnnl_engine_t e, dnnl_alg_kind_t alg,
                                       const dn_md *src, const dn_md *diff_weights, const dn_md *diff_bias,
                                       const dn_md *diff_dst, const dn_window *w, dnnl_primitive_desc_t hint,
                                       dnnl_primitive_attr_t attr) {
    return dnnl_convolution_backward_weights_primitive_desc_create(pd, e, alg, dn_view(src), dn_view(diff_weights),
                                                                   dn_view(diff_bias), dn_view(diff_dst), w->stride,
                                                                   w->dilation, w->pad_l, w->pad_r, hint, attr);
}

dnnl_status_t dn_dense_forward(dnnl_primitive_desc_t *pd, dnnl_engine_t e, dnnl_prop_kind_t prop, const dn_md *src,
                               const dn_md *weights, const dn_md *bias, const dn_md *dst,
                               dnnl_primitive_attr_t attr) {
    return dnnl_inner_product_forward_primitive_desc_create(pd, e, prop, dn_view(src), dn_view(weights),
                                                            dn_view(bias), dn_view(dst), attr);
}

dnnl_status_t dn_dense_backward_data(dnnl_primitive_desc_t *pd, dnnl_engine_t e, const dn_md *diff_src,
                                     const dn_md *weights, const dn_md *diff_dst, dnnl_primitive_desc_t hint,
                                     dnnl_primitive_attr_t attr) {
    return dnnl_inner_product_backward_data_primitive_desc_create(pd, e, dn_view(diff_src), dn_view(weights),
                                                                  dn_view(diff_dst), hint, attr);
}

dnnl_status_t dn_dense_backward_weights(dnnl_primitive_desc_t *pd, dnnl_engine_t e, const dn_md *src,
                                        const dn_md *diff_weights, const dn_md *diff_bias, const dn_md *diff_dst,
                                        dnnl_primitive_desc_t hint, dnnl_primitive_attr_t attr) {
    return dnnl_inner_product_backward_weights_primitive_desc_create(
        pd, e, dn_view(src), dn_view(diff_weights), dn_view(diff_bias), dn_view(diff_dst), hint, attr);
}

static const dnnl_dims_t undilated = {0, 0};

dnnl_status_t dn_pool_forward(dnnl_primitive_desc_t *pd, dnnl_engine_t e, dnnl_prop_kind_t prop, dnnl_alg_kind_t alg,
                              const dn_md *src, const dn_md *dst, const dn_window *w, dnnl_primitive_attr_t attr) {
    return dnnl_pooling_forward_primitive_desc_create(pd, e, prop, alg, dn_view(src), dn_view(dst), w->stride,
                                                      w->kernel, undilated, w->pad_l, w->pad_r, attr);
}

dnnl_status_t dn_pool_backward(dnnl_primitive_desc_t *pd, dnnl_engine_t e, dnnl_alg_kind_t alg, const dn_md *diff_src,
                               const dn_md *diff_dst, const dn_window *w, dnnl_primitive_desc_t hint,
                               dnnl_primitive_attr_t attr) {
    return dnnl_pooling_backward_primitive_desc_create(pd, e, alg, dn_view(diff_src), dn_view(diff_dst), w->stride,
                                                       w->kernel, undilated, w->pad_l, w->pad_r, hint, attr);
}

dnnl_status_t dn_norm_forward(dnnl_primitive_desc_t *pd, dnnl_engine_t e, dnnl_prop_kind_t prop, const dn_md *data,
                              float epsilon, unsigned flags, dnnl_primitive_attr_t attr) {
    return dnnl_batch_normalization_forward_primitive_desc_create(pd, e, prop, dn_view(data), dn_view(data), epsilon,
                                                                  flags, attr);
}

dnnl_status_t dn_norm_backward(dnnl_primitive_desc_t *pd, dnnl_engine_t e, const dn_md *diff, const dn_md *data,
                               float epsilon, unsigned flags, dnnl_primitive_desc_t hint,
                               dnnl_primitive_attr_t attr) {
    return dnnl_batch_normalization_backward_primitive_desc_create(pd, e, dnnl_backward, dn_view(diff), dn_view(diff),
                                                                   dn_view(data), epsilon, flags, hint, attr);
}

dnnl_status_t dn_post_activation(dnnl_post_ops_t ops, dnnl_alg_kind_t alg, float alpha, float beta) {
    return dnnl_post_ops_append_eltwise(ops, alg, alpha, beta);
}

dnnl_status_t dn_skip(dnnl_primitive_desc_t *pd, dnnl_engine_t e, dnnl_primitive_desc_t hint,
                      bool (*wrong)(const char *name)) {
    (void)e, (void)hint;
    while (wrong(implementation(*pd))) {
        if (dnnl_primitive_desc_next_impl(*pd) == dnnl_success) continue;
        dnnl_primitive_desc_destroy(*pd);
        *pd = NULL;
        return dnnl_unimplemented;
    }
    return dnnl_success;
}

#else /* 2.6 */

/* A 2.x descriptor takes two steps: s is the result of the first. */
static dnnl_status_t finish(dnnl_status_t s, dnnl_primitive_desc_t *pd, const void *desc, dnnl_engine_t e,
                            const_dnnl_primitive_desc_t hint, dnnl_primitive_attr_t attr) {
    return s == dnnl_success ? dnnl_primitive_desc_create(pd, desc, attr, e, hint) : s;
}

dnnl_status_t dn_conv_forward(dnnl_primitive_desc_t *pd, dnnl_engine_t e, dnnl_prop_kind_t prop, dnnl_alg_kind_t alg,
                              const dn_md *src, const dn_md *weights, const dn_md *bias, const dn_md *dst,
                              const dn_window *w, dnnl_primitive_attr_t attr) {
    dnnl_convolution_desc_t d;
    return finish(dnnl_dilated_convolution_forward_desc_init(&d, prop, alg, dn_view(src), dn_view(weights),
                                                             dn_view(bias), dn_view(dst), w->stride, w->dilation,
                                                             w->pad_l, w->pad_r),
                  pd, &d, e, NULL, attr);
}

dnnl_status_t dn_conv_backward_data(dnnl_primitive_desc_t *pd, dnnl_engine_t e, dnnl_alg_kind_t alg,
                                    const dn_md *diff_src, const dn_md *weights, const dn_md *diff_dst,
                                    const dn_window *w, dnnl_primitive_desc_t hint, dnnl_primitive_attr_t attr) {
    dnnl_convolution_desc_t d;
    return finish(dnnl_dilated_convolution_backward_data_desc_init(&d, alg, dn_view(diff_src), dn_view(weights),
                                                                   dn_view(diff_dst), w->stride, w->dilation,
                                                                   w->pad_l, w->pad_r),
                  pd, &d, e, hint, attr);
}

dnnl_status_t dn_conv_backward_weights(dnnl_primitive_desc_t *pd, dnnl_engine_t e, dnnl_alg_kind_t alg,
                                       const dn_md *src, const dn_md *diff_weights, const dn_md *diff_bias,
                                       const dn_md *diff_dst, const dn_window *w, dnnl_primitive_desc_t hint,
                                       dnnl_primitive_attr_t attr) {
    dnnl_convolution_desc_t d;
    return finish(dnnl_dilated_convolution_backward_weights_desc_init(&d, alg, dn_view(src), dn_view(diff_weights),
                                                                      dn_view(diff_bias), dn_view(diff_dst),
                                                                      w->stride, w->dilation, w->pad_l, w->pad_r),
                  pd, &d, e, hint, attr);
}

dnnl_status_t dn_dense_forward(dnnl_primitive_desc_t *pd, dnnl_engine_t e, dnnl_prop_kind_t prop, const dn_md *src,
                               const dn_md *weights, const dn_md *bias, const dn_md *dst,
                               dnnl_primitive_attr_t attr) {
    dnnl_inner_product_desc_t d;
    return finish(
        dnnl_inner_product_forward_desc_init(&d, prop, dn_view(src), dn_view(weights), dn_view(bias), dn_view(dst)),
        pd, &d, e, NULL, attr);
}

dnnl_status_t dn_dense_backward_data(dnnl_primitive_desc_t *pd, dnnl_engine_t e, const dn_md *diff_src,
                                     const dn_md *weights, const dn_md *diff_dst, dnnl_primitive_desc_t hint,
                                     dnnl_primitive_attr_t attr) {
    dnnl_inner_product_desc_t d;
    return finish(
        dnnl_inner_product_backward_data_desc_init(&d, dn_view(diff_src), dn_view(weights), dn_view(diff_dst)), pd,
        &d, e, hint, attr);
}

dnnl_status_t dn_dense_backward_weights(dnnl_primitive_desc_t *pd, dnnl_engine_t e, const dn_md *src,
                                        const dn_md *diff_weights, const dn_md *diff_bias, const dn_md *diff_dst,
                                        dnnl_primitive_desc_t hint, dnnl_primitive_attr_t attr) {
    dnnl_inner_product_desc_t d;
    return finish(dnnl_inner_product_backward_weights_desc_init(&d, dn_view(src), dn_view(diff_weights),
                                                                dn_view(diff_bias), dn_view(diff_dst)),
                  pd, &d, e, hint, attr);
}

dnnl_status_t dn_pool_forward(dnnl_primitive_desc_t *pd, dnnl_engine_t e, dnnl_prop_kind_t prop, dnnl_alg_kind_t alg,
                              const dn_md *src, const dn_md *dst, const dn_window *w, dnnl_primitive_attr_t attr) {
    dnnl_pooling_desc_t d;
    return finish(dnnl_pooling_forward_desc_init(&d, prop, alg, dn_view(src), dn_view(dst), w->stride, w->kernel,
                                                 w->pad_l, w->pad_r),
                  pd, &d, e, NULL, attr);
}

dnnl_status_t dn_pool_backward(dnnl_primitive_desc_t *pd, dnnl_engine_t e, dnnl_alg_kind_t alg, const dn_md *diff_src,
                               const dn_md *diff_dst, const dn_window *w, dnnl_primitive_desc_t hint,
                               dnnl_primitive_attr_t attr) {
    dnnl_pooling_desc_t d;
    return finish(dnnl_pooling_backward_desc_init(&d, alg, dn_view(diff_src), dn_view(diff_dst), w->stride, w->kernel,
                                                  w->pad_l, w->pad_r),
                  pd, &d, e, hint, attr);
}

dnnl_status_t dn_norm_forward(dnnl_primitive_desc_t *pd, dnnl_engine_t e, dnnl_prop_kind_t prop, const dn_md *data,
                              float epsilon, unsigned flags, dnnl_primitive_attr_t attr) {
    dnnl_batch_normalization_desc_t d;
    return finish(dnnl_batch_normalization_forward_desc_init(&d, prop, dn_view(data), epsilon, flags), pd, &d, e,
                  NULL, attr);
}

dnnl_status_t dn_norm_backward(dnnl_primitive_desc_t *pd, dnnl_engine_t e, const dn_md *diff, const dn_md *data,
                               float epsilon, unsigned flags, dnnl_primitive_desc_t hint,
                               dnnl_primitive_attr_t attr) {
    dnnl_batch_normalization_desc_t d;
    return finish(
        dnnl_batch_normalization_backward_desc_init(&d, dnnl_backward, dn_view(diff), dn_view(data), epsilon, flags),
        pd, &d, e, hint, attr);
}

dnnl_status_t dn_post_activation(dnnl_post_ops_t ops, dnnl_alg_kind_t alg, float alpha, float beta) {
    return dnnl_post_ops_append_eltwise(ops, 1.0f, alg, alpha, beta);
}

dnnl_status_t dn_skip(dnnl_primitive_desc_t *pd, dnnl_engine_t e, dnnl_primitive_desc_t hint,
                      bool (*wrong)(const char *name)) {
    if (!wrong(implementation(*pd))) return dnnl_success;
    dnnl_primitive_desc_t first = *pd; /* owns what the iterator reads */
    dnnl_primitive_desc_iterator_t it = NULL;
    const_dnnl_primitive_attr_t attr;
    const_dnnl_op_desc_t desc;
    *pd = NULL;
    dnnl_status_t s = dnnl_primitive_desc_query(first, dnnl_query_op_d, 0, &desc);
    if (s == dnnl_success) s = dnnl_primitive_desc_get_attr(first, &attr);
    if (s == dnnl_success) s = dnnl_primitive_desc_iterator_create(&it, desc, attr, e, hint);
    for (; s == dnnl_success; s = dnnl_primitive_desc_iterator_next(it)) {
        *pd = dnnl_primitive_desc_iterator_fetch(it);
        if (!*pd || !wrong(implementation(*pd))) break;
        dnnl_primitive_desc_destroy(*pd);
        *pd = NULL;
    }
    if (it) dnnl_primitive_desc_iterator_destroy(it);
    dnnl_primitive_desc_destroy(first);
    return *pd ? dnnl_success : dnnl_unimplemented;
}

#endif
