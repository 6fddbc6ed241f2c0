/* span.h - spans: made from slices, owned by a thread while it allocates from them, listed while they have room.
 *
 * `live` counts the blocks whose state is not GM_STATE_FREE. It is raised before the states change, and lowered after:
 * so it may be too high for a moment (or, for blocks lost by a fork in another thread, for good), never too low, and a
 * span whose live is 0 can be given back.
 *
 * A free that leaves a span empty, or with room again, lowers live under the heap's lock; every other free touches the
 * span no more once it has lowered it, since then somebody else may empty it.
 *
 * All functions need the heap's lock, unless said otherwise.
 */
#ifndef GM_HEAP_SPAN_H
#define GM_HEAP_SPAN_H

#include "libgeomem/heap/heap.h"

/* A new span of a size class, without owner; NULL: no memory. */
struct gm_span *gm_span_create(struct gm_heap *heap, uint32_t sort, uint32_t size_class);
/* A span of one block of `bytes` on a multiple of `alignment`, in use. ret_zero: it reads as zero. NULL: no memory. */
struct gm_span *gm_span_create_large(
    struct gm_heap *heap, uint32_t sort, size_t bytes, size_t alignment, bool *ret_zero);
/* Its slices become free memory. */
void gm_span_release(struct gm_span *span);

/* For thread `owner`: a span of this sort and class with room, taken from the lists, by sweeping, or new. */
struct gm_span *gm_span_acquire(struct gm_heap *heap, struct gm_heap_thread *owner, uint32_t index);
/* The thread has no use for it any more. */
void gm_span_give_up(struct gm_span *span);

/* `blocks` of them have been made GM_STATE_FREE. Takes the heap's lock itself, when there is something to do. `self`: of the
 * calling thread, or NULL. */
void gm_span_freed(struct gm_span *span, const struct gm_heap_thread *self, uint32_t blocks);

/* The next collection looks at it, if only for its old blocks. The heap's lock held, here and below. */
void gm_span_look_at(const struct gm_span *span);
/* May hold young blocks, or roots, from now on. */
void gm_span_set_young(struct gm_span *span);
/* Is known to; no lock needed. */
bool gm_span_is_young(const struct gm_span *span);

/* Room that makes it worth going through a span again: an eighth. */
static inline bool gm_span_has_room(const struct gm_span *span)
{
    /* acquire: pairs with the release in gm_span_freed: who sees live lowered sees the states free */
    uint32_t live = atomic_load_explicit(&span->live, memory_order_acquire);
    uint32_t wanted = span->capacity / 8 + 1;
    return live + wanted <= span->capacity;
}

static inline struct gm_segment *gm_span_segment(const struct gm_span *span)
{
    return (struct gm_segment *)((uintptr_t)span &
                                 ~(GM_SEGMENT_BYTES - 1)); /* NOLINT: headers lie in front */
}

/* Its spans are in segment.spans_young: those of collected blocks that are born young, and those of roots, which every
 * collection looks at. */
static inline bool gm_sort_may_be_young(uint32_t sort)
{
    return sort >= GM_SORT_ROOT && sort < GM_SORT_OLD_SCANNED;
}

/* The cache, of a thread's part of the span's heap, that its blocks belong in; not of large blocks. */
static inline uint32_t gm_span_index_of_cache(const struct gm_span *span)
{
    return gm_cache_index(span->sort, span->size_class);
}
static inline uint32_t gm_sort_of_index(uint32_t index)
{
    return (index - 1) / GM_SIZE_CLASSES;
}
static inline uint32_t gm_class_of_index(uint32_t index)
{
    return (index - 1) % GM_SIZE_CLASSES;
}

static inline uint16_t gm_span_flags(const struct gm_span *span)
{
    return atomic_load_explicit(&span->flags, memory_order_relaxed);
}
static inline void gm_span_flags_set(struct gm_span *span, uint16_t flags)
{
    /* relaxed: changed under the heap's lock; those who read without it read one flag */
    atomic_fetch_or_explicit(&span->flags, flags, memory_order_relaxed);
}
static inline void gm_span_flags_clear(struct gm_span *span, uint16_t flags)
{
    atomic_fetch_and_explicit(&span->flags, (uint16_t)~flags, memory_order_relaxed);
}

#endif
