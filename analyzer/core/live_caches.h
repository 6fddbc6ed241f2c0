/* live_caches.h - the caches at one moment, as geomem-top shows them. */
#ifndef GM_ANALYZER_CORE_LIVE_CACHES_H
#define GM_ANALYZER_CORE_LIVE_CACHES_H

#include "analyzer/core/cache_views.h"

#define GM_LIVE_CACHES_MOST \
    32u /* caches of which there is more than counts: most used first; arbitrary */
#define GM_LIVE_CACHE_RECENT 120u /* intervals, a minute; arbitrary */

struct gm_live_cache {
    struct gm_cache_slices recent; /* the last intervals */
    char pin_where[256];           /* the call that took the oldest leaked pin; "": none */
};
struct gm_live_caches {
    struct gm_cache_views views;
    struct gm_live_cache v[GM_LIVE_CACHES_MOST]; /* of the first of them */
};

/* Replaces what is there. `past`: as of at_ns, else of the last commit. */
int gm_live_caches_load(struct gm_recording *recording, const struct gm_processes *processes,
    bool past, int64_t at_ns, struct gm_live_caches *caches);
void gm_live_caches_done(struct gm_live_caches *caches);

#endif
