/* markers.h - marking with several threads.
 *
 *   the thread that collects          helpers: threads of the collector's own
 *   marks alone for a while
 *   not done: opens the run   ──wakes──►  join, if they come in time
 *        │    ▲                               │    ▲
 *        gives, takes ──► packets of words ◄── take, give
 *   all are dry, or the time is up: closes the run, waits for those who have joined
 *
 * A marker has a stack and a FIFO of its own. Who has work left gives of the oldest of it, in packets, when somebody is dry; who
 * is dry looks for a moment, and sleeps. When all who have joined are dry, all is marked.
 *
 * Rules:
 *  - Nobody waits for a helper that has not joined: on a busy machine it may come late, and finds the run closed.
 *  - Helpers touch nothing that a stopped thread may have locked. They become and cease to be threads under the lock of the
 *    world, and so never while it is stopped.
 *  - They are made after a collection that they would have made shorter, and end when they have not been needed for a while: so
 *    that a process ends whose main thread has, and one at rest has no threads but its own.
 *  - Where waiting for them took long, the next runs are made without: somebody else needs the processors.
 *
 * Stands between mark.h and cycle.h.
 */
#ifndef GM_GC_MARKERS_H
#define GM_GC_MARKERS_H

#include <stdbool.h>
#include <stdint.h>

#include "libgeomem/gc/mark.h"

/* More than the largest number of helpers that may be asked for. */
#define GM_MARKERS_MOST 16

/* World stopped. Marks until nothing is left. */
void gm_markers_mark(struct gm_marker *marker);
/* The same, until `until_ns` at most (UINT64_MAX: as long as it takes). True if nothing is left; else what is left is on the
 * stacks of this marker, and of its `later`. */
bool gm_markers_mark_until(struct gm_marker *marker, uint64_t until_ns);

/* Processor time that helpers have taken since the beginning. The world's lock held. */
uint64_t gm_markers_cpu_ns(void);
/* And the time that the thread which collects has waited for them. */
uint64_t gm_markers_waited_ns(void);

/* After a collection, no lock held: makes the threads that it would have had work for. */
void gm_markers_announce(void);

/* At most so many from now on. -EINVAL: more than GM_MARKERS_MOST. */
int gm_markers_limit(unsigned helpers);
/* What it is: GEOMEM_MARKERS in the environment, or as many as there are processors to spare, or what was set. */
unsigned gm_markers_limit_get(void);

/* For tests: so many, and they are asked from the first word on. */
void gm_markers_always(unsigned helpers);

#endif
