/* What is premature, and what nepotism, by a history told in words: promotions and deaths between collections. */
#include <criterion/criterion.h>

#include "collector/collections.h"
#include "schemas/event_kinds.h"

#define SITES 8

static struct gm_collections c;
static struct gm_live_set live;
static uint64_t nepotism[SITES];

static void set_up(void)
{
    memset(&c, 0, sizeof c);
    memset(nepotism, 0, sizeof nepotism);
    gm_live_set_init(&live);
}
static void tear_down(void)
{
    gm_collections_done(&c);
    gm_live_set_done(&live);
}
TestSuite(collections, .init = set_up, .fini = tear_down);

static void begin(unsigned kind)
{
    gm_collections_begin(&c, kind, &live);
}
static void tell(void *arg, uint32_t site, const struct gm_gc_sum *sum)
{
    (void)arg;
    nepotism[site] += sum->blocks;
}
static bool died(uint16_t gc, uint32_t site)
{
    return gm_collections_old_died(&c, gc, site, &(struct gm_gc_sum){1, 16}, tell, NULL);
}

Test(collections, what_the_first_full_collection_finds_dead_was_promoted_in_vain)
{
    begin(GM_GC_young);
    uint16_t gc = gm_collections_promote(&c);
    cr_expect_eq(GM_GC_STATE(gc), GM_GC_PROMOTED);
    begin(GM_GC_full);
    cr_expect(died(gc, 1));
}

Test(collections, what_survived_a_full_collection_was_not)
{
    begin(GM_GC_young);
    uint16_t before = gm_collections_promote(&c);
    begin(GM_GC_full);
    uint16_t during = gm_collections_promote(&c);
    begin(GM_GC_young);
    uint16_t after = gm_collections_promote(&c);
    begin(GM_GC_mostly_concurrent);
    cr_expect_not(died(before, 1));
    cr_expect(died(during, 1));
    cr_expect(died(after, 1));
}

Test(collections, an_old_block_born_old_is_not_promoted)
{
    begin(GM_GC_full);
    cr_expect_not(died(GM_GC_BORN_OLD, 1));
}

Test(collections, the_oldest_of_the_dead_was_kept_by_none_of_them)
{
    begin(GM_GC_young);
    uint16_t first = gm_collections_promote(&c);
    begin(GM_GC_young);
    uint16_t second = gm_collections_promote(&c);
    begin(GM_GC_full);
    cr_expect(died(second, 2));
    cr_expect(died(second, 3));
    cr_expect_eq(nepotism[2] + nepotism[3], 0, "nothing older has died yet");
    cr_expect(died(first, 1));
    cr_expect_eq(nepotism[2], 1);
    cr_expect_eq(nepotism[3], 1);
    cr_expect_eq(nepotism[1], 0);
    cr_expect(died(second, 2));
    cr_expect_eq(nepotism[2], 2);
}

Test(collections, a_seasoned_one_may_have_kept_them_all)
{
    begin(GM_GC_young);
    uint16_t seasoned = gm_collections_promote(&c);
    begin(GM_GC_full);
    begin(GM_GC_young);
    uint16_t young = gm_collections_promote(&c);
    begin(GM_GC_full);
    cr_expect(died(young, 1));
    cr_expect_eq(nepotism[1], 0);
    cr_expect_not(died(seasoned, 2));
    cr_expect_eq(nepotism[1], 1);
    cr_expect_eq(nepotism[2], 0);
    begin(GM_GC_full);
    cr_expect_eq(nepotism[1], 1);
}

Test(collections, many_sites_wait_in_bounded_memory)
{
    begin(GM_GC_young);
    uint16_t first = gm_collections_promote(&c);
    begin(GM_GC_young);
    uint16_t second = gm_collections_promote(&c);
    begin(GM_GC_full);
    for (unsigned i = 0; i < 100000; i++)
        cr_assert(died(second, i % SITES));
    cr_expect_lt(c.pending.n, 10000);
    cr_assert(died(first, 0));
    for (unsigned i = 0; i < SITES; i++)
        cr_expect_eq(nepotism[i], 100000 / SITES);
}

/* The age is kept modulo 256; blocks of any age stay what they are. */
Test(collections, a_block_that_survived_a_thousand_is_still_seasoned)
{
    begin(GM_GC_young);
    struct gm_block block = {.address = 64, .size_bytes = 1, .gc = gm_collections_promote(&c)};
    struct gm_live_block entry = gm_live_block_of(&block);
    cr_assert_eq(gm_live_set_insert(&live, &entry), 0);
    begin(GM_GC_full);
    for (unsigned i = 0; i < 1000; i++) {
        begin(GM_GC_full);
        cr_assert_not(died((uint16_t)gm_live_set_find(&live, 64)->gc, 1), "after %u", i);
    }
}
