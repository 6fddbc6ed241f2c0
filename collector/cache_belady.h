/* cache_belady.h - how many uses of a cache would have been hits had the future been known (L. A. Belady, A study of replacement
 * algorithms, IBM Systems Journal 5, 1966).
 *
 * As A. Jain and C. Lin, Back to the Future: Leveraging Belady's Algorithm for Improved Cache Replacement (ISCA 2016), find it
 * as uses come: a key used again would have been kept since its last use if there was room all that time beside what was to
 * be kept already. Exact for entries of one size, where a value need not be let in; else a bound from below.
 *
 *      use   1   2   3   4   5   6          held between two uses: bytes, in a tree over the last
 *      key   a   b   a   c   b   a          GM_BELADY_WINDOW uses that finds the most in a range
 *            |---a---|       |              and adds to a range
 *                |-----b-----|
 */
#ifndef GM_COLLECTOR_CACHE_BELADY_H
#define GM_COLLECTOR_CACHE_BELADY_H

#include <stdbool.h>
#include <stdint.h>

#define GM_BELADY_WINDOW 32768u /* uses; 1 MB. What comes back later than that is not compared */

struct gm_belady {
    int64_t *most;  /* of the subtree, without what was added above it; NULL: nothing yet */
    int64_t *more;  /* added to the whole subtree */
    uint64_t now;   /* uses so far */
    uint64_t since; /* uses up to this one are forgotten */
};

enum gm_belady_verdict {
    GM_BELADY_MISS,
    GM_BELADY_HIT,
    GM_BELADY_UNKNOWN, /* not to be compared */
};

void gm_belady_done(struct gm_belady *belady);
/* The sample has changed: what was held so far says nothing any more. */
void gm_belady_reset(struct gm_belady *belady);
/* Use number `now`, higher than all before, of a key whose last one had the number `before` (0: none), at a capacity. */
enum gm_belady_verdict gm_belady_use(struct gm_belady *belady, uint64_t now, uint64_t before,
    uint64_t bytes, uint64_t capacity_bytes);

#endif
