/* cache_advice.h - what a cache's miss-ratio curve says should be done about it.
 *
 * A curve is a sample's word: a difference counts only where it is larger than the curve's own error, and where it matters:
 * by a tenth of the misses, but by no less than two uses in a thousand, and by one in a hundred in any case. These three
 * are arbitrary.
 */
#ifndef GM_ANALYZER_CORE_CACHE_ADVICE_H
#define GM_ANALYZER_CORE_CACHE_ADVICE_H

#include "analyzer/core/caches.h"

/* The least difference from this hit ratio that matters. */
double gm_cache_matters(double hit_ratio);

/* An error in points as it is shown, with one digit behind the point: never less than it is. */
double gm_cache_points(double error);

/* The curve at a capacity, between its points. False outside of it. */
bool gm_cache_curve_at(
    const struct gm_cache_curve *curve, uint64_t capacity_bytes, struct gm_cache_point *ret_point);
/* The least capacity from which on more does not matter; NULL: it still does at the curve's end. */
const struct gm_cache_point *gm_cache_curve_enough(const struct gm_cache_curve *curve);
/* Where the curve bends: the point farthest above the line from its first to its last point (Satopaa et al., "Finding a
 * 'Kneedle' in a Haystack", ICDCSW 2011, section III). NULL: it does not. */
const struct gm_cache_point *gm_cache_curve_knee(const struct gm_cache_curve *curve);

enum gm_cache_verdict {
    GM_CACHE_UNKNOWN,  /* too few uses, or no curve */
    GM_CACHE_PINS,     /* values were handed out and never given back */
    GM_CACHE_NO_REUSE, /* no capacity would help: keys do not come again */
    GM_CACHE_GROW,     /* more capacity gives more hits */
    GM_CACHE_SHRINK,   /* half of the capacity would do */
    GM_CACHE_FINE,
};
extern const char *const gm_cache_verdict_names[GM_CACHE_FINE + 1];

struct gm_cache_advice {
    enum gm_cache_verdict verdict;
    struct gm_cache_point
        now; /* the curve at the cache's own capacity; capacity_bytes 0: not known */
    struct gm_cache_point then; /* at the capacity to go to, for GROW and SHRINK */
    bool enough;                /* more than that does not matter */
};
/* `leaked` pins: see gm_cache_pins_leaked. */
void gm_cache_advise(const struct gm_cache *cache, const struct gm_cache_curve *curve,
    size_t leaked, struct gm_cache_advice *ret_advice);

#define GM_CACHE_PIN_LEAKED_NS 10000000000 /* a pin so old has been forgotten; arbitrary */
/* Pins that will hardly be given back: old ones, and all of a process that has ended. */
size_t gm_cache_pins_leaked(const struct gm_cache_pins *pins, bool ended);

/* How the bytes of several caches would best be divided between them: most hits per byte first, along the upper convex
 * hull of each curve. */
struct gm_cache_share {
    uint64_t capacity_bytes; /* it should have */
    double hit_ratio, hit_ratio_now, error;
};
/* shares[i] is of caches[i]. Returns the hits that would be gained, of all uses; < 0 without memory. Caches without a curve
 * keep what they have. */
double gm_caches_split(const struct gm_cache *const *caches,
    const struct gm_cache_curve *const *curves, size_t n, struct gm_cache_share *ret_shares);

#endif
