#include "io/onnx_wire.h"

#include <inttypes.h>
#include <string.h>

enum {
    DEPTH_MAX = 64,         /* of messages within messages; a plain CNN has 6 */
    MESSAGES_MAX = 1000000, /* in one file; large nets have some ten thousand */
    LARGE = 4096,           /* bytes; a raw_data this long is worth not copying */
};

/* One field of a message: its number, its wire type, and its bytes (the payload where it has a length). */
typedef struct field {
    uint32_t id, type;
    const uint8_t *start; /* of the tag */
    const uint8_t *data;
    size_t length;
} field;

static bool read_varint(copi_reader *r, uint64_t *value) {
    *value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte;
        if (!copi_read_u8(r, &byte)) return false;
        *value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return true;
    }
    return false;
}

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_LENGTH = 2, WIRE_32 = 5 };

static bool next_field(copi_reader *r, field *f) {
    uint64_t tag, value = 0;
    f->start = r->data + r->at;
    if (!read_varint(r, &tag) || tag >> 35 || !(tag >> 3)) return false;
    f->id = (uint32_t)(tag >> 3);
    f->type = (uint32_t)(tag & 7);
    f->length = 0;
    switch (f->type) {
    case WIRE_VARINT:
        return read_varint(r, &value);
    case WIRE_64:
        value = 8;
        break;
    case WIRE_32:
        value = 4;
        break;
    case WIRE_LENGTH:
        if (!read_varint(r, &value)) return false;
        break;
    default:
        return false; /* groups died before ONNX was born */
    }
    if (value > r->size - r->at) return false;
    f->length = (size_t)value;
    return copi_read_bytes(r, f->length, &f->data);
}

/* -- checking -- */

typedef struct census {
    cop_ctx *ctx;
    const uint8_t *base;
    int messages;
} census;

static cop_status check_message(census *c, const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t n,
                                int depth) {
    if (depth > DEPTH_MAX) {
        return copi_fail(c->ctx, COP_E_FORMAT, "messages nest more than %d deep at byte %zu", DEPTH_MAX,
                         (size_t)(bytes - c->base));
    }
    if (++c->messages > MESSAGES_MAX) {
        return copi_fail(c->ctx, COP_E_FORMAT, "more than %d messages", MESSAGES_MAX);
    }
    copi_reader r = copi_reader_make(bytes, n);
    while (r.at < r.size) {
        field f;
        if (!next_field(&r, &f)) {
            return copi_fail(c->ctx, COP_E_FORMAT, "malformed %s at byte %zu", type->short_name,
                             (size_t)(f.start - c->base));
        }
        const ProtobufCFieldDescriptor *known = protobuf_c_message_descriptor_get_field(type, f.id);
        if (!known || known->type != PROTOBUF_C_TYPE_MESSAGE || f.type != WIRE_LENGTH) continue;
        cop_status status = check_message(c, known->descriptor, f.data, f.length, depth + 1);
        if (status) return status;
    }
    return COP_OK;
}

/* -- leaving out what is large: the model's bytes without the raw_data of its large initializers -- */

enum { MODEL_GRAPH = 7, GRAPH_INITIALIZER = 5, TENSOR_RAW_DATA = 9 };

static void put_varint(copi_buffer *b, uint64_t value) {
    uint8_t bytes[10];
    size_t n = 0;
    do {
        bytes[n] = (uint8_t)(value & 127) | (value > 127 ? 128 : 0);
        value >>= 7;
        n++;
    } while (value);
    copi_buffer_add(b, bytes, n);
}

static void put_message(copi_buffer *b, uint32_t id, const copi_buffer *message) {
    put_varint(b, (uint64_t)id << 3 | WIRE_LENGTH);
    put_varint(b, message->len);
    copi_buffer_add(b, message->data, message->len);
}

/* A field as it stood, tag and all; r stands behind it. */
static void put_field(copi_buffer *b, const copi_reader *r, const field *f) {
    copi_buffer_add(b, f->start, (size_t)(r->data + r->at - f->start));
}

/* What was left out of one initializer. */
typedef struct left_out {
    const uint8_t *data; /* NULL: nothing was */
    size_t length;
} left_out;

static void slim_tensor(const field *tensor, copi_buffer *out, left_out *left) {
    copi_reader r = copi_reader_make(tensor->data, tensor->length);
    field f;
    while (r.at < r.size && next_field(&r, &f)) {
        bool raw = f.id == TENSOR_RAW_DATA && f.type == WIRE_LENGTH;
        if (raw)
            *left =
                f.length < LARGE ? (left_out){0} : (left_out){f.data, f.length}; /* given twice, the last counts */
        if (!raw || f.length < LARGE) put_field(out, &r, &f);
    }
}

static bool is_initializer(const field *f) {
    return f->id == GRAPH_INITIALIZER && f->type == WIRE_LENGTH;
}

static size_t count_initializers(const field *graph) {
    copi_reader r = copi_reader_make(graph->data, graph->length);
    field f;
    size_t count = 0;
    while (r.at < r.size && next_field(&r, &f)) count += is_initializer(&f);
    return count;
}

/* left [count of initializers]. */
static void slim_graph(cop_ctx *ctx, const field *graph, copi_buffer *out, left_out *left) {
    copi_reader r = copi_reader_make(graph->data, graph->length);
    field f;
    size_t number = 0;
    while (r.at < r.size && next_field(&r, &f)) {
        if (is_initializer(&f) && f.length >= LARGE) {
            copi_buffer tensor;
            copi_buffer_init(&tensor, ctx);
            slim_tensor(&f, &tensor, &left[number]);
            put_message(out, GRAPH_INITIALIZER, &tensor);
            out->failed |= tensor.failed;
            copi_buffer_clear(&tensor);
        } else {
            put_field(out, &r, &f);
        }
        number += is_initializer(&f);
    }
}

static cop_status slim_model(cop_ctx *ctx, const uint8_t *bytes, size_t n, copi_buffer *out, left_out **left) {
    copi_reader r = copi_reader_make(bytes, n);
    field f;
    while (r.at < r.size && next_field(&r, &f)) {
        if (f.id != MODEL_GRAPH || f.type != WIRE_LENGTH) {
            put_field(out, &r, &f);
            continue;
        }
        if (*left) return copi_fail(ctx, COP_E_FORMAT, "a second graph at byte %zu", (size_t)(f.start - bytes));
        copi_buffer graph;
        copi_buffer_init(&graph, ctx);
        *left = copi_alloc(ctx, count_initializers(&f) + 1, sizeof **left);
        if (*left) slim_graph(ctx, &f, &graph, *left);
        put_message(out, MODEL_GRAPH, &graph);
        out->failed |= graph.failed;
        copi_buffer_clear(&graph);
        if (!*left) return COP_E_NOMEM;
    }
    return out->failed ? copi_fail(ctx, COP_E_NOMEM, "out of memory for the model's messages") : COP_OK;
}

/* -- unpacking -- */

typedef struct unpack_memory {
    cop_ctx *ctx;
    bool failed;
} unpack_memory;

static void *unpack_alloc(void *user, size_t size) {
    unpack_memory *m = user;
    void *block = copi_alloc(m->ctx, size ? size : 1, 1);
    m->failed |= !block;
    return block;
}

static void unpack_free(void *user, void *block) {
    const unpack_memory *m = user;
    copi_free(m->ctx, block);
}

cop_status copi_onnx_unpack(cop_ctx *ctx, const uint8_t *bytes, size_t n, Onnx__ModelProto **model) {
    *model = NULL;
    if (!n) return copi_fail(ctx, COP_E_FORMAT, "an empty file");
    census c = {.ctx = ctx, .base = bytes};
    cop_status status = check_message(&c, &onnx__model_proto__descriptor, bytes, n, 0);
    if (status) return status;
    copi_buffer slim;
    copi_buffer_init(&slim, ctx);
    left_out *left = NULL;
    unpack_memory memory = {.ctx = ctx};
    ProtobufCAllocator allocator = {unpack_alloc, unpack_free, &memory};
    status = slim_model(ctx, bytes, n, &slim, &left);
    if (!status) {
        *model = onnx__model_proto__unpack(&allocator, slim.len, (const uint8_t *)slim.data);
        if (!*model && memory.failed) status = COP_E_NOMEM;
        if (!*model && !memory.failed) status = copi_fail(ctx, COP_E_FORMAT, "not a protobuf ModelProto");
    }
    copi_buffer_clear(&slim);
    if (!status && left) {
        Onnx__GraphProto *graph = (*model)->graph;
        for (size_t i = 0; i < graph->n_initializer; i++) {
            if (!left[i].data) continue;
            graph->initializer[i]->has_raw_data = 1;
            graph->initializer[i]->raw_data =
                (ProtobufCBinaryData){left[i].length, (uint8_t *)(uintptr_t)left[i].data};
        }
    }
    copi_free(ctx, left);
    return status;
}

void copi_onnx_free(cop_ctx *ctx, Onnx__ModelProto *model) {
    if (!model) return;
    Onnx__GraphProto *graph = model->graph;
    for (size_t i = 0; graph && i < graph->n_initializer; i++) {
        Onnx__TensorProto *t = graph->initializer[i];
        if (t->raw_data.len < LARGE) continue;
        /* lent by the file's bytes */
        t->raw_data = (ProtobufCBinaryData){0};
        t->has_raw_data = 0;
    }
    unpack_memory memory = {.ctx = ctx};
    ProtobufCAllocator allocator = {unpack_alloc, unpack_free, &memory};
    onnx__model_proto__free_unpacked(model, &allocator);
}
