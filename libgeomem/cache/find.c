/* find.c - lookups with the shard's lock held; entries whose time is up; the end of slots. */
#include "libgeomem/cache/find.h"

#include "libgeomem/heap/heap.h"

/* With the lock nothing moves: no pin is needed to read a live slot. */
uint32_t gm_shard_find_locked(
    const struct gm_shard *shard, uint64_t hash, const void *key, size_t key_bytes)
{
    const struct gm_cache_index *index = atomic_load_explicit(&shard->index, memory_order_relaxed);
    uint32_t tag = gm_cache_index_tag(index, hash), at = (uint32_t)hash & index->mask;
    for (uint32_t looked = 0; looked <= index->mask; looked++, at = (at + 1) & index->mask) {
        const struct gm_bucket *bucket = &index->bucket[at];
        uint32_t bits = gm_bucket_match(bucket, tag, index->number_mask);
        for (; bits != 0; bits &= bits - 1) {
            uint32_t number =
                atomic_load_explicit(&bucket->word[__builtin_ctz(bits)], memory_order_relaxed) &
                index->number_mask;
            if (number != 0 && gm_slot_has_key(gm_slot_at(shard->chunks, number), key, key_bytes))
                return number;
        }
        if (atomic_load_explicit(&bucket->overflow, memory_order_relaxed) == 0)
            break;
    }
    return 0;
}

bool gm_entry_is_over(const struct geomem_cache *cache, const struct gm_cache_slot *slot)
{
    struct gm_entry_extra *extra = gm_entry_extra(slot);
    if (!extra || (extra->expires_s == 0 && extra->idle_s == 0))
        return false;
    uint32_t now = gm_cache_seconds(cache, gm_cache_coarse_ns(cache));
    if (extra->expires_s != 0 && now >= extra->expires_s)
        return true;
    return extra->idle_s != 0 &&
           now >
               (uint64_t)atomic_load_explicit(&extra->used_s, memory_order_relaxed) + extra->idle_s;
}

/* The slot may be used again as soon as it has been given back. */
void gm_slot_clear(struct gm_cache_slot *slot)
{
    struct gm_shard *shard = gm_slot_shard(slot);
    struct geomem_cache *cache = shard->cache;
    geomem_free(gm_entry_block(slot));
    gm_lock_take(&shard->lock);
    atomic_store_explicit(&slot->word,
        atomic_load_explicit(&slot->word, memory_order_relaxed) & GM_SLOT_EPOCH,
        memory_order_relaxed);
    gm_slot_give(&shard->slots, gm_slot_number(slot));
    gm_lock_give(&shard->lock);
    gm_cache_unreference(cache);
}
