/* index.c - see index.h. */
#include "libgeomem/cache/index.h"

#include "libgeomem/base/os.h"

struct gm_cache_index *gm_cache_index_create(uint32_t log2, uint32_t number_mask)
{
    size_t bytes = sizeof(struct gm_cache_index) + ((size_t)sizeof(struct gm_bucket) << log2);
    bytes = (bytes + GM_PAGE_BYTES - 1) & ~(GM_PAGE_BYTES - 1);
    struct gm_cache_index *index = gm_os_map(bytes);
    if (index) {
        index->mask = (1u << log2) - 1;
        index->number_mask = number_mask;
        index->bytes = bytes;
    }
    return index;
}

void gm_cache_index_free(struct gm_cache_index *index)
{
    while (index) {
        struct gm_cache_index *previous = index->previous;
        gm_os_unmap(index, index->bytes);
        index = previous;
    }
}

/* The header stays: it has the link to those before. */
void gm_cache_index_retire(struct gm_cache_index *index)
{
    if (index->bytes > GM_PAGE_BYTES)
        gm_os_purge((uintptr_t)index + GM_PAGE_BYTES, index->bytes - GM_PAGE_BYTES);
}

bool gm_cache_index_put(struct gm_cache_index *index, uint64_t hash, uint32_t number)
{
    uint32_t home = (uint32_t)hash & index->mask, at = home;
    for (uint32_t looked = 0; looked <= index->mask; looked++, at = (at + 1) & index->mask) {
        struct gm_bucket *bucket = &index->bucket[at];
        for (uint32_t i = 0; i < GM_BUCKET_WORDS; i++) {
            if (atomic_load_explicit(&bucket->word[i], memory_order_relaxed) != 0)
                continue;
            for (uint32_t past = home; past != at; past = (past + 1) & index->mask)
                atomic_fetch_add_explicit(&index->bucket[past].overflow, 1, memory_order_relaxed);
            /* release: pairs with the acquire in the lookup: the slot is filled in, the way to it is counted */
            atomic_store_explicit(
                &bucket->word[i], gm_cache_index_tag(index, hash) | number, memory_order_release);
            return true;
        }
    }
    return false;
}

/* The word of an entry that is there. */
static _Atomic uint32_t *index_word(
    struct gm_cache_index *index, uint64_t hash, uint32_t number, uint32_t *ret_at)
{
    uint32_t wanted = gm_cache_index_tag(index, hash) | number;
    for (uint32_t at = (uint32_t)hash & index->mask;; at = (at + 1) & index->mask)
        for (uint32_t i = 0; i < GM_BUCKET_WORDS; i++) {
            _Atomic uint32_t *word = &index->bucket[at].word[i];
            if (atomic_load_explicit(word, memory_order_relaxed) != wanted)
                continue;
            *ret_at = at;
            return word;
        }
}

void gm_cache_index_clear(struct gm_cache_index *index, uint64_t hash, uint32_t number)
{
    uint32_t at, past = (uint32_t)hash & index->mask;
    atomic_store_explicit(index_word(index, hash, number, &at), 0, memory_order_relaxed);
    for (; past != at; past = (past + 1) & index->mask)
        atomic_fetch_sub_explicit(&index->bucket[past].overflow, 1, memory_order_relaxed);
}

void gm_cache_index_swap(
    struct gm_cache_index *index, uint64_t hash, uint32_t number, uint32_t new_number)
{
    uint32_t at;
    /* release: as in gm_cache_index_put */
    atomic_store_explicit(index_word(index, hash, number, &at),
        gm_cache_index_tag(index, hash) | new_number, memory_order_release);
}

struct gm_cache_index *gm_cache_index_grow(
    struct gm_cache_index *index, uint64_t (*hash_of)(uint32_t number, void *arg), void *arg)
{
    uint32_t log2 = 32u - (uint32_t)__builtin_clz(index->mask | 1);
    if (index->mask == 0)
        log2 = 0;
    struct gm_cache_index *larger = gm_cache_index_create(log2 + 1, index->number_mask);
    if (!larger)
        return NULL;
    larger->previous = index;
    for (uint32_t at = 0; at <= index->mask; at++)
        for (uint32_t i = 0; i < GM_BUCKET_WORDS; i++) {
            uint32_t number =
                atomic_load_explicit(&index->bucket[at].word[i], memory_order_relaxed) &
                index->number_mask;
            if (number != 0)
                gm_cache_index_put(larger, hash_of(number, arg), number);
        }
    return larger;
}
