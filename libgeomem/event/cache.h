/* cache.h - what caches in the program tell, as records: see CACHE, CACHE_USE and CACHE_EVICT in wire.h.
 *
 * Called on any thread, with no lock of ours held. Preserve errno and allocate nothing. What finds no room is counted as
 * lost: a state is made up for by the next, a use or an eviction is not.
 */
#ifndef GM_EVENT_CACHE_H
#define GM_EVENT_CACHE_H

#include "geomem/listener.h"
#include "libgeomem/unwind/unwind.h"

void gm_event_cache_state(const struct geomem_cache_state *state);
/* `context`: of the call of the cache. */
void gm_event_cache_use(const struct gm_context *context, const struct geomem_cache_key_use *use);
void gm_event_cache_class(uint64_t cache, uint32_t key_class, const char *name);
void gm_event_cache_evict(const struct geomem_cache_eviction *eviction);

#endif
