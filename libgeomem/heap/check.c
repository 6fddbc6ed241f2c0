/* check.c - is a heap whole? Walks its structures field by field; each fault is one line that names what is wrong.
 *
 * Level 1: segments, their bit maps, lists, counters. Level 2: every span, every cached block. Level 3: memory that is
 * to be zero.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "libgeomem/base/os.h"
#include "libgeomem/heap/checkers.h"
#include "libgeomem/heap/heap.h"
#include "libgeomem/heap/segment.h"
#include "libgeomem/heap/span.h"
#include "libgeomem/heap/thread.h"
#include "libgeomem/heap/walk.h"

struct check {
    struct gm_heap *heap;
    FILE *out;
    int level;
    int faults;
    size_t footprint;
    size_t dirty;
};

__attribute__((format(printf, 3, 4))) static void fault(
    struct check *check, const void *place, const char *format, ...)
{
    check->faults++;
    if (check->out == NULL)
        return;
    va_list args;
    va_start(args, format);
    fprintf(check->out, "geomem: heap %llu: %p: ", (unsigned long long)check->heap->number, place);
    vfprintf(check->out, format, args);
    fputc('\n', check->out);
    va_end(args);
}

#define EXPECT(check, place, truth, ...) \
    do { \
        if (!(truth)) \
            fault((check), (place), __VA_ARGS__); \
    } while (0)

/* ---- level 1: segments ---- */

static uint64_t spans_used(struct check *check, const struct gm_segment *segment)
{
    uint64_t used = gm_slice_mask(0, GM_HEADER_SLICES);
    for (uint32_t i = GM_HEADER_SLICES; i < GM_SEGMENT_SLICES; i++) {
        const struct gm_span *span = &segment->spans[i];
        if ((gm_span_flags(span) & GM_SPAN_IN_USE) == 0)
            continue;
        uint64_t mask = gm_slice_mask(i, span->slices);
        EXPECT(check, span, (used & mask) == 0, "span of %u slices overlaps another", span->slices);
        used |= mask;
        for (uint32_t slice = i; slice < i + span->slices && slice < GM_SEGMENT_SLICES; slice++)
            EXPECT(check, span, segment->span_of_slice[slice] == i,
                "slice %u does not lead to its span", slice);
    }
    return used;
}

static void segment_check(struct gm_segment *segment, void *arg)
{
    struct check *check = arg;
    EXPECT(check, segment, segment->heap == check->heap, "segment of another heap");
    EXPECT(check, segment, gm_segment_at((uintptr_t)segment) == segment,
        "segment that addresses do not lead to");
    EXPECT(check, segment, segment->next == NULL || segment->next->previous == segment,
        "list of segments is broken");
    if (segment->large) {
        check->footprint +=
            segment->first_slice * GM_SLICE_BYTES + segment->spans[GM_LARGE_SPAN].large_bytes;
        return;
    }
    EXPECT(check, segment, spans_used(check, segment) == segment->slices_used,
        "spans do not add up to used slices");
    EXPECT(check, segment, (segment->slices_used & segment->slices_dirty) == 0,
        "slices both used and left dirty");
    size_t slices = (size_t)__builtin_popcountll(segment->slices_used | segment->slices_dirty);
    check->footprint += (slices - GM_HEADER_SLICES + 1) * GM_SLICE_BYTES;
    check->dirty += (size_t)__builtin_popcountll(segment->slices_dirty) * GM_SLICE_BYTES;
}

/* ---- level 1: lists, threads ---- */

static void list_check(struct check *check, uint32_t index)
{
    const struct gm_span *previous = NULL;
    for (const struct gm_span *span = check->heap->with_room[index]; span != NULL;
         span = span->next) {
        EXPECT(check, span, span->previous == previous, "list of spans with room is broken");
        EXPECT(check, span, span->on_list, "span on a list does not know of it");
        EXPECT(check, span, gm_span_index_of_cache(span) == index,
            "span on the list of another class");
        EXPECT(check, span, span->owner == NULL, "span on a list has an owner");
        previous = span;
    }
}

static void thread_check(struct check *check, const struct gm_heap_thread *thread)
{
    for (uint32_t index = 1; index < GM_CACHES; index++) {
        const struct gm_span *span = thread->current[index];
        if (span != NULL)
            EXPECT(check, span,
                span->owner == thread && !span->on_list && gm_span_index_of_cache(span) == index,
                "current span of a thread that does not own it");
        const struct gm_cached *base = thread->stacks + (size_t)index * GM_CACHE_ENTRIES;
        const struct gm_cached *top = thread->caches[index].top;
        EXPECT(check, &thread->caches[index], top >= base && top <= base + gm_cache_capacity(index),
            "cache with its top outside");
    }
}

/* ---- level 2: spans ---- */

static bool state_fits(const struct gm_span *span, uint8_t state)
{
    uint8_t low = state & GM_STATE_MASK;
    if (low == GM_STATE_FREE)
        return state == 0;
    if (low == GM_STATE_CACHED)
        return state == GM_STATE_CACHED;
    if (low == GM_STATE_QUARANTINE)
        return true;
    if (gm_span_flags(span) & GM_SPAN_EXPLICIT)
        return low == (span->sort == GM_SORT_ROOT ? GM_STATE_ROOT : GM_STATE_EXPLICIT);
    return gm_state_is_collected(state);
}

static void states_check(struct check *check, struct gm_span *span)
{
    uint32_t live = 0, counted = atomic_load_explicit(&span->live, memory_order_relaxed);
    for (uint32_t i = 0; i < span->capacity; i++) {
        uint8_t state = span->state[i];
        live += state != GM_STATE_FREE;
        EXPECT(check, span, state_fits(span, state),
            "block %u has state 0x%02x, which is none of its sort's", i, state);
        EXPECT(check, span, i < span->fresh || state == GM_STATE_FREE,
            "block %u is in use beyond fresh (%u)", i, span->fresh);
    }
    EXPECT(
        check, span, live <= counted, "%u blocks are not free, but %u are counted", live, counted);
}

static void span_fields_check(struct check *check, const struct gm_span *span)
{
    if (gm_span_flags(span) & GM_SPAN_LARGE) {
        EXPECT(check, span, span->reciprocal == 0 && span->capacity == 1 && span->large_bytes != 0,
            "large block with fields of a small one");
        return;
    }
    uint32_t bytes = gm_size_class_bytes(span->size_class);
    EXPECT(check, span, span->block_bytes == bytes && span->reciprocal == gm_span_reciprocal(bytes),
        "size of blocks %u is not that of class %u", span->block_bytes, span->size_class);
    EXPECT(check, span, span->capacity == span->slices * GM_SLICE_BYTES / bytes, "capacity %u",
        span->capacity);
    EXPECT(check, span, span->fresh <= span->capacity && span->cursor <= span->fresh,
        "cursor %u, fresh %u, capacity %u", span->cursor, span->fresh, span->capacity);
    EXPECT(check, span, (span->owner == NULL) || !span->on_list, "span with an owner is listed");
}

/* ---- level 3: memory that is to be zero ---- */

static bool memory_is_zero(uintptr_t start, size_t bytes)
{
    const char *memory = (const char *)start; /* NOLINT */
    return bytes == 0 || (memory[0] == 0 && memcmp(memory, memory + 1, bytes - 1) == 0);
}

static void span_memory_check(struct check *check, const struct gm_span *span)
{
    if ((gm_span_flags(span) & (GM_SPAN_ZEROED | GM_SPAN_LARGE)) == GM_SPAN_ZEROED)
        EXPECT(check, span,
            memory_is_zero(span->start + (uintptr_t)span->fresh * span->block_bytes,
                (size_t)(span->capacity - span->fresh) * span->block_bytes),
            "memory that was never handed out has been written to");
}

static void span_check(struct gm_span *span, void *arg)
{
    struct check *check = arg;
    EXPECT(check, span, span->heap == check->heap, "span of another heap");
    span_fields_check(check, span);
    states_check(check, span);
    if (check->level >= 3 && gm_checkers == 0)
        span_memory_check(check, span);
}

/* Of the calling thread or, when the world is stopped, of any. */
static void caches_check(struct check *check, const struct gm_heap_thread *thread)
{
    for (uint32_t index = 1; index < GM_CACHES; index++) {
        const struct gm_cached *base = thread->stacks + (size_t)index * GM_CACHE_ENTRIES;
        enum gm_kind kind = gm_sort_kind(gm_sort_of_index(index));
        bool zero = gm_sort_is_collected(gm_sort_of_index(index)) && kind != GM_KIND_LEAF;
        for (const struct gm_cached *at = base; at < thread->caches[index].top; at++) {
            EXPECT(check, at->block, *at->state == GM_STATE_CACHED,
                "block in a cache has state 0x%02x", *at->state);
            if (zero && check->level >= 3 && gm_checkers == 0)
                EXPECT(check, at->block,
                    memory_is_zero(
                        (uintptr_t)at->block, gm_size_class_bytes(gm_class_of_index(index))),
                    "free block was written to");
        }
    }
}

static void heap_check(struct check *check)
{
    struct gm_heap *heap = check->heap;
    gm_heap_each_segment(heap, segment_check, check);
    EXPECT(check, heap, check->footprint == gm_heap_footprint(heap),
        "footprint of %zu bytes, but %zu are counted", check->footprint, gm_heap_footprint(heap));
    EXPECT(check, heap, check->dirty == heap->dirty_bytes,
        "%zu bytes of unused slices have memory, but %zu are counted", check->dirty,
        heap->dirty_bytes);
    for (uint32_t index = 1; index < GM_CACHES; index++)
        list_check(check, index);
    for (const struct gm_heap_thread *thread = heap->threads; thread != NULL;
         thread = thread->next_of_heap)
        thread_check(check, thread);
    if (check->level >= 2) {
        gm_heap_each_span(heap, span_check, check);
        for (const struct gm_heap_thread *thread = heap->threads; thread != NULL;
             thread = thread->next_of_heap)
            caches_check(check, thread);
    }
}

/* What is found goes into memory first: with the world stopped, another thread may hold the lock of any FILE. */
#define REPORT_BYTES ((size_t)256 * 1024)

static int check_quiesced(struct check *check)
{
    int error = gm_heap_quiesce(check->heap);
    if (error != 0)
        return error;
    heap_check(check);
    gm_heap_resume(check->heap);
    return check->faults == 0 ? 0 : -EUCLEAN;
}

int geomem_heap_check(struct geomem_heap *public, int level, FILE *out)
{
    struct gm_heap *heap = gm_heap_of(public);
    char *report = heap != NULL && out != NULL ? gm_os_map(2 * REPORT_BYTES) : NULL;
    if (heap == NULL || (out != NULL && report == NULL))
        return -ENOMEM;
    struct check check = {.heap = heap, .level = level};
    if (out != NULL) {
        check.out = fmemopen(report, REPORT_BYTES, "w");
        /* A buffer of its own, or the first line would allocate one. */
        if (check.out != NULL)
            setvbuf(check.out, report + REPORT_BYTES, _IOFBF, REPORT_BYTES);
    }
    int result = check_quiesced(&check);
    if (check.out != NULL)
        fclose(check.out);
    if (out != NULL) {
        fputs(report, out);
        gm_os_unmap(report, 2 * REPORT_BYTES);
    }
    return result;
}
