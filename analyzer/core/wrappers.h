/* wrappers.h - allocation wrappers without a name, found by how they are called; for the core's own files.
 *
 * In a stripped program most stacks begin with the same nameless address: its xmalloc. where.h knows wrappers
 * by their names; here an address that calls the allocator counts as one if it is called from many places, or
 * only by functions named like wrappers (sqlite3Malloc calls a nameless one); and so does an address with many
 * callers that calls one of these.
 */
#ifndef GM_ANALYZER_CORE_WRAPPERS_H
#define GM_ANALYZER_CORE_WRAPPERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/core/recording.h"

#define GM_WRAPPER_CALLERS \
    12 /* arbitrary: fewer places than call git's, bash's or sqlite3's wrappers */

struct gm_wrappers {
    uint32_t *ids; /* frames, ascending */
    size_t n;
};

int gm_wrappers_load(struct gm_recording *recording, struct gm_wrappers *ret_wrappers);
void gm_wrappers_done(struct gm_wrappers *wrappers);
bool gm_wrappers_has(const struct gm_wrappers *wrappers, uint32_t frame_id);

#endif
