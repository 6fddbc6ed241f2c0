/* find.h - lookups: from a key to its slot without a lock. See slot.h and index.h for why that is right. */
#ifndef GM_CACHE_FIND_H
#define GM_CACHE_FIND_H

#include <string.h>

#include "libgeomem/cache/cache.h"

/* Most keys are short: two words, which may overlap. */
static inline bool gm_keys_equal(const unsigned char *a, const void *key, size_t bytes)
{
    const unsigned char *b = key;
    if (bytes < 8 || bytes > 16)
        return memcmp(a, b, bytes) == 0;
    return gm_hash_word(a) == gm_hash_word(b) &&
           gm_hash_word(a + bytes - 8) == gm_hash_word(b + bytes - 8);
}

static inline bool gm_slot_has_key(
    const struct gm_cache_slot *slot, const void *key, size_t key_bytes)
{
    return gm_entry_key_bytes(slot) == key_bytes &&
           gm_keys_equal(gm_entry_key(slot), key, key_bytes);
}

enum gm_looked {
    GM_LOOKED_FOUND,
    GM_LOOKED_OTHER,
    GM_LOOKED_CHANGED, /* the word leads elsewhere by now: look again */
};

/* Whom does a word of the index lead to? Found: it has a pin. */
__attribute__((always_inline)) static inline enum gm_looked gm_word_look(
    const struct gm_shard *shard, const _Atomic uint32_t *place, uint32_t word,
    const struct gm_cache_index *index, const void *key, size_t key_bytes,
    struct gm_cache_slot **ret_slot)
{
    struct gm_cache_slot *slot = gm_slot_at(shard->chunks, word & index->number_mask);
    if (gm_slot_pin(slot)) {
        if (gm_slot_has_key(slot, key, key_bytes)) {
            *ret_slot = slot;
            return GM_LOOKED_FOUND;
        }
        gm_slot_release(slot);
    }
    gm_read_fence();
    /* A replacement changes the word, then the slot. acquire: as in shard_look */
    return atomic_load_explicit(place, memory_order_acquire) == word ? GM_LOOKED_OTHER
                                                                     : GM_LOOKED_CHANGED;
}

__attribute__((always_inline)) static inline enum gm_looked gm_shard_look(
    const struct gm_shard *shard, const struct gm_cache_index *index, uint64_t hash,
    const void *key, size_t key_bytes, struct gm_cache_slot **ret_slot)
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
            enum gm_looked found =
                gm_word_look(shard, place, word, index, key, key_bytes, ret_slot);
            if (found != GM_LOOKED_OTHER)
                return found;
        }
        if (atomic_load_explicit(&bucket->overflow, memory_order_relaxed) == 0)
            break;
    }
    return GM_LOOKED_OTHER;
}

/* The slot of a key, pinned; NULL: there is none. */
__attribute__((always_inline)) static inline struct gm_cache_slot *gm_shard_find(
    const struct gm_shard *shard, uint64_t hash, const void *key, size_t key_bytes)
{
    struct gm_cache_slot *slot;
    for (;;) {
        /* acquire: pairs with the release in gm_shard_index_ready */
        const struct gm_cache_index *index =
            atomic_load_explicit(&shard->index, memory_order_acquire);
        enum gm_looked looked = gm_shard_look(shard, index, hash, key, key_bytes, &slot);
        if (looked == GM_LOOKED_FOUND)
            return slot;
        gm_read_fence();
        if (looked == GM_LOOKED_OTHER &&
            index == atomic_load_explicit(&shard->index, memory_order_acquire))
            return NULL;
    }
}

#endif
