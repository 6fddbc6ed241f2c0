/* load.c - of all threads that miss a key at the same time, one makes its value.
 *
 * A load is in its shard's list from the first miss until its value is in the cache, or has failed. It is counted by who looks
 * at it: the thread that runs it and those that wait; the last one frees it, and gives back the pin that held the value
 * for them.
 */
#include <errno.h>
#include <linux/futex.h>
#include <string.h>

#include "libgeomem/base/sys.h"
#include "libgeomem/cache/draft.h"
#include "libgeomem/cache/tell.h"
#include "libgeomem/cache/thread.h"
#include "libgeomem/heap/heap.h"

struct geomem_cache_load {
    struct gm_draft draft;
    struct geomem_cache_load *next; /* of the shard; its lock */
    struct gm_thread *owner;
    _Atomic uint32_t ended; /* futex */
    _Atomic bool spoilt;
    _Atomic uint32_t looking;   /* rises with the shard's lock held */
    int status;                 /* once ended: of get_or_load */
    struct gm_cache_slot *slot; /* once ended, status >= 0: with a pin of the load's own */
    unsigned char key[];
};

/* ---- the list of a shard; its lock held ---- */

static struct geomem_cache_load *load_find(
    const struct gm_shard *shard, uint64_t hash, const void *key, size_t key_bytes)
{
    for (struct geomem_cache_load *load = shard->loads; load; load = load->next)
        if (load->draft.hash == hash && load->draft.key_bytes == key_bytes &&
            memcmp(load->key, key, key_bytes) == 0)
            return load;
    return NULL;
}

void gm_loads_spoil(struct gm_shard *shard, uint64_t hash, const void *key, size_t key_bytes)
{
    struct geomem_cache_load *load = load_find(shard, hash, key, key_bytes);
    if (load)
        atomic_store_explicit(&load->spoilt, true, memory_order_relaxed);
}

bool gm_load_is_spoilt(const struct geomem_cache_load *load)
{
    return atomic_load_explicit(&load->spoilt, memory_order_relaxed);
}

static void load_unlink(struct gm_shard *shard, const struct geomem_cache_load *load)
{
    struct geomem_cache_load **at = &shard->loads;
    while (*at && *at != load)
        at = &(*at)->next;
    if (*at)
        *at = load->next;
}

/* Threads that ran them are no more, nor are those that waited. */
void gm_loads_forget_others(struct gm_shard *shard)
{
    struct geomem_cache_load **at = &shard->loads;
    while (*at)
        if ((*at)->owner == gm_thread_self && gm_thread_self)
            at = &(*at)->next;
        else
            *at = (*at)->next;
}

/* ---- ends ---- */

static void load_leave(struct geomem_cache_load *load)
{
    /* acq_rel: all others are done with it */
    if (atomic_fetch_sub_explicit(&load->looking, 1, memory_order_acq_rel) != 1)
        return;
    if (load->slot)
        gm_slot_release(load->slot);
    gm_draft_free(&load->draft);
    geomem_free(load);
}

static void load_end(
    struct geomem_cache_load *load, int status, struct gm_cache_slot *slot, uint64_t ns)
{
    struct gm_shard *shard = load->draft.shard;
    load->status = status;
    if (slot) {
        gm_slot_repin(slot);
        load->slot = slot;
    }
    gm_lock_take(&shard->lock);
    load_unlink(shard, load);
    shard->loads_ended++;
    shard->load_ns += ns;
    if (status < 0)
        shard->load_failures++;
    gm_lock_give(&shard->lock);
    /* release: pairs with the acquire in load_wait */
    atomic_store_explicit(&load->ended, 1, memory_order_release);
    gm_sys3(SYS_futex, &load->ended, FUTEX_WAKE_PRIVATE, INT32_MAX);
    load_leave(load);
}

/* ---- the thread that waits ---- */

static int load_wait(
    struct geomem_cache_load *load, const void *site, struct geomem_cache_entry **ret_entry)
{
    struct geomem_cache *cache = load->draft.cache;
    gm_count(&gm_cache_thread(cache)->load_waits, 1);
    /* acquire: pairs with the release in load_end */
    while (atomic_load_explicit(&load->ended, memory_order_acquire) == 0)
        gm_sys4(SYS_futex, &load->ended, FUTEX_WAIT_PRIVATE, 0, NULL);
    int status = load->status;
    if (status >= 0) {
        gm_slot_repin(load->slot);
        gm_pin_note(cache, load->slot, site);
        *ret_entry = gm_cache_entry_of(load->slot);
    }
    load_leave(load);
    return status;
}

/* ---- the thread that loads ---- */

struct running {
    struct geomem_cache_load *load;
    uint64_t start_ns;
};

/* The loader was left by an exception, or its thread ends. */
static void running_cancel(struct running *running)
{
    if (!running->load)
        return;
    uint64_t ns = gm_cache_time_ns(running->load->draft.cache) - running->start_ns;
    load_end(running->load, -ECANCELED, NULL, ns);
}

/* Not inlined: reports tell by it that what allocates inside is the program's. */
__attribute__((noinline)) static int load_run(struct geomem_cache_load *load,
    geomem_cache_loader *loader, void *arg, const void *site, struct geomem_cache_entry **ret_entry)
{
    struct gm_draft *draft = &load->draft;
    struct geomem_cache *cache = draft->cache;
    struct running running
        __attribute__((cleanup(running_cancel))) = {load, gm_cache_time_ns(cache)};
    int status = loader(load, load->key, draft->key_bytes, arg);
    uint64_t ns = gm_cache_time_ns(cache) - running.start_ns;
    running.load = NULL;
    struct gm_cache_slot *slot = NULL;
    if (status == 0 && !draft->block)
        status = -ENODATA;
    if (status > 0)
        status = -EINVAL;
    if (status == 0) {
        if (draft->cost_ns == 0)
            draft->cost_ns = ns;
        gm_tell_use(cache, draft->hash, GEOMEM_CACHE_LOAD, load->key, draft->key_bytes,
            draft->value_bytes, ns);
        status = gm_draft_admit(draft, load, site, &slot);
    }
    load_end(load, status, slot, ns);
    if (status >= 0)
        *ret_entry = gm_cache_entry_of(slot);
    return status;
}

static struct geomem_cache_load *load_create(
    struct geomem_cache *cache, const void *key, size_t key_bytes)
{
    struct geomem_cache_load *load = geomem_alloc(sizeof *load + key_bytes);
    if (!load)
        return NULL;
    memset(load, 0, sizeof *load);
    memcpy(load->key, key, key_bytes);
    gm_draft_init(&load->draft, cache, load->key, key_bytes, NULL);
    load->owner = gm_thread_get();
    load->looking = 1;
    return load;
}

/* What is there for the key under the shard's lock: an entry (pinned), a load that others run (looked at), or `own`, which
 * is in the list from now on. */
static struct geomem_cache_load *load_join(
    struct geomem_cache_load *own, struct gm_cache_slot **ret_slot)
{
    const struct gm_draft *draft = &own->draft;
    struct gm_shard *shard = draft->shard;
    struct geomem_cache_load *load = NULL;
    *ret_slot = NULL;
    gm_lock_take(&shard->lock);
    uint32_t number = gm_shard_find_locked(shard, draft->hash, own->key, draft->key_bytes);
    struct gm_cache_slot *slot = number != 0 ? gm_slot_at(shard->chunks, number) : NULL;
    if (slot && !gm_entry_is_over(draft->cache, slot) && gm_slot_pin(slot)) {
        *ret_slot = slot;
    } else {
        load = load_find(shard, draft->hash, own->key, draft->key_bytes);
        if (load) {
            atomic_fetch_add_explicit(&load->looking, 1, memory_order_relaxed);
        } else {
            own->next = shard->loads;
            shard->loads = load = own;
        }
    }
    gm_lock_give(&shard->lock);
    return load;
}

static int key_load(struct geomem_cache *cache, const void *key, size_t key_bytes,
    geomem_cache_loader *loader, void *arg, const void *site, struct geomem_cache_entry **ret_entry)
{
    struct geomem_cache_load *own = load_create(cache, key, key_bytes);
    if (!own)
        return -ENOMEM;
    struct gm_cache_slot *slot;
    struct geomem_cache_load *load = load_join(own, &slot);
    if (load == own)
        return load_run(own, loader, arg, site, ret_entry);
    load_leave(own);
    if (slot) {
        gm_pin_note(cache, slot, site);
        *ret_entry = gm_cache_entry_of(slot);
        return 0;
    }
    if (load->owner && load->owner == gm_thread_self) {
        load_leave(load);
        return -EDEADLK;
    }
    return load_wait(load, site, ret_entry);
}

int geomem_cache_get_or_load(struct geomem_cache *cache, const void *key, size_t key_bytes,
    geomem_cache_loader *loader, void *arg, struct geomem_cache_entry **ret_entry)
{
    if (key_bytes == 0 || key_bytes > GM_KEY_BYTES_MAX)
        return -EINVAL;
    const void *site = __builtin_return_address(0);
    uint64_t hash = gm_hash(cache->seed, key, key_bytes);
    struct gm_cache_slot *slot = gm_cache_lookup(cache, hash, key, key_bytes, site);
    if (slot) {
        *ret_entry = gm_cache_entry_of(slot);
        return 0;
    }
    gm_cache_miss(cache, hash, key, key_bytes);
    return key_load(cache, key, key_bytes, loader, arg, site, ret_entry);
}

/* ---- what a loader says ---- */

void *geomem_cache_load_room(struct geomem_cache_load *load, size_t bytes)
{
    void *value;
    return gm_draft_room(&load->draft, bytes, &value) == 0 ? value : NULL;
}

int geomem_cache_load_copy(struct geomem_cache_load *load, const void *data, size_t bytes)
{
    void *value;
    int err = gm_draft_room(&load->draft, bytes, &value);
    if (err == 0 && bytes != 0)
        memcpy(value, data, bytes);
    return err;
}

int geomem_cache_load_collected(struct geomem_cache_load *load, void *block, uint64_t bytes)
{
    return gm_draft_collected(&load->draft, block, bytes);
}

int geomem_cache_load_options(
    struct geomem_cache_load *load, const struct geomem_cache_store_options *options)
{
    return gm_draft_options(&load->draft, options);
}
