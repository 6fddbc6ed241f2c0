/* test_policy.c - policies against a naive model: LRU's victims one by one, and of every kind what must hold. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libgeomem/policy/nodes.h"
#include "libgeomem/policy/policy.h"
#include "libgeomem/policy/queues.h"
#include "libgeomem/policy/simulate.h"

enum { KEYS = 400, SLOTS = 256, STEPS = 60000 };

/* A cache of nothing but keys: which slot has which, and which are pinned. */
struct model {
    struct gm_policy *policy;
    uint64_t capacity;
    uint64_t used;
    uint64_t random;
    int slot_of[KEYS]; /* -1: not in */
    int key_of[SLOTS]; /* -1: free */
    uint64_t charge[KEYS];
    bool pinned[KEYS];
    int order[KEYS]; /* keys that are in, the least recently used first */
    int in;
};

static uint64_t below(struct model *model, uint64_t limit)
{
    return gm_policy_random(&model->random) % limit;
}

static void model_init(struct model *model, enum gm_policy_kind kind, uint64_t seed)
{
    memset(model, 0, sizeof *model);
    memset(model->slot_of, -1, sizeof model->slot_of);
    memset(model->key_of, -1, sizeof model->key_of);
    model->random = gm_policy_random_seed(seed);
    model->capacity = 1000;
    struct gm_policy_config config = {
        .kind = kind, .capacity = model->capacity, .slots = SLOTS, .seed = seed};
    cr_assert_eq(gm_policy_create(&config, &model->policy), 0);
}

static bool may_go(uint32_t slot, void *arg)
{
    struct model *model = arg;
    return !model->pinned[model->key_of[slot]];
}

static void order_drop(struct model *model, int key)
{
    int at = 0;
    while (model->order[at] != key)
        at++;
    model->in--;
    memmove(&model->order[at], &model->order[at + 1], (size_t)(model->in - at) * sizeof(int));
}

static void order_push(struct model *model, int key)
{
    model->order[model->in++] = key;
}

static void forget(struct model *model, int key)
{
    model->used -= model->charge[key];
    model->key_of[model->slot_of[key]] = -1;
    model->slot_of[key] = -1;
    model->pinned[key] = false;
    order_drop(model, key);
}

/* What LRU must choose. -1: everything is pinned. */
static int expected_victim(const struct model *model)
{
    for (int i = 0; i < model->in; i++)
        if (!model->pinned[model->order[i]])
            return model->order[i];
    return -1;
}

/* Evicts until `charge` fits and a slot is free: false if it cannot. */
static bool make_room(struct model *model, uint64_t charge, bool exact)
{
    while (model->used + charge > model->capacity || model->in == SLOTS) {
        uint32_t slot = gm_policy_victim(model->policy, may_go, model);
        int expected = expected_victim(model);
        if (slot == GM_POLICY_NONE) {
            cr_assert_eq(expected, -1, "an entry may go, and none was found");
            return false;
        }
        cr_assert_neq(model->key_of[slot], -1, "the victim's slot is free");
        cr_assert_not(model->pinned[model->key_of[slot]], "the victim is pinned");
        /* Past 64 pinned ones the search is no longer in order. */
        if (exact)
            cr_assert_eq(model->key_of[slot], expected);
        gm_policy_evict(model->policy, slot);
        forget(model, model->key_of[slot]);
    }
    return true;
}

static void step_use(struct model *model, bool exact)
{
    int key = (int)(below(model, KEYS) * below(model, KEYS) / KEYS);
    uint64_t hash = gm_policy_mix((uint64_t)key + 1);
    if (model->slot_of[key] >= 0) {
        if (gm_policy_hit(model->policy, (uint32_t)model->slot_of[key], hash, 0)) {
            gm_policy_maintain(model->policy);
            gm_policy_settle(model->policy);
        }
        order_drop(model, key);
        order_push(model, key);
        return;
    }
    uint64_t charge = 1 + below(model, 20);
    if (!make_room(model, charge, exact))
        return;
    int slot = 0;
    while (model->key_of[slot] != -1)
        slot++;
    if (gm_policy_insert(model->policy, (uint32_t)slot, hash, charge, below(model, 1000), 0))
        gm_policy_maintain(model->policy);
    model->slot_of[key] = slot;
    model->key_of[slot] = key;
    model->charge[key] = charge;
    model->used += charge;
    order_push(model, key);
}

static void step_remove(struct model *model)
{
    int key = (int)below(model, KEYS);
    if (model->slot_of[key] < 0)
        return;
    gm_policy_remove(model->policy, (uint32_t)model->slot_of[key]);
    forget(model, key);
}

static void step_recharge(struct model *model, bool exact)
{
    int key = (int)below(model, KEYS);
    if (model->slot_of[key] < 0 || model->pinned[key])
        return;
    uint64_t charge = 1 + below(model, 20);
    model->pinned[key] = true;
    bool fits =
        charge <= model->charge[key] || make_room(model, charge - model->charge[key], exact);
    model->pinned[key] = false;
    if (!fits)
        return;
    gm_policy_recharge(model->policy, (uint32_t)model->slot_of[key], charge, 0);
    model->used += charge - model->charge[key];
    model->charge[key] = charge;
}

static void step_resize(struct model *model, bool exact)
{
    model->capacity = 300 + below(model, 1200);
    gm_policy_resize(model->policy, model->capacity, 0);
    make_room(model, 0, exact);
}

static void step_pin(struct model *model, uint64_t most)
{
    uint64_t pinned = 0;
    for (int key = 0; key < KEYS; key++)
        pinned += model->pinned[key];
    int key = (int)below(model, KEYS);
    if (model->pinned[key])
        model->pinned[key] = false;
    else if (model->slot_of[key] >= 0 && pinned < most)
        model->pinned[key] = true;
}

static void step(struct model *model, uint64_t most_pinned, bool exact)
{
    uint64_t what = below(model, 200);
    if (what < 170)
        step_use(model, exact);
    else if (what < 180)
        step_remove(model);
    else if (what < 189)
        step_recharge(model, exact);
    else if (what < 190)
        step_resize(model, exact);
    else
        step_pin(model, most_pinned);
}

static void run(enum gm_policy_kind kind, uint64_t most_pinned, bool exact)
{
    uint64_t seed = (uint64_t)time(NULL);
    fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    struct model model;
    model_init(&model, kind, seed);
    for (int i = 0; i < STEPS; i++) {
        step(&model, most_pinned, exact);
        cr_assert_eq(gm_policy_used(model.policy), model.used);
        cr_assert_eq(gm_policy_entries(model.policy), (uint32_t)model.in);
        const char *wrong = i % 64 ? NULL : gm_policy_check(model.policy);
        cr_assert_null(wrong, "step %d: %s", i, wrong);
    }
    gm_policy_free(model.policy);
}

Test(lru, evicts_what_a_naive_list_evicts)
{
    run(GM_POLICY_LRU, 20, true);
}

Test(lru, finds_a_victim_among_many_pinned_entries)
{
    run(GM_POLICY_LRU, KEYS, false);
}

Test(s3fifo, stays_within_its_capacity_and_leaves_pinned_entries_alone)
{
    run(GM_POLICY_S3FIFO, 20, false);
    run(GM_POLICY_S3FIFO, KEYS, false);
}

Test(adaptive, stays_within_its_capacity_and_leaves_pinned_entries_alone)
{
    run(GM_POLICY_ADAPTIVE, 20, false);
    run(GM_POLICY_ADAPTIVE, KEYS, false);
}

Test(policy, refuses_a_configuration_out_of_range)
{
    struct gm_policy *policy = NULL;
    struct gm_policy_config good = {.kind = GM_POLICY_LRU, .capacity = 10, .slots = 10};
    struct gm_policy_config bad = good;
    bad.capacity = 0;
    cr_assert_eq(gm_policy_create(&bad, &policy), -EINVAL);
    bad = good;
    bad.slots = GM_POLICY_NONE;
    cr_assert_eq(gm_policy_create(&bad, &policy), -EINVAL);
    bad = good;
    bad.stripes = 3;
    cr_assert_eq(gm_policy_create(&bad, &policy), -EINVAL);
    bad = good;
    bad.total = 9;
    cr_assert_eq(gm_policy_create(&bad, &policy), -EINVAL);
    cr_assert_null(policy);
    gm_policy_free(NULL);
}

Test(policy, costs_are_kept_within_one_percent)
{
    for (uint64_t cost = 1; cost < (uint64_t)1 << 60; cost = cost * 3 + 1) {
        float kept = gm_cost_unpack(gm_cost_pack(cost));
        cr_assert(kept > 0.99F * (float)cost && kept < 1.01F * (float)cost);
    }
    cr_assert_float_eq(gm_cost_unpack(gm_cost_pack(0)), 1.0F, 0);
}

/* Hits of a loop of `keys` keys, `rounds` times, each charged `charge`. */
static double loop_ratio(
    enum gm_policy_kind kind, uint64_t capacity, uint64_t charge, uint64_t keys)
{
    struct gm_policy_config config = {.kind = kind, .capacity = capacity * charge, .seed = 1};
    /* As a cache in bytes would have it: slots for much smaller entries. */
    config.slots = (uint32_t)(capacity * (charge > 8 ? 8 : charge));
    struct gm_simulation *simulation;
    cr_assert_eq(gm_simulation_create(&config, &simulation), 0);
    uint64_t hits = 0;
    for (uint64_t i = 0; i < keys * 20; i++)
        hits += gm_simulate_use(simulation, gm_policy_mix(i % keys + 1), charge, 0);
    cr_assert_null(gm_policy_check(gm_simulation_policy(simulation)));
    gm_simulation_free(simulation);
    return (double)hits / (double)(keys * 20);
}

Test(adaptive, keeps_a_part_of_a_loop_that_lru_loses_all_of)
{
    cr_expect_eq(loop_ratio(GM_POLICY_LRU, 5000, 1, 10000), 0);
    cr_expect_gt(loop_ratio(GM_POLICY_ADAPTIVE, 5000, 1, 10000), 0.4);
    cr_expect_gt(loop_ratio(GM_POLICY_ADAPTIVE, 5000, 100, 10000), 0.4, "charged in bytes");
}

/* What part of the cost is hit where every other key costs a hundred times as much. */
static double cost_ratio(enum gm_policy_goal goal)
{
    struct gm_policy_config config = {
        .kind = GM_POLICY_ADAPTIVE, .goal = goal, .capacity = 2000, .slots = 2000, .seed = 1};
    struct gm_simulation *simulation;
    cr_assert_eq(gm_simulation_create(&config, &simulation), 0);
    uint64_t random = gm_policy_random_seed(1);
    double hit = 0, all = 0;
    for (int i = 0; i < 300000; i++) {
        uint64_t key = gm_policy_random(&random) % 10000;
        uint64_t cost = key % 2 ? 100 : 1;
        all += (double)cost;
        hit += gm_simulate_use(simulation, gm_policy_mix(key + 1), 1, cost) ? (double)cost : 0;
    }
    gm_simulation_free(simulation);
    return hit / all;
}

Test(adaptive, for_the_goal_of_cost_keeps_what_is_dear)
{
    cr_expect_lt(cost_ratio(GM_GOAL_HITS), 0.25);
    cr_expect_gt(cost_ratio(GM_GOAL_COST), 0.3);
}

Test(adaptive, shards_share_a_choice_of_the_same_kind_only)
{
    struct gm_policy *first = NULL, *second = NULL, *other = NULL;
    struct gm_policy_config config = {
        .kind = GM_POLICY_ADAPTIVE, .capacity = 100, .slots = 100, .total = 200};
    cr_assert_eq(gm_policy_create(&config, &first), 0);
    config.first = first;
    cr_assert_eq(gm_policy_create(&config, &second), 0);
    cr_expect_eq(gm_policy_choice(first), gm_policy_choice(second));
    cr_expect_not_null(gm_policy_choice_name(GM_POLICY_ADAPTIVE, gm_policy_choice(first)));
    cr_expect_null(gm_policy_choice_name(GM_POLICY_ADAPTIVE, 1000));
    gm_policy_free(second);
    gm_policy_free(first);
    config.kind = GM_POLICY_LRU;
    config.first = NULL;
    cr_assert_eq(gm_policy_create(&config, &other), 0);
    config.kind = GM_POLICY_ADAPTIVE;
    config.first = other;
    cr_expect_eq(gm_policy_create(&config, &first), -EINVAL);
    gm_policy_free(other);
}

Test(sketch, estimates_are_never_too_low_and_fade)
{
    struct gm_sketch sketch = {0};
    cr_assert_eq(gm_sketch_init(&sketch, 10000), 0);
    for (uint64_t key = 1; key <= 3000; key++)
        for (uint64_t use = 0; use < key % 7; use++)
            gm_sketch_add(&sketch, gm_policy_mix(key));
    gm_sketch_grow(&sketch, 10000);
    unsigned too_high = 0;
    for (uint64_t key = 1; key <= 3000; key++) {
        unsigned estimate = gm_sketch_estimate(&sketch, gm_policy_mix(key));
        cr_assert_geq(estimate, key % 7);
        too_high += estimate > key % 7;
    }
    cr_expect_lt(too_high, 300, "%u of 3000 estimates are too high", too_high);
    gm_sketch_halve(&sketch);
    cr_expect_lt(gm_sketch_estimate(&sketch, gm_policy_mix(6)), 6);
    gm_sketch_done(&sketch);
}

Test(ghosts, are_found_once_and_for_as_many_evictions_as_they_live)
{
    struct gm_ghosts ghosts = {0};
    cr_assert_eq(gm_ghosts_init(&ghosts, 1000), 0);
    gm_ghosts_grow(&ghosts, 1000);
    gm_ghosts_put(&ghosts, gm_policy_mix(1));
    cr_expect(gm_ghosts_take(&ghosts, gm_policy_mix(1)));
    cr_expect_not(gm_ghosts_take(&ghosts, gm_policy_mix(1)));
    gm_ghosts_put(&ghosts, gm_policy_mix(1));
    for (uint64_t key = 2; key < 1100; key++)
        gm_ghosts_put(&ghosts, gm_policy_mix(key));
    cr_expect_not(gm_ghosts_take(&ghosts, gm_policy_mix(1)));
    unsigned found = 0;
    for (uint64_t key = 200; key < 1100; key++)
        found += gm_ghosts_take(&ghosts, gm_policy_mix(key));
    cr_expect_gt(found, 850, "%u of 900 ghosts found", found);
    gm_ghosts_done(&ghosts);
}
