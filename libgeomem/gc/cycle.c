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

/* A stop that marks a part of the old generation goes on until it has lasted so long. */
#define STEP_NS 2000000u
#define STEP_LEAST_NS 500000u

static struct gm_gc_time time_now(void)
{
    struct timespec time;
    gm_sys2(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &time);
    uint64_t own_ns = (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
    return (struct gm_gc_time){.cpu_ns = own_ns + gm_markers_cpu_ns(), .own_ns = own_ns};
}

static struct gm_gc_time time_since(struct gm_gc_time then)
{
    struct gm_gc_time now = time_now();
    return (struct gm_gc_time){now.cpu_ns - then.cpu_ns, now.own_ns - then.own_ns};
}

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
    stop->time = time_now();
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
    stop->time = time_since(stop->time);
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
    uint64_t end_ns = stop->start_ns + STEP_NS;
    return end_ns > now_ns + STEP_LEAST_NS ? end_ns : now_ns + STEP_LEAST_NS;
}

/* Processor time, for the pacer: what other programs take of it is none of its business. */
static bool step(struct gm_gc *gc, uint64_t until_ns)
{
    struct gm_gc_time then = time_now();
    bool all = gm_gc_steps_go_on(gc, until_ns);
    struct gm_gc_time took = time_since(then);
    gc->steps_time.cpu_ns += took.cpu_ns;
    gc->steps_time.own_ns += took.own_ns;
    return all;
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
    gm_pacer_after_young(&gc->pacer, &gc->cycle, time_since(stop.time).cpu_ns);
    if (gc->in_steps) {
        gc->steps_promoted_bytes += gc->cycle.promoted_bytes;
        all = step(gc, to_the_end ? UINT64_MAX : step_end(&stop, now_ns));
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
    step(gc, stop.start_ns + STEP_NS);
    stop_end(&stop);
    cycle_add_stop(&gc->steps, &stop);
    gm_pacer_after_step(&gc->pacer);
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
    struct gm_gc_time took = time_since(stop.time);
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
