/* batch.h - what the recorder's roll-up hands to its store at each commit.
 *
 *   rings -> drain -> order -> live set -> roll-up --[struct gm_batch]--> store -> SQLite
 *
 * A batch is one transaction: rows that are new since the last batch, figures that changed, and the state
 * of the run. The roll-up fills it on the main thread, the store writes it on its own; a batch has one
 * owner at a time. Ids are given by the roll-up, start at 1 and are never reused. Texts are copies owned by
 * the batch, valid UTF-8 not required (the store cleans control characters and invalid bytes).
 * Fields called d_* are differences since the last batch; the rest are the current values.
 */
#ifndef GM_COLLECTOR_BATCH_H
#define GM_COLLECTOR_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/event_chunk.h"
#include "schemas/wire.h"

#define GM_GENERATIONS 4
#define GM_LIFE_BUCKETS 64 /* bucket b: 2^(b-1) .. 2^b - 1; bucket 0: 0 */

struct gm_row_module {
    uint32_t module_id;
    char *path;
    char build_id[129]; /* hex */
};
struct gm_row_mapping { /* written again with the same id when last_ns becomes known */
    uint32_t mapping_id, process_id, module_id;
    uint64_t start, end, bias;
    int64_t first_ns, last_ns; /* last_ns < 0: still there */
};
struct gm_row_frame {
    uint32_t frame_id, module_id; /* module_id 0: none */
    uint64_t address;
    uint32_t flags;
};
struct gm_row_stack {
    uint32_t stack_id, parent_id, frame_id; /* parent_id 0: none */
};
struct gm_row_site {
    uint32_t site_id, process_id, stack_id; /* stack_id 0: none */
    uint8_t function;                       /* enum gm_alloc_function */
};
/* Collected blocks of a site, or of a generation: blocks and their bytes. */
struct gm_gc_sum {
    uint64_t blocks, bytes;
};
/* What became of the collected blocks of a site: see table site_gc. */
struct gm_gc_site {
    struct gm_gc_sum born, died_young, died_old, freed, promoted, premature, nepotism;
};
/* Differences since the last batch, of one of the collector's generations: see table gc_interval. */
struct gm_gc_generation {
    struct gm_gc_sum born, died, freed, promoted, premature, nepotism;
};
#define GM_GC_GENERATIONS 2 /* young, old */
/* One per site that changed. A site's gm_row_site is in the same or an earlier batch. */
struct gm_row_site_delta {
    /* What each allocation changes lies together, and what each free does. */
    uint32_t site_id;
    uint32_t life_count;
    uint64_t d_allocs, d_alloc_bytes, d_reallocs;
    uint64_t min_bytes, max_bytes; /* of this batch's allocations; valid if d_allocs > 0 */
    int64_t first_ns, last_ns, last_free_ns; /* of this batch's events; < 0: none in this batch */
    uint32_t life_first; /* slice of gm_batch.life: (unit, bucket, blocks), any order */
    uint8_t function;
    uint64_t d_frees, d_free_bytes;
    uint64_t d_died[GM_GENERATIONS],
        d_promoted[GM_GENERATIONS - 1]; /* promoted[0]: left generation 0 */
    uint64_t live_blocks, live_bytes;
    uint64_t birth_sum_us;
    uint64_t peak_seen, peak_bytes, peak_blocks, run_peak_seen, run_peak_bytes, run_peak_blocks;
    /* A sampled recording: what the figures were estimated from, and the variances of the estimates. d_samples
     * counts allocations; d_live_* go down again when blocks are freed. */
    uint64_t d_samples;
    double d_allocs_variance, d_alloc_bytes_variance, d_live_blocks_variance, d_live_bytes_variance;
    struct gm_gc_site gc;
};
struct gm_life {
    uint8_t unit; /* 0 bytes, 1 ns */
    uint8_t bucket;
    uint64_t blocks;
};
struct gm_row_process {
    uint32_t process_id, parent_process_id; /* 0: none */
    int32_t pid;
    const char *origin;       /* static string: 'root', 'fork', 'exec', 'spawn' */
    char *exe, *command;      /* command: JSON array */
    int64_t start_ns, end_ns; /* end_ns < 0: runs */
    const char *end_kind;     /* static string or NULL */
    int32_t end_value;
    uint32_t threads;
    uint64_t allocs, alloc_bytes, frees, free_bytes, reallocs, unmatched_frees, implicit_frees;
    uint64_t live_blocks, live_bytes, age_bytes, peak_epoch, peak_bytes, peak_blocks;
    int64_t peak_ns;
    uint64_t end_peak_epoch; /* run.peak_epoch when it ended; valid once end_ns >= 0 */
    uint64_t rss_bytes, lost_events, corrupt_records;
    double ring_fill;
    uint64_t sample_bytes, samples; /* interval in force, allocations sampled; 0: every event */
    double allocs_variance, alloc_bytes_variance, live_blocks_variance, live_bytes_variance,
        peak_bytes_variance;
    /* differences since the last batch, for process_interval and generation_interval */
    uint64_t d_allocs, d_alloc_bytes, d_frees, d_free_bytes, d_lost_events;
    uint64_t interval_peak_bytes; /* most live bytes since the last batch */
    uint64_t d_born[GM_GENERATIONS], d_died[GM_GENERATIONS], d_died_bytes[GM_GENERATIONS],
        d_promoted[GM_GENERATIONS];
    struct gm_gc_generation d_gc[GM_GC_GENERATIONS];
};
/* A collection of libgeomem in a process, when it has ended. */
struct gm_row_cycle {
    uint32_t process_id;
    uint64_t heap, number;
    const char *kind, *trigger; /* static strings */
    int64_t start_ns, end_ns;
    uint64_t figures[GM_CYCLE_FIGURE_COUNT]; /* enum gm_cycle_figure */
};
/* A stop of the world, and how many there were of a length. */
struct gm_row_gc_stop {
    uint32_t process_id;
    uint64_t stop, number;
    int64_t start_ns;
    uint64_t pause_ns;
};
struct gm_row_gc_stop_bucket {
    uint32_t process_id;
    uint64_t from_ns, stops; /* in all */
};
/* What is estimated of a cache from its sample, in all: see table cache. */
struct gm_cache_estimates {
    double sample_rate, sample_rate_min;
    uint64_t samples, hits, misses, left, one_hit_wonders, premature_misses, refills, refill_ns;
    uint64_t belady_uses, belady_hits, belady_real_hits;
    uint64_t open_pins, unmatched_unpins;
};
struct gm_row_cache {
    uint32_t cache_id, process_id;
    uint64_t number;
    char *name;
    uint32_t policy, choice, switches;
    int64_t first_ns, last_ns, closed_ns;     /* closed_ns < 0: it is there */
    uint64_t figures[GM_CACHE_FIGURE_COUNT];  /* enum gm_cache_figure */
    uint64_t d_counts[GM_CACHE_FIGURE_COUNT]; /* of those that are counts */
    struct gm_cache_estimates estimates;
    uint64_t d_premature_misses;
    bool pins_told,
        mrc_told; /* the batch has all its pins, its whole curve: those before are void */
};
struct gm_row_cache_change {
    uint32_t cache_id, change;
    int64_t ns;
    const char *kind; /* static */
    uint64_t from_value, to_value;
};
struct gm_row_cache_point {
    uint32_t cache_id;
    const char *policy; /* static */
    uint64_t capacity_bytes, samples, sample_entries;
    double hit_ratio, byte_hit_ratio, error;
};
/* Of a call site or a class of keys, in all. */
struct gm_row_cache_uses {
    uint32_t cache_id, id; /* stack, 0: none; or class */
    bool is_class;
    char *name; /* of a class; NULL: none */
    uint64_t samples, hits, hit_bytes, misses, premature_misses, stores, store_bytes, loads,
        load_ns;
    uint64_t pins, open_pins, open_pin_bytes; /* of a site */
    int64_t oldest_pin_ns;                    /* < 0: none */
};
struct gm_row_cache_pin {
    uint32_t cache_id, pin, stack_id;
    uint64_t key, bytes;
    int64_t ns;
};
enum gm_cache_time {
    GM_CACHE_EVICTION_AGE,
    GM_CACHE_REUSE_TIME,
    GM_CACHE_REFILL_TIME,
    GM_CACHE_LOAD_TIME,
    GM_CACHE_PIN_TIME,
    GM_CACHE_TIMES
};
struct gm_row_cache_bucket {
    uint32_t cache_id;
    uint8_t kind; /* enum gm_cache_time */
    uint8_t bucket;
    uint64_t count; /* in all */
};
struct gm_row_thread {
    uint32_t thread_id, process_id;
    int32_t tid;
    char name[17];
    int64_t start_ns, end_ns; /* end_ns < 0: runs */
    uint64_t allocs, alloc_bytes, frees;
};
struct gm_row_sample {
    uint32_t process_id;
    int64_t ns;
    uint64_t live_bytes, live_blocks;
};
struct gm_row_loss {
    uint32_t process_id;
    const char *reason; /* static string */
    uint64_t events;
};
struct gm_row_mark {
    uint32_t process_id; /* 0: from outside */
    int64_t ns;
    char *text;
};
struct gm_run_state {
    int64_t duration_ns;
    uint64_t events, lost_events, corrupt_records, late_events, hash_collisions, cut_stacks,
        left_out_stacks;
    uint64_t peak_epoch, peak_bytes, peak_blocks;
    int64_t peak_ns;
    uint64_t samples; /* sampled allocations; the rest of these only in a sampled recording */
    double peak_bytes_variance;
    uint64_t sample_min_bytes, sample_max_bytes; /* intervals that were in force */
    double
        sample_share; /* of the targets' CPU that recording took, as far as measured; < 0: unknown */
    uint32_t root_process_id;
    bool has_exit;   /* exit_status valid */
    int exit_status; /* 0..255 or 128 + signal */
    int exit_signal; /* 0: none */
};

/* A growable array of rows; rows stay valid until the batch is cleared. */
#define GM_ROWS(type) \
    struct { \
        type *v; \
        size_t n, room; \
    }

struct gm_batch {
    int64_t start_ns,
        end_ns; /* the slice of time this batch covers; slices follow each other without gaps */
    struct gm_run_state run;
    GM_ROWS(struct gm_row_module) modules;
    GM_ROWS(struct gm_row_mapping) mappings;
    GM_ROWS(struct gm_row_frame) frames;
    GM_ROWS(struct gm_row_stack) stacks;
    GM_ROWS(struct gm_row_site) sites;
    GM_ROWS(struct gm_row_site_delta) site_deltas;
    GM_ROWS(struct gm_life) life;
    GM_ROWS(struct gm_row_process) processes; /* those that changed */
    GM_ROWS(struct gm_row_thread) threads;    /* those that changed */
    GM_ROWS(struct gm_row_sample) samples;
    GM_ROWS(struct gm_row_loss) losses;
    GM_ROWS(struct gm_row_mark) marks;
    GM_ROWS(struct gm_row_cycle) cycles;
    GM_ROWS(struct gm_row_gc_stop) gc_stops;
    GM_ROWS(struct gm_row_gc_stop_bucket) gc_stop_buckets; /* those that changed */
    GM_ROWS(struct gm_row_cache) caches; /* those that changed; as the following */
    GM_ROWS(struct gm_row_cache_change) cache_changes;
    GM_ROWS(struct gm_row_cache_point) cache_points;
    GM_ROWS(struct gm_row_cache_uses) cache_uses;
    GM_ROWS(struct gm_row_cache_pin) cache_pins;
    GM_ROWS(struct gm_row_cache_bucket) cache_buckets;
    GM_ROWS(struct gm_log_event) events; /* in order; only with rollup.log_events */
};

/* Makes room for one more row and returns it zeroed, or NULL without memory: gm_rows_add(&b->frames). */
#define gm_rows_add(rows) \
    ((__typeof__((rows)->v))gm_rows_grow( \
        (void **)&(rows)->v, &(rows)->n, &(rows)->room, sizeof *(rows)->v))
void *gm_rows_grow(void **v, size_t *n, size_t *room, size_t row_bytes);

/* Frees texts, sets all counts to 0 and keeps the memory for the next round. */
void gm_batch_clear(struct gm_batch *batch);
/* Takes a cleared or filled batch or NULL; frees all it owns and zeroes it. The struct itself stays its
 * owner's. */
void gm_batch_done(struct gm_batch *batch);

#endif
