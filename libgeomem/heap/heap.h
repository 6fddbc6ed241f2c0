/* heap.h - what the collector needs of the heap, and the heap of the collector.
 *
 * The heap knows no collector; a collector puts its functions into struct gm_heap.collector. Without one a heap is an
 * allocator of explicit blocks.
 *
 * How blocks travel:
 *
 *   free memory ─▶ span ─▶ current span of one thread ─carve─▶ cache of the thread ─▶ the program
 *                   ▲  spans with room (lists of the heap) ◀─┘   ▲                        │
 *                   └──────────────── live falls ◀── flush ──────┘◀───────── free ────────┘
 *
 * A thread has a cache for each sort and size class: a stack of {block, its state byte}. Allocation pops, free pushes, by
 * any thread and into its own cache; both touch one cache, one state byte and no lock. A cache that runs empty is filled
 * from the current span of its sort and class, one that runs over gives blocks back to their spans.
 *
 * What a collector may rely on, at whatever instruction a thread was stopped:
 *  - A block in a cache, and one on its way from there into the hands of the program, is GM_STATE_CACHED: to be left as
 *    it is. Blocks in caches of GM_KIND_SCANNED and GM_KIND_TYPED are zero already.
 *  - One store makes it GM_STATE_YOUNG, EXPLICIT or ROOT; its address is in a register by then. Blocks born old are made
 *    so under the heap's lock (see born_old).
 *  - A span with an owner, and a span with a block that is GM_STATE_CACHED, may get young blocks at any time and without
 *    a call: it keeps GM_SPAN_HAS_YOUNG through a collection and its bit in segment.spans_young (gm_span_may_get_young).
 *  - Free: GM_STATE_CACHED or GM_STATE_FREE is stored over whatever the state was, at any time the world runs.
 *
 * Stands between libgeomem/heap and libgeomem/gc.
 */
#ifndef GM_HEAP_HEAP_H
#define GM_HEAP_HEAP_H

#include "geomem/geomem.h"
#include "libgeomem/heap/layout.h"
#include "libgeomem/heap/lock.h"
#include "libgeomem/heap/size_class.h"

struct gm_collector {
    /* Called on a slow path of allocation, no lock held, each time about `heap.budget_step` bytes of collected blocks have
     * been handed out: may collect. */
    void (*allocated)(struct gm_heap *heap, size_t bytes);
    /* Memory could not be had, or the heap's limit was reached: collect what can be; true if it is worth trying again.
     * No lock held. */
    bool (*exhausted)(struct gm_heap *heap, size_t bytes);
    /* A block with GM_STATE_NOTED is freed by the program; no lock held. */
    void (*forget)(struct gm_heap *heap, void *block);
    /* A span with old blocks is about to be allocated from, or given back: its pages must not be watched any more.
     * Heap's lock held. */
    void (*unwatch)(struct gm_heap *heap, struct gm_span *span);
    /* Called with the heap's lock held for a span with GM_SPAN_NEEDS_SWEEP that is about to be allocated from: frees its
     * dead blocks (GM_STATE_FREE) and clears the flag. Returns how many it freed. */
    uint32_t (*sweep)(struct gm_heap *heap, struct gm_span *span);
    /* A block was born old (state heap.live_old), its card may have to be marked. Heap's lock held; may be NULL. */
    void (*born_old)(struct gm_heap *heap, struct gm_span *span, void *block);
    /* The heap is about to go: no lock held. */
    void (*destroy)(struct gm_heap *heap);
    /* For geomem_heap_walk and geomem_heap_check: takes the locks that a collection takes, this heap's too, and stops all
     * other threads; and the reverse. NULL: the heap's lock is taken, and the caller sees to it that nobody else uses
     * the heap. */
    int (*stop)(struct gm_heap *heap);
    void (*start)(struct gm_heap *heap);
    /* Adds the collector's figures. */
    void (*statistics)(struct gm_heap *heap, struct geomem_heap_statistics *statistics);
};

/* What a span is for; kinds and states follow from it. Blocks born old have spans of their own, so that they do not lie
 * between young ones. */
enum gm_sort {
    GM_SORT_EXPLICIT,
    GM_SORT_ROOT,
    GM_SORT_SCANNED,
    GM_SORT_LEAF,
    GM_SORT_TYPED,
    GM_SORT_OLD_SCANNED,
    GM_SORT_OLD_LEAF,
};
#define GM_SORTS 7u
static inline bool gm_sort_is_collected(uint32_t sort)
{
    return sort >= GM_SORT_SCANNED;
}
static inline enum gm_kind gm_sort_kind(uint32_t sort)
{
    static const uint8_t kinds[GM_SORTS] = {GM_KIND_LEAF, GM_KIND_SCANNED, GM_KIND_SCANNED,
        GM_KIND_LEAF, GM_KIND_TYPED, GM_KIND_SCANNED, GM_KIND_LEAF};
    return (enum gm_kind)kinds[sort];
}

/* Free blocks that a thread has at hand: a stack that grows upward. */
struct gm_cached {
    void *block;
    uint8_t *state;
};
struct gm_cache {
    struct gm_cached *top; /* behind the last */
    /* top <= bottom: empty. Beyond all addresses when each allocation is to take the slow path. */
    struct gm_cached *bottom;
    struct gm_cached *limit; /* top >= limit: full. 0 when each free is to take the slow path */
    uint64_t allocations;    /* that were served from here, since the thread began */
};
#define GM_CACHES (1u + GM_SORTS * GM_SIZE_CLASSES)
static inline uint32_t gm_cache_index(uint32_t sort, uint32_t size_class)
{
    return 1 + sort * GM_SIZE_CLASSES + size_class;
}

/* One thread's part of one heap. Its own thread alone touches it, but for what is said below. */
struct gm_heap_thread {
    struct gm_cache caches[GM_CACHES]; /* [0]: nothing is ever cached there */
    struct gm_heap *heap;
    /* Spans that the thread owns. Changed under the heap's lock only, so readable under it. */
    struct gm_span *current[GM_CACHES];
    struct gm_heap_thread *next_of_heap; /* heap's lock */
    struct gm_heap_thread *next_of_self; /* the same thread, other heaps */
    uint64_t allocated_bytes_since; /* collected bytes carved since the collector was last told */
    /* Figures for statistics; others read them, relaxed. */
    _Atomic uint64_t large_allocations, large_allocated_bytes;
    struct gm_cached *stacks; /* memory of the caches: GM_CACHE_ENTRIES each */
    bool orphan;              /* in a forked child: of a thread that is no more */
};

struct gm_heap {
    struct gm_collector collector; /* written before the first collected block is handed out */
    void *collector_data;
    size_t budget_step; /* bytes; the collector's to set */
    /* GM_STATE_OLD_A or _B: what a block is born old as. Changed under the heap's lock. */
    _Atomic uint8_t live_old;
    /* Spans with old blocks and room may be allocated from: the collector's policy. */
    _Atomic bool recycle_old;
    uint16_t span_flags; /* set in each new span of collected blocks: 0 or GM_SPAN_BARRIERED */
    struct geomem_heap_options options;
    _Atomic bool orphans;  /* in a forked child: some of `threads` are no more */
    _Atomic bool attached; /* gm_collector_attach has been called */
    uint64_t number;       /* of the heaps of the process, from 1: the default one */

    /* All below under `lock`. */
    struct gm_lock lock;
    struct gm_segment *segments;          /* all, by `next` */
    struct gm_segment *roomy;             /* first place to look for free slices */
    struct gm_span *with_room[GM_CACHES]; /* spans without owner, by gm_cache_index */
    struct gm_heap_thread *threads;
    struct gm_heap_thread *threads_free; /* structures of threads that have ended */
    size_t reserved_bytes;               /* segments */
    _Atomic size_t footprint_bytes;      /* slices that have memory behind them, and headers */
    size_t dirty_bytes;                  /* of these: in slices not in use */
    /* Found dead and made GM_STATE_FREE, since the beginning: the collector counts. */
    uint64_t collected_blocks, collected_bytes;
    uint64_t purge_time_ns; /* when the next purge is due; UINT64_MAX: never */
    struct gm_heap *next;   /* gm_heaps_lock */
    _Atomic uint64_t allocations_of_ended[GM_CACHES];
    _Atomic uint64_t large_allocations_of_ended, large_allocated_bytes_of_ended;
};

/* The default heap; makes it. NULL: no memory. */
struct gm_heap *gm_heap_default(void);
static inline struct gm_heap *gm_heap_of(struct geomem_heap *heap)
{
    return heap != NULL ? (struct gm_heap *)heap : gm_heap_default();
}

static inline size_t gm_heap_footprint(const struct gm_heap *heap)
{
    return atomic_load_explicit(&heap->footprint_bytes, memory_order_relaxed);
}

/* Called by the heap before it hands out its first collected block, no lock held, perhaps by several threads: fills in
 * heap->collector, then sets heap->attached. Defined by libgeomem/gc. 0 or a negative errno: the allocation fails. */
int gm_collector_attach(struct gm_heap *heap);
/* May a heap have these options, beside those that collect already? 0 or -EINVAL. No lock held. */
int gm_collector_accepts(const struct geomem_heap_options *options);
/* Makes sure that it has been. */
int gm_heap_attach_collector(struct gm_heap *heap);

/* The lock of the heap's lists of spans. A collector takes it before it stops the world: so no stopped thread is in the
 * middle of a change to them, and the functions below may be called while the world is stopped. */
static inline void gm_heap_lock(struct gm_heap *heap)
{
    gm_lock_acquire(&heap->lock);
}
static inline void gm_heap_unlock(struct gm_heap *heap)
{
    gm_lock_release(&heap->lock);
}

/* ---- for the collector; heap's lock held ---- */

/* Has an owner, or blocks in caches (one pass over its states). */
bool gm_span_may_get_young(const struct gm_span *span);

/* A span was swept by the collector of its own accord (not by the heap's call): `freed_blocks` of its blocks were turned
 * into GM_STATE_FREE. It is offered or, if nobody owns it and all its blocks are free, given back to the heap as free
 * memory: then true, and the span exists no longer. A large block is given back when freed_blocks is 1. Before the last
 * release the span must be on no list of the collector's. The heap itself gives a span back, when the program
 * has freed its last block, if it has no GM_SPAN_NEEDS_SWEEP. */
bool gm_heap_span_swept(struct gm_heap *heap, struct gm_span *span, uint32_t freed_blocks);
/* Takes it off the list of spans with room, if it is on it. */
void gm_heap_withdraw(struct gm_heap *heap, struct gm_span *span);

/* Spans of a heap in use; the world is stopped, or the heap's lock held. The visitor may let the span it is called with be
 * given back. */
typedef void gm_segment_visitor(struct gm_segment *segment, void *arg);
void gm_heap_each_segment(struct gm_heap *heap, gm_segment_visitor *visit, void *arg);
typedef void gm_span_visitor(struct gm_span *span, void *arg);
void gm_heap_each_span(struct gm_heap *heap, gm_span_visitor *visit, void *arg);

/* Gives back memory of unused slices: all, or what was unused for long enough. Returns bytes. */
size_t gm_heap_purge(struct gm_heap *heap, bool all);

/* ---- for everybody ---- */

/* A block of the heap, or NULL when memory cannot be had. `bytes` as asked for; zeroed if collected and not leaf, and of
 * GM_SORT_ROOT. For GM_SORT_TYPED use geomem_gc_alloc_typed. No listener is told. */
void *gm_heap_allocate(struct gm_heap *heap, uint32_t sort, size_t bytes);

/* Blocks of a span. */
static inline size_t gm_span_block_bytes(const struct gm_span *span)
{
    return span->block_bytes != 0 ? span->block_bytes : span->large_bytes;
}

/* The heaps of the process; the list changes under gm_heaps_lock only. */
extern struct gm_lock gm_heaps_lock;
struct gm_heap *gm_heap_next(struct gm_heap *heap); /* NULL: the first */

#endif
