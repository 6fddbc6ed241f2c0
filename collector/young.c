/* young.c - see young.h. */
#include "collector/young.h"

#include <errno.h>
#include <stdlib.h>

void gm_young_done(struct gm_young *young)
{
    free(young->heap);
    *young = (struct gm_young){0};
}

static int young_reserve(struct gm_young *young)
{
    if (young->n < young->room)
        return 0;
    size_t room = young->room ? young->room * 2 : 16;
    struct gm_young_block *heap = reallocarray(young->heap, room, sizeof *heap);
    if (!heap)
        return -ENOMEM;
    young->heap = heap;
    young->room = room;
    return 0;
}

int gm_young_put(struct gm_young *young, const struct gm_young_block *block)
{
    int r = young_reserve(young);
    if (r < 0)
        return r;
    size_t i = young->n++;
    while (i > 0 && young->heap[(i - 1) / 2].death_position > block->death_position) {
        young->heap[i] = young->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    young->heap[i] = *block;
    return 0;
}

struct gm_young_block gm_young_take(struct gm_young *young)
{
    struct gm_young_block first = young->heap[0], *moved = &young->heap[--young->n];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < young->n; i = child) {
        if (child + 1 < young->n &&
            young->heap[child + 1].death_position < young->heap[child].death_position)
            child++;
        if (moved->death_position <= young->heap[child].death_position)
            break;
        young->heap[i] = young->heap[child];
    }
    young->heap[i] = *moved;
    return first;
}
