/* sweep.h - what marking has left unmarked becomes free; what has survived ages.
 *
 *   young, unmarked          → free
 *   young, marked            → young and one collection older, or old of the live colour
 *   old of the other colour  → free, after a full collection
 *
 * States are swept 64 at a time, by whole vectors where the world is stopped. While the program runs only the bytes of
 * dead blocks are stored to: nobody else holds them, but their neighbours may be freed by the program at any moment.
 *
 * Stands between mark.h and cycle.h.
 */
#ifndef GM_GC_SWEEP_H
#define GM_GC_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "libgeomem/heap/layout.h"

struct gm_sweep {
    uint8_t live;        /* GM_STATE_OLD_A or _B */
    uint8_t promote_age; /* collections after which a young block becomes old */
    bool young;          /* young blocks are swept: the world is stopped */
    bool old;            /* blocks of the other colour are dead */
    bool notes;          /* the promoted are noted, for marking in steps: see cards.h */
    uint64_t heap;       /* number of the heap, for the listener */
    /* What was found, added up. */
    uint64_t dead_blocks, dead_bytes;
    uint64_t young_dead_bytes;
    uint64_t promoted_blocks, promoted_bytes;
    uint64_t young_bytes; /* young still */
};

/* Sweeps the span and sets GM_SPAN_HAS_OLD to what it holds now; GM_SPAN_NEEDS_SWEEP is cleared. If young blocks are swept,
 * GM_SPAN_HAS_YOUNG stays only if young blocks are left, or may appear without a call: the span has an owner, or blocks in
 * the caches of threads. Heap's lock held. Returns how many blocks it has freed. */
uint32_t gm_sweep_span(struct gm_sweep *sweep, struct gm_span *span);

#endif
