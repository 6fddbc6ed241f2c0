/* trace.h - mark procedures of a client's, and its way of pushing roots: callbacks in the middle of a collection.
 *
 * Both run on a thread that collects, the world stopped, and hand over pointers one at a time (GC_mark_and_push) or by
 * ranges (GC_push_all). Where to stands in a thread-local variable while such a callback is running; outside of
 * one these functions do nothing.
 */
#ifndef GM_BDWGC_TRACE_H
#define GM_BDWGC_TRACE_H

#include "libgeomem/bdwgc/bdwgc.h"

/* A layout whose blocks are looked at by the mark procedure; NULL: no memory, or no procedure. Kept for ever. */
const struct geomem_layout *gm_bdwgc_trace_layout(GC_mark_proc proc, GC_word environment);

#endif
