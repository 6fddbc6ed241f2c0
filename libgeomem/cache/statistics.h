/* statistics.h - what a cache has counted, added up. */
#ifndef GM_CACHE_STATISTICS_H
#define GM_CACHE_STATISTICS_H

#include "libgeomem/cache/cache.h"

/* All members but struct_bytes. No shard's lock held. */
void gm_cache_count(struct geomem_cache *cache, struct geomem_cache_statistics *ret_statistics);

#endif
