/* pressure.h - the memory of the container runs short.
 *
 *   allocation, or gm_pressure_poll ─► time to look? ─► the container's limit and use (base/container.h)
 *                                                        ├─► the pacer: how large the heap may become
 *                                                        └─► short: the observer, a full collection, unused memory given back
 *
 * Short is: more than nine tenths of the limit are in use, or threads of the container wait for memory for a tenth of the
 * time. Looked at ten times a second at most. Collections for it are a second apart, and 20 times as long as the last of them
 * took; each that gave back next to nothing doubles the distance.
 *
 * Stands above cycle.h; whoever keeps memory that it could do without may stand above it.
 */
#ifndef GM_GC_PRESSURE_H
#define GM_GC_PRESSURE_H

#include <stdint.h>

struct gm_heap;

/* Called about every 256 KB of collected blocks, by the thread that allocates. No lock held. */
void gm_pressure_allocated(struct gm_heap *heap);
/* For whoever allocates explicit blocks only: the same. A clock is read, seldom more. Async-signal-safe it is not. */
void gm_pressure_poll(void);

/* How often memory has been found short since the process began. Any thread, any time: to be compared with what was read last. */
uint64_t gm_pressure_number(void);
/* What would have to go for the container to be at rest, as of then: of all that it holds. */
uint64_t gm_pressure_wanted_bytes(void);

/* Somebody who wants to be told: each time it is found short, before the collection for it, on the thread that found it. That
 * is in the middle of an allocation, and may hold any lock of the program's: set a flag, wake a thread. NULL: nobody. */
typedef void gm_pressure_observation(uint64_t wanted_bytes);
void gm_pressure_observer(gm_pressure_observation *observation);

/* For tests: where the control group is read from, in place of /proc/self/cgroup and /sys/fs/cgroup. */
void gm_pressure_source(const char *groups, const char *mount);

#endif
