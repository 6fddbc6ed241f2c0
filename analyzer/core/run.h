/* run.h - the recording as a whole: how it was made, how it ended, its totals, processes and
 * threads. */
#ifndef GM_ANALYZER_CORE_RUN_H
#define GM_ANALYZER_CORE_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/core/recording.h"

enum gm_run_state {
    GM_RUN_COMPLETE, /* closed in order */
    GM_RUN_RUNNING,  /* its recorder is alive */
    GM_RUN_CUT,      /* its recorder died, or it runs on another machine */
};

/* Figures that add up over processes. A reallocation counts as one allocation and one free. */
struct gm_totals {
    uint64_t allocs, alloc_bytes, frees, free_bytes, reallocs, unmatched_frees, implicit_frees;
    uint64_t live_blocks, live_bytes;
    uint64_t rss_bytes; /* of the processes that still run */
    /* A sampled recording: variances of the above, else 0; samples are allocations. */
    uint64_t samples;
    double allocs_var, alloc_bytes_var, live_blocks_var, live_bytes_var;
};

struct gm_run {
    char *geomem_version, *program, *cwd, *host, *kernel, *options; /* options: JSON object */
    char *command;                                                  /* as typed into a shell */
    char *stop_reason;                                              /* NULL until it ended */
    uint64_t cpus;
    int64_t start_utc_ns, duration_ns; /* duration: up to the last commit */
    uint64_t g_age_bytes[3];           /* ages at which a block enters generation 1, 2, 3 */
    enum gm_run_state state;
    int64_t recorder_pid;
    uint32_t root_process_id;
    bool has_exit;                /* the next two are known */
    int exit_status, exit_signal; /* 0..255 or 128 + signal; signal 0: none */
    uint64_t events, lost_events, corrupt_records, late_events, hash_collisions, cut_stacks,
        left_out_stacks;
    uint64_t peak_epoch, peak_bytes, peak_blocks;
    int64_t peak_ns;
    uint64_t recorder_cpu_ns, recorder_rss_bytes;
    uint64_t memory_limit_bytes; /* 0: none known */
    uint64_t sample_bytes;       /* 0: every event was recorded; else figures are estimates, ... */
    uint64_t sample_min_bytes, sample_max_bytes; /* ... one sample for so many bytes */
    double sample_budget, sample_share;          /* of the programs' CPU time; < 0: none, unknown */
    double peak_bytes_var;
    char *memory_limit_kind; /* "cgroup", "RLIMIT_AS", "RLIMIT_DATA"; NULL: none known */
    uint64_t processes, running_processes, threads, sites;
    double ring_fill; /* fullest ring of any process since the last commit, 0..1 */
    struct gm_totals totals;
};

int gm_run_load(struct gm_recording *recording, struct gm_run *ret_run);
void gm_run_done(struct gm_run *run);

struct gm_process {
    uint32_t process_id, parent_process_id; /* parent 0: none */
    int64_t pid;
    char *origin; /* "root", "fork", "exec", "spawn" */
    char *exe, *command;
    int64_t start_ns, end_ns; /* end < 0: runs */
    char *end_kind;           /* "exit", "signal", "exec", "unknown"; NULL while it runs */
    int64_t end_value;
    uint64_t threads;
    struct gm_totals totals;
    uint64_t age_bytes, peak_epoch, peak_bytes, peak_blocks;
    int64_t peak_ns;
    uint64_t end_peak_epoch; /* run's peak_epoch when it ended */
    uint64_t lost_events, corrupt_records;
    double ring_fill;
    uint64_t sample_bytes; /* interval now; 0: every event is recorded */
    double peak_bytes_var;
};

struct gm_processes {
    struct gm_process *v; /* by process_id */
    size_t n;
};

int gm_processes_load(struct gm_recording *recording, struct gm_processes *ret_processes);
void gm_processes_done(struct gm_processes *processes);
/* NULL if there is none. */
const struct gm_process *gm_process_find(const struct gm_processes *processes, uint32_t process_id);

/* "ended with status 0", "ended by signal 9 (Killed)", "still running", ...; `text` has room for 96
 * bytes. */
void gm_process_end_text(
    const struct gm_process *process, enum gm_run_state state, char text[static 96]);
void gm_run_end_text(const struct gm_run *run, char text[static 96]);

struct gm_thread {
    uint32_t thread_id, process_id;
    int64_t tid;
    char *name;
    int64_t start_ns, end_ns; /* end < 0: runs */
    uint64_t allocs, alloc_bytes, frees;
};

struct gm_threads {
    struct gm_thread *v; /* by thread_id */
    size_t n;
};

int gm_threads_load(struct gm_recording *recording, struct gm_threads *ret_threads);
void gm_threads_done(struct gm_threads *threads);

/* Events that were lost, by process and reason. */
struct gm_loss {
    uint32_t process_id;
    char *reason;
    uint64_t events;
};

struct gm_losses {
    struct gm_loss *v;
    size_t n;
};

int gm_losses_load(struct gm_recording *recording, struct gm_losses *ret_losses);
void gm_losses_done(struct gm_losses *losses);

/* How many code addresses have a name, and the modules that have most of those without. */
struct gm_symbol_state {
    uint64_t frames, pending, unnamed; /* pending: not looked up yet; unnamed: looked up in vain */
    struct gm_unnamed_module {
        char *path; /* NULL: code that belongs to no file */
        uint64_t frames;
    } * modules; /* most frames first, at most 16 */
    size_t module_count;
};

int gm_symbol_state_load(struct gm_recording *recording, struct gm_symbol_state *ret_state);
void gm_symbol_state_done(struct gm_symbol_state *state);

#endif
