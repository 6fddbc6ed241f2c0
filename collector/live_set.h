/* live_set.h - the blocks of one process that are allocated and not freed, by address.
 *
 *   shard 0   | e . e e e . . e |      entries lie in the order of their hash, each at or after the
 * slot shard 1   | e e . e . e     |      its hash asks for (linear probing), with free slots in
 * between
 *   ...
 *
 * A search therefore ends at the first entry with a greater hash, also in a table that is 7/8 full.
 * A removal closes the gap. A shard grows by half when full, and only one shard grows at a time, so
 * that a block costs 32 bytes / load, 37 to 56, growth included. A small set has one shard.
 *
 * Stands between order (which asks whether an event fits) and the roll-up.
 */
#ifndef GM_COLLECTOR_LIVE_SET_H
#define GM_COLLECTOR_LIVE_SET_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GM_LIVE_SIZE_BITS 48
#define GM_LIVE_AGE_BITS 48

/* 48 bits each for size and birth on the logical clock leave room to spread 58 bits of birth time, nine years. */
struct gm_live_block {
    uint64_t address; /* never 0: that is a free slot */
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
    uint32_t site, sample_log2;
};

/* Each word is put together before it is stored: it will be read whole. */
static inline struct gm_live_block gm_live_block_of(const struct gm_block *b)
{
    const uint64_t mask = (1ull << 48) - 1;
    union {
        uint64_t words[4];
        struct gm_live_block block;
    } u = {.words = {b->address, (b->size_bytes & mask) | (b->birth_ns >> 32 & 0xffff) << 48,
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
        .sample_log2 = b->sample_log2};
}

#define GM_LIVE_SHARDS 64u

struct gm_live_shard {
    struct gm_live_block *slots;
    uint32_t
        room; /* slots that hashes ask for; the overflow follows, and a free slot at the very end */
    uint32_t n;
};

struct gm_live_set {
    uint64_t seed; /* keeps a target from choosing addresses that collide */
    size_t n;
    uint32_t shard_count; /* 0 before the first block, then 1, then GM_LIVE_SHARDS */
    struct gm_live_shard *shards;
};

/* Allocates nothing. */
void gm_live_set_init(struct gm_live_set *set);
void gm_live_set_done(struct gm_live_set *set);

/* Takes a copy of *block. -EEXIST: the address is live, nothing changed. -ENOMEM. */
int gm_live_set_insert(struct gm_live_set *set, const struct gm_live_block *block);
/* False: not live. Else the block is gone from the set and copied to *ret_block. */
bool gm_live_set_remove(struct gm_live_set *set, uint64_t address, struct gm_live_block *ret_block);
/* NULL: not live. The pointer is good until the next call. */
const struct gm_live_block *gm_live_set_find(const struct gm_live_set *set, uint64_t address);

/* Fetches into the cache what a call with this address will look at. */
void gm_live_set_prefetch(const struct gm_live_set *set, uint64_t address);

/* Bytes held. */
size_t gm_live_set_bytes(const struct gm_live_set *set);

/* Walks the whole set; NULL if all holds, else what does not, in words. */
const char *gm_live_set_check(const struct gm_live_set *set);

#endif
