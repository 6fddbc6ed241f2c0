/* safe_malloc.c - a library with a malloc that may be called in a signal handler at any instruction: one
 * fetch-and-add on a static arena; free does nothing. signal_malloc links it before libc, as programs link
 * jemalloc, so that what is under test is the recorder and not glibc's lock. */
#include <errno.h>
#include <stdatomic.h>

#include "target.h"

enum { ARENA = 1u << 30 };
static char arena[ARENA] __attribute__((aligned(16)));
static _Atomic size_t arena_used;

/* What the others call: a call of malloc from here would be one of the program's. */
static void *arena_take(size_t bytes)
{
    size_t need = (bytes + 31) & ~(size_t)15;
    size_t start = atomic_fetch_add(&arena_used, need);
    if (bytes > ARENA || start + need > ARENA) {
        errno = ENOMEM;
        return NULL;
    }
    *(size_t *)(void *)(arena + start) = bytes;
    return arena + start + 16;
}

void *malloc(size_t bytes)
{
    return arena_take(bytes);
}

void free(void *block)
{
    (void)block;
}

void *calloc(size_t n, size_t bytes)
{
    return arena_take(n * bytes); /* the arena starts as zeroes and nothing is used twice */
}

/* nested_malloc.c has its own. */
#ifndef NESTED_MALLOC
void *realloc(void *old, size_t bytes)
{
    void *block = arena_take(bytes);
    if (old && block) {
        size_t old_bytes = *(size_t *)(void *)((char *)old - 16);
        memcpy(block, old, old_bytes < bytes ? old_bytes : bytes);
    }
    return block;
}
#endif
