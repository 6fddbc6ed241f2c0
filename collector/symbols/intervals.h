/* intervals.h - which of many address ranges holds an address: units, functions and symbols are
 * found so.
 *
 * Ranges may nest (a function inside a function, an alias inside a symbol) and, in damaged files,
 * overlap in any way. The answer is the range that begins last among those that hold the address;
 * of ranges that begin at the same address the shortest, of equal ones the one added first.
 */
#ifndef GM_COLLECTOR_SYMBOLS_INTERVALS_H
#define GM_COLLECTOR_SYMBOLS_INTERVALS_H

#include <stddef.h>
#include <stdint.h>

struct gm_interval {
    uint64_t low, high; /* [low, high) */
    uint64_t reach;     /* largest high of this and all before it; set by sorting */
    uint32_t value;
};
struct gm_intervals { /* all zero: empty */
    struct gm_interval *v;
    size_t n, room;
};

/* Adds an unsorted range; empty ones are left out. Returns 0 or -ENOMEM. */
int gm_intervals_add(struct gm_intervals *intervals, uint64_t low, uint64_t high, uint32_t value);
/* To be called after the last add and before the first find. */
void gm_intervals_sort(struct gm_intervals *intervals);
/* Returns the range that holds the address, or NULL. O(log n) where ranges nest little. */
const struct gm_interval *gm_intervals_find(const struct gm_intervals *intervals, uint64_t address);
void gm_intervals_done(struct gm_intervals *intervals);

#endif
