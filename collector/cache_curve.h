/* cache_curve.h - what hit ratio a cache of another capacity would have: its sampled uses, simulated at 13 capacities.
 *
 *   caches.c --[uses]--> one buffer fills | the other is simulated by a thread of its own --[points]--> cache_rows.c
 *
 * The simulations run the policies of libgeomem/policy at 1/8 .. 8 times the cache's capacity, all times the share of the keys
 * that is simulated (C. Waldspurger and others, Cache Modeling and Optimization using Miniature Simulations, ATC 2017).
 * Sampled keys may be hotter or colder than others, and a policy be another one. But of its own capacity the cache tells the hit
 * ratio exactly: hits at smaller capacities, and misses at larger ones, are multiplied by what makes the simulation of that
 * one right, unless all uses of all keys are simulated. (Counting the uses that sampled keys have too many or too few as hits, "SHARDS-adj", was further off.)
 *
 * Nothing waits for the simulations. Where they cannot keep up, half of the keys of the cache with most uses are given up;
 * of a cache with few keys left, uses are left out until the thread is ready again.
 *
 * Beside it, Belady's hits at the cache's own capacity.
 *
 * The error of a point: twice the standard error by leaving out one 16th of the keys at a time, where not all uses are
 * simulated; and how far the simulation at the cache's own capacity was from what it told. At that capacity there is none.
 *
 * All functions on the main thread.
 */
#ifndef GM_COLLECTOR_CACHE_CURVE_H
#define GM_COLLECTOR_CACHE_CURVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GM_CACHE_CURVE_POINTS 13u /* capacity * 2^(i/2) / 8 */
#define GM_CACHE_CURVE_OWN 6u     /* the cache's own capacity */
/* A cache that tells of more is simulated as one of so much. */
#define GM_CACHE_CURVE_CAPACITY_MAX (1ull << 46)

struct gm_cache_curves;
struct gm_cache_curve;

/* Takes NULL. */
void gm_cache_curves_free(struct gm_cache_curves *curves);
/* Starts the thread. 0, -ENOMEM or -EAGAIN. */
int gm_cache_curves_create(struct gm_cache_curves **ret_curves);

/* Of a cache with the codes of geomem/listener.h for policies: that of an unknown one is simulated as LRU. -ENOMEM. */
int gm_cache_curve_create(struct gm_cache_curves *curves, uint32_t policy, uint64_t capacity_bytes,
    uint64_t threshold, struct gm_cache_curve **ret_curve);
/* Takes NULL. It is freed once it is simulated. */
void gm_cache_curve_free(struct gm_cache_curves *curves, struct gm_cache_curve *curve);

enum gm_cache_curve_use {
    GM_CACHE_CURVE_HIT,
    GM_CACHE_CURVE_MISS,
    GM_CACHE_CURVE_STORE, /* without a lookup */
    GM_CACHE_CURVE_GONE,  /* taken out by the program, or its time was up */
};
/* bytes: charged. before: what the last lookup of the key returned; 0: it is the first. Returns the number of this use; 0: it
 * was passed over, since its key is above the threshold or there was no room. */
uint64_t gm_cache_curve_use(struct gm_cache_curves *curves, struct gm_cache_curve *curve,
    enum gm_cache_curve_use use, uint64_t key, uint64_t bytes, uint64_t before);
/* No key above is in the sample from now on. Never rises. */
void gm_cache_curve_lower(
    struct gm_cache_curves *curves, struct gm_cache_curve *curve, uint64_t threshold);
/* Points are about this capacity from the next use on, or a little later if it changes all the time; uses from before are
 * forgotten when there are enough of later ones. */
void gm_cache_curve_resize(
    struct gm_cache_curves *curves, struct gm_cache_curve *curve, uint64_t capacity_bytes);
/* The cache has had so many hits and misses more, all keys together, and holds so many entries. */
void gm_cache_curve_state(
    struct gm_cache_curve *curve, uint64_t hits, uint64_t misses, uint64_t entries);

/* Hands over what has come, if the thread is ready. */
void gm_cache_curves_turn(struct gm_cache_curves *curves);
/* Waits until all is simulated. */
void gm_cache_curves_finish(struct gm_cache_curves *curves);

/* Whether something is not yet simulated; whether there is something to be read. */
bool gm_cache_curve_is_behind(struct gm_cache_curves *curves, const struct gm_cache_curve *curve);
bool gm_cache_curve_has_news(struct gm_cache_curves *curves, const struct gm_cache_curve *curve);

struct gm_cache_curve_point {
    uint64_t capacity_bytes, samples, entries;
    double hit_ratio, byte_hit_ratio, error;
};
/* Beside the points: how many of the simulated uses were compared with Belady's, see cache_belady.h. */
struct gm_cache_curve_best {
    uint64_t uses, hits, real_hits;
};
/* False: nothing new since the last call, or nothing at all. */
bool gm_cache_curve_read(struct gm_cache_curves *curves, struct gm_cache_curve *curve,
    struct gm_cache_curve_point ret_points[GM_CACHE_CURVE_POINTS],
    struct gm_cache_curve_best *ret_best);
const char *gm_cache_curve_policy_name(const struct gm_cache_curve *curve);

#endif
