/* Any interleaving of rings merges into a valid history.
 *
 * A simulated program of several threads makes a true history: blocks are allocated and freed, by whichever
 * thread, addresses come back at once, reallocations take time while others go on. Each event goes into
 * the ring of its thread. The rings then reach the merge in random portions. What comes out must be the
 * true history again; with clocks that disagree, every address must at least alternate. */
#include <criterion/criterion.h>

#include "collector/order.h"
#include "wire_words.h"

#define THREADS_MAX 6
#define PLACES 40
#define EVENTS 6000
#define ADDRESS(i) (0x1000 + (uint64_t)(i)*32)

struct told {
    uint64_t stamp, address;
    bool alloc;
    unsigned thread;
};

/* A ring that has been written, and how far the merge has been given it. */
struct script {
    struct gm_reader whole; /* only words and n are used */
    size_t given;
    uint64_t last_stamp;
};

struct world {
    struct rng rng;
    uint64_t seed, now;
    unsigned threads;
    uint64_t skew[THREADS_MAX]; /* added to a thread's stamps */
    struct script scripts[THREADS_MAX];
    struct told *truth;
    size_t truth_count;
    bool live[PLACES];
    /* Reallocations under way: the old block is free, the new one not out yet. */
    struct {
        bool busy;
        uint64_t from, before;
    } pending[THREADS_MAX];

    struct gm_reader readers[THREADS_MAX];
    struct gm_reader_group group;
    struct gm_order order;
    bool seen_live[PLACES];
    struct told *told;
    size_t told_count, forced;
};

static void world_note(struct world *w, unsigned thread, uint64_t place, bool alloc)
{
    w->truth[w->truth_count++] =
        (struct told){.stamp = w->now, .address = ADDRESS(place), .alloc = alloc, .thread = thread};
    w->live[place] = alloc;
}

static uint64_t world_stamp(struct world *w, unsigned thread)
{
    struct script *s = &w->scripts[thread];
    uint64_t stamp = w->now + w->skew[thread];
    s->last_stamp = stamp;
    return stamp;
}

static void step_alloc(struct world *w, unsigned t, uint64_t place)
{
    world_note(w, t, place, true);
    if (rng_below(&w->rng, 3) == 0)
        put_stack(&w->scripts[t].whole, GM_STACK_ROOT, w->now);
    put_alloc(&w->scripts[t].whole, world_stamp(w, t), ADDRESS(place), place, 0);
}

static void step_free(struct world *w, unsigned t, uint64_t place)
{
    world_note(w, t, place, false);
    put_free(&w->scripts[t].whole, world_stamp(w, t), ADDRESS(place));
}

static void step_realloc_begins(struct world *w, unsigned t, uint64_t place)
{
    world_note(w, t, place, false);
    w->pending[t].busy = true;
    w->pending[t].from = ADDRESS(place);
    w->pending[t].before = world_stamp(w, t);
}

static void step_realloc_ends(struct world *w, unsigned t, uint64_t place)
{
    world_note(w, t, place, true);
    put_realloc(&w->scripts[t].whole, w->pending[t].before, world_stamp(w, t), w->pending[t].from,
        ADDRESS(place), place, 0);
    w->pending[t].busy = false;
}

static void world_step(struct world *w)
{
    unsigned t = (unsigned)rng_below(&w->rng, w->threads);
    uint64_t place = rng_below(&w->rng, PLACES);
    w->now += 1 + rng_below(&w->rng, 5);
    if (w->pending[t].busy && !w->live[place])
        step_realloc_ends(w, t, place);
    else if (w->pending[t].busy)
        return;
    else if (!w->live[place])
        step_alloc(w, t, place);
    else if (rng_below(&w->rng, 3) == 0)
        step_realloc_begins(w, t, place);
    else
        step_free(w, t, place);
}

static bool sink_event(
    void *arg, struct gm_reader *reader, const struct gm_event *event, bool forced)
{
    struct world *w = arg;
    if (event->kind != GM_EV_ALLOC && event->kind != GM_EV_FREE)
        return true;
    uint64_t place = (event->address - ADDRESS(0)) / 32;
    bool alloc = event->kind == GM_EV_ALLOC;
    if (w->seen_live[place] == alloc && !forced)
        return false;
    w->forced += w->seen_live[place] == alloc;
    w->seen_live[place] = alloc;
    w->told[w->told_count++] = (struct told){
        .stamp = event->stamp, .address = event->address, .alloc = alloc, .thread = reader->index};
    return true;
}

static struct world *world_create(uint64_t seed, uint64_t skew_max)
{
    struct world *w = calloc(1, sizeof *w);
    w->seed = seed;
    w->rng.s = seed;
    w->now = (1ull << 47) - 5000; /* stamps pass the middle of their 48 bits */
    w->threads = 1 + (unsigned)rng_below(&w->rng, THREADS_MAX);
    w->truth = calloc(EVENTS + 2 * THREADS_MAX, sizeof *w->truth);
    w->told = calloc(EVENTS + 2 * THREADS_MAX, sizeof *w->told);
    for (unsigned t = 0; t < w->threads; t++)
        w->skew[t] = skew_max ? rng_below(&w->rng, skew_max + 1) : 0;
    for (size_t i = 0; i < EVENTS; i++)
        world_step(w);
    for (unsigned t = 0; t < w->threads; t++)
        for (uint64_t place = 0; w->pending[t].busy && place < PLACES; place++)
            if (!w->live[place]) {
                w->now++;
                step_realloc_ends(w, t, place);
            }

    w->group = (struct gm_reader_group){.readers = w->readers, .count = w->threads};
    for (unsigned t = 0; t < w->threads; t++) {
        w->readers[t].group = &w->group;
        w->readers[t].index = t;
    }
    struct gm_order_sink sink = {.arg = w, .event = sink_event};
    gm_order_init(&w->order, &sink, skew_max);
    return w;
}

static void world_free(struct world *w)
{
    for (unsigned t = 0; t < w->threads; t++) {
        gm_reader_done(&w->readers[t]);
        gm_reader_done(&w->scripts[t].whole);
    }
    gm_order_done(&w->order);
    free(w->truth);
    free(w->told);
    free(w);
}

/* First stamp of what a script still has to give, or UINT64_MAX. A REALLOC counts with its first. */
static uint64_t script_next_stamp(const struct script *s)
{
    for (size_t i = s->given; i < s->whole.n; i += gm_rec_words(s->whole.words[i]))
        if (gm_rec_kind(s->whole.words[i]) != GM_EV_STACK)
            return gm_rec_stamp(s->whole.words[i]);
    return UINT64_MAX;
}

static void world_give(struct world *w, unsigned t, size_t records)
{
    struct script *s = &w->scripts[t];
    for (; records > 0 && s->given < s->whole.n; records--) {
        unsigned words = gm_rec_words(s->whole.words[s->given]);
        put_words(&w->readers[t], s->whole.words + s->given, words, w->now);
        s->given += words;
    }
}

static void world_merge(struct world *w)
{
    uint64_t left = 1;
    while (left) {
        uint64_t watermark = UINT64_MAX;
        left = 0;
        for (unsigned t = 0; t < w->threads; t++) {
            world_give(w, t, rng_below(&w->rng, 60));
            uint64_t next = script_next_stamp(&w->scripts[t]);
            if (next <= watermark)
                watermark = next - 1;
            left += w->scripts[t].whole.n - w->scripts[t].given;
            cr_assert_eq(gm_order_add(&w->order, &w->readers[t], left == 0), 0);
        }
        /* As the recorder does: what may yet be missing within the slack is waited for. */
        gm_order_run(&w->order, watermark == UINT64_MAX ? watermark : watermark - w->order.skew);
    }
    for (unsigned t = 0; t < w->threads; t++)
        gm_order_add(&w->order, &w->readers[t], true);
    gm_order_run(&w->order, UINT64_MAX);
}

Test(order, any_interleaving_of_rings_merges_into_the_true_history)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct world *w = world_create(seed, 0);
        world_merge(w);
        cr_assert_eq(w->told_count, w->truth_count, "seed %lu", seed);
        cr_assert_eq(w->forced, 0, "seed %lu", seed);
        cr_assert_eq(w->order.late, 0, "seed %lu", seed);
        for (size_t i = 0; i < w->told_count; i++) {
            const struct told *a = &w->told[i], *b = &w->truth[i];
            cr_assert(a->stamp == b->stamp && a->address == b->address && a->alloc == b->alloc &&
                          a->thread == b->thread,
                "seed %lu, event %zu", seed, i);
        }
        world_free(w);
    }
}

Test(order, clocks_that_disagree_a_little_leave_every_address_alternating)
{
    size_t repaired = 0, forced = 0, told = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct world *w = world_create(seed, 12); /* up to four events out of place */
        world_merge(w);
        cr_assert_eq(w->told_count, w->truth_count, "seed %lu", seed);
        cr_assert_eq(w->order.late, 0, "seed %lu", seed);
        for (size_t i = 0; i < PLACES; i++)
            cr_assert(w->forced || w->seen_live[i] == w->live[i], "seed %lu, place %zu", seed, i);
        repaired += w->order.repaired;
        forced += w->forced;
        told += w->told_count;
        world_free(w);
    }
    cr_assert_gt(repaired, 1000, "the clocks did not disagree");
    /* What cannot be seen in time: a block that lived for less than the disagreement, all of it before an
     * allocation of its address by a thread whose clock is behind. */
    cr_assert_lt(forced * 10000, told, "%zu of %zu events do not fit", forced, told);
}

Test(order, nothing_above_the_watermark_is_told)
{
    struct world w = {.threads = 1};
    struct told told[4];
    struct gm_order_sink sink = {.arg = &w, .event = sink_event};
    w.told = told;
    w.group = (struct gm_reader_group){.readers = w.readers, .count = 1};
    w.readers[0].group = &w.group;
    gm_order_init(&w.order, &sink, 0);
    put_alloc(&w.readers[0], 100, ADDRESS(1), 8, 0);
    put_free(&w.readers[0], 200, ADDRESS(1));
    cr_assert_eq(gm_order_add(&w.order, &w.readers[0], false), 0);
    gm_order_run(&w.order, 150);
    cr_assert_eq(w.told_count, 1);
    cr_assert_eq(gm_order_add(&w.order, &w.readers[0], false), 0);
    gm_order_run(&w.order, 200);
    cr_assert_eq(w.told_count, 2);
    cr_assert_eq(w.order.late, 0);
    /* What comes after its time is told all the same, and counted. */
    put_alloc(&w.readers[1], 120, ADDRESS(2), 8, 0);
    w.readers[1].group = &w.group;
    cr_assert_eq(gm_order_add(&w.order, &w.readers[1], false), 0);
    gm_order_run(&w.order, 300);
    cr_assert_eq(w.told_count, 3);
    cr_assert_eq(w.order.late, 1);
    gm_reader_done(&w.readers[0]);
    gm_reader_done(&w.readers[1]);
    gm_order_done(&w.order);
}
