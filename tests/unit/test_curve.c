/* test_curve.c - predictions for other capacities against simulations of those capacities. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "libgeomem/policy/curve.h"
#include "libgeomem/policy/nodes.h"
#include "libgeomem/policy/simulate.h"

enum { KEYS = 100000, USES = 600000, CAPACITY = 8192 };

/* Hot keys are many times likelier than cold ones, as in most caches. */
static uint64_t draw(uint64_t *random)
{
    uint64_t limit = 2 + gm_policy_random(random) % KEYS;
    limit = 2 + gm_policy_random(random) % limit;
    return gm_policy_random(random) % limit;
}

static double real_ratio(
    enum gm_policy_kind kind, uint64_t capacity, uint64_t charge, uint64_t seed)
{
    struct gm_policy_config config = {
        .kind = kind, .capacity = capacity * charge, .slots = (uint32_t)capacity, .seed = seed};
    struct gm_simulation *simulation;
    cr_assert_eq(gm_simulation_create(&config, &simulation), 0);
    uint64_t random = gm_policy_random_seed(seed);
    uint64_t hits = 0;
    for (int i = 0; i < USES; i++)
        hits += gm_simulate_use(simulation, gm_policy_mix(draw(&random) + 1), charge, 0);
    gm_simulation_free(simulation);
    return (double)hits / USES;
}

static struct gm_curve *curve_fed(const struct gm_curve_config *config, uint64_t charge)
{
    struct gm_curve *curve;
    cr_assert_eq(gm_curve_create(config, &curve), 0);
    uint64_t random = gm_policy_random_seed(config->seed);
    for (int i = 0; i < USES; i++) {
        uint64_t hash = gm_policy_mix(draw(&random) + 1);
        if (hash <= config->threshold)
            gm_curve_use(curve, hash, charge, 0);
    }
    gm_curve_total(curve, USES);
    return curve;
}

static void predict(enum gm_policy_kind kind, uint64_t charge, double most_off)
{
    uint64_t seed = (uint64_t)time(NULL);
    fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    struct gm_curve_config config = {.kind = kind,
        .capacity = CAPACITY * charge,
        .entry = charge,
        .threshold = UINT64_MAX / 4,
        .seed = seed};
    struct gm_curve *curve = curve_fed(&config, charge);
    struct gm_curve_point points[GM_CURVE_POINTS];
    gm_curve_read(curve, points);
    for (unsigned i = 1; i < GM_CURVE_POINTS - 1; i++) {
        double real = real_ratio(kind, points[i].capacity / charge, charge, seed);
        cr_expect_float_eq(points[i].hit_ratio, real, most_off, "%g times: %f, really %f",
            (double)points[i].capacity / (double)charge / CAPACITY, points[i].hit_ratio, real);
        cr_expect(points[i].error > 0 && points[i].error < 0.1, "error %f", points[i].error);
    }
    gm_curve_free(curve);
}

Test(curve, predicts_lru_at_other_capacities)
{
    predict(GM_POLICY_LRU, 1, 0.03);
}

Test(curve, predicts_the_adaptive_policy_at_other_capacities, .timeout = 100)
{
    predict(GM_POLICY_ADAPTIVE, 1, 0.03);
}

Test(curve, takes_the_mean_charge_from_the_first_use_if_not_told)
{
    struct gm_curve_config config = {
        .kind = GM_POLICY_LRU, .capacity = 4096 * 100, .threshold = UINT64_MAX, .seed = 1};
    struct gm_curve *curve = curve_fed(&config, 100);
    struct gm_curve_point points[GM_CURVE_POINTS];
    gm_curve_read(curve, points);
    cr_assert_eq(points[GM_CURVE_PRESENT].capacity, 4096 * 100);
    double real = real_ratio(GM_POLICY_LRU, 4096, 100, 1);
    cr_expect_float_eq(points[GM_CURVE_PRESENT].hit_ratio, real, 0.03);
    gm_curve_free(curve);
}

Test(curve, with_every_key_it_is_exact)
{
    struct gm_curve_config config = {
        .kind = GM_POLICY_LRU, .capacity = 512, .entry = 1, .threshold = UINT64_MAX, .seed = 1};
    struct gm_curve *curve = curve_fed(&config, 1);
    struct gm_curve_point points[GM_CURVE_POINTS];
    gm_curve_read(curve, points);
    cr_expect_float_eq(
        points[GM_CURVE_PRESENT].hit_ratio, real_ratio(GM_POLICY_LRU, 512, 1, 1), 1e-9);
    cr_expect_eq(points[GM_CURVE_PRESENT].error, 0);
    gm_curve_free(curve);
}

Test(curve, can_be_thinned_and_resized_and_has_nothing_to_say_without_uses)
{
    struct gm_curve_config config = {
        .kind = GM_POLICY_S3FIFO, .capacity = 1000, .entry = 1, .threshold = UINT64_MAX, .seed = 1};
    struct gm_curve *curve;
    struct gm_curve_point points[GM_CURVE_POINTS];
    cr_assert_eq(gm_curve_create(&config, &curve), 0);
    gm_curve_read(curve, points);
    cr_expect_eq(points[0].error, 1);
    for (int i = 0; i < 70; i++)
        gm_curve_thin(curve);
    gm_curve_use(curve, 0, 1, 0);
    cr_expect_eq(gm_curve_resize(curve, 0), -EINVAL);
    cr_expect_eq(gm_curve_resize(curve, 2000), 0);
    gm_curve_read(curve, points);
    cr_expect_eq(points[GM_CURVE_PRESENT].capacity, 2000);
    gm_curve_free(curve);
    gm_curve_free(NULL);
}
