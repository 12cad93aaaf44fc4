/* Importing an ONNX file beside reading it.
 *
 *     bench_import make FILE [MB] [transposed]
 *     bench_import time FILE [RUNS]
 *
 * make: a net of dense layers of 1024 x 1024 weights, 100 MB unless said otherwise; transposed: kernels as MatMul has
 * them, the other way round than this program. time: one JSON object with seconds, the best of so many runs, and peak
 * memory.
 *
 * Reading is measured in two ways: the whole file into fresh memory, as a program that wants its bytes does, and in
 * pieces of 1 MB into the same memory, which no program can beat. The file is in the system's cache. */
#include "base/base.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIDE = 32, WIDTH = SIDE * SIDE, PIECE = 1 << 20 };

static int give_up(cop_ctx *ctx) {
    fprintf(stderr, "%s\n", cop_error(ctx));
    return 1;
}

/* "transB" = 1 becomes 0 in every Gemm: the weights are square, so the file stays a model. */
static void transpose(uint8_t *bytes, size_t n) {
    static const uint8_t one[] = {'t', 'r', 'a', 'n', 's', 'B', 0x18, 1};
    for (size_t i = 0; i + sizeof one <= n; i++)
        if (!memcmp(bytes + i, one, sizeof one)) bytes[i + sizeof one - 1] = 0;
}

static int make(cop_ctx *ctx, const char *path, int megabytes, bool transposed) {
    cop_graph *g;
    cop_net *net;
    cop_status status = cop_graph_create(ctx, &g);
    if (status) return give_up(ctx);
    int x = cop_graph_flatten(g, "flatten", cop_graph_input(g, "input", 1, SIDE, SIDE));
    int layers = (int)((int64_t)megabytes * 1000000 / (4 * WIDTH * WIDTH)) + 1;
    for (int i = 0; i < layers; i++) {
        char name[32];
        snprintf(name, sizeof name, "dense%d", i);
        x = cop_graph_dense(g, name, x, WIDTH, 1);
        snprintf(name, sizeof name, "relu%d", i);
        x = cop_graph_relu(g, name, x);
    }
    status = cop_graph_build(g, 1, &net);
    if (!status) status = cop_net_save(net, path);
    uint8_t *bytes = NULL;
    size_t n = 0;
    if (!status && transposed) status = copi_read_file(ctx, path, 0, &bytes, &n);
    if (!status && transposed) {
        transpose(bytes, n);
        status = copi_write_file(ctx, path, bytes, n);
    }
    copi_free(ctx, bytes);
    cop_net_destroy(net);
    return status ? give_up(ctx) : 0;
}

/* Kilobytes that the process held at most. */
static long peak(void) {
    char line[256];
    long kilobytes = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f)) sscanf(line, "VmHWM: %ld", &kilobytes);
    if (f) fclose(f);
    return kilobytes;
}

/* Seconds to read it all into memory of size, over and over if that is less; negative: it can't be read. */
static double read_time(const char *path, char *memory, size_t size) {
    double start = copi_now();
    int fd = open(path, O_RDONLY);
    ssize_t got = fd < 0 ? -1 : 1;
    for (size_t at = 0; got > 0; at += (size_t)got) got = read(fd, memory + at % size, size - at % size);
    if (fd >= 0) close(fd);
    return got < 0 ? -1 : copi_now() - start;
}

static double less(double best, double seconds) {
    return best == 0 || seconds < best ? seconds : best;
}

static int measure(cop_ctx *ctx, const char *path, int runs) {
    long before = peak();
    cop_net *net;
    if (cop_net_load(ctx, path, &net)) return give_up(ctx);
    long most = peak() - before;
    cop_net_destroy(net);
    double fresh = 0, pieces = 0, import = 0;
    off_t size = -1;
    for (int run = 0; run < runs; run++) {
        int fd = open(path, O_RDONLY);
        if (fd >= 0) {
            size = lseek(fd, 0, SEEK_END);
            close(fd);
        }
        char *whole = malloc((size_t)size + 1), *piece = malloc(PIECE);
        if (size < 0 || !whole || !piece) return 1;
        memset(piece, 0, PIECE);
        pieces = less(pieces, read_time(path, piece, PIECE));
        fresh = less(fresh, read_time(path, whole, (size_t)size + 1)); /* one more, for the end of the file */
        free(whole);
        free(piece);
        double start = copi_now();
        if (cop_net_load(ctx, path, &net)) return give_up(ctx);
        import = less(import, copi_now() - start);
        cop_net_destroy(net);
    }
    printf("{\"bytes\": %lld, \"runs\": %d, \"read\": %.4f, \"read_pieces\": %.4f, \"import\": %.4f, "
           "\"import_to_read\": %.2f, \"import_to_read_pieces\": %.2f, \"peak_to_bytes\": %.2f}\n",
           (long long)size, runs, fresh, pieces, import, import / fresh, import / pieces,
           (double)most * 1024 / (double)size);
    return 0;
}

int main(int argc, char **argv) {
    cop_ctx *ctx;
    if (cop_ctx_create(NULL, &ctx)) return 1;
    int code = 2;
    if (argc >= 3 && argc <= 5 && !strcmp(argv[1], "make")) {
        int megabytes = argc > 3 ? atoi(argv[3]) : 100;
        if (megabytes > 0) code = make(ctx, argv[2], megabytes, argc > 4 && !strcmp(argv[4], "transposed"));
    } else if (argc >= 3 && argc <= 4 && !strcmp(argv[1], "time")) {
        int runs = argc > 3 ? atoi(argv[3]) : 9;
        if (runs > 0) code = measure(ctx, argv[2], runs);
    }
    if (code == 2) fprintf(stderr, "usage: bench_import make FILE [MB] [transposed] | time FILE [RUNS]\n");
    cop_ctx_destroy(ctx);
    return code;
}
