/* young.h - blocks whose death is known before its time: they died in the nursery of their thread.
 *
 * An ALLOC record tells both ends of such a block's life (schemas/wire.h). It is born when the record's turn comes
 * and waits here, out of the live set, until the reader of that ring has got as far as the ring had grown
 * when it was freed.
 *
 *   near: a circle with a place for each of the next GM_YOUNG_NEAR positions. Most deaths are there: four of five
 *   [ | |x| | |x|..]  lie within 64 words. Each place has a chain of blocks; a bitmap says which have one.
 *   far: a binary heap, the next death first; no deeper than a ring has records
 *
 * Stands within the roll-up; one for each ring.
 */
#ifndef GM_COLLECTOR_YOUNG_H
#define GM_COLLECTOR_YOUNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/live_set.h"

#define GM_YOUNG_NEAR 1024u /* a power of two */

struct gm_young_block {
    uint64_t death_position;
    uint64_t life_ns;
    uint64_t size_bytes, birth_granule, birth_ns;
    uint32_t site;
    uint16_t gc;
    uint8_t sample_log2;
    bool collected; /* a collector found it dead */
};

struct gm_young_cell {
    struct gm_young_block dies;
    uint32_t next; /* in its chain, or of the free ones; index + 1 */
};
/* Zeroed memory is one in which nobody waits. */

struct gm_young {
    uint64_t due;      /* nothing is due before here; UINT64_MAX: nothing waits */
    uint64_t position; /* nothing that is near is due up to here */
    size_t near;       /* blocks in the circle */
    uint64_t taken[GM_YOUNG_NEAR / 64];
    uint32_t *chains; /* by position; index + 1 into cells; NULL before the first block */
    struct gm_young_cell *cells;
    size_t cell_room, cells_used;
    uint32_t free_cell; /* index + 1 */
    struct gm_young_block *heap;
    size_t n, room;
};

void gm_young_done(struct gm_young *young);

/* Takes a copy. The reader is at `position`, before the death. -ENOMEM. */
int gm_young_put(struct gm_young *young, uint64_t position, const struct gm_young_block *block);

/* A block may be due that died no later than `position`. */
static inline bool gm_young_due(const struct gm_young *young, uint64_t position)
{
    return position >= young->due;
}
/* Takes one off; `position` never goes back. False: none is left. Only after gm_young_due. */
bool gm_young_take(struct gm_young *young, uint64_t position, struct gm_young_block *ret_block);

#endif
