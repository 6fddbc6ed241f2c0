/* caches.h - what is known of the caches of a process: what they tell of themselves, and what follows from their sample.
 *
 *   CACHE        counts of the cache itself: exact, all since it was made
 *   CACHE_USE    uses of some keys ----> by call site, by class of key; times; pins that are open;
 *   CACHE_EVICT  and what left            what left too early, or was never hit; Belady's hits; the miss-ratio curve
 *
 * The sample is the keys whose hash is not above a threshold: the cache's own, or a lower one where the recorder cannot
 * remember so many. What is counted of a key counts for 1 / (share of keys below the threshold).
 *
 * Bounded: GM_CACHES_MAX caches of a recording, each with so many call sites, classes, keys and pins, and all together; what
 * finds no room is counted elsewhere or left out, as the fields say, but each cache has some keys and pins. When a cache is
 * closed, or its process has ended, all that is given back once it is told. Everything here comes from the target and may be a lie.
 *
 * Stands within the roll-up.
 */
#ifndef GM_COLLECTOR_CACHES_H
#define GM_COLLECTOR_CACHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/batch.h"
#include "collector/cache_keys.h"
#include "collector/cache_curve.h"
#include "collector/decode.h"
#include "collector/index.h"

/* Of a recording, all processes together: 25 to 40 MB each of keys, pins, sites and classes, twice that as tables double; and
 * beyond that the least of each cache, some 45 KB. */
#define GM_CACHES_MAX 4096u
#define GM_CACHES_KEYS_MAX (1u << 19) /* each cache may have its part */
#define GM_CACHES_PINS_MAX (1u << 19)
#define GM_CACHES_USES_MAX (1u << 18)
#define GM_CACHE_KEYS_LEAST 512u /* of a cache, however many there are */
#define GM_CACHE_PINS_LEAST 64u
#define GM_CACHE_SITES_MAX 4096u   /* call sites, and classes, of a cache */
#define GM_CACHE_CHANGES_MAX 4096u /* told of a cache */
#define GM_CACHE_PINS_TOLD 256u    /* the oldest */
#define GM_CACHE_PIN_OLD_NS 1000000000ll
#define GM_CACHE_CURVES_MAX 256u /* of a recording; each takes up to some 20 MB */

/* Estimates, in all. */
struct gm_cache_uses {
    uint32_t id; /* stack or class */
    bool changed;
    char *name; /* of a class; NULL: not told */
    uint64_t samples;
    double hits, hit_bytes, misses, premature_misses, stores, store_bytes, loads, load_ns, pins;
    uint64_t open_pins, open_pin_bytes; /* of sites, as told last */
    int64_t oldest_pin_ns;
};

/* Sites or classes. uses[0] is id 0, and takes what finds no room. */
struct gm_cache_ledger {
    GM_ROWS(struct gm_cache_uses) uses;
    struct gm_index index; /* of ids other than 0; index + 1 */
};

struct gm_cache {
    struct gm_row_cache row; /* but for what is put in when it is told; owns name */
    bool changed, pins_changed, had_pins;
    bool released; /* it is over and told: it has no keys, pins, sites and classes any more */
    uint64_t told[GM_CACHE_FIGURE_COUNT]; /* figures, when they were told last */
    uint32_t changes;
    uint64_t threshold_told, threshold_own; /* the sample is keys up to the lower of them */
    double weight;                          /* of one key of the sample */
    struct gm_cache_ledger sites, classes;
    struct gm_cache_keys keys;
    struct gm_cache_curve *curve; /* NULL: none yet, or there is none */
    /* Estimates. */
    double hits, misses, left, one_hit_wonders, premature_misses, refills, refill_ns;
    double unmatched_unpins;
    struct gm_cache_curve_best best; /* beside the curve */
    double premature_told;
    uint64_t samples;
    uint64_t made_room; /* how many of the sample have left to make room */
    double times[GM_CACHE_TIMES][GM_LIFE_BUCKETS];
    uint64_t times_changed[GM_CACHE_TIMES]; /* masks */
};

struct gm_caches {
    struct gm_cache **v;
    struct gm_cache *last; /* found last; NULL: none yet */
    uint32_t count, room;
    uint64_t left_out; /* records of caches for which there was no room, since they were told */
};

/* What all caches of a recording take. */
struct gm_caches_use {
    uint64_t keys, pins, uses;
    uint32_t open;
};

struct gm_process;
struct gm_rollup;

void gm_process_caches_done(struct gm_process *process);

/* A record of kind CACHE, CACHE_USE or CACHE_EVICT, from the ring with this index. */
void gm_process_cache_event(
    struct gm_process *process, const struct gm_event *event, uint32_t ring);

/* Gives back what the records of an open cache need; all of it is told. */
void gm_cache_release(struct gm_rollup *rollup, struct gm_cache *cache);

/* No more records will come: what waited for one is told to the curves. */
void gm_process_caches_ended(struct gm_process *process);

/* Whether the curve of one is not yet what its uses make it. */
bool gm_process_caches_are_behind(const struct gm_process *process);

/* The rows of what changed. last: the process has ended. All open pins are told then, as those of a cache that is closed.
 * -ENOMEM: some are missing. */
int gm_process_caches_fill(struct gm_process *process, int64_t end_ns, bool last);

#endif
