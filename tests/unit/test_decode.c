/* Records out of words, and what becomes of words that are no records. */
#include <criterion/criterion.h>

#include "wire_words.h"

static bool next(struct gm_reader *reader, struct gm_event *event)
{
    while (gm_reader_ready(reader, false))
        if (gm_reader_take(reader, event))
            return true;
    return false;
}

static void put_raw(
    struct gm_reader *reader, unsigned kind, unsigned words, uint64_t stamp, uint64_t fill)
{
    uint64_t w[256] = {(stamp << 16) | words << 8 | kind};
    for (unsigned i = 1; i < words; i++)
        w[i] = fill;
    put_words(reader, w, words ? words : 1, reader->now);
}

Test(decode, an_allocation_and_a_free_come_out_as_they_went_in)
{
    struct gm_reader r = {0};
    struct gm_event e;
    put_alloc(&r, 1000, 0x10, 77, 99);
    put_free(&r, 1001, 0x10);
    cr_assert(next(&r, &e));
    cr_assert(e.kind == GM_EV_ALLOC && e.stamp == 1000 && e.address == 0x10 && e.size_bytes == 77 &&
              e.hash == 99 && e.function == GM_FN_malloc && !e.realloc);
    cr_assert(next(&r, &e));
    cr_assert(e.kind == GM_EV_FREE && e.stamp == 1001 && e.address == 0x10);
    cr_assert_not(next(&r, &e));
    cr_assert_eq(r.corrupt, 0);
    gm_reader_done(&r);
}

Test(decode, a_reallocation_is_told_as_a_free_before_and_an_allocation_after)
{
    struct gm_reader r = {0};
    struct gm_event e;
    put_realloc(&r, 10, 20, 0x100, 0x200, 64, 5);
    cr_assert(gm_reader_ready(&r, false));
    cr_assert_eq(r.stamp, 10);
    cr_assert(next(&r, &e));
    cr_assert(e.kind == GM_EV_FREE && e.realloc && e.address == 0x100 && e.stamp == 10);
    cr_assert(gm_reader_ready(&r, false));
    cr_assert_eq(r.stamp, 20);
    cr_assert(next(&r, &e));
    cr_assert(e.kind == GM_EV_ALLOC && e.realloc && e.address == 0x200 && e.size_bytes == 64 &&
              e.hash == 5 && e.stamp == 20 && e.function == GM_FN_realloc);
    cr_assert_not(next(&r, &e));
    gm_reader_done(&r);
}

Test(decode, a_block_that_died_in_the_nursery_says_when)
{
    struct gm_reader r = {.ring_words = 64};
    struct gm_event e;
    put_free(&r, 5, 0x10);
    put_short_lived(&r, 10, 77, 3, 6, 1234);
    put_free(&r, 20, 0x20);
    cr_assert(next(&r, &e) && next(&r, &e));
    cr_assert(e.kind == GM_EV_ALLOC && e.died && !e.died_by_realloc && e.address == 0);
    cr_assert(e.size_bytes == 77 && e.hash == 3 && e.death_ticks == 1234 && e.stamp == 10);
    cr_assert_eq(e.death_position, 2 + 6);
    cr_assert_eq(r.position, 2 + 4);
    cr_assert(next(&r, &e));
    cr_assert(e.kind == GM_EV_FREE && !e.died);
    cr_assert_eq(r.position, 2 + 6);
    cr_assert_eq(r.corrupt, 0);
    gm_reader_done(&r);
}

Test(decode, a_death_before_its_record_ends_or_beyond_the_ring_is_corrupt)
{
    struct gm_reader r = {.ring_words = 64};
    struct gm_event e;
    put_short_lived(&r, 10, 77, 3, 3, 0);
    put_short_lived(&r, 11, 77, 3, 65, 0);
    cr_assert_not(next(&r, &e));
    cr_assert_eq(r.corrupt, 2);
    gm_reader_done(&r);
}

Test(decode, dictionary_records_travel_with_the_next_stamped_one)
{
    struct gm_reader r = {0};
    struct gm_event e;
    uint64_t hash = put_stack(&r, GM_STACK_ROOT, 0x4000);
    put_module(&r, 0x1000, 0x9000, 0x1000, "/lib/x.so");
    cr_assert_not(next(&r, &e), "nothing stamped follows yet");
    put_alloc(&r, 500, 0x10, 8, hash);
    cr_assert(gm_reader_ready(&r, false));
    cr_assert_eq(r.stamp, 500);
    cr_assert(next(&r, &e));
    cr_assert(e.kind == GM_EV_STACK && e.hash == hash && e.pc_word == 0x4000 && e.stamp == 500);
    cr_assert(next(&r, &e));
    cr_assert(e.kind == GM_EV_MODULE && e.start == 0x1000 && e.end == 0x9000 && e.path_bytes == 9 &&
              e.build_id_bytes == 4 && !memcmp(e.path, "/lib/x.so", 9));
    cr_assert(next(&r, &e));
    cr_assert_eq(e.kind, GM_EV_ALLOC);
    gm_reader_done(&r);
}

Test(decode, at_the_end_dictionary_records_need_not_wait)
{
    struct gm_reader r = {0};
    struct gm_event e;
    put_alloc(&r, 500, 0x10, 8, 0);
    put_stack(&r, GM_STACK_ROOT, 0x4000);
    cr_assert(next(&r, &e));
    cr_assert_not(next(&r, &e));
    cr_assert(gm_reader_ready(&r, true));
    cr_assert(gm_reader_take(&r, &e));
    cr_assert(e.kind == GM_EV_STACK && e.stamp == 500);
    cr_assert_not(gm_reader_ready(&r, true));
    gm_reader_done(&r);
}

Test(decode, a_stamp_of_the_far_future_is_not_waited_for)
{
    struct gm_reader r = {0};
    uint64_t w[2] = {GM_STAMP_MASK << 16 | 2 << 8 | GM_EV_FREE, 0x10};
    put_words(&r, w, 2, 1000);
    cr_assert(gm_reader_ready(&r, false));
    cr_assert_leq(r.stamp, 1000, "clocks count from 0: this one is neither to come nor past");
    gm_reader_done(&r);
}

Test(decode, stamps_grow_past_their_48_bits_and_never_go_back)
{
    struct gm_reader r = {0};
    struct gm_event e;
    uint64_t top = 1ull << 48;
    put_free(&r, top - 2, 0x10);
    put_free(&r, top + 3, 0x20);
    put_free(&r, top + 1, 0x30);
    put_free(&r, top - 100000, 0x40);
    cr_assert(next(&r, &e));
    cr_assert_eq(e.stamp, top - 2);
    cr_assert(next(&r, &e));
    cr_assert_eq(e.stamp, top + 3);
    cr_assert(next(&r, &e));
    cr_assert_eq(e.stamp, top + 3);
    cr_assert_eq(r.backward, 0, "within what threads on a shared ring may disagree by");
    cr_assert(next(&r, &e));
    cr_assert_eq(e.stamp, top + 3);
    cr_assert_eq(r.backward, 1);
    gm_reader_done(&r);
}

Test(decode, unknown_kinds_are_skipped_and_known_ones_that_lie_are_counted)
{
    struct gm_reader r = {0};
    struct gm_event e;
    put_raw(&r, 200, 7, 5, 1);                        /* a kind of the future: not corrupt */
    put_raw(&r, GM_EV_ALLOC, 3, 6, 1);                /* too short */
    put_raw(&r, GM_EV_ALLOC, 4, 7, 0);                /* address 0 */
    put_raw(&r, GM_EV_ALLOC, 4, 8, 255ull << 48 | 1); /* no such function */
    put_raw(&r, GM_EV_FREE, 2, 9, 0);
    put_raw(&r, GM_EV_STACK, 4, 0, 0x1234);  /* not the hash of what it names */
    put_raw(&r, GM_EV_MODULE, 6, 0, 0xffff); /* end <= start, texts too long */
    put_raw(&r, GM_EV_MARK, 2, 10, 100);     /* longer than its record */
    put_raw(&r, GM_EV_THREAD_START, 4, 11, 1ull << 40);
    put_raw(&r, GM_EV_PROCESS_END, 3, 12, 77);
    put_free(&r, 13, 0x10);
    cr_assert(next(&r, &e));
    cr_assert(e.kind == GM_EV_FREE && e.address == 0x10);
    cr_assert_eq(r.corrupt, 9);
    cr_assert_not(next(&r, &e));
    gm_reader_done(&r);
}

Test(decode, a_wrong_length_ends_what_was_drained_but_not_the_ring)
{
    struct gm_reader r = {0};
    struct gm_event e;
    put_free(&r, 1, 0x10);
    put_raw(&r, GM_EV_FREE, 0, 2, 0);
    put_free(&r, 3, 0x20);
    cr_assert(next(&r, &e));
    cr_assert_not(next(&r, &e));
    cr_assert_eq(r.corrupt, 1);
    put_raw(&r, GM_EV_FREE, 200, 4, 1);
    r.n -= 150; /* a record that is longer than what there is */
    cr_assert_not(next(&r, &e));
    cr_assert_eq(r.corrupt, 2);
    put_free(&r, 5, 0x30);
    cr_assert(next(&r, &e));
    cr_assert_eq(e.address, 0x30);
    gm_reader_done(&r);
}

Test(decode, random_words_are_survived_and_used_up)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct rng rng = {seed};
        struct gm_reader r = {0};
        struct gm_event e;
        for (int round = 0; round < 20; round++) {
            size_t n = 1 + rng_below(&rng, 300);
            uint64_t w[300];
            for (size_t i = 0; i < n; i++) {
                w[i] = rng_next(&rng) >> rng_below(&rng, 64);
                if (rng_below(&rng, 2)) /* often a header that is nearly right */
                    w[i] = gm_rec_word0((enum gm_event_kind)(1 + rng_below(&rng, 14)),
                        (unsigned)rng_below(&rng, 12), rng_next(&rng) & GM_STAMP_MASK);
            }
            put_words(&r, w, n, rng_next(&rng) >> 8);
            uint64_t last = 0;
            for (size_t k = 0; gm_reader_ready(&r, rng_below(&rng, 2)); k++) {
                cr_assert_lt(k, 2 * 300 * 20u, "seed %lu does not end", seed);
                cr_assert_geq(r.stamp, last, "seed %lu", seed);
                last = r.stamp;
                gm_reader_expects(&r, rng_next(&rng) & 0xff, rng_below(&rng, 2), UINT64_MAX, 50);
                if (gm_reader_take(&r, &e) && e.kind == GM_EV_MODULE)
                    cr_assert_leq(
                        (const uint64_t *)(const void *)(e.path + e.path_bytes), r.words + r.n);
            }
        }
        while (gm_reader_ready(&r, true))
            gm_reader_take(&r, &e);
        cr_assert_eq(gm_reader_left(&r), 0, "seed %lu", seed);
        gm_reader_done(&r);
    }
}

Test(decode, the_next_event_of_an_address_is_found_ahead)
{
    struct gm_reader r = {0};
    put_free(&r, 10, 0x10);
    put_realloc(&r, 20, 30, 0x20, 0x30, 8, 0);
    put_alloc(&r, 40, 0x10, 8, 0);
    cr_assert_eq(gm_reader_expects(&r, 0x10, false, 10, 10), 10);
    cr_assert_eq(gm_reader_expects(&r, 0x10, true, 100, 10), UINT64_MAX, "its free comes first");
    cr_assert_eq(gm_reader_expects(&r, 0x10, false, 9, 10), UINT64_MAX, "too late");
    cr_assert_eq(gm_reader_expects(&r, 0x20, false, 20, 10), 20);
    cr_assert_eq(gm_reader_expects(&r, 0x30, true, 30, 10), 30);
    cr_assert_eq(
        gm_reader_expects(&r, 0x30, true, 29, 10), UINT64_MAX, "it comes out after the call");
    cr_assert_eq(gm_reader_expects(&r, 0x30, true, 30, 1), UINT64_MAX, "too deep");
    gm_reader_done(&r);
}

static void put_sweep(
    struct gm_reader *r, uint64_t first, uint64_t bytes, uint64_t dead, uint64_t promoted)
{
    uint64_t w[] = {gm_rec_word0(GM_EV_SWEEP, 5, 7), first, bytes | 3ull << 48, dead, promoted};
    put_words(r, w, 5, 7);
}

Test(decode, a_sweep_says_which_blocks_have_died)
{
    struct gm_reader r = {0};
    struct gm_event e;
    put_sweep(&r, 0x1000 | 5ull << 48, 32, 1ull << 63 | 1, 2);
    cr_assert(next(&r, &e));
    cr_assert(e.kind == GM_EV_SWEEP && e.address == 0x1000 && e.size_bytes == 32 && e.age == 3 &&
              e.swept_heap == 5 && e.promoted == 2);
    cr_assert(gm_event_frees(&e, 0x1000));
    cr_assert(gm_event_frees(&e, 0x1000 + 63 * 32));
    cr_assert_not(gm_event_frees(&e, 0x1020));
    cr_assert_not(gm_event_frees(&e, 0x1000 + 64 * 32));
    cr_assert_not(gm_event_frees(&e, 0x1001));
    cr_assert_not(gm_event_frees(&e, 0xfe0));
    gm_reader_done(&r);
}

Test(decode, a_sweep_that_cannot_be_is_corrupt)
{
    struct gm_reader r = {0};
    struct gm_event e;
    put_sweep(&r, 0x1000, 32, 0, 0);
    put_sweep(&r, 0, 32, 1, 0);
    put_sweep(&r, 0x1000, 0, 1, 0);
    put_sweep(&r, 0x1000, 32, 3, 2);
    put_sweep(&r, 1ull << 47, 1ull << 45, 0, 16);
    cr_assert_not(next(&r, &e));
    cr_assert_eq(r.corrupt, 5);
    put_sweep(&r, GM_ADDRESS_MASK, GM_ADDRESS_MASK, 1, 0); /* a large block by itself */
    cr_assert(next(&r, &e));
    gm_reader_done(&r);
}

static void put_cycle(
    struct gm_reader *r, uint64_t kind, uint64_t trigger, unsigned figure, uint64_t value)
{
    uint64_t w[29] = {gm_rec_word0(GM_EV_GC_CYCLE, 29, 7), 1, 2, gm_gc_pack(kind, trigger), 100};
    w[GM_CYCLE_FIRST_WORD + GM_CYCLE_pause_ns] = 50;
    w[GM_CYCLE_FIRST_WORD + figure] = value;
    put_words(r, w, 29, 7);
}

Test(decode, a_collection_has_a_known_kind_and_figures_that_can_be)
{
    struct gm_reader r = {0};
    struct gm_event e;
    put_cycle(&r, 3, 5, GM_CYCLE_footprint_bytes, 12345);
    cr_assert(next(&r, &e));
    cr_assert(e.kind == GM_EV_GC_CYCLE && e.heap == 1 && e.number == 2 && e.gc_kind == 3 &&
              e.gc_trigger == 5 && e.duration_ns == 100 &&
              e.figures[GM_CYCLE_footprint_bytes] == 12345);
    put_cycle(&r, 0, 1, 0, 0);
    put_cycle(&r, 4, 1, 0, 0);
    put_cycle(&r, 1, 0, 0, 0);
    put_cycle(&r, 1, 6, 0, 0);
    put_cycle(&r, 1, 1, GM_CYCLE_cpu_ns, 1ull << 57);
    put_cycle(&r, 1, 1, GM_CYCLE_max_pause_ns, 51); /* longer than all pauses together */
    cr_assert_not(next(&r, &e));
    cr_assert_eq(r.corrupt, 6);
    gm_reader_done(&r);
}

Test(decode, a_stop_of_the_world_has_a_length_that_can_be)
{
    struct gm_reader r = {0};
    struct gm_event e;
    uint64_t w[3] = {gm_rec_word0(GM_EV_GC_STOP, 3, 7), 12, 2000};
    put_words(&r, w, 3, 7);
    cr_assert(next(&r, &e) && e.kind == GM_EV_GC_STOP && e.number == 12 && e.duration_ns == 2000);
    w[2] = 1ull << 57;
    put_words(&r, w, 3, 7);
    cr_assert_not(next(&r, &e));
    cr_assert_eq(r.corrupt, 1);
    gm_reader_done(&r);
}

#define CACHE_WORDS (GM_CACHE_FIRST_WORD + GM_CACHE_FIGURE_COUNT)

/* A cache called "name", in a record of `words`. */
static void put_cache(struct gm_reader *r, unsigned words, uint64_t cache, uint64_t packed,
    uint64_t name_bytes, unsigned figure, uint64_t value)
{
    uint64_t w[CACHE_WORDS + 1] = {
        gm_rec_word0(GM_EV_CACHE, words, 7), cache, packed, name_bytes, UINT64_MAX};
    w[GM_CACHE_FIRST_WORD + figure] = value;
    memcpy(&w[CACHE_WORDS], "name", 4);
    put_words(r, w, words, 7);
}

Test(decode, a_cache_has_a_known_policy_a_name_and_figures_that_can_be)
{
    struct gm_reader r = {0};
    struct gm_event e;
    uint64_t packed = gm_cache_pack(255, 1, 3, 9);
    put_cache(&r, CACHE_WORDS + 1, 0x7fff12345678, packed, 4, GM_CACHE_misses, 77);
    cr_assert(next(&r, &e));
    cr_assert(e.kind == GM_EV_CACHE && e.cache == 0x7fff12345678 && e.policy == 255 && e.closed &&
              e.choice == 3 && e.switches == 9 && e.sample_threshold == UINT64_MAX);
    cr_assert(e.name_bytes == 4 && memcmp(e.name_text, "name", 4) == 0);
    cr_assert_eq(e.cache_figures[GM_CACHE_misses], 77);
    put_cache(&r, CACHE_WORDS + 1, 1ull << 48, packed, 4, 0, 0);
    put_cache(&r, CACHE_WORDS + 1, 1, gm_cache_pack(3, 0, 0, 0), 4, 0, 0); /* no such policy */
    put_cache(&r, CACHE_WORDS + 1, 1, packed, 9, 0, 0);                    /* no such name */
    put_cache(&r, CACHE_WORDS + 1, 1, packed, UINT64_MAX, 0, 0);
    put_cache(&r, CACHE_WORDS, 1, packed, 1, 0, 0);
    put_cache(&r, CACHE_WORDS, 1, packed, 0, GM_CACHE_FIGURE_COUNT - 1, 1ull << 57);
    put_cache(&r, CACHE_WORDS - 1, 1, packed, 0, 0, 0);
    cr_assert_not(next(&r, &e));
    cr_assert_eq(r.corrupt, 7);
    put_cache(&r, CACHE_WORDS, 1, packed, 0, 0, 0);
    cr_assert(next(&r, &e) && e.name_bytes == 0);
    gm_reader_done(&r);
}

static void put_cache_use(
    struct gm_reader *r, uint64_t use, uint64_t bytes, uint64_t ns, uint64_t key_class)
{
    uint64_t w[7] = {gm_rec_word0(GM_EV_CACHE_USE, 7, 7), gm_cache_key_pack(5, (unsigned)use),
        UINT64_MAX, bytes, ns, key_class, 99};
    put_words(r, w, 7, 7);
}

static void put_cache_evict(
    struct gm_reader *r, uint64_t cause, uint64_t bytes, uint64_t hits, uint64_t ns)
{
    uint64_t w[6] = {gm_rec_word0(GM_EV_CACHE_EVICT, 6, 7), gm_cache_key_pack(5, (unsigned)cause),
        3, bytes, hits, ns};
    put_words(r, w, 6, 7);
}

Test(decode, a_use_of_a_cache_and_what_leaves_it_are_of_known_kinds)
{
    struct gm_reader r = {0};
    struct gm_event e;
    put_cache_use(&r, GM_USE_load, 10, 2000, 7);
    cr_assert(next(&r, &e));
    cr_assert(e.kind == GM_EV_CACHE_USE && e.cache == 5 && e.use == GM_USE_load &&
              e.key == UINT64_MAX && e.size_bytes == 10 && e.ns == 2000 && e.key_class == 7 &&
              e.hash == 99);
    put_cache_evict(&r, GM_CAUSE_pressure, 10, GM_CACHE_HITS_UNKNOWN, 5);
    cr_assert(next(&r, &e));
    cr_assert(e.kind == GM_EV_CACHE_EVICT && e.cache == 5 && e.cause == GM_CAUSE_pressure &&
              e.key == 3 && e.size_bytes == 10 && e.key_hits == UINT32_MAX && e.ns == 5);
    uint64_t w[5] = {gm_rec_word0(GM_EV_CACHE_CLASS, 5, 7), 5, 13, 4, 0};
    memcpy(&w[4], "leaf", 4);
    put_words(&r, w, 5, 7);
    cr_assert(next(&r, &e));
    cr_assert(e.kind == GM_EV_CACHE_CLASS && e.key_class == 13 && e.name_bytes == 4 &&
              memcmp(e.name_text, "leaf", 4) == 0);
    w[3] = 9; /* no such name */
    put_words(&r, w, 5, 7);
    put_cache_use(&r, 0, 10, 0, 0);
    put_cache_use(&r, GM_USE_COUNT, 10, 0, 0);
    put_cache_use(&r, GM_USE_hit, 1ull << 48, 0, 0);
    put_cache_use(&r, GM_USE_hit, 10, 1ull << 57, 0);
    put_cache_use(&r, GM_USE_hit, 10, 0, 1ull << 32);
    put_cache_evict(&r, 0, 10, 0, 0);
    put_cache_evict(&r, GM_CAUSE_COUNT, 10, 0, 0);
    put_cache_evict(&r, 1, 1ull << 48, 0, 0);
    put_cache_evict(&r, 1, 10, 1ull << 32, 0);
    put_cache_evict(&r, 1, 10, 0, 1ull << 57);
    cr_assert_not(next(&r, &e));
    cr_assert_eq(r.corrupt, 11);
    gm_reader_done(&r);
}

Test(decode, a_block_has_an_address_below_2_to_the_48)
{
    struct gm_reader r = {0};
    struct gm_event e;
    put_alloc(&r, 1, 1ull << 48, 1, 1);
    put_free(&r, 2, 1ull << 48);
    cr_assert_not(next(&r, &e));
    cr_assert_eq(r.corrupt, 2);
    gm_reader_done(&r);
}
