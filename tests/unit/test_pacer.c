/* The pacer, driven by figures: how large the nursery becomes. */
#include <criterion/criterion.h>

#include "libgeomem/gc/pacer.h"

#define MB ((uint64_t)1 << 20)
#define MS 1000000u

static struct gm_pacer pacer_with_old(uint64_t old_bytes)
{
    static const struct geomem_heap_options options = {.struct_bytes = sizeof options};
    struct gm_pacer pacer;
    gm_pacer_init(&pacer, &options, 0);
    gm_pacer_after_old(&pacer, old_bytes, old_bytes, old_bytes, old_bytes, 1000u * MS);
    return pacer;
}

/* Young collections of a program whose pauses are so long: a part for each, and one for each MiB of nursery. */
static void collect(struct gm_pacer *pacer, double fixed_ns, double ns_per_mib)
{
    for (int i = 0; i < 100; i++) {
        uint64_t young = pacer->young_bytes;
        double rest = ns_per_mib * (double)young / (double)MB;
        struct geomem_gc_cycle cycle = {.young_before_bytes = young};
        cycle.phase_ns[GEOMEM_PHASE_ROOTS] = (uint64_t)fixed_ns;
        cycle.phase_ns[GEOMEM_PHASE_MARK] = (uint64_t)rest;
        gm_pacer_after_young(pacer, &cycle, (uint64_t)(fixed_ns + rest));
    }
}

static double nursery_mib(uint64_t old_bytes, double fixed_ns, double ns_per_mib)
{
    struct gm_pacer pacer = pacer_with_old(old_bytes);
    collect(&pacer, fixed_ns, ns_per_mib);
    return (double)pacer.young_bytes / (double)MB;
}

Test(pacer, a_nursery_that_costs_nothing_is_a_part_of_what_lives)
{
    cr_expect_float_eq(nursery_mib(100 * MB, 0, 0), 25, 0.1);
    cr_expect_float_eq(nursery_mib(1 * MB, 0, 0), 4, 0.1);
    cr_expect_float_eq(nursery_mib(10000 * MB, 0, 0), 64, 0.1);
}

Test(pacer, a_nursery_is_as_large_as_its_pause_allows)
{
    cr_expect_float_eq(nursery_mib(100 * MB, 0, 0.25 * MS), 6, 0.1);
    cr_expect_float_eq(nursery_mib(100 * MB, 0, 3 * MS), 1, 0.01, "never below 1 MiB");
}

Test(pacer, where_getting_there_is_dear_the_pause_may_be_twice_that)
{
    cr_expect_float_eq(nursery_mib(100 * MB, 1 * MS, 0.25 * MS), 4, 0.1);
    cr_expect_float_eq(nursery_mib(100 * MB, 2 * MS, 0.25 * MS), 4, 0.1, "up to 3 ms");
    cr_expect_float_eq(nursery_mib(100 * MB, 5 * MS, 0.25 * MS), 8, 0.01,
        "beyond, a size that does not follow it");
}

/* A heap of 20 MiB, marked in 5 ms, in which all of the young survive: then so much that a full collection does not fit in
 * its pause; and one in which the young begin to die. */
static struct gm_pacer pacer_with_survivors(uint64_t old_bytes)
{
    struct gm_pacer pacer = pacer_with_old(old_bytes);
    for (int i = 0; i < 10 && !gm_pacer_wants_full(&pacer); i++) {
        struct geomem_gc_cycle cycle = {.young_before_bytes = 4 * MB, .promoted_bytes = 4 * MB};
        cycle.phase_ns[GEOMEM_PHASE_MARK] = 2 * MS;
        gm_pacer_after_young(&pacer, &cycle, 2 * MS);
        gm_pacer_after_old(
            &pacer, old_bytes, old_bytes, old_bytes / 4, old_bytes / 4, (1001u + i) * MS);
    }
    return pacer;
}

Test(pacer, where_all_survive_full_collections_take_over_while_their_pause_is_short)
{
    struct gm_pacer pacer = pacer_with_survivors(20 * MB);
    cr_expect(gm_pacer_wants_full(&pacer));
    cr_expect(pacer.young_bytes == 20 * MB);
    pacer = pacer_with_survivors(200 * MB);
    cr_expect(!gm_pacer_wants_full(&pacer));
}

Test(pacer, they_end_when_the_young_die)
{
    struct gm_pacer pacer = pacer_with_survivors(20 * MB);
    struct geomem_gc_cycle cycle = {.young_before_bytes = 20 * MB, .promoted_bytes = 15 * MB};
    gm_pacer_after_full(&pacer, &cycle);
    gm_pacer_after_old(&pacer, 20 * MB, 20 * MB, 5 * MS, 5 * MS, 1100u * MS);
    cr_expect(gm_pacer_wants_full(&pacer));
    cycle.promoted_bytes = MB;
    gm_pacer_after_full(&pacer, &cycle);
    gm_pacer_after_old(&pacer, 20 * MB, 20 * MB, 5 * MS, 5 * MS, 1200u * MS);
    cr_expect(!gm_pacer_wants_full(&pacer));
}

Test(pacer, the_programs_wish_comes_before_all_that)
{
    const struct geomem_heap_options options = {
        .struct_bytes = sizeof options, .young_bytes = 2 * MB};
    struct gm_pacer pacer;
    gm_pacer_init(&pacer, &options, 0);
    collect(&pacer, 5 * MS, 1 * MS);
    cr_expect_eq(pacer.young_bytes, 2 * MB);
}

Test(pacer, the_old_generation_stays_in_the_room_that_a_container_leaves)
{
    struct gm_pacer pacer = pacer_with_old(100 * MB);
    uint64_t limit = pacer.old_limit_bytes;
    cr_expect_geq(limit, 125 * MB);
    gm_pacer_set_room(&pacer, 140 * MB);
    cr_expect_leq(pacer.old_limit_bytes, 112 * MB);
    cr_expect_gt(pacer.old_limit_bytes, 110 * MB);
    cr_expect_leq(pacer.young_bytes, 140 * MB / 8);
    gm_pacer_set_room(&pacer, 50 * MB);
    cr_expect_eq(pacer.old_limit_bytes, 101 * MB, "no less than lives, and a little");
    gm_pacer_set_room(&pacer, 0);
    cr_expect_eq(pacer.old_limit_bytes, limit);
}
