/* block.c - which blocks are alive: followed from birth, by promotion, to death.
 *
 * A set-associative table: the address chooses a set of WAYS entries, the block stands in any of them or nowhere.
 * So no probe sequence has to be kept whole, entries come and go by one compare-and-swap each, and nobody waits:
 *
 *     key 0: free        key 1: being filled in        else the block's address
 *
 * Two threads never work on one address: it is its owner's from birth to death.
 *
 * When a set is full, half of all blocks are given up: each block has 32 random bits from birth, followed are those
 * below a threshold, and that is halved. Which blocks are followed does not depend on what they do, so one
 * promotion or death seen stands for 1 / share of them, without bias: Vitter's reservoirs by threshold.
 */
#include <errno.h>
#include <string.h>

#include "libgeomem/base/sys.h"
#include "libgeomem/profile/profile.h"

#define SETS 4096u
#define WAYS 16u
#define SHARE_ALL 32u /* log2 of the threshold at which all are followed */

enum { ENTRY_FREE = 0, ENTRY_BUSY = 1 };
struct block_entry {
    _Atomic uint64_t key;
    uint32_t random;
    uint32_t site_and_old; /* site << 1 | is in the old generation */
    uint64_t size;
};

static struct block_entry *block_table; /* SETS * WAYS */
static _Atomic uint32_t block_share_log2 = SHARE_ALL;

int gm_profile_blocks_open(void)
{
    size_t bytes = sizeof(struct block_entry) * SETS * WAYS;
    if (!block_table && !(block_table = gm_sys_map(bytes)))
        return -ENOMEM;
    memset(block_table, 0, bytes);
    atomic_store(&block_share_log2, SHARE_ALL);
    return 0;
}

static bool random_is_followed(uint32_t random, uint32_t share_log2)
{
    return (uint64_t)random >> share_log2 == 0;
}

double gm_profile_blocks_share(void)
{
    return 1.0 / (double)(1ull << (SHARE_ALL - atomic_load(&block_share_log2)));
}

/* How many blocks one that is followed stands for. */
static uint64_t block_weight(void)
{
    /* relaxed: an estimate, whichever of two shares it is made with */
    return 1ull << (SHARE_ALL - atomic_load_explicit(&block_share_log2, memory_order_relaxed));
}

static struct block_entry *block_set(const void *block)
{
    uint64_t hash = ((uintptr_t)block >> 4) * 0x9e3779b97f4a7c15u;
    return &block_table[(hash >> 52) * WAYS];
}

static struct block_entry *block_find(const void *block)
{
    struct block_entry *set = block_set(block);
    for (uint32_t way = 0; way < WAYS; way++) {
        /* acquire: pairs with the release of gm_profile_block_add */
        if (atomic_load_explicit(&set[way].key, memory_order_acquire) == (uintptr_t)block)
            return &set[way];
    }
    return NULL;
}

static void blocks_thin(uint32_t share_log2)
{
    if (!atomic_compare_exchange_strong(&block_share_log2, &share_log2, share_log2 - 1))
        return; /* somebody else has just done it */
    for (uint32_t i = 0; i < SETS * WAYS; i++) {
        struct block_entry *entry = &block_table[i];
        uint64_t key = atomic_load_explicit(&entry->key, memory_order_acquire);
        if (key > ENTRY_BUSY && !random_is_followed(entry->random, share_log2 - 1))
            atomic_compare_exchange_strong(&entry->key, &key, (uint64_t)ENTRY_FREE);
    }
}

static struct block_entry *block_claim(const void *block)
{
    struct block_entry *set = block_set(block);
    for (uint32_t way = 0; way < WAYS; way++) {
        uint64_t free = ENTRY_FREE;
        if (atomic_load_explicit(&set[way].key, memory_order_relaxed) == ENTRY_FREE &&
            atomic_compare_exchange_strong(&set[way].key, &free, (uint64_t)ENTRY_BUSY))
            return &set[way];
    }
    return NULL;
}

void gm_profile_block_add(
    const void *block, uint64_t size, uint32_t site, bool is_old, uint32_t random)
{
    uint32_t share_log2 = atomic_load_explicit(&block_share_log2, memory_order_relaxed);
    if (!random_is_followed(random, share_log2))
        return;
    struct block_entry *entry = block_claim(block);
    if (!entry && share_log2 > 0) {
        blocks_thin(share_log2);
        if (random_is_followed(random, share_log2 - 1))
            entry = block_claim(block);
    }
    if (!entry)
        return;
    entry->random = random;
    entry->site_and_old = site << 1 | is_old;
    entry->size = size;
    atomic_store_explicit(&entry->key, (uintptr_t)block, memory_order_release);
}

void gm_profile_block_remove(const void *block)
{
    struct block_entry *entry = block_find(block);
    if (!entry)
        return;
    struct gm_profile_site *site = gm_profile_site(entry->site_and_old >> 1);
    uint64_t size = entry->size;
    bool was_promoted = (entry->site_and_old & 1) && entry->size >> 63;
    uint64_t key = (uintptr_t)block;
    if (!atomic_compare_exchange_strong(&entry->key, &key, (uint64_t)ENTRY_FREE) || !was_promoted)
        return;
    uint64_t weight = block_weight();
    atomic_fetch_add_explicit(&site->old_died_blocks, weight, memory_order_relaxed);
    atomic_fetch_add_explicit(
        &site->old_died_bytes, weight * (size & INT64_MAX), memory_order_relaxed);
}

void gm_profile_block_promoted(const void *block, uint64_t size)
{
    struct block_entry *entry = block_find(block);
    if (!entry || (entry->site_and_old & 1))
        return;
    struct gm_profile_site *site = gm_profile_site(entry->site_and_old >> 1);
    entry->site_and_old |= 1;
    entry->size = size | 1ull << 63; /* the top bit: it was promoted, not born old */
    uint64_t weight = block_weight();
    atomic_fetch_add_explicit(&site->promoted_blocks, weight, memory_order_relaxed);
    atomic_fetch_add_explicit(&site->promoted_bytes, weight * size, memory_order_relaxed);
}

void gm_profile_blocks_count_live(void)
{
    uint64_t weight = block_weight();
    for (uint32_t i = 0; i < SETS * WAYS; i++) {
        struct block_entry *entry = &block_table[i];
        if (atomic_load(&entry->key) <= ENTRY_BUSY)
            continue;
        struct gm_profile_site *site = gm_profile_site(entry->site_and_old >> 1);
        site->live_blocks += weight;
        site->live_bytes += weight * (entry->size & INT64_MAX);
    }
}
