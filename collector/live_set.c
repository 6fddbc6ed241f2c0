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

/* ---- blocks ---- */

static inline struct gm_live_block *set_block(const struct gm_live_set *set, uint32_t id)
{
    return &set->chunks[(id - 1) / GM_LIVE_CHUNK][(id - 1) % GM_LIVE_CHUNK];
}

static int set_add_chunk(struct gm_live_set *set)
{
    size_t i = set->block_room / GM_LIVE_CHUNK;
    if ((i & (i - 1)) == 0) { /* full: powers of two */
        struct gm_live_block **chunks = reallocarray(set->chunks, i ? i * 2 : 1, sizeof *chunks);
        if (!chunks)
            return -ENOMEM;
        set->chunks = chunks;
    }
    if (set->block_room > UINT32_MAX - GM_LIVE_CHUNK)
        return -ENOMEM;
    set->chunks[i] = malloc(GM_LIVE_CHUNK * sizeof **set->chunks);
    if (!set->chunks[i])
        return -ENOMEM;
    set->block_room += GM_LIVE_CHUNK;
    return 0;
}

/* The place freed last is taken first: it is in the cache. */
static uint32_t set_take_block(struct gm_live_set *set)
{
    uint32_t id = set->free_block;
    if (id) {
        set->free_block = set_block(set, id)->site;
        return id;
    }
    if (set->blocks_used == set->block_room && set_add_chunk(set) < 0)
        return 0;
    return ++set->blocks_used;
}

static void set_give_block(struct gm_live_set *set, uint32_t id)
{
    struct gm_live_block *block = set_block(set, id);
    block->address = 0;
    block->site = set->free_block;
    set->free_block = id;
}

/* ---- slots ---- */

static size_t shard_bytes(uint32_t room)
{
    return ((size_t)room + OVERFLOW + 1) * sizeof(struct gm_live_slot);
}

static struct gm_live_slot *slots_alloc(uint32_t room)
{
    size_t bytes = shard_bytes(room);
    if (bytes < MAP_FROM_BYTES)
        return calloc(1, bytes);
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return map == MAP_FAILED ? NULL : map;
}

static void slots_free(struct gm_live_slot *slots, uint32_t room)
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

static void set_free_shards(struct gm_live_set *set)
{
    for (uint32_t i = 0; i < set->shard_count; i++)
        slots_free(set->shards[i].slots, set->shards[i].room);
    free(set->shards);
    set->shards = NULL;
    set->shard_count = 0;
}

void gm_live_set_done(struct gm_live_set *set)
{
    set_free_shards(set);
    for (size_t i = 0; i < set->block_room / GM_LIVE_CHUNK; i++)
        free(set->chunks[i]);
    free(set->chunks);
    *set = (struct gm_live_set){.seed = set->seed};
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

/* The first slot that is free or of an entry not before `order`. */
static inline uint32_t shard_seek(const struct gm_live_shard *shard, uint32_t order)
{
    uint32_t i = order_slot(order, shard->room);
    while (shard->slots[i].id && shard->slots[i].order < order)
        i++;
    return i;
}

/* The slot that holds the address, or the one where it belongs. Blocks are looked at only where the order is the
 * same, which few others share. */
static inline bool shard_search(const struct gm_live_set *set, const struct gm_live_shard *shard,
    uint64_t address, uint32_t order, uint32_t *ret_slot)
{
    uint32_t i = shard_seek(shard, order);
    while (shard->slots[i].id && shard->slots[i].order == order) {
        if (set_block(set, shard->slots[i].id)->address == address) {
            *ret_slot = i;
            return true;
        }
        i++;
    }
    *ret_slot = i;
    return false;
}

/* Entries come in their order, so each goes after the one before it or further on.
 * False where the overflow is too short for how they fall. */
static bool slots_append(
    struct gm_live_slot *slots, uint32_t room, uint32_t *next, const struct gm_live_slot *entry)
{
    uint32_t i = order_slot(entry->order, room);
    if (i < *next)
        i = *next;
    if (i >= room + OVERFLOW)
        return false;
    slots[i] = *entry;
    *next = i + 1;
    return true;
}

static int shard_rebuild(struct gm_live_shard *shard, uint32_t room)
{
    struct gm_live_slot *slots = slots_alloc(room);
    if (!slots)
        return -ENOMEM;
    uint32_t next = 0, old_end = shard->slots ? shard->room + OVERFLOW : 0;
    for (uint32_t i = 0; i < old_end; i++)
        if (shard->slots[i].id && !slots_append(slots, room, &next, &shard->slots[i])) {
            slots_free(slots, room);
            return -EAGAIN;
        }
    slots_free(shard->slots, shard->room);
    shard->slots = slots;
    shard->room = room;
    return 0;
}

static int shard_grow(struct gm_live_shard *shard)
{
    uint32_t room = shard->room;
    int r = -EAGAIN;
    while (r == -EAGAIN) {
        if (room > UINT32_MAX / 2)
            return -ENOMEM;
        room = room ? room + room / 2 : ROOM_FIRST;
        r = shard_rebuild(shard, room);
    }
    return r;
}

/* Enters at slot i, where it belongs. -EAGAIN: no free slot up to the end of the overflow. */
static int shard_place(struct gm_live_shard *shard, uint32_t i, const struct gm_live_slot *entry)
{
    uint32_t free_slot = i;
    while (shard->slots[free_slot].id)
        free_slot++;
    if (free_slot >= shard->room + OVERFLOW)
        return -EAGAIN;
    for (; free_slot > i; free_slot--) /* seldom more than a few */
        shard->slots[free_slot] = shard->slots[free_slot - 1];
    shard->slots[i] = *entry;
    shard->n++;
    return 0;
}

/* Enters what is not there. */
static int shard_enter(struct gm_live_shard *shard, const struct gm_live_slot *entry)
{
    int r = shard->slots ? -EAGAIN : shard_grow(shard);
    if (r == -EAGAIN || r == 0)
        r = shard_place(shard, shard_seek(shard, entry->order), entry);
    while (r == -EAGAIN) {
        r = shard_grow(shard);
        if (r == 0)
            r = shard_place(shard, shard_seek(shard, entry->order), entry);
    }
    return r;
}

/* From no shard to one, or from one to many. */
static int set_spread(struct gm_live_set *set, uint32_t shard_count)
{
    struct gm_live_set spread = *set;
    spread.shard_count = shard_count;
    spread.shards = calloc(shard_count, sizeof *spread.shards);
    if (!spread.shards)
        return -ENOMEM;
    uint32_t end = set->shard_count ? set->shards->room + OVERFLOW : 0;
    for (uint32_t i = 0; i < end; i++) {
        const struct gm_live_slot *entry = &set->shards->slots[i];
        if (!entry->id)
            continue;
        uint64_t hash = set_hash(set, set_block(set, entry->id)->address);
        if (shard_enter(set_shard(&spread, hash), entry) < 0) {
            set_free_shards(&spread);
            return -ENOMEM;
        }
    }
    set_free_shards(set);
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
    struct gm_live_shard *shard = set_shard(set, hash);
    uint32_t order = hash_order(hash), slot = 0;
    if (shard->slots && shard_search(set, shard, block->address, order, &slot))
        return -EEXIST;
    struct gm_live_slot entry = {.order = order, .id = set_take_block(set)};
    if (!entry.id)
        return -ENOMEM;
    int r = shard->slots ? shard_place(shard, slot, &entry) : -EAGAIN;
    if (r == -EAGAIN)
        r = shard_enter(shard, &entry);
    if (r < 0) {
        set_give_block(set, entry.id);
        return r;
    }
    *set_block(set, entry.id) = *block;
    set->n++;
    if (shard->n >= live_load_max(shard->room))
        shard_grow(shard); /* without memory it goes on fuller; the next insert tries again */
    return 0;
}

struct gm_live_block *gm_live_set_find(const struct gm_live_set *set, uint64_t address)
{
    uint64_t hash = set_hash(set, address);
    const struct gm_live_shard *shard = set_shard(set, hash);
    uint32_t i;
    if (!shard || !shard->slots || !shard_search(set, shard, address, hash_order(hash), &i))
        return NULL;
    return set_block(set, shard->slots[i].id);
}

bool gm_live_set_remove(struct gm_live_set *set, uint64_t address, struct gm_live_block *ret_block)
{
    uint64_t hash = set_hash(set, address);
    struct gm_live_shard *shard = set_shard(set, hash);
    uint32_t i;
    if (!shard || !shard->slots || !shard_search(set, shard, address, hash_order(hash), &i))
        return false;
    uint32_t id = shard->slots[i].id;
    *ret_block = *set_block(set, id);
    set_give_block(set, id);
    /* The entries behind move up, as far as they are not where they want to be. */
    for (; shard->slots[i + 1].id && order_slot(shard->slots[i + 1].order, shard->room) <= i; i++)
        shard->slots[i] = shard->slots[i + 1];
    shard->slots[i] = (struct gm_live_slot){0};
    shard->n--;
    set->n--;
    return true;
}

void gm_live_set_each(
    const struct gm_live_set *set, void (*visit)(void *arg, struct gm_live_block *block), void *arg)
{
    for (uint32_t id = 1; id <= set->blocks_used; id++)
        if (set_block(set, id)->address)
            visit(arg, set_block(set, id));
}

/* ---- ahead of the calls ---- */

void gm_live_set_prefetch(const struct gm_live_set *set, uint64_t address)
{
    uint64_t hash = set_hash(set, address);
    const struct gm_live_shard *shard = set_shard(set, hash);
    if (shard && shard->slots)
        __builtin_prefetch(&shard->slots[order_slot(hash_order(hash), shard->room)], 1);
}

const struct gm_live_block *gm_live_set_prefetch_block(
    const struct gm_live_set *set, uint64_t address)
{
    uint64_t hash = set_hash(set, address);
    const struct gm_live_shard *shard = set_shard(set, hash);
    if (!shard || !shard->slots)
        return NULL;
    uint32_t order = hash_order(hash), i = shard_seek(shard, order);
    if (!shard->slots[i].id || shard->slots[i].order != order)
        return NULL;
    const struct gm_live_block *block = set_block(set, shard->slots[i].id);
    __builtin_prefetch(block, 1);
    return block;
}

/* ---- checks ---- */

size_t gm_live_set_bytes(const struct gm_live_set *set)
{
    size_t bytes = set->shard_count * sizeof *set->shards;
    for (uint32_t i = 0; i < set->shard_count; i++)
        bytes += set->shards[i].slots ? shard_bytes(set->shards[i].room) : 0;
    return bytes + set->block_room * sizeof **set->chunks +
           set->block_room / GM_LIVE_CHUNK * 2 * sizeof *set->chunks;
}

static const char *shard_check(const struct gm_live_set *set, const struct gm_live_shard *shard)
{
    uint32_t n = 0, last_order = 0, last_slot = 0;
    if (!shard->slots)
        return shard->n ? "a shard without slots counts blocks" : NULL;
    if (shard->slots[shard->room + OVERFLOW].id)
        return "the slot that ends every search is taken";
    for (uint32_t i = 0; i < shard->room + OVERFLOW; i++) {
        const struct gm_live_slot *entry = &shard->slots[i];
        if (!entry->id)
            continue;
        if (entry->id > set->blocks_used)
            return "an entry names no block";
        uint64_t hash = set_hash(set, set_block(set, entry->id)->address);
        uint32_t slot = order_slot(entry->order, shard->room);
        if (set_shard(set, hash) != shard)
            return "a block is in the wrong shard";
        if (hash_order(hash) != entry->order)
            return "an entry does not stand for its block";
        if (slot > i)
            return "a block lies before the slot its hash asks for";
        if (n > 0 && entry->order < last_order)
            return "blocks are not in the order of their hash";
        if (slot < i && (n == 0 || last_slot + 1 != i))
            return "a gap lies between a block and the slot its hash asks for";
        last_order = entry->order;
        last_slot = i;
        n++;
    }
    return n == shard->n ? NULL : "a shard miscounts its blocks";
}

const char *gm_live_set_check(const struct gm_live_set *set)
{
    size_t n = 0, free_blocks = 0;
    for (uint32_t i = 0; i < set->shard_count; i++) {
        const char *wrong = shard_check(set, &set->shards[i]);
        if (wrong)
            return wrong;
        n += set->shards[i].n;
    }
    if (n != set->n)
        return "the set miscounts its blocks";
    for (uint32_t id = set->free_block; id; id = set_block(set, id)->site)
        free_blocks++;
    return n + free_blocks == set->blocks_used ? NULL : "the place of a block is lost";
}
