/* rollup.h - turns the one history of events into figures: per site, per process, for the run.
 *
 *   order --[event]--> live set of the process -> site -> generations, lifetimes, peaks
 * --[batch]--> store
 *
 * What counts as what (so that totals agree with other tools):
 *  - realloc is one allocation of the new size and one free of the old block, in place or not
 *  - a free counts if the block's allocation was seen in this process image; else it is an
 * unmatched free
 *  - an allocation at a live address ends the block that was there: an implicit free, counted in
 * frees too
 *  - a forked child or a new image starts with an empty live set
 *  - blocks of a process image that has ended are no longer part of the run's live bytes; its own
 * figures keep them, as live at the end
 *
 *  - a block that a collector found dead is freed like any other, by the thread that swept it
 *
 * In a sampled recording each block counts as what it stands for (weight.h), the figures are estimates, and their
 * variances are kept beside them. The logical clock goes on by what threads say they have allocated in all.
 *
 * Memory: per live block and per site as live_set.h and site.h say; per commit at most
 * GM_ROLLUP_DELTAS_MAX site deltas and those of one round of promotions, then `flush` is asked for a commit. Nothing
 * grows with the number of events.
 */
#ifndef GM_COLLECTOR_ROLLUP_H
#define GM_COLLECTOR_ROLLUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/batch.h"
#include "collector/caches.h"
#include "collector/collections.h"
#include "collector/decode.h"
#include "collector/generations.h"
#include "collector/live_set.h"
#include "collector/site.h"
#include "collector/stacks.h"
#include "collector/timebase.h"
#include "collector/weight.h"
#include "collector/young.h"

#define GM_ROLLUP_DELTAS_MAX 32768u /* some 10 MB of rows */

struct gm_rollup;

/* Live bytes over time, about every 10 ms; coarser as the recording grows. */
struct gm_sampler {
    int64_t spacing_ns, slice_end_ns; /* of the open slice; < 0: none is open */
    int64_t peak_ns, last_ns;
    uint64_t peak_bytes, peak_blocks, last_bytes, last_blocks;
    uint32_t told; /* at this spacing */
};

struct gm_process_thread {
    struct gm_row_thread row; /* thread_id 0: nobody has the ring */
    uint64_t
        clock_bytes; /* sampled: its allocations, as far as the logical clock has gone on by them */
    bool changed;
    struct gm_young young; /* of the ring */
};

/* Of a process, when its row was told last. */
struct gm_process_told {
    uint64_t allocs, alloc_bytes, frees, free_bytes;
};

/* Lengths of stops of the world: 16 buckets for each power of two. */
#define GM_GC_STOP_BUCKETS 960u
#define GM_GC_STOPS_TOLD 100000u
struct gm_gc_stops {
    uint64_t stops, longest_ns;
    uint64_t buckets[GM_GC_STOP_BUCKETS];
    uint64_t changed[GM_GC_STOP_BUCKETS / 64]; /* masks */
};

#define GM_PROCESS_EARLY 64u /* more threads than this are seldom stopped at that very place */

struct gm_process {
    struct gm_rollup *rollup;
    /* Current values; owns exe and command. What follows from other figures (frees, free_bytes, age_bytes and all
     * differences) is put in when it is told. */
    struct gm_row_process row;
    struct gm_process_told told;
    bool changed, ended, sampled;
    uint64_t weight_salt;
    struct gm_live_set live;
    struct gm_stack_names names;
    struct gm_generations generations;
    struct gm_collections collections;
    struct gm_gc_stops gc_stops;
    struct gm_caches caches;
    /* Blocks that a collection promoted before the thread that was given them had told so: it was stopped in between.
     * Cleared when the next one begins. */
    uint64_t early[GM_PROCESS_EARLY];
    uint32_t early_count;
    struct gm_index site_index; /* by stack; rows: rollup->sites */
    uint32_t no_stack_site;
    struct gm_process_thread *threads; /* by ring */
    uint32_t ring_count;
    struct gm_sampler sampler;
    uint64_t lost_ring_full, lost_no_ring, lost_corrupt; /* since the last batch */
    struct gm_reader_group
        *group;            /* where MODULE records of other rings may be found; may be NULL */
    uint64_t looked_ahead; /* see rollup.c */
};

struct gm_rollup_totals {
    uint64_t allocs, frees, alloc_bytes;
};

struct gm_rollup {
    struct gm_timebase *timebase; /* borrowed */
    struct gm_batch *batch;       /* borrowed, changes with every commit */
    struct gm_sites sites;
    struct gm_stacks stacks;
    struct gm_run_state run;
    struct gm_rollup_totals forgotten;                     /* of processes that are */
    uint64_t live_bytes, live_blocks;                      /* of the images that have not ended */
    uint64_t ended_live_bytes, ended_live_blocks;          /* of the others, at their end */
    double live_bytes_variance, ended_live_bytes_variance; /* sampled: of the estimates */
    struct gm_process **processes;                         /* those that may still change */
    size_t process_count, process_room;
    uint32_t processes_seen, threads_seen, caches_seen;
    struct gm_cache_curves *curves; /* NULL: no cache was used yet */
    uint32_t curve_count;
    struct gm_caches_use caches_use;
    int64_t batch_start_ns;
    uint64_t round;  /* goes up when rings may hold new words */
    bool log_events; /* each event goes into the batch too: event_log.h */
    bool out_of_memory;
    int (*flush)(void *arg); /* asked to commit when the batch is full */
    void *flush_arg;
};

int gm_rollup_init(struct gm_rollup *rollup, struct gm_timebase *timebase, struct gm_batch *batch);
void gm_rollup_done(struct gm_rollup *rollup);

struct gm_process_start {
    int32_t pid;
    const char *origin;              /* static */
    const struct gm_process *parent; /* NULL: none */
    const char *exe, *command;       /* copied */
    int64_t start_ns;
    uint32_t ring_count;
    uint64_t sample_bytes; /* the interval it begins with; 0: every event is recorded */
    uint64_t sample_seed;
};
/* -ENOMEM. Processes belong to the roll-up; gm_rollup_forget gives one up early. */
int gm_rollup_add_process(struct gm_rollup *rollup, const struct gm_process_start *start,
    struct gm_process **ret_process);

/* Sink of struct gm_order: reader->group->owner is the struct gm_process. */
bool gm_rollup_event(
    void *rollup, struct gm_reader *reader, const struct gm_event *event, bool forced);

static inline uint64_t gm_process_frees(const struct gm_process *process)
{
    return process->row.allocs - process->row.live_blocks;
}
/* Of all processes. */
struct gm_rollup_totals gm_rollup_totals(const struct gm_rollup *rollup);

/* Events that never came. */
void gm_process_lost(struct gm_process *process, uint64_t ring_full, uint64_t no_ring);
void gm_process_corrupt(struct gm_process *process, uint64_t records);
void gm_process_rss(struct gm_process *process, uint64_t rss_bytes);
void gm_process_ring_fill(struct gm_process *process, double fill);

/* The image has ended, and all its events were told. kind: 'exit', 'signal', 'exec', 'unknown'. */
void gm_process_ended(struct gm_process *process, int64_t ns, const char *kind, int32_t value);
/* Better knowledge of how it ended. */
void gm_process_fate(struct gm_process *process, const char *kind, int32_t value);
/* It will not change any more; its last row has been told by gm_rollup_fill. Frees it. */
void gm_rollup_forget(struct gm_rollup *rollup, struct gm_process *process);

/* process NULL: from outside. */
int gm_rollup_mark(struct gm_rollup *rollup, const struct gm_process *process, int64_t ns,
    const char *text, size_t bytes);

/* Completes the batch: everything up to end_ns. It is then to be handed on, and replaced by
 * gm_rollup_use. -ENOMEM: some rows are missing. */
int gm_rollup_fill(struct gm_rollup *rollup, int64_t end_ns);
/* Waits for what is done beside it, so that the next batch has all of it: before the last one. */
void gm_rollup_settle(struct gm_rollup *rollup);
void gm_rollup_use(struct gm_rollup *rollup, struct gm_batch *empty);

#endif
