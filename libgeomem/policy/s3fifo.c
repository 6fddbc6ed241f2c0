/* s3fifo.c - S3-FIFO: the queues under its rule, with a window of a tenth. */
#include "libgeomem/policy/kind.h"

#include <errno.h>

#include "libgeomem/policy/queues.h"

/* The paper's, section 4.1. */
#define WINDOW_PERMILLE 100u

struct s3fifo {
    struct gm_policy policy;
    struct gm_queues queues;
};

static struct gm_queues *queues_of(struct gm_policy *policy)
{
    return &((struct s3fifo *)policy)->queues;
}

static void s3fifo_free(struct gm_policy *policy)
{
    gm_queues_done(queues_of(policy));
    gm_policy_unmap(policy);
}

static bool s3fifo_hit(struct gm_policy *policy, uint32_t slot, uint64_t hash, uint32_t stripe)
{
    (void)hash;
    (void)stripe;
    gm_node_count_use(&policy->nodes[slot]);
    return false;
}

static bool s3fifo_insert(struct gm_policy *policy, uint32_t slot, uint32_t stripe)
{
    (void)stripe;
    gm_ghosts_grow(&queues_of(policy)->ghosts, policy->entries);
    gm_queues_insert(queues_of(policy), slot);
    return false;
}

static uint32_t s3fifo_victim(struct gm_policy *policy, const struct gm_policy_filter *filter)
{
    return gm_queues_victim(queues_of(policy), filter);
}

static void s3fifo_evict(struct gm_policy *policy, uint32_t slot)
{
    gm_queues_evict(queues_of(policy), slot);
}

static void s3fifo_remove(struct gm_policy *policy, uint32_t slot)
{
    gm_queues_remove(queues_of(policy), slot);
}

static struct gm_policy_list *s3fifo_list(struct gm_policy *policy, uint32_t slot)
{
    return gm_queues_list(queues_of(policy), slot);
}

static void s3fifo_resize(struct gm_policy *policy, uint64_t total)
{
    (void)total;
    gm_queues_set_capacity(queues_of(policy), policy->capacity);
}

static void s3fifo_nothing(struct gm_policy *policy)
{
    (void)policy;
}

static const char *s3fifo_check(const struct gm_policy *policy)
{
    return gm_queues_check(&((const struct s3fifo *)policy)->queues, policy->slots);
}

static const struct gm_policy_operations s3fifo_operations = {
    .free = s3fifo_free,
    .hit = s3fifo_hit,
    .insert = s3fifo_insert,
    .victim = s3fifo_victim,
    .evict = s3fifo_evict,
    .remove = s3fifo_remove,
    .list = s3fifo_list,
    .resize = s3fifo_resize,
    .settle = s3fifo_nothing,
    .maintain = s3fifo_nothing,
    .check = s3fifo_check,
};

int gm_s3fifo_create(const struct gm_policy_config *config, struct gm_policy **ret_policy)
{
    struct gm_policy *policy = gm_policy_map(config, &s3fifo_operations, sizeof(struct s3fifo));
    if (!policy)
        return -ENOMEM;
    struct gm_queues *queues = queues_of(policy);
    gm_queues_set_rule(queues, GM_RULE_S3, WINDOW_PERMILLE);
    gm_queues_set_capacity(queues, config->capacity);
    if (gm_queues_init(queues, policy->nodes, config->slots, NULL, config->seed) < 0) {
        s3fifo_free(policy);
        return -ENOMEM;
    }
    *ret_policy = policy;
    return 0;
}
