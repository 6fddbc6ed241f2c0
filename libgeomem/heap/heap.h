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
    void (*destroy)(struct gm_heap *heap);
};

/* Spans of a heap, for the collector; the world is stopped, or the heap's lock held. */
typedef void gm_span_visitor(struct gm_span *span, void *arg);
void gm_heap_each_span(struct gm_heap *heap, gm_span_visitor *visit, void *arg);

/* The heaps of the process; the list changes under gm_heaps_lock only. */
struct gm_heap *gm_heap_next(struct gm_heap *heap); /* NULL: the first */

#endif
