/* index.h - finds rows of an array by their contents: a hash table of 32-bit row ids.
 *
 * The rows stay where they are and know their own contents; the table holds ids (0: free slot),
 * open addressing, linear probing, load 1/2 to 3/4. Rows are never removed.
 */
#ifndef GM_COLLECTOR_INDEX_H
#define GM_COLLECTOR_INDEX_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct gm_index {
    uint32_t *slots;
    size_t room, n;
};

typedef uint64_t gm_index_hash(const void *rows, uint32_t id);
typedef bool gm_index_equal(const void *rows, uint32_t id, const void *key);

static inline uint64_t gm_index_mix(uint64_t a, uint64_t b)
{
    uint64_t h = (a ^ b * 0x9e3779b97f4a7c15ull) * 0xd6e8feb86659fd93ull;
    h ^= h >> 32;
    return h * 0x9e3779b97f4a7c15ull;
}

static inline size_t gm_index_slot(const struct gm_index *index, uint64_t hash)
{
    return (size_t)((hash >> 32) * index->room >> 32);
}

/* Id of the row equal to the key, or 0. */
static inline uint32_t gm_index_find(const struct gm_index *index, uint64_t hash, const void *rows,
    const void *key, gm_index_equal *equal)
{
    if (!index->room)
        return 0;
    for (size_t i = gm_index_slot(index, hash); index->slots[i];
         i = i + 1 < index->room ? i + 1 : 0)
        if (equal(rows, index->slots[i], key))
            return index->slots[i];
    return 0;
}

static inline void gm_index_put(struct gm_index *index, uint64_t hash, uint32_t id)
{
    size_t i = gm_index_slot(index, hash);
    while (index->slots[i])
        i = i + 1 < index->room ? i + 1 : 0;
    index->slots[i] = id;
    index->n++;
}

/* Makes sure of a place for one more id: to be called before the row is made. -ENOMEM. */
static inline int gm_index_reserve(struct gm_index *index, const void *rows, gm_index_hash *hash)
{
    if (index->n + 1 <= index->room - index->room / 4 && index->room)
        return 0;
    struct gm_index grown = {.room = index->room ? index->room + index->room / 2 : 32};
    grown.slots = calloc(grown.room, sizeof *grown.slots);
    if (!grown.slots)
        return -ENOMEM;
    for (size_t i = 0; i < index->room; i++)
        if (index->slots[i])
            gm_index_put(&grown, hash(rows, index->slots[i]), index->slots[i]);
    free(index->slots);
    *index = grown;
    return 0;
}

static inline void gm_index_done(struct gm_index *index)
{
    free(index->slots);
    *index = (struct gm_index){0};
}

#endif
