/* store.c - the program puts entries in and takes them out. */
#include <errno.h>
#include <string.h>

#include "libgeomem/cache/draft.h"
#include "libgeomem/cache/tell.h"

static int draft_store(
    struct gm_draft *draft, const void *site, struct geomem_cache_entry **ret_entry)
{
    struct gm_cache_slot *slot;
    int status = gm_draft_admit(draft, NULL, site, ret_entry ? &slot : NULL);
    gm_draft_free(draft);
    if (status >= 0 && ret_entry)
        *ret_entry = gm_cache_entry_of(slot);
    return status;
}

int geomem_cache_store(struct geomem_cache *cache, const void *key, size_t key_bytes,
    const void *data, size_t bytes, const struct geomem_cache_store_options *options,
    struct geomem_cache_entry **ret_entry)
{
    struct gm_draft draft;
    void *value;
    int err = gm_draft_init(&draft, cache, key, key_bytes, options);
    if (err == 0)
        err = gm_draft_room(&draft, bytes, &value);
    if (err < 0)
        return err;
    if (bytes != 0)
        memcpy(value, data, bytes);
    return draft_store(&draft, __builtin_return_address(0), ret_entry);
}

int geomem_cache_store_collected(struct geomem_cache *cache, const void *key, size_t key_bytes,
    void *block, uint64_t bytes, const struct geomem_cache_store_options *options,
    struct geomem_cache_entry **ret_entry)
{
    struct gm_draft draft;
    int err = gm_draft_init(&draft, cache, key, key_bytes, options);
    if (err == 0)
        err = gm_draft_collected(&draft, block, bytes);
    if (err < 0)
        return err;
    return draft_store(&draft, __builtin_return_address(0), ret_entry);
}

int geomem_cache_remove(struct geomem_cache *cache, const void *key, size_t key_bytes)
{
    if (key_bytes == 0)
        return -ENOENT;
    struct gm_leaving leaving;
    gm_leaving_begin(&leaving, cache);
    uint64_t hash = gm_hash(cache->seed, key, key_bytes);
    struct gm_shard *shard = gm_cache_shard(cache, hash);
    gm_lock_take(&shard->lock);
    uint32_t number = gm_shard_find_locked(shard, hash, key, key_bytes);
    if (number != 0)
        gm_shard_take_out(shard, number, GEOMEM_CACHE_REMOVED, &leaving);
    gm_loads_spoil(shard, hash, key, key_bytes);
    gm_lock_give(&shard->lock);
    gm_leaving_end(&leaving);
    return number != 0 ? 0 : -ENOENT;
}

/* As many as fit; in the order of the slots, so that it comes to an end while others store. Where it stopped goes to
 * *ret_next; 0: it is through. */
static uint64_t shard_clear_some(struct gm_shard *shard, enum geomem_cache_cause cause,
    struct gm_leaving *leaving, uint32_t *next)
{
    gm_lock_take(&shard->lock);
    uint32_t number = *next;
    for (; number < shard->slots.fresh && !gm_leaving_is_full(leaving); number++) {
        if (number % GM_CHUNK_SLOTS == 0)
            continue;
        uint32_t word =
            atomic_load_explicit(&gm_slot_at(shard->chunks, number)->word, memory_order_relaxed);
        if (gm_word_is_live(word))
            gm_shard_take_out(shard, number, cause, leaving);
    }
    *next = number < shard->slots.fresh ? number : 0;
    gm_lock_give(&shard->lock);
    return leaving->count;
}

uint64_t gm_cache_clear(struct geomem_cache *cache, enum geomem_cache_cause cause)
{
    struct gm_leaving leaving;
    gm_leaving_begin(&leaving, cache);
    uint64_t count = 0;
    for (uint32_t i = 0; i <= cache->shard_mask; i++) {
        uint32_t next = 1;
        while (next != 0) {
            count += shard_clear_some(&cache->shards[i], cause, &leaving, &next);
            gm_leaving_end(&leaving);
        }
    }
    return count;
}

uint64_t geomem_cache_clear(struct geomem_cache *cache)
{
    return gm_cache_clear(cache, GEOMEM_CACHE_REMOVED);
}
