/* lru.c - the least recently used entry goes.
 *
 * One list, newest first. Hits do not move entries, which would need the lock: they are noted (uses.h), and entries are moved in
 * that order before the next victim is looked for. So the order is exact as long as a caller that is told so settles; when
 * more hits than a ring holds come between, the oldest of them count and the rest are forgotten.
 */
#include "libgeomem/policy/kind.h"

#include <errno.h>

#include "libgeomem/policy/uses.h"

struct lru {
    struct gm_policy policy;
    struct gm_policy_list list;
    struct gm_uses uses;
};

static struct lru *lru_of(struct gm_policy *policy)
{
    return (struct lru *)policy;
}

static void lru_free(struct gm_policy *policy)
{
    struct lru *lru = lru_of(policy);
    gm_uses_done(&lru->uses);
    gm_policy_unmap(policy);
}

static bool lru_hit(struct gm_policy *policy, uint32_t slot, uint64_t hash, uint32_t stripe)
{
    return gm_uses_put(&lru_of(policy)->uses, stripe, hash, slot);
}

static void lru_take_use(void *arg, uint64_t hash, uint64_t slot)
{
    struct lru *lru = arg;
    struct gm_policy *policy = &lru->policy;
    /* The slot may have another entry by now, or none. */
    if (slot < policy->slots && policy->nodes[slot].place == GM_PLACE_MAIN &&
        policy->nodes[slot].hash == hash)
        gm_list_renew(policy->nodes, &lru->list, (uint32_t)slot);
}

static void lru_settle(struct gm_policy *policy)
{
    gm_uses_drain(&lru_of(policy)->uses, lru_take_use, policy);
}

static bool lru_insert(struct gm_policy *policy, uint32_t slot, uint32_t stripe)
{
    (void)stripe;
    struct lru *lru = lru_of(policy);
    lru_settle(policy);
    policy->nodes[slot].place = GM_PLACE_MAIN;
    gm_list_push(policy->nodes, &lru->list, slot);
    return false;
}

static uint32_t lru_victim(struct gm_policy *policy, const struct gm_policy_filter *filter)
{
    struct lru *lru = lru_of(policy);
    lru_settle(policy);
    uint32_t slot = lru->list.tail;
    for (uint32_t probes = 0; slot != GM_POLICY_NONE && probes < GM_POLICY_PROBES; probes++) {
        if (gm_filter_passes(filter, slot))
            return slot;
        slot = policy->nodes[slot].prev;
    }
    return GM_POLICY_NONE;
}

static void lru_remove(struct gm_policy *policy, uint32_t slot)
{
    gm_list_unlink(policy->nodes, &lru_of(policy)->list, slot);
}

static struct gm_policy_list *lru_list(struct gm_policy *policy, uint32_t slot)
{
    (void)slot;
    return &lru_of(policy)->list;
}

static void lru_resize(struct gm_policy *policy, uint64_t total)
{
    (void)policy;
    (void)total;
}

static void lru_maintain(struct gm_policy *policy)
{
    (void)policy;
}

static const char *lru_check(const struct gm_policy *policy)
{
    const struct lru *lru = (const struct lru *)policy;
    if (lru->list.entries != policy->entries)
        return "the list of the least recently used is not all entries";
    return gm_list_check(policy->nodes, policy->slots, &lru->list, GM_PLACE_MAIN);
}

static const struct gm_policy_operations lru_operations = {
    .free = lru_free,
    .hit = lru_hit,
    .insert = lru_insert,
    .victim = lru_victim,
    .evict = lru_remove,
    .remove = lru_remove,
    .list = lru_list,
    .resize = lru_resize,
    .settle = lru_settle,
    .maintain = lru_maintain,
    .check = lru_check,
};

int gm_lru_create(const struct gm_policy_config *config, struct gm_policy **ret_policy)
{
    struct gm_policy *policy = gm_policy_map(config, &lru_operations, sizeof(struct lru));
    if (!policy)
        return -ENOMEM;
    struct lru *lru = lru_of(policy);
    gm_list_init(&lru->list);
    if (gm_uses_init(&lru->uses, config->stripes) < 0) {
        lru_free(policy);
        return -ENOMEM;
    }
    *ret_policy = policy;
    return 0;
}
