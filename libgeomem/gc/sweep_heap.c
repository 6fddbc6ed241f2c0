/* sweep_heap.c - sweeping whole heaps: the young spans while the world is stopped, the old ones afterwards.
 *
 * See sweep.h for what becomes of a block, cards.h for what becomes of a span.
 */
#include "libgeomem/gc/cycle_internal.h"

struct settle {
    struct gm_gc *gc;
    struct gm_sweep sweep;
};

static bool span_needs_watching(const struct gm_span *span)
{
    unsigned flags = gm_span_flags(span);
    return flags & GM_SPAN_HAS_OLD && !(flags & GM_SPAN_BARRIERED) && span->kind != GM_KIND_LEAF;
}

/* A block is counted where it becomes free, and so once, whoever sweeps it and when. */
static uint32_t span_sweep(struct gm_sweep *sweep, struct gm_span *span)
{
    struct gm_heap *heap = span->heap;
    sweep->heap = heap->number;
    uint32_t freed = gm_sweep_span(sweep, span);
    heap->collected_blocks += freed;
    heap->collected_bytes += freed * (uint64_t)gm_block_bytes(span);
    return freed;
}

/* The spans that were allocated from since the last collection. The last of them to be given back may take the segment with
 * it: so nothing of the segment is touched any more when the first is. */
static void segment_settle(struct gm_segment *segment, void *arg)
{
    struct settle *settle = arg;
    uint64_t stay = 0, watch = 0, swept = 0;
    uint32_t freed[GM_SEGMENT_SLICES];
    for (uint64_t rest = segment->spans_young; rest; rest &= rest - 1) {
        unsigned i = (unsigned)__builtin_ctzll(rest);
        struct gm_span *span = &segment->spans[i];
        uint64_t bit = rest & -rest;
        if (gm_span_flags(span) & GM_SPAN_EXPLICIT) {
            stay |= bit;
            continue;
        }
        freed[i] = span_sweep(&settle->sweep, span);
        swept |= bit;
        if (gm_span_flags(span) & GM_SPAN_HAS_YOUNG)
            stay |= bit;
        else if (span_needs_watching(span))
            watch |= bit;
    }
    segment->spans_young = stay | gm_cards_watch(&settle->gc->cards, segment, watch);
    for (; swept; swept &= swept - 1) {
        unsigned i = (unsigned)__builtin_ctzll(swept);
        gm_heap_span_swept(segment->spans[i].heap, &segment->spans[i], freed[i]);
    }
}

void gm_gc_sweep_young(struct gm_gc *gc, bool old, unsigned promote_age)
{
    struct settle settle = {
        .gc = gc,
        .sweep = {.live = gc->live,
            .promote_age = (uint8_t)promote_age,
            .young = true,
            .old = old,
            .notes = gc->in_steps},
    };
    struct gm_sweep *sweep = &settle.sweep;
    struct geomem_gc_cycle *cycle = &gc->cycle;
    gm_gc_each_segment(segment_settle, &settle);
    cycle->promoted_blocks = sweep->promoted_blocks;
    cycle->promoted_bytes = sweep->promoted_bytes;
    cycle->swept_blocks = sweep->dead_blocks;
    cycle->swept_bytes = sweep->dead_bytes;
    cycle->young_after_bytes = sweep->young_bytes;
    cycle->young_before_bytes =
        sweep->young_bytes + sweep->promoted_bytes + sweep->young_dead_bytes;
}

/* What of the old generation is not marked is dead: found by sweeping, later. */
static void segment_sweep_later(struct gm_segment *segment, void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < GM_SEGMENT_SLICES; i++) {
        struct gm_span *span = &segment->spans[i];
        unsigned flags = gm_span_flags(span);
        if (flags & GM_SPAN_IN_USE && flags & GM_SPAN_HAS_OLD && !(flags & GM_SPAN_EXPLICIT))
            gm_span_flags_set(span, GM_SPAN_NEEDS_SWEEP);
    }
}

void gm_gc_sweep_later(struct gm_gc *gc)
{
    gm_gc_each_segment(segment_sweep_later, NULL);
    gc->sweep_pending = true;
}

uint32_t gm_gc_sweep_old(struct gm_gc *gc, struct gm_span *span)
{
    struct gm_sweep sweep = {.live = gc->live, .promote_age = GM_PROMOTE_AGE, .old = true};
    return span_sweep(&sweep, span);
}

static void span_sweep_rest(struct gm_span *span, void *arg)
{
    struct gm_gc *gc = arg;
    if (!(gm_span_flags(span) & GM_SPAN_NEEDS_SWEEP))
        return;
    uint32_t freed = gm_gc_sweep_old(gc, span);
    gm_heap_span_swept(span->heap, span, freed);
}

void gm_gc_sweep_rest(struct gm_gc *gc)
{
    if (!gc->sweep_pending)
        return;
    gm_lock_acquire(&gm_heaps_lock);
    for (struct gm_heap *heap = gm_heap_next(NULL); heap; heap = gm_heap_next(heap)) {
        gm_heap_lock(heap);
        gm_heap_each_span(heap, span_sweep_rest, gc);
        gm_heap_unlock(heap);
    }
    gm_lock_release(&gm_heaps_lock);
    gc->sweep_pending = false;
}
