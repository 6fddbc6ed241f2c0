/* index.h - from hashes of keys to slots: open addressing in buckets of one cache line.
 *
 *   bucket:  | 15 words | overflow |        word:  | tag, from the hash | slot's number |       0: nothing
 *
 * An entry is in the first bucket from its own on that had a free word when it came. `overflow` of a bucket counts the entries
 * that went past it: where it is 0 a search ends. (After F14 of Facebook's folly, of which the idea is documented, and
 * no code was used.)
 *
 * Entries never move. So a lookup needs no lock: it can only miss an entry that came or left meanwhile, or that a
 * replacement has put into the same word; and, while the index grows, look into the old one: whoever finds nothing
 * looks whether the index is still the same. An old index keeps its addresses, and gives its memory back.
 *
 * Changed with the shard's lock held.
 */
#ifndef GM_CACHE_INDEX_H
#define GM_CACHE_INDEX_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GM_BUCKET_WORDS 15u
/* Entries for each bucket beyond which the index doubles: of 15, as many as let few go past a bucket. Measured, see
 * docs/design/cache.md. */
#define GM_BUCKET_FILL 12u

struct gm_bucket {
    _Atomic uint32_t word[GM_BUCKET_WORDS];
    _Atomic uint32_t overflow;
};
static_assert(sizeof(struct gm_bucket) == 64, "one cache line");

struct gm_cache_index {
    uint32_t mask;        /* buckets - 1 */
    uint32_t number_mask; /* of a word: the slot's number */
    struct gm_cache_index *previous;
    size_t bytes; /* mapped */
    uint64_t unused[4];
    _Alignas(64) struct gm_bucket bucket[];
};

/* With 2^log2 buckets, for slots' numbers within `number_mask`; NULL: no memory. */
struct gm_cache_index *gm_cache_index_create(uint32_t log2, uint32_t number_mask);
/* With all that it has replaced. */
void gm_cache_index_free(struct gm_cache_index *index);
/* Twice as large, entries copied: hash_of(number, arg) gives their hashes. The old one hangs on the new one. */
struct gm_cache_index *gm_cache_index_grow(
    struct gm_cache_index *index, uint64_t (*hash_of)(uint32_t number, void *arg), void *arg);
/* Nobody is led to it any more: its memory goes, its address space stays. */
void gm_cache_index_retire(struct gm_cache_index *index);

/* False: it is full. */
bool gm_cache_index_put(struct gm_cache_index *index, uint64_t hash, uint32_t number);
void gm_cache_index_clear(struct gm_cache_index *index, uint64_t hash, uint32_t number);
/* The word of one entry leads to another with the same hash from now on. */
void gm_cache_index_swap(
    struct gm_cache_index *index, uint64_t hash, uint32_t number, uint32_t new_number);

static inline uint32_t gm_cache_index_tag(const struct gm_cache_index *index, uint64_t hash)
{
    return (uint32_t)(hash >> 32) & ~index->number_mask;
}

/* What was read before it is not read after what follows. */
static inline void gm_read_fence(void)
{
#if !defined(__SANITIZE_THREAD__) /* which does not know fences */
    /* acquire: looks at the index are done before it is asked whether it is still the same */
    atomic_thread_fence(memory_order_acquire);
#endif
}

/* Bit i: word i of the bucket may be an entry with this tag (an empty word too, if the tag is 0). */
#if defined(__SANITIZE_THREAD__)
static inline uint32_t gm_bucket_match(
    const struct gm_bucket *bucket, uint32_t tag, uint32_t number_mask)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < GM_BUCKET_WORDS; i++)
        if ((atomic_load_explicit(&bucket->word[i], memory_order_relaxed) & ~number_mask) == tag)
            bits |= 1u << i;
    return bits;
}
#else
#include <emmintrin.h>
static inline uint32_t gm_bucket_match(
    const struct gm_bucket *bucket, uint32_t tag, uint32_t number_mask)
{
    const __m128i *at = (const __m128i *)(const void *)bucket;
    __m128i wanted = _mm_set1_epi32((int)tag), mask = _mm_set1_epi32((int)~number_mask);
    __m128i half[2];
    for (int i = 0; i < 2; i++) {
        __m128i a = _mm_cmpeq_epi32(_mm_and_si128(_mm_load_si128(at + 2 * i), mask), wanted);
        __m128i b = _mm_cmpeq_epi32(_mm_and_si128(_mm_load_si128(at + 2 * i + 1), mask), wanted);
        half[i] = _mm_packs_epi32(a, b);
    }
    return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(half[0], half[1])) & 0x7fffu;
}
#endif

#endif
