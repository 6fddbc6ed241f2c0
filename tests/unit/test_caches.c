/* What the roll-up makes of what caches tell: histories in words, with one possible result. */
#include <criterion/criterion.h>

#include <string.h>

#include "collector/rollup.h"

#define SECOND 1000000000ull

static struct gm_timebase timebase;
static struct gm_batch batch;
static struct gm_rollup rollup;
static struct gm_process *process;
static struct gm_reader readers[2];
static struct gm_reader_group group = {.readers = readers, .count = 2};
static uint64_t now, stack;

static bool tell(struct gm_event *e, unsigned ring)
{
    e->stamp = now += 10;
    return gm_rollup_event(&rollup, &readers[ring], e, false);
}

static void set_up(void)
{
    struct gm_process_start start = {
        .pid = 1, .origin = "root", .exe = "", .command = "[]", .ring_count = 2};
    now = 1000;
    timebase.clock = GM_CLOCK_MONOTONIC;
    gm_rollup_init(&rollup, &timebase, &batch);
    cr_assert_eq(gm_rollup_add_process(&rollup, &start, &process), 0);
    group.owner = process;
    for (uint32_t i = 0; i < 2; i++)
        readers[i] = (struct gm_reader){.group = &group, .index = i};
    stack = gm_stack_hash(GM_STACK_ROOT, 0x1000);
    cr_assert(tell(
        &(struct gm_event){
            .kind = GM_EV_STACK, .parent_hash = GM_STACK_ROOT, .pc_word = 0x1000, .hash = stack},
        0));
}

static void tear_down(void)
{
    gm_rollup_done(&rollup);
    gm_batch_done(&batch);
}
TestSuite(caches, .init = set_up, .fini = tear_down);

static uint64_t figures[GM_CACHE_FIGURE_COUNT];

static void state(uint64_t number, uint64_t threshold, bool closed)
{
    tell(&(struct gm_event){.kind = GM_EV_CACHE,
             .cache = number,
             .cache_figures = figures,
             .sample_threshold = threshold,
             .name_text = "pages",
             .name_bytes = 5,
             .policy = 1,
             .closed = closed},
        0);
}

static void use(enum gm_cache_use what, uint64_t key, uint64_t bytes, unsigned ring)
{
    tell(&(struct gm_event){.kind = GM_EV_CACHE_USE,
             .cache = 7,
             .use = what,
             .key = key,
             .size_bytes = bytes,
             .key_class = 3,
             .hash = stack},
        ring);
}

static void evict(enum gm_cache_cause cause, uint64_t key)
{
    tell(&(struct gm_event){.kind = GM_EV_CACHE_EVICT,
             .cache = 7,
             .cause = cause,
             .key = key,
             .size_bytes = 10,
             .key_hits = GM_CACHE_HITS_UNKNOWN},
        0);
}

/* The last row of the cache. */
static const struct gm_row_cache *fill(void)
{
    gm_batch_clear(&batch);
    gm_rollup_settle(&rollup);
    cr_assert_eq(gm_rollup_fill(&rollup, (int64_t)now), 0);
    return batch.caches.n ? &batch.caches.v[batch.caches.n - 1] : NULL;
}

static void make(uint64_t entries)
{
    memset(figures, 0, sizeof figures);
    figures[GM_CACHE_capacity_bytes] = 1000;
    figures[GM_CACHE_entries] = entries;
    state(7, UINT64_MAX, false);
}

Test(caches, counts_are_those_that_were_told_last_and_never_fall)
{
    make(0);
    figures[GM_CACHE_hits] = 10;
    figures[GM_CACHE_used_bytes] = 500;
    state(7, UINT64_MAX, false);
    const struct gm_row_cache *row = fill();
    cr_assert_eq(row->d_counts[GM_CACHE_hits], 10);
    figures[GM_CACHE_hits] = 8; /* told by another thread, a moment earlier */
    figures[GM_CACHE_used_bytes] = 400;
    state(7, UINT64_MAX, false);
    row = fill();
    cr_assert(row->figures[GM_CACHE_hits] == 10 && row->d_counts[GM_CACHE_hits] == 0);
    cr_assert_eq(row->figures[GM_CACHE_used_bytes], 400);
}

Test(caches, a_number_that_is_given_again_is_another_cache)
{
    make(0);
    figures[GM_CACHE_hits] = 10;
    state(7, UINT64_MAX, true);
    cr_assert_geq(fill()->closed_ns, 0);
    make(0);
    const struct gm_row_cache *row = fill();
    cr_assert(row->cache_id == 2 && row->closed_ns < 0 && row->figures[GM_CACHE_hits] == 0);
}

Test(caches, uses_are_counted_by_site_and_class_and_for_what_they_stand_for)
{
    make(0);
    state(7, UINT64_MAX / 4, false);
    for (uint64_t key = 0; key < 4; key++) {
        use(GM_USE_miss, key << 62, 0, 0); /* one in four is in the sample */
        use(GM_USE_store, key << 62, 10, 0);
        use(GM_USE_hit, key << 62, 10, 0);
    }
    const struct gm_row_cache *row = fill();
    cr_expect(
        row->estimates.samples == 2 && row->estimates.hits == 4 && row->estimates.misses == 4);
    cr_expect_eq(row->estimates.sample_rate_min, 0.25);
    cr_assert_eq(batch.cache_uses.n, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct gm_row_cache_uses *u = &batch.cache_uses.v[i];
        cr_expect_eq(u->id, u->is_class ? 3 : 1);
        cr_expect(u->samples == 3 && u->hits == 4 && u->misses == 4 && u->stores == 4 &&
                  u->store_bytes == 40);
    }
}

Test(caches, a_miss_is_premature_as_long_as_the_cache_would_have_to_be_twice_as_large_at_most)
{
    make(2);
    for (uint64_t key = 1; key <= 5; key++)
        use(GM_USE_store, key, 10, 0);
    for (uint64_t key = 1; key <= 5; key++)
        evict(GM_CAUSE_size, key);
    use(GM_USE_miss, 5, 0, 0);
    use(GM_USE_miss, 3, 0, 0);
    use(GM_USE_miss, 2, 0, 0); /* three have left since */
    use(GM_USE_miss, 5, 0, 0); /* it has been missed before */
    const struct gm_row_cache *row = fill();
    cr_expect_eq(row->estimates.premature_misses, 2);
    cr_expect(row->estimates.left == 5 && row->estimates.one_hit_wonders == 5);
}

Test(caches, what_was_hit_is_no_one_hit_wonder_and_what_the_program_removes_is_none_either)
{
    make(0);
    for (uint64_t key = 1; key <= 3; key++)
        use(GM_USE_store, key, 10, 0);
    use(GM_USE_hit, 1, 10, 0);
    evict(GM_CAUSE_size, 1);
    evict(GM_CAUSE_removed, 2);
    evict(GM_CAUSE_expired, 3);
    const struct gm_row_cache *row = fill();
    cr_expect(row->estimates.left == 2 && row->estimates.one_hit_wonders == 1);
}

Test(caches, a_pin_that_is_not_given_back_is_told_with_its_site_when_it_is_old)
{
    make(0);
    use(GM_USE_pin, 1, 10, 0);
    use(GM_USE_pin, 2, 10, 1);
    use(GM_USE_unpin, 2, 10, 1);
    cr_expect_eq(fill()->estimates.open_pins, 1);
    cr_expect_eq(batch.cache_pins.n, 0, "it is young");
    cr_expect_eq(batch.cache_uses.v[0].open_pins, 1);
    now += SECOND;
    use(GM_USE_hit, 1, 10, 0);
    cr_assert(fill()->pins_told);
    cr_assert_eq(batch.cache_pins.n, 1);
    cr_expect(batch.cache_pins.v[0].key == 1 && batch.cache_pins.v[0].stack_id == 1);
    use(GM_USE_unpin, 1, 10, 1);
    cr_assert(fill()->pins_told, "the row in the file is void");
    cr_expect(batch.cache_pins.n == 0 && batch.cache_uses.v[0].oldest_pin_ns < 0);
    use(GM_USE_unpin, 1, 10, 0);
    cr_expect_eq(fill()->estimates.unmatched_unpins, 1);
}

Test(caches, a_pin_grows_old_while_nothing_happens)
{
    make(0);
    use(GM_USE_pin, 1, 10, 0);
    fill();
    cr_expect_null(fill(), "there is nothing new");
    now += SECOND;
    cr_assert_not_null(fill());
    cr_expect_eq(batch.cache_pins.n, 1);
}

Test(caches, all_pins_are_told_when_the_process_ends)
{
    make(0);
    for (uint64_t key = 1; key <= 300; key++)
        use(GM_USE_pin, key, 10, 0);
    gm_process_ended(process, (int64_t)now, "exit", 0);
    fill();
    cr_assert_eq(batch.cache_pins.n, GM_CACHE_PINS_TOLD);
    cr_expect(batch.cache_pins.v[0].key == 1 && batch.cache_pins.v[0].pin == 1);
}

Test(caches, the_time_from_a_miss_to_its_store_is_what_it_cost)
{
    make(0);
    use(GM_USE_miss, 1, 0, 0);
    now += 990;
    use(GM_USE_store, 1, 10, 0);
    use(GM_USE_store, 1, 10, 0); /* nothing was missed */
    use(GM_USE_miss, 2, 10, 0);  /* put in at once: not known */
    const struct gm_row_cache *row = fill();
    cr_expect(row->estimates.refills == 1 && row->estimates.refill_ns == 1000);
    cr_expect_eq(batch.cache_points.n, GM_CACHE_CURVE_POINTS);
    cr_expect_eq(batch.cache_points.v[0].samples, 2);
}

Test(caches, more_keys_than_may_be_remembered_halve_the_sample)
{
    make(0);
    for (uint64_t key = 0; key < 2 * GM_CACHE_KEYS_MAX; key++)
        use(GM_USE_store, key * 0x9e3779b97f4a7c15ull, 10, 0); /* all are in the cache */
    use(GM_USE_hit, 1, 10, 0);
    const struct gm_row_cache *row = fill();
    cr_expect_leq(row->estimates.sample_rate, 0.5);
    cr_expect_leq(process->caches.v[0]->keys.count, GM_CACHE_KEYS_MAX);
    cr_expect_null(gm_cache_keys_check(&process->caches.v[0]->keys));
}

Test(caches, a_curve_may_be_ready_after_its_cache_was_closed_and_told)
{
    make(0);
    use(GM_USE_miss, 1, 10, 0);
    use(GM_USE_pin, 1, 10, 0);
    state(7, UINT64_MAX, true);
    cr_assert_not_null(fill());
    cr_expect(batch.cache_pins.n == 1 && batch.cache_uses.n == 2);
    gm_cache_curve_state(process->caches.v[0]->curve, 1, 1, 1);
    const struct gm_row_cache *row = fill();
    cr_assert(row && row->mrc_told && !row->pins_told);
    cr_expect_eq(row->estimates.open_pins, 1);
    cr_expect(batch.cache_pins.n == 0 && batch.cache_uses.n == 0);
}

#define MANY 64u

static uint64_t keys_remembered(void)
{
    uint64_t keys = 0;
    for (uint32_t i = 0; i < process->caches.count; i++)
        keys += process->caches.v[i]->keys.count;
    return keys;
}

static void fill_many(void)
{
    memset(figures, 0, sizeof figures);
    for (uint64_t cache = 1; cache <= MANY; cache++) {
        state(cache, UINT64_MAX, false);
        for (uint64_t key = 0; key < GM_CACHE_KEYS_MAX; key++)
            tell(&(struct gm_event){.kind = GM_EV_CACHE_USE,
                     .cache = cache,
                     .use = GM_USE_pin,
                     .key = key * 0x9e3779b97f4a7c15ull,
                     .key_class = (uint32_t)key,
                     .hash = stack},
                0);
    }
}

Test(caches, many_caches_have_a_bound_together_and_each_has_something)
{
    fill_many();
    uint64_t keys = keys_remembered();
    cr_expect_leq(keys, GM_CACHES_KEYS_MAX + MANY * GM_CACHE_KEYS_LEAST);
    cr_expect_eq(rollup.caches_use.keys, keys);
    cr_expect_leq(rollup.caches_use.pins, GM_CACHES_PINS_MAX + MANY * GM_CACHE_PINS_LEAST);
    for (uint32_t i = 0; i < MANY; i++) {
        cr_expect_gt(process->caches.v[i]->keys.count, GM_CACHE_KEYS_LEAST / 4, "%u: %u", i,
            process->caches.v[i]->keys.count);
        cr_expect_null(gm_cache_keys_check(&process->caches.v[i]->keys));
    }
}

Test(caches, what_is_closed_gives_back_its_memory_and_stays_as_it_was_told)
{
    fill_many();
    for (uint64_t cache = 1; cache <= MANY; cache++)
        state(cache, UINT64_MAX, true);
    const struct gm_row_cache *row = fill();
    cr_assert_not_null(row);
    cr_expect_gt(row->estimates.open_pins, 0);
    cr_expect_gt(batch.cache_pins.n, MANY * GM_CACHE_PINS_LEAST, "all that are open");
    cr_expect_eq(keys_remembered(), 0);
    const struct gm_caches_use *all = &rollup.caches_use;
    cr_expect(all->keys == 0 && all->pins == 0 && all->uses == 0 && all->open == 0);
    cr_expect_null(fill(), "nothing is told of them again");
    make(0); /* the same number */
    for (unsigned i = 0; i < 10; i++)
        use(GM_USE_pin, i, 10, 0);
    cr_expect_eq(all->keys, 10);
}

Test(caches, what_is_told_of_an_unknown_cache_is_counted_as_lost)
{
    use(GM_USE_hit, 1, 10, 0);
    evict(GM_CAUSE_size, 1);
    fill();
    cr_assert_eq(batch.losses.n, 1);
    cr_expect_str_eq(batch.losses.v[0].reason, "cache unknown");
    cr_expect_eq(batch.losses.v[0].events, 2);
}

Test(caches, stops_of_the_world_have_rows_and_buckets)
{
    const int64_t lengths[] = {5, 100, 103, 104, 1000000};
    for (size_t i = 0; i < 5; i++)
        tell(&(struct gm_event){.kind = GM_EV_GC_STOP, .number = 3, .duration_ns = lengths[i]}, 0);
    cr_assert_eq(gm_rollup_fill(&rollup, (int64_t)now), 0);
    cr_assert_eq(batch.gc_stops.n, 5);
    cr_expect(batch.gc_stops.v[4].stop == 5 && batch.gc_stops.v[4].pause_ns == 1000000);
    const struct gm_row_gc_stop_bucket want[] = {
        {1, 5, 1}, {1, 100, 2}, {1, 104, 1}, {1, 983040, 1}};
    cr_assert_eq(batch.gc_stop_buckets.n, 4);
    for (size_t i = 0; i < 4; i++)
        cr_expect(batch.gc_stop_buckets.v[i].from_ns == want[i].from_ns &&
                  batch.gc_stop_buckets.v[i].stops == want[i].stops);
}
