/* cards.c - see cards.h. */
#include "libgeomem/gc/cards.h"

#include "libgeomem/gc/dirty.h"
#include "libgeomem/heap/heap.h"

/* ---- blocks ---- */

static bool state_is_scanned(const struct gm_cards *cards, uint8_t state)
{
    if ((state & GM_STATE_MASK) == GM_STATE_ROOT)
        return true;
    return gm_state_is_old(state) && (cards->old_all || (state & GM_STATE_MASK) == cards->live);
}

/* An old block that may be dead: the collection that is to find out is under way. If it lives it is scanned when it is
 * marked. Until then what it points to lives only if it is young, and nobody else can tell; were it a root of old blocks
 * too, each dead block on a page that was written to would keep all that it ever led to. */
static bool state_is_doubtful(const struct gm_cards *cards, uint8_t state)
{
    return gm_state_is_old(state) && (state & GM_STATE_MASK) != cards->live;
}

static bool state_is_young_only(const struct gm_cards *cards, uint8_t state)
{
    return cards->notes || state_is_doubtful(cards, state);
}

/* Blocks side by side whose words count go to the marker as one. */
static void run_push(struct gm_cards *cards, bool young, uintptr_t from, uintptr_t to)
{
    if (young)
        gm_mark_words_young(cards->marker, from, to);
    else
        gm_mark_words(cards->marker, from, to);
}

static void blocks_scan(struct gm_cards *cards, const struct gm_span *span, uint32_t index,
    uint32_t end_index, uintptr_t from, uintptr_t to)
{
    uintptr_t start = 0, end = 0; /* of the run of blocks */
    bool young = false;
    uintptr_t block = gm_block_start(span, index);
    for (; index < end_index; index++, block += span->block_bytes) {
        /* relaxed: the world is stopped */
        uint8_t state = __atomic_load_n(&span->state[index], __ATOMIC_RELAXED);
        if (!state_is_scanned(cards, state))
            continue;
        uintptr_t block_end = block + span->block_bytes;
        bool only_young = state_is_young_only(cards, state);
        if (block != end || only_young != young) {
            run_push(cards, young, start > from ? start : from, end);
            start = block;
            young = only_young;
        }
        end = block_end;
    }
    run_push(cards, young, start > from ? start : from, end < to ? end : to);
    gm_mark_relieve(cards->marker);
}

/* Typed blocks, and large ones. */
static void blocks_scan_parts(struct gm_cards *cards, const struct gm_span *span, uint32_t index,
    uint32_t end_index, uintptr_t from, uintptr_t to)
{
    for (; index < end_index; index++) {
        uintptr_t block = gm_block_start(span, index), end = block + gm_block_bytes(span);
        uint8_t state = __atomic_load_n(&span->state[index], __ATOMIC_RELAXED);
        uintptr_t first = block > from ? block : from, last = end < to ? end : to;
        if (!state_is_scanned(cards, state))
            continue;
        /* Only its layout knows where the pointers of a typed block are. */
        if (state_is_young_only(cards, state) && span->kind == GM_KIND_SCANNED)
            gm_mark_words_young(cards->marker, first, last);
        else
            gm_mark_part(cards->marker, span, block, first, last);
    }
}

void gm_cards_note(const struct gm_span *span, uintptr_t start, uintptr_t end)
{
    struct gm_segment *segment = gm_span_segment(span);
    size_t card = (start - (uintptr_t)segment) >> GM_CARD_LOG2;
    size_t end_card = ((end - 1 - (uintptr_t)segment) >> GM_CARD_LOG2) + 1;
    for (; card < end_card; card++) { /* relaxed: the world is stopped */
        uint8_t flags = atomic_load_explicit(&segment->cards[card], memory_order_relaxed);
        atomic_store_explicit(&segment->cards[card], flags | GM_CARD_NOTED, memory_order_relaxed);
    }
}

static uintptr_t span_end(const struct gm_span *span)
{
    if (gm_span_flags(span) & GM_SPAN_LARGE)
        return span->start + span->large_bytes;
    return span->start + (uintptr_t)span->capacity * span->block_bytes;
}

/* What of the span's old blocks lies in [from, to). */
static void span_scan_range(
    struct gm_cards *cards, const struct gm_span *span, uintptr_t from, uintptr_t to)
{
    uint32_t end_index = span->capacity;
    uintptr_t end = span_end(span);
    if (from < span->start)
        from = span->start;
    if (to > end)
        to = end;
    if (from >= to)
        return;
    if (cards->notes)
        gm_cards_note(span, from, to);
    uint32_t index = gm_span_index(span, from);
    if (span->block_bytes && to - span->start < (uintptr_t)span->slices * GM_SLICE_BYTES)
        end_index = gm_span_index(span, to - 1) + 1;
    if (end_index > span->capacity)
        end_index = span->capacity;
    if (span->kind == GM_KIND_SCANNED && span->block_bytes)
        blocks_scan(cards, span, index, end_index, from, to);
    else
        blocks_scan_parts(cards, span, index, end_index, from, to);
}

static bool span_is_scanned(const struct gm_span *span)
{
    unsigned flags = gm_span_flags(span);
    return flags & GM_SPAN_IN_USE && flags & (GM_SPAN_HAS_OLD | GM_SPAN_EXPLICIT) &&
           span->kind != GM_KIND_LEAF;
}

void gm_cards_scan_span(struct gm_cards *cards, const struct gm_span *span)
{
    if (span_is_scanned(span))
        span_scan_range(cards, span, span->start, UINTPTR_MAX);
}

/* ---- pages ---- */

/* A run of pages written to: it may reach over several spans. */
static void run_scan(uintptr_t start, size_t bytes, void *arg)
{
    struct gm_cards *cards = arg;
    uintptr_t end = start + bytes;
    cards->dirty_bytes += bytes;
    while (start < end) {
        struct gm_segment *segment = gm_segment_at(start);
        const struct gm_span *span = segment ? gm_span_at(segment, start) : NULL;
        uintptr_t next = (start | (GM_SLICE_BYTES - 1)) + 1;
        if (span && segment->segments > 1)
            next = (uintptr_t)segment + segment->segments * GM_SEGMENT_BYTES; /* one block */
        if (next > end)
            next = end;
        if (span && span_is_scanned(span))
            span_scan_range(cards, span, start, next);
        start = next;
    }
}

/* What is scanned next but one comes into the cache meanwhile: pages written to lie anywhere, and no processor guesses where. */
enum { AHEAD_RUNS = 2, LINE_BYTES = 64 };
/* So many words are enough for a marker that has time for some: arbitrary. */
enum { NOTED_WORDS = 4096 };

struct ahead {
    struct gm_cards *cards;
    unsigned count; /* of runs until now */
    bool stops;     /* the marker has enough to do */
    struct {
        uintptr_t start;
        size_t bytes;
    } run[AHEAD_RUNS];
};

static void run_prefetch(uintptr_t start)
{
    struct gm_segment *segment = gm_segment_at(start);
    const struct gm_span *span = segment ? gm_span_at(segment, start) : NULL;
    if (!span || !span_is_scanned(span))
        return;
    uint32_t index = start > span->start ? gm_span_index(span, start) : 0;
    __builtin_prefetch(&span->state[index]);
    for (uintptr_t line = start; line < start + GM_CARD_BYTES; line += LINE_BYTES)
        __builtin_prefetch((const void *)line);
}

static void ahead_scan_next(struct ahead *ahead)
{
    unsigned oldest = ahead->count % AHEAD_RUNS;
    if (ahead->run[oldest].bytes)
        run_scan(ahead->run[oldest].start, ahead->run[oldest].bytes, ahead->cards);
    ahead->run[oldest].bytes = 0;
}

static void run_scan_ahead(uintptr_t start, size_t bytes, void *arg)
{
    struct ahead *ahead = arg;
    run_prefetch(start);
    ahead_scan_next(ahead);
    ahead->run[ahead->count % AHEAD_RUNS].start = start;
    ahead->run[ahead->count++ % AHEAD_RUNS].bytes = bytes;
}

static void run_forget(uintptr_t start, size_t bytes, void *arg)
{
    (void)start, (void)bytes, (void)arg;
}

/* ---- cards ---- */

typedef bool cards_enough(struct ahead *ahead);

/* Scans those with the flag, which is taken away, until `enough` says so. */
static void segment_scan_cards(
    struct ahead *ahead, struct gm_segment *segment, uint8_t flag, cards_enough *enough)
{
    uint64_t wanted = flag * 0x0101010101010101u;
    uint32_t count = segment->segments * GM_SEGMENT_CARDS;
    for (uint32_t card = 0; card < count; card += sizeof(uint64_t)) {
        uint64_t eight;
        eight = __atomic_load_n((uint64_t *)(uintptr_t)&segment->cards[card], __ATOMIC_RELAXED);
        eight &= wanted;
        for (uint32_t i = card; eight; i++, eight >>= 8) {
            if (!(eight & 0xff))
                continue;
            if (enough && enough(ahead))
                return;
            uint8_t flags = atomic_load_explicit(&segment->cards[i], memory_order_relaxed);
            atomic_store_explicit(&segment->cards[i], flags & (uint8_t)~flag, memory_order_relaxed);
            run_scan_ahead(
                (uintptr_t)segment + ((uintptr_t)i << GM_CARD_LOG2), GM_CARD_BYTES, ahead);
        }
    }
}

static void ahead_scan_rest(struct ahead *ahead)
{
    for (int i = 0; i < AHEAD_RUNS; i++, ahead->count++)
        ahead_scan_next(ahead);
}

/* The marker has enough to do. */
static bool marker_has_enough(struct ahead *ahead)
{
    const struct gm_marker *marker = ahead->cards->marker;
    ahead->stops = marker->words.top - marker->words.bottom > NOTED_WORDS ||
                   marker->pieces.top - marker->pieces.bottom > NOTED_WORDS;
    return ahead->stops;
}

static void segment_scan_noted(struct gm_segment *segment, void *arg)
{
    struct ahead *ahead = arg;
    if (!ahead->stops)
        segment_scan_cards(ahead, segment, GM_CARD_NOTED, marker_has_enough);
}

bool gm_cards_scan_noted(struct gm_cards *cards, struct gm_heap *heap)
{
    struct ahead ahead = {.cards = cards};
    gm_heap_each_segment(heap, segment_scan_noted, &ahead);
    ahead_scan_rest(&ahead);
    return !ahead.stops && ahead.count == AHEAD_RUNS;
}

/* ---- segments ---- */

static void segment_scan(struct gm_segment *segment, void *arg)
{
    struct ahead *ahead = arg;
    for (uint64_t rest = segment->spans_young; rest; rest &= rest - 1) {
        const struct gm_span *span = &segment->spans[__builtin_ctzll(rest)];
        if (!(gm_span_flags(span) & GM_SPAN_WATCHED))
            gm_cards_scan_span(ahead->cards, span);
    }
    segment_scan_cards(ahead, segment, GM_CARD_DIRTY, NULL);
}

/* Pages are asked for once for each run of segments that lie side by side: one system call. */
struct run {
    struct gm_cards *cards;
    gm_dirty_visit *visit;
    void *arg;
    uintptr_t start, end;
};

static void run_take(struct run *run)
{
    size_t bytes = run->end - run->start;
    /* What cannot be asked counts as written. */
    if (bytes > 0 &&
        gm_dirty_take(run->cards->dirty, run->start, bytes, true, run->visit, run->arg) < 0)
        run->visit(run->start, bytes, run->arg);
}

static void run_add_segment(struct gm_segment *segment, void *arg)
{
    struct run *run = arg;
    uintptr_t start = (uintptr_t)segment;
    uintptr_t end = start + (size_t)segment->segments * GM_SEGMENT_BYTES;
    if (end == run->start) {
        run->start = start;
    } else if (start == run->end) {
        run->end = end;
    } else {
        run_take(run);
        run->start = start, run->end = end;
    }
}

static void pages_take(
    struct gm_cards *cards, struct gm_heap *heap, gm_dirty_visit *visit, void *arg)
{
    struct run run = {.cards = cards, .visit = visit, .arg = arg};
    if (!cards->dirty)
        return;
    gm_heap_each_segment(heap, run_add_segment, &run);
    run_take(&run);
}

void gm_cards_scan(struct gm_cards *cards, struct gm_heap *heap)
{
    struct ahead ahead = {.cards = cards};
    gm_heap_each_segment(heap, segment_scan, &ahead);
    pages_take(cards, heap, run_scan_ahead, &ahead);
    ahead_scan_rest(&ahead);
}

void gm_cards_forget(struct gm_cards *cards, struct gm_heap *heap)
{
    pages_take(cards, heap, run_forget, NULL);
}

/* ---- watching ---- */

static void span_pages(const struct gm_span *span, uintptr_t *ret_start, size_t *ret_bytes)
{
    uintptr_t end = span->start + (size_t)span->slices * GM_SLICE_BYTES;
    if (gm_span_flags(span) & GM_SPAN_LARGE)
        end = span->start + span->large_bytes;
    *ret_start = span->start & ~(GM_CARD_BYTES - 1);
    *ret_bytes = ((end + GM_CARD_BYTES - 1) & ~(GM_CARD_BYTES - 1)) - *ret_start;
}

static bool pages_watch(struct gm_cards *cards, uintptr_t start, uintptr_t end)
{
    return cards->dirty && gm_dirty_watch(cards->dirty, start, end - start) == 0;
}

/* The spans from the lowest in `spans` on that lie side by side; their pages are [*ret_start, *ret_end). */
static uint64_t spans_side_by_side(
    struct gm_segment *segment, uint64_t spans, uintptr_t *ret_start, uintptr_t *ret_end)
{
    uint64_t run = 0;
    for (; spans; spans &= spans - 1) {
        uintptr_t start;
        size_t bytes;
        span_pages(&segment->spans[__builtin_ctzll(spans)], &start, &bytes);
        if (run && start != *ret_end)
            break;
        if (!run)
            *ret_start = start;
        *ret_end = start + bytes;
        run |= spans & -spans;
    }
    return run;
}

uint64_t gm_cards_watch(struct gm_cards *cards, struct gm_segment *segment, uint64_t spans)
{
    uint64_t failed = 0;
    while (spans) {
        uintptr_t start, end;
        uint64_t run = spans_side_by_side(segment, spans, &start, &end);
        spans &= ~run;
        bool watched = pages_watch(cards, start, end);
        if (!watched)
            failed |= run;
        /* Some were watched before, and are not any more where it failed. */
        for (; run; run &= run - 1) {
            struct gm_span *span = &segment->spans[__builtin_ctzll(run)];
            if (watched)
                gm_span_flags_set(span, GM_SPAN_WATCHED);
            else
                gm_span_flags_clear(span, GM_SPAN_WATCHED);
        }
    }
    return failed;
}

void gm_cards_unwatch(struct gm_cards *cards, struct gm_span *span)
{
    uintptr_t start;
    size_t bytes;
    if (!(gm_span_flags(span) & GM_SPAN_WATCHED))
        return;
    span_pages(span, &start, &bytes);
    gm_dirty_unwatch(cards->dirty, start, bytes);
    gm_span_flags_clear(span, GM_SPAN_WATCHED);
}
