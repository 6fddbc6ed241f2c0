/* capacity.h - the capacity of a cache, divided among its shards. */
#ifndef GM_CACHE_CAPACITY_H
#define GM_CACHE_CAPACITY_H

#include "libgeomem/cache/cache.h"

/* All shards, in their order. */
void gm_cache_lock_all(struct geomem_cache *cache);
void gm_cache_unlock_all(struct geomem_cache *cache);

/* ---- no lock held ---- */

uint64_t gm_cache_capacity(const struct geomem_cache *cache);
/* A shard's quota becomes so much at least, and the others' less. 0; -EBUSY: they gave what they could. */
int gm_cache_lend(struct geomem_cache *cache, struct gm_shard *shard, uint64_t quota_bytes);
/* 0; -EBUSY: more than that is pinned, and the capacity is what is pinned. */
int gm_cache_set_capacity(
    struct geomem_cache *cache, uint64_t bytes, enum geomem_cache_cause cause);

#endif
