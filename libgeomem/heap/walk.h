/* walk.h - going through all blocks of a heap. */
#ifndef GM_HEAP_WALK_H
#define GM_HEAP_WALK_H

#include "libgeomem/heap/heap.h"

/* Blocks of each state, by its low half: 16 numbers. Reads while others write. */
void gm_span_count_states(const struct gm_span *span, uint32_t *ret_blocks);

/* Stops the world, if the heap has a collector that can, and takes the heap's lock. 0 or a negative errno. */
int gm_heap_quiesce(struct gm_heap *heap);
void gm_heap_resume(struct gm_heap *heap);

#endif
