/* Promotions and deaths by age against a model that looks at every block after every allocation. */
#include <criterion/criterion.h>

#include "collector/generations.h"
#include "wire_words.h"

#define BLOCKS 3000

struct model_block {
    uint64_t birth;
    unsigned generation;
    bool live;
};

struct counts {
    uint64_t promoted[GM_GENERATIONS - 1];
    uint64_t site_promoted[8][GM_GENERATIONS - 1];
};

static void count_promotion(void *arg, uint32_t site, unsigned from, uint64_t blocks)
{
    struct counts *c = arg;
    cr_assert_eq(blocks, 1);
    c->promoted[from]++;
    c->site_promoted[site][from]++;
}

static unsigned model_generation(uint64_t age_granules)
{
    unsigned g = 0;
    while (g < GM_GENERATIONS - 1 && age_granules * 16 >= gm_generation_age_bytes[g])
        g++;
    return g;
}

static uint64_t random_size(struct rng *rng)
{
    uint64_t limit = 1ull << rng_below(rng, 8) * 3; /* 1 B .. 2 MiB */
    return rng_below(rng, 40) == 0 ? rng_below(rng, 40 << 20) : rng_below(rng, limit + 1);
}

static void drive(uint64_t seed)
{
    struct rng rng = {seed};
    struct gm_generations g;
    struct counts got = {0}, want = {0};
    struct model_block *blocks = calloc(BLOCKS, sizeof *blocks);
    uint64_t clock = 0;
    gm_generations_init(&g);
    for (size_t i = 0; i < BLOCKS; i++) {
        uint64_t size = random_size(&rng);
        uint32_t site = (uint32_t)(i % 8);
        gm_generations_birth(&g, size, site, count_promotion, &got);
        clock += size ? (size + 15) / 16 : 1;
        for (size_t k = 0; k < i; k++)
            for (unsigned now = model_generation(clock - blocks[k].birth);
                 blocks[k].live && blocks[k].generation < now; blocks[k].generation++) {
                want.promoted[blocks[k].generation]++;
                want.site_promoted[k % 8][blocks[k].generation]++;
            }
        blocks[i] = (struct model_block){.birth = clock, .live = true};
        cr_assert_eq(g.clock, clock);
        /* Most promotions are told late, and must then be the same. */
        if (rng_below(&rng, 20) == 0) {
            gm_generations_settle(&g, count_promotion, &got);
            cr_assert_arr_eq(&got, &want, sizeof got, "seed %lu, block %zu", seed, i);
        }
        size_t dies = rng_below(&rng, i + 1);
        if (rng_below(&rng, 3) == 0 || !blocks[dies].live)
            continue;
        cr_assert_eq(gm_generations_death(&g, blocks[dies].birth, count_promotion, &got),
            model_generation(clock - blocks[dies].birth), "seed %lu, block %zu", seed, i);
        blocks[dies].live = false;
    }
    gm_generations_settle(&g, count_promotion, &got);
    cr_assert_arr_eq(&got, &want, sizeof got, "seed %lu", seed);
    cr_assert_not(g.out_of_memory);
    gm_generations_done(&g);
    free(blocks);
}

Test(generations, agree_with_looking_at_every_block)
{
    for (uint64_t seed = 1; seed <= 12; seed++)
        drive(seed);
}

Test(generations, a_small_process_pays_for_what_it_allocates)
{
    struct gm_generations g;
    struct counts c = {0};
    gm_generations_init(&g);
    cr_assert_eq(gm_generations_bytes(&g), 0);
    gm_generations_birth(&g, 100, 1, count_promotion, &c);
    cr_assert_leq(gm_generations_bytes(&g), 100);
    gm_generations_done(&g);
}
