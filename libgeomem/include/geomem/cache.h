/* geomem/cache.h - caches with a strict bound in bytes, whose values stay where they are while they are used.
 *
 *     struct geomem_cache *pages;
 *     struct geomem_cache_options options = {.struct_bytes = sizeof options, .name = "pages", .capacity_bytes = 64 << 20};
 *     int r = geomem_cache_create(&options, &pages);
 *     ...
 *     struct geomem_cache_entry *page = geomem_cache_get(pages, url, strlen(url));
 *     if (page) {
 *         send(geomem_cache_data(page), geomem_cache_bytes(page));
 *         geomem_cache_release(page);
 *     }
 *
 * A cache maps keys (1 to 65,535 bytes, compared byte by byte) to values. A value is bytes that the cache copies, or a
 * pointer to a collected block, which the cache keeps alive. What leaves when there is no room is for the policy to say.
 *
 * Pins. Whoever gets an entry has a pin on it, and gives it back by geomem_cache_release, on any thread. A pin guarantees
 * the memory, not that the entry is still in the cache: removing or replacing takes an entry out at once, and
 * its memory lives until its last pin is gone. What is pinned is never evicted. So a thread that never gives pins back
 * takes room away from the cache: geomem_cache_pins finds it.
 *
 * Bytes. An entry is charged for what it takes: the block with key, value and header, rounded up as the heap rounds, and
 * GEOMEM_CACHE_ENTRY_BYTES for what is known of it elsewhere. Room is made before an entry is let in, so that a cache is
 * never over its capacity, at no moment. Entries that have left and are still pinned are not charged to it; statistics
 * show them.
 *
 * Functions of the program's, called by a cache, run with none of its locks held and may use caches, where it is not said
 * otherwise. Only loaders may end by an exception or by the end of their thread: what leaves another in this way takes pins
 * and memory along for good. A store, a load or a miss may make entries of elastic caches leave, too, and then calls what these want
 * called: a lock that the program holds while it uses one cache must not be taken in a function of another.
 *
 * All functions may be called from any thread, but from no signal handler, and, where it is not said otherwise, allocate
 * nothing. geomem_cache_get takes no lock. A cache whose capacity is worth fewer than 1,024 entries is one shard under one
 * lock, larger ones are several. Threads are those made by the C library: as long as it has made none, locks and pins
 * do without what other processors would see, and a thread made by clone() alone must not use caches. In a forked child
 * caches are as they were; pins of threads that are not there any more stay.
 */
#ifndef GEOMEM_CACHE_H
#define GEOMEM_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include <geomem/listener.h> /* causes, policies */

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

struct geomem_heap;
struct geomem_cache;
struct geomem_cache_entry; /* held by a pin */

/* What an entry costs beside its block: its share of the index, its slot, what the policy knows of it. */
#define GEOMEM_CACHE_ENTRY_BYTES 48u

/* What the policy is to make much of. */
enum geomem_cache_goal {
    GEOMEM_GOAL_HITS = 0,  /* requests answered */
    GEOMEM_GOAL_COST = 1,  /* time saved: what loaders were measured to take, or the program says */
    GEOMEM_GOAL_BYTES = 2, /* bytes answered */
};

/* An entry leaves the cache, or was not let in: read during the call only. */
struct geomem_cache_gone {
    const void *key;
    size_t key_bytes;
    const void *data; /* the value, or the collected block */
    size_t data_bytes;
    uint64_t charged_bytes;
    enum geomem_cache_cause cause;
};
/* Called after the entry has left, on the thread whose call made it leave, no lock held: it may use this cache and others. For
 * each entry once. Others may still have pins on it. */
typedef void geomem_cache_evicted(const struct geomem_cache_gone *gone, void *arg);

/* ---- caches ---- */

struct geomem_cache_options {
    size_t struct_bytes; /* sizeof(struct geomem_cache_options); 0 in other members: the default */
    const char *name;    /* UTF-8, copied, cut at 63 bytes; for reports. NULL: "cache N" */
    uint64_t capacity_bytes; /* at least 1 */
    /* Elastic: the capacity goes down to min_bytes when memory runs short, and up to max_bytes while there is enough. 0 and
     * 0: it stays as it is. Otherwise min_bytes <= capacity_bytes <= max_bytes. */
    uint64_t min_bytes, max_bytes;
    enum geomem_cache_policy policy; /* not GEOMEM_POLICY_OTHER */
    enum geomem_cache_goal goal;
    uint64_t
        expected_entries; /* how many will fit, roughly; 0: one for each 256 bytes of capacity */
    uint32_t shards;      /* a power of two up to 256; 0: by entries and processors */
    uint64_t seed;        /* of the hash, and of what the policy draws; 0: a random one */
    /* For entries that are not given their own: see struct geomem_cache_store_options. */
    uint64_t ttl_ns, idle_ns;
    struct geomem_heap *heap;      /* where entries lie; NULL: the default heap */
    geomem_cache_evicted *evicted; /* NULL: nobody wants to know */
    /* For tests: nanoseconds that never go back, instead of CLOCK_MONOTONIC. Called with locks held: it must not use
     * caches. NULL: the real ones. */
    uint64_t (*clock_ns)(void *arg);
    /* For reports: the class that a key belongs to (table, tenant, kind of request), 1 and up; 0: none. Called for keys of the
     * sample while the program is recorded. */
    uint32_t (*key_class)(const void *key, size_t key_bytes, void *arg);
    void *arg; /* of the three */
};

/* Allocates. -EINVAL: struct_bytes, no capacity, or a value that is not known or contradicts another; -ENOMEM. Lasts until
 * geomem_cache_destroy. */
int geomem_cache_create(
    const struct geomem_cache_options *options, struct geomem_cache **ret_cache);
/* All entries leave (GEOMEM_CACHE_CLOSED). No thread may use the cache meanwhile or later, but to release pins: its memory
 * goes with the last of them. When it returns, no callback of the cache runs or will: it waits for other threads that are
 * relieving an elastic one. So it must not be called from an eviction callback, nor with a lock that one takes. NULL: nothing
 * happens. */
void geomem_cache_destroy(struct geomem_cache *cache);

/* Another capacity, within or beyond min_bytes and max_bytes: the one that it would pass is moved with it. When it returns,
 * entries beyond it have left (GEOMEM_CACHE_SIZE). 0; -EINVAL: 0 bytes; -EBUSY: so much is pinned that the cache has been
 * brought down to what is pinned only, and the capacity is that; -ENOMEM: it is as it was. */
int geomem_cache_resize(struct geomem_cache *cache, uint64_t capacity_bytes);
/* Evicts about `bytes` (GEOMEM_CACHE_PRESSURE) and lowers the capacity by it, as far as min_bytes allows (a cache that is not
 * elastic: keeps its capacity, and is only emptied). Returns bytes that have left. */
uint64_t geomem_cache_shrink(struct geomem_cache *cache, uint64_t bytes);
/* The same for all caches of the process that are elastic, that with the lowest marginal hits per byte first. It comes by
 * itself after collections, and when the kernel tells of pressure or a limit is near: from calls that store or miss, at most
 * once in a second. */
uint64_t geomem_caches_relieve(uint64_t bytes);

/* ---- entries ---- */

/* The entry of a key, pinned; NULL: there is none, or its time is up. */
struct geomem_cache_entry *geomem_cache_get(
    struct geomem_cache *cache, const void *key, size_t key_bytes);
/* The same, but neither counted nor taken for a use by the policy, nor by idle_ns. */
struct geomem_cache_entry *geomem_cache_peek(
    struct geomem_cache *cache, const void *key, size_t key_bytes);

/* Times are checked when an entry is asked for, with a clock that goes on every second: an entry lives up to one second
 * longer than said, never shorter. What is not asked for any more leaves when the policy finds it. */
struct geomem_cache_store_options {
    size_t struct_bytes; /* sizeof(struct geomem_cache_store_options) */
    uint64_t ttl_ns;     /* after it was stored; 0: the cache's; 68 years and more: for ever */
    uint64_t idle_ns;    /* after it was last got; 0: the cache's; likewise */
    uint64_t
        cost_ns; /* what it took to make it, for GEOMEM_GOAL_COST; 0: as others on the average */
};

/* Not let in, and no error: results of the functions below. The value is there nevertheless, in *ret_entry, outside the cache
 * and pinned, unless ret_entry is NULL. What was stored for the key before has left. */
enum geomem_cache_refusal {
    GEOMEM_CACHE_FULL_PINNED = 1, /* no room: everything that could have left is pinned */
    GEOMEM_CACHE_TOO_LARGE = 2,   /* it would be charged more than the capacity of the cache */
};

/* Copies `bytes` of data and lets the entry in; what was stored for the key leaves (GEOMEM_CACHE_REPLACED). options NULL: as
 * the cache says. ret_entry NULL, or the new entry, pinned. Allocates. 0; an enum geomem_cache_refusal; -EINVAL: a key of 0 bytes
 * or more than 65,535, a value of more than 4,095 MB, struct_bytes; -ENOMEM: the key has the value that it had, but room may
 * have been made. */
int geomem_cache_store(struct geomem_cache *cache, const void *key, size_t key_bytes,
    const void *data, size_t bytes, const struct geomem_cache_store_options *options,
    struct geomem_cache_entry **ret_entry);
/* The value is a collected block, kept by the cache while it is cached or pinned, with all that it points to. `bytes`: what is to
 * be charged for it; 0: the block alone, as geomem_usable_size says. -EINVAL also: not a collected block's beginning. */
int geomem_cache_store_collected(struct geomem_cache *cache, const void *key, size_t key_bytes,
    void *block, uint64_t bytes, const struct geomem_cache_store_options *options,
    struct geomem_cache_entry **ret_entry);
/* 0, or -ENOENT. What a loader is about to make for the key will not be let in. */
int geomem_cache_remove(struct geomem_cache *cache, const void *key, size_t key_bytes);
/* Every entry (GEOMEM_CACHE_REMOVED). Returns how many. */
uint64_t geomem_cache_clear(struct geomem_cache *cache);

/* One more pin on an entry that the caller has one on; returns it. An entry that has ever had 11,534,336 pins at once is never
 * freed. */
struct geomem_cache_entry *geomem_cache_retain(struct geomem_cache_entry *entry);
/* NULL: nothing happens. May free memory. */
void geomem_cache_release(struct geomem_cache_entry *entry);

/* Of an entry that the caller has a pin on, valid as long. Data are aligned to 16 bytes. They are everybody's: to be written
 * to only if the program has agreed with itself on how. */
void *geomem_cache_data(const struct geomem_cache_entry *entry);
size_t geomem_cache_bytes(const struct geomem_cache_entry *entry);
const void *geomem_cache_key(const struct geomem_cache_entry *entry, size_t *ret_bytes);
uint32_t geomem_cache_references(const struct geomem_cache_entry *entry); /* pins, at the moment */

/* ---- loading ---- */

/* One load: valid while the loader runs, and on its thread. */
struct geomem_cache_load;
/* Makes the value of a key, no lock held; it may use caches. Gives it by one of the functions below and returns 0, or
 * returns a negative errno. It may end by an exception or by the end of its thread: the load has failed with -ECANCELED. */
typedef int geomem_cache_loader(
    struct geomem_cache_load *load, const void *key, size_t key_bytes, void *arg);
/* Room for `bytes` of value, to be filled in before the loader returns; the latest call counts. NULL: no memory. */
void *geomem_cache_load_room(struct geomem_cache_load *load, size_t bytes);
/* The value is a copy of these. 0 or -ENOMEM. */
int geomem_cache_load_copy(struct geomem_cache_load *load, const void *data, size_t bytes);
/* The value is a collected block, as in geomem_cache_store_collected. 0, -EINVAL, -ENOMEM. */
int geomem_cache_load_collected(struct geomem_cache_load *load, void *block, uint64_t bytes);
/* What differs from the cache's; copied. cost_ns 0: what the loader takes. 0, -EINVAL, -ENOMEM. */
int geomem_cache_load_options(
    struct geomem_cache_load *load, const struct geomem_cache_store_options *options);

/* The entry of a key, pinned, from the cache or made by `loader`. Of all threads that miss a key at the same time one runs its
 * loader, the others wait for it; if it fails, all get its error, and the next call tries again. A value that was removed or
 * stored while it was being made is not let in. 0, or a geomem_cache_refusal: *ret_entry is the caller's either way. Else a negative
 * errno: the loader's; -EINVAL, -ENOMEM; -ENODATA: the loader gave nothing; -EDEADLK: it asked for the very key that it is
 * loading. Nobody looks for larger circles: two loaders, each of which asks for the key that the other is loading, wait for
 * ever. Allocates. */
int geomem_cache_get_or_load(struct geomem_cache *cache, const void *key, size_t key_bytes,
    geomem_cache_loader *loader, void *arg, struct geomem_cache_entry **ret_entry);

/* ---- what there is ---- */

struct geomem_cache_statistics {
    size_t struct_bytes; /* the caller sets it */
    uint64_t number;     /* in the process, from 1 */
    char name[64];
    uint32_t policy; /* enum geomem_cache_policy */
    uint32_t choice; /* what an adaptive policy runs now, in the first shard */
    uint32_t switches;
    uint32_t shards;
    uint64_t capacity_bytes, min_bytes, max_bytes;
    uint64_t used_bytes, entries;          /* in the cache */
    uint64_t pinned_entries, pinned_bytes; /* those that have left included */
    uint64_t hits, hit_bytes, misses;      /* bytes: of values */
    uint64_t stores, store_bytes;
    uint64_t loads, load_failures, load_waits, load_ns;
    uint64_t evictions[GEOMEM_CACHE_CAUSE_COUNT]; /* by enum geomem_cache_cause */
    uint64_t evicted_bytes[GEOMEM_CACHE_CAUSE_COUNT];
    uint64_t
        overhead_bytes; /* resident outside of entries: index and slots, not what the policy has */
};
/* Levels are of one moment: all shards are locked. Counts of hits and misses are close while other threads use the cache. -EINVAL:
 * struct_bytes. */
int geomem_cache_statistics(
    struct geomem_cache *cache, struct geomem_cache_statistics *ret_statistics);

/* Calls visit for each entry that was there from beginning to end, in no order, each pinned during its call and no lock held;
 * others may come too. A non-zero return ends it and is returned. */
int geomem_cache_each(struct geomem_cache *cache,
    int (*visit)(struct geomem_cache_entry *entry, void *arg), void *arg);

/* A pin that is held. */
struct geomem_cache_pin {
    struct geomem_cache_entry *entry; /* pinned during the call */
    const void *site;                 /* return address of the call that took it; NULL: not known */
    uint64_t
        age_ns; /* at least so long, in whole seconds: since its thread, or a listing, first saw it */
    uint64_t thread;   /* that took it: number, from 1; 0: not known */
    uint32_t in_cache; /* 0: the entry has left since */
};
/* Calls visit for each pin that was taken at least so long ago. Where a thread holds more than 64 pins at once, the rest are told
 * without their site. A non-zero return ends it and is returned. */
int geomem_cache_pins(struct geomem_cache *cache, uint64_t age_ns,
    int (*visit)(const struct geomem_cache_pin *pin, void *arg), void *arg);

/* 0: whole. Else -EUCLEAN: for tests, it walks everything, all shards locked. */
int geomem_cache_check(struct geomem_cache *cache);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
