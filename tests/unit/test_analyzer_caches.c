/* test_analyzer_caches.c - what a cache's curve says, on curves whose answer is plain. */
#include <criterion/criterion.h>

#include "analyzer/core/cache_advice.h"

#define MB 1000000ull

/* Points at 1, 2, 4, ... MB. */
static struct gm_cache_curve curve_of(struct gm_cache_point *points, const double *ratios, size_t n)
{
    for (size_t i = 0; i < n; i++)
        points[i] = (struct gm_cache_point){
            .capacity_bytes = MB << i, .hit_ratio = ratios[i], .error = 0.002};
    return (struct gm_cache_curve){.v = points, .n = n, .policy = "lru"};
}

static enum gm_cache_verdict verdict_of(
    const double *ratios, size_t n, uint64_t capacity_bytes, struct gm_cache_advice *ret_advice)
{
    struct gm_cache_point points[8];
    struct gm_cache_curve curve = curve_of(points, ratios, n);
    struct gm_cache cache = {.hits = 500, .misses = 500, .capacity_bytes = capacity_bytes};
    gm_cache_advise(&cache, &curve, 0, ret_advice);
    return ret_advice->verdict;
}

static const double rising[] = {0.1, 0.2, 0.4, 0.8, 0.805, 0.806};
static const double flat[] = {0.9, 0.9, 0.9, 0.9, 0.9, 0.9};
static const double none[] = {0.01, 0.01, 0.01, 0.02, 0.02, 0.03};
static const double endless[] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6};

Test(cache_advice, between_two_points_the_curve_is_straight)
{
    struct gm_cache_point points[6], at;
    struct gm_cache_curve curve = curve_of(points, rising, 6);
    cr_assert(gm_cache_curve_at(&curve, 3 * MB, &at));
    cr_assert_float_eq(at.hit_ratio, 0.3, 1e-9);
    cr_assert(gm_cache_curve_at(&curve, MB, &at));
    cr_assert_float_eq(at.hit_ratio, 0.1, 1e-9);
    cr_assert_not(gm_cache_curve_at(&curve, MB - 1, &at));
    cr_assert_not(gm_cache_curve_at(&curve, (32 * MB) + 1, &at));
    cr_assert_not(gm_cache_curve_at(&(struct gm_cache_curve){0}, MB, &at));
}

Test(cache_advice, enough_is_where_a_point_more_cannot_be_had_and_the_knee_where_it_bends)
{
    struct gm_cache_point points[6];
    struct gm_cache_curve curve = curve_of(points, rising, 6);
    cr_assert_eq(gm_cache_curve_enough(&curve)->capacity_bytes, 8 * MB);
    cr_assert_eq(gm_cache_curve_knee(&curve)->capacity_bytes, 8 * MB);
    curve = curve_of(points, flat, 6);
    cr_assert_eq(gm_cache_curve_enough(&curve)->capacity_bytes, MB);
    cr_assert_null(gm_cache_curve_knee(&curve));
    curve = curve_of(points, endless, 6);
    cr_assert_null(gm_cache_curve_enough(&curve));
}

Test(cache_advice, verdicts_follow_from_the_curve)
{
    struct gm_cache_advice a;
    cr_assert_eq(verdict_of(rising, 6, 2 * MB, &a), GM_CACHE_GROW);
    cr_assert_eq(a.then.capacity_bytes, 8 * MB);
    cr_assert(a.enough);
    cr_assert_eq(verdict_of(rising, 6, 8 * MB, &a), GM_CACHE_FINE);
    cr_assert_eq(verdict_of(rising, 6, 32 * MB, &a), GM_CACHE_SHRINK);
    cr_assert_eq(a.then.capacity_bytes, 8 * MB);
    cr_assert_eq(verdict_of(flat, 6, 4 * MB, &a), GM_CACHE_SHRINK);
    cr_assert_eq(verdict_of(none, 6, 4 * MB, &a), GM_CACHE_NO_REUSE);
    cr_assert_eq(verdict_of(endless, 6, 4 * MB, &a), GM_CACHE_GROW);
    cr_assert_not(a.enough);
    cr_assert_eq(verdict_of(rising, 0, 4 * MB, &a), GM_CACHE_UNKNOWN);
}

Test(cache_advice, where_misses_are_few_a_point_is_much)
{
    struct gm_cache_advice a;
    const double high[] = {0.97, 0.98, 0.985, 0.989, 0.995, 0.9955};
    cr_assert_eq(verdict_of(high, 6, 4 * MB, &a), GM_CACHE_GROW);
    cr_assert_eq(a.then.capacity_bytes, 16 * MB);
    cr_assert_eq(verdict_of(high, 6, 16 * MB, &a), GM_CACHE_FINE);
    cr_assert_float_eq(gm_cache_matters(0.5), 0.01, 1e-9);
    cr_assert_float_eq(gm_cache_matters(0.95), 0.005, 1e-9);
    cr_assert_float_eq(gm_cache_matters(1), 0.002, 1e-9);
}

Test(cache_advice, a_gain_within_the_error_is_no_advice)
{
    struct gm_cache_point points[6];
    const double noisy[] = {0.50, 0.51, 0.52, 0.53, 0.54, 0.55};
    struct gm_cache_curve curve = curve_of(points, noisy, 6);
    struct gm_cache cache = {.hits = 500, .misses = 500, .capacity_bytes = 4 * MB};
    struct gm_cache_advice a;
    for (size_t i = 0; i < 6; i++)
        points[i].error = 0.05;
    gm_cache_advise(&cache, &curve, 0, &a);
    cr_assert_eq(a.verdict, GM_CACHE_FINE);
}

Test(cache_advice, bytes_go_to_where_they_bring_most_hits)
{
    struct gm_cache_point points[2][6];
    struct gm_cache_curve curves[] = {curve_of(points[0], rising, 6), curve_of(points[1], flat, 6)};
    struct gm_cache caches[] = {{.hits = 200, .misses = 800, .capacity_bytes = 2 * MB},
        {.hits = 900, .misses = 100, .capacity_bytes = 8 * MB}};
    struct gm_cache_share shares[2];
    double gained = gm_caches_split((const struct gm_cache *[]){&caches[0], &caches[1]},
        (const struct gm_cache_curve *[]){&curves[0], &curves[1]}, 2, shares);
    /* 1 MB of the second gives 900 hits, 8 MB of the first 800; what is left gives it next to nothing. */
    cr_assert_eq(shares[1].capacity_bytes, MB);
    cr_assert_eq(shares[0].capacity_bytes, 9 * MB);
    cr_assert_float_eq(gained, 600.6, 0.5);
    cr_assert_float_eq(shares[0].hit_ratio_now, 0.2, 1e-9);
    cr_assert_float_eq(shares[1].hit_ratio, 0.9, 1e-9);
}

Test(cache_advice, a_class_is_shown_by_its_name_or_its_number)
{
    char text[16];
    cr_assert_str_eq(
        gm_cache_class_text(&(struct gm_cache_part){.id = 5, .name = (char[]){"rows"}}, text),
        "rows");
    cr_assert_str_eq(
        gm_cache_class_text(&(struct gm_cache_part){.id = UINT32_MAX}, text), "4294967295");
    cr_assert_str_eq(gm_cache_class_text(&(struct gm_cache_part){0}, text), "-");
}

Test(cache_advice, pins_have_leaked_when_they_are_old_or_their_process_is_gone)
{
    struct gm_cache_pin pins[] = {{.age_ns = 20000000000}, {.age_ns = 5}};
    struct gm_cache_pins two = {.v = pins, .n = 2};
    cr_assert_eq(gm_cache_pins_leaked(&two, false), 1);
    cr_assert_eq(gm_cache_pins_leaked(&two, true), 2);
    cr_assert_eq(gm_cache_pins_leaked(&(struct gm_cache_pins){0}, true), 0);
}
