/* Ops that compute nothing of images: shapes, constants, and what only moves dimensions about. Arithmetic on shapes
 * is carried out here, once, so that a Reshape to [batch, -1] is found to be a flatten however it was spelled. */
#include "io/onnx/ops.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* -- constants -- */

cop_status copi_onnx_constant_op(copi_onnx_node *n) {
    copi_onnx_reader *r = n->r;
    const Onnx__AttributeProto *a = n->proto->n_attribute == 1 ? n->proto->attribute[0] : NULL;
    copi_onnx_tensor t;
    float *reals;
    int64_t *wholes;
    cop_status status;
    if (!a) return copi_onnx_fail(n, COP_E_FORMAT, "it has %zu attributes, not one", n->proto->n_attribute);
    if (a->t) {
        status = copi_onnx_tensor_read(r, a->t, &t);
    } else if (a->has_f || a->n_floats) {
        size_t count = a->has_f ? 1 : a->n_floats;
        status = copi_onnx_floats(r, (int64_t)count, &reals, &t);
        if (!status) memcpy(reals, a->has_f ? &a->f : a->floats, count * sizeof *reals);
        t.rank = !a->has_f;
    } else if (a->has_i || a->n_ints) {
        size_t count = a->has_i ? 1 : a->n_ints;
        status = copi_onnx_wholes(r, (int64_t)count, &wholes, &t);
        if (!status) memcpy(wholes, a->has_i ? &a->i : a->ints, count * sizeof *wholes);
        t.rank = !a->has_i;
    } else {
        return copi_onnx_fail(n, COP_E_UNSUPPORTED, "its value is neither numbers nor a tensor");
    }
    return status ? status : copi_onnx_give_tensor(n, &t);
}

/* Integers that shapes are made of: few. */
static cop_status read_wholes(const copi_onnx_node *n, int input, copi_onnx_tensor *t) {
    cop_status status = copi_onnx_constant(n, input, t);
    if (status) return status;
    if (!t->real && t->count <= COPI_ONNX_NUMBERS) return COP_OK;
    return copi_onnx_fail(n, COP_E_UNSUPPORTED, "only of the integers that shapes are made of");
}

/* out[i] = in[start + sum_d i_d stride_d]: transposes, slices, broadcasts. out's shape is set. */
static cop_status rearrange(copi_onnx_reader *r, const copi_onnx_tensor *in, int64_t start, const int64_t *stride,
                            copi_onnx_tensor *out) {
    cop_status status = copi_onnx_need(r, in);
    if (status) return status;
    out->real = in->real;
    out->sparse = in->sparse;
    out->count = 1;
    for (int d = 0; d < out->rank; d++) out->count *= out->dims[d]; /* at most in's count, or bounded by the caller */
    float *reals = in->real ? copi_onnx_arena(r, (size_t)out->count, sizeof *reals) : NULL;
    int64_t *wholes = in->real ? NULL : copi_onnx_arena(r, (size_t)out->count, sizeof *wholes);
    if (!reals && !wholes) return COP_E_NOMEM;
    int64_t at[COPI_ONNX_RANK] = {0}, from = start;
    for (int64_t i = 0; i < out->count; i++) {
        if (reals) reals[i] = copi_onnx_float(in, from);
        if (wholes) wholes[i] = in->whole[from];
        for (int d = out->rank - 1; d >= 0; d--) {
            from += stride[d];
            if (++at[d] < out->dims[d]) break;
            from -= stride[d] * out->dims[d];
            at[d] = 0;
        }
    }
    out->floats = (const uint8_t *)reals;
    out->whole = wholes;
    return COP_OK;
}

static void strides_of(const copi_onnx_tensor *t, int64_t *stride) {
    int64_t product = 1;
    for (int d = t->rank - 1; d >= 0; d--) {
        stride[d] = product;
        product *= t->dims[d];
    }
}

static bool is_real_type(int64_t type) {
    return type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT || type == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE ||
           type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16 || type == ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16;
}

cop_status copi_onnx_cast(copi_onnx_node *n) {
    const copi_onnx_value *x = copi_onnx_input(n, 0);
    bool to_real = is_real_type(copi_onnx_int(n, "to", 0));
    if (!x) return copi_onnx_fail(n, COP_E_FORMAT, "input 0 is missing");
    if (x->kind != COPI_ONNX_CONSTANT) {
        return to_real ? copi_onnx_pass(n, x)
                       : copi_onnx_fail(n, COP_E_UNSUPPORTED, "of images, to what is not float");
    }
    copi_onnx_tensor in = x->tensor, out;
    if (in.real == to_real) return copi_onnx_give_tensor(n, &in);
    cop_status status = copi_onnx_need(n->r, &in);
    if (status) return status;
    if (to_real) {
        float *data;
        status = copi_onnx_floats(n->r, in.count, &data, &out);
        for (int64_t i = 0; !status && i < in.count; i++) data[i] = (float)in.whole[i];
    } else {
        int64_t *data;
        status = copi_onnx_wholes(n->r, in.count, &data, &out);
        for (int64_t i = 0; !status && i < in.count; i++) {
            float f = copi_onnx_float(&in, i);
            if (!(fabsf(f) < 1e9f)) return copi_onnx_fail(n, COP_E_UNSUPPORTED, "%g is no integer", (double)f);
            data[i] = (int64_t)f;
        }
    }
    if (status) return status;
    out.rank = in.rank;
    memcpy(out.dims, in.dims, sizeof out.dims);
    return copi_onnx_give_tensor(n, &out);
}

cop_status copi_onnx_constant_of_shape(copi_onnx_node *n) {
    copi_onnx_tensor shape, value = {.real = true, .count = 1}, out = {0};
    static const float zero = 0;
    value.floats = (const uint8_t *)&zero;
    cop_status status = read_wholes(n, 0, &shape);
    const Onnx__AttributeProto *a = copi_onnx_attribute(n, "value");
    if (!status && a && a->t) status = copi_onnx_tensor_read(n->r, a->t, &value);
    if (status) return status;
    int64_t count = 1, stride[COPI_ONNX_RANK] = {0};
    bool fits = shape.rank == 1 && shape.count <= COPI_ONNX_RANK && value.count == 1;
    for (int64_t d = 0; fits && d < shape.count; d++) {
        out.dims[d] = shape.whole[d];
        fits = copi_mul_i64(count, shape.whole[d], &count) && count <= COPI_ONNX_NUMBERS;
    }
    if (!fits) return copi_onnx_fail(n, COP_E_UNSUPPORTED, "only in shapes");
    out.rank = (int)shape.count;
    status = rearrange(n->r, &value, 0, stride, &out);
    return status ? status : copi_onnx_give_tensor(n, &out);
}

cop_status copi_onnx_shape(copi_onnx_node *n) {
    const copi_onnx_value *x = copi_onnx_input(n, 0);
    if (!x) return copi_onnx_fail(n, COP_E_FORMAT, "input 0 is missing");
    int64_t dims[COPI_ONNX_RANK] = {COPI_ONNX_BATCH}, count = 4, *data;
    if (x->kind == COPI_ONNX_CONSTANT) {
        count = x->tensor.rank;
        memcpy(dims, x->tensor.dims, sizeof dims);
    } else if (x->kind == COPI_ONNX_VECTOR) {
        count = 2;
        dims[1] = x->shape[0] * x->shape[1] * x->shape[2];
    } else {
        for (int d = 1; d < 4; d++) dims[d] = copi_onnx_extent(x, d);
    }
    int64_t start = copi_onnx_int(n, "start", 0), end = copi_onnx_int(n, "end", count);
    start = start < 0 ? start + count : start;
    end = end < 0 ? end + count : end;
    start = start < 0 ? 0 : start;
    end = end > count ? count : end;
    if (end < start) end = start;
    copi_onnx_tensor out;
    cop_status status = copi_onnx_wholes(n->r, end - start, &data, &out);
    if (status) return status;
    memcpy(data, dims + start, (size_t)(end - start) * sizeof *data);
    return copi_onnx_give_tensor(n, &out);
}

cop_status copi_onnx_gather(copi_onnx_node *n) {
    copi_onnx_tensor from, index, out;
    int64_t *data;
    cop_status status = read_wholes(n, 0, &from);
    if (!status) status = read_wholes(n, 1, &index);
    if (status) return status;
    if (from.rank != 1 || index.rank > 1 || copi_onnx_int(n, "axis", 0) != 0) {
        return copi_onnx_fail(n, COP_E_UNSUPPORTED, "only of lists");
    }
    status = copi_onnx_wholes(n->r, index.count, &data, &out);
    out.rank = index.rank;
    for (int64_t i = 0; !status && i < index.count; i++) {
        int64_t at =
            index.whole[i] < 0 && index.whole[i] >= -from.count ? index.whole[i] + from.count : index.whole[i];
        if (at < 0 || at >= from.count)
            return copi_onnx_fail(n, COP_E_FORMAT, "index %" PRId64 " of %" PRId64, at, from.count);
        data[i] = from.whole[at];
    }
    return status ? status : copi_onnx_give_tensor(n, &out);
}

/* One dimension of a slice: ONNX clamps whatever it is given. */
static void slice_dimension(int64_t extent, int64_t start, int64_t end, int64_t step, int64_t *first,
                            int64_t *count) {
    int64_t low = step > 0 ? 0 : -1, high = step > 0 ? extent : extent - 1;
    start = start < 0 ? (start < -extent ? low : start + extent) : start;
    end = end < 0 ? (end < -extent ? low : end + extent) : end;
    start = start > high ? high : start < low ? low : start;
    end = end > high ? high : end;
    int64_t span = step > 0 ? end - start : start - end, width = step > 0 ? step : -step;
    *first = start;
    *count = span > 0 ? (span - 1) / width + 1 : 0;
}

cop_status copi_onnx_slice(copi_onnx_node *n) {
    copi_onnx_tensor in, out;
    const int64_t *starts, *ends, *axes, *steps;
    int64_t count, ends_count, axes_count, steps_count, stride[COPI_ONNX_RANK], from = 0;
    cop_status status = read_wholes(n, 0, &in);
    if (!status) status = copi_onnx_list(n, "starts", 1, &starts, &count);
    if (!status) status = copi_onnx_list(n, "ends", 2, &ends, &ends_count);
    if (!status) status = copi_onnx_list(n, "axes", 3, &axes, &axes_count);
    if (!status) status = copi_onnx_list(n, "steps", 4, &steps, &steps_count);
    if (status) return status;
    if (count < 0 || ends_count != count || (axes && axes_count != count) || (steps && steps_count != count)) {
        return copi_onnx_fail(n, COP_E_FORMAT, "its lists are not of one length");
    }
    out = in;
    strides_of(&in, stride);
    for (int64_t i = 0; i < count; i++) {
        int at;
        status = copi_onnx_axis(n, axes ? axes[i] : i, in.rank, &at);
        if (status) return status;
        int64_t step = steps ? steps[i] : 1, first, length;
        if (step == 0 || step < -COPI_ONNX_NUMBERS || step > COPI_ONNX_NUMBERS) {
            return copi_onnx_fail(n, COP_E_UNSUPPORTED, "step %" PRId64, step);
        }
        slice_dimension(out.dims[at], starts[i], ends[i], step, &first, &length);
        out.dims[at] = length;
        from += length ? first * stride[at] : 0;
        stride[at] *= step;
        if (stride[at] > COPI_MAX_EXTENT || stride[at] < -COPI_MAX_EXTENT) {
            return copi_onnx_fail(n, COP_E_UNSUPPORTED, "step %" PRId64, step);
        }
    }
    status = rearrange(n->r, &in, from, stride, &out);
    return status ? status : copi_onnx_give_tensor(n, &out);
}

/* -- arithmetic of constants -- */

/* The shape of both together, and how each is walked. */
static bool broadcast(const copi_onnx_tensor *a, const copi_onnx_tensor *b, copi_onnx_tensor *out,
                      int64_t stride[2][COPI_ONNX_RANK]) {
    const copi_onnx_tensor *in[2] = {a, b};
    out->rank = a->rank > b->rank ? a->rank : b->rank;
    out->count = 1;
    for (int d = 0; d < out->rank; d++) out->dims[d] = 1;
    for (int k = 0; k < 2; k++) {
        int64_t own[COPI_ONNX_RANK];
        strides_of(in[k], own);
        for (int d = 0; d < out->rank; d++) {
            int at = d - (out->rank - in[k]->rank);
            int64_t extent = at < 0 ? 1 : in[k]->dims[at];
            stride[k][d] = extent == 1 ? 0 : own[at];
            if (extent == 1) continue;
            if (out->dims[d] != 1 && out->dims[d] != extent) return false;
            out->dims[d] = extent;
        }
    }
    for (int d = 0; d < out->rank; d++) {
        if (!copi_mul_i64(out->count, out->dims[d], &out->count) || out->count > COPI_MAX_ELEMENTS) return false;
    }
    return true;
}

static bool compute_whole(char op, int64_t a, int64_t b, int64_t *c) {
    static const int64_t most = INT64_C(1) << 31;
    if (a < -most || a > most || b < -most || b > most || (op == '/' && b == 0)) return false;
    *c = op == '+' ? a + b : op == '-' ? a - b : op == '*' ? a * b : a / b;
    return true;
}

cop_status copi_onnx_fold_binary(copi_onnx_node *n, char op) {
    copi_onnx_tensor in[2], out = {0}, wide[2];
    int64_t stride[2][COPI_ONNX_RANK];
    cop_status status = COP_OK;
    for (int k = 0; k < 2 && !status; k++) status = copi_onnx_constant(n, k, &in[k]);
    if (status) return status;
    if (in[0].real != in[1].real || !broadcast(&in[0], &in[1], &out, stride)) {
        return copi_onnx_fail(n, COP_E_FORMAT, "its two constants do not fit together");
    }
    for (int k = 0; k < 2 && !status; k++) {
        wide[k] = out;
        status = rearrange(n->r, &in[k], 0, stride[k], &wide[k]);
    }
    if (status) return status;
    copi_onnx_tensor result;
    if (in[0].real) {
        float *data;
        status = copi_onnx_floats(n->r, out.count, &data, &result);
        for (int64_t i = 0; !status && i < out.count; i++) {
            float a = copi_onnx_float(&wide[0], i), b = copi_onnx_float(&wide[1], i);
            data[i] = op == '+' ? a + b : op == '-' ? a - b : op == '*' ? a * b : b == 0 ? NAN : a / b;
        }
    } else {
        int64_t *data;
        status = copi_onnx_wholes(n->r, out.count, &data, &result);
        for (int64_t i = 0; !status && i < out.count; i++) {
            if (!compute_whole(op, wide[0].whole[i], wide[1].whole[i], &data[i])) {
                return copi_onnx_fail(n, COP_E_UNSUPPORTED, "not of the number of images, nor of such numbers");
            }
        }
    }
    if (status) return status;
    result.rank = out.rank;
    memcpy(result.dims, out.dims, sizeof result.dims);
    return copi_onnx_give_tensor(n, &result);
}

/* -- what moves dimensions about -- */

cop_status copi_onnx_identity(copi_onnx_node *n) {
    const copi_onnx_value *x = copi_onnx_input(n, 0);
    return x ? copi_onnx_pass(n, x) : copi_onnx_fail(n, COP_E_FORMAT, "input 0 is missing");
}

static cop_status transpose_constant(copi_onnx_node *n, const copi_onnx_tensor *in, const int64_t *perm,
                                     int64_t count) {
    copi_onnx_tensor out = *in;
    int64_t own[COPI_ONNX_RANK], stride[COPI_ONNX_RANK];
    bool used[COPI_ONNX_RANK] = {false};
    strides_of(in, own);
    if (perm && count != in->rank)
        return copi_onnx_fail(n, COP_E_FORMAT, "perm is not of its %d dimensions", in->rank);
    for (int d = 0; d < in->rank; d++) {
        int64_t p = perm ? perm[d] : in->rank - 1 - d;
        if (p < 0 || p >= in->rank || used[p]) return copi_onnx_fail(n, COP_E_FORMAT, "perm is not a permutation");
        used[p] = true;
        out.dims[d] = in->dims[p];
        stride[d] = own[p];
    }
    cop_status status = rearrange(n->r, in, 0, stride, &out);
    return status ? status : copi_onnx_give_tensor(n, &out);
}

cop_status copi_onnx_transpose(copi_onnx_node *n) {
    const copi_onnx_value *x = copi_onnx_input(n, 0);
    const int64_t *perm;
    int64_t count;
    cop_status status = copi_onnx_list(n, "perm", -1, &perm, &count);
    if (status) return status;
    if (!x) return copi_onnx_fail(n, COP_E_FORMAT, "input 0 is missing");
    if (x->kind == COPI_ONNX_CONSTANT) return transpose_constant(n, &x->tensor, perm, count);
    int rank = x->kind == COPI_ONNX_IMAGE ? 4 : 2;
    if (count != rank || perm[0] != 0) return copi_onnx_fail(n, COP_E_UNSUPPORTED, "the images do not stay first");
    copi_onnx_value out = *x;
    if (rank == 2)
        return perm[1] == 1 ? copi_onnx_pass(n, x) : copi_onnx_fail(n, COP_E_FORMAT, "perm is not a permutation");
    int seen = 0;
    for (int d = 1; d < 4; d++) {
        if (perm[d] < 1 || perm[d] > 3) return copi_onnx_fail(n, COP_E_FORMAT, "perm is not a permutation");
        out.axis[d - 1] = x->axis[perm[d] - 1];
        seen |= 1 << out.axis[d - 1];
    }
    return seen == 7 ? copi_onnx_pass(n, &out) : copi_onnx_fail(n, COP_E_FORMAT, "perm is not a permutation");
}

/* Image to vector; it is flattened when somebody needs it so. */
static cop_status give_vector(copi_onnx_node *n, const copi_onnx_value *x) {
    copi_onnx_value out = *x;
    out.kind = COPI_ONNX_VECTOR;
    out.flat = x->kind == COPI_ONNX_VECTOR && x->flat;
    return copi_onnx_pass(n, &out);
}

cop_status copi_onnx_flatten(copi_onnx_node *n) {
    copi_onnx_value *x;
    int at;
    cop_status status = copi_onnx_unpadded(n, 0, &x);
    if (!status) status = copi_onnx_axis(n, copi_onnx_int(n, "axis", 1), x->kind == COPI_ONNX_IMAGE ? 4 : 2, &at);
    if (status) return status;
    return at == 1 ? give_vector(n, x) : copi_onnx_fail(n, COP_E_UNSUPPORTED, "at axis %d; it must be 1", at);
}

/* Fills in what a target shape leaves open: 0 copies, -1 takes the rest. total: the product of all but the images.
 * The first is the images, whose number is open or fixed by the graph. */
static bool resolve(const copi_onnx_reader *r, const copi_onnx_tensor *target, const int64_t *dims, int rank,
                    bool zero_copies, int64_t total, int64_t *out) {
    int64_t count = target->count, product = 1, open = -1;
    bool images_open = false;
    for (int64_t d = 0; d < count; d++) {
        int64_t t = target->whole[d];
        if (t == 0 && zero_copies) {
            if (d >= rank) return false;
            t = dims[d];
        }
        if (d == 0) {
            images_open = t == -1;
            if (t != -1 && t != COPI_ONNX_BATCH && t != r->batch) return false;
            continue;
        }
        out[d] = t;
        if (t == -1) {
            if (open >= 0 || images_open) return false;
            open = d;
        } else if (!copi_mul_i64(product, t, &product)) {
            return false;
        }
    }
    if (open >= 0) {
        if (product == 0 || total % product) return false;
        out[open] = total / product;
        return true;
    }
    return product == total;
}

static cop_status reshape_constant(copi_onnx_node *n, const copi_onnx_tensor *in, const copi_onnx_tensor *target) {
    copi_onnx_tensor out = *in;
    int64_t product = 1, open = -1;
    bool good = target->count <= COPI_ONNX_RANK;
    for (int64_t d = 0; good && d < target->count; d++) {
        int64_t t = target->whole[d];
        if (t == 0 && d < in->rank && !copi_onnx_int(n, "allowzero", 0)) t = in->dims[d];
        out.dims[d] = t;
        if (t == -1 && open < 0) {
            open = d;
        } else {
            good = copi_mul_i64(product, t, &product);
        }
    }
    if (good && open >= 0) {
        good = product != 0 && in->count % product == 0;
        if (good) out.dims[open] = in->count / product;
    } else {
        good = good && product == in->count;
    }
    if (!good) return copi_onnx_fail(n, COP_E_FORMAT, "%" PRId64 " numbers do not take that shape", in->count);
    out.rank = (int)target->count;
    return copi_onnx_give_tensor(n, &out);
}

/* As an image again: only if that is how it was flattened. */
static cop_status give_image_again(copi_onnx_node *n, const copi_onnx_value *x, const int64_t *dims) {
    copi_onnx_value out = *x;
    out.kind = COPI_ONNX_IMAGE;
    bool same = x->kind == COPI_ONNX_IMAGE || !x->flat;
    for (int d = 1; d < 4; d++) same &= copi_onnx_extent(&out, d) == dims[d];
    if (!same)
        return copi_onnx_fail(n, COP_E_UNSUPPORTED, "into another image; supported: to flatten, or to undo that");
    return copi_onnx_pass(n, &out);
}

cop_status copi_onnx_reshape(copi_onnx_node *n) {
    const int64_t *list;
    int64_t count;
    copi_onnx_value *x = copi_onnx_input(n, 0);
    cop_status status = copi_onnx_list(n, "shape", 1, &list, &count);
    if (status) return status;
    const copi_onnx_tensor target = {.rank = 1, .dims = {count}, .count = count, .whole = list};
    if (!x || count < 0) return copi_onnx_fail(n, COP_E_FORMAT, "input or shape is missing");
    if (x->kind == COPI_ONNX_CONSTANT) return reshape_constant(n, &x->tensor, &target);
    status = copi_onnx_unpadded(n, 0, &x);
    if (status) return status;
    int64_t total = x->shape[0] * x->shape[1] * x->shape[2], dims[4] = {COPI_ONNX_BATCH, total}, to[4] = {0};
    int rank = x->kind == COPI_ONNX_IMAGE ? 4 : 2;
    for (int d = 1; rank == 4 && d < 4; d++) dims[d] = copi_onnx_extent(x, d);
    bool good = count == 2 || count == 4;
    good = good && resolve(n->r, &target, dims, rank, !copi_onnx_int(n, "allowzero", 0), total, to);
    if (!good)
        return copi_onnx_fail(n, COP_E_UNSUPPORTED,
                              "to this shape; supported: to flatten each image, or to undo that");
    return count == 2 ? give_vector(n, x) : give_image_again(n, x, to);
}

static cop_status squeeze_constant(copi_onnx_node *n, const copi_onnx_tensor *in, const int64_t *axes,
                                   int64_t count) {
    copi_onnx_tensor out = *in;
    bool gone[COPI_ONNX_RANK] = {false};
    for (int64_t i = 0; i < count; i++) {
        int at;
        cop_status status = copi_onnx_axis(n, axes[i], in->rank, &at);
        if (status) return status;
        gone[at] = true;
    }
    out.rank = 0;
    for (int d = 0; d < in->rank; d++) {
        bool drop = count < 0 ? in->dims[d] == 1 : gone[d];
        if (drop && in->dims[d] != 1) return copi_onnx_fail(n, COP_E_FORMAT, "dimension %d is not 1", d);
        if (!drop) out.dims[out.rank++] = in->dims[d];
    }
    return copi_onnx_give_tensor(n, &out);
}

cop_status copi_onnx_squeeze(copi_onnx_node *n) {
    copi_onnx_value *x = copi_onnx_input(n, 0);
    const int64_t *axes;
    int64_t count;
    cop_status status = copi_onnx_list(n, "axes", 1, &axes, &count);
    if (status) return status;
    if (x && x->kind == COPI_ONNX_CONSTANT) return squeeze_constant(n, &x->tensor, axes, count);
    status = copi_onnx_unpadded(n, 0, &x);
    if (status) return status;
    bool good = x->kind == COPI_ONNX_IMAGE && count == 2;
    int seen = 0;
    for (int i = 0; good && i < 2; i++) {
        int at;
        status = copi_onnx_axis(n, axes[i], 4, &at);
        if (status) return status;
        good = at > 0 && copi_onnx_extent(x, at) == 1 && !(seen & 1 << at);
        seen |= 1 << at;
    }
    return good ? give_vector(n, x)
                : copi_onnx_fail(n, COP_E_UNSUPPORTED, "only of two dimensions of extent 1 of an image");
}

/* Constants, and vectors that were images of one row and one column. */
cop_status copi_onnx_unsqueeze(copi_onnx_node *n) {
    copi_onnx_value *x = copi_onnx_input(n, 0);
    const int64_t *axes;
    int64_t count;
    cop_status status = copi_onnx_list(n, "axes", 1, &axes, &count);
    if (status) return status;
    if (!x || count < 1) return copi_onnx_fail(n, COP_E_FORMAT, "input or axes are missing");
    bool constant = x->kind == COPI_ONNX_CONSTANT;
    if (!constant) status = copi_onnx_unpadded(n, 0, &x);
    if (status) return status;
    int64_t rank = (constant ? x->tensor.rank : x->kind == COPI_ONNX_VECTOR ? 2 : 4) + count;
    if (rank > (constant ? COPI_ONNX_RANK : 4))
        return copi_onnx_fail(n, COP_E_UNSUPPORTED, "to %" PRId64 " dimensions", rank);
    bool added[COPI_ONNX_RANK] = {false};
    for (int64_t i = 0; i < count; i++) {
        int at;
        status = copi_onnx_axis(n, axes[i], (int)rank, &at);
        if (status) return status;
        if (added[at]) return copi_onnx_fail(n, COP_E_FORMAT, "axis %d twice", at);
        added[at] = true;
    }
    copi_onnx_tensor out = constant ? x->tensor : (copi_onnx_tensor){0};
    int64_t dims[2] = {COPI_ONNX_BATCH, x->shape[0] * x->shape[1] * x->shape[2]};
    const int64_t *from = constant ? x->tensor.dims : dims;
    out.rank = (int)rank;
    for (int d = 0, at = 0; d < rank; d++) out.dims[d] = added[d] ? 1 : from[at++];
    if (constant) return copi_onnx_give_tensor(n, &out);
    if (rank != 4 || added[0]) return copi_onnx_fail(n, COP_E_UNSUPPORTED, "only to images");
    return give_image_again(n, x, out.dims);
}

/* -- concat -- */

static cop_status concat_constants(copi_onnx_node *n) {
    copi_onnx_tensor in, out;
    int64_t count = 0, *data, at = 0;
    cop_status status = COP_OK;
    for (int pass = 0; pass < 2 && !status; pass++) {
        for (size_t i = 0; !status && i < n->proto->n_input; i++) {
            status = read_wholes(n, (int)i, &in);
            if (!status && in.rank != 1) status = copi_onnx_fail(n, COP_E_UNSUPPORTED, "of constants only of lists");
            if (!status && pass == 0) count += in.count;
            if (!status && pass == 1) memcpy(data + at, in.whole, (size_t)in.count * sizeof *data);
            if (!status && pass == 1) at += in.count;
        }
        if (!status && count > COPI_ONNX_NUMBERS) status = copi_onnx_fail(n, COP_E_UNSUPPORTED, "too long a list");
        if (!status && pass == 0) status = copi_onnx_wholes(n->r, count, &data, &out);
    }
    return status ? status : copi_onnx_give_tensor(n, &out);
}

cop_status copi_onnx_concat(copi_onnx_node *n) {
    size_t count = n->proto->n_input;
    const copi_onnx_value *first = count ? copi_onnx_input(n, 0) : NULL;
    if (!first) return copi_onnx_fail(n, COP_E_FORMAT, "input 0 is missing");
    if (first->kind == COPI_ONNX_CONSTANT) return concat_constants(n);
    int axis;
    copi_onnx_value *x, out = {0};
    cop_status status = copi_onnx_axis(n, copi_onnx_int(n, "axis", 1), first->kind == COPI_ONNX_IMAGE ? 4 : 2, &axis);
    int *src = status ? NULL : copi_onnx_arena(n->r, count, sizeof *src);
    if (!status && !src) status = COP_E_NOMEM;
    int64_t channels = 0;
    for (size_t i = 0; !status && i < count; i++) {
        const int64_t *order = NULL;
        status = copi_onnx_activation(n, (int)i, &x);
        if (!status && x->kind == COPI_ONNX_VECTOR) status = copi_onnx_order(n->r, x, &order);
        if (status) return status;
        bool along = x->kind == COPI_ONNX_VECTOR ? axis == 1 && !order : axis > 0 && x->axis[axis - 1] == 0;
        if (!along || x->kind != first->kind || memcmp(x->axis, first->axis, sizeof x->axis) != 0) {
            return copi_onnx_fail(n, COP_E_UNSUPPORTED, "'%s': only along channels, of values laid out alike",
                                  x->name);
        }
        channels += x->kind == COPI_ONNX_VECTOR ? x->shape[0] * x->shape[1] * x->shape[2] : x->shape[0];
        src[i] = x->node;
        if (i == 0) out = *x;
    }
    if (!status) status = copi_onnx_add(n, NULL, &(copi_node){.op = COPI_OP_CONCAT}, src, (int)count, &out.node);
    if (status) return status;
    out.shape[0] = channels;
    if (out.kind == COPI_ONNX_VECTOR) {
        out.shape[1] = out.shape[2] = 1;
        out.flat = true;
    }
    return copi_onnx_give(n, &out);
}

/* -- padding -- */

cop_status copi_onnx_pad(copi_onnx_node *n) {
    copi_onnx_value *x = copi_onnx_input(n, 0);
    const int64_t *pads, *axes;
    int64_t count, axes_count;
    cop_status status = copi_onnx_list(n, "pads", 1, &pads, &count);
    if (!status) status = copi_onnx_list(n, "axes", 3, &axes, &axes_count);
    if (status) return status;
    if (!x || x->kind != COPI_ONNX_IMAGE || count != 2 * (axes ? axes_count : 4)) {
        return copi_onnx_fail(n, COP_E_UNSUPPORTED, "only of images, with two numbers for each dimension");
    }
    double value = copi_onnx_real(n, "value", 0);
    if (copi_onnx_input(n, 2)) {
        copi_onnx_tensor t;
        status = copi_onnx_constant(n, 2, &t);
        if (status) return status;
        value = t.real && t.count == 1 ? (double)copi_onnx_float(&t, 0) : NAN;
    }
    bool edge = copi_onnx_text_is(n, "mode", "edge", false);
    if (!edge && (value != 0 || !copi_onnx_text_is(n, "mode", "constant", true))) {
        return copi_onnx_fail(n, COP_E_UNSUPPORTED, "only with zeros, or the edge repeated");
    }
    if (copi_onnx_is_padded(x) && x->edge != edge) return copi_onnx_fail(n, COP_E_UNSUPPORTED, "of two kinds");
    copi_onnx_value out = *x;
    out.edge = edge;
    for (int64_t i = 0; i < count / 2; i++) {
        int at;
        int64_t before = pads[i], after = pads[i + count / 2];
        status = copi_onnx_axis(n, axes ? axes[i] : i, 4, &at);
        if (status) return status;
        int axis = at > 0 ? x->axis[at - 1] : 0;
        if (before < 0 || after < 0 || before > COPI_MAX_EXTENT / 4 || after > COPI_MAX_EXTENT / 4 ||
            (axis == 0 && (before || after))) {
            return copi_onnx_fail(n, COP_E_UNSUPPORTED,
                                  "%" PRId64 " and %" PRId64 " around dimension %d; only around rows and "
                                  "columns, nothing cut off",
                                  before, after, at);
        }
        if (axis) {
            out.pad[axis - 1] += before;
            out.pad[axis + 1] += after;
            if (out.pad[axis - 1] > COPI_MAX_EXTENT / 4 || out.pad[axis + 1] > COPI_MAX_EXTENT / 4) {
                return copi_onnx_fail(n, COP_E_UNSUPPORTED, "too much padding");
            }
        }
    }
    return copi_onnx_pass(n, &out);
}
