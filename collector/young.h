/* young.h - blocks whose death is known before its time: they died in the nursery of their thread.
 *
 * An ALLOC record tells both ends of such a block's life (schemas/wire.h). It is born when the record's turn comes
 * and waits here, out of the live set, until the reader of that ring has got as far as the ring had grown
 * when it was freed. A binary heap, the next death first; no deeper than a ring has records.
 *
 * Stands within the roll-up; one for each ring.
 */
#ifndef GM_COLLECTOR_YOUNG_H
#define GM_COLLECTOR_YOUNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/live_set.h"

struct gm_young_block {
    uint64_t death_position;
    uint64_t life_ns;
    struct gm_block block; /* its address is 0 */
};

struct gm_young {
    struct gm_young_block *heap;
    size_t n, room;
};

void gm_young_done(struct gm_young *young);

/* Takes a copy. -ENOMEM. */
int gm_young_put(struct gm_young *young, const struct gm_young_block *block);

/* A block is due that died no later than `position`. */
static inline bool gm_young_due(const struct gm_young *young, uint64_t position)
{
    return young->n > 0 && young->heap[0].death_position <= position;
}
/* Takes the next one off. Only after gm_young_due. */
struct gm_young_block gm_young_take(struct gm_young *young);

#endif
