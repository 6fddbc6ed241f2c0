/* mark.c - see mark.h. */
#include "libgeomem/gc/mark.h"

#include <string.h>

#include "geomem/geomem.h"
#include "libgeomem/gc/notes.h"
#include "libgeomem/gc/unsanitized.h"

/* So many words side by side cost what one block does that they may point to. Arbitrary. */
#define PIECE_SHARE 16

/* ---- tables ---- */

static void table_clear(struct gm_marker *marker)
{
    memset(marker->become, GM_MARK_IGNORE, sizeof marker->become);
    marker->later = NULL;
}

static void table_add_young(struct gm_marker *marker)
{
    for (unsigned age = 0; age < GM_YOUNG_AGES; age++)
        marker->become[GM_STATE_YOUNG + age] = (uint8_t)(GM_STATE_YOUNG_MARKED + age);
}

static uint8_t other_colour(uint8_t live)
{
    return live ^ GM_STATE_OLD_A ^ GM_STATE_OLD_B;
}

void gm_mark_young(struct gm_marker *marker, uint8_t live, struct gm_marker *later)
{
    table_clear(marker);
    table_add_young(marker);
    if (later) {
        marker->become[other_colour(live)] = GM_MARK_LATER;
        marker->later = later;
    }
}

void gm_mark_old(struct gm_marker *marker, uint8_t live)
{
    table_clear(marker);
    marker->become[other_colour(live)] = live;
}

void gm_mark_full(struct gm_marker *marker, uint8_t live)
{
    table_clear(marker);
    table_add_young(marker);
    marker->become[other_colour(live)] = live;
}

/* ---- where to look ---- */

/* 1 or 0: may the word point to a block to be marked? Slice 0 is a segment's header, and has no blocks. */
static inline size_t map_holds(const struct gm_mark_map *map, uintptr_t word)
{
    uintptr_t offset = word - gm_range.start;
    uintptr_t slice = (offset < gm_range.bytes ? offset : 0) >> GM_SLICE_LOG2;
    return map->bits[slice / 64] >> slice % 64 & 1;
}

/* ---- from words to blocks ---- */

/* `span` covers the word, which is turned into the address of its block. False: it is not a block's. */
static inline bool word_to_block(const struct gm_span *span, uintptr_t *word, uint32_t *ret_index)
{
    /* Of a large block the reciprocal is 0, and so the index. */
    uint32_t index = gm_span_index(span, *word);
    if (index >= span->capacity || *word < span->start)
        return false;
    uintptr_t block = gm_block_start(span, index);
    if (*word - block >= gm_block_bytes(span))
        return false;
    *word = block;
    *ret_index = index;
    return true;
}

struct gm_span *gm_word_find(uintptr_t word, bool interior, uint32_t *ret_index)
{
    struct gm_segment *segment = gm_segment_at(word);
    struct gm_span *span = segment ? gm_span_at(segment, word) : NULL;
    if (!span || !(gm_span_flags(span) & GM_SPAN_IN_USE) || !span->state)
        return NULL;
    uintptr_t block = word;
    uint32_t index;
    if (!word_to_block(span, &block, &index) || (!interior && block != word))
        return NULL;
    *ret_index = index;
    return span;
}

/* ---- words of blocks ---- */

/* Pushes those words that may point to blocks to be marked. Without a branch: whether they do is hard to predict. */
GM_UNSANITIZED static void words_push(
    struct gm_marker *marker, const uintptr_t *from, const uintptr_t *to)
{
    const struct gm_mark_map map = marker->map;
    uintptr_t *top = marker->words.top;
    for (; from < to; from++) {
        uintptr_t word = __atomic_load_n(from, __ATOMIC_RELAXED);
        *top = word;
        top += map_holds(&map, word);
    }
    marker->words.top = top;
}

GM_UNSANITIZED static void words_push_typed(
    struct gm_marker *marker, const struct gm_mark_piece *piece)
{
    const struct geomem_layout *layout = piece->layout;
    size_t words = layout->element_bytes / sizeof(uintptr_t);
    size_t word = (size_t)(piece->from - (const uintptr_t *)piece->start) % words;
    uintptr_t *top = marker->words.top;
    for (const uintptr_t *from = piece->from; from < piece->to; from++) {
        if (layout->pointers[word / 64] >> (word % 64) & 1) {
            *top = __atomic_load_n(from, __ATOMIC_RELAXED);
            top += map_holds(&marker->map, *top);
        }
        word = word + 1 < words ? word + 1 : 0;
    }
    marker->words.top = top;
}

void gm_mark_words(struct gm_marker *marker, uintptr_t from, uintptr_t to)
{
    words_push(marker, (const uintptr_t *)from, (const uintptr_t *)to);
}

/* For words of a block that may itself be dead, while old blocks are marked in steps: nearly all of them point to old blocks. */
GM_UNSANITIZED void gm_mark_words_young(struct gm_marker *marker, uintptr_t from, uintptr_t to)
{
    for (; from + sizeof(uintptr_t) <= to; from += sizeof(uintptr_t)) {
        uintptr_t word = __atomic_load_n((const uintptr_t *)from, __ATOMIC_RELAXED);
        uint32_t index;
        if (!map_holds(&marker->map, word))
            continue;
        const struct gm_span *span = gm_word_find(word, true, &index);
        if (span && gm_block_start(span, index) != word && gm_span_is_exact(span))
            continue;
        /* relaxed: the world is stopped */
        if (span && gm_state_is_young(__atomic_load_n(&span->state[index], __ATOMIC_RELAXED)))
            *marker->words.top++ = word;
        gm_mark_relieve(marker);
    }
}

static void piece_push(struct gm_marker *marker, const struct gm_mark_piece *piece)
{
    struct gm_mark_stack *stack = &marker->pieces;
    struct gm_mark_piece *top = (struct gm_mark_piece *)stack->top;
    *top = *piece;
    stack->top = (uintptr_t *)(top + 1);
    if (stack->top > stack->peak)
        gm_mark_stack_grew(stack);
}

GM_UNSANITIZED static const struct geomem_layout *layout_of(
    const struct gm_span *span, uintptr_t block)
{
    size_t bytes = gm_block_bytes(span) & ~(sizeof(uintptr_t) - 1);
    uintptr_t last = block + bytes - sizeof(uintptr_t);
    return (const struct geomem_layout *)__atomic_load_n((uintptr_t *)last, __ATOMIC_RELAXED);
}

/* Is what is left of the piece inside one living block still, and of the layout that it was found with? Of a block freed
 * meanwhile the layout may be gone: the new one at its address, if it has one, brings its own. */
static bool piece_is_whole(const struct gm_mark_piece *piece)
{
    uint32_t index;
    const struct gm_span *span = gm_word_find(piece->start, false, &index);
    if (!span || !gm_state_is_block(__atomic_load_n(&span->state[index], __ATOMIC_RELAXED)) ||
        (uintptr_t)piece->to > piece->start + gm_block_bytes(span))
        return false;
    return !piece->layout ||
           (span->kind == GM_KIND_TYPED && layout_of(span, piece->start) == piece->layout);
}

/* Takes a piece's beginning off the stack of pieces, and pushes its words. Returns how many it has looked at. The program
 * may have run since the piece was pushed, and have freed its block: asked of each piece when its turn comes, not of all at
 * the beginning of a step, since there may be as many as old blocks. */
static size_t piece_scan_some(struct gm_marker *marker)
{
    struct gm_mark_stack *stack = &marker->pieces;
    struct gm_mark_piece *top = (struct gm_mark_piece *)stack->top - 1;
    struct gm_mark_piece some = *top;
    if (!piece_is_whole(&some)) {
        stack->top = (uintptr_t *)top;
        return 0;
    }
    if (some.to - some.from > GM_MARK_PIECE_WORDS) {
        some.to = some.from + GM_MARK_PIECE_WORDS;
        top->from = some.to;
    } else {
        stack->top = (uintptr_t *)top;
    }
    if (some.layout)
        words_push_typed(marker, &some);
    else
        words_push(marker, some.from, some.to);
    return (size_t)(some.to - some.from);
}

static void word_push(struct gm_marker *marker, uintptr_t word)
{
    *marker->words.top++ = word;
}

static void traced_keep(void *pointer, void *arg)
{
    struct gm_marker *marker = arg;
    word_push(marker, (uintptr_t)pointer);
    if (marker->words.top > marker->words.peak)
        gm_mark_stack_grew(&marker->words);
}

void gm_mark_part(struct gm_marker *marker, const struct gm_span *span, uintptr_t block,
    uintptr_t from, uintptr_t to)
{
    uintptr_t end = block + (gm_block_bytes(span) & ~(sizeof(uintptr_t) - 1));
    if (to > end)
        to = end;
    if (span->kind == GM_KIND_LEAF || from >= to)
        return;
    struct gm_mark_piece piece = {(const uintptr_t *)from, (const uintptr_t *)to, NULL, block};
    if (span->kind == GM_KIND_TYPED) {
        piece.layout = layout_of(span, block);
        if (!piece.layout) /* handed out, and not yet filled in */
            return;
        if (piece.layout->trace) {
            size_t bytes = end - block - sizeof(uintptr_t);
            piece.layout->trace(piece.layout, (void *)block, bytes, traced_keep, marker);
            return;
        }
        if (to == end)
            piece.to--;
    }
    piece_push(marker, &piece);
}

static inline void block_scan(struct gm_marker *marker, const struct gm_span *span, uintptr_t block)
{
    uint32_t bytes = span->block_bytes;
    if (__builtin_expect(span->kind == GM_KIND_SCANNED, 1) &&
        __builtin_expect(bytes - 1 < GM_MARK_PIECE_WORDS * sizeof(uintptr_t), 1))
        words_push(marker, (const uintptr_t *)block, (const uintptr_t *)(block + bytes));
    else
        gm_mark_part(marker, span, block, block, UINTPTR_MAX);
}

/* ---- the loop ---- */

GM_UNSANITIZED void gm_mark_roots(struct gm_marker *marker, const void *start, size_t bytes)
{
    const uintptr_t *word = (const uintptr_t *)start;
    const uintptr_t *end = word + bytes / sizeof(uintptr_t);
    for (; word < end; word++) {
        uintptr_t value = __atomic_load_n(word, __ATOMIC_RELAXED);
        uint32_t index;
        if (value - gm_range.start >= gm_range.bytes)
            continue;
        const struct gm_span *span = gm_word_find(value, true, &index);
        if (!span)
            continue;
        uintptr_t block = gm_block_start(span, index);
        if (marker->log)
            *marker->log->top++ = block;
        if (map_holds(marker->root_map, block))
            word_push(marker, block);
        gm_mark_relieve(marker);
    }
}

/* A word that lies in the range goes into the FIFO, if it is a block's that may have to be marked. */
static inline void fifo_put(struct gm_marker *marker, uintptr_t word)
{
    struct gm_segment *segment = gm_segment_at(word);
    const struct gm_span *span = segment ? gm_span_at(segment, word) : NULL;
    if (!span) /* pushed as it was found by a layout of the program's */
        return;
    uintptr_t block = word;
    uint32_t index;
    if (!word_to_block(span, &block, &index) || (block != word && gm_span_is_exact(span)))
        return;
    uint8_t *state = span->state + index;
    __builtin_prefetch(state, 1);
    __builtin_prefetch((const void *)block);
    marker->fifo[marker->fifo_in++ % GM_MARK_FIFO] = (struct gm_mark_entry){block, span, state};
}

/* True if it is this marker that has marked it. Relaxed: where several mark they must agree on who scans the block, and that is
 * all; what is in the block was written before the world was stopped, which all of them know of. */
static inline bool state_mark(
    const struct gm_marker *marker, uint8_t *state, uint8_t before, uint8_t become)
{
    uint8_t after = (uint8_t)((before & ~GM_STATE_MASK) | become);
    if (__builtin_expect(marker->shared, 0))
        return __atomic_compare_exchange_n(
            state, &before, after, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    __atomic_store_n(state, after, __ATOMIC_RELAXED);
    return true;
}

/* For the other marker the block is marked at once, and scanned later: so it is passed on once, however often it is met, and
 * the other's stack is bounded by the blocks there are. It has waited in that stack between two stops like the rest of
 * a large block: what the program stores into it meanwhile is on a written page of a marked block. */
static void entry_mark_later(
    struct gm_marker *later, const struct gm_mark_entry *entry, uint8_t state)
{
    uint8_t become = later->become[state & GM_STATE_MASK];
    if (!state_mark(later, entry->state, state, become))
        return;
    later->figures.blocks++;
    later->figures.bytes += gm_block_bytes(entry->span);
    gm_mark_part(later, entry->span, entry->block, entry->block, UINTPTR_MAX);
}

/* Marks the block that has waited longest, and pushes its words. */
static inline void fifo_get(struct gm_marker *marker)
{
    struct gm_mark_entry entry = marker->fifo[marker->fifo_out++ % GM_MARK_FIFO];
    /* relaxed: see state_mark */
    uint8_t state = __atomic_load_n(entry.state, __ATOMIC_RELAXED);
    uint8_t become = marker->become[state & GM_STATE_MASK];
    if (become == GM_MARK_IGNORE)
        return;
    if (__builtin_expect(become == GM_MARK_LATER, 0)) {
        entry_mark_later(marker->later, &entry, state);
        return;
    }
    if (!state_mark(marker, entry.state, state, become))
        return;
    if (__builtin_expect(state & GM_STATE_NOTED, 0))
        gm_notes_reached(entry.block);
    marker->figures.blocks++;
    marker->figures.bytes += gm_block_bytes(entry.span);
    if (entry.span->kind != GM_KIND_LEAF)
        block_scan(marker, entry.span, entry.block);
}

void gm_mark_give_back(struct gm_marker *marker)
{
    while (marker->fifo_out != marker->fifo_in)
        word_push(marker, marker->fifo[marker->fifo_out++ % GM_MARK_FIFO].block);
}

/* Nothing is left on it: its bottom may have moved. */
static void stack_reset(struct gm_mark_stack *stack)
{
    stack->bottom = stack->top = stack->memory;
}

bool gm_mark_some(struct gm_marker *marker, uint64_t words)
{
    struct gm_mark_stack *stack = &marker->words;
    for (uint64_t looked_at = 0; looked_at < words;) {
        for (; stack->top > stack->bottom && marker->fifo_in - marker->fifo_out < GM_MARK_FIFO;
             looked_at++)
            fifo_put(marker, *--stack->top);
        if (marker->fifo_in != marker->fifo_out) {
            fifo_get(marker);
        } else if (marker->pieces.top > marker->pieces.bottom) {
            looked_at += 1 + piece_scan_some(marker) / PIECE_SHARE;
        } else if (stack->top == stack->bottom) {
            stack_reset(&marker->words);
            stack_reset(&marker->pieces);
            return true;
        }
        if (stack->top > stack->peak)
            gm_mark_stack_grew(stack);
    }
    return false;
}

bool gm_mark_run(struct gm_marker *marker, uint64_t words)
{
    bool all = gm_mark_some(marker, words);
    /* Spans may change before it is looked at again. */
    gm_mark_give_back(marker);
    return all;
}
