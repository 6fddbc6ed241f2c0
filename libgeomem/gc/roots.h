/* roots.h - ranges of addresses, sorted and apart; of roots and of what is none. Changed under the lock of the world. */
#ifndef GM_GC_ROOTS_H
#define GM_GC_ROOTS_H

#include <stddef.h>
#include <stdint.h>

struct gm_range_pair {
    uintptr_t start;
    uintptr_t end;
};
struct gm_ranges {
    struct gm_range_pair *rows;
    size_t count;
    size_t room;
};

/* Ranges that touch become one. -EINVAL: empty, or past the end of the address space; -ENOMEM. */
int gm_ranges_add(struct gm_ranges *ranges, uintptr_t start, size_t bytes);
/* Takes away every part inside; one range may become two. -EINVAL, -ENOMEM. */
int gm_ranges_remove(struct gm_ranges *ranges, uintptr_t start, size_t bytes);

/* A coroutine's stack: a root from now on, wherever it is suspended. Memory that is no more is passed over. */
void gm_coroutine_stack_add(const void *start, size_t bytes);

#endif
