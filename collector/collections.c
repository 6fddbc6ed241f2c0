/* collections.c - see collections.h. */
#include "collector/collections.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CLAMP_EVERY 64u
#define CLAMP_AGE 128u
#define PENDING_FIRST 4096u /* rows before those of one site are put together; arbitrary */
/* Order of promotion among the blocks that one full collection may find dead: 0 for all before the premature ones. */
#define PLACE_LAST (GM_GC_SINCE_MAX + 1u)

void gm_collections_done(struct gm_collections *collections)
{
    for (size_t i = 0; i < collections->heaps.n; i++)
        free(collections->heaps.v[i].pending.v);
    free(collections->heaps.v);
    memset(collections, 0, sizeof *collections);
}

static struct gm_gc_heap *heap_find(const struct gm_collections *collections, uint64_t number)
{
    size_t n = collections->heaps.n;
    for (size_t i = 0; i < n; i++)
        if (collections->heaps.v[i].number == number)
            return &collections->heaps.v[i];
    return n == GM_GC_HEAPS_MAX ? &collections->heaps.v[n - 1] : NULL;
}

static uint64_t gc_age(uint16_t gc, uint64_t fulls)
{
    return (fulls - (gc >> 8)) & 255;
}

static unsigned gc_since(uint16_t gc)
{
    return gc >> 2 & GM_GC_SINCE_MAX;
}

static void block_clamp(void *arg, struct gm_live_block *block)
{
    uint64_t fulls = *(const uint64_t *)arg;
    if (GM_GC_STATE(block->gc) == GM_GC_PROMOTED && gc_age(block->gc, fulls) > CLAMP_AGE)
        block->gc = (block->gc & 0xff) | ((fulls - CLAMP_AGE) & 255) << 8;
}

static bool kind_is_full(unsigned kind)
{
    return kind != GM_GC_young;
}

int gm_collections_begin(struct gm_collections *collections, uint64_t number, unsigned kind,
    const struct gm_live_set *live)
{
    struct gm_gc_heap *heap = heap_find(collections, number);
    if (!heap) {
        heap = gm_rows_add(&collections->heaps);
        if (!heap)
            return -ENOMEM;
        heap->number = number;
    }
    if (!kind_is_full(kind)) {
        heap->since += heap->since < GM_GC_SINCE_MAX;
        return 0;
    }
    heap->before = heap->last;
    heap->last = ++collections->fulls;
    heap->since = 0;
    heap->oldest = PLACE_LAST + 1;
    heap->pending.n = 0;
    if (collections->fulls % CLAMP_EVERY == 0)
        gm_live_set_each(live, block_clamp, &collections->fulls);
    return 0;
}

uint16_t gm_collections_promote(const struct gm_collections *collections, uint64_t number)
{
    const struct gm_gc_heap *heap = heap_find(collections, number);
    unsigned since = heap ? heap->since : 0;
    return (uint16_t)(GM_GC_PROMOTED | since << 2 | (collections->fulls & 255) << 8);
}

static bool block_is_premature(
    const struct gm_collections *collections, const struct gm_gc_heap *heap, uint16_t gc)
{
    return heap && heap->last > 0 && GM_GC_STATE(gc) == GM_GC_PROMOTED &&
           gc_age(gc, collections->fulls) <= collections->fulls - heap->before;
}

static int pending_compare(const void *a, const void *b)
{
    const struct gm_gc_pending *x = a, *y = b;
    return (x->site > y->site) - (x->site < y->site);
}

/* Makes one row of those of a site. */
static void pending_merge(struct gm_gc_heap *heap)
{
    struct gm_gc_pending *v = heap->pending.v;
    size_t kept = 0;
    qsort(v, heap->pending.n, sizeof *v, pending_compare);
    for (size_t i = 1; i < heap->pending.n; i++) {
        if (v[i].site != v[kept].site) {
            v[++kept] = v[i];
            continue;
        }
        v[kept].sum.blocks += v[i].sum.blocks;
        v[kept].sum.bytes += v[i].sum.bytes;
    }
    heap->pending.n = kept + 1;
    heap->merge_at = 2 * (kept + 1) > PENDING_FIRST ? 2 * (kept + 1) : PENDING_FIRST;
}

/* Deaths often come site by site. Without memory the bound is a little low. */
static void pending_add(struct gm_gc_heap *heap, uint32_t site, const struct gm_gc_sum *block)
{
    if (heap->pending.n >= PENDING_FIRST && heap->pending.n >= heap->merge_at)
        pending_merge(heap);
    struct gm_gc_pending *last = heap->pending.n ? &heap->pending.v[heap->pending.n - 1] : NULL;
    if (!last || last->site != site)
        last = gm_rows_add(&heap->pending);
    if (!last)
        return;
    last->site = site;
    last->sum.blocks += block->blocks;
    last->sum.bytes += block->bytes;
}

static void pending_tell(struct gm_gc_heap *heap, gm_gc_nepotism *tell, void *arg)
{
    for (size_t i = 0; i < heap->pending.n; i++)
        tell(arg, heap->pending.v[i].site, &heap->pending.v[i].sum);
    heap->pending.n = 0;
}

bool gm_collections_old_died(struct gm_collections *collections, uint64_t number, uint16_t gc,
    uint32_t site, const struct gm_gc_sum *block, gm_gc_nepotism *tell, void *arg)
{
    struct gm_gc_heap *heap = heap_find(collections, number);
    bool premature = block_is_premature(collections, heap, gc);
    if (!heap)
        return false;
    unsigned place = premature ? 1 + gc_since(gc) : 0;
    if (place < heap->oldest) {
        pending_tell(heap, tell, arg);
        heap->oldest = place;
    }
    /* At the last place there is no order among them. */
    if (premature && place == heap->oldest && place < PLACE_LAST)
        pending_add(heap, site, block);
    else if (premature)
        tell(arg, site, block);
    return premature;
}
