/* live_set.h - the blocks of one process that are allocated and not freed, by address.
 *
 *   shard 0   | e . e e e . . e |   an entry is 8 bytes: the order of its block's hash, and where the block lies.
 *   shard 1   | e e . e . e     |   Entries lie in their order, each at or after the slot its hash asks for (linear
 *   ...           |                 probing), with free slots in between.
 *                 v
 *   blocks    | b | b | - | b |     32 bytes each, never moved; places that are free form a list
 *
 * A search therefore ends at the first entry with a greater order, also in a table that is 4/5 full, and looks at no
 * block but the one it is for. A removal closes the gap. A shard grows by half when full, and only one shard
 * grows at a time, so that a block costs 32 bytes + 8 / load, 42 to 47, growth included. A small set has one shard.
 *
 * The slots that addresses ask for lie anywhere, and a look-up waits for one of them; so they are small, and the
 * blocks, which mostly come and go in some order of their own, are elsewhere.
 *
 * Stands between order (which asks whether an event fits) and the roll-up.
 */
#ifndef GM_COLLECTOR_LIVE_SET_H
#define GM_COLLECTOR_LIVE_SET_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GM_LIVE_ADDRESS_BITS 48
#define GM_LIVE_SIZE_BITS 48
#define GM_LIVE_AGE_BITS 48

/* 48 bits each for size and birth on the logical clock leave room to spread 58 bits of birth time, nine years. */
struct gm_live_block {
    uint64_t address : GM_LIVE_ADDRESS_BITS, /* never 0: that is a place that is free */
                       gc : 16;              /* see collections.h; 0: not a collected block */
    uint64_t size_bytes : GM_LIVE_SIZE_BITS, birth_ns_mid : 16;
    uint64_t birth_granule : GM_LIVE_AGE_BITS, /* logical clock in 16-byte units */
                             birth_ns_high : 10,
                             sample_log2 : 6; /* of the sampling interval; 0: every event */
    uint32_t birth_ns_low, site;
};
static_assert(sizeof(struct gm_live_block) == 32, "two blocks a cache line");

static inline uint64_t gm_live_block_birth_ns(const struct gm_live_block *b)
{
    return b->birth_ns_low | (uint64_t)b->birth_ns_mid << 32 | (uint64_t)b->birth_ns_high << 48;
}
static inline void gm_live_block_set_birth_ns(struct gm_live_block *b, uint64_t ns)
{
    b->birth_ns_low = (uint32_t)ns;
    b->birth_ns_mid = ns >> 32 & 0xffff;
    b->birth_ns_high = ns >> 48 & 0x3ff;
}

/* The same block as it is worked with. */
struct gm_block {
    uint64_t address, size_bytes, birth_granule, birth_ns;
    uint32_t site, sample_log2, gc;
};

/* Each word is put together before it is stored: it will be read whole. */
static inline struct gm_live_block gm_live_block_of(const struct gm_block *b)
{
    const uint64_t mask = (1ull << 48) - 1;
    union {
        uint64_t words[4];
        struct gm_live_block block;
    } u = {.words = {(b->address & mask) | (uint64_t)b->gc << 48,
               (b->size_bytes & mask) | (b->birth_ns >> 32 & 0xffff) << 48,
               (b->birth_granule & mask) | (b->birth_ns >> 48 & 0x3ff) << 48 |
                   (uint64_t)b->sample_log2 << 58,
               (b->birth_ns & 0xffffffff) | (uint64_t)b->site << 32}};
    return u.block;
}
static inline struct gm_block gm_block_of(const struct gm_live_block *b)
{
    return (struct gm_block){.address = b->address,
        .size_bytes = b->size_bytes,
        .birth_granule = b->birth_granule,
        .birth_ns = gm_live_block_birth_ns(b),
        .site = b->site,
        .sample_log2 = b->sample_log2,
        .gc = b->gc};
}

#define GM_LIVE_SHARDS 64u
#define GM_LIVE_CHUNK 512u /* blocks that are made at once: 16 KiB */

struct gm_live_slot {
    uint32_t order;
    uint32_t id; /* of the block; 0: free */
};

struct gm_live_shard {
    struct gm_live_slot *slots;
    uint32_t
        room; /* slots that hashes ask for; the overflow follows, and a free slot at the very end */
    uint32_t n;
};

struct gm_live_set {
    uint64_t seed; /* keeps a target from choosing addresses that collide */
    size_t n;
    uint32_t shard_count; /* 0 before the first block, then 1, then GM_LIVE_SHARDS */
    struct gm_live_shard *shards;
    struct gm_live_block **chunks; /* block `id` lies in chunk (id - 1) / GM_LIVE_CHUNK */
    uint32_t block_room, blocks_used;
    uint32_t
        free_block; /* id of the first of those given back; its `site` is that of the next; 0: none */
};

/* Allocates nothing. */
void gm_live_set_init(struct gm_live_set *set);
void gm_live_set_done(struct gm_live_set *set);

/* Takes a copy of *block. -EEXIST: the address is live, nothing changed. -ENOMEM. */
int gm_live_set_insert(struct gm_live_set *set, const struct gm_live_block *block);
/* False: not live. Else the block is gone from the set and copied to *ret_block. */
bool gm_live_set_remove(struct gm_live_set *set, uint64_t address, struct gm_live_block *ret_block);
/* NULL: not live. The pointer is good until the next call; all but the address may be written to. */
struct gm_live_block *gm_live_set_find(const struct gm_live_set *set, uint64_t address);
/* Calls visit for each block, in no order; the same may be written to. */
void gm_live_set_each(const struct gm_live_set *set,
    void (*visit)(void *arg, struct gm_live_block *block), void *arg);

/* Fetches into the cache what a call with this address will look at first. */
void gm_live_set_prefetch(const struct gm_live_set *set, uint64_t address);
/* Some time after it: what it will look at then. Returns the block, most likely this address's, which is not to be
 * looked at before it has come; or NULL. */
const struct gm_live_block *gm_live_set_prefetch_block(
    const struct gm_live_set *set, uint64_t address);

/* Bytes held. */
size_t gm_live_set_bytes(const struct gm_live_set *set);

/* Walks the whole set; NULL if all holds, else what does not, in words. */
const char *gm_live_set_check(const struct gm_live_set *set);

#endif
