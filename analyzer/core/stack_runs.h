/* stack_runs.h - nodes of stacks, read from table stack_run; for the core's own files only.
 *
 *   row: last_id 12, parent_id 4, frames "abc"    ->    nodes 10 (parent 4), 11 (parent 10), 12 (parent 11)
 *
 * The run read last is kept: a stack's nodes are mostly in a few runs, and those of sites that came one after the other in
 * the same.
 */
#ifndef GM_ANALYZER_CORE_STACK_RUNS_H
#define GM_ANALYZER_CORE_STACK_RUNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/core/query.h"

struct gm_stack_runs {
    struct gm_query query;
    uint32_t last_id, parent_id; /* of the run read last; last_id 0: none */
    uint32_t *frames;            /* from the outermost node; 0 where the file holds nonsense */
    size_t n, room;
};

int gm_stack_runs_open(struct gm_recording *recording, struct gm_stack_runs *ret_runs);
/* An error met on the way is the result. */
int gm_stack_runs_close(struct gm_stack_runs *runs);

/* Node 0 <= i < n of the run read last. Ids are 0 where the file is damaged. */
static inline uint32_t gm_stack_runs_id(const struct gm_stack_runs *runs, size_t i)
{
    return runs->last_id - (uint32_t)(runs->n - 1 - i);
}
static inline uint32_t gm_stack_runs_parent(const struct gm_stack_runs *runs, size_t i)
{
    return i ? gm_stack_runs_id(runs, i - 1) : runs->parent_id;
}

/* Reads the next run by rising id, from the first on. */
bool gm_stack_runs_next(struct gm_stack_runs *runs);

/* One node, by its id. Not together with gm_stack_runs_next. False: there is none. */
bool gm_stack_runs_find(
    struct gm_stack_runs *runs, uint32_t stack_id, uint32_t *ret_parent_id, uint32_t *ret_frame_id);

#endif
