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
    free(collections->pending.v);
    memset(collections, 0, sizeof *collections);
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

void gm_collections_begin(struct gm_collections *c, unsigned kind, const struct gm_live_set *live)
{
    if (kind == GM_GC_young) {
        c->since += c->since < GM_GC_SINCE_MAX;
        return;
    }
    c->fulls++;
    c->since = 0;
    c->oldest = PLACE_LAST + 1;
    c->pending.n = 0;
    if (c->fulls % CLAMP_EVERY == 0)
        gm_live_set_each(live, block_clamp, &c->fulls);
}

uint16_t gm_collections_promote(const struct gm_collections *c)
{
    return (uint16_t)(GM_GC_PROMOTED | c->since << 2 | (c->fulls & 255) << 8);
}

/* Found dead now, by the last full collection. */
static bool block_is_premature(const struct gm_collections *c, uint16_t gc)
{
    return GM_GC_STATE(gc) == GM_GC_PROMOTED && gc_age(gc, c->fulls) <= 1;
}

static int pending_compare(const void *a, const void *b)
{
    const struct gm_gc_pending *x = a, *y = b;
    return (x->site > y->site) - (x->site < y->site);
}

/* Makes one row of those of a site. */
static void pending_merge(struct gm_collections *c)
{
    struct gm_gc_pending *v = c->pending.v;
    size_t kept = 0;
    qsort(v, c->pending.n, sizeof *v, pending_compare);
    for (size_t i = 1; i < c->pending.n; i++) {
        if (v[i].site != v[kept].site) {
            v[++kept] = v[i];
            continue;
        }
        v[kept].sum.blocks += v[i].sum.blocks;
        v[kept].sum.bytes += v[i].sum.bytes;
    }
    c->pending.n = kept + 1;
    c->merge_at = 2 * (kept + 1) > PENDING_FIRST ? 2 * (kept + 1) : PENDING_FIRST;
}

/* Deaths often come site by site. Without memory the bound is a little low. */
static void pending_add(struct gm_collections *c, uint32_t site, const struct gm_gc_sum *block)
{
    if (c->pending.n >= PENDING_FIRST && c->pending.n >= c->merge_at)
        pending_merge(c);
    struct gm_gc_pending *last = c->pending.n ? &c->pending.v[c->pending.n - 1] : NULL;
    if (!last || last->site != site)
        last = gm_rows_add(&c->pending);
    if (!last)
        return;
    last->site = site;
    last->sum.blocks += block->blocks;
    last->sum.bytes += block->bytes;
}

static void pending_tell(struct gm_collections *c, gm_gc_nepotism *tell, void *arg)
{
    for (size_t i = 0; i < c->pending.n; i++)
        tell(arg, c->pending.v[i].site, &c->pending.v[i].sum);
    c->pending.n = 0;
}

bool gm_collections_old_died(struct gm_collections *c, uint16_t gc, uint32_t site,
    const struct gm_gc_sum *block, gm_gc_nepotism *tell, void *arg)
{
    if (c->fulls == 0)
        return false; /* a lie, or it began before the recording */
    bool premature = block_is_premature(c, gc);
    unsigned place = premature ? 1 + gc_since(gc) : 0;
    if (place < c->oldest) {
        pending_tell(c, tell, arg);
        c->oldest = place;
    }
    /* At the last place there is no order among them. */
    if (premature && place == c->oldest && place < PLACE_LAST)
        pending_add(c, site, block);
    else if (premature)
        tell(arg, site, block);
    return premature;
}
