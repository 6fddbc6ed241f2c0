/* segment.c - see segment.h. */
#include "libgeomem/heap/segment.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "libgeomem/base/os.h"

struct gm_range gm_range;
struct gm_lock gm_range_lock = {.rank = GM_RANK_RANGE};
uintptr_t gm_single_segments[GM_SINGLE_SEGMENTS];

/* Of the range, under gm_range_lock. */
static uint32_t pieces;      /* of GM_SEGMENT_BYTES */
static uint32_t pieces_next; /* none below is free */
static uint8_t *piece_taken; /* also before gm_segment_at finds it, and after */

/* ---- the range ---- */

/* Number 0 is NULL's, and must not look like a segment's. Before any constructor of the program's. */
__attribute__((constructor(101))) static void single_segments_init(void)
{
    gm_single_segments[0] = UINTPTR_MAX;
}

static int range_reserve(void)
{
    /* 1 TB, or what RLIMIT_AS and the kernel's idea of overcommitment leave. */
    for (uint32_t log2 = 40; log2 >= 26; log2 -= 2) {
        size_t bytes = (size_t)1 << log2;
        uintptr_t start = gm_os_reserve(bytes, GM_SEGMENT_BYTES);
        if (start == 0)
            continue;
        _Atomic uint32_t *map =
            gm_os_map((bytes >> GM_SEGMENT_LOG2) * (sizeof *map + 1) + GM_PAGE_BYTES);
        if (map == NULL) {
            gm_os_unmap((void *)start, bytes); /* NOLINT: addresses are numbers here */
            return -ENOMEM;
        }
        pieces = (uint32_t)(bytes >> GM_SEGMENT_LOG2);
        piece_taken = (uint8_t *)(uintptr_t)map + pieces * sizeof *map;
        gm_range.map = map;
        gm_range.start = start;
        /* release: pairs with the acquire in gm_range_init */
        __atomic_store_n(&gm_range.bytes, bytes, __ATOMIC_RELEASE);
        return 0;
    }
    return -ENOMEM;
}

int gm_range_init(void)
{
    if (__atomic_load_n(&gm_range.bytes, __ATOMIC_ACQUIRE) != 0)
        return 0;
    gm_lock_acquire(&gm_range_lock);
    int error = gm_range.bytes != 0 ? 0 : range_reserve();
    gm_lock_release(&gm_range_lock);
    return error;
}

/* Claims `count` adjacent pieces, by first fit, under gm_range_lock; returns the first, or `pieces`. */
static uint32_t range_find(uint32_t count)
{
    uint32_t run = 0;
    for (uint32_t piece = pieces_next; piece < pieces; piece++) {
        run = piece_taken[piece] ? 0 : run + 1;
        if (run == count)
            return piece + 1 - count;
    }
    return pieces;
}

static uintptr_t range_take(uint32_t count)
{
    uintptr_t start = 0;
    gm_lock_acquire(&gm_range_lock);
    uint32_t first = range_find(count);
    if (first < pieces && gm_os_commit(gm_range.start + ((uintptr_t)first << GM_SEGMENT_LOG2),
                              (size_t)count << GM_SEGMENT_LOG2) == 0) {
        start = gm_range.start + ((uintptr_t)first << GM_SEGMENT_LOG2);
        memset(piece_taken + first, 1, count);
        if (first == pieces_next)
            pieces_next = first + count;
    }
    gm_lock_release(&gm_range_lock);
    return start;
}

/* From here on gm_segment_at finds it. release: its header is filled in. */
static void range_show(uintptr_t start, uint32_t count)
{
    uint32_t first = (uint32_t)((start - gm_range.start) >> GM_SEGMENT_LOG2);
    for (uint32_t i = 0; i < count; i++)
        atomic_store_explicit(&gm_range.map[first + i], i + 1, memory_order_release);
    uintptr_t number = start >> GM_SEGMENT_LOG2;
    if (count == 1)
        __atomic_store_n(
            &gm_single_segments[number % GM_SINGLE_SEGMENTS], number, __ATOMIC_RELEASE);
}

static void range_give(uintptr_t start, uint32_t count)
{
    uint32_t first = (uint32_t)((start - gm_range.start) >> GM_SEGMENT_LOG2);
    gm_lock_acquire(&gm_range_lock);
    __atomic_store_n(&gm_single_segments[(start >> GM_SEGMENT_LOG2) % GM_SINGLE_SEGMENTS],
        UINTPTR_MAX, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < count; i++)
        atomic_store_explicit(&gm_range.map[first + i], 0, memory_order_relaxed);
    /* Where the system does not take it back, the pieces stay taken for good: their contents are not known to be zero. */
    if (gm_os_decommit(start, (size_t)count << GM_SEGMENT_LOG2) == 0) {
        memset(piece_taken + first, 0, count);
        if (first < pieces_next)
            pieces_next = first;
    }
    gm_lock_release(&gm_range_lock);
}

/* ---- segments ---- */

static void footprint_add(struct gm_heap *heap, int64_t bytes)
{
    /* relaxed: a figure; changed under the heap's lock */
    atomic_fetch_add_explicit(&heap->footprint_bytes, (size_t)bytes, memory_order_relaxed);
}

static void segment_link(struct gm_heap *heap, struct gm_segment *segment)
{
    segment->previous = NULL;
    segment->next = heap->segments;
    if (heap->segments != NULL)
        heap->segments->previous = segment;
    heap->segments = segment;
    heap->reserved_bytes += (size_t)segment->segments << GM_SEGMENT_LOG2;
}

static void segment_unlink(struct gm_heap *heap, struct gm_segment *segment)
{
    if (segment->previous != NULL)
        segment->previous->next = segment->next;
    else
        heap->segments = segment->next;
    if (segment->next != NULL)
        segment->next->previous = segment->previous;
    if (heap->roomy == segment)
        heap->roomy = heap->segments;
    heap->reserved_bytes -= (size_t)segment->segments << GM_SEGMENT_LOG2;
}

/* The span that stands for what is not in use: any address in it leads to a state that is 0. */
static void segment_fill_no_span(struct gm_segment *segment)
{
    struct gm_span *none = &segment->spans[GM_NO_SPAN];
    none->start = (uintptr_t)segment;
    none->state = (uint8_t *)&segment->spans[GM_NO_SPAN].reserved; /* 0 */
    none->heap = segment->heap;
}

static struct gm_segment *segment_make(struct gm_heap *heap)
{
    uintptr_t start = range_take(1);
    if (start == 0)
        return NULL;
    struct gm_segment *segment = (struct gm_segment *)start; /* NOLINT */
    segment->heap = heap;
    segment->segments = 1;
    segment->first_slice = GM_HEADER_SLICES;
    segment->slices_used = gm_slice_mask(0, GM_HEADER_SLICES);
    segment->purge_time_ns = UINT64_MAX;
    uint32_t units = (uint32_t)(GM_HEADER_STATES / GM_STATE_UNIT_BYTES);
    for (uint32_t i = units; i < GM_STATE_UNIT_WORDS * 64; i++)
        segment->state_units[i / 64] |= (uint64_t)1 << (i % 64);
    segment_fill_no_span(segment);
    segment_link(heap, segment);
    footprint_add(heap, (int64_t)GM_SLICE_BYTES);
    range_show(start, 1);
    heap->roomy = segment;
    return segment;
}

/* ---- states ---- */

static uint32_t units_of(uint32_t state_bytes)
{
    return (state_bytes + GM_STATE_UNIT_BYTES - 1) / GM_STATE_UNIT_BYTES;
}

static void units_change(struct gm_segment *segment, uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++)
        segment->state_units[i / 64] ^= (uint64_t)1 << (i % 64);
}

/* First fit; the number of units when there is no such run. */
static uint32_t units_find(const struct gm_segment *segment, uint32_t count)
{
    uint32_t run = 0;
    for (uint32_t i = 0; i < GM_STATE_UNIT_WORDS * 64; i++) {
        if (i % 64 == 0 && segment->state_units[i / 64] == ~(uint64_t)0) {
            run = 0;
            i += 63;
            continue;
        }
        run = (segment->state_units[i / 64] >> (i % 64)) & 1 ? 0 : run + 1;
        if (run == count)
            return i + 1 - count;
    }
    return GM_STATE_UNIT_WORDS * 64;
}

static uint8_t *segment_states(struct gm_segment *segment)
{
    return (uint8_t *)segment + sizeof *segment;
}

/* ---- slices ---- */

/* First slices of runs of `slices` set bits, on multiples of `alignment`. */
static uint64_t runs_of(uint64_t bits, uint32_t slices, uint32_t alignment)
{
    for (uint32_t have = 1; have < slices;) {
        uint32_t step = slices - have < have ? slices - have : have;
        bits &= bits >> step;
        have += step;
    }
    if (alignment > 1) {
        uint64_t wanted = 0;
        for (uint32_t i = 0; i < GM_SEGMENT_SLICES; i += alignment)
            wanted |= (uint64_t)1 << i;
        bits &= wanted;
    }
    return bits;
}

/* Slices that still have memory first: that keeps the footprint low, and needs no page faults. */
static bool slices_find(
    const struct gm_segment *segment, uint32_t slices, uint32_t alignment, uint32_t *ret_first)
{
    uint64_t runs = runs_of(segment->slices_dirty & ~segment->slices_used, slices, alignment);
    if (runs == 0)
        runs = runs_of(~segment->slices_used, slices, alignment);
    if (runs == 0)
        return false;
    *ret_first = (uint32_t)__builtin_ctzll(runs);
    return true;
}

static bool heap_has_budget(const struct gm_heap *heap, size_t bytes)
{
    return heap->options.max_bytes == 0 ||
           atomic_load_explicit(&heap->footprint_bytes, memory_order_relaxed) + bytes <=
               heap->options.max_bytes;
}

/* Marks the run as used; true if nothing in it was ever written to since it last had no memory. */
static bool slices_claim(struct gm_segment *segment, uint32_t first, uint32_t slices)
{
    uint64_t mask = gm_slice_mask(first, slices);
    uint64_t dirty = segment->slices_dirty & mask;
    size_t dirty_bytes = (size_t)__builtin_popcountll(dirty) << GM_SLICE_LOG2;
    segment->slices_used |= mask;
    segment->slices_dirty &= ~mask;
    segment->heap->dirty_bytes -= dirty_bytes;
    footprint_add(segment->heap, (int64_t)(slices * GM_SLICE_BYTES - dirty_bytes));
    return dirty == 0;
}

/* Tries one segment. */
static bool segment_take(struct gm_segment *segment, uint32_t slices, uint32_t alignment,
    uint32_t state_bytes, uint32_t *ret_first, uint8_t **ret_states, bool *ret_zero)
{
    uint32_t first;
    if (segment->large || !slices_find(segment, slices, alignment, &first))
        return false;
    uint32_t unit = units_find(segment, units_of(state_bytes));
    if (unit == GM_STATE_UNIT_WORDS * 64)
        return false;
    units_change(segment, unit, units_of(state_bytes));
    *ret_states = segment_states(segment) + unit * GM_STATE_UNIT_BYTES;
    memset(*ret_states, 0, (size_t)units_of(state_bytes) * GM_STATE_UNIT_BYTES);
    *ret_zero = slices_claim(segment, first, slices);
    *ret_first = first;
    return true;
}

struct gm_segment *gm_slices_take(struct gm_heap *heap, uint32_t slices, uint32_t alignment,
    uint32_t state_bytes, uint32_t *ret_first, uint8_t **ret_states, bool *ret_zero)
{
    if (!heap_has_budget(heap, slices * GM_SLICE_BYTES))
        return NULL;
    /* From where room was found last, once around. */
    struct gm_segment *segment = heap->roomy;
    for (struct gm_segment *at = segment; at != NULL; at = at->next)
        if (segment_take(at, slices, alignment, state_bytes, ret_first, ret_states, ret_zero))
            return slices == 1 ? heap->roomy = at : at;
    for (struct gm_segment *at = heap->segments; at != segment; at = at->next)
        if (segment_take(at, slices, alignment, state_bytes, ret_first, ret_states, ret_zero))
            return slices == 1 ? heap->roomy = at : at;
    segment = segment_make(heap);
    if (segment != NULL &&
        segment_take(segment, slices, alignment, state_bytes, ret_first, ret_states, ret_zero))
        return segment;
    return NULL;
}

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void gm_slices_give(struct gm_segment *segment, uint32_t first, uint32_t slices, uint8_t *states,
    uint32_t state_bytes)
{
    struct gm_heap *heap = segment->heap;
    uint64_t mask = gm_slice_mask(first, slices);
    units_change(segment, (uint32_t)(states - segment_states(segment)) / GM_STATE_UNIT_BYTES,
        units_of(state_bytes));
    segment->slices_used &= ~mask;
    segment->slices_dirty |= mask;
    heap->dirty_bytes += slices * GM_SLICE_BYTES;
    /* Counted from the first, or a busy segment would never be purged. */
    if (segment->purge_time_ns == UINT64_MAX)
        segment->purge_time_ns = clock_ns() + GM_PURGE_DELAY_NS;
    if (heap->purge_time_ns > segment->purge_time_ns)
        heap->purge_time_ns = segment->purge_time_ns;
    heap->roomy = segment;
}

/* ---- runs of segments ---- */

/* Memory that a large block and its header take; what lies behind the block is never touched. */
static size_t segments_footprint(const struct gm_segment *segment)
{
    return segment->first_slice * GM_SLICE_BYTES + segment->spans[GM_LARGE_SPAN].large_bytes;
}

static struct gm_segment *segments_fill(
    struct gm_heap *heap, uintptr_t start, uint32_t count, uint32_t first_slice, size_t bytes)
{
    struct gm_segment *segment = (struct gm_segment *)start; /* NOLINT */
    segment->heap = heap;
    segment->segments = count;
    segment->large = 1;
    segment->first_slice = first_slice;
    segment->slices_used = ~(uint64_t)0;
    segment->purge_time_ns = UINT64_MAX;
    segment_fill_no_span(segment);
    for (uint32_t i = first_slice; i < GM_SEGMENT_SLICES; i++)
        segment->span_of_slice[i] = GM_LARGE_SPAN;
    segment->spans[GM_LARGE_SPAN].large_bytes = (bytes + GM_PAGE_BYTES - 1) & ~(GM_PAGE_BYTES - 1);
    segment_link(heap, segment);
    footprint_add(heap, (int64_t)segments_footprint(segment));
    return segment;
}

struct gm_segment *gm_segments_take(
    struct gm_heap *heap, size_t bytes, size_t alignment, uintptr_t *ret_start)
{
    if (bytes > gm_range.bytes || alignment > gm_range.bytes / 2)
        return NULL;
    if (alignment < GM_SLICE_BYTES)
        alignment = GM_SLICE_BYTES;
    /* The header holds cards for all: a 4096th of it, and a state. */
    size_t larger = bytes + alignment + GM_SEGMENT_BYTES;
    size_t header = sizeof(struct gm_segment) + (larger >> GM_CARD_LOG2) + GM_STATE_UNIT_BYTES;
    size_t offset = (header + alignment - 1) & ~(alignment - 1);
    /* A run begins on a multiple of a segment; whoever wants more gets a longer one. */
    size_t slack = alignment > GM_SEGMENT_BYTES ? alignment : 0;
    size_t count = (offset + slack + bytes + GM_SEGMENT_BYTES - 1) >> GM_SEGMENT_LOG2;
    if (!heap_has_budget(heap, bytes) || count > pieces)
        return NULL;
    uintptr_t start = range_take((uint32_t)count);
    if (start == 0)
        return NULL;
    uintptr_t block = (start + header + alignment - 1) & ~(alignment - 1);
    struct gm_segment *segment = segments_fill(
        heap, start, (uint32_t)count, (uint32_t)((block - start) >> GM_SLICE_LOG2), bytes);
    *ret_start = block;
    range_show(start, (uint32_t)count);
    return segment;
}

void gm_segments_give(struct gm_segment *segment)
{
    struct gm_heap *heap = segment->heap;
    uint32_t count = segment->segments;
    segment_unlink(heap, segment);
    footprint_add(heap, -(int64_t)segments_footprint(segment));
    range_give((uintptr_t)segment, count);
}

/* ---- giving memory back ---- */

static void slices_purge(struct gm_segment *segment)
{
    for (uint64_t dirty = segment->slices_dirty; dirty != 0;) {
        uint32_t first = (uint32_t)__builtin_ctzll(dirty);
        uint64_t rest = ~(dirty >> first);
        uint32_t slices = rest == 0 ? 64 - first : (uint32_t)__builtin_ctzll(rest);
        uint64_t mask = gm_slice_mask(first, slices);
        dirty &= ~mask;
        if (gm_os_purge((uintptr_t)segment + ((uintptr_t)first << GM_SLICE_LOG2),
                slices * GM_SLICE_BYTES) != 0)
            continue;
        segment->slices_dirty &= ~mask;
        segment->heap->dirty_bytes -= slices * GM_SLICE_BYTES;
        footprint_add(segment->heap, -(int64_t)(slices * GM_SLICE_BYTES));
    }
    segment->purge_time_ns = UINT64_MAX;
}

static bool segment_is_empty(const struct gm_segment *segment)
{
    return !segment->large && segment->slices_used == gm_slice_mask(0, GM_HEADER_SLICES);
}

static void segment_drop(struct gm_heap *heap, struct gm_segment *segment)
{
    footprint_add(
        heap, -(int64_t)GM_SLICE_BYTES -
                  (int64_t)((size_t)__builtin_popcountll(segment->slices_dirty) << GM_SLICE_LOG2));
    heap->dirty_bytes -= (size_t)__builtin_popcountll(segment->slices_dirty) << GM_SLICE_LOG2;
    segment_unlink(heap, segment);
    range_give((uintptr_t)segment, 1);
}

size_t gm_heap_purge(struct gm_heap *heap, bool all)
{
    size_t before = atomic_load_explicit(&heap->footprint_bytes, memory_order_relaxed);
    uint64_t now = clock_ns();
    heap->purge_time_ns = UINT64_MAX;
    struct gm_segment *next;
    for (struct gm_segment *segment = heap->segments; segment != NULL; segment = next) {
        next = segment->next;
        if (segment->purge_time_ns == UINT64_MAX)
            continue;
        if (!all && segment->purge_time_ns > now) {
            if (segment->purge_time_ns < heap->purge_time_ns)
                heap->purge_time_ns = segment->purge_time_ns;
        } else if (segment_is_empty(segment) &&
                   (segment->next != NULL || segment->previous != NULL)) {
            segment_drop(heap, segment);
        } else {
            slices_purge(segment);
        }
    }
    return before - atomic_load_explicit(&heap->footprint_bytes, memory_order_relaxed);
}

void gm_purge_if_due(struct gm_heap *heap)
{
    if (heap->purge_time_ns != UINT64_MAX && clock_ns() >= heap->purge_time_ns)
        gm_heap_purge(heap, false);
}
