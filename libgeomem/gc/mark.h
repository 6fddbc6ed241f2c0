/* mark.h - finding the blocks that are reachable, and marking them.
 *
 *   roots, dirty cards ──words──► stack ──► FIFO (prefetching) ──► state byte: marked? ──► words of the block ─┐
 *                                   ▲                                                                         │
 *                                   └─────────────────────────────────────────────────────────────────────────┘
 *
 * The stack holds words as they were found; whether a word is a block's address is looked up when it leaves the
 * stack. Then its state byte and its first line are asked for, and it waits in a short FIFO while they come: so a
 * cache miss on a block costs a share of the memory's parallelism and not its latency (Cher, Hosking and Vitek,
 * ASPLOS 2004).
 *
 * What is marked, and as what, is one table from state to state: a young collection, a full one and one that marks
 * the old generation in steps differ in that table only.
 *
 * Rules:
 *  - A marker allocates nothing. Its stacks are address space reserved when it is made.
 *  - Marking stores a state byte and no other byte of the heap.
 *
 * Stands below cycle.h; knows heap/layout.h.
 */
#ifndef GM_GC_MARK_H
#define GM_GC_MARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libgeomem/heap/span.h"

struct geomem_layout;

enum {
    /* Measured, docs/design/gc.md: 8 is too few, more than 32 gives nothing. */
    GM_MARK_FIFO = 32,
    /* A larger block is scanned in pieces of this size, so that the stack stays small. */
    GM_MARK_PIECE_WORDS = 256,
    /* A stack of half the level-2 cache: arbitrary. */
    GM_MARK_RELIEF_WORDS = 16384,
};

/* In the table of states: nothing to be done. */
#define GM_MARK_IGNORE 0xffu
/* In the table of states: it is marked for the marker `later`, which is to scan it. */
#define GM_MARK_LATER 0xfeu

struct gm_mark_entry {
    uintptr_t block;
    const struct gm_span *span;
    uint8_t *state;
};

struct gm_mark_piece {
    const uintptr_t *from;
    const uintptr_t *to;
    const struct geomem_layout *layout; /* NULL: any word may be a pointer */
    uintptr_t start;                    /* of the block; of use with a layout */
};

/* A stack in reserved address space; memory comes as it is touched. What lies lowest may be given away: so its bottom moves,
 * until nothing is left. */
struct gm_mark_stack {
    uintptr_t *memory;
    uintptr_t *bottom;
    uintptr_t *top;
    uintptr_t *limit;
    uintptr_t *peak;
};

/* Returns 0 or a negative errno (-ENOMEM: no address space). */
int gm_mark_stack_init(struct gm_mark_stack *stack);
void gm_mark_stack_done(struct gm_mark_stack *stack);
/* To be called when `top` is beyond `peak`: rarely. */
void gm_mark_stack_grew(struct gm_mark_stack *stack);
/* Pushes `words` words; there may be many. */
void gm_mark_stack_append(struct gm_mark_stack *stack, const void *from, size_t words);

struct gm_mark_figures {
    uint64_t blocks; /* marked */
    uint64_t bytes;
};

/* A bit for each slice of the range: blocks to be marked may lie there. A word that points elsewhere is dropped where it is
 * found, without touching anything of what it points to; 1 GB of heap is 2 KB of map. */
struct gm_mark_map {
    uint64_t *bits;
    size_t first, end; /* words of it that may not be 0 */
};

struct gm_marker {
    uint8_t become[16]; /* state → state, or GM_MARK_IGNORE, or GM_MARK_LATER */
    struct gm_mark_map map; /* for words of blocks */
    struct gm_mark_map wider;
    const struct gm_mark_map *root_map; /* for roots: `map`, or `wider` */
    unsigned fifo_in;
    unsigned fifo_out;
    struct gm_mark_entry fifo[GM_MARK_FIFO];
    struct gm_mark_stack words;
    struct gm_mark_stack pieces; /* struct gm_mark_piece */
    struct gm_marker *later;
    bool shared;               /* others mark the same blocks: see markers.h */
    struct gm_mark_stack *log; /* NULL, or: gets all blocks that root words point into (verify.h) */
    struct gm_mark_figures figures;
};

/* Returns 0 or a negative errno (-ENOMEM: no address space). */
int gm_marker_init(struct gm_marker *marker);
void gm_marker_done(struct gm_marker *marker);

/* The tables. `live`: GM_STATE_OLD_A or _B, the colour that marked old blocks get; young ones get marks of their own.
 *   gm_mark_young: young blocks. Old ones that are not of the colour `live` go to `later`, unless that is NULL.
 *   gm_mark_old:   old blocks that are not of the colour `live`. For a marker that another has as `later`.
 *   gm_mark_full:  both. */
void gm_mark_young(struct gm_marker *marker, uint8_t live, struct gm_marker *later);
void gm_mark_old(struct gm_marker *marker, uint8_t live);
void gm_mark_full(struct gm_marker *marker, uint8_t live);

/* Where blocks to be marked may lie: nowhere; also in this span; and, where roots point to, also where another marker looks. */
void gm_mark_nowhere(struct gm_marker *marker);
void gm_mark_in_span(struct gm_marker *marker, const struct gm_span *span);
void gm_mark_roots_in_map(struct gm_marker *marker, const struct gm_mark_map *map);

/* The blocks that the words from `start` on point into, anywhere in them, are put on the stack. */
void gm_mark_roots(struct gm_marker *marker, const void *start, size_t bytes);
/* The words of blocks of GM_KIND_SCANNED that need no mark. */
void gm_mark_words(struct gm_marker *marker, uintptr_t from, uintptr_t to);
/* Of those only the ones that point to young blocks. */
void gm_mark_words_young(struct gm_marker *marker, uintptr_t from, uintptr_t to);
/* The words of a part of a block that needs no mark: as the block's kind says. */
void gm_mark_part(struct gm_marker *marker, const struct gm_span *span, uintptr_t block,
    uintptr_t from, uintptr_t to);

/* Marks until nothing is left (true), or about `words` words have been looked at (false): then nothing but the stacks
 * holds what is left to do, and the program may go on. Parts of large blocks that it frees meanwhile are passed over. */
bool gm_mark_run(struct gm_marker *marker, uint64_t words);
/* The same in parts: what waits in the FIFO stays there until it is given back, to the stack of words. */
bool gm_mark_some(struct gm_marker *marker, uint64_t words);
void gm_mark_give_back(struct gm_marker *marker);

/* To be called now and then while roots are pushed, lest the stack grows: marks if it has. */
static inline void gm_mark_relieve(struct gm_marker *marker)
{
    if (marker->words.top - marker->words.bottom > GM_MARK_RELIEF_WORDS)
        gm_mark_run(marker, UINT64_MAX);
}

/* Gives memory behind the stacks back to the system, beyond a little. Nothing is on them. */
void gm_marker_trim(struct gm_marker *marker);

/* The span of the block that a word points into (in use, the index below its capacity; the block may be free); NULL: none.
 * Without `interior` the word must be the block's beginning. */
struct gm_span *gm_word_find(uintptr_t word, bool interior, uint32_t *ret_index);

/* A word in a block must be the beginning of one of its blocks, to keep it. */
static inline bool gm_span_is_exact(const struct gm_span *span)
{
    return span->heap->options.exact_pointers != 0;
}

static inline uintptr_t gm_block_start(const struct gm_span *span, uint32_t index)
{
    return span->start + (uintptr_t)index * span->block_bytes;
}
static inline size_t gm_block_bytes(const struct gm_span *span)
{
    return gm_span_block_bytes(span);
}

#endif
