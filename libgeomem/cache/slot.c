/* slot.c - see slot.h. */
#include "libgeomem/cache/slot.h"

#include <errno.h>

#include "libgeomem/base/os.h"

static size_t chunks_bytes(const struct gm_slots *slots)
{
    size_t bytes = (size_t)(slots->limit >> GM_CHUNK_SLOTS_LOG2) * sizeof *slots->chunks;
    return (bytes + GM_PAGE_BYTES - 1) & ~(GM_PAGE_BYTES - 1);
}

/* The first chunk is there from the beginning. */
int gm_slots_init(struct gm_slots *slots, struct gm_shard *shard, uint32_t limit)
{
    slots->limit = (limit + GM_CHUNK_SLOTS - 1) & ~(GM_CHUNK_SLOTS - 1);
    slots->chunks = gm_os_map(chunks_bytes(slots));
    if (!slots->chunks)
        return -ENOMEM;
    uint32_t number = gm_slot_take(slots, shard);
    if (number == 0)
        return -ENOMEM;
    gm_slot_give(slots, number);
    return 0;
}

void gm_slots_done(struct gm_slots *slots)
{
    if (!slots->chunks)
        return;
    for (uint32_t i = 0; i < slots->limit >> GM_CHUNK_SLOTS_LOG2; i++)
        if (slots->chunks[i])
            gm_os_unmap(slots->chunks[i], GM_CHUNK_BYTES);
    gm_os_unmap((void *)(uintptr_t)slots->chunks, chunks_bytes(slots)); /* NOLINT */
    slots->chunks = NULL;
}

static bool chunk_make(struct gm_slots *slots, struct gm_shard *shard, uint32_t first)
{
    uintptr_t start = gm_os_reserve(GM_CHUNK_BYTES, GM_CHUNK_BYTES);
    if (start == 0)
        return false;
    struct gm_slot_chunk *chunk = (struct gm_slot_chunk *)start; /* NOLINT */
    if (gm_os_commit(start, GM_CHUNK_BYTES) < 0) {
        gm_os_unmap(chunk, GM_CHUNK_BYTES);
        return false;
    }
    *chunk = (struct gm_slot_chunk){.shard = shard, .first = first};
    /* relaxed: numbers of its slots are published with release */
    atomic_store_explicit(
        &slots->chunks[first >> GM_CHUNK_SLOTS_LOG2], chunk, memory_order_relaxed);
    return true;
}

uint32_t gm_slot_take(struct gm_slots *slots, struct gm_shard *shard)
{
    uint32_t number = slots->free;
    if (number != 0) {
        slots->free = gm_slot_at(slots->chunks, number)->value_bytes;
        return number;
    }
    number = slots->fresh;
    if (number % GM_CHUNK_SLOTS == 0) {
        if (number >= slots->limit || !chunk_make(slots, shard, number))
            return 0;
        number++;
    }
    slots->fresh = number + 1;
    return number;
}

void gm_slot_give(struct gm_slots *slots, uint32_t number)
{
    gm_slot_at(slots->chunks, number)->value_bytes = slots->free;
    slots->free = number;
}
