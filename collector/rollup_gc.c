/* rollup_gc.c - the part of the roll-up that is about collected blocks and collections: collections.h says what is known
 * of them. */
#include <errno.h>
#include <string.h>

#include "collector/event_log.h"
#include "collector/rollup.h"
#include "collector/rollup_internal.h"

static void gc_add(struct gm_gc_sum *to, const struct gm_gc_sum *sum)
{
    to->blocks += sum->blocks;
    to->bytes += sum->bytes;
}

uint16_t gm_gc_born(uint8_t function)
{
    return function == GM_FN_geomem_gc       ? GM_GC_YOUNG
           : function == GM_FN_geomem_gc_old ? GM_GC_BORN_OLD
                                             : GM_GC_NONE;
}

bool gm_process_gc_forget(struct gm_process *p, uint64_t address)
{
    for (uint32_t i = 0; i < p->early_count; i++) {
        if (p->early[i] != address)
            continue;
        p->early[i] = p->early[--p->early_count];
        return true;
    }
    return false;
}

static void process_promote(struct gm_process *p, struct gm_live_block *entry)
{
    struct gm_block block = gm_block_of(entry);
    struct gm_weight w = gm_process_weight(p, &block);
    struct gm_gc_sum sum = {w.blocks, w.bytes};
    struct gm_row_site_delta *delta = gm_rollup_delta(p->rollup, block.site);
    entry->gc = gm_collections_promote(&p->collections);
    gc_add(&p->row.d_gc[0].promoted, &sum);
    if (delta)
        gc_add(&delta->gc.promoted, &sum);
}

void gm_process_gc_born(struct gm_process *p, struct gm_row_site_delta *delta,
    const struct gm_block *block, const struct gm_weight *w)
{
    struct gm_gc_sum sum = {w->blocks, w->bytes};
    gc_add(&p->row.d_gc[GM_GC_STATE(block->gc) != GM_GC_YOUNG].born, &sum);
    if (delta)
        gc_add(&delta->gc.born, &sum);
    if (p->early_count == 0 || !gm_process_gc_forget(p, block->address))
        return;
    struct gm_live_block *entry = gm_live_set_find(&p->live, block->address);
    if (entry)
        process_promote(p, entry);
}

static void process_gc_nepotism(void *arg, uint32_t site_id, const struct gm_gc_sum *sum)
{
    struct gm_process *p = arg;
    struct gm_row_site_delta *delta = gm_rollup_delta(p->rollup, site_id);
    if (delta)
        gc_add(&delta->gc.nepotism, sum);
    gc_add(&p->row.d_gc[1].nepotism, sum);
}

static void process_gc_collected(
    struct gm_process *p, const struct gm_block *block, const struct gm_gc_sum *sum)
{
    bool old = GM_GC_STATE(block->gc) != GM_GC_YOUNG;
    bool premature = old && gm_collections_old_died(&p->collections, (uint16_t)block->gc,
                                block->site, sum, process_gc_nepotism, p);
    struct gm_row_site_delta *delta = gm_rollup_delta(p->rollup, block->site);
    gc_add(&p->row.d_gc[old].died, sum);
    if (premature)
        gc_add(&p->row.d_gc[1].premature, sum);
    if (!delta)
        return;
    gc_add(old ? &delta->gc.died_old : &delta->gc.died_young, sum);
    if (premature)
        gc_add(&delta->gc.premature, sum);
}

/* A collected block is gone, one way or the other. */
void gm_process_gc_died(struct gm_process *p, const struct gm_block *block,
    const struct gm_weight *w, const struct gm_death *death)
{
    struct gm_gc_sum sum = {w->blocks, w->bytes};
    struct gm_row_site_delta *delta = gm_rollup_delta(p->rollup, block->site);
    if (death->collected) {
        process_gc_collected(p, block, &sum);
        return;
    }
    gc_add(&p->row.d_gc[GM_GC_STATE(block->gc) != GM_GC_YOUNG].freed, &sum);
    if (delta)
        gc_add(&delta->gc.freed, &sum);
}

/* ---- sweeps and collections ---- */

static uint64_t sweep_address(const struct gm_event *sweep, unsigned i)
{
    return sweep->address + i * sweep->size_bytes;
}

static void process_sweep_dead(struct gm_process *p, struct gm_process_thread *thread,
    const struct gm_event *sweep, int64_t ns)
{
    struct gm_death death = {.collected = true};
    for (uint64_t left = sweep->dead; left; left &= left - 1) {
        struct gm_live_block entry;
        uint64_t address = sweep_address(sweep, (unsigned)__builtin_ctzll(left));
        bool live = gm_live_set_remove(&p->live, address, &entry);
        p->rollup->run.events += live || !p->sampled;
        p->row.unmatched_frees += !live && !p->sampled;
        if (!live) {
            gm_process_gc_forget(p, address);
            continue;
        }
        struct gm_block block = gm_block_of(&entry);
        death.life_ns = gm_block_life_ns(&block, ns);
        gm_process_free_block(p, &block, ns, &death);
        gm_event_log_free_unseen(p, thread, &block, GM_LOG_COLLECTED, ns);
        gm_process_count_free(p, thread, &block);
    }
}

void gm_process_sweep(
    struct gm_process *p, struct gm_process_thread *thread, const struct gm_event *sweep)
{
    int64_t ns = gm_timebase_ns(p->rollup->timebase, sweep->stamp);
    process_sweep_dead(p, thread, sweep, ns);
    for (uint64_t left = sweep->promoted; left; left &= left - 1) {
        uint64_t address = sweep_address(sweep, (unsigned)__builtin_ctzll(left));
        struct gm_live_block *entry = gm_live_set_find(&p->live, address);
        if (entry && GM_GC_STATE(entry->gc) == GM_GC_YOUNG)
            process_promote(p, entry);
        else if (!entry && !p->sampled && p->early_count < GM_PROCESS_EARLY)
            p->early[p->early_count++] = address;
    }
    gm_sampler_note(p, ns);
    p->changed = true;
}

void gm_process_cycle(struct gm_process *p, const struct gm_event *event)
{
    int64_t ns = gm_timebase_ns(p->rollup->timebase, event->stamp);
    struct gm_row_cycle *row = gm_rows_add(&p->rollup->batch->cycles);
    p->changed = true;
    if (!row) {
        p->rollup->out_of_memory = true;
        return;
    }
    *row = (struct gm_row_cycle){.process_id = p->row.process_id,
        .heap = event->heap,
        .number = event->number,
        .kind = gm_gc_kind_name(event->gc_kind),
        .trigger = gm_gc_trigger_name(event->gc_trigger),
        .start_ns = ns > event->duration_ns ? ns - event->duration_ns : 0,
        .end_ns = ns};
    memcpy(row->figures, event->figures, sizeof row->figures);
}

/* ---- stops of the world ---- */

/* Below 16 ns a bucket each; from there on the four bits after the highest tell them apart. */
static unsigned stop_bucket(uint64_t ns)
{
    if (ns < 16)
        return (unsigned)ns;
    unsigned high = 63 - (unsigned)__builtin_clzll(ns);
    return (high - 3) * 16 + (unsigned)(ns >> (high - 4) & 15);
}

static uint64_t stop_bucket_from(unsigned bucket)
{
    return bucket < 16 ? bucket : (16ull + bucket % 16) << (bucket / 16 - 1);
}

static void stop_tell(struct gm_process *p, const struct gm_event *event, uint64_t pause_ns)
{
    int64_t ns = gm_timebase_ns(p->rollup->timebase, event->stamp);
    struct gm_row_gc_stop *row = gm_rows_add(&p->rollup->batch->gc_stops);
    if (!row) {
        p->rollup->out_of_memory = true;
        return;
    }
    *row = (struct gm_row_gc_stop){.process_id = p->row.process_id,
        .stop = p->gc_stops.stops,
        .number = event->number,
        .start_ns = ns > event->duration_ns ? ns - event->duration_ns : 0,
        .pause_ns = pause_ns};
}

void gm_process_gc_stop(struct gm_process *p, const struct gm_event *event)
{
    struct gm_gc_stops *s = &p->gc_stops;
    uint64_t pause_ns = (uint64_t)event->duration_ns;
    unsigned bucket = stop_bucket(pause_ns);
    s->buckets[bucket]++;
    s->changed[bucket / 64] |= 1ull << bucket % 64;
    s->stops++;
    p->changed = true;
    if (s->stops <= GM_GC_STOPS_TOLD || pause_ns >= s->longest_ns)
        stop_tell(p, event, pause_ns);
    if (pause_ns > s->longest_ns)
        s->longest_ns = pause_ns;
}

int gm_process_gc_stops_fill(struct gm_process *p)
{
    struct gm_gc_stops *s = &p->gc_stops;
    for (unsigned i = 0; i < GM_GC_STOP_BUCKETS; i++) {
        if (!(s->changed[i / 64] >> i % 64 & 1))
            continue;
        struct gm_row_gc_stop_bucket *row = gm_rows_add(&p->rollup->batch->gc_stop_buckets);
        if (!row)
            return -ENOMEM;
        *row =
            (struct gm_row_gc_stop_bucket){p->row.process_id, stop_bucket_from(i), s->buckets[i]};
    }
    memset(s->changed, 0, sizeof s->changed);
    return 0;
}
