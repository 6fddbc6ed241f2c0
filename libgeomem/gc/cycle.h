/* cycle.h - one collection, from its cause to the program's going on.
 *
 *   allocated() ─► pacer: is it time? ─► world lock ─► heaps' locks ─► stop ─► roots ─► mark ─► notes ─► sweep young ─► start
 *                                                                                                            │
 *                              sweep old, while the program runs ◄───────────────── after a full collection ◄┘
 *
 * Three kinds, which differ in what they mark:
 *   young    The young blocks. Its roots are the program's, and the old blocks that were written to (cards.h).
 *   full     Everything, in one stop.
 *   in steps The old generation, a bit in each of several stops. It begins in a young collection, by turning round which
 *            colour of old blocks means "marked". From then on a young collection passes the unmarked old blocks that its
 *            roots point to on to a second marker, and notes where else pointers to such may stand: on pages that were
 *            written to, in blocks that it makes old. The second marker goes on for a bounded time in each stop, and when
 *            it has run dry looks at what was noted, of marked blocks. Nothing can hide from it: a marked old block that
 *            gets a pointer to an unmarked one lies on a written page. So when it has run dry and nothing is noted any
 *            more, in the stop of a young collection, all is marked. Where the program writes faster than steps can look
 *            at what it wrote, the steps in young collections are given more time, until they have done it.
 *            (The invariant is that of Demers et al., POPL 1990, and Boehm, Demers and Shenker, PLDI 1991, with the
 *            young collections as their rescans.)
 *
 * All heaps of the process are collected together: a block in one may point to a block in another.
 *
 * Locks: the world's, then gm_heaps_lock, then those of the heaps in the order of the list.
 *
 * Stands above mark.h, sweep.h, cards.h, pacer.h; the heap calls it through struct gm_collector.
 */
#ifndef GM_GC_CYCLE_H
#define GM_GC_CYCLE_H

#include <stdbool.h>
#include <stdint.h>

#include "geomem/listener.h"
#include "libgeomem/gc/cards.h"
#include "libgeomem/gc/mark.h"
#include "libgeomem/gc/pacer.h"
#include "libgeomem/gc/sweep.h"
#include "libgeomem/gc/verify.h"
#include "libgeomem/gc/world.h"
#include "libgeomem/heap/heap.h"

/* Since the beginning. */
struct gm_gc_totals {
    uint64_t young_collections, full_collections;
    uint64_t pause_ns, pause_max_ns, cpu_ns;
    uint64_t promoted_blocks, promoted_bytes;
};

/* Processor time: of all who collect; of the thread that the collection runs on, with what it has waited for the others. */
struct gm_gc_time {
    uint64_t cpu_ns, own_ns;
};

/* How much was marked in what time, where not mostly marked blocks were looked at again. */
struct gm_gc_pace {
    struct gm_gc_time time;
    uint64_t bytes;
};

/* The world was stopped once. */
struct gm_gc_stop {
    struct gm_world_stop_figures figures;
    uint64_t start_ns, pause_ns;
    struct gm_gc_time time;
};

/* Blocks that survive a young collection are old: see docs/design/gc.md for why no age above 1 is offered. */
#define GM_PROMOTE_AGE 1u

/* The collector of the process. Under the world's lock. */
struct gm_gc {
    bool ready;
    struct gm_marker marker;
    struct gm_marker old_marker; /* of the collection in steps */
    struct gm_cards cards;
    struct gm_cards old_cards; /* of the collection in steps */
    struct gm_lock dirty_lock; /* of cards.dirty, while the program runs; below the heaps' */
    struct gm_pacer pacer;
    uint8_t live; /* GM_STATE_OLD_A or _B: old blocks that have been marked, or need not be */
    bool in_steps;
    bool sweep_pending; /* spans with GM_SPAN_NEEDS_SWEEP may be left */
    bool verifies;      /* each collection */
    bool
        forgets_writes; /* so far every collection has been full: nobody asks which pages were written to */
    unsigned disabled; /* counts */
    enum geomem_write_tracking
        tracking; /* of the first heap: pages are watched for all in one way */
    uint64_t cycles;
    struct geomem_gc_cycle cycle;  /* under way, or the last */
    struct geomem_gc_cycle steps;  /* the collection in steps under way */
    uint64_t steps_promoted_bytes; /* since it began */
    uint64_t steps_marked_bytes;   /* until the last young collection */
    bool steps_dry; /* nothing is left but what was written since the last young collection */
    bool
        steps_ran_dry; /* the old marker has, but for noted cards, since the last young collection */
    unsigned steps_in_vain; /* young ones in a row before which hardly anything was marked */
    struct gm_gc_pace steps_pace;
    uint64_t
        steps_last_ns; /* how long the last attempt to end them could take; 0: there was none */
    struct gm_gc_totals totals;
    struct gm_verify verify;
};
extern struct gm_gc gm_gc;

/* What is asked for. */
enum gm_gc_want {
    GM_WANT_AS_PACED, /* whatever the pacer says; nothing, if somebody else has just collected */
    GM_WANT_YOUNG,
    GM_WANT_FULL,
};
/* 0 or a negative errno: -ETIMEDOUT, a thread could not be stopped; -EBUSY, collections are disabled, or the caller holds the
 * lock of the world. No other lock held. */
int gm_gc_collect(struct gm_heap *heap, enum gm_gc_want want, enum geomem_gc_trigger trigger);

/* Of all heaps. */
uint64_t gm_gc_footprint(void);

/* Somebody who wants to know, beside the listener: called before the world is stopped (true) and after it has been let go,
 * on the thread that collects, the world's lock held. NULL: nobody. */
typedef void gm_gc_observation(bool begins);
void gm_gc_observer(gm_gc_observation *observation);

/* One span of those; the heap's lock held. Returns how many blocks it freed. */
uint32_t gm_gc_sweep_old(struct gm_gc *gc, struct gm_span *span);
/* Sweeps what is left of the last full collection. The world's lock held, no heap's. */
void gm_gc_sweep_rest(struct gm_gc *gc);

#endif
