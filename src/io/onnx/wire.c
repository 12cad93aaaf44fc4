#include "io/onnx/wire.h"

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

/* false with COP_OK: malformed. A field's payload is there only once it is asked for. */
static bool next_field(copi_file *file, copi_reader *r, field *f, cop_status *status) {
    enum { HEAD = 32 }; /* bytes: more than a tag with a number or a length takes */
    uint64_t tag, value = 0;
    size_t left = r->size - r->at;
    f->start = r->data + r->at;
    *status = copi_file_need(file, f->start, left < HEAD ? left : HEAD);
    if (*status) return false;
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
        return false; /* groups were deprecated before ONNX began */
    }
    if (value > r->size - r->at) return false;
    f->length = (size_t)value;
    return copi_read_bytes(r, f->length, &f->data);
}

/* -- checking -- */

typedef struct census {
    copi_file *file;
    int messages;
} census;

static cop_status check_message(census *c, const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t n,
                                int depth) {
    cop_ctx *ctx = c->file->ctx;
    if (depth > DEPTH_MAX) {
        return copi_fail(ctx, COP_E_FORMAT, "messages nest more than %d deep at byte %zu", DEPTH_MAX,
                         (size_t)(bytes - c->file->bytes));
    }
    if (++c->messages > MESSAGES_MAX) return copi_fail(ctx, COP_E_FORMAT, "more than %d messages", MESSAGES_MAX);
    copi_reader r = copi_reader_make(bytes, n);
    while (r.at < r.size) {
        field f;
        cop_status status;
        if (!next_field(c->file, &r, &f, &status)) {
            return status ? status
                          : copi_fail(ctx, COP_E_FORMAT, "malformed %s at byte %zu", type->short_name,
                                      (size_t)(f.start - c->file->bytes));
        }
        const ProtobufCFieldDescriptor *known = protobuf_c_message_descriptor_get_field(type, f.id);
        if (!known || known->type != PROTOBUF_C_TYPE_MESSAGE || f.type != WIRE_LENGTH) continue;
        status = check_message(c, known->descriptor, f.data, f.length, depth + 1);
        if (status) return status;
    }
    return COP_OK;
}

/* -- leaving out what is large: the model's bytes without the raw_data of its large initializers. Fields were all
 * seen before: none is malformed -- */

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
static cop_status put_field(copi_file *file, copi_buffer *b, const copi_reader *r, const field *f) {
    size_t n = (size_t)(r->data + r->at - f->start);
    cop_status status = copi_file_need(file, f->start, n);
    if (!status) copi_buffer_add(b, f->start, n);
    return status;
}

/* What was left out of one initializer. */
typedef struct left_out {
    const uint8_t *data; /* NULL: nothing was */
    size_t length;
} left_out;

static cop_status slim_tensor(copi_file *file, const field *tensor, copi_buffer *out, left_out *left) {
    copi_reader r = copi_reader_make(tensor->data, tensor->length);
    field f;
    cop_status status = COP_OK;
    while (!status && r.at < r.size && next_field(file, &r, &f, &status)) {
        bool raw = f.id == TENSOR_RAW_DATA && f.type == WIRE_LENGTH;
        if (raw) /* given twice, the last counts */
            *left = f.length < LARGE ? (left_out){0} : (left_out){f.data, f.length};
        if (!raw || f.length < LARGE) status = put_field(file, out, &r, &f);
    }
    return status;
}

static bool is_initializer(const field *f) {
    return f->id == GRAPH_INITIALIZER && f->type == WIRE_LENGTH;
}

static cop_status count_initializers(copi_file *file, const field *graph, size_t *count) {
    copi_reader r = copi_reader_make(graph->data, graph->length);
    field f;
    cop_status status = COP_OK;
    *count = 0;
    while (r.at < r.size && next_field(file, &r, &f, &status)) *count += is_initializer(&f);
    return status;
}

/* left [count of initializers]. */
static cop_status slim_graph(copi_file *file, const field *graph, copi_buffer *out, left_out *left) {
    copi_reader r = copi_reader_make(graph->data, graph->length);
    field f;
    size_t number = 0;
    cop_status status = COP_OK;
    while (!status && r.at < r.size && next_field(file, &r, &f, &status)) {
        if (is_initializer(&f) && f.length >= LARGE) {
            copi_buffer tensor;
            copi_buffer_init(&tensor, file->ctx);
            status = slim_tensor(file, &f, &tensor, &left[number]);
            put_message(out, GRAPH_INITIALIZER, &tensor);
            out->failed |= tensor.failed;
            copi_buffer_clear(&tensor);
        } else {
            status = put_field(file, out, &r, &f);
        }
        number += is_initializer(&f);
    }
    return status;
}

static cop_status slim_model(copi_file *file, copi_buffer *out, left_out **left) {
    copi_reader r = copi_reader_make(file->bytes, file->size);
    cop_ctx *ctx = file->ctx;
    field f;
    cop_status status = COP_OK;
    while (!status && r.at < r.size && next_field(file, &r, &f, &status)) {
        if (f.id != MODEL_GRAPH || f.type != WIRE_LENGTH) {
            status = put_field(file, out, &r, &f);
            continue;
        }
        if (*left) return copi_fail(ctx, COP_E_FORMAT, "a second graph at byte %zu", (size_t)(f.start - file->bytes));
        size_t count;
        status = count_initializers(file, &f, &count);
        if (status) return status;
        copi_buffer graph;
        copi_buffer_init(&graph, ctx);
        *left = copi_alloc(ctx, count + 1, sizeof **left);
        status = *left ? slim_graph(file, &f, &graph, *left) : COP_E_NOMEM;
        put_message(out, MODEL_GRAPH, &graph);
        out->failed |= graph.failed;
        copi_buffer_clear(&graph);
    }
    if (status) return status;
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

cop_status copi_onnx_unpack(copi_file *file, Onnx__ModelProto **model) {
    cop_ctx *ctx = file->ctx;
    *model = NULL;
    if (!file->size) return copi_fail(ctx, COP_E_FORMAT, "an empty file");
    census c = {.file = file};
    cop_status status = check_message(&c, &onnx__model_proto__descriptor, file->bytes, file->size, 0);
    if (status) return status;
    copi_buffer slim;
    copi_buffer_init(&slim, ctx);
    left_out *left = NULL;
    unpack_memory memory = {.ctx = ctx};
    ProtobufCAllocator allocator = {unpack_alloc, unpack_free, &memory};
    status = slim_model(file, &slim, &left);
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
            Onnx__TensorProto *t = graph->initializer[i];
            unpack_free(&memory, t->raw_data.data); /* given twice, a small one first */
            t->has_raw_data = 1;
            t->raw_data = (ProtobufCBinaryData){left[i].length, (uint8_t *)(uintptr_t)left[i].data};
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
