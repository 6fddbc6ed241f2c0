/* seed.c - the caching half of geomem/memory.h: names on top of geomem/cache.h. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "geomem/memory.h"
#include "libgeomem/cache/cache.h"

#define BYTES_BY_ITSELF ((uint64_t)64 << 20)
#define LEAST_PART 16u

static struct geomem_cache *_Atomic layer;
static struct gm_lock layer_lock;

/* 0, or -EINVAL: the environment says something else than a number. */
static int layer_bytes(uint64_t *ret_bytes)
{
    const char *text = getenv("GEOMEM_CACHE_BYTES");
    *ret_bytes = BYTES_BY_ITSELF;
    if (!text || !*text)
        return 0;
    char *end;
    errno = 0;
    unsigned long long bytes = strtoull(text, &end, 10);
    if (errno != 0 || *end || *text < '0' || *text > '9' || bytes == 0)
        return -EINVAL;
    *ret_bytes = bytes;
    return 0;
}

static int layer_make(void)
{
    struct geomem_cache_options options = {.struct_bytes = sizeof options, .name = "cached data"};
    int err = layer_bytes(&options.capacity_bytes);
    if (err < 0)
        return err;
    options.max_bytes = options.capacity_bytes;
    options.min_bytes = options.capacity_bytes / LEAST_PART;
    struct geomem_cache *cache;
    err = geomem_cache_create(&options, &cache);
    if (err == 0)
        /* release: pairs with the acquire in layer_get */
        atomic_store_explicit(&layer, cache, memory_order_release);
    return err;
}

static struct geomem_cache *layer_get(void)
{
    return atomic_load_explicit(&layer, memory_order_acquire);
}

int init_caching_layer(void)
{
    if (layer_get())
        return 0;
    gm_lock_acquire(&layer_lock);
    int err = layer_get() ? 0 : layer_make();
    gm_lock_release(&layer_lock);
    return err;
}

/* ---- fork: this lock is held while others of caches are taken, so it comes first ---- */

static void layer_fork_prepare(void)
{
    gm_lock_acquire(&layer_lock);
}

static void layer_fork_end(void)
{
    gm_lock_release(&layer_lock);
}

/* Handlers before a fork run in reverse order: before that of create.c. */
__attribute__((constructor(107))) static void layer_fork_init(void)
{
    pthread_atfork(layer_fork_prepare, layer_fork_end, layer_fork_end);
}

/* ---- the names ---- */

struct geomem_cache *geomem_caching_layer(void)
{
    struct geomem_cache *cache = layer_get();
    if (cache)
        return cache;
    int err = init_caching_layer();
    if (err < 0)
        errno = -err;
    return layer_get();
}

static CachedData data_of(struct geomem_cache_entry *entry)
{
    CachedData data = {NULL, 0, NULL};
    if (entry) {
        data.bytes = geomem_cache_data(entry);
        data.size = geomem_cache_bytes(entry);
        data.entry = entry;
    }
    return data;
}

CachedData get_cached_data(CacheKey key)
{
    struct geomem_cache *cache = geomem_caching_layer();
    return data_of(cache ? geomem_cache_get(cache, key.bytes, key.size) : NULL);
}

int store_cached_data(CacheKey key, CachedData data)
{
    int err = init_caching_layer();
    if (err < 0)
        return err;
    return geomem_cache_store(layer_get(), key.bytes, key.size, data.bytes, data.size, NULL, NULL);
}

int remove_cached_data(CacheKey key)
{
    struct geomem_cache *cache = layer_get();
    return cache ? geomem_cache_remove(cache, key.bytes, key.size) : -ENOENT;
}

/* What the loader made stands in `made` until it has been copied: collected memory stays alive by it. */
static int data_load(
    struct geomem_cache_load *load, const void *key_bytes, size_t key_size, void *arg)
{
    CacheLoader loader = *(CacheLoader *)arg;
    CacheKey key = {key_bytes, key_size};
    CachedData made = {NULL, 0, NULL};
    int err = loader(key, &made);
    if (err != 0)
        return err;
    return made.bytes ? geomem_cache_load_copy(load, made.bytes, made.size) : -ENODATA;
}

CachedData get_or_load_cached_data(CacheKey key, CacheLoader loader)
{
    struct geomem_cache_entry *entry = NULL;
    struct geomem_cache *cache = geomem_caching_layer();
    if (!cache)
        return data_of(NULL);
    int err =
        geomem_cache_get_or_load(cache, key.bytes, key.size, data_load, (void *)&loader, &entry);
    if (err < 0)
        errno = -err;
    return data_of(entry);
}
