/* heap.h - what the collector needs of the heap, and the heap of the collector.
 *
 * The heap knows no collector; a collector puts its functions into struct gm_heap.collector. Without one a heap is an
 * allocator of explicit blocks.
 *
 * Stands between libgeomem/heap and libgeomem/gc.
 */
#ifndef GM_HEAP_HEAP_H
#define GM_HEAP_HEAP_H

#include "geomem/geomem.h"
#include "libgeomem/heap/layout.h"

struct gm_collector {
    /* Called on a slow path of allocation, no lock held, each time about `heap.budget_step` bytes of collected blocks have
     * been handed out: may collect. */
    void (*allocated)(struct gm_heap *heap, size_t bytes);
    /* Memory could not be had: collect what can be; true if it is worth trying again. */
    bool (*exhausted)(struct gm_heap *heap, size_t bytes);
    /* A block with GM_STATE_NOTED is freed by the program. */
    void (*forget)(struct gm_heap *heap, void *block);
    /* A span with old blocks is about to be allocated from, or given back: its pages must not be watched any more. */
    void (*unwatch)(struct gm_heap *heap, struct gm_span *span);
    /* Called with the heap's lock held for a span with GM_SPAN_NEEDS_SWEEP that is about to be allocated from: frees its
     * dead blocks and clears the flag. Returns the number of free blocks. */
    uint32_t (*sweep)(struct gm_heap *heap, struct gm_span *span);
    void (*destroy)(struct gm_heap *heap);
};

/* The lock of the heap's lists of spans. A collector takes it before it stops the world: so no stopped thread is in the
 * middle of a change to them, and the functions below may be called while the world is stopped. */
void gm_heap_lock(struct gm_heap *heap);
void gm_heap_unlock(struct gm_heap *heap);

/* A span was swept; `free_blocks` of its blocks are free (all: it goes back to the heap as free memory, if nobody owns it).
 * Heap's lock held. */
void gm_heap_span_swept(struct gm_heap *heap, struct gm_span *span, uint32_t free_blocks);

/* Segments and spans of a heap, for the collector. Heap's lock held. */
typedef void gm_segment_visitor(struct gm_segment *segment, void *arg);
void gm_heap_each_segment(struct gm_heap *heap, gm_segment_visitor *visit, void *arg);
typedef void gm_span_visitor(struct gm_span *span, void *arg);
void gm_heap_each_span(struct gm_heap *heap, gm_span_visitor *visit, void *arg);

/* The heaps of the process; the list changes under gm_heaps_lock only. */
struct gm_heap *gm_heap_next(struct gm_heap *heap); /* NULL: the first */

#endif
