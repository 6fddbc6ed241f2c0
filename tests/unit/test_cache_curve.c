/* Miss-ratio curves: of all keys they are what a cache of that capacity does; of some, close to it. */
#include <criterion/criterion.h>

#include <malloc.h>
#include <math.h>

#include "collector/cache_curve.h"
#include "wire_words.h"

#define LRU 1u
#define OTHER 255u

static struct gm_cache_curves *curves;
static struct gm_cache_curve *curve;
static struct gm_cache_curve_point points[GM_CACHE_CURVE_POINTS];
static struct gm_cache_curve_best best;

static void set_up(void)
{
    cr_assert_eq(gm_cache_curves_create(&curves), 0);
}
static void tear_down(void)
{
    gm_cache_curve_free(curves, curve);
    gm_cache_curves_free(curves);
}
TestSuite(cache_curve, .init = set_up, .fini = tear_down);

static uint64_t spread(uint64_t object)
{
    struct rng rng = {object};
    return rng_next(&rng);
}

/* A cache of `capacity` entries of 10 bytes that is used in a loop over `objects`, as LRU. */
static void use_loop(unsigned objects, unsigned rounds)
{
    for (unsigned i = 0; i < objects * rounds; i++)
        gm_cache_curve_use(curves, curve, GM_CACHE_CURVE_MISS, spread(i % objects), 10, 0);
}

Test(cache_curve, a_loop_is_hit_by_whatever_holds_all_of_it)
{
    cr_assert_eq(gm_cache_curve_create(curves, OTHER, 1000, UINT64_MAX, &curve), 0);
    cr_assert_not(gm_cache_curve_read(curves, curve, points, &best), "nothing is known yet");
    use_loop(300, 10);
    cr_assert(gm_cache_curve_is_behind(curves, curve));
    gm_cache_curves_finish(curves);
    cr_assert_not(gm_cache_curve_is_behind(curves, curve));
    cr_assert(gm_cache_curve_read(curves, curve, points, &best));
    cr_assert_str_eq(gm_cache_curve_policy_name(curve), "lru");
    for (unsigned i = 0; i < GM_CACHE_CURVE_POINTS; i++) {
        cr_expect_eq(points[i].hit_ratio, points[i].capacity_bytes >= 3000 ? 0.9 : 0, "%u: %g", i,
            points[i].hit_ratio);
        cr_expect_eq(points[i].samples, 3000);
    }
    cr_expect_eq(points[GM_CACHE_CURVE_OWN].capacity_bytes, 1000);
    cr_expect_eq(points[0].capacity_bytes, 125);
    cr_expect_eq(points[GM_CACHE_CURVE_POINTS - 1].capacity_bytes, 8000);
    cr_assert_not(gm_cache_curve_read(curves, curve, points, &best), "it has been read");
}

Test(cache_curve, what_the_program_takes_out_is_missed_by_all)
{
    cr_assert_eq(gm_cache_curve_create(curves, LRU, 1000, UINT64_MAX, &curve), 0);
    for (unsigned i = 0; i < 100; i++) {
        gm_cache_curve_use(curves, curve, GM_CACHE_CURVE_STORE, spread(1), 10, 0);
        gm_cache_curve_use(curves, curve, GM_CACHE_CURVE_HIT, spread(1), 10, 0);
        gm_cache_curve_use(curves, curve, GM_CACHE_CURVE_GONE, spread(1), 0, 0);
        gm_cache_curve_use(curves, curve, GM_CACHE_CURVE_MISS, spread(1), 0, 0);
    }
    gm_cache_curves_finish(curves);
    cr_assert(gm_cache_curve_read(curves, curve, points, &best));
    for (unsigned i = 0; i < GM_CACHE_CURVE_POINTS; i++)
        cr_expect_eq(points[i].hit_ratio, 0.5, "%u: %g", i, points[i].hit_ratio);
}

/* Uses of which few objects have most. */
static unsigned use_skewed(struct rng *rng, unsigned uses, unsigned objects)
{
    unsigned known = 0;
    for (unsigned i = 0; i < uses; i++) {
        double x = (double)(rng_below(rng, 1000000) + 1) / 1e6;
        uint64_t object = (uint64_t)((double)objects * x * x * x);
        gm_cache_curve_use(curves, curve, GM_CACHE_CURVE_MISS, spread(object), 10, 0);
        known++;
    }
    return known;
}

Test(cache_curve, an_eighth_of_the_keys_gives_about_the_same)
{
    struct gm_cache_curve_point all[GM_CACHE_CURVE_POINTS];
    for (unsigned some = 0; some < 2; some++) {
        struct rng rng = {99};
        cr_assert_eq(gm_cache_curve_create(curves, LRU, 40000, UINT64_MAX, &curve), 0);
        use_skewed(&rng, 20000, 20000);
        if (some)
            gm_cache_curve_lower(curves, curve, UINT64_MAX >> 3);
        use_skewed(&rng, 80000, 20000);
        gm_cache_curves_finish(curves);
        cr_assert(gm_cache_curve_read(curves, curve, some ? points : all, &best));
        gm_cache_curve_free(curves, curve);
        curve = NULL;
    }
    cr_expect_lt(points[0].samples, 100000u / 6);
    for (unsigned i = 0; i < GM_CACHE_CURVE_POINTS; i++)
        cr_expect_lt(fabs(points[i].hit_ratio - all[i].hit_ratio), 0.05, "%u: %g, %g", i,
            points[i].hit_ratio, all[i].hit_ratio);
    cr_expect_lt(
        points[GM_CACHE_CURVE_POINTS - 1].entries, 20000u / 6, "those of other keys are gone");
}

Test(cache_curve, what_the_cache_told_makes_a_part_of_the_keys_right)
{
    struct rng rng = {5};
    cr_assert_eq(gm_cache_curve_create(curves, LRU, 40000, UINT64_MAX >> 3, &curve), 0);
    use_skewed(&rng, 100000, 20000);
    gm_cache_curve_state(curve, 60000, 40000, 4000);
    gm_cache_curves_finish(curves);
    cr_assert(gm_cache_curve_read(curves, curve, points, &best));
    cr_expect(fabs(points[GM_CACHE_CURVE_OWN].hit_ratio - 0.6) < 1e-9);
    cr_expect_eq(points[GM_CACHE_CURVE_OWN].error, 0);
    for (unsigned i = 1; i < GM_CACHE_CURVE_POINTS; i++)
        cr_expect_geq(points[i].hit_ratio, points[i - 1].hit_ratio);
}

Test(cache_curve, another_capacity_moves_the_points_and_keeps_what_is_known_until_there_is_more)
{
    cr_assert_eq(gm_cache_curve_create(curves, LRU, 1000, UINT64_MAX, &curve), 0);
    use_loop(300, 10);
    gm_cache_curve_resize(curves, curve, 4000);
    gm_cache_curves_finish(curves);
    cr_assert(gm_cache_curve_read(curves, curve, points, &best));
    cr_expect_eq(points[GM_CACHE_CURVE_OWN].capacity_bytes, 1000);
    use_loop(300, 10);
    gm_cache_curves_finish(curves);
    cr_assert(gm_cache_curve_read(curves, curve, points, &best));
    cr_expect_eq(points[GM_CACHE_CURVE_OWN].capacity_bytes, 4000);
    cr_expect_geq(points[GM_CACHE_CURVE_OWN].hit_ratio, 0.9);
}

/* More than a buffer holds, without ever waiting: uses are left out, or keys, and there is a curve in the end. */
Test(cache_curve, more_than_can_be_simulated_is_thinned_out)
{
    struct rng rng = {7};
    cr_assert_eq(gm_cache_curve_create(curves, LRU, 1000000, UINT64_MAX, &curve), 0);
    gm_cache_curve_state(curve, 1, 1, 100000);
    use_skewed(&rng, 400000, 200000);
    gm_cache_curve_state(curve, 500000, 500000, 100000);
    gm_cache_curves_finish(curves);
    cr_assert(gm_cache_curve_read(curves, curve, points, &best));
    cr_expect_gt(points[0].samples, 10000);
    cr_expect(fabs(points[GM_CACHE_CURVE_OWN].hit_ratio - 0.5) < 1e-5);
}

Test(cache_curve, no_capacity_is_too_large_to_be_simulated)
{
    const uint64_t capacities[] = {1ull << 61, (1ull << 62) + 1, UINT64_MAX};
    for (unsigned c = 0; c < 3; c++) {
        cr_assert_eq(gm_cache_curve_create(curves, c, capacities[c], UINT64_MAX, &curve), 0);
        use_loop(300, 10);
        gm_cache_curve_resize(curves, curve, 1000);
        use_loop(300, 10);
        gm_cache_curve_resize(curves, curve, capacities[c]);
        use_loop(300, 10);
        gm_cache_curves_finish(curves);
        cr_assert(gm_cache_curve_read(curves, curve, points, &best));
        cr_expect_eq(points[GM_CACHE_CURVE_OWN].capacity_bytes, GM_CACHE_CURVE_CAPACITY_MAX);
        for (unsigned i = 0; i < GM_CACHE_CURVE_POINTS; i++) {
            cr_expect_eq(points[i].hit_ratio, 0.9, "%u: %g", i, points[i].hit_ratio);
            cr_expect_eq(points[i].byte_hit_ratio, 0.9);
            cr_expect(i == 0 || points[i].capacity_bytes > points[i - 1].capacity_bytes);
        }
        gm_cache_curve_free(curves, curve);
        curve = NULL;
    }
}

/* Malloc's own count, which a sanitizer's leaves at 0. */
static size_t bytes_allocated(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

Test(cache_curve, states_and_changes_of_capacity_take_no_memory)
{
    cr_assert_eq(gm_cache_curve_create(curves, LRU, 1000, UINT64_MAX, &curve), 0);
    use_loop(300, 10);
    size_t before = bytes_allocated();
    for (uint64_t i = 1; i <= 100000; i++) {
        gm_cache_curve_state(curve, 1, 1, 100);
        gm_cache_curve_resize(curves, curve, 1000 + i % 100);
    }
    cr_expect_lt(bytes_allocated(), before + 100000);
    gm_cache_curve_resize(curves, curve, 5000);
    use_loop(300, 10);
    gm_cache_curve_state(curve, 2700, 300, 300);
    gm_cache_curves_finish(curves);
    cr_assert(gm_cache_curve_read(curves, curve, points, &best));
    cr_expect_eq(points[GM_CACHE_CURVE_OWN].capacity_bytes, 5000);
    cr_expect_gt(points[GM_CACHE_CURVE_OWN].samples, 2999);
}
