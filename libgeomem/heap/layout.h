/* layout.h - where a heap's memory lies, and what is known of each block without touching it.
 *
 *   the range: reserved once per process, address space only
 *   | segment | segment | segment ... |                                   GM_SEGMENT_BYTES each, aligned to that
 *
 *   a segment of small and medium blocks                                  a segment (or several) of one large block
 *   | header: spans, cards, states | slice | slice | ... |                | header | the block ............... |
 *
 *   a span: 1..n slices, blocks of one size class, one kind               state: one byte for each block
 *   | block | block | block | ... | rest |                                [s][s][s]...
 *
 * The header of a segment holds all there is to know of its blocks; nothing stands inside a block or beside it.
 * So a stray write in a block damages no heap structure, marking dirties no page of the program's data, and a
 * word is shown to be a block's address by: range test, segment, slice, span, one multiplication, one state byte.
 *
 * Rules:
 *  - The state byte is the only truth about a block. It is a byte and not a bit, so that a thread that frees a
 *    block of another's span, and two markers, need one plain store and no read-modify-write.
 *  - A span that has an owner is allocated from by that thread alone; anybody may free into it.
 *  - Only the owner (or, while the world is stopped, the collector) turns GM_STATE_FREE into something else.
 *  - Blocks that became free by a collection are found by sweeping their span: before it is allocated from again,
 *    and at the latest before the next collection begins.
 *
 * Stands below everything in libgeomem/heap and libgeomem/gc.
 */
#ifndef GM_HEAP_LAYOUT_H
#define GM_HEAP_LAYOUT_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GM_SEGMENT_LOG2 22u
#define GM_SEGMENT_BYTES ((size_t)1 << GM_SEGMENT_LOG2)
#define GM_SLICE_LOG2 16u
#define GM_SLICE_BYTES ((size_t)1 << GM_SLICE_LOG2)
#define GM_SEGMENT_SLICES (1u << (GM_SEGMENT_LOG2 - GM_SLICE_LOG2))
/* Writes into old blocks are known by the page. */
#define GM_CARD_LOG2 12u
#define GM_CARD_BYTES ((size_t)1 << GM_CARD_LOG2)
#define GM_SLICE_CARDS (1u << (GM_SLICE_LOG2 - GM_CARD_LOG2))
#define GM_SEGMENT_CARDS (1u << (GM_SEGMENT_LOG2 - GM_CARD_LOG2))
/* All blocks are aligned to it, and at least so large. */
#define GM_GRANULE_BYTES 16u

/* The state byte of a block: its low half. */
enum gm_state {
    GM_STATE_FREE = 0,
    GM_STATE_CACHED = 1,   /* free, but in the cache of a thread */
    GM_STATE_EXPLICIT = 2, /* lives until it is freed; not scanned */
    GM_STATE_ROOT = 3,     /* lives until it is freed; scanned, as a root */
    /* Collected blocks: young by the collections survived, unmarked and marked in the collection under way. */
    GM_STATE_YOUNG = 4,        /* .. 7: age 0..3 */
    GM_STATE_YOUNG_MARKED = 8, /* .. 11: age 0..3 */
    /* Old. Which of the two means "marked" changes with each collection of the old generation. */
    GM_STATE_OLD_A = 12,
    GM_STATE_OLD_B = 13,
    GM_STATE_QUARANTINE =
        14, /* freed by the program, kept until a collection has seen no reference (debug) */
};
#define GM_STATE_MASK 0x0fu
#define GM_YOUNG_AGES 4u
/* Its high half: flags. */
#define GM_STATE_NOTED 0x10u /* has a finalizer, a weak reference or an ephemeron: see gc/notes.h */

static inline bool gm_state_is_young(uint8_t state)
{
    return (state & GM_STATE_MASK) >= GM_STATE_YOUNG && (state & GM_STATE_MASK) < GM_STATE_OLD_A;
}
static inline bool gm_state_is_old(uint8_t state)
{
    return (state & 0x0e) == GM_STATE_OLD_A;
}
static inline bool gm_state_is_collected(uint8_t state)
{
    return gm_state_is_young(state) || gm_state_is_old(state);
}
/* Holds a block that the program may use. */
static inline bool gm_state_is_block(uint8_t state)
{
    return (state & GM_STATE_MASK) >= GM_STATE_EXPLICIT &&
           (state & GM_STATE_MASK) <= GM_STATE_OLD_B;
}

/* What the blocks of a span hold. */
enum gm_kind {
    GM_KIND_SCANNED, /* any word may be a pointer */
    GM_KIND_LEAF,    /* no pointers */
    GM_KIND_TYPED,   /* the block's last word is a const struct geomem_layout * */
};
#define GM_KIND_COUNT 3u

enum gm_span_flag {
    GM_SPAN_IN_USE = 1u << 0,
    GM_SPAN_NEEDS_SWEEP = 1u << 1, /* the last collection may have left dead blocks here */
    GM_SPAN_HAS_YOUNG = 1u << 2,   /* may hold young blocks */
    GM_SPAN_HAS_OLD = 1u << 3,     /* may hold old blocks */
    GM_SPAN_ZEROED = 1u << 4,      /* free blocks from `fresh` on have never been written to */
    GM_SPAN_BARRIERED = 1u << 5,   /* the program reports its writes: pages are not watched */
    GM_SPAN_LARGE = 1u << 6,       /* one block */
    GM_SPAN_EXPLICIT = 1u << 7,    /* holds GM_STATE_EXPLICIT and GM_STATE_ROOT only: never swept */
    GM_SPAN_WATCHED = 1u << 8,     /* the collector is told of writes to its pages */
};

struct gm_heap;
struct gm_heap_thread;

/* The first line is what anybody reads who has an address; it changes only when the span does. */
struct gm_span {
    uintptr_t start;      /* of block 0 */
    uint8_t *state;       /* `capacity` bytes, and some more that stay 0 */
    uint32_t block_bytes; /* of a large block: 0, see large_bytes */
    uint32_t reciprocal;  /* gm_span_reciprocal(block_bytes); 0: not in use, or one large block */
    uint16_t cache;       /* for free's fast path: offset into gm_heap_thread of the default heap */
    uint8_t kind;         /* enum gm_kind */
    uint8_t sort;         /* enum gm_sort, see heap.h */
    _Atomic uint16_t flags; /* enum gm_span_flag */
    uint16_t size_class;    /* heap/size_class.h; of large blocks GM_SIZE_CLASS_LARGE */
    uint32_t capacity;      /* blocks */
    uint32_t slices;
    size_t large_bytes; /* usable, of a large block */
    struct gm_heap *heap;

    /* The second line changes as blocks come and go. */
    _Alignas(64) _Atomic(struct gm_heap_thread *) owner; /* NULL: none */
    _Atomic uint32_t live; /* blocks that are not GM_STATE_FREE, or more: see span.h */
    uint32_t fresh;        /* blocks from here on have never been handed out */
    uint32_t cursor;       /* where the owner looks for free blocks next */
    uint32_t on_list;      /* of spans with room: 1 */
    struct gm_span *next;  /* in the list of the heap that it is on */
    struct gm_span *previous;
    void *collector_next; /* the collector's, for lists of its own */
    uint64_t reserved[2];
};
static_assert(sizeof(struct gm_span) == 128, "two cache lines");
static_assert(offsetof(struct gm_span, owner) == 64, "what changes stands in the second");

/* Of a card. */
enum gm_card_flag {
    GM_CARD_DIRTY = 1u << 0, /* written to since the last collection, as the barrier says */
    GM_CARD_NOTED = 1u << 1, /* marking in steps is to look at it: see gc/cards.h */
};

#define GM_STATE_UNIT_BYTES 256u
#define GM_STATE_UNIT_WORDS 16u

struct gm_segment {
    struct gm_heap *heap;
    uint32_t segments;    /* 1; of a large block: as many as it takes */
    uint32_t first_slice; /* slices below hold this header */
    uint32_t large;       /* it is one large block: spans[GM_LARGE_SPAN] */
    struct gm_segment *next;
    struct gm_segment *previous;
    uint64_t slices_used;  /* bit map; the header counts as used */
    uint64_t slices_dirty; /* bit map: have memory behind them though unused */
    uint64_t purge_time_ns;
    /* Bit map, by first slice (of a large block: GM_LARGE_SPAN): spans that collected blocks were allocated from since
     * they were last swept. The heap sets a bit, together with GM_SPAN_HAS_YOUNG, when it gives the span to a thread (of
     * a large block: when it is allocated) or a block in it is freed by the program, and clears both when the span is
     * given back; the collector clears both when it has swept the span and not gm_span_may_get_young. Heap's lock. */
    uint64_t spans_young;
    /* Bit map of the 256-byte units of the state area that spans have. Packed, not one place for each slice: a
     * page of states for each slice would cost a 16th of the heap, and the first states of all spans would meet in
     * the same few cache sets. */
    uint64_t state_units[GM_STATE_UNIT_WORDS];
    /* Index into `spans`: the first slice of the span that covers it. One cache line: the marker's way to a block
     * touches it, then the first line of the span. */
    _Alignas(64) uint8_t span_of_slice[GM_SEGMENT_SLICES];
    _Alignas(64) struct gm_span spans[GM_SEGMENT_SLICES];
    /* enum gm_card_flag; of a large block of several segments as many as it has cards, counted from the segment's
     * beginning. Behind them the states. */
    _Alignas(64) _Atomic uint8_t cards[GM_SEGMENT_CARDS];
};
/* Of a segment that is one large block: the index of its span. */
#define GM_LARGE_SPAN (GM_SEGMENT_SLICES - 1)
/* Index of the span that stands for slices not in use, and for the header: has no blocks. */
#define GM_NO_SPAN 0u
/* The header of a segment of small and medium blocks. */
#define GM_HEADER_SLICES 4u
#define GM_HEADER_STATES ((size_t)GM_HEADER_SLICES * GM_SLICE_BYTES - sizeof(struct gm_segment))
static_assert(GM_HEADER_STATES >= (size_t)(GM_SEGMENT_SLICES - GM_HEADER_SLICES) * GM_SLICE_BYTES /
                                      GM_GRANULE_BYTES,
    "a state for every granule");

/* The reserved range. Constant once the first heap exists. */
struct gm_range {
    uintptr_t start;
    size_t bytes;
    /* For each segment-sized piece of the range: 1 + the distance in pieces to the segment it belongs to; 0: none. */
    _Atomic uint32_t *map;
};
extern struct gm_range gm_range;

/* For free's fast path: address >> GM_SEGMENT_LOG2 of each segment that is one piece of the range, at that number modulo
 * the size of the table. One comparison shows that an address is inside such a segment. */
#define GM_SINGLE_SEGMENTS (1u << 16)
extern uintptr_t gm_single_segments[GM_SINGLE_SEGMENTS];

/* A relaxed load that the compiler may fold into a comparison: gcc 12 does not with atomic ones. */
#if defined(__SANITIZE_THREAD__)
#define GM_PEEK(place) __atomic_load_n((place), __ATOMIC_RELAXED)
#else
#define GM_PEEK(place) (*(place))
#endif
/* Of a counter that this thread alone changes, and others read: one instruction. */
#if defined(__SANITIZE_THREAD__)
#define GM_COUNT_OWN(place) __atomic_store_n((place), *(place) + 1, __ATOMIC_RELAXED)
#else
#define GM_COUNT_OWN(place) (++*(place))
#endif

/* index = offset * reciprocal >> 32 is exact for offset < GM_SEGMENT_BYTES and block_bytes >= 16 a multiple of
 * 16 (proven by unit test over all size classes): Granlund and Montgomery, PLDI 1994. */
static inline uint32_t gm_span_reciprocal(uint32_t block_bytes)
{
    return (uint32_t)((((uint64_t)1 << 32) + block_bytes - 1) / block_bytes);
}
static inline uint32_t gm_span_index(const struct gm_span *span, uintptr_t address)
{
    return (uint32_t)(((uint64_t)(address - span->start) * span->reciprocal) >> 32);
}

/* The segment that holds an address inside the range, or NULL. */
static inline struct gm_segment *gm_segment_at(uintptr_t address)
{
    uintptr_t offset = address - gm_range.start;
    if (offset >= gm_range.bytes)
        return NULL;
    uint32_t back =
        atomic_load_explicit(&gm_range.map[offset >> GM_SEGMENT_LOG2], memory_order_relaxed);
    if (back == 0)
        return NULL;
    return (struct gm_segment *)((address & ~(GM_SEGMENT_BYTES - 1)) -
                                 ((uintptr_t)(back - 1) << GM_SEGMENT_LOG2));
}

/* The span that covers an address of the segment, in use or not; NULL: the segment's header. */
static inline struct gm_span *gm_span_at(struct gm_segment *segment, uintptr_t address)
{
    uintptr_t slice = (address - (uintptr_t)segment) >> GM_SLICE_LOG2;
    if (slice < segment->first_slice)
        return NULL;
    if (segment->segments > 1)
        return &segment->spans[GM_LARGE_SPAN];
    return &segment->spans[segment->span_of_slice[slice]];
}

#endif
