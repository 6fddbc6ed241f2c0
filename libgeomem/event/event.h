/* event.h - from "the program allocated" to records in a ring.
 *
 *   hook -> capture the stack -> name it by prefix hash -> [MODULE] [STACK ...] ALLOC | REALLOC -> ring
 *
 * A stack's name is the rolling hash of its frames from the root (gm_stack_hash). A thread remembers the
 * names it has sent; a new one sends one STACK record per new frame, parents first. A forgotten name only
 * costs sending it again.
 *
 * All functions preserve errno and are async-signal-safe, except where the chosen way of unwinding is not.
 */
#ifndef GM_EVENT_EVENT_H
#define GM_EVENT_EVENT_H

#include <stdint.h>

#include "libgeomem/event/thread.h"
#include "libgeomem/unwind/unwind.h"

/* A block came out of the allocator. `packed`: gm_size_pack. Call before the block is given to the program. */
void gm_event_alloc(const struct gm_context *context, const void *block, uint64_t packed);

/* A block is about to go back. Call before the allocator gets it. */
void gm_event_free(const void *block);

/* A reallocation spans the allocator's call: begin before, end after. `block` is what realloc returned.
 * No other event of this scope may come between. */
struct gm_event_realloc {
    struct gm_scope scope;
    bool open;
    uint64_t stamp;
    uint64_t position; /* of the old block's record in the nursery */
};
void gm_event_realloc_begin(struct gm_event_realloc *r, uint64_t old_address);
void gm_event_realloc_end(struct gm_event_realloc *r, const struct gm_context *context,
    uint64_t old_address, const void *block, uint64_t packed);

/* The same in a sampled recording, for blocks that gm_sample_passes does not let pass; `flags`: enum gm_sample_flag.
 * A reallocation comes here where the old block was in the set, and has been removed from it; one that fails
 * puts it back. */
void gm_event_alloc_sampled(
    const struct gm_context *context, const void *block, uint64_t packed, uint32_t flags);
void gm_event_realloc_end_sampled(struct gm_event_realloc *r, const struct gm_context *context,
    const void *old, const void *block, uint64_t packed);

/* A record of `count` words, of which the first is made here, with a stamp of now; for records that allocate and free
 * nothing. gm_event_words_put: within a scope that is busy and has room. */
void gm_event_words(enum gm_event_kind kind, const uint64_t *words, uint32_t count);
void gm_event_words_put(
    struct gm_scope *scope, enum gm_event_kind kind, const uint64_t *words, uint32_t count);

/* An object has been unloaded, and none can have been loaded since. */
void gm_event_unload(void);

/* A named moment. Text longer than 1,000 bytes is cut. Returns 0, or -ENOTCONN when nothing is recorded. */
int gm_event_mark(const char *text);

#endif
