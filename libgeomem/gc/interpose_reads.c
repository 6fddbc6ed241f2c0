/* interpose_reads.c - functions that have the kernel fill a buffer, and wait for nobody: pages of old blocks are opened first.
 *
 * Of use with GM_DIRTY_MPROTECT only (see dirty.h); otherwise they cost one comparison. Those that may wait stand in
 * interpose_waits.c. fread is here because the C library reads straight into a large buffer.
 */
#include <stdio.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <unistd.h>

#include "libgeomem/gc/interpose.h"

#define READ(name, parameters, arguments, fill) \
    GM_REAL(ssize_t, name, parameters) \
    GM_INTERPOSED ssize_t name parameters \
    { \
        ssize_t result = 0; \
        (void)(fill); \
        do \
            result = name##_real() arguments; \
        while (result == -1 && (fill)); \
        return result; \
    }

READ(pread, (int fd, void *buffer, size_t bytes, off_t at), (fd, buffer, bytes, at),
    gm_fill_again(result == -1, buffer, bytes))
READ(pread64, (int fd, void *buffer, size_t bytes, off64_t at), (fd, buffer, bytes, at),
    gm_fill_again(result == -1, buffer, bytes))
READ(getrandom, (void *buffer, size_t bytes, unsigned flags), (buffer, bytes, flags),
    gm_fill_again(result == -1, buffer, bytes))

GM_REAL(size_t, fread, (void *, size_t, size_t, FILE *))
GM_INTERPOSED size_t fread(void *restrict buffer, size_t bytes, size_t count, FILE *restrict file)
{
    size_t all;
    if (!__builtin_mul_overflow(bytes, count, &all))
        gm_fill_again(false, buffer, all);
    return fread_real()(buffer, bytes, count, file);
}
