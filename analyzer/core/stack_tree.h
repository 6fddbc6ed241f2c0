/* stack_tree.h - all stacks of a recording in memory, as the tree they are.
 *
 * For what needs every stack: filters by frame, merging, call trees, folded stacks. 12 bytes per
 * node. Nodes are in the order of their ids and a node's parent always stands before it, so one
 * pass from the front visits callers first and one from the back callees first. Links that break
 * this rule (a damaged file) are taken as roots.
 */
#ifndef GM_ANALYZER_CORE_STACK_TREE_H
#define GM_ANALYZER_CORE_STACK_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/core/recording.h"

#define GM_NODE_NONE UINT32_MAX

struct gm_stack_node {
    uint32_t stack_id;
    uint32_t parent; /* index, or GM_NODE_NONE */
    uint32_t frame_id;
};

struct gm_stack_tree {
    struct gm_stack_node *v;
    uint32_t n;
};

int gm_stack_tree_load(struct gm_recording *recording, struct gm_stack_tree *ret_tree);
void gm_stack_tree_done(struct gm_stack_tree *tree);

/* Index of a stack's innermost node, or GM_NODE_NONE. */
uint32_t gm_stack_tree_find(const struct gm_stack_tree *tree, uint32_t stack_id);

/* What a stack must hold, each as in gm_name_match; NULL: anything; frames
 * without a name have no function. One frame may fulfil all of it,
 * or different ones. */
struct gm_stack_filter {
    const char *module, *function, *file;
};
bool gm_stack_filter_is_empty(const struct gm_stack_filter *filter);

/* For each node whether the stack that ends in it passes the filter. To be freed by the caller. */
int gm_stack_tree_match(struct gm_recording *recording, const struct gm_stack_tree *tree,
    const struct gm_stack_filter *filter, bool **ret_matches);

/* For each node a hash of its frames: equal for equal stacks, also where they are different nodes.
 * To be freed by the caller; NULL without memory. */
uint64_t *gm_stack_tree_hashes(const struct gm_stack_tree *tree);

#endif
