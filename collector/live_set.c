/* live_set.c - see live_set.h. */
#include "collector/live_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define ROOM_FIRST 64u
/* Slots past `room` for entries that overflow the end. A run that reaches them all makes the shard
 * grow. */
#define OVERFLOW 64u
#define SHARDS_FROM 8192u /* blocks at which a set gets its shards */
#define MAP_FROM_BYTES \
    65536u /* arrays from here on are mappings: what is given up goes back at once */

static inline uint32_t live_load_max(uint32_t room)
{
    return room - room / 5;
}

static size_t shard_bytes(uint32_t room)
{
    return ((size_t)room + OVERFLOW + 1) * sizeof(struct gm_live_block);
}

static struct gm_live_block *slots_alloc(uint32_t room)
{
    size_t bytes = shard_bytes(room);
    if (bytes < MAP_FROM_BYTES)
        return calloc(1, bytes);
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return map == MAP_FAILED ? NULL : map;
}

static void slots_free(struct gm_live_block *slots, uint32_t room)
{
    size_t bytes = shard_bytes(room);
    if (!slots)
        return;
    if (bytes < MAP_FROM_BYTES)
        free(slots);
    else
        munmap(slots, bytes);
}

void gm_live_set_init(struct gm_live_set *set)
{
    memset(set, 0, sizeof *set);
    if (getrandom(&set->seed, sizeof set->seed, GRND_NONBLOCK) != sizeof set->seed)
        set->seed = (uint64_t)(uintptr_t)set * 0x9e3779b97f4a7c15ull;
}

void gm_live_set_done(struct gm_live_set *set)
{
    for (uint32_t i = 0; i < set->shard_count; i++)
        slots_free(set->shards[i].slots, set->shards[i].room);
    free(set->shards);
    set->shards = NULL;
    set->shard_count = 0;
    set->n = 0;
}

static inline uint64_t set_hash(const struct gm_live_set *set, uint64_t address)
{
    uint64_t h = (address ^ set->seed) * 0x9e3779b97f4a7c15ull;
    h ^= h >> 32;
    return h * 0xd6e8feb86659fd93ull;
}

/* Bits 63..58 choose the shard, the 32 below them order the entries within it. */
static inline uint32_t hash_order(uint64_t hash)
{
    return (uint32_t)(hash >> 26);
}
static inline uint32_t order_slot(uint32_t order, uint32_t room)
{
    return (uint32_t)((uint64_t)order * room >> 32);
}
static inline struct gm_live_shard *set_shard(const struct gm_live_set *set, uint64_t hash)
{
    return set->shard_count <= 1 ? set->shards : &set->shards[hash >> 58];
}
static inline uint32_t entry_order(const struct gm_live_set *set, const struct gm_live_block *entry)
{
    return hash_order(set_hash(set, entry->address));
}

/* The slot that holds the address, or the one where it belongs. */
static inline uint32_t shard_search(const struct gm_live_set *set,
    const struct gm_live_shard *shard, uint64_t address, uint32_t order)
{
    uint32_t i = order_slot(order, shard->room);
    while (shard->slots[i].address && shard->slots[i].address != address &&
           entry_order(set, &shard->slots[i]) <= order)
        i++;
    return i;
}

/* Entries come in the order of their hash, so each goes after the one before it or further on.
 * False where the overflow is too short for how they fall. */
static bool slots_append(struct gm_live_block *slots, uint32_t room, uint32_t *next, uint32_t order,
    const struct gm_live_block *entry)
{
    uint32_t i = order_slot(order, room);
    if (i < *next)
        i = *next;
    if (i >= room + OVERFLOW)
        return false;
    slots[i] = *entry;
    *next = i + 1;
    return true;
}

static int shard_rebuild(const struct gm_live_set *set, struct gm_live_shard *shard, uint32_t room)
{
    struct gm_live_block *slots = slots_alloc(room);
    if (!slots)
        return -ENOMEM;
    uint32_t next = 0, old_end = shard->slots ? shard->room + OVERFLOW : 0;
    for (uint32_t i = 0; i < old_end; i++) {
        const struct gm_live_block *entry = &shard->slots[i];
        if (entry->address && !slots_append(slots, room, &next, entry_order(set, entry), entry)) {
            slots_free(slots, room);
            return -EAGAIN;
        }
    }
    slots_free(shard->slots, shard->room);
    shard->slots = slots;
    shard->room = room;
    return 0;
}

static int shard_grow(const struct gm_live_set *set, struct gm_live_shard *shard)
{
    uint32_t room = shard->room;
    int r = -EAGAIN;
    while (r == -EAGAIN) {
        if (room > UINT32_MAX / 2)
            return -ENOMEM;
        room = room ? room + room / 2 : ROOM_FIRST;
        r = shard_rebuild(set, shard, room);
    }
    return r;
}

/* -EAGAIN: no free slot up to the end of the overflow. */
static int shard_place(const struct gm_live_set *set, struct gm_live_shard *shard,
    const struct gm_live_block *block, uint32_t order)
{
    uint32_t i = shard_search(set, shard, block->address, order);
    if (shard->slots[i].address == block->address)
        return -EEXIST;
    uint32_t free_slot = i;
    while (shard->slots[free_slot].address)
        free_slot++;
    if (free_slot >= shard->room + OVERFLOW)
        return -EAGAIN;
    memmove(&shard->slots[i + 1], &shard->slots[i], (free_slot - i) * sizeof *block);
    shard->slots[i] = *block;
    shard->n++;
    return 0;
}

static int shard_insert(const struct gm_live_set *set, struct gm_live_shard *shard,
    const struct gm_live_block *block, uint32_t order)
{
    if (!shard->slots) {
        int r = shard_grow(set, shard);
        if (r < 0)
            return r;
    }
    int r = shard_place(set, shard, block, order);
    while (r == -EAGAIN) {
        r = shard_grow(set, shard);
        if (r == 0)
            r = shard_place(set, shard, block, order);
    }
    if (r == 0 && shard->n >= live_load_max(shard->room))
        shard_grow(set, shard); /* without memory it goes on fuller; the next insert tries again */
    return r;
}

/* From no shard to one, or from one to many. */
static int set_spread(struct gm_live_set *set, uint32_t shard_count)
{
    struct gm_live_set spread = {.seed = set->seed, .n = set->n, .shard_count = shard_count};
    spread.shards = calloc(shard_count, sizeof *spread.shards);
    if (!spread.shards)
        return -ENOMEM;
    uint32_t end = set->shard_count ? set->shards->room + OVERFLOW : 0;
    for (uint32_t i = 0; i < end; i++) {
        const struct gm_live_block *entry = &set->shards->slots[i];
        if (!entry->address)
            continue;
        uint64_t hash = set_hash(set, entry->address);
        if (shard_insert(&spread, set_shard(&spread, hash), entry, hash_order(hash)) < 0) {
            gm_live_set_done(&spread);
            return -ENOMEM;
        }
    }
    gm_live_set_done(set);
    *set = spread;
    return 0;
}

int gm_live_set_insert(struct gm_live_set *set, const struct gm_live_block *block)
{
    if (set->shard_count == 0 && set_spread(set, 1) < 0)
        return -ENOMEM;
    if (set->shard_count == 1 && set->n >= SHARDS_FROM)
        set_spread(set, GM_LIVE_SHARDS); /* without memory it stays as it is */
    uint64_t hash = set_hash(set, block->address);
    int r = shard_insert(set, set_shard(set, hash), block, hash_order(hash));
    if (r == 0)
        set->n++;
    return r;
}

const struct gm_live_block *gm_live_set_find(const struct gm_live_set *set, uint64_t address)
{
    uint64_t hash = set_hash(set, address);
    const struct gm_live_shard *shard = set_shard(set, hash);
    if (!shard || !shard->slots || !address)
        return NULL;
    uint32_t i = shard_search(set, shard, address, hash_order(hash));
    return shard->slots[i].address == address ? &shard->slots[i] : NULL;
}

bool gm_live_set_remove(struct gm_live_set *set, uint64_t address, struct gm_live_block *ret_block)
{
    uint64_t hash = set_hash(set, address);
    struct gm_live_shard *shard = set_shard(set, hash);
    if (!shard || !shard->slots || !address)
        return false;
    uint32_t i = shard_search(set, shard, address, hash_order(hash));
    if (shard->slots[i].address != address)
        return false;
    *ret_block = shard->slots[i];
    /* The entries behind move up, as far as they are not where they want to be. */
    uint32_t end = i + 1;
    while (shard->slots[end].address &&
           order_slot(entry_order(set, &shard->slots[end]), shard->room) < end)
        end++;
    memmove(&shard->slots[i], &shard->slots[i + 1], (end - i - 1) * sizeof *ret_block);
    shard->slots[end - 1].address = 0;
    shard->n--;
    set->n--;
    return true;
}

void gm_live_set_prefetch(const struct gm_live_set *set, uint64_t address)
{
    uint64_t hash = set_hash(set, address);
    const struct gm_live_shard *shard = set_shard(set, hash);
    if (!shard || !shard->slots)
        return;
    const struct gm_live_block *slot = &shard->slots[order_slot(hash_order(hash), shard->room)];
    __builtin_prefetch(slot, 1);
    __builtin_prefetch(slot + 2, 1);
}

size_t gm_live_set_bytes(const struct gm_live_set *set)
{
    size_t bytes = set->shard_count * sizeof *set->shards;
    for (uint32_t i = 0; i < set->shard_count; i++)
        bytes += set->shards[i].slots ? shard_bytes(set->shards[i].room) : 0;
    return bytes;
}

static const char *shard_check(const struct gm_live_set *set, const struct gm_live_shard *shard)
{
    uint32_t n = 0, last_order = 0, last_slot = 0;
    if (!shard->slots)
        return shard->n ? "a shard without slots counts blocks" : NULL;
    if (shard->slots[shard->room + OVERFLOW].address)
        return "the slot that ends every search is taken";
    for (uint32_t i = 0; i < shard->room + OVERFLOW; i++) {
        if (!shard->slots[i].address)
            continue;
        uint64_t hash = set_hash(set, shard->slots[i].address);
        uint32_t order = hash_order(hash), slot = order_slot(order, shard->room);
        if (set_shard(set, hash) != shard)
            return "a block is in the wrong shard";
        if (slot > i)
            return "a block lies before the slot its hash asks for";
        if (n > 0 && order < last_order)
            return "blocks are not in the order of their hash";
        if (slot < i && (n == 0 || last_slot + 1 != i))
            return "a gap lies between a block and the slot its hash asks for";
        last_order = order;
        last_slot = i;
        n++;
    }
    return n == shard->n ? NULL : "a shard miscounts its blocks";
}

const char *gm_live_set_check(const struct gm_live_set *set)
{
    size_t n = 0;
    for (uint32_t i = 0; i < set->shard_count; i++) {
        const char *wrong = shard_check(set, &set->shards[i]);
        if (wrong)
            return wrong;
        n += set->shards[i].n;
    }
    return n == set->n ? NULL : "the set miscounts its blocks";
}
