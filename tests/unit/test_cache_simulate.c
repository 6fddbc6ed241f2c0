/* What the simulations predict for other capacities, beside caches of those capacities. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <time.h>

#include "collector/cache_simulate.h"
#include "libgeomem/policy/nodes.h"
#include "libgeomem/policy/simulate.h"

enum { ADAPTIVE, LRU }; /* as in geomem/listener.h */
enum { KEYS = 100000, USES = 600000, CAPACITY = 8192 /* entries */ };

/* Hot keys are many times likelier than cold ones, as in most caches. */
static uint64_t draw(uint64_t *random)
{
    uint64_t limit = 2 + gm_policy_random(random) % KEYS;
    limit = 2 + gm_policy_random(random) % limit;
    return gm_policy_mix(gm_policy_random(random) % limit + 1);
}

/* Of a cache of so many entries; with `sim`, that is told of its uses. */
static double cache_use(enum gm_policy_kind kind, uint64_t entries, uint64_t charge, uint64_t seed,
    struct gm_cache_curve_sim *sim)
{
    struct gm_policy_config config = {
        .kind = kind, .capacity = entries * charge, .slots = (uint32_t)entries, .seed = seed};
    struct gm_simulation *cache;
    cr_assert_eq(gm_simulation_create(&config, &cache), 0);
    uint64_t random = gm_policy_random_seed(seed), hits = 0;
    for (int i = 0; i < USES; i++) {
        struct gm_cache_curve_sim_event event = {.key = draw(&random), .bytes = charge};
        bool hit = gm_simulate_use(cache, event.key, charge, 0);
        event.use = hit ? GM_CACHE_CURVE_HIT : GM_CACHE_CURVE_MISS;
        hits += hit;
        if (sim)
            gm_cache_curve_sim_use(sim, &event);
    }
    gm_simulation_free(cache);
    if (sim)
        gm_cache_curve_sim_state(sim, hits, USES - hits);
    return (double)hits / USES;
}

static void predict(uint32_t policy, enum gm_policy_kind kind, uint64_t entries, uint64_t charge,
    uint64_t threshold, uint64_t seed, struct gm_cache_curve_point *ret_points)
{
    struct gm_cache_curve_sim sim;
    struct gm_cache_curve_result result;
    gm_cache_curve_sim_init(&sim, policy, entries * charge, threshold);
    double own = cache_use(kind, entries, charge, seed, &sim);
    gm_cache_curve_sim_result(&sim, &result);
    gm_cache_curve_sim_done(&sim);
    gm_cache_curve_result_points(&result, ret_points);
    cr_expect_float_eq(ret_points[GM_CACHE_CURVE_OWN].hit_ratio, own, 1e-9);
}

/* A quarter of the keys: 2,048 entries, as many as libgeomem's caches tell of. */
static void predict_sampled(uint32_t policy, enum gm_policy_kind kind, uint64_t charge)
{
    uint64_t seed = (uint64_t)time(NULL);
    struct gm_cache_curve_point points[GM_CACHE_CURVE_POINTS];
    fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    predict(policy, kind, CAPACITY, charge, UINT64_MAX / 4, seed, points);
    for (unsigned i = 0; i < GM_CACHE_CURVE_POINTS; i += 2) {
        double real = cache_use(kind, points[i].capacity_bytes / charge, charge, seed, NULL);
        cr_expect_float_eq(points[i].hit_ratio, real, 0.03, "%g times: %f, really %f",
            (double)points[i].capacity_bytes / (double)charge / CAPACITY, points[i].hit_ratio,
            real);
        cr_expect(i == GM_CACHE_CURVE_OWN || (points[i].error > 0 && points[i].error < 0.1),
            "error %f", points[i].error);
    }
}

Test(cache_simulate, predicts_lru_from_a_sample)
{
    predict_sampled(LRU, GM_POLICY_LRU, 1);
}

Test(cache_simulate, predicts_the_adaptive_policy_from_a_sample, .timeout = 100)
{
    predict_sampled(ADAPTIVE, GM_POLICY_ADAPTIVE, 1);
}

Test(cache_simulate, takes_the_mean_charge_from_the_first_use_if_not_told)
{
    predict_sampled(LRU, GM_POLICY_LRU, 100);
}

Test(cache_simulate, with_every_key_it_is_exact)
{
    struct gm_cache_curve_point points[GM_CACHE_CURVE_POINTS];
    predict(LRU, GM_POLICY_LRU, 512, 1, UINT64_MAX, 1, points);
    for (unsigned i = 0; i < GM_CACHE_CURVE_POINTS; i++) {
        double real = cache_use(GM_POLICY_LRU, points[i].capacity_bytes, 1, 1, NULL);
        cr_expect_float_eq(
            points[i].hit_ratio, real, 1e-9, "%u: %f, really %f", i, points[i].hit_ratio, real);
        cr_expect_eq(points[i].error, 0);
    }
}
