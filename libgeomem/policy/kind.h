/* kind.h - what a kind of policy is made of, for the files that implement one.
 *
 * Each kind embeds struct gm_policy as its first member and fills in a table of operations; policy.c checks arguments, keeps the
 * sums and calls. The operations of the table are those of policy.h, with its rules on locks.
 */
#ifndef GM_POLICY_KIND_H
#define GM_POLICY_KIND_H

#include "libgeomem/policy/nodes.h"
#include "libgeomem/policy/policy.h"

/* Which entries may go. */
struct gm_policy_filter {
    bool (*may_go)(uint32_t slot, void *arg);
    void *arg;
};

static inline bool gm_filter_passes(const struct gm_policy_filter *filter, uint32_t slot)
{
    return !filter->may_go || filter->may_go(slot, filter->arg);
}

/* Entries that may not go are passed over so often before the search is given up: arbitrary. */
#define GM_POLICY_PROBES 64u

struct gm_policy_operations {
    void (*free)(struct gm_policy *policy); /* takes half-made ones */
    bool (*hit)(struct gm_policy *policy, uint32_t slot, uint64_t hash, uint32_t stripe);
    /* The node is filled in but for its links and place. */
    bool (*insert)(struct gm_policy *policy, uint32_t slot, uint32_t stripe);
    uint32_t (*victim)(struct gm_policy *policy, const struct gm_policy_filter *filter);
    void (*evict)(struct gm_policy *policy, uint32_t slot);
    void (*remove)(struct gm_policy *policy, uint32_t slot);
    /* The list a linked node is in. */
    struct gm_policy_list *(*list)(struct gm_policy *policy, uint32_t slot);
    void (*resize)(struct gm_policy *policy, uint64_t total);
    void (*settle)(struct gm_policy *policy);
    void (*maintain)(struct gm_policy *policy);
    void (*pause)(
        struct gm_policy *policy); /* this and the next: NULL if maintenance does nothing */
    void (*resume)(struct gm_policy *policy);
    uint32_t (*choice)(const struct gm_policy *policy);
    uint32_t (*switches)(const struct gm_policy *policy);
    const char *(*check)(const struct gm_policy *policy);
};

struct gm_policy {
    const struct gm_policy_operations *operations;
    struct gm_policy_node *nodes;
    size_t bytes; /* mapped: this struct, its kind's, and the nodes */
    uint32_t slots;
    uint32_t high; /* slots at and above were never used */
    uint32_t entries;
    uint32_t scan; /* where the search for any entry that may go went on to */
    uint64_t used;
    uint64_t capacity;
    enum gm_policy_goal goal;
};

int gm_adaptive_create(const struct gm_policy_config *config, struct gm_policy **ret_policy);
int gm_s3fifo_create(const struct gm_policy_config *config, struct gm_policy **ret_policy);
int gm_lru_create(const struct gm_policy_config *config, struct gm_policy **ret_policy);

/* Maps a kind's struct, of `bytes`, with the nodes behind it, and fills in struct gm_policy. NULL: no memory. */
struct gm_policy *gm_policy_map(const struct gm_policy_config *config,
    const struct gm_policy_operations *operations, size_t bytes);
void gm_policy_unmap(struct gm_policy *policy);

/* Zeroed memory of any size, and back. */
void *gm_policy_memory(size_t bytes);
void gm_policy_memory_free(void *start, size_t bytes);

#endif
