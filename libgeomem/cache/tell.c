/* tell.c - see tell.h. */
#include "libgeomem/cache/tell.h"

#include "libgeomem/cache/statistics.h"

#define TELL_NS 100000000u
/* So many uses of keys in less than TELL_NS are more than a recorder should be burdened with: half as many keys are in the sample
 * from then on. With two to four records for a use, and 16 to 64 bytes for a record: a few MB in a second. */
#define USES_MOST 5000u
#define THRESHOLD_LEAST (UINT64_MAX >> 20)

/* Keys that were in the smaller sample were in the larger too. */
static void sample_thin(struct geomem_cache *cache)
{
    uint64_t now = gm_cache_coarse_ns(cache);
    uint64_t since = atomic_exchange_explicit(&cache->uses_since_ns, now, memory_order_relaxed);
    uint64_t threshold = atomic_load_explicit(&cache->sample_threshold, memory_order_relaxed);
    if (now - since >= TELL_NS || threshold / 2 < THRESHOLD_LEAST)
        return;
    atomic_store_explicit(&cache->sample_threshold, threshold / 2, memory_order_relaxed);
    gm_tell_state(cache, false);
}

void gm_tell_use_slow(struct geomem_cache *cache, uint64_t hash, enum geomem_cache_use use,
    const void *key, size_t key_bytes, uint64_t bytes, uint64_t ns)
{
    const struct geomem_listener *listener = gm_listener_get();
    if (!listener || !listener->cache_use)
        return;
    struct geomem_cache_key_use told = {
        .cache = cache->number,
        .key = gm_hash_again(hash),
        .use = use,
        .key_class = cache->key_class ? cache->key_class(key, key_bytes, cache->arg) : 0,
        .bytes = bytes,
        .ns = ns,
    };
    listener->cache_use(&told);
    if (atomic_fetch_add_explicit(&cache->uses_told, 1, memory_order_relaxed) % USES_MOST ==
        USES_MOST - 1)
        sample_thin(cache);
}

void gm_tell_pin(
    struct geomem_cache *cache, const struct gm_cache_slot *slot, enum geomem_cache_use use)
{
    size_t key_bytes = gm_entry_key_bytes(slot);
    const void *key = gm_entry_key(slot);
    gm_tell_use(
        cache, gm_hash(cache->seed, key, key_bytes), use, key, key_bytes, gm_slot_charge(slot), 0);
}

void gm_tell_eviction(const struct geomem_cache *cache, const struct gm_leaving_row *row)
{
    const struct geomem_listener *listener = gm_listener_get();
    if (!listener || !listener->cache_evict || !gm_cache_samples(cache, row->hash))
        return;
    struct gm_entry_extra *extra = gm_entry_extra(&row->copy);
    struct geomem_cache_eviction told = {
        .cache = cache->number,
        .key = gm_hash_again(row->hash),
        .cause = row->cause,
        .hits = extra ? atomic_load_explicit(&extra->hits, memory_order_relaxed) : UINT32_MAX,
        .bytes = row->charge,
        .age_ns = extra ? gm_cache_time_ns(cache) - extra->stored_ns : 0,
    };
    listener->cache_evict(&told);
}

/* ---- the state ---- */

static void state_fill(const struct geomem_cache_statistics *from, struct geomem_cache_state *to)
{
    to->cache = from->number;
    to->policy = from->policy;
    to->choice = from->choice;
    to->switches = from->switches;
    to->capacity_bytes = from->capacity_bytes;
    to->used_bytes = from->used_bytes;
    to->entries = from->entries;
    to->pinned_entries = from->pinned_entries;
    to->pinned_bytes = from->pinned_bytes;
    to->hits = from->hits;
    to->hit_bytes = from->hit_bytes;
    to->misses = from->misses;
    to->stores = from->stores;
    to->store_bytes = from->store_bytes;
    to->loads = from->loads;
    to->load_failures = from->load_failures;
    to->load_waits = from->load_waits;
    to->load_ns = from->load_ns;
    for (int i = 0; i < GEOMEM_CACHE_CAUSE_COUNT; i++) {
        to->evictions[i] = from->evictions[i];
        to->evicted_bytes[i] = from->evicted_bytes[i];
    }
}

static void state_tell(struct geomem_cache *cache, bool closed, bool last)
{
    const struct geomem_listener *listener = gm_listener_get();
    if (!listener || !listener->cache_state)
        return;
    struct geomem_cache_statistics statistics;
    struct geomem_cache_state state = {
        .name = cache->name,
        .closed = closed,
        .sample_threshold = atomic_load_explicit(&cache->sample_threshold, memory_order_relaxed),
    };
    gm_cache_count_roughly(cache, last, &statistics);
    state_fill(&statistics, &state);
    listener->cache_state(&state);
}

void gm_tell_state(struct geomem_cache *cache, bool closed)
{
    state_tell(cache, closed, closed);
}

void gm_tell_last_state(struct geomem_cache *cache)
{
    state_tell(cache, false, true);
}

/* The switch of an adaptive policy is told at once: it is told by the slow path that finds it. */
void gm_tell_state_sometimes_slow(struct geomem_cache *cache)
{
    uint64_t now = gm_cache_coarse_ns(cache);
    uint64_t told = atomic_load_explicit(&cache->told_ns, memory_order_relaxed);
    if (now - told < TELL_NS || !atomic_compare_exchange_strong_explicit(&cache->told_ns, &told,
                                    now, memory_order_relaxed, memory_order_relaxed))
        return;
    gm_tell_state(cache, false);
}
