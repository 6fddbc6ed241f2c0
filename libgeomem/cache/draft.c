/* draft.c - see draft.h: an entry is made outside of all locks, and then let in under one. */
#include "libgeomem/cache/draft.h"

#include <errno.h>
#include <string.h>

#include "libgeomem/cache/capacity.h"
#include "libgeomem/cache/tell.h"
#include "libgeomem/cache/thread.h"
#include "libgeomem/heap/heap.h"

/* Charges are 32 bits to the policy. */
#define VALUE_BYTES_MOST 0xfff00000u
/* Two shards that borrow from each other: one gives up. Arbitrary. */
#define LOANS_MOST 16u

/* ---- making ---- */

/* From here on, 68 years, times are for ever: seconds of 32 bits hold the sum of two that are less. */
#define TIME_MOST_NS ((uint64_t)INT32_MAX * 1000000000u)

static bool time_is_set(uint64_t ns)
{
    return ns != 0 && ns < TIME_MOST_NS;
}

static unsigned draft_extra(const struct gm_draft *draft)
{
    if (time_is_set(draft->ttl_ns) || time_is_set(draft->idle_ns))
        return GM_ENTRY_EXTRA;
    return gm_cache_samples(draft->cache, draft->hash) ? GM_ENTRY_EXTRA | GM_ENTRY_WATCHED : 0;
}

static int draft_read_options(
    struct gm_draft *draft, const struct geomem_cache_store_options *options)
{
    draft->ttl_ns = draft->cache->ttl_ns;
    draft->idle_ns = draft->cache->idle_ns;
    if (!options)
        return 0;
    if (options->struct_bytes != sizeof *options)
        return -EINVAL;
    if (options->ttl_ns != 0)
        draft->ttl_ns = options->ttl_ns;
    if (options->idle_ns != 0)
        draft->idle_ns = options->idle_ns;
    draft->cost_ns = options->cost_ns;
    return 0;
}

int gm_draft_init(struct gm_draft *draft, struct geomem_cache *cache, const void *key,
    size_t key_bytes, const struct geomem_cache_store_options *options)
{
    if (key_bytes == 0 || key_bytes > GM_KEY_BYTES_MAX)
        return -EINVAL;
    uint64_t hash = gm_hash(cache->seed, key, key_bytes);
    *draft = (struct gm_draft){
        .cache = cache,
        .shard = gm_cache_shard(cache, hash),
        .hash = hash,
        .key = key,
        .key_bytes = key_bytes,
    };
    int err = draft_read_options(draft, options);
    draft->flags = draft_extra(draft);
    return err;
}

/* The slot that an entry of the draft would have, to find its parts by. */
static struct gm_cache_slot draft_slot(const struct gm_draft *draft)
{
    struct gm_cache_slot slot = {
        .value_bytes = (uint32_t)draft->value_bytes,
        .place = (uintptr_t)draft->block | draft->flags |
                 (uint64_t)draft->key_bytes << GM_PLACE_KEY_SHIFT,
    };
    return slot;
}

/* Where memory cannot be had, caches are what gives way first. */
static void *block_allocate(const struct gm_draft *draft, size_t bytes)
{
    for (int tries = 0;; tries++) {
        void *block = draft->flags & GM_ENTRY_COLLECTED ? geomem_alloc_root(bytes)
                      : draft->cache->heap ? geomem_heap_alloc(draft->cache->heap, bytes)
                                           : geomem_alloc(bytes);
        if (block || tries == 2)
            return block;
        geomem_caches_relieve(bytes * 4);
        if (tries == 1)
            geomem_cache_shrink(draft->cache, bytes * 4);
    }
}

static void extra_fill(const struct gm_draft *draft, struct gm_entry_extra *extra)
{
    const struct geomem_cache *cache = draft->cache;
    uint64_t now_ns = gm_cache_time_ns(cache), up = 999999999u;
    *extra = (struct gm_entry_extra){
        .stored_ns = now_ns,
        .used_s = gm_cache_seconds(cache, now_ns),
    };
    if (time_is_set(draft->ttl_ns))
        extra->expires_s = gm_cache_seconds(cache, now_ns + draft->ttl_ns + up);
    if (time_is_set(draft->idle_ns))
        extra->idle_s = (uint32_t)((draft->idle_ns + up) / 1000000000u);
}

static int draft_block(struct gm_draft *draft, uint64_t value_bytes, unsigned flags)
{
    if (value_bytes > VALUE_BYTES_MOST)
        return -EINVAL;
    gm_draft_free(draft);
    draft->flags = flags;
    void *block = block_allocate(draft, gm_entry_block_bytes(draft->key_bytes, value_bytes, flags));
    if (!block)
        return -ENOMEM;
    draft->block = block;
    draft->value_bytes = value_bytes;
    draft->charge = gm_entry_charge(draft->key_bytes, value_bytes, flags);
    struct gm_cache_slot slot = draft_slot(draft);
    memcpy(gm_entry_key(&slot), draft->key, draft->key_bytes);
    if (flags & GM_ENTRY_EXTRA)
        extra_fill(draft, block);
    return 0;
}

int gm_draft_room(struct gm_draft *draft, uint64_t bytes, void **ret_value)
{
    int err = draft_block(draft, bytes, draft_extra(draft));
    if (err < 0)
        return err;
    struct gm_cache_slot slot = draft_slot(draft);
    *ret_value = gm_entry_value(&slot);
    return 0;
}

static bool block_is_collected(const void *block, uint64_t *ret_bytes)
{
    struct geomem_block found;
    if (geomem_block_at(block, &found) != 0 || found.start != block)
        return false;
    *ret_bytes = found.bytes;
    return found.state == GEOMEM_BLOCK_YOUNG || found.state == GEOMEM_BLOCK_OLD;
}

int gm_draft_collected(struct gm_draft *draft, void *block, uint64_t bytes)
{
    uint64_t own_bytes;
    if (!block_is_collected(block, &own_bytes))
        return -EINVAL;
    int err =
        draft_block(draft, bytes ? bytes : own_bytes, draft_extra(draft) | GM_ENTRY_COLLECTED);
    if (err < 0)
        return err;
    struct gm_cache_slot slot = draft_slot(draft);
    struct gm_entry_collected *value = gm_entry_value(&slot);
    value->block = block;
    return 0;
}

static int draft_move(struct gm_draft *draft, unsigned flags)
{
    struct gm_draft old = *draft;
    draft->block = NULL;
    int err = draft_block(draft, old.value_bytes, flags);
    if (err < 0) {
        *draft = old;
        return err;
    }
    struct gm_cache_slot from = draft_slot(&old), to = draft_slot(draft);
    size_t bytes = flags & GM_ENTRY_COLLECTED ? sizeof(struct gm_entry_collected) : old.value_bytes;
    memcpy(gm_entry_value(&to), gm_entry_value(&from), bytes);
    gm_draft_free(&old);
    return 0;
}

int gm_draft_options(struct gm_draft *draft, const struct geomem_cache_store_options *options)
{
    int err = draft_read_options(draft, options);
    if (err < 0)
        return err;
    unsigned flags = draft_extra(draft) | (draft->flags & GM_ENTRY_COLLECTED);
    if (draft->block && flags != draft->flags)
        return draft_move(draft, flags);
    draft->flags = flags;
    if (draft->block && (flags & GM_ENTRY_EXTRA))
        extra_fill(draft, draft->block);
    return 0;
}

void gm_draft_free(struct gm_draft *draft)
{
    if (draft->block)
        geomem_free(draft->block);
    draft->block = NULL;
}

/* ---- letting in ---- */

/* 0: none. The block is the slot's from now on. */
static uint32_t draft_place(struct gm_draft *draft)
{
    uint32_t number = gm_slot_take(&draft->shard->slots, draft->shard);
    if (number == 0)
        return 0;
    struct gm_cache_slot *slot = gm_slot_at(draft->shard->chunks, number),
                         filled = draft_slot(draft);
    slot->value_bytes = filled.value_bytes;
    slot->place = filled.place;
    draft->block = NULL;
    return number;
}

static uint32_t draft_find(const struct gm_draft *draft)
{
    return gm_shard_find_locked(draft->shard, draft->hash, draft->key, draft->key_bytes);
}

/* Outside of the cache, with the pin that ret_slot is to have, or nowhere. -ENOMEM: no slot. The shard's lock is held. */
static int draft_stay_out(struct gm_draft *draft, bool rejected, struct gm_leaving *leaving,
    struct gm_cache_slot **ret_slot)
{
    struct gm_shard *shard = draft->shard;
    uint32_t number = ret_slot ? draft_place(draft) : 0;
    if (ret_slot && number == 0)
        return -ENOMEM;
    if (ret_slot) {
        *ret_slot = gm_slot_at(shard->chunks, number);
        gm_slot_publish(*ret_slot, GM_SLOT_DEAD, rejected ? 2 : 1);
        atomic_fetch_add_explicit(&shard->cache->references, 1, memory_order_relaxed);
    }
    if (!rejected)
        return 0;
    uint64_t charge = draft->charge;
    struct gm_leaving_row *row = &leaving->row[leaving->count++];
    struct gm_cache_slot copy =
        ret_slot ? (struct gm_cache_slot){.value_bytes = (*ret_slot)->value_bytes,
                       .place = (*ret_slot)->place}
                 : draft_slot(draft);
    row->copy.value_bytes = copy.value_bytes;
    row->copy.place = copy.place;
    row->slot = ret_slot ? *ret_slot : NULL;
    row->hash = draft->hash;
    row->charge = charge;
    row->cause = GEOMEM_CACHE_REJECTED;
    draft->block = NULL;
    shard->evictions[GEOMEM_CACHE_REJECTED]++;
    shard->evicted_bytes[GEOMEM_CACHE_REJECTED] += charge;
    return 0;
}

/* 0: it is in; -EAGAIN: `leaving` is full; -EBUSY: no room; -ENOMEM. */
static int draft_enter(struct gm_draft *draft, uint32_t old, struct gm_leaving *leaving,
    struct gm_cache_slot **ret_slot, bool *ret_maintain)
{
    struct gm_shard *shard = draft->shard;
    int err = gm_shard_make_room(shard, draft->charge, old, GEOMEM_CACHE_SIZE, leaving);
    if (err == 0 && gm_leaving_is_full(leaving))
        err = -EAGAIN; /* the entry replaced needs a place */
    if (err == 0)
        err = gm_shard_index_ready(shard);
    if (err < 0)
        return err;
    uint32_t number = draft_place(draft);
    if (number == 0)
        return -ENOMEM;
    *ret_maintain =
        gm_shard_insert(shard, number, draft->hash, draft->cost_ns, ret_slot ? 1 : 0, old, leaving);
    if (ret_slot)
        *ret_slot = gm_slot_at(shard->chunks, number);
    return 0;
}

/* That the shard needs: what is pinned in it stays. The shard's lock is held. */
static uint64_t draft_quota(const struct gm_draft *draft)
{
    const struct gm_shard *shard = draft->shard;
    uint32_t old = draft_find(draft);
    uint64_t used = atomic_load_explicit(&shard->used_bytes, memory_order_relaxed);
    uint64_t goes = old != 0 ? gm_policy_charge(shard->policy, old) : 0;
    return used - goes - gm_shard_unpinned(shard, old, UINT64_MAX) + draft->charge;
}

enum step {
    STEP_DONE,
    STEP_AGAIN,  /* what has left is told first */
    STEP_BORROW, /* of the other shards */
};

struct admission {
    struct gm_draft *draft;
    const struct geomem_cache_load *load;
    struct gm_cache_slot **ret_slot;
    struct gm_leaving leaving;
    int status;
    bool maintain, entered, is_weighed;
    bool has_borrowed; /* what it could */
    uint32_t loans;
};

static void admission_refuse(struct admission *a, int status)
{
    /* Without a slot the old value stays. */
    int err = draft_stay_out(a->draft, true, &a->leaving, a->ret_slot);
    a->status = err < 0 ? err : status;
    uint32_t old = err < 0 ? 0 : draft_find(a->draft);
    if (old != 0)
        gm_shard_take_out(a->draft->shard, old, GEOMEM_CACHE_REPLACED, &a->leaving);
}

/* The shard's lock is held; there are two places in `leaving` at least when it begins. */
static enum step admission_step(struct admission *a)
{
    struct gm_draft *draft = a->draft;
    if (a->load && gm_load_is_spoilt(a->load)) {
        a->status = draft_stay_out(draft, false, &a->leaving, a->ret_slot);
        return STEP_DONE;
    }
    if (draft->charge > atomic_load_explicit(&draft->cache->capacity_bytes, memory_order_relaxed)) {
        gm_cache_refused(draft->cache, draft->charge);
        admission_refuse(a, GEOMEM_CACHE_TOO_LARGE);
        return STEP_DONE;
    }
    if (draft->charge > draft->shard->quota_bytes && !a->has_borrowed)
        return STEP_BORROW;
    uint32_t old = draft_find(draft);
    bool could = a->is_weighed || gm_shard_could_make_room(draft->shard, draft->charge, old);
    a->is_weighed = true;
    int err = could ? draft_enter(draft, old, &a->leaving, a->ret_slot, &a->maintain) : -EBUSY;
    if (err == -EAGAIN)
        return STEP_AGAIN;
    if (err == -EBUSY && !a->has_borrowed && draft->cache->shard_mask != 0)
        return STEP_BORROW;
    if (err == -EBUSY && a->leaving.count > GM_LEAVING_MOST - 2)
        return STEP_AGAIN;
    if (err == -EBUSY) {
        admission_refuse(a, GEOMEM_CACHE_FULL_PINNED);
        return STEP_DONE;
    }
    a->status = err;
    a->entered = err == 0;
    return STEP_DONE;
}

static enum step admission_try(struct admission *a)
{
    struct gm_shard *shard = a->draft->shard;
    gm_lock_take(&shard->lock);
    enum step step = admission_step(a);
    if (step == STEP_DONE && !a->load)
        gm_loads_spoil(shard, a->draft->hash, a->draft->key, a->draft->key_bytes);
    uint64_t wanted = step == STEP_BORROW ? draft_quota(a->draft) : 0;
    gm_lock_give(&shard->lock);
    gm_leaving_end(&a->leaving);
    /* Not lent: refused in the next step. Lent: others may have borrowed it since. */
    if (step == STEP_BORROW) {
        int err = gm_cache_lend(a->draft->cache, shard, wanted);
        a->has_borrowed = err < 0 || ++a->loans == LOANS_MOST;
        a->is_weighed = false;
    }
    return step;
}

int gm_draft_admit(struct gm_draft *draft, const struct geomem_cache_load *load, const void *site,
    struct gm_cache_slot **ret_slot)
{
    struct geomem_cache *cache = draft->cache;
    uint64_t charge = draft->charge;
    struct admission a; /* not all of `leaving` is to be zeroed for each store */
    a.draft = draft;
    a.load = load;
    a.ret_slot = ret_slot;
    a.status = 0;
    a.maintain = a.entered = a.is_weighed = a.has_borrowed = false;
    a.loans = 0;
    gm_leaving_begin(&a.leaving, cache);
    while (admission_try(&a) != STEP_DONE)
        ;
    if (a.status < 0)
        return a.status;
    if (a.maintain)
        gm_shard_maintain(draft->shard);
    if (a.entered)
        gm_tell_use(
            cache, draft->hash, GEOMEM_CACHE_STORE, draft->key, draft->key_bytes, charge, 0);
    if (ret_slot)
        gm_pin_note(cache, *ret_slot, site);
    gm_tell_state_sometimes(cache);
    gm_caches_balance_sometimes();
    return a.status;
}
