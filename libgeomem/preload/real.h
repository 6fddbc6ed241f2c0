/* real.h - the program's own functions behind the ones we interpose. */
#ifndef GM_PRELOAD_REAL_H
#define GM_PRELOAD_REAL_H

#include <stddef.h>

#define GM_EXPORT __attribute__((visibility("default"), used, noinline))

/* The allocator that the program would use without us. Before the first look-up each entry leads to a
 * function that does it; a look-up that allocates is served from a small static area. */
struct gm_real {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
    void *(*memalign)(size_t, size_t);
    void *(*aligned_alloc)(size_t, size_t);
    int (*posix_memalign)(void **, size_t, size_t);
    void *(*valloc)(size_t);
    void *(*pvalloc)(size_t);
    size_t (*malloc_usable_size)(void *);
};
extern struct gm_real gm_real;

/* Looks all of them up. Safe to call again. */
void gm_real_find(void);

/* The next definition of `name` after ours, or NULL. Takes the loader's lock: not async-signal-safe. */
void *gm_real_symbol(const char *name);

/* Looks up what exec.c calls. The constructor does, since exec functions may be called where the loader's lock must
 * not be taken: in a signal handler, in a child of vfork. */
void gm_exec_find(void);

#endif
