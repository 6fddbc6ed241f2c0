/* tell.c - see tell.h. */
#include "libgeomem/adapters/sqlite/tell.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define TELL_EVERY_NS 100000000ull

static const struct geomem_listener *listener(void)
{
    const struct geomem_listener *l = geomem_recorder_listener ? geomem_recorder_listener() : NULL;
    return l && l->version >= 2 ? l : NULL;
}

bool gm_tell_recorded(void)
{
    return listener() != NULL;
}

uint64_t gm_tell_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t mix(uint64_t x)
{
    x += 0x9E3779B97F4A7C15ull;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ x >> 27) * 0x94D049BB133111EBull;
    return x ^ x >> 31;
}

static void tell_state(struct gm_tell *t)
{
    t->told_ns = gm_tell_now();
    t->state.name = t->name;
    if (listener()->cache_state)
        listener()->cache_state(&t->state);
}

static void tell_use(
    struct gm_tell *t, uint32_t page, uint32_t use, uint32_t key_class, uint64_t bytes)
{
    struct geomem_cache_key_use u = {.cache = t->state.cache,
        .key = mix(page),
        .use = use,
        .key_class = key_class,
        .bytes = bytes};
    if (listener()->cache_use && u.key <= t->state.sample_threshold)
        listener()->cache_use(&u);
    if (use != GEOMEM_CACHE_HIT || t->state.hits % 4096 == 0)
        if (gm_tell_now() - t->told_ns >= TELL_EVERY_NS)
            tell_state(t);
}

void gm_tell_open(struct gm_tell *t, const char *name, uint64_t page_bytes, uint64_t pages)
{
    static _Atomic uint64_t numbers;
    memset(t, 0, sizeof *t);
    snprintf(t->name, sizeof t->name, "%s", name);
    t->state.cache = 1u << 20 | (atomic_fetch_add(&numbers, 1) + 1);
    t->state.policy = GEOMEM_POLICY_LRU;
    t->state.capacity_bytes = page_bytes * pages;
    t->state.sample_threshold = pages > 2048 ? UINT64_MAX / pages * 2048 : UINT64_MAX;
    tell_state(t);
}

void gm_tell_resize(struct gm_tell *t, uint64_t capacity_bytes)
{
    t->state.capacity_bytes = capacity_bytes;
    tell_state(t);
}

void gm_tell_hit(struct gm_tell *t, uint32_t page, uint32_t key_class, uint64_t bytes)
{
    t->state.hits++;
    t->state.hit_bytes += bytes;
    tell_use(t, page, GEOMEM_CACHE_HIT, key_class, bytes);
}

void gm_tell_miss(struct gm_tell *t, uint32_t page, uint32_t key_class)
{
    t->state.misses++;
    tell_use(t, page, GEOMEM_CACHE_MISS, key_class, 0);
}

void gm_tell_store(struct gm_tell *t, uint32_t page, uint32_t key_class, uint64_t bytes)
{
    t->state.stores++;
    t->state.store_bytes += bytes;
    t->state.entries++;
    t->state.used_bytes += bytes;
    tell_use(t, page, GEOMEM_CACHE_STORE, key_class, bytes);
}

void gm_tell_evict(struct gm_tell *t, uint32_t page, enum geomem_cache_cause cause, uint64_t bytes,
    uint32_t hits, uint64_t age_ns)
{
    struct geomem_cache_eviction e = {.cache = t->state.cache,
        .key = mix(page),
        .cause = cause,
        .hits = hits,
        .bytes = bytes,
        .age_ns = age_ns};
    t->state.evictions[cause]++;
    t->state.evicted_bytes[cause] += bytes;
    t->state.entries--;
    t->state.used_bytes -= bytes;
    if (listener()->cache_evict && e.key <= t->state.sample_threshold)
        listener()->cache_evict(&e);
}

void gm_tell_close(struct gm_tell *t)
{
    t->state.closed = 1;
    tell_state(t);
}
