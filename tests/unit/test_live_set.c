/* The live set against a plain array, and what it may cost. */
#include <criterion/criterion.h>
#include <errno.h>

#include "collector/live_set.h"
#include "wire_words.h"

#define ADDRESS(i) (0x7f0000000000ull + (uint64_t)(i)*16)

static struct gm_live_block block_of(uint64_t i)
{
    struct gm_live_block b = {
        .address = ADDRESS(i), .size_bytes = i * 3, .birth_granule = i, .site = (uint32_t)i};
    gm_live_block_set_birth_ns(&b, i * 0x123456789abull);
    return b;
}

static void expect_block(const struct gm_live_block *b, uint64_t i)
{
    struct gm_live_block want = block_of(i);
    cr_assert(b);
    cr_assert_arr_eq(b, &want, sizeof want);
    cr_assert_eq(gm_live_block_birth_ns(b), i * 0x123456789abull);
}

static void drive(uint64_t seed, size_t places, size_t operations)
{
    struct rng rng = {seed};
    struct gm_live_set set;
    bool *live = calloc(places, sizeof *live);
    size_t n = 0;
    gm_live_set_init(&set);
    for (size_t k = 0; k < operations; k++) {
        uint64_t i = rng_below(&rng, places);
        bool growing = (k / places) % 2 == 0; /* in turns mostly filling, mostly emptying */
        struct gm_live_block b = block_of(i), got;
        if (rng_below(&rng, 4) < (growing ? 3 : 1)) {
            cr_assert_eq(gm_live_set_insert(&set, &b), live[i] ? -EEXIST : 0);
            n += !live[i];
            live[i] = true;
        } else {
            cr_assert_eq(gm_live_set_remove(&set, ADDRESS(i), &got), live[i]);
            if (live[i])
                expect_block(&got, i);
            n -= live[i];
            live[i] = false;
        }
        cr_assert_eq(set.n, n);
        if (k % (operations / 20) == 0)
            cr_assert_null(gm_live_set_check(&set), "seed %lu: %s", seed, gm_live_set_check(&set));
    }
    for (size_t i = 0; i < places; i++) {
        const struct gm_live_block *b = gm_live_set_find(&set, ADDRESS(i));
        if (live[i])
            expect_block(b, i);
        else
            cr_assert_null(b);
    }
    cr_assert_null(gm_live_set_check(&set));
    gm_live_set_done(&set);
    free(live);
}

Test(live_set, agrees_with_a_plain_array_while_small)
{
    for (uint64_t seed = 1; seed <= 20; seed++)
        drive(seed, 200, 20000);
}

Test(live_set, agrees_with_a_plain_array_across_the_step_to_shards)
{
    drive(7, 30000, 400000);
}

Test(live_set, an_empty_set_knows_no_block_and_holds_no_memory)
{
    struct gm_live_set set;
    struct gm_live_block b;
    gm_live_set_init(&set);
    cr_assert_null(gm_live_set_find(&set, ADDRESS(1)));
    cr_assert_not(gm_live_set_remove(&set, ADDRESS(1), &b));
    cr_assert_not(gm_live_set_remove(&set, 0, &b));
    cr_assert_eq(gm_live_set_bytes(&set), 0);
    cr_assert_null(gm_live_set_check(&set));
    gm_live_set_done(&set);
}

Test(live_set, a_block_costs_at_most_64_bytes_at_every_size)
{
    struct gm_live_set set;
    gm_live_set_init(&set);
    for (uint64_t i = 0; i < 400000; i++) {
        struct gm_live_block b = block_of(i);
        cr_assert_eq(gm_live_set_insert(&set, &b), 0);
        size_t largest = 0;
        for (uint32_t s = 0; i % 1000 == 0 && s < set.shard_count; s++)
            if (set.shards[s].room > largest)
                largest = set.shards[s].room;
        /* While a shard grows its old slots are still there. */
        size_t transient = set.shard_count > 1 ? largest * sizeof(struct gm_live_slot) : 0;
        if (i > 50000 && i % 1000 == 0)
            cr_assert_leq(gm_live_set_bytes(&set) + transient, 64 * i, "%zu bytes for %lu blocks",
                gm_live_set_bytes(&set) + transient, i);
    }
    gm_live_set_done(&set);
}

Test(live_set, the_check_notices_a_block_in_the_wrong_place)
{
    struct gm_live_set set;
    gm_live_set_init(&set);
    for (uint64_t i = 0; i < 20; i++) {
        struct gm_live_block b = block_of(i);
        cr_assert_eq(gm_live_set_insert(&set, &b), 0);
    }
    cr_assert_null(gm_live_set_check(&set));
    set.n++;
    cr_assert_str_eq(gm_live_set_check(&set), "the set miscounts its blocks");
    set.n--;
    /* Entries stand in the order of their hash: the first and the last in each other's place are wrong whatever
     * the seed. */
    struct gm_live_slot *slots = set.shards[0].slots, *first = NULL, *last = NULL;
    for (uint32_t i = 0; i < set.shards[0].room; i++)
        if (slots[i].id) {
            first = first ? first : &slots[i];
            last = &slots[i];
        }
    cr_assert(first && first != last);
    struct gm_live_slot held = *first;
    *first = *last;
    *last = held;
    cr_assert_not_null(gm_live_set_check(&set));
    gm_live_set_done(&set);
}
