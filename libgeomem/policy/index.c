/* index.c - see index.h. */
#include "libgeomem/policy/index.h"

#include <errno.h>
#include <string.h>

#include "libgeomem/policy/kind.h"

int gm_index_init(struct gm_index *index, uint32_t slots)
{
    uint32_t buckets = 4;
    while (buckets < slots && buckets < (uint32_t)1 << 31)
        buckets *= 2;
    index->bytes = ((size_t)buckets + slots) * sizeof(uint32_t);
    index->buckets = gm_policy_memory(index->bytes);
    if (!index->buckets)
        return -ENOMEM;
    index->chain = index->buckets + buckets;
    index->mask = buckets - 1;
    index->slots = slots;
    gm_index_clear(index);
    return 0;
}

void gm_index_done(struct gm_index *index)
{
    gm_policy_memory_free(index->buckets, index->bytes);
    index->buckets = NULL;
}

void gm_index_clear(struct gm_index *index)
{
    memset(index->buckets, 0xff, ((size_t)index->mask + 1) * sizeof(uint32_t));
    index->free = GM_POLICY_NONE;
    index->high = 0;
}

/* Hashes of a sample have their high bits in common, and those of a shard perhaps low ones. */
static uint32_t *bucket_of(const struct gm_index *index, uint64_t hash)
{
    return &index->buckets[(uint32_t)(hash * 0x9e3779b97f4a7c15u >> 32) & index->mask];
}

uint32_t gm_index_find(
    const struct gm_index *index, const struct gm_policy_node *nodes, uint64_t hash)
{
    uint32_t slot = *bucket_of(index, hash);
    while (slot != GM_POLICY_NONE && nodes[slot].hash != hash)
        slot = index->chain[slot];
    return slot;
}

static uint32_t slot_take(struct gm_index *index)
{
    uint32_t slot = index->free;
    if (slot != GM_POLICY_NONE)
        index->free = index->chain[slot];
    else if (index->high < index->slots)
        slot = index->high++;
    return slot;
}

uint32_t gm_index_add(struct gm_index *index, uint64_t hash)
{
    uint32_t slot = slot_take(index);
    if (slot == GM_POLICY_NONE)
        return slot;
    uint32_t *bucket = bucket_of(index, hash);
    index->chain[slot] = *bucket;
    *bucket = slot;
    return slot;
}

void gm_index_remove(struct gm_index *index, const struct gm_policy_node *nodes, uint32_t slot)
{
    uint32_t *link = bucket_of(index, nodes[slot].hash);
    while (*link != slot)
        link = &index->chain[*link];
    *link = index->chain[slot];
    index->chain[slot] = index->free;
    index->free = slot;
}
