/* The roll-up against a model that keeps everything and looks at all of it: what the batches add up to must
 * be what the model counts, whenever the commits fall. */
#include <criterion/criterion.h>

#include "collector/rollup.h"
#include "wire_words.h"

#define SITES 12 /* per process */
#define PLACES 120
#define PROCESSES 3
#define RINGS 3
#define STEPS 21000 /* a multiple of PROCESSES */

/* What a store would hold of a site, and what the model says. */
struct site_sum {
    struct gm_row_site_delta last; /* current values of the last delta */
    uint64_t allocs, alloc_bytes, reallocs, frees, free_bytes, died[4], promoted[3], min, max;
    uint64_t life[2][64];
    int64_t first_ns, last_ns, last_free_ns;
};

struct model_block {
    bool live;
    uint64_t size, birth_clock, birth_ns;
    unsigned site, generation;
};
struct model_process {
    bool begun, ended;
    struct gm_process *process;
    struct gm_reader readers[RINGS];
    struct gm_reader_group group;
    struct model_block blocks[PLACES];
    struct site_sum sites[SITES + 1]; /* 0: no stack */
    uint64_t peak_at[SITES + 1][2];   /* bytes, blocks at the process's peak */
    uint64_t run_peak_at[SITES + 1][2];
    uint64_t clock, live_bytes, live_blocks, peak_bytes, peak_blocks, allocs, frees, unmatched,
        implicit;
    uint64_t born[4], died[4], promoted[4];
    uint64_t hashes[SITES + 1];
    struct gm_row_process row; /* last told */
    struct {
        uint64_t allocs, alloc_bytes, frees, free_bytes, unmatched, implicit, starts, ends;
    } log; /* sums over the log of events */
    uint64_t interval_allocs, interval_frees, told_born[4], told_died[4], told_promoted[4];
};
struct bench {
    struct rng rng;
    uint64_t seed, now;
    struct gm_timebase timebase;
    struct gm_rollup rollup;
    struct gm_batch batch;
    struct model_process *p; /* PROCESSES */
    uint64_t run_live, run_peak;
    struct site_sum *told; /* by site id */
    struct {
        uint32_t process, stack;
    } site_of[PROCESSES * (SITES + 1) + 1];
    size_t told_sites;
    int64_t batch_end;
    struct gm_run_state run;
};

/* ---- what a store does ---- */

static void take_delta(struct bench *b, const struct gm_row_site_delta *d)
{
    struct site_sum *s = &b->told[d->site_id];
    if (d->d_allocs && (!s->allocs || d->min_bytes < s->min))
        s->min = d->min_bytes;
    if (d->d_allocs && d->max_bytes > s->max)
        s->max = d->max_bytes;
    if (!s->allocs)
        s->first_ns = d->first_ns;
    s->last_ns = d->last_ns >= 0 ? d->last_ns : s->last_ns;
    s->last_free_ns = d->last_free_ns >= 0 ? d->last_free_ns : s->last_free_ns;
    s->allocs += d->d_allocs;
    s->alloc_bytes += d->d_alloc_bytes;
    s->reallocs += d->d_reallocs;
    s->frees += d->d_frees;
    s->free_bytes += d->d_free_bytes;
    for (int g = 0; g < 4; g++)
        s->died[g] += d->d_died[g];
    for (int g = 0; g < 3; g++)
        s->promoted[g] += d->d_promoted[g];
    for (uint32_t i = 0; i < d->life_count; i++) {
        const struct gm_life *l = &b->batch.life.v[d->life_first + i];
        s->life[l->unit][l->bucket] += l->blocks;
    }
    s->last = *d;
}

static void take_process(struct bench *b, const struct gm_row_process *row)
{
    struct model_process *m = &b->p[row->process_id - 1];
    m->row = *row;
    m->interval_allocs += row->d_allocs;
    m->interval_frees += row->d_frees;
    for (int g = 0; g < 4; g++) {
        m->told_born[g] += row->d_born[g];
        m->told_died[g] += row->d_died[g];
        m->told_promoted[g] += row->d_promoted[g];
    }
}

/* The log of events against the figures made from the same: after each commit they agree. */
static void take_log(struct bench *b)
{
    for (size_t i = 0; i < b->batch.events.n; i++) {
        const struct gm_log_event *e = &b->batch.events.v[i];
        struct model_process *m = &b->p[e->process_id - 1];
        bool alloc = e->kind == GM_LOG_alloc, known = e->site_id != 0;
        bool free_known = e->kind == GM_LOG_free && known;
        m->log.allocs += alloc;
        m->log.alloc_bytes += alloc ? e->size_bytes : 0;
        m->log.frees += free_known;
        m->log.free_bytes += free_known ? e->size_bytes : 0;
        m->log.unmatched += e->kind == GM_LOG_free && !known;
        m->log.implicit += e->kind == GM_LOG_free && e->flags == GM_LOG_IMPLICIT;
        m->log.starts += e->kind == GM_LOG_process_start;
        m->log.ends += e->kind == GM_LOG_process_end;
    }
    for (size_t i = 0; i < b->batch.processes.n; i++) {
        const struct gm_row_process *row = &b->batch.processes.v[i];
        const struct model_process *m = &b->p[row->process_id - 1];
        cr_assert(m->log.allocs == row->allocs && m->log.alloc_bytes == row->alloc_bytes &&
                      m->log.frees == row->frees && m->log.free_bytes == row->free_bytes &&
                      m->log.unmatched == row->unmatched_frees &&
                      m->log.implicit == row->implicit_frees && m->log.starts == 1 &&
                      m->log.ends == (row->end_ns >= 0),
            "the log of process %u, seed %lu", row->process_id, b->seed);
    }
}

static int commit(void *arg)
{
    struct bench *b = arg;
    cr_assert_eq(gm_rollup_fill(&b->rollup, b->timebase.last_ns), 0);
    cr_assert_eq(b->batch.start_ns, b->batch_end, "slices follow each other");
    b->batch_end = b->batch.end_ns;
    for (size_t i = 0; i < b->batch.sites.n; i++) {
        const struct gm_row_site *row = &b->batch.sites.v[i];
        b->site_of[row->site_id].process = row->process_id;
        b->site_of[row->site_id].stack = row->stack_id;
        b->told_sites = row->site_id;
    }
    for (size_t i = 0; i < b->batch.site_deltas.n; i++)
        take_delta(b, &b->batch.site_deltas.v[i]);
    for (size_t i = 0; i < b->batch.processes.n; i++)
        take_process(b, &b->batch.processes.v[i]);
    take_log(b);
    b->run = b->batch.run;
    gm_batch_clear(&b->batch);
    gm_rollup_use(&b->rollup, &b->batch);
    return 0;
}

/* ---- the model ---- */

static unsigned model_generation(uint64_t age_granules)
{
    unsigned g = 0;
    while (g < 3 && age_granules * 16 >= gm_generation_age_bytes[g])
        g++;
    return g;
}

static unsigned bits(uint64_t v)
{
    unsigned n = 0;
    for (; v; v >>= 1)
        n++;
    return n;
}

static void model_free(struct bench *b, struct model_process *m, uint64_t place, uint64_t ns)
{
    struct model_block *k = &m->blocks[place];
    struct site_sum *s = &m->sites[k->site];
    unsigned g = model_generation(m->clock - k->birth_clock);
    s->frees++;
    s->free_bytes += k->size;
    s->died[g]++;
    m->died[g]++;
    s->life[0][bits((m->clock - k->birth_clock) * 16)]++;
    s->life[1][bits(ns - k->birth_ns)]++;
    s->last_free_ns = (int64_t)ns;
    m->frees++;
    m->live_blocks--;
    m->live_bytes -= k->size;
    b->run_live -= k->size;
    k->live = false;
}

static void model_site_live(const struct model_process *m, unsigned site, uint64_t *bytes,
    uint64_t *blocks, uint64_t *births)
{
    *bytes = *blocks = *births = 0;
    for (int i = 0; i < PLACES; i++)
        if (m->blocks[i].live && m->blocks[i].site == site) {
            *bytes += m->blocks[i].size;
            *blocks += 1;
            *births += m->blocks[i].birth_ns / 1000;
        }
}

static void model_note_peaks(struct bench *b, struct model_process *m)
{
    uint64_t births;
    if (m->live_bytes > m->peak_bytes) {
        m->peak_bytes = m->live_bytes;
        m->peak_blocks = m->live_blocks;
        for (unsigned s = 0; s <= SITES; s++)
            model_site_live(m, s, &m->peak_at[s][0], &m->peak_at[s][1], &births);
    }
    if (b->run_live <= b->run_peak)
        return;
    b->run_peak = b->run_live;
    for (int q = 0; q < PROCESSES; q++)
        for (unsigned s = 0; s <= SITES; s++) {
            model_site_live(
                &b->p[q], s, &b->p[q].run_peak_at[s][0], &b->p[q].run_peak_at[s][1], &births);
            if (b->p[q].ended)
                b->p[q].run_peak_at[s][0] = b->p[q].run_peak_at[s][1] = 0;
        }
}

static void model_alloc(struct bench *b, struct model_process *m, uint64_t place, unsigned site,
    uint64_t size, uint64_t ns, bool re)
{
    struct site_sum *s = &m->sites[site];
    if (m->blocks[place].live) {
        model_free(b, m, place, ns);
        m->implicit++;
    }
    m->clock += size ? (size + 15) / 16 : 1;
    for (int i = 0; i < PLACES; i++)
        for (struct model_block *k = &m->blocks[i];
             k->live && k->generation < model_generation(m->clock - k->birth_clock);
             k->generation++) {
            m->sites[k->site].promoted[k->generation]++;
            m->promoted[k->generation]++;
            m->born[k->generation + 1]++;
        }
    m->blocks[place] = (struct model_block){
        .live = true, .size = size, .birth_clock = m->clock, .birth_ns = ns, .site = site};
    if (!s->allocs)
        s->first_ns = (int64_t)ns;
    s->min = !s->allocs || size < s->min ? size : s->min;
    s->max = size > s->max ? size : s->max;
    s->last_ns = (int64_t)ns;
    s->allocs++;
    s->alloc_bytes += size;
    s->reallocs += re;
    m->allocs++;
    m->born[0]++;
    m->live_blocks++;
    m->live_bytes += size;
    b->run_live += size;
    model_note_peaks(b, m);
}

/* ---- events to both ---- */

static void tell(struct bench *b, struct model_process *m, const struct gm_event *e)
{
    struct gm_reader *reader = &m->readers[rng_below(&b->rng, RINGS)];
    if (!gm_rollup_event(&b->rollup, reader, e, false))
        cr_assert(gm_rollup_event(&b->rollup, reader, e, true));
}

static void begin_process(struct bench *b, int q)
{
    struct model_process *m = &b->p[q];
    struct gm_process_start start = {.pid = 100 + q,
        .origin = "root",
        .exe = "/x",
        .command = "[]",
        .start_ns = (int64_t)b->now,
        .ring_count = RINGS};
    cr_assert_eq(gm_rollup_add_process(&b->rollup, &start, &m->process), 0);
    m->begun = true;
    m->group = (struct gm_reader_group){.readers = m->readers, .count = RINGS, .owner = m->process};
    for (uint32_t r = 0; r < RINGS; r++) {
        m->readers[r].group = &m->group;
        m->readers[r].index = r;
    }
    for (unsigned s = 1; s <= SITES; s++) {
        struct gm_event e = {.kind = GM_EV_STACK,
            .stamp = b->now,
            .parent_hash = GM_STACK_ROOT,
            .pc_word = 0x1000 * (s + 1),
            .hash = gm_stack_hash(GM_STACK_ROOT, 0x1000 * (s + 1))};
        m->hashes[s] = e.hash;
        tell(b, m, &e);
    }
    struct gm_event e = {.kind = GM_EV_THREAD_START, .stamp = b->now, .tid = 5, .name = "worker"};
    cr_assert(gm_rollup_event(&b->rollup, &m->readers[0], &e, false));
}

static uint64_t random_size(struct rng *rng)
{
    if (rng_below(rng, 300) == 0)
        return rng_below(rng, 20 << 20);
    return rng_below(rng, 1ull << rng_below(rng, 15));
}

static void event_alloc(struct bench *b, struct model_process *m, uint64_t place, bool re)
{
    unsigned site = (unsigned)rng_below(&b->rng, SITES + 1);
    uint64_t size = random_size(&b->rng);
    struct gm_event e = {.kind = GM_EV_ALLOC,
        .stamp = b->now,
        .address = 16 + place * 16,
        .size_bytes = size,
        .hash = m->hashes[site],
        .function = GM_FN_malloc,
        .realloc = re};
    tell(b, m, &e);
    model_alloc(b, m, place, site, size, b->now, re);
}

static void event_free(struct bench *b, struct model_process *m, uint64_t place, bool re)
{
    struct gm_event e = {
        .kind = GM_EV_FREE, .stamp = b->now, .address = 16 + place * 16, .realloc = re};
    tell(b, m, &e);
    if (m->blocks[place].live)
        model_free(b, m, place, b->now);
    else
        m->unmatched++;
}

static void end_process(struct bench *b, struct model_process *m)
{
    b->timebase.last_ns = (int64_t)b->now;
    gm_process_ended(m->process, (int64_t)b->now, "exit", 0);
    b->now += 1;
    m->ended = true;
    b->run_live -= m->live_bytes;
}

static void step(struct bench *b, size_t i)
{
    if (i % (STEPS / PROCESSES) == 0)
        begin_process(b, (int)(i / (STEPS / PROCESSES)));
    struct model_process *m = &b->p[rng_below(&b->rng, PROCESSES)];
    b->now += rng_below(&b->rng, 5) == 0 ? rng_below(&b->rng, 1000000) : rng_below(&b->rng, 100);
    if (i == STEPS * 3 / 4)
        end_process(b, &b->p[0]);
    if (!m->begun || m->ended)
        return;
    uint64_t place = rng_below(&b->rng, PLACES);
    bool grow = (i / 1000) % 3 != 2;
    if (rng_below(&b->rng, 8) == 0) {
        event_free(b, m, place, true);
        event_alloc(b, m, rng_below(&b->rng, PLACES), true);
    } else if (rng_below(&b->rng, 10) < (grow ? 6u : 3u)) {
        event_alloc(b, m, place, false);
    } else {
        event_free(b, m, place, false);
    }
    if (rng_below(&b->rng, 700) == 0)
        commit(b);
}

/* ---- comparing ---- */

/* Stacks got their ids in the order of sites, and the processes share them. */
static struct site_sum *told_site(struct bench *b, int q, unsigned site)
{
    for (uint32_t id = 1; id <= b->told_sites; id++)
        if (b->site_of[id].process == (uint32_t)q + 1 && b->site_of[id].stack == site)
            return &b->told[id];
    return NULL;
}

#define AT "seed %lu, process %d, site %u"

static void compare_site(struct bench *b, int q, unsigned site)
{
    struct model_process *m = &b->p[q];
    const struct site_sum *want = &m->sites[site];
    struct site_sum *got = told_site(b, q, site);
    if (!got) {
        cr_assert_eq(want->allocs, 0);
        return;
    }
    uint64_t bytes, blocks, births;
    model_site_live(m, site, &bytes, &blocks, &births);
    cr_assert(
        got->allocs == want->allocs && got->alloc_bytes == want->alloc_bytes, AT, b->seed, q, site);
    cr_assert(got->reallocs == want->reallocs, AT, b->seed, q, site);
    cr_assert(
        got->frees == want->frees && got->free_bytes == want->free_bytes, AT, b->seed, q, site);
    cr_assert_arr_eq(got->died, want->died, sizeof got->died, AT, b->seed, q, site);
    cr_assert_arr_eq(got->promoted, want->promoted, sizeof got->promoted, AT, b->seed, q, site);
    cr_assert_arr_eq(got->life, want->life, sizeof got->life, AT, b->seed, q, site);
    cr_assert(got->min == want->min && got->max == want->max, AT, b->seed, q, site);
    cr_assert(
        got->first_ns == want->first_ns && got->last_ns == want->last_ns, AT, b->seed, q, site);
    cr_assert(got->last_free_ns == want->last_free_ns, AT, b->seed, q, site);
    cr_assert(
        got->last.live_bytes == bytes && got->last.live_blocks == blocks, AT, b->seed, q, site);
    cr_assert(got->last.birth_sum_us == births, AT, b->seed, q, site);
    /* As the view v_sites reads them. */
    bool peak_kept = got->last.peak_seen == m->row.peak_epoch;
    bool gone = m->row.end_ns >= 0 && m->row.end_peak_epoch < b->run.peak_epoch;
    bool run_kept = got->last.run_peak_seen == b->run.peak_epoch;
    uint64_t peak = peak_kept ? got->last.peak_bytes : bytes;
    uint64_t peak_blocks = peak_kept ? got->last.peak_blocks : blocks;
    uint64_t run_peak = run_kept ? got->last.run_peak_bytes : gone ? 0 : bytes;
    uint64_t run_blocks = run_kept ? got->last.run_peak_blocks : gone ? 0 : blocks;
    cr_assert(
        peak == m->peak_at[site][0] && peak_blocks == m->peak_at[site][1], AT, b->seed, q, site);
    cr_assert(run_peak == m->run_peak_at[site][0] && run_blocks == m->run_peak_at[site][1], AT,
        b->seed, q, site);
}

static void compare_process(struct bench *b, int q)
{
    struct model_process *m = &b->p[q];
    cr_assert_eq(m->row.allocs, m->allocs, "seed %lu", b->seed);
    cr_assert_eq(m->interval_allocs, m->allocs);
    cr_assert_eq(m->row.frees, m->frees);
    cr_assert_eq(m->interval_frees, m->frees);
    cr_assert_eq(m->row.unmatched_frees, m->unmatched);
    cr_assert_eq(m->row.implicit_frees, m->implicit);
    cr_assert_eq(m->row.live_bytes, m->live_bytes);
    cr_assert_eq(m->row.live_blocks, m->live_blocks);
    cr_assert_eq(m->row.peak_bytes, m->peak_bytes);
    cr_assert_eq(m->row.peak_blocks, m->peak_blocks);
    cr_assert_eq(m->row.age_bytes, m->clock * 16);
    cr_assert_arr_eq(m->told_born, m->born, sizeof m->born, "seed %lu", b->seed);
    cr_assert_arr_eq(m->told_died, m->died, sizeof m->died, "seed %lu", b->seed);
    cr_assert_arr_eq(m->told_promoted, m->promoted, sizeof m->promoted, "seed %lu", b->seed);
    for (unsigned s = 0; s <= SITES; s++)
        compare_site(b, q, s);
}

static struct bench *bench_create(uint64_t seed)
{
    struct bench *b = calloc(1, sizeof *b);
    b->seed = b->rng.s = seed;
    b->now = 1000;
    b->timebase.clock = GM_CLOCK_MONOTONIC; /* stamps are nanoseconds since 0 */
    b->p = calloc(PROCESSES, sizeof *b->p);
    b->told = calloc(PROCESSES * (SITES + 1) + 1, sizeof *b->told);
    for (size_t i = 0; i < PROCESSES * (SITES + 1) + 1; i++)
        b->told[i].last_free_ns = -1;
    for (int q = 0; q < PROCESSES; q++)
        for (unsigned s = 0; s <= SITES; s++)
            b->p[q].sites[s].last_free_ns = -1;
    gm_rollup_init(&b->rollup, &b->timebase, &b->batch);
    b->rollup.log_events = true;
    b->rollup.flush = commit;
    b->rollup.flush_arg = b;
    return b;
}

static void bench_free(struct bench *b)
{
    gm_rollup_done(&b->rollup);
    gm_batch_done(&b->batch);
    free(b->p);
    free(b->told);
    free(b);
}

Test(rollup, batches_add_up_to_what_a_model_that_keeps_everything_counts)
{
    for (uint64_t seed = 1; seed <= 25; seed++) {
        struct bench *b = bench_create(seed);
        for (size_t i = 0; i < STEPS; i++)
            step(b, i);
        commit(b);
        cr_assert_eq(b->run.peak_bytes, b->run_peak, "seed %lu", seed);
        for (int q = 0; q < PROCESSES; q++)
            compare_process(b, q);
        cr_assert_not(b->rollup.out_of_memory);
        bench_free(b);
    }
}

Test(rollup, samples_follow_the_live_bytes_and_have_their_peaks)
{
    struct bench *b = bench_create(3);
    begin_process(b, 0);
    struct model_process *m = &b->p[0];
    struct gm_event a = {.kind = GM_EV_ALLOC, .address = 16, .size_bytes = 1000, .stamp = 1000000};
    struct gm_event f = {.kind = GM_EV_FREE, .address = 16, .stamp = 2000000};
    tell(b, m, &a);
    tell(b, m, &f);
    a.stamp = 25000000;
    tell(b, m, &a);
    a.stamp = 99000000;
    a.address = 32;
    tell(b, m, &a);
    gm_rollup_fill(&b->rollup, 120000000);
    static const struct gm_row_sample want[] = {
        {1, 1000000, 1000, 1}, {1, 2000000, 0, 0}, {1, 25000000, 1000, 1}, {1, 99000000, 2000, 2}};
    cr_assert_eq(b->batch.samples.n, 4);
    for (size_t i = 0; i < 4; i++) {
        const struct gm_row_sample *s = &b->batch.samples.v[i];
        cr_assert(s->ns == want[i].ns && s->live_bytes == want[i].live_bytes &&
                      s->live_blocks == want[i].live_blocks,
            "sample %zu", i);
    }
    bench_free(b);
}

Test(rollup, many_samples_make_the_spacing_grow)
{
    struct bench *b = bench_create(4);
    begin_process(b, 0);
    uint64_t samples = 0;
    for (uint64_t i = 0; i < 400000; i++) { /* more than an hour, an event every 10 ms */
        struct gm_event a = {.kind = i % 2 ? GM_EV_FREE : GM_EV_ALLOC,
            .address = 16,
            .size_bytes = 10,
            .stamp = i * 10000000};
        tell(b, &b->p[0], &a);
        if (i % 1000 == 0) {
            gm_rollup_fill(&b->rollup, b->timebase.last_ns);
            samples += b->batch.samples.n;
            gm_batch_clear(&b->batch);
        }
    }
    cr_assert_lt(samples, 130000, "%lu samples", samples);
    bench_free(b);
}

Test(rollup, losses_are_told_once_with_their_reason)
{
    struct bench *b = bench_create(5);
    begin_process(b, 0);
    gm_process_lost(b->p[0].process, 10, 3);
    gm_process_lost(b->p[0].process, 5, 0);
    gm_process_corrupt(b->p[0].process, 2);
    gm_rollup_fill(&b->rollup, 10);
    cr_assert_eq(b->batch.losses.n, 3);
    cr_assert(
        b->batch.losses.v[0].events == 15 && !strcmp(b->batch.losses.v[0].reason, "ring full"));
    cr_assert(b->batch.losses.v[1].events == 3 && !strcmp(b->batch.losses.v[1].reason, "no ring"));
    cr_assert(b->batch.losses.v[2].events == 2 && !strcmp(b->batch.losses.v[2].reason, "corrupt"));
    cr_assert(b->batch.run.lost_events == 18 && b->batch.run.corrupt_records == 2);
    gm_batch_clear(&b->batch);
    gm_rollup_fill(&b->rollup, 20);
    cr_assert_eq(b->batch.losses.n, 0);
    bench_free(b);
}

static size_t flushes;
static int flush_and_forget(void *arg)
{
    struct bench *b = arg;
    cr_assert_leq(b->batch.site_deltas.n, GM_ROLLUP_DELTAS_MAX + 3 * GM_GENERATION_LAG);
    gm_rollup_fill(&b->rollup, b->timebase.last_ns);
    gm_batch_clear(&b->batch);
    flushes++;
    return 0;
}

Test(rollup, a_batch_that_is_full_is_committed_early)
{
    struct bench *b = bench_create(6);
    begin_process(b, 0);
    b->rollup.flush = flush_and_forget;
    for (uint64_t i = 0; i < 3 * GM_ROLLUP_DELTAS_MAX; i++) {
        uint64_t pc = 0x100000 + i, hash = gm_stack_hash(GM_STACK_ROOT, pc);
        struct gm_event s = {.kind = GM_EV_STACK,
            .stamp = b->now,
            .parent_hash = GM_STACK_ROOT,
            .pc_word = pc,
            .hash = hash};
        struct gm_event a = {
            .kind = GM_EV_ALLOC, .stamp = b->now, .address = 16 + i * 16, .hash = hash};
        gm_rollup_event(&b->rollup, &b->p[0].readers[0], &s, false);
        gm_rollup_event(&b->rollup, &b->p[0].readers[0], &a, false);
    }
    cr_assert_eq(b->rollup.sites.count, 3 * GM_ROLLUP_DELTAS_MAX);
    cr_assert_geq(flushes, 2);
    bench_free(b);
}

Test(rollup, a_module_announced_by_a_ring_further_back_is_found_in_time)
{
    struct bench *b = bench_create(7);
    begin_process(b, 0);
    struct model_process *m = &b->p[0];
    m->process->group = &m->group;
    put_module(&m->readers[2], 0x700000, 0x800000, 0x700000, "/lib/late.so");
    uint64_t hash = gm_stack_hash(GM_STACK_ROOT, 0x701234);
    struct gm_event s = {.kind = GM_EV_STACK,
        .stamp = b->now,
        .parent_hash = GM_STACK_ROOT,
        .pc_word = 0x701234,
        .hash = hash};
    b->rollup.round++;
    gm_rollup_event(&b->rollup, &m->readers[0], &s, false);
    const struct gm_row_frame *frame = &b->batch.frames.v[b->batch.frames.n - 1];
    cr_assert(frame->module_id == 1 && frame->address == 0x1234);
    gm_reader_done(&m->readers[2]);
    bench_free(b);
}
