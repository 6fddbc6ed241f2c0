/* listener.h - how heap, collector and cache tell what happens, without knowing whom.
 *
 * While nobody listens, each place that could tell tests one pointer, and the fast paths not even that. A recorder's preload library defines
 * geomem_recorder_listener (see geomem/listener.h); stop_profiling's report has a listener of its own.
 *
 * Handlers run inside the allocator or, those of collections, inside the collector with the world stopped: they
 * may not allocate from libgeomem, wait for a thread of the program, or unwind by anything that locks.
 *
 * Stands between libgeomem/heap, gc, cache (which call) and libgeomem/preload, profile (which listen).
 */
#ifndef GM_HEAP_LISTENER_H
#define GM_HEAP_LISTENER_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "geomem/listener.h"

extern const struct geomem_listener *_Atomic gm_listener;

/* From now on it is told (NULL: nobody is). The allocation fast paths do not test for it at all: attaching empties the
 * way to them, so that every call takes its slow path. Threads inside a call may finish it untold. */
void gm_listener_attach(const struct geomem_listener *listener);

#ifdef GM_NO_LISTENER /* bench/hooks: what does it cost that somebody might? */
#define gm_listener_get() ((const struct geomem_listener *)NULL)
#else
static inline const struct geomem_listener *gm_listener_get(void)
{
    /* acquire: pairs with the release of whoever put it there */
    return atomic_load_explicit(&gm_listener, memory_order_acquire);
}
#endif

#endif
