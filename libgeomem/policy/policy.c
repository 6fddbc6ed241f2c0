/* policy.c - see policy.h: what all kinds of policy share. */
#include "libgeomem/policy/kind.h"

#include <errno.h>

#include "libgeomem/base/os.h"
#include "libgeomem/policy/chooser.h"

/* Slots looked at when the kind's own search has found nothing. See gm_policy_victim. */
#define SCAN_SLOTS 1024u

static size_t bytes_in_pages(size_t bytes)
{
    return (bytes + GM_PAGE_BYTES - 1) & ~(GM_PAGE_BYTES - 1);
}

void *gm_policy_memory(size_t bytes)
{
    return gm_os_map(bytes_in_pages(bytes));
}

void gm_policy_memory_free(void *start, size_t bytes)
{
    if (start)
        gm_os_unmap(start, bytes_in_pages(bytes));
}

struct gm_policy *gm_policy_map(const struct gm_policy_config *config,
    const struct gm_policy_operations *operations, size_t bytes)
{
    size_t before = (bytes + 63) & ~(size_t)63;
    size_t all = before + config->slots * sizeof(struct gm_policy_node);
    struct gm_policy *policy = gm_policy_memory(all);
    if (!policy)
        return NULL;
    policy->operations = operations;
    policy->nodes = (struct gm_policy_node *)((char *)policy + before);
    policy->bytes = all;
    policy->slots = config->slots;
    policy->capacity = config->capacity;
    policy->goal = config->goal;
    return policy;
}

void gm_policy_unmap(struct gm_policy *policy)
{
    gm_policy_memory_free(policy, policy->bytes);
}

static bool config_is_valid(const struct gm_policy_config *config)
{
    bool stripes = config->stripes <= 64 && (config->stripes & (config->stripes - 1)) == 0;
    bool total = config->total == 0 || config->total >= config->capacity;
    return config->capacity > 0 && config->slots > 0 && config->slots < GM_POLICY_NONE && stripes &&
           total && config->goal <= GM_GOAL_BYTES;
}

int gm_policy_create(const struct gm_policy_config *config, struct gm_policy **ret_policy)
{
    if (!config_is_valid(config))
        return -EINVAL;
    struct gm_policy_config filled = *config;
    if (filled.stripes == 0)
        filled.stripes = 1;
    if (filled.total == 0)
        filled.total = filled.capacity;
    switch (filled.kind) {
    case GM_POLICY_LRU:
        return gm_lru_create(&filled, ret_policy);
    case GM_POLICY_S3FIFO:
        return gm_s3fifo_create(&filled, ret_policy);
    case GM_POLICY_ADAPTIVE:
        return gm_adaptive_create(&filled, ret_policy);
    }
    return -EINVAL;
}

void gm_policy_free(struct gm_policy *policy)
{
    if (policy)
        policy->operations->free(policy);
}

bool gm_policy_hit(struct gm_policy *policy, uint32_t slot, uint64_t hash, uint32_t stripe)
{
    return policy->operations->hit(policy, slot, hash, stripe);
}

bool gm_policy_insert(struct gm_policy *policy, uint32_t slot, uint64_t hash, uint64_t charge,
    uint64_t cost, uint32_t stripe)
{
    struct gm_policy_node *node = &policy->nodes[slot];
    node->hash = hash;
    gm_node_set_charge(node, (uint32_t)charge, gm_cost_pack(cost));
    gm_node_set_count(node, 0);
    policy->used += charge;
    policy->entries++;
    if (slot >= policy->high)
        policy->high = slot + 1;
    return policy->operations->insert(policy, slot, stripe);
}

void gm_policy_recharge(struct gm_policy *policy, uint32_t slot, uint64_t charge, uint64_t cost)
{
    struct gm_policy_node *node = &policy->nodes[slot];
    uint64_t before = gm_node_charge(node);
    struct gm_policy_list *list = policy->operations->list(policy, slot);
    list->charge += charge - before;
    policy->used += charge - before;
    gm_node_set_charge(node, (uint32_t)charge, gm_cost_pack(cost));
}

/* Any entry that may go, the search going on where it last ended. */
static uint32_t victim_scan(struct gm_policy *policy, const struct gm_policy_filter *filter)
{
    for (uint32_t looked = 0; looked < SCAN_SLOTS && looked < policy->high; looked++) {
        uint32_t slot = policy->scan++;
        if (policy->scan >= policy->high)
            policy->scan = 0;
        if (policy->nodes[slot].place != GM_PLACE_NONE && gm_filter_passes(filter, slot))
            return slot;
    }
    return GM_POLICY_NONE;
}

uint32_t gm_policy_victim(
    struct gm_policy *policy, bool (*may_go)(uint32_t slot, void *arg), void *arg)
{
    struct gm_policy_filter filter = {may_go, arg};
    if (policy->entries == 0)
        return GM_POLICY_NONE;
    uint32_t slot = policy->operations->victim(policy, &filter);
    return slot != GM_POLICY_NONE ? slot : victim_scan(policy, &filter);
}

static void entry_forget(struct gm_policy *policy, uint32_t slot)
{
    policy->used -= gm_node_charge(&policy->nodes[slot]);
    policy->entries--;
}

void gm_policy_evict(struct gm_policy *policy, uint32_t slot)
{
    entry_forget(policy, slot);
    policy->operations->evict(policy, slot);
    policy->nodes[slot].place = GM_PLACE_NONE;
}

void gm_policy_remove(struct gm_policy *policy, uint32_t slot)
{
    entry_forget(policy, slot);
    policy->operations->remove(policy, slot);
    policy->nodes[slot].place = GM_PLACE_NONE;
}

void gm_policy_resize(struct gm_policy *policy, uint64_t capacity, uint64_t total)
{
    policy->capacity = capacity;
    policy->operations->resize(policy, total ? total : capacity);
}

void gm_policy_settle(struct gm_policy *policy)
{
    policy->operations->settle(policy);
}

void gm_policy_maintain(struct gm_policy *policy)
{
    policy->operations->maintain(policy);
}

void gm_policy_pause(struct gm_policy *policy)
{
    if (policy->operations->pause)
        policy->operations->pause(policy);
}

void gm_policy_resume(struct gm_policy *policy)
{
    if (policy->operations->resume)
        policy->operations->resume(policy);
}

uint32_t gm_policy_choice(const struct gm_policy *policy)
{
    return policy->operations->choice ? policy->operations->choice(policy) : 0;
}

uint32_t gm_policy_switches(const struct gm_policy *policy)
{
    return policy->operations->switches ? policy->operations->switches(policy) : 0;
}

const char *gm_policy_choice_name(enum gm_policy_kind kind, uint32_t choice)
{
    switch (kind) {
    case GM_POLICY_LRU:
        return choice == 0 ? "least recently used" : NULL;
    case GM_POLICY_S3FIFO:
        return choice == 0 ? "S3-FIFO" : NULL;
    case GM_POLICY_ADAPTIVE:
        return choice < GM_CANDIDATES ? gm_candidates[choice].name : NULL;
    }
    return NULL;
}

uint64_t gm_policy_hash(const struct gm_policy *policy, uint32_t slot)
{
    return policy->nodes[slot].hash;
}

uint64_t gm_policy_charge(const struct gm_policy *policy, uint32_t slot)
{
    return gm_node_charge(&policy->nodes[slot]);
}

uint64_t gm_policy_used(const struct gm_policy *policy)
{
    return policy->used;
}

uint32_t gm_policy_entries(const struct gm_policy *policy)
{
    return policy->entries;
}

const char *gm_list_check(const struct gm_policy_node *nodes, uint32_t slots,
    const struct gm_policy_list *list, enum gm_place place)
{
    uint64_t charge = 0;
    uint32_t entries = 0;
    uint32_t newer = GM_POLICY_NONE;
    for (uint32_t slot = list->head; slot != GM_POLICY_NONE; slot = nodes[slot].next) {
        if (slot >= slots)
            return "a list links a slot that does not exist";
        if (nodes[slot].place != place)
            return "an entry is in a list of another place than its own";
        if (nodes[slot].prev != newer)
            return "an entry's link to the newer one leads elsewhere";
        if (++entries > list->entries)
            return "a list has more entries than it counts, or is a circle";
        charge += gm_node_charge(&nodes[slot]);
        newer = slot;
    }
    if (list->tail != newer)
        return "the tail of a list is not its last entry";
    if (entries != list->entries)
        return "a list counts more entries than it has";
    return charge == list->charge ? NULL : "the charges of a list do not add up";
}

static const char *sums_check(const struct gm_policy *policy)
{
    uint64_t used = 0;
    uint32_t entries = 0;
    for (uint32_t slot = 0; slot < policy->high; slot++) {
        if (policy->nodes[slot].place == GM_PLACE_NONE)
            continue;
        entries++;
        used += gm_node_charge(&policy->nodes[slot]);
    }
    if (entries != policy->entries)
        return "the number of entries is not that of slots in use";
    return used == policy->used ? NULL : "the charge used is not the sum of the entries'";
}

const char *gm_policy_check(const struct gm_policy *policy)
{
    const char *wrong = sums_check(policy);
    return wrong ? wrong : policy->operations->check(policy);
}
