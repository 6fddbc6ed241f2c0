/* span.c - see span.h. */
#include "libgeomem/heap/span.h"

#include <string.h>

#include "libgeomem/base/os.h"
#include "libgeomem/heap/checkers.h"
#include "libgeomem/heap/segment.h"

/* ---- making and giving back ---- */

static void span_fill(
    struct gm_heap *heap, struct gm_span *span, uint32_t sort, uintptr_t start, uint8_t *states)
{
    memset(span, 0, sizeof *span);
    span->start = start;
    span->state = states;
    span->heap = heap;
    span->kind = (uint8_t)gm_sort_kind(sort);
    span->sort = (uint8_t)sort;
    uint16_t flags = GM_SPAN_IN_USE;
    flags |= gm_sort_is_collected(sort) ? heap->span_flags : GM_SPAN_EXPLICIT;
    if (sort == GM_SORT_OLD_SCANNED || sort == GM_SORT_OLD_LEAF)
        flags |= GM_SPAN_HAS_OLD;
    atomic_store_explicit(&span->flags, flags, memory_order_relaxed);
}

/* From now on addresses in these slices lead to the span. */
static void span_show(struct gm_segment *segment, uint32_t first, uint32_t slices)
{
    for (uint32_t i = first; i < first + slices; i++)
        __atomic_store_n(&segment->span_of_slice[i], (uint8_t)first, __ATOMIC_RELEASE);
}

static uint32_t state_bytes_of(uint32_t slices, uint32_t block_bytes)
{
    /* One more, that stays 0, for addresses in the rest behind the last block. */
    uint32_t bytes = (uint32_t)(slices * GM_SLICE_BYTES);
    return bytes / block_bytes + (bytes % block_bytes != 0);
}

struct gm_span *gm_span_create(struct gm_heap *heap, uint32_t sort, uint32_t size_class)
{
    uint32_t block_bytes = gm_size_class_bytes(size_class),
             slices = gm_size_class_slices(size_class), first;
    uint8_t *states;
    bool zero;
    struct gm_segment *segment = gm_slices_take(
        heap, slices, 1, state_bytes_of(slices, block_bytes), &first, &states, &zero);
    if (segment == NULL)
        return NULL;
    struct gm_span *span = &segment->spans[first];
    span_fill(heap, span, sort, (uintptr_t)segment + ((uintptr_t)first << GM_SLICE_LOG2), states);
    span->block_bytes = block_bytes;
    span->reciprocal = gm_span_reciprocal(block_bytes);
    span->size_class = (uint16_t)size_class;
    span->capacity = (uint32_t)(slices * GM_SLICE_BYTES) / block_bytes;
    span->slices = slices;
    if (heap->number == 1)
        span->cache = (uint16_t)(gm_cache_index(sort, size_class) * sizeof(struct gm_cache));
    if (zero)
        gm_span_flags_set(span, GM_SPAN_ZEROED);
    span_show(segment, first, slices);
    gm_checker_close(span->start, slices * GM_SLICE_BYTES);
    return span;
}

static void span_fill_large(struct gm_span *span, size_t bytes)
{
    span->size_class = GM_SIZE_CLASS_LARGE;
    span->capacity = 1;
    span->fresh = 1;
    span->cursor = 1;
    span->large_bytes = (bytes + GM_PAGE_BYTES - 1) & ~(GM_PAGE_BYTES - 1);
    atomic_store_explicit(&span->live, 1, memory_order_relaxed);
    gm_span_flags_set(span, GM_SPAN_LARGE);
}

static struct gm_span *span_create_huge(
    struct gm_heap *heap, uint32_t sort, size_t bytes, size_t alignment)
{
    uintptr_t start;
    struct gm_segment *segment = gm_segments_take(heap, bytes, alignment, &start);
    if (segment == NULL)
        return NULL;
    struct gm_span *span = &segment->spans[GM_LARGE_SPAN];
    size_t cards = ((size_t)segment->segments << GM_SEGMENT_LOG2) >> GM_CARD_LOG2;
    span_fill(
        heap, span, sort, start, (uint8_t *)segment + offsetof(struct gm_segment, cards) + cards);
    span_fill_large(span, bytes);
    span->slices = (uint32_t)(((size_t)segment->segments << GM_SEGMENT_LOG2) >> GM_SLICE_LOG2) -
                   segment->first_slice;
    return span;
}

struct gm_span *gm_span_create_large(
    struct gm_heap *heap, uint32_t sort, size_t bytes, size_t alignment, bool *ret_zero)
{
    size_t slices = (bytes + GM_SLICE_BYTES - 1) >> GM_SLICE_LOG2;
    size_t align_slices = alignment <= GM_SLICE_BYTES ? 1 : alignment >> GM_SLICE_LOG2;
    if (slices > GM_LARGE_SLICES_MAX || align_slices > GM_SEGMENT_SLICES / 2) {
        *ret_zero = true;
        return span_create_huge(heap, sort, bytes, alignment);
    }
    uint32_t first;
    uint8_t *states;
    struct gm_segment *segment = gm_slices_take(
        heap, (uint32_t)slices, (uint32_t)align_slices, 1, &first, &states, ret_zero);
    if (segment == NULL)
        return NULL;
    struct gm_span *span = &segment->spans[first];
    span_fill(heap, span, sort, (uintptr_t)segment + ((uintptr_t)first << GM_SLICE_LOG2), states);
    span_fill_large(span, bytes);
    span->slices = (uint32_t)slices;
    span_show(segment, first, (uint32_t)slices);
    return span;
}

/* ---- spans that may hold young blocks ---- */

static uint64_t young_bit(const struct gm_span *span)
{
    return (uint64_t)1 << (span - gm_span_segment(span)->spans);
}

/* relaxed: changed under the heap's lock, and read without it by gm_span_is_young alone */
static void young_change(struct gm_segment *segment, uint64_t bits)
{
    __atomic_store_n(&segment->spans_young, bits, __ATOMIC_RELAXED);
}

void gm_span_look_at(const struct gm_span *span)
{
    struct gm_segment *segment = gm_span_segment(span);
    young_change(segment, segment->spans_young | young_bit(span));
}

void gm_span_set_young(struct gm_span *span)
{
    gm_span_flags_set(span, GM_SPAN_HAS_YOUNG);
    gm_span_look_at(span);
}

bool gm_span_is_young(const struct gm_span *span)
{
    uint64_t bits = __atomic_load_n(&gm_span_segment(span)->spans_young, __ATOMIC_RELAXED);
    return (gm_span_flags(span) & GM_SPAN_HAS_YOUNG) && (bits & young_bit(span));
}

bool gm_span_may_get_young(const struct gm_span *span)
{
    if (atomic_load_explicit(&span->owner, memory_order_relaxed) != NULL)
        return true;
    for (uint32_t i = 0; i < span->capacity; i++)
        if (__atomic_load_n(&span->state[i], __ATOMIC_RELAXED) == GM_STATE_CACHED)
            return true;
    return false;
}

/* ---- the lists of spans with room ---- */

void gm_heap_withdraw(struct gm_heap *heap, struct gm_span *span)
{
    if (!span->on_list)
        return;
    if (span->previous != NULL)
        span->previous->next = span->next;
    else
        heap->with_room[gm_span_index_of_cache(span)] = span->next;
    if (span->next != NULL)
        span->next->previous = span->previous;
    span->on_list = 0;
}

static void room_push(struct gm_heap *heap, struct gm_span *span)
{
    if (span->on_list)
        return;
    span->previous = NULL;
    span->next = heap->with_room[gm_span_index_of_cache(span)];
    if (span->next != NULL)
        span->next->previous = span;
    heap->with_room[gm_span_index_of_cache(span)] = span;
    span->on_list = 1;
}

static bool span_has_owner(const struct gm_span *span)
{
    return atomic_load_explicit(&span->owner, memory_order_relaxed) != NULL;
}

/* To be allocated from when its turn comes: if it has no owner, and room or GM_SPAN_NEEDS_SWEEP. */
static void span_offer(struct gm_heap *heap, struct gm_span *span)
{
    if ((gm_span_flags(span) & GM_SPAN_LARGE) == 0 && !span_has_owner(span) &&
        ((gm_span_flags(span) & GM_SPAN_NEEDS_SWEEP) || gm_span_has_room(span)))
        room_push(heap, span);
}

static bool span_is_recyclable(const struct gm_span *span)
{
    return (gm_span_flags(span) & GM_SPAN_HAS_OLD) == 0 || span->sort >= GM_SORT_OLD_SCANNED ||
           atomic_load_explicit(&span->heap->recycle_old, memory_order_relaxed);
}

/* ---- giving back ---- */

void gm_span_release(struct gm_span *span)
{
    struct gm_heap *heap = span->heap;
    struct gm_segment *segment = gm_span_segment(span);
    gm_heap_withdraw(heap, span);
    if ((gm_span_flags(span) & GM_SPAN_HAS_OLD) && heap->collector.unwatch != NULL)
        heap->collector.unwatch(heap, span);
    young_change(segment, segment->spans_young & ~young_bit(span));
    atomic_store_explicit(&span->flags, 0, memory_order_relaxed);
    if (segment->large) {
        gm_segments_give(segment);
        return;
    }
    uint32_t first = (uint32_t)(span - segment->spans), slices = span->slices;
    for (uint32_t i = first; i < first + slices; i++)
        __atomic_store_n(&segment->span_of_slice[i], (uint8_t)GM_NO_SPAN, __ATOMIC_RELAXED);
    for (size_t i = (size_t)first * GM_SLICE_CARDS; i < (size_t)(first + slices) * GM_SLICE_CARDS;
         i++)
        atomic_store_explicit(&segment->cards[i], 0, memory_order_relaxed);
    uint32_t states = span->capacity;
    if (span->block_bytes != 0)
        states = state_bytes_of(slices, span->block_bytes);
    span->reciprocal = 0;
    span->cache = 0;
    gm_slices_give(segment, first, slices, span->state, states);
}

/* Nobody owns it and all its blocks are free: may it go? */
static bool span_may_go(const struct gm_span *span)
{
    /* acquire: pairs with the release in gm_span_freed */
    return (gm_span_flags(span) & GM_SPAN_NEEDS_SWEEP) == 0 &&
           atomic_load_explicit(&span->live, memory_order_acquire) == 0 && !span_has_owner(span);
}

/* What becomes of a span after blocks in it were freed, or it lost its owner. True: it is gone. */
static bool span_settle(struct gm_span *span)
{
    if (span_may_go(span)) {
        gm_span_release(span);
        return true;
    }
    if (!span_has_owner(span) && span_is_recyclable(span))
        span_offer(span->heap, span);
    return false;
}

static bool span_crosses(const struct gm_span *span, uint32_t live, uint32_t blocks)
{
    uint32_t most = span->capacity - span->capacity / 8 - 1; /* live blocks of a span with room */
    return live == blocks || (live > most && live - blocks <= most);
}

void gm_span_freed(struct gm_span *span, const struct gm_heap_thread *self, uint32_t blocks)
{
    struct gm_heap *heap = span->heap;
    uint32_t live = atomic_load_explicit(&span->live, memory_order_relaxed);
    /* Its owner alone gives it up: until then it stays, and the owner will see. */
    bool own = self != NULL && atomic_load_explicit(&span->owner, memory_order_relaxed) == self;
    /* release: pairs with the acquire in gm_span_has_room. After the exchange the span may be gone. */
    while (own || !span_crosses(span, live, blocks))
        if (atomic_compare_exchange_weak_explicit(
                &span->live, &live, live - blocks, memory_order_release, memory_order_relaxed))
            return;
    /* The blocks still count as live, so it is still there. */
    gm_heap_lock(heap);
    atomic_fetch_sub_explicit(&span->live, blocks, memory_order_release);
    span_settle(span);
    gm_purge_if_due(heap);
    gm_heap_unlock(heap);
}

bool gm_heap_span_swept(struct gm_heap *heap, struct gm_span *span, uint32_t freed_blocks)
{
    (void)heap;
    gm_span_flags_clear(span, GM_SPAN_NEEDS_SWEEP);
    atomic_fetch_sub_explicit(&span->live, freed_blocks, memory_order_release);
    return span_settle(span);
}

/* ---- owners ---- */

/* A listed span that turned out to be worth allocating from. */
static bool span_prepare(struct gm_heap *heap, struct gm_span *span)
{
    if (gm_span_flags(span) & GM_SPAN_NEEDS_SWEEP) {
        uint32_t freed = heap->collector.sweep(heap, span);
        atomic_fetch_sub_explicit(&span->live, freed, memory_order_relaxed);
    }
    if (!gm_span_has_room(span))
        return false;
    if ((gm_span_flags(span) & GM_SPAN_HAS_OLD) && heap->collector.unwatch != NULL)
        heap->collector.unwatch(heap, span);
    return true;
}

static struct gm_span *span_take_listed(struct gm_heap *heap, uint32_t index)
{
    struct gm_span *span;
    while ((span = heap->with_room[index]) != NULL) {
        gm_heap_withdraw(heap, span);
        if (span_prepare(heap, span))
            return span;
    }
    return NULL;
}

static struct gm_span *span_find(struct gm_heap *heap, uint32_t index)
{
    struct gm_span *span = span_take_listed(heap, index);
    return span != NULL ? span
                        : gm_span_create(heap, gm_sort_of_index(index), gm_class_of_index(index));
}

struct gm_span *gm_span_acquire(struct gm_heap *heap, struct gm_heap_thread *owner, uint32_t index)
{
    gm_purge_if_due(heap);
    struct gm_span *span = span_find(heap, index);
    if (span == NULL)
        return NULL;
    span->cursor = 0;
    atomic_store_explicit(&span->owner, owner, memory_order_relaxed);
    if (gm_sort_may_be_young(gm_sort_of_index(index)))
        gm_span_set_young(span);
    return span;
}

void gm_span_give_up(struct gm_span *span)
{
    atomic_store_explicit(&span->owner, NULL, memory_order_relaxed);
    span_settle(span);
}

/* ---- all of them ---- */

void gm_heap_each_segment(struct gm_heap *heap, gm_segment_visitor *visit, void *arg)
{
    struct gm_segment *next;
    for (struct gm_segment *segment = heap->segments; segment != NULL; segment = next) {
        next = segment->next;
        visit(segment, arg);
    }
}

void gm_heap_each_span(struct gm_heap *heap, gm_span_visitor *visit, void *arg)
{
    struct gm_segment *next;
    for (struct gm_segment *segment = heap->segments; segment != NULL; segment = next) {
        next = segment->next;
        if (segment->large) {
            visit(&segment->spans[GM_LARGE_SPAN], arg);
            continue;
        }
        uint32_t slices;
        for (uint32_t i = GM_HEADER_SLICES; i < GM_SEGMENT_SLICES; i += slices) {
            struct gm_span *span = &segment->spans[i];
            bool in_use = (gm_span_flags(span) & GM_SPAN_IN_USE) != 0;
            slices = in_use ? span->slices : 1;
            if (in_use)
                visit(span, arg);
        }
    }
}
