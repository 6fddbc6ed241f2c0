/* cache.h - a cache from the inside.
 *
 *   key ─▶ hash ─▶ shard ─▶ index ─▶ slot ─▶ block in the heap          lookups: no lock (find.c)
 *                    │                │ number
 *                    └─ policy ◀──────┘                                 stores, misses, evictions: the shard's lock
 *
 * A shard has a part of the capacity, its quota, and keeps to it by itself; so all of them together keep to the capacity.
 * What does not fit into one quota borrows of the others (capacity.c).
 *
 * Rules:
 *  - With a shard's lock held nothing is allocated from the heap or freed, no function of the program is called but a clock
 *    for tests, and the lock of no other shard is waited for unless its place is behind. So a collection may come at any
 *    allocation, and a callback may use the cache.
 *  - Room first: `used_bytes` of a shard falls before it rises, and never passes the quota.
 *  - What has been taken out is in a struct gm_leaving until the lock is gone; then it is told, and freed.
 *
 * Stands above libgeomem/heap and libgeomem/policy; the collector knows nothing of it.
 */
#ifndef GM_CACHE_CACHE_H
#define GM_CACHE_CACHE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "geomem/cache.h"
#include "libgeomem/cache/entry.h"
#include "libgeomem/cache/hash.h"
#include "libgeomem/cache/index.h"
#include "libgeomem/cache/slot.h"
#include "libgeomem/heap/lock.h"
#include "libgeomem/policy/policy.h"

#define GM_SHARDS_MAX 256u
#define GM_CACHE_NAME_BYTES 64u

/* Hashes of entries that went last for want of room, in no order; see elastic.c. */
#define GM_CACHE_GHOSTS 256u
struct gm_cache_ghosts {
    uint32_t hash[GM_CACHE_GHOSTS];
    uint32_t count;    /* places taken */
    uint64_t bytes;    /* that such entries take together, about */
    uint64_t returned; /* values stored again while their hash stood here */
};

struct gm_shard {
    /* Read by lookups; the first changes as the index grows. */
    _Alignas(64) _Atomic(struct gm_cache_index *) index;
    gm_slot_chunks *chunks;
    struct gm_policy *policy;
    struct geomem_cache *cache;

    /* Under the lock; used_bytes is read without. */
    _Alignas(64) struct gm_lock lock;
    uint32_t entries;
    struct gm_slots slots;
    uint64_t quota_bytes;
    _Atomic uint64_t used_bytes;
    struct geomem_cache_load *loads; /* under way */
    uint64_t stores, store_bytes;
    uint64_t loads_ended, load_failures, load_ns;
    uint64_t evictions[GEOMEM_CACHE_CAUSE_COUNT];
    uint64_t evicted_bytes[GEOMEM_CACHE_CAUSE_COUNT];
    struct gm_cache_ghosts ghosts; /* of elastic caches */
};

struct geomem_cache {
    /* Does not change while the cache is used. */
    struct gm_shard *shards;
    uint32_t shard_mask;
    uint32_t policy_kind; /* enum geomem_cache_policy */
    uint64_t number;      /* in the process */
    uint64_t seed;
    uint64_t ttl_ns, idle_ns;
    uint64_t start_ns;
    struct geomem_heap *heap;
    geomem_cache_evicted *evicted;
    uint64_t (*clock_ns)(void *arg);
    uint32_t (*key_class)(const void *key, size_t key_bytes, void *arg);
    void *arg;
    char name[GM_CACHE_NAME_BYTES];
    size_t bytes; /* mapped: this and the shards */

    /* Changes seldom. */
    _Alignas(64) _Atomic uint64_t capacity_bytes; /* changed with all shards' locks held */
    _Atomic uint64_t min_bytes, max_bytes;        /* likewise */
    bool is_elastic;
    _Atomic uint64_t refused_charge; /* elastic: the least that was too large of late; 0: none */
    _Atomic uint64_t sample_threshold;
    _Atomic uint64_t references; /* the program's, and one for each dead slot */
    struct geomem_cache *next;   /* gm_caches_lock */
    bool is_destroyed;           /* likewise: there for its last pins only */
    _Atomic uint32_t visitors;   /* futex; see gm_cache_visit */
    struct gm_lock threads_lock;
    _Atomic(struct gm_cache_thread *) threads; /* grows only */
    struct gm_cache_threads_block *thread_blocks;
    _Atomic uint64_t uses_told, uses_since_ns; /* of sampled keys; see tell.c */
    _Atomic uint64_t told_ns;                  /* when its state was last told to a listener */
    _Atomic uint64_t pinned_entries, pinned_bytes, pinned_ns; /* as last counted for it; when */
};

/* Of the list of caches. Ranks above all locks of caches. */
extern struct gm_lock gm_caches_lock;
/* That are not destroyed. NULL: the first. */
struct geomem_cache *gm_cache_next(struct geomem_cache *cache);

/* ---- places and times ---- */

static inline struct gm_shard *gm_cache_shard(const struct geomem_cache *cache, uint64_t hash)
{
    return &cache->shards[(uint32_t)(hash >> 24) & cache->shard_mask];
}
static inline struct gm_cache_slot *gm_cache_slot_of(const struct geomem_cache_entry *entry)
{
    return (struct gm_cache_slot *)(uintptr_t)entry; /* NOLINT: a handle */
}
static inline struct geomem_cache_entry *gm_cache_entry_of(struct gm_cache_slot *slot)
{
    return (struct geomem_cache_entry *)slot;
}
/* Nanoseconds: exact, or as the kernel has them at hand (a few milliseconds behind). */
uint64_t gm_cache_time_ns(const struct geomem_cache *cache);
uint64_t gm_cache_coarse_ns(const struct geomem_cache *cache);
/* Seconds since the cache was made, from 1. The time at hand may be one before it was made. */
static inline uint32_t gm_cache_seconds(const struct geomem_cache *cache, uint64_t time_ns)
{
    uint64_t ns = time_ns > cache->start_ns ? time_ns - cache->start_ns : 0;
    return (uint32_t)(ns / 1000000000u) + 1;
}

/* ---- find.c; gm_shard_find, for any thread without a lock, is in find.h ---- */

/* With the shard's lock: its number; 0: there is none. */
uint32_t gm_shard_find_locked(
    const struct gm_shard *shard, uint64_t hash, const void *key, size_t key_bytes);
bool gm_entry_is_over(const struct geomem_cache *cache, const struct gm_cache_slot *slot);
/* The last pin of a dead one is gone. */
void gm_slot_clear(struct gm_cache_slot *slot);
/* Gives a pin back: the last of a dead one frees it. Not counted. */
static inline void gm_slot_release(struct gm_cache_slot *slot)
{
    if (gm_word_is_last_of_dead(gm_slot_unpin(slot)))
        gm_slot_clear(slot);
}

/* ---- get.c ---- */

/* A lookup that counts, if it finds something: with a pin of the program's, taken at `site`. */
struct gm_cache_slot *gm_cache_lookup(
    struct geomem_cache *cache, uint64_t hash, const void *key, size_t key_bytes, const void *site);
/* It has found nothing: counted and told. */
void gm_cache_miss(struct geomem_cache *cache, uint64_t hash, const void *key, size_t key_bytes);
/* The calling thread gives the program a pin that it has taken. */
void gm_pin_note(struct geomem_cache *cache, struct gm_cache_slot *slot, const void *site);
/* When the policy asks for it. No lock held. */
void gm_shard_maintain(struct gm_shard *shard);

/* ---- leave.c: what has been taken out ---- */

#define GM_LEAVING_MOST 16u
struct gm_leaving {
    struct geomem_cache *cache;
    uint32_t count;
    struct gm_leaving_row {
        struct gm_cache_slot copy;  /* sizes and place; the block is the row's, unless: */
        struct gm_cache_slot *slot; /* dead, and one pin is the row's */
        uint64_t hash;
        uint64_t charge;
        enum geomem_cache_cause cause;
    } row[GM_LEAVING_MOST];
};
static inline void gm_leaving_begin(struct gm_leaving *leaving, struct geomem_cache *cache)
{
    leaving->cache = cache;
    leaving->count = 0;
}
static inline bool gm_leaving_is_full(const struct gm_leaving *leaving)
{
    return leaving->count == GM_LEAVING_MOST;
}
/* Tells and frees them. No lock held. */
void gm_leaving_end(struct gm_leaving *leaving);

/* ---- shard.c: with the shard's lock held ---- */

/* `leaving` must not be full. learn: the policy is to remember it, as one that went for want of room. */
void gm_shard_take_out(struct gm_shard *shard, uint32_t number, enum geomem_cache_cause cause,
    struct gm_leaving *leaving);
/* Until `charge` more fit, less what `spare` (a slot's number, or 0) will give back; and a slot is free. 0; -EAGAIN:
 * `leaving` is full; -EBUSY: what is left is pinned. */
int gm_shard_make_room(struct gm_shard *shard, uint64_t charge, uint32_t spare,
    enum geomem_cache_cause cause, struct gm_leaving *leaving);
/* Whether that could be done: nothing is evicted for what cannot. True where little would be, which is not looked at. */
bool gm_shard_could_make_room(const struct gm_shard *shard, uint64_t charge, uint32_t spare);
/* Bytes of entries that nobody has pinned at the moment, `spare` not among them; it stops counting at `enough`. */
uint64_t gm_shard_unpinned(const struct gm_shard *shard, uint32_t spare, uint64_t enough);
/* The entry in slot `number`, filled in, becomes live with so many pins; `old` (0: none) is the one it replaces, and is
 * taken out. Room was made. True: the policy wants maintenance. */
bool gm_shard_insert(struct gm_shard *shard, uint32_t number, uint64_t hash, uint64_t cost,
    uint32_t pins, uint32_t old, struct gm_leaving *leaving);
/* There is room in the index for one more. 0 or -ENOMEM. */
int gm_shard_index_ready(struct gm_shard *shard);
int gm_shard_init(
    struct gm_shard *shard, struct geomem_cache *cache, const struct gm_policy_config *config);
void gm_shard_done(struct gm_shard *shard);

/* ---- store.c: no lock held ---- */

/* Every entry leaves. */
uint64_t gm_cache_clear(struct geomem_cache *cache, enum geomem_cache_cause cause);

/* ---- create.c ---- */
void gm_cache_unreference(struct geomem_cache *cache);
/* A thread that has found a cache in the list makes entries leave: until it ends, geomem_cache_destroy waits for it. A forked
 * child has none of the threads it would wait for: visits from before the fork do not count there. */
struct gm_cache_visit {
    struct geomem_cache *cache; /* NULL: none */
    uint32_t forks;
};
/* gm_caches_lock is held. */
struct gm_cache_visit gm_cache_visit(struct geomem_cache *cache);
/* No lock held. */
void gm_cache_visit_end(const struct gm_cache_visit *visit);

/* ---- elastic.c: from slow paths, no lock held ---- */

/* Elastic caches that there are: without one nothing is looked at. */
extern _Atomic uint32_t gm_caches_elastic;
/* Gives way or grows, if it is time. */
void gm_caches_balance(void);
static inline void gm_caches_balance_sometimes(void)
{
    if (__builtin_expect(atomic_load_explicit(&gm_caches_elastic, memory_order_relaxed) != 0, 0))
        gm_caches_balance();
}

#endif
