/* tell.h - what a cache tells the process's listener. Nobody listens: one load and one branch. */
#ifndef GM_CACHE_TELL_H
#define GM_CACHE_TELL_H

#include "libgeomem/cache/cache.h"
#include "libgeomem/heap/listener.h"

/* Hashes are told mixed once more, so that the sample is independent of shards and buckets. */
static inline bool gm_cache_samples(const struct geomem_cache *cache, uint64_t hash)
{
    return gm_listener_get() != NULL &&
           gm_hash_again(hash) <=
               atomic_load_explicit(&cache->sample_threshold, memory_order_relaxed);
}

void gm_tell_use_slow(struct geomem_cache *cache, uint64_t hash, enum geomem_cache_use use,
    const void *key, size_t key_bytes, uint64_t bytes, uint64_t ns);
/* `bytes`: charged. */
static inline void gm_tell_use(struct geomem_cache *cache, uint64_t hash, enum geomem_cache_use use,
    const void *key, size_t key_bytes, uint64_t bytes, uint64_t ns)
{
    if (__builtin_expect(gm_cache_samples(cache, hash), 0))
        gm_tell_use_slow(cache, hash, use, key, key_bytes, bytes, ns);
}

/* The program gets a pin (GEOMEM_CACHE_PIN), or gives one back (GEOMEM_CACHE_UNPIN). */
void gm_tell_pin(
    struct geomem_cache *cache, const struct gm_cache_slot *slot, enum geomem_cache_use use);

void gm_tell_eviction(const struct geomem_cache *cache, const struct gm_leaving_row *row);

/* A thread that only hits looks so often whether the state should be told. */
#define GM_TELL_HITS 4096u

/* The state now, what is pinned as of the last seconds unless it is closed; or, from slow paths, if it was not told for
 * 100 ms. No lock held. */
void gm_tell_state(struct geomem_cache *cache, bool closed);
/* The cache, or the process, is about to end: what is pinned as of now. */
void gm_tell_last_state(struct geomem_cache *cache);
void gm_tell_state_sometimes_slow(struct geomem_cache *cache);
static inline void gm_tell_state_sometimes(struct geomem_cache *cache)
{
    if (__builtin_expect(gm_listener_get() != NULL, 0))
        gm_tell_state_sometimes_slow(cache);
}

#endif
