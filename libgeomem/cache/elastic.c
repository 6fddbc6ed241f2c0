/* elastic.c - caches give way when memory runs short, and grow while there is enough.
 *
 * Once in a second a slow path of some cache asks three witnesses: the heap (its footprint against its limit), the
 * container (memory.current against memory.high and memory.max), and the kernel (how much of the last ten seconds
 * tasks stood still for want of memory). If one of them complains, elastic caches give an eighth of their bytes, or what is over,
 * that with the lowest marginal hits per byte first. After ten quiet seconds a cache that is full and has evicted something
 * since grows by a sixteenth.
 *
 * Marginal hits per byte: each shard remembers hashes of entries that went last for want of room. A value that is stored
 * again while its hash stands there would have been a hit, had the cache been larger by what those entries take.
 */
#include "libgeomem/cache/elastic.h"

#include <float.h>
#include <time.h>

#include "libgeomem/cache/capacity.h"
#include "libgeomem/cache/pressure.h"
#include "libgeomem/cache/tell.h"
#include "libgeomem/cache/thread.h"
#include "libgeomem/heap/heap.h"

#define TICK_NS 1000000000u
#define QUIET_TICKS 10u
/* Part of the bytes of all elastic caches given at a time, and part of a cache's it grows by: arbitrary. */
#define GIVE_PART 8u
#define GROW_PART 16u
/* A cache gives so much of itself before the next is asked again. */
#define STEP_PART 16u
/* Caches whose bytes are all pinned are asked so often. */
#define FAILURES_MOST 8u

_Atomic uint32_t gm_caches_elastic;
static _Atomic uint64_t tick_ns; /* when the next is due, CLOCK_MONOTONIC */
static _Atomic uint32_t quiet_ticks;

/* ---- what a byte more would bring ---- */

/* Smaller than what the program stores, it would neither fill up nor evict, and never show what more would bring. */
static bool cache_is_too_small(struct geomem_cache *cache)
{
    return atomic_load_explicit(&cache->refused_charge, memory_order_relaxed) >
           gm_cache_capacity(cache);
}

static double cache_marginal(struct geomem_cache *cache)
{
    uint64_t used = 0, hits = 0;
    double again = 0, ghost_bytes = 0;
    for (uint32_t i = 0; i <= cache->shard_mask; i++) {
        struct gm_shard *shard = &cache->shards[i];
        gm_lock_take(&shard->lock);
        used += atomic_load_explicit(&shard->used_bytes, memory_order_relaxed);
        again += (double)shard->ghosts.returned;
        ghost_bytes += (double)shard->ghosts.bytes;
        gm_lock_give(&shard->lock);
    }
    if (used == 0)
        return cache_is_too_small(cache) ? DBL_MAX : 0;
    if (ghost_bytes > 0)
        return again / ghost_bytes;
    /* It has not evicted anything lately: what an average byte brings is the best that can be said. */
    const struct gm_cache_thread *counts =
        atomic_load_explicit(&cache->threads, memory_order_acquire);
    for (; counts; counts = counts->next)
        hits += atomic_load_explicit(&counts->hits, memory_order_relaxed);
    return (double)hits / (double)used;
}

/* What it has counted loses half of its weight. */
static void cache_age(struct geomem_cache *cache)
{
    for (uint32_t i = 0; i <= cache->shard_mask; i++) {
        struct gm_shard *shard = &cache->shards[i];
        gm_lock_take(&shard->lock);
        shard->ghosts.returned /= 2;
        gm_lock_give(&shard->lock);
    }
}

/* ---- giving ---- */

static bool cache_can_give(struct geomem_cache *cache)
{
    return cache->is_elastic && gm_cache_capacity(cache) > gm_cache_min(cache);
}

/* Of all that `may`, a visit to the one with the lowest marginal hits, or the highest. NULL: none may. */
static struct gm_cache_visit cache_find(
    bool (*may)(struct geomem_cache *cache), bool highest, uint64_t passed_over)
{
    struct geomem_cache *found = NULL;
    double best = 0;
    gm_lock_acquire(&gm_caches_lock);
    for (struct geomem_cache *cache = gm_cache_next(NULL); cache; cache = gm_cache_next(cache)) {
        if (cache->number == passed_over || !may(cache))
            continue;
        double marginal = cache_marginal(cache);
        if (found && (highest ? marginal <= best : marginal >= best))
            continue;
        found = cache;
        best = marginal;
    }
    struct gm_cache_visit visit = {NULL, 0};
    if (found)
        visit = gm_cache_visit(found);
    gm_lock_release(&gm_caches_lock);
    return visit;
}

uint64_t geomem_caches_relieve(uint64_t bytes)
{
    uint64_t given = 0, passed_over = 0;
    for (uint32_t failures = 0; given < bytes && failures < FAILURES_MOST;) {
        struct gm_cache_visit visit = cache_find(cache_can_give, false, passed_over);
        struct geomem_cache *giver = visit.cache;
        if (!giver)
            break;
        uint64_t before = gm_cache_capacity(giver);
        uint64_t step = before / STEP_PART + 1, left = bytes - given;
        given += geomem_cache_shrink(giver, step < left ? step : left);
        /* Where nothing went, all that is left is pinned: another one. */
        bool failed = gm_cache_capacity(giver) >= before;
        passed_over = failed ? giver->number : 0;
        failures += failed;
        gm_cache_visit_end(&visit);
    }
    return given;
}

/* ---- growing ---- */

/* Of threads that meet one is heard: it is a hint. */
void gm_cache_refused(struct geomem_cache *cache, uint64_t charge)
{
    uint64_t least = atomic_load_explicit(&cache->refused_charge, memory_order_relaxed);
    if (cache->is_elastic && charge <= gm_cache_max(cache) && (least == 0 || charge < least))
        atomic_store_explicit(&cache->refused_charge, charge, memory_order_relaxed);
}

/* In each shard one more entry does not fit, or nearly so: of few large ones much may be free for ever. */
static bool cache_is_full(struct geomem_cache *cache)
{
    uint64_t capacity = gm_cache_capacity(cache), full = 0;
    for (uint32_t i = 0; i <= cache->shard_mask; i++) {
        struct gm_shard *shard = &cache->shards[i];
        gm_lock_take(&shard->lock);
        uint64_t used = atomic_load_explicit(&shard->used_bytes, memory_order_relaxed);
        full += used + (shard->entries != 0 ? used / shard->entries : 0);
        gm_lock_give(&shard->lock);
    }
    return full > capacity - capacity / 8;
}

static bool cache_wants_more(struct geomem_cache *cache)
{
    if (!cache->is_elastic || gm_cache_capacity(cache) >= gm_cache_max(cache))
        return false;
    return cache_is_too_small(cache) || (cache_is_full(cache) && cache_marginal(cache) > 0);
}

/* That with the highest marginal hits. */
static void caches_grow(uint64_t room_bytes)
{
    struct gm_cache_visit visit = cache_find(cache_wants_more, true, 0);
    struct geomem_cache *cache = visit.cache;
    if (!cache)
        return;
    uint64_t capacity = gm_cache_capacity(cache), more = capacity / GROW_PART + 1;
    /* Asked for again if it is still wanted: what does not fit into the room must not keep others from growing. */
    uint64_t refused = atomic_exchange_explicit(&cache->refused_charge, 0, memory_order_relaxed);
    if (refused > capacity + more)
        more = refused - capacity;
    if (more <= room_bytes) {
        gm_cache_grow(cache, more);
        cache_age(cache);
        gm_tell_state(cache, false);
    }
    gm_cache_visit_end(&visit);
}

/* ---- once in a second ---- */

static uint64_t elastic_used(void)
{
    uint64_t used = 0;
    gm_lock_acquire(&gm_caches_lock);
    for (struct geomem_cache *cache = gm_cache_next(NULL); cache; cache = gm_cache_next(cache))
        for (uint32_t i = 0; cache->is_elastic && i <= cache->shard_mask; i++)
            used += atomic_load_explicit(&cache->shards[i].used_bytes, memory_order_relaxed);
    gm_lock_release(&gm_caches_lock);
    return used;
}

void gm_caches_react(const struct gm_pressure *pressure)
{
    if (pressure->over_bytes != 0 || pressure->stalls) {
        uint64_t part = elastic_used() / GIVE_PART + 1;
        geomem_caches_relieve(pressure->over_bytes > part ? pressure->over_bytes : part);
        atomic_store_explicit(&quiet_ticks, 0, memory_order_relaxed);
        return;
    }
    if (atomic_fetch_add_explicit(&quiet_ticks, 1, memory_order_relaxed) >= QUIET_TICKS)
        caches_grow(pressure->room_bytes);
}

void gm_caches_balance(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    uint64_t now = (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
    uint64_t due = atomic_load_explicit(&tick_ns, memory_order_relaxed);
    if (now < due || !atomic_compare_exchange_strong_explicit(
                         &tick_ns, &due, now + TICK_NS, memory_order_relaxed, memory_order_relaxed))
        return;
    struct gm_pressure pressure;
    gm_pressure_read(&pressure);
    gm_caches_react(&pressure);
}
