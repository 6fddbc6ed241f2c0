/* cache_simulate.c - see cache_simulate.h. */
#include "collector/cache_simulate.h"

#include <math.h>
#include <string.h>

#include "libgeomem/policy/nodes.h"
#include "libgeomem/policy/simulate.h"

#define SLOTS_MAX 32768u       /* entries of one simulation; above, the error says so */
#define UNITS_MAX (1ull << 28) /* a capacity is no more units than this: charges are 32 bits wide */
#define LOOKUPS_ENOUGH \
    1000u /* after a change of capacity, before what was before is forgotten; arbitrary */

static const uint32_t kinds[] = {GM_POLICY_ADAPTIVE, GM_POLICY_LRU, GM_POLICY_S3FIFO};

void gm_cache_curve_sim_init(
    struct gm_cache_curve_sim *sim, uint32_t policy, uint64_t capacity_bytes, uint64_t threshold)
{
    memset(sim, 0, sizeof *sim);
    sim->kind = policy < sizeof kinds / sizeof *kinds ? kinds[policy] : GM_POLICY_LRU;
    sim->capacity_bytes = capacity_bytes;
    sim->threshold = threshold;
    sim->counts.whole = threshold == UINT64_MAX;
}

void gm_cache_curve_sim_done(struct gm_cache_curve_sim *sim)
{
    for (unsigned i = 0; i < GM_CACHE_CURVE_POINTS; i++)
        gm_simulation_free(sim->simulations[i]);
    memset(sim->simulations, 0, sizeof sim->simulations);
    gm_belady_done(&sim->belady);
}

const char *gm_cache_curve_sim_policy_name(const struct gm_cache_curve_sim *sim)
{
    return sim->kind == GM_POLICY_ADAPTIVE ? "adaptive"
           : sim->kind == GM_POLICY_S3FIFO ? "s3fifo"
                                           : "lru";
}

/* ---- capacities ---- */

static uint64_t point_bytes(const struct gm_cache_curve_sim *sim, unsigned i)
{
    double factor = exp2((double)i / 2 - (double)GM_CACHE_CURVE_OWN / 2);
    double bytes = (double)sim->capacity_bytes * factor;
    return bytes < 1 ? 1 : (uint64_t)(bytes + 0.5);
}

/* Of the share of the keys that is simulated, in units. */
static uint64_t point_units(const struct gm_cache_curve_sim *sim, unsigned i)
{
    double rate = ((double)sim->threshold + 1) / 0x1p64;
    double units = (double)point_bytes(sim, i) * rate / (double)sim->unit_bytes;
    return units < 1 ? 1 : (uint64_t)(units + 0.5);
}

static uint64_t charge_units(const struct gm_cache_curve_sim *sim, uint64_t bytes)
{
    uint64_t units = (bytes + sim->unit_bytes - 1) / sim->unit_bytes;
    return units < UINT32_MAX ? units : UINT32_MAX;
}

static void capacities_note(struct gm_cache_curve_sim *sim)
{
    sim->own_units = point_units(sim, GM_CACHE_CURVE_OWN);
    for (unsigned i = 0; i < GM_CACHE_CURVE_POINTS; i++)
        sim->counts.at[i].capacity_bytes = point_bytes(sim, i);
}

/* An adaptive policy goes by how many entries it is made for: as many as are likely to fit, and some more. */
static uint32_t point_slots(
    const struct gm_cache_curve_sim *sim, uint64_t units, uint64_t entry_bytes)
{
    uint64_t entry = charge_units(sim, entry_bytes);
    uint64_t slots = units / (entry ? entry : 1) * 5 / 4 + 16;
    slots = slots < units ? slots : units;
    return slots < SLOTS_MAX ? (uint32_t)slots : SLOTS_MAX;
}

void gm_cache_curve_sim_begin(struct gm_cache_curve_sim *sim, uint64_t entry_bytes)
{
    sim->begun = true;
    sim->entry_bytes = entry_bytes;
    sim->unit_bytes = 1 + 8 * sim->capacity_bytes / UNITS_MAX;
    capacities_note(sim);
    for (unsigned i = 0; i < GM_CACHE_CURVE_POINTS; i++) {
        uint64_t units = point_units(sim, i);
        const struct gm_policy_config config = {.kind = sim->kind,
            .capacity = units,
            .slots = point_slots(sim, units, entry_bytes),
            .seed = i + 1};
        if (gm_simulation_create(&config, &sim->simulations[i]) < 0)
            sim->simulations[i] = NULL;
    }
}

/* ---- uses ---- */

/* The simulated policies want hashes that are mixed well in all bits; of sampled keys the high ones are alike. */
static uint64_t key_mix(uint64_t key)
{
    return gm_policy_mix(key);
}

static uint64_t key_unmix(uint64_t hash)
{
    const uint64_t inverse = 0xcfee444d8b59a89bu; /* of gm_policy_mix's factor, modulo 2^64 */
    hash ^= hash >> 32;
    hash *= inverse;
    hash ^= hash >> 32;
    hash *= inverse;
    return hash ^ hash >> 32;
}

static void sim_compare_belady(
    struct gm_cache_curve_sim *sim, const struct gm_cache_curve_sim_event *e, uint64_t charge)
{
    struct gm_cache_curve_best *best = &sim->counts.best;
    sim->number += (uint32_t)(e->number - (uint32_t)sim->number);
    uint64_t before = e->before ? sim->number - (uint32_t)(e->number - e->before) : 0;
    enum gm_belady_verdict verdict =
        gm_belady_use(&sim->belady, sim->number, before, charge, sim->own_units);
    if (verdict == GM_BELADY_UNKNOWN)
        return;
    best->uses++;
    best->hits += verdict == GM_BELADY_HIT;
    best->real_hits += e->use == GM_CACHE_CURVE_HIT;
}

static void sim_count(
    struct gm_cache_curve_sim *sim, const struct gm_cache_curve_sim_event *e, unsigned group)
{
    sim->counts.lookups++;
    sim->counts.bytes += e->bytes;
    sim->counts.group_lookups[group]++;
}

void gm_cache_curve_sim_use(
    struct gm_cache_curve_sim *sim, const struct gm_cache_curve_sim_event *e)
{
    uint64_t hash = key_mix(e->key);
    unsigned group = (unsigned)(hash % GM_CACHE_CURVE_GROUPS);
    bool lookup = e->use == GM_CACHE_CURVE_HIT || e->use == GM_CACHE_CURVE_MISS;
    if (e->key > sim->threshold)
        return;
    if (!sim->begun)
        gm_cache_curve_sim_begin(sim, e->bytes);
    uint64_t charge = charge_units(sim, e->bytes);
    if (lookup) {
        sim_count(sim, e, group);
        sim_compare_belady(sim, e, charge);
    }
    for (unsigned i = 0; i < GM_CACHE_CURVE_POINTS; i++) {
        if (!sim->simulations[i])
            continue;
        if (e->use == GM_CACHE_CURVE_GONE) {
            gm_simulate_remove(sim->simulations[i], hash);
        } else if (gm_simulate_use(sim->simulations[i], hash, charge, 0) && lookup) {
            sim->counts.at[i].hits[group]++;
            sim->counts.at[i].hit_bytes += e->bytes;
        }
    }
}

void gm_cache_curve_sim_state(struct gm_cache_curve_sim *sim, uint64_t hits, uint64_t misses)
{
    sim->counts.told_hits += hits;
    sim->counts.told_misses += misses;
}

static bool key_stays(uint64_t hash, void *threshold)
{
    return key_unmix(hash) <= *(uint64_t *)threshold;
}

void gm_cache_curve_sim_lower(struct gm_cache_curve_sim *sim, uint64_t threshold)
{
    sim->threshold = threshold;
    sim->counts.whole = false;
    gm_belady_reset(&sim->belady);
    capacities_note(sim);
    for (unsigned i = 0; i < GM_CACHE_CURVE_POINTS; i++) {
        if (!sim->simulations[i])
            continue;
        gm_simulate_keep(sim->simulations[i], key_stays, &threshold);
        gm_simulate_resize(sim->simulations[i], point_units(sim, i));
    }
}

/* The simulated caches are made smaller, as the real one is; larger ones are made anew, as they have places for so many. */
void gm_cache_curve_sim_resize(struct gm_cache_curve_sim *sim, uint64_t capacity_bytes)
{
    bool whole = sim->counts.whole, larger = capacity_bytes > sim->capacity_bytes;
    sim->capacity_bytes = capacity_bytes;
    if (!sim->begun)
        return;
    if (sim->counts.lookups >= LOOKUPS_ENOUGH || sim->counts.lookups > sim->before.lookups)
        gm_cache_curve_sim_result(sim, &sim->before);
    memset(&sim->counts, 0, sizeof sim->counts);
    sim->counts.whole = whole;
    capacities_note(sim);
    if (larger) {
        gm_cache_curve_sim_done(sim);
        gm_cache_curve_sim_begin(sim, sim->entry_bytes);
    }
    for (unsigned i = 0; i < GM_CACHE_CURVE_POINTS && !larger; i++)
        if (sim->simulations[i])
            gm_simulate_resize(sim->simulations[i], point_units(sim, i));
}

void gm_cache_curve_sim_result(
    struct gm_cache_curve_sim *sim, struct gm_cache_curve_result *ret_result)
{
    if (sim->counts.lookups < LOOKUPS_ENOUGH && sim->counts.lookups <= sim->before.lookups) {
        *ret_result = sim->before;
        return;
    }
    for (unsigned i = 0; i < GM_CACHE_CURVE_POINTS; i++)
        if (sim->simulations[i])
            sim->counts.at[i].entries =
                gm_policy_entries(gm_simulation_policy(sim->simulations[i]));
    *ret_result = sim->counts;
}

/* ---- points ---- */

static uint64_t hits_of(const struct gm_cache_curve_capacity *at)
{
    uint64_t hits = 0;
    for (unsigned g = 0; g < GM_CACHE_CURVE_GROUPS; g++)
        hits += at->hits[g];
    return hits;
}

static double ratio_bounded(double ratio)
{
    return ratio < 0 ? 0 : ratio > 1 ? 1 : ratio;
}

/* The jackknife: what the ratio would be without one group, for each. */
static double groups_error(
    const struct gm_cache_curve_result *r, const struct gm_cache_curve_capacity *at)
{
    double without[GM_CACHE_CURVE_GROUPS], mean = 0, squares = 0;
    unsigned count = 0;
    uint64_t hits = hits_of(at);
    for (unsigned g = 0; g < GM_CACHE_CURVE_GROUPS; g++) {
        uint64_t rest = r->lookups - r->group_lookups[g];
        if (rest == 0)
            continue;
        without[count] = (double)(hits - at->hits[g]) / (double)rest;
        mean += without[count++];
    }
    if (count < 2)
        return 1;
    mean /= count;
    for (unsigned i = 0; i < count; i++)
        squares += (without[i] - mean) * (without[i] - mean);
    return 2 * sqrt(squares * (count - 1) / count);
}

/* What the simulated ratio becomes when that of the cache's own capacity, `own`, is made what it told. Where all uses are
 * simulated nothing is known better: misses that no capacity avoids are right as they are. */
static double ratio_made_right(double ratio, double own, double told, bool smaller)
{
    if (smaller)
        return own > 0 ? ratio * told / own : ratio;
    return own < 1 ? 1 - (1 - ratio) * (1 - told) / (1 - own) : told;
}

/* Before the cache has told of any lookup, there is nothing to hold it against. */
static double told_ratio(const struct gm_cache_curve_result *r, double own)
{
    double told = (double)r->told_hits + (double)r->told_misses;
    return told > 0 ? (double)r->told_hits / told : own;
}

void gm_cache_curve_result_points(const struct gm_cache_curve_result *r,
    struct gm_cache_curve_point ret_points[GM_CACHE_CURVE_POINTS])
{
    double lookups = (double)r->lookups;
    double own = (double)hits_of(&r->at[GM_CACHE_CURVE_OWN]) / lookups, told = told_ratio(r, own);
    for (unsigned i = 0; i < GM_CACHE_CURVE_POINTS; i++) {
        const struct gm_cache_curve_capacity *at = &r->at[i];
        double ratio = (double)hits_of(at) / lookups;
        double sampling = r->whole ? 0 : groups_error(r, at);
        ret_points[i] = (struct gm_cache_curve_point){.capacity_bytes = at->capacity_bytes,
            .samples = r->lookups,
            .entries = at->entries,
            .hit_ratio =
                ratio_bounded(r->whole && i != GM_CACHE_CURVE_OWN
                                  ? ratio
                                  : ratio_made_right(ratio, own, told, i < GM_CACHE_CURVE_OWN)),
            .byte_hit_ratio =
                r->bytes ? ratio_bounded((double)at->hit_bytes / (double)r->bytes) : 0,
            .error = i == GM_CACHE_CURVE_OWN ? 0 : ratio_bounded(hypot(sampling, told - own))};
    }
}
