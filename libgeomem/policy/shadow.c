/* shadow.c - see shadow.h. */
#include "libgeomem/policy/shadow.h"

#include <errno.h>

int gm_shadow_init(
    struct gm_shadow *shadow, uint32_t slots, const struct gm_sketch *sketch, uint64_t seed)
{
    shadow->slots = slots;
    shadow->nodes = gm_policy_memory(slots * sizeof(struct gm_policy_node));
    if (!shadow->nodes || gm_index_init(&shadow->index, slots) < 0)
        return -ENOMEM;
    return gm_queues_init(&shadow->queues, shadow->nodes, slots, sketch, seed);
}

void gm_shadow_done(struct gm_shadow *shadow)
{
    gm_queues_done(&shadow->queues);
    gm_index_done(&shadow->index);
    gm_policy_memory_free(shadow->nodes, shadow->slots * sizeof(struct gm_policy_node));
    shadow->nodes = NULL;
}

void gm_shadow_clear(struct gm_shadow *shadow)
{
    for (uint32_t slot = 0; slot < shadow->index.high; slot++)
        shadow->nodes[slot].place = GM_PLACE_NONE;
    gm_index_clear(&shadow->index);
    gm_queues_clear(&shadow->queues);
    shadow->entries = 0;
    shadow->used = 0;
}

static void shadow_evict_one(struct gm_shadow *shadow)
{
    struct gm_policy_filter all = {NULL, NULL};
    uint32_t slot = gm_queues_victim(&shadow->queues, &all);
    gm_queues_evict(&shadow->queues, slot);
    gm_index_remove(&shadow->index, shadow->nodes, slot);
    shadow->nodes[slot].place = GM_PLACE_NONE;
    shadow->used -= gm_node_charge(&shadow->nodes[slot]);
    shadow->entries--;
}

void gm_shadow_set_capacity(struct gm_shadow *shadow, uint64_t capacity)
{
    shadow->capacity = capacity;
    gm_queues_set_capacity(&shadow->queues, capacity);
    while (shadow->used > capacity)
        shadow_evict_one(shadow);
}

static void shadow_add(struct gm_shadow *shadow, uint64_t hash, uint32_t charge, uint16_t cost)
{
    while (shadow->used + charge > shadow->capacity || gm_index_is_full(&shadow->index))
        shadow_evict_one(shadow);
    uint32_t slot = gm_index_add(&shadow->index, hash);
    struct gm_policy_node *node = &shadow->nodes[slot];
    node->hash = hash;
    gm_node_set_charge(node, charge, cost);
    gm_node_set_count(node, 0);
    shadow->used += charge;
    shadow->entries++;
    gm_ghosts_grow(&shadow->queues.ghosts, shadow->entries);
    gm_queues_insert(&shadow->queues, slot);
}

bool gm_shadow_use(struct gm_shadow *shadow, uint64_t hash, uint32_t charge, uint16_t cost)
{
    uint32_t slot = gm_index_find(&shadow->index, shadow->nodes, hash);
    if (slot != GM_POLICY_NONE) {
        gm_node_count_use(&shadow->nodes[slot]);
        return true;
    }
    if (charge <= shadow->capacity)
        shadow_add(shadow, hash, charge, cost);
    return false;
}
