/* alloc.c - allocation: explicit and collected blocks, and realloc.
 *
 * The fast path of each is: size class by table, pop one block from the thread's cache, one store to its state. What
 * else there is to do (nobody's caches, an empty cache, a large block, a listener) is done by functions that are never
 * inlined, so that the fast path saves no register and has no frame.
 */
#include <errno.h>
#include <string.h>

#include "libgeomem/heap/block.h"
#include "libgeomem/heap/checkers.h"
#include "libgeomem/heap/free.h"
#include "libgeomem/heap/listener.h"
#include "libgeomem/heap/misuse.h"
#include "libgeomem/heap/segment.h"
#include "libgeomem/heap/span.h"
#include "libgeomem/heap/thread.h"

#define GM_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Offset of a size class's cache from that of class 0, for sizes up to QUICK_BYTES, by 16 bytes. */
#define QUICK_BYTES 1024u
#define AT(c) (c) * sizeof(struct gm_cache)
#define AT_2(c) AT(c), AT(c)
#define AT_4(c) AT_2(c), AT_2(c)
#define AT_8(c) AT_4(c), AT_4(c)
static const uint16_t quick_cache[QUICK_BYTES / 16 + 1] = {AT_2(0), AT(1), AT(2), AT(3), AT(4),
    AT(5), AT(6), AT(7), AT_2(8), AT_2(9), AT_2(10), AT_2(11), AT_4(12), AT_4(13), AT_4(14),
    AT_4(15), AT_8(16), AT_8(17), AT_8(18), AT_8(19)};

/* release: the block is zero, or the layout in its place, before it counts as one. And its address is in a register before:
 * a thread that is stopped right behind the store holds the only reference to it. */
static inline void *cached_become(struct gm_cached cached, uint8_t state)
{
    /* In a register before the store: from there on a collection needs to find it. */
    void *block = cached.block;
    __asm__ volatile("" : "+r"(block) : : "memory");
    __atomic_store_n(cached.state, state, __ATOMIC_RELEASE);
    return block;
}

/* What there is to do when a cache is empty, the block is large, or somebody listens. */
typedef void *slow_path(size_t size);
static slow_path allocate_slow_explicit, allocate_slow_scanned, allocate_slow_leaf;

static inline __attribute__((always_inline)) void *allocate(
    uint32_t sort, size_t size, uint8_t state, slow_path *slow)
{
    if (GM_UNLIKELY(size > QUICK_BYTES))
        return slow(size);
    char *first = (char *)&gm_heap_self->caches[gm_cache_index(sort, 0)];
    struct gm_cache *cache =
        (struct gm_cache *)(first + quick_cache[(size + 15) / 16]); /* NOLINT */
    struct gm_cached *top = cache->top;
    if (GM_UNLIKELY((uintptr_t)top <= (uintptr_t)GM_PEEK(&cache->bottom)))
        return slow(size);
    cache->top = top - 1;
    GM_COUNT_OWN(&cache->allocations);
    return cached_become(top[-1], state);
}

/* ---- slow paths ---- */

static uint8_t sort_state(uint32_t sort)
{
    return sort == GM_SORT_EXPLICIT ? GM_STATE_EXPLICIT
           : sort == GM_SORT_ROOT   ? GM_STATE_ROOT
                                    : GM_STATE_YOUNG;
}

static bool sort_is_old(uint32_t sort)
{
    return sort == GM_SORT_OLD_SCANNED || sort == GM_SORT_OLD_LEAF;
}

static bool sort_is_zeroed(uint32_t sort)
{
    return sort == GM_SORT_ROOT ||
           (gm_sort_is_collected(sort) && gm_sort_kind(sort) != GM_KIND_LEAF);
}

/* Under the heap's lock, since the live colour changes under it. */
static void block_become_old(
    struct gm_heap *heap, struct gm_span *span, void *block, uint8_t *state)
{
    gm_heap_lock(heap);
    __atomic_store_n(
        state, atomic_load_explicit(&heap->live_old, memory_order_relaxed), __ATOMIC_RELEASE);
    gm_span_flags_set(span, GM_SPAN_HAS_OLD);
    if (heap->collector.born_old != NULL)
        heap->collector.born_old(heap, span, block);
    gm_heap_unlock(heap);
}

static void *small_allocate(struct gm_heap *heap, uint32_t sort, uint32_t size_class)
{
    struct gm_heap_thread *thread = gm_heap_thread_get(heap);
    struct gm_cached cached;
    if (thread == NULL || !gm_cache_pop(thread, gm_cache_index(sort, size_class), &cached))
        return NULL;
    if (sort == GM_SORT_ROOT) {
        gm_checker_open((uintptr_t)cached.block, gm_size_class_bytes(size_class));
        memset(cached.block, 0, gm_size_class_bytes(size_class));
    }
    if (!sort_is_old(sort))
        return cached_become(cached, sort_state(sort));
    struct gm_place place;
    gm_block_find((uintptr_t)cached.block, &place);
    block_become_old(heap, place.span, cached.block, cached.state);
    return cached.block;
}

static struct gm_span *large_try(
    struct gm_heap *heap, uint32_t sort, size_t bytes, size_t alignment, bool *ret_zero)
{
    gm_heap_lock(heap);
    gm_purge_if_due(heap);
    struct gm_span *span = gm_span_create_large(heap, sort, bytes, alignment, ret_zero);
    gm_heap_unlock(heap);
    return span;
}

/* Only what was had: a refused request is no allocation. */
static void large_count(struct gm_heap_thread *thread, uint32_t sort, size_t bytes)
{
    /* relaxed: figures, of which this thread is the only writer */
    atomic_store_explicit(
        &thread->large_allocations, thread->large_allocations + 1, memory_order_relaxed);
    atomic_store_explicit(&thread->large_allocated_bytes, thread->large_allocated_bytes + bytes,
        memory_order_relaxed);
    if (gm_sort_is_collected(sort))
        thread->allocated_bytes_since += bytes;
}

/* The span of a large block, or NULL when memory cannot be had. */
static struct gm_span *large_span(
    struct gm_heap *heap, uint32_t sort, size_t bytes, size_t alignment, bool *ret_zero)
{
    struct gm_heap_thread *thread = heap != NULL ? gm_heap_thread_get(heap) : NULL;
    if (thread == NULL || bytes > gm_range.bytes)
        return NULL;
    if (gm_sort_is_collected(sort))
        gm_heap_thread_tell(thread);
    struct gm_span *span;
    while ((span = large_try(heap, sort, bytes, alignment, ret_zero)) == NULL)
        if (heap->collector.exhausted == NULL || !heap->collector.exhausted(heap, bytes))
            return NULL;
    large_count(thread, sort, span->large_bytes);
    return span;
}

static void *large_allocate(struct gm_heap *heap, uint32_t sort, size_t bytes, size_t alignment)
{
    bool zero;
    struct gm_span *span = large_span(heap, sort, bytes, alignment, &zero);
    if (span == NULL)
        return NULL;
    void *block = (void *)span->start;  /* NOLINT */
    __asm__ volatile("" : "+r"(block)); /* as in cached_become */
    gm_checker_open(span->start, span->large_bytes);
    if (!zero && sort_is_zeroed(sort))
        memset(block, 0, span->large_bytes);
    if (sort_is_old(sort)) {
        block_become_old(heap, span, block, &span->state[0]);
        return block;
    }
    if (gm_sort_may_be_young(sort)) {
        gm_heap_lock(heap);
        gm_span_set_young(span);
        __atomic_store_n(&span->state[0], sort_state(sort), __ATOMIC_RELEASE);
        gm_heap_unlock(heap);
    } else {
        __atomic_store_n(&span->state[0], sort_state(sort), __ATOMIC_RELEASE);
    }
    return block;
}

void *gm_heap_allocate(struct gm_heap *heap, uint32_t sort, size_t bytes)
{
    if (gm_sort_is_collected(sort) && gm_heap_attach_collector(heap) != 0)
        return NULL;
    if (bytes <= GM_SIZE_CLASS_MAX_BYTES)
        return small_allocate(heap, sort, gm_size_class(bytes));
    return large_allocate(heap, sort, bytes, GM_GRANULE_BYTES);
}

/* `sort`: of the block, whose state says so by now. */
static void *allocate_told(void *block, size_t size, uint32_t sort)
{
    if (block == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    gm_checker_allocated(block, size, sort_is_zeroed(sort));
    const struct geomem_listener *listener = gm_listener_get();
    if (listener != NULL && listener->alloc != NULL)
        listener->alloc(block, size, gm_sort_is_collected(sort), sort_is_old(sort));
    return block;
}

static __attribute__((noinline)) void *allocate_slow(
    struct gm_heap *heap, uint32_t sort, size_t size)
{
    void *block = heap != NULL ? gm_heap_allocate(heap, sort, size) : NULL;
    return allocate_told(block, size, sort);
}

static __attribute__((noinline)) void *allocate_slow_explicit(size_t size)
{
    return allocate_slow(gm_heap_default(), GM_SORT_EXPLICIT, size);
}
static __attribute__((noinline)) void *allocate_slow_scanned(size_t size)
{
    return allocate_slow(gm_heap_default(), GM_SORT_SCANNED, size);
}
static __attribute__((noinline)) void *allocate_slow_leaf(size_t size)
{
    return allocate_slow(gm_heap_default(), GM_SORT_LEAF, size);
}

/* ---- explicit blocks ---- */

void *geomem_alloc(size_t size)
{
    return allocate(GM_SORT_EXPLICIT, size, GM_STATE_EXPLICIT, allocate_slow_explicit);
}

/* Large memory fresh from the system is zero already. */
static __attribute__((noinline)) void *calloc_large(size_t bytes)
{
    bool zero;
    struct gm_span *span =
        large_span(gm_heap_default(), GM_SORT_EXPLICIT, bytes, GM_GRANULE_BYTES, &zero);
    if (span == NULL)
        return allocate_told(NULL, 0, GM_SORT_EXPLICIT);
    gm_checker_open(span->start, span->large_bytes);
    if (!zero)
        memset((void *)span->start, 0, bytes); /* NOLINT */
    __atomic_store_n(&span->state[0], GM_STATE_EXPLICIT, __ATOMIC_RELEASE);
    return allocate_told((void *)span->start, bytes, GM_SORT_EXPLICIT); /* NOLINT */
}

void *geomem_calloc(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        bytes = SIZE_MAX;
    if (GM_UNLIKELY(bytes > GM_SIZE_CLASS_MAX_BYTES))
        return calloc_large(bytes);
    void *block = geomem_alloc(bytes);
    return block != NULL ? memset(block, 0, bytes) : NULL;
}

void *geomem_alloc_root(size_t size)
{
    return allocate_slow(gm_heap_default(), GM_SORT_ROOT, size);
}

void *geomem_heap_alloc(struct geomem_heap *heap, size_t size)
{
    return allocate_slow(gm_heap_of(heap), GM_SORT_EXPLICIT, size);
}

/* The smallest class whose blocks are all aligned: spans begin on a slice. */
static void *aligned_allocate(struct gm_heap *heap, size_t alignment, size_t size)
{
    if (heap == NULL)
        return NULL;
    for (uint32_t c = gm_size_class(size); size <= GM_SIZE_CLASS_MAX_BYTES && c < GM_SIZE_CLASSES;
         c++)
        if (gm_size_class_bytes(c) % alignment == 0)
            return small_allocate(heap, GM_SORT_EXPLICIT, c);
    return large_allocate(heap, GM_SORT_EXPLICIT, size, alignment);
}

void *geomem_aligned(size_t alignment, size_t size)
{
    if (alignment == 0 || (alignment & (alignment - 1)) != 0) {
        errno = EINVAL;
        return NULL;
    }
    if (alignment <= GM_GRANULE_BYTES)
        return geomem_alloc(size);
    if (size == 0)
        size = 1; /* a large block of no bytes would have no address of its own */
    return allocate_told(
        aligned_allocate(gm_heap_default(), alignment, size), size, GM_SORT_EXPLICIT);
}

/* ---- collected blocks ---- */

void *geomem_gc_alloc(size_t size)
{
    return allocate(GM_SORT_SCANNED, size, GM_STATE_YOUNG, allocate_slow_scanned);
}

void *geomem_gc_alloc_leaf(size_t size)
{
    return allocate(GM_SORT_LEAF, size, GM_STATE_YOUNG, allocate_slow_leaf);
}

/* The layout's address is the last word of the block: in its place before the block counts as one. */
static void *typed_allocate(struct gm_heap *heap, size_t bytes, const struct geomem_layout *layout)
{
    if (heap == NULL || bytes > GM_SIZE_CLASS_MAX_BYTES || gm_heap_attach_collector(heap) != 0)
        return NULL;
    struct gm_heap_thread *thread = gm_heap_thread_get(heap);
    uint32_t size_class = gm_size_class(bytes);
    struct gm_cached cached;
    if (thread == NULL || !gm_cache_pop(thread, gm_cache_index(GM_SORT_TYPED, size_class), &cached))
        return NULL;
    char *last = (char *)cached.block + gm_size_class_bytes(size_class) - sizeof layout;
    gm_checker_open((uintptr_t)last, sizeof layout);
    memcpy(last, &layout, sizeof layout);
    return cached_become(cached, GM_STATE_YOUNG);
}

void *geomem_gc_alloc_typed(size_t size, const struct geomem_layout *layout)
{
    size_t bytes;
    if (layout == NULL || layout->struct_bytes != sizeof *layout ||
        (layout->trace == NULL && (layout->element_bytes % 8 != 0 || layout->element_bytes == 0))) {
        errno = EINVAL;
        return NULL;
    }
    if (__builtin_add_overflow(size, sizeof layout, &bytes))
        bytes = SIZE_MAX;
    /* Large blocks are scanned whole: their last word may be far away, and is the program's. */
    if (bytes > GM_SIZE_CLASS_MAX_BYTES)
        return geomem_gc_alloc(size);
    return allocate_told(typed_allocate(gm_heap_default(), bytes, layout), size, GM_SORT_TYPED);
}

void *geomem_gc_alloc_old(size_t size, int leaf)
{
    return allocate_slow(gm_heap_default(), leaf ? GM_SORT_OLD_LEAF : GM_SORT_OLD_SCANNED, size);
}

void *geomem_heap_gc_alloc(
    struct geomem_heap *heap, size_t size, int leaf, enum geomem_generation generation)
{
    uint32_t young = leaf ? GM_SORT_LEAF : GM_SORT_SCANNED,
             old = leaf ? GM_SORT_OLD_LEAF : GM_SORT_OLD_SCANNED;
    return allocate_slow(gm_heap_of(heap), generation == GEOMEM_OLD ? old : young, size);
}

/* ---- realloc ---- */

/* What the program may use of a block: not the layout of a typed one. */
static size_t place_usable(const struct gm_place *place)
{
    size_t bytes =
        place->span->kind == GM_KIND_TYPED ? place->bytes - sizeof(void *) : place->bytes;
    return gm_checker_size((void *)place->start, bytes); /* NOLINT */
}

static void realloc_tell(const struct gm_place *old, const void *block, size_t size)
{
    const struct geomem_listener *listener = gm_listener_get();
    if (listener == NULL || listener->realloc == NULL)
        return;
    uint8_t state = gm_place_state(old);
    listener->realloc((void *)old->start, block, size, gm_state_is_collected(state),
        gm_state_is_old(state)); /* NOLINT */
}

/* Collected blocks that move are born young again, unless they have spans of their own; finalizers and weak references stay
 * with the old block, as free says. */
static void *realloc_move(const struct gm_place *place, size_t size)
{
    struct gm_heap *heap = place->span->heap;
    size_t keep = place_usable(place) < size ? place_usable(place) : size;
    void *block, *old = (void *)place->start; /* NOLINT */
    if (place->span->sort == GM_SORT_TYPED) {
        const struct geomem_layout *layout;
        memcpy(&layout, (char *)old + place->bytes - sizeof layout, sizeof layout);
        size_t bytes = size + sizeof layout;
        block = size > GM_SIZE_CLASS_MAX_BYTES - sizeof layout
                    ? gm_heap_allocate(heap, GM_SORT_SCANNED, size)
                    : typed_allocate(heap, bytes, layout);
    } else {
        block = gm_heap_allocate(heap, place->span->sort, size);
    }
    if (block == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    gm_checker_allocated(block, size, sort_is_zeroed(place->span->sort));
    memcpy(block, old, keep);
    realloc_tell(place, block, size);
    gm_block_release(place);
    return block;
}

void *geomem_realloc(void *block, size_t size)
{
    if (block == NULL)
        return geomem_alloc(size);
    struct gm_place place;
    enum gm_found found = gm_block_find((uintptr_t)block, &place);
    if (found != GM_FOUND_BLOCK) {
        gm_misuse_address("geomem_realloc", block, found, &place);
        return NULL;
    }
    /* In place if it fits, and half of it or more stays in use; and nobody wants to see uses of the old. */
    size_t usable = place_usable(&place);
    if (gm_checkers == 0 && size <= usable && (size >= usable / 2 || usable <= 64)) {
        realloc_tell(&place, block, size);
        return block;
    }
    return realloc_move(&place, size);
}

size_t geomem_usable_size(const void *block)
{
    struct gm_place place;
    if (block == NULL || gm_block_find((uintptr_t)block, &place) != GM_FOUND_BLOCK)
        return 0;
    return place_usable(&place);
}
