/* cache_simulate.h - the simulations behind a miss-ratio curve. Of the curve's thread, but for init and the points. */
#ifndef GM_COLLECTOR_CACHE_SIMULATE_H
#define GM_COLLECTOR_CACHE_SIMULATE_H

#include "collector/cache_belady.h"
#include "collector/cache_curve.h"

#define GM_CACHE_CURVE_GROUPS 16u /* of keys, for the error */

struct gm_simulation;

struct gm_cache_curve_result {
    uint64_t lookups, bytes;
    uint64_t told_hits, told_misses; /* by the cache: of all keys */
    uint64_t group_lookups[GM_CACHE_CURVE_GROUPS];
    bool whole; /* all uses of all keys were simulated */
    struct gm_cache_curve_best best;
    struct gm_cache_curve_capacity {
        uint64_t capacity_bytes, hit_bytes, entries;
        uint64_t hits[GM_CACHE_CURVE_GROUPS];
    } at[GM_CACHE_CURVE_POINTS];
};

struct gm_cache_curve_sim {
    uint32_t kind; /* enum gm_policy_kind */
    bool begun;
    uint64_t capacity_bytes, unit_bytes, threshold;
    uint64_t entry_bytes; /* roughly */
    uint64_t own_units;   /* the capacity, as far as it is simulated */
    struct gm_simulation *simulations[GM_CACHE_CURVE_POINTS]; /* NULL: no memory */
    struct gm_belady belady;
    uint64_t number;                     /* of the last lookup */
    struct gm_cache_curve_result counts; /* since the last change of capacity */
    struct gm_cache_curve_result before; /* as they were then */
};

/* Capacities: no more than GM_CACHE_CURVE_CAPACITY_MAX. */
void gm_cache_curve_sim_init(
    struct gm_cache_curve_sim *sim, uint32_t policy, uint64_t capacity_bytes, uint64_t threshold);
/* Before the first use: how large entries are, roughly. */
void gm_cache_curve_sim_begin(struct gm_cache_curve_sim *sim, uint64_t entry_bytes);
void gm_cache_curve_sim_done(struct gm_cache_curve_sim *sim);
const char *gm_cache_curve_sim_policy_name(const struct gm_cache_curve_sim *sim);

struct gm_cache_curve_sim_event {
    enum gm_cache_curve_use use;
    uint64_t key, bytes;
    uint32_t number,
        before; /* of a lookup: low bits, see gm_cache_curve_use; before 0: the first, or long ago */
};
void gm_cache_curve_sim_use(
    struct gm_cache_curve_sim *sim, const struct gm_cache_curve_sim_event *event);
void gm_cache_curve_sim_state(struct gm_cache_curve_sim *sim, uint64_t hits, uint64_t misses);
void gm_cache_curve_sim_lower(struct gm_cache_curve_sim *sim, uint64_t threshold);
void gm_cache_curve_sim_resize(struct gm_cache_curve_sim *sim, uint64_t capacity_bytes);
void gm_cache_curve_sim_result(
    struct gm_cache_curve_sim *sim, struct gm_cache_curve_result *ret_result);

void gm_cache_curve_result_points(const struct gm_cache_curve_result *result,
    struct gm_cache_curve_point ret_points[GM_CACHE_CURVE_POINTS]);

#endif
