/* block.h - from an address to the block it points to.
 *
 * Stands above layout.h; used by free.c, alloc.c (realloc), walk.c and check.c.
 */
#ifndef GM_HEAP_BLOCK_H
#define GM_HEAP_BLOCK_H

#include "libgeomem/heap/heap.h"

enum gm_found {
    GM_FOUND_FOREIGN, /* not in any heap */
    GM_FOUND_HEADER,  /* in a heap, but in its own structures or in memory that holds no block */
    GM_FOUND_INSIDE,  /* inside a block, not at its beginning */
    GM_FOUND_FREE,    /* at the beginning of a block that is free */
    GM_FOUND_BLOCK,
};

struct gm_place {
    struct gm_span *span;
    uint8_t *state;
    uintptr_t start; /* of the block */
    size_t bytes;
};

/* What an address is; the place from GM_FOUND_INSIDE on. A block that is inside a free one is GM_FOUND_FREE. */
enum gm_found gm_block_find(uintptr_t address, struct gm_place *ret_place);

/* The state of a place. acquire: who finds a block sees what was written before it was handed out. */
static inline uint8_t gm_place_state(const struct gm_place *place)
{
    return __atomic_load_n(place->state, __ATOMIC_ACQUIRE);
}

#endif
