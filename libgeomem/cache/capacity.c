/* capacity.c - how the capacity is divided among shards, and changed. All shards' locks are held while quotas change, and their
 * sum is the capacity whenever they are not. */
#include <errno.h>

#include "libgeomem/cache/capacity.h"
#include "libgeomem/cache/tell.h"

void gm_cache_lock_all(struct geomem_cache *cache)
{
    for (uint32_t i = 0; i <= cache->shard_mask; i++)
        gm_lock_take(&cache->shards[i].lock);
}

void gm_cache_unlock_all(struct geomem_cache *cache)
{
    for (uint32_t i = 0; i <= cache->shard_mask; i++)
        gm_lock_give(&cache->shards[i].lock);
}

static uint64_t shard_used(const struct gm_shard *shard)
{
    return atomic_load_explicit(&shard->used_bytes, memory_order_relaxed);
}

uint64_t gm_cache_capacity(const struct geomem_cache *cache)
{
    return atomic_load_explicit(&cache->capacity_bytes, memory_order_relaxed);
}

static uint64_t cache_used(const struct geomem_cache *cache)
{
    uint64_t used = 0;
    for (uint32_t i = 0; i <= cache->shard_mask; i++)
        used += shard_used(&cache->shards[i]);
    return used;
}

/* After quotas have changed: the capacity is their sum, and the policies hear of it. */
static void quotas_settle(struct geomem_cache *cache)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i <= cache->shard_mask; i++)
        total += cache->shards[i].quota_bytes;
    for (uint32_t i = 0; i <= cache->shard_mask; i++) {
        uint64_t quota = cache->shards[i].quota_bytes;
        gm_policy_resize(cache->shards[i].policy, quota ? quota : 1, total ? total : 1);
    }
    atomic_store_explicit(&cache->capacity_bytes, total, memory_order_relaxed);
    if (total < cache->min_bytes)
        cache->min_bytes = total;
    if (total > cache->max_bytes)
        cache->max_bytes = total;
}

/* Down to `target`, or to what is pinned. 0; -EAGAIN: `leaving` is full, and the quota as it was. */
static int quota_lower(struct gm_shard *shard, uint64_t target, enum geomem_cache_cause cause,
    struct gm_leaving *leaving)
{
    uint64_t before = shard->quota_bytes;
    if (target >= before)
        return 0;
    shard->quota_bytes = target;
    int err = gm_shard_make_room(shard, 0, 0, cause, leaving);
    if (err == -EAGAIN)
        shard->quota_bytes = before;
    else if (err < 0)
        shard->quota_bytes = shard_used(shard) > target ? shard_used(shard) : target;
    return err == -EAGAIN ? err : 0;
}

/* ---- lending ---- */

/* Takes from the others, in proportion to what they have or whatever they have, until the shard's quota is `wanted`. */
static int quota_collect(struct geomem_cache *cache, struct gm_shard *to, uint64_t wanted, bool all,
    struct gm_leaving *leaving)
{
    uint64_t others = gm_cache_capacity(cache) - to->quota_bytes;
    uint64_t missing = wanted > to->quota_bytes ? wanted - to->quota_bytes : 0;
    for (uint32_t i = 0; i <= cache->shard_mask && to->quota_bytes < wanted; i++) {
        struct gm_shard *from = &cache->shards[i];
        if (from == to || from->quota_bytes == 0)
            continue;
        uint64_t before = from->quota_bytes, left = wanted - to->quota_bytes;
        uint64_t part = all || missing > others
                            ? before
                            : (uint64_t)((__uint128_t)missing * before / others) + 1;
        part = part > left ? left : part;
        int err = quota_lower(from, before > part ? before - part : 0, GEOMEM_CACHE_SIZE, leaving);
        to->quota_bytes += before - from->quota_bytes;
        if (err < 0)
            return err;
    }
    return to->quota_bytes >= wanted ? 0 : -EBUSY;
}

int gm_cache_lend(struct geomem_cache *cache, struct gm_shard *shard, uint64_t quota_bytes)
{
    struct gm_leaving leaving;
    gm_leaving_begin(&leaving, cache);
    int err;
    do {
        gm_cache_lock_all(cache);
        err = quota_collect(cache, shard, quota_bytes, false, &leaving);
        if (err == -EBUSY)
            err = quota_collect(cache, shard, quota_bytes, true, &leaving);
        quotas_settle(cache);
        gm_cache_unlock_all(cache);
        gm_leaving_end(&leaving);
    } while (err == -EAGAIN);
    return err;
}

/* ---- another capacity ---- */

static uint64_t shard_part(const struct geomem_cache *cache, uint64_t bytes, uint32_t shard)
{
    uint64_t shards = (uint64_t)cache->shard_mask + 1;
    return bytes / shards + (shard < bytes % shards ? 1 : 0);
}

static int quotas_set(struct geomem_cache *cache, uint64_t bytes, enum geomem_cache_cause cause,
    struct gm_leaving *leaving)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i <= cache->shard_mask; i++) {
        int err = quota_lower(&cache->shards[i], shard_part(cache, bytes, i), cause, leaving);
        if (err < 0)
            return err;
        total += cache->shards[i].quota_bytes;
    }
    /* What is pinned in one is taken from others. */
    for (uint32_t i = 0; i <= cache->shard_mask && total > bytes; i++) {
        struct gm_shard *shard = &cache->shards[i];
        uint64_t over = total - bytes, before = shard->quota_bytes;
        int err = quota_lower(shard, before > over ? before - over : 0, cause, leaving);
        if (err < 0)
            return err;
        total -= before - shard->quota_bytes;
    }
    for (uint32_t i = 0; i <= cache->shard_mask && total < bytes; i++) {
        struct gm_shard *shard = &cache->shards[i];
        uint64_t part = shard_part(cache, bytes, i);
        uint64_t more = part > shard->quota_bytes ? part - shard->quota_bytes : 0;
        more = more > bytes - total ? bytes - total : more;
        shard->quota_bytes += more;
        total += more;
    }
    return total > bytes ? -EBUSY : 0;
}

int gm_cache_set_capacity(struct geomem_cache *cache, uint64_t bytes, enum geomem_cache_cause cause)
{
    struct gm_leaving leaving;
    gm_leaving_begin(&leaving, cache);
    int err;
    do {
        gm_cache_lock_all(cache);
        err = quotas_set(cache, bytes, cause, &leaving);
        quotas_settle(cache);
        gm_cache_unlock_all(cache);
        gm_leaving_end(&leaving);
    } while (err == -EAGAIN);
    return err;
}

int geomem_cache_resize(struct geomem_cache *cache, uint64_t capacity_bytes)
{
    if (capacity_bytes == 0)
        return -EINVAL;
    int err = gm_cache_set_capacity(cache, capacity_bytes, GEOMEM_CACHE_SIZE);
    gm_tell_state(cache, false);
    return err;
}

static bool cache_is_elastic(const struct geomem_cache *cache)
{
    return cache->is_elastic;
}

uint64_t geomem_cache_shrink(struct geomem_cache *cache, uint64_t bytes)
{
    uint64_t used = cache_used(cache), capacity = gm_cache_capacity(cache);
    uint64_t target = used > bytes ? used - bytes : 0;
    if (cache_is_elastic(cache) && target < cache->min_bytes)
        target = cache->min_bytes;
    if (bytes == 0 || target >= capacity)
        return 0;
    gm_cache_set_capacity(cache, target, GEOMEM_CACHE_PRESSURE);
    uint64_t left = cache_used(cache);
    if (!cache_is_elastic(cache))
        gm_cache_set_capacity(cache, capacity, GEOMEM_CACHE_PRESSURE);
    gm_tell_state(cache, false);
    return used > left ? used - left : 0;
}
