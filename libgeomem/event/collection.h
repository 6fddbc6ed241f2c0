/* collection.h - what a collector in the program tells, as records: see SWEEP, GC_BEGIN, GC_STOP and GC_CYCLE in wire.h.
 *
 *   sweep of 64 state bytes --[struct geomem_swept]--> fold what is young in the own ring --> SWEEP: the rest
 *
 * Called while the program's other threads may be stopped, anywhere but with a shared ring's lock in their hands
 * (gm_scope_lock). Preserves errno, takes no other lock, allocates nothing.
 */
#ifndef GM_EVENT_COLLECTION_H
#define GM_EVENT_COLLECTION_H

#include "geomem/listener.h"

/* Call before the dead are free for others. */
void gm_event_swept(const struct geomem_swept *swept);

void gm_event_gc_begin(uint64_t heap, uint64_t number, uint32_t kind, uint32_t trigger);
void gm_event_gc_end(const struct geomem_gc_cycle *cycle);
/* Call when the stop is over. */
void gm_event_gc_stop(uint64_t number, uint64_t start_ns, uint64_t pause_ns);

#endif
