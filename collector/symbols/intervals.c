/* intervals.c - see intervals.h. */
#include "collector/symbols/intervals.h"

#include <errno.h>
#include <stdlib.h>

int gm_intervals_add(struct gm_intervals *t, uint64_t low, uint64_t high, uint32_t value)
{
    if (low >= high)
        return 0;
    if (t->n == t->room) {
        size_t room = t->room ? t->room * 2 : 64;
        struct gm_interval *grown = realloc(t->v, room * sizeof *grown);
        if (!grown)
            return -ENOMEM;
        t->v = grown;
        t->room = room;
    }
    t->v[t->n++] = (struct gm_interval){.low = low, .high = high, .value = value};
    return 0;
}

/* By start; then the longest first and, of equal ones, the last added first, since a find walks
 * backwards. */
static int interval_compare(const void *left, const void *right)
{
    const struct gm_interval *a = left, *b = right;
    if (a->low != b->low)
        return a->low < b->low ? -1 : 1;
    if (a->high != b->high)
        return a->high > b->high ? -1 : 1;
    return a->value == b->value ? 0 : a->value > b->value ? -1 : 1;
}

void gm_intervals_sort(struct gm_intervals *t)
{
    uint64_t reach = 0;
    if (t->n)
        qsort(t->v, t->n, sizeof *t->v, interval_compare);
    for (size_t i = 0; i < t->n; i++) {
        if (t->v[i].high > reach)
            reach = t->v[i].high;
        t->v[i].reach = reach;
    }
}

const struct gm_interval *gm_intervals_find(const struct gm_intervals *t, uint64_t address)
{
    size_t low = 0,
           high = t->n; /* v[0 .. low) begin at or before the address, v[high .. n) after */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (t->v[middle].low <= address)
            low = middle + 1;
        else
            high = middle;
    }
    while (low > 0 && t->v[low - 1].reach > address)
        if (t->v[--low].high > address)
            return &t->v[low];
    return NULL;
}

void gm_intervals_done(struct gm_intervals *t)
{
    free(t->v);
    *t = (struct gm_intervals){0};
}
