/* get.c - what lookups give to the program, and what it gives back. */
#include <time.h>

#include "libgeomem/cache/find.h"
#include "libgeomem/cache/tell.h"
#include "libgeomem/cache/thread.h"

/* A thread looks at its own ledger so often: arbitrary. */
#define STAMP_MISSES 64u

static uint64_t clock_read(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t gm_cache_time_ns(const struct geomem_cache *cache)
{
    return cache->clock_ns ? cache->clock_ns(cache->arg) : clock_read(CLOCK_MONOTONIC);
}

uint64_t gm_cache_coarse_ns(const struct geomem_cache *cache)
{
    return cache->clock_ns ? cache->clock_ns(cache->arg) : clock_read(CLOCK_MONOTONIC_COARSE);
}

/* ---- pins of the program: counted, and in the ledger ---- */

/* A pin of the calling thread, whose counters these are. */
static inline void pin_begin(
    struct gm_cache_thread *counts, struct gm_cache_slot *slot, const void *site)
{
    gm_count_pins(&counts->pins, 1);
    if (gm_thread_self)
        gm_pin_record(gm_thread_self, slot, site);
}

void gm_pin_note(struct geomem_cache *cache, struct gm_cache_slot *slot, const void *site)
{
    pin_begin(gm_cache_thread(cache), slot, site);
    if (__builtin_expect(gm_listener_get() != NULL, 0))
        gm_tell_pin(cache, slot, GEOMEM_CACHE_PIN);
}

static inline void pin_end(struct geomem_cache *cache, struct gm_cache_slot *slot)
{
    gm_count_pins(&gm_cache_thread(cache)->pins, -1);
    if (gm_thread_self)
        gm_pin_forget(gm_thread_self, slot);
}

struct geomem_cache_entry *geomem_cache_retain(struct geomem_cache_entry *entry)
{
    struct gm_cache_slot *slot = gm_cache_slot_of(entry);
    gm_slot_repin(slot);
    gm_pin_note(gm_slot_shard(slot)->cache, slot, __builtin_return_address(0));
    return entry;
}

void geomem_cache_release(struct geomem_cache_entry *entry)
{
    if (!entry)
        return;
    struct gm_cache_slot *slot = gm_cache_slot_of(entry);
    struct geomem_cache *cache = gm_slot_shard(slot)->cache;
    if (__builtin_expect(gm_listener_get() != NULL, 0))
        gm_tell_pin(cache, slot, GEOMEM_CACHE_UNPIN);
    pin_end(cache, slot);
    gm_slot_release(slot);
}

/* ---- lookups ---- */

/* An entry whose time is up; the caller has a pin, which is gone afterwards. */
static void entry_expire(struct gm_shard *shard, struct gm_cache_slot *slot, uint64_t hash)
{
    struct gm_leaving leaving;
    gm_leaving_begin(&leaving, shard->cache);
    size_t key_bytes = gm_entry_key_bytes(slot);
    gm_lock_take(&shard->lock);
    /* Somebody else may have taken it out meanwhile, or found it used. */
    uint32_t number = gm_shard_find_locked(shard, hash, gm_entry_key(slot), key_bytes);
    if (number == gm_slot_number(slot) && gm_entry_is_over(shard->cache, slot))
        gm_shard_take_out(shard, number, GEOMEM_CACHE_EXPIRED, &leaving);
    gm_lock_give(&shard->lock);
    gm_leaving_end(&leaving);
    gm_slot_release(slot);
}

void gm_cache_miss(struct geomem_cache *cache, uint64_t hash, const void *key, size_t key_bytes)
{
    struct gm_cache_thread *counts = gm_cache_thread(cache);
    gm_count(&counts->misses, 1);
    if (gm_thread_self &&
        atomic_load_explicit(&counts->misses, memory_order_relaxed) % STAMP_MISSES == 0)
        gm_pins_stamp(gm_thread_self, gm_cache_coarse_ns(cache) / 1000000000u);
    gm_tell_use(cache, hash, GEOMEM_CACHE_MISS, key, key_bytes, 0, 0);
    gm_tell_state_sometimes(cache);
    gm_caches_balance_sometimes();
}

/* Learns from what threads have left behind: off the fast path. */
__attribute__((noinline)) void gm_shard_maintain(struct gm_shard *shard)
{
    gm_policy_maintain(shard->policy);
    if (!gm_lock_try(&shard->lock))
        return;
    gm_policy_settle(shard->policy);
    gm_lock_give(&shard->lock);
}

static void extra_use(const struct geomem_cache *cache, struct gm_entry_extra *extra)
{
    atomic_fetch_add_explicit(&extra->hits, 1, memory_order_relaxed);
    if (extra->idle_s == 0)
        return;
    uint32_t now = gm_cache_seconds(cache, gm_cache_coarse_ns(cache));
    if (atomic_load_explicit(&extra->used_s, memory_order_relaxed) != now)
        atomic_store_explicit(&extra->used_s, now, memory_order_relaxed);
}

static void hit_tell(struct geomem_cache *cache, const struct gm_cache_thread *counts,
    uint64_t hash, const struct gm_cache_slot *slot)
{
    size_t key_bytes = gm_entry_key_bytes(slot);
    const void *key = gm_entry_key(slot);
    uint64_t charge = gm_slot_charge(slot);
    gm_tell_use(cache, hash, GEOMEM_CACHE_HIT, key, key_bytes, charge, 0);
    gm_tell_use(cache, hash, GEOMEM_CACHE_PIN, key, key_bytes, charge, 0);
    if (atomic_load_explicit(&counts->hits, memory_order_relaxed) % GM_TELL_HITS == 0)
        gm_tell_state_sometimes(cache);
}

static inline struct gm_cache_slot *cache_lookup(
    struct geomem_cache *cache, uint64_t hash, const void *key, size_t key_bytes, const void *site)
{
    struct gm_shard *shard = gm_cache_shard(cache, hash);
    struct gm_cache_slot *slot = gm_shard_find(shard, hash, key, key_bytes);
    if (!slot)
        return NULL;
    struct gm_entry_extra *extra = gm_entry_extra(slot);
    if (__builtin_expect(extra != NULL, 0)) {
        if (gm_entry_is_over(cache, slot)) {
            entry_expire(shard, slot, hash);
            return NULL;
        }
        extra_use(cache, extra);
    }
    struct gm_cache_thread *counts = gm_cache_thread(cache);
    gm_count(&counts->hits, 1);
    gm_count(&counts->hit_bytes, slot->value_bytes);
    pin_begin(counts, slot, site);
    if (gm_policy_hit(shard->policy, gm_slot_number(slot), hash, counts->stripe))
        gm_shard_maintain(shard);
    if (__builtin_expect(gm_listener_get() != NULL, 0))
        hit_tell(cache, counts, hash, slot);
    return slot;
}

struct gm_cache_slot *gm_cache_lookup(
    struct geomem_cache *cache, uint64_t hash, const void *key, size_t key_bytes, const void *site)
{
    return cache_lookup(cache, hash, key, key_bytes, site);
}

struct geomem_cache_entry *geomem_cache_get(
    struct geomem_cache *cache, const void *key, size_t key_bytes)
{
    if (key_bytes == 0)
        return NULL;
    uint64_t hash = gm_hash(cache->seed, key, key_bytes);
    struct gm_cache_slot *slot =
        cache_lookup(cache, hash, key, key_bytes, __builtin_return_address(0));
    if (!slot)
        gm_cache_miss(cache, hash, key, key_bytes);
    return gm_cache_entry_of(slot);
}

struct geomem_cache_entry *geomem_cache_peek(
    struct geomem_cache *cache, const void *key, size_t key_bytes)
{
    if (key_bytes == 0)
        return NULL;
    uint64_t hash = gm_hash(cache->seed, key, key_bytes);
    struct gm_shard *shard = gm_cache_shard(cache, hash);
    struct gm_cache_slot *slot = gm_shard_find(shard, hash, key, key_bytes);
    if (!slot)
        return NULL;
    if (gm_entry_is_over(cache, slot)) {
        entry_expire(shard, slot, hash);
        return NULL;
    }
    gm_pin_note(cache, slot, __builtin_return_address(0));
    return gm_cache_entry_of(slot);
}

/* ---- of an entry ---- */

void *geomem_cache_data(const struct geomem_cache_entry *entry)
{
    return gm_entry_data(gm_cache_slot_of(entry));
}

size_t geomem_cache_bytes(const struct geomem_cache_entry *entry)
{
    return gm_cache_slot_of(entry)->value_bytes;
}

const void *geomem_cache_key(const struct geomem_cache_entry *entry, size_t *ret_bytes)
{
    const struct gm_cache_slot *slot = gm_cache_slot_of(entry);
    *ret_bytes = gm_entry_key_bytes(slot);
    return gm_entry_key(slot);
}

uint32_t geomem_cache_references(const struct geomem_cache_entry *entry)
{
    return atomic_load_explicit(&gm_cache_slot_of(entry)->word, memory_order_relaxed) &
           GM_SLOT_PINS;
}
