/* index.h - from hashes to slots, for simulations: chained buckets, and which slots are free.
 *
 * The hashes stand in the nodes. One thread.
 */
#ifndef GM_POLICY_INDEX_H
#define GM_POLICY_INDEX_H

#include "libgeomem/policy/nodes.h"

struct gm_index {
    uint32_t *buckets;
    uint32_t *chain; /* the next slot of the bucket, or the next free one */
    uint32_t mask;   /* buckets - 1 */
    uint32_t slots;
    uint32_t free; /* head of the free slots' chain */
    uint32_t high; /* slots at and above were never used */
    size_t bytes;
};

/* 0 or -ENOMEM. */
int gm_index_init(struct gm_index *index, uint32_t slots);
void gm_index_done(struct gm_index *index);
void gm_index_clear(struct gm_index *index);

/* GM_POLICY_NONE: it is not in. */
uint32_t gm_index_find(
    const struct gm_index *index, const struct gm_policy_node *nodes, uint64_t hash);
/* A free slot, under this hash from now on; GM_POLICY_NONE: all are taken. The caller writes the hash into the node. */
uint32_t gm_index_add(struct gm_index *index, uint64_t hash);
void gm_index_remove(struct gm_index *index, const struct gm_policy_node *nodes, uint32_t slot);
static inline bool gm_index_is_full(const struct gm_index *index)
{
    return index->free == GM_POLICY_NONE && index->high == index->slots;
}

#endif
