/* create.c - caches come and go; fork. */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "libgeomem/base/os.h"
#include "libgeomem/cache/draft.h"
#include "libgeomem/cache/tell.h"
#include "libgeomem/cache/thread.h"

/* Guessed where the program does not say: arbitrary. */
#define ENTRY_BYTES_GUESSED 256u
/* The least an entry can be charged, see entry.h: how many there can be. */
#define ENTRY_BYTES_LEAST (GEOMEM_CACHE_ENTRY_BYTES + 16u)
/* Shards are for more entries than this. */
#define SHARD_ENTRIES_LEAST 1024u
#define SHARDS_BY_ITSELF_MOST 64u
#define SLOTS_MOST (1u << 27)
/* About so many entries are in the sample. */
#define SAMPLE_ENTRIES 2048u

struct gm_lock gm_caches_lock;
static struct geomem_cache *caches;
static uint64_t cache_count;
static uint32_t forks; /* gm_caches_lock */

struct geomem_cache *gm_cache_next(struct geomem_cache *cache)
{
    do
        cache = cache ? cache->next : caches;
    while (cache && cache->is_destroyed);
    return cache;
}

/* ---- what was asked for ---- */

static bool options_are_valid(const struct geomem_cache_options *o)
{
    if (!o || o->struct_bytes != sizeof *o || o->capacity_bytes == 0 ||
        o->capacity_bytes > (uint64_t)1 << 46)
        return false;
    if ((unsigned)o->policy > GEOMEM_POLICY_S3FIFO || (unsigned)o->goal > GEOMEM_GOAL_BYTES)
        return false;
    if (o->shards > GM_SHARDS_MAX || (o->shards & (o->shards - 1)) != 0)
        return false;
    bool elastic = o->min_bytes != 0 || o->max_bytes != 0;
    return !elastic || (o->min_bytes <= o->capacity_bytes && o->capacity_bytes <= o->max_bytes &&
                           o->max_bytes <= (uint64_t)1 << 46);
}

static uint64_t options_entries(const struct geomem_cache_options *o)
{
    uint64_t entries =
        o->expected_entries ? o->expected_entries : o->capacity_bytes / ENTRY_BYTES_GUESSED;
    return entries ? entries : 1;
}

/* Four for each processor, so that two threads seldom meet; but large enough for a policy to learn in. */
static uint32_t options_shards(const struct geomem_cache_options *o)
{
    if (o->shards != 0)
        return o->shards;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t wanted = processors > 0 ? (uint64_t)processors * 4 : 4;
    uint64_t fit = options_entries(o) / SHARD_ENTRIES_LEAST;
    uint32_t shards = 1;
    while (shards * 2 <= fit && shards < wanted && shards < SHARDS_BY_ITSELF_MOST)
        shards *= 2;
    return shards;
}

/* Address space is reserved for as many entries as there can be, and twice that if the capacity is raised later. */
static uint32_t options_slots(const struct geomem_cache_options *o, uint32_t shards)
{
    uint64_t most = o->max_bytes > o->capacity_bytes ? o->max_bytes : o->capacity_bytes * 2;
    uint64_t slots = most / shards / ENTRY_BYTES_LEAST + GM_CHUNK_SLOTS;
    return slots > SLOTS_MOST ? SLOTS_MOST : (uint32_t)slots;
}

static uint64_t seed_draw(void)
{
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed)
        seed = (uintptr_t)&seed ^ (uint64_t)getpid() << 32;
    return seed | 1;
}

static uint64_t sample_threshold(const struct geomem_cache_options *o)
{
    uint64_t entries = options_entries(o);
    return entries <= SAMPLE_ENTRIES ? UINT64_MAX : UINT64_MAX / entries * SAMPLE_ENTRIES;
}

static void cache_fill(struct geomem_cache *cache, const struct geomem_cache_options *o)
{
    cache->policy_kind = o->policy;
    cache->seed = o->seed ? o->seed : seed_draw();
    cache->ttl_ns = o->ttl_ns;
    cache->idle_ns = o->idle_ns;
    cache->heap = o->heap;
    cache->evicted = o->evicted;
    cache->clock_ns = o->clock_ns;
    cache->key_class = o->key_class;
    cache->arg = o->arg;
    cache->capacity_bytes = o->capacity_bytes;
    cache->is_elastic = o->max_bytes != 0;
    cache->min_bytes = cache->is_elastic ? o->min_bytes : o->capacity_bytes;
    cache->max_bytes = cache->is_elastic ? o->max_bytes : o->capacity_bytes;
    cache->sample_threshold = sample_threshold(o);
    cache->references = 1;
    cache->start_ns = gm_cache_time_ns(cache);
    if (o->name)
        snprintf(cache->name, sizeof cache->name, "%s", o->name);
}

/* ---- making ---- */

static void cache_free(struct geomem_cache *cache)
{
    if (cache->shards) {
        for (uint32_t i = cache->shard_mask + 1; i-- > 0;)
            gm_policy_free(cache->shards[i].policy);
        for (uint32_t i = 0; i <= cache->shard_mask; i++)
            gm_shard_done(&cache->shards[i]);
    }
    gm_cache_threads_free(cache);
    gm_os_unmap(cache, cache->bytes);
}

static int shards_make(struct geomem_cache *cache, const struct geomem_cache_options *o)
{
    uint32_t shards = cache->shard_mask + 1;
    struct gm_policy_config config = {
        .kind = (enum gm_policy_kind)o->policy,
        .goal = (enum gm_policy_goal)o->goal,
        .slots = options_slots(o, shards),
        .stripes = 16,
        .seed = cache->seed,
        .total = o->capacity_bytes,
    };
    for (uint32_t i = 0; i < shards; i++) {
        config.capacity = o->capacity_bytes / shards + (i < o->capacity_bytes % shards ? 1 : 0);
        config.capacity += config.capacity == 0;
        int err = gm_shard_init(&cache->shards[i], cache, &config);
        if (err < 0)
            return err;
        config.first = cache->shards[0].policy;
    }
    return 0;
}

static void cache_list(struct geomem_cache *cache)
{
    gm_lock_acquire(&gm_caches_lock);
    cache->number = ++cache_count;
    if (cache->name[0] == 0)
        snprintf(cache->name, sizeof cache->name, "cache %llu", (unsigned long long)cache->number);
    cache->next = caches;
    caches = cache;
    gm_lock_release(&gm_caches_lock);
    if (cache->is_elastic)
        atomic_fetch_add_explicit(&gm_caches_elastic, 1, memory_order_relaxed);
}

int geomem_cache_create(const struct geomem_cache_options *options, struct geomem_cache **ret_cache)
{
    if (!options_are_valid(options))
        return -EINVAL;
    uint32_t shards = options_shards(options);
    size_t before = (sizeof(struct geomem_cache) + 63) & ~(size_t)63;
    size_t bytes = before + shards * sizeof(struct gm_shard);
    bytes = (bytes + GM_PAGE_BYTES - 1) & ~(GM_PAGE_BYTES - 1);
    struct geomem_cache *cache = gm_os_map(bytes);
    if (!cache)
        return -ENOMEM;
    cache->bytes = bytes;
    cache->shards = (struct gm_shard *)((char *)cache + before); /* NOLINT: aligned */
    cache->shard_mask = shards - 1;
    cache_fill(cache, options);
    int err = gm_cache_threads_init(cache) < 0 ? -ENOMEM : shards_make(cache, options);
    if (err < 0) {
        cache_free(cache);
        return err;
    }
    cache_list(cache);
    gm_tell_state(cache, false);
    *ret_cache = cache;
    return 0;
}

/* ---- going ---- */

static void cache_unlist(struct geomem_cache *cache)
{
    gm_lock_acquire(&gm_caches_lock);
    struct geomem_cache **at = &caches;
    while (*at != cache)
        at = &(*at)->next;
    *at = cache->next;
    gm_lock_release(&gm_caches_lock);
}

void gm_cache_unreference(struct geomem_cache *cache)
{
    /* acq_rel: all that was done with it comes before its end */
    if (atomic_fetch_sub_explicit(&cache->references, 1, memory_order_acq_rel) != 1)
        return;
    cache_unlist(cache);
    cache_free(cache);
}

struct gm_cache_visit gm_cache_visit(struct geomem_cache *cache)
{
    atomic_fetch_add_explicit(&cache->references, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&cache->visitors, 1, memory_order_relaxed);
    return (struct gm_cache_visit){cache, forks};
}

void gm_cache_visit_end(const struct gm_cache_visit *visit)
{
    struct geomem_cache *cache = visit->cache;
    gm_lock_acquire(&gm_caches_lock);
    bool counts = visit->forks == forks;
    gm_lock_release(&gm_caches_lock);
    /* release: pairs with the acquire in visitors_await */
    if (counts && atomic_fetch_sub_explicit(&cache->visitors, 1, memory_order_release) == 1)
        gm_sys3(SYS_futex, &cache->visitors, FUTEX_WAKE_PRIVATE, INT32_MAX);
    gm_cache_unreference(cache);
}

/* It is not listed any more: no more come. */
static void visitors_await(struct geomem_cache *cache)
{
    for (;;) {
        /* acquire: what they told came before */
        uint32_t visitors = atomic_load_explicit(&cache->visitors, memory_order_acquire);
        if (visitors == 0)
            return;
        gm_sys4(SYS_futex, &cache->visitors, FUTEX_WAIT_PRIVATE, visitors, GM_LOCK_PATIENCE);
    }
}

/* Nobody finds it any more but who forks: its locks are taken as long as there are pins. */
static void cache_hide(struct geomem_cache *cache)
{
    gm_lock_acquire(&gm_caches_lock);
    cache->is_destroyed = true;
    gm_lock_release(&gm_caches_lock);
    if (cache->is_elastic)
        atomic_fetch_sub_explicit(&gm_caches_elastic, 1, memory_order_relaxed);
}

void geomem_cache_destroy(struct geomem_cache *cache)
{
    if (!cache)
        return;
    gm_tell_last_state(cache);
    cache_hide(cache);
    visitors_await(cache);
    gm_cache_clear(cache, GEOMEM_CACHE_CLOSED);
    gm_tell_state(cache, true);
    gm_cache_unreference(cache);
}

/* ---- fork: before the heap's locks, since shards' are held where none of those is waited for ---- */

/* Policies learn without a lock: not at this moment. */
static void fork_prepare(void)
{
    gm_lock_acquire(&gm_caches_lock);
    for (struct geomem_cache *cache = caches; cache; cache = cache->next) {
        for (uint32_t i = 0; i <= cache->shard_mask; i++) {
            gm_lock_acquire(&cache->shards[i].lock);
            gm_policy_pause(cache->shards[i].policy);
        }
        gm_lock_acquire(&cache->threads_lock);
    }
    gm_threads_fork_prepare();
}

static void fork_release(void)
{
    for (struct geomem_cache *cache = caches; cache; cache = cache->next) {
        gm_lock_release(&cache->threads_lock);
        for (uint32_t i = 0; i <= cache->shard_mask; i++) {
            gm_policy_resume(cache->shards[i].policy);
            gm_lock_release(&cache->shards[i].lock);
        }
    }
    gm_lock_release(&gm_caches_lock);
}

static void fork_parent(void)
{
    gm_threads_fork_parent();
    fork_release();
}

static void fork_child(void)
{
    gm_threads_fork_child();
    forks++;
    for (struct geomem_cache *cache = caches; cache; cache = cache->next)
        atomic_store_explicit(&cache->visitors, 0, memory_order_relaxed);
    for (struct geomem_cache *cache = caches; cache; cache = cache->next)
        for (uint32_t i = 0; i <= cache->shard_mask; i++)
            gm_loads_forget_others(&cache->shards[i]);
    fork_release();
}

/* Handlers before a fork run in reverse order: this one first of the library's. */
__attribute__((constructor(106))) static void fork_init(void)
{
    pthread_atfork(fork_prepare, fork_parent, fork_child);
}

/* The newest that is older than `number`, referenced; NULL: none. */
static struct geomem_cache *cache_before(uint64_t number)
{
    gm_lock_acquire(&gm_caches_lock);
    struct geomem_cache *cache = gm_cache_next(NULL);
    while (cache && cache->number >= number)
        cache = gm_cache_next(cache);
    if (cache)
        atomic_fetch_add_explicit(&cache->references, 1, memory_order_relaxed);
    gm_lock_release(&gm_caches_lock);
    return cache;
}

/* The last that is told of caches that the program has not destroyed. Listeners may use caches: no lock is held. */
__attribute__((destructor)) static void caches_end(void)
{
    uint64_t number = UINT64_MAX;
    for (struct geomem_cache *cache; (cache = cache_before(number)) != NULL;) {
        number = cache->number;
        gm_tell_last_state(cache);
        gm_cache_unreference(cache);
    }
}
