/* caches.h - what a recorded program's caches did.
 *
 *   tables cache, cache_eviction --> struct gm_caches: counts of each, exact
 *   cache_interval               --> the same for a part of the time, and over time
 *   cache_mrc                    --> struct gm_cache_curve: what other capacities would have given
 *   cache_class, _site, _pin, _histogram, _change, each of one cache
 *
 * Counts are the caches' own. What is from the sample of keys is an estimate, multiplied already by what the sample
 * stands for; cache.sample_rate_min is 1 where the sample was all keys, and the estimates are counts.
 */
#ifndef GM_ANALYZER_CORE_CACHES_H
#define GM_ANALYZER_CORE_CACHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/core/generations.h"
#include "analyzer/core/recording.h"
#include "analyzer/core/timeline.h"
#include "schemas/wire.h"

/* Estimates from the sample. X(name) */
#define GM_CACHE_SAMPLED(X) \
    X(samples) \
    X(sample_hits) \
    X(sample_misses) \
    X(sample_left) \
    X(one_hit_wonders) \
    X(premature_misses) \
    X(refills) \
    X(refill_ns) \
    X(belady_uses) \
    X(belady_hits) \
    X(belady_real_hits) \
    X(open_pins) \
    X(unmatched_unpins)

struct gm_cache {
    uint32_t cache_id, process_id;
    uint64_t number, choice, switches;
    char *name;
    const char *policy;                   /* "lru" */
    int64_t first_ns, last_ns, closed_ns; /* closed < 0: not, as far as is known */
#define GM_X(name, text) uint64_t name;
    GM_CACHE_FIGURES(GM_X)
#undef GM_X
#define GM_X(name) uint64_t name;
    GM_CACHE_SAMPLED(GM_X)
#undef GM_X
    double sample_rate, sample_rate_min;
    uint64_t evictions[GM_CAUSE_COUNT],
        evicted_bytes[GM_CAUSE_COUNT]; /* enum gm_cache_cause; 0: all */
};

struct gm_caches {
    struct gm_cache *v; /* most uses first */
    size_t n;
};
/* The whole recording, or with `ranged` only from_ns..to_ns: then the counts of enum gm_cache_figure are those within it,
 * capacity, contents and pins those at its end, evictions only known all together; caches that were not used in it are
 * left out. */
int gm_caches_load(struct gm_recording *recording, const struct gm_process_set *processes,
    bool ranged, int64_t from_ns, int64_t to_ns, struct gm_caches *ret_caches);
void gm_caches_done(struct gm_caches *caches);
int gm_caches_exist(struct gm_recording *recording, bool *ret_exist);

/* < 0 where there is nothing to divide by. */
double gm_cache_hit_ratio(const struct gm_cache *cache);
double gm_cache_byte_hit_ratio(const struct gm_cache *cache);
/* Of what left the cache to make room, the share that was never hit; of the misses, those of keys that had left shortly
 * before. < 0: not known. */
double gm_cache_one_hit_ratio(const struct gm_cache *cache);
double gm_cache_premature_ratio(const struct gm_cache *cache);
/* What one miss took, in the mean: by its loader, or from the miss to the store. < 0: not known. */
double gm_cache_miss_cost_ns(const struct gm_cache *cache);
/* "loads", "refills"; NULL: not known. */
const char *gm_cache_miss_cost_source(const struct gm_cache *cache);
/* Share of the uses that would have been hits too had the future been known; < 0: not known. */
double gm_cache_belady_distance(const struct gm_cache *cache);
/* Whether the sample was not all keys. */
bool gm_cache_is_estimated(const struct gm_cache *cache);

/* ---- curves ---- */

struct gm_cache_point {
    uint64_t capacity_bytes;
    double hit_ratio, byte_hit_ratio, error; /* 0..1 */
    uint64_t samples, entries;
};
struct gm_cache_curve {
    struct gm_cache_point *v; /* by capacity */
    size_t n;
    const char *policy; /* that was simulated; NULL: no point */
};
int gm_cache_curve_load(
    struct gm_recording *recording, uint32_t cache_id, struct gm_cache_curve *ret_curve);
void gm_cache_curve_done(struct gm_cache_curve *curve);

/* ---- parts ---- */

/* Uses by class of key or by call site. */
struct gm_cache_part {
    uint32_t id; /* key class, or stack; 0: not told, not known */
    char *name;  /* of the class; NULL: none */
    uint64_t samples, hits, hit_bytes, misses, premature_misses, stores, store_bytes, loads,
        load_ns;
    uint64_t pins, open_pins, open_pin_bytes; /* of sites */
    int64_t oldest_pin_ns;                    /* < 0: none is open */
};
struct gm_cache_parts {
    struct gm_cache_part *v; /* most uses first */
    size_t n;
};
int gm_cache_classes_load(
    struct gm_recording *recording, uint32_t cache_id, struct gm_cache_parts *ret_parts);
int gm_cache_sites_load(
    struct gm_recording *recording, uint32_t cache_id, struct gm_cache_parts *ret_parts);
void gm_cache_parts_done(struct gm_cache_parts *parts);

/* A class by its name, else its number; "-" for none. The text is in `text` or the part's own. */
const char *gm_cache_class_text(const struct gm_cache_part *part, char text[static 16]);

/* A pin that was not given back. */
struct gm_cache_pin {
    uint32_t stack_id;
    int64_t ns, age_ns; /* taken; age at the end of its process, or now */
    uint64_t bytes;
};
struct gm_cache_pins {
    struct gm_cache_pin *v; /* oldest first */
    size_t n;
};
int gm_cache_pins_load(
    struct gm_recording *recording, uint32_t cache_id, struct gm_cache_pins *ret_pins);
void gm_cache_pins_done(struct gm_cache_pins *pins);

enum gm_cache_time {
    GM_CACHE_EVICTION_AGE,
    GM_CACHE_REUSE_TIME,
    GM_CACHE_REFILL_TIME,
    GM_CACHE_LOAD_TIME,
    GM_CACHE_PIN_TIME,
    GM_CACHE_TIME_COUNT
};
extern const char *const gm_cache_time_names[GM_CACHE_TIME_COUNT];
/* Buckets as in gm_lifetime_from. */
struct gm_cache_times {
    uint64_t v[GM_CACHE_TIME_COUNT][GM_LIFETIME_BUCKETS];
};
int gm_cache_times_load(
    struct gm_recording *recording, uint32_t cache_id, struct gm_cache_times *ret_times);
/* The upper end of the bucket that holds the `percent`-th; < 0: there is none. */
int64_t gm_cache_times_percentile(
    const uint64_t buckets[static GM_LIFETIME_BUCKETS], double percent);

/* ---- over time ---- */

struct gm_cache_slice {
    int64_t start_ns, end_ns;
    uint64_t hits, hit_bytes, misses, stores, store_bytes, evictions, capacity_bytes, used_bytes;
};
struct gm_cache_slices {
    struct gm_cache_slice *v; /* by time; intervals without a use of the cache are left out */
    size_t n;
};
int gm_cache_slices_load(struct gm_recording *recording, uint32_t cache_id, int64_t from_ns,
    int64_t to_ns, struct gm_cache_slices *ret_slices);
/* The last `most` intervals that began before to_ns. */
int gm_cache_slices_recent(struct gm_recording *recording, uint32_t cache_id, int64_t to_ns,
    size_t most, struct gm_cache_slices *ret_slices);
void gm_cache_slices_done(struct gm_cache_slices *slices);

struct gm_cache_change {
    int64_t ns;
    char kind[16]; /* made, resized, switched, closed */
    uint64_t from, to;
};
struct gm_cache_changes {
    struct gm_cache_change *v;
    size_t n;
};
int gm_cache_changes_load(
    struct gm_recording *recording, uint32_t cache_id, struct gm_cache_changes *ret_changes);
void gm_cache_changes_done(struct gm_cache_changes *changes);

#endif
