/* call_tree.c - see call_tree.h.
 *
 * The tree is expanded a group at a time. An item is a place in one stack (a node, and a function
 * among those inlined into it) with the weight that flows through it; items whose functions read
 * the same form a group, which is a row; the items one step further are the row's branches.
 */
#include "analyzer/core/call_tree.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/core/query.h"

struct item {
    uint32_t node;
    uint32_t position; /* index into the node's functions, 0: innermost */
    uint64_t weight;
    const struct gm_frame *frame;
};

struct items {
    struct item *v;
    size_t n, room;
};

struct builder {
    struct gm_recording *recording;
    const struct gm_stack_tree *stacks;
    bool bottom_up;
    uint64_t least;
    uint64_t *own, *below;                /* by node: weight of its own sites; with all below it */
    uint32_t *first_child, *next_sibling; /* by node */
    struct gm_call_tree tree;
    size_t room;
};

static int items_add(
    struct builder *b, struct items *list, uint32_t node, bool innermost, uint64_t weight)
{
    const struct gm_frame *v = NULL;
    size_t n = 0;
    if (weight == 0)
        return 0;
    int r = gm_frame_load(b->recording, b->stacks->v[node].frame_id, &v, &n);
    if (r < 0)
        return r;
    if (list->n == list->room) {
        size_t room = list->room ? list->room * 2 : 16;
        struct item *grown = realloc(list->v, room * sizeof *grown);
        if (!grown)
            return gm_recording_fail(b->recording, SQLITE_NOMEM);
        list->v = grown;
        list->room = room;
    }
    uint32_t position = innermost ? 0 : (uint32_t)n - 1;
    list->v[list->n++] = (struct item){node, position, weight, &v[position]};
    return 0;
}

/* Puts the places one step further than `item` into `list`: towards the callee, or the caller. */
static int item_step(struct builder *b, const struct item *item, struct items *list)
{
    const struct gm_frame *v = NULL;
    size_t n = 0;
    int r = gm_frame_load(b->recording, b->stacks->v[item->node].frame_id, &v, &n);
    bool inside = b->bottom_up ? item->position + 1 < n : item->position > 0;
    if (r == 0 && inside) {
        r = items_add(b, list, item->node, true, item->weight);
        if (r == 0) {
            struct item *next = &list->v[list->n - 1];
            next->position = b->bottom_up ? item->position + 1 : item->position - 1;
            next->frame = &v[next->position];
        }
        return r;
    }
    if (b->bottom_up) {
        uint32_t parent = b->stacks->v[item->node].parent;
        return r < 0 || parent == GM_NODE_NONE ? r : items_add(b, list, parent, true, item->weight);
    }
    for (uint32_t i = b->first_child[item->node]; r == 0 && i != GM_NODE_NONE;
         i = b->next_sibling[i])
        r = items_add(b, list, i, false, b->below[i]);
    return r;
}

/* Texts of frames are unique per recording, so that pointers can be compared. */
static int item_compare(const void *a, const void *b)
{
    const struct gm_frame *x = ((const struct item *)a)->frame,
                          *y = ((const struct item *)b)->frame;
    const uintptr_t kx[] = {
        (uintptr_t)x->function, (uintptr_t)x->file, x->line, (uintptr_t)x->module};
    const uintptr_t ky[] = {
        (uintptr_t)y->function, (uintptr_t)y->file, y->line, (uintptr_t)y->module};
    for (int i = 0; i < 4; i++)
        if (kx[i] != ky[i])
            return kx[i] < ky[i] ? -1 : 1;
    return 0;
}

struct group {
    size_t first, n;
    uint64_t weight;
    const struct gm_frame *frame;
};

static int group_compare(const void *a, const void *b)
{
    const struct group *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight > y->weight ? -1 : 1;
    int order = strcmp(x->frame->function, y->frame->function);
    return order ? order : (x->frame->line > y->frame->line) - (x->frame->line < y->frame->line);
}

static size_t groups_make(struct items *list, struct group *groups)
{
    size_t n = 0;
    if (list->n == 0)
        return 0;
    qsort(list->v, list->n, sizeof *list->v, item_compare);
    for (size_t i = 0; i < list->n; i++) {
        if (n == 0 || item_compare(&list->v[i], &list->v[groups[n - 1].first]) != 0)
            groups[n++] = (struct group){i, 0, 0, list->v[i].frame};
        groups[n - 1].n++;
        groups[n - 1].weight += list->v[i].weight;
    }
    qsort(groups, n, sizeof *groups, group_compare);
    return n;
}

static int row_add(struct builder *b, const struct group *g, const struct items *list,
    uint32_t depth, size_t *ret_row)
{
    struct gm_call_tree *tree = &b->tree;
    if (tree->n == b->room) {
        size_t room = b->room ? b->room * 2 : 64;
        struct gm_call_row *grown = realloc(tree->v, room * sizeof *grown);
        if (!grown)
            return gm_recording_fail(b->recording, SQLITE_NOMEM);
        tree->v = grown;
        b->room = room;
    }
    struct gm_call_row row = {.depth = depth, .weight = g->weight, .frame = *g->frame};
    for (size_t i = g->first; !b->bottom_up && i < g->first + g->n; i++)
        if (list->v[i].position == 0)
            row.self += b->own[list->v[i].node];
    *ret_row = tree->n;
    tree->v[tree->n++] = row;
    return 0;
}

static int builder_expand(struct builder *b, struct items *list, uint32_t depth,
    uint32_t *ret_hidden, uint64_t *ret_hidden_weight)
{
    struct group *groups = malloc((list->n + 1) * sizeof *groups);
    if (!groups)
        return gm_recording_fail(b->recording, SQLITE_NOMEM);
    size_t n = groups_make(list, groups);
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        const struct group *g = &groups[i];
        if (g->weight < b->least || depth >= GM_CALL_MAX_DEPTH) {
            *ret_hidden += 1;
            *ret_hidden_weight += g->weight;
            continue;
        }
        struct items next = {0};
        size_t row = 0;
        uint32_t hidden = 0;
        uint64_t hidden_weight = 0;
        r = row_add(b, g, list, depth, &row);
        for (size_t k = g->first; r == 0 && k < g->first + g->n; k++)
            r = item_step(b, &list->v[k], &next);
        if (r == 0 && next.n)
            r = builder_expand(b, &next, depth + 1, &hidden, &hidden_weight);
        free(next.v);
        if (r == 0) {
            b->tree.v[row].hidden = hidden;
            b->tree.v[row].hidden_weight = hidden_weight;
        }
    }
    free(groups);
    return r;
}

static void builder_weigh(struct builder *b, const struct gm_call_weight *weights, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t node = gm_stack_tree_find(b->stacks, weights[i].stack_id);
        b->tree.total += weights[i].weight;
        if (node == GM_NODE_NONE)
            b->tree.unstacked += weights[i].weight;
        else
            b->own[node] += weights[i].weight;
    }
    for (uint32_t i = b->stacks->n; i-- > 0;) {
        b->below[i] += b->own[i];
        if (b->stacks->v[i].parent != GM_NODE_NONE)
            b->below[b->stacks->v[i].parent] += b->below[i];
    }
}

static void builder_link(struct builder *b)
{
    const struct gm_stack_tree *s = b->stacks;
    for (uint32_t i = 0; i < s->n; i++)
        b->first_child[i] = b->next_sibling[i] = GM_NODE_NONE;
    for (uint32_t i = s->n; i-- > 0;) {
        uint32_t parent = s->v[i].parent;
        if (parent == GM_NODE_NONE)
            continue;
        b->next_sibling[i] = b->first_child[parent];
        b->first_child[parent] = i;
    }
}

static int builder_roots(struct builder *b, struct items *ret_roots)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < b->stacks->n; i++) {
        if (b->bottom_up)
            r = items_add(b, ret_roots, i, true, b->own[i]);
        else if (b->stacks->v[i].parent == GM_NODE_NONE)
            r = items_add(b, ret_roots, i, false, b->below[i]);
    }
    return r;
}

int gm_call_tree_build(struct gm_recording *recording, const struct gm_stack_tree *stacks,
    const struct gm_call_weight *weights, size_t n, bool bottom_up, uint64_t least,
    struct gm_call_tree *ret_tree)
{
    struct builder b = {
        .recording = recording, .stacks = stacks, .bottom_up = bottom_up, .least = least};
    struct items roots = {0};
    int r = 0;
    b.own = calloc((size_t)stacks->n + 1, sizeof *b.own);
    b.below = calloc((size_t)stacks->n + 1, sizeof *b.below);
    b.first_child = calloc((size_t)stacks->n + 1, sizeof *b.first_child);
    b.next_sibling = calloc((size_t)stacks->n + 1, sizeof *b.next_sibling);
    if (!b.own || !b.below || !b.first_child || !b.next_sibling)
        r = gm_recording_fail(recording, SQLITE_NOMEM);
    if (r == 0) {
        builder_weigh(&b, weights, n);
        builder_link(&b);
        r = builder_roots(&b, &roots);
    }
    if (r == 0)
        r = builder_expand(&b, &roots, 0, &b.tree.hidden, &b.tree.hidden_weight);
    free(roots.v);
    free(b.own);
    free(b.below);
    free(b.first_child);
    free(b.next_sibling);
    if (r < 0)
        gm_call_tree_done(&b.tree);
    else
        *ret_tree = b.tree;
    return r;
}

void gm_call_tree_done(struct gm_call_tree *tree)
{
    free(tree->v);
    *tree = (struct gm_call_tree){0};
}
