/* cache_probe.h - shows a program's own cache in geomem's reports: three calls, a header and no library.
 *
 *     static struct geomem_probe *pages;
 *     pages = geomem_cache_register("pages", capacity_bytes);                at the start
 *     geomem_cache_access(pages, page_number, true, page_bytes);             a lookup found it
 *     geomem_cache_access(pages, page_number, false, page_bytes);            it did not; so much was put in
 *     geomem_cache_evict(pages, page_number, page_bytes, GEOMEM_CACHE_SIZE); it had to go
 *
 * A program that is not being recorded by geomem-record registers nothing: geomem_cache_register returns NULL, and the other
 * calls are a test of that and a branch. Recorded, a call is a few additions, and for about 2,048 of the cache's entries, chosen
 * by their keys, an event with the stack of the call; of a cache with no more than twice as many, for all. Counts are exact
 * up to the last exit or geomem_probe_close, and else up to 0.1 s before the end.
 *
 * A key is any number that stands for it: the key itself, or a hash of 64 bits (geomem_probe_hash).
 *
 * All functions may be called from any thread, also with locks of the program's held; they call nothing of the program's.
 * geomem_cache_register allocates; none of the others does. Of these none is to be called in a signal handler.
 * Needs GCC or Clang, C11 or C++17.
 */
#ifndef GEOMEM_CACHE_PROBE_H
#define GEOMEM_CACHE_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "geomem/listener.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All by __atomic functions but `next`, `name` and `listener`. */
struct geomem_probe {
    const struct geomem_listener *listener;
    struct geomem_probe *next; /* registered before it, by the same file */
    uint64_t capacity_bytes, used_bytes, entries;
    uint64_t hits, hit_bytes, misses, stores, store_bytes, loads, load_ns;
    uint64_t evictions[GEOMEM_CACHE_CAUSE_COUNT], evicted_bytes[GEOMEM_CACHE_CAUSE_COUNT];
    uint64_t told_ns;
    uint32_t sample_shift; /* one key of 2^sample_shift is in the sample */
    uint32_t closed;
    char name[64];
};

/* Inlined at all levels of optimization, so that a call of the cache begins in the function that makes it. */
#define GEOMEM_PROBE_INLINE static inline __attribute__((always_inline))

#define GEOMEM_PROBE_SAMPLE 4096u /* entries of which all are in the sample */
#define GEOMEM_PROBE_TELL_NS 100000000u
#define GEOMEM_PROBE_TELL_HITS 256u /* hits between two looks at the clock */

static struct geomem_probe *geomem_probe_list; /* of this file */

GEOMEM_PROBE_INLINE void geomem_probe_add(uint64_t *count, uint64_t more)
{
    __atomic_fetch_add(count, more, __ATOMIC_RELAXED);
}

/* Not below 0: what a cache held before it was registered leaves without having been told as put in. */
GEOMEM_PROBE_INLINE void geomem_probe_take(uint64_t *count, uint64_t less)
{
    uint64_t before = __atomic_load_n(count, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(count, &before, before > less ? before - less : 0, true,
        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

GEOMEM_PROBE_INLINE uint64_t geomem_probe_get(const uint64_t *count)
{
    return __atomic_load_n(count, __ATOMIC_RELAXED);
}

/* The finalizer of MurmurHash3 (A. Appleby, public domain). */
GEOMEM_PROBE_INLINE uint64_t geomem_probe_mix(uint64_t key)
{
    key ^= key >> 33;
    key *= 0xff51afd7ed558ccdu;
    key ^= key >> 33;
    key *= 0xc4ceb9fe1a85ec53u;
    return key ^ key >> 33;
}

/* A key of several bytes as a number (FNV-1a, public domain). */
GEOMEM_PROBE_INLINE uint64_t geomem_probe_hash(const void *bytes, size_t count)
{
    const unsigned char *at = (const unsigned char *)bytes;
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ at[i]) * 0x100000001b3u;
    return hash;
}

GEOMEM_PROBE_INLINE uint64_t geomem_probe_threshold(const struct geomem_probe *probe)
{
    return UINT64_MAX >> __atomic_load_n(&probe->sample_shift, __ATOMIC_RELAXED);
}

GEOMEM_PROBE_INLINE void geomem_probe_tell(const struct geomem_probe *probe)
{
    struct geomem_cache_state state;
    memset(&state, 0, sizeof state);
    state.cache = (uintptr_t)probe;
    state.name = probe->name;
    state.policy = GEOMEM_POLICY_OTHER;
    state.closed = __atomic_load_n(&probe->closed, __ATOMIC_RELAXED);
    state.sample_threshold = geomem_probe_threshold(probe);
    state.capacity_bytes = geomem_probe_get(&probe->capacity_bytes);
    state.used_bytes = geomem_probe_get(&probe->used_bytes);
    state.entries = geomem_probe_get(&probe->entries);
    state.hits = geomem_probe_get(&probe->hits);
    state.hit_bytes = geomem_probe_get(&probe->hit_bytes);
    state.misses = geomem_probe_get(&probe->misses);
    state.stores = geomem_probe_get(&probe->stores);
    state.store_bytes = geomem_probe_get(&probe->store_bytes);
    state.loads = geomem_probe_get(&probe->loads);
    state.load_ns = geomem_probe_get(&probe->load_ns);
    for (int i = 1; i < GEOMEM_CACHE_CAUSE_COUNT; i++) {
        state.evictions[i] = geomem_probe_get(&probe->evictions[i]);
        state.evicted_bytes[i] = geomem_probe_get(&probe->evicted_bytes[i]);
    }
    probe->listener->cache_state(&state);
}

/* Tells if that was not done for a while. */
GEOMEM_PROBE_INLINE void geomem_probe_tell_sometimes(struct geomem_probe *probe)
{
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    uint64_t ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    uint64_t told = geomem_probe_get(&probe->told_ns);
    if (ns - told >= GEOMEM_PROBE_TELL_NS && __atomic_compare_exchange_n(&probe->told_ns, &told, ns,
                                                 false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        geomem_probe_tell(probe);
}

GEOMEM_PROBE_INLINE void geomem_probe_use(struct geomem_probe *probe, uint64_t key,
    uint32_t key_class, uint32_t use, uint64_t bytes, uint64_t ns)
{
    struct geomem_cache_key_use told;
    key = geomem_probe_mix(key);
    if (key > geomem_probe_threshold(probe))
        return;
    memset(&told, 0, sizeof told);
    told.cache = (uintptr_t)probe;
    told.key = key;
    told.use = use;
    told.key_class = key_class;
    told.bytes = bytes;
    told.ns = ns;
    probe->listener->cache_use(&told);
}

/* An entry more. As the cache grows, the sample becomes a smaller part of it. */
GEOMEM_PROBE_INLINE void geomem_probe_enter(struct geomem_probe *probe, uint64_t bytes)
{
    uint64_t entries = __atomic_add_fetch(&probe->entries, 1, __ATOMIC_RELAXED);
    uint32_t shift = __atomic_load_n(&probe->sample_shift, __ATOMIC_RELAXED);
    geomem_probe_add(&probe->used_bytes, bytes);
    geomem_probe_add(&probe->stores, 1);
    geomem_probe_add(&probe->store_bytes, bytes);
    if (entries >> shift > GEOMEM_PROBE_SAMPLE && shift < 32 &&
        __atomic_compare_exchange_n(
            &probe->sample_shift, &shift, shift + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        geomem_probe_tell(probe);
}

/* At exit, or when the library that holds this file is unloaded. */
static inline void geomem_probe_tell_all(void)
{
    struct geomem_probe *probe = __atomic_load_n(&geomem_probe_list, __ATOMIC_ACQUIRE);
    for (; probe; probe = probe->next)
        if (!__atomic_load_n(&probe->closed, __ATOMIC_RELAXED))
            geomem_probe_tell(probe);
}

/* A cache by its name in the reports (cut after 63 bytes; copied) and its capacity in bytes; 0: it has none. Never freed.
 * NULL: the program is not being recorded, or there is no memory; that may be given to all of the following. */
GEOMEM_PROBE_INLINE struct geomem_probe *geomem_cache_register(
    const char *name, uint64_t capacity_bytes)
{
    const struct geomem_listener *listener =
        geomem_recorder_listener ? geomem_recorder_listener() : NULL;
    struct geomem_probe *probe;
    size_t length;
    if (!listener || listener->version < 2 || !listener->cache_state || !listener->cache_use ||
        !listener->cache_evict)
        return NULL;
    probe = (struct geomem_probe *)calloc(1, sizeof *probe);
    if (!probe)
        return NULL;
    probe->listener = listener;
    probe->capacity_bytes = capacity_bytes;
    length = strlen(name);
    memcpy(probe->name, name, length < sizeof probe->name ? length : sizeof probe->name - 1);
    probe->next = __atomic_load_n(&geomem_probe_list, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(
        &geomem_probe_list, &probe->next, probe, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
    if (!probe->next)
        atexit(geomem_probe_tell_all);
    geomem_probe_tell(probe);
    return probe;
}

/* Counts a hit, of which geomem_probe_use tells where it was made. */
GEOMEM_PROBE_INLINE void geomem_probe_hit(struct geomem_probe *probe, uint64_t bytes)
{
    geomem_probe_add(&probe->hit_bytes, bytes);
    if (__atomic_add_fetch(&probe->hits, 1, __ATOMIC_RELAXED) % GEOMEM_PROBE_TELL_HITS == 0)
        geomem_probe_tell_sometimes(probe);
}

/* A lookup. hit: it found a value; bytes: what that is charged. Else bytes is what the value is charged that was put in
 * for the key afterwards, and 0 if none was, or if that is told by geomem_probe_store.
 * key_class: as the program likes to see its keys divided, a table or a kind of page; 0: not at all. */
GEOMEM_PROBE_INLINE void geomem_cache_access_class(
    struct geomem_probe *probe, uint64_t key, uint32_t key_class, bool hit, uint64_t bytes)
{
    if (!probe)
        return;
    if (hit) {
        geomem_probe_use(probe, key, key_class, GEOMEM_CACHE_HIT, bytes, 0);
        geomem_probe_hit(probe, bytes);
        return;
    }
    geomem_probe_add(&probe->misses, 1);
    geomem_probe_use(probe, key, key_class, GEOMEM_CACHE_MISS, bytes, 0);
    if (bytes)
        geomem_probe_enter(probe, bytes);
    geomem_probe_tell_sometimes(probe);
}

GEOMEM_PROBE_INLINE void geomem_cache_access(
    struct geomem_probe *probe, uint64_t key, bool hit, uint64_t bytes)
{
    geomem_cache_access_class(probe, key, 0, hit, bytes);
}

/* An entry has left; cause: enum geomem_cache_cause. GEOMEM_CACHE_REJECTED: it never got in, and was not told as put in. */
GEOMEM_PROBE_INLINE void geomem_cache_evict(
    struct geomem_probe *probe, uint64_t key, uint64_t bytes, enum geomem_cache_cause cause)
{
    struct geomem_cache_eviction told;
    if (!probe || cause < GEOMEM_CACHE_SIZE || cause >= GEOMEM_CACHE_CAUSE_COUNT)
        return;
    geomem_probe_add(&probe->evictions[cause], 1);
    geomem_probe_add(&probe->evicted_bytes[cause], bytes);
    if (cause != GEOMEM_CACHE_REJECTED) {
        geomem_probe_take(&probe->entries, 1);
        geomem_probe_take(&probe->used_bytes, bytes);
    }
    key = geomem_probe_mix(key);
    if (key > geomem_probe_threshold(probe))
        return;
    memset(&told, 0, sizeof told);
    told.cache = (uintptr_t)probe;
    told.key = key;
    told.cause = (uint32_t)cause;
    told.hits = UINT32_MAX;
    told.bytes = bytes;
    probe->listener->cache_evict(&told);
}

/* ---- what only some caches have ---- */

/* A value was put in without a lookup, or some time after the lookup that missed: that time is then what the miss cost. */
GEOMEM_PROBE_INLINE void geomem_probe_store(
    struct geomem_probe *probe, uint64_t key, uint64_t bytes)
{
    if (!probe)
        return;
    geomem_probe_use(probe, key, 0, GEOMEM_CACHE_STORE, bytes, 0);
    geomem_probe_enter(probe, bytes);
    geomem_probe_tell_sometimes(probe);
}

/* What was missed has been had from where the cache is for, which took `ns`: what a miss costs. Told after the miss. */
GEOMEM_PROBE_INLINE void geomem_probe_load(
    struct geomem_probe *probe, uint64_t key, uint32_t key_class, uint64_t ns)
{
    if (!probe)
        return;
    geomem_probe_add(&probe->loads, 1);
    geomem_probe_add(&probe->load_ns, ns);
    geomem_probe_use(probe, key, key_class, GEOMEM_CACHE_LOAD, 0, ns);
}

/* What a class of keys is called: said once, before or after its uses. */
GEOMEM_PROBE_INLINE void geomem_probe_class(
    struct geomem_probe *probe, uint32_t key_class, const char *name)
{
    if (probe && probe->listener->version >= 3 && probe->listener->cache_class)
        probe->listener->cache_class((uintptr_t)probe, key_class, name);
}

/* It has another capacity now. */
GEOMEM_PROBE_INLINE void geomem_probe_resize(struct geomem_probe *probe, uint64_t capacity_bytes)
{
    if (!probe)
        return;
    __atomic_store_n(&probe->capacity_bytes, capacity_bytes, __ATOMIC_RELAXED);
    geomem_probe_tell(probe);
}

/* A cache is destroyed: no other call follows. What was in it need not be told as evicted. */
GEOMEM_PROBE_INLINE void geomem_probe_close(struct geomem_probe *probe)
{
    if (!probe || __atomic_exchange_n(&probe->closed, 1, __ATOMIC_RELAXED))
        return;
    geomem_probe_tell(probe);
}

#ifdef __cplusplus
}
#endif
#endif
