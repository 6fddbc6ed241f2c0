/* statistics.h - what a cache has counted, added up. */
#ifndef GM_CACHE_STATISTICS_H
#define GM_CACHE_STATISTICS_H

#include "libgeomem/cache/cache.h"

/* All of one moment. No shard's lock held. */
void gm_cache_count(struct geomem_cache *cache, struct geomem_cache_statistics *ret_statistics);
/* The same, but what is pinned may be some seconds old, unless it is to be said `now`; and not of one moment. */
void gm_cache_count_roughly(
    struct geomem_cache *cache, bool now, struct geomem_cache_statistics *ret_statistics);

#endif
