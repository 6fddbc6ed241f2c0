/* cycle_stopped.c - what a collection does while the world is stopped.
 *
 * Nothing here allocates, or takes a lock that a stopped thread may hold: the heaps' and the notes' were taken before the stop.
 */
#include <time.h>

#include "libgeomem/base/sys.h"
#include "libgeomem/gc/cycle_internal.h"
#include "libgeomem/gc/markers.h"
#include "libgeomem/gc/notes_marker.h"
#include "libgeomem/gc/world.h"

struct gm_gc_time gm_gc_time_now(void)
{
    struct timespec time;
    gm_sys2(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &time);
    uint64_t cpu_ns = (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
    return (struct gm_gc_time){
        .cpu_ns = cpu_ns + gm_markers_cpu_ns(), .own_ns = cpu_ns + gm_markers_waited_ns()};
}

struct gm_gc_time gm_gc_time_since(struct gm_gc_time then)
{
    struct gm_gc_time now = gm_gc_time_now();
    return (struct gm_gc_time){now.cpu_ns - then.cpu_ns, now.own_ns - then.own_ns};
}

static uint64_t phase_end(
    struct geomem_gc_cycle *cycle, enum geomem_gc_phase phase, uint64_t start_ns)
{
    uint64_t now = gm_sys_monotonic_ns();
    cycle->phase_ns[phase] += now - start_ns;
    return now;
}

static void live_turn_round(struct gm_gc *gc)
{
    gc->live ^= GM_STATE_OLD_A ^ GM_STATE_OLD_B;
    gc->cards.live = gc->old_cards.live = gc->live;
    for (struct gm_heap *heap = gm_heap_next(NULL); heap; heap = gm_heap_next(heap))
        atomic_store_explicit(&heap->live_old, gc->live, memory_order_relaxed); /* heap's lock */
}

/* ---- roots ---- */

struct roots {
    struct gm_marker *marker;
    uint64_t bytes;
};

static void roots_visit(const void *start, size_t bytes, void *arg)
{
    struct roots *roots = arg;
    roots->bytes += bytes;
    gm_mark_roots(roots->marker, start, bytes);
}

static void roots_push(struct gm_gc *gc)
{
    struct roots roots = {.marker = &gc->marker};
    gc->verify.roots.top = gc->verify.roots.bottom;
    gm_roots_visit(GM_ROOTS_ALL, roots_visit, &roots);
    gc->cycle.roots_bytes += roots.bytes;
}

/* Explicit blocks that are roots. The bit of their spans stays set. */
static void segment_push_root_blocks(struct gm_segment *segment, void *arg)
{
    for (uint64_t rest = segment->spans_young; rest; rest &= rest - 1) {
        const struct gm_span *span = &segment->spans[__builtin_ctzll(rest)];
        if (gm_span_flags(span) & GM_SPAN_EXPLICIT)
            gm_cards_scan_span(arg, span);
    }
}

static void marked_count(struct geomem_gc_cycle *cycle, struct gm_marker *marker)
{
    cycle->marked_blocks += marker->figures.blocks;
    cycle->marked_bytes += marker->figures.bytes;
    marker->figures = (struct gm_mark_figures){0};
}

/* ---- notes ---- */

/* Those that are due are roots of both generations. */
static void notes_push_roots(struct gm_gc *gc, bool old)
{
    struct gm_notes_marker notes;
    gm_notes_marker_init(&notes, &gc->marker, old);
    gm_notes_roots(&notes.tracer);
}

static void notes_process(struct gm_marker *marker, bool full, struct geomem_gc_cycle *cycle)
{
    struct gm_notes_marker notes;
    struct gm_notes_figures figures;
    uint64_t time = gm_sys_monotonic_ns();
    gm_notes_marker_init(&notes, marker, full);
    gm_notes_process(&notes.tracer, &figures);
    phase_end(cycle, GEOMEM_PHASE_NOTES, time);
}

/* ---- where to look ---- */

static void segment_look_young(struct gm_segment *segment, void *arg)
{
    for (uint64_t rest = segment->spans_young; rest; rest &= rest - 1) {
        const struct gm_span *span = &segment->spans[__builtin_ctzll(rest)];
        if (gm_span_flags(span) & GM_SPAN_HAS_YOUNG)
            gm_mark_in_span(arg, span);
    }
}

static void span_look(struct gm_span *span, void *arg)
{
    if (!(gm_span_flags(span) & GM_SPAN_EXPLICIT))
        gm_mark_in_span(arg, span);
}

static void look_everywhere(struct gm_marker *marker)
{
    gm_mark_nowhere(marker);
    for (struct gm_heap *heap = gm_heap_next(NULL); heap; heap = gm_heap_next(heap))
        gm_heap_each_span(heap, span_look, marker);
}

/* ---- the collections ---- */

/* What survives is old, and noted where it lies: were it to stay young, its pointers to old blocks would have to be followed in
 * the young collection that ends the steps. */
static_assert(GM_PROMOTE_AGE == 1, "see above");

void gm_gc_stopped_young(struct gm_gc *gc)
{
    struct geomem_gc_cycle *cycle = &gc->cycle;
    uint64_t time = gm_sys_monotonic_ns();
    gm_mark_young(&gc->marker, gc->live, gc->in_steps ? &gc->old_marker : NULL);
    gm_mark_nowhere(&gc->marker);
    gm_gc_each_segment(segment_look_young, &gc->marker);
    if (gc->in_steps)
        gm_mark_roots_in_map(&gc->marker, &gc->old_marker.map);
    gc->cards.old_all = gc->cards.notes = gc->in_steps;
    gc->cards.dirty_bytes = 0;
    for (struct gm_heap *heap = gm_heap_next(NULL); heap; heap = gm_heap_next(heap))
        gm_cards_scan(&gc->cards, heap);
    roots_push(gc);
    notes_push_roots(gc, gc->in_steps);
    time = phase_end(cycle, GEOMEM_PHASE_ROOTS, time);
    gm_markers_mark(&gc->marker);
    time = phase_end(cycle, GEOMEM_PHASE_MARK, time);
    notes_process(&gc->marker, false, cycle);
    time = gm_sys_monotonic_ns();
    if (gc->verifies)
        gm_verify_marked(&gc->verify, gc, true, false);
    gm_gc_sweep_young(gc, false, GM_PROMOTE_AGE);
    phase_end(cycle, GEOMEM_PHASE_SWEEP, time);
    cycle->dirty_bytes = gc->cards.dirty_bytes;
    cycle->old_before_bytes = gc->pacer.old_bytes;
    cycle->old_after_bytes = gc->pacer.old_bytes + cycle->promoted_bytes;
    marked_count(cycle, &gc->marker);
}

void gm_gc_stopped_full(struct gm_gc *gc)
{
    struct geomem_gc_cycle *cycle = &gc->cycle;
    uint64_t time = gm_sys_monotonic_ns();
    live_turn_round(gc);
    gm_mark_full(&gc->marker, gc->live);
    look_everywhere(&gc->marker);
    /* The young collection before may have been one of those between steps, which only note what may point to old blocks. */
    gc->cards.old_all = gc->cards.notes = false;
    gm_gc_each_segment(segment_push_root_blocks, &gc->cards);
    roots_push(gc);
    notes_push_roots(gc, true);
    time = phase_end(cycle, GEOMEM_PHASE_ROOTS, time);
    gm_markers_mark(&gc->marker);
    time = phase_end(cycle, GEOMEM_PHASE_MARK, time);
    notes_process(&gc->marker, true, cycle);
    time = gm_sys_monotonic_ns();
    marked_count(cycle, &gc->marker);
    if (gc->verifies)
        gm_verify_marked(&gc->verify, gc, true, true);
    /* All that lives becomes old: so no old block points to a young one, and what was written does not matter. */
    gm_gc_sweep_young(gc, true, 1);
    for (struct gm_heap *heap = gm_heap_next(NULL); heap; heap = gm_heap_next(heap))
        gm_cards_forget(&gc->cards, heap);
    cycle->old_before_bytes = gc->pacer.old_bytes;
    cycle->old_after_bytes = cycle->marked_bytes;
    /* Young blocks were swept and counted; the old ones that are not marked will be. */
    if (cycle->old_before_bytes + cycle->promoted_bytes > cycle->marked_bytes)
        cycle->swept_bytes = cycle->young_before_bytes - cycle->promoted_bytes +
                             cycle->old_before_bytes + cycle->promoted_bytes - cycle->marked_bytes;
    gm_gc_sweep_later(gc);
    phase_end(cycle, GEOMEM_PHASE_SWEEP, time);
}

/* ---- in steps ---- */

void gm_gc_steps_begin(struct gm_gc *gc)
{
    live_turn_round(gc);
    gm_mark_old(&gc->old_marker, gc->live);
    look_everywhere(&gc->old_marker);
    gc->in_steps = true;
    gc->steps_promoted_bytes = 0;
    gc->steps_marked_bytes = 0;
    gc->steps_in_vain = 0;
    gc->steps_pace = (struct gm_gc_pace){0};
    gc->steps_last_ns = 0;
    gc->steps_dry = gc->steps_ran_dry = false;
}

/* Written pages that were noted. True if there was none. */
static bool noted_push(struct gm_gc *gc)
{
    bool none = true;
    for (struct gm_heap *heap = gm_heap_next(NULL); heap; heap = gm_heap_next(heap))
        none &= gm_cards_scan_noted(&gc->old_cards, heap);
    return none;
}

/* How fast a heap can be marked shows where there was something left to be marked: looking again at written pages, most of
 * what is met is marked already. */
static bool steps_mark(struct gm_gc *gc, uint64_t until_ns)
{
    struct gm_marker *marker = &gc->old_marker;
    struct gm_gc_pace *pace = &gc->steps_pace;
    struct gm_gc_time then = gm_gc_time_now();
    bool counts =
        marker->words.top > marker->words.bottom || marker->pieces.top > marker->pieces.bottom;
    uint64_t before = marker->figures.bytes;
    bool dry = gm_markers_mark_until(marker, until_ns);
    gc->steps_ran_dry |= dry;
    if (counts) {
        struct gm_gc_time took = gm_gc_time_since(then);
        pace->time.cpu_ns += took.cpu_ns;
        pace->time.own_ns += took.own_ns;
        pace->bytes += marker->figures.bytes - before;
    }
    return dry;
}

bool gm_gc_steps_go_on(struct gm_gc *gc, uint64_t until_ns)
{
    uint64_t time = gm_sys_monotonic_ns();
    bool all = steps_mark(gc, until_ns) && noted_push(gc);
    while (!all && gm_sys_monotonic_ns() < until_ns) {
        bool dry = gm_markers_mark_until(&gc->old_marker, until_ns);
        gc->steps_ran_dry |= dry;
        all = dry && noted_push(gc);
    }
    phase_end(&gc->steps, GEOMEM_PHASE_MARK, time);
    return all;
}

/* What it takes to mark so much, once. */
static struct gm_gc_time steps_time(const struct gm_gc_pace *pace, uint64_t bytes)
{
    double share = pace->bytes ? (double)bytes / (double)pace->bytes : 0;
    return (struct gm_gc_time){(uint64_t)(share * (double)pace->time.cpu_ns),
        (uint64_t)(share * (double)pace->time.own_ns)};
}

void gm_gc_steps_end(struct gm_gc *gc)
{
    struct geomem_gc_cycle *cycle = &gc->steps;
    gc->in_steps = false;
    notes_process(&gc->old_marker, true, cycle);
    if (gc->verifies)
        gm_verify_marked(&gc->verify, gc, false, true);
    marked_count(cycle, &gc->old_marker);
    cycle->old_before_bytes = gc->pacer.old_bytes;
    cycle->old_after_bytes = cycle->marked_bytes + gc->steps_promoted_bytes;
    if (cycle->old_before_bytes > cycle->old_after_bytes)
        cycle->swept_bytes = cycle->old_before_bytes - cycle->old_after_bytes;
    cycle->promoted_bytes = gc->steps_promoted_bytes;
    struct gm_gc_time time = steps_time(&gc->steps_pace, cycle->marked_bytes);
    gm_pacer_after_old(&gc->pacer, cycle->old_after_bytes, cycle->marked_bytes, time.cpu_ns,
        time.own_ns, gm_sys_monotonic_ns());
    gm_gc_sweep_later(gc);
}
