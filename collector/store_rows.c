/* store_rows.c - see store_rows.h.
 *
 * Slices of time. The open slice grows batch by batch until it is as wide as its age asks for; its
 * rows are added to at each commit, so a reader always sees whole slices up to the last commit.
 */
#include "collector/store_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "collector/life.h"
#include "collector/store_bind.h"
#include "collector/store_caches.h"
#include "collector/store_cycles.h"
#include "collector/store_names.h"
#include "schemas/db.h"
#include "schemas/event_kinds.h"
#include "schemas/text.h"

enum statement {
    S_RUN,
    S_RUN_STATE,
    S_RUN_END,
    S_MODULE,
    S_MAPPING,
    S_FRAME,
    S_STACK_RUN,
    S_STACK_RUNS,
    S_SITE,
    S_SITE_NEW,
    S_SITE_DELTA,
    S_SITE_SAMPLES,
    S_SITE_NO_SAMPLES,
    S_SITE_GC,
    S_PROCESS,
    S_THREAD,
    S_INTERVAL,
    S_PROCESS_INTERVAL,
    S_GENERATION_INTERVAL,
    S_GC_INTERVAL,
    S_GC_STOP,
    S_GC_STOP_BUCKET,
    S_SITE_INTERVAL,
    S_SAMPLE,
    S_LOSS,
    S_MARK,
    S_COUNT,
};

/* Rows of S_STACK_RUNS. Most rows of a recording are stacks, and a statement for each would cost twice. */
#define RUNS_AT_ONCE 8u
#define RUN_NODES_MAX 256u
#define RUN_ROWS_7 ", (?, ?, ?), (?, ?, ?), (?, ?, ?), (?, ?, ?), (?, ?, ?), (?, ?, ?), (?, ?, ?)"

/* min_bytes and max_bytes stay NULL while all blocks are of one size, which is ?4 / ?3 in the batch and the same before. */
#define SITE_BOUND(which, of_batch) \
    " " which \
    "_bytes = CASE WHEN ?3 = 0 OR (min_bytes IS NULL AND ?18 = ?19 AND ?18 * ?3 = ?4 AND " \
    "?18 * allocs = alloc_bytes) THEN " which "_bytes ELSE " which "(coalesce(" which \
    "_bytes, alloc_bytes / allocs, ?" of_batch "), ?" of_batch ") END"

static const char *const statements[S_COUNT] = {
    [S_RUN] =
        "INSERT INTO run (run_id, geomem_version, program, command, cwd, host, kernel, cpus, "
        "page_bytes,"
        " boot_id, recorder_pid, recorder_start_ticks, start_utc_ns, options, g1_age_bytes, "
        "g2_age_bytes,"
        " g3_age_bytes, memory_limit_bytes, memory_limit_kind, sample_bytes, sample_min_bytes,"
        " sample_max_bytes, sample_budget, state, duration_ns)"
        " VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?19, ?19, ?19, ?20,"
        " 'recording', 0)",
    [S_RUN_STATE] =
        "UPDATE run SET duration_ns = ?, root_process_id = ?, exit_status = ?, exit_signal = ?,"
        " events = ?, lost_events = ?, corrupt_records = ?, late_events = ?, hash_collisions = ?,"
        " left_out_stacks = ?,"
        " cut_stacks = ?, peak_epoch = ?, peak_bytes = ?, peak_blocks = ?, peak_ns = ?,"
        " samples = ?, peak_bytes_var = ?, sample_min_bytes = ?, sample_max_bytes = ?, "
        "sample_share = ?",
    [S_RUN_END] = "UPDATE run SET state = ?, stop_reason = ?, recorder_cpu_ns = ?,"
                  " recorder_rss_bytes = ?",
    [S_MODULE] = "INSERT INTO module (module_id, path, build_id) VALUES (?, ?, ?)",
    [S_MAPPING] = "INSERT OR REPLACE INTO mapping (mapping_id, process_id, module_id, "
                  "start_address, end_address,"
                  " bias, first_ns, last_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    [S_FRAME] = "INSERT INTO frame (frame_id, module_id, address, flags, symbolized) VALUES (?, ?, "
                "?, ?, ?)",
    [S_STACK_RUN] = "INSERT INTO stack_run (last_id, parent_id, frames) VALUES (?, ?, ?)",
    [S_STACK_RUNS] =
        "INSERT INTO stack_run (last_id, parent_id, frames) VALUES (?, ?, ?)" RUN_ROWS_7,
    [S_SITE] = "INSERT INTO site_row (site_id, process_id, stack_id, function) VALUES (?, ?, ?, ?)",
    /* A new site with its first figures: as S_SITE and S_SITE_DELTA, at half their cost. */
    [S_SITE_NEW] =
        "INSERT INTO site_row (site_id, process_id, stack_id, function, allocs, alloc_bytes, "
        "reallocs,"
        " live_blocks, live_bytes, died_g1, died_g2, died_g3, promoted_g1, promoted_g2,"
        " promoted_g3, birth_sum_us, first_ns, last_ns, last_free_ns, min_bytes, max_bytes, "
        "peak_seen,"
        " peak_bytes, peak_blocks, run_peak_seen, run_peak_bytes, run_peak_blocks, life_bytes, "
        "life_ns)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
        "?, ?)",
    [S_SITE_DELTA] =
        "UPDATE site_row SET function = ?2, allocs = allocs + ?3, alloc_bytes = alloc_bytes + ?4,"
        " reallocs = reallocs + ?5, live_blocks = ?6, live_bytes = ?7,"
        " died_g1 = died_g1 + ?8, died_g2 = died_g2 + ?9, died_g3 = died_g3 + ?10,"
        " promoted_g1 = promoted_g1 + ?11, promoted_g2 = promoted_g2 + ?12, promoted_g3 = "
        "promoted_g3 + ?13,"
        " birth_sum_us = ?14,"
        " first_ns = CASE WHEN ?15 IS NULL THEN first_ns WHEN allocs = 0 THEN ?15 ELSE "
        "min(first_ns, ?15) END,"
        " last_ns = CASE WHEN ?16 IS NULL THEN last_ns WHEN allocs = 0 AND ?15 = ?16 THEN NULL "
        "ELSE "
        "?16 END,"
        " last_free_ns = coalesce(?17, last_free_ns)," SITE_BOUND("min", "18") "," SITE_BOUND(
            "max", "19") ","
                         " peak_seen = ?20, peak_bytes = ?21, peak_blocks = ?22,"
                         " run_peak_seen = ?23, run_peak_bytes = ?24, run_peak_blocks = ?25,"
                         " life_bytes = gm_life_merge(life_bytes, ?26, allocs - live_blocks),"
                         " life_ns = gm_life_merge(life_ns, ?27, allocs - live_blocks)"
                         " WHERE site_id = ?1",
    /* After S_SITE_DELTA: live_blocks is that of now. */
    [S_SITE_SAMPLES] =
        "INSERT INTO site_sample VALUES (?1, ?2, ?3, ?4, max(0.0, ?5), max(0.0, ?6))"
        " ON CONFLICT DO UPDATE SET samples = samples + ?2, allocs_var = allocs_var + ?3,"
        " alloc_bytes_var = alloc_bytes_var + ?4, live_blocks_var = max(0.0, live_blocks_var + ?5),"
        " live_bytes_var = max(0.0, live_bytes_var + ?6)",
    [S_SITE_NO_SAMPLES] =
        "UPDATE site_sample SET live_blocks_var = 0, live_bytes_var = 0 WHERE site_id = ?1",
    [S_PROCESS] =
        "INSERT OR REPLACE INTO process (process_id, pid, parent_process_id, origin, "
        "exe, command, start_ns,"
        " end_ns, end_kind, end_value, threads, allocs, alloc_bytes, frees, free_bytes, "
        "reallocs, unmatched_frees,"
        " implicit_frees, live_blocks, live_bytes, age_bytes, peak_epoch, peak_bytes, "
        "peak_blocks, peak_ns, end_peak_epoch,"
        " rss_bytes, lost_events, corrupt_records, ring_fill, sample_bytes, samples, allocs_var,"
        " alloc_bytes_var, live_blocks_var, live_bytes_var, peak_bytes_var)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
        "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [S_THREAD] =
        "INSERT OR REPLACE INTO thread (thread_id, process_id, tid, name, start_ns, end_ns, allocs,"
        " alloc_bytes, frees) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [S_INTERVAL] =
        "INSERT OR REPLACE INTO interval (interval_id, start_ns, end_ns) VALUES (?, ?, ?)",
    [S_PROCESS_INTERVAL] =
        "INSERT INTO process_interval VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO "
        "UPDATE SET"
        " allocs = allocs + excluded.allocs, alloc_bytes = alloc_bytes + excluded.alloc_bytes,"
        " frees = frees + excluded.frees, free_bytes = free_bytes + excluded.free_bytes,"
        " live_blocks = excluded.live_blocks, live_bytes = excluded.live_bytes,"
        " peak_bytes = max(peak_bytes, excluded.peak_bytes), rss_bytes = excluded.rss_bytes,"
        " lost_events = lost_events + excluded.lost_events",
    [S_GENERATION_INTERVAL] =
        "INSERT INTO generation_interval VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
        " born = born + excluded.born, died = died + excluded.died,"
        " died_bytes = died_bytes + excluded.died_bytes, promoted = promoted + excluded.promoted",
    [S_GC_INTERVAL] =
        "INSERT INTO gc_interval VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT "
        "DO UPDATE SET born = born + excluded.born, born_bytes = born_bytes + excluded.born_bytes,"
        " died = died + excluded.died, died_bytes = died_bytes + excluded.died_bytes,"
        " freed = freed + excluded.freed, freed_bytes = freed_bytes + excluded.freed_bytes,"
        " promoted = promoted + excluded.promoted,"
        " promoted_bytes = promoted_bytes + excluded.promoted_bytes,"
        " premature = premature + excluded.premature,"
        " premature_bytes = premature_bytes + excluded.premature_bytes,"
        " nepotism = nepotism + excluded.nepotism,"
        " nepotism_bytes = nepotism_bytes + excluded.nepotism_bytes",
    [S_SITE_GC] =
        "INSERT INTO site_gc VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT "
        "DO UPDATE SET born = born + excluded.born, born_bytes = born_bytes + excluded.born_bytes,"
        " died_young = died_young + excluded.died_young,"
        " died_young_bytes = died_young_bytes + excluded.died_young_bytes,"
        " died_old = died_old + excluded.died_old,"
        " died_old_bytes = died_old_bytes + excluded.died_old_bytes,"
        " freed = freed + excluded.freed, freed_bytes = freed_bytes + excluded.freed_bytes,"
        " promoted = promoted + excluded.promoted,"
        " promoted_bytes = promoted_bytes + excluded.promoted_bytes,"
        " premature = premature + excluded.premature,"
        " premature_bytes = premature_bytes + excluded.premature_bytes,"
        " nepotism = nepotism + excluded.nepotism,"
        " nepotism_bytes = nepotism_bytes + excluded.nepotism_bytes",
    [S_GC_STOP] = "INSERT INTO gc_stop (process_id, stop, number, start_ns, pause_ns) VALUES"
                  " (?, ?, ?, ?, ?)",
    [S_GC_STOP_BUCKET] = "INSERT OR REPLACE INTO gc_stop_histogram (process_id, from_ns, stops)"
                         " VALUES (?, ?, ?)",
    [S_SITE_INTERVAL] =
        "INSERT INTO site_interval VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
        " allocs = allocs + excluded.allocs, alloc_bytes = alloc_bytes + excluded.alloc_bytes,"
        " frees = frees + excluded.frees, free_bytes = free_bytes + excluded.free_bytes",
    [S_SAMPLE] = "INSERT OR REPLACE INTO sample (process_id, ns, live_bytes, live_blocks) VALUES "
                 "(?, ?, ?, ?)",
    [S_LOSS] = "INSERT INTO loss (interval_id, process_id, reason, events) VALUES (?, ?, ?, ?)",
    [S_MARK] = "INSERT INTO mark (process_id, ns, text) VALUES (?, ?, ?)",
};

struct slice {
    int64_t id, start_ns, end_ns; /* id 0: none yet */
};

struct gm_store_rows {
    sqlite3 *db;
    sqlite3_stmt *s[S_COUNT];
    struct gm_store_caches *caches;
    struct gm_store_cycles *cycles;
    struct slice open, before; /* before: as it was before the current batch */
};

/* ---- opening
 * -------------------------------------------------------------------------------------------- */

#define row_write(rows, statement, ...) gm_row_write((rows)->s[statement], __VA_ARGS__)

int gm_store_rows_create(sqlite3 *db, struct gm_store_rows **ret_rows)
{
    struct gm_store_rows *rows = calloc(1, sizeof *rows);
    if (!rows)
        return SQLITE_NOMEM;
    rows->db = db;
    int rc = gm_life_register(db);
    if (rc == SQLITE_OK)
        rc = gm_statements_prepare(db, statements, S_COUNT, rows->s);
    if (rc == SQLITE_OK)
        rc = gm_store_caches_create(db, &rows->caches);
    if (rc == SQLITE_OK)
        rc = gm_store_cycles_create(db, &rows->cycles);
    if (rc != SQLITE_OK) {
        gm_store_rows_free(rows);
        return rc;
    }
    *ret_rows = rows;
    return SQLITE_OK;
}

void gm_store_rows_free(struct gm_store_rows *rows)
{
    if (!rows)
        return;
    gm_statements_finalize(rows->s, S_COUNT);
    gm_store_caches_free(rows->caches);
    gm_store_cycles_free(rows->cycles);
    free(rows);
}

/* ---- the run
 * -------------------------------------------------------------------------------------------- */

int gm_store_rows_run(struct gm_store_rows *rows, const struct gm_store_run *run)
{
    struct utsname u;
    char kernel[sizeof u.release + sizeof u.machine + 1], boot_id[64];
    memset(&u, 0, sizeof u);
    uname(&u);
    snprintf(kernel, sizeof kernel, "%s %s", u.release, u.machine);
    gm_db_boot_id(boot_id, sizeof boot_id);
    return row_write(rows, S_RUN, "stjtttiisiiisiiizsie", GEOMEM_VERSION, run->program,
        run->command_json, run->cwd, u.nodename, kernel, I(sysconf(_SC_NPROCESSORS_ONLN)),
        I(sysconf(_SC_PAGESIZE)), boot_id, I(getpid()), gm_db_start_ticks(getpid()),
        run->start_utc_ns, run->options_json, I(run->g_age_bytes[0]), I(run->g_age_bytes[1]),
        I(run->g_age_bytes[2]), I(run->memory_limit_bytes), run->memory_limit_kind,
        I(run->sample_bytes), run->sample_budget > 0 ? run->sample_budget : -1.0);
}

static int write_run_state(struct gm_store_rows *rows, const struct gm_run_state *r)
{
    return row_write(rows, S_RUN_STATE, "iznziiiiiiiiiiiidiie", r->duration_ns,
        I(r->root_process_id), I(r->has_exit ? r->exit_status : -1), I(r->exit_signal),
        I(r->events), I(r->lost_events), I(r->corrupt_records), I(r->late_events),
        I(r->hash_collisions), I(r->left_out_stacks), I(r->cut_stacks), I(r->peak_epoch),
        I(r->peak_bytes), I(r->peak_blocks), r->peak_ns, I(r->samples), r->peak_bytes_variance,
        I(r->sample_min_bytes), I(r->sample_max_bytes), r->sample_share);
}

int gm_store_rows_end(struct gm_store_rows *rows, bool complete, const char *stop_reason,
    uint64_t recorder_cpu_ns, uint64_t recorder_rss_bytes)
{
    return row_write(rows, S_RUN_END, "stii", complete ? "complete" : "recording", stop_reason,
        I(recorder_cpu_ns), I(recorder_rss_bytes));
}

/* ---- dictionaries
 * --------------------------------------------------------------------------------------- */

/* The character that stands for a frame, and its length; see schema.sql, stack_run. */
static size_t frame_print(uint32_t frame_id, char *p)
{
    uint32_t c = frame_id < 0xd800 ? frame_id : frame_id + 0x2800;
    if (c < 0x80) {
        p[0] = (char)c;
        return 1;
    }
    size_t more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    for (size_t i = more; i > 0; i--, c >>= 6)
        p[i] = (char)(0x80 | (c & 0x3f));
    p[0] = (char)(0xff00u >> (more + 1) | c);
    return more + 1;
}

struct stack_run {
    uint32_t last_id, parent_id;
    int length;
    char frames[RUN_NODES_MAX * 4];
};

/* The run that begins with the first of n stacks; returns how many are in it. */
static size_t run_take(const struct gm_row_stack *stacks, size_t n, struct stack_run *run)
{
    size_t taken = 0, length = 0;
    do
        length += frame_print(stacks[taken].frame_id, run->frames + length);
    while (++taken < n && taken < RUN_NODES_MAX &&
           stacks[taken].parent_id == stacks[taken - 1].stack_id &&
           stacks[taken].stack_id == stacks[taken - 1].stack_id + 1);
    run->length = (int)length;
    run->parent_id = stacks[0].parent_id;
    run->last_id = stacks[taken - 1].stack_id;
    return taken;
}

static int runs_write(sqlite3_stmt *s, const struct stack_run *runs, size_t n)
{
    int rc = SQLITE_OK, at = 0;
    for (size_t i = 0; i < n && rc == SQLITE_OK; i++, at += 3) {
        const struct stack_run *run = &runs[i];
        rc = sqlite3_bind_int64(s, at + 1, run->last_id);
        if (rc == SQLITE_OK)
            rc = run->parent_id ? sqlite3_bind_int64(s, at + 2, run->parent_id)
                                : sqlite3_bind_null(s, at + 2);
        if (rc == SQLITE_OK)
            rc = sqlite3_bind_text(s, at + 3, run->frames, run->length, SQLITE_STATIC);
    }
    if (rc == SQLITE_OK)
        sqlite3_step(s);
    int end = sqlite3_reset(s);
    return rc == SQLITE_OK ? end : rc;
}

static int write_stacks(struct gm_store_rows *rows, const struct gm_batch *b)
{
    struct stack_run runs[RUNS_AT_ONCE];
    size_t n = 0;
    int rc = SQLITE_OK;
    for (size_t i = 0; i < b->stacks.n && rc == SQLITE_OK;) {
        i += run_take(&b->stacks.v[i], b->stacks.n - i, &runs[n++]);
        if (n == RUNS_AT_ONCE) {
            rc = runs_write(rows->s[S_STACK_RUNS], runs, n);
            n = 0;
        }
    }
    for (size_t i = 0; i < n && rc == SQLITE_OK; i++)
        rc = runs_write(rows->s[S_STACK_RUN], &runs[i], 1);
    return rc;
}

static int write_dictionaries(struct gm_store_rows *rows, const struct gm_batch *b)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; i < b->modules.n && rc == SQLITE_OK; i++) {
        const struct gm_row_module *m = &b->modules.v[i];
        rc = row_write(rows, S_MODULE, "itt", I(m->module_id), m->path, m->build_id);
    }
    for (size_t i = 0; i < b->mappings.n && rc == SQLITE_OK; i++) {
        const struct gm_row_mapping *m = &b->mappings.v[i];
        rc = row_write(rows, S_MAPPING, "iiiiiiin", I(m->mapping_id), I(m->process_id),
            I(m->module_id), I(m->start), I(m->end), I(m->bias), m->first_ns, m->last_ns);
    }
    for (size_t i = 0; i < b->frames.n && rc == SQLITE_OK; i++) {
        const struct gm_row_frame *f = &b->frames.v[i];
        rc = row_write(rows, S_FRAME, "iziii", I(f->frame_id), I(f->module_id), I(f->address),
            I(f->flags), I(!gm_store_frame_has_name(f->module_id, f->flags)));
    }
    return rc == SQLITE_OK ? write_stacks(rows, b) : rc;
}

/* ---- processes and threads
 * ------------------------------------------------------------------------------ */

static int write_process(struct gm_store_rows *rows, const struct gm_row_process *p)
{
    bool ended = p->end_ns >= 0;
    bool has_value =
        ended && p->end_kind && (!strcmp(p->end_kind, "exit") || !strcmp(p->end_kind, "signal"));
    return row_write(rows, S_PROCESS, "iizstjinsniiiiiiiiiiiiiiiniiidiiddddd", I(p->process_id),
        I(p->pid), I(p->parent_process_id), p->origin, p->exe, p->command, p->start_ns, p->end_ns,
        ended ? p->end_kind : NULL, I(has_value ? p->end_value : -1), I(p->threads), I(p->allocs),
        I(p->alloc_bytes), I(p->frees), I(p->free_bytes), I(p->reallocs), I(p->unmatched_frees),
        I(p->implicit_frees), I(p->live_blocks), I(p->live_bytes), I(p->age_bytes),
        I(p->peak_epoch), I(p->peak_bytes), I(p->peak_blocks), p->peak_ns,
        ended ? I(p->end_peak_epoch) : I(-1), I(p->rss_bytes), I(p->lost_events),
        I(p->corrupt_records), p->ring_fill, I(p->sample_bytes), I(p->samples), p->allocs_variance,
        p->alloc_bytes_variance, p->live_blocks_variance, p->live_bytes_variance,
        p->peak_bytes_variance);
}

static bool gc_is_idle(const void *sums, size_t bytes)
{
    const char *p = sums;
    return p[0] == 0 && memcmp(p, p + 1, bytes - 1) == 0;
}

static int write_gc_slice(struct gm_store_rows *rows, const struct gm_row_process *p)
{
    int rc = SQLITE_OK;
    for (int i = 0; i < GM_GC_GENERATIONS && rc == SQLITE_OK; i++) {
        const struct gm_gc_generation *g = &p->d_gc[i];
        if (!gc_is_idle(g, sizeof *g))
            rc = row_write(rows, S_GC_INTERVAL, "iiiiiiiiiiiiiii", rows->open.id, I(p->process_id),
                I(i), I(g->born.blocks), I(g->born.bytes), I(g->died.blocks), I(g->died.bytes),
                I(g->freed.blocks), I(g->freed.bytes), I(g->promoted.blocks), I(g->promoted.bytes),
                I(g->premature.blocks), I(g->premature.bytes), I(g->nepotism.blocks),
                I(g->nepotism.bytes));
    }
    return rc;
}

static int write_process_slice(struct gm_store_rows *rows, const struct gm_row_process *p)
{
    int rc = row_write(rows, S_PROCESS_INTERVAL, "iiiiiiiiiii", rows->open.id, I(p->process_id),
        I(p->d_allocs), I(p->d_alloc_bytes), I(p->d_frees), I(p->d_free_bytes), I(p->live_blocks),
        I(p->live_bytes), I(p->interval_peak_bytes), I(p->rss_bytes), I(p->d_lost_events));
    for (int g = 0; g < GM_GENERATIONS && rc == SQLITE_OK; g++) {
        if (p->d_born[g] || p->d_died[g] || p->d_promoted[g])
            rc = row_write(rows, S_GENERATION_INTERVAL, "iiiiiii", rows->open.id, I(p->process_id),
                I(g), I(p->d_born[g]), I(p->d_died[g]), I(p->d_died_bytes[g]), I(p->d_promoted[g]));
    }
    return rc == SQLITE_OK ? write_gc_slice(rows, p) : rc;
}

static int write_processes(struct gm_store_rows *rows, const struct gm_batch *b)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; i < b->processes.n && rc == SQLITE_OK; i++) {
        rc = write_process(rows, &b->processes.v[i]);
        if (rc == SQLITE_OK)
            rc = write_process_slice(rows, &b->processes.v[i]);
    }
    for (size_t i = 0; i < b->threads.n && rc == SQLITE_OK; i++) {
        const struct gm_row_thread *t = &b->threads.v[i];
        rc = row_write(rows, S_THREAD, "iiitiniii", I(t->thread_id), I(t->process_id), I(t->tid),
            t->name, t->start_ns, t->end_ns, I(t->allocs), I(t->alloc_bytes), I(t->frees));
    }
    return rc;
}

/* ---- sites
 * ---------------------------------------------------------------------------------------------- */

/* NULL: malloc. */
static const char *function_name(unsigned function)
{
    static const char *const names[] = {
#define GM_X(code, name) [code] = #name,
        GM_ALLOC_FUNCTIONS(GM_X)
#undef GM_X
    };
    const char *name = function < sizeof names / sizeof *names ? names[function] : NULL;
    if (function == GM_FN_malloc)
        return NULL;
    return name ? name : names[GM_FN_unknown];
}

/* The peak of the run, where it is another than the process's; else -1, which letter n makes NULL. */
struct run_peak {
    int64_t seen, bytes, blocks;
};

static struct run_peak delta_run_peak(const struct gm_row_site_delta *d)
{
    if (d->run_peak_seen == d->peak_seen && d->run_peak_bytes == d->peak_bytes &&
        d->run_peak_blocks == d->peak_blocks)
        return (struct run_peak){-1, -1, -1};
    return (struct run_peak){I(d->run_peak_seen), I(d->run_peak_bytes), I(d->run_peak_blocks)};
}

static struct gm_life_delta delta_life(
    const struct gm_batch *b, const struct gm_row_site_delta *d, uint8_t unit)
{
    const struct gm_life *life = b->life.v ? b->life.v + d->life_first : NULL;
    return (struct gm_life_delta){life, d->life_count, unit, d->d_frees};
}

static int write_site_delta(
    struct gm_store_rows *rows, const struct gm_batch *b, const struct gm_row_site_delta *d)
{
    struct gm_life_delta bytes = delta_life(b, d, 0), ns = delta_life(b, d, 1);
    struct run_peak run = delta_run_peak(d);
    return row_write(rows, S_SITE_DELTA, "isiiiiiiiiiiiinnniiiiinnnpp", I(d->site_id),
        function_name(d->function), I(d->d_allocs), I(d->d_alloc_bytes), I(d->d_reallocs),
        I(d->live_blocks), I(d->live_bytes), I(d->d_died[1]), I(d->d_died[2]), I(d->d_died[3]),
        I(d->d_promoted[0]), I(d->d_promoted[1]), I(d->d_promoted[2]), I(d->birth_sum_us),
        d->d_allocs ? d->first_ns : I(-1), d->d_allocs ? d->last_ns : I(-1), d->last_free_ns,
        I(d->min_bytes), I(d->max_bytes), I(d->peak_seen), I(d->peak_bytes), I(d->peak_blocks),
        run.seen, run.bytes, run.blocks, &bytes, &ns);
}

static int write_site_new(struct gm_store_rows *rows, const struct gm_batch *b,
    const struct gm_row_site *s, const struct gm_row_site_delta *d)
{
    const struct gm_life_delta bytes = delta_life(b, d, 0), ns = delta_life(b, d, 1);
    struct gm_life_value life_bytes, life_ns;
    struct run_peak run = delta_run_peak(d);
    bool one_size = d->min_bytes == d->max_bytes && d->min_bytes * d->d_allocs == d->d_alloc_bytes;
    bool bounds = d->d_allocs > 0 && !one_size;
    gm_life_first(&bytes, &life_bytes);
    gm_life_first(&ns, &life_ns);
    return row_write(rows, S_SITE_NEW, "iizsiiiiiiiiiiiiinnnniiinnnll", I(s->site_id),
        I(s->process_id), I(s->stack_id), function_name(d->function), I(d->d_allocs),
        I(d->d_alloc_bytes), I(d->d_reallocs), I(d->live_blocks), I(d->live_bytes), I(d->d_died[1]),
        I(d->d_died[2]), I(d->d_died[3]), I(d->d_promoted[0]), I(d->d_promoted[1]),
        I(d->d_promoted[2]), I(d->birth_sum_us), d->d_allocs ? d->first_ns : I(0),
        d->d_allocs && d->last_ns != d->first_ns ? d->last_ns : I(-1), d->last_free_ns,
        bounds ? I(d->min_bytes) : I(-1), bounds ? I(d->max_bytes) : I(-1), I(d->peak_seen),
        I(d->peak_bytes), I(d->peak_blocks), run.seen, run.bytes, run.blocks, &life_bytes,
        &life_ns);
}

/* What only sites of a sampled recording have. */
static int write_site_samples(struct gm_store_rows *rows, const struct gm_row_site_delta *d)
{
    int rc = SQLITE_OK;
    if (d->d_samples || d->d_live_blocks_variance != 0)
        rc = row_write(rows, S_SITE_SAMPLES, "iidddd", I(d->site_id), I(d->d_samples),
            d->d_allocs_variance, d->d_alloc_bytes_variance, d->d_live_blocks_variance,
            d->d_live_bytes_variance);
    /* What is left is the error of sums that went up and down. */
    if (rc == SQLITE_OK && d->live_blocks == 0 && d->d_live_blocks_variance != 0)
        rc = row_write(rows, S_SITE_NO_SAMPLES, "i", I(d->site_id));
    return rc;
}

/* What only some sites have, after their other figures. */
static int write_site_rest(struct gm_store_rows *rows, const struct gm_row_site_delta *d)
{
    int rc = write_site_samples(rows, d);
    const struct gm_gc_site *g = &d->gc;
    if (rc == SQLITE_OK && !gc_is_idle(g, sizeof *g))
        rc = row_write(rows, S_SITE_GC, "iiiiiiiiiiiiiii", I(d->site_id), I(g->born.blocks),
            I(g->born.bytes), I(g->died_young.blocks), I(g->died_young.bytes),
            I(g->died_old.blocks), I(g->died_old.bytes), I(g->freed.blocks), I(g->freed.bytes),
            I(g->promoted.blocks), I(g->promoted.bytes), I(g->premature.blocks),
            I(g->premature.bytes), I(g->nepotism.blocks), I(g->nepotism.bytes));
    if (rc == SQLITE_OK && (d->d_allocs || d->d_frees))
        rc = row_write(rows, S_SITE_INTERVAL, "iiiiii", rows->open.id, I(d->site_id),
            I(d->d_allocs), I(d->d_alloc_bytes), I(d->d_frees), I(d->d_free_bytes));
    return rc;
}

/* For each new site the index of its figures in site_deltas, + 1; 0: none in this batch. Ids of a batch's sites
 * follow each other. NULL without memory; else to be freed. */
static uint32_t *new_sites_deltas(const struct gm_batch *b)
{
    uint32_t *delta_of = calloc(b->sites.n ? b->sites.n : 1, sizeof *delta_of);
    for (size_t i = 0; delta_of && b->sites.n && i < b->site_deltas.n; i++) {
        uint32_t site_id = b->site_deltas.v[i].site_id, first = b->sites.v[0].site_id;
        if (site_id >= first && site_id - first < b->sites.n)
            delta_of[site_id - first] = (uint32_t)i + 1;
    }
    return delta_of;
}

static int write_new_sites(
    struct gm_store_rows *rows, const struct gm_batch *b, const uint32_t *delta_of)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; i < b->sites.n && rc == SQLITE_OK; i++) {
        const struct gm_row_site *s = &b->sites.v[i];
        if (delta_of[i])
            rc = write_site_new(rows, b, s, &b->site_deltas.v[delta_of[i] - 1]);
        else
            rc = row_write(rows, S_SITE, "iizs", I(s->site_id), I(s->process_id), I(s->stack_id),
                function_name(s->function));
    }
    return rc;
}

static int write_sites(struct gm_store_rows *rows, const struct gm_batch *b)
{
    uint32_t *delta_of = new_sites_deltas(b);
    int rc = delta_of ? write_new_sites(rows, b, delta_of) : SQLITE_NOMEM;
    free(delta_of);
    for (size_t i = 0; i < b->site_deltas.n && rc == SQLITE_OK; i++) {
        const struct gm_row_site_delta *d = &b->site_deltas.v[i];
        bool is_new = b->sites.n && d->site_id - b->sites.v[0].site_id < b->sites.n;
        if (!is_new)
            rc = write_site_delta(rows, b, d);
        if (rc == SQLITE_OK)
            rc = write_site_rest(rows, d);
    }
    return rc;
}

/* ---- slices of time
 * ------------------------------------------------------------------------------------- */

/* As documented at table interval. */
static int64_t slice_width_ns(int64_t age_ns)
{
    const int64_t s = 1000000000;
    return age_ns < 600 * s ? s / 2 : age_ns < 7200 * s ? s : 10 * s;
}

/* The batch joins the open slice unless that brings it further from its width than leaving it out.
 */
static int write_slice(struct gm_store_rows *rows, const struct gm_batch *b)
{
    struct slice *open = &rows->open;
    int64_t width = slice_width_ns(open->start_ns), half_batch = (b->end_ns - b->start_ns) / 2;
    rows->before = *open;
    if (open->id == 0 || b->start_ns - open->start_ns + half_batch >= width) {
        open->id++;
        open->start_ns = b->start_ns;
    }
    open->end_ns = b->end_ns;
    return row_write(rows, S_INTERVAL, "iii", open->id, open->start_ns, open->end_ns);
}

void gm_store_rows_undo(struct gm_store_rows *rows)
{
    rows->open = rows->before;
}

static int write_gc_stops(struct gm_store_rows *rows, const struct gm_batch *b)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; i < b->gc_stops.n && rc == SQLITE_OK; i++) {
        const struct gm_row_gc_stop *p = &b->gc_stops.v[i];
        rc = row_write(rows, S_GC_STOP, "iiiii", I(p->process_id), I(p->stop), I(p->number),
            p->start_ns, I(p->pause_ns));
    }
    for (size_t i = 0; i < b->gc_stop_buckets.n && rc == SQLITE_OK; i++) {
        const struct gm_row_gc_stop_bucket *k = &b->gc_stop_buckets.v[i];
        rc = row_write(rows, S_GC_STOP_BUCKET, "iii", I(k->process_id), I(k->from_ns), I(k->stops));
    }
    return rc;
}

static int write_moments(struct gm_store_rows *rows, const struct gm_batch *b)
{
    int rc = gm_store_cycles_batch(rows->cycles, b);
    if (rc == SQLITE_OK)
        rc = write_gc_stops(rows, b);
    for (size_t i = 0; i < b->samples.n && rc == SQLITE_OK; i++) {
        const struct gm_row_sample *m = &b->samples.v[i];
        rc = row_write(
            rows, S_SAMPLE, "iiii", I(m->process_id), m->ns, I(m->live_bytes), I(m->live_blocks));
    }
    for (size_t i = 0; i < b->losses.n && rc == SQLITE_OK; i++) {
        const struct gm_row_loss *l = &b->losses.v[i];
        rc = row_write(
            rows, S_LOSS, "iisi", rows->open.id, I(l->process_id), l->reason, I(l->events));
    }
    for (size_t i = 0; i < b->marks.n && rc == SQLITE_OK; i++) {
        const struct gm_row_mark *m = &b->marks.v[i];
        rc = row_write(rows, S_MARK, "zit", I(m->process_id), m->ns, m->text);
    }
    return rc;
}

int gm_store_rows_batch(struct gm_store_rows *rows, const struct gm_batch *batch)
{
    int rc = write_slice(rows, batch);
    if (rc == SQLITE_OK)
        rc = write_dictionaries(rows, batch);
    if (rc == SQLITE_OK)
        rc = write_processes(rows, batch);
    if (rc == SQLITE_OK)
        rc = write_sites(rows, batch);
    if (rc == SQLITE_OK)
        rc = write_moments(rows, batch);
    if (rc == SQLITE_OK)
        rc = gm_store_caches_batch(rows->caches, batch, rows->open.id);
    if (rc == SQLITE_OK)
        rc = write_run_state(rows, &batch->run);
    return rc;
}
