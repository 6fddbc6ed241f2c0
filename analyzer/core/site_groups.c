/* site_groups.c - see site_groups.h. */
#include "analyzer/core/site_groups.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/core/query.h"

struct member {
    uint64_t key;
    const struct gm_site *site;
};

static int member_compare(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->site->site_id < y->site->site_id ? -1 : x->site->site_id > y->site->site_id;
}

/* A lifetime may begin before the other's: keep the extremes, add up the rest. */
static void site_add(struct gm_site *sum, const struct gm_site *s)
{
    uint64_t *const to[] = {&sum->reallocs, &sum->live_blocks, &sum->live_bytes, &sum->birth_sum_us,
        &sum->peak_bytes, &sum->peak_blocks, &sum->run_peak_bytes, &sum->run_peak_blocks,
        &sum->window.allocs, &sum->window.alloc_bytes, &sum->window.frees, &sum->window.free_bytes};
    const uint64_t from[] = {s->reallocs, s->live_blocks, s->live_bytes, s->birth_sum_us,
        s->peak_bytes, s->peak_blocks, s->run_peak_bytes, s->run_peak_blocks, s->window.allocs,
        s->window.alloc_bytes, s->window.frees, s->window.free_bytes};
    if (s->allocs && (!sum->allocs || s->min_bytes < sum->min_bytes))
        sum->min_bytes = s->min_bytes;
    if (s->max_bytes > sum->max_bytes)
        sum->max_bytes = s->max_bytes;
    for (size_t i = 0; i < sizeof to / sizeof *to; i++)
        *to[i] += from[i];
    sum->samples += s->samples;
    sum->allocs_var += s->allocs_var;
    sum->alloc_bytes_var += s->alloc_bytes_var;
    sum->live_blocks_var += s->live_blocks_var;
    sum->live_bytes_var += s->live_bytes_var;
    sum->allocs += s->allocs;
    sum->alloc_bytes += s->alloc_bytes;
    for (int g = 0; g < 4; g++)
        sum->died[g] += s->died[g];
    for (int g = 0; g < 3; g++)
        sum->promoted[g] += s->promoted[g];
    if (s->first_ns < sum->first_ns)
        sum->first_ns = s->first_ns;
    if (s->last_ns > sum->last_ns)
        sum->last_ns = s->last_ns;
    if (s->last_free_ns > sum->last_free_ns)
        sum->last_free_ns = s->last_free_ns;
}

static uint64_t member_key(
    const struct gm_site *s, const struct gm_stack_tree *tree, const uint64_t *hashes)
{
    uint32_t node = tree ? gm_stack_tree_find(tree, s->stack_id) : GM_NODE_NONE;
    if (tree && s->stack_id == 0)
        return 1; /* allocations without a stack */
    return node == GM_NODE_NONE ? s->site_id : hashes[node] | (uint64_t)1 << 63;
}

int gm_site_groups_build(struct gm_recording *recording, const struct gm_site *const *list,
    size_t n, const struct gm_stack_tree *tree, struct gm_site_groups *ret_groups)
{
    struct gm_site_groups groups = {.v = malloc((n + 1) * sizeof *groups.v),
        .members = malloc((n + 1) * sizeof *groups.members)};
    struct member *members = malloc((n + 1) * sizeof *members);
    uint64_t *hashes = tree ? gm_stack_tree_hashes(tree) : NULL;
    if (!groups.v || !groups.members || !members || (tree && !hashes)) {
        gm_site_groups_done(&groups);
        free(members);
        free(hashes);
        return gm_recording_fail(recording, SQLITE_NOMEM);
    }
    for (size_t i = 0; i < n; i++)
        members[i] = (struct member){member_key(list[i], tree, hashes), list[i]};
    if (tree)
        qsort(members, n, sizeof *members, member_compare);
    for (size_t i = 0; i < n; i++) {
        bool same = tree && i > 0 && members[i].key == members[i - 1].key;
        groups.members[i] = members[i].site;
        if (same) {
            struct gm_site_group *g = &groups.v[groups.n - 1];
            site_add(&g->sum, members[i].site);
            g->n++;
        } else {
            groups.v[groups.n++] = (struct gm_site_group){*members[i].site, (uint32_t)i, 1};
        }
    }
    free(members);
    free(hashes);
    *ret_groups = groups;
    return 0;
}

void gm_site_groups_done(struct gm_site_groups *groups)
{
    free(groups->v);
    free(groups->members);
    *groups = (struct gm_site_groups){0};
}
