/* attach.c - the collector behind the heap's functions, and those of geomem.h that are the collector's. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "libgeomem/base/sys.h"
#include "libgeomem/gc/cycle_internal.h"
#include "libgeomem/gc/dirty.h"
#include "libgeomem/gc/notes.h"
#include "libgeomem/gc/pressure.h"
#include "libgeomem/gc/world.h"
#include "libgeomem/heap/checkers.h"
#include "libgeomem/heap/listener.h"
#include "libgeomem/heap/span.h"

/* The heap asks so often whether to collect: arbitrary; each time costs a few comparisons. */
#define BUDGET_STEP_BYTES ((size_t)256 << 10)

/* ---- what the heap calls ---- */

static void heap_allocated(struct gm_heap *heap, size_t bytes)
{
    struct gm_gc *gc = &gm_gc;
    if (gm_pacer_allocated(&gc->pacer, bytes) && heap->options.gc_mode != GEOMEM_GC_OFF)
        gm_gc_collect(heap, GM_WANT_AS_PACED, GEOMEM_TRIGGER_ALLOCATION);
    gm_pressure_allocated(heap);
}

/* True where trying again may help: other threads may have taken what was found, but what is found is at least as much. */
static bool heap_exhausted(struct gm_heap *heap, size_t bytes)
{
    size_t most = heap->options.max_bytes ? heap->options.max_bytes : gm_range.bytes;
    if (bytes > most)
        return false;
    uint64_t before = atomic_load_explicit(&heap->footprint_bytes, memory_order_relaxed);
    if (gm_gc_collect(heap, GM_WANT_FULL, GEOMEM_TRIGGER_LIMIT) < 0)
        return false;
    gm_heap_lock(heap);
    gm_heap_purge(heap, true);
    gm_heap_unlock(heap);
    return atomic_load_explicit(&heap->footprint_bytes, memory_order_relaxed) < before ||
           gm_gc.cycle.swept_bytes >= bytes;
}

/* What was written to its pages until now, and will be, is not known any more: the next collection looks at all of it. */
static void heap_unwatch(struct gm_heap *heap, struct gm_span *span)
{
    (void)heap;
    gm_lock_acquire(&gm_gc.dirty_lock);
    gm_cards_unwatch(&gm_gc.cards, span);
    gm_lock_release(&gm_gc.dirty_lock);
    gm_span_look_at(span);
}

static uint32_t heap_sweep(struct gm_heap *heap, struct gm_span *span)
{
    (void)heap;
    return gm_gc_sweep_old(&gm_gc, span);
}

/* What the program stores into it is not observed: the next collection looks at it. */
static void heap_born_old(struct gm_heap *heap, struct gm_span *span, void *block)
{
    (void)heap, (void)block;
    gm_span_look_at(span);
    gm_span_flags_set(span, GM_SPAN_HAS_OLD);
}

static struct gm_gc_stop walk_stop; /* under the world's lock */

static int heap_stop(struct gm_heap *heap)
{
    (void)heap;
    gm_world_lock();
    int err = gm_gc_stop_begin(&walk_stop);
    if (err < 0)
        gm_world_unlock();
    return err;
}

static void heap_start(struct gm_heap *heap)
{
    (void)heap;
    gm_gc_stop_end(&walk_stop);
    gm_world_unlock();
}

static void heap_statistics(struct gm_heap *heap, struct geomem_heap_statistics *statistics)
{
    (void)heap;
    const struct gm_gc_totals *totals = &gm_gc.totals;
    gm_world_lock();
    statistics->young_collections = totals->young_collections;
    statistics->full_collections = totals->full_collections;
    statistics->pause_total_ns = totals->pause_ns;
    statistics->pause_max_ns = totals->pause_max_ns;
    statistics->collector_cpu_ns = totals->cpu_ns;
    statistics->promoted_blocks = totals->promoted_blocks;
    statistics->promoted_bytes = totals->promoted_bytes;
    gm_world_unlock();
}

static const struct gm_collector collector = {
    .allocated = heap_allocated,
    .exhausted = heap_exhausted,
    .forget = gm_notes_forget,
    .destroy = gm_notes_forget_heap,
    .unwatch = heap_unwatch,
    .sweep = heap_sweep,
    .born_old = heap_born_old,
    .stop = heap_stop,
    .start = heap_start,
    .statistics = heap_statistics,
};

/* ---- beginning ---- */

static void fork_child(void)
{
    if (gm_gc.cards.dirty)
        gm_dirty_after_fork(gm_gc.cards.dirty);
}

/* Handlers in a child run in the order of their registration: before the world's, which gives its lock back. See
 * docs/design/threads.md, "fork". */
__attribute__((constructor(104))) static void fork_register(void)
{
    pthread_atfork(NULL, NULL, fork_child);
}

static enum gm_dirty_mechanism mechanism_wanted(const struct geomem_heap_options *options)
{
    /* Valgrind does not know userfaultfd, and says so to the user. */
    if (gm_checkers & GM_CHECKER_MEMCHECK)
        return options->tracking == GEOMEM_TRACK_NONE ? GM_DIRTY_NONE : GM_DIRTY_MPROTECT;
    switch (options->tracking) {
    case GEOMEM_TRACK_AUTO:
    case GEOMEM_TRACK_BARRIER:
        return GM_DIRTY_UFFD;
    case GEOMEM_TRACK_MPROTECT:
        return GM_DIRTY_MPROTECT;
    case GEOMEM_TRACK_NONE:
        break;
    }
    return GM_DIRTY_NONE;
}

/* What fails for want of memory leaves nothing behind: it is tried again by the next allocation. */
static int gc_reserve(struct gm_gc *gc, enum gm_dirty_mechanism wanted)
{
    int err = gm_marker_init(&gc->marker);
    if (err < 0)
        return err;
    err = gm_marker_init(&gc->old_marker);
    if (err == 0 && wanted != GM_DIRTY_NONE)
        err = gm_dirty_open(gm_range.start, gm_range.bytes, wanted, &gc->cards.dirty);
    if (err == 0)
        return 0;
    gm_marker_done(&gc->old_marker);
    gm_marker_done(&gc->marker);
    return err;
}

static int gc_init(struct gm_gc *gc, const struct gm_heap *heap)
{
    int err = gc_reserve(gc, mechanism_wanted(&heap->options));
    if (err < 0)
        return err;
    gc->cards.marker = &gc->marker;
    gc->old_cards.marker = &gc->old_marker;
    gc->live = gc->cards.live = gc->old_cards.live = GM_STATE_OLD_A;
    gc->tracking = heap->options.tracking;
    gm_pacer_init(&gc->pacer, &heap->options, gm_sys_monotonic_ns());
    gc->verifies = getenv("GEOMEM_VERIFY") != NULL && gm_verify_init(&gc->verify) == 0;
    if (gc->verifies)
        gc->marker.log = &gc->verify.roots;
    return 0;
}

/* There is one nursery, and one way to watch pages. The world's lock held. */
static int options_check(const struct gm_gc *gc, const struct geomem_heap_options *options)
{
    uint64_t young_bytes = gc->pacer.young_option_bytes;
    bool asks_for_way =
        options->tracking == GEOMEM_TRACK_MPROTECT || options->tracking == GEOMEM_TRACK_NONE;
    if ((options->young_bytes && young_bytes && options->young_bytes != young_bytes) ||
        (asks_for_way && options->tracking != gc->tracking))
        return -EINVAL;
    return 0;
}

int gm_collector_accepts(const struct geomem_heap_options *options)
{
    if (!gm_gc.ready)
        return 0;
    gm_world_lock();
    int err = options_check(&gm_gc, options);
    gm_world_unlock();
    return err;
}

/* The first heap begins the collector, the others join it. */
static int gc_add_heap(struct gm_gc *gc, const struct gm_heap *heap)
{
    if (!gc->ready)
        return gc_init(gc, heap);
    int err = options_check(gc, &heap->options);
    if (err == 0)
        gm_pacer_add_heap(&gc->pacer, &heap->options);
    return err;
}

int gm_collector_attach(struct gm_heap *heap)
{
    struct gm_gc *gc = &gm_gc;
    /* What lies in the marker is no root. */
    int err = gm_world_init();
    if (err < 0 || (err = gm_roots_exclude(gc, sizeof *gc)) < 0)
        return err;
    gm_world_lock();
    err = heap->attached ? 0 : gc_add_heap(gc, heap);
    if (err == 0 && !heap->attached) {
        gc->ready = true;
        heap->budget_step = BUDGET_STEP_BYTES;
        atomic_store_explicit(&heap->live_old, gc->live, memory_order_relaxed);
        if (heap->options.tracking == GEOMEM_TRACK_BARRIER)
            heap->span_flags |= GM_SPAN_BARRIERED;
        heap->collector = collector;
        /* release: pairs with the acquire in gm_heap_attach_collector */
        atomic_store_explicit(&heap->attached, true, memory_order_release);
    }
    gm_world_unlock();
    return err;
}

/* ---- geomem.h ---- */

int geomem_gc(struct geomem_heap *heap, enum geomem_generation generation)
{
    struct gm_heap *own = gm_heap_of(heap);
    if (!own)
        return -ENOMEM;
    if (generation != GEOMEM_YOUNG && generation != GEOMEM_OLD)
        return -EINVAL;
    if (!gm_gc.ready) /* nothing has been allocated that could be collected */
        return 0;
    return gm_gc_collect(
        own, generation == GEOMEM_OLD ? GM_WANT_FULL : GM_WANT_YOUNG, GEOMEM_TRIGGER_EXPLICIT);
}

static int disabled_add(int change)
{
    int err = 0;
    gm_world_lock();
    if (change < 0 && gm_gc.disabled == 0)
        err = -EINVAL;
    else
        gm_gc.disabled += (unsigned)change;
    gm_world_unlock();
    return err;
}

int geomem_gc_enable(struct geomem_heap *heap)
{
    (void)heap; /* a collection is one of all heaps */
    return disabled_add(-1);
}

int geomem_gc_disable(struct geomem_heap *heap)
{
    (void)heap;
    return disabled_add(1);
}

int geomem_gc_mode(struct geomem_heap *heap, enum geomem_gc_mode mode)
{
    struct gm_heap *own = gm_heap_of(heap);
    if (!own)
        return -ENOMEM;
    if ((unsigned)mode > GEOMEM_GC_OFF)
        return -EINVAL;
    gm_world_lock();
    own->options.gc_mode = mode;
    gm_pacer_set_full_only(&gm_gc.pacer, mode == GEOMEM_GC_MARK_SWEEP);
    gm_world_unlock();
    return 0;
}

void geomem_write(void *object, void *slot, void *value)
{
    /* The store first: a collection that comes between the two finds the value in a register of this thread, where
     * the end of this function keeps it. relaxed: x86 stores are seen in order, and a stop is a full barrier. */
    __atomic_store_n((void **)slot, value, __ATOMIC_RELAXED);
    /* NULL, say: no block becomes reachable by it, so that there is nothing to find again. */
    if ((uintptr_t)value - gm_range.start >= gm_range.bytes)
        return;
    struct gm_segment *segment = gm_segment_at((uintptr_t)object);
    if (segment)
        atomic_store_explicit(
            &segment->cards[((uintptr_t)slot - (uintptr_t)segment) >> GM_CARD_LOG2], GM_CARD_DIRTY,
            memory_order_relaxed);
    __asm__ volatile("" : : "r"(value) : "memory");
}
