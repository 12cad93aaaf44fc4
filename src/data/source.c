/* Streams of bytes: a file or memory, plain or gzip. */
#include "data/formats.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#define WINDOW ((size_t)1 << 16)

/* What a file's or a memory block's stream works on: raw bytes, and zlib between them and the caller if packed. */
typedef struct packed {
    FILE *file; /* or NULL: memory */
    const uint8_t *memory;
    size_t left;              /* bytes of memory not yet taken */
    bool gzip, ended, opened; /* ended: the last gzip member is complete */
    z_stream z;
    uint8_t window[WINDOW]; /* raw bytes on their way to zlib */
} packed;

/* Up to n raw bytes; 0 at the end. */
static cop_status raw(copi_source *s, uint8_t *dst, size_t n, size_t *got) {
    packed *p = s->from;
    if (!p->file) {
        *got = n < p->left ? n : p->left;
        if (*got) memcpy(dst, p->memory, *got); /* memory may be NULL when there is none */
        if (*got) p->memory += *got;
        p->left -= *got;
        return COP_OK;
    }
    *got = fread(dst, 1, n, p->file);
    if (*got < n && ferror(p->file)) {
        return copi_fail(s->ctx, COP_E_IO, "%s: can't be read: %s", s->name, strerror(errno));
    }
    return COP_OK;
}

static cop_status refill(copi_source *s) {
    packed *p = s->from;
    size_t got;
    cop_status status = raw(s, p->window, WINDOW, &got);
    p->z.next_in = p->window;
    p->z.avail_in = status ? 0 : (uInt)got;
    return status;
}

static cop_status pull_gzip(copi_source *s, uint8_t *dst, size_t n, size_t *got) {
    packed *p = s->from;
    *got = 0;
    while (*got < n) {
        if (p->z.avail_in == 0) {
            cop_status status = refill(s);
            if (status) return status;
            if (p->z.avail_in == 0) {
                if (p->ended) return COP_OK;
                return copi_fail(s->ctx, COP_E_FORMAT,
                                 "%s: the gzip stream is cut short after %llu unpacked bytes; get the file again",
                                 s->name, (unsigned long long)(s->at + *got));
            }
        }
        if (p->ended) { /* one file may hold several gzip members, and nothing else */
            if (p->z.next_in[0] != 0x1f) {
                return copi_fail(s->ctx, COP_E_FORMAT, "%s: bytes follow the end of the gzip stream", s->name);
            }
            inflateReset(&p->z);
            p->ended = false;
        }
        uInt room = n - *got < ((size_t)1 << 30) ? (uInt)(n - *got) : (uInt)1 << 30;
        p->z.next_out = dst + *got;
        p->z.avail_out = room;
        int code = inflate(&p->z, Z_NO_FLUSH);
        *got += room - p->z.avail_out;
        if (code == Z_STREAM_END) {
            p->ended = true;
        } else if (code == Z_MEM_ERROR) {
            return copi_fail(s->ctx, COP_E_NOMEM, "%s: out of memory while unpacking", s->name);
        } else if (code != Z_OK && code != Z_BUF_ERROR) {
            return copi_fail(s->ctx, COP_E_FORMAT,
                             "%s: the gzip stream is damaged after %llu unpacked bytes (%s); get the file again",
                             s->name, (unsigned long long)(s->at + *got), p->z.msg ? p->z.msg : "no reason given");
        }
    }
    return COP_OK;
}

static void close_packed(copi_source *s) {
    packed *p = s->from;
    if (p->opened) inflateEnd(&p->z);
    if (p->file) (void)fclose(p->file);
    copi_free(s->ctx, p);
}

static voidpf zlib_alloc(voidpf ctx, uInt count, uInt size) {
    return copi_alloc(ctx, count, size);
}
static void zlib_free(voidpf ctx, voidpf block) {
    copi_free(ctx, block);
}

/* Set the stream up, with zlib in between if it is packed. */
static cop_status begin(copi_source *s, uint64_t size, bool gzip) {
    packed *p = s->from;
    s->bound = size;
    s->exact = true;
    s->pull = raw;
    if (!gzip) return COP_OK;
    p->gzip = true;
    p->z.zalloc = zlib_alloc;
    p->z.zfree = zlib_free;
    p->z.opaque = s->ctx;
    if (inflateInit2(&p->z, 15 + 16) != Z_OK) {
        return copi_fail(s->ctx, COP_E_NOMEM, "%s: out of memory while unpacking", s->name);
    }
    p->opened = true;
    s->bound = size > UINT64_MAX / COPI_DEFLATE_MAX ? UINT64_MAX : size * COPI_DEFLATE_MAX;
    s->exact = false;
    s->pull = pull_gzip;
    return COP_OK;
}

static cop_status make(cop_ctx *ctx, const char *name, copi_source *s) {
    *s = (copi_source){.ctx = ctx, .name = name, .close = close_packed};
    s->from = copi_alloc(ctx, 1, sizeof(packed));
    return s->from ? COP_OK : COP_E_NOMEM;
}

cop_status copi_source_open(cop_ctx *ctx, const char *path, copi_source *s) {
    cop_status status = make(ctx, path, s);
    if (status) return status;
    packed *p = s->from;
    struct stat st;
    uint8_t magic[2] = {0};
    p->file = fopen(path, "rb");
    if (!p->file || fstat(fileno(p->file), &st)) {
        status = copi_fail(ctx, errno == ENOENT ? COP_E_NOT_FOUND : COP_E_IO, "%s: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        status = copi_fail(ctx, COP_E_FORMAT, "%s: is not a regular file", path);
    } else {
        size_t got = fread(magic, 1, 2, p->file);
        rewind(p->file);
        status = begin(s, (uint64_t)st.st_size, got == 2 && magic[0] == 0x1f && magic[1] == 0x8b);
    }
    if (status) copi_source_close(s);
    return status;
}

cop_status copi_source_memory(cop_ctx *ctx, const char *name, const uint8_t *bytes, size_t n, copi_source *s) {
    cop_status status = make(ctx, name, s);
    if (status) return status;
    packed *p = s->from;
    p->memory = bytes;
    p->left = n;
    status = begin(s, n, n >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b);
    if (status) copi_source_close(s);
    return status;
}

void copi_source_close(copi_source *s) {
    if (s->from) s->close(s);
    s->from = NULL;
}

cop_status copi_source_expect(copi_source *s, uint64_t total) {
    if (total > s->bound) {
        return copi_fail(s->ctx, COP_E_FORMAT, "%s: its header asks for %llu bytes, it %s %llu: truncated or damaged",
                         s->name, (unsigned long long)total, s->exact ? "has" : "can hold at most",
                         (unsigned long long)s->bound);
    }
    if (s->exact && total < s->bound) {
        return copi_fail(s->ctx, COP_E_FORMAT, "%s: its header asks for %llu bytes, it has %llu: %llu too many",
                         s->name, (unsigned long long)total, (unsigned long long)s->bound,
                         (unsigned long long)(s->bound - total));
    }
    return COP_OK;
}

cop_status copi_source_read(copi_source *s, void *dst, size_t n) {
    uint8_t *to = dst;
    while (n) {
        size_t got;
        cop_status status = s->pull(s, to, n, &got);
        if (status) return status;
        if (!got) {
            return copi_fail(s->ctx, COP_E_FORMAT, "%s: ends after %llu bytes, at least %llu more are needed",
                             s->name, (unsigned long long)s->at, (unsigned long long)n);
        }
        to += got;
        n -= got;
        s->at += got;
    }
    return COP_OK;
}

cop_status copi_source_end(copi_source *s) {
    uint8_t byte;
    size_t got;
    cop_status status = s->pull(s, &byte, 1, &got);
    if (status || !got) return status;
    return copi_fail(s->ctx, COP_E_FORMAT, "%s: bytes follow the %llu that its header asks for", s->name,
                     (unsigned long long)s->at);
}
