/* policy.h - which entry of a cache goes when room is needed.
 *
 * A policy knows entries as slots, small numbers that the cache gives out, each with the hash of its key and a charge. It
 * holds no keys and no values, starts no threads and does no I/O; the same code runs in the shards of a cache, in the
 * simulations by which the adaptive policy chooses, and in the recorder, which predicts what another capacity would give.
 *
 *        lookup hits ──▶ gm_policy_hit            any thread, no lock
 *        a value is stored:
 *            while used + charge > capacity:
 *                gm_policy_victim ──▶ gm_policy_evict
 *            gm_policy_insert                     the lock of the shard held by all of these
 *        taken out ──▶ gm_policy_remove
 *
 * The unit of charges and of the capacity is the caller's: bytes, 16-byte units, or 1 for each entry. The capacity is
 * strict: a caller that makes room as above never exceeds it. A miss is told by the insert that follows it; a lookup that
 * misses and is followed by none is no use of the cache and is not told.
 *
 * Hashes are of 64 bits, well mixed in all of them; of two keys with the same hash the policy thinks as of one.
 * All memory comes from gm_os_map, reserved for `slots` entries when the policy is made and touched as they come.
 */
#ifndef GM_POLICY_POLICY_H
#define GM_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GM_POLICY_NONE UINT32_MAX

/* Numbered like enum geomem_cache_policy. */
enum gm_policy_kind {
    GM_POLICY_ADAPTIVE = 0,
    GM_POLICY_LRU = 1,
    GM_POLICY_S3FIFO = 2,
};

/* What is to be had from the capacity. Only the adaptive policy looks at it. */
enum gm_policy_goal {
    GM_GOAL_HITS = 0,  /* the most hits */
    GM_GOAL_COST = 1,  /* the least cost of misses, as gm_policy_insert is told it */
    GM_GOAL_BYTES = 2, /* the most charge hit */
};

struct gm_policy;

struct gm_policy_config {
    enum gm_policy_kind kind;
    enum gm_policy_goal goal;
    uint64_t capacity; /* >= 1 */
    uint32_t slots;    /* slots are below; 1 .. GM_POLICY_NONE - 1 */
    uint32_t
        stripes; /* threads that hit at once without sharing a cache line: a power of two, <= 64; 0: 1 */
    uint64_t
        seed; /* of all that is random; the same calls with the same seed give the same victims */
    /* Another shard of the same cache, of the same kind, made before: what one of them learns holds for all. It must be
     * freed after this one. NULL: the only shard, or the first; `total` is then the capacity of all shards together
     * (0: `capacity`). */
    struct gm_policy *first;
    uint64_t total;
};

/* 0, -EINVAL (a member out of range) or -ENOMEM. Free with gm_policy_free, which takes NULL. */
int gm_policy_create(const struct gm_policy_config *config, struct gm_policy **ret_policy);
void gm_policy_free(struct gm_policy *policy);

/* The entry in `slot` was found. Any thread, without lock; wait-free, a handful of relaxed loads and stores, some of which are
 * lost when threads meet. A slot that was given to another entry meanwhile does no harm. `stripe`: of the calling thread, any
 * number. True: call gm_policy_maintain soon, without lock; and then, if the lock is to be had at once, gm_policy_settle. */
bool gm_policy_hit(struct gm_policy *policy, uint32_t slot, uint64_t hash, uint32_t stripe);

/* ---- with the lock of the shard held ---- */

/* A new entry, after room was made. `slot` is free; `charge` 1 .. UINT32_MAX; `cost`: of making the value again, in any unit,
 * 0 if not known. Counts as a use of the key. True: as gm_policy_hit. */
bool gm_policy_insert(struct gm_policy *policy, uint32_t slot, uint64_t hash, uint64_t charge,
    uint64_t cost, uint32_t stripe);
/* The entry in `slot` has another charge now: room was made before, with may_go false for this slot. Not a use.
 * Caches do not need it so far: the size of a value is that of when it was stored. */
void gm_policy_recharge(struct gm_policy *policy, uint32_t slot, uint64_t charge, uint64_t cost);
/* The entry that should go; it is still in, and the caller calls gm_policy_evict for it or nothing (and asks again: then it may
 * be another). May promote other entries on the way. Entries for which may_go(slot, arg) is false are passed over, a bounded
 * number at a time; may_go NULL: all may. GM_POLICY_NONE: none was found: with up to 1,024 entries, none may go; with more,
 * each further call looks at 1,024 others. */
uint32_t gm_policy_victim(
    struct gm_policy *policy, bool (*may_go)(uint32_t slot, void *arg), void *arg);
/* It is out; the policy may remember its hash for a while. */
void gm_policy_evict(struct gm_policy *policy, uint32_t slot);
/* It is out for reasons of the program's (removed, expired, replaced): nothing is to be learned from it. */
void gm_policy_remove(struct gm_policy *policy, uint32_t slot);
/* Another capacity, and of all shards together: `total`, 0: `capacity`. The caller evicts what is too much. */
void gm_policy_resize(struct gm_policy *policy, uint64_t capacity, uint64_t total);
/* Takes over what hits left behind. Called now and then; without it some hits are forgotten. */
void gm_policy_settle(struct gm_policy *policy);

/* ---- without the lock ---- */

/* Learns from the uses since the last call: tens of microseconds. Any thread; one at a time, others return at once. */
void gm_policy_maintain(struct gm_policy *policy);
/* Around a fork, of every shard: maintenance is waited for, and none begins until it is resumed, in parent and child. */
void gm_policy_pause(struct gm_policy *policy);
void gm_policy_resume(struct gm_policy *policy);
/* What an adaptive policy runs now (gm_policy_choice_name), and how often it has changed; 0 of others. Any thread. */
uint32_t gm_policy_choice(const struct gm_policy *policy);
uint32_t gm_policy_switches(const struct gm_policy *policy);
/* In words: "sieve behind a window of 5 %". Static storage; NULL for a number that is none. */
const char *gm_policy_choice_name(enum gm_policy_kind kind, uint32_t choice);

/* ---- of entries; with the lock, or pinned ---- */
uint64_t gm_policy_hash(const struct gm_policy *policy, uint32_t slot);
uint64_t gm_policy_charge(const struct gm_policy *policy, uint32_t slot);

/* Sums over the entries. With the lock. */
uint64_t gm_policy_used(const struct gm_policy *policy);
uint32_t gm_policy_entries(const struct gm_policy *policy);
/* Walks everything: NULL if it is in order, else what is not, in English. With the lock. */
const char *gm_policy_check(const struct gm_policy *policy);

#endif
