/* queues.c - see queues.h. */
#include "libgeomem/policy/queues.h"

#include <string.h>

/* Of main's entries, drawn for a comparison; draws that may hit something else. The number is that of the reference figures. */
#define SAMPLES 16u
#define DRAWS 128u
/* Added to uses, so that charge and cost count among entries that have none. Measured, bench/cache_hit_ratio. */
#define WORTH_UNUSED 0.25F
/* A loser with so many uses gets into main once in so many times, against keys whose counters collide: TinyLFU's remedy. */
#define LUCKY_USES 6u
#define LUCKY_MASK 127u
/* A victim of the hand with so many more uses than who challenges it keeps its place for a whole round: the hand goes on. Without
 * this a key that was hot once stops the hand; with less of a lead, a loop longer than the cache wears down what stays of it.
 * Measured, bench/cache_hit_ratio. */
#define SAFE_LEAD 3u

int gm_queues_init(struct gm_queues *queues, struct gm_policy_node *nodes, uint32_t slots,
    const struct gm_sketch *sketch, uint64_t seed)
{
    queues->nodes = nodes;
    queues->sketch = sketch;
    queues->random = gm_policy_random_seed(seed);
    queues->hand = GM_POLICY_NONE;
    gm_list_init(&queues->window);
    gm_list_init(&queues->main);
    return gm_ghosts_init(&queues->ghosts, slots);
}

void gm_queues_done(struct gm_queues *queues)
{
    gm_ghosts_done(&queues->ghosts);
}

void gm_queues_clear(struct gm_queues *queues)
{
    gm_list_init(&queues->window);
    gm_list_init(&queues->main);
    gm_ghosts_clear(&queues->ghosts);
    queues->hand = GM_POLICY_NONE;
    queues->pooled = 0;
    queues->high = 0;
}

static void window_fit(struct gm_queues *queues)
{
    uint64_t share = (queues->capacity * queues->window_permille + 500) / 1000;
    queues->window_capacity = share ? share : 1;
}

void gm_queues_set_capacity(struct gm_queues *queues, uint64_t capacity)
{
    queues->capacity = capacity;
    window_fit(queues);
}

/* The hand's entry becomes the oldest, and those it has passed the newest, as it would come to them last. */
static void main_rotate(struct gm_queues *queues)
{
    struct gm_policy_node *nodes = queues->nodes;
    struct gm_policy_list *main = &queues->main;
    uint32_t hand = queues->hand;
    queues->hand = GM_POLICY_NONE;
    if (hand == GM_POLICY_NONE || hand == main->tail)
        return;
    uint32_t passed = nodes[hand].next;
    nodes[main->tail].next = main->head;
    nodes[main->head].prev = main->tail;
    nodes[hand].next = GM_POLICY_NONE;
    nodes[passed].prev = GM_POLICY_NONE;
    main->tail = hand;
    main->head = passed;
}

void gm_queues_set_rule(struct gm_queues *queues, enum gm_rule rule, unsigned window_permille)
{
    /* The other rules take the oldest for the least used. */
    if (rule != GM_RULE_SIEVE)
        main_rotate(queues);
    queues->rule = rule;
    queues->window_permille = window_permille;
    window_fit(queues);
}

struct gm_policy_list *gm_queues_list(struct gm_queues *queues, uint32_t slot)
{
    return queues->nodes[slot].place == GM_PLACE_WINDOW ? &queues->window : &queues->main;
}

static void queues_unlink(struct gm_queues *queues, uint32_t slot)
{
    if (slot == queues->hand)
        queues->hand = queues->nodes[slot].prev;
    gm_list_unlink(queues->nodes, gm_queues_list(queues, slot), slot);
}

static void queues_promote(struct gm_queues *queues, uint32_t slot)
{
    queues_unlink(queues, slot);
    queues->nodes[slot].place = GM_PLACE_MAIN;
    gm_node_set_count(&queues->nodes[slot], 0);
    gm_list_push(queues->nodes, &queues->main, slot);
}

static void queues_renew(struct gm_queues *queues, uint32_t slot)
{
    struct gm_policy_list *list = gm_queues_list(queues, slot);
    queues_unlink(queues, slot);
    gm_list_push(queues->nodes, list, slot);
}

static bool main_has_room(const struct gm_queues *queues)
{
    return queues->main.charge + queues->window_capacity < queues->capacity;
}

void gm_queues_insert(struct gm_queues *queues, uint32_t slot)
{
    struct gm_policy_node *node = &queues->nodes[slot];
    bool back = queues->rule == GM_RULE_S3 && gm_ghosts_take(&queues->ghosts, node->hash);
    node->place = back ? GM_PLACE_MAIN : GM_PLACE_WINDOW;
    if (slot >= queues->high)
        queues->high = slot + 1;
    gm_list_push(queues->nodes, gm_queues_list(queues, slot), slot);
    bool filling = queues->window.charge + queues->main.charge < queues->capacity;
    if (queues->spills && filling && queues->window.charge > queues->window_capacity)
        queues_promote(queues, queues->window.tail);
}

/* ---- main's victims ---- */

static uint32_t sieve_victim(struct gm_queues *queues, const struct gm_policy_filter *filter)
{
    uint32_t slot = queues->hand;
    for (uint32_t probes = 0; probes < GM_POLICY_PROBES;) {
        if (slot == GM_POLICY_NONE)
            slot = queues->main.tail;
        struct gm_policy_node *node = &queues->nodes[slot];
        if (gm_node_count(node) > 0) {
            gm_node_set_count(node, 0);
        } else if (gm_filter_passes(filter, slot)) {
            queues->hand = slot;
            return slot;
        } else {
            probes++;
        }
        slot = node->prev;
    }
    queues->hand = slot;
    return GM_POLICY_NONE;
}

static uint32_t s3_victim(struct gm_queues *queues, const struct gm_policy_filter *filter)
{
    for (uint32_t probes = 0; probes < GM_POLICY_PROBES;) {
        uint32_t slot = queues->main.tail;
        struct gm_policy_node *node = &queues->nodes[slot];
        unsigned count = gm_node_count(node);
        if (count > 0)
            gm_node_set_count(node, count - 1);
        else if (gm_filter_passes(filter, slot))
            return slot;
        else
            probes++;
        queues_renew(queues, slot);
    }
    return GM_POLICY_NONE;
}

static unsigned uses_of(const struct gm_queues *queues, uint32_t slot)
{
    return gm_sketch_estimate(queues->sketch, queues->nodes[slot].hash);
}

static float worth_of(const struct gm_queues *queues, uint32_t slot)
{
    const struct gm_policy_node *node = &queues->nodes[slot];
    float uses = (float)uses_of(queues, slot) + WORTH_UNUSED;
    switch (queues->goal) {
    case GM_GOAL_HITS:
        return uses / (float)gm_node_charge(node);
    case GM_GOAL_COST:
        return uses * gm_cost_unpack(gm_node_cost(node)) / (float)gm_node_charge(node);
    case GM_GOAL_BYTES:
        break;
    }
    return uses;
}

/* The entries worth least of those looked at, the least first. */
struct drawn {
    uint32_t slots[GM_QUEUES_POOL];
    float worths[GM_QUEUES_POOL];
    unsigned count;
};

static void drawn_add(struct drawn *drawn, uint32_t slot, float worth)
{
    unsigned at = drawn->count;
    for (unsigned i = 0; i < drawn->count; i++)
        if (drawn->slots[i] == slot)
            return;
    if (at == GM_QUEUES_POOL && worth >= drawn->worths[--at])
        return;
    for (; at > 0 && worth < drawn->worths[at - 1]; at--) {
        drawn->slots[at] = drawn->slots[at - 1];
        drawn->worths[at] = drawn->worths[at - 1];
    }
    drawn->slots[at] = slot;
    drawn->worths[at] = worth;
    drawn->count += drawn->count < GM_QUEUES_POOL;
}

static bool main_offers(
    const struct gm_queues *queues, uint32_t slot, const struct gm_policy_filter *filter)
{
    return queues->nodes[slot].place == GM_PLACE_MAIN && gm_filter_passes(filter, slot);
}

/* What was worth least the last time and is still there competes again: as good as several times the draws. */
static uint32_t sampled_victim(struct gm_queues *queues, const struct gm_policy_filter *filter)
{
    struct drawn drawn = {.count = 0};
    for (unsigned i = 0; i < queues->pooled; i++)
        if (main_offers(queues, queues->pool[i], filter))
            drawn_add(&drawn, queues->pool[i], worth_of(queues, queues->pool[i]));
    for (uint32_t samples = 0, draws = 0; samples < SAMPLES && draws < DRAWS; draws++) {
        uint32_t slot =
            (uint32_t)(((gm_policy_random(&queues->random) >> 32) * queues->high) >> 32);
        if (!main_offers(queues, slot, filter))
            continue;
        samples++;
        drawn_add(&drawn, slot, worth_of(queues, slot));
    }
    memcpy(queues->pool, drawn.slots, sizeof queues->pool);
    queues->pooled = drawn.count;
    /* No draw fell on main: the window has nearly all. */
    return drawn.count ? drawn.slots[0] : sieve_victim(queues, filter);
}

static uint32_t main_victim(struct gm_queues *queues, const struct gm_policy_filter *filter)
{
    switch (queues->rule) {
    case GM_RULE_SIEVE:
        return sieve_victim(queues, filter);
    case GM_RULE_S3:
        return s3_victim(queues, filter);
    case GM_RULE_SAMPLED:
        break;
    }
    return sampled_victim(queues, filter);
}

/* ---- the window's oldest: it goes out, or stays in one of the queues ---- */

/* `slot`: it goes out. Another: that one does. GM_POLICY_NONE: it was moved, the search goes on. */
static uint32_t s3_judge(
    struct gm_queues *queues, uint32_t slot, const struct gm_policy_filter *filter)
{
    if (gm_node_count(&queues->nodes[slot]) < 2)
        return slot;
    queues_promote(queues, slot);
    bool full = queues->main.charge + queues->window_capacity > queues->capacity;
    return full && queues->main.entries > 1 ? s3_victim(queues, filter) : GM_POLICY_NONE;
}

static bool sieve_prefers(struct gm_queues *queues, uint32_t slot, uint32_t victim)
{
    unsigned uses = uses_of(queues, slot);
    unsigned victims = uses_of(queues, victim);
    if (uses > victims)
        return true;
    if (victims >= uses + SAFE_LEAD && victim == queues->hand)
        queues->hand = queues->nodes[victim].prev;
    return uses >= LUCKY_USES && (gm_policy_random(&queues->random) & LUCKY_MASK) == 0;
}

static bool queues_prefer(struct gm_queues *queues, uint32_t slot, uint32_t victim)
{
    if (queues->rule == GM_RULE_SIEVE)
        return sieve_prefers(queues, slot, victim);
    return worth_of(queues, slot) > worth_of(queues, victim);
}

static uint32_t sketch_judge(
    struct gm_queues *queues, uint32_t slot, const struct gm_policy_filter *filter)
{
    if (queues->rule == GM_RULE_SIEVE && gm_node_count(&queues->nodes[slot]) > 0) {
        gm_node_set_count(&queues->nodes[slot], 0);
        queues_renew(queues, slot);
        return GM_POLICY_NONE;
    }
    if (main_has_room(queues) && queues->window.charge > queues->window_capacity) {
        queues_promote(queues, slot);
        return GM_POLICY_NONE;
    }
    if (main_has_room(queues) || queues->main.entries == 0)
        return slot;
    uint32_t victim = main_victim(queues, filter);
    if (victim == GM_POLICY_NONE || !queues_prefer(queues, slot, victim))
        return slot;
    queues_promote(queues, slot);
    return victim;
}

uint32_t gm_queues_victim(struct gm_queues *queues, const struct gm_policy_filter *filter)
{
    for (uint32_t probes = 0; probes < GM_POLICY_PROBES;) {
        bool within = queues->window.charge < queues->window_capacity;
        if (queues->window.entries == 0 || (within && queues->main.entries > 0))
            return main_victim(queues, filter);
        uint32_t slot = queues->window.tail;
        if (!gm_filter_passes(filter, slot)) {
            /* Pinned is in use. */
            queues_renew(queues, slot);
            probes++;
            continue;
        }
        uint32_t victim = queues->rule == GM_RULE_S3 ? s3_judge(queues, slot, filter)
                                                     : sketch_judge(queues, slot, filter);
        if (victim != GM_POLICY_NONE)
            return victim;
    }
    return GM_POLICY_NONE;
}

void gm_queues_evict(struct gm_queues *queues, uint32_t slot)
{
    bool from_main = queues->nodes[slot].place == GM_PLACE_MAIN;
    if (queues->rule != GM_RULE_S3 || !from_main)
        gm_ghosts_put(&queues->ghosts, queues->nodes[slot].hash);
    queues_unlink(queues, slot);
}

void gm_queues_remove(struct gm_queues *queues, uint32_t slot)
{
    queues_unlink(queues, slot);
}

const char *gm_queues_check(const struct gm_queues *queues, uint32_t slots)
{
    const char *wrong = gm_list_check(queues->nodes, slots, &queues->window, GM_PLACE_WINDOW);
    if (!wrong)
        wrong = gm_list_check(queues->nodes, slots, &queues->main, GM_PLACE_MAIN);
    if (wrong || queues->hand == GM_POLICY_NONE)
        return wrong;
    return queues->nodes[queues->hand].place == GM_PLACE_MAIN ? NULL
                                                              : "the hand points out of main";
}
