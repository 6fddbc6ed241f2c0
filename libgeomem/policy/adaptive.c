/* adaptive.c - the policy that chooses: queues whose rule and window follow a chooser, shared by the shards of a cache. */
#include "libgeomem/policy/kind.h"

#include <errno.h>

#include "libgeomem/policy/chooser.h"

struct adaptive {
    struct gm_policy policy;
    struct gm_queues queues;
    struct gm_sketch sketch;
    struct gm_chooser *chooser;
    uint32_t choice; /* that the queues run */
    uint32_t age;    /* that the sketch has */
    bool leads;      /* the chooser is this shard's to free */
};

static struct adaptive *adaptive_of(struct gm_policy *policy)
{
    return (struct adaptive *)policy;
}

static void adaptive_free(struct gm_policy *policy)
{
    struct adaptive *adaptive = adaptive_of(policy);
    if (adaptive->leads && adaptive->chooser) {
        gm_chooser_done(adaptive->chooser);
        gm_policy_memory_free(adaptive->chooser, sizeof *adaptive->chooser);
    }
    gm_sketch_done(&adaptive->sketch);
    gm_queues_done(&adaptive->queues);
    gm_policy_unmap(policy);
}

static bool use_note(struct adaptive *adaptive, uint32_t slot, uint64_t hash, uint32_t stripe)
{
    const struct gm_policy_node *node = &adaptive->policy.nodes[slot];
    gm_sketch_add(&adaptive->sketch, hash);
    return gm_chooser_note(
        adaptive->chooser, hash, gm_node_charge(node), gm_node_cost(node), stripe);
}

static bool adaptive_hit(struct gm_policy *policy, uint32_t slot, uint64_t hash, uint32_t stripe)
{
    gm_node_count_use(&policy->nodes[slot]);
    return use_note(adaptive_of(policy), slot, hash, stripe);
}

/* What the chooser has decided since. */
static void adaptive_follow(struct gm_policy *policy)
{
    struct adaptive *adaptive = adaptive_of(policy);
    uint32_t choice = atomic_load_explicit(&adaptive->chooser->choice, memory_order_relaxed);
    if (choice != adaptive->choice) {
        adaptive->choice = choice;
        const struct gm_candidate *candidate = &gm_candidates[choice];
        gm_queues_set_rule(&adaptive->queues, candidate->rule, candidate->window_permille);
    }
    uint32_t age = atomic_load_explicit(&adaptive->chooser->age, memory_order_relaxed);
    if (age != adaptive->age) {
        adaptive->age = age;
        gm_sketch_halve(&adaptive->sketch);
    }
}

static bool adaptive_insert(struct gm_policy *policy, uint32_t slot, uint32_t stripe)
{
    struct adaptive *adaptive = adaptive_of(policy);
    adaptive_follow(policy);
    gm_sketch_grow(&adaptive->sketch, policy->entries);
    gm_ghosts_grow(&adaptive->queues.ghosts, policy->entries);
    gm_queues_insert(&adaptive->queues, slot);
    return use_note(adaptive, slot, policy->nodes[slot].hash, stripe);
}

static uint32_t adaptive_victim(struct gm_policy *policy, const struct gm_policy_filter *filter)
{
    return gm_queues_victim(&adaptive_of(policy)->queues, filter);
}

static void adaptive_evict(struct gm_policy *policy, uint32_t slot)
{
    gm_queues_evict(&adaptive_of(policy)->queues, slot);
}

static void adaptive_remove(struct gm_policy *policy, uint32_t slot)
{
    gm_queues_remove(&adaptive_of(policy)->queues, slot);
}

static struct gm_policy_list *adaptive_list(struct gm_policy *policy, uint32_t slot)
{
    return gm_queues_list(&adaptive_of(policy)->queues, slot);
}

static void adaptive_resize(struct gm_policy *policy, uint64_t total)
{
    struct adaptive *adaptive = adaptive_of(policy);
    gm_queues_set_capacity(&adaptive->queues, policy->capacity);
    gm_chooser_resize(adaptive->chooser, total);
}

static void adaptive_maintain(struct gm_policy *policy)
{
    gm_chooser_learn(adaptive_of(policy)->chooser);
}

/* For all shards, by the one that the chooser belongs to. */
static void adaptive_pause(struct gm_policy *policy)
{
    if (adaptive_of(policy)->leads)
        gm_chooser_pause(adaptive_of(policy)->chooser);
}

static void adaptive_resume(struct gm_policy *policy)
{
    if (adaptive_of(policy)->leads)
        gm_chooser_resume(adaptive_of(policy)->chooser);
}

static uint32_t adaptive_choice(const struct gm_policy *policy)
{
    const struct adaptive *adaptive = (const struct adaptive *)policy;
    return atomic_load_explicit(&adaptive->chooser->choice, memory_order_relaxed);
}

static uint32_t adaptive_switches(const struct gm_policy *policy)
{
    const struct adaptive *adaptive = (const struct adaptive *)policy;
    return atomic_load_explicit(&adaptive->chooser->switches, memory_order_relaxed);
}

static const char *adaptive_check(const struct gm_policy *policy)
{
    return gm_queues_check(&((const struct adaptive *)policy)->queues, policy->slots);
}

static const struct gm_policy_operations adaptive_operations = {
    .free = adaptive_free,
    .hit = adaptive_hit,
    .insert = adaptive_insert,
    .victim = adaptive_victim,
    .evict = adaptive_evict,
    .remove = adaptive_remove,
    .list = adaptive_list,
    .resize = adaptive_resize,
    .settle = adaptive_follow,
    .maintain = adaptive_maintain,
    .pause = adaptive_pause,
    .resume = adaptive_resume,
    .choice = adaptive_choice,
    .switches = adaptive_switches,
    .check = adaptive_check,
};

static int chooser_join(struct adaptive *adaptive, const struct gm_policy_config *config)
{
    if (config->first) {
        adaptive->chooser = adaptive_of(config->first)->chooser;
        return 0;
    }
    adaptive->leads = true;
    adaptive->chooser = gm_policy_memory(sizeof *adaptive->chooser);
    return adaptive->chooser ? gm_chooser_init(adaptive->chooser, config) : -ENOMEM;
}

int gm_adaptive_create(const struct gm_policy_config *config, struct gm_policy **ret_policy)
{
    if (config->first && config->first->operations != &adaptive_operations)
        return -EINVAL;
    struct gm_policy *policy = gm_policy_map(config, &adaptive_operations, sizeof(struct adaptive));
    if (!policy)
        return -ENOMEM;
    struct adaptive *adaptive = adaptive_of(policy);
    adaptive->choice = UINT32_MAX;
    adaptive->queues.goal = config->goal;
    adaptive->queues.spills = true;
    int error = chooser_join(adaptive, config);
    if (error == 0)
        error = gm_sketch_init(&adaptive->sketch, config->slots);
    if (error == 0)
        error = gm_queues_init(
            &adaptive->queues, policy->nodes, config->slots, &adaptive->sketch, config->seed);
    if (error < 0) {
        adaptive_free(policy);
        return error;
    }
    gm_queues_set_capacity(&adaptive->queues, config->capacity);
    adaptive_follow(policy);
    *ret_policy = policy;
    return 0;
}
