/* naming.h - a stack's name, and what must be sent before a record may use it.
 *
 *   capture -> name by prefix hash -> room for [MODULE] [STACK ...] and the record -> STACK records, then the record
 *
 * Within a scope of thread.h. */
#ifndef GM_EVENT_NAMING_H
#define GM_EVENT_NAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libgeomem/event/thread.h"
#include "libgeomem/unwind/unwind.h"

/* A named stack. From one frame to its caller are `step` words. No frames: all of the name is known to be sent. */
struct gm_naming {
    uint64_t hash;
    uint64_t found; /* what gm_memo_find had for it, for --verify; or 0 */
    const uint64_t *frame_pc, *frame_hash;
    ptrdiff_t step;
    uint32_t count;
    uint32_t fresh; /* frames, counted from the leaf, whose names must be sent */
};

/* Captures, names, and reserves room for the new names and `words` more. False: the event is lost (counted). */
bool gm_naming_capture(struct gm_scope *scope, const struct gm_context *context, uint32_t words,
    struct gm_naming *ret_name);

/* The same for a stack that the memo has just captured, in two steps. */
void gm_naming_from_memo(const struct gm_memo *memo, struct gm_naming *ret_name);
bool gm_naming_prepare(struct gm_scope *scope, uint32_t words, struct gm_naming *name);

/* Writes the new names. A zeroed name has none. */
void gm_naming_put(struct gm_scope *scope, const struct gm_naming *name);

#endif
