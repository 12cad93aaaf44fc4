/* What every test program uses: cmocka, a context, errors by their text, memory that runs out on demand. */
#ifndef COPPICE_TEST_CHECK_H
#define COPPICE_TEST_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/net.h"

/** A context on a counting allocator: test_ctx_destroy fails the test if a block made with it was not freed. */
cop_ctx *test_ctx(void);
void test_ctx_destroy(cop_ctx *ctx);

/** The call succeeds, or the test fails with the error's text. */
#define test_ok(ctx, call) test_ok_at(ctx, call, #call, __FILE__, __LINE__)
/** The call fails with this status and this part in cop_error (NULL: any one line that is not empty). */
#define test_fails(ctx, call, status, part) test_fails_at(ctx, call, status, part, #call, __FILE__, __LINE__)
void test_ok_at(cop_ctx *ctx, cop_status got, const char *call, const char *file, int line);
void test_fails_at(cop_ctx *ctx, cop_status got, cop_status status, const char *part, const char *call,
                   const char *file, int line);
/** |got - want| <= absolute + relative |want|, both finite; else the test fails and says which. */
#define test_near(got, want, relative, absolute) test_near_at(got, want, relative, absolute, #got, __FILE__, __LINE__)
void test_near_at(double got, double want, double relative, double absolute, const char *what, const char *file,
                  int line);

/** Out-of-memory loop: work runs with the 1st allocation failing, then the 2nd, ... until it passes. Each failure
 * must be COP_E_NOMEM with a text, and leave no block behind. Returns how many allocations the passing run made. */
int64_t test_out_of_memory(cop_status (*work)(cop_ctx *ctx, void *user), void *user);

/** A fresh directory for files of this program, made under TMPDIR (or /tmp), and its
 *  removal with all that is in it. path is the caller's, at least 256 bytes. */
void test_dir_make(char *path);
void test_dir_remove(const char *path);

#endif
