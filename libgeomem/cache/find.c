/* find.c - lookups: from a key to its slot without a lock. See slot.h and index.h for why that is right. */
#include <string.h>

#include "libgeomem/cache/cache.h"
#include "libgeomem/heap/heap.h"

static bool slot_has_key(const struct gm_cache_slot *slot, const void *key, size_t key_bytes)
{
    return gm_entry_key_bytes(slot) == key_bytes && memcmp(gm_entry_key(slot), key, key_bytes) == 0;
}

enum looked {
    LOOKED_FOUND,
    LOOKED_OTHER,
    LOOKED_CHANGED, /* the word leads elsewhere by now: look again */
};

/* Whom does a word of the index lead to? Found: it has a pin. */
static enum looked word_look(const struct gm_shard *shard, const _Atomic uint32_t *place,
    uint32_t word, const struct gm_cache_index *index, const void *key, size_t key_bytes,
    struct gm_cache_slot **ret_slot)
{
    struct gm_cache_slot *slot = gm_slot_at(shard->chunks, word & index->number_mask);
    if (gm_slot_pin(slot)) {
        if (slot_has_key(slot, key, key_bytes)) {
            *ret_slot = slot;
            return LOOKED_FOUND;
        }
        gm_slot_release(slot);
    }
    /* A replacement changes the word, then the slot. acquire: as in shard_look */
    return atomic_load_explicit(place, memory_order_acquire) == word ? LOOKED_OTHER
                                                                     : LOOKED_CHANGED;
}

static enum looked shard_look(const struct gm_shard *shard, const struct gm_cache_index *index,
    uint64_t hash, const void *key, size_t key_bytes, struct gm_cache_slot **ret_slot)
{
    uint32_t tag = gm_cache_index_tag(index, hash), at = (uint32_t)hash & index->mask;
    for (uint32_t looked = 0; looked <= index->mask; looked++, at = (at + 1) & index->mask) {
        const struct gm_bucket *bucket = &index->bucket[at];
        uint32_t bits = gm_bucket_match(bucket, tag, index->number_mask);
        for (; bits != 0; bits &= bits - 1) {
            const _Atomic uint32_t *place = &bucket->word[__builtin_ctz(bits)];
            /* acquire: pairs with the release in gm_cache_index_put */
            uint32_t word = atomic_load_explicit(place, memory_order_acquire);
            if ((word & index->number_mask) == 0)
                continue;
            enum looked found = word_look(shard, place, word, index, key, key_bytes, ret_slot);
            if (found != LOOKED_OTHER)
                return found;
        }
        if (atomic_load_explicit(&bucket->overflow, memory_order_relaxed) == 0)
            break;
    }
    return LOOKED_OTHER;
}

struct gm_cache_slot *gm_shard_find(
    const struct gm_shard *shard, uint64_t hash, const void *key, size_t key_bytes)
{
    struct gm_cache_slot *slot;
    for (;;) {
        /* acquire: pairs with the release in gm_shard_index_ready */
        const struct gm_cache_index *index =
            atomic_load_explicit(&shard->index, memory_order_acquire);
        enum looked looked = shard_look(shard, index, hash, key, key_bytes, &slot);
        if (looked == LOOKED_FOUND)
            return slot;
        if (looked == LOOKED_OTHER &&
            index == atomic_load_explicit(&shard->index, memory_order_acquire))
            return NULL;
    }
}

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
            if (number != 0 && slot_has_key(gm_slot_at(shard->chunks, number), key, key_bytes))
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
           now > atomic_load_explicit(&extra->used_s, memory_order_relaxed) + extra->idle_s;
}

/* The slot may be used again as soon as it has been given back. */
static void slot_clear(struct gm_cache_slot *slot)
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

void gm_slot_release(struct gm_cache_slot *slot)
{
    if (gm_word_is_last_of_dead(gm_slot_unpin(slot)))
        slot_clear(slot);
}
