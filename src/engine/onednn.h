/* One interface to oneDNN 2.6+ and 3.x. In 3.0, memory descriptors became opaque pointers, and operation descriptors
 * were removed; all else is the same. Only onednn.h and onednn.c depend on the version. */
#ifndef COPPICE_ONEDNN_H
#define COPPICE_ONEDNN_H

#include <oneapi/dnnl/dnnl.h>
#include <stdbool.h>
#include <stdint.h>

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t dn_desc; /* borrowed, as oneDNN's functions take it */
#else
typedef const dnnl_memory_desc_t *dn_desc;
#endif
/* 2.x counts the shift among the arguments of batch-norm's backward, 3.x refuses it. */
enum { DN_NORM_BACKWARD_READS_SHIFT = DNNL_VERSION_MAJOR < 3 };
typedef struct dn_md {
    dnnl_memory_desc_t d;
    bool set;
} dn_md; /* owned: free with dn_md_free */

#define DN_DIMS 5 /* grouped kernels [G,O,I,KH,KW] */

dn_desc dn_view(const dn_md *md); /* NULL for one that is not set */
/** With tag dnnl_format_tag_any the primitive chooses. */
dnnl_status_t dn_md_make(dn_md *md, int rank, const int64_t *dims, dnnl_data_type_t type, dnnl_format_tag_t tag);
dnnl_status_t dn_md_copy(dn_md *md, dn_desc from);
void dn_md_free(dn_md *md);
size_t dn_md_bytes(const dn_md *md);
bool dn_md_equal(const dn_md *a, const dn_md *b);

typedef struct dn_window {
    dnnl_dims_t stride, dilation, pad_l, pad_r, kernel;
} dn_window; /* H, W; dilation 0: none */

/* Primitive descriptors. A dn_md may be NULL where the primitive takes none. */
dnnl_status_t dn_conv_forward(dnnl_primitive_desc_t *pd, dnnl_engine_t e, dnnl_prop_kind_t prop, dnnl_alg_kind_t alg,
                              const dn_md *src, const dn_md *weights, const dn_md *bias, const dn_md *dst,
                              const dn_window *w, dnnl_primitive_attr_t attr);
dnnl_status_t dn_conv_backward_data(dnnl_primitive_desc_t *pd, dnnl_engine_t e, dnnl_alg_kind_t alg,
                                    const dn_md *diff_src, const dn_md *weights, const dn_md *diff_dst,
                                    const dn_window *w, dnnl_primitive_desc_t hint, dnnl_primitive_attr_t attr);
dnnl_status_t dn_conv_backward_weights(dnnl_primitive_desc_t *pd, dnnl_engine_t e, dnnl_alg_kind_t alg,
                                       const dn_md *src, const dn_md *diff_weights, const dn_md *diff_bias,
                                       const dn_md *diff_dst, const dn_window *w, dnnl_primitive_desc_t hint,
                                       dnnl_primitive_attr_t attr);
dnnl_status_t dn_dense_forward(dnnl_primitive_desc_t *pd, dnnl_engine_t e, dnnl_prop_kind_t prop, const dn_md *src,
                               const dn_md *weights, const dn_md *bias, const dn_md *dst, dnnl_primitive_attr_t attr);
dnnl_status_t dn_dense_backward_data(dnnl_primitive_desc_t *pd, dnnl_engine_t e, const dn_md *diff_src,
                                     const dn_md *weights, const dn_md *diff_dst, dnnl_primitive_desc_t hint,
                                     dnnl_primitive_attr_t attr);
dnnl_status_t dn_dense_backward_weights(dnnl_primitive_desc_t *pd, dnnl_engine_t e, const dn_md *src,
                                        const dn_md *diff_weights, const dn_md *diff_bias, const dn_md *diff_dst,
                                        dnnl_primitive_desc_t hint, dnnl_primitive_attr_t attr);
dnnl_status_t dn_pool_forward(dnnl_primitive_desc_t *pd, dnnl_engine_t e, dnnl_prop_kind_t prop, dnnl_alg_kind_t alg,
                              const dn_md *src, const dn_md *dst, const dn_window *w, dnnl_primitive_attr_t attr);
dnnl_status_t dn_pool_backward(dnnl_primitive_desc_t *pd, dnnl_engine_t e, dnnl_alg_kind_t alg, const dn_md *diff_src,
                               const dn_md *diff_dst, const dn_window *w, dnnl_primitive_desc_t hint,
                               dnnl_primitive_attr_t attr);
dnnl_status_t dn_norm_forward(dnnl_primitive_desc_t *pd, dnnl_engine_t e, dnnl_prop_kind_t prop, const dn_md *data,
                              float epsilon, unsigned flags, dnnl_primitive_attr_t attr);
dnnl_status_t dn_norm_backward(dnnl_primitive_desc_t *pd, dnnl_engine_t e, const dn_md *diff, const dn_md *data,
                               float epsilon, unsigned flags, dnnl_primitive_desc_t hint, dnnl_primitive_attr_t attr);
dnnl_status_t dn_reorder(dnnl_primitive_desc_t *pd, dnnl_engine_t e, const dn_md *src, const dn_md *dst,
                         dnnl_primitive_attr_t attr);
dnnl_status_t dn_post_activation(dnnl_post_ops_t ops, dnnl_alg_kind_t alg, float alpha, float beta);
/** Copy the layout that a primitive chose into md. */
dnnl_status_t dn_chosen(dn_md *md, const_dnnl_primitive_desc_t pd, dnnl_query_t what);
const char *dn_isa(void); /* what oneDNN's kernels use of this processor: "avx512_core_bf16" */
bool dn_bf16(void);       /* has it bf16 kernels for that? */
bool dn_reference(const_dnnl_primitive_desc_t pd); /* by the slow reference loops? */
/** Replace pd by oneDNN's next choice until `wrong` accepts its implementation's name. Errors: unimplemented if none
 *  is
 * left; pd is then NULL. */
dnnl_status_t dn_skip(dnnl_primitive_desc_t *pd, dnnl_engine_t e, dnnl_primitive_desc_t hint,
                      bool (*wrong)(const char *name));

#endif
