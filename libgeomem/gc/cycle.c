/* cycle.c - see cycle.h. */
#include "libgeomem/gc/cycle.h"

#include <errno.h>
#include <stdatomic.h>
#include <time.h>

#include "libgeomem/base/sys.h"
#include "libgeomem/gc/cycle_internal.h"
#include "libgeomem/gc/markers.h"
#include "libgeomem/gc/notes.h"
#include "libgeomem/gc/registers.h"
#include "libgeomem/gc/world.h"
#include "libgeomem/heap/checkers.h"
#include "libgeomem/heap/listener.h"

struct gm_gc gm_gc = {.dirty_lock.rank = GM_RANK_DIRTY};

/* The program may write to pages faster than steps can look at them. They have come to nothing where they have run dry, but for
 * what was noted, and marked less than this part of the old generation from one young collection to the next, so many times in a
 * row. Arbitrary. */
#define STEPS_PART 256
unsigned gm_gc_steps_patience = 1;
/* An attempt to end them, in the stop of a young collection: the first, and how much more time each has. Arbitrary. */
#define LAST_STEP_NS 4000000u
#define LAST_STEP_MORE_NS 1000000u
/* A stop that marks a part of the old generation goes on until it has lasted so long; a young collection's then for a while. */
uint64_t gm_gc_step_ns = 2000000;
uint64_t gm_gc_step_least_ns = 500000;

/* ---- heaps ---- */

static void heaps_lock(void)
{
    gm_lock_acquire(&gm_heaps_lock);
    for (struct gm_heap *heap = gm_heap_next(NULL); heap; heap = gm_heap_next(heap))
        gm_heap_lock(heap);
}

static void heaps_unlock(void)
{
    for (struct gm_heap *heap = gm_heap_next(NULL); heap; heap = gm_heap_next(heap))
        gm_heap_unlock(heap);
    gm_lock_release(&gm_heaps_lock);
}

void gm_gc_each_segment(gm_segment_visitor *visit, void *arg)
{
    for (struct gm_heap *heap = gm_heap_next(NULL); heap; heap = gm_heap_next(heap))
        gm_heap_each_segment(heap, visit, arg);
}

uint64_t gm_gc_footprint(void)
{
    uint64_t bytes = 0;
    for (struct gm_heap *heap = gm_heap_next(NULL); heap; heap = gm_heap_next(heap))
        bytes += atomic_load_explicit(&heap->footprint_bytes, memory_order_relaxed);
    return bytes;
}

/* ---- what is told of a collection ---- */

static void cycle_begin(struct gm_gc *gc, struct geomem_gc_cycle *cycle, const struct gm_heap *heap,
    enum geomem_gc_kind kind, enum geomem_gc_trigger trigger)
{
    const struct geomem_listener *listener = gm_listener_get();
    *cycle = (struct geomem_gc_cycle){
        .number = ++gc->cycles,
        .heap = heap->number,
        .kind = kind,
        .trigger = trigger,
        .start_ns = gm_sys_monotonic_ns(),
    };
    if (listener && listener->gc_begin)
        listener->gc_begin(cycle->heap, cycle->number, kind, trigger);
}

static void cycle_end(struct gm_gc *gc, struct geomem_gc_cycle *cycle)
{
    const struct geomem_listener *listener = gm_listener_get();
    struct gm_gc_totals *totals = &gc->totals;
    cycle->footprint_bytes = gm_gc_footprint();
    cycle->end_ns = gm_sys_monotonic_ns();
    if (cycle->kind == GEOMEM_GC_YOUNG)
        totals->young_collections++;
    else
        totals->full_collections++;
    totals->cpu_ns += cycle->cpu_ns;
    totals->pause_ns += cycle->pause_ns;
    totals->promoted_blocks += cycle->promoted_blocks;
    totals->promoted_bytes += cycle->promoted_bytes;
    if (cycle->max_pause_ns > totals->pause_max_ns)
        totals->pause_max_ns = cycle->max_pause_ns;
    if (listener && listener->gc_end)
        listener->gc_end(cycle);
}

static void cycle_add_stop(struct geomem_gc_cycle *cycle, const struct gm_gc_stop *stop)
{
    const struct geomem_listener *listener = gm_listener_get();
    if (listener && listener->version >= 2 && listener->gc_stop)
        listener->gc_stop(cycle->number, stop->start_ns, stop->pause_ns);
    cycle->stops++;
    cycle->pause_ns += stop->pause_ns;
    cycle->cpu_ns += stop->time.cpu_ns;
    cycle->phase_ns[GEOMEM_PHASE_STOP] += stop->figures.stop_ns;
    if (stop->figures.threads > cycle->threads_stopped)
        cycle->threads_stopped = stop->figures.threads;
    if (stop->pause_ns > cycle->max_pause_ns)
        cycle->max_pause_ns = stop->pause_ns;
}

/* ---- stops ---- */

static _Atomic(gm_gc_observation *) observer;

void gm_gc_observer(gm_gc_observation *observation)
{
    atomic_store(&observer, observation);
}

static void observer_tell(bool begins)
{
    gm_gc_observation *tell = atomic_load(&observer);
    if (tell)
        tell(begins);
}

int gm_gc_stop_begin(struct gm_gc_stop *stop)
{
    heaps_lock();
    stop->time = gm_gc_time_now();
    stop->start_ns = gm_sys_monotonic_ns();
    gm_notes_lock();
    int err = gm_world_stop(&stop->figures);
    if (err < 0) {
        gm_notes_unlock();
        heaps_unlock();
    }
    return err;
}

void gm_gc_stop_end(struct gm_gc_stop *stop)
{
    gm_world_start();
    stop->pause_ns = gm_sys_monotonic_ns() - stop->start_ns;
    gm_notes_unlock();
    heaps_unlock();
    stop->time = gm_gc_time_since(stop->time);
}

static int stop_begin(struct gm_gc_stop *stop)
{
    observer_tell(true);
    int err = gm_gc_stop_begin(stop);
    if (err < 0)
        observer_tell(false);
    return err;
}

static void stop_end(struct gm_gc_stop *stop)
{
    gm_gc_stop_end(stop);
    observer_tell(false);
}

/* ---- collections; the world's lock held ---- */

static void steps_finish(struct gm_gc *gc)
{
    gm_marker_trim(&gc->old_marker);
    gm_gc_sweep_rest(gc);
    cycle_end(gc, &gc->steps);
}

/* In a stop that has done something else before, too. */
static uint64_t step_end(const struct gm_gc_stop *stop, uint64_t now_ns)
{
    uint64_t end_ns = stop->start_ns + gm_gc_step_ns;
    return end_ns > now_ns + gm_gc_step_least_ns ? end_ns : now_ns + gm_gc_step_least_ns;
}

static bool steps_are_in_vain(struct gm_gc *gc)
{
    uint64_t marked = gc->old_marker.figures.bytes;
    bool in_vain =
        gc->steps_ran_dry && marked - gc->steps_marked_bytes < gc->pacer.old_bytes / STEPS_PART;
    gc->steps_ran_dry = false;
    gc->steps_marked_bytes = marked;
    gc->steps_in_vain = in_vain ? gc->steps_in_vain + 1 : 0;
    return gc->steps_in_vain > gm_gc_steps_patience;
}

/* Where the steps are all but done, or come to nothing, the step in a young collection may take longer, and longer each
 * time, so that they end. */
static uint64_t young_step_end(struct gm_gc *gc, const struct gm_gc_stop *stop, uint64_t now_ns)
{
    bool in_vain = steps_are_in_vain(gc);
    uint64_t end_ns = step_end(stop, now_ns);
    if (!gc->steps_dry && !in_vain)
        return end_ns;
    gc->steps_dry = false;
    gc->steps_last_ns = gc->steps_last_ns ? gc->steps_last_ns + LAST_STEP_MORE_NS : LAST_STEP_NS;
    return now_ns + gc->steps_last_ns;
}

/* One young collection; if the old generation is being marked, a step of that in the same stop, or (`to_the_end`) all. */
static int collect_young(
    struct gm_gc *gc, struct gm_heap *heap, enum geomem_gc_trigger trigger, bool to_the_end)
{
    struct gm_gc_stop stop;
    bool was_in_steps = gc->in_steps;
    bool begin = !was_in_steps && gm_pacer_wants_old(&gc->pacer);
    bool all = false;
    if (begin)
        gm_gc_sweep_rest(gc);
    int err = stop_begin(&stop);
    if (err < 0)
        return err;
    if (begin) {
        cycle_begin(gc, &gc->steps, heap, GEOMEM_GC_MOSTLY_CONCURRENT, trigger);
        gm_gc_steps_begin(gc);
    }
    cycle_begin(gc, &gc->cycle, heap, GEOMEM_GC_YOUNG, trigger);
    gm_gc_stopped_young(gc);
    uint64_t now_ns = gm_sys_monotonic_ns();
    gm_pacer_after_young(&gc->pacer, &gc->cycle, gm_gc_time_since(stop.time).cpu_ns);
    if (gc->in_steps) {
        gc->steps_promoted_bytes += gc->cycle.promoted_bytes;
        all = gm_gc_steps_go_on(gc, to_the_end ? UINT64_MAX : young_step_end(gc, &stop, now_ns));
    }
    if (all)
        gm_gc_steps_end(gc);
    if (gc->verifies)
        gm_verify_swept(&gc->verify, gc);
    stop_end(&stop);
    cycle_add_stop(&gc->cycle, &stop);
    cycle_end(gc, &gc->cycle);
    if (all)
        steps_finish(gc);
    return 0;
}

/* A step by itself, between two young collections. */
static int collect_step(struct gm_gc *gc)
{
    struct gm_gc_stop stop;
    int err = stop_begin(&stop);
    if (err < 0)
        return err;
    gc->steps_dry = gm_gc_steps_go_on(gc, stop.start_ns + gm_gc_step_ns);
    stop_end(&stop);
    cycle_add_stop(&gc->steps, &stop);
    gm_pacer_after_step(&gc->pacer, gc->steps_dry);
    return 0;
}

static int collect_full(struct gm_gc *gc, struct gm_heap *heap, enum geomem_gc_trigger trigger)
{
    struct gm_gc_stop stop;
    int err = gc->in_steps ? collect_young(gc, heap, trigger, true) : 0;
    if (err < 0)
        return err;
    gm_gc_sweep_rest(gc);
    err = stop_begin(&stop);
    if (err < 0)
        return err;
    cycle_begin(gc, &gc->cycle, heap, GEOMEM_GC_FULL, trigger);
    gm_gc_stopped_full(gc);
    if (gc->verifies)
        gm_verify_swept(&gc->verify, gc);
    struct gm_gc_time took = gm_gc_time_since(stop.time);
    gm_pacer_after_full(&gc->pacer, &gc->cycle);
    gm_pacer_after_old(&gc->pacer, gc->cycle.old_after_bytes, gc->cycle.marked_bytes, took.cpu_ns,
        took.own_ns, gm_sys_monotonic_ns());
    stop_end(&stop);
    cycle_add_stop(&gc->cycle, &stop);
    gm_gc_sweep_rest(gc);
    cycle_end(gc, &gc->cycle);
    return 0;
}

static int collect_as_paced(struct gm_gc *gc, struct gm_heap *heap)
{
    if (!gm_pacer_is_time(&gc->pacer)) /* another thread has just collected */
        return gc->in_steps && gm_pacer_wants_step(&gc->pacer) ? collect_step(gc) : 0;
    if (heap->options.gc_mode == GEOMEM_GC_MARK_SWEEP ||
        (gm_pacer_wants_full(&gc->pacer) && !gc->in_steps))
        return collect_full(gc, heap, GEOMEM_TRIGGER_ALLOCATION);
    return collect_young(gc, heap, GEOMEM_TRIGGER_ALLOCATION, false);
}

/* The collector's own frames are no roots. */
GM_WITH_SAVED_REGISTERS(gm_gc_collect, gm_gc_collect_from, rcx);

int gm_gc_collect_from(struct gm_heap *heap, enum gm_gc_want want, enum geomem_gc_trigger trigger,
    const uintptr_t *saved);
__attribute__((used)) int gm_gc_collect_from(struct gm_heap *heap, enum gm_gc_want want,
    enum geomem_gc_trigger trigger, const uintptr_t *saved)
{
    struct gm_gc *gc = &gm_gc;
    int err = -EBUSY;
    /* by code of the program's under the lock, or by a handler in the middle of that */
    if (gm_world_lock_is_mine())
        return err;
    /* else its stack is searched from the collector's own frames on; no matter if it cannot be */
    gm_mutator_register();
    gm_checker_quiet(true);
    gm_world_lock();
    gm_roots_caller(saved);
    if (gc->disabled == 0) {
        switch (want) {
        case GM_WANT_AS_PACED:
            err = collect_as_paced(gc, heap);
            break;
        case GM_WANT_YOUNG:
            err = collect_young(gc, heap, trigger, false);
            break;
        case GM_WANT_FULL:
            err = collect_full(gc, heap, trigger);
            break;
        }
        gm_marker_trim(&gc->marker);
    }
    gm_roots_caller(NULL);
    gm_world_unlock();
    gm_checker_quiet(false);
    gm_notes_announce();
    gm_markers_announce();
    return err;
}
