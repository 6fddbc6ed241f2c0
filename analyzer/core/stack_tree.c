/* stack_tree.c - see stack_tree.h. */
#include "analyzer/core/stack_tree.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/core/names.h"
#include "analyzer/core/query.h"
#include "analyzer/core/stack_runs.h"
#include "analyzer/core/stacks.h"
#include "schemas/wire.h"

uint32_t gm_stack_tree_find(const struct gm_stack_tree *tree, uint32_t stack_id)
{
    if (stack_id && stack_id <= tree->n && tree->v[stack_id - 1].stack_id == stack_id)
        return stack_id - 1; /* the rule: ids without gaps */
    uint32_t low = 0, high = tree->n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (tree->v[middle].stack_id < stack_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < tree->n && tree->v[low].stack_id == stack_id ? low : GM_NODE_NONE;
}

static bool tree_grow(struct gm_stack_tree *tree, size_t *room)
{
    size_t grown_room = *room ? *room * 2 : 1024;
    struct gm_stack_node *grown =
        grown_room < GM_NODE_NONE ? realloc(tree->v, grown_room * sizeof *grown) : NULL;
    if (!grown)
        return false;
    tree->v = grown;
    *room = grown_room;
    return true;
}

/* Ids that do not rise are left out. False without memory. */
static bool tree_add_run(struct gm_stack_tree *tree, size_t *room, const struct gm_stack_runs *runs)
{
    for (size_t i = 0; i < runs->n; i++) {
        uint32_t id = gm_stack_runs_id(runs, i), parent_id = gm_stack_runs_parent(runs, i);
        if (id == 0 || (tree->n && id <= tree->v[tree->n - 1].stack_id))
            continue;
        if (tree->n == *room && !tree_grow(tree, room))
            return false;
        bool last = tree->n && tree->v[tree->n - 1].stack_id == parent_id;
        uint32_t parent = last        ? (uint32_t)tree->n - 1
                          : parent_id ? gm_stack_tree_find(tree, parent_id)
                                      : GM_NODE_NONE;
        tree->v[tree->n++] = (struct gm_stack_node){id, parent, runs->frames[i]};
    }
    return true;
}

int gm_stack_tree_load(struct gm_recording *recording, struct gm_stack_tree *ret_tree)
{
    struct gm_stack_tree tree = {0};
    struct gm_stack_runs runs;
    size_t room = 0;
    gm_stack_runs_open(recording, &runs);
    while (gm_stack_runs_next(&runs))
        if (!tree_add_run(&tree, &room, &runs)) {
            runs.query.error = gm_recording_fail(recording, SQLITE_NOMEM);
            break;
        }
    int r = gm_stack_runs_close(&runs);
    if (r < 0)
        gm_stack_tree_done(&tree);
    else
        *ret_tree = tree;
    return r;
}

void gm_stack_tree_done(struct gm_stack_tree *tree)
{
    free(tree->v);
    *tree = (struct gm_stack_tree){0};
}

bool gm_stack_filter_is_empty(const struct gm_stack_filter *filter)
{
    return !filter->module && !filter->function && !filter->file;
}

enum { MATCH_MODULE = 1, MATCH_FUNCTION = 2, MATCH_FILE = 4, MATCH_ALL = 7 };

static uint8_t frame_match(const struct gm_stack_filter *filter, const struct gm_frame *v, size_t n)
{
    uint8_t match = (filter->module ? 0 : MATCH_MODULE) | (filter->function ? 0 : MATCH_FUNCTION) |
                    (filter->file ? 0 : MATCH_FILE);
    for (size_t i = 0; i < n; i++) {
        if (filter->module &&
            (gm_name_match(filter->module, v[i].module) ||
                (v[i].module && gm_name_match(filter->module, gm_name_base(v[i].module)))))
            match |= MATCH_MODULE;
        if (filter->function && v[i].named && gm_name_match(filter->function, v[i].function))
            match |= MATCH_FUNCTION;
        if (filter->file &&
            (gm_name_match(filter->file, v[i].file) ||
                (v[i].file && gm_name_match(filter->file, gm_name_base(v[i].file)))))
            match |= MATCH_FILE;
    }
    return match;
}

/* The frames' own matches, by frame id, so that each is computed once; 0: not yet. */
struct match_memo {
    uint8_t *v;
    size_t n;
};

static int node_match(struct gm_recording *rec, const struct gm_stack_filter *filter,
    uint32_t frame_id, struct match_memo *memo, uint8_t *ret_match)
{
    const struct gm_frame *v = NULL;
    size_t n = 0;
    if (frame_id < memo->n && memo->v[frame_id]) {
        *ret_match = memo->v[frame_id] & MATCH_ALL;
        return 0;
    }
    int r = gm_frame_load(rec, frame_id, &v, &n);
    if (r < 0)
        return r;
    *ret_match = frame_match(filter, v, n);
    if (frame_id < memo->n)
        memo->v[frame_id] = *ret_match | 0x80;
    return 0;
}

int gm_stack_tree_match(struct gm_recording *recording, const struct gm_stack_tree *tree,
    const struct gm_stack_filter *filter, bool **ret_matches)
{
    struct match_memo memo = {.n = (size_t)tree->n * 2 + 1};
    uint8_t *found = malloc((size_t)tree->n + 1);
    int r = 0;
    memo.v = calloc(memo.n, 1);
    if (!found || !memo.v)
        r = gm_recording_fail(recording, SQLITE_NOMEM);
    for (uint32_t i = 0; r == 0 && i < tree->n; i++) {
        const struct gm_stack_node *node = &tree->v[i];
        r = node_match(recording, filter, node->frame_id, &memo, &found[i]);
        if (r == 0 && node->parent != GM_NODE_NONE)
            found[i] |= found[node->parent];
    }
    bool *matches = r == 0 ? calloc((size_t)tree->n + 1, sizeof *matches) : NULL;
    if (r == 0 && !matches)
        r = gm_recording_fail(recording, SQLITE_NOMEM);
    for (uint32_t i = 0; r == 0 && i < tree->n; i++)
        matches[i] = found[i] == MATCH_ALL;
    free(found);
    free(memo.v);
    if (r == 0)
        *ret_matches = matches;
    return r;
}

uint64_t *gm_stack_tree_hashes(const struct gm_stack_tree *tree)
{
    uint64_t *hashes = malloc(((size_t)tree->n + 1) * sizeof *hashes);
    for (uint32_t i = 0; hashes && i < tree->n; i++) {
        const struct gm_stack_node *node = &tree->v[i];
        uint64_t parent = node->parent == GM_NODE_NONE ? GM_STACK_ROOT : hashes[node->parent];
        hashes[i] = gm_stack_hash(parent, node->frame_id);
    }
    return hashes;
}
