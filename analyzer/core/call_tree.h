/* call_tree.h - a weight spread over the call tree, cut off where branches get thin.
 *
 * Top-down the roots are the outermost frames, and a row's weight is all that was allocated below
 * it. Bottom-up the roots are the functions that allocated, and a row's weight is what they
 * allocated when called this way. Rows are functions at a line; inlined functions have rows of
 * their own.
 *
 * Branches are merged first and cut afterwards, level by level, so nothing above the limit is
 * missing, and the memory needed follows what is shown plus one number per stack node.
 */
#ifndef GM_ANALYZER_CORE_CALL_TREE_H
#define GM_ANALYZER_CORE_CALL_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/core/stack_tree.h"
#include "analyzer/core/stacks.h"

#define GM_CALL_MAX_DEPTH \
    1500 /* rows below each other; bounds the recursion, deeper ones are cut off */

struct gm_call_row {
    uint32_t depth; /* 0: root */
    uint64_t weight;
    uint64_t self;          /* part of weight that goes no further; top-down only */
    uint32_t hidden;        /* branches of this row that were cut off, ... */
    uint64_t hidden_weight; /* ... and their weight */
    struct gm_frame frame;
};

struct gm_call_tree {
    struct gm_call_row *v; /* depth first, heaviest branch first */
    size_t n;
    uint64_t total;     /* all weights */
    uint64_t unstacked; /* weight of allocations without a stack, not in the rows */
    uint32_t hidden;    /* roots that were cut off, ... */
    uint64_t hidden_weight;
};

/* A site's weight: stack_id 0 is counted as unstacked. */
struct gm_call_weight {
    uint32_t stack_id;
    uint64_t weight;
};

/* least: rows below this weight are cut off (0: none). */
int gm_call_tree_build(struct gm_recording *recording, const struct gm_stack_tree *stacks,
    const struct gm_call_weight *weights, size_t n, bool bottom_up, uint64_t least,
    struct gm_call_tree *ret_tree);
void gm_call_tree_done(struct gm_call_tree *tree);

#endif
