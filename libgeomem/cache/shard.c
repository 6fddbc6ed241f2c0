/* shard.c - the entries of one shard: let in, taken out, room made. The shard's lock is held. */
#include <errno.h>

#include "libgeomem/cache/cache.h"

/* An index begins with 2^5 buckets, which with its header are less than a page. */
#define INDEX_LOG2_LEAST 5u
/* A victim that somebody pins before it is taken is passed over so often. Arbitrary. */
#define VICTIMS_MISSED_MOST 64u
/* Where less than such a part of a shard may leave in vain, its pins are not looked for. Arbitrary. */
#define LOSS_PART 16u

static struct gm_cache_slot *shard_slot(const struct gm_shard *shard, uint32_t number)
{
    return gm_slot_at(shard->chunks, number);
}

static uint64_t shard_used(const struct gm_shard *shard)
{
    return atomic_load_explicit(&shard->used_bytes, memory_order_relaxed);
}

/* relaxed: whoever reads it without the lock wants to know about where it stands */
static void shard_use(struct gm_shard *shard, uint64_t used_bytes)
{
    atomic_store_explicit(&shard->used_bytes, used_bytes, memory_order_relaxed);
}

static struct gm_cache_index *shard_index(const struct gm_shard *shard)
{
    return atomic_load_explicit(&shard->index, memory_order_relaxed);
}

/* ---- the index ---- */

static uint64_t entry_hash(uint32_t number, void *arg)
{
    const struct gm_shard *shard = arg;
    return gm_policy_hash(shard->policy, number);
}

int gm_shard_index_ready(struct gm_shard *shard)
{
    struct gm_cache_index *index = shard_index(shard);
    if (shard->entries < (uint64_t)(index->mask + 1) * GM_BUCKET_FILL)
        return 0;
    struct gm_cache_index *larger = gm_cache_index_grow(index, entry_hash, shard);
    if (!larger)
        return -ENOMEM;
    /* release: pairs with the acquire in gm_shard_find */
    atomic_store_explicit(&shard->index, larger, memory_order_release);
    gm_cache_index_retire(index);
    return 0;
}

/* ---- ghosts ---- */

static uint32_t *ghost_place(struct gm_cache_ghosts *ghosts, uint64_t hash)
{
    return &ghosts->hash[(hash >> 40) % GM_CACHE_GHOSTS];
}

static void ghost_drop(struct gm_cache_ghosts *ghosts, uint32_t *place)
{
    ghosts->bytes -= ghosts->bytes / ghosts->count; /* as the mean */
    ghosts->count--;
    *place = 0;
}

static void ghost_add(struct gm_cache_ghosts *ghosts, uint64_t hash, uint64_t charge)
{
    uint32_t *place = ghost_place(ghosts, hash);
    if (*place != 0)
        ghost_drop(ghosts, place);
    ghosts->count++;
    ghosts->bytes += charge;
    *place = (uint32_t)hash | 1;
}

/* What was missed is stored: once for each time it was evicted. */
static void ghost_look(struct gm_cache_ghosts *ghosts, uint64_t hash)
{
    uint32_t *place = ghost_place(ghosts, hash);
    if (*place != ((uint32_t)hash | 1))
        return;
    ghosts->returned++;
    ghost_drop(ghosts, place);
}

/* ---- out ---- */

static struct gm_leaving_row *leaving_add(struct gm_leaving *leaving, const struct gm_shard *shard,
    uint32_t number, enum geomem_cache_cause cause)
{
    const struct gm_cache_slot *slot = shard_slot(shard, number);
    struct gm_leaving_row *row = &leaving->row[leaving->count++];
    row->copy.value_bytes = slot->value_bytes;
    row->copy.place = slot->place;
    row->hash = gm_policy_hash(shard->policy, number);
    row->charge = gm_policy_charge(shard->policy, number);
    row->cause = cause;
    row->slot = NULL;
    return row;
}

/* Counted as gone, by the policy too. */
static struct gm_leaving_row *shard_discount(struct gm_shard *shard, uint32_t number,
    enum geomem_cache_cause cause, struct gm_leaving *leaving)
{
    struct gm_leaving_row *row = leaving_add(leaving, shard, number, cause);
    shard->evictions[cause]++;
    shard->evicted_bytes[cause] += row->charge;
    if (cause == GEOMEM_CACHE_SIZE || cause == GEOMEM_CACHE_PRESSURE) {
        gm_policy_evict(shard->policy, number);
        if (shard->cache->is_elastic)
            ghost_add(&shard->ghosts, row->hash, row->charge);
    } else {
        gm_policy_remove(shard->policy, number);
    }
    shard->entries--;
    shard_use(shard, shard_used(shard) - row->charge);
    return row;
}

/* It is not live any more. dead: pins are left. */
static void slot_let_go(
    struct gm_shard *shard, uint32_t number, bool dead, struct gm_leaving_row *row)
{
    if (dead) {
        row->slot = shard_slot(shard, number);
        atomic_fetch_add_explicit(&shard->cache->references, 1, memory_order_relaxed);
    } else {
        gm_slot_give(&shard->slots, number);
    }
}

void gm_shard_take_out(struct gm_shard *shard, uint32_t number, enum geomem_cache_cause cause,
    struct gm_leaving *leaving)
{
    uint64_t hash = gm_policy_hash(shard->policy, number);
    bool dead = !gm_slot_kill(shard_slot(shard, number));
    gm_cache_index_clear(shard_index(shard), hash, number);
    slot_let_go(shard, number, dead, shard_discount(shard, number, cause, leaving));
}

struct chooser {
    const struct gm_shard *shard;
    uint32_t spare;
};

static bool entry_may_go(uint32_t number, void *arg)
{
    const struct chooser *chooser = arg;
    uint32_t word =
        atomic_load_explicit(&shard_slot(chooser->shard, number)->word, memory_order_relaxed);
    return (word & GM_SLOT_PINS) == 0 && number != chooser->spare;
}

/* One that goes: taken out of reach. 0: there is none. With many entries the policy looks at some of them at a time. */
static uint32_t victim_take(struct gm_shard *shard, uint32_t spare)
{
    struct chooser chooser = {shard, spare};
    uint32_t tries = shard->entries / 1024 + VICTIMS_MISSED_MOST;
    for (uint32_t i = 0, missed = 0; i < tries; i++) {
        uint32_t number = gm_policy_victim(shard->policy, entry_may_go, &chooser);
        if (number == GM_POLICY_NONE) {
            if (++missed > shard->entries / 1024)
                return 0;
        } else if (gm_slot_kill_unpinned(shard_slot(shard, number))) {
            return number;
        }
    }
    return 0;
}

static enum geomem_cache_cause victim_cause(
    const struct gm_shard *shard, uint32_t number, enum geomem_cache_cause cause)
{
    bool over = gm_entry_is_over(shard->cache, shard_slot(shard, number));
    return over ? GEOMEM_CACHE_EXPIRED : cause;
}

static bool shard_has_slot(const struct gm_shard *shard)
{
    const struct gm_slots *slots = &shard->slots;
    return slots->free != 0 || slots->fresh < slots->limit;
}

uint64_t gm_shard_unpinned(const struct gm_shard *shard, uint32_t spare, uint64_t enough)
{
    uint64_t bytes = 0;
    for (uint32_t number = 1; number < shard->slots.fresh && bytes < enough; number++) {
        if (number % GM_CHUNK_SLOTS == 0 || number == spare)
            continue;
        uint32_t word =
            atomic_load_explicit(&shard_slot(shard, number)->word, memory_order_relaxed);
        if (gm_word_is_live(word) && (word & GM_SLOT_PINS) == 0)
            bytes += gm_policy_charge(shard->policy, number);
    }
    return bytes;
}

bool gm_shard_could_make_room(const struct gm_shard *shard, uint64_t charge, uint32_t spare)
{
    uint64_t used = shard_used(shard), quota = shard->quota_bytes;
    if (charge > quota)
        return false;
    if (spare != 0)
        used -= gm_policy_charge(shard->policy, spare);
    if (used + charge <= quota || charge < used / LOSS_PART)
        return true;
    uint64_t missing = used + charge - quota;
    return gm_shard_unpinned(shard, spare, missing) >= missing;
}

int gm_shard_make_room(struct gm_shard *shard, uint64_t charge, uint32_t spare,
    enum geomem_cache_cause cause, struct gm_leaving *leaving)
{
    uint64_t given_back = spare != 0 ? gm_policy_charge(shard->policy, spare) : 0;
    while (shard_used(shard) - given_back + charge > shard->quota_bytes || !shard_has_slot(shard)) {
        if (gm_leaving_is_full(leaving))
            return -EAGAIN;
        uint32_t number = victim_take(shard, spare);
        if (number == 0)
            return -EBUSY;
        enum geomem_cache_cause why = victim_cause(shard, number, cause);
        gm_cache_index_clear(shard_index(shard), gm_policy_hash(shard->policy, number), number);
        slot_let_go(shard, number, false, shard_discount(shard, number, why, leaving));
    }
    return 0;
}

/* ---- in ---- */

/* The policy knows it before anybody can hit it; a replaced one goes after it has come, and its word leads to it in one step: no
 * lookup misses the key. */
bool gm_shard_insert(struct gm_shard *shard, uint32_t number, uint64_t hash, uint64_t cost,
    uint32_t pins, uint32_t old, struct gm_leaving *leaving)
{
    struct gm_cache_slot *slot = shard_slot(shard, number);
    uint64_t charge = gm_slot_charge(slot);
    struct gm_leaving_row *row =
        old != 0 ? shard_discount(shard, old, GEOMEM_CACHE_REPLACED, leaving) : NULL;
    if (shard->cache->is_elastic && old == 0)
        ghost_look(&shard->ghosts, hash);
    bool wants = gm_policy_insert(shard->policy, number, hash, charge, cost, number);
    gm_slot_publish(slot, GM_SLOT_LIVE, pins);
    if (row) {
        gm_cache_index_swap(shard_index(shard), hash, old, number);
        slot_let_go(shard, old, !gm_slot_kill(shard_slot(shard, old)), row);
    } else {
        gm_cache_index_put(shard_index(shard), hash, number);
    }
    shard->entries++;
    shard_use(shard, shard_used(shard) + charge);
    shard->stores++;
    shard->store_bytes += charge;
    return wants;
}

/* ---- shards come and go ---- */

int gm_shard_init(
    struct gm_shard *shard, struct geomem_cache *cache, const struct gm_policy_config *config)
{
    shard->cache = cache;
    shard->quota_bytes = config->capacity;
    int err = gm_slots_init(&shard->slots, shard, config->slots);
    if (err < 0)
        return err;
    shard->chunks = shard->slots.chunks;
    struct gm_policy_config own = *config;
    own.slots = shard->slots.limit;
    err = gm_policy_create(&own, &shard->policy);
    if (err < 0)
        return err;
    uint32_t number_mask = (UINT32_MAX >> __builtin_clz(shard->slots.limit - 1));
    shard->index = gm_cache_index_create(INDEX_LOG2_LEAST, number_mask);
    return shard->index ? 0 : -ENOMEM;
}

/* Takes half-made ones. The policies of all shards, the first last, have gone before. */
void gm_shard_done(struct gm_shard *shard)
{
    gm_cache_index_free(shard->index);
    gm_slots_done(&shard->slots);
}
