/* Blocks that died in the nursery come out at their positions, near ones and far ones, whatever else waits. */
#include <criterion/criterion.h>

#include "collector/young.h"
#include "wire_words.h"

#define BLOCKS 4000

static uint64_t random_life(struct rng *rng)
{
    switch (rng_below(rng, 4)) {
    case 0:
        return 4;
    case 1:
        return 4 + rng_below(rng, 60);
    case 2:
        return 4 + rng_below(rng, 3 * GM_YOUNG_NEAR);
    default:
        return GM_YOUNG_NEAR - 4 + rng_below(rng, 8);
    }
}

/* Each block's birth_granule is its number, its size the position of its death. */
static void drive(uint64_t seed)
{
    struct rng rng = {seed};
    struct gm_young young = {0};
    struct gm_young_block block;
    uint64_t position = rng_below(&rng, 10000), out = 0;
    uint64_t *death = calloc(BLOCKS, sizeof *death);
    for (uint64_t i = 0; i < BLOCKS; i++) {
        death[i] = position + random_life(&rng);
        block = (struct gm_young_block){
            .death_position = death[i], .birth_granule = i, .size_bytes = death[i]};
        cr_assert_eq(gm_young_put(&young, position, &block), 0);
        uint64_t before = position;
        position += rng_below(&rng, 50) ? rng_below(&rng, 6) : rng_below(&rng, 5 * GM_YOUNG_NEAR);
        while (gm_young_due(&young, position) && gm_young_take(&young, position, &block)) {
            uint64_t k = block.birth_granule;
            cr_assert_eq(block.size_bytes, death[k], "seed %lu", seed);
            cr_assert(death[k] > before, "seed %lu: block %lu is late", seed, k);
            cr_assert_leq(death[k], position, "seed %lu: block %lu is early", seed, k);
            death[k] = UINT64_MAX;
            out++;
        }
        for (uint64_t k = 0; i % 64 == 0 && k <= i; k++)
            cr_assert(death[k] > position, "seed %lu: block %lu was due at %lu", seed, k, death[k]);
    }
    while (gm_young_due(&young, UINT64_MAX) && gm_young_take(&young, UINT64_MAX, &block))
        out++;
    cr_assert_eq(out, BLOCKS);
    gm_young_done(&young);
    free(death);
}

Test(young, come_out_where_they_died)
{
    for (uint64_t seed = 1; seed <= 30; seed++)
        drive(seed);
}
