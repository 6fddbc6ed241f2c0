/* pacer.h - when to collect what.
 *
 * Stands below cycle.h; knows no heap, only figures, so that a test can drive it.
 */
#ifndef GM_GC_PACER_H
#define GM_GC_PACER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "geomem/geomem.h"
#include "geomem/listener.h"

struct gm_pacer {
    _Atomic uint64_t allocated_bytes; /* collected bytes handed out since the last collection */
    _Atomic uint64_t young_bytes;     /* at which the young generation is collected */
    uint64_t old_bytes;               /* believed to be in the old generation */
    uint64_t live_bytes;              /* of it, after its last collection */
    uint64_t old_limit_bytes;         /* at which the old generation is collected */
    _Atomic uint64_t
        step_at_bytes;           /* of allocated_bytes: when the next step of a collection is due */
    uint64_t young_option_bytes; /* the program's wish; 0: none */
};

void gm_pacer_init(struct gm_pacer *pacer, const struct geomem_heap_options *options);
/* True if it may be time for something. */
bool gm_pacer_allocated(struct gm_pacer *pacer, size_t bytes);
bool gm_pacer_is_time(const struct gm_pacer *pacer);    /* for a young collection */
bool gm_pacer_wants_old(const struct gm_pacer *pacer);  /* for one of the old generation */
bool gm_pacer_wants_step(const struct gm_pacer *pacer); /* of the one under way */

void gm_pacer_after_young(struct gm_pacer *pacer, const struct geomem_gc_cycle *cycle);
void gm_pacer_after_step(struct gm_pacer *pacer);
void gm_pacer_after_old(struct gm_pacer *pacer, uint64_t live_bytes);

#endif
