/* create.c - heaps come, are configured, and go; fork. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "libgeomem/base/bytes.h"
#include "libgeomem/base/os.h"
#include "libgeomem/heap/checkers.h"
#include "libgeomem/heap/heap.h"
#include "libgeomem/heap/segment.h"
#include "libgeomem/heap/span.h"
#include "libgeomem/heap/thread.h"

struct gm_lock gm_heaps_lock = {.rank = GM_RANK_HEAPS};
static struct gm_heap default_heap;
static _Atomic bool default_ready;
static struct gm_heap *heaps; /* under gm_heaps_lock, but for the first, which is the default one */
static uint64_t heap_count = 1;

struct gm_heap *gm_heap_next(struct gm_heap *heap)
{
    return heap == NULL ? heaps : heap->next;
}

static void heap_init(struct gm_heap *heap, uint64_t number)
{
    heap->number = number;
    heap->lock.rank = GM_RANK_HEAP;
    heap->live_old = GM_STATE_OLD_A;
    heap->recycle_old = true;
    heap->budget_step = GM_SLICE_BYTES;
    heap->purge_time_ns = UINT64_MAX;
    struct gm_heap **at = &heaps;
    while (*at != NULL)
        at = &(*at)->next;
    *at = heap;
}

/* ---- fork: all locks are taken before, so that the child finds no half-made change ---- */

static void fork_prepare(void)
{
    gm_lock_acquire(&gm_heaps_lock);
    for (struct gm_heap *heap = heaps; heap != NULL; heap = heap->next)
        gm_heap_lock(heap);
}

static void fork_parent(void)
{
    for (struct gm_heap *heap = heaps; heap != NULL; heap = heap->next)
        gm_heap_unlock(heap);
    gm_lock_release(&gm_heaps_lock);
}

/* The parts of threads that are no more are cleared away by the first slow path: not here, where the collector has not
 * been told of the fork yet. Blocks that they held in their hands stay GM_STATE_CACHED for good. */
static void fork_child(void)
{
    for (struct gm_heap *heap = heaps; heap != NULL; heap = heap->next)
        gm_heap_threads_after_fork(heap);
    fork_parent();
}

/* Handlers before a fork run in reverse order: the heaps' locks are taken between that of the world (105) and that of the
 * notes (102), as a collection does; and after those what it takes when it gives memory back. */
__attribute__((constructor(103))) static void fork_init(void)
{
    pthread_atfork(fork_prepare, fork_parent, fork_child);
}

static void fork_prepare_last(void)
{
    gm_lock_acquire(&gm_range_lock);
    gm_lock_acquire(&gm_quarantine_lock);
}

static void fork_end_first(void)
{
    gm_lock_release(&gm_quarantine_lock);
    gm_lock_release(&gm_range_lock);
}

__attribute__((constructor(101))) static void fork_init_last(void)
{
    pthread_atfork(fork_prepare_last, fork_end_first, fork_end_first);
}

/* ---- the default heap ---- */

static size_t default_max_bytes; /* as the user says */

__attribute__((noinline)) static struct gm_heap *default_make(void)
{
    if (gm_range_init() != 0)
        return NULL;
    gm_lock_acquire(&gm_heaps_lock);
    if (default_heap.number == 0) {
        default_max_bytes = gm_bytes_of_environment("GEOMEM_HEAP_MAX");
        default_heap.options.max_bytes = default_max_bytes;
        heap_init(&default_heap, 1);
    }
    gm_lock_release(&gm_heaps_lock);
    /* release: pairs with the acquire in gm_heap_default */
    atomic_store_explicit(&default_ready, true, memory_order_release);
    return &default_heap;
}

struct gm_heap *gm_heap_default(void)
{
    if (__builtin_expect(atomic_load_explicit(&default_ready, memory_order_acquire), 1))
        return &default_heap;
    return default_make();
}

struct geomem_heap *geomem_heap_default(void)
{
    return (struct geomem_heap *)gm_heap_default();
}

/* ---- other heaps ---- */

static bool options_are_valid(const struct geomem_heap_options *options)
{
    return options->struct_bytes == sizeof *options &&
           (unsigned)options->gc_mode <= GEOMEM_GC_OFF &&
           (unsigned)options->tracking <= GEOMEM_TRACK_NONE;
}

#define HEAP_BYTES ((sizeof(struct gm_heap) + GM_PAGE_BYTES - 1) & ~(GM_PAGE_BYTES - 1))

int geomem_heap_create(const struct geomem_heap_options *options, struct geomem_heap **ret_heap)
{
    if (options != NULL && (!options_are_valid(options) || gm_collector_accepts(options) != 0))
        return -EINVAL;
    /* The default heap comes first: it has number 1. */
    struct gm_heap *heap = gm_heap_default() != NULL ? gm_os_map(HEAP_BYTES) : NULL;
    if (heap == NULL)
        return -ENOMEM;
    if (options != NULL)
        heap->options = *options;
    gm_lock_acquire(&gm_heaps_lock);
    heap_init(heap, ++heap_count);
    gm_lock_release(&gm_heaps_lock);
    *ret_heap = (struct geomem_heap *)heap;
    return 0;
}

int geomem_heap_configure(struct geomem_heap *public, const struct geomem_heap_options *options)
{
    if (options == NULL || !options_are_valid(options))
        return -EINVAL;
    struct gm_heap *heap = gm_heap_of(public);
    if (heap == NULL)
        return -ENOMEM;
    int accepted = gm_collector_accepts(options);
    gm_lock_acquire(&gm_heaps_lock);
    int error = heap->attached ? -EBUSY : accepted;
    if (error == 0)
        heap->options = *options;
    if (error == 0 && heap == &default_heap && options->max_bytes == 0)
        heap->options.max_bytes = default_max_bytes;
    gm_lock_release(&gm_heaps_lock);
    return error;
}

static void heap_unlist(struct gm_heap *heap)
{
    struct gm_heap **at = &heaps;
    while (*at != heap)
        at = &(*at)->next;
    *at = heap->next;
}

/* The next to have its memory is told of no writes to it. */
static void span_unwatch(struct gm_span *span, void *arg)
{
    struct gm_heap *heap = arg;
    if (gm_span_flags(span) & GM_SPAN_WATCHED)
        heap->collector.unwatch(heap, span);
}

void geomem_heap_destroy(struct geomem_heap *public)
{
    struct gm_heap *heap = (struct gm_heap *)public;
    if (heap == NULL || heap == &default_heap)
        return;
    if (heap->collector.destroy != NULL)
        heap->collector.destroy(heap);
    if (gm_checkers != 0)
        gm_quarantine_forget(heap);
    gm_lock_acquire(&gm_heaps_lock);
    gm_heap_threads_forget(heap);
    heap_unlist(heap);
    gm_heap_lock(heap);
    gm_heap_each_span(heap, span_unwatch, heap);
    while (heap->segments != NULL)
        gm_segments_give(heap->segments);
    gm_heap_unlock(heap);
    gm_lock_release(&gm_heaps_lock);
    gm_os_unmap(heap, HEAP_BYTES);
}

/* ---- the collector ---- */

int gm_heap_attach_collector(struct gm_heap *heap)
{
    /* acquire: pairs with the release in gm_collector_attach: the collector's functions are in place. No lock held: the
     * collector takes one that ranks above all of the heap's. */
    return atomic_load_explicit(&heap->attached, memory_order_acquire) ? 0
                                                                       : gm_collector_attach(heap);
}

int geomem_heap_purge(struct geomem_heap *public)
{
    struct gm_heap *heap = gm_heap_of(public);
    if (heap == NULL)
        return -ENOMEM;
    gm_heap_lock(heap);
    gm_heap_purge(heap, true);
    gm_heap_unlock(heap);
    return 0;
}
