/* draft.h - an entry being made, before it is let into its shard. */
#ifndef GM_CACHE_DRAFT_H
#define GM_CACHE_DRAFT_H

#include "libgeomem/cache/cache.h"

struct gm_draft {
    struct geomem_cache *cache;
    struct gm_shard *shard;
    uint64_t hash;
    const void *key; /* the caller's */
    size_t key_bytes;
    void *block; /* NULL: no value yet */
    uint64_t value_bytes;
    uint64_t charge; /* with a block */
    unsigned flags;  /* enum gm_entry_flag */
    uint64_t ttl_ns, idle_ns, cost_ns;
};

/* 0 or -EINVAL: the key, or the options. */
int gm_draft_init(struct gm_draft *draft, struct geomem_cache *cache, const void *key,
    size_t key_bytes, const struct geomem_cache_store_options *options);
/* Others for those that were; an entry that has a block may get another. 0, -EINVAL, -ENOMEM. */
int gm_draft_options(struct gm_draft *draft, const struct geomem_cache_store_options *options);
/* A value of so many bytes, in place of any there was: where it goes, is written to *ret_value. 0, -EINVAL, -ENOMEM. */
int gm_draft_room(struct gm_draft *draft, uint64_t bytes, void **ret_value);
int gm_draft_collected(struct gm_draft *draft, void *block, uint64_t bytes);
/* NULL as block: nothing happens. */
void gm_draft_free(struct gm_draft *draft);

/* Lets it in, or not; the block is gone from the draft either way, but for a negative errno. `load`: that has made it, or
 * NULL. `site`: for the pin that *ret_slot has; ret_slot NULL: none is wanted. 0, an enum geomem_cache_refusal, -ENOMEM. */
int gm_draft_admit(struct gm_draft *draft, const struct geomem_cache_load *load, const void *site,
    struct gm_cache_slot **ret_slot);

/* ---- load.c: with the shard's lock held ---- */

/* What is being loaded for this key is not to be let in. */
void gm_loads_spoil(struct gm_shard *shard, uint64_t hash, const void *key, size_t key_bytes);
bool gm_load_is_spoilt(const struct geomem_cache_load *load);
/* In a forked child. */
void gm_loads_forget_others(struct gm_shard *shard);

#endif
