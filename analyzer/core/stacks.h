/* stacks.h - the call stack of a site, with names.
 *
 * Stacks are a parent-linked tree in the file (table stack); only those that are shown get loaded.
 * A node's parent always has the smaller id, which is checked, so a damaged file cannot make a walk
 * go in circles.
 */
#ifndef GM_ANALYZER_CORE_STACKS_H
#define GM_ANALYZER_CORE_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/core/recording.h"

#define GM_STACK_MAX_NODES 8192 /* arbitrary; far above the depth the recorder keeps */

/* One function of a stack. Strings belong to the recording and live until it is closed. */
struct gm_frame {
    const char *function; /* never NULL: "libfoo.so+0x1234" where no name is known */
    const char *file;     /* NULL: not known */
    const char *module;   /* path; NULL: code that belongs to no file */
    uint32_t line;        /* 0: not known */
    bool inlined;         /* has no code of its own: lives in the next frame that is not inlined */
    bool named;           /* false: function is a stand-in */
    bool wrapper;         /* has no name, but is called like an allocation wrapper (wrappers.h) */
    uint64_t address;     /* in the module's file */
    uint32_t frame_id;
};

struct gm_stack {
    struct gm_frame *v; /* innermost first */
    size_t n;
    bool damaged; /* the file's links end in the wrong place */
};

/* Loads a stack; stack_id 0 gives an empty one. Release with gm_stack_done. */
int gm_stack_load(struct gm_recording *recording, uint32_t stack_id, struct gm_stack *ret_stack);
void gm_stack_done(struct gm_stack *stack);

/* The functions of one code address, innermost first, at least one. The array belongs to the
 * recording and lives until the next call for the same frame after a gm_recording_begin. */
int gm_frame_load(struct gm_recording *recording, uint32_t frame_id, const struct gm_frame **ret_v,
    size_t *ret_n);

#endif
