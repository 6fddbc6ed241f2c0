/* young.c - see young.h. */
#include "collector/young.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void gm_young_done(struct gm_young *young)
{
    free(young->heap);
    free(young->chains);
    free(young->cells);
    *young = (struct gm_young){0};
}

/* ---- far ---- */

static int heap_reserve(struct gm_young *young)
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

static int heap_put(struct gm_young *young, const struct gm_young_block *block)
{
    int r = heap_reserve(young);
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

static struct gm_young_block heap_take(struct gm_young *young)
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

/* ---- near ---- */

static uint32_t cell_take(struct gm_young *young)
{
    uint32_t cell = young->free_cell;
    if (cell) {
        young->free_cell = young->cells[cell - 1].next;
        return cell;
    }
    if (!young->chains && !(young->chains = calloc(GM_YOUNG_NEAR, sizeof *young->chains)))
        return 0;
    if (young->cells_used == young->cell_room) {
        size_t room = young->cell_room ? young->cell_room * 2 : 16;
        struct gm_young_cell *cells = reallocarray(young->cells, room, sizeof *cells);
        if (!cells)
            return 0;
        young->cells = cells;
        young->cell_room = room;
    }
    return (uint32_t)++young->cells_used;
}

int gm_young_put(struct gm_young *young, uint64_t position, const struct gm_young_block *block)
{
    if (young->near == 0)
        young->position = position;
    if (block->death_position < young->due || (young->near == 0 && young->n == 0))
        young->due = block->death_position;
    if (block->death_position - young->position > GM_YOUNG_NEAR)
        return heap_put(young, block);
    uint32_t cell = cell_take(young), place = block->death_position % GM_YOUNG_NEAR;
    if (!cell)
        return -ENOMEM;
    uint64_t *taken = &young->taken[place / 64], bit = 1ull << place % 64;
    young->cells[cell - 1] =
        (struct gm_young_cell){.dies = *block, .next = *taken & bit ? young->chains[place] : 0};
    young->chains[place] = cell;
    *taken |= bit;
    young->near++;
    return 0;
}

/* The first place after young->position, up to `position`, that is taken; young->position is then the one before it.
 * False: none, and all have been passed over. */
static bool near_find(struct gm_young *young, uint64_t position, uint32_t *ret_place)
{
    /* What is further on than the circle reaches does not wait in it. */
    uint64_t end =
        position - young->position < GM_YOUNG_NEAR ? position : young->position + GM_YOUNG_NEAR;
    uint64_t at = young->position + 1;
    while (at <= end) {
        uint32_t place = at % GM_YOUNG_NEAR;
        uint64_t bits = young->taken[place / 64] >> place % 64;
        uint64_t found = bits ? at + (unsigned)__builtin_ctzll(bits) : at + (64 - place % 64);
        if (bits && found <= end) {
            young->position = found - 1;
            *ret_place = found % GM_YOUNG_NEAR;
            return true;
        }
        at = found;
        if (bits)
            break;
    }
    young->position = position;
    return false;
}

static void near_take(struct gm_young *young, uint32_t place, struct gm_young_block *ret_block)
{
    uint32_t cell = young->chains[place];
    struct gm_young_cell *c = &young->cells[cell - 1];
    *ret_block = c->dies;
    young->chains[place] = c->next;
    if (!c->next)
        young->taken[place / 64] &= ~(1ull << place % 64);
    c->next = young->free_cell;
    young->free_cell = cell;
    young->near--;
}

/* The next that is near, at most as far as the word of the bitmap reaches: a bound is enough. */
static uint64_t near_due(const struct gm_young *young)
{
    uint32_t place = (young->position + 1) % GM_YOUNG_NEAR;
    uint64_t bits = young->taken[place / 64] >> place % 64;
    return young->position + 1 + (bits ? (unsigned)__builtin_ctzll(bits) : 64 - place % 64);
}

static uint64_t young_due(const struct gm_young *young)
{
    uint64_t due = young->near > 0 ? near_due(young) : UINT64_MAX;
    return young->n > 0 && young->heap[0].death_position < due ? young->heap[0].death_position
                                                               : due;
}

bool gm_young_take(struct gm_young *young, uint64_t position, struct gm_young_block *ret_block)
{
    uint32_t place;
    if (young->near > 0 && near_find(young, position, &place)) {
        near_take(young, place, ret_block);
        return true;
    }
    if (young->n > 0 && young->heap[0].death_position <= position) {
        *ret_block = heap_take(young);
        return true;
    }
    young->due = young_due(young);
    return false;
}
