/* queues.h - a window and a main queue, and the rule by which entries go from one to the other and out.
 *
 *      new ──▶ [ window, FIFO ] ──▶ judged by the rule ──▶ [ main ] ──▶ out
 *                                          └────▶ out
 *
 *   SIEVE    what was used in the window stays there once more; what was not goes to main if the sketch knows more uses of it than
 *            of main's victim, which a hand finds that passes over used entries once (SIEVE); or it goes out.
 *   S3       what was used twice in the window goes to main; the rest goes out and leaves a ghost, and what comes back while its
 *            ghost lives goes to main at once (S3-FIFO). Main is a FIFO with reinsertion.
 *   SAMPLED  it is compared with the entry worth least of 16 of main drawn at random and 8 of earlier draws. Worth is uses by the sketch; where the goal
 *            says so, times cost, by charge.
 *
 * Where the owner says so, what the window has too much spills into main while there is room, under every rule: a shadow that is to
 * speak for a cache must fill up as it does. S3-FIFO as published lets the window have it all. Rule and share of the window can be
 * changed at any time: entries stay where they are and are judged by the new rule when their turn comes.
 *
 * The adaptive policy and its simulations, and S3-FIFO, are such queues. Under the shard's lock, but for the uses in nodes and
 * sketch.
 */
#ifndef GM_POLICY_QUEUES_H
#define GM_POLICY_QUEUES_H

#include "libgeomem/policy/ghosts.h"
#include "libgeomem/policy/kind.h"
#include "libgeomem/policy/nodes.h"
#include "libgeomem/policy/sketch.h"

enum gm_rule {
    GM_RULE_SIEVE,
    GM_RULE_S3,
    GM_RULE_SAMPLED,
};

#define GM_QUEUES_POOL 8u

struct gm_queues {
    struct gm_policy_node *nodes;   /* the owner's */
    const struct gm_sketch *sketch; /* the owner's; may be NULL under S3 */
    struct gm_policy_list window, main;
    struct gm_ghosts ghosts;
    uint64_t capacity;
    uint64_t window_capacity;
    uint64_t random;
    uint32_t hand;                 /* in main; GM_POLICY_NONE: its tail */
    uint32_t high;                 /* slots at and above were never used */
    uint32_t pool[GM_QUEUES_POOL]; /* slots worth little, of draws before; perhaps others' by now */
    unsigned pooled;
    enum gm_rule rule;
    enum gm_policy_goal goal;
    unsigned window_permille;
    bool spills; /* set by the owner */
};

/* `nodes` has `slots` of them. 0 or -ENOMEM. */
int gm_queues_init(struct gm_queues *queues, struct gm_policy_node *nodes, uint32_t slots,
    const struct gm_sketch *sketch, uint64_t seed);
void gm_queues_done(struct gm_queues *queues);
/* As it was after init, but for rule and capacity. */
void gm_queues_clear(struct gm_queues *queues);
void gm_queues_set_capacity(struct gm_queues *queues, uint64_t capacity);
void gm_queues_set_rule(struct gm_queues *queues, enum gm_rule rule, unsigned window_permille);

/* The node is filled in but for links and place. */
void gm_queues_insert(struct gm_queues *queues, uint32_t slot);
/* See gm_policy_victim. */
uint32_t gm_queues_victim(struct gm_queues *queues, const struct gm_policy_filter *filter);
void gm_queues_evict(struct gm_queues *queues, uint32_t slot);
void gm_queues_remove(struct gm_queues *queues, uint32_t slot);
struct gm_policy_list *gm_queues_list(struct gm_queues *queues, uint32_t slot);
const char *gm_queues_check(const struct gm_queues *queues, uint32_t slots);

#endif
