/* shadow.h - a cache of hashes only, small, that shows how many hits a rule would have: a miniature simulation.
 *
 * It is fed with the uses of a sample of keys and has the same part of the capacity. One thread.
 */
#ifndef GM_POLICY_SHADOW_H
#define GM_POLICY_SHADOW_H

#include "libgeomem/policy/index.h"
#include "libgeomem/policy/queues.h"

struct gm_shadow {
    struct gm_queues queues;
    struct gm_index index;
    struct gm_policy_node *nodes;
    uint32_t slots;
    uint32_t entries;
    uint64_t used;
    uint64_t capacity;
};

/* 0 or -ENOMEM; after either, gm_shadow_done. The struct is zeroed before. */
int gm_shadow_init(
    struct gm_shadow *shadow, uint32_t slots, const struct gm_sketch *sketch, uint64_t seed);
void gm_shadow_done(struct gm_shadow *shadow);
void gm_shadow_clear(struct gm_shadow *shadow);
void gm_shadow_set_capacity(struct gm_shadow *shadow, uint64_t capacity);

/* A use of a key: whether it was in. It is afterwards, unless larger than the capacity. `cost`: packed. */
bool gm_shadow_use(struct gm_shadow *shadow, uint64_t hash, uint32_t charge, uint16_t cost);

#endif
