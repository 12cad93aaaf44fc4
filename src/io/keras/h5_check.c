/* libhdf5 1.10 trusts many lengths and counts of a file: it takes the memory that a damaged one asks for, or reads
 * that far. So these are followed here first, through all that Keras' files are made of: the superblock, object
 * headers of version 1, their messages, symbol tables, B-trees, local heaps. Newer object headers ("OHDR"), which
 * carry checksums, are left to libhdf5. Names are those of the HDF5 File Format Specification. */
#include "io/keras/h5.h"

#include <string.h>

enum {
    DEPTH_MAX = 256, /* of groups in groups and of continuations */
    RANK_MAX = 32,
    NAME_LONGEST = 1 << 16,
    MESSAGE_NONE = 0x00,
    MESSAGE_SPACE = 0x01,
    MESSAGE_LINK_INFO = 0x02,
    MESSAGE_TYPE = 0x03,
    MESSAGE_FILL_OLD = 0x04,
    MESSAGE_FILL = 0x05,
    MESSAGE_LINK = 0x06,
    MESSAGE_FILES = 0x07,
    MESSAGE_LAYOUT = 0x08,
    MESSAGE_GROUP_INFO = 0x0a,
    MESSAGE_FILTERS = 0x0b,
    MESSAGE_ATTRIBUTE = 0x0c,
    MESSAGE_TIME_OLD = 0x0e,
    MESSAGE_CONTINUATION = 0x10,
    MESSAGE_SYMBOLS = 0x11,
    MESSAGE_TIME = 0x12
};

typedef struct walk {
    const uint8_t *bytes;
    size_t n;
    size_t steps; /* messages and entries left to visit; fewer than the file has bytes, so a walk in a circle ends */
    int depth;
} walk;

/* A part of the file; reading past its end gives 0 and sets bad. */
typedef struct part {
    const uint8_t *at, *end;
    bool bad;
} part;

static uint64_t take(part *p, int bytes) {
    uint64_t v = 0;
    if (p->end - p->at < bytes) {
        p->bad = true;
        p->at = p->end;
        return 0;
    }
    for (int i = 0; i < bytes; i++) v |= (uint64_t)p->at[i] << 8 * i;
    p->at += bytes;
    return v;
}

static part cut(part *p, uint64_t bytes) {
    part q = {p->at, p->at, true};
    if (bytes > (uint64_t)(p->end - p->at)) {
        p->bad = true;
        return q;
    }
    p->at += bytes;
    q.end = p->at;
    q.bad = false;
    return q;
}

/* What lies at an address, at most size bytes. */
static part at(const walk *w, uint64_t address, uint64_t size) {
    part all = {w->bytes, w->bytes + w->n, false};
    cut(&all, address);
    part p = cut(&all, all.bad ? 0 : size);
    p.bad |= all.bad;
    return p;
}

static part from(const walk *w, uint64_t address) {
    return at(w, address, address <= w->n ? w->n - address : 0);
}

static bool begins(part *p, const char *mark) {
    part q = cut(p, 4);
    return !q.bad && memcmp(q.at, mark, 4) == 0;
}

static bool step(walk *w) {
    return w->steps && w->steps--;
}

static part cut_padded(part *p, uint64_t bytes, bool pad) {
    part q = cut(p, bytes);
    if (pad) cut(p, (8 - bytes % 8) % 8);
    return q;
}

/* A data type, read from p on, and the size of its elements: those that Keras and h5py write, numbers, strings, truth
 * values (an enumeration of integers) and strings of any length. */
static bool take_type(part *p, int depth, uint64_t *size) {
    enum { INTEGER = 0, REAL = 1, STRING = 3, ENUMERATION = 8, ANY_LENGTH = 9 };
    unsigned head = (unsigned)take(p, 1), class = head & 15, version = head >> 4;
    unsigned members = (unsigned)take(p, 2);
    take(p, 1);
    *size = take(p, 4);
    uint64_t base;
    if (p->bad || !*size || version < 1 || version > 3) return false;
    switch (class) {
    case INTEGER:
        cut(p, 4);
        break;
    case REAL:
        cut(p, 12);
        break;
    case STRING:
        break;
    case ANY_LENGTH:
        return depth < 8 && *size == 16 && take_type(p, depth + 1, &base); /* length, address and index in a heap */
    case ENUMERATION:
        if (p->at == p->end || (*p->at & 15) != INTEGER || !take_type(p, depth + 1, &base) || base != *size)
            return false;
        for (unsigned i = 0; i < members; i++) {
            const uint8_t *zero = memchr(p->at, 0, (size_t)(p->end - p->at));
            if (!zero) return false;
            cut_padded(p, (uint64_t)(zero - p->at) + 1, version < 3);
        }
        cut(p, members * base);
        break;
    default:
        return false;
    }
    return !p->bad;
}

static bool type_is_sound(part p, uint64_t *size) {
    return take_type(&p, 0, size);
}

static bool space_is_sound(part p, uint64_t *points) {
    unsigned version = (unsigned)take(&p, 1), rank = (unsigned)take(&p, 1), flags = (unsigned)take(&p, 1);
    unsigned null = (unsigned)take(&p, 1) == 2 && version == 2;
    if (version == 1) take(&p, 4);
    if (version < 1 || version > 2 || rank > RANK_MAX) return false;
    size_t product = 1;
    for (unsigned i = 0; i < rank; i++) {
        uint64_t dim = take(&p, 8);
        if (dim > SIZE_MAX || !copi_mul(product, (size_t)dim, &product)) return false;
    }
    if (flags & 1) cut(&p, (uint64_t)rank * 8);
    *points = null ? 0 : product;
    return !p.bad;
}

static bool attribute_is_sound(part p) {
    unsigned version = (unsigned)take(&p, 1), flags = (unsigned)take(&p, 1);
    uint64_t name_size = take(&p, 2), type_size = take(&p, 2), space_size = take(&p, 2), size, points;
    if (version == 3) take(&p, 1);
    bool pad = version == 1, shared = version > 1 && flags;
    part name = cut_padded(&p, name_size, pad), type = cut_padded(&p, type_size, pad),
         space = cut_padded(&p, space_size, pad);
    if (p.bad || version < 1 || version > 3 || shared || !name_size || !memchr(name.at, 0, name_size)) return false;
    if (!type_is_sound(type, &size) || !space_is_sound(space, &points)) return false;
    return points <= (uint64_t)(p.end - p.at) / size;
}

static bool fill_is_sound(part p, bool old) {
    unsigned version = old ? 0 : (unsigned)take(&p, 1), flags = 0;
    if (version == 3) flags = (unsigned)take(&p, 1);
    bool given = version < 3 || flags & 32;
    if (version == 1 || version == 2) take(&p, 2);
    if (version == 1 || version == 2) given = take(&p, 1) || version == 1;
    uint64_t size = given ? take(&p, 4) : 0;
    if (size != UINT32_MAX) cut(&p, size); /* -1: undefined */
    return !p.bad && version <= 3;
}

static bool filters_are_sound(part p) {
    enum { FILTERS_MAX = 32, OWN = 256 }; /* filters below OWN have no name in version 2 */
    unsigned version = (unsigned)take(&p, 1), count = (unsigned)take(&p, 1);
    if (version < 1 || version > 2 || count > FILTERS_MAX) return false;
    if (version == 1) cut(&p, 6);
    for (unsigned i = 0; i < count; i++) {
        unsigned id = (unsigned)take(&p, 2);
        uint64_t name_size = version == 1 || id >= OWN ? take(&p, 2) : 0;
        take(&p, 2);
        uint64_t values = take(&p, 2);
        part name = cut_padded(&p, name_size, version == 1);
        if (name.bad || (name_size && !memchr(name.at, 0, name_size))) return false;
        cut(&p, 4 * (values + (version == 1 && values % 2)));
    }
    return !p.bad;
}

static bool object_is_sound(walk *w, uint64_t address);

/* A leaf of a group's tree: entries, whose names lie in the heap. */
static bool symbols_are_sound(walk *w, uint64_t address, part heap) {
    part p = from(w, address);
    if (!begins(&p, "SNOD")) return false;
    take(&p, 2);
    unsigned count = (unsigned)take(&p, 2);
    for (unsigned i = 0; i < count; i++) {
        part entry = cut(&p, 40), name = heap;
        uint64_t offset = take(&entry, 8), object = take(&entry, 8);
        unsigned cached = (unsigned)take(&entry, 4);
        cut(&name, offset);
        size_t room = (size_t)(name.end - name.at);
        if (entry.bad || name.bad || !memchr(name.at, 0, room < NAME_LONGEST ? room : NAME_LONGEST) || !step(w))
            return false;
        if (cached != 2 && !object_is_sound(w, object)) return false; /* 2: a soft link, which is not followed */
    }
    return true;
}

/* A B-tree: of a group (rank 0), or of chunks of this many dimensions, whose keys tell their stored size. */
static bool tree_is_sound(walk *w, uint64_t address, int above, unsigned rank, part heap) {
    part p = from(w, address);
    if (!begins(&p, "TREE") || take(&p, 1) != (rank > 0)) return false;
    int level = (int)take(&p, 1);
    unsigned count = (unsigned)take(&p, 2);
    if (level > 16 || (above >= 0 && level != above - 1)) return false;
    cut(&p, 16); /* siblings */
    for (unsigned i = 0; i < count; i++) {
        uint64_t stored = take(&p, rank ? 4 : 8);
        if (rank) cut(&p, 4 + (uint64_t)rank * 8);
        uint64_t child = take(&p, 8);
        if (p.bad || !step(w)) return false;
        bool good = level  ? tree_is_sound(w, child, level, rank, heap)
                    : rank ? !at(w, child, stored).bad
                           : symbols_are_sound(w, child, heap);
        if (!good) return false;
    }
    return !p.bad;
}

static bool group_is_sound(walk *w, part p) {
    uint64_t tree = take(&p, 8), address = take(&p, 8);
    part head = at(w, address, 32);
    if (p.bad || !begins(&head, "HEAP")) return false;
    take(&head, 4);
    uint64_t size = take(&head, 8);
    take(&head, 8);
    part heap = at(w, take(&head, 8), size);
    return !heap.bad && tree_is_sound(w, tree, -1, 0, heap);
}

static bool layout_is_sound(walk *w, part p) {
    unsigned version = (unsigned)take(&p, 1), class = (unsigned)take(&p, 1);
    if (version != 3) return version == 4; /* of newer files */
    if (class == 0) return cut(&p, take(&p, 2)).bad == false;
    if (class == 1) return cut(&p, 16).bad == false;
    unsigned rank = (unsigned)take(&p, 1);
    uint64_t tree = take(&p, 8);
    if (class != 2 || p.bad || rank < 1 || rank > RANK_MAX + 1 || cut(&p, (uint64_t)rank * 4).bad) return false;
    return tree == UINT64_MAX || tree_is_sound(w, tree, -1, rank, p); /* -1: nothing stored yet */
}

static bool chunk_is_sound(walk *w, part p);

static bool message_is_sound(walk *w, unsigned type, part p) {
    uint64_t a, b;
    switch (type) {
    case MESSAGE_SPACE:
        return space_is_sound(p, &a);
    case MESSAGE_TYPE:
        return type_is_sound(p, &a);
    case MESSAGE_FILL_OLD:
        return fill_is_sound(p, true);
    case MESSAGE_FILL:
        return fill_is_sound(p, false);
    case MESSAGE_LAYOUT:
        return layout_is_sound(w, p);
    case MESSAGE_ATTRIBUTE:
        return attribute_is_sound(p);
    case MESSAGE_SYMBOLS:
        return group_is_sound(w, p);
    case MESSAGE_CONTINUATION:
        a = take(&p, 8);
        b = take(&p, 8);
        return !p.bad && chunk_is_sound(w, at(w, a, b));
    case MESSAGE_FILTERS:
        return filters_are_sound(p);
    case MESSAGE_TIME_OLD:
        return !cut(&p, 16).bad;
    case MESSAGE_TIME:
        return !cut(&p, 8).bad;
    /* libhdf5 trusts no length of the next; what is linked or lies in other files is refused by name when asked
     * for */
    case MESSAGE_NONE:
    case MESSAGE_LINK_INFO:
    case MESSAGE_LINK:
    case MESSAGE_FILES:
    case MESSAGE_GROUP_INFO:
        return true;
    default: /* Keras' files have no others */
        return false;
    }
}

/* Messages one after another. Shared ones, which lie elsewhere, are not followed; Keras' files have none. */
static bool chunk_is_sound(walk *w, part p) {
    bool good = !p.bad && w->depth++ < DEPTH_MAX;
    while (good && p.end - p.at >= 8) {
        unsigned type = (unsigned)take(&p, 2);
        uint64_t size = take(&p, 2);
        bool shared = take(&p, 1) & 2;
        take(&p, 3);
        part body = cut(&p, size);
        good = !body.bad && !shared && step(w) && message_is_sound(w, type, body);
    }
    w->depth--;
    return good;
}

static bool object_is_sound(walk *w, uint64_t address) {
    part p = from(w, address), head = p;
    if (begins(&head, "OHDR")) return true;
    if (take(&p, 1) != 1) return false;
    take(&p, 7);
    uint64_t size = take(&p, 4);
    take(&p, 4);
    return !p.bad && chunk_is_sound(w, cut(&p, size));
}

bool copi_h5_is_sound(const uint8_t *bytes, size_t n) {
    walk w = {bytes, n, n, 0};
    part p = from(&w, 8);
    unsigned version = (unsigned)take(&p, 1);
    if (version > 1) return true;
    cut(&p, version ? 19 : 15);
    uint64_t base = take(&p, 8);
    cut(&p, 24 + 8);
    uint64_t root = take(&p, 8);
    return !p.bad && base == 0 && object_is_sound(&w, root);
}
