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
}

/* ---- changes ---- */

/* A change is made in rounds, since not more than GM_LEAVING_MOST entries can leave at a time: what it needs to know it reads
 * with all locks held, so that of two at once neither undoes the other. */
struct change {
    uint64_t bytes;   /* asked for */
    uint64_t evicted; /* bytes, so far */
    uint64_t target;  /* once it has begun, where it needs one */
    bool has_begun;
    struct gm_shard *shard; /* to lend to */
    struct gm_leaving leaving;
};

/* round: all locks held; 0, -EBUSY, or -EAGAIN: `leaving` is full. */
static int cache_change(struct geomem_cache *cache, struct change *change,
    int (*round)(struct geomem_cache *cache, struct change *change))
{
    change->evicted = 0;
    change->has_begun = false;
    gm_leaving_begin(&change->leaving, cache);
    int err;
    do {
        gm_cache_lock_all(cache);
        uint64_t used = cache_used(cache);
        err = round(cache, change);
        change->evicted += used - cache_used(cache);
        change->has_begun = true;
        quotas_settle(cache);
        gm_cache_unlock_all(cache);
        gm_leaving_end(&change->leaving);
    } while (err == -EAGAIN);
    return err;
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

/* What is not pinned in the others is enough. */
static bool shard_could_borrow(
    struct geomem_cache *cache, const struct gm_shard *to, uint64_t wanted)
{
    uint64_t found = to->quota_bytes;
    for (uint32_t i = 0; i <= cache->shard_mask && found < wanted; i++) {
        const struct gm_shard *from = &cache->shards[i];
        uint64_t left = wanted - found, spare = from->quota_bytes - shard_used(from);
        if (from == to)
            continue;
        found += spare < left ? spare : left;
        if (spare < left)
            found += gm_shard_unpinned(from, 0, left - spare);
    }
    return found >= wanted;
}

static int round_lend(struct geomem_cache *cache, struct change *change)
{
    if (!change->has_begun && !shard_could_borrow(cache, change->shard, change->bytes))
        return -EBUSY;
    int err = quota_collect(cache, change->shard, change->bytes, false, &change->leaving);
    if (err == -EBUSY)
        err = quota_collect(cache, change->shard, change->bytes, true, &change->leaving);
    return err;
}

int gm_cache_lend(struct geomem_cache *cache, struct gm_shard *shard, uint64_t quota_bytes)
{
    struct change change;
    change.shard = shard;
    change.bytes = quota_bytes;
    return cache_change(cache, &change, round_lend);
}

/* ---- another capacity ---- */

static uint64_t shard_part(const struct geomem_cache *cache, uint64_t bytes, uint32_t shard)
{
    uint64_t shards = (uint64_t)cache->shard_mask + 1;
    return bytes / shards + (shard < bytes % shards ? 1 : 0);
}

/* Never below `bytes` on the way: first of those that have more than their part, then, where that is pinned, of any. */
static int quotas_lower(struct geomem_cache *cache, uint64_t bytes, enum geomem_cache_cause cause,
    struct gm_leaving *leaving)
{
    uint64_t total = gm_cache_capacity(cache);
    uint32_t shards = cache->shard_mask + 1;
    for (uint32_t i = 0; i < shards * 2 && total > bytes; i++) {
        struct gm_shard *shard = &cache->shards[i % shards];
        uint64_t over = total - bytes, before = shard->quota_bytes;
        uint64_t least = i < shards ? shard_part(cache, bytes, i) : 0;
        uint64_t target = before > over ? before - over : 0;
        int err = quota_lower(shard, target > least ? target : least, cause, leaving);
        total -= before - shard->quota_bytes;
        if (err < 0)
            return err;
    }
    return total > bytes ? -EBUSY : 0;
}

/* Nothing leaves. Those that have less than their part miss as much together, or more. */
static void quotas_raise(struct geomem_cache *cache, uint64_t bytes)
{
    uint64_t total = gm_cache_capacity(cache);
    for (uint32_t i = 0; i <= cache->shard_mask && total < bytes; i++) {
        struct gm_shard *shard = &cache->shards[i];
        uint64_t part = shard_part(cache, bytes, i);
        uint64_t more = part > shard->quota_bytes ? part - shard->quota_bytes : 0;
        more = more > bytes - total ? bytes - total : more;
        shard->quota_bytes += more;
        total += more;
    }
}

/* The program has set the capacity: what it has passed moves with it. */
static void bounds_move(struct geomem_cache *cache)
{
    uint64_t capacity = 0;
    for (uint32_t i = 0; i <= cache->shard_mask; i++)
        capacity += cache->shards[i].quota_bytes;
    if (!cache->is_elastic || capacity < gm_cache_min(cache))
        atomic_store_explicit(&cache->min_bytes, capacity, memory_order_relaxed);
    if (!cache->is_elastic || capacity > gm_cache_max(cache))
        atomic_store_explicit(&cache->max_bytes, capacity, memory_order_relaxed);
}

static int round_resize(struct geomem_cache *cache, struct change *change)
{
    quotas_raise(cache, change->bytes);
    int err = 0;
    if (change->bytes < gm_cache_capacity(cache))
        err = quotas_lower(cache, change->bytes, GEOMEM_CACHE_SIZE, &change->leaving);
    if (err != -EAGAIN)
        bounds_move(cache);
    return err;
}

int geomem_cache_resize(struct geomem_cache *cache, uint64_t capacity_bytes)
{
    if (capacity_bytes == 0)
        return -EINVAL;
    struct change change;
    change.bytes = capacity_bytes;
    int err = cache_change(cache, &change, round_resize);
    gm_tell_state(cache, false);
    return err;
}

static int round_grow(struct geomem_cache *cache, struct change *change)
{
    uint64_t capacity = gm_cache_capacity(cache), most = gm_cache_max(cache);
    if (capacity < most)
        quotas_raise(cache, change->bytes < most - capacity ? capacity + change->bytes : most);
    return 0;
}

void gm_cache_grow(struct geomem_cache *cache, uint64_t bytes)
{
    struct change change;
    change.bytes = bytes;
    cache_change(cache, &change, round_grow);
}

/* ---- giving way ---- */

/* The quota stays. 0; -EAGAIN: `leaving` is full. */
static int shard_empty(struct gm_shard *shard, uint64_t bytes, struct gm_leaving *leaving)
{
    uint64_t quota = shard->quota_bytes, used = shard_used(shard);
    shard->quota_bytes = used > bytes ? used - bytes : 0;
    int err = gm_shard_make_room(shard, 0, 0, GEOMEM_CACHE_PRESSURE, leaving);
    shard->quota_bytes = quota;
    return err == -EAGAIN ? err : 0;
}

/* Of each shard in proportion to what it holds, and then, where that is pinned, of any. */
static int round_empty(struct geomem_cache *cache, struct change *change)
{
    uint64_t used = cache_used(cache);
    uint64_t left = change->bytes > change->evicted ? change->bytes - change->evicted : 0;
    uint64_t all = left;
    uint32_t shards = cache->shard_mask + 1;
    for (uint32_t i = 0; i < shards * 2 && left != 0; i++) {
        struct gm_shard *shard = &cache->shards[i % shards];
        uint64_t before = shard_used(shard), part = left;
        if (i < shards && all < used)
            part = (uint64_t)((__uint128_t)all * before / used) + 1;
        int err = before == 0 ? 0 : shard_empty(shard, part < left ? part : left, &change->leaving);
        uint64_t gone = before - shard_used(shard);
        left -= gone < left ? gone : left;
        if (err < 0)
            return err;
    }
    return 0;
}

static int round_shrink(struct geomem_cache *cache, struct change *change)
{
    uint64_t used = cache_used(cache), least = gm_cache_min(cache);
    if (!change->has_begun)
        change->target = used > change->bytes ? used - change->bytes : 0;
    if (change->target < least)
        change->target = least;
    if (change->target >= gm_cache_capacity(cache))
        return 0;
    return quotas_lower(cache, change->target, GEOMEM_CACHE_PRESSURE, &change->leaving);
}

uint64_t geomem_cache_shrink(struct geomem_cache *cache, uint64_t bytes)
{
    if (bytes == 0)
        return 0;
    struct change change;
    change.bytes = bytes;
    cache_change(cache, &change, cache->is_elastic ? round_shrink : round_empty);
    gm_tell_state(cache, false);
    return change.evicted;
}
