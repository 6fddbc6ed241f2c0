/* simulate.c - see simulate.h. */
#include "libgeomem/policy/simulate.h"

#include <errno.h>

#include "libgeomem/policy/index.h"
#include "libgeomem/policy/kind.h"

struct gm_simulation {
    struct gm_policy *policy;
    struct gm_index index;
};

int gm_simulation_create(
    const struct gm_policy_config *config, struct gm_simulation **ret_simulation)
{
    struct gm_simulation *simulation = gm_policy_memory(sizeof *simulation);
    if (!simulation)
        return -ENOMEM;
    int error = gm_policy_create(config, &simulation->policy);
    if (error == 0)
        error = gm_index_init(&simulation->index, config->slots);
    if (error < 0) {
        gm_simulation_free(simulation);
        return error;
    }
    *ret_simulation = simulation;
    return 0;
}

void gm_simulation_free(struct gm_simulation *simulation)
{
    if (!simulation)
        return;
    gm_policy_free(simulation->policy);
    gm_index_done(&simulation->index);
    gm_policy_memory_free(simulation, sizeof *simulation);
}

static void evict_one(struct gm_simulation *simulation)
{
    uint32_t slot = gm_policy_victim(simulation->policy, NULL, NULL);
    gm_index_remove(&simulation->index, simulation->policy->nodes, slot);
    gm_policy_evict(simulation->policy, slot);
}

static void maintain_if(struct gm_simulation *simulation, bool due)
{
    if (!due)
        return;
    gm_policy_maintain(simulation->policy);
    gm_policy_settle(simulation->policy);
}

bool gm_simulate_use(
    struct gm_simulation *simulation, uint64_t hash, uint64_t charge, uint64_t cost)
{
    struct gm_policy *policy = simulation->policy;
    uint32_t slot = gm_index_find(&simulation->index, policy->nodes, hash);
    if (slot != GM_POLICY_NONE) {
        maintain_if(simulation, gm_policy_hit(policy, slot, hash, 0));
        return true;
    }
    if (charge > policy->capacity || charge > UINT32_MAX || charge == 0)
        return false;
    while (policy->used + charge > policy->capacity || gm_index_is_full(&simulation->index))
        evict_one(simulation);
    slot = gm_index_add(&simulation->index, hash);
    maintain_if(simulation, gm_policy_insert(policy, slot, hash, charge, cost, 0));
    return false;
}

void gm_simulate_remove(struct gm_simulation *simulation, uint64_t hash)
{
    uint32_t slot = gm_index_find(&simulation->index, simulation->policy->nodes, hash);
    if (slot == GM_POLICY_NONE)
        return;
    gm_index_remove(&simulation->index, simulation->policy->nodes, slot);
    gm_policy_remove(simulation->policy, slot);
}

void gm_simulate_keep(
    struct gm_simulation *simulation, bool (*keeps)(uint64_t hash, void *arg), void *arg)
{
    const struct gm_policy *policy = simulation->policy;
    for (uint32_t slot = 0; slot < simulation->index.high; slot++) {
        uint64_t hash = policy->nodes[slot].hash;
        if (policy->nodes[slot].place != GM_PLACE_NONE && !keeps(hash, arg))
            gm_simulate_remove(simulation, hash);
    }
}

void gm_simulate_resize(struct gm_simulation *simulation, uint64_t capacity)
{
    gm_policy_resize(simulation->policy, capacity, 0);
    while (simulation->policy->used > capacity)
        evict_one(simulation);
}

struct gm_policy *gm_simulation_policy(struct gm_simulation *simulation)
{
    return simulation->policy;
}
