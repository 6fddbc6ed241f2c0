/* free.c - a block comes back, by whatever thread.
 *
 * The fast path proves that the address is the beginning of an explicit block of the default heap and pushes it onto the
 * cache of the calling thread. All proofs are one multiplication and two comparisons: the low half of
 * offset * reciprocal is below the reciprocal just if block_bytes divides the offset (Lemire, Kaser and Kurz, "Faster
 * remainder by direct computation", 2019; for our classes and span sizes by unit test); memory that is no span's leads to
 * a span whose reciprocal is 0, which nothing is below.
 */
#include "libgeomem/heap/free.h"

#include <string.h>

#include "libgeomem/heap/checkers.h"
#include "libgeomem/heap/listener.h"
#include "libgeomem/heap/misuse.h"
#include "libgeomem/heap/span.h"
#include "libgeomem/heap/thread.h"

#define SPAN_LOG2 7u
static_assert(sizeof(struct gm_span) == 1u << SPAN_LOG2, "an address leads to it by shifts");

#define GM_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* ---- slow paths ---- */

/* Into the cache of this thread, if it has one for this heap, else straight to the span. The state is GM_STATE_CACHED. */
static void small_release(const struct gm_place *place)
{
    struct gm_span *span = place->span;
    struct gm_heap_thread *thread = gm_heap_thread_find(span->heap);
    if (thread != NULL) {
        gm_cache_push(
            thread, gm_span_index_of_cache(span), (void *)place->start, place->state); /* NOLINT */
        return;
    }
    __atomic_store_n(place->state, GM_STATE_FREE, __ATOMIC_RELEASE);
    gm_span_freed(span, NULL, 1);
}

/* First CACHED and then young, not the other way around: a collection in between must see one of the two. */
static void collected_release(const struct gm_place *place)
{
    struct gm_span *span = place->span;
    if (span->kind != GM_KIND_LEAF)
        memset((void *)place->start, 0, place->bytes); /* NOLINT */
    __atomic_store_n(place->state, GM_STATE_CACHED, __ATOMIC_RELEASE);
    bool may_become_young = span->sort < GM_SORT_OLD_SCANNED;
    if (may_become_young && !gm_span_is_young(span)) {
        gm_heap_lock(span->heap);
        gm_span_set_young(span);
        gm_heap_unlock(span->heap);
    }
    small_release(place);
}

void gm_block_release(const struct gm_place *place)
{
    struct gm_heap *heap = place->span->heap;
    uint8_t state = gm_place_state(place);
    if ((state & GM_STATE_NOTED) && heap->collector.forget != NULL)
        heap->collector.forget(heap, (void *)place->start); /* NOLINT */
    if (gm_checkers != 0) {
        gm_quarantine_put(place);
    } else if (gm_span_flags(place->span) & GM_SPAN_LARGE) {
        __atomic_store_n(place->state, GM_STATE_FREE, __ATOMIC_RELEASE);
        gm_span_freed(place->span, NULL, 1);
    } else if (gm_state_is_collected(state)) {
        collected_release(place);
    } else {
        __atomic_store_n(place->state, GM_STATE_CACHED, __ATOMIC_RELAXED);
        small_release(place);
    }
}

static __attribute__((noinline)) void free_slow(void *block)
{
    if (block == NULL)
        return;
    struct gm_place place;
    enum gm_found found = gm_block_find((uintptr_t)block, &place);
    if (found != GM_FOUND_BLOCK) {
        gm_misuse_address("geomem_free", block, found, &place);
        return;
    }
    const struct geomem_listener *listener = gm_listener_get();
    if (listener != NULL && listener->free != NULL)
        listener->free(block);
    gm_block_release(&place);
}

/* ---- the fast path ---- */

static inline struct gm_cache *cache_at(struct gm_heap_thread *thread, uint16_t offset)
{
    return (struct gm_cache *)((char *)thread + offset); /* NOLINT: counted from its first member */
}

void geomem_free(void *block)
{
    uintptr_t address = (uintptr_t)block, number = address >> GM_SEGMENT_LOG2;
    if (GM_UNLIKELY(GM_PEEK(&gm_single_segments[number % GM_SINGLE_SEGMENTS]) != number))
        goto slow;
    char *segment = (char *)(address & ~(GM_SEGMENT_BYTES - 1)); /* NOLINT */
    /* Not by span_of_slice: spans of blocks up to 4 KB have one slice. Those of larger blocks show a reciprocal of 0 at
     * their later slices, and take the slow path there. */
    size_t offset =
        (address >> (GM_SLICE_LOG2 - SPAN_LOG2)) & ((GM_SEGMENT_SLICES - 1) << SPAN_LOG2);
    struct gm_span *span =
        (struct gm_span *)(segment + offset + offsetof(struct gm_segment, spans)); /* NOLINT */
    uint32_t reciprocal = span->reciprocal;
    uint64_t product = (uint64_t)(uint32_t)(address - span->start) * reciprocal;
    if (GM_UNLIKELY((uint32_t)product >= reciprocal))
        goto slow;
    uint8_t *state = &span->state[product >> 32];
    if (GM_UNLIKELY(GM_PEEK(state) != GM_STATE_EXPLICIT))
        goto slow;
    /* Spans of other heaps have cache 0, which is always full. */
    struct gm_cache *cache = cache_at(gm_heap_self, span->cache);
    struct gm_cached *top = cache->top;
    if (GM_UNLIKELY((uintptr_t)top >= (uintptr_t)GM_PEEK(&cache->limit)))
        goto slow;
    __atomic_store_n(state, GM_STATE_CACHED, __ATOMIC_RELAXED);
    *top = (struct gm_cached){block, state};
    atomic_signal_fence(memory_order_seq_cst); /* a fork in another thread copies it as it is */
    cache->top = top + 1;
    return;
slow:
    free_slow(block);
}
