/* leave.c - entries on their way out: told to whoever wants to know, then freed. See cache.h for the order. */
#include "libgeomem/cache/cache.h"
#include "libgeomem/cache/tell.h"
#include "libgeomem/heap/heap.h"

static void row_call(const struct geomem_cache *cache, const struct gm_leaving_row *row)
{
    const struct gm_cache_slot *entry = &row->copy;
    struct geomem_cache_gone gone = {
        .key = gm_entry_key(entry),
        .key_bytes = gm_entry_key_bytes(entry),
        .data = gm_entry_data(entry),
        .data_bytes = entry->value_bytes,
        .charged_bytes = row->charge,
        .cause = row->cause,
    };
    cache->evicted(&gone, cache->arg);
}

void gm_leaving_end(struct gm_leaving *leaving)
{
    const struct geomem_cache *cache = leaving->cache;
    for (uint32_t i = 0; i < leaving->count; i++) {
        struct gm_leaving_row *row = &leaving->row[i];
        gm_tell_eviction(cache, row);
        if (cache->evicted)
            row_call(cache, row);
        if (row->slot)
            gm_slot_release(row->slot);
        else
            geomem_free(gm_entry_block(&row->copy));
    }
    leaving->count = 0;
}
