/* statistics.c - see statistics.h; and the walk that checks a cache. */
#include "libgeomem/cache/statistics.h"

#include <errno.h>
#include <string.h>

#include "libgeomem/cache/capacity.h"
#include "libgeomem/cache/thread.h"

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

/* Which entries are pinned stands in their slots only: all are looked at, if there are pins at all. */
static void shard_add_pinned(
    const struct gm_shard *shard, struct geomem_cache_statistics *statistics)
{
    for (uint32_t number = 1; number < shard->slots.fresh; number++)
        if (number % GM_CHUNK_SLOTS != 0)
            slot_add_pinned(gm_slot_at(shard->chunks, number), statistics);
}

void gm_cache_count(struct geomem_cache *cache, struct geomem_cache_statistics *ret_statistics)
{
    struct geomem_cache_statistics statistics = {
        .struct_bytes = sizeof statistics,
        .number = cache->number,
        .policy = cache->policy_kind,
        .shards = cache->shard_mask + 1,
    };
    memcpy(statistics.name, cache->name, sizeof statistics.name);
    gm_cache_lock_all(cache);
    statistics.capacity_bytes = gm_cache_capacity(cache);
    statistics.min_bytes = cache->min_bytes;
    statistics.max_bytes = cache->max_bytes;
    statistics.choice = gm_policy_choice(cache->shards[0].policy);
    statistics.switches = gm_policy_switches(cache->shards[0].policy);
    int64_t pins = threads_add(cache, &statistics);
    for (uint32_t i = 0; i <= cache->shard_mask; i++) {
        shard_add(&cache->shards[i], &statistics);
        if (pins != 0)
            shard_add_pinned(&cache->shards[i], &statistics);
    }
    gm_cache_unlock_all(cache);
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
