/* capacity.h - the capacity of a cache, divided among its shards. */
#ifndef GM_CACHE_CAPACITY_H
#define GM_CACHE_CAPACITY_H

#include "libgeomem/cache/cache.h"

/* All shards, in their order. */
void gm_cache_lock_all(struct geomem_cache *cache);
void gm_cache_unlock_all(struct geomem_cache *cache);

/* ---- no lock held ---- */

uint64_t gm_cache_capacity(const struct geomem_cache *cache);
static inline uint64_t gm_cache_min(const struct geomem_cache *cache)
{
    return atomic_load_explicit(&cache->min_bytes, memory_order_relaxed);
}
static inline uint64_t gm_cache_max(const struct geomem_cache *cache)
{
    return atomic_load_explicit(&cache->max_bytes, memory_order_relaxed);
}
/* A shard's quota becomes so much at least, and the others' less. 0; -EBUSY: they gave what they could. */
int gm_cache_lend(struct geomem_cache *cache, struct gm_shard *shard, uint64_t quota_bytes);
/* A store was refused that an elastic cache could hold if it grew. Any lock held. */
void gm_cache_refused(struct geomem_cache *cache, uint64_t charge);
/* By so much, but not above max_bytes. */
void gm_cache_grow(struct geomem_cache *cache, uint64_t bytes);

#endif
