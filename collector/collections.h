/* collections.h - what is known of a collected block beyond its allocation, and what a death says then.
 *
 *   GC_BEGIN  ... | full e-1 | young | young | young | full e | ...
 *                              k = 1   2       3
 *   promoted at: full collections begun so far (e), collections since the last of them (k)
 *
 * A collection is one of all heaps of the process, whichever asked for it.
 *
 * Premature: promoted after the last full collection but one had begun, and found dead by the last: by the
 * first that could. Such a block was not worth promoting.
 *
 * Nepotism is old garbage that keeps young blocks alive until they are old garbage themselves. Whether a premature
 * block was reachable only from garbage is not known to anybody who did not mark; what promotions and deaths tell is
 * which blocks can have been: those promoted when another block was old already that the same full collection
 * found dead. So the figure is a bound from above: as little or less.
 *
 * What is known of a block fits the 16 bits that its address leaves (struct gm_live_block.gc). e is kept modulo 256; a
 * block's age in full collections stays below that, as each CLAMP_EVERY of them all ages are cut to CLAMP_AGE.
 *
 * Stands within the roll-up; knows sites and blocks as numbers only.
 */
#ifndef GM_COLLECTOR_COLLECTIONS_H
#define GM_COLLECTOR_COLLECTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/batch.h"
#include "collector/live_set.h"

enum gm_gc_state {
    GM_GC_NONE = 0,     /* not a collected block */
    GM_GC_YOUNG = 1,    /* in the young generation */
    GM_GC_BORN_OLD = 2, /* allocated into the old one */
    GM_GC_PROMOTED = 3, /* gone to the old one */
};
#define GM_GC_STATE(gc) ((enum gm_gc_state)((gc)&3u))

/* Premature blocks of a site that no other dead block can have kept, as far as is known yet. */
struct gm_gc_pending {
    uint32_t site;
    struct gm_gc_sum sum;
};

#define GM_GC_SINCE_MAX 63u

/* Zeroed memory is the start. */
struct gm_collections {
    uint64_t fulls; /* full collections begun */
    uint32_t since; /* collections since the last of them, at most GM_GC_SINCE_MAX */
    uint32_t
        oldest; /* place in the order of promotion of the oldest block that the last full one has found dead */
    GM_ROWS(struct gm_gc_pending) pending; /* of that place */
    size_t merge_at;
};

/* Blocks of a site are found to be nepotism that were counted as premature before. */
typedef void gm_gc_nepotism(void *arg, uint32_t site, const struct gm_gc_sum *sum);

void gm_collections_done(struct gm_collections *collections);

/* A collection has begun; `live` are the blocks of the process. */
void gm_collections_begin(
    struct gm_collections *collections, unsigned kind, const struct gm_live_set *live);

/* The gc of a block that is promoted now. */
uint16_t gm_collections_promote(const struct gm_collections *collections);

/* A block of the old generation was found dead. Returns whether prematurely; nepotism is told, now or later. */
bool gm_collections_old_died(struct gm_collections *collections, uint16_t gc, uint32_t site,
    const struct gm_gc_sum *block, gm_gc_nepotism *tell, void *arg);

#endif
