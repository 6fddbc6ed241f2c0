/* nodes.h - the entries of a policy, and lists of them.
 *
 * A node is a slot's record, 24 bytes; lists link slots by number, newest at the head. The shard's lock guards all of it but
 * the use count, which hits raise with a relaxed store.
 */
#ifndef GM_POLICY_NODES_H
#define GM_POLICY_NODES_H

#include <stdatomic.h>
#include <stdint.h>

#include "libgeomem/policy/policy.h"

/* Where an entry is. */
enum gm_place {
    GM_PLACE_NONE = 0, /* the slot is free */
    GM_PLACE_WINDOW = 1,
    GM_PLACE_MAIN = 2,
};

struct gm_policy_node {
    uint64_t hash;
    uint32_t prev, next; /* newer, older; GM_POLICY_NONE at the ends */
    _Atomic uint32_t charge;
    _Atomic uint16_t cost; /* see gm_cost_pack */
    _Atomic uint8_t count; /* uses, up to GM_COUNT_MOST; racing hits lose some */
    uint8_t place;         /* enum gm_place */
};
_Static_assert(sizeof(struct gm_policy_node) == 24, "part of a cache's overhead for each entry");

#define GM_COUNT_MOST 3

struct gm_policy_list {
    uint32_t head, tail;
    uint32_t entries;
    uint64_t charge;
};

static inline void gm_list_init(struct gm_policy_list *list)
{
    *list = (struct gm_policy_list){.head = GM_POLICY_NONE, .tail = GM_POLICY_NONE};
}

static inline uint32_t gm_node_charge(const struct gm_policy_node *node)
{
    return atomic_load_explicit(&node->charge, memory_order_relaxed);
}

/* Packed. */
static inline uint16_t gm_node_cost(const struct gm_policy_node *node)
{
    return atomic_load_explicit(&node->cost, memory_order_relaxed);
}

/* relaxed: hits read both without lock, perhaps of the slot's next entry. */
static inline void gm_node_set_charge(struct gm_policy_node *node, uint32_t charge, uint16_t cost)
{
    atomic_store_explicit(&node->charge, charge, memory_order_relaxed);
    atomic_store_explicit(&node->cost, cost, memory_order_relaxed);
}

static inline uint8_t gm_node_count(const struct gm_policy_node *node)
{
    return atomic_load_explicit(&node->count, memory_order_relaxed);
}

static inline void gm_node_set_count(struct gm_policy_node *node, unsigned count)
{
    atomic_store_explicit(&node->count, (uint8_t)count, memory_order_relaxed);
}

/* A hit. Most entries that are hit often are at the limit, and are not written to. */
static inline void gm_node_count_use(struct gm_policy_node *node)
{
    unsigned count = gm_node_count(node);
    if (count < GM_COUNT_MOST)
        gm_node_set_count(node, count + 1);
}

static inline void gm_list_push(
    struct gm_policy_node *nodes, struct gm_policy_list *list, uint32_t slot)
{
    struct gm_policy_node *node = &nodes[slot];
    node->prev = GM_POLICY_NONE;
    node->next = list->head;
    if (list->head != GM_POLICY_NONE)
        nodes[list->head].prev = slot;
    else
        list->tail = slot;
    list->head = slot;
    list->entries++;
    list->charge += gm_node_charge(node);
}

static inline void gm_list_unlink(
    struct gm_policy_node *nodes, struct gm_policy_list *list, uint32_t slot)
{
    struct gm_policy_node *node = &nodes[slot];
    if (node->prev != GM_POLICY_NONE)
        nodes[node->prev].next = node->next;
    else
        list->head = node->next;
    if (node->next != GM_POLICY_NONE)
        nodes[node->next].prev = node->prev;
    else
        list->tail = node->prev;
    list->entries--;
    list->charge -= gm_node_charge(node);
}

/* To the head of its own list. */
static inline void gm_list_renew(
    struct gm_policy_node *nodes, struct gm_policy_list *list, uint32_t slot)
{
    if (list->head == slot)
        return;
    gm_list_unlink(nodes, list, slot);
    gm_list_push(nodes, list, slot);
}

/* Walks a list whose nodes must all be in `place`: NULL, or what is wrong. `slots`: of the array. */
const char *gm_list_check(const struct gm_policy_node *nodes, uint32_t slots,
    const struct gm_policy_list *list, enum gm_place place);

/* A cost as 16 bits: the upper half of a float, so within 1 % of it. 0, not known, counts as 1. */
static inline uint16_t gm_cost_pack(uint64_t cost)
{
    union {
        float value;
        uint32_t bits;
    } number = {.value = (float)(cost ? cost : 1)};
    return (uint16_t)(number.bits >> 16);
}

static inline float gm_cost_unpack(uint16_t packed)
{
    union {
        uint32_t bits;
        float value;
    } number = {.bits = (uint32_t)packed << 16};
    return number.value;
}

/* Mixes 64 bits: a finalizer of two multiplications; see docs/references.md, "Caches". */
static inline uint64_t gm_policy_mix(uint64_t value)
{
    value ^= value >> 32;
    value *= 0xd6e8feb86659fd93u;
    value ^= value >> 32;
    value *= 0xd6e8feb86659fd93u;
    value ^= value >> 32;
    return value;
}

/* xorshift64 (Marsaglia): the state is never 0. */
static inline uint64_t gm_policy_random(uint64_t *state)
{
    uint64_t value = *state;
    value ^= value << 13;
    value ^= value >> 7;
    value ^= value << 17;
    *state = value;
    return value;
}

static inline uint64_t gm_policy_random_seed(uint64_t seed)
{
    uint64_t state = gm_policy_mix(seed + 0x9e3779b97f4a7c15u);
    return state ? state : 1;
}

#endif
