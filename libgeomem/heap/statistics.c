/* statistics.c - the figures of a heap.
 *
 * What lives is counted from the states, so it is exact while nobody allocates; what was ever allocated is counted by
 * each thread on its own, what was collected by the sweeping of each span; and what was freed follows from the three.
 * Dead blocks that are still to be swept count as old. Nothing is counted twice, so nothing can disagree.
 */
#include <errno.h>
#include <string.h>

#include "libgeomem/heap/heap.h"
#include "libgeomem/heap/span.h"
#include "libgeomem/heap/walk.h"

static void span_add(struct gm_span *span, void *arg)
{
    struct geomem_heap_statistics *figures = arg;
    uint32_t blocks[16];
    gm_span_count_states(span, blocks);
    uint64_t bytes = gm_span_block_bytes(span);
    uint64_t kept = blocks[GM_STATE_EXPLICIT] + blocks[GM_STATE_ROOT], young = 0;
    for (uint32_t state = GM_STATE_YOUNG; state < GM_STATE_OLD_A; state++)
        young += blocks[state];
    uint64_t old = blocks[GM_STATE_OLD_A] + blocks[GM_STATE_OLD_B];
    figures->explicit_blocks += kept;
    figures->explicit_bytes += kept * bytes;
    figures->young_blocks += young;
    figures->young_bytes += young * bytes;
    figures->old_blocks += old;
    figures->old_bytes += old * bytes;
}

static void allocations_add(struct geomem_heap_statistics *figures, uint32_t index, uint64_t count)
{
    figures->allocated_blocks += count;
    figures->allocated_bytes += count * gm_size_class_bytes(gm_class_of_index(index));
}

/* relaxed: each counter is one thread's, and grows */
static void threads_add(const struct gm_heap *heap, struct geomem_heap_statistics *figures)
{
    for (const struct gm_heap_thread *thread = heap->threads; thread != NULL;
         thread = thread->next_of_heap) {
        for (uint32_t i = 1; i < GM_CACHES; i++)
            allocations_add(
                figures, i, __atomic_load_n(&thread->caches[i].allocations, __ATOMIC_RELAXED));
        figures->allocated_blocks +=
            atomic_load_explicit(&thread->large_allocations, memory_order_relaxed);
        figures->allocated_bytes +=
            atomic_load_explicit(&thread->large_allocated_bytes, memory_order_relaxed);
    }
    for (uint32_t i = 1; i < GM_CACHES; i++)
        allocations_add(figures, i, heap->allocations_of_ended[i]);
    figures->allocated_blocks += heap->large_allocations_of_ended;
    figures->allocated_bytes += heap->large_allocated_bytes_of_ended;
}

/* Never below 0, also while other threads go on. */
static uint64_t less(uint64_t all, uint64_t part)
{
    return all > part ? all - part : 0;
}

int geomem_heap_statistics(
    struct geomem_heap *public, struct geomem_heap_statistics *ret_statistics)
{
    struct geomem_heap_statistics figures = {.struct_bytes = sizeof figures};
    if (ret_statistics->struct_bytes != sizeof figures)
        return -EINVAL;
    struct gm_heap *heap = gm_heap_of(public);
    if (heap == NULL)
        return -ENOMEM;
    gm_heap_lock(heap);
    gm_heap_each_span(heap, span_add, &figures);
    threads_add(heap, &figures);
    figures.footprint_bytes = gm_heap_footprint(heap);
    figures.reserved_bytes = heap->reserved_bytes;
    figures.collected_blocks = heap->collected_blocks;
    figures.collected_bytes = heap->collected_bytes;
    gm_heap_unlock(heap);
    if (heap->collector.statistics != NULL)
        heap->collector.statistics(heap, &figures);
    figures.freed_blocks =
        less(figures.allocated_blocks, figures.explicit_blocks + figures.young_blocks +
                                           figures.old_blocks + figures.collected_blocks);
    figures.freed_bytes = less(figures.allocated_bytes,
        figures.explicit_bytes + figures.young_bytes + figures.old_bytes + figures.collected_bytes);
    *ret_statistics = figures;
    return 0;
}
