/* rollup.c - see rollup.h. Filling batches, and the life of processes: rollup_rows.c. */
#include "collector/rollup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/event_log.h"
#include "collector/rollup_internal.h"
#include "schemas/wire.h"

#define OTHER_ROWS_MAX 200000u /* stacks, samples, threads: far more than a commit's worth */

/* ---- sites ---- */

static uint64_t site_stack_hash(const void *sites, uint32_t site_id)
{
    return gm_index_mix(gm_site(sites, site_id)->stack_id, 0);
}
static bool site_stack_equal(const void *sites, uint32_t site_id, const void *stack_id)
{
    return gm_site(sites, site_id)->stack_id == *(const uint32_t *)stack_id;
}

/* The process's site for a stack, made where it is new. 0 without memory. */
static uint32_t process_stack_site(struct gm_process *p, uint32_t stack_id, uint8_t function)
{
    struct gm_sites *sites = &p->rollup->sites;
    uint64_t hash = gm_index_mix(stack_id, 0);
    uint32_t site_id = gm_index_find(&p->site_index, hash, sites, &stack_id, site_stack_equal);
    if (site_id)
        return site_id;
    if (gm_index_reserve(&p->site_index, sites, site_stack_hash) < 0)
        return 0;
    site_id = gm_sites_add(sites, p->row.process_id, stack_id, function);
    if (site_id)
        gm_index_put(&p->site_index, hash, site_id);
    return site_id;
}

static inline uint32_t process_site(struct gm_process *p, const struct gm_event *alloc)
{
    uint32_t known = gm_stack_names_known_site(&p->names, alloc->hash);
    if (known)
        return known;
    struct gm_stack_name *name =
        alloc->hash != GM_STACK_NONE ? gm_stack_names_find(&p->names, alloc->hash) : NULL;
    if (name) {
        if (!name->site)
            name->site = process_stack_site(p, name->node, alloc->function);
        gm_stack_names_know_site(&p->names, alloc->hash, name->site);
        return name->site;
    }
    if (!p->no_stack_site)
        p->no_stack_site = process_stack_site(p, 0, alloc->function);
    return p->no_stack_site;
}

/* To be called before live figures of a site change: see site.h. */
static inline void site_save_peaks(struct gm_process *p, struct gm_site *site, uint32_t site_id)
{
    struct gm_rollup *rollup = p->rollup;
    if (site->peak_seen < p->row.peak_epoch) {
        site->peak_seen = p->row.peak_epoch;
        site->peak_bytes = site->live_bytes;
        site->peak_blocks = site->live_blocks;
    }
    if (!rollup->sites.run_chunks)
        return;
    struct gm_site_run_peak *run = gm_site_run_peak(&rollup->sites, site_id);
    if (run->seen < rollup->run.peak_epoch)
        *run = (struct gm_site_run_peak){
            .seen = rollup->run.peak_epoch, .bytes = site->live_bytes, .blocks = site->live_blocks};
}

/* ---- live figures ---- */

static inline void process_note_peaks(struct gm_process *p, int64_t ns)
{
    struct gm_rollup *rollup = p->rollup;
    struct gm_row_process *row = &p->row;
    if (row->live_bytes > row->interval_peak_bytes)
        row->interval_peak_bytes = row->live_bytes;
    if (row->live_bytes > row->peak_bytes) {
        row->peak_bytes = row->live_bytes;
        row->peak_blocks = row->live_blocks;
        row->peak_ns = ns;
        row->peak_epoch++;
        row->peak_bytes_variance = row->live_bytes_variance;
    }
    if (rollup->live_bytes > rollup->run.peak_bytes) {
        rollup->run.peak_bytes = rollup->live_bytes;
        rollup->run.peak_blocks = rollup->live_blocks;
        rollup->run.peak_ns = ns;
        rollup->run.peak_epoch++;
        rollup->run.peak_bytes_variance = rollup->live_bytes_variance;
    }
}

static inline void process_live_grows(struct gm_process *p, const struct gm_weight *w)
{
    p->row.live_blocks += w->blocks;
    p->row.live_bytes += w->bytes;
    p->rollup->live_blocks += w->blocks;
    p->rollup->live_bytes += w->bytes;
}

static inline void process_live_shrinks(struct gm_process *p, const struct gm_weight *w)
{
    p->row.live_blocks -= w->blocks;
    p->row.live_bytes -= w->bytes;
    p->rollup->live_blocks -= w->blocks;
    p->rollup->live_bytes -= w->bytes;
}

/* Sums of floating-point numbers do not go back to where they were: with the last block the variance goes too. */
static void process_vary(
    struct gm_process *p, struct gm_row_site_delta *delta, const struct gm_weight *w, double sign)
{
    struct gm_row_process *row = &p->row;
    if (delta) {
        delta->d_live_blocks_variance += sign * w->blocks_variance;
        delta->d_live_bytes_variance += sign * w->bytes_variance;
    }
    double before = row->live_bytes_variance;
    row->live_blocks_variance += sign * w->blocks_variance;
    row->live_bytes_variance += sign * w->bytes_variance;
    if (p->live.n == 0)
        row->live_blocks_variance = row->live_bytes_variance = 0;
    p->rollup->live_bytes_variance += row->live_bytes_variance - before;
}

static void process_vary_alloc(
    struct gm_process *p, struct gm_row_site_delta *delta, const struct gm_weight *w)
{
    if (delta) {
        delta->d_samples++;
        delta->d_allocs_variance += w->blocks_variance;
        delta->d_alloc_bytes_variance += w->bytes_variance;
    }
    p->row.samples++;
    p->row.allocs_variance += w->blocks_variance;
    p->row.alloc_bytes_variance += w->bytes_variance;
    p->rollup->run.samples++;
    process_vary(p, delta, w, 1);
}

/* What stands for so much in one event that its code is made twice: for blocks that stand for themselves, and for
 * those of a sampled process. `sampled` is a constant in each. */
#define MADE_TWICE static inline __attribute__((always_inline))

/* No two blocks of a process are born at the same place of its clock; a deterministic program's are in each run, so
 * that the seed goes in too. */
MADE_TWICE struct gm_weight block_weight(
    const struct gm_process *p, const struct gm_block *block, bool sampled)
{
    if (!sampled)
        return (struct gm_weight){.blocks = 1, .bytes = block->size_bytes};
    return gm_weight_of(
        block->size_bytes, block->sample_log2, block->birth_granule ^ p->weight_salt);
}

struct gm_weight gm_process_weight(const struct gm_process *p, const struct gm_block *block)
{
    return block_weight(p, block, p->sampled);
}

/* ---- allocation ---- */

void gm_process_promoted(void *arg, uint32_t site_id, unsigned from, uint64_t blocks)
{
    struct gm_process *p = arg;
    struct gm_row_site_delta *delta = gm_rollup_delta(p->rollup, site_id);
    if (delta)
        delta->d_promoted[from] += blocks;
    p->row.d_promoted[from] += blocks;
}

/* The logical clock of a sampled process goes on by what its threads allocate, as each of them tells with its events;
 * what an event on a shared ring does not tell is estimated. */
#define CLOCK_STEP_MAX (1ull << 40) /* more in one step is a lie */
static void process_advance(struct gm_process *p, struct gm_process_thread *thread,
    const struct gm_event *event, uint64_t estimate_bytes, uint64_t least_granules)
{
    uint64_t granules = estimate_bytes / GM_GRANULE_BYTES;
    if (thread && event->clock_bytes) {
        uint64_t step =
            event->clock_bytes > thread->clock_bytes ? event->clock_bytes - thread->clock_bytes : 0;
        granules = (step < CLOCK_STEP_MAX ? step : 0) / GM_GRANULE_BYTES;
        thread->clock_bytes += step < CLOCK_STEP_MAX ? granules * GM_GRANULE_BYTES : step;
    }
    gm_generations_advance(&p->generations, granules > least_granules ? granules : least_granules,
        gm_process_promoted, p);
}

static inline void delta_count_alloc(struct gm_row_site_delta *delta, const struct gm_event *alloc,
    const struct gm_weight *w, int64_t ns)
{
    uint64_t bytes = alloc->size_bytes;
    if (delta->d_allocs == 0)
        delta->min_bytes = delta->max_bytes = bytes;
    delta->d_allocs += w->blocks;
    if (bytes < delta->min_bytes)
        delta->min_bytes = bytes;
    if (bytes > delta->max_bytes)
        delta->max_bytes = bytes;
    delta->d_alloc_bytes += w->bytes;
    delta->d_reallocs += alloc->realloc ? w->blocks : 0;
    if (delta->first_ns < 0)
        delta->first_ns = ns;
    delta->last_ns = ns;
}

static inline void process_count_alloc(struct gm_process *p, struct gm_process_thread *thread,
    const struct gm_event *alloc, const struct gm_weight *w)
{
    struct gm_row_process *row = &p->row;
    row->allocs += w->blocks;
    row->alloc_bytes += w->bytes;
    row->reallocs += alloc->realloc ? w->blocks : 0;
    p->changed = true;
    if (!thread)
        return;
    thread->row.allocs += w->blocks;
    thread->row.alloc_bytes += w->bytes;
    thread->changed = true;
}

/* 1: it does not fit and was not forced; else 0 or -ENOMEM. */
static int process_enter_block(
    struct gm_process *p, const struct gm_block *block, int64_t ns, bool forced)
{
    struct gm_live_block entry = gm_live_block_of(block), there;
    int r = gm_live_set_insert(&p->live, &entry);
    if (r != -EEXIST)
        return r;
    if (!forced)
        return 1;
    gm_live_set_remove(&p->live, block->address, &there);
    struct gm_block gone = gm_block_of(&there);
    gm_process_free_block(p, &gone, ns, &(struct gm_death){.life_ns = gm_block_life_ns(&gone, ns)});
    gm_event_log_free_unseen(p, NULL, &gone, GM_LOG_IMPLICIT, ns);
    p->row.implicit_frees++;
    return gm_live_set_insert(&p->live, &entry);
}

/* Up to this event the clock goes on before the block is entered, so that what does not fit is asked once only. */
static void process_date_sample(struct gm_process *p, struct gm_process_thread *thread,
    const struct gm_event *alloc, struct gm_block *block)
{
    block->sample_log2 = alloc->sample_log2 & 63;
    struct gm_weight w = block_weight(p, block, true);
    process_advance(p, thread, alloc, w.bytes, 1);
    block->birth_granule = p->generations.clock;
}

/* The free of the block is known already. */
static int process_enter_young(struct gm_process *p, struct gm_process_thread *ring,
    const struct gm_block *block, const struct gm_event *alloc)
{
    const struct gm_timebase *base = p->rollup->timebase;
    struct gm_young_block dies = {.death_position = alloc->death_position,
        .size_bytes = block->size_bytes,
        .birth_granule = block->birth_granule,
        .birth_ns = block->birth_ns,
        .site = block->site,
        .gc = (uint16_t)block->gc,
        .sample_log2 = (uint8_t)block->sample_log2,
        .collected = alloc->died_collected};
    if (alloc->death_ticks)
        dies.life_ns = (uint64_t)(gm_timebase_convert(base, alloc->stamp + alloc->death_ticks) -
                                  gm_timebase_convert(base, alloc->stamp));
    /* A realloc counts once, with its allocation. */
    p->rollup->run.events += !alloc->died_by_realloc;
    return gm_young_put(&ring->young, alloc->position, &dies);
}

MADE_TWICE bool process_alloc_as(struct gm_process *p, struct gm_process_thread *ring,
    struct gm_process_thread *thread, const struct gm_event *alloc, bool forced, bool sampled)
{
    struct gm_rollup *rollup = p->rollup;
    int64_t ns = gm_timebase_ns(rollup->timebase, alloc->stamp);
    uint32_t site_id = process_site(p, alloc);
    if (!site_id) {
        rollup->out_of_memory = true;
        return true;
    }
    struct gm_block block = {
        .address = alloc->address,
        .size_bytes = alloc->size_bytes,
        .birth_granule = p->generations.clock + gm_granules(alloc->size_bytes),
        .birth_ns = (uint64_t)ns,
        .site = site_id,
        .gc = gm_gc_born(alloc->function),
    };
    if (sampled)
        process_date_sample(p, thread, alloc, &block);
    int r = alloc->died ? process_enter_young(p, ring, &block, alloc)
                        : process_enter_block(p, &block, ns, forced);
    if (r != 0) {
        rollup->out_of_memory |= r < 0;
        return r < 0;
    }
    struct gm_weight w = block_weight(p, &block, sampled);
    if (sampled)
        gm_generations_enter(&p->generations, site_id, w.blocks);
    else
        gm_generations_birth(&p->generations, alloc->size_bytes, site_id, gm_process_promoted, p);
    struct gm_row_site_delta *delta = gm_rollup_delta(rollup, site_id);
    if (delta)
        delta_count_alloc(delta, alloc, &w, ns);
    if (__builtin_expect(block.gc, 0))
        gm_process_gc_born(p, delta, &block, &w);

    struct gm_site *site = gm_site(&rollup->sites, site_id);
    site_save_peaks(p, site, site_id);
    site->live_blocks += w.blocks;
    site->live_bytes += w.bytes;
    site->birth_sum_us += w.blocks * ((uint64_t)ns / 1000);
    site->function = alloc->function;
    process_live_grows(p, &w);
    if (sampled)
        process_vary_alloc(p, delta, &w);
    process_note_peaks(p, ns);
    process_count_alloc(p, thread, alloc, &w);
    gm_sampler_note(p, ns);
    gm_event_log_alloc(p, thread, alloc, site_id, ns);
    rollup->run.events++;
    return true;
}

__attribute__((noinline)) static bool process_alloc_sampled(struct gm_process *p,
    struct gm_process_thread *ring, struct gm_process_thread *thread, const struct gm_event *alloc,
    bool forced)
{
    return process_alloc_as(p, ring, thread, alloc, forced, true);
}

static inline bool process_alloc(struct gm_process *p, struct gm_process_thread *ring,
    struct gm_process_thread *thread, const struct gm_event *alloc, bool forced)
{
    if (__builtin_expect(p->sampled, 0))
        return process_alloc_sampled(p, ring, thread, alloc, forced);
    return process_alloc_as(p, ring, thread, alloc, forced, false);
}

/* ---- free ---- */

MADE_TWICE void process_free_block_as(struct gm_process *p, const struct gm_block *block,
    int64_t ns, const struct gm_death *death, bool sampled)
{
    struct gm_rollup *rollup = p->rollup;
    unsigned generation =
        gm_generations_death(&p->generations, block->birth_granule, gm_process_promoted, p);
    uint64_t age_bytes = (p->generations.clock - block->birth_granule) * GM_GRANULE_BYTES;
    struct gm_weight w = block_weight(p, block, sampled);
    struct gm_row_site_delta *delta = gm_rollup_delta(rollup, block->site);
    if (delta) {
        delta->last_free_ns = ns;
        delta->d_died[generation] += w.blocks;
        gm_sites_count_life(&rollup->sites, delta, age_bytes, (uint64_t)death->life_ns, w.blocks);
    }
    if (__builtin_expect(block->gc, 0))
        gm_process_gc_died(p, block, &w, death);

    struct gm_site *site = gm_site(&rollup->sites, block->site);
    site_save_peaks(p, site, block->site);
    site->live_blocks -= w.blocks;
    site->live_bytes -= w.bytes;
    site->birth_sum_us -= w.blocks * (block->birth_ns / 1000);
    process_live_shrinks(p, &w);
    if (sampled)
        process_vary(p, delta, &w, -1);
    p->row.d_died[generation] += w.blocks;
    p->row.d_died_bytes[generation] += w.bytes;
    p->changed = true;
}

__attribute__((noinline)) static void process_free_block_sampled(
    struct gm_process *p, const struct gm_block *block, int64_t ns, const struct gm_death *death)
{
    process_free_block_as(p, block, ns, death, true);
}

static inline void process_free_block(
    struct gm_process *p, const struct gm_block *block, int64_t ns, const struct gm_death *death)
{
    if (__builtin_expect(p->sampled, 0))
        process_free_block_sampled(p, block, ns, death);
    else
        process_free_block_as(p, block, ns, death, false);
}

void gm_process_free_block(
    struct gm_process *p, const struct gm_block *block, int64_t ns, const struct gm_death *death)
{
    process_free_block(p, block, ns, death);
}

void gm_process_count_free(
    struct gm_process *p, struct gm_process_thread *thread, const struct gm_block *block)
{
    if (!thread)
        return;
    thread->row.frees += block_weight(p, block, p->sampled).blocks;
    thread->changed = true;
}

static bool process_free(struct gm_process *p, struct gm_process_thread *thread,
    const struct gm_event *event, bool forced)
{
    struct gm_live_block entry;
    bool live = gm_live_set_remove(&p->live, event->address, &entry);
    if (!live && !forced)
        return false;
    if (p->sampled)
        process_advance(p, thread, event, 0, 0);
    if (!live && p->sampled)
        return true; /* of a block that was not sampled: see sample.h */
    /* A realloc counts once, with its allocation. */
    p->rollup->run.events += !event->realloc;
    p->changed = true;
    if (!live) {
        p->row.unmatched_frees++;
        gm_process_gc_forget(p, event->address);
        gm_event_log_free(p, thread, event, NULL, p->rollup->timebase->last_ns);
        return true;
    }
    int64_t ns = gm_timebase_ns(p->rollup->timebase, event->stamp);
    struct gm_block block = gm_block_of(&entry);
    process_free_block(p, &block, ns, &(struct gm_death){.life_ns = gm_block_life_ns(&block, ns)});
    gm_sampler_note(p, ns);
    gm_event_log_free(p, thread, event, &block, ns);
    gm_process_count_free(p, thread, &block);
    return true;
}

void gm_process_young_die(
    struct gm_process *p, struct gm_process_thread *ring, uint64_t position, int64_t ns)
{
    struct gm_young_block dead;
    while (gm_young_take(&ring->young, position, &dead)) {
        const struct gm_block block = {.size_bytes = dead.size_bytes,
            .birth_granule = dead.birth_granule,
            .birth_ns = dead.birth_ns,
            .site = dead.site,
            .sample_log2 = dead.sample_log2,
            .gc = dead.gc};
        process_free_block(p, &block, ns,
            &(struct gm_death){.life_ns = (int64_t)dead.life_ns, .collected = dead.collected});
        gm_sampler_note(p, ns);
        if (ring->row.thread_id) {
            ring->row.frees++;
            ring->changed = true;
        }
    }
}

/* ---- threads, modules, the rest ---- */

static void process_thread_starts(
    struct gm_process *p, struct gm_process_thread *thread, const struct gm_event *event)
{
    int64_t ns = gm_timebase_ns(p->rollup->timebase, event->stamp);
    gm_process_end_thread(p, thread, ns);
    thread->row = (struct gm_row_thread){.thread_id = ++p->rollup->threads_seen,
        .process_id = p->row.process_id,
        .tid = event->tid,
        .start_ns = ns,
        .end_ns = -1};
    memcpy(thread->row.name, event->name, sizeof thread->row.name);
    thread->changed = p->changed = true;
    p->row.threads++;
    gm_event_log_life(p, thread, GM_LOG_thread_start, ns);
}

static void process_note_result(struct gm_process *p, int r)
{
    if (r == -ENOMEM)
        p->rollup->out_of_memory = true;
    else if (r < 0)
        gm_process_corrupt(p, 1);
}

/* A stack's module is announced by whichever thread met it first, and that ring may lie further
 * back in the order. So before a pc is taken for generated code, what the rings hold is searched
 * once a round. */
static void process_look_ahead(struct gm_process *p, uint64_t pc_word, int64_t ns)
{
    uint64_t pc = pc_word & GM_PC_MASK;
    if (!p->group || pc == 0 || p->looked_ahead == p->rollup->round ||
        gm_stack_names_mapping(&p->names, pc) || gm_stack_names_mapping(&p->names, pc - 1))
        return;
    p->looked_ahead = p->rollup->round;
    struct gm_event module;
    for (uint32_t i = 0; i < p->group->count; i++) {
        size_t at = p->group->readers[i].next;
        while (gm_reader_next_module(&p->group->readers[i], &at, &module))
            if (!gm_stack_names_mapping(&p->names, module.start))
                process_note_result(p, gm_stacks_map(&p->rollup->stacks, &p->names, &module, ns));
    }
}

static void process_stack(struct gm_process *p, const struct gm_event *event)
{
    process_look_ahead(p, event->pc_word, p->rollup->timebase->last_ns);
    process_note_result(p, gm_stacks_name(&p->rollup->stacks, &p->names, event));
}

static void process_module(struct gm_process *p, const struct gm_event *event)
{
    int64_t ns = p->rollup->timebase->last_ns;
    process_note_result(p, gm_stacks_map(&p->rollup->stacks, &p->names, event, ns));
}

static void process_mark(struct gm_process *p, const struct gm_event *event)
{
    int64_t ns = gm_timebase_ns(p->rollup->timebase, event->stamp);
    if (gm_rollup_mark(p->rollup, p, ns, event->text, event->text_bytes) < 0)
        p->rollup->out_of_memory = true;
}

/* Commits early when the batch has grown as far as it may. Only between events, so that what is
 * told is a state that the program was in. */
static inline void rollup_keep_bounds(struct gm_rollup *rollup)
{
    const struct gm_batch *b = rollup->batch;
    bool full = b->site_deltas.n >= GM_ROLLUP_DELTAS_MAX || b->stacks.n >= OTHER_ROWS_MAX ||
                b->samples.n >= OTHER_ROWS_MAX || b->threads.n >= OTHER_ROWS_MAX ||
                b->marks.n >= OTHER_ROWS_MAX || b->cycles.n >= OTHER_ROWS_MAX ||
                b->gc_stops.n >= OTHER_ROWS_MAX || b->cache_changes.n >= OTHER_ROWS_MAX ||
                b->events.n >= GM_EVENT_LOG_BATCH_MAX;
    if (full && rollup->flush)
        rollup->flush(rollup->flush_arg);
}

static bool process_event(
    struct gm_process *p, struct gm_process_thread *ring, const struct gm_event *event, bool forced)
{
    struct gm_rollup *rollup = p->rollup;
    struct gm_process_thread *thread = ring->row.thread_id ? ring : NULL;
    switch (event->kind) {
    case GM_EV_ALLOC:
        return process_alloc(p, ring, thread, event, forced);
    case GM_EV_FREE:
        return process_free(p, thread, event, forced);
    case GM_EV_STACK:
        process_stack(p, event);
        return true;
    case GM_EV_MODULE:
        process_module(p, event);
        return true;
    case GM_EV_MODULE_EPOCH:
        gm_stacks_epoch(&p->names);
        return true;
    case GM_EV_THREAD_START:
        process_thread_starts(p, ring, event);
        return true;
    case GM_EV_THREAD_END:
        gm_process_end_thread(p, ring, gm_timebase_ns(rollup->timebase, event->stamp));
        return true;
    case GM_EV_MARK:
        process_mark(p, event);
        return true;
    case GM_EV_SWEEP:
        gm_process_sweep(p, thread, event);
        return true;
    case GM_EV_GC_BEGIN:
        gm_collections_begin(&p->collections, event->gc_kind, &p->live);
        p->early_count = 0;
        return true;
    case GM_EV_GC_CYCLE:
        gm_process_cycle(p, event);
        return true;
    case GM_EV_GC_STOP:
        gm_process_gc_stop(p, event);
        return true;
    case GM_EV_CACHE:
    case GM_EV_CACHE_USE:
    case GM_EV_CACHE_EVICT:
    case GM_EV_CACHE_CLASS:
        gm_process_cache_event(p, event, (uint32_t)(ring - p->threads));
        return true;
    case GM_EV_REALLOC: /* of an older target: decode refuses it */
    case GM_EV_PROMOTION:
    case GM_EV_PROCESS_END: /* the session header says the same */
        return true;
    }
    return true;
}

/* ---- ahead of the events ---- */

/* Tables below this are in the cache anyway. Arbitrary: some 600 KiB. */
#define FETCH_NAMES_FROM 32768u

static inline void process_fetch_far(
    const struct gm_process *p, const struct gm_ahead_record *record, bool names)
{
    if (names && record->kind != GM_EV_FREE)
        gm_stack_names_prefetch(&p->names, record->hash);
    if (record->kind != GM_EV_STACK && record->address)
        gm_live_set_prefetch(&p->live, record->address);
}

static inline void process_fetch_near(
    const struct gm_process *p, const struct gm_ahead_record *record, bool names)
{
    if (record->kind == GM_EV_FREE) {
        gm_live_set_prefetch_block(&p->live, record->address);
    } else if (names && record->kind == GM_EV_ALLOC) {
        const struct gm_stack_name *name = gm_stack_names_guess(&p->names, record->hash);
        if (name && name->site)
            __builtin_prefetch(gm_site(&p->rollup->sites, name->site), 1);
    }
}

/* One record at either distance for each event; at the beginning of what a ring gave, as many as it takes to get
 * there. */
static inline void process_fetch_ahead(const struct gm_process *p, struct gm_reader *reader)
{
    struct gm_ahead_record record;
    bool names = p->names.name_room >= FETCH_NAMES_FROM, begins;
    if (!names && p->live.shard_count <= 1)
        return;
    begins = reader->ahead[GM_AHEAD_FAR] <= reader->next;
    do
        if (!gm_reader_look_ahead(reader, GM_AHEAD_FAR, &record))
            break;
        else
            process_fetch_far(p, &record, names);
    while (begins);
    begins = reader->ahead[GM_AHEAD_NEAR] <= reader->next;
    do
        if (!gm_reader_look_ahead(reader, GM_AHEAD_NEAR, &record))
            break;
        else
            process_fetch_near(p, &record, names);
    while (begins);
}

bool gm_rollup_event(void *arg, struct gm_reader *reader, const struct gm_event *event, bool forced)
{
    struct gm_rollup *rollup = arg;
    struct gm_process *p = reader->group->owner;
    struct gm_process_thread *ring = &p->threads[reader->index];
    rollup_keep_bounds(rollup);
    process_fetch_ahead(p, reader);
    if (!process_event(p, ring, event, forced))
        return false;
    if (gm_young_due(&ring->young, reader->position))
        gm_process_young_die(
            p, ring, reader->position, gm_timebase_ns(rollup->timebase, event->stamp));
    return true;
}
