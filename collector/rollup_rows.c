/* rollup_rows.c - processes come and go, batches fill: the part of rollup.h that events do not
 * touch. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/event_log.h"
#include "collector/rollup.h"
#include "collector/rollup_internal.h"

#define SAMPLE_SPACING_NS 10000000ll
/* After so many rows, a minute or less, the spacing doubles. A day then has some 60,000 of them. Arbitrary. */
#define SAMPLES_PER_SPACING 6000u
#define LOSS_MAX (1ull << 40) /* more in one step is a lie; keeps sums far from overflow */

int gm_rollup_init(struct gm_rollup *rollup, struct gm_timebase *timebase, struct gm_batch *batch)
{
    memset(rollup, 0, sizeof *rollup);
    rollup->timebase = timebase;
    gm_sites_init(&rollup->sites);
    gm_stacks_init(&rollup->stacks);
    gm_rollup_use(rollup, batch);
    return 0;
}

static void process_free_memory(struct gm_process *p)
{
    gm_live_set_done(&p->live);
    gm_stack_names_done(&p->names);
    gm_generations_done(&p->generations);
    gm_collections_done(&p->collections);
    gm_index_done(&p->site_index);
    for (uint32_t i = 0; p->threads && i < p->ring_count; i++)
        gm_young_done(&p->threads[i].young);
    free(p->threads);
    p->threads = NULL;
}

static void process_free(struct gm_process *p)
{
    process_free_memory(p);
    gm_process_caches_done(p);
    free(p->row.exe);
    free(p->row.command);
    free(p);
}

void gm_rollup_done(struct gm_rollup *rollup)
{
    for (size_t i = 0; i < rollup->process_count; i++)
        process_free(rollup->processes[i]);
    free(rollup->processes);
    gm_cache_curves_free(rollup->curves);
    gm_sites_done(&rollup->sites);
    gm_stacks_done(&rollup->stacks);
    memset(rollup, 0, sizeof *rollup);
}

void gm_rollup_use(struct gm_rollup *rollup, struct gm_batch *empty)
{
    rollup->batch = empty;
    rollup->sites.batch = empty;
    rollup->stacks.batch = empty;
}

/* ---- processes ---- */

static struct gm_process *process_create(
    struct gm_rollup *rollup, const struct gm_process_start *start)
{
    struct gm_process *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->rollup = rollup;
    p->ring_count = start->ring_count;
    p->threads = calloc(start->ring_count ? start->ring_count : 1, sizeof *p->threads);
    p->row = (struct gm_row_process){.pid = start->pid,
        .origin = start->origin,
        .parent_process_id = start->parent ? start->parent->row.process_id : 0,
        .exe = strdup(start->exe),
        .command = strdup(start->command),
        .start_ns = start->start_ns,
        .end_ns = -1,
        .sample_bytes = start->sample_bytes};
    p->sampled = start->sample_bytes != 0;
    p->weight_salt = start->sample_seed * 0x9e3779b97f4a7c15ull;
    if (!p->threads || !p->row.exe || !p->row.command) {
        process_free(p);
        return NULL;
    }
    p->changed = true;
    p->sampler = (struct gm_sampler){.spacing_ns = SAMPLE_SPACING_NS, .slice_end_ns = -1};
    gm_live_set_init(&p->live);
    gm_generations_init(&p->generations);
    return p;
}

int gm_rollup_add_process(
    struct gm_rollup *rollup, const struct gm_process_start *start, struct gm_process **ret_process)
{
    if (rollup->processes_seen == 1 && gm_sites_split_peaks(&rollup->sites) < 0)
        return -ENOMEM;
    if (rollup->process_count == rollup->process_room) {
        size_t room = rollup->process_room ? rollup->process_room * 2 : 16;
        struct gm_process **list = reallocarray(rollup->processes, room, sizeof *list);
        if (!list)
            return -ENOMEM;
        rollup->processes = list;
        rollup->process_room = room;
    }
    struct gm_process *p = process_create(rollup, start);
    if (!p)
        return -ENOMEM;
    p->row.process_id = ++rollup->processes_seen;
    gm_stack_names_init(&p->names, p->row.process_id);
    rollup->processes[rollup->process_count++] = p;
    gm_event_log_life(p, NULL, GM_LOG_process_start, start->start_ns);
    *ret_process = p;
    return 0;
}

static void totals_add(struct gm_rollup_totals *totals, const struct gm_process *p)
{
    totals->allocs += p->row.allocs;
    totals->alloc_bytes += p->row.alloc_bytes;
    totals->frees += gm_process_frees(p);
}

struct gm_rollup_totals gm_rollup_totals(const struct gm_rollup *rollup)
{
    struct gm_rollup_totals totals = rollup->forgotten;
    for (size_t i = 0; i < rollup->process_count; i++)
        totals_add(&totals, rollup->processes[i]);
    return totals;
}

void gm_rollup_forget(struct gm_rollup *rollup, struct gm_process *process)
{
    totals_add(&rollup->forgotten, process);
    for (size_t i = 0; i < rollup->process_count; i++) {
        if (rollup->processes[i] != process)
            continue;
        memmove(&rollup->processes[i], &rollup->processes[i + 1],
            (--rollup->process_count - i) * sizeof *rollup->processes);
        break;
    }
    process_free(process);
}

static uint64_t loss_bounded(uint64_t n)
{
    return n < LOSS_MAX ? n : LOSS_MAX;
}

void gm_process_lost(struct gm_process *p, uint64_t ring_full, uint64_t no_ring)
{
    uint64_t lost = loss_bounded(ring_full) + loss_bounded(no_ring);
    if (!lost)
        return;
    p->lost_ring_full += loss_bounded(ring_full);
    p->lost_no_ring += loss_bounded(no_ring);
    p->row.lost_events += lost;
    p->row.d_lost_events += lost;
    p->rollup->run.lost_events += lost;
    p->changed = true;
}

void gm_process_corrupt(struct gm_process *p, uint64_t records)
{
    if (!records)
        return;
    p->lost_corrupt += records;
    p->row.corrupt_records += records;
    p->rollup->run.corrupt_records += records;
    p->changed = true;
}

void gm_process_rss(struct gm_process *p, uint64_t rss_bytes)
{
    p->changed |= p->row.rss_bytes != rss_bytes;
    p->row.rss_bytes = rss_bytes;
}

void gm_process_ring_fill(struct gm_process *p, double fill)
{
    if (fill > p->row.ring_fill)
        p->row.ring_fill = fill;
}

/* ---- threads ---- */

static int thread_tell(struct gm_rollup *rollup, struct gm_process_thread *thread)
{
    struct gm_row_thread *row = gm_rows_add(&rollup->batch->threads);
    if (!row)
        return -ENOMEM;
    *row = thread->row;
    thread->changed = false;
    return 0;
}

void gm_process_end_thread(struct gm_process *p, struct gm_process_thread *thread, int64_t ns)
{
    if (!thread->row.thread_id)
        return;
    thread->row.end_ns = ns;
    gm_event_log_life(p, thread, GM_LOG_thread_end, ns);
    if (thread_tell(p->rollup, thread) < 0)
        p->rollup->out_of_memory = true;
    thread->row = (struct gm_row_thread){0};
    thread->changed = false;
    p->changed = true;
}

/* ---- samples ---- */

static int sample_tell(struct gm_process *p, int64_t ns, uint64_t live_bytes, uint64_t live_blocks)
{
    struct gm_row_sample *row = gm_rows_add(&p->rollup->batch->samples);
    if (!row)
        return -ENOMEM;
    *row = (struct gm_row_sample){.process_id = p->row.process_id,
        .ns = ns,
        .live_bytes = live_bytes,
        .live_blocks = live_blocks};
    p->sampler.told++;
    return 0;
}

/* A slice gives its last value and, where that was higher, its highest. */
static void sampler_close(struct gm_process *p)
{
    struct gm_sampler *s = &p->sampler;
    int r = 0;
    if (s->slice_end_ns < 0)
        return;
    if (s->peak_bytes > s->last_bytes && s->peak_ns < s->last_ns)
        r = sample_tell(p, s->peak_ns, s->peak_bytes, s->peak_blocks);
    if (r == 0)
        r = sample_tell(p, s->last_ns, s->last_bytes, s->last_blocks);
    if (r < 0)
        p->rollup->out_of_memory = true;
    s->slice_end_ns = -1;
    if (s->told < SAMPLES_PER_SPACING)
        return;
    s->told = 0;
    s->spacing_ns *= 2;
}

void gm_sampler_begin(struct gm_process *p, int64_t ns)
{
    struct gm_sampler *s = &p->sampler;
    sampler_close(p);
    s->slice_end_ns = ns - ns % s->spacing_ns + s->spacing_ns;
    s->peak_bytes = 0;
}

/* ---- the end of a process ---- */

void gm_process_ended(struct gm_process *p, int64_t ns, const char *kind, int32_t value)
{
    struct gm_rollup *rollup = p->rollup;
    if (p->ended)
        return;
    for (uint32_t i = 0; i < p->ring_count; i++) {
        gm_process_young_die(p, &p->threads[i], UINT64_MAX, ns);
        gm_process_end_thread(p, &p->threads[i], ns);
    }
    gm_generations_settle(&p->generations, gm_process_promoted, p);
    gm_process_caches_ended(p);
    sampler_close(p);
    rollup->live_bytes -= p->row.live_bytes;
    rollup->live_blocks -= p->row.live_blocks;
    rollup->live_bytes_variance -= p->row.live_bytes_variance;
    rollup->ended_live_bytes_variance += p->row.live_bytes_variance;
    rollup->ended_live_bytes += p->row.live_bytes;
    rollup->ended_live_blocks += p->row.live_blocks;
    p->row.end_ns = ns;
    p->row.end_peak_epoch = rollup->run.peak_epoch;
    p->ended = p->changed = true;
    gm_event_log_life(p, NULL, GM_LOG_process_end, ns);
    gm_process_fate(p, kind, value);
    process_free_memory(p);
}

void gm_process_fate(struct gm_process *p, const char *kind, int32_t value)
{
    p->row.end_kind = kind;
    p->row.end_value = value;
    p->changed = true;
}

/* ---- batches ---- */

int gm_rollup_mark(struct gm_rollup *rollup, const struct gm_process *process, int64_t ns,
    const char *text, size_t bytes)
{
    struct gm_row_mark *row = gm_rows_add(&rollup->batch->marks);
    if (!row)
        return -ENOMEM;
    row->process_id = process ? process->row.process_id : 0;
    row->ns = ns;
    row->text = strndup(text, bytes);
    if (row->text) {
        gm_event_log_mark(rollup, process, ns);
        return 0;
    }
    rollup->batch->marks.n--;
    return -ENOMEM;
}

static int loss_tell(struct gm_process *p, const char *reason, uint64_t *events)
{
    if (!*events)
        return 0;
    struct gm_row_loss *row = gm_rows_add(&p->rollup->batch->losses);
    if (!row)
        return -ENOMEM;
    *row =
        (struct gm_row_loss){.process_id = p->row.process_id, .reason = reason, .events = *events};
    *events = 0;
    return 0;
}

/* Figures that follow from others are not kept event by event. */
static void process_sum(struct gm_process *p)
{
    struct gm_row_process *row = &p->row;
    row->frees = gm_process_frees(p);
    row->free_bytes = row->alloc_bytes - row->live_bytes;
    row->age_bytes = p->generations.clock * GM_GRANULE_BYTES;
    row->d_allocs = row->allocs - p->told.allocs;
    row->d_alloc_bytes = row->alloc_bytes - p->told.alloc_bytes;
    row->d_frees = row->frees - p->told.frees;
    row->d_free_bytes = row->free_bytes - p->told.free_bytes;
    row->d_born[0] = row->d_allocs;
    for (unsigned g = 0; g + 1 < GM_GENERATIONS; g++)
        row->d_born[g + 1] = row->d_promoted[g];
}

static void process_begin_batch(struct gm_process *p)
{
    struct gm_row_process *row = &p->row;
    p->told = (struct gm_process_told){.allocs = row->allocs,
        .alloc_bytes = row->alloc_bytes,
        .frees = row->frees,
        .free_bytes = row->free_bytes};
    row->d_lost_events = 0;
    memset(row->d_died, 0, sizeof row->d_died);
    memset(row->d_died_bytes, 0, sizeof row->d_died_bytes);
    memset(row->d_promoted, 0, sizeof row->d_promoted);
    memset(row->d_gc, 0, sizeof row->d_gc);
    row->interval_peak_bytes = row->live_bytes;
    row->ring_fill = 0;
}

static int process_tell(struct gm_process *p)
{
    struct gm_row_process *row = gm_rows_add(&p->rollup->batch->processes);
    if (!row)
        return -ENOMEM;
    process_sum(p);
    *row = p->row;
    row->exe = strdup(p->row.exe);
    row->command = strdup(p->row.command);
    if (!row->exe || !row->command) {
        free(row->exe);
        free(row->command);
        p->rollup->batch->processes.n--;
        return -ENOMEM;
    }
    process_begin_batch(p);
    p->changed = false;
    return 0;
}

static int process_fill(struct gm_process *p, int64_t end_ns)
{
    int r = 0;
    if (p->sampler.slice_end_ns >= 0 && p->sampler.slice_end_ns <= end_ns)
        sampler_close(p);
    for (uint32_t i = 0; p->threads && i < p->ring_count && r == 0; i++)
        if (p->threads[i].changed)
            r = thread_tell(p->rollup, &p->threads[i]);
    if (r == 0)
        r = loss_tell(p, "ring full", &p->lost_ring_full);
    if (r == 0)
        r = loss_tell(p, "no ring", &p->lost_no_ring);
    if (r == 0)
        r = loss_tell(p, "corrupt", &p->lost_corrupt);
    if (r == 0)
        r = loss_tell(p, "cache unknown", &p->caches.left_out);
    if (r == 0)
        r = gm_process_gc_stops_fill(p);
    if (r == 0)
        r = gm_process_caches_fill(p, end_ns, p->ended);
    if (r == 0 && p->changed)
        r = process_tell(p);
    p->changed |= gm_process_caches_are_behind(p);
    return r;
}

void gm_rollup_settle(struct gm_rollup *rollup)
{
    gm_cache_curves_finish(rollup->curves);
}

int gm_rollup_fill(struct gm_rollup *rollup, int64_t end_ns)
{
    struct gm_batch *batch = rollup->batch;
    if (end_ns < rollup->batch_start_ns)
        end_ns = rollup->batch_start_ns;
    for (size_t i = 0; i < rollup->process_count; i++)
        gm_generations_settle(
            &rollup->processes[i]->generations, gm_process_promoted, rollup->processes[i]);
    gm_cache_curves_turn(rollup->curves);
    int r = gm_sites_fill(&rollup->sites);
    for (size_t i = 0; i < rollup->process_count && r == 0; i++)
        r = process_fill(rollup->processes[i], end_ns);
    rollup->run.duration_ns = end_ns;
    rollup->run.hash_collisions = rollup->stacks.hash_collisions;
    rollup->run.left_out_stacks = rollup->stacks.left_out;
    batch->start_ns = rollup->batch_start_ns;
    batch->end_ns = end_ns;
    batch->run = rollup->run;
    rollup->batch_start_ns = end_ns;
    if (r < 0)
        rollup->out_of_memory = true;
    return r;
}
