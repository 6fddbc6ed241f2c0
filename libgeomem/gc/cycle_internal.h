/* cycle_internal.h - the parts of a collection. See cycle.h.
 *
 * Between the files of the cycle only.
 */
#ifndef GM_GC_CYCLE_INTERNAL_H
#define GM_GC_CYCLE_INTERNAL_H

#include "libgeomem/gc/cycle.h"

/* Is it in its segment's bit map of young spans? */
static inline bool gm_gc_span_is_young(const struct gm_span *span)
{
    const struct gm_segment *segment = gm_span_segment(span);
    return segment->spans_young >> (span - segment->spans) & 1;
}

/* Processor time: what other programs take of it is none of the pacer's business. */
struct gm_gc_time gm_gc_time_now(void);
struct gm_gc_time gm_gc_time_since(struct gm_gc_time then);

/* Takes the locks that a collection takes below the world's, which is held, and stops the world; and the reverse. 0, or what
 * gm_world_stop returns: then all is as before. */
int gm_gc_stop_begin(struct gm_gc_stop *stop);
void gm_gc_stop_end(struct gm_gc_stop *stop);

/* All heaps' locks held. */
void gm_gc_each_segment(gm_segment_visitor *visit, void *arg);

/* ---- world stopped, heaps' locks held: sweep_heap.c ---- */
/* Sweeps the spans that were allocated from since the last collection; `old`: of dead old blocks too. Fills in the cycle's
 * figures. */
void gm_gc_sweep_young(struct gm_gc *gc, bool old, unsigned promote_age);
/* All that is old and not marked is dead, and is to be swept once the program runs. */
void gm_gc_sweep_later(struct gm_gc *gc);

/* ---- world stopped, heaps' locks held: cycle_stopped.c ---- */
void gm_gc_stopped_young(struct gm_gc *gc);
void gm_gc_stopped_full(struct gm_gc *gc);
/* The collection of the old generation in steps: begins before a young collection of the same stop; goes on until `until_ns`
 * or all is marked (true). */
void gm_gc_steps_begin(struct gm_gc *gc);
bool gm_gc_steps_go_on(struct gm_gc *gc, uint64_t until_ns);
/* How long a stop with a step in it is to last, and the step in it at least: constant but for tests. */
extern uint64_t gm_gc_step_ns, gm_gc_step_least_ns;
extern unsigned gm_gc_steps_patience; /* see cycle.c; the same */
void gm_gc_steps_end(struct gm_gc *gc);

#endif
