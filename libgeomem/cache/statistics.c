/* statistics.c - see statistics.h; and the walk that checks a cache. */
#include "libgeomem/cache/statistics.h"

#include <errno.h>
#include <string.h>

#include "libgeomem/cache/capacity.h"
#include "libgeomem/cache/thread.h"

/* What is pinned is counted so often for reports: all slots of 10,000,000 entries are 160 MB. */
#define PINNED_NS 2000000000u

/* ---- counters of threads ---- */

static int64_t threads_add(
    const struct geomem_cache *cache, struct geomem_cache_statistics *statistics)
{
    int64_t pins = 0;
    /* acquire: pairs with the release in counts_add */
    const struct gm_cache_thread *counts =
        atomic_load_explicit(&cache->threads, memory_order_acquire);
    for (; counts; counts = counts->next) {
        statistics->hits += atomic_load_explicit(&counts->hits, memory_order_relaxed);
        statistics->hit_bytes += atomic_load_explicit(&counts->hit_bytes, memory_order_relaxed);
        statistics->misses += atomic_load_explicit(&counts->misses, memory_order_relaxed);
        statistics->load_waits += atomic_load_explicit(&counts->load_waits, memory_order_relaxed);
        pins += atomic_load_explicit(&counts->pins, memory_order_relaxed);
    }
    return pins;
}

/* ---- shards, locked ---- */

static void shard_add(const struct gm_shard *shard, struct geomem_cache_statistics *statistics)
{
    statistics->used_bytes += atomic_load_explicit(&shard->used_bytes, memory_order_relaxed);
    statistics->entries += shard->entries;
    statistics->stores += shard->stores;
    statistics->store_bytes += shard->store_bytes;
    statistics->loads += shard->loads_ended;
    statistics->load_failures += shard->load_failures;
    statistics->load_ns += shard->load_ns;
    for (int i = 0; i < GEOMEM_CACHE_CAUSE_COUNT; i++) {
        statistics->evictions[i] += shard->evictions[i];
        statistics->evicted_bytes[i] += shard->evicted_bytes[i];
    }
    const struct gm_cache_index *index = atomic_load_explicit(&shard->index, memory_order_relaxed);
    statistics->overhead_bytes += index->bytes + (uint64_t)shard->slots.fresh * 16;
}

static void slot_add_pinned(
    const struct gm_cache_slot *slot, struct geomem_cache_statistics *statistics)
{
    uint32_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
    if ((word & GM_SLOT_PINS) == 0 || (word & GM_SLOT_STATE) == 0)
        return;
    statistics->pinned_entries++;
    statistics->pinned_bytes += gm_slot_charge(slot);
}

/* Which entries are pinned stands in their slots only: those of one chunk. */
static void chunk_add_pinned(
    const struct gm_shard *shard, uint32_t chunk, struct geomem_cache_statistics *statistics)
{
    uint32_t number = chunk * GM_CHUNK_SLOTS, end = number + GM_CHUNK_SLOTS;
    for (number++; number < end && number < shard->slots.fresh; number++)
        slot_add_pinned(gm_slot_at(shard->chunks, number), statistics);
}

static uint32_t shard_chunks(const struct gm_shard *shard)
{
    return (shard->slots.fresh + GM_CHUNK_SLOTS - 1) / GM_CHUNK_SLOTS;
}

/* All but what is pinned; returns how many pins the program has, about. */
static int64_t cache_add(struct geomem_cache *cache, struct geomem_cache_statistics *statistics)
{
    statistics->struct_bytes = sizeof *statistics;
    statistics->number = cache->number;
    memcpy(statistics->name, cache->name, sizeof statistics->name);
    statistics->policy = cache->policy_kind;
    statistics->shards = cache->shard_mask + 1;
    statistics->capacity_bytes = gm_cache_capacity(cache);
    statistics->min_bytes = cache->min_bytes;
    statistics->max_bytes = cache->max_bytes;
    statistics->choice = gm_policy_choice(cache->shards[0].policy);
    statistics->switches = gm_policy_switches(cache->shards[0].policy);
    for (uint32_t i = 0; i <= cache->shard_mask; i++)
        shard_add(&cache->shards[i], statistics);
    return threads_add(cache, statistics);
}

void gm_cache_count(struct geomem_cache *cache, struct geomem_cache_statistics *ret_statistics)
{
    struct geomem_cache_statistics statistics = {0};
    gm_cache_lock_all(cache);
    int64_t pins = cache_add(cache, &statistics);
    for (uint32_t i = 0; i <= cache->shard_mask && pins != 0; i++)
        for (uint32_t chunk = 0; chunk < shard_chunks(&cache->shards[i]); chunk++)
            chunk_add_pinned(&cache->shards[i], chunk, &statistics);
    gm_cache_unlock_all(cache);
    *ret_statistics = statistics;
}

/* ---- for reports: nobody waits while all slots are looked at ---- */

static void shard_add_pinned(struct gm_shard *shard, struct geomem_cache_statistics *statistics)
{
    for (uint32_t chunk = 0, chunks = 1; chunk < chunks; chunk++) {
        gm_lock_take(&shard->lock);
        chunks = shard_chunks(shard);
        chunk_add_pinned(shard, chunk, statistics);
        gm_lock_give(&shard->lock);
    }
}

/* Is it time, and the calling thread's turn? */
static bool pinned_are_due(struct geomem_cache *cache, bool now)
{
    uint64_t time_ns = gm_cache_coarse_ns(cache);
    uint64_t then_ns = atomic_load_explicit(&cache->pinned_ns, memory_order_relaxed);
    return (now || then_ns == 0 || time_ns - then_ns >= PINNED_NS) &&
           atomic_compare_exchange_strong_explicit(
               &cache->pinned_ns, &then_ns, time_ns, memory_order_relaxed, memory_order_relaxed);
}

static void cache_add_pinned(
    struct geomem_cache *cache, bool now, struct geomem_cache_statistics *statistics)
{
    if (pinned_are_due(cache, now)) {
        for (uint32_t i = 0; i <= cache->shard_mask; i++)
            shard_add_pinned(&cache->shards[i], statistics);
        atomic_store_explicit(
            &cache->pinned_entries, statistics->pinned_entries, memory_order_relaxed);
        atomic_store_explicit(&cache->pinned_bytes, statistics->pinned_bytes, memory_order_relaxed);
        return;
    }
    statistics->pinned_entries = atomic_load_explicit(&cache->pinned_entries, memory_order_relaxed);
    statistics->pinned_bytes = atomic_load_explicit(&cache->pinned_bytes, memory_order_relaxed);
}

void gm_cache_count_roughly(
    struct geomem_cache *cache, bool now, struct geomem_cache_statistics *ret_statistics)
{
    struct geomem_cache_statistics statistics = {0};
    gm_cache_lock_all(cache);
    int64_t pins = cache_add(cache, &statistics);
    gm_cache_unlock_all(cache);
    if (pins != 0)
        cache_add_pinned(cache, now, &statistics);
    *ret_statistics = statistics;
}

int geomem_cache_statistics(
    struct geomem_cache *cache, struct geomem_cache_statistics *ret_statistics)
{
    if (ret_statistics->struct_bytes != sizeof *ret_statistics)
        return -EINVAL;
    gm_cache_count(cache, ret_statistics);
    return 0;
}

/* ---- checking ---- */

/* What slots and index say of the entries is what the counts say. */
static bool shard_is_whole(const struct gm_shard *shard)
{
    uint64_t entries = 0, bytes = 0;
    for (uint32_t number = 1; number < shard->slots.fresh; number++) {
        const struct gm_cache_slot *slot = gm_slot_at(shard->chunks, number);
        if (number % GM_CHUNK_SLOTS == 0 ||
            !gm_word_is_live(atomic_load_explicit(&slot->word, memory_order_relaxed)))
            continue;
        size_t key_bytes = gm_entry_key_bytes(slot);
        const void *key = gm_entry_key(slot);
        uint64_t hash = gm_hash(shard->cache->seed, key, key_bytes);
        if (gm_cache_shard(shard->cache, hash) != shard ||
            gm_policy_hash(shard->policy, number) != hash ||
            gm_policy_charge(shard->policy, number) != gm_slot_charge(slot) ||
            gm_shard_find_locked(shard, hash, key, key_bytes) != number)
            return false;
        entries++;
        bytes += gm_slot_charge(slot);
    }
    uint64_t used = atomic_load_explicit(&shard->used_bytes, memory_order_relaxed);
    return entries == shard->entries && bytes == used && used <= shard->quota_bytes &&
           gm_policy_used(shard->policy) == used && gm_policy_entries(shard->policy) == entries &&
           gm_policy_check(shard->policy) == NULL;
}

int geomem_cache_check(struct geomem_cache *cache)
{
    int err = 0;
    uint64_t quotas = 0;
    gm_cache_lock_all(cache);
    for (uint32_t i = 0; i <= cache->shard_mask; i++) {
        quotas += cache->shards[i].quota_bytes;
        if (!shard_is_whole(&cache->shards[i]))
            err = -EUCLEAN;
    }
    if (quotas != gm_cache_capacity(cache))
        err = -EUCLEAN;
    gm_cache_unlock_all(cache);
    return err;
}
