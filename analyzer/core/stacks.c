/* stacks.c - see stacks.h. */
#include "analyzer/core/stacks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/core/query.h"
#include "analyzer/core/stack_runs.h"

static int stack_append(
    struct gm_recording *rec, struct gm_stack *stack, size_t *room, uint32_t frame_id)
{
    const struct gm_frame *v = NULL;
    size_t n = 0;
    int r = gm_frame_load(rec, frame_id, &v, &n);
    if (r < 0)
        return r;
    if (stack->n + n > *room) {
        size_t grown_room = (stack->n + n) * 2;
        struct gm_frame *grown = realloc(stack->v, grown_room * sizeof *grown);
        if (!grown)
            return gm_recording_fail(rec, SQLITE_NOMEM);
        stack->v = grown;
        *room = grown_room;
    }
    memcpy(stack->v + stack->n, v, n * sizeof *v);
    stack->n += n;
    return 0;
}

int gm_stack_load(struct gm_recording *recording, uint32_t stack_id, struct gm_stack *ret_stack)
{
    struct gm_stack stack = {0};
    struct gm_stack_runs runs;
    size_t room = 0;
    int r = gm_stack_runs_open(recording, &runs);
    for (size_t i = 0; r == 0 && stack_id && i < GM_STACK_MAX_NODES; i++) {
        uint32_t parent_id, frame_id;
        if (!gm_stack_runs_find(&runs, stack_id, &parent_id, &frame_id))
            break;
        r = stack_append(recording, &stack, &room, frame_id);
        if (parent_id >= stack_id)
            break;
        stack_id = parent_id;
    }
    stack.damaged |= stack_id != 0;
    int closed = gm_stack_runs_close(&runs);
    r = r < 0 ? r : closed;
    if (r < 0)
        gm_stack_done(&stack);
    else
        *ret_stack = stack;
    return r;
}

void gm_stack_done(struct gm_stack *stack)
{
    free(stack->v);
    *stack = (struct gm_stack){0};
}
